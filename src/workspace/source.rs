//! What a `from` names in the checkout, as a tree: found, hashed in parallel, and opened again by content.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs::{self, FileType};
use std::io::{self, Cursor, Read};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;

use super::v1::{self, Filter};
use super::{Error, Workspace};
use crate::digest::{Blake3, Known, Survey};
use crate::disk::{self, Stat};
use crate::recipe::{Glob, has_magic, secrets_in, suggest};
use crate::store::{SourceIndex, fingerprint};
use crate::tree::{Content, Files, SourceNode, SourceTree, TreePath};

/// How a file begins that Git LFS left in place of a large one.
pub const LFS: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";
/// Files above this size aren't searched for secrets, and are hashed as a stream.
const SEARCHED: u64 = 1 << 20;
/// Files above this size are opened again rather than kept.
const KEPT: u64 = 64 << 10;
/// A tree that has more bytes than this keeps none.
const KEPT_IN_ALL: u64 = 32 << 20;
/// Fewer files with fewer bytes are read sooner than threads start.
const FEW_FILES: usize = 64;
const FEW_BYTES: u64 = 1 << 20;

/// What files were searched for when they were hashed: with a guard that is another one, all are read again.
pub const RULES: u64 = fingerprint(include_bytes!("../recipe/secret.rs")) ^ SEARCHED;

/// A source tree with what was noticed on the way.
#[derive(Debug, Clone, Default)]
pub struct Scan {
    /// The tree.
    pub tree: SourceTree,
    /// The files that seem to hold a secret, and of which kind.
    pub secrets: BTreeMap<TreePath, &'static str>,
    /// Neighbours whose names are equal after case folding: a Mac or Windows checkout has one of them only.
    pub same_folded: Vec<(TreePath, TreePath)>,
    /// The bytes.
    pub contents: Contents,
}

/// The bytes of files that were read, by content.
#[derive(Debug, Clone, Default)]
pub struct Contents(BTreeMap<Content, Held>);

#[derive(Debug, Clone)]
enum Held {
    Bytes(Arc<[u8]>),
    File(PathBuf, Known),
    /// So many bytes of a file, from there on.
    Section(Arc<disk::File>, u64, Known),
}

impl Contents {
    /// Adds what another scan read.
    pub fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Whether it is known where its bytes are.
    pub fn has(&self, content: &Content) -> bool {
        self.0.contains_key(content)
    }

    /// Keeps bytes.
    pub fn put_bytes(&mut self, content: Content, bytes: &[u8]) {
        self.0.insert(content, Held::Bytes(bytes.into()));
    }

    /// Says that a file has these bytes.
    pub fn put_file(&mut self, content: Content, path: PathBuf, known: Known) {
        self.0.insert(content, Held::File(path, known));
    }

    /// Says that a file has these bytes from `at` on.
    pub fn put_section(&mut self, content: Content, file: &Arc<disk::File>, at: u64, known: Known) {
        self.0.insert(content, Held::Section(Arc::clone(file), at, known));
    }

    /// Where the bytes lie, unless they are kept in memory, and whether this command has read them.
    pub fn path(&self, content: &Content) -> Option<(&Path, bool)> {
        match self.0.get(content)? {
            Held::File(path, known) => Some((path, *known != Known::Nothing)),
            Held::Bytes(_) | Held::Section(..) => None,
        }
    }

    /// Opens a content. A file may have changed since: whoever reads it checks the digest.
    ///
    /// # Errors
    /// A content that wasn't read, a file that is gone.
    pub fn open(&self, content: &Content) -> Result<Box<dyn Read + Send>, Error> {
        match self.0.get(content) {
            Some(Held::Bytes(bytes)) => Ok(Box::new(Cursor::new(Arc::clone(bytes)))),
            Some(Held::File(path, _)) => Ok(Box::new(disk::open(path)?.0)),
            Some(Held::Section(file, at, _)) => {
                Ok(Box::new(disk::Section::new(Arc::clone(file), *at, content.size)))
            }
            None => Err(Error::UnknownContent { digest: content.digest }),
        }
    }

    /// What is known of it, for whoever checks.
    pub fn known(&self, content: &Content) -> Known {
        match self.0.get(content) {
            Some(Held::Bytes(_)) => Known::Unchanged,
            Some(Held::File(_, known) | Held::Section(.., known)) => *known,
            None => Known::Nothing,
        }
    }
}

/// Something on the disk that belongs to the tree.
enum Item {
    Directory,
    Symlink(Vec<u8>),
    File(PathBuf, Stat),
}

type Collected = BTreeMap<TreePath, Item>;

impl Workspace {
    /// Reads files of the checkout, but for those that the index knows.
    ///
    /// # Errors
    /// Nothing there, or something that leads out of the recipe's directory or can't be in a source tree.
    pub fn read_source(&self, files: &Files, index: &SourceIndex) -> Result<Scan, Error> {
        let Files { directory, from, portion } = files;
        let origin = self.origin_directory(directory)?;
        let filter = Filter::new(&portion.include, &portion.exclude)
            .map_err(|(pattern, fault)| Error::Glob { pattern, fault })?;
        let mut found = Collected::new();
        let single = if has_magic(from) {
            for (name, path) in matches(&origin, from)? {
                add(&path, name, &filter, &mut found)?;
            }
            false
        } else {
            named(&origin, from, &filter, &mut found)?
        };
        if let Some(pattern) = filter.retain_included(&mut found).into_iter().next() {
            return Err(Error::NoMatch { directory: on_disk(&origin, &relative(&origin, from)?), pattern });
        }
        if found.is_empty() && !portion.exclude.is_empty() {
            return Err(Error::NothingLeft { path: on_disk(&origin, &relative(&origin, from)?) });
        }
        read(single, found, index)
    }
}

/// Reads a file or directory wherever it lies, but for what the index knows: what somebody else has made.
///
/// # Errors
/// Nothing there, or something that can't be in a source tree.
pub fn read_input(
    path: &Path,
    include: &[String],
    exclude: &[String],
    index: &SourceIndex,
) -> Result<Scan, Error> {
    let filter = Filter::new(include, exclude).map_err(|(pattern, fault)| Error::Glob { pattern, fault })?;
    let real = match fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if is_missing(&error) => {
            return Err(Error::NoSource { path: path.to_owned(), suggestion: None });
        }
        Err(error) => return Err(disk::failed("find", path)(error).into()),
    };
    let mut found = Collected::new();
    let single = !kind(&real)?.is_dir();
    if single {
        let name = path.file_name().or_else(|| real.file_name()).unwrap_or_default();
        add(&real, TreePath::root().join(name.as_bytes()), &filter, &mut found)?;
    } else {
        walk(real, TreePath::root(), &filter, &mut found)?;
        if let Some(pattern) = filter.retain_included(&mut found).into_iter().next() {
            return Err(Error::NoMatch { directory: path.to_owned(), pattern });
        }
    }
    read(single, found, index)
}

/// Collects what a path without wildcards names; true when that is one file or link.
fn named(origin: &Path, from: &str, filter: &Filter, found: &mut Collected) -> Result<bool, Error> {
    let path = inside(origin, from)?;
    let kind = kind(&path)?;
    if kind.is_dir() {
        walk(path, TreePath::root(), filter, found)?;
        return Ok(false);
    }
    let name = path.file_name().unwrap_or_default().as_bytes();
    add(&path, TreePath::root().join(name), filter, found)?;
    Ok(true)
}

/// The path of `from`, which exists and lies in `origin`, whatever links lead there.
fn inside(origin: &Path, from: &str) -> Result<PathBuf, Error> {
    let relative = relative(origin, from)?;
    let Some(above) = relative.parent() else { return Ok(origin.to_owned()) };
    let path = leading(origin, &above, &relative)?.join(OsStr::from_bytes(relative.name()));
    match fs::symlink_metadata(&path) {
        Ok(_) => Ok(path),
        Err(error) if is_missing(&error) => Err(missing(origin, &relative)),
        Err(error) => Err(disk::failed("find", &path)(error).into()),
    }
}

fn relative(origin: &Path, from: &str) -> Result<TreePath, Error> {
    let path = TreePath::parse(from.as_bytes()).ok().filter(|_| !from.starts_with('/'));
    path.ok_or_else(|| Error::Outside { path: origin.join(from), directory: origin.to_owned() })
}

/// The path of a directory, links followed, that must lie in `origin`; `whole` is what the recipe says.
fn leading(origin: &Path, directory: &TreePath, whole: &TreePath) -> Result<PathBuf, Error> {
    let path = on_disk(origin, directory);
    if directory.is_root() {
        return Ok(path);
    }
    match fs::canonicalize(&path) {
        Ok(real) if real.starts_with(origin) => Ok(path),
        Ok(_) => Err(Error::Outside { path: on_disk(origin, whole), directory: origin.to_owned() }),
        Err(error) if is_missing(&error) => Err(missing(origin, whole)),
        Err(error) => Err(disk::failed("find", &path)(error).into()),
    }
}

fn on_disk(origin: &Path, path: &TreePath) -> PathBuf {
    // Joining nothing would add a slash.
    if path.is_root() { origin.to_owned() } else { origin.join(OsStr::from_bytes(path.as_bytes())) }
}

fn missing(origin: &Path, path: &TreePath) -> Error {
    Error::NoSource { path: on_disk(origin, path), suggestion: similar(origin, path) }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// What exists and is written almost like `wrong`: the first component that isn't there, exchanged.
fn similar(origin: &Path, wrong: &TreePath) -> Option<String> {
    let mut prefix = TreePath::root();
    let mut components = wrong.components();
    while let Some(name) = components.next() {
        let directory = on_disk(origin, &prefix);
        // What lies elsewhere isn't even named.
        fs::canonicalize(&directory).ok().filter(|real| real.starts_with(origin))?;
        if directory.join(OsStr::from_bytes(name)).symlink_metadata().is_ok() {
            prefix = prefix.join(name);
            continue;
        }
        let siblings = disk::list(&directory).ok()?;
        let names: Vec<&str> = siblings.iter().filter_map(|(name, _)| name.to_str()).collect();
        let meant = prefix.join(suggest(std::str::from_utf8(name).ok()?, names)?.as_bytes());
        let whole = components.fold(meant.clone(), |path, name| path.join(name));
        let there = on_disk(origin, &whole).symlink_metadata().is_ok();
        let answer = if there { whole } else { meant };
        return String::from_utf8(answer.as_bytes().to_vec()).ok();
    }
    None
}

/// The outermost matches of a glob, each under its last component.
fn matches(origin: &Path, from: &str) -> Result<BTreeMap<TreePath, PathBuf>, Error> {
    let glob = Glob::parse(from).map_err(|fault| Error::Glob { pattern: from.to_owned(), fault })?;
    let prefix = relative(origin, &glob.literal_prefix())?;
    let start = leading(origin, &prefix, &prefix)?;
    let mut matched = BTreeSet::new();
    let mut directories = if start.is_dir() { vec![(start, prefix)] } else { Vec::new() };
    while let Some((directory, below)) = directories.pop() {
        for (name, kind) in disk::list(&directory)? {
            if v1::is_junk(name.as_bytes()) {
                continue;
            }
            let path = below.join(name.as_bytes());
            if glob.matches(path.as_bytes()) {
                matched.insert(path);
            } else if kind.is_dir() && glob.may_match_below(path.as_bytes()) {
                directories.push((directory.join(name), path));
            }
        }
    }
    let mut named: BTreeMap<TreePath, PathBuf> = BTreeMap::new();
    for path in v1::outermost(matched) {
        let disk_path = on_disk(origin, &path);
        let name = TreePath::root().join(path.name());
        if let Some(one) = named.insert(name, disk_path.clone()) {
            let name = path.name().escape_ascii().to_string();
            return Err(Error::SameName { pattern: from.to_owned(), name, one, other: disk_path });
        }
    }
    if named.is_empty() {
        return Err(Error::NoMatch { directory: origin.to_owned(), pattern: from.to_owned() });
    }
    Ok(named)
}

/// Collects everything in a directory.
fn walk(directory: PathBuf, below: TreePath, filter: &Filter, found: &mut Collected) -> Result<(), Error> {
    let mut directories = vec![(directory, below)];
    while let Some((directory, below)) = directories.pop() {
        for (name, _) in disk::list(&directory)? {
            let (path, tree_path) = (directory.join(&name), below.join(name.as_bytes()));
            if v1::is_junk(name.as_bytes()) || filter.excludes(&tree_path) {
                continue;
            }
            let item = item(&path)?;
            if matches!(item, Item::Directory) {
                directories.push((path, tree_path.clone()));
            }
            found.insert(tree_path, item);
        }
    }
    Ok(())
}

/// Collects one thing, with everything below it.
fn add(path: &Path, name: TreePath, filter: &Filter, found: &mut Collected) -> Result<(), Error> {
    if filter.excludes(&name) {
        return Ok(());
    }
    let item = item(path)?;
    let is_directory = matches!(item, Item::Directory);
    found.insert(name.clone(), item);
    if is_directory { walk(path.to_owned(), name, filter, found) } else { Ok(()) }
}

fn kind(path: &Path) -> Result<FileType, Error> {
    Ok(fs::symlink_metadata(path).map_err(disk::failed("look at", path))?.file_type())
}

fn item(path: &Path) -> Result<Item, Error> {
    let metadata = fs::symlink_metadata(path).map_err(disk::failed("look at", path))?;
    let kind = metadata.file_type();
    let special = |kind| Err(Error::Special { path: path.to_owned(), kind });
    match () {
        () if kind.is_dir() => Ok(Item::Directory),
        () if kind.is_symlink() => {
            let target = fs::read_link(path).map_err(disk::failed("read", path))?;
            Ok(Item::Symlink(target.into_os_string().into_vec()))
        }
        () if kind.is_file() => Ok(Item::File(path.to_owned(), Stat::of(&metadata))),
        () if kind.is_fifo() => special("FIFO"),
        () if kind.is_socket() => special("socket"),
        () => special("device"),
    }
}

/// Hashes what was found and isn't known.
fn read(single: bool, found: Collected, index: &SourceIndex) -> Result<Scan, Error> {
    let mut scan = Scan { same_folded: same_folded(found.keys()), ..Scan::default() };
    scan.tree.single = single;
    let (mut unknown, mut total) = (Vec::new(), 0_u64);
    for (tree_path, item) in found {
        let node = match item {
            Item::Directory => SourceNode::Directory,
            Item::Symlink(target) => SourceNode::Symlink(target),
            Item::File(path, stat) => match index.find(&path, &stat) {
                Some(digest) => {
                    let content = Content { digest, size: stat.size };
                    scan.contents.0.insert(content, Held::File(path, Known::Nothing));
                    SourceNode::File { content, executable: stat.is_executable() }
                }
                None => {
                    total = total.saturating_add(stat.size);
                    unknown.push((tree_path, path, stat));
                    continue;
                }
            },
        };
        scan.tree.nodes.insert(tree_path, node);
    }
    let keep = total <= KEPT_IN_ALL;
    // Collected before the first error is looked for, so that it is always the same one.
    let read = |(tree_path, path, stat): (_, _, Stat)| (tree_path, stat, read_file(path, keep, index));
    let read: Vec<_> = if unknown.len() < FEW_FILES && total < FEW_BYTES {
        unknown.into_iter().map(read).collect()
    } else {
        unknown.into_par_iter().map(read).collect()
    };
    for (path, stat, result) in read {
        let (content, held, secret) = result?;
        scan.contents.0.insert(content, held);
        if let Some(secret) = secret {
            scan.secrets.insert(path.clone(), secret);
        }
        scan.tree.nodes.insert(path, SourceNode::File { content, executable: stat.is_executable() });
    }
    Ok(scan)
}

type Read1 = (Content, Held, Option<&'static str>);

fn read_file(path: PathBuf, keep: bool, index: &SourceIndex) -> Result<Read1, Error> {
    let (file, size) = disk::open(&path)?;
    let watched = index.watch(&path, &file);
    let (content, known, secret, bytes) = if size <= SEARCHED {
        let bytes = disk::read_file(&file, &path, size, SEARCHED)?;
        (Content::of(&bytes), Known::Blake3(Blake3::of(&bytes)), secrets_in(&bytes), Some(bytes))
    } else {
        let (digest, size, known) = Survey::of(&file).map_err(disk::failed("read", &path))?;
        (Content { digest, size }, known, None, None)
    };
    // One with a secret is read each time, so that the guard finds it; and one that is no more than a name.
    if secret.is_none() && !bytes.as_ref().is_some_and(|bytes| bytes.starts_with(LFS)) {
        index.put(&path, &file, watched, content);
    }
    let held = match bytes {
        Some(bytes) if keep && size <= KEPT => Held::Bytes(bytes.into()),
        _ => Held::File(path, known),
    };
    Ok((content, held, secret))
}

fn same_folded<'a>(paths: impl Iterator<Item = &'a TreePath>) -> Vec<(TreePath, TreePath)> {
    let mut seen: BTreeMap<(Option<TreePath>, String), &TreePath> = BTreeMap::new();
    let mut pairs = Vec::new();
    for path in paths {
        let folded = String::from_utf8_lossy(path.name()).to_lowercase();
        match seen.entry((path.parent(), folded)) {
            std::collections::btree_map::Entry::Vacant(entry) => drop(entry.insert(path)),
            std::collections::btree_map::Entry::Occupied(entry) => {
                pairs.push(((*entry.get()).clone(), path.clone()))
            }
        }
    }
    pairs
}
