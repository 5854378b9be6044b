//! What encoding 1 writes of documents (`book/src/encoding-1.md`, "JSON", "Manifest", "Index"), and how it compares
//! platforms and times. Never edited once released, only added beside.

mod base64;
mod time;

use std::collections::BTreeMap;
use std::fmt;

use super::json::{Value, object};
use super::{Descriptor, Index, Manifest, MediaType, Platform};

pub use base64::{base64, from_base64};
pub use time::{ParseTimeError, Time};

impl Manifest {
    /// The canonical bytes of encoding 1. Other members than the struct's are not written.
    pub fn to_bytes(&self) -> Vec<u8> {
        let layers: Vec<Value> = self.layers.iter().map(Descriptor::to_value).collect();
        let head = [("config", self.config.to_value()), ("layers", Value::Array(layers))];
        document(MediaType::Manifest, head, &self.annotations)
    }
}

impl Index {
    /// The canonical bytes of encoding 1.
    pub fn to_bytes(&self) -> Vec<u8> {
        let manifests: Vec<Value> = self.manifests.iter().map(Descriptor::to_value).collect();
        document(MediaType::Index, [("manifests", Value::Array(manifests))], &self.annotations)
    }
}

impl Descriptor {
    /// The descriptor as it is written.
    pub fn to_value(&self) -> Value {
        let mut object = self.rest.clone();
        object.insert("mediaType".into(), self.media_type.as_str().into());
        object.insert("digest".into(), self.digest.to_string().into());
        object.insert("size".into(), self.size.into());
        if let Some(platform) = &self.platform {
            object.insert("platform".into(), platform.to_value());
        }
        if !self.annotations.is_empty() {
            object.insert("annotations".into(), Value::from(&self.annotations));
        }
        Value::Object(object)
    }
}

impl Platform {
    /// Whether both name the same machine: arm64 is arm64/v8, arm is arm/v7, amd64/v1 is amd64.
    pub fn matches(&self, other: &Self) -> bool {
        self.key() == other.key()
    }

    /// What platforms are sorted and compared by.
    pub fn key(&self) -> (&str, &str, &str) {
        let variant = match (self.architecture.as_str(), self.variant.as_deref()) {
            ("arm64", None | Some("")) => "v8",
            ("arm", None | Some("")) => "v7",
            ("amd64", Some("v1")) => "",
            (_, variant) => variant.unwrap_or(""),
        };
        (&self.os, &self.architecture, variant)
    }

    /// The shortest text for this machine: `linux/arm64`, not `linux/arm64/v8`.
    pub fn short(&self) -> String {
        match self.key() {
            (os, "arm64", "v8") => format!("{os}/arm64"),
            (os, architecture, "") => format!("{os}/{architecture}"),
            (os, architecture, variant) => format!("{os}/{architecture}/{variant}"),
        }
    }

    /// The member as it is written.
    pub fn to_value(&self) -> Value {
        let mut object = self.rest.clone();
        object.insert("os".into(), self.os.as_str().into());
        object.insert("architecture".into(), self.architecture.as_str().into());
        if let Some(variant) = &self.variant {
            object.insert("variant".into(), variant.as_str().into());
        }
        Value::Object(object)
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

fn document<const N: usize>(
    kind: MediaType,
    members: [(&str, Value); N],
    annotations: &BTreeMap<String, String>,
) -> Vec<u8> {
    let Value::Object(mut all) = object(members) else { unreachable!("object() makes objects") };
    all.insert("schemaVersion".into(), 2.into());
    all.insert("mediaType".into(), kind.to_string().into());
    if !annotations.is_empty() {
        all.insert("annotations".into(), Value::from(annotations));
    }
    Value::Object(all).to_bytes()
}
