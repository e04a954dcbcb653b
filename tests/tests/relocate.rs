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
fn another_folder_where_the_service_can_be_told_of_it() {
    let shell = archive(Service::Dropbox);
    shell.run(&["move", "archive:data/a.txt", "archive:new/place/a.txt"]).done();
    assert!(listed(&shell).contains(&"new/place/a.txt".to_owned()));
    let shell = archive(Service::OneDrive);
    let told = shell.run(&["move", "archive:data/a.txt", "archive:new/a.txt"]).failed(1);
    assert!(told.contains("no such function") && told.contains("wharf copy archive:data/a.txt"), "{told}");
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
