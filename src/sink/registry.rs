//! `docker://REFERENCE`: a repository of a registry.
//!
//! Blobs first, several at once; then manifests before the indexes that name them; tags last, so that nobody who pulls by
//! a tag meets an image that isn't whole.

use std::collections::BTreeSet;
use std::io::{self, Read};
use std::sync::{Mutex, PoisonError};

use super::moved::Moved;
use super::{Error, Export, Failed, Open, Sink};
use crate::http::{self, Cause};
use crate::oci::{Descriptor, Document, MediaType};
use crate::registry::{self, Arrived, Repository};

/// A repository, and what the image is to be called in it.
#[derive(Debug)]
pub struct Registry {
    repository: Repository,
    tags: Vec<String>,
    /// Repositories of the same registry that may have some of the blobs.
    from: Vec<String>,
    moved: Moved,
}

impl Registry {
    /// Asks nothing yet. Without tags the image has its digest for a name.
    pub fn new(repository: Repository, tags: Vec<String>, from: Vec<String>) -> Self {
        Self { repository, tags, from, moved: Moved::default() }
    }

    /// The documents that the registry hasn't got, children first; a registry that has one has what it names.
    fn missing<'e>(&mut self, export: &'e Export) -> Result<Vec<&'e Descriptor>, Error> {
        let is_document =
            |blob: &&Descriptor| matches!(blob.kind(), Ok(MediaType::Index | MediaType::Manifest));
        let mut missing = Vec::new();
        let mut known = BTreeSet::new();
        // The root is last, and what stands above is asked for before what is below.
        for document in export.blobs.iter().filter(is_document).rev() {
            if known.contains(&document.digest)
                || self.repository.told(&document.digest.to_string())?.is_some()
            {
                self.moved.there += 1;
                known.extend(children(export, document)?.iter().map(|child| child.digest));
            } else {
                missing.push(document);
            }
        }
        missing.reverse();
        Ok(missing)
    }

    fn blobs<E: Send>(
        &mut self,
        export: &Export,
        blobs: &[Descriptor],
        open: Open<'_, E>,
    ) -> Result<(), Failed<E>> {
        let moved = Mutex::new(self.moved);
        registry::each(blobs, self.repository.concurrency(), |blob| -> Result<(), Failed<E>> {
            let arrived = self.blob(export, blob, open)?;
            count(&mut moved.lock().unwrap_or_else(PoisonError::into_inner), arrived, blob.size);
            Ok(())
        })?;
        self.moved = moved.into_inner().unwrap_or_else(PoisonError::into_inner);
        Ok(())
    }

    fn document(&mut self, export: &Export, document: &Descriptor, name: &str) -> Result<(), Error> {
        let digest = document.digest;
        let bytes = export.documents.get(&digest).ok_or(Error::Absent { digest })?;
        self.repository.put_manifest(name, &document.media_type, bytes)?;
        count(&mut self.moved, Arrived::Sent, document.size);
        Ok(())
    }

    fn blob<E: Send>(
        &self,
        export: &Export,
        blob: &Descriptor,
        open: Open<'_, E>,
    ) -> Result<Arrived, Failed<E>> {
        let digest = blob.digest;
        let failed = Mutex::new(None);
        let source = || -> io::Result<Box<dyn Read + Send>> {
            match export.reader(blob, open) {
                Ok(reader) => Ok(Box::new(reader)),
                Err(error) => {
                    *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                    Err(io::ErrorKind::Other.into())
                }
            }
        };
        let put = self.repository.put_blob(digest, blob.size, &self.from, &source);
        if let Some(error) = failed.into_inner().unwrap_or_else(PoisonError::into_inner) {
            return Err(error);
        }
        let put = put.map_err(|error| match error {
            registry::Error::Http(http::Error { cause: Cause::Source(source), .. }) => {
                Error::Copy { digest, source: io::Error::new(source.kind(), source.to_string()) }
            }
            error => Error::Registry(error),
        });
        Ok(put?)
    }
}

fn count(moved: &mut Moved, arrived: Arrived, size: u64) {
    match arrived {
        Arrived::Before => moved.there += 1,
        Arrived::Mounted => moved.mounted += 1,
        Arrived::Sent => {
            moved.blobs += 1;
            moved.bytes += size;
        }
    }
}

/// What a document names: an index its manifests, a manifest its config and layers.
fn children(export: &Export, document: &Descriptor) -> Result<Vec<Descriptor>, Error> {
    let digest = document.digest;
    let bytes = export.documents.get(&digest).ok_or(Error::Absent { digest })?;
    let parsed = Document::parse(bytes, &document.media_type);
    Ok(match parsed.map_err(|source| Error::Document { digest, source })? {
        Document::Index(index) => index.manifests,
        Document::Manifest(manifest) => [manifest.config].into_iter().chain(manifest.layers).collect(),
    })
}

impl<E: Send> Sink<E> for Registry {
    fn put(&mut self, export: &Export, open: Open<'_, E>) -> Result<Option<Moved>, Failed<E>> {
        let missing = self.missing(export)?;
        let mut wanted = BTreeSet::new();
        for document in missing.iter().filter(|document| document.kind() == Ok(MediaType::Manifest)) {
            wanted.extend(children(export, document)?.iter().map(|child| child.digest));
        }
        let blobs: Vec<Descriptor> =
            export.blobs.iter().filter(|blob| wanted.contains(&blob.digest)).cloned().collect();
        self.blobs(export, &blobs, open)?;
        let root = export.root.digest;
        let tags = self.tags.clone();
        for document in missing {
            if document.digest != root || tags.is_empty() {
                self.document(export, document, &document.digest.to_string())?;
            }
        }
        for tag in tags {
            // A tag that can't be moved may stay where it is.
            if self.repository.told(&tag)? != Some(root) {
                self.document(export, &export.root, &tag)?;
            }
        }
        Ok(Some(self.moved))
    }
}

impl From<registry::Error> for Error {
    fn from(error: registry::Error) -> Self {
        Self::Registry(error)
    }
}
