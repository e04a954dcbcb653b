//! One folder of the home, written so that a crash cannot harm it.
//!
//! A file is there whole or not at all: it is written beside its place under a temporary name,
//! synced, put in place by one call of the file system, and the folder is synced before anybody is
//! told. Reading has a cap and takes regular files only, never a link or a pipe.

use std::{
    io::{self, Read, Write},
    os::fd::{AsFd, OwnedFd},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, SystemTime},
};

use cap_std::{
    ambient_authority,
    fs::{Dir, DirBuilder, DirBuilderExt, File, MetadataExt, OpenOptions, OpenOptionsExt},
};
use rustix::fs::{AtFlags, Mode, OFlags};

use super::Error;

/// Files of the home are their owner's alone.
pub(super) const FILE_MODE: u32 = 0o600;
/// So are its folders.
pub(super) const FOLDER_MODE: u32 = 0o700;

/// What the name of a file in the making begins with; no [`Name`](super::Name) does.
pub(super) const TEMPORARY_PREFIX: &str = ".tmp-";
/// A file in the making is abandoned after this long: far longer than any write takes, and what a
/// killed process leaves is small.
const TEMPORARY_AGE_MAX: Duration = Duration::from_hours(1);

/// How a [`Folder::create`] ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Created {
    /// The file is there now, durably.
    Yes,
    /// A file of that name was there already and was left alone.
    Existed,
}

/// What tells one state of a file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    inode: u64,
    length: u64,
    /// Seconds and nanoseconds, in what holds them on any machine.
    modified: (i128, i128),
    /// The same, and nobody can set it.
    changed: (i128, i128),
}

impl Stamp {
    /// Which file it is of.
    #[must_use]
    pub const fn inode(&self) -> u64 {
        self.inode
    }

    /// How long that is, in bytes.
    #[must_use]
    pub const fn length(&self) -> u64 {
        self.length
    }
}

/// A folder that is open. Cheap operations on names in it; no name leads out of it.
#[derive(Debug)]
pub struct Folder {
    dir: Dir,
    /// The same folder, open in a way that can be synced (a [`Dir`] may be a path only).
    syncable: OwnedFd,
    /// For messages, and for what takes a path only.
    path: PathBuf,
}

impl Folder {
    /// Open the folder at `path`, wherever that is: the one place that reaches outside.
    ///
    /// # Errors
    /// When it is not there or cannot be opened.
    pub(super) fn open_ambient(path: &Path) -> io::Result<Self> {
        Self::from_dir(Dir::open_ambient_dir(path, ambient_authority())?, path.to_owned())
    }

    /// Open a folder below this one, `a/b` for one two levels down.
    ///
    /// # Errors
    /// When it is not there or cannot be opened.
    pub(super) fn folder(&self, name: &str) -> io::Result<Self> {
        Self::from_dir(self.dir.open_dir(name)?, self.path.join(name))
    }

    /// Create a folder in this one, unless it is there.
    pub(super) fn create_folder(&self, name: &str) -> io::Result<()> {
        let mut options = DirBuilder::new();
        options.mode(FOLDER_MODE);
        match self.dir.create_dir_with(name, &options) {
            Ok(()) => self.sync(),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn from_dir(dir: Dir, path: PathBuf) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let syncable = rustix::fs::openat(&dir, ".", flags, Mode::empty())?;
        Ok(Self { dir, syncable, path })
    }

    /// Where a file of this folder is, for messages.
    #[must_use]
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Read a file, at most `bytes_max` bytes of it; none when it is not there.
    ///
    /// # Errors
    /// When it is larger, not a regular file, or cannot be read.
    pub fn read(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, Error> {
        let Some(file) = self.open_to_read(name)? else { return Ok(None) };
        let io_error = |source| self.error("read", name, source);
        let length = file.metadata().map_err(io_error)?.len();
        let too_large = || Error::TooLarge { path: self.path_of(name), bytes_max };
        let bytes = read_capped(file, length, bytes_max).map_err(io_error)?.ok_or_else(too_large)?;
        Ok(Some(bytes))
    }

    /// Open a regular file to read it; none when it is not there.
    ///
    /// # Errors
    /// When it is a link, a pipe or the like, or cannot be opened.
    pub fn open_to_read(&self, name: &str) -> Result<Option<File>, Error> {
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(no_surprises());
        match self.open_regular(name, &options) {
            Ok(file) => Ok(Some(file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(self.error("open", name, source)),
        }
    }

    /// Open a file to read and write it in place, creating it empty if it is not there.
    ///
    /// # Errors
    /// When it is a link, a pipe or the like, or cannot be opened.
    pub fn open_in_place(&self, name: &str) -> Result<File, Error> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).mode(FILE_MODE).custom_flags(no_surprises());
        self.open_regular(name, &options).map_err(|source| self.error("open", name, source))
    }

    /// Open a file to append to it, creating it empty if it is not there.
    ///
    /// # Errors
    /// When it is a link, a pipe or the like, or cannot be opened.
    pub fn open_to_append(&self, name: &str) -> Result<File, Error> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(FILE_MODE).custom_flags(no_surprises());
        self.open_regular(name, &options).map_err(|source| self.error("open", name, source))
    }

    fn open_regular(&self, name: &str, options: &OpenOptions) -> io::Result<File> {
        let file = self.dir.open_with(name, options)?;
        if file.metadata()?.is_file() {
            Ok(file)
        } else {
            Err(io::Error::new(io::ErrorKind::InvalidInput, "not a regular file"))
        }
    }

    /// Put a file in place durably, replacing one that is there.
    ///
    /// # Errors
    /// When the disk is full or fails; what was there is then there still.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), Error> {
        let write = || {
            let temporary = self.stage(bytes)?;
            let placed = step().and_then(|()| self.dir.rename(&temporary, &self.dir, name));
            self.settle(&temporary, placed)
        };
        write().map_err(|source| self.error("write", name, source))
    }

    /// Put a file in place durably, unless one is there already.
    ///
    /// # Errors
    /// When the disk is full or fails.
    pub fn create(&self, name: &str, bytes: &[u8]) -> Result<Created, Error> {
        let create = || {
            let temporary = self.stage(bytes)?;
            let placed = step().and_then(|()| self.dir.hard_link(&temporary, &self.dir, name));
            let linked = placed.is_ok();
            let settled = self.settle(&temporary, placed);
            if linked && step().is_ok() {
                // The other name of the same file; left behind, a sweep finds it.
                self.dir.remove_file(&temporary).unwrap_or_default();
            }
            settled
        };
        match create() {
            Ok(()) => Ok(Created::Yes),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Created::Existed),
            Err(source) => Err(self.error("create", name, source)),
        }
    }

    /// Remove a file durably; a file that is not there is removed already.
    ///
    /// # Errors
    /// When the disk fails.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let remove = || {
            step()?;
            match self.dir.remove_file(name) {
                Ok(()) => self.sync(),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            }
        };
        remove().map_err(|source| self.error("remove", name, source))
    }

    /// Remove a file that means nothing once nobody has it open: after a power cut it may be there again.
    ///
    /// # Errors
    /// When the disk fails.
    pub(super) fn forget(&self, name: &str) -> Result<(), Error> {
        match self.dir.remove_file(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.error("remove", name, error)),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Give a file another name durably, replacing one that is there.
    ///
    /// # Errors
    /// When it is not there, or the disk fails.
    pub fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        let rename = || {
            step()?;
            self.dir.rename(from, &self.dir, to)?;
            step()?;
            self.sync()
        };
        rename().map_err(|source| self.error("rename", from, source))
    }

    /// Is there anything of this name?
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.dir.symlink_metadata(name).is_ok()
    }

    /// The user that it belongs to.
    pub(super) fn owner(&self) -> io::Result<u32> {
        Ok(self.dir.dir_metadata()?.uid())
    }

    /// Which file of this name there is: another one, or the same one written again, has another stamp.
    /// None when there is none.
    #[must_use]
    pub fn stamp(&self, name: &str) -> Option<Stamp> {
        // Asked for before each request: one call of the system, and a name here is no path.
        debug_assert!(!name.contains('/'), "`{name}` is no name");
        let found = rustix::fs::statat(&self.dir, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        Some(Stamp {
            inode: found.st_ino,
            length: u64::try_from(found.st_size).unwrap_or_default(),
            modified: (found.st_mtime.into(), found.st_mtime_nsec.into()),
            changed: (found.st_ctime.into(), found.st_ctime_nsec.into()),
        })
    }

    /// The names of its files and folders, sorted, without those in the making.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn names(&self) -> Result<Vec<String>, Error> {
        let names = || -> io::Result<Vec<String>> {
            let mut names = Vec::new();
            for entry in self.dir.entries()? {
                // A name that is not UTF-8 is none of ours.
                if let Ok(name) = entry?.file_name().into_string()
                    && !name.starts_with(TEMPORARY_PREFIX)
                {
                    names.push(name);
                }
            }
            names.sort();
            Ok(names)
        };
        names().map_err(|source| self.error("list", ".", source))
    }

    /// Remove what killed processes left in the making. Best effort: nothing depends on it.
    pub(super) fn sweep(&self) {
        let Ok(entries) = self.dir.entries() else { return };
        for entry in entries.flatten() {
            let name = entry.file_name();
            let is_temporary = name.to_str().is_some_and(|name| name.starts_with(TEMPORARY_PREFIX));
            if is_temporary && entry.metadata().is_ok_and(|metadata| is_abandoned(&metadata)) {
                self.dir.remove_file(&name).unwrap_or_default();
            }
        }
    }

    /// Permission bits of a file in it, without following a link; none when it is not there.
    pub(super) fn permissions_of(&self, name: &str) -> io::Result<Option<u32>> {
        match self.dir.symlink_metadata(name) {
            Ok(metadata) => Ok(Some(metadata.mode() & 0o7777)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Permission bits of the folder itself.
    pub(super) fn permissions(&self) -> io::Result<u32> {
        Ok(self.dir.dir_metadata()?.mode() & 0o7777)
    }

    /// Write bytes under a temporary name, synced.
    fn stage(&self, bytes: &[u8]) -> io::Result<String> {
        step()?;
        let temporary = temporary_name();
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(FILE_MODE).custom_flags(no_surprises());
        let written = self.dir.open_with(&temporary, &options).and_then(|mut file| {
            step()?;
            file.write_all(bytes)?;
            step()?;
            file.sync_all()
        });
        match written {
            Ok(()) => Ok(temporary),
            Err(error) => self.settle(&temporary, Err(error)).map(|()| temporary),
        }
    }

    /// After a file was put in place: sync the folder; or, if it was not, drop what was staged.
    fn settle(&self, temporary: &str, placed: io::Result<()>) -> io::Result<()> {
        match placed {
            Ok(()) => step().and_then(|()| self.sync()),
            Err(error) => {
                if step().is_ok() {
                    self.dir.remove_file(temporary).unwrap_or_default();
                }
                Err(error)
            }
        }
    }

    fn sync(&self) -> io::Result<()> {
        rustix::fs::fsync(self.syncable.as_fd()).map_err(io::Error::from)
    }

    pub(super) fn error(&self, doing: &'static str, name: &str, source: io::Error) -> Error {
        Error::Io { doing, path: self.path_of(name), source }
    }
}

/// Read an open file of about `length` bytes to its end; none when it has more than `bytes_max`.
pub(crate) fn read_capped(file: File, length: u64, bytes_max: u64) -> io::Result<Option<Vec<u8>>> {
    let is_within = |length| length <= bytes_max;
    // One byte more than the length: a file that ends where it said takes no second allocation.
    let Some(room) = usize::try_from(length).ok().filter(|_| is_within(length)) else { return Ok(None) };
    let mut bytes = Vec::with_capacity(room + 1);
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes)?;
    Ok(u64::try_from(bytes.len()).is_ok_and(is_within).then_some(bytes))
}

/// Open without following a link at the end of a name, and without waiting for a pipe's other end.
fn no_surprises() -> i32 {
    (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed()
}

fn temporary_name() -> String {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    // Process ids repeat after a restart; the time keeps a leftover of the old one apart.
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    format!("{TEMPORARY_PREFIX}{}-{number}-{}", std::process::id(), time.as_nanos())
}

fn is_abandoned(metadata: &cap_std::fs::Metadata) -> bool {
    let modified = metadata.modified().map(cap_std::time::SystemTime::into_std);
    modified.is_ok_and(|modified| {
        SystemTime::now().duration_since(modified).is_ok_and(|age| age > TEMPORARY_AGE_MAX)
    })
}

#[cfg(not(test))]
#[expect(clippy::unnecessary_wraps, reason = "under test, a step can be the one at which the power fails")]
const fn step() -> io::Result<()> {
    Ok(())
}

#[cfg(test)]
use crash::step;

/// Power failures, for tests: from some step on, nothing reaches the disk any more.
#[cfg(test)]
pub(crate) mod crash {
    use std::{cell::Cell, io};

    thread_local! {
        static STEPS_LEFT: Cell<Option<usize>> = const { Cell::new(None) };
    }

    pub(super) fn step() -> io::Result<()> {
        STEPS_LEFT.with(|left| match left.get() {
            None => Ok(()),
            Some(0) => Err(io::Error::other("the power failed")),
            Some(steps) => {
                left.set(Some(steps - 1));
                Ok(())
            }
        })
    }

    /// Run `work` with the power failing after each number of steps in turn, until it survives.
    /// After every run, `inspect` looks at what is left; it learns whether the work was done.
    pub(crate) fn at_every_step<T, E>(
        mut work: impl FnMut() -> Result<T, E>,
        mut inspect: impl FnMut(usize, Option<T>),
    ) {
        for steps in 0.. {
            STEPS_LEFT.with(|left| left.set(Some(steps)));
            let result = work();
            let survived = STEPS_LEFT.with(|left| left.take()) != Some(0);
            let done = result.ok();
            assert!(done.is_some() || !survived, "failed without a crash, after {steps} steps");
            inspect(steps, done);
            if survived {
                assert!(steps > 0, "no step was taken");
                return;
            }
        }
    }
}
