//! Ten tasks in three processes, four threads, ten thousand operations, and processes that are killed.
//!
//! Every operation tells an observer when it begins and before it ends, and goes on when it was heard;
//! the observer is a process of its own, and knows nothing of boards.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::Child;

use super::*;
use crate::home::tests::{child, in_role};

const THREADS: u16 = 4;
const OPERATIONS: u32 = 10_000;
/// Tasks of each process.
const TASKS: [u8; 3] = [4, 3, 3];
/// Operations that each task tries to have in flight.
const WORKERS: u8 = 2;
/// A process is killed each time that so many operations have ended.
const DEATH_EVERY: u32 = 2_400;
const TIME_MAX: Duration = Duration::from_secs(60);
const FAIRNESS_MIN: f64 = 0.95;
const TEST: &str = "threads::tests::soak::ten_tasks_in_three_processes_share_four_threads";

#[test]
fn ten_tasks_in_three_processes_share_four_threads() {
    for process in 0..3 {
        if let Some(home) = in_role(&role(process)) {
            work(process, &home);
        }
    }
    let (_folder, home) = home_with(THREADS);
    let listener = UnixListener::bind(home.path().with_file_name("observer")).unwrap();
    let observer: Arc<Mutex<Observer>> = Arc::default();
    let heard = Arc::clone(&observer);
    std::thread::spawn(move || {
        for line in listener.incoming() {
            let (line, observer) = (line.unwrap(), Arc::clone(&heard));
            std::thread::spawn(move || hear(line, &observer));
        }
    });
    let mut children: Vec<Child> = (0..3).map(|process| start(process, &home)).collect();
    let (began, mut random, mut deaths) = (Instant::now(), 0x9e37_79b9_7f4a_7c15_u64, 0);
    loop {
        std::thread::sleep(Duration::from_millis(2));
        let ended = observer.lock().unwrap().ended;
        if ended >= OPERATIONS || began.elapsed() > TIME_MAX {
            break;
        }
        if ended >= (deaths + 1) * DEATH_EVERY {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let victim = usize::try_from(random >> 33).unwrap() % children.len();
            deaths += 1;
            kill(&mut children[victim], &observer);
            children[victim] = start(u8::try_from(victim).unwrap(), &home);
        }
    }
    let took = began.elapsed();
    children.iter_mut().for_each(|child| kill(child, &observer));
    report(&observer.lock().unwrap(), deaths, took);
    let threads = seat(&home).task(None);
    let all = async {
        let mut permits = Vec::new();
        for _ in 0..THREADS {
            permits.push(soon(&threads).await.expect("every permit returns"));
        }
        assert!(soon(&threads).await.is_none());
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(all);
}

fn report(observer: &Observer, deaths: u32, took: Duration) {
    let Observer { ended, most, windows, .. } = observer;
    println!("{ended} operations in {took:?}, {deaths} deaths, {most} at once at most; fairness {windows:?}");
    assert!(*ended >= OPERATIONS, "{ended} operations in {took:?}");
    assert_eq!(*most, u32::from(THREADS), "as many as there are, and never more");
    assert!(deaths >= 3 && windows.len() >= 3, "{deaths} deaths, {windows:?}");
    for (across, within) in windows {
        assert!(*across >= FAIRNESS_MIN && *within >= FAIRNESS_MIN, "{windows:?}");
    }
}

fn role(process: u8) -> String {
    format!("soaker-{process}")
}

fn start(process: u8, home: &Home) -> Child {
    child(TEST, &role(process), home.path())
}

/// What is in flight dies with the process; nothing that it says afterwards counts.
fn kill(child: &mut Child, observer: &Mutex<Observer>) {
    {
        let mut observer = observer.lock().unwrap();
        observer.close_window();
        let life = observer.lives.get_mut(&child.id()).unwrap();
        life.is_dead = true;
        let lost = std::mem::take(&mut life.in_flight);
        observer.now -= lost;
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

/// In a child: tasks that do one operation after the other.
fn work(process: u8, home: &Home) -> ! {
    let observer = home.path().with_file_name("observer");
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(2).enable_all().build().unwrap().block_on(async {
        let seat = seat(home);
        let mut workers = Vec::new();
        for task in 0..TASKS[usize::from(process)] {
            let threads = seat.task(None);
            for _ in 0..WORKERS {
                workers.push(tokio::spawn(operate(threads.clone(), greet(&observer, process, task))));
            }
        }
        futures_util::future::join_all(workers).await;
    });
    std::process::abort()
}

fn greet(observer: &Path, process: u8, task: u8) -> UnixStream {
    let mut line = UnixStream::connect(observer).unwrap();
    line.write_all(&[process, task]).unwrap();
    line.write_all(&std::process::id().to_le_bytes()).unwrap();
    line
}

async fn operate(threads: Threads, mut line: UnixStream) {
    let mut tell = move |word: &[u8]| {
        tokio::task::block_in_place(|| line.write_all(word).and_then(|()| line.read_exact(&mut [0])))
    };
    loop {
        let permit = threads.permit().await;
        let began = tell(b"+");
        tokio::time::sleep(Duration::from_millis(1)).await;
        let ends = tell(b"-");
        drop(permit);
        if began.is_err() || ends.is_err() {
            return;
        }
    }
}

/// What was seen from outside.
#[derive(Default)]
struct Observer {
    now: u32,
    most: u32,
    ended: u32,
    lives: BTreeMap<u32, Life>,
    /// Operations by process and task, since all ten tasks are there.
    counts: BTreeMap<(u8, u8), u32>,
    /// Jain's index from one death to the next, over all tasks and within the least fair process.
    windows: Vec<(f64, f64)>,
}

/// One process.
#[derive(Default)]
struct Life {
    workers: u8,
    in_flight: u32,
    is_dead: bool,
    process: u8,
}

impl Observer {
    fn close_window(&mut self) {
        let counts = std::mem::take(&mut self.counts);
        if !self.all_are_there() || counts.values().sum::<u32>() < DEATH_EVERY / 2 {
            return;
        }
        let of = |process: Option<u8>| -> Vec<u32> {
            let right = |(owner, _): &(u8, u8)| process.is_none_or(|process| process == *owner);
            counts.iter().filter(|(task, _)| right(task)).map(|(_, count)| *count).collect()
        };
        let within = (0..3).map(|process| jain(&of(Some(process)), TASKS[usize::from(process)].into()));
        let within = within.fold(1.0, f64::min);
        self.windows.push((jain(&of(None), 10), within));
    }

    fn all_are_there(&self) -> bool {
        let workers = |life: &Life| u32::from(if life.is_dead { 0 } else { life.workers });
        self.lives.values().map(workers).sum::<u32>() == 10 * u32::from(WORKERS)
    }
}

/// 1 when all of `tasks` have the same; who has none counts too.
fn jain(counts: &[u32], tasks: u32) -> f64 {
    let counts: Vec<f64> = counts.iter().map(|count| f64::from(*count)).collect();
    let (sum, squares): (f64, f64) = (counts.iter().sum(), counts.iter().map(|count| count * count).sum());
    sum * sum / (f64::from(tasks) * squares)
}

/// Hear one worker, until it is gone.
fn hear(mut line: UnixStream, observer: &Mutex<Observer>) {
    let (mut who, mut life, mut word) = ([0; 2], [0; 4], [0]);
    if line.read_exact(&mut who).is_err() || line.read_exact(&mut life).is_err() {
        return;
    }
    let life = u32::from_le_bytes(life);
    {
        let mut observer = observer.lock().unwrap();
        let own = observer.lives.entry(life).or_default();
        (own.workers, own.process) = (own.workers + 1, who[0]);
        observer.counts.clear();
    }
    while line.read_exact(&mut word).is_ok() {
        {
            let mut observer = observer.lock().unwrap();
            let Observer { now, most, ended, lives, counts, .. } = &mut *observer;
            let own = lives.get_mut(&life).unwrap();
            if own.is_dead {
                return;
            }
            if word == *b"+" {
                (*now, own.in_flight) = (*now + 1, own.in_flight + 1);
                *most = (*most).max(*now);
            } else {
                (*now, own.in_flight) = (*now - 1, own.in_flight - 1);
                *ended += 1;
                *counts.entry((who[0], who[1])).or_default() += 1;
            }
        }
        if line.write_all(b".").is_err() {
            return;
        }
    }
}
