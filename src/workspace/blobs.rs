//! `lockfiles/blobs/sha256/`: the documents, facts and listings that locks name.

use std::path::{Path, PathBuf};

use super::{Error, Workspace};
use crate::digest::Digest;
use crate::disk;
use crate::tree::Content;

/// The most bytes of facts or a listing; documents have `oci::MAX_DOCUMENT`.
pub const MAX_BULK: u64 = 64 << 20;

impl Workspace {
    /// A committed blob, verified; none when it isn't there.
    ///
    /// # Errors
    /// More bytes than `cap`, or others than `content` names.
    pub fn blob(&self, content: &Content, cap: u64) -> Result<Option<Vec<u8>>, Error> {
        for directory in [&self.lockfiles, &self.root.join("lockfiles")] {
            let path = blob_path(directory, &content.digest);
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
        let path = blob_path(&self.lockfiles, &content.digest);
        if !disk::holds(&path, &[bytes]) {
            disk::create_directories(path.parent().unwrap_or(&self.lockfiles))?;
            disk::write_swept(&path, bytes)?;
        }
        Ok(content)
    }

    /// Every blob of the locks in use, by digest; other files there are none.
    ///
    /// # Errors
    /// The file system's.
    pub fn blobs(&self) -> Result<Vec<Content>, Error> {
        let directory = self.lockfiles.join("blobs/sha256");
        let mut found = Vec::new();
        for (name, kind) in disk::list(&directory)? {
            let digest = name.to_str().and_then(|name| Digest::from_hex(name).ok());
            if let (Some(digest), true) = (digest, kind.is_file()) {
                found.push(Content { digest, size: disk::open(&directory.join(name))?.1 });
            }
        }
        Ok(found)
    }

    /// Takes a blob away, for `lock --prune`.
    ///
    /// # Errors
    /// The file system's.
    pub fn remove_blob(&self, digest: &Digest) -> Result<(), Error> {
        Ok(disk::remove(&blob_path(&self.lockfiles, digest))?)
    }
}

fn blob_path(lockfiles: &Path, digest: &Digest) -> PathBuf {
    lockfiles.join("blobs/sha256").join(digest.hex())
}

/// Whether `bytes` are not what `expected` names, but would be with other line endings: git converted them.
pub fn differs_by_crlf_only(bytes: &[u8], expected: Digest) -> bool {
    let (mut lf, mut crlf) = (Vec::with_capacity(bytes.len()), Vec::with_capacity(bytes.len()));
    for line in bytes.split_inclusive(|&byte| byte == b'\n') {
        let (line, [unix, dos]) = match line.strip_suffix(b"\n") {
            Some(line) => (line.strip_suffix(b"\r").unwrap_or(line), [&b"\n"[..], b"\r\n"]),
            None => (line, [&b""[..]; 2]),
        };
        lf.extend_from_slice(line);
        lf.extend_from_slice(unix);
        crlf.extend_from_slice(line);
        crlf.extend_from_slice(dos);
    }
    [lf, crlf].iter().any(|other| other != bytes && Digest::of(other) == expected)
}
