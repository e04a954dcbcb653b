//! Disaster recovery: a server's configuration goes to its destination sealed, and comes back on another.
#![expect(clippy::unwrap_used, clippy::panic, reason = "what cannot be set up has failed")]

use std::path::Path;

use serde_json::Value;
use wharf_tests::{ACCOUNT, Ran, Service, Shell};

/// What is stored of a name in `/backups/server1`.
fn stored(shell: &Shell, service: Service, name: &str) -> Option<Vec<u8>> {
    let path = format!("/backups/server1/{name}");
    let file = match service {
        Service::OneDrive => shell.cloud.onedrive().file(ACCOUNT, &path),
        Service::Dropbox => shell.cloud.dropbox().file(ACCOUNT, &path),
    }?;
    let mut bytes = Vec::new();
    std::io::Read::read_to_end(&mut file.open().unwrap(), &mut bytes).unwrap();
    Some(bytes)
}

fn put(shell: &Shell, service: Service, name: &str, bytes: &[u8]) {
    let path = format!("/backups/server1/{name}");
    match service {
        Service::OneDrive => shell.cloud.onedrive().put_file(ACCOUNT, &path, bytes).unwrap(),
        Service::Dropbox => shell.cloud.dropbox().put_file(ACCOUNT, &path, bytes).unwrap(),
    }
}

/// Home A: the account `work`, the destination `archive` with `dr`, a recovery key and a copy. Returns the
/// key.
fn home_with_an_export(service: Service) -> (Shell, String) {
    let shell = Shell::with_account(service);
    let created = shell.create("archive", service, &["--dr", "--yes"]);
    assert!(created.stderr.contains("there is no recovery key yet"), "{created}");
    let key = shell.run(&["recovery", "key", "--json"]).json().remove(0);
    shell.file("data/hello.txt", "hello");
    let data = shell.room("data");
    let copied = shell.run(&["copy", &data, "archive:data"]);
    assert!(copied.stderr.contains("exported the configuration to destination `archive`"), "{copied}");
    copied.done();
    (shell, key["key"].as_str().unwrap().to_owned())
}

/// Another machine: the home goes, and there is one with a connector and an account.
fn move_to_another_home(shell: &Shell, service: Service, account: &str) {
    std::fs::rename(shell.path("home"), shell.path("home-a")).unwrap();
    shell.install(service).done();
    shell.add_account(account, service).done();
}

fn restore(shell: &Shell, service: Service, account: &str, key: &str, more: &[&str]) -> Ran {
    let file = shell.file("recovery-key.txt", key);
    let words = [
        "recovery",
        "restore",
        "--type",
        service.kind(),
        "--account",
        account,
        "--backup-directory",
        "/backups/server1",
        "--key-file",
        &file,
    ];
    shell.run(&[&words, more].concat())
}

/// Everything that a person wrote, or that is sealed: what a recovery may change.
fn configuration(home: &Path) -> Vec<(String, Option<Vec<u8>>)> {
    // How long an account waits is neither.
    let waits = |name: &str| Path::new(name).extension().is_some_and(|extension| extension == "pause");
    let is_of_it = |name: &str| {
        !waits(name)
            && (name.starts_with("accounts") || name.starts_with("destinations") || name.ends_with(".toml"))
    };
    wharf_tests::tree(home).into_iter().filter(|(name, _)| is_of_it(name)).collect()
}

fn state_of<'a>(restored: &'a Value, kind: &str, name: &str) -> &'a str {
    let items = restored["items"].as_array().unwrap();
    let item = items.iter().find(|item| item["kind"] == kind && item["name"] == name);
    item.unwrap_or_else(|| panic!("{kind} {name}: {restored}"))["state"].as_str().unwrap()
}

#[test]
fn a_new_server_gets_its_destinations_back() {
    for service in Service::ALL {
        let (shell, key) = home_with_an_export(service);
        let mark = stored(&shell, service, ".wharf-owner").unwrap();
        move_to_another_home(&shell, service, "fresh");
        // Without a person who agrees nothing is written.
        let before = configuration(&shell.path("home"));
        let asked = restore(&shell, service, "fresh", &key, &[]);
        assert!(
            asked.clone().failed(16).contains("destination  archive              new, read-only"),
            "{asked}"
        );
        assert_eq!(configuration(&shell.path("home")), before);

        let restored = restore(&shell, service, "fresh", &key, &["--yes", "--json"]).json().remove(0);
        assert_eq!(state_of(&restored, "account", "work"), "restored");
        assert_eq!(state_of(&restored, "destination", "archive"), "restored");
        assert_eq!(restored["connectors"][0]["state"], "installed");
        assert_eq!(restored["connectors"][0]["type"], service.kind());
        // It can be listed and read, and nothing of it written.
        assert_eq!(shell.run(&["ls", "-R", "archive:"]).done(), "data/\ndata/hello.txt");
        let back = shell.room("back");
        shell.run(&["copy", "archive:data", &back]).done();
        assert_eq!(std::fs::read(shell.path("back/hello.txt")).unwrap(), b"hello");
        let more = shell.file("more.txt", "more");
        for words in [&["copy", &more, "archive:"][..], &["rm", "archive:data/hello.txt"]] {
            let message = shell.run(words).failed(5);
            assert!(message.contains("read-only"), "{message}");
        }
        assert_eq!(stored(&shell, service, ".wharf-owner").unwrap(), mark);
        let shown = shell.run(&["destination", "show", "archive", "--json"]).json().remove(0);
        assert_eq!((&shown["readonly"], &shown["dr"]), (&Value::Bool(true), &Value::Bool(false)));
        let text = std::fs::read_to_string(shell.path("home/destinations/archive.toml")).unwrap();
        assert!(!text.contains("\"writes\"") && text.contains("[[grant]]"), "{text}");
        let message = shell.run(&["destination", "modify", "archive", "--dr"]).failed(5);
        assert!(message.contains("destination `archive` is read-only, and disaster recovery"), "{message}");

        // Again: everything is here, and nobody is asked.
        let again = restore(&shell, service, "fresh", &key, &[]);
        assert!(again.stderr.contains("nothing of it was new here"), "{again}");
        again.done();
        // Half of it, as a crash leaves it.
        std::fs::remove_file(shell.path("home/destinations/archive.toml")).unwrap();
        let half = restore(&shell, service, "fresh", &key, &["--yes", "--json"]).json().remove(0);
        assert_eq!(state_of(&half, "account", "work"), "present");
        assert_eq!(state_of(&half, "destination", "archive"), "restored");
        assert_eq!(shell.run(&["destination", "list", "--json"]).json().len(), 1);
    }
}

#[test]
fn what_is_here_is_not_overwritten() {
    let service = Service::OneDrive;
    let (shell, key) = home_with_an_export(service);
    shell.create("second", service, &["--read-only", "--yes"]).done();
    shell.run(&["recovery", "export"]).done();
    // The account that was signed in here is one of those that were exported.
    move_to_another_home(&shell, service, "work");
    shell.create("archive", service, &["--yes"]).done();
    let before = configuration(&shell.path("home"));
    let message = restore(&shell, service, "work", &key, &["--yes"]).failed(4);
    for line in [
        "  account      work                 is here already",
        "  destination  archive              is another destination here, and stays",
        "  destination  second               new, read-only",
        "error: not everything of the export is here as it was: 1 kept as here, 0 not restored",
    ] {
        assert!(message.contains(line), "{line}: {message}");
    }
    for (name, bytes) in before {
        assert_eq!(std::fs::read(shell.path("home").join(&name)).ok(), bytes, "{name}");
    }
    assert_eq!(shell.run(&["ls", "second:"]).done(), "data/");
}

#[test]
fn what_does_not_open_changes_nothing() {
    for service in Service::ALL {
        let (shell, key) = home_with_an_export(service);
        let other = shell.run(&["recovery", "key", "--replace", "--yes"]).done();
        let sealed = stored(&shell, service, ".wharf-recovery").unwrap();
        move_to_another_home(&shell, service, "work");
        let before = configuration(&shell.path("home"));
        let check = |key: &str, code: i32, expected: &str| {
            let message = restore(&shell, service, "work", key, &["--yes"]).failed(code);
            assert!(message.contains(expected) && message.contains("\nhint: "), "{message}");
            assert_eq!(configuration(&shell.path("home")), before);
        };
        check(&other, 2, "the export is sealed with the recovery key `");
        check(&key.replace(&key[..4], "ZZZZ"), 2, "a character of it is another than was shown");
        check("sesame", 2, "14 groups of 4");
        let mut altered = sealed.clone();
        *altered.last_mut().unwrap() ^= 1;
        put(&shell, service, ".wharf-recovery", &altered);
        check(&key, 9, "the export is damaged: it was altered");
        put(&shell, service, ".wharf-recovery", &sealed[..sealed.len() / 2]);
        check(&key, 9, "the export is damaged");
        let mut newer = sealed.clone();
        newer[15] = 9;
        put(&shell, service, ".wharf-recovery", &newer);
        check(&key, 1, "written by a newer Wharf (format 9; this one knows 1)");
        put(&shell, service, ".wharf-recovery", b"a photo");
        check(&key, 9, "is no export of a configuration");
        put(&shell, service, ".wharf-recovery", &sealed);
        restore(&shell, service, "work", &key, &["--yes"]).done();
    }
    let shell = Shell::with_account(Service::Dropbox);
    let key = shell.run(&["recovery", "key"]).done();
    let message = restore(&shell, Service::Dropbox, "work", &key, &["--yes"]).failed(3);
    assert!(message.contains("there is no export of a configuration in `/backups/server1`"), "{message}");
    let message = restore(&shell, Service::Dropbox, "nobody", &key, &["--yes"]).failed(3);
    assert!(message.contains("run `wharf account add nobody --type dropbox` first"), "{message}");
    let message = restore(&shell, Service::OneDrive, "work", &key, &["--yes"]).failed(3);
    assert!(message.contains("install it first: `wharf connector install FILE`"), "{message}");
}

/// One export for one change, and none where nothing changed.
#[test]
fn an_export_is_stored_when_something_changed() {
    for service in Service::ALL {
        let (shell, _) = home_with_an_export(service);
        let first = stored(&shell, service, ".wharf-recovery").unwrap();
        let shown = |shell: &Shell| shell.run(&["recovery", "show", "--json"]).json().remove(0);
        assert_eq!(shown(&shell)["destinations"][0]["state"], "current");
        let copy = |name: &str| {
            let file = shell.file(name, name);
            shell.run(&["copy", &file, "archive:"]).done();
            stored(&shell, service, ".wharf-recovery").unwrap()
        };
        shell.cloud.clear_log();
        assert_eq!(copy("one.txt"), first);
        assert!(shell.cloud.log().len() <= 2, "a look and an upload: {:?}", shell.cloud.log());
        shell.run(&["destination", "modify", "archive", "--threads", "2"]).done();
        assert_eq!(shown(&shell)["destinations"][0]["state"], "changed since");
        let second = copy("two.txt");
        assert_ne!(second, first);
        assert_eq!(copy("three.txt"), second);
        // A new key makes it due, and so does whoever asks for it.
        shell.run(&["recovery", "key", "--replace", "--yes"]).done();
        let third = copy("four.txt");
        assert_ne!(third[16..32], second[16..32], "the frame names another key");
        shell.run(&["recovery", "export", "archive"]).done();
        assert_ne!(stored(&shell, service, ".wharf-recovery").unwrap(), third);
        // After a rotation of the vault's key the recovery key is what it was.
        let before = shown(&shell)["fingerprint"].clone();
        shell.run(&["vault", "rotate"]).done();
        assert_eq!(shown(&shell)["fingerprint"], before);
        shell.run(&["recovery", "export"]).done();
        // It is nobody's but Wharf's.
        assert_eq!(
            shell.run(&["ls", "archive:"]).done().lines().filter(|line| line.starts_with('.')).count(),
            0
        );
        for words in [
            &["rm", "archive:.wharf-recovery"][..],
            &["stat", "archive:.Wharf-Recovery"],
            &["copy", "archive:.wharf-recovery", &shell.room("loot")],
            &["copy", &shell.file(".wharf-recovery", "forged"), "archive:"],
            &["move", "archive:one.txt", "archive:.wharf-recovery"],
        ] {
            let message = shell.run(words).failed(11);
            assert!(message.contains("holds the sealed export of a server's configuration"), "{message}");
        }
    }
}

#[test]
fn what_is_refused_says_what_to_do() {
    let shell = Shell::with_archive(Service::OneDrive);
    let check = |words: &[&str], code: i32, error: &str, hint: &str| {
        let message = shell.run(words).failed(code);
        assert!(message.contains(&format!("error: {error}")), "{words:?}: {message}");
        assert!(message.contains(&format!("\nhint: {hint}")), "{words:?}: {message}");
    };
    let none = "no destination takes part in disaster recovery";
    check(&["recovery", "export"], 3, none, "run `wharf destination modify NAME --dr` first");
    let one = "destination `archive` takes no part in disaster recovery";
    let archive = ["recovery", "export", "archive"];
    check(&archive, 2, one, "run `wharf destination modify archive --dr` first");
    let modified = shell.run(&["destination", "modify", "archive", "--dr"]);
    assert!(modified.stderr.contains("there is no recovery key yet to seal exports with"), "{modified}");
    modified.done();
    check(&archive, 3, "this home has no recovery key", "run `wharf recovery key`, and write down");
    let shown = shell.run(&["recovery", "show"]);
    assert!(shown.stderr.contains("there is no recovery key yet"), "{shown}");
    assert!(shown.done().contains("never"));
    let file = shell.file("hello.txt", "hello");
    let copied = shell.run(&["copy", &file, "archive:"]);
    assert!(copied.stderr.contains("there is no recovery key to seal exports with"), "{copied}");
    copied.done();
    shell.run(&["recovery", "key"]).done();
    let there = "this home has a recovery key already; it was shown when it was made";
    check(&["recovery", "key"], 4, there, "if it is lost, `wharf recovery key --replace` makes another");
    let asked = "nobody is there to answer: replace the recovery key?";
    check(&["recovery", "key", "--replace"], 16, asked, "add `--yes` if you agree");
    let message = shell.create("reader", Service::OneDrive, &["--read-only", "--dr", "--yes"]).failed(5);
    assert!(message.contains("destination `reader` is read-only, and disaster recovery"), "{message}");
    // Another server's directory is not written to, whoever asks.
    let mark = r#"{"server":"00","server_name":"web2","destination":"x","claimed":"2026-01-01T00:00:00Z"}"#;
    put(&shell, Service::OneDrive, "theirs/.wharf-owner", mark.as_bytes());
    shell
        .run(&[
            "destination",
            "create",
            "theirs",
            "--type",
            "onedrive",
            "--account",
            "work",
            "--backup-directory",
            "/backups/server1/theirs",
            "--dr",
            "--yes",
        ])
        .done();
    let message = shell.run(&["recovery", "export", "theirs"]).failed(5);
    assert!(message.contains("belongs to destination `x` of server `web2`"), "{message}");
    assert_eq!(stored(&shell, Service::OneDrive, "theirs/.wharf-recovery"), None);
    // One that fails does not hold up the other.
    let both = shell.run(&["recovery", "export"]);
    assert!(both.stderr.contains("exported the configuration to destination `archive`"), "{both}");
    both.failed(5);
}

/// Tokens, the client's secret, the vault's key and the recovery key are in nothing that is stored or
/// printed but where each belongs.
#[test]
fn no_secret_of_a_recovery_is_anywhere() {
    for service in Service::ALL {
        let (shell, key) = home_with_an_export(service);
        let token: Value = serde_json::from_slice(&std::fs::read(shell.path("token.json")).unwrap()).unwrap();
        let [access, refresh] = ["access_token", "refresh_token"].map(|key| token[key].as_str().unwrap());
        let client_secret = std::fs::read_to_string(shell.path("client-secret")).unwrap();
        let sealed = stored(&shell, service, ".wharf-recovery").unwrap();
        let mut printed = String::new();
        for words in [&["-vvv", "recovery", "export"][..], &["recovery", "show", "--json"]] {
            printed.push_str(&shell.run(words).to_string());
        }
        move_to_another_home(&shell, service, "fresh");
        let restored = restore(&shell, service, "fresh", &key, &["--yes", "-vvv"]);
        assert_eq!(restored.code, Some(0), "{restored}");
        printed.push_str(&restored.to_string());

        let raw = std::fs::read(shell.path("home-a/key")).unwrap();
        let mut places =
            vec![("the export".to_owned(), sealed), ("printed".to_owned(), printed.into_bytes())];
        for home in ["home", "home-a"] {
            let files = wharf_tests::tree(&shell.path(home)).into_iter();
            places.extend(files.filter_map(|(name, bytes)| Some((format!("{home}/{name}"), bytes?))));
        }
        let secrets = [access, refresh, &*client_secret, &*key, &key[..9]];
        for (name, bytes) in &places {
            let has = |secret: &[u8]| bytes.windows(secret.len()).any(|window| window == secret);
            for secret in secrets {
                assert!(!has(secret.as_bytes()), "{service:?}: `{}…` is in {name}", &secret[..6]);
            }
            assert!(!has(&raw) || name == "home-a/key", "{service:?}: the vault's key is in {name}");
        }
        // Nothing of the export can be read, not even what it is an export of.
        let (_, sealed) = &places[0];
        for word in ["archive", "work", "backups", "onedrive", "dropbox", "destinations", "server"] {
            let rest = &sealed[32..];
            let found = rest.windows(word.len()).any(|window| window == word.as_bytes());
            assert!(!found, "{service:?}: `{word}` can be read in the export");
        }
    }
}
