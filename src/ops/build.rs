//! `build`: recipes become images in the store, and their locks say so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use super::{Copied, Difference, Env, Error, RecipeReport, Selection, Shard};
use crate::oci::{Place, Platform};
use crate::recipe::{Input, InputSource, suggest};
use crate::work::Asks;
use crate::work::checkout::{Checkout, wants};
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
    pub inputs: BTreeMap<String, PathBuf>,
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
    known_inputs(session.checkout(), selected.keys(), &options.inputs)?;
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
    let all = session.compute_all(selected.keys().filter(|target| !kept.contains_key(target)))?;
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

/// Inputs that are given, but that nothing which is built has: a name that is mistyped would be built without.
fn known_inputs<'t>(
    checkout: &Checkout<'_>,
    targets: impl Iterator<Item = &'t Target>,
    given: &BTreeMap<String, PathBuf>,
) -> Result<(), Error> {
    if given.is_empty() {
        return Ok(());
    }
    let mut known = BTreeSet::new();
    wants::any_below(checkout, targets.cloned().collect(), |target| {
        for variant in &checkout.file.variants {
            let recipe = checkout.variant(target, variant)?;
            // An image is taken by its pin.
            let by_path = |input: &Input| !matches!(input.from, InputSource::Image { .. });
            let own = recipe.inputs.into_iter().filter(|(_, input)| by_path(&input.value));
            known.extend(own.map(|(name, _)| name));
        }
        Ok(false)
    })?;
    let Some(name) = given.keys().find(|name| !known.contains(*name)) else { return Ok(()) };
    let names: Vec<&str> = known.iter().map(String::as_str).collect();
    let meant = suggest(name, names.iter().copied()).map(|name| format!("; did you mean {name}?"));
    let have =
        if names.is_empty() { "none is".to_owned() } else { format!("there are {}", names.join(", ")) };
    let why = "nothing that is built takes it by path";
    Err(Error::usage(format!("--input {name}: {why}; {have}{}", meant.unwrap_or_default())))
}
