//! Encoding 1's part of planning: frozen once released, only added beside.

mod changes;
mod context;
mod expand;
mod layers;
mod patch;
mod removal;
mod users;
pub(super) mod view;

pub(crate) use context::Context;
pub(crate) use expand::{Expanded, expand, split_pattern, topmost};
pub use layers::PlannedLayer;
pub(crate) use layers::{Stand, Unit, split};
pub(super) use patch::config_patch;
pub(super) use removal::{matches_in_base, pattern_in_base};
pub use view::ResolveError;

use std::collections::BTreeSet;

use super::{Error, Fault, Stage};
use crate::recipe::{Room, TemplateFault, interpolate, suggest};
use crate::tree::{Attributes, Kind, TreePath};
use view::{Found, View};

/// One variant's layers and what they are made of.
type Planned = (Vec<PlannedLayer>, Expanded);

/// Every variant's layers, lowest first, and what its entries amount to.
pub(super) fn plan(stages: &[Stage<'_>]) -> Result<Vec<Planned>, (usize, Vec<Error>)> {
    let views: Vec<View<'_>> = stages.iter().map(view_below).collect();
    let mut all = Vec::with_capacity(stages.len());
    for (number, (stage, view)) in stages.iter().zip(&views).enumerate() {
        all.push(expanded(stage, view).map_err(|errors| (number, errors))?);
    }
    let stands: Vec<Stand<'_>> =
        views.iter().zip(&all).map(|(below, expanded)| Stand { below, units: &expanded.units }).collect();
    // Of equal epochs or not: each variant's layers carry its own.
    let epochs: Vec<i64> = stages.iter().map(epoch).collect();
    let layers = split(&stands, &epochs);
    Ok(layers.into_iter().zip(all).collect())
}

fn epoch(stage: &Stage<'_>) -> i64 {
    stage.recipe.epoch(stage.epoch)
}

/// What a variant's entries land on.
pub(super) fn view_below<'a>(stage: &Stage<'a>) -> View<'a> {
    let mut view = View::new(stage.facts);
    for layer in stage.parents {
        view.apply(layer);
    }
    view
}

/// What stands there once the entries of a variant are done.
pub(super) fn view_with<'a>(stage: &Stage<'a>, units: &[Unit]) -> View<'a> {
    let mut view = view_below(stage);
    for path in units.iter().flat_map(|unit| unit.removes.keys()) {
        view.remove(path);
    }
    let written = units.iter().flat_map(|unit| unit.directories.keys().chain(unit.nodes.keys()));
    for above in written.flat_map(TreePath::ancestors).collect::<BTreeSet<_>>() {
        if !matches!(view.lookup(&above), Found::Directory(_)) {
            view.put_directory(&above, Attributes::new(0o755));
        }
    }
    for (path, claim) in units.iter().flat_map(|unit| &unit.directories) {
        view.put_directory(path, claim.attributes.clone());
    }
    for (path, node) in units.iter().flat_map(|unit| &unit.nodes) {
        match &node.kind {
            Kind::Symlink(target) => view.put_link(path, target.clone()),
            _ => view.put_file(path),
        }
    }
    view
}

fn expanded(stage: &Stage<'_>, below: &View<'_>) -> Result<Expanded, Vec<Error>> {
    let names = |name: &str| stage.recipe.names.get(name).cloned();
    let room = Room::new(usize::MAX);
    let render = |bytes: &[u8], delimiters: (&str, &str)| {
        interpolate(bytes, delimiters, &names, &room).map_err(|error| {
            let suggestion = match &error.fault {
                TemplateFault::Undefined { name } => {
                    suggest(name, stage.recipe.names.keys().map(String::as_str))
                }
                TemplateFault::UnknownFilter { suggestion, .. } => suggestion.clone(),
                _ => None,
            };
            Fault::Template { file: String::new(), error, suggestion }
        })
    };
    let removed = |pattern: &str| stage.removed.get(pattern).cloned();
    let cx = Context {
        below,
        facts: stage.facts,
        base_facts: stage.base_facts,
        sources: stage.sources,
        base: stage.base,
        read: stage.read,
        render: &render,
        removed: &removed,
        epoch: epoch(stage),
    };
    expand(&stage.recipe.entries, &cx)
}
