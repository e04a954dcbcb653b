//! A file or a tree up.
//!
//! Folder by folder: what is in it here, what is stored there, and what to do about each file. A
//! folder that does not exist at the service is not listed, and neither is anything below it.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::collide;
use super::compare::{Comparison, compare};
use super::local::{self, FileFacts, Found, What};
use super::pages::Pages;
use super::send::{self, Sent};
use super::work::Work;
use super::{Error, Event, Evidence, Observer, Options, Summary};
use crate::ErrorKind;
use crate::attached::Attached;
use crate::catalog;
use crate::content::{Progress, Section, Source};
use crate::entry::{Entry, Info, Kind, Mode};
use crate::hash::{Algorithm, Digest, Running};
use crate::manifest::Names;
use crate::path::RelativePath;

/// Copy a file, or what is in a folder, into the folder `target`.
///
/// One file that fails does not stop the others: it is reported, and counted in the summary.
///
/// # Errors
/// When nothing can be done at all: the source cannot be read, or the target is no folder.
pub async fn upload(
    attached: &Attached,
    source: &Path,
    target: &RelativePath,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Summary, Error> {
    let up = Up { attached, target, options, observer, counted: Counted::default() };
    let first = match local::look_at(source)? {
        What::Folder => {
            Job::Folder { from: source.to_owned(), path: RelativePath::root(), stored: Stored::Unknown }
        }
        What::File(facts) => up.single(source, facts).await?,
        What::Other(reason) => {
            let path = source.to_string_lossy().into_owned();
            return Err(Error::Name { path, problem: reason.to_owned() });
        }
    };
    let work = Work::new(first);
    let failure = Mutex::new(None);
    work.run(attached.threads().limit(), async |job| {
        if let Err(error) = up.job(job, &work).await {
            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    })
    .await;
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(up.counted.summary()),
    }
}

#[derive(Debug)]
enum Job {
    Folder {
        from: PathBuf,
        path: RelativePath,
        stored: Stored,
    },
    /// A folder with nothing in it; every other is made by what is put into it.
    EmptyFolder {
        path: RelativePath,
    },
    File {
        from: PathBuf,
        path: RelativePath,
        facts: FileFacts,
        stored: Option<Entry>,
    },
}

/// What is in a folder.
#[derive(Debug)]
enum Contents {
    /// This is to be done.
    Jobs(Vec<Job>),
    /// Nothing, and it is not there yet.
    Nothing,
}

/// Is a folder at the service?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stored {
    /// Nobody looked yet.
    Unknown,
    Yes,
    No,
}

struct Up<'a> {
    attached: &'a Attached,
    target: &'a RelativePath,
    options: &'a Options,
    observer: &'a dyn Observer,
    counted: Counted,
}

#[derive(Debug, Default)]
pub(super) struct Counted {
    pub(super) files_copied: AtomicU64,
    pub(super) bytes_copied: AtomicU64,
    pub(super) files_unchanged: AtomicU64,
    pub(super) folders_made: AtomicU64,
    pub(super) files_failed: AtomicU64,
    pub(super) skipped: AtomicU64,
}

impl Counted {
    pub(super) fn summary(&self) -> Summary {
        Summary {
            files_copied: self.files_copied.load(Ordering::Relaxed),
            bytes_copied: self.bytes_copied.load(Ordering::Relaxed),
            files_unchanged: self.files_unchanged.load(Ordering::Relaxed),
            folders_made: self.folders_made.load(Ordering::Relaxed),
            files_failed: self.files_failed.load(Ordering::Relaxed),
            skipped: self.skipped.load(Ordering::Relaxed),
        }
    }

    pub(super) fn one(count: &AtomicU64) {
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Up<'_> {
    /// A single file goes into the target folder under its own name.
    async fn single(&self, from: &Path, facts: FileFacts) -> Result<Job, Error> {
        let unnamed = || Error::Name {
            path: from.to_string_lossy().into_owned(),
            problem: "it has no name in UTF-8".to_owned(),
        };
        let name = from.file_name().and_then(|name| name.to_str()).ok_or_else(unnamed)?;
        let path = RelativePath::parse(name).map_err(|_| unnamed())?;
        let stored = match self.attached.stat(&self.place(&path)?).await {
            Ok(entry) => Some(entry),
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Job::File { from: from.to_owned(), path, facts, stored })
    }

    /// Where something below the copied root is stored.
    fn place(&self, path: &RelativePath) -> Result<RelativePath, Error> {
        let too_long =
            |error: crate::path::Error| Error::Name { path: path.to_string(), problem: error.to_string() };
        self.target.join(path).map_err(too_long)
    }

    /// An error is one that ends the whole transfer; what concerns one file is reported here.
    async fn job(&self, job: Job, work: &Work<Job>) -> Result<(), Error> {
        match job {
            Job::Folder { from, path, stored } => match self.folder(&from, &path, stored).await {
                Ok(Contents::Jobs(jobs)) => work.add(jobs),
                // Last, when the folders on the way are there.
                Ok(Contents::Nothing) => work.add_last(Job::EmptyFolder { path }),
                Err(error) if path.is_root() => return Err(error),
                Err(error) => self.failed(&path, &error),
            },
            Job::EmptyFolder { path } => {
                if let Err(error) = self.make_folder(&path).await {
                    self.failed(&path, &error);
                }
            }
            Job::File { from, path, facts, stored } => {
                if let Err(error) = self.file(&from, &path, facts, stored).await {
                    self.failed(&path, &error);
                }
            }
        }
        Ok(())
    }

    fn failed(&self, path: &RelativePath, error: &Error) {
        Counted::one(&self.counted.files_failed);
        self.observer.event(Event::Failed { path, error });
    }

    /// What is to be done about what is in a folder.
    async fn folder(&self, from: &Path, path: &RelativePath, stored: Stored) -> Result<Contents, Error> {
        let (folder, copy_links) = (from.to_owned(), self.options.copy_links);
        let reading = tokio::task::spawn_blocking(move || local::read_folder(&folder, copy_links));
        let found = reading.await.map_err(|problem| Error::local("read", from, problem.into()))??;
        let found = collide::refuse(found, self.attached.manifest(), |found| self.takes(found, path));
        let mut there = match stored {
            Stored::No => None,
            Stored::Yes | Stored::Unknown => self.listing(path).await?,
        };
        let is_there = there.is_some();
        if !is_there && found.is_empty() {
            return Ok(Contents::Nothing);
        }
        let mut jobs = Vec::new();
        for one in found {
            match one {
                Ok(found) => jobs.extend(self.plan(found, path, is_there, &mut there)),
                Err(error) => self.failed(path, &error),
            }
        }
        // The last added is taken first.
        jobs.reverse();
        Ok(Contents::Jobs(jobs))
    }

    fn plan(
        &self,
        found: Found,
        folder: &RelativePath,
        folder_is_there: bool,
        there: &mut Option<HashMap<String, Entry>>,
    ) -> Option<Job> {
        let path = match RelativePath::parse(&found.name).and_then(|name| folder.join(&name)) {
            Ok(path) => path,
            Err(error) => {
                let path = found.path.to_string_lossy().into_owned();
                self.failed(folder, &Error::Name { path, problem: error.to_string() });
                return None;
            }
        };
        let stored = there.as_mut().and_then(|there| there.remove(&*self.names().key(&found.name)));
        match (found.what, stored) {
            (What::Other(text), _) => {
                Counted::one(&self.counted.skipped);
                self.observer.event(Event::Notice { path: &path, text });
                None
            }
            (What::File(_), _) if !self.options.takes(&path) => None,
            (What::File(facts), stored) => {
                if let Some(entry) = stored.as_ref().filter(|entry| entry.kind == Kind::Folder) {
                    self.failed(&path, &self.wrong_kind(entry, "folder", "file"));
                    return None;
                }
                Some(Job::File { from: found.path, path, facts, stored })
            }
            (What::Folder, Some(entry)) if entry.kind == Kind::File => {
                self.failed(&path, &self.wrong_kind(&entry, "file", "folder"));
                None
            }
            (What::Folder, stored) => {
                let stored = match (stored, folder_is_there) {
                    (Some(_), _) => Stored::Yes,
                    (None, _) => Stored::No,
                };
                Some(Job::Folder { from: found.path, path, stored })
            }
        }
    }

    /// Does it take part in the copy?
    fn takes(&self, found: &Found, folder: &RelativePath) -> bool {
        match &found.what {
            What::Folder => true,
            What::File(_) => {
                let path = RelativePath::parse(&found.name).and_then(|name| folder.join(&name));
                path.is_ok_and(|path| self.options.takes(&path))
            }
            What::Other(_) => false,
        }
    }

    fn names(&self) -> Names {
        self.attached.manifest().names
    }

    fn wrong_kind(&self, entry: &Entry, is: &'static str, needed: &'static str) -> Error {
        Error::WrongKind { place: format!("{}:{}", self.attached.name(), entry.path), is, needed }
    }

    /// What is stored in a folder, by what its names are to the service; none when the folder is not there.
    async fn listing(&self, path: &RelativePath) -> Result<Option<HashMap<String, Entry>>, Error> {
        let place = self.place(path)?;
        let mut there = HashMap::new();
        let mut pages = Pages::default();
        loop {
            let page = match self.attached.list(&place, false, pages.due()).await {
                Ok(page) => page,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let more = pages.after(&page, &format!("{}:{place}", self.attached.name()))?;
            let key = |entry: &Entry| Some(self.names().key(entry.path.name()?).into_owned());
            there.extend(page.entries.into_iter().filter_map(|entry| Some((key(&entry)?, entry))));
            if !more {
                return Ok(Some(there));
            }
        }
    }

    async fn make_folder(&self, path: &RelativePath) -> Result<(), Error> {
        if !self.options.dry_run {
            self.attached.make_folder(&self.place(path)?).await?;
        }
        Counted::one(&self.counted.folders_made);
        self.observer.event(Event::FolderMade { path });
        Ok(())
    }

    async fn file(
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
        let sending = send::send(self.attached, &place, &source, &info, Some(&moved));
        let sent = watched(sending, &bytes, path, info.size, self.observer).await?;
        self.remember(&place, &info, &sent).await?;
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

    async fn remember(&self, place: &RelativePath, info: &Info, sent: &Sent) -> Result<(), Error> {
        let own = sent.digests.get(Algorithm::BlockSha256);
        let known = memory(place, info.modified, &sent.entry, own, sent.digests.get(Algorithm::QuickXor));
        Ok(self.attached.shelf().record(vec![known]).await?)
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
    tokio::pin!(sending);
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
