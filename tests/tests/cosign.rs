//! cosign, in both forms that it writes: what it signs is installed, and it accepts what Wharf signs.
//! Everything is offline, with key pairs; no transparency log takes part. Images lie in a registry of
//! Debian's, which keeps no list of what refers to an image, and in one of ours, which does.

use std::process::{Command, Stdio};

use wharf_tests::{DockerRegistry, FakeRegistry, Finished, Shell, connector, foreign_program, run_foreign};

const PASSWORD: &str = "correct horse";

/// A release of cosign, by the release of Debian that it comes from.
#[derive(Clone, Copy, PartialEq)]
enum Cosign {
    /// 2.5: bundles on demand.
    Trixie,
    /// 3.1: bundles always, and services only from files.
    Sid,
}

impl Cosign {
    const ALL: [Self; 2] = [Self::Trixie, Self::Sid];

    fn run(self, shell: &Shell, words: &[&str]) -> Finished {
        let mut command = Command::new(foreign_program(match self {
            Self::Trixie => "cosign-trixie/usr/bin/cosign",
            Self::Sid => "cosign-sid/usr/bin/cosign",
        }));
        command.env_clear().env("HOME", shell.folder.path()).current_dir(shell.folder.path());
        // A service that it would ask all the same is not there.
        command.env("HTTPS_PROXY", "http://127.0.0.1:9").env("COSIGN_PASSWORD", PASSWORD);
        run_foreign({
            command.args(words).stdin(Stdio::null());
            command
        })
    }

    /// No log, no time stamps.
    const fn offline(self) -> &'static [&'static str] {
        match self {
            Self::Trixie => &["--new-bundle-format", "--tlog-upload=false", "--yes"],
            Self::Sid => &["--signing-config", "no-services.json", "--yes"],
        }
    }

    fn sign(self, shell: &Shell, key: &str, bundle: &str, file: &str) -> Finished {
        let words = ["sign-blob", "--key", key, "--bundle", bundle, file];
        self.run(shell, &[&words, self.offline()].concat())
    }

    /// A statement about the file, as `cosign sign` makes one about an image.
    fn state(self, shell: &Shell, key: &str, kind: &str, bundle: &str, file: &str) -> Finished {
        let words = ["attest-blob", "--key", key, "--type", kind, "--predicate", "predicate.json"];
        self.run(shell, &[&words[..], &["--bundle", bundle, file], self.offline()].concat())
    }

    fn verify(self, shell: &Shell, key: &str, bundle: &str, file: &str) -> Finished {
        let words = ["verify-blob", "--key", key, "--bundle", bundle, "--insecure-ignore-tlog", file];
        let offline: &[&str] = match self {
            Self::Trixie => &["--new-bundle-format", "--trusted-root", "nobody.json"],
            Self::Sid => &[],
        };
        self.run(shell, &[&words, offline].concat())
    }

    /// Sign what is in a registry. The older writes no bundle when it signs, but does when it attests.
    fn sign_image(self, shell: &Shell, key: &str, image: &str) -> Finished {
        let words: &[&str] = match self {
            Self::Trixie => &[
                "attest",
                "--type",
                "https://sigstore.dev/cosign/sign/v1",
                "--predicate",
                "predicate.json",
                "--key",
                key,
                image,
            ],
            Self::Sid => &["sign", "--key", key, image],
        };
        self.run(shell, &[words, self.offline()].concat())
    }

    /// The older reads bundles of attestations alone.
    fn verify_image(self, shell: &Shell, key: &str, image: &str) -> Finished {
        let (verb, more): (&str, &[&str]) = match self {
            Self::Trixie => (
                "verify-attestation",
                &[
                    "--type",
                    "https://sigstore.dev/cosign/sign/v1",
                    "--new-bundle-format",
                    "--trusted-root",
                    "nobody.json",
                ],
            ),
            Self::Sid => ("verify", &[]),
        };
        let words = [verb, "--key", key, "--insecure-ignore-tlog", image];
        self.run(shell, &[&words, more].concat())
    }
}

/// What is done with each registry: its host, and what a test says of it.
fn in_each_registry(check: impl Fn(&Shell, &[String], &str)) {
    {
        let (shell, keys) = bench();
        let registry = DockerRegistry::start(&shell);
        check(&shell, &keys, registry.host());
    }
    let (shell, keys) = bench();
    check(&shell, &keys, &FakeRegistry::start(true).host());
}

/// The library for registries in Python.
fn oras(shell: &Shell, words: &[&str]) -> Finished {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/foreign/registry.py");
    let mut command = Command::new(foreign_program("python/bin/python"));
    command.env_clear().env("HOME", shell.folder.path()).current_dir(shell.folder.path());
    command.arg("-I").arg(script).args(words).stdin(Stdio::null());
    run_foreign(command)
}

/// Connectors to sign, and keys of every kind, each trusted: `p256-trixie`, `ed25519-sid`, …
fn bench() -> (Shell, Vec<String>) {
    let shell = Shell::new();
    shell.file("dropbox.wasm", connector("dropbox"));
    shell.file("predicate.json", "{}");
    shell.file(
        "no-services.json",
        r#"{"mediaType":"application/vnd.dev.sigstore.signingconfig.v0.2+json","rekorTlogConfig":{},"tsaConfig":{}}"#,
    );
    shell.file("nobody.json", r#"{"mediaType":"application/vnd.dev.sigstore.trustedroot+json;version=0.1"}"#);
    shell.run(&["connector", "keygen", "--output", "plain"]).done();
    let mut keys = Vec::new();
    for (cosign, word) in [(Cosign::Trixie, "trixie"), (Cosign::Sid, "sid")] {
        let p256 = format!("p256-{word}");
        cosign.run(&shell, &["generate-key-pair", "--output-key-prefix", &p256]).done();
        keys.push(p256);
    }
    let words = ["import-key-pair", "--key", "plain.key", "--output-key-prefix", "ed25519", "--yes"];
    Cosign::Trixie.run(&shell, &words).done();
    keys.push("ed25519".to_owned());
    for (place, key) in keys.iter().enumerate() {
        let public = format!("{key}.pub");
        let prefix: &[&str] = if place == 0 { &["--id-prefix", "dev.wharf"] } else { &[] };
        shell.run(&[&["trust", "add", "wharf", "--key", &public], prefix].concat()).done();
    }
    (shell, keys)
}

#[test]
fn what_cosign_signs_is_installed() {
    let (shell, keys) = bench();
    let install = |bundle: &str| shell.run(&["connector", "install", "dropbox.wasm", "--bundle", bundle]);
    for cosign in Cosign::ALL {
        for key in &keys {
            let private = format!("{key}.key");
            cosign.sign(&shell, &private, "blob.json", "dropbox.wasm").done();
            install("blob.json").done();
            let kind = "https://sigstore.dev/cosign/sign/v1";
            cosign.state(&shell, &private, kind, "statement.json", "dropbox.wasm").done();
            if cosign == Cosign::Sid && key == "ed25519" {
                // Of a statement it signs the hash (Ed25519ph), and then does not verify that itself.
                let refused = install("statement.json").failed(9);
                assert!(refused.contains("sign Ed25519 without pre-hashing"), "{refused}");
                continue;
            }
            install("statement.json").done();
            shell.run(&["connector", "verify"]).done();
            let kind = "https://example.com/other/v1";
            cosign.state(&shell, &private, kind, "provenance.json", "dropbox.wasm").done();
            let refused = install("provenance.json").failed(15);
            assert!(refused.contains("and not `https://sigstore.dev/cosign/sign/v1`"), "{refused}");
        }
    }
    let p256 = format!("{}.key", keys[0]);
    Cosign::Sid
        .state(&shell, &p256, "https://sigstore.dev/cosign/sign/v1", "statement.json", "dropbox.wasm")
        .done();
    let mut changed = connector("dropbox");
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    shell.file("dropbox.wasm", changed);
    for bundle in ["blob.json", "statement.json"] {
        install(bundle).failed(9);
    }
}

#[test]
fn cosign_accepts_what_is_signed_here() {
    let (shell, keys) = bench();
    let good = connector("dropbox");
    for key in keys.iter().map(String::as_str).chain(["plain"]) {
        let private = format!("{key}.key");
        let mut sign = shell.command(&["connector", "sign", "dropbox.wasm", "--key", &private]);
        shell.ran(&sign.env("COSIGN_PASSWORD", PASSWORD).output().unwrap()).done();
        let bundle = "dropbox.wasm.sigstore.json";
        for cosign in Cosign::ALL {
            let public = format!("{key}.pub");
            cosign.verify(&shell, &public, bundle, "dropbox.wasm").done();
            let mut changed = good.clone();
            changed[100] ^= 1;
            shell.file("changed.wasm", changed);
            cosign.verify(&shell, &public, bundle, "changed.wasm").failed();
        }
        shell.run(&["connector", "install", "dropbox.wasm"]).done();
    }
}

/// A vendor pushes with a tool of their own and signs with cosign; an operator installs.
#[test]
fn an_image_that_cosign_signs_is_installed() {
    in_each_registry(|shell, keys, host| {
        for (cosign, tag) in [(Cosign::Trixie, "trixie"), (Cosign::Sid, "sid")] {
            // A manifest of its own for each, so that neither is verified by the other's bundle.
            let config = format!(r#"{{"architecture":"wasm","os":"wasip2","author":"{tag}"}}"#);
            shell.file("config.json", config);
            let repository = format!("{host}/{tag}/dropbox:1");
            oras(shell, &["push", &repository, "dropbox.wasm", "config.json"]).done();
            let at = format!("oci://{repository}");
            let words = ["connector", "install", &at, "--registry-insecure", host];
            let unsigned = shell.run(&words).failed(5);
            assert!(unsigned.contains("has no signature bundle of"), "{unsigned}");
            cosign.sign_image(shell, &format!("{}.key", keys[0]), &repository).done();
            let put = shell.run(&words);
            assert!(put.stderr.contains("; signed by wharf ("), "{put}");
            shell.run(&["connector", "verify"]).done();
            shell.run(&["connector", "remove", "dropbox", "--yes"]).done();
        }
    });
}

/// A vendor publishes with Wharf; cosign and another library accept it.
#[test]
fn cosign_accepts_an_image_that_is_published_here() {
    in_each_registry(|shell, keys, host| {
        for key in &keys[..2] {
            let repository = format!("{host}/{key}/dropbox:1.0.0");
            let (private, public, at) =
                (format!("{key}.key"), format!("{key}.pub"), format!("oci://{repository}"));
            let words = ["connector", "publish", "dropbox.wasm", &at, "--key", &private];
            let mut publish = shell.command(&[&words[..], &["--registry-insecure", host]].concat());
            shell.ran(&publish.env("COSIGN_PASSWORD", PASSWORD).output().unwrap()).done();
            for cosign in Cosign::ALL {
                cosign.verify_image(shell, &public, &repository).done();
                let other = format!("{}.pub", keys[2]);
                cosign.verify_image(shell, &other, &repository).failed();
            }
            oras(shell, &["pull", &repository, "pulled.wasm"]).done();
            let pulled = std::fs::read(shell.path("pulled.wasm")).unwrap();
            assert!(pulled == connector("dropbox"), "what another tool pulls is something else");
            shell.run(&["connector", "install", &at, "--registry-insecure", host]).done();
        }
    });
}

/// The package tool of the Bytecode Alliance. `cargo xtask wkg` builds it, which takes minutes, and runs this.
fn wkg(shell: &Shell, words: &[&str]) -> Finished {
    let mut command = Command::new(foreign_program("wkg/bin/wkg"));
    command.env_clear().env("HOME", shell.folder.path()).current_dir(shell.folder.path());
    command.args(words).stdin(Stdio::null());
    run_foreign(command)
}

/// What it pushes is installed once it is signed, and what is published here it pulls, byte for byte.
#[test]
#[ignore = "`cargo xtask wkg` builds what it needs first"]
fn wkg_pushes_and_pulls() {
    in_each_registry(|shell, keys, host| {
        let pushed = format!("{host}/pushed/dropbox:1");
        wkg(shell, &["oci", "push", "--insecure", host, &pushed, "dropbox.wasm"]).done();
        let at = format!("oci://{pushed}");
        let install = |at: &str| shell.run(&["connector", "install", at, "--registry-insecure", host]);
        install(&at).failed(5);
        Cosign::Sid.sign_image(shell, &format!("{}.key", keys[1]), &pushed).done();
        let put = install(&at);
        assert!(put.stderr.contains("; signed by wharf ("), "{put}");
        shell.run(&["connector", "remove", "dropbox", "--yes"]).done();

        let published = format!("{host}/published/dropbox:1.0.0");
        let at = format!("oci://{published}");
        let words = ["connector", "publish", "dropbox.wasm", &at, "--key", "plain.key"];
        shell.run(&[&words[..], &["--registry-insecure", host]].concat()).done();
        for (image, file) in [(&pushed, "pushed.wasm"), (&published, "published.wasm")] {
            wkg(shell, &["oci", "pull", "--insecure", host, image, "--output", file]).done();
            let pulled = std::fs::read(shell.path(file)).unwrap();
            assert!(pulled == connector("dropbox"), "{image} comes back as something else");
        }
    });
}
