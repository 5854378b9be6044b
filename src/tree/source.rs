//! What a recipe's `from` names, read from the checkout: kinds, names of contents, nothing else.

use std::collections::BTreeMap;

use super::{Attributes, Content, Kind, SourceKey, TreePath};
use crate::digest::Digest;

/// One thing in a source tree. Owners and times of a checkout mean nothing, so they aren't there.
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
    /// Out of an archive or an image, with the attributes that it has there. Never opaque, never a whiteout; the target of
    /// a hard link is a path of the same tree.
    Kept {
        /// What it is.
        kind: Kind,
        /// Of an archive's members only the mode.
        attributes: Attributes,
    },
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
    /// directory's is `-`. Paths are escaped as in Rust's `escape_ascii`, so a line is a line. What is
    /// [kept](SourceNode::Kept) is written so that the tree can be read back: see [`SourceTree::read`].
    pub fn lines(&self) -> impl Iterator<Item = String> {
        self.nodes.iter().map(|(path, node)| {
            let path = path.as_bytes().escape_ascii();
            match node {
                SourceNode::Directory => format!("dir - {path}"),
                SourceNode::Symlink(target) => format!("link {} {path}", Digest::of(target)),
                SourceNode::File { content, executable } => {
                    format!("{} {} {path}", if *executable { "0755" } else { "0644" }, content.digest)
                }
                SourceNode::Kept { kind, attributes } => kept_line(kind, attributes, &path.to_string()),
            }
        })
    }

    /// Reads the listing of a tree in which everything is [kept](SourceNode::Kept); none when it is no such listing.
    ///
    /// ```text
    /// f0644 sha256:…:1234 path          a file, its digest and size
    /// d0750,33:33 - path                a directory, its owner where that isn't 0:0
    /// f0755,security.capability=01… …   extended attributes, in hex
    /// l0777 - path<TAB>target           a symbolic link
    /// h0644 - path<TAB>path             another name of a file
    /// ```
    pub fn read<'l>(single: bool, lines: impl Iterator<Item = &'l str>) -> Option<Self> {
        let nodes = lines.map(read_kept).collect::<Option<_>>()?;
        Some(Self { single, nodes })
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

fn kept_line(kind: &Kind, attributes: &Attributes, path: &str) -> String {
    let Attributes { mode, uid, gid, xattrs } = attributes;
    let mut head = format!("{mode:04o}");
    if (*uid, *gid) != (0, 0) {
        head += &format!(",{uid}:{gid}");
    }
    for (name, value) in xattrs {
        let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
        head += &format!(",{}={hex}", name.escape_ascii().to_string().replace(' ', "\\x20"));
    }
    match kind {
        Kind::Directory { .. } | Kind::Whiteout => format!("d{head} - {path}"),
        Kind::File(Content { digest, size }) => format!("f{head} {digest}:{size} {path}"),
        Kind::Symlink(target) => format!("l{head} - {path}\t{}", target.escape_ascii()),
        Kind::HardLink(target) => format!("h{head} - {path}\t{}", target.as_bytes().escape_ascii()),
    }
}

fn read_kept(line: &str) -> Option<(TreePath, SourceNode)> {
    let (head, rest) = line.split_once(' ')?;
    let (content, rest) = rest.split_once(' ')?;
    let (path, target) = rest.split_once('\t').map_or((rest, None), |(path, target)| (path, Some(target)));
    let bytes = unescape(path)?;
    let path = TreePath::parse(&bytes).ok().filter(|path| path.as_bytes() == bytes && !path.is_root())?;
    let (letter, head) = head.split_at_checked(1)?;
    let mut fields = head.split(',');
    let mode = fields.next().filter(|mode| (4..=5).contains(&mode.len()))?;
    let mut attributes = Attributes::new(u32::from_str_radix(mode, 8).ok()?);
    for field in fields {
        if let Some((name, value)) = field.split_once('=') {
            let hex = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
            let value = value.as_bytes().chunks(2).map(hex).collect::<Option<Vec<u8>>>()?;
            attributes.xattrs.insert(unescape(&name.replace("\\x20", " "))?, value);
        } else {
            let (uid, gid) = field.split_once(':')?;
            attributes = attributes.owned(uid.parse().ok()?, gid.parse().ok()?);
        }
    }
    let kind = match (letter, content, target) {
        ("d", "-", None) => Kind::Directory { opaque: false },
        ("f", content, None) => {
            let (digest, size) = content.rsplit_once(':')?;
            Kind::File(Content { digest: digest.parse().ok()?, size: size.parse().ok()? })
        }
        ("l", "-", Some(target)) => Kind::Symlink(unescape(target)?),
        ("h", "-", Some(target)) => Kind::HardLink(TreePath::parse(&unescape(target)?).ok()?),
        _ => return None,
    };
    // One text for each tree.
    (kept_line(&kind, &attributes, &path.as_bytes().escape_ascii().to_string()) == line)
        .then_some((path, SourceNode::Kept { kind, attributes }))
}

/// The bytes of which `text` is the `escape_ascii`; none when it is of none.
pub fn unescape(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        rest = after;
        if first != b'\\' {
            bytes.push(first);
            continue;
        }
        let (&kind, after) = rest.split_first()?;
        rest = after;
        bytes.push(match kind {
            b't' => b'\t',
            b'n' => b'\n',
            b'r' => b'\r',
            b'x' => {
                let (digits, after) = rest.split_at_checked(2)?;
                rest = after;
                u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    // One text per path: whatever escape_ascii would have written otherwise is refused.
    (bytes.escape_ascii().to_string() == text).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_and_back() {
        let all: Vec<u8> = (0..=255).collect();
        assert_eq!(unescape(&all.escape_ascii().to_string()), Some(all));
        for bad in ["\\", "\\x", "\\x4", "\\x41", "\\q", "\\xFF", "é", "\n", "\\x+1"] {
            assert_eq!(unescape(bad), None, "{bad}");
        }
    }

    #[test]
    fn kept_trees_and_back() {
        let path = |text: &str| TreePath::parse(text.as_bytes()).unwrap();
        let kept = |kind, attributes| SourceNode::Kept { kind, attributes };
        let mut odd = Attributes::new(0o4755).owned(33, 4_000_000);
        odd.xattrs.insert(b"security.capability".to_vec(), vec![1, 0, 255]);
        odd.xattrs.insert(b"user.a b".to_vec(), Vec::new());
        let nodes = [
            ("a b", kept(Kind::Directory { opaque: false }, Attributes::new(0o750))),
            ("a b/f", kept(Kind::File(Content::of(b"x")), odd)),
            ("a b/h", kept(Kind::HardLink(path("a b/f")), Attributes::new(0o644))),
            ("l", kept(Kind::Symlink(b"/a \t\xff -> x".to_vec()), Attributes::new(0o777))),
        ];
        let nodes = nodes.into_iter().map(|(name, node)| (path(name), node)).collect();
        let tree = SourceTree { single: false, nodes };
        let lines: Vec<String> = tree.lines().collect();
        assert_eq!(lines[0], "d0750 - a b");
        assert_eq!(SourceTree::read(false, lines.iter().map(String::as_str)), Some(tree));
        for bad in [
            "d750 - a",
            "f0644 - a",
            "d0755 - /a",
            "d0755 - a\tb",
            "x0644 - a",
            "l0777 - a",
            "",
            "f0644,0:0 x a",
        ] {
            assert_eq!(SourceTree::read(false, std::iter::once(bad)), None, "{bad:?}");
        }
    }
}
