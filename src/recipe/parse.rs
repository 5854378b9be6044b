//! From text to a checked [`Recipe`], with every mistake that can be told apart.
//!
//! TOML gives a tree with positions; each table of it is read by serde alone, and read again without the value that
//! was wrong, so that one unknown key doesn't hide the next.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use toml::Spanned as Node;
use toml::de::{DeTable, DeValue, ValueDeserializer};

use crate::digest::Digest;

use super::check::Checker;
use super::config::Config;
use super::entry::{Action, Entry};
use super::mentions::mention;
use super::patch::{Base, Image, Input, Level, Patch, Var};
use super::read_patch::read_drop;
use super::service::Service;
use super::{Error, ErrorKind, Recipe, Spanned, raw, slips, suggest, words};

/// The most bytes that a recipe or `cooper.toml` may have.
const LIMIT: usize = 1 << 20;
/// Mistakes per table after which the rest is not worth reading.
const PATIENCE: usize = 20;

type Value<'i> = Node<DeValue<'i>>;

/// Reads a recipe. `file` is what errors call it: its path relative to the workspace.
///
/// # Errors
/// Everything that is wrong with it, in the order of the text.
pub fn parse(file: &str, text: &str) -> Result<Recipe, Vec<Error>> {
    let (mut cx, table) = document(file, text)?;
    let mut level = Level {
        file: Arc::clone(&cx.file),
        text: Arc::from(text),
        common: Patch::default(),
        variants: BTreeMap::new(),
    };
    let (mut sections, mut mentions) = (BTreeMap::new(), BTreeSet::new());
    let mut common = DeTable::new();
    for (key, value) in table {
        if key.get_ref() == "variant" {
            for (name, value) in sub_tables(value, "[variant]", &mut cx) {
                let at = cx.at(name.span());
                let name = Spanned { value: name.into_inner().into_owned(), at: at.clone() };
                cx.read(&name, words::name);
                let range = value.span();
                let DeValue::Table(table) = value.into_inner() else {
                    cx.fail(range, expected_table());
                    continue;
                };
                let own = || table.iter().filter(|(key, _)| key.get_ref() != "service");
                sections.insert(format!("variant.{}", *name), digest_of(own()));
                own().for_each(|(_, value)| mention(value.get_ref(), &mut mentions));
                let patch = patch(table, &format!("variant.{}.", *name), &mut cx);
                level.variants.insert(name.value, Box::new(Spanned { value: patch, at }));
            }
            continue;
        }
        if key.get_ref() != "service" {
            sections.insert(key.get_ref().to_string(), digest_of([(&key, &value)]));
            mention(value.get_ref(), &mut mentions);
        }
        common.insert(key, value);
    }
    level.common = patch(common, "", &mut cx);
    finish(cx)?;
    Ok(Recipe { levels: vec![level], sections, mentions, given: Vec::new() })
}

/// The tree of a file, its line endings made LF.
pub(super) fn document<'i>(file: &str, text: &'i str) -> Result<(Checker, DeTable<'i>), Vec<Error>> {
    let mut cx = Checker { file: Arc::from(file), text: Arc::from(""), errors: Vec::new() };
    if text.len() > LIMIT {
        cx.fail(0..0, ErrorKind::TooLarge { length: text.len(), limit: LIMIT });
        return Err(cx.errors);
    }
    cx.text = Arc::from(text);
    let (table, errors) = DeTable::parse_recoverable(text);
    if let (false, Some((is, range))) = (errors.is_empty(), slips::instead(text)) {
        cx.fail(range, ErrorKind::Instead(is));
        return Err(cx.errors);
    }
    let mut line = None;
    for error in errors.iter().take(PATIENCE) {
        let range = error.span().unwrap_or(0..0);
        // What follows in a line follows from its first mistake.
        let begin = text[..range.start].rfind('\n');
        if line.replace(begin) != Some(begin) {
            let kind = syntax(error.message(), text, &range, &cx);
            cx.fail(range, kind);
        }
    }
    // A tree that was mended by guessing leads to mistakes that nobody made.
    if !cx.errors.is_empty() {
        return Err(finish(cx).err().unwrap_or_default());
    }
    let mut table = table.into_inner();
    if text.contains('\r') {
        table.iter_mut().for_each(|(_, value)| line_feeds(value, text));
    }
    Ok((cx, table))
}

fn syntax(message: &str, text: &str, range: &Range<usize>, cx: &Checker) -> ErrorKind {
    let there = text.get(range.clone()).unwrap_or_default();
    if message == "duplicate key" {
        let first = slips::first(text, range).map(|first| cx.at(first));
        return ErrorKind::Twice { key: there.to_owned(), first };
    }
    ErrorKind::Syntax { message: message.to_owned(), slip: slips::slip(message, there) }
}

/// All errors, in the order of the text.
pub(super) fn finish(mut cx: Checker) -> Result<(), Vec<Error>> {
    cx.errors.sort_by_key(|error| error.at.as_ref().map(|at| at.range.start));
    if cx.errors.is_empty() { Ok(()) } else { Err(cx.errors) }
}

/// A multi-line string in a file of Windows' is the same string: it is read again with LF.
fn line_feeds(value: &mut Value<'_>, text: &str) {
    let raw = &text[value.span()];
    match value.get_mut() {
        DeValue::String(string) if raw.contains('\r') => {
            if let Ok(DeValue::String(unix)) =
                DeValue::parse(&raw.replace("\r\n", "\n")).map(Node::into_inner)
            {
                *string = unix.into_owned().into();
            }
        }
        DeValue::Array(array) => array.iter_mut().for_each(|value| line_feeds(value, text)),
        DeValue::Table(table) => table.iter_mut().for_each(|(_, value)| line_feeds(value, text)),
        _ => {}
    }
}

fn patch(table: DeTable<'_>, prefix: &str, cx: &mut Checker) -> Patch {
    let mut patch = Patch::default();
    let common = prefix.is_empty();
    for (key, value) in table {
        let name = key.get_ref().to_string();
        let header = format!("[{prefix}{name}]");
        let range = value.span();
        match name.as_str() {
            "image" => {
                patch.image =
                    table_of(value, &header, cx).map_or_else(Image::default, |raw| Image::read(raw, cx))
            }
            "base" => {
                patch.base = table_of(value, &header, cx).and_then(|raw| Base::read(raw, &range, common, cx))
            }
            "config" => {
                patch.config =
                    table_of(value, &header, cx).map_or_else(Config::default, |raw| Config::read(raw, cx));
            }
            "service" => patch.service = table_of(value, &header, cx).map(|raw| Service::read(raw, cx)),
            "vars" => {
                for (name, value) in sub_tables(value, &header, cx) {
                    let var = table_of(value, &header, cx).and_then(|raw| Var::read(name.get_ref(), raw, cx));
                    var.and_then(|var| patch.vars.insert(name.into_inner().into_owned(), var));
                }
            }
            "input" => {
                for (name, value) in sub_tables(value, &header, cx) {
                    let (range, name) = (value.span(), name.into_inner().into_owned());
                    let header = format!("[{prefix}input.{name}]");
                    let input =
                        table_of(value, &header, cx).and_then(|raw| Input::read(&name, raw, &range, cx));
                    input.and_then(|input| patch.inputs.insert(name, input));
                }
            }
            "drop" => {
                let read = |raw, range: &_, cx: &mut _| read_drop(raw, range, cx);
                patch.drops = each(value, &format!("[{header}]"), cx, read);
            }
            _ => match entries(&name, value, &format!("[{header}]"), cx) {
                Some(entries) => patch.entries.extend(entries),
                None => {
                    let section = if common {
                        "the recipe".into()
                    } else {
                        format!("[{}]", prefix.trim_end_matches('.'))
                    };
                    let variant = common.then_some("variant");
                    let suggestion = suggest(&name, TABLES.into_iter().chain(variant));
                    cx.fail(key.span(), ErrorKind::UnknownKey { key: name, section, suggestion });
                }
            },
        }
    }
    // Layers and edits follow the order of the file, whichever tables hold the entries.
    patch.entries.sort_by_key(|entry| entry.at.range.start);
    patch
}

const TABLES: [&str; 16] = [
    "image", "base", "vars", "config", "service", "input", "file", "dir", "link", "remove", "edit", "owner",
    "user", "group", "ca", "drop",
];

/// The entries of one kind, or `None` when there is no such kind.
fn entries(kind: &str, value: Value<'_>, header: &str, cx: &mut Checker) -> Option<Vec<Entry>> {
    macro_rules! kinds {
        ($($kind:ident: $raw:ident),*) => {
            match kind {
                $(stringify!($kind) => each(value, header, cx, |mut raw: raw::$raw, range, cx| {
                    let common = raw.common();
                    Action::$kind(raw, range, cx).map(|action| Entry::new(common, action, range, cx))
                }),)*
                _ => return None,
            }
        };
    }
    Some(kinds!(
        file: File, dir: Dir, link: Link, remove: Remove, edit: Edit, owner: Owner, user: User, group: Group, ca: Ca
    ))
}

/// Reads each table of an array of tables.
fn each<R: DeserializeOwned, T>(
    value: Value<'_>,
    header: &str,
    cx: &mut Checker,
    mut read: impl FnMut(R, &Range<usize>, &mut Checker) -> Option<T>,
) -> Vec<T> {
    let range = value.span();
    let DeValue::Array(array) = value.into_inner() else {
        let expected = format!("tables: {header}");
        cx.fail(range, ErrorKind::Type { expected, found: "a single value".into() });
        return Vec::new();
    };
    let mut all = Vec::new();
    for value in array {
        let range = value.span();
        all.extend(table_of(value, header, cx).and_then(|raw| read(raw, &range, cx)));
    }
    all
}

fn sub_tables<'i>(value: Value<'i>, header: &str, cx: &mut Checker) -> DeTable<'i> {
    let range = value.span();
    match value.into_inner() {
        DeValue::Table(table) => table,
        other => {
            let expected = format!("a table: {header}");
            cx.fail(range, ErrorKind::Type { expected, found: format!("a {}", other.type_str()) });
            DeTable::new()
        }
    }
}

fn expected_table() -> ErrorKind {
    ErrorKind::Type { expected: "a table".into(), found: "a single value".into() }
}

/// Reads one table (or value). Nothing when it had mistakes: what follows from them is not worth telling.
pub(super) fn table_of<T: DeserializeOwned>(
    mut value: Value<'_>,
    header: &str,
    cx: &mut Checker,
) -> Option<T> {
    for attempt in 0..PATIENCE {
        let error = match T::deserialize(ValueDeserializer::from(value.clone())) {
            Ok(read) if attempt == 0 => return Some(read),
            Ok(_) => return None,
            Err(error) => error,
        };
        let range = error.span().unwrap_or_else(|| value.span());
        let removed = remove(value.get_mut(), &range);
        let section = removed.as_deref().map_or_else(|| header.to_owned(), |below| section(header, below));
        cx.fail(range, kind_of(error.message(), &section));
        if removed.is_none() {
            break;
        }
    }
    None
}

/// Takes out the innermost key that a mistake was about; the keys of the tables that it was in, the innermost first.
fn remove(value: &mut DeValue<'_>, range: &Range<usize>) -> Option<Vec<String>> {
    let within = |outer: Range<usize>| outer.start <= range.start && range.end <= outer.end;
    match value {
        DeValue::Table(table) => {
            let inside = table.iter_mut().find_map(|(key, value)| {
                let mut above = remove(value.get_mut(), range)?;
                above.push(key.get_ref().clone().into_owned());
                Some(above)
            });
            if inside.is_some() {
                return inside;
            }
            let about = |(key, value): &(&Node<_>, &Value<'_>)| within(key.span()) || within(value.span());
            let found = table.iter().find(about).map(|(key, _)| key.clone())?;
            table.remove(&found).map(|_| Vec::new())
        }
        DeValue::Array(array) => array.iter_mut().find_map(|value| remove(value.get_mut(), range)),
        _ => None,
    }
}

/// The header of a table below another one.
fn section(header: &str, below: &[String]) -> String {
    if below.is_empty() {
        return header.to_owned();
    }
    let above = header.strip_prefix('[').map(|header| header.trim_matches(['[', ']']));
    let keys: Vec<&str> = above.into_iter().chain(below.iter().rev().map(String::as_str)).collect();
    format!("[{}]", keys.join("."))
}

/// serde's words, taken apart: it has no other way to say what was wrong.
fn kind_of(message: &str, header: &str) -> ErrorKind {
    if let Some((key, known)) = message.strip_prefix("unknown field `").and_then(|rest| rest.split_once('`'))
    {
        let suggestion = suggest(key, known.split('`').skip(1).step_by(2));
        return ErrorKind::UnknownKey { key: key.to_owned(), section: header.to_owned(), suggestion };
    }
    let wrong = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "));
    if let Some((found, expected)) = wrong.and_then(|rest| rest.rsplit_once(", expected ")) {
        let expected = match expected {
            "a sequence" => "a list",
            "a map" => "a table",
            other if other.starts_with("struct ") => "a table",
            "i64" => "a whole number",
            other => other,
        };
        let found = found.replace("sequence", "a list").replace("map", "a table");
        return ErrorKind::Type { expected: expected.to_owned(), found };
    }
    ErrorKind::Syntax { message: message.to_owned(), slip: None }
}

/// A digest of parsed values: comments, white space, order of keys and spelling of strings don't matter.
fn digest_of<'a, 'i: 'a>(
    entries: impl IntoIterator<Item = (&'a Node<std::borrow::Cow<'i, str>>, &'a Value<'i>)>,
) -> Digest {
    let mut out = String::new();
    for (key, value) in entries {
        render(&DeValue::String(key.get_ref().clone()), &mut out);
        render(value.get_ref(), &mut out);
    }
    Digest::of(out.as_bytes())
}

/// One letter for the type, then the value; text has its length before it, so nothing can be mistaken for anything.
fn render(value: &DeValue<'_>, out: &mut String) {
    match value {
        DeValue::String(text) => out.push_str(&format!("s{}:{text}", text.len())),
        DeValue::Integer(number) => {
            let read = i64::from_str_radix(number.as_str(), number.radix());
            out.push_str(&read.map_or_else(|_| format!("i{number};"), |number| format!("i{number};")));
        }
        DeValue::Float(number) => out.push_str(&format!("f{number};")),
        DeValue::Boolean(value) => out.push_str(&format!("b{value};")),
        DeValue::Datetime(time) => out.push_str(&format!("d{time};")),
        DeValue::Array(array) => {
            out.push('[');
            array.iter().for_each(|value| render(value.get_ref(), out));
            out.push(']');
        }
        DeValue::Table(table) => {
            out.push('{');
            for (key, value) in table {
                render(&DeValue::String(key.get_ref().clone()), out);
                render(value.get_ref(), out);
            }
            out.push('}');
        }
    }
}
