//! Never gets as far as being called: it loops while its instance is made.

use hostile::Abuse;
use wharf_connector::Broker;

wharf_connector::component!(hostile::Hostile<crate::Begin>);

/// The abuse.
#[derive(Debug)]
pub struct Begin;

impl<B: Broker> Abuse<B> for Begin {}

#[cfg(target_family = "wasm")]
#[expect(unsafe_code, reason = "what runs before the first call is named by its section")]
mod constructor {
    extern "C" fn begin() {
        loop {
            std::hint::spin_loop();
        }
    }

    #[used]
    #[unsafe(link_section = ".init_array")]
    static BEGIN: extern "C" fn() = begin;
}
