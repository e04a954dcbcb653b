//! Removals at the service: the catalog follows.
//!
//! What is not there is forgotten as well, whoever removed it: one that was killed after the service had done
//! it would otherwise leave behind a file that is told to be missing for ever.

use super::Error;
use crate::ErrorKind;
use crate::attached::{self, Attached};
use crate::entry::{Entry, Kind};
use crate::path::RelativePath;
use crate::sandbox::operation::Removal;

/// Most items of one request to a connector: Dropbox removes as many in one job.
const ITEMS_MAX: usize = 1000;

/// What is there to be removed.
///
/// # Errors
/// Why it cannot be told; what is not there is forgotten.
pub async fn removable(attached: &Attached, path: &RelativePath) -> Result<Entry, Error> {
    match attached.stat(path).await {
        Ok(entry) => Ok(entry),
        Err(error) => Err(forgotten(attached, path, error).await?.into()),
    }
}

/// Remove files and folders, these with everything in them; one result each in the same order. A file that
/// somebody replaced since it was looked at stays.
///
/// # Errors
/// When nothing can be told of any.
pub async fn remove(attached: &Attached, entries: &[Entry]) -> Result<Vec<Result<(), Error>>, Error> {
    let mut results = Vec::with_capacity(entries.len());
    for batch in entries.chunks(ITEMS_MAX) {
        let removals: Vec<Removal> = batch.iter().map(removal).collect();
        for (entry, result) in batch.iter().zip(attached.remove(&removals).await?) {
            results.push(match result {
                Ok(()) => attached.shelf().remove(&entry.path).await.map(drop).map_err(Error::from),
                Err(error) => Err(forgotten(attached, &entry.path, error).await?.into()),
            });
        }
    }
    Ok(results)
}

fn removal(entry: &Entry) -> Removal {
    let revision = match entry.kind {
        Kind::File => entry.revision.clone(),
        Kind::Folder => None,
    };
    Removal { path: entry.path.clone(), kind: entry.kind, revision }
}

/// The error, after what it means for the catalog.
async fn forgotten(
    attached: &Attached,
    path: &RelativePath,
    error: attached::Error,
) -> Result<attached::Error, Error> {
    if error.kind() == ErrorKind::NotFound {
        attached.shelf().remove(path).await?;
    }
    Ok(error)
}
