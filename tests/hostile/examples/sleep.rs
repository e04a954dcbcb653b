//! Sleeps with its thread in hand.

use std::time::Duration;

use hostile::{Abuse, file};
use wharf_connector::{Broker, Entry, Error};

wharf_connector::component!(hostile::Hostile<crate::Sleep>);

/// The abuse.
#[derive(Debug)]
pub struct Sleep;

impl<B: Broker> Abuse<B> for Sleep {
    fn abuse(broker: &mut B, what: &str) -> Result<Entry, Error> {
        match what {
            "naps" => loop {
                broker.wait(Duration::from_millis(1));
            },
            _ => broker.wait(Duration::from_secs(3600)),
        }
        Ok(file(what))
    }
}
