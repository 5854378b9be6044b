//! `[[edit]]` and `[[owner]]` on what entries before them write: it changes where it stands, in that entry's layer.

use std::collections::{BTreeMap, BTreeSet};

use super::work::Work;
use super::writer::time;
use crate::plan::Fault;
use crate::plan::v1::changes::{self, Given};
use crate::plan::v1::layers::{Claim, Unit};
use crate::plan::view::{Found, Last};
use crate::recipe::{Change, ResolvedAction, ResolvedEntry, SourcePath};
use crate::tree::{Attributes, Content, Kind, TreePath};

/// Where a path of this recipe leads, links followed.
fn place(work: &Work<'_>, path: &SourcePath) -> Option<TreePath> {
    let path = TreePath::parse(path.key.name().as_bytes()).ok()?;
    work.view.resolve(&path, Last::Follow).or_else(|_| work.view.resolve(&path, Last::Keep)).ok()
}

/// The file that a name of it means.
fn file_of(unit: &Unit, at: &TreePath) -> TreePath {
    match unit.nodes.get(at).map(|node| &node.kind) {
        Some(Kind::HardLink(target)) => target.clone(),
        _ => at.clone(),
    }
}

/// Changes the text of a file that an entry before the one with this number writes; false if none does.
pub(super) fn edit(
    work: &mut Work<'_>,
    entries: &[ResolvedEntry],
    units: &mut [Unit],
    number: usize,
    path: &SourcePath,
    change: &Change,
) -> Result<bool, Fault> {
    let Some(at) = place(work, path) else { return Ok(false) };
    let Some(holder) = units.iter().position(|unit| unit.nodes.contains_key(&at)) else { return Ok(false) };
    let not_yet = || Fault::WrittenLater { path: at.clone(), other: Some(entries[holder].at.clone()) };
    if holder > number {
        return Err(not_yet());
    }
    let file = file_of(&units[holder], &at);
    let node = units[holder].nodes.get_mut(&file).filter(|node| matches!(node.kind, Kind::File(_)));
    let not_a_file = || Fault::NotAFile { path: path.key.name().to_owned() };
    let node = node.ok_or_else(not_a_file)?;
    let Kind::File(content) = &node.kind else { return Err(not_a_file()) };
    let mut text = match work.made.get(content) {
        Some(text) => text.clone(),
        None => (work.cx.read)(content)?,
    };
    changes::edit(&mut text, change)?;
    let content = Content::of(&text);
    work.made.insert(content, text);
    node.kind = Kind::File(content);
    if let ResolvedAction::File(file) = &entries[holder].action {
        node.mtime = time(file, work.cx.epoch, Some(&content));
    }
    Ok(true)
}

/// Gives owner and mode to what entries before the one with this number write; false if none of it is theirs.
pub(super) fn give(
    work: &Work<'_>,
    units: &mut [Unit],
    number: usize,
    path: &SourcePath,
    given: &Given<'_>,
) -> bool {
    let Some(at) = place(work, path) else { return false };
    let meant = |path: &TreePath| *path == at || (given.recursive && path.starts_with(&at));
    let mut found = false;
    for unit in &mut units[..number] {
        // Of several names of a file one may be meant: it is the file that is given away.
        let mut files: BTreeMap<TreePath, bool> = BTreeMap::new();
        for path in unit.nodes.keys().filter(|path| meant(path)) {
            *files.entry(file_of(unit, path)).or_default() |= *path == at;
        }
        found |= !files.is_empty();
        for (path, named) in &files {
            if let Some(node) = unit.nodes.get_mut(path) {
                given.to(&mut node.attributes, &node.kind, *named);
            }
        }
        let changed: Vec<(TreePath, Attributes)> = files
            .keys()
            .filter_map(|path| Some((path.clone(), unit.nodes.get(path)?.attributes.clone())))
            .collect();
        for node in unit.nodes.values_mut() {
            if let Kind::HardLink(target) = &node.kind
                && let Some((_, attributes)) = changed.iter().find(|(path, _)| path == target)
            {
                node.attributes.clone_from(attributes);
            }
        }
    }
    for directory in directories(work, &units[..number], &meant) {
        found = true;
        give_directory(work, units, number, &directory, given, directory == at);
    }
    found
}

/// The directories that entries make, or set.
fn directories(work: &Work<'_>, units: &[Unit], meant: &dyn Fn(&TreePath) -> bool) -> BTreeSet<TreePath> {
    let mut found = BTreeSet::new();
    for unit in units {
        let made = |path: &TreePath| {
            meant(path) && !path.is_root() && !matches!(work.ground.lookup(path), Found::Directory(_))
        };
        let written = unit.nodes.keys().chain(unit.directories.keys());
        found.extend(written.flat_map(TreePath::ancestors).filter(made));
        let set =
            unit.directories.iter().filter(|(path, claim)| meant(path) && (claim.explicit || made(path)));
        found.extend(set.map(|(path, _)| path.clone()));
    }
    found
}

fn give_directory(
    work: &Work<'_>,
    units: &mut [Unit],
    number: usize,
    path: &TreePath,
    given: &Given<'_>,
    named: bool,
) {
    let kind = Kind::Directory { opaque: false };
    let claims = || units[..number].iter().filter_map(|unit| unit.directories.get(path));
    let said = claims().find(|claim| claim.explicit).or_else(|| claims().next());
    let mut attributes = match (said, work.view.lookup(path)) {
        (Some(claim), _) => claim.attributes.clone(),
        (None, Found::Directory(attributes)) => attributes,
        (None, _) => Attributes::new(0o755),
    };
    given.to(&mut attributes, &kind, named);
    let mut explicit = false;
    for claim in units[..number].iter_mut().filter_map(|unit| unit.directories.get_mut(path)) {
        claim.attributes.clone_from(&attributes);
        explicit |= claim.explicit;
    }
    if !explicit {
        // As a `[[dir]]`: whatever later entries would make of it.
        let claim = Claim { attributes, explicit: true, mtime: work.cx.epoch };
        units[number].directories.insert(path.clone(), claim);
    }
}
