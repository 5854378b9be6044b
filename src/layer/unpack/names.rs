//! Which paths of an archive may stand beside each other.
//!
//! Owns what a name may be and the tree of those seen so far. Two entries that some file system would make one are
//! refused, as is everything below what is no directory: nothing may be written through a link of the archive's own.

use std::collections::BTreeMap;

use super::error::UnpackFault;
use crate::tree::{TreePath, TreePathError};

/// The most bytes of a name or a link target: Linux takes no longer path.
pub(super) const LONGEST: usize = 4096;
/// Memory for the names of one archive. A hundred bytes of compressed tar can name thousands of directories.
const MOST: usize = 256 << 20;
/// What a node takes besides its names, about.
const NODE: usize = 96;

/// Reads an entry's name.
pub(super) fn path(raw: &[u8]) -> Result<TreePath, UnpackFault> {
    if raw.is_empty() {
        return Err(UnpackFault::Empty);
    }
    if raw.len() > LONGEST {
        return Err(UnpackFault::TooLong { limit: LONGEST });
    }
    if raw[0] == b'/' {
        return Err(UnpackFault::Absolute);
    }
    let path = TreePath::parse(raw).map_err(|error| match error {
        TreePathError::Climbs => UnpackFault::Climbs,
        TreePathError::Nul => UnpackFault::Nul,
        TreePathError::Long { .. } => UnpackFault::TooLong { limit: LONGEST },
        TreePathError::LongName { .. } => UnpackFault::LongName { limit: TreePath::LONGEST_NAME },
    })?;
    // Of a path that could be read only this is left.
    if path.components().all(TreePath::is_name) { Ok(path) } else { Err(UnpackFault::Whiteout) }
}

/// The path without so many components; none if nothing is left.
pub(super) fn stripped(path: &TreePath, strip: usize) -> Option<TreePath> {
    let rest = path.as_bytes().splitn(strip.saturating_add(1), |&byte| byte == b'/').nth(strip)?;
    TreePath::parse(rest).ok()
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Seen {
    Directory,
    File,
    Symlink,
    /// Another name of the file there.
    HardLink(TreePath),
}

/// The paths of an archive so far, implied directories too.
#[derive(Default)]
pub(super) struct Paths {
    /// What was seen, by the number of the directory (0 is the root) and the name, folded.
    nodes: BTreeMap<(usize, Vec<u8>), Node>,
    bytes: usize,
    /// Names that differ by case alone are two.
    exact: bool,
}

struct Node {
    /// How the node is named as a directory.
    number: usize,
    name: Vec<u8>,
    seen: Seen,
}

impl Paths {
    pub(super) fn new(exact: bool) -> Self {
        Self { exact, ..Self::default() }
    }

    /// As a file system would look it up that ignores case, unless it doesn't.
    fn fold(&self, name: &[u8]) -> Vec<u8> {
        match str::from_utf8(name) {
            _ if self.exact => name.to_vec(),
            Ok(text) => text.to_lowercase().into_bytes(),
            Err(_) => name.to_ascii_lowercase(),
        }
    }

    pub(super) fn add(&mut self, path: &TreePath, seen: Seen) -> Result<(), UnpackFault> {
        let mut parent = 0;
        let mut end = 0;
        for name in path.components() {
            end += usize::from(end > 0) + name.len();
            let last = end == path.as_bytes().len();
            let key = (parent, self.fold(name));
            if let Some(node) = self.nodes.get(&key) {
                let both = seen == Seen::Directory && node.seen == Seen::Directory;
                match () {
                    () if node.name != name => return Err(UnpackFault::Case { other: node.name.clone() }),
                    () if last && !both => return Err(UnpackFault::Duplicate),
                    () if !last && node.seen != Seen::Directory => {
                        let ancestor = TreePath::parse(&path.as_bytes()[..end]).unwrap_or_default();
                        return Err(UnpackFault::NotDirectory { ancestor });
                    }
                    () => parent = node.number,
                }
                continue;
            }
            let link = if let Seen::HardLink(target) = &seen { target.as_bytes().len() } else { 0 };
            self.bytes += NODE + 2 * name.len() + link;
            if self.bytes > MOST {
                return Err(UnpackFault::TooManyNames { limit: MOST });
            }
            let number = self.nodes.len() + 1;
            let seen = if last { seen.clone() } else { Seen::Directory };
            self.nodes.insert(key, Node { number, name: name.to_vec(), seen });
            parent = number;
        }
        Ok(())
    }

    /// The file that `path` names, itself or as a hard link.
    pub(super) fn file(&self, path: &TreePath) -> Option<TreePath> {
        let mut parent = 0;
        let mut seen = None;
        for name in path.components() {
            let node = self.nodes.get(&(parent, self.fold(name))).filter(|node| node.name == name)?;
            (parent, seen) = (node.number, Some(&node.seen));
        }
        match seen? {
            Seen::File => Some(path.clone()),
            Seen::HardLink(target) => Some(target.clone()),
            Seen::Directory | Seen::Symlink => None,
        }
    }
}
