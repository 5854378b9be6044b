//! `gc`: what no recipe needs any more leaves the store.

use std::collections::BTreeSet;
use std::path::Path;

use super::{Env, Error};
use crate::disk;
use crate::store::{Root, Store};

/// What `gc` removed, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs and other files removed.
    pub removed: u64,
    /// Bytes freed.
    pub bytes: u64,
    /// Blobs kept.
    pub kept: u64,
    /// Roots that were dropped, because their recipe is gone.
    pub dropped_roots: Vec<String>,
    /// Nothing was removed: `--dry-run`.
    pub dry_run: bool,
}

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
