//! How fast: bytes a second each way, and requests a second.
//!
//! A limiter is one moment: when the next of its kind may begin. Who wants something moves that moment
//! on by what it costs, and waits until it was. The rates are the destination's, for the machine: each
//! process that has an operation in flight takes an equal share. Nothing here waits or looks at a clock.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::clock::Clock;
use crate::threads::Threads;

/// Least bandwidth, in bytes a second: with less, a service gives up on a connection between two blocks
/// of it.
pub const BANDWIDTH_MIN: u64 = 64 * 1024;
/// Most that makes sense to write down, in bytes a second.
pub const BANDWIDTH_MAX: u64 = 1024 * 1024 * 1024 * 1024;
/// Most requests a second: none of the services takes a tenth of it.
pub const REQUESTS_PER_SECOND_MAX: u32 = 10_000;

/// What was not used for so long may be used at once: blocks come in bursts, and without it a line
/// that is limited would always be a little slower than its limit.
const BANDWIDTH_BURST: Duration = Duration::from_millis(250);

/// A long wait is made of slices, so that whoever watches a connection sees that it is meant.
const HOLD_SLICE: Duration = Duration::from_secs(20);

/// Bytes a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Bandwidth(u64);

impl Bandwidth {
    /// From bytes a second.
    ///
    /// # Errors
    /// A sentence, when it is out of its bounds.
    pub fn new(bytes_per_second: u64) -> Result<Self, String> {
        if (BANDWIDTH_MIN..=BANDWIDTH_MAX).contains(&bytes_per_second) {
            Ok(Self(bytes_per_second))
        } else {
            Err(format!(
                "{bytes_per_second} bytes a second; it must be from {} to {}, or `off`",
                Self(BANDWIDTH_MIN),
                Self(BANDWIDTH_MAX)
            ))
        }
    }

    /// Bytes a second.
    #[must_use]
    pub const fn bytes_per_second(self) -> u64 {
        self.0
    }
}

const UNITS: [(&str, u64); 5] = [("B", 0), ("K", 10), ("M", 20), ("G", 30), ("T", 40)];

impl FromStr for Bandwidth {
    type Err = String;

    /// As rclone spells it: `10M` is 10 MiB a second. A number without a unit is refused: to rclone it
    /// would be KiB, to others bytes.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong =
            || format!("{text:?} is no bandwidth; expected a number and a unit, as in `512K` or `10M`");
        let split = text.find(|character: char| character.is_ascii_alphabetic()).ok_or_else(wrong)?;
        let (number, unit) = text.split_at(split);
        let unit = unit.strip_suffix("iB").unwrap_or(unit);
        let shift = UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).ok_or_else(wrong)?.1;
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 13 || fraction.len() > 3 || !digits(whole) || !digits(fraction) {
            return Err(wrong());
        }
        let thousandths: u64 = format!("{whole}{fraction:0<3}").parse().map_err(|_| wrong())?;
        let bytes = (u128::from(thousandths) << shift) / 1000;
        Self::new(u64::try_from(bytes).map_err(|_| wrong())?)
    }
}

impl fmt::Display for Bandwidth {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fits = |shift: &u64| self.0.is_multiple_of(1 << shift);
        let (unit, shift) = UNITS.into_iter().rev().find(|(_, shift)| fits(shift)).unwrap_or(("B", 0));
        write!(formatter, "{}{unit}", self.0 >> shift)
    }
}

/// What a destination is limited to; none for no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rates {
    /// Bytes of files that are stored.
    pub up: Option<Bandwidth>,
    /// Bytes of files that are read.
    pub down: Option<Bandwidth>,
    /// Requests a second.
    pub requests: Option<u32>,
}

impl Rates {
    /// No limit at all.
    pub const NONE: Self = Self { up: None, down: None, requests: None };
}

/// What is chosen for one run instead of what the destination says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Chosen {
    /// Bandwidth up and down.
    pub bandwidth: Option<(Option<Bandwidth>, Option<Bandwidth>)>,
    /// Requests a second.
    pub requests: Option<Option<u32>>,
}

/// When the next may begin.
#[derive(Debug, Default)]
pub(crate) struct Limiter {
    next: Mutex<Duration>,
}

impl Limiter {
    /// How long to wait before `amount` at `per_second`, unless that is longer than `patience`: then it
    /// is given back, as an error. What was not used for up to `burst` may be used now.
    fn reserve(
        &self,
        now: Duration,
        amount: u64,
        per_second: u64,
        burst: Duration,
        patience: Duration,
    ) -> Result<Duration, Duration> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let begins = (*next).max(now.saturating_sub(burst));
        let wait = begins.saturating_sub(now);
        if wait > patience {
            return Err(wait);
        }
        let cost = u128::from(amount) * 1_000_000_000 / u128::from(per_second.max(1));
        *next = begins.saturating_add(Duration::from_nanos(u64::try_from(cost).unwrap_or(u64::MAX)));
        Ok(wait)
    }
}

/// What a process has used of a destination's rates.
#[derive(Debug, Default)]
pub(crate) struct Limiters {
    up: Limiter,
    down: Limiter,
    requests: Limiter,
}

/// The rates of a destination, as one task is bound by them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Flow {
    threads: Threads,
    chosen: Chosen,
    clock: Arc<dyn Clock>,
}

/// A wait, or none.
pub type Hold = Option<BoxFuture<'static, ()>>;

impl Flow {
    /// The rates of the destination whose threads these are.
    #[must_use]
    pub const fn new(threads: Threads, chosen: Chosen, clock: Arc<dyn Clock>) -> Self {
        Self { threads, chosen, clock }
    }

    /// What is in force at this moment.
    #[must_use]
    pub fn rates(&self) -> Rates {
        let rates = self.threads.rates();
        let (up, down) = self.chosen.bandwidth.unwrap_or((rates.up, rates.down));
        Rates { up, down, requests: self.chosen.requests.unwrap_or(rates.requests) }
    }

    /// Before a request; one that would have to wait for longer than `patience` is not to be made.
    ///
    /// # Errors
    /// How long it would have to wait.
    pub fn request(&self, patience: Duration) -> Result<Hold, Duration> {
        let Some(rate) = self.rates().requests else { return Ok(None) };
        let (limiter, burst) = (&self.threads.limiters().requests, Duration::ZERO);
        // Shares of a few requests a second are no whole numbers, so each is made to cost more instead.
        limiter
            .reserve(self.clock.elapsed(), self.processes(), rate.into(), burst, patience)
            .map(|wait| self.hold(wait))
    }

    /// Before bytes of a file are sent.
    #[must_use]
    pub fn up(&self, bytes: u64) -> Hold {
        self.bytes(&self.threads.limiters().up, self.rates().up?, bytes)
    }

    /// After bytes of a file have arrived.
    #[must_use]
    pub fn down(&self, bytes: u64) -> Hold {
        self.bytes(&self.threads.limiters().down, self.rates().down?, bytes)
    }

    fn bytes(&self, limiter: &Limiter, rate: Bandwidth, bytes: u64) -> Hold {
        let cost = bytes.saturating_mul(self.processes());
        let (now, burst) = (self.clock.elapsed(), BANDWIDTH_BURST);
        let wait = limiter.reserve(now, cost, rate.bytes_per_second(), burst, Duration::MAX);
        self.hold(wait.unwrap_or_default())
    }

    fn processes(&self) -> u64 {
        u64::try_from(self.threads.processes()).unwrap_or(1)
    }

    fn hold(&self, wait: Duration) -> Hold {
        let clock = Arc::clone(&self.clock);
        let sleep = async move {
            let mut left = wait;
            while !left.is_zero() {
                let slice = left.min(HOLD_SLICE);
                clock.sleep(slice).await;
                left -= slice;
            }
        };
        (!wait.is_zero()).then(|| -> BoxFuture<'static, ()> { Box::pin(sleep) })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn bandwidths_are_spelt_as_rclone_does() {
        let check = |text: &str, bytes: u64, shown: &str| {
            let parsed: Bandwidth = text.parse().unwrap();
            assert_eq!((parsed.bytes_per_second(), parsed.to_string().as_str()), (bytes, shown), "{text}");
            assert_eq!(shown.parse(), Ok(parsed));
        };
        check("10M", 10 << 20, "10M");
        check("512k", 512 << 10, "512K");
        check("1.5G", 3 << 29, "1536M");
        check("100000B", 100_000, "100000B");
        check("10MiB", 10 << 20, "10M");
        for wrong in
            ["", "10", "M", "-1M", "10X", "1.2345M", "1e3M", "10 M", "off", "1K", "2T", "9999999999999T"]
        {
            assert!(wrong.parse::<Bandwidth>().is_err(), "{wrong}");
        }
        assert_eq!(
            "10K".parse::<Bandwidth>().unwrap_err(),
            "10240 bytes a second; it must be from 64K to 1T, or `off`"
        );
    }

    #[test]
    fn what_was_not_used_is_lost_but_for_a_burst() {
        let limiter = Limiter::default();
        let second = Duration::from_secs(1);
        let reserve =
            |now: Duration, amount| limiter.reserve(now, amount, 100, second / 4, Duration::MAX).unwrap();
        let start = second * 100;
        assert_eq!(reserve(start, 100), Duration::ZERO);
        assert_eq!(reserve(start, 50), second * 3 / 4, "a quarter was saved up");
        assert_eq!(reserve(start, 1), second * 5 / 4);
        assert_eq!(reserve(start + second * 60, 100), Duration::ZERO);
        assert_eq!(reserve(start + second * 60, 100), second * 3 / 4, "no more than a quarter is saved up");
        let impatient = limiter.reserve(start + second * 60, 100, 100, second / 4, second);
        assert_eq!(impatient, Err(second * 7 / 4));
        assert_eq!(reserve(start + second * 60, 1), second * 7 / 4, "what was not taken costs nothing");
    }

    proptest! {
        /// Whoever comes whenever: within any time no more than the rate goes through, and the first block.
        #[test]
        fn no_more_than_the_rate_goes_through(
            rate in 1_u64..1_000_000,
            steps in prop::collection::vec((0_u64..2_000, 1_u64..300_000), 1..60),
        ) {
            let limiter = Limiter::default();
            let burst = Duration::from_millis(250);
            let (mut now, mut through, mut last) = (Duration::from_secs(9), 0_u64, Duration::ZERO);
            let began = now;
            for (pause_ms, amount) in steps {
                now += Duration::from_millis(pause_ms);
                let begins = now + limiter.reserve(now, amount, rate, burst, Duration::MAX).unwrap();
                prop_assert!(begins >= last, "first come, first served");
                let allowed = (begins - began + burst).as_nanos() * u128::from(rate) / 1_000_000_000;
                prop_assert!(u128::from(through) <= allowed + 1, "{through} of {allowed}");
                (through, last) = (through + amount, begins);
            }
        }
    }
}
