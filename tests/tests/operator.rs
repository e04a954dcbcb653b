//! What an operator does from an empty home to a verified restore, as one transcript: trust a publisher,
//! install what they signed, sign in with a pasted code, create, validate, copy, look, restore, audit. And at the
//! end nothing secret lies anywhere.

use wharf_tests::{Ran, Service, Shell, assert_same_tree, noise, steady};

/// The words of a command and how it ended, one after the other.
struct Transcript<'a> {
    shell: &'a Shell,
    key: String,
    text: String,
}

impl Transcript<'_> {
    fn run(&mut self, words: &[&str]) {
        let ran = self.shell.run(words);
        self.add(words, &ran);
        assert_eq!(ran.code, Some(0), "{}", self.text);
    }

    fn add(&mut self, words: &[&str], ran: &Ran) {
        let folder = self.shell.path("").to_string_lossy().trim_end_matches('/').to_owned();
        let words = words.join(" ").replace(&folder, "[FOLDER]");
        let ran = steady(ran, &[(&self.key, "[KEY]")]);
        // How wide a column is depends on how long things took.
        let lines = ran.lines().map(|line| match line.split_once("  ") {
            Some(("ok", _)) => line.split_whitespace().collect::<Vec<_>>().join(" "),
            Some(_) | None => line.to_owned(),
        });
        let ran = lines.collect::<Vec<_>>().join("\n");
        self.text.push_str(&format!("$ wharf {words}\n{ran}\n\n"));
    }
}

#[test]
fn from_an_empty_home_to_a_verified_restore() {
    let shell = Shell::new();
    let key = shell.keygen("publisher");
    let file = shell.release("1.0.0", |_| {});
    shell.sign(&file, "publisher").done();
    let data = shell.room("data");
    shell.file("data/letters/first.txt", "dear reader");
    shell.file("data/pictures/large.bin", noise(11, 20 * 1024 * 1024));
    shell.file("data/empty", "");

    let mut transcript = Transcript { shell: &shell, key, text: String::new() };
    transcript.run(&["trust", "add", "wharf", "--key", "publisher.pub", "--id-prefix", "dev.wharf"]);
    transcript.run(&["connector", "install", &file, "--quiet"]);
    transcript.run(&["connector", "list"]);
    let (_, id, _) = shell.client(Service::Dropbox);
    let add = ["account", "add", "work", "--type", "dropbox", "--client-id", id, "--paste"];
    let signing_in = shell.signing_in(&add);
    let page = shell.browse(&signing_in.url);
    let ran = signing_in.answer(&shell, page.code());
    transcript.add(&add, &ran);
    let create = ["destination", "create", "archive", "--type", "dropbox", "--account", "work"];
    let create = [&create[..], &["--backup-directory", "/backups/server1", "--yes", "--quiet"]].concat();
    transcript.run(&create);
    transcript.run(&["destination", "validate", "archive"]);
    transcript.run(&["copy", &data, "archive:data"]);
    transcript.run(&["ls", "-R", "archive:"]);
    transcript.run(&["copy", &data, "archive:data"]);
    let restore = shell.room("restore");
    transcript.run(&["copy", "archive:data", &restore]);
    transcript.run(&["connector", "verify"]);
    insta::assert_snapshot!(transcript.text, @"
    $ wharf trust add wharf --key publisher.pub --id-prefix dev.wharf
    --- stderr
    trusting key `[KEY]` (Ed25519) of `wharf` to sign connectors of dev.wharf
    --- exit 0

    $ wharf connector install [FOLDER]/dropbox-1.0.0.wasm --quiet
    --- exit 0

    $ wharf connector list
    --- stdout
    TYPE     ID                 VERSION  SIGNED BY             INSTALLED
    dropbox  dev.wharf.dropbox  1.0.0    wharf ([KEY])  [MOMENT]
    --- exit 0

    $ wharf account add work --type dropbox --client-id w4harfdropboxkey --paste
    --- stderr
    To sign in account `work`, open this page in any browser:
      https://www.dropbox.com/oauth2/authorize?token_access_type=offline&response_type=code&client_id=w4harfdropboxkey&state=[STATE]&code_challenge=[CHALLENGE]&code_challenge_method=S256&scope=account_info.read+files.metadata.read+files.metadata.write+files.content.read+files.content.write
    Allow what it asks for. It ends with a code: paste that here.
    added account `work`; its token is sealed in the home
    --- exit 0

    $ wharf destination create archive --type dropbox --account work --backup-directory /backups/server1 --yes --quiet
    --- exit 0

    $ wharf destination validate archive
    --- stdout
    ok sign-in [MS] there is a token
    ok quota [MS] 0 of 1099511627776 bytes used
    ok list [MS] the backup directory is not there yet
    ok owner [MS] the backup directory is this destination's
    ok put [MS] stored, with the hash that was sent
    ok range-read [MS] 41976 bytes from 12345
    ok hash [MS] block-sha256 agrees
    ok overwrite [MS] read back as it was stored anew
    ok create [MS] of two at once, one won
    ok remove [MS] what was stored is gone
    --- stderr
    destination `archive` does all that was tried
    --- exit 0

    $ wharf copy [FOLDER]/data archive:data
    --- stderr
    copied 3 files (20.00 MiB) in [TIME], [SPEED]
    --- exit 0

    $ wharf ls -R archive:
    --- stdout
    data/
    data/empty
    data/letters/
    data/letters/first.txt
    data/pictures/
    data/pictures/large.bin
    --- exit 0

    $ wharf copy [FOLDER]/data archive:data
    --- stderr
    copied 0 files (0 B) in [TIME]; 3 unchanged
    --- exit 0

    $ wharf copy archive:data [FOLDER]/restore
    --- stderr
    copied 3 files (20.00 MiB) in [TIME], [SPEED]
    --- exit 0

    $ wharf connector verify
    --- stdout
    TYPE     VERSION  SIGNED BY             RESULT
    dropbox  1.0.0    wharf ([KEY])  good
    --- exit 0
    ");
    assert_same_tree(&shell.path("data"), &shell.path("restore"));
    let audit = shell.run(&["audit", "archive", "--summary"]).done();
    assert!(audit.contains("upload-part"), "{audit}");
    // What is secret is nowhere in clear: not in what was told, not in the home.
    for secret in shell.cloud.secrets() {
        assert!(!transcript.text.contains(&secret) && !audit.contains(&secret));
        for (path, bytes) in wharf_tests::tree(&shell.path("home")) {
            let found = bytes
                .is_some_and(|bytes| bytes.windows(secret.len()).any(|window| window == secret.as_bytes()));
            assert!(!found, "a secret is in `{path}`");
        }
    }
}
