//! What a permission lets a connector do, line by line.
//!
//! An operator agrees to a scope, not to a name: its lines are kept in the destination's file, and a
//! permission that asks for a line more than was agreed to is not in force until somebody agrees again.
//! So every line here is something that is *allowed*; what restricts (where `{item}` may end, which
//! arguments are held inside the backup directory) is part of the line that it restricts, because losing
//! it is more, too. The vendor's own words are left out: nothing is enforced by them.

use std::collections::BTreeSet;

use crate::manifest::{
    Access, Address, Credential, JsonPlace, JsonRule, Manifest, MintSource, PayloadKind, Permission, Piece,
    Replay, Route,
};

/// The line of a route that changes something at the service.
const WRITES: &str = "writes";

/// What a permission lets a connector do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Scope(BTreeSet<String>);

impl Scope {
    /// What this permission of a manifest asks for.
    #[must_use]
    pub fn of(manifest: &Manifest, permission: Permission<'_>) -> Self {
        match permission {
            Permission::Folder(access) => Self(BTreeSet::from([folder(access).to_owned()])),
            Permission::Route(route) => Self(lines(manifest, route)),
        }
    }

    /// A scope as it was written down.
    #[must_use]
    pub fn from_lines(lines: impl IntoIterator<Item = String>) -> Self {
        Self(lines.into_iter().collect())
    }

    /// Its lines, sorted.
    pub fn lines(&self) -> impl ExactSizeIterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Does it let something be changed?
    #[must_use]
    pub fn writes(&self) -> bool {
        [WRITES, folder(Access::Write)].into_iter().any(|line| self.0.contains(line))
    }

    /// The lines that `agreed` does not have.
    #[must_use]
    pub fn beyond(&self, agreed: &Self) -> Vec<String> {
        self.0.difference(&agreed.0).cloned().collect()
    }
}

const fn folder(access: Access) -> &'static str {
    match access {
        Access::Read => "reads in the backup directory of this machine",
        Access::Write => "writes in the backup directory of this machine",
    }
}

fn lines(manifest: &Manifest, route: &Route) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    let condition = route.only_with.as_ref().map(|option| format!(" (only with the option {option})"));
    let condition = condition.unwrap_or_default();
    match &route.address {
        Address::Built { template, at_root, item_forbid } => {
            let bound = if template.has_item() { without(item_forbid) } else { String::new() };
            lines.insert(format!("{} {template}{bound}{condition}", route.method.as_str()));
            let method = route.method.as_str();
            lines.extend(at_root.iter().map(|at_root| format!("{method} {at_root}{condition}")));
            let templates = std::iter::once(template).chain(at_root);
            lines.extend(templates.flat_map(|template| blanks(manifest, &template.pieces)));
        }
        Address::Minted { name, hosts } => {
            let method = route.method.as_str();
            lines.extend(
                hosts
                    .iter()
                    .map(|host| format!("{method} to {host}, where the service said ({name}){condition}")),
            );
        }
    }
    lines.extend(route.query.iter().map(|key| format!("query {key}")));
    lines.extend(route.headers.iter().map(|name| format!("header {name}")));
    lines.extend(route.accept_headers.iter().map(|name| format!("reads the reply's header {name}")));
    if let Some(json) = &route.json {
        lines.extend(arguments(json, route.item_forbid()));
        lines.extend(json.confine.iter().flat_map(|one| blanks(manifest, &one.pieces)));
    }
    lines.extend(carried(route.payload).iter().map(|what| (*what).to_owned()));
    for mint in &route.mints {
        lines.extend(
            mint.sources.iter().map(|source| format!("takes {} of replies as {}", place(source), mint.name)),
        );
    }
    match route.access {
        Access::Read => {}
        Access::Write => drop(lines.insert(WRITES.to_owned())),
    }
    match route.credential {
        Credential::Account => drop(lines.insert("with the account's token".to_owned())),
        Credential::None => {}
    }
    match route.replay {
        Replay::Safe => drop(lines.insert("may be sent twice".to_owned())),
        Replay::Once => {}
    }
    lines
}

fn place(source: &MintSource) -> String {
    match source {
        MintSource::Key(key) => format!("the key {key}"),
        MintSource::Header(name) => format!("the header {name}"),
    }
}

/// Where no name may have any of these characters.
fn without(item_forbid: &[char]) -> String {
    let forbidden: String = item_forbid.iter().collect();
    if forbidden.is_empty() { String::new() } else { format!(" ({{item}} without any of {forbidden})") }
}

/// What the blanks of an address can be filled with.
fn blanks<'a>(manifest: &'a Manifest, pieces: &'a [Piece]) -> impl Iterator<Item = String> + 'a {
    pieces.iter().filter_map(|piece| match piece {
        Piece::Bound(name) => {
            let binding = manifest.bind.get(name)?;
            let (set, option, unset) = (&binding.set, &binding.option, &binding.unset);
            Some(format!("{{{name}}} is {set} by the option {option}, else {unset}"))
        }
        Piece::Literal(_) | Piece::Item => None,
    })
}

fn arguments(json: &JsonRule, item_forbid: &[char]) -> Vec<String> {
    let place = match &json.place {
        JsonPlace::Body => "the body".to_owned(),
        JsonPlace::Header(name) => format!("the header {name}"),
    };
    let confined: Vec<String> = json.confine.iter().map(|one| format!("{} as {one}", one.key)).collect();
    let confined = if confined.is_empty() {
        "none of them held inside the backup directory".to_owned()
    } else {
        format!("inside the backup directory: {}{}", confined.join(", "), without(item_forbid))
    };
    let mut lines = vec![format!("arguments in {place}, {confined}")];
    lines.extend(json.keys.iter().map(|key| format!("argument {key}")));
    lines
}

const fn carried(payload: PayloadKind) -> &'static [&'static str] {
    match payload {
        PayloadKind::None => &[],
        PayloadKind::Bytes => &["carries bytes of the connector's own"],
        PayloadKind::Section => &["carries bytes of the file"],
        PayloadKind::Any => &["carries bytes of the connector's own", "carries bytes of the file"],
    }
}
