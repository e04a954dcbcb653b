//! `wharf destination …`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use wharf_runtime::destination::{self, Destination as Configured, Setting};
use wharf_runtime::home::Name;
use wharf_runtime::host::{self, Host};
use wharf_runtime::manifest::{Access, Manifest, OptionKind, Permission};
use wharf_runtime::network;
use wharf_runtime::registry::Installed;

use super::{Desk, connector::signature};
use crate::args::{Destination, DestinationCreate, HttpVersion, OptionSetting};
use crate::ask::{self, Unattended};
use crate::exit::Exit;
use crate::format;
use crate::output::Tone;
use crate::report::Failure;
use crate::sentence::{self, Detail};

mod show;

/// Do what the command line says about destinations.
pub(super) fn run(desk: Desk<'_>, command: &Destination) -> Result<(), Failure> {
    match command {
        Destination::Create(create) => self::create(desk, create),
        Destination::List => show::list(desk),
        Destination::Show { name } => show::one(desk, name),
        Destination::Usage { name } => super::waiting(Box::pin(usage(desk, name))),
        Destination::Delete { name } => delete(desk, name),
    }
}

/// How full the service is. What it does not tell is unknown, not nothing.
async fn usage(desk: Desk<'_>, name: &Name) -> Result<(), Failure> {
    let host = desk.host()?;
    let attached = host.attach(name).await?;
    let asked = attached.usage().await.map_err(Failure::from);
    let space = super::recorded(&host, &attached, asked).await?;
    if desk.output.is_json() {
        return Ok(desk.output.json(&space)?);
    }
    let bytes = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), format::bytes);
    desk.output.line(format_args!("used   {}", bytes(space.used)))?;
    desk.output.line(format_args!("total  {}", bytes(space.total)))?;
    if let (Some(used), Some(total @ 1..)) = (space.used, space.total) {
        let percent = used.saturating_mul(100) / total;
        desk.output.line(format_args!("full   {percent} %"))?;
    }
    Ok(())
}

fn create(desk: Desk<'_>, create: &DestinationCreate) -> Result<(), Failure> {
    let host = desk.host()?;
    if host.destinations().exists(&create.name) {
        let name = &create.name;
        return Err(Failure::from(destination::Error::Exists(name.clone())).with_hint(format!(
            "choose another name; `wharf destination show {name}` shows what that one is"
        )));
    }
    let (installed, manifest) = host.manifest(&create.connector)?;
    check_account(&host, create, &manifest)?;
    let options = options(create, &manifest)?;
    let permissions = permissions(create, &manifest)?;
    let configured = Configured {
        account: create.account.clone(),
        owner: create.owner.clone(),
        read_only: create.read_only,
        threads: create.threads,
        tasks: create.pace.tasks.unwrap_or_default(),
        rates: create.pace.rates(),
        retries: create.retries,
        http_version: match create.http_version {
            HttpVersion::Default => network::HttpVersion::Default,
            HttpVersion::Http1 => network::HttpVersion::Http1,
            HttpVersion::Http2 => network::HttpVersion::Http2,
        },
        disk_limit: create.disk_limit,
        hidden: create.hidden,
        options,
        grants: permissions.iter().map(|one| one.name().to_owned()).collect(),
        ..Configured::new(create.name.clone(), create.connector.clone(), create.backup_directory.clone())
    };
    host.check_directory(&configured, &manifest)?;
    ask_for(desk, create, &installed, &manifest, &permissions)?;
    host.destinations().create(&configured)?;
    if desk.output.is_json() {
        desk.output.json(&show::json(&configured, Some(&installed)))?;
    }
    let name = &create.name;
    desk.output.note(format_args!("created destination `{name}`; try `wharf ls {name}:`"));
    Ok(())
}

/// A connector that signs in needs an account of its own type, and the others need none.
fn check_account(host: &Host, create: &DestinationCreate, manifest: &Manifest) -> Result<(), Failure> {
    let (destination, needed) = (create.name.clone(), manifest.kind.clone());
    match (&create.account, &manifest.oauth) {
        (None, None) => Ok(()),
        (None, Some(_)) => {
            let hint = format!("add `--account NAME`; `wharf account list` has those of type `{needed}`");
            Err(Failure::from(host::Error::NoAccount { destination, needed }).with_hint(hint))
        }
        (Some(account), None) => {
            let message =
                format!("connector `{}` needs no account, but `{account}` is named", manifest.label());
            Err(Failure::new(Exit::Usage, message).with_hint("leave out `--account`"))
        }
        (Some(account), Some(_)) => {
            if !host.accounts().exists(account) {
                let (name, account) = (destination, account.clone());
                let hint =
                    format!("run `wharf account add {account} --type {needed} --token-file FILE` first");
                return Err(Failure::from(destination::Error::NoAccount { name, account }).with_hint(hint));
            }
            let given = host.accounts().connector_type(account)?;
            if given == needed {
                return Ok(());
            }
            let account = account.clone();
            Err(host::Error::AccountType { destination, account, needed, given }.into())
        }
    }
}

/// The options as the manifest wants them.
fn options(create: &DestinationCreate, manifest: &Manifest) -> Result<BTreeMap<String, Setting>, Failure> {
    let mut options = BTreeMap::new();
    let mut checked = Map::new();
    for OptionSetting { key, value } in &create.options {
        let kind = manifest.options.properties.get(key).map(|option| option.kind);
        let setting = setting(kind, value);
        checked.insert(key.clone(), to_json(&setting));
        if options.insert(key.clone(), setting).is_some() {
            return Err(Failure::new(Exit::Usage, format!("the option `{key}` is set twice")));
        }
    }
    let hint = format!("run `wharf connector show {}` to see its options", manifest.kind);
    manifest.options.validate(&checked).map_err(|problem| {
        let message = format!("destination `{}`: {problem}", create.name);
        Failure::new(Exit::Usage, message).with_hint(hint)
    })?;
    Ok(options)
}

/// What was typed, as the kind of value that the option has. What does not fit stays text, and the
/// manifest says what is wrong with it.
fn setting(kind: Option<OptionKind>, value: &str) -> Setting {
    let text = || Setting::Text(value.to_owned());
    match kind {
        Some(OptionKind::Integer) => value.parse().map_or_else(|_| text(), Setting::Number),
        Some(OptionKind::Boolean) => value.parse().map_or_else(|_| text(), Setting::Flag),
        Some(OptionKind::String) | None => text(),
    }
}

fn to_json(setting: &Setting) -> Value {
    match setting {
        Setting::Flag(flag) => (*flag).into(),
        Setting::Number(number) => (*number).into(),
        Setting::Text(text) => text.clone().into(),
    }
}

/// What to grant: what is named, or all; of a read-only destination never what writes.
fn permissions<'a>(
    create: &DestinationCreate,
    manifest: &'a Manifest,
) -> Result<Vec<Permission<'a>>, Failure> {
    if create.grants.is_empty() {
        let fits = |one: &Permission<'_>| !create.read_only || one.access() == Access::Read;
        return Ok(manifest.permissions().filter(fits).collect());
    }
    let mut permissions: Vec<Permission<'a>> = Vec::new();
    for name in &create.grants {
        let Some(permission) = manifest.permission(name) else {
            let message = format!("connector `{}` has no route `{name}`", manifest.label());
            return Err(Failure::new(Exit::Usage, message)
                .with_hint(format!("run `wharf connector show {}` to see its routes", manifest.kind)));
        };
        if create.read_only && permission.access() == Access::Write {
            let message =
                format!("the route `{name}` writes, and destination `{}` is read-only", create.name);
            return Err(Failure::new(Exit::Usage, message)
                .with_hint(format!("leave out `--grant {name}`, or `--read-only`")));
        }
        if !permissions.iter().any(|other| other.name() == name) {
            permissions.push(permission);
        }
    }
    Ok(permissions)
}

/// Show what is about to be granted, and have somebody agree.
fn ask_for(
    desk: Desk<'_>,
    create: &DestinationCreate,
    installed: &Installed,
    manifest: &Manifest,
    permissions: &[Permission<'_>],
) -> Result<(), Failure> {
    let output = desk.output;
    let explain = |text: &dyn std::fmt::Display| ask::explain(output, desk.global.yes, text);
    let (name, directory) = (&create.name, &create.backup_directory);
    let label = output.paint_err(Tone::Strong, format_args!("{} ({})", manifest.name, manifest.label()));
    let signature = match installed.signed_by {
        Some(_) => format!("signed by {}", signature(installed)),
        None => output.paint_err(Tone::Warning, "unsigned"),
    };
    explain(&format_args!("{label}, {signature}, will be allowed to do this for destination `{name}`"));
    explain(&format_args!("with backup directory `{directory}`:"));
    let warn = |text: &str| output.paint_err(Tone::Warning, text);
    for line in sentence::lines(manifest, permissions.iter().copied(), Detail::Host, warn) {
        explain(&line);
    }
    let granted = |one: &Permission<'_>| permissions.iter().any(|granted| granted.name() == one.name());
    let others: Vec<&str> =
        manifest.permissions().filter(|one| !granted(one)).map(|one| one.name()).collect();
    if !others.is_empty() {
        explain(&format_args!("Not granted: {}", others.join(", ")));
    }
    let question = format!("Grant this to destination `{name}`?");
    ask::confirm(output, desk.global.yes, &question, Unattended::Stops)
}

fn delete(desk: Desk<'_>, name: &Name) -> Result<(), Failure> {
    let host = desk.host()?;
    // One whose file is broken can still be deleted.
    let place = match host.destinations().load(name) {
        Ok(configured) => format!("`{}`", configured.backup_directory),
        Err(error @ destination::Error::NotFound(_)) => return Err(error.into()),
        Err(_) => "its backup directory".to_owned(),
    };
    let question = format!("Delete the configuration of destination `{name}`?");
    ask::confirm(desk.output, desk.global.yes, &question, Unattended::Goes)?;
    host.destinations().delete(name)?;
    desk.output.note(format_args!("deleted destination `{name}`; what is stored in {place} stays"));
    Ok(())
}
