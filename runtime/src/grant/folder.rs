//! What may be done in the backup directory, where it lies on this machine.

use super::{Denial, Grant, short};
use crate::manifest::{Access, folder};
use crate::path::RelativePath;

/// A path at which something may be done. Only [`Grant::allow_folder`] makes one.
#[derive(Debug, Clone)]
pub struct AllowedPath {
    path: RelativePath,
    access: Access,
}

impl AllowedPath {
    /// Where, below the backup directory.
    #[must_use]
    pub const fn path(&self) -> &RelativePath {
        &self.path
    }

    /// The permission that covers it.
    #[must_use]
    pub const fn permission(&self) -> &'static str {
        folder::name(self.access)
    }
}

impl Grant {
    /// May this be done at this path of the backup directory, as a connector spells it?
    ///
    /// # Errors
    /// The first rule that forbids it.
    pub fn allow_folder(&self, access: Access, path: &str) -> Result<AllowedPath, Denial> {
        let name = folder::name(access);
        if self.manifest.permission(name).is_none() {
            return Err(Denial::UnknownRoute(name.to_owned()));
        }
        self.check_permission(name, access)?;
        let parsed = RelativePath::parse(path);
        let path = parsed.map_err(|problem| Denial::Item { item: short(path), problem })?;
        Ok(AllowedPath { path, access })
    }

    /// Is this in force: granted, and not writing on a read-only destination?
    #[must_use]
    pub fn has_folder(&self, access: Access) -> bool {
        self.allow_folder(access, "").is_ok()
    }
}
