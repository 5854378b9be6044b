//! Reads entries: which keys go together, what each may hold.

use std::ops::Range;

use super::check::{self, Checker, ensure, invalid};
use super::config::{absolute, range};
use super::entry::{Action, Entry, File, Mount, Mtime, Owner, Source, Template};
use super::loose::{Loose, Never};
use super::span::S;
use super::v1::{self, Glob};
use super::{ErrorKind, Spanned, What, raw};

impl Entry {
    pub(super) fn new(common: raw::Common, action: Action, table: &Range<usize>, cx: &mut Checker) -> Self {
        let entry = Self {
            at: cx.at(table.clone()),
            variants: cx.keep(common.r#in),
            platforms: cx.keep(common.platforms),
            layer: cx.keep(common.layer),
            below_volume: only_ok(&cx.keep(common.below_volume), cx),
            allow_secret: cx.keep(common.allow_secret),
            action,
        };
        for platform in entry.platforms.iter().flatten() {
            cx.read(platform, check::platform);
        }
        if let Some(layer) = &entry.layer {
            cx.literal(layer, check::name);
        }
        entry
    }
}

impl Action {
    pub(super) fn file(raw: raw::File, table: &Range<usize>, cx: &mut Checker) -> Option<Self> {
        let section = "[[file]]";
        let sources = [
            ("from", raw.from.is_some()),
            ("text", raw.text.is_some()),
            ("input", raw.input.is_some()),
            ("fetch", raw.fetch.is_some()),
            ("image", raw.image.is_some()),
            ("recipe", raw.recipe.is_some()),
        ];
        let there = |name: &str| sources.iter().any(|(key, there)| *key == name && *there);
        let one = cx.exactly_one(&sources, section, table);
        let many = one && !there("text");
        let mut template = Template::Off;
        if let Some(S { value, range }) = raw.template {
            template = match value {
                Loose::Bool(false) => Template::Off,
                Loose::Bool(true) => Template::All,
                Loose::List(globs) => {
                    cx.needs(&[("template", Some(range))], many, &["from"]);
                    Template::Globs(cx.keep(globs))
                }
                other => {
                    cx.fail(
                        range,
                        ErrorKind::Type {
                            expected: "a boolean or a list of globs".into(),
                            found: other.found(),
                        },
                    );
                    Template::Off
                }
            };
        }
        if one {
            let copied = there("image") || there("recipe");
            cx.needs(&[("path", range(&raw.path))], copied, &["image", "recipe"]);
            cx.needs(&[("sha256", range(&raw.sha256))], there("fetch"), &["fetch"]);
            cx.needs(&[("unpack", range(&raw.unpack)), ("dir-mode", range(&raw.dir_mode))], many, &["from"]);
            let lists = [("include", first(&raw.include)), ("exclude", first(&raw.exclude))];
            cx.needs(&lists, many, &["from"]);
            if copied {
                cx.required(raw.path.as_ref(), "path", section, table);
            }
        }
        let unpack = raw.unpack.as_ref().is_some_and(|unpack| unpack.value);
        cx.needs(&[("strip", range(&raw.strip))], unpack, &["unpack"]);
        cx.needs(&[("delimiters", range(&raw.delimiters))], template != Template::Off, &["template"]);
        cx.needs(&[("mount", range(&raw.mount))], raw.mount_in.is_some(), &["mount-in"]);
        cx.number(raw.strip, 0..=100);

        let texts = [
            (raw.input, check::name as fn(&str) -> _),
            (raw.fetch, url),
            (raw.sha256, sha256),
            (raw.image, check::reference),
            (raw.recipe, check::recipe_name),
            (raw.path, |path| absolute(path).map(drop)),
        ];
        for (text, check) in texts {
            if let Some(text) = cx.keep(text) {
                cx.literal(&text, check);
            }
        }
        let source = match (raw.from.map(|from| strings(from, cx)), cx.keep(raw.text)) {
            _ if unpack => Some(Source::NotBuiltYet("unpack")),
            (Some(from), _) => from.map(Source::From),
            (_, Some(text)) => Some(Source::Text(text)),
            _ => sources.iter().find(|(_, there)| *there).map(|(key, _)| Source::NotBuiltYet(key)),
        };
        let to = cx.required(raw.to, "to", section, table);
        let mtime = raw.mtime.map_or(Some(Mtime::Epoch), |mtime| match &mtime.value {
            Loose::Text(text) if text == "content" => Some(Mtime::Content),
            _ => cx.time(mtime).map(Mtime::Seconds),
        });
        // Whatever is missing, the rest is read first: every mistake is told.
        let (mode, dir_mode) = (mode(raw.mode, cx), mode(raw.dir_mode, cx));
        let delimiters = cx.keep(raw.delimiters).and_then(|text| cx.read(&text, delimiters));
        let mount = cx.keep(raw.mount).and_then(|text| cx.read(&text, mount)).unwrap_or_default();
        let file = File {
            source: source?,
            to: cx.keep(to?),
            mode,
            dir_mode,
            owner: raw.owner.map(|owner| cx.scalar(owner)),
            mtime: mtime?,
            template,
            delimiters,
            include: cx.keep(raw.include).unwrap_or_default(),
            exclude: cx.keep(raw.exclude).unwrap_or_default(),
            replace: raw.replace.is_some_and(|replace| replace.value),
            xattrs: cx.keep(raw.xattrs).unwrap_or_default(),
            mount_in: cx.keep(raw.mount_in).unwrap_or_default(),
            mount,
        };
        file.check(cx);
        Some(Self::File(file))
    }

    pub(super) fn dir(raw: raw::Dir, table: &Range<usize>, cx: &mut Checker) -> Option<Self> {
        let path = path(raw.path, "[[dir]]", table, cx)?;
        Some(Self::Dir {
            path,
            mode: mode(raw.mode, cx),
            owner: owner(raw.owner.map(|owner| cx.scalar(owner)), cx),
        })
    }

    pub(super) fn link(raw: raw::Link, table: &Range<usize>, cx: &mut Checker) -> Option<Self> {
        let target = cx.required(raw.target, "target", "[[link]]", table);
        let path = path(raw.path, "[[link]]", table, cx);
        let (path, target) = (path?, cx.keep(target?));
        let hard = raw.hard.is_some_and(|hard| hard.value);
        cx.literal(&target, |target| v1::link_target(target, hard));
        Some(Self::Link { path, target, hard })
    }

    pub(super) fn remove(raw: raw::Remove, table: &Range<usize>, cx: &mut Checker) -> Option<Self> {
        let path = path(raw.path, "[[remove]]", table, cx);
        let missing_ok = only_ok(&cx.keep(raw.missing), cx);
        cx.literal(path.as_ref()?, glob);
        Some(Self::Remove { path: path?, missing_ok })
    }

    pub(super) fn edit(raw: raw::Edit, table: &Range<usize>, cx: &mut Checker) -> Option<Self> {
        let keys = [
            ("append", raw.append.is_some()),
            ("prepend", raw.prepend.is_some()),
            ("replace", raw.replace.is_some()),
        ];
        cx.exactly_one(&keys, "[[edit]]", table);
        cx.needs(
            &[("with", range(&raw.with)), ("count", range(&raw.count))],
            raw.replace.is_some(),
            &["replace"],
        );
        if raw.replace.is_some() {
            cx.required(raw.with, "with", "[[edit]]", table);
        }
        cx.number(raw.count, 1..=1_000_000);
        path(raw.path, "[[edit]]", table, cx).map(|path| Self::NotBuiltYet { key: "edit", path: Some(path) })
    }

    pub(super) fn owner(raw: raw::Owner, table: &Range<usize>, cx: &mut Checker) -> Option<Self> {
        if raw.owner.is_none() && raw.mode.is_none() {
            cx.required(None::<()>, "owner", "[[owner]]", table);
        }
        owner(raw.owner.map(|owner| cx.scalar(owner)), cx);
        mode(raw.mode, cx);
        path(raw.path, "[[owner]]", table, cx)
            .map(|path| Self::NotBuiltYet { key: "owner", path: Some(path) })
    }

    pub(super) fn user(raw: raw::User, table: &Range<usize>, cx: &mut Checker) -> Option<Self> {
        let name = cx.required(raw.name, "name", "[[user]]", table);
        cx.required(raw.uid.as_ref(), "uid", "[[user]]", table);
        cx.number(raw.uid, 0..=i64::from(u32::MAX) - 1);
        cx.number(raw.gid, 0..=i64::from(u32::MAX) - 1);
        for text in [raw.home, raw.shell].into_iter().flatten() {
            cx.literal(&cx.keep(text), absolute);
        }
        Some(Self::NotBuiltYet { key: "user", path: Some(cx.keep(name?)) })
    }

    pub(super) fn group(raw: raw::Group, table: &Range<usize>, cx: &mut Checker) -> Option<Self> {
        let name = cx.required(raw.name, "name", "[[group]]", table);
        cx.required(raw.gid.as_ref(), "gid", "[[group]]", table);
        cx.number(raw.gid, 0..=i64::from(u32::MAX) - 1);
        Some(Self::NotBuiltYet { key: "group", path: Some(cx.keep(name?)) })
    }

    pub(super) fn ca(raw: raw::Ca, table: &Range<usize>, cx: &mut Checker) -> Option<Self> {
        let from = cx.required(raw.from, "from", "[[ca]]", table)?;
        cx.literal(&cx.keep(from), relative);
        Some(Self::NotBuiltYet { key: "ca", path: None })
    }
}

impl File {
    fn check(&self, cx: &mut Checker) {
        cx.literal(&self.to, absolute);
        owner(self.owner.clone(), cx);
        if let Source::From(from) = &self.source {
            for path in from {
                cx.literal(path, relative);
                cx.literal(path, |path| if v1::has_magic(path) { glob(path) } else { Ok(()) });
            }
        }
        let templates: &[_] = if let Template::Globs(globs) = &self.template { globs } else { &[] };
        for pattern in self.include.iter().chain(&self.exclude).chain(templates) {
            cx.literal(pattern, glob);
        }
    }
}

fn path(
    raw: Option<S<String>>,
    section: &str,
    table: &Range<usize>,
    cx: &mut Checker,
) -> Option<Spanned<String>> {
    let path = cx.required(raw, "path", section, table)?;
    let path = cx.keep(path);
    cx.literal(&path, v1::named);
    Some(path)
}

fn owner(owner: Option<Spanned<String>>, cx: &mut Checker) -> Option<Spanned<String>> {
    if let Some(owner) = &owner {
        cx.literal(owner, Owner::parse);
    }
    owner
}

/// Octal digits in a string, or `0o644`: the integer 644 would be another mode than it looks like.
fn mode(raw: Option<S<Loose<Never>>>, cx: &mut Checker) -> Option<u32> {
    let S { value, range } = raw?;
    let mode = match &value {
        Loose::Text(text)
            if (3..=5).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit()) =>
        {
            u32::from_str_radix(text, 8).ok()
        }
        Loose::Int(number) if cx.text[range.clone()].starts_with("0o") => u32::try_from(*number).ok(),
        _ => None,
    };
    let mode = mode.filter(|mode| *mode <= 0o7777);
    if mode.is_none() {
        let written = match value {
            Loose::Text(text) => text,
            Loose::Int(number) => number.to_string(),
            other => other.found(),
        };
        cx.fail(range, invalid(What::Mode, &written));
    }
    mode
}

fn strings(raw: S<Loose<Never>>, cx: &mut Checker) -> Option<Vec<Spanned<String>>> {
    match raw.value {
        Loose::Text(value) => Some(vec![cx.keep(S { value, range: raw.range })]),
        Loose::List(list) if !list.is_empty() => Some(cx.keep(list)),
        other => {
            cx.fail(
                raw.range,
                ErrorKind::Type { expected: "a path or a list of paths".into(), found: other.found() },
            );
            None
        }
    }
}

fn only_ok(value: &Option<Spanned<String>>, cx: &mut Checker) -> bool {
    value.as_ref().is_some_and(|text| cx.read(text, |text| ensure(text == "ok", What::Ok, text)).is_some())
}

fn first(list: &Option<Vec<S<String>>>) -> Option<Range<usize>> {
    list.as_ref()?.first().map(|item| item.range.clone())
}

fn mount(text: &str) -> Result<Mount, ErrorKind> {
    match text {
        "ro" => Ok(Mount::ReadOnly),
        "rw" => Ok(Mount::ReadWrite),
        _ => Err(invalid(What::Mount, text)),
    }
}

fn delimiters(text: &str) -> Result<(String, String), ErrorKind> {
    let parts: Vec<_> = text.split(' ').collect();
    match parts.as_slice() {
        [open, close] if !open.is_empty() && !close.is_empty() => {
            Ok(((*open).to_owned(), (*close).to_owned()))
        }
        _ => Err(invalid(What::Delimiters, text)),
    }
}

fn url(text: &str) -> Result<(), ErrorKind> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    let good = rest.is_some_and(|rest| !rest.is_empty() && rest.chars().all(|char| char.is_ascii_graphic()));
    ensure(good, What::Url, text)
}

fn sha256(text: &str) -> Result<(), ErrorKind> {
    let hex = text.strip_prefix("sha256:").unwrap_or(text);
    crate::digest::Digest::from_hex(hex).map(drop).map_err(|_| invalid(What::Sha256, text))
}

/// A path beside the recipe.
pub(super) fn relative(path: &str) -> Result<(), ErrorKind> {
    v1::relative(path).map(drop).map_err(|fault| ErrorKind::Path { path: path.to_owned(), fault })
}

fn glob(pattern: &str) -> Result<(), ErrorKind> {
    v1::glob(pattern).map(|_: Glob| ())
}
