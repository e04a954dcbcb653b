//! The threads that the host's own work runs on: brokering, hashing, what a guest computes in a moment.
//!
//! Whoever embeds this crate may use any threads of tokio's; these keep their promises to a destination
//! while the others around it break every rule.

use tokio::runtime::Builder;

/// Hashing and sending go side by side even on one core.
const THREADS_MIN: usize = 2;
/// More would wait for the same disk and the same line.
const THREADS_MAX: usize = 8;

/// Threads that move bytes, as many as this machine has cores, from 2 to 8.
#[must_use]
pub fn builder() -> Builder {
    let cores = std::thread::available_parallelism().map_or(THREADS_MIN, usize::from);
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(cores.clamp(THREADS_MIN, THREADS_MAX)).enable_all();
    builder
}
