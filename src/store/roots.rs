//! Roots: the entries of `index.json`.

use std::collections::{BTreeMap, BTreeSet};

use super::closure::children;
use super::{Error, Store};
use crate::digest::Digest;
use crate::disk;
use crate::oci::{Descriptor, Document, DocumentError, Index, MAX_DOCUMENT, MediaType};

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const WORKSPACE: &str = "io.cooperage.workspace";
const RECIPE: &str = "io.cooperage.recipe";
const VARIANT: &str = "io.cooperage.variant";
/// Marks a root that a repair found.
const SALVAGED: &str = "io.cooperage.salvaged";

/// More roots than that were not made by people.
const MAX_INDEX: u64 = 64 << 20;

/// Whose output a root is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RootKey {
    /// The workspace's path.
    pub workspace: String,
    /// `stack/name`
    pub recipe: String,
    /// `prod`
    pub variant: String,
}

impl RootKey {
    /// `stack/name:variant`, by which others (`skopeo inspect oci:STORE:NAME`) find it.
    pub fn name(&self) -> String {
        format!("{}:{}", self.recipe, self.variant)
    }
}

/// Something that gc keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Whose it is; nothing for what was imported or written by others.
    pub key: Option<RootKey>,
    /// `org.opencontainers.image.ref.name`
    pub name: Option<String>,
    /// The entry as it stands in `index.json`, annotations included.
    pub descriptor: Descriptor,
}

impl Root {
    fn new(descriptor: Descriptor) -> Self {
        let text = |name| descriptor.annotations.get(name).cloned();
        let key = match (text(WORKSPACE), text(RECIPE), text(VARIANT)) {
            (Some(workspace), Some(recipe), Some(variant)) => Some(RootKey { workspace, recipe, variant }),
            _ => None,
        };
        Self { key, name: text(REF_NAME), descriptor }
    }

    /// The root of `key` (or of a bare name), replacing what the descriptor's annotations say of roots.
    pub(super) fn keyed(key: Option<RootKey>, name: String, mut descriptor: Descriptor) -> Self {
        let annotations = &mut descriptor.annotations;
        for own in [WORKSPACE, RECIPE, VARIANT] {
            annotations.remove(own);
        }
        if let Some(key) = &key {
            annotations.insert(WORKSPACE.into(), key.workspace.clone());
            annotations.insert(RECIPE.into(), key.recipe.clone());
            annotations.insert(VARIANT.into(), key.variant.clone());
        }
        annotations.insert(REF_NAME.into(), name.clone());
        Self { key, name: Some(name), descriptor }
    }
}

pub(super) fn empty_index() -> Vec<u8> {
    Index { manifests: Vec::new(), annotations: BTreeMap::new() }.to_bytes()
}

/// Puts roots in; `true` when that changed anything. One pass: a store may hold those of thousands of recipes.
fn insert(manifests: &mut Vec<Descriptor>, roots: &[Root]) -> bool {
    let there = by_digest(manifests);
    let mut fresh: Vec<&Root> = roots.iter().filter(|root| !holds(&there, root)).collect();
    if fresh.is_empty() {
        return false;
    }
    let names: BTreeSet<&Option<String>> = fresh.iter().map(|root| &root.name).collect();
    let digests: BTreeSet<Digest> = fresh.iter().map(|root| root.descriptor.digest).collect();
    let keys: BTreeSet<&RootKey> = fresh.iter().filter_map(|root| root.key.as_ref()).collect();
    manifests.retain_mut(|entry| {
        if entry.annotations.contains_key(SALVAGED) && digests.contains(&entry.digest) {
            return false;
        }
        let other = Root::new(entry.clone());
        match &other.key {
            Some(old) if keys.contains(old) => return false,
            _ if !names.contains(&other.name) => return true,
            // Another workspace's root gives its name away and stays.
            Some(_) => drop(entry.annotations.remove(REF_NAME)),
            None => return false,
        }
        true
    });
    // Of two with one name the later has it.
    let mut named = BTreeSet::new();
    fresh.reverse();
    fresh.retain(|root| named.insert(&root.name));
    manifests.extend(fresh.into_iter().rev().map(|root| root.descriptor.clone()));
    true
}

/// Whether an entry of ours has a type that we never gave one: gc would take it for a blob that names no others, and
/// collect those.
fn is_garbled(entry: &Descriptor) -> bool {
    entry.annotations.contains_key(WORKSPACE)
        && !matches!(entry.kind(), Ok(MediaType::Index | MediaType::Manifest))
}

fn by_digest(manifests: &[Descriptor]) -> BTreeMap<Digest, Vec<&Descriptor>> {
    let mut there: BTreeMap<Digest, Vec<&Descriptor>> = BTreeMap::new();
    for entry in manifests {
        there.entry(entry.digest).or_default().push(entry);
    }
    there
}

fn holds(there: &BTreeMap<Digest, Vec<&Descriptor>>, root: &Root) -> bool {
    there.get(&root.descriptor.digest).is_some_and(|entries| entries.contains(&&root.descriptor))
}

impl Store {
    /// All roots, in the order of `index.json`.
    ///
    /// # Errors
    /// When `index.json` is missing or can't be read.
    pub fn roots(&self) -> Result<Vec<Root>, Error> {
        Ok(self.read_index()?.manifests.into_iter().map(Root::new).collect())
    }

    /// Removes roots, and returns those removed. Their blobs stay until [`Store::gc`].
    ///
    /// # Errors
    /// When `index.json` can't be read or written.
    pub fn remove_roots(&self, doomed: impl Fn(&Root) -> bool) -> Result<Vec<Root>, Error> {
        let mut removed = Vec::new();
        self.change_index(|manifests| {
            manifests.retain(|entry| {
                let root = Root::new(entry.clone());
                let stays = !doomed(&root);
                if !stays {
                    removed.push(root);
                }
                stays
            });
            !removed.is_empty()
        })?;
        Ok(removed)
    }

    pub(super) fn insert_roots(&self, roots: &[Root]) -> Result<(), Error> {
        self.change_index(|manifests| insert(manifests, roots))
    }

    /// Whether [`Store::insert_roots`] would change nothing.
    pub(super) fn has_roots(&self, roots: &[Root]) -> Result<bool, Error> {
        if roots.is_empty() {
            return Ok(true);
        }
        let manifests = self.read_index()?.manifests;
        let there = by_digest(&manifests);
        Ok(roots.iter().all(|root| holds(&there, root)))
    }

    /// Makes `index.json` anew: every image or index that nothing else names is a root, without the recipe's name
    /// until it is built again. What was reported as done isn't collected meanwhile.
    pub(super) fn salvage_index(&self) -> Result<(), Error> {
        let _lock = disk::Lock::exclusive(&self.path.join("index.lock"))?;
        let (mut found, mut named) = (BTreeMap::new(), BTreeSet::new());
        for (digest, path) in self.files("blobs/sha256")? {
            let Ok(bytes) = disk::read(&path, MAX_DOCUMENT) else { continue };
            for kind in [MediaType::Index, MediaType::Manifest] {
                let Ok(document) = Document::parse(&bytes, &kind.to_string()) else { continue };
                let mut root = Descriptor::new(kind, digest, bytes.len() as u64);
                root.annotations.insert(SALVAGED.into(), "true".into());
                found.insert(digest, root);
                named.extend(children(&document).into_iter().map(|child| child.digest));
                break;
            }
        }
        found.retain(|digest, _| !named.contains(digest));
        let index = Index { manifests: found.into_values().collect(), annotations: BTreeMap::new() };
        disk::remove(&self.index())?;
        Ok(disk::write_atomic(&self.index(), &index.to_bytes())?)
    }

    fn change_index(&self, change: impl FnOnce(&mut Vec<Descriptor>) -> bool) -> Result<(), Error> {
        let _lock = disk::Lock::exclusive(&self.path.join("index.lock"))?;
        let mut index = self.read_index()?;
        if change(&mut index.manifests) {
            disk::write_atomic(&self.index(), &index.to_bytes())?;
        }
        Ok(())
    }

    fn read_index(&self) -> Result<Index, Error> {
        let bytes = disk::read(&self.index(), MAX_INDEX).map_err(|source| Error::Unlisted { source })?;
        let wrong = |source| Error::Index { path: self.index(), source };
        match Document::parse_own(&bytes, &MediaType::Index.to_string()) {
            Ok(Document::Index(index)) => match index.manifests.iter().find(|entry| is_garbled(entry)) {
                Some(entry) => {
                    let what = format!("a recipe's output of the type {:?}", entry.media_type);
                    Err(wrong(DocumentError::Unsupported { what }))
                }
                None => Ok(index),
            },
            Ok(Document::Manifest(_)) => Err(wrong(DocumentError::NeitherKind)),
            Err(source) => Err(wrong(source)),
        }
    }
}
