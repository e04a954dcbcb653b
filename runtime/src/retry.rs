//! Whether to send again: one table for every request.
//!
//! What decides is whether the request may have reached the service, whether it may be replayed, and
//! what the service asked. Failures of the way there count against the destination's `retries`; a
//! pause that the service asks for stops the whole account, spends the operation's elapsed time and
//! no retries. Nothing here waits, sends or rolls dice: time and randomness are arguments.

pub mod circuit;

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
    /// The connector gets the reply, and the account pauses for this long.
    DeliverAndPause(Duration),
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
            Meaning::DeliverAndPause(asked) => Verdict::DeliverAndPause(clamp(asked)),
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
            Meaning::Pause { asked, maybe_applied, verdict } => {
                let pause = asked.map_or_else(|| unstated_pause(self.pauses, random), clamp);
                self.pauses += 1;
                if self.pauses > PAUSES_MAX || !self.has_time(elapsed, pause) {
                    return Verdict::GiveUp(Reason::Throttled(pause));
                }
                self.maybe_applied |= maybe_applied;
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
    DeliverAndPause(Duration),
    Refresh,
    Stop(Reason),
    Again { maybe_applied: bool, at_last: Verdict },
    Pause { asked: Option<Duration>, maybe_applied: bool, verdict: fn(Duration) -> Verdict },
}

/// The table. A 5xx may come from a front end behind which the request was carried out, so it is
/// sent again only if that is safe, and remembered. A 429, a 509 (OneDrive's limit of bandwidth) and a
/// 503 that names a time are refusals by the service itself: the request had no effect. Any other 5xx
/// that names a time is obeyed too, and may have been carried out all the same; but what no waiting
/// mends (not implemented, another HTTP, no room) is not tried again because of it.
fn meaning(outcome: Outcome, replay: Replay) -> Meaning {
    match (outcome, replay) {
        (Outcome::Status { code, retry_after }, replay) => match (code, retry_after, replay) {
            (401, _, _) => Meaning::Refresh,
            (429 | 509, asked, _) | (503, asked @ Some(_), _) => {
                Meaning::Pause { asked, maybe_applied: false, verdict: Verdict::PauseAccount }
            }
            (501 | 505 | 507, _, _) => Meaning::Deliver,
            (500..=599, asked @ Some(_), Replay::Safe) => {
                Meaning::Pause { asked, maybe_applied: true, verdict: Verdict::PauseAccount }
            }
            (500..=599, Some(asked), Replay::Once) => Meaning::DeliverAndPause(asked),
            (408 | 500 | 502 | 503 | 504, _, Replay::Safe) => {
                Meaning::Again { maybe_applied: true, at_last: Verdict::Deliver }
            }
            (_, _, Replay::Safe | Replay::Once) => Meaning::Deliver,
        },
        (Outcome::Claimed(asked), Replay::Safe | Replay::Once) => {
            Meaning::Pause { asked, maybe_applied: false, verdict: Verdict::PauseDestination }
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
    if !headers.contains_key(RETRY_AFTER) {
        return None;
    }
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
mod tests;
