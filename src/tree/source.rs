//! What a recipe's `from` names, read from the checkout: kinds, names of contents, nothing else.

use std::collections::BTreeMap;

use super::{Content, TreePath};
use crate::digest::Digest;

/// Which files of a checkout are meant: one `from` of one entry, with its filters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct SourceKey {
    /// The directory of the recipe that wrote the entry, relative to the workspace (`recipes/web/nginx`).
    pub origin: String,
    /// A path or glob relative to it, without a final slash.
    pub from: String,
    /// Globs over the paths below `from`; empty: everything.
    pub include: Vec<String>,
    /// Globs over the paths below `from`.
    pub exclude: Vec<String>,
}

/// One thing in a source tree. Owners and times of a checkout mean nothing, so they aren't here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceNode {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Its bytes.
        content: Content,
        /// Whether the owner may execute it.
        executable: bool,
    },
    /// A symbolic link and its target, as written.
    Symlink(Vec<u8>),
}

/// What a `from` turned out to be, with everything below it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceTree {
    /// Whether `from` is one file (or link): then it is the only entry, under its own name. Otherwise
    /// `from` is a directory, and the entries are its contents, or it is a glob, and the entries are what
    /// matched, each under its last component with everything below it.
    pub single: bool,
    /// By path below `from`.
    pub nodes: BTreeMap<TreePath, SourceNode>,
}

/// All source trees of a recipe.
pub type Sources = BTreeMap<SourceKey, SourceTree>;

impl SourceTree {
    /// One line an entry, `MODE DIGEST PATH`, sorted by path: what the tree's hash is made of.
    ///
    /// Modes are `0644`, `0755` (executable), `link` and `dir`; a link's digest is that of its target; a
    /// directory's is `-`. Paths are escaped as in Rust's `escape_ascii`, so a line is a line.
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.nodes.iter().map(|(path, node)| {
            let path = path.as_bytes().escape_ascii();
            match node {
                SourceNode::Directory => format!("dir - {path}"),
                SourceNode::Symlink(target) => format!("link {} {path}", Digest::of(target)),
                SourceNode::File { content, executable } => {
                    format!("{} {} {path}", if *executable { "0755" } else { "0644" }, content.digest)
                }
            }
        })
    }

    /// The canonical listing: all lines, each with its newline.
    pub fn listing(&self) -> String {
        self.lines().fold(String::new(), |text, line| text + &line + "\n")
    }

    /// The sha256 of the listing.
    pub fn hash(&self) -> Digest {
        Digest::of(self.listing().as_bytes())
    }
}
