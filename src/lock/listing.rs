//! Lines of a source tree's canonical listing: reading them back, and the choice between lines and a blob.

use std::collections::BTreeMap;

use super::{Listing, Pin, SourceLock};
use crate::digest::Digest;
use crate::http::shown;
use crate::tree::{Content, Kind, SourceKey, SourceNode, SourceTree, TreePath, unescape};

/// A tree of more entries is not listed in the lock; its listing is a blob.
pub const LISTED: usize = 512;

/// One line, read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// `0644`, `0755`, `link` or `dir`; of what an archive or image has, kind and attributes (`f0644,33:33`).
    pub mode: String,
    /// Of a file or of a link's target.
    pub digest: Option<Digest>,
    /// Below the source.
    pub path: TreePath,
}

impl Entry {
    /// Reads a line of a listing; none when it is not one that a listing has.
    pub fn parse(line: &str) -> Option<Self> {
        if line.starts_with(['d', 'f', 'l', 'h']) && line.as_bytes().get(1).is_some_and(u8::is_ascii_digit) {
            return Self::kept(line);
        }
        let (mode, rest) = line.split_once(' ')?;
        let (digest, path) = rest.split_once(' ')?;
        let digest = match (mode, digest) {
            ("dir", "-") => None,
            ("0644" | "0755" | "link", digest) => Some(digest.parse().ok()?),
            _ => return None,
        };
        let bytes = unescape(path)?;
        let parsed =
            TreePath::parse(&bytes).ok().filter(|path| path.as_bytes() == bytes && !path.is_root())?;
        Some(Self { mode: mode.to_owned(), digest, path: parsed })
    }

    fn kept(line: &str) -> Option<Self> {
        let (path, node) = SourceTree::read(false, std::iter::once(line))?.nodes.pop_first()?;
        let SourceNode::Kept { kind, .. } = node else { return None };
        let digest = match kind {
            Kind::File(content) => Some(content.digest),
            Kind::Symlink(target) => Some(Digest::of(&target)),
            _ => None,
        };
        Some(Self { mode: line.split(' ').next()?.to_owned(), digest, path })
    }
}

impl SourceLock {
    /// What a lock records of `tree`, and the bytes of the blob that it then names.
    pub fn of(key: SourceKey, tree: &SourceTree) -> (Self, Option<Vec<u8>>) {
        let (single, pin) = (tree.single, Pin::None);
        if tree.nodes.len() <= LISTED {
            let (hash, listing) = (tree.hash(), Listing::Lines(tree.lines().collect()));
            return (Self { key, pin, hash, single, listing }, None);
        }
        // Written once: the tree's hash is that of its listing.
        let bytes = tree.listing().into_bytes();
        let content = Content::of(&bytes);
        let listing = Listing::Blob(content);
        (Self { key, pin, hash: content.digest, single, listing }, Some(bytes))
    }

    /// The tree, where the listing alone gives it: of what comes out of archives and images.
    pub fn tree(&self, blob: &dyn Fn(&Content) -> Option<String>) -> Option<SourceTree> {
        match &self.listing {
            Listing::Lines(lines) => SourceTree::read(self.single, lines.iter().map(String::as_str)),
            Listing::Blob(content) => SourceTree::read(self.single, blob(content)?.lines()),
        }
    }

    /// What is in the tree, where that can be known; `blob` gives the text of a long listing.
    pub fn entries(&self, blob: &dyn Fn(&Content) -> Option<String>) -> Option<BTreeMap<TreePath, Entry>> {
        let by_path = |line: &str| Entry::parse(line).map(|entry| (entry.path.clone(), entry));
        match &self.listing {
            Listing::Lines(lines) => lines.iter().map(|line| by_path(line)).collect(),
            Listing::Blob(content) => blob(content)?.lines().map(by_path).collect(),
        }
    }

    /// Gives the files of `tree` the executable bits that were locked: for a checkout whose file system has none.
    pub fn restore_bits(&self, tree: &mut SourceTree, blob: &dyn Fn(&Content) -> Option<String>) {
        for (path, entry) in self.entries(blob).unwrap_or_default() {
            if let Some(SourceNode::File { executable, .. }) = tree.nodes.get_mut(&path) {
                *executable = entry.mode == "0755";
            }
        }
    }

    /// How people name something in this tree: `initdb/10.sql`, or `postgresql.conf` for a source of one file.
    pub fn name(key: &SourceKey, single: bool, path: &TreePath) -> String {
        let name = shown(key.name());
        if single {
            return name;
        }
        let magic = |part: &&str| part.contains(['*', '?', '[', '{', '\\']);
        let literal: Vec<&str> = name.split('/').take_while(|part| !magic(part)).collect();
        let below = path.as_bytes().escape_ascii().to_string();
        match literal.join("/").as_str() {
            "" | "." => below,
            directory => format!("{directory}/{below}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Files, Portion};

    fn key_of(directory: &str, from: &str) -> SourceKey {
        let (directory, from) = (directory.into(), from.into());
        SourceKey::Files(Files { directory, from, portion: Portion::default() })
    }

    #[test]
    fn lines_and_back() {
        let digest = Digest::of(b"x");
        let entry = Entry::parse(&format!("0755 {digest} a b/\\xff")).unwrap();
        assert_eq!(
            (entry.mode.as_str(), entry.digest, entry.path.as_bytes()),
            ("0755", Some(digest), &b"a b/\xff"[..])
        );
        assert_eq!(Entry::parse("dir - d").unwrap().digest, None);
        for bad in [
            "",
            "dir d",
            &format!("dir {digest} d"),
            "0644 - f",
            &format!("0600 {digest} f"),
            "dir - /d",
            "dir - ../d",
            "dir - ",
        ] {
            assert_eq!(Entry::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn locked_bits_hold() {
        let file = |executable| SourceNode::File { content: Content::of(b"x"), executable };
        let tree = |bits: [bool; 2]| SourceTree {
            single: false,
            nodes: [b"a", b"b"]
                .map(|name| TreePath::root().join(name))
                .into_iter()
                .zip(bits.map(file))
                .collect(),
        };
        let key = key_of("o", "f");
        let lock = SourceLock::of(key, &tree([true, false])).0;
        let mut all = tree([true, true]);
        lock.restore_bits(&mut all, &|_| None);
        assert_eq!(all, tree([true, false]));
    }

    #[test]
    fn a_tree_of_513_entries_is_a_blob() {
        let key = key_of("recipes/a/b", "www");
        let tree = |count: usize| SourceTree {
            single: false,
            nodes: (0..count)
                .map(|n| {
                    (TreePath::root().join(n.to_string().as_bytes()), crate::tree::SourceNode::Directory)
                })
                .collect(),
        };
        assert!(matches!(
            SourceLock::of(key.clone(), &tree(512)),
            (SourceLock { listing: Listing::Lines(_), .. }, None)
        ));
        let (lock, Some(bytes)) = SourceLock::of(key, &tree(513)) else { panic!("no blob") };
        assert_eq!(lock.hash, Digest::of(&bytes));
        assert_eq!(lock.entries(&|_| None), None);
        let text = String::from_utf8(bytes).unwrap();
        assert_eq!(lock.entries(&|_| Some(text.clone())).unwrap().len(), 513);
    }
}
