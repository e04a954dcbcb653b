//! Listings that end.
//!
//! A connector says what gets the next page, and one that says nonsense could go on for ever: with the
//! page it has just given, or with pages that have nothing on them.

use super::Error;
use crate::sandbox::operation::Page;

/// Empty pages in a row. OneDrive has been seen to send a few.
const EMPTY_MAX: u32 = 100;
/// Pages of one folder: with 200 entries each, what no service takes in one folder.
const PAGES_MAX: u32 = 100_000;

/// The pages of one folder so far.
#[derive(Debug, Default)]
pub(super) struct Pages {
    next: Option<String>,
    empty: u32,
    count: u32,
}

impl Pages {
    /// What gets the page that is due.
    pub(super) fn due(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// A page came: is there another?
    pub(super) fn after(&mut self, page: &Page, place: &str) -> Result<bool, Error> {
        self.count = self.count.saturating_add(1);
        self.empty = if page.entries.is_empty() { self.empty.saturating_add(1) } else { 0 };
        let Some(next) = &page.next else { return Ok(false) };
        let stuck = self.next.as_ref() == Some(next) || self.empty > EMPTY_MAX || self.count > PAGES_MAX;
        if stuck {
            let reason = format!("the listing does not end ({} pages so far)", self.count);
            return Err(Error::Incomplete { place: place.to_owned(), reason });
        }
        self.next = Some(next.clone());
        Ok(true)
    }
}
