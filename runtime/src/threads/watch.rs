//! What a destination's file says of threads, tasks and rates, while transfers run.
//!
//! The file is looked at now and then, and read again when it is another: an operator who is told by a
//! service to slow down should not have to stop a night's backup for it. A file that cannot be read, or
//! makes no sense, changes nothing.

use std::time::Duration;

use crate::destination::{Destination, Destinations, THREADS_DEFAULT};
use crate::home::{Name, Stamp};
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

impl From<&Destination> for Live {
    fn from(destination: &Destination) -> Self {
        Self { threads: destination.threads, tasks: destination.tasks, rates: destination.rates }
    }
}

#[derive(Debug)]
pub(super) struct Watch {
    file: Option<(Destinations, Name)>,
    stamp: Option<Stamp>,
    looked: Option<Duration>,
    live: Live,
}

impl Watch {
    /// Watch the file of a destination.
    pub(super) fn new(destinations: Destinations, name: Name) -> Self {
        Self { file: Some((destinations, name)), ..Self::fixed(THREADS_DEFAULT) }
    }

    /// Nothing to watch.
    pub(super) const fn fixed(threads: u16) -> Self {
        Self { file: None, stamp: None, looked: None, live: Live { threads, tasks: 0, rates: Rates::NONE } }
    }

    /// What the file says, `now` by the clock of this process.
    pub(super) fn now(&mut self, now: Duration) -> Live {
        let is_due = self.looked.is_none_or(|looked| now.saturating_sub(looked) >= LOOK_INTERVAL);
        if let Some((destinations, name)) = self.file.as_ref().filter(|_| is_due) {
            self.looked = Some(now);
            let stamp = destinations.stamp(name);
            if stamp.is_some()
                && stamp != self.stamp
                && let Ok(destination) = destinations.load(name)
            {
                self.stamp = stamp;
                self.live = Live::from(&destination);
            }
        }
        self.live
    }
}
