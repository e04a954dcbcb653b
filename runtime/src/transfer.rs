//! Transfers: files and trees, up and down.
//!
//! [`upload`] and [`download`] copy a file or a tree; what is unchanged is skipped. The parts of a
//! transfer each have a file: what is on this machine (`local`), which names cannot go together
//! (`collide`), what to do about a file (`compare`), one file up (`store`, `send`, `scatter` for
//! parts side by side, `resume`, and `commit` for many at once), one file down (`receive`), and the queue that both trees are walked with (`work`).
//! Every byte that moves is hashed by the host and verified (`verify`).

mod collide;
mod commit;
mod compare;
mod doubt;
mod down;
mod local;
mod overlap;
pub(crate) mod pages;
pub(crate) mod receive;
mod relocate;
mod remove;
mod resume;
mod scatter;
mod send;
mod store;
mod up;
pub mod verify;
pub(crate) mod work;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::hint::Hint;
use crate::path::RelativePath;
use crate::{ErrorKind, attached, catalog, content, journal};

pub use down::download;
pub use relocate::{copy, relocate};
pub use remove::{removable, remove};
pub use up::upload;
pub use verify::{Evidence, Mismatch};

/// Decides which files take part, by their path below the copied root; folders are always entered.
pub type Filter = Arc<dyn Fn(&RelativePath) -> bool + Send + Sync>;

/// How to copy.
#[derive(Clone, Default)]
pub struct Options {
    /// Say what would be done, and do nothing.
    pub dry_run: bool,
    /// Compare hashes instead of size and modification time.
    pub checksum: bool,
    /// Follow symbolic links instead of skipping them.
    pub copy_links: bool,
    /// Have the service itself keep modification times, even at the price of a request per file.
    pub keep_times: bool,
    /// Which files take part; all, when there is none.
    pub filter: Option<Filter>,
}

impl fmt::Debug for Options {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { dry_run, checksum, copy_links, keep_times, filter } = self;
        formatter
            .debug_struct("Options")
            .field("dry_run", dry_run)
            .field("checksum", checksum)
            .field("copy_links", copy_links)
            .field("keep_times", keep_times)
            .field("filter", &filter.is_some())
            .finish()
    }
}

impl Options {
    fn takes(&self, path: &RelativePath) -> bool {
        self.filter.as_ref().is_none_or(|filter| filter(path))
    }
}

/// Is told what happens. Paths are those below the copied root.
pub trait Observer: Send + Sync {
    /// Something happened.
    fn event(&self, event: Event<'_>);
}

/// What happens during a transfer.
#[derive(Debug, Clone, Copy)]
pub enum Event<'a> {
    /// A file is to be copied.
    Found {
        /// Which.
        path: &'a RelativePath,
        /// Its length in bytes.
        size: u64,
    },
    /// Its copy begins.
    Started {
        /// Which.
        path: &'a RelativePath,
        /// Its length in bytes.
        size: u64,
    },
    /// Bytes of it moved.
    Moved {
        /// Which.
        path: &'a RelativePath,
        /// How many more.
        bytes: u64,
    },
    /// Bytes of it are to be moved again.
    Rewound {
        /// Which.
        path: &'a RelativePath,
        /// How many fewer.
        bytes: u64,
    },
    /// It is copied, or would be in a dry run.
    Copied {
        /// Which.
        path: &'a RelativePath,
        /// Its length in bytes.
        size: u64,
        /// Did a hash of the service's agree, or only the length?
        verified: bool,
    },
    /// It is unchanged.
    Skipped {
        /// Which.
        path: &'a RelativePath,
    },
    /// A folder was made, or would be in a dry run.
    FolderMade {
        /// Which.
        path: &'a RelativePath,
    },
    /// It could not be copied; the transfer goes on with the others.
    Failed {
        /// Which.
        path: &'a RelativePath,
        /// Why.
        error: &'a Error,
    },
    /// Something that an operator should know.
    Notice {
        /// About what.
        path: &'a RelativePath,
        /// What.
        text: &'a str,
    },
}

/// What a transfer came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize)]
pub struct Summary {
    /// Files that were copied.
    pub files_copied: u64,
    /// Their bytes.
    pub bytes_copied: u64,
    /// Files that were there already.
    pub files_unchanged: u64,
    /// Folders that were made.
    pub folders_made: u64,
    /// Files and folders that could not be copied.
    pub files_failed: u64,
    /// Things that are neither file nor folder, or links that were not followed.
    pub skipped: u64,
}

/// Why something was not copied.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// An operation failed.
    #[error(transparent)]
    Operation(#[from] attached::Error),
    /// What is stored is not what was meant. It is not counted as stored.
    #[error("what `{place}` holds now is not what was meant: {mismatch}")]
    Corrupt {
        /// Where, as `NAME:path` or as a local path.
        place: String,
        /// What differs.
        mismatch: Mismatch,
        /// What became of it.
        remains: Remains,
    },
    /// The service changes such files after an upload, and has changed this one.
    #[error(transparent)]
    Rewritten(Box<Rewritten>),
    /// A download ended before its time, again and again.
    #[error("`{place}` cannot be read to its end: {reason}")]
    Incomplete {
        /// What was read, as `NAME:path`.
        place: String,
        /// What happened last.
        reason: String,
    },
    /// A connector claims an upload that did not happen.
    #[error("`{place}` is not stored: {reason}")]
    Unsent {
        /// Where to, as `NAME:path`.
        place: String,
        /// What the connector did.
        reason: String,
    },
    /// An upload got nowhere.
    #[error("the upload to `{place}` makes no progress: {reason}")]
    Stuck {
        /// Where to, as `NAME:path`.
        place: String,
        /// What happened last.
        reason: String,
    },
    /// A file stands where a folder is needed, or the other way round.
    #[error("`{place}` is a {is}, and a {needed} is to be copied there")]
    WrongKind {
        /// Where.
        place: String,
        /// What is there.
        is: &'static str,
        /// What should be.
        needed: &'static str,
    },
    /// The target lies in the source.
    #[error("`{}` lies in `{}`, and a folder cannot be copied into itself", to.display(), from.display())]
    IntoItself {
        /// What was to be copied.
        from: PathBuf,
        /// Where to.
        to: PathBuf,
    },
    /// A name that is not UTF-8 or no path of its own.
    #[error("`{path}` cannot be copied: {problem}")]
    Name {
        /// Which, made printable.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The source changed, or cannot be read.
    #[error(transparent)]
    Source(#[from] content::Error),
    /// Something on this machine.
    #[error("cannot {action} `{path}`")]
    Local {
        /// What was tried.
        action: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system says.
        #[source]
        problem: std::io::Error,
    },
    /// The catalog.
    #[error(transparent)]
    Catalog(#[from] catalog::Error),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] journal::Error),
}

/// A file that the service changed after its upload, as it is known to do.
#[derive(Debug, thiserror::Error)]
#[error("`{place}` is not stored as it was sent, since the service rewrites `{ending}` files: {mismatch}")]
pub struct Rewritten {
    /// Where, as `NAME:path`.
    pub place: String,
    /// The end of its name.
    pub ending: String,
    /// What differs.
    pub mismatch: Mismatch,
    /// What became of it.
    pub remains: Remains,
    /// What the connector's vendor advises.
    pub remedy: String,
}

impl Hint for Rewritten {
    fn hint(&self) -> Option<String> {
        let Self { place, remedy, .. } = self;
        Some(match self.remains {
            Remains::Removed => format!("the rewritten copy was removed; {remedy}"),
            Remains::Present => format!("the rewritten copy is still at `{place}`; {remedy}"),
        })
    }
}

/// What became of something that was stored wrongly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remains {
    /// It was removed again.
    Removed,
    /// It is still there.
    Present,
}

impl Error {
    fn local(action: &'static str, path: &Path, problem: std::io::Error) -> Self {
        Self::Local { action, path: path.to_owned(), problem }
    }

    /// Would nothing else fare better that is stored at the destination?
    #[must_use]
    pub const fn is_of_all(&self) -> bool {
        match self {
            Self::Operation(error) => error.is_of_all(),
            Self::Corrupt { .. }
            | Self::Rewritten(_)
            | Self::Incomplete { .. }
            | Self::Unsent { .. }
            | Self::Stuck { .. }
            | Self::WrongKind { .. }
            | Self::IntoItself { .. }
            | Self::Name { .. }
            | Self::Source(_)
            | Self::Local { .. }
            | Self::Catalog(_)
            | Self::Journal(_) => false,
        }
    }

    /// What it is to a program.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Operation(error) => error.kind(),
            Self::Corrupt { .. } => ErrorKind::Corrupt,
            Self::Rewritten(_) => ErrorKind::Unsupported,
            Self::Unsent { .. } => ErrorKind::Connector,
            Self::Incomplete { .. } | Self::Stuck { .. } => ErrorKind::Unavailable,
            Self::WrongKind { .. } => ErrorKind::WrongKind,
            Self::IntoItself { .. } => ErrorKind::Usage,
            Self::Name { .. } => ErrorKind::BadName,
            Self::Source(content::Error::Changed(_)) => ErrorKind::SourceChanged,
            Self::Source(
                content::Error::NotAFile(_) | content::Error::Outside { .. } | content::Error::Read { .. },
            )
            | Self::Local { .. } => ErrorKind::Local,
            Self::Catalog(_) | Self::Journal(_) => ErrorKind::State,
        }
    }
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Operation(error) => error.hint(),
            Self::Corrupt { remains: Remains::Removed, .. } => {
                Some("the wrong copy was removed; run the same command again".to_owned())
            }
            Self::Corrupt { remains: Remains::Present, place, .. } => Some(format!(
                "do not use what is there: remove it with `wharf rm {place}`, then run the same command again"
            )),
            Self::Rewritten(rewritten) => rewritten.hint(),
            Self::Unsent { .. } => Some("report this to the connector's vendor".to_owned()),
            Self::Incomplete { .. } | Self::Stuck { .. } => {
                Some("run the same command again later".to_owned())
            }
            Self::WrongKind { .. } => Some("remove or rename one of the two".to_owned()),
            Self::IntoItself { .. } => Some("choose a target outside of what is copied".to_owned()),
            Self::Name { .. } => Some("rename it, or leave it out with `--exclude`".to_owned()),
            Self::Source(content::Error::Changed(_)) => {
                Some("run the same command again once nothing writes to it, or copy a snapshot".to_owned())
            }
            Self::Local { problem, .. } if problem.kind() == std::io::ErrorKind::StorageFull => Some(
                "free some space, then run the same command again: nothing half-written was left".to_owned(),
            ),
            Self::Source(
                content::Error::NotAFile(_) | content::Error::Outside { .. } | content::Error::Read { .. },
            )
            | Self::Local { .. } => None,
            Self::Catalog(error) => error.hint(),
            Self::Journal(error) => error.hint(),
        }
    }
}
