//! Threads: how many operations a destination may have in flight.
//!
//! One operation holds one [`Permit`] from the queue to its last byte: a download's permit moves into
//! the body that is read after the call has returned. Waiting for a permit costs neither the guest's
//! clock nor a retry.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The threads of one destination.
#[derive(Debug, Clone)]
pub struct Threads {
    semaphore: Arc<Semaphore>,
    limit: usize,
}

/// The right to run one operation, given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    _permit: Option<OwnedSemaphorePermit>,
}

impl Threads {
    /// This many operations at once; at least one.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let limit = limit.max(1);
        Self { semaphore: Arc::new(Semaphore::new(limit)), limit }
    }

    /// How many there are.
    #[must_use]
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// How many are free at this moment.
    #[must_use]
    pub fn free(&self) -> usize {
        self.semaphore.available_permits()
    }

    /// Wait for one, first come, first served.
    pub async fn permit(&self) -> Permit {
        // The semaphore is never closed, so there is always a permit to come.
        Permit { _permit: Arc::clone(&self.semaphore).acquire_owned().await.ok() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_permit_returns_when_it_is_dropped() {
        let threads = Threads::new(2);
        let first = threads.permit().await;
        let second = threads.permit().await;
        assert_eq!(threads.free(), 0);
        drop(first);
        assert_eq!(threads.free(), 1);
        let third = threads.permit().await;
        drop((second, third));
        assert_eq!(threads.free(), 2);
    }
}
