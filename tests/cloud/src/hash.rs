//! The two content hashes the services report, computed while bytes arrive.
//!
//! Written from the published descriptions and not shared with the runtime on purpose: an emulator
//! that borrows its client's hash would agree with the client's mistakes.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::number;

/// Length of the hash in bytes.
const QUICK_XOR_BYTES: usize = 20;
/// Byte `i` is turned by `11 * i mod 160` bits, so the pattern repeats every 160 bytes.
const QUICK_XOR_PERIOD: usize = 160;
/// Bits between the places of two neighbouring bytes.
const QUICK_XOR_SHIFT: usize = 11;
/// Bytes of one machine word in the fold.
const WORD_BYTES: usize = 8;

/// Block size of Dropbox's `content_hash`; also the unit of concurrent upload sessions.
pub const CONTENT_BLOCK_BYTES: u64 = 4 * 1024 * 1024;

/// OneDrive's `quickXorHash`: a 160-bit ring into which every byte is XORed at a moving place.
#[derive(Clone, Debug)]
pub struct QuickXor {
    /// Bytes that share a place, folded together; placed only once, at the end.
    fold: [u64; QUICK_XOR_PERIOD / WORD_BYTES],
    length: u64,
}

impl Default for QuickXor {
    fn default() -> Self {
        Self { fold: [0; QUICK_XOR_PERIOD / WORD_BYTES], length: 0 }
    }
}

impl QuickXor {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let at = number::index(self.length % number::size(QUICK_XOR_PERIOD));
        self.length += number::size(bytes.len());
        let lead = match at {
            0 => 0,
            _ => (QUICK_XOR_PERIOD - at).min(bytes.len()),
        };
        let (head, rest) = bytes.split_at(lead);
        self.fold_bytes(at, head);
        let (blocks, tail) = rest.as_chunks::<QUICK_XOR_PERIOD>();
        for block in blocks {
            self.fold_block(block);
        }
        self.fold_bytes(0, tail);
    }

    /// A counting loop rather than iterators: tests hash gigabytes in unoptimised builds, where
    /// this is several times as fast.
    fn fold_block(&mut self, block: &[u8; QUICK_XOR_PERIOD]) {
        let (words, _) = block.as_chunks::<WORD_BYTES>();
        let mut place = 0;
        while place < words.len() {
            self.fold[place] ^= u64::from_le_bytes(words[place]);
            place += 1;
        }
    }

    fn fold_bytes(&mut self, start: usize, bytes: &[u8]) {
        for (place, byte) in (start..).zip(bytes) {
            self.fold[place / WORD_BYTES] ^= u64::from(*byte) << (8 * (place % WORD_BYTES));
        }
    }

    /// The hash as Graph prints it: base64.
    pub fn finish(&self) -> String {
        let mut ring = [0u8; QUICK_XOR_BYTES];
        let folded = self.fold.iter().flat_map(|word| word.to_le_bytes());
        for (place, byte) in folded.enumerate() {
            let bit = (place * QUICK_XOR_SHIFT) % QUICK_XOR_PERIOD;
            let turned = u16::from(byte) << (bit % 8);
            let [low, high] = turned.to_le_bytes();
            ring[bit / 8] ^= low;
            ring[(bit / 8 + 1) % QUICK_XOR_BYTES] ^= high;
        }
        let tail = QUICK_XOR_BYTES - WORD_BYTES;
        for (cell, byte) in ring[tail..].iter_mut().zip(self.length.to_le_bytes()) {
            *cell ^= byte;
        }
        STANDARD.encode(ring)
    }
}

/// Dropbox's `content_hash`: SHA-256 over the SHA-256 of each 4 MiB block.
#[derive(Clone, Debug, Default)]
pub struct ContentHash {
    outer: Sha256,
    block: Sha256,
    filled: u64,
}

impl ContentHash {
    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = number::index(CONTENT_BLOCK_BYTES - self.filled);
            let (now, later) = rest.split_at(room.min(rest.len()));
            self.block.update(now);
            self.filled += number::size(now.len());
            if self.filled == CONTENT_BLOCK_BYTES {
                self.outer.update(self.block.finalize_reset());
                self.filled = 0;
            }
            rest = later;
        }
    }

    /// The hash as Dropbox prints it: lower-case hex.
    pub fn finish(&self) -> String {
        let mut outer = self.outer.clone();
        if self.filled > 0 {
            outer.update(self.block.clone().finalize());
        }
        hex::encode(outer.finalize())
    }
}

/// The hash of the service that stores the bytes.
#[derive(Clone, Debug)]
pub(crate) enum Hasher {
    /// OneDrive.
    Quick(QuickXor),
    /// Dropbox.
    Content(ContentHash),
}

impl Hasher {
    pub(crate) fn quick() -> Self {
        Self::Quick(QuickXor::default())
    }

    pub(crate) fn content() -> Self {
        Self::Content(ContentHash::default())
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Quick(hash) => hash.update(bytes),
            Self::Content(hash) => hash.update(bytes),
        }
    }

    pub(crate) fn finish(&self) -> String {
        match self {
            Self::Quick(hash) => hash.finish(),
            Self::Content(hash) => hash.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quick(bytes: &[u8], step: usize) -> String {
        let mut hash = QuickXor::default();
        bytes.chunks(step.max(1)).for_each(|chunk| hash.update(chunk));
        hash.finish()
    }

    fn content(bytes: &[u8], step: usize) -> String {
        let mut hash = ContentHash::default();
        bytes.chunks(step.max(1)).for_each(|chunk| hash.update(chunk));
        hash.finish()
    }

    #[test]
    fn quick_xor_vectors() {
        let ramp: Vec<u8> = (0..=255u8).cycle().take(256 * 65536).collect();
        let letters = vec![b'A'; 4_194_305];
        let cases: [(&[u8], &str); 6] = [
            (b"", "AAAAAAAAAAAAAAAAAAAAAAAAAAA="),
            (b"J", "SgAAAAAAAAAAAAAAAQAAAAAAAAA="),
            (b"hello", "aCgDG9jwBgAAAAAABQAAAAAAAAA="),
            (&ramp, "QkGEfSisZcA7k+FCh7xr2NbCayY="),
            (&letters, "QAISkIAEJCABAQpQgQJUoAAFKEA="),
            (&vec![0; 1 << 20], "AAAAAAAAAAAAAAAAAAAQAAAAAAA="),
        ];
        for (bytes, expected) in cases {
            assert_eq!(quick(bytes, bytes.len()), expected);
        }
    }

    #[test]
    fn quick_xor_is_the_same_in_any_pieces() {
        let bytes: Vec<u8> = (0..5000u32).flat_map(u32::to_le_bytes).collect();
        let whole = quick(&bytes, bytes.len());
        for step in [1, 7, 159, 160, 161, 4096] {
            assert_eq!(quick(&bytes, step), whole, "step {step}");
        }
    }

    #[test]
    fn content_hash_vectors() {
        let block = vec![b'A'; 4_194_304];
        let more = vec![b'A'; 4_194_305];
        let cases: [(&[u8], &str); 4] = [
            (b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"),
            (b"A", "1cd6ef71e6e0ff46ad2609d403dc3fee244417089aa4461245a4e4fe23a55e42"),
            (&block, "d4d63bac5b866c71620185392a8a6218ac1092454a2d16f820363b69852befa3"),
            (&more, "8f553da8d00d0bf509d8470e242888be33019c20c0544811f5b2b89e98360b92"),
        ];
        for (bytes, expected) in cases {
            assert_eq!(content(bytes, bytes.len()), expected);
            assert_eq!(content(bytes, 100_003), expected);
        }
    }
}
