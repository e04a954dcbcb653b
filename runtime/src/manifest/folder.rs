//! The directory of this machine that a connector may ask for.
//!
//! A manifest asks with `"folder": {"access": ["read", "write"]}`. Each access is a permission of its
//! own, which the operator grants by a name that is the host's, beside the routes: what it means does
//! not depend on a vendor's words, so the host has words for it.

use super::{Access, Error, problem};

/// What an operator grants so that files are read.
pub const READ: &str = "folder-read";
/// What an operator grants so that files are written.
pub const WRITE: &str = "folder-write";

/// What a connector wants to do in the destination's backup directory, on this machine.
#[derive(Debug, Clone, PartialEq, Eq, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FolderUse {
    /// Reading, writing, or both; each once.
    pub access: Vec<Access>,
}

impl FolderUse {
    pub(super) fn check(&self) -> Result<(), Error> {
        match self.access.as_slice() {
            [Access::Read | Access::Write]
            | [Access::Read, Access::Write]
            | [Access::Write, Access::Read] => Ok(()),
            _ => Err(problem("folder/access", "names neither `read` nor `write`, or one of them twice")),
        }
    }
}

/// The name under which an operator grants it.
#[must_use]
pub const fn name(access: Access) -> &'static str {
    match access {
        Access::Read => READ,
        Access::Write => WRITE,
    }
}

/// What it allows, in words for the operator.
#[must_use]
pub const fn does(access: Access) -> &'static str {
    match access {
        Access::Read => "list and read files and folders",
        Access::Write => "write, rename and remove files and folders",
    }
}
