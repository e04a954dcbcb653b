//! Moves and copies at the service: no bytes pass through here, but the catalog follows.
//!
//! Each is in the journal from before it is asked for until its end is known. One that was begun by somebody
//! who is gone is looked after first (`doubt`), and asked for again only when nothing has come of it.

use super::{Error, doubt};
use crate::ErrorKind;
use crate::attached::Attached;
use crate::catalog;
use crate::entry::{Entry, Kind};
use crate::journal::{Done, Way};
use crate::path::RelativePath;

/// Give a file, or a folder with everything in it, another path at its destination, replacing nothing.
///
/// # Errors
/// Why it has its old path.
pub async fn relocate(attached: &Attached, from: &RelativePath, to: &RelativePath) -> Result<Entry, Error> {
    let known = attached.shelf().get(from).await?;
    let earlier = attached.journal().begin_relocation(Way::Move, from, to).await?;
    let done = match earlier {
        Some(earlier) => doubt::moved(attached, from, to, earlier, known.as_ref()).await,
        None => Ok(None),
    };
    let done = match done {
        Ok(Some(entry)) => Ok(entry),
        Ok(None) => attached.relocate(from, to).await.map_err(Error::from),
        Err(error) => Err(error),
    };
    let entry = settled(attached, to, done).await?;
    followed(attached, Way::Move, from, entry, known).await
}

/// Copy a file, or a folder with everything in it, at its destination, replacing nothing.
///
/// # Errors
/// Why there is no copy.
pub async fn copy(attached: &Attached, from: &RelativePath, to: &RelativePath) -> Result<Entry, Error> {
    let known = attached.shelf().get(from).await?;
    let earlier = attached.journal().begin_relocation(Way::Copy, from, to).await?;
    let done = match earlier {
        Some(earlier) => doubt::copied(attached, from, to, earlier).await,
        None => Ok(None),
    };
    let done = match done {
        Ok(Some(entry)) => Ok(entry),
        Ok(None) => attached.copy(from, to).await.map_err(Error::from),
        Err(error) => Err(error),
    };
    let entry = settled(attached, to, done).await?;
    followed(attached, Way::Copy, from, entry, known).await
}

/// An error that says how it ended ends it; after any other the next run looks.
async fn settled(attached: &Attached, to: &RelativePath, done: Result<Entry, Error>) -> Result<Entry, Error> {
    if let Err(error) = &done
        && !is_about_a_job(error)
        && says_that_nothing_happened(error.kind())
    {
        attached.journal().end_relocation(to, None).await?;
    }
    done
}

/// Has nothing happened, for certain, and will nothing, if this is the answer?
pub(super) const fn says_that_nothing_happened(kind: ErrorKind) -> bool {
    match kind {
        ErrorKind::Usage
        | ErrorKind::NotFound
        | ErrorKind::Exists
        | ErrorKind::Quota
        | ErrorKind::BadName
        | ErrorKind::WrongKind
        | ErrorKind::Unsupported => true,
        ErrorKind::Denied
        | ErrorKind::SignIn
        | ErrorKind::Unavailable
        | ErrorKind::Corrupt
        | ErrorKind::SourceChanged
        | ErrorKind::Connector
        | ErrorKind::Service
        | ErrorKind::Local
        | ErrorKind::State => false,
    }
}

/// Is it in answer to a question about a job that was begun? A service that does not find it, or does not like
/// the question, may be at it still; the next run asks again.
fn is_about_a_job(error: &Error) -> bool {
    matches!(error, Error::Operation(error) if error.operation == "relocation-status")
}

/// The same bytes at another path: what is known of them holds there too, as far as the service agrees.
async fn followed(
    attached: &Attached,
    way: Way,
    from: &RelativePath,
    entry: Entry,
    known: Option<catalog::Entry>,
) -> Result<Entry, Error> {
    let known = known.filter(|known| entry.kind == Kind::File && known.size == entry.size);
    let file = known.map(|known| catalog::Entry {
        path: entry.path.clone(),
        revision: entry.revision.clone(),
        stored_at: std::time::SystemTime::now(),
        ..known
    });
    let done = Done { way, from: from.clone(), file };
    attached.journal().end_relocation(&entry.path, Some(done)).await?;
    Ok(entry)
}
