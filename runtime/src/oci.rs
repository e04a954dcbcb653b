//! OCI registries: connectors got from there, and put there.
//!
//! A registry is believed nothing. A tag is turned into a digest once, and everything after that is asked
//! for by digest and hashed here; what a component is worth is then `trust`'s to say, over the bytes that
//! are in memory. Every request goes through the network room and its guard, the token's and a redirect's
//! too: there is no other client, no retry and no choice among images. Nothing is installed here.

mod client;
mod error;
mod login;
mod pull;
mod push;
mod reference;

pub use self::{
    client::Remote,
    error::Error,
    login::{CONFIG_BYTES_MAX, Login, LoginError},
    pull::Pulled,
    push::{Published, Release, Vouched},
    reference::{Reference, ReferenceError, Version},
};

/// What an artefact with a bundle is, and the layer that is one.
const BUNDLE_TYPE: &str = crate::trust::bundle::MEDIA_TYPE;
/// Largest list of what refers to an image, in bytes: thousands of signatures.
const INDEX_BYTES_MAX: u64 = 1024 * 1024;
/// Most bundles of one image that are fetched and looked at, the newest of a longer list.
const BUNDLES_MAX: usize = 16;
