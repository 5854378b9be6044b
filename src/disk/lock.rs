//! Locks between processes.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::directory::remove;
use super::error::{Error, again, failed};
use super::read::open;

/// An advisory lock between processes and threads, released when dropped or when the process ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits until nobody holds the lock file exclusively. The file is made if need be.
    ///
    /// # Errors
    /// When the file can't be made, or its file system has no locks.
    pub fn shared(path: &Path) -> Result<Self, Error> {
        let file = match lock_file(path) {
            // A store that can't be written to is locked as well, so that it can be read.
            Err(error) if error.is_refused() => open(path).map_err(|_| error)?.0,
            file => file?,
        };
        Self::take(path, file, File::lock_shared)
    }

    /// Waits until nobody else holds the lock file.
    ///
    /// # Errors
    /// As for [`Lock::shared`].
    pub fn exclusive(path: &Path) -> Result<Self, Error> {
        Self::take(path, lock_file(path)?, File::lock)
    }

    /// Waits until nobody else holds the directory itself, for places where no lock file may be left.
    ///
    /// # Errors
    /// As for [`Lock::shared`].
    pub fn directory(path: &Path) -> Result<Self, Error> {
        Self::take(path, File::open(path).map_err(failed("open", path))?, File::lock)
    }

    fn take(path: &Path, file: File, lock: fn(&File) -> io::Result<()>) -> Result<Self, Error> {
        again(|| lock(&file)).map_err(failed("lock", path))?;
        Ok(Self { _file: file })
    }
}

/// Opens or makes a lock file. It holds nothing, so whatever stands there and isn't a file gives way.
fn lock_file(path: &Path) -> Result<File, Error> {
    use rustix::fs::OFlags;
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits() as i32;
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).custom_flags(flags);
    match options.open(path) {
        Err(_) if fs::symlink_metadata(path).is_ok_and(|found| !found.is_file()) => {
            remove(path)?;
            options.open(path)
        }
        opened => opened,
    }
    .map_err(failed("open", path))
}
