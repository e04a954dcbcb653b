//! Whom an operator trusts, as the command has it: what is signed is installed without a word, and
//! everything that is not as it should be is refused with the rule and the remedy.
#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

use serde_json::{Value, json};
use wharf_runtime::manifest::section;
use wharf_runtime::registry::Digest;
use wharf_tests::{ACCOUNT, Ran, Service, Shell, connector, noise};

const MANIFEST: &str = include_str!("../../connectors/dropbox/manifest.json");

/// A shell, and the key of a vendor: `vendor.key` and `vendor.pub`.
fn vendor() -> Shell {
    let shell = Shell::new();
    shell.keygen("vendor");
    shell
}

/// The same, trusted for `dev.wharf`.
fn trusting() -> Shell {
    let shell = vendor();
    shell.trust("wharf", "vendor", "dev.wharf").done();
    shell
}

trait Vendor {
    fn keygen(&self, name: &str) -> String;
    fn trust(&self, publisher: &str, key: &str, prefix: &str) -> Ran;
    fn sign(&self, file: &str, key: &str) -> Ran;
    fn release(&self, version: &str, change: impl FnOnce(&mut Value)) -> String;
    fn put(&self, file: &str, more: &[&str]) -> Ran;
    fn text(&self, name: &str) -> String;
}

impl Vendor for Shell {
    /// Make a key. Returns its id.
    fn keygen(&self, name: &str) -> String {
        let made = self.run(&["connector", "keygen", "--output", name, "--json"]).json();
        made[0]["key"].as_str().unwrap().to_owned()
    }

    fn trust(&self, publisher: &str, key: &str, prefix: &str) -> Ran {
        self.run(&["trust", "add", publisher, "--key", &format!("{key}.pub"), "--id-prefix", prefix])
    }

    fn sign(&self, file: &str, key: &str) -> Ran {
        self.run(&["connector", "sign", file, "--key", &format!("{key}.key")])
    }

    /// The connector of Dropbox in another version, not signed yet.
    fn release(&self, version: &str, change: impl FnOnce(&mut Value)) -> String {
        let mut manifest: Value = serde_json::from_str(MANIFEST).unwrap();
        manifest["version"] = version.into();
        change(&mut manifest);
        let packed = section::write(&connector("dropbox"), manifest.to_string().as_bytes()).unwrap();
        self.file(&format!("dropbox-{version}.wasm"), packed)
    }

    fn put(&self, file: &str, more: &[&str]) -> Ran {
        self.run(&[&["connector", "install", file], more].concat())
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }
}

/// Without the digits that differ from key to key.
fn steady(ran: &Ran, ids: &[(&str, &str)]) -> String {
    ids.iter().fold(ran.to_string(), |text, (id, word)| text.replace(id, word).replace(&id[..12], word))
}

/// A signed release of this version.
fn signed(shell: &Shell, version: &str) -> String {
    let file = shell.release(version, |_| {});
    shell.sign(&file, "vendor").done();
    file
}

#[test]
fn what_a_publisher_signed_is_installed() {
    let shell = vendor();
    let made = shell.run(&["connector", "keygen", "--output", "other"]);
    assert!(made.stderr.contains("`other.key` is yours alone, `other.pub` is for everybody"), "{made}");
    let id = {
        let file = signed(&shell, "1.0.0");
        let key = &shell.run(&["connector", "sign", &file, "--key", "vendor.key", "--json"]).json()[0];
        key["key"].as_str().unwrap().to_owned()
    };
    let stable = |ran: &Ran| steady(ran, &[(&id, "[KEY]")]);
    insta::assert_snapshot!(shell.put("dropbox-1.0.0.wasm", &[]), @"
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
    let installed = shell.put("dropbox-1.0.0.wasm", &[]);
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
    let shell = trusting();
    let file = shell.release("1.0.0", |_| {});
    insta::assert_snapshot!(shell.put(&file, &[]), @"
    --- stderr
    error: `[FOLDER]/dropbox-1.0.0.wasm` cannot be installed
      caused by: the connector is not signed
    hint: get its bundle (`FILE.sigstore.json`) from the publisher; `--allow-unsigned` installs it all the same, shown as unsigned everywhere
    --- exit 5
    ");
    let id = shell.keygen("stranger");
    shell.sign(&file, "stranger").done();
    insta::assert_snapshot!(steady(&shell.put(&file, &[]), &[(&id, "[KEY]")]), @"
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
    let refused = shell.put(&rubbish, &[]);
    assert!(refused.stderr.contains("its bundle is for sha256:"), "{refused}");
    assert!(!refused.stderr.contains("WebAssembly"), "{refused}");
    assert_eq!(
        shell.run(&["connector", "list"]).stderr,
        "there are no connectors yet; see `wharf connector install --help`"
    );
}

#[test]
fn what_was_changed_is_refused() {
    let shell = trusting();
    let file = signed(&shell, "1.0.0");
    let good = std::fs::read(&file).unwrap();
    let bundle = shell.text("dropbox-1.0.0.wasm.sigstore.json");
    let digests = (Digest::of(&good), {
        let mut bytes = good.clone();
        bytes[good.len() / 2] ^= 1;
        std::fs::write(&file, &bytes).unwrap();
        Digest::of(&bytes)
    });
    let stable = |ran: &Ran| {
        ran.to_string().replace(digests.0.as_str(), "[SIGNED]").replace(digests.1.as_str(), "[FOUND]")
    };
    insta::assert_snapshot!(stable(&shell.put(&file, &[])), @"
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
    let refused = shell.put(&file, &["--bundle", &forged]).failed(9);
    assert!(
        refused.contains("of publisher `wharf` did not sign these bytes: they, or the bundle, were changed"),
        "{refused}"
    );
    std::fs::write(&file, &good).unwrap();
    let other = signed(&shell, "1.1.0");
    let swapped = shell.put(&file, &["--bundle", &format!("{other}.sigstore.json")]);
    assert!(swapped.failed(9).contains("its bundle is for sha256:"));
    let large = shell.file("large.json", noise(1, 300_000));
    let refused = shell.put(&file, &["--bundle", &large]).failed(15);
    assert!(refused.contains("caused by: its bundle is larger than 262144 bytes"), "{refused}");
    let refused = shell.put(&file, &["--bundle", &shell.file("text.json", "hello")]).failed(15);
    assert!(refused.contains("caused by: its bundle is malformed: "), "{refused}");
    let usage = shell.put(&file, &["--bundle", &forged, "--allow-unsigned"]).failed(2);
    assert!(usage.contains("cannot be used with"), "{usage}");
    shell.put(&file, &[]).done();
}

#[test]
fn a_publisher_signs_what_is_theirs() {
    let shell = vendor();
    shell.trust("acme", "vendor", "com.acme").done();
    let file = signed(&shell, "1.0.0");
    insta::assert_snapshot!(shell.put(&file, &[]), @"
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
    let shell = vendor();
    let id = shell.keygen("next");
    let file = shell.release("1.0.0", |_| {});
    shell.sign(&file, "next").done();
    let stable = |ran: &Ran| steady(ran, &[(&id, "[KEY]")]);
    let trust = |publisher: &str, bound: &str, day: &str| {
        let words = ["trust", "add", publisher, "--key", "next.pub", "--id-prefix", "dev.wharf", bound, day];
        shell.run(&words).done();
    };
    trust("soon", "--not-before", "2999-01-01");
    insta::assert_snapshot!(stable(&shell.put(&file, &[])), @"
    --- stderr
    error: `[FOLDER]/dropbox-1.0.0.wasm` cannot be installed
      caused by: key `[KEY]` of publisher `soon` is good from [MOMENT] on
    hint: see that this machine's clock is right, or wait until then
    --- exit 5
    ");
    shell.run(&["trust", "remove", "soon"]).done();
    trust("past", "--not-after", "2001-01-01");
    insta::assert_snapshot!(stable(&shell.put(&file, &[])), @"
    --- stderr
    error: `[FOLDER]/dropbox-1.0.0.wasm` cannot be installed
      caused by: key `[KEY]` of publisher `past` was good until [MOMENT]
    hint: get a version that is signed with a newer key, and run `wharf trust add past --key FILE` for that
    --- exit 5
    ");
    // A second key of the same publisher, and both are good until the old one is taken back.
    shell.run(&["trust", "add", "past", "--key", "vendor.pub"]).done();
    shell.sign(&file, "vendor").done();
    shell.put(&file, &[]).done();
    // What was installed while its key was good goes on, but would not be installed today.
    let text = shell.text("home/trust.toml");
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

/// Trusted, installed, and in use by the destination `archive`.
fn in_use() -> (Shell, String) {
    let shell = Shell::new();
    let id = shell.keygen("vendor");
    shell.trust("wharf", "vendor", "dev.wharf").done();
    shell.put(&signed(&shell, "1.0.0"), &[]).done();
    shell.add_account("work", Service::Dropbox).done();
    shell.create("archive", Service::Dropbox, &["--yes"]).done();
    shell.run(&["mkdir", "archive:x"]).done();
    (shell, id)
}

#[test]
fn a_revoked_key_stops_what_it_signed() {
    let (shell, id) = in_use();
    let stable = |ran: &Ran| steady(ran, &[(&id, "[KEY]")]);
    let used = shell.run(&["trust", "remove", "wharf"]);
    insta::assert_snapshot!(used, @"
    --- stderr
    error: publisher `wharf` signed `dev.wharf.dropbox`, installed here
    hint: remove those connectors first, or run `wharf trust revoke wharf --reason TEXT` to stop them
    --- exit 4
    ");
    insta::assert_snapshot!(stable(&shell.run(&["trust", "revoke", &id[..10], "--reason", "lost laptop"])), @"
    --- stderr
    key `[KEY]` of `wharf` is revoked
    warning: connector `dev.wharf.dropbox@1.0.0`, of `archive` does not run any more: key `[KEY]` of publisher `wharf` was revoked by the operator: lost laptop
    --- exit 0
    ");
    insta::assert_snapshot!(stable(&shell.run(&["ls", "archive:"])), @"
    --- stderr
    error: destination `archive`: the connector `dev.wharf.dropbox@1.0.0` is not trusted any more: key `[KEY]` of publisher `wharf` was revoked by the operator: lost laptop
    hint: install a version that is signed with another key of `wharf`; `wharf trust list` has them
    --- exit 5
    ");
    assert!(shell.run(&["trust", "list"]).done().contains("REVOKED: lost laptop"));
    shell.run(&["connector", "verify"]).failed(5);
    let again = shell.put("dropbox-1.0.0.wasm", &[]).failed(5);
    assert!(again.contains("was revoked by the operator: lost laptop"), "{again}");
    // Another key of the publisher, and the same version: it works again.
    shell.keygen("second");
    shell.run(&["trust", "add", "wharf", "--key", "second.pub"]).done();
    shell.sign("dropbox-1.0.0.wasm", "second").done();
    shell.put("dropbox-1.0.0.wasm", &[]).done();
    assert_eq!(shell.run(&["ls", "archive:"]).done(), "x/");
    let unknown = shell.run(&["trust", "revoke", "nobody", "--reason", "x"]).failed(3);
    assert!(unknown.contains("there is no publisher and no key `nobody`"), "{unknown}");
}

#[test]
fn a_publishers_list_takes_back_components_and_keys() {
    let (shell, _) = in_use();
    let digest = Digest::of(&std::fs::read(shell.path("dropbox-1.0.0.wasm")).unwrap()).to_string();
    let issue = |number: &str, expires: &str, more: &[&str]| {
        let words = [
            "trust",
            "issue",
            "--key",
            "vendor.key",
            "--number",
            number,
            "--expires",
            expires,
            "--output",
            "list.json",
        ];
        shell.run(&[&words, more].concat())
    };
    issue("7", "2999-01-01", &["--revoke-digest", &format!("{digest}=CVE-2026-1234")]).done();
    let stable = |ran: &Ran| ran.to_string().replace(&digest[7..], "[DIGEST]");
    insta::assert_snapshot!(stable(&shell.run(&["trust", "update", "list.json"])), @"
    --- stderr
    revocation list 7 of `wharf` is known: 0 keys, 1 components, good until [MOMENT]
    warning: connector `dev.wharf.dropbox@1.0.0`, of `archive` does not run any more: publisher `wharf` revoked sha256:[DIGEST] by its list 7: CVE-2026-1234
    --- exit 0
    ");
    insta::assert_snapshot!(stable(&shell.run(&["ls", "archive:"])), @"
    --- stderr
    error: destination `archive`: the connector `dev.wharf.dropbox@1.0.0` is not trusted any more: publisher `wharf` revoked sha256:[DIGEST] by its list 7: CVE-2026-1234
    hint: install a newer version of `wharf`'s
    --- exit 5
    ");
    issue("6", "2999-01-01", &[]).done();
    insta::assert_snapshot!(shell.run(&["trust", "update", "list.json"]), @"
    --- stderr
    error: the revocation list `list.json` is refused
      caused by: the revocation list of publisher `wharf` has the number 6, and 7 is known already
    hint: get the newest list of `wharf`, and run `wharf trust update FILE`
    --- exit 5
    ");
    let changed = shell.text("list.json").replace("\"number\": 6", "\"number\": 9");
    shell.file("list.json", changed);
    assert!(shell.run(&["trust", "update", "list.json"]).failed(9).contains("its bundle is for sha256:"));
    let past = issue("8", "2001-01-01", &[]).failed(2);
    assert!(past.contains("expires before it is issued"), "{past}");
    // A newer version is not taken back.
    shell.run(&["connector", "update", "dropbox", &signed(&shell, "1.1.0")]).done();
    shell.run(&["ls", "archive:"]).done();
    // A list that has ended says nothing any more: what is installed runs, nothing new is installed.
    let soon = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_secs(2)).unwrap();
    issue("8", &soon.to_string(), &[]).done();
    shell.run(&["trust", "update", "list.json"]).done();
    while jiff::Timestamp::now() <= soon {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    insta::assert_snapshot!(shell.put(&signed(&shell, "1.2.0"), &[]), @"
    --- stderr
    error: `[FOLDER]/dropbox-1.2.0.wasm` cannot be installed
      caused by: revocation list 8 of publisher `wharf` expired on [MOMENT], and there is no newer one here
    hint: get the newest list of `wharf`, and run `wharf trust update FILE`
    --- exit 5
    ");
    let late = shell.run(&["trust", "update", "list.json"]).failed(5);
    assert!(late.contains("revocation list 8 of publisher `wharf` expired on"), "{late}");
    shell.run(&["ls", "archive:"]).done();
    assert!(
        shell
            .run(&["trust", "list"])
            .done()
            .contains("revocation list 8 of wharf: 0 keys, 0 components, expired")
    );
}

#[test]
fn versions_go_forward() {
    let (shell, _) = in_use();
    shell.run(&["connector", "update", "dropbox", &signed(&shell, "1.2.0")]).done();
    let old = "dropbox-1.0.0.wasm";
    insta::assert_snapshot!(only_refusal(&shell.put(old, &[])), @"
    error: `dropbox-1.0.0.wasm` cannot be installed
      caused by: version 1.0.0 of connector `dev.wharf.dropbox` is older than 1.2.0, which was installed before
    hint: if that is what you want, add `--allow-downgrade`
    ");
    shell.put(old, &["--allow-downgrade"]).done();
    let other = shell.release("1.2.0", |manifest| manifest["name"] = "Dropbox, changed".into());
    shell.sign(&other, "vendor").done();
    for more in [&[][..], &["--allow-downgrade"]] {
        insta::allow_duplicates!(insta::assert_snapshot!(only_refusal(&shell.put(&other, more)), @"
        error: `[FOLDER]/dropbox-1.2.0.wasm` cannot be installed
          caused by: version 1.2.0 of connector `dev.wharf.dropbox` was installed with other contents
        hint: ask its publisher for a release with a version of its own
        "));
    }
    let own = shell.release("1.3.0", |_| {});
    insta::assert_snapshot!(only_refusal(&shell.put(&own, &["--allow-unsigned"])), @"
    error: `[FOLDER]/dropbox-1.3.0.wasm` cannot be installed
      caused by: connector `dev.wharf.dropbox` is installed with the signature of `wharf`, and this one has none
    hint: if that is what you want, add `--allow-downgrade`
    ");
    shell.put(&own, &["--allow-unsigned", "--allow-downgrade"]).done();
    let own = shell.release("1.3.0", |manifest| manifest["name"] = "Mine".into());
    insta::assert_snapshot!(only_refusal(&shell.put(&own, &["--allow-unsigned"])), @"
    error: `[FOLDER]/dropbox-1.3.0.wasm` cannot be installed
      caused by: version 1.3.0 of connector `dev.wharf.dropbox` was installed with other contents
    hint: raise `version` in its manifest and pack it again, or add `--allow-downgrade`
    ");
    shell.put(&own, &["--allow-unsigned", "--allow-downgrade"]).done();
    assert!(shell.run(&["connector", "verify"]).done().contains("contents good, nobody signed them"));
}

/// What was refused, without what the connector asks for.
fn only_refusal(ran: &Ran) -> String {
    let at = ran.stderr.find("error:").unwrap_or_else(|| panic!("{ran}"));
    assert_eq!(ran.code, Some(4), "{ran}");
    ran.stderr[at..].to_owned()
}

#[test]
fn an_update_is_of_the_same_connector() {
    let (shell, _) = in_use();
    let missing = shell.run(&["connector", "update", "onedrive", "dropbox-1.0.0.wasm"]).failed(3);
    assert!(missing.contains("no connector `onedrive` is installed"), "{missing}");
    let other = shell.release("2.0.0", |manifest| manifest["id"] = "dev.wharf.other".into());
    shell.sign(&other, "vendor").done();
    insta::assert_snapshot!(shell.run(&["connector", "update", "dropbox", &other]), @"
    --- stderr
    error: `[FOLDER]/dropbox-2.0.0.wasm` is `dev.wharf.other@2.0.0`, and not a version of `dev.wharf.dropbox`
    hint: `wharf connector install FILE` installs another connector beside it
    --- exit 2
    ");
    let same = shell.run(&["connector", "update", "dropbox", "dropbox-1.0.0.wasm"]);
    assert_eq!(same.stderr, "connector `dev.wharf.dropbox@1.0.0` is installed already");
    let less = shell.release("1.1.0", |manifest| {
        manifest["routes"].as_array_mut().unwrap().retain(|route| route["name"] != "usage");
    });
    shell.sign(&less, "vendor").done();
    let updated = shell.run(&["connector", "update", "dropbox", &less]);
    assert!(updated.stderr.contains("\nNo longer asked for: usage\n"), "{updated}");
    let more = shell.release("1.2.0", |_| {});
    shell.sign(&more, "vendor").done();
    let wider = shell.run(&["connector", "update", "dropbox", &more]);
    assert!(wider.stderr.contains("\nVersion 1.1.0 did not ask for: usage\n"), "{wider}");
    assert!(
        updated.stderr.contains("installed `dev.wharf.dropbox@1.1.0` in place of 1.0.0; signed by wharf"),
        "{updated}"
    );
}

#[test]
fn a_disabled_connector_does_nothing() {
    let (shell, _) = in_use();
    insta::assert_snapshot!(shell.run(&["connector", "disable", "dropbox"]), @"
    --- stderr
    connector `dropbox` is disabled; it stops: `archive`
    --- exit 0
    ");
    insta::assert_snapshot!(shell.run(&["ls", "archive:"]), @"
    --- stderr
    error: destination `archive`: the connector `dropbox` is disabled
    hint: run `wharf connector enable dropbox`
    --- exit 5
    ");
    assert!(shell.run(&["connector", "list"]).done().contains(", disabled"));
    shell.run(&["connector", "update", "dropbox", &signed(&shell, "1.1.0")]).done();
    shell.run(&["ls", "archive:"]).failed(5);
    shell.run(&["connector", "enable", "dropbox"]).done();
    assert_eq!(shell.run(&["ls", "archive:"]).done(), "x/");
    let used = shell.run(&["connector", "remove", "dropbox"]).failed(4);
    assert!(used.contains("is used by `archive`"), "{used}");
}

/// A copy that runs when its connector is disabled ends with the next operation, and says why.
#[test]
fn a_running_copy_stops_at_the_next_operation() {
    let (shell, _) = in_use();
    let tree = shell.room("tree");
    for number in 0..400 {
        shell.file(&format!("tree/{number}"), noise(number, 2_000));
    }
    // So slowly that it cannot be done before it is stopped.
    shell.cloud.clear_log();
    shell.cloud.set_latency(std::time::Duration::from_millis(100));
    let mut copy = shell.command(&["copy", &tree, "archive:tree"]);
    copy.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let copy = copy.spawn().unwrap();
    while shell.cloud.log().is_empty() {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    shell.run(&["connector", "disable", "dropbox"]).done();
    let ran = shell.ran(&copy.wait_with_output().unwrap());
    assert_ne!(ran.code, Some(0), "{ran}");
    assert!(ran.stderr.contains("the connector `dropbox` is disabled"), "{ran}");
    shell.run(&["connector", "enable", "dropbox"]).done();
    shell.cloud.set_latency(std::time::Duration::ZERO);
    let audit = shell.run(&["audit", "archive", "--json"]).json();
    let stopped = audit.iter().find(|record| record["rule"] == "connector-stopped").unwrap();
    assert_eq!(stopped["decision"], "denied");
    assert!(stopped["signed_by"].as_str().unwrap().starts_with("wharf ("), "{stopped}");
    shell.run(&["copy", &tree, "archive:tree"]).done();
}

#[test]
fn what_is_installed_is_checked_again() {
    let (shell, _) = in_use();
    let digest = Digest::of(&std::fs::read(shell.path("dropbox-1.0.0.wasm")).unwrap());
    let blob = shell.path(&format!("home/blobs/sha256/{}", digest.as_str()));
    let bundle = shell.path(&format!("home/blobs/sha256/{}.sigstore.json", digest.as_str()));
    let (component, signature) = (std::fs::read(&blob).unwrap(), std::fs::read(&bundle).unwrap());
    let check = |expected: &str| {
        let verified = shell.run(&["connector", "verify", "--json"]);
        assert_ne!(verified.code, Some(0), "{verified}");
        let json: Value = serde_json::from_str(&verified.stdout).unwrap();
        assert_eq!(json["good"], false);
        assert!(json["problem"].as_str().unwrap().contains(expected), "{json}");
        let listed = shell.run(&["ls", "archive:"]);
        assert!(listed.code != Some(0) && listed.stderr.contains(expected), "{listed}");
        std::fs::write(&blob, &component).unwrap();
        std::fs::write(&bundle, &signature).unwrap();
        shell.run(&["connector", "verify"]).done();
    };
    std::fs::remove_file(&bundle).unwrap();
    check("its bundle is gone from the home");
    std::fs::write(&bundle, b"{}").unwrap();
    check("its bundle is malformed");
    let mut changed = component.clone();
    changed[100] ^= 1;
    std::fs::write(&blob, &changed).unwrap();
    check("is missing or damaged");
    // Whoever exchanges component, entry and artefact has no signature for it.
    let other = section::write(&component, MANIFEST.as_bytes()).unwrap();
    let other_digest = Digest::of(&other);
    let index = shell.text("home/connectors.json");
    std::fs::write(shell.path(&format!("home/blobs/sha256/{}", other_digest.as_str())), &other).unwrap();
    std::fs::write(
        shell.path(&format!("home/blobs/sha256/{}.sigstore.json", other_digest.as_str())),
        &signature,
    )
    .unwrap();
    std::fs::write(shell.path("home/connectors.json"), index.replace(digest.as_str(), other_digest.as_str()))
        .unwrap();
    let listed = shell.run(&["ls", "archive:"]).failed(5);
    assert!(listed.contains("is not trusted any more: its bundle is for sha256:"), "{listed}");
}

#[test]
fn a_folder_is_installed_whole_or_not_at_all() {
    let shell = trusting();
    let folder = shell.room("shelf");
    for kind in ["dropbox", "onedrive", "local"] {
        let file = shell.file(&format!("shelf/{kind}.wasm"), connector(kind));
        shell.sign(&file, "vendor").done();
    }
    let bundle = shell.path("shelf/onedrive.wasm.sigstore.json");
    std::fs::rename(&bundle, shell.path("elsewhere")).unwrap();
    let refused = shell.put(&folder, &[]).failed(5);
    assert!(refused.contains("error: `[FOLDER]/shelf/onedrive.wasm` cannot be installed"), "{refused}");
    assert!(shell.run(&["connector", "list", "--json"]).json().is_empty());
    std::fs::rename(shell.path("elsewhere"), &bundle).unwrap();
    let installed = shell.put(&folder, &["--json"]).json();
    let kinds: Vec<&Value> = installed.iter().map(|one| &one["type"]).collect();
    assert_eq!(kinds, ["dropbox", "local", "onedrive"]);
    let empty = shell.put(&shell.room("empty"), &[]).failed(3);
    assert!(empty.contains("there is no `*.wasm` in"), "{empty}");
}

#[test]
fn a_connector_that_is_at_hand_is_offered() {
    let shell = trusting();
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
    let shell = vendor();
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
