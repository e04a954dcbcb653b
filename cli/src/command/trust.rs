//! `wharf trust …`.

use std::path::Path;

use jiff::Timestamp;
use serde::Serialize;
use wharf_runtime::home::Name;
use wharf_runtime::host::Host;
use wharf_runtime::registry::Digest;
use wharf_runtime::trust::key::{KEY_FILE_BYTES_MAX, PublicKey};
use wharf_runtime::trust::revocation::{Accepted, LIST_BYTES_MAX, List, RevokedDigest, RevokedKey};
use wharf_runtime::trust::{BUNDLE_BYTES_MAX, BUNDLE_SUFFIX, KeyId, Publisher, TrustedKey, Window};

use super::{Desk, connector};
use crate::args::{Trust, TrustAdd, TrustIssue};
use crate::ask::{self, Unattended};
use crate::exit::Exit;
use crate::file::{self, PUBLIC_MODE};
use crate::format;
use crate::report::Failure;
use crate::table::{Align, Table};

/// Do what the command line says about whom to trust.
pub(super) fn run(desk: Desk<'_>, command: &Trust) -> Result<(), Failure> {
    match command {
        Trust::Add(add) => self::add(desk, add),
        Trust::List => list(desk),
        Trust::Revoke { what, reason } => revoke(desk, what, reason),
        Trust::Remove { name } => remove(desk, name),
        Trust::Update { file, bundle } => update(desk, file, bundle.as_deref()),
        Trust::Issue(issue) => self::issue(desk, issue),
    }
}

fn add(desk: Desk<'_>, add: &TrustAdd) -> Result<(), Failure> {
    let key = add.key.as_deref().map(read_key).transpose()?;
    let window = Window { not_before: add.not_before, not_after: add.not_after };
    let host = desk.host_or_new()?;
    let publisher = host.trust().add(&add.name, key.clone().map(|key| (key, window)), &add.id_prefixes)?;
    if desk.output.is_json() {
        desk.output.json(&PublisherJson::new(&publisher, None, now()))?;
    }
    let ids = publisher.id_prefixes.join(", ");
    let name = &add.name;
    desk.output.note(match key {
        Some(key) => {
            let (kind, id) = (key.algorithm().name(), key.id());
            format!("trusting key `{id}` ({kind}) of `{name}` to sign connectors of {ids}")
        }
        None => format!("trusting `{name}` to sign connectors of {ids}"),
    });
    Ok(())
}

fn read_key(path: &Path) -> Result<PublicKey, Failure> {
    let text = file::read(path, KEY_FILE_BYTES_MAX)?;
    PublicKey::parse(&text).map_err(|error| {
        Failure::new(Exit::Usage, format!("`{}` {error}", path.display()))
            .with_hint("get the publisher's public key: Ed25519 or ECDSA P-256, `-----BEGIN PUBLIC KEY-----`")
    })
}

fn list(desk: Desk<'_>) -> Result<(), Failure> {
    let host = desk.host()?;
    let (publishers, lists, now) = (host.trust().publishers()?, host.trust().lists()?, now());
    let of = |publisher: &Publisher| lists.iter().find(|list| list.publisher == publisher.name);
    if desk.output.is_json() {
        for publisher in &publishers {
            desk.output.json(&PublisherJson::new(publisher, of(publisher), now))?;
        }
        return Ok(());
    }
    if publishers.is_empty() {
        desk.output.note("nobody is trusted yet; see `wharf trust add --help`");
        return Ok(());
    }
    let columns = ["PUBLISHER", "IDS", "KEY", "KIND", "STATE"];
    let mut table = Table::new(&columns.map(|column| (column, Align::Left)));
    for publisher in &publishers {
        for key in &publisher.keys {
            table.row(vec![
                publisher.name.to_string(),
                publisher.id_prefixes.join(", "),
                key.key.id().short().to_owned(),
                key.key.algorithm().name().to_owned(),
                state(key, of(publisher), now).in_words(),
            ]);
        }
    }
    for line in table.lines() {
        desk.output.line(line)?;
    }
    for Accepted { publisher, list, .. } in &lists {
        let (number, expires) = (list.number, format::moment(list.expires));
        let ends = if list.expires <= now { "expired" } else { "good until" };
        let revoked = format!("{} keys, {} components", list.keys.len(), list.digests.len());
        desk.output
            .line(format_args!("revocation list {number} of {publisher}: {revoked}, {ends} {expires}"))?;
    }
    Ok(())
}

/// How it stands with a key.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case", tag = "state", content = "detail")]
enum KeyState {
    Good(Option<Timestamp>),
    NotYet(Timestamp),
    Expired(Timestamp),
    Revoked(String),
}

impl KeyState {
    fn in_words(&self) -> String {
        match self {
            Self::Good(None) => "good".to_owned(),
            Self::Good(Some(until)) => format!("good until {}", format::moment(*until)),
            Self::NotYet(from) => format!("good from {} on", format::moment(*from)),
            Self::Expired(until) => format!("ended {}", format::moment(*until)),
            Self::Revoked(reason) => format!("REVOKED: {reason}"),
        }
    }
}

fn state(key: &TrustedKey, list: Option<&Accepted>, now: Timestamp) -> KeyState {
    let listed = || list.and_then(|list| list.list.reason_for_key(&key.key.id()).map(ToOwned::to_owned));
    if let Some(reason) = key.revoked.clone().or_else(listed) {
        return KeyState::Revoked(reason);
    }
    match (key.window.not_before, key.window.not_after) {
        (Some(from), _) if now < from => KeyState::NotYet(from),
        (_, Some(until)) if now >= until => KeyState::Expired(until),
        (_, until) => KeyState::Good(until),
    }
}

fn revoke(desk: Desk<'_>, what: &str, reason: &str) -> Result<(), Failure> {
    let host = desk.host()?;
    let question = format!("Trust `{what}` no more? What is installed under it stops.");
    ask::confirm(desk.output, desk.global.yes, &question, Unattended::Goes)?;
    let revoked = host.trust().revoke(what, reason)?;
    if revoked.keys.is_empty() {
        desk.output.note(format_args!("`{what}` was revoked before"));
        return Ok(());
    }
    for key in &revoked.keys {
        let name = &revoked.publisher;
        if desk.output.is_json() {
            desk.output.json(&serde_json::json!({ "publisher": name, "key": key, "reason": reason }))?;
        }
        desk.output.note(format_args!("key `{}` of `{name}` is revoked", key.short()));
    }
    tell_stopped(desk, &host)
}

fn remove(desk: Desk<'_>, name: &Name) -> Result<(), Failure> {
    let host = desk.host()?;
    let installed = host.registry().list()?.into_iter();
    let users = installed.filter(|installed| installed.signed_by.as_ref() == Some(name));
    let users: Vec<String> = users.map(|installed| installed.id).collect();
    let question = format!("Forget publisher `{name}`, their keys and what they revoked?");
    ask::confirm(desk.output, desk.global.yes, &question, Unattended::Goes)?;
    host.trust().remove(name, &users)?;
    desk.output.note(format_args!("publisher `{name}` is trusted no more"));
    Ok(())
}

fn update(desk: Desk<'_>, path: &Path, bundle: Option<&Path>) -> Result<(), Failure> {
    let host = desk.host()?;
    let bytes_max = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let text = file::read(path, bytes_max(LIST_BYTES_MAX))?;
    let beside = file::suffixed(path, BUNDLE_SUFFIX);
    let bundle = file::read(bundle.unwrap_or(&beside), bytes_max(BUNDLE_BYTES_MAX))?;
    let refused = |error| {
        Failure::from(error).with_context(format!("the revocation list `{}` is refused", path.display()))
    };
    let Accepted { publisher, list, .. } = host.trust().update(&text, &bundle, now()).map_err(refused)?;
    if desk.output.is_json() {
        desk.output.json(&ListJson { publisher: &publisher, list: &list })?;
    }
    let (number, keys, digests) = (list.number, list.keys.len(), list.digests.len());
    let expires = format::moment(list.expires);
    desk.output.note(format_args!(
        "revocation list {number} of `{publisher}` is known: {keys} keys, {digests} components, good until {expires}"
    ));
    tell_stopped(desk, &host)
}

/// Which connectors do not run any more? Nobody should learn that from a backup that failed.
fn tell_stopped(desk: Desk<'_>, host: &Host) -> Result<(), Failure> {
    for installed in host.registry().list()? {
        let component = host.registry().component(&installed)?;
        let bundle = host.registry().bundle(&installed)?;
        if let Err(error) = host.trust().recheck(&installed, &component, bundle.as_deref()) {
            let users = host.destinations().users_of_connector(&installed.r#type, &installed.id)?;
            let users: Vec<String> = users.iter().map(|name| format!("`{name}`")).collect();
            let of = if users.is_empty() { String::new() } else { format!(", of {}", users.join(", ")) };
            let label = format!("{}@{}", installed.id, installed.version);
            desk.output.warning(format_args!("connector `{label}`{of} does not run any more: {error}"));
        }
    }
    Ok(())
}

fn issue(desk: Desk<'_>, issue: &TrustIssue) -> Result<(), Failure> {
    let mut list = List::new(issue.number, now(), issue.expires);
    for entry in &issue.keys {
        let (id, reason) = split("--revoke-key", entry)?;
        let id = KeyId::parse(id).map_err(|problem| wrong("--revoke-key", &problem))?;
        list.keys.push(RevokedKey { id, reason });
    }
    for entry in &issue.digests {
        let (digest, reason) = split("--revoke-digest", entry)?;
        let digest = Digest::parse(digest).map_err(|problem| wrong("--revoke-digest", &problem))?;
        list.digests.push(RevokedDigest { digest, reason });
    }
    let text = list.to_text().map_err(|problem| wrong("the list", &problem))?;
    let key = connector::private_key(desk, &issue.key, issue.password_file.as_deref())?;
    let bundle = key.sign(&text)?;
    let beside = file::suffixed(&issue.output, BUNDLE_SUFFIX);
    file::replace(&issue.output, &text, PUBLIC_MODE)?;
    file::replace(&beside, &bundle, PUBLIC_MODE)?;
    let (number, output, id) = (list.number, issue.output.display(), key.public()?.id());
    if desk.output.is_json() {
        desk.output.json(&serde_json::json!({
            "number": number, "expires": list.expires, "key": id, "list": issue.output, "bundle": beside,
        }))?;
    }
    desk.output.note(format_args!(
        "revocation list {number}, signed with key `{}`, is in `{output}`; its bundle is beside it",
        id.short()
    ));
    Ok(())
}

fn split<'a>(option: &str, entry: &'a str) -> Result<(&'a str, String), Failure> {
    let (what, reason) = entry.split_once('=').ok_or_else(|| wrong(option, "expected ID=REASON"))?;
    Ok((what, reason.to_owned()))
}

fn wrong(option: &str, problem: &str) -> Failure {
    Failure::new(Exit::Usage, format!("`{option}`: {problem}"))
        .with_hint("run `wharf trust issue --help` for an example")
}

fn now() -> Timestamp {
    Timestamp::now()
}

/// A publisher as `--json` has it.
#[derive(Debug, Serialize)]
struct PublisherJson<'a> {
    publisher: &'a Name,
    id_prefixes: &'a [String],
    keys: Vec<KeyJson>,
    revocation_list: Option<&'a List>,
}

#[derive(Debug, Serialize)]
struct KeyJson {
    id: KeyId,
    kind: &'static str,
    not_before: Option<Timestamp>,
    not_after: Option<Timestamp>,
    #[serde(flatten)]
    state: KeyState,
}

impl<'a> PublisherJson<'a> {
    fn new(publisher: &'a Publisher, list: Option<&'a Accepted>, now: Timestamp) -> Self {
        let key = |key: &TrustedKey| KeyJson {
            id: key.key.id(),
            kind: key.key.algorithm().name(),
            not_before: key.window.not_before,
            not_after: key.window.not_after,
            state: state(key, list, now),
        };
        Self {
            publisher: &publisher.name,
            id_prefixes: &publisher.id_prefixes,
            keys: publisher.keys.iter().map(key).collect(),
            revocation_list: list.map(|list| &list.list),
        }
    }
}

/// A list that was accepted, as `--json` has it.
#[derive(Debug, Serialize)]
struct ListJson<'a> {
    publisher: &'a Name,
    #[serde(flatten)]
    list: &'a List,
}
