//! Inputs from inputs, without coverage: what a short run can do in seconds, the same each time.

use crate::INPUT_BYTES_MAX;

/// What parsers stumble over.
const WORDS: [&[u8]; 28] = [
    b"\"",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"\\u0000",
    b"\\ud800",
    b"null",
    b"-1",
    b"1e400",
    b"18446744073709551615",
    b"18446744073709551616",
    b"-9223372036854775809",
    b"../",
    b"..",
    b"/",
    b"%2e%2e",
    b"\r\n",
    b"\n---\n",
    b"\0",
    b"\xff\xfe",
    b"\xe2\x80\xae",
    b"https://127.0.0.1/",
    b"*.co.uk",
    b"\n\n",
    b" ",
];

/// A sequence of numbers that is the same for the same seed (xorshift).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// From this seed on.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// Below `end`; 0 where that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.roll() % end).unwrap_or_default()
    }
}

/// Another input: one of the seeds, changed in one to eight places.
#[must_use]
pub fn mutate(seeds: &[Vec<u8>], dice: &mut Dice) -> Vec<u8> {
    let pick = |dice: &mut Dice| seeds.get(dice.below(seeds.len())).cloned().unwrap_or_default();
    let mut input = pick(dice);
    for _ in 0..=dice.below(8) {
        let (at, end) = (dice.below(input.len() + 1), input.len());
        match dice.below(8) {
            0 if at < end => input[at] ^= 1 << dice.below(8),
            1 if at < end => input[at] = u8::try_from(dice.below(256)).unwrap_or_default(),
            2 => input.truncate(at),
            3 => drop(input.drain(at..(at + dice.below(16)).min(end))),
            4 => {
                let other = pick(dice);
                let from = dice.below(other.len());
                let piece = other.get(from..(from + dice.below(64)).min(other.len())).unwrap_or_default();
                input.splice(at..at, piece.iter().copied());
            }
            5 => {
                let piece = input.get(at..(at + dice.below(32)).min(end)).unwrap_or_default().to_vec();
                let to = dice.below(end + 1);
                input.splice(to..to, piece);
            }
            _ => {
                let word = WORDS[dice.below(WORDS.len())];
                let gone = if dice.below(2) == 0 { at } else { (at + word.len()).min(end) };
                input.splice(at..gone, word.iter().copied());
            }
        }
    }
    input.truncate(INPUT_BYTES_MAX);
    input
}
