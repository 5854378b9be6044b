//! What is to be made on one platform: all variants planned together, guarded, and derived. Nothing is compressed here.

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
use crate::recipe::{
    self, Resolved, ResolvedAction, ResolvedEntry, ResolvedFile, ResolvedSource, ResolvedTemplate, Scope,
    TemplateFault,
};
use crate::tree::{Content, FileTree, TreePath};
use crate::work::Error;
use crate::work::upstream::{Below, is_base_file};

/// One variant on one platform, ready to be made.
pub(super) struct Planned<'v> {
    pub(super) on: Standing<'v>,
    /// What determines the image.
    pub(super) derivation: ImageDerivation,
    pub(super) drawn: Rc<Drawn>,
    /// What is known below, with the users that this recipe adds.
    pub(super) users: Option<Rc<Facts>>,
    /// What a person should know of its plan.
    pub(super) warnings: Vec<String>,
}

/// A variant whose base is known.
pub(super) struct Standing<'v> {
    pub(super) variant: &'v Grounded,
    pub(super) below: Below,
    pub(super) resolved: Resolved,
}

/// A plan, whose layers are derived.
pub(super) struct Drawn {
    /// Without its layers.
    pub(super) plan: Plan,
    /// Lowest first.
    pub(super) layers: Vec<Derived>,
}

/// A layer, and what determines it.
pub(super) struct Derived {
    /// `layer = "…"` of the recipe.
    pub(super) name: Option<String>,
    pub(super) compression: Compression,
    pub(super) tree: Rc<FileTree>,
    /// The derivation's canonical bytes, and their digest.
    pub(super) bytes: Vec<u8>,
    pub(super) digest: Digest,
}

/// Plans all variants on one platform; `earlier` are the platforms before it. What means the same is planned once.
pub(super) fn plan<'v>(
    work: &Work<'_, '_>,
    platform: &Platform,
    variants: &'v [Grounded],
    gathered: &Gathered,
    earlier: &[(String, Vec<Planned<'v>>)],
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
            base_facts: &one.below.base_facts,
            parents,
            layers_below: one.layers_below(),
            removed: &one.below.removed,
            sources: &gathered.sources,
            read: &read,
            epoch,
        })
        .collect();
    let failed = |variant: &Draft, errors: Vec<plan::Error>| {
        let unset = errors.iter().filter_map(|error| not_given(work, variant, error)).collect::<Vec<_>>();
        if !unset.is_empty() {
            return Error::Recipes(unset);
        }
        let (recipe, variant) = (work.target.to_string(), variant.name.clone());
        Error::Plan { recipe, variant, platform: platform.short(), errors }
    };
    let all_same = |planned: &&Vec<Planned<'_>>| {
        planned.len() == here.len() && planned.iter().zip(&here).all(|(one, other)| one.on.means(other))
    };
    let drawn: Vec<Rc<Drawn>> = match earlier.iter().map(|(_, planned)| planned).find(all_same) {
        Some(planned) => planned.iter().map(|one| Rc::clone(&one.drawn)).collect(),
        None => {
            // Variants that are all the same share every entry, as one alone does with itself.
            let same = here.iter().skip(1).all(|other| here[0].means(other));
            let plans = plan::plan(work.encoding, if same { &stages[..here.len().min(1)] } else { &stages });
            let plans = plans.map_err(|(number, errors)| failed(&here[number].variant.draft, errors))?;
            let drawn: Vec<_> = plans.into_iter().map(|plan| Rc::new(draw(work, plan))).collect();
            drawn.iter().cycle().take(here.len()).map(Rc::clone).collect()
        }
    };
    let mut warnings = vec![Vec::new(); here.len()];
    if !work.checkout().env.locked {
        let mut guarded: Vec<(&Rc<Drawn>, &Standing<'_>)> =
            earlier.iter().flat_map(|(_, planned)| planned).map(|one| (&one.drawn, &one.on)).collect();
        for (((stage, drawn), one), warnings) in stages.iter().zip(&drawn).zip(&here).zip(&mut warnings) {
            let known =
                |(plan, on): &(&Rc<Drawn>, &Standing<'_>)| Rc::ptr_eq(plan, drawn) && on.is_guarded_as(one);
            let plan = Some(&drawn.plan).filter(|_| !guarded.iter().any(known));
            guarded.push((drawn, one));
            let errors = guard(work, one, stage, plan)?;
            if !errors.is_empty() {
                return Err(failed(&one.variant.draft, errors));
            }
            secrets(work, &one.resolved)?;
            *warnings = dangling(work, one, stage, &drawn.plan);
        }
    }
    drop(stages);
    let planned = here.into_iter().zip(drawn).zip(warnings);
    Ok(planned.map(|((one, drawn), warnings)| derive(work, one, drawn, epoch, warnings)).collect())
}

/// Tells of links that lead to nothing: a checkout may have what they mean, and the image hasn't.
fn dangling(work: &Work<'_, '_>, one: &Standing<'_>, stage: &Stage<'_>, plan: &Plan) -> Vec<String> {
    // Where nobody knows, it isn't said.
    let may_be_file =
        |path: &TreePath| is_base_file(&work.sources.upstream, &one.below.base_layers, path).unwrap_or(true);
    let found = plan::dangling(plan, stage, &may_be_file);
    let tell = |(path, target): plan::Dangling| {
        format!("{path} is a link to {}, which is not there in the image", target.escape_ascii())
    };
    found.into_iter().map(tell).collect()
}

impl Standing<'_> {
    fn layers_below(&self) -> usize {
        self.below.manifest.as_ref().map_or(0, |(manifest, _)| manifest.layers.len())
    }

    /// Whether the guards can't have anything else against a plan than here.
    fn is_guarded_as(&self, other: &Self) -> bool {
        self.below.volumes == other.below.volumes
            && self.below.base_layers == other.below.base_layers
            && self.resolved.config.remove.volumes == other.resolved.config.remove.volumes
            && self.resolved.config.user == other.resolved.config.user
    }

    /// Whether the plan of another variant or platform is surely the same: everything that a plan is made of is equal, but
    /// for the names that only templates use, of which there is none.
    fn means(&self, other: &Self) -> bool {
        let (one, two) = (&self.below, &other.below);
        let plain = |entry: &ResolvedEntry| match &entry.action {
            ResolvedAction::File(file) => file.template == ResolvedTemplate::Off,
            _ => true,
        };
        self.resolved.entries == other.resolved.entries
            && self.resolved.entries.iter().all(plain)
            && self.resolved.image.epoch == other.resolved.image.epoch
            && self.layers_below() == other.layers_below()
            && one.removed == two.removed
            && (Rc::ptr_eq(&one.facts, &two.facts) || one.facts == two.facts)
            && one.parents.len() == two.parents.len()
            && one.parents.iter().zip(&two.parents).all(|(one, two)| Rc::ptr_eq(one, two))
            && base_key(self.variant) == base_key(other.variant)
    }
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

/// A variable that a template takes and nobody gives, where the recipe declares it.
fn not_given(work: &Work<'_, '_>, variant: &Draft, error: &plan::Error) -> Option<recipe::Error> {
    let plan::Fault::Template { error, .. } = &error.fault else { return None };
    let TemplateFault::Undefined { name } = &error.fault else { return None };
    let declared = variant.recipe.vars.get(name)?;
    let kind = recipe::ErrorKind::Unset { name: name.clone(), stack: work.target.stack.clone() };
    Some(recipe::Error { at: Some(declared.at.clone()), kind })
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

/// What the guards have against a variant, and against its plan, unless that was asked already.
fn guard(
    work: &Work<'_, '_>,
    Standing { variant, below, resolved }: &Standing<'_>,
    stage: &Stage<'_>,
    plan: Option<&Plan>,
) -> Result<Vec<plan::Error>, Error> {
    let errors = resolved.guard(&variant.draft.recipe);
    if !errors.is_empty() {
        return Err(Error::Recipes(errors));
    }
    let Some(plan) = plan else { return Ok(Vec::new()) };
    let gone = resolved.config.remove.volumes.iter().flatten();
    let gone: Vec<_> = gone.filter_map(|path| TreePath::parse(path.as_bytes()).ok()).collect();
    let volumes: Vec<_> = below.volumes.iter().filter(|volume| !gone.contains(volume)).cloned().collect();
    let is_file =
        |path: &TreePath| is_base_file(&work.sources.upstream, &below.base_layers, path).unwrap_or(false);
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

/// Derives the layers of a plan.
fn draw(work: &Work<'_, '_>, mut plan: Plan) -> Drawn {
    let layers = std::mem::take(&mut plan.layers).into_iter().map(|plan::PlannedLayer { name, tree }| {
        let compression = Compression::Gzip;
        let derivation = LayerDerivation { encoding: work.encoding, compression, tree };
        let bytes = derivation.to_bytes();
        Derived { name, compression, tree: Rc::new(derivation.tree), digest: Digest::of(&bytes), bytes }
    });
    Drawn { layers: layers.collect(), plan }
}

fn derive<'v>(
    work: &Work<'_, '_>,
    on: Standing<'v>,
    drawn: Rc<Drawn>,
    epoch: i64,
    warnings: Vec<String>,
) -> Planned<'v> {
    let Standing { below, resolved, .. } = &on;
    let users = drawn.plan.facts(&below.facts).map(Rc::new);
    let root = below.root.as_ref().map(|(name, digest)| (name.as_str(), *digest));
    let patch = config_patch(work.encoding, resolved, epoch, &work.checkout().file.labels, root);
    let derivation = ImageDerivation {
        encoding: work.encoding,
        platform: below.platform.clone(),
        base: below.manifest.as_ref().map(|(_, manifest)| (manifest.digest, manifest.size)),
        layers: drawn.layers.iter().map(|layer| (layer.digest, layer.name.clone())).collect(),
        patch,
    };
    Planned { on, derivation, drawn, users, warnings }
}
