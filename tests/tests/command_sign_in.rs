//! Signing in: by a browser on this machine, by a pasted answer, by a device code; for reading alone; and
//! every way in which it does not come about.
#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

use cloud::TokenSwitches;
use wharf_tests::{ACCOUNT, Ran, Service, Shell};

/// The words of `account add work`, with the application that the emulators know.
fn add<'a>(shell: &'a Shell, service: Service, more: &[&'a str]) -> Vec<&'a str> {
    let (_, id, _) = shell.client(service);
    [&["account", "add", "work", "--type", service.kind(), "--client-id", id], more].concat()
}

fn shell(service: Service) -> Shell {
    let shell = Shell::new();
    shell.install(service).done();
    shell
}

fn switches(shell: &Shell, service: Service) -> TokenSwitches {
    match service {
        Service::OneDrive => shell.cloud.onedrive().token_switches(),
        Service::Dropbox => shell.cloud.dropbox().token_switches(),
    }
}

fn switch(shell: &Shell, service: Service, change: impl FnOnce(&mut TokenSwitches)) {
    let mut switches = switches(shell, service);
    change(&mut switches);
    match service {
        Service::OneDrive => shell.cloud.onedrive().set_token_switches(switches),
        Service::Dropbox => shell.cloud.dropbox().set_token_switches(switches),
    }
}

/// The account works, and what it moves arrives.
#[track_caller]
fn works(shell: &Shell, service: Service) {
    shell.create("archive", service, &["--yes"]).done();
    let file = shell.file("hello.txt", "hello");
    shell.run(&["copy", &file, "archive:"]).done();
    assert_eq!(shell.run(&["ls", "archive:"]).done(), "hello.txt");
}

/// Nothing was added, and what was there is as it was.
#[track_caller]
fn nothing_was_added(shell: &Shell) {
    assert_eq!(shell.run(&["account", "list"]).done(), "");
    assert!(!shell.path("home/accounts/work.sealed").exists());
}

fn query(url: &str, key: &str) -> String {
    let (_, query) = url.split_once('?').unwrap();
    let found = query.split('&').find_map(|pair| pair.strip_prefix(&format!("{key}=")));
    found.unwrap_or_default().to_owned()
}

#[test]
fn dropbox_by_a_pasted_code() {
    let shell = shell(Service::Dropbox);
    let signing_in = shell.signing_in(&add(&shell, Service::Dropbox, &["--paste"]));
    assert_eq!(query(&signing_in.url, "redirect_uri"), "", "the page shows the code");
    let page = shell.browse(&signing_in.url);
    let ran = signing_in.answer(&shell, page.code());
    insta::assert_snapshot!(ran, @"
    --- stderr
    To sign in account `work`, open this page in any browser:
      https://www.dropbox.com/oauth2/authorize?token_access_type=offline&response_type=code&client_id=w4harfdropboxkey&state=[STATE]&code_challenge=[CHALLENGE]&code_challenge_method=S256&scope=account_info.read+files.metadata.read+files.metadata.write+files.content.read+files.content.write
    Allow what it asks for. It ends with a code: paste that here.
    added account `work`; its token is sealed in the home
    --- exit 0
    ");
    let work = shell.run(&["account", "show", "work"]);
    insta::assert_snapshot!(work, @"
    --- stdout
    name            work
    type            dropbox
    for             reading and writing
    signed in       [MOMENT] with a pasted answer
    token           refreshed when needed
    refreshed       not yet
    covers          account_info.read files.metadata.read files.metadata.write files.content.read files.content.write
    client          w4harfdropboxkey
    token endpoint  https://api.dropboxapi.com/oauth2/token
    added           [MOMENT]
    --- exit 0
    ");
    works(&shell, Service::Dropbox);
    // It is renewed as any other, without a secret of the application.
    shell.cloud.dropbox().expire_tokens(ACCOUNT);
    assert_eq!(shell.run(&["ls", "archive:"]).done(), "hello.txt");
    assert_eq!(shell.cloud.dropbox().refreshes(ACCOUNT), 1);
}

#[test]
fn onedrive_by_a_pasted_address() {
    let shell = shell(Service::OneDrive);
    let signing_in = shell.signing_in(&add(&shell, Service::OneDrive, &["--paste"]));
    let page = shell.browse(&signing_in.url);
    assert!(page.location.starts_with("https://login.microsoftonline.com/common/oauth2/nativeclient?code="));
    let ran = signing_in.answer(&shell, &page.location);
    insta::assert_snapshot!(ran, @"
    --- stderr
    To sign in account `work`, open this page in any browser:
      https://login.microsoftonline.com/common/oauth2/v2.0/authorize?response_type=code&client_id=[GUID]&state=[STATE]&code_challenge=[CHALLENGE]&code_challenge_method=S256&redirect_uri=https%3A%2F%2Flogin.microsoftonline.com%2Fcommon%2Foauth2%2Fnativeclient&scope=Files.ReadWrite+offline_access
    Allow what it asks for. It ends at an address that begins with `https://login.microsoftonline.com/common/oauth2/nativeclient`, whatever it shows there: paste that address here.
    added account `work`; its token is sealed in the home
    --- exit 0
    ");
    insta::assert_snapshot!(shell.run(&["account", "list"]), @"
    --- stdout
    NAME  TYPE      FOR                  SIGNED IN                                  TOKEN                  CLIENT
    work  onedrive  reading and writing  [MOMENT] with a pasted answer  refreshed when needed  [GUID]
    --- exit 0
    ");
    works(&shell, Service::OneDrive);
    // Where nobody listens, the browser shows an error; its address is as good.
    let words = ["account", "authorize", "work", "--paste", "--port", "1717"];
    let signing_in = shell.signing_in(&words);
    let page = shell.browse(&signing_in.url);
    assert!(page.location.starts_with("http://localhost:1717/?code="), "{page:?}");
    assert_eq!(signing_in.answer(&shell, &page.location).code, Some(0));
}

#[test]
fn by_a_browser_on_this_machine() {
    for service in Service::ALL {
        let shell = shell(service);
        let signing_in = shell.signing_in(&add(&shell, service, &["--port", "0"]));
        // What else a browser asks for does not disturb.
        let back = query(&signing_in.url, "redirect_uri").replace("%3A", ":").replace("%2F", "/");
        assert!(back.starts_with("http://localhost:"), "{}", signing_in.url);
        assert_eq!(shell.browse(&format!("{back}favicon.ico")).status, 404);
        let page = shell.browse(&signing_in.url);
        let seen = shell.browse(&page.location);
        assert_eq!((seen.status, seen.text.contains("look at the terminal")), (200, true), "{seen:?}");
        let ran = signing_in.end(&shell);
        assert_eq!(ran.code, Some(0), "{ran}");
        assert!(ran.stderr.contains("in a browser on this machine:"), "{ran}");
        let shown = shell.run(&["account", "show", "work", "--json"]).json();
        assert_eq!((&shown[0]["method"], &shown[0]["refreshable"]), (&"browser".into(), &true.into()));
        works(&shell, service);
        // The answer is good once.
        let signing_in = shell.signing_in(&["account", "authorize", "work", "--paste"]);
        let ran = signing_in.answer(&shell, &query(&page.location, "code"));
        assert_eq!(ran.code, Some(6), "{ran}");
        assert!(ran.stderr.contains("hint: run the command again and answer anew"), "{ran}");
    }
}

#[test]
fn a_program_shows_the_page_itself() {
    let shell = shell(Service::Dropbox);
    let mut command = shell.command(&add(&shell, Service::Dropbox, &["--paste", "--json", "--quiet"]));
    let piped = std::process::Stdio::piped;
    let mut child = command.stdin(piped()).stdout(piped()).stderr(piped()).spawn().unwrap();
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap()));
    let open: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    let page = shell.browse(open["open"].as_str().unwrap());
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), page.code().as_bytes()).unwrap();
    let account: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!((&account["name"], &account["method"]), (&"work".into(), &"pasted".into()));
    assert!(child.wait().unwrap().success());
}

#[test]
fn onedrive_by_a_device_code() {
    let shell = shell(Service::OneDrive);
    switch(&shell, Service::OneDrive, |switches| {
        switches.device_interval_seconds = 1;
        switches.auto_approve = false;
    });
    let signing_in = shell.signing_in(&add(&shell, Service::OneDrive, &["--device"]));
    assert_eq!(signing_in.url, "https://www.microsoft.com/link");
    let code = signing_in.code.clone().unwrap();
    let answer = format!("https://login.microsoftonline.com/common/oauth2/v2.0/deviceauth?user_code={code}");
    assert_eq!(shell.browse(&format!("{answer}&approve=yes")).status, 200);
    let ran = signing_in.end(&shell);
    insta::assert_snapshot!(ran, @"
    --- stderr
    To sign in account `work`, open this page in any browser:
      https://www.microsoft.com/link
    and enter the code `[CODE]`. It is good for 15 min.
    added account `work`; its token is sealed in the home
    --- exit 0
    ");
    works(&shell, Service::OneDrive);
    assert_eq!(shell.cloud.summary().too_early, 0);

    let signing_in = shell.signing_in(&["account", "authorize", "work", "--device"]);
    let code = signing_in.code.clone().unwrap();
    assert_eq!(
        shell.browse(&format!("{}&approve=no", answer.replace(&query(&answer, "user_code"), &code))).status,
        200
    );
    insta::assert_snapshot!(signing_in.end(&shell), @"
    --- stderr
    To sign in account `work`, open this page in any browser:
      https://www.microsoft.com/link
    and enter the code `[CODE]`. It is good for 15 min.
    error: the sign-in of account `work` was declined: authorization_declined: AADSTS70003: The user declined.
    hint: run the command again and allow what the page asks for; where it says that an administrator must approve, ask for that first
    --- exit 6
    ");
    let signing_in = shell.signing_in(&["account", "authorize", "work", "--device"]);
    shell.cloud.clock().advance(std::time::Duration::from_secs(901));
    insta::assert_snapshot!(signing_in.end(&shell), @"
    --- stderr
    To sign in account `work`, open this page in any browser:
      https://www.microsoft.com/link
    and enter the code `[CODE]`. It is good for 15 min.
    error: nobody signed in account `work` within 15 min
    hint: run the command again; nothing was changed
    --- exit 6
    ");
    shell.run(&["ls", "archive:"]).done();
}

#[test]
fn dropbox_has_no_device_codes() {
    let shell = shell(Service::Dropbox);
    insta::assert_snapshot!(shell.run(&add(&shell, Service::Dropbox, &["--device"])), @"
    --- stderr
    error: account `work` cannot sign in with a device code: its connector names no endpoint for that (`oauth.device`)
    hint: leave out `--device`; with `--paste` no browser is needed on this machine
    --- exit 2
    ");
    nothing_was_added(&shell);
}

#[test]
fn an_account_for_reading_alone() {
    for service in Service::ALL {
        let shell = shell(service);
        let signing_in = shell.signing_in(&add(&shell, service, &["--paste", "--read-only"]));
        let scope = query(&signing_in.url, "scope");
        assert!(!scope.to_lowercase().contains("write"), "{scope}");
        let page = shell.browse(&signing_in.url);
        let answer = if service == Service::Dropbox { page.code() } else { &page.location };
        assert_eq!(signing_in.answer(&shell, answer).code, Some(0));
        if service == Service::OneDrive {
            insta::assert_snapshot!(shell.create("archive", service, &["--yes"]), @"
            --- stderr
            error: destination `archive` writes, but account `work` was signed in for reading alone
            hint: create the destination with `--read-only`, or with an account that may write: `wharf account add NAME --type onedrive`
            --- exit 5
            ");
        }
        shell.create("archive", service, &["--yes"]).failed(5);
        match service {
            Service::OneDrive => {
                shell.cloud.onedrive().put_file(ACCOUNT, "/backups/server1/there", b"x").unwrap()
            }
            Service::Dropbox => {
                shell.cloud.dropbox().put_file(ACCOUNT, "/backups/server1/there", b"x").unwrap()
            }
        }
        shell.create("archive", service, &["--read-only", "--yes"]).done();
        assert_eq!(shell.run(&["ls", "archive:"]).done(), "there");
        assert_eq!(shell.run(&["account", "show", "work", "--json"]).json()[0]["read_only"], true);
        // By hand: the host says so, and the service would.
        let file = shell.path("home/destinations/archive.toml");
        let text = std::fs::read_to_string(&file).unwrap().replace("read_only = true", "read_only = false");
        std::fs::write(&file, text).unwrap();
        let message = shell.run(&["ls", "archive:"]).failed(5);
        assert!(message.contains("account `work` was signed in for reading alone"), "{message}");
        let file = shell.path("home/accounts/work.toml");
        let text = std::fs::read_to_string(&file).unwrap().replace("read_only = true", "");
        std::fs::write(&file, text).unwrap();
        let hello = shell.file("hello.txt", "hello");
        let ran = shell.run(&["copy", &hello, "archive:"]);
        assert_ne!(ran.code, Some(0), "the token may not write: {ran}");
    }
}

#[test]
fn an_answer_that_is_none() {
    let shell = shell(Service::OneDrive);
    let paste = |text: &str| {
        let signing_in = shell.signing_in(&add(&shell, Service::OneDrive, &["--paste"]));
        let text = text.replace("STATE", &query(&signing_in.url, "state"));
        let ran = signing_in.answer(&shell, &text);
        nothing_was_added(&shell);
        Ran { stderr: ran.stderr.split_off_after("paste that address here.\n"), ..ran }
    };
    insta::assert_snapshot!(paste(""), @"
    --- stderr
    error: what was pasted does not sign in account `work`: it is empty
    hint: paste the code that the page shows, or the whole address that the browser ended at
    --- exit 2
    ");
    insta::assert_snapshot!(paste("https://login.microsoftonline.com/common/oauth2/nativeclient"), @"
    --- stderr
    error: what was pasted does not sign in account `work`: the address has no `code`
    hint: paste the code that the page shows, or the whole address that the browser ended at
    --- exit 2
    ");
    let at = "https://login.microsoftonline.com/common/oauth2/nativeclient?";
    insta::assert_snapshot!(paste(&format!("{at}code=sesame&state=other")), @"
    --- stderr
    error: this does not answer the sign-in of account `work`: its `state` is not the one that was sent
    hint: run the command again, and use the page that it names and no older one
    --- exit 6
    ");
    insta::assert_snapshot!(paste(&format!("{at}code=sesame&state=STATE")), @"
    --- stderr
    error: the service does not take this answer for account `work`: invalid_grant: AADSTS9002313: The token is not valid.
    hint: run the command again and answer anew: an answer is good once, and for a few minutes
    --- exit 6
    ");
    insta::assert_snapshot!(paste(&format!("{at}error=access_denied&error_description=no&state=STATE")), @"
    --- stderr
    error: the sign-in of account `work` was declined: access_denied: no
    hint: run the command again and allow what the page asks for; where it says that an administrator must approve, ask for that first
    --- exit 6
    ");
    insta::assert_snapshot!(paste("sesame"), @"
    --- stderr
    error: the service does not take this answer for account `work`: invalid_grant: AADSTS9002313: The token is not valid.
    hint: run the command again and answer anew: an answer is good once, and for a few minutes
    --- exit 6
    ");
    // A page of another question, answered in time: its code is bound to what only that one knows.
    let other = shell.signing_in(&add(&shell, Service::OneDrive, &["--paste"]));
    let page = shell.browse(&other.url);
    let ran = paste(&query(&page.location, "code"));
    assert_eq!(ran.code, Some(6), "{ran}");
    assert_eq!(other.answer(&shell, &page.location).code, Some(0), "and is good for that");
}

/// The tail of what was told, after the question.
trait Tail {
    fn split_off_after(&self, mark: &str) -> String;
}

impl Tail for String {
    fn split_off_after(&self, mark: &str) -> String {
        self.split_once(mark).map_or_else(|| self.clone(), |(_, tail)| tail.to_owned())
    }
}

#[test]
fn who_says_no_in_the_browser() {
    for service in Service::ALL {
        let shell = shell(service);
        switch(&shell, service, |switches| switches.decline = true);
        let signing_in = shell.signing_in(&add(&shell, service, &["--port", "0"]));
        let page = shell.browse(&signing_in.url);
        assert_eq!(shell.browse(&page.location).status, 400);
        let message = signing_in.end(&shell).failed(6);
        assert!(
            message.contains("error: the sign-in of account `work` was declined: access_denied"),
            "{message}"
        );
        assert!(
            message.contains("hint: run the command again and allow what the page asks for"),
            "{message}"
        );
        nothing_was_added(&shell);
    }
}

#[test]
fn a_port_that_is_taken_and_an_answer_with_another_state() {
    let shell = shell(Service::Dropbox);
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    insta::assert_snapshot!(shell.run(&add(&shell, Service::Dropbox, &["--port", &port])), @"
    --- stderr
    error: cannot listen on 127.0.0.1:[PORT] for the answer to the sign-in of account `work`
      caused by: Address already in use (os error 98)
    hint: name a port that is free with `--port N` (0 for any), if the application is registered with it; or use `--paste`
    --- exit 12
    ");
    let signing_in = shell.signing_in(&add(&shell, Service::Dropbox, &["--port", "0"]));
    let back = query(&signing_in.url, "redirect_uri").replace("%3A", ":").replace("%2F", "/");
    assert_eq!(shell.browse(&format!("{back}?code=sesame&state=guess")).status, 400);
    let message = signing_in.end(&shell).failed(6);
    assert!(message.contains("its `state` is not the one that was sent"), "{message}");
    assert!(message.contains("hint: run the command again, and use the page that it names"), "{message}");
    assert!(shell.cloud.log().iter().all(|entry| entry.kind != "dropbox.token"), "no code was traded");
    nothing_was_added(&shell);
}

#[test]
fn an_application_that_is_missing_or_refused() {
    let shell = shell(Service::OneDrive);
    insta::assert_snapshot!(shell.run(&["account", "add", "work", "--type", "onedrive", "--paste"]), @"
    --- stderr
    error: the connector `dev.wharf.onedrive@0.1.0` has no client id of its own
    hint: register an application with the service (redirect address `http://localhost:53682/`), and add the account with `--client-id ID`
    --- exit 2
    ");
    let signing_in = shell.signing_in(&[
        "account",
        "add",
        "work",
        "--type",
        "onedrive",
        "--client-id",
        "nobody",
        "--paste",
    ]);
    assert_eq!(shell.browse(&signing_in.url).status, 400);
    let message = signing_in.answer(&shell, "code").failed(6);
    assert!(message.contains("error: the service refuses the client of account `work`"), "{message}");
    assert!(message.contains("hint: check `--client-id` and `--client-secret-file`"), "{message}");
    let message = shell.run(&["account", "add", "work", "--type", "local"]).failed(3);
    assert!(message.contains("no connector `local` is installed"), "{message}");
    nothing_was_added(&shell);
    // One with a secret of its own, which changes.
    switch(&shell, Service::OneDrive, |switches| switches.secret_required = true);
    let (_, _, secret) = shell.client(Service::OneDrive);
    let (good, bad) = (shell.file("good", secret), shell.file("bad", "sesame"));
    let sign_in = |words: &[&str]| {
        let signing_in = shell.signing_in(words);
        let page = shell.browse(&signing_in.url);
        signing_in.answer(&shell, &page.location)
    };
    let message =
        sign_in(&add(&shell, Service::OneDrive, &["--paste", "--client-secret-file", &bad])).failed(6);
    assert!(message.contains("Invalid client secret") && !message.contains("sesame"), "{message}");
    assert_eq!(
        sign_in(&add(&shell, Service::OneDrive, &["--paste", "--client-secret-file", &good])).code,
        Some(0)
    );
    shell.cloud.onedrive().add_client(shell.client(Service::OneDrive).1, "changed");
    let message = sign_in(&["account", "authorize", "work", "--paste"]).failed(6);
    assert!(message.contains("a new secret goes with `--client-secret-file FILE`"), "{message}");
    let changed = shell.file("changed", "changed");
    let words = ["account", "authorize", "work", "--paste", "--client-secret-file", &changed];
    assert_eq!(sign_in(&words).code, Some(0));
    shell.cloud.onedrive().expire_tokens(ACCOUNT);
    works(&shell, Service::OneDrive);
}

/// Until a new sign-in is stored, the old one is there: also when the command is killed while it waits.
#[test]
fn an_account_that_must_sign_in_again() {
    for service in Service::ALL {
        let shell = shell(service);
        shell.add_account("work", service).done();
        works(&shell, service);
        let sealed = || std::fs::read(shell.path("home/accounts/work.sealed")).unwrap();
        let before = sealed();
        let mut waiting = shell.signing_in(&["account", "authorize", "work", "--port", "0"]);
        waiting.child().kill().unwrap();
        assert_eq!(waiting.end(&shell).code, None);
        let interrupted = shell.signing_in(&["account", "authorize", "work", "--paste"]);
        assert_ne!(interrupted.answer(&shell, "sesame").code, Some(0));
        assert!(sealed() == before, "the old sign-in is as it was");
        assert_eq!(shell.run(&["ls", "archive:"]).done(), "hello.txt");

        match service {
            Service::OneDrive => shell.cloud.onedrive().revoke(ACCOUNT),
            Service::Dropbox => shell.cloud.dropbox().revoke(ACCOUNT),
        }
        let message = shell.run(&["ls", "archive:"]).failed(6);
        assert!(message.contains("hint: run `wharf account authorize work`"), "{message}");
        // What it says to run helps, and so does the destination's own command.
        for words in [["account", "authorize", "work"], ["destination", "authorize", "archive"]] {
            let signing_in = shell.signing_in(&[&words[..], &["--paste"]].concat());
            let page = shell.browse(&signing_in.url);
            let answer = if service == Service::Dropbox { page.code() } else { &page.location };
            assert_eq!(signing_in.answer(&shell, answer).code, Some(0));
            assert_eq!(shell.run(&["ls", "archive:"]).done(), "hello.txt");
        }
    }
    let shell = shell(Service::Dropbox);
    let message = shell.run(&["account", "authorize", "nobody"]).failed(3);
    assert!(message.contains("there is no account `nobody`"), "{message}");
}

#[test]
fn a_configuration_of_rclone_that_cannot_be_taken_over() {
    let shell = shell(Service::Dropbox);
    let import = |text: &str, more: &[&str]| {
        let file = shell.file("rclone.conf", text);
        shell.run(&[&["account", "import", "--rclone", &file], more].concat())
    };
    insta::assert_snapshot!(import("# Encrypted rclone configuration File\n\nRCLONE_ENCRYPT_V0:\nAAAA", &[]), @"
    --- stderr
    error: `[FOLDER]/rclone.conf` cannot be imported
      caused by: this rclone configuration is encrypted
    hint: have rclone decrypt it: `rclone config dump | wharf account import --rclone -`
    --- exit 2
    ");
    insta::assert_snapshot!(import("sesame", &[]), @"
    --- stderr
    error: `[FOLDER]/rclone.conf` cannot be imported
      caused by: this is no rclone configuration: line 1 is neither `[NAME]` nor `KEY = VALUE`
    hint: `rclone config file` says where the configuration is
    --- exit 2
    ");
    let token = "token = {\"access_token\":\"a\",\"refresh_token\":\"r\"}";
    let two = format!("[Work]\ntype = dropbox\nclient_id = id\n{token}\n[bucket]\ntype = s3\n");
    insta::assert_snapshot!(import(&two, &["nothing"]), @"
    --- stderr
    error: `[FOLDER]/rclone.conf` has no remote `nothing`
    hint: it has these: Work, bucket
    --- exit 3
    ");
    insta::assert_snapshot!(import(&two, &["bucket"]), @"
    --- stderr
    error: the remote `bucket` is not taken over
      caused by: there is no connector for its type `s3`
    hint: `wharf connector list` shows those there are
    --- exit 2
    ");
    insta::assert_snapshot!(import(&two, &[]), @"
    --- stdout
    wharf destination create work --type dropbox --account work --backup-directory /backups
    --- stderr
    added account `work` from the remote `Work`; create its destination with
    left out `bucket`: there is no connector for its type `s3`
    --- exit 0
    ");
    insta::assert_snapshot!(import(&two, &["Work:"]), @"
    --- stderr
    error: the remote `Work` is not taken over
      caused by: there is an account `work` already
    hint: run `wharf account authorize work` to give it a new sign-in
    --- exit 4
    ");
    let plain = format!("[plain]\ntype = dropbox\n{token}\n[drive]\ntype = onedrive\n{token}\n");
    insta::assert_snapshot!(import(&plain, &[]), @"
    --- stderr
    error: the remote `plain` is not taken over
      caused by: it was signed in as rclone itself, without a `client_id` of its own
    hint: sign in anew: `wharf account add plain --type dropbox --client-id ID`
    error: the remote `drive` is not taken over
      caused by: no connector `onedrive` is installed
    hint: run `wharf connector list` to see which are
    --- exit 2
    ");
    assert_eq!(shell.run(&["account", "list", "--json"]).json().len(), 1);
}
