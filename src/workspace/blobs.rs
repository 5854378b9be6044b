//! `lockfiles/blobs/sha256/`: the documents, facts and listings that locks name.

use std::path::{Path, PathBuf};

use super::line_endings::differs_by_crlf_only;
use super::{Error, Workspace};
use crate::digest::Digest;
use crate::disk;
use crate::tree::Content;

/// Where they lie among the locks.
const BLOBS: &str = "blobs/sha256";

impl Workspace {
    /// A committed blob, verified; none when it isn't there.
    ///
    /// # Errors
    /// More bytes than `cap`, or others than `content` names.
    pub fn blob(&self, content: &Content, cap: u64) -> Result<Option<Vec<u8>>, Error> {
        for directory in [&self.lockfiles, &self.root.join("lockfiles")] {
            let path = self.blob_path(directory, &content.digest)?;
            let Some(bytes) = disk::read_optional(&path, cap)? else { continue };
            if Content::of(&bytes) == *content {
                return Ok(Some(bytes));
            }
            return Err(Error::Blob { path, crlf: differs_by_crlf_only(&bytes, content.digest) });
        }
        Ok(None)
    }

    /// Commits a blob, unless it is there; a damaged one is replaced.
    ///
    /// # Errors
    /// The file system's.
    pub fn put_blob(&self, bytes: &[u8]) -> Result<Content, Error> {
        let content = Content::of(bytes);
        let path = self.blob_path(&self.lockfiles, &content.digest)?;
        if !disk::holds(&path, &[bytes]) {
            disk::create_directories(disk::parent(&path))?;
            disk::write_swept(&path, bytes)?;
        }
        Ok(content)
    }

    /// Every blob of the locks in use, by digest; other files there are none.
    ///
    /// # Errors
    /// The file system's.
    pub fn blobs(&self) -> Result<Vec<Content>, Error> {
        let directory = self.lockfiles.join(BLOBS);
        self.check(&directory)?;
        let mut found = Vec::new();
        for (name, kind) in disk::list(&directory)? {
            let digest = name.to_str().and_then(|name| Digest::from_hex(name).ok());
            if let (Some(digest), true) = (digest, kind.is_file()) {
                found.push(Content { digest, size: disk::open(&directory.join(name))?.1 });
            }
        }
        Ok(found)
    }

    /// Where a committed blob lies, or would.
    ///
    /// # Errors
    /// When a link leads out of the workspace on the way.
    pub fn blob_file(&self, digest: &Digest) -> Result<PathBuf, Error> {
        self.blob_path(&self.lockfiles, digest)
    }

    /// Takes a blob away, for `lock --prune`.
    ///
    /// # Errors
    /// The file system's.
    pub fn remove_blob(&self, digest: &Digest) -> Result<(), Error> {
        Ok(disk::remove(&self.blob_path(&self.lockfiles, digest)?)?)
    }

    fn blob_path(&self, lockfiles: &Path, digest: &Digest) -> Result<PathBuf, Error> {
        let directory = lockfiles.join(BLOBS);
        self.check(&directory)?;
        Ok(directory.join(digest.hex()))
    }
}
