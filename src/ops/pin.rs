//! `lock --pin`: bases are pinned by digests that somebody was told of, where no registry can be asked.
//!
//! Owns that nothing is invented: such a lock names the digest and the sources, and no output. `lock` completes it, by
//! that digest, where a registry is at hand.

use std::collections::BTreeMap;

use super::error::Error;
use super::session::{Asks, Session};
use super::{Env, PinMove, Selection};
use crate::digest::{Digest, Encoding};
use crate::lock::{BaseOrigin, BasePin, Lock, SourceLock};
use crate::oci::Reference;
use crate::tree::Content;
use crate::workspace::Target;

/// What a recipe's base was pinned by before, and the recipe.
type Moved = (Option<Digest>, String);

/// Pins the bases of the selected recipes, of every recipe without a selection.
///
/// # Errors
/// A reference without a digest, or that no selected recipe stands on.
pub fn pin(env: &Env<'_>, select: &Selection, pins: &[Reference]) -> Result<Vec<PinMove>, Error> {
    let session = Session::open(env, Asks::default())?;
    let everything = Selection { all: true, targets: Vec::new() };
    let selected = session.select(if select.targets.is_empty() { &everything } else { select })?;
    let mut told: BTreeMap<BaseOrigin, (Digest, Vec<Moved>)> = BTreeMap::new();
    for reference in pins {
        let Some(digest) = reference.digest else {
            let message = format!("{reference} has no digest to pin: REFERENCE@sha256:… is expected");
            return Err(Error::Usage { message });
        };
        let origin = BaseOrigin::Image(Reference { digest: None, ..reference.clone() }.to_string());
        told.insert(origin, (digest, Vec::new()));
    }
    let mut changed: Vec<(Target, Lock)> = Vec::new();
    for target in selected.keys() {
        let mut lock = session.old_lock(target)?.lock;
        let mut moved = false;
        for want in session.wants(target)? {
            let Some((digest, recipes)) = told.get_mut(&want.origin) else { continue };
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
                encoding: Encoding::V1,
                epoch: crate::recipe::epoch(Encoding::V1, None, env.epoch).unwrap_or_else(|given| given),
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
    if let Some((origin, _)) = told.iter().find(|(_, (_, recipes))| recipes.is_empty()) {
        return Err(Error::Usage { message: format!("no selected recipe stands on {origin}") });
    }
    for (target, mut lock) in changed {
        record(&session, &target, &mut lock)?;
        session.workspace.write_lock(&target, &lock.to_text())?;
    }
    let moves = told.into_iter().map(|(origin, (new, recipes))| PinMove {
        reference: origin.to_string(),
        old: recipes.iter().find_map(|(old, _)| *old).filter(|old| *old != new),
        new,
        recipes: recipes.into_iter().map(|(_, name)| name).collect(),
        packages: None,
    });
    Ok(moves.collect())
}

/// Everything else that such a lock can say: which variants stand on what, the recipe and its own files.
fn record(session: &Session<'_>, target: &Target, lock: &mut Lock) -> Result<(), Error> {
    let wants = session.wants(target)?;
    lock.bases.retain(|pin| wants.iter().any(|want| want.origin == pin.origin));
    for pin in &mut lock.bases {
        let on: Vec<_> = wants.iter().filter(|want| want.origin == pin.origin).collect();
        let all = on.len() == session.file.variants.len();
        pin.variants = if all { Vec::new() } else { on.iter().map(|want| want.variant.clone()).collect() };
    }
    lock.sections = session.recipe(target)?.sections().clone();
    lock.outputs.clear();
    lock.sources.retain(|source| !source.key.is_plain());
    for key in session.source_keys(target)?.into_iter().filter(|key| key.is_plain()) {
        let (source, listing) = SourceLock::of(key.clone(), &session.source(&key)?.tree);
        if let Some(bytes) = listing {
            session.commit_blob(source.hash, &bytes)?;
        }
        lock.sources.push(source);
    }
    Ok(())
}
