//! Which thread a guest computes on.
//!
//! Most calls into a guest compute for microseconds and then wait for a service: they run where the
//! host's own work runs, which costs nothing. One that goes on computing is moved to a thread of its own
//! at a low priority, so that what others wait for (a reply that has come, another destination's
//! call) is never behind it; and a connector that computes much of the time begins there. On an idle
//! machine such a guest loses nothing. See `runtime/decisions/0060`. And one that asks again and again goes
//! where its connection is: see `runtime/decisions/0061`.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tracing::Instrument as _;

/// Processor time without waiting for anything, after which a call is moved: two hundred times what one of
/// ours takes from one request to the next.
const SHORT: Duration = Duration::from_millis(2);
/// Processor time that a connector has in hand after it was quiet.
const CREDIT_MAX: Duration = Duration::from_millis(100);
/// A connector earns this part of the time that passes, one in how many: four small files at once keep
/// below it.
const EARNED_PART: u32 = 2;
/// The request from which on a call goes on beside its connection. Most make one: theirs is under way before
/// anything could be moved, and what comes after it is little.
const ASKED_OFTEN: u32 = 2;
/// The stack of a thread, in bytes: guests have stacks of their own, and what the host does for them
/// inside a call runs on those.
const STACK_BYTES: usize = 512 * 1024;
/// How far behind others: by the scheduler's weights it has a tenth of the share of whoever else computes.
/// The most there is, 19, would leave it a seventieth, and a neighbour no better off.
const NICE: i32 = 10;

/// What a connector may compute among the host's own work.
#[derive(Debug)]
pub(super) struct Credit(Mutex<(Instant, Duration)>);

impl Default for Credit {
    fn default() -> Self {
        Self(Mutex::new((Instant::now(), CREDIT_MAX)))
    }
}

impl Credit {
    /// Is there any left?
    fn is_left(&self, now: Instant) -> bool {
        !self.change(now, |credit| credit).is_zero()
    }

    /// Take what was computed. Nothing is owed beyond all that can be in hand.
    fn spend(&self, now: Instant, computed: Duration) {
        self.change(now, |credit| credit.saturating_sub(computed));
    }

    fn change(&self, now: Instant, change: impl FnOnce(Duration) -> Duration) -> Duration {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (since, credit) = *state;
        let earned = now.saturating_duration_since(since) / EARNED_PART;
        let credit = change(credit.saturating_add(earned).min(CREDIT_MAX));
        *state = (now, credit);
        credit
    }
}

/// A call into a guest that knows how much it computed.
pub(super) trait Work: Future<Output: Send> + Unpin + Send + 'static {
    /// Processor time of the guest so far.
    fn computed(&self) -> Duration;

    /// Is it waiting for the host, and so for a service or a disk?
    fn waits(&self) -> bool;

    /// How often it has called the host for something to wait for.
    fn asked(&self) -> u32;
}

/// A call whose computing is taken from a connector's credit, wherever it runs.
struct Charged<W> {
    work: W,
    credit: Arc<Credit>,
    taken: Duration,
    /// Of that, since it last waited.
    in_a_row: Duration,
}

impl<W: Work> Future for Charged<W> {
    type Output = W::Output;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<W::Output> {
        let polled = Pin::new(&mut self.work).poll(context);
        let computed = self.work.computed();
        let more = computed.saturating_sub(self.taken);
        self.credit.spend(Instant::now(), more);
        self.taken = computed;
        self.in_a_row = if self.work.waits() { Duration::ZERO } else { self.in_a_row.saturating_add(more) };
        polled
    }
}

/// Where a call goes on.
enum Onward<T> {
    /// Nowhere: this is its result.
    Done(T),
    /// Among the runtime's tasks.
    Beside,
    /// On a thread of its own.
    Aside,
}

/// Run a call where it belongs. Dropping this ends the guest at its next tick.
pub(super) async fn run<W: Work>(work: W, credit: Arc<Credit>) -> W::Output {
    let mut call = Charged { work, credit, taken: Duration::ZERO, in_a_row: Duration::ZERO };
    match go_on(&mut call, is_apart()).await {
        Onward::Done(done) => done,
        Onward::Beside => beside(call).await,
        Onward::Aside => aside(call).await,
    }
}

/// Is this another thread than those that the connections are on? So it is where a program waits for all
/// its work.
fn is_apart() -> bool {
    tokio::task::try_id().is_none() && Handle::current().runtime_flavor() != RuntimeFlavor::CurrentThread
}

async fn go_on<W: Work>(call: &mut Charged<W>, is_apart: bool) -> Onward<W::Output> {
    let mut gave_way = false;
    let onward = poll_fn(|context| {
        if !call.credit.is_left(Instant::now()) {
            return Poll::Ready(Onward::Aside);
        }
        match Pin::new(&mut *call).poll(context) {
            Poll::Ready(done) => Poll::Ready(Onward::Done(done)),
            Poll::Pending if call.in_a_row >= SHORT => Poll::Ready(Onward::Aside),
            Poll::Pending if is_apart && call.work.waits() && call.work.asked() >= ASKED_OFTEN => {
                Poll::Ready(Onward::Beside)
            }
            Poll::Pending => {
                gave_way = true;
                Poll::Pending
            }
        }
    });
    let onward = onward.await;
    // Whoever makes the next call at once would never let go of this thread, and with as many of
    // those as there are threads nobody would look whether a reply has come.
    if matches!(onward, Onward::Done(_)) && !gave_way {
        tokio::task::yield_now().await;
    }
    onward
}

/// Run the rest of a call as a task: what it asks is handed to its connection, and the reply back, on one
/// thread. It moves while it waits, so nobody waits for that.
async fn beside<W: Work>(mut call: Charged<W>) -> W::Output {
    let rest = async move {
        match go_on(&mut call, false).await {
            Onward::Done(done) => done,
            Onward::Beside | Onward::Aside => aside(call).await,
        }
    };
    let mut task = Task(tokio::spawn(rest.in_current_span()));
    match (&mut task.0).await {
        Ok(output) => output,
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is ending, and with it whoever waits here.
            Err(_) => std::future::pending().await,
        },
    }
}

/// A task that ends when nobody waits for it.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Run the rest of a call on a thread of its own. Where the machine gives none it goes on here.
async fn aside<W: Work>(work: Charged<W>) -> W::Output {
    let work = Arc::new(Mutex::new(Some(work)));
    let (mut done, result) = oneshot::channel();
    let (taken, handle, span) = (Arc::clone(&work), Handle::current(), tracing::Span::current());
    let thread = std::thread::Builder::new().name("guest".to_owned()).stack_size(STACK_BYTES);
    let started = thread.spawn(move || {
        let Some(work) = take(&taken) else { return };
        if let Err(problem) = rustix::process::nice(NICE) {
            tracing::debug!("a guest keeps its priority: {problem}");
        }
        let rest = async move {
            tokio::select! {
                biased;
                () = done.closed() => {}
                output = work => drop(done.send(output)),
            }
        };
        handle.block_on(rest.instrument(span));
    });
    match started {
        Ok(thread) => match result.await {
            Ok(output) => output,
            // Only a panic ends the thread without a word: it goes on here.
            Err(_) => match thread.join() {
                Err(panic) => std::panic::resume_unwind(panic),
                Ok(()) => std::future::pending().await,
            },
        },
        Err(problem) => {
            tracing::warn!("a guest that computes for long has no thread of its own: {problem}");
            match take(&work) {
                Some(work) => work.await,
                None => std::future::pending().await,
            }
        }
    }
}

fn take<W>(work: &Mutex<Option<W>>) -> Option<W> {
    work.lock().unwrap_or_else(PoisonError::into_inner).take()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Computes for half of what is short in each of its turns, and tells on which thread.
    struct Busy {
        turns_left: u32,
        turns: u32,
        told: mpsc::Sender<String>,
        panics_at: &'static str,
        waits: bool,
        asked: u32,
    }

    impl Future for Busy {
        type Output = u32;

        fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<u32> {
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            assert!(self.panics_at != name, "as the test wants it");
            drop(self.told.send(name));
            if self.turns_left == 0 {
                return Poll::Ready(self.turns);
            }
            self.turns += 1;
            self.turns_left -= 1;
            context.waker().wake_by_ref();
            Poll::Pending
        }
    }

    impl Work for Busy {
        fn computed(&self) -> Duration {
            SHORT / 2 * self.turns
        }

        fn waits(&self) -> bool {
            self.waits
        }

        fn asked(&self) -> u32 {
            self.asked
        }
    }

    fn busy(turns_left: u32) -> (Busy, mpsc::Receiver<String>) {
        let (told, names) = mpsc::channel();
        (Busy { turns_left, turns: 0, told, panics_at: "-", waits: false, asked: 1 }, names)
    }

    #[tokio::test]
    async fn what_computes_for_long_goes_aside() {
        for (turns, aside) in [(0, 0), (1, 0), (2, 1), (5, 4)] {
            let (work, names) = busy(turns);
            assert_eq!(run(work, Arc::default()).await, turns);
            let names: Vec<String> = names.iter().collect();
            assert_eq!(names.iter().filter(|name| *name == "guest").count(), aside, "{turns}: {names:?}");
        }
    }

    #[tokio::test]
    async fn what_waits_in_between_stays() {
        let (mut work, names) = busy(50);
        work.waits = true;
        assert_eq!(run(work, Arc::default()).await, 50);
        assert!(names.iter().all(|name| name != "guest"));
    }

    /// The threads that a call with 9 turns was on, which waits in between and has asked so often.
    async fn threads(asked: u32) -> Vec<String> {
        let (mut work, names) = busy(9);
        (work.waits, work.asked) = (true, asked);
        assert_eq!(run(work, Arc::default()).await, 9);
        names.iter().collect()
    }

    const WORKER: &str = "tokio-rt-worker";

    #[tokio::test(flavor = "multi_thread")]
    async fn what_asks_again_goes_beside_its_connection() {
        // The test waits for all its work on a thread of its own, as a program does.
        assert!(threads(1).await.iter().all(|name| name != WORKER));
        let names = threads(2).await;
        assert_ne!(names[0], WORKER, "it moves while it waits");
        assert!(names[1..].iter().all(|name| name == WORKER), "{names:?}");
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_is_beside_already_stays() {
        let (mut work, names) = busy(9);
        (work.waits, work.asked) = (true, 2);
        let id = tokio::spawn(async {
            // As the same task to its end, which a move would not be.
            let id = tokio::task::id();
            run(work, Arc::default()).await;
            assert_eq!(tokio::task::id(), id);
        });
        id.await.unwrap();
        assert!(names.iter().all(|name| name == WORKER));
    }

    #[tokio::test]
    async fn one_thread_for_all_is_no_reason_to_move() {
        assert!(!is_apart());
        assert_eq!(threads(2).await.len(), 10);
    }

    #[tokio::test]
    async fn what_waits_for_nothing_gives_way() {
        let mut context = Context::from_waker(std::task::Waker::noop());
        // One turn, or one after another: either way there is one in which nothing is computed.
        for turns in [0, 1] {
            let (work, names) = busy(turns);
            let mut call = std::pin::pin!(run(work, Arc::default()));
            assert!(call.as_mut().poll(&mut context).is_pending(), "{turns}");
            assert_eq!(call.as_mut().poll(&mut context), Poll::Ready(turns));
            assert_eq!(names.iter().count(), 1 + usize::try_from(turns).unwrap());
        }
    }

    #[tokio::test]
    async fn who_computes_most_of_the_time_begins_aside() {
        let credit = Arc::new(Credit::default());
        credit.spend(Instant::now(), Duration::from_secs(3600));
        let (work, names) = busy(1);
        // What is earned in between is less than a tick of the clock: nothing, or spent at once.
        credit.spend(Instant::now() + Duration::from_secs(3600), Duration::from_secs(3600));
        assert_eq!(run(work, credit).await, 1);
        assert!(names.iter().all(|name| name == "guest"));
    }

    #[tokio::test]
    async fn what_is_computed_aside_is_charged_as_well() {
        let credit = Arc::new(Credit::default());
        let (work, _names) = busy(200);
        assert_eq!(run(work, Arc::clone(&credit)).await, 200);
        // Of its two hundred milliseconds the first two were here.
        let (_, left) = *credit.0.lock().unwrap();
        assert!(left < CREDIT_MAX - SHORT, "{left:?}");
    }

    #[test]
    fn credit_is_earned_by_being_quiet() {
        let (credit, start) = (Credit::default(), Instant::now());
        let later = |milliseconds| start + Duration::from_millis(milliseconds);
        credit.spend(later(0), Duration::from_secs(9));
        assert!(!credit.is_left(later(0)));
        assert!(credit.is_left(later(2)));
        credit.spend(later(2), Duration::from_millis(1));
        assert!(!credit.is_left(later(2)));
        // Never more than a hundred milliseconds, however long it was quiet.
        credit.spend(later(3_600_000), CREDIT_MAX);
        assert!(!credit.is_left(later(3_600_000)));
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_nobody_waits_for_ends() {
        let (work, names) = busy(u32::MAX);
        let call = tokio::spawn(run(work, Arc::default()));
        while names.recv().unwrap() != "guest" {
            tokio::task::yield_now().await;
        }
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        // When the call is dropped, who tells is.
        let ends = tokio::task::spawn_blocking(move || names.iter().last());
        assert!(tokio::time::timeout(Duration::from_secs(20), ends).await.is_ok());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn what_nobody_waits_for_beside_ends() {
        let (mut work, names) = busy(u32::MAX);
        (work.waits, work.asked) = (true, 2);
        {
            let mut call = std::pin::pin!(run(work, Arc::default()));
            let moved = poll_fn(|context| match call.as_mut().poll(context) {
                Poll::Ready(turns) => panic!("it ended after {turns} turns"),
                Poll::Pending if names.try_iter().any(|name| name == WORKER) => Poll::Ready(()),
                Poll::Pending => {
                    context.waker().wake_by_ref();
                    Poll::Pending
                }
            });
            moved.await;
        }
        // When the call is dropped, who tells is.
        let ends = tokio::task::spawn_blocking(move || names.iter().last());
        assert!(tokio::time::timeout(Duration::from_secs(20), ends).await.is_ok());
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn a_panic_beside_is_not_swallowed() {
        // The caller has to be on a thread that waits for all work, and a panic must not end the test.
        let caught = std::thread::spawn(|| {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            let (mut work, _names) = busy(9);
            (work.waits, work.asked, work.panics_at) = (true, 2, WORKER);
            runtime.block_on(run(work, Arc::default()))
        });
        assert!(tokio::task::spawn_blocking(|| caught.join()).await.unwrap().is_err());
    }

    #[tokio::test]
    async fn a_panic_is_not_swallowed() {
        let (mut work, _names) = busy(9);
        work.panics_at = "guest";
        let panic = tokio::spawn(run(work, Arc::default())).await.unwrap_err();
        assert!(panic.is_panic());
    }
}
