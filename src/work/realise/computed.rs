//! What came of a recipe, as values.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::lacking::Lacking;
use crate::derivation::{ImageDerivation, IndexDerivation};
use crate::digest::Digest;
use crate::image;
use crate::layer::facts::Facts;
use crate::lock::{BaseOrigin, Lock, Reason};
use crate::oci::{Descriptor, Document, DocumentError, ImageConfig, Platform};
use crate::recipe::Resolved;
use crate::tree::{Content, FileTree};
use crate::work::Error;
use crate::work::checkout::{Blobs, Chain, OldLock};
use crate::work::upstream::{Below, External, volumes};
use crate::workspace::Target;

/// A recipe, computed.
pub(crate) struct Computed {
    pub(crate) target: Target,
    /// Boxed, as their images are: a map makes room for eleven.
    pub(crate) variants: BTreeMap<String, Box<Variant>>,
    /// It and those below it.
    pub(super) chain: Chain,
    /// The lock that was found.
    pub(super) found: Rc<OldLock>,
    /// The lock that says what came out.
    pub(crate) lock: Lock,
    /// What the old one doesn't say, or says otherwise.
    pub(crate) reasons: Vec<Reason>,
    /// For `lockfiles/blobs`.
    pub(crate) blobs: Blobs,
    pub(crate) warnings: Vec<String>,
    /// Inputs that no lock has, of those below as well.
    pub(crate) open: Vec<String>,
    /// Those of them that nobody has given: there are no variants then.
    pub(crate) lacks: Vec<Lacking>,
}

/// One variant of a recipe.
pub(crate) struct Variant {
    /// The index, or upstream's descriptor.
    pub(crate) descriptor: Descriptor,
    /// Of the index; nothing where it is upstream's own.
    pub(super) annotations: Option<BTreeMap<String, String>>,
    /// By the platform's short name.
    pub(crate) images: BTreeMap<String, Box<Image>>,
    pub(crate) resolved: Option<Resolved>,
    pub(crate) base: BaseName,
    /// The external base at the bottom.
    pub(super) root: Option<Rc<External>>,
    pub(crate) tags: Vec<String>,
}

/// What a variant stands on, for people.
#[derive(Debug, Clone)]
pub(crate) struct BaseName {
    pub(crate) text: String,
    pub(crate) digest: Option<Digest>,
    pub(crate) origin: Option<BaseOrigin>,
}

/// One platform of a variant.
pub(crate) struct Image {
    pub(crate) descriptor: Descriptor,
    /// What determines it; nothing where a bare recipe passes its base's through.
    pub(crate) derivation: Option<ImageDerivation>,
    /// The recipe's own layers, lowest first.
    pub(crate) layers: Vec<Made>,
    /// What it stands on itself.
    pub(crate) below: Below,
    /// Nothing where a bare recipe passes its base's through.
    pub(super) own: Option<image::Image>,
    /// What is known below, with the users that this recipe adds.
    pub(super) users: Option<Rc<Facts>>,
}

/// A layer that is in the store, or will be.
#[derive(Debug, Clone)]
pub(crate) struct Made {
    pub(crate) layer: image::Layer,
    pub(crate) tree: Rc<FileTree>,
    /// It was compressed by this command.
    pub(crate) fresh: bool,
}

impl Computed {
    /// Its warnings, with its name.
    pub(crate) fn told(&self) -> Vec<String> {
        self.warnings.iter().map(|warning| format!("{}: {warning}", self.target)).collect()
    }

    /// The lock that was found.
    pub(crate) fn old(&self) -> Option<&Lock> {
        self.found.lock.as_ref()
    }
}

impl Variant {
    /// What determines the index; nothing where it is upstream's own.
    pub(crate) fn derivation(&self) -> Option<IndexDerivation> {
        let annotations = self.annotations.clone()?;
        let mut images: Vec<&Image> = self.images.values().map(|image| &**image).collect();
        let key = |image: &Image| image.descriptor.platform.clone();
        images.sort_by(|a, b| key(a).as_ref().map(Platform::key).cmp(&key(b).as_ref().map(Platform::key)));
        let derivations = images.iter().filter_map(|image| Some(image.derivation.as_ref()?.digest()));
        Some(IndexDerivation { images: derivations.collect(), annotations })
    }

    /// Every layer that the recipe adds, each once.
    pub(crate) fn own_layers(&self) -> Vec<Made> {
        let mut seen = BTreeSet::new();
        let layers = self.images.values().flat_map(|image| &image.layers);
        layers.filter(|made| seen.insert(made.layer.digest)).cloned().collect()
    }
}

impl Image {
    /// The digest of its config: what Docker calls the image ID.
    pub(crate) fn id(&self) -> Digest {
        match (&self.own, &self.below.manifest) {
            (Some(own), _) => Digest::of(&own.config),
            (None, Some((base, _))) => base.config.digest,
            (None, None) => self.descriptor.digest,
        }
    }

    /// What recipes that stand on this one, which is of `target`, stand on.
    pub(crate) fn stand(&self, target: &Target) -> Result<Below, Error> {
        let mut below = self.below.clone();
        if let Some(users) = &self.users {
            below.facts = Rc::clone(users);
        }
        let Some(own) = &self.own else { return Ok(below) };
        let wrong = |source| Error::Document { base: target.to_string(), source };
        let media_type = &self.descriptor.media_type;
        let Document::Manifest(manifest) = Document::parse(&own.manifest, media_type).map_err(wrong)? else {
            return Err(wrong(DocumentError::NeitherKind));
        };
        let config = ImageConfig::parse(&own.config).map_err(wrong)?;
        let left = volumes(&config);
        below.parents.extend(self.layers.iter().map(|made| Rc::clone(&made.tree)));
        below.volumes.retain(|volume| left.contains(volume));
        let content = Content { digest: self.descriptor.digest, size: self.descriptor.size };
        below.manifest = Some((Rc::new(manifest), content));
        below.config = Rc::new(config);
        Ok(below)
    }
}
