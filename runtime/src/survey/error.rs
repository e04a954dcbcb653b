//! Why a survey came to no end. What it has learned until then is kept, and the next run goes on.

use crate::hint::Hint;
use crate::home::{self, Name};
use crate::{ErrorKind, attached, catalog, state, transfer};

/// Why a survey failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The service could not be asked.
    #[error(transparent)]
    Operation(#[from] attached::Error),
    /// A listing that does not end, or a download.
    #[error(transparent)]
    Transfer(#[from] transfer::Error),
    /// The catalog cannot be used.
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    /// The database cannot be used.
    #[error("what is known of destination `{destination}` cannot be kept")]
    State {
        /// Whose.
        destination: Name,
        /// Why.
        source: state::Error,
    },
    /// The home cannot be used.
    #[error(transparent)]
    Home(#[from] home::Error),
    /// Somebody else is at it.
    #[error("destination `{0}` is being reindexed or checked by another process")]
    Busy(Name),
    /// The pages of changes do not end, or their cursor is lost each time.
    #[error("destination `{destination}` does not finish telling what changed: {reason}")]
    Endless {
        /// Whose.
        destination: Name,
        /// What was seen.
        reason: String,
    },
    /// The backup directory itself is not there, and something was stored in it.
    #[error(
        "the backup directory of destination `{0}` is not there, and the catalog knows of files in it: nothing was changed"
    )]
    Gone(Name),
    /// What was to be checked is neither at the service nor in the catalog.
    #[error("there is nothing at `{destination}:{path}`, and the catalog knows of nothing there")]
    Nothing {
        /// Whose.
        destination: Name,
        /// Where.
        path: crate::path::RelativePath,
    },
}

impl Error {
    /// What it is to a program.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Operation(error) => error.kind(),
            Self::Transfer(error) => error.kind(),
            Self::Catalog(_) | Self::State { .. } | Self::Home(_) => ErrorKind::State,
            Self::Busy(_) => ErrorKind::Exists,
            Self::Endless { .. } => ErrorKind::Unavailable,
            Self::Nothing { .. } | Self::Gone(_) => ErrorKind::NotFound,
        }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Operation(error) => error.hint(),
            Self::Transfer(error) => error.hint(),
            Self::Catalog(error) => error.hint(),
            Self::State { source, .. } => source.hint(),
            Self::Home(error) => error.hint(),
            Self::Busy(_) => Some("run the same command once that has ended".to_owned()),
            Self::Endless { destination, .. } => Some(format!(
                "run the same command again later; `wharf audit {destination}` has what was asked"
            )),
            Self::Gone(destination) => Some(format!(
                "mount its disk, or put it back where it was; if it is lost, run `wharf copy` to store everything \
                 again, or `wharf destination delete {destination}` to forget it"
            )),
            Self::Nothing { destination, .. } => {
                Some(format!("run `wharf ls {destination}:` to see what is there"))
            }
        }
    }
}
