//! What became of recipes and their locks: written, and reported.

use std::collections::{BTreeMap, BTreeSet};

use super::computed::{Computed, Variant};
use super::packages::{PackageMove, Reach, packages};
use super::session::Session;
use crate::digest::Digest;
use crate::lock::{self, BasePin, Reason};
use crate::recipe::{Resolved, ResolvedAction, ResolvedFile, ResolvedSource};
use crate::store::Store;
use crate::tree::SourceKey;
use crate::work::Error;
use crate::work::checkout::Checkout;
use crate::workspace::Target;

/// A recipe's place in the workspace and one of its variants: `stack/name#variant`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageName {
    /// `stack/name`
    pub recipe: String,
    /// `prod`
    pub variant: String,
}

/// One variant of one recipe, built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Which.
    pub name: ImageName,
    /// The index (or upstream's descriptor of a bare recipe).
    pub digest: Digest,
    /// What the lock held before; `None` when it held nothing.
    pub before: Option<Digest>,
    /// The inputs that differ from the lock before, shortest names; empty when nothing changed.
    pub because: Vec<String>,
    /// The content is equal to what the lock held, the compressed bytes differ.
    pub compression_only: bool,
    /// Manifest digests by platform (`linux/amd64`).
    pub platforms: BTreeMap<String, Digest>,
    /// Bytes of the layers that the recipe adds, over all platforms, each layer once.
    pub overlay_bytes: u64,
    /// Of those layers, how many were compressed now, and how many were in the store.
    pub layers_made: usize,
    /// See `layers_made`.
    pub layers_kept: usize,
    /// Inputs that are open: such a build has no locked output.
    pub open: Vec<String>,
}

/// What happened to a recipe's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockChange {
    /// It said the same already.
    Unchanged,
    /// It was written for the first time.
    Created,
    /// It was written anew.
    Updated,
    /// Nothing is written: `--locked`, `--set`.
    NotWritten,
}

/// What `build`, `lock` and `update` did with one recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipeReport {
    /// `stack/name`
    pub recipe: String,
    /// Its variants that were asked for.
    pub images: Vec<Built>,
    /// What became of its lock.
    pub lock: LockChange,
    /// Pins that were made or moved: what, old, new.
    pub pins: Vec<PinMove>,
    /// What a person should know, and needn't act upon.
    pub warnings: Vec<String>,
}

/// A base reference that was pinned, or moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinMove {
    /// The reference or layout.
    pub reference: String,
    /// What stood in the recipe before, where that is another reference.
    pub was: Option<String>,
    /// What it was.
    pub old: Option<Digest>,
    /// What it is.
    pub new: Digest,
    /// Recipes that hold it.
    pub recipes: Vec<String>,
    /// What that means for the base's packages, nothing where it isn't known.
    pub packages: Option<Vec<PackageMove>>,
}

/// Brings the session's work to the disk, then locks and their blobs, parents' too, and tells what happened. In this
/// order: a lock never speaks of an image that was lost.
pub(crate) fn finish(
    session: &mut Session<'_>,
    selected: &BTreeMap<Target, Vec<String>>,
) -> Result<(Store, Vec<RecipeReport>), Error> {
    let all = session.all();
    let pins: Vec<_> = all.iter().map(|computed| pins(session, computed)).collect();
    let store = session.commit()?;
    let writes = !session.checkout().env.locked
        && session.checkout().asks.set.is_empty()
        && !session.checkout().asks.unrecorded;
    let mut reports = Vec::new();
    for (computed, pins) in all.iter().zip(pins) {
        let change = if writes { write_lock(session.checkout(), computed)? } else { LockChange::NotWritten };
        let asked = selected.get(&computed.target);
        let changed = matches!(change, LockChange::Created | LockChange::Updated);
        if asked.is_some() || changed {
            reports.push(RecipeReport { pins, ..report(computed, asked, change) });
        }
    }
    Ok((store, reports))
}

fn write_lock(checkout: &Checkout<'_>, computed: &Computed) -> Result<LockChange, Error> {
    for (digest, bytes) in &computed.blobs {
        checkout.committed.put(*digest, bytes)?;
    }
    let text = computed.lock.to_text();
    let written = checkout.workspace.write_lock(&computed.target, &text)?;
    Ok(match (written, computed.old()) {
        (false, _) => LockChange::Unchanged,
        (true, None) => LockChange::Created,
        (true, Some(_)) => LockChange::Updated,
    })
}

pub(super) fn report(computed: &Computed, asked: Option<&Vec<String>>, lock: LockChange) -> RecipeReport {
    let chosen = |name: &String| asked.is_none_or(|names| names.is_empty() || names.contains(name));
    let images = computed
        .variants
        .iter()
        .filter(|(name, _)| chosen(name))
        .map(|(name, variant)| {
            let own = variant.own_layers();
            let before = computed.old().and_then(|old| Some(old.outputs.get(name)?.index.digest));
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
    RecipeReport { images, lock, pins: Vec::new(), warnings: computed.warnings.clone(), recipe }
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

/// The pins that this lock has and the one before hadn't, with what that means for packages as far as it is known here.
fn pins(session: &Session<'_>, computed: &Computed) -> Vec<PinMove> {
    let mut seen = BTreeSet::new();
    let mut moves = Vec::new();
    for pin in &computed.lock.bases {
        let old = before(computed, pin);
        let reference = pin.origin.to_string();
        if old.is_some_and(|old| old.origin == pin.origin && old.index.digest == pin.index.digest)
            || !seen.insert(reference.clone())
        {
            continue;
        }
        let was = old.map(|old| old.origin.to_string()).filter(|was| *was != reference);
        moves.push(PinMove {
            reference,
            was,
            old: old.map(|old| old.index.digest),
            new: pin.index.digest,
            recipes: vec![computed.target.to_string()],
            packages: old.and_then(|old| packages(session, old, pin, (Reach::Here, &computed.blobs)).ok()),
        });
    }
    moves
}

/// The pin that another one takes the place of: of the same reference, or the one that is gone from the same variants.
fn before<'c>(computed: &'c Computed, pin: &BasePin) -> Option<&'c BasePin> {
    let old = computed.old()?;
    let gone = |old: &&BasePin| old.variants == pin.variants && computed.lock.pin(&old.origin).is_none();
    old.pin(&pin.origin).or_else(|| old.bases.iter().find(gone))
}
