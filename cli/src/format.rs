//! Numbers and times as people read them.

use std::time::Duration;

use indicatif::HumanBytes;
use jiff::Timestamp;

/// A size: `1.21 GiB`.
pub(crate) fn bytes(bytes: u64) -> String {
    HumanBytes(bytes).to_string()
}

/// How many of what: `1 file`, `2 files`.
pub(crate) fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// A time span: `6.9 s`, `2 min 5 s`, `3 h 2 min`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match seconds {
        0..60 => format!("{:.1} s", duration.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A speed: `35.1 MiB/s`.
pub(crate) fn speed(moved: u64, during: Duration) -> String {
    let milliseconds = during.as_millis().max(1);
    let per_second = u128::from(moved).saturating_mul(1000) / milliseconds;
    format!("{}/s", bytes(u64::try_from(per_second).unwrap_or(u64::MAX)))
}

/// A moment, to the second, in UTC.
pub(crate) fn moment(moment: Timestamp) -> String {
    format!("{moment:.0}")
}

/// A moment of the system's clock.
pub(crate) fn timestamp(time: std::time::SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(bytes(1536), "1.50 KiB");
        assert_eq!(count(1, "file"), "1 file");
        assert_eq!(count(0, "file"), "0 files");
        assert_eq!(duration(Duration::from_millis(6_940)), "6.9 s");
        assert_eq!(duration(Duration::from_secs(125)), "2 min 5 s");
        assert_eq!(duration(Duration::from_secs(10_920)), "3 h 2 min");
        assert_eq!(speed(3 * 1024 * 1024, Duration::from_secs(2)), "1.50 MiB/s");
        assert_eq!(speed(0, Duration::ZERO), "0 B/s");
        assert_eq!(moment(Timestamp::UNIX_EPOCH), "1970-01-01T00:00:00Z");
    }
}
