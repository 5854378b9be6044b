//! Which of the files below a `from` belong to a source tree: what decides bytes of an image in this room. Never
//! edited once released.

use std::collections::{BTreeMap, BTreeSet};

use crate::recipe::{Glob, GlobFault};
use crate::tree::TreePath;

/// Whether a file or directory of this name never belongs to a tree. One that `from` names outright does.
///
/// Version control: `.git`. Systems: `.DS_Store`, `._*`, `Thumbs.db`, `desktop.ini`. Editors: `*~`, `.*.swp`, `.#*`,
/// `#*#`.
pub(super) fn is_junk(name: &[u8]) -> bool {
    matches!(name, b".git" | b".DS_Store" | b"Thumbs.db" | b"desktop.ini")
        || name.ends_with(b"~")
        || name.starts_with(b"._")
        || name.starts_with(b".#")
        || (name.starts_with(b".") && name.ends_with(b".swp"))
        || (name.len() > 1 && name.starts_with(b"#") && name.ends_with(b"#"))
}

/// The `include` and `exclude` of an entry. A pattern that matches a directory means everything in it.
pub struct Filter {
    include: Vec<Glob>,
    exclude: Vec<Glob>,
}

impl Filter {
    /// Reads the patterns; gives the one that can't be read.
    pub fn new(include: &[String], exclude: &[String]) -> Result<Self, (String, GlobFault)> {
        let parse = |patterns: &[String]| {
            let bare = |pattern: &String| {
                Glob::parse(pattern.trim_end_matches('/')).map_err(|fault| (pattern.clone(), fault))
            };
            patterns.iter().map(bare).collect::<Result<Vec<_>, _>>()
        };
        Ok(Self { include: parse(include)?, exclude: parse(exclude)? })
    }

    /// Whether a path is left out, and so everything below it.
    pub fn excludes(&self, path: &TreePath) -> bool {
        self.exclude.iter().any(|glob| glob.matches(path.as_bytes()))
    }

    /// Whether a path or one above it is left out; `known` has what was found of directories.
    pub fn leaves_out(&self, path: &TreePath, known: &mut BTreeMap<TreePath, bool>) -> bool {
        if self.exclude.is_empty() {
            return false;
        }
        let above = match path.parent() {
            Some(parent) if !parent.is_root() => known.get(&parent).copied().unwrap_or_else(|| {
                let left_out = self.leaves_out(&parent, known);
                known.insert(parent, left_out);
                left_out
            }),
            _ => false,
        };
        above || self.excludes(path)
    }

    /// Whether a path is taken: not left out, and included where anything is said to be.
    pub fn takes(&self, path: &TreePath) -> bool {
        let matches =
            |globs: &[Glob], path: &TreePath| globs.iter().any(|glob| glob.matches(path.as_bytes()));
        let within = |globs| matches(globs, path) || path.ancestors().any(|above| matches(globs, &above));
        !within(&self.exclude) && (self.include.is_empty() || within(&self.include))
    }

    /// Leaves what is included, everything below that, and the directories that lead there. Gives back the
    /// patterns that matched nothing.
    pub fn retain_included<T>(&self, found: &mut BTreeMap<TreePath, T>) -> Vec<String> {
        if self.include.is_empty() {
            return Vec::new();
        }
        let mut used = vec![false; self.include.len()];
        let mut kept: BTreeMap<TreePath, ()> = BTreeMap::new();
        for path in found.keys() {
            let mut included = path.is_below_one(&kept);
            for (glob, used) in self.include.iter().zip(&mut used) {
                // An archive need not name its directories.
                let matches = glob.matches(path.as_bytes())
                    || path.ancestors().any(|above| !above.is_root() && glob.matches(above.as_bytes()));
                *used |= matches;
                included |= matches;
            }
            if included {
                kept.insert(path.clone(), ());
            }
        }
        let mut leading: BTreeSet<TreePath> = BTreeSet::new();
        for path in kept.keys() {
            // Of one that was met all those above were.
            for directory in path.ancestors() {
                if !leading.insert(directory) {
                    break;
                }
            }
        }
        found.retain(|path, _| kept.contains_key(path) || leading.contains(path));
        let unused = self.include.iter().zip(used).filter(|(_, used)| !used);
        unused.map(|(glob, _)| glob.as_str().to_owned()).collect()
    }
}

/// The matches of a glob that lie in no other match: each is taken with everything below it.
pub(super) fn outermost(matches: BTreeSet<TreePath>) -> Vec<TreePath> {
    let all: BTreeMap<TreePath, ()> = matches.into_iter().map(|path| (path, ())).collect();
    all.keys().filter(|path| !path.is_below_one(&all)).cloned().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn junk() {
        for name in [".git", ".DS_Store", "Thumbs.db", "desktop.ini", "a~", ".a.swp", ".#a", "#a#", "._a"] {
            assert!(is_junk(name.as_bytes()), "{name}");
        }
        for name in [".gitignore", ".gitkeep", "a.swp", "#", "#a", "~a", ".env", "_", "git"] {
            assert!(!is_junk(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn including() {
        let texts = |patterns: &[&str]| patterns.iter().map(ToString::to_string).collect::<Vec<_>>();
        let filter = Filter::new(&texts(&["**/*.js", "lib/", "none"]), &texts(&["**/*.map"])).unwrap();
        let paths = ["a", "a/b", "a/b/x.js", "a/c", "lib", "lib/z", "lib.txt"];
        let mut found: BTreeMap<_, _> =
            paths.iter().map(|path| (TreePath::parse(path.as_bytes()).unwrap(), ())).collect();
        assert_eq!(filter.retain_included(&mut found), ["none"]);
        let left: Vec<String> = found.keys().map(ToString::to_string).collect();
        assert_eq!(left, ["/a", "/a/b", "/a/b/x.js", "/lib", "/lib/z"]);
        assert!(filter.excludes(&TreePath::parse(b"q/x.map").unwrap()));
        assert_eq!(Filter::new(&[], &texts(&["[x"])).err(), Some(("[x".to_owned(), GlobFault::OpenClass)));
    }
}
