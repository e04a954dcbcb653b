//! The key of the home: where it comes from, and how it is changed.
#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;

use wharf_tests::{Ran, Service, Shell, noise};

/// Rotations that are killed.
const KILLS: u64 = 30;

/// Parts of the file that is on its way meanwhile.
const PARTS: usize = 5;

const ONE: &str = "1111111111111111111111111111111111111111111111111111111111111111";
const TWO: &str = "2222222222222222222222222222222222222222222222222222222222222222";

fn with(shell: &Shell, variables: &[(&str, &str)], words: &[&str]) -> Ran {
    let mut command = shell.command(words);
    shell.ran(&command.envs(variables.iter().copied()).output().unwrap())
}

#[test]
fn a_key_in_the_home_is_changed() {
    let shell = Shell::with_archive(Service::OneDrive);
    let file = shell.file("hello.txt", "hello");
    shell.run(&["copy", &file, "archive:"]).done();
    insta::assert_snapshot!(shell.run(&["vault", "show"]), @"
    --- stdout
    key          the file `key` of the home
    fingerprint  [KEY]
    --- exit 0
    ");
    let before = shell.run(&["vault", "show", "--json"]).json();
    let key = std::fs::read(shell.path("home/key")).unwrap();
    insta::assert_snapshot!(shell.run(&["vault", "rotate"]), @"
    --- stderr
    sealed anew: 1 account, 0 uploads, 1 compiled connector
    the key is the file `key` of the home now (fingerprint [KEY])
    --- exit 0
    ");
    let after = shell.run(&["vault", "show", "--json"]).json();
    assert_eq!((&after[0]["source"], &after[0]["rotation_unfinished"]), (&"file".into(), &false.into()));
    assert_ne!(after[0]["fingerprint"], before[0]["fingerprint"]);
    assert_ne!(std::fs::read(shell.path("home/key")).unwrap(), key);
    let mode = std::fs::metadata(shell.path("home/key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Nothing is compiled again, and nobody signs in again.
    let listed = shell.run(&["ls", "archive:", "-vv"]);
    assert!(listed.code == Some(0) && !listed.stderr.contains("compiling"), "{listed}");
}

#[test]
fn a_key_that_others_can_read_is_refused() {
    let shell = Shell::with_archive(Service::Dropbox);
    let key = shell.path("home/key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o640)).unwrap();
    insta::assert_snapshot!(shell.run(&["vault", "show"]), @"
    --- stderr
    error: the key `[FOLDER]/home/key` can be read by others (mode 640)
    hint: run `chmod 600 [FOLDER]/home/key`
    --- exit 14
    ");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    shell.run(&["ls", "archive:"]).done();
    let credentials = shell.room("credentials");
    let credential = shell.file("credentials/wharf-vault-key", ONE);
    std::fs::set_permissions(&credential, std::fs::Permissions::from_mode(0o644)).unwrap();
    insta::assert_snapshot!(with(&shell, &[("CREDENTIALS_DIRECTORY", &credentials)], &["vault", "show"]), @"
    --- stderr
    error: the key `[FOLDER]/credentials/wharf-vault-key` can be read by others (mode 644)
    hint: run `chmod o= [FOLDER]/credentials/wharf-vault-key`
    --- exit 14
    ");
}

#[test]
fn a_key_that_is_given() {
    let shell = Shell::new();
    let connector = wharf_tests::target().join("connectors/dropbox.wasm");
    let one = [("WHARF_VAULT_KEY", ONE)];
    let install = ["connector", "install", connector.to_str().unwrap(), "--allow-unsigned"];
    with(&shell, &one, &install).done();
    let token = shell.file("token.json", shell.client(Service::Dropbox).0.to_string());
    let id = shell.client(Service::Dropbox).1;
    let add = ["account", "add", "work", "--type", "dropbox", "--client-id", id, "--token-file", &token];
    with(&shell, &one, &add).done();
    assert!(!shell.path("home/key").exists());
    insta::assert_snapshot!(with(&shell, &one, &["vault", "show"]), @"
    --- stdout
    key          the environment variable `WHARF_VAULT_KEY`
    fingerprint  [KEY]
    --- exit 0
    ");
    insta::assert_snapshot!(shell.run(&["account", "list"]), @"
    --- stderr
    error: the key of the home is not here: its secrets are sealed with a key that is given (95e6e98b8c1a7ca2)
    hint: set `WHARF_VAULT_KEY`, or have systemd give the credential `wharf-vault-key`
    --- exit 14
    ");
    insta::assert_snapshot!(with(&shell, &[("WHARF_VAULT_KEY", TWO)], &["account", "list"]), @"
    --- stderr
    error: the environment variable `WHARF_VAULT_KEY` holds another key than the home's: b5215f592230f9af, not 95e6e98b8c1a7ca2
    hint: give the key that this home was sealed with
    --- exit 14
    ");
    insta::assert_snapshot!(with(&shell, &[("WHARF_VAULT_KEY", "sesame")], &["account", "list"]), @"
    --- stderr
    error: the environment variable `WHARF_VAULT_KEY` holds no key: 32 bytes, as hexadecimal digits or base64
    hint: make one with `openssl rand -hex 32`
    --- exit 14
    ");
    insta::assert_snapshot!(with(&shell, &one, &["vault", "rotate"]), @"
    --- stderr
    error: the environment variable `WHARF_VAULT_KEY` holds the key that seals this home already; there is no new one to change to
    hint: give the new key there, and the present one as `WHARF_VAULT_KEY_OLD` (or the credential `wharf-vault-key-old`)
    --- exit 2
    ");
    let both = [("WHARF_VAULT_KEY", TWO), ("WHARF_VAULT_KEY_OLD", ONE)];
    insta::assert_snapshot!(with(&shell, &both, &["account", "list"]), @"
    --- stderr
    error: the environment variable `WHARF_VAULT_KEY` holds another key than the one that seals this home
    hint: run `wharf vault rotate` to seal the home with it, or unset the variable
    --- exit 14
    ");
    with(&shell, &both, &["vault", "rotate"]).done();
    with(&shell, &one, &["account", "list"]).failed(14);
    // The same key as a credential of systemd.
    let credentials = shell.room("credentials");
    let credential = shell.file("credentials/wharf-vault-key", [0x22; 32]);
    std::fs::set_permissions(&credential, std::fs::Permissions::from_mode(0o400)).unwrap();
    let systemd = [("CREDENTIALS_DIRECTORY", &*credentials)];
    assert_eq!(with(&shell, &systemd, &["account", "list", "--json"]).json().len(), 1);
    assert_eq!(with(&shell, &systemd, &["vault", "show", "--json"]).json()[0]["source"], "credential");
}

#[test]
fn from_the_home_to_a_key_that_is_given() {
    let shell = Shell::with_archive(Service::Dropbox);
    let one = [("WHARF_VAULT_KEY", ONE)];
    insta::assert_snapshot!(with(&shell, &one, &["ls", "archive:"]), @"
    --- stderr
    error: the environment variable `WHARF_VAULT_KEY` holds another key than the one that seals this home
    hint: run `wharf vault rotate` to seal the home with it, or unset the variable
    --- exit 14
    ");
    insta::assert_snapshot!(with(&shell, &one, &["vault", "rotate"]), @"
    --- stderr
    sealed anew: 1 account, 0 uploads, 1 compiled connector
    the key is the environment variable `WHARF_VAULT_KEY` now (fingerprint [KEY])
    --- exit 0
    ");
    assert!(!shell.path("home/key").exists());
    with(&shell, &one, &["ls", "archive:"]).done();
    shell.run(&["ls", "archive:"]).failed(14);
}

/// Killed at any instant: everything opens, and running it again ends it.
#[test]
fn a_rotation_that_is_killed() {
    let shell = Shell::with_archive(Service::OneDrive);
    for number in 0..8 {
        shell.add_account(&format!("other{number}"), Service::OneDrive).done();
    }
    let mut unfinished = 0;
    for kill in 0..KILLS {
        let mut child = shell.command(&["vault", "rotate"]);
        let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(Duration::from_micros(8_000 + kill * 3_000));
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(shell.run(&["account", "list", "--json"]).json().len(), 9, "after kill {kill}");
        let shown = shell.run(&["vault", "show", "--json"]).json();
        unfinished += u64::from(shown[0]["rotation_unfinished"] == true);
    }
    assert!(unfinished > 0, "none was killed on its way");
    shell.run(&["vault", "rotate"]).done();
    assert_eq!(shell.run(&["vault", "show", "--json"]).json()[0]["rotation_unfinished"], false);
    let listed = shell.run(&["ls", "archive:", "-vv"]);
    assert!(listed.code == Some(0) && !listed.stderr.contains("compiling"), "{listed}");
}

/// A transfer that runs has the old key in memory, so the key stays; one that was killed is gone on with
/// under the new key, from where it stood.
#[test]
fn a_transfer_and_a_rotation() {
    for service in Service::ALL {
        let shell = Shell::with_archive(service);
        if service == Service::Dropbox {
            // In order, so that what was acknowledged is all but the one on its way.
            let words = ["destination", "modify", "archive", "--option", "sequential_uploads=true"];
            shell.run(&words).done();
        }
        let part = if service == Service::OneDrive { 10 << 20 } else { 16 << 20 };
        let file = shell.file("large.bin", noise(5, part * PARTS));
        // The first part goes with the opening request where that takes bytes.
        let kinds = [service.part(), service.staged()];
        let parts = || {
            let log = shell.cloud.log();
            log.iter().filter(|entry| kinds.contains(&&*entry.kind) && entry.status.is_some()).count()
        };
        let slow = cloud::Rule::once(service.part(), cloud::Action::Delay { ms: 700 }).times(0);
        shell.cloud.faults().add(slow);
        let mut copy = shell.command(&["copy", &file, "archive:"]);
        let mut copy = copy.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while parts() < 3 {
            assert!(copy.try_wait().unwrap().is_none(), "it was over before it could be killed");
            std::thread::sleep(Duration::from_millis(10));
        }
        let message = shell.run(&["vault", "rotate"]).failed(4);
        let expected =
            format!("error: the home is in use by process {}; its key cannot be changed", copy.id());
        assert!(message.starts_with(&expected), "{message}");
        assert!(message.contains("hint: wait until transfers and other commands have ended"), "{message}");
        copy.kill().unwrap();
        copy.wait().unwrap();
        shell.cloud.faults().clear();
        let rotated = shell.run(&["vault", "rotate"]);
        assert_eq!(rotated.code, Some(0), "{rotated}");
        // Dropbox names a session by an id, which is no address and not sealed.
        let sealed = if service == Service::OneDrive { "1 upload," } else { "0 uploads," };
        assert!(rotated.stderr.contains(sealed), "{rotated}");
        // The part that was on its way is not the next copy's.
        assert!(shell.cloud.settle(Duration::from_secs(20)), "its connections stay open");
        shell.cloud.clear_log();
        shell.run(&["copy", &file, "archive:"]).done();
        // What was acknowledged is not sent again; what was on its way may be.
        assert!(parts() <= PARTS - 2, "{service:?}: {} of {PARTS} parts", parts());
        shell.run(&["copy", &file, "archive:", "--checksum"]).done();
        assert!(parts() <= PARTS - 2, "{service:?}: it is all there");
    }
}
