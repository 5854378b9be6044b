//! An OCI image layout in a directory.

use std::io::Read;
use std::path::{Path, PathBuf};

use super::Substituter;
use super::error::Error;
use super::index::{MAX_INDEX, check_version, embedded, parse_index, select};
use crate::disk;
use crate::oci::Descriptor;

/// A directory with `oci-layout` in it, as it was when it was opened.
#[derive(Debug, Clone)]
pub struct Layout {
    dir: PathBuf,
    entries: Vec<Descriptor>,
}

impl Layout {
    /// Reads the index.
    ///
    /// # Errors
    /// When it isn't a layout.
    pub fn open(dir: &Path) -> Result<Self, Error> {
        let Some(version) = disk::read_optional(&dir.join("oci-layout"), 4096)? else {
            return Err(Error::NotAnImage { path: dir.to_owned(), why: "it holds no oci-layout" });
        };
        check_version(dir, &version)?;
        let Some(index) = disk::read_optional(&dir.join("index.json"), MAX_INDEX)? else {
            return Err(Error::NotAnImage { path: dir.to_owned(), why: "it holds no index.json" });
        };
        let entries = parse_index(dir, &index)?;
        Ok(Self { dir: dir.to_owned(), entries })
    }

    /// The entries of `index.json`.
    pub fn entries(&self) -> &[Descriptor] {
        &self.entries
    }
}

impl Substituter for Layout {
    fn resolve(&self, selector: Option<&str>) -> Result<Descriptor, Error> {
        select(self, &self.dir, &self.entries, selector)
    }

    fn open_unverified(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, Error> {
        if let Some(bytes) = embedded(&self.dir, descriptor)? {
            return Ok(Some(bytes));
        }
        match disk::open(&self.dir.join("blobs/sha256").join(descriptor.digest.hex())) {
            Ok((file, _)) => Ok(Some(Box::new(file))),
            Err(error) if error.is_missing() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}
