//! Object bytes in files: written as they arrive, hashed on the way, gone when nothing names them.
//!
//! A stored object is shared by reference (a copied file, an old version and a batch commit all
//! point at the same bytes), and its file disappears with the last reference. Names, trees and
//! revisions are not known here.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt, AsyncWriteExt, SeekFrom};

use crate::hash::Hasher;
use crate::number;

/// Bytes gathered before a write reaches the file: few enough to hold for every connection at
/// once, many enough that a gigabyte is a few thousand writes.
const GATHER_BYTES: usize = 256 * 1024;

/// A directory that keeps the objects of one run.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    directory: PathBuf,
    next: AtomicU64,
}

impl Drop for Inner {
    fn drop(&mut self) {
        // Every object has removed its own file by now; a directory that is not empty is kept.
        let _ = std::fs::remove_dir(&self.directory);
    }
}

impl Store {
    /// Makes a new, empty directory below `root`.
    pub(crate) fn create(root: &Path) -> io::Result<Self> {
        let directory = root.join(format!("objects-{}", crate::seal::random(8)));
        std::fs::create_dir_all(&directory)?;
        Ok(Self { inner: Arc::new(Inner { directory, next: AtomicU64::new(1) }) })
    }

    /// Opens a new object for writing.
    pub(crate) async fn writer(&self, hasher: Hasher) -> io::Result<Writer> {
        let place =
            Place { store: Arc::clone(&self.inner), number: self.inner.next.fetch_add(1, Ordering::Relaxed) };
        let file = File::options().read(true).write(true).create_new(true).open(place.path()).await?;
        Ok(Writer { file, place, hasher, size: 0, gathered: Vec::new() })
    }

    /// Stores bytes that are already in memory, for tests that prepare a drive.
    pub(crate) fn keep(&self, bytes: &[u8], mut hasher: Hasher) -> io::Result<Arc<Blob>> {
        let place =
            Place { store: Arc::clone(&self.inner), number: self.inner.next.fetch_add(1, Ordering::Relaxed) };
        std::fs::write(place.path(), bytes)?;
        hasher.update(bytes);
        Ok(Arc::new(Blob { place, size: number::size(bytes.len()), hash: hasher.finish() }))
    }
}

/// The file of one object; removed when dropped.
#[derive(Debug)]
struct Place {
    store: Arc<Inner>,
    number: u64,
}

impl Place {
    fn path(&self) -> PathBuf {
        self.store.directory.join(format!("{:08x}", self.number))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(self.path());
    }
}

/// The bytes of a stored object.
#[derive(Debug)]
pub(crate) struct Blob {
    place: Place,
    size: u64,
    hash: String,
}

impl Blob {
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// The hash of the service that stores it.
    pub(crate) fn hash(&self) -> &str {
        &self.hash
    }

    /// Where the bytes are, for tests that want to look at or spoil them.
    pub(crate) fn path(&self) -> PathBuf {
        self.place.path()
    }

    /// Opens the bytes at an offset.
    pub(crate) async fn open(&self, start: u64) -> io::Result<File> {
        let mut file = File::open(self.place.path()).await?;
        if start > 0 {
            file.seek(SeekFrom::Start(start)).await?;
        }
        Ok(file)
    }
}

/// An object that is being written. Dropping it forgets the bytes.
#[derive(Debug)]
pub(crate) struct Writer {
    file: File,
    place: Place,
    hasher: Hasher,
    size: u64,
    gathered: Vec<u8>,
}

/// A point of a writer to return to when a part turns out to be broken.
#[derive(Debug)]
pub(crate) struct Mark {
    size: u64,
    hasher: Hasher,
}

impl Writer {
    /// Appends bytes.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.size += number::size(bytes.len());
        self.gathered.extend_from_slice(bytes);
        if self.gathered.len() >= GATHER_BYTES {
            self.flush().await?;
        }
        Ok(())
    }

    /// Bytes written so far.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Where to return to.
    pub(crate) fn mark(&self) -> Mark {
        Mark { size: self.size, hasher: self.hasher.clone() }
    }

    /// Forgets everything written since the mark.
    pub(crate) async fn rollback(&mut self, mark: Mark) -> io::Result<()> {
        self.flush().await?;
        self.file.set_len(mark.size).await?;
        self.file.seek(SeekFrom::Start(mark.size)).await?;
        self.size = mark.size;
        self.hasher = mark.hasher;
        Ok(())
    }

    /// Another handle on the file, at an offset, for a part of a parallel upload. The running hash
    /// does not see what is written there: the caller hashes its blocks and gives the result to
    /// [`Writer::finish_as`].
    pub(crate) async fn part(&self, offset: u64) -> io::Result<File> {
        let mut file = File::options().write(true).open(self.place.path()).await?;
        file.seek(SeekFrom::Start(offset)).await?;
        Ok(file)
    }

    /// Ends the object.
    pub(crate) async fn finish(mut self) -> io::Result<Arc<Blob>> {
        self.flush().await?;
        let hash = self.hasher.finish();
        Ok(self.into_blob(hash))
    }

    /// Ends an object whose size and hash were computed by its parts.
    pub(crate) fn finish_as(mut self, size: u64, hash: String) -> Arc<Blob> {
        self.size = size;
        self.into_blob(hash)
    }

    fn into_blob(self, hash: String) -> Arc<Blob> {
        Arc::new(Blob { place: self.place, size: self.size, hash })
    }

    async fn flush(&mut self) -> io::Result<()> {
        if !self.gathered.is_empty() {
            self.file.write_all(&self.gathered).await?;
            self.gathered.clear();
        }
        self.file.flush().await
    }
}

/// Copies an object and adds bytes at its end: what SharePoint does to Office files.
pub(crate) async fn extend(store: &Store, blob: &Blob, more: &[u8], hasher: Hasher) -> io::Result<Arc<Blob>> {
    let mut writer = store.writer(hasher).await?;
    let mut file = blob.open(0).await?;
    let mut buffer = vec![0; GATHER_BYTES];
    loop {
        let count = file.read(&mut buffer).await?;
        if count == 0 {
            break;
        }
        writer.write(&buffer[..count]).await?;
    }
    writer.write(more).await?;
    writer.finish().await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn rolls_back_a_broken_part() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::create(root.path()).unwrap();
        let mut writer = store.writer(Hasher::quick()).await.unwrap();
        writer.write(b"hel").await.unwrap();
        let mark = writer.mark();
        writer.write(b"XXXX").await.unwrap();
        writer.rollback(mark).await.unwrap();
        writer.write(b"lo").await.unwrap();
        let blob = writer.finish().await.unwrap();
        assert_eq!(blob.hash(), "aCgDG9jwBgAAAAAABQAAAAAAAAA=");
        let path = blob.path();
        assert_eq!(std::fs::read(&path).unwrap(), b"hello");
        drop(blob);
        assert!(!path.exists());
    }

    #[tokio::test]
    async fn copies_with_a_tail() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::create(root.path()).unwrap();
        let blob = store.keep(b"hello", Hasher::quick()).unwrap();
        let longer = extend(&store, &blob, b"!", Hasher::quick()).await.unwrap();
        assert_eq!((longer.size(), blob.size()), (6, 5));
        assert_ne!(longer.hash(), blob.hash());
    }
}
