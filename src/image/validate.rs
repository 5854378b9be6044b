//! What the image specification demands of an assembled image, checked on its bytes.
//!
//! Owns no byte and repairs nothing: it is the oracle of the assembly's tests and of debug builds.

use super::v1::is_empty_layer;
use crate::digest::Digest;
use crate::oci::json::Value;
use crate::oci::{Document, DocumentError, ImageConfig, MediaType, Time};

/// Where an image breaks the specification, or what every engine relies on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Invalid {
    /// One of its documents.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// An index where a manifest must be.
    #[error("the manifest is an index")]
    Index,
    /// The manifest points to other bytes than the config's.
    #[error("the manifest names the config {named}, it is {found}")]
    Config {
        /// In the manifest.
        named: Digest,
        /// What the bytes are.
        found: Digest,
    },
    /// A media type that isn't OCI's.
    #[error("{0:?} is not one of OCI's media types")]
    MediaType(String),
    /// One diff_id and one history entry a layer.
    #[error("{layers} layers, {diff_ids} diff_ids, {history} history entries that made a layer")]
    Counts {
        /// In the manifest.
        layers: usize,
        /// In the config.
        diff_ids: usize,
        /// In the config, those without `empty_layer`.
        history: usize,
    },
    /// No valid `created`.
    #[error("created is no time")]
    Created,
}

/// Checks the documents of one image.
///
/// # Errors
/// The first thing that is wrong.
pub fn image(manifest: &[u8], config: &[u8]) -> Result<(), Invalid> {
    let Document::Manifest(manifest) = Document::parse(manifest, &MediaType::Manifest.to_string())? else {
        return Err(Invalid::Index);
    };
    manifest.check_image()?;
    let found = Digest::of(config);
    if manifest.config.digest != found || manifest.config.size != config.len() as u64 {
        return Err(Invalid::Config { named: manifest.config.digest, found });
    }
    for descriptor in manifest.layers.iter().chain([&manifest.config]) {
        if descriptor.kind()?.to_string() != descriptor.media_type {
            return Err(Invalid::MediaType(descriptor.media_type.clone()));
        }
    }
    let config = ImageConfig::parse(config)?;
    config.platform()?;
    let created = config.members.get("created").and_then(Value::as_str);
    if created.is_none_or(|text| text.parse::<Time>().is_err()) {
        return Err(Invalid::Created);
    }
    let entries = config.members.get("history").and_then(Value::as_array).unwrap_or_default();
    let made_one = |entry: &&Value| entry.as_object().is_some_and(|entry| !is_empty_layer(entry));
    let history = entries.iter().filter(made_one).count();
    let (layers, diff_ids) = (manifest.layers.len(), config.diff_ids()?.len());
    if layers != diff_ids || layers != history {
        return Err(Invalid::Counts { layers, diff_ids, history });
    }
    Ok(())
}
