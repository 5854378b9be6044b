//! Names and what they stand for: variables, evaluated when they are needed, and the builtins.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::sync::Arc;

use crate::recipe::patch::Var;
use crate::recipe::{At, Error, ErrorKind, Evaluated, Spanned, suggest, words};

use super::template::{DELIMITERS, Room, TemplateError, TemplateFault, interpolate};
use super::{Glob, glob};

/// Variables that name variables that name variables.
const DEPTH: usize = 64;
/// Bytes that one string may become.
const LIMIT: usize = 1 << 20;

/// What a recipe is resolved for.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// `platform.os`
    pub os: String,
    /// `platform.arch`
    pub arch: String,
    /// `platform.variant`; empty where the platform has none.
    pub arch_variant: String,
    /// `stack`
    pub stack: String,
    /// `name`
    pub name: String,
    /// `base.env.NAME`: the environment of what stands directly below.
    pub base_env: BTreeMap<String, String>,
    /// `--set NAME=VALUE`
    pub set: BTreeMap<String, String>,
}

/// What is known where a string stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::recipe) enum Reach {
    /// `[base]`: neither platform nor base.
    Base,
    /// `from`, `include`, `exclude`: not the base.
    Source,
    /// Everything.
    All,
}

/// Interpolates the strings of one evaluated recipe, and collects what goes wrong.
pub(in crate::recipe) struct Names<'a> {
    recipe: &'a Evaluated,
    scope: &'a Scope,
    reach: Reach,
    /// Variables that were evaluated; `None`: it has no value, and that was said.
    known: RefCell<BTreeMap<&'a str, Option<String>>>,
    /// Variables that are being evaluated.
    stack: RefCell<Vec<&'a str>>,
    room: Room,
    pub(in crate::recipe) errors: RefCell<Vec<Error>>,
}

/// What a name stands for.
enum Meaning {
    Value(String),
    /// It has none, and that was said already.
    Broken,
    /// It has none: why.
    Missing(ErrorKind),
    /// Nothing defines it.
    Undefined,
}

impl<'a> Names<'a> {
    pub(in crate::recipe) fn new(recipe: &'a Evaluated, scope: &'a Scope, reach: Reach) -> Self {
        let names = Self {
            recipe,
            scope,
            reach,
            known: RefCell::default(),
            stack: RefCell::default(),
            room: Room::new(LIMIT),
            errors: RefCell::default(),
        };
        let settable = || {
            let vars = recipe.vars.iter().filter(|(_, var)| matches!(var.value, Var::Set { .. }));
            vars.map(|(name, _)| name.as_str())
        };
        for name in scope.set.keys().filter(|name| !settable().any(|known| known == *name)) {
            let suggestion = suggest(name, settable());
            names.push(None, ErrorKind::NotSettable { name: name.clone(), suggestion });
        }
        names
    }

    pub(in crate::recipe) const fn scope(&self) -> &Scope {
        self.scope
    }

    pub(in crate::recipe) fn push(&self, at: Option<At>, kind: ErrorKind) {
        self.errors.borrow_mut().push(Error { at, kind });
    }

    /// The string with everything put in; `None` when that failed.
    pub(in crate::recipe) fn text(&self, text: &Spanned<String>) -> Option<String> {
        self.text_with(text, DELIMITERS)
    }

    /// The same with other delimiters.
    pub(super) fn text_with(&self, text: &Spanned<String>, delimiters: (&str, &str)) -> Option<String> {
        let broken = RefCell::new(false);
        let missing: RefCell<BTreeMap<String, ErrorKind>> = RefCell::default();
        let lookup = |name: &str| match self.meaning(name) {
            Meaning::Value(value) => Some(value),
            Meaning::Broken => {
                broken.replace(true);
                Some(String::new())
            }
            Meaning::Missing(kind) => {
                missing.borrow_mut().insert(name.to_owned(), kind);
                None
            }
            Meaning::Undefined => None,
        };
        match interpolate(text.as_bytes(), delimiters, &lookup, &self.room) {
            Ok(_) if broken.into_inner() => None,
            // Text in, text put in: text out.
            Ok(bytes) => String::from_utf8(bytes).ok(),
            Err(TemplateError { range, fault }) => {
                let kind = match fault {
                    TemplateFault::Undefined { name } => match missing.borrow_mut().remove(&name) {
                        Some(kind) => kind,
                        None => self.undefined(name),
                    },
                    fault => ErrorKind::Template(fault),
                };
                // Once there is no room left, there is none for anything that follows.
                let full = |kind: &ErrorKind| {
                    matches!(kind, ErrorKind::Template(TemplateFault::Room { all: true, .. }))
                };
                if full(&kind) && self.errors.borrow().iter().any(|error| full(&error.kind)) {
                    return None;
                }
                self.push(Some(self.inside(text, range)), kind);
                None
            }
        }
    }

    /// Interpolates and checks; `None` when either failed.
    pub(super) fn read<T>(
        &self,
        text: &Spanned<String>,
        read: impl FnOnce(&str) -> Result<T, ErrorKind>,
    ) -> Option<T> {
        let value = self.text(text)?;
        read(&value).map_err(|kind| self.push(Some(text.at.clone()), kind)).ok()
    }

    /// Every name that has a value here. Says what is wrong with any variable, used or not.
    pub(super) fn all(&self) -> BTreeMap<String, String> {
        let mut names = BTreeMap::new();
        for name in self.names() {
            if let Meaning::Value(value) = self.meaning(&name) {
                names.insert(name, value);
            }
        }
        names
    }

    fn names(&self) -> Vec<String> {
        let builtins = ["platform.os", "platform.arch", "platform.variant", "variant", "stack", "name"];
        let vars = self.recipe.vars.keys().cloned();
        let env = self.scope.base_env.keys().map(|name| format!("base.env.{name}"));
        builtins.map(str::to_owned).into_iter().chain(vars).chain(env).collect()
    }

    fn meaning(&self, name: &str) -> Meaning {
        let scope = self.scope;
        let here = |reach: Reach, value: &str| {
            if self.reach < reach {
                Meaning::Missing(ErrorKind::NotKnownHere {
                    name: name.to_owned(),
                    base: self.reach == Reach::Base,
                })
            } else {
                Meaning::Value(value.to_owned())
            }
        };
        match name {
            "variant" => here(Reach::Base, &self.recipe.variant),
            "stack" => here(Reach::Base, &scope.stack),
            "name" => here(Reach::Base, &scope.name),
            "platform.os" => here(Reach::Source, &scope.os),
            "platform.arch" => here(Reach::Source, &scope.arch),
            "platform.variant" => here(Reach::Source, &scope.arch_variant),
            _ => match (name.strip_prefix("base.env."), self.recipe.vars.get_key_value(name)) {
                (Some(_), _) if self.reach < Reach::All => here(Reach::All, ""),
                (Some(variable), _) => {
                    scope.base_env.get(variable).map_or(Meaning::Undefined, |value| here(Reach::All, value))
                }
                (None, Some((name, var))) => self.variable(name, var),
                (None, None) => Meaning::Undefined,
            },
        }
    }

    fn undefined(&self, name: String) -> ErrorKind {
        // Nobody reads more, and a file full of mistakes would take for ever.
        let few = self.errors.borrow().len() < 50;
        let names = if few { self.names() } else { Vec::new() };
        let suggestion = suggest(&name, names.iter().map(String::as_str));
        ErrorKind::Undefined { name, suggestion }
    }

    fn variable(&self, name: &'a str, var: &Spanned<Var>) -> Meaning {
        if let Some(known) = self.known.borrow().get(name) {
            return known.clone().map_or(Meaning::Broken, Meaning::Value);
        }
        let text = match &var.value {
            Var::Value(text) => text,
            Var::Set { default } => match (self.scope.set.get(name), default) {
                // What the command line brings is taken as it is.
                (Some(given), _) => return Meaning::Value(given.clone()),
                (None, Some(text)) => text,
                (None, None) => {
                    return Meaning::Missing(ErrorKind::Unset {
                        name: name.to_owned(),
                        stack: self.scope.stack.clone(),
                    });
                }
            },
        };
        let (begin, depth) = {
            let stack = self.stack.borrow();
            (stack.iter().position(|open| *open == name), stack.len())
        };
        if let Some(begin) = begin {
            let names =
                self.stack.borrow()[begin..].iter().chain([&name]).map(|name| (*name).to_owned()).collect();
            self.push(Some(var.at.clone()), ErrorKind::Cycle { names });
            return Meaning::Broken;
        }
        if depth >= DEPTH {
            let kind = ErrorKind::Expansion { name: name.to_owned(), depth: DEPTH };
            self.push(Some(var.at.clone()), kind);
            return Meaning::Broken;
        }
        self.stack.borrow_mut().push(name);
        let value = self.text(&var.with(text.clone()));
        self.stack.borrow_mut().pop();
        self.known.borrow_mut().insert(name, value.clone());
        value.map_or(Meaning::Broken, Meaning::Value)
    }

    /// Where a part of a string stands in its file, if the string is written there as it reads; else all of it.
    fn inside(&self, text: &Spanned<String>, range: std::ops::Range<usize>) -> At {
        let At { file, range: whole } = &text.at;
        let part = self.recipe.texts.get(file).and_then(|source| source.get(whole.clone())).and_then(|raw| {
            let open = ["\"\"\"\r\n", "'''\r\n", "\"\"\"\n", "'''\n", "\"\"\"", "'''", "\"", "'"];
            let open = open.into_iter().find(|open| raw.starts_with(open))?.len();
            let same = raw.as_bytes().get(open..open + range.end)? == text.as_bytes().get(..range.end)?;
            same.then(|| whole.start + open + range.start..whole.start + open + range.end)
        });
        At { file: Arc::clone(file), range: part.unwrap_or_else(|| whole.clone()) }
    }
}

/// Interpolates and checks, and keeps the text.
pub(super) fn text_as<T>(
    names: &Names<'_>,
    text: &Spanned<String>,
    check: impl FnOnce(&str) -> Result<T, ErrorKind>,
) -> Option<Spanned<String>> {
    names.read(text, |value| check(value).map(|_| value.to_owned())).map(|value| text.with(value))
}

/// Interpolates, checks and normalises.
pub(super) fn normal(
    names: &Names<'_>,
    text: &Spanned<String>,
    normal: impl FnOnce(&str) -> Result<String, ErrorKind>,
) -> Option<Spanned<String>> {
    names.read(text, normal).map(|value| text.with(value))
}

// Not an option: the signature of those that check.
#[allow(clippy::unnecessary_wraps)]
pub(super) fn any(text: &str) -> Result<String, ErrorKind> {
    Ok(text.to_owned())
}

/// Globs over what is below a source; `directories`: they may have a final slash.
pub(super) fn globs(list: &[Spanned<String>], directories: bool, names: &Names<'_>) -> Option<Vec<Glob>> {
    let read = |text: &str| words::reaches(text, directories).and_then(|()| glob(text));
    // All of them first, so that every mistake is told.
    let globs: Vec<_> = list.iter().map(|text| names.read(text, read)).collect();
    globs.into_iter().collect()
}

/// One mistake in a variable is met by every string that names it.
pub(super) fn distinct(errors: Vec<Error>) -> Vec<Error> {
    let mut distinct: Vec<Error> = Vec::new();
    // Where each place's errors are: not all are compared with all.
    let mut seen: BTreeMap<Option<(Arc<str>, usize)>, Vec<usize>> = BTreeMap::new();
    for error in errors {
        let place = error.at.as_ref().map(|at| (Arc::clone(&at.file), at.range.start));
        let here = seen.entry(place).or_default();
        if !here.iter().any(|index| distinct[*index] == error) {
            here.push(distinct.len());
            distinct.push(error);
        }
    }
    distinct
}
