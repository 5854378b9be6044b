//! zip, over the crate of that name.
//!
//! Owns what the crate leaves to its callers: that there is one directory and nothing behind it, where the zip begins in
//! a file that has something in front of it, that the directory and the headers beside the files say the same, types
//! and modes, and that a file has the size that it is said to.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read, SeekFrom};

use zip::read::{ArchiveOffset, Config, ZipArchive, ZipFileEntry};
use zip::result::ZipError;
use zip::unstable::read::ZipIterable;
use zip::{CompressionMethod, System, ZipReadOptions};

use super::error::{UnpackError, UnpackFault};
use super::names::LONGEST;
use super::walk::{RawEntry, Seekable, Walk};

/// The record at the end of the archive, without the comment.
const END: usize = 22;
/// Where to find that record's zip64 sibling: 20 bytes in front of it.
const LOCATOR: usize = 20;
/// That sibling, without what may follow in it.
const LARGE: usize = 56;

/// What an entry of the directory begins with.
const CENTRAL: &[u8; 4] = b"PK\x01\x02";

const TYPE: u32 = 0o170_000;
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const SYMLINK: u32 = 0o120_000;

/// What the last record says.
struct End {
    entries: u64,
    /// From the file's first byte.
    directory: u64,
    /// What stands in front of the zip, as far as its offsets don't count that.
    front: u64,
    comment: Vec<u8>,
}

/// Whether a file ends as a zip does, whatever it begins with.
pub(super) fn ends_as_one(source: &mut dyn Seekable) -> io::Result<bool> {
    let found = match end(source, u64::MAX) {
        Err(UnpackError::Io(error)) => return Err(error),
        end => end.is_ok(),
    };
    source.rewind().map(|()| found)
}

/// Shows every entry, in the order of the directory.
pub(super) fn walk(source: &mut dyn Seekable, walk: &mut Walk<'_>) -> Result<(), UnpackError> {
    let end = end(source, walk.limits.entries)?;
    let config = Config { archive_offset: ArchiveOffset::Known(end.front) };
    let mut archive = ZipArchive::with_config(config, source).map_err(whole)?;
    let mut repeated = Repeated::default();
    if archive.has_duplicate_names() {
        let source = archive.into_inner();
        repeated = self::repeated(&mut *source, config)?;
        archive = ZipArchive::with_config(config, source).map_err(whole)?;
    }
    let same = archive.comment() == end.comment
        && archive.len() as u64 + repeated.more == end.entries
        && archive.central_directory_start() == end.directory;
    if !same {
        return Err(damaged("readers disagree on where its directory is"));
    }
    if archive.has_overlapping_entries().map_err(whole)? {
        return Err(damaged("its entries overlap"));
    }
    for index in 0..archive.len() {
        entry(&mut archive, index, &repeated.names, walk)?;
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
    let ends = tail.windows(END).enumerate().filter(|(at, record)| {
        record.starts_with(b"PK\x05\x06") && tail.len() - at - END == usize::from(u16_at(record, 20))
    });
    // Some look for the first, others for the last.
    if ends.count() > 1 {
        return Err(damaged("readers disagree on where its end is"));
    }
    let at = tail.windows(4).rposition(|bytes| bytes == b"PK\x05\x06");
    let (before, record) = at.map_or((&[][..], &[][..]), |at| tail.split_at(at));
    let Some((record, comment)) = record.split_at_checked(END) else {
        return Err(damaged("its end is missing"));
    };
    if usize::from(u16_at(record, 20)) != comment.len() {
        return Err(damaged("there is data after its end, or its comment is cut"));
    }
    let at = length - comment.len() as u64 - END as u64;
    let locator = before.len().checked_sub(LOCATOR).map(|at| &before[at..]);
    let locator = locator.filter(|bytes| bytes.starts_with(b"PK\x06\x07"));
    let (at, entries, size, directory) = match locator {
        Some(locator) => {
            let (at, large) = large(source, u64_at(locator, 8), at)?;
            (at, u64_at(&large, 32), u64_at(&large, 40), u64_at(&large, 48))
        }
        None => (at, u16_at(record, 10).into(), u32_at(record, 12).into(), u32_at(record, 16).into()),
    };
    if entries > most {
        return Err(UnpackError::TooManyEntries { limit: most });
    }
    let front = front(source, at, size, directory)?;
    Ok(End { entries, directory: directory.saturating_add(front), front, comment: comment.to_vec() })
}

/// The zip64 record, and where it is: where it says, or directly before its locator, where something stands in front of
/// the zip.
fn large(source: &mut dyn Seekable, says: u64, end: u64) -> Result<(u64, Vec<u8>), UnpackError> {
    for at in [Some(says), end.checked_sub((LOCATOR + LARGE) as u64)].into_iter().flatten() {
        source.seek(SeekFrom::Start(at)).map_err(UnpackError::Io)?;
        let mut record = Vec::new();
        (&mut *source).take(LARGE as u64).read_to_end(&mut record).map_err(UnpackError::Io)?;
        if record.len() == LARGE && record.starts_with(b"PK\x06\x06") {
            return Ok((at, record));
        }
    }
    Err(damaged("its zip64 end is missing"))
}

/// How many bytes stand in front of the zip that its offsets don't count: a script that starts what is in it. The directory
/// ends where the last record is, at `at`.
fn front(source: &mut dyn Seekable, at: u64, size: u64, directory: u64) -> Result<u64, UnpackError> {
    let front = directory.checked_add(size).and_then(|end| at.checked_sub(end)).unwrap_or(0);
    if front == 0 || size == 0 {
        return Ok(0);
    }
    let mut is_there = |at: u64| -> io::Result<bool> {
        source.seek(SeekFrom::Start(at))?;
        let mut start = Vec::new();
        (&mut *source).take(4).read_to_end(&mut start)?;
        Ok(start == CENTRAL)
    };
    match (is_there(directory), is_there(directory + front)) {
        (Err(error), _) | (_, Err(error)) => Err(UnpackError::Io(error)),
        (Ok(true), Ok(true)) => Err(damaged("readers disagree on where its directory is")),
        (Ok(false), Ok(true)) => Ok(front),
        // Or there is something else between the directory and its end.
        (Ok(_), Ok(false)) => Ok(0),
    }
}

/// What the crate's archive doesn't tell of a directory that has names more than once: it keeps one entry of each.
#[derive(Default)]
struct Repeated {
    /// How many entries there are besides.
    more: u64,
    /// The names where it matters which entry is meant.
    names: BTreeSet<Vec<u8>>,
}

/// Reads such a directory, and compares it with the headers beside the files, which the crate's archive then doesn't.
fn repeated(source: &mut dyn Seekable, config: Config) -> Result<Repeated, UnpackError> {
    let directory = ZipIterable::try_new(source, config).map_err(whole)?;
    let mut directory = directory.enforce_header_consistency(true);
    let (mut seen, mut repeated) = (BTreeMap::new(), Repeated::default());
    for entry in directory.files().map_err(whole)? {
        let entry = entry.map_err(whole)?;
        let name = entry.name_raw().to_vec();
        // Of a directory that is made by the same system with the same mode either will do.
        let same = name.ends_with(b"/").then(|| (entry.system(), entry.external_attributes()));
        if let Some(before) = seen.insert(name.clone(), same) {
            repeated.more += 1;
            if same.is_none() || before != same {
                repeated.names.insert(name);
            }
        }
    }
    Ok(repeated)
}

fn entry(
    archive: &mut ZipArchive<&mut dyn Seekable>,
    index: usize,
    repeated: &BTreeSet<Vec<u8>>,
    walk: &mut Walk<'_>,
) -> Result<(), UnpackError> {
    let entry = archive.by_index_data(index).map_err(whole)?;
    let name = entry.name_raw().to_vec();
    let refused = |fault| walk.refused(&name, fault);
    if repeated.contains(&name) {
        return refused(UnpackFault::Duplicate);
    }
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
    let options = ZipReadOptions::new().enforce_header_consistency(!archive.has_duplicate_names());
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
        REGULAR => walk.show(name, mode.into(), RawEntry::File { size, content: &mut *content, at: None })?,
        SYMLINK => {
            let mut target = Vec::new();
            let mut start = content.take(LONGEST as u64 + 1);
            start.read_to_end(&mut target).map_err(UnpackError::Io)?;
            return walk.show(name, mode.into(), RawEntry::Symlink(target));
        }
        _ => walk.show(name, mode.into(), RawEntry::Directory)?,
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
    let mode = match mode & TYPE {
        0 | DIRECTORY | REGULAR | SYMLINK | 0o010_000 | 0o020_000 | 0o060_000 | 0o140_000 => mode,
        // A type of no system's: many writers of jars set all bits. That is as good as no mode, so the name has the say.
        _ => 0,
    };
    let kind = match (mode & TYPE, slash) {
        (0 | DIRECTORY | REGULAR, true) if entry.size() == 0 => DIRECTORY,
        (0 | REGULAR, false) => REGULAR,
        (SYMLINK, false) => SYMLINK,
        (0 | DIRECTORY | REGULAR | SYMLINK, _) => return Err(UnpackFault::TypeConflict),
        (0o020_000 | 0o060_000, _) => return Err(UnpackFault::Type { what: "a device" }),
        (0o010_000, _) => return Err(UnpackFault::Type { what: "a named pipe" }),
        _ => return Err(UnpackFault::Type { what: "a socket" }),
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
