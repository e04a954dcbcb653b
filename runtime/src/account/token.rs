//! A token, and the safe that keeps it.
//!
//! Tokens come from a sign-in, a refresh, or rclone's configuration. At rest they are one sealed file
//! per account, bound to the account's name, replaced as a whole.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{Error, SignedIn, sealed_file};
use crate::{
    home::{Home, Name},
    secret::Secret,
    vault::{Purpose, Vault},
};

/// Longest token taken from anywhere, in bytes; Microsoft's reach 4 KiB, and a header must hold it.
const TOKEN_BYTES_MAX: usize = 16 * 1024;

/// Largest sealed file: three secrets of that length, and a few numbers.
const SEALED_BYTES_MAX: u64 = 64 * 1024;

/// Why a text is not a token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// No JSON object, or not with these members.
    #[error("this is not a token as rclone keeps it, a JSON object with `access_token`: {0}")]
    Shape(String),
    /// Neither token is there.
    #[error("the token has neither `access_token` nor `refresh_token`")]
    Empty,
    /// A token that no header could carry.
    #[error("`{0}` has a character that no token has, or is longer than {TOKEN_BYTES_MAX} bytes")]
    Characters(&'static str),
    /// Not to be sent as a bearer token.
    #[error("the token is of type `{0}`; only `bearer` is known here")]
    Type(String),
    /// A moment that is none.
    #[error("`expiry` is not a moment like `2026-01-31T12:00:00Z`: {0}")]
    Expiry(String),
}

/// A token, with what is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredToken {
    /// What signs requests; empty when it must be refreshed first.
    pub access: Secret,
    /// What gets the next one; without it the account signs in again when `access` ends.
    pub refresh: Option<Secret>,
    /// When `access` ends; none when the service did not say.
    pub expires: Option<SystemTime>,
    /// How long it was good for when it was new, where that is known.
    pub lifetime: Option<Duration>,
    /// What it covers, as the service said it.
    pub scope: Option<String>,
}

/// How a person gave an account its token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// A file with a token that was got elsewhere.
    TokenFile,
    /// rclone's configuration.
    Rclone,
    /// A browser on this machine, whose answer came back by itself.
    Browser,
    /// A browser anywhere, whose answer was pasted.
    Pasted,
    /// A device code.
    DeviceCode,
}

/// A token as rclone (Go's `oauth2`) keeps it; it may have more members than these.
#[derive(Deserialize)]
struct Rclone {
    #[serde(default)]
    access_token: Zeroizing<String>,
    #[serde(default)]
    token_type: String,
    #[serde(default)]
    refresh_token: Zeroizing<String>,
    #[serde(default)]
    expiry: String,
}

impl StoredToken {
    /// Read the `token` of an rclone remote, JSON as rclone keeps it. A missing or zero `expiry` means
    /// that the token is used until it is refused.
    ///
    /// # Errors
    /// When it is not such a token; the error does not repeat any of it.
    pub fn from_rclone(json: &str) -> Result<Self, TokenError> {
        let json = json.trim();
        if !json.starts_with('{') {
            return Err(TokenError::Shape("it begins otherwise".to_owned()));
        }
        let token: Rclone = serde_json::from_str(json).map_err(|error| {
            TokenError::Shape(format!("line {}, column {}", error.line(), error.column()))
        })?;
        if !token.token_type.is_empty() && !token.token_type.eq_ignore_ascii_case("bearer") {
            return Err(TokenError::Type(
                token.token_type.chars().filter(|c| !c.is_control()).take(32).collect(),
            ));
        }
        let expires = parse_expiry(&token.expiry)?;
        let refresh = (!token.refresh_token.is_empty()).then(|| Secret::new(token.refresh_token.to_string()));
        Self {
            access: Secret::new(token.access_token.to_string()),
            refresh,
            expires,
            lifetime: None,
            scope: None,
        }
        .checked()
    }

    /// Check that the tokens can travel in a header and a form.
    ///
    /// # Errors
    /// When one has an impossible character or length, or there is none at all.
    pub fn checked(mut self) -> Result<Self, TokenError> {
        let is_plain = |secret: &Secret| {
            secret.expose().len() <= TOKEN_BYTES_MAX
                && secret.expose().bytes().all(|byte| byte.is_ascii_graphic())
        };
        if !is_plain(&self.access) {
            return Err(TokenError::Characters("access_token"));
        }
        if !self.refresh.as_ref().is_none_or(is_plain) {
            return Err(TokenError::Characters("refresh_token"));
        }
        if self.access.expose().is_empty() {
            if self.refresh.is_none() {
                return Err(TokenError::Empty);
            }
            self.expires = Some(SystemTime::UNIX_EPOCH);
        }
        Ok(self)
    }
}

fn parse_expiry(text: &str) -> Result<Option<SystemTime>, TokenError> {
    if text.is_empty() {
        return Ok(None);
    }
    let moment: jiff::Timestamp =
        text.parse().map_err(|error: jiff::Error| TokenError::Expiry(error.to_string()))?;
    // Go's zero time, the year 1, says "no expiry".
    if moment.as_second() <= 0 { Ok(None) } else { Ok(Some(moment.into())) }
}

/// Everything secret about an account.
#[derive(Debug, Clone)]
pub(super) struct Secrets {
    pub(super) token: StoredToken,
    pub(super) client_secret: Option<Secret>,
    /// When the token was last refreshed; none for one that came from a sign-in.
    pub(super) refreshed: Option<SystemTime>,
    /// When a person last signed in; none where that was before it was kept.
    pub(super) signed_in: Option<SystemTime>,
    /// How.
    pub(super) method: Option<Method>,
}

impl Secrets {
    /// What is kept of a sign-in.
    pub(super) fn of_sign_in(
        token: StoredToken,
        client_secret: Option<Secret>,
        signed_in: &SignedIn,
    ) -> Self {
        let (signed_in, method) = (Some(signed_in.at), Some(signed_in.method));
        Self { token, client_secret, refreshed: None, signed_in, method }
    }

    /// As text that [`decode`](Self::decode) takes.
    pub(super) fn encode(&self) -> Option<Zeroizing<Vec<u8>>> {
        let text = |secret: &Secret| Zeroizing::new(secret.expose().to_owned());
        let sealed = Sealed {
            access: text(&self.token.access),
            refresh: self.token.refresh.as_ref().map(text),
            expires_ms: self.token.expires.map(milliseconds),
            lifetime_ms: self.token.lifetime.map(|lifetime| saturating(lifetime.as_millis())),
            scope: self.token.scope.clone(),
            client_secret: self.client_secret.as_ref().map(text),
            refreshed_ms: self.refreshed.map(milliseconds),
            signed_in_ms: self.signed_in.map(milliseconds),
            method: self.method,
        };
        // Room from the start: growing would leave copies of secrets behind.
        let mut plaintext = Zeroizing::new(Vec::with_capacity(4 * TOKEN_BYTES_MAX));
        serde_json::to_writer(&mut *plaintext, &sealed).ok()?;
        Some(plaintext)
    }

    /// What was encoded; none if it is anything else.
    pub(super) fn decode(text: &[u8]) -> Option<Self> {
        let sealed: Sealed = serde_json::from_slice(text).ok()?;
        let secret = |text: Zeroizing<String>| Secret::new(text.to_string());
        Some(Self {
            token: StoredToken {
                access: secret(sealed.access),
                refresh: sealed.refresh.map(secret),
                expires: sealed.expires_ms.map(moment),
                lifetime: sealed.lifetime_ms.map(Duration::from_millis),
                scope: sealed.scope,
            },
            client_secret: sealed.client_secret.map(secret),
            refreshed: sealed.refreshed_ms.map(moment),
            signed_in: sealed.signed_in_ms.map(moment),
            method: sealed.method,
        })
    }
}

/// [`Secrets`] as they are sealed.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Sealed {
    access: Zeroizing<String>,
    refresh: Option<Zeroizing<String>>,
    expires_ms: Option<u64>,
    lifetime_ms: Option<u64>,
    scope: Option<String>,
    client_secret: Option<Zeroizing<String>>,
    refreshed_ms: Option<u64>,
    // Not in what earlier versions sealed.
    signed_in_ms: Option<u64>,
    method: Option<Method>,
}

/// Where the secrets of one account lie.
#[derive(Debug, Clone)]
pub(super) struct Safe {
    home: Home,
    vault: Vault,
    name: Name,
}

impl Safe {
    pub(super) const fn new(home: Home, vault: Vault, name: Name) -> Self {
        Self { home, vault, name }
    }

    pub(super) const fn name(&self) -> &Name {
        &self.name
    }

    /// Open it.
    pub(super) fn load(&self) -> Result<Secrets, Error> {
        let damaged = || Error::Sealed(self.name.clone());
        let sealed = self.home.accounts().read(&sealed_file(&self.name), SEALED_BYTES_MAX)?;
        let sealed = sealed.ok_or_else(damaged)?;
        let opened = self.vault.unseal(Purpose::Account, self.name.as_str().as_bytes(), &sealed);
        // Whatever the reason, it does not open.
        let opened = opened.map_err(|_| damaged())?;
        Secrets::decode(&opened).ok_or_else(damaged)
    }

    /// Seal what it holds with the newest key; whether it was sealed with another.
    pub(super) fn reseal(&self) -> Result<bool, Error> {
        let damaged = || Error::Sealed(self.name.clone());
        let file = sealed_file(&self.name);
        let sealed = self.home.accounts().read(&file, SEALED_BYTES_MAX)?.ok_or_else(damaged)?;
        let bound_to = self.name.as_str().as_bytes();
        let anew = self.vault.reseal(Purpose::Account, bound_to, &sealed).map_err(|_| damaged())?;
        let Some(anew) = anew else { return Ok(false) };
        self.home.accounts().write(&file, &anew)?;
        Ok(true)
    }

    /// Replace what it holds, durably.
    pub(super) fn store(&self, secrets: &Secrets) -> Result<(), Error> {
        let plaintext = secrets.encode().ok_or_else(|| Error::Sealed(self.name.clone()))?;
        let sealed = self.vault.seal(Purpose::Account, self.name.as_str().as_bytes(), &plaintext)?;
        Ok(self.home.accounts().write(&sealed_file(&self.name), &sealed)?)
    }
}

fn moment(milliseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds)
}

fn milliseconds(moment: SystemTime) -> u64 {
    saturating(moment.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_millis())
}

fn saturating(number: u128) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
