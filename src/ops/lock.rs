//! `lock`: everything that a recipe names gets a digest, and everything that a build needs to know is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::build::{compute_all, finish};
use super::compute::Computed;
use super::error::{Error, LockedRecipe};
use super::session::{Asks, Session};
use super::{ByteSource, Env, LockOptions, RecipeReport, Selection, Side};
use crate::digest::{Digest, Encoding};
use crate::lock::{BaseOrigin, BasePin, State, conflict};
use crate::oci::{Document, MediaType};
use crate::recipe::InputSource;
use crate::registry::each;
use crate::tree::{Files, SourceKey};

/// Pins what isn't pinned, checks everything that can be checked, and writes locks with their blobs.
///
/// # Errors
/// See [`Error`]; with `check` also when a lock isn't what would be written.
pub fn lock(env: &Env<'_>, options: &LockOptions) -> Result<Vec<RecipeReport>, Error> {
    let take = options.take.map(|side| match side {
        Side::Ours => conflict::Take::Ours,
        Side::Theirs => conflict::Take::Theirs,
    });
    let asks = Asks {
        thorough: !options.check && !env.locked,
        take,
        fresh_facts: options.verify_facts,
        ..Asks::default()
    };
    let mut session = Session::open(env, asks)?;
    // The merge queue's job is about all of it.
    let select = match &options.select {
        select if options.check && select.targets.is_empty() => Selection { all: true, targets: Vec::new() },
        select => select.clone(),
    };
    let selected = session.select(&select)?;
    let all = compute_all(&session, selected.keys())?;
    if options.check {
        check(&all)?;
        return Ok(Vec::new());
    }
    let moved = moved(&session, &all);
    let mut reports = finish(&mut session, &selected)?.1;
    for report in &mut reports {
        report.warnings.extend(moved.get(&report.recipe).into_iter().flatten().cloned());
    }
    Ok(reports)
}

/// Tags that mean something else than what is pinned, by recipe: told, never followed. Asked once, and who doesn't answer
/// isn't asked again.
fn moved(session: &Session<'_>, all: &[Rc<Computed>]) -> BTreeMap<String, Vec<String>> {
    let mut pins: BTreeMap<&BaseOrigin, Vec<(Digest, String)>> = BTreeMap::new();
    for computed in all {
        let kept = |pin: &&BasePin| computed.old.as_ref().is_some_and(|old| old.pin(&pin.origin).is_some());
        for pin in computed.lock.bases.iter().filter(kept) {
            pins.entry(&pin.origin).or_default().push((pin.index.digest, computed.target.to_string()));
        }
    }
    let mut warnings: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let places = pins.keys().filter_map(|origin| Some((*origin, session.substituter(origin).ok()??)));
    let places: Vec<_> = places.collect();
    let (silent, told) = (Mutex::new(BTreeSet::new()), Mutex::new(BTreeMap::new()));
    let _: Result<(), ()> = each(&places, session.env.registries.concurrency(), |(origin, place)| {
        let host = origin.to_string().split('/').next().unwrap_or_default().to_owned();
        if lock_of(&silent).contains(&host) {
            return Ok(());
        }
        match place.told() {
            Ok(Some(digest)) => drop(lock_of(&told).insert(*origin, digest)),
            Ok(None) => {}
            Err(_) => drop(lock_of(&silent).insert(host)),
        }
        Ok(())
    });
    for (origin, digest) in &*lock_of(&told) {
        for (pinned, recipe) in pins.get(origin).into_iter().flatten().filter(|(pinned, _)| pinned != digest)
        {
            warnings.entry(recipe.clone()).or_default().push(format!(
                "{origin} is {digest} now; the lock keeps sha256:{}…: `cooper update --input {origin}` moves it",
                pinned.short()
            ));
        }
    }
    warnings
}

fn lock_of<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn check(all: &[Rc<Computed>]) -> Result<(), Error> {
    let wrong: Vec<LockedRecipe> = all
        .iter()
        .filter(|computed| !computed.reasons.is_empty())
        .map(|computed| LockedRecipe {
            recipe: computed.target.to_string(),
            state: State::of(&computed.reasons, false),
            reasons: computed.reasons.clone(),
        })
        .collect();
    if wrong.is_empty() { Ok(()) } else { Err(Error::Locked(wrong)) }
}

/// Every byte source of the selected recipes, as their locks have them; what floats has no digest.
///
/// # Errors
/// Recipes or locks that can't be read.
pub fn audit(env: &Env<'_>, select: &Selection) -> Result<Vec<ByteSource>, Error> {
    let session = Session::open(env, Asks::default())?;
    let mut found = Vec::new();
    for target in session.select(select)?.keys() {
        session.recipe(target)?;
        let old = session.old_lock(target)?;
        let recipe = target.to_string();
        let mut add = |kind: &str, name: String, pinned: Option<Digest>, note: &str| {
            found.push(ByteSource {
                recipe: recipe.clone(),
                kind: kind.into(),
                name,
                pinned,
                note: note.into(),
            });
        };
        let wants = session.wants(target)?;
        let lock = old.lock.unwrap_or_default();
        let mut seen = BTreeSet::new();
        for want in &wants {
            if seen.insert(want.origin.clone()) && lock.pin(&want.origin).is_none() {
                add("base", want.origin.to_string(), None, "no digest in the lock");
            }
        }
        for pin in &lock.bases {
            add("base", pin.origin.to_string(), Some(pin.index.digest), "pinned by digest");
            for (platform, pin) in &pin.platforms {
                add(
                    "facts",
                    format!("facts on {platform}"),
                    pin.facts.map(|facts| facts.digest),
                    "made from the base's layers",
                );
            }
        }
        for (parent, outputs) in &lock.parents {
            for (variant, digest) in outputs {
                add("parent", format!("{parent}#{variant}"), Some(*digest), "a recipe of this workspace");
            }
        }
        let mut inputs = BTreeMap::new();
        for variant in &session.file.variants {
            let evaluated = session.recipe(target)?.variant(Encoding::V1, variant).map_err(Error::Recipes)?;
            inputs.extend(evaluated.inputs);
        }
        for key in session.source_keys(target)? {
            let locked = lock.sources.iter().find(|source| source.key == key);
            let pinned = locked.map(|source| source.pin.digest().unwrap_or(source.hash));
            let (kind, name, note) = match &key {
                SourceKey::Files(Files { directory, from, .. }) => {
                    ("source", format!("{directory}/{from}"), "files of this workspace")
                }
                SourceKey::Fetch { url, .. } => ("fetch", url.clone(), "fetched"),
                SourceKey::Image { reference, path, .. } => {
                    ("image", format!("{path} of {reference}"), "out of another image")
                }
                SourceKey::Recipe { recipe, variant, path, .. } => {
                    ("recipe", format!("{path} of {recipe}#{variant}"), "out of an image of this workspace")
                }
                SourceKey::Base { on, path, .. } => {
                    ("changed", format!("{path} of {on}"), "what entries change in the base")
                }
                SourceKey::Input { name, .. } => ("input", name.clone(), "made elsewhere"),
            };
            let input = inputs.get(key.name()).filter(|_| matches!(key, SourceKey::Input { .. }));
            let open = input.is_some_and(|input| input.value.from == InputSource::Open);
            let note = match pinned {
                Some(_) => note,
                None if open => "open: given with each build",
                None => "not in the lock yet",
            };
            let made = input.and_then(|input| input.value.made_by.as_ref());
            let made = made.map_or_else(String::new, |command| format!(", made by `{}`", command.value));
            add(kind, name, pinned, &format!("{note}{made}"));
        }
    }
    Ok(found)
}

/// Removes blobs from `lockfiles/blobs` that no lock needs, and tells their digests.
///
/// # Errors
/// A lock that can't be read: then nothing is removed.
pub fn prune(env: &Env<'_>) -> Result<Vec<String>, Error> {
    let session = Session::open(env, Asks::default())?;
    let mut needed: BTreeSet<Digest> = BTreeSet::new();
    for target in session.workspace.locks()? {
        let Some(lock) = session.old_lock(&target)?.lock else { continue };
        for blob in lock.blobs() {
            needed.insert(blob.digest);
            let Some(bytes) = session.workspace.blob(&blob, crate::workspace::MAX_BULK)? else { continue };
            // A manifest names its config, which the lock doesn't.
            if let Ok(Document::Manifest(manifest)) = document(&bytes) {
                needed.insert(manifest.config.digest);
            }
        }
    }
    let mut removed = Vec::new();
    for blob in session.workspace.blobs()? {
        if !needed.contains(&blob.digest) {
            session.workspace.remove_blob(&blob.digest)?;
            removed.push(blob.digest.to_string());
        }
    }
    Ok(removed)
}

fn document(bytes: &[u8]) -> Result<Document, crate::oci::DocumentError> {
    Document::parse(bytes, &MediaType::Manifest.to_string())
        .or_else(|_| Document::parse(bytes, "application/vnd.docker.distribution.manifest.v2+json"))
}
