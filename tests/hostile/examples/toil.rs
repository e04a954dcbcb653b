//! Lets the host do the computing: each call costs the guest nothing.

use hostile::Abuse;
use wharf_connector::{Algorithm, Broker, Entry, Error, Info};

wharf_connector::component!(hostile::Hostile<crate::Toil>);

/// The abuse.
#[derive(Debug)]
pub struct Toil;

impl<B: Broker> Abuse<B> for Toil {
    fn put(broker: &mut B, path: &str, source: &B::Content, _info: &Info) -> Result<Entry, Error> {
        loop {
            if path == "reads" {
                std::hint::black_box(broker.read(source, 0, 1));
            } else {
                std::hint::black_box(broker.hash(source, Algorithm::Quickxor));
            }
        }
    }
}
