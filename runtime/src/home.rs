//! The folder that holds everything Wharf knows on one machine (`--home`, `WHARF_HOME`).
//!
//! This is the only room that knows the layout; the others ask it for a [`Folder`] and a name. It
//! opens the home once, as a directory handle, and everything below is reached through that handle.
//!
//! ```text
//! key                     the vault's key, 32 bytes, readable by its owner alone; key.next, its successor
//! vault.json              which key it must be, where it is given from outside
//! state.db                SQLite: what the runtime writes
//! connectors.json         what is installed
//! trust.toml              the publishers that the operator trusts; revocations.json, what they took back
//! recovery.sealed         the key of exports of the configuration; exports.json, when each was stored
//! connectors/             connectors that can be installed, where an operator put some
//! accounts/NAME.toml      what the operator wrote; NAME.sealed, the account's secrets; NAME.pause
//! destinations/NAME.toml
//! blobs/sha256/HEX        components, by content
//! artefacts/HEX           compiled components, each with its keyed mac
//! audit/NAME.jsonl        what was asked of a service, and what came back
//! locks/…
//! ```

mod folder;
mod lock;
mod name;
mod run;

use std::{
    io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

#[cfg(test)]
pub(crate) use self::folder::crash;
pub(crate) use self::{
    folder::read_capped,
    lock::{LOCK_POLL, lock_now},
};
pub use self::{
    folder::{Created, Folder, Stamp},
    lock::{Lock, Subject},
    name::{Error as NameError, NAME_CHARACTERS_MAX, Name},
    run::Run,
};
use crate::hint::Hint;

/// File name of the vault's key.
pub(crate) const KEY_FILE: &str = "key";
/// File name of the key that takes its place, until it does.
pub(crate) const KEY_NEXT_FILE: &str = "key.next";
/// File name of what is known of a key that is given from outside.
pub(crate) const VAULT_FILE: &str = "vault.json";
/// File name of the database.
pub(crate) const STATE_FILE: &str = "state.db";
/// File name of the list of installed connectors.
pub(crate) const CONNECTORS_FILE: &str = "connectors.json";
/// File name of the publishers that are trusted.
pub(crate) const TRUST_FILE: &str = "trust.toml";
/// File name of what they revoked.
pub(crate) const REVOCATIONS_FILE: &str = "revocations.json";
/// File name of the recovery key, sealed.
pub(crate) const RECOVERY_KEY_FILE: &str = "recovery.sealed";
/// File name of what was exported where, and when.
pub(crate) const EXPORTS_FILE: &str = "exports.json";
/// Folder of connectors that can be installed, where an operator put some.
pub const AVAILABLE_FOLDER: &str = "connectors";

const FOLDERS: [&str; 7] =
    ["accounts", "destinations", "blobs", "blobs/sha256", "artefacts", "audit", "locks"];

/// Permission bits of group and others.
const OTHERS: u32 = 0o077;
/// Those that let group and others write.
const OTHERS_WRITE: u32 = 0o022;

/// What can be wrong with a home.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is none at that place.
    #[error("there is no Wharf home at `{}`", .0.display())]
    Missing(PathBuf),
    /// The folder belongs to something else.
    #[error("`{}` is not a Wharf home: it holds `{found}`", .path.display())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// The first name in it that no home has.
        found: String,
    },
    /// Others could read the key that seals every secret.
    #[error("the key `{}` can be read by others (mode {mode:o})", .path.display())]
    KeyExposed {
        /// The key file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Others could put files into the home.
    #[error("the home `{}` can be written by others (mode {mode:o})", .path.display())]
    Writable {
        /// The home.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Somebody held a lock for too long.
    #[error(
        "waited {} s for {subject}, which {} holds",
        .waited.as_secs(),
        .holder.map_or_else(|| "another process".to_owned(), |id| format!("process {id}"))
    )]
    Busy {
        /// What the lock is for.
        subject: Subject,
        /// The process that holds it, where it said so.
        holder: Option<u32>,
        /// How long was waited.
        waited: Duration,
    },
    /// A file is larger than any of its kind.
    #[error("`{}` is larger than {bytes_max} bytes", .path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The most that is read.
        bytes_max: u64,
    },
    /// The file system refused.
    #[error("cannot {doing} `{}`", .path.display())]
    Io {
        /// The verb.
        doing: &'static str,
        /// Of which file.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

impl Hint for Error {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Missing(_) => Some(
                "name the home with `--home` or `WHARF_HOME`; installing a connector creates one".to_owned(),
            ),
            Self::Foreign { .. } => Some("name an empty folder, or one that does not exist yet".to_owned()),
            Self::KeyExposed { path, .. } => Some(format!("run `chmod 600 {}`", path.display())),
            Self::Writable { path, .. } => Some(format!("run `chmod go-w {}`", path.display())),
            Self::Busy { holder: Some(id), .. } => {
                Some(format!("see what process {id} is doing: `ps -p {id}`"))
            }
            Self::Busy { holder: None, .. } | Self::TooLarge { .. } | Self::Io { .. } => None,
        }
    }
}

/// A home that is open. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Home(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    root: Folder,
    accounts: Folder,
    destinations: Folder,
    blobs: Folder,
    artefacts: Folder,
    audit: Folder,
    locks: Folder,
}

impl Home {
    /// Open the home at `path`, creating what is missing of it.
    ///
    /// # Errors
    /// When the folder belongs to something else, is open to others, or cannot be made.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let io_error = |source| Error::Io { doing: "create", path: path.to_owned(), source };
        // Until it exists, a home has no handle to go through.
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(folder::FOLDER_MODE)
            .create(path)
            .map_err(io_error)?;
        let path = &path.canonicalize().map_err(io_error)?;
        let root = Folder::open_ambient(path).map_err(io_error)?;
        check_root(path, &root)?;
        for name in FOLDERS {
            root.create_folder(name).map_err(|source| root.error("create", name, source))?;
        }
        Self::from_root(path, root)
    }

    /// Open the home at `path` as it is.
    ///
    /// # Errors
    /// [`Error::Missing`] when there is none; else as [`open`](Self::open).
    pub fn open_existing(path: &Path) -> Result<Self, Error> {
        let missing = || Error::Missing(path.to_owned());
        let open_error = |source: io::Error| {
            if matches!(source.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) {
                missing()
            } else {
                Error::Io { doing: "open", path: path.to_owned(), source }
            }
        };
        let path = &path.canonicalize().map_err(open_error)?;
        let root = Folder::open_ambient(path).map_err(open_error)?;
        check_root(path, &root)?;
        if FOLDERS.iter().any(|name| !root.has(name)) {
            return Err(missing());
        }
        Self::from_root(path, root)
    }

    fn from_root(path: &Path, root: Folder) -> Result<Self, Error> {
        let open = |name: &'static str| {
            let folder = root.folder(name).map_err(|source| root.error("open", name, source))?;
            folder.sweep();
            Ok(folder)
        };
        root.sweep();
        Ok(Self(Arc::new(Inner {
            path: path.to_owned(),
            accounts: open("accounts")?,
            destinations: open("destinations")?,
            blobs: open("blobs/sha256")?,
            artefacts: open("artefacts")?,
            audit: open("audit")?,
            locks: open("locks")?,
            root,
        })))
    }

    /// Where it is, absolute and without links: for messages, SQLite and child processes.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0.path
    }

    /// The user that it belongs to, as the system numbers users.
    ///
    /// # Errors
    /// When the folder cannot be looked at.
    pub fn owner(&self) -> Result<u32, Error> {
        let root = self.root();
        root.owner().map_err(|source| root.error("look at", ".", source))
    }

    /// The home itself: the key, the database, the list of connectors, `trust.toml`.
    #[must_use]
    pub fn root(&self) -> &Folder {
        &self.0.root
    }

    /// `accounts/`.
    #[must_use]
    pub fn accounts(&self) -> &Folder {
        &self.0.accounts
    }

    /// `destinations/`.
    #[must_use]
    pub fn destinations(&self) -> &Folder {
        &self.0.destinations
    }

    /// `blobs/sha256/`.
    #[must_use]
    pub fn blobs(&self) -> &Folder {
        &self.0.blobs
    }

    /// `artefacts/`.
    #[must_use]
    pub fn artefacts(&self) -> &Folder {
        &self.0.artefacts
    }

    /// `audit/`.
    #[must_use]
    pub fn audit(&self) -> &Folder {
        &self.0.audit
    }

    /// `locks/`: for [`lock`](Self::lock), and for rooms with lock files of their own kind.
    #[must_use]
    pub fn locks(&self) -> &Folder {
        &self.0.locks
    }
}

/// Is this folder a home (or empty), and its owner's alone?
fn check_root(path: &Path, root: &Folder) -> Result<(), Error> {
    let io_error = |source| root.error("look at", ".", source);
    let mode = root.permissions().map_err(io_error)?;
    if mode & OTHERS_WRITE != 0 {
        return Err(Error::Writable { path: path.to_owned(), mode });
    }
    for key in [KEY_FILE, KEY_NEXT_FILE] {
        match root.permissions_of(key).map_err(io_error)? {
            Some(mode) if mode & OTHERS != 0 => {
                return Err(Error::KeyExposed { path: root.path_of(key), mode });
            }
            Some(_) | None => {}
        }
    }
    if root.has(KEY_FILE) || root.has(VAULT_FILE) {
        return Ok(());
    }
    // Without a key it may be a home in the making, or the wrong folder altogether.
    match root.names()?.into_iter().find(|name| !is_ours(name)) {
        Some(found) => Err(Error::Foreign { path: path.to_owned(), found }),
        None => Ok(()),
    }
}

fn is_ours(name: &str) -> bool {
    // The key too: another process may be making this home at the same time.
    FOLDERS.contains(&name)
        || [KEY_FILE, KEY_NEXT_FILE, VAULT_FILE, CONNECTORS_FILE].contains(&name)
        || [TRUST_FILE, REVOCATIONS_FILE, AVAILABLE_FOLDER].contains(&name)
        || [RECOVERY_KEY_FILE, EXPORTS_FILE].contains(&name)
        || name.starts_with(STATE_FILE)
}

#[cfg(test)]
pub(crate) mod tests;
