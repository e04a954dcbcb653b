//! A file or a tree up.
//!
//! Folder by folder: what is in it here, what is stored there, and what to do about each file. A
//! folder that does not exist at the service is not listed, and neither is anything below it.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::collide;
use super::commit::Commits;
use super::local::{self, FileFacts, Found, What};
use super::overlap::{self, Way};
use super::pages::Pages;
use super::work::Work;
use super::{Error, Event, Observer, Options, Summary};
use crate::ErrorKind;
use crate::attached::Attached;
use crate::entry::{Entry, Kind};
use crate::manifest::Names;
use crate::path::RelativePath;

/// Copy a file, or what is in a folder, into the folder `target`.
///
/// One file that fails does not stop the others: it is reported, and counted in the summary.
///
/// # Errors
/// When nothing can be done at all: the source cannot be read, or the target is no folder.
#[tracing::instrument(name = "transfer", level = "info", skip_all, fields(destination = %attached.name(), way = "up"))]
pub async fn upload(
    attached: &Attached,
    source: &Path,
    target: &RelativePath,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Summary, Error> {
    let mut up = Up {
        attached,
        target,
        options,
        observer,
        counted: Counted::default(),
        journaled: attached.journal().paths(target).await?,
        commits: None,
    };
    let first = match local::look_at(source)? {
        What::Folder => {
            overlap::check(attached, source, target, Way::Up)?;
            up.commits = Commits::new(attached);
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
    // Permits bound what is in flight; another worker each keeps them all in use while a source is
    // read or a record written.
    let workers = attached.threads().limit().saturating_mul(WORKERS_PER_THREAD);
    work.run(workers, async |job| {
        // Nothing that is left would fare better.
        if failure.lock().unwrap_or_else(PoisonError::into_inner).is_some() {
            return;
        }
        if let Err(error) = up.job(job, &work).await {
            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    })
    .await;
    up.commit_all().await;
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        None => Ok(up.counted.summary()),
    }
}

/// Workers for every thread of the destination.
const WORKERS_PER_THREAD: usize = 2;

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

pub(super) struct Up<'a> {
    pub(super) attached: &'a Attached,
    target: &'a RelativePath,
    pub(super) options: &'a Options,
    pub(super) observer: &'a dyn Observer,
    pub(super) counted: Counted,
    /// Where earlier processes left an upload.
    pub(super) journaled: HashSet<RelativePath>,
    /// For a tree, where the service commits many files at once.
    pub(super) commits: Option<Commits>,
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
    pub(super) fn place(&self, path: &RelativePath) -> Result<RelativePath, Error> {
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
                Err(error) if path.is_root() || error.is_of_all() => return Err(error),
                Err(error) => self.failed(&path, &error),
            },
            Job::EmptyFolder { path } => {
                if let Err(error) = self.make_folder(&path).await {
                    return self.ended(&path, error);
                }
            }
            Job::File { from, path, facts, stored } => {
                if let Err(error) = self.file(&from, &path, facts, stored).await {
                    return self.ended(&path, error);
                }
            }
        }
        Ok(())
    }

    /// A failure of one, unless it is one of all.
    fn ended(&self, path: &RelativePath, error: Error) -> Result<(), Error> {
        if error.is_of_all() {
            return Err(error);
        }
        self.failed(path, &error);
        Ok(())
    }

    pub(super) fn failed(&self, path: &RelativePath, error: &Error) {
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

    pub(super) fn wrong_kind(&self, entry: &Entry, is: &'static str, needed: &'static str) -> Error {
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
                Err(error) if pages.restart(&error) => {
                    there.clear();
                    continue;
                }
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
}
