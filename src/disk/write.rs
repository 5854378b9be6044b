//! Files written so that they are either not there or whole.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use super::directory::{create_directories, parent, remove, sweep, unused};
use super::error::{Error, again, failed};
use super::lock::Lock;
use super::sync::{sync, sync_directory};

/// A file that nobody sees yet. Dropped before [`publish`] or [`replace`], it is removed.
#[derive(Debug)]
pub struct Temporary {
    /// Empty while it has no name, and when it is no longer ours to remove.
    path: PathBuf,
    file: Option<File>,
}

impl Temporary {
    /// A new file in `dir`.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn new(dir: &Path) -> Result<Self, Error> {
        let (path, file) = unused(dir, |path| OpenOptions::new().write(true).create_new(true).open(path))?;
        Ok(Self { path, file: Some(file) })
    }

    /// A new file in the directory that holds `path`, which must not be a device, FIFO or directory.
    ///
    /// # Errors
    /// When it can't be made, or could not be renamed to `path`.
    pub fn beside(path: &Path) -> Result<Self, Error> {
        match fs::metadata(path) {
            Ok(found) if !found.is_file() => Err(Error::NotRegular { path: path.to_owned() }),
            _ => match unnamed(parent(path)) {
                Some(file) => Ok(Self { path: PathBuf::new(), file: Some(file) }),
                None => Self::new(parent(path)),
            },
        }
    }

    /// Where it lies meanwhile.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open file; none once it was closed.
    pub(super) const fn file(&self) -> Option<&File> {
        self.file.as_ref()
    }

    /// Gives the descriptor back; the file stays.
    pub fn close(&mut self) {
        self.file = None;
    }
}

impl Write for Temporary {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match &mut self.file {
            Some(file) => file.write(buffer),
            None => Err(io::Error::other("the file was closed")),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.path.as_os_str().is_empty() {
            let _ = again(|| fs::remove_file(&self.path));
        }
    }
}

/// A file without a name in `dir`, which vanishes with the process; none where there is no such thing.
#[cfg(target_os = "linux")]
pub(super) fn unnamed(dir: &Path) -> Option<File> {
    let flags = rustix::fs::OFlags::TMPFILE.bits() as i32;
    let file = OpenOptions::new().write(true).custom_flags(flags).open(dir).ok()?;
    // Its name is given by way of /proc, which isn't everywhere.
    fs::symlink_metadata(descriptor(&file)).is_ok().then_some(file)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn unnamed(_: &Path) -> Option<File> {
    None
}

fn descriptor(file: &File) -> String {
    use std::os::fd::AsRawFd;
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// Gives an unnamed file a temporary name in `dir`.
fn name(file: &File, dir: &Path) -> Result<PathBuf, Error> {
    use rustix::fs::{AtFlags, CWD, linkat};
    let link = |path: &Path| Ok(linkat(CWD, descriptor(file), CWD, path, AtFlags::SYMLINK_FOLLOW)?);
    Ok(unused(dir, link)?.0)
}

/// A directory of temporary files, made when the first is: a process that is killed leaves one entry.
#[derive(Debug)]
pub struct Staging {
    parent: PathBuf,
    dir: Mutex<Option<PathBuf>>,
}

impl Staging {
    /// Puts the directory in `parent`, which is made with it.
    pub fn new(parent: PathBuf) -> Self {
        Self { parent, dir: Mutex::new(None) }
    }

    /// A new file.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn file(&self) -> Result<Temporary, Error> {
        let dir = {
            let mut dir = self.dir.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            match &*dir {
                Some(dir) => dir.clone(),
                None => {
                    create_directories(&self.parent)?;
                    dir.insert(unused(&self.parent, |path| fs::create_dir(path))?.0).clone()
                }
            }
        };
        Temporary::new(&dir)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        if let Ok(Some(dir)) = self.dir.get_mut() {
            let _ = again(|| fs::remove_dir(&*dir)).or_else(|_| again(|| fs::remove_dir_all(&*dir)));
        }
    }
}

/// Syncs the files in parallel, then gives them their names, then syncs the directories `also` and those of
/// the names. When it returns, all of them survive a power cut; when it fails, each is whole or not there. A
/// directory that stands where a file belongs gives way: for names that are digests, it is damage.
///
/// # Errors
/// When a sync or rename fails.
pub fn publish(files: Vec<(Temporary, PathBuf)>, also: &[&Path]) -> Result<(), Error> {
    let sources: Vec<_> = files.iter().map(|(file, _)| (file.path(), file.file.as_ref())).collect();
    sync(&sources)?;
    let mut directories: Vec<PathBuf> = also.iter().map(|&path| path.to_owned()).collect();
    for (mut temporary, target) in files {
        temporary.close();
        let rename = || again(|| fs::rename(&temporary.path, &target));
        match rename() {
            Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
                remove(&target)?;
                rename()
            }
            renamed => renamed,
        }
        .map_err(failed("rename a new file to", &target))?;
        temporary.path = PathBuf::new();
        directories.push(parent(&target).to_owned());
    }
    directories.sort();
    directories.dedup();
    sync(&directories.iter().map(|path| (path.as_path(), None)).collect::<Vec<_>>())
}

/// Replaces or makes a file: the one that was made [beside](Temporary::beside) `path`, not closed since.
///
/// # Errors
/// When a sync or rename fails; the old one is still there then.
pub fn replace(temporary: Temporary, path: &Path) -> Result<(), Error> {
    if let Some(file) = &temporary.file {
        file.sync_all().map_err(failed("bring to the disk", path))?;
    }
    rename(temporary, path)?;
    sync_directory(parent(path))
}

/// Gives a file its name, and takes that from the one that had it.
fn rename(mut temporary: Temporary, path: &Path) -> Result<(), Error> {
    if let Some(file) = temporary.file.take()
        && temporary.path.as_os_str().is_empty()
    {
        temporary.path = name(&file, parent(path))?;
    }
    again(|| fs::rename(&temporary.path, path)).map_err(failed("rename a new file to", path))?;
    temporary.path = PathBuf::new();
    Ok(())
}

/// Replaces or makes a file.
///
/// # Errors
/// When it can't be written; the old one is still there then.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut temporary = Temporary::beside(path)?;
    temporary.write_all(bytes).map_err(failed("write", path))?;
    replace(temporary, path)
}

/// As [`write_atomic`], but only this user may read and write the file, and nobody waits for the disk: after a power cut it
/// may be lost or damaged.
///
/// # Errors
/// As for [`write_atomic`].
pub fn write_forgettable(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    let mut temporary = Temporary::beside(path)?;
    if let Some(file) = temporary.file() {
        file.set_permissions(fs::Permissions::from_mode(0o600))
            .map_err(failed("change the mode of", path))?;
    }
    temporary.write_all(bytes).map_err(failed("write", path))?;
    rename(temporary, path)
}

/// As [`write_atomic`], in a directory where nobody else makes temporary files: those that a killed process left are
/// removed first.
///
/// # Errors
/// As for [`write_atomic`].
pub fn write_swept(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    // Some network file systems lock no directories. There they stay.
    let lock = Lock::directory(parent(path)).ok();
    if lock.is_some() {
        _ = sweep(parent(path));
    }
    write_atomic(path, bytes)
}

/// Lets whoever may read a file execute it.
///
/// # Errors
/// When it can't be.
pub fn make_executable(path: &Path) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt;
    let found = fs::metadata(path).map_err(failed("look at", path))?.permissions().mode();
    let mode = found | (found & 0o444) >> 2;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(failed("change the mode of", path))
}
