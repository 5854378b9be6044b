//! What reading a source gives.

use crate::lock::Pin;
use crate::tree::SourceTree;
use crate::workspace::Contents;

/// A source from elsewhere, read.
#[derive(Default)]
pub(super) struct Read {
    pub(super) tree: SourceTree,
    /// What it was taken out of.
    pub(super) pin: Pin,
    /// The bytes of its files.
    pub(super) contents: Contents,
}
