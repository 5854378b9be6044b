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
use super::reading::Reading;
use super::session::Session;
use crate::digest::Digest;
use crate::layer::facts::Facts;
use crate::layer::names::{self, Names};
use crate::lock::{BaseOrigin, BasePin, Lock, Reason};
use crate::oci::{
    Descriptor, Document, ImageConfig, Index, Manifest, ParseReferenceError, Platform, Reference, json,
};
use crate::plan::pattern_in_base;
use crate::recipe::{Base, Selector, layout_place};
use crate::store::SEAL;
use crate::substitute::{self, Substituter};
use crate::tree::{Content, FileTree, TreePath};

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
    /// The external base, if there is one.
    pub(super) origin: Option<BaseOrigin>,
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
            origin: None,
            root: None,
        }
    }

    /// A `[[remove]]` pattern of a recipe that stands here, as it is asked of the external base.
    pub(super) fn pattern_in_base(&self, pattern: &str) -> String {
        let parents: Vec<&FileTree> = self.parents.iter().map(|tree| &**tree).collect();
        pattern_in_base(crate::digest::Encoding::V1, pattern, &self.facts, &parents)
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
        Base::Image(text) => Some(image_origin(text)),
        Base::Layout(text) => Some(BaseOrigin::Layout(text.value.clone())),
        Base::Recipe(_) | Base::Scratch(_) | Base::Extends(_) => None,
    }
}

/// An image by its full reference.
pub(super) fn image_origin(text: &str) -> BaseOrigin {
    let reference: Result<Reference, _> = text.parse();
    BaseOrigin::Image(reference.map_or_else(|_| text.to_owned(), |reference| reference.to_string()))
}

/// Whether people mean `origin` by `name`.
pub(super) fn is_called(origin: &BaseOrigin, name: &str) -> bool {
    match origin {
        BaseOrigin::Layout(own) => own == name,
        BaseOrigin::Image(_) => *origin == image_origin(name),
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
        let mut reading = Reading::new(self, &want.origin);
        let descriptor = match old {
            Some(pin) if pin.is_told() => self.told(want, pin.index.digest)?,
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

    /// What a digest that somebody was told of names: nothing but that.
    fn told(&self, want: &Wanted<'_>, digest: Digest) -> Result<Descriptor, Error> {
        let base = want.origin.to_string();
        match self.substituter(&want.origin)? {
            Some(place) if !self.env.locked => place
                .resolve(Some(&digest.to_string()))
                .map_err(|source| Error::Base { recipe: want.recipe.to_owned(), base, source }),
            _ => Err(Error::Absent { what: format!("the index {digest}"), base, digest }),
        }
    }

    pub(super) fn refreshes(&self, origin: &BaseOrigin) -> bool {
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

    /// A blob of a base: from the store, or from where the base comes from.
    pub(super) fn blob(
        &self,
        origin: &BaseOrigin,
        blob: &Descriptor,
    ) -> Result<Option<Box<dyn Read + Send>>, Error> {
        let transaction = self.transaction()?;
        if transaction.has(blob.digest, blob.size)? {
            return Ok(Some(Box::new(transaction.open(blob.digest, blob.size)?)));
        }
        match self.substituter(origin)? {
            Some(place) => Ok(place.open(blob)?),
            None => Ok(None),
        }
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
pub(super) fn root_name(origin: &BaseOrigin) -> Option<String> {
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
