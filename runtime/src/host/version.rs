//! Which version of its connector a destination runs.
//!
//! The one that is installed, unless it asks for something new that nobody agreed to for this destination:
//! then the version before it goes on, so that a backup at night does not fail because of an update by
//! day. Agreeing, or deciding against what is new, moves it on. Who names a version gets that one.

use super::{Error, Host};
use crate::destination::{Destination, Setting};
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
            if news(destination, &asks, &manifest).next().is_none() {
                (runs, manifest) = (version, asks);
            }
        }
        Ok(runs)
    }

    /// The destinations that run an older version of this connector than the installed one. One whose
    /// file is broken, or that names a version which is not here, runs none.
    ///
    /// # Errors
    /// When the destinations cannot be listed.
    pub fn waiting(&self, installed: &Installed) -> Result<Vec<Waiting>, Error> {
        let mut waiting = Vec::new();
        for destination in self.destinations.list()?.into_iter().flatten() {
            if ![&installed.r#type, &installed.id].contains(&&destination.connector.name) {
                continue;
            }
            let Ok(runs) = self.version_for(&destination) else { continue };
            if runs.digest != installed.digest {
                waiting.push(Waiting { destination: destination.name, runs });
            }
        }
        Ok(waiting)
    }

    /// Forget the replaced versions of a connector that no destination runs any more. While the file of
    /// any destination is broken nobody knows what it runs, and all are kept.
    ///
    /// # Errors
    /// When the destinations cannot be listed, or the list of connectors not be written.
    pub fn release_versions(&self, installed: &Installed) -> Result<(), Error> {
        let is_broken = self.destinations.list()?.iter().any(Result::is_err);
        if is_broken || self.registry.kept(&installed.id)?.is_empty() {
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

/// What a version asks of a destination that nobody agreed to there, and that the version before it did not
/// ask: without what it could never have, because it is read-only or the option is off that opens it.
pub fn news<'a>(
    destination: &'a Destination,
    manifest: &'a Manifest,
    before: &'a Manifest,
) -> impl Iterator<Item = Permission<'a>> {
    destination.grants.news(manifest, before).filter(|one| concerns(destination, *one))
}

fn concerns(destination: &Destination, permission: Permission<'_>) -> bool {
    let is_on = |option: &String| destination.options.get(option) == Some(&Setting::Flag(true));
    let is_open = match permission {
        Permission::Route(route) => route.only_with.as_ref().is_none_or(is_on),
        Permission::Folder(_) => true,
    };
    is_open && (permission.access() == Access::Read || !destination.read_only)
}
