//! Moves and copies at the service: no bytes pass through here, but the catalog follows.

use super::Error;
use crate::attached::Attached;
use crate::catalog;
use crate::entry::{Entry, Kind};
use crate::path::RelativePath;

/// Give a file, or a folder with everything in it, another path at its destination, replacing nothing.
///
/// # Errors
/// Why it has its old path.
pub async fn relocate(attached: &Attached, from: &RelativePath, to: &RelativePath) -> Result<Entry, Error> {
    let known = attached.shelf().get(from).await?;
    let entry = attached.relocate(from, to).await?;
    // What is known of a folder's files is of their old paths: forgotten, it is found out again.
    attached.shelf().remove(from).await?;
    remember(attached, &entry, known).await?;
    Ok(entry)
}

/// Copy a file, or a folder with everything in it, at its destination, replacing nothing.
///
/// # Errors
/// Why there is no copy.
pub async fn copy(attached: &Attached, from: &RelativePath, to: &RelativePath) -> Result<Entry, Error> {
    let known = attached.shelf().get(from).await?;
    let entry = attached.copy(from, to).await?;
    remember(attached, &entry, known).await?;
    Ok(entry)
}

/// The same bytes at another path: what is known of them holds there too, if the service agrees.
async fn remember(attached: &Attached, entry: &Entry, known: Option<catalog::Entry>) -> Result<(), Error> {
    match (entry.kind, known) {
        (Kind::File, Some(known)) if known.size == entry.size => {
            let known = catalog::Entry {
                path: entry.path.clone(),
                revision: entry.revision.clone(),
                stored_at: std::time::SystemTime::now(),
                ..known
            };
            Ok(attached.shelf().record(vec![known]).await?)
        }
        (Kind::File | Kind::Folder, _) => Ok(()),
    }
}
