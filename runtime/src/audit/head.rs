//! The ends of each chain, in the database of the home: how far it went when it was last synced, and
//! where it begins since old files were dropped.
//!
//! A chain shows what was changed inside it, but not that its end is missing; so its end is kept
//! elsewhere too. It is stored after the records are on disk and only ever goes forward: it may lag
//! behind the file, and never is ahead of it.

use rusqlite::{Connection, OptionalExtension as _};

use super::chain::{Hash, Link};
use crate::home::Name;
use crate::state::{self, State};

/// What is known of a chain's ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Head {
    /// The last record that was synced, and the hash of its line.
    pub(super) last: Link,
    /// The last record that was dropped with its file, and what followed it.
    pub(super) floor: Link,
}

/// Where the heads are kept.
#[derive(Debug, Clone)]
pub(super) struct Heads {
    state: State,
    destination: Name,
}

impl Heads {
    pub(super) const fn new(state: State, destination: Name) -> Self {
        Self { state, destination }
    }

    pub(super) fn load(&self) -> Result<Option<Head>, state::Error> {
        let name = self.destination.clone();
        self.state.read_now(move |connection| load(connection, name.as_str()))
    }

    /// The chain is on disk up to here.
    pub(super) fn reached(&self, last: Link) -> Result<(), state::Error> {
        let name = self.destination.clone();
        self.state.write_now(move |connection| {
            let statement = "INSERT INTO audit_head (destination, number, hash, floor, floor_hash)
                VALUES (?1, ?2, ?3, 0, ?4)
                ON CONFLICT (destination) DO UPDATE SET number = excluded.number, hash = excluded.hash
                WHERE excluded.number > number";
            let (number, hash) = (integer(last.number), last.hash.as_bytes());
            let nothing = Hash::NOTHING;
            connection.prepare_cached(statement)?.execute((
                name.as_str(),
                number,
                hash,
                nothing.as_bytes(),
            ))?;
            Ok(())
        })
    }

    /// The records up to here are about to be dropped.
    pub(super) fn dropping(&self, floor: Link) -> Result<(), state::Error> {
        let name = self.destination.clone();
        self.state.write_now(move |connection| {
            let statement = "UPDATE audit_head SET floor = ?2, floor_hash = ?3
                WHERE destination = ?1 AND floor < ?2";
            connection.prepare_cached(statement)?.execute((
                name.as_str(),
                integer(floor.number),
                floor.hash.as_bytes(),
            ))?;
            Ok(())
        })
    }
}

fn load(connection: &Connection, destination: &str) -> Result<Option<Head>, rusqlite::Error> {
    let statement = "SELECT number, hash, floor, floor_hash FROM audit_head WHERE destination = ?1";
    connection
        .prepare_cached(statement)?
        .query_row([destination], |row| {
            let link = |number: i64, hash: Vec<u8>| Link {
                number: u64::try_from(number).unwrap_or_default(),
                // A hash of another length fits nothing, which is what is told then.
                hash: Hash::from_bytes(&hash).unwrap_or(Hash::NOTHING),
            };
            Ok(Head { last: link(row.get(0)?, row.get(1)?), floor: link(row.get(2)?, row.get(3)?) })
        })
        .optional()
}

/// Numbers of records count from one; they do not reach the end of either type.
fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
