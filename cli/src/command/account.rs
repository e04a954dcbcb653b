//! `wharf account …`.

use std::io::Read as _;
use std::path::Path;
use std::time::SystemTime;

use serde::Serialize;
use wharf_runtime::account::{self, Client, StoredToken, Summary};
use wharf_runtime::destination::ConnectorReference;
use wharf_runtime::home::Name;
use wharf_runtime::host::{self, Host};
use wharf_runtime::secret::Secret;

use super::Desk;
use crate::args::{Account, AccountAdd};
use crate::ask::{self, Unattended};
use crate::exit::Exit;
use crate::format;
use crate::report::Failure;
use crate::table::{Align, Table};

/// Largest file with a secret, in bytes: three tokens of the greatest length, and room.
const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;

/// Do what the command line says about accounts.
pub(super) fn run(desk: Desk<'_>, command: &Account) -> Result<(), Failure> {
    match command {
        Account::Add(add) => self::add(desk, add),
        Account::Authorize { name, token_file } => authorize(desk, name, token_file),
        Account::List => list(desk),
        Account::Remove { name } => remove(desk, name),
    }
}

fn add(desk: Desk<'_>, add: &AccountAdd) -> Result<(), Failure> {
    let host = desk.host_or_new()?;
    if host.accounts().exists(&add.name) {
        return Err(account::Error::Exists(add.name.clone()).into());
    }
    let token_url = token_endpoint(&host, add)?;
    let token = read_token(desk, &add.token_file)?;
    let secret = add.client_secret_file.as_deref().map(read_client_secret).transpose()?;
    // Pinned: another connector of this type cannot have the account's tokens sent elsewhere.
    let client = Client { id: add.client_id.clone(), secret, token_url: Some(token_url) };
    host.accounts().add(&add.name, &add.kind, token, client, SystemTime::now())?;
    desk.output.note(format_args!("added account `{}`; its token is sealed in the home", add.name));
    Ok(())
}

fn authorize(desk: Desk<'_>, name: &Name, token_file: &Path) -> Result<(), Failure> {
    let host = desk.host()?;
    if !host.accounts().exists(name) {
        return Err(account::Error::NotFound(name.clone()).into());
    }
    host.accounts().sign_in(name, read_token(desk, token_file)?)?;
    desk.output.note(format_args!("account `{name}` has a new token, sealed in the home"));
    Ok(())
}

/// A token as rclone keeps it.
fn read_token(desk: Desk<'_>, path: &Path) -> Result<StoredToken, Failure> {
    let text = read_secret(path)?;
    let token = StoredToken::from_rclone(text.expose()).map_err(|error| {
        Failure::new(Exit::Usage, error)
            .with_context(format!("`{}` holds no token that can be used", path.display()))
            .with_hint("give the token as rclone keeps it: `rclone config dump | jq -r .REMOTE.token`")
    })?;
    if token.refresh.is_none() {
        desk.output.warning("the token has no `refresh_token`: the account ends when it expires");
    }
    Ok(token)
}

/// Where the connector's accounts get their tokens.
fn token_endpoint(host: &Host, add: &AccountAdd) -> Result<String, Failure> {
    let reference = ConnectorReference::parse(&add.kind)
        .map_err(|problem| Failure::new(Exit::Usage, format!("`--type`: {problem}")))?;
    let (installed, manifest) = host.manifest(&reference)?;
    if installed.r#type != add.kind {
        let message = format!("`--type` is a connector's type, and `{}` is none", add.kind);
        return Err(
            Failure::new(Exit::Usage, message).with_hint(format!("write `--type {}`", installed.r#type))
        );
    }
    let Some(oauth) = &manifest.oauth else {
        let message = format!("connector `{}` needs no account", manifest.label());
        return Err(
            Failure::new(Exit::Usage, message).with_hint("create its destinations without `--account`")
        );
    };
    if add.client_id.is_none() && oauth.client_id.is_none() {
        return Err(host::Error::NoClient(manifest.label()).into());
    }
    Ok(oauth.token.clone())
}

fn read_client_secret(path: &Path) -> Result<Secret, Failure> {
    let text = read_secret(path)?;
    let secret = text.expose().trim();
    if secret.is_empty() {
        return Err(Failure::new(Exit::Usage, format!("`{}` is empty", path.display())));
    }
    Ok(Secret::new(secret.to_owned()))
}

/// The text of a file, or of stdin where it is called `-`.
fn read_secret(path: &Path) -> Result<Secret, Failure> {
    let unreadable = |problem| Failure::local("read", path, problem);
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().take(SECRET_FILE_BYTES_MAX).read_to_string(&mut text)
    } else {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(SECRET_FILE_BYTES_MAX).read_to_string(&mut text)
    };
    let secret = Secret::new(text);
    read.map_err(unreadable)?;
    Ok(secret)
}

fn remove(desk: Desk<'_>, name: &Name) -> Result<(), Failure> {
    let host = desk.host()?;
    if !host.accounts().exists(name) {
        return Err(account::Error::NotFound(name.clone()).into());
    }
    let question = format!("Remove account `{name}` and its secrets?");
    ask::confirm(desk.output, desk.global.yes, &question, Unattended::Goes)?;
    host.accounts().remove(name, || Ok::<_, Failure>(host.destinations().users_of_account(name)?))?;
    desk.output.note(format_args!("removed account `{name}`"));
    Ok(())
}

fn list(desk: Desk<'_>) -> Result<(), Failure> {
    let host = desk.host()?;
    let mut broken = None;
    let mut table = Table::new(&[
        ("NAME", Align::Left),
        ("TYPE", Align::Left),
        ("TOKEN", Align::Left),
        ("CLIENT", Align::Left),
    ]);
    for summary in host.accounts().list(SystemTime::now())? {
        match summary {
            Ok(summary) if desk.output.is_json() => desk.output.json(&AccountJson::new(&summary))?,
            Ok(summary) => table.row(row(&summary)),
            Err(error) => {
                let failure = Failure::from(error);
                desk.output.warning(failure.line());
                broken.get_or_insert(failure.exit());
            }
        }
    }
    if table.is_empty() && !desk.output.is_json() && broken.is_none() {
        desk.output.note("there are no accounts yet; see `wharf account add --help`");
    } else if !desk.output.is_json() {
        for line in table.lines() {
            desk.output.line(line)?;
        }
    }
    broken.map_or(Ok(()), |exit| Err(Failure::reported(exit)))
}

fn row(summary: &Summary) -> Vec<String> {
    vec![
        summary.name.to_string(),
        summary.connector_type.clone(),
        token(summary, SystemTime::now()),
        summary.client_id.clone().unwrap_or_else(|| "the connector's".to_owned()),
    ]
}

/// How it stands with the token, in words.
fn token(summary: &Summary, now: SystemTime) -> String {
    if let Some(until) = summary.paused_until {
        return format!("paused until {}", format::moment(format::timestamp(until)));
    }
    match (summary.refreshable, summary.expires) {
        (true, _) => "refreshed when needed".to_owned(),
        (false, Some(expires)) if expires <= now => "expired".to_owned(),
        (false, Some(expires)) => format!("until {}", format::moment(format::timestamp(expires))),
        (false, None) => "used until it is refused".to_owned(),
    }
}

/// An account as `--json` has it.
#[derive(Debug, Serialize)]
struct AccountJson<'a> {
    name: &'a Name,
    r#type: &'a str,
    client_id: Option<&'a str>,
    has_client_secret: bool,
    token_url: Option<&'a str>,
    scope: Option<&'a str>,
    refreshable: bool,
    created: jiff::Timestamp,
    refreshed: Option<jiff::Timestamp>,
    expires: Option<jiff::Timestamp>,
    paused_until: Option<jiff::Timestamp>,
}

impl<'a> AccountJson<'a> {
    fn new(summary: &'a Summary) -> Self {
        Self {
            name: &summary.name,
            r#type: &summary.connector_type,
            client_id: summary.client_id.as_deref(),
            has_client_secret: summary.has_client_secret,
            token_url: summary.token_url.as_deref(),
            scope: summary.scope.as_deref(),
            refreshable: summary.refreshable,
            created: format::timestamp(summary.created),
            refreshed: summary.refreshed.map(format::timestamp),
            expires: summary.expires.map(format::timestamp),
            paused_until: summary.paused_until.map(format::timestamp),
        }
    }
}
