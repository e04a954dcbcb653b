//! One namespace: entries by folded path, with revisions, tombstones and a record of changes.
//!
//! Pure state: no clock, no I/O, no HTTP. Errors are the unions of the interface description, to
//! be put where the endpoint has them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::entry::{Commit, Entry, File, Found, Mode, Revision, Tombstone};
use super::error::conflict_with;
use super::path::{self, Named};
use crate::seal;
use crate::store::Blob;

/// Revisions of one path that are kept.
const REVISIONS_MAX: usize = 50;
/// Old content larger than this is forgotten at once, so that tests do not fill the disk.
const REVISION_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// Deleted paths that are remembered.
const TOMBSTONES_MAX: usize = 200_000;
/// Names tried before autorename gives up.
const RENAMES_MAX: usize = 1000;

/// A namespace.
#[derive(Debug)]
pub(crate) struct Namespace {
    pub(crate) allocated: u64,
    pub(crate) used: u64,
    /// Cursors made before this change are refused.
    pub(crate) floor: u64,
    pub(crate) refuse_emoji: bool,
    pub(crate) display_as_requested: bool,
    entries: BTreeMap<String, Entry>,
    tombstones: BTreeMap<String, Tombstone>,
    changes: BTreeMap<u64, String>,
    ids: HashMap<String, String>,
    revisions: HashMap<String, Vec<Revision>>,
    pub(crate) next_change: u64,
    next_rev: u64,
}

fn tag(name: &str) -> Value {
    json!({".tag": name})
}

impl Namespace {
    pub(crate) fn new(allocated: u64) -> Self {
        Self {
            allocated,
            used: 0,
            floor: 0,
            refuse_emoji: false,
            display_as_requested: false,
            entries: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            changes: BTreeMap::new(),
            ids: HashMap::new(),
            revisions: HashMap::new(),
            next_change: 1,
            next_rev: 0x0001_5f2c_0000_0001,
        }
    }

    /// The number of the newest change.
    pub(crate) fn newest(&self) -> u64 {
        self.next_change - 1
    }

    /// The folded path that an argument names; the error is a `LookupError`.
    pub(crate) fn locate(&self, named: &Named) -> Result<String, Value> {
        match named {
            Named::Path(path) => {
                path::check_lookup(path)?;
                Ok(path::fold(path))
            }
            Named::Id(id, rest) => {
                let base = self.ids.get(id).ok_or_else(|| tag("not_found"))?;
                Ok(format!("{base}{}", path::fold(rest)))
            }
            Named::Rev(rev) => {
                let (path, _) = self.revision(rev).ok_or_else(|| tag("not_found"))?;
                Ok(path)
            }
        }
    }

    /// What an argument names, with its folded path; the error is a `LookupError`.
    pub(crate) fn find(&self, named: &Named) -> Result<(String, Entry), Value> {
        if let Named::Rev(rev) = named {
            return self.revision(rev).ok_or_else(|| tag("not_found"));
        }
        let path = self.locate(named)?;
        match self.entries.get(&path) {
            Some(entry) => Ok((path, entry.clone())),
            None => Err(tag("not_found")),
        }
    }

    pub(crate) fn get(&self, path: &str) -> Option<&Entry> {
        self.entries.get(path)
    }

    pub(crate) fn tombstone(&self, path: &str) -> Option<&Tombstone> {
        self.tombstones.get(path)
    }

    /// The content with a revision, current or earlier.
    fn revision(&self, rev: &str) -> Option<(String, Entry)> {
        let current = self.entries.iter().find(|(_, entry)| has_rev(entry, rev));
        if let Some((path, entry)) = current {
            return Some((path.clone(), entry.clone()));
        }
        let mut all = self.revisions.values().flatten();
        let found = all.find(|revision| has_rev(&revision.entry, rev))?;
        Some((found.path.clone(), found.entry.clone()))
    }

    /// Earlier contents of a path, newest first.
    pub(crate) fn history(&self, path: &str) -> Vec<&Entry> {
        let kept = self.revisions.get(path).into_iter().flatten();
        kept.rev().map(|revision| &revision.entry).collect()
    }

    /// The folded path an argument writes to, and the path as it will be shown; the error is a
    /// `WriteError`.
    pub(crate) fn target(&self, named: &Named) -> Result<(String, String), Value> {
        let text = match named {
            Named::Path(path) => path.clone(),
            Named::Id(id, rest) => match self.ids.get(id).and_then(|path| self.entries.get(path)) {
                Some(entry) => format!("{}{rest}", entry.display),
                None => return Err(tag("malformed_path")),
            },
            Named::Rev(_) => return Err(tag("malformed_path")),
        };
        path::check_write(&text, self.refuse_emoji)?;
        Ok((path::fold(&text), text))
    }

    /// Saves a file; the error is a `WriteError`.
    pub(crate) fn commit(
        &mut self,
        commit: &Commit,
        blob: &Arc<Blob>,
        now: Timestamp,
    ) -> Result<Entry, Value> {
        let (mut path, mut shown) = self.target(&commit.path)?;
        self.check_ancestors(&path)?;
        match self.clash(&path, commit, blob) {
            Clash::None => {}
            Clash::Same(entry) => return Ok(*entry),
            Clash::With(what) if !commit.autorename => return Err(conflict_with(what)),
            Clash::With(_) => {
                shown = self.free(&shown, &commit.mode)?;
                path = path::fold(&shown);
            }
        }
        let old = self.entries.get(&path).and_then(|entry| entry.file.as_ref());
        let freed = old.map_or(0, |file| file.blob.size());
        if self.used.saturating_sub(freed) + blob.size() > self.allocated {
            return Err(tag("insufficient_space"));
        }
        self.make_parents(&path, &shown);
        let file = File {
            rev: self.new_rev(),
            blob: Arc::clone(blob),
            client_modified: commit.client_modified.unwrap_or(now),
            server_modified: now,
        };
        self.used = self.used.saturating_sub(freed) + blob.size();
        Ok(self.put(&path, &shown, Some(file)))
    }

    fn clash(&self, path: &str, commit: &Commit, blob: &Blob) -> Clash {
        let Some(entry) = self.entries.get(path) else {
            let gone = matches!(commit.mode, Mode::Update(_)) && commit.strict;
            return if gone { Clash::With("file") } else { Clash::None };
        };
        let Some(file) = &entry.file else {
            return Clash::With("folder");
        };
        if file.blob.hash() == blob.hash() && !commit.strict {
            return Clash::Same(Box::new(entry.clone()));
        }
        match &commit.mode {
            Mode::Overwrite => Clash::None,
            Mode::Update(rev) if *rev == file.rev => Clash::None,
            Mode::Update(_) | Mode::Add => Clash::With("file"),
        }
    }

    /// A name that is free, by the mode's strategy.
    fn free(&self, shown: &str, mode: &Mode) -> Result<String, Value> {
        let mark = |number: usize| match (mode, number) {
            (Mode::Update(_), 1) => "conflicted copy".to_owned(),
            (Mode::Update(_), number) => format!("conflicted copy {number}"),
            (Mode::Add | Mode::Overwrite, number) => number.to_string(),
        };
        (1..RENAMES_MAX)
            .map(|number| path::marked(shown, &mark(number)))
            .find(|candidate| !self.entries.contains_key(&path::fold(candidate)))
            .ok_or_else(|| conflict_with("file"))
    }

    fn check_ancestors(&self, path: &str) -> Result<(), Value> {
        let is_file = |above: &str| self.entries.get(above).is_some_and(|e| e.file.is_some());
        match path::ancestors(path).any(is_file) {
            true => Err(conflict_with("file_ancestor")),
            false => Ok(()),
        }
    }

    /// Makes a folder; the error is a `WriteError`.
    pub(crate) fn make_folder(&mut self, named: &Named, autorename: bool) -> Result<Entry, Value> {
        let (mut path, mut shown) = self.target(named)?;
        self.check_ancestors(&path)?;
        if let Some(entry) = self.entries.get(&path) {
            let what = if entry.file.is_some() { "file" } else { "folder" };
            if !autorename {
                return Err(conflict_with(what));
            }
            shown = self.free(&shown, &Mode::Add)?;
            path = path::fold(&shown);
        }
        self.make_parents(&path, &shown);
        Ok(self.put(&path, &shown, None))
    }

    fn make_parents(&mut self, path: &str, shown: &str) {
        let missing: Vec<(String, String)> = path::ancestors(path)
            .zip(path::ancestors(shown))
            .filter(|(folded, _)| !self.entries.contains_key(*folded))
            .map(|(folded, shown)| (folded.to_owned(), shown.to_owned()))
            .collect();
        for (folded, shown) in missing {
            self.put(&folded, &shown, None);
        }
    }

    /// Puts an entry at a path, over what is there.
    fn put(&mut self, folded: &str, shown: &str, file: Option<File>) -> Entry {
        let old = self.entries.remove(folded);
        let id = match &old {
            Some(old) => old.id.clone(),
            None => format!("id:{}", seal::random(22)),
        };
        if let Some(old) = old {
            self.changes.remove(&old.change);
            self.keep(folded, old);
        }
        let entry = Entry { id, display: self.display(folded, shown), change: self.record(folded), file };
        self.ids.insert(entry.id.clone(), folded.to_owned());
        self.entries.insert(folded.to_owned(), entry.clone());
        entry
    }

    /// The shown path: the stored case of the parents and the given case of the name.
    fn display(&self, folded: &str, shown: &str) -> String {
        let parent = self.entries.get(path::parent(folded));
        match parent {
            Some(parent) if !self.display_as_requested => {
                format!("{}/{}", parent.display, path::name(shown))
            }
            Some(_) | None => shown.to_owned(),
        }
    }

    /// Notes a change of a path and gives its number.
    fn record(&mut self, path: &str) -> u64 {
        if let Some(old) = self.tombstones.remove(path) {
            self.changes.remove(&old.change);
        }
        let change = self.next_change;
        self.next_change += 1;
        self.changes.insert(change, path.to_owned());
        change
    }

    fn keep(&mut self, path: &str, entry: Entry) {
        let size = entry.file.as_ref().map(|file| file.blob.size());
        if size.is_none_or(|size| size > REVISION_BYTES_MAX) {
            return;
        }
        let kept = self.revisions.entry(path.to_owned()).or_default();
        if kept.len() == REVISIONS_MAX {
            kept.remove(0);
        }
        kept.push(Revision { entry, path: path.to_owned() });
    }

    fn new_rev(&mut self) -> String {
        self.next_rev += 1;
        format!("{:015x}", self.next_rev)
    }

    /// Every entry at and below a path.
    pub(crate) fn subtree(&self, path: &str) -> Vec<String> {
        let below = format!("{path}/");
        let own = self.entries.contains_key(path).then(|| path.to_owned());
        let rest = self.entries.range(below.clone()..);
        let rest = rest.map(|(key, _)| key.clone());
        own.into_iter().chain(rest.take_while(|key| key.starts_with(&below))).collect()
    }

    /// Removes a path and everything below it; gives what was there.
    pub(crate) fn remove(&mut self, path: &str, now: Timestamp) -> Option<Entry> {
        let top = self.entries.get(path).cloned()?;
        for key in self.subtree(path) {
            let Some(entry) = self.entries.remove(&key) else {
                continue;
            };
            self.ids.remove(&entry.id);
            self.changes.remove(&entry.change);
            if let Some(file) = &entry.file {
                self.used = self.used.saturating_sub(file.blob.size());
            }
            let display = entry.display.clone();
            self.keep(&key, entry);
            // One line in the record speaks for the whole subtree.
            let change = match key == path {
                true => self.record(&key),
                false => 0,
            };
            let tombstone = Tombstone { display, deleted: now, change };
            self.tombstones.insert(key, tombstone);
        }
        if self.tombstones.len() > TOMBSTONES_MAX {
            self.forget();
        }
        Some(top)
    }

    /// Forgets what is gone; cursors from before that are refused.
    fn forget(&mut self) {
        for tombstone in std::mem::take(&mut self.tombstones).into_values() {
            self.changes.remove(&tombstone.change);
        }
        self.revisions.clear();
        self.floor = self.next_change;
    }

    /// Moves or copies a path; the error is a `RelocationError`.
    pub(crate) fn relocate(
        &mut self,
        from: &Named,
        to: &Named,
        copy: bool,
        autorename: bool,
        now: Timestamp,
    ) -> Result<Entry, Value> {
        let lookup = |error| json!({".tag": "from_lookup", "from_lookup": error});
        let write = |error| json!({".tag": "to", "to": error});
        let (source, _) = self.find(from).map_err(lookup)?;
        let (mut path, mut shown) = self.target(to).map_err(write)?;
        if source.is_empty() || path == source || path.starts_with(&format!("{source}/")) {
            let same = path == source && !copy;
            return Err(match same {
                // Only the case changes, or nothing does.
                true => tag("duplicated_or_nested_paths"),
                false if path == source => write(conflict_with("file")),
                false => tag("cant_move_folder_into_itself"),
            });
        }
        self.check_ancestors(&path).map_err(write)?;
        if let Some(entry) = self.entries.get(&path) {
            let what = if entry.file.is_some() { "file" } else { "folder" };
            if !autorename {
                return Err(write(conflict_with(what)));
            }
            shown = self.free(&shown, &Mode::Add).map_err(write)?;
            path = path::fold(&shown);
        }
        let keys = self.subtree(&source);
        let moved: Vec<(String, Entry)> =
            keys.iter().filter_map(|key| Some((key.clone(), self.entries.get(key)?.clone()))).collect();
        if copy {
            let files = moved.iter().filter_map(|(_, entry)| entry.file.as_ref());
            let bytes: u64 = files.map(|file| file.blob.size()).sum();
            if self.used + bytes > self.allocated {
                return Err(tag("insufficient_quota"));
            }
            self.used += bytes;
        } else {
            let used = self.used;
            self.remove(&source, now);
            self.used = used;
        }
        self.make_parents(&path, &shown);
        Ok(self.place(&source, &path, &shown, moved, copy))
    }

    /// Puts a subtree at its new place. A moved file keeps its id, a copied one gets its own.
    fn place(
        &mut self,
        source: &str,
        path: &str,
        shown: &str,
        moved: Vec<(String, Entry)>,
        copy: bool,
    ) -> Entry {
        let mut top = None;
        for (key, entry) in moved {
            let below = key.strip_prefix(source).unwrap_or_default();
            let folded = format!("{path}{below}");
            let place = match below.is_empty() {
                true => shown.to_owned(),
                false => format!("{}/{}", path::parent(&folded), path::name(&entry.display)),
            };
            let file = entry.file.map(|file| File { rev: self.new_rev(), ..file });
            let mut new = self.put(&folded, &place, file);
            if !copy {
                self.ids.remove(&new.id);
                self.ids.insert(entry.id.clone(), folded.clone());
                new.id = entry.id;
                self.entries.insert(folded, new.clone());
            }
            top.get_or_insert(new);
        }
        // A subtree that was found has at least its top.
        top.unwrap_or_else(|| self.put(path, shown, None))
    }

    /// Entries below a folder after a folded path: direct ones, or all of them.
    pub(crate) fn list(
        &self,
        folder: &str,
        recursive: bool,
        after: Option<&str>,
        limit: usize,
    ) -> (Vec<&Entry>, Option<String>) {
        let below = format!("{folder}/");
        let mut found = Vec::new();
        let mut last = after.map(str::to_owned);
        let mut from = match after {
            None if recursive && self.entries.contains_key(folder) => folder.to_owned(),
            None => below.clone(),
            Some(after) => past(after),
        };
        loop {
            let next = self.entries.range(from.clone()..).next();
            let Some((key, entry)) = next else {
                return (found, None);
            };
            if key != folder && !key.starts_with(&below) {
                match key.as_str() < below.as_str() {
                    true => {
                        from = below.clone();
                        continue;
                    }
                    false => return (found, None),
                }
            }
            let deeper = key.get(below.len()..).and_then(|rest| rest.find('/'));
            if let (false, Some(place)) = (recursive, deeper) {
                // Skips the rest of that folder in one step: `0` comes right after `/`.
                from = format!("{}0", &key[..below.len() + place]);
                continue;
            }
            if found.len() == limit {
                return (found, last);
            }
            found.push(entry);
            last = Some(key.clone());
            from = past(key);
        }
    }

    /// What changed below a folder after a change: newest state of each path, and where to go on.
    pub(crate) fn changed(
        &self,
        folder: &str,
        recursive: bool,
        since: u64,
        limit: usize,
    ) -> (Vec<Found<'_>>, Option<u64>) {
        let below = format!("{folder}/");
        let mut found = Vec::new();
        let mut last = since;
        for (change, key) in self.changes.range(since + 1..) {
            let rest = key.strip_prefix(&below);
            let wanted = match (rest, recursive) {
                (Some(rest), false) => !rest.contains('/'),
                (Some(_), true) => true,
                (None, _) => key == folder && recursive,
            };
            if !wanted {
                continue;
            }
            if found.len() == limit {
                return (found, Some(last));
            }
            last = *change;
            let entry = self.entries.get(key).map(Found::Entry);
            found.extend(entry.or_else(|| self.tombstones.get(key).map(Found::Deleted)));
        }
        (found, None)
    }

    /// Tombstones directly below a folder, or all of them.
    pub(crate) fn deleted(&self, folder: &str, recursive: bool) -> Vec<&Tombstone> {
        let below = format!("{folder}/");
        let range = self.tombstones.range(below.clone()..);
        range
            .take_while(|(key, _)| key.starts_with(&below))
            .filter(|(key, _)| recursive || !key[below.len()..].contains('/'))
            .map(|(_, tombstone)| tombstone)
            .collect()
    }

    /// Every file with its folded path.
    pub(crate) fn files(&self) -> impl Iterator<Item = (&Entry, &File)> {
        let files = self.entries.values();
        files.filter_map(|entry| Some((entry, entry.file.as_ref()?)))
    }
}

/// What is in the way of a commit.
enum Clash {
    None,
    /// The same content is there already: nothing is written.
    Same(Box<Entry>),
    With(&'static str),
}

fn has_rev(entry: &Entry, rev: &str) -> bool {
    entry.file.as_ref().is_some_and(|file| file.rev == rev)
}

/// The smallest key after an entry.
fn past(key: &str) -> String {
    format!("{key}\0")
}

#[cfg(test)]
mod tests;
