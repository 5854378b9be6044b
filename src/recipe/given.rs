//! `[vars]` of a stack (`recipes/STACK/stack.toml`) and of the workspace (`cooper.toml`): what its recipes read as their own.
//!
//! A recipe's own value wins; one that it declares with `set = true`, or not at all, comes from its stack, else from the
//! workspace. No byte but those of the values reaches an image: a recipe that names none of them is what it was.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::mentions::mentioned;
use super::patch::Var;
use super::{Evaluated, Spanned};
use crate::digest::Digest;

/// What one file gives.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    pub(super) file: Arc<str>,
    pub(super) text: Arc<str>,
    pub(super) common: Vars,
    pub(super) variants: BTreeMap<String, Vars>,
}

pub(super) type Vars = BTreeMap<String, Spanned<Var>>;

impl Given {
    pub(super) fn is_empty(&self) -> bool {
        self.common.is_empty() && self.variants.values().all(BTreeMap::is_empty)
    }

    fn vars(&self, variant: &str) -> Vars {
        let mut vars = self.common.clone();
        vars.extend(self.variants.get(variant).into_iter().flat_map(Clone::clone));
        vars
    }
}

/// Fills in what `vars` leaves to whoever stands outside.
fn fill(vars: &mut Vars, outer: Vars) {
    for (name, given) in outer {
        match vars.get_mut(&name) {
            None => drop(vars.insert(name, given)),
            // A default is for when nobody says anything.
            Some(Spanned { value: Var::Set { default }, at }) => {
                if let Var::Value(text) | Var::Set { default: Some(text) } = given.value {
                    (*default, *at) = (Some(text), given.at);
                }
            }
            Some(_) => {}
        }
    }
}

/// Fills in a variant's variables, from the nearest of `given`, which is the last.
pub(super) fn apply(given: &[Arc<Given>], evaluated: &mut Evaluated) {
    let mut outer = Vars::new();
    for file in given {
        let mut vars = file.vars(&evaluated.variant);
        fill(&mut vars, outer);
        outer = vars;
        evaluated.texts.insert(Arc::clone(&file.file), Arc::clone(&file.text));
    }
    fill(&mut evaluated.vars, outer);
}

/// A digest of each value that comes from one of the files and that `used` names, itself or by another one's value. By
/// `FILE NAME`, over all variants.
pub(super) fn sections(
    given: &[Arc<Given>],
    variants: &[&Evaluated],
    used: &BTreeSet<String>,
) -> BTreeMap<String, Digest> {
    let mut texts: BTreeMap<String, String> = BTreeMap::new();
    for variant in variants {
        let mut todo: Vec<String> = used.iter().cloned().collect();
        let mut seen: BTreeSet<String> = used.clone();
        while let Some(name) = todo.pop() {
            let Some(var) = variant.vars.get(&name) else { continue };
            let (Var::Value(text) | Var::Set { default: Some(text) }) = &var.value else { continue };
            let mut names = BTreeSet::new();
            mentioned(text, &mut names);
            todo.extend(names.into_iter().filter(|name| seen.insert(name.clone())));
            if given.iter().any(|file| file.file == var.at.file) {
                let all = texts.entry(format!("{} {name}", var.at.file)).or_default();
                // With lengths, so that nothing can be mistaken for anything.
                all.push_str(&format!("{}:{}{}:{text}", variant.variant.len(), variant.variant, text.len()));
            }
        }
    }
    texts.into_iter().map(|(key, text)| (key, Digest::of(text.as_bytes()))).collect()
}

/// The variable that a section's key speaks of, and its file, if it is one of those above.
pub fn given_section(key: &str) -> Option<(&str, &str)> {
    let (file, name) = key.split_once(' ')?;
    let stack = file.strip_prefix("recipes/").and_then(|file| file.strip_suffix("/stack.toml"));
    (file == "cooper.toml" || stack.is_some_and(|stack| !stack.contains('/'))).then_some((file, name))
}
