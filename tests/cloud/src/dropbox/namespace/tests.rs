//! The namespace by itself, without a service around it.

use super::*;
use crate::hash::Hasher;
use crate::store::Store;

struct Bench {
    _root: tempfile::TempDir,
    store: Store,
    space: Namespace,
}

fn bench() -> Bench {
    let root = tempfile::tempdir().unwrap();
    Bench { store: Store::create(root.path()).unwrap(), space: Namespace::new(100), _root: root }
}

fn at(path: &str) -> Named {
    Named::Path(path.to_owned())
}

impl Bench {
    fn save(&mut self, path: &str, text: &str, mode: Mode) -> Result<Entry, Value> {
        self.save_as(path, text, mode, false, false)
    }

    fn save_as(
        &mut self,
        path: &str,
        text: &str,
        mode: Mode,
        strict: bool,
        autorename: bool,
    ) -> Result<Entry, Value> {
        let blob = self.store.keep(text.as_bytes(), Hasher::content()).unwrap();
        let commit = Commit { path: at(path), mode, autorename, client_modified: None, strict };
        self.space.commit(&commit, &blob, Timestamp::now())
    }

    fn names(&self, folder: &str, recursive: bool, limit: usize) -> Vec<String> {
        let mut names = Vec::new();
        let mut after = None;
        loop {
            let (page, next) = self.space.list(folder, recursive, after.as_deref(), limit);
            names.extend(page.iter().map(|entry| entry.display.clone()));
            match next {
                Some(next) => after = Some(next),
                None => return names,
            }
        }
    }
}

#[test]
fn modes_and_conflicts() {
    let mut bench = bench();
    let first = bench.save("/a.txt", "one", Mode::Add).unwrap();
    let rev = first.file.clone().unwrap().rev;
    let same = bench.save("/A.TXT", "one", Mode::Add).unwrap();
    assert_eq!(same.file.unwrap().rev, rev, "identical content is no change");
    let strict = bench.save_as("/a.txt", "one", Mode::Add, true, false);
    assert_eq!(strict.unwrap_err(), conflict_with("file"));
    assert_eq!(bench.save("/a.txt", "two", Mode::Add).unwrap_err(), conflict_with("file"));
    let renamed = bench.save_as("/a.txt", "two", Mode::Add, false, true).unwrap();
    assert_eq!(renamed.display, "/a (1).txt");
    let stale = Mode::Update("000000000".to_owned());
    assert!(bench.save("/a.txt", "three", stale.clone()).is_err());
    let copy = bench.save_as("/a.txt", "three", stale.clone(), false, true).unwrap();
    assert_eq!(copy.display, "/a (conflicted copy).txt");
    assert!(bench.save("/a.txt", "three", Mode::Update(rev)).is_ok());
    assert!(bench.save("/new.txt", "x", stale.clone()).is_ok());
    assert!(bench.save_as("/gone.txt", "x", stale, true, false).is_err());
    assert_eq!(bench.save("/a.txt/b", "x", Mode::Overwrite).unwrap_err(), conflict_with("file_ancestor"));
    bench.space.make_folder(&at("/d"), false).unwrap();
    assert_eq!(bench.save("/D", "x", Mode::Overwrite).unwrap_err(), conflict_with("folder"));
    let big = "x".repeat(101);
    assert_eq!(bench.save("/big", &big, Mode::Add).unwrap_err(), tag("insufficient_space"));
}

#[test]
fn lists_in_pages_of_any_size() {
    let mut bench = bench();
    for path in ["/a/x/1", "/a/x/2", "/a/x!", "/a/x0", "/a/y", "/ab", "/a!"] {
        bench.save(path, path, Mode::Add).unwrap();
    }
    for limit in 1..8 {
        assert_eq!(bench.names("/a", false, limit), ["/a/x", "/a/x!", "/a/x0", "/a/y"]);
        assert_eq!(bench.names("", false, limit), ["/a", "/a!", "/ab"]);
        let deep = bench.names("/a", true, limit);
        assert_eq!(deep, ["/a", "/a/x", "/a/x!", "/a/x/1", "/a/x/2", "/a/x0", "/a/y"]);
        assert_eq!(bench.names("", true, limit).len(), 9);
    }
}

#[test]
fn moves_keep_ids_and_changes_tell() {
    let mut bench = bench();
    let old = bench.save("/a/B/c.txt", "x", Mode::Add).unwrap();
    let since = bench.space.newest();
    let now = Timestamp::now();
    let moved = bench.space.relocate(&at("/a/b"), &at("/Z/q"), false, false, now);
    assert_eq!(moved.unwrap().display, "/Z/q");
    let (path, new) = bench.space.find(&Named::Id(old.id.clone(), String::new())).unwrap();
    assert_eq!((path.as_str(), new.display.as_str()), ("/z/q/c.txt", "/Z/q/c.txt"));
    let (changes, more) = bench.space.changed("", true, since, 100);
    assert!(more.is_none());
    let gone = |found: &Found<'_>| matches!(found, Found::Deleted(t) if t.display == "/a/B");
    assert!(changes.iter().any(gone));
    let copy = bench.space.relocate(&at("/z/q"), &at("/z/q2"), true, false, now);
    assert_ne!(copy.unwrap().id, new.id);
    assert_eq!(bench.space.used, 2);
    let inside = bench.space.relocate(&at("/z"), &at("/z/q/r"), false, false, now);
    assert_eq!(inside.unwrap_err(), tag("cant_move_folder_into_itself"));
    bench.space.remove("/z", now);
    assert_eq!(bench.space.used, 0);
    assert!(bench.space.tombstone("/z/q/c.txt").is_some());
    assert_eq!(bench.space.history("/z/q/c.txt").len(), 1);
}
