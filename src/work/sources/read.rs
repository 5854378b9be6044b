//! What reading a source gives.

use std::collections::BTreeMap;

use crate::lock::Pin;
use crate::tree::{SourceTree, TreePath};
use crate::workspace::Contents;

/// A source from elsewhere, read.
#[derive(Default)]
pub(super) struct Read {
    pub(super) tree: SourceTree,
    /// What it was taken out of.
    pub(super) pin: Pin,
    /// The bytes of its files.
    pub(super) contents: Contents,
    pub(super) secrets: Secrets,
}

/// The files that seem to hold a secret, and of which kind.
pub(super) type Secrets = BTreeMap<TreePath, &'static str>;
