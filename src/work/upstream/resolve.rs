//! What references and layouts mean today, asked once.

use super::state::Upstream;
use crate::digest::Digest;
use crate::lock::BaseOrigin;
use crate::oci::{Descriptor, Reference};
use crate::recipe::Selector;
use crate::substitute;
use crate::work::Error;
use crate::work::checkout::readable_layout;

/// Whether people mean `origin` by `name`.
pub(crate) fn is_called(origin: &BaseOrigin, name: &str) -> bool {
    match origin {
        BaseOrigin::Layout(own) => own == name,
        BaseOrigin::Image(own) => name.parse().is_ok_and(|name: Reference| name == *own),
    }
}

/// Whether the command asks anew what people call so.
pub(crate) fn refreshes(upstream: &Upstream<'_>, is_called: impl Fn(&str) -> bool) -> bool {
    let named = |names: &Vec<String>| names.is_empty() || names.iter().any(|name| is_called(name));
    upstream.checkout().asks.refresh.as_ref().is_some_and(named)
}

/// What a reference or layout means today: the same for the whole command, whoever moves it meanwhile.
pub(crate) fn resolve(upstream: &Upstream<'_>, origin: &BaseOrigin) -> Result<Descriptor, Error> {
    if let Some(known) = upstream.resolved.borrow().get(origin) {
        return Ok(known.clone());
    }
    let found = resolve_now(upstream, origin)?;
    upstream.resolved.borrow_mut().insert(origin.clone(), found.clone());
    Ok(found)
}

fn resolve_now(upstream: &Upstream<'_>, origin: &BaseOrigin) -> Result<Descriptor, Error> {
    match origin {
        BaseOrigin::Image(reference) => match upstream.supply.place(origin)? {
            // What --locked finds unpinned is a reason to fail, not to ask.
            Some(place) if !upstream.checkout().env.locked => Ok(place.resolve(None)?),
            _ => Err(Error::Unpinned { reference: reference.to_string() }),
        },
        BaseOrigin::Layout(text) => {
            let checkout = upstream.checkout();
            let whose = (checkout.env, &checkout.workspace, &checkout.file);
            let (path, selector) = readable_layout(whose, text)?;
            let place = substitute::open(&path)?;
            let selector = selector.map(|selector| match selector {
                Selector::Tag(tag) => tag,
                Selector::Digest(digest) => digest.to_string(),
            });
            Ok(place.resolve(selector.as_deref())?)
        }
    }
}

/// What a digest names that somebody gave by hand: nothing but that is asked.
pub(super) fn by_digest(
    upstream: &Upstream<'_>,
    recipe: &str,
    origin: &BaseOrigin,
    digest: Digest,
) -> Result<Descriptor, Error> {
    let base = origin.to_string();
    match upstream.supply.place(origin)? {
        Some(place) if !upstream.checkout().env.locked => place
            .resolve(Some(&digest.to_string()))
            .map_err(|source| Error::Base { recipe: recipe.to_owned(), base, source }),
        _ => Err(Error::Absent { what: format!("the index {digest}"), base, digest }),
    }
}
