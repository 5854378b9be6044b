//! What a recipe stands on: pinned, read and known, from the lock's blobs, the store, or where the base comes from.
//!
//! Owns the resolution of references to digests and the derivation of facts. A base's layers are read only when the
//! lock doesn't hold what they would tell.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use super::Env;
use super::error::Error;
use super::session::Session;
use crate::digest::Digest;
use crate::layer::captured::Captured;
use crate::layer::facts::Facts;
use crate::layer::merged::Merged;
use crate::layer::names::{self, Names};
use crate::layer::scan::{Expected, LayerScan, scan_layer};
use crate::layer::tar::Limits;
use crate::lock::{BaseOrigin, BasePin, Lock, PlatformPin, Reason};
use crate::oci::{
    Descriptor, Document, DocumentError, ImageConfig, Index, MAX_DOCUMENT, Manifest, MediaType,
    ParseReferenceError, Platform, Reference, json,
};
use crate::plan::{matches_in_base, pattern_in_base};
use crate::progress::Event;
use crate::recipe::{Base, Selector, layout_place};
use crate::store::{self, SEAL};
use crate::substitute::{self, Beside, Substituter};
use crate::tree::{Content, FileTree, TreePath};
use crate::workspace::MAX_BULK;

/// Documents, facts and listings, by digest: shared by all recipes of a session.
pub(super) type Blobs = BTreeMap<Digest, Rc<[u8]>>;

/// What stands below the entries of one variant on one platform.
#[derive(Debug, Clone)]
pub(super) struct Below {
    /// As the index names it.
    pub(super) platform: Platform,
    /// The manifest with its digest and size; none from scratch.
    pub(super) manifest: Option<(Rc<Manifest>, Content)>,
    pub(super) config: Rc<ImageConfig>,
    /// Of the external base.
    pub(super) facts: Rc<Facts>,
    /// Of the external base.
    pub(super) base_layers: Rc<[Digest]>,
    /// What `[[remove]]` patterns match in the external base.
    pub(super) removed: BTreeMap<String, Vec<TreePath>>,
    /// The layers of recipes between the external base and here, lowest first.
    pub(super) parents: Vec<Rc<FileTree>>,
    /// Of the external base, but for those that recipes have taken away since.
    pub(super) volumes: Vec<TreePath>,
    /// Canonical name and index digest of the external base, where it has them.
    pub(super) root: Option<(String, Digest)>,
}

/// An external base, pinned.
#[derive(Debug, Clone)]
pub(super) struct External {
    pub(super) pin: BasePin,
    /// The index or manifest, as it stands in the registry.
    pub(super) descriptor: Descriptor,
    pub(super) document: Document,
    /// By the platform's short name.
    pub(super) platforms: BTreeMap<String, Below>,
    /// Documents and facts, for `lockfiles/blobs`.
    pub(super) blobs: Blobs,
    /// Its documents alone, for the store.
    pub(super) documents: Vec<Digest>,
}

/// What is wanted of an external base.
pub(super) struct Wanted<'w> {
    /// For messages.
    pub(super) recipe: &'w str,
    pub(super) origin: BaseOrigin,
    pub(super) platforms: &'w [Platform],
    /// Patterns by platform.
    pub(super) removes: &'w BTreeMap<String, Vec<String>>,
    /// A bare recipe takes what there is.
    pub(super) lenient: bool,
}

/// What a session was told of a base: whoever asks the same of it is told the same.
pub(super) type Answers = Vec<(Asked, Rc<External>)>;

/// What was asked of a base.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    platforms: Vec<Platform>,
    removes: BTreeMap<String, Vec<String>>,
    lenient: bool,
    pin: Option<BasePin>,
}

impl Below {
    /// From scratch.
    pub(super) fn scratch(platform: &Platform) -> Self {
        Self {
            platform: platform.clone(),
            manifest: None,
            config: Rc::default(),
            facts: Rc::default(),
            base_layers: Rc::default(),
            removed: BTreeMap::new(),
            parents: Vec::new(),
            volumes: Vec::new(),
            root: None,
        }
    }

    /// A `[[remove]]` pattern of a recipe that stands here, as it is asked of the external base.
    pub(super) fn pattern_in_base(&self, pattern: &str) -> String {
        let parents: Vec<&FileTree> = self.parents.iter().map(|tree| &**tree).collect();
        pattern_in_base(pattern, &self.facts, &parents)
    }
}

/// Where a base's bytes come from; none where a layout isn't there, or no connection may be opened.
pub(super) fn open_origin(
    env: &Env<'_>,
    root: &Path,
    origin: &BaseOrigin,
) -> Result<Option<Arc<dyn Substituter>>, Error> {
    let opened = match origin {
        BaseOrigin::Image(_) if env.offline => return Ok(None),
        BaseOrigin::Image(text) => {
            let wrong = |error: ParseReferenceError| Error::Usage { message: error.to_string() };
            return Ok(Some(open_reference(env, &text.parse().map_err(wrong)?)?));
        }
        BaseOrigin::Layout(text) => match layout_place(text) {
            Ok((path, _)) => substitute::open(&root.join(path)),
            Err(_) => return Ok(None),
        },
    };
    match opened {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// What a reference names, in its registry or a mirror of it. Nothing is asked yet.
pub(super) fn open_reference(env: &Env<'_>, reference: &Reference) -> Result<Arc<dyn Substituter>, Error> {
    if env.offline {
        return Err(Error::Offline { reference: reference.to_string() });
    }
    let client = env.registries.client().map_err(substitute::Error::from)?;
    Ok(Arc::new(substitute::Registry::new(reference.clone(), client.places(reference))))
}

/// A base as a lock names it.
pub(super) fn origin(base: &Base) -> Option<BaseOrigin> {
    match base {
        Base::Image(text) => {
            let canonical = text
                .parse()
                .map_or_else(|_| text.value.clone(), |reference: Reference| reference.to_string());
            Some(BaseOrigin::Image(canonical))
        }
        Base::Layout(text) => Some(BaseOrigin::Layout(text.value.clone())),
        Base::Recipe(_) | Base::Scratch(_) | Base::Extends(_) => None,
    }
}

/// Whether people mean `origin` by `name`.
pub(super) fn is_called(origin: &BaseOrigin, name: &str) -> bool {
    match origin {
        BaseOrigin::Layout(own) => own == name,
        BaseOrigin::Image(own) => {
            let canonical =
                name.parse().map_or_else(|_| name.to_owned(), |reference: Reference| reference.to_string());
            *own == canonical
        }
    }
}

impl Session<'_> {
    /// Pins a base where the lock doesn't, and reads what building on it needs.
    pub(super) fn external(&self, want: &Wanted<'_>, old: Option<&Lock>) -> Result<Rc<External>, Error> {
        let old = old.filter(|_| !self.refreshes(&want.origin));
        self.pinned_external(want, old.unwrap_or(&Lock::default()))
    }

    /// The same with a pin that isn't asked anew, where there is one.
    pub(super) fn pinned_external(&self, want: &Wanted<'_>, old: &Lock) -> Result<Rc<External>, Error> {
        let old = old.pin(&want.origin);
        let asked = Asked {
            platforms: want.platforms.to_vec(),
            removes: want.removes.clone(),
            lenient: want.lenient,
            pin: old.cloned(),
        };
        let known = |answers: &Answers| {
            answers.iter().find(|(known, _)| *known == asked).map(|(_, external)| Rc::clone(external))
        };
        if let Some(external) = self.externals.borrow().get(&want.origin).and_then(known) {
            return Ok(external);
        }
        let external = Rc::new(self.read_external(want, old)?);
        let answer = (asked, Rc::clone(&external));
        self.externals.borrow_mut().entry(want.origin.clone()).or_default().push(answer);
        Ok(external)
    }

    fn read_external(&self, want: &Wanted<'_>, old: Option<&BasePin>) -> Result<External, Error> {
        let name = want.origin.to_string();
        let mut reading = Reading {
            session: self,
            origin: &want.origin,
            name: name.clone(),
            blobs: BTreeMap::new(),
            documents: Vec::new(),
        };
        let descriptor = match old {
            Some(pin) => reading.pinned(&pin.index)?,
            None => self.resolve(&want.origin).map_err(|error| match error {
                Error::Substitute(source) => {
                    Error::Base { recipe: want.recipe.to_owned(), base: name, source }
                }
                error => error,
            })?,
        };
        let bytes = reading.document(&descriptor, "the index")?;
        let document = Document::parse(&bytes, &descriptor.media_type)
            .map_err(|source| reading.wrong_in(descriptor.digest, source))?;
        let mut external = External {
            pin: BasePin {
                origin: want.origin.clone(),
                variants: Vec::new(),
                index: Content { digest: descriptor.digest, size: descriptor.size },
                platforms: BTreeMap::new(),
            },
            descriptor,
            document,
            platforms: BTreeMap::new(),
            blobs: BTreeMap::new(),
            documents: Vec::new(),
        };
        for platform in want.platforms {
            let key = platform.short();
            let none = Vec::new();
            let patterns = want.removes.get(&key).unwrap_or(&none);
            let old = old.and_then(|pin| pin.platforms.get(&key));
            if let Some((pin, below)) = reading.platform(&external, platform, want, old, patterns)? {
                external.pin.platforms.insert(key.clone(), pin);
                external.platforms.insert(key, below);
            }
        }
        (external.blobs, external.documents) = (reading.blobs, reading.documents);
        Ok(external)
    }

    fn refreshes(&self, origin: &BaseOrigin) -> bool {
        let named =
            |names: &Vec<String>| names.is_empty() || names.iter().any(|name| is_called(origin, name));
        self.asks.refresh.as_ref().is_some_and(named)
    }

    /// Where a base's bytes come from, the same for the whole session; none where nothing is or may be asked.
    pub(super) fn substituter(&self, origin: &BaseOrigin) -> Result<Option<Arc<dyn Substituter>>, Error> {
        if let Some(known) = self.places.borrow().get(origin) {
            return Ok(Some(Arc::clone(known)));
        }
        let opened = open_origin(self.env, self.workspace.root(), origin)?;
        if let Some(opened) = &opened {
            self.places.borrow_mut().insert(origin.clone(), Arc::clone(opened));
        }
        Ok(opened)
    }

    /// What a reference or layout means today: the same for the whole session, whoever moves it meanwhile.
    pub(super) fn resolve(&self, origin: &BaseOrigin) -> Result<Descriptor, Error> {
        if let Some(known) = self.resolved.borrow().get(origin) {
            return Ok(known.clone());
        }
        let found = self.resolve_now(origin)?;
        self.resolved.borrow_mut().insert(origin.clone(), found.clone());
        Ok(found)
    }

    fn resolve_now(&self, origin: &BaseOrigin) -> Result<Descriptor, Error> {
        match origin {
            BaseOrigin::Image(reference) => match self.substituter(origin)? {
                // What --locked finds unpinned is a reason to fail, not to ask.
                Some(place) if !self.env.locked => Ok(place.resolve(None)?),
                _ => Err(Error::Unpinned { reference: reference.clone() }),
            },
            BaseOrigin::Layout(text) => {
                let (path, selector) = layout_place(text)
                    .map_err(|kind| Error::Recipes(vec![crate::recipe::Error { at: None, kind }]))?;
                let place = substitute::open(&self.workspace.root().join(path))?;
                let selector = selector.map(|selector| match selector {
                    Selector::Tag(tag) => tag,
                    Selector::Digest(digest) => digest.to_string(),
                });
                Ok(place.resolve(selector.as_deref())?)
            }
        }
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
        let name = layer.digest.short();
        self.env.progress.event(Event::Begin { what: "reading layer", name: &name });
        let scan = scan_layer(blob, expected, Limits::default()).map_err(wrong)?;
        self.env.progress.event(Event::End);
        self.transaction()?.header(layer.digest, &scan.to_bytes())?;
        Ok(Some((scan, false)))
    }

    /// Whether the image of these layers has something at `path` that is no directory. What isn't known of every
    /// layer without reading it is not known: no.
    pub(super) fn is_base_file(&self, layers: &Rc<[Digest]>, path: &TreePath) -> bool {
        let asked = (Rc::clone(layers), path.clone());
        if let Some(known) = self.base_files.borrow().get(&asked) {
            return *known;
        }
        let names: Option<Vec<_>> = layers.iter().map(|layer| self.names(*layer)).collect();
        let answer = names.is_some_and(|names| names::is_file(names.iter().map(Rc::as_ref), path));
        self.base_files.borrow_mut().insert(asked, answer);
        answer
    }

    fn names(&self, layer: Digest) -> Option<Rc<Names>> {
        if let Some(known) = self.names.borrow().get(&layer) {
            return known.clone();
        }
        // A guard is policy, and `lock` reads all of it: a damaged byte here isn't worth a hash of the whole.
        let kept = || {
            let window = self.transaction().ok()?.header_window(layer).ok()??;
            let size = usize::try_from(window.size()).ok()?.checked_sub(SEAL)?;
            Names::of(size, Box::new(move |at, length| window.read((SEAL + at) as u64, length)))
        };
        let names = kept().map(Rc::new);
        self.names.borrow_mut().insert(layer, names.clone());
        names
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

    /// A blob of a base: from the store, or from where the base comes from.
    pub(super) fn blob(
        &self,
        origin: &BaseOrigin,
        blob: &Descriptor,
    ) -> Result<Option<Box<dyn Read + Send>>, Error> {
        if self.store()?.has(blob.digest, blob.size)? {
            return Ok(Some(Box::new(self.store()?.open_blob(blob.digest, blob.size)?)));
        }
        match self.substituter(origin)? {
            Some(place) => Ok(place.open(blob)?),
            None => Ok(None),
        }
    }
}

/// The documents of one base while they are being read.
struct Reading<'s, 'e> {
    session: &'s Session<'e>,
    origin: &'s BaseOrigin,
    name: String,
    blobs: Blobs,
    documents: Vec<Digest>,
}

impl Reading<'_, '_> {
    fn wrong(&self, source: DocumentError) -> Error {
        Error::Document { base: self.name.clone(), source }
    }

    /// The same, of one document.
    fn wrong_in(&self, digest: Digest, source: DocumentError) -> Error {
        Error::Document { base: format!("{}: {digest}", self.name), source }
    }

    /// The descriptor of a pin: its media type is what the document itself says.
    fn pinned(&mut self, index: &Content) -> Result<Descriptor, Error> {
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
    fn document(&mut self, descriptor: &Descriptor, what: &str) -> Result<Rc<[u8]>, Error> {
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

    fn platform(
        &mut self,
        external: &External,
        platform: &Platform,
        want: &Wanted<'_>,
        old: Option<&PlatformPin>,
        patterns: &[String],
    ) -> Result<Option<(PlatformPin, Below)>, Error> {
        let (child, manifest, config) = match &external.document {
            Document::Manifest(manifest) => {
                let config = self.config(manifest)?;
                let own = config.platform().map_err(|source| self.wrong(source))?;
                let mut child = external.descriptor.clone();
                child.platform = Some(own.clone());
                if !own.matches(platform) {
                    return self.missing(want, platform, vec![own.short()]);
                }
                (child, manifest.clone(), config)
            }
            Document::Index(index) => {
                let Some(child) = child_of(index, platform) else {
                    let have = index.manifests.iter().filter(|child| !child.is_attestation());
                    let have = have.filter_map(|child| Some(child.platform.as_ref()?.short())).collect();
                    return self.missing(want, platform, have);
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
                (child.clone(), manifest, config)
            }
        };
        manifest.check_image().map_err(|source| self.wrong(source))?;
        check_config(&manifest, &config).map_err(|source| self.wrong(source))?;
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

    fn config(&mut self, manifest: &Manifest) -> Result<ImageConfig, Error> {
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
                    matches_in_base(pattern, &merged).unwrap_or_default()
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
        for (number, layer) in self.manifest.layers.iter().enumerate() {
            let compression = layer.compression().map_err(|source| reading.wrong(source))?;
            let diff_id = diff_ids.get(number).copied();
            let expected = Expected { digest: layer.digest, size: layer.size, compression, diff_id };
            let scan = reading.session.scan(reading.origin, &expected, layer, claims)?;
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

/// The child of an index for a platform.
pub(super) fn child_of<'i>(index: &'i Index, platform: &Platform) -> Option<&'i Descriptor> {
    index
        .manifests
        .iter()
        .filter(|child| !child.is_attestation())
        .find(|child| child.platform.as_ref().is_some_and(|own| own.matches(platform)))
}

/// The paths that a config declares as volumes.
pub(super) fn volumes(config: &ImageConfig) -> Vec<TreePath> {
    let volumes = config.setting("Volumes").and_then(json::Value::as_object);
    let paths = volumes.into_iter().flat_map(|volumes| volumes.keys());
    paths.filter_map(|path| TreePath::parse(path.as_bytes()).ok()).collect()
}

/// `org.opencontainers.image.base.name`: nothing for layouts.
fn root_name(origin: &BaseOrigin) -> Option<String> {
    match origin {
        BaseOrigin::Image(name) => Some(name.split('@').next().unwrap_or(name).to_owned()),
        BaseOrigin::Layout(_) => None,
    }
}

/// The reason that a missing thing of a base amounts to, for `--locked`.
pub(super) fn reason_of(error: &Error, origin: &BaseOrigin) -> Option<Reason> {
    match error {
        Error::Unpinned { .. } => Some(Reason::BaseUnpinned { origin: origin.clone() }),
        Error::Absent { digest, .. } => {
            Some(Reason::BlobMissing { blob: Content { digest: *digest, size: 0 } })
        }
        _ => None,
    }
}
