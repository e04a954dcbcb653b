//! What the emulators were asked, one entry per request, without secrets.
//!
//! Tests assert on it: how many requests a copy took, that no `Authorization` reached an address
//! that must not see one, that nobody came back before `Retry-After` had passed, and that no
//! request was of a kind the emulators do not know. Queries are never kept, because they carry
//! tickets.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::sync::lock;

/// Entries kept in memory: a benchmark of 50,000 files with a few requests each, about 60 MB.
pub const LOG_ENTRIES_MAX: usize = 200_000;

/// Which service a request, a rule or an account belongs to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// Microsoft Graph and the hosts around it.
    #[default]
    Onedrive,
    /// Dropbox and the hosts around it.
    Dropbox,
    /// A request that belongs to neither.
    None,
}

/// One request as the emulators saw it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LogEntry {
    /// Counts from 1 in the order in which requests arrived.
    pub sequence: u64,
    /// Emulated time of arrival.
    pub time: Timestamp,
    /// Whose request it was.
    pub service: Service,
    /// What it was, such as `onedrive.session-part` or `dropbox.append`; `unknown` if nothing fits.
    pub kind: String,
    /// The host name it was sent to, without the port.
    pub host: String,
    /// The method.
    pub method: String,
    /// The decoded path without its query; tickets in it are replaced by `*`.
    pub path: String,
    /// The account it acted for, as far as its token or address told.
    pub account: Option<String>,
    /// The status of the reply; `None` if the connection was cut instead.
    pub status: Option<u16>,
    /// Bytes of the request body that arrived.
    pub request_bytes: u64,
    /// Bytes of the reply body that were handed to the network.
    pub response_bytes: u64,
    /// The fault that acted on it, by the rule's name or the action's.
    pub fault: Option<String>,
    /// `HTTP/1.1` or `HTTP/2.0`.
    pub version: String,
    /// Whether it carried an `Authorization` header.
    pub authorized: bool,
    /// Whether it carried one to an address that must not see it: a violation.
    pub leaked_authorization: bool,
    /// Its `User-Agent`.
    pub user_agent: Option<String>,
    /// Whether it came before a `Retry-After` given to its account had passed: a violation.
    pub too_early: bool,
    /// Whether it came inside a `$batch`.
    pub batched: bool,
    /// Real milliseconds from arrival to the head of the reply.
    pub elapsed_ms: u64,
}

/// How often something happened that should not have, and everything that happened by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Requests in all.
    pub requests: u64,
    /// Requests that came before a `Retry-After` had passed.
    pub too_early: u64,
    /// Requests with an `Authorization` header that must not have one.
    pub leaked_authorization: u64,
    /// Requests of a kind the emulators do not know.
    pub unknown: u64,
    /// Requests that a fault acted on.
    pub faulted: u64,
    /// Bytes of request bodies.
    pub request_bytes: u64,
    /// Bytes of reply bodies.
    pub response_bytes: u64,
    /// Requests by kind.
    pub kinds: BTreeMap<String, u64>,
}

/// The kind of a request that nothing here understands.
pub(crate) const UNKNOWN: &str = "unknown";

/// The request log.
#[derive(Clone, Debug)]
pub(crate) struct Log {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    next: AtomicU64,
    entries: Mutex<VecDeque<Record>>,
    file: Option<Mutex<std::fs::File>>,
}

#[derive(Debug)]
struct Record {
    entry: LogEntry,
    sent: Arc<AtomicU64>,
    received: Arc<AtomicU64>,
}

impl Record {
    fn snapshot(&self) -> LogEntry {
        let mut entry = self.entry.clone();
        entry.response_bytes = self.sent.load(Ordering::Relaxed);
        entry.request_bytes = self.received.load(Ordering::Relaxed);
        entry
    }
}

impl Log {
    /// A log in memory, and as JSON Lines in `file` if one is named.
    pub(crate) fn open(file: Option<&Path>) -> std::io::Result<Self> {
        let file = file.map(std::fs::File::create).transpose()?.map(Mutex::new);
        Ok(Self { inner: Arc::new(Inner { next: AtomicU64::new(1), entries: Mutex::default(), file }) })
    }

    /// The number of a request that has just arrived.
    pub(crate) fn number(&self) -> u64 {
        self.inner.next.fetch_add(1, Ordering::SeqCst)
    }

    /// Keeps an entry before its reply is sent, so that a client that has its answer finds it here.
    pub(crate) fn add(&self, entry: LogEntry, received: Arc<AtomicU64>) -> Meter {
        let record = Record { entry, sent: Arc::default(), received };
        let meter = Meter {
            log: Arc::clone(&self.inner),
            sequence: record.entry.sequence,
            sent: Arc::clone(&record.sent),
        };
        let mut entries = lock(&self.inner.entries);
        if entries.len() == LOG_ENTRIES_MAX {
            entries.pop_front();
        }
        entries.push_back(record);
        meter
    }

    pub(crate) fn entries(&self) -> Vec<LogEntry> {
        let mut entries: Vec<_> = lock(&self.inner.entries).iter().map(Record::snapshot).collect();
        entries.sort_by_key(|entry| entry.sequence);
        entries
    }

    pub(crate) fn clear(&self) {
        lock(&self.inner.entries).clear();
    }

    pub(crate) fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        for record in lock(&self.inner.entries).iter() {
            let entry = record.snapshot();
            summary.requests += 1;
            summary.too_early += u64::from(entry.too_early);
            summary.leaked_authorization += u64::from(entry.leaked_authorization);
            summary.unknown += u64::from(entry.kind == UNKNOWN);
            summary.faulted += u64::from(entry.fault.is_some());
            summary.request_bytes += entry.request_bytes;
            summary.response_bytes += entry.response_bytes;
            *summary.kinds.entry(entry.kind).or_default() += 1;
        }
        summary
    }
}

impl Inner {
    /// Writes the line of a request whose reply has ended.
    fn write(&self, sequence: u64) {
        let Some(file) = &self.file else { return };
        let entry = {
            let entries = lock(&self.entries);
            // The newest entries end first, so the search starts at the back.
            let found = entries.iter().rev().find(|record| record.entry.sequence == sequence);
            found.map(Record::snapshot)
        };
        if let Some(mut line) = entry.and_then(|entry| serde_json::to_vec(&entry).ok()) {
            line.push(b'\n');
            // A full disk must not fail the request that is being logged.
            let _ = lock(file).write_all(&line);
        }
    }
}

/// Counts the bytes of one reply; its line is written when it is dropped.
#[derive(Debug)]
pub(crate) struct Meter {
    log: Arc<Inner>,
    sequence: u64,
    sent: Arc<AtomicU64>,
}

impl Meter {
    pub(crate) fn sent(&self, bytes: u64) {
        self.sent.fetch_add(bytes, Ordering::Relaxed);
    }
}

impl Drop for Meter {
    fn drop(&mut self) {
        self.log.write(self.sequence);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_bytes_after_the_head_was_logged() {
        let log = Log::open(None).unwrap();
        let entry = LogEntry { sequence: log.number(), kind: UNKNOWN.to_owned(), ..LogEntry::default() };
        let meter = log.add(entry, Arc::default());
        meter.sent(5);
        assert_eq!(log.entries()[0].response_bytes, 5);
        let summary = log.summary();
        assert_eq!((summary.unknown, summary.requests), (1, 1));
        log.clear();
        assert!(log.entries().is_empty());
    }
}
