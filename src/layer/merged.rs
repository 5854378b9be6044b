//! What an image's file system holds: its layers' indexes, applied in order as engines do.
//!
//! Owns how layers combine. It holds headers only; [`Placed`] says which layer a file's content is in.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::error::{EntryFault, ReadError};
use super::index::{Header, HeaderKind, LayerIndex};
use super::links::{self, TooManyLinks};
use crate::tree::{Attributes, TreePath};

/// A chain of hard links longer than this is a loop.
const MOST_HARD_LINKS: usize = 40;
/// What directories that no layer names may take: a path implies as many as it has components.
const MOST_IMPLIED: usize = 16 << 20;
/// What one of them takes beside its path.
const IMPLIED: usize = 200;

/// What stands at a path of an image. Its kind is never a hard link.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// What the entry's header says; a hard link has what its target's says.
    pub header: Box<Header>,
    /// The layer that brought it, counted from 0; none for a directory that no layer names.
    pub layer: Option<usize>,
    /// The name under which the layer has the content, when that is another: the path is a hard link.
    pub content: Option<Box<TreePath>>,
}

/// All paths of an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Merged {
    entries: BTreeMap<TreePath, Placed>,
    layers: usize,
    implied: usize,
}

impl Merged {
    /// The view of these layers, lowest first.
    ///
    /// # Errors
    /// See [`apply`](Self::apply).
    pub fn of<'a>(layers: impl IntoIterator<Item = &'a LayerIndex>) -> Result<Self, ReadError> {
        let mut merged = Self::default();
        for layer in layers {
            merged.apply(layer.clone())?;
        }
        Ok(merged)
    }

    /// Puts one more layer on top.
    ///
    /// Marks take away what lower layers brought, never the layer's own. A directory over a directory sets attributes;
    /// anything else replaces what was there with all below it. Where an entry's ancestor is missing or no directory,
    /// a directory 0755 0:0 appears: that is what engines do, to symbolic links too.
    ///
    /// # Errors
    /// A hard link whose target is neither in the layer nor below it; paths that imply too many directories.
    pub fn apply(&mut self, layer: LayerIndex) -> Result<(), ReadError> {
        for path in &layer.opaques {
            self.remove_below(path);
        }
        for path in &layer.whiteouts {
            self.remove(path);
        }
        for path in &layer.opaques {
            self.imply(path);
            self.check_implied(path)?;
        }
        for path in &layer.whiteouts {
            self.imply_above(path);
            self.check_implied(path)?;
        }
        let mut links = BTreeMap::new();
        for (path, header) in layer.entries {
            if matches!(header.kind, HeaderKind::HardLink(_)) {
                links.insert(path, header);
            } else {
                self.put(path, Placed { header, layer: Some(self.layers), content: None })?;
            }
        }
        let mut placed = Vec::with_capacity(links.len());
        for (path, header) in &links {
            placed.push((path.clone(), self.linked(&links, path, header)?));
        }
        for (path, target) in placed {
            self.put(path, target)?;
        }
        self.layers += 1;
        Ok(())
    }

    /// What a hard link stands for.
    fn linked(
        &self,
        links: &BTreeMap<TreePath, Box<Header>>,
        path: &TreePath,
        header: &Header,
    ) -> Result<Placed, ReadError> {
        let mut header = header;
        let mut last = path.clone();
        for _ in 0..MOST_HARD_LINKS {
            let HeaderKind::HardLink(target) = &header.kind else { break };
            last.clone_from(target);
            let Ok(real) = links::resolve_parent(target, |at| self.link(at)) else { break };
            if let Some(next) = links.get(&real) {
                header = next;
                continue;
            }
            match self.entries.get(&real) {
                Some(found) if found.header.kind != HeaderKind::Directory => {
                    let content = found.content.clone().or_else(|| Some(Box::new(real)));
                    return Ok(Placed { content, ..found.clone() });
                }
                _ => break,
            }
        }
        let fault = EntryFault::HardLink { target: last.as_bytes().to_vec() };
        Err(ReadError::Entry { path: path.as_bytes().to_vec(), fault })
    }

    fn put(&mut self, path: TreePath, placed: Placed) -> Result<(), ReadError> {
        self.imply_above(&path);
        self.check_implied(&path)?;
        if placed.header.kind != HeaderKind::Directory && self.is_dir(&path) {
            self.remove_below(&path);
        }
        self.entries.insert(path, placed);
        Ok(())
    }

    fn check_implied(&self, path: &TreePath) -> Result<(), ReadError> {
        if self.implied <= MOST_IMPLIED {
            return Ok(());
        }
        let fault = EntryFault::TooManyDirectories { limit: MOST_IMPLIED };
        Err(ReadError::Entry { path: path.as_bytes().to_vec(), fault })
    }

    fn imply_above(&mut self, path: &TreePath) {
        if let Some(parent) = path.parent() {
            self.imply(&parent);
        }
    }

    /// Makes `path` a directory if it isn't one.
    fn imply(&mut self, path: &TreePath) {
        if !self.is_dir(path) {
            self.imply_above(path);
            self.implied += path.as_bytes().len() + IMPLIED;
            let header = Header { kind: HeaderKind::Directory, attributes: Attributes::new(0o755), mtime: 0 };
            self.entries
                .insert(path.clone(), Placed { header: Box::new(header), layer: None, content: None });
        }
    }

    fn remove(&mut self, path: &TreePath) {
        if self.is_dir(path) {
            self.remove_below(path);
        }
        self.entries.remove(path);
    }

    fn remove_below(&mut self, path: &TreePath) {
        let gone: Vec<_> = self.below(path).map(|(path, _)| path.clone()).collect();
        for path in gone {
            self.entries.remove(&path);
        }
    }

    fn link(&self, path: &TreePath) -> Option<&[u8]> {
        match &self.entries.get(path)?.header.kind {
            HeaderKind::Symlink(target) => Some(target),
            _ => None,
        }
    }

    /// What stands at `path`, no link followed.
    pub fn get(&self, path: &TreePath) -> Option<&Placed> {
        self.entries.get(path)
    }

    /// Whether `path` itself is a directory. The root always is.
    pub fn is_dir(&self, path: &TreePath) -> bool {
        path.is_root() || self.entries.get(path).is_some_and(|at| at.header.kind == HeaderKind::Directory)
    }

    /// Where `path` really lies, links followed; whether something is there is [`get`](Self::get)'s to say.
    ///
    /// # Errors
    /// More than forty links.
    pub fn resolve(&self, path: &TreePath) -> Result<TreePath, TooManyLinks> {
        links::resolve(path, |at| self.link(at))
    }

    /// Everything, sorted by path.
    pub fn iter(&self) -> impl Iterator<Item = (&TreePath, &Placed)> {
        self.entries.iter()
    }

    /// Everything below a directory, sorted by path.
    pub fn below(&self, path: &TreePath) -> impl Iterator<Item = (&TreePath, &Placed)> {
        // The smallest name that a file can have.
        let first = path.join(b"\x01");
        self.entries
            .range((Bound::Included(first), Bound::Unbounded))
            .take_while(move |(at, _)| at.starts_with(path))
    }

    /// What a directory holds, by name.
    pub fn children(&self, path: &TreePath) -> impl Iterator<Item = (&TreePath, &Placed)> {
        let prefix = if path.is_root() { 0 } else { path.as_bytes().len() + 1 };
        self.below(path).filter(move |(at, _)| !at.as_bytes()[prefix..].contains(&b'/'))
    }
}

#[cfg(test)]
mod tests {
    use super::super::index::tests::{index, path};
    use super::super::tar::build::{Tar, tar};
    use super::*;

    fn merged(layers: &[Tar]) -> Merged {
        let layers: Vec<_> = layers.iter().map(|layer| index(layer.clone()).unwrap()).collect();
        Merged::of(&layers).unwrap()
    }

    /// Each path with a letter for its kind and the number of the layer that brought it.
    fn listing(merged: &Merged) -> Vec<String> {
        let line = |(path, placed): (&TreePath, &Placed)| {
            let kind = match placed.header.kind {
                HeaderKind::Directory => 'd',
                HeaderKind::File { .. } => 'f',
                HeaderKind::Symlink(_) => 'l',
                _ => '?',
            };
            let layer = placed.layer.map_or("-".to_owned(), |layer| layer.to_string());
            format!("{path} {kind}{layer}")
        };
        merged.iter().map(line).collect()
    }

    #[test]
    fn layers_combine() {
        let base = || tar().dir("a/").dir("a/b/").file("a/b/c", b"1").file("a/d", b"22").file("a-x", b"");
        for (upper, expected) in [
            // A directory over a directory keeps what is in it; anything else replaces it whole.
            (tar().dir("a/"), &["/a d1", "/a-x f0", "/a/b d0", "/a/b/c f0", "/a/d f0"][..]),
            (tar().file("a", b""), &["/a f1", "/a-x f0"]),
            (tar().symlink("a", "x"), &["/a l1", "/a-x f0"]),
            (
                tar().file("a/d", b"").file("a/b/e", b""),
                &["/a d0", "/a-x f0", "/a/b d0", "/a/b/c f0", "/a/b/e f1", "/a/d f1"],
            ),
            // Marks work on lower layers only, wherever they stand in the archive.
            (tar().file(".wh.a", b""), &["/a-x f0"]),
            (tar().file("a/.wh.b", b""), &["/a d0", "/a-x f0", "/a/d f0"]),
            (
                tar().file("a/b/new", b"").file("a/.wh.b", b""),
                &["/a d0", "/a-x f0", "/a/b d-", "/a/b/new f1", "/a/d f0"],
            ),
            (tar().file("a/new", b"").file("a/.wh..wh..opq", b""), &["/a d0", "/a-x f0", "/a/new f1"]),
            (tar().file(".wh..wh..opq", b"").dir("n/"), &["/n d1"]),
            (tar().dir("a/b/").file("a/b/.wh..wh..opq", b""), &["/a d0", "/a-x f0", "/a/b d1", "/a/d f0"]),
            // Missing parents appear; a mark in a missing directory makes it too.
            (tar().file(".wh.a", b"").file("x/y/z", b""), &["/a-x f0", "/x d-", "/x/y d-", "/x/y/z f1"]),
            (tar().file("x/.wh.y", b""), &["/a d0", "/a-x f0", "/a/b d0", "/a/b/c f0", "/a/d f0", "/x d-"]),
            // What is no directory gives way to an entry below it.
            (tar().file("a/d/e", b""), &["/a d0", "/a-x f0", "/a/b d0", "/a/b/c f0", "/a/d d-", "/a/d/e f1"]),
        ] {
            assert_eq!(listing(&merged(&[base(), upper])), expected);
        }
        let replaced = merged(&[tar().symlink("lib", "usr/lib").dir("usr/lib/"), tar().file("lib/x", b"")]);
        assert_eq!(listing(&replaced), ["/lib d-", "/lib/x f1", "/usr d-", "/usr/lib d0"]);
        assert_eq!(replaced.get(&path("lib")).unwrap().header.attributes, Attributes::new(0o755));
    }

    #[test]
    fn hard_links_are_what_they_link_to() {
        let setuid = |block: &mut [u8; 512]| block[100..108].copy_from_slice(b"0004755\0");
        let merged = merged(&[tar()
            .symlink("bin", "usr/bin")
            .with(b'0', "usr/bin/a", b"barrel", setuid)
            .hardlink("b", "bin/a")
            .hardlink("a-first", "b")
            .symlink("s", "x")
            .hardlink("t", "s")]);
        for name in ["b", "a-first"] {
            let found = merged.get(&path(name)).unwrap();
            assert_eq!(found.header, merged.get(&path("usr/bin/a")).unwrap().header);
            assert_eq!(found.content.as_deref(), Some(&path("usr/bin/a")));
        }
        assert_eq!(merged.get(&path("t")).unwrap().header.kind, HeaderKind::Symlink(b"x".to_vec()));
        for bad in [tar().hardlink("a", "b"), tar().hardlink("a", "a"), tar().dir("b").hardlink("a", "b")] {
            let error = Merged::of([&index(bad).unwrap()]).unwrap_err();
            assert!(matches!(error, ReadError::Entry { fault: EntryFault::HardLink { .. }, .. }), "{error}");
        }
    }

    #[test]
    fn implied_directories_are_bounded() {
        let deep = |number: usize| format!("{number}/{}x", "a/".repeat(2000));
        let layer =
            (0..10).fold(tar(), |tar, number| tar.pax(&[("path", deep(number).as_bytes())]).file("f", b""));
        let error = Merged::of([&index(layer).unwrap()]).unwrap_err();
        assert!(
            matches!(error, ReadError::Entry { fault: EntryFault::TooManyDirectories { .. }, .. }),
            "{error}"
        );
        // What is there already, or named, costs nothing.
        let shared = (0..50).fold(tar(), |tar, number| {
            tar.pax(&[("path", format!("{}{number}", "a/".repeat(1500)).as_bytes())]).file("f", b"")
        });
        assert_eq!(merged(&[shared]).iter().count(), 1550);
    }

    #[test]
    fn lookups() {
        let merged = merged(&[tar()
            .symlink("lib", "usr/lib")
            .file("usr/lib/x", b"")
            .file("usr/lib/y/z", b"")
            .file("usr/lib-y", b"")
            .symlink("usr/up", "../../..")]);
        assert_eq!(merged.resolve(&path("lib/y")), Ok(path("usr/lib/y")));
        assert_eq!(merged.resolve(&path("usr/up/lib/x")), Ok(path("usr/lib/x")));
        assert!(
            merged.is_dir(&TreePath::root()) && merged.is_dir(&path("usr")) && !merged.is_dir(&path("lib"))
        );
        let names = |at: &str| merged.children(&path(at)).map(|(p, _)| p.to_string()).collect::<Vec<_>>();
        assert_eq!(names("usr/lib"), ["/usr/lib/x", "/usr/lib/y"]);
        assert_eq!(names("/"), ["/lib", "/usr"]);
        assert_eq!(merged.below(&path("usr/lib")).count(), 3);
    }
}
