//! What an image is made of and what comes out: plain values, and why nothing did.

use std::collections::BTreeMap;

use crate::digest::{DiffId, Digest};
use crate::oci::{Compression, Descriptor, DocumentError, Platform};

/// A layer of ours, built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Of its tar stream.
    pub diff_id: DiffId,
    /// Of its blob.
    pub digest: Digest,
    /// Of its blob, in bytes.
    pub size: u64,
    /// Of its blob.
    pub compression: Compression,
    /// `layer = "…"` of the recipe: the comment of its history entry.
    pub name: Option<String>,
}

/// An image of one platform: its own two documents, and what its index will say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The config's bytes.
    pub config: Vec<u8>,
    /// The manifest's bytes.
    pub manifest: Vec<u8>,
    /// Of the manifest, with its platform.
    pub descriptor: Descriptor,
    /// In the manifest.
    pub annotations: BTreeMap<String, String>,
    /// What a person should know.
    pub warnings: Vec<Warning>,
}

/// What was dropped from a base and is missed by somebody, perhaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Warning {
    /// The base's config held Dockerfile instructions for its children: they mean nothing here.
    OnBuild {
        /// As they stood there.
        instructions: Vec<String>,
    },
}

impl std::fmt::Display for Warning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self::OnBuild { instructions } = self;
        write!(f, "the base's OnBuild is left out: {}", instructions.join("; "))
    }
}

/// Why no image can be assembled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A base's document isn't what it must be.
    #[error("the base can't be built upon")]
    Base(#[from] DocumentError),
    /// Manifest and config of the base speak of different layers.
    #[error("the base's manifest has {layers} layers, its config {diff_ids} diff_ids")]
    DiffIds {
        /// In the manifest.
        layers: usize,
        /// In the config.
        diff_ids: usize,
    },
    /// Windows layers are of another make.
    #[error("{platform}: images for Windows can't be built")]
    Windows {
        /// What was asked for, or what the base is.
        platform: Platform,
    },
}
