//! The files beside the blobs: of which kinds they are, and how each is sealed.

use crate::digest::{DiffId, Digest};
use crate::oci::json::{self, Value, object};

/// Other workspaces, each unpacked in a directory that has its archive's digest as a name.
pub const CATALOGUES: &str = "catalogues";
pub(super) const REALISATIONS: &str = "realisations";
pub(super) const HEADERS: &str = "headers";
pub(super) const CHUNKS: &str = "chunks";
/// Header indexes of the largest images in the field are a few megabytes.
pub(super) const MAX_SIDE_FILE: u64 = 256 << 20;

/// What a derivation gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Realisation {
    /// The digest of the blob.
    pub digest: Digest,
    /// How many bytes the blob has.
    pub size: u64,
    /// The digest of a layer's tar stream; nothing for images and indexes.
    pub diff_id: Option<DiffId>,
}

impl Realisation {
    pub(super) fn to_bytes(self) -> Vec<u8> {
        let mut value = object([("digest", self.digest.to_string().into()), ("size", self.size.into())]);
        if let (Value::Object(members), Some(diff_id)) = (&mut value, self.diff_id) {
            members.insert("diff_id".into(), diff_id.to_string().into());
        }
        value.to_bytes()
    }

    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let value = json::parse(bytes).ok()?;
        let members = value.as_object()?;
        let diff_id = match members.get("diff_id") {
            None => None,
            Some(text) => Some(DiffId(text.as_str()?.parse().ok()?)),
        };
        Some(Self {
            digest: members.get("digest")?.as_str()?.parse().ok()?,
            size: members.get("size")?.as_u64()?,
            diff_id,
        })
    }
}

/// Where what a file beside the blobs holds begins in it.
pub const SEAL: usize = 65;

/// What stands in front of the bytes in a file beside the blobs.
pub(super) fn seal(bytes: &[u8]) -> String {
    format!("{}\n", Digest::of(bytes).hex())
}

/// The bytes behind the [`seal`]; nothing when the file is damaged.
pub(super) fn unseal(mut sealed: Vec<u8>) -> Option<Vec<u8>> {
    let hex = std::str::from_utf8(sealed.get(..SEAL)?).ok()?.strip_suffix('\n')?;
    let digest = Digest::from_hex(hex).ok()?;
    sealed.drain(..SEAL);
    (Digest::of(&sealed) == digest).then_some(sealed)
}
