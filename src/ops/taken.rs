//! Which files of the checkout recipes take, for whoever asks whether those are committed.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::{Env, Error};
use crate::tree::{Files, SourceKey};
use crate::work::Asks;
use crate::work::checkout::{Checkout, wants};
use crate::workspace::Scan;

/// Those of `paths` that one of the recipes takes: files, or directories (with a final slash) of which it takes something;
/// relative to the workspace.
///
/// # Errors
/// Recipes or sources that can't be read.
pub fn taken(env: &Env<'_>, recipes: &[String], paths: &[String]) -> Result<BTreeSet<String>, Error> {
    let checkout = Checkout::open(env, Asks::default())?;
    let mut sources: Vec<(Files, Rc<Scan>)> = Vec::new();
    for target in recipes.iter().filter_map(|recipe| recipe.parse().ok()) {
        for key in wants::all_keys(&checkout, &target)? {
            let SourceKey::Files(files) = key else { continue };
            let scan = checkout.source(&files)?;
            sources.push((files, scan));
        }
    }
    let is_taken = |path: &&String| sources.iter().any(|(files, scan)| takes(files, scan, path));
    Ok(paths.iter().filter(is_taken).cloned().collect())
}

fn takes(files: &Files, scan: &Scan, path: &str) -> bool {
    let Some(path) = path.strip_prefix(&files.directory).and_then(|path| path.strip_prefix('/')) else {
        return false;
    };
    let from = files.from.trim_end_matches('/');
    if scan.tree.single {
        return path == from || (path.ends_with('/') && from.starts_with(path));
    }
    let (inside, whole) = (path.trim_end_matches('/'), path.ends_with('/'));
    // All of the source lies below it.
    if whole && (from == inside || from.starts_with(path)) {
        return true;
    }
    let below = if from.is_empty() { Some(inside) } else { inside.strip_prefix(&format!("{from}/")) };
    scan.tree.nodes.keys().any(|node| match (&*String::from_utf8_lossy(node.as_bytes()), below) {
        (node, Some(below)) => node == below || (whole && node.starts_with(&format!("{below}/"))),
        // Of a glob each match has its last component for a name.
        (node, None) => {
            from.contains(['*', '?', '[', '{']) && (inside == node || inside.ends_with(&format!("/{node}")))
        }
    })
}
