//! Whether to send again: one table for every request.
//!
//! What decides is whether the request may have reached the service, whether it may be replayed, and
//! what the service asked. Failures of the way there count against the destination's `retries`; a
//! pause that the service asks for stops the whole account, spends the operation's elapsed time and
//! no retries. Nothing here waits, sends or rolls dice: time and randomness are arguments.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::{DATE, HeaderName, RETRY_AFTER};

use crate::manifest::Replay;

/// Retries of one request, unless the destination says otherwise.
pub const RETRIES_DEFAULT: u32 = 3;
/// Most retries that a destination may ask for: with [`BACKOFF_MAX`] between them that is ten
/// minutes of a service that does not answer, and an operator should hear of it by then.
pub const RETRIES_MAX: u32 = 10;
/// Time for one operation with all its pauses, unless the destination says otherwise. Services ask
/// for pauses of up to 5 minutes at a time; after 30 the backup's own schedule is the better retry.
pub const ELAPSED_MAX_DEFAULT: Duration = Duration::from_secs(30 * 60);

/// First wait after a failure is anything up to this. A reset connection is usually fine at once, and
/// a restarting front end within seconds.
pub const BACKOFF_BASE: Duration = Duration::from_secs(1);
/// No wait after a failure is longer: beyond a minute the wait costs more than the failed try.
pub const BACKOFF_MAX: Duration = Duration::from_secs(60);

/// Least pause that a service can ask for. `0` and dates that have passed are common, and obeying
/// them to the letter turns a throttled client into a storm.
pub const PAUSE_MIN: Duration = Duration::from_secs(1);
/// Longest pause that a service can ask for: the longest seen from either is 3600 seconds, and more
/// is a mistake or a mischief.
pub const PAUSE_MAX: Duration = Duration::from_secs(60 * 60);
/// Least pause when a service throttles without saying for how long. Throttled requests count
/// towards the limit, so this is longer than a retry's.
pub const UNSTATED_PAUSE_MIN: Duration = Duration::from_secs(5);
/// Longest pause when a service throttles without saying for how long: what OneDrive and Dropbox say
/// when they do is rarely more.
pub const UNSTATED_PAUSE_MAX: Duration = Duration::from_secs(5 * 60);
/// Pauses of one request: a service that asks for a second each time gets this many requests out of
/// us and no more, whatever the elapsed time.
pub const PAUSES_MAX: u32 = 100;

/// How often and how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Attempts that may fail, the first included: `retries + 1`.
    pub attempts_max: u32,
    /// Time from the operation's start after which no further attempt begins.
    pub elapsed_max: Duration,
}

impl Budget {
    /// A budget of `retries` (at most [`RETRIES_MAX`]) beyond the first attempt.
    #[must_use]
    pub fn new(retries: u32, elapsed_max: Duration) -> Self {
        Self { attempts_max: retries.min(RETRIES_MAX) + 1, elapsed_max }
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::new(RETRIES_DEFAULT, ELAPSED_MAX_DEFAULT)
    }
}

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The service replied.
    Status {
        /// The status.
        code: u16,
        /// How long it asked us to wait; see [`retry_after`].
        retry_after: Option<Duration>,
    },
    /// The connector saw throttling where the host cannot, in a 409 or in an entry of a 200. How
    /// long the service asked to wait, if it did.
    Claimed(Option<Duration>),
    /// The request certainly had no effect: nobody was reached.
    NotReached,
    /// The request may have had its effect, and the reply is not known.
    MaybeReached,
    /// The source changed while it was sent.
    SourceChanged,
    /// Our own side refused to send it.
    Refused,
    /// The reply is longer than what was asked for.
    TooLarge,
}

/// What an attempt's outcome means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The connector gets the reply.
    Deliver,
    /// Send again after this long.
    RetryAfter(Duration),
    /// Send again once the account's pause, at least this long from now, is over.
    PauseAccount(Duration),
    /// Try again once the destination's pause, at least this long from now, is over.
    PauseDestination(Duration),
    /// Send again with a fresh token.
    RefreshOnce,
    /// The connector gets a failure.
    GiveUp(Reason),
}

/// Why there is no further attempt, and no reply to deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Reason {
    /// Nobody was reached, in as many attempts as there are.
    #[error("the service could not be reached")]
    Unreachable,
    /// The request may have had its effect.
    #[error("the request was sent and no reply came")]
    Lost,
    /// The service wants a longer pause than the operation has left. The account (or, when the
    /// connector claims it, the destination) pauses all the same, for this long.
    #[error("the service asks for a pause of {} seconds, more than is left", .0.as_secs())]
    Throttled(Duration),
    /// The source changed while it was sent.
    #[error("the source changed, or could not be read, while it was sent")]
    SourceChanged,
    /// Our own side refused to send it.
    #[error("the request was refused")]
    Refused,
    /// The reply is longer than what was asked for.
    #[error("the reply is too long")]
    TooLarge,
}

/// The attempts of one request.
#[derive(Debug, Clone)]
pub struct Attempts {
    budget: Budget,
    replay: Replay,
    failed: u32,
    pauses: u32,
    refreshed: bool,
    maybe_applied: bool,
}

impl Attempts {
    /// Before the first.
    #[must_use]
    pub const fn new(budget: Budget, replay: Replay) -> Self {
        Self { budget, replay, failed: 0, pauses: 0, refreshed: false, maybe_applied: false }
    }

    /// May an attempt before the one that is delivered have had its effect?
    #[must_use]
    pub const fn maybe_applied(&self) -> bool {
        self.maybe_applied
    }

    /// Note how an attempt ended, `elapsed` after the operation began. `random` gives any number
    /// with equal likelihood.
    pub fn note(&mut self, outcome: Outcome, elapsed: Duration, random: &mut dyn FnMut() -> u64) -> Verdict {
        match meaning(outcome, self.replay) {
            Meaning::Deliver => Verdict::Deliver,
            Meaning::Refresh if self.refreshed => Verdict::Deliver,
            Meaning::Refresh => {
                self.refreshed = true;
                Verdict::RefreshOnce
            }
            Meaning::Stop(reason) => Verdict::GiveUp(reason),
            Meaning::Again { maybe_applied, at_last } => {
                self.failed += 1;
                let wait = backoff(self.failed - 1, random);
                if self.failed >= self.budget.attempts_max || !self.has_time(elapsed, wait) {
                    return at_last;
                }
                self.maybe_applied |= maybe_applied;
                Verdict::RetryAfter(wait)
            }
            Meaning::Pause { asked, verdict } => {
                let pause = asked.map_or_else(|| unstated_pause(self.pauses, random), clamp);
                self.pauses += 1;
                if self.pauses > PAUSES_MAX || !self.has_time(elapsed, pause) {
                    return Verdict::GiveUp(Reason::Throttled(pause));
                }
                verdict(pause)
            }
        }
    }

    fn has_time(&self, elapsed: Duration, wait: Duration) -> bool {
        elapsed.saturating_add(wait) <= self.budget.elapsed_max
    }
}

/// What an outcome means, before anybody counts.
enum Meaning {
    Deliver,
    Refresh,
    Stop(Reason),
    Again { maybe_applied: bool, at_last: Verdict },
    Pause { asked: Option<Duration>, verdict: fn(Duration) -> Verdict },
}

/// The table. A 5xx may come from a front end behind which the request was carried out, so it is
/// sent again only if that is safe, and remembered. A 429, a 509 (OneDrive's limit of bandwidth) and a
/// 503 that names a time are refusals by the service itself: the request had no effect.
fn meaning(outcome: Outcome, replay: Replay) -> Meaning {
    match (outcome, replay) {
        (Outcome::Status { code, retry_after }, replay) => match (code, retry_after, replay) {
            (401, _, _) => Meaning::Refresh,
            (429 | 509, asked, _) | (503, asked @ Some(_), _) => {
                Meaning::Pause { asked, verdict: Verdict::PauseAccount }
            }
            (408 | 500 | 502 | 503 | 504, _, Replay::Safe) => {
                Meaning::Again { maybe_applied: true, at_last: Verdict::Deliver }
            }
            (_, _, Replay::Safe | Replay::Once) => Meaning::Deliver,
        },
        (Outcome::Claimed(asked), Replay::Safe | Replay::Once) => {
            Meaning::Pause { asked, verdict: Verdict::PauseDestination }
        }
        (Outcome::NotReached, Replay::Safe | Replay::Once) => {
            Meaning::Again { maybe_applied: false, at_last: Verdict::GiveUp(Reason::Unreachable) }
        }
        (Outcome::MaybeReached, Replay::Safe) => {
            Meaning::Again { maybe_applied: true, at_last: Verdict::GiveUp(Reason::Lost) }
        }
        (Outcome::MaybeReached, Replay::Once) => Meaning::Stop(Reason::Lost),
        (Outcome::SourceChanged, Replay::Safe | Replay::Once) => Meaning::Stop(Reason::SourceChanged),
        (Outcome::Refused, Replay::Safe | Replay::Once) => Meaning::Stop(Reason::Refused),
        (Outcome::TooLarge, Replay::Safe | Replay::Once) => Meaning::Stop(Reason::TooLarge),
    }
}

/// A pause that somebody asked for, between [`PAUSE_MIN`] and [`PAUSE_MAX`].
#[must_use]
pub fn clamp(asked: Duration) -> Duration {
    asked.clamp(PAUSE_MIN, PAUSE_MAX)
}

/// How long a reply asks us to wait, between [`PAUSE_MIN`] and [`PAUSE_MAX`]; none when it does not
/// say, or says nothing that can be understood.
///
/// Seconds or a date ([RFC 9110, section 10.2.3](https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3));
/// beyond it, fractions are rounded up and negative seconds are none. A date is measured against the
/// reply's own `Date`, so a clock of ours that is wrong does no harm; `now` serves replies without
/// one. Of several headers the longest counts.
#[must_use]
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let texts = |name: HeaderName| headers.get_all(name).iter().filter_map(|value| value.to_str().ok());
    let served = texts(DATE).find_map(|text| httpdate::parse_http_date(text).ok()).unwrap_or(now);
    texts(RETRY_AFTER)
        .filter_map(|text| seconds(text.trim()).or_else(|| until(text.trim(), served)))
        .max()
        .map(clamp)
}

fn until(text: &str, served: SystemTime) -> Option<Duration> {
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(served).unwrap_or_default())
}

fn seconds(text: &str) -> Option<Duration> {
    let (negative, digits) = text.strip_prefix('-').map_or((false, text), |digits| (true, digits));
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
        return None;
    }
    if negative {
        return Some(Duration::ZERO);
    }
    // Only too many digits can fail here.
    let whole: u64 = whole.parse().unwrap_or(u64::MAX);
    let started = u64::from(fraction.bytes().any(|digit| digit != b'0'));
    Some(Duration::from_secs(whole.saturating_add(started)))
}

/// Wait after `failed` earlier failures: anything up to a bound that doubles ("full jitter"), so that
/// many who failed together do not come back together.
fn backoff(failed: u32, random: &mut dyn FnMut() -> u64) -> Duration {
    below(doubled(BACKOFF_BASE, failed, BACKOFF_MAX), random())
}

/// Pause when the service does not say: the least one and anything up to a bound that doubles.
fn unstated_pause(earlier: u32, random: &mut dyn FnMut() -> u64) -> Duration {
    let bound = doubled(UNSTATED_PAUSE_MIN, earlier.saturating_add(1), UNSTATED_PAUSE_MAX);
    UNSTATED_PAUSE_MIN + below(bound.saturating_sub(UNSTATED_PAUSE_MIN), random())
}

/// `base`, doubled `times` over, at most `bound`.
fn doubled(base: Duration, times: u32, bound: Duration) -> Duration {
    2_u32.checked_pow(times).and_then(|factor| base.checked_mul(factor)).unwrap_or(bound).min(bound)
}

/// A share of `bound`, as large as `random` is of all numbers. In whole milliseconds.
fn below(bound: Duration, random: u64) -> Duration {
    let share = ((bound.as_millis() + 1) * u128::from(random)) >> 64;
    Duration::from_millis(u64::try_from(share).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
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
        let verdicts = outcomes
            .iter()
            .map(|outcome| attempts.note(*outcome, Duration::ZERO, &mut || u64::MAX))
            .collect();
        (verdicts, attempts.maybe_applied())
    }

    #[test]
    fn every_outcome_has_its_verdict() {
        let check = |outcome: Outcome, safe: Verdict, once: Verdict| {
            assert_eq!(verdicts(3, Replay::Safe, &[outcome]).0, [safe], "{outcome:?}, safe");
            assert_eq!(verdicts(3, Replay::Once, &[outcome]).0, [once], "{outcome:?}, once");
        };
        let again = Verdict::RetryAfter(BACKOFF_BASE);
        for code in [200, 201, 202, 204, 206, 302, 304, 400, 403, 404, 409, 410, 412, 413, 416, 423, 501, 507]
        {
            check(status(code), Verdict::Deliver, Verdict::Deliver);
        }
        for code in [408, 500, 502, 503, 504] {
            check(status(code), again, Verdict::Deliver);
        }
        check(asking(500, 7), again, Verdict::Deliver);
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
    fn nothing_begins_after_the_time_is_up() {
        let check = |outcome: Outcome, elapsed: Duration, expected: Verdict| {
            let mut attempts = Attempts::new(Budget::new(3, seconds(100)), Replay::Safe);
            assert_eq!(
                attempts.note(outcome, elapsed, &mut || u64::MAX),
                expected,
                "{outcome:?} {elapsed:?}"
            );
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
        for nonsense in
            ["", "soon", "1e3", "+5", "--5", "5 seconds", ".5", "1.2.3", "0x10", "5,10", "inf", "٣"]
        {
            check(&[nonsense], None);
        }
    }

    #[test]
    fn a_date_is_measured_by_the_clock_of_the_service() {
        let headers = headers(&[
            (DATE, "Wed, 21 Oct 2015 07:28:00 GMT"),
            (RETRY_AFTER, "Wed, 21 Oct 2015 07:28:20 GMT"),
        ]);
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
}
