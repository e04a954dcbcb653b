//! The blocks of a part of a parallel upload, hashed one by one as they arrive.

use sha2::{Digest, Sha256};

use crate::hash::CONTENT_BLOCK_BYTES;
use crate::number;

/// Hashes of the blocks of one part.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    /// Bytes so far.
    pub(crate) size: u64,
    filled: u64,
    current: Sha256,
    done: Vec<[u8; 32]>,
}

impl Blocks {
    /// Adds bytes.
    pub(crate) fn update(&mut self, mut bytes: &[u8]) {
        self.size += number::size(bytes.len());
        while !bytes.is_empty() {
            let room = number::index(CONTENT_BLOCK_BYTES - self.filled);
            let (now, rest) = bytes.split_at(room.min(bytes.len()));
            self.current.update(now);
            self.filled += number::size(now.len());
            if self.filled == CONTENT_BLOCK_BYTES {
                self.done.push(self.current.finalize_reset().into());
                self.filled = 0;
            }
            bytes = rest;
        }
    }

    /// The digest of each block; the last one may be short.
    pub(crate) fn finish(mut self) -> Vec<[u8; 32]> {
        if self.filled > 0 {
            self.done.push(self.current.finalize().into());
        }
        self.done
    }
}
