//! `list`: recipes, variants and the states of their locks.

use super::{Env, Error, ImageName, Selection};
use crate::digest::Digest;
use crate::lock::{Reason, State};
use crate::work::Asks;
use crate::work::checkout::{Checkout, wants};

/// One line of `list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Which.
    pub name: ImageName,
    /// The state of the lock: `complete`, `stale`, …
    pub state: String,
    /// The locked output.
    pub digest: Option<Digest>,
    /// The base, as the recipe says it.
    pub base: String,
    /// `[image] owner`, or the workspace's.
    pub owner: Option<String>,
}

/// Every selected recipe's variants with the state of their locks. Nothing is read but recipes and locks, so a
/// lock that was made for other sources counts as complete here; `lock --check` looks deeper.
///
/// # Errors
/// Recipes or locks that can't be read.
pub fn list(env: &Env<'_>, select: &Selection) -> Result<Vec<Listed>, Error> {
    let checkout = Checkout::open(env, Asks::default())?;
    let mut found = Vec::new();
    for (target, variants) in checkout.select_or_all(select)? {
        let recipe = checkout.recipe(&target)?;
        let old = checkout.lock(&target)?;
        let bases = wants::bases(&checkout, &target)?;
        let all = checkout.variants(&target)?;
        let all: Vec<_> = all.iter().collect();
        for name in checkout.meant(&variants) {
            let evaluated = checkout.variant(&target, name)?;
            let own: Vec<_> = bases.iter().filter(|want| want.variant == *name).cloned().collect();
            let missing = old.lock.as_ref().is_some_and(|lock| !lock.outputs.contains_key(name));
            // What is wrong below is reported by whoever builds.
            let open = missing && wants::is_open(&checkout, &target).unwrap_or(false);
            let mut reasons: Vec<_> = old.reason.iter().cloned().collect();
            if let Some(lock) = &old.lock {
                reasons.extend(lock.unpinned(&own));
                let stale = !recipe.has_sections(&all, &lock.sections);
                let section = || Reason::OutputMissing { variant: name.clone() };
                reasons.extend((stale || (missing && !open)).then(section));
            }
            let output = old.lock.as_ref().and_then(|lock| lock.outputs.get(name));
            let owner = evaluated.image.owner.as_ref().or(checkout.file.owner.as_ref());
            found.push(Listed {
                name: ImageName { recipe: target.to_string(), variant: name.clone() },
                state: State::of(&reasons, open).name().to_owned(),
                digest: output.map(|output| output.index.digest),
                base: wants::base_text(&checkout, &target, &evaluated)?,
                owner: owner.map(|owner| owner.value.clone()),
            });
        }
    }
    Ok(found)
}
