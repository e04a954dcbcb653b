//! SHA-256 over the SHA-256s of blocks of [`BLOCK_BYTES`].
//!
//! The hashes of complete blocks are kept (32 bytes for every 4 MiB), so that ranges can be joined.
//! Blocks are counted from the start of the source; a range begins at one.

use ring::digest::{Context, Digest, SHA256};

use super::{BLOCK_BYTES, length};

/// Blocks, the last of which may be incomplete.
#[derive(Clone)]
pub(super) struct BlockSha256 {
    complete: Vec<[u8; 32]>,
    block: Context,
    filled: u64,
}

impl BlockSha256 {
    pub(super) fn new() -> Self {
        Self { complete: Vec::new(), block: Context::new(&SHA256), filled: 0 }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = usize::try_from(BLOCK_BYTES - self.filled).unwrap_or(usize::MAX);
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.block.update(now);
            self.filled += length(now);
            if self.filled == BLOCK_BYTES {
                self.close();
            }
            rest = later;
        }
    }

    /// Add the range that follows; ours ends with a complete block.
    pub(super) fn append(&mut self, next: Self) {
        self.complete.extend(next.complete);
        self.block = next.block;
        self.filled = next.filled;
    }

    pub(super) fn finish(mut self) -> Digest {
        if self.filled > 0 {
            self.close();
        }
        let mut outer = Context::new(&SHA256);
        for digest in &self.complete {
            outer.update(digest);
        }
        outer.finish()
    }

    fn close(&mut self) {
        let block = std::mem::replace(&mut self.block, Context::new(&SHA256));
        let mut digest = [0; 32];
        digest.copy_from_slice(block.finish().as_ref());
        self.complete.push(digest);
        self.filled = 0;
    }
}
