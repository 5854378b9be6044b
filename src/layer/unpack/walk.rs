//! What holds for an entry, whatever format it comes from.
//!
//! Owns that an entry is checked before it is shown, and what is dropped from its path. It must not know formats.

use std::io::{self, Read, Seek};
use std::ops::Range;

use super::error::{UnpackError, UnpackFault};
use super::member::{Limits, Member, What};
use super::names::{self, LONGEST, Paths, Seen};
use crate::tree::TreePath;

/// What can be read from any place.
pub(super) trait Seekable: Read + Seek {}

impl<T: Read + Seek> Seekable for T {}

/// An entry as its format has it.
pub(super) enum RawEntry<'a> {
    Directory,
    File { size: u64, content: &'a mut dyn Read, at: Option<Range<u64>> },
    Symlink(Vec<u8>),
    HardLink(Vec<u8>),
}

/// What a format says of an entry besides.
#[derive(Clone, Copy)]
pub(super) struct RawAttributes {
    pub(super) mode: u32,
    pub(super) owner: Option<(u32, u32)>,
}

impl From<u32> for RawAttributes {
    fn from(mode: u32) -> Self {
        Self { mode, owner: None }
    }
}

/// Is shown the members, by the visitor or by whoever opens the archive in one of them. What the visitor says is
/// [`UnpackError::Io`].
pub(super) type Show<'v> = &'v mut dyn FnMut(Member<'_>) -> Result<(), UnpackError>;

/// Whether the recipe wants what is shown at a path. What it doesn't want may be whatever it is.
pub(super) type Wanted<'v> = &'v dyn Fn(&TreePath) -> bool;

/// One archive being walked through.
pub(super) struct Walk<'v> {
    pub(super) limits: Limits,
    strip: usize,
    wanted: Wanted<'v>,
    show: Show<'v>,
    entries: u64,
    bytes: u64,
    /// What was seen, by the paths of the archive.
    names: Paths,
    /// What is wanted of it, by the paths that it has there.
    shown: Paths,
}

impl<'v> Walk<'v> {
    pub(super) fn new(limits: Limits, strip: usize, wanted: Wanted<'v>, show: Show<'v>) -> Self {
        Self {
            limits,
            strip,
            wanted,
            show,
            entries: 0,
            bytes: 0,
            names: Paths::new(true),
            shown: Paths::new(limits.case),
        }
    }

    pub(super) fn show(
        &mut self,
        raw: &[u8],
        attributes: RawAttributes,
        found: RawEntry<'_>,
    ) -> Result<(), UnpackError> {
        let RawAttributes { mode, owner } = attributes;
        let limit = self.limits.entries;
        self.entries += 1;
        if self.entries > limit {
            return Err(UnpackError::TooManyEntries { limit });
        }
        let (path, what) = match self.check(raw, found) {
            Ok(Some(shown)) => shown,
            Ok(None) => return Ok(()),
            Err(fault) => return self.refused(raw, fault),
        };
        (self.show)(Member { path, mode, owner, what }).map_err(|error| match error {
            UnpackError::Io(source) => UnpackError::Visit { path: raw.to_vec(), source },
            other => other,
        })
    }

    /// Shows the one thing that a compressed file is.
    pub(super) fn lone(&mut self, content: &mut dyn Read) -> Result<(), UnpackError> {
        if self.strip > 0 {
            return Ok(());
        }
        let limit = self.limits.file.min(self.limits.bytes);
        let mut bounded = Read::take(content, limit.saturating_add(1));
        let what = What::File { content: &mut bounded, at: None };
        (self.show)(Member { path: TreePath::root(), mode: 0o644, owner: None, what })?;
        io::copy(&mut bounded, &mut io::sink()).map_err(UnpackError::Io)?;
        if bounded.limit() == 0 { Err(UnpackError::LoneTooLarge { limit }) } else { Ok(()) }
    }

    /// Refuses an entry, unless nobody wants it: a device that the recipe leaves out is none of its concern.
    pub(super) fn refused(&self, raw: &[u8], fault: UnpackFault) -> Result<(), UnpackError> {
        let wanted = |path| names::stripped(&path, self.strip).is_some_and(|path| (self.wanted)(&path));
        if fault.is_one_entrys() && names::path(raw).is_ok_and(|path| !wanted(path)) {
            return Ok(());
        }
        Err(UnpackError::entry(raw, fault))
    }

    /// What is to be shown of an entry; none if it vanishes.
    fn check<'a>(
        &mut self,
        raw: &[u8],
        found: RawEntry<'a>,
    ) -> Result<Option<(TreePath, What<'a>)>, UnpackFault> {
        let path = names::path(raw)?;
        if path.is_root() {
            return if matches!(found, RawEntry::Directory) { Ok(None) } else { Err(UnpackFault::Root) };
        }
        if let RawEntry::File { size, .. } = found {
            self.count(size)?;
        }
        let shown = names::stripped(&path, self.strip);
        let (seen, what) = match found {
            RawEntry::Directory => (Seen::Directory, What::Directory),
            RawEntry::File { content, at, .. } => (Seen::File, What::File { content, at }),
            RawEntry::Symlink(target) => (Seen::Symlink, What::Symlink(link(target)?)),
            RawEntry::HardLink(target) => {
                let (file, there) =
                    self.target(&target, shown.is_some()).ok_or(UnpackFault::HardLink { target })?;
                (Seen::HardLink(file), What::HardLink(there))
            }
        };
        let Some(shown) = shown else {
            self.names.add(&path, seen)?;
            return Ok(None);
        };
        self.names.add(&path, seen.clone())?;
        if (self.wanted)(&shown) {
            self.shown.add(&shown, seen)?;
        }
        Ok(Some((shown, what)))
    }

    /// The file that a hard link means, and where that is shown. A link that vanishes itself need not mean a file that
    /// is.
    fn target(&self, raw: &[u8], shown: bool) -> Option<(TreePath, TreePath)> {
        let file = self.names.file(&names::path(raw).ok()?)?;
        let there = if shown { names::stripped(&file, self.strip)? } else { file.clone() };
        Some((file, there))
    }

    pub(super) fn count(&mut self, size: u64) -> Result<(), UnpackFault> {
        let Limits { file, bytes, .. } = self.limits;
        if size > file {
            return Err(UnpackFault::FileTooLarge { size, limit: file });
        }
        self.bytes = self.bytes.saturating_add(size);
        if self.bytes > bytes { Err(UnpackFault::TooLarge { limit: bytes }) } else { Ok(()) }
    }
}

/// Any target of a symbolic link that a file system takes.
fn link(target: Vec<u8>) -> Result<Vec<u8>, UnpackFault> {
    match () {
        () if target.is_empty() => Err(UnpackFault::Empty),
        () if target.len() > LONGEST => Err(UnpackFault::TooLong { limit: LONGEST }),
        () if target.contains(&0) => Err(UnpackFault::Nul),
        () => Ok(target),
    }
}
