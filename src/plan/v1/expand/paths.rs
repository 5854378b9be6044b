//! Paths and patterns as texts.

use std::collections::BTreeMap;

use crate::plan::Fault;
use crate::recipe::Glob;
use crate::tree::TreePath;

pub(super) fn parse(path: &str) -> Result<TreePath, Fault> {
    TreePath::parse(path.as_bytes()).map_err(|source| Fault::Path { path: path.to_owned(), source })
}

/// A pattern's directory without wildcards, and the rest.
pub(crate) fn split_pattern(pattern: &str) -> Result<(TreePath, Glob), Fault> {
    let bad = || Fault::Pattern { pattern: pattern.to_owned() };
    let components: Vec<&str> = pattern.split('/').filter(|component| !component.is_empty()).collect();
    let literal = components.iter().take_while(|component| !crate::recipe::has_magic(component)).count();
    let literal = literal.min(components.len().saturating_sub(1));
    let prefix = parse(&components[..literal].join("/"))?;
    Ok((prefix, Glob::parse(&components[literal..].join("/")).map_err(|_| bad())?))
}

/// Leaves out what lies below another path of the sorted list.
pub(crate) fn topmost(sorted: Vec<TreePath>) -> Vec<TreePath> {
    let all: BTreeMap<TreePath, ()> = sorted.iter().map(|path| (path.clone(), ())).collect();
    sorted.into_iter().filter(|path| !path.is_below_one(&all)).collect()
}
