//! Whether a destination's file is still the one that was read.
//!
//! Grants can be taken back while a transfer runs, in another process or in an editor, so the file is
//! looked at before each request: one call of the system, and it is read again only when what that call
//! says has changed. A file in the making cannot be read; then nothing is allowed until it can.

use std::sync::{Mutex, PoisonError};

use super::{Destination, Destinations, Error};
use crate::home::{Name, Stamp};

/// Tells when a destination's file has changed.
#[derive(Debug)]
pub struct Watch {
    destinations: Destinations,
    name: Name,
    /// Of the file that was read last; none when it was not there.
    seen: Mutex<Option<Stamp>>,
}

impl Watch {
    /// From now on. What is read afterwards is at least as new.
    pub(super) fn new(destinations: Destinations, name: Name) -> Self {
        let seen = Mutex::new(destinations.stamp(&name));
        Self { destinations, name, seen }
    }

    /// What the file says now, if it is not the one that was seen last.
    #[must_use]
    pub fn changed(&self) -> Option<Result<Destination, Error>> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let now = self.destinations.stamp(&self.name);
        if *seen == now {
            return None;
        }
        *seen = now;
        Some(self.destinations.load(&self.name))
    }
}
