//! Removals, and what changed.

use super::{Stop, Suite, given, need, path, word};
use crate::attached::Error;
use crate::entry::{Kind, Mode};
use crate::sandbox::operation::{Change, Outcome, Removal, Whereabouts};

/// Pages of changes that are asked for: what is stored here are some hundred files.
const PAGES_MAX: usize = 100;

impl Suite<'_> {
    pub(super) async fn removals(&mut self) -> Result<(), Stop> {
        for name in ["a", "b", "c", "folder/one", "folder/deep/two"] {
            need("put a file", self.put(&format!("rm/{name}"), name.as_bytes(), Mode::Replace).await)?;
        }
        let removed = self.remove("rm/a", Kind::File, None).await;
        self.check_word("remove a file", &removed, &["ok"]);
        let missing = self.stat("rm/a").await;
        self.check_word("and it is gone", &missing, &["not-found"]);
        let again = self.remove("rm/a", Kind::File, None).await;
        self.check_word("remove what is not there", &again, &["not-found"]);
        let old = given("the revision of a file", need("stat of a file", self.stat("rm/b").await)?.revision)?;
        need("replace a file", self.put("rm/b", b"newer", Mode::Replace).await)?;
        let stale = self.remove("rm/b", Kind::File, Some(&old)).await;
        self.check_word("remove a revision that was replaced", &stale, &["conflict"]);
        let bytes = self.read("rm/b", 0, None).await.ok().flatten();
        self.check("the newer one is there still", bytes, Some(b"newer".to_vec()));
        let now = given("the revision of a file", need("stat of a file", self.stat("rm/b").await)?.revision)?;
        let right = self.remove("rm/b", Kind::File, Some(&now)).await;
        self.check_word("remove the revision that is there", &right, &["ok"]);
        let folder = self.remove("rm/folder", Kind::Folder, None).await;
        self.check_word("remove a folder with what is in it", &folder, &["ok"]);
        let below = self.stat("rm/folder/deep/two").await;
        self.check_word("and that is gone", &below, &["not-found"]);
        let removal = |name: &str| Removal { path: path(name), kind: Kind::File, revision: None };
        need("put a file", self.put("rm/d", b"d", Mode::Replace).await)?;
        let results = self.attached.remove(&[removal("rm/c"), removal("rm/none"), removal("rm/d")]).await;
        let words: Option<Vec<String>> = results.ok().map(|results| results.iter().map(word).collect());
        let expected = ["ok", "not-found", "ok"].map(str::to_owned).to_vec();
        self.check("many have a result each, in order", words, Some(expected));
        Ok(())
    }

    /// The files that changed, by name, those that are gone as `-`; and what gets the next changes.
    async fn changed(&self, cursor: Option<&str>) -> Result<(Vec<String>, String), Error> {
        let (mut names, mut cursor) = (Vec::new(), cursor.map(str::to_owned));
        for _ in 0..PAGES_MAX {
            let page = self.attached.changes(cursor.as_deref()).await?;
            for Change { at, is } in page.changes {
                let name = match at {
                    Whereabouts::Path(path) => path.name().unwrap_or_default().to_owned(),
                    Whereabouts::Node { name, .. } => name,
                };
                match is {
                    Outcome::File(_) => names.push(name),
                    Outcome::Removed => names.push("-".to_owned()),
                    Outcome::Folder => {}
                }
            }
            if !page.more {
                return Ok((names, page.cursor));
            }
            cursor = Some(page.cursor);
        }
        Ok((vec!["no end".to_owned()], String::new()))
    }

    pub(super) async fn changes(&mut self) -> Result<(), Stop> {
        need("put a file", self.put("changes/first", b"x", Mode::Replace).await)?;
        let all = self.changed(None).await;
        self.check_word("ask for all that is there", &all, &["ok", "unsupported"]);
        let Ok((names, cursor)) = all else { return Ok(()) };
        self.check("what is there is told", names.contains(&"first".to_owned()), true);
        let nothing = self.changed(Some(&cursor)).await.map(|(names, _)| names).ok();
        self.check("where nothing changed, nothing is told", nothing, Some(Vec::new()));
        need("put a file", self.put("changes/second", b"y", Mode::Replace).await)?;
        let (told, later) = need("ask what changed", self.changed(Some(&cursor)).await)?;
        self.check("a new file is told", told.clone(), vec!["second".to_owned()]);
        let again = self.changed(Some(&cursor)).await.map(|(names, _)| names).ok();
        self.check("the same cursor tells the same again", again, Some(told));
        need("remove a file", self.remove("changes/first", Kind::File, None).await)?;
        let gone = self.changed(Some(&later)).await.map(|(names, _)| names).ok();
        self.check("what is gone is told", gone, Some(vec!["-".to_owned()]));
        let garbage = self.changed(Some("no cursor of anybody")).await;
        self.check_word("a cursor that never was", &garbage, &["cursor-gone", "denied"]);
        Ok(())
    }
}
