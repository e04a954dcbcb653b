//! Whose a backup directory is.
//!
//! The first who writes to a backup directory leaves a mark in it, a small file that is created only if
//! none is there: of two who try, the service lets one. It names a server (a random id, made with the
//! home's database, and the machine's name for people) and a destination, and holds no secret. Whoever
//! finds another's mark does not write there. That the mark is ours is remembered on the destination's
//! shelf, so it is asked for once, and again when the destination is pointed elsewhere.
//!
//! This file has the mark and the memory; [`crate::attached`] leaves and reads it.

use std::time::SystemTime;

use rusqlite::{Connection, OptionalExtension as _, params};
use serde::{Deserialize, Serialize};

use crate::catalog::{Shelf, milliseconds};
use crate::home::Name;
use crate::path::RelativePath;
use crate::state::{self, State};

/// What the mark is called.
pub const NAME: &str = ".wharf-owner";
/// What an export of the configuration is called.
pub const EXPORT_NAME: &str = ".wharf-recovery";
/// Longest mark that is read: ours have some two hundred bytes.
pub(crate) const BYTES_MAX: usize = 4096;

/// A file in a backup directory that is Wharf's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// The mark of ownership.
    Mark,
    /// The sealed export of the configuration; see [`crate::recovery`].
    Export,
}

impl Own {
    const ALL: [Self; 2] = [Self::Mark, Self::Export];

    /// Is this one of them, of this destination or of one whose directory lies inside? Services that do
    /// not tell case apart would take any spelling for it.
    #[must_use]
    pub fn of(path: &RelativePath) -> Option<Self> {
        Self::named(path.name()?)
    }

    /// As [`of`](Self::of), of a name alone.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|own| name.eq_ignore_ascii_case(own.name()))
    }

    /// What it is called.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mark => NAME,
            Self::Export => EXPORT_NAME,
        }
    }

    /// What it does, for who asked for it by its path.
    #[must_use]
    pub const fn does(self) -> &'static str {
        match self {
            Self::Mark => "says whose the backup directory is",
            Self::Export => "holds the sealed export of a server's configuration",
        }
    }

    /// Where it lies in its backup directory.
    #[must_use]
    pub(crate) fn path(self) -> RelativePath {
        // A constant name without a slash is a path.
        RelativePath::parse(self.name()).unwrap_or_default()
    }
}

/// What a mark says. A later version may say more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// The server's random id.
    pub server: String,
    /// What people call that machine.
    pub server_name: String,
    /// The destination there.
    pub destination: String,
    /// When it was left.
    pub claimed: jiff::Timestamp,
}

impl Mark {
    /// As it is stored.
    #[must_use]
    pub(crate) fn bytes(&self) -> Vec<u8> {
        // Text and a moment always become JSON.
        let mut bytes = serde_json::to_vec_pretty(self).unwrap_or_default();
        bytes.push(b'\n');
        bytes
    }

    /// What is stored, if it is a mark.
    #[must_use]
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mark: Self = serde_json::from_slice(bytes).ok()?;
        Some(Self {
            server_name: crate::shown::shown(&mark.server_name, SHOWN_BYTES_MAX),
            destination: crate::shown::shown(&mark.destination, SHOWN_BYTES_MAX),
            ..mark
        })
    }
}

/// Bytes of a stranger's names that a message shows.
const SHOWN_BYTES_MAX: usize = 100;

/// This server, as marks name it.
#[derive(Debug, Clone)]
pub struct Server {
    /// Its random id.
    pub id: String,
    /// What people call it.
    pub name: String,
}

impl Server {
    /// The server of this home: its id is made when it is asked for first.
    ///
    /// # Errors
    /// When the database cannot be used.
    pub(crate) async fn of(state: &State) -> Result<Self, state::Error> {
        let known = state.read(server).await?;
        let id = if let Some(id) = known {
            id
        } else {
            let fresh = format!("{:032x}", rand::random::<u128>());
            let made = state.write(move |connection| {
                // Another process may have been faster.
                connection
                    .prepare_cached("INSERT OR IGNORE INTO server (one, id) VALUES (1, ?1)")?
                    .execute([fresh])?;
                server(connection)
            });
            made.await?.unwrap_or_default()
        };
        let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
        Ok(Self { id, name })
    }
}

fn server(connection: &Connection) -> Result<Option<String>, rusqlite::Error> {
    connection.prepare_cached("SELECT id FROM server")?.query_row([], |row| row.get(0)).optional()
}

/// Is the directory of this shelf known to be ours?
///
/// # Errors
/// When the database cannot be read.
pub(crate) async fn is_known(shelf: &Shelf) -> Result<bool, state::Error> {
    let id = shelf.id();
    let found = shelf.read_state(move |connection| {
        let mut known = connection.prepare_cached("SELECT 1 FROM owned WHERE shelf = ?1")?;
        known.exists([id])
    });
    found.await
}

/// Remember that the directory of this shelf is ours, by the mark of this revision.
///
/// # Errors
/// When the database cannot be written.
pub(crate) async fn remember(shelf: &Shelf, revision: Option<String>) -> Result<(), state::Error> {
    let (id, now) = (shelf.id(), milliseconds(SystemTime::now()));
    let written = shelf.write_state(move |connection| {
        connection
            .prepare_cached("INSERT OR REPLACE INTO owned (shelf, revision, claimed_ms) VALUES (?1, ?2, ?3)")?
            .execute(params![id, revision, now])
            .map(drop)
    });
    written.await
}

/// Forget it: the mark was another's, or is gone.
///
/// # Errors
/// When the database cannot be written.
pub(crate) async fn forget(shelf: &Shelf) -> Result<(), state::Error> {
    let id = shelf.id();
    let written = shelf.write_state(move |connection| {
        connection.prepare_cached("DELETE FROM owned WHERE shelf = ?1")?.execute([id]).map(drop)
    });
    written.await
}

/// Whom a mark names, seen from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// This destination.
    Us,
    /// A destination of this server that is no more.
    Gone(Mark),
    /// Another destination, or another server.
    Another(Mark),
}

impl Owner {
    /// Whom does this mark name? `exists` tells whether this server has a destination of a name.
    #[must_use]
    pub fn of(mark: Mark, server: &Server, destination: &Name, exists: impl Fn(&Name) -> bool) -> Self {
        if mark.server != server.id {
            return Self::Another(mark);
        }
        if mark.destination == destination.as_str() {
            return Self::Us;
        }
        let is_there = Name::parse(&mark.destination).is_ok_and(|name| exists(&name));
        if is_there { Self::Another(mark) } else { Self::Gone(mark) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(server: &str, destination: &str) -> Mark {
        let claimed = jiff::Timestamp::UNIX_EPOCH;
        Mark {
            server: server.to_owned(),
            server_name: "web1".to_owned(),
            destination: destination.to_owned(),
            claimed,
        }
    }

    #[test]
    fn a_mark_names_its_owner() {
        let server = Server { id: "aa".to_owned(), name: "web1".to_owned() };
        let check = |server_id: &str, destination: &str, expected: &str| {
            let name = Name::parse("archive").unwrap();
            let owner =
                Owner::of(mark(server_id, destination), &server, &name, |name| name.as_str() == "other");
            let is = match owner {
                Owner::Us => "us",
                Owner::Gone(_) => "gone",
                Owner::Another(_) => "another",
            };
            assert_eq!(is, expected, "{server_id} {destination}");
        };
        check("aa", "archive", "us");
        check("aa", "other", "another");
        check("aa", "deleted", "gone");
        check("aa", "Not A Name", "gone");
        check("bb", "archive", "another");
        check("", "archive", "another");
    }

    #[test]
    fn what_is_no_mark_is_none() {
        let written = mark("aa", "archive");
        assert_eq!(Mark::parse(&written.bytes()), Some(written));
        for text in ["", "{}", "[]", "{\"server\": \"aa\"}", "garbage"] {
            assert_eq!(Mark::parse(text.as_bytes()), None, "{text}");
        }
        let later = br#"{"server":"aa","server_name":"a\u001b[2J","destination":"d","claimed":"1970-01-01T00:00:00Z","more":1}"#;
        assert_eq!(Mark::parse(later).unwrap().server_name, "a\\u{1b}[2J", "it cannot repaint a terminal");
    }

    #[test]
    fn every_spelling_of_what_is_wharfs_own() {
        let check = |path: &str, expected: Option<Own>| {
            assert_eq!(Own::of(&RelativePath::parse(path).unwrap()), expected, "{path}");
        };
        check(".wharf-owner", Some(Own::Mark));
        check(".WHARF-Owner", Some(Own::Mark));
        check("inner/.wharf-owner", Some(Own::Mark));
        check(".wharf-recovery", Some(Own::Export));
        check("inner/.Wharf-Recovery", Some(Own::Export));
        check("", None);
        check(".wharf-owner/below", None);
        check(".wharf-owner2", None);
        check(".wharf-recovery.tmp", None);
        for own in Own::ALL {
            assert_eq!(Own::of(&own.path()), Some(own));
        }
    }
}
