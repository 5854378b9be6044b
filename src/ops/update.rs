//! `update`: pins move, in every lock that holds them, and nothing else does.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::{Env, Error, PackageMove, PinMove, Selection};
use crate::digest::Digest;
use crate::http::shown;
use crate::layer::packages::Packages;
use crate::lock::{BaseOrigin, BasePin, PlatformPin};
use crate::work::Asks;
use crate::work::checkout::wants;
use crate::work::realise::{Computed, Session, finish};
use crate::work::sources::Elsewhere;
use crate::work::upstream::{Documents, Image, is_called};
use crate::workspace::Target;

/// What `update` is asked.
#[derive(Debug, Clone, Default)]
pub struct UpdateOptions {
    /// Which recipes; with neither targets nor input the plan is only shown.
    pub select: Selection,
    /// Only pins of this reference or layout, in every lock that holds it.
    pub input: Option<String>,
}

/// Asks what references mean today and moves the pins, old to new; without targets and input it only tells what
/// would move. The second value says whether locks were written.
///
/// # Errors
/// See [`Error`]; no lock is written then.
pub fn update(env: &Env<'_>, options: &UpdateOptions) -> Result<(Vec<PinMove>, bool), Error> {
    if env.locked {
        return Err(Error::usage("update moves pins, and --locked forbids it"));
    }
    let plan_only = options.input.is_none() && options.select.targets.is_empty() && !options.select.all;
    let refresh = options.input.iter().cloned().collect();
    let mut session = Session::open(env, Asks { refresh: Some(refresh), ..Asks::default() })?;
    let checkout = session.checkout();
    let mut selected = checkout.select_or_all(&options.select)?;
    if let Some(input) = &options.input {
        let mut holders = BTreeMap::new();
        for (target, variants) in selected {
            let stands = wants::bases(checkout, &target)?.iter().any(|want| is_called(&want.origin, input));
            let sources = wants::all_keys(checkout, &target)?;
            if stands || sources.iter().filter_map(Elsewhere::of).any(|from| from.is_called(input)) {
                holders.insert(target, variants);
            }
        }
        if holders.is_empty() {
            return Err(Error::usage(format!("no recipe stands on {input} or takes from it")));
        }
        selected = holders;
    }
    // What stands on a recipe that moves, or takes from it, comes out otherwise, too.
    for target in checkout.workspace.recipes()? {
        let moves = |next: &Target| Ok(*next != target && selected.contains_key(next));
        if wants::any_below(checkout, vec![target.clone()], moves)? {
            selected.entry(target).or_default();
        }
    }
    let all = session.compute_all(selected.keys())?;
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
    for computed in all {
        let (Computed { target, lock, .. }, before) = (&**computed, computed.old());
        for pin in &lock.bases {
            let old = before.and_then(|old| old.pin(&pin.origin));
            // What can't be read any more moves all the same.
            let packages = || packages(session, old?, pin).ok();
            add(target, pin.origin.to_string(), old.map(|old| old.index.digest), pin.index.digest, &packages);
        }
        for source in &lock.sources {
            let (Some(origin), Some(new)) = (Elsewhere::of(&source.key), source.pin.digest()) else {
                continue;
            };
            let mut olds = before.iter().flat_map(|old| &old.sources);
            let was = olds.find(|old| old.key == source.key).and_then(|old| old.pin.digest());
            add(target, origin.to_string(), was, new, &|| None);
        }
    }
    // Where each is the other but for what isn't shown, they stay two.
    moves.into_values().map(|moved| PinMove { reference: shown(&moved.reference), ..moved }).collect()
}

/// The packages of a pinned base on one platform.
fn packages_of(session: &Session<'_>, origin: &BaseOrigin, pin: &PlatformPin) -> Result<Packages, Error> {
    let upstream = &session.sources.upstream;
    let mut documents = Documents::new(upstream.supply.bytes(origin.to_string(), Some(origin))?);
    let manifest = documents.manifest(&pin.manifest)?;
    let config = documents.config(&manifest)?;
    let documents = (Rc::new(manifest), Rc::new(config));
    let image = Image::new(upstream, origin.to_string(), Some(origin), documents)?;
    image.with_facts(pin.facts).packages()
}

/// What becomes of the packages of a base, on the platforms that it had and has.
fn packages(session: &Session<'_>, old: &BasePin, new: &BasePin) -> Result<Vec<PackageMove>, Error> {
    type Versions = BTreeMap<(String, String), String>;
    let versions = |pin: &BasePin, platform: &PlatformPin| -> Result<Versions, Error> {
        let packages = packages_of(session, &pin.origin, platform)?.0.into_iter();
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
