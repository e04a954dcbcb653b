//! What changed since the last time, page by page.
//!
//! Each page and what gets the next one are one transaction. A service that forgot what changed since
//! (`cursor-gone`) is asked for everything again, and so is one that told of a folder which came in from
//! outside of the backup directory; that must come to an end, so it happens a few times at most.

use super::Error;
use super::stage::{self, Purpose, Stage, Standing};
use super::tree::{Round, Tree};
use crate::attached::{self, Attached};
use crate::catalog::milliseconds;
use crate::entry::{Entry, Kind};
use crate::manifest::Names;
use crate::ownership::Own;
use crate::path::RelativePath;
use crate::sandbox::operation::{Change, Outcome, Refusal, Whereabouts};

/// How often everything is learned anew in one run.
const RESTARTS_MAX: u32 = 3;
/// Empty pages in a row. OneDrive has been seen to send a few.
const EMPTY_MAX: u32 = 100;
/// Pages of one round: with 200 changes each, 200 million items.
const PAGES_MAX: u64 = 1_000_000;

/// What the changes came to.
#[derive(Debug)]
pub(super) enum Followed {
    /// What was found is what is there.
    Whole(Standing),
    /// The service does not tell, or is not to be asked.
    Unable,
}

/// Learn what changed, until there is nothing more to tell.
pub(super) async fn follow(attached: &Attached, stage: &Stage) -> Result<Followed, Error> {
    let mut known = stage.standing(Purpose::Follow).await?;
    let mut restarts = 0;
    loop {
        let reason = match round(attached, stage, known.take()).await {
            Ok(Ended::Whole(standing)) => return Ok(Followed::Whole(standing)),
            Ok(Ended::Partial) => "folders keep coming in from outside of the backup directory",
            Err(Error::Operation(error)) if is_refusal(&error, &Refusal::CursorGone) => {
                "it forgets each time what it has told"
            }
            // A directory that is not there has nothing in it, when that is said of all that is there.
            Err(Error::Operation(error)) if is_refusal(&error, &Refusal::NotFound) => {
                let begun = stage.standing(Purpose::Follow).await?;
                if begun.is_some_and(|standing| standing.cursor.is_some()) {
                    return Err(error.into());
                }
                let standing = stage.begin(Purpose::Follow, attached.broker().clock().now(), None).await?;
                return Ok(Followed::Whole(standing));
            }
            Err(Error::Operation(error)) if is_unable(&error) => {
                stage.forget(Purpose::Follow).await?;
                return Ok(Followed::Unable);
            }
            Err(error) => return Err(error),
        };
        stage.forget(Purpose::Follow).await?;
        if restarts >= RESTARTS_MAX {
            return Err(endless(attached, reason));
        }
        restarts += 1;
    }
}

enum Ended {
    Whole(Standing),
    Partial,
}

/// From where it stands to the last page.
async fn round(attached: &Attached, stage: &Stage, known: Option<Standing>) -> Result<Ended, Error> {
    let now = attached.broker().clock().now();
    let (mut cursor, mut standing) = (known.as_ref().and_then(|known| known.cursor.clone()), known);
    let (mut empty, mut pages) = (0_u32, 0_u64);
    loop {
        let page = attached.changes(cursor.as_deref()).await?;
        empty = if page.changes.is_empty() { empty.saturating_add(1) } else { 0 };
        pages = pages.saturating_add(1);
        let stuck = page.more && (cursor.as_ref() == Some(&page.cursor) || empty > EMPTY_MAX);
        if stuck || pages > PAGES_MAX {
            return Err(endless(attached, &format!("{pages} pages so far, the last of them without news")));
        }
        // Only what was answered once is begun: a service that cannot tell leaves nothing behind.
        let at = match standing.take() {
            // A new round; one that was interrupted keeps its beginning.
            Some(standing) if !standing.amid => Standing { begun_ms: milliseconds(now), ..standing },
            Some(standing) => standing,
            None => stage.begin(Purpose::Follow, now, None).await?,
        };
        let more = page.more;
        cursor = Some(page.cursor.clone());
        let at = Standing { cursor: cursor.clone(), amid: more, ..at };
        match take(attached, stage, at.clone(), page.changes).await? {
            Round::Partial => return Ok(Ended::Partial),
            Round::Whole if !more => return Ok(Ended::Whole(at)),
            Round::Whole => standing = Some(at),
        }
    }
}

/// One page, in one transaction with what gets the next.
async fn take(
    attached: &Attached,
    stage: &Stage,
    at: Standing,
    changes: Vec<Change>,
) -> Result<Round, Error> {
    let names = attached.manifest().names;
    let directory = attached.broker().grant().directory().clone();
    stage
        .write(move |connection| {
            let directory: Vec<String> =
                directory.as_str().split('/').filter(|name| !name.is_empty()).map(str::to_owned).collect();
            let survey = at.id;
            let mut tree = Tree::new(connection, survey, &directory, names);
            let mut speaks_in_ids = false;
            for Change { at: place, is } in &changes {
                match place {
                    Whereabouts::Path(path) => at_path(connection, survey, names, path, is)?,
                    Whereabouts::Node { id, parent, name } => {
                        speaks_in_ids = true;
                        tree.apply(id, parent.as_deref(), name, is)?;
                    }
                }
            }
            stage::advance(connection, &at)?;
            let has_tree = speaks_in_ids || tree.is_planted()?;
            if !at.amid && has_tree { tree.finish() } else { Ok(Round::Whole) }
        })
        .await
}

/// What a service told by path.
fn at_path(
    connection: &rusqlite::Connection,
    survey: i64,
    names: Names,
    path: &RelativePath,
    is: &Outcome,
) -> Result<(), rusqlite::Error> {
    let key = names.key(path.as_str());
    match is {
        Outcome::Removed => stage::remove_found(connection, survey, &key),
        // A file in its place is gone; what is below it stays.
        Outcome::Folder => connection
            .prepare_cached("DELETE FROM survey_found WHERE survey = ?1 AND key = ?2")?
            .execute(rusqlite::params![survey, key])
            .map(drop),
        Outcome::File(_) if Own::of(path).is_some() => Ok(()),
        Outcome::File(facts) => {
            stage::remove_below(connection, survey, &key)?;
            let file = Entry {
                path: path.clone(),
                kind: Kind::File,
                size: facts.size,
                modified: facts.modified,
                hash: facts.hash.clone(),
                revision: facts.revision.clone(),
            };
            stage::put_found(connection, survey, &key, &file)
        }
    }
}

fn is_refusal(error: &attached::Error, refusal: &Refusal) -> bool {
    error.problem.refusal() == Some(refusal)
}

/// It cannot tell, or may not be asked; walking is the other way.
fn is_unable(error: &attached::Error) -> bool {
    is_refusal(error, &Refusal::Unsupported) || is_refusal(error, &Refusal::Denied)
}

fn endless(attached: &Attached, reason: &str) -> Error {
    Error::Endless { destination: attached.name().clone(), reason: reason.to_owned() }
}
