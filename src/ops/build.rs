//! `build`: recipes become images in the store, and their locks say so.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;

use super::compute::{Computed, Variant};
use super::error::Error;
use super::export::{Exporter, deliver};
use super::session::{Asks, Session};
use super::{
    BuildOptions, BuildReport, Built, Env, ImageName, LockChange, PinMove, RecipeReport, Shard, twice,
};
use crate::digest::Encoding;
use crate::lock::{self, Reason};
use crate::recipe::{Input, InputSource, Resolved, ResolvedAction, ResolvedFile, ResolvedSource, suggest};
use crate::store::Store;
use crate::tree::SourceKey;
use crate::workspace::Target;

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
    let selected = session.select(&options.select)?;
    known_inputs(&session, selected.keys(), &options.inputs)?;
    let selected = Shard::of(options.shard, selected);
    let all = compute_all(&session, selected.keys())?;
    if options.twice {
        let differences = twice::compare(env, options, &session, &all)?;
        if !differences.is_empty() {
            // Which of the two is right, nobody knows: nothing is recorded.
            return Ok(BuildReport { differences, ..BuildReport::default() });
        }
    }
    let exporter = Exporter::new(&session, &all);
    let (store, recipes) = finish(&mut session, &selected)?;
    let copied = deliver(env, &store, exporter, &selected, options)?;
    session.end(all);
    Ok(BuildReport { recipes, copied, differences: Vec::new() })
}

/// Inputs that are given, but that nothing which is built has: a name that is mistyped would be built without.
fn known_inputs<'t>(
    session: &Session<'_>,
    targets: impl Iterator<Item = &'t Target>,
    given: &BTreeMap<String, PathBuf>,
) -> Result<(), Error> {
    if given.is_empty() {
        return Ok(());
    }
    let mut known = BTreeSet::new();
    session.any_below(targets.cloned().collect(), |target| {
        for variant in &session.file.variants {
            let recipe = session.recipe(target)?.variant(Encoding::V1, variant).map_err(Error::Recipes)?;
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
    let message = format!(
        "--input {name}: nothing that is built takes it by path; {have}{}",
        meant.unwrap_or_default()
    );
    Err(Error::Usage { message })
}

/// Computes recipes; of locks that don't hold, all are told together.
pub(super) fn compute_all<'t>(
    session: &Session<'_>,
    targets: impl Iterator<Item = &'t Target>,
) -> Result<Vec<Rc<Computed>>, Error> {
    let (mut all, mut unlocked) = (Vec::new(), Vec::new());
    for target in targets {
        match session.compute(target) {
            Ok(computed) => all.push(computed),
            Err(Error::Locked(recipes)) => {
                for recipe in recipes {
                    if !unlocked.contains(&recipe) {
                        unlocked.push(recipe);
                    }
                }
            }
            Err(error) => return Err(error),
        }
    }
    if unlocked.is_empty() { Ok(all) } else { Err(Error::Locked(unlocked)) }
}

/// Brings the session's work to the disk, then locks and their blobs, parents' too, and tells what happened. In this
/// order: a lock never speaks of an image that was lost.
pub(super) fn finish(
    session: &mut Session<'_>,
    selected: &BTreeMap<Target, Vec<String>>,
) -> Result<(Store, Vec<RecipeReport>), Error> {
    let store = session.commit()?;
    let writes = !session.env.locked && session.asks.set.is_empty() && !session.asks.unrecorded;
    let computed = session.computed.borrow();
    let mut reports = Vec::new();
    for computed in computed.values() {
        let change = if writes { write_lock(session, computed)? } else { LockChange::NotWritten };
        let asked = selected.get(&computed.target);
        let changed = matches!(change, LockChange::Created | LockChange::Updated);
        if asked.is_some() || changed {
            reports.push(report(computed, asked, change));
        }
    }
    Ok((store, reports))
}

fn write_lock(session: &Session<'_>, computed: &Computed) -> Result<LockChange, Error> {
    for (digest, bytes) in &computed.blobs {
        session.commit_blob(*digest, bytes)?;
    }
    let text = computed.lock.to_text();
    let written = session.workspace.write_lock(&computed.target, &text)?;
    Ok(match (written, &computed.old) {
        (false, _) => LockChange::Unchanged,
        (true, None) => LockChange::Created,
        (true, Some(_)) => LockChange::Updated,
    })
}

fn report(computed: &Computed, asked: Option<&Vec<String>>, lock: LockChange) -> RecipeReport {
    let chosen = |name: &String| asked.is_none_or(|names| names.is_empty() || names.contains(name));
    let images = computed
        .variants
        .iter()
        .filter(|(name, _)| chosen(name))
        .map(|(name, variant)| {
            let own = computed.own_layers(variant);
            let before = computed.old.as_ref().and_then(|old| Some(old.outputs.get(name)?.index.digest));
            let changed = before != Some(variant.descriptor.digest);
            let own_reasons: Vec<Reason> =
                computed.reasons.iter().filter(|reason| concerns(computed, name, reason)).cloned().collect();
            let because = lock::because(&own_reasons);
            let compression = |reason: &Reason| matches!(reason, Reason::CompressionDiffers { variant, .. } if variant == name);
            Built {
                name: ImageName { recipe: computed.target.to_string(), variant: name.clone() },
                digest: variant.descriptor.digest,
                before,
                compression_only: changed && because.is_empty() && computed.reasons.iter().any(compression),
                because: if changed { because } else { Vec::new() },
                platforms: variant
                    .images
                    .iter()
                    .map(|(platform, image)| (platform.clone(), image.descriptor.digest))
                    .collect(),
                overlay_bytes: own.iter().map(|made| made.layer.size).sum(),
                layers_made: own.iter().filter(|made| made.fresh).count(),
                layers_kept: own.iter().filter(|made| !made.fresh).count(),
                open: computed.open.clone(),
            }
        })
        .collect();
    let recipe = computed.target.to_string();
    RecipeReport { images, lock, pins: pins(computed), warnings: computed.warnings.clone(), recipe }
}

/// Whether a reason has to do with a variant: another one's table and another one's sources have not.
fn concerns(computed: &Computed, name: &str, reason: &Reason) -> bool {
    if let Reason::Section { section } = reason
        && let Some((_, of)) = section.rsplit_once("variant.")
    {
        return of == name;
    }
    if let Reason::ParentChanged { variant, .. } = reason {
        return variant == name;
    }
    let Some(key) = reason.source() else { return true };
    let single = computed.lock.sources.iter().any(|source| source.key == *key && source.single);
    let takes =
        |variant: &Variant| variant.resolved.as_ref().is_some_and(|resolved| takes(resolved, key, single));
    // What no variant takes now was taken before, by whichever.
    computed.variants.get(name).is_some_and(|variant| takes(variant))
        || !computed.variants.values().any(|variant| takes(variant))
}

/// A mounted directory is empty in the image, whatever is in the source.
fn takes(recipe: &Resolved, key: &SourceKey, single: bool) -> bool {
    recipe.entries.iter().any(|entry| match &entry.action {
        ResolvedAction::File(ResolvedFile { source: ResolvedSource::From(paths), mount, .. }) => {
            (single || mount.is_none()) && paths.iter().any(|path| path.key == *key)
        }
        _ => false,
    })
}

/// The pins that this lock has and the one before hadn't.
fn pins(computed: &Computed) -> Vec<PinMove> {
    let mut seen = BTreeSet::new();
    let moved = computed.lock.bases.iter().filter_map(|pin| {
        let old = computed.old.as_ref().and_then(|old| old.pin(&pin.origin)).map(|pin| pin.index.digest);
        let reference = pin.origin.to_string();
        let new = pin.index.digest;
        (old != Some(new) && seen.insert(reference.clone())).then(|| PinMove {
            reference,
            old,
            new,
            recipes: vec![computed.target.to_string()],
            packages: None,
        })
    });
    moved.collect()
}
