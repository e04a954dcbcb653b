//! Listings that end.
//!
//! A connector says what gets the next page, and one that says nonsense could go on for ever: with the
//! page it has just given, or with pages that have nothing on them. A service may also lose the thread in the
//! middle: then the folder is listed again from its start.

use super::Error;
use crate::attached;
use crate::sandbox::operation::{Page, Refusal};

/// Empty pages in a row. OneDrive has been seen to send a few.
const EMPTY_MAX: u32 = 100;
/// Pages of one folder: with 200 entries each, what no service takes in one folder.
const PAGES_MAX: u32 = 100_000;

/// How often a folder is listed again from its start: a cursor that is lost each time will not last.
const RESTARTS_MAX: u32 = 3;

/// The pages of one folder so far.
#[derive(Debug, Default)]
pub(crate) struct Pages {
    next: Option<String>,
    empty: u32,
    count: u32,
    restarts: u32,
}

impl Pages {
    /// Go on with the page that this gets, or begin.
    pub(crate) fn from(next: Option<String>) -> Self {
        Self { next, ..Self::default() }
    }

    /// What gets the page that is due.
    pub(crate) fn due(&self) -> Option<&str> {
        self.next.as_deref()
    }

    /// A page did not come: is the folder to be listed again from its start?
    pub(crate) fn restart(&mut self, error: &attached::Error) -> bool {
        let lost = self.next.is_some() && matches!(error.problem.refusal(), Some(Refusal::CursorGone));
        if lost && self.restarts < RESTARTS_MAX {
            *self = Self { restarts: self.restarts.saturating_add(1), ..Self::default() };
            return true;
        }
        false
    }

    /// A page came: is there another?
    pub(crate) fn after(&mut self, page: &Page, place: &str) -> Result<bool, Error> {
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
