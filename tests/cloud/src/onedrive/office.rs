//! What SharePoint does to some files after an upload: it writes properties into them, so that
//! size and hash are no longer what was sent.

use std::sync::{Arc, Mutex};

use super::content::Target;
use super::drive::Drive;
use super::switches::DriveKind;
use super::{Failure, OneDrive};
use crate::hash::Hasher;
use crate::reply::Stop;
use crate::store::{self, Blob};
use crate::sync::lock;

/// Ends of the names of files that are rewritten.
const REWRITTEN: [&str; 9] = [".docx", ".docm", ".xlsx", ".xlsm", ".pptx", ".html", ".htm", ".jpg", ".heic"];
/// What is added; the real one writes a document id into the package.
const PROPERTIES: &[u8] = b"<!-- _dlc_DocId: CONTOSO-1180424-1 -->";

/// The bytes as the service will keep them.
pub(crate) async fn rewrite(
    service: &OneDrive,
    drive: &Mutex<Drive>,
    target: &Target,
    blob: Arc<Blob>,
) -> Result<Arc<Blob>, Stop> {
    if !service.switches().rewrite_office || !applies(drive, target)? {
        return Ok(blob);
    }
    Ok(store::extend(&service.store, &blob, PROPERTIES, Hasher::quick()).await?)
}

fn applies(drive: &Mutex<Drive>, target: &Target) -> Result<bool, Failure> {
    let drive = lock(drive);
    if drive.kind == DriveKind::Personal {
        return Ok(false);
    }
    let name = match target {
        Target::Item(key) => drive.get(*key)?.name.clone(),
        Target::Child { name, .. } => name.clone(),
    };
    let name = name.to_lowercase();
    Ok(REWRITTEN.iter().any(|end| name.ends_with(end)))
}
