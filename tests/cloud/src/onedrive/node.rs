//! What a drive is made of: items, their content and versions, and the lines that tell of changes.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use crate::store::Blob;

/// An item inside its drive.
pub(crate) type Key = u64;

/// A file or a folder.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) key: Key,
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) parent: Option<Key>,
    /// As the service saw it.
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
    /// As the client says it was: `fileSystemInfo`.
    pub(crate) times: Times,
    /// Counts changes of content and metadata.
    pub(crate) etag: u64,
    /// Counts changes of content.
    pub(crate) ctag: u64,
    /// Its place in the record of changes.
    pub(crate) change: u64,
    pub(crate) body: Body,
    /// Whether somebody holds it checked out: changes get 423.
    pub(crate) locked: bool,
    /// Whether it is the Personal Vault, which cannot be descended into.
    pub(crate) vault: bool,
}

/// The times of `fileSystemInfo`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) created: Timestamp,
    pub(crate) modified: Timestamp,
}

/// What an item is.
#[derive(Clone, Debug)]
pub(crate) enum Body {
    Folder(BTreeMap<String, Key>),
    File(File),
}

/// The content of a file and what it was before.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) blob: Arc<Blob>,
    /// When these bytes came.
    pub(crate) stored: Timestamp,
    pub(crate) versions: Vec<Version>,
    /// The number of the current version.
    pub(crate) version: u64,
}

/// An earlier state of a file.
#[derive(Clone, Debug)]
pub(crate) struct Version {
    pub(crate) number: u64,
    pub(crate) blob: Arc<Blob>,
    pub(crate) modified: Timestamp,
}

impl Item {
    pub(crate) fn file(&self) -> Option<&File> {
        match &self.body {
            Body::File(file) => Some(file),
            Body::Folder(_) => None,
        }
    }

    pub(crate) fn children(&self) -> Option<&BTreeMap<String, Key>> {
        match &self.body {
            Body::Folder(children) => Some(children),
            Body::File(_) => None,
        }
    }
}

/// One line of the record of changes.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// The item is as it is now.
    Present(Key),
    /// The item is gone.
    Deleted { id: String, was_folder: bool },
}

/// Bytes by where they count.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Quota {
    pub(crate) total: u64,
    pub(crate) used: u64,
    pub(crate) deleted: u64,
}

impl Quota {
    pub(crate) fn remaining(self) -> u64 {
        self.total.saturating_sub(self.used + self.deleted)
    }

    /// The word in `quota.state`.
    pub(crate) fn state(self) -> &'static str {
        let left = self.remaining();
        match self.total {
            _ if left == 0 => "exceeded",
            total if left < total / 100 => "critical",
            total if left < total / 10 => "nearing",
            _ => "normal",
        }
    }
}
