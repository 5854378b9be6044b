//! Which kind of place a path is.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use super::Substituter;
use super::archive::Archive;
use super::error::Error;
use super::layout::Layout;
use crate::disk;
use crate::oci::Descriptor;

/// Opens a layout (a directory) or an archive (a tar with `oci-layout` or `manifest.json` in it).
///
/// # Errors
/// When it is neither, or broken.
pub fn open(path: &Path) -> Result<Arc<dyn Substituter>, Error> {
    if disk::is_directory(path) {
        Ok(Arc::new(Layout::open(path)?))
    } else {
        Ok(Arc::new(Archive::open(path)?))
    }
}

/// The same, but of an archive nothing is read before somebody asks it for something: to list it all of it is read.
///
/// # Errors
/// When nothing is there, or what can't be either.
pub fn open_later(path: &Path) -> Result<Arc<dyn Substituter>, Error> {
    if disk::is_directory(path) {
        return open(path);
    }
    disk::open(path)?;
    Ok(Arc::new(Later { path: path.to_owned(), archive: OnceLock::new() }))
}

struct Later {
    path: PathBuf,
    archive: OnceLock<Archive>,
}

impl Later {
    fn archive(&self) -> Result<&Archive, Error> {
        if let Some(archive) = self.archive.get() {
            return Ok(archive);
        }
        let archive = Archive::open(&self.path)?;
        Ok(self.archive.get_or_init(|| archive))
    }
}

impl Substituter for Later {
    fn resolve(&self, selector: Option<&str>) -> Result<Descriptor, Error> {
        self.archive()?.resolve(selector)
    }

    fn open_unverified(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, Error> {
        self.archive()?.open_unverified(descriptor)
    }
}
