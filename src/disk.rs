//! The file system, with errors that name the path.
//!
//! Owns every call of `std::fs` that the rooms above need: reading with a cap, writing so that a file is
//! either not there or whole, locks, listings. It knows nothing of what the files hold, and decides no place.
//!
//! Reading opens with `O_NOFOLLOW | O_NONBLOCK` and insists on a regular file: whoever hands over a
//! directory can't make Cooper follow a link out of it or wait on a FIFO. Writing follows one order: temporary
//! file, data, fsync, rename, fsync of the directory. What a killed process leaves is at most one `.tmp-*` entry;
//! beside a file of the user's it is nothing, wherever Linux can write a file that has no name yet.
#![allow(clippy::disallowed_methods, reason = "this module is where std::fs is allowed")]

use std::ffi::OsString;
pub use std::fs::File;
use std::fs::{self, FileType, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// What temporary names begin with.
pub const TEMPORARY: &str = ".tmp-";

/// How many files are synced at once. The threads only wait, so it has nothing to do with cores.
const SYNC_THREADS: usize = 8;
/// What starting them costs, or nearly.
const THREADS_PAY: Duration = Duration::from_micros(200);

/// The file system said no.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// Of what.
        path: PathBuf,
        /// What was tried: `open`, `read`, `rename`.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A link, directory, device, FIFO or socket stands where a file should.
    #[error("{} is not a regular file", path.display())]
    NotRegular {
        /// Where.
        path: PathBuf,
    },
    /// A file has more bytes than whoever reads it is ready to take.
    #[error("{} has {size} bytes; at most {cap} are read", path.display())]
    TooLarge {
        /// Where.
        path: PathBuf,
        /// What it has.
        size: u64,
        /// What is allowed.
        cap: u64,
    },
}

impl Error {
    /// Whether it may not be written to.
    fn is_refused(&self) -> bool {
        use io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
        matches!(self, Self::Io { source, .. } if matches!(source.kind(), PermissionDenied | ReadOnlyFilesystem))
    }

    /// Whether there is nothing at the path.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Makes `action` on `path` the words around an I/O error.
pub fn failed(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Io { path: path.to_owned(), action, source }
}

/// Calls again while signals get in the way. `std` does so for reading, writing and syncing; file systems that ask
/// somebody else (FUSE, network) may answer so to any call.
fn again<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// `None` for what isn't there.
fn optional<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}

// --- Reading ---------------------------------------------------------------------------------------------

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
    let (mut file, size) = open(path)?;
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

/// As [`read`]; `None` when there is nothing at the path.
///
/// # Errors
/// As for [`read`].
pub fn read_optional(path: &Path, cap: u64) -> Result<Option<Vec<u8>>, Error> {
    optional(read(path, cap))
}

/// The size of the regular file at a path; `None` when there is nothing, or something else.
///
/// # Errors
/// When it can't be told.
pub fn regular_size(path: &Path) -> Result<Option<u64>, Error> {
    let found = optional(again(|| fs::symlink_metadata(path)).map_err(failed("look at", path)))?;
    Ok(found.filter(fs::Metadata::is_file).map(|found| found.len()))
}

/// Whether a path leads to a directory, links followed.
pub fn is_directory(path: &Path) -> bool {
    path.is_dir()
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

// --- Writing ---------------------------------------------------------------------------------------------

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
fn unnamed(dir: &Path) -> Option<File> {
    let flags = rustix::fs::OFlags::TMPFILE.bits() as i32;
    let file = OpenOptions::new().write(true).custom_flags(flags).open(dir).ok()?;
    // Its name is given by way of /proc, which isn't everywhere.
    fs::symlink_metadata(descriptor(&file)).is_ok().then_some(file)
}

#[cfg(not(target_os = "linux"))]
fn unnamed(_: &Path) -> Option<File> {
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

/// A directory of temporary files, made when the first is: a process that is killed leaves one entry.
#[derive(Debug)]
pub struct Staging {
    parent: PathBuf,
    dir: Mutex<Option<PathBuf>>,
}

impl Staging {
    /// In `parent`, which is made with it.
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

/// Tries names until one is free: pid and counter are not enough where containers share a directory.
fn unused<T>(dir: &Path, make: impl Fn(&Path) -> io::Result<T>) -> Result<(PathBuf, T), Error> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = dir.join(format!("{TEMPORARY}{}-{number}", std::process::id()));
        match again(|| make(&path)) {
            Ok(made) => return Ok((path, made)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(failed("create", &path)(error)),
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
pub fn replace(mut temporary: Temporary, path: &Path) -> Result<(), Error> {
    if let Some(file) = temporary.file.take() {
        file.sync_all().map_err(failed("bring to the disk", path))?;
        if temporary.path.as_os_str().is_empty() {
            temporary.path = name(&file, parent(path))?;
        }
    }
    again(|| fs::rename(&temporary.path, path)).map_err(failed("rename a new file to", path))?;
    temporary.path = PathBuf::new();
    sync_directory(parent(path))
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

/// Brings a directory's names to the disk.
///
/// # Errors
/// When they can't be.
pub fn sync_directory(path: &Path) -> Result<(), Error> {
    sync(&[(path, None)])
}

/// Syncs files (perhaps open still) or directories: one after the other while that is fast, as in memory, then several
/// at a time.
fn sync(items: &[(&Path, Option<&File>)]) -> Result<(), Error> {
    let one = |&(path, open): &(&Path, Option<&File>)| {
        let synced = match open {
            Some(file) => file.sync_all(),
            None => File::open(path).and_then(|file| file.sync_all()),
        };
        synced.map_err(failed("bring to the disk", path))
    };
    let begun = Instant::now();
    let mut rest = items;
    while let Some((item, others)) = rest.split_first() {
        one(item)?;
        rest = others;
        if begun.elapsed() > THREADS_PAY {
            break;
        }
    }
    if rest.len() <= 1 {
        return rest.iter().try_for_each(one);
    }
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(item) = rest.get(next.fetch_add(1, Ordering::Relaxed)) {
            one(item)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (1..SYNC_THREADS.min(rest.len())).map(|_| scope.spawn(work)).collect();
        let own = work();
        threads.into_iter().fold(own, |result, thread| {
            let lost = |_| Err(failed("bring to the disk", rest[0].0)(io::Error::other("a thread died")));
            result.and(thread.join().unwrap_or_else(lost))
        })
    })
}

/// Makes a directory and those above it, so that they survive a power cut.
///
/// # Errors
/// When one can't be made.
pub fn create_directories(path: &Path) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    match again(|| fs::create_dir(path)) {
        Ok(()) => sync_directory(parent(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound && parent(path) != path => {
            create_directories(parent(path))?;
            create_directories(path)
        }
        Err(_) if path.is_dir() => Ok(()),
        Err(error) => Err(failed("make the directory", path)(error)),
    }
}

/// Gives the file `from` a second name; copies it where the file system can't. Not synced.
///
/// # Errors
/// When neither works, or `to` is there already.
pub fn link_or_copy(from: &Path, to: &Path) -> Result<(), Error> {
    if again(|| fs::hard_link(from, to)).is_ok() {
        return Ok(());
    }
    let (mut source, _) = open(from)?;
    let mut target =
        OpenOptions::new().write(true).create_new(true).open(to).map_err(failed("create", to))?;
    io::copy(&mut source, &mut target).map(drop).map_err(failed("copy to", to))
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

// --- Locks -----------------------------------------------------------------------------------------------

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

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A directory that goes when the test is over.
    pub(crate) struct Scratch(pub(crate) PathBuf);

    impl Scratch {
        pub(crate) fn new() -> Self {
            Self(unused(&std::env::temp_dir(), |path| fs::create_dir(path)).unwrap().0)
        }

        pub(crate) fn join(&self, name: &str) -> PathBuf {
            self.0.join(name)
        }
    }

    impl Drop for Scratch {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    pub(crate) fn names(dir: &Path) -> Vec<String> {
        list(dir).unwrap().into_iter().map(|(name, _)| name.into_string().unwrap()).collect()
    }

    #[test]
    fn only_regular_files_are_read_and_only_so_many_bytes() {
        let dir = Scratch::new();
        let file = dir.join("file");
        write_atomic(&file, b"barrel").unwrap();
        std::os::unix::fs::symlink(&file, dir.join("link")).unwrap();
        let fifo = std::process::Command::new("mkfifo").arg(dir.join("fifo")).status();
        assert!(fifo.unwrap().success());
        assert_eq!(read(&file, 6).unwrap(), b"barrel");
        assert!(matches!(read(&file, 5), Err(Error::TooLarge { size: 6, cap: 5, .. })));
        for name in ["link", "fifo", "."] {
            assert!(matches!(read(&dir.join(name), 9), Err(Error::NotRegular { .. })), "{name}");
        }
        assert_eq!(read_optional(&dir.join("none"), 9).unwrap(), None);
        assert_eq!(regular_size(&dir.join("link")).unwrap(), None);
        let error = read(&dir.join("none"), 9).unwrap_err().to_string();
        assert!(error.contains("cannot open") && error.contains("/none: "), "{error}");
    }

    #[test]
    fn nothing_is_seen_before_it_is_published_and_nothing_is_left() {
        let dir = Scratch::new();
        let staging = Staging::new(dir.join("tmp"));
        let mut kept = staging.file().unwrap();
        kept.write_all(b"kept").unwrap();
        drop(staging.file().unwrap());
        assert!(!dir.join("kept").exists());
        publish(vec![(kept, dir.join("kept"))], &[]).unwrap();
        drop(staging);
        assert_eq!(names(&dir.0), ["kept", "tmp"]);
        assert_eq!(names(&dir.join("tmp")), [""; 0]);
    }

    #[test]
    fn devices_and_directories_are_not_replaced() {
        let dir = Scratch::new();
        for path in [Path::new("/dev/null"), &dir.0] {
            assert!(matches!(write_atomic(path, b""), Err(Error::NotRegular { .. })));
        }
    }

    #[test]
    fn where_a_blob_or_a_lock_belongs_a_directory_gives_way() {
        let dir = Scratch::new();
        for name in ["blob/x", "lock/x", "shared/x"] {
            create_directories(&dir.join(name)).unwrap();
        }
        let staging = Staging::new(dir.join("tmp"));
        publish(vec![(staging.file().unwrap(), dir.join("blob"))], &[]).unwrap();
        assert_eq!(regular_size(&dir.join("blob")).unwrap(), Some(0));
        drop(Lock::exclusive(&dir.join("lock")).unwrap());
        drop(Lock::shared(&dir.join("shared")).unwrap());
        let fifo = std::process::Command::new("mkfifo").arg(dir.join("fifo")).status();
        assert!(fifo.unwrap().success());
        drop(Lock::exclusive(&dir.join("fifo")).unwrap());
        assert_eq!(regular_size(&dir.join("fifo")).unwrap(), Some(0));
    }

    #[test]
    fn what_is_written_beside_a_file_leaves_nothing() {
        let dir = Scratch::new();
        let mut temporary = Temporary::beside(&dir.join("file")).unwrap();
        temporary.write_all(b"half").unwrap();
        if cfg!(target_os = "linux") {
            assert_eq!(names(&dir.0), [""; 0]);
        }
        drop(temporary);
        assert_eq!(names(&dir.0), [""; 0]);
        fs::write(dir.join(".tmp-1-1"), "left behind").unwrap();
        write_atomic(&dir.join("file"), b"one").unwrap();
        assert_eq!(names(&dir.0), [".tmp-1-1", "file"]);
        write_swept(&dir.join("file"), b"two").unwrap();
        assert_eq!(
            (names(&dir.0), read(&dir.join("file"), 9).unwrap()),
            (vec!["file".into()], b"two".to_vec())
        );
    }

    #[test]
    fn signals_are_no_errors() {
        let mut left = 3;
        let call = || {
            left -= 1;
            if left > 0 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(left) }
        };
        assert_eq!(again(call).unwrap(), 0);
    }

    #[test]
    fn links_or_copies_and_sweeps() {
        let dir = Scratch::new();
        write_atomic(&dir.join("a"), b"a").unwrap();
        link_or_copy(&dir.join("a"), &dir.join("b")).unwrap();
        assert!(link_or_copy(&dir.join("a"), &dir.join("b")).is_err());
        fs::create_dir(dir.join(".tmp-1-1")).unwrap();
        fs::write(dir.join(".tmp-1-1/x"), "").unwrap();
        assert_eq!((sweep(&dir.0).unwrap(), names(&dir.0)), (1, vec!["a".into(), "b".into()]));
        create_directories(&dir.join("x/y/z")).unwrap();
        create_directories(&dir.join("x/y/z")).unwrap();
        assert!(create_directories(&dir.join("a/y")).is_err());
    }
}
