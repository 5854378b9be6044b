//! `push`: images as their locks say go where `[publish]` and `[image] tags` say.

use std::rc::Rc;

use super::{Copied, Env, Error, Inputs, Selection, Shard};
use crate::oci::{Place, Platform};
use crate::work::Asks;
use crate::work::checkout::{Checkout, wants};
use crate::work::deliver::published::{is_meant, moving, needed, tag_of, tags};
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
    /// Tags that name something else by now are moved, whichever they are.
    pub move_tags: bool,
    /// Where inputs are, by name; open ones are given so.
    pub inputs: Inputs,
    /// Only this part of what is selected.
    pub shard: Option<Shard>,
    /// A repository for other machines to build on, in place of where images are published: every variant, and what
    /// the recipes stand on.
    pub outputs: Option<Place>,
}

/// Builds what is selected and puts it into its registry.
///
/// # Errors
/// See [`Error`]; a tag that would have to be moved and may not, before anything is pushed. What was pushed before is known by its tags: an image is whole before it has one.
pub fn push(env: &Env<'_>, options: &PushOptions) -> Result<Vec<Copied>, Error> {
    let mut session = Session::open(env, Asks::given(&options.inputs))?;
    let selected = Shard::of(options.shard, session.checkout().select(&options.select)?);
    wants::inputs(session.checkout(), selected.keys())?;
    if let (Some(target), true) = (selected.keys().next(), env.offline) {
        return Err(Error::Offline { reference: target.to_string() });
    }
    let all = session.images(selected.keys(), |target| options.select.names(target), false)?;
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
        let moving = moving(checkout, &computed.target, name);
        let may_move = |tag: &String| options.move_tags || moving.contains(tag);
        let mut texts: Vec<(String, bool)> =
            tags.iter().map(|tag| (format!("{repository}:{tag}"), may_move(tag))).collect();
        if texts.is_empty() {
            texts.push((format!("{repository}@{}", variant.descriptor.digest), false));
        }
        for (text, may_move) in texts {
            let reference = text.parse().map_err(|error| {
                let target = &computed.target;
                Error::usage(format!("{text:?}, where {target} should go, is no reference: {error}"))
            })?;
            let target = computed.target.clone();
            found.push(Destination { target, variant: name.clone(), reference, may_move });
        }
    }
    Ok(found)
}
