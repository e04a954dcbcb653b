use std::fs;
use std::os::unix::fs::{FileTypeExt as _, symlink};
use std::time::{Duration, SystemTime};

use tempfile::TempDir;

use super::*;
use crate::content::{Section, Source, Tap};
use crate::hash::{Algorithm, Running};

/// A folder that is not there yet, beside something that is nobody's business.
fn fresh() -> (TempDir, Folder) {
    let room = tempfile::tempdir().unwrap();
    fs::create_dir(room.path().join("outside")).unwrap();
    fs::write(room.path().join("outside/secret"), "secret").unwrap();
    let folder = Folder::new(room.path().join("backups/one"));
    (room, folder)
}

/// One that is there.
fn made() -> (TempDir, Folder) {
    let (room, folder) = fresh();
    folder.make_folder(&RelativePath::root()).unwrap();
    (room, folder)
}

fn path(text: &str) -> RelativePath {
    RelativePath::parse(text).unwrap()
}

fn content(bytes: &str) -> Section {
    Section::whole(Arc::new(Source::from_bytes(bytes.to_owned().into(), "test".to_owned())))
}

async fn put(folder: &Folder, at: &str, bytes: &str, mode: Mode) -> Result<Item, Error> {
    write(folder, &path(at), &content(bytes), Tap::default(), mode, None).await
}

fn names(folder: &Folder, at: &str) -> Vec<String> {
    let listing = folder.list(&path(at), None, Leftovers::Remove).unwrap();
    listing.items.into_iter().map(|(name, _)| name).collect()
}

/// Everything that lies in the folder, files in the making too.
fn raw(folder: &Folder) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn text(folder: &Folder, at: &str) -> String {
    fs::read_to_string(folder.path().join(at)).unwrap()
}

#[tokio::test]
async fn a_file_goes_in_and_comes_out() {
    let (_room, folder) = fresh();
    assert!(matches!(folder.stat(&RelativePath::root()).unwrap_err().problem, Problem::NotFound));
    assert!(!folder.path().exists(), "looking makes nothing");
    let time = Timestamp::from_nanosecond(1_000_000_007_000_000_123).unwrap();
    let (tap, receipt) = Tap::hashing(Running::new(&[Algorithm::Sha256]));
    let item = write(&folder, &path("a/b/f"), &content("hello"), tap, Mode::Create, Some(time)).await;
    let item = item.unwrap();
    assert_eq!((item.kind, item.size, item.modified), (Kind::File, 5, Some(time)));
    assert_eq!(receipt.take().unwrap().at(), 5, "it is hashed as if it were sent");
    assert_eq!(folder.stat(&path("a/b/f")).unwrap(), item);
    assert_eq!(names(&folder, "a"), ["b"]);
    let (opened, section) = folder.open(&path("a/b/f"), 1, Some(3)).unwrap();
    assert_eq!((opened, &*section.read(0, 100).unwrap()), (item, &b"ell"[..]));
    let (_, beyond) = folder.open(&path("a/b/f"), 9, None).unwrap();
    assert_eq!(beyond.size(), 0);
    assert_eq!(put(&folder, "empty", "", Mode::Create).await.unwrap().size, 0);
}

/// Whatever lies in the folder, no path leads out of it, and what lies outside stays as it is.
#[tokio::test]
async fn no_link_leads_out() {
    let (room, folder) = made();
    let outside = room.path().join("outside");
    let inside = folder.path().join("inside");
    fs::create_dir(&inside).unwrap();
    let links = [
        ("absolute", outside.clone()),
        ("relative", "../../outside".into()),
        ("root", "/".into()),
        ("within", "inside".into()),
        ("self", ".".into()),
    ];
    for (name, to) in &links {
        symlink(to, folder.path().join(name)).unwrap();
    }
    symlink(outside.join("secret"), folder.path().join("file")).unwrap();
    symlink("nowhere", folder.path().join("dangling")).unwrap();
    assert_eq!(names(&folder, ""), ["inside"]);
    for (link, _) in &links {
        let below = format!("{link}/secret");
        let is_refused = |what: &str, error: Option<Error>| {
            let problem = error.map(|error| error.problem);
            let refused = matches!(problem, Some(Problem::OnTheWay { .. } | Problem::WrongKind(_)));
            assert!(refused, "{what} {link}: {problem:?}");
        };
        is_refused("stat", folder.stat(&path(&below)).err());
        is_refused("open", folder.open(&path(&below), 0, None).err());
        is_refused("list", folder.list(&path(link), None, Leftovers::Remove).err());
        is_refused("make", folder.make_folder(&path(&format!("{link}/new"))).err());
        is_refused("write", put(&folder, &below, "bad", Mode::Replace).await.err());
        is_refused("write onto", put(&folder, link, "bad", Mode::Replace).await.err());
        is_refused("remove", folder.remove(&path(&below), Kind::File, None).err());
        is_refused("remove all", folder.remove(&path(link), Kind::Folder, None).err());
        is_refused("rename", folder.rename(&path("inside"), &path(&below), &Mode::Create).err());
    }
    for name in ["file", "dangling"] {
        assert!(folder.stat(&path(name)).is_err());
        assert!(folder.open(&path(name), 0, None).is_err());
        assert!(put(&folder, name, "bad", Mode::Replace).await.is_err());
        assert!(folder.path().join(name).is_symlink(), "{name} is let alone");
    }
    assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), "secret");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

/// A link that is put in place of a folder between two steps is not followed either: the handle is of
/// the directory that was opened.
#[tokio::test]
async fn the_directory_itself_is_opened_once() {
    let (room, folder) = made();
    put(&folder, "f", "one", Mode::Create).await.unwrap();
    let moved = room.path().join("moved");
    fs::rename(folder.path(), &moved).unwrap();
    symlink(room.path().join("outside"), folder.path()).unwrap();
    put(&folder, "g", "two", Mode::Create).await.unwrap();
    assert_eq!(fs::read_to_string(moved.join("g")).unwrap(), "two");
    assert!(!room.path().join("outside/g").exists());
}

#[test]
fn what_is_neither_file_nor_folder_is_left_alone() {
    let (_room, folder) = made();
    let fifo = folder.path().join("fifo");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
    assert!(names(&folder, "").is_empty());
    assert!(matches!(folder.stat(&path("fifo")).unwrap_err().problem, Problem::WrongKind(_)));
    assert!(matches!(folder.open(&path("fifo"), 0, None).unwrap_err().problem, Problem::WrongKind(_)));
    assert!(folder.remove(&path("fifo"), Kind::File, None).is_err());
    assert!(fifo.symlink_metadata().unwrap().file_type().is_fifo());
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_creators_one_wins() {
    let (_room, folder) = fresh();
    for round in 0..20 {
        let at = format!("deep/{round}");
        let writers: Vec<_> = (0..4)
            .map(|writer| {
                let (folder, at) = (folder.clone(), at.clone());
                tokio::spawn(async move { put(&folder, &at, &writer.to_string(), Mode::Create).await })
            })
            .collect();
        let mut won = Vec::new();
        for (writer, result) in writers.into_iter().enumerate() {
            match result.await.unwrap() {
                Ok(_) => won.push(writer.to_string()),
                Err(error) => assert!(matches!(error.problem, Problem::Exists), "{error}"),
            }
        }
        assert_eq!(won, [text(&folder, &at)], "round {round}");
    }
    assert_eq!(names(&folder, "deep").len(), 20);
    assert_eq!(fs::read_dir(folder.path().join("deep")).unwrap().count(), 20, "nothing is left");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_is_replaced_once() {
    let (_room, folder) = fresh();
    let first = put(&folder, "f", "first", Mode::Create).await.unwrap();
    let writers: Vec<_> = (0..8)
        .map(|writer| {
            let (folder, revision) = (folder.clone(), first.revision.clone());
            tokio::spawn(async move {
                put(&folder, "f", &writer.to_string(), Mode::ReplaceIfRevision(revision)).await
            })
        })
        .collect();
    let mut won = Vec::new();
    for (writer, result) in writers.into_iter().enumerate() {
        match result.await.unwrap() {
            Ok(_) => won.push(writer.to_string()),
            Err(error) => assert!(matches!(error.problem, Problem::Conflict), "{error}"),
        }
    }
    assert_eq!(won, [text(&folder, "f")]);
    let stale = Mode::ReplaceIfRevision(first.revision.clone());
    assert!(matches!(put(&folder, "gone", "x", stale).await.unwrap_err().problem, Problem::Conflict));
    let removed = folder.remove(&path("f"), Kind::File, Some(&first.revision));
    assert!(matches!(removed.unwrap_err().problem, Problem::Conflict));
    let now = folder.stat(&path("f")).unwrap();
    folder.remove(&path("f"), Kind::File, Some(&now.revision)).unwrap();
    assert!(raw(&folder).is_empty());
}

/// The modification time can be set back; the revision tells all the same.
#[tokio::test]
async fn a_revision_sees_a_change_that_hides() {
    let (_room, folder) = fresh();
    let before = put(&folder, "f", "one", Mode::Create).await.unwrap();
    std::thread::sleep(Duration::from_millis(20));
    let place = folder.path().join("f");
    let modified = fs::metadata(&place).unwrap().modified().unwrap();
    fs::write(&place, "two").unwrap();
    fs::File::options().write(true).open(&place).unwrap().set_modified(modified).unwrap();
    let after = folder.stat(&path("f")).unwrap();
    assert_eq!((before.size, before.modified), (after.size, after.modified));
    assert_ne!(before.revision, after.revision);
}

#[tokio::test]
async fn the_wrong_kind_is_not_replaced() {
    let (_room, folder) = fresh();
    put(&folder, "file", "x", Mode::Create).await.unwrap();
    folder.make_folder(&path("folder/below")).unwrap();
    let kind = |result: Result<(), Error>| {
        let problem = result.unwrap_err().problem;
        assert!(matches!(problem, Problem::WrongKind(_) | Problem::OnTheWay { .. }), "{problem:?}");
    };
    kind(put(&folder, "folder", "x", Mode::Replace).await.map(drop));
    kind(put(&folder, "folder", "x", Mode::Create).await.map(drop));
    kind(put(&folder, "file/below", "x", Mode::Replace).await.map(drop));
    kind(folder.make_folder(&path("file")).map(drop));
    kind(folder.list(&path("file"), None, Leftovers::Keep).map(drop));
    kind(folder.open(&path("folder"), 0, None).map(drop));
    kind(folder.remove(&path("file"), Kind::Folder, None));
    kind(folder.remove(&path("folder"), Kind::File, None));
    kind(folder.rename(&path("file"), &path("folder"), &Mode::Replace).map(drop));
    kind(folder.rename(&path("folder"), &path("file"), &Mode::Replace).map(drop));
    assert!(folder.remove(&RelativePath::root(), Kind::Folder, None).is_err(), "never the directory itself");
    assert_eq!(names(&folder, ""), ["file", "folder"]);
}

#[tokio::test]
async fn things_are_renamed() {
    let (_room, folder) = fresh();
    put(&folder, "a", "one", Mode::Create).await.unwrap();
    put(&folder, "b", "two", Mode::Create).await.unwrap();
    let exists = folder.rename(&path("a"), &path("b"), &Mode::Create).unwrap_err();
    assert!(matches!(exists.problem, Problem::Exists), "{exists}");
    let item = folder.rename(&path("a"), &path("deep/new"), &Mode::Create).unwrap();
    assert_eq!((item.size, text(&folder, "deep/new").as_str()), (3, "one"));
    assert_eq!(item, folder.stat(&path("deep/new")).unwrap());
    folder.rename(&path("deep/new"), &path("b"), &Mode::Replace).unwrap();
    assert_eq!(text(&folder, "b"), "one");
    put(&folder, "tree/x/y", "z", Mode::Create).await.unwrap();
    folder.rename(&path("tree"), &path("other"), &Mode::Create).unwrap();
    assert_eq!(text(&folder, "other/x/y"), "z");
    let into = folder.rename(&path("other"), &path("other/x/new"), &Mode::Create).unwrap_err();
    assert!(matches!(into.problem, Problem::Invalid(_)), "{into}");
    folder.remove(&path("other"), Kind::Folder, None).unwrap();
    assert_eq!(names(&folder, ""), ["b", "deep"]);
}

#[test]
fn pages_follow_each_other() {
    let (_room, folder) = made();
    let all: Vec<String> = (0..25).map(|number| format!("{number:02}")).collect();
    for name in &all {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let dir = walk::open_root(folder.path()).unwrap();
    let (mut seen, mut next, mut pages) = (Vec::new(), None::<String>, 0);
    loop {
        let found = listing::names(&dir, next.as_deref(), 10).unwrap();
        seen.extend(found.names);
        pages += 1;
        if !found.more {
            break;
        }
        next = seen.last().cloned();
    }
    assert_eq!((seen, pages), (all, 3));
}

/// A writer that is stopped midway leaves what was there; one whose source changes stores nothing.
#[tokio::test]
async fn what_was_there_stays_whole() {
    let (room, folder) = fresh();
    put(&folder, "f", "old", Mode::Create).await.unwrap();
    let begun = partial::Partial::begin(&folder, &path("f"), 3, &Mode::Replace).unwrap();
    let begun = begun.append(b"ne").unwrap();
    assert_eq!(raw(&folder).len(), 2);
    assert_eq!(names(&folder, ""), ["f"]);
    drop(begun);
    assert_eq!((raw(&folder), text(&folder, "f")), (vec!["f".to_owned()], "old".to_owned()));
    let place = room.path().join("source");
    fs::write(&place, "new").unwrap();
    let source = Section::whole(Arc::new(Source::open(&place).unwrap()));
    fs::write(&place, "newer").unwrap();
    let changed = write(&folder, &path("f"), &source, Tap::default(), Mode::Replace, None).await;
    assert!(matches!(changed.unwrap_err().problem, Problem::Source(_)));
    assert_eq!((raw(&folder), text(&folder, "f")), (vec!["f".to_owned()], "old".to_owned()));
}

/// What a dead process left is in no listing and nobody can touch it; a listing removes it once it is
/// old, and never what somebody is still writing.
#[test]
fn leftovers_are_removed() {
    let (_room, folder) = made();
    let dead = leftover::temporary_name();
    fs::write(folder.path().join(&dead), "half").unwrap();
    let alive = partial::Partial::begin(&folder, &path("f"), 1, &Mode::Create).unwrap();
    // Whatever merely looks similar is a file as any other.
    fs::write(folder.path().join(".wharf-tmp-notes"), "mine").unwrap();
    assert_eq!(names(&folder, ""), [".wharf-tmp-notes"]);
    assert!(matches!(folder.stat(&path(&dead)).unwrap_err().problem, Problem::NotFound));
    assert!(matches!(folder.open(&path(&dead), 0, None).unwrap_err().problem, Problem::NotFound));
    let made = folder.make_folder(&path(&dead)).unwrap_err();
    assert!(matches!(made.problem, Problem::BadName(_)), "{made}");
    assert_eq!(raw(&folder).len(), 3, "too young to be abandoned");
    let dir = walk::open_root(folder.path()).unwrap();
    let later = SystemTime::now() + Duration::from_secs(120);
    let all: Vec<String> = raw(&folder).into_iter().filter(|name| leftover::is_temporary(name)).collect();
    leftover::sweep(&dir, &all, later);
    assert!(!raw(&folder).contains(&dead));
    assert_eq!(raw(&folder).len(), 2, "one is being written");
    drop(alive);
    assert_eq!(raw(&folder), [".wharf-tmp-notes"]);
}

/// What cannot fit is told before a byte moves.
#[test]
fn a_full_disk_is_told_at_once() {
    let (_room, folder) = made();
    let begun = partial::Partial::begin(&folder, &path("f"), 1 << 55, &Mode::Create).unwrap_err();
    assert!(matches!(begun, Problem::NoSpace(_) | Problem::TooLarge(_)), "{begun:?}");
    assert!(raw(&folder).is_empty());
    let space = folder.usage().unwrap();
    assert!(space.total >= space.free && space.total > 0, "{space:?}");
}

#[tokio::test]
async fn names_that_the_file_system_does_not_take() {
    let (_room, folder) = made();
    let long = put(&folder, &"n".repeat(256), "x", Mode::Create).await.unwrap_err();
    assert!(matches!(long.problem, Problem::BadName(_)), "{long}");
    assert!(long.to_string().ends_with("the name is too long for the file system"), "{long}");
    let strange = "a\\b \n\u{202e}?#%41 東京";
    put(&folder, strange, "x", Mode::Create).await.unwrap();
    assert_eq!(names(&folder, ""), [strange]);
}

#[test]
fn folders_that_lie_in_each_other_are_known() {
    let (room, folder) = made();
    symlink(room.path().join("backups"), room.path().join("link")).unwrap();
    let check = |other: &str, expected: bool| {
        assert_eq!(overlap(folder.path(), &room.path().join(other)), expected, "{other}");
    };
    check("backups", true);
    check("backups/one", true);
    check("link/one/deep/not-there", true);
    check("backups/two", false);
    check("backups/one-more", false);
    check("link/not-there", false);
}
