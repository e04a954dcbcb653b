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
            _ => Self::System(Arc::new(error)),
        }
    }
}

impl Problem {
    /// What the system said, if it is that.
    #[must_use]
    pub fn errno(&self) -> Option<Errno> {
        match self {
            Self::System(error) => Errno::from_io_error(error),
            Self::Source(_)
            | Self::NotFound
            | Self::Exists
            | Self::WrongKind(_)
            | Self::OnTheWay { .. }
            | Self::Conflict
            | Self::BadName(_)
            | Self::Invalid(_)
            | Self::TimedOut => None,
        }
    }
}
