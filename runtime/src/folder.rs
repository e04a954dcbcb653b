//! The backup directory of a destination that lies on this machine, and nothing outside it.
//!
//! Paths are resolved name by name from a handle to the directory, and no symbolic link is followed:
//! what is neither a file nor a folder is not listed and not touched. A file is written beside its
//! place and gets its name when it is whole and on disk (`partial`); what dead processes left on the
//! way is removed by whoever lists the folder (`leftover`). Who may do what is decided in
//! [`crate::grant`], and recorded in [`crate::broker`]; everything here blocks while the disk does.

mod error;
mod leftover;
mod listing;
mod lock;
mod partial;
#[cfg(test)]
mod tests;
mod walk;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use cap_std::fs::{Dir, Metadata, MetadataExt as _};
use jiff::Timestamp;

use crate::entry::{Kind, Mode};
use crate::path::RelativePath;

pub use error::{Error, Problem};
pub(crate) use listing::Leftovers;
pub use listing::{Listing, PAGE_ENTRIES_MAX};
pub(crate) use partial::write;

/// A backup directory on this machine. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Folder(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    /// Opened once: whatever becomes of the path, it stays the same directory.
    root: OnceLock<Dir>,
}

/// What is stored at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// File or folder.
    pub kind: Kind,
    /// Length in bytes; 0 for folders.
    pub size: u64,
    /// When it was last modified.
    pub modified: Option<Timestamp>,
    /// Changes whenever the bytes of a file do.
    pub revision: String,
}

impl Item {
    /// None for what is neither a file nor a folder.
    fn of(metadata: &Metadata) -> Option<Self> {
        let (kind, size) = if metadata.is_file() {
            (Kind::File, metadata.len())
        } else if metadata.is_dir() {
            (Kind::Folder, 0)
        } else {
            return None;
        };
        let modified = nanoseconds(metadata.mtime(), metadata.mtime_nsec());
        // The modification time is ours to set and the inode is used again; the time of the last change
        // is neither, and a change that keeps the other three shows there.
        let changed = nanoseconds(metadata.ctime(), metadata.ctime_nsec());
        let revision = format!("{:x}-{size:x}-{modified:x}-{changed:x}", metadata.ino());
        Some(Self { kind, size, modified: Timestamp::from_nanosecond(modified).ok(), revision })
    }
}

fn nanoseconds(seconds: i64, nanoseconds: i64) -> i128 {
    i128::from(seconds).saturating_mul(1_000_000_000).saturating_add(i128::from(nanoseconds))
}

/// Room on the disk that holds the directory, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// All of it.
    pub total: u64,
    /// What this user may still use.
    pub free: u64,
}

impl Folder {
    /// The directory at this absolute path. It is opened when it is first needed, and made by the first
    /// write.
    #[must_use]
    pub fn new(path: PathBuf) -> Self {
        Self(Arc::new(Inner { path, root: OnceLock::new() }))
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// Where something in it is, for messages and records.
    #[must_use]
    pub fn place(&self, path: &RelativePath) -> PathBuf {
        if path.is_root() { self.0.path.clone() } else { self.0.path.join(path.as_str()) }
    }

    /// What is stored at a path?
    ///
    /// # Errors
    /// When there is nothing, something that is neither file nor folder, or it cannot be looked at.
    pub fn stat(&self, path: &RelativePath) -> Result<Item, Error> {
        self.doing("look at", path, || {
            let root = self.root()?;
            if path.is_root() {
                return Item::of(&root.dir_metadata()?).ok_or(Problem::WrongKind("is no folder"));
            }
            leftover::check_readable(path)?;
            let spot = walk::find(root, path)?;
            spot.item()?.ok_or(Problem::NotFound)
        })
    }

    /// Make a folder and those on the way to it, durably. One that is there already is success.
    ///
    /// # Errors
    /// When something else is there or on the way, or the disk refuses.
    pub fn make_folder(&self, path: &RelativePath) -> Result<Item, Error> {
        self.doing("make the folder", path, || {
            leftover::check_writable(path)?;
            let folder = walk::make(self.root_or_make()?, path)?;
            Item::of(&folder.dir_metadata()?).ok_or(Problem::WrongKind("is no folder"))
        })
    }

    /// Open a file to read `length` bytes from `offset` on, to its end when none; fewer at its end.
    ///
    /// # Errors
    /// When it is not there, no file, or cannot be opened.
    pub fn open(
        &self,
        path: &RelativePath,
        offset: u64,
        length: Option<u64>,
    ) -> Result<(Item, crate::content::Section), Error> {
        self.doing("read", path, || {
            leftover::check_readable(path)?;
            let (item, file) = walk::find(self.root()?, path)?.open()?;
            let name = self.place(path).to_string_lossy().into_owned();
            let source = crate::content::Source::from_file(file.into_std(), name)?;
            let offset = offset.min(source.size());
            let length = length.unwrap_or(u64::MAX).min(source.size().saturating_sub(offset));
            Ok((item, crate::content::Section::new(Arc::new(source), offset, length)?))
        })
    }

    /// Remove a file, or a folder with everything in it, durably; of a file only this revision if one
    /// is given.
    ///
    /// # Errors
    /// When it is not there, of another kind, of another revision, or the disk refuses.
    pub fn remove(&self, path: &RelativePath, kind: Kind, revision: Option<&str>) -> Result<(), Error> {
        self.doing("remove", path, || {
            leftover::check_readable(path)?;
            let root = self.root()?;
            let spot = walk::find(root, path)?;
            match kind {
                Kind::File => {
                    let _lock = lock::placing(root)?;
                    let item = spot.item()?.ok_or(Problem::NotFound)?;
                    expect(&item, Kind::File)?;
                    if revision.is_some_and(|revision| revision != item.revision) {
                        return Err(Problem::Conflict);
                    }
                    spot.dir.remove_file(&spot.name)?;
                }
                Kind::Folder => {
                    expect(&spot.item()?.ok_or(Problem::NotFound)?, Kind::Folder)?;
                    spot.dir.remove_dir_all(&spot.name)?;
                }
            }
            Ok(walk::sync(&spot.dir)?)
        })
    }

    /// Give a file or a folder another path, atomically and durably; `mode` is about what is at `to`.
    ///
    /// # Errors
    /// When it is not there, `to` is taken as `mode` forbids, or the disk refuses.
    pub fn rename(&self, path: &RelativePath, to: &RelativePath, mode: &Mode) -> Result<Item, Error> {
        self.doing("rename", path, || {
            leftover::check_readable(path)?;
            leftover::check_writable(to)?;
            if to.strip(path).is_some_and(|below| !below.is_root()) {
                return Err(Problem::Invalid("a folder cannot be moved into itself"));
            }
            let root = self.root()?;
            let from = walk::find(root, path)?;
            let item = from.item()?.ok_or(Problem::NotFound)?;
            let into = walk::find_or_make(root, to)?;
            let placing = lock::placing(root)?;
            if matches!(mode, Mode::Create) && into.item()?.is_some() {
                // Whatever it is, and whatever comes: nothing is replaced.
                return Err(Problem::Exists);
            }
            walk::place(&from, &into, item.kind, mode)?;
            let item = into.item()?.ok_or(Problem::NotFound)?;
            drop(placing);
            walk::sync(&into.dir)?;
            walk::sync(&from.dir)?;
            Ok(item)
        })
    }

    /// How much room is there?
    ///
    /// # Errors
    /// When the directory is not there, or the system does not say.
    pub fn usage(&self) -> Result<Space, Error> {
        self.doing("ask for the room in", &RelativePath::root(), || {
            let found = rustix::fs::fstatvfs(self.root()?).map_err(std::io::Error::from)?;
            let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
            Ok(Space { total: bytes(found.f_blocks), free: bytes(found.f_bavail) })
        })
    }

    /// The directory, which must be there.
    fn root(&self) -> Result<&Dir, Problem> {
        if let Some(root) = self.0.root.get() {
            return Ok(root);
        }
        let opened = walk::open_root(&self.0.path)?;
        Ok(self.0.root.get_or_init(|| opened))
    }

    /// The directory, which is made if it is not there.
    fn root_or_make(&self) -> Result<&Dir, Problem> {
        match self.root() {
            Err(Problem::NotFound) => {
                walk::make_root(&self.0.path)?;
                self.root()
            }
            found => found,
        }
    }

    /// Do something, and say of an error what was tried and where.
    fn doing<T>(
        &self,
        action: &'static str,
        path: &RelativePath,
        work: impl FnOnce() -> Result<T, Problem>,
    ) -> Result<T, Error> {
        work().map_err(|problem| Error { action, place: self.place(path), problem })
    }
}

/// Does one of these lie in the other, or is it the other? Links on the way are followed, and of what is
/// not there yet the part that is.
#[must_use]
pub fn overlap(one: &Path, other: &Path) -> bool {
    let (one, other) = (real(one), real(other));
    one.starts_with(&other) || other.starts_with(&one)
}

/// Where a path leads, links followed as far as it exists.
#[must_use]
pub fn real(path: &Path) -> PathBuf {
    let exists = path.ancestors().find_map(|above| Some((above, above.canonicalize().ok()?)));
    match exists {
        Some((above, real)) => match path.strip_prefix(above) {
            Ok(rest) if rest.as_os_str().is_empty() => real,
            Ok(rest) => real.join(rest),
            Err(_) => real,
        },
        None => path.to_owned(),
    }
}

/// Do something at `place` where it may block, for a bounded time.
pub(crate) async fn blocking<T: Send + 'static>(
    place: PathBuf,
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match partial::step(move || Ok(work())).await {
        Ok(done) => done,
        Err(problem) => Err(Error { action: "finish with", place, problem }),
    }
}

/// It must be of this kind.
fn expect(item: &Item, kind: Kind) -> Result<(), Problem> {
    match (item.kind, kind) {
        (Kind::File, Kind::File) | (Kind::Folder, Kind::Folder) => Ok(()),
        (Kind::File, Kind::Folder) => Err(Problem::WrongKind("is a file")),
        (Kind::Folder, Kind::File) => Err(Problem::WrongKind("is a folder")),
    }
}
