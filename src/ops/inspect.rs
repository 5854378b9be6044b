//! `show`, `digests` and `list`: what is there, or would be, without building it.

use std::collections::{BTreeMap, BTreeSet};

use super::compute::{Computed, Image};
use super::error::Error;
use super::publish::{checked, repository, tags};
use super::session::{Asks, Session};
use super::{Env, ImageDigests, ImageName, Listed, Selection, Shown, ShownLayer, ShownPlatform};
use crate::digest::Encoding;
use crate::lock::State;
use crate::tree::{FileTree, Kind};

/// Every selected recipe's variants with the state of their locks. Nothing is read but recipes and locks, so a
/// lock that was made for other sources counts as complete here; `lock --check` looks deeper.
///
/// # Errors
/// Recipes or locks that can't be read.
pub fn list(env: &Env<'_>, select: &Selection) -> Result<Vec<Listed>, Error> {
    let session = Session::open(env, Asks::default())?;
    let everything = Selection { all: true, targets: Vec::new() };
    let select = if select.targets.is_empty() { &everything } else { select };
    let mut found = Vec::new();
    for (target, variants) in session.select(select)? {
        let recipe = session.recipe(&target)?;
        let old = session.old_lock(&target)?;
        let wants = session.wants(&target)?;
        for name in session.file.variants.iter().filter(|name| variants.is_empty() || variants.contains(name))
        {
            let evaluated = recipe.variant(Encoding::V1, name).map_err(Error::Recipes)?;
            let own: Vec<_> = wants.iter().filter(|want| want.variant == *name).cloned().collect();
            let open = evaluated.open_inputs().next().is_some();
            let mut reasons: Vec<_> = old.reason.iter().cloned().collect();
            if let Some(lock) = &old.lock {
                reasons.extend(lock.unpinned(&own));
                let stale = lock.sections != *recipe.sections();
                let section = || crate::lock::Reason::OutputMissing { variant: name.clone() };
                let missing = !lock.outputs.contains_key(name) && !open;
                reasons.extend((stale || missing).then(section));
            }
            let output = old.lock.as_ref().and_then(|lock| lock.outputs.get(name));
            let owner = evaluated.image.owner.as_ref().or(session.file.owner.as_ref());
            found.push(Listed {
                name: ImageName { recipe: target.to_string(), variant: name.clone() },
                state: State::of(&reasons, open).name().to_owned(),
                digest: output.map(|output| output.index.digest),
                base: session.base_text(&target, &evaluated)?,
                owner: owner.map(|owner| owner.value.clone()),
            });
        }
    }
    Ok(found)
}

/// One image, or both variants' when a target names none: digests, layers, entries, config.
///
/// # Errors
/// As for a build: what is shown is what would be built.
pub fn show(env: &Env<'_>, target: &str) -> Result<Vec<Shown>, Error> {
    let session = Session::open(env, Asks::default())?;
    let select = Selection { targets: vec![target.to_owned()], all: false };
    let mut shown = Vec::new();
    for (target, variants) in session.select(&select)? {
        let computed = session.compute(&target)?;
        let default = [session.file.default_variant().to_owned()];
        let names = if variants.is_empty() { &default[..] } else { &variants[..] };
        for name in names {
            if computed.variants.contains_key(name) {
                shown.push(image(&session, &computed, name)?);
            }
        }
    }
    Ok(shown)
}

/// What the selected images are called once they are published, without asking or telling anybody. A bare name means the
/// default variant, or every one.
///
/// # Errors
/// As for a build: the digests are of what would be built. A `[publish] repository` that no registry can have.
pub fn digests(env: &Env<'_>, select: &Selection, all_variants: bool) -> Result<Vec<ImageDigests>, Error> {
    let session = Session::open(env, Asks::default())?;
    // Each by itself: together, a recipe as a whole would swallow its variants that are named beside it.
    let one = |target: &String| Selection { targets: vec![target.clone()], all: false };
    let selections = match select.targets.as_slice() {
        [] => vec![select.clone()],
        targets => targets.iter().map(one).collect(),
    };
    let mut wanted: BTreeMap<_, BTreeSet<String>> = BTreeMap::new();
    for select in &selections {
        for (target, variants) in session.select(select)? {
            wanted.entry(target).or_default().extend(match variants.is_empty() {
                true if all_variants => session.file.variants.clone(),
                true => vec![session.file.default_variant().to_owned()],
                false => variants,
            });
        }
    }
    let mut found = Vec::new();
    for (target, variants) in wanted {
        let computed = session.compute(&target)?;
        for name in variants {
            found.push(image_digests(&session, &computed, name)?);
        }
    }
    Ok(found)
}

fn image_digests(session: &Session<'_>, computed: &Computed, name: String) -> Result<ImageDigests, Error> {
    let variant = &computed.variants[&name];
    let platforms =
        variant.images.iter().map(|(platform, image)| (platform.clone(), image.descriptor.digest));
    Ok(ImageDigests {
        default: name == session.file.default_variant(),
        state: State::of(&computed.reasons, false).name().to_owned(),
        digest: variant.descriptor.digest,
        repository: checked(session, repository(session, &computed.target))?,
        tags: tags(session, computed, &name),
        platforms: platforms.collect(),
        name: ImageName { recipe: computed.target.to_string(), variant: name },
    })
}

fn image(session: &Session<'_>, computed: &Computed, name: &str) -> Result<Shown, Error> {
    let variant = &computed.variants[name];
    let mut platforms = Vec::new();
    for (platform, image) in &variant.images {
        platforms.push(one(computed, platform, image)?);
    }
    let title = variant.resolved.as_ref().and_then(|resolved| resolved.image.title.as_ref());
    Ok(Shown {
        name: ImageName { recipe: computed.target.to_string(), variant: name.to_owned() },
        state: State::of(&computed.reasons, false).name().to_owned(),
        digest: variant.descriptor.digest,
        title: title.map(|title| title.value.clone()),
        base: variant.base.text.clone(),
        base_digest: variant.base.digest,
        published: published(session, computed, name),
        platforms,
    })
}

fn one(computed: &Computed, platform: &str, image: &Image) -> Result<ShownPlatform, Error> {
    let stand = image.stand(&computed.target)?;
    let manifest = stand.manifest.as_ref();
    let diff_ids = stand.config.diff_ids().unwrap_or_default();
    let layers = manifest.map(|(manifest, _)| manifest.layers.as_slice()).unwrap_or_default();
    let first_own = layers.len().saturating_sub(image.layers.len());
    let shown = layers.iter().enumerate().map(|(number, layer)| {
        let own = number.checked_sub(first_own).and_then(|number| image.layers.get(number));
        ShownLayer {
            digest: layer.digest,
            diff_id: diff_ids.get(number).map_or(layer.digest, |diff_id| diff_id.0),
            size: layer.size,
            origin: match own {
                None => "base".to_owned(),
                Some(made) => made.layer.name.clone().unwrap_or_else(|| "own".to_owned()),
            },
            entries: own.map(|made| entries(&made.tree)).unwrap_or_default(),
        }
    });
    Ok(ShownPlatform {
        platform: platform.to_owned(),
        manifest: image.descriptor.digest,
        config: manifest.map_or(image.descriptor.digest, |(manifest, _)| manifest.config.digest),
        layers: shown.collect(),
        config_json: stand.config.to_bytes(),
    })
}

fn entries(tree: &FileTree) -> Vec<String> {
    tree.iter()
        .map(|(path, node)| {
            let attributes = &node.attributes;
            let (kind, rest) = match &node.kind {
                Kind::Directory { opaque: false } => ("d", String::new()),
                Kind::Directory { opaque: true } => ("d", " (hides what was there)".to_owned()),
                Kind::File(content) => ("-", format!(" {} bytes", content.size)),
                Kind::Symlink(target) => ("l", format!(" -> {}", target.escape_ascii())),
                Kind::HardLink(target) => ("h", format!(" = {target}")),
                Kind::Whiteout => ("x", " (removed)".to_owned()),
            };
            format!("{kind} {:04o} {}:{} {path}{rest}", attributes.mode, attributes.uid, attributes.gid)
        })
        .collect()
}

/// `[publish] repository` with this recipe's tags.
fn published(session: &Session<'_>, computed: &Computed, variant: &str) -> Vec<String> {
    let Some(repository) = repository(session, &computed.target) else { return Vec::new() };
    tags(session, computed, variant).iter().map(|tag| format!("{repository}:{tag}")).collect()
}
