//! Who was told to stay away, until when, and who came back too early.
//!
//! A service's `Retry-After` is about the whole account, not about the one request that got it:
//! whatever of that account arrives inside the window counts against the client.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::time::Duration;

use http::Method;
use http::header::RETRY_AFTER;
use jiff::Timestamp;

use crate::call::Call;
use crate::clock;
use crate::log::Service;
use crate::reply::Reply;
use crate::sync::lock;

/// Requests that were already on their way when the answer left are not counted: a client with
/// sixteen connections cannot call them back. Twenty milliseconds are many round trips on loopback.
/// A client may retry sooner than that (10 ms were seen), so the very request that was refused has
/// no grace when it comes again.
const GRACE: Duration = Duration::from_millis(20);
/// Refused requests of one window that are remembered.
const REFUSED_MAX: usize = 1000;

/// A window during which an account was asked to stay away.
#[derive(Clone, Debug)]
struct Window {
    from: Timestamp,
    until: Timestamp,
    /// Fingerprints of the requests that were refused.
    refused: Vec<u64>,
}

/// The windows of all accounts.
#[derive(Debug, Default)]
pub(crate) struct Pauses {
    windows: Mutex<HashMap<(Service, String), Window>>,
}

impl Pauses {
    /// Whether a request that arrives now comes too early.
    pub(crate) fn too_early(
        &self,
        service: Service,
        account: &str,
        print: Option<u64>,
        now: Timestamp,
    ) -> bool {
        let windows = lock(&self.windows);
        let window = windows.get(&(service, account.to_owned()));
        window.is_some_and(|window| {
            let again = print.is_some_and(|print| window.refused.contains(&print));
            now < window.until && (again || now >= window.from)
        })
    }

    /// Notes the `Retry-After` of an answer that is about to be sent.
    pub(crate) fn note(
        &self,
        service: Service,
        account: &str,
        print: Option<u64>,
        reply: &Reply,
        now: Timestamp,
    ) {
        let header = reply.headers.get(RETRY_AFTER);
        let seconds =
            header.and_then(|value| value.to_str().ok()).and_then(|value| value.trim().parse::<u64>().ok());
        let Some(seconds) = seconds else { return };
        let until = clock::later(now, Duration::from_secs(seconds));
        let mut windows = lock(&self.windows);
        let new = Window { from: clock::later(now, GRACE), until, refused: Vec::new() };
        let window = windows.entry((service, account.to_owned())).or_insert_with(|| new.clone());
        if now >= window.until {
            *window = new;
        }
        window.until = window.until.max(until);
        if window.refused.len() < REFUSED_MAX {
            window.refused.extend(print);
        }
    }

    /// Forgets every window.
    pub(crate) fn clear(&self) {
        lock(&self.windows).clear();
    }
}

/// What makes a request the same as another, where its head alone tells: a `POST` whose meaning is
/// in its body has none.
pub(crate) fn fingerprint(call: &Call) -> Option<u64> {
    let argument = call.header("dropbox-api-arg");
    if call.method == Method::POST && argument.is_none() {
        return None;
    }
    let mut hasher = DefaultHasher::new();
    let range = call.header("content-range");
    (call.method.as_str(), &call.host, &call.path, &call.query, range, argument).hash(&mut hasher);
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    #[test]
    fn counts_what_comes_inside_the_window() {
        let pauses = Pauses::default();
        let now = Timestamp::now();
        let at = |ms| clock::later(now, Duration::from_millis(ms));
        let reply = Reply::empty(StatusCode::TOO_MANY_REQUESTS).retry_after(2);
        pauses.note(Service::Onedrive, "a", Some(7), &reply, now);
        let early = |account, ms| pauses.too_early(Service::Onedrive, account, Some(8), at(ms));
        let again = |ms| pauses.too_early(Service::Onedrive, "a", Some(7), at(ms));
        assert!(again(5) && !again(2000));
        assert!(!early("a", 5), "already on its way");
        assert!(early("a", 50));
        assert!(early("a", 1999));
        assert!(!early("a", 2000));
        assert!(!early("b", 50));
    }
}
