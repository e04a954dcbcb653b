//! The queue that trees are walked with.
//!
//! Folders and files are jobs on one stack: whoever takes a folder puts what is in it on top, so a
//! tree is walked depth first and the stack holds little more than the siblings on the way down. As
//! many workers take jobs as the destination has threads; the walk ends when nobody has one and none
//! is left.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::Notify;

/// Jobs that wait, and how many are being done.
pub(crate) struct Work<J> {
    state: Mutex<State<J>>,
    changed: Notify,
}

struct State<J> {
    waiting: Vec<J>,
    /// Jobs for when all others are done.
    last: Vec<J>,
    /// Jobs that were taken and not yet finished: they may still add some.
    taken: usize,
}

impl<J> Work<J> {
    /// Begin with one job.
    pub(crate) fn new(first: J) -> Self {
        Self {
            state: Mutex::new(State { waiting: vec![first], last: Vec::new(), taken: 0 }),
            changed: Notify::new(),
        }
    }

    /// Add jobs; the last is taken first.
    pub(crate) fn add(&self, jobs: impl IntoIterator<Item = J>) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).waiting.extend(jobs);
        self.changed.notify_waiters();
    }

    /// Add a job for when all others are done.
    pub(crate) fn add_last(&self, job: J) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).last.push(job);
    }

    /// Do all jobs, `workers` at a time, until none is left.
    pub(crate) async fn run<F: Future<Output = ()>>(&self, workers: usize, job: impl Fn(J) -> F) {
        let worker = || async {
            while let Some(next) = self.take().await {
                job(next).await;
                self.finish();
            }
        };
        // Who is woken is looked at, and not all the others with it.
        let mut workers: FuturesUnordered<_> = (0..workers.max(1)).map(|_| worker()).collect();
        while workers.next().await.is_some() {}
    }

    async fn take(&self) -> Option<J> {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // Listen before looking, or a change in between would be missed.
            changed.as_mut().enable();
            {
                let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
                if state.taken == 0 && state.waiting.is_empty() {
                    state.waiting = std::mem::take(&mut state.last);
                    self.changed.notify_waiters();
                }
                if let Some(job) = state.waiting.pop() {
                    state.taken = state.taken.saturating_add(1);
                    return Some(job);
                }
                if state.taken == 0 {
                    return None;
                }
            }
            changed.await;
        }
    }

    fn finish(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.taken = state.taken.saturating_sub(1);
        if state.taken == 0 && state.waiting.is_empty() {
            self.changed.notify_waiters();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn jobs_may_add_jobs_and_all_are_done() {
        let work = Work::new(4_u32);
        let done = AtomicU32::new(0);
        work.run(3, async |depth| {
            tokio::task::yield_now().await;
            if depth > 0 {
                work.add([depth - 1, depth - 1]);
            }
            done.fetch_add(1, Ordering::Relaxed);
        })
        .await;
        assert_eq!(done.into_inner(), 31);
    }

    #[tokio::test]
    async fn the_last_jobs_wait_for_all_others() {
        let work = Work::new(3_u32);
        let done = Mutex::new(Vec::new());
        work.run(4, async |job| {
            if job == 3 {
                work.add_last(0);
                work.add_last(0);
                work.add([1, 2]);
            }
            tokio::task::yield_now().await;
            done.lock().unwrap().push(job);
        })
        .await;
        let mut done = done.into_inner().unwrap();
        assert_eq!(done.split_off(3), [0, 0]);
        // The others are done side by side.
        done.sort_unstable();
        assert_eq!(done, [1, 2, 3]);
    }
}
