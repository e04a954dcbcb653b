//! Threads: how many operations a destination may have in flight.
//!
//! The number is the destination's, for the machine: all processes share it, without anybody in the
//! middle. One operation holds one [`Permit`] from the queue to its last byte: a download's permit moves
//! into the body that is read after the call has returned. Waiting for a permit costs neither the
//! guest's clock nor a retry.
//!
//! Who is next is `board`'s to say, and what all processes know lies in `table`. Here it is asked, and
//! waited for: whoever waits in this process is woken when a thread of this process becomes free, and
//! looks every [`LOOK_INTERVAL`] whether another process has left one. What a process held is free when
//! it ends, however it ends.

mod board;
mod table;
mod watch;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;

pub use board::TASKS_MAX;
use board::{Board, Claim, Entry, Key};
use table::Table;
use watch::Watch;

use crate::clock::Clock;
use crate::destination::Destinations;
use crate::home::{Home, Name, Run};
use crate::rate::{Limiters, Rates};

/// How often one who waits looks whether another process has left a thread: a look costs a few
/// microseconds, and an idle thread costs an operation.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);
/// How often one who waits looks whether the other processes are still there.
const DEATHS_INTERVAL: Duration = Duration::from_millis(50);
/// How long a task keeps a thread beside equals who wait for one, from operation to operation. Between
/// two processes a thread is idle for up to [`LOOK_INTERVAL`] when it changes hands, so this is five times
/// that; and with twice as many tasks as threads each has its turn within a tenth of a second.
const TURN: Duration = Duration::from_millis(50);

/// The threads of one destination, as one task has them.
#[derive(Debug, Clone)]
pub struct Threads(Arc<Task>);

/// A task; it is on the board until it is dropped.
struct Task {
    seat: Arc<Seat>,
    number: u32,
    /// Threads that this task may have, if that is fewer than the destination has.
    own_limit: Option<u16>,
    /// The operations of a task are served in their order; the first of them asks for all.
    door: tokio::sync::Mutex<()>,
}

/// This process's place at a destination.
pub struct Seat {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    /// A thread of this process became free, or another process is gone.
    changed: Notify,
    limiters: Limiters,
}

struct State {
    home: Option<Home>,
    table: Table,
    watch: Watch,
    /// As which this process is at work; none before its first task.
    run: Option<Run>,
    run_number: u128,
    tasks: Vec<Own>,
    next_number: u32,
    looked_for_deaths: Option<Duration>,
}

/// A task of this process, as this process knows it.
struct Own {
    entry: Entry,
    on_board: bool,
    /// Operations that wait.
    waiting: u32,
    turn_began: Duration,
}

/// The right to run one operation, given back when it is dropped.
#[derive(Debug)]
pub struct Permit(Arc<Task>);

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.0.seat.state();
        if let Some(own) = state.own(self.0.number) {
            own.entry.held = own.entry.held.saturating_sub(1);
        }
        // What cannot be told now is told with whatever this process tells next.
        let _ = state.exchange(|_| ());
        drop(state);
        self.0.seat.changed.notify_waiters();
    }
}

impl Seat {
    /// The place of this process at a destination of this home.
    #[must_use]
    pub fn new(home: &Home, name: &Name, clock: Arc<dyn Clock>) -> Arc<Self> {
        let watch = Watch::new(&Destinations::new(home), name);
        Self::with(Some(home.clone()), Table::open(home, name), watch, clock)
    }

    /// A place where nobody else sits, with this many threads.
    #[must_use]
    pub fn alone(threads: u16, clock: Arc<dyn Clock>) -> Arc<Self> {
        Self::with(None, Table::alone(), Watch::fixed(threads), clock)
    }

    fn with(home: Option<Home>, table: Table, watch: Watch, clock: Arc<dyn Clock>) -> Arc<Self> {
        let state = State {
            home,
            table,
            watch,
            run: None,
            run_number: 0,
            tasks: Vec::new(),
            next_number: 0,
            looked_for_deaths: None,
        };
        Arc::new(Self {
            clock,
            state: Mutex::new(state),
            changed: Notify::new(),
            limiters: Limiters::default(),
        })
    }

    /// A task; `own_limit` is for one that is to have fewer threads than it could.
    #[must_use]
    pub fn task(self: &Arc<Self>, own_limit: Option<u16>) -> Threads {
        let mut state = self.state();
        let number = state.next_number;
        state.next_number = number.wrapping_add(1);
        // It is on nobody's board before its first operation.
        let entry = Entry::new(Key { run: 0, number });
        state.tasks.push(Own { entry, on_board: false, waiting: 0, turn_began: Duration::ZERO });
        drop(state);
        let door = tokio::sync::Mutex::default();
        Threads(Arc::new(Task { seat: Arc::clone(self), number, own_limit, door }))
    }

    /// A panic elsewhere leaves numbers that the next exchange writes anew.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Threads {
    /// How many there are for this task, if nobody else wants any.
    #[must_use]
    pub fn limit(&self) -> usize {
        self.0.limit(self.0.seat.state().watch.now(self.0.seat.clock.elapsed()).threads).into()
    }

    /// How many of them no operation of this task holds at this moment.
    #[must_use]
    pub fn free(&self) -> usize {
        let held = self.0.seat.state().own(self.0.number).map_or(0, |own| own.entry.held);
        self.limit().saturating_sub(held.into())
    }

    /// What the destination's file says of rates at this moment.
    #[must_use]
    pub fn rates(&self) -> Rates {
        self.0.seat.state().watch.now(self.0.seat.clock.elapsed()).rates
    }

    /// Processes that have an operation in flight at this destination, this one included.
    #[must_use]
    pub fn processes(&self) -> usize {
        self.0.seat.state().table.seen().busy().max(1)
    }

    /// What this process has used of rates.
    #[must_use]
    pub(crate) fn limiters(&self) -> &Limiters {
        &self.0.seat.limiters
    }

    /// Wait for a permit. Within this task, first come, first served.
    pub async fn permit(&self) -> Permit {
        let task = &self.0;
        let _waiting = Waiting::enter(task);
        let _door = task.door.lock().await;
        loop {
            let changed = task.seat.changed.notified();
            tokio::pin!(changed);
            // Listen before looking, or a thread that becomes free in between would be missed.
            changed.as_mut().enable();
            if task.take() {
                return Permit(Arc::clone(task));
            }
            tokio::select! {
                () = changed => {}
                () = task.seat.clock.sleep(LOOK_INTERVAL) => {}
            }
            task.seat.look_for_deaths();
        }
    }

    /// Begin a transfer, if fewer than `tasks_max` of this destination run on this machine; none for
    /// what the destination's file says, 0 for any number. It ends when the last of these threads is
    /// dropped.
    #[must_use]
    pub fn try_begin(&self, tasks_max: Option<u16>) -> bool {
        let task = &self.0;
        let mut state = task.seat.state();
        let now = task.seat.clock.elapsed();
        let tasks_max = tasks_max.unwrap_or_else(|| state.watch.now(now).tasks);
        let now_ms = milliseconds(task.seat.clock.now());
        let Some(key) = state.key(task.number) else { return false };
        state.exchange(|board| board.begin(key, tasks_max, now_ms)).unwrap_or(false)
    }

    /// Wait until a transfer may begin; see [`try_begin`](Self::try_begin).
    pub async fn begin(&self, tasks_max: Option<u16>) {
        while !self.try_begin(tasks_max) {
            self.0.seat.clock.sleep(DEATHS_INTERVAL).await;
            self.0.seat.look_for_deaths();
        }
    }

    /// Transfers that run at this destination, on this machine, as far as was seen last.
    #[must_use]
    pub fn running(&self) -> usize {
        self.0.seat.state().table.seen().running()
    }
}

impl Task {
    fn limit(&self, threads: u16) -> u16 {
        self.own_limit.map_or(threads, |own| own.min(threads)).max(1)
    }

    /// Take a thread if it is this task's turn.
    fn take(&self) -> bool {
        let mut state = self.seat.state();
        let now = self.seat.clock.elapsed();
        let limit = state.watch.now(now).threads;
        let Some(key) = state.key(self.number) else { return false };
        let Some(own) = state.own(self.number) else { return false };
        let in_turn = now.saturating_sub(own.turn_began) < TURN && own.entry.ticket != 0;
        let now_ms = milliseconds(self.seat.clock.now());
        let claim = Claim { limit, cap: self.limit(limit), in_turn, more: own.waiting > 1, now_ms };
        let taken = state.exchange(|board| board.take(key, claim)).unwrap_or(false);
        if taken
            && !in_turn
            && let Some(own) = state.own(self.number)
        {
            own.turn_began = now;
        }
        taken
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        let mut state = self.seat.state();
        state.tasks.retain(|own| own.entry.key.number != self.number);
        // At the latest it is gone when this process is.
        let _ = state.exchange(|_| ());
        drop(state);
        self.seat.changed.notify_waiters();
    }
}

/// An operation that waits, for as long as it does.
struct Waiting<'a>(&'a Task);

impl<'a> Waiting<'a> {
    fn enter(task: &'a Task) -> Self {
        if let Some(own) = task.seat.state().own(task.number) {
            own.waiting = own.waiting.saturating_add(1);
        }
        Self(task)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.seat.state();
        let Some(own) = state.own(self.0.number) else { return };
        own.waiting = own.waiting.saturating_sub(1);
        // One that was given up must not keep others waiting.
        if own.waiting == 0 && own.entry.waiting {
            own.entry.waiting = false;
            let _ = state.exchange(|_| ());
            drop(state);
            self.0.seat.changed.notify_waiters();
        }
    }
}

impl Seat {
    /// Take what dead processes held off the board, now and then.
    fn look_for_deaths(&self) {
        let mut state = self.state();
        let now = self.clock.elapsed();
        if state.looked_for_deaths.is_some_and(|looked| now.saturating_sub(looked) < DEATHS_INTERVAL) {
            return;
        }
        state.looked_for_deaths = Some(now);
        let Some(home) = state.home.clone() else { return };
        let is_dead = |run: &u128| !home.is_running(&Run::name_of(*run)).unwrap_or(true);
        let dead: Vec<u128> = state.table.seen().runs().into_iter().filter(is_dead).collect();
        if dead.is_empty() {
            return;
        }
        let _ = state.exchange(|board| dead.iter().for_each(|run| board.bury(*run)));
        drop(state);
        self.changed.notify_waiters();
    }
}

impl State {
    fn own(&mut self, number: u32) -> Option<&mut Own> {
        self.tasks.iter_mut().find(|own| own.entry.key.number == number)
    }

    /// The key of a task on the board; it is put there if it is not, and there is a place.
    fn key(&mut self, number: u32) -> Option<Key> {
        self.be_at_work();
        let run = self.run_number;
        let own = self.own(number)?;
        if own.on_board {
            return Some(own.entry.key);
        }
        let entry = Entry { key: Key { run, number }, ..own.entry };
        let joined = self.exchange(|board| board.join(entry))??;
        let own = self.own(number)?;
        (own.entry, own.on_board) = (joined, true);
        Some(joined.key)
    }

    /// Have a name by which the others know whether this process is still there.
    fn be_at_work(&mut self) {
        let Some(home) = self.home.as_ref().filter(|_| self.run.is_none() && self.run_number == 0) else {
            return;
        };
        match home.run() {
            Ok(run) => {
                self.run_number = run.number();
                self.run = Some(run);
            }
            Err(error) => {
                // Nobody could tell whether what it writes still holds, so it writes nothing.
                tracing::warn!("threads are not shared with other processes: {error}");
                self.table = Table::alone();
                self.run_number = 1;
            }
        }
    }

    /// Tell the others what the tasks of this process are, and change the board. None when another
    /// process is busy with it.
    fn exchange<T>(&mut self, change: impl FnOnce(&mut Board) -> T) -> Option<T> {
        let run = self.run_number;
        let tasks = &self.tasks;
        let own = || tasks.iter().filter(|own| own.on_board).map(|own| own.entry);
        let changed = self.table.change(|board| {
            board.replace(run, own());
            change(board)
        })?;
        for entry in self.table.seen().entries.iter().filter(|entry| entry.key.run == run) {
            let known = self.tasks.iter_mut().find(|own| own.on_board && own.entry.key == entry.key);
            if let Some(own) = known {
                own.entry = *entry;
            }
        }
        Some(changed)
    }
}

impl fmt::Debug for Task {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Task({})", self.number)
    }
}

impl fmt::Debug for Seat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Seat")
    }
}

fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
