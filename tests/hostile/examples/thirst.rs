//! Asks for random bytes by the gigabyte.

use hostile::{Abuse, file};
use wharf_connector::{Broker, Entry, Error};

wharf_connector::component!(hostile::Hostile<crate::Thirst>);

/// The abuse.
#[derive(Debug)]
pub struct Thirst;

impl<B: Broker> Abuse<B> for Thirst {
    fn abuse(_broker: &mut B, what: &str) -> Result<Entry, Error> {
        #[cfg(target_family = "wasm")]
        drink(what);
        Ok(file(what))
    }
}

#[cfg(target_family = "wasm")]
fn drink(what: &str) {
    use source::wasi::random::{insecure, random};
    /// Bytes of a sip that the host gives.
    const SIP_BYTES: u64 = 64 * 1024;
    match what {
        "everything" => drop(random::get_random_bytes(u64::MAX)),
        "much" => drop(random::get_random_bytes(1 << 30)),
        "insecure" => drop(insecure::get_insecure_random_bytes(1 << 30)),
        _ => loop {
            std::hint::black_box(random::get_random_bytes(SIP_BYTES));
        },
    }
}

#[cfg(target_family = "wasm")]
#[allow(
    missing_docs,
    unsafe_code,
    unreachable_pub,
    clippy::all,
    clippy::as_conversions,
    clippy::use_self,
    clippy::allow_attributes_without_reason,
    reason = "written by wit-bindgen, and read by nobody"
)]
mod source {
    wit_bindgen::generate!({
        inline: "
            package hostile:thirst;
            world thirst {
                import wasi:random/random@0.2.6;
                import wasi:random/insecure@0.2.6;
            }
            package wasi:random@0.2.6 {
                interface random {
                    get-random-bytes: func(len: u64) -> list<u8>;
                    get-random-u64: func() -> u64;
                }
                interface insecure {
                    get-insecure-random-bytes: func(len: u64) -> list<u8>;
                    get-insecure-random-u64: func() -> u64;
                }
            }
        ",
        generate_all,
    });
}
