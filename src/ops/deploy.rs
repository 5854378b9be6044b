//! `compose`: what runs a stack, made of its recipes' `[service]` and of the images that they become.
//!
//! Owns which recipes belong together, what their images are called, and what the working copy has to offer where a
//! variant mounts it: sources, and below `.cooper/` the rendered copies of templates.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Component, Path, PathBuf};
use std::rc::Rc;

use super::base::Below;
use super::compute::{Computed, Image, Variant};
use super::error::Error;
use super::publish::needed;
use super::session::{Asks, Session};
use super::{Env, Selection};
use crate::deploy::{self, Mount, Stack, Unit};
use crate::digest::Encoding;
use crate::disk;
use crate::oci::json;
use crate::recipe::{
    self, Mount as HowMounted, ResolvedAction, ResolvedFile, ResolvedSource, ResolvedTemplate, Scope,
    Service, SourcePath, Spanned, interpolate,
};
use crate::tree::{Files, Kind, SourceNode};
use crate::workspace::{Scan, Target};

/// Where rendered copies lie, in the workspace.
const RENDERED: &str = ".cooper";

/// What runs a stack.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Runner {
    /// Docker Compose and what reads its files.
    #[default]
    Compose,
    /// Kubernetes.
    Kube,
    /// Podman with systemd.
    Quadlet,
}

/// What `compose` is asked.
#[derive(Debug, Clone, Default)]
pub struct DeployOptions {
    /// A stack, or some of its recipes; what they wait for comes with them.
    pub targets: Vec<String>,
    /// Which variant of each; otherwise the workspace's default.
    pub variant: Option<String>,
    /// For whom.
    pub runner: Runner,
    /// Images as they are called in their registry, by digest, not by an engine's ID.
    pub published: bool,
    /// The directory of the file that is written: mounted sources are named from there.
    pub beside: PathBuf,
}

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deployed {
    /// The stack.
    pub stack: String,
    /// The variant.
    pub variant: String,
    /// Texts by file name.
    pub files: BTreeMap<String, String>,
    /// Images by service: what an engine calls them.
    pub images: BTreeMap<String, String>,
    /// Secrets that must be there.
    pub secrets: BTreeSet<String>,
    /// What was left out, for people.
    pub warnings: Vec<String>,
}

/// Describes how a stack is run. Images aren't built into the store; rendered copies of mounted templates are written.
///
/// # Errors
/// As for a build; a stack whose services don't fit together; sources that are mounted and can't be.
pub fn deploy(env: &Env<'_>, options: &DeployOptions) -> Result<Deployed, Error> {
    let session = Session::open(env, Asks::default())?;
    let selected = session.select(&Selection { targets: options.targets.clone(), all: false })?;
    let variant = variant_of(&session, &selected, options.variant.as_ref())?;
    if !session.file.variants.contains(&variant) {
        return Err(Error::NoVariant { name: variant, known: session.file.variants.clone() });
    }
    let chosen = chosen(&session, &selected, &variant)?;
    let mut stack = Stack { name: chosen.stack, variant: variant.clone(), ..Stack::default() };
    let mut images = BTreeMap::new();
    for (target, service) in chosen.services {
        let unit = unit(&session, &target, &variant, service, options)?;
        images.insert(unit.name.clone(), unit.image.clone());
        stack.units.push(unit);
    }
    let errors = stack.errors();
    if !errors.is_empty() {
        return Err(Error::Deploy(errors));
    }
    let written = match options.runner {
        Runner::Compose => deploy::compose(&stack),
        Runner::Kube => deploy::kube(&stack).map_err(Error::Deploy)?,
        Runner::Quadlet => deploy::quadlet(&stack).map_err(Error::Deploy)?,
    };
    let secrets = stack.units.iter().flat_map(|unit| unit.service.secrets.keys().cloned()).collect();
    let left_out = written.left_out.iter().map(|what| format!("{what} has no place there, and was left out"));
    Ok(Deployed {
        stack: stack.name,
        variant,
        files: written.files,
        images,
        secrets,
        warnings: left_out.collect(),
    })
}

/// The one variant that is meant: a stack runs in one.
fn variant_of(
    session: &Session<'_>,
    selected: &BTreeMap<Target, Vec<String>>,
    asked: Option<&String>,
) -> Result<String, Error> {
    let named: BTreeSet<&String> = selected.values().flatten().chain(asked).collect();
    match named.into_iter().collect::<Vec<_>>()[..] {
        [] => Ok(session.file.default_variant().to_owned()),
        [one] => Ok(one.clone()),
        [one, other, ..] => {
            let message = format!("a stack runs in one variant, and {one} and {other} were named");
            Err(Error::Usage { message })
        }
    }
}

/// Recipes that run together, and how.
struct Chosen {
    stack: String,
    services: BTreeMap<Target, Service>,
}

/// The recipes of one stack that say how they are run: those that were named, and what these wait for.
fn chosen(
    session: &Session<'_>,
    selected: &BTreeMap<Target, Vec<String>>,
    variant: &str,
) -> Result<Chosen, Error> {
    let usage = |message: String| Error::Usage { message };
    let stacks: BTreeSet<&String> = selected.keys().map(|target| &target.stack).collect();
    let mut stacks = stacks.into_iter();
    let (Some(stack), None) = (stacks.next().cloned(), stacks.next()) else {
        return Err(usage("recipes of one stack run together: name one stack, or recipes of one".to_owned()));
    };
    let mut services: BTreeMap<String, (Target, Service)> = BTreeMap::new();
    for target in session.workspace.recipes()?.into_iter().filter(|target| target.stack == stack) {
        if let Some(service) = service(session, &target, variant)? {
            services.insert(target.name.clone(), (target, service));
        }
    }
    let mut todo: Vec<String> = selected.keys().map(|target| target.name.clone()).collect();
    let mut wanted = BTreeSet::new();
    while let Some(name) = todo.pop() {
        let Some((_, service)) = services.get(&name) else { continue };
        if !wanted.insert(name) {
            continue;
        }
        let after = service.jobs.values().map(|job| &job.after).chain([&service.after]);
        for other in after.flat_map(|after| after.keys()) {
            // A job comes with its service.
            let owner = services.iter().find(|(name, (_, service))| {
                service.jobs.keys().any(|job| format!("{name}-{job}") == *other)
            });
            todo.push(owner.map_or_else(|| other.clone(), |(name, _)| name.clone()));
        }
    }
    let services: BTreeMap<_, _> =
        services.into_iter().filter(|(name, _)| wanted.contains(name)).map(|(_, found)| found).collect();
    if services.is_empty() {
        let names: Vec<String> = selected.keys().map(ToString::to_string).collect();
        return Err(usage(format!("{}: no [service] says how it is run", names.join(", "))));
    }
    Ok(Chosen { stack, services })
}

/// How a variant of a recipe is run, if it says so.
pub(super) fn service(
    session: &Session<'_>,
    target: &Target,
    variant: &str,
) -> Result<Option<Service>, Error> {
    let platform = &session.env.platform;
    let (os, arch, arch_variant) = platform.key();
    let scope = Scope {
        os: os.to_owned(),
        arch: arch.to_owned(),
        arch_variant: arch_variant.to_owned(),
        stack: target.stack.clone(),
        name: target.name.clone(),
        ..Scope::default()
    };
    let evaluated = session.recipe(target)?.variant(Encoding::V1, variant).map_err(Error::Recipes)?;
    evaluated.service_for(&scope).map_err(Error::Recipes)
}

fn unit(
    session: &Session<'_>,
    target: &Target,
    variant: &str,
    service: Service,
    options: &DeployOptions,
) -> Result<Unit, Error> {
    let computed = session.compute(target)?;
    let made = &computed.variants[variant];
    let platform = session.env.platform.short();
    let here = made.images.get(&platform);
    let (image, called) = if options.published || options.runner == Runner::Kube {
        let published = format!("{}@{}", needed(session, target)?, made.descriptor.digest);
        (published.clone(), published)
    } else {
        let have = || made.images.keys().cloned().collect();
        let base = made.base.text.clone();
        let image = here.ok_or_else(|| Error::NoPlatform {
            recipe: target.to_string(),
            base,
            platform,
            have: have(),
        })?;
        // What engines without containerd's store call an image by itself.
        (config_of(&computed, image)?.to_string(), format!("{target}:{variant}"))
    };
    let stand = here.or_else(|| made.images.values().next()).map(|image| image.stand(target)).transpose()?;
    let (user, group) = stand.as_ref().map(user).unwrap_or_default();
    let exposed = stand.as_ref().map(exposed).unwrap_or_default();
    let (mounted, others) = files(made);
    let mut mounts = Vec::new();
    if let Some(resolved) = made.resolved.as_ref().filter(|_| !mounted.is_empty()) {
        // What was there before may have other files.
        disk::remove(&copies(session, target, variant))?;
        for file in mounted {
            if options.runner == Runner::Kube {
                let fault = deploy::Fault::Mounted { name: target.name.clone(), path: file.to.value.clone() };
                return Err(Error::Deploy(vec![deploy::Error { at: Some(file.to.at.clone()), fault }]));
            }
            mounts.extend(mount(session, (target, variant), file, &resolved.names, options)?);
        }
    }
    Ok(Unit {
        name: target.name.clone(),
        image,
        called,
        service,
        mounts,
        exposed,
        user,
        group,
        files: others,
    })
}

/// The entries that are mounted, and where the others put what may not be hidden.
pub(super) fn files(made: &Variant) -> (Vec<&ResolvedFile>, Vec<Spanned<String>>) {
    let (mut mounted, mut by_place) = (Vec::new(), BTreeMap::<&str, Vec<_>>::new());
    for entry in made.resolved.iter().flat_map(|resolved| &resolved.entries) {
        let ResolvedAction::File(file) = &entry.action else { continue };
        if file.mount.is_some() {
            mounted.push(file);
        }
        let may_be_hidden = entry.below_volume || file.mount.is_some();
        by_place.entry(file.to.as_str()).or_default().push((file, may_be_hidden));
    }
    // A path belongs to the entry that stands nearest above it.
    let owner = |path: &str| {
        let mut above = path;
        loop {
            if let Some(entries) = by_place.get(if above.is_empty() { "/" } else { above }) {
                return Some(entries);
            }
            above = &above[..above.rfind('/')?];
        }
    };
    let layers = made.images.values().next().into_iter().flat_map(|image| &image.layers);
    let written = layers.flat_map(|layer| layer.tree.iter());
    let written = written.filter(|(_, node)| !matches!(node.kind, Kind::Directory { .. }));
    let places = by_place.keys().map(|place| (*place).to_owned());
    let mut others: BTreeMap<&str, Vec<Spanned<String>>> = BTreeMap::new();
    for path in places.chain(written.map(|(path, _)| path.to_string())) {
        if let Some(entries) = owner(&path)
            && let Some((file, false)) = entries.iter().max_by_key(|(_, may_be_hidden)| *may_be_hidden)
        {
            others.entry(file.to.as_str()).or_default().push(file.to.with(path));
        }
    }
    (mounted, others.into_values().flatten().collect())
}

fn config_of(computed: &Computed, image: &Image) -> Result<crate::digest::Digest, Error> {
    let stand = image.stand(&computed.target)?;
    Ok(stand.manifest.map_or(image.descriptor.digest, |(manifest, _)| manifest.config.digest))
}

fn exposed(stand: &Below) -> Vec<String> {
    let ports = stand.config.setting("ExposedPorts").and_then(json::Value::as_object);
    ports.into_iter().flat_map(|ports| ports.keys().cloned()).collect()
}

/// Whom an image runs as, and that user's group where somebody says it.
fn user(stand: &Below) -> (String, Option<u32>) {
    let text = stand.config.setting("User").and_then(json::Value::as_str).unwrap_or_default();
    let facts = &stand.facts;
    let group = match text.split_once(':') {
        Some((_, group)) => group.parse().ok().or_else(|| facts.group(group.as_bytes())),
        None => match text.parse() {
            Ok(uid) => facts.gid_of(uid),
            Err(_) => facts.user(text.as_bytes()).map(|(_, gid)| gid),
        },
    };
    (text.to_owned(), group)
}

/// A source that is mounted, and where.
pub(super) struct Mounted<'f> {
    path: &'f SourcePath,
    files: &'f Files,
    scan: Rc<Scan>,
    pub(super) target: String,
}

/// What an entry's sources are mounted as.
pub(super) fn mounted<'f>(session: &Session<'_>, file: &'f ResolvedFile) -> Result<Vec<Mounted<'f>>, Error> {
    let ResolvedSource::From(paths) = &file.source else { return Ok(Vec::new()) };
    let one = |path: &'f SourcePath| {
        let Some(files) = path.key.plain().filter(|_| !path.is_glob()) else {
            let name = format!("{}/{}", path.place(), path.key.name());
            let why = "only a file or directory beside the recipe can be mounted".to_owned();
            return Err(Error::Foreign { name, why }.at(&path.at));
        };
        let scan = session.source_at(files, &path.at)?;
        let name = files.from.rsplit('/').next().unwrap_or_default();
        let name = file.template.rendered_name(name).unwrap_or_else(|| name.to_owned());
        // As it would be copied: one file alone may be called otherwise.
        let target = if scan.tree.single && (file.into || paths.len() > 1) {
            format!("{}/{name}", file.to.value.trim_end_matches('/'))
        } else {
            file.to.value.clone()
        };
        Ok(Mounted { path, files, scan, target })
    };
    paths.iter().map(one).collect()
}

fn mount(
    session: &Session<'_>,
    (target, variant): (&Target, &str),
    file: &ResolvedFile,
    names: &BTreeMap<String, String>,
    options: &DeployOptions,
) -> Result<Vec<Mount>, Error> {
    let one = |mounted: Mounted<'_>| {
        let source = match &file.template {
            ResolvedTemplate::Off => {
                session.workspace.root().join(&mounted.files.directory).join(&mounted.files.from)
            }
            _ => rendered(&copies(session, target, variant), file, names, &mounted)?,
        };
        Ok(Mount {
            source: from(&options.beside, &source, options.runner),
            target: mounted.target,
            read_only: file.mount != Some(HowMounted::ReadWrite),
        })
    };
    mounted(session, file)?.into_iter().map(one).collect()
}

/// Where the rendered copies of a recipe lie.
fn copies(session: &Session<'_>, target: &Target, variant: &str) -> PathBuf {
    session.workspace.root().join(RENDERED).join(variant).join(&target.stack).join(&target.name)
}

/// Writes the rendered copy of a source, and says where.
fn rendered(
    copies: &Path,
    file: &ResolvedFile,
    names: &BTreeMap<String, String>,
    Mounted { path, scan, target, .. }: &Mounted<'_>,
) -> Result<PathBuf, Error> {
    let place = copies.join(target.trim_start_matches('/'));
    let delimiters = (file.delimiters.0.as_str(), file.delimiters.1.as_str());
    for (inner, node) in &scan.tree.nodes {
        let text = inner.to_string();
        let text = text.trim_start_matches('/');
        let out = |name: &str| if scan.tree.single { place.clone() } else { place.join(name) };
        match node {
            SourceNode::Directory => disk::create_directories(&out(text))?,
            SourceNode::File { content, executable } => {
                let mut bytes = Vec::new();
                let name = file.template.rendered_name(text);
                let out = out(name.as_deref().unwrap_or(text));
                let failed = |error| disk::failed("read", &out)(error);
                scan.contents.open(content)?.read_to_end(&mut bytes).map_err(failed)?;
                if name.is_some() {
                    let lookup = |name: &str| names.get(name).cloned();
                    bytes = interpolate(&bytes, delimiters, &lookup).map_err(|error| {
                        let kind = match error.fault {
                            recipe::TemplateFault::Undefined { name } => {
                                recipe::ErrorKind::Undefined { name, suggestion: None }
                            }
                            fault => recipe::ErrorKind::Template(fault),
                        };
                        Error::Recipes(vec![recipe::Error { at: Some(path.at.clone()), kind }])
                    })?;
                }
                disk::create_directories(disk::parent(&out))?;
                disk::write_atomic(&out, &bytes)?;
                if *executable {
                    disk::make_executable(&out)?;
                }
            }
            // Where a link leads, the container's engine will see.
            _ => {}
        }
    }
    Ok(place)
}

/// A path as it is named from a directory; absolute for who reads none that is relative.
fn from(beside: &Path, path: &Path, runner: Runner) -> String {
    if runner == Runner::Quadlet {
        return path.display().to_string();
    }
    let (beside, path) = (normal(beside), normal(path));
    let (mut here, mut there) = (beside.components().peekable(), path.components().peekable());
    while here.peek().is_some() && here.peek() == there.peek() {
        here.next();
        there.next();
    }
    let ups = here.count();
    let rest: PathBuf = there.collect();
    let dots = if ups == 0 { "./".to_owned() } else { "../".repeat(ups) };
    format!("{dots}{}", rest.display())
}

/// An absolute path without `..`.
fn normal(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut out, component| {
        match component {
            Component::ParentDir => drop(out.pop()),
            Component::CurDir => {}
            other => out.push(other),
        }
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_named_from_the_file() {
        let name = |beside: &str, path: &str| from(Path::new(beside), Path::new(path), Runner::Compose);
        assert_eq!(name("/w", "/w/recipes/a"), "./recipes/a");
        assert_eq!(name("/w/site/../deploy", "/w/recipes/a"), "../recipes/a");
        assert_eq!(name("/w/sub/../../deploy", "/w/recipes/a"), "../w/recipes/a");
        assert_eq!(name("/w/deploy/x", "/w/recipes/a"), "../../recipes/a");
        assert_eq!(from(Path::new("/w"), Path::new("/w/a"), Runner::Quadlet), "/w/a");
    }
}
