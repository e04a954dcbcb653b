//! OneDrive's QuickXorHash.
//!
//! Byte `i` is XORed into a ring of 160 bits at bit `11 * i mod 160`, and the length into its last 8
//! bytes. Places repeat every 160 bytes, so bytes are first folded over each other by plain XOR,
//! a machine word at a time, and placed only at the end: it runs as fast as memory is read. Being a
//! XOR, the hash of a whole is that of its ranges, each folded by its position in the source.

use super::length;

/// Places repeat after this many bytes.
const PERIOD: usize = 160;
/// [`PERIOD`] as a position.
const PERIOD_POSITION: u64 = 160;
/// Bits of the ring.
const RING_BITS: usize = 160;
/// Bytes of the ring, and of the digest.
const RING_BYTES: usize = 20;
/// Bits between the places of two neighbouring bytes.
const SHIFT_BITS: usize = 11;
/// Bytes of one word of the fold.
const WORD_BYTES: usize = 8;
/// Words of the fold.
const WORDS: usize = PERIOD / WORD_BYTES;

/// Bytes of a source, folded.
#[derive(Clone)]
pub(super) struct QuickXor {
    fold: [u64; WORDS],
    /// Place of the next byte in the fold, below [`PERIOD`].
    place: usize,
    length: u64,
}

impl QuickXor {
    /// Nothing yet, of a range that starts `start` bytes into the source.
    pub(super) fn starting_at(start: u64) -> Self {
        let place = usize::try_from(start % PERIOD_POSITION).unwrap_or_default();
        Self { fold: [0; WORDS], place, length: 0 }
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        let lead = if self.place == 0 { 0 } else { (PERIOD - self.place).min(bytes.len()) };
        let (head, rest) = bytes.split_at(lead);
        self.fold_bytes(head);
        let (blocks, tail) = rest.as_chunks::<PERIOD>();
        for block in blocks {
            let (words, _) = block.as_chunks::<WORD_BYTES>();
            for (fold, word) in self.fold.iter_mut().zip(words) {
                *fold ^= u64::from_le_bytes(*word);
            }
        }
        self.fold_bytes(tail);
        self.length += length(bytes);
    }

    /// Add the range that follows in the same source.
    pub(super) fn append(&mut self, next: &Self) {
        for (fold, word) in self.fold.iter_mut().zip(next.fold) {
            *fold ^= word;
        }
        self.place = next.place;
        self.length += next.length;
    }

    pub(super) fn finish(&self) -> [u8; RING_BYTES] {
        let mut ring = [0; RING_BYTES];
        let folded = self.fold.iter().flat_map(|word| word.to_le_bytes());
        for (place, byte) in folded.enumerate() {
            let bit = place * SHIFT_BITS % RING_BITS;
            let [low, high] = (u16::from(byte) << (bit % 8)).to_le_bytes();
            ring[bit / 8] ^= low;
            ring[(bit / 8 + 1) % RING_BYTES] ^= high;
        }
        for (cell, byte) in ring[RING_BYTES - WORD_BYTES..].iter_mut().zip(self.length.to_le_bytes()) {
            *cell ^= byte;
        }
        ring
    }

    /// Fold fewer bytes than are left of a period.
    fn fold_bytes(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.fold[self.place / WORD_BYTES] ^= u64::from(*byte) << (8 * (self.place % WORD_BYTES));
            self.place = (self.place + 1) % PERIOD;
        }
    }
}
