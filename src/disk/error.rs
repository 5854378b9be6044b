//! The one error of the file system, and the words around what it says.

use std::io;
use std::path::{Path, PathBuf};

/// The file system said no.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A call failed.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What it failed on.
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
    /// A link to nowhere stands where a directory should.
    #[error("{} is a link to nowhere, and a directory is needed there", path.display())]
    Dangling {
        /// The link.
        path: PathBuf,
    },
    /// A link leads out of the directory that it must stay in, or back to itself.
    #[error("{} is a link to {}, which leads {}", link.display(), target.display(), whither(out_of.as_deref()))]
    Led {
        /// The link.
        link: PathBuf,
        /// What it says.
        target: PathBuf,
        /// The directory; none where it leads to no end.
        out_of: Option<PathBuf>,
    },
}

fn whither(out_of: Option<&Path>) -> String {
    out_of
        .map_or_else(|| "round in a circle".to_owned(), |directory| format!("out of {}", directory.display()))
}

impl Error {
    /// Whether it may not be written to.
    pub(super) fn is_refused(&self) -> bool {
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
pub(super) fn again<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// `None` for what isn't there.
pub(super) fn optional<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.is_missing() => Ok(None),
        Err(error) => Err(error),
    }
}
