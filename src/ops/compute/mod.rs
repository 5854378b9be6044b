//! What a recipe becomes: its images, its indexes and the lock that says so. The heart of `build`, `lock` and
//! `update`, which differ in what they do with the result.
//!
//! Owns the order of work: parents first, then pins, sources, the plan of all variants together, layers, images,
//! indexes, the new lock. Writes to the transaction only; nothing is seen by others before it is committed.

mod asked;
mod earlier;
mod ground;
mod make;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::rc::Rc;

use crate::digest::{Digest, Encoding};
use crate::image;
use crate::layer::facts::Facts;
use crate::lock::{self, BaseOrigin, ImageOutput, Lock, Output, Reason, SourceLock, State};
use crate::oci::{Descriptor, Document, DocumentError, ImageConfig, Platform};
use crate::ops::base::{Below, Blobs, External, volumes};
use crate::ops::error::{Error, LockedRecipe};
use crate::ops::session::{OldLock, Session, circle};
use crate::recipe::{self, Evaluated, Resolved, Scope};
use crate::tree::{Content, FileTree, SourceKey, SourceKind};
use crate::workspace::{Target, differs_by_crlf_only};

/// A recipe, computed.
pub(in crate::ops) struct Computed {
    pub(in crate::ops) target: Target,
    /// Boxed, as their images are: a map makes room for eleven.
    pub(in crate::ops) variants: BTreeMap<String, Box<Variant>>,
    /// The lock that was found.
    pub(in crate::ops) old: Option<Lock>,
    /// The lock that says what came out.
    pub(in crate::ops) lock: Lock,
    /// What the old one doesn't say, or says otherwise.
    pub(in crate::ops) reasons: Vec<Reason>,
    /// For `lockfiles/blobs`.
    pub(in crate::ops) blobs: Blobs,
    pub(in crate::ops) warnings: Vec<String>,
    /// Inputs that no lock has.
    pub(in crate::ops) open: Vec<String>,
}

/// One variant of a recipe.
pub(in crate::ops) struct Variant {
    /// The index, or upstream's descriptor.
    pub(in crate::ops) descriptor: Descriptor,
    /// By the platform's short name.
    pub(in crate::ops) images: BTreeMap<String, Box<Image>>,
    pub(in crate::ops) resolved: Option<Resolved>,
    pub(in crate::ops) base: BaseName,
    /// The external base at the bottom.
    root: Option<Rc<External>>,
    pub(in crate::ops) tags: Vec<String>,
}

/// What a variant stands on, for people.
#[derive(Debug, Clone)]
pub(in crate::ops) struct BaseName {
    pub(in crate::ops) text: String,
    pub(in crate::ops) digest: Option<Digest>,
    pub(in crate::ops) origin: Option<BaseOrigin>,
}

/// One platform of a variant.
pub(in crate::ops) struct Image {
    pub(in crate::ops) descriptor: Descriptor,
    /// The recipe's own layers, lowest first.
    pub(in crate::ops) layers: Vec<Made>,
    /// What it stands on itself.
    pub(in crate::ops) below: Below,
    /// Nothing where a bare recipe passes its base's through.
    own: Option<image::Image>,
    /// What is known below, with the users that this recipe adds.
    users: Option<Rc<Facts>>,
}

/// A layer that is in the store, or will be.
#[derive(Debug, Clone)]
pub(in crate::ops) struct Made {
    pub(in crate::ops) layer: image::Layer,
    pub(in crate::ops) tree: Rc<FileTree>,
    /// It was compressed by this command.
    pub(in crate::ops) fresh: bool,
}

/// One variant, read and interpolated as far as its base allows.
struct Draft {
    name: String,
    recipe: Evaluated,
    platforms: Vec<Platform>,
    ground: Ground,
    /// What `[[remove]]` patterns match in the external base below a parent recipe: this recipe's own pin of it.
    root: Option<Rc<External>>,
    bare: bool,
}

enum Ground {
    Scratch,
    External(Rc<External>),
    Recipe(Rc<Computed>),
}

impl Session<'_> {
    /// Computes a recipe, and those that it stands on before it.
    pub(in crate::ops) fn compute(&self, target: &Target) -> Result<Rc<Computed>, Error> {
        self.compute_within(target, &mut Vec::new())
    }

    fn compute_within(&self, target: &Target, seen: &mut Vec<Target>) -> Result<Rc<Computed>, Error> {
        if let Some(done) = self.computed.borrow().get(target) {
            return Ok(Rc::clone(done));
        }
        circle(target, seen)?;
        let OldLock { lock: old, reason } = self.old_lock(target)?;
        if let (true, Some(reason)) = (self.env.locked, &reason) {
            return Err(self.locked(target, vec![reason.clone()]));
        }
        let work = Work { session: self, target, old: old.as_ref() };
        let mut computed = work.run(seen)?;
        seen.pop();
        computed.reasons = match (&reason, &old) {
            (Some(reason), None) => vec![reason.clone()],
            (reason, Some(old)) => {
                // The new listing isn't in the workspace yet.
                let made = &computed.blobs;
                let new = |content: &Content| String::from_utf8(made.get(&content.digest)?.to_vec()).ok();
                let listing = |content: &Content| new(content).or_else(|| self.listing(content));
                let mut reasons: Vec<Reason> = reason.iter().cloned().collect();
                reasons.extend(lock::reasons_with(old, &computed.lock, &listing));
                reasons
            }
            (None, None) => Vec::new(),
        };
        computed.old = old;
        self.check_line_endings(&computed)?;
        if self.env.locked && !self.asks.set.is_empty() {
            return Err(Error::SetLocked);
        }
        if self.env.locked && !computed.reasons.is_empty() {
            return Err(self.locked(target, computed.reasons));
        }
        let computed = Rc::new(computed);
        self.computed.borrow_mut().insert(target.clone(), Rc::clone(&computed));
        Ok(computed)
    }

    pub(in crate::ops) fn locked(&self, target: &Target, reasons: Vec<Reason>) -> Error {
        let state = State::of(&reasons, false);
        Error::Locked(vec![LockedRecipe { recipe: target.to_string(), state, reasons }])
    }

    pub(in crate::ops) fn listing(&self, content: &Content) -> Option<String> {
        let bytes = self.committed(content, crate::workspace::MAX_BULK).ok().flatten()?;
        String::from_utf8(bytes.to_vec()).ok()
    }

    /// A checkout that was made with other line endings would be another image, silently.
    fn check_line_endings(&self, computed: &Computed) -> Result<(), Error> {
        let Some(old) = &computed.old else { return Ok(()) };
        let mut listed = BTreeMap::new();
        for reason in &computed.reasons {
            let Reason::FileChanged { key, path, file } = reason else { continue };
            if !key.is_plain() {
                continue;
            }
            let source = || old.sources.iter().find(|source| source.key == *key)?.entries(&|_| None);
            let entries = listed.entry(key).or_insert_with(source).as_ref();
            let entry = entries.and_then(|entries| entries.get(path));
            let Some(expected) = entry.and_then(|entry| entry.digest) else { continue };
            let scan = self.source(key)?;
            let Some(crate::tree::SourceNode::File { content, .. }) = scan.tree.nodes.get(path) else {
                continue;
            };
            if content.size > 1 << 20 {
                continue;
            }
            let mut bytes = Vec::new();
            if scan.contents.open(content)?.read_to_end(&mut bytes).is_ok()
                && differs_by_crlf_only(&bytes, expected)
            {
                return Err(Error::LineEndings { file: format!("{}/{file}", key.origin) });
            }
        }
        Ok(())
    }

    /// The scope of everything that doesn't depend on base and platform.
    fn scope(&self, target: &Target) -> Scope {
        Scope {
            stack: target.stack.clone(),
            name: target.name.clone(),
            set: self.asks.set.clone(),
            ..Scope::default()
        }
    }
}

/// The computation of one recipe.
struct Work<'w, 'e> {
    session: &'w Session<'e>,
    target: &'w Target,
    old: Option<&'w Lock>,
}

impl Work<'_, '_> {
    fn run(&self, seen: &mut Vec<Target>) -> Result<Computed, Error> {
        let recipe = self.session.recipe(self.target)?;
        let drafts = self.drafts(&recipe, seen)?;
        let mut lock = Lock { encoding: Encoding::V1, epoch: self.epoch()?, ..Lock::default() };
        lock.sections = recipe.sections().clone();
        let mut blobs = Blobs::new();
        self.pin(&drafts, &mut lock, &mut blobs);
        let mut warnings = Vec::new();
        let (sources, contents, pins) = self.sources(&drafts, seen, &mut blobs, &mut warnings)?;
        for (key, tree) in &sources {
            // What is given with each build is in no lock.
            if self.is_open(key, &drafts) {
                continue;
            }
            let (mut source, listing) = SourceLock::of(key.clone(), tree);
            source.pin = pins.get(key).copied().unwrap_or_default();
            lock.sources.push(source);
            blobs.extend(listing.map(|bytes| (Digest::of(&bytes), bytes.into())));
        }
        let mut images: BTreeMap<&str, BTreeMap<String, Box<Image>>> = BTreeMap::new();
        let mut resolved: BTreeMap<&str, Resolved> = BTreeMap::new();
        for platform in all_platforms(&drafts) {
            let made = self.platform(&platform, &drafts, &sources, &contents, lock.epoch, &mut warnings)?;
            for (name, image, variant) in made {
                images.entry(name).or_default().insert(platform.short(), Box::new(image));
                resolved.entry(name).or_insert(variant);
            }
        }
        let mut variants = BTreeMap::new();
        for draft in &drafts {
            let images = images.remove(draft.name.as_str()).unwrap_or_default();
            let variant = self.variant(draft, images, resolved.remove(draft.name.as_str()))?;
            if self.session.asks.set.is_empty()
                && drafts.iter().all(|draft| draft.recipe.open_inputs().next().is_none())
            {
                lock.outputs.insert(draft.name.clone(), output(&variant));
            }
            variants.insert(draft.name.clone(), Box::new(variant));
        }
        lock.sort();
        warnings.extend(self.session.substitutes.warnings());
        warnings.sort();
        warnings.dedup();
        let (old, reasons) = (None, Vec::new());
        let inputs = drafts.iter().flat_map(|draft| draft.recipe.open_inputs());
        let open: BTreeSet<String> = inputs.map(str::to_owned).collect();
        let (open, target) = (open.into_iter().collect(), self.target.clone());
        Ok(Computed { target, variants, old, lock, reasons, blobs, warnings, open })
    }

    /// Whether a source is an input that no lock has.
    fn is_open(&self, key: &SourceKey, drafts: &[Draft]) -> bool {
        key.kind == SourceKind::Input && drafts.iter().any(|draft| draft.recipe.is_open_input(&key.from))
    }

    /// The lock's epoch is kept; a new lock takes SOURCE_DATE_EPOCH.
    fn epoch(&self) -> Result<i64, Error> {
        let epoch = recipe::epoch(Encoding::V1, self.old.map(|lock| lock.epoch), self.session.env.epoch);
        let message = |epoch| format!("the epoch {epoch} is not between 1990 and 2242");
        epoch.map_err(|epoch| Error::Usage { message: message(epoch) })
    }
}

fn all_platforms(drafts: &[Draft]) -> Vec<Platform> {
    recipe::distinct(Encoding::V1, drafts.iter().flat_map(|draft| &draft.platforms))
}

fn with_platform(scope: Scope, platform: &Platform) -> Scope {
    let (os, arch, variant) = platform.key();
    Scope { os: os.to_owned(), arch: arch.to_owned(), arch_variant: variant.to_owned(), ..scope }
}

fn output(variant: &Variant) -> Output {
    let platforms = variant.images.iter().map(|(platform, image)| {
        let layers = image.layers.iter().map(|made| made.layer.diff_id).collect();
        (platform.clone(), ImageOutput { manifest: image.descriptor.digest, layers })
    });
    let Descriptor { digest, size, .. } = variant.descriptor;
    Output { index: Content { digest, size }, platforms: platforms.collect() }
}

impl Image {
    /// What recipes that stand on this one, which is of `target`, stand on.
    pub(in crate::ops) fn stand(&self, target: &Target) -> Result<Below, Error> {
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

impl Computed {
    /// Every layer that the chosen variants add, each once.
    pub(in crate::ops) fn own_layers(&self, variant: &Variant) -> Vec<Made> {
        let mut seen = BTreeSet::new();
        let layers = variant.images.values().flat_map(|image| &image.layers);
        layers.filter(|made| seen.insert(made.layer.digest)).cloned().collect()
    }
}
