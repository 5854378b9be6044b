//! What a build came to, remembered for as long as nothing that it stands on changes.
//!
//! An economy only: a no-op build asks what is the same instead of making all of it once more. A record names everything
//! that its recipe's outcome depends on, by content: texts of recipes, stacks and locks, source trees, committed blobs, what lies in
//! the store. It holds while each is that, for the same program; whatever can't be told so has no record: inputs, `--set`,
//! places that may be asked. It is believed as the index of sources is, in which it lies.

use std::collections::{BTreeMap, BTreeSet};

use super::computed::Computed;
use super::report::{Built, ImageName, LockChange, RecipeReport, report};
use super::session::Session;
use crate::digest::{Blake3, Digest};
use crate::disk;
use crate::lock::SourceLock;
use crate::oci::json::{self, Value, object};
use crate::oci::{Descriptor, MediaType};
use crate::store::{RootKey, Store};
use crate::tree::{Files, Portion, SourceKey, SourceNode, SourceTree};
use crate::work::Error;
use crate::work::checkout::Checkout;
use crate::workspace::{Target, stack_text};

/// More memory than records take that this program wrote.
const MAX_MEMORY: usize = 1 << 30;

/// What is remembered of a workspace.
pub(crate) struct Settled {
    records: BTreeMap<Target, Record>,
}

/// What one recipe came to, and what that depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    /// Its own text, and those of all that it extends.
    texts: BTreeMap<Target, Digest>,
    /// What their stacks say; none of one that says nothing.
    stacks: BTreeMap<String, Option<Digest>>,
    lock: Digest,
    /// The recipes that it stands on or takes from, whose records hold as well.
    others: BTreeSet<Target>,
    sources: BTreeMap<Files, Blake3>,
    /// `lockfiles/blobs`.
    committed: BTreeSet<Digest>,
    /// In the store; a layer by its size only.
    blobs: BTreeMap<Digest, Option<u64>>,
    images: Vec<Built>,
    warnings: Vec<String>,
}

impl Settled {
    /// What the last builds left.
    pub(crate) fn read(session: &Session<'_>) -> Self {
        let checkout = session.checkout();
        let memo = checkout.index.memo().filter(|_| is_plain(session));
        Self { records: memo.and_then(|memo| parse(checkout, memo)).unwrap_or_default() }
    }

    /// The reports of those recipes that stand as they were left.
    pub(crate) fn reports(
        &self,
        session: &Session<'_>,
        selected: &BTreeMap<Target, Vec<String>>,
    ) -> Result<BTreeMap<Target, RecipeReport>, Error> {
        let mut found = BTreeMap::new();
        if self.records.is_empty() {
            return Ok(found);
        }
        let store = Store::open(&session.checkout().env.store)?;
        let mut asked =
            Asked { settled: self, checkout: session.checkout(), store: &store, known: BTreeMap::new() };
        let held: Vec<_> = selected.iter().filter(|(target, _)| asked.holds(target)).collect();
        let mut roots = Vec::new();
        for (target, names) in held {
            let Some(record) = self.records.get(target) else { continue };
            let mut images = record.images.clone();
            roots.extend(images.iter().map(|image| (root(session.checkout(), image), image.digest)));
            images.retain(|image| names.is_empty() || names.contains(&image.name.variant));
            let (recipe, warnings) = (target.to_string(), record.warnings.clone());
            let report =
                RecipeReport { recipe, images, lock: LockChange::Unchanged, pins: Vec::new(), warnings };
            found.insert(target.clone(), report);
        }
        let there: BTreeSet<_> =
            store.roots()?.into_iter().map(|root| (root.key, root.descriptor.digest)).collect();
        if !roots.into_iter().all(|(key, digest)| there.contains(&(Some(key), digest))) {
            found.clear();
        }
        // Whoever wrote them synced all that they reach before, but perhaps not yet the name.
        disk::sync_directory(&session.checkout().env.store)?;
        Ok(found)
    }

    /// Leaves what was computed, with what is known of the others, for the next build.
    pub(crate) fn remember(mut self, session: &Session<'_>, store: &Store) -> Result<(), Error> {
        let checkout = session.checkout();
        if !is_plain(session) || checkout.env.locked || checkout.asks.unrecorded {
            return Ok(());
        }
        let there = checkout.workspace.recipes()?;
        self.records.retain(|target, _| there.contains(target));
        for computed in session.all() {
            match Record::of(checkout, store, &computed) {
                Some(record) => self.records.insert(computed.target.clone(), record),
                None => self.records.remove(&computed.target),
            };
        }
        let records = self.records.iter().map(|(target, record)| (target.to_string(), record.to_value()));
        let memo = object([("of", of(checkout)), ("recipes", Value::Object(records.collect()))]);
        checkout.index.set_memo(memo.to_bytes());
        Ok(())
    }
}

/// Whether a command is one whose outcome depends on nothing but what a record names.
fn is_plain(session: &Session<'_>) -> bool {
    let checkout = session.checkout();
    let asks = &checkout.asks;
    checkout.env.index.is_some()
        && checkout.env.lockfiles.is_none()
        && session.supply().substitutes.is_empty()
        && asks.set.is_empty()
        && asks.inputs.is_empty()
        && asks.refresh.is_none()
        && asks.take.is_none()
        && !asks.fresh_facts
}

/// What all records depend on.
fn of(checkout: &Checkout<'_>) -> Value {
    let program = checkout.env.index.unwrap_or_default();
    let epoch = checkout.env.epoch.map_or(Value::Null, |epoch| epoch.to_string().into());
    let workspace = Digest::of(checkout.workspace.text().as_bytes()).to_string();
    vec![program.into(), epoch, workspace.into(), checkout.workspace.has_executable_bits().into()].into()
}

fn root(checkout: &Checkout<'_>, image: &Built) -> RootKey {
    let ImageName { recipe, variant } = image.name.clone();
    RootKey { workspace: checkout.workspace.root().display().to_string(), recipe, variant }
}

/// The questions of one command, each asked once.
struct Asked<'a, 'e> {
    settled: &'a Settled,
    checkout: &'a Checkout<'e>,
    store: &'a Store,
    known: BTreeMap<Target, bool>,
}

impl Asked<'_, '_> {
    /// Whether a recipe's record holds. What can't be told is told by whoever computes it.
    fn holds(&mut self, target: &Target) -> bool {
        if let Some(known) = self.known.get(target) {
            return *known;
        }
        // Of a circle nothing holds.
        self.known.insert(target.clone(), false);
        let Some(record) = self.settled.records.get(target) else { return false };
        let workspace = &self.checkout.workspace;
        let is = |text: Option<String>, digest: Digest| {
            text.is_some_and(|text| Digest::of(text.as_bytes()) == digest)
        };
        let text = |target| self.checkout.text(target).ok();
        let holds = record.texts.iter().all(|(target, digest)| is(text(target), *digest))
            && record.stacks.iter().all(|(stack, text)| self.is_stack(stack, *text))
            && is(workspace.lock_text(target).ok().flatten(), record.lock)
            && record.others.iter().all(|other| self.holds(other))
            && record.sources.iter().all(|(files, tree)| self.is_source(files, *tree))
            && record.committed.iter().all(|digest| self.is_committed(*digest))
            && record.blobs.iter().all(|(digest, size)| self.is_stored(*digest, *size));
        self.known.insert(target.clone(), holds);
        holds
    }

    fn is_stack(&self, stack: &str, text: Option<Digest>) -> bool {
        let found = stack_text(&self.checkout.workspace, stack);
        found.is_ok_and(|found| found.map(|found| Digest::of(found.as_bytes())) == text)
    }

    fn is_source(&self, files: &Files, tree: Blake3) -> bool {
        self.checkout.source(files).is_ok_and(|scan| print(&scan.tree) == tree)
    }

    fn is_committed(&self, digest: Digest) -> bool {
        let path = self.checkout.workspace.blob_file(&digest);
        path.is_ok_and(|path| self.checkout.index.holds(&path, digest))
    }

    fn is_stored(&self, digest: Digest, layer: Option<u64>) -> bool {
        match layer {
            Some(size) => self.store.has(digest, size).is_ok_and(|there| there),
            None => self.checkout.index.holds(&self.store.blob(digest), digest),
        }
    }
}

impl Record {
    /// None of what depends on more than a record can say.
    fn of(checkout: &Checkout<'_>, store: &Store, computed: &Computed) -> Option<Self> {
        if !computed.open.is_empty() {
            return None;
        }
        let mut others =
            computed.lock.parents.keys().map(|name| name.parse().ok()).collect::<Option<BTreeSet<_>>>()?;
        let mut sources = BTreeMap::new();
        for SourceLock { key, .. } in &computed.lock.sources {
            match key {
                SourceKey::Files(files) => {
                    // Of an archive the bytes decide.
                    let whole = Files { portion: Portion::default(), ..files.clone() };
                    let files = key.plain().unwrap_or(&whole);
                    sources.insert(files.clone(), print(&checkout.source(files).ok()?.tree));
                }
                SourceKey::Recipe { recipe, .. } => drop(others.insert(recipe.parse().ok()?)),
                SourceKey::Fetch { url, .. } if url.starts_with("file:") => return None,
                SourceKey::Input { .. } => return None,
                // The lock pins their bytes.
                SourceKey::Fetch { .. } | SourceKey::Image { .. } | SourceKey::Base { .. } => {}
            }
        }
        let mut blobs = BTreeMap::new();
        for variant in computed.variants.values() {
            for blob in store.closure(&variant.descriptor).ok()?.blobs {
                let size = (!is_read(&blob)).then_some(blob.size);
                if store.has(blob.digest, blob.size).ok()? {
                    blobs.insert(blob.digest, size);
                }
            }
            let derivations = variant.images.values().filter_map(|image| image.derivation.as_ref());
            blobs.extend(derivations.flat_map(|image| image.layers.iter().map(|(layer, _)| (*layer, None))));
        }
        let RecipeReport { mut images, warnings, .. } = report(computed, None, LockChange::Unchanged);
        for image in &mut images {
            image.layers_kept += std::mem::take(&mut image.layers_made);
            (image.before, image.compression_only) = (Some(image.digest), false);
            image.because.clear();
        }
        Some(Self {
            texts: checkout.texts(&computed.target)?,
            stacks: checkout.stack_texts(&computed.target)?,
            lock: Digest::of(computed.lock.to_text().as_bytes()),
            others,
            sources,
            committed: computed.blobs.keys().copied().collect(),
            blobs,
            images,
            warnings,
        })
    }
}

/// Whether a build reads it again each time, and so mends it.
fn is_read(blob: &Descriptor) -> bool {
    matches!(blob.kind(), Ok(MediaType::Index | MediaType::Manifest | MediaType::Config))
}

/// A tree as a number: equal trees have equal ones.
fn print(tree: &SourceTree) -> Blake3 {
    let mut bytes = vec![u8::from(tree.single)];
    let mut put = |text: &[u8]| {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text);
    };
    for (path, node) in &tree.nodes {
        put(path.as_bytes());
        match node {
            SourceNode::Directory => put(b"d"),
            SourceNode::Symlink(target) => {
                put(b"l");
                put(target);
            }
            SourceNode::File { content, executable } => {
                put(if *executable { b"x" } else { b"f" });
                put(content.digest.as_bytes());
            }
            // Of the checkout nothing is kept.
            SourceNode::Kept { .. } => put(b"?"),
        }
    }
    Blake3::of(&bytes)
}

/// Records as they are written. One that can't be read is none.
fn parse(checkout: &Checkout<'_>, memo: &[u8]) -> Option<BTreeMap<Target, Record>> {
    let memo = json::parse_within(memo, MAX_MEMORY).ok()?;
    let memo = memo.as_object()?;
    if *memo.get("of")? != of(checkout) {
        return None;
    }
    let records = memo.get("recipes")?.as_object()?.iter();
    records.map(|(name, record)| Some((name.parse().ok()?, Record::parse(name, record)?))).collect()
}

impl Record {
    fn to_value(&self) -> Value {
        let texts = self.texts.iter().map(|(target, text)| (target.to_string(), text.to_string().into()));
        let stacks = self
            .stacks
            .iter()
            .map(|(stack, text)| (stack.clone(), text.map_or(Value::Null, |text| text.to_string().into())));
        let blobs =
            self.blobs.iter().map(|(blob, size)| (blob.to_string(), size.map_or(Value::Null, Value::from)));
        let sources = self.sources.iter().map(|(Files { directory, from, portion }, tree)| {
            let Portion { include, exclude, .. } = portion.clone();
            vec![
                Value::from(directory.clone()),
                from.clone().into(),
                include.into(),
                exclude.into(),
                tree.hex().into(),
            ]
        });
        let images = self.images.iter().map(|image| {
            let platforms = image
                .platforms
                .iter()
                .map(|(platform, digest)| (platform.clone(), digest.to_string().into()));
            vec![
                Value::from(image.name.variant.clone()),
                image.digest.to_string().into(),
                Value::Object(platforms.collect()),
                image.overlay_bytes.into(),
                (image.layers_kept as u64).into(),
            ]
        });
        object([
            ("texts", Value::Object(texts.collect())),
            ("stacks", Value::Object(stacks.collect())),
            ("lock", self.lock.to_string().into()),
            ("others", self.others.iter().map(Target::to_string).collect::<Vec<_>>().into()),
            ("sources", sources.collect::<Vec<_>>().into()),
            ("committed", self.committed.iter().map(Digest::to_string).collect::<Vec<_>>().into()),
            ("blobs", Value::Object(blobs.collect())),
            ("images", images.collect::<Vec<_>>().into()),
            ("warnings", self.warnings.clone().into()),
        ])
    }

    fn parse(recipe: &str, value: &Value) -> Option<Self> {
        let members = value.as_object()?;
        let list = |name: &str| members.get(name)?.as_array();
        let texts = members.get("texts")?.as_object()?.iter();
        let stacks = members.get("stacks")?.as_object()?.iter();
        let blobs = members.get("blobs")?.as_object()?.iter();
        Some(Self {
            texts: texts
                .map(|(target, text)| Some((target.parse().ok()?, digest(text)?)))
                .collect::<Option<_>>()?,
            stacks: stacks
                .map(|(stack, text)| {
                    let text = if *text == Value::Null { None } else { Some(digest(text)?) };
                    Some((stack.clone(), text))
                })
                .collect::<Option<_>>()?,
            lock: digest(members.get("lock")?)?,
            others: list("others")?
                .iter()
                .map(|other| other.as_str()?.parse().ok())
                .collect::<Option<_>>()?,
            sources: list("sources")?.iter().map(source).collect::<Option<_>>()?,
            committed: list("committed")?.iter().map(digest).collect::<Option<_>>()?,
            blobs: blobs
                .map(|(blob, size)| Some((blob.parse().ok()?, size.as_u64())))
                .collect::<Option<_>>()?,
            images: list("images")?.iter().map(|value| image(recipe, value)).collect::<Option<_>>()?,
            warnings: strings(members.get("warnings")?)?,
        })
    }
}

fn digest(value: &Value) -> Option<Digest> {
    value.as_str()?.parse().ok()
}

fn strings(value: &Value) -> Option<Vec<String>> {
    value.as_array()?.iter().map(|text| Some(text.as_str()?.to_owned())).collect()
}

fn source(value: &Value) -> Option<(Files, Blake3)> {
    let [directory, from, include, exclude, tree] = value.as_array()? else { return None };
    let (include, exclude) = (strings(include)?, strings(exclude)?);
    let portion = Portion { include, exclude, ..Portion::default() };
    let (directory, from) = (directory.as_str()?.to_owned(), from.as_str()?.to_owned());
    Some((Files { directory, from, portion }, Blake3::from_hex(tree.as_str()?).ok()?))
}

fn image(recipe: &str, value: &Value) -> Option<Built> {
    let [variant, index, platforms, overlay, layers] = value.as_array()? else { return None };
    let name = ImageName { recipe: recipe.to_owned(), variant: variant.as_str()?.to_owned() };
    let platforms = platforms.as_object()?.iter();
    let index = digest(index)?;
    Some(Built {
        name,
        digest: index,
        before: Some(index),
        because: Vec::new(),
        compression_only: false,
        platforms: platforms
            .map(|(name, manifest)| Some((name.clone(), digest(manifest)?)))
            .collect::<Option<_>>()?,
        overlay_bytes: overlay.as_u64()?,
        layers_made: 0,
        layers_kept: usize::try_from(layers.as_u64()?).ok()?,
        open: Vec::new(),
    })
}
