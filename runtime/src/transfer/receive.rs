//! One file down.
//!
//! The bytes go into a file beside the target, hashed on the way; a connection that ends early is
//! taken up where it ended, for the same revision. Only what has the right length and hash gets the
//! target's name. Writing has a thread of its own, so that network and disk work at the same time.

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

/// Read a file into the target folder, verified.
pub(super) async fn receive(
    attached: &Attached,
    expected: &Expected<'_>,
    target: &Target,
    into: &RelativePath,
    observer: &dyn Observer,
) -> Result<Evidence, Error> {
    let entry = expected.entry;
    let mut algorithms = attached.algorithms();
    algorithms.extend(entry.hash.as_ref().map(Digest::algorithm));
    let writer = Writer::new(target.begin(into)?, &algorithms);
    let read = Reader { attached, entry, into, observer }.read(&writer).await;
    // What went wrong with writing is why reading ended.
    let (partial, digests) = writer.finish().await?;
    read?;
    match expected.verify(&digests) {
        Ok(evidence) => {
            let modified = expected.modified;
            tokio::task::spawn_blocking(move || partial.keep(modified)).await.map_err(stopped)??;
            Ok(evidence)
        }
        Err(mismatch) => {
            let place = target.place(into).to_string_lossy().into_owned();
            Err(Error::Corrupt { place, mismatch, remains: Remains::Removed })
        }
    }
}

struct Reader<'a> {
    attached: &'a Attached,
    entry: &'a Entry,
    into: &'a RelativePath,
    observer: &'a dyn Observer,
}

impl Reader<'_> {
    /// Read to the end, taking it up again where it ended early.
    async fn read(&self, writer: &Writer) -> Result<(), Error> {
        let (mut at, mut standstills) = (0_u64, 0_u32);
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
    async fn stretch(&self, at: &mut u64, writer: &Writer) -> Result<Option<String>, Error> {
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
            while let Some(chunk) = arriving.blocking_recv() {
                running.update(&chunk);
                partial.write(&chunk)?;
            }
            Ok((partial, running))
        });
        Self { chunks, done }
    }

    async fn write(&self, chunk: Bytes) -> Result<(), Error> {
        // When nobody takes it, writing has failed; `finish` has the reason.
        let taken = self.chunks.send(chunk).await;
        taken.map_err(|_| Error::Local {
            action: "write",
            path: "the target".into(),
            problem: std::io::Error::other("writing ended"),
        })
    }

    async fn finish(self) -> Result<(Partial, Digests), Error> {
        drop(self.chunks);
        let (partial, running) = self.done.await.map_err(stopped)??;
        Ok((partial, running.finish()))
    }
}

fn stopped(error: tokio::task::JoinError) -> Error {
    Error::Local { action: "write", path: "the target".into(), problem: error.into() }
}
