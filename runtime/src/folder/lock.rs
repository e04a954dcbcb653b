//! One at a time where a look and a change must belong together.
//!
//! The lock is the operating system's, on the backup directory, so that it holds between processes and
//! ends with them. It is held while a name changes, never while bytes move. A file system that has no
//! such locks does without: there, only of two writers in the same instant the later wins.

use std::fs::File;
use std::io;

use cap_std::fs::Dir;
use rustix::fs::FlockOperation;
use rustix::io::Errno;

use super::walk;

/// The lock; dropping it gives it back.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

/// Wait until nobody else changes a name in this directory.
pub(super) fn placing(root: &Dir) -> io::Result<Lock> {
    let file = walk::handle(root)?;
    loop {
        match rustix::fs::flock(&file, FlockOperation::LockExclusive) {
            Err(Errno::INTR) => {}
            Ok(()) | Err(Errno::BADF | Errno::INVAL | Errno::NOLCK | Errno::NOSYS | Errno::OPNOTSUPP) => {
                return Ok(Lock { _file: file });
            }
            Err(error) => return Err(error.into()),
        }
    }
}
