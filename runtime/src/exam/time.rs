//! A clock for examinations: waiting takes no time, and moves it on.
//!
//! A service that asks for ten minutes of patience is waited for as always, and the examination does not
//! last longer for it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use futures_util::future::BoxFuture;

use crate::clock::Clock;

/// Time that passes by itself, and by whatever is waited for.
#[derive(Debug)]
pub(super) struct Leaping {
    start: Instant,
    began: SystemTime,
    /// In nanoseconds.
    leapt: std::sync::Arc<AtomicU64>,
}

impl Default for Leaping {
    fn default() -> Self {
        Self { start: Instant::now(), began: SystemTime::now(), leapt: std::sync::Arc::default() }
    }
}

impl Leaping {
    /// Let time pass.
    pub(super) fn leap(&self, time: Duration) {
        add(&self.leapt, time);
    }
}

fn add(leapt: &AtomicU64, time: Duration) {
    leapt.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX / 4), Ordering::Relaxed);
}

impl Clock for Leaping {
    fn now(&self) -> SystemTime {
        self.began.checked_add(self.elapsed()).unwrap_or(self.began)
    }

    fn elapsed(&self) -> Duration {
        self.start.elapsed().saturating_add(Duration::from_nanos(self.leapt.load(Ordering::Relaxed)))
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        let leapt = std::sync::Arc::clone(&self.leapt);
        Box::pin(async move {
            add(&leapt, duration);
            // Whoever else is at work comes first, as if it had taken some time.
            tokio::task::yield_now().await;
        })
    }
}
