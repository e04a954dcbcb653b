//! The catalog, brought in line with what a service has.
//!
//! Of a file that is what it was, everything stays known: its hashes, and the time that its source had.
//! Of one that is new or another, what the service says is taken. What is gone is forgotten.

use std::time::{Duration, SystemTime};

use rusqlite::Connection;

use super::Error;
use super::compare::{PATHS_MAX, Pair, difference, pairs};
use super::follow::{Followed, follow};
use super::stage::{Purpose, Stage, Standing, Todo, nanoseconds};
use super::walk::walk;
use crate::attached::Attached;
use crate::catalog::{self, milliseconds};
use crate::entry::Entry;
use crate::hash::{Algorithm, Digest};
use crate::home::{Lock, Subject};
use crate::path::RelativePath;

/// A walk that was begun earlier than this is begun anew: what it saw first is too old.
const WALK_AGE_MAX: Duration = Duration::from_hours(24);

/// How it was learned what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// The service told what changed.
    Changes,
    /// Every folder was listed.
    Walking,
}

/// What it came to, in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Reindexed {
    /// How it was learned.
    pub by: By,
    /// New to the catalog.
    pub added: u64,
    /// Other than the catalog knew them.
    pub changed: u64,
    /// No longer there.
    pub removed: u64,
    /// As the catalog knew them.
    pub unchanged: u64,
}

impl Reindexed {
    const fn new(by: By) -> Self {
        Self { by, added: 0, changed: 0, removed: 0, unchanged: 0 }
    }

    fn add(&mut self, other: Self) {
        self.added = self.added.saturating_add(other.added);
        self.changed = self.changed.saturating_add(other.changed);
        self.removed = self.removed.saturating_add(other.removed);
        self.unchanged = self.unchanged.saturating_add(other.unchanged);
    }
}

/// Bring the catalog of a destination in line with what its service has.
///
/// # Errors
/// When the service cannot be asked, or the database not be written. What was learned is kept then, and
/// the next run goes on; the catalog is as it was, or in line up to some path.
pub async fn reindex(attached: &Attached) -> Result<Reindexed, Error> {
    let _alone = alone(attached)?;
    let stage = Stage::new(attached.shelf().clone());
    match follow(attached, &stage).await? {
        Followed::Whole(standing) => {
            is_there(attached, &stage, &standing).await?;
            apply(attached, &stage, &standing, By::Changes).await
        }
        Followed::Unable => {
            let standing = begin_walk(attached, &stage).await?;
            walk(attached, &stage, standing.id).await?;
            is_there(attached, &stage, &standing).await?;
            let done = apply(attached, &stage, &standing, By::Walking).await?;
            stage.forget(Purpose::Walk).await?;
            Ok(done)
        }
    }
}

/// One survey of a destination at a time.
pub(super) fn alone(attached: &Attached) -> Result<Lock, Error> {
    let name = attached.name();
    let lock = attached.journal().home().try_lock(&Subject::Survey(name.clone()))?;
    lock.ok_or_else(|| Error::Busy(name.clone()))
}

/// A directory in which nothing was found is empty, or a disk that is not mounted, or was renamed: what is
/// known of the last two is not forgotten.
pub(super) async fn is_there(attached: &Attached, stage: &Stage, standing: &Standing) -> Result<(), Error> {
    let is_gone = stage.is_empty(standing.id).await?
        && !attached.shelf().under(&RelativePath::root(), None).await?.is_empty()
        && !attached.is_there().await?;
    if !is_gone {
        return Ok(());
    }
    // What is learned of it the next time is learned anew.
    stage.forget(Purpose::Walk).await?;
    stage.forget(Purpose::Follow).await?;
    Err(Error::Gone(attached.name().clone()))
}

/// The walk that a run before this one left, or a new one.
async fn begin_walk(attached: &Attached, stage: &Stage) -> Result<Standing, Error> {
    let now = attached.broker().clock().now();
    let oldest = milliseconds(now.checked_sub(WALK_AGE_MAX).unwrap_or(SystemTime::UNIX_EPOCH));
    match stage.standing(Purpose::Walk).await? {
        Some(standing) if standing.begun_ms >= oldest => Ok(standing),
        Some(_) | None => {
            let first = Todo { path: RelativePath::root(), next: None, deep: true };
            stage.begin(Purpose::Walk, now, Some(first)).await
        }
    }
}

/// Hold what was found against the catalog, some paths at a time, each of them in a transaction.
async fn apply(attached: &Attached, stage: &Stage, standing: &Standing, by: By) -> Result<Reindexed, Error> {
    let mut sum = Reindexed::new(by);
    let mut after = None;
    let (shelf, survey, begun_ms) = (stage.shelf().id(), standing.id, standing.begun_ms);
    loop {
        let (now, from) = (attached.broker().clock().now(), after.take());
        let (last, some) = stage
            .write(move |connection| {
                let pairs = pairs(connection, (shelf, survey), &RelativePath::root(), from.as_ref())?;
                let full = u32::try_from(pairs.len()).is_ok_and(|count| count >= PATHS_MAX);
                let last = pairs.last().filter(|_| full).map(|pair| pair.path.clone());
                let mut some = Reindexed::new(by);
                for pair in pairs {
                    take(connection, shelf, begun_ms, now, pair, &mut some)?;
                }
                Ok((last, some))
            })
            .await?;
        sum.add(some);
        match last {
            Some(last) => after = Some(last),
            None => return Ok(sum),
        }
    }
}

/// One path.
fn take(
    connection: &Connection,
    shelf: i64,
    begun_ms: i64,
    now: SystemTime,
    pair: Pair,
    sum: &mut Reindexed,
) -> Result<(), rusqlite::Error> {
    let Pair { path, known, found } = pair;
    match (known, found) {
        (Some(known), _) if milliseconds(known.stored_at) >= begun_ms => {
            sum.unchanged += 1;
            Ok(())
        }
        (Some(known), Some(found)) => match difference(&known, &found) {
            Some(_) => {
                sum.changed += 1;
                catalog::record(connection, shelf, &entry(&found, now))
            }
            None => {
                sum.unchanged += 1;
                let (known, changed) = brought_up(known, found);
                if changed { catalog::record(connection, shelf, &known) } else { Ok(()) }
            }
        },
        (None, Some(found)) => {
            sum.added += 1;
            catalog::record(connection, shelf, &entry(&found, now))
        }
        (Some(_), None) => {
            sum.removed += 1;
            connection
                .prepare_cached("DELETE FROM entry WHERE shelf = ?1 AND path = ?2")?
                .execute(rusqlite::params![shelf, path.as_str()])
                .map(drop)
        }
        (None, None) => Ok(()),
    }
}

/// The same bytes under another name of the service's for them. Returns whether there is one.
fn brought_up(known: catalog::Entry, found: Entry) -> (catalog::Entry, bool) {
    match found.revision {
        Some(revision) if known.revision.as_ref() != Some(&revision) => {
            (catalog::Entry { revision: Some(revision), ..known }, true)
        }
        Some(_) | None => (known, false),
    }
}

/// What the service says of a file, as the catalog keeps it.
fn entry(found: &Entry, now: SystemTime) -> catalog::Entry {
    let of = |algorithm: Algorithm| {
        found.hash.as_ref().filter(|hash| hash.algorithm() == algorithm).map(Digest::bytes)
    };
    catalog::Entry {
        path: found.path.clone(),
        size: found.size,
        modified_ns: nanoseconds(found.modified),
        revision: found.revision.clone(),
        block_sha256: of(Algorithm::BlockSha256).and_then(|bytes| bytes.try_into().ok()),
        quickxor: of(Algorithm::QuickXor).and_then(|bytes| bytes.try_into().ok()),
        stored_at: now,
    }
}
