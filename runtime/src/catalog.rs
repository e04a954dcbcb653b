//! What is stored where, as far as this machine knows.
//!
//! Every destination has a [`Shelf`]: path, size, times and hashes of what was stored through it.
//! It is what lets a second copy of an unchanged tree send nothing, and it is only ever a memory: the
//! service decides what is there, and `reindex` fills a shelf anew. A shelf belongs to one *place*
//! (account, drive, backup directory); a destination that is pointed elsewhere starts with an empty
//! one, because remembering the wrong place would skip files that were never stored.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension, Row, params, types::Value};

use crate::{
    home::Name,
    path::RelativePath,
    state::{self, State},
};

/// Entries of one [`Shelf::under`] page at most: some hundred kilobytes.
pub const PAGE_ENTRIES_MAX: u32 = 1000;

/// Columns of an entry, as [`entry_at`] reads them.
pub(crate) const COLUMNS: &str = "path, size, modified_ns, revision, block_sha256, quickxor, stored_ms";

/// What the catalog can say.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the catalog of destination `{destination}` cannot be used")]
pub struct Error {
    destination: Name,
    source: state::Error,
}

impl crate::hint::Hint for Error {
    fn hint(&self) -> Option<String> {
        self.source.hint()
    }
}

/// One stored file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where, below the backup directory.
    pub path: RelativePath,
    /// Bytes.
    pub size: u64,
    /// When the source was last modified, nanoseconds since 1970; none when unknown.
    pub modified_ns: Option<i64>,
    /// The service's name for this very version.
    pub revision: Option<String>,
    /// SHA-256 over the SHA-256 of each 4 MiB block.
    pub block_sha256: Option<[u8; 32]>,
    /// Microsoft's QuickXorHash.
    pub quickxor: Option<[u8; 20]>,
    /// When it was stored, or found to be; to the millisecond.
    pub stored_at: SystemTime,
}

/// The catalog of a home.
#[derive(Debug, Clone)]
pub struct Catalog {
    state: State,
}

impl Catalog {
    /// The catalog in this database.
    #[must_use]
    pub const fn new(state: State) -> Self {
        Self { state }
    }

    /// The shelf of a destination that stores at `place` (any text that names account, drive and
    /// directory). If it stored elsewhere before, what is remembered of that is forgotten.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn shelf(&self, destination: &Name, place: &str) -> Result<Shelf, Error> {
        let (name, wanted) = (destination.clone(), place.to_owned());
        let known = self.state.read(move |connection| find_shelf(connection, &name, &wanted)).await;
        let id = if let Some(id) = known.map_err(|source| error(destination, source))? {
            id
        } else {
            let (name, wanted) = (destination.clone(), place.to_owned());
            let made = self.state.write(move |connection| {
                // Another process may have been faster.
                if let Some(id) = find_shelf(connection, &name, &wanted)? {
                    return Ok(id);
                }
                forget(connection, &name)?;
                connection
                    .prepare_cached("INSERT INTO shelf (destination, place) VALUES (?1, ?2)")?
                    .execute(params![name.as_str(), wanted])?;
                Ok(connection.last_insert_rowid())
            });
            made.await.map_err(|source| error(destination, source))?
        };
        Ok(Shelf { state: self.state.clone(), destination: destination.clone(), id })
    }

    /// Forget everything about a destination.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn forget_destination(&self, destination: &Name) -> Result<(), Error> {
        let name = destination.clone();
        let forgotten = self.state.write(move |connection| forget(connection, &name));
        forgotten.await.map_err(|source| error(destination, source))
    }
}

/// What is remembered of one destination.
#[derive(Debug, Clone)]
pub struct Shelf {
    state: State,
    destination: Name,
    id: i64,
}

impl Shelf {
    /// The database that it is in.
    pub(crate) const fn state(&self) -> &State {
        &self.state
    }

    /// Remember entries, all of them or none, replacing what was known of their paths.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn record(&self, entries: Vec<Entry>) -> Result<(), Error> {
        let id = self.id;
        self.write(move |connection| entries.iter().try_for_each(|entry| record(connection, id, entry))).await
    }

    /// What is known of a path.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn get(&self, path: &RelativePath) -> Result<Option<Entry>, Error> {
        let (id, path) = (self.id, path.clone());
        self.read(move |connection| {
            connection
                .prepare_cached(&format!("SELECT {COLUMNS} FROM entry WHERE shelf = ?1 AND path = ?2"))?
                .query_row(params![id, path.as_str()], entry_of)
                .optional()
        })
        .await
    }

    /// What is known below a folder, ordered by path as bytes, at most [`PAGE_ENTRIES_MAX`] entries.
    /// Go on with the last path of a page as `after`; a page that is not full is the last.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn under(
        &self,
        folder: &RelativePath,
        after: Option<&RelativePath>,
    ) -> Result<Vec<Entry>, Error> {
        let id = self.id;
        let (first, end) = below(folder);
        let start = after.map_or(first.as_str(), |after| after.as_str().max(&first)).to_owned();
        self.read(move |connection| {
            connection
                .prepare_cached(&format!(
                    "SELECT {COLUMNS} FROM entry
                     WHERE shelf = ?1 AND path > ?2 AND path < ?3 ORDER BY path LIMIT ?4"
                ))?
                .query_map(params![id, start, end, PAGE_ENTRIES_MAX], entry_of)?
                .collect()
        })
        .await
    }

    /// Forget a path, and everything below it. Returns how many entries that were.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn remove(&self, path: &RelativePath) -> Result<usize, Error> {
        let (id, path) = (self.id, path.clone());
        self.write(move |connection| remove(connection, id, &path)).await
    }

    /// Whose it is.
    pub(crate) const fn destination(&self) -> &Name {
        &self.destination
    }

    /// Its number in the database.
    pub(crate) const fn id(&self) -> i64 {
        self.id
    }

    /// Change rows of rooms that keep theirs by shelf.
    pub(crate) async fn write_state<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, state::Error> {
        self.state.write(work).await
    }

    /// Look at rows of rooms that keep theirs by shelf.
    pub(crate) async fn read_state<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, state::Error> {
        self.state.read(work).await
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.write_state(work).await.map_err(|source| error(&self.destination, source))
    }

    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.read_state(work).await.map_err(|source| error(&self.destination, source))
    }
}

/// What is known of what is in a folder is known of what is in another one, too: the service has moved or copied
/// it there. Which versions they are is not known, since a service may give each another name.
pub(crate) fn carry(
    connection: &Connection,
    shelf: i64,
    from: &RelativePath,
    to: &RelativePath,
    now: SystemTime,
) -> Result<(), rusqlite::Error> {
    let (first, end) = below(from);
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO entry
             (shelf, path, size, modified_ns, revision, block_sha256, quickxor, stored_ms)
             SELECT shelf, ?1 || substr(path, length(?2) + 1), size, modified_ns, NULL, block_sha256, quickxor, ?3
             FROM entry WHERE shelf = ?4 AND path > ?5 AND path < ?6",
        )?
        .execute(params![to.as_str(), from.as_str(), milliseconds(now), shelf, first, end])
        .map(drop)
}

/// As [`Shelf::remove`], within somebody's transaction.
pub(crate) fn remove(
    connection: &Connection,
    shelf: i64,
    path: &RelativePath,
) -> Result<usize, rusqlite::Error> {
    let (first, end) = below(path);
    let itself = connection
        .prepare_cached("DELETE FROM entry WHERE shelf = ?1 AND path = ?2")?
        .execute(params![shelf, path.as_str()])?;
    let below_it = connection
        .prepare_cached("DELETE FROM entry WHERE shelf = ?1 AND path > ?2 AND path < ?3")?
        .execute(params![shelf, first, end])?;
    Ok(itself + below_it)
}

/// Remember an entry on the shelf with this number, replacing what was known of its path.
pub(crate) fn record(connection: &Connection, shelf: i64, entry: &Entry) -> Result<(), rusqlite::Error> {
    connection
        .prepare_cached(
            "INSERT INTO entry (shelf, path, size, modified_ns, revision, block_sha256, quickxor, stored_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT DO UPDATE SET size = excluded.size, modified_ns = excluded.modified_ns,
                 revision = excluded.revision, block_sha256 = excluded.block_sha256,
                 quickxor = excluded.quickxor, stored_ms = excluded.stored_ms",
        )?
        .execute(params![
            shelf,
            entry.path.as_str(),
            i64::try_from(entry.size).unwrap_or(i64::MAX),
            entry.modified_ns,
            entry.revision,
            entry.block_sha256,
            entry.quickxor,
            milliseconds(entry.stored_at),
        ])
        .map(drop)
}

/// What lies below a folder: the paths between these two.
fn below(folder: &RelativePath) -> (String, Value) {
    if folder.is_root() {
        // No path is empty, and to SQLite every text comes before every blob.
        (String::new(), Value::Blob(Vec::new()))
    } else {
        // `0` is the character after `/`.
        (format!("{folder}/"), Value::Text(format!("{folder}0")))
    }
}

fn find_shelf(
    connection: &Connection,
    destination: &Name,
    place: &str,
) -> Result<Option<i64>, rusqlite::Error> {
    connection
        .prepare_cached("SELECT id FROM shelf WHERE destination = ?1 AND place = ?2")?
        .query_row(params![destination.as_str(), place], |row| row.get(0))
        .optional()
}

fn forget(connection: &Connection, destination: &Name) -> Result<(), rusqlite::Error> {
    connection
        .prepare_cached("DELETE FROM shelf WHERE destination = ?1")?
        .execute(params![destination.as_str()])
        .map(drop)
}

fn entry_of(row: &Row<'_>) -> Result<Entry, rusqlite::Error> {
    read_entry(row, 0)
}

/// The entry whose columns begin here; none where a join found none.
pub(crate) fn entry_at(row: &Row<'_>, first: usize) -> Result<Option<Entry>, rusqlite::Error> {
    if row.get_ref(first)?.data_type() == rusqlite::types::Type::Null {
        return Ok(None);
    }
    read_entry(row, first).map(Some)
}

fn read_entry(row: &Row<'_>, first: usize) -> Result<Entry, rusqlite::Error> {
    Ok(Entry {
        path: path_of(row, first)?,
        size: u64::try_from(row.get::<_, i64>(first + 1)?).unwrap_or_default(),
        modified_ns: row.get(first + 2)?,
        revision: row.get(first + 3)?,
        block_sha256: row.get(first + 4)?,
        quickxor: row.get(first + 5)?,
        stored_at: SystemTime::UNIX_EPOCH
            + Duration::from_millis(row.get::<_, i64>(first + 6)?.try_into().unwrap_or_default()),
    })
}

/// The path in a column.
pub(crate) fn path_of(row: &Row<'_>, column: usize) -> Result<RelativePath, rusqlite::Error> {
    let path: String = row.get(column)?;
    RelativePath::parse(&path).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

/// A moment as rows have it.
pub(crate) fn milliseconds(time: SystemTime) -> i64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

fn error(destination: &Name, source: state::Error) -> Error {
    Error { destination: destination.clone(), source }
}

#[cfg(test)]
mod tests;
