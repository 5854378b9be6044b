//! One image on its way to a place: whole, its layers by digest from wherever they are.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::digest::{Digest, Encoding};
use crate::disk;
use crate::image;
use crate::oci::{Descriptor, Document, DocumentError, Index, MediaType, Place, Platform, Reference};
use crate::progress::{Counting, Event};
use crate::sink::{self, DockerArchive, Export, Layout, Moved, OciArchive, Sink};
use crate::store::{ClosureError, closure};
use crate::substitute;
use crate::work::bytes::Bytes;
use crate::work::{Env, Error};

/// An image that came to a place, or into the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// From where.
    pub from: String,
    /// To where.
    pub to: String,
    /// The root document's digest.
    pub digest: Digest,
    /// Bytes of all blobs.
    pub bytes: u64,
    /// To a registry: what travelled.
    pub moved: Option<Moved>,
    /// By `push`: what became of the tag, where there is one.
    pub tag: Option<TagChange>,
}

/// What a push does to a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TagChange {
    /// There was none of that name.
    New,
    /// It is what it was.
    There,
    /// It named this before.
    Moved(Digest),
}

/// Where an image's blobs are, and which of those places are in registries: another repository there has no need of bytes.
pub(crate) struct Origin<'b> {
    pub(crate) bytes: Bytes<'b>,
    pub(crate) references: Vec<Reference>,
}

impl From<ClosureError> for Error {
    fn from(error: ClosureError) -> Self {
        match error {
            ClosureError::Document { digest, source: source @ DocumentError::Opaque { .. } } => {
                Self::Document { base: digest.to_string(), source }
            }
            error => Self::Store(error.into()),
        }
    }
}

/// Puts an image into a place, limited to `platforms` where there are any.
pub(crate) fn put(
    env: &Env<'_>,
    origin: &Origin<'_>,
    root: Descriptor,
    to: &Place,
    platforms: &[Platform],
) -> Result<Copied, Error> {
    let name = origin.bytes.of.as_str();
    let export = export(env, &origin.bytes, (name, root), to, platforms)?;
    let open = |blob: &Descriptor| opened(env, origin, blob);
    let mut sink = sink(env, origin, to, export.root.digest)?;
    env.progress.event(Event::Begin { what: "writing", name });
    let moved = sink.put(&export, &open)?;
    env.progress.event(Event::End);
    Ok(copied(name.to_owned(), to, &export, moved))
}

/// Puts several images into one archive, or nothing: each is `FROM`, its name and its root.
pub(super) fn put_together(
    env: &Env<'_>,
    origin: &Origin<'_>,
    images: Vec<(String, String, Descriptor)>,
    to: &Place,
    platforms: &[Platform],
) -> Result<Vec<Copied>, Error> {
    let mut exports = Vec::new();
    let mut froms = Vec::new();
    for (from, name, root) in images {
        exports.push(export(env, &origin.bytes, (&name, root), to, platforms)?);
        froms.push(from);
    }
    let open = |blob: &Descriptor| opened(env, origin, blob);
    env.progress.event(Event::Begin { what: "writing", name: &to.to_string() });
    match to {
        Place::OciArchive { file, .. } => {
            OciArchive { file: archive(env, file)? }.put_all(&exports, &open)?
        }
        Place::DockerArchive { file, .. } => {
            DockerArchive { file: archive(env, file)? }.put_all(&exports, &open)?
        }
        to => return Err(Error::usage(format!("{to} takes one image"))),
    };
    env.progress.event(Event::End);
    Ok(froms.into_iter().zip(&exports).map(|(from, export)| copied(from, to, export, None)).collect())
}

/// What is told of an image that came to a place.
fn copied(from: String, to: &Place, export: &Export, moved: Option<Moved>) -> Copied {
    let to = match (to, &export.reference) {
        // What it is called there.
        (Place::Daemon(None), Some(reference)) => Place::Daemon(Some(reference.clone())).to_string(),
        (to, _) => to.to_string(),
    };
    let bytes = export.blobs.iter().map(|blob| blob.size).sum();
    Copied { from, to, digest: export.root.digest, bytes, moved, tag: None }
}

/// A blob on its way.
fn opened(env: &Env<'_>, origin: &Origin<'_>, blob: &Descriptor) -> Result<Box<dyn Read + Send>, Error> {
    Ok(Box::new(Counting::new(origin.bytes.layer(blob)?, Arc::clone(&env.progress))))
}

/// An image with all documents, limited to `platforms` where there are any.
fn export(
    env: &Env<'_>,
    bytes: &Bytes<'_>,
    (name, root): (&str, Descriptor),
    to: &Place,
    platforms: &[Platform],
) -> Result<Export, Error> {
    let (root, extra) = limited(bytes, root, platforms)?;
    let all = closure(&root, |descriptor| match &extra {
        Some((digest, bytes)) if *digest == descriptor.digest => Ok(Some(bytes.clone())),
        _ => document(bytes, descriptor),
    })?;
    if let Some(absent) = all.absent.first() {
        return Err(bytes.absent("the document", absent.digest));
    }
    let (own, reference) = names(name, to)?;
    Ok(Export {
        root,
        documents: all.documents,
        blobs: all.blobs,
        name: own,
        reference,
        platform: platforms.first().cloned().unwrap_or_else(|| env.platform.clone()),
    })
}

/// The file of an archive. A link in its place is replaced.
fn archive(env: &Env<'_>, file: &Path) -> Result<PathBuf, Error> {
    env.output(disk::parent(file))?;
    Ok(env.dir.join(file))
}

fn document(bytes: &Bytes<'_>, descriptor: &Descriptor) -> Result<Option<Vec<u8>>, Error> {
    match bytes.document(descriptor, "the document") {
        Ok(found) => Ok(found.map(|bytes| bytes.to_vec())),
        // What it is called in the place says nothing of where it was damaged.
        Err(Error::Damaged { what, source, .. }) => {
            Err(Error::Damaged { what, base: "the image".to_owned(), source })
        }
        Err(error) => Err(error),
    }
}

/// What takes an image in a place.
fn sink(env: &Env<'_>, origin: &Origin<'_>, to: &Place, root: Digest) -> Result<Box<dyn Sink<Error>>, Error> {
    Ok(match to {
        Place::Layout { dir, .. } => {
            // What comes over a wire comes faster on several.
            let here = origin.references.is_empty() || env.offline;
            let at_once = if here { 1 } else { env.registries.concurrency() };
            env.output(&dir.join("blobs/sha256"))?;
            Box::new(Layout { dir: env.dir.join(dir), at_once })
        }
        Place::OciArchive { file, .. } => Box::new(OciArchive { file: archive(env, file)? }),
        Place::DockerArchive { file, .. } => Box::new(DockerArchive { file: archive(env, file)? }),
        Place::Daemon(_) => Box::new(sink::Daemon { host: env.engine.clone(), stall: sink::STALL }),
        Place::Registry(reference) => Box::new(registry(env, origin, reference, root)?),
    })
}

/// The repository of a reference, which names the image that is to be put there, if it names one by digest.
fn registry(
    env: &Env<'_>,
    origin: &Origin<'_>,
    reference: &Reference,
    root: Digest,
) -> Result<sink::Registry, Error> {
    if env.offline {
        return Err(Error::Offline { reference: reference.to_string() });
    }
    if reference.digest.is_some_and(|digest| digest != root) {
        return Err(Error::usage(format!("the image is {root}, not what {reference} says")));
    }
    let client = env.registries.client().map_err(substitute::Error::from)?;
    // Also where a mirror of it lies in that registry.
    let near = origin.references.iter().flat_map(|other| client.places(other));
    let near: BTreeSet<String> = near
        .filter(|place| place.host() == reference.registry)
        .map(|place| place.path().to_owned())
        .collect();
    let tags = reference.tag.iter().cloned().collect();
    Ok(sink::Registry::new(client.repository(reference), tags, near.into_iter().collect()))
}

/// The image's name in the place, and what engines call it.
fn names(name: &str, to: &Place) -> Result<(Option<String>, Option<Reference>), Error> {
    let reference =
        |text: &str| -> Result<Option<Reference>, Error> { text.parse().map(Some).map_err(Error::usage) };
    Ok(match to {
        Place::Layout { name: own, .. } => (Some(own.clone().unwrap_or_else(|| name.to_owned())), None),
        Place::OciArchive { name: Some(own), .. } => (None, reference(own)?),
        Place::DockerArchive { name: Some(own), .. } | Place::Daemon(Some(own)) => (None, Some(own.clone())),
        _ => (None, name.parse().ok()),
    })
}

/// The digest that an image has in a place, limited to `platforms` where there are any.
pub(super) fn root(bytes: &Bytes<'_>, root: &Descriptor, platforms: &[Platform]) -> Result<Digest, Error> {
    Ok(limited(bytes, root.clone(), platforms)?.0.digest)
}

/// With `--platform`: an index over those alone, with its bytes.
type Limited = (Descriptor, Option<(Digest, Vec<u8>)>);

fn limited(bytes: &Bytes<'_>, root: Descriptor, platforms: &[Platform]) -> Result<Limited, Error> {
    if platforms.is_empty() || root.kind() != Ok(MediaType::Index) {
        return Ok((root, None));
    }
    let wrong = |error| Error::Document { base: root.digest.to_string(), source: error };
    let Some(document) = document(bytes, &root)? else { return Ok((root, None)) };
    let Document::Index(index) = Document::parse(&document, &root.media_type).map_err(wrong)? else {
        return Ok((root, None));
    };
    let chosen: Vec<_> = platforms.iter().flat_map(|platform| index.children_for(platform)).collect();
    let is_chosen = |child: &&Descriptor| chosen.iter().any(|chosen| std::ptr::eq(*chosen, *child));
    let children: Vec<Descriptor> = index.manifests.iter().filter(is_chosen).cloned().collect();
    if children.is_empty() {
        let have =
            index.manifests.iter().filter_map(|child| Some(child.platform.as_ref()?.short())).collect();
        let platform = platforms.iter().map(Platform::short).collect::<Vec<_>>().join(", ");
        return Err(Error::NoPlatform {
            recipe: String::new(),
            base: root.digest.to_string(),
            platform,
            have,
        });
    }
    let Index { annotations, .. } = index;
    // No lock says which encoding: what is left of an index has the bytes that it always had.
    let bytes = image::index(Encoding::V1, children, annotations);
    let root = Descriptor::of(MediaType::Index, &bytes);
    Ok((root.clone(), Some((root.digest, bytes))))
}
