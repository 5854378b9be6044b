//! A path inside an image: bytes, relative to the root, already normalised.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;

/// Components joined by `/`, without a leading or final slash; the root is empty.
///
/// A value of this type never has an empty, `.` or `..` component and no NUL, so it can't climb out of
/// anything. It may hold any other byte: file names aren't text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct TreePath(Vec<u8>);

/// Why some bytes are not a path inside an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TreePathError {
    /// A `..` component.
    #[error("the path climbs with ..")]
    Climbs,
    /// A NUL byte.
    #[error("the path holds a NUL byte")]
    Nul,
    /// No system could make it.
    #[error("the path has {length} bytes, and Linux takes no more than {}", TreePath::LONGEST)]
    Long {
        /// Its length.
        length: usize,
    },
    /// A component that no file system could hold.
    #[error(
        "a name in the path has {length} bytes, and file systems take no more than {}",
        TreePath::LONGEST_NAME
    )]
    LongName {
        /// Its length.
        length: usize,
    },
}

impl TreePath {
    /// The root directory.
    pub const fn root() -> Self {
        Self(Vec::new())
    }

    /// The most bytes that Linux takes as a path, without a leading slash.
    pub const LONGEST: usize = 4095;
    /// The most bytes of a component.
    pub const LONGEST_NAME: usize = 255;

    /// Whether an engine could make it.
    ///
    /// # Errors
    /// It is too long, or a component is.
    pub fn fits(&self) -> Result<(), TreePathError> {
        let length = self.0.len();
        if length > Self::LONGEST {
            return Err(TreePathError::Long { length });
        }
        // The mark of a whiteout comes on top: nobody makes a file of that name.
        let own = |name: &[u8]| name.strip_prefix(b".wh.").unwrap_or(name).len();
        // Most are shorter altogether.
        let long = if length > Self::LONGEST_NAME {
            self.components().find(|name| own(name) > Self::LONGEST_NAME)
        } else {
            None
        };
        long.map_or(Ok(()), |name| Err(TreePathError::LongName { length: name.len() }))
    }

    /// Reads a path: leading and repeated slashes, `.` components and a final slash mean nothing.
    ///
    /// # Errors
    /// A `..` component, a NUL byte, or what is too long.
    pub fn parse(bytes: &[u8]) -> Result<Self, TreePathError> {
        if bytes.contains(&0) {
            return Err(TreePathError::Nul);
        }
        if Self::is_normal(bytes) {
            let path = Self(bytes.to_vec());
            return path.fits().map(|()| path);
        }
        let mut path = Self(Vec::with_capacity(bytes.len()));
        for component in bytes.split(|&byte| byte == b'/') {
            match component {
                b"" | b"." => {}
                b".." => return Err(TreePathError::Climbs),
                name => path.push(name),
            }
        }
        path.fits().map(|()| path)
    }

    /// Whether reading `bytes` as a path gives the same bytes.
    pub(crate) fn is_normal(bytes: &[u8]) -> bool {
        // Looks at all of it rather than stop somewhere: that is faster, and nearly all are.
        let pairs = bytes.iter().zip(bytes.iter().skip(1));
        let suspects = pairs.fold(false, |found, (a, b)| found | (*a == b'/' && matches!(b, b'/' | b'.')));
        let simple = !suspects && !matches!(bytes.first(), Some(b'/' | b'.')) && bytes.last() != Some(&b'/');
        let named = |name: &[u8]| !matches!(name, b"" | b"." | b"..");
        !bytes.contains(&0) && (simple || bytes.split(|&byte| byte == b'/').all(named))
    }

    /// The bytes, without a leading slash.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether bytes name one thing in a directory of an image: not the directory itself, the one above, something
    /// elsewhere, too long a name, or what hides files of lower layers (`.wh.`).
    pub fn is_name(name: &[u8]) -> bool {
        !matches!(name, b"" | b"." | b"..")
            && !name.contains(&0)
            && !name.contains(&b'/')
            && !name.starts_with(b".wh.")
            && name.len() <= Self::LONGEST_NAME
    }

    /// The path of something in this directory by a name that comes from outside: of a URL, an archive, a file system. None
    /// for what [is no name](Self::is_name).
    pub fn child(&self, name: &[u8]) -> Option<Self> {
        Self::is_name(name).then(|| self.join(name))
    }

    /// The path of `name` (one component, not empty, `.` or `..`) in this directory: of one that is known to be so. Others
    /// are [children](Self::child).
    #[must_use]
    pub fn join(&self, name: &[u8]) -> Self {
        let mut path = Self(Vec::with_capacity(self.0.len() + 1 + name.len()));
        path.0.extend_from_slice(&self.0);
        path.push(name);
        path
    }

    fn push(&mut self, name: &[u8]) {
        debug_assert!(!name.is_empty() && name != b"." && name != b"..");
        if !self.0.is_empty() {
            self.0.push(b'/');
        }
        self.0.extend_from_slice(name);
    }

    /// The directory that holds this path; none for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let cut = self.0.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        Some(Self(self.0[..cut].to_vec()))
    }

    /// The last component; empty for the root.
    pub fn name(&self) -> &[u8] {
        let start = self.0.iter().rposition(|&byte| byte == b'/').map_or(0, |at| at + 1);
        &self.0[start..]
    }

    /// The components from the root down.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|&byte| byte == b'/').filter(|name| !name.is_empty())
    }

    /// Every directory above this path, nearest first, without the root.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> {
        std::iter::successors(self.parent(), Self::parent).take_while(|path| !path.is_root())
    }

    /// What a map has for directories above this path, nearest first, without the root. Nothing is copied, and what no key has
    /// in common with the path is passed over: to ask for each of the [ancestors](Self::ancestors) takes the square of a deep
    /// path's length.
    pub(crate) fn above<'m, V>(&self, map: &'m BTreeMap<Self, V>) -> impl Iterator<Item = (&'m Self, &'m V)> {
        let mut rest = above(&self.0);
        let before =
            |rest: &[u8]| map.range::<[u8], _>((Bound::Unbounded, Bound::Included(rest))).next_back();
        std::iter::from_fn(move || {
            while !rest.is_empty() {
                let (found, value) = before(rest)?;
                let common = found.0.iter().zip(rest).take_while(|(a, b)| a == b).count();
                let ends = |length: usize| length == rest.len() || rest[length] == b'/';
                if common == found.0.len() && ends(common) {
                    rest = above(&rest[..common]);
                    return Some((found, value));
                }
                // Whatever lies between has the same beginning: nothing longer is a key.
                rest = &rest[..(0..=common).rev().find(|length| ends(*length)).unwrap_or(0)];
            }
            None
        })
    }

    /// Whether this path lies below one of a set, the root apart.
    pub(crate) fn is_below_one(&self, map: &BTreeMap<Self, ()>) -> bool {
        self.above(map).next().is_some()
    }

    /// Whether this path is `other` or lies below it.
    pub fn starts_with(&self, other: &Self) -> bool {
        other.is_root()
            || (self.0.starts_with(&other.0)
                && (self.0.len() == other.0.len() || self.0[other.0.len()] == b'/'))
    }

    /// The bytes that remain below `base`, when this path lies below it.
    pub(crate) fn below(&self, base: &Self) -> Option<&[u8]> {
        let rest = self.0.strip_prefix(&*base.0)?;
        let rest = if base.is_root() { rest } else { rest.strip_prefix(b"/")? };
        (!rest.is_empty()).then_some(rest)
    }

    /// What remains below `base`, when this path is `base` or lies below it.
    pub fn strip_prefix(&self, base: &Self) -> Option<Self> {
        if !self.starts_with(base) {
            return None;
        }
        let rest = &self.0[base.0.len()..];
        Some(Self(rest.strip_prefix(b"/").unwrap_or(rest).to_vec()))
    }
}

/// The directory above a path, empty for one in the root.
fn above(path: &[u8]) -> &[u8] {
    &path[..path.iter().rposition(|&byte| byte == b'/').unwrap_or(0)]
}

/// Both are ordered and compared alike.
impl Borrow<[u8]> for TreePath {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

/// With a leading slash, as people write it; bytes that aren't printable text are escaped.
impl fmt::Display for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}", self.0.escape_ascii())
    }
}

impl fmt::Debug for TreePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn normalises_and_refuses() {
        assert_eq!(path("//etc/./nginx/").as_bytes(), b"etc/nginx");
        assert!(path("/").is_root());
        assert_eq!(TreePath::parse(b"/etc/../x"), Err(TreePathError::Climbs));
        assert_eq!(TreePath::parse(b"a\0b"), Err(TreePathError::Nul));
        let (name, deep) = ("n".repeat(255), "d/".repeat(2047) + "d");
        for good in [&*name, &*deep, &format!("x/{name}/y"), &format!(".wh.{name}"), &format!("//./{deep}/")]
        {
            assert!(TreePath::parse(good.as_bytes()).is_ok(), "{}", good.len());
        }
        for bad in [format!("{name}n"), format!("x/{name}n/y"), format!("a/./{name}n")] {
            assert_eq!(TreePath::parse(bad.as_bytes()), Err(TreePathError::LongName { length: 256 }));
        }
        for bad in [format!("{deep}d"), format!("/{deep}d")] {
            assert_eq!(TreePath::parse(bad.as_bytes()), Err(TreePathError::Long { length: 4096 }));
        }
        assert!(TreePath::is_name(name.as_bytes()) && !TreePath::is_name(format!("{name}n").as_bytes()));
    }

    #[test]
    fn names_from_outside() {
        let home = path("home");
        for name in [
            &b""[..],
            b".",
            b"..",
            b"a/b",
            b"/",
            b"a/",
            b"../a",
            b"a\0",
            b"\0",
            b".wh.a",
            b".wh..wh..opq",
            b".wh.",
        ] {
            assert_eq!(home.child(name), None, "{name:?}");
        }
        for name in [&b"a"[..], b"...", b"%2e%2e", b".w", b"a b\xff", b"..a", b"\\"] {
            assert_eq!(home.child(name), Some(home.join(name)));
        }
    }

    #[test]
    fn what_lies_above() {
        let keys = ["", "a", "a!", "a/b", "a/b!", "a/b/c/d", "a/bc", "b", "b/x/y/z", "c/d/e"];
        let map: BTreeMap<TreePath, usize> = keys.iter().map(|key| path(key)).zip(0..).collect();
        let mut asked: Vec<TreePath> = keys.iter().map(|key| path(key)).collect();
        for name in
            ["a/b/c/d/e/f", "a/b/c/e", "b/x/y/z/z/z", "b/x/y", "c/d/e/f", "c/d", "zz/z", "a/b!/x", "A/a"]
        {
            asked.push(path(name));
            asked.push(path(name).join(b"end"));
        }
        for path in asked {
            let found: Vec<_> = path.above(&map).map(|(key, value)| (key.clone(), *value)).collect();
            let expected: Vec<_> =
                path.ancestors().filter_map(|key| Some((key.clone(), *map.get(&key)?))).collect();
            assert_eq!(found, expected, "{path}");
        }
    }

    #[test]
    fn takes_apart() {
        let nginx = path("/etc/nginx/conf.d");
        assert_eq!(nginx.name(), b"conf.d");
        assert_eq!(nginx.ancestors().map(|p| p.to_string()).collect::<Vec<_>>(), ["/etc/nginx", "/etc"]);
        assert!(nginx.starts_with(&path("etc/nginx")) && !path("etc/nginx2").starts_with(&path("etc/nginx")));
        assert_eq!(nginx.strip_prefix(&path("etc")), Some(path("nginx/conf.d")));
        assert_eq!(nginx.strip_prefix(&nginx), Some(TreePath::root()));
        assert_eq!(nginx.below(&path("etc")), Some(&b"nginx/conf.d"[..]));
        assert_eq!(nginx.below(&TreePath::root()), Some(nginx.as_bytes()));
        for base in ["etc/nginx/conf.d", "etc/ngin", "etc/nginx/conf.d/x", "x"] {
            assert_eq!(nginx.below(&path(base)), None, "{base}");
        }
        assert_eq!(TreePath::root().below(&TreePath::root()), None);
    }
}
