//! What is recorded of an attempt.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use serde::{Deserialize, Serialize};

use crate::shown::{bound, is_plain};

/// Longest text in a record, in bytes, after escaping.
pub const TEXT_BYTES_MAX: usize = 256;
/// Longest address: a path may be long.
pub const URL_BYTES_MAX: usize = 4096;

/// What the host decided about an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Decision {
    /// It was sent, and its outcome went to the connector.
    Allowed,
    /// It was not sent.
    Denied,
    /// It was sent, its outcome was not good, and it is sent again.
    Retried,
    /// It was sent, and the service asked for a pause before it is sent again.
    Paused,
    /// It was sent, its outcome was not good, and there are no attempts or no time left. Or the whole
    /// operation was ended, because its connector broke down.
    GaveUp,
}

/// One attempt. Texts may be as they come: writing bounds and escapes them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When it was decided or sent.
    #[serde(with = "moment")]
    pub time: SystemTime,
    /// Which process.
    pub process: u32,
    /// For which destination.
    pub destination: Arc<str>,
    /// With whose token; none where none was added.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Arc<str>>,
    /// By which connector, `type@version`.
    pub connector: Arc<str>,
    /// The first digits of its component's digest.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub digest: Arc<str>,
    /// The publisher who signed it, and the first digits of the key; or `unsigned`.
    #[serde(default, skip_serializing_if = "str::is_empty")]
    pub signed_by: Arc<str>,
    /// In which operation, unique in its process.
    pub operation_id: u64,
    /// What that operation is: `put`, `list`, …
    pub operation: Arc<str>,
    /// Through which route of the manifest, or by which access to a folder of this machine; as the
    /// connector named it, when there is none.
    pub route: Arc<str>,
    /// The HTTP method, or what was done in the folder: `write`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub method: String,
    /// The address, without its query; of a file of this machine `file://` and its path.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// Which attempt of the request, from 1; 0 when nothing was sent.
    pub attempt: u32,
    /// The status that came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Why nothing came back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<String>,
    /// The service's own id of the request, which its support asks for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_request_id: Option<String>,
    /// Bytes of body that were sent.
    pub request_bytes: u64,
    /// Bytes of body that came back, as far as known when the record was made.
    pub response_bytes: u64,
    /// How long it took, in microseconds.
    pub elapsed_us: u64,
    /// What was decided.
    pub decision: Decision,
    /// The rule that decided: a route, a limit, a line of the retry table.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub rule: String,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// How long until the next attempt, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait_ms: Option<u64>,
    /// An earlier attempt may have had its effect.
    #[serde(default, skip_serializing_if = "is_false")]
    pub maybe_applied: bool,
    /// It is the connector that says so, not the host.
    #[serde(default, skip_serializing_if = "is_false")]
    pub guest_claimed: bool,
}

impl Record {
    /// A record with what every record has; the rest is empty, to be filled in.
    #[must_use]
    pub fn new(time: SystemTime, destination: Arc<str>, connector: Arc<str>, decision: Decision) -> Self {
        let nothing: Arc<str> = Arc::from("");
        Self {
            time,
            process: std::process::id(),
            destination,
            account: None,
            connector,
            digest: Arc::clone(&nothing),
            signed_by: Arc::clone(&nothing),
            operation_id: 0,
            operation: Arc::clone(&nothing),
            route: nothing,
            method: String::new(),
            url: String::new(),
            attempt: 0,
            status: None,
            failure: None,
            service_request_id: None,
            request_bytes: 0,
            response_bytes: 0,
            elapsed_us: 0,
            decision,
            rule: String::new(),
            reason: String::new(),
            wait_ms: None,
            maybe_applied: false,
            guest_claimed: false,
        }
    }

    /// With every text within its bounds and fit for a terminal, and no query in the address.
    pub(super) fn bounded(mut self) -> Self {
        if let Some(end) = self.url.find(['?', '#']) {
            self.url.truncate(end);
        }
        bound(&mut self.url, URL_BYTES_MAX);
        for text in [&mut self.method, &mut self.rule, &mut self.reason] {
            bound(text, TEXT_BYTES_MAX);
        }
        for text in [&mut self.failure, &mut self.service_request_id].into_iter().flatten() {
            bound(text, TEXT_BYTES_MAX);
        }
        let shared = [
            &mut self.destination,
            &mut self.connector,
            &mut self.digest,
            &mut self.signed_by,
            &mut self.operation,
            &mut self.route,
        ];
        for text in shared.into_iter().chain(&mut self.account) {
            if !is_plain(text, TEXT_BYTES_MAX) {
                let mut owned = text.to_string();
                bound(&mut owned, TEXT_BYTES_MAX);
                *text = Arc::from(owned);
            }
        }
        self
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

/// A moment as `2026-01-31T12:00:00.123456Z`: sorts as text, and to the microsecond.
mod moment {
    use serde::{Deserializer, Serializer, de::Error as _};

    use super::{Deserialize, Duration, SystemTime};

    pub(super) fn serialize<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let microseconds = i64::try_from(since.as_micros()).unwrap_or_default();
        let moment = jiff::Timestamp::from_microsecond(microseconds).unwrap_or_default();
        serializer.collect_str(&format_args!("{moment:.6}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
        let moment = jiff::Timestamp::deserialize(deserializer)?;
        let microseconds = u64::try_from(moment.as_microsecond()).map_err(D::Error::custom)?;
        Ok(SystemTime::UNIX_EPOCH + Duration::from_micros(microseconds))
    }
}
