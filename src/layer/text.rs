//! What the texts made from layers have in common: a version line, fields between single spaces, one escaping.
//!
//! A text is canonical: whatever it holds is spelt in one way only. Parsers read a line loosely and then compare the
//! whole with what would be written, so nothing unsorted, repeated or spelt differently passes.

use std::borrow::Cow;
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
    // Nearly every name.
    if let (true, Ok(text)) = (is_plain(bytes) && !bytes.contains(&also), str::from_utf8(bytes)) {
        return out.push_str(text);
    }
    let plain = |byte: u8| is_plain(&[byte]) && byte != also;
    for &byte in bytes {
        if plain(byte) {
            out.push(char::from(byte));
        } else {
            let digits = b"0123456789abcdef";
            out.push_str("\\x");
            out.push(char::from(digits[usize::from(byte >> 4)]));
            out.push(char::from(digits[usize::from(byte & 15)]));
        }
    }
}

/// Whether [`escape`] leaves all of `bytes` as they are. Looks at all of them, which is faster than stopping at an odd one.
pub(super) fn is_plain(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |all, byte| all & byte.is_ascii_graphic() & (*byte != b'\\'))
}

pub(super) fn unescape(text: &str) -> Option<Cow<'_, [u8]>> {
    if text.bytes().fold(true, |all, byte| all & (byte != b'\\')) {
        return Some(Cow::Borrowed(text.as_bytes()));
    }
    let mut parts = text.split("\\x");
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (hex, plain) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(hex, 16).ok()?);
        bytes.extend_from_slice(plain.as_bytes());
    }
    Some(Cow::Owned(bytes))
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

/// The fields of one line: what is left of it.
pub(super) struct Fields<'a>(Option<&'a str>);

impl<'a> Fields<'a> {
    pub(super) const fn of(line: &'a str) -> Self {
        Self(Some(line))
    }

    pub(super) fn word(&mut self) -> Option<&'a str> {
        let rest = self.0?;
        // Words are short, and for short ones a plain search is faster than memchr's.
        let end = rest.bytes().position(|byte| byte == b' ');
        self.0 = end.map(|end| &rest[end + 1..]);
        Some(&rest[..end.unwrap_or(rest.len())])
    }

    pub(super) fn bytes(&mut self) -> Option<Vec<u8>> {
        unescape(self.word()?).map(Cow::into_owned)
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
        if self.is_empty() {
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
            Some((unescape(name)?.into_owned(), unescape(value)?.into_owned()))
        };
        std::iter::from_fn(|| self.word()).map(pair).collect()
    }

    /// Whether nothing is left.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    pub(super) fn end(&mut self) -> Option<()> {
        self.is_empty().then_some(())
    }
}

/// The lines of a text behind its version line.
pub(super) struct Lines<'a> {
    what: &'static str,
    left: Option<&'a str>,
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
        Ok(Self { what, left: (!rest.is_empty()).then_some(rest), line: 1 })
    }

    /// The lines of content that follow, put together again.
    pub(super) fn content(&mut self) -> Option<Vec<u8>> {
        let mut bytes: Option<Vec<u8>> = None;
        while self.left.is_some_and(|left| left.starts_with('|'))
            && let Some(line) = self.next()
        {
            let part = unescape(&line[1..])?;
            match &mut bytes {
                Some(bytes) => {
                    bytes.push(b'\n');
                    bytes.extend_from_slice(&part);
                }
                None => bytes = Some(part.into_owned()),
            }
        }
        bytes
    }

    /// The number of the last line, from 1.
    pub(super) const fn number(&self) -> usize {
        self.line
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
        let left = self.left?;
        let end = memchr::memchr(b'\n', left.as_bytes());
        self.left = end.map(|end| &left[end + 1..]);
        Some(&left[..end.unwrap_or(left.len())])
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
