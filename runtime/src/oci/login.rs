//! Who one is to a registry: names and passwords, and the question that asks for them.
//!
//! They come from a file as `docker login` writes it, by the registry's host. Programs that such a file
//! names (`credsStore`, `credHelpers`) are not run. What a registry asks for is read from its
//! `WWW-Authenticate` header; where a token is to be had is the registry's word, so the guard looks at it.

use std::collections::BTreeMap;

use base64::{Engine as _, engine::general_purpose::STANDARD as BASE64};
use http::{HeaderMap, HeaderValue, header::WWW_AUTHENTICATE};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::{hint::Hint, secret::Secret};

/// Largest file with logins, in bytes: hundreds of registries.
pub const CONFIG_BYTES_MAX: usize = 256 * 1024;
/// Longest challenge that is looked at, in bytes: those of real registries have 300.
const CHALLENGE_BYTES_MAX: usize = 4 * 1024;
/// Longest name with its password, in bytes: some registries take tokens as passwords.
const LOGIN_BYTES_MAX: usize = 16 * 1024;

/// Why a file with logins is of no use, as the end of a sentence.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LoginError {
    /// Not as `docker login` writes it.
    #[error("is not a file as `docker login` writes it (line {line}, column {column})")]
    Malformed {
        /// Where.
        line: usize,
        /// Where in it.
        column: usize,
    },
    /// The entry of this registry.
    #[error("has an entry for `{host}` that is no name and password: {problem}")]
    Entry {
        /// Which registry.
        host: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// No entry, but a program that may have one.
    #[error("leaves the login of `{0}` to another program, which Wharf does not run")]
    Program(String),
}

impl Hint for LoginError {
    fn hint(&self) -> Option<String> {
        Some(
            "write a file with `{\"auths\": {\"HOST\": {\"auth\": \"BASE64 OF NAME:PASSWORD\"}}}` and name it with `--registry-config`"
                .to_owned(),
        )
    }
}

/// A name and a password.
#[derive(Debug, Clone)]
pub struct Login(Secret);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    creds_store: Option<String>,
    #[serde(default)]
    cred_helpers: BTreeMap<String, String>,
}

#[derive(Default, Deserialize)]
struct Entry {
    #[serde(default)]
    auth: Zeroizing<String>,
    #[serde(default)]
    username: Zeroizing<String>,
    #[serde(default)]
    password: Zeroizing<String>,
    #[serde(default)]
    identitytoken: Zeroizing<String>,
}

impl Login {
    /// A name and a password, as they were given.
    #[must_use]
    pub fn new(name: &str, password: &Secret) -> Self {
        Self(Secret::new(format!("{name}:{}", password.expose())))
    }

    /// The login of a registry in a file as `docker login` writes it; none where it has none.
    ///
    /// # Errors
    /// When the file, or its entry for this registry, is not of that form. Nothing of it is repeated.
    pub fn from_config(text: &Secret, host: &str) -> Result<Option<Self>, LoginError> {
        let malformed = |line, column| LoginError::Malformed { line, column };
        if text.expose().len() > CONFIG_BYTES_MAX {
            return Err(malformed(0, CONFIG_BYTES_MAX));
        }
        let config: Config =
            serde_json::from_str(text.expose()).map_err(|error| malformed(error.line(), error.column()))?;
        let spellings = [host.to_owned(), format!("https://{host}"), format!("http://{host}")];
        let entry = spellings.iter().find_map(|spelling| config.auths.get(spelling));
        let entry = entry.filter(|entry| !entry.is_empty());
        match entry {
            Some(entry) => entry.login(host).map(Some),
            None if config.creds_store.is_some() || config.cred_helpers.contains_key(host) => {
                Err(LoginError::Program(host.to_owned()))
            }
            None => Ok(None),
        }
    }

    /// As a header says it.
    pub(super) fn header(&self) -> Option<HeaderValue> {
        let text = Zeroizing::new(format!("Basic {}", BASE64.encode(self.0.expose())));
        secret_header(&text)
    }
}

impl Entry {
    fn is_empty(&self) -> bool {
        [&self.auth, &self.username, &self.password, &self.identitytoken].iter().all(|text| text.is_empty())
    }

    fn login(&self, host: &str) -> Result<Login, LoginError> {
        let wrong = |problem| LoginError::Entry { host: host.to_owned(), problem };
        if !self.identitytoken.is_empty() {
            return Err(wrong("it holds an identity token"));
        }
        let pair = if self.auth.is_empty() {
            Zeroizing::new(format!("{}:{}", *self.username, *self.password))
        } else {
            let bytes = BASE64.decode(self.auth.as_bytes()).map_err(|_| wrong("`auth` is not base64"))?;
            Zeroizing::new(String::from_utf8(bytes).map_err(|_| wrong("`auth` is no text"))?)
        };
        let is_named = pair.split_once(':').is_some_and(|(name, _)| !name.is_empty());
        if !is_named || pair.len() > LOGIN_BYTES_MAX {
            return Err(wrong("`auth` is not NAME:PASSWORD"));
        }
        Ok(Login(Secret::new(pair.to_string())))
    }
}

/// A header that no log shows.
pub(super) fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What a registry asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Challenge {
    /// A token, to be had there.
    Bearer {
        /// From which address.
        realm: String,
        /// For which service.
        service: Option<String>,
    },
    /// A name and a password.
    Basic,
}

impl Challenge {
    /// The first of those in a reply that is known here; a token before a password.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let texts = headers.get_all(WWW_AUTHENTICATE).iter().filter_map(|value| value.to_str().ok());
        let texts: Vec<&str> = texts.filter(|text| text.len() <= CHALLENGE_BYTES_MAX).collect();
        let bearer = texts.iter().find_map(|text| {
            let values = parameters(after_scheme(text, "bearer")?)?;
            let value =
                |name: &str| values.iter().find(|(found, _)| found == name).map(|(_, value)| value.clone());
            Some(Self::Bearer { realm: value("realm")?, service: value("service") })
        });
        let basic = || texts.iter().any(|text| after_scheme(text, "basic").is_some());
        bearer.or_else(|| basic().then_some(Self::Basic))
    }
}

fn after_scheme<'a>(text: &'a str, scheme: &str) -> Option<&'a str> {
    let (found, rest) = text.trim().split_once(' ').unwrap_or((text.trim(), ""));
    found.eq_ignore_ascii_case(scheme).then_some(rest)
}

/// `a="b",c=d` as pairs, names in lower case; none when it is not of that form.
fn parameters(text: &str) -> Option<Vec<(String, String)>> {
    let mut pairs = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let (value, after) = match after.trim_start().strip_prefix('"') {
            Some(quoted) => unquote(quoted)?,
            None => {
                let end = after.find(',').unwrap_or(after.len());
                let (value, after) = after.split_at(end);
                (value.trim().to_owned(), after)
            }
        };
        pairs.push((name.trim().to_ascii_lowercase(), value));
        rest = after.trim_start();
        rest = match rest.strip_prefix(',') {
            Some(more) => more.trim_start(),
            None if rest.is_empty() => rest,
            None => return None,
        };
    }
    Some(pairs)
}

/// A text up to its closing quote, and what follows that.
fn unquote(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, text.get(at + 1..)?)),
            '\\' => value.push(characters.next()?.1),
            other => value.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn challenge(texts: &[&'static str]) -> Option<Challenge> {
        let mut headers = HeaderMap::new();
        for text in texts {
            headers.append(WWW_AUTHENTICATE, HeaderValue::from_static(text));
        }
        Challenge::of(&headers)
    }

    #[test]
    fn a_challenge_names_where_a_token_is_to_be_had() {
        let bearer = |realm: &str, service: Option<&str>| {
            Some(Challenge::Bearer { realm: realm.to_owned(), service: service.map(str::to_owned) })
        };
        let realm = "https://auth.test/token";
        let text = r#"Bearer realm="https://auth.test/token",service="registry.test",scope="repository:a:pull,push""#;
        assert_eq!(challenge(&[text]), bearer(realm, Some("registry.test")));
        let text = r#"bearer  scope="a, b", realm="https://auth.test/token" , service=x"#;
        assert_eq!(challenge(&["Basic realm=\"x\"", text]), bearer(realm, Some("x")));
        assert_eq!(challenge(&[r#"Bearer realm="a\"b""#]), bearer("a\"b", None));
        assert_eq!(challenge(&["BASIC realm=\"x\""]), Some(Challenge::Basic));
        for text in
            ["Bearer", "Bearer realm", r#"Bearer realm="x"#, r#"Bearer realm="x"y"#, "Digest realm=x", ""]
        {
            assert_eq!(challenge(&[text]), None, "{text}");
        }
    }

    #[test]
    fn a_login_is_found_by_its_host() {
        let of = |text: &str, host: &str| {
            let found = Login::from_config(&Secret::new(text.to_owned()), host);
            found
                .map(|login| login.map(|login| login.0.expose().to_owned()))
                .map_err(|error| error.to_string())
        };
        let auths = r#"{"auths":{"a.test":{"auth":"bmFtZTpwYXNz"},"https://b.test":{"username":"u","password":"p:q"},"c.test":{}}}"#;
        assert_eq!(of(auths, "a.test").unwrap().as_deref(), Some("name:pass"));
        assert_eq!(of(auths, "b.test").unwrap().as_deref(), Some("u:p:q"));
        assert_eq!(of(auths, "c.test"), Ok(None));
        assert_eq!(of(auths, "a.test:5000"), Ok(None));
        assert_eq!(of("{}", "a.test"), Ok(None));
        let refused = |text: &str, expected: &str| {
            let error = of(text, "a.test").unwrap_err();
            assert!(error.contains(expected) && !error.contains("geheim"), "{text}: {error}");
        };
        refused(r#"{"auths":{"a.test":{"auth":"geheim!"}}}"#, "base64");
        refused(r#"{"auths":{"a.test":{"auth":"OnBhc3M="}}}"#, "NAME:PASSWORD");
        refused(r#"{"auths":{"a.test":{"identitytoken":"geheim"}}}"#, "identity token");
        refused(r#"{"credsStore":"desktop"}"#, "another program");
        refused(r#"{"auths":["geheim"]}"#, "line 1");
    }
}
