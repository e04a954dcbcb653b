//! Where something lies: `oci://HOST[:PORT]/REPO[:TAG|@sha256:…]`, parsed once.
//!
//! What comes out can be put into an address as it is: no character in it means anything there.

use std::fmt;

use url::{Host, Url};

use crate::registry::Digest;

/// Longest name of a repository, in bytes; the specification's.
const REPOSITORY_BYTES_MAX: usize = 255;
/// Longest tag, in bytes; the specification's.
const TAG_BYTES_MAX: usize = 128;
/// What begins each.
const SCHEME: &str = "oci://";
/// The tag of a reference without one.
const USUAL_TAG: &str = "latest";

/// Why a text is no reference.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not `oci://HOST[:PORT]/REPOSITORY[:TAG|@sha256:…]`: {problem}")]
pub struct ReferenceError {
    text: String,
    problem: &'static str,
}

/// Which of what is in a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// What the registry says it is today.
    Tag(String),
    /// These very bytes.
    Digest(Digest),
}

/// A place in a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reference {
    host: String,
    repository: String,
    version: Version,
}

impl Reference {
    /// Does this text say that it is one?
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.starts_with(SCHEME)
    }

    /// Read one.
    ///
    /// # Errors
    /// Which part of it is not as it should be.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        let wrong = |problem| ReferenceError { text: crate::shown::shown(text, 200), problem };
        let rest = text.strip_prefix(SCHEME).ok_or_else(|| wrong("it begins otherwise"))?;
        let (host, path) = rest.split_once('/').ok_or_else(|| wrong("it names no repository"))?;
        let host = parse_host(host).ok_or_else(|| wrong("its host is none"))?;
        let (repository, version) = match path.split_once('@') {
            Some((repository, digest)) => {
                let digest = Some(digest).filter(|digest| digest.starts_with("sha256:"));
                let digest = digest.and_then(|digest| Digest::parse(digest).ok());
                (repository, Version::Digest(digest.ok_or_else(|| wrong("its digest is not a sha256"))?))
            }
            None => match path.split_once(':') {
                Some((repository, tag)) if is_tag(tag) => (repository, Version::Tag(tag.to_owned())),
                Some(_) => {
                    return Err(wrong("its tag has a character that tags do not have, or is too long"));
                }
                None => (path, Version::Tag(USUAL_TAG.to_owned())),
            },
        };
        if !is_repository(repository) {
            return Err(wrong("its repository is not of `a-z`, `0-9`, `.`, `_`, `-` and `/`"));
        }
        Ok(Self { host, repository: repository.to_owned(), version })
    }

    /// The host, with its port where it names one.
    #[must_use]
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The repository there.
    #[must_use]
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Which of what is in it.
    #[must_use]
    pub const fn version(&self) -> &Version {
        &self.version
    }

    /// The same place, of these very bytes.
    #[must_use]
    pub fn pinned(&self, digest: &Digest) -> Self {
        Self { version: Version::Digest(digest.clone()), ..self.clone() }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tag(tag) => formatter.write_str(tag),
            Self::Digest(digest) => write!(formatter, "{digest}"),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = match &self.version {
            Version::Tag(_) => ':',
            Version::Digest(_) => '@',
        };
        write!(formatter, "{SCHEME}{}/{}{mark}{}", self.host, self.repository, self.version)
    }
}

fn parse_host(text: &str) -> Option<String> {
    // The parser that requests go through says what the host is; a spelling that it would change is not
    // one that anybody agreed to.
    let url = Url::parse(&format!("https://{text}/")).ok()?;
    let Host::Domain(_) = url.host()? else {
        // An address is refused by the guard, with its reason, unless the operator names it.
        return is_address(text).then(|| text.to_owned());
    };
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-:".contains(&byte);
    (text.bytes().all(plain) && !text.ends_with(':')).then(|| text.to_owned())
}

fn is_address(text: &str) -> bool {
    text.parse::<std::net::SocketAddr>().is_ok()
        || text.parse::<std::net::Ipv4Addr>().is_ok()
        || text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).is_some()
}

fn is_tag(text: &str) -> bool {
    let first = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    let bytes = text.as_bytes();
    bytes.len() <= TAG_BYTES_MAX
        && bytes.first().copied().is_some_and(first)
        && bytes.iter().all(|byte| first(*byte) || b".-".contains(byte))
}

fn is_repository(text: &str) -> bool {
    text.len() <= REPOSITORY_BYTES_MAX && text.split('/').all(is_component)
}

/// Letters and digits, separated by one `.`, one or two `_`, or any number of `-`.
fn is_component(text: &str) -> bool {
    let is_word = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let ends = [text.bytes().next(), text.bytes().next_back()];
    let separators = text.split(|character: char| u8::try_from(character).is_ok_and(is_word));
    ends.iter().all(|byte| byte.is_some_and(is_word))
        && separators.filter(|separator| !separator.is_empty()).all(|separator| {
            [".", "_", "__"].contains(&separator) || separator.bytes().all(|byte| byte == b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reference_is_a_host_a_repository_and_a_version() {
        let digits = "a".repeat(64);
        let digest = format!("oci://registry.test/a@sha256:{digits}");
        let check = |text: &str, expected: &str| {
            assert_eq!(Reference::parse(text).unwrap().to_string(), expected, "{text}");
        };
        check("oci://registry.test/a", "oci://registry.test/a:latest");
        check(
            "oci://registry.test:5000/acme/one-drive:1.4.0",
            "oci://registry.test:5000/acme/one-drive:1.4.0",
        );
        check("oci://127.0.0.1:5000/a__b/c.d:_x", "oci://127.0.0.1:5000/a__b/c.d:_x");
        check("oci://[::1]:5000/a:1", "oci://[::1]:5000/a:1");
        check(&digest, &digest);
    }

    #[test]
    fn everything_else_is_refused() {
        let long = format!("oci://registry.test/{}", "a".repeat(256));
        let cases = [
            ("https://registry.test/a", "begins otherwise"),
            ("oci://registry.test", "names no repository"),
            ("oci:///a", "host"),
            ("oci://user@registry.test/a", "host"),
            ("oci://Registry.test/a", "host"),
            ("oci://registry.test:/a", "host"),
            ("oci://0x7f000001/a", "host"),
            ("oci://registry.test?/a", "host"),
            ("oci://registry.test/", "repository"),
            ("oci://registry.test/../a", "repository"),
            ("oci://registry.test/A", "repository"),
            ("oci://registry.test/a//b", "repository"),
            ("oci://registry.test/a%2fb", "repository"),
            ("oci://registry.test/a?b", "repository"),
            ("oci://registry.test/a___b", "repository"),
            ("oci://registry.test/-a", "repository"),
            (long.as_str(), "repository"),
            ("oci://registry.test/a:", "tag"),
            ("oci://registry.test/a:.b", "tag"),
            ("oci://registry.test/a:b/c", "tag"),
            ("oci://registry.test/a@sha512:00", "digest"),
            ("oci://registry.test/a@sha256:00", "digest"),
            ("oci://registry.test/a:1@sha256:00", "digest"),
        ];
        for (text, expected) in cases {
            let error =
                Reference::parse(text).map(|reference| reference.to_string()).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
