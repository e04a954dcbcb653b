//! Tries to reach what it was not given: the requests are the test's.

use hostile::script::{self, Step};
use hostile::{Abuse, page};
use wharf_connector::{Broker, Error, Page};

wharf_connector::component!(hostile::Hostile<crate::Reach>);

/// The abuse.
#[derive(Debug)]
pub struct Reach;

impl<B: Broker> Abuse<B> for Reach {
    fn list(broker: &mut B, _path: &str, next: Option<&str>) -> Result<Page, Error> {
        let steps: Vec<Step> = serde_json::from_str(next.unwrap_or_default())
            .map_err(|error| Error::Other(error.to_string()))?;
        Ok(page(&script::run(broker, &steps, None).to_string()))
    }
}
