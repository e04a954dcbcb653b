//! What a guest has used: instructions and waiting, each against its own budget.
//!
//! A call into a guest is one future. Its turns are what its thread spends inside its `poll`, up to where
//! the guest calls the host and from where the host returns; the processor time of a turn is computing
//! (not the time that passes: a busy machine must not be charged to a guest). The time between turns is
//! waiting; what the host does and waits for (a permit, a pause, a moving body) is not charged.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
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
    started: Instant,
    /// Nanoseconds that the guest computed.
    cpu: AtomicU64,
    /// Nanoseconds that passed inside host calls that wait for something of the host's.
    host_wall: AtomicU64,
    /// Nanoseconds that passed while the guest computed, whether or not it had the processor: on a busy
    /// machine it may not.
    turns_wall: AtomicU64,
    inside_host: AtomicBool,
    /// How often it was.
    asked: AtomicU32,
    /// It computes, or would if it had the processor.
    computes: AtomicBool,
    /// When the turn began that it computes in: by its thread's processor time, and since `started`, in
    /// nanoseconds.
    turn: (AtomicU64, AtomicU64),
    counting: Counting,
}

impl Meter {
    pub(super) fn new(counting: Counting) -> Self {
        Self {
            started: Instant::now(),
            cpu: AtomicU64::new(0),
            host_wall: AtomicU64::new(0),
            turns_wall: AtomicU64::new(0),
            inside_host: AtomicBool::new(false),
            asked: AtomicU32::new(0),
            computes: AtomicBool::new(false),
            turn: (AtomicU64::new(0), AtomicU64::new(0)),
            counting,
        }
    }

    /// What is left of the time that it may wait by itself. None while it does not: it is inside the host,
    /// or computes.
    fn left(&self, budget: Duration, elapsed: Duration) -> Option<Duration> {
        if self.inside_host.load(Ordering::Acquire) || self.computes.load(Ordering::Acquire) {
            return None;
        }
        let elsewhere = read(&self.host_wall).saturating_add(read(&self.turns_wall));
        Some(budget.saturating_sub(elapsed.saturating_sub(elsewhere)))
    }

    /// Run a host function; neither its computing nor its waiting is the guest's.
    pub(super) async fn host<F: Future>(&self, work: F) -> F::Output {
        // Whoever looks in between, from another thread, must not find it waiting: one of the two is told
        // before the other is taken back, and what passed before that.
        self.inside_host.store(true, Ordering::Release);
        let start = self.end_turn();
        self.asked.fetch_add(1, Ordering::Relaxed);
        let done = work.await;
        let end = self.begin_turn();
        add(&self.host_wall, end.saturating_sub(start));
        self.inside_host.store(false, Ordering::Release);
        done
    }

    /// The guest computes, on this thread until the turn ends. Returns when that is.
    fn begin_turn(&self) -> Duration {
        let now = self.started.elapsed();
        self.turn.0.store(nanoseconds(thread_time()), Ordering::Relaxed);
        self.turn.1.store(nanoseconds(now), Ordering::Relaxed);
        self.computes.store(true, Ordering::Release);
        now
    }

    /// It computes no more. Returns when that is.
    fn end_turn(&self) -> Duration {
        let now = self.started.elapsed();
        add(&self.cpu, thread_time().saturating_sub(read(&self.turn.0)));
        add(&self.turns_wall, now.saturating_sub(read(&self.turn.1)));
        self.computes.store(false, Ordering::Release);
        now
    }
}

fn add(total: &AtomicU64, time: Duration) {
    total.fetch_add(nanoseconds(time), Ordering::Relaxed);
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
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
    let metered = Metered { cpu: limits.cpu, meter: Arc::clone(&meter), call };
    tokio::select! {
        done = lane::run(metered, credit) => done,
        () = waited(limits.wall, &meter) => Err(Overdrawn::Wall(limits.wall)),
    }
}

/// Resolves when the guest has spent its wall-clock budget outside the host.
async fn waited(budget: Duration, meter: &Meter) {
    loop {
        if let Some(left) = meter.left(budget, meter.started.elapsed()) {
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
    call: Pin<Box<F>>,
}

impl<F> Drop for Metered<F> {
    fn drop(&mut self) {
        self.meter.counting.computed(read(&self.meter.cpu));
    }
}

impl<F> Work for Metered<F>
where
    F: Future<Output: Send> + Send + 'static,
{
    fn computed(&self) -> Duration {
        read(&self.meter.cpu)
    }

    fn waits(&self) -> bool {
        self.meter.inside_host.load(Ordering::Relaxed)
    }

    fn asked(&self) -> u32 {
        self.meter.asked.load(Ordering::Relaxed)
    }
}

impl<F: Future> Future for Metered<F> {
    type Output = Result<F::Output, Overdrawn>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        // What the host was asked for goes on first, and is not the guest's.
        if !self.meter.inside_host.load(Ordering::Relaxed) {
            self.meter.begin_turn();
        }
        let polled = self.call.as_mut().poll(context);
        if !self.meter.inside_host.load(Ordering::Relaxed) {
            self.meter.end_turn();
        }
        match polled {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending if read(&self.meter.cpu) > self.cpu => Poll::Ready(Err(Overdrawn::Cpu(self.cpu))),
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
