//! Folders, files, what may replace what, and ranges.

use super::super::Outcome;
use super::{Stop, Suite, TIME, drained, given, info, length, need, noise, path, source, word};
use crate::content::Section;
use crate::entry::{Info, Kind, Mode};
use crate::hash::Running;

/// Bytes of the largest file that is stored in one piece, where a service stores in larger units.
const QUANTUM_MAX: u64 = 4 * 1024 * 1024;
/// Bytes of the file that ranges are read of.
const RANGED_BYTES: usize = 50_000;
/// Ranges: inside, at either end, beyond it, to the end.
const RANGES: [(u64, Option<u64>); 8] = [
    (0, None),
    (0, Some(1)),
    (1, Some(4095)),
    (49_999, None),
    (49_999, Some(1)),
    (20_000, None),
    (0, Some(50_000)),
    (10, Some(90_000)),
];

impl Suite<'_> {
    pub(super) async fn folders(&mut self) -> Result<(), Stop> {
        let missing = self.stat("none").await;
        self.check_word("stat of nothing", &missing, &["not-found"]);
        let missing = self.stat("none/below").await;
        self.check_word("stat below nothing", &missing, &["not-found"]);
        let made = self.attached.make_folder(&path("folders/a/b")).await;
        self.check_word("make a folder and those on the way", &made, &["ok"]);
        self.check("its path", made.map(|entry| entry.path.to_string()).ok(), Some("folders/a/b".to_owned()));
        for on_the_way in ["folders", "folders/a", "folders/a/b"] {
            let kind = self.stat(on_the_way).await.map(|entry| entry.kind).ok();
            self.check(&format!("`{on_the_way}` is there"), kind, Some(Kind::Folder));
        }
        let again = self.attached.make_folder(&path("folders/a/b")).await;
        self.check_word("make a folder that is there", &again, &["ok"]);
        need("put a file into a folder", self.put("folders/file", b"x", Mode::Replace).await)?;
        let over = self.attached.make_folder(&path("folders/file")).await;
        self.check_word("make a folder where a file is", &over, &["wrong-kind"]);
        let below = self.attached.make_folder(&path("folders/file/below")).await;
        self.check_word("make a folder below a file", &below, &["wrong-kind"]);
        let size = self.stat("folders/a").await.map(|entry| (entry.size, entry.hash, entry.revision)).ok();
        self.check("a folder has no bytes, hash or revision", size, Some((0, None, None)));
        Ok(())
    }

    pub(super) async fn files(&mut self) -> Result<(), Stop> {
        let quantum = self.attached.manifest().upload.part_quantum.min(QUANTUM_MAX);
        for size in [0, 1, 4095, 4096, 100_001, usize::try_from(quantum).unwrap_or(4096)] {
            let bytes = noise(length(size), size);
            let place = format!("files/of-{size}");
            let stored = self.put(&place, &bytes, Mode::Replace).await;
            self.check_word(&format!("put {size} bytes"), &stored, &["ok"]);
            let facts = stored.ok().map(|entry| (entry.path.to_string(), entry.kind, entry.size));
            let expected = (place.clone(), Kind::File, length(size));
            self.check(&format!("what put says of {size} bytes"), facts, Some(expected));
            let back = self.read(&place, 0, None).await.ok().flatten();
            self.check(&format!("{size} bytes come back"), back == Some(bytes), true);
        }
        self.hashes().await?;
        let missing = self.read("files/none", 0, None).await;
        self.check_word("read nothing", &missing, &["not-found"]);
        let folder = self.read("files", 0, None).await;
        self.check_word("read a folder", &folder, &["wrong-kind"]);
        let kept = Info { keep_modified: true, ..info(3, Mode::Replace) };
        let section = Section::whole(source(b"old"));
        let stored = self.attached.put(&path("files/kept"), &section, &kept, None).await;
        self.check_word("put with a time that is to be kept", &stored, &["ok"]);
        let looked = need("stat of a file with a time", self.stat("files/kept").await)?;
        let modified = looked.modified.map(jiff::Timestamp::as_second);
        self.check("the time is kept", modified, Some(TIME));
        Ok(())
    }

    async fn hashes(&mut self) -> Result<(), Stop> {
        let bytes = noise(9, 70_000);
        let stored = need("put 70000 bytes", self.put("files/hashed", &bytes, Mode::Replace).await)?;
        let looked = need("stat of a file", self.stat("files/hashed").await)?;
        self.check("stat and put agree on the revision", looked.revision.clone(), stored.revision.clone());
        self.check("there is a revision", stored.revision.is_some(), true);
        let mut running = Running::new(&self.attached.algorithms());
        running.update(&bytes);
        let digests = running.finish();
        let given = looked.hash.is_some();
        for entry in [stored, looked] {
            let right = entry.hash.as_ref().is_none_or(|hash| digests.get(hash.algorithm()) == Some(hash));
            self.check("a hash that is given is right", right, true);
        }
        let declared = self.attached.manifest().upload.hash.is_some();
        self.check("a hash that is declared is given", given, declared);
        Ok(())
    }

    pub(super) async fn modes(&mut self) -> Result<(), Stop> {
        let first = self.put("modes/file", b"first", Mode::Create).await;
        self.check_word("create what is not there", &first, &["ok"]);
        let other = self.put("modes/file", b"other", Mode::Create).await;
        self.check_word("create what is there", &other, &["exists"]);
        let same = self.put("modes/file", b"first", Mode::Create).await;
        self.check_word("create what is there with the same bytes", &same, &["exists"]);
        let bytes = self.read("modes/file", 0, None).await.ok().flatten();
        self.check("what was there is there still", bytes, Some(b"first".to_vec()));
        let one = given("the revision of what was created", need("create a file", first)?.revision)?;
        let second = self.put("modes/file", b"second", Mode::ReplaceIfRevision(one.clone())).await;
        self.check_word("replace the revision that is there", &second, &["ok"]);
        let stale = self.put("modes/file", b"third", Mode::ReplaceIfRevision(one.clone())).await;
        self.check_word("replace a revision that is gone", &stale, &["conflict"]);
        let bytes = self.read("modes/file", 0, None).await.ok().flatten();
        self.check("the newer revision is there still", bytes, Some(b"second".to_vec()));
        let two = given("the revision of what was replaced", need("replace a revision", second)?.revision)?;
        self.check("another revision has another name", one != two, true);
        let nothing = self.put("modes/none", b"x", Mode::ReplaceIfRevision(one)).await;
        self.check_word("replace a revision of nothing", &nothing, &["conflict", "not-found"]);
        let missing = self.stat("modes/none").await;
        self.check_word("and nothing was stored", &missing, &["not-found"]);
        let replaced = self.put("modes/file", b"last", Mode::Replace).await;
        self.check_word("replace whatever is there", &replaced, &["ok"]);
        need("make a folder", self.attached.make_folder(&path("modes/folder")).await)?;
        for mode in [Mode::Replace, Mode::Create] {
            let over = self.put("modes/folder", b"x", mode.clone()).await;
            self.check_word(&format!("put over a folder ({mode:?})"), &over, &["wrong-kind", "exists"]);
        }
        let below = self.put("modes/file/below", b"x", Mode::Replace).await;
        self.check_word("put below a file", &below, &["wrong-kind"]);
        let deep = self.put("modes/new/folders/file", b"x", Mode::Replace).await;
        self.check_word("put makes the folders on the way", &deep, &["ok"]);
        let kind = self.stat("modes/new/folders").await.map(|entry| entry.kind).ok();
        self.check("and they are folders", kind, Some(Kind::Folder));
        self.race().await;
        Ok(())
    }

    async fn race(&mut self) {
        let (one, two) = tokio::join!(
            self.put("modes/race", b"one", Mode::Create),
            self.put("modes/race", b"two", Mode::Create)
        );
        let won = [&one, &two].into_iter().filter(|result| result.is_ok()).count();
        self.check("of two that create one wins", won, 1);
        let winner: &[u8] = if one.is_ok() { b"one" } else { b"two" };
        let bytes = self.read("modes/race", 0, None).await.ok().flatten();
        self.check("and it is the winner's bytes", bytes, Some(winner.to_vec()));
    }

    pub(super) async fn ranges(&mut self) -> Result<(), Stop> {
        let bytes = noise(5, RANGED_BYTES);
        let stored = need("put a file", self.put("ranges/file", &bytes, Mode::Replace).await)?;
        for (offset, len) in RANGES {
            let from = usize::try_from(offset).unwrap_or(RANGED_BYTES);
            let many = len.and_then(|len| usize::try_from(len).ok()).unwrap_or(RANGED_BYTES);
            let wanted = bytes.get(from..from.saturating_add(many).min(RANGED_BYTES));
            let got = self.read("ranges/file", offset, len).await.ok().flatten();
            let what = match len {
                Some(len) => format!("{len} bytes from {offset}"),
                None => format!("all bytes from {offset}"),
            };
            self.check(&what, got.as_deref() == wanted, true);
        }
        let revision = given("the revision of a file", stored.revision)?;
        let right = self.attached.get(&path("ranges/file"), 5, None, Some(&revision)).await.map(drop);
        self.check_word("read the revision that is there", &right, &["ok"]);
        let newer = self.put("ranges/file", &noise(6, RANGED_BYTES), Mode::Replace).await;
        need("replace a file", newer)?;
        let stale = self.attached.get(&path("ranges/file"), 5, None, Some(&revision)).await;
        let stale = match stale {
            // A service that keeps old revisions may give the bytes of the one that was asked for.
            Ok(opened) => {
                let old = drained(opened, 5, None).await.as_deref() == bytes.get(5..);
                if old { "the old bytes".to_owned() } else { "other bytes".to_owned() }
            }
            Err(error) => word::<()>(&Err(error)),
        };
        let promised = ["the old bytes", "conflict", "not-found"].contains(&&*stale);
        let outcome = if promised {
            Outcome::Good(stale)
        } else {
            Outcome::Failed(format!("{stale}, and the old bytes or `conflict` or `not-found` are promised"))
        };
        self.tell("read a revision that was replaced".to_owned(), outcome);
        Ok(())
    }
}
