//! Text for people: tables, sizes, numbers, and [`escape`], through which whatever came from outside (names in archives,
//! labels, paths, messages of an engine) loses the control characters that would steer a terminal.

use std::borrow::Cow;

/// Control characters (C0, DEL, C1), line separators, and what turns the direction of writing.
pub(crate) fn harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Makes text from outside safe to show as a part of one line: `\n`, `\u{1b}`, `\u{202e}`.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    replace(text, harmful, |c| c.escape_default().to_string())
}

/// Writes every harmful character in another way.
pub(crate) fn replace(
    text: &str,
    harmful: impl Fn(char) -> bool,
    with: impl Fn(char) -> String,
) -> Cow<'_, str> {
    if !text.contains(&harmful) {
        return Cow::Borrowed(text);
    }
    let mut safe = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if harmful(c) { safe.push_str(&with(c)) } else { safe.push(c) }
    }
    Cow::Owned(safe)
}

/// Rows as lines, columns aligned, two spaces between them.
pub(crate) fn columns(rows: &[Vec<String>]) -> Vec<String> {
    let mut widths: Vec<usize> = Vec::new();
    for row in rows {
        for (column, cell) in row.iter().enumerate() {
            let width = escape(cell).chars().count();
            match widths.get_mut(column) {
                Some(widest) => *widest = width.max(*widest),
                None => widths.push(width),
            }
        }
    }
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{:width$}", escape(cell)));
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned()
    };
    rows.iter().map(line).collect()
}

/// A number of bytes for people: `999 B`, `1.0 kB`, `27.3 MB`.
pub(crate) fn size(bytes: u64) -> String {
    let units = ["kB", "MB", "GB", "TB", "PB", "EB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let tenths = |unit: u128| (u128::from(bytes) * 10 + unit / 2) / unit;
    let (mut unit, mut name) = (1000, 0);
    // 999,950 bytes and more are 1.0 MB.
    while tenths(unit) >= 10_000 && name + 1 < units.len() {
        (unit, name) = (unit * 1000, name + 1);
    }
    format!("{}.{} {}", tenths(unit) / 10, tenths(unit) % 10, units[name])
}

/// `1 recipe`, `2 recipes`.
pub(crate) fn count(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_outside_steers_a_terminal() {
        for (text, safe) in [
            ("plain ünïcode – 木", "plain ünïcode – 木"),
            ("a\x1b[31mb", "a\\u{1b}[31mb"),
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("\u{7f}\u{9b}31m", "\\u{7f}\\u{9b}31m"),
            ("x\u{202e}fdp\u{2066}\u{200f}\u{2028}", "x\\u{202e}fdp\\u{2066}\\u{200f}\\u{2028}"),
        ] {
            assert_eq!(escape(text), safe);
        }
    }

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (1049, "1.0 kB"),
            (27_340_000, "27.3 MB"),
            (999_990, "1.0 MB"),
            (u64::MAX, "18.4 EB"),
        ] {
            assert_eq!(size(bytes), text);
        }
    }

    #[test]
    fn columns_are_aligned() {
        let row = |cells: &[&str]| cells.iter().map(|&cell| cell.to_owned()).collect::<Vec<_>>();
        assert_eq!(columns(&[row(&["a", "long", "x"]), row(&["bcd", "e", ""])]), ["a    long  x", "bcd  e"]);
    }
}
