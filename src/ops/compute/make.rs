//! What comes out: plans become layers, images and indexes, in the transaction.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::rc::Rc;

use super::ground::{base_key, base_name};
use super::{Draft, Ground, Image, Made, Variant, Work, with_platform};
use crate::derivation::{ConfigPatch, LayerDerivation};
use crate::digest::{DiffId, Digest, Encoding};
use crate::image;
use crate::layer;
use crate::lock::SourceLock;
use crate::oci::{Compression, Descriptor, Document, MediaType, Platform};
use crate::ops::base::Below;
use crate::ops::error::Error;
use crate::plan::{self, Plan, Stage, config_patch, source_key};
use crate::progress::Event;
use crate::recipe::{Resolved, ResolvedAction, ResolvedFile, ResolvedSource};
use crate::store::{Realisation, RootKey};
use crate::tree::{Content, FileTree, Kind, Sources, TreePath};
use crate::workspace::{Contents, Scan};

impl Work<'_, '_> {
    /// All variants on one platform: planned together, then made.
    pub(super) fn platform<'d>(
        &self,
        platform: &Platform,
        drafts: &'d [Draft],
        sources: &Sources,
        contents: &Contents,
        epoch: i64,
        warnings: &mut Vec<String>,
    ) -> Result<Vec<(&'d str, Image, Resolved)>, Error> {
        let mut here: Vec<(&Draft, Below, Resolved)> = Vec::new();
        for draft in drafts.iter().filter(|draft| draft.platforms.iter().any(|own| own.matches(platform))) {
            let Some(below) = self.below(draft, platform)? else { continue };
            let mut scope = with_platform(self.session.scope(self.target), &below.platform);
            scope.base_env =
                below.config.env().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
            let resolved = draft.recipe.resolve(&scope).map_err(Error::Recipes)?;
            here.push((draft, below, resolved));
        }
        let read = |content: &Content| {
            let unreadable = |message: String| plan::Fault::Unreadable { message };
            let mut bytes = Vec::new();
            let mut reader = contents.open(content).map_err(|error| unreadable(error.to_string()))?;
            reader.read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
            if Content::of(&bytes) == *content {
                Ok(bytes)
            } else {
                Err(unreadable("a template changed while it was read".into()))
            }
        };
        let parents: Vec<Vec<&FileTree>> =
            here.iter().map(|(_, below, _)| below.parents.iter().map(|tree| &**tree).collect()).collect();
        let bases: Vec<String> = here.iter().map(|(draft, ..)| base_key(draft)).collect();
        let stages: Vec<Stage<'_>> = here
            .iter()
            .zip(&parents)
            .zip(&bases)
            .map(|(((_, below, resolved), parents), base)| Stage {
                base,
                recipe: resolved,
                facts: &below.facts,
                parents,
                layers_below: below.manifest.as_ref().map_or(0, |(manifest, _)| manifest.layers.len()),
                removed: &below.removed,
                sources,
                read: &read,
                epoch,
            })
            .collect();
        let failed = |variant: &str, errors| Error::Plan {
            recipe: self.target.to_string(),
            variant: variant.to_owned(),
            platform: platform.short(),
            errors,
        };
        let plans = plan::plan(Encoding::V1, &stages)
            .map_err(|(number, errors)| failed(&here[number].0.name, errors))?;
        if !self.session.env.locked {
            for ((stage, plan), (draft, below, resolved)) in stages.iter().zip(&plans).zip(&here) {
                let errors = resolved.guard(&draft.recipe);
                if !errors.is_empty() {
                    return Err(Error::Recipes(errors));
                }
                let gone = resolved.config.remove.volumes.iter().flatten();
                let gone: Vec<_> = gone.filter_map(|path| TreePath::parse(path.as_bytes()).ok()).collect();
                let volumes: Vec<_> =
                    below.volumes.iter().filter(|volume| !gone.contains(volume)).cloned().collect();
                let is_base_file = |path: &TreePath| self.session.is_base_file(&below.base_layers, path);
                let errors = plan::guard(plan, stage, &volumes, &is_base_file);
                if !errors.is_empty() {
                    return Err(failed(&draft.name, errors));
                }
                self.secrets(resolved)?;
            }
        }
        let epochs: Vec<i64> = stages.iter().map(|stage| stage.epoch).collect();
        drop(stages);
        let mut made = Vec::new();
        for (((draft, below, resolved), plan), epoch) in here.into_iter().zip(plans).zip(epochs) {
            let users = plan.facts(&below.facts);
            let image = self.image(draft, below, &resolved, plan, contents, epoch, warnings)?;
            made.push((draft.name.as_str(), Image { users: users.map(Rc::new), ..image }, resolved));
        }
        Ok(made)
    }

    fn secrets(&self, resolved: &Resolved) -> Result<(), Error> {
        for entry in resolved.entries.iter().filter(|entry| entry.allow_secret.is_none()) {
            let paths = match &entry.action {
                ResolvedAction::File(ResolvedFile { source: ResolvedSource::From(paths), .. }) => &paths[..],
                ResolvedAction::Ca { from, .. } => std::slice::from_ref(from),
                _ => continue,
            };
            for path in paths.iter().filter(|path| source_key(path).is_plain()) {
                let scan: Rc<Scan> = self.session.source(&source_key(path))?;
                if let Some((name, kind)) = scan.secrets.iter().next() {
                    let key = source_key(path);
                    let file = format!("{}/{}", key.origin, SourceLock::name(&key, scan.tree.single, name));
                    return Err(Error::Secret { file, kind, at: path.at.clone() });
                }
            }
        }
        Ok(())
    }

    /// What stands below a variant on a platform; nothing where a bare recipe's base hasn't got it.
    pub(super) fn below(&self, draft: &Draft, platform: &Platform) -> Result<Option<Below>, Error> {
        match &draft.ground {
            Ground::Scratch => Ok(Some(Below::scratch(platform))),
            Ground::External(external) => Ok(external.platforms.get(&platform.short()).cloned()),
            Ground::Recipe(parent) => {
                let images = parent.variants.get(&draft.name).map(|variant| &variant.images);
                let image = images.and_then(|images| images.get(&platform.short()));
                match image {
                    Some(image) => {
                        let mut below = image.stand(&parent.target)?;
                        let own = draft.root.as_ref().and_then(|root| root.platforms.get(&platform.short()));
                        // Nothing where there is no external base.
                        let in_base = |pattern: &str| {
                            let removed =
                                own.and_then(|own| own.removed.get(&below.pattern_in_base(pattern)));
                            removed.cloned().unwrap_or_default()
                        };
                        let patterns = self.patterns(&draft.recipe, platform)?;
                        below.removed = patterns
                            .into_iter()
                            .map(|pattern| (pattern.clone(), in_base(&pattern)))
                            .collect();
                        Ok(Some(below))
                    }
                    None => Err(Error::NoPlatform {
                        recipe: self.target.to_string(),
                        base: parent.target.to_string(),
                        platform: platform.short(),
                        have: images.into_iter().flat_map(|images| images.keys().cloned()).collect(),
                    }),
                }
            }
        }
    }

    /// One image: its layers, its config, its manifest.
    #[allow(clippy::too_many_arguments, reason = "the pieces of one image, each from another hand")]
    fn image(
        &self,
        draft: &Draft,
        below: Below,
        resolved: &Resolved,
        plan: Plan,
        contents: &Contents,
        epoch: i64,
        warnings: &mut Vec<String>,
    ) -> Result<Image, Error> {
        let session = self.session;
        if draft.bare
            && let Some(manifest) = below.manifest.as_ref().map(|(_, manifest)| *manifest)
        {
            let mut descriptor = Descriptor::new(MediaType::Manifest, manifest.digest, manifest.size);
            descriptor.platform = Some(below.platform.clone());
            return Ok(Image { descriptor, layers: Vec::new(), below, own: None, users: None });
        }
        let mut layers = Vec::new();
        for planned in plan.layers {
            layers.push(self.layer(planned, &plan.made, contents)?);
        }
        let root = below.root.as_ref().map(|(name, digest)| (name.as_str(), *digest));
        let patch: ConfigPatch = config_patch(Encoding::V1, resolved, epoch, &session.file.labels, root);
        let own: Vec<image::Layer> = layers.iter().map(|made| made.layer.clone()).collect();
        let base = below.manifest.as_ref().map(|(manifest, _)| (&**manifest, &*below.config));
        let failed = |source| Error::Image { recipe: self.target.to_string(), source };
        let image = image::assemble(Encoding::V1, base, &below.platform, &own, &patch).map_err(failed)?;
        warnings.extend(image.warnings.iter().map(ToString::to_string));
        session.transaction()?.put(&image.config)?;
        session.transaction()?.put(&image.manifest)?;
        Ok(Image { descriptor: image.descriptor.clone(), layers, below, own: Some(image), users: None })
    }

    /// A layer: from the store by its derivation, else made now.
    fn layer(
        &self,
        planned: plan::PlannedLayer,
        made: &BTreeMap<Content, Vec<u8>>,
        contents: &Contents,
    ) -> Result<Made, Error> {
        let session = self.session;
        let compression = Compression::Gzip;
        let plan::PlannedLayer { name, tree } = planned;
        let derivation = LayerDerivation { encoding: Encoding::V1, compression, tree };
        let bytes = derivation.to_bytes();
        let drv = Digest::of(&bytes);
        if let Some(known) = session.layers.borrow().get(&drv) {
            let layer = image::Layer { name, ..known.layer.clone() };
            return Ok(Made { layer, ..known.clone() });
        }
        // Even if its layer is there: it may have been damaged, and taken out by a repair.
        session.transaction()?.put(&bytes)?;
        let tree = Rc::new(derivation.tree);
        let kept = session.store()?.realisation(drv)?;
        let of = |Realisation { digest, size, .. }, diff_id| {
            let name = name.clone();
            image::Layer { diff_id, digest, size, compression, name }
        };
        let known = |layer| Made { layer, tree: Rc::clone(&tree), fresh: false };
        if let Some((kept, diff_id)) = kept.and_then(|kept| Some((kept, kept.diff_id?))) {
            let made = known(of(kept, diff_id));
            session.layers.borrow_mut().insert(drv, made.clone());
            return Ok(made);
        }
        let label = name.clone().unwrap_or_else(|| self.target.to_string());
        session.env.progress.event(Event::Begin { what: "making a layer of", name: &label });
        // What comes from elsewhere is fetched and unpacked when a layer of it has to be made, not before.
        let missing = tree.iter().filter_map(|(_, node)| match &node.kind {
            Kind::File(content) if !made.contains_key(content) && !contents.has(content) => Some(*content),
            _ => None,
        });
        let missing: BTreeSet<Content> = missing.collect();
        let more =
            if missing.is_empty() { Contents::default() } else { session.foreign_contents(&missing)? };
        let open = |content: &Content| -> io::Result<Box<dyn Read + Send>> {
            match made.get(content) {
                Some(bytes) => Ok(Box::new(io::Cursor::new(bytes.clone()))),
                None if more.has(content) => more.open(content).map_err(io::Error::other),
                None => contents.open(content).map_err(io::Error::other),
            }
        };
        let (realisation, diff_id, fresh) = match self.others(&tree, &open)? {
            Some((layer, diff_id)) => (layer, diff_id, false),
            None => {
                let failed = |source| Error::Layer { recipe: self.target.to_string(), source };
                let writer = session.transaction()?.writer()?;
                let reuse = self.earlier_chunks(&tree);
                let (writer, built) =
                    layer::build(Encoding::V1, compression, &tree, &open, reuse, writer).map_err(failed)?;
                let (digest, size) = writer.finish(None)?;
                if built.chunks.len() > 1 {
                    let table = layer::chunks::to_text(&built.chunks);
                    session.transaction()?.chunks(digest, table.as_bytes())?;
                }
                (Realisation { digest, size, diff_id: Some(built.diff_id) }, built.diff_id, true)
            }
        };
        session.transaction()?.realisation(drv, realisation)?;
        session.env.progress.event(Event::End);
        let layer = of(realisation, diff_id);
        session.layers.borrow_mut().insert(drv, known(layer.clone()));
        Ok(Made { layer, tree, fresh })
    }

    /// The layer as a substituter has it: it is told by the tar, which costs a tenth of compressing it.
    fn others(
        &self,
        tree: &FileTree,
        open: &(impl Fn(&Content) -> io::Result<Box<dyn Read + Send>> + Sync),
    ) -> Result<Option<(Realisation, DiffId)>, Error> {
        let session = self.session;
        let Some(lock) = self.old.filter(|_| !session.substitutes.is_empty()) else { return Ok(None) };
        let failed = |source| Error::Layer { recipe: self.target.to_string(), source };
        let tar = layer::build(Encoding::V1, Compression::None, tree, open, None, io::sink());
        let diff_id = tar.map_err(failed)?.1.diff_id;
        let found = session.substituted(&lock.outputs, diff_id)?;
        let kept =
            |Descriptor { digest, size, .. }| (Realisation { digest, size, diff_id: Some(diff_id) }, diff_id);
        Ok(found.map(kept))
    }

    /// The index over a variant's images, or upstream's own.
    pub(super) fn variant(
        &self,
        draft: &Draft,
        images: BTreeMap<String, Box<Image>>,
        resolved: Option<Resolved>,
    ) -> Result<Variant, Error> {
        let session = self.session;
        let base = base_name(draft);
        let tags = resolved.iter().flat_map(|resolved| resolved.image.tags.iter().flatten());
        let tags = tags.map(|tag| tag.value.clone()).collect();
        let root = match &draft.ground {
            Ground::Scratch => None,
            Ground::External(external) => Some(Rc::clone(external)),
            Ground::Recipe(parent) => {
                parent.variants.get(&draft.name).and_then(|variant| variant.root.clone())
            }
        };
        let transaction = session.transaction()?;
        let finish = |descriptor: Descriptor, images: BTreeMap<String, Box<Image>>| {
            let key = RootKey {
                workspace: session.workspace.root().display().to_string(),
                recipe: self.target.to_string(),
                variant: draft.name.clone(),
            };
            transaction.root(key, descriptor.clone());
            Variant { descriptor, images, resolved, base, root, tags }
        };
        if let Some(descriptor) = self.passed_through(draft)? {
            return Ok(finish(descriptor, images));
        }
        let own = images.values().filter_map(|image| image.own.as_ref());
        let bytes = image::index_of(Encoding::V1, own);
        let descriptor = Descriptor::of(MediaType::Index, &bytes);
        session.transaction()?.put(&bytes)?;
        Ok(finish(descriptor, images))
    }

    /// A bare recipe's output: what stands below, as it stands; its documents come into the store.
    fn passed_through(&self, draft: &Draft) -> Result<Option<Descriptor>, Error> {
        if !draft.bare {
            return Ok(None);
        }
        match &draft.ground {
            Ground::Scratch => Ok(None),
            Ground::Recipe(parent) => {
                Ok(parent.variants.get(&draft.name).map(|variant| variant.descriptor.clone()))
            }
            Ground::External(external) => {
                for digest in &external.documents {
                    if let Some(bytes) = external.blobs.get(digest) {
                        self.session.transaction()?.put(bytes)?;
                    }
                }
                let Some(_) = &draft.recipe.image.platforms else {
                    return Ok(Some(external.descriptor.clone()));
                };
                let Document::Index(index) = &external.document else {
                    return Ok(Some(external.descriptor.clone()));
                };
                let bytes = image::subset(Encoding::V1, index, &draft.platforms);
                self.session.transaction()?.put(&bytes)?;
                Ok(Some(Descriptor::of(MediaType::Index, &bytes)))
            }
        }
    }
}
