use super::*;
use crate::catalog::Catalog;
use crate::entry::Mode;
use crate::home::tests::scratch;
use crate::state::State;

fn path(text: &str) -> RelativePath {
    RelativePath::parse(text).unwrap()
}

/// A journal as another process would open it: with an owner of its own.
async fn journal(home: &Home) -> Journal {
    let catalog = Catalog::new(State::open(home).unwrap());
    let shelf = catalog.shelf(&Name::parse("archive").unwrap(), "here").await.unwrap();
    Journal::new(shelf, home.clone())
}

fn upload(place: &str) -> Upload {
    let source = Identity { size: 7, modified_seconds: -1, modified_nanoseconds: 5, device: 1, inode: 2 };
    let modified = jiff::Timestamp::from_nanosecond(1_700_000_000_123_456_789).ok();
    let mode = Mode::ReplaceIfRevision("r".to_owned());
    Upload {
        path: path(place),
        session: "wharf1.sealed".to_owned(),
        source,
        info: Info { size: 7, modified, keep_modified: true, mode },
        acknowledged: 0,
        block_sha256: [3; 32],
    }
}

fn file(place: &str) -> catalog::Entry {
    catalog::Entry {
        path: path(place),
        size: 7,
        modified_ns: None,
        revision: None,
        block_sha256: None,
        quickxor: None,
        stored_at: SystemTime::UNIX_EPOCH,
    }
}

#[tokio::test]
async fn an_upload_passes_on_when_its_owner_is_gone() {
    let (_folder, home) = scratch();
    let first = journal(&home).await;
    first.begin(upload("a/b")).await.unwrap();
    first.acknowledge(&path("a/b"), 5, [9; 32]).await.unwrap();
    let second = journal(&home).await;
    assert_eq!(second.take(&path("a/b")).await.unwrap(), Known::Theirs);
    assert_eq!(first.take(&path("a/b")).await.unwrap(), Known::Theirs, "it is under way");
    assert_eq!(second.take(&path("a")).await.unwrap(), Known::Nothing);
    drop(first);
    let expected = Upload { acknowledged: 5, block_sha256: [9; 32], ..upload("a/b") };
    assert_eq!(second.take(&path("a/b")).await.unwrap(), Known::Ours(Box::new(expected)));
    let third = journal(&home).await;
    assert_eq!(third.take(&path("a/b")).await.unwrap(), Known::Theirs);
}

#[tokio::test]
async fn two_at_one_path_do_not_share_a_session() {
    let (_folder, home) = scratch();
    let (first, second) = (journal(&home).await, journal(&home).await);
    first.begin(upload("a")).await.unwrap();
    second.begin(Upload { session: "other".to_owned(), ..upload("a") }).await.unwrap();
    second.acknowledge(&path("a"), 7, [1; 32]).await.unwrap();
    second.end(&path("a"), Some(file("a"))).await.unwrap();
    let known = second.shelf().get(&path("a")).await.unwrap();
    assert!(known.is_some(), "what the second stored is known");
    drop((first, second));
    let Known::Ours(left) = journal(&home).await.take(&path("a")).await.unwrap() else { panic!() };
    assert_eq!(*left, upload("a"), "what the first began is as it was");
}

#[tokio::test]
async fn an_upload_ends_with_its_file() {
    let (_folder, home) = scratch();
    let own = journal(&home).await;
    for place in ["a", "x/a", "x/b", "xy/a"] {
        own.begin(upload(place)).await.unwrap();
    }
    own.end(&path("x/a"), Some(file("x/a"))).await.unwrap();
    own.end(&path("a"), None).await.unwrap();
    assert_eq!(own.paths(&path("x")).await.unwrap(), HashSet::from([path("x/b")]));
    assert_eq!(own.paths(&path("")).await.unwrap(), HashSet::from([path("x/b"), path("xy/a")]));
    assert!(own.shelf().get(&path("x/a")).await.unwrap().is_some());
    assert!(own.shelf().get(&path("a")).await.unwrap().is_none());
}

#[tokio::test]
async fn what_no_service_keeps_is_forgotten() {
    let (_folder, home) = scratch();
    let own = journal(&home).await;
    own.begin(upload("old")).await.unwrap();
    let long_ago = milliseconds(oldest()) - 1;
    let age = own.shelf().write_state(move |connection| {
        connection.execute("UPDATE upload SET begun_ms = ?1", [long_ago]).map(drop)
    });
    age.await.unwrap();
    assert!(own.paths(&path("")).await.unwrap().is_empty());
    own.begin(upload("new")).await.unwrap();
    let count = own.shelf().read_state(|connection| {
        connection.query_row("SELECT count(*) FROM upload", [], |row| row.get::<_, i64>(0))
    });
    assert_eq!(count.await.unwrap(), 1);
}

/// What `begin_relocation` says of an earlier one.
async fn begun(journal: &Journal, way: Way, from: &str, to: &str) -> Option<Option<String>> {
    let begun = journal.begin_relocation(way, &path(from), &path(to)).await.unwrap();
    begun.map(|begun| begun.job)
}

#[tokio::test]
async fn a_relocation_passes_on_when_its_owner_is_gone() {
    let (_folder, home) = scratch();
    let first = journal(&home).await;
    assert_eq!(begun(&first, Way::Copy, "a", "b").await, None);
    first.note_job(&path("b"), "wharf1.job").await.unwrap();
    let second = journal(&home).await;
    assert_eq!(begun(&second, Way::Copy, "a", "b").await, None, "it is under way");
    second.end_relocation(&path("b"), None).await.unwrap();
    drop((first, second));
    let third = journal(&home).await;
    assert_eq!(begun(&third, Way::Copy, "a", "b").await, Some(Some("wharf1.job".to_owned())));
    third.end_relocation(&path("b"), None).await.unwrap();
    assert_eq!(begun(&third, Way::Copy, "a", "b").await, None, "it has ended");
}

#[tokio::test]
async fn another_relocation_to_the_path_is_another() {
    for (way, from) in [(Way::Move, "a"), (Way::Copy, "other")] {
        let (_folder, home) = scratch();
        let first = journal(&home).await;
        assert_eq!(begun(&first, Way::Copy, "a", "b").await, None);
        drop(first);
        let second = journal(&home).await;
        assert_eq!(begun(&second, way, from, "b").await, None);
        drop(second);
        assert_eq!(begun(&journal(&home).await, Way::Copy, "a", "b").await, None, "{way:?} {from}");
    }
}

#[tokio::test]
async fn a_relocation_ends_with_what_the_catalog_knows() {
    for (way, expected) in [
        (Way::Copy, &["a", "a/b", "a/ü/c", "ab", "d/é", "d/é/b", "d/é/ü/c"][..]),
        (Way::Move, &["ab", "d/é", "d/é/b", "d/é/ü/c"]),
    ] {
        let (_folder, home) = scratch();
        let own = journal(&home).await;
        let revised = |place: &str| catalog::Entry {
            revision: Some("r".to_owned()),
            block_sha256: Some([4; 32]),
            ..file(place)
        };
        own.shelf().record(["a", "a/b", "a/ü/c", "ab"].map(revised).to_vec()).await.unwrap();
        assert_eq!(begun(&own, way, "a", "d/é").await, None);
        let done = Done { way, from: path("a"), file: Some(revised("d/é")) };
        own.end_relocation(&path("d/é"), Some(done)).await.unwrap();
        let known = own.shelf().under(&path(""), None).await.unwrap();
        let paths: Vec<&str> = known.iter().map(|entry| entry.path.as_str()).collect();
        assert_eq!(paths, expected);
        let carried = own.shelf().get(&path("d/é/ü/c")).await.unwrap().unwrap();
        assert_eq!((carried.revision, carried.block_sha256), (None, Some([4; 32])));
        assert!(carried.stored_at > SystemTime::UNIX_EPOCH, "newer than what a survey found before");
    }
}

#[tokio::test]
async fn the_jobs_of_relocations_are_sealed_anew() {
    let (_folder, home) = scratch();
    let first = journal(&home).await;
    for (place, job) in [("kept", "same"), ("changed", "old"), ("lost", "damaged")] {
        assert_eq!(begun(&first, Way::Copy, "a", place).await, None);
        first.note_job(&path(place), job).await.unwrap();
    }
    assert_eq!(begun(&first, Way::Move, "a", "none").await, None);
    let anew = |destination: &str, job: &str| match (destination, job) {
        ("archive", "same") => Some("same".to_owned()),
        ("archive", "old") => Some("new".to_owned()),
        (_, _) => None,
    };
    assert_eq!(reseal(first.shelf().state(), anew).await.unwrap(), (1, 1));
    drop(first);
    let second = journal(&home).await;
    for (place, job) in [("kept", Some("same")), ("changed", Some("new")), ("lost", None)] {
        assert_eq!(begun(&second, Way::Copy, "a", place).await, Some(job.map(str::to_owned)), "{place}");
    }
}
