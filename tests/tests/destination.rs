//! Destinations: what may change of them and who may change it, whose a backup directory is, how full it
//! may become, and whether it does what backups need.
#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

use std::os::unix::process::CommandExt as _;
use std::process::Stdio;

use cloud::{Action, Rule};
use serde_json::Value;
use wharf_tests::{ACCOUNT, Ran, Service, Shell};

/// What is stored of a name in the backup directory.
fn stored(shell: &Shell, service: Service, name: &str) -> Option<String> {
    let path = format!("/backups/server1/{name}");
    let file = match service {
        Service::OneDrive => shell.cloud.onedrive().file(ACCOUNT, &path),
        Service::Dropbox => shell.cloud.dropbox().file(ACCOUNT, &path),
    }?;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut file.open().unwrap(), &mut text).unwrap();
    Some(text)
}

fn put(shell: &Shell, service: Service, name: &str, text: &str) {
    let path = format!("/backups/server1/{name}");
    match service {
        Service::OneDrive => shell.cloud.onedrive().put_file(ACCOUNT, &path, text.as_bytes()).unwrap(),
        Service::Dropbox => shell.cloud.dropbox().put_file(ACCOUNT, &path, text.as_bytes()).unwrap(),
    }
}

/// The mark of another server, as an operator of this one would find it.
fn anothers_mark() -> String {
    serde_json::json!({
        "server": "0123456789abcdef0123456789abcdef", "server_name": "web2",
        "destination": "nightly", "claimed": "2026-01-01T00:00:00Z",
    })
    .to_string()
}

fn shown(shell: &Shell, name: &str) -> Value {
    shell.run(&["destination", "show", name, "--json"]).json().remove(0)
}

#[test]
fn what_may_change_and_what_was_decided_for_good() {
    let shell = Shell::with_archive(Service::OneDrive);
    shell
        .run(&[
            "destination",
            "modify",
            "archive",
            "--threads",
            "7",
            "--retries",
            "1",
            "--http-version",
            "1.1",
            "--owner",
            "root",
            "--parent",
            "reseller",
            "--job-type",
            "clones",
            "--disk-limit",
            "90",
            "--hidden",
            "--option",
            "drive_id=b!x1",
        ])
        .done();
    let now = shown(&shell, "archive");
    for (key, expected) in [
        ("owner", Value::from("root")),
        ("parents", serde_json::json!(["reseller"])),
        ("job_type", 2.into()),
        ("disk_limit", 90.into()),
        ("hidden", true.into()),
        ("disabled", false.into()),
        ("disk_usage", Value::Null),
        ("update_date", Value::Null),
    ] {
        assert_eq!(now[key], expected, "{key} of {now}");
    }
    for (key, expected) in [("threads", Value::from(7)), ("retries", 1.into()), ("drive_id", "b!x1".into())] {
        assert_eq!(now["options"][key], expected, "{key} of {now}");
    }
    shell
        .run(&[
            "destination",
            "modify",
            "archive",
            "--unset-option",
            "drive_id",
            "--no-parents",
            "--hidden=false",
        ])
        .done();
    let now = shown(&shell, "archive");
    assert_eq!((&now["options"]["drive_id"], &now["hidden"]), (&Value::Null, &false.into()));
    insta::assert_snapshot!(shell.run(&["destination", "modify", "archive", "--read-only"]), @"
    --- stderr
    error: the read-only of destination `archive` was decided when it was created, and does not change
    hint: create another destination as it should be; `wharf destination show archive` has the rest to copy
    --- exit 5
    ");
    for words in [["--backup-directory", "/other"], ["--type", "dropbox"]] {
        let message = shell.run(&[&["destination", "modify", "archive"], &words[..]].concat()).failed(5);
        assert!(message.contains("was decided when it was created"), "{message}");
    }
    insta::assert_snapshot!(shell.run(&["destination", "modify", "archive"]), @"
    --- stderr
    error: nothing is to be changed of destination `archive`
    hint: run `wharf destination modify --help` to see what can be
    --- exit 2
    ");
    insta::assert_snapshot!(shell.run(&["destination", "modify", "archive", "--option", "colour=red"]), @"
    --- stderr
    error: destination `archive`: there is no option `colour`; the connector has `app_folder`, `drive_id`, `opaque_names`, `permanent_delete`, `track_changes`
    hint: run `wharf connector show onedrive` to see its options
    --- exit 2
    ");
    insta::assert_snapshot!(shell.run(&["destination", "modify", "archive", "--account", "nobody"]), @"
    --- stderr
    error: destination `archive` names account `nobody`, which does not exist
    hint: run `wharf account add nobody --type onedrive` first
    --- exit 3
    ");
    insta::assert_snapshot!(shell.run(&["destination", "modify", "missing", "--threads", "1"]), @"
    --- stderr
    error: there is no destination `missing`
    hint: run `wharf destination list` to see which there are
    --- exit 3
    ");
    insta::assert_snapshot!(shell.run(&["destination", "types"]), @"
    --- stdout
    TYPE      NAME                VERSION  CONNECTOR           STATE
    onedrive  Microsoft OneDrive  0.1.0    dev.wharf.onedrive  installed
    --- exit 0
    ");
}

/// As another user of this machine; only root can become one.
#[test]
fn its_owner_may_change_it_and_others_may_not() {
    let shell = Shell::with_archive(Service::Dropbox);
    if !uid_is_root() {
        println!("skipped: only root can run a command as somebody else");
        return;
    }
    shell
        .run(&["destination", "modify", "archive", "--owner", "1234", "--parent", "1235", "--hidden"])
        .done();
    let chown = std::process::Command::new("chown").arg("-R").arg("7777").arg(shell.folder.path()).status();
    assert!(chown.unwrap().success());
    // Not the built one in its place, which others may not be able to reach.
    let binary = shell.path("wharf-copy");
    std::fs::copy(wharf_tests::profile().join("wharf"), &binary).unwrap();
    let run = |user: u32, words: &[&str]| -> Ran {
        let usual = shell.command(words);
        let mut command = std::process::Command::new(&binary);
        command.env_clear().current_dir("/").args(usual.get_args()).stdin(Stdio::null()).uid(user).gid(user);
        shell.ran(&command.output().unwrap())
    };
    insta::assert_snapshot!(run(7777, &["destination", "modify", "archive", "--threads", "2"]), @"
    --- stderr
    error: destination `archive` belongs to `1234`, and user 7777 may not change it
    hint: ask `1234`, `1235`, or root
    --- exit 5
    ");
    for words in [&["destination", "delete", "archive", "--yes"][..], &["grant", "deny", "archive", "put"]] {
        let message = run(7777, words).failed(5);
        assert!(message.contains("belongs to `1234`, and user 7777 may not change it"), "{message}");
    }
    // Hidden from everybody but its owner.
    insta::assert_snapshot!(run(7777, &["destination", "list"]), @"
    --- stderr
    1 destination hidden; `--all` lists them
    --- exit 0
    ");
    assert!(run(7777, &["destination", "list", "--all"]).done().contains("archive"));
    shell.run(&["destination", "modify", "archive", "--owner", "7777"]).done();
    let chown = std::process::Command::new("chown").arg("-R").arg("7777").arg(shell.folder.path()).status();
    assert!(chown.unwrap().success());
    run(7777, &["destination", "modify", "archive", "--threads", "2"]).done();
    assert!(run(7777, &["destination", "list"]).done().contains("archive"));
}

fn uid_is_root() -> bool {
    let id = std::process::Command::new("id").arg("-u").output().unwrap();
    id.stdout == b"0\n"
}

#[test]
fn the_first_writer_owns_the_directory() {
    for service in Service::ALL {
        let shell = Shell::with_archive(service);
        let file = shell.file("hello.txt", "hello");
        shell.run(&["copy", &file, "archive:"]).done();
        let mark: Value = serde_json::from_str(&stored(&shell, service, ".wharf-owner").unwrap()).unwrap();
        assert_eq!((&mark["destination"], mark["server"].as_str().unwrap().len()), (&"archive".into(), 32));
        // It is asked for once, and it is not there for anybody.
        shell.cloud.clear_log();
        let file = shell.file("more.txt", "more");
        shell.run(&["copy", &file, "archive:"]).done();
        assert!(shell.run(&["audit", "archive"]).done().contains("claim"));
        assert!(shell.cloud.log().len() <= 2, "{service:?}: a look and an upload: {:?}", shell.cloud.log());
        assert_eq!(shell.run(&["ls", "archive:"]).done(), "hello.txt\nmore.txt");
        for words in [
            &["rm", "archive:.wharf-owner"][..],
            &["stat", "archive:.Wharf-Owner"],
            &["copy", &shell.file(".wharf-owner", "forged"), "archive:"],
            &["move", "archive:.wharf-owner", "archive:x"],
            &["move", "archive:more.txt", "archive:.wharf-owner"],
        ] {
            let message = shell.run(words).failed(11);
            assert!(message.contains("says whose the backup directory is, and is Wharf's own"), "{message}");
        }
        assert!(stored(&shell, service, ".wharf-owner").unwrap().contains("\"archive\""));
        // Deleted, its directory can be had by another destination of the same server.
        shell.run(&["destination", "delete", "archive"]).done();
        shell.create("second", service, &["--yes"]).done();
        shell.run(&["copy", &file, "second:again"]).done();
        assert!(stored(&shell, service, ".wharf-owner").unwrap().contains("\"second\""));
    }
}

#[test]
fn what_another_server_owns_is_only_read() {
    for service in Service::ALL {
        let shell = Shell::with_archive(service);
        put(&shell, service, "theirs.txt", "theirs");
        put(&shell, service, ".wharf-owner", &anothers_mark());
        for number in 0..20 {
            shell.file(&format!("data/{number}.txt"), number.to_string());
        }
        let data = shell.room("data");
        let ran = shell.run(&["copy", &data, "archive:data"]);
        let server = rustix_name();
        if service == Service::OneDrive {
            insta::assert_snapshot!(ran.to_string().replace(&server, "[SERVER]"), @"
            --- stderr
            error: cannot leave the mark of ownership `archive:.wharf-owner`: denied
              caused by: `/backups/server1` belongs to destination `nightly` of server `web2`, and only its owner writes there; this is destination `archive` of server `[SERVER]`
            hint: create a destination with `--read-only` to restore from it, or choose another backup directory
            --- exit 5
            ");
        }
        assert_eq!(ran.code, Some(5), "{ran}");
        for words in [
            &["rm", "archive:theirs.txt"][..],
            &["mkdir", "archive:new"],
            &["move", "archive:theirs.txt", "archive:x"],
        ] {
            assert!(shell.run(words).failed(5).contains("belongs to destination `nightly` of server `web2`"));
        }
        assert_eq!(stored(&shell, service, ".wharf-owner").unwrap(), anothers_mark());
        // What it says to do helps.
        shell.create("restore", service, &["--read-only", "--yes"]).done();
        assert_eq!(shell.run(&["ls", "restore:"]).done(), "theirs.txt");
        let back = shell.room("back");
        shell.run(&["copy", "restore:theirs.txt", &back]).done();
        // A mark that cannot be read is not ours.
        put(&shell, service, ".wharf-owner", "garbage");
        let message = shell.run(&["rm", "archive:theirs.txt"]).failed(5);
        assert!(message.contains("belongs to destination `unknown` of server `unknown`"), "{message}");
    }
}

fn rustix_name() -> String {
    let name = std::process::Command::new("uname").arg("-n").output().unwrap();
    String::from_utf8(name.stdout).unwrap().trim().to_owned()
}

/// Two servers, each with a home of its own, begin to write at the same moment.
#[test]
fn of_two_servers_that_claim_a_directory_one_wins() {
    for service in Service::ALL {
        let shell = Shell::with_archive(service);
        let other = shell.path("other-home");
        let copy = |from: &str, to: &std::path::Path| {
            let done = std::process::Command::new("cp").arg("-a").arg(shell.path(from)).arg(to).status();
            assert!(done.unwrap().success());
        };
        copy("home", &other);
        for state in ["state.db", "state.db-wal", "state.db-shm"] {
            let _ = std::fs::remove_file(other.join(state));
        }
        // A file each: one that is there already would need no writing.
        let files = ["one.txt", "two.txt"].map(|name| shell.file(name, name));
        let start = |home: &str, file: &str| {
            let mut command = shell.command(&["copy", file, "archive:", "--home", home]);
            // Its first home is the shell's; the last that is named would be an error.
            let words: Vec<_> = command.get_args().map(ToOwned::to_owned).skip(2).collect();
            command = std::process::Command::new(command.get_program());
            command.env_clear().env("HOME", shell.folder.path()).args(words);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
        };
        let homes = [shell.path("home"), other];
        let started = [0, 1].map(|which| start(homes[which].to_str().unwrap(), &files[which]));
        let ran = started.map(|child| shell.ran(&child.wait_with_output().unwrap()));
        let (won, lost): (Vec<&Ran>, Vec<&Ran>) = ran.iter().partition(|ran| ran.code == Some(0));
        assert_eq!((won.len(), lost.len()), (1, 1), "{service:?}: {} and {}", ran[0], ran[1]);
        assert!(lost[0].stderr.contains("and only its owner writes there"), "{}", lost[0]);
    }
}

#[test]
fn what_is_deleted_is_forgotten_unless_it_is_in_use() {
    let shell = Shell::with_archive(Service::OneDrive);
    let file = shell.file("hello.txt", "hello");
    shell.run(&["copy", &file, "archive:"]).done();
    shell.cloud.faults().add(Rule::once("onedrive.put-content", Action::Delay { ms: 3000 }));
    let slow = shell.file("slow.txt", "slow");
    shell.cloud.clear_log();
    let running =
        shell.command(&["copy", &slow, "archive:"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let running = running.unwrap();
    while shell.cloud.log().is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    insta::assert_snapshot!(shell.run(&["destination", "delete", "archive"]), @"
    --- stderr
    error: destination `archive` is in use: something is copied, listed or changed there
    hint: run the same command once that has ended; `wharf audit archive --limit 5` shows what is being done
    --- exit 4
    ");
    shell.ran(&running.wait_with_output().unwrap()).done();
    shell.run(&["destination", "delete", "archive"]).done();
    let database = std::process::Command::new("python3")
        .arg("-c")
        .arg("import sqlite3,sys; c=sqlite3.connect(sys.argv[1]); print([c.execute('select count(*) from '+t).fetchone()[0] for t in ('shelf','entry','upload','owned','usage')])")
        .arg(shell.path("home/state.db"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8_lossy(&database.stdout).trim(), "[0, 0, 0, 0, 0]", "{database:?}");
}

#[test]
fn a_service_that_is_fuller_than_the_limit_is_not_written_to() {
    for service in Service::ALL {
        let shell = Shell::with_archive(service);
        let quota = |bytes| match service {
            Service::OneDrive => shell.cloud.onedrive().set_quota(ACCOUNT, bytes),
            Service::Dropbox => shell.cloud.dropbox().set_quota(ACCOUNT, bytes),
        };
        shell.run(&["destination", "modify", "archive", "--disk-limit", "50"]).done();
        quota(1_000_000);
        put(&shell, service, "there", &"x".repeat(400_000));
        let large = shell.file("large.bin", vec![7; 200_000]);
        let ran = shell.run(&["copy", &large, "archive:"]);
        if service == Service::OneDrive {
            insta::assert_snapshot!(ran, @"
            --- stderr
            copied 0 files (0 B) in [TIME]; 1 failed
            error: cannot store `archive:large.bin`: no space left at the service
              caused by: the service would be 60 % full (as of [MOMENT]), and the disk limit of destination `archive` is 50 %
            hint: free some space at the service, or run `wharf destination modify archive --disk-limit PERCENT`
            --- exit 7
            ");
        }
        ran.failed(7);
        assert_eq!(stored(&shell, service, "large.bin"), None);
        let now = shown(&shell, "archive");
        assert_eq!(now["disk_usage"]["total"], 1_000_000, "{now}");
        assert!(now["update_date"].is_string(), "{now}");
        // A small one fits, and costs no further question.
        shell.cloud.clear_log();
        let small = shell.file("small.txt", "small");
        shell.run(&["copy", &small, "archive:"]).done();
        assert!(
            shell
                .cloud
                .log()
                .iter()
                .all(|entry| !entry.kind.contains("usage") && !entry.kind.ends_with(".drive"))
        );
        shell.run(&["destination", "modify", "archive", "--disk-limit", "90"]).done();
        shell.run(&["copy", &large, "archive:"]).done();
        // Where nobody can know, that is said, and nothing is held up.
        shell.run(&["grant", "deny", "archive", "usage"]).done();
        shell.run(&["destination", "delete", "archive"]).done();
        shell.create("archive", service, &["--disk-limit", "1", "--yes"]).done();
        shell.run(&["grant", "deny", "archive", "usage"]).done();
        let told = shell.run(&["copy", &small, "archive:again"]);
        assert!(told.stderr.contains("warning: destination `archive` has a disk limit, but its service does not tell how full it is"), "{told}");
        told.done();
    }
}

/// The steps that were tried, and how they ended.
fn steps(ran: &Ran) -> Vec<String> {
    let words = |line: &str| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    ran.stdout.lines().map(words).collect()
}

#[test]
fn a_destination_that_does_what_backups_need() {
    for service in Service::ALL {
        let shell = Shell::with_archive(service);
        let ran = shell.run(&["destination", "validate", "archive"]);
        assert_eq!(
            steps(&ran),
            [
                "ok sign-in",
                "ok quota",
                "ok list",
                "ok owner",
                "ok put",
                "ok range-read",
                "ok hash",
                "ok overwrite",
                "ok create",
                "ok remove"
            ],
            "{ran}"
        );
        assert!(ran.stdout.contains("of two at once, one won"), "{ran}");
        assert_eq!(shell.run(&["ls", "archive:"]).done(), "", "nothing is left behind");
        shell.create("restore", service, &["--read-only", "--yes"]).done();
        shell.cloud.clear_log();
        let told = shell.run(&["destination", "validate", "restore", "--json"]).json();
        let skipped = told.iter().filter(|step| step["outcome"] == "skipped").count();
        assert_eq!((told.len(), skipped), (10, 6), "{told:?}");
        let log = shell.cloud.log();
        assert!(
            log.iter().all(|entry| entry.kind != service.put() && !entry.kind.contains("delete")),
            "{log:?}"
        );
    }
    let shell = Shell::new();
    shell
        .run(&[
            "connector",
            "install",
            wharf_tests::target().join("connectors/local.wasm").to_str().unwrap(),
            "--allow-unsigned",
        ])
        .done();
    let disk = shell.path("disk");
    shell
        .run(&[
            "destination",
            "create",
            "disk",
            "--type",
            "local",
            "--backup-directory",
            disk.to_str().unwrap(),
            "--yes",
        ])
        .done();
    let ran = shell.run(&["destination", "validate", "disk"]);
    assert_eq!(steps(&ran)[0], "skipped sign-in", "{ran}");
    assert_eq!(ran.code, Some(0), "{ran}");
    let left: Vec<_> = std::fs::read_dir(&disk).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, [".wharf-owner"]);
}

#[test]
fn a_destination_that_does_not() {
    let shell = Shell::with_archive(Service::OneDrive);
    shell.run(&["destination", "validate", "archive"]).done();
    // What is stored wrong shows, and does not stay.
    shell.cloud.faults().add(Rule::once("onedrive.put-content", Action::CorruptStored { at: 100 }));
    let ran = shell.run(&["destination", "validate", "archive"]);
    assert_eq!(steps(&ran)[4..6], ["failed put", "skipped range-read"], "{ran}");
    let message = ran.failed(9);
    assert!(
        message.contains("error: destination `archive` fails at `put`: nothing can be stored\n"),
        "{message}"
    );
    assert_eq!(shell.run(&["ls", "archive:"]).done(), "", "nothing is left behind");
    // Nor does what is not granted.
    shell.run(&["grant", "deny", "archive", "start-upload"]).done();
    let ran = shell.run(&["destination", "validate", "archive"]);
    assert_eq!(steps(&ran)[8..], ["failed create", "skipped remove"], "{ran}");
    let message = ran.failed(5);
    assert!(
        message.ends_with("hint: run `wharf grant allow archive start-upload` if it is to be allowed"),
        "{message}"
    );
    shell.run(&["grant", "allow", "archive", "--all", "--yes"]).done();
    assert_eq!(shell.run(&["ls", "archive:"]).done(), "", "nothing is left behind");
    // A mark that somebody put in place of ours is found, whatever is remembered.
    put(&shell, Service::OneDrive, ".wharf-owner", &anothers_mark());
    let ran = shell.run(&["destination", "validate", "archive"]);
    assert_eq!(steps(&ran)[3..5], ["failed owner", "skipped put"], "{ran}");
    assert!(ran.failed(5).contains("belongs to destination `nightly` of server `web2`"));
    let message = shell.run(&["rm", "archive:x"]).failed(3);
    assert!(message.contains("not found"), "{message}");
    let file = shell.file("hello.txt", "hello");
    assert!(shell.run(&["copy", &file, "archive:"]).failed(5).contains("belongs to destination `nightly`"));
    shell.cloud.onedrive().revoke(ACCOUNT);
    let ran = shell.run(&["destination", "validate", "archive"]);
    assert!(steps(&ran)[0] == "failed sign-in" || steps(&ran)[1] == "failed quota", "{ran}");
    ran.failed(6);
}
