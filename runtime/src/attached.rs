//! A destination, ready for operations.
//!
//! Every operation takes a permit first, then runs in an instance of its own. When a connector asks
//! for patience that only it could see, the operation is repeated here, after a pause of the whole
//! destination, within the same budget as everything else; the permit is given back meanwhile. What
//! changes anything passes the gate first: the backup directory must be ours, and there must be room.

mod error;
mod gate;
mod own;

pub use error::Error;
pub(crate) use gate::Gate;
pub use gate::Room;

use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument as _;

use crate::broker::{Broker, Call};
use crate::catalog::Shelf;
use crate::content::{Progress as Moved, Section};
use crate::entry::{Entry, Info};
use crate::hash::{Algorithm, Running};
use crate::hint::Hint as _;
use crate::home::{Lock, Name};
use crate::journal::Journal;
use crate::leave::Leave;
use crate::manifest::{Manifest, Replay};
use crate::ownership::Own;
use crate::path::RelativePath;
use crate::retry::{Attempts, Budget, Outcome, Verdict};
use crate::sandbox::Connector;
use crate::sandbox::operation::{
    self, ChangesPage, Download, Page, Progress, Refusal, Relocation, Removal, Space, Staged,
};
use crate::threads::{Permit, Threads};

/// How soon a running relocation is asked for: a file is copied in less.
const RELOCATION_POLL_MIN: Duration = Duration::from_millis(500);
/// How seldom it is asked for in the end.
const RELOCATION_POLL_MAX: Duration = Duration::from_secs(30);
/// How long it is waited for: folders of a terabyte take hours, and it goes on without us.
const RELOCATION_MAX: Duration = Duration::from_hours(6);

/// A destination that can be used.
#[derive(Debug)]
pub struct Attached {
    name: Name,
    connector: Connector,
    leave: Leave,
    broker: Arc<Broker>,
    threads: Threads,
    journal: Journal,
    budget: Budget,
    gate: Gate,
    /// Says that the destination is in use.
    _use: Lock,
}

/// What passed through the host's hands while a connector stored something.
#[derive(Debug, Default)]
pub struct Passed {
    /// The hash of what the service acknowledged, if that was in one piece.
    pub running: Option<Running>,
    /// Bytes that were handed to the network, those of failed attempts too.
    pub sent_bytes: u64,
}

impl Passed {
    fn of(call: &Call) -> Self {
        Self { running: call.take_hash(), sent_bytes: call.sent_bytes() }
    }
}

/// A download, with the permit that it holds until its last byte.
#[derive(Debug)]
pub struct Opened {
    /// What arrives.
    pub download: Download,
    _permit: Permit,
}

impl Attached {
    /// Put together what a host has loaded.
    #[expect(clippy::too_many_arguments, reason = "a destination is put together of all of these, once")]
    pub(crate) const fn new(
        name: Name,
        connector: Connector,
        leave: Leave,
        broker: Arc<Broker>,
        threads: Threads,
        journal: Journal,
        budget: Budget,
        gate: Gate,
        in_use: Lock,
    ) -> Self {
        Self { name, connector, leave, broker, threads, journal, budget, gate, _use: in_use }
    }

    /// The destination's name.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// What its connector says of itself.
    #[must_use]
    pub const fn manifest(&self) -> &Arc<Manifest> {
        self.connector.manifest()
    }

    /// What is remembered of what was stored here.
    #[must_use]
    pub const fn shelf(&self) -> &Shelf {
        self.journal.shelf()
    }

    /// Is it only read from?
    #[must_use]
    pub const fn is_read_only(&self) -> bool {
        self.gate.is_read_only()
    }

    /// Its uploads under way.
    #[must_use]
    pub const fn journal(&self) -> &Journal {
        &self.journal
    }

    /// The way out.
    #[must_use]
    pub const fn broker(&self) -> &Arc<Broker> {
        &self.broker
    }

    /// Its threads.
    #[must_use]
    pub const fn threads(&self) -> &Threads {
        &self.threads
    }

    /// The hashes that are computed of what passes: Wharf's own, and the service's if it reports one.
    #[must_use]
    pub fn algorithms(&self) -> Vec<Algorithm> {
        let service = self.manifest().upload.hash.filter(|own| *own != Algorithm::BlockSha256);
        std::iter::once(Algorithm::BlockSha256).chain(service).collect()
    }

    /// See that nothing is lost when the process ends: the records of what was sent are on disk, and
    /// so is a token that is being renewed.
    ///
    /// # Errors
    /// When the disk refuses.
    pub async fn settle(&self) -> Result<(), crate::audit::Error> {
        self.broker.settle().await?;
        let (refused, now) = (self.broker.audit().take_denied(), self.broker.clock().now());
        let counting = self.connector.counting();
        if let Err(error) = counting.keep(self.shelf().state(), refused, now).await {
            tracing::warn!(destination = %self.name, %error, "the connector's figures are not kept");
        }
        Ok(())
    }

    /// What is stored at `path`?
    ///
    /// # Errors
    /// Why it cannot be told.
    pub async fn stat(&self, path: &RelativePath) -> Result<Entry, Error> {
        self.not_our_own("stat", path)?;
        self.run("stat", path, |call| async move { self.connector.stat(&call, path).await }).await
    }

    /// A page of what is in a folder.
    ///
    /// # Errors
    /// Why it cannot be listed.
    pub async fn list(
        &self,
        path: &RelativePath,
        recursive: bool,
        next: Option<&str>,
    ) -> Result<Page, Error> {
        let mut page = self
            .run("list", path, |call| async move { self.connector.list(&call, path, recursive, next).await })
            .await?;
        page.entries.retain(|entry| Own::of(&entry.path).is_none());
        Ok(page)
    }

    /// Make a folder and the folders on the way to it.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub async fn make_folder(&self, path: &RelativePath) -> Result<Entry, Error> {
        self.may_change("make-folder", path).await?;
        self.run("make-folder", path, |call| async move { self.connector.make_folder(&call, path).await })
            .await
    }

    /// Remove files and folders; one result each, in the same order.
    ///
    /// # Errors
    /// Why none of them was removed.
    pub async fn remove(&self, items: &[Removal]) -> Result<Vec<Result<(), Error>>, Error> {
        let path = items.first().map(|item| item.path.clone()).unwrap_or_default();
        for item in items {
            self.may_change("remove", &item.path).await?;
        }
        let results = self
            .run("remove", &path, |call| async move { self.connector.remove(&call, items).await })
            .await?;
        let of = |(item, result): (&Removal, Result<(), operation::Error>)| {
            result.map_err(|problem| self.error("remove", &item.path, problem))
        };
        Ok(items.iter().zip(results).map(of).collect())
    }

    /// Store a file in one request. Returns what the service reports, and what passed.
    ///
    /// # Errors
    /// Why it cannot be stored.
    pub async fn put(
        &self,
        path: &RelativePath,
        section: &Section,
        info: &Info,
        moved: Option<&Moved>,
    ) -> Result<(Entry, Passed), Error> {
        self.may_store("put", path, info.size).await?;
        let work = |call: Call| async move {
            let call = Arc::new(call.hashing(Running::new(&self.algorithms())).with_progress(moved.cloned()));
            let entry = self.connector.put(&call, path, section.clone(), info).await?;
            Ok((entry, Passed::of(&call)))
        };
        self.run_call("put", path, work).await
    }

    /// Begin an upload in parts; `first` is sent along where the service takes it.
    ///
    /// # Errors
    /// Why it cannot be begun.
    pub async fn begin_upload(
        &self,
        path: &RelativePath,
        info: &Info,
        first: Option<&Section>,
        moved: Option<&Moved>,
    ) -> Result<(String, Progress, Passed), Error> {
        self.may_store("begin-upload", path, info.size).await?;
        let work = |call: Call| async move {
            let call = Arc::new(call.hashing(Running::new(&self.algorithms())).with_progress(moved.cloned()));
            let (session, progress) = self.connector.begin_upload(&call, path, info, first.cloned()).await?;
            Ok((session, progress, Passed::of(&call)))
        };
        self.run_call("begin-upload", path, work).await
    }

    /// Send one part; `running` is the hash of what lies before it.
    ///
    /// # Errors
    /// Why it cannot be sent.
    pub async fn upload_part(
        &self,
        path: &RelativePath,
        session: &str,
        info: &Info,
        part: &Section,
        running: &Running,
        moved: Option<&Moved>,
    ) -> Result<(Progress, Passed), Error> {
        self.may_change("upload-part", path).await?;
        let last = part.offset().saturating_add(part.size()) >= info.size;
        let work = |call: Call| async move {
            let call = Arc::new(call.hashing(running.clone()).with_progress(moved.cloned()));
            let sent =
                self.connector.upload_part(&call, session, part.offset(), info, part.clone(), last).await?;
            Ok((sent, Passed::of(&call)))
        };
        self.run_call("upload-part", path, work).await
    }

    /// Where does an upload stand?
    ///
    /// # Errors
    /// Why it cannot be told.
    pub async fn upload_status(
        &self,
        path: &RelativePath,
        session: &str,
        info: &Info,
    ) -> Result<Progress, Error> {
        let work = |call| async move { self.connector.upload_status(&call, session, path, info).await };
        self.run("upload-status", path, work).await
    }

    /// Forget an upload and what it has sent.
    ///
    /// # Errors
    /// Why it cannot be forgotten.
    pub async fn abort_upload(&self, path: &RelativePath, session: &str) -> Result<(), Error> {
        self.run(
            "abort-upload",
            path,
            |call| async move { self.connector.abort_upload(&call, session).await },
        )
        .await
    }

    /// Make staged uploads files; one result each, in the same order.
    ///
    /// # Errors
    /// Why none of them was.
    pub async fn finish_uploads(&self, uploads: &[Staged]) -> Result<Vec<Result<Entry, Error>>, Error> {
        let path = uploads.first().map(|upload| upload.path.clone()).unwrap_or_default();
        for upload in uploads {
            self.may_change("finish-uploads", &upload.path).await?;
        }
        let work = |call| async move { self.connector.finish_uploads(&call, uploads).await };
        let results = self.run("finish-uploads", &path, work).await?;
        let of = |(upload, result): (&Staged, Result<Entry, operation::Error>)| {
            result.map_err(|problem| self.error("finish-uploads", &upload.path, problem))
        };
        Ok(uploads.iter().zip(results).map(of).collect())
    }

    /// Read a file, or a part of it.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub async fn get(
        &self,
        path: &RelativePath,
        offset: u64,
        len: Option<u64>,
        revision: Option<&str>,
    ) -> Result<Opened, Error> {
        self.not_our_own("get", path)?;
        self.open(path, offset, len, revision).await
    }

    async fn open(
        &self,
        path: &RelativePath,
        offset: u64,
        len: Option<u64>,
        revision: Option<&str>,
    ) -> Result<Opened, Error> {
        let work = |permit: Permit, call: Call| async move {
            let call = Arc::new(call);
            let download = self.connector.get(&call, path, offset, len, revision).await?;
            Ok(Opened { download, _permit: permit })
        };
        self.run_permit("get", path, work).await
    }

    /// Give a file, or a folder with everything in it, another path, replacing nothing. The folder that
    /// is to hold it is made.
    ///
    /// # Errors
    /// Why it has its old path; [`Refusal::Unsupported`] where the service cannot, and nothing happened.
    pub async fn relocate(&self, from: &RelativePath, to: &RelativePath) -> Result<Entry, Error> {
        self.not_into_itself("relocate", from, to)?;
        self.may_change("relocate", from).await?;
        self.may_change("relocate", to).await?;
        self.hold(to).await?;
        let begun = self
            .run("relocate", from, |call| async move { self.connector.relocate(&call, from, to).await })
            .await?;
        self.relocated("relocate", begun, to).await
    }

    /// Copy a file, or a folder with everything in it, at the service, replacing nothing. The folder
    /// that is to hold it is made.
    ///
    /// # Errors
    /// As [`relocate`](Self::relocate).
    pub async fn copy(&self, from: &RelativePath, to: &RelativePath) -> Result<Entry, Error> {
        self.not_into_itself("copy", from, to)?;
        self.not_our_own("copy", from)?;
        self.may_store("copy", to, 0).await?;
        self.hold(to).await?;
        let begun =
            self.run("copy", from, |call| async move { self.connector.copy(&call, from, to).await }).await?;
        self.relocated("copy", begun, to).await
    }

    /// Wait for a job that an earlier [`relocate`](Self::relocate) or [`copy`](Self::copy) to `to` left at the
    /// service, in whatever process.
    ///
    /// # Errors
    /// As these.
    pub async fn resume(
        &self,
        operation: &'static str,
        job: String,
        to: &RelativePath,
    ) -> Result<Entry, Error> {
        self.may_change(operation, to).await?;
        self.relocated(operation, Relocation::Running(job), to).await
    }

    /// How full is the service?
    ///
    /// # Errors
    /// Why it cannot be told.
    pub async fn usage(&self) -> Result<Space, Error> {
        let root = RelativePath::root();
        let space = self.run("usage", &root, |call| async move { self.connector.usage(&call).await }).await?;
        self.gate.note_usage(self.shelf(), space).await;
        Ok(space)
    }

    /// What changed since a cursor, or all that is there?
    ///
    /// # Errors
    /// Why it cannot be told; [`Refusal::Unsupported`] where the service cannot.
    pub async fn changes(&self, cursor: Option<&str>) -> Result<ChangesPage, Error> {
        let root = RelativePath::root();
        self.run("changes", &root, |call| async move { self.connector.changes(&call, cursor).await }).await
    }

    /// See that there is a folder to hold `path`.
    async fn hold(&self, path: &RelativePath) -> Result<(), Error> {
        match path.parent().filter(|parent| !parent.is_root()) {
            Some(parent) => self.make_folder(&parent).await.map(drop),
            None => Ok(()),
        }
    }

    /// Wait until a relocation has come to its end, asking less and less often.
    async fn relocated(
        &self,
        operation: &'static str,
        begun: Relocation,
        to: &RelativePath,
    ) -> Result<Entry, Error> {
        let started = self.broker.clock().elapsed();
        let (mut state, mut wait) = (begun, RELOCATION_POLL_MIN);
        let mut noted = None;
        loop {
            let job = match state {
                Relocation::Done(entry) => return Ok(entry),
                Relocation::Running(job) => job,
            };
            if noted.as_ref() != Some(&job) {
                // Before it is waited for: who is killed meanwhile leaves to the next what to ask for.
                self.journal.note_job(to, &job).await.map_err(|error| self.unnoted(operation, to, &error))?;
                noted = Some(job.clone());
            }
            if self.broker.clock().elapsed().saturating_sub(started) > RELOCATION_MAX {
                let refusal = Refusal::Lost;
                let problem = operation::Error::Refused { refusal, cause: None };
                return Err(self.error(operation, to, problem));
            }
            self.broker.clock().sleep(wait).await;
            wait = wait.saturating_mul(2).min(RELOCATION_POLL_MAX);
            let status = |call| {
                let job = &job;
                async move { self.connector.relocation_status(&call, job, to).await }
            };
            state = self.run("relocation-status", to, status).await?;
        }
    }

    async fn run<T, W>(
        &self,
        operation: &'static str,
        path: &RelativePath,
        work: impl Fn(Arc<Call>) -> W,
    ) -> Result<T, Error>
    where
        W: Future<Output = Result<T, operation::Error>>,
    {
        self.run_call(operation, path, |call| work(Arc::new(call))).await
    }

    async fn run_call<T, W>(
        &self,
        operation: &'static str,
        path: &RelativePath,
        work: impl Fn(Call) -> W,
    ) -> Result<T, Error>
    where
        W: Future<Output = Result<T, operation::Error>>,
    {
        let work = |permit: Permit, call: Call| {
            let work = work(call);
            async move {
                let done = work.await;
                drop(permit);
                done
            }
        };
        self.run_permit(operation, path, work).await
    }

    /// One operation: with a permit, and again when the connector asks for patience.
    async fn run_permit<T, W>(
        &self,
        operation: &'static str,
        path: &RelativePath,
        work: impl Fn(Permit, Call) -> W,
    ) -> Result<T, Error>
    where
        W: Future<Output = Result<T, operation::Error>>,
    {
        let started = self.broker.clock().elapsed();
        let mut attempts = Attempts::new(self.budget, Replay::Safe);
        loop {
            let permit = self.threads.permit().await;
            self.have_leave(operation, path).await?;
            let call = self.broker.call(operation);
            let number = call.number();
            let span = tracing::debug_span!("operation", destination = %self.name, operation, path = %path);
            let problem = match work(permit, call).instrument(span).await {
                Ok(done) => return Ok(done),
                Err(problem) => problem,
            };
            let Some(Refusal::Throttled(asked)) = problem.refusal() else {
                if let Some(rule) = breakdown(&problem) {
                    self.broker.ended(operation, number, rule, problem.to_string()).await;
                }
                return Err(self.error(operation, path, problem));
            };
            let elapsed = self.broker.clock().elapsed().saturating_sub(started);
            match attempts.note(Outcome::Claimed(*asked), elapsed, &mut || rand::random()) {
                Verdict::PauseDestination(pause)
                | Verdict::PauseAccount(pause)
                | Verdict::RetryAfter(pause) => {
                    self.be_silent(operation, pause).await;
                }
                Verdict::Deliver
                | Verdict::DeliverAndPause(_)
                | Verdict::RefreshOnce
                | Verdict::GiveUp(_) => {
                    return Err(self.error(operation, path, problem));
                }
            }
        }
    }

    /// What was allowed when the destination was attached may not be any more.
    async fn have_leave(&self, operation: &'static str, path: &RelativePath) -> Result<(), Error> {
        let Err(error) = self.leave.check() else { return Ok(()) };
        let reason = error.to_string();
        self.broker.stopped(operation, &reason).await;
        Err(self.error(operation, path, operation::Error::Stopped { reason, hint: error.hint() }))
    }

    /// Wait as an operation's own refusal asks, when it was one of several that were asked together.
    pub(crate) async fn patience(&self, error: &Error) {
        if let Some(Refusal::Throttled(asked)) = error.problem.refusal() {
            let pause = crate::retry::clamp(asked.unwrap_or(crate::retry::PAUSE_MIN));
            self.be_silent(error.operation, pause).await;
        }
    }

    /// The connector claims that the service asks for patience: this destination waits, others do not.
    async fn be_silent(&self, operation: &'static str, pause: Duration) {
        self.broker.claimed(operation, pause).await;
        self.broker.pause(pause);
        self.broker.clock().sleep(pause).await;
    }

    fn error(&self, operation: &'static str, path: &RelativePath, problem: operation::Error) -> Error {
        let folder = self.broker.folder().cloned();
        Error { destination: self.name.clone(), operation, path: path.clone(), problem, folder }
    }
}

/// What an operator finds an operation under that its connector did not bring to an end.
const fn breakdown(problem: &operation::Error) -> Option<&'static str> {
    match problem {
        operation::Error::Trapped(_) => Some("broke-down"),
        operation::Error::Overdrawn(_) => Some("overdrawn"),
        operation::Error::Nonsense(_) => Some("nonsense"),
        operation::Error::Refused { .. } | operation::Error::Stopped { .. } => None,
    }
}
