//! Which of two versions is the newer one, as each ecosystem says it.
//!
//! Owns dpkg's order (deb-version(7)) and apk's (its package policy: numbers, a letter, suffixes, a revision). It must not
//! know packages, only their versions.

use std::cmp::Ordering;

use super::packages::Ecosystem;

/// Compares two versions.
pub fn compare(ecosystem: Ecosystem, one: &str, other: &str) -> Ordering {
    match ecosystem {
        Ecosystem::Deb => deb(one, other),
        Ecosystem::Apk => apk(one, other),
    }
}

fn deb(one: &str, other: &str) -> Ordering {
    let split = |version: &str| {
        let (epoch, rest) = version.split_once(':').unwrap_or(("0", version));
        let (upstream, revision) = rest.rsplit_once('-').unwrap_or((rest, "0"));
        (epoch.parse::<u64>().unwrap_or(0), upstream.to_owned(), revision.to_owned())
    };
    let ((a, b, c), (x, y, z)) = (split(one), split(other));
    a.cmp(&x).then_with(|| part(&b, &y)).then_with(|| part(&c, &z))
}

/// Letters before everything else, but for `~`, which is before even the end; digits as numbers.
fn part(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one.as_bytes(), other.as_bytes());
    let weight = |byte: Option<&u8>| match byte {
        Some(b'~') => -1,
        None => 0,
        Some(byte) if byte.is_ascii_digit() => 0,
        Some(byte) if byte.is_ascii_alphabetic() => i32::from(*byte),
        Some(byte) => i32::from(*byte) + 256,
    };
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    while !one.is_empty() || !other.is_empty() {
        while (!one.is_empty() && !digit(one.first())) || (!other.is_empty() && !digit(other.first())) {
            let order = weight(one.first()).cmp(&weight(other.first()));
            if order != Ordering::Equal {
                return order;
            }
            (one, other) = (one.get(1..).unwrap_or_default(), other.get(1..).unwrap_or_default());
        }
        let (a, b);
        ((a, one), (b, other)) = (number(one), number(other));
        let order = a.len().cmp(&b.len()).then_with(|| a.cmp(b));
        if order != Ordering::Equal {
            return order;
        }
    }
    Ordering::Equal
}

/// The digits at the beginning, without zeros before them, and the rest.
fn number(text: &[u8]) -> (&[u8], &[u8]) {
    let end = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    let zeros = digits.iter().position(|byte| *byte != b'0').unwrap_or(digits.len());
    (&digits[zeros..], rest)
}

/// What stands behind a version: before it, or after it.
const SUFFIXES: [(&str, i32); 9] = [
    ("alpha", -4),
    ("beta", -3),
    ("pre", -2),
    ("rc", -1),
    ("cvs", 1),
    ("svn", 2),
    ("git", 3),
    ("hg", 4),
    ("p", 5),
];

fn apk(one: &str, other: &str) -> Ordering {
    let split = |version: &str| {
        let (rest, revision) = version.rsplit_once("-r").unwrap_or((version, "0"));
        let mut parts = rest.split('_');
        let numbers = parts.next().unwrap_or_default().to_owned();
        let suffixes: Vec<(i32, u64)> = parts
            .map(|suffix| {
                let end = suffix.find(|c: char| c.is_ascii_digit()).unwrap_or(suffix.len());
                let known = SUFFIXES.iter().find(|(name, _)| *name == &suffix[..end]);
                (known.map_or(0, |(_, weight)| *weight), suffix[end..].parse().unwrap_or(0))
            })
            .collect();
        (numbers, suffixes, revision.parse::<u64>().unwrap_or(0))
    };
    let ((a, b, c), (x, y, z)) = (split(one), split(other));
    let mut order = numbers(&a, &x);
    for at in 0..b.len().max(y.len()) {
        let (mine, its) = (b.get(at).copied().unwrap_or((0, 0)), y.get(at).copied().unwrap_or((0, 0)));
        order = order.then_with(|| mine.cmp(&its));
    }
    order.then_with(|| c.cmp(&z))
}

/// `1.2.10b`: the first number counts as one, later ones with a zero in front as fractions; a letter may follow.
fn numbers(one: &str, other: &str) -> Ordering {
    let (mut one, mut other) = (one.split('.').peekable(), other.split('.').peekable());
    let mut first = true;
    loop {
        let (a, b) = match (one.next(), other.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(a), Some(b)) => (a, b),
        };
        let split = |text: &str| {
            let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
            (text[..end].to_owned(), text[end..].to_owned())
        };
        let ((digits, letter), (its_digits, its_letter)) = (split(a), split(b));
        let fraction = !first && (digits.starts_with('0') || its_digits.starts_with('0'));
        let order = if fraction {
            digits.cmp(&its_digits)
        } else {
            let (a, b) = (number(digits.as_bytes()).0, number(its_digits.as_bytes()).0);
            a.len().cmp(&b.len()).then_with(|| a.cmp(b))
        };
        // A further number is more than a letter.
        let order = order.then_with(|| match (letter.is_empty(), its_letter.is_empty()) {
            (true, false) if one.peek().is_some() => Ordering::Greater,
            (false, true) if other.peek().is_some() => Ordering::Less,
            _ => letter.cmp(&its_letter),
        });
        if order != Ordering::Equal {
            return order;
        }
        first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders() {
        // Each list from the oldest to the newest.
        let deb: &[&[&str]] = &[
            &[
                "1.0~rc1-1",
                "1.0-1",
                "1.0-1+b1",
                "1.0-1.1",
                "1.0-2",
                "1.0a-1",
                "1.0+1-1",
                "1.0.1-1",
                "1.1-1",
                "1.10-1",
                "1:0.1-1",
            ],
            &["3.0.17-1~deb12u2", "3.0.17-1~deb12u3", "3.0.17-1", "3.0.18-1~deb12u1"],
            &["2.36-9", "2.36-9+deb12u10"],
        ];
        let apk: &[&[&str]] = &[
            &[
                "1.2_alpha1",
                "1.2_beta",
                "1.2_rc1",
                "1.2_rc2",
                "1.2",
                "1.2_git20200101",
                "1.2_p1",
                "1.2a",
                "1.2b",
                "1.2.0",
                "1.2.1",
                "1.2.10",
                "1.3",
            ],
            &["3.1.7-r0", "3.1.7-r1", "3.1.7-r10", "3.1.8-r0"],
            &["1.1.24-r9", "1.1.24-r10"],
            &["0.9.02", "0.9.1"],
        ];
        for (ecosystem, lists) in [(Ecosystem::Deb, deb), (Ecosystem::Apk, apk)] {
            for list in lists {
                for (at, one) in list.iter().enumerate() {
                    for (number, other) in list.iter().enumerate() {
                        assert_eq!(compare(ecosystem, one, other), at.cmp(&number), "{one} {other}");
                    }
                }
            }
        }
        assert_eq!(compare(Ecosystem::Deb, "1.00-1", "1.0-01"), Ordering::Equal);
    }
}
