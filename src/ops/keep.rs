//! `gc` and `store verify`: what the store keeps, and whether it is sound.

use std::collections::BTreeSet;
use std::path::Path;

use super::error::Error;
use super::{Collected, Env, Verified};
use crate::disk;
use crate::store::{Root, Store};

/// Removes what no recipe's output reaches any more. A root goes when its recipe has gone from its workspace.
///
/// # Errors
/// When the store's index or a document that a root reaches can't be read: then nothing is removed.
pub fn gc(env: &Env<'_>, dry_run: bool) -> Result<Collected, Error> {
    let store = Store::open(&env.store)?;
    let report = store.gc(dry_run, &BTreeSet::new(), &is_live)?;
    let name = |root: &Root| match &root.key {
        Some(key) => format!("{} of {}", key.name(), key.workspace),
        None => root.name.clone().unwrap_or_else(|| root.descriptor.digest.to_string()),
    };
    Ok(Collected {
        removed: report.removed,
        bytes: report.bytes,
        kept: report.kept,
        dropped_roots: report.roots.iter().map(name).collect(),
        dry_run,
    })
}

fn is_live(root: &Root) -> bool {
    match &root.key {
        Some(key) => {
            let recipe = Path::new(&key.workspace).join("recipes").join(&key.recipe).join("recipe.toml");
            disk::regular_size(&recipe).ok().flatten().is_some()
        }
        None => true,
    }
}

/// Hashes everything in the store; with `repair` takes out what is damaged, so that it comes anew.
///
/// # Errors
/// When the store can't be read.
pub fn store_verify(env: &Env<'_>, repair: bool) -> Result<Verified, Error> {
    let report = Store::open(&env.store)?.verify(repair, &*env.progress)?;
    Ok(Verified {
        sound: report.sound,
        bytes: report.bytes,
        damaged: report
            .damaged
            .iter()
            .map(|(path, damage)| format!("{}: {damage}", path.display()))
            .collect(),
        repaired: repair,
    })
}
