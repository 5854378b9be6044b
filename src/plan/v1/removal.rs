//! Encoding 1: what a `[[remove]]` pattern matches in an external base: asked once, when locking, then read from the lock.

use super::view::{Last, View};
use super::{split_pattern, topmost};
use crate::layer::facts::Facts;
use crate::layer::merged::Merged;
use crate::plan::Fault;
use crate::recipe::has_magic;
use crate::tree::{FileTree, TreePath};

/// The topmost paths of a base that `pattern` matches, where they really lie. The pattern's directories without
/// wildcards are followed through links; what a wildcard matches is not.
///
/// # Errors
/// A pattern that can't be read.
pub(in crate::plan) fn matches_in_base(pattern: &str, base: &Merged) -> Result<Vec<TreePath>, Fault> {
    let (prefix, rest) = split_pattern(pattern)?;
    // A prefix that leads nowhere matches nothing.
    let Ok(prefix) = base.resolve(&prefix) else { return Ok(Vec::new()) };
    let matched = base
        .below(&prefix)
        .map(|(path, _)| path)
        .filter(|path| path.below(&prefix).is_some_and(|inner| rest.matches(inner)))
        .cloned()
        .collect();
    Ok(topmost(matched))
}

/// The pattern that means in the base what `pattern` means on top of its parents: one of them may have put a link on
/// the way. As it stands where nothing did.
pub(in crate::plan) fn pattern_in_base(pattern: &str, facts: &Facts, parents: &[&FileTree]) -> String {
    if parents.is_empty() {
        return pattern.to_owned();
    }
    let base = View::new(facts);
    let mut view = base.clone();
    parents.iter().for_each(|layer| view.apply(layer));
    let lies_elsewhere = || {
        let (prefix, rest) = split_pattern(pattern).ok()?;
        let lies = view.resolve(&prefix, Last::Follow).ok()?;
        let same = base.resolve(&prefix, Last::Follow).is_ok_and(|found| found == lies);
        // A name that no pattern could say stays as it is, and matches nothing.
        let text = std::str::from_utf8(lies.as_bytes()).ok()?;
        (!same && !text.split('/').any(has_magic)).then(|| format!("/{text}/{}", rest.as_str()))
    };
    lies_elsewhere().unwrap_or_else(|| pattern.to_owned())
}
