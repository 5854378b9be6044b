//! `show --digests`: what images are called wherever they are used, before they are anywhere.

use std::collections::{BTreeMap, BTreeSet};

use super::{Env, Error, ImageName, Inputs, Selection};
use crate::digest::Digest;
use crate::lock::State;
use crate::work::Asks;
use crate::work::checkout::{Checkout, wants};
use crate::work::deliver::published::{checked, repository, tags};
use crate::work::realise::{Computed, Session};

/// What one image is called wherever it is used, before it is anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageDigests {
    /// Which.
    pub name: ImageName,
    /// It is the variant that a bare name means.
    pub default: bool,
    /// The state of the lock.
    pub state: String,
    /// The index (or upstream's descriptor of a bare recipe).
    pub digest: Digest,
    /// `[publish] repository` for this recipe, when the workspace has one: a good reference, without tag.
    pub repository: Option<String>,
    /// What `push` would tag it with.
    pub tags: Vec<String>,
    /// Manifest digests by platform (`linux/amd64`).
    pub platforms: BTreeMap<String, Digest>,
}

/// What the selected images are called once they are published, without asking or telling anybody. A bare name means the
/// default variant, or every one. The second value has warnings.
///
/// # Errors
/// As for a build: the digests are of what would be built. A `[publish] repository` that no registry can have.
pub fn digests(
    env: &Env<'_>,
    select: &Selection,
    all_variants: bool,
    inputs: &Inputs,
) -> Result<(Vec<ImageDigests>, Vec<String>), Error> {
    let session = Session::open(env, Asks::given(inputs))?;
    let checkout = session.checkout();
    // Each by itself: together, a recipe as a whole would swallow its variants that are named beside it.
    let selections = match select.targets.as_slice() {
        [] => vec![select.clone()],
        targets => targets.iter().map(Selection::one).collect(),
    };
    let mut wanted: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for select in &selections {
        for (target, variants) in checkout.select(select)? {
            wanted.entry(target).or_default().extend(match variants.is_empty() {
                true if all_variants => checkout.file.variants.clone(),
                true => vec![checkout.file.default_variant().to_owned()],
                false => variants,
            });
        }
    }
    wants::inputs(checkout, wanted.keys())?;
    let mut found = Vec::new();
    for computed in session.images(wanted.keys(), |target| select.names(target), false)? {
        for name in wanted.remove(&computed.target).unwrap_or_default() {
            found.push(image_digests(checkout, &computed, name)?);
        }
    }
    // Those that have no digest yet.
    let open = session.all().into_iter().filter(|computed| wanted.contains_key(&computed.target));
    let warned = open.flat_map(|computed| computed.told()).collect();
    Ok((found, warned))
}

fn image_digests(checkout: &Checkout<'_>, computed: &Computed, name: String) -> Result<ImageDigests, Error> {
    let variant = &computed.variants[&name];
    let platforms =
        variant.images.iter().map(|(platform, image)| (platform.clone(), image.descriptor.digest));
    Ok(ImageDigests {
        default: name == checkout.file.default_variant(),
        state: State::of(&computed.reasons, !computed.open.is_empty()).name().to_owned(),
        digest: variant.descriptor.digest,
        repository: checked(checkout, repository(checkout, &computed.target))?,
        tags: tags(checkout, computed, &name),
        platforms: platforms.collect(),
        name: ImageName { recipe: computed.target.to_string(), variant: name },
    })
}
