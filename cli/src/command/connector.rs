//! `wharf connector …`.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::path::Path;

use serde::Serialize;
use wharf_runtime::destination::ConnectorReference;
use wharf_runtime::host;
use wharf_runtime::manifest::section::{self, COMPONENT_BYTES_MAX};
use wharf_runtime::manifest::{MANIFEST_BYTES_MAX, Manifest};
use wharf_runtime::registry::{self, Digest, Installed};
use wharf_runtime::sandbox::{self, Sandbox};

use super::Desk;
use crate::args::{Connector, ConnectorInstall, ConnectorPack};
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
        Connector::Pack(pack) => self::pack(desk, pack),
        Connector::Install(install) => self::install(desk, install),
        Connector::List => list(desk),
        Connector::Show { connector } => show(desk, connector),
        Connector::Remove { connector } => remove(desk, connector),
    }
}

fn pack(desk: Desk<'_>, pack: &ConnectorPack) -> Result<(), Failure> {
    let component = read(&pack.component, COMPONENT_BYTES_MAX)?;
    let text = read(&pack.manifest, MANIFEST_BYTES_MAX)?;
    let manifest = Manifest::parse(&text).map_err(|error| {
        Failure::new(Exit::Unfit, error)
            .with_context(format!("the manifest `{}` is refused", pack.manifest.display()))
            .with_hint("mend that field and pack again")
    })?;
    let refused = |error: sandbox::Error| {
        Failure::from(error).with_context(format!("`{}` cannot be packed", pack.component.display()))
    };
    let packed = section::write(&component, &text).map_err(|error| refused(error.into()))?;
    // What was just written must read back, and import nothing foreign: here rather than at a customer's.
    Sandbox::inspect(&packed).map_err(refused)?;
    replace(&pack.output, &packed).map_err(|problem| Failure::local("write", &pack.output, problem))?;
    let size = u64::try_from(packed.len()).unwrap_or(u64::MAX);
    if desk.output.is_json() {
        desk.output.json(&serde_json::json!({
            "id": manifest.id, "version": manifest.version.to_string(), "type": manifest.kind,
            "digest": Digest::of(&packed).to_string(), "size": size, "output": pack.output,
        }))?;
    }
    let (label, place) = (manifest.label(), pack.output.display());
    desk.output.note(format_args!("packed `{label}` into `{place}` ({})", format::bytes(size)));
    Ok(())
}

/// Write a whole file under its name, or nothing.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}.partial", std::process::id()));
    let written = File::create(&beside).and_then(|mut file| {
        file.write_all(bytes)?;
        file.sync_all()
    });
    let written = written.and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // Of two problems the first is the one to tell.
        let _ = fs::remove_file(&beside);
    }
    written
}

fn install(desk: Desk<'_>, install: &ConnectorInstall) -> Result<(), Failure> {
    let component = read(&install.component, COMPONENT_BYTES_MAX)?;
    let refused = |error: host::Error| {
        let remedy = remedy(&error);
        let failure = Failure::from(error)
            .with_context(format!("`{}` cannot be installed", install.component.display()));
        match remedy {
            Some(remedy) => failure.with_hint(remedy),
            None => failure,
        }
    };
    let manifest = Sandbox::inspect(&component).map_err(|error| refused(error.into()))?;
    if !install.allow_unsigned {
        return Err(refused(host::Error::Unsigned));
    }
    let output = desk.output;
    let explain = |text: &dyn std::fmt::Display| ask::explain(output, desk.global.yes, text);
    let name = output.paint_err(Tone::Strong, format_args!("{} ({})", manifest.name, manifest.label()));
    explain(&format_args!("{name} is {} and asks for:", output.paint_err(Tone::Warning, "unsigned")));
    let warn = |text: &str| output.paint_err(Tone::Warning, text);
    for line in sentence::lines(&manifest, manifest.permissions(), Detail::Host, warn) {
        explain(&line);
    }
    let question = format!("Install `{}`?", manifest.label());
    ask::confirm(output, desk.global.yes, &question, Unattended::Goes)?;
    let host = desk.host_or_new()?;
    let (installed, replaced) = host.install(&component).map_err(refused)?;
    if output.is_json() {
        output.json(&InstalledJson::new(&installed))?;
    }
    let before = replaced.filter(|before| before.version != installed.version);
    let instead = before.map(|before| format!(" in place of {}", before.version)).unwrap_or_default();
    output.note(format_args!("installed `{}`{instead}; it is unsigned", manifest.label()));
    super::grant::after_update(desk, &host, &installed)
}

/// What helps against a version that goes back or changes: here there is no option to insist.
const fn remedy(error: &host::Error) -> Option<&'static str> {
    if let host::Error::Registry(registry::Error::Downgrade { .. }) = error {
        Some("install that version, or a newer one")
    } else if let host::Error::Registry(registry::Error::SameVersion { .. }) = error {
        Some("raise `version` in its manifest and pack it again")
    } else {
        None
    }
}

/// A file of at most `limit` bytes.
fn read(path: &Path, limit: usize) -> Result<Vec<u8>, Failure> {
    let unreadable = |problem| Failure::local("read", path, problem);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    // One byte more than is allowed, so that whoever checks the length sees that it is too long.
    let limit = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    file.take(limit).read_to_end(&mut bytes).map_err(unreadable)?;
    Ok(bytes)
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

/// Who signed it; `unsigned` is said wherever a connector is shown.
pub(super) fn signature(installed: &Installed) -> String {
    let signed = installed.signed_by.clone().unwrap_or_else(|| "unsigned".to_owned());
    if installed.disabled { format!("{signed}, disabled") } else { signed }
}

fn show(desk: Desk<'_>, connector: &str) -> Result<(), Failure> {
    let (installed, manifest) = desk.host()?.manifest(&reference(connector)?)?;
    let output = desk.output;
    if output.is_json() {
        return Ok(output.json(&ShownJson::new(&installed, &manifest))?);
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
        ("digest", installed.digest.to_string()),
        ("installed", format::moment(installed.installed)),
        ("used as", roles.join(", ")),
        ("account", needs.to_owned()),
        ("hosts", hosts),
    ];
    for (name, value) in facts {
        output.line(format_args!("{name:<10} {value}"))?;
    }
    for (name, option) in &manifest.options.properties {
        output.line(format_args!("{:<10} {name}: {}", "option", option.description))?;
    }
    let warn = |text: &str| output.paint(Tone::Warning, text);
    for line in sentence::lines(&manifest, manifest.permissions(), Detail::Address, warn) {
        output.line(line)?;
    }
    Ok(())
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
    unsigned: bool,
    disabled: bool,
    installed: jiff::Timestamp,
}

impl<'a> InstalledJson<'a> {
    fn new(installed: &'a Installed) -> Self {
        Self {
            r#type: &installed.r#type,
            id: &installed.id,
            version: installed.version.to_string(),
            digest: installed.digest.to_string(),
            signed_by: installed.signed_by.as_deref(),
            unsigned: installed.unsigned,
            disabled: installed.disabled,
            installed: installed.installed,
        }
    }
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
}

impl<'a> ShownJson<'a> {
    fn new(installed: &'a Installed, manifest: &'a Manifest) -> Self {
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
        }
    }
}
