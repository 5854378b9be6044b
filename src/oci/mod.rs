//! The documents of the OCI image specification, as values and as bytes.
//!
//! Owns the vocabulary (reference, place, platform, media type, descriptor), the documents (manifest, index,
//! image config) and the canonical JSON that they are written in. Reading is strict: what two readers could
//! take in two ways is refused. What is written, of encoding 1, lies in `v1`. Pure; it must not know where a document came from or lies.

mod config;
mod descriptor;
mod document;
pub mod json;
mod media_type;
mod place;
mod platform;
mod reference;
mod spelling;
mod strict;
mod v1;

pub use config::ImageConfig;
pub use descriptor::Descriptor;
pub use document::{Document, Index, Manifest};
pub use media_type::{Compression, MediaType};
pub use place::{ParsePlaceError, Place};
pub use platform::{ParsePlatformError, Platform};
pub use reference::{ParseReferenceError, Reference};
pub use strict::DocumentError;
pub use v1::{ParseTimeError, Time, base64, from_base64};

/// Manifests, indexes and configs above this many bytes are not read (the distribution specification lets a
/// registry refuse manifests above 4 MiB).
pub const MAX_DOCUMENT: u64 = 4 << 20;
