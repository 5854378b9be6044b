//! Values that may be written in more than one way: one reader for all of them.
//!
//! `#[serde(untagged)]` would forget where a value stands and say nothing about what was wrong with it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use super::span::S;

pub(super) type Text = Option<S<String>>;
pub(super) type Texts = Option<Vec<S<String>>>;
pub(super) type Table<T> = Option<BTreeMap<String, T>>;

/// Whatever TOML had there; what of it fits is checked where it is used. A table is read as `T`.
#[derive(Debug, Clone)]
pub(super) enum Loose<T> {
    Bool(bool),
    Int(i64),
    Text(String),
    List(Vec<S<String>>),
    Table(T),
}

impl<T> Loose<T> {
    pub(super) fn found(&self) -> String {
        match self {
            Self::Bool(value) => format!("`{value}`"),
            Self::Int(value) => format!("the integer {value}"),
            Self::Text(value) => format!("the string {value:?}"),
            Self::List(_) => "a list".into(),
            Self::Table(_) => "a table".into(),
        }
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Loose<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any<T>(std::marker::PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Any<T> {
            type Value = Loose<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, a whole number, a boolean, a list or a table")
            }

            fn visit_bool<E: Error>(self, value: bool) -> Result<Self::Value, E> {
                Ok(Loose::Bool(value))
            }

            fn visit_i64<E: Error>(self, value: i64) -> Result<Self::Value, E> {
                Ok(Loose::Int(value))
            }

            fn visit_str<E: Error>(self, value: &str) -> Result<Self::Value, E> {
                Ok(Loose::Text(value.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = seq.next_element()? {
                    list.push(item);
                }
                Ok(Loose::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Loose::Table)
            }
        }

        deserializer.deserialize_any(Any(std::marker::PhantomData))
    }
}

/// Where no table fits.
#[derive(Debug, Clone)]
pub(super) enum Never {}

impl<'de> Deserialize<'de> for Never {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("invalid type: map, expected a string, a whole number, a boolean or a list"))
    }
}

/// A loose value that must be text, a whole number or a boolean, as it is rendered.
#[derive(Debug, Clone)]
pub(super) struct Scalar(pub(super) String);

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let loose = Loose::<Never>::deserialize(deserializer)?;
        loose.scalar().map(Self).map_err(|loose| {
            let found = loose.found();
            D::Error::custom(format!("invalid type: {found}, expected a string, a whole number or a boolean"))
        })
    }
}

impl<T> Loose<T> {
    pub(super) fn scalar(self) -> Result<String, Self> {
        match self {
            Self::Bool(value) => Ok(value.to_string()),
            Self::Int(value) => Ok(value.to_string()),
            Self::Text(value) => Ok(value),
            other => Err(other),
        }
    }
}

impl JsonSchema for Scalar {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        "Scalar".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer", "boolean"] })
    }
}

/// Schemas of loose values, for `#[schemars(schema_with)]`.
pub(super) mod schema {
    use super::{JsonSchema, Schema, SchemaGenerator, json_schema};

    fn strings() -> Schema {
        json_schema!({ "type": "array", "items": { "type": "string" } })
    }

    pub(in super::super) fn string_or_list(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string" }, strings()] })
    }

    pub(in super::super) fn list_or_inherit(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [strings(), { "const": "inherit" }] })
    }

    pub(in super::super) fn list_or_restart(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [strings(), { "const": "restart" }] })
    }

    pub(in super::super) fn bool_or_list(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "boolean" }, strings()] })
    }

    pub(in super::super) fn bool_or_string_or_list(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "boolean" }, { "type": "string" }, strings()] })
    }

    pub(in super::super) fn mode(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": "string", "pattern": "^([0-7]{3,5}|[ugoa]*[-+=].*)$" }, { "type": "integer" }] })
    }

    pub(in super::super) fn time(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": ["string", "integer"] })
    }

    pub(in super::super) fn any_table(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object" })
    }

    pub(in super::super) fn scalar_or<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "type": ["string", "integer", "boolean"] }, generator.subschema_for::<T>()] })
    }

    pub(in super::super) fn none_or<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
        json_schema!({ "anyOf": [{ "const": "none" }, generator.subschema_for::<T>()] })
    }
}
