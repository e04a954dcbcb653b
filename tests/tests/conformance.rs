//! Conformance: every connector, the same assertions.
//!
//! What `wit/connector.wit` promises is asked of each connector through the host, as a transfer would
//! ask it. An answer that is not as promised is noted, and the suite goes on, so one run shows all that
//! is wrong. What a service cannot do (sessions, copies) is `unsupported`, which is an answer too.
#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::sync::Arc;

use cloud::{Action, Rule};
use wharf_runtime::attached::{Attached, Error};
use wharf_runtime::content::{Section, Source};
use wharf_runtime::entry::{Entry, Info, Kind, Mode};
use wharf_runtime::hash::Running;
use wharf_runtime::sandbox::operation::{Change, Outcome, Progress, Refusal, Removal, Whereabouts};
use wharf_tests::{ACCOUNT, Rig, Service, noise, path};

/// What the issue asks for.
const CHECKS_MIN: usize = 80;
const TIME: i64 = 1_431_445_838;

/// A connector under examination.
struct Suite<'a> {
    attached: &'a Attached,
    checks: usize,
    wrong: Vec<String>,
}

/// How an operation ended, in a word: `ok`, or the contract's case.
fn word<T>(result: &Result<T, Error>) -> String {
    let error = match result {
        Ok(_) => return "ok".to_owned(),
        Err(error) => error,
    };
    match error.problem.refusal() {
        Some(Refusal::BadName(_)) => "bad-name".to_owned(),
        Some(Refusal::Other(text)) => format!("other: {text}"),
        Some(refusal) => format!("{refusal:?}").split('(').next().unwrap().to_owned(),
        None => format!("broke down: {error}"),
    }
}

fn info(size: usize, mode: Mode) -> Info {
    let modified = jiff::Timestamp::from_second(TIME).ok();
    Info { size: u64::try_from(size).unwrap(), modified, keep_modified: false, mode }
}

fn source(bytes: &[u8]) -> Arc<Source> {
    Arc::new(Source::from_bytes(bytes.to_vec().into(), "the source".to_owned()))
}

impl Suite<'_> {
    fn check<T: PartialEq + Debug>(&mut self, what: &str, got: T, wanted: T) {
        self.checks += 1;
        if got != wanted {
            self.wrong.push(format!("{what}: {got:?}, and {wanted:?} is promised"));
        }
    }

    /// One of these words is promised.
    fn check_word<T>(&mut self, what: &str, got: &Result<T, Error>, wanted: &[&str]) {
        self.checks += 1;
        let got = word(got);
        if !wanted.contains(&&*got) {
            self.wrong.push(format!("{what}: `{got}`, and one of {wanted:?} is promised"));
        }
    }

    async fn put(&self, to: &str, bytes: &[u8], mode: Mode) -> Result<Entry, Error> {
        let section = Section::whole(source(bytes));
        Ok(self.attached.put(&path(to), &section, &info(bytes.len(), mode), None).await?.0)
    }

    async fn read(&self, from: &str, offset: u64, len: Option<u64>) -> Result<Vec<u8>, Error> {
        let mut opened = self.attached.get(&path(from), offset, len, None).await?;
        let mut skip = usize::try_from(offset - opened.download.offset).unwrap();
        let mut bytes = Vec::new();
        while let Some(chunk) = opened.download.body.chunk().await.unwrap() {
            let skipped = skip.min(chunk.len());
            skip -= skipped;
            bytes.extend_from_slice(&chunk[skipped..]);
        }
        if let Some(len) = len {
            // A service may ignore the end of a range as well as its start.
            bytes.truncate(usize::try_from(len).unwrap());
        }
        Ok(bytes)
    }

    async fn stat(&self, place: &str) -> Result<Entry, Error> {
        self.attached.stat(&path(place)).await
    }

    async fn names(&self, folder: &str) -> Result<BTreeSet<String>, Error> {
        let (mut names, mut next) = (BTreeSet::new(), None);
        for _ in 0..100 {
            let page = self.attached.list(&path(folder), false, next.as_deref()).await?;
            names.extend(page.entries.iter().map(|entry| entry.path.to_string()));
            next = page.next;
            if next.is_none() {
                break;
            }
        }
        Ok(names)
    }

    async fn remove(&self, place: &str, kind: Kind, revision: Option<&str>) -> Result<(), Error> {
        let removal = Removal { path: path(place), kind, revision: revision.map(str::to_owned) };
        self.attached.remove(&[removal]).await?.pop().unwrap()
    }

    async fn all(&mut self) {
        self.folders().await;
        self.files().await;
        self.modes().await;
        self.ranges().await;
        self.listings().await;
        self.names_and_places().await;
        self.sessions().await;
        self.removals().await;
        self.relocations().await;
        self.changes().await;
    }

    async fn folders(&mut self) {
        let missing = self.stat("none").await;
        self.check_word("stat of nothing", &missing, &["NotFound"]);
        let missing = self.stat("none/below").await;
        self.check_word("stat below nothing", &missing, &["NotFound"]);
        let made = self.attached.make_folder(&path("folders/a/b")).await;
        self.check_word("make a folder and those on the way", &made, &["ok"]);
        self.check("its path", made.map(|entry| entry.path.to_string()).ok(), Some("folders/a/b".to_owned()));
        for on_the_way in ["folders", "folders/a", "folders/a/b"] {
            let kind = self.stat(on_the_way).await.map(|entry| entry.kind).ok();
            self.check(&format!("`{on_the_way}` is there"), kind, Some(Kind::Folder));
        }
        let again = self.attached.make_folder(&path("folders/a/b")).await;
        self.check_word("make a folder that is there", &again, &["ok"]);
        self.put("folders/file", b"x", Mode::Replace).await.unwrap();
        let over = self.attached.make_folder(&path("folders/file")).await;
        self.check_word("make a folder where a file is", &over, &["WrongKind"]);
        let below = self.attached.make_folder(&path("folders/file/below")).await;
        self.check_word("make a folder below a file", &below, &["WrongKind"]);
        let size = self.stat("folders/a").await.map(|entry| (entry.size, entry.hash, entry.revision)).ok();
        self.check("a folder has no bytes, hash or revision", size, Some((0, None, None)));
    }

    async fn files(&mut self) {
        let quantum = usize::try_from(self.attached.manifest().upload.part_quantum.min(4 << 20)).unwrap();
        for size in [0, 1, 4095, 4096, 100_001, quantum] {
            let bytes = noise(u64::try_from(size).unwrap(), size);
            let place = format!("files/of-{size}");
            let stored = self.put(&place, &bytes, Mode::Replace).await;
            self.check_word(&format!("put {size} bytes"), &stored, &["ok"]);
            let facts = stored.ok().map(|entry| (entry.path.to_string(), entry.kind, entry.size));
            let expected = (place.clone(), Kind::File, u64::try_from(size).unwrap());
            self.check(&format!("what put says of {size} bytes"), facts, Some(expected));
            let back = self.read(&place, 0, None).await.ok();
            self.check(&format!("{size} bytes come back"), back == Some(bytes), true);
        }
        let bytes = noise(9, 70_000);
        let stored = self.put("files/hashed", &bytes, Mode::Replace).await.unwrap();
        let looked = self.stat("files/hashed").await.unwrap();
        self.check("stat and put agree on the revision", looked.revision.clone(), stored.revision.clone());
        self.check("there is a revision", stored.revision.is_some(), true);
        let mut running = Running::new(&self.attached.algorithms());
        running.update(&bytes);
        let digests = running.finish();
        for entry in [stored, looked] {
            let right = entry.hash.as_ref().is_none_or(|hash| digests.get(hash.algorithm()) == Some(hash));
            self.check("a hash that is given is right", right, true);
        }
        let declared = self.attached.manifest().upload.hash.is_some();
        let given = self.stat("files/hashed").await.unwrap().hash.is_some();
        self.check("a hash that is declared is given", given, declared);
        let missing = self.read("files/none", 0, None).await;
        self.check_word("read nothing", &missing, &["NotFound"]);
        let folder = self.read("files", 0, None).await;
        self.check_word("read a folder", &folder, &["WrongKind"]);
        let kept = Info { keep_modified: true, ..info(3, Mode::Replace) };
        let section = Section::whole(source(b"old"));
        let stored = self.attached.put(&path("files/kept"), &section, &kept, None).await;
        self.check_word("put with a time that is to be kept", &stored, &["ok"]);
        let modified = self.stat("files/kept").await.unwrap().modified.map(jiff::Timestamp::as_second);
        self.check("the time is kept", modified, Some(TIME));
    }

    async fn modes(&mut self) {
        let first = self.put("modes/file", b"first", Mode::Create).await;
        self.check_word("create what is not there", &first, &["ok"]);
        let other = self.put("modes/file", b"other", Mode::Create).await;
        self.check_word("create what is there", &other, &["Exists"]);
        let same = self.put("modes/file", b"first", Mode::Create).await;
        self.check_word("create what is there with the same bytes", &same, &["Exists"]);
        let bytes = self.read("modes/file", 0, None).await.ok();
        self.check("what was there is there still", bytes, Some(b"first".to_vec()));
        let one = first.unwrap().revision.unwrap();
        let second = self.put("modes/file", b"second", Mode::ReplaceIfRevision(one.clone())).await;
        self.check_word("replace the revision that is there", &second, &["ok"]);
        let stale = self.put("modes/file", b"third", Mode::ReplaceIfRevision(one.clone())).await;
        self.check_word("replace a revision that is gone", &stale, &["Conflict"]);
        let bytes = self.read("modes/file", 0, None).await.ok();
        self.check("the newer revision is there still", bytes, Some(b"second".to_vec()));
        let two = second.unwrap().revision.unwrap();
        self.check("another revision has another name", one != two, true);
        let nothing = self.put("modes/none", b"x", Mode::ReplaceIfRevision(one)).await;
        self.check_word("replace a revision of nothing", &nothing, &["Conflict", "NotFound"]);
        let missing = self.stat("modes/none").await;
        self.check_word("and nothing was stored", &missing, &["NotFound"]);
        let replaced = self.put("modes/file", b"last", Mode::Replace).await;
        self.check_word("replace whatever is there", &replaced, &["ok"]);
        self.attached.make_folder(&path("modes/folder")).await.unwrap();
        for mode in [Mode::Replace, Mode::Create] {
            let over = self.put("modes/folder", b"x", mode.clone()).await;
            self.check_word(&format!("put over a folder ({mode:?})"), &over, &["WrongKind", "Exists"]);
        }
        let below = self.put("modes/file/below", b"x", Mode::Replace).await;
        self.check_word("put below a file", &below, &["WrongKind"]);
        let deep = self.put("modes/new/folders/file", b"x", Mode::Replace).await;
        self.check_word("put makes the folders on the way", &deep, &["ok"]);
        let kind = self.stat("modes/new/folders").await.map(|entry| entry.kind).ok();
        self.check("and they are folders", kind, Some(Kind::Folder));
        let (one, two) = tokio::join!(
            self.put("modes/race", b"one", Mode::Create),
            self.put("modes/race", b"two", Mode::Create)
        );
        let won = [&one, &two].into_iter().filter(|result| result.is_ok()).count();
        self.check("of two that create one wins", won, 1);
        let winner: &[u8] = if one.is_ok() { b"one" } else { b"two" };
        let bytes = self.read("modes/race", 0, None).await.ok();
        self.check("and it is the winner's bytes", bytes, Some(winner.to_vec()));
    }

    async fn ranges(&mut self) {
        let bytes = noise(5, 50_000);
        let stored = self.put("ranges/file", &bytes, Mode::Replace).await.unwrap();
        for (offset, len) in [
            (0, None),
            (0, Some(1)),
            (1, Some(4095)),
            (49_999, None),
            (49_999, Some(1)),
            (20_000, None),
            (0, Some(50_000)),
            (10, Some(90_000)),
        ] {
            let end = len.map_or(50_000, |len| (offset + len).min(50_000));
            let part = &bytes[usize::try_from(offset).unwrap()..usize::try_from(end).unwrap()];
            let got = self.read("ranges/file", offset, len).await.ok();
            self.check(&format!("{len:?} bytes from {offset}"), got.as_deref() == Some(part), true);
        }
        let revision = stored.revision.unwrap();
        let right = self.attached.get(&path("ranges/file"), 5, None, Some(&revision)).await.map(drop);
        self.check_word("read the revision that is there", &right, &["ok"]);
        self.put("ranges/file", &noise(6, 50_000), Mode::Replace).await.unwrap();
        let stale = self.attached.get(&path("ranges/file"), 5, None, Some(&revision)).await;
        let stale = match stale {
            // A service that keeps old revisions may give the bytes of the one that was asked for.
            Ok(mut opened) => {
                let mut got = Vec::new();
                while let Some(chunk) = opened.download.body.chunk().await.unwrap() {
                    got.extend_from_slice(&chunk);
                }
                if got == bytes[5..] { "the old bytes".to_owned() } else { "other bytes".to_owned() }
            }
            Err(error) => word::<()>(&Err(error)),
        };
        let promised = ["the old bytes", "Conflict", "NotFound"].contains(&&*stale);
        self.check("read a revision that was replaced", (stale, promised).1, true);
    }

    async fn listings(&mut self) {
        for number in 0..30 {
            self.put(&format!("list/{number:02}"), b"x", Mode::Replace).await.unwrap();
        }
        self.attached.make_folder(&path("list/folder")).await.unwrap();
        self.put("list/folder/below", b"x", Mode::Replace).await.unwrap();
        self.attached.make_folder(&path("list/empty")).await.unwrap();
        let mut expected: BTreeSet<String> = (0..30).map(|number| format!("list/{number:02}")).collect();
        expected.extend(["list/folder".to_owned(), "list/empty".to_owned()]);
        let listed = self.names("list").await;
        self.check("a folder lists what is in it, and no more", listed.ok(), Some(expected));
        let empty = self.names("list/empty").await;
        self.check("an empty folder lists nothing", empty.ok(), Some(BTreeSet::new()));
        let missing = self.names("list/none").await;
        self.check_word("list nothing", &missing, &["NotFound"]);
        let file = self.names("list/00").await;
        self.check_word("list a file", &file, &["WrongKind"]);
        let page = self.attached.list(&path("list"), false, None).await.unwrap();
        let listed = page.entries.into_iter().find(|entry| entry.path.as_str() == "list/00").unwrap();
        let looked = self.stat("list/00").await.unwrap();
        self.check("a listing and stat say the same", listed, looked);
        let tree = self.attached.list(&path("list"), true, None).await;
        self.check_word("list a tree", &tree, &["ok", "Unsupported"]);
        if let Ok(tree) = tree {
            let below = tree.entries.iter().any(|entry| entry.path.as_str() == "list/folder/below");
            self.check("a tree has what is in folders", below || tree.next.is_some(), true);
        }
    }

    async fn names_and_places(&mut self) {
        let long = "l".repeat(200);
        let names = [
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
            long.as_str(),
        ];
        let mut expected = BTreeSet::new();
        for name in names {
            let place = format!("names/{name}");
            let stored = self.put(&place, name.as_bytes(), Mode::Replace).await;
            // A name that no spelling helps is refused with its rule, never stored as another.
            self.check_word(&format!("store the name `{name}`"), &stored, &["ok", "bad-name"]);
            let Ok(stored) = stored else { continue };
            self.check(&format!("`{name}` is told as it is"), stored.path.to_string(), place.clone());
            let bytes = self.read(&place, 0, None).await.ok();
            self.check(&format!("`{name}` comes back"), bytes, Some(name.as_bytes().to_vec()));
            expected.insert(place);
        }
        let listed = self.names("names").await.ok();
        self.check("names are listed as they were stored", listed, Some(expected));
        let too_long = self.put(&format!("names/{}", "x".repeat(400)), b"x", Mode::Replace).await;
        self.check_word("a name that is too long", &too_long, &["bad-name"]);
    }

    /// One upload in parts, or none where everything goes in one piece.
    async fn sessions(&mut self) {
        let upload = &self.attached.manifest().upload;
        let (part, opening) = (upload.part_size, upload.opening_takes_bytes);
        if upload.single_max > 1 << 40 {
            return;
        }
        for (name, more) in [("exact", 0), ("and-one", 1)] {
            let bytes = noise(11 + more, usize::try_from(part * 2 + more).unwrap());
            let done = self.session(&format!("sessions/{name}"), &bytes, part, opening).await;
            self.check(&format!("an upload of two parts and {more} bytes"), done.as_deref(), Ok("done"));
            let back = self.read(&format!("sessions/{name}"), 0, None).await.ok();
            self.check(&format!("`{name}` comes back"), back == Some(bytes), true);
        }
        let bytes = noise(13, usize::try_from(part * 2).unwrap());
        let (info, first) = (info(bytes.len(), Mode::Replace), self.first(&bytes, part, opening));
        let place = path("sessions/aborted");
        let begun = self.attached.begin_upload(&place, &info, first.as_ref(), None).await;
        self.check_word("begin an upload", &begun, &["ok"]);
        let (session, progress, _) = begun.unwrap();
        let stands = if opening { part } else { 0 };
        let any_order = progress == Progress::AnyOrder;
        let expected = if any_order { Progress::AnyOrder } else { Progress::More(stands) };
        self.check("it stands where it began", progress, expected.clone());
        let status = self.attached.upload_status(&place, &session, &info).await;
        self.check("and says so when it is asked", status.ok(), Some(expected));
        let missing = self.stat("sessions/aborted").await;
        self.check_word("what is not finished is no file", &missing, &["NotFound"]);
        let aborted = self.attached.abort_upload(&place, &session).await;
        self.check_word("abort an upload", &aborted, &["ok"]);
        let garbage = self.attached.upload_status(&place, "no session of anybody", &info).await;
        self.check_word("ask for a session that never was", &garbage, &["SessionGone"]);
        self.put("sessions/there", b"x", Mode::Replace).await.unwrap();
        let create = Info { mode: Mode::Create, ..info };
        let over = self.session_with("sessions/there", &bytes, part, opening, &create).await;
        self.check("an upload that creates what is there", over, Err("Exists".to_owned()));
        let bytes = self.read("sessions/there", 0, None).await.ok();
        self.check("leaves it as it was", bytes, Some(b"x".to_vec()));
    }

    fn first(&self, bytes: &[u8], part: u64, opening: bool) -> Option<Section> {
        let whole = Section::whole(source(bytes));
        opening.then(|| whole.part(0, part.min(whole.size())).unwrap())
    }

    async fn session(&self, place: &str, bytes: &[u8], part: u64, opening: bool) -> Result<String, String> {
        self.session_with(place, bytes, part, opening, &info(bytes.len(), Mode::Replace)).await
    }

    async fn session_with(
        &self,
        place: &str,
        bytes: &[u8],
        part: u64,
        opening: bool,
        info: &Info,
    ) -> Result<String, String> {
        let (place, whole) = (path(place), Section::whole(source(bytes)));
        let first = self.first(bytes, part, opening);
        let told = |error: Error| word::<()>(&Err(error));
        let begun = self.attached.begin_upload(&place, info, first.as_ref(), None).await.map_err(told)?;
        let (session, mut progress, _) = begun;
        let mut at = 0;
        for _ in 0..10 {
            // What may come in any order comes in the file's here.
            let due = match progress {
                Progress::More(offset) => offset,
                Progress::AnyOrder | Progress::Staged | Progress::Done(_) => at,
            };
            progress = match progress {
                Progress::Done(entry) if entry.size == info.size => return Ok("done".to_owned()),
                Progress::Done(entry) => return Ok(format!("done with {} bytes", entry.size)),
                Progress::Staged => {
                    let staged = wharf_runtime::sandbox::operation::Staged {
                        session: session.clone(),
                        path: place.clone(),
                        info: info.clone(),
                    };
                    let mut results = self.attached.finish_uploads(&[staged]).await.map_err(told)?;
                    Progress::Done(results.pop().unwrap().map_err(told)?)
                }
                Progress::More(_) | Progress::AnyOrder => {
                    let len = part.min(whole.size() - due);
                    let section = whole.part(due, len).unwrap();
                    at = due + len;
                    let running = Running::new(&self.attached.algorithms());
                    let sent =
                        self.attached.upload_part(&place, &session, info, &section, &running, None).await;
                    sent.map_err(told)?.0
                }
            };
        }
        Ok("no end".to_owned())
    }

    async fn removals(&mut self) {
        for name in ["a", "b", "c", "folder/one", "folder/deep/two"] {
            self.put(&format!("rm/{name}"), name.as_bytes(), Mode::Replace).await.unwrap();
        }
        let removed = self.remove("rm/a", Kind::File, None).await;
        self.check_word("remove a file", &removed, &["ok"]);
        let missing = self.stat("rm/a").await;
        self.check_word("and it is gone", &missing, &["NotFound"]);
        let again = self.remove("rm/a", Kind::File, None).await;
        self.check_word("remove what is not there", &again, &["NotFound"]);
        let old = self.stat("rm/b").await.unwrap().revision.unwrap();
        self.put("rm/b", b"newer", Mode::Replace).await.unwrap();
        let stale = self.remove("rm/b", Kind::File, Some(&old)).await;
        self.check_word("remove a revision that was replaced", &stale, &["Conflict"]);
        let bytes = self.read("rm/b", 0, None).await.ok();
        self.check("the newer one is there still", bytes, Some(b"newer".to_vec()));
        let now = self.stat("rm/b").await.unwrap().revision.unwrap();
        let right = self.remove("rm/b", Kind::File, Some(&now)).await;
        self.check_word("remove the revision that is there", &right, &["ok"]);
        let folder = self.remove("rm/folder", Kind::Folder, None).await;
        self.check_word("remove a folder with what is in it", &folder, &["ok"]);
        let below = self.stat("rm/folder/deep/two").await;
        self.check_word("and that is gone", &below, &["NotFound"]);
        let removal = |name: &str| Removal { path: path(name), kind: Kind::File, revision: None };
        self.put("rm/d", b"d", Mode::Replace).await.unwrap();
        let results = self.attached.remove(&[removal("rm/c"), removal("rm/none"), removal("rm/d")]).await;
        let words: Option<Vec<String>> = results.ok().map(|results| results.iter().map(word).collect());
        let expected = ["ok", "NotFound", "ok"].map(str::to_owned).to_vec();
        self.check("many have a result each, in order", words, Some(expected));
    }

    async fn relocations(&mut self) {
        for name in ["file", "there", "folder/one"] {
            self.put(&format!("mv/{name}"), name.as_bytes(), Mode::Replace).await.unwrap();
        }
        let moved = self.attached.relocate(&path("mv/file"), &path("mv/moved")).await;
        self.check_word("give a file another name", &moved, &["ok", "Unsupported"]);
        if moved.is_ok() {
            let bytes = self.read("mv/moved", 0, None).await.ok();
            self.check("it is the same file", bytes, Some(b"file".to_vec()));
            let old = self.stat("mv/file").await;
            self.check_word("its old name is free", &old, &["NotFound"]);
            let over = self.attached.relocate(&path("mv/moved"), &path("mv/there")).await;
            self.check_word("nothing is replaced", &over, &["Exists"]);
            let missing = self.attached.relocate(&path("mv/none"), &path("mv/some")).await;
            self.check_word("move nothing", &missing, &["NotFound"]);
            let folder = self.attached.relocate(&path("mv/folder"), &path("mv/other")).await;
            self.check_word("give a folder another name", &folder, &["ok"]);
            let bytes = self.read("mv/other/one", 0, None).await.ok();
            self.check("what is in it goes along", bytes, Some(b"folder/one".to_vec()));
        }
        self.other_folders().await;
        self.copies().await;
        let space = self.attached.usage().await;
        self.check_word("ask how full it is", &space, &["ok", "Unsupported"]);
        let sane = space
            .ok()
            .is_none_or(|space| space.used.zip(space.total).is_none_or(|(used, total)| used <= total));
        self.check("no more is used than there is", sane, true);
    }

    /// Moves to other folders. What holds them is made by the host; what cannot be moved stays, and nothing
    /// is made for it.
    async fn other_folders(&mut self) {
        for name in ["file", "there", "tree/one", "tree/deep/two", "over/there", "over/tree/x"] {
            self.put(&format!("away/{name}"), name.as_bytes(), Mode::Replace).await.unwrap();
        }
        let before = self.stat("away/file").await.unwrap();
        let go = async |suite: &Self, from: &str, to: &str| {
            suite.attached.relocate(&path(&format!("away/{from}")), &path(&format!("away/{to}"))).await
        };
        let made = go(self, "file", "new/folders/file").await;
        self.check_word("move a file to a folder that is not there yet", &made, &["ok"]);
        let facts = made.ok().map(|entry| (entry.path.to_string(), entry.kind, entry.size, entry.modified));
        let expected = ("away/new/folders/file".to_owned(), Kind::File, before.size, before.modified);
        self.check("what is told of it", facts, Some(expected));
        let after = self.stat("away/new/folders/file").await.ok();
        let same = after.map(|after| (after.size, after.hash, after.modified));
        self.check(
            "its bytes and its time go along",
            same,
            Some((before.size, before.hash, before.modified)),
        );
        let old = self.stat("away/file").await;
        self.check_word("and its old path is free", &old, &["NotFound"]);
        let renamed = go(self, "new/folders/file", "over/Ünï & #1 100% (2).txt").await;
        self.check_word("move it on, with another name", &renamed, &["ok"]);
        let bytes = self.read("away/over/Ünï & #1 100% (2).txt", 0, None).await.ok();
        self.check("it is the same file", bytes, Some(b"file".to_vec()));
        let back = go(self, "over/Ünï & #1 100% (2).txt", "Ünï %20 é/+ 50%/file").await;
        self.check_word("into folders with names that mean something in an address", &back, &["ok"]);
        let bytes = self.read("away/Ünï %20 é/+ 50%/file", 0, None).await.ok();
        self.check("where it is still the same file", bytes, Some(b"file".to_vec()));

        let over = go(self, "there", "over/there").await;
        self.check_word("move over a file", &over, &["Exists"]);
        let bytes = self.read("away/over/there", 0, None).await.ok();
        self.check("which is as it was", bytes, Some(b"over/there".to_vec()));
        let over = go(self, "there", "over/tree").await;
        self.check_word("move over a folder", &over, &["Exists"]);
        let over = go(self, "tree", "over/tree").await;
        self.check_word("move a folder over a folder", &over, &["Exists"]);
        let inside = self.names("away/over/tree").await.ok();
        self.check("which is as it was", inside, Some(BTreeSet::from(["away/over/tree/x".to_owned()])));
        let below = go(self, "tree", "there/tree").await;
        self.check_word("move below a file", &below, &["WrongKind"]);
        let missing = go(self, "none", "over/none").await;
        self.check_word("move nothing", &missing, &["NotFound"]);

        for into in ["tree/tree", "tree/new/tree", "tree/deep/x/tree"] {
            let itself = go(self, "tree", into).await;
            self.check_word(&format!("move a folder into itself ({into})"), &itself, &["WrongKind"]);
        }
        let inside = self.names("away/tree").await.ok();
        let expected = ["away/tree/one", "away/tree/deep"].map(str::to_owned);
        self.check("nothing was made in it", inside, Some(BTreeSet::from(expected)));
        let folder = go(self, "tree", "over/forest").await;
        self.check_word("move a folder to another folder", &folder, &["ok"]);
        let bytes = self.read("away/over/forest/deep/two", 0, None).await.ok();
        self.check("what is in it goes along", bytes, Some(b"tree/deep/two".to_vec()));
        let old = self.stat("away/tree").await;
        self.check_word("and its old path is free", &old, &["NotFound"]);
        let up = go(self, "over/forest/deep", "deep").await;
        self.check_word("move a folder up", &up, &["ok"]);
        let top = self.attached.relocate(&path("away/deep"), &path("deep")).await;
        self.check_word("and out to the backup directory itself", &top, &["ok"]);
        let bytes = self.read("deep/two", 0, None).await.ok();
        self.check("with what is in it", bytes, Some(b"tree/deep/two".to_vec()));
    }

    async fn copies(&mut self) {
        for name in ["file", "tree/one", "tree/deep/two", "there"] {
            self.put(&format!("cp/{name}"), name.as_bytes(), Mode::Replace).await.unwrap();
        }
        let go = async |suite: &Self, from: &str, to: &str| {
            suite.attached.copy(&path(&format!("cp/{from}")), &path(&format!("cp/{to}"))).await
        };
        let copied = go(self, "file", "copy").await;
        self.check_word("copy a file at the service", &copied, &["ok", "Unsupported"]);
        if word(&copied) == "Unsupported" {
            let none = self.stat("cp/copy").await;
            self.check_word("then nothing has happened", &none, &["NotFound"]);
            return;
        }
        for name in ["file", "copy"] {
            let bytes = self.read(&format!("cp/{name}"), 0, None).await.ok();
            self.check("both have its bytes", bytes, Some(b"file".to_vec()));
        }
        let over = go(self, "file", "there").await;
        self.check_word("a copy replaces nothing", &over, &["Exists"]);
        let away = go(self, "file", "new 100%/é/file").await;
        self.check_word("copy a file to another folder", &away, &["ok"]);
        let bytes = self.read("cp/new 100%/é/file", 0, None).await.ok();
        self.check("the copy has its bytes", bytes, Some(b"file".to_vec()));
        let folder = go(self, "tree", "new 100%/tree").await;
        self.check_word("copy a folder to another folder", &folder, &["ok"]);
        let bytes = self.read("cp/new 100%/tree/deep/two", 0, None).await.ok();
        self.check("with what is in it", bytes, Some(b"tree/deep/two".to_vec()));
        let itself = go(self, "tree", "tree/deep/tree").await;
        self.check_word("copy a folder into itself", &itself, &["WrongKind"]);
        let missing = go(self, "none", "new 100%/none").await;
        self.check_word("copy nothing", &missing, &["NotFound"]);
    }

    /// The files that changed, by name, those that are gone as `-`; and what gets the next changes.
    async fn changed(&self, cursor: Option<&str>) -> Result<(Vec<String>, String), Error> {
        let (mut names, mut cursor) = (Vec::new(), cursor.map(str::to_owned));
        for _ in 0..100 {
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

    async fn changes(&mut self) {
        self.put("changes/first", b"x", Mode::Replace).await.unwrap();
        let all = self.changed(None).await;
        self.check_word("ask for all that is there", &all, &["ok", "Unsupported"]);
        let Ok((names, cursor)) = all else { return };
        self.check("what is there is told", names.contains(&"first".to_owned()), true);
        let nothing = self.changed(Some(&cursor)).await.map(|(names, _)| names).ok();
        self.check("where nothing changed, nothing is told", nothing, Some(Vec::new()));
        self.put("changes/second", b"y", Mode::Replace).await.unwrap();
        let (told, later) = self.changed(Some(&cursor)).await.unwrap();
        self.check("a new file is told", told.clone(), vec!["second".to_owned()]);
        let again = self.changed(Some(&cursor)).await.map(|(names, _)| names).ok();
        self.check("the same cursor tells the same again", again, Some(told));
        self.remove("changes/first", Kind::File, None).await.unwrap();
        let gone = self.changed(Some(&later)).await.map(|(names, _)| names).ok();
        self.check("what is gone is told", gone, Some(vec!["-".to_owned()]));
        let garbage = self.changed(Some("no cursor of anybody")).await;
        self.check_word("a cursor that never was", &garbage, &["CursorGone", "Denied"]);
    }

    #[track_caller]
    fn end(self, name: &str) {
        assert!(self.wrong.is_empty(), "{name}, {} checks:\n{}", self.checks, self.wrong.join("\n"));
        assert!(self.checks >= CHECKS_MIN, "{name}: only {} checks", self.checks);
    }
}

async fn examine(attached: &Attached, name: &str) {
    let mut suite = Suite { attached, checks: 0, wrong: Vec::new() };
    Box::pin(suite.all()).await;
    suite.end(name);
}

/// What lets OneDrive tell what changed.
fn track_changes(destination: &mut wharf_runtime::destination::Destination) {
    let on = wharf_runtime::destination::Setting::Flag(true);
    destination.options.insert("track_changes".to_owned(), on);
}

#[tokio::test(flavor = "multi_thread")]
async fn onedrive_for_business() {
    let rig = Rig::new().await;
    examine(&rig.destination_with(Service::OneDrive, "archive", track_changes).await, "business").await;
    rig.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn onedrive_of_a_person() {
    let options = cloud::Options { drive_kind: cloud::DriveKind::Personal, ..cloud::Options::default() };
    let rig = Rig::with(options, wharf_runtime::sandbox::limits::Limits::default()).await;
    examine(&rig.destination_with(Service::OneDrive, "archive", track_changes).await, "personal").await;
    rig.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_library_by_its_drive_id() {
    let rig = Rig::new().await;
    let drive = rig.cloud.onedrive().add_drive(ACCOUNT, cloud::DriveKind::DocumentLibrary).unwrap();
    let with_drive = |destination: &mut wharf_runtime::destination::Destination| {
        track_changes(destination);
        let id = wharf_runtime::destination::Setting::Text(drive);
        destination.options.insert("drive_id".to_owned(), id);
    };
    let attached = rig.destination_with(Service::OneDrive, "archive", with_drive).await;
    examine(&attached, "library").await;
    rig.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn dropbox() {
    let rig = Rig::new().await;
    examine(&rig.destination(Service::Dropbox, "archive").await, "dropbox").await;
    rig.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn local() {
    let rig = Rig::new().await;
    examine(&rig.local("disk").await, "local").await;
}

/// What only a service can do to a connector: each of these at a `create`, whose answer must not be a
/// conflict with its own doing.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_reply_is_no_conflict() {
    let rig = Rig::new().await;
    for service in Service::ALL {
        let attached = rig.destination(service, service.kind()).await;
        let suite = Suite { attached: &attached, checks: 0, wrong: Vec::new() };
        let kind = if service == Service::OneDrive { service.part() } else { service.put() };
        for (number, action) in [Action::CutAfterCommit, Action::CutBefore].into_iter().enumerate() {
            let place = format!("create-{number}");
            let rule = rig.cloud.faults().add(Rule::once(kind, action.clone()));
            let stored = suite.put(&place, b"lock", Mode::Create).await;
            assert_eq!(word(&stored), "ok", "{service:?} {action:?}");
            assert_eq!(rig.cloud.faults().acted(rule), 1, "{service:?} {action:?} was not met");
            assert_eq!(suite.read(&place, 0, None).await.unwrap(), b"lock");
        }
    }
    rig.assert_clean();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_service_says_so() {
    let rig = Rig::new().await;
    for service in Service::ALL {
        let attached = rig.destination(service, service.kind()).await;
        let suite = Suite { attached: &attached, checks: 0, wrong: Vec::new() };
        suite.put("before", b"x", Mode::Replace).await.unwrap();
        match service {
            Service::OneDrive => rig.cloud.onedrive().set_quota(ACCOUNT, 1000),
            Service::Dropbox => rig.cloud.dropbox().set_quota(ACCOUNT, 1000),
        }
        let stored = suite.put("large", &noise(1, 5000), Mode::Replace).await;
        assert_eq!(word(&stored), "Quota", "{service:?}");
        assert_eq!(word(&suite.stat("large").await), "NotFound", "{service:?}");
        assert_eq!(suite.read("before", 0, None).await.unwrap(), b"x");
    }
}
