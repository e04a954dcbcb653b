//! What is stored at a path, in the host's own words: what a connector said, checked.

use jiff::Timestamp;

use crate::hash::Digest;
use crate::path::RelativePath;

/// File or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A file.
    File,
    /// A folder.
    Folder,
}

/// What is stored at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where, below the backup directory.
    pub path: RelativePath,
    /// File or folder.
    pub kind: Kind,
    /// Length in bytes; 0 for folders.
    pub size: u64,
    /// The modification time that the service keeps for it.
    pub modified: Option<Timestamp>,
    /// A hash that the service computed.
    pub hash: Option<Digest>,
    /// Changes whenever the bytes do.
    pub revision: Option<String>,
}

/// What may become of something that is already there.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Replace it.
    #[default]
    Replace,
    /// Fail, atomically: of two writers one wins.
    Create,
    /// Replace only this revision.
    ReplaceIfRevision(String),
}

/// What to store with the bytes of a file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Info {
    /// Length of the whole in bytes.
    pub size: u64,
    /// The source's modification time.
    pub modified: Option<Timestamp>,
    /// Must the service itself keep it, even at the price of one more request?
    pub keep_modified: bool,
    /// What may become of something that is already there.
    pub mode: Mode,
}
