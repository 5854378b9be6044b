//! Manifests and indexes (OCI image specification, manifest.md and image-index.md).

use std::collections::BTreeMap;

use super::json::{self, Object, Value, cut};
use super::strict::{check_spelling, parse_object, take_array, take_string, take_strings, wrong};
use super::{Compression, Descriptor, DocumentError, MediaType};

/// Docker takes 127 and Podman 500.
const MAX_LAYERS: usize = 500;

/// One image of one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The image config.
    pub config: Descriptor,
    /// From the lowest to the topmost.
    pub layers: Vec<Descriptor>,
    /// Free key and value pairs.
    pub annotations: BTreeMap<String, String>,
}

/// Images of several platforms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// Manifests, or further indexes.
    pub manifests: Vec<Descriptor>,
    /// Free key and value pairs.
    pub annotations: BTreeMap<String, String>,
}

/// A manifest or an index.
#[allow(clippy::large_enum_variant, reason = "one at a time, never in a list")]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Document {
    /// One image.
    Manifest(Manifest),
    /// Several.
    Index(Index),
}

impl Document {
    /// Reads a document that a descriptor calls `media_type`.
    ///
    /// # Errors
    /// A document that is both kinds or neither, that contradicts the descriptor, or isn't sound.
    pub fn parse(bytes: &[u8], media_type: &str) -> Result<Self, DocumentError> {
        Self::of(parse_object("manifest", bytes)?, media_type)
    }

    /// As [`parse`](Self::parse), however much memory the values take: for documents of one's own.
    ///
    /// # Errors
    /// As for [`parse`](Self::parse).
    pub fn parse_own(bytes: &[u8], media_type: &str) -> Result<Self, DocumentError> {
        let failed = |source| DocumentError::Json { document: "manifest", source };
        match json::parse_within(bytes, usize::MAX).map_err(failed)? {
            Value::Object(members) => Self::of(members, media_type),
            _ => Err(wrong("manifest", "the whole", "an object")),
        }
    }

    fn of(mut members: Object, media_type: &str) -> Result<Self, DocumentError> {
        check_spelling(
            &members,
            "manifest",
            &["schemaVersion", "mediaType", "manifests", "config", "layers", "annotations", "subject"],
        )?;
        let is_index = members.contains_key("manifests");
        let is_manifest = members.contains_key("layers") || members.contains_key("config");
        match (is_index, is_manifest) {
            (true, true) => return Err(DocumentError::BothKinds),
            (false, false) => return Err(DocumentError::NeitherKind),
            _ => {}
        }
        check_kind(&mut members, media_type, if is_index { MediaType::Index } else { MediaType::Manifest })?;
        if is_index {
            return Ok(Self::Index(Index {
                manifests: descriptors(&mut members, "index", "manifests")?,
                annotations: take_strings(&mut members, "index", "annotations")?,
            }));
        }
        let config = members.remove("config").ok_or_else(|| wrong("manifest", "config", "a descriptor"))?;
        Ok(Self::Manifest(Manifest {
            config: Descriptor::from_value(config)?,
            layers: descriptors(&mut members, "manifest", "layers")?,
            annotations: take_strings(&mut members, "manifest", "annotations")?,
        }))
    }
}

fn check_kind(members: &mut Object, descriptor: &str, kind: MediaType) -> Result<(), DocumentError> {
    let differs =
        |document: String| DocumentError::MediaType { descriptor: cut(descriptor), document: cut(&document) };
    if members.get("schemaVersion").and_then(Value::as_u64) != Some(2) {
        return Err(wrong("manifest", "schemaVersion", "2"));
    }
    if let Some(own) = take_string(members, "manifest", "mediaType")?
        && own != descriptor
    {
        return Err(differs(own));
    }
    if MediaType::parse(descriptor)? == kind { Ok(()) } else { Err(differs(kind.to_string())) }
}

fn descriptors(
    members: &mut Object,
    document: &'static str,
    member: &str,
) -> Result<Vec<Descriptor>, DocumentError> {
    take_array(members, document, member)?
        .ok_or_else(|| wrong(document, member, "an array of descriptors"))?
        .into_iter()
        .map(Descriptor::from_value)
        .collect()
}

impl Manifest {
    /// Refuses layers that can't be built upon, and a config of another kind (Helm charts, other artifacts).
    ///
    /// # Errors
    /// Foreign layers, unknown media types, more layers than any engine takes.
    pub fn check_image(&self) -> Result<(), DocumentError> {
        if self.config.kind()? != MediaType::Config {
            return Err(DocumentError::Unsupported {
                what: format!("a config of type {:?}", cut(&self.config.media_type)),
            });
        }
        let count = self.layers.len();
        if count > MAX_LAYERS {
            return Err(DocumentError::Unsupported { what: format!("an image of {count} layers") });
        }
        for layer in &self.layers {
            layer.compression()?;
        }
        Ok(())
    }
}

impl Descriptor {
    /// How the layer that this descriptor names is packed.
    ///
    /// # Errors
    /// When it isn't a layer that can be built upon.
    pub fn compression(&self) -> Result<Compression, DocumentError> {
        match self.kind()? {
            MediaType::Layer(compression) => Ok(compression),
            _ => Err(DocumentError::Unsupported {
                what: format!("a layer of type {:?}", cut(&self.media_type)),
            }),
        }
    }

    /// Whether an index's child is an attestation, not an image (BuildKit's `unknown/unknown`).
    pub fn is_attestation(&self) -> bool {
        self.platform
            .as_ref()
            .is_some_and(|platform| platform.os == "unknown" && platform.architecture == "unknown")
            || self.annotations.contains_key("vnd.docker.reference.type")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: &str = "application/vnd.oci.image.index.v1+json";
    const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

    fn error(text: &str, media_type: &str) -> String {
        Document::parse(text.as_bytes(), media_type).unwrap_err().to_string()
    }

    #[test]
    fn what_could_be_taken_two_ways_is_refused() {
        for (text, media_type, message) in [
            (r#"{"schemaVersion":2,"manifests":[],"layers":[]}"#, INDEX, "a manifest and an index at once"),
            (r#"{"schemaVersion":2}"#, INDEX, "neither a manifest nor an index"),
            (
                r#"{"schemaVersion":2,"manifests":[]}"#,
                MANIFEST,
                "the descriptor says application/vnd.oci.image.manifest",
            ),
            (r#"{"schemaVersion":2,"mediaType":"x","manifests":[]}"#, INDEX, "the document says x"),
            (r#"{"schemaVersion":1,"manifests":[]}"#, INDEX, "schemaVersion must be 2"),
            (r#"{"schemaVersion":2,"manifests":{}}"#, INDEX, "manifests must be an array"),
            (r#"{"schemaVersion":2,"manifests":[],"manifests":[]}"#, INDEX, "a second \"manifests\""),
            (r#"[]"#, INDEX, "the whole must be an object"),
            (r#"{"schemaVersion":2,"manifests":[],"Layers":[]}"#, INDEX, "\"Layers\" is not \"layers\""),
        ] {
            assert!(error(text, media_type).contains(message), "{text}: {}", error(text, media_type));
        }
    }

    #[test]
    fn written_documents_read_back() {
        let mut index = Index { manifests: Vec::new(), annotations: BTreeMap::new() };
        index.manifests.push(Descriptor::of(MediaType::Manifest, b"x"));
        assert_eq!(Document::parse(&index.to_bytes(), INDEX), Ok(Document::Index(index)));
    }
}
