//! `gc`: what no recipe needs any more leaves the store.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Env, Error};
use crate::digest::Digest;
use crate::disk;
use crate::recipe::{Catalogue, parse_workspace};
use crate::store::{Root, Store};
use crate::workspace::{self, Workspace};

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
    let workspaces = store.roots()?.into_iter().filter_map(|root| root.key).map(|key| key.workspace.into());
    let named = workspaces.chain([env.dir.clone()]).collect::<BTreeSet<PathBuf>>();
    let keep = named.iter().flat_map(|workspace| catalogues(workspace)).collect();
    let report = store.gc(dry_run, &keep, &is_live)?;
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

/// The archives of other workspaces that one names.
fn catalogues(workspace: &Path) -> Vec<Digest> {
    let found = Workspace::find(workspace).ok();
    let file = found.and_then(|found| parse_workspace(workspace::FILE, found.text()).ok());
    let catalogues = file.into_iter().flat_map(|file| file.catalogues.into_values());
    let archives = catalogues.filter_map(|catalogue| match catalogue.value {
        Catalogue::Archive { sha256, .. } => Some(sha256),
        Catalogue::Path(_) => None,
    });
    archives.collect()
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
