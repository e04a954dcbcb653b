//! What is peculiar to one service, from the built command: SharePoint's rewriting, the application's own
//! folder, deletion for good, migrated accounts and vaults, uploads in any order, cursors that are lost.
#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

use std::collections::{BTreeMap, BTreeSet};

use cloud::{Action, DriveKind, OneDriveSwitches, Preset, Rule};
use serde_json::{Value, json};
use wharf_tests::{ACCOUNT, Service, Shell, assert_same_tree, noise};

fn onedrive(shell: &Shell, change: impl FnOnce(&mut OneDriveSwitches)) {
    let mut switches = shell.cloud.onedrive().switches();
    change(&mut switches);
    shell.cloud.onedrive().set_switches(switches);
}

fn with_options(service: Service, options: &[&str]) -> Shell {
    let shell = Shell::with_account(service);
    let options: Vec<&str> = options.iter().flat_map(|option| ["--option", option]).collect();
    shell.create("archive", service, &[&["--yes"], &options[..]].concat()).done();
    shell
}

#[test]
fn what_sharepoint_rewrites_is_told_as_that() {
    let shell = Shell::with_archive(Service::OneDrive);
    onedrive(&shell, |switches| switches.rewrite_office = true);
    let from = shell.room("from");
    shell.file("from/report.docx", "a document");
    shell.file("from/plain.txt", "a text");
    let told = shell.run(&["copy", &from, "archive:"]).failed(1);
    assert!(told.contains("since the service rewrites `.docx` files"), "{told}");
    assert!(told.contains("set the option opaque_names"), "{told}");
    assert!(!told.contains("not what was meant"), "{told}");
    assert_eq!(shell.run(&["ls", "-R", "archive:"]).done(), "plain.txt");
}

#[test]
fn opaque_names_are_left_alone() {
    let shell = with_options(Service::OneDrive, &["opaque_names=true"]);
    onedrive(&shell, |switches| switches.rewrite_office = true);
    let from = shell.room("from");
    for name in ["report.docx", "report.docx.bin", "folder.html/photo.JPG", "disk.bin"] {
        shell.file(&format!("from/{name}"), name);
    }
    shell.run(&["copy", &from, "archive:"]).done();
    let stored = shell.cloud.onedrive().file(ACCOUNT, "/backups/server1/folder.html.bin/photo.JPG.bin");
    assert!(stored.is_some());
    let told = shell.run(&["copy", &from, "archive:"]).stderr;
    assert!(told.contains("copied 0 files"), "{told}");
    let back = shell.room("back");
    shell.run(&["copy", "archive:", &back]).done();
    assert_same_tree(&shell.path("from"), &shell.path("back"));
}

#[test]
fn the_folder_of_the_application() {
    let shell = with_options(Service::OneDrive, &["app_folder=true"]);
    let from = shell.room("from");
    shell.file("from/a/b.txt", "one");
    shell.run(&["copy", &from, "archive:"]).done();
    let files = shell.cloud.onedrive().files(ACCOUNT);
    let paths: Vec<&str> = files.iter().map(|file| file.path.as_str()).collect();
    assert!(paths.iter().all(|path| path.starts_with("/Apps/")), "{paths:?}");
    assert!(paths.iter().any(|path| path.ends_with("/backups/server1/a/b.txt")), "{paths:?}");
    assert_eq!(shell.run(&["ls", "-R", "archive:"]).done(), "a/\na/b.txt");
    shell.run(&["move", "archive:a/b.txt", "archive:a/c.txt"]).done();
    shell.run(&["move", "archive:a/c.txt", "archive:other/c.txt"]).done();
    let files = shell.cloud.onedrive().files(ACCOUNT);
    assert!(files.iter().all(|file| file.path.starts_with("/Apps/")), "{files:?}");
    shell.run(&["rm", "archive:other/c.txt", "--yes"]).done();
    assert_eq!(shell.run(&["ls", "-R", "archive:"]).done(), "a/\nother/");
}

#[test]
fn deletion_for_good() {
    let shell = with_options(Service::OneDrive, &["permanent_delete=true"]);
    let file = shell.file("a.txt", "one");
    shell.run(&["copy", &file, "archive:"]).done();
    shell.run(&["rm", "archive:a.txt", "--yes"]).done();
    let kinds: Vec<String> = shell.cloud.log().into_iter().map(|entry| entry.kind).collect();
    assert!(kinds.contains(&"onedrive.permanent-delete".to_owned()), "{kinds:?}");
    assert!(!kinds.contains(&"onedrive.delete".to_owned()), "{kinds:?}");

    let personal =
        Shell::with(cloud::Options { drive_kind: DriveKind::Personal, ..cloud::Options::default() });
    personal.install(Service::OneDrive).done();
    personal.add_account("work", Service::OneDrive).done();
    personal.create("archive", Service::OneDrive, &["--yes", "--option", "permanent_delete=true"]).done();
    let file = personal.file("a.txt", "one");
    personal.run(&["copy", &file, "archive:"]).done();
    let told = personal.run(&["rm", "archive:a.txt", "--yes"]).failed(1);
    assert!(told.contains("no permanent deletion: unset the option `permanent_delete`"), "{told}");
    assert_eq!(personal.run(&["ls", "archive:"]).done(), "a.txt");
}

#[test]
fn a_migrated_account_with_a_vault() {
    let shell = Shell::with(cloud::Options { drive_kind: DriveKind::Personal, ..cloud::Options::default() });
    onedrive(&shell, |switches| {
        switches.drive_id_quirks = true;
        switches.migrated_ids = true;
        switches.vault = true;
        switches.empty_first_page = true;
    });
    shell.install(Service::OneDrive).done();
    shell.add_account("work", Service::OneDrive).done();
    let words = ["destination", "create", "all", "--type", "onedrive", "--account", "work"];
    shell.run(&[&words[..], &["--backup-directory", "/", "--yes"]].concat()).done();
    let from = shell.room("from");
    shell.file("from/a/b.txt", "one");
    shell.file("from/large.bin", noise(7, 11 * 1024 * 1024));
    shell.run(&["copy", &from, "all:"]).done();
    let listed = shell.run(&["ls", "-R", "all:"]).done();
    assert_eq!(listed.lines().collect::<BTreeSet<_>>().len(), 3, "{listed}");
    assert!(!listed.contains("Vault"), "{listed}");
    let back = shell.room("back");
    shell.run(&["copy", "all:", &back]).done();
    assert_same_tree(&shell.path("from"), &shell.path("back"));
}

/// How many requests of this kind were under way at once.
fn at_once(shell: &Shell, kind: &str) -> usize {
    let log = shell.cloud.log();
    let spans: Vec<_> = log
        .iter()
        .filter(|entry| entry.kind == kind)
        .map(|entry| {
            let from = entry.time.as_millisecond();
            (from, from + i64::try_from(entry.elapsed_ms).unwrap())
        })
        .collect();
    let during = |at: i64| spans.iter().filter(|(from, to)| *from <= at && at < *to).count();
    spans.iter().map(|(from, _)| during(*from)).max().unwrap_or_default()
}

#[test]
fn parts_of_a_large_file_go_side_by_side_and_come_back() {
    let size = 16 * 1024 * 1024 * 4 + 12_345;
    for (options, expected) in [(&[][..], 2..=4), (&["sequential_uploads=true"][..], 1..=1)] {
        let shell = with_options(Service::Dropbox, options);
        let slow = Rule { times: u64::MAX, ..Rule::once(Service::Dropbox.part(), Action::Delay { ms: 200 }) };
        shell.cloud.faults().add(slow);
        let from = shell.room("from");
        shell.file("from/large.bin", noise(3, size));
        shell.run(&["copy", &from, "archive:"]).done();
        let most = at_once(&shell, Service::Dropbox.part());
        assert!(expected.contains(&most), "{most} parts at once with {options:?}");
        let back = shell.room("back");
        shell.run(&["copy", "archive:", &back]).done();
        assert_same_tree(&shell.path("from"), &shell.path("back"));
    }
}

#[test]
fn a_part_that_fails_is_sent_again_alone() {
    let size = 16 * 1024 * 1024 * 4 + 1;
    let failed = Action::Reply { status: 500, headers: BTreeMap::new(), body: Value::Null, early: false };
    // A connection that is cut takes all four with it that are on their way.
    for (action, again) in [
        (Action::CutBefore, 4),
        (Action::CutAfter { bytes: 5_000_000 }, 4),
        (Action::CutAfterCommit, 4),
        (Action::CorruptStored { at: 77 }, 1),
        (Action::Preset { name: Preset::DropboxHashMismatch, retry_after: None }, 1),
        (failed, 1),
    ] {
        let shell = Shell::with_archive(Service::Dropbox);
        let fault = Rule { skip: 1, ..Rule::once(Service::Dropbox.part(), action.clone()) };
        shell.cloud.faults().add(fault);
        let from = shell.room("from");
        shell.file("from/large.bin", noise(3, size));
        shell.run(&["copy", &from, "archive:"]).done();
        let sent: u64 = shell
            .cloud
            .log()
            .iter()
            .filter(|entry| entry.kind == Service::Dropbox.part())
            .map(|entry| entry.request_bytes)
            .sum();
        let most = u64::try_from(size).unwrap() + again * 16 * 1024 * 1024;
        assert!(sent <= most, "{action:?}: {sent} bytes");
        let back = shell.room("back");
        shell.run(&["copy", "archive:", &back]).done();
        assert_same_tree(&shell.path("from"), &shell.path("back"));
    }
}

#[test]
fn a_lost_cursor_lists_again() {
    let shell = Shell::with_archive(Service::Dropbox);
    shell.cloud.dropbox().put_many(ACCOUNT, "/backups/server1/many", 4500).unwrap();
    let reset = json!({"error_summary": "reset/..", "error": {".tag": "reset"}});
    let lost = Action::Reply { status: 409, headers: BTreeMap::new(), body: reset, early: false };
    shell.cloud.faults().add(Rule::once("dropbox.list-continue", lost));
    let back = shell.room("back");
    shell.run(&["copy", "archive:many", &back]).done();
    assert_eq!(std::fs::read_dir(&back).unwrap().count(), 4500);
}

#[test]
fn names_that_are_encoded_are_moved_too() {
    for service in Service::ALL {
        let shell = Shell::with_archive(service);
        let from = shell.room("from");
        shell.file("from/a:b ", "one");
        shell.run(&["copy", &from, "archive:"]).done();
        shell.run(&["move", "archive:a:b ", "archive:c?d "]).done();
        shell.run(&["copy", "archive:c?d ", "archive:e|f "]).done();
        let mut names: Vec<String> =
            shell.run(&["ls", "archive:"]).done().lines().map(str::to_owned).collect();
        names.sort();
        assert_eq!(names, ["c?d ", "e|f "], "{service:?}");
    }
}
