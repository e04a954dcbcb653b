//! The pause that all processes share; figures.

use super::*;

#[tokio::test]
async fn a_pause_is_seen_by_all_and_only_grows() {
    let scene = scene();
    scene.add(3600);
    let endpoint = Endpoint::replying([]);
    let (one, other) = (scene.open(&endpoint), scene.open(&endpoint));
    let now = scene.clock.now();
    assert_eq!(other.paused_until(), None);
    one.pause(now + Duration::from_secs(30));
    assert_eq!(other.paused_until(), Some(now + Duration::from_secs(30)));
    other.pause(now + Duration::from_secs(10));
    assert_eq!(one.paused_until(), Some(now + Duration::from_secs(30)));
    // Never shorter than it was asked for, not by the part of a millisecond.
    let odd = now + Duration::from_nanos(40_000_000_001);
    other.pause(odd);
    assert!(one.paused_until().is_some_and(|until| until >= odd && until < odd + Duration::from_millis(1)));
    // As long as a service may ask for, and no longer.
    other.pause(now + Duration::from_hours(1000));
    assert_eq!(one.paused_until(), Some(now + PAUSE_MAX));
    scene.clock.advance(PAUSE_MAX);
    assert_eq!(one.paused_until(), None);
    // Damage is no pause.
    scene.home.accounts().write("work.pause", &[0xff; 8]).unwrap();
    let damaged = scene.open(&endpoint);
    assert_eq!(damaged.paused_until(), None);
    let now = scene.clock.now();
    damaged.pause(now + Duration::from_secs(5));
    assert_eq!(damaged.paused_until(), Some(now + Duration::from_secs(5)));
    scene.home.accounts().write("work.pause", &[1, 2]).unwrap();
    assert_eq!(scene.open(&endpoint).paused_until(), None);
}

#[tokio::test]
async fn waiting_obeys_a_pause_that_grows_and_gives_up_early() {
    #[derive(Debug)]
    struct Growing(Arc<Manual>, Account, Mutex<u32>);
    impl Clock for Growing {
        fn now(&self) -> SystemTime {
            self.0.now()
        }
        fn elapsed(&self) -> Duration {
            self.0.elapsed()
        }
        fn sleep(&self, duration: Duration) -> BoxFuture<'static, ()> {
            let mut sleeps = self.2.lock().unwrap();
            *sleeps += 1;
            if *sleeps == 3 {
                self.1.pause(self.0.now() + Duration::from_secs(20));
            }
            self.0.sleep(duration)
        }
    }
    let scene = scene();
    scene.add(3600);
    let account = scene.open(&Endpoint::replying([]));
    let other = scene.open(&Endpoint::replying([]));
    account.pause(scene.clock.now() + Duration::from_secs(5));
    let clock = Growing(Arc::clone(&scene.clock), other, Mutex::default());
    let waited = account.wait_for_pause(&clock, Duration::from_mins(1)).await.unwrap();
    assert_eq!(waited, Duration::from_secs(22));
    account.pause(scene.clock.now() + Duration::from_secs(50));
    let before = clock.elapsed();
    let error = account.wait_for_pause(&clock, Duration::from_mins(1)).await.unwrap_err();
    assert_eq!(error.remaining, Duration::from_secs(50));
    assert_eq!(clock.elapsed(), before, "no time is lost on a pause that is too long");
}
