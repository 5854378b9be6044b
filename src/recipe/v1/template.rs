//! Interpolation: `{{ name }}`, `{{ name | filter }}`, `{{ "literal" }}`. Substitution only, no blocks.
//!
//! Filters touch ASCII only where letters matter: Unicode's tables change, and a digest may not change with them.

use std::cell::Cell;
use std::ops::Range;

/// What is wrong with a template.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TemplateFault {
    /// Opened, never closed.
    #[error("the template is not closed: {close:?} is missing")]
    Unclosed {
        /// The delimiter that is missing.
        close: String,
    },
    /// Neither a name nor a literal where one must be, or something after it that isn't a filter.
    #[error("expected {expected} in the template")]
    Expected {
        /// What would fit.
        expected: &'static str,
    },
    /// A name that the caller doesn't know.
    #[error("`{name}` is not defined")]
    Undefined {
        /// The name.
        name: String,
    },
    /// No such filter.
    #[error("there is no filter `{name}`")]
    UnknownFilter {
        /// As written.
        name: String,
        /// One that exists.
        suggestion: Option<String>,
    },
    /// A filter with a wrong number of arguments.
    #[error("the filter `{name}` takes {takes} arguments, not {given}")]
    Arguments {
        /// The filter.
        name: String,
        /// What it takes.
        takes: usize,
        /// What it was given.
        given: usize,
    },
    /// What is put in for a name has no room.
    #[error("`{name}` is too much here: `{{{{ … }}}}` puts in more than {limit} bytes{}", if *.all { " altogether" } else { "" })]
    Room {
        /// The name, or the literal.
        name: String,
        /// Bytes that are allowed.
        limit: usize,
        /// In all texts together; otherwise in this one.
        all: bool,
    },
}

/// How much `{{ … }}` may come to: values that stand for values double with each level, and so does a filter's work.
#[derive(Debug)]
pub struct Room {
    /// Bytes that one text may become.
    text: usize,
    /// Bytes that values may take in all texts, and those that they still may; a step of a filter counts, too.
    all: Cell<usize>,
    left: Cell<usize>,
}

impl Room {
    /// What values may take whatever the texts are like, and what a byte of text adds: many texts may name many values.
    const ALL: usize = 16 << 20;
    const EACH: usize = 16;

    /// One for texts that may become so long.
    pub const fn new(text: usize) -> Self {
        Self { text, all: Cell::new(Self::ALL), left: Cell::new(Self::ALL) }
    }

    fn grow(&self, text: &[u8]) {
        for cell in [&self.all, &self.left] {
            cell.set(cell.get().saturating_add(text.len() * Self::EACH));
        }
    }

    /// Takes some of it, if there is as much.
    fn take(&self, bytes: usize) -> bool {
        let left = self.left.get().checked_sub(bytes);
        self.left.set(left.unwrap_or(0));
        left.is_some()
    }
}

/// A fault and the bytes of the template that it is about.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct TemplateError {
    /// Bytes of the text that was interpolated.
    pub range: Range<usize>,
    /// What is wrong there.
    pub fault: TemplateFault,
}

/// The delimiters of a recipe's own strings, and of files that name no others.
pub const DELIMITERS: (&str, &str) = ("{{", "}}");

const FILTERS: [(&str, usize); 6] =
    [("upper", 0), ("lower", 0), ("json", 0), ("base64", 0), ("replace", 2), ("default", 1)];

/// Puts in place of every `{{ … }}` what `names` knows for it. Text without delimiters comes back as it is.
///
/// # Errors
/// The first fault.
pub fn interpolate(
    text: &[u8],
    delimiters: (&str, &str),
    names: &dyn Fn(&str) -> Option<String>,
    room: &Room,
) -> Result<Vec<u8>, TemplateError> {
    let (open, close) = delimiters;
    room.grow(text);
    let mut out = Vec::with_capacity(text.len());
    let mut at = 0;
    let mut last = None;
    while let Some(found) = find(&text[at..], open.as_bytes()) {
        out.extend_from_slice(&text[at..at + found]);
        let opening = at + found..at + found + open.len();
        let mut parser = Parser { text, at: opening.end, opening, close, subject: 0..0, room };
        out.extend_from_slice(parser.expression(names)?.as_bytes());
        if out.len() > room.text {
            return Err(parser.too_much(false));
        }
        at = parser.at;
        last = Some(parser);
    }
    out.extend_from_slice(&text[at..]);
    match last {
        Some(last) if out.len() > room.text => Err(last.too_much(false)),
        _ => Ok(out),
    }
}

fn find(text: &[u8], what: &[u8]) -> Option<usize> {
    text.windows(what.len().max(1)).position(|window| window == what)
}

struct Parser<'a> {
    text: &'a [u8],
    at: usize,
    opening: Range<usize>,
    close: &'a str,
    /// The name or literal that stands first.
    subject: Range<usize>,
    room: &'a Room,
}

impl Parser<'_> {
    fn expression(&mut self, names: &dyn Fn(&str) -> Option<String>) -> Result<String, TemplateError> {
        self.space();
        let start = self.at;
        let mut undefined = None;
        let mut value = if self.text.get(self.at) == Some(&b'"') {
            self.literal()?
        } else {
            let name = self.word("a name or a literal in quotes")?;
            names(&name).unwrap_or_else(|| {
                undefined = Some((start..self.at, name));
                String::new()
            })
        };
        self.subject = start..self.at;
        self.take(value.len())?;
        loop {
            self.space();
            if self.text[self.at..].starts_with(self.close.as_bytes()) {
                self.at += self.close.len();
                break;
            }
            if self.text.get(self.at) != Some(&b'|') {
                return Err(self.unclosed_or("`|` or the end"));
            }
            self.at += 1;
            self.space();
            let start = self.at;
            let filter = self.word("a filter")?;
            let range = start..self.at;
            let arguments = self.arguments()?;
            let fail = |fault| Err(TemplateError { range: range.clone(), fault });
            let Some((_, takes)) = FILTERS.iter().find(|(name, _)| *name == filter) else {
                let suggestion = crate::recipe::suggest(&filter, FILTERS.map(|(name, _)| name));
                return fail(TemplateFault::UnknownFilter { name: filter, suggestion });
            };
            if arguments.len() != *takes {
                let given = arguments.len();
                return fail(TemplateFault::Arguments { name: filter, takes: *takes, given });
            }
            // What a filter reads, and what it makes: neither is done before there is room.
            self.take(value.len())?;
            if let ("replace", [from, to]) = (filter.as_str(), arguments.as_slice())
                && let longer = to.len().saturating_sub(from.len())
                && longer > 0
                && !from.is_empty()
            {
                self.take(value.matches(from).count().saturating_mul(longer))?;
            }
            value = match (filter.as_str(), arguments.as_slice()) {
                ("upper", _) => value.to_ascii_uppercase(),
                ("lower", _) => value.to_ascii_lowercase(),
                ("json", _) => json(&value),
                ("base64", _) => crate::oci::base64(value.as_bytes()),
                ("replace", [from, to]) if !from.is_empty() => value.replace(from, to),
                ("default", [default]) if undefined.take().is_some() => default.clone(),
                _ => value,
            };
            self.take(value.len())?;
        }
        match undefined {
            Some((range, name)) => Err(TemplateError { range, fault: TemplateFault::Undefined { name } }),
            None => Ok(value),
        }
    }

    fn take(&self, bytes: usize) -> Result<(), TemplateError> {
        if self.room.take(bytes) { Ok(()) } else { Err(self.too_much(true)) }
    }

    fn too_much(&self, all: bool) -> TemplateError {
        const SHOWN: usize = 40;
        let name: String =
            String::from_utf8_lossy(&self.text[self.subject.clone()]).chars().take(SHOWN).collect();
        let limit = if all { self.room.all.get() } else { self.room.text };
        TemplateError { range: self.subject.clone(), fault: TemplateFault::Room { name, limit, all } }
    }

    fn space(&mut self) {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
    }

    /// A name ends before the closing delimiter, even where that is made of a name's characters.
    fn word(&mut self, expected: &'static str) -> Result<String, TemplateError> {
        let start = self.at;
        while let Some(byte) = self.text.get(self.at)
            && (byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.'))
            && !self.text[self.at..].starts_with(self.close.as_bytes())
        {
            self.at += 1;
        }
        if start == self.at {
            return Err(self.unclosed_or(expected));
        }
        Ok(String::from_utf8_lossy(&self.text[start..self.at]).into_owned())
    }

    /// `"…"` with `\"`, `\\`, `\n` and `\t`.
    fn literal(&mut self) -> Result<String, TemplateError> {
        let mut value = Vec::new();
        self.at += 1;
        loop {
            let byte = *self.text.get(self.at).ok_or_else(|| self.unclosed())?;
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => {
                    value.push(match self.text.get(self.at) {
                        Some(b'n') => b'\n',
                        Some(b't') => b'\t',
                        Some(char @ (b'"' | b'\\')) => *char,
                        _ => return Err(self.unclosed_or("one of \\\" \\\\ \\n \\t")),
                    });
                    self.at += 1;
                }
                byte => value.push(byte),
            }
        }
        String::from_utf8(value).map_err(|_| self.unclosed_or("UTF-8"))
    }

    fn arguments(&mut self) -> Result<Vec<String>, TemplateError> {
        let mut arguments = Vec::new();
        self.space();
        if self.text.get(self.at) != Some(&b'(') {
            return Ok(arguments);
        }
        self.at += 1;
        loop {
            self.space();
            match self.text.get(self.at) {
                Some(b'"') => arguments.push(self.literal()?),
                Some(b')') => {}
                _ => return Err(self.unclosed_or("a literal in quotes")),
            }
            self.space();
            match self.text.get(self.at) {
                Some(b')') => {
                    self.at += 1;
                    return Ok(arguments);
                }
                Some(b',') => self.at += 1,
                _ => return Err(self.unclosed_or("`,` or `)`")),
            }
        }
    }

    fn unclosed(&self) -> TemplateError {
        let fault = TemplateFault::Unclosed { close: self.close.to_owned() };
        // The opening is what to look at: the end of the text says nothing.
        TemplateError { range: self.opening.clone(), fault }
    }

    fn unclosed_or(&self, expected: &'static str) -> TemplateError {
        // One whole character, so that the range can be shown.
        match self.text[self.at..].utf8_chunks().next().map(|chunk| chunk.valid().chars().next()) {
            None => self.unclosed(),
            Some(char) => {
                let end = self.at + char.map_or(1, char::len_utf8);
                TemplateError { range: self.at..end, fault: TemplateFault::Expected { expected } }
            }
        }
    }
}

/// A JSON string with its quotes, escaped as little as JSON allows.
fn json(text: &str) -> String {
    let mut out = String::from('"');
    for char in text.chars() {
        match char {
            '"' | '\\' => out.extend(['\\', char]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '\0'..='\u{1f}' => out.push_str(&format!("\\u{:04x}", u32::from(char))),
            char => out.push(char),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(text: &str) -> Result<String, TemplateError> {
        let names = |name: &str| match name {
            "port" => Some("8080".into()),
            "who" => Some("Jürgen \"J\"\n".into()),
            "base.env.PATH" => Some("/bin".into()),
            "empty" => Some(String::new()),
            _ => None,
        };
        interpolate(text.as_bytes(), DELIMITERS, &names, &Room::new(1 << 20))
            .map(|bytes| String::from_utf8(bytes).unwrap())
    }

    #[test]
    fn substitution() {
        for (text, want) in [
            ("", ""),
            ("plain { } $x }}", "plain { } $x }}"),
            ("{{port}}:{{ port }}", "8080:8080"),
            ("/a:{{ base.env.PATH }}", "/a:/bin"),
            ("{{ \"{{\" }} }}", "{{ }}"),
            ("{{ \"}}\" }}", "}}"),
            ("{{ who | upper }}", "JüRGEN \"J\"\n"),
            ("{{ who | json }}", "\"Jürgen \\\"J\\\"\\n\""),
            ("{{ port | base64 }}", "ODA4MA=="),
            ("{{ \"a\" | base64 }}{{ \"ab\" | base64 }}{{ \"abc\" | base64 }}", "YQ==YWI=YWJj"),
            ("{{ port | replace(\"80\", \"-\") }}", "--"),
            ("{{ port | replace(\"\", \"x\") }}", "8080"),
            ("{{ nothing | default(\"x\") | upper }}", "X"),
            ("{{ empty | default(\"x\") }}", ""),
            ("{{ nothing | upper | default(\"x\") }}", "x"),
            ("{{\n port\n}}", "8080"),
        ] {
            assert_eq!(run(text).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn other_delimiters_and_bytes() {
        let room = Room::new(usize::MAX);
        let names = |name: &str| (name == "a").then(|| "1".to_owned());
        let got = interpolate(b"\xff{{ a }} <% a %> %%", ("<%", "%>"), &names, &room).unwrap();
        assert_eq!(got, b"\xff{{ a }} 1 %%");
        assert_eq!(interpolate(b"XaX", ("X", "X"), &names, &room).unwrap(), b"1");
    }

    /// A megabyte of anything is done or refused before it has taken the room.
    #[test]
    fn what_grows_is_refused() {
        let big = "x".repeat(1 << 19);
        let names = |name: &str| (name == "big").then(|| big.clone());
        let quotes = "\\\"".repeat(1 << 18);
        let literal =
            |filters: &str, times: usize| format!("{{{{ \"{quotes}\"{} }}}}", filters.repeat(times));
        let cases = [
            ("{{ big }}".repeat(100_000), "big"),
            (format!("{{{{ big{} }}}}", " | upper".repeat(100_000)), "big"),
            (format!("{{{{ big{} }}}}", " | base64".repeat(100)), "big"),
            (format!("{{{{ big{} }}}}", " | replace(\"x\", \"xx\")".repeat(100)), "big"),
            (format!("{{{{ big | replace(\"x\", \"{big}\") }}}}"), "big"),
            (literal(" | json", 60), "\"\\\""),
            (literal(" | lower", 60_000), "\"\\\""),
            (format!("{{{{ nothing | default(\"{big}\"){} }}}}", " | base64".repeat(9_000)), "nothing"),
        ];
        for (text, subject) in cases {
            for limit in [1 << 20, usize::MAX] {
                let error = interpolate(text.as_bytes(), DELIMITERS, &names, &Room::new(limit)).unwrap_err();
                let TemplateFault::Room { name, .. } = error.fault else { panic!("{error}") };
                assert!(name.starts_with(subject) && name.len() < 50, "{name}");
                assert!(text[error.range].starts_with(subject));
            }
        }
        // What is refused once is refused from then on, and what takes nothing is not.
        let room = Room::new(usize::MAX);
        let run = |text: &str| interpolate(text.as_bytes(), DELIMITERS, &names, &room);
        let times = (0..64).take_while(|_| run("{{ big }}").is_ok()).count();
        assert!((30..64).contains(&times), "{times}");
        assert!(run("{{ big }}").is_err() && run("{{ \"\" }}").is_ok());
        let long = "y".repeat(1 << 21);
        assert!(interpolate(long.as_bytes(), DELIMITERS, &names, &Room::new(1)).is_ok());
        let error =
            interpolate(format!("{{{{ big }}}}{long}").as_bytes(), DELIMITERS, &names, &Room::new(1 << 20));
        assert!(matches!(error.unwrap_err().fault, TemplateFault::Room { all: false, .. }));
    }

    #[test]
    fn faults() {
        for (text, underlined, want) in [
            ("a {{ port", "{{", TemplateFault::Unclosed { close: "}}".into() }),
            ("a {{ \"x }}", "{{", TemplateFault::Unclosed { close: "}}".into() }),
            ("{{ }}", "}", TemplateFault::Expected { expected: "a name or a literal in quotes" }),
            ("{{ é }}", "é", TemplateFault::Expected { expected: "a name or a literal in quotes" }),
            ("{{ port port }}", "p", TemplateFault::Expected { expected: "`|` or the end" }),
            ("{% x %}{{ por }}", "por", TemplateFault::Undefined { name: "por".into() }),
            (
                "{{ port | uper }}",
                "uper",
                TemplateFault::UnknownFilter { name: "uper".into(), suggestion: Some("upper".into()) },
            ),
            (
                "{{ port | replace(\"a\") }}",
                "replace",
                TemplateFault::Arguments { name: "replace".into(), takes: 2, given: 1 },
            ),
            ("{{ port | default(x) }}", "x", TemplateFault::Expected { expected: "a literal in quotes" }),
        ] {
            let error = run(text).unwrap_err();
            assert_eq!((&text[error.range.clone()], &error.fault), (underlined, &want), "{text}");
        }
    }
}
