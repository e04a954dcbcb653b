//! What nobody may see: secrets at rest, in what is printed, and on a line to a stranger.

use std::process::Command;

use serde_json::Value;
use wharf_tests::{ACCOUNT, Service, Shell, noise};

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
        run(&[
            "destination",
            "create",
            "archive",
            "--type",
            service.kind(),
            "--account",
            "work",
            "--backup-directory",
            "/backups/server1",
            "--yes",
        ])
        .done();
        shell.file("data/hello.txt", "hello");
        let data = shell.room("data");
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
            access,
            refresh,
            &client_secret,
            &access[..8],
            "Bearer ",
            "uploadUrl",
            "downloadUrl",
            "tempauth",
            "guid=%27",
            "psid=1",
            "/up/",
            "sharepoint.com/personal",
        ];
        let mut files = wharf_tests::tree(&shell.path("home"));
        assert!(files.len() > 5, "{files:?}");
        files.push(("what was printed".to_owned(), Some(printed.into_bytes())));
        for (name, bytes) in files {
            let Some(bytes) = bytes else { continue };
            // Code holds the names of the fields that it reads, and no value.
            let is_code = name.starts_with("blobs") || name.starts_with("artefacts");
            // A grant says which keys of a reply hold addresses: these lines, and nothing more of them.
            let bytes = if name.starts_with("destinations/") {
                let text = String::from_utf8(bytes).unwrap();
                let keys =
                    ["uploadUrl of replies as upload", "@microsoft.graph.downloadUrl of replies as download"];
                keys.iter()
                    .fold(text, |text, key| text.replace(&format!("    \"takes the key {key}\",\n"), ""))
                    .into()
            } else {
                bytes
            };
            for secret in secrets.iter().take(if is_code { 3 } else { secrets.len() }) {
                let found = bytes.windows(secret.len()).position(|window| window == secret.as_bytes());
                let near = found.map(|at| {
                    String::from_utf8_lossy(&bytes[at.saturating_sub(80)..(at + 40).min(bytes.len())])
                        .into_owned()
                });
                assert_eq!(near, None, "{service:?}: `{}…` is in {name}", &secret[..secret.len().min(12)]);
            }
        }
    }
}

/// The whole of a sign-in: the code, the verifier, the state's answer, the application's secret, every token
/// that came of it, and the keys of the home, old and new.
#[test]
fn no_secret_of_a_sign_in_is_anywhere() {
    for service in Service::ALL {
        let shell = Shell::new();
        let mut printed = shell.install(service).to_string();
        let (_, id, client_secret) = shell.client(service);
        let secret_file = shell.file("client-secret", client_secret);
        let add = ["account", "add", "work", "--type", service.kind(), "--client-id", id, "-vvv"];
        let ways: [&[&str]; 2] = [&["--paste"], &["--port", "0"]];
        let mut secrets = vec![client_secret.to_owned()];
        for (turn, way) in ways.into_iter().enumerate() {
            let words = if turn == 0 {
                [&add[..], &["--client-secret-file", &secret_file], way].concat()
            } else {
                [&["account", "authorize", "work", "-vvv"], way].concat()
            };
            let signing_in = shell.signing_in(&words);
            let page = shell.browse(&signing_in.url);
            let code = match page.location.split_once("code=") {
                Some((_, code)) => code.split('&').next().unwrap().to_owned(),
                None => page.code().to_owned(),
            };
            let ran = if turn == 0 {
                let answer = if page.location.is_empty() { page.code() } else { &page.location };
                signing_in.answer(&shell, answer)
            } else {
                assert_eq!(shell.browse(&page.location).status, 200);
                signing_in.end(&shell)
            };
            assert_eq!(ran.code, Some(0), "{ran}");
            printed.push_str(&ran.to_string());
            secrets.push(code);
        }
        let mut run = |words: &[&str]| {
            let ran = shell.run(&[&["-vvv"], words].concat());
            printed.push_str(&ran.to_string());
            ran
        };
        run(&["account", "show", "work"]).done();
        run(&["account", "list", "--json"]).done();
        secrets.push(hex::encode(std::fs::read(shell.path("home/key")).unwrap()));
        run(&["vault", "rotate", "--json"]).done();
        run(&["vault", "show"]).done();
        let key = std::fs::read(shell.path("home/key")).unwrap();
        secrets.push(hex::encode(&key));
        run(&[
            "destination",
            "create",
            "archive",
            "--type",
            service.kind(),
            "--account",
            "work",
            "--backup-directory",
            "/backups",
            "--yes",
        ])
        .done();
        run(&["ls", "archive:"]).done();
        run(&["account", "authorize", "work", "--paste"]).failed(2);
        // What the emulators gave: every token that they ever issued, and what was sent to get it.
        secrets.extend(shell.cloud.secrets());
        assert!(secrets.len() >= 10, "{}", secrets.len());
        let mut files = wharf_tests::tree(&shell.path("home"));
        files.push(("what was printed".to_owned(), Some(printed.into_bytes())));
        for (name, bytes) in files {
            let Some(bytes) = bytes else { continue };
            for secret in &secrets {
                let is_there = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!is_there, "{service:?}: `{}…` is in {name}", &secret[..6]);
            }
            let is_key = bytes.windows(key.len()).any(|window| window == key);
            assert!(!is_key || name == "key", "{service:?}: the key is in {name}");
        }
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
    assert_eq!(shell.run(&["ls", "archive:"]).code, Some(0));
}
