//! `push`: images as their locks say go where `[publish]` and `[image] tags` say.

use std::rc::Rc;

use super::{Copied, Env, Error, Selection, Shard};
use crate::oci::{Place, Platform};
use crate::work::Asks;
use crate::work::checkout::Checkout;
use crate::work::deliver::published::{is_meant, needed, tag_of, tags};
use crate::work::deliver::{Destination, Exporter, push_outputs, repository};
use crate::work::realise::{Computed, Session, finish};

/// What `push` is asked.
#[derive(Debug, Clone, Default)]
pub struct PushOptions {
    /// Which recipes.
    pub select: Selection,
    /// In place of the recipes' own tags.
    pub tags: Vec<String>,
    /// Also the variants that aren't the workspace's default.
    pub all_variants: bool,
    /// Limits what is pushed; empty: all of the recipe's.
    pub platforms: Vec<Platform>,
    /// Only this part of what is selected.
    pub shard: Option<Shard>,
    /// A repository for other machines to build on, in place of where images are published: every variant, and what
    /// the recipes stand on.
    pub outputs: Option<Place>,
}

/// Builds what is selected and puts it into its registry.
///
/// # Errors
/// See [`Error`]. What was pushed before is known by its tags: an image is whole before it has one.
pub fn push(env: &Env<'_>, options: &PushOptions) -> Result<Vec<Copied>, Error> {
    let mut session = Session::open(env, Asks::default())?;
    let selected = Shard::of(options.shard, session.checkout().select(&options.select)?);
    if let (Some(target), true) = (selected.keys().next(), env.offline) {
        return Err(Error::Offline { reference: target.to_string() });
    }
    let all = session.compute_all(selected.keys())?;
    if let Some(place) = &options.outputs {
        let to = repository(place)?;
        let store = finish(&mut session, &selected)?.0;
        return push_outputs(env, &store, session.all().iter().map(|computed| &**computed), to);
    }
    let mut destinations = Vec::new();
    for computed in &all {
        let asked = selected.get(&computed.target).map(Vec::as_slice).unwrap_or_default();
        destinations.extend(of(session.checkout(), computed, asked, options)?);
    }
    let store = finish(&mut session, &selected)?.0;
    Exporter::new(&session, &store, &all).push(&destinations, &options.platforms)
}

/// Where the chosen variants of a recipe go.
fn of(
    checkout: &Checkout<'_>,
    computed: &Rc<Computed>,
    asked: &[String],
    options: &PushOptions,
) -> Result<Vec<Destination>, Error> {
    let repository = needed(checkout, &computed.target)?;
    let chosen = |name: &String| is_meant(checkout, asked, options.all_variants, name);
    let mut found = Vec::new();
    for (name, variant) in computed.variants.iter().filter(|(name, _)| chosen(name)) {
        let tags = match options.tags.as_slice() {
            [] => tags(checkout, computed, name),
            own => own.iter().map(|tag| tag_of(checkout, tag, name)).collect(),
        };
        let mut texts: Vec<String> = tags.iter().map(|tag| format!("{repository}:{tag}")).collect();
        if texts.is_empty() {
            texts.push(format!("{repository}@{}", variant.descriptor.digest));
        }
        for text in texts {
            let reference = text.parse().map_err(|error| {
                let target = &computed.target;
                Error::usage(format!("{text:?}, where {target} should go, is no reference: {error}"))
            })?;
            found.push(Destination { target: computed.target.clone(), variant: name.clone(), reference });
        }
    }
    Ok(found)
}
