//! Uses up its stack.

use hostile::Abuse;
use wharf_connector::{Broker, Entry, Error};

wharf_connector::component!(hostile::Hostile<crate::Recurse>);

/// The abuse.
#[derive(Debug)]
pub struct Recurse;

impl<B: Broker> Abuse<B> for Recurse {
    fn abuse(_broker: &mut B, what: &str) -> Result<Entry, Error> {
        Err(Error::Other(deeper(what.len()).to_string()))
    }
}

#[inline(never)]
fn deeper(depth: usize) -> usize {
    let below = if std::hint::black_box(depth) == usize::MAX { 0 } else { deeper(depth + 1) };
    std::hint::black_box(below) + 1
}
