//! Reading records back.
//!
//! A reader opens all files of a destination at once, under the audit lock, so that none is put aside
//! under it; then it streams, oldest first. A line that is torn (a process was killed while writing)
//! or that nobody here understands is counted, not an error.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead, BufReader, Read},
    sync::Arc,
    time::SystemTime,
};

use serde::Serialize;

use super::{Decision, Error, FILES_MAX, LOCK_WAIT, Record, file_name};
use crate::home::{self, Home, Name, Subject};

/// Longest line that is read: a record with every text at its bound is half of this.
const LINE_BYTES_MAX: u64 = 16 * 1024;

/// Which records are wanted. The default is all of them.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Not before this moment.
    pub since: Option<SystemTime>,
    /// Before this moment.
    pub until: Option<SystemTime>,
    /// Of this operation of this process.
    pub operation: Option<(u32, u64)>,
    /// Of this route.
    pub route: Option<String>,
    /// With one of these decisions; all when empty.
    pub decisions: Vec<Decision>,
}

impl Filter {
    fn wants(&self, record: &Record) -> bool {
        self.since.is_none_or(|since| record.time >= since)
            && self.until.is_none_or(|until| record.time < until)
            && self.operation.is_none_or(|wanted| wanted == (record.process, record.operation_id))
            && self.route.as_deref().is_none_or(|route| *record.route == *route)
            && (self.decisions.is_empty() || self.decisions.contains(&record.decision))
    }
}

/// The records of a destination, oldest first.
#[derive(Debug)]
pub struct Reader {
    destination: Name,
    files: std::vec::IntoIter<File>,
    current: Option<BufReader<File>>,
    filter: Filter,
    line: Vec<u8>,
    skipped: u64,
}

impl Reader {
    pub(super) fn open(home: &Home, destination: &Name, filter: Filter) -> Result<Self, Error> {
        let open = || {
            let _lock = home.lock(&Subject::Audit(destination.clone()), LOCK_WAIT)?;
            let mut files = Vec::new();
            for age in (0..FILES_MAX).rev() {
                if let Some(file) = home.audit().open_to_read(&file_name(destination, age))? {
                    files.push(file.into_std());
                }
            }
            Ok::<_, home::Error>(files)
        };
        let files = open().map_err(|error| unreadable(destination, error))?;
        let destination = destination.clone();
        Ok(Self {
            destination,
            files: files.into_iter(),
            current: None,
            filter,
            line: Vec::new(),
            skipped: 0,
        })
    }

    /// How many lines could not be understood so far.
    #[must_use]
    pub const fn skipped(&self) -> u64 {
        self.skipped
    }

    /// Sum up all (remaining) records.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn summary(mut self) -> Result<Summary, Error> {
        let mut summary = Summary::default();
        for record in self.by_ref() {
            summary.add(&record?);
        }
        summary.skipped = self.skipped;
        Ok(summary)
    }

    /// The next line of any file into `self.line`; false at the end of the last.
    fn next_line(&mut self) -> std::io::Result<bool> {
        loop {
            if self.current.is_none() {
                self.current = self.files.next().map(|file| BufReader::with_capacity(64 * 1024, file));
            }
            let Some(file) = &mut self.current else { return Ok(false) };
            self.line.clear();
            let read = file.by_ref().take(LINE_BYTES_MAX).read_until(b'\n', &mut self.line)?;
            if read > 0 {
                return Ok(true);
            }
            self.current = None;
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Record, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.next_line() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(source) => {
                    self.current = None;
                    let path = file_name(&self.destination, 0).into();
                    let error = home::Error::Io { doing: "read", path, source };
                    return Some(Err(unreadable(&self.destination, error)));
                }
            }
            match serde_json::from_slice::<Record>(&self.line) {
                Ok(record) if self.filter.wants(&record) => return Some(Ok(record)),
                Ok(_) => {}
                Err(_) => self.skipped += 1,
            }
        }
    }
}

/// What was asked of a service, summed up.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// The first record's moment, as text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<jiff::Timestamp>,
    /// The last one's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<jiff::Timestamp>,
    /// By operation and route.
    pub routes: Vec<RouteSummary>,
    /// Lines that could not be understood.
    pub skipped: u64,
    #[serde(skip)]
    places: BTreeMap<(Arc<str>, Arc<str>), usize>,
}

/// What was asked through one route for one kind of operation.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct RouteSummary {
    /// The operation.
    pub operation: Arc<str>,
    /// The route.
    pub route: Arc<str>,
    /// Attempts that were sent.
    pub attempts: u64,
    /// Requests that were refused here.
    pub denied: u64,
    /// Attempts that were followed by another.
    pub retried: u64,
    /// Attempts after which the service asked for a pause.
    pub paused: u64,
    /// Requests that were given up.
    pub gave_up: u64,
    /// Attempts without an answer.
    pub failed: u64,
    /// Answers by the first digit of their status; the first place is for those below 200.
    pub statuses: [u64; 5],
    /// Bytes of body that were sent.
    pub request_bytes: u64,
    /// Bytes of body that came back.
    pub response_bytes: u64,
    /// Time of all attempts together, in microseconds.
    pub elapsed_us: u64,
    /// Of the longest one.
    pub elapsed_us_max: u64,
}

impl Summary {
    fn add(&mut self, record: &Record) {
        let moment = jiff::Timestamp::try_from(record.time).ok();
        self.first = [self.first, moment].into_iter().flatten().min();
        self.last = self.last.max(moment);
        let key = (Arc::clone(&record.operation), Arc::clone(&record.route));
        let place = *self.places.entry(key).or_insert(self.routes.len());
        if place == self.routes.len() {
            let (operation, route) = (Arc::clone(&record.operation), Arc::clone(&record.route));
            self.routes.push(RouteSummary { operation, route, ..RouteSummary::default() });
        }
        if let Some(route) = self.routes.get_mut(place) {
            route.add(record);
        }
    }
}

impl RouteSummary {
    fn add(&mut self, record: &Record) {
        let sent = record.attempt > 0;
        self.attempts += u64::from(sent);
        self.failed += u64::from(record.failure.is_some());
        match record.decision {
            Decision::Allowed => {}
            Decision::Denied => self.denied += 1,
            Decision::Retried => self.retried += 1,
            Decision::Paused => self.paused += 1,
            Decision::GaveUp => self.gave_up += 1,
        }
        let class = record.status.map(|status| usize::from((status / 100).saturating_sub(1)).min(4));
        if let Some(count) = class.and_then(|class| self.statuses.get_mut(class)) {
            *count += 1;
        }
        self.request_bytes = self.request_bytes.saturating_add(record.request_bytes);
        self.response_bytes = self.response_bytes.saturating_add(record.response_bytes);
        self.elapsed_us = self.elapsed_us.saturating_add(record.elapsed_us);
        self.elapsed_us_max = self.elapsed_us_max.max(record.elapsed_us);
    }
}

fn unreadable(destination: &Name, error: home::Error) -> Error {
    Error::Unreadable { destination: destination.clone(), source: Arc::new(error) }
}
