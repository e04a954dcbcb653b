//! The audit: one record per attempt, for people who were not there.
//!
//! Every attempt to reach a service leaves a line in `audit/NAME.jsonl`: which operation of which
//! connector asked for which route, what was decided and why, what came back. Records hold no secret:
//! addresses come without their query, texts are bounded and control characters escaped. The caller
//! only hands a record over; a thread writes (`writer`). No record is dropped: when the thread cannot
//! keep up the caller waits, and when the disk refuses the caller is told, so that nothing happens
//! unrecorded. What is read back, and summed up, is in `reader`; each record carries the hash of the
//! one before it (`chain`), so that `verify` finds what was changed since.

mod appender;
mod chain;
mod head;
mod reader;
mod record;
mod verify;
mod writer;

use std::{sync::Arc, time::Duration};

use self::writer::Writer;
pub use self::{
    reader::{Filter, Reader, RouteSummary, Summary},
    record::{Decision, Record, TEXT_BYTES_MAX, URL_BYTES_MAX},
    verify::{Anchor, FAULTS_MAX, Fault, Line, NotAnAnchor, Verified},
    writer::SYNC_INTERVAL,
};
use crate::{
    hint::Hint,
    home::{self, Home, Name},
    state::{self, State},
};

/// A file that is larger is put aside for a new one: some thirty thousand records.
pub const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Files kept of one destination, with the one that is written: 128 MiB at most. The oldest goes.
pub const FILES_MAX: u32 = 8;

/// What the audit can say.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// Records cannot be written, so nothing may be done that needs one.
    #[error("the audit of destination `{destination}` cannot be written")]
    Unwritable {
        /// Whose audit.
        destination: Name,
        /// Why.
        source: Arc<home::Error>,
    },
    /// Records cannot be read.
    #[error("the audit of destination `{destination}` cannot be read")]
    Unreadable {
        /// Whose audit.
        destination: Name,
        /// Why.
        source: Arc<home::Error>,
    },
    /// How far its chain went cannot be read.
    #[error("the end of the audit of destination `{destination}` cannot be looked up")]
    NoHead {
        /// Whose audit.
        destination: Name,
        /// Why.
        source: state::Error,
    },
    /// The writing thread is gone.
    #[error("the audit of destination `{0}` is closed")]
    Closed(Name),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Unwritable { source, .. } => {
                Some(source.hint().unwrap_or_else(|| "see that the disk of the home has space".to_owned()))
            }
            Self::Unreadable { source, .. } => source.hint(),
            Self::NoHead { source, .. } => source.hint(),
            Self::Closed(_) => None,
        }
    }
}

/// The audit of one destination, open to be written. Cheap to clone; the last one to go writes and
/// syncs what is left.
#[derive(Debug, Clone)]
pub struct Audit(Arc<Writer>);

impl Audit {
    /// Open the audit of a destination.
    ///
    /// # Errors
    /// When its file cannot be opened.
    pub fn open(home: &Home, state: &State, destination: &Name) -> Result<Self, Error> {
        Ok(Self(Arc::new(Writer::start(home.clone(), state.clone(), destination.clone())?)))
    }

    /// Add a record. It is in the file within milliseconds and on disk within [`SYNC_INTERVAL`].
    /// Waits for room when a thousand are waiting; a caller that is dropped meanwhile has added nothing.
    ///
    /// # Errors
    /// [`Error::Unwritable`] when the disk refuses; the record is then kept for as long as there is room.
    pub async fn append(&self, record: Record) -> Result<(), Error> {
        self.0.append(record).await
    }

    /// How many of the records that were added since the last time say that something was refused.
    pub(crate) fn take_denied(&self) -> u64 {
        self.0.take_denied()
    }

    /// Wait until everything added so far is on disk.
    ///
    /// # Errors
    /// [`Error::Unwritable`] when the disk refuses.
    pub async fn flush(&self) -> Result<(), Error> {
        self.0.flush().await
    }

    /// Read the audit of a destination, oldest record first.
    ///
    /// # Errors
    /// When a file cannot be opened.
    pub fn read(home: &Home, destination: &Name, filter: Filter) -> Result<Reader, Error> {
        Reader::open(home, destination, filter)
    }

    /// Is the audit of a destination what was written? With an anchor: does it hold that very record?
    ///
    /// # Errors
    /// When a file, or the database of the home, cannot be read. What does not fit is no error but told.
    pub fn verify(
        home: &Home,
        state: &State,
        destination: &Name,
        anchor: Option<Anchor>,
    ) -> Result<Verified, Error> {
        verify::verify(home, state, destination, anchor)
    }
}

/// The file that is written, or one that was put aside: the higher the number, the older.
fn file_name(destination: &Name, age: u32) -> String {
    match age {
        0 => format!("{destination}.jsonl"),
        age => format!("{destination}.jsonl.{age}"),
    }
}

/// How long the writer, or a reader, waits for another process that writes or puts files aside.
const LOCK_WAIT: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests;
