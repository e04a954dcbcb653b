//! The clocks of a guest: exact enough for a date and a deadline, too coarse to time a neighbour with.
//!
//! What a cache held, or how long another operation computed, shows in nanoseconds; a connector needs
//! none of them.

use std::time::{Duration, Instant, SystemTime};

use wasmtime_wasi::{HostMonotonicClock, HostWallClock};

/// The smallest step that a guest sees.
pub(super) const STEP: Duration = Duration::from_millis(1);

/// The time since the operation began, in whole steps.
#[derive(Debug)]
pub(super) struct Monotonic(Instant);

impl Monotonic {
    pub(super) fn new() -> Self {
        Self(Instant::now())
    }
}

impl HostMonotonicClock for Monotonic {
    fn resolution(&self) -> u64 {
        nanoseconds(STEP)
    }

    fn now(&self) -> u64 {
        nanoseconds(coarse(self.0.elapsed()))
    }
}

/// The date, in whole steps.
#[derive(Debug)]
pub(super) struct Wall;

impl HostWallClock for Wall {
    fn resolution(&self) -> Duration {
        STEP
    }

    fn now(&self) -> Duration {
        coarse(SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
    }
}

fn coarse(time: Duration) -> Duration {
    Duration::from_millis(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn guests_see_whole_milliseconds_only() {
        let clock = Monotonic::new();
        std::thread::sleep(Duration::from_micros(1500));
        for _ in 0..1000 {
            assert_eq!(clock.now() % clock.resolution(), 0);
            assert_eq!(Wall.now().subsec_nanos() % 1_000_000, 0);
        }
        assert!(clock.now() > 0);
    }
}
