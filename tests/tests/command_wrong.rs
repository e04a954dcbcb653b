//! What an operator or a service gets wrong: one clear message with the remedy, the documented exit
//! code, and a home in which the next command works.

use std::path::{Path, PathBuf};
use std::process::Command;

use cloud::{Action, Rule};
use serde_json::Value;
use wharf_tests::{ACCOUNT, Service, Shell, noise, tree};

/// Nothing is broken behind: what is usual works.
#[track_caller]
fn still_works(shell: &Shell) {
    let file = shell.file("usual/usual.txt", "usual");
    shell.run(&["copy", &file, "archive:usual"]).done();
    assert_eq!(shell.run(&["ls", "archive:usual"]).done(), "usual.txt");
    let back = shell.room("usual-back");
    shell.run(&["copy", "archive:usual", &back]).done();
    assert_eq!(std::fs::read_to_string(Path::new(&back).join("usual.txt")).ok().as_deref(), Some("usual"));
}

#[test]
fn a_destination_that_is_not_there() {
    let shell = Shell::with_archive(Service::OneDrive);
    insta::assert_snapshot!(shell.run(&["ls", "nowhere:"]), @"");
    insta::assert_snapshot!(shell.run(&["copy", "nowhere:", "/tmp"]), @"");
    insta::assert_snapshot!(shell.run(&["audit", "nowhere"]), @"");
    insta::assert_snapshot!(shell.run(&["ls", "nowhere:", "--json"]), @"");
    still_works(&shell);
}

#[test]
fn a_place_that_makes_no_sense() {
    let shell = Shell::with_archive(Service::OneDrive);
    for words in [&["ls", "archive:../other"][..], &["rm", "archive:a/../../b"], &["mkdir", "archive:a/.."], &["copy", "archive:..", "/tmp"]] {
        let message = shell.run(words).failed(2);
        assert!(message.contains("`..`"), "{message}");
    }
    insta::assert_snapshot!(shell.run(&["ls", "archive:../other"]), @"");
    insta::assert_snapshot!(shell.run(&["ls", "archive:../other", "--json"]), @"");
    insta::assert_snapshot!(shell.run(&["ls", "/srv"]), @"");
    insta::assert_snapshot!(shell.run(&["copy", "/srv", "/tmp"]), @"");
    insta::assert_snapshot!(shell.run(&["rm", "-r", "archive:"]), @"");
    still_works(&shell);
}

#[test]
fn a_path_that_is_not_there() {
    for service in Service::ALL {
        let shell = Shell::with_archive(service);
        let message = shell.run(&["stat", "archive:missing"]).failed(3);
        assert_eq!(message.lines().next(), Some("error: `archive:missing` is not there"), "{service:?}: {message}");
        shell.run(&["rm", "archive:missing"]).failed(3);
        shell.run(&["ls", "archive:missing"]).failed(3);
        let back = shell.room("back");
        shell.run(&["copy", "archive:missing", &back]).failed(3);
        assert_eq!(tree(back.as_ref()), []);
        still_works(&shell);
    }
}

#[test]
fn a_name_that_the_service_refuses() {
    let shell = Shell::with_archive(Service::OneDrive);
    let file = shell.file("names/a:b", "x");
    insta::assert_snapshot!(shell.run(&["copy", &file, "archive:"]), @"");
    insta::assert_snapshot!(shell.run(&["mkdir", "archive:a|b"]), @"");
    // Of a folder, what can be stored is stored.
    shell.file("names/good", "x");
    let names = shell.room("names");
    insta::assert_snapshot!(shell.run(&["copy", &names, "archive:names"]), @"");
    assert_eq!(shell.run(&["ls", "archive:names"]).done(), "good");
    still_works(&shell);

    let shell = Shell::with_archive(Service::Dropbox);
    let file = shell.file("names/trailing ", "x");
    insta::assert_snapshot!(shell.run(&["copy", &file, "archive:"]), @"");
    still_works(&shell);
}

#[test]
fn an_empty_file_goes_up_and_comes_back() {
    for service in Service::ALL {
        let shell = Shell::with_archive(service);
        let file = shell.file("empty", "");
        shell.run(&["copy", &file, "archive:"]).done();
        assert_eq!(shell.run(&["stat", "archive:empty", "--json"]).json()[0]["size"], 0);
        let back = shell.room("back");
        shell.run(&["copy", "archive:empty", &back]).done();
        assert_eq!(tree(back.as_ref()), [("empty".to_owned(), Some(Vec::new()))]);
    }
}

#[test]
fn a_folder_where_a_file_was_and_the_reverse() {
    for service in Service::ALL {
        let shell = Shell::with_archive(service);
        let file = shell.file("one/thing", "a file");
        shell.run(&["copy", &file, "archive:"]).done();
        shell.file("two/thing/inside", "x");
        let two = shell.room("two");
        let folder_over_file = shell.run(&["copy", &two, "archive:"]);
        let file_over_folder = {
            shell.file("three/folder/inside", "x");
            shell.run(&["copy", &shell.room("three"), "archive:"]).done();
            let file = shell.file("four/folder", "a file");
            shell.run(&["copy", &file, "archive:"])
        };
        // The same at home: what comes back does not replace a folder.
        let five = shell.room("five");
        shell.file("five/thing/mine", "mine");
        let down = shell.run(&["copy", "archive:thing", &five]);
        assert_eq!(tree(&shell.path("five")).len(), 2);
        if service == Service::OneDrive {
            insta::assert_snapshot!(folder_over_file, @"");
            insta::assert_snapshot!(file_over_folder, @"");
            insta::assert_snapshot!(down, @"");
        }
        for ran in [folder_over_file, file_over_folder, down] {
            ran.failed(4);
        }
        assert_eq!(shell.run(&["stat", "archive:thing", "--json"]).json()[0]["kind"], "file");
        still_works(&shell);
    }
}

#[test]
fn a_local_file_that_is_not_there() {
    let shell = Shell::with_archive(Service::OneDrive);
    let missing = shell.path("missing");
    insta::assert_snapshot!(shell.run(&["copy", missing.to_str().unwrap(), "archive:"]), @"");
    insta::assert_snapshot!(shell.run(&["copy", missing.to_str().unwrap(), "archive:", "--json"]), @"");
    still_works(&shell);
}

/// A file system of one megabyte, gone when this is dropped.
struct Tiny(PathBuf);

impl Tiny {
    fn mount(place: &Path) -> Option<Self> {
        let mount = ["-t", "tmpfs", "-o", "size=1m", "tmpfs"];
        let done = Command::new("mount").args(mount).arg(place).output().is_ok_and(|done| done.status.success());
        done.then(|| Self(place.to_owned()))
    }
}

impl Drop for Tiny {
    fn drop(&mut self) {
        // It is empty enough to be left behind, and the folder's own removal tells.
        let _ = Command::new("umount").arg("--lazy").arg(&self.0).status();
    }
}

#[test]
fn no_space_left_for_a_download() {
    for service in Service::ALL {
        let shell = Shell::with_archive(service);
        let file = shell.file("large.bin", noise(1, 3_000_000));
        shell.run(&["copy", &file, "archive:"]).done();
        let small = shell.room("small");
        let Some(_tiny) = Tiny::mount(small.as_ref()) else {
            println!("skipped: only root can mount a file system that is too small");
            return;
        };
        let ran = shell.run(&["copy", "archive:large.bin", &small]);
        assert_eq!(tree(small.as_ref()), [], "nothing is left behind, under no name");
        if service == Service::OneDrive {
            insta::assert_snapshot!(ran, @"");
        }
        ran.failed(12);
        still_works(&shell);
    }
}

#[test]
fn a_destination_that_is_only_read() {
    for service in Service::ALL {
        let shell = Shell::with_archive(service);
        let file = shell.file("hello.txt", "hello");
        shell.run(&["copy", &file, "archive:"]).done();
        shell.create("restore", service, &["--read-only", "--yes"]).done();
        shell.cloud.clear_log();
        let refused = [
            shell.run(&["copy", &file, "restore:new"]),
            shell.run(&["rm", "restore:hello.txt"]),
            shell.run(&["mkdir", "restore:new"]),
        ];
        if service == Service::OneDrive {
            let [copy, remove, mkdir] = &refused;
            insta::assert_snapshot!(copy, @"");
            insta::assert_snapshot!(remove, @"");
            insta::assert_snapshot!(mkdir, @"");
        }
        for ran in refused {
            ran.failed(5);
        }
        assert!(shell.cloud.log().iter().all(|entry| entry.kind != service.put()), "nothing was sent");
        assert_eq!(shell.run(&["ls", "restore:"]).done(), "hello.txt");
        let back = shell.room("back");
        shell.run(&["copy", "restore:hello.txt", &back]).done();
        assert_eq!(std::fs::read(shell.path("back/hello.txt")).unwrap(), b"hello");
        still_works(&shell);
    }
}

#[test]
fn an_account_that_must_sign_in_again() {
    for service in Service::ALL {
        let shell = Shell::with_archive(service);
        match service {
            Service::OneDrive => shell.cloud.onedrive().revoke(ACCOUNT),
            Service::Dropbox => shell.cloud.dropbox().revoke(ACCOUNT),
        }
        let ran = shell.run(&["ls", "archive:"]);
        if service == Service::OneDrive {
            insta::assert_snapshot!(ran, @"");
            let file = shell.file("hello.txt", "hello");
            insta::assert_snapshot!(shell.run(&["copy", &file, "archive:"]), @"");
        }
        let message = ran.failed(6);
        assert!(message.contains("hint: run `wharf account authorize work --token-file FILE`"), "{message}");
        // What it says to run helps.
        let token = match service {
            Service::OneDrive => shell.cloud.onedrive().token_json(ACCOUNT),
            Service::Dropbox => shell.cloud.dropbox().token_json(ACCOUNT),
        };
        let token = shell.file("new-token.json", token.to_string());
        shell.run(&["account", "authorize", "work", "--token-file", &token]).done();
        still_works(&shell);
    }
}

#[test]
fn no_space_left_at_the_service() {
    for service in Service::ALL {
        let shell = Shell::with_archive(service);
        let quota = |bytes| match service {
            Service::OneDrive => shell.cloud.onedrive().set_quota(ACCOUNT, bytes),
            Service::Dropbox => shell.cloud.dropbox().set_quota(ACCOUNT, bytes),
        };
        quota(1000);
        let file = shell.file("large.bin", noise(1, 100_000));
        let ran = shell.run(&["copy", &file, "archive:"]);
        if service == Service::OneDrive {
            insta::assert_snapshot!(ran, @"");
        }
        ran.failed(7);
        quota(1_000_000_000);
        shell.run(&["copy", &file, "archive:"]).done();
        still_works(&shell);
    }
}

#[test]
fn a_service_that_is_down() {
    for service in Service::ALL {
        let shell = Shell::with_account(service);
        shell.create("archive", service, &["--retries", "0", "--yes"]).done();
        let down = shell.cloud.faults().add(Rule::once(&format!("{}.*", service.kind()), Action::CutBefore).times(0));
        let ran = shell.run(&["ls", "archive:"]);
        if service == Service::OneDrive {
            insta::assert_snapshot!(ran, @"");
            let message = shell.run(&["ls", "archive:", "--json"]).failed(8);
            let object: Value = serde_json::from_str(&message).unwrap();
            assert_eq!((&object["kind"], &object["exit_code"]), (&"unavailable".into(), &8.into()), "{object}");
            assert!(object["error"].is_string() && object["causes"].is_array(), "{object}");
        }
        ran.failed(8);
        assert!(shell.cloud.faults().remove(down));
        still_works(&shell);
    }
}

#[test]
fn a_certificate_that_nobody_vouches_for() {
    let shell = Shell::with_account(Service::OneDrive);
    shell.create("archive", Service::OneDrive, &["--retries", "0", "--yes"]).done();
    let mut command = Command::new(wharf_tests::target().join("debug/wharf"));
    command.env_clear().args(["--home", shell.path("home").to_str().unwrap()]);
    for pair in shell.cloud.connect_to() {
        command.args(["--connect-to", &pair]);
    }
    let ran = shell.ran(&command.args(["ls", "archive:"]).output().unwrap());
    let message = ran.failed(8);
    assert!(message.contains("certificate"), "{message}");
    assert_eq!(shell.cloud.log().len(), 0, "no request was sent, and no token");
    still_works(&shell);
}

#[test]
fn an_error_as_an_object() {
    let shell = Shell::with_archive(Service::OneDrive);
    insta::assert_snapshot!(shell.run(&["stat", "archive:missing", "--json"]), @"");
    insta::assert_snapshot!(shell.run(&["stat", "--json"]), @"");
    insta::assert_snapshot!(shell.run(&["--json", "nonsense"]), @"");
}
