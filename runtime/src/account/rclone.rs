//! rclone's configuration, as far as it is about accounts.
//!
//! It reads `rclone.conf`, what `rclone config show` prints (both INI) and what `rclone config dump` prints
//! (JSON), and takes over what signs in: token, client, and the drive. It asks rclone for nothing and
//! decrypts nothing. Client secrets lie there in clear: of the services known here rclone hides none.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{StoredToken, TokenError};
use crate::secret::Secret;

/// Largest configuration that is read: hundreds of remotes with the longest tokens.
pub const CONFIG_BYTES_MAX: usize = 4 * 1024 * 1024;

/// How an encrypted configuration begins, after a comment.
const ENCRYPTED: &str = "RCLONE_ENCRYPT_V";

/// Why a configuration, or one remote of it, is not taken over. No value of it is repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It has a password.
    #[error("this rclone configuration is encrypted")]
    Encrypted,
    /// Neither INI nor JSON.
    #[error("this is no rclone configuration: line {0} is neither `[NAME]` nor `KEY = VALUE`")]
    Line(usize),
    /// JSON, but not what rclone prints.
    #[error("this is not what `rclone config dump` prints: {0}")]
    Json(String),
    /// It was never signed in.
    #[error("it has no token")]
    NoToken,
    /// A token that cannot be used.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// rclone's own application, which is not ours to use.
    #[error("it was signed in as rclone itself, without a `client_id` of its own")]
    NoClient,
    /// A national cloud, an own endpoint.
    #[error("its `{0}` is set, which the connector does not know")]
    Elsewhere(&'static str),
}

/// One remote. Its secrets cannot print.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Remote {
    /// What rclone calls it.
    pub name: String,
    /// Its type, in rclone's words.
    pub kind: String,
    values: BTreeMap<String, Secret>,
}

/// What signs in.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The token.
    pub token: StoredToken,
    /// The application that it was issued to.
    pub client_id: String,
    /// Its secret.
    pub client_secret: Option<Secret>,
}

/// Read a configuration.
///
/// # Errors
/// When it is encrypted, or none.
pub fn parse(text: &str) -> Result<Vec<Remote>, Error> {
    let text = text.trim_start_matches('\u{feff}');
    if text.lines().any(|line| line.starts_with(ENCRYPTED)) {
        return Err(Error::Encrypted);
    }
    if text.trim_start().starts_with('{') { parse_json(text) } else { parse_ini(text) }
}

fn parse_ini(text: &str) -> Result<Vec<Remote>, Error> {
    let mut remotes: Vec<Remote> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
            remotes.push(Remote::new(name.trim()));
            continue;
        }
        let (key, value) = line.split_once('=').ok_or(Error::Line(number))?;
        remotes.last_mut().ok_or(Error::Line(number))?.set(key.trim(), value.trim());
    }
    Ok(remotes)
}

fn parse_json(text: &str) -> Result<Vec<Remote>, Error> {
    let wrong =
        |error: serde_json::Error| Error::Json(format!("line {}, column {}", error.line(), error.column()));
    let all: BTreeMap<String, BTreeMap<String, Value>> = serde_json::from_str(text).map_err(wrong)?;
    let remotes = all.into_iter().map(|(name, values)| {
        let mut remote = Remote::new(&name);
        for (key, value) in values {
            match value {
                Value::String(text) => remote.set(&key, &text),
                value @ (Value::Bool(_) | Value::Number(_)) => remote.set(&key, &value.to_string()),
                Value::Null | Value::Array(_) | Value::Object(_) => {}
            }
        }
        remote
    });
    Ok(remotes.collect())
}

impl Remote {
    fn new(name: &str) -> Self {
        Self { name: name.to_owned(), kind: String::new(), values: BTreeMap::new() }
    }

    fn set(&mut self, key: &str, value: &str) {
        if key == "type" {
            value.clone_into(&mut self.kind);
        }
        self.values.insert(key.to_owned(), Secret::new(value.to_owned()));
    }

    fn get(&self, key: &str) -> Option<&Secret> {
        self.values.get(key).filter(|value| !value.expose().is_empty())
    }

    /// The drive that it is for, where it names one. No secret.
    #[must_use]
    pub fn drive_id(&self) -> Option<&str> {
        self.get("drive_id").map(Secret::expose)
    }

    /// What signs it in.
    ///
    /// # Errors
    /// When it has no token, no client of its own, or another service's address.
    pub fn credentials(&self) -> Result<Credentials, Error> {
        for key in ["auth_url", "token_url", "tenant_url", "tenant"] {
            if self.get(key).is_some() {
                return Err(Error::Elsewhere(key));
            }
        }
        if self.get("region").is_some_and(|region| region.expose() != "global") {
            return Err(Error::Elsewhere("region"));
        }
        let token = self.get("token").ok_or(Error::NoToken)?;
        let token = StoredToken::from_rclone(token.expose())?;
        let client_id = self.get("client_id").ok_or(Error::NoClient)?.expose().to_owned();
        Ok(Credentials { token, client_id, client_secret: self.get("client_secret").cloned() })
    }
}

#[cfg(test)]
#[path = "tests/rclone.rs"]
mod tests;
