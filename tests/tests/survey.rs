//! What changed, learned and held against the catalog: `destination reindex` and `check` on every
//! connector, from the library and from the built command.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::process::Stdio;
use std::time::Duration;

use cloud::{Action, OneDriveSwitches, Rule};
use wharf_runtime::attached::Attached;
use wharf_runtime::destination::{Destination, Setting};
use wharf_runtime::hint::Hint as _;
use wharf_runtime::home::Name;
use wharf_runtime::sandbox::operation::{Outcome, Refusal, Whereabouts};
use wharf_runtime::survey::{self, By, Reindexed};
use wharf_runtime::transfer::Options;
use wharf_tests::{ACCOUNT, Rig, Service, Shell, noise, path, up};

/// A destination that may ask what changed.
async fn following(rig: &Rig, service: Service, name: &str) -> Attached {
    rig.destination_with(service, name, |destination| track(service, destination)).await
}

fn track(service: Service, destination: &mut Destination) {
    if service == Service::OneDrive {
        destination.options.insert("track_changes".to_owned(), Setting::Flag(true));
    }
}

/// What a request for changes is called: the first, and those that follow.
fn kinds(service: Service) -> &'static [&'static str] {
    match service {
        Service::OneDrive => &["onedrive.delta"],
        Service::Dropbox => &["dropbox.list-folder", "dropbox.list-continue"],
    }
}

/// Requests since the log was cleared, all of which must be for changes.
fn asked(rig: &Rig, service: Service) -> usize {
    let log = rig.cloud.log();
    for entry in &log {
        assert!(kinds(service).contains(&&*entry.kind), "{entry:?}");
    }
    rig.assert_clean();
    log.len()
}

fn put_file(rig: &Rig, service: Service, to: &str, bytes: &[u8]) {
    match service {
        Service::OneDrive => rig.cloud.onedrive().put_file(ACCOUNT, to, bytes).unwrap(),
        Service::Dropbox => rig.cloud.dropbox().put_file(ACCOUNT, to, bytes).unwrap(),
    }
}

fn put_many(cloud: &cloud::Cloud, service: Service, folder: &str, count: usize) {
    match service {
        Service::OneDrive => cloud.onedrive().put_many(ACCOUNT, folder, count).unwrap(),
        Service::Dropbox => cloud.dropbox().put_many(ACCOUNT, folder, count).unwrap(),
    }
}

fn remove(cloud: &cloud::Cloud, service: Service, at: &str) {
    let removed = match service {
        Service::OneDrive => cloud.onedrive().remove(ACCOUNT, at),
        Service::Dropbox => cloud.dropbox().remove(ACCOUNT, at),
    };
    assert!(removed, "{at} was not there");
}

fn forget_cursors(cloud: &cloud::Cloud, service: Service) {
    match service {
        Service::OneDrive => cloud.onedrive().reset_delta(ACCOUNT),
        Service::Dropbox => cloud.dropbox().reset_cursors(ACCOUNT),
    }
}

/// How many entries more than a page of changes has.
fn pages(service: Service) -> usize {
    match service {
        Service::OneDrive => 1000,
        Service::Dropbox => 2000,
    }
}

fn counted(by: By, added: u64, changed: u64, removed: u64, unchanged: u64) -> Reindexed {
    Reindexed { by, added, changed, removed, unchanged }
}

async fn reindex(attached: &Attached) -> Reindexed {
    Box::pin(survey::reindex(attached)).await.unwrap()
}

async fn known(attached: &Attached) -> Vec<String> {
    let entries = attached.shelf().under(&path(""), None).await.unwrap();
    entries.into_iter().map(|entry| entry.path.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_run_learns_all_and_the_second_what_changed() {
    for service in Service::ALL {
        let rig = Rig::new().await;
        if service == Service::OneDrive {
            let switches = OneDriveSwitches { delta_repeats: true, ..OneDriveSwitches::default() };
            rig.cloud.onedrive().set_switches(switches);
        }
        let attached = following(&rig, service, "archive").await;
        let room = rig.room("from");
        std::fs::create_dir_all(room.join("data/deep")).unwrap();
        for (number, name) in ["data/a.txt", "data/deep/b.txt", "c.txt", "d.txt"].iter().enumerate() {
            std::fs::write(room.join(name), noise(u64::try_from(number).unwrap(), 5000)).unwrap();
        }
        up(&attached, &room, "", &Options::default()).await;
        put_file(&rig, service, "/private/diary/secretive.txt", b"mine");
        put_file(&rig, service, "/backups/neighbour/theirs.txt", b"theirs");
        // What was stored in this very millisecond counts as newer than the survey.
        tokio::time::sleep(Duration::from_millis(5)).await;
        rig.cloud.clear_log();
        assert_eq!(reindex(&attached).await, counted(By::Changes, 0, 0, 0, 4), "{service:?}");
        let first = asked(&rig, service);
        assert_eq!(first, 1, "{service:?}");

        rig.cloud.clear_log();
        assert_eq!(reindex(&attached).await, counted(By::Changes, 0, 0, 0, 4), "{service:?}");
        assert_eq!(asked(&rig, service), 1, "{service:?}");

        // By somebody else: one more, one other, one less, a folder by another name.
        put_file(&rig, service, "/backups/archive/new/n.txt", b"new");
        put_file(&rig, service, "/backups/archive/c.txt", b"other");
        remove(&rig.cloud, service, "/backups/archive/d.txt");
        attached.relocate(&path("data"), &path("Moved")).await.unwrap();
        let before = attached.shelf().get(&path("data/a.txt")).await.unwrap().unwrap();
        assert!(before.block_sha256.is_some());
        rig.cloud.clear_log();
        assert_eq!(reindex(&attached).await, counted(By::Changes, 3, 1, 3, 0), "{service:?}");
        assert_eq!(asked(&rig, service), 1, "{service:?}");
        assert_eq!(known(&attached).await, ["Moved/a.txt", "Moved/deep/b.txt", "c.txt", "new/n.txt"]);
        let other = attached.shelf().get(&path("c.txt")).await.unwrap().unwrap();
        assert_eq!(other.size, 5);
        let hashes = (other.block_sha256.is_some(), other.quickxor.is_some());
        assert_eq!(hashes, (service == Service::Dropbox, service == Service::OneDrive));

        // Nothing of what lies elsewhere was kept, not even for a while.
        drop(attached);
        let home = rig.folder.path().join("home");
        for file in std::fs::read_dir(&home).unwrap().map(|entry| entry.unwrap().path()) {
            if file.is_file() {
                let bytes = std::fs::read(&file).unwrap();
                for word in ["secretive", "theirs.txt", "diary", "neighbour"] {
                    let found = bytes.windows(word.len()).any(|window| window == word.as_bytes());
                    assert!(!found, "{service:?}: `{word}` is in {}", file.display());
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_unchanged_keeps_its_hashes_and_times() {
    for service in Service::ALL {
        let rig = Rig::new().await;
        let attached = following(&rig, service, "archive").await;
        let room = rig.room("from");
        std::fs::write(room.join("a"), noise(1, 5000)).unwrap();
        up(&attached, &room, "", &Options::default()).await;
        tokio::time::sleep(Duration::from_millis(5)).await;
        let before = attached.shelf().get(&path("a")).await.unwrap().unwrap();
        // The same bytes again, by somebody else: another version to the service.
        put_file(&rig, service, "/backups/archive/a", &noise(1, 5000));
        assert_eq!(reindex(&attached).await, counted(By::Changes, 0, 0, 0, 1), "{service:?}");
        let after = attached.shelf().get(&path("a")).await.unwrap().unwrap();
        assert_eq!((after.block_sha256, after.modified_ns), (before.block_sha256, before.modified_ns));
        // So a copy of the unchanged source still sends nothing.
        let (summary, _) = up(&attached, &room, "", &Options::default()).await;
        assert_eq!((summary.files_copied, summary.files_unchanged), (0, 1), "{service:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_forgot_is_asked_for_everything() {
    for service in Service::ALL {
        let rig = Rig::new().await;
        let attached = following(&rig, service, "archive").await;
        put_file(&rig, service, "/backups/archive/gone.txt", b"x");
        let many = pages(service) * 2 + 10;
        put_many(&rig.cloud, service, "/backups/archive/many", many);
        let all = u64::try_from(many).unwrap();
        assert_eq!(reindex(&attached).await, counted(By::Changes, all + 1, 0, 0, 0), "{service:?}");
        remove(&rig.cloud, service, "/backups/archive/gone.txt");
        forget_cursors(&rig.cloud, service);
        rig.cloud.clear_log();
        assert_eq!(reindex(&attached).await, counted(By::Changes, 0, 0, 1, all), "{service:?}");
        assert_eq!(asked(&rig, service), 1 + 3, "{service:?}: one refused, then three pages");

        // In the middle of it: two pages are in when the third is refused.
        forget_cursors(&rig.cloud, service);
        let (kind, body) = match service {
            Service::OneDrive => ("onedrive.delta", serde_json::json!({"error": {"code": "resyncRequired"}})),
            Service::Dropbox => (
                "dropbox.list-continue",
                serde_json::json!({"error_summary": "reset/", "error": {".tag": "reset"}}),
            ),
        };
        let status = if service == Service::OneDrive { 410 } else { 409 };
        let action = Action::Reply { status, headers: Default::default(), body, early: false };
        let rule = rig.cloud.faults().add(Rule::once(kind, action).skip(2));
        remove(&rig.cloud, service, "/backups/archive/many/000007.bin");
        assert_eq!(reindex(&attached).await, counted(By::Changes, 0, 0, 1, all - 1), "{service:?}");
        assert_eq!(rig.cloud.faults().acted(rule), 1, "{service:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_forgets_each_time_is_given_up() {
    for service in Service::ALL {
        let rig = Rig::new().await;
        let attached = following(&rig, service, "archive").await;
        put_many(&rig.cloud, service, "/backups/archive/many", pages(service) + 10);
        let (kind, status, body) = match service {
            Service::OneDrive => ("onedrive.delta", 410, serde_json::json!({})),
            Service::Dropbox => {
                ("dropbox.list-continue", 409, serde_json::json!({"error": {".tag": "reset"}}))
            }
        };
        let action = Action::Reply { status, headers: Default::default(), body, early: false };
        // Every second request of OneDrive is one with a cursor here.
        let mut rule = Rule::once(kind, action).times(0);
        if service == Service::OneDrive {
            rule.every = 2;
            rule.skip = 1;
        }
        rig.cloud.faults().add(rule);
        let error = Box::pin(survey::reindex(&attached)).await.unwrap_err();
        assert!(error.to_string().contains("forgets each time"), "{service:?}: {error}");
        assert!(known(&attached).await.is_empty(), "the catalog is as it was");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_from_outside_brings_what_is_in_it() {
    let rig = Rig::new().await;
    let service = Service::OneDrive;
    let outer = rig.destination_with(service, "outer", |destination| {
        destination.backup_directory = wharf_runtime::path::Directory::parse("/backups").unwrap();
    });
    let outer = outer.await;
    let attached = following(&rig, service, "archive").await;
    put_file(&rig, service, "/backups/aside/a.txt", b"a");
    put_file(&rig, service, "/backups/archive/b.txt", b"b");
    assert_eq!(reindex(&attached).await, counted(By::Changes, 1, 0, 0, 0));
    // The directory itself gives way to another folder: nobody tells of what is in that one.
    outer.relocate(&path("archive"), &path("old")).await.unwrap();
    outer.relocate(&path("aside"), &path("archive")).await.unwrap();
    rig.cloud.clear_log();
    assert_eq!(reindex(&attached).await, counted(By::Changes, 1, 0, 1, 0));
    assert_eq!(asked(&rig, service), 2, "what changed, and then everything");
    assert_eq!(known(&attached).await, ["a.txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_the_option_folders_are_listed() {
    let rig = Rig::new().await;
    let plain = rig.destination(Service::OneDrive, "plain").await;
    let denied = rig.destination_with(Service::OneDrive, "denied", |destination| {
        track(Service::OneDrive, destination);
        let reference = &destination.connector;
        let (_, manifest) = rig.host.manifest(reference).unwrap();
        let others = manifest.permissions().filter(|one| one.name() != "changes");
        destination.grants = wharf_runtime::grant::Granted::of(&manifest, others);
    });
    let denied = denied.await;
    for attached in [plain, denied] {
        let name = attached.name().clone();
        for file in ["a.txt", "deep/b.txt", "deep/deeper/c.txt"] {
            put_file(&rig, Service::OneDrive, &format!("/backups/{name}/{file}"), b"x");
        }
        rig.cloud.clear_log();
        assert_eq!(reindex(&attached).await, counted(By::Walking, 3, 0, 0, 0), "{name}");
        assert_eq!(rig.requests("onedrive.delta"), 0, "{name}");
        remove(&rig.cloud, Service::OneDrive, &format!("/backups/{name}/deep/b.txt"));
        tokio::time::sleep(Duration::from_millis(5)).await;
        assert_eq!(reindex(&attached).await, counted(By::Walking, 0, 0, 1, 2), "{name}");
    }
    let disk = rig.local("disk").await;
    std::fs::create_dir_all(rig.disk("disk").join("sub")).unwrap();
    std::fs::write(rig.disk("disk").join("sub/a"), b"x").unwrap();
    assert_eq!(reindex(&disk).await, counted(By::Walking, 1, 0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_not_there_is_empty() {
    for service in Service::ALL {
        let rig = Rig::new().await;
        let attached = following(&rig, service, "archive").await;
        assert_eq!(reindex(&attached).await, counted(By::Changes, 0, 0, 0, 0), "{service:?}");
        put_file(&rig, service, "/backups/archive/a", b"x");
        assert_eq!(reindex(&attached).await, counted(By::Changes, 1, 0, 0, 0), "{service:?}");
        // Unless something was stored there: then it went away, and is not forgotten.
        remove(&rig.cloud, service, "/backups/archive");
        tokio::time::sleep(Duration::from_millis(5)).await;
        for _ in 0..2 {
            let refused = survey::reindex(&attached).await.unwrap_err();
            assert!(matches!(refused, survey::Error::Gone(_)), "{service:?}: {refused}");
        }
        put_file(&rig, service, "/backups/archive/a", b"x");
        put_file(&rig, service, "/backups/archive/b", b"x");
        let done = reindex(&attached).await;
        assert_eq!((done.by, done.added, done.removed), (By::Changes, 1, 0), "{service:?}: {done:?}");
    }
}

/// A disk that is not mounted, or a folder that somebody renamed: what is known of it stays known.
#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_went_away_is_not_forgotten() {
    let rig = Rig::new().await;
    let (disk, attached) = (rig.disk("disk"), rig.local("disk").await);
    std::fs::create_dir_all(&disk).unwrap();
    std::fs::write(disk.join("a"), b"x").unwrap();
    assert_eq!(reindex(&attached).await, counted(By::Walking, 1, 0, 0, 0));
    std::fs::rename(&disk, rig.disk("elsewhere")).unwrap();
    // What is open stays open; a run that begins now finds nothing.
    let attached = rig.host.attach(attached.name()).await.unwrap();
    let refused = survey::reindex(&attached).await.unwrap_err();
    assert!(matches!(refused, survey::Error::Gone(_)), "{refused}");
    assert!(refused.hint().unwrap().contains("mount its disk"));
    std::fs::rename(rig.disk("elsewhere"), &disk).unwrap();
    let attached = rig.host.attach(attached.name()).await.unwrap();
    assert_eq!(reindex(&attached).await, counted(By::Walking, 0, 0, 0, 1));

    // Nor when an empty place is left where it was mounted: our mark is not in it.
    let refused = |attached: Attached| async move { survey::reindex(&attached).await.unwrap_err() };
    attached.claim_anew().await.unwrap();
    std::fs::rename(&disk, rig.disk("elsewhere")).unwrap();
    std::fs::create_dir(&disk).unwrap();
    let empty = rig.host.attach(attached.name()).await.unwrap();
    assert!(matches!(refused(empty).await, survey::Error::Gone(_)));
    // With it, it is empty.
    std::fs::copy(rig.disk("elsewhere").join(".wharf-owner"), disk.join(".wharf-owner")).unwrap();
    let attached = rig.host.attach(attached.name()).await.unwrap();
    assert_eq!(reindex(&attached).await, counted(By::Walking, 0, 0, 1, 0));
}

/// The contract's promises of `changes`, asked of both services as the host asks.
#[tokio::test(flavor = "multi_thread")]
async fn changes_are_as_promised() {
    for service in Service::ALL {
        let rig = Rig::new().await;
        let attached = following(&rig, service, "archive").await;
        put_file(&rig, service, "/backups/archive/a", b"xyz");
        let page = attached.changes(None).await.unwrap();
        assert!(!page.more);
        let names = |changes: &[wharf_runtime::sandbox::operation::Change]| -> Vec<String> {
            let files = changes.iter().filter(|change| matches!(change.is, Outcome::File(_)));
            files
                .map(|change| match &change.at {
                    Whereabouts::Path(path) => path.to_string(),
                    Whereabouts::Node { name, .. } => name.clone(),
                })
                .collect()
        };
        assert_eq!(names(&page.changes), ["a"], "{service:?}");
        let stat = attached.stat(&path("a")).await.unwrap();
        for change in &page.changes {
            if let Outcome::File(facts) = &change.is {
                let given = (facts.size, &facts.hash, &facts.revision);
                assert_eq!(given, (stat.size, &stat.hash, &stat.revision), "as stat has it");
            }
        }
        let none = attached.changes(Some(&page.cursor)).await.unwrap();
        assert_eq!((none.changes.len(), none.more), (0, false), "{service:?}");
        remove(&rig.cloud, service, "/backups/archive/a");
        for _ in 0..2 {
            // The same cursor gives the same again.
            let gone = attached.changes(Some(&page.cursor)).await.unwrap();
            let removed = gone.changes.iter().filter(|change| change.is == Outcome::Removed).count();
            assert_eq!(removed, 1, "{service:?}: {gone:?}");
        }
        forget_cursors(&rig.cloud, service);
        let stale = attached.changes(Some(&page.cursor)).await.unwrap_err();
        assert_eq!(stale.problem.refusal(), Some(&Refusal::CursorGone), "{service:?}");
        // The cursor of a destination is good in any process, and for no other destination.
        let other = rig.another_host();
        let same = other.attach(&Name::parse("archive").unwrap()).await.unwrap();
        let fresh = attached.changes(None).await.unwrap();
        assert!(same.changes(Some(&fresh.cursor)).await.is_ok(), "{service:?}");
        if service == Service::OneDrive {
            let neighbour = following(&rig, service, "neighbour").await;
            let foreign = neighbour.changes(Some(&fresh.cursor)).await.unwrap_err();
            assert_eq!(foreign.problem.refusal(), Some(&Refusal::Denied));
        }
    }
}

fn shell(service: Service) -> Shell {
    let shell = Shell::with_account(service);
    let option =
        if service == Service::OneDrive { vec!["--option", "track_changes=true"] } else { Vec::new() };
    shell.create("archive", service, &[&["--yes"], &option[..]].concat()).done();
    shell
}

/// Killed once a page is on disk, it goes on from there.
#[test]
fn a_run_that_is_killed_goes_on() {
    for service in Service::ALL {
        let shell = shell(service);
        let many = pages(service) * 3 + 10;
        put_many(&shell.cloud, service, "/backups/server1/many", many);
        let kind = kinds(service).last().unwrap();
        let skip = if service == Service::OneDrive { 2 } else { 1 };
        let slow = Rule::once(kind, Action::Delay { ms: 60_000 }).skip(skip);
        let slow = shell.cloud.faults().add(slow);
        let words = ["destination", "reindex", "archive", "--json"];
        let mut child = shell.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while shell.cloud.faults().acted(slow) == 0 {
            assert!(child.try_wait().unwrap().is_none(), "it was over before it could be killed");
            std::thread::sleep(Duration::from_millis(5));
        }
        child.kill().unwrap();
        child.wait().unwrap();
        shell.cloud.clear_log();
        let told = shell.run(&words).json();
        assert_eq!(told[0]["added"], many, "{service:?}: {told:?}");
        let asked = shell.cloud.log().iter().filter(|entry| kinds(service).contains(&&*entry.kind)).count();
        assert_eq!(asked, 2, "{service:?}: two pages of four were in");
        let told = shell.run(&words).json();
        assert_eq!((&told[0]["added"], &told[0]["unchanged"]), (&0.into(), &many.into()), "{told:?}");
    }
}

/// A walk, too.
#[test]
fn a_walk_that_is_killed_goes_on() {
    let shell = Shell::with_account(Service::OneDrive);
    shell.create("archive", Service::OneDrive, &["--yes", "--threads", "1"]).done();
    for number in 0..6 {
        put_many(&shell.cloud, Service::OneDrive, &format!("/backups/server1/{number}"), 3);
    }
    let slow = Rule::once("onedrive.children", Action::Delay { ms: 60_000 }).skip(4);
    let slow = shell.cloud.faults().add(slow);
    let words = ["destination", "reindex", "archive", "--json"];
    let mut child = shell.command(&words).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while shell.cloud.faults().acted(slow) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it was over before it could be killed");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    shell.cloud.clear_log();
    let told = shell.run(&words).json();
    assert_eq!((&told[0]["added"], &told[0]["by"]), (&18.into(), &"walking".into()), "{told:?}");
    let asked = shell.cloud.log().iter().filter(|entry| entry.kind == "onedrive.children").count();
    assert_eq!(asked, 3, "the directory and three of its folders were in");
}

fn archived(service: Service) -> Shell {
    let shell = shell(service);
    let from = shell.room("from");
    for name in ["data/a.txt", "data/b.txt", "c.txt", "d.txt"] {
        shell.file(&format!("from/{name}"), noise(u64::from(name.as_bytes()[0]), 5000));
    }
    shell.run(&["copy", &from, "archive:"]).done();
    shell
}

#[test]
fn a_check_tells_what_differs() {
    for service in Service::ALL {
        let shell = archived(service);
        let check = ["destination", "check", "archive"];
        let good = shell.run(&check);
        assert!(good.stdout.is_empty() && good.stderr.contains("4 files are as stored"), "{good}");
        good.done();
        shell.run(&["destination", "check", "archive", "--download"]).done();
        let put = |to: &str, bytes: &[u8]| match service {
            Service::OneDrive => shell.cloud.onedrive().put_file(ACCOUNT, to, bytes).unwrap(),
            Service::Dropbox => shell.cloud.dropbox().put_file(ACCOUNT, to, bytes).unwrap(),
        };
        put("/backups/server1/c.txt", &noise(77, 5000));
        put("/backups/server1/data/a.txt", b"short");
        put("/backups/server1/new.txt", b"new");
        remove(&shell.cloud, service, "/backups/server1/d.txt");
        let told = shell.run(&check);
        let hash = if service == Service::OneDrive { "quickxor" } else { "block-sha256" };
        let lines = [
            &format!("changed  c.txt  (another {hash})"),
            "missing  d.txt",
            "changed  data/a.txt  (5 bytes, and 5000 were stored)",
            "unknown  new.txt",
        ];
        assert_eq!(told.stdout.lines().collect::<Vec<_>>(), lines, "{service:?}: {told}");
        let told = told.failed(9);
        assert!(told.contains("1 missing, 2 changed") && told.contains("hint: "), "{told}");
        // Looking changed nothing: it says the same again, and of a folder only what is in it.
        let again = shell.run(&["destination", "check", "archive", "/data/", "--json"]);
        assert_eq!(again.code, Some(9), "{again}");
        let lines: Vec<serde_json::Value> =
            again.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!((&lines[0]["finding"], &lines[0]["path"]), (&"changed".into(), &"data/a.txt".into()));
        assert_eq!((&lines[1]["sum"]["good"], &lines[1]["sum"]["changed"]), (&1.into(), &1.into()));
        shell.run(&["destination", "check", "archive", "data/b.txt", "--download"]).done();
        shell.run(&["destination", "check", "archive", "d.txt"]).failed(9);
        let nothing = shell.run(&["destination", "check", "archive", "none"]).failed(3);
        assert!(nothing.contains("there is nothing at `archive:none`"), "{nothing}");
        // What is there is taken for granted, and then it is right.
        shell.run(&["destination", "reindex", "archive"]).done();
        shell.run(&["destination", "check", "archive", "--download"]).done();
    }
}

#[test]
fn a_check_reads_every_byte() {
    for service in Service::ALL {
        let shell = archived(service);
        let kind = match service {
            Service::OneDrive => "onedrive.download",
            Service::Dropbox => "dropbox.download",
        };
        let rule = shell
            .cloud
            .faults()
            .add(Rule::once(kind, Action::CorruptReply { at: 1234 }).times(0).path("c.txt"));
        let rule = if service == Service::OneDrive {
            // Its downloads have no path that says which file it is.
            shell.cloud.faults().add(Rule::once(kind, Action::CorruptReply { at: 1234 }))
        } else {
            rule
        };
        let told = shell.run(&["destination", "check", "archive", "--download"]);
        assert!(shell.cloud.faults().acted(rule) > 0, "{service:?}: {told}");
        assert!(told.stdout.starts_with("damaged  "), "{service:?}: {told}");
        assert!(told.clone().failed(9).contains("3 files are as stored, 3 of them read"), "{told}");
    }
}
