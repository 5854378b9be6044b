//! The documents of one base or image, read once.

use std::rc::Rc;
use std::sync::Arc;

use super::below::images_of;
use crate::digest::Digest;
use crate::oci::{Descriptor, Document, DocumentError, ImageConfig, Manifest, MediaType, Platform, json};
use crate::tree::Content;
use crate::work::Error;
use crate::work::bytes::Bytes;
use crate::work::checkout::Blobs;

/// Documents while they are being read, and those that were.
pub(crate) struct Documents<'b> {
    bytes: Bytes<'b>,
    pub(crate) blobs: Blobs,
    pub(crate) digests: Vec<Digest>,
}

/// The documents of an image for one platform.
pub(crate) struct OneImage {
    /// The manifest's descriptor, with the platform.
    pub(crate) child: Descriptor,
    pub(crate) manifest: Rc<Manifest>,
    pub(crate) config: Rc<ImageConfig>,
}

impl<'b> Documents<'b> {
    /// Reads nothing yet.
    pub(crate) fn new(bytes: Bytes<'b>) -> Self {
        Self { bytes, blobs: Blobs::new(), digests: Vec::new() }
    }

    fn wrong(&self, source: DocumentError) -> Error {
        Error::Document { base: self.bytes.of.clone(), source }
    }

    /// The same, of one document.
    fn wrong_in(&self, digest: Digest, source: DocumentError) -> Error {
        Error::Document { base: format!("{}: {digest}", self.bytes.of), source }
    }

    /// The descriptor of a pin: its media type is what the document itself says.
    pub(crate) fn pinned(&mut self, index: &Content) -> Result<Descriptor, Error> {
        let mut descriptor = Descriptor::new(MediaType::Index, index.digest, index.size);
        let bytes = self.document(&descriptor, "the index")?;
        let members = json::parse(&bytes).ok();
        let members = members.as_ref().and_then(json::Value::as_object);
        let own = members.and_then(|members| members.get("mediaType")).and_then(json::Value::as_str);
        descriptor.media_type = match own {
            Some(own) => own.to_owned(),
            None if members.is_some_and(|members| members.contains_key("manifests")) => {
                MediaType::Index.to_string()
            }
            None => MediaType::Manifest.to_string(),
        };
        Ok(descriptor)
    }

    /// A document, read and verified once.
    fn document(&mut self, descriptor: &Descriptor, what: &str) -> Result<Arc<[u8]>, Error> {
        let known = self.blobs.get(&descriptor.digest).filter(|bytes| bytes.len() as u64 == descriptor.size);
        if let Some(bytes) = known {
            return Ok(Arc::clone(bytes));
        }
        let bytes = self.bytes.document(descriptor, what)?;
        let bytes = bytes.ok_or_else(|| self.bytes.absent(what, descriptor.digest))?;
        self.blobs.insert(descriptor.digest, Arc::clone(&bytes));
        self.digests.push(descriptor.digest);
        Ok(bytes)
    }

    /// The index, or the manifest where there is none.
    pub(crate) fn root(&mut self, descriptor: &Descriptor) -> Result<Document, Error> {
        let bytes = self.document(descriptor, "the index")?;
        Document::parse(&bytes, &descriptor.media_type)
            .map_err(|source| self.wrong_in(descriptor.digest, source))
    }

    /// The manifest of a pin.
    pub(crate) fn manifest(&mut self, pin: &Content) -> Result<Manifest, Error> {
        let descriptor = self.pinned(pin)?;
        let bytes = self.document(&descriptor, "the manifest")?;
        match Document::parse(&bytes, &descriptor.media_type).map_err(|source| self.wrong(source))? {
            Document::Manifest(manifest) => Ok(manifest),
            Document::Index(_) => Err(self.wrong(DocumentError::NeitherKind)),
        }
    }

    /// The config that a manifest names.
    pub(crate) fn config(&mut self, manifest: &Manifest) -> Result<ImageConfig, Error> {
        let bytes = self.document(&manifest.config, "the config")?;
        ImageConfig::parse(&bytes).map_err(|source| self.wrong_in(manifest.config.digest, source))
    }

    /// The image of an index for a platform, or else the platforms that there are. What isn't an index is the image,
    /// whatever its platform.
    pub(crate) fn image(
        &mut self,
        descriptor: &Descriptor,
        document: &Document,
        platform: &Platform,
    ) -> Result<Result<OneImage, Vec<String>>, Error> {
        let index = match document {
            Document::Manifest(manifest) => {
                let config = self.config(manifest)?;
                let own = config.platform().map_err(|source| self.wrong(source))?;
                let child = Descriptor { platform: Some(own), ..descriptor.clone() };
                let manifest = Rc::new(manifest.clone());
                return Ok(Ok(OneImage { child, manifest, config: Rc::new(config) }));
            }
            Document::Index(index) => index,
        };
        let mut other = None;
        for child in images_of(index, platform) {
            let manifest = self.child(child)?;
            if manifest.config.kind() == Ok(MediaType::Config) {
                let config = self.config(&manifest)?;
                let (manifest, config) = (Rc::new(manifest), Rc::new(config));
                return Ok(Ok(OneImage { child: child.clone(), manifest, config }));
            }
            // An artifact may stand before the image that it belongs to.
            other.get_or_insert(manifest);
        }
        if let Some(artifact) = other {
            artifact.check_image().map_err(|source| self.wrong(source))?;
        }
        let have = index.manifests.iter().filter(|child| !child.is_attestation());
        Ok(Err(have.filter_map(|child| Some(child.platform.as_ref()?.short())).collect()))
    }

    /// The manifest that an index names.
    fn child(&mut self, child: &Descriptor) -> Result<Manifest, Error> {
        let bytes = self.document(child, "the manifest")?;
        match Document::parse(&bytes, &child.media_type) {
            Ok(Document::Manifest(manifest)) => Ok(manifest),
            Ok(Document::Index(_)) => {
                let what = "an index inside an index".to_owned();
                Err(self.wrong_in(child.digest, DocumentError::Unsupported { what }))
            }
            Err(source) => Err(self.wrong_in(child.digest, source)),
        }
    }

    /// That it is an image that can be read.
    pub(crate) fn check(&self, image: &OneImage) -> Result<(), Error> {
        let checked =
            image.manifest.check_image().and_then(|()| check_config(&image.manifest, &image.config));
        checked.map_err(|source| self.wrong(source))
    }
}

/// That a config isn't one of Windows, and speaks of as many layers as the manifest.
fn check_config(manifest: &Manifest, config: &ImageConfig) -> Result<(), DocumentError> {
    config.check_env()?;
    let (here, there) = (manifest.layers.len(), config.diff_ids()?.len());
    if here != there {
        return Err(DocumentError::Layers { manifest: here, config: there });
    }
    match config.platform()?.os.as_str() {
        "windows" => Err(DocumentError::Unsupported { what: "an image of Windows".into() }),
        _ => Ok(()),
    }
}
