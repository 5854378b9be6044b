//! From the store to places: whole images, base layers fetched by digest from wherever they are.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use super::base::{open_origin, open_reference};
use super::compute::Computed;
use super::error::Error;
use super::push::Destination;
use super::session::{self, Session};
use super::{BuildOptions, Copied, Env, Selection};
use crate::digest::Digest;
use crate::image;
use crate::lock::BaseOrigin;
use crate::oci::{
    Descriptor, Document, Index, MAX_DOCUMENT, MediaType, ParsePlaceError, Place, Platform, Reference,
};
use crate::progress::Counting;
use crate::sink::{self, BoxError, DockerArchive, Export, Layout, OciArchive, Sink};
use crate::store::{self, ClosureError, Store, closure};
use crate::substitute::{self, Substituter};
use crate::workspace::Target;

/// What is known of built images once the session is over.
pub(super) struct Exporter {
    default_variant: String,
    /// The output of each variant.
    outputs: BTreeMap<(Target, String), Descriptor>,
    /// What bases are called, and where their layouts' paths begin.
    origins: BTreeSet<BaseOrigin>,
    root: PathBuf,
    /// Asked after the places that bases come from.
    others: Vec<Arc<dyn Substituter>>,
}

impl Exporter {
    pub(super) fn new(session: &Session<'_>, all: &[Rc<Computed>]) -> Self {
        let mut origins = BTreeSet::new();
        let mut outputs = BTreeMap::new();
        for computed in all {
            for (name, variant) in &computed.variants {
                outputs.insert((computed.target.clone(), name.clone()), variant.descriptor.clone());
                origins.extend(variant.base.origin.clone());
            }
        }
        let (default_variant, root) =
            (session.file.default_variant().to_owned(), session.workspace.root().to_owned());
        Self { default_variant, outputs, origins, root, others: session.substitutes.places().collect() }
    }

    /// The store, and wherever the bases come from.
    fn source<'s>(&self, env: &Env<'_>, store: &'s Store) -> Result<Source<'s>, Error> {
        let opened = self.origins.iter().map(|origin| open_origin(env, &self.root, origin));
        let places: Result<Vec<_>, Error> = opened.filter_map(Result::transpose).collect();
        let places = places.map(|places| [places, self.others.clone()].concat());
        let references = self.origins.iter().filter_map(|origin| match origin {
            BaseOrigin::Image(reference) => Some(reference.clone()),
            BaseOrigin::Layout(_) => None,
        });
        Ok(Source { store, places: places?, references: references.collect() })
    }

    /// The one image that a target means.
    fn one(
        &self,
        selected: &BTreeMap<Target, Vec<String>>,
        place: &Place,
    ) -> Result<(Target, String, Descriptor), Error> {
        let fail = |message: String| Err(Error::Usage { message });
        let mut targets = selected.iter();
        let (Some((target, variants)), None) = (targets.next(), targets.next()) else {
            return fail(format!("{place} takes one image, and {} recipes were selected", selected.len()));
        };
        let variant = match variants.as_slice() {
            [] => &self.default_variant,
            [one] => one,
            _ => return fail(format!("{place} takes one image: name one variant of {target}")),
        };
        match self.outputs.get(&(target.clone(), variant.clone())) {
            Some(descriptor) => Ok((target.clone(), variant.clone(), descriptor.clone())),
            None => fail(format!("{target} has no variant {variant}")),
        }
    }
}

/// Puts what was built into the places that were asked for.
pub(super) fn deliver(
    env: &Env<'_>,
    store: &Store,
    exporter: Exporter,
    selected: &BTreeMap<Target, Vec<String>>,
    options: &BuildOptions,
) -> Result<Vec<Copied>, Error> {
    let mut copied = Vec::new();
    if options.to.is_empty() {
        return Ok(copied);
    }
    let source = exporter.source(env, store)?;
    for place in &options.to {
        let many = matches!(place, Place::Layout { name: None, .. } | Place::Daemon(None))
            && (selected.len() > 1 || selected.values().any(|variants| variants.len() != 1));
        if many {
            for ((target, variant), descriptor) in &exporter.outputs {
                let wanted = |names: &Vec<String>| names.is_empty() || names.contains(variant);
                if selected.get(target).is_some_and(wanted) {
                    let name = format!("{target}:{variant}");
                    let put = put(env, &source, &name, descriptor.clone(), place, &options.platforms)?;
                    copied.push(Copied { from: format!("{target}#{variant}"), ..put });
                }
            }
        } else {
            let (target, variant, descriptor) = exporter.one(selected, place)?;
            let name = format!("{target}:{variant}");
            let put = put(env, &source, &name, descriptor, place, &options.platforms)?;
            copied.push(Copied { from: format!("{target}#{variant}"), ..put });
        }
    }
    Ok(copied)
}

/// Puts what was built into its repositories.
pub(super) fn push_all(
    env: &Env<'_>,
    store: &Store,
    exporter: &Exporter,
    destinations: &[Destination],
    platforms: &[Platform],
) -> Result<Vec<Copied>, Error> {
    let source = exporter.source(env, store)?;
    let mut copied = Vec::new();
    for Destination { target, variant, reference } in destinations {
        let name = format!("{target}#{variant}");
        let Some(descriptor) = exporter.outputs.get(&(target.clone(), variant.clone())) else { continue };
        let place = Place::Registry(reference.clone());
        copied.push(put(env, &source, &name, descriptor.clone(), &place, platforms)?);
    }
    Ok(copied)
}

/// Copies an image from a place or recipe to a place.
///
/// # Errors
/// See [`Error`]; the destination is as it was then.
pub fn copy(env: &Env<'_>, from: &str, to: &Place, platforms: &[Platform]) -> Result<Copied, Error> {
    let place: Place = match from.parse() {
        Ok(place) => place,
        Err(ParsePlaceError::Transport { .. }) => return copy_target(env, from, to, platforms),
        Err(source) => return Err(Error::Usage { message: source.to_string() }),
    };
    let (from_place, selector) = open_place(env, &place)?;
    let store = Store::open(&env.store)?;
    let root = from_place.resolve(selector.as_deref())?;
    let references = match &place {
        Place::Registry(reference) => vec![reference.clone()],
        _ => Vec::new(),
    };
    let source = Source { store: &store, places: vec![from_place], references };
    let name = root
        .annotations
        .get("io.containerd.image.name")
        .or_else(|| root.annotations.get("org.opencontainers.image.ref.name"));
    let called = match &place {
        Place::Registry(reference) => Some(reference.tagged()),
        _ => selector,
    };
    let name = name.cloned().or(called).unwrap_or_else(|| "image".to_owned());
    let mut root = root;
    root.annotations.clear();
    let mut copied = put(env, &source, &name, root, to, platforms)?;
    copied.from = from.to_owned();
    Ok(copied)
}

/// Opens a place to read from, and what is meant in it.
pub(super) fn open_place(
    env: &Env<'_>,
    place: &Place,
) -> Result<(Arc<dyn Substituter>, Option<String>), Error> {
    Ok(match place {
        Place::Layout { dir, name } => (substitute::open(&env.dir.join(dir))?, name.clone()),
        Place::OciArchive { file, name } => (substitute::open(&env.dir.join(file))?, name.clone()),
        Place::DockerArchive { file, name } => {
            (substitute::open(&env.dir.join(file))?, name.as_ref().map(ToString::to_string))
        }
        Place::Registry(reference) => (open_reference(env, reference)?, None),
        Place::Daemon(_) => {
            return Err(Error::Usage { message: "images can't be taken out of an engine yet".into() });
        }
    })
}

fn copy_target(env: &Env<'_>, from: &str, to: &Place, platforms: &[Platform]) -> Result<Copied, Error> {
    let (workspace, file) = session::workspace(env)?;
    let mut select = Selection { targets: vec![from.to_owned()], all: false };
    let selected = session::select(&workspace, &file, &select)?;
    // A layout would take them all; here a bare name means one image.
    if let [(target, [])] =
        selected.iter().map(|(target, own)| (target, own.as_slice())).collect::<Vec<_>>()[..]
    {
        select.targets = vec![format!("{target}#{}", file.default_variant())];
    }
    let options = BuildOptions {
        select,
        to: vec![to.clone()],
        platforms: platforms.to_vec(),
        ..BuildOptions::default()
    };
    let report = super::build(env, &options)?;
    let copied = report.copied.into_iter().next();
    copied.ok_or_else(|| Error::Usage { message: format!("{from} selects no image") })
}

/// Where blobs are looked for: the store, then the places that bases come from.
struct Source<'s> {
    store: &'s Store,
    places: Vec<Arc<dyn Substituter>>,
    /// The references of those places that are in registries: another repository there has no need of bytes.
    references: Vec<Reference>,
}

impl Source<'_> {
    fn open(&self, blob: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, Error> {
        if self.store.has(blob.digest, blob.size)? {
            return Ok(Some(Box::new(self.store.open_blob(blob.digest, blob.size)?)));
        }
        // Sinks verify what they are given.
        for place in &self.places {
            if let Some(reader) = place.open_unverified(blob)? {
                return Ok(Some(reader));
            }
        }
        Ok(None)
    }

    fn document(&self, blob: &Descriptor) -> Result<Option<Vec<u8>>, Error> {
        if blob.size > MAX_DOCUMENT {
            return Err(
                store::Error::from(ClosureError::TooLarge { digest: blob.digest, size: blob.size }).into()
            );
        }
        let failed = match self.store.read(blob.digest, blob.size, MAX_DOCUMENT) {
            Ok(bytes) => return Ok(Some(bytes)),
            Err(store::Error::Missing { .. }) => None,
            Err(error) => Some(error),
        };
        for place in &self.places {
            let named =
                |error| Error::of_document(error, format!("the document {}", blob.digest), "the image");
            if let Some(bytes) = place.read(blob).map_err(named)? {
                return Ok(Some(bytes));
            }
        }
        failed.map_or(Ok(None), |error| Err(error.into()))
    }
}

impl Source<'_> {
    /// The repository of a reference, which names the image that is to be put there, if it names one by digest.
    fn registry(&self, env: &Env<'_>, reference: &Reference, root: Digest) -> Result<sink::Registry, Error> {
        if env.offline {
            return Err(Error::Offline { reference: reference.to_string() });
        }
        if reference.digest.is_some_and(|digest| digest != root) {
            return Err(Error::Usage { message: format!("the image is {root}, not what {reference} says") });
        }
        let client = env.registries.client().map_err(substitute::Error::from)?;
        // Also where a mirror of it lies in that registry.
        let near = self.references.iter().flat_map(|other| client.places(other));
        let near: BTreeSet<String> = near
            .filter(|place| place.host() == reference.registry)
            .map(|place| place.path().to_owned())
            .collect();
        let tags = reference.tag.iter().cloned().collect();
        Ok(sink::Registry::new(client.repository(reference), tags, near.into_iter().collect()))
    }
}

impl From<ClosureError> for Error {
    fn from(error: ClosureError) -> Self {
        Self::Store(error.into())
    }
}

fn put(
    env: &Env<'_>,
    source: &Source<'_>,
    name: &str,
    root: Descriptor,
    to: &Place,
    platforms: &[Platform],
) -> Result<Copied, Error> {
    let (root, extra) = limited(source, root, platforms)?;
    let all = closure(&root, |descriptor| match &extra {
        Some((digest, bytes)) if *digest == descriptor.digest => Ok(Some(bytes.clone())),
        _ => source.document(descriptor),
    })?;
    if let Some(absent) = all.absent.first() {
        return Err(Error::Absent {
            what: format!("the document {}", absent.digest),
            base: name.to_owned(),
            digest: absent.digest,
        });
    }
    let bytes = all.blobs.iter().map(|blob| blob.size).sum();
    let (own, reference) = names(name, to)?;
    let export = Export {
        root: root.clone(),
        documents: all.documents,
        blobs: all.blobs,
        name: own,
        reference,
        platform: platforms.first().cloned().unwrap_or_else(|| env.platform.clone()),
    };
    let open = |blob: &Descriptor| -> Result<Box<dyn Read + Send>, BoxError> {
        let absent = || Error::Absent {
            what: format!("the layer {}", blob.digest),
            base: name.to_owned(),
            digest: blob.digest,
        };
        Ok(Box::new(Counting::new(source.open(blob)?.ok_or_else(absent)?, Arc::clone(&env.progress))))
    };
    let mut sink: Box<dyn Sink> = match to {
        Place::Layout { dir, .. } => {
            // What comes over a wire comes faster on several.
            let here = source.references.is_empty() || env.offline;
            let at_once = if here { 1 } else { env.registries.concurrency() };
            Box::new(Layout { dir: env.dir.join(dir), at_once })
        }
        Place::OciArchive { file, .. } => Box::new(OciArchive { file: env.dir.join(file) }),
        Place::DockerArchive { file, .. } => Box::new(DockerArchive { file: env.dir.join(file) }),
        Place::Daemon(_) => Box::new(sink::Daemon { host: env.engine.clone(), stall: sink::STALL }),
        Place::Registry(reference) => Box::new(source.registry(env, reference, root.digest)?),
    };
    env.progress.event(crate::progress::Event::Begin { what: "writing", name });
    sink.put(&export, &open)?;
    env.progress.event(crate::progress::Event::End);
    Ok(Copied { from: name.to_owned(), to: to.to_string(), digest: root.digest, bytes, moved: sink.moved() })
}

/// The image's name in the place, and what engines call it.
fn names(name: &str, to: &Place) -> Result<(Option<String>, Option<Reference>), Error> {
    let reference = |text: &str| -> Result<Option<Reference>, Error> {
        text.parse()
            .map(Some)
            .map_err(|error: crate::oci::ParseReferenceError| Error::Usage { message: error.to_string() })
    };
    Ok(match to {
        Place::Layout { name: own, .. } => (Some(own.clone().unwrap_or_else(|| name.to_owned())), None),
        Place::OciArchive { name: Some(own), .. } => (None, reference(own)?),
        Place::DockerArchive { name: Some(own), .. } | Place::Daemon(Some(own)) => (None, Some(own.clone())),
        _ => (None, name.parse().ok()),
    })
}

/// With `--platform`: an index over those alone, with its bytes.
type Limited = (Descriptor, Option<(Digest, Vec<u8>)>);

fn limited(source: &Source<'_>, root: Descriptor, platforms: &[Platform]) -> Result<Limited, Error> {
    if platforms.is_empty() || root.kind() != Ok(MediaType::Index) {
        return Ok((root, None));
    }
    let wrong = |error| Error::Document { base: root.digest.to_string(), source: error };
    let Some(bytes) = source.document(&root)? else { return Ok((root, None)) };
    let Document::Index(index) = Document::parse(&bytes, &root.media_type).map_err(wrong)? else {
        return Ok((root, None));
    };
    let matches = |child: &Descriptor| {
        let own = child.platform.as_ref();
        !child.is_attestation()
            && own.is_some_and(|own| platforms.iter().any(|platform| platform.matches(own)))
    };
    let children: Vec<Descriptor> = index.manifests.iter().filter(|child| matches(child)).cloned().collect();
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
    let bytes = image::index(crate::digest::Encoding::V1, children, annotations);
    let root = Descriptor::of(MediaType::Index, &bytes);
    Ok((root.clone(), Some((root.digest, bytes))))
}
