//! Everything one run of the emulators shares.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::clock::Clock;
use crate::dropbox::Dropbox;
use crate::fault::Faults;
use crate::log::Log;
use crate::number;
use crate::onedrive::OneDrive;
use crate::pause::Pauses;
use crate::sync::lock;

/// Hosts remembered by the proxy.
const PROXIED_MAX: usize = 100_000;

/// The shared state of one run.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) clock: Clock,
    pub(crate) log: Log,
    pub(crate) faults: Faults,
    pub(crate) pauses: Pauses,
    pub(crate) onedrive: OneDrive,
    pub(crate) dropbox: Dropbox,
    latency_ms: AtomicU64,
    proxied: Mutex<Vec<String>>,
    /// Held by each connection to a service, and by each request that is carried out.
    under_way: Arc<()>,
}

impl World {
    pub(crate) fn new(
        clock: Clock,
        log: Log,
        onedrive: OneDrive,
        dropbox: Dropbox,
        latency: Duration,
    ) -> Self {
        Self {
            clock,
            log,
            faults: Faults::default(),
            pauses: Pauses::default(),
            onedrive,
            dropbox,
            latency_ms: AtomicU64::new(number::millis(latency)),
            proxied: Mutex::default(),
            under_way: Arc::default(),
        }
    }

    /// What is under way is counted until this is dropped.
    pub(crate) fn under_way(&self) -> Arc<()> {
        Arc::clone(&self.under_way)
    }

    /// No connection is open and no request carried out.
    pub(crate) fn is_quiet(&self) -> bool {
        Arc::strong_count(&self.under_way) == 1
    }

    /// How long every request waits before anything happens.
    pub(crate) fn latency(&self) -> Duration {
        Duration::from_millis(self.latency_ms.load(Ordering::Relaxed))
    }

    pub(crate) fn set_latency(&self, latency: Duration) {
        self.latency_ms.store(number::millis(latency), Ordering::Relaxed);
    }

    /// Forgets the log, the `Retry-After` windows and what throttling has counted.
    pub(crate) fn forget(&self) {
        self.log.clear();
        self.pauses.clear();
        self.onedrive.meter.clear();
    }

    /// Notes a host that was asked for through the proxy.
    pub(crate) fn note_proxied(&self, target: &str) {
        let mut proxied = lock(&self.proxied);
        if proxied.len() < PROXIED_MAX {
            proxied.push(target.to_owned());
        }
    }

    /// Every host that was asked for through the proxy, in order.
    pub(crate) fn proxied(&self) -> Vec<String> {
        lock(&self.proxied).clone()
    }
}
