//! Routes in plain words: what a connector asks for, as an operator reads it before granting it.
//!
//! The words after the name are the vendor's; everything else is told from what the runtime will
//! enforce. A route that the backup directory does not confine says so first and loudest.

use serde::Serialize;
use wharf_runtime::manifest::{Access, Address, Credential, Manifest, Method, Permission, Route};

/// Column in which the second line of a route begins, where names are short.
const NAME_WIDTH_MIN: usize = 12;

/// A longer line is broken, so that no terminal does it at a worse place.
const LINE_WIDTH_MAX: usize = 100;
/// Spaces before, between and after the columns.
const MARGINS_WIDTH: usize = 6;

/// How far a route reaches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Its path lies in the backup directory.
    Inside,
    /// It goes only to addresses that the service gave in answer to requests that are confined.
    Given,
    /// Nothing that it names is a path: the service decides what these arguments reach.
    Unconfined {
        /// What it can name.
        arguments: Vec<String>,
    },
}

/// How much is said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Detail {
    /// Which host.
    Host,
    /// The whole address.
    Address,
}

/// How far does this route reach?
pub(crate) fn reach(manifest: &Manifest, route: &Route) -> Reach {
    match &route.address {
        Address::Minted { .. } if is_given(manifest, route, &mut Vec::new()) => Reach::Given,
        Address::Built { .. } if is_confined(route) => Reach::Inside,
        Address::Minted { .. } | Address::Built { .. } => Reach::Unconfined { arguments: arguments(route) },
    }
}

/// Is the path that it names inside the backup directory?
fn is_confined(route: &Route) -> bool {
    let has_item = match &route.address {
        Address::Built { template, .. } => template.has_item(),
        Address::Minted { .. } => false,
    };
    has_item || route.json.as_ref().is_some_and(|json| !json.confine.is_empty())
}

/// Do all addresses that it goes to come from confined requests, however many steps back?
fn is_given<'a>(manifest: &'a Manifest, route: &'a Route, seen: &mut Vec<&'a str>) -> bool {
    let Some(name) = route.address.minted() else { return is_confined(route) };
    if seen.contains(&name) {
        return true;
    }
    seen.push(name);
    let mut sources =
        manifest.routes.iter().filter(|source| source.mints.iter().any(|mint| mint.name == name));
    sources.all(|source| is_given(manifest, source, seen))
}

/// What it can name, beside its address.
fn arguments(route: &Route) -> Vec<String> {
    let keys = route.json.iter().flat_map(|json| &json.keys).map(ToString::to_string);
    let is_a_parent =
        |key: &str, all: &[String]| all.iter().any(|other| other.starts_with(&format!("{key}/")));
    let keys: Vec<String> = keys.collect();
    let leaves = keys.iter().filter(|key| !is_a_parent(key, &keys)).cloned();
    leaves.chain(route.query.iter().cloned()).collect()
}

/// What every permission of a list allows, one after the other, those that read first.
///
/// `warn` makes a text stand out.
pub(crate) fn lines<'a>(
    manifest: &'a Manifest,
    permissions: impl Iterator<Item = Permission<'a>> + Clone,
    detail: Detail,
    warn: impl Fn(&str) -> String,
) -> Vec<String> {
    let names = permissions.clone().map(|permission| permission.name().len());
    let width = names.max().unwrap_or(0).max(NAME_WIDTH_MIN);
    let mut lines = Vec::new();
    for (access, heading) in [(Access::Read, "Reads:"), (Access::Write, "Writes:")] {
        let mut of_access = permissions.clone().filter(|permission| permission.access() == access).peekable();
        if of_access.peek().is_some() {
            lines.push(heading.to_owned());
        }
        for permission in of_access {
            lines.push(format!("  {:<width$}  {}", permission.name(), permission.does()));
            let (request, plain) =
                (request(permission, detail), bounds(manifest, permission, &str::to_owned));
            let is_long =
                width + request.chars().count() + plain.chars().count() + MARGINS_WIDTH > LINE_WIDTH_MAX;
            let between = if is_long { format!("\n  {:<width$}  ", "") } else { "  ".to_owned() };
            lines.push(format!(
                "  {:<width$}  {request}{between}{}",
                "",
                bounds(manifest, permission, &warn)
            ));
        }
    }
    lines
}

fn request(permission: Permission<'_>, detail: Detail) -> String {
    match permission {
        Permission::Route(route) => format!("{} {}", route.method.as_str(), address(route, detail)),
        Permission::Folder(_) => "on this machine, without a network".to_owned(),
    }
}

fn address(route: &Route, detail: Detail) -> String {
    match (&route.address, detail) {
        (Address::Built { template, .. }, Detail::Host) => format!("https://{}/…", template.host),
        (Address::Built { template, .. }, Detail::Address) => template.to_string(),
        (Address::Minted { hosts, .. }, _) => {
            let hosts: Vec<String> = hosts.iter().map(ToString::to_string).collect();
            hosts.join(", ")
        }
    }
}

fn bounds(manifest: &Manifest, permission: Permission<'_>, warn: &dyn Fn(&str) -> String) -> String {
    let route = match permission {
        Permission::Route(route) => route,
        Permission::Folder(_) => return "inside the backup directory".to_owned(),
    };
    let reach = match reach(manifest, route) {
        Reach::Inside => "inside the backup directory".to_owned(),
        Reach::Given => "only where the service said".to_owned(),
        Reach::Unconfined { arguments } => {
            let warning = warn("NOT CONFINED to the backup directory");
            if arguments.is_empty() {
                warning
            } else {
                format!("{warning} (arguments: {})", arguments.join(", "))
            }
        }
    };
    let reach = match &route.only_with {
        Some(option) => format!("{reach}, only with the option {option}"),
        None => reach,
    };
    match route.credential {
        Credential::Account => reach,
        Credential::None => format!("{reach}, without the account's token"),
    }
}

/// A permission as `--json` has it. One for a directory of this machine has no method and no host.
#[derive(Debug, Serialize)]
pub(crate) struct RouteJson<'a> {
    name: &'a str,
    does: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    method: Option<Method>,
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    hosts: Vec<String>,
    access: Access,
    credential: Credential,
    confined: bool,
    arguments: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    only_with: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    granted: Option<bool>,
}

impl<'a> RouteJson<'a> {
    /// A permission of this manifest; `granted` where it is shown for a destination.
    pub(crate) fn new(manifest: &Manifest, permission: Permission<'a>, granted: Option<bool>) -> Self {
        match permission {
            Permission::Route(route) => Self::of_route(manifest, route, granted),
            Permission::Folder(access) => Self {
                name: permission.name(),
                does: permission.does(),
                method: None,
                url: None,
                hosts: Vec::new(),
                access,
                credential: Credential::None,
                confined: true,
                arguments: Vec::new(),
                only_with: None,
                granted,
            },
        }
    }

    fn of_route(manifest: &Manifest, route: &'a Route, granted: Option<bool>) -> Self {
        let (url, hosts) = match &route.address {
            Address::Built { template, .. } => (Some(template.to_string()), vec![template.host.clone()]),
            Address::Minted { hosts, .. } => (None, hosts.iter().map(ToString::to_string).collect()),
        };
        Self {
            name: &route.name,
            does: &route.does,
            method: Some(route.method),
            url,
            hosts,
            access: route.access,
            credential: route.credential,
            confined: match reach(manifest, route) {
                Reach::Inside | Reach::Given => true,
                Reach::Unconfined { .. } => false,
            },
            arguments: arguments(route),
            only_with: route.only_with.as_deref(),
            granted,
        }
    }
}

#[cfg(test)]
mod tests;
