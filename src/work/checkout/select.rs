//! Which recipes a command means: targets, stacks, globs, and the part of them that is this machine's.
//!
//! With `--shard` several machines build one workspace. Which recipe is whose depends on the names that are selected
//! alone. A recipe's parents are built by whoever needs them: their digests are the same everywhere.

use std::collections::BTreeMap;
use std::str::FromStr;

use crate::recipe::WorkspaceFile;
use crate::work::Error;
use crate::workspace::{Target, TargetPattern, Workspace};

/// Which recipes are meant.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// `stack/name[#variant]`, stacks, globs. Empty: the workspace's default.
    pub targets: Vec<String>,
    /// Every recipe.
    pub all: bool,
}

impl Selection {
    /// Whether a recipe is asked for by its own name.
    pub(crate) fn names(&self, target: &Target) -> bool {
        let target = target.to_string();
        self.targets.iter().any(|text| text.split(['#', '@']).next() == Some(target.as_str()))
    }

    /// One target.
    pub(crate) fn one(target: impl Into<String>) -> Self {
        Self { targets: vec![target.into()], all: false }
    }
}

/// The selected recipes, each with the variants that were asked for (empty: all).
pub(super) fn select(
    workspace: &Workspace,
    file: &WorkspaceFile,
    selection: &Selection,
) -> Result<BTreeMap<Target, Vec<String>>, Error> {
    let known = workspace.recipes()?;
    let patterns: Vec<String> = match (selection.all, selection.targets.is_empty()) {
        (false, false) => selection.targets.clone(),
        (false, true) if !file.default.is_empty() => {
            file.default.iter().map(|pattern| pattern.value.clone()).collect()
        }
        // Not one by one: each pattern looks at every recipe.
        _ => return Ok(known.into_iter().map(|target| (target, Vec::new())).collect()),
    };
    let mut selected: BTreeMap<Target, Vec<String>> = BTreeMap::new();
    for pattern in &patterns {
        for found in TargetPattern::parse(pattern)?.select(&known)? {
            if found.revision.is_some() {
                let why =
                    "this version of cooper can't build a revision (@) yet; a variant stands behind a #";
                return Err(Error::usage(format!("{pattern}: {why}")));
            }
            let first = !selected.contains_key(&found.target);
            let variants = selected.entry(found.target).or_default();
            match found.variant {
                // Asked for as a whole, now or before.
                None => variants.clear(),
                Some(_) if !first && variants.is_empty() => {}
                Some(name) if file.variants.contains(&name) => variants.push(name),
                Some(name) => return Err(Error::NoVariant { name, known: file.variants.clone() }),
            }
        }
    }
    Ok(selected)
}

/// One part of a selection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shard {
    /// From 1.
    part: usize,
    of: usize,
}

/// Not a part of anything.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is not a part: expected one like 2/4, the second of four")]
pub struct ParseShardError {
    text: String,
}

impl FromStr for Shard {
    type Err = ParseShardError;

    fn from_str(text: &str) -> Result<Self, ParseShardError> {
        let numbers =
            text.split_once('/').and_then(|(part, of)| Some((part.parse().ok()?, of.parse().ok()?)));
        match numbers {
            Some((part, of)) if (1..=of).contains(&part) && of <= 10_000 => Ok(Self { part, of }),
            _ => Err(ParseShardError { text: text.to_owned() }),
        }
    }
}

impl Shard {
    /// Takes every n-th: neighbours by name, which often cost alike, go to different machines.
    pub(crate) fn of<K: Ord, V>(shard: Option<Self>, all: BTreeMap<K, V>) -> BTreeMap<K, V> {
        let Some(Self { part, of }) = shard else { return all };
        all.into_iter().skip(part - 1).step_by(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_built_once() {
        let all: BTreeMap<u32, ()> = (0..10).map(|number| (number, ())).collect();
        let of =
            |text: &str| Shard::of(Some(text.parse().unwrap()), all.clone()).into_keys().collect::<Vec<_>>();
        assert_eq!((of("1/3"), of("2/3"), of("3/3")), (vec![0, 3, 6, 9], vec![1, 4, 7], vec![2, 5, 8]));
        assert_eq!((of("1/1").len(), of("20/20").len()), (10, 0));
        for bad in ["", "1", "0/2", "3/2", "1/0", "a/b", "-1/2", "1/2/3", "1/100000"] {
            assert!(bad.parse::<Shard>().is_err(), "{bad}");
        }
    }
}
