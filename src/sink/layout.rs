//! `oci:DIR[:NAME]`: an OCI image layout that others may write to as well.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use super::{Error, Export, Failed, Moved, Open, REF_NAME, Sink};
use crate::disk::{self, Lock, Made, Staging};
use crate::oci::{Descriptor, Document, DocumentError, Index, MediaType};
use crate::registry::each;
use crate::store::{OCI_LAYOUT, is_sound, layout_version};

/// More than that nobody lists in one layout.
const MAX_INDEX: u64 = 8 << 20;

/// A directory. Its other images stay; the entry of the same name is replaced, and without a name the one
/// entry that has none. Damaged blobs are written anew.
#[derive(Debug, Clone)]
pub struct Layout {
    /// Made if need be.
    pub dir: PathBuf,
    /// So many blobs are copied at once.
    pub at_once: usize,
}

impl<E: Send> Sink<E> for Layout {
    fn put(&mut self, export: &Export, open: Open<'_, E>) -> Result<Option<Moved>, Failed<E>> {
        let version = disk::read_optional(&self.dir.join("oci-layout"), 4096)?;
        let is_layout = match version.as_deref().and_then(layout_version) {
            Some(version) if !version.starts_with("1.") => {
                return Err(Error::NotALayout { path: self.dir.clone() }.into());
            }
            // One that says nothing was damaged, and is written anew.
            found => found.is_some(),
        };
        if !is_layout && disk::list(&self.dir)?.iter().any(|(name, _)| !is_own(name)) {
            return Err(Error::NotALayout { path: self.dir.clone() }.into());
        }
        let blobs = self.dir.join("blobs/sha256");
        let _made = Made::new(&blobs)?;
        // The directory itself is locked: no file that isn't the layout's is left in it.
        let _lock = Lock::directory(&self.dir)?;
        disk::sweep(&self.dir)?;
        let index_path = self.dir.join("index.json");
        let mut index = read_index(&index_path)?;
        let staging = Staging::new(self.dir.clone());
        let files = Mutex::new(Vec::new());
        each(&export.blobs, self.at_once, |blob| -> Result<(), Failed<E>> {
            let target = blobs.join(blob.digest.hex());
            if is_sound(&target, blob.digest, blob.size)? {
                return Ok(());
            }
            let mut file = staging.file()?;
            let mut reader = export.reader(blob, open)?;
            io::copy(&mut reader, &mut file).map_err(|source| Error::Copy { digest: blob.digest, source })?;
            file.close();
            files.lock().unwrap_or_else(PoisonError::into_inner).push((file, target));
            Ok(())
        })?;
        disk::publish(files.into_inner().unwrap_or_else(PoisonError::into_inner), &[&blobs])?;
        // Whoever is killed from here on leaves one temporary entry, not two.
        drop(staging);
        if insert(&mut index.manifests, export.entry([(REF_NAME, export.name.clone())])) {
            disk::write_atomic(&index_path, &index.to_bytes())?;
        }
        if !is_layout {
            disk::write_atomic(&self.dir.join("oci-layout"), OCI_LAYOUT)?;
        }
        Ok(None)
    }
}

/// What an export that was killed may have left.
fn is_own(name: &std::ffi::OsStr) -> bool {
    let names = ["blobs", "index.json", "oci-layout"];
    names.iter().any(|own| name == *own) || name.as_encoded_bytes().starts_with(disk::TEMPORARY.as_bytes())
}

fn insert(manifests: &mut Vec<Descriptor>, entry: Descriptor) -> bool {
    if manifests.contains(&entry) {
        return false;
    }
    let name = entry.annotations.get(REF_NAME);
    let mut same = manifests.iter().enumerate().filter(|(_, old)| old.annotations.get(REF_NAME) == name);
    match (same.next().map(|(at, _)| at), same.next(), name) {
        (Some(at), None, _) => manifests[at] = entry,
        (Some(_), Some(_), Some(_)) => {
            let name = name.cloned();
            manifests.retain(|old| old.annotations.get(REF_NAME) != name.as_ref());
            manifests.push(entry);
        }
        _ => manifests.push(entry),
    }
    true
}

fn read_index(path: &Path) -> Result<Index, Error> {
    let Some(bytes) = disk::read_optional(path, MAX_INDEX)? else {
        return Ok(Index { manifests: Vec::new(), annotations: Default::default() });
    };
    let wrong = |source| Error::Index { path: path.to_owned(), source };
    match Document::parse(&bytes, &MediaType::Index.to_string()) {
        Ok(Document::Index(index)) => Ok(index),
        Ok(Document::Manifest(_)) => Err(wrong(DocumentError::NeitherKind)),
        Err(source) => Err(wrong(source)),
    }
}
