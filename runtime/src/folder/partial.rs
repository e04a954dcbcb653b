//! A file in the making.
//!
//! The bytes go into a file beside the place, under a name that only Wharf gives. It is given its
//! modification time and synced, and only then its name, in one step that also sees to the mode; then
//! the folder is synced. Whatever happens on the way, what was there before stays whole.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use cap_std::fs::{Dir, File, OpenOptions, OpenOptionsExt as _};
use http_body_util::BodyExt as _;
use jiff::Timestamp;
use rustix::fs::{FallocateFlags, FlockOperation, OFlags};
use rustix::io::Errno;
use tokio::task::spawn_blocking;

use super::walk::{self, Spot};
use super::{Error, Folder, Item, Problem, leftover, lock};
use crate::content::{Body, Section, Tap};
use crate::entry::{Kind, Mode};
use crate::path::RelativePath;

/// How long one step may take: a block, or the sync of all of them on a slow disk.
pub(crate) const STEP_MAX: Duration = Duration::from_secs(30 * 60);

/// Copy a section to a place in the directory; `tap` hears of it as if it were sent.
///
/// # Errors
/// When it is not stored; what was there before is there still.
pub(crate) async fn write(
    folder: &Folder,
    path: &RelativePath,
    section: &Section,
    tap: Tap,
    mode: Mode,
    modified: Option<Timestamp>,
) -> Result<Item, Error> {
    let failed = |problem| Error { action: "write", place: folder.place(path), problem };
    let copy = async {
        let (begun, into, wanted, size) = (folder.clone(), path.clone(), mode.clone(), section.size());
        let mut partial = step(move || Partial::begin(&begun, &into, size, &wanted)).await?;
        let mut body = section.body(tap);
        // While a block is being written, the body reads and hashes the next.
        while let Some(block) = next(&mut body).await? {
            partial = step(move || partial.append(&block)).await?;
        }
        // An empty section has no last block that would have been checked.
        let source = std::sync::Arc::clone(section.source());
        step(move || Ok(source.changed()?)).await?;
        step(move || partial.keep(&mode, modified)).await
    };
    copy.await.map_err(failed)
}

async fn next(body: &mut Body) -> Result<Option<Bytes>, Problem> {
    match body.frame().await {
        None => Ok(None),
        Some(Err(problem)) => Err(problem.into()),
        Some(Ok(frame)) => Ok(frame.into_data().ok()),
    }
}

/// Do something that blocks where it may.
pub(crate) async fn step<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    match tokio::time::timeout(STEP_MAX, spawn_blocking(work)).await {
        Ok(Ok(done)) => done,
        Ok(Err(stopped)) => Err(io::Error::other(stopped).into()),
        Err(_) => Err(Problem::TimedOut),
    }
}

/// A file that is being written; dropped before it is kept, it is gone.
#[derive(Debug)]
pub(super) struct Partial {
    root: Dir,
    /// Where the bytes are.
    from: Spot,
    /// Where they go.
    into: Spot,
    /// None once it is kept.
    file: Option<File>,
    /// For the log.
    place: PathBuf,
}

impl Partial {
    /// Begin a file of this size; what is certain to fail at the end fails here.
    pub(super) fn begin(
        folder: &Folder,
        path: &RelativePath,
        size: u64,
        mode: &Mode,
    ) -> Result<Self, Problem> {
        leftover::check_writable(path)?;
        let root = folder.root_or_make()?;
        let into = walk::find_or_make(root, path)?;
        check_early(&into, mode)?;
        let from = Spot { dir: into.dir.try_clone()?, name: leftover::temporary_name() };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).custom_flags(OFlags::NOFOLLOW.bits().cast_signed());
        let file = from.dir.open_with(&from.name, &options)?;
        let place = folder.place(path);
        let partial = Self { root: root.try_clone()?, from, into, file: Some(file), place };
        partial.hold(size)?;
        Ok(partial)
    }

    /// Say that somebody is at it, and take the room that it needs.
    fn hold(&self, size: u64) -> Result<(), Problem> {
        let Some(file) = &self.file else { return Ok(()) };
        // Where the file system has no locks, nobody can tell a leftover from this, and nobody removes one.
        let _ = rustix::fs::flock(file, FlockOperation::NonBlockingLockExclusive);
        if size == 0 {
            return Ok(());
        }
        match rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, 0, size) {
            Err(error @ (Errno::NOSPC | Errno::DQUOT | Errno::FBIG)) => Err(io::Error::from(error).into()),
            // Where room cannot be taken ahead, writing will tell.
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Append bytes.
    pub(super) fn append(mut self, bytes: &[u8]) -> Result<Self, Problem> {
        if let Some(file) = &mut self.file {
            file.write_all(bytes)?;
        }
        Ok(self)
    }

    /// It is whole: give it its time and its name, durably.
    pub(super) fn keep(mut self, mode: &Mode, modified: Option<Timestamp>) -> Result<Item, Problem> {
        let Some(file) = &self.file else { return Err(Problem::Invalid("it is kept already")) };
        self.set_modified(file, modified);
        file.sync_all()?;
        let placing = lock::placing(&self.root)?;
        walk::place(&self.from, &self.into, Kind::File, mode)?;
        // Of the open file: the name may be somebody else's again already.
        let item = Item::of(&file.metadata()?).ok_or(Problem::WrongKind("is not a file"))?;
        self.file = None;
        drop(placing);
        walk::sync(&self.into.dir)?;
        Ok(item)
    }

    /// A file system that keeps no such time keeps its own, and its own is what is reported then.
    fn set_modified(&self, file: &File, modified: Option<Timestamp>) {
        let Some(modified) = modified else { return };
        let set = file.try_clone().and_then(|file| file.into_std().set_modified(SystemTime::from(modified)));
        if let Err(problem) = set {
            tracing::debug!(place = %self.place.display(), "the modification time is not kept: {problem}");
        }
    }
}

/// What stands in the way now would stand there after the last byte too.
fn check_early(into: &Spot, mode: &Mode) -> Result<(), Problem> {
    match (into.item()?, mode) {
        (None, Mode::Replace | Mode::Create) => Ok(()),
        (None, Mode::ReplaceIfRevision(_)) => Err(Problem::Conflict),
        (Some(there), _) if there.kind == Kind::Folder => Err(Problem::WrongKind("is a folder")),
        (Some(_), Mode::Create) => Err(Problem::Exists),
        (Some(there), Mode::ReplaceIfRevision(revision)) if there.revision != *revision => {
            Err(Problem::Conflict)
        }
        (Some(_), Mode::Replace | Mode::ReplaceIfRevision(_)) => Ok(()),
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Left behind, it is nobody's, and the next listing removes it.
            let _ = self.from.dir.remove_file(&self.from.name);
        }
    }
}
