//! The pause that a service asked an account for.
//!
//! It is one number in a file, a moment in milliseconds, so that looking before every attempt costs
//! one read of the page cache and every process sees it at once. It only ever grows; a value further
//! ahead than any pause may be is not a pause but damage, or a clock that was set back, and is ignored.

use std::{
    fs::File,
    os::unix::fs::FileExt,
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use super::Error;
use crate::{
    clock::Clock,
    home::{Folder, lock_now},
};

/// Longest pause that a service can impose; what asks for more is asked again after this.
pub const PAUSE_MAX: Duration = Duration::from_hours(1);

/// While waiting, how often another process's longer pause is looked for.
const PAUSE_POLL: Duration = Duration::from_secs(1);

/// How often a writer tries to be alone with the file, a millisecond apart. Writers hold it for
/// microseconds; one that was stopped in between must not stop the others.
const LOCK_TRIES: u32 = 100;

/// The account is paused for longer than the caller can wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the service asked the account to pause for {} s more", .remaining.as_secs())]
pub struct Paused {
    /// When it ends.
    pub until: SystemTime,
    /// How long that is from now.
    pub remaining: Duration,
}

/// What a pause is told to, upwards: one that ended a part of it early would be too short.
const STEP: Duration = Duration::from_millis(1);

#[derive(Debug)]
pub(super) struct Pause {
    file: File,
    /// Among the threads of this process, for which the lock on the file is one and the same.
    writing: Mutex<()>,
}

impl Pause {
    pub(super) fn open(folder: &Folder, name: &str) -> Result<Self, Error> {
        Ok(Self { file: folder.open_in_place(name)?.into_std(), writing: Mutex::default() })
    }

    /// Until when, if it is not over.
    pub(super) fn until(&self, now: SystemTime) -> Option<SystemTime> {
        let mut bytes = [0; 8];
        // A file that cannot be read holds no pause: the service will ask again.
        self.file.read_exact_at(&mut bytes, 0).ok()?;
        let until = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(u64::from_le_bytes(bytes)))?;
        let remaining = until.duration_since(now).ok()?;
        (!remaining.is_zero() && remaining <= PAUSE_MAX + STEP).then_some(until)
    }

    /// Pause until then, unless a longer pause stands.
    pub(super) fn extend(&self, until: SystemTime, now: SystemTime) {
        let until = until.min(now + PAUSE_MAX);
        let _writing = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        let alone = (0..LOCK_TRIES).any(|_| {
            let alone = lock_now(&self.file).unwrap_or(true);
            if !alone {
                std::thread::sleep(Duration::from_millis(1));
            }
            alone
        });
        if self.until(now).is_none_or(|standing| standing < until) {
            let nanoseconds = until.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
            let milliseconds = nanoseconds.div_ceil(STEP.as_nanos());
            let bytes = u64::try_from(milliseconds).unwrap_or(u64::MAX).to_le_bytes();
            // Eight bytes within a page of a small file; if even that fails, only the others miss it.
            if let Err(error) = self.file.write_all_at(&bytes, 0) {
                tracing::warn!(%error, "a pause could not be shared with other processes");
            }
        }
        if alone {
            self.file.unlock().unwrap_or_default();
        }
    }

    /// Wait until no pause stands; give up at once when that would take until after `deadline`
    /// (a moment of [`Clock::elapsed`]). Returns how long was waited.
    pub(super) async fn wait(&self, clock: &dyn Clock, deadline: Duration) -> Result<Duration, Paused> {
        let start = clock.elapsed();
        loop {
            let now = clock.now();
            let Some(until) = self.until(now) else { return Ok(clock.elapsed().saturating_sub(start)) };
            let remaining = until.duration_since(now).unwrap_or_default();
            if clock.elapsed() + remaining > deadline {
                return Err(Paused { until, remaining });
            }
            clock.sleep(remaining.min(PAUSE_POLL)).await;
        }
    }
}
