//! Roots: the entries of `index.json`.

use std::collections::BTreeMap;

use super::{Error, Store};
use crate::disk;
use crate::oci::{Descriptor, Document, DocumentError, Index, MediaType};

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const WORKSPACE: &str = "io.cooperage.workspace";
const RECIPE: &str = "io.cooperage.recipe";
const VARIANT: &str = "io.cooperage.variant";

/// More roots than that were not made by people.
const MAX_INDEX: u64 = 8 << 20;

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

/// Puts a root in; `true` when that changed anything.
fn insert(manifests: &mut Vec<Descriptor>, root: &Root) -> bool {
    if manifests.contains(&root.descriptor) {
        return false;
    }
    manifests.retain_mut(|entry| {
        let other = Root::new(entry.clone());
        match (&other.key, &root.key) {
            (Some(old), Some(new)) if old == new => return false,
            _ if other.name != root.name => return true,
            // Another workspace's root gives its name away and stays.
            (Some(_), _) => drop(entry.annotations.remove(REF_NAME)),
            (None, _) => return false,
        }
        true
    });
    manifests.push(root.descriptor.clone());
    true
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
        self.change_index(|manifests| {
            roots.iter().fold(false, |changed, root| insert(manifests, root) | changed)
        })
    }

    /// Whether [`Store::insert_roots`] would change nothing.
    pub(super) fn has_roots(&self, roots: &[Root]) -> Result<bool, Error> {
        if roots.is_empty() {
            return Ok(true);
        }
        let manifests = self.read_index()?.manifests;
        Ok(roots.iter().all(|root| manifests.contains(&root.descriptor)))
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
        let bytes = disk::read(&self.index(), MAX_INDEX)?;
        let wrong = |source| Error::Index { path: self.index(), source };
        match Document::parse(&bytes, &MediaType::Index.to_string()) {
            Ok(Document::Index(index)) => Ok(index),
            Ok(Document::Manifest(_)) => Err(wrong(DocumentError::NeitherKind)),
            Err(source) => Err(wrong(source)),
        }
    }
}
