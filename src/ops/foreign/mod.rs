//! Sources that aren't files of the checkout: fetched, unpacked, made elsewhere, taken out of images.
//!
//! Owns what the lock pins of them, and that their bytes are read only when a layer has to be made: what is in them is
//! listed in the lock. What an archive holds goes through one temporary file of the store, never into a tree on the disk.

mod fetch;
mod input;
pub(super) mod spool;
mod unpacked;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

use self::fetch::Known;
use super::base::{Below, image_origin, is_called};
use super::error::Error;
use super::images::{Documents, Take};
use super::reading::{OneImage, Reading};
use super::session::Session;
use crate::digest::Digest;
use crate::lock::{BaseOrigin, BasePin, Lock, Pin, Reason, SourceLock};
use crate::oci::{Document, Platform, Reference};
use crate::recipe::SourcePath;
use crate::tree::{Attributes, Content, Files, Kind, Portion, SourceKey, SourceNode, SourceTree, TreePath};
use crate::workspace::{Contents, Filter, Target};

/// Where `vendor` puts what was fetched.
pub(super) const VENDOR: &str = "vendor";

/// A source from elsewhere.
pub(super) struct Foreign {
    pub(super) tree: SourceTree,
    pub(super) pin: Pin,
    /// As a recipe names it.
    path: SourcePath,
    /// The image that it is in, where that is one of this workspace, or what a recipe stands on.
    image: Option<Below>,
}

impl Foreign {
    /// Whether it is in what a recipe stands on.
    pub(super) fn is_of_base(&self) -> bool {
        matches!(self.path.key, SourceKey::Base { .. })
    }

    /// The bytes that it has.
    pub(super) fn contents(&self) -> impl Iterator<Item = Content> {
        self.tree.nodes.values().filter_map(|node| match node {
            SourceNode::Kept { kind: Kind::File(content), .. } | SourceNode::File { content, .. } => {
                Some(*content)
            }
            _ => None,
        })
    }
}

impl Session<'_> {
    /// What a source holds: as the lock has it, or read now.
    pub(super) fn foreign(
        &self,
        target: &Target,
        path: &SourcePath,
        image: Option<Below>,
        old: Option<&Lock>,
    ) -> Result<Rc<Foreign>, Error> {
        let key = path.key.clone();
        let manifest = image.as_ref().and_then(|image| Some(Pin::File(image.manifest.as_ref()?.1)));
        let refreshed = path.sha256.is_none()
            && upstream(&key).is_some_and(|from| self.refreshes(|name| from.is_called(name)));
        let old = old.filter(|_| !refreshed);
        let locked = old.and_then(|lock| lock.sources.iter().find(|source| source.key == key));
        let locked = locked.filter(|locked| agrees(locked.pin, path.sha256));
        // What another recipe's lock says of the same URL or image is that recipe's business.
        let pin = locked.map(|locked| locked.pin).filter(|_| upstream(&key).is_some()).or(manifest);
        if let Some(known) = self.foreigners.borrow().get(&key)
            && agrees(known.pin, path.sha256)
            && pin.is_none_or(|pin| pin == known.pin)
        {
            return Ok(Rc::clone(known));
        }
        let found = match self.listed(path, &image, locked)? {
            Some(found) => found,
            None if self.env.locked && matches!(key, SourceKey::Fetch { .. } | SourceKey::Image { .. }) => {
                return Err(self.locked(target, vec![Reason::SourceAdded { key }]));
            }
            None => {
                let same = || self.same(&key, old).filter(|pin| agrees(*pin, path.sha256));
                self.read_foreign(path, image, locked.map(|locked| locked.pin).or_else(same))?
            }
        };
        let found = Rc::new(found);
        self.foreigners.borrow_mut().insert(key, Rc::clone(&found));
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
            (SourceKey::Files(_) | SourceKey::Input { .. }, Pin::File(pinned)) => self
                .file_of(path)?
                .is_some_and(|file| matches!(file.content, Known::Content(own) if own == pinned)),
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
        let tree = locked.tree(&|content| self.listing(content)).filter(|_| same);
        let image = image.clone();
        Ok(tree.map(|tree| Foreign { tree, pin: locked.pin, path: path.clone(), image }))
    }

    /// What the lock pins for another entry that takes from the same place: one URL is one file, one reference one image.
    fn same(&self, key: &SourceKey, old: Option<&Lock>) -> Option<Pin> {
        let from = upstream(key)?;
        let is_same = |other: &SourceKey| upstream(other).as_ref() == Some(&from);
        let base = |base: &BasePin| Pin::Image { index: base.index, manifest: base.index };
        let locked = old.and_then(|lock| {
            let source = lock.sources.iter().find(|source| is_same(&source.key)).map(|source| source.pin);
            let stood_on = || match &from {
                Upstream::Image(reference) => lock.pin(&BaseOrigin::Image(reference.clone())).map(base),
                Upstream::Url(_) => None,
            };
            source.or_else(stood_on)
        });
        let session = self.foreigners.borrow();
        locked.or_else(|| session.iter().find(|(key, _)| is_same(key)).map(|(_, known)| known.pin))
    }

    fn read_foreign(
        &self,
        path: &SourcePath,
        image: Option<Below>,
        pin: Option<Pin>,
    ) -> Result<Foreign, Error> {
        let (tree, pin, contents) = self.materialise(path, image.as_ref(), pin, None)?;
        self.materialised.borrow_mut().insert(path.key.clone(), Rc::new(contents));
        Ok(Foreign { tree, pin, path: path.clone(), image })
    }

    /// The bytes of contents that only sources from elsewhere have.
    pub(super) fn foreign_contents(&self, missing: &BTreeSet<Content>) -> Result<Contents, Error> {
        let mut found = Contents::default();
        let all: Vec<_> =
            self.foreigners.borrow().iter().map(|(key, known)| (key.clone(), Rc::clone(known))).collect();
        for (key, known) in all {
            if !known.contents().any(|content| missing.contains(&content) && !found.has(&content)) {
                continue;
            }
            let ready = self.materialised.borrow().get(&key).map(Rc::clone);
            let contents = match ready {
                Some(contents) => contents,
                None => {
                    let Foreign { path, image, pin, tree } = &*known;
                    let read = self.materialise(path, image.as_ref(), Some(*pin), Some(tree));
                    let (tree, _, contents) = read.map_err(|error| error.at(&path.at))?;
                    if tree != known.tree {
                        let name = known.path.key.name().to_owned();
                        return Err(Error::Foreign {
                            name,
                            why: "it holds something else than the lock says".into(),
                        });
                    }
                    let contents = Rc::new(contents);
                    self.materialised.borrow_mut().insert(key, Rc::clone(&contents));
                    contents
                }
            };
            found.extend((*contents).clone());
        }
        Ok(found)
    }

    /// Reads a source from elsewhere, whatever it takes; `listed` is what the lock says is in it.
    fn materialise(
        &self,
        path: &SourcePath,
        image: Option<&Below>,
        pin: Option<Pin>,
        listed: Option<&SourceTree>,
    ) -> Result<(SourceTree, Pin, Contents), Error> {
        let pinned = match pin {
            Some(Pin::File(content)) => Some(content),
            _ => None,
        };
        match &path.key {
            SourceKey::Fetch { url, portion } => {
                let located = self.fetch(url, pinned, path.sha256)?;
                if !portion.unpack.is_empty() {
                    return self.unpacked(portion, path, located, listed);
                }
                let name = url.split(['?', '#']).next().unwrap_or_default();
                let name = name.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("index.html");
                let content = located.content(url)?;
                let kept = SourceNode::Kept { kind: Kind::File(content), attributes: Attributes::new(0o644) };
                let nodes = BTreeMap::from([(TreePath::root().join(name.as_bytes()), kept)]);
                let mut contents = Contents::default();
                contents.put_file(content, located.path);
                Ok((SourceTree { single: true, nodes }, Pin::File(content), contents))
            }
            SourceKey::Files(Files { portion, .. }) | SourceKey::Input { portion, .. }
                if !portion.unpack.is_empty() =>
            {
                let missing = || Error::Foreign {
                    name: path.key.name().to_owned(),
                    why: "only one file can be unpacked, and it names none or several".into(),
                };
                let located = self.file_of(path)?.ok_or_else(missing)?;
                self.unpacked(portion, path, located, listed)
            }
            SourceKey::Files(files) => {
                let scan = (*self.source_at(files, &path.at)?).clone();
                Ok((scan.tree, Pin::None, scan.contents))
            }
            SourceKey::Input { name, portion, .. } => {
                let scan = self.input_scan(name, path, portion)?;
                Ok((scan.tree, Pin::None, scan.contents))
            }
            SourceKey::Image { reference, portion, platform, .. } => {
                self.of_image(path, (reference, platform), portion, pin)
            }
            SourceKey::Recipe { portion, .. } => {
                Self::of_other(image, |image| self.existing(image, path, portion))
            }
            SourceKey::Base { path, recursive, .. } => Self::of_other(image, |image| {
                let take = Take::Place { recursive: *recursive };
                Ok(self.taken_out(image, path, &take)?.unwrap_or_default())
            }),
        }
    }

    /// A path of another image, pinned as a base is.
    fn of_image(
        &self,
        path: &SourcePath,
        (reference, platform): (&str, &str),
        portion: &Portion,
        pin: Option<Pin>,
    ) -> Result<(SourceTree, Pin, Contents), Error> {
        let origin = image_origin(reference)?;
        let mut reading = Reading::new(self, &origin);
        let descriptor = match pin {
            Some(Pin::Image { index, .. }) => reading.pinned(&index)?,
            _ => self.resolve(&origin)?,
        };
        let index = Content { digest: descriptor.digest, size: descriptor.size };
        let document = reading.document(&descriptor, "the index")?;
        let document = Document::parse(&document, &descriptor.media_type);
        let document = document.map_err(|source| reading.wrong_in(descriptor.digest, source))?;
        let platform: Platform = platform.parse()?;
        let found = reading.image(&descriptor, &document, &platform)?.map_err(|have| Error::NoPlatform {
            recipe: path.at.directory().trim_start_matches("recipes/").to_owned(),
            base: origin.to_string(),
            platform: platform.short(),
            have,
        })?;
        reading.check(&found)?;
        let OneImage { child, manifest, config } = found;
        let image = Documents { origin: &origin, manifest: &manifest, config: &config };
        let (tree, contents) = self.existing(&image, path, portion)?;
        let manifest = Content { digest: child.digest, size: child.size };
        Ok((tree, Pin::Image { index, manifest }, contents))
    }

    /// A path of another recipe's image, or of what a recipe stands on.
    fn of_other(
        image: Option<&Below>,
        read: impl FnOnce(&Documents<'_>) -> Result<(SourceTree, Contents), Error>,
    ) -> Result<(SourceTree, Pin, Contents), Error> {
        // From scratch there is nothing.
        let Some((below, (manifest, content))) =
            image.and_then(|below| Some((below, below.manifest.as_ref()?)))
        else {
            return Ok((SourceTree::default(), Pin::None, Contents::default()));
        };
        let origin = below.origin.clone().unwrap_or_else(|| BaseOrigin::Layout(String::new()));
        let image = Documents { origin: &origin, manifest, config: &below.config };
        let (tree, contents) = read(&image)?;
        Ok((tree, Pin::File(*content), contents))
    }

    fn existing(
        &self,
        image: &Documents<'_>,
        path: &SourcePath,
        portion: &Portion,
    ) -> Result<(SourceTree, Contents), Error> {
        let name = format!("{} of {}", path.key.name(), path.place());
        let filter = filter(&name, portion)?;
        self.taken_out(image, path.key.name(), &Take::Tree(filter))?
            .ok_or(Error::Nowhere { name, made_by: None })
    }
}

/// What an entry takes of what is there.
fn filter(name: &str, portion: &Portion) -> Result<Filter, Error> {
    let wrong =
        |(pattern, fault)| Error::Foreign { name: name.to_owned(), why: format!("{pattern:?}: {fault}") };
    Filter::new(&portion.include, &portion.exclude).map_err(wrong)
}

/// What `update` asks anew: whoever is asked, it isn't this workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Upstream {
    Image(Reference),
    Url(String),
}

impl Upstream {
    /// Whether people mean it by `name`.
    pub(super) fn is_called(&self, name: &str) -> bool {
        match self {
            Self::Image(own) => is_called(&BaseOrigin::Image(own.clone()), name),
            Self::Url(own) => own == name,
        }
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image(reference) => reference.fmt(f),
            Self::Url(url) => f.write_str(url),
        }
    }
}

/// Where a source comes from, if from elsewhere; none for a text that is no reference, which reading it tells.
pub(super) fn upstream(key: &SourceKey) -> Option<Upstream> {
    match key {
        SourceKey::Fetch { url, .. } => Some(Upstream::Url(url.clone())),
        SourceKey::Image { reference, .. } => reference.parse().ok().map(Upstream::Image),
        SourceKey::Files(_) | SourceKey::Input { .. } | SourceKey::Recipe { .. } | SourceKey::Base { .. } => {
            None
        }
    }
}

/// Whether what is pinned is what the recipe says, if it says something.
fn agrees(pin: Pin, sha256: Option<Digest>) -> bool {
    match (pin, sha256) {
        (Pin::File(content), Some(digest)) => content.digest == digest,
        _ => true,
    }
}
