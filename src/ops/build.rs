//! `build`: recipes become images in the store, and their locks say so.

use std::collections::BTreeMap;

use super::{Copied, Difference, Env, Error, Inputs, RecipeReport, Selection, Shard};
use crate::oci::{Place, Platform};
use crate::work::Asks;
use crate::work::checkout::wants;
use crate::work::deliver::Exporter;
use crate::work::realise::{Session, Settled, compare, finish};
use crate::workspace::Target;

/// What `build` is asked.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// Which recipes.
    pub select: Selection,
    /// Limits what is put into `to`; empty: all of the recipe's.
    pub platforms: Vec<Platform>,
    /// Values of variables that are declared `set = true`.
    pub set: BTreeMap<String, String>,
    /// Where inputs are, by name; open ones are given so.
    pub inputs: Inputs,
    /// Where to put the images.
    pub to: Vec<Place>,
    /// Build again from nothing into a second store, and compare.
    pub twice: bool,
    /// Only this part of what is selected.
    pub shard: Option<Shard>,
    /// Locks are left as they are.
    pub unrecorded: bool,
}

/// What `build` answers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildReport {
    /// One for each recipe, in order of their names, parents first where a child was asked for.
    pub recipes: Vec<RecipeReport>,
    /// What was put where.
    pub copied: Vec<Copied>,
    /// With `twice`: what differed.
    pub differences: Vec<Difference>,
}

/// Builds what is selected, writes the locks that changed, and puts images where they are wanted.
///
/// # Errors
/// See [`Error`]; nothing is written then, neither locks nor places, but blobs may have come into the store.
pub fn build(env: &Env<'_>, options: &BuildOptions) -> Result<BuildReport, Error> {
    if env.locked && !options.set.is_empty() {
        return Err(Error::SetLocked);
    }
    let asks = Asks {
        set: options.set.clone(),
        inputs: options.inputs.clone(),
        unrecorded: options.unrecorded,
        ..Asks::default()
    };
    let mut session = Session::open(env, asks)?;
    let selected = session.checkout().select(&options.select)?;
    wants::inputs(session.checkout(), selected.keys())?;
    let selected = Shard::of(options.shard, selected);
    // What is put somewhere or compared is computed, even if nothing has changed.
    let settled = Settled::read(&session);
    let mut kept = match options.to.is_empty() && !options.twice {
        true => settled.reports(&session, &selected)?,
        false => BTreeMap::new(),
    };
    if kept.len() == selected.len() {
        return Ok(BuildReport { recipes: kept.into_values().collect(), ..BuildReport::default() });
    }
    let wanted = selected.keys().filter(|target| !kept.contains_key(target));
    let all = session.images(wanted, |target| options.select.names(target), !kept.is_empty())?;
    if options.twice {
        let differences = compare(&session, &all)?;
        if !differences.is_empty() {
            // Which of the two is right, nobody knows: nothing is recorded.
            return Ok(BuildReport { differences, ..BuildReport::default() });
        }
    }
    let (store, mut recipes) = finish(&mut session, &selected)?;
    settled.remember(&session, &store)?;
    let exporter = Exporter::new(&session, &store, &all);
    let copied = exporter.deliver(&selected, &options.to, &options.platforms)?;
    kept.retain(|target, _| recipes.iter().all(|report| report.recipe != target.to_string()));
    recipes.extend(kept.into_values());
    recipes.sort_by_cached_key(|report| report.recipe.parse::<Target>().ok());
    Ok(BuildReport { recipes, copied, differences: Vec::new() })
}
