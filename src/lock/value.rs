//! A lock as a value, and why a text is none.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use crate::digest::{DiffId, Digest, Encoding, ParseDigestError};
use crate::oci::Reference;
use crate::tree::{Content, Kind, SourceKey, SourceNode, TreePath};

/// Files of a base that entries change are committed up to this size, so that no layer of it is needed.
pub const COMMITTED: u64 = 256 << 10;

/// A lock, as a value. Lists are sorted ([`Lock::sort`]); then the text and the value give each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Lock {
    /// The byte contract that the outputs were made by.
    pub encoding: Encoding,
    /// The time of every entry that has no other, in seconds since 1970.
    pub epoch: i64,
    /// The digest of each top-level section of the recipe, so that a change can be named.
    pub sections: BTreeMap<String, Digest>,
    /// One per distinct external base.
    pub bases: Vec<BasePin>,
    /// The output indexes of the recipes that this one stands on, by `stack/name` and variant.
    pub parents: BTreeMap<String, BTreeMap<String, Digest>>,
    /// Every source tree, by its key.
    pub sources: Vec<SourceLock>,
    /// What came out, by variant. Empty where inputs are open.
    pub outputs: BTreeMap<String, Output>,
}

/// Where a base comes from. Locks list their bases in the order of its text, images first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BaseOrigin {
    /// An image in a registry.
    Image(Reference),
    /// An OCI layout or archive, relative to the workspace, as the recipe writes it.
    Layout(String),
}

impl Ord for BaseOrigin {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Image(one), Self::Image(other)) => one.to_string().cmp(&other.to_string()),
            (Self::Layout(one), Self::Layout(other)) => one.cmp(other),
            (Self::Image(_), Self::Layout(_)) => Ordering::Less,
            (Self::Layout(_), Self::Image(_)) => Ordering::Greater,
        }
    }
}

impl PartialOrd for BaseOrigin {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// What a base was when it was locked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BasePin {
    /// Whose pin this is.
    pub origin: BaseOrigin,
    /// The variants that stand on it; empty: all.
    pub variants: Vec<String>,
    /// The index, or the manifest where there is no index. Of one that nobody has seen yet the size is 0.
    pub index: Content,
    /// By `os/architecture`.
    pub platforms: BTreeMap<String, PlatformPin>,
}

impl BasePin {
    /// Whether it is nothing but a digest that somebody was told of: `lock` completes it, by that digest.
    pub fn is_told(&self) -> bool {
        self.index.size == 0
    }
}

/// A base on one platform.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PlatformPin {
    /// The image manifest.
    pub manifest: Content,
    /// What is known of its file system; none in a digest-only lock.
    pub facts: Option<Content>,
    /// What each `[[remove]]` matched in the base, by its pattern as written.
    pub removed: BTreeMap<String, Vec<TreePath>>,
}

/// A source tree when it was locked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SourceLock {
    /// Which files are meant.
    pub key: SourceKey,
    /// What the tree was taken out of.
    pub pin: Pin,
    /// The sha256 of the canonical listing.
    pub hash: Digest,
    /// Whether it is one file or link.
    pub single: bool,
    /// What is in it.
    pub listing: Listing,
}

/// What a source tree was taken out of, where that isn't the checkout itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Pin {
    /// Files of the checkout, or of an input's directory.
    #[default]
    None,
    /// One file: what a URL gave, or an archive.
    File(Content),
    /// An image: its index, and its manifest for the platform.
    Image {
        /// The index, or the manifest where there is none.
        index: Content,
        /// The image's manifest.
        manifest: Content,
    },
}

impl Pin {
    /// Of the file, or of the image's index.
    pub const fn digest(&self) -> Option<Digest> {
        match self {
            Self::None => None,
            Self::File(content) | Self::Image { index: content, .. } => Some(content.digest),
        }
    }
}

/// The canonical listing of a source tree (`SourceTree::lines`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Listing {
    /// The lines, at most [`LISTED`](super::LISTED).
    Lines(Vec<String>),
    /// A committed blob of them.
    Blob(Content),
}

/// What a variant became.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The index, or upstream's descriptor of a bare recipe.
    pub index: Content,
    /// By `os/architecture`.
    pub platforms: BTreeMap<String, ImageOutput>,
}

/// What a variant became on one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageOutput {
    /// The image manifest.
    pub manifest: Digest,
    /// The overlay's own layers, without the base's.
    pub layers: Vec<DiffId>,
}

/// Why a text is no lock.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A time that no entry of an image may have.
    #[error("the epoch {epoch} is not between 1990 and 2242")]
    Epoch {
        /// The lock's.
        epoch: i64,
    },
    /// Not TOML, or keys and types that a lock doesn't have.
    #[error("{0}")]
    Toml(#[from] toml::de::Error),
    /// Nothing at all: what was interrupted, or never written.
    #[error("the lock is empty")]
    Empty,
    /// Markers of a merge.
    #[error("the lock has conflict markers, the first in line {line}")]
    Conflicted {
        /// From 1.
        line: usize,
    },
    /// Markers of a merge in an order that no merge leaves.
    #[error("the conflict marker in line {line} is out of place")]
    Marker {
        /// From 1.
        line: usize,
    },
    /// A file format from the future.
    #[error(
        "the lock has format {version}; cooper {cooper} reads formats up to {known}: a newer one is needed"
    )]
    Version {
        /// The lock's.
        version: u64,
        /// The newest that is known here.
        known: u64,
        /// The version of this program.
        cooper: &'static str,
    },
    /// A byte contract that this version doesn't have.
    #[error("the lock has encoding {encoding}; cooper {cooper} doesn't know it: a newer one is needed")]
    Encoding {
        /// The lock's.
        encoding: u64,
        /// The version of this program.
        cooper: &'static str,
    },
    /// A digest that is none.
    #[error("{at}: {source}")]
    Digest {
        /// The key.
        at: String,
        /// What is wrong with it.
        source: ParseDigestError,
    },
    /// Another value that is not what its key needs.
    #[error("{at}: {text:?} is not {expected}")]
    Value {
        /// The key.
        at: String,
        /// What was read.
        text: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A listing whose hash is another than the recorded one.
    #[error("the listing of {from} doesn't have the hash {hash}")]
    Listing {
        /// The source.
        from: String,
        /// The recorded hash.
        hash: Digest,
    },
    /// Two tables for one thing.
    #[error("{what} is there twice")]
    Twice {
        /// The base or source.
        what: String,
    },
}

impl Lock {
    /// Brings the lists into the order in which they are written.
    pub fn sort(&mut self) {
        for base in &mut self.bases {
            base.variants.sort();
            base.platforms
                .values_mut()
                .flat_map(|pin| pin.removed.values_mut())
                .for_each(|paths| paths.sort());
        }
        self.bases.sort();
        self.sources.sort_by(|a, b| a.key.cmp(&b.key));
    }

    /// The pin of a base.
    pub fn pin(&self, origin: &BaseOrigin) -> Option<&BasePin> {
        self.bases.iter().find(|base| base.origin == *origin)
    }

    /// The blobs that the lock itself names: indexes, manifests, facts, long listings. The configs, which only
    /// the manifests name, are needed besides.
    pub fn blobs(&self) -> BTreeSet<Content> {
        let pins = self.bases.iter().flat_map(|base| {
            let platforms =
                base.platforms.values().flat_map(|pin| pin.facts.into_iter().chain([pin.manifest]));
            platforms.chain([base.index])
        });
        let listings = self.sources.iter().filter_map(|source| match source.listing {
            Listing::Blob(content) => Some(content),
            Listing::Lines(_) => None,
        });
        let changed = self.sources.iter().filter(|source| matches!(source.key, SourceKey::Base { .. }));
        let changed = changed.filter_map(|source| source.tree(&|_| None)).flat_map(|tree| {
            let small = |node: &SourceNode| match node {
                SourceNode::Kept { kind: Kind::File(content), .. } if content.size <= COMMITTED => {
                    Some(*content)
                }
                _ => None,
            };
            tree.nodes.values().filter_map(small).collect::<Vec<_>>()
        });
        pins.chain(listings).chain(changed).collect()
    }
}

impl std::fmt::Display for BaseOrigin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Image(reference) => reference.fmt(f),
            Self::Layout(text) => f.write_str(text),
        }
    }
}
