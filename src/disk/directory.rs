//! What stands in directories: listed, made, given a name that nobody has, and removed.

use std::ffi::OsString;
use std::fs::{self, FileType};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use super::error::{Error, again, failed, optional};
use super::sync::sync_directory;

/// What temporary names begin with.
pub const TEMPORARY: &str = ".tmp-";

/// Whether a path leads to a directory, links followed.
pub fn is_directory(path: &Path) -> bool {
    path.is_dir()
}

/// Whether anything stands at a path, be it a link that leads nowhere.
///
/// # Errors
/// When it can't be told.
pub fn is_there(path: &Path) -> Result<bool, Error> {
    optional(again(|| fs::symlink_metadata(path)).map_err(failed("look at", path)))
        .map(|found| found.is_some())
}

/// Whether a path leads to something; what can't be told is told by whoever opens it.
pub fn exists(path: &Path) -> bool {
    path.try_exists().unwrap_or(true)
}

/// Whether a symbolic link stands at a path.
///
/// # Errors
/// When it can't be told.
pub fn is_link(path: &Path) -> Result<bool, Error> {
    match again(|| fs::symlink_metadata(path)) {
        Ok(found) => Ok(found.is_symlink()),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(error) => Err(failed("look at", path)(error)),
    }
}

/// A directory's entries, sorted by name; empty when the directory isn't there.
///
/// # Errors
/// When it can't be read, or isn't a directory.
pub fn list(path: &Path) -> Result<Vec<(OsString, FileType)>, Error> {
    let Some(entries) = optional(again(|| fs::read_dir(path)).map_err(failed("list", path)))? else {
        return Ok(Vec::new());
    };
    let mut found = entries
        .map(|entry| entry.and_then(|entry| Ok((entry.file_name(), entry.file_type()?))))
        .collect::<io::Result<Vec<_>>>()
        .map_err(failed("list", path))?;
    found.sort_by(|(one, _), (other, _)| one.cmp(other));
    Ok(found)
}

/// Directories made for something that may fail yet: when this is dropped, those that are still empty go.
#[derive(Debug)]
pub struct Made(Vec<PathBuf>);

impl Made {
    /// Makes a directory and those above it that aren't there.
    ///
    /// # Errors
    /// As for [`create_directories`].
    pub fn new(path: &Path) -> Result<Self, Error> {
        let missing = path.ancestors().take_while(|path| fs::symlink_metadata(path).is_err());
        let made = Self(missing.map(Path::to_owned).collect());
        create_directories(path)?;
        Ok(made)
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        _ = self.0.iter().try_for_each(fs::remove_dir);
    }
}

/// Makes a directory and those above it, so that they survive a power cut.
///
/// # Errors
/// When one can't be made.
pub fn create_directories(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    let mut made = again(|| fs::create_dir(path));
    let orphan = |error: &io::Error| error.kind() == io::ErrorKind::NotFound && parent(path) != path;
    if made.as_ref().is_err_and(orphan) {
        create_directories(parent(path))?;
        // Once: in /proc nothing can be made, and "not found" is said of a parent that is there.
        made = again(|| fs::create_dir(path));
    }
    match made {
        Err(_) if is_link(path)? && !path.is_dir() => Err(Error::Dangling { path: path.to_owned() }),
        Ok(()) => sync_directory(parent(path)),
        Err(_) if path.is_dir() => Ok(()),
        Err(error) => Err(failed("make the directory", path)(error)),
    }
}

/// Removes whatever is at a path, a directory with all in it; nothing there is fine.
///
/// # Errors
/// When it stays.
pub fn remove(path: &Path) -> Result<(), Error> {
    let removed = match again(|| fs::symlink_metadata(path)) {
        Ok(found) if found.is_dir() => again(|| fs::remove_dir_all(path)),
        _ => again(|| fs::remove_file(path)),
    };
    optional(removed.map_err(failed("remove", path))).map(drop)
}

/// Removes the `.tmp-*` entries of a directory, and tells how many there were. Only for whoever holds a lock
/// that keeps their makers out.
///
/// # Errors
/// When one stays.
pub fn sweep(dir: &Path) -> Result<usize, Error> {
    let mut count = 0;
    for (name, _) in list(dir)? {
        if name.as_encoded_bytes().starts_with(TEMPORARY.as_bytes()) {
            remove(&dir.join(name))?;
            count += 1;
        }
    }
    Ok(count)
}

/// The directory that holds a path.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    }
}

/// Tries names until one is free: pid and counter are not enough where containers share a directory.
pub(super) fn unused<T>(dir: &Path, make: impl Fn(&Path) -> io::Result<T>) -> Result<(PathBuf, T), Error> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!("{TEMPORARY}{}-{number}", std::process::id()));
        match again(|| make(&path)) {
            Ok(made) => return Ok((path, made)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // The name is nobody's business: what is missing is the directory.
            Err(error) => return Err(failed("create a file in", dir)(error)),
        }
    }
}

/// A directory of one's own, removed with all that is in it.
#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// A new directory in `parent`, which is made if need be.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn new(parent: &Path) -> Result<Self, Error> {
        create_directories(parent)?;
        let (path, ()) = unused(parent, |path| fs::create_dir(path))?;
        Ok(Self { path })
    }

    /// Where it lies.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.path);
    }
}
