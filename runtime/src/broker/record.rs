//! What is told of a request: a record for the audit, and the cause that an operator reads.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use super::{Call, Carrying, Cause, Failure};
use crate::audit::{Decision, Record};
use crate::grant::Allowed;
use crate::manifest;
use crate::network::{Incoming, SendError};
use crate::retry::Verdict;

impl Call {
    pub(super) fn blank(&self, route: Arc<str>, decision: Decision) -> Record {
        let settings = &self.broker.settings;
        let destination = Arc::clone(&settings.destination);
        Record {
            digest: Arc::clone(&settings.digest),
            signed_by: Arc::clone(&settings.signed_by),
            operation_id: self.id,
            operation: self.operation.into(),
            route,
            ..Record::new(self.broker.clock.now(), destination, Arc::clone(&settings.connector), decision)
        }
    }

    /// One record per attempt.
    #[expect(clippy::too_many_arguments, reason = "an attempt is what all of these are of")]
    pub(super) async fn record(
        &self,
        allowed: &Allowed,
        carrying: &Carrying,
        attempt: u32,
        started: Duration,
        sent: &Result<Incoming, SendError>,
        verdict: Verdict,
        maybe_applied: bool,
    ) -> Result<(), Failure> {
        let (decision, wait) = match verdict {
            Verdict::Deliver => (Decision::Allowed, None),
            Verdict::DeliverAndPause(wait) => (Decision::Allowed, Some(wait)),
            Verdict::RetryAfter(wait) => (Decision::Retried, Some(wait)),
            Verdict::RefreshOnce => (Decision::Retried, None),
            Verdict::PauseAccount(wait) | Verdict::PauseDestination(wait) => (Decision::Paused, Some(wait)),
            Verdict::GiveUp(_) => (Decision::GaveUp, None),
        };
        let route = allowed.route();
        let elapsed = self.broker.clock.elapsed().saturating_sub(started);
        let account = match route.credential {
            manifest::Credential::Account => {
                self.broker.account.as_ref().map(|account| account.name().as_str().into())
            }
            manifest::Credential::None => None,
        };
        let record = Record {
            account,
            method: route.method.as_str().to_owned(),
            url: allowed.shown(),
            attempt,
            status: sent.as_ref().ok().map(|incoming| incoming.status().as_u16()),
            failure: sent.as_ref().err().map(|error| chain(&error.kind)),
            service_request_id: sent.as_ref().ok().and_then(service_request_id),
            request_bytes: carried_bytes(allowed, carrying),
            response_bytes: sent.as_ref().ok().and_then(Incoming::content_length).unwrap_or(0),
            elapsed_us: u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
            wait_ms: wait.map(|wait| u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
            maybe_applied,
            ..self.blank(route.name.as_str().into(), decision)
        };
        self.append(record).await
    }

    /// What cannot be recorded is not done: a disk that refuses the audit ends the operation.
    pub(super) async fn append(&self, record: Record) -> Result<(), Failure> {
        let appended = self.broker.audit.append(record).await;
        appended.map_err(|error| {
            self.set_cause(chain(&error));
            Failure::Denied
        })
    }

    pub(super) fn note(&self, allowed: &Allowed, what: &str) {
        self.set_cause(format!("{what} ({} {})", allowed.route().method.as_str(), allowed.shown()));
    }

    pub(super) fn set_cause(&self, cause: String) {
        self.tell_cause(Cause::new(cause));
    }

    pub(super) fn tell_cause(&self, mut cause: Cause) {
        crate::shown::bound(&mut cause.said, CAUSE_BYTES_MAX);
        *self.cause.lock().unwrap_or_else(PoisonError::into_inner) = Some(cause);
    }
}

/// The service's own name of a request, which its support asks for.
fn service_request_id(incoming: &Incoming) -> Option<String> {
    let names = ["request-id", "x-dropbox-request-id", "x-request-id"];
    let id = names.iter().find_map(|name| incoming.headers().get(*name))?;
    id.to_str().ok().map(str::to_owned)
}

fn carried_bytes(allowed: &Allowed, carrying: &Carrying) -> u64 {
    let few = |bytes: &[u8]| u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    match (allowed.json_body(), carrying) {
        (Some(json), _) => few(json),
        (None, Carrying::Nothing) => 0,
        (None, Carrying::Bytes(bytes)) => few(bytes),
        (None, Carrying::Section(section)) => section.size(),
    }
}

/// The beginning of a reply that is an error, for the operator.
pub(super) fn excerpt(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..body.len().min(EXCERPT_BYTES_MAX)).unwrap_or_default());
    let text: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let text: String = text.chars().filter(|character| !character.is_control()).collect();
    if text.is_empty() { text } else { format!(": {text}") }
}

/// Bytes of what the operator is told of a failure.
const CAUSE_BYTES_MAX: usize = 1024;
/// Bytes of an error reply that the operator is shown: both services say what is wrong in fewer.
const EXCERPT_BYTES_MAX: usize = 400;

/// An error and what lies under it, in one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
