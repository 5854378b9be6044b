//! `--substitute`: what other machines have made is looked for before it is made again.
//!
//! Owns what of it counts. A layer counts if a committed lock names the image that holds it, and if the tar that this
//! machine would compress has the diff_id that the image's config says: only the compressing is spared. A chunk table
//! counts if the layer holds what it says; header indexes if the facts that they give are those of the lock. A place
//! that fails is told of, and passed over for the rest of the command: everything can be made here.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;
use std::sync::Arc;

use super::base::open_reference;
use super::error::Error;
use super::export::open_place;
use super::{Env, session::Session};
use crate::digest::{DiffId, Digest};
use crate::layer::chunks;
use crate::lock::Output;
use crate::oci::{Descriptor, Document, ImageConfig, MediaType, Place};
use crate::progress::Event;
use crate::store::Transaction;
use crate::substitute::{self, Beside, Substituter};

/// The layers of an image by their diff_ids.
type Layers = BTreeMap<DiffId, Descriptor>;

/// The places that `--substitute` names.
#[derive(Default)]
pub(super) struct Substitutes {
    places: Vec<Named>,
    outputs: RefCell<BTreeMap<Digest, Rc<Layers>>>,
    warnings: RefCell<Vec<String>>,
}

struct Named {
    name: String,
    place: Arc<dyn Substituter>,
    failed: Cell<bool>,
}

impl Substitutes {
    /// Opens them; registries are left out where no connection may be opened.
    pub(super) fn open(env: &Env<'_>) -> Result<Self, Error> {
        let mut places = Vec::new();
        for place in &env.substitute {
            let (name, place) = match place {
                Place::Registry(_) if env.offline => continue,
                // All of the repository, whatever tag.
                Place::Registry(reference) => {
                    let name = format!("docker://{}/{}", reference.registry, reference.repository);
                    (name, open_reference(env, reference)?)
                }
                other => (other.to_string(), open_place(env, other)?.0),
            };
            places.push(Named { name, place, failed: Cell::new(false) });
        }
        Ok(Self { places, ..Self::default() })
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The places, for whatever has a digest that is known.
    pub(super) fn places(&self) -> impl Iterator<Item = Arc<dyn Substituter>> {
        self.places.iter().map(|named| Arc::clone(&named.place))
    }

    /// What there is to warn of, once.
    pub(super) fn warnings(&self) -> Vec<String> {
        self.warnings.take()
    }

    /// The answer of the first place that has one.
    fn first<T>(&self, ask: impl Fn(&dyn Substituter) -> Result<Option<T>, Error>) -> Option<T> {
        for named in self.places.iter().filter(|named| !named.failed.get()) {
            match ask(&*named.place) {
                Ok(Some(found)) => return Some(found),
                Ok(None) => {}
                Err(error) => {
                    named.failed.set(true);
                    let warning = format!("{} is passed over: {error}", named.name);
                    self.warnings.borrow_mut().push(warning);
                }
            }
        }
        None
    }

    /// The layers of all images of a lock's output.
    fn layers(&self, output: &Output) -> Rc<Layers> {
        let digest = output.index.digest;
        if let Some(known) = self.outputs.borrow().get(&digest) {
            return Rc::clone(known);
        }
        let index = Descriptor::new(MediaType::Index, digest, output.index.size);
        let found = Rc::new(self.first(|place| layers(place, &index)).unwrap_or_default());
        self.outputs.borrow_mut().insert(digest, Rc::clone(&found));
        found
    }

    /// What is claimed of a layer.
    pub(super) fn beside(&self, kind: Beside, layer: Digest) -> Option<Vec<u8>> {
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

impl Session<'_> {
    /// The layer with the tar of that `diff_id`, as one of the locked `outputs` has it, brought into the store.
    pub(super) fn substituted(
        &self,
        outputs: &BTreeMap<String, Output>,
        diff_id: DiffId,
    ) -> Result<Option<Descriptor>, Error> {
        let holds = |output: &&Output| output.platforms.values().any(|image| image.layers.contains(&diff_id));
        for output in outputs.values().filter(holds) {
            let layers = self.substitutes.layers(output);
            let Some(layer) = layers.get(&diff_id) else { continue };
            let transaction = self.transaction()?;
            let name = layer.digest.short();
            self.env.progress.event(Event::Begin { what: "fetching layer", name: &name });
            let found =
                transaction.has(layer.digest, layer.size)? || self.substitutes.fetch(transaction, layer);
            self.env.progress.event(Event::End);
            if !found {
                continue;
            }
            let table = self.substitutes.beside(Beside::Chunks, layer.digest);
            if let Some(rows) = table.as_ref().and_then(|table| chunks::parse(table))
                && chunks::is_of(&rows, transaction.open(layer.digest, layer.size)?)
            {
                transaction.chunks(layer.digest, chunks::to_text(&rows).as_bytes())?;
            }
            return Ok(Some(layer.clone()));
        }
        Ok(None)
    }
}
