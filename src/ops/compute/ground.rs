//! What a recipe stands on and is made of: its variants, their bases, its sources; what the lock pins of them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;
use std::rc::Rc;

use super::{BaseName, Computed, Draft, Ground, Work, with_platform};
use crate::digest::Encoding;
use crate::disk;
use crate::lock::{BaseOrigin, BasePin, COMMITTED, Lock, Pin};
use crate::oci::Platform;
use crate::ops::base::{Below, Blobs, External, Wanted, origin, reason_of};
use crate::ops::error::Error;
use crate::ops::foreign::Foreign;
use crate::ops::session::parent_target;
use crate::plan::source_key;
use crate::recipe::{Base, Evaluated, SourcePath, Spanned};
use crate::tree::{Content, SourceKey, SourceKind, Sources};
use crate::workspace::{Contents, Target};

impl Work<'_, '_> {
    pub(super) fn drafts(
        &self,
        recipe: &crate::recipe::Recipe,
        seen: &mut Vec<Target>,
    ) -> Result<Vec<Draft>, Error> {
        let session = self.session;
        let mut found = Vec::new();
        for name in &session.file.variants {
            let recipe = recipe.variant(Encoding::V1, name).map_err(Error::Recipes)?;
            let base = recipe.base_reference(&session.scope(self.target)).map_err(Error::Recipes)?;
            let platforms = self.platforms(&recipe)?;
            found.push((name.clone(), recipe, base, platforms));
        }
        let mut externals: BTreeMap<BaseOrigin, Rc<External>> = BTreeMap::new();
        let mut drafts = Vec::new();
        for (name, recipe, base, platforms) in found.iter().cloned() {
            let ground = match (&base, origin(&base)) {
                (Base::Recipe(parent), _) => {
                    let parent = parent_target(&session.workspace, self.target, parent)?;
                    let parent = session.compute_within(&parent, seen);
                    Ground::Recipe(parent.map_err(|error| error.closes_circle(base.at()))?)
                }
                (_, Some(origin)) => match externals.get(&origin) {
                    Some(external) => Ground::External(Rc::clone(external)),
                    None => {
                        let external = self.external(&origin, &found);
                        let external = external.map_err(|error| error.at(base.at()))?;
                        externals.insert(origin, Rc::clone(&external));
                        Ground::External(external)
                    }
                },
                _ => Ground::Scratch,
            };
            let root = match &ground {
                Ground::Recipe(parent) => self.root_pin(parent, &name, &recipe, &platforms)?,
                _ => None,
            };
            let bare = recipe.is_bare() && !matches!(ground, Ground::Scratch);
            drafts.push(Draft { name, recipe, platforms, ground, root, bare });
        }
        Ok(drafts)
    }

    /// One external base for all variants that stand on it.
    fn external(
        &self,
        wanted: &BaseOrigin,
        found: &[(String, Evaluated, Base, Vec<Platform>)],
    ) -> Result<Rc<External>, Error> {
        let on_it = || found.iter().filter(|(_, _, base, _)| origin(base).as_ref() == Some(wanted));
        let mut platforms: Vec<Platform> = Vec::new();
        let mut removes: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (_, recipe, _, wants) in on_it() {
            for platform in wants {
                if !platforms.iter().any(|known| known.matches(platform)) {
                    platforms.push(platform.clone());
                }
                let patterns = removes.entry(platform.short()).or_default();
                patterns.extend(self.patterns(recipe, platform)?);
                patterns.sort();
                patterns.dedup();
            }
        }
        let want = Wanted {
            recipe: &self.target.to_string(),
            origin: wanted.clone(),
            platforms: &platforms,
            removes: &removes,
            lenient: on_it().all(|(_, recipe, _, _)| recipe.is_bare() && recipe.image.platforms.is_none()),
        };
        self.session.external(&want, self.old).map_err(|error| self.as_reason(error, wanted))
    }

    /// The patterns of `[[remove]]`. They can't be known with `base.env` in them before the base is: those are
    /// matched when the base is.
    pub(super) fn patterns(&self, recipe: &Evaluated, platform: &Platform) -> Result<Vec<String>, Error> {
        let scope = with_platform(self.session.scope(self.target), platform);
        recipe.remove_patterns(&scope).map_err(Error::Recipes)
    }

    pub(super) fn platforms(&self, recipe: &Evaluated) -> Result<Vec<Platform>, Error> {
        Ok(recipe.platforms(&self.session.file.platforms)?)
    }

    pub(super) fn pin(&self, drafts: &[Draft], lock: &mut Lock, blobs: &mut Blobs) {
        for draft in drafts {
            if let Ground::Recipe(parent) = &draft.ground
                && let Some(variant) = parent.variants.get(&draft.name)
            {
                let outputs = lock.parents.entry(parent.target.to_string()).or_default();
                outputs.insert(draft.name.clone(), variant.descriptor.digest);
            }
            let own = match &draft.ground {
                Ground::External(external) => Some(external),
                _ => draft.root.as_ref(),
            };
            let Some(external) = own else { continue };
            blobs.extend(external.blobs.clone());
            match lock.bases.iter_mut().find(|pin| pin.origin == external.pin.origin) {
                Some(pin) => {
                    pin.variants.push(draft.name.clone());
                    join(pin, &external.pin);
                }
                None => {
                    let variants = vec![draft.name.clone()];
                    lock.bases.push(BasePin { variants, ..external.pin.clone() });
                }
            }
        }
        for pin in lock.bases.iter_mut().filter(|pin| pin.variants.len() == drafts.len()) {
            pin.variants.clear();
        }
    }

    /// The external base below a parent, pinned as the parent has it, with what this recipe's patterns match in it.
    /// None where there is no such base or no pattern: then the parent's pin is enough.
    fn root_pin(
        &self,
        parent: &Computed,
        variant: &str,
        recipe: &Evaluated,
        platforms: &[Platform],
    ) -> Result<Option<Rc<External>>, Error> {
        let Some(root) = parent.variants.get(variant).and_then(|variant| variant.root.as_ref()) else {
            return Ok(None);
        };
        let mut removes = BTreeMap::new();
        for platform in platforms {
            let mut patterns = self.patterns(recipe, platform)?;
            let images = parent.variants.get(variant).map(|variant| &variant.images);
            let image = images.and_then(|images| images.get(&platform.short()));
            if let Some(image) = image.filter(|_| !patterns.is_empty()) {
                let below = image.stand(&parent.target)?;
                patterns.iter_mut().for_each(|pattern| *pattern = below.pattern_in_base(pattern));
            }
            removes.insert(platform.short(), patterns);
        }
        if removes.values().all(Vec::is_empty) {
            return Ok(None);
        }
        let mut pin = root.pin.clone();
        let known = self.old.and_then(|lock| lock.pin(&pin.origin));
        for (platform, pin) in &mut pin.platforms {
            let known = known.and_then(|known| known.platforms.get(platform));
            let known = known.filter(|known| known.manifest == pin.manifest);
            pin.removed = known.map(|known| known.removed.clone()).unwrap_or_default();
        }
        let want = Wanted {
            recipe: &self.target.to_string(),
            origin: pin.origin.clone(),
            platforms,
            removes: &removes,
            lenient: false,
        };
        let pinned = Lock { bases: vec![pin], ..Lock::default() };
        let external = self.session.pinned_external(&want, &pinned);
        external.map(Some).map_err(|error| self.as_reason(error, &want.origin))
    }

    /// With `--locked`, what a base lacks is a reason among others.
    fn as_reason(&self, error: Error, origin: &BaseOrigin) -> Error {
        match reason_of(&error, origin) {
            Some(reason) if self.session.env.locked => self.session.locked(self.target, vec![reason]),
            _ => error,
        }
    }

    /// The image of this workspace that a source is in, or what the variant stands on.
    fn image_of(
        &self,
        path: &SourcePath,
        draft: &Draft,
        platform: &Platform,
        seen: &mut Vec<Target>,
    ) -> Result<Option<Below>, Error> {
        if path.kind == SourceKind::Base {
            return self.below(draft, platform);
        }
        if path.kind != SourceKind::Recipe {
            return Ok(None);
        }
        let (name, variant) = path.directory.split_once('#').unwrap_or((&path.directory, ""));
        let name = Spanned { value: name.to_owned(), at: path.at.clone() };
        let other = parent_target(&self.session.workspace, self.target, &name)?;
        let other = self.session.compute_within(&other, seen);
        let other = other.map_err(|error| error.closes_circle(&path.at))?;
        let images = other.variants.get(variant).map(|variant| &variant.images);
        match images.and_then(|images| images.get(&platform.short())) {
            Some(image) => image.stand(&other.target).map(Some),
            None => Err(Error::NoPlatform {
                recipe: self.target.to_string(),
                base: other.target.to_string(),
                platform: platform.short(),
                have: images.into_iter().flat_map(|images| images.keys().cloned()).collect(),
            }),
        }
    }

    /// The bytes that the plan needs. What is small of a base is committed: then it is changed without the base's layers.
    fn read_now(&self, foreign: &Foreign, contents: &mut Contents, blobs: &mut Blobs) -> Result<(), Error> {
        let small = |content: &Content| foreign.is_of_base() && content.size <= COMMITTED;
        let mut wanted = BTreeSet::new();
        for content in foreign.contents() {
            match self.session.committed(&content, COMMITTED).ok().flatten().filter(|_| small(&content)) {
                Some(bytes) => {
                    contents.put_bytes(content, &bytes);
                    blobs.insert(content.digest, bytes);
                }
                None => drop(wanted.insert(content)),
            }
        }
        if wanted.is_empty() {
            return Ok(());
        }
        let read = self.session.foreign_contents(&wanted)?;
        for content in wanted.iter().filter(|content| small(content)) {
            let mut bytes = Vec::new();
            read.open(content)?
                .read_to_end(&mut bytes)
                .map_err(disk::failed("read", Path::new("a temporary file")))?;
            if Content::of(&bytes) == *content {
                blobs.insert(content.digest, bytes.into());
            }
        }
        contents.extend(read);
        Ok(())
    }

    pub(super) fn sources(
        &self,
        drafts: &[Draft],
        seen: &mut Vec<Target>,
        blobs: &mut Blobs,
        warnings: &mut Vec<String>,
    ) -> Result<(Sources, Contents, BTreeMap<SourceKey, Pin>), Error> {
        let mut pins = BTreeMap::new();
        let bits = self.session.workspace.has_executable_bits();
        let (mut sources, mut contents) = (Sources::new(), Contents::default());
        for draft in drafts {
            for platform in &draft.platforms {
                let scope = with_platform(self.session.scope(self.target), platform);
                for mut path in draft.recipe.source_paths(&scope).map_err(Error::Recipes)? {
                    if path.kind == SourceKind::Base {
                        path.directory = base_key(draft);
                    }
                    let key = source_key(&path);
                    if sources.contains_key(&key) {
                        continue;
                    }
                    if !key.is_plain() {
                        let image = self.image_of(&path, draft, platform, seen)?;
                        let foreign = self.session.foreign(self.target, &path, image, self.old);
                        let foreign = foreign.map_err(|error| error.at(&path.at))?;
                        if path.read {
                            self.read_now(&foreign, &mut contents, blobs)?;
                        }
                        pins.insert(key.clone(), foreign.pin);
                        sources.insert(key, foreign.tree.clone());
                        continue;
                    }
                    let scan = self.session.source_at(&key, &path.at)?;
                    contents.extend(scan.contents.clone());
                    for (one, other) in &scan.same_folded {
                        let text =
                            format!("{}: {one} and {other} are one name where case doesn't count", key.from);
                        warnings.push(text);
                    }
                    let mut tree = scan.tree.clone();
                    let locked =
                        self.old.and_then(|lock| lock.sources.iter().find(|source| source.key == key));
                    if let (false, Some(locked)) = (bits, locked) {
                        locked.restore_bits(&mut tree, &|content| self.session.listing(content));
                    }
                    sources.insert(key, tree);
                }
            }
        }
        Ok((sources, contents, pins))
    }
}

/// What a variant stands on, as sources in it are named.
pub(super) fn base_key(draft: &Draft) -> String {
    match &draft.ground {
        Ground::Recipe(parent) => format!("{}#{}", parent.target, draft.name),
        _ => base_name(draft).text,
    }
}

/// Two variants may stand on one base for different platforms, and take different things away.
fn join(pin: &mut BasePin, other: &BasePin) {
    for (platform, other) in &other.platforms {
        match pin.platforms.get_mut(platform) {
            Some(own) => own.removed.extend(other.removed.clone()),
            None => drop(pin.platforms.insert(platform.clone(), other.clone())),
        }
    }
}

pub(super) fn base_name(draft: &Draft) -> BaseName {
    match &draft.ground {
        Ground::Scratch => BaseName { text: "scratch".into(), digest: None, origin: None },
        Ground::External(external) => BaseName {
            text: external.pin.origin.to_string(),
            digest: Some(external.pin.index.digest),
            origin: Some(external.pin.origin.clone()),
        },
        Ground::Recipe(parent) => {
            let variant = parent.variants.get(&draft.name);
            BaseName {
                text: parent.target.to_string(),
                digest: variant.map(|variant| variant.descriptor.digest),
                origin: variant.and_then(|variant| variant.base.origin.clone()),
            }
        }
    }
}
