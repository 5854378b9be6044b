//! Sources that aren't files of the checkout: fetched, unpacked, made elsewhere, taken out of images.
//!
//! Owns what the lock pins of them, and that their bytes are read only when a layer has to be made: what is in them is
//! listed in the lock. Nobody's word is taken for that: each listing was once compared with what it is of, and the store has a
//! witness of that, or it is compared now. What an archive holds goes through one temporary file of the
//! store, never into a tree on the disk.

mod archive;
mod elsewhere;
mod foreign;
mod image;
mod input;
mod portion;
mod read;
mod remembered;
mod watch;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

pub(crate) use elsewhere::Elsewhere;
pub(crate) use foreign::Foreign;

use self::archive::unpacked;
use self::foreign::differs;
use self::image::{of_base, of_image, of_recipe};
use self::input::{file_of, input_scan, is_away, vendored_archive, vendored_input};
pub(crate) use self::input::{input_files, is_given, lies};
use self::read::{Read, Secrets};
use self::remembered::Remembered;
use self::watch::SEARCHED;
use crate::digest::Digest;
use crate::disk;
use crate::lock::{BaseOrigin, BasePin, Lock, Pin, Reason, SourceLock};
use crate::recipe::{SourcePath, secrets_in};
use crate::store::{Realisation, Store};
use crate::tree::{Attributes, Content, Files, Kind, SourceKey, SourceNode, SourceTree, TreePath};
use crate::work::Error;
use crate::work::bytes::Supply;
use crate::work::checkout::Checkout;
use crate::work::fetch::Located;
use crate::work::upstream::{Below, Upstream, refreshes};
use crate::workspace::{Contents, Target};

/// Everything that recipes take their bytes from.
pub(crate) struct Sources<'a> {
    pub(crate) upstream: Upstream<'a>,
    found: RefCell<BTreeMap<SourceKey, Rc<Foreign>>>,
    /// Those whose bytes are at hand.
    materialised: RefCell<BTreeMap<SourceKey, Rc<Ready>>>,
}

/// What was read of a source.
struct Ready {
    contents: Contents,
    secrets: Secrets,
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
        let found = match self.listed(path, &image, locked, old)? {
            Some(listed) if self.reads_anew(&listed)? => self.relisted(path, image, listed)?,
            Some(listed) => listed,
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
        old: Option<&Lock>,
    ) -> Result<Option<Foreign>, Error> {
        let Some(locked) = locked else { return Ok(None) };
        let away = is_away(self.checkout(), path)?;
        let same = away
            || match (&path.key, locked.pin) {
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
        let tree = match (old, locked.pin) {
            (Some(old), Pin::None) if away => {
                Remembered::of(self.supply(), old)?.tree(self.supply(), locked)?
            }
            _ => locked.tree(&|content| self.checkout().committed.listing(content)).filter(|_| same),
        };
        if let (SourceKey::Fetch { url, portion }, Pin::File(pinned), Some(tree)) =
            (&path.key, locked.pin, &tree)
            && portion.unpack.is_empty()
            && *tree != fetched_tree(url, pinned)?
        {
            // That can be told without the file.
            let asks = &self.checkout().asks;
            return if asks.thorough && !asks.fresh_facts { Ok(None) } else { Err(differs(path)) };
        }
        let (path, image) = (path.clone(), image.clone());
        Ok(tree.map(|tree| Foreign::listed(tree, locked, path, image).away(away)))
    }

    /// Whether a listing is compared with what it is of before anything is made of it: where a lock is to be made anew or its
    /// facts are to be verified, and the store doesn't know better.
    fn reads_anew(&self, listed: &Foreign) -> Result<bool, Error> {
        let asks = &self.checkout().asks;
        Ok(asks.fresh_facts || (asks.thorough && !listed.away && !self.is_witnessed(listed)?))
    }

    /// What a source holds now, in place of a listing that says something else, unless that is to be reported.
    fn relisted(&self, path: &SourcePath, image: Option<Below>, listed: Foreign) -> Result<Foreign, Error> {
        let fresh = self.checkout().asks.fresh_facts;
        let found = match self.read(path, image, Some(listed.pin)) {
            // As with the facts: a complete lock builds without the base's layers.
            Err(Error::Absent { .. }) if listed.is_of_base() && !fresh => return Ok(listed),
            found => found?,
        };
        let same = found.tree == listed.tree && found.pin == listed.pin;
        if fresh && !same { Err(differs(path)) } else { Ok(found) }
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
        let Read { tree, pin, contents, secrets } = self.materialise(path, image.as_ref(), pin, None)?;
        self.materialised.borrow_mut().insert(path.key.clone(), Rc::new(Ready { contents, secrets }));
        Ok(Foreign::read(tree, pin, path.clone(), image))
    }

    /// A file of a source that seems to hold a secret, as people name it, and of which kind; of what this command has read.
    pub(crate) fn secret(&self, key: &SourceKey) -> Option<(String, &'static str)> {
        let ready = self.materialised.borrow().get(key).cloned()?;
        let (path, kind) = ready.secrets.iter().next()?;
        let single = self.found.borrow().get(key).is_some_and(|known| known.tree.single);
        let name = if single { key.name().to_owned() } else { format!("{}{path}", key.name()) };
        Some((name, kind))
    }

    /// The bytes of a source that this command has read.
    pub(crate) fn at_hand(&self, key: &SourceKey) -> Option<Contents> {
        self.materialised.borrow().get(key).map(|ready| ready.contents.clone())
    }

    /// The bytes of contents that only sources from elsewhere have.
    pub(crate) fn contents(&self, missing: &BTreeSet<Content>) -> Result<Contents, Error> {
        let mut contents = Contents::default();
        let all: Vec<Rc<Foreign>> = self.found.borrow().values().cloned().collect();
        for known in all {
            if known.contents().any(|content| missing.contains(&content) && !contents.has(&content)) {
                contents.extend(self.ready(&known)?.contents.clone());
            }
        }
        Ok(contents)
    }

    /// The bytes of one of them, read once. They are what is listed.
    fn ready(&self, known: &Foreign) -> Result<Rc<Ready>, Error> {
        let Foreign { path, image, pin, tree, unread, away, .. } = known;
        if let Some(ready) = self.materialised.borrow().get(&path.key).filter(|_| !unread.get()) {
            return Ok(Rc::clone(ready));
        }
        // What the listing says of a file is believed where the listing can be.
        let listed = if self.is_witnessed(known)? { Some(tree) } else { None };
        let read = match vendored_input(self.supply(), path, tree)? {
            Some(contents) if *away && *pin == Pin::None => {
                Ok(Read { tree: tree.clone(), pin: *pin, contents, secrets: Secrets::new() })
            }
            _ => self.materialise(path, image.as_ref(), Some(*pin), listed),
        };
        let read = read.map_err(|error| error.at(&path.at))?;
        if read.tree != *tree || read.pin != *pin {
            return Err(differs(path));
        }
        unread.set(false);
        let ready = Rc::new(Ready { contents: read.contents, secrets: read.secrets });
        self.materialised.borrow_mut().insert(path.key.clone(), Rc::clone(&ready));
        Ok(ready)
    }

    /// Whether the store knows that a source holds what is listed.
    fn is_witnessed(&self, known: &Foreign) -> Result<bool, Error> {
        Ok(known.witness().is_none() || self.witnessed_with(known)?.is_some())
    }

    /// The blob as long as which the store knows it.
    fn witnessed_with(&self, known: &Foreign) -> Result<Option<Digest>, Error> {
        let Some(witness) = known.witness() else { return Ok(None) };
        Ok(self.supply().store()?.realisation(witness)?.map(|witnessed| witnessed.digest))
    }

    /// Makes sure that a source that images were made with holds what is listed, and remembers it as long as the store has
    /// what `made` tells of these contents: a layer that has them; nothing is to be done while it has one that `stays`. What
    /// entries change in a base is known as its facts are: committed, and compared when a lock is made or these are verified.
    pub(crate) fn bind(
        &self,
        key: &SourceKey,
        stays: impl Fn(&Digest) -> bool,
        made: impl FnOnce(&BTreeSet<Content>) -> Option<Content>,
    ) -> Result<(), Error> {
        let known = self.found.borrow().get(key).cloned();
        let Some((known, witness)) = known.and_then(|known| Some((Rc::clone(&known), known.witness()?)))
        else {
            return Ok(());
        };
        let with = self.witnessed_with(&known)?;
        if (known.unread.get() && known.is_of_base()) || with.as_ref().is_some_and(stays) {
            return Ok(());
        }
        // Nobody can look: that it is what images were made of is what the lock says.
        if known.away && known.unread.get() {
            return Ok(());
        }
        if with.is_none() && known.unread.get() {
            self.ready(&known)?;
        }
        // No guard has looked at it: whoever believes the listing would never see what is in it.
        if with.is_none() && self.checkout().env.locked && self.secret(key).is_some() {
            return Ok(());
        }
        if let Some(Content { digest, size }) = made(&known.contents().collect()) {
            self.supply().transaction()?.realisation(witness, Realisation { digest, size, diff_id: None })?;
        }
        Ok(())
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
                if portion.unpack.is_empty() {
                    // Before anybody is asked.
                    file_name(url)?;
                }
                let pinned = match pin {
                    Some(Pin::File(content)) => Some(content),
                    _ => None,
                };
                let located = supply.fetch(url, pinned, path.sha256).map_err(|error| error.at(&path.at))?;
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
                let located = match vendored_archive(supply, path, pin)? {
                    Some(located) => located,
                    None => file_of(supply, path)?.ok_or_else(missing)?,
                };
                unpacked(supply, portion, path, located, listed)
            }
            SourceKey::Files(files) => {
                let scan = (*self.checkout().source_at(files, &path.at)?).clone();
                Ok(Read { tree: scan.tree, pin: Pin::None, contents: scan.contents, secrets: scan.secrets })
            }
            SourceKey::Input { name, portion, .. } => {
                let scan = input_scan(self.checkout(), name, path, portion)?;
                Ok(Read { tree: scan.tree, pin: Pin::None, contents: scan.contents, secrets: scan.secrets })
            }
            SourceKey::Image { reference, portion, platform, .. } => {
                of_image(upstream, path, (reference, platform), portion, pin)
            }
            SourceKey::Recipe { portion, .. } => of_recipe(upstream, path, portion, image),
            SourceKey::Base { path, recursive, .. } => of_base(upstream, path, *recursive, image),
        }
    }
}

/// The one file that a URL gave.
fn fetched(url: &str, located: Located) -> Result<Read, Error> {
    let (content, known) = located.content(url)?;
    let tree = fetched_tree(url, content)?;
    let mut secrets = Secrets::new();
    if content.size <= SEARCHED as u64
        && let Some(kind) = secrets_in(&disk::read(&located.path, SEARCHED as u64)?)
    {
        secrets.extend(tree.nodes.keys().map(|path| (path.clone(), kind)));
    }
    let mut contents = Contents::default();
    contents.put_file(content, located.path, known);
    Ok(Read { tree, pin: Pin::File(content), contents, secrets })
}

/// What a file that is fetched is.
fn fetched_tree(url: &str, content: Content) -> Result<SourceTree, Error> {
    let kept = SourceNode::Kept { kind: Kind::File(content), attributes: Attributes::new(0o644) };
    Ok(SourceTree { single: true, nodes: BTreeMap::from([(file_name(url)?, kept)]) })
}

/// The name of a file that is fetched: the last part of its URL's path.
fn file_name(url: &str) -> Result<TreePath, Error> {
    let name = url.split(['?', '#']).next().unwrap_or_default();
    let name = name.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("index.html");
    let wrong = || Error::foreign(url, format!("{name:?}, its last part, can't be the name of a file"));
    TreePath::root().child(name.as_bytes()).ok_or_else(wrong)
}

/// Whether what is pinned is what the recipe says, if it says something.
fn agrees(pin: Pin, sha256: Option<Digest>) -> bool {
    match (pin, sha256) {
        (Pin::File(content), Some(digest)) => content.digest == digest,
        _ => true,
    }
}
