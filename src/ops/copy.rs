//! `copy`: an image from a place or recipe to a place.

use super::{BuildOptions, Copied, Env, Error, Inputs, Selection};
use crate::oci::{ParsePlaceError, Place, Platform};
use crate::store::Store;
use crate::work::Asks;
use crate::work::bytes::{Bytes, Substitutes, open_place};
use crate::work::checkout::Checkout;
use crate::work::deliver::{Origin, put};

/// Copies an image from a place or recipe to a place.
///
/// # Errors
/// See [`Error`]; the destination is as it was then.
pub fn copy(
    env: &Env<'_>,
    from: &str,
    to: &Place,
    platforms: &[Platform],
    inputs: &Inputs,
) -> Result<Copied, Error> {
    let place: Place = match from.parse() {
        Ok(place) => place,
        Err(ParsePlaceError::Transport { .. }) => return copy_target(env, from, to, platforms, inputs),
        Err(source) => return Err(Error::usage(source)),
    };
    if let Some(name) = inputs.keys().next() {
        return Err(Error::usage(format!("--input {name}: {from} is a place, and nothing is built")));
    }
    let (from_place, selector) = open_place(env, &place)?;
    let store = Store::open(&env.store)?;
    let mut root = from_place.resolve(selector.as_deref())?;
    let (references, called) = match &place {
        Place::Registry(reference) => (vec![reference.clone()], Some(reference.tagged())),
        _ => (Vec::new(), selector),
    };
    let names = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];
    let name = names.iter().find_map(|name| root.annotations.get(*name)).cloned();
    let name = name.or(called).unwrap_or_else(|| "image".to_owned());
    root.annotations.clear();
    let substitutes = Substitutes::default();
    let origin = Origin { bytes: Bytes::outside(name, &store, &substitutes, vec![from_place]), references };
    let copied = put(env, &origin, root, to, platforms).map_err(|error| error.out_of(from))?;
    Ok(Copied { from: from.to_owned(), ..copied })
}

fn copy_target(
    env: &Env<'_>,
    from: &str,
    to: &Place,
    platforms: &[Platform],
    inputs: &Inputs,
) -> Result<Copied, Error> {
    let checkout = Checkout::open(env, Asks::default())?;
    let mut select = Selection::one(from);
    let selected = checkout.select(&select)?;
    // A layout would take them all; here a bare name means one image.
    if let [(target, [])] =
        selected.iter().map(|(target, own)| (target, own.as_slice())).collect::<Vec<_>>()[..]
    {
        select = Selection::one(format!("{target}#{}", checkout.file.default_variant()));
    }
    let (to, platforms, inputs) = (vec![to.clone()], platforms.to_vec(), inputs.clone());
    let report =
        super::build(env, &BuildOptions { select, to, platforms, inputs, ..BuildOptions::default() })?;
    let copied = report.copied.into_iter().next();
    copied.ok_or_else(|| Error::usage(format!("{from} selects no image")))
}
