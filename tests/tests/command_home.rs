//! What is installed and configured: connectors that may not be, accounts that cannot be used, and a
//! home that somebody's hands were in.

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
        Service::OneDrive => shell.cloud.onedrive().put_file(ACCOUNT, "/backups/server1/there", b"x").unwrap(),
        Service::Dropbox => shell.cloud.dropbox().put_file(ACCOUNT, "/backups/server1/there", b"x").unwrap(),
    }
    assert_eq!(shell.run(&["ls", "archive:"]), Ran { code: Some(0), stdout: "there".into(), stderr: String::new() });
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
    insta::assert_snapshot!(install(&shell, b"#!/bin/sh\necho hello\n"), @"");
    insta::assert_snapshot!(install(&shell, b""), @"");
    insta::assert_snapshot!(install(&shell, b"\0asm\x01\0\0\0"), @"");
    insta::assert_snapshot!(install(&shell, &Component::new().finish()), @"");
    insta::assert_snapshot!(install(&shell, &honest[..honest.len() / 2]), @"");
    insta::assert_snapshot!(install(&shell, &honest[..honest.len() - 1]), @"");
    insta::assert_snapshot!(install(&shell, &foreign), @"");
    let missing = shell.path("missing.wasm");
    insta::assert_snapshot!(shell.run(&["connector", "install", missing.to_str().unwrap(), "--allow-unsigned"]), @"");
    assert!(!shell.path("home").exists(), "a refused file makes no home");
    shell.install(Service::Dropbox).done();
    assert_eq!(shell.run(&["connector", "list"]).done().lines().count(), 2);
}

#[test]
fn a_connector_that_nobody_signed() {
    let shell = Shell::new();
    let file = shell.file("connector.wasm", connector("dropbox"));
    insta::assert_snapshot!(shell.run(&["connector", "install", &file]), @"");
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
        shell.run(&["connector", "pack", &component, "--manifest", &manifest, "--output", output.to_str().unwrap()])
    };
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut manifest: Value = serde_json::from_str(MANIFEST).unwrap();
        change(&mut manifest);
        serde_json::to_string_pretty(&manifest).unwrap()
    };
    insta::assert_snapshot!(pack(&changed(&|manifest| manifest["surprise"] = 1.into())), @"");
    insta::assert_snapshot!(pack(&changed(&|manifest| manifest["routes"][0]["surprise"] = 1.into())), @"");
    insta::assert_snapshot!(pack("{"), @"");
    assert!(!output.exists(), "nothing is written, under no name");
    let left: Vec<_> = std::fs::read_dir(shell.folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
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
        let words = ["destination", "create", "archive", "--type", "onedrive", "--backup-directory", "/backups/server1", "--yes"];
        shell.run(&[&words, more].concat())
    };
    insta::assert_snapshot!(create(&[]), @"");
    insta::assert_snapshot!(create(&["--account", "nobody"]), @"");
    insta::assert_snapshot!(create(&["--account", "other"]), @"");
    create(&["--account", "work"]).done();
    insta::assert_snapshot!(shell.run(&["account", "remove", "work"]), @"");

    // By hand: what no command allows.
    let file = shell.path("home/destinations/archive.toml");
    let sound = std::fs::read_to_string(&file).unwrap();
    let edited = |from: &str, to: &str| {
        assert!(sound.contains(from), "{sound}");
        std::fs::write(&file, sound.replace(from, to)).unwrap();
        shell.run(&["ls", "archive:"])
    };
    let line = sound.lines().find(|line| line.starts_with("account")).unwrap();
    insta::assert_snapshot!(edited(line, ""), @"");
    insta::assert_snapshot!(edited(line, "account = \"other\""), @"");
    insta::assert_snapshot!(edited(line, "account = \"nobody\""), @"");
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
    insta::assert_snapshot!(broken(format!("surprise = 1\n{sound}")), @"");
    insta::assert_snapshot!(broken(sound.replace("threads = ", "threads = 9000 #")), @"");
    insta::assert_snapshot!(broken(sound.replace("backup_directory = \"/", "backup_directory = \"/../")), @"");
    insta::assert_snapshot!(broken("\u{0}\u{1}garbage".to_owned()), @"");
    insta::assert_snapshot!(broken(String::new()), @"");
    insta::assert_snapshot!(shell.run(&["destination", "list"]), @"");
    // What cannot be read can be deleted, and made again.
    insta::assert_snapshot!(shell.run(&["destination", "delete", "archive"]), @"");
    shell.create("archive", Service::Dropbox, &["--yes"]).done();
    still_works(&shell, Service::Dropbox);
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
    insta::assert_snapshot!(shell.run(&["ls", "archive:"]).to_string().replace(blob.file_name().unwrap().to_str().unwrap(), "[DIGEST]"), @"");
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
        shell.run(&["account", "add", "work", "--type", "dropbox", "--token-file", &file, "--client-id", "id"])
    };
    insta::assert_snapshot!(add("{\"access_token\": \"secret-text"), @"");
    insta::assert_snapshot!(add("{\"refresh_token\": \"secret-text\"}"), @"");
    insta::assert_snapshot!(add(""), @"");
    let missing = shell.path("missing.json");
    let words = ["account", "add", "work", "--type", "dropbox", "--client-id", "id", "--token-file"];
    insta::assert_snapshot!(shell.run(&[&words[..], &[missing.to_str().unwrap()]].concat()), @"");
    assert_eq!(shell.run(&["account", "list"]).done(), "", "no half account");
    shell.add_account("work", Service::Dropbox).done();
    insta::assert_snapshot!(shell.add_account("work", Service::Dropbox), @"");
    shell.create("archive", Service::Dropbox, &["--yes"]).done();
    still_works(&shell, Service::Dropbox);
}

#[test]
fn a_home_that_is_not_there() {
    let shell = Shell::new();
    insta::assert_snapshot!(shell.run(&["ls", "archive:"]), @"");
    assert!(!shell.path("home").exists(), "looking makes no home");
    let file = shell.file("home", "a file");
    insta::assert_snapshot!(shell.run(&["connector", "list"]), @"");
    std::fs::remove_file(file).unwrap();
    shell.install(Service::Dropbox).done();
}
