//! Stops at once, in several ways.

use hostile::Abuse;
use wharf_connector::{Broker, Entry, Error};

wharf_connector::component!(hostile::Hostile<crate::Trap>);

/// The abuse.
#[derive(Debug)]
pub struct Trap;

impl<B: Broker> Abuse<B> for Trap {
    #[expect(clippy::disallowed_methods, reason = "this is the abuse")]
    fn abuse(_broker: &mut B, what: &str) -> Result<Entry, Error> {
        match what {
            "exit" => std::process::exit(0),
            "fail" => std::process::exit(1),
            "abort" => std::process::abort(),
            _ => unreachable(),
        }
    }
}

#[cfg(target_family = "wasm")]
fn unreachable() -> ! {
    core::arch::wasm32::unreachable()
}

#[cfg(not(target_family = "wasm"))]
fn unreachable() -> ! {
    std::process::abort()
}
