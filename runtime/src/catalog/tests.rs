use super::*;
use crate::home::{Home, tests::scratch};

fn path(text: &str) -> RelativePath {
    RelativePath::parse(text).unwrap()
}

fn entry(text: &str, size: u64) -> Entry {
    Entry {
        path: path(text),
        size,
        modified_ns: Some(-1_500_000_001),
        revision: Some("r1".to_owned()),
        block_sha256: Some([7; 32]),
        quickxor: None,
        stored_at: SystemTime::UNIX_EPOCH + Duration::from_millis(1_700_000_000_123),
    }
}

async fn shelf(home: &Home, destination: &str, place: &str) -> Shelf {
    let catalog = Catalog::new(State::open(home).unwrap());
    catalog.shelf(&Name::parse(destination).unwrap(), place).await.unwrap()
}

async fn sizes(shelf: &Shelf, folder: &str) -> Vec<(String, u64)> {
    let entries = shelf.under(&path(folder), None).await.unwrap();
    entries.into_iter().map(|entry| (entry.path.to_string(), entry.size)).collect()
}

#[tokio::test]
async fn entries_come_back_as_they_went() {
    let (_folder, home) = scratch();
    let shelf = shelf(&home, "archive", "here").await;
    let bare = Entry {
        modified_ns: None,
        revision: None,
        block_sha256: None,
        quickxor: Some([1; 20]),
        ..entry("b", 0)
    };
    shelf.record(vec![entry("a", u64::from(u32::MAX) * 100), bare.clone()]).await.unwrap();
    assert_eq!(shelf.get(&path("a")).await.unwrap().unwrap(), entry("a", u64::from(u32::MAX) * 100));
    assert_eq!(shelf.get(&path("b")).await.unwrap().unwrap(), bare);
    assert_eq!(shelf.get(&path("c")).await.unwrap(), None);
    shelf.record(vec![entry("a", 3)]).await.unwrap();
    assert_eq!(shelf.get(&path("a")).await.unwrap().unwrap().size, 3);
}

#[tokio::test]
async fn a_folder_has_what_lies_below_it_and_nothing_beside() {
    let (_folder, home) = scratch();
    let shelf = shelf(&home, "archive", "here").await;
    let names = [
        "a",
        "a-b",
        "a.b/c",
        "a/b",
        "a/b/c",
        "a0",
        "ab",
        "b",
        "ä/\u{10ffff}",
        "\u{10ffff}",
        "A/b",
        "a%/x",
        "a_/x",
    ];
    shelf.record(names.iter().map(|name| entry(name, 1)).collect()).await.unwrap();
    let check = async |folder: &str, expected: &[&str]| {
        let found = sizes(&shelf, folder).await;
        assert_eq!(found.iter().map(|(name, _)| name.as_str()).collect::<Vec<_>>(), expected, "{folder:?}");
    };
    let mut all = names;
    all.sort_unstable();
    check("", &all).await;
    check("a", &["a/b", "a/b/c"]).await;
    check("a/b", &["a/b/c"]).await;
    check("a%", &["a%/x"]).await;
    check("b", &[]).await;
    check("ä", &["ä/\u{10ffff}"]).await;
    assert_eq!(shelf.remove(&path("a")).await.unwrap(), 3);
    check("a", &[]).await;
    assert_eq!(sizes(&shelf, "").await.len(), names.len() - 3);
    assert_eq!(shelf.remove(&RelativePath::root()).await.unwrap(), names.len() - 3);
    check("", &[]).await;
}

#[tokio::test]
async fn pages_follow_one_another() {
    let (_folder, home) = scratch();
    let shelf = shelf(&home, "archive", "here").await;
    let full = usize::try_from(PAGE_ENTRIES_MAX).unwrap();
    shelf.record((0..full + 5).map(|number| entry(&format!("f/{number:05}"), 1)).collect()).await.unwrap();
    shelf.record(vec![entry("e", 1), entry("g", 1)]).await.unwrap();
    let first = shelf.under(&path("f"), None).await.unwrap();
    assert_eq!(first.len(), full);
    let second = shelf.under(&path("f"), Some(&first[full - 1].path)).await.unwrap();
    assert_eq!(second.len(), 5);
    assert_eq!(second[4].path.to_string(), format!("f/{:05}", full + 4));
    assert!(shelf.under(&path("f"), Some(&second[4].path)).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_destination_that_moves_starts_with_an_empty_shelf() {
    let (_folder, home) = scratch();
    let before = shelf(&home, "archive", "account/x").await;
    before.record(vec![entry("a", 1)]).await.unwrap();
    let neighbour = shelf(&home, "other", "account/x").await;
    neighbour.record(vec![entry("a", 2)]).await.unwrap();
    assert_eq!(sizes(&shelf(&home, "archive", "account/x").await, "").await.len(), 1);
    let moved = shelf(&home, "archive", "account/y").await;
    assert!(sizes(&moved, "").await.is_empty());
    // Whoever still writes for the old place must not fill the new shelf.
    before.record(vec![entry("a", 1)]).await.unwrap_err();
    assert!(sizes(&moved, "").await.is_empty());
    let catalog = Catalog::new(State::open(&home).unwrap());
    catalog.forget_destination(&Name::parse("other").unwrap()).await.unwrap();
    assert!(sizes(&neighbour, "").await.is_empty());
    assert!(sizes(&shelf(&home, "other", "account/x").await, "").await.is_empty());
}
