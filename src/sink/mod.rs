//! Where images go: layouts, archives, engines and registries.
//!
//! Owns the trait [`Sink`] and what is written for each kind of place, verified against digest and size while
//! it is copied. A sink publishes all or nothing: a stale output is replaced at once, a failed one leaves the
//! old. It must not know recipes or where the bytes come from: whoever calls hands over documents and a
//! function that opens the other blobs.

mod daemon;
mod docker_archive;
mod layout;
mod moved;
mod oci_archive;
mod registry;

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::PathBuf;

pub use daemon::{Daemon, STALL};
pub use docker_archive::DockerArchive;
pub use layout::Layout;
pub use moved::Moved;
pub use oci_archive::OciArchive;
pub use registry::Registry;

use crate::digest::{Digest, VerifyingReader};
use crate::disk;
use crate::layer::archive;
use crate::oci::{Descriptor, Document, DocumentError, Manifest, MediaType, Platform, Reference};
use crate::store::Closure;

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const CONTAINERD_NAME: &str = "io.containerd.image.name";

/// Opens a blob that isn't among the export's documents, or fails in the caller's own way. What it gives is verified by
/// the sink.
pub type Open<'a, E> = &'a (dyn Fn(&Descriptor) -> Result<Box<dyn Read + Send>, E> + Sync);

/// Takes an image or index, whole.
pub trait Sink<E> {
    /// Writes the export; on an error, nothing of it can be seen. Says what travelled, where it needn't take everything.
    ///
    /// # Errors
    /// A blob that can't be had or is damaged, a place that can't be written.
    fn put(&mut self, export: &Export, open: Open<'_, E>) -> Result<Option<Moved>, Failed<E>>;
}

/// What is to be written.
#[derive(Debug, Clone)]
pub struct Export {
    /// An index or a manifest.
    pub root: Descriptor,
    /// The bytes of manifests, indexes and image configs.
    pub documents: BTreeMap<Digest, Vec<u8>>,
    /// Everything, each digest once, children first.
    pub blobs: Vec<Descriptor>,
    /// `org.opencontainers.image.ref.name`; archives fall back on the reference's tag.
    pub name: Option<String>,
    /// What engines call the image.
    pub reference: Option<Reference>,
    /// Chosen where only one image fits; the first image, if there is none for it.
    pub platform: Platform,
}

/// Why an export failed: because of the place, or of whoever opens blobs for it.
#[derive(Debug, thiserror::Error)]
pub enum Failed<E> {
    /// The place, or what was to be put there.
    #[error(transparent)]
    Sink(Error),
    /// A blob can't be had.
    #[error("cannot open {digest}: {source}")]
    Open {
        /// Which.
        digest: Digest,
        /// Why.
        source: E,
    },
}

impl<E, S: Into<Error>> From<S> for Failed<E> {
    fn from(error: S) -> Self {
        Self::Sink(error.into())
    }
}

/// Why an export failed, whoever opens blobs for it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// A blob can't be read, or is damaged.
    #[error("cannot copy {digest}: {source}")]
    Copy {
        /// Which.
        digest: Digest,
        /// Why; holds a [`Mismatch`](crate::digest::Mismatch) for other bytes than those named.
        source: io::Error,
    },
    /// The archive can't be written.
    #[error("{place}: {source}")]
    Archive {
        /// Where it should have gone.
        place: String,
        /// Why.
        source: archive::Error,
    },
    /// A manifest or index that isn't here: an export is whole.
    #[error("the manifest {digest} is missing; only whole images can be exported")]
    Absent {
        /// Which.
        digest: Digest,
    },
    /// A document can't be read.
    #[error("{digest}: {source}")]
    Document {
        /// Which.
        digest: Digest,
        /// What is wrong.
        source: DocumentError,
    },
    /// The format holds images only.
    #[error("{digest} holds no image that this format could carry")]
    NoImage {
        /// The export's root.
        digest: Digest,
    },
    /// A directory with something in it that isn't an image layout.
    #[error("{} holds files, but no image layout", path.display())]
    NotALayout {
        /// The directory.
        path: PathBuf,
    },
    /// The index of an existing layout can't be read, so it can't be added to.
    #[error("{}: {source}", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: DocumentError,
    },
    /// An engine's address that Cooper doesn't speak to.
    #[error("cannot speak to an engine at {host:?}: only unix:// and, on this machine, tcp://")]
    Host {
        /// As given.
        host: String,
    },
    /// The connection to an engine.
    #[error("cannot {action} the engine at {host}: {source}")]
    Connection {
        /// As given.
        host: String,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A registry.
    #[error(transparent)]
    Registry(crate::registry::Error),
    /// The engine doesn't want it.
    #[error("the engine at {host} refused the image: {message}")]
    Refused {
        /// As given.
        host: String,
        /// HTTP's status.
        status: u16,
        /// The engine's words.
        message: String,
    },
}

impl Export {
    /// Everything of a closure.
    ///
    /// # Errors
    /// When a document is missing.
    pub fn new(closure: Closure, platform: Platform) -> Result<Self, Error> {
        match closure.absent.first() {
            Some(absent) => Err(Error::Absent { digest: absent.digest }),
            None => Ok(Self {
                root: closure.root,
                documents: closure.documents,
                blobs: closure.blobs,
                name: None,
                reference: None,
                platform,
            }),
        }
    }

    /// The entry of an `index.json`: the root without what its former index said of names.
    fn entry<const N: usize>(&self, names: [(&str, Option<String>); N]) -> Descriptor {
        let mut entry = self.root.clone();
        entry
            .annotations
            .retain(|key, _| key != REF_NAME && key != CONTAINERD_NAME && !key.starts_with("io.cooperage."));
        for (key, name) in names {
            entry.annotations.extend(name.map(|name| (key.to_owned(), name)));
        }
        entry
    }

    /// The name under which engines list the image; a reference without a tag has none.
    fn tagged(&self) -> Option<String> {
        self.reference.as_ref().filter(|reference| reference.tag.is_some()).map(Reference::tagged)
    }

    fn reader<E>(
        &self,
        blob: &Descriptor,
        open: Open<'_, E>,
    ) -> Result<VerifyingReader<Box<dyn Read + Send>>, Failed<E>> {
        let digest = blob.digest;
        let inner: Box<dyn Read + Send> = match self.documents.get(&digest) {
            Some(bytes) => Box::new(io::Cursor::new(bytes.clone())),
            None => match blob.data().map_err(|source| Error::Document { digest, source })? {
                Some(bytes) => Box::new(io::Cursor::new(bytes)),
                None => open(blob).map_err(|source| Failed::Open { digest, source })?,
            },
        };
        Ok(VerifyingReader::new(inner, digest, blob.size))
    }

    /// The image for [`Export::platform`], or the first; attestations don't count.
    fn one_image(&self) -> Result<Option<Manifest>, Error> {
        let mut images = Vec::new();
        self.images(&self.root, &mut images)?;
        let position = |fits: fn(&Platform, &Platform) -> bool| {
            let fits = |platform: &Option<Platform>| {
                platform.as_ref().is_some_and(|platform| fits(platform, &self.platform))
            };
            images.iter().position(|(platform, _)| fits(platform))
        };
        let wanted = position(Platform::matches).or_else(|| position(Platform::is_same_machine));
        Ok((!images.is_empty()).then(|| images.swap_remove(wanted.unwrap_or(0)).1))
    }

    fn images(&self, at: &Descriptor, found: &mut Vec<(Option<Platform>, Manifest)>) -> Result<(), Error> {
        let digest = at.digest;
        let Some(bytes) = self.documents.get(&digest).filter(|_| !at.is_attestation()) else { return Ok(()) };
        match Document::parse(bytes, &at.media_type).map_err(|source| Error::Document { digest, source })? {
            Document::Index(index) => index.manifests.iter().try_for_each(|child| self.images(child, found)),
            Document::Manifest(manifest) => {
                if manifest.config.kind() == Ok(MediaType::Config) {
                    found.push((at.platform.clone(), manifest));
                }
                Ok(())
            }
        }
    }

    /// Puts a blob into an archive.
    fn append<W: io::Write, E>(
        &self,
        archive: &mut archive::Writer<W>,
        name: &str,
        blob: &Descriptor,
        open: Open<'_, E>,
        place: &str,
    ) -> Result<(), Failed<E>> {
        let mut reader = self.reader(blob, open)?;
        let written = archive.file(name, blob.size, &mut reader).map_err(|error| match error {
            archive::Error::Read { source, .. } => Error::Copy { digest: blob.digest, source },
            source => Error::Archive { place: place.to_owned(), source },
        });
        Ok(written?)
    }
}
