//! Trees of ids, and what found files come to beside known ones.

use std::time::{Duration, SystemTime};

use rusqlite::Connection;

use super::compare::{Difference, difference};
use super::stage::{self, Purpose, Stage, Standing};
use super::tree::{Round, Tree};
use crate::catalog::{self, Catalog, Shelf};
use crate::entry::{Entry, Kind};
use crate::hash::{Algorithm, Digest};
use crate::home::Name;
use crate::home::tests::scratch;
use crate::manifest::Names;
use crate::path::RelativePath;
use crate::sandbox::operation::{Facts, Outcome};
use crate::state::State;

const NAMES: Names = Names { ignores_case: true, normalizes: false };

/// A change of a service that speaks in ids: id, parent, name; a length makes it a file.
type Told<'a> = (&'a str, Option<&'a str>, &'a str, Option<u64>);

fn outcome(size: Option<u64>) -> Outcome {
    match size {
        Some(size) => Outcome::File(Facts { size, modified: None, hash: None, revision: None }),
        None => Outcome::Folder,
    }
}

/// A survey of the directory `/backups/server1`.
struct Bench {
    _folder: tempfile::TempDir,
    stage: Stage,
    at: Standing,
}

async fn shelf_in(home: &crate::home::Home) -> Shelf {
    let catalog = Catalog::new(State::open(home).unwrap());
    catalog.shelf(&Name::parse("archive").unwrap(), "here").await.unwrap()
}

impl Bench {
    async fn new() -> Self {
        let (folder, home) = scratch();
        let stage = Stage::new(shelf_in(&home).await);
        let at = stage.begin(Purpose::Follow, SystemTime::UNIX_EPOCH, None).await.unwrap();
        Self { _folder: folder, stage, at }
    }

    async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tree<'_>) -> Result<T, rusqlite::Error> + Send + 'static,
    ) -> T {
        let survey = self.at.id;
        let work = move |connection: &Connection| {
            let directory = ["Backups".to_owned(), "server1".to_owned()];
            work(&mut Tree::new(connection, survey, &directory, NAMES))
        };
        self.stage.write(work).await.unwrap()
    }

    /// A page; `removed` are ids of what is gone.
    async fn page(&self, told: &[Told<'static>], removed: &[&'static str]) {
        let (told, removed) = (told.to_vec(), removed.to_vec());
        self.write(move |tree| {
            for (id, parent, name, size) in told {
                tree.apply(id, parent, name, &outcome(size))?;
            }
            for id in removed {
                tree.apply(id, None, "", &Outcome::Removed)?;
            }
            Ok(())
        })
        .await;
    }

    async fn finish(&self) -> Round {
        self.write(|tree| tree.finish()).await
    }

    async fn column(&self, sql: &'static str) -> Vec<String> {
        let survey = self.at.id;
        let rows = move |connection: &Connection| {
            connection.prepare(sql)?.query_map([survey], |row| row.get(0))?.collect()
        };
        self.stage.read(rows).await.unwrap()
    }

    async fn found(&self) -> Vec<String> {
        self.column("SELECT path FROM survey_found WHERE survey = ?1 ORDER BY path").await
    }

    async fn names(&self) -> Vec<String> {
        self.column("SELECT name FROM survey_node WHERE survey = ?1 ORDER BY name").await
    }
}

const ABOVE: [Told<'static>; 3] =
    [("0", None, "", None), ("b", Some("0"), "backups", None), ("s", Some("b"), "Server1", None)];

#[tokio::test]
async fn paths_come_from_ids_in_any_order() {
    let bench = Bench::new().await;
    // A file before its folder, that before the way down, and something twice.
    bench.page(&[("f", Some("d"), "f.txt", Some(5)), ("d", Some("s"), "data", None)], &[]).await;
    bench.page(&ABOVE, &[]).await;
    bench.page(&[("d", Some("s"), "data", None), ("g", Some("s"), "g.txt", Some(1))], &[]).await;
    assert_eq!(bench.finish().await, Round::Whole);
    assert_eq!(bench.found().await, ["data/f.txt", "g.txt"]);
    // Of a folder that is renamed, nothing below it is told.
    bench.page(&[("d", Some("s"), "other", None)], &["g"]).await;
    assert_eq!(bench.finish().await, Round::Whole);
    assert_eq!(bench.found().await, ["other/f.txt"]);
    bench.page(&[], &["d"]).await;
    assert_eq!(bench.finish().await, Round::Whole);
    assert!(bench.found().await.is_empty());
}

#[tokio::test]
async fn what_is_outside_is_not_kept() {
    let bench = Bench::new().await;
    // The letter comes before its folder, and waits; the diary's folder is known to be elsewhere.
    bench.page(&[("l", Some("x"), "letter", Some(9))], &[]).await;
    bench.page(&ABOVE, &[]).await;
    bench.page(&[("p", Some("0"), "private", None), ("y", Some("p"), "diary", Some(9))], &[]).await;
    bench.page(&[("n", Some("b"), "server2", None), ("k", Some("s"), "kept", Some(1))], &[]).await;
    assert_eq!(bench.names().await, ["", "Server1", "backups", "kept", "letter"]);
    bench.page(&[("x", Some("p"), "deeper", None), ("m", Some("s"), ".Wharf-Owner", Some(1))], &[]).await;
    assert_eq!(bench.finish().await, Round::Whole);
    assert_eq!(bench.names().await, ["", "Server1", "backups", "kept"]);
    assert_eq!(bench.found().await, ["kept"]);
    let outside = bench.column("SELECT id FROM survey_outside WHERE survey = ?1 ORDER BY id").await;
    assert_eq!(outside, ["n", "p", "x"]);
}

#[tokio::test]
async fn a_folder_that_comes_in_was_never_told() {
    let bench = Bench::new().await;
    bench.page(&ABOVE, &[]).await;
    bench.page(&[("p", Some("0"), "private", None), ("d", Some("s"), "data", None)], &[]).await;
    assert_eq!(bench.finish().await, Round::Whole);
    // One that goes out takes everything along, and may come back with more.
    bench.page(&[("f", Some("d"), "f", Some(1))], &[]).await;
    bench.page(&[("d", Some("p"), "data", None)], &[]).await;
    assert_eq!(bench.finish().await, Round::Whole);
    assert!(bench.found().await.is_empty());
    bench.page(&[("new", Some("s"), "new", None), ("h", Some("new"), "h", Some(1))], &[]).await;
    assert_eq!(bench.finish().await, Round::Whole);
    assert_eq!(bench.found().await, ["new/h"]);
    bench.page(&[("p", Some("s"), "private", None)], &[]).await;
    assert_eq!(bench.finish().await, Round::Partial);
}

#[tokio::test]
async fn a_circle_is_nowhere() {
    let bench = Bench::new().await;
    bench.page(&ABOVE, &[]).await;
    bench.page(&[("1", Some("2"), "one", None), ("2", Some("1"), "two", None)], &[]).await;
    bench.page(&[("f", Some("1"), "f", Some(1)), ("itself", Some("itself"), "x", None)], &[]).await;
    assert_eq!(bench.finish().await, Round::Whole);
    assert!(bench.found().await.is_empty());
    assert_eq!(bench.names().await, ["", "Server1", "backups"]);
}

#[tokio::test]
async fn a_directory_that_is_renamed_is_gone() {
    let bench = Bench::new().await;
    bench.page(&ABOVE, &[]).await;
    bench.page(&[("f", Some("s"), "f", Some(1))], &[]).await;
    assert_eq!(bench.finish().await, Round::Whole);
    bench.page(&[("b", Some("0"), "elsewhere", None)], &[]).await;
    assert_eq!(bench.finish().await, Round::Whole);
    assert!(bench.found().await.is_empty());
    // Back again, what is in it is unknown.
    bench.page(&[("b", Some("0"), "BACKUPS", None)], &[]).await;
    assert_eq!(bench.finish().await, Round::Partial);
}

#[tokio::test]
async fn paths_are_taken_away_with_what_is_below() {
    let bench = Bench::new().await;
    let survey = bench.at.id;
    let file = |text: &str| Entry {
        path: RelativePath::parse(text).unwrap(),
        kind: Kind::File,
        size: 1,
        modified: None,
        hash: None,
        revision: None,
    };
    let put = ["a", "A2", "b/x", "b/y/z", "b0", "b-"].map(file);
    let write = move |connection: &Connection| {
        for file in &put {
            stage::put_found(connection, survey, &NAMES.key(file.path.as_str()), file)?;
        }
        stage::remove_found(connection, survey, "b")
    };
    bench.stage.write(write).await.unwrap();
    assert_eq!(bench.found().await, ["A2", "a", "b-", "b0"]);
    let write = move |connection: &Connection| {
        stage::put_found(connection, survey, "a", &file("A"))?;
        stage::remove_found(connection, survey, "a2")
    };
    bench.stage.write(write).await.unwrap();
    assert_eq!(bench.found().await, ["A", "b-", "b0"]);
    bench.stage.write(move |connection| stage::remove_found(connection, survey, "")).await.unwrap();
    assert!(bench.found().await.is_empty());
}

#[tokio::test]
async fn cursors_are_sealed_anew() {
    let bench = Bench::new().await;
    let at = Standing { cursor: Some("old".to_owned()), ..bench.at.clone() };
    bench.stage.write(move |connection| stage::advance(connection, &at)).await.unwrap();
    let state = State::open(&crate::home::Home::open(&bench._folder.path().join("home")).unwrap());
    let Ok(state) = state else { panic!("the database is there") };
    stage::reseal(&state, |destination, text| {
        assert_eq!((destination, text), ("archive", "old"));
        Some("new".to_owned())
    })
    .await
    .unwrap();
    let standing = bench.stage.standing(Purpose::Follow).await.unwrap();
    assert_eq!(standing.unwrap().cursor.as_deref(), Some("new"));
    stage::reseal(&state, |_, _| None).await.unwrap();
    assert_eq!(bench.stage.standing(Purpose::Follow).await.unwrap(), None);
}

fn known(size: u64, revision: Option<&str>, block: Option<u8>, quickxor: Option<u8>) -> catalog::Entry {
    catalog::Entry {
        path: RelativePath::parse("a").unwrap(),
        size,
        modified_ns: None,
        revision: revision.map(str::to_owned),
        block_sha256: block.map(|byte| [byte; 32]),
        quickxor: quickxor.map(|byte| [byte; 20]),
        stored_at: SystemTime::UNIX_EPOCH + Duration::from_secs(1),
    }
}

fn found(size: u64, revision: Option<&str>, hash: Option<(Algorithm, u8)>) -> Entry {
    let digest =
        |(algorithm, byte): (Algorithm, u8)| Digest::new(algorithm, &vec![byte; algorithm.digest_bytes()]);
    Entry {
        path: RelativePath::parse("a").unwrap(),
        kind: Kind::File,
        size,
        modified: None,
        hash: hash.map(|hash| digest(hash).unwrap()),
        revision: revision.map(str::to_owned),
    }
}

#[test]
fn hashes_say_more_than_revisions() {
    let check = |known: catalog::Entry, found: Entry, expected: Option<Difference>| {
        assert_eq!(difference(&known, &found), expected, "{known:?} {found:?}");
    };
    let quickxor = |byte| Some((Algorithm::QuickXor, byte));
    let block = |byte| Some((Algorithm::BlockSha256, byte));
    let size = Some(Difference::Size { stored: 6, known: 5 });
    check(known(5, Some("r"), None, Some(1)), found(6, Some("r"), quickxor(1)), size);
    check(known(5, Some("r"), None, Some(1)), found(5, Some("new"), quickxor(1)), None);
    let other = Some(Difference::Hash { algorithm: "quickxor" });
    check(known(5, Some("r"), None, Some(1)), found(5, Some("r"), quickxor(2)), other);
    let other = Some(Difference::Hash { algorithm: "block-sha256" });
    check(known(5, Some("r"), Some(1), None), found(5, Some("r"), block(2)), other);
    check(known(5, Some("r"), Some(1), None), found(5, Some("r"), quickxor(2)), None);
    check(known(5, Some("r"), Some(1), None), found(5, Some("s"), quickxor(2)), Some(Difference::Revision));
    check(known(5, Some("r"), None, None), found(5, Some("s"), None), Some(Difference::Revision));
    check(known(5, None, None, None), found(5, Some("s"), None), None);
    check(known(5, Some("r"), None, None), found(5, None, None), None);
}
