//! The Wharf runtime: every policy lives here. `README.md` beside this crate is the map.

pub mod account;
pub mod attached;
pub mod audit;
pub mod broker;
pub mod catalog;
pub mod clock;
pub mod content;
pub mod destination;
pub mod entry;
pub mod folder;
pub mod grant;
pub mod handle;
pub mod hash;
pub mod hint;
pub mod home;
pub mod host;
pub mod journal;
pub mod json;
mod kind;
pub mod manifest;
pub mod network;
pub mod path;
pub mod rate;
pub mod registry;
pub mod retry;
pub mod sandbox;
pub mod secret;
mod shown;
pub mod state;
pub mod threads;
mod toml_file;
pub mod transfer;
pub mod vault;

pub use kind::ErrorKind;
