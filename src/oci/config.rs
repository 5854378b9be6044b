//! Image configs (OCI image specification, config.md), kept as raw values so that nothing is lost.

use super::json::{Object, Value};
use super::strict::{check_spelling, parse_object, wrong};
use super::{DocumentError, Platform};
use crate::digest::DiffId;

/// An image config: every member as it was read, with views of those that Cooper needs.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ImageConfig {
    /// The whole document.
    pub members: Object,
}

const WHAT: &str = "image config";

impl ImageConfig {
    /// Reads a config.
    ///
    /// # Errors
    /// Not an object, or `rootfs` isn't a list of diff_ids.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        let config = Self { members: parse_object(WHAT, bytes)? };
        check_spelling(
            &config.members,
            WHAT,
            &["architecture", "os", "variant", "config", "rootfs", "history", "created"],
        )?;
        config.diff_ids()?;
        match config.members.get("config") {
            None | Some(Value::Null | Value::Object(_)) => Ok(config),
            Some(_) => Err(wrong(WHAT, "config", "an object")),
        }
    }

    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        Value::Object(self.members.clone()).to_bytes()
    }

    /// The digests of the layers' tar streams, lowest first.
    ///
    /// # Errors
    /// When `rootfs.type` isn't `layers`, or a member isn't a digest.
    pub fn diff_ids(&self) -> Result<Vec<DiffId>, DocumentError> {
        let rootfs = self.members.get("rootfs").and_then(Value::as_object);
        let rootfs = rootfs.ok_or_else(|| wrong(WHAT, "rootfs", "an object"))?;
        check_spelling(rootfs, WHAT, &["type", "diff_ids"])?;
        if rootfs.get("type").and_then(Value::as_str) != Some("layers") {
            return Err(wrong(WHAT, "rootfs.type", "\"layers\""));
        }
        let bad = || wrong(WHAT, "rootfs.diff_ids", "an array of digests");
        match rootfs.get("diff_ids") {
            None | Some(Value::Null) => Ok(Vec::new()),
            Some(Value::Array(items)) => items
                .iter()
                .map(|item| match item.as_str().ok_or_else(bad)?.parse() {
                    Ok(digest) => Ok(DiffId(digest)),
                    Err(source) => Err(DocumentError::Digest { document: WHAT, source }),
                })
                .collect(),
            Some(_) => Err(bad()),
        }
    }

    /// Operating system, architecture and variant.
    ///
    /// # Errors
    /// When one of the first two is missing.
    pub fn platform(&self) -> Result<Platform, DocumentError> {
        let text = |name: &str| self.members.get(name).and_then(Value::as_str).map(str::to_owned);
        Ok(Platform {
            os: text("os").ok_or_else(|| wrong(WHAT, "os", "a string"))?,
            architecture: text("architecture").ok_or_else(|| wrong(WHAT, "architecture", "a string"))?,
            variant: text("variant").filter(|variant| !variant.is_empty()),
            rest: Object::new(),
        })
    }

    /// A member of `config` (`Env`, `Cmd`, …); null is nothing.
    pub fn setting(&self, name: &str) -> Option<&Value> {
        let settings = self.members.get("config").and_then(Value::as_object)?;
        settings.get(name).filter(|value| **value != Value::Null)
    }

    /// That the environment is a list of texts, if there is one.
    ///
    /// # Errors
    /// When it isn't.
    pub fn check_env(&self) -> Result<(), DocumentError> {
        let list = self.setting("Env").map(|env| env.as_array().unwrap_or(&[Value::Null]));
        match list.is_none_or(|list| list.iter().all(|item| item.as_str().is_some())) {
            true => Ok(()),
            false => Err(wrong(WHAT, "config.Env", "an array of strings")),
        }
    }

    /// The environment, `NAME=value` in order.
    pub fn env(&self) -> impl Iterator<Item = (&str, &str)> {
        let list = self.setting("Env").and_then(Value::as_array).unwrap_or_default();
        list.iter().filter_map(Value::as_str).map(|pair| pair.split_once('=').unwrap_or((pair, "")))
    }
}
