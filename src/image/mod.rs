//! Images and indexes, assembled from a base's documents, built layers and a config patch.
//!
//! Owns the choice of the encoding and the checks of the result; what decides bytes lies in [`v1`]. It works on
//! documents only: it must not know recipes, locks or where a blob lies.

mod v1;
pub mod validate;

use std::collections::BTreeMap;

use crate::derivation::ConfigPatch;
use crate::digest::{DiffId, Digest, Encoding};
use crate::oci::{Compression, Descriptor, DocumentError, ImageConfig, Manifest, Platform};

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

/// Puts `layers` on top of `base` (none: from scratch) and patches its config.
///
/// # Errors
/// A base that can't be built upon.
pub fn assemble(
    encoding: Encoding,
    base: Option<(&Manifest, &ImageConfig)>,
    platform: &Platform,
    layers: &[Layer],
    patch: &ConfigPatch,
) -> Result<Image, Error> {
    let image = match encoding {
        Encoding::V1 => v1::assemble(base, platform, layers, patch)?,
    };
    debug_assert_eq!(validate::image(&image.manifest, &image.config), Ok(()));
    Ok(image)
}

/// The bytes of an index of `children`, and [`ConfigPatch::annotations`].
pub fn index(
    encoding: Encoding,
    children: Vec<Descriptor>,
    annotations: BTreeMap<String, String>,
) -> Vec<u8> {
    match encoding {
        Encoding::V1 => v1::index(children, annotations),
    }
}
