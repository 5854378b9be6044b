//! Where images are published: `[publish] repository`, and the tags of recipes.

use std::collections::BTreeMap;

use super::compute::Computed;
use super::error::Error;
use super::session::Session;
use crate::oci::Reference;
use crate::recipe::{self, ErrorKind, What, interpolate};
use crate::workspace::Target;

/// `[publish] repository` for a recipe, as it is written.
pub(super) fn repository(session: &Session<'_>, target: &Target) -> Option<String> {
    let text = session.file.repository.as_ref()?;
    let names = BTreeMap::from([("stack", &target.stack), ("name", &target.name)]);
    let lookup = |name: &str| names.get(name).map(|text| (*text).clone());
    let repository = interpolate(text.as_bytes(), recipe::DELIMITERS, &lookup).ok()?;
    Some(String::from_utf8_lossy(&repository).into_owned())
}

/// Refuses what names no repository: not every recipe's name can be a part of one.
pub(super) fn checked(session: &Session<'_>, repository: Option<String>) -> Result<Option<String>, Error> {
    // With a tag of ours: a tag or digest of its own is no part of a repository.
    let wrong = repository.as_ref().filter(|text| format!("{text}:tag").parse::<Reference>().is_err());
    wrong.map_or(Ok(()), |text| {
        let at = session.file.repository.as_ref().map(|text| text.at.clone());
        let kind = ErrorKind::Invalid { what: What::Reference, value: text.clone() };
        Err(Error::Recipes(vec![recipe::Error { at, kind }]))
    })?;
    Ok(repository)
}

/// Where a recipe is published.
pub(super) fn needed(session: &Session<'_>, target: &Target) -> Result<String, Error> {
    let repository = checked(session, repository(session, target))?;
    repository.ok_or_else(|| Error::Unpublished { recipe: target.to_string() })
}

/// Whether a variant is meant: one that was asked for, or without any the default one, or all.
pub(super) fn is_meant(session: &Session<'_>, asked: &[String], all: bool, variant: &String) -> bool {
    match asked {
        [] => all || variant == session.file.default_variant(),
        names => names.contains(variant),
    }
}

/// A recipe's own tags as a variant has them.
pub(super) fn tags(session: &Session<'_>, computed: &Computed, variant: &str) -> Vec<String> {
    computed.variants[variant].tags.iter().map(|tag| tag_of(session, tag, variant)).collect()
}

/// A variant that isn't the default has its name behind the tag.
pub(super) fn tag_of(session: &Session<'_>, tag: &str, variant: &str) -> String {
    if variant == session.file.default_variant() { tag.to_owned() } else { format!("{tag}-{variant}") }
}
