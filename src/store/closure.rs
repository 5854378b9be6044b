//! What hangs together: from a descriptor over indexes and manifests to configs and layers.
//!
//! Graphs come from outside: each digest is read once, with caps on depth, number and bytes, and a digest that
//! is a document here and a plain blob there, or has two sizes, is refused.

use std::collections::BTreeMap;

use crate::digest::Digest;
use crate::oci::{Descriptor, Document, DocumentError, MAX_DOCUMENT, MediaType};

/// Indexes within indexes. The field knows two levels.
pub const MAX_DEPTH: usize = 8;
/// Blobs that one walk names.
pub const MAX_BLOBS: usize = 50_000;
/// Bytes of all the documents that [`closure`] keeps.
pub const MAX_DOCUMENTS: u64 = 16 << 20;
/// Bytes of the documents that stand in each other: each is held while those below it are looked at.
const MAX_NESTED: u64 = 6 << 20;

/// An image or index with all that it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closure {
    /// Where it begins.
    pub root: Descriptor,
    /// The bytes of manifests, indexes and image configs.
    pub documents: BTreeMap<Digest, Vec<u8>>,
    /// Everything, documents too, each digest once, whatever is named before what names it; the root is last.
    pub blobs: Vec<Descriptor>,
    /// Documents that could not be had; what they name is not in `blobs`.
    pub absent: Vec<Descriptor>,
}

/// Why a graph can't be followed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClosureError {
    /// A document is not what it should be.
    #[error("{digest}: {source}")]
    Document {
        /// Which.
        digest: Digest,
        /// What is wrong.
        source: DocumentError,
    },
    /// A document above the cap.
    #[error("the document {digest} has {size} bytes; at most {MAX_DOCUMENT} are read")]
    TooLarge {
        /// Which.
        digest: Digest,
        /// What its descriptor says.
        size: u64,
    },
    /// Indexes nested too deeply.
    #[error("indexes are nested more than {MAX_DEPTH} deep at {digest}")]
    TooDeep {
        /// Where it was given up.
        digest: Digest,
    },
    /// Too many blobs, or too many bytes of documents.
    #[error("the image names too much: more than {MAX_BLOBS} blobs, or {MAX_DOCUMENTS} bytes of documents")]
    TooMuch,
    /// Two descriptors contradict each other.
    #[error("two descriptors of {digest} contradict each other")]
    Contradiction {
        /// What they name.
        digest: Digest,
    },
}

/// Walks from `root` and keeps the documents. `read` gives a document's verified bytes or nothing; embedded
/// ones (`data`) are not asked for.
///
/// A config or layer may be of any kind. The root and what an index names must be manifests and indexes: of anything else
/// (a schema 1 manifest, a page for people) nobody knows what it names, and it would be left behind.
///
/// # Errors
/// What `read` says, and graphs that can't be followed.
pub fn closure<E: From<ClosureError>>(
    root: &Descriptor,
    mut read: impl FnMut(&Descriptor) -> Result<Option<Vec<u8>>, E>,
) -> Result<Closure, E> {
    let mut all =
        Closure { root: root.clone(), documents: BTreeMap::new(), blobs: Vec::new(), absent: Vec::new() };
    let mut configs = BTreeMap::new();
    let mut total = 0;
    let mut read_and_count = |descriptor: &Descriptor| -> Result<Option<Vec<u8>>, E> {
        let bytes = document(descriptor, &mut read)?;
        total += bytes.as_ref().map_or(0, |bytes| bytes.len() as u64);
        if total > MAX_DOCUMENTS { Err(ClosureError::TooMuch.into()) } else { Ok(bytes) }
    };
    let mut keep = |descriptor: &Descriptor, bytes: Option<Vec<u8>>| -> Result<(), E> {
        match bytes {
            Some(bytes) => drop(all.documents.insert(descriptor.digest, bytes)),
            None if is_document(descriptor) => all.absent.push(descriptor.clone()),
            None if descriptor.kind() == Ok(MediaType::Config) => {
                configs.insert(descriptor.digest, descriptor.clone());
            }
            None => {}
        }
        all.blobs.push(descriptor.clone());
        Ok(())
    };
    check(root)?;
    Walker::new(true, &mut read_and_count, &mut keep).go(root, 0)?;
    for (digest, config) in configs {
        match read_and_count(&config)? {
            Some(bytes) => drop(all.documents.insert(digest, bytes)),
            None => all.absent.push(config),
        }
    }
    Ok(all)
}

/// Visits everything that `roots` name, each digest once, children first; documents come with their bytes.
///
/// # Errors
/// What `read` and `visit` say, and graphs that can't be followed.
pub fn walk<E: From<ClosureError>>(
    roots: &[Descriptor],
    read: impl FnMut(&Descriptor) -> Result<Option<Vec<u8>>, E>,
    visit: impl FnMut(&Descriptor, Option<Vec<u8>>) -> Result<(), E>,
) -> Result<(), E> {
    let mut walker = Walker::new(false, read, visit);
    roots.iter().try_for_each(|root| walker.go(root, 0))
}

struct Walker<R, V> {
    /// All of it is to be had: what isn't understood ends it.
    whole: bool,
    seen: BTreeMap<Digest, (u64, bool)>,
    /// Bytes of the documents that led here.
    nested: u64,
    read: R,
    visit: V,
}

impl<R, V> Walker<R, V> {
    const fn new(whole: bool, read: R, visit: V) -> Self {
        Self { whole, seen: BTreeMap::new(), nested: 0, read, visit }
    }

    fn go<E: From<ClosureError>>(&mut self, descriptor: &Descriptor, depth: usize) -> Result<(), E>
    where
        R: FnMut(&Descriptor) -> Result<Option<Vec<u8>>, E>,
        V: FnMut(&Descriptor, Option<Vec<u8>>) -> Result<(), E>,
    {
        let digest = descriptor.digest;
        let kind = (descriptor.size, is_document(descriptor));
        match self.seen.insert(digest, kind) {
            None if self.seen.len() > MAX_BLOBS => return Err(ClosureError::TooMuch.into()),
            None if depth > MAX_DEPTH => return Err(ClosureError::TooDeep { digest }.into()),
            None => {}
            Some(before) if before == kind => return Ok(()),
            Some(_) => return Err(ClosureError::Contradiction { digest }.into()),
        }
        let bytes = if kind.1 { document(descriptor, &mut self.read)? } else { None };
        if let Some(bytes) = &bytes {
            let parsed = Document::parse(bytes, &descriptor.media_type)
                .map_err(|source| ClosureError::Document { digest, source })?;
            self.nested += bytes.len() as u64;
            if self.nested > MAX_NESTED {
                return Err(ClosureError::TooMuch.into());
            }
            for child in children(&parsed) {
                if self.whole && matches!(parsed, Document::Index(_)) {
                    check(child)?;
                }
                self.go(child, depth + 1)?;
            }
            self.nested -= bytes.len() as u64;
        }
        (self.visit)(descriptor, bytes)
    }
}

fn check(descriptor: &Descriptor) -> Result<(), ClosureError> {
    let digest = descriptor.digest;
    descriptor.check_document().map_err(|source| ClosureError::Document { digest, source })
}

fn is_document(descriptor: &Descriptor) -> bool {
    descriptor.kind().is_ok_and(MediaType::is_document)
}

pub(super) fn children(document: &Document) -> Vec<&Descriptor> {
    match document {
        Document::Index(index) => index.manifests.iter().collect(),
        Document::Manifest(manifest) => manifest.layers.iter().chain([&manifest.config]).collect(),
    }
}

fn document<E: From<ClosureError>>(
    descriptor: &Descriptor,
    read: &mut impl FnMut(&Descriptor) -> Result<Option<Vec<u8>>, E>,
) -> Result<Option<Vec<u8>>, E> {
    let (digest, size) = (descriptor.digest, descriptor.size);
    if size > MAX_DOCUMENT {
        return Err(ClosureError::TooLarge { digest, size }.into());
    }
    match descriptor.data().map_err(|source| ClosureError::Document { digest, source })? {
        Some(bytes) => Ok(Some(bytes)),
        None => read(descriptor),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::{Compression, Index, Manifest};

    type Blobs = BTreeMap<Digest, Vec<u8>>;

    fn add(blobs: &mut Blobs, kind: MediaType, bytes: Vec<u8>) -> Descriptor {
        let descriptor = Descriptor::of(kind, &bytes);
        blobs.insert(descriptor.digest, bytes);
        descriptor
    }

    fn index(blobs: &mut Blobs, manifests: Vec<Descriptor>) -> Descriptor {
        let bytes = Index { manifests, annotations: BTreeMap::new() }.to_bytes();
        add(blobs, MediaType::Index, bytes)
    }

    fn image(blobs: &mut Blobs) -> (Descriptor, Descriptor, Descriptor) {
        let layer = Descriptor::of(MediaType::Layer(Compression::Gzip), b"layer");
        let config = add(blobs, MediaType::Config, b"{}".to_vec());
        let manifest =
            Manifest { config: config.clone(), layers: vec![layer.clone()], annotations: BTreeMap::new() };
        (layer, config, add(blobs, MediaType::Manifest, manifest.to_bytes()))
    }

    fn go(root: &Descriptor, blobs: &Blobs) -> Result<Closure, ClosureError> {
        closure(root, |descriptor| Ok(blobs.get(&descriptor.digest).cloned()))
    }

    #[test]
    fn children_come_first_and_once() {
        let mut blobs = Blobs::new();
        let (layer, config, manifest) = image(&mut blobs);
        let root = index(&mut blobs, vec![manifest.clone(), manifest.clone()]);
        let all = go(&root, &blobs).unwrap();
        assert_eq!(all.blobs, [layer, config, manifest, root]);
        assert_eq!((all.documents, all.absent), (blobs, vec![]));
    }

    #[test]
    fn what_is_embedded_is_not_asked_for_and_what_is_absent_is_told() {
        let mut blobs = Blobs::new();
        let (_, config, mut manifest) = image(&mut blobs);
        let data = "eyJjb25maWciOg==";
        manifest.rest.insert("data".into(), data.into());
        let root = index(&mut blobs, vec![manifest.clone()]);
        assert!(matches!(go(&root, &blobs), Err(ClosureError::Document { .. })));
        manifest.rest.clear();
        let root = index(&mut blobs, vec![manifest.clone()]);
        blobs.remove(&manifest.digest);
        let all = go(&root, &blobs).unwrap();
        assert_eq!((all.absent, all.blobs.len()), (vec![manifest], 2));
        assert!(!all.documents.contains_key(&config.digest));
    }

    #[test]
    fn bombs_are_refused() {
        let mut blobs = Blobs::new();
        let mut deep = index(&mut blobs, Vec::new());
        for _ in 0..=MAX_DEPTH {
            deep = index(&mut blobs, vec![deep]);
        }
        assert!(matches!(go(&deep, &blobs), Err(ClosureError::TooDeep { .. })));
        let mut large = index(&mut blobs, Vec::new());
        for _ in 0..3 {
            large.annotations.insert("x".into(), "x".repeat(2_500_000));
            large = index(&mut blobs, vec![large]);
            large.annotations.clear();
        }
        assert!(matches!(go(&large, &blobs), Err(ClosureError::TooMuch)));
        let huge = Descriptor::new(MediaType::Index, Digest::of(b"x"), MAX_DOCUMENT + 1);
        assert!(matches!(go(&huge, &blobs), Err(ClosureError::TooLarge { .. })));
        let (_, config, manifest) = image(&mut blobs);
        let mut other = manifest.clone();
        other.media_type = "application/octet-stream".into();
        let holder = Manifest { config, layers: vec![other], annotations: BTreeMap::new() };
        let holder = add(&mut blobs, MediaType::Manifest, holder.to_bytes());
        let root = index(&mut blobs, vec![holder, manifest]);
        assert!(matches!(go(&root, &blobs), Err(ClosureError::Contradiction { .. })));
    }

    #[test]
    fn what_nobody_understands_is_no_image() {
        let mut blobs = Blobs::new();
        let (layer, config, manifest) = image(&mut blobs);
        let page = |kind: &str| Descriptor { media_type: kind.into(), ..manifest.clone() };
        let schema = "application/vnd.docker.distribution.manifest.v1+prettyjws";
        let artifact = "application/vnd.oci.artifact.manifest.v1+json";
        for strange in [page("text/html"), page(schema), page(artifact), page(""), layer.clone(), config] {
            let below = index(&mut blobs, vec![strange.clone()]);
            let deeper = index(&mut blobs, vec![below.clone()]);
            for root in [&strange, &below, &deeper] {
                let error = go(root, &blobs).unwrap_err().to_string();
                assert!(error.contains(&strange.media_type), "{error}");
                // What is only counted may be anything.
                let read = |descriptor: &Descriptor| Ok(blobs.get(&descriptor.digest).cloned());
                let walked = walk::<ClosureError>(std::slice::from_ref(root), read, |_, _| Ok(()));
                assert_eq!(walked, Ok(()));
            }
        }
        // Charts and signatures are manifests of other configs and layers: known, and whole.
        let other = |kind: &str| Descriptor { media_type: kind.into(), ..layer.clone() };
        let chart = Manifest {
            config: other("application/vnd.cncf.helm.config.v1+json"),
            layers: vec![other("application/vnd.cncf.helm.chart.content.v1.tar+gzip"), layer.clone()],
            annotations: BTreeMap::new(),
        };
        let chart = add(&mut blobs, MediaType::Manifest, chart.to_bytes());
        assert_eq!(go(&index(&mut blobs, vec![chart]), &blobs).unwrap().blobs.len(), 3);
    }
}
