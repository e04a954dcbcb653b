//! One drive: a tree of items in memory, with ids, tags, quota and a record of changes.
//!
//! Pure state: no clock, no I/O, no HTTP. Callers hold the drive's lock for a whole operation, so
//! each operation is atomic, and never across I/O.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use jiff::Timestamp;

use super::error::Failure;
use super::name::{self, Use};
use super::node::{Body, Change, File, Item, Key, Quota, Times, Version};
use super::switches::{Conflict, DriveKind};
use crate::seal;
use crate::store::Blob;

/// Names tried before "rename" gives up.
const RENAMES_MAX: usize = 1000;
/// Deletions that are remembered; delta links older than that get 410, as on the service.
const DELETIONS_MAX: usize = 100_000;
/// The root's id on a migrated personal drive, after the drive's and an exclamation mark.
const MIGRATED_ROOT: &str = "sea8cc6beffdb43d7976fbc7da445c639";
/// Versions of one file that are kept.
const VERSIONS_MAX: usize = 100;

/// A drive.
#[derive(Debug)]
pub(crate) struct Drive {
    pub(crate) id: String,
    pub(crate) kind: DriveKind,
    pub(crate) root: Key,
    pub(crate) quota: Quota,
    /// Changes by number.
    pub(crate) changes: BTreeMap<u64, Change>,
    /// Delta links made before this change are too old.
    pub(crate) delta_floor: u64,
    /// Whether ids are given as on personal drives that were migrated in 2025.
    migrated: bool,
    /// Changes that tell of something gone, oldest first.
    deletions: VecDeque<u64>,
    items: HashMap<Key, Item>,
    ids: HashMap<String, Key>,
    next_key: Key,
    pub(crate) next_change: u64,
}

impl Drive {
    pub(crate) fn new(kind: DriveKind, total: u64, now: Timestamp) -> Self {
        let id = match kind {
            DriveKind::Business | DriveKind::DocumentLibrary => format!("b!{}", seal::random(64)),
            DriveKind::Personal => hex::encode_upper(rand::random::<[u8; 8]>()),
        };
        let mut drive = Self {
            id,
            kind,
            root: 1,
            quota: Quota { total, ..Quota::default() },
            changes: BTreeMap::new(),
            delta_floor: 0,
            migrated: false,
            deletions: VecDeque::new(),
            items: HashMap::new(),
            ids: HashMap::new(),
            next_key: 1,
            next_change: 1,
        };
        let times = Times { created: now, modified: now };
        let body = Body::Folder(BTreeMap::new());
        drive.root = drive.insert(None, "root", body, times, now);
        drive
    }

    /// The number of the newest change.
    pub(crate) fn newest(&self) -> u64 {
        self.next_change - 1
    }

    pub(crate) fn get(&self, key: Key) -> Result<&Item, Failure> {
        self.items.get(&key).ok_or_else(Failure::not_found)
    }

    fn get_mut(&mut self, key: Key) -> Result<&mut Item, Failure> {
        self.items.get_mut(&key).ok_or_else(Failure::not_found)
    }

    /// The item with an id, in any case. A foreign id is a bad handle on a personal drive.
    pub(crate) fn by_id(&self, id: &str) -> Result<Key, Failure> {
        let found = self.ids.get(&id.to_uppercase()).copied();
        found.ok_or_else(|| match self.kind {
            DriveKind::Personal if !id.contains('!') => Failure::bad_handle(),
            DriveKind::Personal | DriveKind::Business | DriveKind::DocumentLibrary => Failure::not_found(),
        })
    }

    /// The child with a name, in any case.
    pub(crate) fn child(&self, parent: Key, name: &str) -> Option<Key> {
        let children = self.items.get(&parent)?.children()?;
        children.get(&name::fold(name)).copied()
    }

    /// Follows names down from an item.
    pub(crate) fn resolve(&self, start: Key, names: &[String]) -> Result<Key, Failure> {
        names.iter().try_fold(start, |parent, name| {
            if self.get(parent)?.vault {
                return Err(Failure::bad_handle());
            }
            self.child(parent, name).ok_or_else(Failure::not_found)
        })
    }

    /// Follows names down, making the folders that are missing.
    pub(crate) fn resolve_or_make(
        &mut self,
        start: Key,
        names: &[String],
        now: Timestamp,
    ) -> Result<Key, Failure> {
        let mut parent = start;
        for name in names {
            parent = match self.child(parent, name) {
                Some(key) => key,
                None => self.make_folder(parent, name, Conflict::Fail, now)?.0,
            };
            if self.get(parent)?.file().is_some() {
                return Err(Failure::exists());
            }
        }
        Ok(parent)
    }

    /// The names from the root to an item.
    pub(crate) fn path(&self, key: Key) -> Vec<&str> {
        let mut names = Vec::new();
        let mut next = self.items.get(&key);
        while let Some(item) = next {
            let Some(parent) = item.parent else { break };
            names.push(item.name.as_str());
            next = self.items.get(&parent);
        }
        names.reverse();
        names
    }

    /// Whether an item is another, or lies below it.
    pub(crate) fn is_inside(&self, key: Key, folder: Key) -> bool {
        let mut next = Some(key);
        while let Some(at) = next {
            if at == folder {
                return true;
            }
            next = self.items.get(&at).and_then(|item| item.parent);
        }
        false
    }

    /// Makes a folder; gives it, and whether it is new.
    pub(crate) fn make_folder(
        &mut self,
        parent: Key,
        name: &str,
        conflict: Conflict,
        now: Timestamp,
    ) -> Result<(Key, bool), Failure> {
        name::check(name, Use::Folder, self.kind, parent == self.root)?;
        self.check_folder(parent)?;
        let name = match self.child(parent, name) {
            None => name.to_owned(),
            Some(old) => match conflict {
                Conflict::Fail => return Err(Failure::exists()),
                Conflict::Rename => self.free_name(parent, name)?,
                Conflict::Replace if self.get(old)?.file().is_some() => {
                    return Err(Failure::exists());
                }
                Conflict::Replace => return Ok((old, false)),
            },
        };
        let times = Times { created: now, modified: now };
        let body = Body::Folder(BTreeMap::new());
        Ok((self.insert(Some(parent), &name, body, times, now), true))
    }

    /// Whether content of `size` bytes fits, if it replaces the item `old`.
    pub(crate) fn check_quota(&self, size: u64, old: Option<Key>) -> Result<(), Failure> {
        let freed = match self.keeps_versions() {
            true => 0,
            false => old.and_then(|key| self.items.get(&key)?.file()).map_or(0, |file| file.blob.size()),
        };
        match size > self.quota.remaining() + freed {
            true => Err(Failure::quota()),
            false => Ok(()),
        }
    }

    /// Stores a file under a name; gives it, and whether it is new.
    pub(crate) fn put(
        &mut self,
        parent: Key,
        name: &str,
        blob: Arc<Blob>,
        conflict: Conflict,
        times: Option<Times>,
        now: Timestamp,
    ) -> Result<(Key, bool), Failure> {
        name::check(name, Use::File, self.kind, parent == self.root)?;
        self.check_folder(parent)?;
        let old = self.child(parent, name);
        let name = match (old, conflict) {
            (None, _) => name.to_owned(),
            (Some(_), Conflict::Fail) => return Err(Failure::exists()),
            (Some(_), Conflict::Rename) => self.free_name(parent, name)?,
            (Some(old), Conflict::Replace) => {
                self.replace(old, blob, times, now)?;
                return Ok((old, false));
            }
        };
        self.check_quota(blob.size(), None)?;
        let times = times.unwrap_or(Times { created: now, modified: now });
        self.quota.used += blob.size();
        let body = Body::File(File { blob, stored: now, versions: Vec::new(), version: 1 });
        Ok((self.insert(Some(parent), &name, body, times, now), true))
    }

    /// Replaces the content of a file.
    pub(crate) fn replace(
        &mut self,
        key: Key,
        blob: Arc<Blob>,
        times: Option<Times>,
        now: Timestamp,
    ) -> Result<(), Failure> {
        self.check_quota(blob.size(), Some(key))?;
        self.check_unlocked(key)?;
        let keeps = self.keeps_versions();
        let size = blob.size();
        let item = self.get_mut(key)?;
        let Body::File(file) = &mut item.body else {
            return Err(Failure::exists());
        };
        let mut freed = 0;
        if keeps {
            freed = push_version(file, item.modified);
        } else {
            freed += file.blob.size();
        }
        file.blob = blob;
        file.stored = now;
        item.times.modified = times.map_or(now, |times| times.modified);
        if let Some(times) = times {
            item.times.created = times.created;
        }
        item.modified = now;
        item.ctag += 1;
        self.quota.used = (self.quota.used + size).saturating_sub(freed);
        self.touch(key);
        Ok(())
    }

    /// Sets the times of an item. On a business drive that makes a new version of a file, which
    /// counts its bytes again.
    pub(crate) fn set_times(&mut self, key: Key, times: Times, now: Timestamp) -> Result<(), Failure> {
        let keeps = self.keeps_versions();
        let item = self.get_mut(key)?;
        item.times = times;
        let mut grown = 0;
        let mut freed = 0;
        if let Body::File(file) = &mut item.body
            && keeps
        {
            grown = file.blob.size();
            freed = push_version(file, item.modified);
        }
        item.modified = now;
        self.quota.used = (self.quota.used + grown).saturating_sub(freed);
        self.touch(key);
        Ok(())
    }

    /// Sets the times of an item that has just been moved, which makes no version.
    pub(crate) fn reset_times(&mut self, key: Key, times: Times) -> Result<(), Failure> {
        self.get_mut(key)?.times = times;
        Ok(())
    }

    /// Gives an item another name or another parent.
    pub(crate) fn relocate(
        &mut self,
        key: Key,
        parent: Key,
        name: &str,
        conflict: Conflict,
    ) -> Result<(), Failure> {
        let item = self.get(key)?;
        let old_parent = item.parent.ok_or_else(Failure::denied)?;
        let wanted = match item.file() {
            Some(_) => Use::File,
            None => Use::Folder,
        };
        name::check(name, wanted, self.kind, parent == self.root)?;
        self.check_folder(parent)?;
        if self.is_inside(parent, key) {
            return Err(Failure::invalid("A folder cannot be moved into itself"));
        }
        let mut name = name.to_owned();
        if let Some(other) = self.child(parent, &name).filter(|other| *other != key) {
            match conflict {
                Conflict::Fail => return Err(Failure::exists()),
                Conflict::Rename => name = self.free_name(parent, &name)?,
                Conflict::Replace if self.get(other)?.file().is_some() => self.remove(other, false)?,
                Conflict::Replace => return Err(Failure::exists()),
            }
        }
        let old_name = name::fold(&self.get(key)?.name);
        self.unlink(old_parent, &old_name);
        self.link(parent, &name, key);
        let item = self.get_mut(key)?;
        item.name = name;
        item.parent = Some(parent);
        self.touch(key);
        self.touch_folder(old_parent);
        Ok(())
    }

    /// Removes an item and everything below it, into the recycle bin or for good.
    pub(crate) fn remove(&mut self, key: Key, for_good: bool) -> Result<(), Failure> {
        let item = self.get(key)?;
        let parent = item.parent.ok_or_else(Failure::denied)?;
        let name = name::fold(&item.name);
        self.check_unlocked(key)?;
        self.unlink(parent, &name);
        let mut gone = vec![key];
        let mut bytes = 0;
        while let Some(key) = gone.pop() {
            let Some(item) = self.items.remove(&key) else {
                continue;
            };
            self.ids.remove(&item.id.to_uppercase());
            self.changes.remove(&item.change);
            if let Some(file) = item.file() {
                bytes += file.blob.size();
                bytes += file.versions.iter().map(|v| v.blob.size()).sum::<u64>();
            }
            gone.extend(item.children().into_iter().flat_map(BTreeMap::values));
            let was_folder = item.file().is_none();
            self.record(Change::Deleted { id: item.id, was_folder });
        }
        self.quota.used = self.quota.used.saturating_sub(bytes);
        if !for_good {
            self.quota.deleted += bytes;
        }
        self.touch_folder(parent);
        Ok(())
    }

    /// Copies an item below a folder; the content is shared.
    pub(crate) fn copy(
        &mut self,
        key: Key,
        parent: Key,
        name: &str,
        conflict: Conflict,
        now: Timestamp,
    ) -> Result<Key, Failure> {
        let item = self.get(key)?.clone();
        match item.body {
            Body::File(file) => {
                let times = Some(item.times);
                let stored = self.put(parent, name, file.blob, conflict, times, now)?;
                Ok(stored.0)
            }
            Body::Folder(children) => {
                if self.is_inside(parent, key) {
                    return Err(Failure::invalid("A folder cannot be copied into itself"));
                }
                let (folder, _) = self.make_folder(parent, name, conflict, now)?;
                for child in children.into_values() {
                    let name = self.get(child)?.name.clone();
                    self.copy(child, folder, &name, conflict, now)?;
                }
                Ok(folder)
            }
        }
    }

    /// Drops a version of a file.
    pub(crate) fn drop_version(&mut self, key: Key, number: u64) -> Result<(), Failure> {
        let item = self.get_mut(key)?;
        let Body::File(file) = &mut item.body else {
            return Err(Failure::not_found());
        };
        let place = file.versions.iter().position(|v| v.number == number);
        let version = file.versions.remove(place.ok_or_else(Failure::not_found)?);
        self.quota.used = self.quota.used.saturating_sub(version.blob.size());
        Ok(())
    }

    /// Lets somebody hold an item checked out, or lets go of it.
    pub(crate) fn set_locked(&mut self, key: Key, locked: bool) -> Result<(), Failure> {
        self.get_mut(key)?.locked = locked;
        Ok(())
    }

    /// Makes a folder the Personal Vault, or an ordinary one again.
    pub(crate) fn set_vault(&mut self, key: Key, vault: bool) -> Result<(), Failure> {
        self.get_mut(key)?.vault = vault;
        Ok(())
    }

    /// Gives ids of the new form from now on, and the root its well-known one.
    pub(crate) fn migrate(&mut self) {
        if self.kind != DriveKind::Personal || self.migrated {
            return;
        }
        self.migrated = true;
        let id = format!("{}!{MIGRATED_ROOT}", self.id);
        self.ids.insert(id.to_uppercase(), self.root);
        if let Some(root) = self.items.get_mut(&self.root) {
            root.id = id;
        }
    }

    /// Refuses an item that somebody holds checked out.
    pub(crate) fn check_unlocked(&self, key: Key) -> Result<(), Failure> {
        match self.get(key)?.locked {
            true => Err(Failure::locked()),
            false => Ok(()),
        }
    }

    /// Whether old content is kept, and counted, when a file changes.
    pub(crate) fn keeps_versions(&self) -> bool {
        match self.kind {
            DriveKind::Business | DriveKind::DocumentLibrary => true,
            DriveKind::Personal => false,
        }
    }

    /// Every file below the root, with its path.
    pub(crate) fn files(&self) -> Vec<(String, &Item)> {
        let files = self.items.values().filter(|item| item.file().is_some());
        let mut files: Vec<_> =
            files.map(|item| (format!("/{}", self.path(item.key).join("/")), item)).collect();
        files.sort_by(|left, right| left.0.cmp(&right.0));
        files
    }

    fn check_folder(&self, key: Key) -> Result<(), Failure> {
        match &self.get(key)?.body {
            Body::Folder(_) => Ok(()),
            Body::File(_) => Err(Failure::invalid("The parent is not a folder")),
        }
    }

    fn free_name(&self, parent: Key, name: &str) -> Result<String, Failure> {
        (1..RENAMES_MAX)
            .map(|number| name::numbered(name, number))
            .find(|name| self.child(parent, name).is_none())
            .ok_or_else(Failure::exists)
    }

    fn insert(&mut self, parent: Option<Key>, name: &str, body: Body, times: Times, now: Timestamp) -> Key {
        let key = self.next_key;
        self.next_key += 1;
        let id = self.new_id(key);
        self.ids.insert(id.to_uppercase(), key);
        let item = Item {
            key,
            id,
            name: name.to_owned(),
            parent,
            created: now,
            modified: now,
            times,
            etag: 0,
            ctag: 1,
            change: 0,
            body,
            locked: false,
            vault: false,
        };
        self.items.insert(key, item);
        if let Some(parent) = parent {
            self.link(parent, name, key);
        }
        self.touch(key);
        key
    }

    fn new_id(&self, key: Key) -> String {
        match self.kind {
            DriveKind::Business | DriveKind::DocumentLibrary => {
                format!("01{}", seal::random(32).to_ascii_uppercase())
            }
            DriveKind::Personal if self.migrated => {
                format!("{}!s{}", self.id, hex::encode(rand::random::<[u8; 16]>()))
            }
            DriveKind::Personal => format!("{}!{}", self.id, key + 100),
        }
    }

    fn link(&mut self, parent: Key, name: &str, key: Key) {
        if let Some(item) = self.items.get_mut(&parent)
            && let Body::Folder(children) = &mut item.body
        {
            children.insert(name::fold(name), key);
        }
    }

    fn unlink(&mut self, parent: Key, folded: &str) {
        if let Some(item) = self.items.get_mut(&parent)
            && let Body::Folder(children) = &mut item.body
        {
            children.remove(folded);
        }
    }

    /// Records that an item changed; its parents show up in delta again, as on the service.
    fn touch(&mut self, key: Key) {
        let mut next = Some(key);
        let mut first = true;
        while let Some(key) = next {
            let change = self.next_change;
            let Some(item) = self.items.get_mut(&key) else {
                break;
            };
            let old = std::mem::replace(&mut item.change, change);
            item.etag += u64::from(first);
            next = item.parent;
            first = false;
            self.changes.remove(&old);
            self.record(Change::Present(key));
        }
    }

    fn touch_folder(&mut self, key: Key) {
        if self.items.contains_key(&key) {
            self.touch(key);
        }
    }

    fn record(&mut self, change: Change) {
        let number = self.next_change;
        self.next_change += 1;
        if let Change::Deleted { .. } = change {
            self.deletions.push_back(number);
        }
        self.changes.insert(number, change);
        if self.deletions.len() > DELETIONS_MAX
            && let Some(oldest) = self.deletions.pop_front()
        {
            self.changes.remove(&oldest);
            self.delta_floor = oldest;
        }
    }
}

/// Keeps the current content as a version; gives the bytes of a version that had to go for it.
fn push_version(file: &mut File, modified: Timestamp) -> u64 {
    file.versions.push(Version { number: file.version, blob: Arc::clone(&file.blob), modified });
    file.version += 1;
    match file.versions.len() > VERSIONS_MAX {
        true => file.versions.remove(0).blob.size(),
        false => 0,
    }
}

#[cfg(test)]
mod tests;
