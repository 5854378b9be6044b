//! A repository of a registry, and its mirrors.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::sync::{Mutex, PoisonError};

use super::{Beside, Error, Substituter, read};
use crate::digest::{Digest, VerifyingReader};
use crate::oci::{Descriptor, Document, MediaType, Reference};
use crate::registry::{self, Download, Fetched, Repository};

/// Header indexes of the largest images in the field are a few megabytes.
const MAX_BESIDE: u64 = 256 << 20;

/// What a reference names, wherever it may be read.
#[derive(Debug)]
pub struct Registry {
    reference: Reference,
    /// Mirrors, then the registry itself.
    places: Vec<Repository>,
    /// Documents that were met already.
    documents: Mutex<BTreeMap<Digest, Vec<u8>>>,
}

impl Registry {
    /// Asks nothing yet.
    pub fn new(reference: Reference, places: Vec<Repository>) -> Self {
        Self { reference, places, documents: Mutex::default() }
    }

    /// The answer of the first place that has one. A mirror that lacks something, or fails, is passed over.
    fn first<T>(
        &self,
        ask: impl Fn(&Repository) -> Result<Option<T>, registry::Error>,
    ) -> Result<Option<T>, Error> {
        let mut failed = None;
        for place in &self.places {
            match ask(place) {
                Ok(Some(found)) => return Ok(Some(found)),
                // The registry itself has the last word.
                Ok(None) => failed = None,
                Err(error) => failed = Some(error),
            }
        }
        failed.map_or(Ok(None), |error| Err(error.into()))
    }

    fn download(&self, blob: &Descriptor) -> Result<Option<Download>, Error> {
        self.first(|place| place.blob(blob.digest, blob.size))
    }

    /// The tag that somebody who wrote `name` may have meant.
    fn like(&self, name: &str) -> Option<String> {
        let tags = self.places.last()?.tags().ok()?;
        crate::recipe::suggest(name, tags.iter().map(String::as_str))
    }

    fn keep(&self, found: Fetched) -> Descriptor {
        let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        documents.insert(found.descriptor.digest, found.bytes);
        found.descriptor
    }
}

impl Substituter for Registry {
    fn resolve(&self, selector: Option<&str>) -> Result<Descriptor, Error> {
        let own = self.reference.digest.map(|digest| digest.to_string());
        let name = selector.map(str::to_owned).or(own).or_else(|| self.reference.tag.clone());
        let name = name.unwrap_or_else(|| "latest".to_owned());
        let found = self.first(|place| place.manifest(&name))?;
        let missing = || {
            // Of a digest nothing is like it.
            let digest = name.parse().ok();
            let suggestion = if digest.is_none() { self.like(&name) } else { None };
            let reference = Reference { digest, ..self.reference.clone() }.to_string();
            registry::Error::NoSuchImage { reference, suggestion }
        };
        Ok(self.keep(found.ok_or_else(missing)?))
    }

    fn open_unverified(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, Error> {
        let digest = descriptor.digest;
        let known = self.documents.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned();
        if let Some(bytes) = known {
            return Ok(Some(Box::new(Cursor::new(bytes))));
        }
        if matches!(descriptor.kind(), Ok(MediaType::Index | MediaType::Manifest)) {
            let found = self.first(|place| place.manifest(&digest.to_string()))?;
            if let Some(found) = found {
                return Ok(Some(Box::new(Cursor::new(found.bytes))));
            }
            // Outputs that were put there for others to build on are blobs.
        }
        Ok(self.download(descriptor)?.map(|download| Box::new(download) as Box<_>))
    }

    fn told(&self) -> Result<Option<Digest>, Error> {
        match &self.reference {
            Reference { digest: None, tag: Some(tag), .. } => self.first(|place| place.peek(tag)),
            _ => Ok(None),
        }
    }

    fn beside(&self, kind: Beside, layer: Digest) -> Result<Option<Vec<u8>>, Error> {
        let Some(found) = self.first(|place| place.manifest(&kind.tag(layer)))? else { return Ok(None) };
        let document = Document::parse(&found.bytes, &found.descriptor.media_type);
        let Ok(Document::Manifest(manifest)) = document else { return Ok(None) };
        let own = |blob: &&Descriptor| blob.media_type == kind.media_type() && blob.size <= MAX_BESIDE;
        let Some(blob) = manifest.layers.iter().find(own) else { return Ok(None) };
        let Some(download) = self.download(blob)? else { return Ok(None) };
        let mut bytes = Vec::new();
        let failed = |source| Error::Read { digest: blob.digest, source };
        VerifyingReader::new(download, blob.digest, blob.size).read_to_end(&mut bytes).map_err(failed)?;
        Ok(Some(bytes))
    }

    fn read(&self, descriptor: &Descriptor) -> Result<Option<Vec<u8>>, Error> {
        let found = read(self, descriptor)?;
        if let Some(bytes) = &found {
            let mut documents = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
            documents.insert(descriptor.digest, bytes.clone());
        }
        Ok(found)
    }
}
