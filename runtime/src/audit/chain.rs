//! How one record carries the next: its number, and the hash of all that came before it.
//!
//! A line of the audit ends with `"number"` and `"previous"`: the SHA-256 of every byte from the
//! beginning of the record before it to its own beginning. Whatever is changed, taken away, put in or
//! put elsewhere no longer fits what follows. A line that was torn when a process was killed is covered
//! by the record after it, so it is no gap in which something could be hidden. This file only computes;
//! who may write is the writer's concern, and what it means when nothing fits, `verify`'s.

use ring::digest::{Context, SHA256};
use serde::Deserialize;

/// Bytes of a hash.
const HASH_BYTES: usize = 32;

/// Bytes that a link adds to a line at most: two names, the largest number and a hash in hexadecimal.
pub(super) const LINK_BYTES_MAX: usize = 112;

/// A SHA-256.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Hash([u8; HASH_BYTES]);

impl Hash {
    /// What the first record of all is preceded by.
    pub(super) const NOTHING: Self = Self([0; HASH_BYTES]);

    fn of(context: Context) -> Self {
        let mut bytes = [0; HASH_BYTES];
        let digest = context.finish();
        bytes.iter_mut().zip(digest.as_ref()).for_each(|(to, from)| *to = *from);
        Self(bytes)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; HASH_BYTES];
        hex::decode_to_slice(text, &mut bytes).ok()?;
        Some(Self(bytes))
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Some(Self(bytes.try_into().ok()?))
    }

    pub(super) const fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Display for Hash {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&hex::encode(self.0))
    }
}

/// The end of a chain so far: what the next record goes on from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Link {
    /// The number of the last record; 0 before the first.
    pub(super) number: u64,
    /// The hash from its beginning on.
    pub(super) hash: Hash,
}

impl Link {
    /// Before the first record.
    pub(super) const START: Self = Self { number: 0, hash: Hash::NOTHING };

    /// Write a record's line, which ends with `}`, as the next of the chain; this is its end then.
    pub(super) fn carry(&mut self, body: &[u8], lines: &mut Vec<u8>) {
        use std::io::Write as _;
        let start = lines.len();
        lines.extend_from_slice(body.strip_suffix(b"}").unwrap_or(body));
        let number = self.number.saturating_add(1);
        // Writing into memory does not fail.
        writeln!(lines, r#","number":{number},"previous":"{}"}}"#, self.hash).unwrap_or_default();
        *self = Self { number, hash: hash(lines.get(start..).unwrap_or_default()) };
    }
}

/// What a line says of its place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) number: u64,
    pub(super) previous: Hash,
}

impl Place {
    /// Of a line, with or without its end; none where it is torn, or from before there was a chain.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Said {
            number: u64,
            previous: String,
        }
        let said: Said = serde_json::from_slice(line).ok()?;
        Some(Self { number: said.number, previous: Hash::parse(&said.previous)? })
    }
}

/// The hash of bytes that come piece by piece.
#[derive(Clone)]
pub(super) struct Running(Context);

impl Running {
    pub(super) fn new() -> Self {
        Self(Context::new(&SHA256))
    }

    pub(super) fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    pub(super) fn hash(&self) -> Hash {
        Hash::of(self.0.clone())
    }
}

fn hash(bytes: &[u8]) -> Hash {
    let mut running = Running::new();
    running.update(bytes);
    running.hash()
}

/// The last record in these bytes that has a place, and where it begins.
pub(super) fn last_place(bytes: &[u8], from_line_start: bool) -> Option<(usize, Place)> {
    let mut end = bytes.len();
    while end > 0 {
        let before = bytes.get(..end.saturating_sub(1)).unwrap_or_default();
        let start = match memchr::memrchr(b'\n', before) {
            Some(newline) => newline.saturating_add(1),
            None if from_line_start => 0,
            None => return None,
        };
        if let Some(place) = bytes.get(start..end).and_then(Place::of) {
            return Some((start, place));
        }
        end = start;
    }
    None
}

/// The last record of the files, as it is there.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tail {
    /// The end of the chain, whatever was torn after the record included.
    pub(super) link: Link,
    /// The hash of the record's own line.
    pub(super) line: Hash,
}

impl Tail {
    /// Of bytes that begin with that record, and what follows them.
    pub(super) fn of(place: Place, bytes: &[u8], after: &[u8]) -> Self {
        let end = memchr::memchr(b'\n', bytes).map_or(bytes.len(), |newline| newline.saturating_add(1));
        let (line, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
        let mut running = Running::new();
        running.update(line);
        let line = running.hash();
        running.update(rest);
        running.update(after);
        Self { link: Link { number: place.number, hash: running.hash() }, line }
    }
}
