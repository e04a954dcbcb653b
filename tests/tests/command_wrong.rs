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
    insta::assert_snapshot!(shell.run(&["ls", "nowhere:"]), @"
    --- stderr
    error: there is no destination `nowhere`
    hint: run `wharf destination list` to see which there are
    --- exit 3
    ");
    insta::assert_snapshot!(shell.run(&["copy", "nowhere:", "/tmp"]), @"
    --- stderr
    error: there is no destination `nowhere`
    hint: run `wharf destination list` to see which there are
    --- exit 3
    ");
    insta::assert_snapshot!(shell.run(&["audit", "nowhere"]), @"
    --- stderr
    error: there is no destination `nowhere`
    hint: run `wharf destination list` to see which there are
    --- exit 3
    ");
    insta::assert_snapshot!(shell.run(&["ls", "nowhere:", "--json"]), @r#"
    --- stderr
    {"error":"there is no destination `nowhere`","causes":[],"hint":"run `wharf destination list` to see which there are","kind":"not-found","exit_code":3}
    --- exit 3
    "#);
    still_works(&shell);
}

#[test]
fn a_place_that_makes_no_sense() {
    let shell = Shell::with_archive(Service::OneDrive);
    for words in [
        &["ls", "archive:../other"][..],
        &["rm", "archive:a/../../b"],
        &["mkdir", "archive:a/.."],
        &["copy", "archive:..", "/tmp"],
    ] {
        let message = shell.run(words).failed(2);
        assert!(message.contains("`..`"), "{message}");
    }
    insta::assert_snapshot!(shell.run(&["ls", "archive:../other"]), @"
    --- stderr
    error: invalid value 'archive:../other' for '<NAME:PATH>': the path has the name `..`, which would leave the backup directory

    For more information, try '--help'.
    --- exit 2
    ");
    insta::assert_snapshot!(shell.run(&["ls", "archive:../other", "--json"]), @r#"
    --- stderr
    {"error":"invalid value 'archive:../other' for '<NAME:PATH>': the path has the name `..`, which would leave the backup directory","causes":[],"hint":"run the same command with `--help`","kind":"usage","exit_code":2}
    --- exit 2
    "#);
    insta::assert_snapshot!(shell.run(&["ls", "/srv"]), @"
    --- stderr
    error: invalid value '/srv' for '<NAME:PATH>': a place at a destination is wanted: its name, a colon and a path, as in `archive:srv`

    For more information, try '--help'.
    --- exit 2
    ");
    insta::assert_snapshot!(shell.run(&["copy", "/srv", "/tmp"]), @"
    --- stderr
    error: neither `/srv` nor `/tmp` is at a destination
    hint: write one of them as NAME:path; between local folders use `cp -a`
    --- exit 2
    ");
    insta::assert_snapshot!(shell.run(&["rm", "-r", "archive:"]), @"
    --- stderr
    error: `archive:` is the backup directory itself, which is not removed
    hint: name what to remove in it; `wharf ls archive:` shows what there is
    --- exit 2
    ");
    still_works(&shell);
}

#[test]
fn a_path_that_is_not_there() {
    for service in Service::ALL {
        let shell = Shell::with_archive(service);
        let message = shell.run(&["stat", "archive:missing"]).failed(3);
        assert_eq!(
            message.lines().next(),
            Some("error: cannot look at `archive:missing`: not found"),
            "{message}"
        );
        assert!(message.ends_with("hint: run `wharf ls archive:` to see what is there"), "{message}");
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
    let file = shell.file("names/.lock", "x");
    insta::assert_snapshot!(shell.run(&["copy", &file, "archive:"]), @r#"
    --- stderr
    copied 0 files (0 B) in [TIME]; 1 failed
    error: cannot store `archive:.lock`: the service cannot store this name: `.lock` is reserved
    hint: rename it, or leave it out with `--exclude`
    --- exit 11
    "#);
    insta::assert_snapshot!(shell.run(&["mkdir", "archive:a_vti_b"]), @r#"
    --- stderr
    error: cannot make the folder `archive:a_vti_b`: the service cannot store this name: `a_vti_b` is reserved
    hint: rename it, or leave it out with `--exclude`
    --- exit 11
    "#);
    // Of a folder, what can be stored is stored.
    shell.file("names/good", "x");
    let names = shell.room("names");
    insta::assert_snapshot!(shell.run(&["copy", &names, "archive:names"]), @r#"
    --- stderr
    error: cannot store `archive:names/.lock`: the service cannot store this name: `.lock` is reserved
    copied 1 file (1 B) in [TIME], [SPEED]; 1 failed
    hint: rename it, or leave it out with `--exclude`
    error: 1 file could not be copied to `archive:names`
    --- exit 1
    "#);
    assert_eq!(shell.run(&["ls", "archive:names"]).done(), "good");
    still_works(&shell);

    let shell = Shell::with_archive(Service::Dropbox);
    let file = shell.file("names/thumbs.db", "x");
    let message = shell.run(&["copy", &file, "archive:"]).failed(11);
    assert!(
        message.contains("error: cannot store `archive:thumbs.db`: the service cannot store this name"),
        "{message}"
    );
    assert!(message.ends_with("hint: rename it, or leave it out with `--exclude`"), "{message}");
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
            insta::assert_snapshot!(folder_over_file, @"
            --- stderr
            copied 0 files (0 B) in [TIME]; 1 failed
            error: `archive:thing` is a file, and a folder is to be copied there
            hint: remove or rename one of the two
            --- exit 4
            ");
            insta::assert_snapshot!(file_over_folder, @"
            --- stderr
            copied 0 files (0 B) in [TIME]; 1 failed
            error: `archive:folder` is a folder, and a file is to be copied there
            hint: remove or rename one of the two
            --- exit 4
            ");
            insta::assert_snapshot!(down, @"
            --- stderr
            copied 0 files (0 B) in [TIME]; 1 failed
            error: `[FOLDER]/five/thing` is a folder, and a file is to be copied there
            hint: remove or rename one of the two
            --- exit 4
            ");
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
    insta::assert_snapshot!(shell.run(&["copy", missing.to_str().unwrap(), "archive:"]), @"
    --- stderr
    error: cannot read `[FOLDER]/missing`
      caused by: No such file or directory (os error 2)
    --- exit 12
    ");
    insta::assert_snapshot!(shell.run(&["copy", missing.to_str().unwrap(), "archive:", "--json"]), @r#"
    --- stderr
    {"error":"cannot read `[FOLDER]/missing`","causes":["No such file or directory (os error 2)"],"hint":null,"kind":"local","exit_code":12}
    --- exit 12
    "#);
    still_works(&shell);
}

/// A file system of one megabyte, gone when this is dropped.
struct Tiny(PathBuf);

impl Tiny {
    fn mount(place: &Path) -> Option<Self> {
        let mount = ["-t", "tmpfs", "-o", "size=1m", "tmpfs"];
        let done =
            Command::new("mount").args(mount).arg(place).output().is_ok_and(|done| done.status.success());
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
            insta::assert_snapshot!(ran, @"
            --- stderr
            copied 0 files (0 B) in [TIME]; 1 failed
            error: cannot write `[FOLDER]/small/large.bin`
              caused by: No space left on device (os error 28)
            hint: free some space, then run the same command again: nothing half-written was left
            --- exit 12
            ");
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
            insta::assert_snapshot!(copy, @"
            --- stderr
            copied 0 files (0 B) in [TIME]; 1 failed
            error: cannot store `restore:new/hello.txt`: denied
              caused by: the route `put` writes, and the destination is read-only (destination `restore`, connector `onedrive@0.1.0`, route `put`, rule `read-only`)
            hint: a destination is read-only for life; create another one without `--read-only` to write
            --- exit 5
            ");
            insta::assert_snapshot!(remove, @"
            --- stderr
            error: cannot remove `restore:hello.txt`: denied
              caused by: the route `delete` writes, and the destination is read-only (destination `restore`, connector `onedrive@0.1.0`, route `delete`, rule `read-only`)
            hint: a destination is read-only for life; create another one without `--read-only` to write
            --- exit 5
            ");
            insta::assert_snapshot!(mkdir, @"
            --- stderr
            error: cannot make the folder `restore:new`: denied
              caused by: the route `make-folder` writes, and the destination is read-only (destination `restore`, connector `onedrive@0.1.0`, route `make-folder`, rule `read-only`)
            hint: a destination is read-only for life; create another one without `--read-only` to write
            --- exit 5
            ");
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
            insta::assert_snapshot!(ran, @"
            --- stderr
            error: cannot list `archive:`: the account's sign-in is no longer good
              caused by: account `work` must sign in again: invalid_grant: AADSTS50173: The provided grant has expired due to it being revoked. (GET https://graph.microsoft.com/v1.0/me/drive/root:/backups/server1:/children)
            hint: run `wharf account authorize work`, with `--paste` where there is no browser
            --- exit 6
            ");
            let file = shell.file("hello.txt", "hello");
            insta::assert_snapshot!(shell.run(&["copy", &file, "archive:"]), @"
            --- stderr
            error: cannot look at `archive:hello.txt`: the account's sign-in is no longer good
              caused by: account `work` must sign in again: invalid_grant: AADSTS50173: The provided grant has expired due to it being revoked. (GET https://graph.microsoft.com/v1.0/me/drive/root:/backups/server1/hello.txt)
            hint: run `wharf account authorize work`, with `--paste` where there is no browser
            --- exit 6
            ");
        }
        let message = ran.failed(6);
        assert!(
            message.contains(
                "hint: run `wharf account authorize work`, with `--paste` where there is no browser"
            ),
            "{message}"
        );
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
            insta::assert_snapshot!(ran, @r#"
            --- stderr
            copied 0 files (0 B) in [TIME]; 1 failed
            error: cannot store `archive:large.bin`: no space left at the service
              caused by: the service answered 507: {"error":{"code":"quotaLimitReached","message":"The account is out of space","innerError":{"code":"insufficientStorage","date":"[MOMENT]","request-id":"[GUID]","client-request-id":"[GUID]"}}} (PUT https://graph.microsoft.com/v1.0/me/drive/root:/backups/server1/large.bin:/content)
            hint: free some space at the service, or use another destination
            --- exit 7
            "#);
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
        let down = shell
            .cloud
            .faults()
            .add(Rule::once(&format!("{}.*", service.kind()), Action::CutBefore).times(0));
        let ran = shell.run(&["ls", "archive:"]);
        if service == Service::OneDrive {
            let message = shell.run(&["ls", "archive:", "--json"]).failed(8);
            let object: Value = serde_json::from_str(&message).unwrap();
            assert_eq!(
                (&object["kind"], &object["exit_code"]),
                (&"unavailable".into(), &8.into()),
                "{object}"
            );
            assert!(object["error"].is_string() && object["causes"].is_array(), "{object}");
        }
        let message = ran.failed(8);
        assert!(
            message.starts_with("error: cannot list `archive:`: the service does not answer\n  caused by: "),
            "{message}"
        );
        assert!(
            message.ends_with(
                "\nhint: run the same command again later; `wharf audit archive` has what was tried"
            ),
            "{message}"
        );
        assert!(shell.cloud.faults().remove(down));
        still_works(&shell);
    }
}

#[test]
fn an_error_as_an_object() {
    let shell = Shell::with_archive(Service::OneDrive);
    insta::assert_snapshot!(shell.run(&["stat", "archive:missing", "--json"]), @r#"
    --- stderr
    {"error":"cannot look at `archive:missing`: not found","causes":["the service answered 404: {\"error\":{\"code\":\"itemNotFound\",\"message\":\"Item not found\",\"innerError\":{\"date\":\"[MOMENT]\",\"request-id\":\"[GUID]\",\"client-request-id\":\"[GUID]\"}}} (GET https://graph.microsoft.com/v1.0/me/drive/root:/backups/server1/missing)"],"hint":"run `wharf ls archive:` to see what is there","kind":"not-found","exit_code":3}
    --- exit 3
    "#);
    insta::assert_snapshot!(shell.run(&["stat", "--json"]), @r#"
    --- stderr
    {"error":"the following required arguments were not provided: <NAME:PATH>","causes":[],"hint":"run the same command with `--help`","kind":"usage","exit_code":2}
    --- exit 2
    "#);
    insta::assert_snapshot!(shell.run(&["--json", "nonsense"]), @r#"
    --- stderr
    {"error":"unrecognized subcommand 'nonsense'","causes":[],"hint":"run the same command with `--help`","kind":"usage","exit_code":2}
    --- exit 2
    "#);
}
