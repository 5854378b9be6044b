//! The strict reader: RFC 8259, and duplicate keys, invalid UTF-8, lone surrogates and nesting beyond [`MAX_DEPTH`] are
//! refused. Numbers and strings are those of the text, whoever writes them again.

use super::{Object, Value};

/// Deeper documents are refused; none of OCI's is deeper than six.
pub const MAX_DEPTH: usize = 64;
/// What a document may take in memory, about: an index of ten thousand images does not reach it.
const MAX_MEMORY: usize = 24 << 20;
/// Of a value in a list or beside a key, with the room that a growing list leaves.
const VALUE: usize = 64;
/// Of an object that has a member: a map makes room for eleven.
const OBJECT: usize = 600;

/// Why bytes are not JSON as Cooper reads it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} at byte {offset}")]
pub struct ParseError {
    /// What was met.
    pub what: String,
    /// Counted from 0.
    pub offset: usize,
}

/// Text of a document, as much of it as an error shows.
pub(in crate::oci) fn cut(text: &str) -> String {
    let mut shown: String = text.chars().take(200).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown
}

/// Reads one JSON text.
///
/// # Errors
/// What RFC 8259 forbids, duplicate keys, invalid UTF-8, lone surrogates, deep nesting.
pub fn parse(bytes: &[u8]) -> Result<Value, ParseError> {
    parse_within(bytes, MAX_MEMORY)
}

/// The same, taking as much memory as `most` says.
///
/// # Errors
/// As for [`parse`].
pub fn parse_within(bytes: &[u8], most: usize) -> Result<Value, ParseError> {
    let text = std::str::from_utf8(bytes)
        .map_err(|error| ParseError { what: "invalid UTF-8".into(), offset: error.valid_up_to() })?;
    let mut parser = Parser { text, at: 0, left: most };
    let value = parser.value(0)?;
    parser.skip_space();
    if parser.at < text.len() {
        return parser.fail("something after the end");
    }
    Ok(value)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
    /// What values may still take.
    left: usize,
}

impl Parser<'_> {
    fn fail<T>(&self, what: impl Into<String>) -> Result<T, ParseError> {
        Err(ParseError { what: what.into(), offset: self.at })
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// Counts what a value will take.
    fn take(&mut self, bytes: usize) -> Result<(), ParseError> {
        match self.left.checked_sub(bytes) {
            Some(left) => self.left = left,
            None => return self.fail("more values than a document may hold"),
        }
        Ok(())
    }

    fn expect(&mut self, byte: u8) -> Result<(), ParseError> {
        self.skip_space();
        if self.peek() == Some(byte) {
            self.at += 1;
            return Ok(());
        }
        self.fail(format!("expected {:?}", char::from(byte)))
    }

    fn value(&mut self, depth: usize) -> Result<Value, ParseError> {
        if depth > MAX_DEPTH {
            return self.fail("nesting too deep");
        }
        self.take(VALUE)?;
        self.skip_space();
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.array(depth),
            Some(b'"') => Ok(Value::String(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => {
                for (word, value) in
                    [("null", Value::Null), ("true", Value::Bool(true)), ("false", Value::Bool(false))]
                {
                    if self.text[self.at..].starts_with(word) {
                        self.at += word.len();
                        return Ok(value);
                    }
                }
                self.fail("expected a value")
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Value, ParseError> {
        self.at += 1;
        let mut members = Object::new();
        self.skip_space();
        if self.peek() == Some(b'}') {
            self.at += 1;
            return Ok(Value::Object(members));
        }
        self.take(OBJECT)?;
        loop {
            self.skip_space();
            if self.peek() != Some(b'"') {
                return self.fail("expected a key");
            }
            self.take(VALUE)?;
            let key = self.string()?;
            self.expect(b':')?;
            let value = self.value(depth + 1)?;
            if members.contains_key(&key) {
                return self.fail(format!("a second {:?}", cut(&key)));
            }
            members.insert(key, value);
            self.skip_space();
            if self.peek() != Some(b',') {
                self.expect(b'}')?;
                return Ok(Value::Object(members));
            }
            self.at += 1;
        }
    }

    fn array(&mut self, depth: usize) -> Result<Value, ParseError> {
        self.at += 1;
        let mut items = Vec::new();
        self.skip_space();
        if self.peek() == Some(b']') {
            self.at += 1;
            return Ok(Value::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            self.skip_space();
            if self.peek() != Some(b',') {
                self.expect(b']')?;
                return Ok(Value::Array(items));
            }
            self.at += 1;
        }
    }

    fn digits(&mut self) -> Result<(), ParseError> {
        if !matches!(self.peek(), Some(b'0'..=b'9')) {
            return self.fail("expected a digit");
        }
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Value, ParseError> {
        let start = self.at;
        if self.peek() == Some(b'-') {
            self.at += 1;
        }
        if self.peek() == Some(b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Value::Number(self.text[start..self.at].to_owned()))
    }

    fn string(&mut self) -> Result<String, ParseError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let rest = &self.text[self.at..];
            let plain =
                rest.bytes().take_while(|&byte| byte >= 0x20 && byte != b'"' && byte != b'\\').count();
            out.push_str(&rest[..plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                Some(_) => return self.fail("a control character in a string"),
                None => return self.fail("a string without end"),
            }
        }
    }

    fn escape(&mut self) -> Result<char, ParseError> {
        self.at += 1;
        let letter = self.peek();
        self.at += 1;
        Ok(match letter {
            Some(b'"') => '"',
            Some(b'\\') => '\\',
            Some(b'/') => '/',
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => return self.unicode(),
            _ => return self.fail("an unknown escape"),
        })
    }

    fn unicode(&mut self) -> Result<char, ParseError> {
        let first = self.hex4()?;
        let code = match first {
            0xd800..=0xdbff => {
                if !self.text[self.at..].starts_with("\\u") {
                    return self.fail("a lone surrogate");
                }
                self.at += 2;
                match self.hex4()? {
                    second @ 0xdc00..=0xdfff => 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00),
                    _ => return self.fail("a lone surrogate"),
                }
            }
            code => code,
        };
        char::from_u32(code).map_or_else(|| self.fail("a lone surrogate"), Ok)
    }

    fn hex4(&mut self) -> Result<u32, ParseError> {
        let digits = self.text.as_bytes().get(self.at..self.at + 4).unwrap_or_default();
        if digits.len() != 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
            return self.fail("expected four hexadecimal digits");
        }
        let code = u32::from_str_radix(&self.text[self.at..self.at + 4], 16);
        self.at += 4;
        code.or_else(|_| self.fail("expected four hexadecimal digits"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bombs_are_refused() {
        for text in [
            format!("[0{}]", ",0".repeat(2_000_000)),
            format!("[0{}]", ",{\"\":0}".repeat(500_000)),
            format!("[0{}]", ",[]".repeat(1_000_000)),
            format!("{{\"\":0{}}}", (0..400_000).map(|key| format!(",\"{key}\":0")).collect::<String>()),
        ] {
            let error = parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.what, "more values than a document may hold");
        }
        let image =
            format!(",{{\"digest\":\"sha256:{}\",\"size\":1,\"platform\":{{\"os\":\"\"}}}}", "0".repeat(64));
        parse(format!("[0{}]", image.repeat(10_000)).as_bytes()).unwrap();
        let key = "k".repeat(1000);
        let error = parse(format!("{{\"{key}\":1,\"{key}\":2}}").as_bytes()).unwrap_err();
        assert!(error.what.len() < 300, "{error}");
    }

    #[test]
    fn refuses() {
        for (input, what) in [
            (&br#"{"a":1,"a":2}"#[..], "a second \"a\""),
            (br#"{"a":1,"\u0061":2}"#, "a second \"a\""),
            (br#""\ud800""#, "a lone surrogate"),
            (br#""\ud800\u0041""#, "a lone surrogate"),
            (br#""\udc00""#, "a lone surrogate"),
            (b"\"\xff\"", "invalid UTF-8"),
            (b"\"\n\"", "a control character in a string"),
            (b"01", "something after the end"),
            (b"1.", "expected a digit"),
            (b"[1,]", "expected a value"),
            (b"{\"a\"}", "expected ':'"),
            (b"", "expected a value"),
            (b"nul", "expected a value"),
            (b"\"\\u+123\"", "expected four hexadecimal digits"),
            (b"\"\\", "an unknown escape"),
            ("\"\\u00é\"".as_bytes(), "expected four hexadecimal digits"),
        ] {
            assert_eq!(parse(input).unwrap_err().what, what, "{}", input.escape_ascii());
        }
        assert_eq!(parse("[".repeat(100_000).as_bytes()).unwrap_err().what, "nesting too deep");
    }
}
