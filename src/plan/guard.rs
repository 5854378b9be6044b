//! What is refused although it could be built: policy, never a reason for other bytes.

use std::collections::BTreeSet;

use super::v1::view::{Found, View};
use super::v1::{Expanded, Unit};
use super::{Error, Fault, Stage};
use crate::layer::facts::{Facts, UserDatabase};
use crate::layer::v1::xattrs::never_emitted;
use crate::recipe::{At, Resolved, ResolvedAction, ResolvedEntry};
use crate::tree::{Content, Kind, Node, TreePath};

/// Entries below volumes or files of the base, and attributes that vanish.
pub(super) fn check(
    recipe: &Resolved,
    expanded: &Expanded,
    below: &View<'_>,
    volumes: &[TreePath],
    is_base_file: &dyn Fn(&TreePath) -> bool,
) -> Vec<Error> {
    let mut errors = Vec::new();
    let may = |at: &At| recipe.entries.iter().any(|entry| entry.at == *at && entry.below_volume);
    for (unit, at) in expanded.units.iter().zip(&expanded.at) {
        // Few are asked for: each is looked for among all.
        let volume = below_volume(unit, volumes).filter(|_| !may(at));
        let file = below_file(unit, below, is_base_file, &expanded.units);
        for fault in volume.into_iter().chain(file).chain(too_long(unit)) {
            errors.push(Error { at: at.clone(), fault });
        }
    }
    errors.extend(recipe.entries.iter().flat_map(never_written));
    errors
}

/// What a base has of these is its machine's; who writes them down means something by it.
fn never_written(entry: &ResolvedEntry) -> impl Iterator<Item = Error> {
    let file = match &entry.action {
        ResolvedAction::File(file) => Some(file),
        _ => None,
    };
    let names = file.into_iter().flat_map(|file| file.xattrs.keys());
    names
        .filter(|name| never_emitted(name.as_bytes()))
        .map(|name| Error { at: entry.at.clone(), fault: Fault::NeverWritten { name: name.clone() } })
}

/// A user or group that the image is said to run as, and that nobody has: no container of it would start. `facts` are what is
/// known with the users that the recipe adds, if it adds any.
pub(super) fn unknown_user(stage: &Stage<'_>, expanded: &Expanded, facts: Option<&Facts>) -> Vec<Error> {
    let Some(text) = &stage.recipe.config.user else { return Vec::new() };
    let facts = facts.unwrap_or(stage.facts);
    // What a recipe writes over the whole file, nobody has read.
    let rewritten = |database: Option<&UserDatabase>, path: &str| {
        let own = |path: &TreePath| expanded.units.iter().any(|unit| unit.nodes.contains_key(path));
        // A parent's own users are known; a file that it brings isn't.
        let known = database.map(|database| Content::of(&database.bytes));
        let is_other = |node: &Node| !matches!(&node.kind, Kind::File(content) if Some(*content) == known);
        let parents = |path: &TreePath| {
            stage.parents.iter().rev().find_map(|tree| tree.get(path)).is_some_and(is_other)
        };
        let usual = TreePath::parse(path.as_bytes()).ok();
        let paths = database.map(|database| database.path.clone()).into_iter().chain(usual);
        let users = |path: &TreePath| expanded.users.is_none() && own(path);
        paths.into_iter().any(|path| users(&path) || parents(&path))
    };
    let names = |database: Option<&UserDatabase>| {
        let lines = database.iter().flat_map(|database| database.bytes.split(|byte| *byte == b'\n'));
        let names =
            lines.filter_map(|line| line.split(|byte| *byte == b':').next().filter(|name| !name.is_empty()));
        let names = names.filter(|name| !name.trim_ascii_start().starts_with(b"#"));
        names.map(|name| String::from_utf8_lossy(name).into_owned()).collect::<Vec<_>>()
    };
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (user, group) = text.split_once(':').map_or((text.as_str(), ""), |(user, group)| (user, group));
    let mut errors = Vec::new();
    let mut fail = |fault| errors.push(Error { at: text.at.clone(), fault });
    let passwd = facts.passwd.as_ref();
    if !is_number(user) && facts.user(user.as_bytes()).is_none() && !rewritten(passwd, "etc/passwd") {
        fail(Fault::UnknownUser { name: user.to_owned(), known: names(passwd) });
    }
    let database = facts.group.as_ref();
    if !is_number(group) && facts.group(group.as_bytes()).is_none() && !rewritten(database, "etc/group") {
        fail(Fault::UnknownGroup { name: group.to_owned(), known: names(database) });
    }
    errors
}

fn written(unit: &Unit) -> impl Iterator<Item = &TreePath> {
    unit.nodes.keys().chain(unit.directories.keys())
}

/// The most bytes that a file system takes as one name, and as a whole path.
const LONGEST: [usize; 2] = [TreePath::LONGEST_NAME, TreePath::LONGEST];

/// A name that no engine could give a file; it may come from a URL or an archive.
fn too_long(unit: &Unit) -> Option<Fault> {
    written(unit).find_map(|path| {
        let name = path.components().map(<[u8]>::len).max().unwrap_or_default();
        let whole = path.as_bytes().len();
        let (length, most) = [name, whole].into_iter().zip(LONGEST).find(|(length, most)| length > most)?;
        let path = path.as_bytes().escape_ascii().to_string();
        let start = format!("/{}…", path.chars().take(60).collect::<String>());
        Some(Fault::TooLong { start, length, most })
    })
}

fn below_volume(unit: &Unit, volumes: &[TreePath]) -> Option<Fault> {
    written(unit).find_map(|path| {
        let volume = volumes.iter().find(|volume| path.starts_with(volume) && path != *volume)?;
        Some(Fault::BelowVolume { path: path.clone(), volume: volume.clone() })
    })
}

/// A directory is needed where the base has a file that nothing takes away.
fn below_file(
    unit: &Unit,
    below: &View<'_>,
    is_base_file: &dyn Fn(&TreePath) -> bool,
    units: &[Unit],
) -> Option<Fault> {
    let removed = |path: &TreePath| {
        let taken =
            |unit: &Unit| unit.removes.contains_key(path) || path.above(&unit.removes).next().is_some();
        units.iter().any(taken)
    };
    let is_file =
        |path: &TreePath| below.lookup(path) == Found::Unknown && is_base_file(path) && !removed(path);
    let fault = |path: &TreePath, file: TreePath| Fault::BelowBaseFile { path: path.clone(), file };
    // Of a directory that was looked at all those above were.
    let mut seen: BTreeSet<TreePath> = BTreeSet::new();
    written(unit).find_map(|path| {
        let own = unit.directories.contains_key(path).then(|| path.clone());
        let mut above = own.into_iter().chain(path.ancestors()).take_while(|path| seen.insert(path.clone()));
        above.find(is_file).map(|file| fault(path, file))
    })
}
