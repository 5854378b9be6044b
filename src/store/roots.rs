//! Roots: the entries of `index.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::error::Error;
use crate::digest::Digest;
use crate::disk::{self, Lock};
use crate::oci::{Descriptor, Document, DocumentError, Index, MediaType};

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const WORKSPACE: &str = "io.cooperage.workspace";
const RECIPE: &str = "io.cooperage.recipe";
const VARIANT: &str = "io.cooperage.variant";
/// Marks a root that a repair found.
pub(super) const SALVAGED: &str = "io.cooperage.salvaged";

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
    pub(super) fn new(descriptor: Descriptor) -> Self {
        let text = |name| descriptor.annotations.get(name).cloned();
        let key = match (text(WORKSPACE), text(RECIPE), text(VARIANT)) {
            (Some(workspace), Some(recipe), Some(variant)) => Some(RootKey { workspace, recipe, variant }),
            _ => None,
        };
        Self { key, name: text(REF_NAME), descriptor }
    }

    /// The root of `key`, replacing what the descriptor's annotations say of roots.
    pub(super) fn keyed(key: RootKey, mut descriptor: Descriptor) -> Self {
        let name = key.name();
        let annotations = &mut descriptor.annotations;
        annotations.insert(WORKSPACE.into(), key.workspace.clone());
        annotations.insert(RECIPE.into(), key.recipe.clone());
        annotations.insert(VARIANT.into(), key.variant.clone());
        annotations.insert(REF_NAME.into(), name.clone());
        Self { key: Some(key), name: Some(name), descriptor }
    }
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

/// `index.json`, and the lock that guards it.
pub(super) struct IndexFile {
    pub(super) path: PathBuf,
}

impl IndexFile {
    pub(super) fn of(store: &Path) -> Self {
        Self { path: store.join("index.json") }
    }

    /// Keeps out whoever else would change it.
    pub(super) fn lock(&self) -> Result<Lock, Error> {
        Ok(Lock::exclusive(&self.path.with_file_name("index.lock"))?)
    }

    /// The entries, in their order.
    pub(super) fn read(&self) -> Result<Index, Error> {
        let bytes = disk::read(&self.path, MAX_INDEX).map_err(|source| Error::Unlisted { source })?;
        let wrong = |source| Error::Index { path: self.path.clone(), source };
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

    /// Makes it anew. Only for whoever holds the lock.
    pub(super) fn write(&self, manifests: Vec<Descriptor>) -> Result<(), Error> {
        let index = Index { manifests, annotations: BTreeMap::new() };
        Ok(disk::write_atomic(&self.path, &index.to_bytes())?)
    }

    /// Changes the entries under the lock, if `change` says that it did.
    pub(super) fn change(&self, change: impl FnOnce(&mut Vec<Descriptor>) -> bool) -> Result<(), Error> {
        let _lock = self.lock()?;
        let mut index = self.read()?;
        if change(&mut index.manifests) {
            disk::write_atomic(&self.path, &index.to_bytes())?;
        }
        Ok(())
    }

    pub(super) fn insert(&self, roots: &[Root]) -> Result<(), Error> {
        self.change(|manifests| insert(manifests, roots))
    }

    /// Whether [`insert`](Self::insert) would change nothing.
    pub(super) fn has(&self, roots: &[Root]) -> Result<bool, Error> {
        if roots.is_empty() {
            return Ok(true);
        }
        let manifests = self.read()?.manifests;
        let there = by_digest(&manifests);
        Ok(roots.iter().all(|root| holds(&there, root)))
    }
}
