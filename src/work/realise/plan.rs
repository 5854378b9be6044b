//! What is to be made on one platform: all variants planned together, guarded, and derived. Nothing is compressed here.

use std::collections::BTreeMap;
use std::io::Read;
use std::rc::Rc;

use super::draft::{Draft, Grounded, Work};
use super::gather::Gathered;
use super::ground::{base_key, below};
use crate::derivation::{ImageDerivation, LayerDerivation};
use crate::digest::Digest;
use crate::layer::facts::Facts;
use crate::lock::SourceLock;
use crate::oci::{Compression, Platform};
use crate::plan::{self, Plan, Stage, config_patch};
use crate::recipe::{Resolved, ResolvedAction, ResolvedFile, ResolvedSource, Scope};
use crate::tree::{Content, FileTree, TreePath};
use crate::work::Error;
use crate::work::upstream::{Below, is_base_file};

/// One variant on one platform, ready to be made.
pub(super) struct Planned<'v> {
    pub(super) variant: &'v Grounded,
    pub(super) below: Below,
    pub(super) resolved: Resolved,
    /// What determines the image.
    pub(super) derivation: ImageDerivation,
    /// Lowest first.
    pub(super) layers: Vec<Derived>,
    /// Bytes that no source has.
    pub(super) made: BTreeMap<Content, Vec<u8>>,
    /// What is known below, with the users that this recipe adds.
    pub(super) users: Option<Rc<Facts>>,
}

/// A layer, and what determines it.
pub(super) struct Derived {
    /// `layer = "…"` of the recipe.
    pub(super) name: Option<String>,
    pub(super) compression: Compression,
    pub(super) tree: FileTree,
    /// The derivation's canonical bytes, and their digest.
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
}

/// A variant whose base is known.
struct Standing<'v> {
    variant: &'v Grounded,
    below: Below,
    resolved: Resolved,
}

/// Plans all variants on one platform.
pub(super) fn plan<'v>(
    work: &Work<'_, '_>,
    platform: &Platform,
    variants: &'v [Grounded],
    gathered: &Gathered,
    epoch: i64,
) -> Result<Vec<Planned<'v>>, Error> {
    let here = standing(work, platform, variants)?;
    let read = |content: &Content| read(gathered, content);
    let parents: Vec<Vec<&FileTree>> =
        here.iter().map(|one| one.below.parents.iter().map(|tree| &**tree).collect()).collect();
    let bases: Vec<String> = here.iter().map(|one| base_key(one.variant)).collect();
    let stages: Vec<Stage<'_>> = here
        .iter()
        .zip(&parents)
        .zip(&bases)
        .map(|((one, parents), base)| Stage {
            base,
            recipe: &one.resolved,
            facts: &one.below.facts,
            parents,
            layers_below: one.below.manifest.as_ref().map_or(0, |(manifest, _)| manifest.layers.len()),
            removed: &one.below.removed,
            sources: &gathered.sources,
            read: &read,
            epoch,
        })
        .collect();
    let failed = |variant: &str, errors| Error::Plan {
        recipe: work.target.to_string(),
        variant: variant.to_owned(),
        platform: platform.short(),
        errors,
    };
    let plans = plan::plan(work.encoding, &stages)
        .map_err(|(number, errors)| failed(&here[number].variant.draft.name, errors))?;
    if !work.checkout().env.locked {
        for ((stage, plan), one) in stages.iter().zip(&plans).zip(&here) {
            let errors = guard(work, one, stage, plan)?;
            if !errors.is_empty() {
                return Err(failed(&one.variant.draft.name, errors));
            }
            secrets(work, &one.resolved)?;
        }
    }
    drop(stages);
    Ok(here.into_iter().zip(plans).map(|(one, plan)| derive(work, one, plan, epoch)).collect())
}

/// The variants that there are on a platform, resolved against what stands below.
fn standing<'v>(
    work: &Work<'_, '_>,
    platform: &Platform,
    variants: &'v [Grounded],
) -> Result<Vec<Standing<'v>>, Error> {
    let mut here = Vec::new();
    for variant in variants {
        let Draft { platforms, recipe, .. } = &variant.draft;
        if !platforms.iter().any(|own| own.matches(platform)) {
            continue;
        }
        let Some(below) = below(work, variant, platform)? else { continue };
        let env = below.config.env().map(|(name, value)| (name.to_owned(), value.to_owned()));
        let scope =
            Scope { base_env: env.collect(), ..work.checkout().scope_on(work.target, &below.platform) };
        let resolved = recipe.resolve(&scope).map_err(Error::Recipes)?;
        here.push(Standing { variant, below, resolved });
    }
    Ok(here)
}

/// The bytes of a template.
fn read(gathered: &Gathered, content: &Content) -> Result<Vec<u8>, plan::Fault> {
    let unreadable = |message: String| plan::Fault::Unreadable { message };
    let mut bytes = Vec::new();
    let mut reader = gathered.contents.open(content).map_err(|error| unreadable(error.to_string()))?;
    reader.read_to_end(&mut bytes).map_err(|error| unreadable(error.to_string()))?;
    let same = Content::of(&bytes) == *content;
    if same { Ok(bytes) } else { Err(unreadable("a template changed while it was read".into())) }
}

/// What the guards have against a variant.
fn guard(
    work: &Work<'_, '_>,
    Standing { variant, below, resolved }: &Standing<'_>,
    stage: &Stage<'_>,
    plan: &Plan,
) -> Result<Vec<plan::Error>, Error> {
    let errors = resolved.guard(&variant.draft.recipe);
    if !errors.is_empty() {
        return Err(Error::Recipes(errors));
    }
    let gone = resolved.config.remove.volumes.iter().flatten();
    let gone: Vec<_> = gone.filter_map(|path| TreePath::parse(path.as_bytes()).ok()).collect();
    let volumes: Vec<_> = below.volumes.iter().filter(|volume| !gone.contains(volume)).cloned().collect();
    let is_file = |path: &TreePath| is_base_file(&work.sources.upstream, &below.base_layers, path);
    Ok(plan::guard(plan, stage, &volumes, &is_file))
}

/// Refuses sources that seem to hold a secret.
fn secrets(work: &Work<'_, '_>, resolved: &Resolved) -> Result<(), Error> {
    for entry in resolved.entries.iter().filter(|entry| entry.allow_secret.is_none()) {
        let paths = match &entry.action {
            ResolvedAction::File(ResolvedFile { source: ResolvedSource::From(paths), .. }) => &paths[..],
            ResolvedAction::Ca { from, .. } => std::slice::from_ref(from),
            _ => continue,
        };
        for path in paths {
            let found = match path.key.plain() {
                Some(files) => {
                    let scan = work.checkout().source(files)?;
                    scan.secrets.iter().next().map(|(name, kind)| {
                        let name = SourceLock::name(&path.key, scan.tree.single, name);
                        (format!("{}/{name}", files.directory), *kind)
                    })
                }
                None => work.sources.secret(&path.key),
            };
            if let Some((file, kind)) = found {
                return Err(Error::Secret { file, kind, at: path.at.clone() });
            }
        }
    }
    Ok(())
}

fn derive<'v>(work: &Work<'_, '_>, one: Standing<'v>, plan: Plan, epoch: i64) -> Planned<'v> {
    let Standing { variant, below, resolved } = one;
    let users = plan.facts(&below.facts).map(Rc::new);
    let root = below.root.as_ref().map(|(name, digest)| (name.as_str(), *digest));
    let patch = config_patch(work.encoding, &resolved, epoch, &work.checkout().file.labels, root);
    let layers = plan.layers.into_iter().map(|plan::PlannedLayer { name, tree }| {
        let compression = Compression::Gzip;
        let derivation = LayerDerivation { encoding: work.encoding, compression, tree };
        let bytes = derivation.to_bytes();
        Derived { name, compression, tree: derivation.tree, digest: Digest::of(&bytes), bytes }
    });
    let layers: Vec<Derived> = layers.collect();
    let derivation = ImageDerivation {
        encoding: work.encoding,
        platform: below.platform.clone(),
        base: below.manifest.as_ref().map(|(_, manifest)| (manifest.digest, manifest.size)),
        layers: layers.iter().map(|layer| (layer.digest, layer.name.clone())).collect(),
        patch,
    };
    Planned { derivation, layers, made: plan.made, variant, below, resolved, users }
}
