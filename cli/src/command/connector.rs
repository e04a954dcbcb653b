//! `wharf connector …`: what is installed. How it gets in is in `install`, from where besides files in
//! `registry`, what a vendor does in `vendor` and
//! `exam`.

mod exam;
mod install;
mod registry;
mod vendor;

use serde::Serialize;
use wharf_runtime::destination::ConnectorReference;
use wharf_runtime::figures::Figures;
use wharf_runtime::home::Name;
use wharf_runtime::host::{self, Host, Waiting};
use wharf_runtime::manifest::Manifest;
use wharf_runtime::registry::Installed;
use wharf_runtime::state::State;
use wharf_runtime::trust::KeyId;

pub(super) use install::offer;
pub(super) use vendor::private_key;

use super::{Desk, waiting};
use crate::args::Connector;
use crate::ask::{self, Unattended};
use crate::exit::Exit;
use crate::format;
use crate::output::Tone;
use crate::report::Failure;
use crate::sentence::{self, Detail, RouteJson};
use crate::table::{Align, Table};

/// Do what the command line says about connectors.
pub(super) fn run(desk: Desk<'_>, command: &Connector) -> Result<(), Failure> {
    match command {
        Connector::Install(install) => install::install(desk, install),
        Connector::Update(update) => install::update(desk, update),
        Connector::List => list(desk),
        Connector::Show { connector } => show(desk, connector),
        Connector::Verify { connector } => verify(desk, connector.as_deref()),
        Connector::Enable { connector } => set_disabled(desk, connector, false),
        Connector::Disable { connector } => set_disabled(desk, connector, true),
        Connector::Remove { connector } => remove(desk, connector),
        Connector::Pack(pack) => vendor::pack(desk, pack),
        Connector::Test(test) => exam::run(desk, test),
        Connector::Sign(sign) => vendor::sign(desk, sign),
        Connector::Keygen(keygen) => vendor::keygen(desk, keygen),
        Connector::Publish(publish) => registry::publish(desk, publish),
    }
}

fn list(desk: Desk<'_>) -> Result<(), Failure> {
    let connectors = desk.host()?.registry().list()?;
    let output = desk.output;
    if output.is_json() {
        for installed in &connectors {
            output.json(&InstalledJson::new(installed))?;
        }
        return Ok(());
    }
    if connectors.is_empty() {
        output.note("there are no connectors yet; see `wharf connector install --help`");
        return Ok(());
    }
    let columns = ["TYPE", "ID", "VERSION", "SIGNED BY", "INSTALLED"];
    let mut table = Table::new(&columns.map(|column| (column, Align::Left)));
    for installed in &connectors {
        table.row(vec![
            installed.r#type.clone(),
            installed.id.clone(),
            installed.version.to_string(),
            signature(installed),
            format::moment(installed.installed),
        ]);
    }
    for line in table.lines() {
        output.line(line)?;
    }
    Ok(())
}

/// Who signed it, and with which key; `unsigned` is said wherever a connector is shown.
pub(super) fn signature(installed: &Installed) -> String {
    let signed = installed.signature();
    if installed.disabled { format!("{signed}, disabled") } else { signed }
}

fn show(desk: Desk<'_>, connector: &str) -> Result<(), Failure> {
    let host = desk.host()?;
    let (installed, manifest) = host.manifest(&reference(connector)?)?;
    let figures = figures(&host, &installed)?;
    let behind = host.waiting(&installed)?;
    let output = desk.output;
    if output.is_json() {
        return Ok(output.json(&ShownJson::new(&installed, &manifest, figures, &behind))?);
    }
    let roles: Vec<String> = manifest.roles.iter().map(|role| format!("{role:?}").to_lowercase()).collect();
    let hosts = if manifest.routes.is_empty() { "none".to_owned() } else { manifest.hosts().join(", ") };
    let needs = if manifest.oauth.is_some() { "yes" } else { "no" };
    let facts = [
        ("name", manifest.name.clone()),
        ("id", manifest.id.clone()),
        ("version", manifest.version.to_string()),
        ("type", manifest.kind.clone()),
        ("signed by", output.paint(Tone::Strong, signature(&installed))),
        ("key", installed.key.as_ref().map_or_else(|| "none".to_owned(), ToString::to_string)),
        ("digest", installed.digest.to_string()),
        ("installed", format::moment(installed.installed)),
        ("used as", roles.join(", ")),
        ("account", needs.to_owned()),
        ("hosts", hosts),
    ];
    let origin = installed.origin.clone().map(|origin| ("from", origin));
    let kept = behind.iter().map(|one| ("kept", format!("{} for `{}`", one.runs.version, one.destination)));
    for (name, value) in facts.into_iter().chain(origin).chain(kept) {
        output.line(format_args!("{name:<10} {value}"))?;
    }
    for (name, option) in &manifest.options.properties {
        output.line(format_args!("{:<10} {name}: {}", "option", option.description))?;
    }
    if let Some(figures) = figures {
        output.line(format_args!("{:<10} {}", "so far", cost(&figures)))?;
    }
    let warn = |text: &str| output.paint(Tone::Warning, text);
    for line in sentence::lines(&manifest, manifest.permissions(), Detail::Address, warn) {
        output.line(line)?;
    }
    Ok(())
}

fn set_disabled(desk: Desk<'_>, connector: &str, disabled: bool) -> Result<(), Failure> {
    let host = desk.host()?;
    let installed = host.registry().get(&reference(connector)?)?;
    let users = host.destinations().users_of_connector(&installed.r#type, &installed.id)?;
    host.registry().set_disabled(&installed.id, disabled)?;
    let users: Vec<String> = users.iter().map(|name| format!("`{name}`")).collect();
    let users = if users.is_empty() { "no destination uses it".to_owned() } else { users.join(", ") };
    let done = if disabled { "disabled; it stops" } else { "enabled; it works for" };
    let line = format!("connector `{}` is {done}: {users}", installed.r#type);
    desk.output.note(line);
    Ok(())
}

/// Check everything again. What fails is told for each, and the first failure decides the exit code.
fn verify(desk: Desk<'_>, connector: Option<&str>) -> Result<(), Failure> {
    let host = desk.host()?;
    let mut connectors = match connector {
        Some(connector) => vec![host.registry().get(&reference(connector)?)?],
        None => host.registry().list()?,
    };
    for installed in connectors.clone() {
        connectors.extend(host.registry().kept(&installed.id)?);
    }
    let columns = ["TYPE", "VERSION", "SIGNED BY", "RESULT"];
    let mut table = Table::new(&columns.map(|column| (column, Align::Left)));
    let mut failures = Vec::new();
    for installed in &connectors {
        let audited = host.audit(installed);
        if desk.output.is_json() {
            let problem = audited.as_ref().err();
            desk.output.json(&VerifiedJson {
                installed: InstalledJson::new(installed),
                good: audited.is_ok(),
                problem: problem.map(ToString::to_string),
                hint: problem.and_then(wharf_runtime::hint::Hint::hint),
            })?;
        }
        let result = match (&audited, installed.unsigned) {
            (Ok(()), false) => "good",
            (Ok(()), true) => "contents good, nobody signed them",
            (Err(_), _) => "FAILED",
        };
        let (kind, version) = (installed.r#type.clone(), installed.version.to_string());
        table.row(vec![kind, version, signature(installed), result.to_owned()]);
        failures.extend(audited.err().map(|error| (installed, error)));
    }
    let exit = failures.first().map(|(_, error)| Exit::from(error));
    if desk.output.is_json() {
        return exit.map_or(Ok(()), |exit| Err(Failure::reported(exit)));
    }
    for line in table.lines() {
        desk.output.line(line)?;
    }
    for (installed, error) in failures {
        let context =
            format!("connector `{}@{}` would not be installed today", installed.id, installed.version);
        Failure::from(error).with_context(context).print(desk.output);
    }
    exit.map_or(Ok(()), |exit| Err(Failure::reported(exit)))
}

/// What running it has cost so far; none if it never ran.
fn figures(host: &Host, installed: &Installed) -> Result<Option<Figures>, Failure> {
    let state = State::open(host.home()).map_err(host::Error::from)?;
    waiting(async {
        Ok::<_, Failure>(Figures::load(&state, &installed.digest).await.map_err(host::Error::from)?)
    })
}

fn cost(figures: &Figures) -> String {
    let Figures { instances, cpu_us, memory_peak, refusals, traps, overdrawn } = *figures;
    format!(
        "{}, {}.{:03} s of computing, at most {} of memory; {} refused, {}, {} stopped for taking too long",
        format::count(instances, "operation"),
        cpu_us / 1_000_000,
        cpu_us / 1000 % 1000,
        format::bytes(memory_peak),
        format::count(refusals, "request"),
        format::count(traps, "breakdown"),
        overdrawn,
    )
}

fn remove(desk: Desk<'_>, connector: &str) -> Result<(), Failure> {
    let host = desk.host()?;
    let reference = reference(connector)?;
    let users = |installed: &Installed| {
        Ok::<_, Failure>(host.destinations().users_of_connector(&installed.r#type, &installed.id)?)
    };
    // Asked while nothing is locked; whether destinations use it is looked at again afterwards.
    let installed = host.registry().get(&reference)?;
    let label = format!("{}@{}", installed.id, installed.version);
    ask::confirm(desk.output, desk.global.yes, &format!("Remove connector `{label}`?"), Unattended::Goes)?;
    host.registry().remove(&reference.name, users)?;
    desk.output.note(format_args!("removed connector `{label}`"));
    Ok(())
}

fn reference(connector: &str) -> Result<ConnectorReference, Failure> {
    ConnectorReference::parse(connector).map_err(|problem| {
        Failure::new(Exit::Usage, problem).with_hint("run `wharf connector list` to see which there are")
    })
}

/// An installed connector as `--json` has it.
#[derive(Debug, Serialize)]
struct InstalledJson<'a> {
    r#type: &'a str,
    id: &'a str,
    version: String,
    digest: String,
    signed_by: Option<&'a str>,
    key: Option<&'a KeyId>,
    unsigned: bool,
    disabled: bool,
    installed: jiff::Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    origin: Option<&'a str>,
}

impl<'a> InstalledJson<'a> {
    fn new(installed: &'a Installed) -> Self {
        Self {
            r#type: &installed.r#type,
            id: &installed.id,
            version: installed.version.to_string(),
            digest: installed.digest.to_string(),
            signed_by: installed.signed_by.as_ref().map(wharf_runtime::home::Name::as_str),
            key: installed.key.as_ref(),
            unsigned: installed.unsigned,
            disabled: installed.disabled,
            installed: installed.installed,
            origin: installed.origin.as_deref(),
        }
    }
}

/// The same, with what a check of it said.
#[derive(Debug, Serialize)]
struct VerifiedJson<'a> {
    #[serde(flatten)]
    installed: InstalledJson<'a>,
    good: bool,
    problem: Option<String>,
    hint: Option<String>,
}

/// The same, with what its manifest says.
#[derive(Debug, Serialize)]
struct ShownJson<'a> {
    #[serde(flatten)]
    installed: InstalledJson<'a>,
    name: &'a str,
    roles: &'a [wharf_runtime::manifest::Role],
    needs_account: bool,
    hosts: Vec<String>,
    options: serde_json::Map<String, serde_json::Value>,
    routes: Vec<RouteJson<'a>>,
    figures: Option<Figures>,
    /// Destinations that run an older version, until they agree to this one.
    waiting: Vec<WaitingJson<'a>>,
}

/// A destination that runs an older version.
#[derive(Debug, Serialize)]
struct WaitingJson<'a> {
    destination: &'a Name,
    runs: String,
    digest: String,
}

impl<'a> ShownJson<'a> {
    fn new(
        installed: &'a Installed,
        manifest: &'a Manifest,
        figures: Option<Figures>,
        waiting: &'a [Waiting],
    ) -> Self {
        let waiting = waiting.iter().map(|one| WaitingJson {
            destination: &one.destination,
            runs: one.runs.version.to_string(),
            digest: one.runs.digest.to_string(),
        });
        let options = manifest.options.properties.iter();
        Self {
            installed: InstalledJson::new(installed),
            name: &manifest.name,
            roles: &manifest.roles,
            needs_account: manifest.oauth.is_some(),
            hosts: manifest.hosts(),
            options: options
                .map(|(name, option)| (name.clone(), option.description.clone().into()))
                .collect(),
            routes: manifest.permissions().map(|one| RouteJson::new(manifest, one, None)).collect(),
            figures,
            waiting: waiting.collect(),
        }
    }
}
