//! `wharf audit`.

use std::collections::VecDeque;

use wharf_runtime::audit::{Anchor, Audit, Decision, Filter, Record, RouteSummary, Verified};
use wharf_runtime::destination;
use wharf_runtime::home::Name;
use wharf_runtime::host::{self, Host};
use wharf_runtime::state::State;

use super::Desk;
use crate::exit::Exit;
use crate::format;
use crate::output::harmless;
use crate::report::Failure;
use crate::table::{Align, Table};

/// List records, oldest first.
pub(super) fn list(desk: Desk<'_>, name: &Name, limit: Option<usize>) -> Result<(), Failure> {
    let host = desk.host()?;
    let mut reader = Audit::read(host.home(), name, Filter::default())?;
    let mut last = VecDeque::new();
    let mut is_empty = true;
    for record in reader.by_ref() {
        let record = record?;
        is_empty = false;
        match limit {
            None => print(desk, &record)?,
            Some(limit) => {
                last.push_back(record);
                if last.len() > limit {
                    last.pop_front();
                }
            }
        }
    }
    for record in &last {
        print(desk, record)?;
    }
    unreadable(desk, name, reader.skipped());
    if is_empty { nothing(desk, &host, name) } else { Ok(()) }
}

/// Requests, retries and bytes by route.
pub(super) fn summary(desk: Desk<'_>, name: &Name) -> Result<(), Failure> {
    let host = desk.host()?;
    let summary = Audit::read(host.home(), name, Filter::default())?.summary()?;
    let output = desk.output;
    unreadable(desk, name, summary.skipped);
    if output.is_json() {
        return Ok(output.json(&summary)?);
    }
    if summary.routes.is_empty() {
        return nothing(desk, &host, name);
    }
    let mut table = Table::new(&[
        ("OPERATION", Align::Left),
        ("ROUTE", Align::Left),
        ("REQUESTS", Align::Right),
        ("RETRIED", Align::Right),
        ("PAUSED", Align::Right),
        ("DENIED", Align::Right),
        ("FAILED", Align::Right),
        ("SENT", Align::Right),
        ("RECEIVED", Align::Right),
        ("AVERAGE", Align::Right),
    ]);
    for route in &summary.routes {
        table.row(row(route));
    }
    for line in table.lines() {
        output.line(line)?;
    }
    if let (Some(first), Some(last)) = (summary.first, summary.last) {
        output.note(format_args!("from {} to {}", format::moment(first), format::moment(last)));
    }
    Ok(())
}

/// See whether the records are those that were written.
pub(super) fn verify(desk: Desk<'_>, name: &Name, anchor: Option<Anchor>) -> Result<(), Failure> {
    let host = desk.host()?;
    let state = State::open(host.home()).map_err(host::Error::from)?;
    let verified = Audit::verify(host.home(), &state, name, anchor)?;
    let output = desk.output;
    if output.is_json() {
        output.json(&verified)?;
    } else if verified == Verified::default() {
        return nothing(desk, &host, name);
    } else {
        tell(desk, &verified)?;
    }
    if verified.faults_total == 0 {
        return Ok(());
    }
    let message = format!(
        "the audit of `{name}` is not what was written: {}",
        format::count(verified.faults_total, "fault")
    );
    Err(Failure::new(Exit::Corrupt, message).with_hint(format!(
        "copy the folder `{}` away before anything else is written, then find out who could write there",
        host.home().path().join("audit").display()
    )))
}

fn tell(desk: Desk<'_>, verified: &Verified) -> Result<(), Failure> {
    let output = desk.output;
    for fault in &verified.faults {
        output.line(harmless(&fault.to_string()))?;
    }
    let records = format::count(verified.records, "record");
    match (verified.first, &verified.head) {
        (Some(first), Some(head)) => output.line(format_args!("{records} from {first} on; head {head}"))?,
        (None, _) | (_, None) => output.line(format_args!("{records} with a link to the one before"))?,
    }
    if verified.unlinked > 0 {
        let records = format::count(verified.unlinked, "record");
        output
            .note(format_args!("{records} in front of them, from before records were linked: not verified"));
    }
    for line in verified.torn.iter().chain(&verified.torn_end) {
        output.note(format_args!("{line} is torn: a process was killed while it wrote; no fault"));
    }
    if verified.end_unknown {
        output.warning("where the audit ends is not known from elsewhere: a missing end would not be seen");
    }
    if verified.faults_total == 0 {
        output.note("nothing was changed, moved, put in or taken away");
    }
    Ok(())
}

fn row(route: &RouteSummary) -> Vec<String> {
    let average = route.elapsed_us.checked_div(route.attempts).unwrap_or_default();
    vec![
        harmless(&route.operation),
        harmless(&route.route),
        route.attempts.to_string(),
        route.retried.to_string(),
        route.paused.to_string(),
        route.denied.to_string(),
        (route.failed + route.gave_up).to_string(),
        format::bytes(route.request_bytes),
        format::bytes(route.response_bytes),
        format!("{} ms", average / 1000),
    ]
}

fn print(desk: Desk<'_>, record: &Record) -> Result<(), Failure> {
    if desk.output.is_json() {
        return Ok(desk.output.json(record)?);
    }
    Ok(desk.output.line(line(record))?)
}

/// A record on one line.
fn line(record: &Record) -> String {
    let moment = format::timestamp(record.time);
    let outcome = match (record.status, &record.failure) {
        (Some(status), _) => status.to_string(),
        (None, Some(_)) => "failed".to_owned(),
        (None, None) => "-".to_owned(),
    };
    let mut text = format!(
        "{moment:.3}  {operation:<13} {route:<14} {decision:<8} {outcome:<6} {method} {url}",
        operation = record.operation,
        route = record.route,
        decision = decision(record.decision),
        method = record.method,
        url = record.url,
    );
    let details = [
        (record.attempt > 1).then(|| format!("attempt {}", record.attempt)),
        (record.request_bytes > 0).then(|| format!("sent {}", format::bytes(record.request_bytes))),
        (record.response_bytes > 0).then(|| format!("received {}", format::bytes(record.response_bytes))),
        (record.elapsed_us > 0).then(|| format!("{} ms", record.elapsed_us / 1000)),
        record.wait_ms.map(|wait| format!("again after {wait} ms")),
        record.failure.clone(),
        (!record.rule.is_empty() && record.decision != Decision::Allowed)
            .then(|| format!("rule {}", record.rule)),
        (!record.reason.is_empty()).then(|| record.reason.clone()),
        record.maybe_applied.then(|| "may have been applied before".to_owned()),
        record.guest_claimed.then(|| "claimed by the connector".to_owned()),
    ];
    let details: Vec<String> = details.into_iter().flatten().collect();
    if !details.is_empty() {
        text.push_str(&format!("  ({})", details.join(", ")));
    }
    harmless(text.trim_end())
}

const fn decision(decision: Decision) -> &'static str {
    match decision {
        Decision::Allowed => "allowed",
        Decision::Denied => "denied",
        Decision::Retried => "retried",
        Decision::Paused => "paused",
        Decision::GaveUp => "gave-up",
    }
}

/// No records: of a destination that was not used yet, or of none at all.
fn nothing(desk: Desk<'_>, host: &Host, name: &Name) -> Result<(), Failure> {
    if !host.destinations().exists(name) {
        return Err(destination::Error::NotFound(name.clone()).into());
    }
    desk.output.note(format_args!("nothing was asked for destination `{name}` yet"));
    Ok(())
}

fn unreadable(desk: Desk<'_>, name: &Name, lines: u64) {
    if lines > 0 {
        let lines = format::count(lines, "line");
        desk.output.warning(format_args!("{lines} of the audit of `{name}` cannot be read and are left out"));
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn a_record_on_one_line() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(1_500);
        let mut record = Record::new(time, "archive".into(), "onedrive@0.1.0".into(), Decision::Retried);
        record.operation = "put".into();
        record.route = "put".into();
        record.method = "PUT".to_owned();
        record.url = "https://graph.microsoft.com/v1.0/me/drive/root:/b/a:/content".to_owned();
        record.attempt = 2;
        record.status = Some(503);
        record.request_bytes = 2048;
        record.elapsed_us = 12_345;
        record.wait_ms = Some(250);
        insta::assert_snapshot!(line(&record), @"1970-01-01T00:00:01.500Z  put           put            retried  503    PUT https://graph.microsoft.com/v1.0/me/drive/root:/b/a:/content  (attempt 2, sent 2.00 KiB, 12 ms, again after 250 ms)");
        let denied = Record::new(time, "archive".into(), "onedrive@0.1.0".into(), Decision::Denied);
        insta::assert_snapshot!(line(&Record { rule: "item".to_owned(), ..denied }), @"1970-01-01T00:00:01.500Z                               denied   -         (rule item)");
    }
}
