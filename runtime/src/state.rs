//! The database of the home: the one door to SQLite.
//!
//! Rooms that keep rows (the catalog, the journal) bring their SQL; this one brings durability. All
//! writes of a process go through one thread, which takes whatever is waiting into one transaction:
//! a hundred uploads that finish together cost one fsync, and none is told before it is on disk.
//! Readers have a connection of their own and never wait for a writer (WAL).

mod writer;

use std::{
    fmt,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags};

use self::writer::Writer;
use crate::{
    hint::Hint,
    home::{self, Home, STATE_FILE, Subject},
};

/// What this version writes. A newer one refuses older programs rather than confuse them.
const SCHEMA_VERSION: i64 = 6;

/// Each step takes the schema from its place in this list to the next version.
const MIGRATIONS: [&str; 6] = [
    "
    CREATE TABLE shelf (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        destination TEXT NOT NULL UNIQUE,
        place TEXT NOT NULL
    ) STRICT;
    CREATE TABLE entry (
        shelf INTEGER NOT NULL REFERENCES shelf (id) ON DELETE CASCADE,
        path TEXT NOT NULL,
        size INTEGER NOT NULL,
        modified_ns INTEGER,
        revision TEXT,
        block_sha256 BLOB,
        quickxor BLOB,
        stored_ms INTEGER NOT NULL,
        PRIMARY KEY (shelf, path)
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE upload (
        shelf INTEGER NOT NULL REFERENCES shelf (id) ON DELETE CASCADE,
        path TEXT NOT NULL,
        owner TEXT NOT NULL,
        session TEXT NOT NULL,
        source TEXT NOT NULL,
        info TEXT NOT NULL,
        acknowledged INTEGER NOT NULL,
        block_sha256 BLOB NOT NULL,
        begun_ms INTEGER NOT NULL,
        PRIMARY KEY (shelf, path)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE download (
        place BLOB NOT NULL PRIMARY KEY,
        mark TEXT NOT NULL,
        begun_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE server (
        one INTEGER PRIMARY KEY CHECK (one = 1),
        id TEXT NOT NULL
    ) STRICT;
    CREATE TABLE owned (
        shelf INTEGER PRIMARY KEY REFERENCES shelf (id) ON DELETE CASCADE,
        revision TEXT,
        claimed_ms INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE usage (
        shelf INTEGER PRIMARY KEY REFERENCES shelf (id) ON DELETE CASCADE,
        used INTEGER,
        total INTEGER,
        asked_ms INTEGER NOT NULL
    ) STRICT;
",
    "
    CREATE TABLE audit_head (
        destination TEXT NOT NULL PRIMARY KEY,
        number INTEGER NOT NULL,
        hash BLOB NOT NULL,
        floor INTEGER NOT NULL,
        floor_hash BLOB NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE figure (
        digest TEXT NOT NULL PRIMARY KEY,
        instances INTEGER NOT NULL,
        cpu_us INTEGER NOT NULL,
        memory_peak INTEGER NOT NULL,
        refusals INTEGER NOT NULL,
        traps INTEGER NOT NULL,
        overdrawn INTEGER NOT NULL,
        counted_ms INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE survey (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        shelf INTEGER NOT NULL REFERENCES shelf (id) ON DELETE CASCADE,
        purpose TEXT NOT NULL,
        begun_ms INTEGER NOT NULL,
        cursor TEXT,
        amid INTEGER NOT NULL,
        UNIQUE (shelf, purpose)
    ) STRICT;
    CREATE TABLE survey_todo (
        survey INTEGER NOT NULL REFERENCES survey (id) ON DELETE CASCADE,
        path TEXT NOT NULL,
        next TEXT,
        deep INTEGER NOT NULL,
        PRIMARY KEY (survey, path)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE survey_found (
        survey INTEGER NOT NULL REFERENCES survey (id) ON DELETE CASCADE,
        key TEXT NOT NULL,
        path TEXT NOT NULL,
        size INTEGER NOT NULL,
        modified_ns INTEGER,
        revision TEXT,
        algorithm TEXT,
        hash BLOB,
        PRIMARY KEY (survey, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX survey_found_path ON survey_found (survey, path);
    CREATE TABLE survey_node (
        survey INTEGER NOT NULL REFERENCES survey (id) ON DELETE CASCADE,
        id TEXT NOT NULL,
        parent TEXT,
        name TEXT NOT NULL,
        size INTEGER,
        modified_ns INTEGER,
        revision TEXT,
        algorithm TEXT,
        hash BLOB,
        PRIMARY KEY (survey, id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX survey_node_parent ON survey_node (survey, parent);
    CREATE TABLE survey_outside (
        survey INTEGER NOT NULL REFERENCES survey (id) ON DELETE CASCADE,
        id TEXT NOT NULL,
        PRIMARY KEY (survey, id)
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE relocation (
        shelf INTEGER NOT NULL REFERENCES shelf (id) ON DELETE CASCADE,
        target TEXT NOT NULL,
        source TEXT NOT NULL,
        way TEXT NOT NULL,
        owner TEXT NOT NULL,
        job TEXT,
        begun_ms INTEGER NOT NULL,
        PRIMARY KEY (shelf, target)
    ) STRICT, WITHOUT ROWID;
",
];

/// How long a statement waits for another process's transaction: those are short, but each ends
/// with an fsync, and a busy disk can take seconds for one.
const BUSY_WAIT: Duration = Duration::from_secs(30);

/// Statements kept prepared per connection: all there are, with room.
const PREPARED_MAX: usize = 64;

/// What the database can say.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The home cannot be written.
    #[error(transparent)]
    Home(Arc<home::Error>),
    /// Written by a later version of this program.
    #[error("`{}` was written by a newer Wharf (schema {found}; this one knows {SCHEMA_VERSION})", .path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema version.
        found: i64,
    },
    /// SQLite refused.
    #[error("the database of the home cannot be used")]
    Sqlite(#[source] Arc<rusqlite::Error>),
    /// The process is ending.
    #[error("the database of the home is closed")]
    Closed,
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Home(error) => error.hint(),
            Self::Newer { .. } => Some("use the newer version, or another home".to_owned()),
            Self::Sqlite(error) => match error.sqlite_error_code() {
                Some(rusqlite::ErrorCode::DiskFull) => {
                    Some("free some space on the disk of the home".to_owned())
                }
                Some(rusqlite::ErrorCode::DatabaseBusy) => {
                    Some("another process has been writing for long; try again".to_owned())
                }
                Some(_) | None => None,
            },
            Self::Closed => None,
        }
    }
}

impl From<home::Error> for Error {
    fn from(error: home::Error) -> Self {
        Self::Home(Arc::new(error))
    }
}

impl From<rusqlite::Error> for Error {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(Arc::new(error))
    }
}

/// A text in the database that the vault sealed: whose it is, and where its row is found again.
pub(crate) struct Sealed {
    /// The destination's name.
    pub(crate) destination: String,
    /// The row's first key.
    pub(crate) id: i64,
    /// The row's second key.
    pub(crate) path: String,
    /// What is sealed.
    pub(crate) text: String,
}

/// All of one table, read before any is changed. `select` names the four columns in their order.
pub(crate) fn sealed(connection: &Connection, select: &str) -> Result<Vec<Sealed>, rusqlite::Error> {
    let mut select = connection.prepare(select)?;
    let rows = select.query_map([], |row| {
        Ok(Sealed { destination: row.get(0)?, id: row.get(1)?, path: row.get(2)?, text: row.get(3)? })
    })?;
    rows.collect()
}

/// The database, open. Cheap to clone; the last one to go waits for what is being written.
#[derive(Clone)]
pub struct State(Arc<Inner>);

struct Inner {
    reader: Mutex<Connection>,
    writer: Writer,
}

impl fmt::Debug for State {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("State")
    }
}

impl State {
    /// Open the database of a home, making or updating it as needed.
    ///
    /// # Errors
    /// [`Error::Newer`] when a later version wrote it; else what SQLite or the file system says.
    pub fn open(home: &Home) -> Result<Self, Error> {
        let path = home.root().path_of(STATE_FILE);
        // Made by us, so that SQLite finds it with our permissions (its other files take them over).
        drop(home.root().open_in_place(STATE_FILE)?);
        let mut connection = connect(&path)?;
        let found = schema_version(&connection)?;
        if found > SCHEMA_VERSION {
            return Err(Error::Newer { path, found });
        }
        if found < SCHEMA_VERSION {
            let _lock = home.lock(&Subject::State, BUSY_WAIT)?;
            migrate(&mut connection)?;
        }
        let reader = Mutex::new(connect(&path)?);
        Ok(Self(Arc::new(Inner { reader, writer: Writer::start(connection) })))
    }

    /// Change rows. When this returns, the change is on disk; on an error nothing of it is.
    ///
    /// # Errors
    /// What SQLite says, of the statements or of the commit.
    pub async fn write<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    {
        self.0.writer.run(work).await
    }

    /// As [`write`](Self::write), for a thread that may wait: never within a task.
    ///
    /// # Errors
    /// As [`write`](Self::write).
    pub(crate) fn write_now<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    {
        self.0.writer.run_now(work)
    }

    /// As [`read`](Self::read), at once.
    ///
    /// # Errors
    /// What SQLite says.
    pub(crate) fn read_now<T>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, rusqlite::Error>,
    ) -> Result<T, Error> {
        // A reader that panicked changed nothing.
        let reader = self.0.reader.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(work(&reader)?)
    }

    /// Look at rows, as of the last commit of any process.
    ///
    /// # Errors
    /// What SQLite says.
    pub async fn read<T, F>(&self, work: F) -> Result<T, Error>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T, rusqlite::Error> + Send + 'static,
    {
        let inner = Arc::clone(&self.0);
        let read = tokio::task::spawn_blocking(move || {
            // A reader that panicked changed nothing.
            let reader = inner.reader.lock().unwrap_or_else(PoisonError::into_inner);
            work(&reader)
        });
        Ok(read.await.map_err(|_| Error::Closed)??)
    }
}

fn connect(path: &std::path::Path) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW
        | OpenFlags::SQLITE_OPEN_EXRESCODE;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY_WAIT)?;
    connection.set_prepared_statement_cache_capacity(PREPARED_MAX);
    connection
        // What is deleted is overwritten: names that a survey drops are not to be read in the file.
        .execute_batch(
            "PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF;
             PRAGMA secure_delete = ON;",
        )?;
    Ok(connection)
}

fn schema_version(connection: &Connection) -> Result<i64, rusqlite::Error> {
    connection.query_row("PRAGMA user_version", [], |row| row.get(0))
}

/// Bring the schema up to date; the caller holds the lock, but another process may have been first.
fn migrate(connection: &mut Connection) -> Result<(), rusqlite::Error> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    let transaction = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    let found = usize::try_from(schema_version(&transaction)?).unwrap_or(usize::MAX);
    for migration in MIGRATIONS.iter().skip(found) {
        transaction.execute_batch(migration)?;
    }
    transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
    transaction.commit()
}

#[cfg(test)]
mod tests;
