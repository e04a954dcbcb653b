//! Moves and copies at the service that have begun and are not known to have ended.
//!
//! A move that was sent and whose answer nobody read leaves something at its new path and nothing at its
//! old one; a copy goes on at the service without us, and a second one of it would be a second file where a
//! service takes the next free name. So a row says what was meant before anything is sent, and which job
//! the service made of it as soon as that is known; it goes when the end is known. Whoever finds one whose
//! owner is gone looks before asking again.

use std::time::{Duration, SystemTime};

use rusqlite::{Connection, OptionalExtension as _, params};

use super::{Error, Journal, oldest};
use crate::catalog::{self, milliseconds};
use crate::path::RelativePath;
use crate::state::{self, Sealed};

/// What was begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Another path.
    Move,
    /// A second one.
    Copy,
}

impl Way {
    const fn word(self) -> &'static str {
        match self {
            Self::Move => "move",
            Self::Copy => "copy",
        }
    }
}

/// A move or a copy that somebody began who is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begun {
    /// The service's job, where it said so.
    pub job: Option<String>,
    /// How long ago.
    pub age: Duration,
}

/// What came of a move or a copy.
#[derive(Debug, Clone)]
pub struct Done {
    /// Which of the two it was.
    pub way: Way,
    /// From where.
    pub from: RelativePath,
    /// What is known of the file that it was of.
    pub file: Option<catalog::Entry>,
}

/// A row.
struct Found {
    owner: String,
    source: String,
    way: String,
    job: Option<String>,
    begun_ms: i64,
}

impl Journal {
    /// A move or copy begins. Returns what is left of the same one, begun by somebody who is gone; whatever
    /// else was begun to this path is forgotten. Not noted when another process is at the same path.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub async fn begin_relocation(
        &self,
        way: Way,
        from: &RelativePath,
        to: &RelativePath,
    ) -> Result<Option<Begun>, Error> {
        let (shelf, own, home) = (self.shelf.id(), self.run()?.name().to_owned(), self.home.clone());
        let (from, to, now) = (from.clone(), to.clone(), SystemTime::now());
        let written = self.shelf.write_state(move |connection| {
            let found = find(connection, shelf, &to)?;
            if let Some(found) = &found
                && found.owner != own
                && home.is_running(&found.owner).unwrap_or(true)
            {
                return Ok(None);
            }
            connection
                .prepare_cached("DELETE FROM relocation WHERE begun_ms < ?1")?
                .execute([milliseconds(oldest())])?;
            let same = found.filter(|found| found.source == from.as_str() && found.way == way.word());
            let begun_ms = same.as_ref().map_or(milliseconds(now), |found| found.begun_ms);
            let job = same.as_ref().and_then(|found| found.job.clone());
            connection
                .prepare_cached(
                    "INSERT OR REPLACE INTO relocation (shelf, target, source, way, owner, job, begun_ms)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                )?
                .execute(params![shelf, to.as_str(), from.as_str(), way.word(), own, job, begun_ms])?;
            let age_ms = u64::try_from(milliseconds(now).saturating_sub(begun_ms)).unwrap_or_default();
            Ok(same.map(|found| Begun { job: found.job, age: Duration::from_millis(age_ms) }))
        });
        written.await.map_err(|source| self.error(source))
    }

    /// The service made this job of our move or copy to `to`.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn note_job(&self, to: &RelativePath, job: &str) -> Result<(), Error> {
        let Some(own) = self.own() else { return Ok(()) };
        let (shelf, to, job) = (self.shelf.id(), to.clone(), job.to_owned());
        let written = self.shelf.write_state(move |connection| {
            connection
                .prepare_cached(
                    "UPDATE relocation SET job = ?1 WHERE shelf = ?2 AND target = ?3 AND owner = ?4",
                )?
                .execute(params![job, shelf, to.as_str(), own])
                .map(drop)
        });
        written.await.map_err(|source| self.error(source))
    }

    /// Our move or copy to `to` has come to an end: the catalog follows, if anything came of it.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn end_relocation(&self, to: &RelativePath, done: Option<Done>) -> Result<(), Error> {
        let (shelf, to, own) = (self.shelf.id(), to.clone(), self.own());
        let written = self.shelf.write_state(move |connection| {
            if let Some(Done { way, from, file }) = &done {
                catalog::carry(connection, shelf, from, &to, SystemTime::now())?;
                match way {
                    Way::Move => drop(catalog::remove(connection, shelf, from)?),
                    Way::Copy => {}
                }
                if let Some(file) = file {
                    catalog::record(connection, shelf, file)?;
                }
            }
            let Some(own) = own else { return Ok(()) };
            connection
                .prepare_cached("DELETE FROM relocation WHERE shelf = ?1 AND target = ?2 AND owner = ?3")?
                .execute(params![shelf, to.as_str(), own])
                .map(drop)
        });
        written.await.map_err(|source| self.error(source))
    }
}

fn find(connection: &Connection, shelf: i64, to: &RelativePath) -> Result<Option<Found>, rusqlite::Error> {
    connection
        .prepare_cached(
            "SELECT owner, source, way, job, begun_ms FROM relocation WHERE shelf = ?1 AND target = ?2",
        )?
        .query_row(params![shelf, to.as_str()], |row| {
            Ok(Found {
                owner: row.get(0)?,
                source: row.get(1)?,
                way: row.get(2)?,
                job: row.get(3)?,
                begun_ms: row.get(4)?,
            })
        })
        .optional()
}

/// Have all jobs sealed anew, as [`super::reseal`] says. One that is forgotten leaves its row: that something
/// was begun is still true.
pub(super) fn reseal(
    connection: &Connection,
    anew: impl Fn(&str, &str) -> Option<String>,
) -> Result<(u64, u64), rusqlite::Error> {
    let select = "SELECT shelf.destination, relocation.shelf, relocation.target, relocation.job
         FROM relocation JOIN shelf ON shelf.id = relocation.shelf WHERE relocation.job IS NOT NULL";
    let (mut changed, mut forgotten) = (0, 0);
    for Sealed { destination, id, path, text } in state::sealed(connection, select)? {
        let sealed = anew(&destination, &text);
        if sealed.as_ref() == Some(&text) {
            continue;
        }
        *(if sealed.is_some() { &mut changed } else { &mut forgotten }) += 1;
        connection.execute(
            "UPDATE relocation SET job = ?1 WHERE shelf = ?2 AND target = ?3",
            params![sealed, id, path],
        )?;
    }
    Ok((changed, forgotten))
}
