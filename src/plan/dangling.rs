//! Symbolic links of the checkout that lead to nothing in the image: a warning, never a reason for other bytes.

use super::stage::Stage;
use super::v1::view::{Found, Last};
use super::v1::{Expanded, view_with};
use crate::recipe::{ResolvedAction, ResolvedEntry, ResolvedSource};
use crate::tree::{Kind, TreePath};

/// What engines and machines fill in when a container starts.
const MADE_LATER: [&[u8]; 5] = [b"proc", b"sys", b"dev", b"run", b"tmp"];

/// A link, and where it leads.
pub type Dangling = (TreePath, Vec<u8>);

/// The links that entries take from the checkout and that lead nowhere. `may_be_base_file` tells whether the base may have
/// something that is no directory at a path that its facts don't name.
pub(super) fn dangling(
    expanded: &Expanded,
    stage: &Stage<'_>,
    may_be_base_file: &dyn Fn(&TreePath) -> bool,
) -> Vec<Dangling> {
    let mut found = Vec::new();
    let mut view = None;
    for (unit, at) in expanded.units.iter().zip(&expanded.at) {
        if !stage.recipe.entries.iter().any(|entry| entry.at == *at && is_of_the_checkout(entry)) {
            continue;
        }
        for (path, node) in &unit.nodes {
            let Kind::Symlink(target) = &node.kind else { continue };
            let Some(leads) = lexically(path, target) else { continue };
            if leads.is_root() || MADE_LATER.iter().any(|top| leads.components().next() == Some(top)) {
                continue;
            }
            let view = view.get_or_insert_with(|| view_with(stage, &expanded.units));
            let above = view.resolve(&leads.parent().unwrap_or_default(), Last::Follow);
            let there = above.is_ok_and(|above| {
                let place = above.join(leads.name());
                match view.lookup(&place) {
                    Found::Nothing => false,
                    Found::Unknown => may_be_base_file(&place),
                    Found::Directory(_) | Found::Link(_) | Found::File => true,
                }
            });
            if !there {
                found.push((path.clone(), target.clone()));
            }
        }
    }
    found
}

fn is_of_the_checkout(entry: &ResolvedEntry) -> bool {
    match &entry.action {
        ResolvedAction::File(file) => match &file.source {
            ResolvedSource::From(paths) => paths.iter().any(|path| path.key.plain().is_some()),
            ResolvedSource::Text(_) => false,
        },
        _ => false,
    }
}

/// Where a link at `path` leads, as far as its own text says it.
fn lexically(path: &TreePath, target: &[u8]) -> Option<TreePath> {
    let mut at = if target.starts_with(b"/") { TreePath::root() } else { path.parent().unwrap_or_default() };
    for name in target.split(|&byte| byte == b'/') {
        at = match name {
            b"" | b"." => continue,
            b".." => at.parent().unwrap_or_default(),
            name => at.child(name)?,
        };
    }
    Some(at)
}
