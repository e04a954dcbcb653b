//! Every parser of outside text, as a function of some bytes that must come to its end.
//!
//! A target panics when something is wrong; what it returns does not matter. `tests/short.rs` runs each for
//! a few seconds with every test run, from the seeds in `seeds/`; `cargo xtask fuzz` for as long as one
//! likes, guided by coverage. An input that once found a fault stays in `seeds/` for ever.
#![expect(clippy::unwrap_used, reason = "to panic is how a target says that something is wrong")]

mod address;
mod connector;
mod files;
pub mod mutate;
mod wire;

/// A parser under fire.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder of seeds.
    pub name: &'static str,
    /// One input.
    pub run: fn(&[u8]),
}

const fn target(name: &'static str, run: fn(&[u8])) -> Target {
    Target { name, run }
}

/// All of them.
pub const TARGETS: [Target; 13] = [
    target("manifest", files::manifest),
    target("component", files::component),
    target("destination", files::destination),
    target("bundle", files::bundle),
    target("image", files::image),
    target("revocation", files::revocation),
    target("rclone", files::rclone),
    target("address", address::address),
    target("retry-after", wire::retry_after),
    target("token", wire::token),
    target("registry", wire::registry),
    target("onedrive", connector::onedrive),
    target("dropbox", connector::dropbox),
];

/// Longest input that is made, in bytes: what a parser does with more is its bound's affair.
pub const INPUT_BYTES_MAX: usize = 16 * 1024;
