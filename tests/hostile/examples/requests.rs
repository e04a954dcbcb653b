//! Asks without end, and does not mind being refused. Sends what it is given to send a hundred times.

use hostile::Abuse;
use wharf_connector::{Broker, Entry, Error, Info, Request};

/// How often a file is sent.
const SENDS: u32 = 100;
/// Bytes of a reply that are looked at.
const REPLY_BYTES_MAX: u32 = 8192;

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

    fn put(broker: &mut B, path: &str, source: &B::Content, info: &Info) -> Result<Entry, Error> {
        let request = Request::route("put")
            .item(path)
            .header("content-type", "application/octet-stream")
            .section(source, 0, info.size);
        for _ in 0..SENDS {
            let reply = broker.ask(&request, REPLY_BYTES_MAX)?;
            if !reply.is_success() {
                return Err(Error::Other(format!("the service answered {}", reply.status)));
            }
            std::hint::black_box(reply.json::<serde_json::Value>()?);
        }
        Ok(Entry { size: info.size, ..hostile::file(path) })
    }
}
