//! Open inputs: what is known of a recipe before they are given, and what follows from them.
//!
//! Owns that no lock says anything that depends on an open input, be it one of the recipe's own or of one below it.

use super::computed::Computed;
use super::draft::{Grounded, Work};
use super::lacking::Lacking;
use crate::tree::SourceKey;
use crate::work::Error;
use crate::work::sources::{is_given, lies};
use crate::workspace::Target;

/// The open inputs that a recipe takes, itself or through one below it, and that aren't there.
pub(super) fn lacking(work: &Work<'_, '_>, variants: &[Grounded]) -> Result<Vec<Lacking>, Error> {
    let mut found: Vec<Lacking> = Vec::new();
    for variant in variants {
        for path in variant.draft.paths.iter().flatten() {
            let SourceKey::Input { name, .. } = &path.key else { continue };
            if !variant.draft.recipe.is_open_input(name)
                || found.iter().any(|known| known.name == *name)
                || is_given(work.checkout(), name)
                || lies(work.checkout(), path)?.is_some()
            {
                continue;
            }
            found.push(Lacking {
                recipe: work.target.clone(),
                name: name.clone(),
                at: path.at.clone(),
                made_by: path.made_by.clone(),
            });
        }
    }
    for lacking in work.others.values().flat_map(|other| &other.lacks) {
        if !found.contains(lacking) {
            found.push(lacking.clone());
        }
    }
    Ok(found)
}

/// The recipe that a source is taken out of.
fn other<'w>(work: &'w Work<'_, '_>, key: &SourceKey) -> Option<&'w Computed> {
    let name = match key {
        SourceKey::Recipe { recipe, .. } => recipe.as_str(),
        SourceKey::Base { on, .. } => on.split_once('#')?.0,
        SourceKey::Files(_) | SourceKey::Fetch { .. } | SourceKey::Input { .. } | SourceKey::Image { .. } => {
            return None;
        }
    };
    work.others.get(&name.parse::<Target>().ok()?).map(|other| &**other)
}

/// Whether nobody can tell now what a source holds.
pub(super) fn is_lacking(work: &Work<'_, '_>, key: &SourceKey, lacks: &[Lacking]) -> bool {
    match key {
        SourceKey::Input { name, .. } => {
            lacks.iter().any(|lacking| lacking.recipe == *work.target && lacking.name == *name)
        }
        key => other(work, key).is_some_and(|other| !other.lacks.is_empty()),
    }
}

/// Whether no lock says what a source holds.
pub(super) fn is_open(work: &Work<'_, '_>, key: &SourceKey, variants: &[Grounded]) -> bool {
    match key {
        SourceKey::Input { name, .. } => {
            variants.iter().any(|variant| variant.draft.recipe.is_open_input(name))
        }
        key => other(work, key).is_some_and(|other| !other.open.is_empty()),
    }
}
