//! `--substitute`: what other machines have made is looked for before it is made again.
//!
//! Owns what of it counts. A layer counts if a committed lock names the image that holds it, and if the tar that this
//! machine would compress has the diff_id that the image's config says: only the compressing is spared. A chunk table
//! counts if the layer holds what it says; header indexes if the facts that they give are those of the lock. A place
//! that fails is reported, and passed over for the rest of the command: everything can be made here.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use super::place::{open_place, open_reference};
use crate::digest::{DiffId, Digest};
use crate::layer::chunks;
use crate::lock::Output;
use crate::oci::{Descriptor, Document, ImageConfig, MediaType, Place};
use crate::progress::Event;
use crate::store::Transaction;
use crate::substitute::{self, Beside, Substituter};
use crate::work::mutex::lock;
use crate::work::{Env, Error};

/// The layers of an image by their diff_ids.
type Layers = BTreeMap<DiffId, Descriptor>;

/// The places that `--substitute` names.
#[derive(Default)]
pub(crate) struct Substitutes {
    places: Vec<Named>,
    outputs: Mutex<BTreeMap<Digest, Arc<Layers>>>,
    warnings: Mutex<Vec<String>>,
}

struct Named {
    name: String,
    place: Arc<dyn Substituter>,
    /// It is on this machine.
    here: bool,
    failed: AtomicBool,
}

impl Substitutes {
    /// Opens them; registries are left out where no connection may be opened, and what can't be opened is told of.
    ///
    /// # Errors
    /// What can never be a substitute, and a site's configuration that can't be read: no place has failed then.
    pub(crate) fn open(env: &Env<'_>) -> Result<Self, Error> {
        let (mut places, mut warnings) = (Vec::new(), Vec::new());
        for named in &env.substitute {
            let (name, opened) = match named {
                Place::Registry(_) if env.offline => continue,
                // All of the repository, whatever tag.
                Place::Registry(reference) => {
                    let name = format!("docker://{}/{}", reference.registry, reference.repository);
                    (name, Ok(open_reference(env, reference)?))
                }
                other => (other.to_string(), open_place(env, other).map(|(place, _)| place)),
            };
            match opened {
                Ok(place) => {
                    let here = !matches!(named, Place::Registry(_));
                    places.push(Named { name, place, here, failed: AtomicBool::new(false) });
                }
                Err(error @ Error::Usage { .. }) => return Err(error),
                Err(error) => warnings.push(passed_over(&name, &error)),
            }
        }
        Ok(Self { places, warnings: Mutex::new(warnings), ..Self::default() })
    }

    /// Whether there is none.
    pub(crate) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// What there is to warn of, once.
    pub(crate) fn warnings(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.warnings))
    }

    /// A blob of a place on this machine, whose bytes were compared.
    pub(super) fn here(&self, blob: &Descriptor) -> Option<Box<dyn Read + Send>> {
        let digest = blob.digest;
        self.first_of(
            |named| named.here,
            |place| {
                let Some(mut reader) = place.open(blob)? else { return Ok(None) };
                io::copy(&mut reader, &mut io::sink())
                    .map_err(|source| substitute::Error::Read { digest, source })?;
                Ok(place.open_unverified(blob)?)
            },
        )
    }

    /// The answer of the first place that has one.
    pub(super) fn first<T>(&self, ask: impl Fn(&dyn Substituter) -> Result<Option<T>, Error>) -> Option<T> {
        self.first_of(|_| true, ask)
    }

    fn first_of<T>(
        &self,
        of: impl Fn(&Named) -> bool,
        ask: impl Fn(&dyn Substituter) -> Result<Option<T>, Error>,
    ) -> Option<T> {
        let places = self.places.iter().filter(|named| of(named) && !named.failed.load(Ordering::Relaxed));
        for named in places {
            match ask(&*named.place) {
                Ok(Some(found)) => return Some(found),
                Ok(None) => {}
                Err(error) => {
                    named.failed.store(true, Ordering::Relaxed);
                    lock(&self.warnings).push(passed_over(&named.name, &error));
                }
            }
        }
        None
    }

    /// The layers of all images of a lock's output.
    fn layers(&self, output: &Output) -> Arc<Layers> {
        let digest = output.index.digest;
        if let Some(known) = lock(&self.outputs).get(&digest) {
            return Arc::clone(known);
        }
        let index = Descriptor::new(MediaType::Index, digest, output.index.size);
        let found = Arc::new(self.first(|place| layers(place, &index)).unwrap_or_default());
        lock(&self.outputs).insert(digest, Arc::clone(&found));
        found
    }

    /// The layer with the tar of that `diff_id`, as one of the locked `outputs` has it, brought into the store.
    pub(crate) fn layer(
        &self,
        env: &Env<'_>,
        transaction: &Transaction,
        outputs: &BTreeMap<String, Output>,
        diff_id: DiffId,
    ) -> Result<Option<Descriptor>, Error> {
        let holds = |output: &&Output| output.platforms.values().any(|image| image.layers.contains(&diff_id));
        for output in outputs.values().filter(holds) {
            let layers = self.layers(output);
            let Some(layer) = layers.get(&diff_id) else { continue };
            let name = layer.digest.short();
            env.progress.event(Event::Begin { what: "fetching layer", name: &name });
            let found = transaction.has(layer.digest, layer.size)? || self.fetch(transaction, layer);
            env.progress.event(Event::End);
            if !found {
                continue;
            }
            let table = self.beside(Beside::Chunks, layer.digest);
            if let Some(rows) = table.as_ref().and_then(|table| chunks::parse(table))
                && chunks::is_of(&rows, transaction.open(layer.digest, layer.size)?)
            {
                transaction.chunks(layer.digest, chunks::to_text(&rows).as_bytes())?;
            }
            return Ok(Some(layer.clone()));
        }
        Ok(None)
    }

    /// What is claimed of a layer.
    pub(crate) fn beside(&self, kind: Beside, layer: Digest) -> Option<Vec<u8>> {
        self.first(|place| Ok(place.beside(kind, layer)?))
    }

    /// Brings a layer into the store.
    fn fetch(&self, transaction: &Transaction, layer: &Descriptor) -> bool {
        let fetched = self.first(|place| {
            let Some(mut reader) = place.open_unverified(layer)? else { return Ok(None) };
            let mut writer = transaction.writer()?;
            let digest = layer.digest;
            io::copy(&mut reader, &mut writer)
                .map_err(|source| substitute::Error::Read { digest, source })?;
            Ok(Some(writer.finish(Some((digest, layer.size)))?))
        });
        fetched.is_some()
    }
}

fn passed_over(name: &str, error: &Error) -> String {
    format!("{name} is passed over: {error}")
}

/// The layers of the images below `index`, if that is here with all of them.
fn layers(place: &dyn Substituter, index: &Descriptor) -> Result<Option<Layers>, Error> {
    let wrong = |digest: Digest| move |source| Error::Document { base: digest.to_string(), source };
    let read = |descriptor: &Descriptor| -> Result<Option<Document>, Error> {
        let Some(bytes) = place.read(descriptor)? else { return Ok(None) };
        Document::parse(&bytes, &descriptor.media_type).map(Some).map_err(wrong(descriptor.digest))
    };
    let mut found = Layers::new();
    let Some(Document::Index(index)) = read(index)? else { return Ok(None) };
    for child in &index.manifests {
        let Some(Document::Manifest(manifest)) = read(child)? else { return Ok(None) };
        let Some(config) = place.read(&manifest.config)? else { return Ok(None) };
        let failed = wrong(manifest.config.digest);
        let diff_ids = ImageConfig::parse(&config).and_then(|config| config.diff_ids()).map_err(failed)?;
        found.extend(diff_ids.into_iter().zip(manifest.layers));
    }
    Ok(Some(found))
}
