//! Sources that aren't files of the checkout: fetched, unpacked, made elsewhere, taken out of images.
//!
//! Owns what the lock pins of them, and that their bytes are read only when a layer has to be made: what is in them is
//! listed in the lock. What an archive holds goes through one temporary file of the store, never into a tree on the disk.

mod archive;
mod elsewhere;
mod fetch;
mod image;
mod input;
mod portion;
mod read;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

pub(crate) use elsewhere::Elsewhere;
pub(crate) use fetch::{Located, fetch, vendored};

use self::archive::unpacked;
use self::image::{of_base, of_image, of_recipe};
use self::input::{file_of, input_scan};
use self::read::Read;
use crate::digest::Digest;
use crate::lock::{BaseOrigin, BasePin, Lock, Pin, Reason, SourceLock};
use crate::recipe::SourcePath;
use crate::store::Store;
use crate::tree::{Attributes, Content, Files, Kind, SourceKey, SourceNode, SourceTree, TreePath};
use crate::work::Error;
use crate::work::bytes::Supply;
use crate::work::checkout::Checkout;
use crate::work::upstream::{Below, Upstream, refreshes};
use crate::workspace::{Contents, Target};

/// Everything that recipes take their bytes from.
pub(crate) struct Sources<'a> {
    pub(crate) upstream: Upstream<'a>,
    found: RefCell<BTreeMap<SourceKey, Rc<Foreign>>>,
    /// Those whose bytes are at hand.
    materialised: RefCell<BTreeMap<SourceKey, Rc<Contents>>>,
}

/// A source from elsewhere.
pub(crate) struct Foreign {
    pub(crate) tree: SourceTree,
    pub(crate) pin: Pin,
    /// As a recipe names it.
    path: SourcePath,
    /// The image that it is in, where that is one of this workspace, or what a recipe stands on.
    image: Option<Below>,
}

impl Foreign {
    /// Whether it is in what a recipe stands on.
    pub(crate) fn is_of_base(&self) -> bool {
        matches!(self.path.key, SourceKey::Base { .. })
    }

    /// The bytes that it has.
    pub(crate) fn contents(&self) -> impl Iterator<Item = Content> {
        self.tree.nodes.values().filter_map(|node| match node {
            SourceNode::Kept { kind: Kind::File(content), .. } | SourceNode::File { content, .. } => {
                Some(*content)
            }
            _ => None,
        })
    }
}

impl<'a> Sources<'a> {
    /// Reads nothing yet.
    pub(crate) fn new(upstream: Upstream<'a>) -> Self {
        Self { upstream, found: RefCell::default(), materialised: RefCell::default() }
    }

    /// Recipes, locks and their files.
    pub(crate) fn checkout(&self) -> &Checkout<'a> {
        &self.upstream.supply.checkout
    }

    /// Brings what was made to the disk; the bytes of sources are gone then.
    pub(crate) fn commit(&mut self) -> Result<Store, Error> {
        self.materialised.take();
        self.upstream.supply.commit()
    }

    /// The store, and the places that may be asked.
    pub(crate) fn supply(&self) -> &Supply<'a> {
        &self.upstream.supply
    }

    /// What a source holds: as the lock has it, or read now.
    pub(crate) fn foreign(
        &self,
        target: &Target,
        path: &SourcePath,
        image: Option<Below>,
        old: Option<&Lock>,
    ) -> Result<Rc<Foreign>, Error> {
        let key = path.key.clone();
        let manifest = image.as_ref().and_then(|image| Some(Pin::File(image.manifest.as_ref()?.1)));
        let from = Elsewhere::of(&key);
        let asked = |from: &Elsewhere| refreshes(&self.upstream, |name| from.is_called(name));
        let refreshed = path.sha256.is_none() && from.as_ref().is_some_and(asked);
        let old = old.filter(|_| !refreshed);
        let locked = old.and_then(|lock| lock.sources.iter().find(|source| source.key == key));
        let locked = locked.filter(|locked| agrees(locked.pin, path.sha256));
        // What another recipe's lock says of the same URL or image is that recipe's business.
        let pin = locked.map(|locked| locked.pin).filter(|_| from.is_some()).or(manifest);
        if let Some(known) = self.found.borrow().get(&key)
            && agrees(known.pin, path.sha256)
            && pin.is_none_or(|pin| pin == known.pin)
        {
            return Ok(Rc::clone(known));
        }
        let found = match self.listed(path, &image, locked)? {
            Some(found) => found,
            None if self.checkout().env.locked
                && matches!(key, SourceKey::Fetch { .. } | SourceKey::Image { .. }) =>
            {
                return Err(Error::locked(target, vec![Reason::SourceAdded { key }]));
            }
            None => {
                let same = || self.same(&key, old).filter(|pin| agrees(*pin, path.sha256));
                self.read(path, image, locked.map(|locked| locked.pin).or_else(same))?
            }
        };
        let found = Rc::new(found);
        self.found.borrow_mut().insert(key, Rc::clone(&found));
        Ok(found)
    }

    /// What the lock lists, where what it was taken out of can't have changed.
    fn listed(
        &self,
        path: &SourcePath,
        image: &Option<Below>,
        locked: Option<&SourceLock>,
    ) -> Result<Option<Foreign>, Error> {
        let Some(locked) = locked else { return Ok(None) };
        let same = match (&path.key, locked.pin) {
            (SourceKey::Fetch { .. } | SourceKey::Image { .. }, Pin::File(_) | Pin::Image { .. }) => true,
            // It may have been made anew.
            (SourceKey::Files(_) | SourceKey::Input { .. }, Pin::File(pinned)) => {
                file_of(self.supply(), path)?.is_some_and(|file| file.is(pinned))
            }
            // Another one, when its parent came out otherwise.
            (SourceKey::Recipe { .. } | SourceKey::Base { .. }, Pin::File(pinned)) => {
                let manifest = image.as_ref().and_then(|image| image.manifest.as_ref());
                manifest.is_some_and(|(_, manifest)| *manifest == pinned)
            }
            (
                SourceKey::Files(_)
                | SourceKey::Input { .. }
                | SourceKey::Recipe { .. }
                | SourceKey::Base { .. },
                Pin::Image { .. },
            )
            | (_, Pin::None) => false,
        };
        let tree = locked.tree(&|content| self.checkout().committed.listing(content)).filter(|_| same);
        let image = image.clone();
        Ok(tree.map(|tree| Foreign { tree, pin: locked.pin, path: path.clone(), image }))
    }

    /// What the lock pins for another entry that takes from the same place: one URL is one file, one reference one image.
    fn same(&self, key: &SourceKey, old: Option<&Lock>) -> Option<Pin> {
        let from = Elsewhere::of(key)?;
        let is_same = |other: &SourceKey| Elsewhere::of(other).as_ref() == Some(&from);
        let base = |base: &BasePin| Pin::Image { index: base.index, manifest: base.index };
        let locked = old.and_then(|lock| {
            let source = lock.sources.iter().find(|source| is_same(&source.key)).map(|source| source.pin);
            let stood_on = || match &from {
                Elsewhere::Image(reference) => lock.pin(&BaseOrigin::Image(reference.clone())).map(base),
                Elsewhere::Url(_) => None,
            };
            source.or_else(stood_on)
        });
        let found = self.found.borrow();
        locked.or_else(|| found.iter().find(|(key, _)| is_same(key)).map(|(_, known)| known.pin))
    }

    fn read(&self, path: &SourcePath, image: Option<Below>, pin: Option<Pin>) -> Result<Foreign, Error> {
        let Read { tree, pin, contents } = self.materialise(path, image.as_ref(), pin, None)?;
        self.materialised.borrow_mut().insert(path.key.clone(), Rc::new(contents));
        Ok(Foreign { tree, pin, path: path.clone(), image })
    }

    /// The bytes of contents that only sources from elsewhere have.
    pub(crate) fn contents(&self, missing: &BTreeSet<Content>) -> Result<Contents, Error> {
        let mut contents = Contents::default();
        let all: Vec<Rc<Foreign>> = self.found.borrow().values().cloned().collect();
        for known in all {
            if known.contents().any(|content| missing.contains(&content) && !contents.has(&content)) {
                contents.extend((*self.ready(&known)?).clone());
            }
        }
        Ok(contents)
    }

    /// The bytes of one of them, read once.
    fn ready(&self, known: &Foreign) -> Result<Rc<Contents>, Error> {
        let Foreign { path, image, pin, tree } = known;
        if let Some(contents) = self.materialised.borrow().get(&path.key) {
            return Ok(Rc::clone(contents));
        }
        let read = self.materialise(path, image.as_ref(), Some(*pin), Some(tree));
        let read = read.map_err(|error| error.at(&path.at))?;
        if read.tree != *tree {
            return Err(Error::foreign(path.key.name(), "it holds something else than the lock says"));
        }
        let contents = Rc::new(read.contents);
        self.materialised.borrow_mut().insert(path.key.clone(), Rc::clone(&contents));
        Ok(contents)
    }

    /// Reads a source from elsewhere, whatever it takes; `listed` is what the lock says is in it.
    fn materialise(
        &self,
        path: &SourcePath,
        image: Option<&Below>,
        pin: Option<Pin>,
        listed: Option<&SourceTree>,
    ) -> Result<Read, Error> {
        let (upstream, supply) = (&self.upstream, self.supply());
        match &path.key {
            SourceKey::Fetch { url, portion } => {
                let pinned = match pin {
                    Some(Pin::File(content)) => Some(content),
                    _ => None,
                };
                let located = fetch(supply, url, pinned, path.sha256).map_err(|error| error.at(&path.at))?;
                if portion.unpack.is_empty() {
                    fetched(url, located)
                } else {
                    unpacked(supply, portion, path, located, listed)
                }
            }
            SourceKey::Files(Files { portion, .. }) | SourceKey::Input { portion, .. }
                if !portion.unpack.is_empty() =>
            {
                let why = "only one file can be unpacked, and it names none or several";
                let missing = || Error::foreign(path.key.name(), why);
                let located = file_of(supply, path)?.ok_or_else(missing)?;
                unpacked(supply, portion, path, located, listed)
            }
            SourceKey::Files(files) => {
                let scan = (*self.checkout().source_at(files, &path.at)?).clone();
                Ok(Read { tree: scan.tree, pin: Pin::None, contents: scan.contents })
            }
            SourceKey::Input { name, portion, .. } => {
                let scan = input_scan(self.checkout(), name, path, portion)?;
                Ok(Read { tree: scan.tree, pin: Pin::None, contents: scan.contents })
            }
            SourceKey::Image { reference, portion, platform, .. } => {
                of_image(upstream, path, (reference, platform), portion, pin)
            }
            SourceKey::Recipe { portion, .. } => of_recipe(upstream, path, portion, image),
            SourceKey::Base { path, recursive, .. } => of_base(upstream, path, *recursive, image),
        }
    }
}

/// The one file that a URL gave, by the last part of its path.
fn fetched(url: &str, located: Located) -> Result<Read, Error> {
    let name = url.split(['?', '#']).next().unwrap_or_default();
    let name = name.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("index.html");
    let (content, known) = located.content(url)?;
    let kept = SourceNode::Kept { kind: Kind::File(content), attributes: Attributes::new(0o644) };
    let nodes = BTreeMap::from([(TreePath::root().join(name.as_bytes()), kept)]);
    let mut contents = Contents::default();
    contents.put_file(content, located.path, known);
    Ok(Read { tree: SourceTree { single: true, nodes }, pin: Pin::File(content), contents })
}

/// Whether what is pinned is what the recipe says, if it says something.
fn agrees(pin: Pin, sha256: Option<Digest>) -> bool {
    match (pin, sha256) {
        (Pin::File(content), Some(digest)) => content.digest == digest,
        _ => true,
    }
}
