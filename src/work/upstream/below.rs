//! What a recipe stands on, as values.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::digest::{Digest, Encoding};
use crate::layer::facts::Facts;
use crate::lock::{BaseOrigin, BasePin};
use crate::oci::{Descriptor, Document, ImageConfig, Index, Manifest, Platform, json};
use crate::plan::pattern_in_base;
use crate::tree::{Content, FileTree, TreePath};
use crate::work::checkout::Blobs;

/// What stands below the entries of one variant on one platform.
#[derive(Debug, Clone)]
pub(crate) struct Below {
    /// As the index names it.
    pub(crate) platform: Platform,
    /// The manifest with its digest and size; none from scratch.
    pub(crate) manifest: Option<(Rc<Manifest>, Content)>,
    pub(crate) config: Rc<ImageConfig>,
    /// Of the external base, with the users that recipes have added.
    pub(crate) facts: Rc<Facts>,
    /// Of the external base alone.
    pub(crate) base_facts: Rc<Facts>,
    /// Of the external base.
    pub(crate) base_layers: Rc<[Digest]>,
    /// What `[[remove]]` patterns match in the external base.
    pub(crate) removed: BTreeMap<String, Vec<TreePath>>,
    /// The layers of recipes between the external base and here, lowest first.
    pub(crate) parents: Vec<Rc<FileTree>>,
    /// Of the external base, but for those that recipes have taken away since.
    pub(crate) volumes: Vec<TreePath>,
    /// The external base, if there is one.
    pub(crate) origin: Option<BaseOrigin>,
    /// Canonical name and index digest of the external base, where it has them.
    pub(crate) root: Option<(String, Digest)>,
}

/// An external base, pinned.
#[derive(Debug, Clone)]
pub(crate) struct External {
    pub(crate) pin: BasePin,
    /// The index or manifest, as it stands in the registry.
    pub(crate) descriptor: Descriptor,
    pub(crate) document: Document,
    /// By the platform's short name.
    pub(crate) platforms: BTreeMap<String, Below>,
    /// Documents and facts, for `lockfiles/blobs`.
    pub(crate) blobs: Blobs,
    /// Its documents alone, for the store.
    pub(crate) documents: Vec<Digest>,
}

/// What is wanted of an external base.
pub(crate) struct Wanted<'w> {
    /// For messages.
    pub(crate) recipe: &'w str,
    pub(crate) origin: BaseOrigin,
    pub(crate) platforms: &'w [Platform],
    /// Of the recipe: how its patterns are meant.
    pub(crate) encoding: Encoding,
    /// Patterns by platform.
    pub(crate) removes: &'w BTreeMap<String, Vec<String>>,
    /// A bare recipe takes what there is.
    pub(crate) lenient: bool,
}

impl Below {
    /// From scratch.
    pub(crate) fn scratch(platform: &Platform) -> Self {
        Self {
            platform: platform.clone(),
            manifest: None,
            config: Rc::default(),
            facts: Rc::default(),
            base_facts: Rc::default(),
            base_layers: Rc::default(),
            removed: BTreeMap::new(),
            parents: Vec::new(),
            volumes: Vec::new(),
            origin: None,
            root: None,
        }
    }

    /// A `[[remove]]` pattern of a recipe that stands here, as it is asked of the external base.
    pub(crate) fn pattern_in_base(&self, encoding: Encoding, pattern: &str) -> String {
        let parents: Vec<&FileTree> = self.parents.iter().map(|tree| &**tree).collect();
        pattern_in_base(encoding, pattern, &self.facts, &parents)
    }
}

/// The children of an index that may be the image for a platform, the likeliest first: others come only where none of
/// these is one.
pub(crate) fn images_of<'i>(index: &'i Index, platform: &Platform) -> Vec<&'i Descriptor> {
    let mut children = index.children_for(platform);
    children.sort_by_key(|child| child.is_artifact());
    children
}

/// The paths that a config declares as volumes.
pub(crate) fn volumes(config: &ImageConfig) -> Vec<TreePath> {
    let volumes = config.setting("Volumes").and_then(json::Value::as_object);
    let paths = volumes.into_iter().flat_map(|volumes| volumes.keys());
    paths.filter_map(|path| TreePath::parse(path.as_bytes()).ok()).collect()
}
