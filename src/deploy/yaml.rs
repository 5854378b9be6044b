//! YAML as far as we write it: maps, lists and scalars in block style. Nothing is read.

use std::fmt::Write as _;

/// A value.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Yaml {
    Text(String),
    /// A number or boolean.
    Plain(String),
    /// Written on one line if it holds scalars only.
    List(Vec<Yaml>),
    /// Written in this order.
    Map(Vec<(String, Yaml)>),
}

impl Yaml {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    pub(super) fn plain(value: impl ToString) -> Self {
        Self::Plain(value.to_string())
    }

    pub(super) fn texts<'a>(texts: impl IntoIterator<Item = &'a str>) -> Self {
        Self::List(texts.into_iter().map(Self::text).collect())
    }

    pub(super) fn map<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self::Map(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
    }

    /// Adds a member, unless there is nothing in it.
    pub(super) fn put(&mut self, key: &str, value: Self) {
        let empty = match &value {
            Self::List(items) => items.is_empty(),
            Self::Map(members) => members.is_empty(),
            Self::Text(_) | Self::Plain(_) => false,
        };
        if let (false, Self::Map(members)) = (empty, self) {
            members.push((key.to_owned(), value));
        }
    }

    /// The same value as TOML has it, but for what becomes of its texts.
    pub(super) fn of(value: &toml::Value, text: &dyn Fn(&str) -> String) -> Self {
        match value {
            toml::Value::String(value) => Self::Text(text(value)),
            toml::Value::Array(items) => Self::List(items.iter().map(|item| Self::of(item, text)).collect()),
            toml::Value::Table(table) => {
                Self::Map(table.iter().map(|(key, value)| (key.clone(), Self::of(value, text))).collect())
            }
            toml::Value::Datetime(time) => Self::text(time.to_string()),
            // TOML writes `inf` and `nan`, which YAML takes for words.
            toml::Value::Float(number) if number.is_nan() => Self::plain(".nan"),
            toml::Value::Float(number) if number.is_infinite() => {
                Self::plain(if *number > 0.0 { ".inf" } else { "-.inf" })
            }
            number => Self::plain(number),
        }
    }

    /// A document.
    pub(super) fn document(&self) -> String {
        let mut out = String::new();
        self.block(&mut out, 0);
        out
    }

    fn is_scalar(&self) -> bool {
        matches!(self, Self::Text(_) | Self::Plain(_))
    }

    /// Writes the value's lines, each indented by `indent`.
    fn block(&self, out: &mut String, indent: usize) {
        match self {
            Self::Map(members) if !members.is_empty() => {
                for (key, value) in members {
                    let _ = write!(out, "{:indent$}{}:", "", scalar(key));
                    value.after_key(out, indent);
                }
            }
            Self::List(items) if !items.iter().all(Self::is_scalar) => {
                for item in items {
                    let mut lines = String::new();
                    item.block(&mut lines, indent + 2);
                    // The dash takes the place of the first line's indentation.
                    let _ = write!(out, "{:indent$}- {}", "", lines.trim_start_matches(' '));
                }
            }
            other => {
                let _ = writeln!(out, "{:indent$}{}", "", other.line());
            }
        }
    }

    fn after_key(&self, out: &mut String, indent: usize) {
        match self {
            Self::Map(members) if !members.is_empty() => {
                out.push('\n');
                self.block(out, indent + 2);
            }
            Self::List(items) if !items.iter().all(Self::is_scalar) => {
                out.push('\n');
                self.block(out, indent + 2);
            }
            other => {
                let _ = writeln!(out, " {}", other.line());
            }
        }
    }

    fn line(&self) -> String {
        match self {
            Self::Text(text) => scalar(text),
            Self::Plain(text) => text.clone(),
            Self::List(items) => {
                // Quoted, every one: a comma or bracket in a plain scalar would end it.
                let quoted =
                    |item: &Self| if let Self::Text(text) = item { quoted(text) } else { item.line() };
                format!("[{}]", items.iter().map(quoted).collect::<Vec<_>>().join(", "))
            }
            Self::Map(_) => "{}".to_owned(),
        }
    }
}

/// A string, without quotes where no YAML reader takes it for something else.
fn scalar(text: &str) -> String {
    let start = text.strip_prefix("./").unwrap_or(text).trim_start_matches("../");
    let first = start.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic() || b"/_".contains(&byte));
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/_.-".contains(&byte);
    let word = ["true", "false", "yes", "no", "on", "off", "null", "y", "n"]
        .iter()
        .any(|word| text.eq_ignore_ascii_case(word));
    if first && text.bytes().all(plain) && !word { text.to_owned() } else { quoted(text) }
}

/// Line separators, what turns the direction of writing, and the mark of a byte order.
pub(super) fn is_unseen(char: char) -> bool {
    matches!(char, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for char in text.chars() {
        match char {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            // What YAML doesn't print, the line ends that it folds, and what would make a reader see another text.
            '\0'..='\x1f' | '\x7f'..='\u{a0}' | '\u{fffe}' | '\u{ffff}' => {
                let _ = write!(out, "\\u{:04x}", u32::from(char));
            }
            other if is_unseen(other) => {
                let _ = write!(out, "\\u{:04x}", u32::from(other));
            }
            other => out.push(other),
        }
    }
    out.push('"');
    out
}
