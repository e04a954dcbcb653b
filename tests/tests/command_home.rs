//! What is installed and configured: connectors that may not be, accounts that cannot be used, and a
//! home that somebody's hands were in.
#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

use serde_json::Value;
use wasm_encoder::{Component, ComponentImportSection, ComponentTypeRef, ComponentTypeSection, InstanceType};
use wharf_runtime::manifest::section;
use wharf_tests::{ACCOUNT, Ran, Service, Shell, connector, noise};

const MANIFEST: &str = include_str!("../../connectors/dropbox/manifest.json");

fn install(shell: &Shell, bytes: &[u8]) -> Ran {
    let file = shell.file("connector.wasm", bytes);
    shell.run(&["connector", "install", &file, "--allow-unsigned"])
}

/// The destination `archive` can be listed, which is all that these tests break.
#[track_caller]
fn still_works(shell: &Shell, service: Service) {
    match service {
        Service::OneDrive => {
            shell.cloud.onedrive().put_file(ACCOUNT, "/backups/server1/there", b"x").unwrap()
        }
        Service::Dropbox => shell.cloud.dropbox().put_file(ACCOUNT, "/backups/server1/there", b"x").unwrap(),
    }
    assert_eq!(
        shell.run(&["ls", "archive:"]),
        Ran { code: Some(0), stdout: "there".into(), stderr: String::new() }
    );
}

#[test]
fn a_file_that_is_no_connector() {
    let shell = Shell::new();
    let honest = connector("dropbox");
    let foreign = {
        let mut component = Component::new();
        let mut types = ComponentTypeSection::new();
        types.instance(&InstanceType::new());
        let mut imports = ComponentImportSection::new();
        imports.import("wasi:sockets/tcp@0.2.0", ComponentTypeRef::Instance(0));
        component.section(&types).section(&imports);
        section::write(&component.finish(), MANIFEST.as_bytes()).unwrap()
    };
    insta::assert_snapshot!(install(&shell, b"#!/bin/sh\necho hello\n"), @"
    --- stderr
    error: `[FOLDER]/connector.wasm` cannot be installed
      caused by: the connector is refused: the file is not a WebAssembly component
    hint: a connector is built for WASI 0.2, in Rust with `--target wasm32-wasip2`
    --- exit 15
    ");
    insta::assert_snapshot!(install(&shell, b""), @"
    --- stderr
    error: `[FOLDER]/connector.wasm` cannot be installed
      caused by: the connector is refused: the file is not a WebAssembly component
    hint: a connector is built for WASI 0.2, in Rust with `--target wasm32-wasip2`
    --- exit 15
    ");
    insta::assert_snapshot!(install(&shell, b"\0asm\x01\0\0\0"), @"
    --- stderr
    error: `[FOLDER]/connector.wasm` cannot be installed
      caused by: the connector is refused: the file is not a WebAssembly component
    hint: a connector is built for WASI 0.2, in Rust with `--target wasm32-wasip2`
    --- exit 15
    ");
    insta::assert_snapshot!(install(&shell, &Component::new().finish()), @"
    --- stderr
    error: `[FOLDER]/connector.wasm` cannot be installed
      caused by: the connector is refused: the component has no manifest
    hint: add one with `wharf connector pack FILE --manifest MANIFEST`
    --- exit 15
    ");
    for end in [honest.len() / 2, honest.len() - 1] {
        let message = install(&shell, &honest[..end]).failed(15);
        assert!(
            message.contains("caused by: the connector is refused: the component is damaged: "),
            "{message}"
        );
        assert!(message.ends_with("hint: get the file again from its vendor"), "{message}");
    }
    insta::assert_snapshot!(install(&shell, &foreign), @"
    --- stderr
    error: `[FOLDER]/connector.wasm` cannot be installed
      caused by: the connector is refused: the component imports `wasi:sockets/tcp@0.2.0`, which no connector may have
    hint: ask the vendor for a connector of this contract
    --- exit 15
    ");
    let missing = shell.path("missing.wasm");
    insta::assert_snapshot!(shell.run(&["connector", "install", missing.to_str().unwrap(), "--allow-unsigned"]), @"
    --- stderr
    error: cannot read `[FOLDER]/missing.wasm`
      caused by: No such file or directory (os error 2)
    --- exit 12
    ");
    assert!(!shell.path("home").exists(), "a refused file makes no home");
    shell.install(Service::Dropbox).done();
    assert_eq!(shell.run(&["connector", "list"]).done().lines().count(), 2);
}

#[test]
fn a_connector_that_nobody_signed() {
    let shell = Shell::new();
    let file = shell.file("connector.wasm", connector("dropbox"));
    insta::assert_snapshot!(shell.run(&["connector", "install", &file]), @"
    --- stderr
    error: `[FOLDER]/connector.wasm` cannot be installed
      caused by: the connector is not signed
    hint: get its bundle (`FILE.sigstore.json`) from the publisher; `--allow-unsigned` installs it all the same, shown as unsigned everywhere
    --- exit 5
    ");
    install(&shell, &connector("dropbox")).done();
    // It is said wherever it is shown.
    assert!(shell.run(&["connector", "list"]).done().contains("unsigned"));
    assert!(shell.run(&["connector", "show", "dropbox"]).done().contains("signed by  unsigned"));
    assert_eq!(shell.run(&["connector", "list", "--json"]).json()[0]["unsigned"], true);
    shell.add_account("work", Service::Dropbox).done();
    let created = shell.create("archive", Service::Dropbox, &["--yes"]);
    assert!(created.stderr.contains("unsigned"), "{created}");
    assert!(shell.run(&["destination", "list"]).done().contains("unsigned connector"));
    assert!(shell.run(&["destination", "show", "archive"]).done().contains("unsigned"));
    still_works(&shell, Service::Dropbox);
}

#[test]
fn a_manifest_that_cannot_be_packed() {
    let shell = Shell::new();
    let component = shell.file("component.wasm", connector("dropbox"));
    let output = shell.path("packed.wasm");
    let pack = |manifest: &str| {
        let manifest = shell.file("manifest.json", manifest);
        shell.run(&[
            "connector",
            "pack",
            &component,
            "--manifest",
            &manifest,
            "--output",
            output.to_str().unwrap(),
        ])
    };
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut manifest: Value = serde_json::from_str(MANIFEST).unwrap();
        change(&mut manifest);
        serde_json::to_string_pretty(&manifest).unwrap()
    };
    let unknown: [&dyn Fn(&mut Value); 2] = [&|manifest| manifest["surprise"] = 1.into(), &|manifest| {
        manifest["routes"][0]["surprise"] = 1.into()
    }];
    for change in unknown {
        let message = pack(&changed(change)).failed(15);
        assert!(message.starts_with("error: the manifest `[FOLDER]/manifest.json` is refused\n  caused by: the manifest is malformed: unknown field `surprise`, expected one of "), "{message}");
        assert!(message.ends_with("hint: mend that field and pack again"), "{message}");
    }
    insta::assert_snapshot!(pack("{"), @"
    --- stderr
    error: the manifest `[FOLDER]/manifest.json` is refused
      caused by: the manifest is malformed: EOF while parsing an object at line 1 column 1
    hint: mend that field and pack again
    --- exit 15
    ");
    assert!(!output.exists(), "nothing is written, under no name");
    let left: Vec<_> =
        std::fs::read_dir(shell.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().contains("partial")), "{left:?}");
    pack(MANIFEST).done();
    install(&shell, &std::fs::read(&output).unwrap()).done();
}

#[test]
fn a_grant_that_nobody_agrees_to() {
    let shell = Shell::with_account(Service::Dropbox);
    let ran = shell.create("archive", Service::Dropbox, &[]);
    let message = ran.failed(16);
    assert!(message.ends_with("hint: add `--yes` if you agree"), "{message}");
    assert_eq!(shell.run(&["destination", "list"]).done(), "");
    shell.create("archive", Service::Dropbox, &["--yes"]).done();
    still_works(&shell, Service::Dropbox);
}

#[test]
fn a_destination_without_an_account_that_can_be_used() {
    let shell = Shell::with_account(Service::OneDrive);
    shell.install(Service::Dropbox).done();
    shell.add_account("other", Service::Dropbox).done();
    let create = |more: &[&str]| {
        let words = [
            "destination",
            "create",
            "archive",
            "--type",
            "onedrive",
            "--backup-directory",
            "/backups/server1",
            "--yes",
        ];
        shell.run(&[&words, more].concat())
    };
    insta::assert_snapshot!(create(&[]), @"
    --- stderr
    error: destination `archive` needs an account of type `onedrive`
    hint: add `--account NAME`; `wharf account list` has those of type `onedrive`
    --- exit 6
    ");
    insta::assert_snapshot!(create(&["--account", "nobody"]), @"
    --- stderr
    error: destination `archive` names account `nobody`, which does not exist
    hint: run `wharf account add nobody --type onedrive` first
    --- exit 3
    ");
    insta::assert_snapshot!(create(&["--account", "other"]), @"
    --- stderr
    error: destination `archive` is of type `onedrive`, but account `other` is of type `dropbox`
    hint: run `wharf account add NAME --type onedrive`, and name it as the destination's account
    --- exit 2
    ");
    create(&["--account", "work"]).done();
    insta::assert_snapshot!(shell.run(&["account", "remove", "work"]), @"
    --- stderr
    error: account `work` is used by `archive`
    hint: delete those destinations first
    --- exit 4
    ");

    // By hand: what no command allows.
    let file = shell.path("home/destinations/archive.toml");
    let sound = std::fs::read_to_string(&file).unwrap();
    let edited = |from: &str, to: &str| {
        assert!(sound.contains(from), "{sound}");
        std::fs::write(&file, sound.replace(from, to)).unwrap();
        shell.run(&["ls", "archive:"])
    };
    let line = sound.lines().find(|line| line.starts_with("account")).unwrap();
    insta::assert_snapshot!(edited(line, ""), @"
    --- stderr
    error: destination `archive` needs an account of type `onedrive`
    hint: run `wharf account add NAME --type onedrive`, and name it as the destination's account
    --- exit 6
    ");
    insta::assert_snapshot!(edited(line, "account = \"other\""), @"
    --- stderr
    error: destination `archive` is of type `onedrive`, but account `other` is of type `dropbox`
    hint: run `wharf account add NAME --type onedrive`, and name it as the destination's account
    --- exit 2
    ");
    insta::assert_snapshot!(edited(line, "account = \"nobody\""), @"
    --- stderr
    error: there is no account `nobody`
    hint: run `wharf account list` to see which there are
    --- exit 3
    ");
    std::fs::write(&file, &sound).unwrap();
    still_works(&shell, Service::OneDrive);
}

#[test]
fn a_destination_file_that_cannot_be_read() {
    let shell = Shell::with_archive(Service::Dropbox);
    shell.create("other", Service::Dropbox, &["--backup-directory", "/backups/other", "--yes"]).failed(2);
    let file = shell.path("home/destinations/archive.toml");
    let sound = std::fs::read_to_string(&file).unwrap();
    let broken = |text: String| {
        std::fs::write(&file, text).unwrap();
        shell.run(&["ls", "archive:"])
    };
    insta::assert_snapshot!(broken(format!("surprise = 1\n{sound}")), @"
    --- stderr
    error: `destinations/archive.toml` line 1: unknown field `surprise`, expected one of `connector`, `account`, `owner`, `parents`, `backup_directory`, `read_only`, `threads`, `tasks`, `bandwidth_up`, `bandwidth_down`, `requests_per_second`, `retries`, `http_version`, `disk_limit`, `hidden`, `disabled`, `job_type`, `dr`, `options`, `granted_to`, `denied`, `grant`
    --- exit 14
    ");
    let without: String =
        sound.lines().filter(|line| !line.starts_with("threads")).map(|line| format!("{line}\n")).collect();
    let message = broken(format!("threads = 9000\n{without}")).failed(14);
    assert!(message.contains("`destinations/archive.toml`") && message.contains("`threads`"), "{message}");
    insta::assert_snapshot!(broken(sound.replace("backup_directory = \"/", "backup_directory = \"/../")), @r#"
    --- stderr
    error: `destinations/archive.toml` `backup_directory` is "/../backups/server1": the path has the name `..`, which would leave the backup directory
    --- exit 14
    "#);
    insta::assert_snapshot!(broken("\u{0}\u{1}garbage".to_owned()), @"
    --- stderr
    error: `destinations/archive.toml` line 1: key with no value, expected `=`
    --- exit 14
    ");
    insta::assert_snapshot!(broken(String::new()), @"
    --- stderr
    error: `destinations/archive.toml` line 1: missing field `connector`
    --- exit 14
    ");
    insta::assert_snapshot!(shell.run(&["destination", "list"]), @"
    --- stdout
    NAME  TYPE  ACCOUNT  BACKUP DIRECTORY  THREADS  NOTES
    --- stderr
    warning: `destinations/archive.toml` line 1: missing field `connector`
    --- exit 14
    ");
    // What cannot be read can be deleted, and made again.
    insta::assert_snapshot!(shell.run(&["destination", "delete", "archive"]), @"
    --- stderr
    deleted destination `archive`; what is stored in its backup directory stays
    --- exit 0
    ");
    shell.create("archive", Service::Dropbox, &["--yes"]).done();
    still_works(&shell, Service::Dropbox);
}

/// File, line and key: what an operator needs to mend it.
#[test]
fn a_value_of_another_kind_is_named_by_its_key() {
    let shell = Shell::with_archive(Service::Dropbox);
    let file = shell.path("home/destinations/archive.toml");
    let sound = std::fs::read_to_string(&file).unwrap();
    let without: String =
        sound.lines().filter(|line| !line.starts_with("threads")).map(|line| format!("{line}\n")).collect();
    std::fs::write(&file, format!("threads = \"many\"\n{without}")).unwrap();
    let message = shell.run(&["ls", "archive:"]).failed(14);
    assert!(
        message.contains("`destinations/archive.toml` line 1") && message.contains("`threads`"),
        "{message}"
    );
}

/// It is not run; the connector is compiled again, which only those hear who ask for it.
#[test]
fn a_compiled_connector_that_was_touched() {
    let shell = Shell::with_archive(Service::Dropbox);
    let [artefact] = shell.artefacts().try_into().unwrap();
    let sound = std::fs::read(&artefact).unwrap();
    let mut poisoned = sound.clone();
    poisoned[sound.len() / 2] ^= 1;
    for bytes in [poisoned, sound[..sound.len() / 2].to_vec(), Vec::new(), noise(1, sound.len())] {
        std::fs::write(&artefact, &bytes).unwrap();
        still_works(&shell, Service::Dropbox);
        std::fs::write(&artefact, &bytes).unwrap();
        let message = shell.run(&["-vv", "ls", "archive:"]);
        assert!(message.stderr.contains("compiling the connector again"), "{message}");
        message.done();
        let message = shell.run(&["-vv", "ls", "archive:"]);
        assert!(!message.stderr.contains("compiling the connector again"), "{message}");
    }
}

#[test]
fn a_connector_that_lost_its_file() {
    let shell = Shell::with_archive(Service::Dropbox);
    let blobs = shell.path("home/blobs/sha256");
    let blob = std::fs::read_dir(&blobs).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&blob, b"garbage").unwrap();
    insta::assert_snapshot!(shell.run(&["ls", "archive:"]).to_string().replace(blob.file_name().unwrap().to_str().unwrap(), "[DIGEST]"), @"
    --- stderr
    error: the component of connector `dev.wharf.dropbox` is missing or damaged
    hint: install `dev.wharf.dropbox` again
    --- exit 14
    ");
    // What it says to do helps.
    shell.install(Service::Dropbox).done();
    still_works(&shell, Service::Dropbox);
}

#[test]
fn a_token_that_is_none() {
    let shell = Shell::new();
    shell.install(Service::Dropbox).done();
    let add = |text: &str| {
        let file = shell.file("token.json", text);
        shell.run(&[
            "account",
            "add",
            "work",
            "--type",
            "dropbox",
            "--token-file",
            &file,
            "--client-id",
            "id",
        ])
    };
    insta::assert_snapshot!(add("{\"access_token\": \"secret-text"), @"
    --- stderr
    error: `[FOLDER]/token.json` holds no token that can be used
      caused by: this is not a token as rclone keeps it, a JSON object with `access_token`: line 1, column 29
    hint: give the token as rclone keeps it: `rclone config dump | jq -r .REMOTE.token`
    --- exit 2
    ");
    for text in ["{\"scope\": \"secret-text\"}", "", "[]", "secret-text"] {
        let message = add(text).failed(2);
        assert!(
            message.contains("`[FOLDER]/token.json` holds no token") && !message.contains("secret-text"),
            "{message}"
        );
    }
    let missing = shell.path("missing.json");
    let words = ["account", "add", "work", "--type", "dropbox", "--client-id", "id", "--token-file"];
    let message = shell.run(&[&words[..], &[missing.to_str().unwrap()]].concat()).failed(12);
    assert!(message.starts_with("error: cannot read `[FOLDER]/missing.json`"), "{message}");
    assert_eq!(shell.run(&["account", "list"]).done(), "", "no half account");
    shell.add_account("work", Service::Dropbox).done();
    let message = shell.add_account("work", Service::Dropbox).failed(4);
    assert!(message.starts_with("error: there is an account `work` already\nhint: "), "{message}");
    shell.create("archive", Service::Dropbox, &["--yes"]).done();
    still_works(&shell, Service::Dropbox);
}

#[test]
fn a_home_that_is_not_there() {
    let shell = Shell::new();
    insta::assert_snapshot!(shell.run(&["ls", "archive:"]), @"
    --- stderr
    error: there is no Wharf home at `[FOLDER]/home`
    hint: name the home with `--home` or `WHARF_HOME`; installing a connector creates one
    --- exit 14
    ");
    assert!(!shell.path("home").exists(), "looking makes no home");
    let file = shell.file("home", "a file");
    insta::assert_snapshot!(shell.run(&["connector", "list"]), @"
    --- stderr
    error: there is no Wharf home at `[FOLDER]/home`
    hint: name the home with `--home` or `WHARF_HOME`; installing a connector creates one
    --- exit 14
    ");
    std::fs::remove_file(file).unwrap();
    shell.install(Service::Dropbox).done();
}

#[test]
fn how_fast_a_destination_may_be() {
    let shell = Shell::with_account(Service::OneDrive);
    let pace = ["--yes", "--tasks", "1", "--bwlimit", "10M:off", "--tpslimit", "50", "--threads", "2"];
    shell.create("slow", Service::OneDrive, &pace).done();
    let file = std::fs::read_to_string(shell.path("home/destinations/slow.toml")).unwrap();
    for line in ["threads = 2", "tasks = 1", "bandwidth_up = \"10M\"", "requests_per_second = 50"] {
        assert!(file.lines().any(|other| other == line), "{line}: {file}");
    }
    assert!(!file.contains("bandwidth_down"), "{file}");
    let shown = shell.run(&["destination", "show", "slow"]).done();
    for line in ["tasks            1", "bandwidth up     10M", "requests a s     50"] {
        assert!(shown.lines().any(|other| other == line), "{line}: {shown}");
    }
    let options = shell.run(&["destination", "show", "slow", "--json"]).json()[0]["options"].clone();
    assert_eq!((&options["tasks"], &options["bandwidth_up"]), (&1.into(), &"10M".into()));

    let source = shell.file("one.bin", noise(1, 1000));
    let copied = shell.run(&["copy", &source, "slow:", "--threads", "3"]);
    let told = "destination `slow` has 2 threads, fewer than the 3 of `--threads`; \
                set `threads` in `destinations/slow.toml` for more";
    assert!(copied.stderr.contains(told), "{}", copied.stderr);
    copied.done();
    let wrong = shell.run(&["copy", &source, "slow:", "--bwlimit", "10"]).failed(2);
    assert!(wrong.contains("expected a number and a unit, as in `512K` or `10M`"), "{wrong}");
    let wrong = shell.run(&["copy", &source, "slow:", "--bwlimit", "10K"]).failed(2);
    assert!(wrong.contains("it must be from 64K to 1T, or `off`"), "{wrong}");

    let path = shell.path("home/destinations/slow.toml");
    for (line, expected) in [
        ("tasks = 101", "`tasks` is 101; it must be from 0 to 100"),
        ("bandwidth_up = 100", "`bandwidth_up`: 100 bytes a second; it must be from 64K to 1T, or `off`"),
        ("bandwidth_up = \"10\"", "`bandwidth_up`: \"10\" is no bandwidth"),
        ("requests_per_second = 0", "`requests_per_second` is 0; it must be from 1 to 10000"),
    ] {
        let key = line.split(' ').next().unwrap();
        let others = file.lines().filter(|other| !other.starts_with(key)).map(|other| format!("{other}\n"));
        std::fs::write(&path, format!("{line}\n{}", others.collect::<String>())).unwrap();
        let message = shell.run(&["ls", "slow:"]).failed(14);
        assert!(message.contains(expected), "{line}: {message}");
    }
}

#[test]
fn a_copy_waits_for_another_where_one_at_a_time_is_asked_for() {
    let shell = Shell::with_account(Service::OneDrive);
    shell.create("archive", Service::OneDrive, &["--yes", "--tasks", "1"]).done();
    let (large, small) =
        (shell.file("large.bin", noise(1, 3_000_000)), shell.file("small.bin", noise(2, 1000)));
    let mut first = shell.command(&["copy", &large, "archive:", "--bwlimit", "1M"]);
    let mut first = first.stderr(std::process::Stdio::null()).spawn().unwrap();
    let is_at_work =
        || std::fs::read(shell.path("home/locks/threads-archive")).is_ok_and(|board| board.len() > 16);
    while !is_at_work() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    let second = shell.run(&["copy", &small, "archive:"]);
    assert!(first.try_wait().unwrap().is_some(), "the second one was done before the first");
    let told = "waiting: 1 transfer runs of destination `archive` on this machine, and no more may";
    assert!(second.stderr.contains(told), "{}", second.stderr);
    second.done();
    assert!(first.wait().unwrap().success());
}
