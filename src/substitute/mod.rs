//! Where blobs may come from when they are not in the store: layouts, archives and registries.
//!
//! Owns the trait [`Substituter`], what each kind of place is read like, and how a path's kind is found out.
//! All of it is a stream by digest: no name from inside an archive or layout is ever a path on this machine,
//! links are not followed, and what is handed out is verified against digest and size before its end, unless who
//! takes it does that.

mod archive;
mod error;
mod index;
mod layout;
mod open;
mod registry;
mod tarball;

use std::io::Read;

pub use archive::Archive;
pub use error::Error;
pub use layout::Layout;
pub use open::{open, open_later};
pub use registry::Registry;

use crate::digest::{Digest, VerifyingReader};
use crate::oci::{Descriptor, MAX_DOCUMENT};

/// What a registry keeps beside layers, found by the layer's digest. `book/src/registries.md` has the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// Its header index, with the packages that its databases list.
    Headers,
    /// Its chunk table.
    Chunks,
}

impl Beside {
    /// The tag of the artifact that holds it.
    pub fn tag(self, layer: Digest) -> String {
        let kind = match self {
            Self::Headers => "headers",
            Self::Chunks => "chunks",
        };
        format!("{kind}-{}", layer.hex())
    }

    /// The media type of the artifact's one blob.
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Headers => "application/vnd.cooperage.headers.v1",
            Self::Chunks => "application/vnd.cooperage.chunks.v1",
        }
    }
}

/// Gives blobs by digest.
pub trait Substituter: Send + Sync {
    /// What a selector (a tag or other name, a digest, a reference) means here; without one, the only image.
    ///
    /// # Errors
    /// When it means nothing or several things; then the error names what there is.
    fn resolve(&self, selector: Option<&str>) -> Result<Descriptor, Error>;

    /// Opens a blob, or says that it isn't here. Embedded bytes are honoured.
    ///
    /// For whoever verifies what comes: a large blob is hashed once then.
    ///
    /// # Errors
    /// When it is here and can't be opened.
    fn open_unverified(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, Error>;

    /// As [`open_unverified`](Self::open_unverified), but what it gives is verified.
    ///
    /// # Errors
    /// As for [`open_unverified`](Self::open_unverified).
    fn open(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, Error> {
        let verified = |reader| VerifyingReader::new(reader, descriptor.digest, descriptor.size);
        Ok(self.open_unverified(descriptor)?.map(|reader| Box::new(verified(reader)) as Box<_>))
    }

    /// What the place's own tag means now, asked once and without reading it; nothing where there is no tag or no telling.
    ///
    /// # Errors
    /// When it can't be asked.
    fn told(&self) -> Result<Option<Digest>, Error> {
        Ok(None)
    }

    /// What is said here of a layer: somebody's claim, for whoever can tell that it is true.
    ///
    /// # Errors
    /// When it is here and can't be read.
    fn beside(&self, kind: Beside, layer: Digest) -> Result<Option<Vec<u8>>, Error> {
        _ = (kind, layer);
        Ok(None)
    }

    /// All bytes of a document, or nothing when it isn't here.
    ///
    /// # Errors
    /// When it can't be read, is damaged, or larger than documents are.
    fn read(&self, descriptor: &Descriptor) -> Result<Option<Vec<u8>>, Error> {
        read(self, descriptor)
    }
}

fn read(from: &(impl Substituter + ?Sized), descriptor: &Descriptor) -> Result<Option<Vec<u8>>, Error> {
    let (digest, size) = (descriptor.digest, descriptor.size);
    if size > MAX_DOCUMENT {
        return Err(Error::TooLarge { digest, size });
    }
    let Some(mut reader) = from.open(descriptor)? else { return Ok(None) };
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(|source| Error::Read { digest, source })?;
    Ok(Some(bytes))
}
