//! The only place that prints. Results go to standard output, everything else to standard error.
//!
//! Owns the choice between lines and JSON, colour, quietness and broken pipes. Nothing that came from outside reaches a
//! terminal but through [`escape`].

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::path::Path;

use cooperage::http::shown;
use serde_json::{Value, json};

use crate::errors::{Failure, Problem, harmless};
use crate::exit::Exit;
use crate::options::Format;
use crate::text::{escape, harmful, replace};

/// Of the documents that `--format json` gives.
const VERSION: u64 = 1;

/// So many errors are shown with their places, for which files are read again; nobody reads more.
const SHOWN: usize = 100;

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
    /// The answer can't be told here: that it is no isn't known.
    pub(crate) unknown: bool,
}

impl Answer {
    /// How to end after this answer.
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self { unknown: true, .. } => Exit::Missing,
            Self { no: true, .. } => Exit::No,
            _ => Exit::Done,
        }
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
            answer.warnings.iter().for_each(|warning| self.say("warning", &shown(warning)));
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
        let json = self.format == Format::Json;
        for (number, problem) in failure.problems.iter().enumerate() {
            let text = if number < SHOWN { problem.quoted(dir) } else { None };
            if json {
                write_error(&harmless_json(&format!("{}\n", problem.json(text.as_deref()))));
            } else if number < SHOWN {
                write_error(&rendered(&problem.render(text.as_deref(), self.styled), self.styled));
            }
        }
        let (all, more) = (failure.problems.len(), failure.problems.len().saturating_sub(SHOWN));
        if all > 1 && !json {
            let hidden = if more > 0 { format!("; {more} of them aren't shown") } else { String::new() };
            self.say("error", &format!("stopped by {all} errors{hidden}"));
        }
        let exit = failure.problems.first().map_or(Exit::Bug, |problem| problem.exit);
        if json && !failure.json.is_null() {
            return self.raw(json_text(&failure.json).as_bytes(), exit);
        }
        exit
    }

    /// Prints what was made elsewhere of a command line, which may hold anything.
    pub(crate) fn error(&self, text: &str) {
        write_error(&rendered(&harmless(text), self.styled));
    }

    /// Prints a panic, from wherever it happened.
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

/// As [`escape`], for what the renderer of errors made: its line ends stay, and its colours, where it was asked for some
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

/// A document: later versions add keys, and the number goes up if one ever means something else.
fn json_text(value: &Value) -> String {
    let mut value = value.clone();
    if let Value::Object(members) = &mut value {
        members.insert("version".to_owned(), VERSION.into());
    }
    harmless_json(&format!("{value:#}\n")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_keeps_its_own_line_ends_and_colours() {
        assert_eq!(rendered("a\x1b[1m\n\u{9b}", true), "a\x1b[1m\n\\u{9b}");
        assert_eq!(rendered("a\x1b[1m\n", false), "a\\u{1b}[1m\n");
    }

    #[test]
    fn json_means_the_same_when_it_is_harmless() {
        let value = json!({ "name": "a\u{1b}\u{9b}\u{202e}\u{7f}\n" });
        let text = json_text(&value);
        assert!(!text.contains(|c| harmful(c) && c != '\n'), "{text:?}");
        let read: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&read["name"], &read["version"]), (&value["name"], &1.into()));
    }
}
