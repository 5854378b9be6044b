//! One thing that is wrong: how it is shown to a person and to a script, and what the machine's part in it is.

use std::error::Error as StdError;
use std::io;
use std::ops::Range;
use std::path::Path;

use annotate_snippets::{AnnotationKind, Element, Level, Origin, Renderer, Snippet};
use cooperage::digest::Mismatch;
use cooperage::disk;
use cooperage::http::{secrets, shown};
use cooperage::recipe::At;
use serde_json::{Value, json};

use crate::exit::Exit;
use crate::text::escape;

/// One thing that is wrong.
#[derive(Debug)]
pub(crate) struct Problem {
    /// A stable word for scripts; listed in the book.
    kind: &'static str,
    message: String,
    place: Place,
    notes: Vec<String>,
    hints: Vec<String>,
    /// How to end.
    pub(crate) exit: Exit,
}

/// Where it is wrong.
#[derive(Debug)]
enum Place {
    Nowhere,
    File(String),
    /// A part of a file, and perhaps another part that it disagrees with.
    Span(At, Option<At>),
}

/// How many notes are shown; the rest is counted.
const MAX_NOTES: usize = 12;

pub(super) const DAMAGED_HINT: &str = "get it again from where it came; if the store is damaged, `cooper store verify --repair` \
                            takes it out, and the next build makes or fetches it again";

impl Problem {
    /// A problem that stands nowhere.
    pub(crate) fn new(kind: &'static str, exit: Exit, message: impl Into<String>) -> Self {
        let (message, place) = (harmless(&message.into()), Place::Nowhere);
        Self { kind, message, place, notes: Vec::new(), hints: Vec::new(), exit }
    }

    /// A command line or environment that can't be understood.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new("usage", Exit::Usage, message)
    }

    /// An operation of the binary's own that the machine refused.
    pub(crate) fn io(action: &str, error: &io::Error) -> Self {
        Self::new("io", Exit::System, format!("cannot {action}: {error}")).blame(error)
    }

    /// A panic.
    pub(crate) fn bug(what: &str) -> Self {
        let version = env!("CARGO_PKG_VERSION");
        Self::new(
            "bug",
            Exit::Bug,
            format!("this is a mistake in cooper {version}, not in what you did: {what}"),
        )
        .hint("please report it, with the command and what it was run on")
    }

    /// A room's error and its sources; `exit` unless the machine is at the bottom of it.
    pub(super) fn chain(kind: &'static str, exit: Exit, error: &impl Room) -> Self {
        let mut problem = Self::new(kind, exit, error.to_string());
        let mut next = error.source();
        while let Some(error) = next {
            // Many errors repeat their source in their own words.
            let (text, said) = (error.to_string(), problem.notes.last().unwrap_or(&problem.message));
            if !said.contains(&text) {
                problem = problem.note(text);
            }
            next = error.source();
        }
        match error.machine() {
            Some(Machine::Io(error) | Machine::Disk(disk::Error::Io { source: error, .. })) => {
                problem.blame(error)
            }
            Some(Machine::Disk(disk::Error::NotRegular { .. })) => {
                problem.hint("a plain file belongs there: take away what there is, or name another place")
            }
            Some(Machine::Disk(disk::Error::Dangling { .. })) => {
                problem.ends(Exit::Missing).hint("make what it leads to, or take the link away")
            }
            Some(Machine::Disk(disk::Error::TooLarge { .. } | disk::Error::Led { .. })) | None => problem,
        }
    }

    /// Exit code and hints of an I/O error.
    fn blame(mut self, error: &io::Error) -> Self {
        use io::ErrorKind as Kind;
        if Mismatch::of(error).is_some() {
            self.exit = Exit::Input;
            return self.hint(DAMAGED_HINT);
        }
        self.exit = if error.kind() == Kind::NotFound { Exit::Missing } else { Exit::System };
        match error.kind() {
            Kind::StorageFull | Kind::QuotaExceeded => self.hint("`cooper gc` frees what no recipe needs"),
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem if self.kind == "store" => {
                self.hint("another store can be given with --store DIR or COOPER_STORE")
            }
            Kind::PermissionDenied => self.hint(
                "whoever runs cooper may not: `ls -ld` of it, and of the directories above it, says who may",
            ),
            _ => self,
        }
    }

    /// The same with another way to end.
    pub(super) fn ends(mut self, exit: Exit) -> Self {
        self.exit = exit;
        self
    }

    /// Adds what to do.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(harmless(&hint.into()));
        self
    }

    pub(super) fn hints(self, hints: impl IntoIterator<Item = String>) -> Self {
        hints.into_iter().fold(self, Self::hint)
    }

    pub(crate) fn note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(harmless(&note.into()));
        self
    }

    /// The file where it is wrong.
    pub(crate) fn file(mut self, path: impl Into<String>) -> Self {
        self.place = Place::File(harmless(&path.into()));
        self
    }

    pub(super) fn at(mut self, at: Option<At>, other: Option<At>) -> Self {
        self.place = at.map_or(Place::Nowhere, |at| Place::Span(at, other));
        self
    }

    /// The text of the file where it is wrong, which lies in the workspace that `dir` is in.
    #[allow(clippy::disallowed_methods, reason = "a file that can't be read is shown by its name alone")]
    pub(crate) fn quoted(&self, dir: &Path) -> Option<String> {
        let Place::Span(at, _) = &self.place else { return None };
        let root = dir.ancestors().find(|dir| dir.join("cooper.toml").is_file())?;
        std::fs::read_to_string(root.join(&*at.file)).ok().map(|text| masked(&text))
    }

    /// For a person: as rustc shows its errors.
    pub(crate) fn render(&self, text: Option<&str>, styled: bool) -> String {
        let mut group = Level::ERROR.primary_title(escape(&self.message)).elements(self.where_it_is(text));
        let shown = self.notes.iter().take(MAX_NOTES);
        let messages = shown.map(|note| Level::NOTE.message(escape(note)));
        group = group.elements(messages);
        if let Some(more) = self.notes.len().checked_sub(MAX_NOTES + 1) {
            group = group.element(Level::NOTE.message(format!("… and {} more", more + 1)));
        }
        group = group.elements(self.hints.iter().map(|hint| Level::HELP.message(escape(hint))));
        let renderer = if styled { Renderer::styled() } else { Renderer::plain() };
        format!("{}\n", renderer.render(&[group]))
    }

    fn where_it_is<'a>(&'a self, text: Option<&'a str>) -> Vec<Element<'a>> {
        match (&self.place, text) {
            (Place::Nowhere, _) => Vec::new(),
            (Place::File(path), _) => vec![Origin::path(escape(path)).into()],
            (Place::Span(at, other), Some(text)) if fits(&at.range, text) => {
                let other = other.as_ref().filter(|other| other.file == at.file && fits(&other.range, text));
                let other = other.map(|other| &other.range);
                match window(&at.range, other, text).or_else(|| window(&at.range, None, text)) {
                    Some((lines, number)) => {
                        let within =
                            |range: &Range<usize>| range.start - lines.start..range.end - lines.start;
                        let primary = AnnotationKind::Primary.span(within(&at.range));
                        let other =
                            other.filter(|other| lines.start <= other.start && other.end <= lines.end);
                        let other =
                            other.map(|other| AnnotationKind::Context.span(within(other)).label("and here"));
                        let snippet = Snippet::source(&text[lines.clone()]).line_start(number);
                        vec![snippet.path(escape(&at.file)).annotation(primary).annotations(other).into()]
                    }
                    None => {
                        let origin = Origin::path(escape(&at.file));
                        vec![match position(text, at.range.start) {
                            Some((line, column)) => origin.line(line).char_column(column).into(),
                            None => origin.into(),
                        }]
                    }
                }
            }
            (Place::Span(at, _), _) => vec![Origin::path(escape(&at.file)).into()],
        }
    }

    /// For a script; one line.
    pub(crate) fn json(&self, text: Option<&str>) -> Value {
        let mut error = json!({
            "kind": self.kind, "message": self.message, "hints": self.hints, "notes": self.notes,
            "exit": self.exit.code(),
        });
        match &self.place {
            Place::Nowhere => {}
            Place::File(path) => error["file"] = path.as_str().into(),
            Place::Span(at, _) => {
                error["file"] = (*at.file).into();
                if let Some((line, column)) = text.and_then(|text| position(text, at.range.start)) {
                    error["line"] = line.into();
                    error["column"] = column.into();
                }
            }
        }
        json!({ "error": error })
    }
}

/// A text without what is in it of users and passwords: of URLs, and of references that hold some.
pub(crate) fn harmless(text: &str) -> String {
    let mut out = shown(text);
    let found: Vec<_> = logins(&out).collect();
    found.into_iter().rev().for_each(|range| out.replace_range(range.start..=range.end, ""));
    out
}

/// A file's text that is quoted: each byte of what must not be shown is a `*`, so that all places stay what they are.
fn masked(text: &str) -> String {
    let mut bytes = text.as_bytes().to_vec();
    for range in secrets(text).chain(logins(text)) {
        bytes[range].fill(b'*');
    }
    String::from_utf8(bytes).unwrap_or_default()
}

/// `user:password` of `user:password@host/…`, which stands in no URL.
fn logins(text: &str) -> impl Iterator<Item = Range<usize>> {
    let ends = |c: char| c.is_whitespace() || c.is_control() || "\"'`<>\\".contains(c);
    let mut at = 0;
    let words = text.split_inclusive(ends).map(move |word| {
        at += word.len();
        (at - word.len(), word)
    });
    words.filter_map(|(start, word)| {
        let (before, host) = word.split_once('@')?;
        let login = before.rsplit('/').next().filter(|login| login.contains(':'))?;
        let digest = host.split_once(':').is_some_and(|(name, _)| name == "sha256");
        let end = start + before.len();
        (!digest && host.contains(['/', '.', ':'])).then(|| end - login.len()..end)
    })
}

/// The lines that two places lie in and what is between them, and the number of the first. None where that is more than
/// anybody reads, and than can be laid out in no time.
fn window(one: &Range<usize>, other: Option<&Range<usize>>, text: &str) -> Option<(Range<usize>, usize)> {
    const MOST: usize = 16 << 10;
    let other = other.unwrap_or(one);
    let (start, end) = (one.start.min(other.start), one.end.max(other.end));
    let start = text[..start].rfind('\n').map_or(0, |at| at + 1);
    let end = text[end..].find('\n').map_or(text.len(), |at| end + at + 1);
    (end - start <= MOST).then(|| (start..end, text[..start].matches('\n').count() + 1))
}

/// The file may have changed since it was read.
fn fits(range: &Range<usize>, text: &str) -> bool {
    text.get(range.clone()).is_some()
}

/// Line and column in characters, from 1.
fn position(text: &str, offset: usize) -> Option<(usize, usize)> {
    let before = text.get(..offset)?;
    let line = before.rsplit('\n').next().unwrap_or(before);
    Some((before.matches('\n').count() + 1, line.chars().count() + 1))
}

/// What the machine said, at the bottom of a room's error.
pub(super) enum Machine<'e> {
    Disk(&'e disk::Error),
    Io(&'e io::Error),
}

/// A room's error, which knows what it rests on.
pub(super) trait Room: StdError {
    fn machine(&self) -> Option<Machine<'_>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_errors_are_found_at_the_bottom() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot write layer")]
        struct Outer(#[source] io::Error);
        impl Room for Outer {
            fn machine(&self) -> Option<Machine<'_>> {
                Some(Machine::Io(&self.0))
            }
        }
        for (kind, exit) in [
            (io::ErrorKind::StorageFull, Exit::System),
            (io::ErrorKind::NotFound, Exit::Missing),
            (io::ErrorKind::PermissionDenied, Exit::System),
        ] {
            let problem = Problem::chain("store", Exit::Input, &Outer(kind.into()));
            assert_eq!(problem.exit, exit);
            assert_eq!(problem.notes.len(), 1);
        }
    }

    #[test]
    fn who_may_not_is_told_of_what() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot read key.conf")]
        struct Outer(#[source] io::Error);
        impl Room for Outer {
            fn machine(&self) -> Option<Machine<'_>> {
                Some(Machine::Io(&self.0))
            }
        }
        for (kind, hint) in
            [("store", "--store"), ("source", "ls -ld"), ("output", "ls -ld"), ("io", "ls -ld")]
        {
            let problem = Problem::chain(kind, Exit::Input, &Outer(io::ErrorKind::PermissionDenied.into()));
            assert!(
                problem.hints.len() == 1 && problem.hints[0].contains(hint),
                "{kind}: {:?}",
                problem.hints
            );
        }
    }

    #[test]
    fn passwords_are_masked() {
        for (text, safe, quoted) in [
            ("a https://me:pw@h/x?q=1 b", "a https://h/x b", "a https://*****@h/x?*** b"),
            (
                "image = \"me:pw@h.example/x:1\"",
                "image = \"h.example/x:1\"",
                "image = \"*****@h.example/x:1\"",
            ),
            ("x:1@sha256:00 a@b.c npm:y@1", "x:1@sha256:00 a@b.c npm:y@1", "x:1@sha256:00 a@b.c npm:y@1"),
            ("/w/docker:/me:pw@h.example/x", "/w/docker:/h.example/x", "/w/docker:/*****@h.example/x"),
            ("https://me:p\u{e4}@h/", "https://h/", "https://******@h/"),
        ] {
            assert_eq!((harmless(text).as_str(), masked(text).as_str()), (safe, quoted));
        }
    }

    #[test]
    fn a_panic_asks_for_a_report() {
        let rendered = Problem::bug("oops (x.rs:1)").render(None, false);
        assert!(
            rendered.contains(env!("CARGO_PKG_VERSION")) && rendered.contains("please report it"),
            "{rendered}"
        );
        assert_eq!(Problem::bug("").exit.code(), 70);
    }
}
