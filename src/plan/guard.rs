//! What is refused although it could be built: policy, never a reason for other bytes.

use std::collections::BTreeSet;

use super::v1::view::{Found, View};
use super::v1::{Expanded, Unit};
use super::{Error, Fault};
use crate::layer::v1::xattrs::never_emitted;
use crate::recipe::{At, Resolved, ResolvedAction, ResolvedEntry};
use crate::tree::TreePath;

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
