//! Encoding 1: from a recipe's entries and its sources to units of resolved paths.
//!
//! Owns what an entry means: which paths it writes, with which attributes, what it takes away; and in which order
//! entries are read. [`Work`] knows what stands where, [`Writer`] writes a `[[file]]`, `conflicts` refuses two entries
//! on one path. The result decides bytes: never edited once encoding 1 is frozen, only added beside.

mod conflicts;
mod own;
mod paths;
mod work;
mod writer;

use std::collections::BTreeMap;

use self::conflicts::conflicts;
use self::work::Work;
use self::writer::Writer;
use super::changes::{Changes, Given};
use super::context::Context;
use super::layers::Unit;
use super::users::{Users, is_user};
use crate::plan::view::Found;
use crate::plan::{Error, Fault};
use crate::recipe::{At, ResolvedAction, ResolvedEntry, ResolvedFile, ResolvedSource};
use crate::tree::{Content, SourceKey, TreePath};

pub(crate) use self::paths::{split_pattern, topmost};

/// What the entries amount to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Expanded {
    /// One for each entry that does something, in order.
    pub(crate) units: Vec<Unit>,
    /// Where each unit was written.
    pub(crate) at: Vec<At>,
    /// Contents that no source file has: rendered templates and `text`.
    pub(crate) made: BTreeMap<Content, Vec<u8>>,
    /// Users and groups of the image, where the recipe adds some.
    pub(crate) users: Option<Users>,
}

/// Expands all entries of one variant on one platform.
pub(crate) fn expand(entries: &[ResolvedEntry], cx: &Context<'_>) -> Result<Expanded, Vec<Error>> {
    let mut work = Work::new(cx);
    let mut units: Vec<Unit> = entries.iter().map(unit).collect();
    let mut errors = Vec::new();
    // First of all: they may own what the others write.
    for entry in entries {
        note(&mut errors, entry, work.users.add(&entry.action));
    }
    take_turns(&mut work, entries, &mut units, &mut errors);
    if let Some(first) = entries.iter().position(|entry| is_user(&entry.action)) {
        note(&mut errors, &entries[first], work.write_users(&mut units[first]));
    }
    change(&mut work, entries, &mut units, &mut errors);
    hard_links(&mut work, entries, &mut units, &mut errors);
    errors.extend(conflicts(entries, &units));
    if !errors.is_empty() {
        return Err(errors);
    }
    let users = entries.iter().any(|entry| is_user(&entry.action)).then_some(work.users);
    let mut expanded = Expanded { made: work.made, users, ..Expanded::default() };
    for (entry, unit) in entries.iter().zip(units) {
        if unit.nodes.is_empty() && unit.directories.is_empty() && unit.removes.is_empty() {
            continue;
        }
        expanded.at.push(entry.at.clone());
        expanded.units.push(unit);
    }
    Ok(expanded)
}

fn note(errors: &mut Vec<Error>, entry: &ResolvedEntry, done: Result<(), Fault>) {
    errors.extend(done.err().map(|fault| Error { at: entry.at.clone(), fault }));
}

fn unit(entry: &ResolvedEntry) -> Unit {
    let alone = matches!(&entry.action, ResolvedAction::File(file) if stands_alone(file));
    Unit { layer: entry.layer.clone(), alone, ..Unit::default() }
}

/// Whether an entry has a layer of its own: what comes from elsewhere moves by itself, and is large.
fn stands_alone(file: &ResolvedFile) -> bool {
    match &file.source {
        ResolvedSource::From(paths) => paths.iter().any(|path| match path.key {
            SourceKey::Fetch { .. } | SourceKey::Input { .. } | SourceKey::Image { .. } => true,
            SourceKey::Files(_) | SourceKey::Recipe { .. } | SourceKey::Base { .. } => false,
        }),
        ResolvedSource::Text(_) => false,
    }
}

/// What is taken away goes first, then links, so that later paths lead where they will lead in the image. Then what
/// `replace` takes away, so that no entry counts on it whichever stands first in the recipe.
fn take_turns(work: &mut Work<'_>, entries: &[ResolvedEntry], units: &mut [Unit], errors: &mut Vec<Error>) {
    for turn in [Turn::Remove, Turn::Link, Turn::Replace, Turn::Rest] {
        for (entry, unit) in entries.iter().zip(&mut *units).filter(|(entry, _)| turn.takes(entry)) {
            note(errors, entry, turn.act(work, &entry.action, unit));
        }
        if turn == Turn::Remove {
            work.go_without(units);
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    Remove,
    Link,
    Replace,
    Rest,
}

impl Turn {
    fn takes(self, entry: &ResolvedEntry) -> bool {
        match (&entry.action, self) {
            (ResolvedAction::Remove { .. }, Self::Remove) | (ResolvedAction::Link { .. }, Self::Link) => true,
            (ResolvedAction::File(file), Self::Replace) => file.replace,
            (ResolvedAction::Remove { .. }, Self::Rest) => false,
            (_, Self::Rest) => true,
            _ => false,
        }
    }

    fn act(self, work: &mut Work<'_>, action: &ResolvedAction, unit: &mut Unit) -> Result<(), Fault> {
        match action {
            ResolvedAction::File(file) if self == Self::Replace => work.replace(file, unit),
            ResolvedAction::File(file) => Writer::new(work, file, unit)?.write(),
            // Whether a link stands on a directory is known when `replace` has taken away what it does.
            ResolvedAction::Link { hard: false, .. } if self == Self::Rest => {
                unit.nodes.keys().try_for_each(|path| work.not_on_a_directory(path))
            }
            ResolvedAction::Link { path, target, hard: false } => work.link(path, target, unit),
            ResolvedAction::Remove { glob, missing_ok } => work.remove(glob.as_str(), *missing_ok, unit),
            ResolvedAction::Dir { path, mode, owner } => {
                work.directory(path, mode.as_ref(), owner.as_deref(), unit)
            }
            // These change what others have written, or stand in files that all of them share.
            ResolvedAction::Link { hard: true, .. }
            | ResolvedAction::User { .. }
            | ResolvedAction::Group { .. }
            | ResolvedAction::Edit { .. }
            | ResolvedAction::Owner { .. }
            | ResolvedAction::Ca { .. } => Ok(()),
        }
    }
}

/// Second names of what the others wrote.
fn hard_links(work: &mut Work<'_>, entries: &[ResolvedEntry], units: &mut [Unit], errors: &mut Vec<Error>) {
    let hard = |entry: &&ResolvedEntry| matches!(entry.action, ResolvedAction::Link { hard: true, .. });
    if !entries.iter().any(|entry| hard(&entry)) {
        return;
    }
    // The first unit that has each path.
    let mut holders = BTreeMap::new();
    for (number, unit) in units.iter().enumerate() {
        for path in unit.nodes.keys() {
            holders.entry(path.clone()).or_insert(number);
        }
    }
    for entry in entries.iter().filter(hard) {
        if let ResolvedAction::Link { path, target, .. } = &entry.action {
            note(errors, entry, work.hard_link(path, target, units, &mut holders));
        }
    }
}

/// Changes what entries before have written, and what stands below.
fn change(work: &mut Work<'_>, entries: &[ResolvedEntry], units: &mut [Unit], errors: &mut Vec<Error>) {
    let mut changes = Changes::new(work.cx);
    for (number, entry) in entries.iter().enumerate() {
        let done = match &entry.action {
            ResolvedAction::Edit { path, change } => own::edit(work, entries, units, number, path, change)
                .and_then(|done| if done { Ok(()) } else { changes.edit(number, path, change) }),
            ResolvedAction::Ca { from, bundles } => changes.add_certificates(number, from, bundles),
            ResolvedAction::Owner { path, owner, mode, recursive } => {
                let ids = owner.as_ref().map(|owner| work.users.owner(owner)).transpose();
                ids.and_then(|ids| {
                    let given = Given { ids, mode: mode.as_ref(), recursive: *recursive };
                    let found = own::give(work, units, number, path, &given);
                    // What the recipe writes itself, or takes away, is no longer what stands below.
                    let covered = |at: &TreePath, named: bool| {
                        let set = |unit: &Unit| unit.directories.get(at).is_some_and(|claim| claim.explicit);
                        units.iter().any(|unit| unit.nodes.contains_key(at) || set(unit))
                            || (!named && work.ground.lookup(at) == Found::Nothing)
                    };
                    changes.give(number, path, &given, &covered, found)
                })
            }
            _ => Ok(()),
        };
        note(errors, entry, done);
    }
    changes.write(units, &mut work.made);
}
