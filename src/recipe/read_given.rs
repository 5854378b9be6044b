//! Reads `stack.toml`.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::de::DeValue;

use super::check::Checker;
use super::given::{Given, Vars};
use super::loose::{Loose, Table};
use super::parse::{document, finish, table_of};
use super::patch::Var;
use super::span::S;
use super::{Error, ErrorKind, raw, suggest};

/// Values for the recipes of one stack.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    /// Variables that the stack's recipes read as their own: a value, or `{ set = true, default = … }`.
    #[schemars(schema_with = "raw::variables")]
    vars: Table<S<Loose<raw::Var>>>,
    /// What differs by variant.
    variant: Table<S<Patch>>,
}

/// What differs in one variant.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Patch {
    /// Variables that replace those above.
    #[schemars(schema_with = "raw::variables")]
    vars: Table<S<Loose<raw::Var>>>,
}

/// Reads `stack.toml`. `variants` are those that the workspace has.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_stack(file: &str, text: &str, variants: &[String]) -> Result<Given, Vec<Error>> {
    let (mut cx, table) = document(file, text)?;
    let whole = toml::Spanned::new(0..text.len(), DeValue::Table(table));
    let raw: Option<Raw> = table_of(whole, "stack.toml", &mut cx);
    let mut given = Given { file: Arc::clone(&cx.file), text: Arc::clone(&cx.text), ..Given::default() };
    if let Some(raw) = raw {
        given.common = read(raw.vars, &mut cx);
        for (name, S { value, range }) in raw.variant.into_iter().flatten() {
            if !variants.is_empty() && !variants.contains(&name) {
                let at = cx.at(range);
                let suggestion = suggest(&name, variants.iter().map(String::as_str));
                cx.errors.push(Error {
                    at: Some(at),
                    kind: ErrorKind::UnknownVariant { name: name.clone(), suggestion },
                });
            }
            given.variants.insert(name, read(value.vars, &mut cx));
        }
    }
    finish(cx)?;
    Ok(given)
}

pub(super) fn read(raw: Table<S<Loose<raw::Var>>>, cx: &mut Checker) -> Vars {
    let mut vars = Vars::new();
    for (name, var) in raw.into_iter().flatten() {
        if let Some(var) = Var::read(&name, var, cx) {
            vars.insert(name, var);
        }
    }
    vars
}
