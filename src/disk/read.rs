//! Regular files, read: whole with a cap, a part of one, or here and there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use super::error::{Error, again, failed, optional};

/// Opens a regular file for reading, and tells its size.
///
/// # Errors
/// Nothing there, no permission, a link, or anything else that isn't a regular file.
pub fn open(path: &Path) -> Result<(File, u64), Error> {
    use rustix::fs::OFlags;
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|source| {
        if source.kind() == io::ErrorKind::NotFound {
            return failed("open", path)(source);
        }
        // ELOOP for a link, ENXIO for a socket: the names hide what is wrong.
        match fs::symlink_metadata(path) {
            Ok(found) if !found.is_file() => Error::NotRegular { path: path.to_owned() },
            _ => failed("open", path)(source),
        }
    })?;
    let found = file.metadata().map_err(failed("open", path))?;
    if !found.is_file() {
        return Err(Error::NotRegular { path: path.to_owned() });
    }
    Ok((file, found.len()))
}

/// All bytes of a regular file.
///
/// # Errors
/// As for [`open`], and when there are more than `cap`.
pub fn read(path: &Path, cap: u64) -> Result<Vec<u8>, Error> {
    let (file, size) = open(path)?;
    read_file(&file, path, size, cap)
}

/// All bytes of a file that was opened, which had `size` of them then.
///
/// # Errors
/// When there are more than `cap`, or they can't be read.
pub fn read_file(mut file: &File, path: &Path, size: u64, cap: u64) -> Result<Vec<u8>, Error> {
    let too_large = |size| Error::TooLarge { path: path.to_owned(), size, cap };
    if size > cap {
        return Err(too_large(size));
    }
    let mut bytes = vec![0; usize::try_from(size).map_err(|_| too_large(size))?];
    // At once: a file that grows is what it was, and nobody reads on to see whether there is more.
    let mut read = 0;
    while read < bytes.len() {
        match again(|| file.read(&mut bytes[read..])).map_err(failed("read", path))? {
            0 => break,
            count => read += count,
        }
    }
    bytes.truncate(read);
    Ok(bytes)
}

/// As [`read`]; `None` when there is nothing at the path.
///
/// # Errors
/// As for [`read`].
pub fn read_optional(path: &Path, cap: u64) -> Result<Option<Vec<u8>>, Error> {
    optional(read(path, cap))
}

/// An open file that is read here and there.
#[derive(Debug)]
pub struct Window {
    file: File,
    size: u64,
}

impl Window {
    /// Opens a regular file; none when it isn't there.
    ///
    /// # Errors
    /// As for [`open`].
    pub fn open(path: &Path) -> Result<Option<Self>, Error> {
        Ok(optional(open(path))?.map(|(file, size)| Self { file, size }))
    }

    /// Bytes in the file.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Up to `len` bytes from `offset` on, fewer at the end; none when they can't be read.
    pub fn read(&self, offset: u64, len: usize) -> Option<Vec<u8>> {
        let left = usize::try_from(self.size.checked_sub(offset)?).unwrap_or(usize::MAX);
        let mut bytes = vec![0; len.min(left)];
        self.file.read_exact_at(&mut bytes, offset).ok()?;
        Some(bytes)
    }
}

/// A part of a file, read without moving anybody else's position.
#[derive(Debug, Clone)]
pub struct Section {
    file: Arc<File>,
    offset: u64,
    /// Bytes that are still to come.
    left: u64,
}

impl Section {
    /// So many bytes from `offset` on.
    pub const fn new(file: Arc<File>, offset: u64, size: u64) -> Self {
        Self { file, offset, left: size }
    }

    /// How many bytes are still to come.
    pub const fn left(&self) -> u64 {
        self.left
    }
}

impl Read for Section {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = self.file.read_at(&mut buffer[..most], self.offset)?;
        self.offset += count as u64;
        self.left -= count as u64;
        Ok(count)
    }
}

/// Whether a regular file lies at a path that holds just these bytes, one part after the other. One that can't be
/// read does not.
pub fn holds(path: &Path, parts: &[&[u8]]) -> bool {
    let Ok((mut file, size)) = open(path) else { return false };
    let mut found = vec![0; parts.iter().map(|part| part.len()).sum()];
    if size != found.len() as u64 || file.read_exact(&mut found).is_err() {
        return false;
    }
    let mut rest = &found[..];
    parts.iter().all(|part| rest.split_off(..part.len()) == Some(*part))
}

/// The size of the regular file at a path; `None` when there is nothing, or something else.
///
/// # Errors
/// When it can't be told.
pub fn regular_size(path: &Path) -> Result<Option<u64>, Error> {
    let found = optional(again(|| fs::symlink_metadata(path)).map_err(failed("look at", path)))?;
    Ok(found.filter(fs::Metadata::is_file).map(|found| found.len()))
}
