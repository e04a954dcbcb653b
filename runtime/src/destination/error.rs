//! What can be wrong with a destination.

use std::sync::Arc;

use super::Caller;
use crate::{
    hint::Hint,
    home::{self, Name},
    path::Directory,
};

/// What can be wrong with a destination.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// There is none of this name.
    #[error("there is no destination `{0}`")]
    NotFound(Name),
    /// There is one already.
    #[error("there is a destination `{0}` already")]
    Exists(Name),
    /// The file is not what it should be.
    #[error("`destinations/{name}.toml` {problem}")]
    File {
        /// The destination.
        name: Name,
        /// What is wrong and where: a line, or a key and its bound.
        problem: String,
    },
    /// Another destination writes there.
    #[error("destination `{other}` writes to `{directory}` already")]
    DirectoryTaken {
        /// The one that does.
        other: Name,
        /// The backup directory, as that one spells it.
        directory: Directory,
    },
    /// It names an account that is not there.
    #[error("destination `{name}` names account `{account}`, which does not exist")]
    NoAccount {
        /// The destination.
        name: Name,
        /// The account.
        account: Name,
    },
    /// Some things are decided once.
    #[error("the {what} of destination `{name}` was decided when it was created, and does not change")]
    ForLife {
        /// The destination.
        name: Name,
        /// Which of them.
        what: &'static str,
    },
    /// An export of the configuration is something to be written.
    #[error("destination `{0}` is read-only, and disaster recovery (`--dr`) writes exports to it")]
    ReadOnlyDr(Name),
    /// It belongs to somebody else.
    #[error("destination `{name}` belongs to `{owner}`, and {caller} may not change it")]
    NotOwner {
        /// The destination.
        name: Name,
        /// Its owner.
        owner: String,
        /// The accounts above the owner's, which may change it too.
        parents: Vec<String>,
        /// Who tried.
        caller: Caller,
    },
    /// The home cannot be read or written.
    #[error(transparent)]
    Home(Arc<home::Error>),
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotFound(_) => Some("run `wharf destination list` to see which there are".to_owned()),
            Self::Exists(name) => Some(format!("run `wharf destination modify {name}` to change it")),
            Self::DirectoryTaken { .. } => Some(
                "choose another backup directory, or create the destination with `--read-only` to restore from that one"
                    .to_owned(),
            ),
            Self::NoAccount { account, .. } => Some(format!("run `wharf account add {account}` first")),
            Self::ForLife { name, .. } => Some(format!(
                "create another destination as it should be; `wharf destination show {name}` has the rest to copy"
            )),
            Self::ReadOnlyDr(_) => Some("choose a destination that is written to".to_owned()),
            Self::NotOwner { owner, parents, .. } => {
                let others: Vec<String> = parents.iter().map(|parent| format!("`{parent}`, ")).collect();
                Some(format!("ask `{owner}`, {}or root", others.concat()))
            }
            Self::Home(error) => error.hint(),
            Self::File { .. } => None,
        }
    }
}

impl From<home::Error> for Error {
    fn from(error: home::Error) -> Self {
        Self::Home(Arc::new(error))
    }
}
