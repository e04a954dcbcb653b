//! `wharf account …`.

use std::io::Read as _;
use std::path::Path;
use std::time::SystemTime;

use wharf_runtime::account::{self, Client, SignedIn};
use wharf_runtime::destination::ConnectorReference;
use wharf_runtime::home::Name;
use wharf_runtime::host::{self, Host};
use wharf_runtime::manifest::{Manifest, OAuth};
use wharf_runtime::secret::Secret;

use super::Desk;
use crate::args::{Account, AccountAdd, Renewal};
use crate::ask::{self, Unattended};
use crate::exit::Exit;
use crate::report::Failure;

mod import;
mod show;
mod sign_in;

/// Largest file with a secret, in bytes: three tokens of the greatest length, and room.
const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;

/// Do what the command line says about accounts.
pub(super) fn run(desk: Desk<'_>, command: &Account) -> Result<(), Failure> {
    match command {
        Account::Add(add) => self::add(desk, add),
        Account::Authorize { name, renewal } => authorize(desk, name, renewal),
        Account::Import(import) => import::run(desk, import),
        Account::List => show::list(desk),
        Account::Show { name } => show::one(desk, name),
        Account::Remove { name } => remove(desk, name),
    }
}

fn add(desk: Desk<'_>, add: &AccountAdd) -> Result<(), Failure> {
    let host = desk.host_or_new()?;
    if host.accounts().exists(&add.name) {
        return Err(account::Error::Exists(add.name.clone()).into());
    }
    let (manifest, oauth) = sign_in_of(&host, &add.kind)?;
    if add.client_id.is_none() && oauth.client_id.is_none() {
        return Err(host::Error::NoClient(manifest.label()).into());
    }
    let secret = add.client_secret_file.as_deref().map(read_client_secret).transpose()?;
    // Pinned: another connector of this type cannot have the account's tokens sent elsewhere.
    let client = Client { id: add.client_id.clone(), secret, token_url: Some(oauth.token.clone()) };
    let application = host.application(&add.name, &manifest, &oauth, &client, add.read_only)?;
    let (token, method) = sign_in::token(desk, &host, &application, &add.sign_in)
        .map_err(|failure| failure.during(&add.name, sign_in::Of::New))?;
    let signed_in = SignedIn { method, at: SystemTime::now() };
    host.accounts().add_signed_in(&add.name, &add.kind, token, client, add.read_only, &signed_in)?;
    desk.output.note(format_args!("added account `{}`; its token is sealed in the home", add.name));
    show::added(desk, &host, &add.name)
}

/// A new sign-in. Until its token is stored, the old one stays.
pub(super) fn authorize(desk: Desk<'_>, name: &Name, renewal: &Renewal) -> Result<(), Failure> {
    let host = desk.host()?;
    if !host.accounts().exists(name) {
        return Err(account::Error::NotFound(name.clone()).into());
    }
    let secret = renewal.client_secret_file.as_deref().map(read_client_secret).transpose()?;
    let (token, method) = match &renewal.sign_in.token_file {
        // No connector is needed for that, and no client.
        Some(path) => (sign_in::read_token(desk, path)?, account::Method::TokenFile),
        None => {
            let mut application = host.application_of(name)?;
            if secret.is_some() {
                application.endpoint.client_secret.clone_from(&secret);
            }
            sign_in::token(desk, &host, &application, &renewal.sign_in)
                .map_err(|failure| failure.during(name, sign_in::Of::Known))?
        }
    };
    host.accounts().sign_in(name, token, secret, &SignedIn { method, at: SystemTime::now() })?;
    desk.output.note(format_args!("account `{name}` has a new token, sealed in the home"));
    show::added(desk, &host, name)
}

/// How accounts of a connector sign in.
fn sign_in_of(host: &Host, kind: &str) -> Result<(Manifest, OAuth), Failure> {
    let reference = ConnectorReference::parse(kind)
        .map_err(|problem| Failure::new(Exit::Usage, format!("`--type`: {problem}")))?;
    let (installed, manifest) = host.manifest(&reference)?;
    if installed.r#type != kind {
        let message = format!("`--type` is a connector's type, and `{kind}` is none");
        return Err(
            Failure::new(Exit::Usage, message).with_hint(format!("write `--type {}`", installed.r#type))
        );
    }
    match manifest.oauth.clone() {
        Some(oauth) => Ok((manifest, oauth)),
        None => Err(host::Error::NoSignIn(manifest.label()).into()),
    }
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
    read_limited(path, SECRET_FILE_BYTES_MAX)
}

pub(super) fn read_limited(path: &Path, bytes_max: u64) -> Result<Secret, Failure> {
    let unreadable = |problem| Failure::local("read", path, problem);
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().take(bytes_max).read_to_string(&mut text)
    } else {
        let file = std::fs::File::open(path).map_err(unreadable)?;
        file.take(bytes_max).read_to_string(&mut text)
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
