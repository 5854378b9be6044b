//! Built images to places: which of them, and where their base layers come from.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::put::{Copied, Origin, TagChange, put, put_together, root};
use crate::digest::Digest;
use crate::lock::BaseOrigin;
use crate::oci::{Descriptor, Place, Platform, Reference};
use crate::sink;
use crate::store::Store;
use crate::substitute;
use crate::work::bytes::Bytes;
use crate::work::realise::{Computed, Session};
use crate::work::{Error, TagMove};
use crate::workspace::Target;

/// The images that a session has made and committed.
pub(crate) struct Exporter<'s> {
    session: &'s Session<'s>,
    store: &'s Store,
    /// The output of each variant.
    outputs: BTreeMap<(Target, String), Descriptor>,
    /// What their bases are called.
    origins: BTreeSet<BaseOrigin>,
}

/// Where one image goes: a repository, and a tag unless its digest is its only name.
pub(crate) struct Destination {
    pub(crate) target: Target,
    pub(crate) variant: String,
    pub(crate) reference: Reference,
    /// Its tag may name something else by now.
    pub(crate) may_move: bool,
}

impl<'s> Exporter<'s> {
    /// What came of `all`, which is in `store`.
    pub(crate) fn new(session: &'s Session<'s>, store: &'s Store, all: &[Rc<Computed>]) -> Self {
        let mut origins = BTreeSet::new();
        let mut outputs = BTreeMap::new();
        for computed in all {
            for (name, variant) in &computed.variants {
                outputs.insert((computed.target.clone(), name.clone()), variant.descriptor.clone());
                origins.extend(variant.base.origin.clone());
            }
        }
        Self { session, store, outputs, origins }
    }

    /// The blobs of an image: in the store, or wherever the bases come from.
    fn origin(&self, of: String) -> Result<Origin<'_>, Error> {
        let supply = self.session.supply();
        let places: Result<Vec<_>, Error> =
            self.origins.iter().map(|origin| supply.place(origin)).filter_map(Result::transpose).collect();
        let references = self.origins.iter().filter_map(|origin| match origin {
            BaseOrigin::Image(reference) => Some(reference.clone()),
            BaseOrigin::Layout(_) => None,
        });
        let bytes = Bytes::outside(of, self.store, &supply.substitutes, places?).beside(&supply.checkout)?;
        Ok(Origin { bytes, references: references.collect() })
    }

    /// The one image that a target means.
    fn one(
        &self,
        selected: &BTreeMap<Target, Vec<String>>,
        place: &Place,
    ) -> Result<(Target, String, Descriptor), Error> {
        let fail = |message: String| Err(Error::usage(message));
        let mut targets = selected.iter();
        let (Some((target, variants)), None) = (targets.next(), targets.next()) else {
            return fail(format!("{place} takes one image, and {} recipes were selected", selected.len()));
        };
        let variant = match variants.as_slice() {
            [] => self.session.checkout().file.default_variant(),
            [one] => one.as_str(),
            _ => return fail(format!("{place} takes one image: name one variant of {target}")),
        };
        match self.outputs.get(&(target.clone(), variant.to_owned())) {
            Some(descriptor) => Ok((target.clone(), variant.to_owned(), descriptor.clone())),
            None => fail(format!("{target} has no variant {variant}")),
        }
    }

    /// Puts one image into a place, by the name of its variant.
    fn put(
        &self,
        (target, variant): (&Target, &str),
        descriptor: &Descriptor,
        place: &Place,
        platforms: &[Platform],
    ) -> Result<Copied, Error> {
        let origin = self.origin(format!("{target}:{variant}"))?;
        let copied = put(self.session.checkout().env, &origin, descriptor.clone(), place, platforms)?;
        Ok(Copied { from: format!("{target}#{variant}"), ..copied })
    }

    /// Puts what was selected into the places that were asked for.
    pub(crate) fn deliver(
        &self,
        selected: &BTreeMap<Target, Vec<String>>,
        to: &[Place],
        platforms: &[Platform],
    ) -> Result<Vec<Copied>, Error> {
        let mut copied = Vec::new();
        for place in to {
            let several = selected.len() > 1 || selected.values().any(|variants| variants.len() > 1);
            let many = several || selected.values().any(Vec::is_empty);
            let wanted = |((target, variant), _): &(&(Target, String), &Descriptor)| {
                selected.get(target).is_some_and(|names| names.is_empty() || names.contains(variant))
            };
            let all = self.outputs.iter().filter(wanted);
            match place {
                Place::Layout { name: None, .. } | Place::Daemon(None) if many => {
                    for ((target, variant), descriptor) in all {
                        copied.push(self.put((target, variant), descriptor, place, platforms)?);
                    }
                    continue;
                }
                Place::OciArchive { name: None, .. } | Place::DockerArchive { name: None, .. } if several => {
                    let images = all.map(|((target, variant), descriptor)| {
                        (format!("{target}#{variant}"), format!("{target}:{variant}"), descriptor.clone())
                    });
                    let env = self.session.checkout().env;
                    let origin = self.origin("the images".to_owned())?;
                    copied.extend(put_together(env, &origin, images.collect(), place, platforms)?);
                    continue;
                }
                _ => {}
            }
            let (target, variant, descriptor) = self.one(selected, place)?;
            copied.push(self.put((&target, &variant), &descriptor, place, platforms)?);
        }
        Ok(copied)
    }

    /// Puts images into their repositories.
    pub(crate) fn push(
        &self,
        destinations: &[Destination],
        platforms: &[Platform],
    ) -> Result<Vec<Copied>, Error> {
        let mut copied = Vec::new();
        let tags = self.tags(destinations, platforms)?;
        for (Destination { target, variant, reference, .. }, tag) in destinations.iter().zip(tags) {
            let Some(descriptor) = self.outputs.get(&(target.clone(), variant.clone())) else { continue };
            let origin = self.origin(format!("{target}#{variant}"))?;
            let place = Place::Registry(reference.clone());
            let put = put(self.session.checkout().env, &origin, descriptor.clone(), &place, platforms)?;
            copied.push(Copied { tag, ..put });
        }
        Ok(copied)
    }

    /// What becomes of the tag of each destination. All are asked before the first is set, and those that must stay are
    /// reported together.
    fn tags(
        &self,
        destinations: &[Destination],
        platforms: &[Platform],
    ) -> Result<Vec<Option<TagChange>>, Error> {
        let client = self.session.checkout().env.registries.client().map_err(substitute::Error::from)?;
        // Two images of one push may aim at one tag.
        let mut known: BTreeMap<String, Option<Digest>> = BTreeMap::new();
        let (mut changes, mut stay) = (Vec::new(), Vec::new());
        for Destination { target, variant, reference, may_move } in destinations {
            let output = self.outputs.get(&(target.clone(), variant.clone()));
            let (Some(output), Some(tag)) = (output, &reference.tag) else {
                changes.push(None);
                continue;
            };
            let new = root(&self.origin(format!("{target}#{variant}"))?.bytes, output, platforms)?;
            let name = reference.to_string();
            let before = match known.get(&name) {
                Some(before) => *before,
                None => client.repository(reference).told(tag).map_err(sink::Error::from)?,
            };
            known.insert(name.clone(), Some(new));
            changes.push(Some(match before {
                None => TagChange::New,
                Some(before) if before == new => TagChange::There,
                Some(before) => {
                    stay.extend((!may_move).then_some(TagMove { reference: name, old: before, new }));
                    TagChange::Moved(before)
                }
            }));
        }
        if stay.is_empty() { Ok(changes) } else { Err(Error::Tags(stay)) }
    }
}
