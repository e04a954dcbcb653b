//! `NAME:path`: a place at a destination, or a local one.
//!
//! As rclone has it: what begins with `/` or `.`, has no colon, or has a slash before its first colon
//! is local. The rest is the name of a destination, a colon, and a path that is relative to its backup
//! directory.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use wharf_runtime::home::{Name, NameError};
use wharf_runtime::path::{self, RelativePath};

/// Either side of a copy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Location {
    /// On this machine.
    Local(PathBuf),
    /// At a destination.
    Remote(Remote),
}

/// A place at a destination.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Remote {
    /// Which destination.
    pub(crate) destination: Name,
    /// Where, below its backup directory.
    pub(crate) path: RelativePath,
}

/// Why a text is no place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Error {
    /// Nothing at all.
    Empty,
    /// What is left of the colon is no name.
    Name { text: String, problem: NameError },
    /// What is right of it is no path inside the backup directory.
    Path(path::Error),
    /// A place at a destination is wanted.
    Local(String),
    /// The text of a place at a destination is not UTF-8.
    Encoding,
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => formatter.write_str("nothing is named"),
            Self::Name { text, problem } => {
                write!(formatter, "{problem}\n  for a local file with a colon in its name, write `./{text}`")
            }
            Self::Path(problem) => write!(formatter, "{problem}"),
            Self::Local(text) => write!(
                formatter,
                "a place at a destination is wanted: its name, a colon and a path, as in `archive:{}`",
                text.trim_start_matches(['.', '/'])
            ),
            Self::Encoding => formatter.write_str("a path at a destination must be UTF-8"),
        }
    }
}

impl std::error::Error for Error {}

impl Location {
    /// Parse what an operator typed. A local path may be any bytes.
    pub(crate) fn parse(text: OsString) -> Result<Self, Error> {
        let Some(plain) = text.to_str() else {
            let lossy = text.to_string_lossy();
            return if is_local(&lossy) { Ok(Self::Local(text.into())) } else { Err(Error::Encoding) };
        };
        if plain.is_empty() {
            return Err(Error::Empty);
        }
        if is_local(plain) { Ok(Self::Local(text.into())) } else { plain.parse().map(Self::Remote) }
    }
}

impl FromStr for Remote {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::Empty);
        }
        let split = if is_local(text) { None } else { text.split_once(':') };
        let (name, path) = split.ok_or_else(|| Error::Local(text.to_owned()))?;
        let destination =
            Name::parse(name).map_err(|problem| Error::Name { text: text.to_owned(), problem })?;
        let path = RelativePath::from_operator(path).map_err(Error::Path)?;
        Ok(Self { destination, path })
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.destination, self.path)
    }
}

impl fmt::Display for Location {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => write!(formatter, "{}", path.display()),
            Self::Remote(remote) => write!(formatter, "{remote}"),
        }
    }
}

fn is_local(text: &str) -> bool {
    let before_colon = text.split_once(':').map(|(before, _)| before);
    text.starts_with(['/', '.']) || before_colon.is_none_or(|before| before.contains('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str) -> String {
        match Location::parse(text.into()) {
            Ok(Location::Local(path)) => format!("local {}", path.display()),
            Ok(Location::Remote(Remote { destination, path })) => format!("at {destination}, path {path:?}"),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn places_are_told_apart() {
        let check = |text: &str, expected: &str| assert_eq!(show(text), expected, "{text:?}");
        check("photos", "local photos");
        check("/srv/a:b", "local /srv/a:b");
        check("./a:b", "local ./a:b");
        check("../a:b", "local ../a:b");
        check("folder/a:b", "local folder/a:b");
        check("archive:", "at archive, path \"\"");
        check("archive:/", "at archive, path \"\"");
        check("archive:a/b", "at archive, path \"a/b\"");
        check("archive:/a/b/", "at archive, path \"a/b\"");
        check("archive:a:b", "at archive, path \"a:b\"");
        check("", "error: nothing is named");
        check(
            "archive:../other",
            "error: the path has the name `..`, which would leave the backup directory",
        );
        check("archive:a//b", "error: the path has an empty name (two slashes in a row, or one at the end)");
        assert!(show("C:windows").contains("write `./C:windows`"), "{}", show("C:windows"));
        assert!(show(":x").contains("is not a name"), "{}", show(":x"));
    }

    #[test]
    fn a_place_at_a_destination_can_be_demanded() {
        let check = |text: &str, expected: &str| {
            let error = text.parse::<Remote>().map(|_| ()).unwrap_err();
            assert!(error.to_string().contains(expected), "{text:?}: {error}");
        };
        check("photos", "as in `archive:photos`");
        check("./photos", "as in `archive:photos`");
        check("", "nothing is named");
        assert_eq!("a:b/c".parse::<Remote>().unwrap().to_string(), "a:b/c");
    }

    #[cfg(unix)]
    #[test]
    fn local_paths_may_be_any_bytes() {
        use std::os::unix::ffi::OsStringExt as _;
        let bytes = |text: &[u8]| Location::parse(OsString::from_vec(text.to_vec()));
        assert!(matches!(bytes(b"/srv/\xff"), Ok(Location::Local(_))));
        assert_eq!(bytes(b"archive:\xff"), Err(Error::Encoding));
    }
}
