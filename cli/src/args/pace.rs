//! How fast: the options that a destination and a single copy have in common.

use std::str::FromStr;

use clap::{Args, value_parser};
use wharf_runtime::destination::TASKS_MAX;
use wharf_runtime::rate::{Bandwidth, Chosen, REQUESTS_PER_SECOND_MAX, Rates};

/// How fast.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Pace {
    /// Transfers of the destination at a time on this machine, at most 100; others wait [0: any number]
    #[arg(long, value_name = "N", value_parser = value_parser!(u16).range(0..=i64::from(TASKS_MAX)))]
    pub(crate) tasks: Option<u16>,
    /// Most bytes of files a second: 10M both ways, 10M:1M up and down, or `off`
    #[arg(long, value_name = "UP:DOWN")]
    pub(crate) bwlimit: Option<BandwidthLimit>,
    /// Most requests a second; 0 for any number
    #[arg(long, value_name = "N",
          value_parser = value_parser!(u32).range(0..=i64::from(REQUESTS_PER_SECOND_MAX)))]
    pub(crate) tpslimit: Option<u32>,
}

impl Pace {
    /// For one run: what is said here counts instead of what the destination says.
    pub(crate) fn chosen(&self) -> Chosen {
        Chosen {
            bandwidth: self.bwlimit.map(|limit| (limit.up, limit.down)),
            requests: self.tpslimit.map(requests),
        }
    }

    /// For a destination.
    pub(crate) fn rates(&self) -> Rates {
        let BandwidthLimit { up, down } = self.bwlimit.unwrap_or_default();
        Rates { up, down, requests: self.tpslimit.and_then(requests) }
    }

    /// For a destination that has rates: what is said here instead, and the rest as it is.
    pub(crate) fn over(&self, rates: Rates) -> Rates {
        let BandwidthLimit { up, down } =
            self.bwlimit.unwrap_or(BandwidthLimit { up: rates.up, down: rates.down });
        Rates { up, down, requests: self.tpslimit.map_or(rates.requests, requests) }
    }

    /// Is any of it said?
    pub(crate) const fn is_said(&self) -> bool {
        self.tasks.is_some() || self.bwlimit.is_some() || self.tpslimit.is_some()
    }
}

fn requests(number: u32) -> Option<u32> {
    (number > 0).then_some(number)
}

/// `10M`, `10M:1M`, `off` or `off:1M`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct BandwidthLimit {
    up: Option<Bandwidth>,
    down: Option<Bandwidth>,
}

impl FromStr for BandwidthLimit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let one = |text: &str| if text == "off" { Ok(None) } else { text.parse().map(Some) };
        let (up, down) = text.split_once(':').unwrap_or((text, text));
        Ok(Self { up: one(up)?, down: one(down)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ways_or_each() {
        let check = |text: &str, up: Option<&str>, down: Option<&str>| {
            let rate = |text: &str| text.parse::<Bandwidth>().unwrap();
            assert_eq!(text.parse(), Ok(BandwidthLimit { up: up.map(rate), down: down.map(rate) }), "{text}");
        };
        check("10M", Some("10M"), Some("10M"));
        check("10M:1M", Some("10M"), Some("1M"));
        check("off:512K", None, Some("512K"));
        check("off", None, None);
        for wrong in ["", "10", "10M:", "10M:1M:1M", "08:00,512K", "1K"] {
            assert!(wrong.parse::<BandwidthLimit>().is_err(), "{wrong}");
        }
    }
}
