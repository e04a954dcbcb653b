//! What a guest has used: instructions and waiting, each against its own budget.
//!
//! A call into a guest is one future. The processor time that its thread spends inside its `poll` is
//! computing (not the time that passes: a busy machine must not be charged to a guest); what the host
//! computes for the guest inside (cleaning a reply, sealing handles) is taken off again. The time
//! between polls is waiting; what the host waits for (a permit, a pause, a moving body) is not charged.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use super::lane::{self, Credit, Work};
use super::limits::Limits;
use crate::figures::Counting;

/// Which budget a guest overdrew.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Overdrawn {
    /// Its instructions took too long.
    #[error("it computed for longer than {0:?}")]
    Cpu(Duration),
    /// It waited too long by itself.
    #[error("it waited for longer than {0:?} outside the host")]
    Wall(Duration),
}

/// Shared between the call and the host functions that run inside it.
#[derive(Debug)]
pub(super) struct Meter {
    /// Nanoseconds that the host computed inside the guest's polls.
    host_cpu: AtomicU64,
    /// Nanoseconds that passed inside host calls that wait for something of the host's.
    host_wall: AtomicU64,
    inside_host: AtomicBool,
    /// Nanoseconds that passed while the guest computed, whether or not it had the processor: on a busy
    /// machine it may not.
    turns_wall: AtomicU64,
    /// It computes, or would if it had the processor.
    computes: AtomicBool,
    counting: Counting,
}

impl Meter {
    pub(super) const fn new(counting: Counting) -> Self {
        Self {
            host_cpu: AtomicU64::new(0),
            host_wall: AtomicU64::new(0),
            inside_host: AtomicBool::new(false),
            turns_wall: AtomicU64::new(0),
            computes: AtomicBool::new(false),
            counting,
        }
    }

    /// What is left of the time that it may wait by itself. None while it does not: it is inside the host,
    /// or computes.
    fn left(&self, budget: Duration, elapsed: Duration) -> Option<Duration> {
        if self.inside_host.load(Ordering::Relaxed) || self.computes.load(Ordering::Relaxed) {
            return None;
        }
        let elsewhere = read(&self.host_wall).saturating_add(read(&self.turns_wall));
        Some(budget.saturating_sub(elapsed.saturating_sub(elsewhere)))
    }

    /// Run a host function; neither its computing nor its waiting is the guest's.
    pub(super) async fn host<F: Future>(self: &Arc<Self>, work: F) -> F::Output {
        let start = Instant::now();
        self.inside_host.store(true, Ordering::Relaxed);
        let done = Excused { meter: self, work: Box::pin(work) }.await;
        self.inside_host.store(false, Ordering::Relaxed);
        add(&self.host_wall, start.elapsed());
        done
    }
}

/// Less than nothing for a moment: what it is part of is added when it ends.
fn take(total: &AtomicU64, time: Duration) {
    total.fetch_sub(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

fn add(total: &AtomicU64, time: Duration) {
    total.fetch_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
}

/// Processor time of this thread so far.
fn thread_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanoseconds = u64::try_from(time.tv_nsec).unwrap_or_default();
    Duration::from_secs(seconds).saturating_add(Duration::from_nanos(nanoseconds))
}

fn read(total: &AtomicU64) -> Duration {
    Duration::from_nanos(total.load(Ordering::Relaxed))
}

struct Excused<'m, F> {
    meter: &'m Meter,
    work: Pin<Box<F>>,
}

impl<F: Future> Future for Excused<'_, F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<F::Output> {
        let (start, wall) = (thread_time(), Instant::now());
        let polled = self.work.as_mut().poll(context);
        add(&self.meter.host_cpu, thread_time().saturating_sub(start));
        // The turn that this is part of counts it; and what the host took is counted as that already.
        take(&self.meter.turns_wall, wall.elapsed());
        polled
    }
}

/// Run a call of a guest within its budgets. Dropping the call is what ends the guest: its instance
/// is not to be used again.
pub(super) async fn within<F>(
    limits: &Limits,
    meter: Arc<Meter>,
    credit: Arc<Credit>,
    call: Pin<Box<F>>,
) -> Result<F::Output, Overdrawn>
where
    F: Future<Output: Send> + Send + 'static,
{
    let start = Instant::now();
    let metered = Metered { cpu: limits.cpu, meter: Arc::clone(&meter), used: Duration::ZERO, call };
    tokio::select! {
        done = lane::run(metered, credit) => done,
        () = waited(limits.wall, &meter, start) => Err(Overdrawn::Wall(limits.wall)),
    }
}

/// Resolves when the guest has spent its wall-clock budget outside the host.
async fn waited(budget: Duration, meter: &Meter, start: Instant) {
    loop {
        if let Some(left) = meter.left(budget, start.elapsed()) {
            if left.is_zero() {
                return;
            }
            tokio::time::sleep(left).await;
            continue;
        }
        // Inside a host call, and while it computes, the clock stands still: look again in a while, a
        // twentieth of the budget being as exact as a bound on idling needs to be.
        tokio::time::sleep(budget / 20).await;
    }
}

struct Metered<F> {
    cpu: Duration,
    meter: Arc<Meter>,
    used: Duration,
    call: Pin<Box<F>>,
}

impl<F> Metered<F> {
    fn guests(&self) -> Duration {
        self.used.saturating_sub(read(&self.meter.host_cpu))
    }
}

impl<F> Drop for Metered<F> {
    fn drop(&mut self) {
        self.meter.counting.computed(self.guests());
    }
}

impl<F> Work for Metered<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    fn computed(&self) -> Duration {
        self.guests()
    }

    fn waits(&self) -> bool {
        self.meter.inside_host.load(Ordering::Relaxed)
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = Result<F::Output, Overdrawn>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let (start, wall) = (thread_time(), Instant::now());
        self.meter.computes.store(true, Ordering::Relaxed);
        let polled = self.call.as_mut().poll(context);
        self.used = self.used.saturating_add(thread_time().saturating_sub(start));
        add(&self.meter.turns_wall, wall.elapsed());
        self.meter.computes.store(false, Ordering::Relaxed);
        match polled {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending if self.guests() > self.cpu => Poll::Ready(Err(Overdrawn::Cpu(self.cpu))),
            Poll::Pending => Poll::Pending,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::registry::Digest;

    #[test]
    fn what_computes_or_is_in_the_host_does_not_wait() {
        let meter = Arc::new(Meter::new(Counting::new(Digest::of(b""))));
        let second = Duration::from_secs(1);
        assert_eq!(meter.left(9 * second, 4 * second), Some(5 * second));
        // Two of the four seconds it would have computed, one it was in the host.
        add(&meter.turns_wall, 2 * second);
        add(&meter.host_wall, second);
        assert_eq!(meter.left(9 * second, 4 * second), Some(8 * second));
        assert_eq!(meter.left(second, 4 * second), Some(Duration::ZERO));
        for inside in [&meter.inside_host, &meter.computes] {
            inside.store(true, Ordering::Relaxed);
            assert_eq!(meter.left(second, 4 * second), None);
            inside.store(false, Ordering::Relaxed);
        }
    }
}
