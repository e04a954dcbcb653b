//! The name of an account or a destination.
//!
//! Names become file names in the home and the left side of `NAME:path`, so they are short, lower
//! case (two names never differ by case alone) and never special to a shell or a file system.

use std::{fmt, sync::Arc};

/// Longest name, in characters: what still fits a table's column and, with every suffix the home
/// adds, any file system.
pub const NAME_CHARACTERS_MAX: usize = 64;

/// Names that Windows keeps for devices; a home may be copied to such a disk.
const RESERVED: [&str; 4] = ["con", "prn", "aux", "nul"];

/// Why a text is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A character, or a length, that no name has.
    #[error(
        "{0:?} is not a name: 1 to {NAME_CHARACTERS_MAX} of `a-z`, `0-9`, `.`, `_` and `-`, \
         beginning with a letter or a digit"
    )]
    Spelling(String),
    /// A name that some file systems keep for themselves.
    #[error("`{0}` is not a name: some file systems reserve it")]
    Reserved(String),
}

/// A checked name. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Arc<str>);

impl Name {
    /// Check a name.
    ///
    /// # Errors
    /// When it is empty, too long, reserved, begins with a sign or has a character that names do not have.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let first_is_right =
            text.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
        let all_are_right =
            text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-'));
        if !first_is_right || !all_are_right || text.len() > NAME_CHARACTERS_MAX {
            return Err(Error::Spelling(text.chars().take(NAME_CHARACTERS_MAX).collect()));
        }
        let stem = text.split('.').next().unwrap_or(text);
        let numbered = stem.strip_prefix("com").or_else(|| stem.strip_prefix("lpt"));
        let is_port = numbered.is_some_and(|rest| matches!(rest.as_bytes(), [b'0'..=b'9']));
        if RESERVED.contains(&stem) || is_port || text.ends_with('.') {
            return Err(Error::Reserved(text.to_owned()));
        }
        Ok(Self(Arc::from(text)))
    }

    /// As text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, formatter)
    }
}

impl std::str::FromStr for Name {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::parse(text)
    }
}

impl TryFrom<String> for Name {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        Self::parse(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_short_and_plain() {
        let check = |text: &str, good: bool| assert_eq!(Name::parse(text).is_ok(), good, "{text:?}");
        check("archive", true);
        check("0", true);
        check("a.b_c-d", true);
        check(&"a".repeat(NAME_CHARACTERS_MAX), true);
        check(&"a".repeat(NAME_CHARACTERS_MAX + 1), false);
        check("", false);
        check("Archive", false);
        check(".hidden", false);
        check("-flag", false);
        check("..", false);
        check("a/b", false);
        check("a\0b", false);
        check("ä", false);
        check("nul", false);
        check("con.backup", false);
        check("com7", false);
        check("com", true);
        check("company", true);
        check("trailing.", false);
    }
}
