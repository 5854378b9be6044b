//! `update`: pins move, in every lock that holds them, and nothing else does.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::{Env, Error, PinMove, Selection};
use crate::digest::Digest;
use crate::http::shown;
use crate::work::Asks;
use crate::work::checkout::wants;
use crate::work::realise::{Computed, Reach, Session, finish, packages};
use crate::work::sources::Elsewhere;
use crate::work::upstream::is_called;
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
            PinMove { reference, was: None, old: was, new, recipes: Vec::new(), packages }
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
            let packages = || packages(session, old?, pin, (Reach::Anywhere, &computed.blobs)).ok();
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
