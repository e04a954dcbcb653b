//! Is what is stored what was meant?
//!
//! The host computes length and hashes of what it sent or received and compares them with what the
//! service reports. A connector that lies, a service that stores something else and a wire that
//! corrupts all end here. A hash that is missing is no evidence either way; a hash of a kind that
//! was not computed is treated as missing.

use crate::entry::{Entry, Kind};
use crate::hash::Digests;

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// It is a folder.
    #[error("the service reports a folder where a file was sent")]
    Kind,
    /// Its length.
    #[error("the service reports {stored} bytes, and {meant} were meant")]
    Size {
        /// What the service reports.
        stored: u64,
        /// What was meant.
        meant: u64,
    },
    /// Its hash.
    #[error("the service reports the {algorithm} {stored}, and {meant} was meant")]
    Hash {
        /// Which hash.
        algorithm: &'static str,
        /// What the service reports.
        stored: String,
        /// What was meant.
        meant: String,
    },
}

/// How far an entry was verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evidence {
    /// Length and a hash of the service's agree.
    Hash,
    /// The length agrees; the service gave no hash that could be compared.
    Size,
}

/// Compare what is reported with what passed through our hands.
///
/// # Errors
/// What differs.
pub fn verify(reported: &Entry, passed: &Digests) -> Result<Evidence, Mismatch> {
    match reported.kind {
        Kind::Folder => return Err(Mismatch::Kind),
        Kind::File => {}
    }
    if reported.size != passed.size() {
        return Err(Mismatch::Size { stored: reported.size, meant: passed.size() });
    }
    let Some(stored) = &reported.hash else { return Ok(Evidence::Size) };
    match passed.get(stored.algorithm()) {
        None => Ok(Evidence::Size),
        Some(meant) if meant == stored => Ok(Evidence::Hash),
        Some(meant) => Err(Mismatch::Hash {
            algorithm: stored.algorithm().name(),
            stored: stored.to_string(),
            meant: meant.to_string(),
        }),
    }
}
