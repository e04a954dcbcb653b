//! Who has how many threads of a destination, and whose turn is next.
//!
//! This is the rule and nothing else: no file, no clock, no waiting. A free thread goes to the waiting
//! task that holds fewest, among equals to the one whose last turn is longest ago. Where the threads
//! divide by the tasks everybody then has the same number; where they do not, the odd ones go round. A
//! task that nobody waits beside takes all there are.

use std::time::Duration;

/// Most tasks of one destination on one machine; one more waits for a place. Each costs 48 bytes that
/// everybody reads whenever it takes a thread.
pub const TASKS_MAX: usize = 256;

/// Who waits looks this often at least, or is passed over: a process that was stopped (Ctrl-Z) must not
/// keep threads idle. Many times the pause between two looks, so that a busy machine passes over nobody.
pub(super) const CLAIM_MAX: Duration = Duration::from_millis(250);

/// While a task waits, it says so this often: half of what would do.
const CLAIM_RENEWED: Duration = Duration::from_millis(100);

/// One task: of a process that is at work, the so-manyeth.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    /// The process, by the name of its [`Run`](crate::home::Run).
    pub(super) run: u128,
    /// Counted by the process.
    pub(super) number: u32,
}

/// What a task is doing here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Standing {
    /// Single operations, which no bound on tasks concerns: a listing.
    Passing,
    /// A transfer that has not begun: as many as may run do.
    Queued,
    /// A transfer.
    Running,
}

/// A task on the board.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) key: Key,
    /// Threads that it holds.
    pub(super) held: u16,
    /// Would it take another?
    pub(super) waiting: bool,
    pub(super) standing: Standing,
    /// Of a transfer, how many may run beside it, itself included; 0 for any number.
    pub(super) tasks_max: u16,
    /// Drawn when its last turn began; the lowest is longest ago.
    pub(super) ticket: u64,
    /// When it looked last while it waited, in milliseconds of the wall clock.
    pub(super) looked_ms: u64,
}

/// What a task asks for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    /// Threads of the destination.
    pub(super) limit: u16,
    /// Threads that this task may have, at most the limit.
    pub(super) cap: u16,
    /// Has its turn just begun? Then it need not yield to an equal: threads that change hands after each
    /// short operation would be idle half of the time.
    pub(super) in_turn: bool,
    /// Are there more operations of it that wait, beside the one that this is for?
    pub(super) more: bool,
    /// The wall clock.
    pub(super) now_ms: u64,
}

/// The tasks of one destination, of all processes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Board {
    /// The next ticket.
    pub(super) next: u64,
    /// One for each task.
    pub(super) entries: Vec<Entry>,
}

impl Entry {
    /// A task that begins.
    pub(super) const fn new(key: Key) -> Self {
        let standing = Standing::Passing;
        Self { key, held: 0, waiting: false, standing, tasks_max: 0, ticket: 0, looked_ms: 0 }
    }

    /// Does it wait, and is it awake? Clocks that were set make it look asleep until it looks again.
    fn claims(&self, now_ms: u64) -> bool {
        self.waiting && self.is_awake(now_ms)
    }

    fn is_awake(&self, now_ms: u64) -> bool {
        now_ms.abs_diff(self.looked_ms) <= milliseconds(CLAIM_MAX)
    }

    /// Say that it waits, unless that was said a moment ago.
    fn look(&mut self, now_ms: u64) {
        if now_ms.abs_diff(self.looked_ms) >= milliseconds(CLAIM_RENEWED) {
            self.looked_ms = now_ms;
        }
    }
}

impl Board {
    /// Put a new task on the board, if there is a place.
    pub(super) fn join(&mut self, mut entry: Entry) -> Option<Entry> {
        if self.entries.len() >= TASKS_MAX {
            return None;
        }
        entry.ticket = self.draw();
        self.entries.push(entry);
        Some(entry)
    }

    /// What the tasks of a process are is that process's to say.
    pub(super) fn replace(&mut self, run: u128, own: impl Iterator<Item = Entry>) {
        self.entries.retain(|entry| entry.key.run != run);
        self.entries.extend(own);
    }

    /// A process is gone: what it held is free.
    pub(super) fn bury(&mut self, run: u128) {
        self.entries.retain(|entry| entry.key.run != run);
    }

    /// Take a thread, or say that one is waited for.
    pub(super) fn take(&mut self, key: Key, claim: Claim) -> bool {
        let taken = self.may_take(key, claim);
        let ticket = if taken && !claim.in_turn { Some(self.draw()) } else { None };
        let Some(entry) = self.entry(key) else { return false };
        if taken {
            entry.held = entry.held.saturating_add(1);
            entry.ticket = ticket.unwrap_or(entry.ticket);
        }
        // Who may not have more does not keep others waiting.
        entry.waiting = (!taken || claim.more) && entry.held < claim.cap;
        if entry.waiting {
            entry.look(claim.now_ms);
        }
        taken
    }

    fn may_take(&self, key: Key, claim: Claim) -> bool {
        let Some(own) = self.entries.iter().find(|entry| entry.key == key) else { return false };
        let ours = (own.held, if claim.in_turn { 0 } else { own.ticket });
        let others = || self.entries.iter().filter(|entry| entry.key != key);
        self.held() < u32::from(claim.limit)
            && own.held < claim.cap
            && others()
                .filter(|other| other.claims(claim.now_ms))
                .all(|other| ours <= (other.held, other.ticket))
    }

    /// Begin a transfer, or say that it is waited for. First come, first served, as far as each one's own
    /// bound lets it.
    pub(super) fn begin(&mut self, key: Key, tasks_max: u16, now_ms: u64) -> bool {
        let running = self.running();
        let room = |tasks_max: u16| tasks_max == 0 || running < usize::from(tasks_max);
        let Some(own) = self.entry(key).map(|entry| *entry) else { return false };
        let is_first = self.entries.iter().all(|other| {
            let earlier = other.standing == Standing::Queued && other.ticket < own.ticket && other.key != key;
            !(earlier && other.is_awake(now_ms) && room(other.tasks_max))
        });
        let begins = room(tasks_max) && is_first;
        if let Some(entry) = self.entry(key) {
            entry.standing = if begins { Standing::Running } else { Standing::Queued };
            entry.tasks_max = tasks_max;
            entry.look(now_ms);
        }
        begins
    }

    /// Threads that are held.
    pub(super) fn held(&self) -> u32 {
        self.entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.held.into()))
    }

    /// Transfers that run.
    pub(super) fn running(&self) -> usize {
        self.entries.iter().filter(|entry| entry.standing == Standing::Running).count()
    }

    /// The processes that are here, each once.
    pub(super) fn runs(&self) -> Vec<u128> {
        let mut runs: Vec<u128> = self.entries.iter().map(|entry| entry.key.run).collect();
        runs.sort_unstable();
        runs.dedup();
        runs
    }

    /// Processes that hold a thread.
    pub(super) fn busy(&self) -> usize {
        let mut runs: Vec<u128> =
            self.entries.iter().filter(|entry| entry.held > 0).map(|entry| entry.key.run).collect();
        runs.sort_unstable();
        runs.dedup();
        runs.len()
    }

    pub(super) fn entry(&mut self, key: Key) -> Option<&mut Entry> {
        self.entries.iter_mut().find(|entry| entry.key == key)
    }

    const fn draw(&mut self) -> u64 {
        let ticket = self.next;
        self.next = self.next.saturating_add(1);
        ticket
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
