//! `wharf account import`: accounts out of rclone's configuration.
//!
//! One remote that cannot be taken over does not stop the others, and is told with its reason. For each
//! that is, the command that creates its destination is printed, as data.

use std::path::Path;
use std::time::SystemTime;

use serde::Serialize;
use wharf_runtime::account::rclone::{self, CONFIG_BYTES_MAX, Remote};
use wharf_runtime::account::{Client, Method, SignedIn};
use wharf_runtime::destination::ConnectorReference;
use wharf_runtime::home::Name;
use wharf_runtime::host::{self, Host};
use wharf_runtime::manifest::Manifest;
use wharf_runtime::registry;

use super::{Desk, read_limited};
use crate::args::AccountImport;
use crate::exit::Exit;
use crate::output::harmless;
use crate::report::Failure;

/// What became of a remote.
#[derive(Debug, Serialize)]
struct Imported<'a> {
    remote: &'a str,
    r#type: &'a str,
    account: Option<Name>,
    create: Option<String>,
    problem: Option<String>,
}

/// Take over what can be.
pub(super) fn run(desk: Desk<'_>, import: &AccountImport) -> Result<(), Failure> {
    let remotes = read(&import.rclone)?;
    let named: Vec<&str> = import.remotes.iter().map(|name| name.trim_end_matches(':')).collect();
    if let Some(absent) = named.iter().find(|name| !remotes.iter().any(|remote| remote.name == **name)) {
        let message = format!("`{}` has no remote `{absent}`", import.rclone.display());
        let there: Vec<String> = remotes.iter().map(|remote| harmless(&remote.name)).collect();
        return Err(
            Failure::new(Exit::NotFound, message).with_hint(format!("it has these: {}", there.join(", ")))
        );
    }
    let host = desk.host_or_new()?;
    let mut failed = None;
    for remote in remotes.iter().filter(|remote| named.is_empty() || named.contains(&&*remote.name)) {
        let done = match manifest_of(&host, remote) {
            Ok(Some(manifest)) => one(&host, remote, &manifest).map(Some),
            Ok(None) if named.is_empty() => Ok(None),
            Ok(None) => {
                let message = format!("there is no connector for its type `{}`", harmless(&remote.kind));
                Err(Failure::new(Exit::Usage, message)
                    .with_hint("`wharf connector list` shows those there are"))
            }
            Err(failure) => Err(failure),
        };
        if let Err(failure) = &done {
            failed.get_or_insert(failure.exit());
        }
        tell(desk, remote, done)?;
    }
    failed.map_or(Ok(()), |exit| Err(Failure::reported(exit)))
}

fn read(path: &Path) -> Result<Vec<Remote>, Failure> {
    let limit = u64::try_from(CONFIG_BYTES_MAX).unwrap_or(u64::MAX);
    let text = read_limited(path, limit)?;
    rclone::parse(text.expose()).map_err(|error| {
        let hint = match &error {
            rclone::Error::Encrypted => {
                "have rclone decrypt it: `rclone config dump | wharf account import --rclone -`"
            }
            rclone::Error::Line(_)
            | rclone::Error::Json(_)
            | rclone::Error::NoToken
            | rclone::Error::Token(_)
            | rclone::Error::NoClient
            | rclone::Error::Elsewhere(_) => "`rclone config file` says where the configuration is",
        };
        let context = format!("`{}` cannot be imported", path.display());
        Failure::new(Exit::Usage, error).with_context(context).with_hint(hint)
    })
}

/// The connector for a remote; none when there is none of its type.
fn manifest_of(host: &Host, remote: &Remote) -> Result<Option<Manifest>, Failure> {
    let Ok(reference) = ConnectorReference::parse(&remote.kind) else { return Ok(None) };
    match host.manifest(&reference) {
        Ok((installed, manifest)) if installed.r#type == remote.kind && manifest.oauth.is_some() => {
            Ok(Some(manifest))
        }
        Ok(_) => Ok(None),
        Err(host::Error::Registry(registry::Error::NotInstalled(kind))) => {
            // These are known to have one.
            if ["onedrive", "dropbox"].contains(&&*kind) {
                Err(Failure::from(host::Error::Registry(registry::Error::NotInstalled(kind))))
            } else {
                Ok(None)
            }
        }
        Err(error) => Err(error.into()),
    }
}

fn one(host: &Host, remote: &Remote, manifest: &Manifest) -> Result<(Name, String), Failure> {
    let name = account_name(&remote.name)?;
    let credentials = remote.credentials().map_err(|error| {
        let hint = match &error {
            rclone::Error::NoClient | rclone::Error::NoToken | rclone::Error::Elsewhere(_) => {
                format!("sign in anew: `wharf account add {name} --type {} --client-id ID`", manifest.kind)
            }
            rclone::Error::Token(_)
            | rclone::Error::Encrypted
            | rclone::Error::Line(_)
            | rclone::Error::Json(_) => {
                format!("have rclone sign in again first: `rclone config reconnect {}:`", remote.name)
            }
        };
        Failure::new(Exit::Usage, error).with_hint(hint)
    })?;
    let client = Client {
        id: Some(credentials.client_id),
        secret: credentials.client_secret,
        token_url: manifest.oauth.as_ref().map(|oauth| oauth.token.clone()),
    };
    let signed_in = SignedIn { method: Method::Rclone, at: SystemTime::now() };
    host.accounts().add_signed_in(&name, &manifest.kind, credentials.token, client, false, &signed_in)?;
    let create = create_line(&name, remote, manifest);
    Ok((name, create))
}

/// What to call the account: as the remote, in letters that a name here has.
fn account_name(remote: &str) -> Result<Name, Failure> {
    let fits = |character: char| character.is_ascii_alphanumeric() || "._-".contains(character);
    let name: String =
        remote.chars().map(|character| if fits(character) { character } else { '-' }).collect();
    Name::parse(name.to_ascii_lowercase().trim_matches(['-', '.'])).map_err(|error| {
        let message = format!("the remote's name cannot be an account's: {error}");
        Failure::new(Exit::Usage, message).with_hint("rename it: `rclone config`")
    })
}

/// The command that creates its destination.
fn create_line(name: &Name, remote: &Remote, manifest: &Manifest) -> String {
    let mut line = format!("wharf destination create {name} --type {} --account {name}", manifest.kind);
    let drive = remote.drive_id().filter(|_| manifest.options.properties.contains_key("drive_id"));
    if let Some(drive) = drive {
        line.push_str(&format!(" --option {}", quoted(&format!("drive_id={drive}"))));
    }
    line.push_str(" --backup-directory /backups");
    line
}

/// A word of a shell's command line, that it leaves as it is.
fn quoted(word: &str) -> String {
    let is_plain = |character: char| character.is_ascii_alphanumeric() || "_-./=".contains(character);
    if word.chars().all(is_plain) {
        word.to_owned()
    } else {
        format!("'{}'", harmless(word).replace('\'', r"'\''"))
    }
}

fn tell(
    desk: Desk<'_>,
    remote: &Remote,
    done: Result<Option<(Name, String)>, Failure>,
) -> Result<(), Failure> {
    let output = desk.output;
    let label = harmless(&remote.name);
    if output.is_json() {
        let (done, problem) = match done {
            Ok(Some(done)) => (Some(done), None),
            Ok(None) => (None, Some("there is no connector of this type".to_owned())),
            Err(failure) => (None, Some(failure.line())),
        };
        let (account, create) = done.unzip();
        return Ok(output.json(&Imported {
            remote: &remote.name,
            r#type: &remote.kind,
            account,
            create,
            problem,
        })?);
    }
    match done {
        Ok(Some((name, create))) => {
            output.note(format_args!(
                "added account `{name}` from the remote `{label}`; create its destination with"
            ));
            output.line(create)?;
        }
        Ok(None) => {
            let kind = harmless(&remote.kind);
            output.note(format_args!("left out `{label}`: there is no connector for its type `{kind}`"));
        }
        Err(failure) => failure.with_context(format!("the remote `{label}` is not taken over")).print(output),
    }
    Ok(())
}
