//! `wharf destination list` and `show`.
//!
//! With `--json` a destination has the fields of JetBackup's Destination object, so that what reads
//! the one reads the other; ours come after them. Here an id is the name, and an owner a user of this
//! machine; what nobody asked the service for yet is null. Wharf assigns no jobs (`count`) and indexes
//! nothing in the background (`reindex`).

use serde::Serialize;
use std::time::SystemTime;

use serde_json::{Map, Value};
use wharf_runtime::destination::{Destination as Configured, JobType};
use wharf_runtime::grant::Standing;
use wharf_runtime::home::Name;
use wharf_runtime::host::Host;
use wharf_runtime::manifest::{Access, Manifest, Permission};
use wharf_runtime::network::HttpVersion;
use wharf_runtime::registry::Installed;
use wharf_runtime::sandbox::operation::Space;
use wharf_runtime::usage::Usage;

use super::{Desk, signature, to_json};
use crate::format;
use crate::output::{Output, Tone, harmless};
use crate::report::Failure;
use crate::sentence::{self, Detail, RouteJson};
use crate::table::{Align, Table};

/// List the destinations; one that is broken does not hide the others.
pub(super) async fn list(desk: Desk<'_>, all: bool) -> Result<(), Failure> {
    let host = desk.host()?;
    let caller = desk.caller(&host)?;
    let output = desk.output;
    let mut hidden = 0_u64;
    let mut broken = None;
    let mut table = Table::new(&[
        ("NAME", Align::Left),
        ("TYPE", Align::Left),
        ("ACCOUNT", Align::Left),
        ("BACKUP DIRECTORY", Align::Left),
        ("THREADS", Align::Right),
        ("NOTES", Align::Left),
    ]);
    for configured in host.destinations().list()? {
        match configured {
            Ok(configured) if configured.hidden && !all && !configured.is_owned_by(&caller) => {
                hidden = hidden.saturating_add(1);
            }
            Ok(configured) => {
                let installed = host.version_for(&configured).ok();
                if output.is_json() {
                    let usage = host.last_usage(&configured.name).await?;
                    output.json(&json(&configured, installed.as_ref(), usage))?;
                } else {
                    table.row(row(&configured, installed.as_ref()));
                }
            }
            Err(error) => {
                let failure = Failure::from(error);
                output.warning(failure.line());
                broken.get_or_insert(failure.exit());
            }
        }
    }
    if hidden > 0 {
        output.note(format_args!("{} hidden; `--all` lists them", format::count(hidden, "destination")));
    }
    if table.is_empty() && !output.is_json() && broken.is_none() && hidden == 0 {
        output.note("there are no destinations yet; see `wharf destination create --help`");
    } else if !output.is_json() && (broken.is_some() || !table.is_empty()) {
        for line in table.lines() {
            output.line(line)?;
        }
    }
    broken.map_or(Ok(()), |exit| Err(Failure::reported(exit)))
}

fn row(configured: &Configured, installed: Option<&Installed>) -> Vec<String> {
    vec![
        configured.name.to_string(),
        kind(configured, installed),
        configured.account.as_ref().map(ToString::to_string).unwrap_or_default(),
        harmless(configured.backup_directory.as_str()),
        configured.threads.to_string(),
        notes(configured, installed).join(", "),
    ]
}

/// The connector's type, even where the operator named it by its id.
fn kind(configured: &Configured, installed: Option<&Installed>) -> String {
    installed.map_or_else(|| configured.connector.name.clone(), |installed| installed.r#type.clone())
}

/// What deserves a look.
fn notes(configured: &Configured, installed: Option<&Installed>) -> Vec<&'static str> {
    [
        (installed.is_none(), "connector not installed"),
        (installed.is_some_and(|installed| installed.unsigned), "unsigned connector"),
        (installed.is_some_and(|installed| installed.disabled), "connector disabled"),
        (configured.read_only, "read-only"),
        (configured.disabled, "disabled"),
        (configured.hidden, "hidden"),
        (configured.dr, "dr"),
    ]
    .into_iter()
    .filter_map(|(is_so, note)| is_so.then_some(note))
    .collect()
}

/// Show a destination and what is granted to it.
pub(super) async fn one(desk: Desk<'_>, name: &Name) -> Result<(), Failure> {
    let host = desk.host()?;
    let configured = host.destinations().load(name)?;
    let known = known(&host, &configured);
    let installed = known.as_ref().ok().map(|(installed, _)| installed);
    let usage = host.last_usage(name).await?;
    let output = desk.output;
    if output.is_json() {
        let mut shown = json(&configured, installed, usage);
        if let Ok((_, manifest)) = &known {
            shown.routes = Some(routes(&configured, manifest));
        }
        output.json(&shown)?;
    } else {
        facts(output, &configured, installed, usage)?;
        waits(desk, &host, &configured, installed)?;
        if let Ok((_, manifest)) = &known {
            granted(output, &configured, manifest)?;
        }
    }
    // What could not be told is an error, after everything that could.
    known.map(|_| ())
}

/// The version of its connector that it runs, and what that says of itself.
fn known(host: &Host, configured: &Configured) -> Result<(Installed, Manifest), Failure> {
    let runs = host
        .version_for(configured)
        .and_then(|runs| host.manifest_of(&runs).map(|manifest| (runs, manifest)));
    runs.map_err(|error| {
        Failure::from(error).with_context(format!("destination `{}` cannot be used", configured.name))
    })
}

fn facts(
    output: &Output,
    configured: &Configured,
    installed: Option<&Installed>,
    usage: Option<Usage>,
) -> Result<(), Failure> {
    let connector = match installed {
        Some(installed) => format!("{}@{} ({})", installed.id, installed.version, signature(installed)),
        None => format!("{} (not installed)", configured.connector),
    };
    let text = |value: Option<String>, otherwise: &str| value.unwrap_or_else(|| otherwise.to_owned());
    let limit = match configured.disk_limit {
        0 => "none".to_owned(),
        percent => format!("{percent} %"),
    };
    let account = configured.account.as_ref().map(ToString::to_string);
    let mut facts = vec![
        ("name", configured.name.to_string()),
        ("type", kind(configured, installed)),
        ("connector", output.paint(Tone::Strong, connector)),
        ("account", text(account, "none")),
        ("backup directory", harmless(configured.backup_directory.as_str())),
        ("owner", text(configured.owner.as_deref().map(harmless), "the home's")),
        ("parents", configured.parents.iter().map(|one| harmless(one)).collect::<Vec<_>>().join(", ")),
        ("read-only", yes_or_no(configured.read_only)),
        ("threads", configured.threads.to_string()),
        ("retries", configured.retries.to_string()),
        ("http version", http_version(configured.http_version).to_owned()),
        ("disk limit", limit),
        ("disk usage", usage.map_or_else(String::new, told)),
        ("job type", job_type(configured.job_type).to_owned()),
        ("hidden", yes_or_no(configured.hidden)),
        ("disabled", yes_or_no(configured.disabled)),
        ("dr", if configured.dr { yes_or_no(true) } else { String::new() }),
    ];
    facts.extend(paces(configured).map(|(_, name, value)| (name, value)));
    for (name, value) in &configured.options {
        facts.push(("option", format!("{name} = {}", harmless(&to_json(value).to_string()))));
    }
    for (name, value) in facts.into_iter().filter(|(_, value)| !value.is_empty()) {
        output.line(format_args!("{name:<16} {value}"))?;
    }
    Ok(())
}

/// A version that is installed, and not run here until what is new in it is agreed to.
fn waits(
    desk: Desk<'_>,
    host: &Host,
    configured: &Configured,
    runs: Option<&Installed>,
) -> Result<(), Failure> {
    let newest = host.registry().get(&configured.connector);
    let (Some(runs), Ok(newest)) = (runs, newest) else { return Ok(()) };
    if runs.digest != newest.digest {
        let name = &configured.name;
        let text = format!("{} asks for more: run `wharf grant show {name}`", newest.version);
        desk.output.line(format_args!("{:<16} {}", "update", desk.output.paint(Tone::Warning, text)))?;
    }
    Ok(())
}

/// How full it was, and when.
fn told(usage: Usage) -> String {
    let bytes = |bytes: Option<u64>| bytes.map_or_else(|| "unknown".to_owned(), format::bytes);
    let Usage { space, asked } = usage;
    format!("{} of {} as of {}", bytes(space.used), bytes(space.total), moment(asked))
}

fn moment(time: SystemTime) -> String {
    jiff::Timestamp::try_from(time).map_or_else(|_| "an unknown moment".to_owned(), format::moment)
}

const fn job_type(kind: JobType) -> &'static str {
    match kind {
        JobType::Backup => "backup",
        JobType::Clones => "clones",
    }
}

/// How fast it may be, where that is said: the key, its name and its value.
fn paces(configured: &Configured) -> impl Iterator<Item = (&'static str, &'static str, String)> {
    let rates = configured.rates;
    let tasks = Some(configured.tasks).filter(|tasks| *tasks > 0);
    [
        ("tasks", "tasks", tasks.map(|tasks| tasks.to_string())),
        ("bandwidth_up", "bandwidth up", rates.up.map(|rate| rate.to_string())),
        ("bandwidth_down", "bandwidth down", rates.down.map(|rate| rate.to_string())),
        ("requests_per_second", "requests a s", rates.requests.map(|rate| rate.to_string())),
    ]
    .into_iter()
    .filter_map(|(key, name, value)| Some((key, name, value?)))
}

fn granted(output: &Output, configured: &Configured, manifest: &Manifest) -> Result<(), Failure> {
    let is_granted = |one: &Permission<'_>| configured.grants.standing(manifest, *one) == Standing::Granted;
    let warn = |text: &str| output.paint(Tone::Warning, text);
    let in_force = manifest
        .permissions()
        .filter(|one| is_granted(one) && (one.access() == Access::Read || !configured.read_only));
    output.line(output.paint(Tone::Strong, "Granted"))?;
    for line in sentence::lines(manifest, in_force, Detail::Host, warn) {
        output.line(line)?;
    }
    let others = manifest.permissions().filter(|one| !is_granted(one));
    let missing: Vec<&str> = others.map(|one| one.name()).collect();
    if !missing.is_empty() {
        output.line(format_args!("Not granted: {}", missing.join(", ")))?;
    }
    Ok(())
}

fn routes<'a>(configured: &Configured, manifest: &'a Manifest) -> Vec<RouteJson<'a>> {
    let is_granted = |one: Permission<'_>| configured.grants.standing(manifest, one) == Standing::Granted;
    manifest.permissions().map(|one| RouteJson::new(manifest, one, Some(is_granted(one)))).collect()
}

fn yes_or_no(flag: bool) -> String {
    if flag { "yes".to_owned() } else { "no".to_owned() }
}

const fn http_version(version: HttpVersion) -> &'static str {
    match version {
        HttpVersion::Default => "default",
        HttpVersion::Http1 => "1.1",
        HttpVersion::Http2 => "2",
    }
}

/// A destination as `--json` has it.
#[derive(Debug, Serialize)]
pub(super) struct DestinationJson<'a> {
    _id: &'a Name,
    name: &'a Name,
    owner: Option<&'a str>,
    owner_name: Option<&'a str>,
    parents: &'a [String],
    r#type: String,
    /// 1 for backups, 2 for clones.
    job_type: u8,
    /// Jobs that are assigned to it: Wharf itself has none.
    count: u64,
    hidden: bool,
    readonly: bool,
    disabled: bool,
    disk_limit: u8,
    /// Usage, free and total bytes, once somebody asked the service.
    disk_usage: Option<DiskUsageJson>,
    /// When that was.
    update_date: Option<String>,
    dr: bool,
    reindex: bool,
    options: Map<String, Value>,
    account: Option<&'a Name>,
    connector: String,
    unsigned: Option<bool>,
    signed_by: Option<String>,
    grants: Vec<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    routes: Option<Vec<RouteJson<'a>>>,
}

/// What is in use, in bytes. What the service does not tell is null.
#[derive(Debug, Serialize)]
struct DiskUsageJson {
    usage: Option<u64>,
    free: Option<u64>,
    total: Option<u64>,
}

impl DiskUsageJson {
    fn new(usage: Usage) -> Self {
        let Space { used, total } = usage.space;
        let free = total.zip(used).map(|(total, used)| total.saturating_sub(used));
        Self { usage: used, free, total }
    }
}

/// A destination for programs; `usage` is what its service said last.
pub(super) fn json<'a>(
    configured: &'a Configured,
    installed: Option<&Installed>,
    usage: Option<Usage>,
) -> DestinationJson<'a> {
    let mut options = Map::new();
    options.insert("path".to_owned(), configured.backup_directory.as_str().into());
    options.insert("threads".to_owned(), configured.threads.into());
    options.extend(paces(configured).map(|(key, _, value)| {
        let number = value.parse::<u64>().map(Value::from);
        (key.to_owned(), number.unwrap_or_else(|_| value.into()))
    }));
    options.insert("retries".to_owned(), configured.retries.into());
    options.insert("http_version".to_owned(), http_version(configured.http_version).into());
    options.extend(configured.options.iter().map(|(name, value)| (name.clone(), to_json(value))));
    DestinationJson {
        _id: &configured.name,
        name: &configured.name,
        owner: configured.owner.as_deref(),
        owner_name: configured.owner.as_deref(),
        parents: &configured.parents,
        r#type: kind(configured, installed),
        job_type: match configured.job_type {
            JobType::Backup => 1,
            JobType::Clones => 2,
        },
        count: 0,
        hidden: configured.hidden,
        readonly: configured.read_only,
        disabled: configured.disabled,
        disk_limit: configured.disk_limit,
        disk_usage: usage.map(DiskUsageJson::new),
        update_date: usage.map(|usage| moment(usage.asked)),
        dr: configured.dr,
        reindex: false,
        options,
        account: configured.account.as_ref(),
        connector: installed.map_or_else(
            || configured.connector.to_string(),
            |installed| format!("{}@{}", installed.id, installed.version),
        ),
        unsigned: installed.map(|installed| installed.unsigned),
        signed_by: installed.and_then(|installed| installed.signed_by.as_ref().map(Name::to_string)),
        grants: configured.grants.routes.iter().map(|route| &*route.name).collect(),
        routes: None,
    }
}
