//! One file down.
//!
//! The bytes go into a file beside the target, hashed on the way; a connection that ends early is
//! taken up where it ended, for the same revision, and so is a large file that an earlier process
//! left. Only what has the right length and hash gets the target's name. Writing has a thread of its own,
//! so that network and disk work at the same time.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::mpsc;

use super::local::{Partial, Target};
use super::{Error, Event, Evidence, Mismatch, Observer, Remains, verify};
use crate::attached::{self, Attached};
use crate::entry::Entry;
use crate::hash::{Algorithm, Digest, Digests, Running};
use crate::path::RelativePath;
use crate::sandbox::operation::Refusal;

/// How often in a row a download may end without a new byte before it is given up. The requests
/// themselves are retried below this.
const STANDSTILLS_MAX: u32 = 5;
/// Chunks between network and disk. One is some ten kilobytes, half a megabyte at the very most.
const CHUNKS_MAX: usize = 16;

/// A file of fewer bytes is fetched anew sooner than it is journaled, and is no more than a part.
const JOURNAL_BYTES_MIN: u64 = 16 * 1024 * 1024;

/// What a download should come to.
#[derive(Debug)]
pub(super) struct Expected<'a> {
    /// What the service says.
    pub(super) entry: &'a Entry,
    /// Wharf's own hash, remembered from when it was stored: it sees what a weak hash does not.
    pub(super) own: Option<Digest>,
    /// The modification time that the file is to have.
    pub(super) modified: Option<Timestamp>,
}

impl Expected<'_> {
    fn verify(&self, passed: &Digests) -> Result<Evidence, Mismatch> {
        let evidence = verify::verify(self.entry, passed)?;
        match &self.own {
            Some(own) => {
                let with_own = Entry { hash: Some(own.clone()), ..self.entry.clone() };
                verify::verify(&with_own, passed)
            }
            None => Ok(evidence),
        }
    }
}

/// Read a file to its end, keeping nothing of it but its hashes.
pub(crate) async fn read_only(attached: &Attached, entry: &Entry) -> Result<Digests, Error> {
    let mut algorithms = attached.algorithms();
    algorithms.extend(entry.hash.as_ref().map(Digest::algorithm));
    let hasher = Hasher(Mutex::new(Running::new(&algorithms)));
    let reader = Reader { attached, entry, into: &entry.path, observer: &Nobody };
    reader.read(0, &hasher).await?;
    Ok(hasher.0.into_inner().unwrap_or_else(PoisonError::into_inner).finish())
}

/// Takes the bytes that a reader brings, in their order.
trait Sink {
    async fn write(&self, chunk: Bytes) -> Result<(), Error>;
}

/// Only hashes.
struct Hasher(Mutex<Running>);

impl Sink for Hasher {
    async fn write(&self, chunk: Bytes) -> Result<(), Error> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).update(&chunk);
        Ok(())
    }
}

/// Whom nobody tells anything.
struct Nobody;

impl Observer for Nobody {
    fn event(&self, _: Event<'_>) {}
}

/// Read a file into the target folder, verified.
pub(super) async fn receive(
    attached: &Attached,
    expected: &Expected<'_>,
    target: &Target,
    into: &RelativePath,
    observer: &dyn Observer,
) -> Result<Evidence, Error> {
    let download = Download { attached, expected, target, into, observer };
    let mut came = download.run(Start::WhereItStands).await?;
    if matches!(came, Came::Wrong { resumed_at: 1.., .. }) {
        // After a power cut a file can have its length and not its bytes.
        came = download.run(Start::Anew).await?;
    }
    match came {
        Came::Right(evidence) => Ok(evidence),
        Came::Wrong { mismatch, .. } => Err(download.corrupt(mismatch)),
    }
}

struct Download<'a> {
    attached: &'a Attached,
    expected: &'a Expected<'a>,
    target: &'a Target,
    into: &'a RelativePath,
    observer: &'a dyn Observer,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// With what an earlier process left, if it left anything.
    WhereItStands,
    Anew,
}

/// What a download came to.
enum Came {
    Right(Evidence),
    Wrong { mismatch: Mismatch, resumed_at: u64 },
}

impl Download<'_> {
    async fn run(&self, start: Start) -> Result<Came, Error> {
        let entry = self.expected.entry;
        let journal = self.attached.journal();
        let place = self.target.place(self.into);
        let (place, mark) = (std::path::absolute(&place).unwrap_or(place), self.mark());
        let left = match (&mark, start) {
            (Some(mark), Start::WhereItStands) => journal.download(&place).await?.as_ref() == Some(mark),
            (Some(_), Start::Anew) | (None, _) => false,
        };
        let partial = self.target.begin(self.into, left.then_some(entry.size))?;
        let resumed_at = partial.size();
        if let Some(mark) = mark.as_ref().filter(|_| !left) {
            journal.begin_download(&place, mark).await?;
        }
        self.observer.event(Event::Moved { path: self.into, bytes: resumed_at });
        let mut algorithms = self.attached.algorithms();
        algorithms.extend(entry.hash.as_ref().map(Digest::algorithm));
        let writer = Writer::new(partial, &algorithms);
        let reader = Reader { attached: self.attached, entry, into: self.into, observer: self.observer };
        let read = reader.read(resumed_at, &writer).await;
        // What went wrong with writing is why reading ended.
        let (partial, digests) = writer.finish().await?;
        if let Err(error) = read {
            if mark.is_some() {
                partial.leave();
            }
            return Err(error);
        }
        let verified = self.expected.verify(&digests);
        if verified.is_ok() {
            let modified = self.expected.modified;
            tokio::task::spawn_blocking(move || partial.keep(modified)).await.map_err(stopped)??;
        }
        if mark.is_some() {
            journal.end_download(&place).await?;
        }
        Ok(match verified {
            Ok(evidence) => Came::Right(evidence),
            Err(mismatch) => {
                self.observer.event(Event::Rewound { path: self.into, bytes: entry.size });
                Came::Wrong { mismatch, resumed_at }
            }
        })
    }

    /// What a partial file must be of to be taken up: this very version. None when it is not worth it,
    /// or the service does not name its versions.
    fn mark(&self) -> Option<String> {
        let entry = self.expected.entry;
        let revision = entry.revision.as_ref().filter(|_| entry.size >= JOURNAL_BYTES_MIN)?;
        Some(format!("{}:{} {} {revision}", self.attached.name(), entry.path, entry.size))
    }

    fn corrupt(&self, mismatch: Mismatch) -> Error {
        let place = self.target.place(self.into).to_string_lossy().into_owned();
        Error::Corrupt { place, mismatch, remains: Remains::Removed }
    }
}

struct Reader<'a> {
    attached: &'a Attached,
    entry: &'a Entry,
    into: &'a RelativePath,
    observer: &'a dyn Observer,
}

impl Reader<'_> {
    /// Read from `start` to the end, taking it up again where it ended early.
    async fn read(&self, start: u64, writer: &impl Sink) -> Result<(), Error> {
        let (mut at, mut standstills) = (start, 0_u32);
        if at == self.entry.size && at > 0 {
            return Ok(());
        }
        let mut reason = "it ended early".to_owned();
        while standstills <= STANDSTILLS_MAX {
            let before = at;
            match self.stretch(&mut at, writer).await? {
                None if at >= self.entry.size => return Ok(()),
                None => {}
                Some(told) => reason = told,
            }
            standstills = if at > before { 0 } else { standstills.saturating_add(1) };
        }
        Err(Error::Incomplete { place: format!("{}:{}", self.attached.name(), self.entry.path), reason })
    }

    /// One request's worth, from `at` on. Returns why it ended early, if it did.
    async fn stretch(&self, at: &mut u64, writer: &impl Sink) -> Result<Option<String>, Error> {
        let opened = self.attached.get(&self.entry.path, *at, None, self.entry.revision.as_deref()).await;
        let mut opened = match opened {
            Ok(opened) => opened,
            Err(error) if may_pass(&error) => return Ok(Some(error.to_string())),
            Err(error) => return Err(error.into()),
        };
        let mut skip = at.saturating_sub(opened.download.offset);
        loop {
            let chunk = match opened.download.body.chunk().await {
                Ok(Some(chunk)) => chunk,
                Ok(None) => return Ok(None),
                Err(error) => return Ok(Some(error.to_string())),
            };
            let length = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
            let skipped = skip.min(length);
            skip = skip.saturating_sub(skipped);
            let left = self.entry.size.saturating_sub(*at);
            let taken = length.saturating_sub(skipped).min(left.saturating_add(1));
            let start = usize::try_from(skipped).unwrap_or(usize::MAX);
            let end = start.saturating_add(usize::try_from(taken).unwrap_or(usize::MAX)).min(chunk.len());
            if taken > 0 {
                writer.write(chunk.slice(start.min(end)..end)).await?;
                *at = at.saturating_add(taken);
                self.observer.event(Event::Moved { path: self.into, bytes: taken });
            }
            // One byte too many is enough to know that it is not the file that was listed.
            if *at > self.entry.size {
                return Ok(None);
            }
        }
    }
}

/// Failures of a read that may have passed by the next.
fn may_pass(error: &attached::Error) -> bool {
    matches!(error.problem.refusal(), Some(Refusal::Lost | Refusal::Unavailable))
}

/// Hashes and writes on a thread of its own.
struct Writer {
    chunks: mpsc::Sender<Bytes>,
    done: tokio::task::JoinHandle<Result<(Partial, Running), Error>>,
}

impl Writer {
    fn new(mut partial: Partial, algorithms: &[Algorithm]) -> Self {
        let (chunks, mut arriving) = mpsc::channel::<Bytes>(CHUNKS_MAX);
        let mut running = Running::new(algorithms);
        let done = tokio::task::spawn_blocking(move || {
            partial.hash_into(&mut running)?;
            while let Some(chunk) = arriving.blocking_recv() {
                running.update(&chunk);
                partial.write(&chunk)?;
            }
            Ok((partial, running))
        });
        Self { chunks, done }
    }

    async fn finish(self) -> Result<(Partial, Digests), Error> {
        drop(self.chunks);
        let (partial, running) = self.done.await.map_err(stopped)??;
        Ok((partial, running.finish()))
    }
}

impl Sink for Writer {
    async fn write(&self, chunk: Bytes) -> Result<(), Error> {
        // When nobody takes it, writing has failed; `finish` has the reason.
        let taken = self.chunks.send(chunk).await;
        taken.map_err(|_| Error::Local {
            action: "write",
            path: "the target".into(),
            problem: std::io::Error::other("writing ended"),
        })
    }
}

fn stopped(error: tokio::task::JoinError) -> Error {
    Error::Local { action: "write", path: "the target".into(), problem: error.into() }
}
