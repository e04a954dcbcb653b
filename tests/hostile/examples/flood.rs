//! Fills the log, with what would repaint a terminal or forge a line.

use std::io::Write as _;

use hostile::{Abuse, file};
use wharf_connector::{Broker, Entry, Error, Level};

wharf_connector::component!(hostile::Hostile<crate::Flood>);

const NASTY: &str =
    "\u{1b}[2J\u{1b}]0;owned\u{7}\r\n2026-01-01T00:00:00Z ERROR wharf: all is lost \u{202e}\u{9b}31m";

/// The abuse.
#[derive(Debug)]
pub struct Flood;

impl<B: Broker> Abuse<B> for Flood {
    fn abuse(broker: &mut B, what: &str) -> Result<Entry, Error> {
        match what {
            "lines" => (0..100_000).for_each(|_| broker.log(Level::Warn, NASTY)),
            "empty" => (0..100_000).for_each(|_| broker.log(Level::Warn, "")),
            "long" => broker.log(Level::Warn, &NASTY.repeat(10_000)),
            _ => {
                for _ in 0..10_000 {
                    let _ = writeln!(std::io::stderr(), "{NASTY}");
                    let _ = writeln!(std::io::stdout(), "{NASTY}");
                }
            }
        }
        Ok(file(what))
    }
}
