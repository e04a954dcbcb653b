//! Listings, and names of every kind.

use std::collections::BTreeSet;

use super::super::Outcome;
use super::{Stop, Suite, need, path};
use crate::entry::Mode;

/// Files in the folder that is listed: more than a page of a service that pages early.
const LISTED: usize = 30;
/// Names that services, shells and encodings stumble over.
const NAMES: [&str; 15] = [
    "Zürich 東京 🎉.txt",
    "with space",
    "#1 %41?",
    "a:b",
    "a\"b<c>d|e*",
    " left",
    "tilde~",
    "~left",
    "dot.",
    "comma,semi;",
    "'quote'",
    "a&b=c+d",
    "＜already＞",
    ".hidden",
    "UPPER lower",
];
/// Bytes of the longest name that is stored: every service takes it.
const LONG_BYTES: usize = 200;
/// Bytes of a name that no service takes.
const TOO_LONG_BYTES: usize = 400;

impl Suite<'_> {
    pub(super) async fn listings(&mut self) -> Result<(), Stop> {
        for number in 0..LISTED {
            need("put a file", self.put(&format!("list/{number:02}"), b"x", Mode::Replace).await)?;
        }
        need("make a folder", self.attached.make_folder(&path("list/folder")).await)?;
        need("put a file", self.put("list/folder/below", b"x", Mode::Replace).await)?;
        need("make a folder", self.attached.make_folder(&path("list/empty")).await)?;
        let mut expected: BTreeSet<String> = (0..LISTED).map(|number| format!("list/{number:02}")).collect();
        expected.extend(["list/folder".to_owned(), "list/empty".to_owned()]);
        let listed = self.names("list").await;
        self.check("a folder lists what is in it, and no more", listed.ok(), Some(expected));
        let empty = self.names("list/empty").await;
        self.check("an empty folder lists nothing", empty.ok(), Some(BTreeSet::new()));
        let missing = self.names("list/none").await;
        self.check_word("list nothing", &missing, &["not-found"]);
        let file = self.names("list/00").await;
        self.check_word("list a file", &file, &["wrong-kind"]);
        let page = need("list a folder", self.attached.list(&path("list"), false, None).await)?;
        if page.next.is_none() {
            // Thousands of files would be needed; whoever has them can see it with `wharf ls`.
            let said = format!("the service has all {} entries on one page", page.entries.len());
            self.tell("a listing of several pages".to_owned(), Outcome::Skipped(said));
        }
        match page.entries.into_iter().find(|entry| entry.path.as_str() == "list/00") {
            Some(listed) => {
                let looked = need("stat of a file", self.stat("list/00").await)?;
                self.check("a listing and stat say the same", listed, looked);
            }
            None => {
                let other = "the file is on another page".to_owned();
                self.tell("a listing and stat say the same".to_owned(), Outcome::Skipped(other));
            }
        }
        let tree = self.attached.list(&path("list"), true, None).await;
        self.check_word("list a tree", &tree, &["ok", "unsupported"]);
        if let Ok(tree) = tree {
            let below = tree.entries.iter().any(|entry| entry.path.as_str() == "list/folder/below");
            self.check("a tree has what is in folders", below || tree.next.is_some(), true);
        }
        Ok(())
    }

    pub(super) async fn names_and_places(&mut self) -> Result<(), Stop> {
        let long = "l".repeat(LONG_BYTES);
        let mut expected = BTreeSet::new();
        for name in NAMES.into_iter().chain([long.as_str()]) {
            let place = format!("names/{name}");
            let stored = self.put(&place, name.as_bytes(), Mode::Replace).await;
            // A name that no spelling helps is refused with its rule, never stored as another.
            self.check_word(&format!("store the name `{name}`"), &stored, &["ok", "bad-name"]);
            let Ok(stored) = stored else { continue };
            self.check(&format!("`{name}` is told as it is"), stored.path.to_string(), place.clone());
            let bytes = self.read(&place, 0, None).await.ok().flatten();
            self.check(&format!("`{name}` comes back"), bytes, Some(name.as_bytes().to_vec()));
            expected.insert(place);
        }
        let listed = self.names("names").await.ok();
        self.check("names are listed as they were stored", listed, Some(expected));
        let too_long = self.put(&format!("names/{}", "x".repeat(TOO_LONG_BYTES)), b"x", Mode::Replace).await;
        self.check_word("a name that is too long", &too_long, &["bad-name"]);
        Ok(())
    }
}
