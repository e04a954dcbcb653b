//! Opens downloads and never closes one.

use hostile::{Abuse, page};
use serde_json::json;
use wharf_connector::{Broker, Error, Page, Request};

wharf_connector::component!(hostile::Hostile<crate::Hoard>);

/// The abuse.
#[derive(Debug)]
pub struct Hoard;

impl<B: Broker> Abuse<B> for Hoard {
    /// Tries a hundred times; `next` is the item.
    fn list(broker: &mut B, _path: &str, next: Option<&str>) -> Result<Page, Error> {
        let item = next.unwrap_or_default();
        let mut open = Vec::new();
        let mut refused = 0_u32;
        for _ in 0..100 {
            match broker.fetch(&Request::route("download").json(&json!({ "path": item }))) {
                Ok((_, body)) => open.push(body),
                Err(_) => refused += 1,
            }
        }
        Ok(page(&json!({ "open": open.len(), "refused": refused }).to_string()))
    }
}
