//! What goes wrong in a directory of this machine.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustix::io::Errno;

use crate::content;

/// Something that was not done, and where.
#[derive(Debug, Clone, thiserror::Error)]
#[error("cannot {action} `{}`: {problem}", place.display())]
pub struct Error {
    /// What was tried: `read`.
    pub action: &'static str,
    /// Where.
    pub place: PathBuf,
    /// Why not.
    pub problem: Problem,
}

/// Why something was not done.
#[derive(Debug, Clone, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it; the contract has the details")]
pub enum Problem {
    #[error("it is not there")]
    NotFound,
    #[error("something is there already")]
    Exists,
    #[error("it {0}")]
    WrongKind(&'static str),
    #[error("`{name}` on the way {is}")]
    OnTheWay { name: String, is: &'static str },
    #[error("it was changed meanwhile")]
    Conflict,
    #[error("{0}")]
    BadName(&'static str),
    #[error("{0}")]
    Invalid(&'static str),
    #[error("the disk does not answer")]
    TimedOut,
    #[error(transparent)]
    Source(#[from] content::Error),
    #[error("{0}")]
    NoSpace(Arc<io::Error>),
    #[error("{0}")]
    TooLarge(Arc<io::Error>),
    #[error("{0}")]
    Denied(Arc<io::Error>),
    #[error("{0}")]
    System(Arc<io::Error>),
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match Errno::from_io_error(&error) {
            Some(Errno::NOENT) => Self::NotFound,
            Some(Errno::EXIST | Errno::NOTEMPTY) => Self::Exists,
            Some(Errno::ISDIR) => Self::WrongKind("is a folder"),
            Some(Errno::NOTDIR) => Self::WrongKind("is not a folder, or something on the way is not"),
            Some(Errno::LOOP) => Self::WrongKind("is a symbolic link, which is not followed"),
            Some(Errno::NAMETOOLONG) => Self::BadName("the name is too long for the file system"),
            Some(Errno::ILSEQ) => Self::BadName("the file system does not take such a name"),
            Some(Errno::NOSPC | Errno::DQUOT) => Self::NoSpace(Arc::new(error)),
            Some(Errno::FBIG) => Self::TooLarge(Arc::new(error)),
            Some(Errno::ACCESS | Errno::PERM | Errno::ROFS) => Self::Denied(Arc::new(error)),
            _ => Self::System(Arc::new(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_has_a_case() {
        let check = |errno: Errno, expected: &str| {
            let problem = Problem::from(io::Error::from(errno));
            assert!(format!("{problem:?}").starts_with(expected), "{errno:?}: {problem:?}");
        };
        check(Errno::NOENT, "NotFound");
        check(Errno::EXIST, "Exists");
        check(Errno::NOTDIR, "WrongKind");
        check(Errno::ISDIR, "WrongKind");
        check(Errno::LOOP, "WrongKind");
        check(Errno::ACCESS, "Denied");
        check(Errno::PERM, "Denied");
        check(Errno::ROFS, "Denied");
        check(Errno::NOSPC, "NoSpace");
        check(Errno::DQUOT, "NoSpace");
        check(Errno::FBIG, "TooLarge");
        check(Errno::NAMETOOLONG, "BadName");
        check(Errno::IO, "System");
        check(Errno::STALE, "System");
    }
}
