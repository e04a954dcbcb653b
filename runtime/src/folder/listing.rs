//! A page of what is in a folder.
//!
//! Pages are cut by name: one that begins after the last name of the page before needs no memory of
//! it, in this process or another. A pass over the folder keeps no more names than fit the page.

use std::collections::BinaryHeap;

use cap_std::fs::Dir;

use super::{Folder, Item, Problem, leftover, walk};
use crate::path::RelativePath;

/// Items on one page. A folder of a million files takes a hundred passes then, of well under a second.
pub const PAGE_ENTRIES_MAX: usize = 10_000;
/// Bytes that a connector's answer with these items may take: it passes the sandbox in one piece of at
/// most 8 MiB ([`HOSTCALL_BYTES_MAX`](crate::sandbox::limits::HOSTCALL_BYTES_MAX)).
const PAGE_BYTES_MAX: usize = 6 * 1024 * 1024;
/// Bytes of one item there, beside the path of its folder: a name (255), a revision and the rest.
const ENTRY_BYTES: usize = 600;

/// One page of a folder, by name in the order of their bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Names and what they are.
    pub items: Vec<(String, Item)>,
    /// What gets the next page; none at the end.
    pub next: Option<String>,
}

/// What a listing does about what dead processes left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leftovers {
    /// Remove it.
    Remove,
    /// Leave it, where nothing may be written.
    Keep,
}

impl Folder {
    /// A page of what is in a folder. What is neither file nor folder is left out, and so is what has a
    /// name that is not UTF-8.
    ///
    /// # Errors
    /// When it is not there, no folder, or cannot be read.
    pub(crate) fn list(
        &self,
        path: &RelativePath,
        next: Option<&str>,
        leftovers: Leftovers,
    ) -> Result<Listing, super::Error> {
        self.doing("list", path, || {
            leftover::check_readable(path)?;
            let dir = walk::open(self.root()?, path)?;
            let found = names(&dir, next, entries_max(path))?;
            if leftovers == Leftovers::Remove {
                leftover::sweep(&dir, &found.leftovers, std::time::SystemTime::now());
            }
            if found.unnamed > 0 && next.is_none() {
                let place = self.place(path);
                tracing::warn!(place = %place.display(), "{} names that are not UTF-8 are left out", found.unnamed);
            }
            page(&dir, found)
        })
    }
}

/// Names of files and folders, the first in order.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) names: Vec<String>,
    pub(super) more: bool,
    leftovers: Vec<String>,
    unnamed: usize,
}

fn entries_max(path: &RelativePath) -> usize {
    (PAGE_BYTES_MAX / (ENTRY_BYTES + path.as_str().len())).min(PAGE_ENTRIES_MAX)
}

/// The first `entries_max` names after `next`.
pub(super) fn names(dir: &Dir, next: Option<&str>, entries_max: usize) -> Result<Found, Problem> {
    let mut found = Found::default();
    let mut first: BinaryHeap<String> = BinaryHeap::new();
    for entry in dir.entries()? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            found.unnamed = found.unnamed.saturating_add(1);
            continue;
        };
        if leftover::is_temporary(&name) {
            if found.leftovers.len() < leftover::SWEEP_MAX {
                found.leftovers.push(name);
            }
            continue;
        }
        if next.is_some_and(|next| *name <= *next) {
            continue;
        }
        let full = first.len() >= entries_max;
        if full && first.peek().is_some_and(|last| name > *last) {
            found.more = true;
            continue;
        }
        let kind = entry.file_type()?;
        if !kind.is_file() && !kind.is_dir() {
            continue;
        }
        first.push(name);
        if full {
            first.pop();
            found.more = true;
        }
    }
    found.names = first.into_sorted_vec();
    Ok(found)
}

fn page(dir: &Dir, found: Found) -> Result<Listing, Problem> {
    let next = if found.more { found.names.last().cloned() } else { None };
    let mut items = Vec::with_capacity(found.names.len());
    for name in found.names {
        match dir.symlink_metadata(&name) {
            // It may be something else by now.
            Ok(metadata) => items.extend(Item::of(&metadata).map(|item| (name, item))),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(Listing { items, next })
}
