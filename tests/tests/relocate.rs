//! Moves and copies at the service, and how full it is, from the built command.

use wharf_tests::{Service, Shell};

fn archive(service: Service) -> Shell {
    let shell = Shell::with_archive(service);
    let from = shell.room("from");
    shell.file("from/data/a.txt", "one");
    shell.file("from/data/b.txt", "two");
    shell.file("from/data/deep/c.txt", "three");
    shell.run(&["copy", &from, "archive:"]).done();
    shell
}

fn listed(shell: &Shell) -> Vec<String> {
    let mut lines: Vec<String> =
        shell.run(&["ls", "-R", "archive:"]).done().lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

#[test]
fn another_name_in_the_same_folder() {
    for service in Service::ALL {
        let shell = archive(service);
        shell.run(&["move", "archive:data/a.txt", "archive:data/z.txt"]).done();
        shell.run(&["mv", "archive:data/deep", "archive:data/deeper"]).done();
        assert_eq!(
            listed(&shell),
            ["data/", "data/b.txt", "data/deeper/", "data/deeper/c.txt", "data/z.txt"],
            "{service:?}"
        );
        let told = shell.run(&["move", "archive:data/z.txt", "archive:data/b.txt"]).failed(4);
        assert!(told.contains("something is there already"), "{told}");
        let told = shell.run(&["move", "archive:data/none", "archive:data/some"]).failed(3);
        assert!(told.contains("not found"), "{told}");
        // What was moved is known under its new name: an unchanged tree sends nothing.
        let (from, to) = (shell.path("from/data/a.txt"), shell.path("from/data/z.txt"));
        std::fs::rename(from, to).unwrap();
        std::fs::rename(shell.path("from/data/deep"), shell.path("from/data/deeper")).unwrap();
        let told = shell.run(&["copy", &shell.room("from"), "archive:"]).stderr;
        assert!(told.contains("copied 0 files"), "{service:?}: {told}");
    }
}

#[test]
fn another_folder() {
    for service in Service::ALL {
        let shell = archive(service);
        shell.cloud.clear_log();
        shell.run(&["move", "archive:data/a.txt", "archive:new/place/a.txt"]).done();
        shell.run(&["move", "archive:data/deep", "archive:new/deeper"]).done();
        let log = shell.cloud.log();
        assert!(log.iter().all(|entry| entry.kind != service.put() && entry.kind != service.staged()));
        assert_eq!(
            listed(&shell),
            [
                "data/",
                "data/b.txt",
                "new/",
                "new/deeper/",
                "new/deeper/c.txt",
                "new/place/",
                "new/place/a.txt"
            ],
            "{service:?}"
        );
        shell.run(&["copy", "archive:new", "archive:newer/copy"]).done();
        let check = shell.run(&["destination", "check", "archive"]);
        assert!(check.stderr.contains("5 files are as stored"), "what was known is known there: {check}");
        assert_eq!(check.done(), "", "{service:?}");
        let told = shell.run(&["move", "archive:new/place/a.txt", "archive:data/b.txt"]).failed(4);
        assert!(told.contains("something is there already"), "{told}");
        let told = shell.run(&["move", "archive:new", "archive:new/deeper/new"]).failed(4);
        assert!(told.contains("nothing can be put into itself") && told.contains("hint: "), "{told}");
    }
}

/// A business drive takes no path for its own root; then nothing has happened, and the operator is told what
/// does it. A private one takes it.
#[test]
fn to_the_root_of_a_drive() {
    for (kind, moves) in [(cloud::DriveKind::Business, false), (cloud::DriveKind::Personal, true)] {
        let shell = Shell::with(cloud::Options { drive_kind: kind, ..cloud::Options::default() });
        shell.install(Service::OneDrive).done();
        shell.add_account("work", Service::OneDrive).done();
        let create = ["destination", "create", "archive", "--type", "onedrive", "--account", "work"];
        shell.run(&[&create[..], &["--backup-directory", "/", "--yes"]].concat()).done();
        let from = shell.room("from");
        shell.file("from/data/a.txt", "one");
        shell.run(&["copy", &from, "archive:"]).done();
        let ran = shell.run(&["move", "archive:data/a.txt", "archive:a.txt"]);
        let names = listed(&shell);
        if moves {
            ran.done();
            assert!(names.contains(&"a.txt".to_owned()), "{names:?}");
        } else {
            let told = ran.failed(1);
            assert!(told.contains("no such function"), "{told}");
            assert!(told.contains("hint: copy it to a local folder"), "{told}");
            assert!(names.contains(&"data/a.txt".to_owned()), "{names:?}");
        }
    }
}

/// Who was granted renames alone goes on with these.
#[test]
fn another_folder_is_a_grant_of_its_own() {
    let shell = archive(Service::OneDrive);
    shell.run(&["grant", "deny", "archive", "move"]).done();
    shell.run(&["move", "archive:data/a.txt", "archive:data/z.txt"]).done();
    let told = shell.run(&["move", "archive:data/z.txt", "archive:new/z.txt"]).failed(5);
    assert!(told.contains("wharf grant allow archive move"), "{told}");
    assert!(listed(&shell).contains(&"data/z.txt".to_owned()));
}

#[test]
fn a_copy_at_the_service_moves_no_bytes() {
    for service in Service::ALL {
        let shell = archive(service);
        shell.cloud.clear_log();
        shell.run(&["copy", "archive:data", "archive:data.old"]).done();
        shell.run(&["copy", "archive:data/a.txt", "archive:data/a.bak"]).done();
        let log = shell.cloud.log();
        assert!(log.iter().all(|entry| entry.kind != service.put() && entry.kind != service.staged()));
        assert!(log.iter().all(|entry| !entry.leaked_authorization));
        let names = listed(&shell);
        for name in ["data.old/deep/c.txt", "data.old/a.txt", "data/a.bak", "data/deep/c.txt"] {
            assert!(names.contains(&name.to_owned()), "{service:?}: no {name} in {names:?}");
        }
        let told = shell.run(&["copy", "archive:data", "archive:data.old"]).failed(4);
        assert!(told.contains("something is there already"), "{told}");
        let told = shell.run(&["copy", "archive:data", "archive:x", "--checksum"]).failed(2);
        assert!(told.contains("none of copy's options"), "{told}");
    }
}

#[test]
fn how_full_it_is() {
    for service in Service::ALL {
        let shell = archive(service);
        let space = shell.run(&["destination", "usage", "archive", "--json"]).json();
        assert!(space[0]["used"].as_u64().unwrap() >= 11, "{service:?}: {space:?}");
        assert!(space[0]["total"].as_u64().unwrap() > 1024 * 1024 * 1024, "{service:?}: {space:?}");
        let told = shell.run(&["destination", "usage", "archive"]).done();
        assert!(told.starts_with("used   ") && told.contains("\ntotal  "), "{told}");
    }
}
