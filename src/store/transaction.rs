//! Writing: everything that one command adds, with one barrier at its end.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Store;
use super::beside::{CHUNKS, HEADERS, MAX_SIDE_FILE, REALISATIONS, Realisation, seal, unseal};
use super::error::Error;
use super::roots::{Root, RootKey};
use crate::digest::{Digest, HashingReader, HashingWriter, VerifyingReader};
use crate::disk::{self, Lock, Staging, Temporary};
use crate::oci::Descriptor;

/// What a command is about to add to the store. May be used from several threads; dropped without
/// [`Transaction::commit`], nothing of it remains.
#[derive(Debug)]
pub struct Transaction {
    store: Store,
    pending: Mutex<Pending>,
    staging: Staging,
    /// Last, so that gc waits until the temporary files have gone.
    _lock: Lock,
}

#[derive(Debug, Default)]
struct Pending {
    /// What was written, by target: a blob that two threads wrote is published once.
    files: BTreeMap<PathBuf, (Temporary, u64)>,
    /// Whether blobs were found here whose writer may not have synced their directory yet.
    relies: bool,
    roots: Vec<Root>,
}

/// So many files stay open until they are synced; a process may have as few as 64.
const KEPT_OPEN: usize = 16;

impl Pending {
    fn keep(&mut self, target: PathBuf, mut file: Temporary, size: u64) {
        if self.files.len() >= KEPT_OPEN {
            file.close();
        }
        self.files.insert(target, (file, size));
    }
}

impl Store {
    /// Begins to write. Waits while gc or repair run, and keeps them waiting until it is committed or dropped.
    /// Never begin another before: see the locking rules in the module's description.
    ///
    /// # Errors
    /// When the store can't be written to.
    pub fn begin(&self) -> Result<Transaction, Error> {
        let lock = {
            let _gate = Lock::shared(&self.path.join("gate"))?;
            Lock::shared(&self.path.join("lock"))?
        };
        Ok(Transaction {
            store: self.clone(),
            staging: Staging::new(self.path.join("tmp")),
            pending: Mutex::default(),
            _lock: lock,
        })
    }
}

impl Transaction {
    /// The store that it writes to.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Adds a blob whose bytes are at hand.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, Error> {
        let digest = Digest::of(bytes);
        self.add(self.store.blob(digest), "", bytes)?;
        Ok(digest)
    }

    /// Begins a blob that comes in pieces.
    ///
    /// # Errors
    /// When no temporary file can be made.
    pub fn writer(&self) -> Result<BlobWriter<'_>, Error> {
        let file = BufWriter::with_capacity(64 << 10, self.staging.file()?);
        Ok(BlobWriter { transaction: self, inner: HashingWriter::new(file) })
    }

    /// Opens a blob of the store or of this transaction, which must have ended it.
    ///
    /// # Errors
    /// When it isn't there with that size.
    pub fn open(&self, digest: Digest, size: u64) -> Result<VerifyingReader<disk::File>, Error> {
        Ok(VerifyingReader::new(self.open_unverified(digest, size)?, digest, size))
    }

    /// The same for whoever verifies what comes.
    ///
    /// # Errors
    /// As for [`Transaction::open`].
    pub fn open_unverified(&self, digest: Digest, size: u64) -> Result<disk::File, Error> {
        let path = self.store.blob(digest);
        let path = self.pending().files.get(&path).map_or(path, |(file, _)| file.path().to_owned());
        match disk::open(&path)? {
            (file, found) if found == size => Ok(file),
            _ => Err(self.store.missing(digest, size)),
        }
    }

    /// A file that is gone when it is dropped.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn scratch(&self) -> Result<Temporary, Error> {
        Ok(self.staging.file()?)
    }

    /// Where a blob of the store or of this transaction lies.
    ///
    /// # Errors
    /// When it can't be told.
    pub fn path_of(&self, digest: Digest, size: u64) -> Result<Option<PathBuf>, Error> {
        if !self.has(digest, size)? {
            return Ok(None);
        }
        let path = self.store.blob(digest);
        Ok(Some(self.pending().files.get(&path).map_or(path, |(file, _)| file.path().to_owned())))
    }

    /// Whether a blob is in the store, or will be.
    ///
    /// # Errors
    /// When it can't be told.
    pub fn has(&self, digest: Digest, size: u64) -> Result<bool, Error> {
        if self.pending().files.get(&self.store.blob(digest)).is_some_and(|(_, found)| *found == size) {
            return Ok(true);
        }
        let found = self.store.has(digest, size)?;
        self.pending().relies |= found;
        Ok(found)
    }

    /// Says what a derivation gave. The blob must be in the store or in this transaction.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn realisation(&self, derivation: Digest, realisation: Realisation) -> Result<(), Error> {
        self.side(REALISATIONS, derivation, &realisation.to_bytes())
    }

    /// Keeps the header index of a layer.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn header(&self, layer: Digest, bytes: &[u8]) -> Result<(), Error> {
        self.side(HEADERS, layer, bytes)
    }

    /// The header index of a layer, from the store or from what this transaction keeps.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn kept_header(&self, layer: Digest) -> Result<Option<Vec<u8>>, Error> {
        let target = self.store.path.join(HEADERS).join(layer.hex());
        let pending = self.pending().files.get(&target).map(|(file, _)| file.path().to_owned());
        match pending {
            Some(path) => Ok(disk::read_optional(&path, MAX_SIDE_FILE)?.and_then(unseal)),
            None => self.store.header(layer),
        }
    }

    /// The header index of a layer, of the store or of this transaction, for whoever wants a few bytes of it: not
    /// verified. What [`Store::header`] gives begins at [`SEAL`](super::SEAL).
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn header_window(&self, layer: Digest) -> Result<Option<disk::Window>, Error> {
        let path = self.store.path.join(HEADERS).join(layer.hex());
        let path = self.pending().files.get(&path).map_or(path, |(file, _)| file.path().to_owned());
        Ok(disk::Window::open(&path)?)
    }

    /// Keeps the chunk table of a layer.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn chunks(&self, layer: Digest, bytes: &[u8]) -> Result<(), Error> {
        self.side(CHUNKS, layer, bytes)
    }

    /// Makes a recipe's output a root, in place of the one before.
    pub fn root(&self, key: RootKey, descriptor: Descriptor) {
        self.pending().roots.push(Root::keyed(key, descriptor));
    }

    /// Brings all of it to the disk: files are synced in parallel, renamed, their directories synced; then
    /// `index.json` is changed under its lock. When it returns, all of it survives a power cut; when it fails or
    /// the process is killed, blobs may be there without a root, which gc removes.
    ///
    /// # Errors
    /// When something can't be written.
    pub fn commit(self) -> Result<(), Error> {
        let Self { _lock, store, staging, pending } = self;
        let pending = pending.into_inner().unwrap_or_else(PoisonError::into_inner);
        // A root that stands already: all that it reaches was synced before whoever wrote it named it, but perhaps
        // not the name.
        if pending.files.is_empty() && store.index().has(&pending.roots)? {
            return if pending.roots.is_empty() { Ok(()) } else { Ok(disk::sync_directory(&store.path)?) };
        }
        let files: Vec<_> = pending.files.into_iter().map(|(target, (file, _))| (file, target)).collect();
        for kind in [REALISATIONS, HEADERS, CHUNKS] {
            let directory = store.path.join(kind);
            if files.iter().any(|(_, target)| target.starts_with(&directory)) {
                disk::create_directories(&directory)?;
            }
        }
        let blobs = store.blobs();
        disk::create_directories(&blobs)?;
        let relies = pending.relies || !pending.roots.is_empty();
        let also = [blobs.as_path()];
        disk::publish(files, if relies { &also } else { &[] })?;
        // Whoever is killed from here on leaves one temporary entry, not two.
        drop(staging);
        if pending.roots.is_empty() { Ok(()) } else { store.index().insert(&pending.roots) }
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn side(&self, kind: &str, name: Digest, bytes: &[u8]) -> Result<(), Error> {
        self.add(self.store.path.join(kind).join(name.hex()), &seal(bytes), bytes)
    }

    fn add(&self, target: PathBuf, head: &str, bytes: &[u8]) -> Result<(), Error> {
        let size = (head.len() + bytes.len()) as u64;
        // What can't be read is replaced.
        if disk::holds(&target, &[head.as_bytes(), bytes]) {
            self.pending().relies = true;
            return Ok(());
        }
        let mut file = self.staging.file()?;
        file.write_all(head.as_bytes())
            .and_then(|()| file.write_all(bytes))
            .map_err(disk::failed("write", file.path()))?;
        self.pending().keep(target, file, size);
        Ok(())
    }
}

/// Takes a blob's bytes. Dropped without [`BlobWriter::finish`], nothing of it remains.
pub struct BlobWriter<'a> {
    transaction: &'a Transaction,
    inner: HashingWriter<BufWriter<Temporary>>,
}

impl Write for BlobWriter<'_> {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        self.inner.write(buffer)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl BlobWriter<'_> {
    /// Ends the blob, which must be the expected one, if any is.
    ///
    /// # Errors
    /// When it is another one, or can't be written.
    pub fn finish(self, expected: Option<(Digest, u64)>) -> Result<(Digest, u64), Error> {
        let (file, digest, size) = self.inner.finish();
        if let Some((expected, expected_size)) = expected
            && (expected, expected_size) != (digest, size)
        {
            return Err(Error::Unexpected { expected, expected_size, found: digest, found_size: size });
        }
        self.transaction.keep(file, digest, size)
    }

    /// Ends the blob if it is the expected one, whatever its size; what came otherwise is the inner error, and isn't kept.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn finish_if(self, expected: Option<Digest>) -> Result<Result<(Digest, u64), Digest>, Error> {
        let (file, digest, size) = self.inner.finish();
        match expected {
            Some(expected) if expected != digest => Ok(Err(digest)),
            _ => self.transaction.keep(file, digest, size).map(Ok),
        }
    }
}

impl Transaction {
    fn keep(&self, file: BufWriter<Temporary>, digest: Digest, size: u64) -> Result<(Digest, u64), Error> {
        let path = file.get_ref().path().to_owned();
        let file = file.into_inner().map_err(|error| disk::failed("write", &path)(error.into_error()))?;
        let (transaction, store) = (self, &self.store);
        // The bytes are at hand: take the time to see whether those that lie there are sound.
        if is_sound(&store.blob(digest), digest, size)? {
            transaction.pending().relies = true;
        } else {
            transaction.pending().keep(store.blob(digest), file, size);
        }
        Ok((digest, size))
    }
}

/// Whether the bytes at `path` are those of a digest; reads them all if the size is right.
///
/// # Errors
/// When it can't be told whether there is a file.
pub fn is_sound(path: &Path, digest: Digest, size: u64) -> Result<bool, disk::Error> {
    if disk::regular_size(path)? != Some(size) {
        return Ok(false);
    }
    // What can't be read is no good either.
    let Ok((file, _)) = disk::open(path) else { return Ok(false) };
    let mut reader = HashingReader::new(file);
    Ok(io::copy(&mut reader, &mut io::sink()).is_ok() && reader.finish() == (digest, size))
}
