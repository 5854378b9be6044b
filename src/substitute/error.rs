//! Why something can't be had from a place.

use std::io;
use std::path::PathBuf;

use crate::digest::Digest;
use crate::disk;
use crate::oci::{DocumentError, MAX_DOCUMENT};
use crate::store::ClosureError;

/// Why something can't be had from here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// A registry.
    #[error(transparent)]
    Registry(#[from] crate::registry::Error),
    /// Neither a layout nor an archive.
    #[error("{} is neither an image layout nor an archive of one: {why}", path.display())]
    NotAnImage {
        /// The path.
        path: PathBuf,
        /// What was met instead.
        why: &'static str,
    },
    /// A broken or hostile archive.
    #[error("{}: {why}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A document in it can't be read.
    #[error("{}: {name}: {source}", path.display())]
    Document {
        /// The layout or archive.
        path: PathBuf,
        /// Which document.
        name: String,
        /// What is wrong.
        source: DocumentError,
    },
    /// A blob can't be read, or is damaged.
    #[error("cannot read {digest}: {source}")]
    Read {
        /// Which.
        digest: Digest,
        /// Why; holds a [`Mismatch`](crate::digest::Mismatch) for other bytes than those named.
        source: io::Error,
    },
    /// A document above the cap.
    #[error("the document {digest} has {size} bytes; at most {MAX_DOCUMENT} are read")]
    TooLarge {
        /// Which.
        digest: Digest,
        /// What its descriptor says.
        size: u64,
    },
    /// A graph of documents that can't be followed.
    #[error(transparent)]
    Closure(#[from] ClosureError),
    /// No image of that name.
    #[error("{} has no image {selector:?}; it has {}", path.display(), names(choices))]
    NoSuchImage {
        /// The layout or archive.
        path: PathBuf,
        /// What was asked for.
        selector: String,
        /// What there is.
        choices: Vec<String>,
    },
    /// Several images, and it wasn't said which.
    #[error("{} has several images, choose one of {}", path.display(), names(choices))]
    Ambiguous {
        /// The layout or archive.
        path: PathBuf,
        /// What there is.
        choices: Vec<String>,
    },
}

impl Error {
    /// Whether there is nothing at the path at all.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Disk(error) if error.is_missing())
    }
}

fn names(choices: &[String]) -> String {
    /// More are counted.
    const SHOWN: usize = 10;
    let mut shown = choices.iter().take(SHOWN).map(|name| cut(name)).collect::<Vec<_>>().join(", ");
    if let Some(more) = choices.len().checked_sub(SHOWN + 1) {
        shown += &format!(" and {} more", more + 1);
    }
    if choices.is_empty() { "none".into() } else { shown }
}

/// A name from outside, as much of it as a message shows.
pub(super) fn cut(name: &str) -> String {
    let mut shown: String = name.chars().take(200).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    shown
}
