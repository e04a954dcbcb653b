//! The board as a file that all processes of the machine share.
//!
//! It is `locks/threads-NAME`, a few hundred bytes that are read and written under a lock held for
//! microseconds, and never synced: what is in it concerns processes that are alive. A process that
//! dies in between gives the lock back by dying, and what it wrote by half is put right by each other
//! process, which writes its own tasks anew every time. Whose process is gone is not known here.

use std::{fs::File, io, os::unix::fs::FileExt, time::Duration};

use super::board::{Board, Entry, Key, Standing, TASKS_MAX};
use crate::home::{Home, Name, lock_now};

/// What the file begins with; another version of it would be another name.
const MAGIC: [u8; 4] = *b"WTH1";
const HEADER_BYTES: usize = 16;
const ENTRY_BYTES: usize = 48;
const TABLE_BYTES_MAX: usize = HEADER_BYTES + TASKS_MAX * ENTRY_BYTES;

/// How often somebody tries to be alone with the file, [`TRY_WAIT`] apart. Others are alone with it for
/// microseconds; one that was stopped in between must not stop this thread for long.
const TRIES: u32 = 100;
const TRY_WAIT: Duration = Duration::from_micros(200);

/// The file, or none when it cannot be had: this process then counts alone.
#[derive(Debug)]
pub(super) struct Table {
    file: Option<File>,
    board: Board,
    bytes: Vec<u8>,
    warned: bool,
}

impl Table {
    pub(super) fn open(home: &Home, name: &Name) -> Self {
        let opened = home.locks().open_in_place(&format!("threads-{name}"));
        let mut table =
            Self { file: None, board: Board::default(), bytes: vec![0; TABLE_BYTES_MAX], warned: false };
        match opened {
            Ok(file) => table.file = Some(file.into_std()),
            Err(error) => table.warn(&error),
        }
        table
    }

    /// For one process alone.
    pub(super) const fn alone() -> Self {
        Self { file: None, board: Board { next: 0, entries: Vec::new() }, bytes: Vec::new(), warned: true }
    }

    /// The board as it was seen last.
    pub(super) const fn seen(&self) -> &Board {
        &self.board
    }

    /// Change the board. None when somebody else was alone with it for too long; nothing is changed then.
    pub(super) fn change<T>(&mut self, change: impl FnOnce(&mut Board) -> T) -> Option<T> {
        if self.file.is_none() {
            return Some(change(&mut self.board));
        }
        if !self.lock() {
            return None;
        }
        let before = match self.read() {
            Ok(length) => length,
            Err(error) => {
                self.warn(&error);
                0
            }
        };
        let unchanged = self.board.clone();
        let done = change(&mut self.board);
        if before == 0 || unchanged != self.board {
            self.write();
        }
        if let Some(file) = &self.file {
            file.unlock().unwrap_or_default();
        }
        Some(done)
    }

    fn lock(&self) -> bool {
        let Some(file) = &self.file else { return true };
        (0..TRIES).any(|_| {
            // A file system without locks has no other processes either that could be told apart.
            let alone = lock_now(file).unwrap_or(true);
            if !alone {
                std::thread::sleep(TRY_WAIT);
            }
            alone
        })
    }

    /// Read the board. Returns how many bytes of it there were.
    fn read(&mut self) -> io::Result<usize> {
        let Some(file) = &self.file else { return Ok(0) };
        let length = file.read_at(&mut self.bytes, 0)?;
        self.board = decode(self.bytes.get(..length).unwrap_or_default()).unwrap_or_default();
        Ok(length)
    }

    fn write(&mut self) {
        let bytes = encode(&self.board);
        let written = self.file.as_ref().map_or(Ok(()), |file| file.write_all_at(&bytes, 0));
        if let Err(error) = written {
            self.warn(&error);
        }
    }

    /// A full disk must not keep anybody from restoring: what cannot be shared is counted alone.
    fn warn(&mut self, error: &dyn std::error::Error) {
        if !std::mem::replace(&mut self.warned, true) {
            tracing::warn!("threads are not shared with other processes: {error}");
        }
    }
}

fn encode(board: &Board) -> Vec<u8> {
    let count = u32::try_from(board.entries.len()).unwrap_or(u32::MAX);
    let mut bytes = Vec::with_capacity(HEADER_BYTES + board.entries.len() * ENTRY_BYTES);
    bytes.extend(MAGIC);
    bytes.extend(count.to_le_bytes());
    bytes.extend(board.next.to_le_bytes());
    for entry in &board.entries {
        let standing = match entry.standing {
            Standing::Passing => 0,
            Standing::Queued => 1,
            Standing::Running => 2,
        };
        bytes.extend(entry.key.run.to_le_bytes());
        bytes.extend(entry.key.number.to_le_bytes());
        bytes.extend(entry.held.to_le_bytes());
        bytes.extend(entry.tasks_max.to_le_bytes());
        bytes.extend([u8::from(entry.waiting), standing, 0, 0, 0, 0, 0, 0]);
        bytes.extend(entry.ticket.to_le_bytes());
        bytes.extend(entry.looked_ms.to_le_bytes());
    }
    bytes
}

/// None when it is no board; of one that was written by half, what can be understood.
fn decode(bytes: &[u8]) -> Option<Board> {
    let (header, rest) = bytes.split_at_checked(HEADER_BYTES)?;
    let (magic, header) = header.split_first_chunk()?;
    let (count, next) = header.split_first_chunk()?;
    if *magic != MAGIC {
        return None;
    }
    let count = usize::try_from(u32::from_le_bytes(*count)).ok()?.min(TASKS_MAX);
    let mut board = Board { next: u64::from_le_bytes(*next.first_chunk()?), entries: Vec::new() };
    for entry in rest.chunks_exact(ENTRY_BYTES).take(count).filter_map(decode_entry) {
        // Twice the same can only be a half-written one.
        if board.entry(entry.key).is_none() {
            board.entries.push(entry);
        }
    }
    Some(board)
}

fn decode_entry(bytes: &[u8]) -> Option<Entry> {
    let (run, bytes) = bytes.split_first_chunk()?;
    let (number, bytes) = bytes.split_first_chunk()?;
    let (held, bytes) = bytes.split_first_chunk()?;
    let (tasks_max, bytes) = bytes.split_first_chunk()?;
    let ([waiting, standing, ..], bytes) = bytes.split_first_chunk::<8>()?;
    let (ticket, bytes) = bytes.split_first_chunk()?;
    let standing = match standing {
        0 => Standing::Passing,
        1 => Standing::Queued,
        2 => Standing::Running,
        _ => return None,
    };
    Some(Entry {
        key: Key { run: u128::from_le_bytes(*run), number: u32::from_le_bytes(*number) },
        held: u16::from_le_bytes(*held),
        waiting: *waiting != 0,
        standing,
        tasks_max: u16::from_le_bytes(*tasks_max),
        ticket: u64::from_le_bytes(*ticket),
        looked_ms: u64::from_le_bytes(*bytes.first_chunk()?),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_entry() -> impl Strategy<Value = Entry> {
        let standing = prop::sample::select(vec![Standing::Passing, Standing::Queued, Standing::Running]);
        (any::<(u128, u32, u16, bool, u16, u64, u64)>(), standing).prop_map(|(fields, standing)| {
            let (run, number, held, waiting, tasks_max, ticket, looked_ms) = fields;
            Entry { key: Key { run, number }, held, waiting, standing, tasks_max, ticket, looked_ms }
        })
    }

    proptest! {
        #[test]
        fn a_board_is_read_as_it_was_written(next: u64, entries in prop::collection::vec(any_entry(), 0..20)) {
            let mut board = Board { next, entries };
            let mut keys = Vec::new();
            board.entries.retain(|entry| !keys.contains(&entry.key) && { keys.push(entry.key); true });
            prop_assert_eq!(decode(&encode(&board)), Some(board));
        }

        #[test]
        fn damage_is_no_more_than_a_board(mut bytes in prop::collection::vec(any::<u8>(), 0..400), is_ours: bool) {
            if let Some(start) = bytes.first_chunk_mut().filter(|_| is_ours) {
                *start = MAGIC;
            }
            if let Some(board) = decode(&bytes) {
                prop_assert!(board.entries.len() <= TASKS_MAX && board.entries.len() * ENTRY_BYTES <= bytes.len());
            }
        }
    }
}
