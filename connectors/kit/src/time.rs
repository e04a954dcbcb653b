//! Moments as services write them: ISO 8601 in UTC, before 1970 too.
//!
//! The days are counted by the proleptic Gregorian calendar, by Howard Hinnant's `days_from_civil`
//! (<https://howardhinnant.github.io/date_algorithms.html>), for the years 0000 to 9999.

use crate::Datetime;

const SECONDS_PER_DAY: i64 = 86_400;
const NANOSECONDS_PER_MILLISECOND: u32 = 1_000_000;
/// An era is 400 years, after which the calendar repeats.
const DAYS_PER_ERA: i64 = 146_097;
/// Days from 0000-03-01 to 1970-01-01. Years count from March here, so a leap day comes last.
const DAYS_TO_1970: i64 = 719_468;
/// 0000-01-01T00:00:00Z and 9999-12-31T23:59:59Z: what four digits of a year can say.
const SECONDS_MIN: i64 = -62_167_219_200;
const SECONDS_MAX: i64 = 253_402_300_799;

/// Read `2024-02-29T12:34:56.789Z`; an offset such as `+02:00` may stand for the `Z`.
#[must_use]
pub fn parse(text: &str) -> Option<Datetime> {
    let (date, clock) = text.split_once(['T', 't'])?;
    let mut date = date.split('-').map(number);
    let (year, month, day) = (date.next()??, date.next()??, date.next()??);
    let (clock, zone_seconds) = split_zone(clock)?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut clock = clock.split(':').map(number);
    let (hour, minute, second) = (clock.next()??, clock.next()??, clock.next()??);
    let fits = (0..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in_month(year, month)).contains(&day)
        && hour <= 23
        && minute <= 59
        // A leap second is the next minute's first to everyone who counts from 1970.
        && second <= 60
        && date.next().is_none()
        && clock.next().is_none();
    if !fits {
        return None;
    }
    let of_day = hour * 3600 + minute * 60 + second;
    let seconds = days_from_civil(year, month, day) * SECONDS_PER_DAY + of_day - zone_seconds;
    Some(Datetime { seconds, nanoseconds: nanoseconds(fraction)? })
}

/// Write `2024-02-29T12:34:56Z`, whole seconds, rounded towards the past; none outside the years
/// 0000 to 9999.
#[must_use]
pub fn format(moment: &Datetime) -> Option<String> {
    if !(SECONDS_MIN..=SECONDS_MAX).contains(&moment.seconds) {
        return None;
    }
    let (year, month, day) = civil_from_days(moment.seconds.div_euclid(SECONDS_PER_DAY));
    let of_day = moment.seconds.rem_euclid(SECONDS_PER_DAY);
    let (hour, minute, second) = (of_day / 3600, of_day / 60 % 60, of_day % 60);
    Some(format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z"))
}

/// As [`format`], with milliseconds where there are such: for a time that the service gave and is to keep.
#[must_use]
pub fn format_fine(moment: &Datetime) -> Option<String> {
    let whole = format(moment)?;
    match moment.nanoseconds / NANOSECONDS_PER_MILLISECOND {
        0 => Some(whole),
        milliseconds => Some(format!("{}.{milliseconds:03}Z", whole.trim_end_matches('Z'))),
    }
}

/// Are they the same moment, as far as a service that keeps whole seconds can tell?
#[must_use]
pub const fn is_same_second(one: &Datetime, other: &Datetime) -> bool {
    one.seconds.abs_diff(other.seconds) <= 1
}

fn number(digits: &str) -> Option<i64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

/// The clock and how many seconds its zone is ahead of UTC.
fn split_zone(text: &str) -> Option<(&str, i64)> {
    if let Some(clock) = text.strip_suffix(['Z', 'z']) {
        return Some((clock, 0));
    }
    let (clock, zone) = text.split_at_checked(text.rfind(['+', '-'])?)?;
    let (sign, zone) = zone.split_at_checked(1)?;
    let (hours, minutes) = zone.split_once(':')?;
    let seconds = number(hours)? * 3600 + number(minutes)? * 60;
    let fits = seconds < SECONDS_PER_DAY;
    fits.then_some((clock, if sign == "-" { -seconds } else { seconds }))
}

/// The first nine digits of a fraction; more are finer than the contract.
fn nanoseconds(fraction: &str) -> Option<u32> {
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nine: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    nine.parse().ok()
}

const fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

const fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * DAYS_PER_ERA + day_of_era - DAYS_TO_1970
}

const fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let days = days + DAYS_TO_1970;
    let era = days.div_euclid(DAYS_PER_ERA);
    let day_of_era = days.rem_euclid(DAYS_PER_ERA);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, seconds: i64, nanoseconds: u32) {
        assert_eq!(parse(text), Some(Datetime { seconds, nanoseconds }), "{text}");
    }

    #[test]
    fn moments_are_read() {
        check("1970-01-01T00:00:00Z", 0, 0);
        check("2015-05-12T15:50:38Z", 1_431_445_838, 0);
        check("2024-02-29T23:59:59.789Z", 1_709_251_199, 789_000_000);
        check("2024-02-29T23:59:59.1234567891Z", 1_709_251_199, 123_456_789);
        check("1969-12-31T23:59:58.5Z", -2, 500_000_000);
        check("1601-01-01T00:00:00Z", -11_644_473_600, 0);
        check("0000-01-01T00:00:00Z", SECONDS_MIN, 0);
        check("9999-12-31T23:59:59Z", SECONDS_MAX, 0);
        check("2016-12-31T23:59:60Z", 1_483_228_800, 0);
        check("2020-01-01T02:00:00+02:00", 1_577_836_800, 0);
        check("2019-12-31T19:30:00.25-04:30", 1_577_836_800, 250_000_000);
        check("2020-01-01t00:00:00z", 1_577_836_800, 0);
    }

    #[test]
    fn what_is_not_a_moment_is_none() {
        let wrong = [
            "",
            "2020-01-01",
            "2020-01-01T00:00:00",
            "2020-13-01T00:00:00Z",
            "2020-00-01T00:00:00Z",
            "2023-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2020-01-01T24:00:00Z",
            "2020-01-01T00:60:00Z",
            "2020-01-01T00:00:61Z",
            "2020-01-01T00:00Z",
            "2020-01-01T00:00:00:00Z",
            "2020-01-01-01T00:00:00Z",
            "-2020-01-01T00:00:00Z",
            "2020-01-01T00:00:00.x Z",
            "2020-01-01T00:00:00+99:00",
            "2020-01-01T+0:00:00Z",
            "12020-01-01T00:00:00Z",
            "é2020-01-01T00:00:00Z",
        ];
        for text in wrong {
            assert_eq!(parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        // Every 11 days and a bit, so that each day of a leap cycle and each hour comes up.
        for step in 0..=331_000 {
            let seconds = SECONDS_MIN + step * 953_351;
            let moment = Datetime { seconds, nanoseconds: 999_999_999 };
            let text = format(&moment).unwrap();
            assert_eq!(parse(&text).map(|read| read.seconds), Some(seconds), "{text}");
        }
    }

    #[test]
    fn years_of_five_digits_are_not_written() {
        for seconds in [SECONDS_MIN - 1, SECONDS_MAX + 1, i64::MIN, i64::MAX] {
            assert_eq!(format(&Datetime { seconds, nanoseconds: 0 }), None);
        }
    }

    #[test]
    fn milliseconds_are_written_where_there_are_some() {
        let check = |seconds: i64, nanoseconds: u32, expected: &str| {
            assert_eq!(format_fine(&Datetime { seconds, nanoseconds }).as_deref(), Some(expected));
        };
        check(1_431_445_838, 250_000_000, "2015-05-12T15:50:38.250Z");
        check(1_431_445_838, 7_999_999, "2015-05-12T15:50:38.007Z");
        check(1_431_445_838, 999_999, "2015-05-12T15:50:38Z");
        check(-1, 500_000_000, "1969-12-31T23:59:59.500Z");
    }
}
