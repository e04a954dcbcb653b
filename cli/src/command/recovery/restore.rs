//! `wharf recovery restore`.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;
use wharf_runtime::account::sign_in_hint;
use wharf_runtime::attached;
use wharf_runtime::destination::Destination;
use wharf_runtime::grant::Granted;
use wharf_runtime::home::Name;
use wharf_runtime::host::Host;
use wharf_runtime::manifest::Access;
use wharf_runtime::recovery::{
    self, ARCHIVE_BYTES_MAX, Archive, Connector, Fate, Item, Kind, Plan, Presence, RecoveryKey,
};

use crate::args::RecoveryRestore;
use crate::ask::{self, Unattended};
use crate::command::{Desk, account, destination};
use crate::exit::Exit;
use crate::format::{self, count};
use crate::output::harmless;
use crate::report::Failure;

/// Largest file with a recovery key: it has 69 characters, and people add a line or two.
const KEY_FILE_BYTES_MAX: u64 = 1024;
/// What the place is called that is looked into; a number follows where a destination is called so.
const ASIDE: &str = "recovery";
/// Most destinations that are called so: nobody has more.
const ASIDES_MAX: u32 = 100;

/// Fetch the export, say what is in it, ask, and write what is new.
pub(super) async fn run(desk: Desk<'_>, restore: &RecoveryRestore) -> Result<(), Failure> {
    let host = desk.host()?;
    let key = read_key(&restore.key_file)?;
    let aside = aside(&host, restore)?;
    let sealed = fetch(&host, &aside).await?;
    let archive = Archive::open(&sealed, &key)?;
    let recovery = recovery::Recovery::new(&host);
    let mut plan = recovery.plan(&archive, restore.account.as_ref())?;
    explain(desk, &archive, &plan);
    let new = plan.items.iter().filter(|item| item.fate == Fate::New).count();
    if new > 0 {
        let question = format!("Write {} to this home?", count(as_number(new), "thing"));
        ask::confirm(desk.output, desk.global.yes, &question, Unattended::Stops)?;
        recovery.apply(&mut plan)?;
    }
    if desk.output.is_json() {
        desk.output.json(&RestoredJson::new(&archive, &plan))?;
    }
    verdict(desk, &plan)
}

fn read_key(path: &Path) -> Result<RecoveryKey, Failure> {
    let text = account::read_limited(path, KEY_FILE_BYTES_MAX)?;
    RecoveryKey::parse(text.expose())
        .map_err(|error| Failure::from(error).with_context(format!("`{}` is of no use", path.display())))
}

/// The place to look into. It becomes no destination of the home.
fn aside(host: &Host, restore: &RecoveryRestore) -> Result<Destination, Failure> {
    let names = (1..=ASIDES_MAX).filter_map(|number| {
        let name = if number == 1 { ASIDE.to_owned() } else { format!("{ASIDE}-{number}") };
        Name::parse(&name).ok()
    });
    let mut free = names.filter(|name| !host.destinations().exists(name));
    let name = free.next().ok_or_else(|| {
        Failure::new(Exit::Exists, format!("{ASIDES_MAX} destinations are called `{ASIDE}`"))
            .with_hint("use a new, empty home")
    })?;
    let (_, manifest) = host.manifest(&restore.connector).map_err(|error| {
        Failure::from(error).with_hint(format!(
            "install it first: `wharf connector install FILE`, and then `wharf account add NAME --type {}`",
            restore.connector.name
        ))
    })?;
    destination::check_account(host, &name, restore.account.as_ref(), &manifest, true)?;
    let options = destination::options(&name, BTreeMap::new(), &restore.options, &manifest)?;
    let reading = manifest.permissions().filter(|one| one.access() == Access::Read);
    Ok(Destination {
        account: restore.account.clone(),
        read_only: true,
        options,
        grants: Granted::of(&manifest, reading),
        ..Destination::new(name, restore.connector.clone(), restore.backup_directory.clone())
    })
}

async fn fetch(host: &Host, aside: &Destination) -> Result<Vec<u8>, Failure> {
    let attached = host.attach_aside(aside).await?;
    let read = attached.read_export(ARCHIVE_BYTES_MAX).await;
    let settled = attached.settle().await;
    drop(attached);
    host.forget_aside(&aside.name).await?;
    let sealed = read.map_err(|error| unreadable(error, aside))?;
    settled?;
    sealed.ok_or_else(|| recovery::Error::NoExport(aside.backup_directory.to_string()).into())
}

/// The usual remedies name a destination, and this is none.
fn unreadable(error: attached::Error, aside: &Destination) -> Failure {
    let failure = Failure::from(error);
    match (failure.exit(), &aside.account) {
        (Exit::SignIn, Some(account)) => failure.with_hint(sign_in_hint(account)),
        (Exit::Denied, _) => failure.with_hint(format!("run `wharf audit {}` for the request", aside.name)),
        _ => failure,
    }
}

fn explain(desk: Desk<'_>, archive: &Archive, plan: &Plan) {
    let explain = |text: &dyn std::fmt::Display| ask::explain(desk.output, desk.global.yes, text);
    let (name, id) = archive.server();
    explain(&format_args!(
        "export of server `{}` ({}), made {}:",
        harmless(&name),
        harmless(&id),
        format::moment(archive.made)
    ));
    for item in &plan.items {
        let (kind, name) = (kind(item.kind()), item.name.as_str());
        explain(&format_args!("  {kind:<12} {name:<20} {}", line(item)));
    }
    for Connector { installed, presence } in &plan.connectors {
        let state = match presence {
            Presence::Same => "installed here".to_owned(),
            Presence::Other(version) => {
                format!("version {version} is installed here, and this was {}", installed.digest)
            }
            Presence::Missing => format!("to be installed: {}", installed.digest),
        };
        let label = format!("{}@{}", installed.id, installed.version);
        explain(&format_args!("  {:<12} {:<20} {state}", "connector", harmless(&label)));
    }
}

fn line(item: &Item) -> String {
    match (&item.fate, item.kind()) {
        (Fate::New, Kind::Destination) => "new, read-only".to_owned(),
        (Fate::New, Kind::Publisher | Kind::Revocations | Kind::Account) => "new".to_owned(),
        (Fate::Restored, _) => "restored".to_owned(),
        (Fate::Same, _) => "is here already".to_owned(),
        (Fate::Kept(reason), _) => format!("{}, and stays", harmless(reason)),
        (Fate::Refused(reason), _) => format!("not restored: {}", harmless(reason)),
    }
}

const fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Publisher => "publisher",
        Kind::Revocations => "revocations",
        Kind::Account => "account",
        Kind::Destination => "destination",
    }
}

/// What was done, and what an operator has to look at.
fn verdict(desk: Desk<'_>, plan: &Plan) -> Result<(), Failure> {
    let how_many = |is_so: fn(&Fate) -> bool| plan.items.iter().filter(|item| is_so(&item.fate)).count();
    let restored = how_many(|fate| matches!(fate, Fate::Restored));
    let kept = how_many(|fate| matches!(fate, Fate::Kept(_)));
    let refused = how_many(|fate| matches!(fate, Fate::Refused(_)));
    match restored {
        0 => desk.output.note("nothing of it was new here"),
        _ => desk.output.note(format_args!("restored {}", count(as_number(restored), "thing"))),
    }
    for Connector { installed, presence } in &plan.connectors {
        if *presence == Presence::Missing {
            desk.output.note(format_args!(
                "install `{}` {} ({}) for its destinations",
                harmless(&installed.id),
                installed.version,
                installed.digest
            ));
        }
    }
    if kept == 0 && refused == 0 {
        return Ok(());
    }
    let exit = if refused > 0 { Exit::Failed } else { Exit::Exists };
    let message = format!(
        "not everything of the export is here as it was: {kept} kept as here, {refused} not restored"
    );
    Err(Failure::new(exit, message).with_hint(
        "the list above says which and why; remove or add what it names, and run the same command again",
    ))
}

fn as_number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

/// What was restored, for programs.
#[derive(Debug, Serialize)]
struct RestoredJson<'a> {
    server: ServerJson,
    made: jiff::Timestamp,
    items: Vec<ItemJson<'a>>,
    connectors: Vec<ConnectorJson<'a>>,
}

#[derive(Debug, Serialize)]
struct ServerJson {
    id: String,
    name: String,
}

#[derive(Debug, Serialize)]
struct ItemJson<'a> {
    kind: &'static str,
    name: &'a Name,
    state: &'static str,
    reason: Option<&'a str>,
}

#[derive(Debug, Serialize)]
struct ConnectorJson<'a> {
    r#type: &'a str,
    id: &'a str,
    version: String,
    digest: String,
    state: &'static str,
}

impl<'a> RestoredJson<'a> {
    fn new(archive: &Archive, plan: &'a Plan) -> Self {
        let (name, id) = archive.server();
        Self {
            server: ServerJson { id, name },
            made: archive.made,
            items: plan.items.iter().map(ItemJson::new).collect(),
            connectors: plan.connectors.iter().map(ConnectorJson::new).collect(),
        }
    }
}

impl<'a> ItemJson<'a> {
    fn new(item: &'a Item) -> Self {
        let (state, reason) = match &item.fate {
            Fate::New => ("new", None),
            Fate::Restored => ("restored", None),
            Fate::Same => ("present", None),
            Fate::Kept(reason) => ("kept", Some(reason.as_str())),
            Fate::Refused(reason) => ("refused", Some(reason.as_str())),
        };
        Self { kind: kind(item.kind()), name: &item.name, state, reason }
    }
}

impl<'a> ConnectorJson<'a> {
    fn new(connector: &'a Connector) -> Self {
        let Connector { installed, presence } = connector;
        let state = match presence {
            Presence::Same => "installed",
            Presence::Other(_) => "other",
            Presence::Missing => "missing",
        };
        Self {
            r#type: &installed.r#type,
            id: &installed.id,
            version: installed.version.to_string(),
            digest: installed.digest.to_string(),
            state,
        }
    }
}
