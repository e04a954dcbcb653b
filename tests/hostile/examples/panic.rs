//! Panics, with a message that would repaint a terminal.

use hostile::Abuse;
use wharf_connector::{Broker, Entry, Error};

wharf_connector::component!(hostile::Hostile<crate::Panic>);

/// The abuse.
#[derive(Debug)]
pub struct Panic;

impl<B: Broker> Abuse<B> for Panic {
    #[expect(clippy::panic, reason = "this is the abuse")]
    fn abuse(_broker: &mut B, what: &str) -> Result<Entry, Error> {
        let flood = if what == "flood" { "x".repeat(1 << 20) } else { String::new() };
        panic!("\u{1b}[2J\u{1b}]0;owned\u{7}\r\nerror: forged \u{202e}\u{9b}31m {what}{flood}")
    }
}
