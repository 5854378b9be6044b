//! `update`: pins move, in every lock that holds them, and nothing else does.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::build::{compute_all, finish};
use super::compute::Computed;
use super::error::Error;
use super::session::{Asks, Session};
use super::{Env, PackageMove, PinMove, Selection, UpdateOptions};
use crate::digest::Digest;
use crate::lock::{BasePin, PlatformPin};

/// Asks what references mean today and moves the pins, old to new; without targets and input it only tells what
/// would move. The second value says whether locks were written.
///
/// # Errors
/// See [`Error`]; no lock is written then.
pub fn update(env: &Env<'_>, options: &UpdateOptions) -> Result<(Vec<PinMove>, bool), Error> {
    if env.locked {
        return Err(Error::Usage { message: "update moves pins, and --locked forbids it".into() });
    }
    let plan_only = options.input.is_none() && options.select.targets.is_empty() && !options.select.all;
    let refresh = options.input.iter().cloned().collect();
    let mut session = Session::open(env, Asks { refresh: Some(refresh), ..Asks::default() })?;
    let everywhere = Selection { all: true, targets: Vec::new() };
    let select = if options.select.targets.is_empty() { &everywhere } else { &options.select };
    let mut selected = session.select(select)?;
    if let Some(input) = &options.input {
        let mut holders = BTreeMap::new();
        for (target, variants) in selected {
            if session.wants(&target)?.iter().any(|want| super::base::is_called(&want.origin, input)) {
                holders.insert(target, variants);
            }
        }
        if holders.is_empty() {
            return Err(Error::Usage { message: format!("no recipe stands on {input}") });
        }
        selected = holders;
    }
    // What stands on a recipe that moves comes out otherwise, too.
    for target in session.workspace.recipes()? {
        if session.stands_on_any(&target, &selected)? {
            selected.entry(target).or_default();
        }
    }
    let all = compute_all(&session, selected.keys())?;
    let moves = moves(&session, &all);
    if !plan_only {
        finish(&mut session, &selected)?;
    }
    Ok((moves, !plan_only))
}

/// The pins that move, by reference and by what they were: locks needn't agree on that.
fn moves(session: &Session<'_>, all: &[Rc<Computed>]) -> Vec<PinMove> {
    let mut moves: BTreeMap<(String, Option<Digest>), PinMove> = BTreeMap::new();
    for computed in all {
        for pin in &computed.lock.bases {
            let old = computed.old.as_ref().and_then(|old| old.pin(&pin.origin));
            let was = old.map(|old| old.index.digest);
            if was == Some(pin.index.digest) {
                continue;
            }
            let recipe = computed.target.to_string();
            let reference = pin.origin.to_string();
            let moved = moves.entry((reference.clone(), was)).or_insert_with(|| {
                // What can't be read any more moves all the same.
                let packages = old.and_then(|old| packages(session, old, pin).ok());
                PinMove { reference, old: was, new: pin.index.digest, recipes: Vec::new(), packages }
            });
            if !moved.recipes.contains(&recipe) {
                moved.recipes.push(recipe);
            }
        }
    }
    moves.into_values().collect()
}

/// What becomes of the packages of a base, on the platforms that it had and has.
fn packages(session: &Session<'_>, old: &BasePin, new: &BasePin) -> Result<Vec<PackageMove>, Error> {
    type Versions = BTreeMap<(String, String), String>;
    let versions = |pin: &BasePin, platform: &PlatformPin| -> Result<Versions, Error> {
        let packages = session.packages(&pin.origin, platform)?.0.into_iter();
        Ok(packages.map(|it| ((it.name, it.architecture), it.version)).collect())
    };
    let mut moves: BTreeMap<(String, Option<String>, Option<String>), BTreeSet<String>> = BTreeMap::new();
    let mut all = 0;
    for (platform, new_pin) in &new.platforms {
        let Some(old_pin) = old.platforms.get(platform) else { continue };
        all += 1;
        let (before, now) = (versions(old, old_pin)?, versions(new, new_pin)?);
        for key in before.keys().chain(now.keys()) {
            let (was, is) = (before.get(key), now.get(key));
            if was != is {
                let platforms = moves.entry((key.0.clone(), was.cloned(), is.cloned())).or_default();
                platforms.insert(platform.clone());
            }
        }
    }
    let moves = moves.into_iter().map(|((name, old, new), platforms)| {
        let platforms = if platforms.len() == all { Vec::new() } else { platforms.into_iter().collect() };
        PackageMove { name, old, new, platforms }
    });
    Ok(moves.collect())
}
