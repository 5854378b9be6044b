//! Images and indexes, assembled from a base's documents, built layers and a config patch.
//!
//! Owns the choice of the encoding and the checks of the result; what decides bytes lies in `v1`. It works on
//! documents only: it must not know recipes, locks or where a blob lies.

mod parts;
mod v1;
pub mod validate;

use std::collections::BTreeMap;

pub use parts::{Error, Image, Layer, Warning};

use crate::derivation::ConfigPatch;
use crate::digest::Encoding;
use crate::oci::{Descriptor, ImageConfig, Index, Manifest, Platform};

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

/// The bytes of the index of one variant's images, and its annotations: those that all of them have alike.
pub fn index_of<'i>(
    encoding: Encoding,
    images: impl IntoIterator<Item = &'i Image>,
) -> (Vec<u8>, BTreeMap<String, String>) {
    match encoding {
        Encoding::V1 => v1::index_of(images),
    }
}

/// The bytes of an index of nothing but the children of `base` that are of these platforms.
pub fn subset(encoding: Encoding, base: &Index, platforms: &[Platform]) -> Vec<u8> {
    match encoding {
        Encoding::V1 => v1::subset(base, platforms),
    }
}
