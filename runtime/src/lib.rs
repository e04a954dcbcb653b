//! The Wharf runtime: every policy lives here. `README.md` beside this crate is the map.

pub mod clock;
pub mod path;
pub mod secret;
