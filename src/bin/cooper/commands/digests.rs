//! `cooper show --digests`: what to deploy, in the words of whatever deploys.
//!
//! Owns the formats. What stands in them are names of recipes and variants, digests and references of images, all read
//! by the library: ASCII words with `. _ - / : @ #`, and the brackets of an IPv6 address. So in quotes there is nothing to
//! escape for YAML and HCL, and in references nothing that a shell, a dotenv file or systemd would expand.

use std::collections::BTreeMap;

use cooperage::ops::{self, ImageDigests};
use serde_json::{Value, json};

use super::full_name;
use crate::cli::{Format, Show};
use crate::errors::{Failure, Problem};
use crate::exit::Exit;
use crate::shell::{Answer, columns};

pub(super) fn run(args: &Show, format: Format, env: &ops::Env<'_>) -> Result<Answer, Failure> {
    let select = ops::Selection { targets: args.targets.clone(), all: args.all };
    let images = ops::digests(env, &select, args.all_variants)?;
    let named = |name: fn(&ImageDigests) -> String| named(&images, format, name);
    let lines = match format {
        Format::Text | Format::Json | Format::Markdown => images.iter().flat_map(text).collect(),
        Format::Env => env_lines(&named(variable)?),
        Format::Kustomize => kustomize(&named(|image| with_variant(image, "/"))?),
        Format::Tfvars => tfvars(&named(target)?),
        Format::Quadlet => quadlet(&named(|image| with_variant(image, "-"))?),
    };
    let nothing = images.is_empty().then(|| "no recipes: `cooper init` writes a first one".to_owned());
    let json = json!({ "images": images.iter().map(to_json).collect::<Vec<_>>() });
    Ok(Answer { lines, status: nothing.into_iter().collect(), json, ..Answer::default() })
}

/// A repository and a digest in it.
type Place<'a> = (&'a str, &'a ImageDigests);

/// Images by what a format calls them; none may hide another one.
fn named(
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

fn text(image: &ImageDigests) -> Vec<String> {
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

fn to_json(image: &ImageDigests) -> Value {
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
