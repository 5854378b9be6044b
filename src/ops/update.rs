//! `update`: pins move, in every lock that holds them, and nothing else does.

use std::collections::BTreeMap;

use super::build::{compute_all, finish, pins};
use super::error::Error;
use super::session::{Asks, Session};
use super::{Env, PinMove, Selection, UpdateOptions};

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
    let mut moves: BTreeMap<String, PinMove> = BTreeMap::new();
    for moved in all.iter().flat_map(|computed| pins(computed)) {
        match moves.get_mut(&moved.reference) {
            Some(known) => known.recipes.extend(moved.recipes),
            None => drop(moves.insert(moved.reference.clone(), moved)),
        }
    }
    if !plan_only {
        finish(&mut session, &selected)?;
    }
    Ok((moves.into_values().collect(), !plan_only))
}
