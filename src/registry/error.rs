//! Why something can't be had from a registry.

use crate::digest::Digest;
use crate::http::{self, Url};

/// Why something can't be had from a registry.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A request that came to nothing.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// A document with other bytes than its digest promises.
    #[error("{url} gave {found}, not {expected}")]
    Unexpected {
        /// What was asked for.
        url: Url,
        /// The digest in the reference, the descriptor, or the registry's own header.
        expected: Digest,
        /// The digest of what came.
        found: Digest,
    },
    /// What the site says of registries can't be read.
    #[error("{0}")]
    Settings(String),
    /// Nothing of that name, in the registry or any mirror of it.
    #[error("{reference} is not in the registry")]
    NoSuchImage {
        /// As asked for.
        reference: String,
        /// A tag that was perhaps meant.
        suggestion: Option<String>,
    },
}
