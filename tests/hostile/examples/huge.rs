//! Hands the host more than anyone could want.

use hostile::{Abuse, file};
use wharf_connector::{Broker, Entry, Error, Level, Page, Request};

wharf_connector::component!(hostile::Hostile<crate::Huge>);

/// The abuse.
#[derive(Debug)]
pub struct Huge;

impl<B: Broker> Abuse<B> for Huge {
    fn abuse(broker: &mut B, what: &str) -> Result<Entry, Error> {
        let much = || "x".repeat(20 << 20);
        match what {
            "arguments" => {
                let mut request = Request::route("stat");
                request.json = Some(much());
                broker.ask(&request, 1024).map(|_| file(what))
            }
            "pairs" => {
                let mut request = Request::route("stat");
                request.query = vec![("x", String::new()); 500_000];
                broker.ask(&request, 1024).map(|_| file(what))
            }
            // Within what a call may carry, but nothing that a person should have to read.
            "route" => {
                let name: &'static str = Box::leak("\u{1b}x".repeat(1 << 20).into_boxed_str());
                broker.ask(&Request::route(name), 1024).map(|_| file(what))
            }
            "log" => {
                broker.log(Level::Warn, &much());
                Ok(file(what))
            }
            "text" => Err(Error::Other("\u{1b}".repeat(4 << 20))),
            "revision" => Ok(Entry { revision: Some("x".repeat(1 << 20)), ..file(what) }),
            _ => Err(Error::Other(much())),
        }
    }

    fn list(_broker: &mut B, _path: &str, _next: Option<&str>) -> Result<Page, Error> {
        let entries = (0..30_000).map(|number| file(&number.to_string())).collect();
        Ok(Page { entries, next: None })
    }
}
