//! `lock`: everything that a recipe names gets a digest, and everything that a build needs to know is committed.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Mutex;

use super::{Env, Error, Inputs, LockedRecipe, RecipeReport, Selection};
use crate::digest::Digest;
use crate::lock::{BaseOrigin, BasePin, State, conflict};
use crate::registry::each;
use crate::work::checkout::wants;
use crate::work::realise::{Computed, Session, finish};
use crate::work::{Asks, mutex};

/// What `lock` is asked.
#[derive(Debug, Clone, Default)]
pub struct LockOptions {
    /// Which recipes.
    pub select: Selection,
    /// Write nothing; fail when a lock isn't what would be written (the merge queue's job).
    pub check: bool,
    /// Derive the facts of bases again from their layers, and compare.
    pub verify_facts: bool,
    /// Where inputs are; open ones are given so.
    pub inputs: Inputs,
    /// Whose pins are taken where a merge left both.
    pub take: Option<Side>,
}

/// A side of a merge conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The branch that was checked out.
    Ours,
    /// The branch that was merged.
    Theirs,
}

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
        inputs: options.inputs.clone(),
        ..Asks::default()
    };
    // What only compares asks nobody: what would have to be asked for is a reason why a lock doesn't hold.
    let only_compares =
        Env { locked: env.locked || options.check, offline: env.offline || options.check, ..env.clone() };
    let mut session = Session::open(&only_compares, asks)?;
    let selected = match &options.select {
        // The merge queue's job is about all of it.
        select if options.check => session.checkout().select_or_all(select)?,
        select => session.checkout().select(select)?,
    };
    wants::inputs(session.checkout(), selected.keys())?;
    let all = session.compute_all(selected.keys())?;
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

/// Tags that mean something else than what is pinned, by recipe: reported, never followed. Asked once, and who doesn't answer
/// isn't asked again.
fn moved(session: &Session<'_>, all: &[Rc<Computed>]) -> BTreeMap<String, Vec<String>> {
    let mut pins: BTreeMap<&BaseOrigin, Vec<(Digest, String)>> = BTreeMap::new();
    for computed in all {
        let kept = |pin: &&BasePin| computed.old().is_some_and(|old| old.pin(&pin.origin).is_some());
        for pin in computed.lock.bases.iter().filter(kept) {
            pins.entry(&pin.origin).or_default().push((pin.index.digest, computed.target.to_string()));
        }
    }
    let mut warnings: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let places = pins.keys().filter_map(|origin| Some((*origin, session.supply().place(origin).ok()??)));
    let places: Vec<_> = places.collect();
    let (silent, moved) = (Mutex::new(BTreeSet::new()), Mutex::new(BTreeMap::new()));
    let _: Result<(), ()> =
        each(&places, session.checkout().env.registries.concurrency(), |(origin, place)| {
            let host = origin.to_string().split('/').next().unwrap_or_default().to_owned();
            if mutex::lock(&silent).contains(&host) {
                return Ok(());
            }
            match place.told() {
                Ok(Some(digest)) => drop(mutex::lock(&moved).insert(*origin, digest)),
                Ok(None) => {}
                Err(_) => drop(mutex::lock(&silent).insert(host)),
            }
            Ok(())
        });
    for (origin, digest) in &*mutex::lock(&moved) {
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
