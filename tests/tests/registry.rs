//! Connectors out of a registry, as the command has it: what a registry says is believed only as far as it
//! can be checked, and each lie is told as what it is.

use serde_json::{Value, json};
use wharf_runtime::registry::Digest;
use wharf_tests::{FakeRegistry, Lie, Ran, Shell, connector};

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX_TYPE: &str = "application/vnd.oci.image.index.v1+json";
const BUNDLE_TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";

/// The command with the permission to speak to this registry.
fn run(shell: &Shell, registry: &FakeRegistry, words: &[&str]) -> Ran {
    shell.run(&[words, &["--registry-insecure", &registry.host()]].concat())
}

fn place(registry: &FakeRegistry, tag: &str) -> String {
    format!("oci://{}/acme/dropbox:{tag}", registry.host())
}

fn publish(shell: &Shell, registry: &FakeRegistry, file: &str, tag: &str) -> Ran {
    run(shell, registry, &["connector", "publish", file, &place(registry, tag), "--key", "vendor.key"])
}

fn install(shell: &Shell, registry: &FakeRegistry, tag: &str) -> Ran {
    run(shell, registry, &["connector", "install", &place(registry, tag)])
}

/// A publisher's release 1.0.0 in a registry.
fn published(refers: bool) -> (Shell, FakeRegistry) {
    let (shell, registry) = (Shell::trusting(), FakeRegistry::start(refers));
    let file = shell.release("1.0.0", |_| {});
    publish(&shell, &registry, &file, "1.0.0").done();
    registry.lie(None);
    (shell, registry)
}

fn installed(shell: &Shell) -> usize {
    shell.run(&["connector", "list", "--json"]).json().len()
}

#[test]
fn what_is_published_is_installed_and_stays_good() {
    for refers in [true, false] {
        let (shell, registry) = published(refers);
        let put = run(&shell, &registry, &["connector", "install", &place(&registry, "1.0.0"), "--json"]);
        let warning = "is spoken to in the clear, as `--registry-insecure` allows";
        assert!(put.stderr.contains(warning), "{put}");
        let put = &put.json()[0];
        let digest = Digest::of(&registry.manifest("1.0.0").unwrap());
        let origin = put["origin"].as_str().unwrap();
        assert!(origin.ends_with(&format!("/acme/dropbox@{digest}, in the clear")), "{origin}");
        assert_eq!((&put["signed_by"], &put["unsigned"]), (&json!("wharf"), &json!(false)));
        // One request was by tag: a tag that moves later moves nothing.
        let by_tag = registry.log().iter().filter(|line| line.ends_with("/manifests/1.0.0")).count();
        assert_eq!(by_tag, 1, "{:?}", registry.log());
        let asked = registry.log().iter().any(|line| line.contains("/manifests/sha256-"));
        assert_eq!(asked, !refers, "{:?}", registry.log());
        // Offline, from what is kept.
        assert!(shell.run(&["connector", "verify"]).done().contains("good"));
        assert!(shell.run(&["connector", "show", "dropbox"]).done().contains("from       oci://127.0.0.1:"));
        let blob = shell
            .path("home/blobs")
            .join("sha256")
            .join(put["digest"].as_str().unwrap().trim_start_matches("sha256:"));
        let blob =
            if blob.exists() { blob } else { shell.path("home/blobs").join(blob.file_name().unwrap()) };
        assert!(std::fs::read(blob).unwrap() == std::fs::read(shell.path("dropbox-1.0.0.wasm")).unwrap());

        let file = shell.release("1.1.0", |_| {});
        publish(&shell, &registry, &file, "1.1.0").done();
        let words = ["connector", "update", "dropbox", &place(&registry, "1.1.0")];
        let updated = run(&shell, &registry, &words);
        assert!(
            updated.stderr.contains("installed `dev.wharf.dropbox@1.1.0` in place of 1.0.0"),
            "{updated}"
        );
        // The key is taken back: what stands on it by a manifest stops as what stands on it directly.
        shell.run(&["trust", "revoke", "wharf", "--reason", "lost", "--yes"]).done();
        assert!(shell.run(&["connector", "verify"]).failed(5).contains("was revoked by the operator: lost"));
    }
}

#[test]
fn a_bundle_that_was_made_before_goes_along() {
    let (shell, registry) = (Shell::trusting(), FakeRegistry::start(true));
    let file = shell.release("1.0.0", |_| {});
    let words = ["connector", "publish", &file, &place(&registry, "1.0.0")];
    let refused = run(&shell, &registry, &words).failed(2);
    assert!(refused.contains("nothing is published that nobody signed"), "{refused}");
    assert!(registry.log().is_empty(), "{:?}", registry.log());
    shell.sign(&file, "vendor").done();
    run(&shell, &registry, &words).done();
    install(&shell, &registry, "1.0.0").done();
    assert!(shell.run(&["connector", "verify"]).done().contains("good"));
    let pinned = format!("oci://{}/acme/dropbox@sha256:00", registry.host());
    let refused = run(&shell, &registry, &["connector", "install", &pinned]).failed(2);
    assert!(refused.contains("its digest is not a sha256"), "{refused}");
}

#[test]
fn whom_nobody_trusts_publishes_in_vain() {
    let (shell, registry) = (Shell::trusting(), FakeRegistry::start(true));
    let file = shell.release("1.0.0", |_| {});
    shell.keygen("stranger");
    let at = place(&registry, "1.0.0");
    run(&shell, &registry, &["connector", "publish", &file, &at, "--key", "stranger.key"]).done();
    let refused = install(&shell, &registry, "1.0.0").failed(5);
    assert!(refused.contains("which no trusted publisher has"), "{refused}");
    // A second signature over the same bytes, by whom one knows, is found beside the stranger's.
    run(&shell, &registry, &["connector", "publish", &file, &at, "--key", "vendor.key"]).done();
    install(&shell, &registry, "1.0.0").done();

    // Somebody trusted, of another id.
    let other = FakeRegistry::start(false);
    shell.trust("acme", "stranger", "com.acme").done();
    run(&shell, &other, &["connector", "publish", &file, &place(&other, "1"), "--key", "stranger.key"])
        .done();
    let refused = install(&shell, &other, "1").failed(5);
    assert!(refused.contains("publisher `acme` may sign ids of `com.acme`"), "{refused}");
}

#[test]
fn nobody_signed_it() {
    let (shell, registry) = published(false);
    let manifest = registry.manifest("1.0.0").unwrap();
    registry.keep(&format!("sha256-{}", Digest::of(&manifest).as_str()), br#"{"manifests":[]}"#, INDEX_TYPE);
    let refused = install(&shell, &registry, "1.0.0").failed(5);
    assert!(refused.contains("has no signature bundle of `oci://127.0.0.1:"), "{refused}");
    assert!(refused.contains("hint: ask its publisher to sign it"), "{refused}");
    let words = ["connector", "install", &place(&registry, "1.0.0"), "--allow-unsigned"];
    let put = run(&shell, &registry, &words);
    assert!(put.stderr.contains("it is unsigned"), "{put}");
}

/// Lies of the registry: what it answers is not what was asked for.
#[test]
fn a_registry_that_lies_is_refused() {
    let (shell, registry) = published(true);
    let component = std::fs::read(shell.path("dropbox-1.0.0.wasm")).unwrap();
    let check = |lie: Lie, code: i32, expected: &str| {
        registry.lie(Some(lie.clone()));
        let refused = install(&shell, &registry, "1.0.0").failed(code);
        assert!(refused.contains(expected), "{lie:?}: {refused}");
        assert!(refused.contains("\nhint: "), "{lie:?}: {refused}");
        assert!(refused.contains(&registry.host().split(':').next().unwrap().to_owned()));
        assert_eq!(installed(&shell), 0, "{lie:?}");
        registry.log()
    };
    check(Lie::ManifestBytes, 9, "gave another manifest of");
    check(Lie::OddDigest, 9, "which is no sha256");
    check(Lie::BlobBytes(component.len()), 9, "gave another component than the manifest of");
    check(Lie::LongBlob(component.len()), 8, "component: the reply is longer than");
    check(Lie::EndlessManifest, 8, "manifest: the reply is longer than 65536 bytes");
    check(Lie::RedirectLoop, 1, "sends us from one address to the next");
    // Sent on to where nothing may go. Nothing of it is sent.
    for (to, expected) in [
        (
            "http://169.254.169.254/latest",
            "nothing is sent to `169.254.169.254`: the address does not begin with `https://`",
        ),
        ("https://169.254.169.254/latest", "`169.254.169.254` is an address, not a name"),
        ("https://localhost./x", "`localhost.` ends with a dot"),
        ("https://localhost/x", "`localhost` has the address"),
        ("https://0.0.0.0/x", "`0.0.0.0` is an address, not a name"),
        ("file:///etc/passwd", "nothing is sent to"),
    ] {
        check(Lie::Redirect(to.to_owned()), 5, expected);
        let log = check(Lie::Realm(to.to_owned()), 5, expected);
        assert!(log.iter().all(|line| !line.ends_with("signed")), "{log:?}");
    }
    // The same port of this machine, under another name than was allowed.
    let port = registry.host().rsplit(':').next().unwrap().to_owned();
    check(Lie::Redirect(format!("http://localhost:{port}/v2/")), 5, "does not begin with `https://`");
}

#[test]
fn a_tag_that_moves_moves_nothing() {
    let (shell, registry) = published(true);
    let honest = registry.manifest("1.0.0").unwrap();
    registry.lie(Some(Lie::MovingTag(b"{}".to_vec())));
    let words = ["connector", "install", &place(&registry, "1.0.0"), "--json"];
    let put = run(&shell, &registry, &words).json();
    assert!(put[0]["origin"].as_str().unwrap().contains(&Digest::of(&honest).to_string()));
    // It did move: who asks again gets the other.
    let refused = install(&shell, &registry, "1.0.0").failed(15);
    assert!(refused.contains("is malformed"), "{refused}");
}

/// Manifests that leave a choice, or name something else than one component: refused whoever signed them.
#[test]
fn what_is_no_image_of_one_component_is_refused() {
    let (shell, registry) = published(true);
    let honest: Value = serde_json::from_slice(&registry.manifest("1.0.0").unwrap()).unwrap();
    let check = |media_type: &str, expected: &str, change: &dyn Fn(&mut Value)| {
        let mut manifest = honest.clone();
        change(&mut manifest);
        registry.keep("bad", manifest.to_string().as_bytes(), media_type);
        let refused = install(&shell, &registry, "bad").failed(15);
        assert!(refused.contains(expected) && refused.contains("\nhint: "), "{expected}: {refused}");
        assert_eq!(installed(&shell), 0, "{expected}");
    };
    check(INDEX_TYPE, "is an index of several images, and must be one image", &|manifest| {
        *manifest = json!({ "schemaVersion": 2, "mediaType": INDEX_TYPE, "manifests": [honest["config"]] });
    });
    check(MANIFEST_TYPE, "is an index of several images", &|manifest| manifest["manifests"] = json!([]));
    check(MANIFEST_TYPE, "has 2 layers, and must have one", &|manifest| {
        let layer = manifest["layers"][0].clone();
        manifest["layers"].as_array_mut().unwrap().push(layer);
    });
    check(MANIFEST_TYPE, "has 0 layers", &|manifest| manifest["layers"] = json!([]));
    check(MANIFEST_TYPE, "has a layer of the type `application/octet-stream`", &|manifest| {
        manifest["layers"][0]["mediaType"] = "application/octet-stream".into();
    });
    check(MANIFEST_TYPE, "has a layer that is to be got from elsewhere", &|manifest| {
        manifest["layers"][0]["urls"] = json!(["https://elsewhere.test/x"]);
    });
    check(
        MANIFEST_TYPE,
        "has a configuration of the type `application/vnd.oci.image.config.v1+json`",
        &|manifest| {
            manifest["config"]["mediaType"] = "application/vnd.oci.image.config.v1+json".into();
        },
    );
    check(MANIFEST_TYPE, "is of the type `application/vnd.docker", &|manifest| {
        manifest["mediaType"] = "application/vnd.docker.distribution.manifest.v2+json".into();
    });
    check(MANIFEST_TYPE, "unknown field `surprise`", &|manifest| manifest["surprise"] = 1.into());
    check(MANIFEST_TYPE, "the component of `oci://", &|manifest| {
        manifest["layers"][0]["size"] = 99_999_999_999_u64.into();
    });
    check(MANIFEST_TYPE, "a digest is 64 of", &|manifest| {
        manifest["layers"][0]["digest"] = "sha512:00".into();
    });
}

/// Who signed a manifest signed its one layer: nothing else can be had with that bundle.
#[test]
fn a_signature_of_a_manifest_is_worth_nothing_for_another() {
    let (shell, registry) = published(false);
    let honest = registry.manifest("1.0.0").unwrap();
    let tag = |manifest: &[u8]| format!("sha256-{}", Digest::of(manifest).as_str());
    let list = registry.manifest(&tag(&honest)).unwrap();
    // Another component, in a manifest of its own, with the bundle of the honest one listed for it.
    let other = connector("onedrive");
    let mut manifest: Value = serde_json::from_slice(&honest).unwrap();
    manifest["layers"][0]["digest"] = Digest::of(&other).to_string().into();
    manifest["layers"][0]["size"] = other.len().into();
    registry.keep_blob(&other);
    let manifest = manifest.to_string().into_bytes();
    registry.keep("other", &manifest, MANIFEST_TYPE);
    registry.keep(&tag(&manifest), &list, INDEX_TYPE);
    let refused = install(&shell, &registry, "other").failed(9);
    assert!(refused.contains("its bundle is for sha256:"), "{refused}");
    // The empty kind that some write into the list is no reason to overlook a bundle.
    let mut list: Value = serde_json::from_slice(&list).unwrap();
    assert_eq!(list["manifests"][0]["artifactType"], BUNDLE_TYPE);
    list["manifests"][0]["artifactType"] = "".into();
    registry.keep(&tag(&honest), list.to_string().as_bytes(), INDEX_TYPE);
    install(&shell, &registry, "1.0.0").done();
    // An annotation that says another version than the component.
    let mut manifest: Value = serde_json::from_slice(&honest).unwrap();
    manifest["annotations"]["org.opencontainers.image.version"] = "9.9.9".into();
    registry.keep("9.9.9", manifest.to_string().as_bytes(), MANIFEST_TYPE);
    let words = ["connector", "install", &place(&registry, "9.9.9"), "--allow-unsigned", "--allow-downgrade"];
    let refused = run(&shell, &registry, &words).failed(9);
    assert!(refused.contains("name the version `9.9.9`, and the connector is version 1.0.0"), "{refused}");
}

#[test]
fn a_registry_is_guarded_as_everything_else() {
    let (shell, registry) = published(true);
    let refused = shell.run(&["connector", "install", &place(&registry, "1.0.0")]).failed(5);
    assert!(
        refused.contains("nothing is sent to `127.0.0.1`: `127.0.0.1` is an address, not a name"),
        "{refused}"
    );
    assert!(refused.contains("allow it with `--registry-insecure HOST:PORT`"), "{refused}");
    assert!(registry.log().is_empty(), "{:?}", registry.log());
    // Another port than the one that was allowed.
    let words = ["connector", "install", &place(&registry, "1.0.0"), "--registry-insecure", "127.0.0.1:1"];
    shell.run(&words).failed(5);
    assert!(registry.log().is_empty(), "{:?}", registry.log());
    let refused = shell.run(&["connector", "install", "oci://localhost/a:1"]).failed(5);
    assert!(refused.contains("`localhost` has the address"), "{refused}");
    assert!(install(&shell, &registry, "absent").failed(3).contains("has no manifest of `oci://"));
    // Where nobody is trusted, nothing is asked for.
    let empty = Shell::new();
    let refused = run(&empty, &registry, &["connector", "install", &place(&registry, "1.0.0")]).failed(5);
    assert!(refused.contains("nobody is trusted yet"), "{refused}");
}

#[test]
fn a_registry_that_asks_who_one_is_gets_a_token() {
    let (shell, registry) = (Shell::trusting(), FakeRegistry::start(true));
    registry.demand("token-1");
    let file = shell.release("1.0.0", |_| {});
    let at = place(&registry, "1.0.0");
    let publish = |more: &[&str]| {
        let words = ["connector", "publish", &file, &at, "--key", "vendor.key"];
        run(&shell, &registry, &[&words, more].concat())
    };
    let refused = publish(&[]).failed(5);
    assert!(refused.contains("refuses a token (status 401)"), "{refused}");
    assert!(refused.contains("--registry-config FILE"), "{refused}");
    shell.file("password", "geheim\n");
    publish(&["--registry-user", "vendor", "--registry-password-file", "password"]).done();
    let host = registry.host();
    let auths = json!({ "auths": { host: { "auth": "dmVuZG9yOmdlaGVpbQ==" } } });
    shell.file("config.json", auths.to_string());
    let words = ["connector", "install", &at, "--registry-config", "config.json"];
    run(&shell, &registry, &words).done();
    shell.file("config.json", r#"{"auths":{},"credsStore":"desktop"}"#);
    let refused = run(&shell, &registry, &words).failed(2);
    assert!(refused.contains("to another program, which Wharf does not run"), "{refused}");
    registry.lie(Some(Lie::KeptElsewhere));
    let refused = publish(&["--registry-user", "vendor", "--registry-password-file", "password"]).failed(9);
    assert!(refused.contains("keeps `oci://"), "{refused}");
    let password = std::process::Command::new("grep")
        .args(["-rlE", "geheim|dmVuZG9yOmdlaGVpbQ|token-1"])
        .arg(shell.path("home"))
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(password.stdout).unwrap(), "", "a secret lies in the home");
}
