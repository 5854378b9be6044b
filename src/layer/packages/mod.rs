//! Which packages an image has, from the databases of dpkg and apk.
//!
//! Owns the databases' formats and the canonical list. A database is read as a stream while its layer is; only the
//! packages are kept. It must not judge versions or know advisories.

pub(super) mod database;
mod list;

use std::collections::BTreeSet;

pub use list::{Ecosystem, Package, Packages};

use self::database::ecosystem_of;
use super::captured::Captured;
use super::index::HeaderKind;
use super::merged::Merged;
use crate::tree::TreePath;

/// The packages of an image: of every database that its merged view shows.
pub fn derive(merged: &Merged, captured: &[&Captured]) -> Packages {
    let roots =
        ["var/lib/dpkg/status", "lib/apk/db/installed", "usr/lib/apk/db/installed", "var/lib/dpkg/status.d"];
    let mut all = BTreeSet::new();
    for root in roots.iter().filter_map(|root| TreePath::parse(root.as_bytes()).ok()) {
        let itself = merged.get(&root).map(|placed| (&root, placed));
        for (path, placed) in itself.into_iter().chain(merged.children(&root)) {
            if !matches!(placed.header.kind, HeaderKind::File { .. }) || ecosystem_of(path).is_none() {
                continue;
            }
            let layer = placed.layer.and_then(|layer| captured.get(layer));
            if let Some(found) = layer.and_then(|l| l.packages.get(placed.content.as_deref().unwrap_or(path)))
            {
                all.extend(found.0.iter().cloned());
            }
        }
    }
    Packages(all)
}
