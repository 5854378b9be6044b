//! Removing in a directory that others can write to, too: no link in it is followed, not even one that appears meanwhile.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, openat, unlinkat};
use rustix::io::Errno;

use super::directory::TEMPORARY;
use super::error::{Error, again, failed};

/// Directories in each other that are removed; what we make has two.
const MAX_DEPTH: usize = 32;

/// A directory, open, whatever links lead to it.
#[derive(Debug)]
pub struct Within {
    root: File,
    path: PathBuf,
}

impl Within {
    /// Opens a directory.
    ///
    /// # Errors
    /// When it isn't one, or isn't there.
    pub fn new(path: &Path) -> Result<Self, Error> {
        let root = again(|| File::open(path)).map_err(failed("open", path))?;
        Ok(Self { root, path: path.to_owned() })
    }

    /// Removes whatever is at a path of the directory: of a link the link, of a directory all that is in it. What isn't there
    /// is fine, and so is what only a link leads to, which isn't in the directory.
    ///
    /// # Errors
    /// When it stays.
    pub fn remove(&self, path: &Path) -> Result<(), Error> {
        let Ok(below) = path.strip_prefix(&self.path) else { return Ok(()) };
        let (Some(parent), Some(name)) = (below.parent(), below.file_name()) else { return Ok(()) };
        match self.open(parent).and_then(|parent| remove(parent.as_fd(), name, 0)) {
            Err(error) if is_elsewhere(&error) => Ok(()),
            done => done.map_err(failed("remove", path)),
        }
    }

    /// Removes the `.tmp-*` entries of a directory in this one (or of itself). Only for whoever holds a lock that keeps their
    /// makers out.
    ///
    /// # Errors
    /// When one stays.
    pub fn sweep(&self, directory: &Path) -> Result<(), Error> {
        let below = directory.strip_prefix(&self.path).unwrap_or(directory);
        let swept = self.open(below).and_then(|opened| {
            for name in names(opened.as_fd())? {
                if name.starts_with(TEMPORARY.as_bytes()) {
                    remove(opened.as_fd(), OsStr::from_bytes(&name), 0)?;
                }
            }
            Ok(())
        });
        match swept {
            Err(error) if is_elsewhere(&error) => Ok(()),
            done => done.map_err(failed("sweep", directory)),
        }
    }

    /// Opens a directory below, component by component.
    fn open(&self, below: &Path) -> io::Result<OwnedFd> {
        let mut at = self.root.as_fd().try_clone_to_owned()?;
        for part in below.components() {
            let Component::Normal(name) = part else { return Err(Errno::NOTDIR.into()) };
            at = directory(at.as_fd(), name)?;
        }
        Ok(at)
    }
}

/// Nothing is there, or nothing that is in the directory.
fn is_elsewhere(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [Errno::NOENT, Errno::LOOP, Errno::NOTDIR].iter().any(|errno| code == Some(errno.raw_os_error()))
}

fn directory(at: BorrowedFd<'_>, name: &OsStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    again(|| Ok(openat(at, name, flags, Mode::empty())?))
}

fn names(at: BorrowedFd<'_>) -> io::Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(at)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            found.push(name.to_vec());
        }
    }
    Ok(found)
}

fn remove(at: BorrowedFd<'_>, name: &OsStr, depth: usize) -> io::Result<()> {
    let unlinked = again(|| Ok(unlinkat(at, name, AtFlags::empty())?));
    let is_directory = |error: &io::Error| {
        // Linux says the one, POSIX the other.
        let code = error.raw_os_error();
        [Errno::ISDIR, Errno::PERM].iter().any(|errno| code == Some(errno.raw_os_error()))
    };
    match unlinked {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) if is_directory(&error) => {
            let opened = directory(at, name).map_err(|_| error)?;
            if depth >= MAX_DEPTH {
                return Err(io::Error::other("directories are nested too deeply in it"));
            }
            for inner in names(opened.as_fd())? {
                remove(opened.as_fd(), OsStr::from_bytes(&inner), depth + 1)?;
            }
            again(|| Ok(unlinkat(at, name, AtFlags::REMOVEDIR)?))
        }
        done => done,
    }
}
