//! Takes memory until there is none.

use hostile::Abuse;
use wharf_connector::{Broker, Entry, Error};

wharf_connector::component!(hostile::Hostile<crate::Grow>);

/// The abuse.
#[derive(Debug)]
pub struct Grow;

impl<B: Broker> Abuse<B> for Grow {
    fn abuse(_broker: &mut B, what: &str) -> Result<Entry, Error> {
        if what == "politely" {
            return Err(Error::Other(format!("{} pages", politely())));
        }
        let mut held: Vec<Vec<u8>> = Vec::new();
        loop {
            held.push(vec![1; 1 << 20]);
            std::hint::black_box(&held);
        }
    }
}

/// Ask until it is refused, and survive that.
#[cfg(target_family = "wasm")]
fn politely() -> usize {
    while core::arch::wasm32::memory_grow(0, 16) != usize::MAX {}
    while core::arch::wasm32::memory_grow(0, 1) != usize::MAX {}
    core::arch::wasm32::memory_size(0)
}

#[cfg(not(target_family = "wasm"))]
const fn politely() -> usize {
    0
}
