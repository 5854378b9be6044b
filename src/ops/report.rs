//! What verbs answer: plain values, for a person or as JSON.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::sink::Moved;

/// A recipe's place in the workspace and one of its variants: `stack/name#variant`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageName {
    /// `stack/name`
    pub recipe: String,
    /// `prod`
    pub variant: String,
}

/// One variant of one recipe, built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// Which.
    pub name: ImageName,
    /// The index (or upstream's descriptor of a bare recipe).
    pub digest: Digest,
    /// What the lock held before; `None` when it held nothing.
    pub before: Option<Digest>,
    /// The inputs that differ from the lock before, shortest names; empty when nothing changed.
    pub because: Vec<String>,
    /// The content is equal to what the lock held, the compressed bytes differ.
    pub compression_only: bool,
    /// Manifest digests by platform (`linux/amd64`).
    pub platforms: BTreeMap<String, Digest>,
    /// Bytes of the layers that the recipe adds, over all platforms, each layer once.
    pub overlay_bytes: u64,
    /// Of those layers, how many were compressed now, and how many were in the store.
    pub layers_made: usize,
    /// See `layers_made`.
    pub layers_kept: usize,
    /// Inputs that are open: such a build has no locked output.
    pub open: Vec<String>,
}

/// What `check` found of one variant of a recipe; what is wrong is an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Which.
    pub name: ImageName,
    /// The state of its lock.
    pub state: String,
    /// It was checked against what it stands on; where the lock doesn't know that, only the recipe itself was.
    pub whole: bool,
    /// `[service] check`: the software's own check of its configuration, to be run in the image.
    pub check: Option<Vec<String>>,
    /// `[service] env`
    pub env: BTreeMap<String, String>,
}

/// What happened to a recipe's lock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockChange {
    /// It said the same already.
    Unchanged,
    /// It was written for the first time.
    Created,
    /// It was written anew.
    Updated,
    /// Nothing is written: `--locked`, `--set`.
    NotWritten,
}

/// What `build`, `lock` and `update` did with one recipe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecipeReport {
    /// `stack/name`
    pub recipe: String,
    /// Its variants that were asked for.
    pub images: Vec<Built>,
    /// What became of its lock.
    pub lock: LockChange,
    /// Pins that were made or moved: what, old, new.
    pub pins: Vec<PinMove>,
    /// What a person should know, and needn't act upon.
    pub warnings: Vec<String>,
}

/// A base reference that was pinned, or moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PinMove {
    /// The reference or layout.
    pub reference: String,
    /// What it was.
    pub old: Option<Digest>,
    /// What it is.
    pub new: Digest,
    /// Recipes that hold it.
    pub recipes: Vec<String>,
    /// What that means for the base's packages, where `update` was asked; nothing where it can't be told.
    pub packages: Option<Vec<PackageMove>>,
}

/// A package of a base that has another version now, that came, or that went.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackageMove {
    /// The binary package.
    pub name: String,
    /// Its version before.
    pub old: Option<String>,
    /// Its version now.
    pub new: Option<String>,
    /// Where that is so; empty: on all platforms of the pin.
    pub platforms: Vec<String>,
}

/// One line of `list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Which.
    pub name: ImageName,
    /// The state of the lock: `complete`, `stale`, …
    pub state: String,
    /// The locked output.
    pub digest: Option<Digest>,
    /// The base, as the recipe says it.
    pub base: String,
    /// `[image] owner`, or the workspace's.
    pub owner: Option<String>,
}

/// One line of a query of `list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which image.
    pub name: ImageName,
    /// On which platform; empty: on all.
    pub platform: String,
    /// What was found, or why that can't be told.
    pub what: String,
    /// It can be told.
    pub known: bool,
}

/// What `show` tells of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Which.
    pub name: ImageName,
    /// The state of the lock.
    pub state: String,
    /// The output index.
    pub digest: Digest,
    /// `[image] title`
    pub title: Option<String>,
    /// The base as the recipe says it, and its pinned digest.
    pub base: String,
    /// See `base`.
    pub base_digest: Option<Digest>,
    /// Where `push` would put it: references with tags.
    pub published: Vec<String>,
    /// By platform.
    pub platforms: Vec<ShownPlatform>,
}

/// What one image is called wherever it is used, before it is anywhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageDigests {
    /// Which.
    pub name: ImageName,
    /// It is the variant that a bare name means.
    pub default: bool,
    /// The state of the lock.
    pub state: String,
    /// The index (or upstream's descriptor of a bare recipe).
    pub digest: Digest,
    /// `[publish] repository` for this recipe, when the workspace has one: a good reference, without tag.
    pub repository: Option<String>,
    /// What `push` would tag it with.
    pub tags: Vec<String>,
    /// Manifest digests by platform (`linux/amd64`).
    pub platforms: BTreeMap<String, Digest>,
}

/// One platform of a shown image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownPlatform {
    /// `linux/amd64`
    pub platform: String,
    /// The manifest.
    pub manifest: Digest,
    /// The config: what Docker calls the image ID.
    pub config: Digest,
    /// All layers, lowest first.
    pub layers: Vec<ShownLayer>,
    /// The image config as canonical JSON.
    pub config_json: Vec<u8>,
}

/// One layer of a shown image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownLayer {
    /// Of the blob.
    pub digest: Digest,
    /// Of the tar stream.
    pub diff_id: Digest,
    /// In bytes, compressed.
    pub size: u64,
    /// `base`, `common`, the layer's own name, or the variant's.
    pub origin: String,
    /// The entries that the recipe adds, as `ls -l` would show them; empty for the base's layers.
    pub entries: Vec<String>,
}

/// One byte source of a recipe, for `lock --audit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteSource {
    /// `stack/name`
    pub recipe: String,
    /// `base`, `facts`, `source`, `parent`, …
    pub kind: String,
    /// What the recipe calls it.
    pub name: String,
    /// What pins it; `None`: it floats.
    pub pinned: Option<Digest>,
    /// Why it floats, or where it comes from.
    pub note: String,
}

/// What `store verify` found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// Blobs whose bytes are what their name says.
    pub sound: u64,
    /// Their bytes.
    pub bytes: u64,
    /// What is damaged, and what was done about it.
    pub damaged: Vec<String>,
    /// Whether the damaged ones were taken out.
    pub repaired: bool,
}

/// A fetched file in `vendor/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vendored {
    /// Where it comes from.
    pub url: String,
    /// Of its bytes.
    pub digest: Digest,
    /// How many.
    pub bytes: u64,
    /// It wasn't there before.
    pub new: bool,
}

/// What `gc` removed, or would.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Collected {
    /// Blobs and other files removed.
    pub removed: u64,
    /// Bytes freed.
    pub bytes: u64,
    /// Blobs kept.
    pub kept: u64,
    /// Roots that were dropped, because their recipe is gone.
    pub dropped_roots: Vec<String>,
    /// Nothing was removed: `--dry-run`.
    pub dry_run: bool,
}

/// What `init` wrote.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Initialised {
    /// Paths relative to the directory.
    pub written: Vec<String>,
    /// Those that were there already, and were left alone.
    pub kept: Vec<String>,
}

/// What `copy` and `build --to` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// From where.
    pub from: String,
    /// To where.
    pub to: String,
    /// The root document's digest.
    pub digest: Digest,
    /// Bytes of all blobs.
    pub bytes: u64,
    /// To a registry: what travelled.
    pub moved: Option<Moved>,
}

/// A rebuild that gave other bytes (`build --twice`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Which image.
    pub name: ImageName,
    /// On which platform.
    pub platform: String,
    /// What differs: layer, entry, bytes.
    pub what: String,
}
