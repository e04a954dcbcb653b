//! The digest of a component: what it is called by wherever it must be that one and no other.

use serde::{Deserialize, Serialize};

/// A SHA-256, as 64 hexadecimal digits: the name of a blob.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// The digest of these bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(hex::encode(ring::digest::digest(&ring::digest::SHA256, bytes)))
    }

    /// Check a digest as it is written: 64 lower-case hexadecimal digits, `sha256:` in front or not.
    ///
    /// # Errors
    /// A sentence that says so.
    pub fn parse(text: &str) -> Result<Self, String> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let right = |byte| matches!(byte, b'a'..=b'f' | b'0'..=b'9');
        if digits.len() == 64 && digits.bytes().all(right) {
            Ok(Self(digits.to_owned()))
        } else {
            Err("a digest is 64 of `0-9` and `a-f`".to_owned())
        }
    }

    /// All 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits: enough to recognise it in a record or a list.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or_default()
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "sha256:{}", self.0)
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(self.short())
    }
}

impl TryFrom<String> for Digest {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}
