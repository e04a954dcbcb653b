//! What a namespace is made of: entries, what used to be there, and how a file is to be saved.

use std::sync::Arc;

use jiff::Timestamp;

use super::path::Named;
use crate::store::Blob;

/// A file or a folder.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) id: String,
    /// The path as it is shown.
    pub(crate) display: String,
    pub(crate) change: u64,
    pub(crate) file: Option<File>,
}

/// The content of a file.
#[derive(Clone, Debug)]
pub(crate) struct File {
    pub(crate) rev: String,
    pub(crate) blob: Arc<Blob>,
    pub(crate) client_modified: Timestamp,
    pub(crate) server_modified: Timestamp,
}

/// What used to be at a path.
#[derive(Clone, Debug)]
pub(crate) struct Tombstone {
    pub(crate) display: String,
    pub(crate) deleted: Timestamp,
    pub(crate) change: u64,
}

/// An earlier content of a path.
#[derive(Clone, Debug)]
pub(crate) struct Revision {
    pub(crate) entry: Entry,
    pub(crate) path: String,
}

/// What is at a path, for the record of changes.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Found<'a> {
    Entry(&'a Entry),
    Deleted(&'a Tombstone),
}

/// How a write treats what is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Add,
    Overwrite,
    Update(String),
}

/// How a file is to be saved.
#[derive(Clone, Debug)]
pub(crate) struct Commit {
    pub(crate) path: Named,
    pub(crate) mode: Mode,
    pub(crate) autorename: bool,
    pub(crate) client_modified: Option<Timestamp>,
    pub(crate) strict: bool,
}
