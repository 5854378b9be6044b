//! What the variants of a recipe stand on, and what the lock pins of that.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::computed::{BaseName, Computed, Image};
use super::draft::{Draft, Ground, Grounded, Work};
use crate::lock::{BaseOrigin, BasePin, Lock};
use crate::oci::Platform;
use crate::recipe::Base;
use crate::work::Error;
use crate::work::checkout::Blobs;
use crate::work::checkout::wants::origin;
use crate::work::upstream::{self, Below, External, Wanted, reason_of};

/// Finds what each variant stands on.
pub(super) fn ground(work: &Work<'_, '_>, drafts: Vec<Draft>) -> Result<Vec<Grounded>, Error> {
    let mut externals: BTreeMap<BaseOrigin, Rc<External>> = BTreeMap::new();
    let mut found = Vec::new();
    for draft in &drafts {
        let ground = match (&draft.base, origin(&draft.base)?) {
            (Base::Recipe(parent), _) => Ground::Recipe(work.other(parent)?),
            (_, Some(origin)) => match externals.get(&origin) {
                Some(external) => Ground::External(Rc::clone(external)),
                None => {
                    let external = external(work, &origin, &drafts);
                    let external = external.map_err(|error| error.at(draft.base.at()))?;
                    externals.insert(origin, Rc::clone(&external));
                    Ground::External(external)
                }
            },
            _ => Ground::Scratch,
        };
        let root = match &ground {
            Ground::Recipe(parent) => root_pin(work, parent, draft)?,
            Ground::External(_) | Ground::Scratch => None,
        };
        found.push((ground, root));
    }
    let grounded = drafts.into_iter().zip(found).map(|(draft, (ground, root))| {
        let bare = draft.recipe.is_bare() && !matches!(ground, Ground::Scratch);
        Grounded { draft, ground, root, bare }
    });
    Ok(grounded.collect())
}

fn stands_on(draft: &Draft, wanted: &BaseOrigin) -> bool {
    origin(&draft.base).is_ok_and(|origin| origin.as_ref() == Some(wanted))
}

/// One external base for all variants that stand on it.
fn external(work: &Work<'_, '_>, wanted: &BaseOrigin, drafts: &[Draft]) -> Result<Rc<External>, Error> {
    let on_it = || drafts.iter().filter(|draft| stands_on(draft, wanted));
    let mut platforms: Vec<Platform> = Vec::new();
    let mut removes: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for draft in on_it() {
        for platform in &draft.platforms {
            if !platforms.iter().any(|known| known.matches(platform)) {
                platforms.push(platform.clone());
            }
            let patterns = removes.entry(platform.short()).or_default();
            patterns.extend(patterns_of(work, draft, platform)?);
            patterns.sort();
            patterns.dedup();
        }
    }
    let want = Wanted {
        recipe: &work.target.to_string(),
        origin: wanted.clone(),
        platforms: &platforms,
        encoding: work.encoding,
        removes: &removes,
        lenient: on_it().all(|draft| draft.recipe.is_bare() && draft.recipe.image.platforms.is_none()),
    };
    upstream::external(&work.sources.upstream, &want, work.old)
        .map_err(|error| as_reason(work, error, wanted))
}

fn patterns_of(work: &Work<'_, '_>, draft: &Draft, platform: &Platform) -> Result<Vec<String>, Error> {
    work.checkout().patterns(work.target, &draft.recipe, platform)
}

/// The external base below a parent, pinned as the parent has it, with what this recipe's patterns match in it. None
/// where there is no such base or no pattern: then the parent's pin is enough.
fn root_pin(work: &Work<'_, '_>, parent: &Computed, draft: &Draft) -> Result<Option<Rc<External>>, Error> {
    let variant = parent.variants.get(&draft.name);
    let Some(root) = variant.and_then(|variant| variant.root.as_ref()) else { return Ok(None) };
    let mut removes = BTreeMap::new();
    for platform in &draft.platforms {
        let mut patterns = patterns_of(work, draft, platform)?;
        let image = variant.and_then(|variant| variant.images.get(&platform.short()));
        if let Some(image) = image.filter(|_| !patterns.is_empty()) {
            let below = image.stand(&parent.target)?;
            patterns.iter_mut().for_each(|pattern| *pattern = below.pattern_in_base(work.encoding, pattern));
        }
        removes.insert(platform.short(), patterns);
    }
    if removes.values().all(Vec::is_empty) {
        return Ok(None);
    }
    let mut pin = root.pin.clone();
    let known = work.old.and_then(|lock| lock.pin(&pin.origin));
    for (platform, pin) in &mut pin.platforms {
        let known = known.and_then(|known| known.platforms.get(platform));
        let known = known.filter(|known| known.manifest == pin.manifest);
        pin.removed = known.map(|known| known.removed.clone()).unwrap_or_default();
    }
    let want = Wanted {
        recipe: &work.target.to_string(),
        origin: pin.origin.clone(),
        platforms: &draft.platforms,
        encoding: work.encoding,
        removes: &removes,
        lenient: false,
    };
    let pinned = Lock { bases: vec![pin], ..Lock::default() };
    let external = upstream::pinned_external(&work.sources.upstream, &want, &pinned);
    external.map(Some).map_err(|error| as_reason(work, error, &want.origin))
}

/// With `--locked`, what a base lacks is a reason among others.
fn as_reason(work: &Work<'_, '_>, error: Error, origin: &BaseOrigin) -> Error {
    match reason_of(&error, origin) {
        Some(reason) if work.checkout().env.locked => Error::locked(work.target, vec![reason]),
        _ => error,
    }
}

/// Records parents and external bases in a lock, and the blobs that it names.
pub(super) fn pin(variants: &[Grounded], lock: &mut Lock, blobs: &mut Blobs) {
    for Grounded { draft, ground, root, .. } in variants {
        // What comes of an open input is in no lock.
        if let Ground::Recipe(parent) = ground
            && parent.open.is_empty()
            && let Some(variant) = parent.variants.get(&draft.name)
        {
            let outputs = lock.parents.entry(parent.target.to_string()).or_default();
            outputs.insert(draft.name.clone(), variant.descriptor.digest);
        }
        let own = match ground {
            Ground::External(external) => Some(external),
            Ground::Recipe(_) | Ground::Scratch => root.as_ref(),
        };
        let Some(external) = own else { continue };
        blobs.extend(external.blobs.clone());
        match lock.bases.iter_mut().find(|pin| pin.origin == external.pin.origin) {
            Some(pin) => {
                pin.variants.push(draft.name.clone());
                join(pin, &external.pin);
            }
            None => {
                let variants = vec![draft.name.clone()];
                lock.bases.push(BasePin { variants, ..external.pin.clone() });
            }
        }
    }
    for pin in lock.bases.iter_mut().filter(|pin| pin.variants.len() == variants.len()) {
        pin.variants.clear();
    }
}

/// Joins the pins of two variants, which may stand on one base for different platforms, and take different things away.
fn join(pin: &mut BasePin, other: &BasePin) {
    for (platform, other) in &other.platforms {
        match pin.platforms.get_mut(platform) {
            Some(own) => own.removed.extend(other.removed.clone()),
            None => drop(pin.platforms.insert(platform.clone(), other.clone())),
        }
    }
}

/// What stands below a variant on a platform; nothing where a bare recipe's base hasn't got it.
pub(super) fn below(
    work: &Work<'_, '_>,
    variant: &Grounded,
    platform: &Platform,
) -> Result<Option<Below>, Error> {
    let draft = &variant.draft;
    let parent = match &variant.ground {
        Ground::Scratch => return Ok(Some(Below::scratch(platform))),
        Ground::External(external) => return Ok(external.platforms.get(&platform.short()).cloned()),
        Ground::Recipe(parent) => parent,
    };
    let mut below = image_of(work, parent, &draft.name, platform)?.stand(&parent.target)?;
    let own = variant.root.as_ref().and_then(|root| root.platforms.get(&platform.short()));
    // Nothing where there is no external base.
    let in_base = |pattern: &str| {
        let removed = own.and_then(|own| own.removed.get(&below.pattern_in_base(work.encoding, pattern)));
        removed.cloned().unwrap_or_default()
    };
    let patterns = patterns_of(work, draft, platform)?.into_iter();
    below.removed = patterns.map(|pattern| (pattern.clone(), in_base(&pattern))).collect();
    Ok(Some(below))
}

/// The image of another recipe that this one needs on a platform.
pub(super) fn image_of<'c>(
    work: &Work<'_, '_>,
    other: &'c Computed,
    variant: &str,
    platform: &Platform,
) -> Result<&'c Image, Error> {
    let images = other.variants.get(variant).map(|variant| &variant.images);
    let image = images.and_then(|images| images.get(&platform.short()));
    image.map(|image| &**image).ok_or_else(|| Error::NoPlatform {
        recipe: work.target.to_string(),
        base: other.target.to_string(),
        platform: platform.short(),
        have: images.into_iter().flat_map(|images| images.keys().cloned()).collect(),
    })
}

/// What a variant stands on, as sources in it are named.
pub(super) fn base_key(variant: &Grounded) -> String {
    match &variant.ground {
        Ground::Recipe(parent) => format!("{}#{}", parent.target, variant.draft.name),
        Ground::External(_) | Ground::Scratch => base_name(variant).text,
    }
}

/// What a variant stands on, for people.
pub(super) fn base_name(variant: &Grounded) -> BaseName {
    match &variant.ground {
        Ground::Scratch => BaseName { text: "scratch".into(), digest: None, origin: None },
        Ground::External(external) => BaseName {
            text: external.pin.origin.to_string(),
            digest: Some(external.pin.index.digest),
            origin: Some(external.pin.origin.clone()),
        },
        Ground::Recipe(parent) => {
            let own = parent.variants.get(&variant.draft.name);
            BaseName {
                text: parent.target.to_string(),
                digest: own.map(|own| own.descriptor.digest),
                origin: own.and_then(|own| own.base.origin.clone()),
            }
        }
    }
}
