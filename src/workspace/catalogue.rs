//! Other workspaces, whose recipes those of this one extend, out of their archives.

use std::fs::{self, OpenOptions, Permissions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use super::Error;
use crate::disk;
use crate::layer::unpack::{Limits, Member, UnpackError, What};
use crate::tree::TreePath;

/// More than that is no workspace: entries, bytes in all, bytes of one file.
const LIMITS: Limits = Limits {
    entries: 100_000,
    bytes: 1 << 30,
    file: 256 << 20,
    dictionary: 64 << 20,
    inside: 0,
    case: false,
};

/// Unpacks an archive that holds a workspace, at its top or in the one directory there, into a directory that isn't there
/// yet. All of it is on the disk then, or nothing is.
///
/// # Errors
/// The archive is refused, it holds no workspace, or it can't be written.
#[allow(clippy::disallowed_methods, reason = "the error names the directory")]
pub fn unpack(archive: &Path, name: &str, directory: &Path) -> Result<(), Error> {
    let refused = |source: UnpackError| Error::Archive { name: name.to_owned(), source };
    let parent = disk::parent(directory);
    disk::create_directories(parent)?;
    let scratch = disk::Scratch::new(parent)?;
    let whole = scratch.path().join("whole");
    let mut links = Vec::new();
    let (file, _) = disk::open(archive)?;
    let visit = &mut |member: Member<'_>| write(&whole, member, &mut links);
    crate::layer::unpack::unpack(&file, &[], 0, LIMITS, &|_| true, visit).map_err(refused)?;
    for (path, target) in links {
        let failed = disk::failed("make the link", &path);
        symlink(target, &path).map_err(failed)?;
    }
    let root = root(&whole)?.ok_or_else(|| Error::NoWorkspaceIn { name: name.to_owned() })?;
    disk::sync_directory(parent)?;
    match fs::rename(&root, directory) {
        // Somebody else was first.
        Err(_) if disk::is_directory(directory) => Ok(()),
        renamed => Ok(renamed.map_err(disk::failed("rename a new directory to", directory))?),
    }
}

/// Where a workspace is: there, or in the one directory that is there.
fn root(whole: &Path) -> Result<Option<PathBuf>, Error> {
    let is_root = |path: &Path| path.join(super::FILE).is_file();
    if is_root(whole) {
        return Ok(Some(whole.to_owned()));
    }
    let inner = match &disk::list(whole)?[..] {
        [(name, kind)] if kind.is_dir() => whole.join(name),
        _ => return Ok(None),
    };
    Ok(Some(inner).filter(|inner| is_root(inner)))
}

/// Writes a member. Links come last: nothing is written through one.
#[allow(clippy::disallowed_methods, reason = "the error names the member")]
fn write(whole: &Path, member: Member<'_>, links: &mut Vec<(PathBuf, PathBuf)>) -> io::Result<()> {
    let place = |path: &TreePath| whole.join(std::ffi::OsStr::from_bytes(path.as_bytes()));
    let path = place(&member.path);
    let above = disk::parent(&path);
    match member.what {
        What::Directory => fs::create_dir_all(path),
        What::Symlink(target) => {
            fs::create_dir_all(above)?;
            links.push((path, PathBuf::from(std::ffi::OsStr::from_bytes(&target))));
            Ok(())
        }
        What::HardLink(target) => {
            fs::create_dir_all(above)?;
            fs::copy(place(&target), path).map(drop)
        }
        What::File { content, .. } => {
            fs::create_dir_all(above)?;
            let mut file = OpenOptions::new().write(true).create_new(true).open(path)?;
            io::copy(content, &mut file)?;
            let mode = if member.mode & 0o100 == 0 { 0o644 } else { 0o755 };
            file.set_permissions(Permissions::from_mode(mode))?;
            file.sync_all()
        }
    }
}
