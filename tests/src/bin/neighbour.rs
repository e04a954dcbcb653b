//! `cargo xtask bench neighbour`: how long an operation takes beside eight components that break the
//! rules, as a ratio to how long it takes when they are quiet.
//!
//! Both kinds of rounds take turns in one process, with the emulators on threads of their own, so that
//! the ratio holds on a machine that does something else too. The operation is a `stat` of a service
//! that takes as long as services do.
#![expect(
    clippy::print_stdout,
    clippy::panic,
    reason = "a bench that cannot be set up has failed; its figures are its output"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use wharf_runtime::attached::Attached;
use wharf_tests::{ACCOUNT, Rig, Service, path};

/// What each does, over and over.
const GUESTS: [(&str, &str); 8] = [
    ("spin", "loop"),
    ("spin", "fill"),
    ("grow", "vectors"),
    ("grow", "politely"),
    ("flood", "lines"),
    ("panic", "flood"),
    ("trap", "abort"),
    ("recurse", "x"),
];
/// Rounds of either kind.
const ROUNDS: usize = 10;
/// How long each is; together they stay below a minute.
const ROUND: Duration = Duration::from_secs(2);
/// What a service takes to answer, at its best.
const LATENCY: Duration = Duration::from_millis(50);
/// What the neighbour may lose.
const RATIO_MAX: f64 = 1.2;

fn main() {
    let threads = || {
        let threads = wharf_runtime::workers::builder().build();
        threads.unwrap_or_else(|error| panic!("no threads: {error}"))
    };
    let (services, ours) = (threads(), threads());
    let rig = services.block_on(Rig::new());
    rig.cloud.set_latency(LATENCY);
    ours.block_on(bench(&rig));
}

async fn bench(rig: &Rig) {
    let file = rig.cloud.dropbox().put_file(ACCOUNT, "/backups/neighbour/there", b"x");
    file.unwrap_or_else(|error| panic!("no file: {error}"));
    let neighbour = rig.destination(Service::Dropbox, "neighbour").await;
    let mut guests: Vec<(&str, Arc<Attached>)> = Vec::new();
    for (number, (component, what)) in GUESTS.into_iter().enumerate() {
        let service = Service::ALL[number % 2];
        guests.push((what, Arc::new(rig.hostile(component, service).await)));
    }
    let (mut quiet, mut beside) = (Vec::new(), Vec::new());
    operations(&neighbour).await;
    for _ in 0..ROUNDS {
        quiet.extend(operations(&neighbour).await);
        let over = Arc::new(AtomicBool::new(false));
        let running: Vec<_> = guests.iter().map(|(what, guest)| torment(what, guest, &over)).collect();
        beside.extend(operations(&neighbour).await);
        over.store(true, Ordering::Relaxed);
        for running in running {
            running.await.unwrap_or_else(|error| panic!("a guest took its task with it: {error}"));
        }
    }
    for (name, part) in [("median", 50), ("95th of a hundred", 95)] {
        let (quiet, beside) = (percentile(&mut quiet, part), percentile(&mut beside, part));
        let ratio = beside.as_secs_f64() / quiet.as_secs_f64();
        let holds = if ratio <= RATIO_MAX { "within" } else { "beyond" };
        println!(
            "{name}: {quiet:.1?} quiet, {beside:.1?} beside eight guests: {ratio:.2}, {holds} {RATIO_MAX}"
        );
    }
}

fn torment(what: &str, guest: &Arc<Attached>, over: &Arc<AtomicBool>) -> tokio::task::JoinHandle<()> {
    let (what, guest, over) = (path(what), Arc::clone(guest), Arc::clone(over));
    tokio::spawn(async move {
        while !over.load(Ordering::Relaxed) {
            guest.stat(&what).await.map(drop).unwrap_or_default();
        }
    })
}

/// Operations of one round, and how long each took.
async fn operations(neighbour: &Attached) -> Vec<Duration> {
    let (round, mut took) = (Instant::now(), Vec::new());
    while round.elapsed() < ROUND {
        let start = Instant::now();
        let found = neighbour.stat(&path("there")).await;
        found.unwrap_or_else(|error| panic!("the neighbour failed: {error}"));
        took.push(start.elapsed());
    }
    took
}

fn percentile(times: &mut [Duration], part: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * part / 100).min(times.len() - 1)]
}
