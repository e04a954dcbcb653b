//! `wharf grant …`.

use serde::Serialize;
use wharf_runtime::destination::Destination as Configured;
use wharf_runtime::grant::{Granted, Standing};
use wharf_runtime::home::Name;
use wharf_runtime::host::{self, Host};
use wharf_runtime::manifest::{Access, Manifest, Permission};
use wharf_runtime::registry::Installed;

use super::Desk;
use crate::args::{Grant, GrantAllow};
use crate::ask::{self, Unattended};
use crate::exit::Exit;
use crate::output::{Output, Tone, harmless};
use crate::report::Failure;
use crate::sentence::{self, Detail, RouteJson};

/// Do what the command line says about grants.
pub(super) fn run(desk: Desk<'_>, command: &Grant) -> Result<(), Failure> {
    match command {
        Grant::Show { name } => show(desk, name),
        Grant::Allow(allow) => self::allow(desk, allow),
        Grant::Deny { name, routes } => deny(desk, name, routes),
    }
}

/// A destination, what the installed version of its connector asks for, and what it runs until that is
/// agreed to.
struct Asked {
    configured: Configured,
    installed: Installed,
    manifest: Manifest,
    runs: Installed,
}

impl Asked {
    fn load(host: &Host, name: &Name) -> Result<Self, Failure> {
        let configured = host.destinations().load(name)?;
        let (installed, manifest) = host.manifest(&configured.connector)?;
        let runs = host.version_for(&configured)?;
        Ok(Self { configured, installed, manifest, runs })
    }

    /// Does it run an older version, because of what the installed one asks for?
    fn is_waiting(&self) -> bool {
        self.runs.digest != self.installed.digest
    }

    /// Those that stand so, leaving out what a read-only destination cannot have.
    fn standing<'a>(&'a self, wanted: impl Fn(&Standing) -> bool) -> Vec<Permission<'a>> {
        let standing = |one: &Permission<'_>| self.configured.grants.standing(&self.manifest, *one);
        self.possible().filter(|one| wanted(&standing(one))).collect()
    }

    fn possible(&self) -> impl Iterator<Item = Permission<'_>> {
        self.manifest.permissions().filter(|one| self.is_possible(*one))
    }

    /// A read-only destination has no route that writes, whoever agrees to it.
    fn is_possible(&self, permission: Permission<'_>) -> bool {
        permission.access() == Access::Read || !self.configured.read_only
    }
}

fn show(desk: Desk<'_>, name: &Name) -> Result<(), Failure> {
    let host = desk.host()?;
    let asked = Asked::load(&host, name)?;
    if desk.output.is_json() {
        return Ok(desk.output.json(&GrantsJson::new(&asked))?);
    }
    sections(desk.output, &asked)
}

/// Everything that is asked for, by how it stands.
fn sections(output: &Output, asked: &Asked) -> Result<(), Failure> {
    let warn = |text: &str| output.paint(Tone::Warning, text);
    let Asked { configured, manifest, .. } = asked;
    output.line(format_args!(
        "{} at destination `{}`, in `{}`",
        output.paint(Tone::Strong, manifest.label()),
        configured.name,
        harmless(configured.backup_directory.as_str())
    ))?;
    if asked.is_waiting() {
        let text = format!(
            "It runs version {} until what is new is granted, or decided against with `wharf grant deny`",
            asked.runs.version
        );
        output.line(output.paint(Tone::Warning, text))?;
    }
    let section = |heading: &str, permissions: Vec<Permission<'_>>| -> Result<(), Failure> {
        if permissions.is_empty() {
            return Ok(());
        }
        output.line(output.paint(Tone::Strong, heading))?;
        for line in sentence::lines(manifest, permissions.iter().copied(), Detail::Address, warn) {
            output.line(line)?;
        }
        Ok(())
    };
    section("Granted", asked.standing(|standing| *standing == Standing::Granted))?;
    section("Not granted", asked.standing(|standing| *standing == Standing::Missing))?;
    section(
        "Granted to another connector of this type, and not to this one",
        asked.standing(|standing| matches!(standing, Standing::Another(_))),
    )?;
    let changes = changes(configured, manifest);
    if !changes.is_empty() {
        output.line(output.paint(Tone::Warning, "Asked for with more than was granted, and not granted"))?;
        for line in changes {
            output.line(line)?;
        }
    }
    if configured.read_only {
        let writing: Vec<&str> =
            manifest.permissions().filter(|one| !asked.is_possible(*one)).map(|one| one.name()).collect();
        if !writing.is_empty() {
            output.line(format_args!("Never, since it is read-only: {}", writing.join(", ")))?;
        }
    }
    let leftovers: Vec<&str> = configured.grants.leftovers(manifest).map(|route| &*route.name).collect();
    if !leftovers.is_empty() {
        output.line(format_args!("Granted, and not asked for any more: {}", leftovers.join(", ")))?;
    }
    Ok(())
}

/// Of each route that asks for more than was granted, what stays and what is new.
fn changes(configured: &Configured, manifest: &Manifest) -> Vec<String> {
    let mut lines = Vec::new();
    for permission in manifest.permissions() {
        let Standing::Wider(more) = configured.grants.standing(manifest, permission) else { continue };
        lines.push(format!("  {:<12}  {}", permission.name(), permission.does()));
        let now = wharf_runtime::grant::Scope::of(manifest, permission);
        let routes = &configured.grants.routes;
        let agreed = routes.iter().find(|route| route.name == permission.name());
        for line in agreed.iter().flat_map(|route| route.scope.beyond(&now)) {
            lines.push(format!("  {:<12}  - {}", "", harmless(&line)));
        }
        lines.extend(more.iter().map(|line| format!("  {:<12}  + {}", "", harmless(line))));
    }
    lines
}

fn allow(desk: Desk<'_>, allow: &GrantAllow) -> Result<(), Failure> {
    let host = desk.host()?;
    let name = &allow.name;
    let asked = Asked::load(&host, name)?;
    let caller = desk.caller(&host)?;
    asked.configured.check_caller(&caller)?;
    let wanted = wanted(&asked, allow)?;
    let is_new =
        |one: &&Permission<'_>| asked.configured.grants.standing(&asked.manifest, **one) != Standing::Granted;
    let new: Vec<Permission<'_>> = wanted.iter().filter(is_new).copied().collect();
    if new.is_empty() {
        desk.output.note(format_args!("destination `{name}` has that already"));
    } else {
        ask_for(desk, &asked, &new)?;
        host.destinations().modify(name, &caller, |configured| {
            for permission in &new {
                configured.grants.allow(&asked.manifest, *permission);
            }
        })?;
        let names: Vec<&str> = new.iter().map(Permission::name).collect();
        desk.output.note(format_args!("granted to destination `{name}`: {}", names.join(", ")));
        moved_on(desk, &host, &asked)?;
    }
    shown_json(desk, &host, name)
}

/// What is named, or all that there can be.
fn wanted<'a>(asked: &'a Asked, allow: &GrantAllow) -> Result<Vec<Permission<'a>>, Failure> {
    if allow.all {
        return Ok(asked.possible().collect());
    }
    let mut wanted: Vec<Permission<'a>> = Vec::new();
    for route in &allow.routes {
        let Some(permission) = asked.manifest.permission(route) else {
            return Err(unknown(route, asked));
        };
        if !asked.is_possible(permission) {
            let message =
                format!("the route `{route}` writes, and destination `{}` is read-only for life", allow.name);
            return Err(Failure::new(Exit::Denied, message)
                .with_hint("create another destination without `--read-only` to write"));
        }
        if !wanted.iter().any(|one| one.name() == route) {
            wanted.push(permission);
        }
    }
    Ok(wanted)
}

fn unknown(route: &str, asked: &Asked) -> Failure {
    let name = &asked.configured.name;
    let message =
        format!("connector `{}` of destination `{name}` has no route `{route}`", asked.manifest.label());
    Failure::new(Exit::NotFound, message)
        .with_hint(format!("run `wharf grant show {name}` to see its routes"))
}

fn ask_for(desk: Desk<'_>, asked: &Asked, new: &[Permission<'_>]) -> Result<(), Failure> {
    let output = desk.output;
    let Asked { configured, manifest, .. } = asked;
    let explain = |text: &dyn std::fmt::Display| ask::explain(output, desk.global.yes, text);
    let warn = |text: &str| output.paint_err(Tone::Warning, text);
    let name = &configured.name;
    if let Some(other) = configured.grants.connector.as_ref().filter(|other| **other != manifest.id) {
        let text = format!(
            "`{name}` had its grants with another connector, `{other}`; all of them end, and `{}` gets only this:",
            manifest.id
        );
        explain(&warn(&text));
    }
    let label = output.paint_err(Tone::Strong, manifest.label());
    explain(&format_args!("{label} will be allowed to do this for destination `{name}`:"));
    for line in sentence::lines(manifest, new.iter().copied(), Detail::Address, warn) {
        explain(&line);
    }
    for line in changes(configured, manifest) {
        explain(&line);
    }
    ask::confirm(output, desk.global.yes, &format!("Grant this to destination `{name}`?"), Unattended::Stops)
}

fn deny(desk: Desk<'_>, name: &Name, routes: &[String]) -> Result<(), Failure> {
    let host = desk.host()?;
    let asked = Asked::load(&host, name)?;
    let granted = &asked.configured.grants;
    let known = |route: &String| granted.has(route) || asked.manifest.permission(route).is_some();
    if let Some(route) = routes.iter().find(|route| !known(route)) {
        return Err(unknown(route, &asked));
    }
    let caller = desk.caller(&host)?;
    let (mut taken, mut refused) = (Vec::new(), Vec::new());
    host.destinations().modify(name, &caller, |configured| {
        (taken, refused) = routes.iter().map(String::as_str).partition(|route| configured.grants.deny(route));
    })?;
    if !taken.is_empty() {
        desk.output.note(format_args!("taken back from destination `{name}`: {}", taken.join(", ")));
    }
    if !refused.is_empty() {
        desk.output.note(format_args!(
            "destination `{name}` did not have, and will not be asked for: {}",
            refused.join(", ")
        ));
    }
    moved_on(desk, &host, &asked)?;
    shown_json(desk, &host, name)
}

/// Say if a destination that waited runs another version from now on.
fn moved_on(desk: Desk<'_>, host: &Host, before: &Asked) -> Result<(), Failure> {
    if !before.is_waiting() {
        return Ok(());
    }
    let name = &before.configured.name;
    let runs = host.version_for(&host.destinations().load(name)?)?;
    if runs.digest != before.runs.digest {
        desk.output.note(format_args!("destination `{name}` runs version {} from now on", runs.version));
        host.release_versions(&before.installed)?;
    }
    Ok(())
}

fn shown_json(desk: Desk<'_>, host: &Host, name: &Name) -> Result<(), Failure> {
    if desk.output.is_json() {
        desk.output.json(&GrantsJson::new(&Asked::load(host, name)?))?;
    }
    Ok(())
}

/// After a connector was put in place of another: which of its destinations it asks more of than they
/// granted. They go on with the version before it, until somebody decides; where that is gone, with what
/// was granted.
pub(super) fn after_update(desk: Desk<'_>, host: &Host, installed: &Installed) -> Result<(), Failure> {
    let mut wanting = Vec::new();
    let mut is_refused = false;
    for name in host.destinations().users_of_connector(&installed.r#type, &installed.id)? {
        let asked = Asked::load(host, &name)?;
        let wider = asked.standing(|standing| !matches!(standing, Standing::Granted | Standing::Missing));
        if !asked.is_waiting() && wider.is_empty() {
            continue;
        }
        let until = if asked.is_waiting() {
            format!("; it goes on with {}", asked.runs.version)
        } else {
            is_refused = true;
            String::new()
        };
        desk.output.warning(format_args!(
            "`{}@{}` asks for more than destination `{name}` granted{until}",
            installed.id, installed.version
        ));
        for line in changes(&asked.configured, &asked.manifest).into_iter().chain(new_routes(host, &asked)) {
            desk.output.note(line);
        }
        wanting.push(name);
    }
    let Some(first) = wanting.first() else { return Ok(()) };
    let names: Vec<String> = wanting.iter().map(|name| format!("`{name}`")).collect();
    let names = names.join(", ");
    let message = if is_refused {
        format!("what is new is refused until it is granted to {names}")
    } else {
        format!("the new version is not used until what is new is granted to {names}, or decided against")
    };
    Err(Failure::new(Exit::Unconfirmed, message).with_hint(format!(
        "run `wharf grant show {first}`, then `wharf grant allow {first} --all` to agree, or `wharf grant deny {first} ROUTE`"
    )))
}

/// What is new, and not in [`changes`]: routes that the version which it runs does not have.
fn new_routes(host: &Host, asked: &Asked) -> Vec<String> {
    let Ok(before) = host.manifest_of(&asked.runs) else { return Vec::new() };
    let new = host::news(&asked.configured, &asked.manifest, &before)
        .filter(|one| before.permission(one.name()).is_none());
    new.map(|one| format!("  {:<12}  {}\n  {:<12}  + all of it", one.name(), one.does(), "")).collect()
}

/// A destination's grants as `--json` has them.
#[derive(Debug, Serialize)]
struct GrantsJson<'a> {
    destination: &'a Name,
    connector: String,
    /// The version that it runs: an older one while what is new is not agreed to.
    runs: String,
    granted_to: Option<&'a str>,
    denied: &'a [String],
    readonly: bool,
    routes: Vec<StandingJson<'a>>,
    /// Granted, and not asked for any more.
    leftover: Vec<&'a str>,
}

/// One route, and how it stands.
#[derive(Debug, Serialize)]
struct StandingJson<'a> {
    #[serde(flatten)]
    route: RouteJson<'a>,
    standing: &'static str,
    /// What it asks for beyond what was granted.
    more: Vec<String>,
}

impl<'a> GrantsJson<'a> {
    fn new(asked: &'a Asked) -> Self {
        let Asked { configured, manifest, .. } = asked;
        let granted: &Granted = &configured.grants;
        let routes = manifest.permissions().map(|one| {
            let standing = granted.standing(manifest, one);
            let in_force = standing == Standing::Granted && asked.is_possible(one);
            let route = RouteJson::new(manifest, one, Some(in_force));
            let (word, more) = match standing {
                Standing::Granted | Standing::Missing | Standing::Wider(_) | Standing::Another(_)
                    if !asked.is_possible(one) =>
                {
                    ("read-only", Vec::new())
                }
                Standing::Granted => ("granted", Vec::new()),
                Standing::Missing => ("not-granted", Vec::new()),
                Standing::Wider(more) => ("wider", more),
                Standing::Another(_) => ("another-connector", Vec::new()),
            };
            StandingJson { route, standing: word, more }
        });
        Self {
            destination: &configured.name,
            connector: manifest.label(),
            runs: asked.runs.version.to_string(),
            granted_to: granted.connector.as_deref(),
            denied: &granted.denied,
            readonly: configured.read_only,
            routes: routes.collect(),
            leftover: granted.leftovers(manifest).map(|route| &*route.name).collect(),
        }
    }
}
