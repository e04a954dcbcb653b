//! Clients that nobody here wrote do what their users do, and the emulators serve them: nothing unknown,
//! nothing refused for its form. What a service is in the eyes of these clients, the emulators are.
#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

use std::collections::BTreeSet;
use std::path::Path;

use wharf_tests::{Foreign, Service, assert_same_tree, noise, tree};

/// Names that one of the services refuses, or that look like what stands for one.
const RESERVED: [&str; 12] = [
    "a:b*c?",
    "<q>\"|",
    "back\\slash",
    "What？.mp4",
    " lead",
    "~$x.docx",
    "trail ",
    "dot.",
    "␠sym",
    "a／b",
    "del\u{7f}",
    "．",
];

/// Empty, small and large files, deep ones, many, and names of every kind.
fn sample(room: &Path) {
    let write = |name: &str, bytes: &[u8]| {
        let path = room.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    write("empty.bin", b"");
    write("ten.bin", &noise(1, 10 << 10));
    write("sub/fifty.bin", &noise(2, 50 << 20));
    write("sub/deep/leaf.txt", b"deep");
    write("Ünïcode ☃/日本語 emoji 😀 #%.dat", &noise(3, 320 << 10));
    for number in 0..20 {
        write(&format!("many/{number}"), &noise(100 + number, 2 << 10));
    }
    for (number, name) in RESERVED.iter().enumerate() {
        write(&format!("reserved/in {number} . /{name}"), name.as_bytes());
    }
}

/// The files of a tree, by name, without the reserved names, which rclone shows in its own spelling.
fn names(room: &Path) -> Vec<String> {
    let files = tree(room).into_iter().filter(|(_, bytes)| bytes.is_some()).map(|(name, _)| name);
    let names: BTreeSet<String> = files.filter(|name| !name.starts_with("reserved/")).collect();
    names.into_iter().collect()
}

/// What a user of rclone does in a day.
fn day(foreign: &Foreign, remote: &str) {
    let room = foreign.shell.path("data");
    sample(&room);
    let at = |path: &str| format!("{remote}:bk{path}");
    let all = at("");
    let rclone = |words: &[&str]| foreign.rclone(words);
    rclone(&["copy", "data", &all]).done();
    rclone(&["check", "data", &all]).done();
    rclone(&["check", "--download", "data", &all]).done();
    let again = rclone(&["copy", "-v", "data", &all]);
    assert!(again.stderr.contains("There was nothing to transfer"), "{}", again.stderr);
    again.done();
    let listed = rclone(&["lsf", "-R", "--files-only", "--exclude", "/reserved/**", &all]).lines();
    assert_eq!(listed, names(&room));

    std::fs::write(room.join("ten.bin"), noise(9, 20_000)).unwrap();
    rclone(&["copy", "data", &all]).done();
    rclone(&["copyto", &at("/ten.bin"), &at("/copied/eleven.bin")]).done();
    rclone(&["moveto", &at("/copied/eleven.bin"), &at("/moved/a:twelve.bin")]).done();
    assert_eq!(rclone(&["cat", &at("/moved/a:twelve.bin")]).done(), noise(9, 20_000));
    let part = rclone(&["cat", "--offset", "100", "--count", "50", &at("/ten.bin")]).done();
    assert_eq!(part, noise(9, 20_000)[100..150]);
    rclone(&["deletefile", &at("/moved/a:twelve.bin")]).done();
    rclone(&["copy", &all, "back"]).done();
    assert_same_tree(&room, &foreign.shell.path("back"));

    rclone(&["about", &format!("{remote}:")]).done();
    rclone(&["mkdir", &at("/made/here")]).done();
    rclone(&["rmdir", &at("/made/here")]).done();
    rclone(&["delete", &at("/many")]).done();
    assert!(rclone(&["lsf", "-R", "--files-only", &at("/many")]).lines().is_empty());
    rclone(&["purge", &all]).done();
    rclone(&["lsf", &all]).failed();
    foreign.assert_served();
}

#[test]
fn rclone_with_onedrive() {
    let foreign = Foreign::new();
    day(&foreign, "onedrive");
    assert!(foreign.stored(Service::OneDrive, "").is_empty());
}

#[test]
fn rclone_with_a_private_onedrive() {
    let options = cloud::Options { drive_kind: cloud::DriveKind::Personal, ..Default::default() };
    day(&Foreign::with(options), "onedrive");
}

/// In plain HTTP, by an address of its own, and with a token that has to be refreshed first.
#[test]
fn rclone_with_onedrive_by_address() {
    let foreign = Foreign::new();
    let plain = foreign.shell.cloud.plain_addr();
    let (mut token, _, _) = foreign.shell.client(Service::OneDrive);
    token["expiry"] = "2020-01-01T00:00:00Z".into();
    let more =
        format!("tenant_url = http://{plain}/_api\ntoken_url = http://{plain}/common/oauth2/v2.0/token\n");
    foreign.add_remote("plain", Service::OneDrive, &token, &more);
    day(&foreign, "plain");
}

#[test]
fn rclone_with_dropbox() {
    let foreign = Foreign::new();
    day(&foreign, "dropbox");
    assert!(foreign.stored(Service::Dropbox, "").is_empty());
}

/// A tree listed by what changed, which has ids and no paths, is the tree that folder after folder gives.
#[test]
fn rclone_lists_onedrive_by_what_changed() {
    let foreign = Foreign::new();
    let room = foreign.shell.path("data");
    sample(&room);
    std::fs::remove_file(room.join("sub/fifty.bin")).unwrap();
    foreign.rclone(&["copy", "data", "onedrive:bk"]).done();
    // A folder moved into a younger one: what is in it is older than what holds it.
    foreign.rclone(&["mkdir", "onedrive:bk/young"]).done();
    foreign.rclone(&["moveto", "onedrive:bk/sub", "onedrive:bk/young/sub2"]).done();
    let walked = foreign.rclone(&["lsf", "-R", "--hash", "QuickXorHash", "--format", "psh", "onedrive:"]);
    let walked = walked.lines();
    let deep = |line: &String| line.contains("young/sub2/deep/leaf.txt");
    assert!(walked.len() > 30 && walked.iter().any(deep), "{walked:?}");
    std::fs::create_dir(room.join("young")).unwrap();
    std::fs::rename(room.join("sub"), room.join("young/sub2")).unwrap();

    let by_what_changed = |words: &[&str]| {
        foreign.shell.cloud.clear_log();
        let told = foreign.rclone(&[words, &["--fast-list", "--onedrive-delta"]].concat());
        let kinds = foreign.shell.cloud.summary().kinds;
        let delta = kinds.contains_key("onedrive.delta") && !kinds.contains_key("onedrive.children");
        assert!(delta, "{}: {kinds:?}", told.command);
        told
    };
    let told = by_what_changed(&["lsf", "-R", "--hash", "QuickXorHash", "--format", "psh", "onedrive:"]);
    assert_eq!(told.lines(), walked);
    by_what_changed(&["check", "data", "onedrive:bk"]).done();
    std::fs::write(room.join("ten.bin"), noise(9, 10 << 10)).unwrap();
    let differs = by_what_changed(&["check", "data", "onedrive:bk"]).failed();
    assert!(differs.contains("ten.bin") && differs.contains("1 differences found"), "{differs}");
    foreign.assert_served();
}

/// One request for each file instead of batches.
#[test]
fn rclone_with_dropbox_file_by_file() {
    let foreign = Foreign::new();
    let (token, _, _) = foreign.shell.client(Service::Dropbox);
    foreign.add_remote("single", Service::Dropbox, &token, "batch_mode = off\n");
    day(&foreign, "single");
}

#[test]
fn the_dropbox_sdk() {
    for proxied in [true, false] {
        let foreign = Foreign::new();
        foreign.python("dropbox.py", proxied).done();
        // It provokes refusals, so not every answer was a good one.
        let summary = foreign.shell.cloud.summary();
        assert_eq!((summary.unknown, summary.leaked_authorization, summary.too_early), (0, 0, 0));
    }
}

#[test]
fn a_graph_library() {
    let foreign = Foreign::new();
    foreign.python("graph.py", true).done();
    let kinds = foreign.shell.cloud.summary().kinds;
    assert!(
        kinds.contains_key("onedrive.put-content") && kinds.contains_key("onedrive.session-part"),
        "{kinds:?}"
    );
    foreign.assert_served();
}

/// Microsoft's own library signs in, by a device code and by a code with PKCE.
#[test]
fn microsofts_sign_in_library() {
    let foreign = Foreign::new();
    foreign.python("msal.py", true).done();
    let summary = foreign.shell.cloud.summary();
    assert_eq!((summary.unknown, summary.leaked_authorization), (0, 0), "{:?}", summary.kinds);
    assert!(summary.kinds.contains_key("onedrive.device-code"), "{:?}", summary.kinds);
}

/// What rclone wrote into its configuration, Wharf takes over: as the file, and as rclone prints it.
#[test]
fn rclones_configuration_is_taken_over() {
    let foreign = Foreign::new();
    let shell = &foreign.shell;
    for service in Service::ALL {
        shell.install(service).done();
    }
    // Written by rclone itself, beside what is there.
    let own = |name: &str, words: &[&str]| {
        foreign.rclone(&[&["config", "create", "--non-interactive", name][..], words].concat()).done();
    };
    own(
        "Photos 2",
        &[
            "dropbox",
            "client_id=abc",
            "client_secret=sesame",
            r#"token={"access_token":"a","refresh_token":"r"}"#,
        ],
    );
    own("disk", &["local"]);
    own("plain", &["dropbox", r#"token={"access_token":"a","refresh_token":"r"}"#]);
    let config = shell.path("rclone.conf");
    let file = std::fs::read_to_string(&config).unwrap();
    assert!(file.contains("client_secret = sesame"), "rclone keeps it in clear:\n{file}");
    let imported = shell.run(&["account", "import", "--rclone", config.to_str().unwrap(), "--json"]);
    assert_eq!(imported.code, Some(2), "{imported}");
    let lines: Vec<serde_json::Value> =
        imported.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |remote: &str| lines.iter().find(|line| line["remote"] == remote).unwrap();
    assert_eq!(of("Photos 2")["account"], "photos-2");
    assert!(of("disk")["problem"].as_str().unwrap().contains("no connector"), "{lines:?}");
    assert!(of("plain")["problem"].as_str().unwrap().contains("as rclone itself"), "{lines:?}");
    for service in Service::ALL {
        let create = of(service.kind())["create"].as_str().unwrap();
        // As a shell would take it apart.
        let words: Vec<&str> = create.split(' ').skip(1).map(|word| word.trim_matches('\'')).collect();
        shell.run(&[&words[..], &["--yes"]].concat()).done();
        let place = format!("{}:", service.kind());
        foreign.rclone(&["copy", "rclone.conf", &format!("{place}backups")]).done();
        assert_eq!(shell.run(&["ls", &place]).done().trim(), "rclone.conf");
        let show = shell.run(&["account", "show", service.kind(), "--json"]).json();
        assert_eq!((&show[0]["method"], &show[0]["has_client_secret"]), (&"rclone".into(), &true.into()));
    }
    for (print, name) in [(vec!["config", "dump"], "dump"), (vec!["config", "show", "dropbox"], "one")] {
        shell.run(&["destination", "delete", "dropbox"]);
        shell.run(&["account", "remove", "dropbox"]).done();
        let printed = shell.file(name, foreign.rclone(&print).done());
        shell.run(&["account", "import", "--rclone", &printed, "dropbox"]).done();
    }
    // With a password on it, it is nobody's to read.
    let mut encrypt =
        foreign.rclone_command(&["config", "encryption", "set", "--password-command", "echo sesame"]);
    let encrypted = encrypt.output().unwrap();
    assert!(encrypted.status.success(), "{}", String::from_utf8_lossy(&encrypted.stderr));
    let refused = shell.run(&["account", "import", "--rclone", config.to_str().unwrap()]);
    assert!(refused.stderr.contains("this rclone configuration is encrypted"), "{refused}");
    assert!(refused.stderr.contains("hint: have rclone decrypt it: `rclone config dump |"), "{refused}");
    assert_eq!(refused.code, Some(2));
}

fn restic(service: Service) {
    let foreign = Foreign::new();
    let room = foreign.shell.path("data");
    sample(&room);
    let remote = format!("{}:restic", service.kind());
    foreign.restic(&remote, &["init"]).done();
    foreign.restic(&remote, &["backup", "data"]).done();
    foreign.restic(&remote, &["check", "--read-data"]).done();
    std::fs::write(room.join("ten.bin"), noise(9, 20_000)).unwrap();
    foreign.restic(&remote, &["backup", "data"]).done();
    foreign.restic(&remote, &["forget", "--keep-last", "1", "--prune"]).done();
    foreign.restic(&remote, &["check"]).done();
    foreign.restic(&remote, &["restore", "latest", "--target", "back"]).done();
    let back = foreign.shell.path("back");
    let restored = std::iter::once(back.join("data")).chain([back.join(room.strip_prefix("/").unwrap())]);
    assert_same_tree(&room, &restored.into_iter().find(|place| place.exists()).unwrap());
    foreign.assert_served();
}

#[test]
fn restic_with_onedrive() {
    restic(Service::OneDrive);
}

#[test]
fn restic_with_dropbox() {
    restic(Service::Dropbox);
}
