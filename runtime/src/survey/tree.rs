//! Paths out of ids.
//!
//! A service that speaks in ids tells of the whole drive: an item's name, and the id of its folder.
//! Here is the tree of what lies in the backup directory and on the way to it. Of what lies elsewhere
//! nothing is kept but the ids of folders, no names: when one of them turns up inside, what is in it
//! was never told, and everything must be learned anew. What comes before its folder waits, and is gone
//! by the end of the round if it does not belong.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::stage::nanoseconds;
use crate::manifest::Names;
use crate::ownership::Own;
use crate::path::PATH_BYTES_MAX;
use crate::sandbox::operation::{Facts, Outcome};

/// Folders on the way from an item to the top: a path of [`PATH_BYTES_MAX`] has no more.
const DEPTH_MAX: usize = PATH_BYTES_MAX / 2;

/// The tree of one survey.
pub(super) struct Tree<'a> {
    pub(super) connection: &'a Connection,
    pub(super) survey: i64,
    /// The backup directory, as names from the top of the drive.
    pub(super) directory: &'a [String],
    pub(super) names: Names,
    /// Where folders are, as far as it was looked up since one of them last changed.
    known: HashMap<String, Place>,
}

/// Where something is, as seen from the backup directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// On the way to it: this many names of it are behind.
    Above(usize),
    Inside,
    Outside,
    /// Its folder was not told yet.
    Waiting,
}

/// What the end of a round came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    /// What was found is in place.
    Whole,
    /// A folder came in from outside, and what is in it was never told.
    Partial,
}

impl<'a> Tree<'a> {
    pub(super) fn new(
        connection: &'a Connection,
        survey: i64,
        directory: &'a [String],
        names: Names,
    ) -> Self {
        Self { connection, survey, directory, names, known: HashMap::new() }
    }

    /// Take one change in.
    pub(super) fn apply(
        &mut self,
        id: &str,
        parent: Option<&str>,
        name: &str,
        is: &Outcome,
    ) -> Result<(), rusqlite::Error> {
        let facts = match is {
            Outcome::Removed => {
                self.known.clear();
                return self.leave(id, self.is_folder(id)?);
            }
            // Of our own making, and nobody's file.
            Outcome::File(_) if Own::named(name).is_some() => return self.leave(id, false),
            Outcome::Folder => {
                self.known.clear();
                None
            }
            Outcome::File(facts) => Some(facts),
        };
        let place = match parent {
            Some(parent) => {
                let folder = self.place(parent)?;
                self.below(folder, name, facts.is_none())
            }
            None => Place::Above(0),
        };
        match place {
            Place::Outside => self.leave(id, facts.is_none()),
            Place::Above(_) | Place::Inside | Place::Waiting => self.put(id, parent, name, facts),
        }
    }

    /// What lies in a folder of this place under this name.
    fn below(&self, folder: Place, name: &str, is_folder: bool) -> Place {
        match folder {
            Place::Above(depth) => match self.directory.get(depth) {
                None => Place::Inside,
                Some(next) if is_folder && self.names.key(next) == self.names.key(name) => {
                    Place::Above(depth.saturating_add(1))
                }
                Some(_) => Place::Outside,
            },
            Place::Inside | Place::Outside | Place::Waiting => folder,
        }
    }

    /// Where a folder is.
    fn place(&mut self, id: &str) -> Result<Place, rusqlite::Error> {
        let mut way: Vec<(String, String)> = Vec::new();
        let mut at = id.to_owned();
        let mut place = loop {
            if let Some(place) = self.known.get(&at) {
                break *place;
            }
            if self.is_outside(&at)? {
                break Place::Outside;
            }
            match self.find(&at)? {
                None => break Place::Waiting,
                Some((None, _)) => {
                    self.known.insert(at, Place::Above(0));
                    break Place::Above(0);
                }
                // Deeper than any path, or in a circle.
                Some(_) if way.len() > DEPTH_MAX => break Place::Outside,
                Some((Some(parent), name)) => way.push((std::mem::replace(&mut at, parent), name)),
            }
        };
        for (id, name) in way.into_iter().rev() {
            place = self.below(place, &name, true);
            self.known.insert(id, place);
        }
        Ok(place)
    }

    fn find(&self, id: &str) -> Result<Option<(Option<String>, String)>, rusqlite::Error> {
        self.connection
            .prepare_cached("SELECT parent, name FROM survey_node WHERE survey = ?1 AND id = ?2")?
            .query_row(params![self.survey, id], |row| Ok((row.get(0)?, row.get(1)?)))
            .optional()
    }

    /// Is there a tree from before?
    pub(super) fn is_planted(&self) -> Result<bool, rusqlite::Error> {
        self.connection.prepare_cached("SELECT 1 FROM survey_node WHERE survey = ?1")?.exists([self.survey])
    }

    fn is_folder(&self, id: &str) -> Result<bool, rusqlite::Error> {
        self.connection
            .prepare_cached("SELECT 1 FROM survey_node WHERE survey = ?1 AND id = ?2 AND size IS NULL")?
            .exists(params![self.survey, id])
    }

    fn is_outside(&self, id: &str) -> Result<bool, rusqlite::Error> {
        self.connection
            .prepare_cached("SELECT 1 FROM survey_outside WHERE survey = ?1 AND id = ?2")?
            .exists(params![self.survey, id])
    }

    /// It is not inside: forget it, but for the id of a folder.
    fn leave(&self, id: &str, is_folder: bool) -> Result<(), rusqlite::Error> {
        self.connection
            .prepare_cached("DELETE FROM survey_node WHERE survey = ?1 AND id = ?2")?
            .execute(params![self.survey, id])?;
        if is_folder {
            self.connection
                .prepare_cached("INSERT OR IGNORE INTO survey_outside (survey, id) VALUES (?1, ?2)")?
                .execute(params![self.survey, id])?;
        }
        Ok(())
    }

    fn put(
        &self,
        id: &str,
        parent: Option<&str>,
        name: &str,
        facts: Option<&Facts>,
    ) -> Result<(), rusqlite::Error> {
        let hash = facts.and_then(|facts| facts.hash.as_ref());
        self.connection
            .prepare_cached(
                "INSERT INTO survey_node
                     (survey, id, parent, name, size, modified_ns, revision, algorithm, hash)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)
                 ON CONFLICT DO UPDATE SET parent = excluded.parent, name = excluded.name,
                     size = excluded.size, modified_ns = excluded.modified_ns, revision = excluded.revision,
                     algorithm = excluded.algorithm, hash = excluded.hash",
            )?
            .execute(params![
                self.survey,
                id,
                parent,
                name,
                facts.map(|facts| i64::try_from(facts.size).unwrap_or(i64::MAX)),
                facts.and_then(|facts| nanoseconds(facts.modified)),
                facts.and_then(|facts| facts.revision.as_ref()),
                hash.map(|hash| hash.algorithm().name()),
                hash.map(crate::hash::Digest::bytes),
            ])
            .map(drop)
    }

    /// The round is at its end: what was found is what lies in the directory now.
    pub(super) fn finish(&mut self) -> Result<Round, rusqlite::Error> {
        let (survey, connection) = (self.survey, self.connection);
        connection.execute_batch(
            "CREATE TEMP TABLE IF NOT EXISTS inside (id TEXT NOT NULL PRIMARY KEY, path TEXT) WITHOUT ROWID;
             DELETE FROM temp.inside;",
        )?;
        let way = self.way()?;
        let add = "INSERT OR IGNORE INTO temp.inside (id) VALUES (?1)";
        for id in &way {
            connection.execute(add, [id])?;
        }
        if let Some(directory) = way.last().filter(|_| way.len() > self.directory.len()) {
            connection.execute(
                "WITH RECURSIVE below (id, path) AS (
                     SELECT id, name FROM survey_node WHERE survey = ?1 AND parent = ?2
                     UNION ALL
                     SELECT node.id, below.path || '/' || node.name FROM below
                     JOIN survey_node AS node ON node.survey = ?1 AND node.parent = below.id
                     WHERE length(below.path) < ?3
                 )
                 INSERT OR REPLACE INTO temp.inside (id, path) SELECT id, path FROM below",
                params![survey, directory, i64::try_from(PATH_BYTES_MAX).unwrap_or(i64::MAX)],
            )?;
        }
        let came =
            "SELECT 1 FROM survey_outside AS outside JOIN temp.inside AS inside ON inside.id = outside.id
                    WHERE outside.survey = ?1";
        if connection.prepare(came)?.exists([survey])? {
            return Ok(Round::Partial);
        }
        self.settle()?;
        Ok(Round::Whole)
    }

    /// The ids of the top and of the folders from there to the directory, as far as they are there.
    fn way(&self) -> Result<Vec<String>, rusqlite::Error> {
        let mut way = Vec::new();
        let top = "SELECT id FROM survey_node WHERE survey = ?1 AND parent IS NULL";
        let top: Option<String> =
            self.connection.prepare_cached(top)?.query_row([self.survey], |row| row.get(0)).optional()?;
        let Some(top) = top else { return Ok(way) };
        way.push(top);
        for name in self.directory {
            let mut children = self.connection.prepare_cached(
                "SELECT id, name FROM survey_node WHERE survey = ?1 AND parent = ?2 AND size IS NULL",
            )?;
            let children = children
                .query_map(params![self.survey, way.last()], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect::<Result<Vec<(String, String)>, _>>()?;
            let is_next = |(_, other): &(String, String)| self.names.key(other) == self.names.key(name);
            let Some((next, _)) = children.into_iter().find(is_next) else { break };
            way.push(next);
        }
        Ok(way)
    }

    /// Keep what is inside, with its paths, and of the rest only the ids of folders.
    fn settle(&self) -> Result<(), rusqlite::Error> {
        for change in [
            "INSERT OR IGNORE INTO survey_outside (survey, id) SELECT survey, id FROM survey_node
             WHERE survey = ?1 AND size IS NULL AND id NOT IN (SELECT id FROM temp.inside)",
            "DELETE FROM survey_node WHERE survey = ?1 AND id NOT IN (SELECT id FROM temp.inside)",
            "DELETE FROM survey_found WHERE survey = ?1",
            "INSERT OR REPLACE INTO survey_found
                 (survey, key, path, size, modified_ns, revision, algorithm, hash)
             SELECT node.survey, inside.path, inside.path, node.size, node.modified_ns, node.revision,
                    node.algorithm, node.hash
             FROM temp.inside AS inside JOIN survey_node AS node ON node.survey = ?1 AND node.id = inside.id
             WHERE inside.path IS NOT NULL AND node.size IS NOT NULL",
        ] {
            self.connection.prepare_cached(change)?.execute([self.survey])?;
        }
        self.connection.execute("DELETE FROM temp.inside", []).map(drop)
    }
}
