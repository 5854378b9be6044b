//! Reads entries: which keys go together, what each may hold.

use std::ops::Range;

use super::check::Checker;
use super::entry::{Action, Change, Entry, File, Mount, Mtime, Owner, Source, Template};
use super::loose::{Loose, Never};
use super::read_config::range;
use super::span::S;
use super::v1::{self, Glob, Mode};
use super::words::{self, ensure, field, invalid, sha256, url};
use super::{ErrorKind, Spanned, What, raw};
use crate::tree::{Step, check_steps};

impl Entry {
    pub(super) fn new(common: raw::Common, action: Action, table: &Range<usize>, cx: &mut Checker) -> Self {
        let entry = Self {
            at: cx.at(table.clone()),
            variants: cx.keep(common.r#in),
            platforms: cx.keep(common.platforms).map(|all| cx.platforms(all)),
            layer: cx.keep(common.layer),
            below_volume: only_ok(&cx.keep(common.below_volume), cx),
            allow_secret: cx.keep(common.allow_secret),
            action,
        };
        if let Some(layer) = &entry.layer {
            cx.literal(layer, words::name);
        }
        entry
    }
}

impl Action {
    pub(super) fn file(mut raw: raw::File, table: &Range<usize>, cx: &mut Checker) -> Option<Self> {
        let one = one_source(&raw, table, cx);
        let taken = one && raw.text.is_none();
        let template = raw.template.take().map_or(Template::Off, |raw| template(raw, taken, cx));
        if one {
            goes_with_source(&raw, taken, table, cx);
        }
        let unpack = raw.unpack.take().map(|raw| steps(raw, cx)).unwrap_or_default();
        cx.needs(&[("strip", range(&raw.strip))], !unpack.is_empty(), &["unpack"]);
        cx.needs(&[("case-clash", range(&raw.case_clash))], !unpack.is_empty(), &["unpack"]);
        let case_clash = only_ok(&cx.keep(raw.case_clash.take()), cx);
        let strip = raw.strip.as_ref().and_then(|strip| usize::try_from(strip.value).ok()).unwrap_or(0);
        cx.needs(&[("delimiters", range(&raw.delimiters))], template != Template::Off, &["template"]);
        cx.needs(&[("mount", range(&raw.mount))], raw.mount_in.is_some(), &["mount-in"]);
        cx.number(raw.strip.take(), 0..=100);
        let source = source(&mut raw, cx);
        let to = cx.required(raw.to, "to", FILE, table);
        let mtime = raw.mtime.map_or(Some(Mtime::Epoch), |raw| mtime(raw, cx));
        // Whatever is missing, the rest is read first: every mistake is told.
        let (mode, dir_mode) = (mode(raw.mode, cx), mode(raw.dir_mode, cx));
        let delimiters = cx.keep(raw.delimiters).and_then(|text| cx.read(&text, v1::delimiters));
        let owner = raw.owner.map(|owner| cx.scalar(owner));
        // Beside an archive this is the archive, whatever users there are.
        let archive_owners =
            !unpack.is_empty() && owner.as_ref().is_some_and(|owner| owner.value == "archive");
        let owner = owner.filter(|_| !archive_owners);
        let mount = cx.keep(raw.mount).and_then(|text| cx.read(&text, mount)).unwrap_or_default();
        let file = File {
            source: source?,
            to: cx.keep(to?),
            mode,
            dir_mode,
            owner,
            unpack,
            strip,
            case_clash,
            archive_owners,
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
        let path = cx.required(raw.path, "path", "[[remove]]", table).map(|path| cx.keep(path));
        let missing_ok = only_ok(&cx.keep(raw.missing), cx);
        let path = path?;
        cx.literal(&path, |path| v1::below_root(path).and_then(|_| glob(path)));
        Some(Self::Remove { path, missing_ok })
    }

    pub(super) fn edit(raw: raw::Edit, table: &Range<usize>, cx: &mut Checker) -> Option<Self> {
        let keys = [
            ("append", raw.append.is_some()),
            ("prepend", raw.prepend.is_some()),
            ("replace", raw.replace.is_some()),
        ];
        let one = cx.exactly_one(&keys, "[[edit]]", table);
        let replaces = raw.replace.is_some();
        cx.needs(&[("with", range(&raw.with)), ("count", range(&raw.count))], replaces, &["replace"]);
        let count = raw.count.as_ref().and_then(|count| usize::try_from(count.value).ok()).unwrap_or(1);
        cx.number(raw.count, 1..=1_000_000);
        let with = if replaces { cx.required(raw.with, "with", "[[edit]]", table) } else { None };
        let (append, prepend, replace) = (cx.keep(raw.append), cx.keep(raw.prepend), cx.keep(raw.replace));
        if let Some(what) = &replace {
            cx.read(what, |what| ensure(!what.is_empty(), What::Text, what));
        }
        let path = path(raw.path, "[[edit]]", table, cx);
        let change = match (append, prepend, replace, cx.keep(with)) {
            (Some(text), ..) => Change::Append(text),
            (_, Some(text), ..) => Change::Prepend(text),
            (_, _, Some(what), Some(with)) => Change::Replace { what, with, count },
            _ => return None,
        };
        Some(Self::Edit { path: path.filter(|_| one)?, change })
    }

    pub(super) fn owner(raw: raw::Owner, table: &Range<usize>, cx: &mut Checker) -> Option<Self> {
        if raw.owner.is_none() && raw.mode.is_none() {
            cx.required(None::<()>, "owner", "[[owner]]", table);
        }
        let owner = owner(raw.owner.map(|owner| cx.scalar(owner)), cx);
        let mode = mode(raw.mode, cx);
        let recursive = raw.recursive.is_some_and(|recursive| recursive.value);
        path(raw.path, "[[owner]]", table, cx).map(|path| Self::Owner { path, owner, mode, recursive })
    }

    pub(super) fn user(raw: raw::User, table: &Range<usize>, cx: &mut Checker) -> Option<Self> {
        let name = cx.required(raw.name, "name", "[[user]]", table);
        let uid = cx.required(raw.uid.as_ref(), "uid", "[[user]]", table).and_then(id);
        let gid = raw.gid.as_ref().and_then(id);
        cx.number(raw.uid.clone(), 0..=LAST_ID);
        cx.number(raw.gid.clone(), 0..=LAST_ID);
        let (home, shell) = (cx.keep(raw.home), cx.keep(raw.shell));
        for text in [&home, &shell].into_iter().flatten() {
            cx.literal(text, |text| v1::rooted(text).map(drop));
            cx.literal(text, field);
        }
        let name = cx.keep(name?);
        cx.literal(&name, v1::login);
        Some(Self::User { name, uid: uid?, gid, home, shell })
    }

    pub(super) fn group(raw: raw::Group, table: &Range<usize>, cx: &mut Checker) -> Option<Self> {
        let name = cx.required(raw.name, "name", "[[group]]", table);
        let gid = cx.required(raw.gid.as_ref(), "gid", "[[group]]", table).and_then(id);
        cx.number(raw.gid.clone(), 0..=LAST_ID);
        let name = cx.keep(name?);
        cx.literal(&name, v1::login);
        Some(Self::Group { name, gid: gid? })
    }

    pub(super) fn ca(raw: raw::Ca, table: &Range<usize>, cx: &mut Checker) -> Option<Self> {
        let from = cx.required(raw.from, "from", "[[ca]]", table)?;
        let from = cx.keep(from);
        cx.literal(&from, v1::beside);
        Some(Self::Ca { from })
    }
}

/// 2^32 - 1 is "leave it" to chown(2).
const LAST_ID: i64 = u32::MAX as i64 - 1;

fn id(number: &S<i64>) -> Option<u32> {
    u32::try_from(number.value).ok().filter(|id| *id != u32::MAX)
}

const FILE: &str = "[[file]]";

/// Whether a `[[file]]` has exactly one source.
fn one_source(raw: &raw::File, table: &Range<usize>, cx: &mut Checker) -> bool {
    let sources = [
        ("from", raw.from.is_some()),
        ("text", raw.text.is_some()),
        ("input", raw.input.is_some()),
        ("fetch", raw.fetch.is_some()),
        ("image", raw.image.is_some()),
        ("recipe", raw.recipe.is_some()),
    ];
    cx.exactly_one(&sources, FILE, table)
}

/// Checks the keys that only some sources have. `taken`: it isn't written in the recipe itself.
fn goes_with_source(raw: &raw::File, taken: bool, table: &Range<usize>, cx: &mut Checker) {
    let copied = raw.image.is_some() || raw.recipe.is_some();
    cx.needs(&[("path", range(&raw.path))], copied, &["image", "recipe"]);
    cx.needs(&[("sha256", range(&raw.sha256))], raw.fetch.is_some(), &["fetch"]);
    cx.needs(&[("unpack", range(&raw.unpack)), ("dir-mode", range(&raw.dir_mode))], taken, &["from"]);
    let lists = [("include", first(&raw.include)), ("exclude", first(&raw.exclude))];
    cx.needs(&lists, taken, &["from"]);
    if copied {
        cx.required(raw.path.as_ref(), "path", FILE, table);
    }
}

fn template(raw: S<Loose<Never>>, taken: bool, cx: &mut Checker) -> Template {
    match raw.value {
        Loose::Bool(false) => Template::Off,
        Loose::Bool(true) => Template::All,
        Loose::List(globs) => {
            cx.needs(&[("template", Some(raw.range))], taken, &["from"]);
            Template::Globs(cx.keep(globs))
        }
        other => {
            let (expected, found) = ("a boolean or a list of globs".into(), other.found());
            cx.fail(raw.range, ErrorKind::Type { expected, found });
            Template::Off
        }
    }
}

fn source(raw: &mut raw::File, cx: &mut Checker) -> Option<Source> {
    let input = literal(raw.input.take(), words::name, cx);
    let fetch = literal(raw.fetch.take(), url, cx);
    let sha256 = literal(raw.sha256.take(), |text| sha256(text).map(drop), cx);
    let image = literal(raw.image.take(), words::reference, cx);
    let recipe = literal(raw.recipe.take(), words::recipe_name, cx);
    let path = literal(raw.path.take(), |path| v1::rooted(path).map(drop), cx);
    if let Some(from) = raw.from.take() {
        return strings(from, cx).map(Source::From);
    }
    if let Some(text) = cx.keep(raw.text.take()) {
        return Some(Source::Text(text));
    }
    match (input, fetch, image, recipe, path) {
        (Some(name), ..) => Some(Source::Input(name)),
        (_, Some(url), ..) => Some(Source::Fetch { url, sha256 }),
        (_, _, Some(reference), _, Some(path)) => Some(Source::Image { reference, path }),
        (_, _, _, Some(name), Some(path)) => Some(Source::Recipe { name, path }),
        _ => None,
    }
}

/// A text that is checked where nothing is to be filled in.
fn literal(
    text: Option<S<String>>,
    check: fn(&str) -> Result<(), ErrorKind>,
    cx: &mut Checker,
) -> Option<Spanned<String>> {
    let text = cx.keep(text)?;
    cx.literal(&text, check);
    Some(text)
}

fn mtime(raw: S<Loose<toml::value::Datetime>>, cx: &mut Checker) -> Option<Mtime> {
    match &raw.value {
        Loose::Text(text) if text == "content" => Some(Mtime::Content),
        _ => cx.time(raw).map(Mtime::Seconds),
    }
}

impl File {
    fn check(&self, cx: &mut Checker) {
        cx.literal(&self.to, v1::rooted);
        owner(self.owner.clone(), cx);
        if let Source::From(from) = &self.source {
            for path in from {
                cx.literal(path, v1::beside);
                cx.literal(path, |path| if v1::has_magic(path) { glob(path) } else { Ok(()) });
            }
        }
        let templates: &[_] = if let Template::Globs(globs) = &self.template { globs } else { &[] };
        for pattern in self.include.iter().chain(&self.exclude) {
            cx.literal(pattern, |text| words::reaches(text, true).and_then(|()| glob(text)));
        }
        for pattern in templates {
            cx.literal(pattern, |text| words::reaches(text, false).and_then(|()| glob(text)));
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

/// Octal digits or a change in a string, or `0o644`: the integer 644 would be another mode than it looks like.
fn mode(raw: Option<S<Loose<Never>>>, cx: &mut Checker) -> Option<Mode> {
    let S { value, range } = raw?;
    let mode = match &value {
        Loose::Text(text) => Mode::parse(text),
        Loose::Int(number) if cx.text[range.clone()].starts_with("0o") => Mode::bits(*number),
        _ => None,
    };
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

/// Archives in archives: each is read while those in it are.
const MAX_STEPS: usize = 32;

/// How an archive is unpacked: `true` is whatever its first bytes show.
fn steps(raw: S<Loose<Never>>, cx: &mut Checker) -> Vec<Spanned<String>> {
    let steps = match raw.value {
        Loose::Bool(false) => return Vec::new(),
        Loose::Bool(true) => vec![cx.keep(S { value: "auto".to_owned(), range: raw.range })],
        Loose::Text(value) => vec![cx.keep(S { value, range: raw.range })],
        Loose::List(list) if !list.is_empty() => cx.keep(list),
        other => {
            let (expected, found) = ("a boolean, a format or a list of steps".into(), other.found());
            cx.fail(raw.range, ErrorKind::Type { expected, found });
            return Vec::new();
        }
    };
    if let Some(more) = steps.get(MAX_STEPS) {
        let why = format!("archives are unpacked out of each other at most {MAX_STEPS} deep");
        cx.read(more, |_| Err::<(), _>(ErrorKind::Steps { why }));
        return Vec::new();
    }
    let parsed: Vec<Option<Step>> = steps
        .iter()
        .map(|step| cx.read(step, |step| step.parse().map_err(|_| invalid(What::Unpack, step))))
        .collect();
    if let Some(all) = parsed.into_iter().collect::<Option<Vec<_>>>()
        && let Err(error) = check_steps(&all)
        && let Some(first) = steps.first()
    {
        cx.read(first, |_| Err::<(), _>(ErrorKind::Steps { why: error.to_string() }));
    }
    steps
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

fn glob(pattern: &str) -> Result<(), ErrorKind> {
    v1::glob(pattern).map(|_: Glob| ())
}
