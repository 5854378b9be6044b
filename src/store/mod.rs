//! Where Cooper keeps bytes: a content-addressed store that is an OCI image layout.
//!
//! Owns blobs, realisations, header indexes, chunk tables, roots, their locks and what removes them, and what is known
//! of sources. It must not know recipes, registries or where an image goes; it reads nothing outside its directory.
//!
//! # Layout
//!
//! ```text
//! oci-layout  index.json  blobs/sha256/<hex>   an OCI image layout: skopeo, umoci and others read it as it is
//! realisations/<derivation's hex>              what a derivation gave: digest, size, diff_id
//! headers/<layer's hex>                        header index of a layer, opaque here
//! chunks/<layer's hex>                         chunk table of a layer, opaque here
//! sources/<workspace's hex>                    how a workspace's files looked when they were hashed, and a memo
//! tmp/.tmp-*/                                  files of running transactions
//! lock  gate  index.lock                       locks, see below
//! ```
//!
//! The store is *sparse*: manifests may name layers (and indexes manifests) that are not here. Files beside the
//! blobs begin with a line that holds the sha256 of what follows; one that is damaged counts as absent, and so does
//! a damaged `oci-layout`. Without a sound `index.json` nobody can tell what is needed: nothing is written or removed
//! until [`Store::verify`] has made it anew from the documents that are here.
//!
//! # Roots
//!
//! The entries of `index.json`. What they reach is kept by [`Store::gc`]. `io.cooperage.workspace`, `.recipe`
//! and `.variant` key a root; `org.opencontainers.image.ref.name` is `stack/name:variant` and unique: the last
//! writer takes the name over, the other root stays without one. Entries that others wrote are never touched.
//!
//! # Locking
//!
//! Reading takes no lock: files appear whole under their names and are never changed. A [`Transaction`] holds
//! `lock` shared from [`Store::begin`] until it is committed or dropped, gc and repair hold it exclusively:
//! what a transaction has seen or written isn't collected before a root can hold it. `gate` is passed before
//! `lock`, so that new transactions queue behind a waiting gc instead of starving it; hence *nobody may begin
//! a transaction while holding another*. `index.lock` guards the reading, changing and replacing of
//! `index.json`. The kernel releases all of them when a process dies.
//!
//! # Durability
//!
//! One barrier per transaction (see [`Transaction::commit`]). After a power cut the store holds all that a
//! command wrote that had exited with 0, and a valid `index.json`. What is there already is taken by its size
//! at once and by its bytes when they come by again: a damaged blob heals when it is written anew.

mod beside;
mod closure;
mod error;
mod gc;
mod roots;
mod sources;
mod transaction;
mod verify;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use beside::{CATALOGUES, Realisation, SEAL};
pub use closure::{Closure, ClosureError, MAX_BLOBS, MAX_DEPTH, MAX_DOCUMENTS, closure, walk};
pub use error::Error;
pub use gc::GcReport;
pub use roots::{Root, RootKey};
pub use sources::{SourceIndex, fingerprint};
pub use transaction::{BlobWriter, Transaction, is_sound};
pub use verify::{Damage, VerifyReport};

use self::beside::{CHUNKS, HEADERS, MAX_SIDE_FILE, REALISATIONS, unseal};
use self::roots::IndexFile;
use self::sources::SOURCES;
use crate::digest::{Digest, VerifyingReader};
use crate::disk::{self, File};
use crate::oci::{Descriptor, json};

/// A store, by its path. Holds nothing open.
#[derive(Debug, Clone)]
pub struct Store {
    path: PathBuf,
}

/// `oci-layout`, as the image specification writes it.
pub const OCI_LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

impl Store {
    /// Opens a store; makes one where nothing is yet. One that can't be written to can be read.
    ///
    /// # Errors
    /// When the directory holds something else, or can't be made.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let store = Self { path: path.to_owned() };
        let version = match disk::read_optional(&path.join("oci-layout"), 4096) {
            Ok(bytes) => bytes.as_deref().and_then(layout_version),
            Err(disk::Error::NotRegular { .. } | disk::Error::TooLarge { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        match version {
            Some(version) if version.starts_with("1.") => refuse_links(path)?,
            Some(found) => return Err(Error::Version { path: path.to_owned(), found }),
            None => store.create()?,
        }
        Ok(store)
    }

    /// `oci-layout` comes last: a directory without it is one that was never finished, one whose `oci-layout` was
    /// damaged, or none of ours.
    fn create(&self) -> Result<(), Error> {
        const OWN: [&str; 4] = ["index.lock", "index.json", "blobs", "oci-layout"];
        const LATER: [&str; 7] = [REALISATIONS, HEADERS, CHUNKS, SOURCES, "tmp", "lock", "gate"];
        let found = disk::list(&self.path)?;
        let any = |names: &[&str]| found.iter().any(|(name, _)| names.iter().any(|own| name == *own));
        let foreign = |name: &std::ffi::OsStr| {
            ![&OWN[..], &LATER[..]].concat().iter().any(|own| name == *own)
                && !name.as_encoded_bytes().starts_with(disk::TEMPORARY.as_bytes())
        };
        let used = any(&LATER);
        if found.iter().any(|(name, _)| foreign(name)) || (used && !any(&["blobs"])) {
            return Err(Error::NotAStore { path: self.path.clone() });
        }
        refuse_links(&self.path)?;
        disk::create_directories(&self.blobs())?;
        let index = self.index();
        let _lock = index.lock()?;
        // A store that was in use and has lost it is for `verify` to repair.
        if !used && disk::regular_size(&index.path)?.is_none() {
            index.write(Vec::new())?;
        }
        let layout = self.path.join("oci-layout");
        if disk::regular_size(&layout)?.is_none() {
            disk::remove(&layout)?;
        }
        Ok(disk::write_atomic(&layout, OCI_LAYOUT)?)
    }

    fn blobs(&self) -> PathBuf {
        self.path.join("blobs/sha256")
    }

    /// Where a blob lies, or would.
    pub fn blob(&self, digest: Digest) -> PathBuf {
        self.blobs().join(digest.hex())
    }

    fn index(&self) -> IndexFile {
        IndexFile::of(&self.path)
    }

    fn missing(&self, digest: Digest, size: u64) -> Error {
        Error::Missing { digest, size, path: self.path.clone() }
    }

    /// Whether a blob of that name and size is here. The bytes are looked at by whoever reads them.
    ///
    /// # Errors
    /// When it can't be told.
    pub fn has(&self, digest: Digest, size: u64) -> Result<bool, Error> {
        Ok(disk::regular_size(&self.blob(digest))? == Some(size))
    }

    /// Opens a blob; what it gives is verified against digest and size before its end.
    ///
    /// # Errors
    /// When it isn't here with that size.
    pub fn open_blob(&self, digest: Digest, size: u64) -> Result<VerifyingReader<File>, Error> {
        Ok(VerifyingReader::new(self.open_unverified(digest, size)?, digest, size))
    }

    /// Opens a blob for whoever verifies what comes.
    ///
    /// # Errors
    /// As for [`Store::open_blob`].
    pub fn open_unverified(&self, digest: Digest, size: u64) -> Result<File, Error> {
        match disk::open(&self.blob(digest)) {
            Ok((file, found)) if found == size => Ok(file),
            Err(error) if !error.is_missing() && !matches!(error, disk::Error::NotRegular { .. }) => {
                Err(error.into())
            }
            _ => Err(self.missing(digest, size)),
        }
    }

    /// All bytes of a blob, verified.
    ///
    /// # Errors
    /// When it isn't here, is damaged, or larger than `cap`.
    pub fn read(&self, digest: Digest, size: u64, cap: u64) -> Result<Vec<u8>, Error> {
        if size > cap {
            return Err(Error::TooLarge { digest, size, cap });
        }
        if !self.has(digest, size)? {
            return Err(self.missing(digest, size));
        }
        let bytes = disk::read(&self.blob(digest), cap)?;
        if Digest::of(&bytes) == digest {
            Ok(bytes)
        } else {
            Err(Error::Damaged { digest, path: self.path.clone() })
        }
    }

    /// A blob as it lies there, for whoever wants a few bytes of it, knows what they should be, and compares.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn blob_window(&self, digest: Digest) -> Result<Option<disk::Window>, Error> {
        Ok(disk::Window::open(&self.blob(digest))?)
    }

    /// What a derivation gave, if that blob is here.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn realisation(&self, derivation: Digest) -> Result<Option<Realisation>, Error> {
        let bytes = self.side(REALISATIONS, derivation)?;
        match bytes.and_then(|bytes| Realisation::parse(&bytes)) {
            Some(found) if self.has(found.digest, found.size)? => Ok(Some(found)),
            _ => Ok(None),
        }
    }

    /// The header index of a layer.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn header(&self, layer: Digest) -> Result<Option<Vec<u8>>, Error> {
        self.side(HEADERS, layer)
    }

    /// The chunk table of a layer.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn chunks(&self, layer: Digest) -> Result<Option<Vec<u8>>, Error> {
        self.side(CHUNKS, layer)
    }

    fn side(&self, kind: &str, name: Digest) -> Result<Option<Vec<u8>>, Error> {
        match disk::read_optional(&self.path.join(kind).join(name.hex()), MAX_SIDE_FILE) {
            Ok(bytes) => Ok(bytes.and_then(unseal)),
            Err(disk::Error::NotRegular { .. } | disk::Error::TooLarge { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// The files of a kind whose names are digests. Others were not put there by us.
    fn files(&self, kind: &str) -> Result<Vec<(Digest, PathBuf)>, Error> {
        let directory = self.path.join(kind);
        let names = disk::list(&directory)?.into_iter();
        Ok(names
            .filter_map(|(name, _)| Some((Digest::from_hex(name.to_str()?).ok()?, directory.join(name))))
            .collect())
    }

    /// All roots, in the order of `index.json`.
    ///
    /// # Errors
    /// When `index.json` is missing or can't be read.
    pub fn roots(&self) -> Result<Vec<Root>, Error> {
        Ok(self.index().read()?.manifests.into_iter().map(Root::new).collect())
    }

    /// Removes roots, and returns those removed. Their blobs stay until [`Store::gc`].
    ///
    /// # Errors
    /// When `index.json` can't be read or written.
    pub fn remove_roots(&self, doomed: impl Fn(&Root) -> bool) -> Result<Vec<Root>, Error> {
        let mut removed = Vec::new();
        self.index().change(|manifests| {
            manifests.retain(|entry| {
                let root = Root::new(entry.clone());
                let stays = !doomed(&root);
                if !stays {
                    removed.push(root);
                }
                stays
            });
            !removed.is_empty()
        })?;
        Ok(removed)
    }

    /// What hangs together with some descriptors, as far as it is here. See [`closure()`].
    ///
    /// # Errors
    /// When a document is damaged or can't be followed.
    pub fn closure(&self, root: &Descriptor) -> Result<Closure, Error> {
        closure(root, |descriptor| match self.read(descriptor.digest, descriptor.size, MAX_DOCUMENTS) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(Error::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        })
    }

    /// Every document and blob name that a root reaches, present or not; fails on damaged documents.
    fn reach(
        &self,
        roots: &[Descriptor],
        mut absent: impl FnMut(&Descriptor),
    ) -> Result<BTreeSet<Digest>, Error> {
        let mut reached = BTreeSet::new();
        let read =
            |descriptor: &Descriptor| match self.read(descriptor.digest, descriptor.size, MAX_DOCUMENTS) {
                Ok(bytes) => Ok(Some(bytes)),
                Err(Error::Missing { .. }) => {
                    absent(descriptor);
                    Ok(None)
                }
                Err(error) => Err(error),
            };
        walk(roots, read, |descriptor, _| {
            reached.insert(descriptor.digest);
            Ok::<_, Error>(())
        })?;
        Ok(reached)
    }
}

/// No directory of a store is a link: where others can write as well, it would lead whatever is written and removed
/// elsewhere. One that holds only what can be made again gives way.
fn refuse_links(store: &Path) -> Result<(), Error> {
    for name in ["blobs", "blobs/sha256"] {
        let path = store.join(name);
        if disk::is_link(&path)? {
            return Err(Error::Linked { path });
        }
    }
    for name in [REALISATIONS, HEADERS, CHUNKS, SOURCES, "tmp"] {
        let path = store.join(name);
        if disk::is_link(&path)? {
            disk::remove(&path)?;
        }
    }
    Ok(())
}

/// What `oci-layout` says; nothing when it is damaged.
pub fn layout_version(bytes: &[u8]) -> Option<String> {
    Some(json::parse(bytes).ok()?.as_object()?.get("imageLayoutVersion")?.as_str()?.to_owned())
}

#[cfg(test)]
mod tests;
