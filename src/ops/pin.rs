//! `lock --pin`: bases are pinned by digests that somebody was given, where no registry can be asked.
//!
//! Owns that nothing is invented: such a lock names the digest and the sources, and no output. `lock` completes it, by
//! that digest, where a registry is at hand.

use std::collections::BTreeMap;

use super::{Env, Error, PinMove, Selection};
use crate::digest::{Digest, Encoding};
use crate::lock::{BaseOrigin, BasePin, Lock, SourceLock};
use crate::oci::Reference;
use crate::recipe;
use crate::recipe::given_section;
use crate::tree::Content;
use crate::work::Asks;
use crate::work::checkout::{Checkout, wants};
use crate::workspace::Target;

/// What a recipe's base was pinned by before, and the recipe.
type Moved = (Option<Digest>, String);

/// Pins the bases of the selected recipes, of every recipe without a selection.
///
/// # Errors
/// A reference without a digest, or that no selected recipe stands on.
pub fn pin(env: &Env<'_>, select: &Selection, pins: &[Reference]) -> Result<Vec<PinMove>, Error> {
    let checkout = Checkout::open(env, Asks::default())?;
    let selected = checkout.select_or_all(select)?;
    let mut wanted = pins.iter().map(wanted).collect::<Result<BTreeMap<_, _>, _>>()?;
    let mut changed: Vec<(Target, Lock)> = Vec::new();
    for target in selected.keys() {
        let mut lock = checkout.lock(target)?.lock.clone();
        let mut moved = false;
        for want in wants::bases(&checkout, target)? {
            let Some((digest, recipes)) = wanted.get_mut(&want.origin) else { continue };
            let old = lock.as_ref().and_then(|lock| lock.pin(&want.origin)).map(|pin| pin.index.digest);
            if old == Some(*digest) {
                // Nothing but this brings a lock without outputs up to what its recipe says now.
                moved |= lock.as_ref().is_some_and(|lock| lock.outputs.is_empty());
                // Of two variants on one base the second finds what the first has pinned.
                if !recipes.iter().any(|(_, name)| *name == target.to_string()) {
                    recipes.push((old, target.to_string()));
                }
                continue;
            }
            recipes.push((old, target.to_string()));
            let lock = lock.get_or_insert_with(|| Lock {
                epoch: recipe::epoch(Encoding::NEWEST, None, env.epoch).unwrap_or_else(|given| given),
                ..Lock::default()
            });
            lock.bases.retain(|pin| pin.origin != want.origin);
            lock.bases.push(BasePin {
                index: Content { digest: *digest, size: 0 },
                origin: want.origin,
                variants: Vec::new(),
                platforms: BTreeMap::new(),
            });
            moved = true;
        }
        if let (true, Some(lock)) = (moved, lock) {
            changed.push((target.clone(), lock));
        }
    }
    if let Some((origin, _)) = wanted.iter().find(|(_, (_, recipes))| recipes.is_empty()) {
        return Err(Error::usage(format!("no selected recipe stands on {origin}")));
    }
    for (target, mut lock) in changed {
        record(&checkout, &target, &mut lock)?;
        checkout.workspace.write_lock(&target, &lock.to_text())?;
    }
    let moves = wanted.into_iter().map(|(origin, (new, recipes))| PinMove {
        reference: origin.to_string(),
        was: None,
        old: recipes.iter().find_map(|(old, _)| *old).filter(|old| *old != new),
        new,
        recipes: recipes.into_iter().map(|(_, name)| name).collect(),
        packages: None,
    });
    Ok(moves.collect())
}

/// What a reference pins, and by what; no recipe is known to stand on it yet.
fn wanted(reference: &Reference) -> Result<(BaseOrigin, (Digest, Vec<Moved>)), Error> {
    let why = "has no digest to pin: REFERENCE@sha256:… is expected";
    let digest = reference.digest.ok_or_else(|| Error::usage(format!("{reference} {why}")))?;
    Ok((BaseOrigin::Image(Reference { digest: None, ..reference.clone() }), (digest, Vec::new())))
}

/// Everything else that such a lock can say: which variants stand on what, the recipe and its own files.
fn record(checkout: &Checkout<'_>, target: &Target, lock: &mut Lock) -> Result<(), Error> {
    let bases = wants::bases(checkout, target)?;
    lock.bases.retain(|pin| bases.iter().any(|want| want.origin == pin.origin));
    for pin in &mut lock.bases {
        let on: Vec<_> = bases.iter().filter(|want| want.origin == pin.origin).collect();
        let all = on.len() == checkout.file.variants.len();
        pin.variants = if all { Vec::new() } else { on.iter().map(|want| want.variant.clone()).collect() };
    }
    let recorded: Vec<String> =
        lock.sections.keys().filter_map(|key| Some(given_section(key)?.1.to_owned())).collect();
    let variants = checkout.variants(target)?;
    lock.sections = checkout.recipe(target)?.sections_with(&variants.iter().collect::<Vec<_>>(), recorded);
    lock.outputs.clear();
    lock.sources.retain(|source| source.key.plain().is_none());
    for key in wants::all_keys(checkout, target)? {
        let Some(files) = key.plain() else { continue };
        let (source, listing) = SourceLock::of(key.clone(), &checkout.source(files)?.tree);
        if let Some(bytes) = listing {
            checkout.committed.put(source.hash, &bytes)?;
        }
        lock.sources.push(source);
    }
    Ok(())
}
