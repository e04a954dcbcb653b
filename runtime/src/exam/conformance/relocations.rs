//! Moves and copies, and how full the service is.
//!
//! A service that has no such function says so, and then nothing has happened. One that has it replaces
//! nothing and makes nothing for what cannot be done.

use std::collections::BTreeSet;

use super::{Stop, Suite, need, path, word};
use crate::attached::Error;
use crate::entry::{Entry, Kind, Mode};

/// A move or a copy may be what the service does not have.
const MAYBE: &[&str] = &["ok", "unsupported"];

impl Suite<'_> {
    pub(super) async fn relocations(&mut self) -> Result<(), Stop> {
        for name in ["file", "there", "folder/one"] {
            need("put a file", self.put(&format!("mv/{name}"), name.as_bytes(), Mode::Replace).await)?;
        }
        let moved = self.attached.relocate(&path("mv/file"), &path("mv/moved")).await;
        self.check_word("give a file another name", &moved, MAYBE);
        if moved.is_ok() {
            self.renamed().await;
        }
        Box::pin(self.other_folders()).await?;
        Box::pin(self.copies()).await?;
        let space = self.attached.usage().await;
        self.check_word("ask how full it is", &space, MAYBE);
        let sane = space
            .ok()
            .is_none_or(|space| space.used.zip(space.total).is_none_or(|(used, total)| used <= total));
        self.check("no more is used than there is", sane, true);
        Ok(())
    }

    /// After `mv/file` became `mv/moved`.
    async fn renamed(&mut self) {
        self.holds("mv/moved", "it is the same file", b"file").await;
        let old = self.stat("mv/file").await;
        self.check_word("its old name is free", &old, &["not-found"]);
        let over = self.attached.relocate(&path("mv/moved"), &path("mv/there")).await;
        self.check_word("nothing is replaced", &over, &["exists"]);
        let missing = self.attached.relocate(&path("mv/none"), &path("mv/some")).await;
        self.check_word("move nothing", &missing, &["not-found"]);
        let folder = self.attached.relocate(&path("mv/folder"), &path("mv/other")).await;
        self.check_word("give a folder another name", &folder, &["ok"]);
        self.holds("mv/other/one", "what is in it goes along", b"folder/one").await;
    }

    /// Moves to other folders. What holds them is made by the host; what cannot be moved stays, and nothing
    /// is made for it.
    async fn other_folders(&mut self) -> Result<(), Stop> {
        for name in ["file", "there", "tree/one", "tree/deep/two", "over/there", "over/tree/x"] {
            need("put a file", self.put(&format!("away/{name}"), name.as_bytes(), Mode::Replace).await)?;
        }
        let before = need("stat of a file", self.stat("away/file").await)?;
        let made = self.go("file", "new/folders/file").await;
        self.check_word("move a file to a folder that is not there yet", &made, MAYBE);
        if word(&made) == "unsupported" {
            self.holds("away/file", "then it is where it was", b"file").await;
            return Ok(());
        }
        let after = self.stat("away/new/folders/file").await.ok();
        let same = after.map(|after| (after.kind, after.size, after.hash, after.modified));
        let expected = (Kind::File, before.size, before.hash, before.modified);
        self.check("its bytes and its time go along", same, Some(expected));
        let old = self.stat("away/file").await;
        self.check_word("and its old path is free", &old, &["not-found"]);
        let renamed = self.go("new/folders/file", "over/Ünï & #1 100% (2).txt").await;
        self.check_word("move it on, with another name", &renamed, &["ok"]);
        self.holds("away/over/Ünï & #1 100% (2).txt", "it is the same file", b"file").await;
        let back = self.go("over/Ünï & #1 100% (2).txt", "Ünï %20 é/+ 50%/file").await;
        self.check_word("move into folders with names that mean something in an address", &back, &["ok"]);
        self.holds("away/Ünï %20 é/+ 50%/file", "where it is still the same file", b"file").await;
        self.not_there().await;
        self.folders_elsewhere().await;
        Ok(())
    }

    /// What is in the way, or missing.
    async fn not_there(&mut self) {
        let over = self.go("there", "over/there").await;
        self.check_word("move over a file", &over, &["exists"]);
        self.holds("away/over/there", "which is as it was", b"over/there").await;
        for from in ["there", "tree"] {
            let over = self.go(from, "over/tree").await;
            self.check_word(&format!("move `{from}` over a folder"), &over, &["exists"]);
        }
        let inside = self.names("away/over/tree").await.ok();
        let expected = BTreeSet::from(["away/over/tree/x".to_owned()]);
        self.check("which has in it what it had", inside, Some(expected));
        let below = self.go("tree", "there/tree").await;
        self.check_word("move below a file", &below, &["wrong-kind"]);
        let missing = self.go("none", "over/none").await;
        self.check_word("move what is not there", &missing, &["not-found"]);
    }

    async fn folders_elsewhere(&mut self) {
        for into in ["tree/tree", "tree/new/tree", "tree/deep/x/tree"] {
            let itself = self.go("tree", into).await;
            self.check_word(&format!("move a folder into itself ({into})"), &itself, &["wrong-kind"]);
        }
        let inside = self.names("away/tree").await.ok();
        let expected = ["away/tree/one", "away/tree/deep"].map(str::to_owned);
        self.check("nothing was made in it", inside, Some(BTreeSet::from(expected)));
        let folder = self.go("tree", "over/forest").await;
        self.check_word("move a folder to another folder", &folder, &["ok"]);
        self.holds("away/over/forest/deep/two", "what is in it goes along", b"tree/deep/two").await;
        let old = self.stat("away/tree").await;
        self.check_word("and its old path is free", &old, &["not-found"]);
        let up = self.go("over/forest/deep", "deep").await;
        self.check_word("move a folder up", &up, &["ok"]);
        let top = self.attached.relocate(&path("away/deep"), &path("deep")).await;
        self.check_word("move it out to the backup directory itself", &top, &["ok"]);
        self.holds("deep/two", "with what is in it", b"tree/deep/two").await;
    }

    async fn copies(&mut self) -> Result<(), Stop> {
        for name in ["file", "tree/one", "tree/deep/two", "there"] {
            need("put a file", self.put(&format!("cp/{name}"), name.as_bytes(), Mode::Replace).await)?;
        }
        let copied = self.copy("file", "copy").await;
        self.check_word("copy a file at the service", &copied, MAYBE);
        if word(&copied) == "unsupported" {
            let none = self.stat("cp/copy").await;
            self.check_word("then nothing has happened", &none, &["not-found"]);
            return Ok(());
        }
        for name in ["cp/file", "cp/copy"] {
            self.holds(name, "both have its bytes", b"file").await;
        }
        let over = self.copy("file", "there").await;
        self.check_word("a copy replaces nothing", &over, &["exists"]);
        let away = self.copy("file", "new 100%/é/file").await;
        self.check_word("copy a file to another folder", &away, &["ok"]);
        self.holds("cp/new 100%/é/file", "the copy has its bytes", b"file").await;
        let folder = self.copy("tree", "new 100%/tree").await;
        self.check_word("copy a folder to another folder", &folder, &["ok"]);
        self.holds("cp/new 100%/tree/deep/two", "with what is in it", b"tree/deep/two").await;
        let itself = self.copy("tree", "tree/deep/tree").await;
        self.check_word("copy a folder into itself", &itself, &["wrong-kind"]);
        let missing = self.copy("none", "new 100%/none").await;
        self.check_word("copy nothing", &missing, &["not-found"]);
        Ok(())
    }

    /// Move within `away`.
    async fn go(&self, from: &str, to: &str) -> Result<Entry, Error> {
        self.attached.relocate(&path(&format!("away/{from}")), &path(&format!("away/{to}"))).await
    }

    /// Copy within `cp`.
    async fn copy(&self, from: &str, to: &str) -> Result<Entry, Error> {
        self.attached.copy(&path(&format!("cp/{from}")), &path(&format!("cp/{to}"))).await
    }

    async fn holds(&mut self, place: &str, what: &str, expected: &[u8]) {
        let bytes = self.read(place, 0, None).await.ok().flatten();
        self.check(what, bytes, Some(expected.to_vec()));
    }
}
