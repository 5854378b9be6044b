//! What the texts made from layers have in common: a version line, fields between single spaces, one escaping.
//!
//! A text is canonical: whatever it holds is spelt in one way only. Parsers read a line loosely and then compare the
//! whole with what would be written, so nothing unsorted, repeated or spelt differently passes.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::error::{ReadError, TextFault};
use crate::tree::{Attributes, TreePath};

/// Appends `bytes` with `\xHH` for everything but printable ASCII, and for space and backslash.
pub(super) fn escape(out: &mut String, bytes: &[u8]) {
    escape_but(out, bytes, b'\\');
}

/// As [`escape`], and `also` too.
fn escape_but(out: &mut String, bytes: &[u8], also: u8) {
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'\\' && byte != also;
    let mut rest = bytes;
    while !rest.is_empty() {
        let end = rest.iter().position(|&byte| !plain(byte)).unwrap_or(rest.len());
        // ASCII, so that this takes no replacement characters.
        out.push_str(&String::from_utf8_lossy(&rest[..end]));
        rest = &rest[end..];
        if let Some((byte, after)) = rest.split_first() {
            let digits = b"0123456789abcdef";
            out.push_str("\\x");
            out.push(char::from(digits[usize::from(byte >> 4)]));
            out.push(char::from(digits[usize::from(byte & 15)]));
            rest = after;
        }
    }
}

pub(super) fn unescape(text: &str) -> Option<Vec<u8>> {
    if !text.contains('\\') {
        return Some(text.as_bytes().to_vec());
    }
    let mut parts = text.split("\\x");
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (hex, plain) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(hex, 16).ok()?);
        bytes.extend_from_slice(plain.as_bytes());
    }
    Some(bytes)
}

/// With a leading slash, so that the root is a word too.
pub(super) fn push_path(out: &mut String, path: &TreePath) {
    out.push('/');
    escape(out, path.as_bytes());
}

/// ` MODE UID GID`.
pub(super) fn push_owner(out: &mut String, attributes: &Attributes) {
    let Attributes { mode, uid, gid, .. } = attributes;
    // Writing to a String can't fail.
    let _ = write!(out, " {mode:o} {uid} {gid}");
}

/// ` NAME=VALUE` for each.
pub(super) fn push_xattrs(out: &mut String, xattrs: &BTreeMap<Vec<u8>, Vec<u8>>) {
    for (name, value) in xattrs {
        out.push(' ');
        escape_but(out, name, b'=');
        out.push('=');
        escape(out, value);
    }
}

/// Appends file content as one line of text per line of the file, `|` in front of each.
pub(super) fn push_content(out: &mut String, bytes: &[u8]) {
    for line in bytes.split(|&byte| byte == b'\n') {
        out.push('|');
        escape(out, line);
        out.push('\n');
    }
}

/// The fields of one line.
pub(super) struct Fields<'a>(std::str::Split<'a, char>);

impl<'a> Fields<'a> {
    pub(super) fn of(line: &'a str) -> Self {
        Self(line.split(' '))
    }

    pub(super) fn word(&mut self) -> Option<&'a str> {
        self.0.next()
    }

    pub(super) fn bytes(&mut self) -> Option<Vec<u8>> {
        unescape(self.word()?)
    }

    pub(super) fn number<T: std::str::FromStr>(&mut self) -> Option<T> {
        self.word()?.parse().ok()
    }

    pub(super) fn path(&mut self) -> Option<TreePath> {
        TreePath::parse(&unescape(self.word()?.strip_prefix('/')?)?).ok()
    }

    pub(super) fn owner(&mut self) -> Option<Attributes> {
        let mode = u32::from_str_radix(self.word()?, 8).ok().filter(|mode| *mode <= 0o7777)?;
        Some(Attributes::new(mode).owned(self.number()?, self.number()?))
    }

    /// Owner and extended attributes to the end of the line; if nothing is left of it, `mode` and 0:0.
    pub(super) fn attributes_or(&mut self, mode: u32) -> Option<Attributes> {
        if self.0.clone().next().is_none() {
            return Some(Attributes::new(mode));
        }
        let mut attributes = self.owner()?;
        attributes.xattrs = self.xattrs()?;
        Some(attributes)
    }

    /// All that is left of the line.
    pub(super) fn xattrs(&mut self) -> Option<BTreeMap<Vec<u8>, Vec<u8>>> {
        let pair = |word: &str| {
            let (name, value) = word.split_once('=')?;
            Some((unescape(name)?, unescape(value)?))
        };
        self.0.by_ref().map(pair).collect()
    }

    pub(super) fn end(&mut self) -> Option<()> {
        self.word().is_none().then_some(())
    }
}

/// The lines of a text behind its version line.
pub(super) struct Lines<'a> {
    what: &'static str,
    lines: std::iter::Peekable<std::str::Split<'a, char>>,
    line: usize,
}

impl<'a> Lines<'a> {
    /// Checks the version line, for example `facts 1`.
    pub(super) fn of(what: &'static str, version: &str, text: &'a [u8]) -> Result<Self, ReadError> {
        let fault = |line, fault| ReadError::Text { what, line, fault };
        let text = str::from_utf8(text).map_err(|_| fault(1, TextFault::Syntax))?;
        let (first, rest) = text.split_once('\n').unwrap_or((text, ""));
        if first != version {
            let found = first.chars().take(60).collect();
            return Err(fault(1, TextFault::Version { found }));
        }
        let rest = rest.strip_suffix('\n').unwrap_or(rest);
        let mut lines = rest.split('\n');
        if rest.is_empty() {
            lines.next();
        }
        Ok(Self { what, lines: lines.peekable(), line: 1 })
    }

    /// The lines of content that follow, put together again.
    pub(super) fn content(&mut self) -> Option<Vec<u8>> {
        let mut bytes: Option<Vec<u8>> = None;
        while let Some(line) = self.lines.next_if(|line| line.starts_with('|')) {
            self.line += 1;
            let part = unescape(&line[1..])?;
            match &mut bytes {
                Some(bytes) => {
                    bytes.push(b'\n');
                    bytes.extend(part);
                }
                None => bytes = Some(part),
            }
        }
        bytes
    }

    /// That the last line is malformed.
    pub(super) const fn malformed(&self) -> ReadError {
        ReadError::Text { what: self.what, line: self.line, fault: TextFault::Syntax }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.line += 1;
        self.lines.next()
    }
}

/// That `text` is what `written` says it should be.
pub(super) fn check_canonical(what: &'static str, text: &[u8], written: &str) -> Result<(), ReadError> {
    if text == written.as_bytes() {
        return Ok(());
    }
    let equal = text.iter().zip(written.as_bytes()).take_while(|(a, b)| a == b).count();
    let line = 1 + text[..equal].iter().filter(|&&byte| byte == b'\n').count();
    Err(ReadError::Text { what, line, fault: TextFault::Canonical })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaping() {
        for (bytes, text) in [
            (&b"/etc/x"[..], "/etc/x"),
            (b"a b\\c\n\x00\xff\x7f", "a\\x20b\\x5cc\\x0a\\x00\\xff\\x7f"),
            (b"", ""),
        ] {
            let mut out = String::new();
            escape(&mut out, bytes);
            assert_eq!(out, text);
            assert_eq!(unescape(&out).as_deref(), Some(bytes));
        }
        for bad in ["\\x", "\\x1", "\\xzz", "\\x1ä"] {
            assert_eq!(unescape(bad), None, "{bad}");
        }
    }

    #[test]
    fn content_survives() {
        for bytes in [&b""[..], b"a", b"a\n", b"\n\n", b"a\r\nb|c"] {
            let mut out = String::from("t 1\n");
            push_content(&mut out, bytes);
            let mut lines = Lines::of("t", "t 1", out.as_bytes()).unwrap();
            assert_eq!(lines.content().as_deref(), Some(bytes));
            assert_eq!(lines.next(), None);
        }
    }
}
