//! What becomes of one file of an upload.
//!
//! It is compared with what is stored, sent if it differs, verified, and remembered in the catalog in
//! the same transaction in which the journal forgets it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::commit::Waiting;
use super::compare::{Comparison, compare};
use super::local::{self, FileFacts};
use super::send::{self, Ended, Sent, Upload};
use super::up::{Counted, Up};
use super::{Error, Event, Evidence, Observer};
use crate::catalog;
use crate::content::{Progress, Section, Source};
use crate::entry::{Entry, Info, Kind, Mode};
use crate::hash::{Algorithm, Digest, Running};
use crate::journal::Known;
use crate::path::RelativePath;

impl Up<'_> {
    /// See to a file: is it there already, and if not, send it.
    pub(super) async fn file(
        &self,
        from: &Path,
        path: &RelativePath,
        facts: FileFacts,
        stored: Option<Entry>,
    ) -> Result<(), Error> {
        if let Some(entry) = &stored {
            match entry.kind {
                Kind::Folder => return Err(self.wrong_kind(entry, "folder", "file")),
                Kind::File => {
                    if self.is_same(from, path, facts, entry).await? {
                        self.forget_upload(path).await?;
                        Counted::one(&self.counted.files_unchanged);
                        self.observer.event(Event::Skipped { path });
                        return Ok(());
                    }
                }
            }
        }
        self.observer.event(Event::Found { path, size: facts.size });
        if self.options.dry_run {
            return self.copied(path, facts.size, Evidence::Size);
        }
        self.send(from, path, self.commits.is_some()).await
    }

    /// Send a file. Staged, it waits for the others of its commit.
    async fn send(&self, from: &Path, path: &RelativePath, stage: bool) -> Result<(), Error> {
        let (source, opened) = open(from).await?;
        let place = self.place(path)?;
        let info = Info {
            size: opened.size,
            modified: opened.modified,
            keep_modified: self.options.keep_times,
            mode: Mode::Replace,
        };
        self.observer.event(Event::Started { path, size: info.size });
        let bytes = Arc::new(AtomicU64::new(0));
        let moved: Progress = {
            let bytes = Arc::clone(&bytes);
            Arc::new(move |more| {
                bytes.fetch_add(more, Ordering::Relaxed);
            })
        };
        let is_small = info.size <= self.attached.manifest().upload.part_size;
        if !is_small {
            // Nothing small waits for something large.
            self.commit().await;
        }
        let upload = Upload {
            attached: self.attached,
            path: &place,
            source: &source,
            info: &info,
            moved: Some(&moved),
            journaled: self.journaled.contains(&place),
            stage: stage && is_small,
        };
        match watched(upload.send(), &bytes, path, info.size, self.observer).await? {
            Ended::Stored(sent) => self.stored(path, &place, &info, sent).await,
            Ended::Staged { session, digests } => match &self.commits {
                Some(commits) if stage => {
                    let (from, path) = (from.to_owned(), path.clone());
                    let enough = commits.add(Waiting { from, path, place, info, session, digests });
                    if enough || !is_small {
                        self.commit().await;
                    }
                    Ok(())
                }
                Some(_) | None => {
                    let sent = upload.commit(&session, digests).await?;
                    self.stored(path, &place, &info, sent).await
                }
            },
        }
    }

    /// Commit all that waits.
    pub(super) async fn commit_all(&self) {
        while self.commits.as_ref().is_some_and(|commits| !commits.is_empty()) {
            self.commit().await;
        }
    }

    /// Commit what waits, at most a batch, and see to each of its files.
    async fn commit(&self) {
        let Some(commits) = self.commits.as_ref().filter(|commits| !commits.is_empty()) else { return };
        let committed = commits.commit(self.attached).await;
        let settled = committed.stored.into_iter().map(|(file, entry)| self.settle(file, entry));
        futures_util::future::join_all(settled).await;
        for file in committed.gone {
            if let Err(error) = Box::pin(self.send(&file.from, &file.path, false)).await {
                self.failed(&file.path, &error);
            }
        }
        for (file, error) in committed.failed {
            self.failed(&file.path, &error.into());
        }
    }

    /// A file that was committed with others: it counts once it has proved to be what was meant.
    async fn settle(&self, file: Waiting, entry: Entry) {
        let Waiting { from: _, path, place, info, session: _, digests } = file;
        let verified = match send::verified(self.attached, &place, entry, digests).await {
            Ok(sent) => self.stored(&path, &place, &info, sent).await,
            Err(error) => match self.attached.journal().end(&place, None).await {
                Ok(()) => Err(error),
                Err(unrecorded) => Err(unrecorded.into()),
            },
        };
        if let Err(error) = verified {
            self.failed(&path, &error);
        }
    }

    /// A file is stored: the catalog knows it, and the journal no longer needs to.
    async fn stored(
        &self,
        path: &RelativePath,
        place: &RelativePath,
        info: &Info,
        sent: Sent,
    ) -> Result<(), Error> {
        let own = sent.digests.get(Algorithm::BlockSha256);
        let known = memory(place, info.modified, &sent.entry, own, sent.digests.get(Algorithm::QuickXor));
        self.attached.journal().end(place, Some(known)).await?;
        self.copied(path, info.size, sent.evidence)
    }

    fn copied(&self, path: &RelativePath, size: u64, evidence: Evidence) -> Result<(), Error> {
        Counted::one(&self.counted.files_copied);
        self.counted.bytes_copied.fetch_add(size, Ordering::Relaxed);
        self.observer.event(Event::Copied { path, size, verified: evidence == Evidence::Hash });
        Ok(())
    }

    /// Is the stored file the one that is here?
    async fn is_same(
        &self,
        from: &Path,
        path: &RelativePath,
        facts: FileFacts,
        entry: &Entry,
    ) -> Result<bool, Error> {
        if facts.size != entry.size {
            return Ok(false);
        }
        let remembered = self.attached.shelf().get(&self.place(path)?).await?;
        let digest = match compare(facts, entry, remembered.as_ref(), self.options.checksum) {
            Comparison::Same => return Ok(true),
            Comparison::Different => return Ok(false),
            Comparison::IfHash(digest) => digest,
        };
        let (source, opened) = open(from).await?;
        let algorithms = [Algorithm::BlockSha256, digest.algorithm()];
        let digests = send::hash(Section::whole(source), Running::new(&algorithms)).await?.finish();
        if digests.get(digest.algorithm()) != Some(&digest) {
            return Ok(false);
        }
        if !self.options.dry_run {
            let own = digests.get(Algorithm::BlockSha256);
            let known =
                memory(&self.place(path)?, opened.modified, entry, own, digests.get(Algorithm::QuickXor));
            self.attached.shelf().record(vec![known]).await?;
        }
        Ok(true)
    }

    /// The file is there: whatever an earlier process had begun is of no use any more.
    async fn forget_upload(&self, path: &RelativePath) -> Result<(), Error> {
        let place = self.place(path)?;
        if self.journaled.contains(&place)
            && !self.options.dry_run
            && let Known::Ours(_) = self.attached.journal().take(&place).await?
        {
            self.attached.journal().end(&place, None).await?;
        }
        Ok(())
    }
}

fn memory(
    place: &RelativePath,
    modified: Option<jiff::Timestamp>,
    entry: &Entry,
    own: Option<&Digest>,
    quickxor: Option<&Digest>,
) -> catalog::Entry {
    catalog::Entry {
        path: place.clone(),
        size: entry.size,
        modified_ns: modified.and_then(|time| i64::try_from(time.as_nanosecond()).ok()),
        revision: entry.revision.clone(),
        block_sha256: own.and_then(|digest| digest.bytes().try_into().ok()),
        quickxor: quickxor.and_then(|digest| digest.bytes().try_into().ok()),
        stored_at: std::time::SystemTime::now(),
    }
}

/// Open a source; what it is at that moment is what is promised to the service.
async fn open(from: &Path) -> Result<(Arc<Source>, FileFacts), Error> {
    let path = from.to_owned();
    let opening = tokio::task::spawn_blocking(move || Source::open(&path)).await;
    let source = Arc::new(opening.map_err(|problem| Error::local("read", from, problem.into()))??);
    let facts = FileFacts { size: source.size(), modified: source.identity().and_then(local::modified) };
    Ok((source, facts))
}

/// Tell the observer how a file moves, several times a second, and take back what a retry sends again.
async fn watched<T>(
    sending: impl Future<Output = Result<T, Error>>,
    bytes: &AtomicU64,
    path: &RelativePath,
    size: u64,
    observer: &dyn Observer,
) -> Result<T, Error> {
    let mut sending = Box::pin(sending);
    let mut told = 0_u64;
    let mut tell = |now: u64| {
        let now = now.min(size);
        if now > told {
            observer.event(Event::Moved { path, bytes: now.saturating_sub(told) });
        }
        told = told.max(now);
    };
    loop {
        tokio::select! {
            sent = &mut sending => {
                if sent.is_ok() {
                    tell(size);
                } else if told > 0 {
                    observer.event(Event::Rewound { path, bytes: told });
                }
                return sent;
            }
            () = tokio::time::sleep(TELL_INTERVAL) => tell(bytes.load(Ordering::Relaxed)),
        }
    }
}

/// How often progress is told: often enough to look alive.
const TELL_INTERVAL: std::time::Duration = std::time::Duration::from_millis(100);
