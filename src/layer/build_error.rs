//! Why a layer isn't built.
//!
//! Owns the error of the writing half. Paths and what was expected of them are fields.

use std::io;

use crate::digest::Mismatch;
use crate::oci::Compression;
use crate::tree::TreePath;

/// Why a layer wasn't built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A file's bytes couldn't be had.
    #[error("{path} can't be read")]
    Read {
        /// Where it lies in the layer.
        path: TreePath,
        /// What the reader said.
        source: io::Error,
    },
    /// A file's bytes aren't those that the tree names.
    #[error("{path} changed while it was read: {found}")]
    Changed {
        /// Where it lies in the layer.
        path: TreePath,
        /// What the tree names, and what was read.
        found: Mismatch,
    },
    /// A hard link to what isn't a file of the same layer.
    #[error("{path} is a hard link to {target}, which is not a file of the same layer")]
    LinkTarget {
        /// Where it lies in the layer.
        path: TreePath,
        /// What it links to.
        target: TreePath,
    },
    /// An entry that a tar can't say, or that engines take for something else.
    #[error("{path} can't be written to a layer: {why}")]
    Unwritable {
        /// Where it lies in the layer.
        path: TreePath,
        /// What is wrong with it.
        why: &'static str,
    },
    /// Cooper reads such layers and doesn't write them.
    #[error("layers can't be compressed with {0:?}")]
    Compression(Compression),
    /// This build of Cooper gives other bytes than the encoding says; nothing it makes could be trusted.
    #[error("this program encodes a built-in vector to other bytes than encoding {encoding} has for it")]
    Encoder {
        /// Its number.
        encoding: u32,
    },
    /// The result couldn't be written.
    #[error("the layer can't be written")]
    Write(#[source] io::Error),
}
