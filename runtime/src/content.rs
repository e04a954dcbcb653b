//! Content: bytes that the host owns, and the parts of them that requests name.
//!
//! A [`Source`] is a file opened once for an upload, together with what it was at that moment; a
//! [`Section`] is a part of it that can be sent as often as a retry needs. A source that changed is
//! an error wherever it shows, never a mixture of old and new bytes: what is sent is what was
//! promised or the request fails. Where the bytes go is not decided here.

mod body;

use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

pub use body::{Body, Progress, Receipt, Tap};

use crate::hash::{Algorithm, Digests, Running};

/// Bytes read from a file at once: large enough that switching threads for it costs nothing beside
/// hashing it, small enough that three of them for every operation in flight do not show in memory.
pub const READ_BYTES: u64 = 256 * 1024;
/// A file of at most this many bytes is read when it is opened: most files of a backup are that small,
/// and are then sent without another trip to the disk. Every operation in flight holds one.
pub const WHOLE_BYTES_MAX: u64 = 64 * 1024;

/// Why content cannot be had.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A folder, a device, a socket or a pipe.
    #[error("`{0}` is not a regular file")]
    NotAFile(String),
    /// Size, modification time or the file itself is not what it was when the source was opened.
    #[error("`{0}` changed while it was being read")]
    Changed(String),
    /// A section that does not lie within its source.
    #[error("bytes {offset} to {offset}+{length} are not within the {size} bytes of `{name}`")]
    Outside {
        /// The source.
        name: String,
        /// Where the section would begin.
        offset: u64,
        /// How long it would be, in bytes.
        length: u64,
        /// How long the source is, in bytes.
        size: u64,
    },
    /// The file cannot be opened or read.
    #[error("`{name}` cannot be read")]
    Read {
        /// The source.
        name: String,
        /// What the system says.
        #[source]
        problem: Arc<io::Error>,
    },
}

/// What a file was when it was opened. A journal keeps it to tell whether a source is still the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Identity {
    /// Length in bytes.
    pub size: u64,
    /// Modification time, in whole seconds since 1970.
    pub modified_seconds: i64,
    /// The rest of the modification time, in nanoseconds.
    pub modified_nanoseconds: i64,
    /// Number of the file system's device.
    pub device: u64,
    /// Number of the file in its file system.
    pub inode: u64,
}

impl Identity {
    fn of(metadata: &std::fs::Metadata) -> Self {
        Self {
            size: metadata.size(),
            modified_seconds: metadata.mtime(),
            modified_nanoseconds: metadata.mtime_nsec(),
            device: metadata.dev(),
            inode: metadata.ino(),
        }
    }
}

/// A file opened for an upload, or bytes in memory.
pub struct Source {
    name: String,
    bytes: Stored,
}

enum Stored {
    File {
        file: File,
        path: Option<PathBuf>,
        identity: Identity,
        /// All of it, if it is small: it was read when it was opened, on a thread that may block.
        whole: Option<Bytes>,
    },
    Memory(Bytes),
}

impl Source {
    /// Open a file. Symbolic links are followed; a pipe is not waited for.
    ///
    /// # Errors
    /// When it cannot be opened, or is not a regular file.
    pub fn open(path: &Path) -> Result<Self, Error> {
        use rustix::fs::{Mode, OFlags};
        let name = path.display().to_string();
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOCTTY | OFlags::NONBLOCK;
        let file = rustix::fs::open(path, flags, Mode::empty())
            .map_err(|problem| Error::Read { name: name.clone(), problem: Arc::new(problem.into()) })?;
        Self::opened(File::from(file), name, Some(path.to_owned()))
    }

    /// A file that somebody else opened, under the name that messages call it by.
    ///
    /// # Errors
    /// When it is not a regular file.
    pub fn from_file(file: File, name: String) -> Result<Self, Error> {
        Self::opened(file, name, None)
    }

    /// Bytes in memory, under the name that messages call them by.
    #[must_use]
    pub const fn from_bytes(bytes: Bytes, name: String) -> Self {
        Self { name, bytes: Stored::Memory(bytes) }
    }

    fn opened(file: File, name: String, path: Option<PathBuf>) -> Result<Self, Error> {
        let metadata = match file.metadata() {
            Ok(metadata) => metadata,
            Err(problem) => return Err(Error::Read { name, problem: Arc::new(problem) }),
        };
        if !metadata.is_file() {
            return Err(Error::NotAFile(name));
        }
        let identity = Identity::of(&metadata);
        let mut source = Self { name, bytes: Stored::File { file, path, identity, whole: None } };
        if identity.size <= WHOLE_BYTES_MAX {
            source.read_whole()?;
        }
        Ok(source)
    }

    /// What messages call it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Length in bytes, when it was opened.
    #[must_use]
    pub fn size(&self) -> u64 {
        match &self.bytes {
            Stored::File { identity, .. } => identity.size,
            Stored::Memory(bytes) => length(bytes),
        }
    }

    /// What the file was when it was opened; none for bytes in memory.
    #[must_use]
    pub const fn identity(&self) -> Option<Identity> {
        match &self.bytes {
            Stored::File { identity, .. } => Some(*identity),
            Stored::Memory(_) => None,
        }
    }

    /// Is it still what it was when it was opened, and where the path is known, still what lies there?
    /// This asks the file system; it does not read the content.
    ///
    /// # Errors
    /// [`Error::Changed`] when it is not.
    pub fn changed(&self) -> Result<(), Error> {
        let Stored::File { file, path, identity, whole: _ } = &self.bytes else {
            return Ok(());
        };
        let opened = file.metadata().map_err(|problem| self.unreadable(problem))?;
        let same = Identity::of(&opened) == *identity;
        let in_place = path
            .as_ref()
            .is_none_or(|path| std::fs::metadata(path).is_ok_and(|found| Identity::of(&found) == *identity));
        if same && in_place { Ok(()) } else { Err(Error::Changed(self.name.clone())) }
    }

    fn read_whole(&mut self) -> Result<(), Error> {
        let Stored::File { file, identity, .. } = &self.bytes else { return Ok(()) };
        let mut buffer = vec![0; index(identity.size)];
        self.fill(file, 0, &mut buffer)?;
        if let Stored::File { whole, .. } = &mut self.bytes {
            *whole = Some(buffer.into());
        }
        Ok(())
    }

    /// Can it be read without blocking?
    const fn is_in_memory(&self) -> bool {
        matches!(self.bytes, Stored::Memory(_) | Stored::File { whole: Some(_), .. })
    }

    /// `size` bytes from `start` on, in the memory of `spare` if they are not in memory yet. Blocks
    /// while the file system does.
    fn block(&self, start: u64, size: u64, spare: BytesMut) -> Result<Bytes, Error> {
        match &self.bytes {
            Stored::Memory(bytes) | Stored::File { whole: Some(bytes), .. } => {
                Ok(bytes.slice(index(start)..index(start + size)))
            }
            Stored::File { file, whole: None, .. } => {
                let mut buffer = spare;
                buffer.resize(index(size), 0);
                self.fill(file, start, &mut buffer)?;
                Ok(buffer.freeze())
            }
        }
    }

    /// Fill `buffer` from `offset` on. Blocks while the file system does.
    fn fill(&self, file: &File, offset: u64, buffer: &mut [u8]) -> Result<(), Error> {
        file.read_exact_at(buffer, offset).map_err(|problem| {
            if problem.kind() == io::ErrorKind::UnexpectedEof {
                Error::Changed(self.name.clone())
            } else {
                self.unreadable(problem)
            }
        })
    }

    fn unreadable(&self, problem: io::Error) -> Error {
        Error::Read { name: self.name.clone(), problem: Arc::new(problem) }
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Source").field("name", &self.name).field("size", &self.size()).finish()
    }
}

/// A part of a source. It lies within what the source was when it was opened.
#[derive(Debug, Clone)]
pub struct Section {
    source: Arc<Source>,
    offset: u64,
    size: u64,
}

impl Section {
    /// `size` bytes of a source, from `offset` on.
    ///
    /// # Errors
    /// [`Error::Outside`] when the source is shorter.
    pub fn new(source: Arc<Source>, offset: u64, size: u64) -> Result<Self, Error> {
        if offset.checked_add(size).is_none_or(|end| end > source.size()) {
            let name = source.name.clone();
            return Err(Error::Outside { name, offset, length: size, size: source.size() });
        }
        Ok(Self { source, offset, size })
    }

    /// All of a source.
    #[must_use]
    pub fn whole(source: Arc<Source>) -> Self {
        let size = source.size();
        Self { source, offset: 0, size }
    }

    /// A part of this section, from `offset` bytes into it.
    ///
    /// # Errors
    /// [`Error::Outside`] when this section is shorter.
    pub fn part(&self, offset: u64, size: u64) -> Result<Self, Error> {
        if offset.checked_add(size).is_none_or(|end| end > self.size) {
            let name = self.source.name.clone();
            return Err(Error::Outside { name, offset, length: size, size: self.size });
        }
        Ok(Self { source: Arc::clone(&self.source), offset: self.offset + offset, size })
    }

    /// The source.
    #[must_use]
    pub const fn source(&self) -> &Arc<Source> {
        &self.source
    }

    /// Where it begins in the source, in bytes.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Length in bytes. It never changes.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// At most `length` bytes from `offset` bytes into the section, fewer at its end, none beyond it.
    /// Blocks while the file system does, so it belongs on a thread that may.
    ///
    /// # Errors
    /// [`Error::Changed`] when the file has become shorter, [`Error::Read`] when it cannot be read.
    pub fn read(&self, offset: u64, length: u32) -> Result<Bytes, Error> {
        let start = self.offset + offset.min(self.size);
        let end = self.offset + offset.saturating_add(u64::from(length)).min(self.size);
        self.source.block(start, end - start, BytesMut::new())
    }

    /// Hash all of it into `running`, as sending it would. Blocks while the file system does.
    ///
    /// # Errors
    /// [`Error::Changed`] when the source is no longer what it was, [`Error::Read`] when it cannot be read.
    pub fn hash_into(&self, running: &mut Running) -> Result<(), Error> {
        let block = u32::try_from(READ_BYTES).unwrap_or(u32::MAX);
        let mut at = 0;
        while at < self.size {
            let bytes = self.read(at, block)?;
            running.update(&bytes);
            at += length(&bytes);
        }
        self.source.changed()
    }

    /// The hashes of all of it. Blocks while the file system does.
    ///
    /// # Errors
    /// As [`hash_into`](Self::hash_into).
    pub fn digests(&self, algorithms: &[Algorithm]) -> Result<Digests, Error> {
        let mut running = Running::new(algorithms);
        self.hash_into(&mut running)?;
        Ok(running.finish())
    }

    /// All of it as the body of a request. It can be had any number of times. An empty one has no
    /// last byte to hold back; whether its source is still empty is for [`Source::changed`] to say.
    #[must_use]
    pub fn body(&self, tap: Tap) -> Body {
        Body::new(self.clone(), tap)
    }
}

/// A length that fits, as every slice's does.
fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

/// A position that fits, as every one within memory does.
fn index(position: u64) -> usize {
    usize::try_from(position).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
