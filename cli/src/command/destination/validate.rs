//! `wharf destination validate`.

use serde::Serialize;
use wharf_runtime::home::Name;
use wharf_runtime::validate::{self, Outcome, Tried};

use crate::command::{Desk, recorded};
use crate::exit::Exit;
use crate::output::{Output, Tone, harmless};
use crate::report::Failure;

/// Try a destination, and tell each step when it has ended.
pub(super) async fn run(desk: Desk<'_>, name: &Name) -> Result<(), Failure> {
    let host = desk.host()?;
    let attached = host.attach(name).await?;
    let mut failed = None;
    let mut unprinted = Ok(());
    let (good, left) = validate::validate(&attached, &mut |tried| {
        if unprinted.is_ok() {
            unprinted = print(desk.output, &tried);
        }
        if let Outcome::Failed(failure) = tried.outcome {
            failed = Some(Failure::from(failure).with_context(format!(
                "destination `{name}` fails at `{}`: {}",
                tried.step.name(),
                tried.step.means()
            )));
        }
    })
    .await;
    for path in left {
        desk.output.warning(format_args!("`{name}:{path}` was stored for this and may be there still; remove it with `wharf rm {name}:{path}`"));
    }
    let verdict = match (good, failed) {
        (true, _) => Ok(()),
        (false, Some(failure)) => Err(failure),
        (false, None) => Err(Failure::new(Exit::Failed, format!("destination `{name}` fails"))),
    };
    recorded(&host, &attached, verdict).await?;
    unprinted?;
    desk.output.note(format_args!("destination `{name}` does all that was tried"));
    Ok(())
}

fn print(output: &Output, tried: &Tried) -> Result<(), Failure> {
    let (word, said, means) = match &tried.outcome {
        Outcome::Good(said) => ("ok", said.clone(), None),
        Outcome::Skipped(reason) => ("skipped", reason.clone(), None),
        Outcome::Failed(failure) => ("failed", failure.to_string(), Some(tried.step.means())),
    };
    let said = harmless(&said);
    let milliseconds = tried.elapsed.as_millis();
    if output.is_json() {
        let step = tried.step.name();
        return Ok(output.json(&StepJson { step, outcome: word, milliseconds, said, means })?);
    }
    let shown = match &tried.outcome {
        Outcome::Good(_) | Outcome::Skipped(_) => format!("{word:<7}"),
        Outcome::Failed(_) => output.paint(Tone::Error, format_args!("{word:<7}")),
    };
    Ok(output.line(format_args!("{shown}  {:<10}  {milliseconds:>6} ms  {said}", tried.step.name()))?)
}

/// A step as `--json` has it.
#[derive(Debug, Serialize)]
struct StepJson {
    step: &'static str,
    outcome: &'static str,
    milliseconds: u128,
    said: String,
    means: Option<&'static str>,
}
