//! What came of a move or a copy that somebody began who was killed: looked after, never assumed.
//!
//! A move is told by what is missing: its old path is free and its new one is not. A copy is told by what is the
//! same, entry for entry; one that the service has begun goes on without anybody, so it is waited for, and
//! what still differs in the end is an error that says so. Nothing is removed here.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::Error;
use super::pages::Pages;
use super::relocate::says_that_nothing_happened;
use crate::ErrorKind;
use crate::attached::{self, Attached};
use crate::catalog;
use crate::entry::{Entry, Kind};
use crate::hash::Digest;
use crate::journal::Begun;
use crate::path::RelativePath;

/// How long after it was noted a copy may begin to show: what was sent by somebody who was killed has arrived by
/// then, and services begin before they answer. Longer, and whoever was killed before he asked waits for nothing.
const BEGINS_MAX: Duration = Duration::from_secs(5);
/// How long a copy that shows is waited for while nothing of it changes.
const STANDS_MAX: Duration = Duration::from_secs(30);
/// How often it is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Most entries of a folder that are compared one by one; beyond that, an operator decides.
const COMPARED_MAX: usize = 100_000;

/// The item at its new path, if it was moved before.
pub(super) async fn moved(
    attached: &Attached,
    from: &RelativePath,
    to: &RelativePath,
    earlier: Begun,
    known: Option<&catalog::Entry>,
) -> Result<Option<Entry>, Error> {
    if let Some(job) = earlier.job
        && let Some(entry) = ended(attached, "relocate", job, to).await?
    {
        return Ok(Some(entry));
    }
    if look(attached, from).await?.is_some() {
        return Ok(None);
    }
    // Something else that came there meanwhile is not what was moved.
    let same = |entry: &Entry| known.is_none_or(|known| entry.kind == Kind::File && entry.size == known.size);
    Ok(look(attached, to).await?.filter(same))
}

/// The copy, if it was made before, or is being made.
pub(super) async fn copied(
    attached: &Attached,
    from: &RelativePath,
    to: &RelativePath,
    earlier: Begun,
) -> Result<Option<Entry>, Error> {
    if let Some(job) = earlier.job
        && let Some(entry) = ended(attached, "copy", job, to).await?
    {
        return Ok(Some(entry));
    }
    let clock = attached.broker().clock();
    let since = clock.elapsed();
    let copy = loop {
        if let Some(copy) = look(attached, to).await? {
            break copy;
        }
        if earlier.age.saturating_add(clock.elapsed().saturating_sub(since)) > BEGINS_MAX {
            return Ok(None);
        }
        clock.sleep(LOOK_EVERY).await;
    };
    let Some(source) = look(attached, from).await? else { return Ok(None) };
    match (source.kind, copy.kind) {
        // It is there as a whole or not at all.
        (Kind::File, Kind::File) if mark(&source) == mark(&copy) => Ok(Some(copy)),
        (Kind::Folder, Kind::Folder) => becomes_whole(attached, from, copy).await.map(Some),
        (Kind::File | Kind::Folder, _) => Ok(None),
    }
}

/// What a job came to; none when nothing came of it, as far as the service can tell.
async fn ended(
    attached: &Attached,
    operation: &'static str,
    job: String,
    to: &RelativePath,
) -> Result<Option<Entry>, attached::Error> {
    match attached.resume(operation, job, to).await {
        Ok(entry) => Ok(Some(entry)),
        Err(error) if says_that_nothing_happened(error.kind()) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Wait until a folder has what another has.
async fn becomes_whole(attached: &Attached, from: &RelativePath, copy: Entry) -> Result<Entry, Error> {
    let meant = tree(attached, from).await?;
    let clock = attached.broker().clock();
    let (mut since, mut last) = (clock.elapsed(), BTreeMap::new());
    loop {
        let found = tree(attached, &copy.path).await?;
        if found == meant && found.len() < COMPARED_MAX {
            return Ok(copy);
        }
        if found != last {
            (since, last) = (clock.elapsed(), found);
        } else if clock.elapsed().saturating_sub(since) > STANDS_MAX {
            let said = format!("a copy of `{from}` was begun before, and what is there is not the same");
            return Err(attached.in_doubt("copy", &copy.path, said).into());
        }
        clock.sleep(LOOK_EVERY).await;
    }
}

/// What makes two entries the same.
fn mark(entry: &Entry) -> (bool, u64, Option<Digest>) {
    (entry.kind == Kind::File, entry.size, entry.hash.clone())
}

/// What is in a folder, at any depth, up to a bound.
async fn tree(
    attached: &Attached,
    folder: &RelativePath,
) -> Result<BTreeMap<RelativePath, (bool, u64, Option<Digest>)>, Error> {
    let mut found = BTreeMap::new();
    let mut due = VecDeque::from([folder.clone()]);
    while let Some(place) = due.pop_front() {
        let mut pages = Pages::default();
        loop {
            let page = match attached.list(&place, false, pages.due()).await {
                Ok(page) => page,
                // The service may be moving it into place.
                Err(error) if error.kind() == ErrorKind::NotFound => break,
                Err(error) if pages.restart(&error) => continue,
                Err(error) => return Err(error.into()),
            };
            for entry in &page.entries {
                if entry.kind == Kind::Folder {
                    due.push_back(entry.path.clone());
                }
                let below = entry.path.strip(folder).unwrap_or_else(|| entry.path.clone());
                found.insert(below, mark(entry));
            }
            if found.len() >= COMPARED_MAX {
                return Ok(found);
            }
            if !pages.after(&page, place.as_str())? {
                break;
            }
        }
    }
    Ok(found)
}

async fn look(attached: &Attached, path: &RelativePath) -> Result<Option<Entry>, attached::Error> {
    match attached.stat(path).await {
        Ok(entry) => Ok(Some(entry)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}
