//! The thread that writes.
//!
//! It takes the first change that waits, opens a transaction, adds every other change that is waiting
//! by then, commits once and only then answers all of them. Each change has a savepoint of its own, so
//! one that fails takes nothing of its neighbours with it.

use std::{
    sync::{
        Arc,
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    thread::JoinHandle,
};

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use super::Error;

/// Changes that wait at most; whoever comes then waits for room. More than operations ever run at once.
const QUEUE_MAX: usize = 1024;

/// Changes in one transaction at most, so that the first does not wait long for the last.
const GROUP_MAX: usize = 256;

/// One change, between its caller and its commit.
trait Change: Send {
    /// Do it; whether it went well decides over its savepoint.
    fn run(&mut self, connection: &Connection) -> Result<(), ()>;
    /// Answer its caller, after the commit.
    fn answer(self: Box<Self>, committed: Result<(), Error>);
}

struct Waiting<T, F> {
    work: Option<F>,
    outcome: Option<Result<T, rusqlite::Error>>,
    caller: oneshot::Sender<Result<T, Error>>,
}

impl<T, F> Change for Waiting<T, F>
where
    T: Send,
    F: FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send,
{
    fn run(&mut self, connection: &Connection) -> Result<(), ()> {
        self.outcome = self.work.take().map(|work| work(connection));
        match &self.outcome {
            Some(Ok(_)) => Ok(()),
            Some(Err(_)) | None => Err(()),
        }
    }

    fn answer(self: Box<Self>, committed: Result<(), Error>) {
        let answer = match (self.outcome, committed) {
            (Some(Err(error)), _) => Err(Error::from(error)),
            (_, Err(error)) => Err(error),
            (Some(Ok(value)), Ok(())) => Ok(value),
            (None, Ok(())) => Err(Error::Closed),
        };
        // A caller that went away has no use for the answer.
        self.caller.send(answer).map_err(drop).unwrap_or_default();
    }
}

/// The thread, and the way to it.
pub(super) struct Writer {
    queue: Option<SyncSender<Box<dyn Change>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> Self {
        let (queue, waiting) = sync_channel(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("wharf-state".to_owned())
            .spawn(move || serve(connection, &waiting));
        // Without the thread the queue is closed, and every caller learns that.
        Self { queue: Some(queue), thread: thread.ok() }
    }

    pub(super) async fn run<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let change: Box<dyn Change> = Box::new(Waiting { work: Some(work), outcome: None, caller });
        let queue = self.queue.as_ref().ok_or(Error::Closed)?;
        if let Err(error) = queue.try_send(change) {
            match error {
                std::sync::mpsc::TrySendError::Full(change) => {
                    let queue = queue.clone();
                    let sent = tokio::task::spawn_blocking(move || queue.send(change).map_err(drop));
                    sent.await.map_err(|_| Error::Closed)?.map_err(|()| Error::Closed)?;
                }
                std::sync::mpsc::TrySendError::Disconnected(_) => return Err(Error::Closed),
            }
        }
        answer.await.map_err(|_| Error::Closed)?
    }

    /// As [`run`](Self::run), for a thread that may wait.
    pub(super) fn run_now<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    {
        let (caller, answer) = oneshot::channel();
        let change: Box<dyn Change> = Box::new(Waiting { work: Some(work), outcome: None, caller });
        let queue = self.queue.as_ref().ok_or(Error::Closed)?;
        queue.send(change).map_err(|_| Error::Closed)?;
        answer.blocking_recv().map_err(|_| Error::Closed)?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap_or_default();
        }
    }
}

fn serve(mut connection: Connection, waiting: &Receiver<Box<dyn Change>>) {
    while let Ok(first) = waiting.recv() {
        let mut group = Vec::new();
        let mut next = Some(first);
        let committed =
            commit_group(&mut connection, &mut group, || next.take().or_else(|| waiting.try_recv().ok()));
        // What a failed commit left behind was rolled back; a change not yet run was not made.
        let committed = committed.map_err(|error| Error::Sqlite(Arc::new(error)));
        for change in group.into_iter().chain(next) {
            change.answer(committed.clone());
        }
    }
}

fn commit_group(
    connection: &mut Connection,
    group: &mut Vec<Box<dyn Change>>,
    mut next: impl FnMut() -> Option<Box<dyn Change>>,
) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    while group.len() < GROUP_MAX
        && let Some(mut change) = next()
    {
        transaction.prepare_cached("SAVEPOINT change")?.execute([])?;
        let done = change.run(&transaction);
        group.push(change);
        if done.is_err() {
            transaction.prepare_cached("ROLLBACK TO change")?.execute([])?;
        }
        transaction.prepare_cached("RELEASE change")?.execute([])?;
    }
    transaction.commit()
}
