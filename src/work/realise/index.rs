//! The index over a variant's images, or upstream's own.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::computed::{Image, Variant};
use super::draft::{Ground, Grounded, Work};
use super::ground::base_name;
use crate::image;
use crate::oci::{Descriptor, Document, Index, MediaType, Platform};
use crate::recipe::Resolved;
use crate::store::RootKey;
use crate::work::Error;

/// Makes a variant's index of its images.
pub(super) fn make(
    work: &Work<'_, '_>,
    variant: &Grounded,
    images: BTreeMap<String, Box<Image>>,
    resolved: Option<Resolved>,
) -> Result<Variant, Error> {
    let transaction = work.sources.supply().transaction()?;
    let (descriptor, annotations) = match passed_through(work, variant)? {
        Some(descriptor) => (descriptor, None),
        None => {
            let (descriptor, annotations) = own(work, &images)?;
            (descriptor, Some(annotations))
        }
    };
    let key = RootKey {
        workspace: work.checkout().workspace.root().display().to_string(),
        recipe: work.target.to_string(),
        variant: variant.draft.name.clone(),
    };
    transaction.root(key, descriptor.clone());
    let tags = resolved.iter().flat_map(|resolved| resolved.image.tags.iter().flatten());
    let tags = tags.map(|tag| tag.value.clone()).collect();
    let root = match &variant.ground {
        Ground::Scratch => None,
        Ground::External(external) => Some(Rc::clone(external)),
        Ground::Recipe(parent) => {
            parent.variants.get(&variant.draft.name).and_then(|variant| variant.root.clone())
        }
    };
    Ok(Variant { descriptor, annotations, images, resolved, base: base_name(variant), root, tags })
}

/// An index of this recipe's own, and its annotations.
fn own(
    work: &Work<'_, '_>,
    images: &BTreeMap<String, Box<Image>>,
) -> Result<(Descriptor, BTreeMap<String, String>), Error> {
    let own = images.values().filter_map(|image| image.own.as_ref());
    let (bytes, annotations) = image::index_of(work.encoding, own);
    let descriptor = Descriptor::of(MediaType::Index, &bytes);
    work.sources.supply().transaction()?.put(&bytes)?;
    Ok((descriptor, annotations))
}

/// A bare recipe's output: what stands below, as it stands; its documents come into the store.
fn passed_through(work: &Work<'_, '_>, variant: &Grounded) -> Result<Option<Descriptor>, Error> {
    if !variant.bare {
        return Ok(None);
    }
    let external = match &variant.ground {
        Ground::Scratch => return Ok(None),
        Ground::Recipe(parent) => {
            return Ok(parent.variants.get(&variant.draft.name).map(|variant| variant.descriptor.clone()));
        }
        Ground::External(external) => external,
    };
    let transaction = work.sources.supply().transaction()?;
    for digest in &external.documents {
        if let Some(bytes) = external.blobs.get(digest) {
            transaction.put(bytes)?;
        }
    }
    let (Some(_), Document::Index(index)) = (&variant.draft.recipe.image.platforms, &external.document)
    else {
        return Ok(Some(external.descriptor.clone()));
    };
    // Those that were read: neither an artifact of the same platform, nor only what is spelled as the recipe spells it.
    let pinned = |platform: &Platform| {
        let pin = external.pin.platforms.get(&platform.short())?;
        index.children_for(platform).into_iter().find(|child| child.digest == pin.manifest.digest)
    };
    let children: Vec<_> = variant.draft.platforms.iter().filter_map(pinned).cloned().collect();
    let platforms: Vec<_> = children.iter().filter_map(|child| child.platform.clone()).collect();
    let index = Index { manifests: children, annotations: BTreeMap::new() };
    let bytes = image::subset(work.encoding, &index, &platforms);
    transaction.put(&bytes)?;
    Ok(Some(Descriptor::of(MediaType::Index, &bytes)))
}
