//! From what serde read to what Cooper means: collects errors instead of stopping at the first.
//!
//! Strings that hold `{{` are checked after interpolation, by the same functions.

use std::ops::Range;
use std::sync::Arc;

use super::loose::{Loose, Scalar};
use super::span::{Locate, S};
use super::{At, Error, ErrorKind, Spanned, What};

/// One file's checks.
pub(super) struct Checker {
    pub(super) file: Arc<str>,
    /// The file's text.
    pub(super) text: Arc<str>,
    pub(super) errors: Vec<Error>,
}

impl Checker {
    pub(super) fn at(&self, range: Range<usize>) -> At {
        At { file: Arc::clone(&self.file), range }
    }

    pub(super) fn fail(&mut self, range: Range<usize>, kind: ErrorKind) {
        let at = Some(self.at(range));
        self.errors.push(Error { at, kind });
    }

    pub(super) fn keep<T: Locate>(&self, value: T) -> T::Out {
        value.locate(&self.file)
    }

    pub(super) fn scalars(&self, values: impl IntoIterator<Item = S<Scalar>>) -> Vec<Spanned<String>> {
        values.into_iter().map(|value| self.scalar(value)).collect()
    }

    pub(super) fn scalar(&self, value: S<Scalar>) -> Spanned<String> {
        Spanned { at: self.at(value.range), value: value.value.0 }
    }

    /// Checks text that needs no interpolation; other text waits for it.
    pub(super) fn literal<T>(
        &mut self,
        text: &Spanned<String>,
        check: impl FnOnce(&str) -> Result<T, ErrorKind>,
    ) {
        if !text.contains("{{")
            && let Err(kind) = check(text)
        {
            self.errors.push(Error { at: Some(text.at.clone()), kind });
        }
    }

    /// Reads text that is never interpolated.
    pub(super) fn read<T>(
        &mut self,
        text: &Spanned<String>,
        read: impl FnOnce(&str) -> Result<T, ErrorKind>,
    ) -> Option<T> {
        read(text).map_err(|kind| self.errors.push(Error { at: Some(text.at.clone()), kind })).ok()
    }

    /// The value of a key that must be there.
    pub(super) fn required<T>(
        &mut self,
        value: Option<T>,
        key: &'static str,
        section: &str,
        range: &Range<usize>,
    ) -> Option<T> {
        if value.is_none() {
            self.fail(range.clone(), ErrorKind::MissingKey { key, section: section.to_owned() });
        }
        value
    }

    /// Exactly one of keys must be there.
    pub(super) fn exactly_one(
        &mut self,
        keys: &[(&'static str, bool)],
        section: &str,
        range: &Range<usize>,
    ) -> bool {
        let found: Vec<_> = keys.iter().filter(|(_, there)| *there).map(|(key, _)| *key).collect();
        let one = found.len() == 1;
        if !one {
            let of = keys.iter().map(|(key, _)| *key).collect();
            self.fail(range.clone(), ErrorKind::ExactlyOne { section: section.to_owned(), of, found });
        }
        one
    }

    /// Keys that are there although what they depend on isn't.
    pub(super) fn needs(
        &mut self,
        keys: &[(&'static str, Option<Range<usize>>)],
        met: bool,
        needs: &[&'static str],
    ) {
        for (key, range) in keys.iter().filter(|_| !met) {
            if let Some(range) = range {
                self.fail(range.clone(), ErrorKind::Needs { key, needs: needs.to_vec() });
            }
        }
    }

    /// `true`, for keys that have no other value.
    pub(super) fn only_true(&mut self, value: &Option<S<bool>>) {
        if let Some(S { value: false, range }) = value {
            self.fail(range.clone(), invalid(What::True, "false"));
        }
    }

    /// A number in a range.
    pub(super) fn number(
        &mut self,
        value: Option<S<i64>>,
        bounds: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        let S { value, range } = value?;
        if !bounds.contains(&value) {
            self.fail(range, invalid(What::Number, &value.to_string()));
        }
        Some(value)
    }

    /// A time: RFC 3339 as text or as TOML has it, or seconds.
    pub(super) fn time(&mut self, value: S<Loose<toml::value::Datetime>>) -> Option<i64> {
        let range = value.range;
        let (seconds, written) = match value.value {
            Loose::Int(seconds) => (Some(seconds), seconds.to_string()),
            Loose::Text(text) => (seconds_of(&text), text),
            Loose::Table(datetime) => {
                let text = datetime.to_string();
                (seconds_of(&text), text)
            }
            other => {
                let expected = "a time".into();
                self.fail(range, ErrorKind::Type { expected, found: other.found() });
                return None;
            }
        };
        let seconds = seconds.filter(|seconds| (EARLIEST..=LATEST).contains(seconds));
        if seconds.is_none() {
            self.fail(range, invalid(What::Time, &written));
        }
        seconds
    }
}

pub(super) fn invalid(what: What, value: &str) -> ErrorKind {
    ErrorKind::Invalid { what, value: value.to_owned() }
}

/// `Ok` when `good`, else an [`ErrorKind::Invalid`].
pub(super) fn ensure(good: bool, what: What, value: &str) -> Result<(), ErrorKind> {
    if good { Ok(()) } else { Err(invalid(what, value)) }
}

/// A name of ours: variables, variants, inputs, jobs, layers.
pub(super) fn name(text: &str) -> Result<(), ErrorKind> {
    let good = text.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_')
        && text.len() <= 100
        && text.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-'));
    ensure(good, What::Name, text)
}

/// `stack/name`, as directories are called.
pub(super) fn recipe_name(text: &str) -> Result<(), ErrorKind> {
    let word = |word: &str| {
        !word.is_empty()
            && !word.starts_with(['.', '-'])
            && word.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.'))
    };
    let good = text.split_once('/').is_some_and(|(stack, name)| word(stack) && word(name));
    ensure(good, What::RecipeName, text)
}

/// `os/architecture` or `os/architecture/variant`.
pub(super) fn platform(text: &str) -> Result<(), ErrorKind> {
    let parts: Vec<_> = text.split('/').collect();
    let good = matches!(parts.len(), 2 | 3)
        && parts.iter().all(|part| {
            !part.is_empty()
                && part.chars().all(|char| char.is_ascii_alphanumeric() || char == '.' || char == '_')
        });
    ensure(good, What::Platform, text)
}

/// A tag as registries take it.
pub(super) fn tag(text: &str) -> Result<(), ErrorKind> {
    let good = (1..=128).contains(&text.len())
        && !text.starts_with(['.', '-'])
        && text.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.'));
    ensure(good, What::Tag, text)
}

/// Roughly a reference: `oci` reads it exactly.
pub(super) fn reference(text: &str) -> Result<(), ErrorKind> {
    let good = !text.is_empty() && text.chars().all(|char| char.is_ascii_graphic()) && !text.contains("://");
    ensure(good, What::Reference, text)
}

/// The name of an environment variable.
pub(super) fn env_name(text: &str) -> Result<(), ErrorKind> {
    let good = !text.is_empty() && !text.chars().any(|char| char == '=' || char.is_control());
    ensure(good, What::EnvName, text)
}

/// `8080` or `8080/udp`; ports of the image, normalised to have a protocol.
pub(super) fn port(text: &str) -> Result<String, ErrorKind> {
    let (number, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let plain = number.bytes().all(|byte| byte.is_ascii_digit()) && !number.starts_with('0');
    let good = plain && number.parse::<u16>().is_ok() && matches!(protocol, "tcp" | "udp" | "sctp");
    ensure(good, What::Port, text).map(|()| format!("{number}/{protocol}"))
}

/// `10s`, `1m30s`, `500ms`: nanoseconds, as Docker's configuration has them.
pub(super) fn duration(text: &str) -> Result<u64, ErrorKind> {
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

/// 1990-01-01: before it, archives and browsers misbehave.
pub(super) const EARLIEST: i64 = 631_152_000;
/// 2242-03-16: the last second that eleven octal digits of a tar header can say.
pub(super) const LATEST: i64 = 0o77_777_777_777;

/// Seconds since 1970 of an RFC 3339 time without fraction.
fn seconds_of(text: &str) -> Option<i64> {
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
            assert_eq!(seconds_of(text), want, "{text}");
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

    #[test]
    fn words() {
        for (check, good, bad) in [
            (name as fn(&str) -> _, &["a", "_x-1"][..], &["", "1a", "a.b", "é"][..]),
            (recipe_name, &["a/b", "skill-base/kafka_connect"], &["a", "a/b/c", "../b", "a/", "a/{{ x }}"]),
            (platform, &["linux/amd64", "linux/arm/v7"], &["linux", "linux/", "a/b/c/d", "linux/a b"]),
            (tag, &["17", "1.0-rc_1"], &["", "-a", ".a", "a:b", "a/b"]),
            (reference, &["docker.io/library/x:1@sha256:ab"], &["", "a b", "docker://a"]),
            (env_name, &["A", "a.b"], &["", "A=B", "A\n"]),
            (
                |text| port(text).map(drop),
                &["80", "53/udp"],
                &["", "0", "08", "65536", "80/x", "+80", "80-90"],
            ),
        ] {
            good.iter().for_each(|text| assert_eq!(check(text), Ok(()), "{text}"));
            bad.iter().for_each(|text| assert!(check(text).is_err(), "{text}"));
        }
    }
}
