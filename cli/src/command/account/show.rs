//! `wharf account list` and `show`: what may be shown of an account, which is no secret.

use std::time::SystemTime;

use serde::Serialize;
use wharf_runtime::account::{Method, Summary};
use wharf_runtime::home::Name;
use wharf_runtime::host::Host;

use super::Desk;
use crate::format;
use crate::output::harmless;
use crate::report::Failure;
use crate::table::{Align, Table};

/// Show one.
pub(super) fn one(desk: Desk<'_>, name: &Name) -> Result<(), Failure> {
    let host = desk.host()?;
    let summary = host.accounts().show(name, SystemTime::now())?;
    if desk.output.is_json() {
        return Ok(desk.output.json(&AccountJson::new(&summary))?);
    }
    let text = |value: Option<String>, otherwise: &str| value.unwrap_or_else(|| otherwise.to_owned());
    let when = |moment: SystemTime| format::moment(format::timestamp(moment));
    let secret = if summary.has_client_secret { ", with a secret" } else { "" };
    let facts = [
        ("name", summary.name.to_string()),
        ("type", summary.connector_type.clone()),
        ("for", access(&summary).to_owned()),
        ("signed in", signed_in(&summary)),
        ("token", token(&summary, SystemTime::now())),
        ("refreshed", text(summary.refreshed.map(when), "not yet")),
        ("covers", text(summary.scope.as_deref().map(harmless), "the service did not say")),
        ("client", format!("{}{secret}", client(&summary))),
        ("token endpoint", text(summary.token_url.clone(), "the connector's")),
        ("added", when(summary.created)),
    ];
    for (label, value) in facts {
        desk.output.line(format_args!("{label:<16}{value}"))?;
    }
    Ok(())
}

/// What a program is told of an account that has signed in; people have read it.
pub(super) fn added(desk: Desk<'_>, host: &Host, name: &Name) -> Result<(), Failure> {
    if desk.output.is_json() {
        let summary = host.accounts().show(name, SystemTime::now())?;
        desk.output.json(&AccountJson::new(&summary))?;
    }
    Ok(())
}

/// List them; one that is broken does not hide the others.
pub(super) fn list(desk: Desk<'_>) -> Result<(), Failure> {
    let host = desk.host()?;
    let mut broken = None;
    let mut table = Table::new(&[
        ("NAME", Align::Left),
        ("TYPE", Align::Left),
        ("FOR", Align::Left),
        ("SIGNED IN", Align::Left),
        ("TOKEN", Align::Left),
        ("CLIENT", Align::Left),
    ]);
    for summary in host.accounts().list(SystemTime::now())? {
        match summary {
            Ok(summary) if desk.output.is_json() => desk.output.json(&AccountJson::new(&summary))?,
            Ok(summary) => table.row(row(&summary)),
            Err(error) => {
                let failure = Failure::from(error);
                desk.output.warning(failure.line());
                broken.get_or_insert(failure.exit());
            }
        }
    }
    if table.is_empty() && !desk.output.is_json() && broken.is_none() {
        desk.output.note("there are no accounts yet; see `wharf account add --help`");
    } else if !desk.output.is_json() {
        for line in table.lines() {
            desk.output.line(line)?;
        }
    }
    broken.map_or(Ok(()), |exit| Err(Failure::reported(exit)))
}

fn row(summary: &Summary) -> Vec<String> {
    vec![
        summary.name.to_string(),
        summary.connector_type.clone(),
        access(summary).to_owned(),
        signed_in(summary),
        token(summary, SystemTime::now()),
        client(summary),
    ]
}

const fn access(summary: &Summary) -> &'static str {
    if summary.read_only { "reading" } else { "reading and writing" }
}

fn client(summary: &Summary) -> String {
    summary.client_id.as_deref().map_or_else(|| "the connector's".to_owned(), harmless)
}

/// When a person signed in, and how.
fn signed_in(summary: &Summary) -> String {
    let moment = summary.signed_in.map(|moment| format::moment(format::timestamp(moment)));
    match (moment, summary.method) {
        (Some(moment), Some(method)) => format!("{moment} {}", way(method)),
        (Some(moment), None) => moment,
        (None, _) => "before this was kept".to_owned(),
    }
}

const fn way(method: Method) -> &'static str {
    match method {
        Method::TokenFile => "with a token file",
        Method::Rclone => "from rclone",
        Method::Browser => "in a browser",
        Method::Pasted => "with a pasted answer",
        Method::DeviceCode => "with a device code",
    }
}

/// How it stands with the token, in words.
fn token(summary: &Summary, now: SystemTime) -> String {
    if let Some(until) = summary.paused_until {
        return format!("paused until {}", format::moment(format::timestamp(until)));
    }
    match (summary.refreshable, summary.expires) {
        (true, _) => "refreshed when needed".to_owned(),
        (false, Some(expires)) if expires <= now => "expired".to_owned(),
        (false, Some(expires)) => format!("until {}", format::moment(format::timestamp(expires))),
        (false, None) => "used until it is refused".to_owned(),
    }
}

/// An account as `--json` has it.
#[derive(Debug, Serialize)]
struct AccountJson<'a> {
    name: &'a Name,
    r#type: &'a str,
    client_id: Option<&'a str>,
    has_client_secret: bool,
    token_url: Option<&'a str>,
    scope: Option<&'a str>,
    read_only: bool,
    signed_in: Option<jiff::Timestamp>,
    method: Option<Method>,
    refreshable: bool,
    created: jiff::Timestamp,
    refreshed: Option<jiff::Timestamp>,
    expires: Option<jiff::Timestamp>,
    paused_until: Option<jiff::Timestamp>,
}

impl<'a> AccountJson<'a> {
    fn new(summary: &'a Summary) -> Self {
        Self {
            name: &summary.name,
            r#type: &summary.connector_type,
            client_id: summary.client_id.as_deref(),
            has_client_secret: summary.has_client_secret,
            token_url: summary.token_url.as_deref(),
            scope: summary.scope.as_deref(),
            read_only: summary.read_only,
            signed_in: summary.signed_in.map(format::timestamp),
            method: summary.method,
            refreshable: summary.refreshable,
            created: format::timestamp(summary.created),
            refreshed: summary.refreshed.map(format::timestamp),
            expires: summary.expires.map(format::timestamp),
            paused_until: summary.paused_until.map(format::timestamp),
        }
    }
}
