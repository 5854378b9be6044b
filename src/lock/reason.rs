//! Why a lock isn't what it would be if it were made now: one [`Reason`] per fact.

use std::collections::{BTreeMap, BTreeSet};

use super::{BaseOrigin, BasePin, Entry, ImageOutput, Lock, Output, SourceLock, State};
use crate::digest::Digest;
use crate::http::shown;
use crate::recipe::given_section;
use crate::tree::{Content, Files, SourceKey, TreePath};

/// One difference between a committed lock and what was computed, or one thing that the lock lacks.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[allow(missing_docs, reason = "the fields are what the message says")]
pub enum Reason {
    /// There is no lock.
    #[error("there is no lock")]
    LockMissing,
    /// A merge left markers in the lock.
    #[error("the lock has conflict markers")]
    Conflicted,
    /// Another byte contract.
    #[error("encoding {old} -> {new}")]
    Encoding { old: u32, new: u32 },
    /// Another time.
    #[error("epoch {old} -> {new}")]
    Epoch { old: i64, new: i64 },
    /// A section of the recipe was added, removed or changed.
    #[error("{} changed", place(section))]
    Section { section: String },
    /// The recipe stands on something else now.
    #[error("base {old} -> {new}")]
    BaseChanged { old: BaseOrigin, new: BaseOrigin },
    /// The recipe's base has no digest.
    #[error("base {origin} is not pinned")]
    BaseUnpinned { origin: BaseOrigin },
    /// A pin that nothing stands on.
    #[error("base {origin} is pinned and not used")]
    BaseUnused { origin: BaseOrigin },
    /// The same base serves other variants.
    #[error("base {origin} serves other variants")]
    BaseVariants { origin: BaseOrigin },
    /// The pin moved.
    #[error("base {origin} {old} -> {new}")]
    BaseMoved { origin: BaseOrigin, old: Digest, new: Digest },
    /// The base has no digest for a platform.
    #[error("base {origin} is not pinned for {platform}")]
    PlatformUnpinned { origin: BaseOrigin, platform: String },
    /// A platform is pinned that isn't built.
    #[error("base {origin} is pinned for {platform}, which is not built")]
    PlatformUnused { origin: BaseOrigin, platform: String },
    /// The pin of a platform moved.
    #[error("base {origin} on {platform} {old} -> {new}")]
    PlatformMoved { origin: BaseOrigin, platform: String, old: Digest, new: Digest },
    /// Nothing is known of the base's file system.
    #[error("the facts of {origin} on {platform} are missing")]
    FactsMissing { origin: BaseOrigin, platform: String },
    /// Other facts of the same manifest.
    #[error("the facts of {origin} on {platform} are others")]
    FactsChanged { origin: BaseOrigin, platform: String },
    /// Nobody looked yet what a pattern matches in the base.
    #[error("what [[remove]] {pattern:?} matches in {origin} on {platform} is not recorded")]
    RemoveUnrecorded { origin: BaseOrigin, platform: String, pattern: String },
    /// A pattern is recorded that the recipe hasn't, or matches something else.
    #[error("what [[remove]] {pattern:?} matches in {origin} on {platform} changed")]
    RemoveChanged { origin: BaseOrigin, platform: String, pattern: String },
    /// A blob that the lock names isn't in `lockfiles/blobs`.
    #[error("lockfiles/blobs has no {}", blob.digest)]
    BlobMissing { blob: Content },
    /// The recipe below came out differently, or is another one.
    #[error("parent {parent}#{variant} {} -> {}", or_none(old), or_none(new))]
    ParentChanged { parent: String, variant: String, old: Option<Digest>, new: Option<Digest> },
    /// An entry takes a source that it didn't take.
    #[error("source {} is new", named(key))]
    SourceAdded { key: SourceKey },
    /// No entry takes this source any more.
    #[error("source {} is gone", named(key))]
    SourceRemoved { key: SourceKey },
    /// A source changed; its old listing isn't at hand, so no file can be named.
    #[error("source {} changed", named(key))]
    SourceChanged { key: SourceKey },
    /// A file of a source is new.
    #[error("{file} is new")]
    FileAdded { key: SourceKey, path: TreePath, file: String },
    /// A file of a source is gone.
    #[error("{file} is gone")]
    FileRemoved { key: SourceKey, path: TreePath, file: String },
    /// A file of a source has other bytes or is something else.
    #[error("{file} changed")]
    FileChanged { key: SourceKey, path: TreePath, file: String },
    /// A file of a source became executable, or no longer is.
    #[error("{file} has mode {new}, not {old}")]
    FileMode { key: SourceKey, path: TreePath, file: String, old: String, new: String },
    /// A variant has no recorded output.
    #[error("the output of {variant} is not recorded")]
    OutputMissing { variant: String },
    /// An output is recorded of a variant that there isn't.
    #[error("an output is recorded of {variant}, which there isn't")]
    OutputUnused { variant: String },
    /// What came out is not what was recorded; without platform: the index.
    #[error("{variant}{} is {new}, not {old}", on(platform))]
    OutputDiffers { variant: String, platform: Option<String>, old: Digest, new: Digest },
    /// A platform was added to a variant or taken from it.
    #[error("{variant} has another set of platforms: {platform}")]
    OutputPlatform { variant: String, platform: String },
    /// Same inputs, same layer contents, another manifest: the bytes of a compressed layer differ.
    #[error("{variant} on {platform}: the content is equal, its compression differs ({new}, not {old})")]
    CompressionDiffers { variant: String, platform: String, old: Digest, new: Digest },
}

/// As people call a source; the recipe's directory itself has no name of its own.
fn named(key: &SourceKey) -> String {
    match key {
        SourceKey::Files(Files { from, directory, .. }) if from.is_empty() => directory.clone(),
        key => shown(key.name()),
    }
}

/// Where a section stands.
fn place(section: &str) -> String {
    match given_section(section) {
        Some((file, name)) => format!("{file} [vars] {name}"),
        None => format!("recipe.toml [{section}]"),
    }
}

fn or_none(digest: &Option<Digest>) -> String {
    digest.map_or_else(|| "none".to_owned(), |digest| digest.to_string())
}

fn on(platform: &Option<String>) -> String {
    platform.iter().map(|platform| format!(" on {platform}")).collect()
}

impl Reason {
    /// The state that this reason alone would put a lock in.
    pub const fn state(&self) -> State {
        match self {
            Self::Conflicted => State::Conflicted,
            Self::LockMissing
            | Self::BaseChanged { .. }
            | Self::BaseUnpinned { .. }
            | Self::PlatformUnpinned { .. } => State::Unpinned,
            Self::FactsMissing { .. } | Self::RemoveUnrecorded { .. } | Self::BlobMissing { .. } => {
                State::DigestOnly
            }
            _ => State::Stale,
        }
    }

    /// Its name in JSON, the same for ever.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::LockMissing => "lock-missing",
            Self::Conflicted => "conflicted",
            Self::Encoding { .. } => "encoding",
            Self::Epoch { .. } => "epoch",
            Self::Section { .. } => "section",
            Self::BaseChanged { .. } => "base-changed",
            Self::BaseUnpinned { .. } => "base-unpinned",
            Self::BaseUnused { .. } => "base-unused",
            Self::BaseVariants { .. } => "base-variants",
            Self::BaseMoved { .. } => "base-moved",
            Self::PlatformUnpinned { .. } => "platform-unpinned",
            Self::PlatformUnused { .. } => "platform-unused",
            Self::PlatformMoved { .. } => "platform-moved",
            Self::FactsMissing { .. } => "facts-missing",
            Self::FactsChanged { .. } => "facts-changed",
            Self::RemoveUnrecorded { .. } => "remove-unrecorded",
            Self::RemoveChanged { .. } => "remove-changed",
            Self::BlobMissing { .. } => "blob-missing",
            Self::ParentChanged { .. } => "parent-changed",
            Self::SourceAdded { .. } => "source-added",
            Self::SourceRemoved { .. } => "source-removed",
            Self::SourceChanged { .. } => "source-changed",
            Self::FileAdded { .. } => "file-added",
            Self::FileRemoved { .. } => "file-removed",
            Self::FileChanged { .. } => "file-changed",
            Self::FileMode { .. } => "file-mode",
            Self::OutputMissing { .. } => "output-missing",
            Self::OutputUnused { .. } => "output-unused",
            Self::OutputDiffers { .. } => "output-differs",
            Self::OutputPlatform { .. } => "output-platform",
            Self::CompressionDiffers { .. } => "compression-differs",
        }
    }

    /// The source that it speaks of.
    pub const fn source(&self) -> Option<&SourceKey> {
        match self {
            Self::SourceAdded { key }
            | Self::SourceRemoved { key }
            | Self::SourceChanged { key }
            | Self::FileAdded { key, .. }
            | Self::FileRemoved { key, .. }
            | Self::FileChanged { key, .. }
            | Self::FileMode { key, .. } => Some(key),
            _ => None,
        }
    }

    /// The input that moved, as short as people would say it; none for what is no input.
    pub fn input(&self) -> Option<String> {
        Some(match self {
            Self::Encoding { new, .. } => format!("encoding {new}"),
            Self::Epoch { .. } => "epoch".into(),
            Self::Section { section } => place(section),
            Self::BaseChanged { new: origin, .. }
            | Self::BaseUnpinned { origin }
            | Self::BaseUnused { origin }
            | Self::BaseVariants { origin }
            | Self::BaseMoved { origin, .. }
            | Self::PlatformUnpinned { origin, .. }
            | Self::PlatformUnused { origin, .. }
            | Self::PlatformMoved { origin, .. }
            | Self::FactsMissing { origin, .. }
            | Self::FactsChanged { origin, .. } => format!("base {origin}"),
            Self::ParentChanged { parent, .. } => format!("parent {parent}"),
            Self::SourceAdded { key } | Self::SourceRemoved { key } | Self::SourceChanged { key } => {
                named(key)
            }
            Self::FileAdded { file, .. }
            | Self::FileRemoved { file, .. }
            | Self::FileChanged { file, .. }
            | Self::FileMode { file, .. } => file.clone(),
            // A pattern changes with the recipe, what it matches with the base: either has its own reason.
            Self::RemoveUnrecorded { .. }
            | Self::RemoveChanged { .. }
            | Self::LockMissing
            | Self::Conflicted
            | Self::BlobMissing { .. }
            | Self::OutputMissing { .. }
            | Self::OutputUnused { .. }
            | Self::OutputDiffers { .. }
            | Self::OutputPlatform { .. }
            | Self::CompressionDiffers { .. } => return None,
        })
    }
}

/// The inputs among `reasons`, each once, in the order of the reasons: what follows "because" in the line that
/// `build` prints.
pub fn because(reasons: &[Reason]) -> Vec<String> {
    let mut seen = BTreeSet::new();
    reasons.iter().filter_map(Reason::input).filter(|input| seen.insert(input.clone())).collect()
}

/// All differences between a committed lock and the one that was computed now: inputs first.
pub fn reasons(old: &Lock, new: &Lock) -> Vec<Reason> {
    reasons_with(old, new, &|_| None)
}

/// The same; `blob` gives the text of a long listing where it is at hand, so that files are named there too.
pub fn reasons_with(old: &Lock, new: &Lock, blob: &dyn Fn(&Content) -> Option<String>) -> Vec<Reason> {
    let mut found = Vec::new();
    if old.encoding != new.encoding {
        found.push(Reason::Encoding { old: old.encoding.number(), new: new.encoding.number() });
    }
    if old.epoch != new.epoch {
        found.push(Reason::Epoch { old: old.epoch, new: new.epoch });
    }
    for (section, _, _) in differing(&old.sections, &new.sections) {
        found.push(Reason::Section { section: section.clone() });
    }
    bases(old, new, &mut found);
    parents(old, new, &mut found);
    sources(old, new, blob, &mut found);
    let same_inputs = found.is_empty();
    outputs(old, new, same_inputs, &mut found);
    found
}

type Pair<'a, K, V> = (&'a K, Option<&'a V>, Option<&'a V>);

/// What two maps don't have in common, by key.
fn differing<'a, K: Ord, V: PartialEq>(
    old: &'a BTreeMap<K, V>,
    new: &'a BTreeMap<K, V>,
) -> Vec<Pair<'a, K, V>> {
    let keys: BTreeSet<&K> = old.keys().chain(new.keys()).collect();
    keys.into_iter().map(|key| (key, old.get(key), new.get(key))).filter(|(_, old, new)| old != new).collect()
}

fn bases(old: &Lock, new: &Lock, found: &mut Vec<Reason>) {
    let by_origin = |lock: &Lock| -> BTreeMap<BaseOrigin, BasePin> {
        lock.bases.iter().map(|base| (base.origin.clone(), base.clone())).collect()
    };
    let (old, new) = (by_origin(old), by_origin(new));
    let differing = differing(&old, &new);
    // A pin that went and one that came for the same variants are one change.
    let mut came: Vec<&BasePin> =
        differing.iter().filter_map(|(_, old, new)| new.filter(|_| old.is_none())).collect();
    for (origin, old, new) in &differing {
        match (old, new) {
            (Some(old), Some(new)) => base(old, new, found),
            (Some(old), None) => match came.iter().position(|base| base.variants == old.variants) {
                Some(at) => {
                    let new = came.remove(at).origin.clone();
                    found.push(Reason::BaseChanged { old: (*origin).clone(), new });
                }
                None => found.push(Reason::BaseUnused { origin: (*origin).clone() }),
            },
            (None, _) => {}
        }
    }
    found.extend(came.into_iter().map(|base| Reason::BaseUnpinned { origin: base.origin.clone() }));
}

fn base(old: &BasePin, new: &BasePin, found: &mut Vec<Reason>) {
    let origin = || new.origin.clone();
    if old.variants != new.variants {
        found.push(Reason::BaseVariants { origin: origin() });
    }
    if old.index != new.index {
        found.push(Reason::BaseMoved { origin: origin(), old: old.index.digest, new: new.index.digest });
    }
    for (platform, old, new) in differing(&old.platforms, &new.platforms) {
        let (origin, platform) = (origin(), platform.clone());
        let (old, new) = match (old, new) {
            (Some(old), Some(new)) => (old, new),
            (Some(_), None) => {
                found.push(Reason::PlatformUnused { origin, platform });
                continue;
            }
            _ => {
                found.push(Reason::PlatformUnpinned { origin, platform });
                continue;
            }
        };
        if old.manifest != new.manifest {
            let (old, new) = (old.manifest.digest, new.manifest.digest);
            found.push(Reason::PlatformMoved {
                origin: origin.clone(),
                platform: platform.clone(),
                old,
                new,
            });
        } else if old.facts != new.facts {
            let (origin, platform) = (origin.clone(), platform.clone());
            found.push(match old.facts {
                None => Reason::FactsMissing { origin, platform },
                Some(_) => Reason::FactsChanged { origin, platform },
            });
        }
        for (pattern, before, _) in differing(&old.removed, &new.removed) {
            let (origin, platform, pattern) = (origin.clone(), platform.clone(), pattern.clone());
            found.push(match before {
                None => Reason::RemoveUnrecorded { origin, platform, pattern },
                Some(_) => Reason::RemoveChanged { origin, platform, pattern },
            });
        }
    }
}

fn parents(old: &Lock, new: &Lock, found: &mut Vec<Reason>) {
    let none = BTreeMap::new();
    for (parent, old, new) in differing(&old.parents, &new.parents) {
        for (variant, old, new) in differing(old.unwrap_or(&none), new.unwrap_or(&none)) {
            let (parent, variant) = (parent.clone(), variant.clone());
            found.push(Reason::ParentChanged { parent, variant, old: old.copied(), new: new.copied() });
        }
    }
}

fn sources(old: &Lock, new: &Lock, blob: &dyn Fn(&Content) -> Option<String>, found: &mut Vec<Reason>) {
    let by_key = |lock: &Lock| -> BTreeMap<SourceKey, SourceLock> {
        lock.sources.iter().map(|source| (source.key.clone(), source.clone())).collect()
    };
    for (key, old, new) in differing(&by_key(old), &by_key(new)) {
        let key = key.clone();
        match (old, new) {
            (None, _) => found.push(Reason::SourceAdded { key }),
            (_, None) => found.push(Reason::SourceRemoved { key }),
            (Some(old), Some(new)) => files(old, new, blob, found),
        }
    }
}

fn files(
    old: &SourceLock,
    new: &SourceLock,
    blob: &dyn Fn(&Content) -> Option<String>,
    found: &mut Vec<Reason>,
) {
    let listings = (old.entries(blob), new.entries(blob));
    let before = found.len();
    if let (true, (Some(was), Some(is))) = (old.single == new.single, listings) {
        for (path, was, is) in differing(&was, &is) {
            let (key, path) = (new.key.clone(), path.clone());
            let file = SourceLock::name(&key, new.single, &path);
            found.push(match (was, is) {
                (None, _) => Reason::FileAdded { key, path, file },
                (_, None) => Reason::FileRemoved { key, path, file },
                (Some(Entry { mode: old, digest: was, .. }), Some(Entry { mode: new, digest: is, .. }))
                    if was == is && old != "link" && new != "link" =>
                {
                    Reason::FileMode { key, path, file, old: old.clone(), new: new.clone() }
                }
                _ => Reason::FileChanged { key, path, file },
            });
        }
    }
    if found.len() == before {
        found.push(Reason::SourceChanged { key: new.key.clone() });
    }
}

fn outputs(old: &Lock, new: &Lock, same_inputs: bool, found: &mut Vec<Reason>) {
    for (variant, old, new) in differing(&old.outputs, &new.outputs) {
        let variant = variant.clone();
        match (old, new) {
            (None, _) => found.push(Reason::OutputMissing { variant }),
            (_, None) => found.push(Reason::OutputUnused { variant }),
            (Some(old), Some(new)) => output(&variant, old, new, same_inputs, found),
        }
    }
}

fn output(variant: &str, old: &Output, new: &Output, same_inputs: bool, found: &mut Vec<Reason>) {
    let before = found.len();
    for (platform, old, new) in differing(&old.platforms, &new.platforms) {
        let (variant, platform) = (variant.to_owned(), platform.clone());
        found.push(match (old, new) {
            (
                Some(ImageOutput { manifest: old, layers: was }),
                Some(ImageOutput { manifest: new, layers: are }),
            ) => {
                let (old, new) = (*old, *new);
                if was == are && same_inputs {
                    Reason::CompressionDiffers { variant, platform, old, new }
                } else {
                    Reason::OutputDiffers { variant, platform: Some(platform), old, new }
                }
            }
            _ => Reason::OutputPlatform { variant, platform },
        });
    }
    let compressed = found[before..].iter().any(|reason| matches!(reason, Reason::CompressionDiffers { .. }));
    if old.index != new.index && !compressed {
        let (old, new) = (old.index.digest, new.index.digest);
        found.push(Reason::OutputDiffers { variant: variant.to_owned(), platform: None, old, new });
    }
}

impl State {
    /// The state that `reasons` amount to; `open`: the recipe has open inputs.
    pub fn of(reasons: &[Reason], open: bool) -> Self {
        let sound = if open { Self::Open } else { Self::Complete };
        reasons.iter().map(Reason::state).fold(sound, Ord::max)
    }
}
