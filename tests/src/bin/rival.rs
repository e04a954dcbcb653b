//! `cargo xtask bench rclone`: Wharf's command beside rclone's, on the same emulators, taking turns.
//!
//! Both run as their users run them, with the same number of operations in flight; rclone keeps its
//! own retries. What is printed are medians of their times, the ratio, their peaks of memory, and what
//! the emulators saw.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a bench that cannot be set up has failed; its figures are its output"
)]

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use cloud::{Action, Preset, Rule};
use wharf_tests::{ACCOUNT, Foreign, Service, noise};

/// Operations in flight.
const THREADS: &str = "8";

fn main() {
    let mut arguments = std::env::args().skip(1);
    let rounds = arguments.next().map_or(3, |text| text.parse().unwrap());
    let only = arguments.next();
    let wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    println!("{rounds} rounds by turns, medians; rclone is 1.00");
    for service in Service::ALL {
        if wanted("small") {
            small(service, rounds);
        }
        if wanted("throttled") {
            throttled(service, rounds);
        }
        if wanted("list") {
            list(service, rounds);
        }
        if wanted("large") {
            large(service, rounds);
        }
    }
}

/// One run of a program.
#[derive(Debug, Clone, Copy)]
struct Took {
    time: Duration,
    /// Its peak of resident memory, in KiB.
    peak: u64,
}

/// The emulators, `archive` for Wharf and `/rclone` for rclone.
struct Scene {
    foreign: Foreign,
    service: Service,
    rounds: u32,
}

impl Scene {
    fn new(service: Service, rounds: u32) -> Self {
        let foreign = Foreign::new();
        foreign.shell.install(service).done();
        foreign.shell.add_account("work", service).done();
        foreign.shell.create("archive", service, &["--yes", "--threads", THREADS]).done();
        Self { foreign, service, rounds }
    }

    fn wharf(&self, words: &[&str]) -> Took {
        run(self.foreign.shell.command(words))
    }

    fn rclone(&self, words: &[&str]) -> Took {
        let flags = ["--transfers", THREADS, "--checkers", THREADS, "--quiet"];
        run(self.foreign.rclone_command(&[&flags, words].concat()))
    }

    /// By turns, each with a place of its own every time.
    fn compare(&self, wharf: impl Fn(u32) -> Took, rclone: impl Fn(u32) -> Took) -> (Took, Took) {
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..self.rounds {
            if round % 2 == 0 {
                ours.push(wharf(round));
                theirs.push(rclone(round));
            } else {
                theirs.push(rclone(round));
                ours.push(wharf(round));
            }
        }
        (median(ours), median(theirs))
    }

    fn print(&self, what: &str, (ours, theirs): (Took, Took), seen: &str) {
        println!(
            "{} {what}: {:.2}x ({:.2} s, {} MiB; rclone {:.2} s, {} MiB){seen}",
            self.service.kind(),
            ours.time.as_secs_f64() / theirs.time.as_secs_f64(),
            ours.time.as_secs_f64(),
            ours.peak / 1024,
            theirs.time.as_secs_f64(),
            theirs.peak / 1024,
        );
    }
}

fn median(mut took: Vec<Took>) -> Took {
    took.sort_by_key(|took| took.time);
    took[took.len() / 2]
}

/// Run it to its end, and watch its memory.
fn run(mut command: Command) -> Took {
    let started = Instant::now();
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let ended = loop {
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
        let text = std::fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes = line.and_then(|line| line.trim().trim_end_matches(" kB").trim().parse().ok());
        peak = peak.max(kibibytes.unwrap_or_default());
        std::thread::sleep(Duration::from_millis(10));
    };
    let time = started.elapsed();
    let mut complaint = String::new();
    std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut complaint).unwrap();
    assert!(ended.success(), "{command:?}: {complaint}");
    Took { time, peak }
}

fn write_small(scene: &Scene, files: u64) -> String {
    for number in 0..files {
        scene.foreign.shell.file(&format!("small/{:02}/{number:04}", number % 10), noise(number, 4096));
    }
    scene.foreign.shell.room("small")
}

/// A thousand files of 4 KiB, 50 ms away.
fn small(service: Service, rounds: u32) {
    const FILES: u64 = 1000;
    let scene = Scene::new(service, rounds);
    let from = write_small(&scene, FILES);
    scene.foreign.shell.cloud.set_latency(Duration::from_millis(50));
    let took = scene.compare(
        |round| scene.wharf(&["copy", &from, &format!("archive:small-{round}")]),
        |round| scene.rclone(&["copy", &from, &format!("{}:rclone/small-{round}", service.kind())]),
    );
    let cloud = &scene.foreign.shell.cloud;
    cloud.clear_log();
    scene.wharf(&["copy", &from, "archive:counted"]);
    let uploads = cloud.log().iter().filter(|entry| entry.kind == service.staged()).count();
    scene.print("1,000 files of 4 KiB at 50 ms", took, &format!(", {uploads} upload requests"));
}

/// Sixty files, and six times the service asks for a second of patience.
fn throttled(service: Service, rounds: u32) {
    let scene = Scene::new(service, rounds);
    let from = write_small(&scene, 60);
    let cloud = &scene.foreign.shell.cloud;
    cloud.set_latency(Duration::from_millis(50));
    let preset = match service {
        Service::OneDrive => Preset::OnedriveThrottled,
        Service::Dropbox => Preset::DropboxTooManyRequests,
    };
    let patience = |kinds: &[&str]| {
        cloud.faults().clear();
        for kind in kinds {
            for skip in 0..6 {
                let action = Action::Preset { name: preset, retry_after: Some(1) };
                cloud.faults().add(Rule::once(kind, action).skip(skip * 8));
            }
        }
    };
    let theirs =
        if service == Service::OneDrive { "onedrive.create-session" } else { "dropbox.session-start" };
    let took = scene.compare(
        |round| {
            patience(&[service.staged()]);
            scene.wharf(&["copy", &from, &format!("archive:small-{round}")])
        },
        |round| {
            patience(&[theirs]);
            scene.rclone(&["copy", &from, &format!("{}:rclone/small-{round}", service.kind())])
        },
    );
    cloud.faults().clear();
    cloud.clear_log();
    patience(&[service.staged()]);
    scene.wharf(&["copy", &from, "archive:counted"]);
    let log = cloud.log();
    let asked = log.iter().filter(|entry| entry.status == Some(429)).count();
    let early = log.iter().filter(|entry| entry.too_early).count();
    scene.print(
        "60 files with 429s",
        took,
        &format!(", {asked} times asked to wait, {early} requests too early"),
    );
}

/// Fifty thousand objects in fifty folders.
fn list(service: Service, rounds: u32) {
    let scene = Scene::new(service, rounds);
    for folder in 0..50 {
        let folder = format!("/backups/server1/many/{folder}");
        let cloud = &scene.foreign.shell.cloud;
        match service {
            Service::OneDrive => cloud.onedrive().put_many(ACCOUNT, &folder, 1000).unwrap(),
            Service::Dropbox => cloud.dropbox().put_many(ACCOUNT, &folder, 1000).unwrap(),
        }
    }
    let theirs = format!("{}:backups/server1/many", service.kind());
    let took = scene.compare(
        |_| scene.wharf(&["ls", "-R", "archive:many"]),
        |_| scene.rclone(&["lsf", "-R", "--fast-list", &theirs]),
    );
    scene.print("50,000 objects listed", took, "");
}

/// One gibibyte up.
fn large(service: Service, rounds: u32) {
    let scene = Scene::new(service, rounds);
    let path = scene.foreign.shell.path("large");
    let mut file = std::fs::File::create(path).unwrap();
    for piece in 0..1024 {
        std::io::Write::write_all(&mut file, &noise(piece, 1024 * 1024)).unwrap();
    }
    let from = scene.foreign.shell.path("large").to_str().unwrap().to_owned();
    let took = scene.compare(
        |round| scene.wharf(&["copy", &from, &format!("archive:large-{round}")]),
        |round| scene.rclone(&["copy", &from, &format!("{}:rclone/large-{round}", service.kind())]),
    );
    scene.print("1 GiB up", took, "");
}
