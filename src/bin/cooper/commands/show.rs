//! `cooper show`: what an image is, and with `--digests` what to deploy, in the words of whatever deploys.
//!
//! Owns the formats of `--digests`. What stands in them are names of recipes and variants, digests and references of
//! images, all read by the library: ASCII words with `. _ - / : @ #`, and the brackets of an IPv6 address. So in quotes
//! there is nothing to escape for YAML and HCL, and in references nothing that a shell, a dotenv file or systemd would
//! expand.

use std::collections::BTreeMap;

use clap::Args;
use clap_complete::engine::ArgValueCompleter;
use cooperage::ops::{self, ImageDigests, Shown, ShownLayer, ShownPlatform};
use serde_json::{Value, json};

use super::{Verb, full_name};
use crate::complete;
use crate::errors::{Failure, Problem};
use crate::exit::Exit;
use crate::options::{Format, Inputs};
use crate::shell::Answer;
use crate::text::{columns, size};

/// Tell what an image is: digests, layers, and what the recipe adds
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper show shop/web                    the default variant
  cooper show shop/web#dev                another one
  cooper show 'shop/*' --format json      with the image configs, for jq
  cooper show --digests --all             what to deploy, by digest
  cooper show --digests --format env > images.env
  cooper show --digests shop --all-variants --format kustomize")]
pub(crate) struct Show {
    /// A recipe: stack/name or stack/name#variant; any number with --digests
    #[arg(value_name = "TARGET", required_unless_present = "digests")]
    #[arg(add = ArgValueCompleter::new(complete::targets))]
    targets: Vec<String>,
    /// Only names for deployment: published names by digest, known before any push
    ///
    /// Without TARGET those of the workspace's default recipes. --format may also be env, kustomize, tfvars or quadlet;
    /// these need [publish] repository in cooper.toml.
    #[arg(long)]
    digests: bool,
    /// With --digests: every recipe of the workspace
    #[arg(short, long, requires = "digests", conflicts_with = "targets")]
    all: bool,
    /// With --digests: every variant of targets that name none
    #[arg(long, requires = "digests")]
    all_variants: bool,
    #[command(flatten)]
    inputs: Inputs,
}

impl Verb for Show {
    fn takes(&self, format: Format) -> bool {
        match format {
            Format::Text | Format::Json => true,
            Format::Env | Format::Kustomize | Format::Tfvars | Format::Quadlet => self.digests,
            Format::Markdown => false,
        }
    }

    fn run(&self, format: Format, env: &ops::Env<'_>) -> Result<Answer, Failure> {
        if self.digests { digests(self, format, env) } else { show(self, env) }
    }
}

fn show(args: &Show, env: &ops::Env<'_>) -> Result<Answer, Failure> {
    let [target] = args.targets.as_slice() else {
        let problem = Problem::usage(format!("show takes one TARGET, not {}", args.targets.len()));
        return Err(problem.hint("a glob means several; so does --digests").into());
    };
    let shown = ops::show(env, target, &args.inputs.paths())?;
    let images: Vec<Value> = shown.iter().map(to_json).collect();
    let lines = shown.iter().flat_map(lines).collect();
    let untold = shown.iter().filter(|shown| shown.digest.is_none() && shown.open.is_empty());
    let warnings = untold.map(|shown| {
        format!(
            "{} tells what its recipe says: `cooper lock {}` makes the rest known",
            full_name(&shown.name),
            shown.name.recipe
        )
    });
    Ok(Answer { lines, warnings: warnings.collect(), json: json!({ "images": images }), ..Answer::default() })
}

fn lines(shown: &Shown) -> Vec<String> {
    let base = [Some(shown.base.clone()), shown.base_digest.map(|digest| digest.to_string())];
    let base = base.into_iter().flatten().collect::<Vec<_>>().join("  ");
    let digest = shown.digest.map_or_else(
        || match &shown.open[..] {
            [] => "not known".to_owned(),
            open => format!("none without {}: --input NAME=PATH gives it", open.join(", ")),
        },
        |digest| digest.to_string(),
    );
    let mut facts = vec![("digest", digest), ("lock", shown.state.clone()), ("base", base)];
    facts.extend(shown.title.iter().map(|title| ("title", title.clone())));
    facts.extend(shown.published.iter().map(|reference| ("published", reference.clone())));
    facts.extend(shown.says.iter().cloned());
    let rows: Vec<_> = facts.into_iter().map(|(name, value)| vec![format!("  {name}"), value]).collect();
    let mut lines = vec![full_name(&shown.name)];
    lines.extend(columns(&rows));
    lines.extend(shown.platforms.iter().flat_map(platform_lines));
    lines
}

fn platform_lines(platform: &ShownPlatform) -> Vec<String> {
    let digests = [("manifest", platform.manifest), ("config", platform.config)];
    let digests = digests.map(|(name, digest)| vec![name.to_owned(), digest.to_string()]);
    let layers = platform
        .layers
        .iter()
        .map(|layer| vec![layer.origin.clone(), layer.digest.to_string(), size(layer.size)]);
    let rows: Vec<_> = digests.into_iter().chain(layers).collect();
    let mut lines = vec![format!("  {}", platform.platform)];
    for (at, line) in columns(&rows).into_iter().enumerate() {
        lines.push(format!("    {line}"));
        let layer = at.checked_sub(2).and_then(|at| platform.layers.get(at));
        lines
            .extend(layer.into_iter().flat_map(|layer| &layer.entries).map(|entry| format!("      {entry}")));
    }
    lines
}

fn to_json(shown: &Shown) -> Value {
    json!({
        "recipe": shown.name.recipe,
        "variant": shown.name.variant,
        "state": shown.state,
        "digest": shown.digest.map(|digest| digest.to_string()),
        "open": shown.open,
        "title": shown.title,
        "base": shown.base,
        "base_digest": shown.base_digest.map(|digest| digest.to_string()),
        "published": shown.published,
        "derivation": shown.derivation.map(|digest| digest.to_string()),
        "platforms": shown.platforms.iter().map(platform_json).collect::<Vec<_>>(),
        "says": shown.says.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect::<Vec<_>>(),
    })
}

fn platform_json(platform: &ShownPlatform) -> Value {
    let layer = |layer: &ShownLayer| {
        json!({
            "digest": layer.digest.to_string(), "diff_id": layer.diff_id.to_string(), "size": layer.size,
            "origin": layer.origin, "entries": layer.entries,
        })
    };
    json!({
        "platform": platform.platform,
        "manifest": platform.manifest.to_string(),
        "config_digest": platform.config.to_string(),
        "derivation": platform.derivation.map(|digest| digest.to_string()),
        // Its bytes are in the store under that digest; here it is for reading, so numbers may lose digits.
        "config": serde_json::from_slice::<Value>(&platform.config_json).unwrap_or_default(),
        "layers": platform.layers.iter().map(layer).collect::<Vec<_>>(),
    })
}

fn digests(args: &Show, format: Format, env: &ops::Env<'_>) -> Result<Answer, Failure> {
    let select = ops::Selection { targets: args.targets.clone(), all: args.all };
    let (images, warnings) = ops::digests(env, &select, args.all_variants, &args.inputs.paths())?;
    let named = |name: fn(&ImageDigests) -> String| by_name(&images, format, name);
    let lines = match format {
        Format::Text | Format::Json | Format::Markdown => images.iter().flat_map(digest_lines).collect(),
        Format::Env => env_lines(&named(variable)?),
        Format::Kustomize => kustomize(&named(|image| with_variant(image, "/"))?),
        Format::Tfvars => tfvars(&named(target)?),
        Format::Quadlet => quadlet(&named(|image| with_variant(image, "-"))?),
    };
    let nothing = images.is_empty().then(|| "no recipes: `cooper init` writes a first one".to_owned());
    let json = json!({ "images": images.iter().map(digests_json).collect::<Vec<_>>() });
    Ok(Answer { lines, warnings, status: nothing.into_iter().collect(), json, ..Answer::default() })
}

/// A repository and a digest in it.
type Place<'a> = (&'a str, &'a ImageDigests);

/// Images by what a format calls them; none may hide another one.
fn by_name(
    images: &[ImageDigests],
    format: Format,
    name: fn(&ImageDigests) -> String,
) -> Result<BTreeMap<String, Place<'_>>, Failure> {
    let mut named = BTreeMap::new();
    for image in images {
        let name = name(image);
        let repository = image.repository.as_deref().ok_or_else(|| unpublished(format))?;
        if let Some((_, other)) = named.insert(name.clone(), (repository, image)) {
            let both = format!("{} and {}", full_name(&other.name), full_name(&image.name));
            let problem = Problem::usage(format!("{both} would both be {name} in --format {format}"));
            return Err(problem.hint("name targets, so that only one of them is written").into());
        }
    }
    Ok(named)
}

fn unpublished(format: Format) -> Problem {
    let message = format!("--format {format} needs to know where images are published, and nothing says so");
    Problem::new("workspace", Exit::Input, message)
        .file("cooper.toml")
        .hint("add a table [publish] with repository = \"registry.example/{{ stack }}/{{ name }}\"")
}

fn reference((repository, image): &Place<'_>) -> String {
    format!("{repository}@{}", image.digest)
}

/// `shop/web`, `shop/web#dev`: what `cooper` takes as a target.
fn target(image: &ImageDigests) -> String {
    if image.default { image.name.recipe.clone() } else { full_name(&image.name) }
}

/// `shop/web`, `shop/web-dev`, with another slash.
fn with_variant(image: &ImageDigests, slash: &str) -> String {
    let recipe = image.name.recipe.replace('/', slash);
    if image.default { recipe } else { format!("{recipe}-{}", image.name.variant) }
}

/// `SHOP_WEB_IMAGE`, `SHOP_WEB_DEV_IMAGE`; no shell has variables that begin with a digit.
fn variable(image: &ImageDigests) -> String {
    let name = with_variant(image, "_").to_ascii_uppercase();
    let name = name.replace(|c: char| !c.is_ascii_alphanumeric(), "_");
    let digit = name.starts_with(|c: char| c.is_ascii_digit());
    format!("{}{name}_IMAGE", if digit { "_" } else { "" })
}

fn env_lines(named: &BTreeMap<String, Place<'_>>) -> Vec<String> {
    named.iter().map(|(name, place)| format!("{name}={}", reference(place))).collect()
}

fn kustomize(named: &BTreeMap<String, Place<'_>>) -> Vec<String> {
    if named.is_empty() {
        return vec!["images: []".to_owned()];
    }
    let image = |(name, (repository, image)): (&String, &Place<'_>)| {
        [
            format!("  - name: \"{name}\""),
            format!("    newName: \"{repository}\""),
            format!("    digest: {}", image.digest),
        ]
    };
    ["images:".to_owned()].into_iter().chain(named.iter().flat_map(image)).collect()
}

/// As `terraform fmt` has it.
fn tfvars(named: &BTreeMap<String, Place<'_>>) -> Vec<String> {
    let widest = named.keys().map(|name| name.len() + 2).max().unwrap_or_default();
    let image = |(name, place): (&String, &Place<'_>)| {
        format!("  {:widest$} = \"{}\"", format!("\"{name}\""), reference(place))
    };
    let (head, tail) = (["images = {".to_owned()], ["}".to_owned()]);
    head.into_iter().chain(named.iter().map(image)).chain(tail).collect()
}

fn quadlet(named: &BTreeMap<String, Place<'_>>) -> Vec<String> {
    let image = |(name, place): (&String, &Place<'_>)| {
        let file = format!("# {name}.container.d/image.conf");
        [file, "[Container]".to_owned(), format!("Image={}", reference(place))]
    };
    let files: Vec<_> = named.iter().map(image).collect();
    files.join(&String::new())
}

fn digest_lines(image: &ImageDigests) -> Vec<String> {
    let mut facts = vec![("digest", image.digest.to_string()), ("lock", image.state.clone())];
    let published = image.repository.iter().map(|repository| reference(&(repository, image)));
    facts.extend(published.map(|reference| ("published", reference)));
    facts.extend((!image.tags.is_empty()).then(|| ("tags", image.tags.join(", "))));
    facts.extend(image.platforms.iter().map(|(platform, digest)| (platform.as_str(), digest.to_string())));
    let rows: Vec<_> = facts.into_iter().map(|(name, value)| vec![format!("  {name}"), value]).collect();
    let mut lines = vec![full_name(&image.name)];
    lines.extend(columns(&rows));
    lines
}

fn digests_json(image: &ImageDigests) -> Value {
    let platforms = image.platforms.iter().map(|(platform, digest)| (platform, digest.to_string()));
    json!({
        "recipe": image.name.recipe,
        "variant": image.name.variant,
        "state": image.state,
        "digest": image.digest.to_string(),
        "reference": image.repository.as_ref().map(|repository| reference(&(repository, image))),
        "repository": image.repository,
        "tags": image.tags,
        "platforms": platforms.collect::<BTreeMap<_, _>>(),
    })
}

#[cfg(test)]
mod tests {
    use cooperage::digest::Digest;
    use cooperage::ops::ImageName;

    use super::*;

    #[test]
    fn a_screenful() {
        let digest = Digest::of(b"x");
        let layer = |origin: &str, entries: &[&str]| ShownLayer {
            digest,
            diff_id: digest,
            size: 1200,
            origin: origin.into(),
            entries: entries.iter().map(|&entry| entry.to_owned()).collect(),
        };
        let shown = Shown {
            name: ImageName { recipe: "a/b".into(), variant: "prod".into() },
            state: "complete".into(),
            digest: Some(digest),
            open: Vec::new(),
            title: Some("Title\x1b".into()),
            base: "bases/x:1".into(),
            base_digest: Some(digest),
            published: Vec::new(),
            derivation: Some(digest),
            platforms: vec![ShownPlatform {
                platform: "linux/amd64".into(),
                manifest: digest,
                config: digest,
                derivation: None,
                layers: vec![layer("base", &[]), layer("common", &["-rw-r--r-- 0:0 etc/x"])],
                config_json: br#"{"os":"linux"}"#.to_vec(),
            }],
            says: Vec::new(),
        };
        let expected = format!(
            "a/b#prod\n  digest  {digest}\n  lock    complete\n  base    bases/x:1  {digest}\n  title   Title\\u{{1b}}\n  \
             linux/amd64\n    manifest  {digest}\n    config    {digest}\n    base      {digest}  1.2 kB\n    \
             common    {digest}  1.2 kB\n      -rw-r--r-- 0:0 etc/x"
        );
        assert_eq!(lines(&shown).join("\n"), expected);
        assert_eq!(to_json(&shown)["platforms"][0]["config"]["os"], "linux");
    }
}
