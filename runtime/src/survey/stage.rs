//! Where a survey keeps what it has learned: rows of the home's database, beside the catalog's.
//!
//! A survey has a row of its own with where it stands, one for each file that was found, and, while it
//! walks, one for each folder that is still to be listed. It belongs to a shelf and goes with it.

use std::time::SystemTime;

use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::Error;
use crate::catalog::{Shelf, milliseconds, path_of};
use crate::entry::{Entry, Kind};
use crate::hash::{Algorithm, Digest};
use crate::path::RelativePath;
use crate::state::{self, Sealed, State};

/// What a survey is for. Those of one shelf do not meet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// To learn what changes, again and again.
    Follow,
    /// To learn once what is there, for the catalog.
    Walk,
    /// To learn once what is there, to tell what differs.
    Check,
}

impl Purpose {
    const fn word(self) -> &'static str {
        match self {
            Self::Follow => "follow",
            Self::Walk => "walk",
            Self::Check => "check",
        }
    }
}

/// Where a survey stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    /// Its number in the database.
    pub(super) id: i64,
    /// When this round of it began: what was stored since may be newer than what was found.
    pub(super) begun_ms: i64,
    /// What gets the next page of changes.
    pub(super) cursor: Option<String>,
    /// Is the page that the cursor gets one that follows at once?
    pub(super) amid: bool,
}

/// A folder to be listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Todo {
    pub(super) path: RelativePath,
    /// What gets its next page; none for the first.
    pub(super) next: Option<String>,
    /// Is everything below it to be listed at once?
    pub(super) deep: bool,
}

/// The surveys of one shelf.
#[derive(Debug, Clone)]
pub(super) struct Stage {
    shelf: Shelf,
}

impl Stage {
    pub(super) const fn new(shelf: Shelf) -> Self {
        Self { shelf }
    }

    pub(super) const fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// Where the survey of this purpose stands; none when there is none.
    pub(super) async fn standing(&self, purpose: Purpose) -> Result<Option<Standing>, Error> {
        let shelf = self.shelf.id();
        self.read(move |connection| {
            connection
                .prepare_cached(
                    "SELECT id, begun_ms, cursor, amid FROM survey WHERE shelf = ?1 AND purpose = ?2",
                )?
                .query_row(params![shelf, purpose.word()], |row| {
                    Ok(Standing {
                        id: row.get(0)?,
                        begun_ms: row.get(1)?,
                        cursor: row.get(2)?,
                        amid: row.get(3)?,
                    })
                })
                .optional()
        })
        .await
    }

    /// Begin a survey, forgetting the one of this purpose that there was. Of a walk, `first` is where
    /// it starts.
    pub(super) async fn begin(
        &self,
        purpose: Purpose,
        now: SystemTime,
        first: Option<Todo>,
    ) -> Result<Standing, Error> {
        let (shelf, begun_ms) = (self.shelf.id(), milliseconds(now));
        self.write(move |connection| {
            forget(connection, shelf, purpose)?;
            connection
                .prepare_cached("INSERT INTO survey (shelf, purpose, begun_ms, amid) VALUES (?1, ?2, ?3, 0)")?
                .execute(params![shelf, purpose.word(), begun_ms])?;
            let id = connection.last_insert_rowid();
            if let Some(first) = &first {
                add_todo(connection, id, first)?;
            }
            Ok(Standing { id, begun_ms, cursor: None, amid: false })
        })
        .await
    }

    /// Forget the survey of this purpose.
    pub(super) async fn forget(&self, purpose: Purpose) -> Result<(), Error> {
        let shelf = self.shelf.id();
        self.write(move |connection| forget(connection, shelf, purpose)).await
    }

    /// The folders that are still to be listed.
    pub(super) async fn todo(&self, survey: i64) -> Result<Vec<Todo>, Error> {
        self.read(move |connection| {
            connection
                .prepare_cached("SELECT path, next, deep FROM survey_todo WHERE survey = ?1 ORDER BY path")?
                .query_map([survey], |row| {
                    Ok(Todo { path: path_of(row, 0)?, next: row.get(1)?, deep: row.get(2)? })
                })?
                .collect()
        })
        .await
    }

    /// Was no file found?
    pub(super) async fn is_empty(&self, survey: i64) -> Result<bool, Error> {
        self.read(move |connection| {
            let statement = "SELECT NOT EXISTS (SELECT 1 FROM survey_found WHERE survey = ?1)";
            connection.prepare_cached(statement)?.query_row([survey], |row| row.get(0))
        })
        .await
    }

    /// Change rows, all of them or none, on disk when this returns.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.shelf.write_state(work).await.map_err(|source| self.error(source))
    }

    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.shelf.read_state(work).await.map_err(|source| self.error(source))
    }

    fn error(&self, source: state::Error) -> Error {
        Error::State { destination: self.shelf.destination().clone(), source }
    }
}

fn forget(connection: &Connection, shelf: i64, purpose: Purpose) -> Result<(), rusqlite::Error> {
    connection
        .prepare_cached("DELETE FROM survey WHERE shelf = ?1 AND purpose = ?2")?
        .execute(params![shelf, purpose.word()])
        .map(drop)
}

/// A folder is to be listed. Returns whether that is new.
pub(super) fn add_todo(connection: &Connection, survey: i64, todo: &Todo) -> Result<bool, rusqlite::Error> {
    let added = connection
        .prepare_cached(
            "INSERT OR IGNORE INTO survey_todo (survey, path, next, deep) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute(params![survey, todo.path.as_str(), todo.next, todo.deep])?;
    Ok(added == 1)
}

/// A folder's page has come: note what gets the next, or that it was the last.
pub(super) fn advance_todo(
    connection: &Connection,
    survey: i64,
    path: &RelativePath,
    next: Option<&str>,
) -> Result<(), rusqlite::Error> {
    match next {
        Some(next) => connection
            .prepare_cached("UPDATE survey_todo SET next = ?3 WHERE survey = ?1 AND path = ?2")?
            .execute(params![survey, path.as_str(), next]),
        None => connection
            .prepare_cached("DELETE FROM survey_todo WHERE survey = ?1 AND path = ?2")?
            .execute(params![survey, path.as_str()]),
    }
    .map(drop)
}

/// Note where the changes go on.
pub(super) fn advance(connection: &Connection, standing: &Standing) -> Result<(), rusqlite::Error> {
    let Standing { id, begun_ms, cursor, amid } = standing;
    connection
        .prepare_cached("UPDATE survey SET begun_ms = ?2, cursor = ?3, amid = ?4 WHERE id = ?1")?
        .execute(params![id, begun_ms, cursor, amid])
        .map(drop)
}

/// A file was found. `key` is what its path has in common with the spellings that are one to the service.
pub(super) fn put_found(
    connection: &Connection,
    survey: i64,
    key: &str,
    file: &Entry,
) -> Result<(), rusqlite::Error> {
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO survey_found
                 (survey, key, path, size, modified_ns, revision, algorithm, hash)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            survey,
            key,
            file.path.as_str(),
            i64::try_from(file.size).unwrap_or(i64::MAX),
            nanoseconds(file.modified),
            file.revision,
            file.hash.as_ref().map(|hash| hash.algorithm().name()),
            file.hash.as_ref().map(Digest::bytes),
        ])
        .map(drop)
}

/// Nothing is at a path any more, nor below it.
pub(super) fn remove_found(connection: &Connection, survey: i64, key: &str) -> Result<(), rusqlite::Error> {
    remove_below(connection, survey, key)?;
    connection
        .prepare_cached("DELETE FROM survey_found WHERE survey = ?1 AND key = ?2")?
        .execute(params![survey, key])
        .map(drop)
}

/// Nothing is below a path any more.
pub(super) fn remove_below(connection: &Connection, survey: i64, key: &str) -> Result<(), rusqlite::Error> {
    if key.is_empty() {
        return connection
            .prepare_cached("DELETE FROM survey_found WHERE survey = ?1")?
            .execute([survey])
            .map(drop);
    }
    connection
        // `0` is the character after `/`.
        .prepare_cached("DELETE FROM survey_found WHERE survey = ?1 AND key > ?2 || '/' AND key < ?2 || '0'")?
        .execute(params![survey, key])
        .map(drop)
}

/// Columns of a found file, as [`found_of`] reads them.
pub(super) const FOUND: &str = "path, size, modified_ns, revision, algorithm, hash";

/// The found file whose columns begin here; none where a join found none.
pub(super) fn found_of(row: &Row<'_>, first: usize) -> Result<Option<Entry>, rusqlite::Error> {
    if row.get_ref(first)?.data_type() == Type::Null {
        return Ok(None);
    }
    let algorithm: Option<String> = row.get(first + 4)?;
    let bytes: Option<Vec<u8>> = row.get(first + 5)?;
    let hash = algorithm.as_deref().and_then(named).zip(bytes);
    let modified: Option<i64> = row.get(first + 2)?;
    Ok(Some(Entry {
        path: path_of(row, first)?,
        kind: Kind::File,
        size: u64::try_from(row.get::<_, i64>(first + 1)?).unwrap_or_default(),
        modified: modified.and_then(|time| jiff::Timestamp::from_nanosecond(time.into()).ok()),
        hash: hash.and_then(|(algorithm, bytes)| Digest::new(algorithm, &bytes).ok()),
        revision: row.get(first + 3)?,
    }))
}

/// A moment as rows have it; what is further from 1970 than 292 years is unknown.
pub(super) fn nanoseconds(time: Option<jiff::Timestamp>) -> Option<i64> {
    time.and_then(|time| i64::try_from(time.as_nanosecond()).ok())
}

fn named(name: &str) -> Option<Algorithm> {
    let all = [Algorithm::BlockSha256, Algorithm::QuickXor, Algorithm::Sha256, Algorithm::Sha1];
    all.into_iter().find(|algorithm| algorithm.name() == name)
}

/// Have what gets the next pages sealed anew: it holds handles. `anew` makes one of a destination's name
/// and a text; a survey for which it gives none is forgotten, and begins again.
///
/// # Errors
/// When the database cannot be used; nothing is changed then.
pub(crate) async fn reseal(
    state: &State,
    anew: impl Fn(&str, &str) -> Option<String> + Send + 'static,
) -> Result<(), state::Error> {
    let work = move |connection: &Connection| {
        for (select, update) in [
            (
                "SELECT shelf.destination, survey.id, '', survey.cursor FROM survey
                 JOIN shelf ON shelf.id = survey.shelf WHERE survey.cursor IS NOT NULL",
                "UPDATE survey SET cursor = ?3 WHERE id = ?1 AND ?2 = ''",
            ),
            (
                "SELECT shelf.destination, survey.id, survey_todo.path, survey_todo.next FROM survey_todo
                 JOIN survey ON survey.id = survey_todo.survey
                 JOIN shelf ON shelf.id = survey.shelf WHERE survey_todo.next IS NOT NULL",
                "UPDATE survey_todo SET next = ?3 WHERE survey = ?1 AND path = ?2",
            ),
        ] {
            for Sealed { destination, id, path, text } in state::sealed(connection, select)? {
                match anew(&destination, &text) {
                    Some(sealed) => connection.execute(update, params![id, path, sealed])?,
                    None => connection.execute("DELETE FROM survey WHERE id = ?1", [id])?,
                };
            }
        }
        Ok(())
    };
    state.write(work).await
}
