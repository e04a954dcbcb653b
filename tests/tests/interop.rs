//! What rclone wrote Wharf reads, and the other way round: the same names, the same bytes, the same
//! hashes, and nothing is sent again because the other of the two had sent it.
#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

use std::path::Path;

use wharf_tests::{Foreign, Service, assert_same_tree, noise};

/// Where the destination `archive` is, as rclone names it.
const PLACE: &str = "backups/server1";

/// Names that both services store only in other words, or that look like such words.
const NAMES: [&str; 16] = [
    "plain",
    "back\\slash",
    "del\u{7f}",
    "trail ",
    " ",
    "back＼slash",
    "sym␠",
    "a／b",
    "a‛／b",
    "．",
    "‛．",
    "Grüße",
    "日本語 😀",
    "#%",
    "a+b&c",
    "e\u{301}x",
];
/// Names that only OneDrive stores in other words.
const NAMES_ONEDRIVE: [&str; 14] = [
    "a:b",
    "a*b?",
    "<q>\"|",
    " lead",
    "~$x.docx",
    "dot.",
    "␠sym",
    "～wide",
    "wide．",
    "What？.mp4",
    "tab\tnl\n",
    "\u{1}\u{1f}",
    "␁␟",
    "a. ",
];

fn sample(room: &Path, service: Service) {
    let write = |name: &str, bytes: &[u8]| {
        let path = room.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    };
    write("empty", b"");
    write("ten", &noise(1, 10 << 10));
    write("deep/er/fifty", &noise(2, 50 << 20));
    let more = if service == Service::OneDrive { &NAMES_ONEDRIVE[..] } else { &[] };
    for (number, name) in NAMES.iter().chain(more).enumerate() {
        let seed = u64::try_from(number).unwrap();
        write(&format!("names/{name}"), &noise(10 + seed, 100));
        // In a folder of that name too.
        write(&format!("folders/{name}/leaf"), &noise(100 + seed, 100));
    }
}

fn begin(service: Service) -> (Foreign, String, String) {
    let foreign = Foreign::new();
    let shell = &foreign.shell;
    shell.install(service).done();
    shell.add_account("work", service).done();
    shell.create("archive", service, &["--yes"]).done();
    let data = shell.room("data");
    sample(Path::new(&data), service);
    (foreign, data, format!("{}:{PLACE}", service.kind()))
}

/// What a copy says at its end.
fn copied(foreign: &Foreign, words: &[&str]) -> serde_json::Value {
    foreign.shell.run(&[&["--json", "copy"], words].concat()).json().pop().unwrap()
}

fn rclone_writes_and_wharf_reads(service: Service) {
    let (foreign, data, remote) = begin(service);
    foreign.rclone(&["copy", &data, &remote]).done();
    let back = foreign.shell.room("back");
    foreign.shell.run(&["copy", "archive:", &back]).done();
    assert_same_tree(data.as_ref(), back.as_ref());
    for words in [&[&*data, "archive:"][..], &[&data, "archive:", "--checksum"], &["archive:", &back]] {
        let summary = copied(&foreign, words);
        assert_eq!(summary["bytes_copied"], 0, "{words:?}: {summary}");
        assert_eq!(summary["files_copied"], 0, "{words:?}: {summary}");
    }
    let listed = foreign.shell.run(&["--json", "ls", "-R", "archive:names"]).json();
    let mut listed: Vec<&str> = listed.iter().map(|entry| entry["path"].as_str().unwrap()).collect();
    listed.sort_unstable();
    let mut names: Vec<String> = std::fs::read_dir(foreign.shell.path("data/names"))
        .unwrap()
        .map(|entry| format!("names/{}", entry.unwrap().file_name().into_string().unwrap()))
        .collect();
    names.sort_unstable();
    assert_eq!(listed, names);
    // Each of them can be spoken of, and removed by its own name.
    for name in &names {
        let shown = foreign.shell.run(&["--json", "stat", &format!("archive:{name}")]).json();
        assert_eq!(shown[0]["size"], 100, "{name:?}");
        foreign.shell.run(&["rm", &format!("archive:{name}")]).done();
    }
    assert!(foreign.rclone(&["lsf", "-R", &format!("{remote}/names")]).lines().is_empty());
    foreign.assert_served();
}

fn wharf_writes_and_rclone_reads(service: Service) {
    let (foreign, data, remote) = begin(service);
    // In a folder of its own: beside it is the mark of ownership, which rclone sees.
    let remote = format!("{remote}/tree");
    let summary = copied(&foreign, &[&data, "archive:tree", "--times"]);
    assert_eq!(summary["files_failed"], 0, "{summary}");
    foreign.rclone(&["check", &data, &remote]).done();
    foreign.rclone(&["check", "--download", &data, &remote]).done();
    foreign.rclone(&["copy", &remote, "back"]).done();
    assert_same_tree(data.as_ref(), &foreign.shell.path("back"));
    let again = foreign.rclone(&["copy", "-v", &data, &remote]);
    assert!(again.stderr.contains("There was nothing to transfer"), "{}", again.stderr);
    // Each is stored where rclone would store it.
    let wharf = foreign.stored(service, &format!("/{PLACE}/tree"));
    foreign.rclone(&["copy", &data, &format!("{}:rclone", service.kind())]).done();
    assert_eq!(wharf, foreign.stored(service, "/rclone"));
    foreign.assert_served();
}

#[test]
fn wharf_reads_what_rclone_wrote_to_onedrive() {
    rclone_writes_and_wharf_reads(Service::OneDrive);
}

#[test]
fn wharf_reads_what_rclone_wrote_to_dropbox() {
    rclone_writes_and_wharf_reads(Service::Dropbox);
}

#[test]
fn rclone_reads_what_wharf_wrote_to_onedrive() {
    wharf_writes_and_rclone_reads(Service::OneDrive);
}

#[test]
fn rclone_reads_what_wharf_wrote_to_dropbox() {
    wharf_writes_and_rclone_reads(Service::Dropbox);
}
