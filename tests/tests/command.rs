//! The built command: what it prints, how it ends, and that a usual journey works from the first word
//! to the last. What goes wrong is in `command_wrong.rs` and `command_home.rs`.

use std::process::Stdio;

use serde_json::Value;
use wharf_tests::{ACCOUNT, Ran, Service, Shell, assert_same_tree, noise};

fn sample(shell: &Shell) -> String {
    shell.file("data/hello.txt", "hello");
    shell.file("data/docs/Zürich #1.txt", noise(2, 70_000));
    shell.file("data/empty", "");
    shell.room("data")
}

#[test]
fn a_journey_from_install_to_removal() {
    let shell = Shell::new();
    insta::assert_snapshot!(shell.install(Service::OneDrive), @"");
    insta::assert_snapshot!(shell.add_account("work", Service::OneDrive), @"");
    insta::assert_snapshot!(shell.create("archive", Service::OneDrive, &["--yes"]), @"");
    insta::assert_snapshot!(shell.run(&["connector", "list"]), @"");
    insta::assert_snapshot!(shell.run(&["account", "list"]), @"");
    insta::assert_snapshot!(shell.run(&["destination", "list"]), @"");
    insta::assert_snapshot!(shell.run(&["ls", "archive:"]), @"");
    let data = sample(&shell);
    insta::assert_snapshot!(shell.run(&["copy", &data, "archive:data", "--dry-run"]), @"");
    insta::assert_snapshot!(shell.run(&["copy", &data, "archive:data"]), @"");
    insta::assert_snapshot!(shell.run(&["ls", "-R", "archive:"]), @"");
    insta::assert_snapshot!(shell.run(&["ls", "-l", "archive:data"]), @"");
    let back = shell.room("back");
    insta::assert_snapshot!(shell.run(&["copy", "archive:data", &back]), @"");
    assert_same_tree(data.as_ref(), back.as_ref());
    insta::assert_snapshot!(shell.run(&["copy", &data, "archive:data"]), @"");
    insta::assert_snapshot!(shell.run(&["copy", "archive:data", &back]), @"");
    insta::assert_snapshot!(shell.run(&["mkdir", "archive:more/deep"]), @"");
    insta::assert_snapshot!(shell.run(&["rm", "archive:data/hello.txt"]), @"");
    insta::assert_snapshot!(shell.run(&["rm", "archive:data"]), @"");
    insta::assert_snapshot!(shell.run(&["rm", "--recursive", "archive:data"]), @"");
    insta::assert_snapshot!(shell.run(&["ls", "archive:"]), @"");
    insta::assert_snapshot!(shell.run(&["connector", "remove", "onedrive"]), @"");
    insta::assert_snapshot!(shell.run(&["account", "remove", "work"]), @"");
    insta::assert_snapshot!(shell.run(&["destination", "delete", "archive"]), @"");
    insta::assert_snapshot!(shell.run(&["connector", "remove", "onedrive"]), @"");
    insta::assert_snapshot!(shell.run(&["account", "remove", "work"]), @"");
    insta::assert_snapshot!(shell.run(&["connector", "list"]), @"");
}

#[test]
fn the_same_journey_with_dropbox() {
    let shell = Shell::with_archive(Service::Dropbox);
    let data = sample(&shell);
    let copied = |ran: Ran, what: &str| assert!(ran.clone().failed(0).contains(what), "{ran}");
    copied(shell.run(&["copy", &data, "archive:data"]), "copied 3 files");
    let back = shell.room("back");
    copied(shell.run(&["copy", "archive:data", &back]), "copied 3 files");
    assert_same_tree(data.as_ref(), back.as_ref());
    copied(shell.run(&["copy", &data, "archive:data"]), "copied 0 files");
    copied(shell.run(&["copy", &data, "archive:data", "--checksum"]), "copied 0 files");
    assert_eq!(shell.run(&["rm", "-r", "archive:data"]).code, Some(0));
    assert_eq!(shell.run(&["ls", "archive:"]).done(), "");
    assert_eq!(shell.run(&["destination", "delete", "archive"]).code, Some(0));
    assert_eq!(shell.run(&["connector", "remove", "dropbox"]).code, Some(0));
}

#[test]
fn json_is_data_a_line_and_nothing_else() {
    for service in Service::ALL {
        let shell = Shell::with_archive(service);
        let data = sample(&shell);
        let copied = shell.run(&["copy", &data, "archive:data", "--json"]);
        assert_eq!(copied.stderr, "", "{copied}");
        let copied = copied.json();
        let files = copied.iter().filter(|line| line["event"] == "copied").count();
        assert_eq!(files, 3, "{copied:?}");
        let listed = shell.run(&["ls", "-R", "archive:", "--json"]);
        assert_eq!(listed.stderr, "", "{listed}");
        let listed = listed.json();
        let found = |path: &str| listed.iter().find(|line| line["path"] == path).unwrap_or(&Value::Null);
        assert_eq!(listed.len(), 5, "{listed:?}");
        assert_eq!((&found("data")["kind"], &found("data/docs")["kind"]), (&"folder".into(), &"folder".into()));
        let hello = found("data/hello.txt");
        assert_eq!((&hello["kind"], &hello["size"], &hello["name"]), (&"file".into(), &5.into(), &"hello.txt".into()));
        for key in ["modified", "hash", "revision"] {
            assert!(!hello[key].is_null(), "{service:?}: no {key} in {hello}");
        }
        let stat = shell.run(&["stat", "archive:data/hello.txt", "--json"]).json();
        assert_eq!(stat[0], *hello);
        let words = shell.run(&["stat", "archive:data/hello.txt"]).done();
        assert!(words.starts_with("path      archive:data/hello.txt\nkind      file\nsize      5 bytes\n"), "{words}");
        let summary = shell.run(&["audit", "archive", "--summary", "--json"]).json();
        let routes = summary[0]["routes"].as_array().unwrap();
        let puts: Vec<&Value> = routes.iter().filter(|route| route["operation"] == "put").collect();
        assert!(puts.iter().any(|route| route["attempts"] == 3 && route["retried"] == 0), "{puts:?}");
        for line in shell.run(&["audit", "archive", "--json"]).json() {
            assert_eq!(line["decision"], "allowed", "{line}");
        }
    }
}

#[test]
fn the_summary_of_an_audit() {
    let shell = Shell::with_archive(Service::OneDrive);
    insta::assert_snapshot!(shell.run(&["audit", "archive", "--summary"]), @"");
    let file = shell.file("hello.txt", "hello");
    shell.run(&["copy", &file, "archive:"]).done();
    shell.run(&["stat", "archive:hello.txt"]).done();
    let summary = shell.run(&["audit", "archive", "--summary"]);
    // Bytes received depend on what the service says of itself, and times on the machine.
    let table: Vec<String> = summary.stdout.lines().map(|line| line.split_whitespace().take(9).collect::<Vec<_>>().join(" ")).collect();
    insta::assert_snapshot!(table.join("\n"), @"");
    insta::assert_snapshot!(summary.stderr, @"");
    assert_eq!(shell.run(&["audit", "archive", "--limit", "1"]).done().lines().count(), 1);
}

/// Every command that there is, as its words.
fn commands(shell: &Shell) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut waiting = vec![Vec::new()];
    while let Some(words) = waiting.pop() {
        let help = help(shell, &words);
        let below = help.lines().skip_while(|line| *line != "Commands:").skip(1);
        for line in below.take_while(|line| line.starts_with("  ")) {
            let Some(name) = line.split_whitespace().next().filter(|_| !line.starts_with("   ")) else { continue };
            waiting.push([words.as_slice(), &[name.to_owned()]].concat());
        }
        found.push(words);
    }
    found
}

fn help(shell: &Shell, words: &[String]) -> String {
    let words: Vec<&str> = words.iter().map(String::as_str).chain(["--help"]).collect();
    let ran = shell.run(&words);
    assert_eq!(ran.stderr, "", "{ran}");
    ran.done()
}

#[test]
fn every_command_has_help() {
    let shell = Shell::new();
    let commands = commands(&shell);
    assert!(commands.len() > 20, "{commands:?}");
    for words in &commands {
        let help = help(&shell, words);
        assert!(help.contains("Usage: wharf"), "{words:?}: {help}");
        assert!(help.lines().all(|line| line.chars().count() <= 100), "{words:?}: a line is too long");
    }
    assert!(!shell.path("home").exists(), "help makes no home");
}

/// A group has none of its own: its commands do.
#[test]
fn every_command_has_an_example() {
    let shell = Shell::new();
    let without: Vec<String> = commands(&shell)
        .into_iter()
        .filter(|words| {
            let help = help(&shell, words);
            !help.contains("Commands:\n") && !help.contains("Example:\n") && !help.contains("Examples:\n")
        })
        .map(|words| words.join(" "))
        .collect();
    assert_eq!(without, Vec::<String>::new());
    let first = help(&shell, &[]);
    assert!(first.contains("First steps:\n") && first.contains("Exit codes:\n"), "{first}");
}

#[test]
fn completions_for_every_shell() {
    let shell = Shell::new();
    for name in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = shell.run(&["completion", name]).done();
        assert!(script.contains("wharf") && script.contains("backup-directory"), "{name}");
    }
    assert!(!shell.path("home").exists(), "a script makes no home");
}

#[test]
fn a_reader_who_has_gone_is_no_failure() {
    let shell = Shell::with_archive(Service::Dropbox);
    shell.cloud.dropbox().put_many(ACCOUNT, "/backups/server1", 3000).unwrap();
    for words in [&["ls", "archive:"][..], &["completion", "bash"], &["--help"], &["audit", "archive"], &["destination", "list"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = shell.command(words).stdout(writer).stderr(Stdio::piped()).output().unwrap();
        let ran = shell.ran(&output);
        assert_eq!((ran.code, &*ran.stderr), (Some(0), ""), "{words:?}: {ran}");
    }
}

#[test]
fn a_listing_compiles_nothing() {
    let shell = Shell::with_archive(Service::Dropbox);
    shell.cloud.dropbox().put_file(ACCOUNT, "/backups/server1/there", b"x").unwrap();
    let compiles = |ran: Ran| {
        assert_eq!((ran.code, &*ran.stdout), (Some(0), "there"), "{ran}");
        ran.stderr.contains("compiling the connector again")
    };
    let [artefact] = shell.artefacts().try_into().unwrap();
    let before = artefact.metadata().unwrap().modified().unwrap();
    assert!(!compiles(shell.run(&["-vv", "ls", "archive:"])));
    assert_eq!(artefact.metadata().unwrap().modified().unwrap(), before);
    std::fs::remove_file(&artefact).unwrap();
    assert!(compiles(shell.run(&["-vv", "ls", "archive:"])), "without it, it is said that it takes longer");
    assert!(!compiles(shell.run(&["-vv", "ls", "archive:"])), "once");
}

#[test]
fn two_processes_create_the_same_destination_and_one_wins() {
    let shell = Shell::with_account(Service::OneDrive);
    let words = [
        "destination", "create", "archive", "--type", "onedrive", "--account", "work", "--backup-directory", "/backups/server1", "--yes",
    ];
    let start = || shell.command(&words).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let started = [start(), start(), start()];
    let ran = started.map(|child| shell.ran(&child.wait_with_output().unwrap()));
    let (won, lost): (Vec<&Ran>, Vec<&Ran>) = ran.iter().partition(|ran| ran.code == Some(0));
    assert_eq!(won.len(), 1, "{ran:?}");
    for loser in lost {
        let message = loser.clone().failed(4);
        assert!(message.contains("error: ") && message.contains("`archive`"), "{message}");
    }
    assert_eq!(shell.run(&["destination", "list"]).done().lines().count(), 2, "a heading and one destination");
    shell.run(&["ls", "archive:"]).done();
}

/// Tokens, a client's secret and addresses that a service signed are in no file of the home, sealed
/// ones and databases included, and in nothing that is printed, at the highest verbosity either.
#[test]
fn no_secret_is_anywhere() {
    for service in Service::ALL {
        let shell = Shell::new();
        let mut printed = format!("{}\n{}\n", shell.install(service), shell.add_account("work", service));
        let token: Value = serde_json::from_slice(&std::fs::read(shell.path("token.json")).unwrap()).unwrap();
        let client_secret = std::fs::read_to_string(shell.path("client-secret")).unwrap();
        let mut run = |words: &[&str]| {
            let ran = shell.run(&[&["-vvv"], words].concat());
            printed.push_str(&format!("{ran}\n"));
            ran
        };
        run(&["destination", "create", "archive", "--type", service.kind(), "--account", "work", "--backup-directory", "/backups/server1", "--yes"]).done();
        let data = sample(&shell);
        // In parts at OneDrive, and one that is cut, so that what fails is told as well.
        shell.file("data/large.bin", noise(4, 12 * 1024 * 1024));
        shell.cloud.faults().add(cloud::Rule::once(service.part(), cloud::Action::CutBefore));
        run(&["copy", &data, "archive:data"]).done();
        match service {
            Service::OneDrive => shell.cloud.onedrive().expire_tokens(ACCOUNT),
            Service::Dropbox => shell.cloud.dropbox().expire_tokens(ACCOUNT),
        }
        let back = shell.room("back");
        run(&["copy", "archive:data", &back]).done();
        run(&["ls", "-R", "archive:", "--json"]).done();
        run(&["account", "list", "--json"]).done();
        run(&["destination", "show", "archive", "--json"]).done();
        run(&["audit", "archive", "--json"]).done();
        match service {
            Service::OneDrive => shell.cloud.onedrive().revoke(ACCOUNT),
            Service::Dropbox => shell.cloud.dropbox().revoke(ACCOUNT),
        }
        run(&["ls", "archive:"]).failed(6);
        run(&["audit", "archive"]).done();

        let [access, refresh] = ["access_token", "refresh_token"].map(|key| token[key].as_str().unwrap());
        // What tokens begin with, so that the renewed ones are found as well; what signed addresses have.
        let secrets = [
            access, refresh, &client_secret, &access[..8], "Bearer ", "uploadUrl", "downloadUrl", "tempauth", "guid=%27",
            "psid=1", "/up/", "sharepoint.com/personal",
        ];
        let mut files = wharf_tests::tree(&shell.path("home"));
        assert!(files.len() > 5, "{files:?}");
        files.push(("what was printed".to_owned(), Some(printed.into_bytes())));
        for (name, bytes) in files {
            let Some(bytes) = bytes else { continue };
            // Code holds the names of the fields that it reads, and no value.
            let is_code = name.starts_with("blobs") || name.starts_with("artefacts");
            for secret in secrets.iter().take(if is_code { 3 } else { secrets.len() }) {
                let found = bytes.windows(secret.len()).position(|window| window == secret.as_bytes());
                let near = found.map(|at| String::from_utf8_lossy(&bytes[at.saturating_sub(80)..(at + 40).min(bytes.len())]).into_owned());
                assert_eq!(near, None, "{service:?}: `{}…` is in {name}", &secret[..secret.len().min(12)]);
            }
        }
    }
}
