//! Whether a service answers at all.
//!
//! Each request that fails is sent again by itself; when nothing else comes back for a while, hundreds
//! of files would fail one after the other against a service that is down. Then the circuit opens:
//! requests wait, one at a time goes out to try, and the first that is answered lets all others go on.
//! An answer is any reply that the service means: a refusal is one, a 502 is not. Nothing here waits, or
//! looks at a clock.

use std::time::Duration;

use super::{Outcome, below};

/// So many requests must have failed since the last answer. More than one request with the usual
/// retries makes, so that one that cannot be carried out does not stop the others.
pub const FAILURES_MIN: u32 = 8;
/// For so long nothing must have been answered: a front end that restarts takes a second or two.
pub const SILENCE_MIN: Duration = Duration::from_secs(3);
/// First wait before somebody tries. An outage that ends within it costs no more than this.
pub const TRY_AFTER: Duration = Duration::from_secs(30);
/// Longest wait between two tries; it doubles up to this. An outage of hours costs some dozens of them.
pub const TRY_AFTER_MAX: Duration = Duration::from_secs(4 * 60);

/// Does a service answer?
#[derive(Debug, Default)]
pub struct Circuit {
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It answers, or failed so often since the first failure at that time.
    Closed { failures: u32, since: Duration },
    /// It does not, since that time. Nobody tries before `until`.
    Open { since: Duration, until: Duration, tries: u32 },
    /// Somebody tries.
    Trying { since: Duration, tries: u32 },
}

impl Default for State {
    fn default() -> Self {
        Self::Closed { failures: 0, since: Duration::ZERO }
    }
}

/// May a request be sent?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pass {
    /// As any other.
    Go,
    /// To try whether there is an answer. It must end with [`Circuit::note`] or [`Circuit::give_back`].
    Try,
    /// Not yet; ask again after this long.
    Wait(Duration),
}

/// What has changed, to be told once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Nothing is answered since then; somebody tries after this long.
    Opened {
        /// When the first request failed.
        since: Duration,
        /// How long nobody tries.
        wait: Duration,
    },
    /// There are answers again.
    Closed {
        /// When the first request failed.
        since: Duration,
    },
}

/// While somebody tries, how soon to ask whether that is over.
const ASK_AGAIN: Duration = Duration::from_millis(100);

impl Circuit {
    /// Before a request, at that time of the clock.
    pub fn pass(&mut self, now: Duration) -> Pass {
        match self.state {
            State::Closed { .. } => Pass::Go,
            State::Open { until, .. } if now < until => Pass::Wait(until.saturating_sub(now)),
            State::Open { since, tries, .. } => {
                self.state = State::Trying { since, tries };
                Pass::Try
            }
            State::Trying { .. } => Pass::Wait(ASK_AGAIN),
        }
    }

    /// Since when nothing is answered, if so.
    #[must_use]
    pub const fn since(&self) -> Option<Duration> {
        match self.state {
            State::Closed { .. } => None,
            State::Open { since, .. } | State::Trying { since, .. } => Some(since),
        }
    }

    /// How a request ended that was let through as `pass`. `random` gives any number with equal
    /// likelihood: machines that share a service should not all try at the same moment.
    pub fn note(
        &mut self,
        pass: Pass,
        outcome: Outcome,
        now: Duration,
        random: &mut dyn FnMut() -> u64,
    ) -> Option<Change> {
        match (answered(outcome), self.state) {
            (None, State::Closed { .. } | State::Open { .. }) => None,
            (None, State::Trying { .. }) => {
                self.give_back(pass, now);
                None
            }
            (Some(true), State::Closed { .. }) => {
                self.state = State::default();
                None
            }
            (Some(true), State::Open { since, .. } | State::Trying { since, .. }) => {
                self.state = State::default();
                Some(Change::Closed { since })
            }
            (Some(false), State::Closed { failures, since }) => {
                let since = if failures == 0 { now } else { since };
                let failures = failures.saturating_add(1);
                self.state = State::Closed { failures, since };
                if failures < FAILURES_MIN || now.saturating_sub(since) < SILENCE_MIN {
                    return None;
                }
                let wait = TRY_AFTER;
                self.state = State::Open { since, until: now.saturating_add(wait), tries: 0 };
                Some(Change::Opened { since, wait })
            }
            // One that was under way when it opened.
            (Some(false), State::Open { .. }) => None,
            (Some(false), State::Trying { since, tries }) => {
                if pass == Pass::Try {
                    let tries = tries.saturating_add(1);
                    let until = now.saturating_add(wait_after(tries, random));
                    self.state = State::Open { since, until, tries };
                }
                None
            }
        }
    }

    /// A request that was to try came to no end: somebody else may.
    pub fn give_back(&mut self, pass: Pass, now: Duration) {
        if let (Pass::Try, State::Trying { since, tries }) = (pass, self.state) {
            self.state = State::Open { since, until: now, tries };
        }
    }
}

/// Twice as long each time, a quarter of it by chance.
fn wait_after(tries: u32, random: &mut dyn FnMut() -> u64) -> Duration {
    let bound = super::doubled(TRY_AFTER, tries, TRY_AFTER_MAX);
    bound - bound / 4 + below(bound / 4, random())
}

/// Is this an answer of the service? None when it was not asked at all.
const fn answered(outcome: Outcome) -> Option<bool> {
    match outcome {
        // With a time to come back it is a service that can speak for itself.
        Outcome::Status { code: 500 | 502 | 503 | 504, retry_after: None } => Some(false),
        Outcome::Status { .. } | Outcome::Claimed(_) | Outcome::TooLarge => Some(true),
        Outcome::NotReached | Outcome::MaybeReached => Some(false),
        Outcome::SourceChanged | Outcome::Refused => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const FINE: Outcome = Outcome::Status { code: 200, retry_after: None };
    const DOWN: Outcome = Outcome::Status { code: 503, retry_after: None };

    fn fail(circuit: &mut Circuit, times: u32, now: Duration) -> Option<Change> {
        (0..times).filter_map(|_| circuit.note(Pass::Go, Outcome::NotReached, now, &mut || 0)).last()
    }

    #[test]
    fn it_opens_once_lets_one_try_and_closes_again() {
        let mut circuit = Circuit::default();
        let began = SECOND * 100;
        assert_eq!(fail(&mut circuit, 7, began), None);
        let opened = fail(&mut circuit, 1, began + SILENCE_MIN);
        assert_eq!(opened, Some(Change::Opened { since: began, wait: TRY_AFTER }));
        let open = began + SILENCE_MIN;
        assert_eq!(fail(&mut circuit, 5, open + SECOND), None, "it is said once");
        assert_eq!(circuit.pass(open + SECOND), Pass::Wait(TRY_AFTER - SECOND));
        let due = open + TRY_AFTER;
        assert_eq!(circuit.pass(due), Pass::Try);
        assert_eq!(circuit.pass(due), Pass::Wait(ASK_AGAIN), "one at a time");
        assert_eq!(circuit.note(Pass::Go, DOWN, due, &mut || 0), None, "an old one says nothing of the try");
        assert_eq!(circuit.pass(due), Pass::Wait(ASK_AGAIN));
        assert_eq!(circuit.note(Pass::Try, DOWN, due, &mut || u64::MAX), None);
        assert_eq!(circuit.pass(due), Pass::Wait(TRY_AFTER * 2));
        assert_eq!(circuit.pass(due + TRY_AFTER * 2), Pass::Try);
        let closed = circuit.note(Pass::Try, FINE, due + TRY_AFTER * 2, &mut || 0);
        assert_eq!(closed, Some(Change::Closed { since: began }));
        assert_eq!((circuit.pass(due + TRY_AFTER * 2), circuit.since()), (Pass::Go, None));
    }

    #[test]
    fn a_try_that_came_to_no_end_is_made_by_another() {
        let mut circuit = Circuit::default();
        fail(&mut circuit, 1, SECOND);
        fail(&mut circuit, 7, SECOND * 9);
        let due = SECOND * 9 + TRY_AFTER;
        for end in [Outcome::Refused, Outcome::SourceChanged] {
            assert_eq!(circuit.pass(due), Pass::Try);
            assert_eq!(circuit.note(Pass::Try, end, due, &mut || 0), None);
        }
        assert_eq!(circuit.pass(due), Pass::Try);
        circuit.give_back(Pass::Try, due);
        assert_eq!(circuit.pass(due), Pass::Try);
    }

    #[test]
    fn what_is_answered_or_short_opens_nothing() {
        let mut circuit = Circuit::default();
        assert_eq!(fail(&mut circuit, 100, SECOND), None, "a moment's failures, however many");
        let refused = Outcome::Status { code: 429, retry_after: None };
        let told = Outcome::Status { code: 503, retry_after: Some(SECOND) };
        for answer in [FINE, refused, told, Outcome::Status { code: 507, retry_after: None }] {
            assert_eq!(circuit.note(Pass::Go, answer, SECOND * 2, &mut || 0), None);
            assert_eq!(fail(&mut circuit, 7, SECOND * 100), None, "{answer:?} begins the count anew");
            assert_eq!(fail(&mut circuit, 1, SECOND * 100), None);
        }
    }

    #[test]
    fn tries_become_fewer() {
        let waits = |random: u64| [1, 2, 3, 4, 99].map(|tries| wait_after(tries, &mut || random).as_millis());
        assert_eq!(waits(0), [45_000, 90_000, 180_000, 180_000, 180_000]);
        assert_eq!(waits(u64::MAX), [60_000, 120_000, 240_000, 240_000, 240_000]);
    }

    proptest! {
        /// Whatever happens: never two try at once, and whoever waits is told a time that ends.
        #[test]
        fn one_tries_at_a_time(steps in prop::collection::vec((0_u64..60, 0_u8..4), 1..200)) {
            let (mut circuit, mut now, mut trying) = (Circuit::default(), SECOND, false);
            for (pause, step) in steps {
                now += SECOND * u32::try_from(pause).unwrap();
                let pass = circuit.pass(now);
                if let Pass::Wait(wait) = pass {
                    prop_assert!(wait <= TRY_AFTER_MAX && !wait.is_zero());
                }
                prop_assert!(!(trying && pass == Pass::Try), "two try");
                trying |= pass == Pass::Try;
                let ended = if trying { Pass::Try } else { Pass::Go };
                match step {
                    0 => drop(circuit.note(ended, FINE, now, &mut || 7)),
                    1 => drop(circuit.note(ended, Outcome::NotReached, now, &mut || 7)),
                    2 => circuit.give_back(ended, now),
                    _ => continue,
                }
                trying = false;
            }
        }
    }
}
