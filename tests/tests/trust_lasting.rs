//! What becomes of what is installed: keys and components that are taken back, versions, connectors that
//! are disabled, also while they work, and homes that somebody's hands were in.
#![expect(clippy::panic, reason = "what cannot be set up has failed")]

use serde_json::Value;
use wharf_runtime::manifest::section;
use wharf_runtime::registry::Digest;
use wharf_tests::{MANIFEST, Ran, Service, Shell, noise, steady};

/// Trusted, installed, and in use by the destination `archive`.
fn in_use() -> (Shell, String) {
    let shell = Shell::new();
    let id = shell.keygen("vendor");
    shell.trust("wharf", "vendor", "dev.wharf").done();
    shell.put_connector(&shell.signed("1.0.0"), &[]).done();
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
    let again = shell.put_connector("dropbox-1.0.0.wasm", &[]).failed(5);
    assert!(again.contains("was revoked by the operator: lost laptop"), "{again}");
    // Another key of the publisher, and the same version: it works again.
    shell.keygen("second");
    shell.run(&["trust", "add", "wharf", "--key", "second.pub"]).done();
    shell.sign("dropbox-1.0.0.wasm", "second").done();
    shell.put_connector("dropbox-1.0.0.wasm", &[]).done();
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
    let changed = shell.read("list.json").replace("\"number\": 6", "\"number\": 9");
    shell.file("list.json", changed);
    assert!(shell.run(&["trust", "update", "list.json"]).failed(9).contains("its bundle is for sha256:"));
    let past = issue("8", "2001-01-01", &[]).failed(2);
    assert!(past.contains("expires before it is issued"), "{past}");
    // A newer version is not taken back.
    shell.run(&["connector", "update", "dropbox", &shell.signed("1.1.0")]).done();
    shell.run(&["ls", "archive:"]).done();
    // A list that has ended says nothing any more: what is installed runs, nothing new is installed.
    let soon = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_secs(2)).unwrap();
    issue("8", &soon.to_string(), &[]).done();
    shell.run(&["trust", "update", "list.json"]).done();
    while jiff::Timestamp::now() <= soon {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    insta::assert_snapshot!(shell.put_connector(&shell.signed("1.2.0"), &[]), @"
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
    shell.run(&["connector", "update", "dropbox", &shell.signed("1.2.0")]).done();
    let old = "dropbox-1.0.0.wasm";
    insta::assert_snapshot!(only_refusal(&shell.put_connector(old, &[])), @"
    error: `dropbox-1.0.0.wasm` cannot be installed
      caused by: version 1.0.0 of connector `dev.wharf.dropbox` is older than 1.2.0, which was installed before
    hint: if that is what you want, add `--allow-downgrade`
    ");
    shell.put_connector(old, &["--allow-downgrade"]).done();
    let other = shell.release("1.2.0", |manifest| manifest["name"] = "Dropbox, changed".into());
    shell.sign(&other, "vendor").done();
    for more in [&[][..], &["--allow-downgrade"]] {
        insta::allow_duplicates!(
            insta::assert_snapshot!(only_refusal(&shell.put_connector(&other, more)), @"
        error: `[FOLDER]/dropbox-1.2.0.wasm` cannot be installed
          caused by: version 1.2.0 of connector `dev.wharf.dropbox` was installed with other contents
        hint: ask its publisher for a release with a version of its own
        ")
        );
    }
    let own = shell.release("1.3.0", |_| {});
    insta::assert_snapshot!(only_refusal(&shell.put_connector(&own, &["--allow-unsigned"])), @"
    error: `[FOLDER]/dropbox-1.3.0.wasm` cannot be installed
      caused by: connector `dev.wharf.dropbox` is installed with the signature of `wharf`, and this one has none
    hint: if that is what you want, add `--allow-downgrade`
    ");
    shell.put_connector(&own, &["--allow-unsigned", "--allow-downgrade"]).done();
    let own = shell.release("1.3.0", |manifest| manifest["name"] = "Mine".into());
    insta::assert_snapshot!(only_refusal(&shell.put_connector(&own, &["--allow-unsigned"])), @"
    error: `[FOLDER]/dropbox-1.3.0.wasm` cannot be installed
      caused by: version 1.3.0 of connector `dev.wharf.dropbox` was installed with other contents
    hint: raise `version` in its manifest and pack it again, or add `--allow-downgrade`
    ");
    shell.put_connector(&own, &["--allow-unsigned", "--allow-downgrade"]).done();
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
    shell.run(&["connector", "update", "dropbox", &shell.signed("1.1.0")]).done();
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
    let index = shell.read("home/connectors.json");
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
