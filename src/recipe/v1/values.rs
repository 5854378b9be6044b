//! What a recipe's words come to: numbers, times, owners, ports, places. Words that mean nothing are refused.

use std::ops::{Range, RangeInclusive};

use crate::recipe::entry::{Id, Owner};
use crate::recipe::patch::Selector;
use crate::recipe::words::{self, ensure, invalid};
use crate::recipe::{ErrorKind, What};

impl Owner {
    /// Reads `name`, `name:group`, `1000:1000` and mixtures.
    ///
    /// # Errors
    /// When it is none of these.
    pub fn parse(text: &str) -> Result<Self, ErrorKind> {
        let id = |part: &str| {
            if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) {
                // 2^32 - 1 is "leave it" to chown(2).
                return part.parse().ok().filter(|id| *id != u32::MAX).map(Id::Number);
            }
            let good = part.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_')
                && part.chars().all(|char| char.is_ascii_alphanumeric() || "_-.$".contains(char));
            good.then(|| Id::Name(part.to_owned()))
        };
        let fail = || invalid(What::Owner, text);
        let (user, group) = text.split_once(':').map_or((text, None), |(user, group)| (user, Some(group)));
        let group = group.map(|group| id(group).ok_or_else(fail)).transpose()?;
        Ok(Self { user: id(user).ok_or_else(fail)?, group })
    }
}

/// A name that useradd would take, and that [`Owner::parse`] reads.
pub(in crate::recipe) fn login(name: &str) -> Result<(), ErrorKind> {
    let good = matches!(Owner::parse(name), Ok(Owner { user: Id::Name(_), group: None }));
    ensure(good && name.len() <= 32, What::Login, name)
}

/// Both marks around a name, a space between them.
pub(in crate::recipe) fn delimiters(text: &str) -> Result<(String, String), ErrorKind> {
    let parts: Vec<_> = text.split(' ').collect();
    match parts.as_slice() {
        // They are looked for at every byte.
        [open, close] if (1..=32).contains(&open.len()) && (1..=32).contains(&close.len()) => {
            Ok(((*open).to_owned(), (*close).to_owned()))
        }
        _ => Err(invalid(What::Delimiters, text)),
    }
}

/// `path`, `path:tag` or `path@sha256:…`: the normalised path, relative to the workspace, and what is meant in it.
///
/// # Errors
/// When it is none of these, or the path climbs out of the workspace.
pub fn layout_place(text: &str) -> Result<(String, Option<Selector>), ErrorKind> {
    let fail = || invalid(What::Layout, text);
    let (path, selector) = if let Some((path, digest)) = text.split_once('@') {
        (path, Some(Selector::Digest(digest.parse().map_err(|_| fail())?)))
    } else if let Some((path, tag)) = text.split_once(':') {
        words::tag(tag).map_err(|_| fail())?;
        (path, Some(Selector::Tag(tag.to_owned())))
    } else {
        (text, None)
    };
    let path = super::beside(path)?;
    // The workspace itself is none.
    if path.is_empty() { Err(fail()) } else { Ok((path, selector)) }
}

/// `8080` or `8080/udp`; ports of the image, normalised to have a protocol.
pub(in crate::recipe) fn port(text: &str) -> Result<String, ErrorKind> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let plain = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
    let good = plain && number.parse::<u16>().is_ok() && matches!(protocol, "tcp" | "udp" | "sctp");
    ensure(good, What::Port, text).map(|()| format!("{number}/{protocol}"))
}

/// `10s`, `1m30s`, `500ms`: nanoseconds, as Docker's configuration has them.
pub(in crate::recipe) fn duration(text: &str) -> Result<u64, ErrorKind> {
    let total = nanoseconds(text).filter(|total| (1..=i64::MAX as u64).contains(total));
    total.ok_or_else(|| invalid(What::Duration, text))
}

/// The same of any length, even none at all.
pub fn nanoseconds(text: &str) -> Option<u64> {
    let (mut rest, mut total) = (text, 0_u64);
    while !rest.is_empty() {
        let (digits, behind) = rest.split_at(rest.find(|char: char| !char.is_ascii_digit())?);
        let units =
            [("ms", 1_000_000), ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000)];
        let (unit, times) = units.into_iter().find(|(unit, _)| behind.starts_with(unit))?;
        total = total.checked_add(digits.parse::<u64>().ok()?.checked_mul(times)?)?;
        rest = &behind[unit.len()..];
    }
    (!text.is_empty()).then_some(total)
}

/// Of an entry or an image: from 1990-01-01, before which archives and browsers misbehave, to 2242-03-16, the last second
/// that eleven octal digits of a tar header can say.
pub(in crate::recipe) const TIMES: RangeInclusive<i64> = 631_152_000..=0o77_777_777_777;

/// Seconds since 1970 of an RFC 3339 time without fraction.
pub(in crate::recipe) fn time(text: &str) -> Option<i64> {
    let number = |range: Range<usize>| -> Option<i64> {
        let digits = text.get(range)?;
        digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok())?
    };
    let is = |index: usize, chars: &str| text.get(index..=index).is_some_and(|char| chars.contains(char));
    if !(is(4, "-") && is(7, "-") && is(10, "Tt ") && is(13, ":") && is(16, ":")) {
        return None;
    }
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = [31, 28 + i64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let longest = *days.get(usize::try_from(month).ok()?.checked_sub(1)?)?;
    if !(1..=longest).contains(&day) || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let offset = match text.get(19..)? {
        "Z" | "z" => 0,
        zone if zone.len() == 6 && is(19, "+-") && is(22, ":") => {
            let (hours, minutes) = (number(20..22)?, number(23..25)?);
            if hours > 23 || minutes > 59 {
                return None;
            }
            (if is(19, "-") { -1 } else { 1 }) * (hours * 3600 + minutes * 60)
        }
        _ => return None,
    };
    // Days since 1970, the year taken to begin in March.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day = year * 365 + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * month + 2) / 5
        + day
        - 719_469;
    Some(day * 86_400 + hour * 3600 + minute * 60 + second - offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times() {
        for (text, want) in [
            ("1970-01-01T00:00:00Z", Some(0)),
            ("2000-01-01T00:00:00Z", Some(946_684_800)),
            ("2000-02-29 12:00:00+01:30", Some(951_820_200)),
            ("2026-11-21t08:09:10-05:00", Some(1_795_266_550)),
            ("2100-02-29T00:00:00Z", None),
            ("2000-13-01T00:00:00Z", None),
            ("2000-01-01T24:00:00Z", None),
            ("2000-01-01T00:00:00", None),
            ("2000-01-01T00:00:00.5Z", None),
            ("2000-01-01", None),
            ("é000-01-01T00:00:00Z", None),
            ("+000-01-01T00:00:00Z", None),
        ] {
            assert_eq!(time(text), want, "{text}");
        }
    }

    #[test]
    fn durations() {
        for (text, want) in [
            ("10s", Some(10_000_000_000)),
            ("1m30s", Some(90_000_000_000)),
            ("500ms", Some(500_000_000)),
            ("", None),
            ("0s", None),
            ("10", None),
            ("s", None),
            ("1d", None),
            ("99999999999999h", None),
        ] {
            assert_eq!(duration(text).ok(), want, "{text}");
        }
    }
}
