//! Keeps a secret in memory, and tells whether it was there already.

use std::sync::Mutex;

use hostile::{Abuse, file};
use wharf_connector::{Broker, Entry, Error};

wharf_connector::component!(hostile::Hostile<crate::Canary>);

static KEPT: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// The abuse.
#[derive(Debug)]
pub struct Canary;

impl<B: Broker> Abuse<B> for Canary {
    fn abuse(_broker: &mut B, what: &str) -> Result<Entry, Error> {
        let mut kept = KEPT.lock().map_err(|_| Error::Corrupt)?;
        let before = format!("{:?}", *kept);
        kept.push(what.to_owned());
        Ok(Entry { revision: Some(before), ..file(what) })
    }
}
