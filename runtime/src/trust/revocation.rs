//! Revocation lists: what a publisher takes back.
//!
//! A list is JSON that one of the publisher's keys signed, with a bundle beside it like a component's. It
//! names keys and digests of that publisher alone, has a number that only grows, and expires: a server
//! that hides a newer list can do so until the old one's end and no longer. This file reads and writes
//! lists; what was accepted of them, and whom they bind, is [`super::store`]'s.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::key::KeyId;
use crate::{home::Name, json, registry::Digest, shown::is_harmless};

/// Largest list, in bytes: ten thousand entries.
pub const LIST_BYTES_MAX: u64 = 2 * 1024 * 1024;
/// Most keys and digests of one list.
pub const ENTRIES_MAX: usize = 10_000;
/// Longest reason, in bytes: a line of a terminal.
pub const REASON_BYTES_MAX: usize = 200;

/// What this version reads and writes.
const FORMAT: u32 = 1;

/// A list, as its file spells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// Of the file.
    pub format: u32,
    /// Higher than every earlier list's.
    pub number: u64,
    /// When it was made.
    pub issued: Timestamp,
    /// From when on it says nothing any more.
    pub expires: Timestamp,
    /// Keys whose signatures are good no more.
    #[serde(default)]
    pub keys: Vec<RevokedKey>,
    /// Components that are good no more.
    #[serde(default)]
    pub digests: Vec<RevokedDigest>,
}

/// A key that is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokedKey {
    /// Its id.
    pub id: KeyId,
    /// Why.
    pub reason: String,
}

/// A component that is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RevokedDigest {
    /// Its digest.
    pub digest: Digest,
    /// Why.
    pub reason: String,
}

impl List {
    /// A list that takes nothing back yet.
    #[must_use]
    pub const fn new(number: u64, issued: Timestamp, expires: Timestamp) -> Self {
        Self { format: FORMAT, number, issued, expires, keys: Vec::new(), digests: Vec::new() }
    }

    /// Read a list.
    ///
    /// # Errors
    /// The end of a sentence that begins with the file's name.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let malformed = |error: serde_json::Error| format!("is malformed: {error}");
        let value = json::parse(text).map_err(malformed)?;
        let list: Self = serde_json::from_value(value).map_err(malformed)?;
        list.check()?;
        Ok(list)
    }

    /// Write it, in a form that a person can read and [`parse`](Self::parse) takes.
    ///
    /// # Errors
    /// When a value is out of its bounds.
    pub fn to_text(&self) -> Result<Vec<u8>, String> {
        self.check()?;
        let mut text = serde_json::to_vec_pretty(self).map_err(|error| error.to_string())?;
        text.push(b'\n');
        Ok(text)
    }

    fn check(&self) -> Result<(), String> {
        if self.format != FORMAT {
            return Err(format!("has the format {}, and this Wharf knows {FORMAT}", self.format));
        }
        if self.expires <= self.issued {
            return Err("expires before it is issued".to_owned());
        }
        if self.keys.len().saturating_add(self.digests.len()) > ENTRIES_MAX {
            return Err(format!("has more than {ENTRIES_MAX} entries"));
        }
        let reasons = self.keys.iter().map(|key| &key.reason);
        for reason in reasons.chain(self.digests.iter().map(|digest| &digest.reason)) {
            check_reason(reason)?;
        }
        Ok(())
    }

    /// Why it takes this key back, if it does.
    #[must_use]
    pub fn reason_for_key(&self, id: &KeyId) -> Option<&str> {
        self.keys.iter().find(|key| key.id == *id).map(|key| key.reason.as_str())
    }

    /// Why it takes this component back, if it does.
    #[must_use]
    pub fn reason_for_digest(&self, digest: &Digest) -> Option<&str> {
        self.digests.iter().find(|revoked| revoked.digest == *digest).map(|revoked| revoked.reason.as_str())
    }
}

/// A reason is one line that can be shown.
pub(super) fn check_reason(reason: &str) -> Result<(), String> {
    let is_right =
        !reason.trim().is_empty() && reason.len() <= REASON_BYTES_MAX && reason.chars().all(is_harmless);
    if is_right {
        Ok(())
    } else {
        Err(format!("has a reason that is not one line of 1 to {REASON_BYTES_MAX} bytes"))
    }
}

/// A list that was accepted, as the home keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Accepted {
    /// Whose.
    pub publisher: Name,
    /// Of its text, so that the same list twice is no other list.
    pub digest: Digest,
    /// The list.
    pub list: List,
}
