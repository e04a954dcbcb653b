//! Grants: shown, given, taken back, and what an update of a connector gets without being asked.
#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

use std::process::Stdio;
use std::time::{Duration, Instant};

use cloud::{Action, Rule};
use serde_json::Value;
use wharf_runtime::manifest::section;
use wharf_tests::{Ran, Service, Shell, connector};

const MANIFEST: &str = include_str!("../../connectors/dropbox/manifest.json");

/// The Dropbox connector with another manifest, installed.
fn install(shell: &Shell, change: impl FnOnce(&mut Value)) -> Ran {
    let mut manifest: Value = serde_json::from_str(MANIFEST).unwrap();
    change(&mut manifest);
    let packed = section::write(&connector("dropbox"), manifest.to_string().as_bytes()).unwrap();
    let file = shell.file("changed.wasm", packed);
    shell.run(&["connector", "install", &file, "--allow-unsigned"])
}

fn route<'a>(manifest: &'a mut Value, name: &str) -> &'a mut Value {
    let routes = manifest["routes"].as_array_mut().unwrap();
    routes.iter_mut().find(|route| route["name"] == name).unwrap()
}

fn standing(shell: &Shell, name: &str) -> Value {
    let shown = shell.run(&["grant", "show", "archive", "--json"]).json();
    let routes = shown[0]["routes"].as_array().unwrap();
    routes.iter().find(|route| route["name"] == name).unwrap().clone()
}

#[test]
fn a_route_is_taken_back_and_given_again() {
    let shell = Shell::with_archive(Service::OneDrive);
    let file = shell.file("hello.txt", "hello");
    insta::assert_snapshot!(shell.run(&["grant", "deny", "archive", "delete", "put"]), @"
    --- stderr
    taken back from destination `archive`: delete, put
    --- exit 0
    ");
    insta::assert_snapshot!(shell.run(&["copy", &file, "archive:"]), @"
    --- stderr
    copied 0 files (0 B) in [TIME]; 1 failed
    error: cannot store `archive:hello.txt`: denied
      caused by: the route `put` is not granted (destination `archive`, connector `onedrive@0.1.0`, route `put`, rule `not-granted`)
    hint: run `wharf grant allow archive put` if it is to be allowed
    --- exit 5
    ");
    let shown = shell.run(&["grant", "show", "archive"]).done();
    let (granted, missing) = shown.split_once("\nNot granted\n").unwrap();
    assert!(granted.contains("  stat           read what is stored at a path\n"), "{shown}");
    assert!(missing.contains("  delete        move a file or folder to the recycle bin\n"), "{shown}");
    assert_eq!(standing(&shell, "put")["standing"], "not-granted");
    insta::assert_snapshot!(shell.run(&["grant", "allow", "archive", "put"]), @"
    --- stderr
    dev.wharf.onedrive@0.1.0 will be allowed to do this for destination `archive`:
    Writes:
      put           upload a file in one request
                    PUT https://graph.microsoft.com/v1.0/{drive}/{root}:{item}:/content
                    inside the backup directory
    error: nobody is there to answer: grant this to destination `archive`?
    hint: add `--yes` if you agree
    --- exit 16
    ");
    assert_eq!(standing(&shell, "put")["standing"], "not-granted");
    insta::assert_snapshot!(shell.run(&["grant", "allow", "archive", "put", "--yes", "--quiet"]), @"--- exit 0");
    shell.run(&["copy", &file, "archive:"]).done();
    insta::assert_snapshot!(shell.run(&["rm", "archive:hello.txt"]), @"
    --- stderr
    error: cannot remove `archive:hello.txt`: denied
      caused by: the route `delete` is not granted (destination `archive`, connector `onedrive@0.1.0`, route `delete`, rule `not-granted`)
    hint: run `wharf grant allow archive delete` if it is to be allowed
    --- exit 5
    ");
    shell.run(&["grant", "allow", "archive", "--all", "--yes"]).done();
    insta::assert_snapshot!(shell.run(&["grant", "allow", "archive", "--all"]), @"
    --- stderr
    destination `archive` has that already
    --- exit 0
    ");
    shell.run(&["rm", "archive:hello.txt"]).done();
    insta::assert_snapshot!(shell.run(&["grant", "allow", "archive", "fly"]), @"
    --- stderr
    error: connector `dev.wharf.onedrive@0.1.0` of destination `archive` has no route `fly`
    hint: run `wharf grant show archive` to see its routes
    --- exit 3
    ");
    insta::assert_snapshot!(shell.run(&["grant", "deny", "archive", "fly"]), @"
    --- stderr
    error: connector `dev.wharf.onedrive@0.1.0` of destination `archive` has no route `fly`
    hint: run `wharf grant show archive` to see its routes
    --- exit 3
    ");
}

/// The file says what was agreed to, so that a person can read it and compare it with an older one.
#[test]
fn a_grant_in_its_file() {
    let shell = Shell::with_account(Service::OneDrive);
    shell.create("archive", Service::OneDrive, &["--grant", "put", "--grant", "next-page", "--yes"]).done();
    let text = std::fs::read_to_string(shell.path("home/destinations/archive.toml")).unwrap();
    insta::assert_snapshot!(text, @r#"
    connector = "onedrive"
    account = "work"
    backup_directory = "/backups/server1"
    granted_to = "dev.wharf.onedrive"

    [[grant]]
    route = "put"
    allows = [
        'PUT https://graph.microsoft.com/v1.0/{drive}/{root}:{item}:/content ({item} without any of "*:<>?|)',
        "carries bytes of the connector's own",
        "carries bytes of the file",
        "header content-type",
        "header if-match",
        "may be sent twice",
        "query @microsoft.graph.conflictBehavior",
        "with the account's token",
        "writes",
        "{drive} is drives/{} by the option drive_id, else me/drive",
        "{root} is special/approot by the option app_folder, else root",
    ]

    [[grant]]
    route = "next-page"
    allows = [
        "GET to graph.microsoft.com, where the service said (page)",
        "may be sent twice",
        "takes the key @odata.nextLink of replies as page",
        "with the account's token",
    ]
    "#);
}

#[test]
fn a_read_only_destination_is_granted_nothing_that_writes() {
    let shell = Shell::with_account(Service::Dropbox);
    shell.create("restore", Service::Dropbox, &["--read-only", "--yes"]).done();
    insta::assert_snapshot!(shell.run(&["grant", "allow", "restore", "put", "--yes"]), @"
    --- stderr
    error: the route `put` writes, and destination `restore` is read-only for life
    hint: create another destination without `--read-only` to write
    --- exit 5
    ");
    shell.run(&["grant", "allow", "restore", "--all", "--yes"]).done();
    let file = std::fs::read_to_string(shell.path("home/destinations/restore.toml")).unwrap();
    assert!(!file.contains("\"writes\""), "{file}");
    let shown = shell.run(&["grant", "show", "restore"]).done();
    assert!(shown.contains("Never, since it is read-only: make-folder, put, "), "{shown}");
}

/// A new route, one more argument.
fn asks_for_more(manifest: &mut serde_json::Value) {
    manifest["version"] = "0.2.0".into();
    route(manifest, "delete")["json"]["keys"].as_array_mut().unwrap().push("everything".into());
    let mut new = route(manifest, "stat").clone();
    new["name"] = "spy".into();
    manifest["routes"].as_array_mut().unwrap().push(new);
}

/// Which version a destination runs, as the connector's page and its own tell.
fn runs(shell: &Shell) -> String {
    let grants = shell.run(&["grant", "show", "archive", "--json"]).json().remove(0);
    let shown = shell.run(&["destination", "show", "archive", "--json"]).json().remove(0);
    let runs = grants["runs"].as_str().unwrap().to_owned();
    assert_eq!(shown["connector"], format!("dev.wharf.dropbox@{runs}"));
    runs
}

#[test]
fn an_update_that_asks_for_more_waits_until_somebody_agrees() {
    let shell = Shell::with_archive(Service::Dropbox);
    let file = shell.file("hello.txt", "hello");
    shell.run(&["copy", &file, "archive:"]).done();
    let updated = install(&shell, asks_for_more).failed(16);
    let (_, told) = updated.split_once("it is unsigned\n").unwrap();
    insta::assert_snapshot!(told, @"
    warning: `dev.wharf.dropbox@0.2.0` asks for more than destination `archive` granted; it goes on with 0.1.0
      delete        delete a file or folder
                    + argument everything
      spy           read what is stored at a path
                    + all of it
    error: the new version is not used until what is new is granted to `archive`, or decided against
    hint: run `wharf grant show archive`, then `wharf grant allow archive --all` to agree, or `wharf grant deny archive ROUTE`
    ");
    assert_eq!(runs(&shell), "0.1.0");
    shell.run(&["rm", "archive:hello.txt"]).done();
    // The version that goes on is looked after as the installed one is.
    let verified = shell.run(&["connector", "verify", "dropbox"]).done();
    assert!(verified.contains("0.2.0") && verified.contains("0.1.0"), "{verified}");
    let shown = shell.run(&["connector", "show", "dropbox", "--json"]).json().remove(0);
    assert_eq!(shown["waiting"][0]["destination"], "archive");
    assert_eq!(shown["waiting"][0]["runs"], "0.1.0");
    let page = shell.run(&["destination", "show", "archive"]).done();
    assert!(page.contains("update           0.2.0 asks for more: run `wharf grant show archive`"), "{page}");
    assert_eq!(standing(&shell, "delete")["more"][0], "argument everything");
    assert_eq!(standing(&shell, "spy")["standing"], "not-granted");
    // One of two: it waits for the other.
    let asked = shell.run(&["grant", "allow", "archive", "delete"]).failed(16);
    assert!(asked.contains("+ argument everything"), "what is new is shown first: {asked}");
    shell.run(&["grant", "allow", "archive", "delete", "--yes"]).done();
    assert_eq!(runs(&shell), "0.1.0");
    let denied = shell.run(&["grant", "deny", "archive", "spy"]);
    insta::assert_snapshot!(denied, @"
    --- stderr
    destination `archive` did not have, and will not be asked for: spy
    destination `archive` runs version 0.2.0 from now on
    --- exit 0
    ");
    assert_eq!(runs(&shell), "0.2.0");
    shell.run(&["copy", &file, "archive:"]).done();
    shell.run(&["rm", "archive:hello.txt"]).done();
    // Nobody runs the old one: it is gone, and not asked for again.
    let shown = shell.run(&["connector", "show", "dropbox", "--json"]).json().remove(0);
    assert_eq!(shown["waiting"].as_array().unwrap().len(), 0);
    assert!(!shell.run(&["connector", "verify"]).done().contains("0.1.0"));
    // The next one asks for less: it needs nobody, and what was granted in vain is told.
    install(&shell, |manifest| {
        manifest["version"] = "0.3.0".into();
        let routes = manifest["routes"].as_array_mut().unwrap();
        routes.retain(|route| route["name"] != "copy");
    })
    .done();
    assert_eq!(runs(&shell), "0.3.0");
    let shown = shell.run(&["grant", "show", "archive"]).done();
    assert!(shown.contains("Granted, and not asked for any more: copy"), "{shown}");
    shell.run(&["grant", "deny", "archive", "copy"]).done();
    assert!(!shell.run(&["grant", "show", "archive"]).done().contains("not asked for any more"));
}

/// What asks for more waits for as many updates as it takes, and one that asks for no more than was
/// granted does not wait for those before it.
#[test]
fn each_destination_runs_what_it_agreed_to() {
    let shell = Shell::with_archive(Service::Dropbox);
    let other = ["--type", "dropbox", "--account", "work", "--backup-directory", "/backups/other", "--yes"];
    shell.run(&[&["destination", "create", "other"], &other[..]].concat()).done();
    install(&shell, asks_for_more).failed(16);
    shell.run(&["grant", "allow", "other", "--all", "--yes"]).done();
    let other = || shell.run(&["grant", "show", "other", "--json"]).json().remove(0)["runs"].clone();
    assert_eq!((runs(&shell).as_str(), other()), ("0.1.0", "0.2.0".into()));
    // The third asks for something else again.
    install(&shell, |manifest| {
        asks_for_more(manifest);
        manifest["version"] = "0.3.0".into();
        let mut new = route(manifest, "stat").clone();
        new["name"] = "more".into();
        manifest["routes"].as_array_mut().unwrap().push(new);
    })
    .failed(16);
    assert_eq!((runs(&shell).as_str(), other()), ("0.1.0", "0.2.0".into()));
    // The fourth for nothing that `archive` has not granted.
    install(&shell, |manifest| manifest["version"] = "0.4.0".into()).done();
    assert_eq!((runs(&shell).as_str(), other()), ("0.4.0", "0.4.0".into()));
}

/// A file that nobody can read hides no connector, and takes away no version that it may need.
#[test]
fn a_broken_destination_keeps_what_is_kept() {
    let shell = Shell::with_archive(Service::Dropbox);
    install(&shell, asks_for_more).failed(16);
    let path = shell.path("home/destinations/archive.toml");
    let sound = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, "connector = 7\n").unwrap();
    let shown = shell.run(&["connector", "show", "dropbox", "--json"]).json().remove(0);
    assert_eq!(shown["waiting"].as_array().unwrap().len(), 0);
    let installed = install(&shell, |manifest| {
        asks_for_more(manifest);
        manifest["version"] = "0.3.0".into();
    });
    assert!(installed.stderr.contains("installed `dev.wharf.dropbox@0.3.0`"), "{installed}");
    assert!(installed.stderr.contains("destinations/archive.toml"), "{installed}");
    std::fs::write(&path, sound).unwrap();
    assert_eq!(runs(&shell), "0.1.0");
}

/// An option that is off asks for nothing.
#[test]
fn what_an_option_opens_is_no_news_while_it_is_off() {
    let shell = Shell::with_archive(Service::Dropbox);
    let with_option = |manifest: &mut serde_json::Value| {
        manifest["version"] = "0.2.0".into();
        let mut new = route(manifest, "stat").clone();
        new["name"] = "spy".into();
        new["only_with"] = "spying".into();
        manifest["routes"].as_array_mut().unwrap().push(new);
        manifest["options"]["properties"]["spying"] =
            serde_json::json!({"type": "boolean", "description": "look around"});
    };
    let path = shell.path("home/destinations/archive.toml");
    let sound = std::fs::read_to_string(&path).unwrap();
    install(&shell, with_option).done();
    assert_eq!(runs(&shell), "0.2.0");
    install(&shell, |manifest| {
        with_option(manifest);
        manifest["version"] = "0.3.0".into();
        let mut more = route(manifest, "spy").clone();
        more["name"] = "spy-more".into();
        manifest["routes"].as_array_mut().unwrap().push(more);
    })
    .done();
    assert_eq!(runs(&shell), "0.3.0");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), sound);
}

/// Where the version before is gone, the new one is held to what was granted.
#[test]
fn a_version_that_is_named_runs_with_what_was_granted() {
    let shell = Shell::with_archive(Service::Dropbox);
    let file = shell.file("hello.txt", "hello");
    shell.run(&["copy", &file, "archive:"]).done();
    install(&shell, asks_for_more).failed(16);
    let path = shell.path("home/destinations/archive.toml");
    let sound = std::fs::read_to_string(&path).unwrap();
    let named = |version: &str| {
        let text = sound.replace("connector = \"dropbox\"", &format!("connector = \"dropbox@{version}\""));
        assert_ne!(text, sound);
        std::fs::write(&path, text).unwrap();
    };
    named("0.2.0");
    assert_eq!(runs(&shell), "0.2.0");
    assert_eq!(shell.run(&["ls", "archive:"]).done(), "hello.txt");
    insta::assert_snapshot!(shell.run(&["rm", "archive:hello.txt"]), @"
    --- stderr
    error: cannot remove `archive:hello.txt`: denied
      caused by: the route `delete` asks for more than was granted: argument everything (destination `archive`, connector `dropbox@0.2.0`, route `delete`, rule `wider`)
    hint: `wharf grant show archive` has what changed; run `wharf grant allow archive delete` to agree to it
    --- exit 5
    ");
    named("0.1.0");
    assert_eq!(runs(&shell), "0.1.0");
    shell.run(&["rm", "archive:hello.txt"]).done();
}

#[test]
fn another_connector_of_the_same_type_inherits_nothing() {
    let shell = Shell::with_archive(Service::Dropbox);
    let file = shell.path("home/destinations/archive.toml");
    let sound = std::fs::read_to_string(&file).unwrap();
    std::fs::write(
        &file,
        sound.replace("granted_to = \"dev.wharf.dropbox\"", "granted_to = \"com.example.other\""),
    )
    .unwrap();
    insta::assert_snapshot!(shell.run(&["ls", "archive:"]), @"
    --- stderr
    error: cannot list `archive:`: denied
      caused by: the route `list` was granted to the connector `com.example.other`, which is another (destination `archive`, connector `dropbox@0.1.0`, route `list`, rule `another-connector`)
    hint: see `wharf grant show archive`; run `wharf grant allow archive --all` to trust this connector instead
    --- exit 5
    ");
    assert_eq!(standing(&shell, "list")["standing"], "another-connector");
    let asked = shell.run(&["grant", "allow", "archive", "list"]).failed(16);
    assert!(
        asked.contains(
            "`archive` had its grants with another connector, `com.example.other`; all of them end"
        ),
        "{asked}"
    );
    shell.run(&["grant", "allow", "archive", "list", "--yes"]).done();
    shell.run(&["ls", "archive:"]).done();
    assert_eq!(standing(&shell, "stat")["standing"], "not-granted");
}

/// A copy that runs in another process stops at its next request.
#[test]
fn a_running_transfer_is_held_to_what_is_taken_back() {
    let shell = Shell::with_account(Service::OneDrive);
    shell.create("archive", Service::OneDrive, &["--threads", "1", "--yes"]).done();
    for number in 0..200 {
        shell.file(&format!("data/{number}.txt"), number.to_string());
    }
    let slow = Rule::once("onedrive.put-content", Action::Delay { ms: 50 }).times(0);
    shell.cloud.faults().add(slow);
    let sent = || shell.cloud.log().iter().filter(|entry| entry.kind == "onedrive.put-content").count();
    let data = shell.room("data");
    let running = shell
        .command(&["copy", &data, "archive:"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while sent() < 3 {
        assert!(started.elapsed() < Duration::from_secs(60), "the copy does not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    shell.run(&["grant", "deny", "archive", "put"]).done();
    let at_denial = sent();
    let ran = shell.ran(&running.wait_with_output().unwrap());
    assert!(sent() <= at_denial + 1, "{} were sent, {at_denial} before it was taken back", sent());
    assert!(sent() < 200);
    let message = ran.failed(1);
    assert!(message.contains("the route `put` is not granted"), "{message}");
}

/// So does one whose destination is disabled, and it does not try what is left.
#[test]
fn a_running_transfer_ends_when_its_destination_is_disabled() {
    let shell = Shell::with_account(Service::OneDrive);
    shell.create("archive", Service::OneDrive, &["--threads", "1", "--yes"]).done();
    for number in 0..200 {
        shell.file(&format!("data/{number}.txt"), number.to_string());
    }
    shell.cloud.faults().add(Rule::once("onedrive.put-content", Action::Delay { ms: 50 }).times(0));
    let sent = || shell.cloud.log().iter().filter(|entry| entry.kind == "onedrive.put-content").count();
    let data = shell.room("data");
    let running = shell
        .command(&["copy", &data, "archive:"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let started = Instant::now();
    while sent() < 3 {
        assert!(started.elapsed() < Duration::from_secs(60), "the copy does not begin");
        std::thread::sleep(Duration::from_millis(5));
    }
    shell.run(&["destination", "modify", "archive", "--disabled"]).done();
    let ran = shell.ran(&running.wait_with_output().unwrap());
    let message = ran.failed(5);
    assert_eq!(message.matches("destination `archive` is disabled").count(), 1, "{message}");
    insta::assert_snapshot!(shell.run(&["ls", "archive:"]), @"
    --- stderr
    error: destination `archive` is disabled
    hint: run `wharf destination modify archive --disabled=false`
    --- exit 5
    ");
    shell.run(&["destination", "modify", "archive", "--disabled=false"]).done();
    shell.run(&["ls", "archive:"]).done();
}
