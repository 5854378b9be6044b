//! Where images are published: `[publish] repository`, and the tags of recipes.

use std::collections::{BTreeMap, BTreeSet};

use crate::oci::Reference;
use crate::recipe::{self, ErrorKind, Room, What, interpolate};
use crate::work::Error;
use crate::work::checkout::Checkout;
use crate::work::realise::Computed;
use crate::workspace::Target;

/// `[publish] repository` for a recipe, as it is written.
pub(crate) fn repository(checkout: &Checkout<'_>, target: &Target) -> Option<String> {
    let text = checkout.file.repository.as_ref()?;
    let names = BTreeMap::from([("stack", &target.stack), ("name", &target.name)]);
    let lookup = |name: &str| names.get(name).map(|text| (*text).clone());
    let repository = interpolate(text.as_bytes(), recipe::DELIMITERS, &lookup, &Room::new(1 << 12)).ok()?;
    Some(String::from_utf8_lossy(&repository).into_owned())
}

/// Refuses what names no repository: not every recipe's name can be a part of one.
pub(crate) fn checked(checkout: &Checkout<'_>, repository: Option<String>) -> Result<Option<String>, Error> {
    // With a tag of ours: a tag or digest of its own is no part of a repository.
    let wrong = repository.as_ref().filter(|text| format!("{text}:tag").parse::<Reference>().is_err());
    wrong.map_or(Ok(()), |text| {
        let at = checkout.file.repository.as_ref().map(|text| text.at.clone());
        let kind = ErrorKind::Invalid { what: What::Reference, value: text.clone() };
        Err(Error::Recipes(vec![recipe::Error { at, kind }]))
    })?;
    Ok(repository)
}

/// Where a recipe is published.
pub(crate) fn needed(checkout: &Checkout<'_>, target: &Target) -> Result<String, Error> {
    let repository = checked(checkout, repository(checkout, target))?;
    repository.ok_or_else(|| Error::Unpublished { recipe: target.to_string() })
}

/// Whether a variant is meant: one that was asked for, or without any the default one, or all.
pub(crate) fn is_meant(checkout: &Checkout<'_>, asked: &[String], all: bool, variant: &String) -> bool {
    match asked {
        [] => all || variant == checkout.file.default_variant(),
        names => names.contains(variant),
    }
}

/// A recipe's own tags as a variant has them.
pub(crate) fn tags(checkout: &Checkout<'_>, computed: &Computed, variant: &str) -> Vec<String> {
    computed.variants[variant].tags.iter().map(|tag| tag_of(checkout, tag, variant)).collect()
}

/// The tags that a variant's push may move: those that `[publish] moving` names, as they are or as the variant has them.
pub(crate) fn moving(checkout: &Checkout<'_>, target: &Target, variant: &str) -> BTreeSet<String> {
    let variant = variant.to_owned();
    let names = BTreeMap::from([("stack", &target.stack), ("name", &target.name), ("variant", &variant)]);
    let lookup = |name: &str| names.get(name).map(|text| (*text).clone());
    let mut found = BTreeSet::new();
    for text in &checkout.file.moving {
        // It was checked when it was read.
        let Ok(tag) = interpolate(text.value.as_bytes(), recipe::DELIMITERS, &lookup, &Room::new(1 << 12))
        else {
            continue;
        };
        let tag = String::from_utf8_lossy(&tag).into_owned();
        found.extend([tag_of(checkout, &tag, &variant), tag]);
    }
    found
}

/// A variant that isn't the default has its name behind the tag.
pub(crate) fn tag_of(checkout: &Checkout<'_>, tag: &str, variant: &str) -> String {
    if variant == checkout.file.default_variant() { tag.to_owned() } else { format!("{tag}-{variant}") }
}
