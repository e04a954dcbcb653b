//! Waiting for a thread, beside others of this process and of another one.

use std::time::Instant;

use super::*;
use crate::clock::SystemClock;
use crate::destination::{Caller, ConnectorReference, Destination};
use crate::home::tests::scratch;
use crate::path::Directory;

mod soak;

fn name() -> Name {
    Name::parse("archive").unwrap()
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock::default())
}

/// A home with a destination of so many threads.
pub(super) fn home_with(threads: u16) -> (tempfile::TempDir, Home) {
    let (folder, home) = scratch();
    let connector = ConnectorReference::parse("test").unwrap();
    let mut destination = Destination::new(name(), connector, Directory::parse("/backups").unwrap());
    destination.threads = threads;
    Destinations::new(&home).create(&destination).unwrap();
    (folder, home)
}

/// Places of two processes, as far as these can be told apart.
fn seat(home: &Home) -> Arc<Seat> {
    Seat::new(home, &name(), clock())
}

async fn soon(threads: &Threads) -> Option<Permit> {
    tokio::time::timeout(Duration::from_millis(100), threads.permit()).await.ok()
}

#[tokio::test]
async fn a_permit_returns_when_it_is_dropped() {
    let threads = Seat::alone(2, clock()).task(None);
    let first = threads.permit().await;
    let second = threads.permit().await;
    assert_eq!((threads.free(), threads.limit()), (0, 2));
    drop(first);
    assert_eq!(threads.free(), 1);
    let third = threads.permit().await;
    drop((second, third));
    assert_eq!(threads.free(), 2);
}

#[tokio::test]
async fn the_limit_is_the_machine_s() {
    let (_folder, home) = home_with(3);
    let (one, other) = (seat(&home).task(None), seat(&home).task(None));
    let held = [one.permit().await, one.permit().await, one.permit().await];
    assert!(soon(&other).await.is_none());
    assert!(soon(&one).await.is_none());
    let waiting = tokio::spawn(async move { (other.permit().await, Instant::now()) });
    tokio::time::sleep(Duration::from_millis(50)).await;
    let freed = Instant::now();
    drop(held);
    let (permit, taken) = waiting.await.unwrap();
    let waited = taken.saturating_duration_since(freed);
    assert!(waited < Duration::from_millis(100), "it took {waited:?}");
    drop(permit);
    assert_eq!(one.free(), 3);
}

#[tokio::test]
async fn who_has_most_yields_what_it_frees() {
    let (_folder, home) = home_with(4);
    let (many, few) = (seat(&home).task(None), seat(&home).task(None));
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(many.permit().await);
    }
    // A task of one file beside a task of a million, which always wants more.
    let greedy = many.clone();
    let wants_more = tokio::spawn(async move { (greedy.permit().await, greedy.permit().await) });
    let one_file = tokio::spawn(async move { few.permit().await });
    tokio::time::sleep(Duration::from_millis(50)).await;
    held.pop();
    let permit = tokio::time::timeout(Duration::from_millis(100), one_file).await.unwrap().unwrap();
    assert!(!wants_more.is_finished());
    drop(permit);
    held.clear();
    wants_more.await.unwrap();
}

#[tokio::test]
async fn one_that_gives_up_waiting_keeps_nobody_waiting() {
    let (_folder, home) = home_with(1);
    let (one, other) = (seat(&home).task(None), seat(&home).task(None));
    let held = one.permit().await;
    assert!(soon(&other).await.is_none());
    drop(held);
    assert!(soon(&one).await.is_some());
}

#[tokio::test]
async fn another_limit_takes_effect_on_what_runs() {
    let (_folder, home) = home_with(4);
    let threads = seat(&home).task(None);
    let held = [threads.permit().await, threads.permit().await];
    Destinations::new(&home)
        .modify(&name(), &Caller::new(0, None, 0), |destination| destination.threads = 2)
        .unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert!(soon(&threads).await.is_none());
    assert_eq!((threads.limit(), threads.free()), (2, 0));
    drop(held);
    assert!(soon(&threads).await.is_some());
    // What makes no sense changes nothing.
    std::fs::write(home.path().join("destinations/archive.toml"), "threads = 9000").unwrap();
    tokio::time::sleep(Duration::from_millis(600)).await;
    assert_eq!(threads.limit(), 2);
}

#[tokio::test]
async fn a_task_can_have_fewer_and_keeps_nobody_waiting_then() {
    let (_folder, home) = home_with(4);
    let seat = seat(&home);
    let (few, many) = (seat.task(Some(1)), seat.task(Some(9)));
    assert_eq!((few.limit(), many.limit()), (1, 4));
    let _one = few.permit().await;
    let more = few.clone();
    let waiting = tokio::spawn(async move { more.permit().await });
    tokio::time::sleep(Duration::from_millis(30)).await;
    let _three = [many.permit().await, many.permit().await, many.permit().await];
    assert!(!waiting.is_finished());
    waiting.abort();
}

#[tokio::test]
async fn transfers_wait_for_each_other_where_that_is_asked_for() {
    let (_folder, home) = home_with(4);
    let (one, other) = (seat(&home).task(None), seat(&home).task(None));
    assert!(one.try_begin(Some(1)));
    assert!(!other.try_begin(Some(1)));
    assert_eq!(other.running(), 1);
    // A listing is no transfer.
    assert!(soon(&other).await.is_some());
    let begun = tokio::spawn(async move { other.begin(Some(1)).await });
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert!(!begun.is_finished());
    drop(one);
    tokio::time::timeout(Duration::from_millis(200), begun).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_board_that_was_damaged_is_put_right_by_who_is_on_it() {
    let (_folder, home) = home_with(2);
    let (one, other) = (seat(&home).task(None), seat(&home).task(None));
    let held = one.permit().await;
    for damage in [&b""[..], b"WTH1", &[0xff; 200]] {
        std::fs::write(home.path().join("locks/threads-archive"), damage).unwrap();
        drop(one.permit().await);
        let second = soon(&other).await.unwrap();
        assert!(soon(&other).await.is_none(), "the first one is on the board again");
        drop(second);
    }
    drop(held);
}

/// The usual case, one process and a free thread, beside operations that take a millisecond at least.
#[tokio::test]
async fn a_free_thread_costs_little() {
    let (_folder, home) = home_with(4);
    let threads = seat(&home).task(None);
    drop(threads.permit().await);
    let began = Instant::now();
    for _ in 0..1_000 {
        drop(threads.permit().await);
    }
    let each = began.elapsed() / 1_000;
    println!("a permit taken and given back: {each:?}");
    assert!(each < Duration::from_millis(1), "{each:?}");
}
