//! The file, and the rules for changing it.
//!
//! Everything here happens under the destination's audit lock: nobody writes into a file that another
//! puts aside, and each record goes on from the one that is last in the file at that moment, whoever
//! wrote it. It appends whole lines, all of them or none.

use std::fs::{File, Metadata};
use std::io::Write as _;
use std::os::unix::fs::{FileExt, MetadataExt as _};

use super::chain::{LINK_BYTES_MAX, Link, Tail, last_place};
use super::head::Heads;
use super::{FILE_BYTES_MAX, FILES_MAX, LOCK_WAIT, file_name};
use crate::home::{self, Home, Name, Subject};
use crate::state::State;

/// How much of a file's end is looked at first for its last record: room for a few long ones.
const TAIL_BYTES: u64 = 32 * 1024;

pub(super) struct Appender {
    home: Home,
    destination: Name,
    heads: Heads,
    file: File,
    /// Which file that is.
    inode: u64,
    /// What we know of the file's end, until another process changes it.
    end: Option<End>,
    /// What the database has not been told yet.
    untold: Option<Link>,
}

struct End {
    inode: u64,
    length: u64,
    link: Link,
}

/// How the file to write ends.
struct Found {
    length: u64,
    /// It does not end with a line's end: a process was killed in the middle.
    torn: bool,
}

impl Appender {
    pub(super) fn open(home: Home, state: State, destination: &Name) -> Result<Self, home::Error> {
        let file = home.audit().open_to_append(&file_name(destination, 0))?.into_std();
        let heads = Heads::new(state, destination.clone());
        let destination = destination.clone();
        let mut appender = Self { home, destination, heads, file, inode: 0, end: None, untold: None };
        appender.inode = appender.metadata()?.ino();
        Ok(appender)
    }

    /// Append records, a line each. They are taken from `lines` once they are written.
    pub(super) fn append(&mut self, lines: &mut Vec<u8>) -> Result<(), home::Error> {
        if lines.is_empty() {
            return Ok(());
        }
        let home = self.home.clone();
        let _lock = home.lock(&Subject::Audit(self.destination.clone()), LOCK_WAIT)?;
        let count = memchr::memchr_iter(b'\n', lines).count();
        let found = self.follow(lines.len().saturating_add(count.saturating_mul(LINK_BYTES_MAX)))?;
        let mut link = self.link(&found)?;
        // A process that was killed in the middle of a line must not spoil ours as well.
        let mut text = if found.torn { vec![b'\n'] } else { Vec::new() };
        for body in lines.split(|byte| *byte == b'\n').filter(|body| !body.is_empty()) {
            link.carry(body, &mut text);
        }
        self.end = None;
        if let Err(error) = self.file.write_all(&text) {
            self.file.set_len(found.length).unwrap_or_default();
            return Err(self.error("append to", error));
        }
        lines.clear();
        let length = found.length.saturating_add(u64::try_from(text.len()).unwrap_or(u64::MAX));
        self.end = Some(End { inode: self.inode, length, link });
        self.untold = Some(link);
        Ok(())
    }

    /// What was appended is on disk, and the database knows how far that is.
    pub(super) fn sync(&mut self) -> Result<(), home::Error> {
        self.file.sync_data().map_err(|error| self.error("sync", error))?;
        if let Some(link) = self.untold {
            match self.heads.reached(link) {
                Ok(()) => self.untold = None,
                // The records are safe; that their end is known elsewhere too can wait for the next time.
                Err(error) => {
                    tracing::warn!(destination = %self.destination, %error, "the end of the audit is not kept");
                }
            }
        }
        Ok(())
    }

    /// Make sure that `self.file` is the file to write, with room for that many bytes.
    fn follow(&mut self, room: usize) -> Result<Found, home::Error> {
        let name = file_name(&self.destination, 0);
        let length = match self.home.audit().stamp(&name).filter(|stamp| stamp.inode() == self.inode) {
            Some(stamp) => stamp.length(),
            None => {
                // Put aside by another process; what we wrote to it must reach the disk as well.
                self.sync()?;
                self.take_up(&name)?
            }
        };
        if length > 0 && length.saturating_add(u64::try_from(room).unwrap_or(u64::MAX)) > FILE_BYTES_MAX {
            self.put_aside()?;
            return Ok(Found { length: 0, torn: false });
        }
        let is_ours = self.knows_end(length).is_some();
        Ok(Found { length, torn: length > 0 && !is_ours && !self.ends_with_line(length) })
    }

    fn put_aside(&mut self) -> Result<(), home::Error> {
        self.sync()?;
        self.remember_what_goes()?;
        let folder = self.home.audit();
        for age in (0..FILES_MAX.saturating_sub(1)).rev() {
            let from = file_name(&self.destination, age);
            if folder.has(&from) {
                folder.rename(&from, &file_name(&self.destination, age + 1))?;
            }
        }
        self.take_up(&file_name(&self.destination, 0)).map(drop)
    }

    /// From now on this is the file to write. Returns its length.
    fn take_up(&mut self, name: &str) -> Result<u64, home::Error> {
        self.file = self.home.audit().open_to_append(name)?.into_std();
        let metadata = self.metadata()?;
        self.inode = metadata.ino();
        Ok(metadata.len())
    }

    fn metadata(&self) -> Result<Metadata, home::Error> {
        self.file.metadata().map_err(|error| self.error("look at", error))
    }

    /// The last record, if the file still ends with what we wrote.
    fn knows_end(&self, length: u64) -> Option<Link> {
        let end = self.end.as_ref().filter(|end| (end.inode, end.length) == (self.inode, length));
        end.map(|end| end.link)
    }

    /// The oldest file goes: where the chain begins then must be known before it does.
    fn remember_what_goes(&self) -> Result<(), home::Error> {
        let oldest = file_name(&self.destination, FILES_MAX.saturating_sub(1));
        let Some(file) = self.home.audit().open_to_read(&oldest)? else { return Ok(()) };
        let file = file.into_std();
        let length = file.metadata().map_err(|error| self.error("look at", error))?.len();
        let (found, _) = self.last_of(&file, length, &[])?;
        let told = found.map_or(Ok(()), |floor| self.heads.dropping(floor.link));
        if let Err(error) = told {
            tracing::warn!(destination = %self.destination, %error, "the beginning of the audit is not kept");
        }
        Ok(())
    }

    /// What the next record goes on from.
    fn link(&self, found: &Found) -> Result<Link, home::Error> {
        if let Some(link) = self.knows_end(found.length).filter(|_| !found.torn) {
            return Ok(link);
        }
        let last = self.last_written(found)?;
        let mut link = last.map_or(Link::START, |last| last.link);
        if let Some(head) = self.heads.load().ok().flatten().map(|head| head.last) {
            // Where the end of the file was taken away, the numbers go on: that they are gone stays to be seen.
            link.number = link.number.max(head.number);
            // So does that the last record was changed since it was synced: nothing is built on it.
            if last.is_some_and(|last| last.link.number == head.number && last.line != head.hash) {
                link.hash = head.hash;
            }
        }
        Ok(link)
    }

    /// The last record of the newest file that has one.
    fn last_written(&self, found: &Found) -> Result<Option<Tail>, home::Error> {
        let line_end: &[u8] = if found.torn { b"\n" } else { b"" };
        let (last, mut after) = self.last_of(&self.file, found.length, line_end)?;
        if last.is_some() {
            return Ok(last);
        }
        for age in 1..FILES_MAX {
            let Some(file) = self.home.audit().open_to_read(&file_name(&self.destination, age))? else {
                break;
            };
            let file = file.into_std();
            let length = file.metadata().map_err(|error| self.error("look at", error))?.len();
            let (last, bytes) = self.last_of(&file, length, &after)?;
            if last.is_some() {
                return Ok(last);
            }
            if !bytes.is_empty() {
                // A whole file without a link is from before there was a chain: it begins here.
                break;
            }
            after = bytes;
        }
        Ok(None)
    }

    /// The last record of a file, with what follows it there and in later files; or else all of that.
    fn last_of(
        &self,
        file: &File,
        length: u64,
        after: &[u8],
    ) -> Result<(Option<Tail>, Vec<u8>), home::Error> {
        let mut window = TAIL_BYTES;
        loop {
            let from = length.saturating_sub(window);
            let mut bytes = vec![0; usize::try_from(length.saturating_sub(from)).unwrap_or_default()];
            file.read_exact_at(&mut bytes, from).map_err(|error| self.error("read", error))?;
            if let Some((start, place)) = last_place(&bytes, from == 0) {
                let rest = bytes.get(start..).unwrap_or_default();
                return Ok((Some(Tail::of(place, rest, after)), Vec::new()));
            }
            if from == 0 || window > FILE_BYTES_MAX {
                bytes.extend_from_slice(after);
                return Ok((None, bytes));
            }
            window = window.saturating_mul(4);
        }
    }

    fn ends_with_line(&self, length: u64) -> bool {
        let mut last = [0];
        self.file.read_exact_at(&mut last, length.saturating_sub(1)).is_ok() && last == *b"\n"
    }

    fn error(&self, doing: &'static str, source: std::io::Error) -> home::Error {
        let path = self.home.audit().path_of(&file_name(&self.destination, 0));
        home::Error::Io { doing, path, source }
    }
}
