//! Uploads under way, so that the next run carries on where this one was killed.
//!
//! An upload in parts, or one that is staged and waits for its commit, has a row here from the moment
//! its session exists until its file does: the connector's session (sealed handles, good in any
//! process), what the source was, and how much of it the service has acknowledged, with the hash of
//! that. A source that is not what it was starts over; so does one whose first bytes hash to something
//! else, whatever its times say. A row belongs to the process that works on it and passes to the next
//! one when that process is gone, so two copies of one tree never feed the same session.
//!
//! The row of an upload goes in the same transaction in which the catalog learns of the file.
//!
//! A move or a copy at the service has a row from before it is asked for (`relocation`).
//!
//! Of a large download it is noted which version of which file the partial file is of; its length and
//! its bytes speak for themselves.

mod relocation;

use std::collections::HashSet;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use crate::catalog::{self, Shelf, milliseconds, path_of};
use crate::content::Identity;
use crate::entry::Info;
use crate::hint::Hint;
use crate::home::{self, Home, Name, Run};
use crate::path::RelativePath;
use crate::state::{self, Sealed};

pub use relocation::{Begun, Done, Way};

/// Rows older than this are forgotten: no service keeps a session longer (Dropbox 7 days, OneDrive
/// what it says, days).
pub const AGE_MAX: Duration = Duration::from_hours(30 * 24);

/// What the journal can say.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database cannot be used.
    #[error("the journal of destination `{destination}` cannot be used")]
    State {
        /// Whose.
        destination: Name,
        /// Why.
        source: state::Error,
    },
    /// Whose work it is cannot be told.
    #[error(transparent)]
    Home(#[from] home::Error),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::State { source, .. } => source.hint(),
            Self::Home(error) => error.hint(),
        }
    }
}

/// An upload under way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upload {
    /// Where the file goes, below the backup directory.
    pub path: RelativePath,
    /// The connector's session.
    pub session: String,
    /// What the source was when the upload began.
    pub source: Identity,
    /// What is to be stored with the bytes.
    pub info: Info,
    /// How many bytes from the start the service has acknowledged.
    pub acknowledged: u64,
    /// Their SHA-256 over the SHA-256 of each 4 MiB block.
    pub block_sha256: [u8; 32],
}

/// What is known of an upload to some path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Nothing.
    Nothing,
    /// It was begun by somebody who is gone, and is ours now.
    Ours(Box<Upload>),
    /// Another process is at it.
    Theirs,
}

/// Have the sessions of all uploads, and the jobs of relocations, sealed anew. `anew` makes one of a
/// destination's name and a session; one for which it gives none is forgotten, and starts over. Returns how many were changed and
/// how many forgotten.
///
/// # Errors
/// When the database cannot be used; nothing is changed then.
pub(crate) async fn reseal(
    state: &state::State,
    anew: impl Fn(&str, &str) -> Option<String> + Send + 'static,
) -> Result<(u64, u64), state::Error> {
    let work = move |connection: &Connection| {
        let select = "SELECT shelf.destination, upload.shelf, upload.path, upload.session
             FROM upload JOIN shelf ON shelf.id = upload.shelf";
        let (mut changed, mut forgotten) = relocation::reseal(connection, &anew)?;
        for Sealed { destination, id, path, text } in state::sealed(connection, select)? {
            match anew(&destination, &text) {
                Some(same) if same == text => {}
                Some(sealed) => {
                    changed += 1;
                    let update = "UPDATE upload SET session = ?1 WHERE shelf = ?2 AND path = ?3";
                    connection.execute(update, params![sealed, id, path])?;
                }
                None => {
                    forgotten += 1;
                    let delete = "DELETE FROM upload WHERE shelf = ?1 AND path = ?2";
                    connection.execute(delete, params![id, path])?;
                }
            }
        }
        Ok((changed, forgotten))
    };
    state.write(work).await
}

/// The uploads of one destination.
#[derive(Debug, Clone)]
pub struct Journal {
    shelf: Shelf,
    home: Home,
    run: Arc<OnceLock<Run>>,
}

impl Journal {
    /// The journal of what goes to the place of this shelf.
    #[must_use]
    pub fn new(shelf: Shelf, home: Home) -> Self {
        Self { shelf, home, run: Arc::default() }
    }

    /// The home that it is kept in.
    pub(crate) const fn home(&self) -> &Home {
        &self.home
    }

    /// What is remembered of what is stored there.
    #[must_use]
    pub const fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// The paths at or below `folder` that an upload was begun to.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn paths(&self, folder: &RelativePath) -> Result<HashSet<RelativePath>, Error> {
        let (shelf, folder, oldest) = (self.shelf.id(), folder.clone(), milliseconds(oldest()));
        let paths = self.shelf.read_state(move |connection| {
            let mut select =
                connection.prepare_cached("SELECT path FROM upload WHERE shelf = ?1 AND begun_ms >= ?2")?;
            let paths = select.query_map(params![shelf, oldest], |row| path_of(row, 0))?;
            let inside = |path: &RelativePath| path.strip(&folder).is_some();
            paths.filter(|path| path.as_ref().map_or(true, inside)).collect()
        });
        paths.await.map_err(|source| self.error(source))
    }

    /// What was begun to this path, made ours if its owner is gone.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn take(&self, path: &RelativePath) -> Result<Known, Error> {
        let Some((owner, upload)) = self.find(path).await? else { return Ok(Known::Nothing) };
        let own = self.run()?.name().to_owned();
        if owner == own || self.home.is_running(&owner)? {
            return Ok(Known::Theirs);
        }
        let (shelf, path) = (self.shelf.id(), path.clone());
        let taken = self.shelf.write_state(move |connection| {
            connection
                .prepare_cached("UPDATE upload SET owner = ?1 WHERE shelf = ?2 AND path = ?3 AND owner = ?4")?
                .execute(params![own, shelf, path.as_str(), owner])
        });
        // Somebody else may have been faster.
        let taken = taken.await.map_err(|source| self.error(source))?;
        Ok(if taken == 1 { Known::Ours(Box::new(upload)) } else { Known::Theirs })
    }

    /// An upload begins. Not noted when another process is at the same path: theirs is left alone,
    /// and ours ends with this process.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn begin(&self, upload: Upload) -> Result<(), Error> {
        let (shelf, own) = (self.shelf.id(), self.run()?.name().to_owned());
        let (home, now) = (self.home.clone(), milliseconds(SystemTime::now()));
        let written = self.shelf.write_state(move |connection| {
            if let Some((owner, _)) = find(connection, shelf, &upload.path)?
                && owner != own
                && home.is_running(&owner).unwrap_or(true)
            {
                return Ok(());
            }
            connection
                .prepare_cached("DELETE FROM upload WHERE begun_ms < ?1")?
                .execute([milliseconds(oldest())])?;
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO upload
                     (shelf, path, owner, session, source, info, acknowledged, block_sha256, begun_ms)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                )?
                .execute(params![
                    shelf,
                    upload.path.as_str(),
                    own,
                    upload.session,
                    json(&upload.source)?,
                    json(&upload.info)?,
                    i64::try_from(upload.acknowledged).unwrap_or(i64::MAX),
                    upload.block_sha256,
                    now,
                ])
                .map(drop)
        });
        written.await.map_err(|source| self.error(source))
    }

    /// The service has acknowledged this much of our upload to `path`.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn acknowledge(
        &self,
        path: &RelativePath,
        acknowledged: u64,
        block_sha256: [u8; 32],
    ) -> Result<(), Error> {
        let (shelf, own, path) = (self.shelf.id(), self.run()?.name().to_owned(), path.clone());
        let written = self.shelf.write_state(move |connection| {
            let acknowledged = i64::try_from(acknowledged).unwrap_or(i64::MAX);
            connection
                .prepare_cached(
                    "UPDATE upload SET acknowledged = ?1, block_sha256 = ?2
                     WHERE shelf = ?3 AND path = ?4 AND owner = ?5",
                )?
                .execute(params![acknowledged, block_sha256, shelf, path.as_str(), own])
                .map(drop)
        });
        written.await.map_err(|source| self.error(source))
    }

    /// Our upload to this path has come to its end: remember the file, if it became one.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn end(&self, path: &RelativePath, file: Option<catalog::Entry>) -> Result<(), Error> {
        let (shelf, own, path) = (self.shelf.id(), self.own(), path.clone());
        let written = self.shelf.write_state(move |connection| {
            if let Some(file) = &file {
                catalog::record(connection, shelf, file)?;
            }
            if let Some(own) = own {
                connection
                    .prepare_cached("DELETE FROM upload WHERE shelf = ?1 AND path = ?2 AND owner = ?3")?
                    .execute(params![shelf, path.as_str(), own])?;
            }
            Ok(())
        });
        written.await.map_err(|source| self.error(source))
    }

    /// Which version of which file the partial file at `place` on this machine is of.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn download(&self, place: &Path) -> Result<Option<String>, Error> {
        let (place, oldest) = (place.as_os_str().as_bytes().to_vec(), milliseconds(oldest()));
        let found = self.shelf.read_state(move |connection| {
            connection
                .prepare_cached("SELECT mark FROM download WHERE place = ?1 AND begun_ms >= ?2")?
                .query_row(params![place, oldest], |row| row.get(0))
                .optional()
        });
        found.await.map_err(|source| self.error(source))
    }

    /// A partial file begins at `place`; `mark` says of what.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn begin_download(&self, place: &Path, mark: &str) -> Result<(), Error> {
        let (place, mark) = (place.as_os_str().as_bytes().to_vec(), mark.to_owned());
        let now = milliseconds(SystemTime::now());
        let written = self.shelf.write_state(move |connection| {
            connection
                .prepare_cached("DELETE FROM download WHERE begun_ms < ?1")?
                .execute([milliseconds(oldest())])?;
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO download (place, mark, begun_ms) VALUES (?1, ?2, ?3)",
                )?
                .execute(params![place, mark, now])
                .map(drop)
        });
        written.await.map_err(|source| self.error(source))
    }

    /// There is no partial file at `place` any more.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn end_download(&self, place: &Path) -> Result<(), Error> {
        let place = place.as_os_str().as_bytes().to_vec();
        let written = self.shelf.write_state(move |connection| {
            connection.prepare_cached("DELETE FROM download WHERE place = ?1")?.execute([place]).map(drop)
        });
        written.await.map_err(|source| self.error(source))
    }

    async fn find(&self, path: &RelativePath) -> Result<Option<(String, Upload)>, Error> {
        let (shelf, path) = (self.shelf.id(), path.clone());
        let found = self.shelf.read_state(move |connection| find(connection, shelf, &path));
        found.await.map_err(|source| self.error(source))
    }

    /// This process as an owner, from its first upload on.
    fn run(&self) -> Result<&Run, Error> {
        if let Some(run) = self.run.get() {
            return Ok(run);
        }
        let run = self.home.run()?;
        Ok(self.run.get_or_init(|| run))
    }

    fn own(&self) -> Option<String> {
        self.run.get().map(|run| run.name().to_owned())
    }

    fn error(&self, source: state::Error) -> Error {
        Error::State { destination: self.shelf.destination().clone(), source }
    }
}

fn find(
    connection: &Connection,
    shelf: i64,
    path: &RelativePath,
) -> Result<Option<(String, Upload)>, rusqlite::Error> {
    connection
        .prepare_cached(
            "SELECT path, owner, session, source, info, acknowledged, block_sha256 FROM upload
             WHERE shelf = ?1 AND path = ?2",
        )?
        .query_row(params![shelf, path.as_str()], |row| Ok((row.get(1)?, upload_of(row)?)))
        .optional()
}

fn upload_of(row: &Row<'_>) -> Result<Upload, rusqlite::Error> {
    Ok(Upload {
        path: path_of(row, 0)?,
        session: row.get(2)?,
        source: parsed(row, 3)?,
        info: parsed(row, 4)?,
        acknowledged: u64::try_from(row.get::<_, i64>(5)?).unwrap_or_default(),
        block_sha256: row.get(6)?,
    })
}

fn parsed<T: serde::de::DeserializeOwned>(row: &Row<'_>, column: usize) -> Result<T, rusqlite::Error> {
    let text: String = row.get(column)?;
    serde_json::from_str(&text).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
    })
}

fn json(value: &impl serde::Serialize) -> Result<String, rusqlite::Error> {
    serde_json::to_string(value).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn oldest() -> SystemTime {
    SystemTime::now().checked_sub(AGE_MAX).unwrap_or(SystemTime::UNIX_EPOCH)
}

#[cfg(test)]
mod tests;
