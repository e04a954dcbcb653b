//! Paths, parsed once.
//!
//! A [`RelativePath`] lies inside a backup directory by construction: it has no `..`, no empty name
//! and no leading `/`. A [`Directory`] is the backup directory itself. Joining the two is the only
//! way to an absolute path at a service, so whoever holds one need not check it again. What a
//! *service* cannot store (reserved characters, long names) is the connector's to say, not this file's.

use std::fmt;

/// Longest path that is taken from anywhere, in bytes: what Linux allows for one (`PATH_MAX`), which
/// is more than either service stores.
pub const PATH_BYTES_MAX: usize = 4096;

/// Why a text is not a path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A backup directory must be absolute.
    #[error("a backup directory starts with `/`")]
    NotAbsolute,
    /// A path inside a backup directory is relative.
    #[error("the path is relative to the backup directory and does not start with `/`")]
    Absolute,
    /// `a//b`, or a slash at the end.
    #[error("the path has an empty name (two slashes in a row, or one at the end)")]
    EmptyName,
    /// `.` or `..`.
    #[error("the path has the name `{0}`, which would leave the backup directory")]
    Dots(String),
    /// A NUL byte.
    #[error("the path has a NUL character")]
    Nul,
    /// Longer than [`PATH_BYTES_MAX`].
    #[error("the path is longer than {PATH_BYTES_MAX} bytes")]
    TooLong,
}

/// A path below a backup directory; empty for the directory itself.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct RelativePath(String);

impl RelativePath {
    /// The backup directory itself.
    #[must_use]
    pub const fn root() -> Self {
        Self(String::new())
    }

    /// Check a path as a connector or an operator spells it.
    ///
    /// # Errors
    /// When it is absolute, too long, or has a name that is empty, `.`, `..` or holds a NUL.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.starts_with('/') {
            return Err(Error::Absolute);
        }
        check_names(text)?;
        Ok(Self(text.to_owned()))
    }

    /// As [`parse`](Self::parse), but forgiving to people: slashes at either end do not matter.
    ///
    /// # Errors
    /// As [`parse`](Self::parse).
    pub fn from_operator(text: &str) -> Result<Self, Error> {
        Self::parse(text.trim_matches('/'))
    }

    /// As text, names separated by `/`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Is it the backup directory itself?
    #[must_use]
    pub const fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Its names, outermost first.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|name| !name.is_empty())
    }

    /// The last name; none for the backup directory itself.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.names().next_back()
    }

    /// The folder that holds it; none for the backup directory itself.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let end = self.0.rfind('/').unwrap_or(0);
        self.0.get(..end).map(|parent| Self(parent.to_owned()))
    }

    /// `other` below this one.
    ///
    /// # Errors
    /// When the two together are too long.
    pub fn join(&self, other: &Self) -> Result<Self, Error> {
        let joined = match (self.is_root(), other.is_root()) {
            (true, _) => other.0.clone(),
            (_, true) => self.0.clone(),
            (false, false) => format!("{}/{}", self.0, other.0),
        };
        if joined.len() > PATH_BYTES_MAX { Err(Error::TooLong) } else { Ok(Self(joined)) }
    }

    /// This path as seen from `folder`, if it lies in it.
    #[must_use]
    pub fn strip(&self, folder: &Self) -> Option<Self> {
        if folder.is_root() {
            return Some(self.clone());
        }
        let rest = self.0.strip_prefix(&folder.0)?;
        if rest.is_empty() {
            return Some(Self::root());
        }
        rest.strip_prefix('/').map(|rest| Self(rest.to_owned()))
    }
}

impl fmt::Display for RelativePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for RelativePath {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

/// A backup directory: where everything of one destination lies at its service.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Directory(String);

impl Directory {
    /// Check a backup directory. A slash at the end is dropped; `/` is the service's root.
    ///
    /// # Errors
    /// When it is not absolute, too long, or has a name that is empty, `.`, `..` or holds a NUL.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let names = text.strip_prefix('/').ok_or(Error::NotAbsolute)?;
        let names = names.strip_suffix('/').unwrap_or(names);
        check_names(names)?;
        Ok(Self(format!("/{names}")))
    }

    /// The service's root.
    #[must_use]
    pub fn root() -> Self {
        Self("/".to_owned())
    }

    /// As the operator wrote it, `/` or without a slash at the end.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The absolute path of something in it: `/names/of/it`, and empty for the service's root.
    #[must_use]
    pub fn absolute(&self, path: &RelativePath) -> String {
        let base = self.0.trim_end_matches('/');
        if path.is_root() { base.to_owned() } else { format!("{base}/{path}") }
    }
}

impl fmt::Display for Directory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl TryFrom<String> for Directory {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        Self::parse(&text)
    }
}

impl From<Directory> for String {
    fn from(directory: Directory) -> Self {
        directory.0
    }
}

fn check_names(text: &str) -> Result<(), Error> {
    if text.len() > PATH_BYTES_MAX {
        return Err(Error::TooLong);
    }
    if text.is_empty() {
        return Ok(());
    }
    for name in text.split('/') {
        match name {
            "" => return Err(Error::EmptyName),
            "." | ".." => return Err(Error::Dots(name.to_owned())),
            name if name.contains('\0') => return Err(Error::Nul),
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_paths_stay_inside() {
        let check = |text: &str, expected: Result<&str, Error>| {
            assert_eq!(RelativePath::parse(text).map(|path| path.0), expected.map(str::to_owned), "{text:?}");
        };
        check("", Ok(""));
        check("a", Ok("a"));
        check("a/b.txt", Ok("a/b.txt"));
        check("a/..b/...", Ok("a/..b/..."));
        check("/a", Err(Error::Absolute));
        check("a/", Err(Error::EmptyName));
        check("a//b", Err(Error::EmptyName));
        check("..", Err(Error::Dots("..".to_owned())));
        check("a/../b", Err(Error::Dots("..".to_owned())));
        check("a/./b", Err(Error::Dots(".".to_owned())));
        check("a\0b", Err(Error::Nul));
        check(&"a".repeat(PATH_BYTES_MAX + 1), Err(Error::TooLong));
    }

    #[test]
    fn directories_are_absolute() {
        let check = |text: &str, expected: Result<&str, Error>| {
            assert_eq!(Directory::parse(text).map(|path| path.0), expected.map(str::to_owned), "{text:?}");
        };
        check("/", Ok("/"));
        check("/backups/server1/", Ok("/backups/server1"));
        check("backups", Err(Error::NotAbsolute));
        check("", Err(Error::NotAbsolute));
        check("/a/../b", Err(Error::Dots("..".to_owned())));
        check("//a", Err(Error::EmptyName));
    }

    #[test]
    fn joining_and_stripping_are_inverse() {
        let folder = RelativePath::parse("a/b").unwrap();
        let below = RelativePath::parse("c/d").unwrap();
        let joined = folder.join(&below).unwrap();
        assert_eq!(joined.as_str(), "a/b/c/d");
        assert_eq!(joined.strip(&folder), Some(below));
        assert_eq!(RelativePath::parse("a/bc").unwrap().strip(&folder), None);
        assert_eq!(folder.strip(&folder), Some(RelativePath::root()));
        assert_eq!(joined.parent().unwrap().as_str(), "a/b/c");
        assert_eq!(RelativePath::parse("a").unwrap().parent(), Some(RelativePath::root()));
    }

    #[test]
    fn absolute_paths_have_the_directory_in_front() {
        let path = RelativePath::parse("a/b").unwrap();
        assert_eq!(Directory::parse("/x").unwrap().absolute(&path), "/x/a/b");
        assert_eq!(Directory::parse("/").unwrap().absolute(&path), "/a/b");
        assert_eq!(Directory::parse("/").unwrap().absolute(&RelativePath::root()), "");
        assert_eq!(Directory::parse("/x").unwrap().absolute(&RelativePath::root()), "/x");
    }
}
