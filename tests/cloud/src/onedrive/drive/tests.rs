//! The drive by itself, without a service around it.

use super::*;
use crate::hash::Hasher;
use crate::store::Store;

struct Bench {
    _root: tempfile::TempDir,
    store: Store,
    drive: Drive,
}

fn bench(kind: DriveKind) -> Bench {
    let root = tempfile::tempdir().unwrap();
    let store = Store::create(root.path()).unwrap();
    Bench { drive: Drive::new(kind, 1000, Timestamp::now()), store, _root: root }
}

impl Bench {
    fn put(&mut self, name: &str, size: usize, conflict: Conflict) -> Result<Key, Failure> {
        let blob = self.store.keep(&vec![7; size], Hasher::quick()).unwrap();
        let root = self.drive.root;
        let put = self.drive.put(root, name, blob, conflict, None, Timestamp::now());
        put.map(|(key, _)| key)
    }
}

#[test]
fn names_are_case_insensitive_and_kept() {
    let mut bench = bench(DriveKind::Business);
    let first = bench.put("Report.TXT", 1, Conflict::Fail).unwrap();
    assert_eq!(bench.put("report.txt", 1, Conflict::Fail).unwrap_err().status, 409);
    assert_eq!(bench.put("REPORT.txt", 2, Conflict::Replace).unwrap(), first);
    assert_eq!(bench.drive.get(first).unwrap().name, "Report.TXT");
    let second = bench.put("report.txt", 1, Conflict::Rename).unwrap();
    assert_eq!(bench.drive.get(second).unwrap().name, "report 1.txt");
}

#[test]
fn quota_counts_versions_and_the_recycle_bin() {
    let mut bench = bench(DriveKind::Business);
    let key = bench.put("a", 400, Conflict::Replace).unwrap();
    bench.put("a", 400, Conflict::Replace).unwrap();
    assert_eq!(bench.drive.quota.used, 800);
    assert_eq!(bench.put("a", 400, Conflict::Replace).unwrap_err().status, 507);
    bench.drive.remove(key, false).unwrap();
    assert_eq!(bench.drive.quota.used, 0);
    assert_eq!(bench.drive.quota.remaining(), 200);
    assert_eq!(bench.put("b", 201, Conflict::Replace).unwrap_err().status, 507);
}

#[test]
fn personal_drives_keep_no_versions() {
    let mut bench = bench(DriveKind::Personal);
    bench.put("a", 600, Conflict::Replace).unwrap();
    bench.put("a", 900, Conflict::Replace).unwrap();
    assert_eq!(bench.drive.quota.used, 900);
    assert_eq!(bench.drive.quota.state(), "normal");
    bench.put("b", 95, Conflict::Replace).unwrap();
    assert_eq!(bench.drive.quota.state(), "critical");
}

#[test]
fn folders_do_not_move_into_themselves() {
    let mut bench = bench(DriveKind::Business);
    let root = bench.drive.root;
    let now = Timestamp::now();
    let drive = &mut bench.drive;
    let names = ["a".to_owned(), "b".to_owned()];
    let deep = drive.resolve_or_make(root, &names, now).unwrap();
    let top = drive.child(root, "A").unwrap();
    assert!(drive.relocate(top, deep, "a", Conflict::Fail).is_err());
    drive.relocate(deep, root, "B", Conflict::Fail).unwrap();
    assert_eq!(drive.path(deep), ["B"]);
    drive.remove(top, true).unwrap();
    assert!(matches!(drive.changes.values().next_back(), Some(Change::Present(_))));
}
