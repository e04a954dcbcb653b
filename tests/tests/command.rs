//! The built command: what it prints, how it ends, and that a usual journey works from the first word
//! to the last. What goes wrong is in `command_wrong.rs` and `command_home.rs`, and
//! what nobody may see in `command_secret.rs`.

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
    insta::assert_snapshot!(shell.install(Service::OneDrive), @"
    --- stderr
    Microsoft OneDrive (dev.wharf.onedrive@0.1.0) is unsigned and asks for:
    Reads:
      stat           read what is stored at a path
                     GET https://graph.microsoft.com/…  inside the backup directory
      children       list a folder
                     GET https://graph.microsoft.com/…  inside the backup directory
      next-page      continue the list of a folder
                     GET graph.microsoft.com  only where the service said
      changes        list everything on the drive, to learn what changed since
                     GET https://graph.microsoft.com/…
                     NOT CONFINED to the backup directory (arguments: $top, $select), only with the option track_changes
      next-changes   learn what changed on the drive since
                     GET graph.microsoft.com
                     NOT CONFINED to the backup directory, only with the option track_changes
      content        ask where a file can be downloaded
                     GET https://graph.microsoft.com/…  inside the backup directory
      download       download a file or a part of it
                     GET *.files.1drv.com, *.sharepoint.com, my.microsoftpersonalcontent.com
                     only where the service said, without the account's token
      copy-status    ask how far a copy is
                     GET api.onedrive.com, *.sharepoint.com, *.svc.ms, my.microsoftpersonalcontent.com
                     only where the service said, without the account's token
      usage          read how full the drive is
                     GET https://graph.microsoft.com/…
                     NOT CONFINED to the backup directory (arguments: $select)
    Writes:
      make-folder    make a folder
                     POST https://graph.microsoft.com/…  inside the backup directory
      put            upload a file in one request
                     PUT https://graph.microsoft.com/…  inside the backup directory
      set-modified   set the modification time of a file
                     PATCH https://graph.microsoft.com/…  inside the backup directory
      start-upload   begin the upload of a file in parts
                     POST https://graph.microsoft.com/…  inside the backup directory
      send-part      upload a part of a file
                     PUT *.up.1drv.com, *.sharepoint.com, my.microsoftpersonalcontent.com
                     only where the service said, without the account's token
      upload-status  ask how much of an upload has arrived
                     GET *.up.1drv.com, *.sharepoint.com, my.microsoftpersonalcontent.com
                     only where the service said, without the account's token
      cancel-upload  give up an upload
                     DELETE *.up.1drv.com, *.sharepoint.com, my.microsoftpersonalcontent.com
                     only where the service said, without the account's token
      rename         give a file or folder another name in its folder
                     PATCH https://graph.microsoft.com/…  inside the backup directory
      move           move a file or folder to another folder
                     PATCH https://graph.microsoft.com/…  inside the backup directory
      copy           copy a file or folder within its folder
                     POST https://graph.microsoft.com/…  inside the backup directory
      copy-to        copy a file or folder to another folder
                     POST https://graph.microsoft.com/…  inside the backup directory
      delete         move a file or folder to the recycle bin
                     DELETE https://graph.microsoft.com/…  inside the backup directory
      erase          delete a file or folder without the recycle bin
                     POST https://graph.microsoft.com/…
                     inside the backup directory, only with the option permanent_delete
    installed `dev.wharf.onedrive@0.1.0`; it is unsigned
    --- exit 0
    ");
    insta::assert_snapshot!(shell.add_account("work", Service::OneDrive), @"
    --- stderr
    added account `work`; its token is sealed in the home
    --- exit 0
    ");
    insta::assert_snapshot!(shell.create("archive", Service::OneDrive, &["--yes"]), @"
    --- stderr
    Microsoft OneDrive (dev.wharf.onedrive@0.1.0), unsigned, will be allowed to do this for destination `archive`
    with backup directory `/backups/server1`:
    Reads:
      stat           read what is stored at a path
                     GET https://graph.microsoft.com/…  inside the backup directory
      children       list a folder
                     GET https://graph.microsoft.com/…  inside the backup directory
      next-page      continue the list of a folder
                     GET graph.microsoft.com  only where the service said
      changes        list everything on the drive, to learn what changed since
                     GET https://graph.microsoft.com/…
                     NOT CONFINED to the backup directory (arguments: $top, $select), only with the option track_changes
      next-changes   learn what changed on the drive since
                     GET graph.microsoft.com
                     NOT CONFINED to the backup directory, only with the option track_changes
      content        ask where a file can be downloaded
                     GET https://graph.microsoft.com/…  inside the backup directory
      download       download a file or a part of it
                     GET *.files.1drv.com, *.sharepoint.com, my.microsoftpersonalcontent.com
                     only where the service said, without the account's token
      copy-status    ask how far a copy is
                     GET api.onedrive.com, *.sharepoint.com, *.svc.ms, my.microsoftpersonalcontent.com
                     only where the service said, without the account's token
      usage          read how full the drive is
                     GET https://graph.microsoft.com/…
                     NOT CONFINED to the backup directory (arguments: $select)
    Writes:
      make-folder    make a folder
                     POST https://graph.microsoft.com/…  inside the backup directory
      put            upload a file in one request
                     PUT https://graph.microsoft.com/…  inside the backup directory
      set-modified   set the modification time of a file
                     PATCH https://graph.microsoft.com/…  inside the backup directory
      start-upload   begin the upload of a file in parts
                     POST https://graph.microsoft.com/…  inside the backup directory
      send-part      upload a part of a file
                     PUT *.up.1drv.com, *.sharepoint.com, my.microsoftpersonalcontent.com
                     only where the service said, without the account's token
      upload-status  ask how much of an upload has arrived
                     GET *.up.1drv.com, *.sharepoint.com, my.microsoftpersonalcontent.com
                     only where the service said, without the account's token
      cancel-upload  give up an upload
                     DELETE *.up.1drv.com, *.sharepoint.com, my.microsoftpersonalcontent.com
                     only where the service said, without the account's token
      rename         give a file or folder another name in its folder
                     PATCH https://graph.microsoft.com/…  inside the backup directory
      move           move a file or folder to another folder
                     PATCH https://graph.microsoft.com/…  inside the backup directory
      copy           copy a file or folder within its folder
                     POST https://graph.microsoft.com/…  inside the backup directory
      copy-to        copy a file or folder to another folder
                     POST https://graph.microsoft.com/…  inside the backup directory
      delete         move a file or folder to the recycle bin
                     DELETE https://graph.microsoft.com/…  inside the backup directory
      erase          delete a file or folder without the recycle bin
                     POST https://graph.microsoft.com/…
                     inside the backup directory, only with the option permanent_delete
    created destination `archive`; try `wharf ls archive:`
    --- exit 0
    ");
    insta::assert_snapshot!(shell.run(&["connector", "list"]), @"
    --- stdout
    TYPE      ID                  VERSION  SIGNED BY  INSTALLED
    onedrive  dev.wharf.onedrive  0.1.0    unsigned   [MOMENT]
    --- exit 0
    ");
    insta::assert_snapshot!(shell.run(&["account", "list"]), @"
    --- stdout
    NAME  TYPE      FOR                  SIGNED IN                               TOKEN                  CLIENT
    work  onedrive  reading and writing  [MOMENT] with a token file  refreshed when needed  [GUID]
    --- exit 0
    ");
    insta::assert_snapshot!(shell.run(&["destination", "list"]), @"
    --- stdout
    NAME     TYPE      ACCOUNT  BACKUP DIRECTORY  THREADS  NOTES
    archive  onedrive  work     /backups/server1        4  unsigned connector
    --- exit 0
    ");
    insta::assert_snapshot!(shell.run(&["ls", "archive:"]), @"
    --- stderr
    the backup directory is not there yet; the first copy makes it
    --- exit 0
    ");
    let data = sample(&shell);
    // In no order, since folders are read side by side.
    let dry = shell.run(&["copy", &data, "archive:data", "--dry-run"]);
    let mut files: Vec<&str> = dry.stdout.lines().collect();
    files.sort_unstable();
    assert_eq!(files, ["docs/Zürich #1.txt", "empty", "hello.txt"]);
    assert_eq!((dry.code, &*dry.stderr), (Some(0), "would copy 3 files (68.36 KiB)"));
    insta::assert_snapshot!(shell.run(&["copy", &data, "archive:data"]), @"
    --- stderr
    copied 3 files (68.36 KiB) in [TIME], [SPEED]
    --- exit 0
    ");
    insta::assert_snapshot!(shell.run(&["ls", "-R", "archive:"]), @"
    --- stdout
    data/
    data/docs/
    data/empty
    data/hello.txt
    data/docs/Zürich #1.txt
    --- exit 0
    ");
    insta::assert_snapshot!(shell.run(&["ls", "-l", "archive:data"]), @"
    --- stdout
                  -  [MOMENT]  docs/
                  0  [MOMENT]  empty
                  5  [MOMENT]  hello.txt
    --- exit 0
    ");
    let back = shell.room("back");
    insta::assert_snapshot!(shell.run(&["copy", "archive:data", &back]), @"
    --- stderr
    copied 3 files (68.36 KiB) in [TIME], [SPEED]
    --- exit 0
    ");
    assert_same_tree(data.as_ref(), back.as_ref());
    insta::assert_snapshot!(shell.run(&["copy", &data, "archive:data"]), @"
    --- stderr
    copied 0 files (0 B) in [TIME]; 3 unchanged
    --- exit 0
    ");
    insta::assert_snapshot!(shell.run(&["copy", "archive:data", &back]), @"
    --- stderr
    copied 0 files (0 B) in [TIME]; 3 unchanged
    --- exit 0
    ");
    insta::assert_snapshot!(shell.run(&["mkdir", "archive:more/deep"]), @"
    --- stderr
    made the folder `archive:more/deep`
    --- exit 0
    ");
    insta::assert_snapshot!(shell.run(&["rm", "archive:data/hello.txt"]), @"
    --- stderr
    removed `archive:data/hello.txt`
    --- exit 0
    ");
    insta::assert_snapshot!(shell.run(&["rm", "archive:data"]), @"
    --- stderr
    error: `archive:data` is a folder
    hint: run `wharf rm --recursive archive:data` to remove it with everything in it
    --- exit 2
    ");
    insta::assert_snapshot!(shell.run(&["rm", "--recursive", "archive:data"]), @"
    --- stderr
    removed `archive:data`
    --- exit 0
    ");
    insta::assert_snapshot!(shell.run(&["ls", "archive:"]), @"
    --- stdout
    more/
    --- exit 0
    ");
    insta::assert_snapshot!(shell.run(&["connector", "remove", "onedrive"]), @"
    --- stderr
    error: connector `dev.wharf.onedrive` is used by `archive`
    hint: delete those destinations first
    --- exit 4
    ");
    insta::assert_snapshot!(shell.run(&["account", "remove", "work"]), @"
    --- stderr
    error: account `work` is used by `archive`
    hint: delete those destinations first
    --- exit 4
    ");
    insta::assert_snapshot!(shell.run(&["destination", "delete", "archive"]), @"
    --- stderr
    deleted destination `archive`; what is stored in `/backups/server1` stays
    --- exit 0
    ");
    insta::assert_snapshot!(shell.run(&["connector", "remove", "onedrive"]), @"
    --- stderr
    removed connector `dev.wharf.onedrive@0.1.0`
    --- exit 0
    ");
    insta::assert_snapshot!(shell.run(&["account", "remove", "work"]), @"
    --- stderr
    removed account `work`
    --- exit 0
    ");
    insta::assert_snapshot!(shell.run(&["connector", "list"]), @"
    --- stderr
    there are no connectors yet; see `wharf connector install --help`
    --- exit 0
    ");
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
        assert_eq!(
            (&found("data")["kind"], &found("data/docs")["kind"]),
            (&"folder".into(), &"folder".into())
        );
        let hello = found("data/hello.txt");
        assert_eq!(
            (&hello["kind"], &hello["size"], &hello["name"]),
            (&"file".into(), &5.into(), &"hello.txt".into())
        );
        for key in ["modified", "hash", "revision"] {
            assert!(!hello[key].is_null(), "{service:?}: no {key} in {hello}");
        }
        let stat = shell.run(&["stat", "archive:data/hello.txt", "--json"]).json();
        assert_eq!(stat[0], *hello);
        let words = shell.run(&["stat", "archive:data/hello.txt"]).done();
        assert!(
            words.starts_with("path      archive:data/hello.txt\nkind      file\nsize      5 bytes\n"),
            "{words}"
        );
        let summary = shell.run(&["audit", "archive", "--summary", "--json"]).json();
        let routes = summary[0]["routes"].as_array().unwrap();
        let sends = if service == Service::Dropbox { "begin-upload" } else { "put" };
        let puts: Vec<&Value> = routes.iter().filter(|route| route["operation"] == sends).collect();
        assert!(puts.iter().any(|route| route["attempts"] == 3 && route["retried"] == 0), "{puts:?}");
        for line in shell.run(&["audit", "archive", "--json"]).json() {
            assert_eq!(line["decision"], "allowed", "{line}");
        }
    }
}

#[test]
fn the_summary_of_an_audit() {
    let shell = Shell::with_archive(Service::OneDrive);
    insta::assert_snapshot!(shell.run(&["audit", "archive", "--summary"]), @"
    --- stderr
    nothing was asked for destination `archive` yet
    --- exit 0
    ");
    let file = shell.file("hello.txt", "hello");
    shell.run(&["copy", &file, "archive:"]).done();
    shell.run(&["stat", "archive:hello.txt"]).done();
    let summary = shell.run(&["audit", "archive", "--summary"]);
    // Bytes received depend on what the service says of itself, and times on the machine; so does the
    // mark of ownership, which has the machine's name.
    let columns = |line: &str| if line.starts_with("claim") { 7 } else { 9 };
    let table: Vec<String> = summary
        .stdout
        .lines()
        .map(|line| line.split_whitespace().take(columns(line)).collect::<Vec<_>>().join(" "))
        .collect();
    insta::assert_snapshot!(table.join("\n"), @"
    OPERATION ROUTE REQUESTS RETRIED PAUSED DENIED FAILED SENT RECEIVED
    stat stat 2 0 0 0 0 0 B
    claim start-upload 1 0 0 0 0
    claim send-part 1 0 0 0 0
    put put 1 0 0 0 0 5 B
    ");
    insta::assert_snapshot!(summary.stderr, @"from [MOMENT] to [MOMENT]");
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
            let Some(name) = line.split_whitespace().next().filter(|_| !line.starts_with("   ")) else {
                continue;
            };
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
    for words in [
        &["ls", "archive:"][..],
        &["completion", "bash"],
        &["--help"],
        &["audit", "archive"],
        &["destination", "list"],
    ] {
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
        "destination",
        "create",
        "archive",
        "--type",
        "onedrive",
        "--account",
        "work",
        "--backup-directory",
        "/backups/server1",
        "--yes",
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
    assert_eq!(
        shell.run(&["destination", "list"]).done().lines().count(),
        2,
        "a heading and one destination"
    );
    shell.run(&["ls", "archive:"]).done();
}
