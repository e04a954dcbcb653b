//! Whom an operator believes.
//!
//! A component is believed because a publisher signed it whose key the operator put into `trust.toml`, for
//! ids that the operator left to that publisher, at a time when the key was good, and because neither was
//! taken back since. The order is always the same: the digest, then the signature, then whether the key is
//! good; only what came through is read at all, and its id must be one of the publisher's. What comes out
//! is a ticket ([`Trusted`]) that the registry demands. This room asks nobody on a network, and a
//! transparency log is no part of it.

pub mod bundle;
mod error;
mod export;
pub mod image;
pub mod key;
pub mod revocation;
pub mod sign;
mod store;
mod verify;

pub use self::{
    error::Error,
    export::{Exported, Stands},
    key::{KeyId, PublicKey},
    revocation::Accepted,
    store::{ID_PREFIXES_MAX, KEYS_MAX, PUBLISHERS_MAX, Publisher, Revoked, Trust, TrustedKey, Window},
    verify::{Standing, Ticket, Trusted, Unsigned, Verified},
};

/// Largest signature bundle, in bytes: one with a key has 400, one with proofs of a log 10 KiB.
pub const BUNDLE_BYTES_MAX: u64 = 256 * 1024;

/// What the bundle of a file is called: the file's name, and this.
pub const BUNDLE_SUFFIX: &str = ".sigstore.json";

#[cfg(test)]
pub(crate) mod tests;
