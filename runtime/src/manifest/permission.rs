//! What an operator grants, one by one: a route, or one access to a directory of this machine.

use super::{Access, Manifest, Route, folder};

/// One thing that a connector asks for, and an operator grants by its name.
#[derive(Debug, Clone, Copy)]
pub enum Permission<'a> {
    /// Send requests of this route.
    Route(&'a Route),
    /// Work in the backup directory, on this machine.
    Folder(Access),
}

impl<'a> Permission<'a> {
    /// The name that a grant has.
    #[must_use]
    pub fn name(&self) -> &'a str {
        match self {
            Self::Route(route) => &route.name,
            Self::Folder(access) => folder::name(*access),
        }
    }

    /// What it allows, in one phrase.
    #[must_use]
    pub fn does(&self) -> &'a str {
        match self {
            Self::Route(route) => &route.does,
            Self::Folder(access) => folder::does(*access),
        }
    }

    /// Does it read or write?
    #[must_use]
    pub const fn access(&self) -> Access {
        match self {
            Self::Route(route) => route.access,
            Self::Folder(access) => *access,
        }
    }
}

impl Manifest {
    /// Everything that it asks for, in its order, the directory first.
    pub fn permissions(&self) -> impl Iterator<Item = Permission<'_>> + Clone {
        let folder = self.folder.iter().flat_map(|folder| folder.access.iter().copied());
        folder.map(Permission::Folder).chain(self.routes.iter().map(Permission::Route))
    }

    /// What is granted by this name; none when it does not ask for such a thing.
    #[must_use]
    pub fn permission(&self, name: &str) -> Option<Permission<'_>> {
        self.permissions().find(|permission| permission.name() == name)
    }
}
