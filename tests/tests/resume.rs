//! Killed at any instant: nothing that was told is lost, nothing wrong is called good, and the next
//! run carries on where the last one stood.
#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use cloud::{Action, Rule};
use wharf_tests::{ACCOUNT, Ran, Service, Shell, assert_same_tree, noise, tree};

/// Kills of each test; there are four tests.
const KILLS: u64 = 50;
/// Small files of the tree.
const SMALL: u64 = 12;
/// Operations that a destination has in flight when nothing else is said.
const THREADS: u64 = 4;

/// Numbers that look random and are the same in every run.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

/// A file of a few parts, and small ones beside it.
fn write_tree(room: &Path, service: Service, seed: u64) {
    std::fs::create_dir_all(room.join("docs")).unwrap();
    let parts = usize::try_from(part_bytes(service)).unwrap() * 3;
    std::fs::write(room.join("large.bin"), noise(seed, parts + 12_345)).unwrap();
    for number in 0..SMALL {
        let len = usize::try_from(number * 7001).unwrap();
        std::fs::write(room.join(format!("docs/{number}")), noise(seed + number, len)).unwrap();
    }
}

const fn part_bytes(service: Service) -> u64 {
    match service {
        Service::OneDrive => 10 * 1024 * 1024,
        Service::Dropbox => 16 * 1024 * 1024,
    }
}

/// Run it and kill it after a while. Returns what it told, and whether it came to its end before.
fn kill_after(shell: &Shell, words: &[&str], wait: Duration) -> (String, bool) {
    let mut command = shell.command(words);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    std::thread::sleep(wait);
    let ended = child.try_wait().unwrap();
    child.kill().unwrap();
    let mut told = String::new();
    child.stdout.take().unwrap().read_to_string(&mut told).unwrap();
    child.wait().unwrap();
    if let Some(status) = ended {
        assert!(status.success(), "{told}");
    }
    (told, ended.is_some())
}

/// The files that a killed command said to have copied.
fn copied(told: &str) -> Vec<String> {
    let events = told.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    events
        .filter(|event| event["event"] == "copied")
        .map(|event| event["path"].as_str().unwrap().to_owned())
        .collect()
}

fn stored(shell: &Shell, service: Service, path: &str) -> Option<Vec<u8>> {
    let path = format!("/backups/server1/{path}");
    let file = match service {
        Service::OneDrive => shell.cloud.onedrive().file(ACCOUNT, &path),
        Service::Dropbox => shell.cloud.dropbox().file(ACCOUNT, &path),
    };
    file.map(|file| {
        let mut bytes = Vec::new();
        file.open().unwrap().read_to_end(&mut bytes).unwrap();
        bytes
    })
}

/// Make parts slow, at a destination that has written before: its mark of ownership goes as a part, too.
fn slow_parts(shell: &Shell, service: Service) {
    shell.run(&["mkdir", "archive:begun"]).done();
    shell.cloud.clear_log();
    shell.cloud.set_latency(Duration::from_millis(5));
    let slow = Rule { times: u64::MAX, ..Rule::once(service.part(), Action::Delay { ms: 60 }) };
    shell.cloud.faults().add(slow);
}

/// Bytes of files that arrived.
fn arrived(shell: &Shell, service: Service) -> u64 {
    let kinds = [service.part(), service.put(), service.staged()];
    let log = shell.cloud.log();
    log.iter().filter(|entry| kinds.contains(&&*entry.kind)).map(|entry| entry.request_bytes).sum()
}

fn up_again_and_again(service: Service) {
    let shell = Shell::with_archive(service);
    slow_parts(&shell, service);
    let (from, mut dice) = (shell.room("from"), Dice(0x5eed));
    let (mut seed, mut whole) = (1, 0);
    write_tree(Path::new(&from), service, seed);
    let size = |from: &str| -> u64 {
        let files = tree(Path::new(from)).into_iter().filter_map(|(_, bytes)| bytes);
        files.map(|bytes| u64::try_from(bytes.len()).unwrap()).sum()
    };
    let mut meant = size(&from);
    for _ in 0..KILLS {
        let wait = Duration::from_millis(20 + dice.below(1200));
        let (told, done) = kill_after(&shell, &["copy", &from, "archive:", "--json"], wait);
        for path in copied(&told) {
            let expected = std::fs::read(Path::new(&from).join(&path)).unwrap();
            assert!(stored(&shell, service, &path) == Some(expected), "`{path}` was told to be copied");
        }
        if done {
            whole += 1;
            seed += 100;
            write_tree(Path::new(&from), service, seed);
            meant += size(&from);
        }
    }
    shell.run(&["copy", &from, "archive:"]).done();
    for (path, bytes) in tree(Path::new(&from)) {
        if bytes.is_some() {
            assert!(stored(&shell, service, &path) == bytes, "`{path}` has wrong bytes");
        }
    }
    // Each kill costs at most the part, or the small file, that each thread had in flight.
    let bound = meant + KILLS * (part_bytes(service) + THREADS * SMALL * 7001);
    assert!(arrived(&shell, service) <= bound, "{} bytes arrived, {bound} at most", arrived(&shell, service));
    assert!(whole < KILLS, "it was never killed on its way");
    shell.cloud.clear_log();
    let again: Ran = shell.run(&["copy", &from, "archive:"]);
    assert!(again.stderr.contains("copied 0 files"), "{again}");
    assert_eq!(arrived(&shell, service), 0, "nothing is sent again");
}

#[test]
fn killed_uploads_to_onedrive() {
    up_again_and_again(Service::OneDrive);
}

#[test]
fn killed_uploads_to_dropbox() {
    up_again_and_again(Service::Dropbox);
}

fn down_again_and_again(service: Service) {
    let shell = Shell::with_archive(service);
    let (from, mut dice) = (shell.room("from"), Dice(0xd0e5));
    write_tree(Path::new(&from), service, 7);
    shell.run(&["copy", &from, "archive:"]).done();
    let kind = if service == Service::OneDrive { "onedrive.download" } else { "dropbox.download" };
    let slow = Rule { times: u64::MAX, ..Rule::once(kind, Action::Delay { ms: 100 }) };
    shell.cloud.faults().add(slow);
    let mut to = shell.room("to-0");
    for round in 0..KILLS {
        let wait = Duration::from_millis(20 + dice.below(900));
        let (told, done) = kill_after(&shell, &["copy", "archive:", &to, "--json"], wait);
        for path in copied(&told) {
            let expected = std::fs::read(Path::new(&from).join(&path)).unwrap();
            assert!(std::fs::read(Path::new(&to).join(&path)).unwrap() == expected, "`{path}`");
        }
        if done {
            assert_same_tree(Path::new(&from), Path::new(&to));
            to = shell.room(&format!("to-{round}"));
        }
    }
    shell.run(&["copy", "archive:", &to]).done();
    assert_same_tree(Path::new(&from), Path::new(&to));
}

#[test]
fn killed_downloads_from_onedrive() {
    down_again_and_again(Service::OneDrive);
}

#[test]
fn killed_downloads_from_dropbox() {
    down_again_and_again(Service::Dropbox);
}

/// Copy up until `parts` parts have arrived, and kill it then.
fn kill_after_parts(shell: &Shell, service: Service, from: &str, parts: usize) {
    let mut child = shell.command(&["copy", from, "archive:"]).stderr(Stdio::null()).spawn().unwrap();
    // The opening request counts as one where it takes bytes.
    let kinds = [service.part(), service.staged()];
    let acknowledged = |shell: &Shell| {
        let log = shell.cloud.log();
        log.iter().filter(|entry| kinds.contains(&&*entry.kind) && entry.status.is_some()).count()
    };
    while acknowledged(shell) < parts {
        assert!(child.try_wait().unwrap().is_none(), "it was over before it could be killed");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    // What it had sent by then is its own, and not the next copy's.
    assert!(shell.cloud.settle(Duration::from_secs(20)), "its connections stay open");
}

#[test]
fn an_upload_goes_on_where_it_stood() {
    for service in Service::ALL {
        let shell = Shell::with_archive(service);
        slow_parts(&shell, service);
        let part = part_bytes(service);
        // One part is in flight where they go in order, four where they need not; one more may have
        // arrived without being noted.
        let (parts, arrive, again_max) = match service {
            Service::OneDrive => (4, 3, 2),
            Service::Dropbox => (9, 8, 5),
        };
        let bytes = noise(3, usize::try_from(part * parts).unwrap() + 5);
        let file = shell.file("large.bin", &bytes);
        kill_after_parts(&shell, service, &file, arrive);
        shell.cloud.clear_log();
        shell.run(&["copy", &file, "archive:"]).done();
        assert!(stored(&shell, service, "large.bin").unwrap() == bytes, "{service:?}: wrong bytes");
        let again = arrived(&shell, service);
        let most = part * again_max + 5;
        assert!(again <= most, "{service:?}: {again} bytes, {again_max} parts of {part} at most");
    }
}

#[test]
fn a_staged_batch_is_not_sent_again() {
    let shell = Shell::with_archive(Service::Dropbox);
    let from = shell.room("from");
    for number in 0..SMALL {
        shell.file(&format!("from/{number}"), noise(number, 5000));
    }
    let slow = Rule { times: u64::MAX, ..Rule::once("dropbox.finish-batch", Action::Delay { ms: 5000 }) };
    let slow = shell.cloud.faults().add(slow);
    let mut child = shell.command(&["copy", &from, "archive:"]).stderr(Stdio::null()).spawn().unwrap();
    while shell.cloud.faults().acted(slow) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "it was over before it could be killed");
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    shell.cloud.faults().clear();
    shell.cloud.clear_log();
    shell.run(&["copy", &from, "archive:"]).done();
    assert_eq!(arrived(&shell, Service::Dropbox), 0, "all of it was there already");
    for number in 0..SMALL {
        assert_eq!(stored(&shell, Service::Dropbox, &number.to_string()), Some(noise(number, 5000)));
    }
}

#[test]
fn a_source_that_changed_starts_over() {
    for service in Service::ALL {
        for same_time in [false, true] {
            let shell = Shell::with_archive(service);
            slow_parts(&shell, service);
            let size = usize::try_from(part_bytes(service) * 3).unwrap() + 5;
            let file = shell.file("large.bin", noise(3, size));
            kill_after_parts(&shell, service, &file, 2);
            let modified = std::fs::metadata(&file).unwrap().modified().unwrap();
            let bytes = noise(4, size);
            // Written over in place, so that it is the same file in every way but its bytes.
            let opened = std::fs::OpenOptions::new().write(true).open(&file).unwrap();
            std::os::unix::fs::FileExt::write_all_at(&opened, &bytes, 0).unwrap();
            if same_time {
                opened.set_modified(modified).unwrap();
            }
            shell.run(&["copy", &file, "archive:"]).done();
            let right = stored(&shell, service, "large.bin").unwrap() == bytes;
            assert!(right, "{service:?}, same time {same_time}: wrong bytes");
        }
    }
}

#[test]
fn a_download_goes_on_where_it_stood() {
    const WHOLE: u64 = 64 * 1024 * 1024;
    for (service, kind) in [(Service::OneDrive, "onedrive.download"), (Service::Dropbox, "dropbox.download")]
    {
        let shell = Shell::with_archive(service);
        let bytes = noise(3, usize::try_from(WHOLE).unwrap());
        let file = shell.file("large.bin", &bytes);
        shell.run(&["copy", &file, "archive:"]).done();
        let cut = Action::TruncateReply { bytes: WHOLE / 2 };
        // Every attempt of the first run is cut, and nothing comes of the later ones.
        shell.cloud.faults().add(Rule::once(kind, cut));
        let later = Rule { times: u64::MAX, ..Rule::once(kind, Action::Delay { ms: 2000 }) };
        let later = shell.cloud.faults().add(later);
        let to = shell.room("to");
        let mut child = shell.command(&["copy", "archive:", &to]).stderr(Stdio::null()).spawn().unwrap();
        while shell.cloud.faults().acted(later) == 0 {
            assert!(child.try_wait().unwrap().is_none(), "it was over before it could be killed");
            std::thread::sleep(Duration::from_millis(5));
        }
        std::thread::sleep(Duration::from_millis(300));
        child.kill().unwrap();
        child.wait().unwrap();
        shell.cloud.faults().clear();
        shell.cloud.clear_log();
        shell.run(&["copy", "archive:", &to]).done();
        assert!(std::fs::read(Path::new(&to).join("large.bin")).unwrap() == bytes, "{service:?}");
        assert_eq!(tree(Path::new(&to)).len(), 1, "nothing else is left");
        let log = shell.cloud.log();
        let sent: u64 = log.iter().filter(|entry| entry.kind == kind).map(|entry| entry.response_bytes).sum();
        assert!(sent <= WHOLE / 2 + 16 * 1024 * 1024, "{service:?}: {sent} bytes came again");
    }
}
