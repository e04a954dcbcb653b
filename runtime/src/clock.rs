//! Time, as an argument.
//!
//! Whatever waits or compares moments takes a [`Clock`], so that a test of a ten-minute storm takes
//! no ten minutes. Wall-clock time is what processes share (a pause of an account, a token's end);
//! within one process durations come from [`Clock::elapsed`], which never jumps.

use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;

/// A source of time.
pub trait Clock: Send + Sync + std::fmt::Debug {
    /// The wall clock.
    fn now(&self) -> SystemTime;
    /// Time since some fixed moment; never goes backwards.
    fn elapsed(&self) -> Duration;
    /// Wait.
    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()>;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: Instant,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { start: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
