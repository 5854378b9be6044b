//! Where blobs may come from when they are not in the store: layouts, archives and registries.
//!
//! Owns the trait [`Substituter`], what each kind of place is read like, and how a path's kind is found out.
//! All of it is a stream by digest: no name from inside an archive or layout is ever a path on this machine,
//! links are not followed, and what is handed out is verified against digest and size before its end, unless who
//! takes it does that.

mod archive;
mod layout;
mod registry;
mod tarball;

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub use archive::Archive;
pub use layout::Layout;
pub use registry::Registry;

use crate::digest::{Digest, VerifyingReader};
use crate::disk;
use crate::oci::{Descriptor, DocumentError, MAX_DOCUMENT, MediaType, Reference};
use crate::store::{ClosureError, walk};

const REF_NAME: &str = "org.opencontainers.image.ref.name";
const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// Larger `index.json`s are not read.
const MAX_INDEX: u64 = 8 << 20;

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

/// Why something can't be had from here.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system.
    #[error(transparent)]
    Disk(#[from] disk::Error),
    /// A registry.
    #[error(transparent)]
    Registry(#[from] crate::registry::Error),
    /// Neither a layout nor an archive.
    #[error("{} is neither an image layout nor an archive of one: {why}", path.display())]
    NotAnImage {
        /// The path.
        path: PathBuf,
        /// What was met instead.
        why: &'static str,
    },
    /// A broken or hostile archive.
    #[error("{}: {why}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// A document in it can't be read.
    #[error("{}: {name}: {source}", path.display())]
    Document {
        /// The layout or archive.
        path: PathBuf,
        /// Which document.
        name: String,
        /// What is wrong.
        source: DocumentError,
    },
    /// A blob can't be read, or is damaged.
    #[error("cannot read {digest}: {source}")]
    Read {
        /// Which.
        digest: Digest,
        /// Why; holds a [`Mismatch`](crate::digest::Mismatch) for other bytes than those named.
        source: io::Error,
    },
    /// A document above the cap.
    #[error("the document {digest} has {size} bytes; at most {MAX_DOCUMENT} are read")]
    TooLarge {
        /// Which.
        digest: Digest,
        /// What its descriptor says.
        size: u64,
    },
    /// A graph of documents that can't be followed.
    #[error(transparent)]
    Closure(#[from] ClosureError),
    /// No image of that name.
    #[error("{} has no image {selector:?}; it has {}", path.display(), names(choices))]
    NoSuchImage {
        /// The layout or archive.
        path: PathBuf,
        /// What was asked for.
        selector: String,
        /// What there is.
        choices: Vec<String>,
    },
    /// Several images, and it wasn't said which.
    #[error("{} has several images, choose one of {}", path.display(), names(choices))]
    Ambiguous {
        /// The layout or archive.
        path: PathBuf,
        /// What there is.
        choices: Vec<String>,
    },
}

impl Error {
    /// Whether there is nothing at the path at all.
    pub fn is_missing(&self) -> bool {
        matches!(self, Self::Disk(error) if error.is_missing())
    }
}

fn names(choices: &[String]) -> String {
    /// More are counted.
    const SHOWN: usize = 10;
    let mut shown = choices.iter().take(SHOWN).map(|name| cut(name)).collect::<Vec<_>>().join(", ");
    if let Some(more) = choices.len().checked_sub(SHOWN + 1) {
        shown += &format!(" and {} more", more + 1);
    }
    if choices.is_empty() { "none".into() } else { shown }
}

/// A name from outside, as much of it as a message shows.
fn cut(name: &str) -> String {
    let mut shown: String = name.chars().take(200).collect();
    if shown.len() < name.len() {
        shown.push('…');
    }
    shown
}

/// Opens a layout (a directory) or an archive (a tar with `oci-layout` or `manifest.json` in it).
///
/// # Errors
/// When it is neither, or broken.
pub fn open(path: &Path) -> Result<Arc<dyn Substituter>, Error> {
    if disk::is_directory(path) {
        Ok(Arc::new(Layout::open(path)?))
    } else {
        Ok(Arc::new(Archive::open(path)?))
    }
}

/// The bytes that a descriptor embeds.
fn embedded(path: &Path, descriptor: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, Error> {
    let bytes = descriptor.data().map_err(|source| Error::Document {
        path: path.to_owned(),
        name: descriptor.digest.to_string(),
        source,
    })?;
    Ok(bytes.map(|bytes| Box::new(io::Cursor::new(bytes)) as Box<dyn Read + Send>))
}

/// Checks what `oci-layout` says.
fn check_version(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let value = crate::oci::json::parse(bytes).ok();
    let version = value.as_ref().and_then(|value| value.as_object()?.get("imageLayoutVersion")?.as_str());
    match version {
        Some(version) if version.starts_with("1.") => Ok(()),
        _ => Err(Error::NotAnImage { path: path.to_owned(), why: "oci-layout has an unknown version" }),
    }
}

/// Reads `index.json`.
fn parse_index(path: &Path, bytes: &[u8]) -> Result<Vec<Descriptor>, Error> {
    use crate::oci::Document;
    let wrong = |source| Error::Document { path: path.to_owned(), name: "index.json".into(), source };
    match Document::parse(bytes, &MediaType::Index.to_string()) {
        Ok(Document::Index(index)) => Ok(index.manifests),
        Ok(Document::Manifest(_)) => Err(wrong(DocumentError::NeitherKind)),
        Err(source) => Err(wrong(source)),
    }
}

/// Finds what `selector` means among the entries of an index and, for digests, below them.
fn select(
    from: &dyn Substituter,
    path: &Path,
    entries: &[Descriptor],
    selector: Option<&str>,
) -> Result<Descriptor, Error> {
    let choices = || entries.iter().map(|entry| cut(&choice(entry))).collect();
    let wanted = |entry: &&Descriptor| selector.is_none_or(|selector| is_called(entry, selector));
    let mut found: Vec<&Descriptor> = entries.iter().filter(wanted).collect();
    found.sort_by_key(|entry| entry.digest);
    found.dedup_by_key(|entry| entry.digest);
    match (found.as_slice(), selector) {
        ([one], _) => Ok((*one).clone()),
        ([], None) => Err(Error::NotAnImage { path: path.to_owned(), why: "its index is empty" }),
        ([], Some(selector)) => match digest_of(selector) {
            Some(digest) => below(from, entries, digest)?,
            None => None,
        }
        .ok_or_else(|| Error::NoSuchImage {
            path: path.to_owned(),
            selector: selector.to_owned(),
            choices: choices(),
        }),
        _ => Err(Error::Ambiguous { path: path.to_owned(), choices: choices() }),
    }
}

/// The manifest or index of that digest that the entries reach.
fn below(
    from: &dyn Substituter,
    entries: &[Descriptor],
    digest: Digest,
) -> Result<Option<Descriptor>, Error> {
    let mut found = None;
    walk(
        entries,
        |descriptor| from.read(descriptor),
        |descriptor, bytes| {
            if descriptor.digest == digest && bytes.is_some() {
                found = Some(descriptor.clone());
            }
            Ok::<_, Error>(())
        },
    )?;
    Ok(found)
}

fn digest_of(selector: &str) -> Option<Digest> {
    selector.rsplit('@').next()?.parse().ok()
}

fn is_called(entry: &Descriptor, selector: &str) -> bool {
    let own = [REF_NAME, CONTAINERD_NAME].into_iter().filter_map(|key| entry.annotations.get(key));
    if let Some(digest) = digest_of(selector) {
        return entry.digest == digest;
    }
    // `web:1` means docker.io/library/web:1, however long either was written.
    let reference = selector.parse::<Reference>().ok().filter(|_| selector.contains([':', '/']));
    own.into_iter().any(|name| {
        name == selector
            || (reference.is_some()
                && name.contains([':', '/'])
                && name.parse::<Reference>().ok() == reference)
    })
}

/// How a person would call an entry.
fn choice(entry: &Descriptor) -> String {
    let named = [CONTAINERD_NAME, REF_NAME].into_iter().find_map(|key| entry.annotations.get(key));
    named.cloned().unwrap_or_else(|| entry.digest.to_string())
}
