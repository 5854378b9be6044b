//! Why the store can't do something.

use std::path::PathBuf;

use super::closure::ClosureError;
use crate::digest::Digest;
use crate::disk;
use crate::oci::DocumentError;

/// What the store can't do, or refuses.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// A directory with something in it that isn't an image layout.
    #[error("{} is not a store: it holds files, but no oci-layout", path.display())]
    NotAStore {
        /// The directory.
        path: PathBuf,
    },
    /// A link where a directory of the store should be.
    #[error("{} is a link, and a store keeps nothing elsewhere", path.display())]
    Linked {
        /// The link.
        path: PathBuf,
    },
    /// An image layout of a version that Cooper doesn't know.
    #[error("{}: unknown image layout version {found:?}", path.display())]
    Version {
        /// The directory.
        path: PathBuf,
        /// What `oci-layout` says.
        found: String,
    },
    /// `index.json` is missing or can't be read: which blobs are needed can't be told.
    #[error("{}: {source}", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: DocumentError,
    },
    /// The same, because of the file itself.
    #[error("which images the store holds can't be told: {source}")]
    Unlisted {
        /// What the file system says.
        source: disk::Error,
    },
    /// A blob that isn't here, or not with the right size.
    #[error("{digest} ({size} bytes) is not in the store {}", path.display())]
    Missing {
        /// What was asked for.
        digest: Digest,
        /// What was asked for.
        size: u64,
        /// The store.
        path: PathBuf,
    },
    /// A blob whose bytes are others than its name says.
    #[error("the blob {digest} in the store {} is damaged", path.display())]
    Damaged {
        /// The blob.
        digest: Digest,
        /// The store.
        path: PathBuf,
    },
    /// A blob larger than whoever asked is ready to take.
    #[error("{digest} has {size} bytes; at most {cap} are read")]
    TooLarge {
        /// The blob.
        digest: Digest,
        /// What it has.
        size: u64,
        /// What is allowed.
        cap: u64,
    },
    /// What was written is not what was promised.
    #[error("{found} ({found_size} bytes) came where {expected} ({expected_size} bytes) was expected")]
    Unexpected {
        /// What was promised.
        expected: Digest,
        /// What was promised.
        expected_size: u64,
        /// What came.
        found: Digest,
        /// What came.
        found_size: u64,
    },
    /// A graph of documents that can't be followed.
    #[error(transparent)]
    Closure(#[from] ClosureError),
}
