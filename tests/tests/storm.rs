//! A service that throttles and fails for ten minutes, and one that is down: in time that is not waited
//! for.
#![expect(clippy::unwrap_used, reason = "what cannot be set up has failed")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime};

use cloud::{Action, LogEntry, Match, Rule};
use futures_util::future::BoxFuture;
use jiff::SignedDuration;
use wharf_runtime::attached::Attached;
use wharf_runtime::clock::Clock;
use wharf_runtime::transfer::Options;
use wharf_tests::{Rig, Service, audit, down, noise, up};

/// Shorter waits are waited for: they are between processes and the like, no part of a schedule.
const SHORT: Duration = Duration::from_millis(250);
/// Nothing must have been asked of a service for so long before time is skipped.
const QUIET: Duration = Duration::from_millis(10);

/// The emulators' time. When everybody sleeps, it skips to when the first one wakes.
#[derive(Debug)]
struct Skipping {
    cloud: cloud::Clock,
    began: Instant,
    sleepers: Arc<Mutex<BTreeMap<u64, Duration>>>,
}

impl Skipping {
    fn new(cloud: &cloud::Clock) -> Arc<Self> {
        Arc::new(Self { cloud: cloud.clone(), began: Instant::now(), sleepers: Arc::default() })
    }
}

impl Clock for Skipping {
    fn now(&self) -> SystemTime {
        self.cloud.now().into()
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed() + self.cloud.ahead()
    }

    fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
        if duration < SHORT {
            return Box::pin(tokio::time::sleep(duration));
        }
        let until = self.elapsed() + duration;
        let (cloud, began, sleepers) = (self.cloud.clone(), self.began, Arc::clone(&self.sleepers));
        Box::pin(async move {
            let _guard = Awake::after(sleepers, until);
            while began.elapsed() + cloud.ahead() < until {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        })
    }
}

/// A sleeper that woke, or was dropped.
struct Awake {
    number: u64,
    sleepers: Arc<Mutex<BTreeMap<u64, Duration>>>,
}

impl Awake {
    fn after(sleepers: Arc<Mutex<BTreeMap<u64, Duration>>>, until: Duration) -> Self {
        let mut asleep = sleepers.lock().unwrap();
        let number = asleep.keys().last().map_or(0, |last| last + 1);
        asleep.insert(number, until);
        drop(asleep);
        Self { number, sleepers }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.sleepers.lock().unwrap().remove(&self.number);
    }
}

/// Skip time whenever every operation sleeps, until `work` is done.
async fn skipping<T>(rig: &Rig, clock: &Skipping, attached: &Attached, work: impl Future<Output = T>) -> T {
    let skip = async {
        let (mut seen, mut since) = (0, Instant::now());
        loop {
            tokio::time::sleep(Duration::from_millis(2)).await;
            let requests = rig.cloud.summary().requests;
            if requests != seen {
                (seen, since) = (requests, Instant::now());
            }
            let in_flight = attached.threads().limit() - attached.threads().free();
            let (asleep, first) = {
                let sleepers = clock.sleepers.lock().unwrap();
                (sleepers.len(), sleepers.values().min().copied())
            };
            if let Some(first) = first.filter(|_| since.elapsed() >= QUIET && asleep >= in_flight) {
                clock.cloud.advance(first.saturating_sub(clock.elapsed()) + Duration::from_millis(1));
                since = Instant::now();
            }
        }
    };
    tokio::select! {
        biased;
        done = work => done,
        never = skip => never,
    }
}

async fn rig() -> (Rig, Arc<Skipping>) {
    let mut rig = Rig::new().await;
    let clock = Skipping::new(rig.cloud.clock());
    let time: Arc<dyn Clock> = clock.clone();
    rig.host = rig.another_host().with_clock(time);
    (rig, clock)
}

/// No request came after a refusal that asked for silence, but for those that were on their way already: of
/// four threads three, within what a busy machine takes to send them.
fn assert_obeyed(log: &[LogEntry]) {
    const ON_ITS_WAY: SignedDuration = SignedDuration::from_millis(500);
    for (position, entry) in log.iter().enumerate().filter(|(_, entry)| entry.too_early) {
        let since = |earlier: &LogEntry| entry.time.duration_since(earlier.time);
        let first =
            log[..position].iter().rev().find(|earlier| earlier.fault.is_some() && !earlier.too_early);
        assert!(first.is_some_and(|first| since(first) < ON_ITS_WAY), "{entry:?}, after {first:?}");
        let together = log[..=position].iter().rev().take_while(|earlier| earlier.too_early).count();
        assert!(together <= 3, "{together} requests came too early: {entry:?}");
    }
}

fn refusal(service: Service, status: u16, retry_after: Option<u64>, every: u64) -> Rule {
    let headers = retry_after.map(|seconds| ("retry-after".to_owned(), seconds.to_string()));
    let action = Action::Reply {
        status,
        headers: headers.into_iter().collect(),
        body: Default::default(),
        early: false,
    };
    let matching = Match { kind: Some(format!("{}.*", service.kind())), ..Match::default() };
    Rule { name: None, matching, skip: 2, times: 0, every, action }
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_minutes_of_429_and_503_lose_no_file_and_break_no_retry_after() {
    let (rig, clock) = rig().await;
    for service in Service::ALL {
        let attached = rig.destination(service, service.kind()).await;
        let room = rig.room(service.kind());
        for number in 0..30_u32 {
            let folder = room.join(format!("{}", number % 3));
            std::fs::create_dir_all(&folder).unwrap();
            let size = if number == 7 { 17_000_000 } else { 3_000 };
            std::fs::write(folder.join(format!("{number}")), noise(number.into(), size)).unwrap();
        }
        rig.cloud.clear_log();
        for (status, retry_after, every) in
            [(429, Some(21), 4), (503, Some(34), 7), (500, Some(13), 9), (503, None, 13), (429, None, 17)]
        {
            rig.cloud.faults().add(refusal(service, status, retry_after, every));
        }
        let began = clock.elapsed();
        let options = Options::default();
        let (summary, told) =
            Box::pin(skipping(&rig, &clock, &attached, up(&attached, &room, "", &options))).await;
        let back = rig.room(&format!("{}-back", service.kind()));
        let (again, told_again) =
            skipping(&rig, &clock, &attached, down(&attached, "", &back, &options)).await;
        let storm = clock.elapsed() - began;
        rig.cloud.faults().clear();
        let told = [told.lines(), told_again.lines()].concat();
        assert_eq!((summary.files_copied, summary.files_failed), (30, 0), "{told:?}");
        assert_eq!((again.files_copied, again.files_failed), (30, 0), "{told:?}");
        wharf_tests::assert_same_tree(&room, &back);
        let log = rig.cloud.log();
        assert_obeyed(&log);
        let refused = log.iter().filter(|entry| entry.fault.is_some()).count();
        println!("{service:?}: {storm:?}, {refused} refusals");
        assert!(storm >= Duration::from_secs(600) && refused > 30, "{storm:?}, {refused} refusals");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_that_is_down_is_told_of_once_and_tried_until_it_answers() {
    let (rig, clock) = rig().await;
    let attached = rig.destination_with(Service::OneDrive, "archive", |one| one.retries = 10).await;
    let room = rig.room("room");
    for number in 0..40_u32 {
        std::fs::write(room.join(format!("{number}")), noise(number.into(), 3_000)).unwrap();
    }
    attached.make_folder(&wharf_tests::path("there")).await.unwrap();
    let matching = Match { kind: Some("onedrive.*".to_owned()), ..Match::default() };
    rig.cloud.faults().add(Rule {
        name: None,
        matching,
        skip: 6,
        times: 0,
        every: 1,
        action: Action::CutBefore,
    });
    let notices = Mutex::new(Vec::new());
    let began = clock.elapsed();
    let options = Options::default();
    let copying = up(&attached, &room, "there", &options);
    let listening = async {
        loop {
            let notice = attached.broker().notice().await;
            notices.lock().unwrap().push(notice);
        }
    };
    // It is down for two minutes.
    let mending = async {
        while clock.elapsed() - began < Duration::from_secs(120) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        rig.cloud.faults().clear();
        std::future::pending::<()>().await;
    };
    let copied = Box::pin(async {
        tokio::select! {
            biased;
            copied = copying => Some(copied),
            () = listening => None,
            () = mending => None,
        }
    });
    let (summary, told) = skipping(&rig, &clock, &attached, copied).await.unwrap();
    assert_eq!((summary.files_copied, summary.files_failed), (40, 0), "{:?}", told.lines());
    let notices = notices.into_inner().unwrap();
    let [opened, closed] = notices.as_slice() else { panic!("{notices:?}") };
    assert!(
        opened.starts_with("destination `archive`: Microsoft OneDrive does not answer since "),
        "{opened}"
    );
    assert!(opened.ends_with(" UTC; trying again in 30 s"), "{opened}");
    assert!(closed.starts_with("destination `archive`: Microsoft OneDrive answers again"), "{closed}");
    attached.settle().await.unwrap();
    let records = audit(&rig.host, "archive");
    assert_eq!(records.iter().filter(|record| record["rule"] == "circuit").count(), 1);
    // While it was open, one at a time tried: three times in two minutes, each with one request.
    let tries = records.iter().filter(|record| record["failure"].is_string()).count();
    assert!(tries < 60, "{tries} requests failed");
}
