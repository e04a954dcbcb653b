//! Throttling by resource units, and the block that follows when nobody listens.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use http::header::HeaderName;
use jiff::Timestamp;

use super::Failure;
use super::switches::Throttle;
use crate::clock;
use crate::reply::Reply;
use crate::sync::lock;

/// The length of a budget's window.
const WINDOW_SECONDS: u64 = 60;
/// From this share of the budget on, the headers show.
const SHOWN_FROM_PERCENT: u64 = 80;

/// What every account has spent.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    accounts: Mutex<HashMap<String, Spent>>,
}

#[derive(Clone, Copy, Debug)]
struct Spent {
    since: Timestamp,
    units: u64,
    early: u64,
    blocked_until: Option<Timestamp>,
}

/// What the meter says to one request.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reading {
    limit: u64,
    left: u64,
    reset: u64,
    shown: bool,
}

impl Meter {
    /// Counts a request, and refuses it when the budget is spent or the account is blocked.
    pub(crate) fn take(
        &self,
        rules: &Throttle,
        account: &str,
        kind: &str,
        too_early: bool,
        now: Timestamp,
    ) -> Result<Reading, Box<Reply>> {
        if rules.units_per_minute == 0 && rules.block_after == 0 {
            return Ok(Reading::default());
        }
        let mut accounts = lock(&self.accounts);
        let spent = accounts.entry(account.to_owned()).or_insert(Spent {
            since: now,
            units: 0,
            early: 0,
            blocked_until: None,
        });
        spent.early += u64::from(too_early);
        if rules.block_after > 0 && spent.early >= rules.block_after {
            spent.early = 0;
            let until = clock::later(now, Duration::from_secs(rules.block_seconds));
            spent.blocked_until = Some(until);
        }
        if let Some(until) = spent.blocked_until.filter(|until| now < *until) {
            return Err(Box::new(blocked(seconds_to(now, until))));
        }
        let end = clock::later(spent.since, Duration::from_secs(WINDOW_SECONDS));
        if now >= end {
            spent.since = now;
            spent.units = 0;
        }
        // A refused request counts as well: hammering does not help.
        spent.units += cost(kind);
        let reset = seconds_to(now, clock::later(spent.since, Duration::from_secs(WINDOW_SECONDS)));
        let limit = rules.units_per_minute;
        if limit > 0 && spent.units > limit {
            return Err(Box::new(refused(rules, reset)));
        }
        Ok(Reading {
            limit,
            left: limit.saturating_sub(spent.units),
            reset,
            shown: rules.headers && spent.units * 100 >= limit * SHOWN_FROM_PERCENT,
        })
    }

    /// Forgets what was spent.
    pub(crate) fn clear(&self) {
        lock(&self.accounts).clear();
    }
}

impl Reading {
    /// Adds the headers to an answer, near the end of the budget.
    pub(crate) fn show(self, reply: Reply) -> Reply {
        if !self.shown || self.limit == 0 {
            return reply;
        }
        let name = HeaderName::from_static;
        reply
            .header(name("ratelimit-limit"), self.limit.to_string())
            .header(name("ratelimit-remaining"), self.left.to_string())
            .header(name("ratelimit-reset"), self.reset.to_string())
    }
}

fn refused(rules: &Throttle, reset: u64) -> Reply {
    let failure = Failure::new(429, "TooManyRequests", "Please retry again later.").inner("429");
    let seconds = match rules.retry_after_seconds {
        0 => reset,
        seconds => seconds,
    };
    match rules.silent {
        true => failure.reply(false),
        false => failure.retry_after(seconds).reply(false),
    }
}

fn blocked(seconds: u64) -> Reply {
    Failure::new(503, "serviceNotAvailable", "The account is blocked for now")
        .retry_after(seconds)
        .reply(false)
}

fn seconds_to(now: Timestamp, until: Timestamp) -> u64 {
    let left = until.as_second() - now.as_second();
    u64::try_from(left).unwrap_or_default().max(1)
}

/// Resource units of a request, by the published table.
fn cost(kind: &str) -> u64 {
    match kind {
        "onedrive.item"
        | "onedrive.content"
        | "onedrive.download"
        | "onedrive.drive"
        | "onedrive.monitor"
        | "onedrive.session-status" => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_beyond_the_budget_and_blocks_who_does_not_listen() {
        let meter = Meter::default();
        let rules = Throttle { units_per_minute: 5, block_after: 2, ..Throttle::default() };
        let now = Timestamp::now();
        let take = |early, at| meter.take(&rules, "a", "onedrive.children", early, at);
        assert!(!take(false, now).unwrap().shown);
        assert!(take(false, now).unwrap().shown);
        assert_eq!(take(false, now).unwrap_err().status.as_u16(), 429);
        assert_eq!(take(true, now).unwrap_err().status.as_u16(), 429);
        assert_eq!(take(true, now).unwrap_err().status.as_u16(), 503);
        let later = clock::later(now, Duration::from_secs(61));
        assert!(take(false, later).is_ok());
    }
}
