//! The connector for a folder of this machine: the real component through the host and through the
//! command, and one that tries to get out.
#![expect(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use wharf_runtime::attached::{Attached, Error};
use wharf_runtime::content::{Section, Source};
use wharf_runtime::destination::Destination;
use wharf_runtime::entry::{Info, Kind, Mode};
use wharf_runtime::hint::Hint as _;
use wharf_runtime::manifest::section;
use wharf_runtime::sandbox::operation::{Refusal, Removal};
use wharf_runtime::transfer::{self, Options};
use wharf_tests::{
    Rig, Service, Shell, Told, assert_same_tree, audit, built, connector, down, hostile_manifest, noise,
    path, tree, up,
};

fn sample(room: &Path) {
    fs::create_dir_all(room.join("docs/deep/deeper")).unwrap();
    fs::create_dir_all(room.join("empty")).unwrap();
    fs::write(room.join("zero"), b"").unwrap();
    fs::write(room.join("small.txt"), noise(1, 4096)).unwrap();
    fs::write(room.join("large"), noise(4, 3_000_000)).unwrap();
    fs::write(room.join("docs/Zürich 東京 #1 %41?.txt"), noise(2, 70_000)).unwrap();
    fs::write(room.join("docs/deep/deeper/last"), noise(3, 1)).unwrap();
}

async fn put(attached: &Attached, to: &str, bytes: &str, mode: Mode) -> Result<String, Error> {
    let source = Source::from_bytes(bytes.to_owned().into(), to.to_owned());
    let size = source.size();
    let info = Info { size, modified: None, keep_modified: false, mode };
    let section = Section::whole(Arc::new(source));
    let (entry, _) = attached.put(&path(to), &section, &info, None).await?;
    Ok(entry.revision.unwrap())
}

async fn read(attached: &Attached, from: &str, offset: u64, len: Option<u64>) -> Vec<u8> {
    let mut opened = attached.get(&path(from), offset, len, None).await.unwrap();
    let mut bytes = Vec::new();
    while let Some(chunk) = opened.download.body.chunk().await.unwrap() {
        bytes.extend_from_slice(&chunk);
    }
    bytes
}

fn refusal(error: &Error) -> &Refusal {
    error.problem.refusal().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tree_goes_up_comes_back_and_is_not_sent_again() {
    let rig = Rig::new().await;
    let room = rig.room("from");
    sample(&room);
    let attached = rig.local("disk").await;
    let (summary, told) = up(&attached, &room, "tree", &Options::default()).await;
    assert_eq!((summary.files_copied, summary.files_failed), (5, 0), "{:?}", told.lines());
    assert_same_tree(&room, &rig.disk("disk").join("tree"));
    let modified = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
    let stored = rig.disk("disk").join("tree/docs/deep/deeper/last");
    assert_eq!(modified(&stored), modified(&room.join("docs/deep/deeper/last")), "the file keeps its time");
    let (again, _) = up(&attached, &room, "tree", &Options::default()).await;
    assert_eq!((again.bytes_copied, again.files_unchanged), (0, 5));
    let checksum = Options { checksum: true, ..Options::default() };
    let (again, _) = up(&attached, &room, "tree", &checksum).await;
    assert_eq!((again.bytes_copied, again.files_unchanged), (0, 5));
    let back = rig.room("back");
    let (summary, told) = down(&attached, "tree", &back, &Options::default()).await;
    assert_eq!((summary.files_copied, summary.files_failed), (5, 0));
    assert!(told.lines().iter().all(|line| !line.contains("verified=false")), "{:?}", told.lines());
    assert_same_tree(&room, &back);
    // No byte of it went over a network.
    assert_eq!(rig.cloud.log().len(), 0);
    assert_eq!(attached.threads().free(), attached.threads().limit());
}

/// What is on the disk is not what was stored: the restore says so and leaves nothing.
#[tokio::test(flavor = "multi_thread")]
async fn a_byte_that_rots_is_found_by_the_restore() {
    let rig = Rig::new().await;
    let room = rig.room("from");
    fs::write(room.join("f"), noise(1, 500_000)).unwrap();
    let attached = rig.local("disk").await;
    up(&attached, &room, "", &Options::default()).await;
    let stored = rig.disk("disk").join("f");
    let entry = attached.stat(&path("f")).await.unwrap();
    let memory = attached.shelf().get(&path("f")).await.unwrap().unwrap();
    assert!(memory.block_sha256.is_some() && memory.revision == entry.revision, "{memory:?}");
    let mut bytes = fs::read(&stored).unwrap();
    bytes[250_000] ^= 1;
    fs::write(&stored, bytes).unwrap();
    // A disk rots without a change of the file; here the memory is made to fit the rotten one.
    let rotten = attached.stat(&path("f")).await.unwrap();
    assert_ne!(rotten.revision, entry.revision);
    let fitting = wharf_runtime::catalog::Entry { revision: rotten.revision, ..memory };
    attached.shelf().record(vec![fitting]).await.unwrap();
    let back = rig.room("back");
    let (summary, told) = down(&attached, "f", &back, &Options::default()).await;
    assert_eq!(summary.files_failed, 1);
    assert!(told.failures()[0].contains("is not what was meant"), "{:?}", told.lines());
    assert!(tree(&back).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_has_its_record_and_its_meaning() {
    let rig = Rig::new().await;
    let attached = rig.local("disk").await;
    assert_eq!(refusal(&attached.list(&path(""), false, None).await.unwrap_err()), &Refusal::NotFound);
    assert!(!rig.disk("disk").exists(), "looking makes nothing");
    let first = put(&attached, "a/f #1?", "hello", Mode::Create).await.unwrap();
    assert_eq!(read(&attached, "a/f #1?", 0, None).await, b"hello");
    assert_eq!(read(&attached, "a/f #1?", 1, Some(3)).await, b"ell");
    assert_eq!(read(&attached, "a/f #1?", 3, None).await, b"lo");
    let error = put(&attached, "a/f #1?", "other", Mode::Create).await.unwrap_err();
    assert_eq!(refusal(&error), &Refusal::Exists);
    let replaced = put(&attached, "a/f #1?", "second", Mode::ReplaceIfRevision(first.clone())).await.unwrap();
    let error = put(&attached, "a/f #1?", "third", Mode::ReplaceIfRevision(first.clone())).await.unwrap_err();
    assert_eq!(refusal(&error), &Refusal::Conflict);
    let error = attached.get(&path("a/f #1?"), 0, None, Some(&first)).await.unwrap_err();
    assert_eq!(refusal(&error), &Refusal::Conflict);
    let error = put(&attached, &"n".repeat(300), "x", Mode::Create).await.unwrap_err();
    assert!(matches!(refusal(&error), Refusal::BadName(_)), "{error}");
    let error = put(&attached, "a/f #1?/below", "x", Mode::Create).await.unwrap_err();
    assert_eq!(refusal(&error), &Refusal::WrongKind);
    attached.make_folder(&path("a/b/c")).await.unwrap();
    let removal = |at: &str, kind, revision: Option<String>| Removal { path: path(at), kind, revision };
    let removals = [
        removal("a/f #1?", Kind::File, Some(first)),
        removal("a/f #1?", Kind::File, Some(replaced)),
        removal("gone", Kind::File, None),
        removal("a", Kind::Folder, None),
    ];
    let results = attached.remove(&removals).await.unwrap();
    let refusals: Vec<Option<&Refusal>> =
        results.iter().map(|result| result.as_ref().err().map(refusal)).collect();
    assert_eq!(refusals, [Some(&Refusal::Conflict), None, Some(&Refusal::NotFound), None]);
    attached.settle().await.unwrap();
    let records = audit(&rig.host, "disk");
    let place = format!("file://{}/a/f%20%231%3F", rig.disk("disk").display());
    let write = records.iter().find(|record| record["method"] == "write").unwrap();
    assert_eq!(
        (&write["route"], &write["url"], &write["request_bytes"], &write["decision"]),
        (&json!("folder-write"), &json!(place), &json!(5), &json!("allowed"))
    );
    let count = |method: &str| records.iter().filter(|record| record["method"] == method).count();
    assert_eq!((count("list"), count("write"), count("read"), count("remove")), (1, 6, 4, 4));
}

/// A read-only destination cannot write, whatever its connector does, and does not even make its folder.
#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_destination_does_not_write() {
    let rig = Rig::new().await;
    let attached = rig.local_with("disk", &connector("local"), |disk| disk.read_only = true).await;
    let error = put(&attached, "f", "x", Mode::Create).await.unwrap_err();
    assert_eq!(refusal(&error), &Refusal::Denied);
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        cause,
        "the route `folder-write` writes, and the destination is read-only (destination `disk`, \
         connector `local@0.1.0`, route `folder-write`, rule `read-only`)"
    );
    assert!(!rig.disk("disk").exists());
    fs::create_dir_all(rig.disk("disk")).unwrap();
    fs::write(rig.disk("disk").join("f"), "there").unwrap();
    assert_eq!(read(&attached, "f", 0, None).await, b"there");
    attached.settle().await.unwrap();
    let records = audit(&rig.host, "disk");
    assert_eq!(
        (&records[0]["decision"], &records[0]["rule"], &records[0]["method"], &records[0]["attempt"]),
        (&json!("denied"), &json!("read-only"), &json!("write"), &json!(0))
    );
    let read = |disk: &mut Destination| assert!(disk.grants.deny("folder-write"));
    let half = rig.local_with("half", &connector("local"), read).await;
    let error = put(&half, "f", "x", Mode::Create).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert_eq!(
        cause,
        "the route `folder-write` is not granted (destination `half`, connector `local@0.1.0`, \
         route `folder-write`, rule `not-granted`)"
    );
}

/// A folder is not copied into itself, which would never end.
#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_not_copied_into_itself() {
    let rig = Rig::new().await;
    let attached = rig.local("disk").await;
    put(&attached, "a/f", "x", Mode::Create).await.unwrap();
    let told = Told::default();
    let disks = rig.disk("disk").parent().unwrap().to_owned();
    symlink(&disks, rig.folder.path().join("link")).unwrap();
    for here in [disks, rig.disk("disk"), rig.disk("disk").join("a"), rig.folder.path().join("link")] {
        let ended = transfer::upload(&attached, &here, &path("a/new"), &Options::default(), &told).await;
        assert!(matches!(ended, Err(transfer::Error::IntoItself { .. })), "{ended:?}");
    }
    let below = rig.disk("disk").join("a/new");
    let ended = transfer::download(&attached, &path("a"), &below, &Options::default(), &told).await;
    assert!(matches!(ended, Err(transfer::Error::IntoItself { .. })), "{ended:?}");
    assert!(!below.exists());
}

/// The home is no place for backups: whoever writes there could grant itself anything.
#[tokio::test(flavor = "multi_thread")]
async fn the_home_is_out_of_reach() {
    let rig = Rig::new().await;
    rig.local("disk").await;
    let folder = rig.folder.path().to_owned();
    symlink(folder.join("home"), folder.join("alias")).unwrap();
    for (name, directory) in [
        ("one", folder.clone()),
        ("two", folder.join("home")),
        ("three", folder.join("home/audit/deep")),
        ("four", folder.join("alias/x")),
        ("five", "/".into()),
    ] {
        let name = wharf_runtime::home::Name::parse(name).unwrap();
        let mut destination =
            rig.host.destinations().load(&wharf_runtime::home::Name::parse("disk").unwrap()).unwrap();
        destination.name = name.clone();
        destination.backup_directory =
            wharf_runtime::path::Directory::parse(directory.to_str().unwrap()).unwrap();
        rig.host.destinations().create(&destination).unwrap();
        let error = rig.host.attach(&name).await.unwrap_err();
        assert!(error.to_string().contains("keeps its own home"), "{directory:?}: {error}");
        assert!(error.hint().is_some());
    }
}

fn burrow(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let component = built("wasm32-wasip2/connector/examples/burrow.wasm");
    let manifest = hostile_manifest("burrow", Service::Dropbox, |manifest| {
        for key in ["routes", "oauth", "bind"] {
            manifest.as_object_mut().unwrap().remove(key);
        }
        manifest["folder"] = json!({ "access": ["read", "write"] });
        change(manifest);
    });
    section::write(&component, manifest.as_bytes()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_ask_for_a_folder_gets_none() {
    let rig = Rig::new().await;
    let component = built("wasm32-wasip2/connector/examples/burrow.wasm");
    let manifest = hostile_manifest("burrow", Service::Dropbox, |_| {});
    let silent = section::write(&component, manifest.as_bytes()).unwrap();
    let error = rig.host.install_unsigned(&silent).unwrap_err();
    let expected = "imports `wharf:connector/folder@0.1.0`, which its manifest does not ask for";
    assert!(error.to_string().contains(expected), "{error}");
    assert!(error.hint().unwrap().contains("\"folder\""), "{:?}", error.hint());
    rig.host.install_unsigned(&burrow(|_| {})).unwrap();
}

/// Everything below a folder, links not followed.
fn lying(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let kind = fs::symlink_metadata(&path).unwrap().file_type();
            let bytes = kind.is_file().then(|| fs::read_to_string(&path).unwrap());
            found.push(format!("{} {kind:?} {bytes:?}", path.display()));
            if kind.is_dir() {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}

/// What came of deeds that a hostile component did.
async fn deeds(attached: &Attached, deeds: &[(&str, String)]) -> Vec<String> {
    let script: Vec<Value> = deeds
        .iter()
        .map(|(what, path)| match path.split_once(" to ") {
            Some((path, to)) => json!({ "what": what, "path": path, "to": to }),
            None => json!({ "what": what, "path": path }),
        })
        .collect();
    let page = attached.list(&path(""), false, Some(&json!(script).to_string())).await.unwrap();
    let text: String = page.entries.into_iter().filter_map(|entry| entry.revision).collect();
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_gets_out_of_the_folder() {
    let rig = Rig::new().await;
    let attached = rig.local_with("disk", &burrow(|_| {}), |_| {}).await;
    let disk = rig.disk("disk");
    fs::create_dir_all(&disk).unwrap();
    fs::write(disk.join("there"), "there").unwrap();
    fs::write(disk.parent().unwrap().join("secret"), "secret").unwrap();
    symlink("..", disk.join("up")).unwrap();
    symlink(disk.parent().unwrap(), disk.join("away")).unwrap();
    let before = lying(disk.parent().unwrap());
    let paths =
        ["../secret", "/etc/passwd", "a/../../secret", "..", ".", "./there", "a//b", "there/", "\0", "a\0b"];
    let whats = ["stat", "list", "make-folder", "read", "remove", "remove-folder"];
    let mut all: Vec<(&str, String)> = Vec::new();
    for what in whats {
        all.extend(paths.iter().map(|path| (what, (*path).to_owned())));
    }
    all.push(("rename", "there to ../secret".to_owned()));
    all.push(("rename", "../secret to there".to_owned()));
    let told = deeds(&attached, &all).await;
    for (deed, told) in all.iter().zip(&told) {
        assert_eq!(told, "Problem::Denied", "{deed:?}");
    }
    let mut through: Vec<(&str, String)> = Vec::new();
    for what in whats {
        through.extend(["up/secret", "away/secret", "up", "away"].map(|path| (what, path.to_owned())));
    }
    through.push(("rename", "there to up/stolen".to_owned()));
    through.push(("rename", "up/secret to stolen".to_owned()));
    for (deed, told) in through.iter().zip(deeds(&attached, &through).await) {
        assert_eq!(told, "Problem::WrongKind", "{deed:?}");
    }
    assert_eq!(before, lying(disk.parent().unwrap()), "nothing has changed");
    attached.settle().await.unwrap();
    let records = audit(&rig.host, "disk");
    let denied = records.iter().filter(|record| record["decision"] == "denied" && record["rule"] == "item");
    assert_eq!(denied.count(), all.len());
    // It claims that it stored a file, which it tried to store elsewhere.
    let error = put(&attached, "honest", "x", Mode::Create).await.unwrap_err();
    assert_eq!(refusal(&error), &Refusal::Denied);
    let fine = [("stat", "there"), ("rename", "there to a/new"), ("usage", "")];
    let fine = deeds(&attached, &fine.map(|(what, path)| (what, path.to_owned()))).await;
    assert_eq!(fine, ["done", "done", "done"]);
    attached.settle().await.unwrap();
    let records = audit(&rig.host, "disk");
    let renamed = records.iter().rfind(|record| record["method"] == "rename").unwrap();
    let from = renamed["url"].as_str().unwrap();
    assert!(from.ends_with("/disk/there") && renamed["reason"] == "to `a/new`", "{renamed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_has_thousands_of_files_open() {
    let rig = Rig::new().await;
    let attached = rig.local_with("disk", &burrow(|_| {}), |_| {}).await;
    fs::create_dir_all(rig.disk("disk")).unwrap();
    fs::write(rig.disk("disk").join("there"), noise(1, 2_000_000)).unwrap();
    let error = attached.get(&path("there"), 0, None, None).await.unwrap_err();
    assert!(error.to_string().ends_with("4 open, 4996 refused"), "{error}");
    assert_eq!(attached.threads().free(), attached.threads().limit());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_manifest_does_not_ask_for_is_not_granted() {
    let rig = Rig::new().await;
    let reader = burrow(|manifest| manifest["folder"] = json!({ "access": ["read"] }));
    let attached = rig
        .local_with("disk", &reader, |disk| {
            let mut folder_write = disk.grants.routes[0].clone();
            folder_write.name = "folder-write".to_owned();
            disk.grants.routes.push(folder_write);
        })
        .await;
    fs::create_dir_all(rig.disk("disk")).unwrap();
    fs::write(rig.disk("disk").join("there"), "x").unwrap();
    let told = deeds(&attached, &[("read", "there".to_owned()), ("remove", "there".to_owned())]).await;
    assert_eq!(told, ["done", "Problem::Denied"]);
}

fn shell() -> (Shell, String) {
    let shell = Shell::new();
    let disk = shell.path("disk").to_str().unwrap().to_owned();
    (shell, disk)
}

fn install(shell: &Shell) -> wharf_tests::Ran {
    let file = wharf_tests::target().join("connectors/local.wasm");
    shell.run(&["connector", "install", &file.to_string_lossy(), "--allow-unsigned"])
}

/// The first thing a newcomer does: no account, no network, five commands.
#[test]
fn the_first_five_minutes() {
    let (shell, disk) = shell();
    shell.file("data/hello.txt", "hello");
    shell.file("data/docs/Zürich #1.txt", noise(2, 70_000));
    shell.file("data/empty", "");
    let data = shell.room("data");
    insta::assert_snapshot!(install(&shell), @"
    --- stderr
    Local folder (dev.wharf.local@0.1.0) is unsigned and asks for:
    Reads:
      folder-read   list and read files and folders
                    on this machine, without a network  inside the backup directory
    Writes:
      folder-write  write, rename and remove files and folders
                    on this machine, without a network  inside the backup directory
    installed `dev.wharf.local@0.1.0`; it is unsigned
    --- exit 0
    ");
    insta::assert_snapshot!(
        shell.run(&["destination", "create", "disk", "--type", "local", "--backup-directory", &disk, "--yes"]),
        @"
    --- stderr
    Local folder (dev.wharf.local@0.1.0), unsigned, will be allowed to do this for destination `disk`
    with backup directory `[FOLDER]/disk`:
    Reads:
      folder-read   list and read files and folders
                    on this machine, without a network  inside the backup directory
    Writes:
      folder-write  write, rename and remove files and folders
                    on this machine, without a network  inside the backup directory
    created destination `disk`; try `wharf ls disk:`
    --- exit 0
    "
    );
    insta::assert_snapshot!(shell.run(&["ls", "disk:"]), @"
    --- stderr
    the backup directory is not there yet; the first copy makes it
    --- exit 0
    ");
    // Files come in no order: folders are looked at side by side.
    let dry = shell.run(&["copy", "--dry-run", &data, "disk:data"]);
    let mut files: Vec<&str> = dry.stdout.lines().collect();
    files.sort_unstable();
    assert_eq!(files, ["docs/Zürich #1.txt", "empty", "hello.txt"]);
    assert_eq!((dry.code, &*dry.stderr), (Some(0), "would copy 3 files (68.36 KiB)"));
    assert!(!shell.path("disk").exists());
    insta::assert_snapshot!(shell.run(&["copy", &data, "disk:data"]), @"
    --- stderr
    copied 3 files (68.36 KiB) in [TIME], [SPEED]
    --- exit 0
    ");
    insta::assert_snapshot!(shell.run(&["copy", "--checksum", &data, "disk:data"]), @"
    --- stderr
    copied 0 files (0 B) in [TIME]; 3 unchanged
    --- exit 0
    ");
    insta::assert_snapshot!(shell.run(&["ls", "-R", "disk:"]), @"
    --- stdout
    data/
    data/docs/
    data/empty
    data/hello.txt
    data/docs/Zürich #1.txt
    --- exit 0
    ");
    insta::assert_snapshot!(shell.run(&["mkdir", "disk:new/folder"]), @"
    --- stderr
    made the folder `disk:new/folder`
    --- exit 0
    ");
    insta::assert_snapshot!(shell.run(&["rm", "disk:data/hello.txt"]), @"
    --- stderr
    removed `disk:data/hello.txt`
    --- exit 0
    ");
    shell.run(&["copy", "disk:data", &shell.room("back")]).done();
    fs::remove_file(shell.path("data/hello.txt")).unwrap();
    assert_same_tree(&shell.path("data"), &shell.path("back"));
    let stat = shell.run(&["--json", "stat", "disk:data/docs"]).json();
    assert_eq!((&stat[0]["kind"], &stat[0]["path"]), (&json!("folder"), &json!("data/docs")));
    insta::assert_snapshot!(shell.run(&["destination", "show", "disk"]), @"
    --- stdout
    name             disk
    type             local
    connector        dev.wharf.local@0.1.0 (unsigned)
    account          none
    backup directory [FOLDER]/disk
    owner            the home's
    read-only        no
    threads          4
    retries          3
    http version     default
    disk limit       none
    job type         backup
    hidden           no
    disabled         no
    Granted
    Reads:
      folder-read   list and read files and folders
                    on this machine, without a network  inside the backup directory
    Writes:
      folder-write  write, rename and remove files and folders
                    on this machine, without a network  inside the backup directory
    --- exit 0
    ");
    let shown = shell.run(&["connector", "show", "local"]).done();
    assert!(shown.contains("hosts      none") && shown.contains("account    no"), "{shown}");
    let records = shell.run(&["--json", "audit", "disk"]).json();
    assert!(records.iter().all(|record| record["decision"] == "allowed"), "{records:?}");
    assert_eq!(shell.cloud.log().len(), 0, "nothing went over the network");
}

#[test]
fn errors_say_what_and_where() {
    let (shell, disk) = shell();
    install(&shell).done();
    let create = |name: &str, directory: &str, more: &[&str]| {
        let words =
            ["destination", "create", name, "--type", "local", "--backup-directory", directory, "--yes"];
        shell.run(&[&words, more].concat())
    };
    create("disk", &disk, &[]).done();
    shell.file("disk/file", "x");
    shell.file("disk/folder/f", "x");
    shell.file("up/folder", "a file where a folder is");
    insta::assert_snapshot!(shell.run(&["stat", "disk:missing"]), @"
    --- stderr
    error: cannot look at `disk:missing`: not found
      caused by: cannot look at `[FOLDER]/disk/missing`: it is not there
    hint: run `wharf ls disk:` to see what is there
    --- exit 3
    ");
    insta::assert_snapshot!(shell.run(&["mkdir", "disk:file/below"]), @"
    --- stderr
    error: cannot make the folder `disk:file/below`: a file stands where a folder is needed, or a folder where a file is
      caused by: cannot make the folder `[FOLDER]/disk/file/below`: `file` on the way is not a folder
    hint: remove or rename one of the two
    --- exit 4
    ");
    insta::assert_snapshot!(shell.run(&["mkdir", &format!("disk:{}", "n".repeat(256))]), @"
    --- stderr
    error: cannot make the folder `disk:nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn`: the service cannot store this name: the name is too long for the file system
      caused by: cannot make the folder `[FOLDER]/disk/nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn`: the name is too long for the file system
    hint: rename it, or leave it out with `--exclude`
    --- exit 11
    ");
    insta::assert_snapshot!(shell.run(&["copy", &shell.room("up"), "disk:"]), @"
    --- stderr
    copied 0 files (0 B) in [TIME]; 1 failed
    error: `disk:folder` is a folder, and a file is to be copied there
    hint: remove or rename one of the two
    --- exit 4
    ");
    insta::assert_snapshot!(shell.run(&["copy", &disk, "disk:copy"]), @"
    --- stderr
    error: `[FOLDER]/disk/copy` lies in `[FOLDER]/disk`, and a folder cannot be copied into itself
    hint: choose a target outside of what is copied
    --- exit 2
    ");
    insta::assert_snapshot!(create("again", &disk, &[]), @"
    --- stderr
    Local folder (dev.wharf.local@0.1.0), unsigned, will be allowed to do this for destination `again`
    with backup directory `[FOLDER]/disk`:
    Reads:
      folder-read   list and read files and folders
                    on this machine, without a network  inside the backup directory
    Writes:
      folder-write  write, rename and remove files and folders
                    on this machine, without a network  inside the backup directory
    error: destination `disk` writes to `[FOLDER]/disk` already
    hint: choose another backup directory, or create the destination with `--read-only` to restore from that one
    --- exit 4
    ");
    insta::assert_snapshot!(create("account", "/srv/x", &["--account", "work"]), @"
    --- stderr
    error: connector `dev.wharf.local@0.1.0` needs no account, but `work` is named
    hint: leave out `--account`
    --- exit 2
    ");
    create("restore", &disk, &["--read-only"]).done();
    insta::assert_snapshot!(shell.run(&["mkdir", "restore:new"]), @"
    --- stderr
    error: cannot make the folder `restore:new`: denied
      caused by: the route `folder-write` writes, and the destination is read-only (destination `restore`, connector `local@0.1.0`, route `folder-write`, rule `read-only`)
    hint: a destination is read-only for life; create another one without `--read-only` to write
    --- exit 5
    ");
    insta::assert_snapshot!(create("home", &shell.room("home"), &[]), @"
    --- stderr
    error: destination `home` would work in `[FOLDER]/home`, where Wharf keeps its own home
    hint: choose a backup directory that neither holds the home nor lies in it
    --- exit 2
    ");
    // What root may not do either: nobody writes there, and the mark of ownership comes first.
    create("sys", "/sys/kernel", &[]).done();
    let denied = shell.run(&["mkdir", "sys:new"]).failed(5);
    assert!(denied.contains("caused by: cannot write `/sys/kernel/.wharf-owner`: "), "{denied}");
    assert!(denied.contains("hint: see who may read and write in `/sys/kernel`"), "{denied}");
}
