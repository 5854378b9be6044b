//! `push`: images as their locks say go where `[publish]` and `[image] tags` say.

use std::rc::Rc;

use super::build::{compute_all, finish};
use super::compute::Computed;
use super::error::Error;
use super::export::{Exporter, push_all};
use super::outputs::{push_outputs, repository};
use super::publish::{is_meant, needed, tag_of, tags};
use super::session::{Asks, Session};
use super::{Copied, Env, Selection, Shard};
use crate::oci::{Place, Platform, Reference};
use crate::workspace::Target;

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

/// Where one image goes: a repository, and a tag unless its digest is its only name.
pub(super) struct Destination {
    pub(super) target: Target,
    pub(super) variant: String,
    pub(super) reference: Reference,
}

/// Builds what is selected and puts it into its registry.
///
/// # Errors
/// See [`Error`]. What was pushed before is told by its tags: an image is whole before it has one.
pub fn push(env: &Env<'_>, options: &PushOptions) -> Result<Vec<Copied>, Error> {
    let mut session = Session::open(env, Asks::default())?;
    let selected = Shard::of(options.shard, session.select(&options.select)?);
    if let (Some(target), true) = (selected.keys().next(), env.offline) {
        return Err(Error::Offline { reference: target.to_string() });
    }
    let all = compute_all(&session, selected.keys())?;
    if let Some(place) = &options.outputs {
        let to = repository(place)?;
        let store = finish(&mut session, &selected)?.0;
        let computed = session.computed.borrow();
        return push_outputs(env, &store, computed.values().map(|computed| &**computed), to);
    }
    let mut destinations = Vec::new();
    for computed in &all {
        let asked = selected.get(&computed.target).map(Vec::as_slice).unwrap_or_default();
        destinations.extend(of(&session, computed, asked, options)?);
    }
    let exporter = Exporter::new(&session, &all);
    let store = finish(&mut session, &selected)?.0;
    let copied = push_all(env, &store, &exporter, &destinations, &options.platforms)?;
    session.end(all);
    Ok(copied)
}

/// Where the chosen variants of a recipe go.
fn of(
    session: &Session<'_>,
    computed: &Rc<Computed>,
    asked: &[String],
    options: &PushOptions,
) -> Result<Vec<Destination>, Error> {
    let repository = needed(session, &computed.target)?;
    let chosen = |name: &String| is_meant(session, asked, options.all_variants, name);
    let mut found = Vec::new();
    for (name, variant) in computed.variants.iter().filter(|(name, _)| chosen(name)) {
        let tags = match options.tags.as_slice() {
            [] => tags(session, computed, name),
            own => own.iter().map(|tag| tag_of(session, tag, name)).collect(),
        };
        let mut texts: Vec<String> = tags.iter().map(|tag| format!("{repository}:{tag}")).collect();
        if texts.is_empty() {
            texts.push(format!("{repository}@{}", variant.descriptor.digest));
        }
        for text in texts {
            let reference = text.parse().map_err(|error| Error::Usage {
                message: format!("{text:?}, where {} should go, is no reference: {error}", computed.target),
            })?;
            found.push(Destination { target: computed.target.clone(), variant: name.clone(), reference });
        }
    }
    Ok(found)
}
