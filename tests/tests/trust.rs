//! Whom an operator trusts, as the command has it: what is signed is installed without a word, and
//! everything that is not as it should be is refused with the rule and the remedy.

use serde_json::{Value, json};
use wharf_runtime::registry::Digest;
use wharf_tests::{ACCOUNT, Ran, Service, Shell, connector, noise, steady};

#[test]
fn what_a_publisher_signed_is_installed() {
    let shell = Shell::with_vendor();
    let made = shell.run(&["connector", "keygen", "--output", "other"]);
    assert!(made.stderr.contains("`other.key` is yours alone, `other.pub` is for everybody"), "{made}");
    let id = {
        let file = shell.signed("1.0.0");
        let key = &shell.run(&["connector", "sign", &file, "--key", "vendor.key", "--json"]).json()[0];
        key["key"].as_str().unwrap().to_owned()
    };
    let stable = |ran: &Ran| steady(ran, &[(&id, "[KEY]")]);
    insta::assert_snapshot!(shell.put_connector("dropbox-1.0.0.wasm", &[]), @"
    --- stderr
    error: `dropbox-1.0.0.wasm` cannot be installed
      caused by: nobody is trusted yet, so no signature counts
    hint: run `wharf trust add NAME --key FILE --id-prefix PREFIX` first
    --- exit 5
    ");
    assert!(!shell.path("home").exists(), "what is refused makes no home");
    insta::assert_snapshot!(stable(&shell.trust("wharf", "vendor", "dev.wharf")), @"
    --- stderr
    trusting key `[KEY]` (Ed25519) of `wharf` to sign connectors of dev.wharf
    --- exit 0
    ");
    let installed = shell.put_connector("dropbox-1.0.0.wasm", &[]);
    let lines: Vec<&str> = installed.stderr.lines().collect();
    let first = format!("Dropbox (dev.wharf.dropbox@1.0.0) is signed by wharf ({}) and asks for:", &id[..12]);
    assert_eq!(lines.first(), Some(&first.as_str()), "{installed}");
    let last = format!("installed `dev.wharf.dropbox@1.0.0`; signed by wharf ({})", &id[..12]);
    assert_eq!(lines.last(), Some(&last.as_str()), "{installed}");
    insta::assert_snapshot!(stable(&shell.run(&["trust", "list"])), @"
    --- stdout
    PUBLISHER  IDS        KEY           KIND     STATE
    wharf      dev.wharf  [KEY]  Ed25519  good
    --- exit 0
    ");
    insta::assert_snapshot!(stable(&shell.run(&["connector", "list"])), @"
    --- stdout
    TYPE     ID                 VERSION  SIGNED BY             INSTALLED
    dropbox  dev.wharf.dropbox  1.0.0    wharf ([KEY])  [MOMENT]
    --- exit 0
    ");
    insta::assert_snapshot!(stable(&shell.run(&["connector", "verify"])), @"
    --- stdout
    TYPE     VERSION  SIGNED BY             RESULT
    dropbox  1.0.0    wharf ([KEY])  good
    --- exit 0
    ");
    let shown = shell.run(&["connector", "show", "dropbox"]).done();
    assert!(shown.contains(&format!("signed by  wharf ({})\nkey        {id}\n", &id[..12])), "{shown}");
    let listed = &shell.run(&["connector", "list", "--json"]).json()[0];
    assert_eq!((&listed["signed_by"], &listed["key"]), (&json!("wharf"), &json!(id)));
    let published = &shell.run(&["trust", "list", "--json"]).json()[0];
    assert_eq!(published["keys"][0]["state"], "good");
    shell.add_account("work", Service::Dropbox).done();
    let created = shell.create("archive", Service::Dropbox, &["--yes"]);
    assert!(created.stderr.contains(&format!(", signed by wharf ({}), will be", &id[..12])), "{created}");
    assert!(!shell.run(&["destination", "list"]).done().contains("unsigned"));
    shell.cloud.dropbox().put_file(ACCOUNT, "/backups/server1/there", b"x").unwrap();
    assert_eq!(shell.run(&["ls", "archive:"]).done(), "there");
}

#[test]
fn what_nobody_trusted_signed_is_refused_unread() {
    let shell = Shell::trusting();
    let file = shell.release("1.0.0", |_| {});
    insta::assert_snapshot!(shell.put_connector(&file, &[]), @"
    --- stderr
    error: `[FOLDER]/dropbox-1.0.0.wasm` cannot be installed
      caused by: the connector is not signed
    hint: get its bundle (`FILE.sigstore.json`) from the publisher; `--allow-unsigned` installs it all the same, shown as unsigned everywhere
    --- exit 5
    ");
    let id = shell.keygen("stranger");
    shell.sign(&file, "stranger").done();
    insta::assert_snapshot!(steady(&shell.put_connector(&file, &[]), &[(&id, "[KEY]")]), @"
    --- stderr
    error: `[FOLDER]/dropbox-1.0.0.wasm` cannot be installed
      caused by: it is signed with key `[KEY]`, which no trusted publisher has
    hint: if you trust its owner, run `wharf trust add NAME --key FILE --id-prefix PREFIX`
    --- exit 5
    ");
    // The signature comes first: what is not even a component is told to be untrusted, and no more.
    let rubbish = shell.file("rubbish.wasm", b"no component at all");
    std::fs::copy(shell.path("dropbox-1.0.0.wasm.sigstore.json"), shell.path("rubbish.wasm.sigstore.json"))
        .unwrap();
    let refused = shell.put_connector(&rubbish, &[]);
    assert!(refused.stderr.contains("its bundle is for sha256:"), "{refused}");
    assert!(!refused.stderr.contains("WebAssembly"), "{refused}");
    assert_eq!(
        shell.run(&["connector", "list"]).stderr,
        "there are no connectors yet; see `wharf connector install --help`"
    );
}

#[test]
fn what_was_changed_is_refused() {
    let shell = Shell::trusting();
    let file = shell.signed("1.0.0");
    let good = std::fs::read(&file).unwrap();
    let bundle = shell.read("dropbox-1.0.0.wasm.sigstore.json");
    let digests = (Digest::of(&good), {
        let mut bytes = good.clone();
        bytes[good.len() / 2] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        Digest::of(&bytes)
    });
    let stable = |ran: &Ran| {
        ran.to_string().replace(digests.0.as_str(), "[SIGNED]").replace(digests.1.as_str(), "[FOUND]")
    };
    insta::assert_snapshot!(stable(&shell.put_connector(&file, &[])), @"
    --- stderr
    error: `[FOLDER]/dropbox-1.0.0.wasm` cannot be installed
      caused by: its bundle is for sha256:[SIGNED], and the file has sha256:[FOUND]
    hint: get the file and its bundle again, both from the publisher
    --- exit 9
    ");
    // A bundle that was made to fit is not signed.
    let mut forged: Value = serde_json::from_str(&bundle).unwrap();
    forged["messageSignature"]["messageDigest"] = json!({});
    let forged = shell.file("forged.json", forged.to_string());
    let refused = shell.put_connector(&file, &["--bundle", &forged]).failed(9);
    assert!(
        refused.contains("of publisher `wharf` did not sign these bytes: they, or the bundle, were changed"),
        "{refused}"
    );
    std::fs::write(&file, &good).unwrap();
    let other = shell.signed("1.1.0");
    let swapped = shell.put_connector(&file, &["--bundle", &format!("{other}.sigstore.json")]);
    assert!(swapped.failed(9).contains("its bundle is for sha256:"));
    let large = shell.file("large.json", noise(1, 300_000));
    let refused = shell.put_connector(&file, &["--bundle", &large]).failed(15);
    assert!(refused.contains("caused by: its bundle is larger than 262144 bytes"), "{refused}");
    let refused = shell.put_connector(&file, &["--bundle", &shell.file("text.json", "hello")]).failed(15);
    assert!(refused.contains("caused by: its bundle is malformed: "), "{refused}");
    let usage = shell.put_connector(&file, &["--bundle", &forged, "--allow-unsigned"]).failed(2);
    assert!(usage.contains("cannot be used with"), "{usage}");
    shell.put_connector(&file, &[]).done();
}

#[test]
fn a_publisher_signs_what_is_theirs() {
    let shell = Shell::with_vendor();
    shell.trust("acme", "vendor", "com.acme").done();
    let file = shell.signed("1.0.0");
    insta::assert_snapshot!(shell.put_connector(&file, &[]), @"
    --- stderr
    error: `[FOLDER]/dropbox-1.0.0.wasm` cannot be installed
      caused by: publisher `acme` may sign ids of `com.acme`, and this one is `dev.wharf.dropbox`
    hint: do not install it, unless you know why `acme` signs `dev.wharf.dropbox`; then run `wharf trust add acme --id-prefix dev.wharf.dropbox`
    --- exit 5
    ");
    shell.keygen("other");
    shell.trust("wharf", "other", "dev.wharf").done();
    insta::assert_snapshot!(shell.run(&["trust", "add", "acme", "--id-prefix", "dev.wharf.dropbox"]), @"
    --- stderr
    error: ids of `dev.wharf` are publisher `wharf`'s already
    hint: `wharf trust list` shows what is `wharf`'s
    --- exit 4
    ");
    let wide = shell.run(&["trust", "add", "acme", "--id-prefix", "com"]).failed(2);
    assert!(wide.contains("two labels at least, as in `com.example`"), "{wide}");
    let taken = shell.run(&["trust", "add", "wharf", "--key", "vendor.pub"]).failed(4);
    assert!(taken.contains("is publisher `acme`'s already"), "{taken}");
    let private = shell.run(&["trust", "add", "x", "--key", "vendor.key", "--id-prefix", "com.x"]).failed(2);
    assert!(private.contains("holds a private key, which is nobody's but the publisher's"), "{private}");
}

#[test]
fn a_key_is_good_for_a_time() {
    let shell = Shell::with_vendor();
    let id = shell.keygen("next");
    let file = shell.release("1.0.0", |_| {});
    shell.sign(&file, "next").done();
    let stable = |ran: &Ran| steady(ran, &[(&id, "[KEY]")]);
    let trust = |publisher: &str, bound: &str, day: &str| {
        let words = ["trust", "add", publisher, "--key", "next.pub", "--id-prefix", "dev.wharf", bound, day];
        shell.run(&words).done();
    };
    trust("soon", "--not-before", "2999-01-01");
    insta::assert_snapshot!(stable(&shell.put_connector(&file, &[])), @"
    --- stderr
    error: `[FOLDER]/dropbox-1.0.0.wasm` cannot be installed
      caused by: key `[KEY]` of publisher `soon` is good from [MOMENT] on
    hint: see that this machine's clock is right, or wait until then
    --- exit 5
    ");
    shell.run(&["trust", "remove", "soon"]).done();
    trust("past", "--not-after", "2001-01-01");
    insta::assert_snapshot!(stable(&shell.put_connector(&file, &[])), @"
    --- stderr
    error: `[FOLDER]/dropbox-1.0.0.wasm` cannot be installed
      caused by: key `[KEY]` of publisher `past` was good until [MOMENT]
    hint: get a version that is signed with a newer key, and run `wharf trust add past --key FILE` for that
    --- exit 5
    ");
    // A second key of the same publisher, and both are good until the old one is taken back.
    shell.run(&["trust", "add", "past", "--key", "vendor.pub"]).done();
    shell.sign(&file, "vendor").done();
    shell.put_connector(&file, &[]).done();
    // What was installed while its key was good goes on, but would not be installed today.
    let text = shell.read("home/trust.toml");
    let vendor = text.rfind("[[publisher.key]]").unwrap();
    let ended = format!("{}not_after = \"2001-01-01T00:00:00Z\"\n", &text[vendor..]);
    std::fs::write(shell.path("home/trust.toml"), format!("{}{ended}", &text[..vendor])).unwrap();
    let verified = shell.run(&["connector", "verify"]);
    assert!(verified.stdout.contains("FAILED"), "{verified}");
    let told = verified.failed(5);
    assert!(
        told.starts_with("error: connector `dev.wharf.dropbox@1.0.0` would not be installed today"),
        "{told}"
    );
    shell.add_account("work", Service::Dropbox).done();
    shell.create("archive", Service::Dropbox, &["--yes"]).done();
    shell.run(&["mkdir", "archive:x"]).done();
    let bad = shell.run(&["trust", "add", "x", "--key", "next.pub", "--not-before", "tomorrow"]).failed(2);
    assert!(bad.contains("expected a day as in 2027-01-01"), "{bad}");
}

#[test]
fn a_folder_is_installed_whole_or_not_at_all() {
    let shell = Shell::trusting();
    let folder = shell.room("shelf");
    for kind in ["dropbox", "onedrive", "local"] {
        let file = shell.file(&format!("shelf/{kind}.wasm"), connector(kind));
        shell.sign(&file, "vendor").done();
    }
    let bundle = shell.path("shelf/onedrive.wasm.sigstore.json");
    std::fs::rename(&bundle, shell.path("elsewhere")).unwrap();
    let refused = shell.put_connector(&folder, &[]).failed(5);
    assert!(refused.contains("error: `[FOLDER]/shelf/onedrive.wasm` cannot be installed"), "{refused}");
    assert!(shell.run(&["connector", "list", "--json"]).json().is_empty());
    std::fs::rename(shell.path("elsewhere"), &bundle).unwrap();
    let installed = shell.put_connector(&folder, &["--json"]).json();
    let kinds: Vec<&Value> = installed.iter().map(|one| &one["type"]).collect();
    assert_eq!(kinds, ["dropbox", "local", "onedrive"]);
    let empty = shell.put_connector(&shell.room("empty"), &[]).failed(3);
    assert!(empty.contains("there is no `*.wasm` in"), "{empty}");
}

#[test]
fn a_connector_that_is_at_hand_is_offered() {
    let shell = Shell::trusting();
    let shelf = shell.room("shelf");
    shell.file("shelf/misnamed.wasm", connector("local"));
    shell.file("shelf/rubbish.wasm", b"rubbish");
    let create = |more: &[&str]| {
        let words =
            ["destination", "create", "disk", "--type", "local", "--backup-directory", "/srv/backups"];
        shell.run(&[&words, more].concat())
    };
    let missing = create(&["--connectors", &shelf, "--yes"]).failed(3);
    assert!(missing.contains("no connector `local` is installed"), "{missing}");
    shell.sign("shelf/misnamed.wasm", "vendor").done();
    let asked = create(&["--connectors", &shelf]);
    assert!(
        asked
            .stderr
            .contains("connector `local` is not installed, but `[FOLDER]/shelf/misnamed.wasm` has it:"),
        "{asked}"
    );
    assert!(asked.failed(16).ends_with(
        "error: nobody is there to answer: install `dev.wharf.local@0.1.0`?\nhint: add `--yes` if you agree"
    ));
    let mut command = shell.command(&[
        "destination",
        "create",
        "disk",
        "--type",
        "local",
        "--backup-directory",
        "/srv/backups",
        "--yes",
    ]);
    let created = shell.ran(&command.env("WHARF_CONNECTORS", &shelf).output().unwrap());
    assert!(created.clone().done().is_empty());
    assert!(created.stderr.contains("installed `dev.wharf.local@0.1.0`; signed by wharf"), "{created}");
    // Where a file promises by its name and is not trusted, that is the reason that is told.
    shell.keygen("stranger");
    std::fs::create_dir(shell.path("home/connectors")).unwrap();
    let dropbox = shell.file("home/connectors/dropbox.wasm", connector("dropbox"));
    shell.sign(&dropbox, "stranger").done();
    let refused = shell.create("archive", Service::Dropbox, &["--yes"]).failed(5);
    assert!(refused.contains("which no trusted publisher has"), "{refused}");
}

#[test]
fn a_vendor_signs_what_can_be_installed() {
    let shell = Shell::with_vendor();
    let unpacked = shell.file("plain.wasm", wasm_encoder::Component::new().finish());
    let refused = shell.sign(&unpacked, "vendor").failed(15);
    assert!(
        refused.contains("`[FOLDER]/plain.wasm` cannot be signed") && refused.contains("hint: pack it first"),
        "{refused}"
    );
    let file = shell.release("1.0.0", |_| {});
    insta::assert_snapshot!(shell.run(&["connector", "sign", &file, "--key", "vendor.pub"]), @"
    --- stderr
    error: the key `vendor.pub` cannot be used
      caused by: holds a public key, which cannot sign
    hint: name the private key; `wharf connector keygen` makes one
    --- exit 2
    ");
    let taken = shell.run(&["connector", "keygen", "--output", "vendor"]).failed(4);
    assert!(taken.contains("already"), "{taken}");
    use std::os::unix::fs::PermissionsExt as _;
    let mode = std::fs::metadata(shell.path("vendor.key")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // An encrypted key needs its password, from a file or where cosign looks for it.
    shell.file("cosign.key", include_str!("../../runtime/src/trust/tests/cosign.key"));
    let words = ["connector", "sign", &file, "--key", "cosign.key"];
    let missing = shell.run(&words).failed(2);
    assert!(missing.contains("is encrypted, and no password is given"), "{missing}");
    shell
        .run(&[&words[..], &["--password-file", &shell.file("password", "correct horse\n")]].concat())
        .done();
    let wrong = shell.ran(&shell.command(&words).env("COSIGN_PASSWORD", "wrong").output().unwrap()).failed(2);
    assert!(wrong.contains("cannot be opened with this password"), "{wrong}");
    shell.ran(&shell.command(&words).env("COSIGN_PASSWORD", "correct horse").output().unwrap()).done();
}
