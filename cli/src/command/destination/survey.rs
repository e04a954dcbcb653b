//! `wharf destination reindex` and `wharf destination check`.

use serde::Serialize;
use wharf_runtime::home::Name;
use wharf_runtime::path::RelativePath;
use wharf_runtime::survey::{self, By, Checked, Finding, Options, What};

use crate::command::{Desk, recorded};
use crate::exit::Exit;
use crate::output::{Output, Tone, harmless};
use crate::report::Failure;

/// Bring the catalog in line.
pub(super) async fn reindex(desk: Desk<'_>, name: &Name) -> Result<(), Failure> {
    let host = desk.host()?;
    let attached = host.attach(name).await?;
    let done = survey::reindex(&attached).await.map_err(Failure::from);
    let sum = recorded(&host, &attached, done).await?;
    if desk.output.is_json() {
        return Ok(desk.output.json(&sum)?);
    }
    let by = match sum.by {
        By::Changes => "by what the service says has changed",
        By::Walking => "by listing every folder",
    };
    desk.output.line(format_args!("added      {}", sum.added))?;
    desk.output.line(format_args!("changed    {}", sum.changed))?;
    desk.output.line(format_args!("removed    {}", sum.removed))?;
    desk.output.line(format_args!("unchanged  {}", sum.unchanged))?;
    desk.output.note(format_args!("the catalog of destination `{name}` is in line, {by}"));
    Ok(())
}

/// Tell what differs.
pub(super) async fn check(
    desk: Desk<'_>,
    name: &Name,
    path: &RelativePath,
    download: bool,
) -> Result<(), Failure> {
    let host = desk.host()?;
    let attached = host.attach(name).await?;
    let mut unprinted = Ok(());
    let done = survey::check(&attached, path, Options { download }, &mut |finding| {
        if unprinted.is_ok() {
            unprinted = print(desk.output, finding);
        }
    })
    .await
    .map_err(Failure::from);
    let sum = recorded(&host, &attached, done).await?;
    unprinted?;
    if desk.output.is_json() {
        desk.output.json(&SumJson { sum })?;
    }
    verdict(desk.output, name, path, download, sum)
}

fn print(output: &Output, finding: Finding) -> Result<(), Failure> {
    let path = finding.path.to_string();
    let (word, tone, why) = match finding.what {
        What::Missing => ("missing", Tone::Error, None),
        What::Changed(difference) => ("changed", Tone::Error, Some(difference.to_string())),
        What::Unknown => ("unknown", Tone::Warning, None),
        What::Damaged(mismatch) => ("damaged", Tone::Error, Some(mismatch.to_string())),
        What::Unread(error) => ("unread", Tone::Error, Some(Failure::from(*error).line())),
    };
    if output.is_json() {
        return Ok(output.json(&FindingJson { finding: word, path, why })?);
    }
    let why = why.map(|why| format!("  ({})", harmless(&why))).unwrap_or_default();
    let word = output.paint(tone, format_args!("{word:<7}"));
    Ok(output.line(format_args!("{word}  {}{why}", harmless(&path)))?)
}

/// What the check comes to, and what to do about it.
fn verdict(
    output: &Output,
    name: &Name,
    path: &RelativePath,
    download: bool,
    sum: Checked,
) -> Result<(), Failure> {
    let Checked { good, missing, changed, unknown, damaged, unread, verified } = sum;
    let place = format!("{name}:{path}");
    let how = if download {
        format!("{good} files are as stored, {verified} of them read")
    } else {
        format!("{good} files are as stored")
    };
    let wrong = missing.saturating_add(changed).saturating_add(damaged);
    if wrong == 0 && unread == 0 {
        output.note(format_args!("`{place}`: {how}"));
        if unknown > 0 {
            output.note(format_args!(
                "{unknown} are unknown to the catalog; `wharf destination reindex {name}` takes them in"
            ));
        }
        return Ok(());
    }
    let counts =
        [(missing, "missing"), (changed, "changed"), (damaged, "damaged"), (unread, "could not be read")];
    let counts: Vec<String> = counts
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, word)| format!("{count} {word}"))
        .collect();
    let message = format!("`{place}` is not as stored: {} ({how})", counts.join(", "));
    let (exit, hint) = if wrong > 0 {
        let hint = format!(
            "copy what is missing again from its source; if it was meant to change, `wharf destination reindex {name}` takes what is there for granted"
        );
        (Exit::Corrupt, hint)
    } else {
        (Exit::Failed, format!("run the same command again later; `wharf audit {name}` has what was tried"))
    };
    Err(Failure::new(exit, message).with_hint(hint))
}

/// A finding as `--json` has it.
#[derive(Debug, Serialize)]
struct FindingJson {
    finding: &'static str,
    path: String,
    why: Option<String>,
}

/// The last line of `--json`.
#[derive(Debug, Serialize)]
struct SumJson {
    sum: Checked,
}
