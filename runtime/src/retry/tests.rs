//! The table, the schedule of waits, and what a service asks.

use http::HeaderValue;
use proptest::prelude::*;

use super::*;

const fn status(code: u16) -> Outcome {
    Outcome::Status { code, retry_after: None }
}

const fn asking(code: u16, seconds: u64) -> Outcome {
    Outcome::Status { code, retry_after: Some(Duration::from_secs(seconds)) }
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// What `outcomes` lead to, one after the other, when chance always gives the most.
fn verdicts(retries: u32, replay: Replay, outcomes: &[Outcome]) -> (Vec<Verdict>, bool) {
    let mut attempts = Attempts::new(Budget::new(retries, ELAPSED_MAX_DEFAULT), replay);
    let verdicts =
        outcomes.iter().map(|outcome| attempts.note(*outcome, Duration::ZERO, &mut || u64::MAX)).collect();
    (verdicts, attempts.maybe_applied())
}

#[test]
fn every_outcome_has_its_verdict() {
    let check = |outcome: Outcome, safe: Verdict, once: Verdict| {
        assert_eq!(verdicts(3, Replay::Safe, &[outcome]).0, [safe], "{outcome:?}, safe");
        assert_eq!(verdicts(3, Replay::Once, &[outcome]).0, [once], "{outcome:?}, once");
    };
    let again = Verdict::RetryAfter(BACKOFF_BASE);
    for code in [200, 201, 202, 204, 206, 302, 304, 400, 403, 404, 409, 410, 412, 413, 416, 423, 501, 507] {
        check(status(code), Verdict::Deliver, Verdict::Deliver);
    }
    for code in [408, 500, 502, 503, 504] {
        check(status(code), again, Verdict::Deliver);
    }
    for code in [500, 502, 504, 520] {
        check(asking(code, 7), Verdict::PauseAccount(seconds(7)), Verdict::DeliverAndPause(seconds(7)));
        check(asking(code, 0), Verdict::PauseAccount(PAUSE_MIN), Verdict::DeliverAndPause(PAUSE_MIN));
    }
    for code in [501, 505, 507] {
        check(asking(code, 7), Verdict::Deliver, Verdict::Deliver);
    }
    check(status(401), Verdict::RefreshOnce, Verdict::RefreshOnce);
    for code in [429, 503, 509] {
        let pause = Verdict::PauseAccount(seconds(7));
        check(asking(code, 7), pause, pause);
    }
    let unstated = seconds(10);
    check(status(429), Verdict::PauseAccount(unstated), Verdict::PauseAccount(unstated));
    let claimed = Verdict::PauseDestination(unstated);
    check(Outcome::Claimed(None), claimed, claimed);
    let give_up = Verdict::GiveUp;
    check(Outcome::NotReached, again, again);
    check(Outcome::MaybeReached, again, give_up(Reason::Lost));
    for (outcome, reason) in [
        (Outcome::SourceChanged, Reason::SourceChanged),
        (Outcome::Refused, Reason::Refused),
        (Outcome::TooLarge, Reason::TooLarge),
    ] {
        check(outcome, give_up(reason), give_up(reason));
    }
    // A pause longer than the operation has left.
    let throttled = give_up(Reason::Throttled(PAUSE_MAX));
    check(Outcome::Claimed(Some(seconds(u64::MAX))), throttled, throttled);
}

#[test]
fn what_may_have_been_applied_is_remembered() {
    let check = |outcomes: &[Outcome], expected: bool| {
        assert_eq!(verdicts(3, Replay::Safe, outcomes).1, expected, "{outcomes:?}");
    };
    check(&[status(200)], false);
    check(&[Outcome::NotReached, status(409)], false);
    check(&[asking(429, 1), status(409)], false);
    check(&[asking(503, 1), status(409)], false);
    check(&[status(401), status(409)], false);
    check(&[status(502), status(409)], true);
    check(&[status(503), status(409)], true);
    check(&[asking(504, 1), status(409)], true);
    check(&[asking(509, 1), status(409)], false);
    check(&[Outcome::MaybeReached, status(409)], true);
    check(&[Outcome::MaybeReached, Outcome::NotReached, asking(429, 1), status(409)], true);
}

#[test]
fn failures_spend_retries_and_pauses_do_not() {
    let check = |retries: u32, outcomes: &[Outcome], expected: &[Verdict]| {
        assert_eq!(verdicts(retries, Replay::Safe, outcomes).0, expected, "{outcomes:?}");
    };
    let wait = |count| Verdict::RetryAfter(seconds(count));
    check(0, &[Outcome::NotReached], &[Verdict::GiveUp(Reason::Unreachable)]);
    check(0, &[status(500)], &[Verdict::Deliver]);
    check(0, &[Outcome::MaybeReached], &[Verdict::GiveUp(Reason::Lost)]);
    check(2, &[status(500); 3], &[wait(1), wait(2), Verdict::Deliver]);
    let mut expected = [1, 2, 4, 8, 16, 32, 60, 60, 60, 60].map(wait).to_vec();
    expected.push(Verdict::GiveUp(Reason::Unreachable));
    check(1000, &[Outcome::NotReached; 11], &expected);
    check(
        1,
        &[asking(429, 3), asking(503, 3), status(500), asking(429, 3), status(500)],
        &[
            Verdict::PauseAccount(seconds(3)),
            Verdict::PauseAccount(seconds(3)),
            wait(1),
            Verdict::PauseAccount(seconds(3)),
            Verdict::Deliver,
        ],
    );
    check(
        0,
        &[status(429); 8],
        &[10, 20, 40, 80, 160, 300, 300, 300].map(|count| Verdict::PauseAccount(seconds(count))),
    );
    check(0, &[status(401), status(401)], &[Verdict::RefreshOnce, Verdict::Deliver]);
}

#[test]
fn a_service_that_always_asks_for_a_second_is_given_up() {
    let mut attempts = Attempts::new(Budget::default(), Replay::Safe);
    for _ in 0..PAUSES_MAX {
        let verdict = attempts.note(asking(429, 0), Duration::ZERO, &mut || 0);
        assert_eq!(verdict, Verdict::PauseAccount(PAUSE_MIN));
    }
    let verdict = attempts.note(asking(429, 0), Duration::ZERO, &mut || 0);
    assert_eq!(verdict, Verdict::GiveUp(Reason::Throttled(PAUSE_MIN)));
}

#[test]
fn what_a_connector_claims_is_clamped() {
    let check = |claimed: u64, expected: Duration| {
        let mut attempts = Attempts::new(Budget::new(3, PAUSE_MAX * 2), Replay::Safe);
        let verdict = attempts.note(Outcome::Claimed(Some(seconds(claimed))), Duration::ZERO, &mut || 0);
        assert_eq!(verdict, Verdict::PauseDestination(expected), "{claimed}");
    };
    check(0, seconds(1));
    check(17, seconds(17));
    check(3_601, seconds(3_600));
    check(u64::MAX, seconds(3_600));
}

/// Whatever comes back, and whatever chance says: it ends, in the time and the attempts there are.
#[test]
fn every_request_ends() {
    let outcomes = [
        Outcome::NotReached,
        Outcome::MaybeReached,
        status(503),
        asking(503, 1),
        asking(500, 30),
        asking(429, 0),
        status(429),
        asking(509, u64::MAX),
        Outcome::Claimed(None),
        status(401),
    ];
    let mut state = 7_u64;
    let mut random = move || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state
    };
    for _ in 0..2_000 {
        let mut attempts = Attempts::new(Budget::default(), Replay::Safe);
        let (mut elapsed, mut count) = (Duration::ZERO, 0);
        loop {
            let outcome = outcomes[usize::try_from(random() >> 33).unwrap() % outcomes.len()];
            count += 1;
            match attempts.note(outcome, elapsed, &mut random) {
                Verdict::RetryAfter(wait) | Verdict::PauseAccount(wait) | Verdict::PauseDestination(wait) => {
                    elapsed += wait;
                }
                Verdict::RefreshOnce => {}
                Verdict::Deliver | Verdict::DeliverAndPause(_) | Verdict::GiveUp(_) => break,
            }
            assert!(elapsed <= ELAPSED_MAX_DEFAULT);
        }
        assert!(count <= PAUSES_MAX + RETRIES_DEFAULT + 3, "{count} attempts");
    }
}

#[test]
fn nothing_begins_after_the_time_is_up() {
    let check = |outcome: Outcome, elapsed: Duration, expected: Verdict| {
        let mut attempts = Attempts::new(Budget::new(3, seconds(100)), Replay::Safe);
        assert_eq!(attempts.note(outcome, elapsed, &mut || u64::MAX), expected, "{outcome:?} {elapsed:?}");
    };
    check(asking(429, 60), seconds(40), Verdict::PauseAccount(seconds(60)));
    check(asking(429, 60), seconds(41), Verdict::GiveUp(Reason::Throttled(seconds(60))));
    check(status(500), seconds(99), Verdict::RetryAfter(seconds(1)));
    check(status(500), seconds(100), Verdict::Deliver);
    check(Outcome::NotReached, Duration::MAX, Verdict::GiveUp(Reason::Unreachable));
}

#[test]
fn waits_are_shares_of_a_doubling_bound() {
    let check = |random: u64, expected: [u64; 4]| {
        let waits = [0, 1, 2, 9].map(|failed| backoff(failed, &mut || random));
        assert_eq!(waits, expected.map(Duration::from_millis), "{random:x}");
    };
    check(0, [0, 0, 0, 0]);
    check(u64::MAX / 2, [500, 1000, 2000, 30_000]);
    check(u64::MAX, [1000, 2000, 4000, 60_000]);
    assert_eq!(backoff(u32::MAX, &mut || u64::MAX), BACKOFF_MAX);
    assert_eq!(unstated_pause(0, &mut || 0), UNSTATED_PAUSE_MIN);
    assert_eq!(unstated_pause(u32::MAX, &mut || u64::MAX), UNSTATED_PAUSE_MAX);
}

fn headers(pairs: &[(HeaderName, &str)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
}

#[test]
fn retry_after_is_understood_or_nothing() {
    let now = httpdate::parse_http_date("Wed, 21 Oct 2015 07:28:00 GMT").unwrap();
    let check = |values: &[&str], expected: Option<u64>| {
        let pairs: Vec<_> = values.iter().map(|value| (RETRY_AFTER, *value)).collect();
        assert_eq!(retry_after(&headers(&pairs), now), expected.map(seconds), "{values:?}");
    };
    check(&[], None);
    check(&["120"], Some(120));
    check(&[" 15 "], Some(15));
    check(&["0"], Some(1));
    check(&["-5"], Some(1));
    check(&["2.5"], Some(3));
    check(&["2.0"], Some(2));
    check(&["0.01"], Some(1));
    check(&["3600"], Some(3600));
    check(&["3601"], Some(3600));
    check(&["99999999999999999999999999"], Some(3600));
    check(&["Wed, 21 Oct 2015 07:29:30 GMT"], Some(90));
    check(&["Wednesday, 21-Oct-15 07:29:30 GMT"], Some(90));
    check(&["Wed, 21 Oct 2015 07:00:00 GMT"], Some(1));
    check(&["Fri, 31 Dec 9999 23:59:59 GMT"], Some(3600));
    check(&["5", "30", "soon"], Some(30));
    for nonsense in ["", "soon", "1e3", "+5", "--5", "5 seconds", ".5", "1.2.3", "0x10", "5,10", "inf", "٣"]
    {
        check(&[nonsense], None);
    }
}

#[test]
fn a_date_is_measured_by_the_clock_of_the_service() {
    let headers =
        headers(&[(DATE, "Wed, 21 Oct 2015 07:28:00 GMT"), (RETRY_AFTER, "Wed, 21 Oct 2015 07:28:20 GMT")]);
    assert_eq!(retry_after(&headers, SystemTime::UNIX_EPOCH), Some(seconds(20)));
}

proptest! {
    #[test]
    fn any_retry_after_is_none_or_within_bounds(values in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 0..3)) {
        check_bounds(values.iter().filter_map(|value| HeaderValue::from_bytes(value).ok()))?;
    }

    #[test]
    fn any_number_is_within_bounds(text in "-?[0-9]{1,40}(\\.[0-9]{0,40})?") {
        let headers = headers(&[(RETRY_AFTER, &text)]);
        let wait = retry_after(&headers, SystemTime::UNIX_EPOCH).unwrap();
        prop_assert!((PAUSE_MIN..=PAUSE_MAX).contains(&wait));
    }

    #[test]
    fn any_share_is_within_its_bound(milliseconds in 0..u64::from(u32::MAX), random: u64) {
        let bound = Duration::from_millis(milliseconds);
        prop_assert!(below(bound, random) <= bound);
    }
}

fn check_bounds(values: impl Iterator<Item = HeaderValue>) -> Result<(), TestCaseError> {
    let mut headers = HeaderMap::new();
    values.for_each(|value| {
        headers.append(RETRY_AFTER, value);
    });
    if let Some(wait) = retry_after(&headers, SystemTime::UNIX_EPOCH) {
        prop_assert!((PAUSE_MIN..=PAUSE_MAX).contains(&wait));
    }
    Ok(())
}
