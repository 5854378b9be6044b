//! Content descriptors (OCI image specification, descriptor.md).

use std::collections::BTreeMap;

use super::json::{Object, Value, cut};
use super::strict::{check_spelling, take_string, take_strings, wrong};
use super::{DocumentError, MediaType, Platform};
use crate::digest::Digest;

/// A blob's media type, digest and size, and what else its descriptor says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// As it was read, or an OCI name.
    pub media_type: String,
    /// Of the blob's bytes.
    pub digest: Digest,
    /// In bytes.
    pub size: u64,
    /// Of the image that it points to, in an index.
    pub platform: Option<Platform>,
    /// Free key and value pairs.
    pub annotations: BTreeMap<String, String>,
    /// All other members, verbatim (`data`, `urls`, `artifactType`, …).
    pub rest: Object,
}

impl Descriptor {
    /// Of `bytes`, with nothing else said.
    pub fn of(media_type: MediaType, bytes: &[u8]) -> Self {
        Self::new(media_type, Digest::of(bytes), bytes.len() as u64)
    }

    /// Of a blob that is known by digest and size.
    pub fn new(media_type: MediaType, digest: Digest, size: u64) -> Self {
        Self {
            media_type: media_type.to_string(),
            digest,
            size,
            platform: None,
            annotations: BTreeMap::new(),
            rest: Object::new(),
        }
    }

    /// The media type in OCI's terms.
    ///
    /// # Errors
    /// When Cooper can't build upon such a blob.
    pub fn kind(&self) -> Result<MediaType, DocumentError> {
        MediaType::parse(&self.media_type)
    }

    /// Refuses what is no manifest and no index where there should be one.
    ///
    /// # Errors
    /// When it is anything else.
    pub fn check_document(&self) -> Result<(), DocumentError> {
        match self.kind() {
            Ok(kind) if kind.is_document() => Ok(()),
            _ => Err(DocumentError::Opaque { media_type: cut(&self.media_type) }),
        }
    }

    /// Reads a descriptor.
    ///
    /// # Errors
    /// A missing member, a negative or fractional size, a digest that isn't sha256.
    pub fn from_value(value: Value) -> Result<Self, DocumentError> {
        const WHAT: &str = "descriptor";
        let Value::Object(mut rest) = value else { return Err(wrong(WHAT, "the whole", "an object")) };
        check_spelling(
            &rest,
            WHAT,
            &["mediaType", "digest", "size", "platform", "urls", "annotations", "data"],
        )?;
        let media_type = take_string(&mut rest, WHAT, "mediaType")?;
        let digest = take_string(&mut rest, WHAT, "digest")?.map(|text| text.parse::<Digest>()).transpose();
        let digest = digest.map_err(|source| DocumentError::Digest { document: WHAT, source })?;
        let size = rest.remove("size").ok_or_else(|| wrong(WHAT, "size", "a whole number of bytes"))?;
        let size = size.as_u64().filter(|&size| i64::try_from(size).is_ok()).ok_or_else(|| {
            let text = String::from_utf8_lossy(&size.to_bytes()).into_owned();
            DocumentError::Size { found: cut(&text) }
        })?;
        let annotations = take_strings(&mut rest, WHAT, "annotations")?;
        let platform = match rest.remove("platform") {
            None | Some(Value::Null) => None,
            Some(value) => Some(Platform::from_value(value)?),
        };
        Ok(Self {
            media_type: media_type.ok_or_else(|| wrong(WHAT, "mediaType", "a string"))?,
            digest: digest.ok_or_else(|| wrong(WHAT, "digest", "sha256: and 64 hexadecimal digits"))?,
            size,
            platform,
            annotations,
            rest,
        })
    }

    /// The bytes that the descriptor embeds in `data` (base64), if any, checked against digest and size.
    ///
    /// # Errors
    /// When they are not the bytes that it names.
    pub fn data(&self) -> Result<Option<Vec<u8>>, DocumentError> {
        let Some(text) = self.rest.get("data").and_then(Value::as_str) else { return Ok(None) };
        let bytes = super::from_base64(text).filter(|bytes| bytes.len() as u64 == self.size);
        match bytes {
            Some(bytes) if Digest::of(&bytes) == self.digest => Ok(Some(bytes)),
            _ => Err(DocumentError::Data { digest: self.digest }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::json;
    use super::*;

    fn read(text: &str) -> Result<Descriptor, DocumentError> {
        Descriptor::from_value(json::parse(text.as_bytes()).unwrap())
    }

    const EMPTY: &str = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

    #[test]
    fn keeps_what_it_does_not_know() {
        let text =
            format!(r#"{{"digest":"{EMPTY}","mediaType":"x/y","size":0,"urls":["u"],"x":{{"y":1.0}}}}"#);
        assert_eq!(read(&text).unwrap().to_value().to_bytes(), text.as_bytes());
    }

    #[test]
    fn refuses_wrong_members() {
        for (digest, size) in
            [(EMPTY, "-1"), (EMPTY, "1.5"), (EMPTY, "9223372036854775808"), ("sha256:xx", "1")]
        {
            assert!(read(&format!(r#"{{"digest":"{digest}","mediaType":"x/y","size":{size}}}"#)).is_err());
        }
    }

    #[test]
    fn embedded_data() {
        let digest = Digest::of(b"{}");
        let with = |data: &str| {
            read(&format!(r#"{{"digest":"{digest}","mediaType":"x/y","size":2,"data":"{data}"}}"#))
        };
        assert_eq!(with("e30=").unwrap().data(), Ok(Some(b"{}".to_vec())));
        assert_eq!(with("e31=").unwrap().data(), Err(DocumentError::Data { digest }));
        assert_eq!(with("e3").unwrap().data(), Err(DocumentError::Data { digest }));
    }
}
