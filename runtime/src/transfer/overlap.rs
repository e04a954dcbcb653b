//! A folder cannot be copied into itself: every copy would be found again, and copied too.

use std::path::Path;

use super::Error;
use crate::attached::Attached;
use crate::folder;
use crate::path::RelativePath;

/// Which way a copy goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// From here to the destination.
    Up,
    /// From the destination to here.
    Down,
}

/// Does the target of a copy lie outside its source? It can only do otherwise where the destination is
/// on this machine.
///
/// # Errors
/// [`Error::IntoItself`].
pub(super) fn check(attached: &Attached, here: &Path, there: &RelativePath, way: Way) -> Result<(), Error> {
    let Some(backup) = attached.broker().folder() else { return Ok(()) };
    let (here, there) = (folder::real(here), folder::real(&backup.place(there)));
    let (from, to) = match way {
        Way::Up => (here, there),
        Way::Down => (there, here),
    };
    if to.starts_with(&from) { Err(Error::IntoItself { from, to }) } else { Ok(()) }
}
