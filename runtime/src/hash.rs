//! Hashes of content, computed on what is sent.
//!
//! A [`Running`] hash belongs to a range of a source, `[start, at)`. An attempt hashes into a clone,
//! and the clone becomes the state once the service has acknowledged the range, so a retry never
//! counts a byte twice; ranges that were sent side by side are appended in their order. What a hash
//! is compared with is not decided here.

mod block;
mod quickxor;

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use block::BlockSha256;
use quickxor::QuickXor;
use ring::digest::{Context, SHA1_FOR_LEGACY_USE_ONLY, SHA256};

/// Bytes of one block of [`Algorithm::BlockSha256`], fixed by Dropbox's
/// [content hash](https://www.dropbox.com/developers/reference/content-hash). A range that is to be
/// appended starts at a multiple of it.
pub const BLOCK_BYTES: u64 = 4 * 1024 * 1024;

/// A hash that a service reports, or that Wharf keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub enum Algorithm {
    /// SHA-256 over the SHA-256s of blocks of 4 MiB: Dropbox's `content_hash`, and Wharf's own.
    #[serde(rename = "block-sha256")]
    BlockSha256,
    /// OneDrive's [QuickXorHash](https://learn.microsoft.com/onedrive/developer/code-snippets/quickxorhash).
    /// It is linear (swapped blocks of 160 bytes are invisible), so it never stands alone.
    #[serde(rename = "quickxor")]
    QuickXor,
    /// SHA-256 of everything.
    #[serde(rename = "sha256")]
    Sha256,
    /// SHA-1 of everything, for services that report nothing better.
    #[serde(rename = "sha1")]
    Sha1,
}

impl Algorithm {
    /// As manifests spell it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::BlockSha256 => "block-sha256",
            Self::QuickXor => "quickxor",
            Self::Sha256 => "sha256",
            Self::Sha1 => "sha1",
        }
    }

    /// Can ranges be hashed side by side and joined?
    #[must_use]
    pub const fn in_parts(self) -> bool {
        match self {
            Self::BlockSha256 | Self::QuickXor => true,
            Self::Sha256 | Self::Sha1 => false,
        }
    }

    /// Length of its digest, in bytes.
    #[must_use]
    pub const fn digest_bytes(self) -> usize {
        match self {
            Self::BlockSha256 | Self::Sha256 => 32,
            Self::QuickXor | Self::Sha1 => 20,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Why something is not a digest, or hashes cannot be joined.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Another length than the algorithm's.
    #[error("a {algorithm} digest has {} bytes, not {found}", algorithm.digest_bytes())]
    Length {
        /// What it was said to be.
        algorithm: Algorithm,
        /// Bytes found.
        found: usize,
    },
    /// Neither hexadecimal nor, for QuickXorHash, base64.
    #[error("the text is not a {0} digest")]
    Text(Algorithm),
    /// The algorithm needs all bytes in their order.
    #[error("{0} cannot be computed in parts")]
    NotInParts(Algorithm),
    /// The range does not begin where the hash stands, or does not carry the same algorithms.
    #[error("the hashes of a range that starts at {start} do not follow those that end at {at}")]
    NotNext {
        /// Where the range starts.
        start: u64,
        /// Where the hash stands.
        at: u64,
    },
    /// A range starts amid a block of [`BLOCK_BYTES`].
    #[error("a range that starts at {0} is not aligned to {BLOCK_BYTES} bytes")]
    Unaligned(u64),
}

/// What a hash came to.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Digest {
    algorithm: Algorithm,
    bytes: Box<[u8]>,
}

impl Digest {
    /// Take a digest that somebody else computed.
    ///
    /// # Errors
    /// When its length is not the algorithm's.
    pub fn new(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() != algorithm.digest_bytes() {
            return Err(Error::Length { algorithm, found: bytes.len() });
        }
        Ok(Self { algorithm, bytes: bytes.into() })
    }

    /// Read a digest as services write it: base64 for QuickXorHash, else hexadecimal in either case.
    ///
    /// # Errors
    /// When it is neither, or of another length than the algorithm's.
    pub fn parse(algorithm: Algorithm, text: &str) -> Result<Self, Error> {
        let bytes = match algorithm {
            Algorithm::QuickXor => STANDARD.decode(text).map_err(|_| Error::Text(algorithm))?,
            Algorithm::BlockSha256 | Algorithm::Sha256 | Algorithm::Sha1 => {
                hex::decode(text).map_err(|_| Error::Text(algorithm))?
            }
        };
        Self::new(algorithm, &bytes)
    }

    /// How it was computed.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its bytes, [`Algorithm::digest_bytes`] of them.
    #[must_use]
    pub const fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.algorithm {
            Algorithm::QuickXor => formatter.write_str(&STANDARD.encode(&self.bytes)),
            Algorithm::BlockSha256 | Algorithm::Sha256 | Algorithm::Sha1 => {
                formatter.write_str(&hex::encode(&self.bytes))
            }
        }
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{self}", self.algorithm)
    }
}

/// Digests of the same bytes, one per algorithm, and how many bytes those were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests {
    size: u64,
    digests: Vec<Digest>,
}

impl Digests {
    /// Bytes hashed.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The digest under `algorithm`, if it was asked for.
    #[must_use]
    pub fn get(&self, algorithm: Algorithm) -> Option<&Digest> {
        self.digests.iter().find(|digest| digest.algorithm == algorithm)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Digest> {
        self.digests.iter()
    }
}

/// Hashes of a range of a source, under several algorithms at once; usually of its first bytes.
#[derive(Debug, Clone)]
pub struct Running {
    start: u64,
    at: u64,
    states: Vec<State>,
}

impl Running {
    /// Hashes of nothing yet. An algorithm that is named twice is computed once.
    #[must_use]
    pub fn new(algorithms: &[Algorithm]) -> Self {
        let states = distinct(algorithms).into_iter().map(|algorithm| State::new(algorithm, 0)).collect();
        Self { start: 0, at: 0, states }
    }

    /// Hashes of a range that starts `start` bytes into the source, to be [appended](Self::append) to
    /// what lies before it.
    ///
    /// # Errors
    /// When an algorithm needs all bytes in their order, or `start` is amid a block of [`BLOCK_BYTES`].
    pub fn starting_at(start: u64, algorithms: &[Algorithm]) -> Result<Self, Error> {
        if !start.is_multiple_of(BLOCK_BYTES) {
            return Err(Error::Unaligned(start));
        }
        let algorithms = distinct(algorithms);
        if let Some(algorithm) = algorithms.iter().find(|algorithm| start > 0 && !algorithm.in_parts()) {
            return Err(Error::NotInParts(*algorithm));
        }
        let states = algorithms.into_iter().map(|algorithm| State::new(algorithm, start)).collect();
        Ok(Self { start, at: start, states })
    }

    /// Where the next byte lies in the source: the state is that of `[start, at)`.
    #[must_use]
    pub const fn at(&self) -> u64 {
        self.at
    }

    /// Which hashes are computed.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.states.iter().map(State::algorithm)
    }

    /// The bytes that follow.
    pub fn update(&mut self, bytes: &[u8]) {
        for state in &mut self.states {
            state.update(bytes);
        }
        self.at += length(bytes);
    }

    /// Take over the hashes of the range that follows.
    ///
    /// # Errors
    /// When it begins elsewhere or carries other algorithms. This hash is unchanged then.
    pub fn append(&mut self, next: Self) -> Result<(), Error> {
        if next.start != self.at || !next.algorithms().eq(self.algorithms()) {
            return Err(Error::NotNext { start: next.start, at: self.at });
        }
        for (state, next) in self.states.iter_mut().zip(next.states) {
            state.append(next);
        }
        self.at = next.at;
        Ok(())
    }

    /// What it came to. Of a range that does not begin the source, only what it is appended to has
    /// a hash that anybody else would compute.
    #[must_use]
    pub fn finish(self) -> Digests {
        let size = self.at - self.start;
        Digests { size, digests: self.states.into_iter().map(State::finish).collect() }
    }
}

/// One algorithm at work.
#[derive(Clone)]
enum State {
    BlockSha256(BlockSha256),
    QuickXor(QuickXor),
    Sha256(Context),
    Sha1(Context),
}

impl State {
    fn new(algorithm: Algorithm, start: u64) -> Self {
        match algorithm {
            Algorithm::BlockSha256 => Self::BlockSha256(BlockSha256::new()),
            Algorithm::QuickXor => Self::QuickXor(QuickXor::starting_at(start)),
            Algorithm::Sha256 => Self::Sha256(Context::new(&SHA256)),
            Algorithm::Sha1 => Self::Sha1(Context::new(&SHA1_FOR_LEGACY_USE_ONLY)),
        }
    }

    const fn algorithm(&self) -> Algorithm {
        match self {
            Self::BlockSha256(_) => Algorithm::BlockSha256,
            Self::QuickXor(_) => Algorithm::QuickXor,
            Self::Sha256(_) => Algorithm::Sha256,
            Self::Sha1(_) => Algorithm::Sha1,
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::BlockSha256(state) => state.update(bytes),
            Self::QuickXor(state) => state.update(bytes),
            Self::Sha256(state) | Self::Sha1(state) => state.update(bytes),
        }
    }

    /// The state of the range that follows, of the same algorithm. One that needs all bytes in their
    /// order is followed only when nothing came before, so it is simply taken over.
    fn append(&mut self, next: Self) {
        match (&mut *self, next) {
            (Self::BlockSha256(state), Self::BlockSha256(next)) => state.append(next),
            (Self::QuickXor(state), Self::QuickXor(next)) => state.append(&next),
            (Self::BlockSha256(_) | Self::QuickXor(_) | Self::Sha256(_) | Self::Sha1(_), next) => {
                *self = next;
            }
        }
    }

    fn finish(self) -> Digest {
        let algorithm = self.algorithm();
        let bytes: Box<[u8]> = match self {
            Self::BlockSha256(state) => state.finish().as_ref().into(),
            Self::QuickXor(state) => state.finish().into(),
            Self::Sha256(state) | Self::Sha1(state) => state.finish().as_ref().into(),
        };
        Digest { algorithm, bytes }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.algorithm().name())
    }
}

fn distinct(algorithms: &[Algorithm]) -> Vec<Algorithm> {
    let mut distinct = algorithms.to_vec();
    distinct.sort_unstable();
    distinct.dedup();
    distinct
}

/// A length that fits, as every slice's does.
fn length(bytes: &[u8]) -> u64 {
    u64::try_from(bytes.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ALL: [Algorithm; 4] =
        [Algorithm::BlockSha256, Algorithm::QuickXor, Algorithm::Sha256, Algorithm::Sha1];
    const IN_PARTS: [Algorithm; 2] = [Algorithm::BlockSha256, Algorithm::QuickXor];
    const BLOCK: usize = 4 * 1024 * 1024;

    fn digests(algorithms: &[Algorithm], bytes: &[u8]) -> Digests {
        let mut running = Running::new(algorithms);
        running.update(bytes);
        running.finish()
    }

    #[test]
    fn digests_are_those_that_the_services_report() {
        let check = |algorithm: Algorithm, bytes: &[u8], expected: &str| {
            let digests = digests(&[algorithm], bytes);
            let digest = digests.get(algorithm).unwrap();
            assert_eq!(digest.to_string(), expected, "{algorithm} of {} bytes", bytes.len());
            assert_eq!(Digest::parse(algorithm, expected).unwrap(), *digest);
        };
        let letters = vec![b'A'; BLOCK + 1];
        let ramp: Vec<u8> = (0..65536).flat_map(|_| 0..=255).collect();

        check(Algorithm::QuickXor, b"", "AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
        check(Algorithm::QuickXor, b"J", "SgAAAAAAAAAAAAAAAQAAAAAAAAA=");
        check(Algorithm::QuickXor, b"hello", "aCgDG9jwBgAAAAAABQAAAAAAAAA=");
        check(Algorithm::QuickXor, &ramp, "QkGEfSisZcA7k+FCh7xr2NbCayY=");
        check(Algorithm::QuickXor, &letters, "QAISkIAEJCABAQpQgQJUoAAFKEA=");
        check(Algorithm::QuickXor, &vec![0; 1024 * 1024], "AAAAAAAAAAAAAAAAAAAQAAAAAAA=");

        let block = Algorithm::BlockSha256;
        check(block, b"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        check(block, b"A", "1cd6ef71e6e0ff46ad2609d403dc3fee244417089aa4461245a4e4fe23a55e42");
        check(block, &letters[..BLOCK], "d4d63bac5b866c71620185392a8a6218ac1092454a2d16f820363b69852befa3");
        check(block, &letters, "8f553da8d00d0bf509d8470e242888be33019c20c0544811f5b2b89e98360b92");

        // FIPS 180-2, appendices A.1 and B.1.
        check(Algorithm::Sha256, b"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        check(Algorithm::Sha1, b"abc", "a9993e364706816aba3e25717850c26c9cd0d89d");
    }

    #[test]
    fn digests_are_read_in_either_case_and_no_other_length() {
        let lower = Digest::parse(Algorithm::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d").unwrap();
        let upper = Digest::parse(Algorithm::Sha1, "A9993E364706816ABA3E25717850C26C9CD0D89D").unwrap();
        assert_eq!(lower, upper);
        let check = |algorithm, text, expected| {
            assert_eq!(Digest::parse(algorithm, text), Err(expected), "{text:?}");
        };
        check(Algorithm::Sha1, "a999", Error::Length { algorithm: Algorithm::Sha1, found: 2 });
        check(Algorithm::Sha256, "", Error::Length { algorithm: Algorithm::Sha256, found: 0 });
        check(Algorithm::Sha256, "xyz", Error::Text(Algorithm::Sha256));
        check(Algorithm::QuickXor, "a9993e3647", Error::Text(Algorithm::QuickXor));
        check(Algorithm::QuickXor, "AAAA", Error::Length { algorithm: Algorithm::QuickXor, found: 3 });
    }

    #[test]
    fn ranges_join_to_the_whole() {
        let bytes: Vec<u8> = (0..2 * BLOCK + 777).map(|at| u8::try_from(at * 31 % 251).unwrap()).collect();
        let whole = digests(&IN_PARTS, &bytes);
        let mut joined = Running::new(&IN_PARTS);
        for range in bytes.chunks(BLOCK) {
            let mut part = Running::starting_at(joined.at(), &IN_PARTS).unwrap();
            range.chunks(100_003).for_each(|bytes| part.update(bytes));
            joined.append(part).unwrap();
        }
        assert_eq!(joined.at(), whole.size());
        assert_eq!(joined.clone().finish(), whole);

        joined.update(b"more");
        let mut longer = bytes;
        longer.extend_from_slice(b"more");
        assert_eq!(joined.finish(), digests(&IN_PARTS, &longer));
    }

    #[test]
    fn ranges_that_do_not_follow_are_refused() {
        let mut running = Running::new(&IN_PARTS);
        running.update(b"abc");
        let before = running.clone().finish();
        let elsewhere = Running::starting_at(BLOCK_BYTES, &IN_PARTS).unwrap();
        assert_eq!(running.append(elsewhere), Err(Error::NotNext { start: BLOCK_BYTES, at: 3 }));
        assert_eq!(
            running.append(Running::new(&[Algorithm::QuickXor])),
            Err(Error::NotNext { start: 0, at: 3 })
        );
        assert_eq!(running.finish(), before);
        assert_eq!(Running::starting_at(1, &IN_PARTS).unwrap_err(), Error::Unaligned(1));
        assert_eq!(
            Running::starting_at(BLOCK_BYTES, &ALL).unwrap_err(),
            Error::NotInParts(Algorithm::Sha256)
        );
    }

    #[test]
    fn a_clone_does_not_touch_its_original() {
        let mut running = Running::new(&ALL);
        running.update(b"acknowledged");
        let mut attempt = running.clone();
        attempt.update(b" and lost");
        running.update(b" and sent again");
        assert_eq!(running.finish(), digests(&ALL, b"acknowledged and sent again"));
    }

    proptest! {
        #[test]
        fn any_split_comes_to_the_same(bytes in prop::collection::vec(any::<u8>(), 0..2000), cuts in prop::collection::vec(1..500_usize, 1..20)) {
            let mut running = Running::new(&ALL);
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().cycle() {
                if rest.is_empty() {
                    break;
                }
                let (now, later) = rest.split_at((*cut).min(rest.len()));
                running.update(now);
                rest = later;
            }
            prop_assert_eq!(running.finish(), digests(&ALL, &bytes));
        }

        #[test]
        fn quickxor_is_the_published_algorithm(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
            let mut ring = [false; 160];
            for (at, byte) in bytes.iter().enumerate() {
                for bit in 0..8 {
                    ring[(at * 11 + bit) % 160] ^= byte >> bit & 1 == 1;
                }
            }
            let mut expected = [0_u8; 20];
            for (bit, set) in ring.iter().enumerate() {
                expected[bit / 8] |= u8::from(*set) << (bit % 8);
            }
            for (cell, byte) in expected[12..].iter_mut().zip(length(&bytes).to_le_bytes()) {
                *cell ^= byte;
            }
            let digests = digests(&[Algorithm::QuickXor], &bytes);
            prop_assert_eq!(digests.get(Algorithm::QuickXor).unwrap().bytes(), expected);
        }
    }
}
