//! What an operator agreed to: of which connector, and of each route how far.
//!
//! It is plain data, kept in the destination's file. What is in force of it is told by
//! [`Granted::standing`], which compares it with the manifest of the connector that is installed: another
//! connector of the same type inherits nothing, and an update gets nothing that was not agreed to.

use super::Scope;
use crate::manifest::{Manifest, Permission};

/// What an operator agreed to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Granted {
    /// The id of the connector that it was granted to; none while nothing is granted.
    pub connector: Option<String>,
    /// The routes, in the order of the file.
    pub routes: Vec<GrantedRoute>,
    /// Routes that somebody decided against, so that nobody is asked again.
    pub denied: Vec<String>,
}

/// One route, as far as somebody agreed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantedRoute {
    /// Its name.
    pub name: String,
    /// What was agreed to.
    pub scope: Scope,
}

/// How a permission that a connector asks for stands with what was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is in force.
    Granted,
    /// Nobody agreed to it.
    Missing,
    /// It asks for more than was agreed to: these lines.
    Wider(Vec<String>),
    /// Another connector had it: the one of this id.
    Another(String),
}

impl Granted {
    /// Everything that these permissions of a manifest ask for.
    #[must_use]
    pub fn of<'a>(manifest: &Manifest, permissions: impl IntoIterator<Item = Permission<'a>>) -> Self {
        let mut granted = Self::default();
        for permission in permissions {
            granted.allow(manifest, permission);
        }
        granted
    }

    /// The same, chosen one by one: what was not chosen is decided against.
    #[must_use]
    pub fn chosen<'a>(manifest: &Manifest, permissions: impl IntoIterator<Item = Permission<'a>>) -> Self {
        let mut granted = Self::of(manifest, permissions);
        let others = manifest.permissions().filter(|one| !granted.has(one.name()));
        granted.denied = others.map(|one| one.name().to_owned()).collect();
        granted
    }

    /// Everything that a manifest asks for.
    #[must_use]
    pub fn everything(manifest: &Manifest) -> Self {
        Self::of(manifest, manifest.permissions())
    }

    /// Agree to what this permission asks for now. What another connector had been granted is forgotten.
    pub fn allow(&mut self, manifest: &Manifest, permission: Permission<'_>) {
        if self.connector.as_ref() != Some(&manifest.id) {
            self.connector = Some(manifest.id.clone());
            self.routes.clear();
            self.denied.clear();
        }
        self.denied.retain(|denied| denied != permission.name());
        let scope = Scope::of(manifest, permission);
        match self.routes.iter_mut().find(|route| route.name == permission.name()) {
            Some(route) => route.scope = scope,
            None => self.routes.push(GrantedRoute { name: permission.name().to_owned(), scope }),
        }
    }

    /// Take a route back; one that was not granted is decided against. Returns whether it was granted.
    pub fn deny(&mut self, name: &str) -> bool {
        let before = self.routes.len();
        self.routes.retain(|route| route.name != name);
        if self.routes.is_empty() {
            self.connector = None;
        }
        let was_granted = self.routes.len() < before;
        if !was_granted && !self.denied.iter().any(|denied| denied == name) {
            self.denied.push(name.to_owned());
        }
        was_granted
    }

    /// What a version asks for that was neither agreed to nor asked for by the version before it. What
    /// was decided against is no news.
    pub fn news<'a>(
        &'a self,
        manifest: &'a Manifest,
        before: &'a Manifest,
    ) -> impl Iterator<Item = Permission<'a>> {
        manifest.permissions().filter(|one| match self.standing(manifest, *one) {
            Standing::Granted | Standing::Another(_) => false,
            Standing::Wider(_) => true,
            Standing::Missing => {
                before.permission(one.name()).is_none()
                    && !self.denied.iter().any(|denied| denied == one.name())
            }
        })
    }

    /// What of it only reads.
    #[must_use]
    pub fn only_reading(mut self) -> Self {
        self.routes.retain(|route| !route.scope.writes());
        if self.routes.is_empty() {
            self.connector = None;
        }
        self
    }

    /// Is there anything of this name?
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.routes.iter().any(|route| route.name == name)
    }

    /// How does a permission of this manifest stand?
    #[must_use]
    pub fn standing(&self, manifest: &Manifest, permission: Permission<'_>) -> Standing {
        let Some(route) = self.routes.iter().find(|route| route.name == permission.name()) else {
            return Standing::Missing;
        };
        match &self.connector {
            Some(connector) if *connector != manifest.id => return Standing::Another(connector.clone()),
            Some(_) | None => {}
        }
        let more = Scope::of(manifest, permission).beyond(&route.scope);
        if more.is_empty() { Standing::Granted } else { Standing::Wider(more) }
    }

    /// What was granted and is not asked for any more.
    pub fn leftovers<'a>(&'a self, manifest: &'a Manifest) -> impl Iterator<Item = &'a GrantedRoute> {
        self.routes.iter().filter(|route| manifest.permission(&route.name).is_none())
    }
}
