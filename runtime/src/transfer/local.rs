//! What is on this machine: folders that are read, and a folder that is written into.
//!
//! What is written goes through a handle to the target folder, so that no name that a service sends
//! and no link that lies there can lead out of it.

use std::fs::{FileType, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use jiff::Timestamp;

use super::Error;
use crate::hash::Running;
use crate::home::lock_now;
use crate::path::RelativePath;

/// Bytes read at once of what an earlier process left.
const HASH_BYTES: usize = 256 * 1024;
/// How an unfinished download is named: invisible, and recognised by whoever comes next.
const PARTIAL_PREFIX: &str = ".wharf-partial.";

/// One thing in a folder that is read.
#[derive(Debug)]
pub(super) struct Found {
    /// Its name.
    pub(super) name: String,
    /// Where it is.
    pub(super) path: PathBuf,
    /// What it is, links followed if that was asked for.
    pub(super) what: What,
}

/// What something on this machine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum What {
    /// A file.
    File(FileFacts),
    /// A folder.
    Folder,
    /// Something that is not copied, with the reason.
    Other(&'static str),
}

/// What is known of a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileFacts {
    /// Bytes.
    pub(super) size: u64,
    /// When it was last modified.
    pub(super) modified: Option<Timestamp>,
}

impl FileFacts {
    fn of(metadata: &Metadata) -> Self {
        Self { size: metadata.len(), modified: timestamp(metadata.mtime(), metadata.mtime_nsec()) }
    }
}

fn timestamp(seconds: i64, nanoseconds: i64) -> Option<Timestamp> {
    let nanoseconds = i128::from(seconds).checked_mul(1_000_000_000)?.checked_add(i128::from(nanoseconds))?;
    Timestamp::from_nanosecond(nanoseconds).ok()
}

/// When a source was last modified.
pub(super) fn modified(identity: crate::content::Identity) -> Option<Timestamp> {
    timestamp(identity.modified_seconds, identity.modified_nanoseconds)
}

/// What is at a path given by the operator; links are followed.
pub(super) fn look_at(path: &Path) -> Result<What, Error> {
    let metadata = std::fs::metadata(path).map_err(|problem| Error::local("read", path, problem))?;
    Ok(what(metadata.file_type(), &metadata))
}

fn what(kind: FileType, metadata: &Metadata) -> What {
    if kind.is_file() {
        What::File(FileFacts::of(metadata))
    } else if kind.is_dir() {
        What::Folder
    } else {
        What::Other("it is neither a file nor a folder")
    }
}

/// What is in a folder, sorted by name. A name that is not UTF-8 is an error of its own, beside the rest.
pub(super) fn read_folder(folder: &Path, copy_links: bool) -> Result<Vec<Result<Found, Error>>, Error> {
    let unreadable = |problem| Error::local("read", folder, problem);
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        let name = match entry.file_name().into_string() {
            Ok(name) => name,
            Err(name) => {
                let path = folder.join(name).to_string_lossy().into_owned();
                found.push(Err(Error::Name { path, problem: "its name is not UTF-8".to_owned() }));
                continue;
            }
        };
        found.push(examine(path, copy_links).map(|(path, what)| Found { name, path, what }));
    }
    found.sort_by(|one, other| key(one).cmp(key(other)));
    Ok(found)
}

fn key(found: &Result<Found, Error>) -> &str {
    found.as_ref().map_or("", |found| &found.name)
}

fn examine(path: PathBuf, copy_links: bool) -> Result<(PathBuf, What), Error> {
    let unreadable = |problem| Error::local("read", &path, problem);
    let metadata = std::fs::symlink_metadata(&path).map_err(unreadable)?;
    if !metadata.is_symlink() {
        return Ok((path, what(metadata.file_type(), &metadata)));
    }
    if !copy_links {
        return Ok((path, What::Other("it is a symbolic link; `--copy-links` would follow it")));
    }
    let target = std::fs::metadata(&path).map_err(unreadable)?;
    if target.is_dir() {
        // A link to a folder above would be walked for ever.
        return Ok((path, What::Other("it is a symbolic link to a folder, which is not followed")));
    }
    Ok((path, what(target.file_type(), &target)))
}

/// A folder that is written into, and nothing outside of it.
#[derive(Debug)]
pub(super) struct Target {
    path: PathBuf,
    folder: Dir,
}

impl Target {
    /// Open a folder, making it and those on the way first.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        std::fs::create_dir_all(path).map_err(|problem| Error::local("make the folder", path, problem))?;
        let folder = Dir::open_ambient_dir(path, ambient_authority());
        let folder = folder.map_err(|problem| Error::local("open the folder", path, problem))?;
        Ok(Self { path: path.to_owned(), folder })
    }

    /// Where something in it is, for messages.
    pub(super) fn place(&self, path: &RelativePath) -> PathBuf {
        self.path.join(path.as_str())
    }

    /// What is at a path, links not followed; none when there is nothing.
    pub(super) fn look_at(&self, path: &RelativePath) -> Result<Option<What>, Error> {
        if path.is_root() {
            return Ok(Some(What::Folder));
        }
        let metadata = match self.folder.symlink_metadata(path.as_str()) {
            Ok(metadata) => metadata,
            Err(problem)
                if matches!(problem.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) =>
            {
                return Ok(None);
            }
            Err(problem) => return Err(Error::local("read", &self.place(path), problem)),
        };
        Ok(Some(if metadata.is_file() {
            let (seconds, nanoseconds) = {
                use cap_std::fs::MetadataExt as _;
                (metadata.mtime(), metadata.mtime_nsec())
            };
            What::File(FileFacts { size: metadata.len(), modified: timestamp(seconds, nanoseconds) })
        } else if metadata.is_dir() {
            What::Folder
        } else {
            What::Other("something that is neither a file nor a folder")
        }))
    }

    /// Make a folder; those on the way are there already. Returns whether it was new.
    pub(super) fn make_folder(&self, path: &RelativePath) -> Result<bool, Error> {
        match self.look_at(path)? {
            Some(What::Folder) => Ok(false),
            Some(What::File(_) | What::Other(_)) => Err(self.wrong_kind(path, "folder")),
            None => {
                let made = self.folder.create_dir_all(path.as_str());
                made.map_err(|problem| Error::local("make the folder", &self.place(path), problem))?;
                Ok(true)
            }
        }
    }

    /// An error that says what stands in the way of a file or a folder.
    pub(super) fn wrong_kind(&self, path: &RelativePath, needed: &'static str) -> Error {
        let is = match self.look_at(path) {
            Ok(Some(What::File(_))) => "file",
            Ok(Some(What::Folder)) => "folder",
            Ok(Some(What::Other(_)) | None) | Err(_) => "special file",
        };
        Error::WrongKind { place: self.place(path).to_string_lossy().into_owned(), is, needed }
    }

    /// Begin a file under a name that nobody takes for the whole. What is there of it already is gone
    /// on with, if that is asked for and it is at most `keep_max` bytes.
    pub(super) fn begin(&self, path: &RelativePath, keep_max: Option<u64>) -> Result<Partial, Error> {
        let failed = |problem| Error::local("write", &self.place(path), problem);
        let name = path.name().unwrap_or_default();
        let (mut partial, mut file) = self.open_partial(path, &tag(name)).map_err(failed)?;
        let mut keep_max = keep_max;
        if !lock_now(&file).map_err(failed)? {
            // Another process is fetching the same file to the same place: it has that name.
            let other = format!("{}-{:08x}", tag(name), rand::random::<u32>());
            (partial, file) = self.open_partial(path, &other).map_err(failed)?;
            keep_max = None;
        }
        let mut size = file.metadata().map_err(failed)?.len();
        if keep_max.is_none_or(|max| size > max) {
            file.set_len(0).map_err(failed)?;
            size = 0;
        }
        let folder = self.folder.try_clone();
        let folder = folder.map_err(|problem| Error::local("open the folder", &self.path, problem))?;
        Ok(Partial { folder, partial, size, file: Some(file), path: path.clone(), place: self.place(path) })
    }

    fn open_partial(&self, path: &RelativePath, tag: &str) -> io::Result<(String, cap_std::fs::File)> {
        // A file name has at most 255 bytes; the tag keeps long names apart.
        let short: String = path.name().unwrap_or_default().chars().take(40).collect();
        let partial = format!("{PARTIAL_PREFIX}{tag}.{short}");
        let partial = match path.parent().filter(|parent| !parent.is_root()) {
            Some(parent) => format!("{parent}/{partial}"),
            None => partial,
        };
        let mut options = cap_std::fs::OpenOptions::new();
        options.read(true).write(true).create(true);
        let file = self.folder.open_with(&partial, &options)?;
        Ok((partial, file))
    }

    /// See that everything that was written is on disk.
    pub(super) fn sync(&self) -> Result<(), Error> {
        // The handle that files are opened through stands for a place only; syncing needs an open folder.
        let opened = std::fs::File::open(&self.path);
        let synced = opened.and_then(|folder| rustix::fs::syncfs(folder).map_err(io::Error::from));
        synced.map_err(|problem| Error::local("write", &self.path, problem))
    }
}

/// A few characters that stand for a name.
fn tag(name: &str) -> String {
    let digest = ring::digest::digest(&ring::digest::SHA256, name.as_bytes());
    hex::encode(digest.as_ref().get(..8).unwrap_or_default())
}

/// A file that is being written; dropped before it is kept or left, it is gone.
#[derive(Debug)]
pub(super) struct Partial {
    folder: Dir,
    partial: String,
    /// Bytes that were there when it was opened.
    size: u64,
    file: Option<cap_std::fs::File>,
    path: RelativePath,
    place: PathBuf,
}

impl Partial {
    /// How many bytes an earlier process left in it.
    pub(super) const fn size(&self) -> u64 {
        self.size
    }

    /// Hash what is there, and go to its end.
    pub(super) fn hash_into(&mut self, running: &mut Running) -> Result<(), Error> {
        use io::Read as _;
        let Some(file) = &mut self.file else { return Ok(()) };
        let mut block = vec![0; HASH_BYTES];
        let mut left = self.size;
        while left > 0 {
            let want = block.len().min(usize::try_from(left).unwrap_or(usize::MAX));
            let part = block.get_mut(..want).unwrap_or_default();
            file.read_exact(part).map_err(|problem| Error::local("read", &self.place, problem))?;
            running.update(part);
            left = left.saturating_sub(u64::try_from(want).unwrap_or(u64::MAX));
        }
        Ok(())
    }

    /// It is not whole, but the next process can go on with it.
    pub(super) fn leave(mut self) {
        self.file = None;
    }

    /// Append bytes.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        use io::Write as _;
        let Some(file) = &mut self.file else { return Ok(()) };
        file.write_all(bytes).map_err(|problem| Error::local("write", &self.place, problem))
    }

    /// It is whole: give it its modification time and its name.
    pub(super) fn keep(mut self, modified: Option<Timestamp>) -> Result<(), Error> {
        let failed = |problem| Error::local("write", &self.place, problem);
        if let (Some(file), Some(modified)) = (&self.file, modified) {
            let time = std::time::SystemTime::from(modified);
            let file = file.try_clone().map_err(failed)?.into_std();
            file.set_modified(time).map_err(failed)?;
        }
        self.folder.rename(&self.partial, &self.folder, self.path.as_str()).map_err(failed)?;
        self.file = None;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // Nothing depends on it: a name that is left behind is overwritten by the next attempt.
            let _ = self.folder.remove_file(&self.partial);
        }
    }
}
