//! Accounts: whose token is used.
//!
//! An account owns its token, the lock under which it is refreshed and the pause that its service
//! asked for; destinations only name one. What the operator chose is `accounts/NAME.toml`. The
//! secrets are `accounts/NAME.sealed`, a file of their own rather than rows of the database: a rotated
//! token must be on disk before it is used, and must wait for nobody else's transaction.
//!
//! The operator's side is [`Accounts`]; the side that signs requests is [`Account`], which refreshes
//! by itself. How a token is asked for is in `message`, what is kept of it in `token`. A person signs in
//! through `sign_in`: with the answer of a page (`loopback`, or pasted) or with a device code (`device`).

mod device;
mod error;
mod export;
mod live;
mod loopback;
mod message;
mod pause;
pub mod rclone;
pub mod sign_in;
mod token;

use std::{
    fmt,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};

use self::token::Safe;
pub use self::{
    error::{Error, sign_in_hint},
    export::Exported,
    live::{Account, Credential, LOCK_WAIT, REFRESH_MARGIN, REFUSED_WINDOW},
    message::{Authorization, REPLY_BYTES_MAX, exchange_code},
    pause::{PAUSE_MAX, Paused},
    token::{Method, StoredToken, TokenError},
};
use crate::{
    clock::Clock,
    home::{Created, Home, Name, Subject},
    secret::Secret,
    vault::Vault,
};

/// Largest `accounts/NAME.toml` that is read: four short lines, with room for comments.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// How long a change of accounts waits for another one: each takes a few fsyncs.
const CONFIGURATION_WAIT: Duration = Duration::from_secs(10);

/// How the client says who it is at the token endpoint (RFC 6749, 2.3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// In the form, beside the grant.
    #[default]
    Form,
    /// In an `Authorization: Basic` header; a client without a secret falls back to the form.
    Basic,
}

/// Where tokens come from, and as which client.
#[derive(Debug, Clone)]
pub struct TokenEndpoint {
    /// The address; the transport decides whether it may be reached.
    pub url: String,
    /// The client's public name.
    pub client_id: String,
    /// The client's secret, where it has one.
    pub client_secret: Option<Secret>,
    /// Where id and secret go.
    pub auth: ClientAuth,
}

/// What an operator sets over the connector's own client.
#[derive(Debug, Clone, Default)]
pub struct Client {
    /// The operator's own client id.
    pub id: Option<String>,
    /// Its secret.
    pub secret: Option<Secret>,
    /// The token endpoint of this account. Once set, a connector's update cannot send the account's
    /// refresh token elsewhere.
    pub token_url: Option<String>,
}

/// A request for a token could not be answered.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct TransportError(pub String);

/// What carries requests for tokens: the network room, outside every guest's reach.
pub trait TokenTransport: Send + Sync + fmt::Debug {
    /// Send one `POST`, without following redirects and without sending it twice.
    /// Returns the status and at most [`REPLY_BYTES_MAX`] bytes of the body.
    fn post(
        &self,
        url: &str,
        headers: Vec<(String, String)>,
        body: Secret,
    ) -> BoxFuture<'static, Result<(u16, Vec<u8>), TransportError>>;
}

/// What may be shown of an account: no secret is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// Its name.
    pub name: Name,
    /// The type of connector it is for.
    pub connector_type: String,
    /// The operator's own client id.
    pub client_id: Option<String>,
    /// The operator's own token endpoint.
    pub token_url: Option<String>,
    /// Does the client have a secret?
    pub has_client_secret: bool,
    /// When it was added.
    pub created: SystemTime,
    /// Can its token be refreshed, or does it end for good?
    pub refreshable: bool,
    /// When the access token at hand ends; none when the service did not say.
    pub expires: Option<SystemTime>,
    /// When it was last refreshed.
    pub refreshed: Option<SystemTime>,
    /// Is it for read-only destinations alone?
    pub read_only: bool,
    /// When a person last signed in, or brought a token; none for accounts from before this was kept.
    pub signed_in: Option<SystemTime>,
    /// How that was.
    pub method: Option<Method>,
    /// What the sign-in covers, as the service said it.
    pub scope: Option<String>,
    /// Until when the service asked for silence.
    pub paused_until: Option<SystemTime>,
}

/// `accounts/NAME.toml`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    r#type: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    client_id: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    token_url: Option<String>,
    #[serde(default, skip_serializing_if = "is_false")]
    read_only: bool,
    created: jiff::Timestamp,
}

/// How a person signed in.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// By which way.
    pub method: Method,
    /// When.
    pub at: SystemTime,
}

/// The accounts of a home.
#[derive(Debug, Clone)]
pub struct Accounts {
    home: Home,
    vault: Vault,
}

impl Accounts {
    /// The accounts of this home.
    #[must_use]
    pub fn new(home: &Home, vault: &Vault) -> Self {
        Self { home: home.clone(), vault: vault.clone() }
    }

    /// Add an account from a token that was brought, durably; see [`add_signed_in`](Self::add_signed_in).
    ///
    /// # Errors
    /// [`Error::Exists`] when there is one of this name.
    pub fn add(
        &self,
        name: &Name,
        connector_type: &str,
        token: StoredToken,
        client: Client,
        now: SystemTime,
    ) -> Result<(), Error> {
        let signed_in = SignedIn { method: Method::TokenFile, at: now };
        self.add_signed_in(name, connector_type, token, client, false, &signed_in)
    }

    /// Add an account, durably; a crash leaves the whole of it or nothing that counts. One that is
    /// `read_only` serves read-only destinations alone.
    ///
    /// # Errors
    /// [`Error::Exists`] when there is one of this name.
    pub fn add_signed_in(
        &self,
        name: &Name,
        connector_type: &str,
        token: StoredToken,
        client: Client,
        read_only: bool,
        signed_in: &SignedIn,
    ) -> Result<(), Error> {
        let _configuration = self.home.lock(&Subject::Configuration, CONFIGURATION_WAIT)?;
        let _account = self.home.lock(&Subject::Account(name.clone()), LOCK_WAIT)?;
        if self.exists(name) {
            return Err(Error::Exists(name.clone()));
        }
        let file = File {
            r#type: connector_type.to_owned(),
            client_id: client.id,
            token_url: client.token_url,
            read_only,
            created: to_timestamp(signed_in.at),
        };
        let text = toml::to_string(&file).map_err(|error| file_error(name, error.to_string()))?;
        // The account is there once its file is: whatever else it needs is there before.
        self.home.accounts().remove(&pause_file(name))?;
        self.safe(name).store(&token::Secrets::of_sign_in(token, client.secret, signed_in))?;
        match self.home.accounts().create(&operator_file(name), text.as_bytes())? {
            Created::Yes => Ok(()),
            Created::Existed => Err(Error::Exists(name.clone())),
        }
    }

    /// Give an account a new sign-in, durably: until this returns the old one is there. Processes that
    /// use it find the new one at their next refresh. `client_secret` takes the place of the one it has.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such account.
    pub fn sign_in(
        &self,
        name: &Name,
        token: StoredToken,
        client_secret: Option<Secret>,
        signed_in: &SignedIn,
    ) -> Result<(), Error> {
        let _account = self.home.lock(&Subject::Account(name.clone()), LOCK_WAIT)?;
        self.file(name)?;
        let client_secret = match client_secret {
            Some(secret) => Some(secret),
            None => self.client_secret(name)?,
        };
        self.safe(name).store(&token::Secrets::of_sign_in(token, client_secret, signed_in))
    }

    /// The client's secret, as far as the secrets can be opened: a new sign-in is the remedy for those
    /// that cannot, and must not need them.
    fn client_secret(&self, name: &Name) -> Result<Option<Secret>, Error> {
        match self.safe(name).load() {
            Ok(secrets) => Ok(secrets.client_secret),
            Err(Error::Sealed(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Is this account for read-only destinations alone?
    ///
    /// # Errors
    /// [`Error::NotFound`], or when its file cannot be read.
    pub fn is_read_only(&self, name: &Name) -> Result<bool, Error> {
        Ok(self.file(name)?.read_only)
    }

    /// Where this account gets its tokens, and as which client: what the operator set for it wins over
    /// what the connector's manifest says.
    ///
    /// # Errors
    /// [`Error::NotFound`], or when its files cannot be read.
    pub fn endpoint(&self, name: &Name, manifest: TokenEndpoint) -> Result<TokenEndpoint, Error> {
        Ok(self.file(name)?.endpoint(manifest, self.client_secret(name)?.as_ref()))
    }

    /// Their names, sorted.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn names(&self) -> Result<Vec<Name>, Error> {
        let names = self.home.accounts().names()?;
        Ok(names.iter().filter_map(|name| Name::parse(name.strip_suffix(".toml")?).ok()).collect())
    }

    /// Is there one of this name?
    #[must_use]
    pub fn exists(&self, name: &Name) -> bool {
        exists(&self.home, name)
    }

    /// What may be shown of all of them; one that cannot be read does not hide the others.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn list(&self, now: SystemTime) -> Result<Vec<Result<Summary, Error>>, Error> {
        Ok(self.names()?.iter().map(|name| self.show(name, now)).collect())
    }

    /// What may be shown of one.
    ///
    /// # Errors
    /// [`Error::NotFound`], or when its files cannot be read.
    pub fn show(&self, name: &Name, now: SystemTime) -> Result<Summary, Error> {
        let file = self.file(name)?;
        let secrets = self.safe(name).load()?;
        let pause = pause::Pause::open(self.home.accounts(), &pause_file(name))?;
        Ok(Summary {
            name: name.clone(),
            connector_type: file.r#type,
            client_id: file.client_id,
            token_url: file.token_url,
            has_client_secret: secrets.client_secret.is_some(),
            created: file.created.into(),
            refreshable: secrets.token.refresh.is_some(),
            expires: secrets.token.expires,
            refreshed: secrets.refreshed,
            read_only: file.read_only,
            signed_in: secrets.signed_in,
            method: secrets.method,
            scope: secrets.token.scope,
            paused_until: pause.until(now),
        })
    }

    /// Remove an account. `users` says which destinations name it; it is asked while no destination
    /// can be created, and the account stays if there are any.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::InUse`], or what `users` says.
    pub fn remove<E: From<Error>>(
        &self,
        name: &Name,
        users: impl FnOnce() -> Result<Vec<Name>, E>,
    ) -> Result<(), E> {
        let home = &self.home;
        let _configuration = home.lock(&Subject::Configuration, CONFIGURATION_WAIT).map_err(Error::from)?;
        if !self.exists(name) {
            return Err(Error::NotFound(name.clone()).into());
        }
        let users = users()?;
        if !users.is_empty() {
            return Err(Error::InUse { name: name.clone(), users }.into());
        }
        self.forget(name)?;
        Ok(())
    }

    fn forget(&self, name: &Name) -> Result<(), Error> {
        let _account = self.home.lock(&Subject::Account(name.clone()), LOCK_WAIT)?;
        // In the opposite order of `add`: without its file the rest is nobody's.
        self.home.accounts().remove(&operator_file(name))?;
        self.home.accounts().remove(&sealed_file(name))?;
        Ok(self.home.accounts().remove(&pause_file(name))?)
    }

    /// Open an account to sign requests with. `endpoint` is what the connector's manifest says; what
    /// the operator set for the account wins over it. Open it once per process and share it.
    ///
    /// # Errors
    /// [`Error::NotFound`], or when its files cannot be read.
    pub fn open(
        &self,
        name: &Name,
        endpoint: TokenEndpoint,
        transport: Arc<dyn TokenTransport>,
        clock: Arc<dyn Clock>,
    ) -> Result<Account, Error> {
        let file = self.file(name)?;
        let safe = self.safe(name);
        let secrets = safe.load()?;
        let endpoint = file.endpoint(endpoint, secrets.client_secret.as_ref());
        let pause = pause::Pause::open(self.home.accounts(), &pause_file(name))?;
        Ok(Account::new(self.home.clone(), safe, secrets, endpoint, pause, transport, clock))
    }

    /// The type of connector that an account is for.
    ///
    /// # Errors
    /// [`Error::NotFound`], or when its file cannot be read.
    pub fn connector_type(&self, name: &Name) -> Result<String, Error> {
        Ok(self.file(name)?.r#type)
    }

    /// Seal the secrets of every account with the newest key. Returns how many were sealed anew, and the
    /// accounts whose secrets no key of the home opens; those are left as they are.
    ///
    /// # Errors
    /// When the home cannot be read or written.
    pub(crate) fn reseal(&self) -> Result<(u64, Vec<Name>), Error> {
        let (mut count, mut unopened) = (0, Vec::new());
        for name in self.names()? {
            match self.safe(&name).reseal() {
                Ok(anew) => count += u64::from(anew),
                Err(Error::Sealed(name)) => unopened.push(name),
                Err(error) => return Err(error),
            }
        }
        Ok((count, unopened))
    }

    fn file(&self, name: &Name) -> Result<File, Error> {
        let bytes = self.home.accounts().read(&operator_file(name), FILE_BYTES_MAX)?;
        let bytes = bytes.ok_or_else(|| Error::NotFound(name.clone()))?;
        crate::toml_file::parse(&bytes).map_err(|problem| file_error(name, problem))
    }

    fn safe(&self, name: &Name) -> Safe {
        Safe::new(self.home.clone(), self.vault.clone(), name.clone())
    }
}

impl File {
    fn endpoint(&self, manifest: TokenEndpoint, client_secret: Option<&Secret>) -> TokenEndpoint {
        let own_client = self.client_id.is_some();
        TokenEndpoint {
            url: self.token_url.clone().unwrap_or(manifest.url),
            client_id: self.client_id.clone().unwrap_or(manifest.client_id),
            client_secret: match client_secret {
                Some(secret) => Some(secret.clone()),
                // A secret belongs to one client id.
                None if own_client => None,
                None => manifest.client_secret,
            },
            auth: manifest.auth,
        }
    }
}

/// Is there an account of this name in the home?
pub(crate) fn exists(home: &Home, name: &Name) -> bool {
    home.accounts().has(&operator_file(name))
}

fn operator_file(name: &Name) -> String {
    format!("{name}.toml")
}

fn sealed_file(name: &Name) -> String {
    format!("{name}.sealed")
}

fn pause_file(name: &Name) -> String {
    format!("{name}.pause")
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands in a reference")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

fn file_error(name: &Name, problem: String) -> Error {
    Error::File { name: name.clone(), problem }
}

fn to_timestamp(time: SystemTime) -> jiff::Timestamp {
    let whole_seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    jiff::Timestamp::from_second(i64::try_from(whole_seconds).unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
