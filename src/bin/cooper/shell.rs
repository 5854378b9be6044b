//! The only place that prints. Results go to standard output, everything else to standard error.
//!
//! Owns the choice between lines and JSON, colour, quietness, broken pipes, and [`escape`]: nothing that came from
//! outside (names in archives, labels, paths, messages of an engine) reaches a terminal with its control characters.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::Format;
use crate::errors::{Failure, Problem};
use crate::exit::Exit;

/// What a command gives to be printed: both forms, and how to end.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    /// Standard output unless that is JSON, one line each.
    pub(crate) lines: Vec<String>,
    /// Standard error, whatever the format: what a person should know.
    pub(crate) warnings: Vec<String>,
    /// Standard error, on a terminal only: a summary, or why there are no lines.
    pub(crate) status: Vec<String>,
    /// Standard output under `--format json`.
    pub(crate) json: Value,
    /// The answer is no.
    pub(crate) no: bool,
}

impl Answer {
    /// How to end after this answer.
    pub(crate) const fn exit(&self) -> Exit {
        if self.no { Exit::No } else { Exit::Done }
    }
}

/// How to print.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shell {
    /// What is written; errors are text unless it is JSON.
    pub(crate) format: Format,
    /// Neither status nor warnings.
    pub(crate) quiet: bool,
    /// Standard error is coloured.
    pub(crate) styled: bool,
}

impl Shell {
    /// Whether somebody watches standard error and wants to hear of progress.
    pub(crate) fn watched(&self) -> bool {
        !self.quiet && self.format != Format::Json && io::stderr().is_terminal()
    }

    /// Prints an answer.
    pub(crate) fn answer(&self, answer: &Answer) -> Exit {
        if !self.quiet {
            answer.warnings.iter().for_each(|warning| self.say("warning", warning));
        }
        let text = match self.format {
            Format::Json => json_text(&answer.json),
            _ => answer.lines.iter().fold(String::new(), |mut text, line| {
                let _ = writeln!(text, "{}", escape(line));
                text
            }),
        };
        let printed = self.raw(text.as_bytes(), answer.exit());
        if self.watched() {
            answer.status.iter().for_each(|line| write_error(&format!("{}\n", escape(line))));
        }
        printed
    }

    /// Writes our own bytes to standard output as they are, and says how to end: `exit`, unless writing fails.
    pub(crate) fn raw(&self, bytes: &[u8], exit: Exit) -> Exit {
        let mut out = io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Ok(()) => exit,
            Err(error) if error.kind() == ErrorKind::BrokenPipe => Exit::BrokenPipe,
            Err(error) => self.failure(&Problem::io("write standard output", &error).into(), Path::new(".")),
        }
    }

    /// Prints what went wrong; `dir` is where the workspace is looked for whose files are quoted.
    pub(crate) fn failure(&self, failure: &Failure, dir: &Path) -> Exit {
        for problem in &failure.0 {
            let text = problem.quoted(dir);
            match self.format {
                Format::Json => write_error(&harmless_json(&format!("{}\n", problem.json(text.as_deref())))),
                _ => write_error(&rendered(&problem.render(text.as_deref(), self.styled), self.styled)),
            }
        }
        if failure.0.len() > 1 && self.format != Format::Json {
            self.say("error", &format!("stopped by {} errors", failure.0.len()));
        }
        failure.0.first().map_or(Exit::Bug, |problem| problem.exit)
    }

    /// Tells of a panic, once, from wherever it happened.
    pub(crate) fn bug(&self, what: &str) {
        _ = self.failure(&Problem::bug(what).into(), Path::new("."));
    }

    fn say(&self, level: &str, message: &str) {
        let text = match self.format {
            Format::Json => harmless_json(&json!({ level: { "message": message } }).to_string()).into_owned(),
            _ => {
                let colour = if level == "warning" { 33 } else { 31 };
                let (on, off) =
                    if self.styled { (format!("\x1b[1;{colour}m"), "\x1b[0m") } else { Default::default() };
                format!("{on}{level}{off}: {}", escape(message))
            }
        };
        write_error(&format!("{text}\n"));
    }
}

/// A standard error that can't be written is nobody's to hear of.
fn write_error(text: &str) {
    _ = io::stderr().lock().write_all(text.as_bytes());
}

/// Control characters (C0, DEL, C1), line separators, and what turns the direction of writing.
fn harmful(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Makes text from outside safe to show as a part of one line: `\n`, `\u{1b}`, `\u{202e}`.
pub(crate) fn escape(text: &str) -> Cow<'_, str> {
    replace(text, harmful, |c| c.escape_default().to_string())
}

/// The same for what the renderer of errors made: its line ends stay, and its colours, where it was asked for some
/// (it replaces every escape character that was in the text).
fn rendered(text: &str, styled: bool) -> Cow<'_, str> {
    let harmful = |c| harmful(c) && c != '\n' && !(styled && c == '\x1b');
    replace(text, harmful, |c| c.escape_default().to_string())
}

/// The same for JSON, which means the same afterwards: such characters stand only in its strings, and its own line
/// ends stay.
fn harmless_json(text: &str) -> Cow<'_, str> {
    replace(text, |c| harmful(c) && c != '\n', |c| format!("\\u{:04x}", u32::from(c)))
}

fn json_text(value: &Value) -> String {
    harmless_json(&format!("{value:#}\n")).into_owned()
}

fn replace(text: &str, harmful: impl Fn(char) -> bool, with: impl Fn(char) -> String) -> Cow<'_, str> {
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
        assert_eq!(rendered("a\x1b[1m\n\u{9b}", true), "a\x1b[1m\n\\u{9b}");
        assert_eq!(rendered("a\x1b[1m\n", false), "a\\u{1b}[1m\n");
    }

    #[test]
    fn json_means_the_same_when_it_is_harmless() {
        let value = json!({ "name": "a\u{1b}\u{9b}\u{202e}\u{7f}\n" });
        let text = json_text(&value);
        assert!(!text.contains(|c| harmful(c) && c != '\n'), "{text:?}");
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
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
