//! Makes handles and forgets them.

use hostile::{Abuse, page};
use wharf_connector::{Broker, Error, Page, Request};

wharf_connector::component!(hostile::Hostile<crate::Leak>);

/// The abuse.
#[derive(Debug)]
pub struct Leak;

impl<B: Broker> Abuse<B> for Leak {
    /// `next` is the route, whose requests fail: each failure still makes a handle.
    fn list(broker: &mut B, _path: &str, next: Option<&str>) -> Result<Page, Error> {
        let route: &'static str = Box::leak(next.unwrap_or_default().to_owned().into_boxed_str());
        let mut made = 0_u32;
        for _ in 0..2_000 {
            let mut request = Request::route(route);
            request.json = Some(r#"{"path":"nothing here"}"#.to_owned());
            if let Ok((_, body)) = broker.fetch(&request) {
                std::mem::forget(body);
                made += 1;
            }
        }
        Ok(page(&made.to_string()))
    }
}
