//! `update`: pins move, in every lock that holds them, and nothing else does.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::base::is_called;
use super::build::{compute_all, finish};
use super::compute::Computed;
use super::error::Error;
use super::foreign::upstream;
use super::session::{Asks, Session};
use super::{Env, PackageMove, PinMove, Selection, UpdateOptions};
use crate::digest::Digest;
use crate::lock::{BasePin, PlatformPin};
use crate::workspace::Target;

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
            let stands = session.wants(&target)?.iter().any(|want| is_called(&want.origin, input));
            let sources = session.source_keys(&target)?;
            if stands || sources.iter().filter_map(upstream).any(|from| from.is_called(input)) {
                holders.insert(target, variants);
            }
        }
        if holders.is_empty() {
            return Err(Error::Usage { message: format!("no recipe stands on {input} or takes from it") });
        }
        selected = holders;
    }
    // What stands on a recipe that moves, or takes from it, comes out otherwise, too.
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
    let mut add = |recipe: &Target, reference: String, was: Option<Digest>, new, packages: &dyn Fn() -> _| {
        if was == Some(new) {
            return;
        }
        let moved = moves.entry((reference.clone(), was)).or_insert_with(|| {
            let packages = packages();
            PinMove { reference, old: was, new, recipes: Vec::new(), packages }
        });
        let recipe = recipe.to_string();
        if !moved.recipes.contains(&recipe) {
            moved.recipes.push(recipe);
        }
    };
    for Computed { target, lock, old, .. } in all.iter().map(Rc::as_ref) {
        for pin in &lock.bases {
            let old = old.as_ref().and_then(|old| old.pin(&pin.origin));
            // What can't be read any more moves all the same.
            let packages = || packages(session, old?, pin).ok();
            add(target, pin.origin.to_string(), old.map(|old| old.index.digest), pin.index.digest, &packages);
        }
        for source in &lock.sources {
            let (Some(origin), Some(new)) = (upstream(&source.key), source.pin.digest()) else { continue };
            let mut olds = old.iter().flat_map(|old| &old.sources);
            let was = olds.find(|old| old.key == source.key).and_then(|old| old.pin.digest());
            add(target, origin.to_string(), was, new, &|| None);
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
