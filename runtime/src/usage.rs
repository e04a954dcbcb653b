//! How full a service was when it was asked last.
//!
//! Asking costs a request and the answer changes slowly, so it is kept on the destination's shelf with
//! its moment: for the disk limit, which looks at it before something is stored, and for listings, which
//! say how old it is and never ask.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::catalog::{Shelf, milliseconds};
use crate::home::Name;
use crate::sandbox::operation::Space;
use crate::state::{self, State};

/// An answer older than this is asked for again before something is stored: a fast line stores some
/// tens of gigabytes meanwhile, and what this process stores is added.
pub const AGE_MAX: Duration = Duration::from_secs(5 * 60);

/// What a service said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// How full it was.
    pub space: Space,
    /// When.
    pub asked: SystemTime,
}

/// Fuller than this percentage, with so many bytes more? None when the service does not tell.
#[must_use]
pub fn percent(space: Space, more: u64) -> Option<u64> {
    let (used, total) = (u128::from(space.used?), u128::from(space.total?));
    let full = (used + u128::from(more)).saturating_mul(100).checked_div(total)?;
    u64::try_from(full).ok()
}

/// What the service of this shelf said last.
///
/// # Errors
/// When the database cannot be read.
pub(crate) async fn last(shelf: &Shelf) -> Result<Option<Usage>, state::Error> {
    let id = shelf.id();
    let found = shelf.read_state(move |connection| {
        connection
            .prepare_cached("SELECT used, total, asked_ms FROM usage WHERE shelf = ?1")?
            .query_row([id], usage_of)
            .optional()
    });
    found.await
}

/// What the service of a destination said last.
///
/// # Errors
/// When the database cannot be read.
pub(crate) async fn of(state: &State, destination: &Name) -> Result<Option<Usage>, state::Error> {
    let name = destination.clone();
    let found = state.read(move |connection: &Connection| {
        connection
            .prepare_cached(
                "SELECT used, total, asked_ms FROM usage JOIN shelf ON shelf.id = usage.shelf
                 WHERE shelf.destination = ?1",
            )?
            .query_row([name.as_str()], usage_of)
            .optional()
    });
    found.await
}

/// Remember what it says now.
///
/// # Errors
/// When the database cannot be written.
pub(crate) async fn remember(shelf: &Shelf, usage: Usage) -> Result<(), state::Error> {
    let id = shelf.id();
    let number = |bytes: Option<u64>| bytes.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
    let written = shelf.write_state(move |connection| {
        connection
            .prepare_cached(
                "INSERT OR REPLACE INTO usage (shelf, used, total, asked_ms) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                id,
                number(usage.space.used),
                number(usage.space.total),
                milliseconds(usage.asked)
            ])
            .map(drop)
    });
    written.await
}

fn usage_of(row: &Row<'_>) -> Result<Usage, rusqlite::Error> {
    let number = |column| -> Result<Option<u64>, rusqlite::Error> {
        Ok(row.get::<_, Option<i64>>(column)?.and_then(|bytes| u64::try_from(bytes).ok()))
    };
    let asked = Duration::from_millis(row.get::<_, i64>(2)?.try_into().unwrap_or_default());
    Ok(Usage {
        space: Space { used: number(0)?, total: number(1)? },
        asked: SystemTime::UNIX_EPOCH.checked_add(asked).unwrap_or(SystemTime::UNIX_EPOCH),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_full_in_percent() {
        let check = |used, total, more, expected| assert_eq!(percent(Space { used, total }, more), expected);
        check(Some(50), Some(100), 0, Some(50));
        check(Some(50), Some(100), 41, Some(91));
        check(Some(0), Some(3), 1, Some(33));
        check(Some(u64::MAX), Some(u64::MAX), u64::MAX, Some(200));
        check(Some(1), Some(0), 0, None);
        check(None, Some(100), 0, None);
        check(Some(1), None, 0, None);
    }
}
