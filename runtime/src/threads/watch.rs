//! What a destination's file says of threads, tasks and rates, while transfers run.
//!
//! The file is looked at now and then, and read again when it is another: an operator who is told by a
//! service to slow down should not have to stop a night's backup for it. A file that cannot be read, or
//! makes no sense, changes nothing.

use std::time::Duration;

use crate::destination::{self, Destination, Destinations, THREADS_DEFAULT};
use crate::home::Name;
use crate::rate::Rates;

/// How often the file is looked at; a look costs a microsecond.
const LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// What can be changed while transfers run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Live {
    pub(super) threads: u16,
    pub(super) tasks: u16,
    pub(super) rates: Rates,
}

impl Live {
    const fn fixed(threads: u16) -> Self {
        Self { threads, tasks: 0, rates: Rates::NONE }
    }
}

impl From<&Destination> for Live {
    fn from(destination: &Destination) -> Self {
        Self { threads: destination.threads, tasks: destination.tasks, rates: destination.rates }
    }
}

#[derive(Debug)]
pub(super) struct Watch {
    file: Option<destination::Watch>,
    looked: Option<Duration>,
    live: Live,
}

impl Watch {
    /// Watch the file of a destination.
    pub(super) fn new(destinations: &Destinations, name: &Name) -> Self {
        let (file, live) = match destinations.watch(name) {
            Ok((destination, file)) => (file, Live::from(&destination)),
            Err(_) => (destinations.watch_unwritten(name), Live::fixed(THREADS_DEFAULT)),
        };
        Self { file: Some(file), looked: None, live }
    }

    /// Nothing to watch.
    pub(super) const fn fixed(threads: u16) -> Self {
        Self { file: None, looked: None, live: Live::fixed(threads) }
    }

    /// What the file says, `now` by the clock of this process.
    pub(super) fn now(&mut self, now: Duration) -> Live {
        let is_due = self.looked.is_none_or(|looked| now.saturating_sub(looked) >= LOOK_INTERVAL);
        if let Some(file) = self.file.as_ref().filter(|_| is_due) {
            self.looked = Some(now);
            if let Some(Ok(destination)) = file.changed() {
                self.live = Live::from(&destination);
            }
        }
        self.live
    }
}
