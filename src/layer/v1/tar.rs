//! A file tree as a tar stream, encoding 1 (`book/src/encoding-1.md`, "Tar").
//!
//! Owns the order of the entries, their headers and PAX records, and which name of a hard-linked file carries
//! its bytes. It opens nothing itself, and must not decide what is in a layer: ancestors, owners and times are
//! settled when a tree arrives here; a tree that an engine would take for something else is refused.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, Read, Write};

use tar::{EntryType, Header};

use super::xattrs::never_emitted;
use crate::digest::{Digest, Known, Mismatch, VerifyingReader};
use crate::layer::build_error::BuildError;
use crate::tree::{Attributes, Content, FileTree, Kind, Node, TreePath};

const BLOCK: usize = 512;
/// What the name and link fields of a header hold; a longer one goes into a PAX record.
const FIELD: usize = 100;
/// The first size or time that 11 octal digits can't say.
const BIG: u64 = 1 << 33;
/// The first uid or gid that 7 octal digits can't say.
const BIG_ID: u32 = 1 << 21;
const WHITEOUT: &[u8] = b".wh.";
const OPAQUE: &[u8] = b".wh..wh..opq";
static MARKER: Attributes = Attributes::new(0o644);

/// Writes the tar stream of `tree`; `open` gives each file's bytes, once for each content written, and what is known of
/// them.
///
/// Every file is compared with its content as it passes.
///
/// # Errors
/// A tree that no tar says faithfully, a file that can't be read or isn't what its node names, and `out`'s.
pub(crate) fn write<R: Read, W: Write>(
    tree: &FileTree,
    open: &(impl Fn(&Content) -> io::Result<(R, Known)> + Sync),
    mut out: W,
) -> Result<W, BuildError> {
    let entries = entries(tree)?;
    let largest = entries.iter().filter_map(|entry| Some(entry.content.as_ref()?.size)).max();
    // Never empty: a file is read until nothing comes.
    let mut buffer = vec![0; largest.unwrap_or(0).clamp(1, 1 << 16) as usize];
    for entry in entries {
        out.write_all(&entry.head()).map_err(BuildError::Write)?;
        if let Some(content) = &entry.content {
            let path = || entry.path.clone();
            let unreadable = |source| match Mismatch::of(&source) {
                Some(found) => BuildError::Changed { path: path(), found: found.clone() },
                None => BuildError::Read { path: path(), source },
            };
            let (reader, known) = open(content).map_err(unreadable)?;
            let reader = VerifyingReader::knowing(reader, content.digest, content.size, known);
            copy(reader, &mut buffer, &mut out, unreadable)?;
            out.write_all(padding(content.size)).map_err(BuildError::Write)?;
        }
    }
    out.write_all(&[0; 2 * BLOCK]).map_err(BuildError::Write)?;
    Ok(out)
}

/// Copies all that a reader gives.
fn copy(
    mut reader: impl Read,
    buffer: &mut [u8],
    out: &mut impl Write,
    unreadable: impl Fn(io::Error) -> BuildError,
) -> Result<(), BuildError> {
    loop {
        match reader.read(buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => out.write_all(&buffer[..count]).map_err(BuildError::Write)?,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
}

fn padding(size: u64) -> &'static [u8] {
    let used = (size % BLOCK as u64) as usize;
    &[0; BLOCK][..(BLOCK - used) % BLOCK]
}

/// One member of the archive.
struct Entry<'a> {
    /// As written: a directory's ends in `/`, a whiteout's is `.wh.<name>`.
    name: Vec<u8>,
    /// The path of the node it came from, for errors.
    path: &'a TreePath,
    kind: EntryType,
    attributes: &'a Attributes,
    mtime: u64,
    link: &'a [u8],
    content: Option<Content>,
}

impl<'a> Entry<'a> {
    /// Under the node's own name, without link and content.
    fn of(path: &'a TreePath, node: &'a Node, kind: EntryType) -> Self {
        let name = path.as_bytes().to_vec();
        let attributes = &node.attributes;
        Self { name, path, kind, attributes, mtime: node.mtime as u64, link: &[], content: None }
    }

    /// An empty file that says something about `dir` by its name.
    fn marker(path: &'a TreePath, node: &'a Node, dir: &TreePath, name: &[u8]) -> Self {
        let name = dir.join(name).as_bytes().to_vec();
        Self { name, attributes: &MARKER, ..Self::of(path, node, EntryType::Regular) }
    }

    /// One of the names of the file that `node` is: the bytes, if it is the first, or a link to that.
    fn name_of(path: &'a TreePath, node: &'a Node, content: Content, first: &'a TreePath) -> Self {
        if path == first {
            return Self { content: Some(content), ..Self::of(path, node, EntryType::Regular) };
        }
        Self { link: first.as_bytes(), ..Self::of(path, node, EntryType::Link) }
    }
}

/// All members in the order in which they are written.
fn entries(tree: &FileTree) -> Result<Vec<Entry<'_>>, BuildError> {
    let carriers = carriers(tree)?;
    let mut entries = Vec::with_capacity(tree.len());
    for (path, node) in tree.iter() {
        check(tree, path, node)?;
        match &node.kind {
            Kind::Directory { opaque } => {
                let name = [path.as_bytes(), b"/"].concat();
                entries.push(Entry { name, ..Entry::of(path, node, EntryType::Directory) });
                if *opaque {
                    entries.push(Entry::marker(path, node, path, OPAQUE));
                }
            }
            Kind::Symlink(target) => {
                entries.push(Entry { link: target, ..Entry::of(path, node, EntryType::Symlink) });
            }
            Kind::Whiteout => {
                let dir = path.parent().unwrap_or_default();
                entries.push(Entry::marker(path, node, &dir, &[WHITEOUT, path.name()].concat()));
            }
            Kind::File(content) => {
                let first = carriers.get(path).map_or(path, |(first, ..)| first);
                entries.push(Entry::name_of(path, node, *content, first));
            }
            // All names of a file say the same of it: an engine that sets the owner of a later name would
            // otherwise clear what the first one set (file capabilities).
            Kind::HardLink(target) => {
                entries.extend(
                    carriers
                        .get(target)
                        .map(|(first, node, content)| Entry::name_of(path, node, *content, first)),
                );
            }
        }
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(entries)
}

/// For each file with hard links, by its own path: the name that is written first, the file, its bytes.
type Carriers<'a> = BTreeMap<&'a TreePath, (&'a TreePath, &'a Node, Content)>;

fn carriers(tree: &FileTree) -> Result<Carriers<'_>, BuildError> {
    let mut carriers = Carriers::new();
    for (path, node) in tree.iter() {
        let Kind::HardLink(target) = &node.kind else { continue };
        match tree.get(target) {
            Some(file @ Node { kind: Kind::File(content), .. }) => {
                let (first, ..) = carriers.entry(target).or_insert((target, file, *content));
                *first = (*first).min(path);
            }
            _ => return Err(BuildError::LinkTarget { path: path.clone(), target: target.clone() }),
        }
    }
    Ok(carriers)
}

/// Refuses what a tar would not say, or an engine take for something else.
fn check(tree: &FileTree, path: &TreePath, node: &Node) -> Result<(), BuildError> {
    let unwritable = |why| Err(BuildError::Unwritable { path: path.clone(), why });
    let Some(parent) = path.parent() else { return unwritable("the root has no entry") };
    // An omitted ancestor is reset to 0755 0:0 by docker and podman.
    let in_directory =
        parent.is_root() || matches!(tree.get(&parent), Some(Node { kind: Kind::Directory { .. }, .. }));
    if !in_directory {
        return unwritable("its directory isn't in the layer");
    }
    if path.name().starts_with(WHITEOUT) {
        return unwritable("engines take a name that begins with .wh. for a whiteout");
    }
    if !u64::try_from(node.mtime).is_ok_and(|mtime| mtime < BIG) {
        return unwritable("its time lies outside 1970..2242");
    }
    if let Kind::Symlink(target) = &node.kind
        && (target.is_empty() || target.contains(&0))
    {
        return unwritable("the link's target is empty or holds a NUL byte");
    }
    if node.attributes.xattrs.keys().any(|name| name.is_empty() || name.iter().any(|b| b"=\0".contains(b))) {
        return unwritable("an extended attribute's name is empty or holds = or a NUL byte");
    }
    Ok(())
}

impl Entry<'_> {
    /// The header, after the PAX header where one is needed.
    fn head(&self) -> Vec<u8> {
        let records = self.records();
        let mut head = Vec::with_capacity(BLOCK);
        if !records.is_empty() {
            let name = format!("PaxHeaders.0/{}", Digest::of(&self.name).short());
            let size = records.len() as u64;
            head.extend(header(name.as_bytes(), EntryType::XHeader, &MARKER, size, 0, &[]));
            head.extend_from_slice(&records);
            head.extend_from_slice(padding(size));
        }
        let size = self.content.map_or(0, |content| content.size);
        head.extend(header(&self.name, self.kind, self.attributes, size, self.mtime, self.link));
        head
    }

    /// The PAX records, for what the header's fields can't hold.
    fn records(&self) -> Vec<u8> {
        let mut records = BTreeMap::new();
        let mut add = |key: &[u8], value: &[u8]| records.insert(key.to_vec(), value.to_vec());
        if self.name.len() > FIELD {
            add(b"path", &self.name);
        }
        if self.link.len() > FIELD {
            add(b"linkpath", self.link);
        }
        if let Some(Content { size: size @ BIG.., .. }) = self.content {
            add(b"size", size.to_string().as_bytes());
        }
        for (key, id) in [(b"uid", self.attributes.uid), (b"gid", self.attributes.gid)] {
            if id >= BIG_ID {
                add(key, id.to_string().as_bytes());
            }
        }
        for (name, value) in self.attributes.xattrs.iter().filter(|(name, _)| !never_emitted(name)) {
            add(&[b"SCHILY.xattr.", &name[..]].concat(), value);
        }
        records.iter().flat_map(|(key, value)| record(key, value)).collect()
    }
}

/// `LENGTH KEY=VALUE\n`, where LENGTH counts its own digits too.
fn record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let rest = key.len() + value.len() + 3;
    let mut length = rest + 1;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    [length.to_string().as_bytes(), b" ", key, b"=", value, b"\n"].concat()
}

/// What an archive around layers holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Plain {
    Directory,
    File,
}

/// The header of an archive's entry: 0:0, at 1970, 0644 or 0755. None for names that one header can't hold.
pub(crate) fn plain_header(name: &[u8], kind: Plain, size: u64) -> Option<[u8; BLOCK]> {
    let (kind, mode) = match kind {
        Plain::Directory => (EntryType::Directory, 0o755),
        Plain::File => (EntryType::Regular, 0o644),
    };
    let fits = (1..=FIELD).contains(&name.len()) && size < BIG;
    fits.then(|| header(name, kind, &Attributes::new(mode), size, 0, &[]))
}

fn header(
    name: &[u8],
    kind: EntryType,
    attributes: &Attributes,
    size: u64,
    mtime: u64,
    link: &[u8],
) -> [u8; BLOCK] {
    let mut header = Header::new_ustar();
    let id = |id: u32| if id < BIG_ID { u64::from(id) } else { 0 };
    header.set_entry_type(kind);
    header.set_mode(attributes.mode & 0o7777);
    header.set_uid(id(attributes.uid));
    header.set_gid(id(attributes.gid));
    header.set_size(if size < BIG { size } else { 0 });
    header.set_mtime(mtime);
    let fields = header.as_old_mut();
    for (field, bytes) in [(&mut fields.name, name), (&mut fields.linkname, link)] {
        let held = bytes.len().min(FIELD);
        field[..held].copy_from_slice(&bytes[..held]);
    }
    header.set_cksum();
    *header.as_bytes()
}

/// Whether this process writes a built-in tree to the bytes that encoding 1 has for it.
///
/// Asked before the first layer is written; it takes less than a tenth of a millisecond.
pub(crate) fn self_check() -> bool {
    let ones = |content: &Content| Ok((io::repeat(1).take(content.size), Known::Nothing));
    let sum = |tar: Vec<u8>| Digest::of(&tar).hex();
    write(&check_tree(), &ones, Vec::new()).map(sum).is_ok_and(|sum| sum == SELF_CHECK)
}

const SELF_CHECK: &str = "644a52e7ce792849a416894cb5145011ed580e12d222d99520cef81eb26ce8f9";

/// Every type of entry, and every PAX record but that of a size.
fn check_tree() -> FileTree {
    let long = TreePath::root().join(&[b'n'; 101]);
    let ones = Content { digest: Digest::of(&[1; 600]), size: 600 };
    let mut rich = Attributes::new(0o4755).owned(BIG_ID - 1, BIG_ID);
    rich.xattrs.insert(b"user.x".to_vec(), b"=\n\xff".to_vec());
    let plain = || Attributes::new(0o755);
    let nodes = [
        (TreePath::root().join(b"f"), Kind::File(ones), rich),
        (TreePath::root().join(b"g"), Kind::HardLink(TreePath::root().join(b"f")), plain()),
        (long.join(b"l"), Kind::Symlink(long.as_bytes().to_vec()), plain()),
        (long, Kind::Directory { opaque: true }, plain().owned(BIG_ID, 0)),
        (TreePath::root().join(b"w"), Kind::Whiteout, plain()),
    ];
    let node = |(path, kind, attributes)| (path, Node { kind, attributes, mtime: 946_684_800 });
    nodes.into_iter().map(node).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Blake3;

    fn path(text: &str) -> TreePath {
        TreePath::parse(text.as_bytes()).unwrap()
    }

    fn node(kind: Kind) -> Node {
        Node { kind, attributes: Attributes::new(0o644), mtime: 7 }
    }

    fn file(bytes: &[u8]) -> Node {
        node(Kind::File(Content::of(bytes)))
    }

    fn dir() -> Node {
        node(Kind::Directory { opaque: false })
    }

    /// Every content is `size` times the letter x.
    fn written(tree: &FileTree) -> Result<Vec<u8>, BuildError> {
        write(
            tree,
            &|content: &Content| Ok((io::repeat(b'x').take(content.size), Known::Nothing)),
            Vec::new(),
        )
    }

    fn names(tree: &FileTree) -> Vec<String> {
        let name = |entry: Entry<'_>| format!("{}{}", entry.name.escape_ascii(), entry.link.escape_ascii());
        entries(tree).unwrap().into_iter().map(name).collect()
    }

    #[test]
    fn names_are_sorted_as_written() {
        let opaque = node(Kind::Directory { opaque: true });
        let tree: FileTree = [
            (path("a"), dir()),
            (path("a/b"), file(b"")),
            (path("a-b"), file(b"")),
            (path("a.b"), file(b"")),
            (path("a/.x"), node(Kind::Whiteout)),
            (path("z"), node(Kind::Whiteout)),
            (path("o"), opaque),
            (path("o/.w"), file(b"")),
        ]
        .into_iter()
        .collect();
        let expected = [".wh.z", "a-b", "a.b", "a/", "a/.wh..x", "a/b", "o/", "o/.w", "o/.wh..wh..opq"];
        assert_eq!(names(&tree), expected);
    }

    #[test]
    fn the_first_name_carries_the_bytes() {
        let mut target = file(b"x");
        target.attributes = target.attributes.owned(5, 6);
        let link = || node(Kind::HardLink(path("m")));
        let tree: FileTree =
            [(path("m"), target), (path("b"), link()), (path("z"), link())].into_iter().collect();
        assert_eq!(names(&tree), ["b", "mb", "zb"]);
        let entries = entries(&tree).unwrap();
        assert!(entries.iter().all(|entry| entry.attributes.uid == 5));
        assert_eq!(entries[0].content, Some(Content::of(b"x")));
    }

    #[test]
    fn refuses_what_no_tar_says() {
        let mut early = file(b"");
        early.mtime = -1;
        let mut named = file(b"");
        named.attributes.xattrs.insert(b"user.a=b".to_vec(), Vec::new());
        for (name, node, why) in [
            ("", dir(), "the root"),
            ("a/b", file(b""), "its directory"),
            (".wh.x", file(b""), "for a whiteout"),
            ("x", early, "its time"),
            ("x", node(Kind::Symlink(Vec::new())), "target is empty"),
            ("x", node(Kind::HardLink(path("y"))), "not a file of the same layer"),
            ("x", named, "extended attribute"),
        ] {
            let tree = [(path(name), node)].into_iter().collect();
            let error = written(&tree).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn a_file_that_changed_is_named() {
        for bytes in [&b"xy"[..], b"xxx", b"x", b""] {
            let tree = [(path("a"), file(bytes))].into_iter().collect();
            for known in [Known::Nothing, Known::Blake3(Blake3::of(bytes))] {
                let result = write(&tree, &|_: &Content| Ok((&b"xx"[..], known)), Vec::new());
                let Err(BuildError::Changed { path: named, .. }) = result else { panic!("not refused") };
                assert_eq!(named, path("a"));
            }
        }
    }

    #[test]
    fn records_count_their_own_length() {
        for length in [1, 2, 3, 90, 91, 92, 93, 94, 95, 980, 990, 991, 992, 993, 9985, 9990] {
            let record = record(b"path", &vec![b'x'; length]);
            let said = record.split(|&byte| byte == b' ').next().unwrap();
            assert_eq!(String::from_utf8_lossy(said), record.len().to_string());
        }
    }

    #[test]
    fn golden() {
        let ones = |content: &Content| Ok((io::repeat(1).take(content.size), Known::Nothing));
        let tar = write(&check_tree(), &ones, Vec::new()).unwrap();
        assert_eq!((tar.len(), Digest::of(&tar).hex().as_str()), (10_240, SELF_CHECK));
        assert!(self_check());
    }
}
