//! From a resolved recipe to the layers and the configuration that it adds: what to build, not the building.
//!
//! Owns the meaning of entries over a base that is known by its facts alone, the split over layers, and the guards
//! of design section 3.3 that need to know what stands below. Pure: templates are rendered in memory, contents are
//! named by digest, and [`bytes that no source has`](Plan::made) travel with the plan. What decides bytes is in
//! `v1`; guards are policy and stay outside, so that a sharper one never makes an old lock unbuildable.

mod dangling;
mod error;
mod guard;
mod stage;
mod v1;

use std::collections::BTreeMap;

pub use dangling::Dangling;
pub use error::{Error, Fault, Whose};
pub use stage::Stage;
pub use v1::{PlannedLayer, ResolveError};

use crate::derivation::ConfigPatch;
use crate::digest::{Digest, Encoding};
use crate::layer::facts::Facts;
use crate::layer::merged::Merged;
use crate::recipe::{Resolved, Spanned};
use crate::tree::{Content, FileTree, TreePath};
use error::{MAX_LAYERS, pointed};
use v1::view;

/// What a variant adds on one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Lowest first; never an empty one.
    pub layers: Vec<PlannedLayer>,
    /// Bytes that no source file has: texts and rendered templates.
    pub made: BTreeMap<Content, Vec<u8>>,
    /// What the entries amount to, for the guards.
    expanded: v1::Expanded,
}

impl Plan {
    /// What is known of the image below this recipe's, with the users that this one adds.
    pub fn facts(&self, below: &Facts) -> Option<Facts> {
        self.expanded.users.as_ref().map(|users| users.facts(below))
    }
}

/// Plans all variants of a recipe on one platform: together, because what they share is one layer.
///
/// # Errors
/// The first variant with faults, by its place in `stages`, and all faults of its entries.
pub fn plan(encoding: Encoding, stages: &[Stage<'_>]) -> Result<Vec<Plan>, (usize, Vec<Error>)> {
    let planned = match encoding {
        Encoding::V1 => v1::plan(stages),
    };
    let planned = planned.map_err(|(number, errors)| (number, pointed(stages[number].recipe, errors)))?;
    let mut plans = Vec::with_capacity(stages.len());
    for (number, (stage, (layers, mut expanded))) in stages.iter().zip(planned).enumerate() {
        let count = stage.layers_below + layers.len();
        if count > MAX_LAYERS
            && let Some(entry) = stage.recipe.entries.first()
        {
            let fault = Fault::TooManyLayers { count };
            return Err((number, vec![Error { at: entry.at.clone(), fault }]));
        }
        let made = std::mem::take(&mut expanded.made);
        plans.push(Plan { layers, made, expanded });
    }
    Ok(plans)
}

/// The patch of one variant on one platform. `epoch` is the lock's, `labels` are the workspace's; `base` is the root
/// image's canonical name and index digest, when it has them.
pub fn config_patch(
    encoding: Encoding,
    recipe: &Resolved,
    epoch: i64,
    labels: &BTreeMap<String, Spanned<String>>,
    base: Option<(&str, Digest)>,
) -> ConfigPatch {
    match encoding {
        Encoding::V1 => v1::config_patch(recipe, epoch, labels, base),
    }
}

/// The topmost paths of a base that `pattern` matches, where they really lie. The pattern's directories without
/// wildcards are followed through links; what a wildcard matches is not. Asked once, when locking, then read from
/// the lock.
///
/// # Errors
/// A pattern that can't be read.
pub fn matches_in_base(encoding: Encoding, pattern: &str, base: &Merged) -> Result<Vec<TreePath>, Fault> {
    match encoding {
        Encoding::V1 => v1::matches_in_base(pattern, base),
    }
}

/// The pattern that means in the base what `pattern` means on top of its parents: one of them may have put a link on
/// the way. As it stands where nothing did.
pub fn pattern_in_base(encoding: Encoding, pattern: &str, facts: &Facts, parents: &[&FileTree]) -> String {
    match encoding {
        Encoding::V1 => v1::pattern_in_base(pattern, facts, parents),
    }
}

/// The symbolic links of the checkout that lead to nothing in the image: worth a warning. `may_be_base_file` tells whether
/// the base may have something that is no directory at a path that its facts don't name; where nobody knows, it says yes.
pub fn dangling(
    plan: &Plan,
    stage: &Stage<'_>,
    may_be_base_file: &dyn Fn(&TreePath) -> bool,
) -> Vec<Dangling> {
    dangling::dangling(&plan.expanded, stage, may_be_base_file)
}

/// What the guards have against a variant: policy, not meaning. `is_base_file` tells whether the base has something
/// that is no directory at a path that its facts don't name; where nobody knows, it says no.
pub fn guard(
    plan: &Plan,
    stage: &Stage<'_>,
    volumes: &[TreePath],
    is_base_file: &dyn Fn(&TreePath) -> bool,
) -> Vec<Error> {
    let view = v1::view_below(stage);
    let mut errors =
        pointed(stage.recipe, guard::check(stage.recipe, &plan.expanded, &view, volumes, is_base_file));
    errors.extend(guard::unknown_user(stage, &plan.expanded, plan.facts(stage.facts).as_ref()));
    errors
}
