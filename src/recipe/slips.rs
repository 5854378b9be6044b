//! Text that isn't TOML: what it is instead, where the first of two keys stands, which slip of the pen a parser's words mean.

use std::ops::Range;

use super::error::{Instead, Slip};

/// What a text is that no TOML parser can read, and the place that shows it.
pub(super) fn instead(text: &str) -> Option<(Instead, Range<usize>)> {
    let mut at = 0;
    let mut first = None;
    for line in text.split_inclusive('\n') {
        let (range, line) = (at..at + line.trim_end().len(), line.trim_end());
        at = range.start + text[range.start..].find('\n').map_or(text.len() - range.start, |end| end + 1);
        if ["<<<<<<< ", ">>>>>>> "].iter().any(|mark| line.starts_with(mark)) {
            return Some((Instead::Merge, range));
        }
        if first.is_none() && !line.trim().is_empty() && !line.trim_start().starts_with('#') {
            first = Some((line, range));
        }
    }
    let (line, range) = first?;
    let words = line.trim_start();
    let key = words.split_once(':').map(|(key, value)| (key.trim_start_matches("- "), value));
    let plain = |key: &str| key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-\"'".contains(&byte));
    let is = match key {
        _ if words.starts_with('{') => Instead::Json,
        _ if ["FROM ", "ARG ", "RUN "].iter().any(|word| words.starts_with(word)) => Instead::Dockerfile,
        _ if words == "---" => Instead::Yaml,
        Some((key, value)) if plain(key) && (value.is_empty() || value.starts_with(' ')) => Instead::Yaml,
        _ => return None,
    };
    Some((is, range))
}

/// What was probably meant where the parser says this.
pub(super) fn slip(message: &str, there: &str) -> Option<Slip> {
    Some(match message {
        _ if there.contains(['“', '”', '„', '‘', '’']) => Slip::Quotes,
        _ if message.contains("leading zero") || message.contains("octal number") => Slip::Octal,
        _ if message.contains("escaped value") || message.contains("unicode value") => Slip::Backslash,
        _ if message.starts_with("string values must be quoted") => Slip::Bare,
        _ if message.starts_with("key with no value") => Slip::NoValue,
        _ => return None,
    })
}

/// Where the first of two equal keys or tables stands; `second` is the other.
pub(super) fn first(text: &str, second: &Range<usize>) -> Option<Range<usize>> {
    let key = text.get(second.clone())?;
    let line_start = text[..second.start].rfind('\n').map_or(0, |at| at + 1);
    let header = |line: &str| line.trim_start().starts_with('[');
    let is_header = header(&text[line_start..]);
    let wanted = text[line_start..].lines().next()?.trim();
    // A key is told from those of its own table alone.
    let mut found = None;
    let mut at = 0;
    for line in text[..second.start].split_inclusive('\n') {
        let inside = line.find(key).map(|begin| at + begin..at + begin + key.len());
        let names = |line: &str| {
            line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with(['=', '.']))
        };
        match () {
            () if is_header && line.trim() == wanted => return inside,
            () if !is_header && header(line) => found = None,
            () if !is_header
                && found.is_none()
                && (names(line) || (at == line_start && inside.is_some())) =>
            {
                found = inside;
            }
            () => {}
        }
        at += line.len();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_it_is_instead() {
        for (text, is, shown) in [
            ("a = 1\n<<<<<<< HEAD\nb = 2\n=======\n", Some(Instead::Merge), "<<<<<<< HEAD"),
            ("# a\n\nbase:\n  image: x\n", Some(Instead::Yaml), "base:"),
            ("---\nbase:\n", Some(Instead::Yaml), "---"),
            ("- name: x\r\n", Some(Instead::Yaml), "- name: x"),
            ("{ \"a\": 1 }", Some(Instead::Json), "{ \"a\": 1 }"),
            ("# syntax=docker/dockerfile:1\nFROM alpine", Some(Instead::Dockerfile), "FROM alpine"),
            ("[a]\nb: 1\n", None, ""),
            ("url = http://x\n", None, ""),
            ("", None, ""),
        ] {
            let found = instead(text);
            assert_eq!(found.as_ref().map(|(is, _)| *is), is, "{text}");
            assert_eq!(found.map_or("", |(_, range)| &text[range]), shown, "{text}");
        }
    }

    #[test]
    fn the_first_of_two() {
        for (text, second, expected) in [
            ("[a]\nx = 1\ny = 2\nx = 3\n", "x = 3", Some(4)),
            ("[a]\nx = 1\n[b]\nx = 1\nx = 2\n", "x = 2", Some(14)),
            ("[a]\nx.y = 1\nx = 3\n", "x = 3", Some(4)),
            ("[a]\nx = 1\n\n[b]\n\n[a]\ny = 1\n", "a]\ny", Some(1)),
            ("[a]\nt = { x = 1, x = 2 }\n", "x = 2", Some(10)),
            ("x = 1\n", "x = 1", None),
        ] {
            let start = text.find(second).unwrap();
            let found = first(text, &(start..start + 1));
            assert_eq!(found.map(|range| range.start), expected, "{text}");
        }
    }
}
