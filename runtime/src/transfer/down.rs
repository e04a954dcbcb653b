//! A file or a tree down.

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};

use super::compare::{self, Comparison};
use super::local::{FileFacts, Target, What};
use super::overlap::{self, Way};
use super::pages::Pages;
use super::receive::{self, Expected};
use super::up::Counted;
use super::work::Work;
use super::{Error, Event, Evidence, Observer, Options, Summary, send};
use crate::attached::Attached;
use crate::catalog;
use crate::content::{Section, Source};
use crate::entry::{Entry, Kind};
use crate::hash::{Algorithm, Digest, Running};
use crate::path::RelativePath;

/// Copy a file, or what is in a folder, into the local folder `target`.
///
/// One file that fails does not stop the others: it is reported, and counted in the summary.
///
/// # Errors
/// When nothing can be done at all: the source is not there, or the target cannot be written.
#[tracing::instrument(name = "transfer", level = "info", skip_all, fields(destination = %attached.name(), way = "down"))]
pub async fn download(
    attached: &Attached,
    source: &RelativePath,
    target: &Path,
    options: &Options,
    observer: &dyn Observer,
) -> Result<Summary, Error> {
    let first = first(attached, source).await?;
    let root = match &first {
        Job::Folder { path } => {
            overlap::check(attached, target, path, Way::Down)?;
            path.clone()
        }
        Job::File { entry } => entry.path.parent().unwrap_or_default(),
    };
    let target =
        if options.dry_run && !target.exists() { None } else { Some(Arc::new(Target::open(target)?)) };
    let down = Down { attached, root, target, options, observer, counted: Counted::default() };
    let work = Work::new(first);
    let failure = Mutex::new(None);
    work.run(attached.threads().limit(), async |job| {
        if let Err(error) = down.job(job, &work).await {
            failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }
    })
    .await;
    if let Some(error) = failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        return Err(error);
    }
    if let Some(target) = down.target.clone() {
        blocking(move || target.sync()).await?;
    }
    Ok(down.counted.summary())
}

#[derive(Debug)]
enum Job {
    Folder { path: RelativePath },
    File { entry: Entry },
}

/// What is to be copied: a file, or a folder. The backup directory itself is one that needs no look.
async fn first(attached: &Attached, source: &RelativePath) -> Result<Job, Error> {
    if source.is_root() {
        return Ok(Job::Folder { path: source.clone() });
    }
    let entry = attached.stat(source).await?;
    Ok(match entry.kind {
        // The path as the operator spelt it: a service may spell it in another case.
        Kind::Folder => Job::Folder { path: source.clone() },
        Kind::File => Job::File { entry: Entry { path: source.clone(), ..entry } },
    })
}

struct Down<'a> {
    attached: &'a Attached,
    /// The folder whose inside is copied.
    root: RelativePath,
    /// None in a dry run into a folder that is not there yet.
    target: Option<Arc<Target>>,
    options: &'a Options,
    observer: &'a dyn Observer,
    counted: Counted,
}

impl Down<'_> {
    async fn job(&self, job: Job, work: &Work<Job>) -> Result<(), Error> {
        match job {
            Job::Folder { path } => {
                let into = path.strip(&self.root).unwrap_or_default();
                match self.folder(&path, &into, work).await {
                    Ok(()) => {}
                    Err(error) if into.is_root() => return Err(error),
                    Err(error) => self.failed(&into, &error),
                }
            }
            Job::File { entry } => {
                let into = entry.path.strip(&self.root).unwrap_or_default();
                if let Err(error) = self.file(&entry, &into).await {
                    self.failed(&into, &error);
                }
            }
        }
        Ok(())
    }

    fn failed(&self, path: &RelativePath, error: &Error) {
        Counted::one(&self.counted.files_failed);
        self.observer.event(Event::Failed { path, error });
    }

    async fn folder(&self, path: &RelativePath, into: &RelativePath, work: &Work<Job>) -> Result<(), Error> {
        self.make_folder(into).await?;
        let mut pages = Pages::default();
        // Listed again from its start, a folder has no second job for what is under way.
        let mut seen = HashSet::new();
        loop {
            let page = match self.attached.list(path, false, pages.due()).await {
                Ok(page) => page,
                Err(error) if pages.restart(&error) => continue,
                Err(error) => return Err(error.into()),
            };
            let more = pages.after(&page, &format!("{}:{path}", self.attached.name()))?;
            let mut jobs = Vec::new();
            for entry in page.entries {
                if !seen.insert(entry.path.clone()) {
                    continue;
                }
                let below = entry.path.strip(&self.root).unwrap_or_default();
                match entry.kind {
                    Kind::Folder => jobs.push(Job::Folder { path: entry.path }),
                    Kind::File if self.options.takes(&below) => jobs.push(Job::File { entry }),
                    Kind::File => {}
                }
            }
            jobs.reverse();
            work.add(jobs);
            if !more {
                return Ok(());
            }
        }
    }

    async fn make_folder(&self, into: &RelativePath) -> Result<(), Error> {
        let made = match (&self.target, self.options.dry_run) {
            (_, _) if into.is_root() => false,
            (None, _) => true,
            (Some(target), true) => target.look_at(into)?.is_none(),
            (Some(target), false) => {
                let (target, folder) = (Arc::clone(target), into.clone());
                blocking(move || target.make_folder(&folder)).await?
            }
        };
        if made {
            Counted::one(&self.counted.folders_made);
            self.observer.event(Event::FolderMade { path: into });
        }
        Ok(())
    }

    async fn file(&self, entry: &Entry, into: &RelativePath) -> Result<(), Error> {
        let remembered = self.attached.shelf().get(&entry.path).await?;
        let there = self.target.as_ref().map(|target| target.look_at(into)).transpose()?.flatten();
        match there {
            Some(What::File(facts)) if self.is_same(into, facts, entry, remembered.as_ref()).await? => {
                Counted::one(&self.counted.files_unchanged);
                self.observer.event(Event::Skipped { path: into });
                return Ok(());
            }
            None | Some(What::File(_)) => {}
            Some(What::Folder | What::Other(_)) => {
                let Some(target) = &self.target else { return Ok(()) };
                return Err(target.wrong_kind(into, "file"));
            }
        }
        self.observer.event(Event::Found { path: into, size: entry.size });
        let evidence = match (&self.target, self.options.dry_run) {
            (Some(target), false) => {
                self.observer.event(Event::Started { path: into, size: entry.size });
                let expected = Expected {
                    entry,
                    own: compare::own_hash(entry, remembered.as_ref()),
                    modified: compare::modified(entry, remembered.as_ref()),
                };
                receive::receive(self.attached, &expected, target, into, self.observer).await?
            }
            (None, _) | (Some(_), true) => Evidence::Size,
        };
        Counted::one(&self.counted.files_copied);
        self.counted.bytes_copied.fetch_add(entry.size, Ordering::Relaxed);
        self.observer.event(Event::Copied {
            path: into,
            size: entry.size,
            verified: evidence == Evidence::Hash,
        });
        Ok(())
    }

    async fn is_same(
        &self,
        into: &RelativePath,
        facts: FileFacts,
        entry: &Entry,
        remembered: Option<&catalog::Entry>,
    ) -> Result<bool, Error> {
        match compare::compare(facts, entry, remembered, self.options.checksum) {
            Comparison::Same => Ok(true),
            Comparison::Different => Ok(false),
            Comparison::IfHash(digest) => self.hashes_to(into, &digest).await,
        }
    }

    async fn hashes_to(&self, into: &RelativePath, digest: &Digest) -> Result<bool, Error> {
        let Some(target) = &self.target else { return Ok(false) };
        let place = target.place(into);
        let source = blocking(move || Ok(Source::open(&place)?)).await?;
        let algorithm: Algorithm = digest.algorithm();
        let digests =
            send::hash(Section::whole(Arc::new(source)), Running::new(&[algorithm])).await?.finish();
        Ok(digests.get(algorithm) == Some(digest))
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|problem| Error::local("write", Path::new("the target"), problem.into()))?
}
