//! A layer's entries as plain values, apart from any archive.
//!
//! Owns [`TreePath`], [`Node`], [`FileTree`], what overlaying one tree on another means, and how the unpacking of an
//! archive is spelt ([`Step`]). It must not know
//! tar, recipes or where bytes are kept: a file's node names its content by digest and size only.

mod key;
mod path;
mod source;
mod unpack;

use std::collections::BTreeMap;

pub use key::{Files, Portion, SourceKey};
pub use path::{TreePath, TreePathError};
pub use source::{SourceNode, SourceTree, Sources, unescape};
pub use unpack::{Format, Step, StepError, check_steps};

use crate::digest::Digest;

/// A file's bytes, by name. Whoever builds a layer is given a function that opens them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Content {
    /// The digest of the bytes as they stand in the layer.
    pub digest: Digest,
    /// How many bytes there are.
    pub size: u64,
}

impl Content {
    /// The name of `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self { digest: Digest::of(bytes), size: bytes.len() as u64 }
    }
}

/// What `ls -l` would show beside the name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Attributes {
    /// Permission bits with setuid, setgid and sticky: 0 to 0o7777.
    pub mode: u32,
    /// Numeric owner.
    pub uid: u32,
    /// Numeric group.
    pub gid: u32,
    /// Extended attributes by full name (`security.capability`).
    pub xattrs: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Attributes {
    /// `mode`, owned by 0:0, without extended attributes.
    pub const fn new(mode: u32) -> Self {
        Self { mode, uid: 0, gid: 0, xattrs: BTreeMap::new() }
    }

    /// The same with another owner.
    #[must_use]
    pub fn owned(mut self, uid: u32, gid: u32) -> Self {
        (self.uid, self.gid) = (uid, gid);
        self
    }
}

/// What stands at a path of a layer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A directory; `opaque` hides everything that lower layers have in it (`.wh..wh..opq`).
    Directory {
        /// Hide what lower layers have here.
        opaque: bool,
    },
    /// A regular file.
    File(Content),
    /// A symbolic link and its target, as written.
    Symlink(Vec<u8>),
    /// Another name of a file in the same layer.
    HardLink(TreePath),
    /// Nothing from here on: written as `.wh.<name>` beside the siblings.
    Whiteout,
}

/// One entry of a layer.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Node {
    /// What it is.
    pub kind: Kind,
    /// Mode, owner, extended attributes.
    pub attributes: Attributes,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub mtime: i64,
}

/// The entries of one layer, by path. The root has none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileTree {
    nodes: BTreeMap<TreePath, Node>,
}

impl FileTree {
    /// Without entries.
    pub const fn new() -> Self {
        Self { nodes: BTreeMap::new() }
    }

    /// Puts `node` at `path` and gives back what stood there.
    pub fn insert(&mut self, path: TreePath, node: Node) -> Option<Node> {
        self.nodes.insert(path, node)
    }

    /// What stands at `path`.
    pub fn get(&self, path: &TreePath) -> Option<&Node> {
        self.nodes.get(path)
    }

    /// All entries, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &Node)> {
        self.nodes.iter()
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no entry: such a layer is left out of an image.
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }
}

impl FromIterator<(TreePath, Node)> for FileTree {
    fn from_iter<T: IntoIterator<Item = (TreePath, Node)>>(entries: T) -> Self {
        Self { nodes: entries.into_iter().collect() }
    }
}

impl IntoIterator for FileTree {
    type Item = (TreePath, Node);
    type IntoIter = std::collections::btree_map::IntoIter<TreePath, Node>;

    fn into_iter(self) -> Self::IntoIter {
        self.nodes.into_iter()
    }
}
