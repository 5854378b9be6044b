//! What holds for an entry, whatever format it comes from.
//!
//! Owns that an entry is checked before it is shown, and what is dropped from its path. It must not know formats.

use std::io::Read;
use std::ops::Range;

use super::error::{UnpackError, UnpackFault};
use super::member::{Limits, Member, What};
use super::names::{self, LONGEST, Paths, Seen};
use crate::tree::TreePath;

/// An entry as its format has it.
pub(super) enum RawEntry<'a> {
    Directory,
    File { size: u64, content: &'a mut dyn Read, at: Option<Range<u64>> },
    Symlink(Vec<u8>),
    HardLink(Vec<u8>),
}

/// Is shown the members, by the visitor or by whoever opens the archive in one of them. What the visitor says is
/// [`UnpackError::Io`].
pub(super) type Show<'v> = &'v mut dyn FnMut(Member<'_>) -> Result<(), UnpackError>;

/// One archive being walked through.
pub(super) struct Walk<'v> {
    pub(super) limits: Limits,
    strip: usize,
    show: Show<'v>,
    entries: u64,
    bytes: u64,
    /// What was seen, by the paths of the archive.
    names: Paths,
    /// What was shown, by the paths that it has there, where those differ.
    stripped: Paths,
}

impl<'v> Walk<'v> {
    pub(super) fn new(limits: Limits, strip: usize, show: Show<'v>) -> Self {
        Self {
            limits,
            strip,
            show,
            entries: 0,
            bytes: 0,
            names: Paths::new(limits.case),
            stripped: Paths::new(limits.case),
        }
    }

    pub(super) fn show(&mut self, raw: &[u8], mode: u32, found: RawEntry<'_>) -> Result<(), UnpackError> {
        let limit = self.limits.entries;
        self.entries += 1;
        if self.entries > limit {
            return Err(UnpackError::TooManyEntries { limit });
        }
        let Some((path, what)) = self.check(raw, found).map_err(|fault| UnpackError::entry(raw, fault))?
        else {
            return Ok(());
        };
        (self.show)(Member { path, mode, what }).map_err(|error| match error {
            UnpackError::Io(source) => UnpackError::Visit { path: raw.to_vec(), source },
            other => other,
        })
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
                let file = self.target(&target, shown.is_some()).ok_or(UnpackFault::HardLink { target })?;
                (Seen::HardLink(file.clone()), What::HardLink(file))
            }
        };
        let Some(shown) = shown else {
            self.names.add(&path, seen)?;
            return Ok(None);
        };
        if self.strip > 0 {
            self.stripped.add(&shown, seen.clone())?;
        }
        self.names.add(&path, seen)?;
        Ok(Some((shown, what)))
    }

    /// The file that a hard link means. One that vanishes itself need not mean a file that is shown.
    fn target(&self, raw: &[u8], shown: bool) -> Option<TreePath> {
        let path = names::path(raw).ok()?;
        if self.strip == 0 || !shown {
            return self.names.file(&path);
        }
        self.names.file(&path)?;
        self.stripped.file(&names::stripped(&path, self.strip)?)
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
