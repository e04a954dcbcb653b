//! What can be wrong with a recovery.

use crate::{
    ErrorKind, account, attached, destination,
    hint::Hint,
    home::{self, Name},
    host, registry, state, trust, vault,
};

use super::archive::ARCHIVE_BYTES_MAX;

/// What can be wrong with a recovery.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing can be sealed.
    #[error("this home has no recovery key, and exports of its configuration are sealed with one")]
    NoKey,
    /// It was made, and shown.
    #[error("this home has a recovery key already; it was shown when it was made, and is not shown again")]
    KeyExists,
    /// What is kept of it is of no use.
    #[error("the recovery key of the home does not open: `recovery.sealed` is damaged, or from another home")]
    KeyDamaged,
    /// What was typed is none.
    #[error("this is no recovery key: {0}")]
    NotAKey(&'static str),
    /// Nobody said that the configuration may go there.
    #[error("destination `{0}` takes no part in disaster recovery")]
    NotDr(Name),
    /// There is nowhere to export to.
    #[error("no destination takes part in disaster recovery")]
    NoneDr,
    /// More than any export has.
    #[error("the configuration has {bytes} bytes, and an export at most {ARCHIVE_BYTES_MAX}")]
    TooLarge {
        /// How large it would be.
        bytes: usize,
    },
    /// The directory has none.
    #[error("there is no export of a configuration in `{0}`")]
    NoExport(String),
    /// Something else has its name.
    #[error("`.wharf-recovery` in the backup directory is no export of a configuration")]
    NotAnExport,
    /// A later version wrote it.
    #[error("the export was written by a newer Wharf (format {found}; this one knows {known})")]
    Newer {
        /// Its format.
        found: u8,
        /// The newest that is known here.
        known: u8,
    },
    /// Sealed with another recovery key.
    #[error("the export is sealed with the recovery key `{needed}`, and the one that was given is `{given}`")]
    OtherKey {
        /// The fingerprint of the key that opens it.
        needed: String,
        /// That of the one that was given.
        given: String,
    },
    /// It does not open, though the key is right.
    #[error("the export is damaged: {0}")]
    Damaged(String),
    /// `exports.json` cannot be read.
    #[error("`exports.json` of the home is damaged: {0}")]
    Record(String),
    /// The home cannot be read or written.
    #[error(transparent)]
    Home(#[from] home::Error),
    /// The system gives no randomness, or the vault is of no use.
    #[error(transparent)]
    Vault(#[from] vault::Error),
    /// The database cannot be used.
    #[error(transparent)]
    State(#[from] state::Error),
    /// An account cannot be read or written.
    #[error(transparent)]
    Account(#[from] account::Error),
    /// A destination cannot be read or written.
    #[error(transparent)]
    Destination(#[from] destination::Error),
    /// The list of connectors cannot be read.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// Whom the home trusts cannot be read or written.
    #[error(transparent)]
    Trust(#[from] trust::Error),
    /// A destination cannot be used.
    #[error(transparent)]
    Host(#[from] host::Error),
    /// A service did not do as it should.
    #[error(transparent)]
    Attached(#[from] attached::Error),
}

impl Error {
    /// What it is to a program.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::NoKey | Self::NoExport(_) | Self::NoneDr => ErrorKind::NotFound,
            Self::KeyExists => ErrorKind::Exists,
            Self::NotAKey(_) | Self::NotDr(_) | Self::OtherKey { .. } => ErrorKind::Usage,
            Self::NotAnExport | Self::Damaged(_) => ErrorKind::Corrupt,
            Self::Newer { .. } => ErrorKind::Unsupported,
            Self::KeyDamaged
            | Self::TooLarge { .. }
            | Self::Record(_)
            | Self::Home(_)
            | Self::Vault(_)
            | Self::State(_)
            | Self::Account(_)
            | Self::Destination(_)
            | Self::Registry(_)
            | Self::Trust(_) => ErrorKind::State,
            Self::Host(error) => error.kind(),
            Self::Attached(error) => error.kind(),
        }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NoKey => Some("run `wharf recovery key`, and write down what it shows".to_owned()),
            Self::KeyExists => Some(
                "if it is lost, `wharf recovery key --replace` makes another, and `wharf recovery export` seals the exports with it"
                    .to_owned(),
            ),
            Self::KeyDamaged => Some(
                "run `wharf recovery key --replace`, and `wharf recovery export` to seal the exports anew".to_owned(),
            ),
            Self::NotAKey(_) => {
                Some("give it as `wharf recovery key` showed it, 14 groups of 4 characters".to_owned())
            }
            Self::NotDr(name) => Some(format!("run `wharf destination modify {name} --dr` first")),
            Self::NoneDr => Some("run `wharf destination modify NAME --dr` first".to_owned()),
            Self::TooLarge { .. } => {
                Some("delete destinations or accounts that are not used any more".to_owned())
            }
            Self::NoExport(_) => Some(
                "see that `--backup-directory`, `--account` and options are those of a destination that had `--dr`"
                    .to_owned(),
            ),
            Self::NotAnExport | Self::Damaged(_) => Some(
                "every destination with `--dr` had an export: name another one's backup directory".to_owned(),
            ),
            Self::Newer { .. } => Some("use that version of Wharf, or a later one".to_owned()),
            Self::OtherKey { .. } => Some(
                "find the key with that fingerprint; there is no other way to open the export".to_owned(),
            ),
            Self::Record(_) => {
                Some("remove it; the next `wharf recovery export` writes it anew".to_owned())
            }
            Self::Home(error) => error.hint(),
            Self::Vault(error) => error.hint(),
            Self::State(error) => error.hint(),
            Self::Account(error) => error.hint(),
            Self::Destination(error) => error.hint(),
            Self::Registry(error) => error.hint(),
            Self::Trust(error) => error.hint(),
            Self::Host(error) => error.hint(),
            Self::Attached(error) => error.hint(),
        }
    }
}
