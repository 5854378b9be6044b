//! Points in time, as RFC 3339 writes them.

use std::fmt;
use std::str::FromStr;

/// Whole seconds since 1970-01-01T00:00:00Z, leap seconds not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

/// The text is no time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a time: expected one like 2026-08-01T12:00:00Z")]
pub struct ParseTimeError {
    /// What was read, cut to 100 characters.
    pub text: String,
}

const DAY: i64 = 86_400;

/// Reads `YYYY-MM-DDThh:mm:ss`, an optional fraction (cut off: the second that has begun counts), then `Z` or
/// `+hh:mm` or `-hh:mm`. Second 60 and lower-case letters are refused, as Go does.
impl FromStr for Time {
    type Err = ParseTimeError;

    fn from_str(text: &str) -> Result<Self, ParseTimeError> {
        parse(text.as_bytes()).ok_or_else(|| ParseTimeError { text: text.chars().take(100).collect() })
    }
}

fn parse(text: &[u8]) -> Option<Time> {
    let (fields, mut rest) = text.split_at_checked(19)?;
    let separators = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if !separators.iter().all(|&(at, byte)| fields[at] == byte) {
        return None;
    }
    let [year, month, day] = [number(&fields[..4])?, number(&fields[5..7])?, number(&fields[8..10])?];
    let clock =
        clock(&fields[11..13], &fields[14..16])? + number(&fields[17..]).filter(|&second| second < 60)?;
    if !(1..=12).contains(&month) || !(1..=days_in(year, month)).contains(&day) {
        return None;
    }
    if let [b'.', fraction @ ..] = rest {
        let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
        rest = (digits > 0).then(|| &fraction[digits..])?;
    }
    let offset = match rest {
        b"Z" => 0,
        [sign @ (b'+' | b'-'), hour @ .., b':', tens, ones] if hour.len() == 2 => {
            let ahead = self::clock(hour, &[*tens, *ones])?;
            if *sign == b'+' { ahead } else { -ahead }
        }
        _ => return None,
    };
    let time = days(year, month, day) * DAY + clock - offset;
    // What a writer can't write in the same form is no time.
    (days(0, 1, 1) * DAY..days(10_000, 1, 1) * DAY).contains(&time).then_some(Time(time))
}

fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0, |sum, digit| digit.is_ascii_digit().then(|| sum * 10 + i64::from(digit - b'0')))
}

/// Seconds since midnight.
fn clock(hour: &[u8], minute: &[u8]) -> Option<i64> {
    let (hour, minute) = (number(hour)?, number(minute)?);
    (hour < 24 && minute < 60).then_some(hour * 3600 + minute * 60)
}

fn days_in(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date of the Gregorian calendar. Years begin in March here, so that the leap day
/// is the last one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let in_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let leap = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap + in_year - 719_468
}

/// The date that `days` gives a number.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, in_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let in_era_year = (in_era - in_era / 1460 + in_era / 36_524 - in_era / 146_096) / 365;
    let in_year = in_era - (365 * in_era_year + in_era_year / 4 - in_era_year / 100);
    let shifted = (5 * in_year + 2) / 153;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = era * 400 + in_era_year + i64::from(month <= 2);
    (year, month, in_year - (153 * shifted + 2) / 5 + 1)
}

/// `YYYY-MM-DDThh:mm:ssZ`
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0.div_euclid(DAY));
        let clock = self.0.rem_euclid(DAY);
        let (hour, minute, second) = (clock / 3600, clock / 60 % 60, clock % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_writes() {
        for (text, seconds, canonical) in [
            ("1970-01-01T00:00:00Z", 0, "1970-01-01T00:00:00Z"),
            ("2000-01-01T00:00:00Z", 946_684_800, "2000-01-01T00:00:00Z"),
            ("2024-02-29T23:59:59.999999999Z", 1_709_251_199, "2024-02-29T23:59:59Z"),
            ("2026-08-01T01:30:00.5+02:00", 1_785_540_600, "2026-07-31T23:30:00Z"),
            ("1969-12-31T23:59:59.5-00:00", -1, "1969-12-31T23:59:59Z"),
            ("0000-01-01T00:00:00Z", -62_167_219_200, "0000-01-01T00:00:00Z"),
            ("0001-01-01T00:00:00Z", -62_135_596_800, "0001-01-01T00:00:00Z"),
            ("9999-12-31T23:59:59Z", 253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(text.parse(), Ok(Time(seconds)), "{text}");
            assert_eq!(Time(seconds).to_string(), canonical);
        }
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "2000-01-01",
            "2000-01-01T00:00:00",
            "2000-01-01t00:00:00z",
            "2001-02-29T00:00:00Z",
            "2000-13-01T00:00:00Z",
            "2000-01-01T24:00:00Z",
            "2000-01-01T00:00:60Z",
            "2000-01-01T00:00:00.Z",
            "2000-01-01T00:00:00+0200",
            "2000-01-01T00:00:00+02:60",
            "2000-01-01T00:00:00+é:00",
            "+200-01-01T00:00:00Z",
            "2000-01-01T00:00:00Z ",
            "0000-01-01T00:00:00+00:01",
            "9999-12-31T23:59:59-00:01",
        ] {
            assert!(text.parse::<Time>().is_err(), "{text}");
        }
    }

    #[test]
    fn every_day_and_back() {
        for day in -800_000..3_000_000 {
            let (year, month, of_month) = date(day);
            assert_eq!(days(year, month, of_month), day);
        }
    }
}
