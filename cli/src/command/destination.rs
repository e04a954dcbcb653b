//! `wharf destination …`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use wharf_runtime::destination::{self, Destination as Configured, Setting};
use wharf_runtime::grant::Granted;
use wharf_runtime::home::Name;
use wharf_runtime::host::{self, Host};
use wharf_runtime::manifest::{Access, Manifest, OptionKind, Permission};
use wharf_runtime::recovery;
use wharf_runtime::registry::{self, Installed};

use super::Desk;
use super::connector::{self, signature};
use crate::args::{Destination, DestinationCreate, OptionSetting, Renewal};
use crate::ask::{self, Unattended};
use crate::exit::Exit;
use crate::format;
use crate::output::Tone;
use crate::report::Failure;
use crate::sentence::{self, Detail};

mod modify;
mod show;
mod survey;
mod types;
mod validate;

/// Do what the command line says about destinations.
pub(super) fn run(desk: Desk<'_>, command: &Destination) -> Result<(), Failure> {
    match command {
        Destination::Create(create) => self::create(desk, create),
        Destination::Modify(modify) => modify::run(desk, modify),
        Destination::Types => types::list(desk),
        Destination::List { all } => super::waiting(Box::pin(show::list(desk, *all))),
        Destination::Show { name } => super::waiting(Box::pin(show::one(desk, name))),
        Destination::Authorize { name, renewal } => authorize(desk, name, renewal),
        Destination::Usage { name } => super::waiting(Box::pin(usage(desk, name))),
        Destination::Validate { name } => super::waiting(Box::pin(validate::run(desk, name))),
        Destination::Reindex { name } => super::waiting(Box::pin(survey::reindex(desk, name))),
        Destination::Check { name, path, download } => {
            let path = path.clone().unwrap_or_default();
            super::moving(Box::pin(survey::check(desk, name, &path, *download)))
        }
        Destination::Delete { name } => super::waiting(Box::pin(delete(desk, name))),
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

/// A new sign-in for the account that it names.
fn authorize(desk: Desk<'_>, name: &Name, renewal: &Renewal) -> Result<(), Failure> {
    let configured = desk.host()?.destinations().load(name)?;
    let Some(account) = configured.account else {
        let message = format!("destination `{name}` names no account, so there is nothing to sign in");
        return Err(Failure::new(Exit::Usage, message)
            .with_hint("`wharf account list` shows the accounts that there are"));
    };
    super::account::authorize(desk, &account, renewal)
}

fn create(desk: Desk<'_>, create: &DestinationCreate) -> Result<(), Failure> {
    let host = desk.host()?;
    if host.destinations().exists(&create.name) {
        let name = &create.name;
        return Err(Failure::from(destination::Error::Exists(name.clone())).with_hint(format!(
            "choose another name; `wharf destination show {name}` shows what that one is"
        )));
    }
    if create.dr && create.read_only {
        return Err(destination::Error::ReadOnlyDr(create.name.clone()).into());
    }
    let (installed, manifest) = manifest(desk, &host, create)?;
    host.check_leave(&create.name, &installed)?;
    check_account(&host, &create.name, create.account.as_ref(), &manifest, create.read_only)?;
    let options = options(&create.name, BTreeMap::new(), &create.options, &manifest)?;
    let permissions = permissions(create, &manifest)?;
    let configured = Configured {
        account: create.account.clone(),
        owner: create.owner.clone(),
        read_only: create.read_only,
        threads: create.threads,
        tasks: create.pace.tasks.unwrap_or_default(),
        rates: create.pace.rates(),
        retries: create.retries,
        http_version: create.http_version.into(),
        parents: create.parents.clone(),
        job_type: create.job_type.into(),
        disk_limit: create.disk_limit,
        hidden: create.hidden,
        dr: create.dr,
        options,
        grants: grants(&host, &installed, &manifest, &permissions)?,
        ..Configured::new(create.name.clone(), create.connector.clone(), create.backup_directory.clone())
    };
    host.check_directory(&configured, &manifest)?;
    ask_for(desk, create, &installed, &manifest, &permissions)?;
    host.destinations().create(&configured)?;
    if desk.output.is_json() {
        desk.output.json(&show::json(&configured, Some(&installed), None))?;
    }
    let name = &create.name;
    desk.output.note(format_args!("created destination `{name}`; try `wharf ls {name}:`"));
    remind_of_key(desk, &host, &configured);
    Ok(())
}

/// Without a recovery key nothing is exported, whatever a destination says.
fn remind_of_key(desk: Desk<'_>, host: &Host, configured: &Configured) {
    if configured.takes_exports() && recovery::Recovery::new(host).key().is_ok_and(|key| key.is_none()) {
        desk.output.note("there is no recovery key yet to seal exports with; run `wharf recovery key`");
    }
}

/// The connector, installed first if it is not and can be.
fn manifest(
    desk: Desk<'_>,
    host: &Host,
    create: &DestinationCreate,
) -> Result<(Installed, Manifest), Failure> {
    match host.manifest(&create.connector) {
        Err(host::Error::Registry(
            missing @ (registry::Error::NotInstalled(_) | registry::Error::OtherVersion { .. }),
        )) => {
            connector::offer(desk, host, &create.connector, create.connectors.as_deref(), missing.into())?;
            Ok(host.manifest(&create.connector)?)
        }
        found => Ok(found?),
    }
}

/// A connector that signs in needs an account of its own type, and the others need none.
pub(super) fn check_account(
    host: &Host,
    name: &Name,
    account: Option<&Name>,
    manifest: &Manifest,
    read_only: bool,
) -> Result<(), Failure> {
    let (destination, needed) = (name.clone(), manifest.kind.clone());
    match (account, &manifest.oauth) {
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
                let hint = format!("run `wharf account add {account} --type {needed}` first");
                return Err(Failure::from(destination::Error::NoAccount { name, account }).with_hint(hint));
            }
            Ok(host.check_account(name, account, manifest, read_only)?)
        }
    }
}

/// The options as the manifest wants them: those of `before`, and what is set anew.
pub(super) fn options(
    name: &Name,
    before: BTreeMap<String, Setting>,
    anew: &[OptionSetting],
    manifest: &Manifest,
) -> Result<BTreeMap<String, Setting>, Failure> {
    let mut options = before;
    for (at, OptionSetting { key, value }) in anew.iter().enumerate() {
        if anew.iter().take(at).any(|other| other.key == *key) {
            return Err(Failure::new(Exit::Usage, format!("the option `{key}` is set twice")));
        }
        let kind = manifest.options.properties.get(key).map(|option| option.kind);
        options.insert(key.clone(), setting(kind, value));
    }
    let checked: Map<String, Value> =
        options.iter().map(|(key, setting)| (key.clone(), to_json(setting))).collect();
    let hint = format!("run `wharf connector show {}` to see its options", manifest.kind);
    manifest.options.validate(&checked).map_err(|problem| {
        let message = format!("destination `{name}`: {problem}");
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

/// What is granted. Where others still run an older version, this one was looked at and chosen from.
fn grants(
    host: &Host,
    installed: &Installed,
    manifest: &Manifest,
    permissions: &[Permission<'_>],
) -> Result<Granted, Failure> {
    let permissions = permissions.iter().copied();
    let is_alone = host.registry().kept(&installed.id)?.is_empty();
    Ok(if is_alone { Granted::of(manifest, permissions) } else { Granted::chosen(manifest, permissions) })
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

async fn delete(desk: Desk<'_>, name: &Name) -> Result<(), Failure> {
    let host = desk.host()?;
    // One whose file is broken can still be deleted.
    let place = match host.destinations().load(name) {
        Ok(configured) => format!("`{}`", configured.backup_directory),
        Err(error @ destination::Error::NotFound(_)) => return Err(error.into()),
        Err(_) => "its backup directory".to_owned(),
    };
    let caller = desk.caller(&host)?;
    host.destinations().check_deletion(name, &caller)?;
    let question = format!("Delete the configuration of destination `{name}`, and what is remembered of it?");
    ask::confirm(desk.output, desk.global.yes, &question, Unattended::Goes)?;
    host.delete(name, &caller).await?;
    desk.output.note(format_args!("deleted destination `{name}`; what is stored in {place} stays"));
    Ok(())
}
