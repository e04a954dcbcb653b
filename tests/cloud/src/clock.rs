//! The emulated time: the machine's, plus what a test has moved it forward.
//!
//! Everything that expires (tokens, sessions, download addresses, `Retry-After` windows, jobs)
//! asks this clock, so that a test sees an hour pass without waiting for it. Latency and trickling
//! are real time: they are about the network, not about what the service believes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::number;

/// A clock that can only be moved forward. Clones share the same time.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    ahead_ms: Arc<AtomicU64>,
}

impl Clock {
    /// The emulated now.
    pub fn now(&self) -> Timestamp {
        later(Timestamp::now(), self.ahead())
    }

    /// Moves the emulated time forward.
    pub fn advance(&self, by: Duration) {
        self.ahead_ms.fetch_add(number::millis(by), Ordering::SeqCst);
    }

    /// How far the emulated time is ahead of the machine's.
    pub fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead_ms.load(Ordering::SeqCst))
    }
}

/// `time` plus `by`, stopping at the end of representable time.
pub(crate) fn later(time: Timestamp, by: Duration) -> Timestamp {
    let by = SignedDuration::try_from(by).unwrap_or(SignedDuration::MAX);
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

/// `2026-11-21T10:00:00Z`: the precision of Dropbox and of OneDrive for business.
pub(crate) fn seconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// `2026-11-21T10:00:00.123Z`: the precision of some personal drives.
pub(crate) fn milliseconds(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_forward_for_every_clone() {
        let clock = Clock::default();
        let other = clock.clone();
        clock.advance(Duration::from_secs(3600));
        assert_eq!(other.ahead(), Duration::from_secs(3600));
        assert!(other.now().as_second() - Timestamp::now().as_second() >= 3599);
    }

    #[test]
    fn prints_both_precisions() {
        let time: Timestamp = "2026-11-21T10:00:00.1239Z".parse().unwrap();
        assert_eq!(seconds(time), "2026-11-21T10:00:00Z");
        assert_eq!(milliseconds(time), "2026-11-21T10:00:00.123Z");
    }
}
