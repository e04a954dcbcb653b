//! Locking without poisoning.
//!
//! A panicking test thread must not turn every later request into a second panic, so a poisoned
//! lock is taken over. No lock of this crate is held across I/O or an `await`.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Takes the lock, whoever held it before.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
