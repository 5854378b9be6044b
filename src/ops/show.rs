//! `show`: what an image is, or would be: digests, layers, entries, config.

use super::{Env, Error, ImageName, Inputs, Selection};
use crate::derivation::ImageDerivation;
use crate::digest::Digest;
use crate::lock::{Reason, State};
use crate::recipe::{Cmd, Resolved, ResolvedAction, Spanned};
use crate::tree::{FileTree, Kind};
use crate::work::Asks;
use crate::work::checkout::{Checkout, wants};
use crate::work::deliver::published::{repository, tag_of, tags};
use crate::work::realise::{Computed, Image, Session};
use crate::workspace::Target;

/// What `show` tells of one image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Which.
    pub name: ImageName,
    /// The state of the lock.
    pub state: String,
    /// The output index; nothing where the lock lacks what decides it, or while an open input isn't given.
    pub digest: Option<Digest>,
    /// Inputs that are open.
    pub open: Vec<String>,
    /// `[image] title`
    pub title: Option<String>,
    /// The base as the recipe says it, and its pinned digest.
    pub base: String,
    /// See `base`.
    pub base_digest: Option<Digest>,
    /// Where `push` would put it: references with tags.
    pub published: Vec<String>,
    /// What determines the output index; nothing where it is upstream's own.
    pub derivation: Option<Digest>,
    /// By platform.
    pub platforms: Vec<ShownPlatform>,
    /// Where there is no digest, what the recipe says: the settings and the entries, each with its key.
    pub says: Vec<(&'static str, String)>,
}

/// One platform of a shown image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownPlatform {
    /// `linux/amd64`
    pub platform: String,
    /// The manifest.
    pub manifest: Digest,
    /// The config: what Docker calls the image ID.
    pub config: Digest,
    /// What determines the image; nothing where a bare recipe passes its base's through.
    pub derivation: Option<Digest>,
    /// All layers, lowest first.
    pub layers: Vec<ShownLayer>,
    /// The image config as canonical JSON.
    pub config_json: Vec<u8>,
}

/// One layer of a shown image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShownLayer {
    /// Of the blob.
    pub digest: Digest,
    /// Of the tar stream.
    pub diff_id: Digest,
    /// In bytes, compressed.
    pub size: u64,
    /// `base`, `common`, the layer's own name, or the variant's.
    pub origin: String,
    /// The entries that the recipe adds, as `ls -l` would show them; empty for the base's layers.
    pub entries: Vec<String>,
}

/// The images that a target names, the default variant where it names none: digests, layers, entries, config.
///
/// # Errors
/// As for a build: what is shown is what would be built.
pub fn show(env: &Env<'_>, target: &str, inputs: &Inputs) -> Result<Vec<Shown>, Error> {
    let session = Session::open(env, Asks::given(inputs))?;
    let checkout = session.checkout();
    let mut shown = Vec::new();
    let selected = checkout.select(&Selection::one(target))?;
    wants::inputs(checkout, selected.keys())?;
    for (target, variants) in selected {
        let default = [checkout.file.default_variant().to_owned()];
        let names = if variants.is_empty() { &default[..] } else { &variants[..] };
        // A registry would have to be asked, and who looks isn't kept waiting for one.
        let lacks = wants::unknown(checkout, &target)?;
        if !lacks.is_empty() {
            for name in names {
                shown.push(told(checkout, &target, name, &lacks)?);
            }
            continue;
        }
        let computed = session.compute(&target)?;
        for name in names {
            if computed.variants.contains_key(name) {
                shown.push(image(checkout, &computed, name)?);
            } else if !computed.lacks.is_empty() {
                shown.push(unmade(checkout, &computed, name)?);
            }
        }
    }
    Ok(shown)
}

/// What a recipe says of an image that nobody knows yet.
fn told(checkout: &Checkout<'_>, target: &Target, name: &str, lacks: &[Reason]) -> Result<Shown, Error> {
    let evaluated = checkout.variant(target, name)?;
    let lock = checkout.lock(target)?;
    let base = wants::base_text(checkout, target, &evaluated)?;
    let pin = lock.lock.iter().flat_map(|lock| &lock.bases).find(|pin| pin.origin.to_string() == base);
    let scope = checkout.scope_on(target, &checkout.env.platform);
    // What needs the base's environment, nobody can fill in.
    let resolved = evaluated.resolve(&scope).ok();
    let title = resolved.as_ref().and_then(|resolved| resolved.image.title.as_ref());
    let tags = resolved.as_ref().and_then(|resolved| resolved.image.tags.as_ref()).into_iter().flatten();
    let published = repository(checkout, target)
        .map(|repository| tags.map(|tag| format!("{repository}:{}", tag_of(checkout, tag, name))).collect());
    Ok(Shown {
        name: ImageName { recipe: target.to_string(), variant: name.to_owned() },
        state: State::of(lacks, false).name().to_owned(),
        digest: None,
        open: Vec::new(),
        title: title.map(|title| title.value.clone()),
        base,
        base_digest: pin.map(|pin| pin.index.digest),
        published: published.unwrap_or_default(),
        derivation: None,
        platforms: Vec::new(),
        says: resolved.iter().flat_map(says).collect(),
    })
}

/// The settings and entries of a recipe, for people.
fn says(resolved: &Resolved) -> Vec<(&'static str, String)> {
    let config = &resolved.config;
    let words = |words: &[Spanned<String>]| {
        words.iter().map(|word| format!("{:?}", word.value)).collect::<Vec<_>>().join(" ")
    };
    let mut said = Vec::new();
    said.extend(config.entrypoint.as_deref().map(|list| ("entrypoint", words(list))));
    if let Some(Cmd::Set(list)) = &config.cmd {
        said.push(("cmd", words(list)));
    }
    said.extend(config.user.as_ref().map(|user| ("user", user.value.clone())));
    said.extend(config.env.iter().map(|(name, value)| ("env", format!("{name}={}", value.value))));
    said.extend(config.expose.iter().flatten().map(|port| ("expose", port.value.clone())));
    said.extend(resolved.entries.iter().map(|entry| match &entry.action {
        ResolvedAction::File(file) => ("file", file.to.value.clone()),
        ResolvedAction::Dir { path, .. } => ("dir", path.value.clone()),
        ResolvedAction::Link { path, .. } => ("link", path.value.clone()),
        ResolvedAction::Remove { glob, .. } => ("remove", glob.value.as_str().to_owned()),
        ResolvedAction::User { name, .. } => ("user", name.value.clone()),
        ResolvedAction::Group { name, .. } => ("group", name.value.clone()),
        ResolvedAction::Edit { path, .. } => ("edit", path.key.name().to_owned()),
        ResolvedAction::Owner { path, .. } => ("owner", path.key.name().to_owned()),
        ResolvedAction::Ca { from, .. } => ("ca", from.key.name().to_owned()),
    }));
    said
}

/// What can be told of an image without its open inputs.
fn unmade(checkout: &Checkout<'_>, computed: &Computed, name: &str) -> Result<Shown, Error> {
    let evaluated = checkout.variant(&computed.target, name)?;
    let base = wants::base(checkout, &computed.target, &evaluated)?;
    let pin = wants::origin(&base)?.and_then(|origin| Some(computed.lock.pin(&origin)?.index.digest));
    Ok(Shown {
        name: ImageName { recipe: computed.target.to_string(), variant: name.to_owned() },
        state: State::of(&computed.reasons, true).name().to_owned(),
        digest: None,
        open: computed.open.clone(),
        title: evaluated.image.title.map(|title| title.value),
        base: wants::base_text(checkout, &computed.target, &checkout.variant(&computed.target, name)?)?,
        base_digest: pin,
        published: Vec::new(),
        derivation: None,
        platforms: Vec::new(),
        says: Vec::new(),
    })
}

fn image(checkout: &Checkout<'_>, computed: &Computed, name: &str) -> Result<Shown, Error> {
    let variant = &computed.variants[name];
    let mut platforms = Vec::new();
    for (platform, image) in &variant.images {
        platforms.push(one(computed, platform, image)?);
    }
    let title = variant.resolved.as_ref().and_then(|resolved| resolved.image.title.as_ref());
    Ok(Shown {
        name: ImageName { recipe: computed.target.to_string(), variant: name.to_owned() },
        state: State::of(&computed.reasons, !computed.open.is_empty()).name().to_owned(),
        digest: Some(variant.descriptor.digest),
        open: computed.open.clone(),
        title: title.map(|title| title.value.clone()),
        base: variant.base.text.clone(),
        base_digest: variant.base.digest,
        published: published(checkout, computed, name),
        derivation: variant.derivation().map(|derivation| derivation.digest()),
        platforms,
        says: Vec::new(),
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
        config: image.id(),
        derivation: image.derivation.as_ref().map(ImageDerivation::digest),
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
fn published(checkout: &Checkout<'_>, computed: &Computed, variant: &str) -> Vec<String> {
    let Some(repository) = repository(checkout, &computed.target) else { return Vec::new() };
    tags(checkout, computed, variant).iter().map(|tag| format!("{repository}:{tag}")).collect()
}
