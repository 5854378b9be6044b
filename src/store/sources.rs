//! What is known of files that lie in a workspace, or elsewhere: the bytes that they had, and how they looked then.
//!
//! Owns the index of sources, as git has one: a file that looks as it did when it was hashed isn't read again. Nothing
//! depends on it: one that is missing, damaged or another workspace's costs a hash. It must not know what the files are for,
//! nor what the memo says that somebody leaves in it.
//!
//! # When a file may be known
//!
//! A file that changes in the same tick of the clock as it was read looks as before. So it is known only if its `ctime`
//! is older than what the clock of *its* file system showed before it was read: whoever changes it later gives it another
//! one. This machine's own clock is never asked. What isn't seen is what no `ctime` tells: a program that writes through a
//! mapping which it held already while the file was read.
//!
//! # The file
//!
//! `sources/<workspace>`, in little-endian numbers: [`MAGIC`], the number of the rules, the workspace's path behind its
//! length, how many rows, how long the memo is, the rows in the order of their keys, their paths, the memo, and the
//! [`fingerprint`] of all that.
//! A row is the fingerprint of the path, [`Stat::to_bytes`], the digest, and how long the path is.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::ops::Range;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::beside::MAX_SIDE_FILE;
use crate::digest::{Digest, HashingReader};
use crate::disk::{self, File, Stat, Time};
use crate::tree::Content;

pub(super) const SOURCES: &str = "sources";
const MAGIC: &[u8; 17] = b"cooper sources 2\n";

/// Fewer files than this need no threads.
const FEW: usize = 512;

const STAT: usize = 8;
const DIGEST: usize = STAT + Stat::LEN;
const PATH: usize = DIGEST + 32;
type Row = [u8; PATH + 4];

fn key(row: &Row) -> u64 {
    word(&row[..STAT])
}

fn path_len(row: &Row) -> usize {
    word(&row[PATH..]) as usize
}

/// Up to eight bytes as a number.
fn word(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The files that a workspace is made of, as far as they are known. What becomes known is written when this is dropped.
#[derive(Debug, Default)]
pub struct SourceIndex {
    /// Nowhere: nothing is known, and nothing becomes so.
    place: Option<Place>,
    old: OnceLock<Old>,
    new: Mutex<BTreeMap<u64, (Row, Vec<u8>)>>,
    /// The memo that is to be kept instead of the old one.
    memo: Mutex<Option<Vec<u8>>>,
    /// What the clocks of file systems showed when they were first asked.
    clocks: Mutex<BTreeMap<u64, Option<Time>>>,
}

#[derive(Debug)]
struct Place {
    store: PathBuf,
    root: PathBuf,
    rules: u64,
}

/// As it was found.
#[derive(Debug, Default)]
struct Old {
    bytes: Vec<u8>,
    /// Where the rows begin, and the paths.
    rows: usize,
    paths: usize,
    memo: Range<usize>,
    /// Which rows are still true.
    seen: Vec<AtomicBool>,
}

impl SourceIndex {
    /// The index that a store has of the workspace at `root`, a path without links. What else was looked for in the files
    /// was looked for by these `rules`; after other rules nothing is known. Reads nothing yet.
    pub fn open(store: &Path, root: &Path, rules: u64) -> Self {
        let (store, root) = (store.to_owned(), root.to_owned());
        let mut index = Self::default();
        index.place = Some(Place { store, root, rules });
        index
    }

    /// The digest of the file at a path that looks so, if it is known.
    pub fn find(&self, path: &Path, stat: &Stat) -> Option<Digest> {
        let (place, old) = self.old()?;
        let rows = old.rows();
        let at = rows.binary_search_by_key(&fingerprint(place.within(path)), key).ok()?;
        if rows[at][STAT..DIGEST] != stat.to_bytes() {
            return None;
        }
        old.seen[at].store(true, Ordering::Relaxed);
        Some(Digest::from_bytes(rows[at][DIGEST..PATH].try_into().ok()?))
    }

    /// How a file looks that is about to be read, if it may be known afterwards.
    pub fn watch(&self, path: &Path, file: &File) -> Option<Stat> {
        let place = self.place.as_ref()?;
        let stat = Stat::of_file(file)?;
        let mut clocks = lock(&self.clocks);
        let now = *clocks.entry(stat.device).or_insert_with(|| {
            let of_device = |found: Option<(u64, Time)>| found.filter(|found| found.0 == stat.device);
            let own = of_device(disk::clock(&place.store, true));
            Some(own.or_else(|| of_device(disk::clock(disk::parent(path), false)))?.1)
        });
        // Without nanoseconds a tick is a second or more, and who knows of what clock.
        (stat.ctime.1 != 0 && stat.ctime < now?).then_some(stat)
    }

    /// Says what was read of a file that was [watched](Self::watch), unless it changed meanwhile.
    pub fn put(&self, path: &Path, file: &File, watched: Option<Stat>, content: Content) {
        let (Some(place), Some(stat)) = (&self.place, watched) else { return };
        let path = place.within(path);
        let Ok(len) = u32::try_from(path.len()) else { return };
        if Stat::of_file(file) != Some(stat) || stat.size != content.size {
            return;
        }
        let mut row = [0; PATH + 4];
        let key = fingerprint(path);
        row[..STAT].copy_from_slice(&key.to_le_bytes());
        row[STAT..DIGEST].copy_from_slice(&stat.to_bytes());
        row[DIGEST..PATH].copy_from_slice(content.digest.as_bytes());
        row[PATH..].copy_from_slice(&len.to_le_bytes());
        lock(&self.new).insert(key, (row, path.to_vec()));
    }

    /// Whether a file has these bytes, by its look if it is known, read otherwise. Not for what may be a source: it isn't
    /// searched for anything.
    pub fn holds(&self, path: &Path, digest: Digest) -> bool {
        let Some(stat) = Stat::of_path(path).filter(Stat::is_file) else { return false };
        if let Some(known) = self.find(path, &stat) {
            return known == digest;
        }
        let Ok((file, _)) = disk::open(path) else { return false };
        let watched = self.watch(path, &file);
        let Ok((found, size)) = HashingReader::new(&file).drain() else { return false };
        self.put(path, &file, watched, Content { digest: found, size });
        found == digest
    }

    /// What somebody left to be known next time.
    pub fn memo(&self) -> Option<&[u8]> {
        let (_, old) = self.old()?;
        old.bytes.get(old.memo.clone()).filter(|memo| !memo.is_empty())
    }

    /// Leaves something to be known next time.
    pub fn set_memo(&self, memo: Vec<u8>) {
        *lock(&self.memo) = Some(memo).filter(|memo| self.memo() != Some(memo));
    }

    fn old(&self) -> Option<(&Place, &Old)> {
        let place = self.place.as_ref()?;
        Some((place, self.old.get_or_init(|| place.read().unwrap_or_default())))
    }

    /// Brings what became known to the others, without those that nobody asked for and that are gone.
    fn save(&mut self) {
        let Some(place) = &self.place else { return };
        let new = self.new.get_mut().unwrap_or_else(PoisonError::into_inner);
        let memo = self.memo.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        // Nobody's store is made for this.
        if (new.is_empty() && memo.is_none())
            || !disk::regular_size(&place.store.join("oci-layout")).is_ok_and(|found| found.is_some())
        {
            return;
        }
        let old = self.old.take().unwrap_or_default();
        let memo = memo.as_deref().unwrap_or(&old.bytes[old.memo.clone()]);
        let mut paths = &old.bytes[old.paths..];
        let known = old.rows().iter().zip(&old.seen);
        let known = known.map_while(|(row, seen)| Some((row, seen, paths.split_off(..path_len(row))?)));
        let is_there = |row: &Row, path: &[u8]| {
            let found = Stat::of_path(&place.root.join(OsStr::from_bytes(path)));
            found.is_some_and(|stat| stat.to_bytes() == row[STAT..DIGEST])
        };
        let mut known: Vec<_> = known.collect();
        let holds = |(row, seen, path): &(&Row, &AtomicBool, &[u8])| {
            seen.load(Ordering::Relaxed) || is_there(row, path)
        };
        // A few are looked at sooner than threads start.
        if known.len() < FEW {
            known.retain(holds);
        } else {
            known = known.into_par_iter().filter(holds).collect();
        }
        for (row, _, path) in known {
            new.entry(key(row)).or_insert_with(|| (*row, path.to_vec()));
        }
        let mut bytes = place.head();
        bytes.extend((new.len() as u32).to_le_bytes());
        bytes.extend((memo.len() as u32).to_le_bytes());
        bytes.extend(new.values().flat_map(|(row, _)| row));
        new.values().for_each(|(_, path)| bytes.extend(path));
        bytes.extend(memo);
        bytes.extend(fingerprint(&bytes).to_le_bytes());
        // It can be done without.
        if place.is_led_away() {
            return;
        }
        _ = disk::create_directories(&place.store.join(SOURCES));
        _ = disk::write_forgettable(&place.file(), &bytes);
    }
}

impl Drop for SourceIndex {
    fn drop(&mut self) {
        self.save();
    }
}

impl Place {
    fn file(&self) -> PathBuf {
        self.store.join(SOURCES).join(Digest::of(self.root.as_os_str().as_bytes()).short())
    }

    /// Whether a link stands where indexes do: whoever else can write to the store put it there.
    fn is_led_away(&self) -> bool {
        disk::is_link(&self.store.join(SOURCES)).is_ok_and(|link| link)
    }

    /// A path as it is written.
    fn within<'p>(&self, path: &'p Path) -> &'p [u8] {
        path.strip_prefix(&self.root).unwrap_or(path).as_os_str().as_bytes()
    }

    /// What an index of this workspace begins with.
    fn head(&self) -> Vec<u8> {
        let root = self.root.as_os_str().as_bytes();
        [MAGIC, &self.rules.to_le_bytes()[..], &(root.len() as u32).to_le_bytes(), root].concat()
    }

    fn read(&self) -> Option<Old> {
        // Where others can write to the store as well, theirs would say what ours hold.
        let found = if self.is_led_away() { None } else { disk::open(&self.file()).ok() };
        let (file, size) = found.filter(|(file, _)| Stat::is_own(file))?;
        let bytes = disk::read_file(&file, &self.file(), size, MAX_SIDE_FILE).ok()?;
        if !is_whole(&bytes) {
            return None;
        }
        let (all, _) = bytes.split_last_chunk::<8>()?;
        let rest = all.strip_prefix(&*self.head())?;
        let (count, rest) = rest.split_first_chunk::<4>()?;
        let count = u32::from_le_bytes(*count) as usize;
        let (memo, rest) = rest.split_first_chunk::<4>()?;
        let rows = all.len() - rest.len();
        let paths = rows + count.checked_mul(size_of::<Row>())?;
        let memo = all.len().checked_sub(u32::from_le_bytes(*memo) as usize)?..all.len();
        if paths > memo.start {
            return None;
        }
        let seen = std::iter::repeat_with(AtomicBool::default).take(count).collect();
        Some(Old { rows, paths, memo, seen, bytes })
    }
}

impl Old {
    fn rows(&self) -> &[Row] {
        self.bytes[self.rows..self.paths].as_chunks().0
    }
}

/// Whether an index, of whichever version, ends in the fingerprint of what stands before.
fn is_whole(bytes: &[u8]) -> bool {
    bytes.split_last_chunk().is_some_and(|(all, sum)| fingerprint(all) == u64::from_le_bytes(*sum))
}

/// The indexes of a store that are damaged. They heal when they are written anew.
pub(super) fn damaged(store: &Path) -> Result<Vec<PathBuf>, disk::Error> {
    let is_damaged = |path: &PathBuf| match disk::read(path, MAX_SIDE_FILE) {
        Ok(bytes) => !is_whole(&bytes),
        // One that may not be read is somebody else's.
        Err(error) => matches!(error, disk::Error::NotRegular { .. } | disk::Error::TooLarge { .. }),
    };
    Ok(indexes(store)?.into_iter().filter(is_damaged).collect())
}

/// The indexes of workspaces that there aren't any more, and what nobody can read.
pub(super) fn lost(store: &Path) -> Result<Vec<PathBuf>, disk::Error> {
    let is_lost = |path: &PathBuf| !workspace(path).is_some_and(|root| disk::is_directory(&root));
    Ok(indexes(store)?.into_iter().filter(is_lost).collect())
}

/// Whatever stands where indexes do.
fn indexes(store: &Path) -> Result<Vec<PathBuf>, disk::Error> {
    let directory = store.join(SOURCES);
    let names = disk::list(&directory)?.into_iter().map(|(name, _)| name);
    let finished = names.filter(|name| !name.as_bytes().starts_with(disk::TEMPORARY.as_bytes()));
    Ok(finished.map(|name| directory.join(name)).collect())
}

/// The workspace that an index is of.
fn workspace(index: &Path) -> Option<PathBuf> {
    let window = disk::Window::open(index).ok()??;
    let head = window.read(0, MAGIC.len() + 12).filter(|head| head.starts_with(MAGIC))?;
    let (rules, len) = (MAGIC.len() as u64, head.get(MAGIC.len() + 8..)?);
    let path = window.read(rules + 12, word(len) as usize)?;
    Some(PathBuf::from(OsStr::from_bytes(&path)))
}

/// A number that tells damaged bytes and other paths apart, fast and against nobody's will: each step is a bijection, so
/// that no single word can change without it.
pub const fn fingerprint(bytes: &[u8]) -> u64 {
    const ODD: u64 = 0x9e37_79b9_7f4a_7c15;
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last.split_at_mut(rest.len()).0.copy_from_slice(rest);
    let (mut hash, mut at) = (ODD ^ bytes.len() as u64, 0);
    while at <= words.len() {
        let word = if at < words.len() { words[at] } else { last };
        hash = (hash ^ u64::from_le_bytes(word)).wrapping_mul(ODD);
        hash ^= hash >> 29;
        at += 1;
    }
    hash
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
