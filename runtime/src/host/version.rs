//! Which version of its connector a destination runs.
//!
//! The one that is installed, unless it asks for something new that nobody agreed to for this destination:
//! then the version before it goes on, so that a backup at night does not fail because of an update by
//! day. Agreeing, or deciding against what is new, moves it on. Who names a version gets that one.

use super::{Error, Host};
use crate::destination::Destination;
use crate::home::Name;
use crate::manifest::{Access, Manifest, Permission, section};
use crate::registry::Installed;
use crate::sandbox;

/// A destination that runs an older version than the installed one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// Which.
    pub destination: Name,
    /// What it runs.
    pub runs: Installed,
}

impl Host {
    /// The version of its connector that a destination runs.
    ///
    /// # Errors
    /// When its connector is not installed, or the file of the installed version is damaged.
    pub fn version_for(&self, destination: &Destination) -> Result<Installed, Error> {
        let installed = self.registry.get(&destination.connector)?;
        let is_chosen = destination.connector.version.is_some();
        if is_chosen || destination.grants.connector.as_ref() != Some(&installed.id) {
            return Ok(installed);
        }
        let kept = self.registry.kept(&installed.id)?;
        // What is damaged, or was revoked since, is as if it were not there.
        let mut older = kept.into_iter().rev().filter_map(|kept| {
            let manifest = self.manifest_of(&kept).ok()?;
            self.check_leave(&destination.name, &kept).ok()?;
            Some((kept, manifest))
        });
        let Some((mut runs, mut manifest)) = older.next() else { return Ok(installed) };
        let newest = self.manifest_of(&installed)?;
        for (version, asks) in older.chain([(installed, newest)]) {
            if !destination.grants.news(&asks, &manifest).any(|one| concerns(destination, one)) {
                (runs, manifest) = (version, asks);
            }
        }
        Ok(runs)
    }

    /// The destinations that run an older version of this connector than the installed one.
    ///
    /// # Errors
    /// When the destinations cannot be listed.
    pub fn waiting(&self, installed: &Installed) -> Result<Vec<Waiting>, Error> {
        let mut waiting = Vec::new();
        for name in self.destinations.users_of_connector(&installed.r#type, &installed.id)? {
            let Ok(destination) = self.destinations.load(&name) else { continue };
            // One that names a version which is not here waits for nothing that is.
            let Ok(runs) = self.version_for(&destination) else { continue };
            if runs.digest != installed.digest {
                waiting.push(Waiting { destination: name, runs });
            }
        }
        Ok(waiting)
    }

    /// Forget the replaced versions of a connector that no destination runs any more.
    ///
    /// # Errors
    /// As [`waiting`](Self::waiting).
    pub fn release_versions(&self, installed: &Installed) -> Result<(), Error> {
        if self.registry.kept(&installed.id)?.is_empty() {
            return Ok(());
        }
        let waiting = self.waiting(installed)?;
        let needed: Vec<_> = waiting.into_iter().map(|waiting| waiting.runs.digest).collect();
        Ok(self.registry.release(&installed.id, &needed)?)
    }

    /// What an installed component says of itself.
    ///
    /// # Errors
    /// When its file is damaged.
    pub fn manifest_of(&self, installed: &Installed) -> Result<Manifest, Error> {
        let component = self.registry.component(installed)?;
        let manifest = Manifest::parse(section::read(&component).map_err(sandbox::Error::from)?);
        Ok(manifest.map_err(sandbox::Error::from)?)
    }
}

/// Could this destination ever have it? A read-only one never writes, and what an option opens is closed
/// without it.
fn concerns(destination: &Destination, permission: Permission<'_>) -> bool {
    let is_open = match permission {
        Permission::Route(route) => {
            route.only_with.as_ref().is_none_or(|option| destination.options.contains_key(option))
        }
        Permission::Folder(_) => true,
    };
    is_open && (permission.access() == Access::Read || !destination.read_only)
}
