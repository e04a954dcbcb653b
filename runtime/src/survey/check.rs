//! What differs between a service and the catalog. Nothing is changed, on either side.

use std::sync::{Mutex, PoisonError};

use futures_util::stream::{self, StreamExt as _};

use super::compare::{PATHS_MAX, Pair, difference, pairs};
use super::reindex::{alone, is_there};
use super::stage::{self, Purpose, Stage, Standing, Todo};
use super::walk::walk;
use super::{Difference, Error};
use crate::attached::Attached;
use crate::catalog::{self, milliseconds};
use crate::entry::{Entry, Kind};
use crate::hash::{Algorithm, Digest};
use crate::path::RelativePath;
use crate::sandbox::operation::Refusal;
use crate::transfer::{self, Mismatch, verify};

/// How to check.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Read every byte as well.
    pub download: bool,
}

/// What is wrong with one file.
#[derive(Debug)]
pub struct Finding {
    /// Which file.
    pub path: RelativePath,
    /// What.
    pub what: What,
}

/// What is wrong.
#[derive(Debug)]
pub enum What {
    /// The catalog knows it, and it is not there.
    Missing,
    /// It is not what the catalog knows.
    Changed(Difference),
    /// It is there, and the catalog does not know it.
    Unknown,
    /// Its bytes are not what was stored.
    Damaged(Mismatch),
    /// Its bytes could not be read.
    Unread(Box<transfer::Error>),
}

/// What a check came to, in files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Checked {
    /// As the catalog knows them.
    pub good: u64,
    /// Not there.
    pub missing: u64,
    /// Other than the catalog knows them.
    pub changed: u64,
    /// There, and not in the catalog.
    pub unknown: u64,
    /// With other bytes than were stored.
    pub damaged: u64,
    /// That could not be read.
    pub unread: u64,
    /// Whose bytes were read, and are those that were stored.
    pub verified: u64,
}

/// Hold what is at or below `path` against the catalog, and tell what differs, in the order of paths.
///
/// # Errors
/// When the service cannot be asked, or there is nothing to check.
pub async fn check(
    attached: &Attached,
    path: &RelativePath,
    options: Options,
    tell: &mut (dyn FnMut(Finding) + Send),
) -> Result<Checked, Error> {
    let _alone = alone(attached)?;
    let stage = Stage::new(attached.shelf().clone());
    let standing = learn(attached, &stage, path).await?;
    let told = compare(attached, &stage, &standing, path, options, tell).await;
    stage.forget(Purpose::Check).await?;
    told
}

/// What is there.
async fn learn(attached: &Attached, stage: &Stage, path: &RelativePath) -> Result<Standing, Error> {
    let now = attached.broker().clock().now();
    let first = Todo { path: path.clone(), next: None, deep: true };
    let file = if path.is_root() { None } else { file_at(attached, path).await? };
    let Some(file) = file else {
        let standing = stage.begin(Purpose::Check, now, Some(first)).await?;
        walk(attached, stage, standing.id).await?;
        is_there(attached, stage, &standing).await?;
        return Ok(standing);
    };
    let standing = stage.begin(Purpose::Check, now, None).await?;
    let (id, path) = (standing.id, path.clone());
    stage
        .write(move |connection| {
            stage::put_found(connection, id, path.as_str(), &Entry { path: path.clone(), ..file })
        })
        .await?;
    Ok(standing)
}

/// The file at a path; none for a folder, or nothing.
async fn file_at(attached: &Attached, path: &RelativePath) -> Result<Option<Entry>, Error> {
    match attached.stat(path).await {
        Ok(entry) => Ok(Some(entry).filter(|entry| entry.kind == Kind::File)),
        Err(error) if error.problem.refusal() == Some(&Refusal::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

async fn compare(
    attached: &Attached,
    stage: &Stage,
    standing: &Standing,
    path: &RelativePath,
    options: Options,
    tell: &mut (dyn FnMut(Finding) + Send),
) -> Result<Checked, Error> {
    let mut sum = Checked::default();
    let mut after: Option<RelativePath> = None;
    let ids = (stage.shelf().id(), standing.id);
    loop {
        let (below, from) = (path.clone(), after.take());
        let first = from.is_none();
        let pairs = stage.read(move |connection| pairs(connection, ids, &below, from.as_ref())).await?;
        if first && pairs.is_empty() && !path.is_root() {
            return nothing(attached, path).await.map(|()| sum);
        }
        let full = u32::try_from(pairs.len()).is_ok_and(|count| count >= PATHS_MAX);
        let last = pairs.last().filter(|_| full).map(|pair| pair.path.clone());
        let told = Mutex::new((&mut sum, &mut *tell));
        // In the order of paths, whichever was read first.
        stream::iter(pairs)
            .map(|pair| judge(attached, standing.begun_ms, options, pair))
            .buffered(attached.threads().limit().max(1))
            .for_each(|judged| {
                let mut told = told.lock().unwrap_or_else(PoisonError::into_inner);
                let (sum, tell) = &mut *told;
                count(sum, &judged);
                if let Judged::Wrong(finding) = judged {
                    tell(finding);
                }
                std::future::ready(())
            })
            .await;
        match last {
            Some(last) => after = Some(last),
            None => return Ok(sum),
        }
    }
}

/// An empty folder is checked at once; what is nowhere was misspelt.
async fn nothing(attached: &Attached, path: &RelativePath) -> Result<(), Error> {
    match attached.stat(path).await {
        Ok(_) => Ok(()),
        Err(error) if error.problem.refusal() == Some(&Refusal::NotFound) => {
            Err(Error::Nothing { destination: attached.name().clone(), path: path.clone() })
        }
        Err(error) => Err(error.into()),
    }
}

enum Judged {
    Good,
    Verified,
    Wrong(Finding),
}

fn count(sum: &mut Checked, judged: &Judged) {
    let counter = match judged {
        Judged::Good => &mut sum.good,
        Judged::Verified => {
            sum.verified = sum.verified.saturating_add(1);
            &mut sum.good
        }
        Judged::Wrong(Finding { what, .. }) => match what {
            What::Missing => &mut sum.missing,
            What::Changed(_) => &mut sum.changed,
            What::Unknown => &mut sum.unknown,
            What::Damaged(_) => &mut sum.damaged,
            What::Unread(_) => &mut sum.unread,
        },
    };
    *counter = counter.saturating_add(1);
}

async fn judge(attached: &Attached, begun_ms: i64, options: Options, pair: Pair) -> Judged {
    let Pair { path, known, found } = pair;
    let what = match (known, found) {
        // Stored while it was looked: what was found is older.
        (Some(known), _) if milliseconds(known.stored_at) >= begun_ms => return Judged::Good,
        (Some(_), None) => What::Missing,
        (None, Some(_)) => What::Unknown,
        (None, None) => return Judged::Good,
        (Some(known), Some(found)) => match difference(&known, &found) {
            Some(difference) => What::Changed(difference),
            None if !options.download => return Judged::Good,
            None => match read(attached, &known, &found).await {
                Ok(None) => return Judged::Verified,
                Ok(Some(mismatch)) => What::Damaged(mismatch),
                Err(error) => What::Unread(Box::new(error)),
            },
        },
    };
    Judged::Wrong(Finding { path, what })
}

/// Read every byte, and compare with what was stored: with Wharf's own hash where it is known, else with
/// the service's.
async fn read(
    attached: &Attached,
    known: &catalog::Entry,
    found: &Entry,
) -> Result<Option<Mismatch>, transfer::Error> {
    let passed = transfer::receive::read_only(attached, found).await?;
    let own = known.block_sha256.and_then(|bytes| Digest::new(Algorithm::BlockSha256, &bytes).ok());
    let meant = Entry { hash: own.or_else(|| found.hash.clone()), ..found.clone() };
    Ok(verify::verify(found, &passed).and_then(|_| verify::verify(&meant, &passed)).err())
}
