//! `push --outputs`: what was made goes where other machines look for it with `--substitute`.
//!
//! Owns the artifacts: one per image, which keeps its documents and layers alive in the registry, and one for each
//! thing beside a layer. All of it is read by digest; `book/src/registries.md` has the names.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Cursor, Read};

use super::put::Copied;
use crate::digest::Digest;
use crate::oci::{Descriptor, Manifest, MediaType, Place, Reference};
use crate::sink::{self, Export, Failed, Moved, Sink};
use crate::store::{self, Store};
use crate::substitute::{self, Beside};
use crate::work::realise::Computed;
use crate::work::{Env, Error};

/// The media type of an output's documents: a registry would want the base's layers of a manifest called one.
const DOCUMENT: &str = "application/vnd.cooperage.document.v1+json";
/// The media types of the configs, which say what an artifact is.
const OUTPUT: &str = "application/vnd.cooperage.output.v1+json";
const BESIDE: &str = "application/vnd.cooperage.beside.v1+json";

/// Puts the outputs of recipes into a repository.
pub(crate) fn push_outputs<'c>(
    env: &Env<'_>,
    store: &Store,
    computed: impl Iterator<Item = &'c Computed>,
    to: &Reference,
) -> Result<Vec<Copied>, Error> {
    if env.offline {
        return Err(Error::Offline { reference: to.to_string() });
    }
    let target = Repository { env, store, to };
    let mut copied = Vec::new();
    let mut beside = BTreeSet::new();
    for computed in computed {
        for (name, variant) in &computed.variants {
            let own = variant.own_layers();
            let layers: BTreeSet<Digest> = own.iter().map(|made| made.layer.digest).collect();
            let mut moved = Moved::default();
            for layer in &layers {
                if let Some(table) = store.chunks(*layer)?.filter(|_| beside.insert(*layer)) {
                    target.beside(Beside::Chunks, *layer, table, &mut moved)?;
                }
            }
            for layer in variant.images.values().flat_map(|image| image.below.base_layers.iter()) {
                if let Some(headers) = store.header(*layer)?.filter(|_| beside.insert(*layer)) {
                    target.beside(Beside::Headers, *layer, headers, &mut moved)?;
                }
            }
            // What passes its base through has nothing of its own.
            if layers.is_empty() {
                continue;
            }
            let from = format!("{}#{name}", computed.target);
            env.progress.event(crate::progress::Event::Begin { what: "writing", name: &from });
            copied.push(target.output(from, &variant.descriptor, &layers, moved)?);
            env.progress.event(crate::progress::Event::End);
        }
    }
    Ok(copied)
}

struct Repository<'r> {
    env: &'r Env<'r>,
    store: &'r Store,
    to: &'r Reference,
}

impl Repository<'_> {
    /// An image's documents and own layers.
    fn output(
        &self,
        from: String,
        root: &Descriptor,
        layers: &BTreeSet<Digest>,
        mut moved: Moved,
    ) -> Result<Copied, Error> {
        let all = self.store.closure(root)?;
        let mut blobs = Vec::new();
        for blob in &all.blobs {
            if all.documents.contains_key(&blob.digest) {
                let mut document = Descriptor::new(MediaType::Config, blob.digest, blob.size);
                document.media_type = DOCUMENT.to_owned();
                blobs.push(document);
            } else if layers.contains(&blob.digest) {
                blobs.push(Descriptor { annotations: BTreeMap::new(), ..blob.clone() });
            }
        }
        let bytes = blobs.iter().map(|blob| blob.size).sum();
        let tag = format!("output-{}", root.digest.hex());
        self.put(&tag, OUTPUT, blobs, all.documents, &mut moved)?;
        let to = format!("{}/{}:{tag}", self.to.registry, self.to.repository);
        let (to, moved) = (format!("docker://{to}"), Some(moved));
        Ok(Copied { from, to, digest: root.digest, bytes, moved, tag: None })
    }

    fn beside(&self, kind: Beside, layer: Digest, bytes: Vec<u8>, moved: &mut Moved) -> Result<(), Error> {
        let mut blob = Descriptor::of(MediaType::Config, &bytes);
        blob.media_type = kind.media_type().to_owned();
        let documents = BTreeMap::from([(blob.digest, bytes)]);
        self.put(&kind.tag(layer), BESIDE, vec![blob], documents, moved)
    }

    /// Puts an artifact, unless it is there.
    fn put(
        &self,
        tag: &str,
        kind: &str,
        mut blobs: Vec<Descriptor>,
        mut documents: BTreeMap<Digest, Vec<u8>>,
        moved: &mut Moved,
    ) -> Result<(), Error> {
        let mut config = Descriptor::of(MediaType::Config, b"{}");
        config.media_type = kind.to_owned();
        let manifest =
            Manifest { config: config.clone(), layers: blobs.clone(), annotations: BTreeMap::new() };
        let bytes = manifest.to_bytes();
        let root = Descriptor::of(MediaType::Manifest, &bytes);
        documents.insert(config.digest, b"{}".to_vec());
        documents.insert(root.digest, bytes);
        blobs.extend([config, root.clone()]);
        let (name, reference, platform) = (None, None, self.env.platform.clone());
        let export = Export { root, documents, blobs, name, reference, platform };
        let open = |blob: &Descriptor| -> Result<Box<dyn Read + Send>, store::Error> {
            match export.documents.get(&blob.digest) {
                Some(bytes) => Ok(Box::new(Cursor::new(bytes.clone()))),
                // The sink verifies it.
                None => Ok(Box::new(self.store.open_unverified(blob.digest, blob.size)?)),
            }
        };
        let client = self.env.registries.client().map_err(substitute::Error::from)?;
        let mut sink = sink::Registry::new(client.repository(self.to), vec![tag.to_owned()], Vec::new());
        let put = sink.put(&export, &open).map_err(|failed| match failed {
            Failed::Sink(error) => Error::from(error),
            Failed::Open { source, .. } => source.into(),
        })?;
        if let Some(own) = put {
            moved.blobs += own.blobs;
            moved.bytes += own.bytes;
            moved.mounted += own.mounted;
            moved.there += own.there;
        }
        Ok(())
    }
}

/// The repository that `--outputs` names.
pub(crate) fn repository(place: &Place) -> Result<&Reference, Error> {
    match place {
        Place::Registry(reference) => Ok(reference),
        other => Err(Error::usage(format!("outputs go to a repository, docker://HOST/NAME, not to {other}"))),
    }
}
