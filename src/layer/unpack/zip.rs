//! zip, over the crate of that name.
//!
//! Owns what the crate leaves to its callers: that there is one directory and nothing behind it, that the directory
//! and the headers beside the files say the same, types and modes, and that a file has the size that it is said to.

use std::collections::BTreeSet;
use std::io::{self, BufReader, Read, SeekFrom};

use zip::read::{ArchiveOffset, Config, ZipArchive, ZipFileEntry};
use zip::result::ZipError;
use zip::{CompressionMethod, System, ZipReadOptions};

use super::error::{UnpackError, UnpackFault};
use super::names::LONGEST;
use super::source::Seekable;
use super::walk::{RawEntry, Walk};

/// The record at the end of the archive, without the comment.
const END: usize = 22;
/// Where to find that record's zip64 sibling: 20 bytes in front of it.
const LOCATOR: usize = 20;

const TYPE: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;

/// What the last record says.
struct End {
    entries: u16,
    directory: u32,
    comment: Vec<u8>,
}

/// Shows every entry, in the order of the directory.
pub(super) fn walk(source: &mut dyn Seekable, walk: &mut Walk<'_>) -> Result<(), UnpackError> {
    let end = end(source, walk.limits.entries)?;
    // Offsets count from the first byte: with something in front readers begin to guess.
    let config = Config { archive_offset: ArchiveOffset::Known(0) };
    let mut archive = ZipArchive::with_config(config, source).map_err(whole)?;
    if archive.has_duplicate_names() {
        let start = archive.central_directory_start();
        let name = twice(archive.into_inner(), start).map_err(UnpackError::Io)?;
        let damaged = || damaged("two entries have one name");
        return Err(name.map_or_else(damaged, |name| UnpackError::entry(&name, UnpackFault::Duplicate)));
    }
    let same = archive.comment() == end.comment
        && (end.entries == u16::MAX || archive.len() == usize::from(end.entries))
        && (end.directory == u32::MAX || archive.central_directory_start() == u64::from(end.directory));
    if !same {
        return Err(damaged("readers disagree on where its directory is"));
    }
    if archive.has_overlapping_entries().map_err(whole)? {
        return Err(damaged("its entries overlap"));
    }
    for index in 0..archive.len() {
        entry(&mut archive, index, walk)?;
    }
    Ok(())
}

/// Finds the last record and what could be large in it, before the crate makes room for so many entries.
fn end(source: &mut dyn Seekable, most: u64) -> Result<End, UnpackError> {
    let length = source.seek(SeekFrom::End(0)).map_err(UnpackError::Io)?;
    let start = length.saturating_sub((LOCATOR + END + usize::from(u16::MAX)) as u64);
    let mut tail = Vec::new();
    source.seek(SeekFrom::Start(start)).map_err(UnpackError::Io)?;
    source.read_to_end(&mut tail).map_err(UnpackError::Io)?;
    let at = tail.windows(4).rposition(|bytes| bytes == b"PK\x05\x06");
    let (before, record) = at.map_or((&[][..], &[][..]), |at| tail.split_at(at));
    let Some((record, comment)) = record.split_at_checked(END) else {
        return Err(damaged("its end is missing"));
    };
    if usize::from(u16_at(record, 20)) != comment.len() {
        return Err(damaged("there is data after its end, or its comment is cut"));
    }
    let end = End { entries: u16_at(record, 10), directory: u32_at(record, 16), comment: comment.to_vec() };
    let locator = before.len().checked_sub(LOCATOR).map(|at| &before[at..]);
    let entries = match locator.filter(|bytes| bytes.starts_with(b"PK\x06\x07")) {
        Some(locator) => {
            source.seek(SeekFrom::Start(u64_at(locator, 8))).map_err(UnpackError::Io)?;
            let mut large = Vec::new();
            source.take(56).read_to_end(&mut large).map_err(UnpackError::Io)?;
            if large.len() < 56 || !large.starts_with(b"PK\x06\x06") {
                return Err(damaged("its zip64 end is missing"));
            }
            u64_at(&large, 32)
        }
        None => u64::from(end.entries),
    };
    if entries > most { Err(UnpackError::TooManyEntries { limit: most }) } else { Ok(end) }
}

/// The first name that the directory, from `start` on, has a second time: the crate keeps one entry of each.
fn twice(source: &mut dyn Seekable, start: u64) -> io::Result<Option<Vec<u8>>> {
    source.seek(SeekFrom::Start(start))?;
    let mut source = BufReader::new(source);
    let (mut record, mut seen) = ([0; 46], BTreeSet::new());
    while source.read_exact(&mut record).is_ok() && record.starts_with(b"PK\x01\x02") {
        let [name, extra, comment] = [28, 30, 32].map(|at| u64::from(u16_at(&record, at)));
        let mut bytes = Vec::new();
        source.by_ref().take(name).read_to_end(&mut bytes)?;
        io::copy(&mut source.by_ref().take(extra + comment), &mut io::sink())?;
        if let Some(bytes) = seen.replace(bytes) {
            return Ok(Some(bytes));
        }
    }
    Ok(None)
}

fn entry(
    archive: &mut ZipArchive<&mut dyn Seekable>,
    index: usize,
    walk: &mut Walk<'_>,
) -> Result<(), UnpackError> {
    let entry = archive.by_index_data(index).map_err(whole)?;
    let name = entry.name_raw().to_vec();
    let refused = |fault| Err(UnpackError::entry(&name, fault));
    if let Some(fault) = name_fault(&name) {
        return refused(fault);
    }
    let (kind, mode) = match kind(&entry) {
        Ok(kind) => kind,
        Err(fault) => return refused(fault),
    };
    if entry.encrypted() {
        return refused(UnpackFault::Encrypted);
    }
    let method = entry.compression();
    if !matches!(method, CompressionMethod::Stored | CompressionMethod::Deflated) {
        return refused(UnpackFault::Method { method: method.to_string() });
    }
    let size = entry.size();
    let options = ZipReadOptions::new().enforce_header_consistency(true);
    let file = archive.by_index_with_options(index, options).map_err(|error| of(&name, error))?;
    let mut content = Checked { file, name: &name, left: size, fault: None };
    let shown = show(&mut content, kind, mode, size, walk);
    shown.map_err(|error| content.fault.take().unwrap_or(error))
}

/// Shows an entry of some type, and reads it to its end.
fn show<R: Read>(
    content: &mut Checked<'_, R>,
    kind: u32,
    mode: u32,
    size: u64,
    walk: &mut Walk<'_>,
) -> Result<(), UnpackError> {
    let name = content.name;
    match kind {
        REGULAR => walk.show(name, mode, RawEntry::File { size, content: &mut *content, at: None })?,
        SYMLINK => {
            let mut target = Vec::new();
            let mut start = content.take(LONGEST as u64 + 1);
            start.read_to_end(&mut target).map_err(UnpackError::Io)?;
            return walk.show(name, mode, RawEntry::Symlink(target));
        }
        _ => walk.show(name, mode, RawEntry::Directory)?,
    }
    // What nobody wanted is checked too: an archive is intact or it isn't.
    io::copy(content, &mut io::sink()).map(drop).map_err(UnpackError::Io)
}

/// The encoding of other names depends on who reads them, and only Windows takes a backslash for a slash.
fn name_fault(name: &[u8]) -> Option<UnpackFault> {
    match () {
        () if name.contains(&b'\\') => Some(UnpackFault::Backslash),
        () if str::from_utf8(name).is_err() => Some(UnpackFault::Encoding),
        () => None,
    }
}

/// The type and the permission bits.
fn kind(entry: &ZipFileEntry<'_>) -> Result<(u32, u32), UnpackFault> {
    let unix = matches!(entry.system(), System::Unix | System::OsDarwin);
    // Not the crate's word for it: that drops setuid.
    let mode = if unix { entry.external_attributes() >> 16 } else { 0 };
    let slash = entry.name_raw().ends_with(b"/");
    let kind = match (mode & TYPE, slash) {
        (0 | DIRECTORY | REGULAR, true) if entry.size() == 0 => DIRECTORY,
        (0 | REGULAR, false) => REGULAR,
        (SYMLINK, false) => SYMLINK,
        (0 | DIRECTORY | REGULAR | SYMLINK, _) => return Err(UnpackFault::TypeConflict),
        (0o020_000 | 0o060_000, _) => return Err(UnpackFault::Type { what: "a device" }),
        (0o010_000, _) => return Err(UnpackFault::Type { what: "a named pipe" }),
        (0o140_000, _) => return Err(UnpackFault::Type { what: "a socket" }),
        _ => return Err(UnpackFault::Type { what: "of no known type" }),
    };
    let bits = match mode {
        0 if kind == DIRECTORY => 0o755,
        0 => 0o644,
        mode => mode & 0o7777,
    };
    Ok((kind, bits))
}

/// What an entry holds; an error if that is less than its size, and the crate says when it is more or other.
struct Checked<'a, R> {
    file: R,
    name: &'a [u8],
    left: u64,
    /// Why reading failed, unless it was the source.
    fault: Option<UnpackError>,
}

impl<R: Read> Read for Checked<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let fault = match self.file.read(buffer).map_err(|error| of(self.name, error.into())) {
            Ok(0) if !buffer.is_empty() && self.left > 0 => {
                let why = format!("it ends {} bytes before its size", self.left);
                UnpackError::entry(self.name, UnpackFault::Damaged { why })
            }
            Ok(count) => {
                self.left = self.left.saturating_sub(count as u64);
                return Ok(count);
            }
            Err(UnpackError::Io(error)) => return Err(error),
            Err(fault) => fault,
        };
        let shown = io::Error::other(fault.to_string());
        self.fault = Some(fault);
        Err(shown)
    }
}

fn damaged(why: &str) -> UnpackError {
    UnpackError::Zip { why: why.into() }
}

/// What the crate says of the archive. Only errors of the machine are no fault of the archive's.
fn whole(error: ZipError) -> UnpackError {
    match error {
        ZipError::Io(error) if error.raw_os_error().is_some() => UnpackError::Io(error),
        ZipError::Io(error) => damaged(&error.to_string()),
        ZipError::InvalidArchive(why) => damaged(&why),
        error => damaged(&error.to_string()),
    }
}

/// What the crate says of an entry.
fn of(name: &[u8], error: ZipError) -> UnpackError {
    match whole(error) {
        UnpackError::Zip { why } => UnpackError::entry(name, UnpackFault::Damaged { why }),
        other => other,
    }
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
