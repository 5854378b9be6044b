//! The header index of one layer: what every entry's header says, as a value and as a canonical text.
//!
//! Owns what an archive's entries mean in a layer: names become paths, whiteouts and opaque marks are told apart, what
//! no engine could apply is refused. It must not look at other layers; [`Merged`](super::merged::Merged) does.

use std::collections::btree_map::Entry as Place;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::error::{EntryFault, ReadError};
use super::tar::{Entry, EntryKind};
use super::text::{Fields, Lines, check_canonical, escape, push_owner, push_path, push_xattrs};
use crate::tree::{Attributes, TreePath, TreePathError};

/// Paths and link targets that Linux can't take are no part of a layer.
const LONGEST: usize = 4096;
/// What one index may hold in names, targets and extended attributes: this, and so much for each entry. Whole systems have
/// some 80 bytes to an entry.
const MOST_BYTES: usize = 16 << 20;
const BYTES_PER_ENTRY: usize = 128;
const WHAT: &str = "header index";
const VERSION: &str = "header-index 1";

/// What stands at a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderKind {
    /// A directory.
    Directory,
    /// A regular file.
    File {
        /// Bytes of content.
        size: u64,
    },
    /// A symbolic link, its target as written.
    Symlink(Vec<u8>),
    /// Another name of a file of the same layer.
    HardLink(TreePath),
    /// A character device.
    Char {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A block device.
    Block {
        /// Major number.
        major: u32,
        /// Minor number.
        minor: u32,
    },
    /// A named pipe.
    Fifo,
}

/// What an entry's header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// What it is.
    pub kind: HeaderKind,
    /// Mode, owner, extended attributes: all of them, also those that are [never emitted](super::v1::xattrs::never_emitted).
    pub attributes: Attributes,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub mtime: i64,
}

/// All headers of one layer.
#[derive(Debug, Clone, Default)]
pub struct LayerIndex {
    /// Directories whose content in lower layers is hidden.
    pub opaques: BTreeSet<TreePath>,
    /// Paths that lower layers' entries are removed from.
    pub whiteouts: BTreeSet<TreePath>,
    /// What the layer brings. In boxes, which a merged view takes over as they are.
    pub entries: BTreeMap<TreePath, Box<Header>>,
    /// So far, while an archive is read; marks count too.
    bytes: usize,
    seen: usize,
}

impl PartialEq for LayerIndex {
    fn eq(&self, other: &Self) -> bool {
        self.opaques == other.opaques && self.whiteouts == other.whiteouts && self.entries == other.entries
    }
}

impl Eq for LayerIndex {}

impl LayerIndex {
    /// Adds an archive's entry; gives its path if it stands for something in the layer, not for a mark.
    ///
    /// # Errors
    /// The entry can't be part of a layer.
    pub fn add(&mut self, entry: &Entry) -> Result<Option<TreePath>, ReadError> {
        self.place(entry).map_err(|fault| ReadError::Entry { path: entry.path.clone(), fault })
    }

    fn place(&mut self, entry: &Entry) -> Result<Option<TreePath>, EntryFault> {
        let path = tree_path(&entry.path)?;
        self.seen += 1;
        self.bytes += path.as_bytes().len();
        let most = MOST_BYTES + BYTES_PER_ENTRY * self.seen;
        if self.bytes > most {
            return Err(EntryFault::IndexTooLarge { limit: most });
        }
        // What AUFS kept at the root; engines skip it.
        if path.as_bytes().starts_with(b".wh..wh.") && path.as_bytes() != b".wh..wh..opq" {
            return Ok(None);
        }
        if path.components().rev().skip(1).any(|name| name.starts_with(b".wh.")) {
            return Err(EntryFault::BelowWhiteout);
        }
        if let Some(name) = path.name().strip_prefix(b".wh.") {
            let parent = path.parent().unwrap_or_default();
            match name {
                b".wh..opq" => self.opaques.insert(parent),
                b"" | b"." | b".." => return Err(EntryFault::Whiteout),
                name => self.whiteouts.insert(parent.join(name)),
            };
            return Ok(None);
        }
        let header = header(entry)?;
        self.bytes += weight(&header);
        if self.bytes > most {
            return Err(EntryFault::IndexTooLarge { limit: most });
        }
        if path.is_root() && header.kind != HeaderKind::Directory {
            return Err(EntryFault::Root);
        }
        match self.entries.entry(path.clone()) {
            Place::Vacant(place) => _ = place.insert(Box::new(header)),
            // Tools repeat directories in good faith; a file written twice is the later one to every engine.
            Place::Occupied(mut place) => {
                if std::mem::discriminant(&place.get().kind) != std::mem::discriminant(&header.kind) {
                    return Err(EntryFault::TypeChanges);
                }
                place.insert(Box::new(header));
            }
        }
        Ok(Some(path))
    }

    /// Checks what only shows once all entries are there: nothing lies below something that is no directory.
    ///
    /// # Errors
    /// An ancestor of an entry or mark is another entry than a directory in this layer.
    pub fn check(&self) -> Result<(), ReadError> {
        // From what is no directory down: the other way round a deep path costs as much as it has ancestors.
        let others = self.entries.iter().filter(|(_, header)| header.kind != HeaderKind::Directory);
        for (ancestor, _) in others {
            let below = self
                .opaques
                .get(ancestor)
                .or_else(|| {
                    first_below(ancestor, |from| {
                        self.entries.range::<TreePath, _>(from..).next().map(|(path, _)| path)
                    })
                })
                .or_else(|| first_below(ancestor, |from| self.whiteouts.range::<TreePath, _>(from..).next()))
                .or_else(|| first_below(ancestor, |from| self.opaques.range::<TreePath, _>(from..).next()));
            if let Some(path) = below {
                return Err(ReadError::Entry {
                    path: path.as_bytes().to_vec(),
                    fault: EntryFault::NotDirectory { ancestor: ancestor.clone() },
                });
            }
        }
        Ok(())
    }

    /// The canonical text: opaque marks, whiteouts, then entries, each part sorted by path.
    pub fn to_text(&self) -> String {
        let paths = self.entries.keys().chain(&self.whiteouts).chain(&self.opaques);
        // Of a large layer it has megabytes; growing by doubling would need three times as many.
        let mut out = String::with_capacity(paths.map(|path| path.as_bytes().len() + 48).sum());
        let _ = writeln!(out, "{VERSION}");
        for (mark, paths) in [("o ", &self.opaques), ("w ", &self.whiteouts)] {
            for path in paths {
                out.push_str(mark);
                push_path(&mut out, path);
                out.push('\n');
            }
        }
        for (path, header) in &self.entries {
            push_entry(&mut out, path, header);
        }
        out
    }

    /// Reads the canonical text.
    ///
    /// # Errors
    /// Another version, or not exactly what [`to_text`](Self::to_text) writes.
    pub fn parse(text: &[u8]) -> Result<Self, ReadError> {
        let mut index = Self::default();
        let mut lines = Lines::of(WHAT, VERSION, text)?;
        while let Some(line) = lines.next() {
            index.take(&mut Fields::of(line)).ok_or_else(|| lines.malformed())?;
        }
        check_canonical(WHAT, text, &index.to_text())?;
        index.check()?;
        Ok(index)
    }

    fn take(&mut self, fields: &mut Fields<'_>) -> Option<()> {
        let mark = fields.word()?;
        let path = fields.path()?;
        match mark {
            "o" => _ = self.opaques.insert(path),
            "w" => _ = self.whiteouts.insert(path),
            _ => _ = self.entries.insert(path, Box::new(take_header(mark, fields)?)),
        }
        fields.end()
    }
}

/// The first path below `ancestor`, if `next` finds one from the smallest that there could be.
fn first_below<'a>(
    ancestor: &TreePath,
    next: impl FnOnce(&TreePath) -> Option<&'a TreePath>,
) -> Option<&'a TreePath> {
    next(&ancestor.join(b"\x01")).filter(|path| path.starts_with(ancestor))
}

fn tree_path(name: &[u8]) -> Result<TreePath, EntryFault> {
    if name.len() > LONGEST {
        return Err(EntryFault::TooLong { limit: LONGEST });
    }
    // The reader lets no NUL through.
    TreePath::parse(name).map_err(|error| match error {
        TreePathError::Climbs | TreePathError::Nul => EntryFault::Climbs,
        TreePathError::Long { .. } => EntryFault::TooLong { limit: LONGEST },
        TreePathError::LongName { .. } => EntryFault::LongName { limit: TreePath::LONGEST_NAME },
    })
}

fn header(entry: &Entry) -> Result<Header, EntryFault> {
    let kind = match &entry.kind {
        EntryKind::Directory => HeaderKind::Directory,
        EntryKind::Regular => HeaderKind::File { size: entry.size },
        EntryKind::Symlink { target } if target.len() >= LONGEST => {
            return Err(EntryFault::TooLong { limit: LONGEST });
        }
        EntryKind::Symlink { target } => HeaderKind::Symlink(target.clone()),
        EntryKind::HardLink { target } => {
            let path = tree_path(target)?;
            if path.is_root() {
                return Err(EntryFault::HardLink { target: target.clone() });
            }
            HeaderKind::HardLink(path)
        }
        &EntryKind::Char { major, minor } => HeaderKind::Char { major, minor },
        &EntryKind::Block { major, minor } => HeaderKind::Block { major, minor },
        EntryKind::Fifo => HeaderKind::Fifo,
    };
    let &Entry { mode, uid, gid, mtime, .. } = entry;
    Ok(Header { kind, attributes: Attributes { mode, uid, gid, xattrs: entry.xattrs.clone() }, mtime })
}

/// What a header holds outside its fixed size, and a guess at that.
fn weight(header: &Header) -> usize {
    let target = match &header.kind {
        HeaderKind::Symlink(target) => target.len(),
        HeaderKind::HardLink(target) => target.as_bytes().len(),
        _ => 0,
    };
    header.attributes.xattrs.iter().map(|(name, value)| name.len() + value.len() + 64).sum::<usize>() + target
}

fn push_entry(out: &mut String, path: &TreePath, header: &Header) {
    out.push(match header.kind {
        HeaderKind::Directory => 'd',
        HeaderKind::File { .. } => 'f',
        HeaderKind::Symlink(_) => 'l',
        HeaderKind::HardLink(_) => 'h',
        HeaderKind::Char { .. } => 'c',
        HeaderKind::Block { .. } => 'b',
        HeaderKind::Fifo => 'p',
    });
    out.push(' ');
    push_path(out, path);
    push_owner(out, &header.attributes);
    // Writing to a String can't fail.
    let _ = write!(out, " {}", header.mtime);
    match &header.kind {
        HeaderKind::Directory | HeaderKind::Fifo => {}
        HeaderKind::File { size } => _ = write!(out, " {size}"),
        HeaderKind::Symlink(target) => {
            out.push(' ');
            escape(out, target);
        }
        HeaderKind::HardLink(target) => {
            out.push(' ');
            push_path(out, target);
        }
        HeaderKind::Char { major, minor } | HeaderKind::Block { major, minor } => {
            _ = write!(out, " {major} {minor}");
        }
    }
    push_xattrs(out, &header.attributes.xattrs);
    out.push('\n');
}

fn take_header(mark: &str, fields: &mut Fields<'_>) -> Option<Header> {
    let mut attributes = fields.owner()?;
    let mtime = fields.number()?;
    let kind = match mark {
        "d" => HeaderKind::Directory,
        "f" => HeaderKind::File { size: fields.number()? },
        "l" => HeaderKind::Symlink(fields.bytes()?),
        "h" => HeaderKind::HardLink(fields.path()?),
        "c" => HeaderKind::Char { major: fields.number()?, minor: fields.number()? },
        "b" => HeaderKind::Block { major: fields.number()?, minor: fields.number()? },
        "p" => HeaderKind::Fifo,
        _ => return None,
    };
    attributes.xattrs = fields.xattrs()?;
    Some(Header { kind, attributes, mtime })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::error::TextFault;
    use super::super::tar::build::{Tar, tar};
    use super::super::tar::{Limits, Reader};
    use super::*;

    pub(crate) fn path(text: &str) -> TreePath {
        TreePath::parse(text.as_bytes()).unwrap()
    }

    pub(crate) fn index(archive: Tar) -> Result<LayerIndex, ReadError> {
        let archive = archive.end();
        let mut reader = Reader::new(&archive[..], Limits::default());
        let mut index = LayerIndex::default();
        while let Some(entry) = reader.next_entry()? {
            index.add(&entry)?;
        }
        index.check()?;
        Ok(index)
    }

    fn refused(archive: Tar) -> EntryFault {
        match index(archive) {
            Err(ReadError::Entry { fault, .. }) => fault,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn text_of_everything() {
        let device = |block: &mut [u8; 512]| {
            block[329..337].copy_from_slice(b"0000001\0");
            block[337..345].copy_from_slice(b"0000003\0");
        };
        let index = index(
            tar()
                .dir("./")
                .dir("./var/")
                .file("/var/.wh..wh..opq", b"")
                .file("etc/.wh.gone", b"")
                .file(".wh..wh..opq", b"")
                .file(".wh..wh.aufs", b"")
                .file(".wh..wh.plnk/0.1", b"")
                .pax(&[("SCHILY.xattr.user.a", b"="), ("SCHILY.xattr.user.b", b"\0 \\"), ("mtime", b"-7")])
                .file("etc/b c", b"barrel")
                .symlink("bin", "usr/bin")
                .hardlink("z", "./etc/b c")
                .with(b'3', "dev/null", b"", device)
                .with(b'4', "dev/loop", b"", device)
                .entry(b'6', "dev/pipe", b""),
        )
        .unwrap();
        let text = "header-index 1\n\
            o /\n\
            o /var\n\
            w /etc/gone\n\
            d / 755 0 0 0\n\
            l /bin 644 0 0 0 usr/bin\n\
            b /dev/loop 644 0 0 0 1 3\n\
            c /dev/null 644 0 0 0 1 3\n\
            p /dev/pipe 644 0 0 0\n\
            f /etc/b\\x20c 644 0 0 -7 6 user.a== user.b=\\x00\\x20\\x5c\n\
            d /var 755 0 0 0\n\
            h /z 644 0 0 0 /etc/b\\x20c\n";
        assert_eq!(index.to_text(), text);
        assert_eq!(LayerIndex::parse(text.as_bytes()).unwrap(), index);
    }

    #[test]
    fn repeated_names() {
        let twice = index(tar().dir("a/").entry(b'5', "a", b"").file("b", b"1").file("./b", b"22")).unwrap();
        assert_eq!(twice.entries[&path("a")].attributes.mode, 0o644);
        assert_eq!(twice.entries[&path("b")].kind, HeaderKind::File { size: 2 });
        assert_eq!(refused(tar().dir("a").file("a", b"")), EntryFault::TypeChanges);
        assert_eq!(refused(tar().file("a", b"").hardlink("a", "b")), EntryFault::TypeChanges);
    }

    #[test]
    fn refusals() {
        let below = |ancestor| EntryFault::NotDirectory { ancestor: path(ancestor) };
        let long = "x/".repeat(2049);
        for (archive, expected) in [
            (tar().file("a/../../b", b""), EntryFault::Climbs),
            (tar().file("..", b""), EntryFault::Climbs),
            (tar().hardlink("a", "../b"), EntryFault::Climbs),
            (tar().hardlink("a", "/"), EntryFault::HardLink { target: b"/".to_vec() }),
            (tar().file(".", b""), EntryFault::Root),
            (tar().symlink("./", "x"), EntryFault::Root),
            (tar().file("a/.wh.", b""), EntryFault::Whiteout),
            (tar().file("a/.wh..", b""), EntryFault::Whiteout),
            (tar().file("a/.wh...", b""), EntryFault::Whiteout),
            (tar().file("a/.wh.b/c", b""), EntryFault::BelowWhiteout),
            (tar().symlink("lib", "usr/lib").file("lib/a/b", b""), below("lib")),
            (tar().file("lib/a/b", b"").file("lib", b""), below("lib")),
            (tar().file("a", b"").file("a/.wh.b", b""), below("a")),
            (tar().file("a", b"").file("a/.wh..wh..opq", b""), below("a")),
            (tar().long(b'L', &long).file("x", b""), EntryFault::TooLong { limit: 4096 }),
            (tar().long(b'K', &long).symlink("x", "y"), EntryFault::TooLong { limit: 4096 }),
        ] {
            assert_eq!(refused(archive), expected);
        }
    }

    #[test]
    fn texts_that_nobody_wrote() {
        let canonical = |line| ReadError::Text { what: WHAT, line, fault: TextFault::Canonical };
        let syntax = |line| ReadError::Text { what: WHAT, line, fault: TextFault::Syntax };
        let version = |found: &str| {
            let fault = TextFault::Version { found: found.to_owned() };
            ReadError::Text { what: WHAT, line: 1, fault }
        };
        for (text, expected) in [
            ("", version("")),
            ("header-index 2\n", version("header-index 2")),
            ("header-index 1", canonical(1)),
            ("header-index 1\n\n", canonical(2)),
            ("header-index 1\nd /a 755 0 0 0\nd /a 755 0 0 0\n", canonical(3)),
            ("header-index 1\nd /b 755 0 0 0\nd /a 755 0 0 0\n", canonical(2)),
            ("header-index 1\nd /a 755 0 0 0\nw /a\n", canonical(2)),
            ("header-index 1\nd /a 0755 0 0 0\n", canonical(2)),
            ("header-index 1\nd /a 755 +0 0 0\n", canonical(2)),
            ("header-index 1\nd /\\x61 755 0 0 0\n", canonical(2)),
            ("header-index 1\nd /a/ 755 0 0 0\n", canonical(2)),
            ("header-index 1\nd /a 755 0 0 0", canonical(2)),
            ("header-index 1\nd /a 755 0 0 0\r\n", syntax(2)),
            ("header-index 1\nd a 755 0 0 0\n", syntax(2)),
            ("header-index 1\nd /.. 755 0 0 0\n", syntax(2)),
            ("header-index 1\nd /a 10000 0 0 0\n", syntax(2)),
            ("header-index 1\nw /a 755\n", syntax(2)),
            ("header-index 1\nf /a 755 0 0 0 -1\n", syntax(2)),
            ("header-index 1\nx /a 755 0 0 0\n", syntax(2)),
        ] {
            let error = LayerIndex::parse(text.as_bytes()).unwrap_err();
            assert_eq!(error.to_string(), expected.to_string(), "{text:?}");
        }
    }
}
