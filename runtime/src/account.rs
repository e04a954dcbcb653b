//! Accounts: whose token is used.
//!
//! An account owns its token, the lock under which it is refreshed and the pause that its service
//! asked for; destinations only name one. What the operator chose is `accounts/NAME.toml`. The
//! secrets are `accounts/NAME.sealed`, a file of their own rather than rows of the database: a rotated
//! token must be on disk before it is used, and must wait for nobody else's transaction.
//!
//! The operator's side is [`Accounts`]; the side that signs requests is [`Account`], which refreshes
//! by itself. How a token is asked for is in `message`, what is kept of it in `token`.

mod live;
mod message;
mod pause;
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
    live::{Account, Credential, LOCK_WAIT, REFRESH_MARGIN, REFUSED_WINDOW},
    message::{Authorization, REPLY_BYTES_MAX, exchange_code},
    pause::{PAUSE_MAX, Paused},
    token::{StoredToken, TokenError},
};
use crate::{
    clock::Clock,
    hint::Hint,
    home::{self, Created, Home, Name, Subject},
    secret::Secret,
    vault::{self, Vault},
};

/// Largest `accounts/NAME.toml` that is read: four short lines, with room for comments.
const FILE_BYTES_MAX: u64 = 16 * 1024;

/// How long a change of accounts waits for another one: each takes a few fsyncs.
const CONFIGURATION_WAIT: Duration = Duration::from_secs(10);

/// What can be wrong with an account.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// There is no account of this name.
    #[error("there is no account `{0}`")]
    NotFound(Name),
    /// There is one already.
    #[error("there is an account `{0}` already")]
    Exists(Name),
    /// Destinations name it.
    #[error("account `{name}` is used by {}", list(.users))]
    InUse {
        /// The account.
        name: Name,
        /// The destinations that name it.
        users: Vec<Name>,
    },
    /// `accounts/NAME.toml` is not what it should be.
    #[error("`accounts/{name}.toml` {problem}")]
    File {
        /// The account.
        name: Name,
        /// What is wrong, and where.
        problem: String,
    },
    /// The sealed secrets do not open with this home's key.
    #[error("the secrets of account `{0}` are missing, damaged or sealed with another key")]
    Sealed(Name),
    /// The connector's token endpoint cannot be used as it is.
    #[error("account `{account}` cannot use the token endpoint: {problem}")]
    Endpoint {
        /// The account.
        account: Name,
        /// What is wrong with it.
        problem: String,
    },
    /// Only a person can help: the sign-in expired, was revoked or needs consent.
    #[error("account `{account}` must sign in again: {reason}")]
    SignInAgain {
        /// The account.
        account: Name,
        /// What the service said, shortened, without secrets.
        reason: String,
    },
    /// The service does not accept the client id or secret.
    #[error("the service refuses the client of account `{account}`: {reason}")]
    ClientRefused {
        /// The account.
        account: Name,
        /// What the service said, shortened, without secrets.
        reason: String,
    },
    /// A token that was refreshed a moment ago is refused again; refreshing once more would not help.
    #[error("the service refuses account `{account}` although its token was refreshed {} s ago", .age.as_secs())]
    StillRefused {
        /// The account.
        account: Name,
        /// How long ago.
        age: Duration,
    },
    /// No new token for now; trying later may help.
    #[error("no new token for account `{account}` for now: {reason}")]
    Unavailable {
        /// The account.
        account: Name,
        /// What happened.
        reason: String,
    },
    /// The home cannot be read or written.
    #[error(transparent)]
    Home(Arc<home::Error>),
    /// The secrets cannot be sealed.
    #[error(transparent)]
    Vault(Arc<vault::Error>),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound(_) => Some("run `wharf account list` to see which there are".to_owned()),
            Self::Exists(name) => Some(format!(
                "run `wharf account authorize {name} --token-file FILE` to give it a new sign-in"
            )),
            Self::InUse { .. } => Some("delete those destinations first".to_owned()),
            Self::SignInAgain { account, .. } | Self::Sealed(account) => {
                Some(format!("run `wharf account authorize {account} --token-file FILE`"))
            }
            Self::ClientRefused { account, .. } => {
                Some(format!("check `client_id` in `accounts/{account}.toml`, and the client's secret"))
            }
            Self::StillRefused { account, .. } => Some(format!(
                "if this lasts, the sign-in lacks a permission or was revoked: run `wharf account authorize {account} --token-file FILE`"
            )),
            Self::Home(error) => error.hint(),
            Self::Vault(error) => error.hint(),
            Self::File { .. } | Self::Endpoint { .. } | Self::Unavailable { .. } => None,
        }
    }
}

impl From<home::Error> for Error {
    fn from(error: home::Error) -> Self {
        Self::Home(Arc::new(error))
    }
}

impl From<vault::Error> for Error {
    fn from(error: vault::Error) -> Self {
        Self::Vault(Arc::new(error))
    }
}

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
    created: jiff::Timestamp,
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

    /// Add an account, durably; a crash leaves the whole of it or nothing that counts.
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
        let _configuration = self.home.lock(&Subject::Configuration, CONFIGURATION_WAIT)?;
        let _account = self.home.lock(&Subject::Account(name.clone()), LOCK_WAIT)?;
        if self.exists(name) {
            return Err(Error::Exists(name.clone()));
        }
        let file = File {
            r#type: connector_type.to_owned(),
            client_id: client.id,
            token_url: client.token_url,
            created: to_timestamp(now),
        };
        let text = toml::to_string(&file).map_err(|error| file_error(name, error.to_string()))?;
        // The account is there once its file is: whatever else it needs is there before.
        self.home.accounts().remove(&pause_file(name))?;
        self.safe(name).store(&token::Secrets { token, client_secret: client.secret, refreshed: None })?;
        match self.home.accounts().create(&operator_file(name), text.as_bytes())? {
            Created::Yes => Ok(()),
            Created::Existed => Err(Error::Exists(name.clone())),
        }
    }

    /// Give an account a new sign-in, durably. Processes that use it find it at their next refresh.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such account.
    pub fn sign_in(&self, name: &Name, token: StoredToken) -> Result<(), Error> {
        let _account = self.home.lock(&Subject::Account(name.clone()), LOCK_WAIT)?;
        self.file(name)?;
        let safe = self.safe(name);
        let client_secret = match safe.load() {
            Ok(secrets) => secrets.client_secret,
            // This is the remedy for secrets that cannot be opened; it must not need them.
            Err(Error::Sealed(_)) => None,
            Err(error) => return Err(error),
        };
        safe.store(&token::Secrets { token, client_secret, refreshed: None })
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
        let own_client = file.client_id.is_some();
        let endpoint = TokenEndpoint {
            url: file.token_url.unwrap_or(endpoint.url),
            client_id: file.client_id.unwrap_or(endpoint.client_id),
            client_secret: match &secrets.client_secret {
                Some(secret) => Some(secret.clone()),
                // A secret belongs to one client id.
                None if own_client => None,
                None => endpoint.client_secret,
            },
            auth: endpoint.auth,
        };
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

    fn file(&self, name: &Name) -> Result<File, Error> {
        let bytes = self.home.accounts().read(&operator_file(name), FILE_BYTES_MAX)?;
        let bytes = bytes.ok_or_else(|| Error::NotFound(name.clone()))?;
        crate::toml_file::parse(&bytes).map_err(|problem| file_error(name, problem))
    }

    fn safe(&self, name: &Name) -> Safe {
        Safe::new(self.home.clone(), self.vault.clone(), name.clone())
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

fn file_error(name: &Name, problem: String) -> Error {
    Error::File { name: name.clone(), problem }
}

fn to_timestamp(time: SystemTime) -> jiff::Timestamp {
    let whole_seconds = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
    jiff::Timestamp::from_second(i64::try_from(whole_seconds).unwrap_or_default()).unwrap_or_default()
}

fn list(users: &[Name]) -> String {
    let quoted: Vec<_> = users.iter().map(|name| format!("`{name}`")).collect();
    quoted.join(", ")
}

#[cfg(test)]
mod tests;
