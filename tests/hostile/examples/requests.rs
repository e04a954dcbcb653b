//! Asks without end, and does not mind being refused.

use hostile::Abuse;
use wharf_connector::{Broker, Entry, Error, Request};

wharf_connector::component!(hostile::Hostile<crate::Requests>);

/// The abuse.
#[derive(Debug)]
pub struct Requests;

impl<B: Broker> Abuse<B> for Requests {
    fn abuse(broker: &mut B, _what: &str) -> Result<Entry, Error> {
        loop {
            let refused = broker.exchange(&Request::route("no-such-route"), 1024);
            std::hint::black_box(refused.is_ok());
        }
    }
}
