//! How long a server asks to wait (RFC 9110, 10.2.3).

use std::time::Duration;

/// What `Retry-After` says: seconds, or a time by the server's own clock, which is `Date`. Nothing where it can't be told.
pub(super) fn asked(after: Option<&str>, date: Option<&str>) -> Option<Duration> {
    let text = after?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    // What this machine's clock says may be hours off.
    let (until, now) = (seconds(text)?, seconds(date?)?);
    Some(Duration::from_secs(until.saturating_sub(now)))
}

/// The seconds of a date in any of HTTP's three ways (RFC 9110, 5.6.7), from some day on.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let words: Vec<&str> = text.split([' ', ',', '-']).filter(|word| !word.is_empty()).collect();
    let (day, month, year, time) = match words[..] {
        [_, day, month, year, time, "GMT" | "UTC"] => (day, month, year, time),
        [_, month, day, time, year] => (day, month, year, time),
        _ => return None,
    };
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let month = months.iter().position(|own| own.eq_ignore_ascii_case(month))? as u64;
    let number = |text: &str| text.parse::<u64>().ok().filter(|number| *number < 10_000);
    let (day, year) = (number(day)?, number(year)?);
    let year = if year < 100 { 2000 + year } else { year };
    let mut clock = time.splitn(3, ':').map(number);
    let mut next = || clock.next().flatten();
    let time = (next()? * 60 + next()?) * 60 + next()?;
    // The year begins in March: the day that some years have more is its last one.
    let (year, month) = if month < 2 { (year.checked_sub(1)?, month + 10) } else { (year, month - 2) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day;
    Some(days * 86_400 + time)
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn three_ways() {
        let at = seconds("Sun, 06 Nov 1994 08:49:37 GMT");
        assert!(at.is_some());
        assert_eq!(at, seconds("Sun Nov  6 08:49:37 1994"));
        // Two digits of a year mean one near now.
        assert_eq!(seconds("Tuesday, 01-Dec-26 00:00:00 GMT"), seconds("Tue, 01 Dec 2026 00:00:00 GMT"));
        for (earlier, later, apart) in [
            ("Wed, 28 Feb 2024 23:59:59 GMT", "Fri, 01 Mar 2024 00:00:00 GMT", 86_401),
            ("Tue, 28 Feb 2023 23:59:59 GMT", "Wed, 01 Mar 2023 00:00:00 GMT", 1),
            ("Sun, 31 Dec 2023 23:59:59 GMT", "Mon, 01 Jan 2024 00:00:01 GMT", 2),
            ("Thu, 01 Jan 1970 00:00:00 GMT", "Tue, 01 Dec 2026 00:00:00 GMT", 1_796_083_200),
        ] {
            assert_eq!(seconds(later).unwrap() - seconds(earlier).unwrap(), apart, "{later}");
        }
        for none in ["", "soon", "-1", "1.5", "Sun, 06 Nov 1994 08:49 GMT", "Sun, 06 Foo 1994 08:49:37 GMT"] {
            assert_eq!(seconds(none), None, "{none}");
        }
    }
}
