//! Encoding 1: what an image holds where new entries are about to land, as far as it is known without its layers.
//!
//! Owns path resolution: over the base's facts, the layers of parent recipes above them, and this recipe's own
//! entries above those. Nothing is ever read from a disk here; what the facts don't tell (a plain file of the
//! base) is [`Found::Unknown`].

use std::collections::BTreeMap;

use crate::layer::facts::Facts;
use crate::tree::{Attributes, FileTree, Kind, TreePath};

/// As many symbolic links as Linux follows in one path.
const MAX_LINKS: usize = 40;

/// The state of an image's tree.
#[derive(Debug, Clone)]
pub(crate) struct View<'a> {
    facts: &'a Facts,
    over: BTreeMap<TreePath, Over>,
}

#[derive(Debug, Clone)]
enum Over {
    Gone,
    /// `hides`: nothing of lower layers shines through from here down.
    Directory {
        attributes: Attributes,
        hides: bool,
    },
    Link(Vec<u8>),
    File,
}

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Found {
    /// Certainly nothing.
    Nothing,
    /// No directory, no link to one: a file of the base, or nothing.
    Unknown,
    Directory(Attributes),
    Link(Vec<u8>),
    File,
}

/// Why a path leads nowhere.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ResolveError {
    /// More than 40 links, or a circle of them.
    #[error("{link} leads in a circle, or through more than {MAX_LINKS} links")]
    Loop {
        /// The link where counting stopped.
        link: TreePath,
    },
    /// A link on the way whose target isn't there.
    #[error("{link} is a link to {}, which is not there", target.escape_ascii())]
    Dangling {
        /// The link.
        link: TreePath,
        /// Its target, as written.
        target: Vec<u8>,
    },
    /// A component on the way is a file.
    #[error("{file} is a file, nothing can be below it")]
    BelowFile {
        /// The file.
        file: TreePath,
    },
}

impl<'a> View<'a> {
    pub(crate) const fn new(facts: &'a Facts) -> Self {
        Self { facts, over: BTreeMap::new() }
    }

    /// Lays a parent recipe's layer on top.
    pub(crate) fn apply(&mut self, layer: &FileTree) {
        // Whiteouts act on lower layers only, wherever they stand in their own.
        for (path, node) in layer.iter() {
            match node.kind {
                Kind::Whiteout => self.remove(path),
                Kind::Directory { opaque: true } => {
                    self.remove(path);
                }
                _ => {}
            }
        }
        for (path, node) in layer.iter() {
            match &node.kind {
                Kind::Whiteout => {}
                Kind::Directory { .. } => self.put_directory(path, node.attributes.clone()),
                Kind::Symlink(target) => self.put_link(path, target.clone()),
                Kind::File(_) | Kind::HardLink(_) => self.put_file(path),
            }
        }
    }

    pub(crate) fn remove(&mut self, path: &TreePath) {
        self.cut(path);
        self.over.insert(path.clone(), Over::Gone);
    }

    pub(crate) fn put_directory(&mut self, path: &TreePath, attributes: Attributes) {
        let hides = !matches!(self.lookup(path), Found::Directory(_))
            || matches!(self.over.get(path), Some(Over::Directory { hides: true, .. }));
        self.over.insert(path.clone(), Over::Directory { attributes, hides });
    }

    pub(crate) fn put_link(&mut self, path: &TreePath, target: Vec<u8>) {
        self.cut(path);
        self.over.insert(path.clone(), Over::Link(target));
    }

    pub(crate) fn put_file(&mut self, path: &TreePath) {
        self.cut(path);
        self.over.insert(path.clone(), Over::File);
    }

    /// Every path that the layers above the facts hold.
    pub(crate) fn above_facts(&self) -> impl Iterator<Item = &TreePath> {
        self.over.iter().filter(|(_, over)| !matches!(over, Over::Gone)).map(|(path, _)| path)
    }

    /// Forgets what lies at and below `path` in the layers above the facts.
    fn cut(&mut self, path: &TreePath) {
        self.over.remove(path);
        // No name holds a NUL: this is where the names below begin.
        let below = self.over.range(path.join(b"\0")..).map(|(found, _)| found);
        let below: Vec<TreePath> = below.take_while(|found| found.starts_with(path)).cloned().collect();
        for found in below {
            self.over.remove(&found);
        }
    }

    /// What stands at `path` itself; no component is followed.
    pub(crate) fn lookup(&self, path: &TreePath) -> Found {
        if path.is_root() {
            return Found::Directory(Attributes::new(0o755));
        }
        match self.over.get(path) {
            Some(Over::Gone) => return Found::Nothing,
            Some(Over::Directory { attributes, .. }) => return Found::Directory(attributes.clone()),
            Some(Over::Link(target)) => return Found::Link(target.clone()),
            Some(Over::File) => return Found::File,
            None => {}
        }
        if path.above(&self.over).any(|(_, over)| !matches!(over, Over::Directory { hides: false, .. })) {
            return Found::Nothing;
        }
        if let Some(attributes) = self.facts.directory(path) {
            return Found::Directory(attributes);
        }
        self.facts.link(path).map_or(Found::Unknown, |target| Found::Link(target.into_owned()))
    }

    /// Where `path` really lies: every link on the way is followed, the last component only if `last` says so.
    ///
    /// # Errors
    /// See [`ResolveError`]. Components that don't exist yet are no error unless a link led to them.
    pub(crate) fn resolve(&self, path: &TreePath, last: Last) -> Result<TreePath, ResolveError> {
        self.resolve_below(TreePath::root(), path.components(), last)
    }

    /// The same from a directory on that lies where its path says: a tree that is deep isn't walked again for each of its
    /// directories.
    ///
    /// # Errors
    /// See [`resolve`](Self::resolve).
    pub(crate) fn resolve_below<'n>(
        &self,
        directory: TreePath,
        names: impl DoubleEndedIterator<Item = &'n [u8]>,
        last: Last,
    ) -> Result<TreePath, ResolveError> {
        let mut todo: Vec<Vec<u8>> = names.rev().map(<[u8]>::to_vec).collect();
        let (mut at, mut followed) = (directory, 0);
        // The links whose targets are being walked, each until fewer than so many components remain.
        let mut within: Vec<(TreePath, Vec<u8>, usize)> = Vec::new();
        while let Some(name) = todo.pop() {
            if name == b".." {
                at = at.parent().unwrap_or_default();
                continue;
            }
            let next = at.join(&name);
            let is_last = todo.is_empty();
            within.retain(|(_, _, floor)| todo.len() >= *floor);
            match self.lookup(&next) {
                Found::Link(target) if !is_last || last == Last::Follow => {
                    followed += 1;
                    if followed > MAX_LINKS {
                        return Err(ResolveError::Loop { link: next });
                    }
                    if target.first() == Some(&b'/') {
                        at = TreePath::root();
                    }
                    within.push((next, target.clone(), todo.len()));
                    let steps = target.split(|&byte| byte == b'/').rev();
                    todo.extend(steps.filter(|step| !matches!(*step, b"" | b".")).map(<[u8]>::to_vec));
                }
                Found::File if !is_last => return Err(ResolveError::BelowFile { file: next }),
                Found::Nothing | Found::Unknown => match within.pop() {
                    Some((link, target, _)) => return Err(ResolveError::Dangling { link, target }),
                    None => at = next,
                },
                _ => at = next,
            }
        }
        Ok(at)
    }
}

/// What to do with the last component when it is a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Last {
    Follow,
    Keep,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text.as_bytes()).unwrap()
    }

    fn base() -> Facts {
        let text = "facts 1\nd /etc\nd /run\nd /usr\nd /usr/bin\nd /usr/lib\nd /var\n\
            l /a b\nl /b a\nl /bin /usr/bin\nl /gone nowhere/at/all\nl /half lib/nothing\nl /lib usr/lib\n\
            l /var/run ../run\nl /var/up ../../../etc\n";
        Facts::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn follows_links_inside_the_root() {
        let base = base();
        let view = View::new(&base);
        for (from, to) in [
            ("/lib/x/y", "/usr/lib/x/y"),
            ("/bin/tool", "/usr/bin/tool"),
            ("/var/run/app.pid", "/run/app.pid"),
            ("/var/up/passwd", "/etc/passwd"),
            ("/new/dir/file", "/new/dir/file"),
            ("/lib", "/lib"),
            ("/gone", "/gone"),
        ] {
            assert_eq!(view.resolve(&path(from), Last::Keep), Ok(path(to)), "{from}");
        }
        assert_eq!(view.resolve(&path("lib"), Last::Follow), Ok(path("usr/lib")));
        assert!(matches!(view.resolve(&path("gone/x"), Last::Keep), Err(ResolveError::Dangling { .. })));
        assert!(matches!(view.resolve(&path("gone"), Last::Follow), Err(ResolveError::Dangling { .. })));
        assert!(matches!(view.resolve(&path("half/x"), Last::Keep), Err(ResolveError::Dangling { .. })));
        assert!(matches!(view.resolve(&path("a/x"), Last::Keep), Err(ResolveError::Loop { .. })));
    }

    #[test]
    fn upper_layers_hide_lower_ones() {
        let base = base();
        let mut view = View::new(&base);
        view.remove(&path("usr"));
        assert_eq!(view.lookup(&path("usr/lib")), Found::Nothing);
        assert!(matches!(view.resolve(&path("lib/x"), Last::Keep), Err(ResolveError::Dangling { .. })));
        view.put_directory(&path("usr"), Attributes::new(0o700));
        assert_eq!(view.lookup(&path("usr")), Found::Directory(Attributes::new(0o700)));
        assert_eq!(view.lookup(&path("usr/lib")), Found::Nothing);
        view.put_link(&path("opt/now"), b"../etc".to_vec());
        assert_eq!(view.resolve(&path("opt/now/x"), Last::Keep), Ok(path("etc/x")));
        view.put_file(&path("etc"));
        assert!(matches!(view.resolve(&path("etc/x"), Last::Keep), Err(ResolveError::BelowFile { .. })));
    }
}
