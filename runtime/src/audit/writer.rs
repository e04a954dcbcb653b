//! The thread that writes records.
//!
//! It sleeps until the first record comes, lets others gather for a moment, and hands them to the
//! `appender`, which puts all of them into the file in one write. Gathering is what keeps the caller's
//! part to pushing into a queue; a kill loses at most what gathered in that moment.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};

use tokio::sync::Notify;

use super::{Decision, Error, Record, appender::Appender};
use crate::{
    home::{self, Home, Name},
    state::State,
};

/// How long a record may be in the file without being on disk.
pub const SYNC_INTERVAL: Duration = Duration::from_secs(1);

/// How long records gather before they are written: short beside a request, long beside a write.
const GATHER: Duration = Duration::from_millis(2);

/// Records that wait at most; whoever comes then waits for room. At their longest they fit a file.
const QUEUE_MAX: usize = 1024;

/// How long until the writer tries again after the disk refused.
const RETRY: Duration = Duration::from_millis(100);

/// How often the writer tries to write what is left when it is closed on a disk that refuses.
const CLOSING_TRIES: u32 = 3;

/// The queue, and the thread behind it.
#[derive(Debug)]
pub(super) struct Writer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
    /// Records added that say that something was refused.
    denied: AtomicU64,
}

#[derive(Debug)]
struct Shared {
    destination: Name,
    queue: Mutex<Queue>,
    /// For the thread: there is something to do, or something urgent.
    wake: Condvar,
    /// For callers: there is room, or what they wait for is on disk.
    progress: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Record>,
    /// How many were ever added, and how many of them are on disk.
    added: u64,
    synced: u64,
    /// Up to which one somebody waits for the disk.
    wanted: u64,
    failed: Option<Arc<home::Error>>,
    /// The thread sleeps until it is woken; while it gathers, nobody need wake it.
    idle: bool,
    closing: bool,
    closed: bool,
}

impl Writer {
    pub(super) fn start(home: Home, state: State, destination: Name) -> Result<Self, Error> {
        let appender =
            Appender::open(home, state, &destination).map_err(|error| unwritable(&destination, error))?;
        let shared = Arc::new(Shared {
            destination: destination.clone(),
            queue: Mutex::default(),
            wake: Condvar::new(),
            progress: Notify::new(),
        });
        let theirs = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("wharf-audit".to_owned())
            .spawn(move || theirs.serve(appender))
            .map_err(|_| Error::Closed(destination))?;
        Ok(Self { shared, thread: Some(thread), denied: AtomicU64::new(0) })
    }

    pub(super) fn take_denied(&self) -> u64 {
        self.denied.swap(0, Ordering::Relaxed)
    }

    pub(super) async fn append(&self, record: Record) -> Result<(), Error> {
        self.denied.fetch_add(u64::from(record.decision == Decision::Denied), Ordering::Relaxed);
        let mut record = Some(record);
        loop {
            let room = self.shared.progress.notified();
            let outcome = self.shared.try_append(&mut record)?;
            if outcome == Appended::Yes {
                return Ok(());
            }
            room.await;
        }
    }

    pub(super) async fn flush(&self) -> Result<(), Error> {
        let goal = self.shared.ask_for_sync();
        loop {
            let progress = self.shared.progress.notified();
            if self.shared.is_synced(goal)? {
                return Ok(());
            }
            progress.await;
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.shared.queue().closing = true;
        self.shared.wake.notify_all();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap_or_default();
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Appended {
    Yes,
    /// The queue is full.
    NoRoom,
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics between two states of the queue.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn try_append(&self, record: &mut Option<Record>) -> Result<Appended, Error> {
        let mut queue = self.queue();
        if queue.closed {
            return Err(Error::Closed(self.destination.clone()));
        }
        let has_room = queue.waiting.len() < QUEUE_MAX;
        if has_room && let Some(record) = record.take() {
            queue.waiting.push_back(record);
            queue.added += 1;
            if std::mem::take(&mut queue.idle) {
                self.wake.notify_one();
            }
        }
        match &queue.failed {
            Some(source) => Err(self.unwritable(source)),
            None if has_room => Ok(Appended::Yes),
            None => Ok(Appended::NoRoom),
        }
    }

    fn ask_for_sync(&self) -> u64 {
        let mut queue = self.queue();
        queue.wanted = queue.added;
        queue.idle = false;
        self.wake.notify_one();
        queue.wanted
    }

    fn is_synced(&self, goal: u64) -> Result<bool, Error> {
        let queue = self.queue();
        match &queue.failed {
            _ if queue.synced >= goal => Ok(true),
            Some(source) => Err(self.unwritable(source)),
            None if queue.closed => Err(Error::Closed(self.destination.clone())),
            None => Ok(false),
        }
    }

    fn unwritable(&self, source: &Arc<home::Error>) -> Error {
        Error::Unwritable { destination: self.destination.clone(), source: Arc::clone(source) }
    }

    /// The thread: gather, write, sync, until closed.
    fn serve(&self, mut appender: Appender) {
        let mut lines = Vec::new();
        let mut in_lines = 0;
        let mut unsynced_since: Option<Instant> = None;
        let mut closing_tries = 0;
        loop {
            let Work { records, sync_wanted, closing } = self.next_work(unsynced_since, !lines.is_empty());
            in_lines += u64::try_from(records.len()).unwrap_or_default();
            records.into_iter().for_each(|record| write_line(&mut lines, record));
            let has_lines = !lines.is_empty();
            let sync = sync_wanted
                || closing
                || unsynced_since.is_some_and(|since| since.elapsed() >= SYNC_INTERVAL);
            let written =
                appender.append(&mut lines).and_then(|()| if sync { appender.sync() } else { Ok(()) });
            match written {
                Ok(()) => {
                    let on_disk = if sync { std::mem::take(&mut in_lines) } else { 0 };
                    unsynced_since =
                        if sync { None } else { unsynced_since.or(has_lines.then(Instant::now)) };
                    self.report(on_disk, None);
                    if closing && lines.is_empty() && self.close_if_empty() {
                        return;
                    }
                }
                Err(error) => {
                    self.report(0, Some(Arc::new(error)));
                    unsynced_since = unsynced_since.or_else(|| Some(Instant::now()));
                    closing_tries += u32::from(closing);
                    if closing_tries >= CLOSING_TRIES {
                        self.close();
                        return;
                    }
                    std::thread::sleep(RETRY);
                }
            }
        }
    }

    /// Wait for records, for somebody who wants them on disk, or for the time to sync.
    fn next_work(&self, unsynced_since: Option<Instant>, retrying: bool) -> Work {
        let mut queue = self.queue();
        let due = unsynced_since.map(|since| since + SYNC_INTERVAL);
        while !retrying && queue.waiting.is_empty() && queue.wanted <= queue.synced && !queue.closing {
            let left = due.map(|due| due.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                break;
            }
            queue.idle = true;
            queue = match left {
                Some(left) => self.wake.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0,
                None => self.wake.wait(queue).unwrap_or_else(PoisonError::into_inner),
            };
            queue.idle = false;
        }
        let urgent =
            |queue: &Queue| queue.closing || queue.wanted > queue.synced || queue.waiting.len() >= QUEUE_MAX;
        if !queue.waiting.is_empty() && !urgent(&queue) {
            queue = self.wake.wait_timeout(queue, GATHER).unwrap_or_else(PoisonError::into_inner).0;
        }
        let sync_wanted = queue.wanted > queue.synced;
        // While what could not be written is tried again, the queue fills: its bound is the bound.
        let records = if retrying { VecDeque::new() } else { std::mem::take(&mut queue.waiting) };
        let closing = queue.closing;
        drop(queue);
        self.progress.notify_waiters();
        Work { records, sync_wanted, closing }
    }

    fn report(&self, on_disk: u64, failed: Option<Arc<home::Error>>) {
        let mut queue = self.queue();
        queue.synced += on_disk;
        if let (None, Some(error)) = (&queue.failed, &failed) {
            tracing::error!(destination = %self.destination, %error, "the audit cannot be written");
        }
        queue.failed = failed;
        drop(queue);
        self.progress.notify_waiters();
    }

    /// Is it all written? Then nothing is taken any more.
    fn close_if_empty(&self) -> bool {
        let mut queue = self.queue();
        queue.closed = queue.waiting.is_empty();
        queue.closed
    }

    fn close(&self) {
        self.queue().closed = true;
        self.progress.notify_waiters();
    }
}

struct Work {
    records: VecDeque<Record>,
    sync_wanted: bool,
    closing: bool,
}

fn write_line(lines: &mut Vec<u8>, record: Record) {
    let before = lines.len();
    match serde_json::to_writer(&mut *lines, &record.bounded()) {
        Ok(()) => lines.push(b'\n'),
        // Numbers and texts always serialise; half a line would be worse than none.
        Err(_) => lines.truncate(before),
    }
}

fn unwritable(destination: &Name, error: home::Error) -> Error {
    Error::Unwritable { destination: destination.clone(), source: Arc::new(error) }
}
