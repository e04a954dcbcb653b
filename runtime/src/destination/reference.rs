//! `TYPE`, `ID` or either with `@VERSION`: which connector a destination uses.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::shorten;

/// Which connector a destination uses: its type or its id, and optionally one version of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ConnectorReference {
    /// Its type (`onedrive`) or its id (`dev.wharf.onedrive`).
    pub name: String,
    /// The one version that will do; none for whichever is installed.
    pub version: Option<semver::Version>,
}

impl ConnectorReference {
    /// Parse `NAME` or `NAME@VERSION`.
    ///
    /// # Errors
    /// A sentence that says what is wrong.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (name, version) =
            text.split_once('@').map_or((text, None), |(name, version)| (name, Some(version)));
        if !is_connector_name(name) {
            return Err(format!(
                "{:?} is not a connector's type or id (`a-z`, `0-9`, `.` and `-`)",
                shorten(text)
            ));
        }
        let parse = |version| semver::Version::parse(version).map_err(|error| (version, error));
        let version = version.map(parse).transpose();
        let version = version
            .map_err(|(version, error)| format!("{:?} is not a version: {error}", shorten(version)))?;
        Ok(Self { name: name.to_owned(), version })
    }
}

impl fmt::Display for ConnectorReference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            Some(version) => write!(formatter, "{}@{version}", self.name),
            None => formatter.write_str(&self.name),
        }
    }
}

impl TryFrom<String> for ConnectorReference {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<ConnectorReference> for String {
    fn from(reference: ConnectorReference) -> Self {
        reference.to_string()
    }
}

/// Is it a type or an id as manifests have them?
pub(crate) fn is_connector_name(name: &str) -> bool {
    let right = |byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'-');
    (1..=100).contains(&name.len())
        && name.bytes().all(right)
        && name.split('.').all(|label| !label.is_empty() && !label.starts_with('-'))
}
