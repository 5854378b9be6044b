//! Documents read strictly: what two readers could take in two ways is refused.

use std::collections::BTreeMap;

use super::json::{self, Value, cut};

/// A document that is not what the image specification allows, or could be taken in two ways.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DocumentError {
    /// Not JSON as Cooper reads it.
    #[error("{document}: {source}")]
    Json {
        /// What the bytes should have been.
        document: &'static str,
        /// Where reading stopped.
        source: json::ParseError,
    },
    /// A member that must be there is missing or has another type.
    #[error("{document}: {member} must be {expected}")]
    Member {
        /// The kind of document.
        document: &'static str,
        /// The member's name.
        member: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A digest that is none, or of an algorithm that isn't sha256.
    #[error("{document}: {source}")]
    Digest {
        /// The kind of document.
        document: &'static str,
        /// What is wrong with it.
        source: crate::digest::ParseDigestError,
    },
    /// A size that no blob has.
    #[error("descriptor: the size {found} is not a whole number of bytes below 2^63")]
    Size {
        /// As it stands there, cut.
        found: String,
    },
    /// Two spellings of one member, which some readers take for the same.
    #[error("{document}: the member {found:?} is not {known:?}, but some readers take it for that")]
    Spelling {
        /// The kind of document.
        document: &'static str,
        /// As it stands there.
        found: String,
        /// What it looks like.
        known: &'static str,
    },
    /// `manifests` beside `layers` or `config` (CVE-2021-41190).
    #[error("the document claims to be a manifest and an index at once")]
    BothKinds,
    /// Neither `manifests` nor `config` and `layers`.
    #[error("the document is neither a manifest nor an index")]
    NeitherKind,
    /// The document says one media type and whoever points to it another.
    #[error("the descriptor says {descriptor}, the document says {document}")]
    MediaType {
        /// From the descriptor.
        descriptor: String,
        /// From the document, or what its members make it.
        document: String,
    },
    /// Embedded bytes that are not those that the descriptor names.
    #[error("the data embedded in the descriptor of {digest} is something else")]
    Data {
        /// The descriptor's.
        digest: crate::digest::Digest,
    },
    /// A manifest and a config that speak of different images.
    #[error("the manifest names {manifest} layers, the config has diff_ids of {config}")]
    Layers {
        /// As many descriptors.
        manifest: usize,
        /// As many diff_ids.
        config: usize,
    },
    /// A schema that isn't an OCI image's: Docker schema 1, Windows, foreign layers.
    #[error("{what} can't be built upon")]
    Unsupported {
        /// What was met.
        what: String,
    },
    /// What should be an image, and is of a kind of which nobody knows what it names.
    #[error("{media_type:?} is neither an image's type nor an index's: nobody knows what belongs to it")]
    Opaque {
        /// As it was told.
        media_type: String,
    },
}

pub(super) fn parse_object(document: &'static str, bytes: &[u8]) -> Result<json::Object, DocumentError> {
    match json::parse(bytes).map_err(|source| DocumentError::Json { document, source })? {
        Value::Object(object) => Ok(object),
        _ => Err(DocumentError::Member { document, member: "the whole".into(), expected: "an object" }),
    }
}

pub(super) fn wrong(document: &'static str, member: &str, expected: &'static str) -> DocumentError {
    DocumentError::Member { document, member: member.to_owned(), expected }
}

/// Refuses members that differ from those that mean something by case alone: Go's reader takes them.
pub(super) fn check_spelling(
    object: &json::Object,
    document: &'static str,
    known: &[&'static str],
) -> Result<(), DocumentError> {
    for found in object.keys() {
        if let Some(known) = known.iter().find(|known| known.eq_ignore_ascii_case(found) && *known != found) {
            return Err(DocumentError::Spelling { document, found: cut(found), known });
        }
    }
    Ok(())
}

/// Takes a string member out of `object`; absent and null are nothing.
pub(super) fn take_string(
    object: &mut json::Object,
    document: &'static str,
    member: &str,
) -> Result<Option<String>, DocumentError> {
    match object.remove(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(document, member, "a string")),
    }
}

pub(super) fn take_array(
    object: &mut json::Object,
    document: &'static str,
    member: &str,
) -> Result<Option<Vec<Value>>, DocumentError> {
    match object.remove(member) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Array(items)) => Ok(Some(items)),
        Some(_) => Err(wrong(document, member, "an array")),
    }
}

/// Takes a string-to-string member (`annotations`); absent and null are empty.
pub(super) fn take_strings(
    object: &mut json::Object,
    document: &'static str,
    member: &str,
) -> Result<BTreeMap<String, String>, DocumentError> {
    match object.remove(member) {
        None | Some(Value::Null) => Ok(Default::default()),
        Some(Value::Object(map)) => map
            .into_iter()
            .map(|(key, value)| match value {
                Value::String(text) => Ok((key, text)),
                _ => Err(wrong(document, member, "an object of strings")),
            })
            .collect(),
        Some(_) => Err(wrong(document, member, "an object of strings")),
    }
}
