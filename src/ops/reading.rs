//! The documents and layers of one base, read as far as somebody asks.
//!
//! Owns which of them are read, and from where each: `lockfiles/blobs`, the store, substituters, at last where the base
//! comes from. What becomes of them is `base`'s.

use std::collections::BTreeMap;
use std::io::Read;
use std::rc::Rc;
use std::sync::Arc;

use super::base::{Below, Blobs, External, Wanted, child_of, root_name, volumes};
use super::error::Error;
use super::session::Session;
use crate::digest::Digest;
use crate::layer::captured::Captured;
use crate::layer::error::ReadError;
use crate::layer::facts::Facts;
use crate::layer::merged::Merged;
use crate::layer::packages::{self, Packages};
use crate::layer::scan::{Expected, LayerScan, scan_layer};
use crate::layer::tar::Limits;
use crate::lock::{BaseOrigin, PlatformPin};
use crate::oci::{
    Descriptor, Document, DocumentError, ImageConfig, MAX_DOCUMENT, Manifest, MediaType, Platform, json,
};
use crate::plan::matches_in_base;
use crate::progress::{Counting, Event, Progress};
use crate::registry::each;
use crate::store;
use crate::substitute::{self, Beside};
use crate::tree::{Content, TreePath};
use crate::workspace::MAX_BULK;

impl Session<'_> {
    /// The packages of a pinned base on one platform.
    pub(super) fn packages(&self, origin: &BaseOrigin, pin: &PlatformPin) -> Result<Packages, Error> {
        let mut reading = Reading::new(self, origin);
        let descriptor = reading.pinned(&pin.manifest)?;
        let bytes = reading.document(&descriptor, "the manifest")?;
        let wrong = |source| Error::Document { base: origin.to_string(), source };
        let Document::Manifest(manifest) = Document::parse(&bytes, &descriptor.media_type).map_err(wrong)?
        else {
            return Err(wrong(DocumentError::NeitherKind));
        };
        let config = reading.config(&manifest)?;
        let mut view = LazyMerged {
            reading: &reading,
            manifest: &manifest,
            config: &config,
            pinned: pin.facts,
            merged: None,
        };
        let (merged, captured) = view.need()?;
        Ok(packages::derive(&merged, &captured.iter().collect::<Vec<_>>()))
    }

    /// A layer's scan: kept by the store, or made now from the layer itself, and with `claims` as a substituter has it:
    /// the second value says so. None: the layer isn't at hand. Of a large layer it takes megabytes: whoever asks takes
    /// it apart.
    fn scan(
        &self,
        origin: &BaseOrigin,
        expected: &Expected,
        layer: &Descriptor,
        claims: bool,
    ) -> Result<Option<(LayerScan, bool)>, Error> {
        let wrong = |source| Error::BaseLayer { base: origin.to_string(), layer: layer.digest, source };
        let kept = self
            .transaction()?
            .kept_header(layer.digest)?
            .map(|bytes| LayerScan::parse(&bytes))
            .transpose()
            .ok()
            .flatten();
        // An index says nothing of a diff_id that another config claims for the same layer.
        let kept =
            kept.flatten().filter(|scan| expected.diff_id.is_none_or(|diff_id| diff_id == scan.diff_id));
        if let Some(kept) = kept.filter(|_| !self.asks.fresh_facts) {
            return Ok(Some((kept, false)));
        }
        if claims
            && let Some(bytes) = self.substitutes.beside(Beside::Headers, layer.digest)
            && let Ok(Some(scan)) = LayerScan::parse(&bytes)
            && (scan.digest, scan.size, Some(scan.diff_id)) == (layer.digest, layer.size, expected.diff_id)
        {
            return Ok(Some((scan, true)));
        }
        let Some(blob) = self.blob(origin, layer)? else { return Ok(None) };
        let scan = scanned(blob, expected, &self.env.progress).map_err(wrong)?;
        self.transaction()?.header(layer.digest, &scan.to_bytes())?;
        Ok(Some((scan, false)))
    }

    /// Reads those layers whose indexes the store hasn't got, several at once, so that it has.
    fn prefetch(&self, origin: &BaseOrigin, layers: &[(Expected, &Descriptor)]) -> Result<(), Error> {
        let transaction = self.transaction()?;
        let mut missing = Vec::new();
        for (expected, layer) in layers {
            if transaction.header_window(layer.digest)?.is_none() {
                missing.push((expected, *layer));
            }
        }
        // One is read by whoever needs it.
        if missing.len() < 2 {
            return Ok(());
        }
        let Some(place) = self.substituter(origin)? else { return Ok(()) };
        let (store, progress) = (self.store()?, &self.env.progress);
        each(&missing, self.env.registries.concurrency(), |(expected, layer)| {
            let blob: Box<dyn Read + Send> = if store.has(layer.digest, layer.size)? {
                Box::new(store.open_blob(layer.digest, layer.size)?)
            } else {
                // Who misses it will say so.
                let Some(blob) = place.open(layer)? else { return Ok(()) };
                blob
            };
            let wrong = |source| Error::BaseLayer { base: origin.to_string(), layer: layer.digest, source };
            let scan = scanned(blob, expected, progress).map_err(wrong)?;
            Ok(transaction.header(layer.digest, &scan.to_bytes())?)
        })
    }

    /// A document of a base: from the store, or from where the base comes from if it isn't there or no good.
    fn stored_document(
        &self,
        origin: &BaseOrigin,
        blob: &Descriptor,
        what: &str,
    ) -> Result<Option<Vec<u8>>, Error> {
        let failed = match self.store()?.read(blob.digest, blob.size, MAX_DOCUMENT) {
            Ok(bytes) => return Ok(Some(bytes)),
            Err(store::Error::Missing { .. }) => None,
            Err(error) => Some(error),
        };
        let found = match self.substituter(origin)? {
            Some(place) => {
                let what = format!("{what} {}", blob.digest);
                place.read(blob).map_err(|error| Error::of_document(error, what, &origin.to_string()))?
            }
            None => None,
        };
        match (found, failed) {
            (None, Some(error)) => Err(error.into()),
            (found, _) => Ok(found),
        }
    }
}

/// Reads a layer.
fn scanned(
    blob: impl Read,
    expected: &Expected,
    progress: &Arc<dyn Progress>,
) -> Result<LayerScan, ReadError> {
    let name = expected.digest.short();
    progress.event(Event::Begin { what: "reading layer", name: &name });
    let scan = scan_layer(Counting::new(blob, Arc::clone(progress)), expected, Limits::default())?;
    progress.event(Event::End);
    Ok(scan)
}

/// The documents of one base while they are being read.
pub(super) struct Reading<'s, 'e> {
    session: &'s Session<'e>,
    origin: &'s BaseOrigin,
    name: String,
    pub(super) blobs: Blobs,
    pub(super) documents: Vec<Digest>,
}

/// The documents of an image for one platform.
pub(super) struct OneImage {
    /// The manifest's descriptor, with the platform.
    pub(super) child: Descriptor,
    pub(super) manifest: Manifest,
    pub(super) config: ImageConfig,
}

impl<'s, 'e> Reading<'s, 'e> {
    pub(super) fn new(session: &'s Session<'e>, origin: &'s BaseOrigin) -> Self {
        Self { session, origin, name: origin.to_string(), blobs: Blobs::new(), documents: Vec::new() }
    }
}

impl Reading<'_, '_> {
    fn wrong(&self, source: DocumentError) -> Error {
        Error::Document { base: self.name.clone(), source }
    }

    /// The same, of one document.
    pub(super) fn wrong_in(&self, digest: Digest, source: DocumentError) -> Error {
        Error::Document { base: format!("{}: {digest}", self.name), source }
    }

    /// The merged headers of an image's layers.
    pub(super) fn merged(&self, manifest: &Manifest, config: &ImageConfig) -> Result<Rc<Merged>, Error> {
        Ok(self.view(manifest, config)?.0)
    }

    /// The same, with what was captured of each layer.
    pub(super) fn view(&self, manifest: &Manifest, config: &ImageConfig) -> Result<View, Error> {
        LazyMerged { reading: self, manifest, config, pinned: None, merged: None }.need()
    }

    /// The descriptor of a pin: its media type is what the document itself says.
    pub(super) fn pinned(&mut self, index: &Content) -> Result<Descriptor, Error> {
        let mut descriptor = Descriptor::new(MediaType::Index, index.digest, index.size);
        let bytes = self.document(&descriptor, "the index")?;
        let members = json::parse(&bytes).ok();
        let members = members.as_ref().and_then(json::Value::as_object);
        let own = members.and_then(|members| members.get("mediaType")).and_then(json::Value::as_str);
        descriptor.media_type = match own {
            Some(own) => own.to_owned(),
            None if members.is_some_and(|members| members.contains_key("manifests")) => {
                MediaType::Index.to_string()
            }
            None => MediaType::Manifest.to_string(),
        };
        Ok(descriptor)
    }

    /// A document, read and verified once: from `lockfiles/blobs`, the store, the descriptor itself, or where the base comes from.
    pub(super) fn document(&mut self, descriptor: &Descriptor, what: &str) -> Result<Rc<[u8]>, Error> {
        let content = Content { digest: descriptor.digest, size: descriptor.size };
        if let Some(bytes) =
            self.blobs.get(&content.digest).filter(|bytes| bytes.len() as u64 == content.size)
        {
            return Ok(Rc::clone(bytes));
        }
        let absent = || Error::Absent {
            what: format!("{what} {}", descriptor.digest),
            base: self.name.clone(),
            digest: descriptor.digest,
        };
        let bytes = match self.session.committed(&content, MAX_DOCUMENT)? {
            Some(bytes) => bytes,
            None => {
                let mut bytes = descriptor.data().map_err(|source| self.wrong(source))?;
                if bytes.is_none() {
                    if descriptor.size > MAX_DOCUMENT {
                        let (digest, size) = (descriptor.digest, descriptor.size);
                        return Err(substitute::Error::TooLarge { digest, size }.into());
                    }
                    bytes = self.session.stored_document(self.origin, descriptor, what)?;
                }
                bytes.filter(|bytes| Content::of(bytes) == content).ok_or_else(absent)?.into()
            }
        };
        self.blobs.insert(descriptor.digest, Rc::clone(&bytes));
        self.documents.push(descriptor.digest);
        Ok(bytes)
    }

    /// The image of an index for a platform, or else the platforms that there are. What isn't an index is the image,
    /// whatever its platform.
    pub(super) fn image(
        &mut self,
        descriptor: &Descriptor,
        document: &Document,
        platform: &Platform,
    ) -> Result<Result<OneImage, Vec<String>>, Error> {
        let index = match document {
            Document::Manifest(manifest) => {
                let config = self.config(manifest)?;
                let own = config.platform().map_err(|source| self.wrong(source))?;
                let child = Descriptor { platform: Some(own), ..descriptor.clone() };
                return Ok(Ok(OneImage { child, manifest: manifest.clone(), config }));
            }
            Document::Index(index) => index,
        };
        let Some(child) = child_of(index, platform) else {
            let have = index.manifests.iter().filter(|child| !child.is_attestation());
            return Ok(Err(have.filter_map(|child| Some(child.platform.as_ref()?.short())).collect()));
        };
        let bytes = self.document(child, "the manifest")?;
        let manifest = match Document::parse(&bytes, &child.media_type) {
            Ok(Document::Manifest(manifest)) => manifest,
            Ok(Document::Index(_)) => {
                let what = "an index inside an index".to_owned();
                return Err(self.wrong_in(child.digest, DocumentError::Unsupported { what }));
            }
            Err(source) => return Err(self.wrong_in(child.digest, source)),
        };
        let config = self.config(&manifest)?;
        Ok(Ok(OneImage { child: child.clone(), manifest, config }))
    }

    /// That it is an image that can be read.
    pub(super) fn check(&self, image: &OneImage) -> Result<(), Error> {
        let checked =
            image.manifest.check_image().and_then(|()| check_config(&image.manifest, &image.config));
        checked.map_err(|source| self.wrong(source))
    }

    pub(super) fn platform(
        &mut self,
        external: &External,
        platform: &Platform,
        want: &Wanted<'_>,
        old: Option<&PlatformPin>,
        patterns: &[String],
    ) -> Result<Option<(PlatformPin, Below)>, Error> {
        let found = match self.image(&external.descriptor, &external.document, platform)? {
            Ok(found) => found,
            Err(have) => return self.missing(want, platform, have),
        };
        // An image that isn't in an index is of the platform that its config says.
        if let Some(own) = found.child.platform.as_ref().filter(|own| !own.matches(platform)) {
            return self.missing(want, platform, vec![own.short()]);
        }
        self.check(&found)?;
        let OneImage { child, manifest, config } = found;
        let pinned = old.and_then(|pin| pin.facts);
        let mut view =
            LazyMerged { reading: self, manifest: &manifest, config: &config, pinned, merged: None };
        let Known { facts, content, bytes } = view.facts(old, platform)?;
        let removed = view.removed(old, patterns)?;
        view.for_guards()?;
        self.blobs.insert(content.digest, bytes);
        let pin = PlatformPin {
            manifest: Content { digest: child.digest, size: child.size },
            facts: Some(content),
            removed: removed.clone(),
        };
        let below = Below {
            platform: child.platform.clone().unwrap_or_else(|| platform.clone()),
            volumes: volumes(&config),
            base_layers: manifest.layers.iter().map(|layer| layer.digest).collect(),
            manifest: Some((Rc::new(manifest), Content { digest: child.digest, size: child.size })),
            config: Rc::new(config),
            facts,
            removed,
            parents: Vec::new(),
            origin: Some(self.origin.clone()),
            root: root_name(self.origin).map(|name| (name, external.descriptor.digest)),
        };
        Ok(Some((pin, below)))
    }

    fn missing(
        &self,
        want: &Wanted<'_>,
        platform: &Platform,
        have: Vec<String>,
    ) -> Result<Option<(PlatformPin, Below)>, Error> {
        if want.lenient {
            return Ok(None);
        }
        let (recipe, platform) = (want.recipe.to_owned(), platform.short());
        Err(Error::NoPlatform { recipe, base: self.name.clone(), platform, have })
    }

    pub(super) fn config(&mut self, manifest: &Manifest) -> Result<ImageConfig, Error> {
        let bytes = self.document(&manifest.config, "the config")?;
        ImageConfig::parse(&bytes).map_err(|source| self.wrong_in(manifest.config.digest, source))
    }
}

/// Facts, as a value and as the text that the lock pins.
struct Known {
    facts: Rc<Facts>,
    content: Content,
    bytes: Rc<[u8]>,
}

/// The merged header indexes of a base's layers, made when something needs them.
struct LazyMerged<'m, 's, 'e> {
    reading: &'m Reading<'s, 'e>,
    manifest: &'m Manifest,
    config: &'m ImageConfig,
    /// The facts that the lock pins.
    pinned: Option<Content>,
    merged: Option<View>,
}

/// The merged headers of an image, and what was captured of each of its layers.
pub(super) type View = (Rc<Merged>, Rc<Vec<Captured>>);

impl LazyMerged<'_, '_, '_> {
    /// The facts that the lock pins, or those that the layers tell now.
    fn facts(&mut self, old: Option<&PlatformPin>, platform: &Platform) -> Result<Known, Error> {
        let session = self.reading.session;
        let pinned = old.and_then(|pin| pin.facts);
        if let Some(content) = pinned.filter(|_| !session.asks.fresh_facts)
            && let Some(bytes) = session.committed(&content, MAX_BULK)?
        {
            let wrong = |_| Error::Facts { base: self.reading.name.clone(), platform: platform.short() };
            let known = session.facts.borrow().get(&content.digest).cloned();
            let facts = match known {
                Some(facts) => facts,
                None => Rc::new(Facts::parse(&bytes).map_err(wrong)?),
            };
            session.facts.borrow_mut().insert(content.digest, Rc::clone(&facts));
            return Ok(Known { facts, content, bytes });
        }
        let (merged, captured) = self.need()?;
        let captured: Vec<&Captured> = captured.iter().collect();
        let layer = self.manifest.layers.first().map_or(Digest::of(b""), |layer| layer.digest);
        let base = self.reading.name.clone();
        let facts =
            Facts::derive(&merged, &captured).map_err(|source| Error::BaseLayer { base, layer, source })?;
        let bytes = facts.to_text().as_bytes();
        let content = Content::of(bytes);
        if pinned.is_some_and(|pinned| pinned != content) {
            return Err(Error::Facts { base: self.reading.name.clone(), platform: platform.short() });
        }
        let bytes = bytes.into();
        Ok(Known { facts: Rc::new(facts), content, bytes })
    }

    fn removed(
        &mut self,
        old: Option<&PlatformPin>,
        patterns: &[String],
    ) -> Result<BTreeMap<String, Vec<TreePath>>, Error> {
        let mut removed = BTreeMap::new();
        for pattern in patterns {
            let known = old.and_then(|pin| pin.removed.get(pattern)).cloned();
            let matched = match known {
                Some(matched) => matched,
                None => {
                    let (merged, _) = self.need()?;
                    // A pattern that can't be read is told by the plan, where its place is known.
                    matches_in_base(crate::digest::Encoding::V1, pattern, &merged).unwrap_or_default()
                }
            };
            removed.insert(pattern.clone(), matched);
        }
        Ok(removed)
    }

    /// A thorough command reads the layers where they can be had, so that every guard can answer.
    fn for_guards(&mut self) -> Result<(), Error> {
        if !self.reading.session.asks.thorough {
            return Ok(());
        }
        match self.need() {
            // A complete lock builds without.
            Ok(_) | Err(Error::Absent { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    fn need(&mut self) -> Result<View, Error> {
        if let Some(view) = &self.merged {
            return Ok(view.clone());
        }
        let reading = self.reading;
        let views = &reading.session.views;
        let key = Digest::of(&self.manifest.to_bytes());
        if let Some(view) = views.borrow().get(&key) {
            return Ok(self.merged.insert(view.clone()).clone());
        }
        let view = self.claimed()?.map_or_else(|| Ok(self.read(false)?.0), Ok::<_, Error>)?;
        views.borrow_mut().insert(key, view.clone());
        Ok(self.merged.insert(view).clone())
    }

    /// What a substituter has of the layers, if it gives the facts that the lock pins: it is kept then.
    fn claimed(&self) -> Result<Option<View>, Error> {
        let session = self.reading.session;
        let Some(pinned) =
            self.pinned.filter(|_| !session.asks.fresh_facts && !session.substitutes.is_empty())
        else {
            return Ok(None);
        };
        let (view, claims) = self.read(true)?;
        let captured: Vec<&Captured> = view.1.iter().collect();
        let same = |facts: Facts| Content::of(facts.to_text().as_bytes()) == pinned;
        if !claims.is_empty() && !Facts::derive(&view.0, &captured).is_ok_and(same) {
            return Ok(None);
        }
        for (layer, bytes) in claims {
            session.transaction()?.header(layer, &bytes)?;
        }
        Ok(Some(view))
    }

    /// Merges the layers, and gives what is only claimed of them.
    fn read(&self, claims: bool) -> Result<(View, BTreeMap<Digest, Vec<u8>>), Error> {
        let reading = self.reading;
        let diff_ids = self.config.diff_ids().map_err(|source| reading.wrong(source))?;
        let (mut merged, mut captured, mut claimed) = (Merged::default(), Vec::new(), BTreeMap::new());
        let mut layers = Vec::new();
        for (number, layer) in self.manifest.layers.iter().enumerate() {
            let compression = layer.compression().map_err(|source| reading.wrong(source))?;
            let diff_id = diff_ids.get(number).copied();
            let Descriptor { digest, size, .. } = *layer;
            layers.push((Expected { digest, size, compression, diff_id }, layer));
        }
        if !claims && !reading.session.asks.fresh_facts {
            reading.session.prefetch(reading.origin, &layers)?;
        }
        for (expected, layer) in &layers {
            let scan = reading.session.scan(reading.origin, expected, layer, claims)?;
            let (scan, is_claim) = scan.ok_or_else(|| Error::Absent {
                what: format!("the layer {}", layer.digest),
                base: reading.name.clone(),
                digest: layer.digest,
            })?;
            if is_claim {
                claimed.insert(layer.digest, scan.to_bytes());
            }
            let base = reading.name.clone();
            let wrong = |source| Error::BaseLayer { base, layer: layer.digest, source };
            merged.apply(scan.index).map_err(wrong)?;
            captured.push(scan.captured);
        }
        Ok(((Rc::new(merged), Rc::new(captured)), claimed))
    }
}

/// That a config isn't one of Windows, and speaks of as many layers as the manifest.
fn check_config(manifest: &Manifest, config: &ImageConfig) -> Result<(), DocumentError> {
    config.check_env()?;
    let (here, there) = (manifest.layers.len(), config.diff_ids()?.len());
    if here != there {
        return Err(DocumentError::Layers { manifest: here, config: there });
    }
    match config.platform()?.os.as_str() {
        "windows" => Err(DocumentError::Unsupported { what: "an image of Windows".into() }),
        _ => Ok(()),
    }
}
