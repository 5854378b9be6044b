//! Positions: where in which recipe file a value stands, so that an error can underline it.
//!
//! Owns [`At`] and [`Spanned`], and the crate-private [`S`] that serde fills before the file is known. A value
//! keeps its position through every merge: after `extends` the strings of one image come from several files.

use std::collections::BTreeMap;
use std::ops::{Deref, Range};
use std::sync::Arc;

use serde::{Deserialize, Deserializer};

/// A place in a recipe or in `cooper.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct At {
    /// The file as it was given to the parser: relative to the workspace, with `/`.
    pub file: Arc<str>,
    /// Bytes of the file's text.
    pub range: Range<usize>,
}

impl At {
    /// The directory of the file, without a final slash; empty for a file at the workspace's root.
    pub fn directory(&self) -> &str {
        self.file.rsplit_once('/').map_or("", |(directory, _)| directory)
    }
}

/// A value and where it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// What was written.
    pub value: T,
    /// Where.
    pub at: At,
}

impl<T> Spanned<T> {
    /// Another value at the same place.
    pub fn with<U>(&self, value: U) -> Spanned<U> {
        Spanned { value, at: self.at.clone() }
    }
}

impl<T> Deref for Spanned<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// A value with its range, before it is known in which file.
#[derive(Debug, Clone)]
pub(super) struct S<T> {
    pub(super) value: T,
    pub(super) range: Range<usize>,
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for S<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = toml::Spanned::deserialize(deserializer)?;
        let range = spanned.span();
        Ok(Self { value: spanned.into_inner(), range })
    }
}

impl<T: schemars::JsonSchema> schemars::JsonSchema for S<T> {
    fn inline_schema() -> bool {
        T::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        T::schema_name()
    }

    fn schema_id() -> std::borrow::Cow<'static, str> {
        T::schema_id()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        T::json_schema(generator)
    }
}

/// Gives everything that serde read the file that it stands in.
pub(super) trait Locate {
    type Out;
    fn locate(self, file: &Arc<str>) -> Self::Out;
}

impl<T> Locate for S<T> {
    type Out = Spanned<T>;

    fn locate(self, file: &Arc<str>) -> Spanned<T> {
        Spanned { value: self.value, at: At { file: Arc::clone(file), range: self.range } }
    }
}

impl<T: Locate> Locate for Option<T> {
    type Out = Option<T::Out>;

    fn locate(self, file: &Arc<str>) -> Self::Out {
        self.map(|value| value.locate(file))
    }
}

impl<T: Locate> Locate for Vec<T> {
    type Out = Vec<T::Out>;

    fn locate(self, file: &Arc<str>) -> Self::Out {
        self.into_iter().map(|value| value.locate(file)).collect()
    }
}

impl<T: Locate> Locate for BTreeMap<String, T> {
    type Out = BTreeMap<String, T::Out>;

    fn locate(self, file: &Arc<str>) -> Self::Out {
        self.into_iter().map(|(name, value)| (name, value.locate(file))).collect()
    }
}
