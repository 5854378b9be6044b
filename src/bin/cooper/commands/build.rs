//! `cooper build`

use clap::Args;
use cooperage::oci::{Place, Platform};
use cooperage::ops::{self, BuildOptions, BuildReport, Built, Copied, LockChange, RecipeReport, Shard};
use serde_json::{Value, json};

use super::{Verb, copy, full_name, update};
use crate::errors::{Failure, Problem};
use crate::git;
use crate::options::{Format, Inputs, Net, Targets, pair};
use crate::shell::Answer;
use crate::text::{columns, count, size};

/// Build images into the store, and put them elsewhere
///
/// Prints one line per image: its digest, whether it equals the lock, and otherwise which input made the difference. What
/// changed is written into the lock, unless --locked forbids it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper build                                         the workspace's default recipes
  cooper build --locked --offline                      in CI: the committed digests, or exit code 1
  cooper build shop/web#prod --to oci-archive:web.tar  docker, podman, ctr and skopeo load it
  cooper build shop/web#dev --to docker-daemon:shop/web:dev
  cooper build shop --to docker-daemon:                all of the stack, each under its own name
  cooper build shop/web --set build_id=42              a variable declared with set = true
  cooper build --all --twice                           again from nothing, and compare")]
pub(crate) struct Build {
    #[command(flatten)]
    select: Targets,
    /// Where to put the images: oci:DIR[:TAG], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME],
    /// docker-daemon:[NAME], docker://REFERENCE; repeatable
    #[arg(long, value_name = "PLACE")]
    to: Vec<Place>,
    /// Only these platforms go to PLACE, such as linux/arm64; repeatable
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    platform: Vec<Platform>,
    /// The value of a variable that is declared with set = true; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    set: Vec<(String, String)>,
    #[command(flatten)]
    inputs: Inputs,
    /// Build again from nothing into a second store, and compare
    #[arg(long)]
    twice: bool,
    /// Only the I-th of N parts of what is selected: several machines build one workspace
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    #[command(flatten)]
    net: Net,
}

impl Verb for Build {
    fn net(&self) -> Net {
        self.net.clone()
    }

    fn run(&self, _: Format, env: &ops::Env<'_>) -> Result<Answer, Failure> {
        if env.locked && !self.set.is_empty() {
            let problem =
                Problem::usage("--set can't be used with --locked: no lock has the digest of such an image");
            return Err(problem
                .hint("what CI brings is better put into a referrer or an annotation than into the image")
                .into());
        }
        let options = BuildOptions {
            select: (&self.select).into(),
            platforms: self.platform.clone(),
            set: self.set.iter().cloned().collect(),
            inputs: self.inputs.paths(),
            to: self.to.clone(),
            twice: self.twice,
            shard: self.shard,
            unrecorded: false,
        };
        let report = ops::build(env, &options)?;
        let mut answer = answer(&report, self.twice);
        // What a lock says already isn't committed by this.
        if !env.locked {
            answer.warnings.extend(git::uncommitted_sources(env, &names(&report.recipes)));
        }
        Ok(answer)
    }
}

fn answer(report: &BuildReport, twice: bool) -> Answer {
    let mut lines = image_lines(&report.recipes);
    let moved = report.recipes.iter().flat_map(|recipe| &recipe.pins).filter(|pin| pin.old.is_some());
    lines.extend(update::moved_lines(&moved.cloned().collect::<Vec<_>>(), "pinned in"));
    lines.extend(report.copied.iter().map(copy::line));
    let differences = report.differences.iter();
    lines.extend(
        differences.map(|it| format!("{} on {} differs: {}", full_name(&it.name), it.platform, it.what)),
    );
    let mut status = vec![summary(&report.recipes)];
    if report.recipes.is_empty() {
        status = vec!["nothing to build: `cooper init` writes a first recipe".to_owned()];
    } else if twice && report.differences.is_empty() {
        status.push("built twice: no difference".to_owned());
    }
    let warnings = warnings(&report.recipes);
    let (json, no) = (to_json(report), !report.differences.is_empty());
    Answer { lines, warnings, status, json, no, unknown: false }
}

fn to_json(report: &BuildReport) -> Value {
    let differences: Vec<Value> = report
        .differences
        .iter()
        .map(|it| json!({ "recipe": it.name.recipe, "variant": it.name.variant, "platform": it.platform, "what": it.what }))
        .collect();
    json!({
        "recipes": recipes_json(&report.recipes),
        "copied": report.copied.iter().map(|it: &Copied| copy::to_json(it)).collect::<Vec<_>>(),
        "differences": differences,
    })
}

/// One line per image: name and digest, and how that compares to the lock.
pub(super) fn image_lines(reports: &[RecipeReport]) -> Vec<String> {
    let rows = reports.iter().flat_map(|report| {
        report.images.iter().map(|image| {
            let (digest, comment) = outcome(image, report.lock);
            vec![full_name(&image.name), format!("{digest}  {comment}")]
        })
    });
    columns(&rows.collect::<Vec<_>>())
}

/// The new digest is written out, since it is copied from here; the old one is in the lock's history.
fn outcome(image: &Built, lock: LockChange) -> (String, String) {
    let new = image.digest;
    let because = || match image.because.as_slice() {
        [] => String::new(),
        inputs => format!("because {}", inputs.join(", ")),
    };
    match image.before {
        _ if !image.open.is_empty() => (new.to_string(), format!("open: {}", image.open.join(", "))),
        Some(old) if old == new => (new.to_string(), "equals the lock".to_owned()),
        // What was set is no input that moved.
        Some(_) if lock == LockChange::NotWritten => (new.to_string(), "not in the lock".to_owned()),
        Some(old) => {
            let moved = format!("sha256:{}… -> {new}", old.short());
            let why =
                if image.compression_only { "content equal, compression differs".into() } else { because() };
            (moved, why)
        }
        None if lock == LockChange::NotWritten => (new.to_string(), "not in the lock".to_owned()),
        None => (new.to_string(), "new".to_owned()),
    }
}

/// Says what happened in one line, for whoever watches.
pub(super) fn summary(reports: &[RecipeReport]) -> String {
    let images: Vec<&Built> = reports.iter().flat_map(|report| &report.images).collect();
    let changed = images.iter().filter(|image| image.before != Some(image.digest)).count();
    let (made, kept) = images
        .iter()
        .fold((0, 0), |(made, kept), image| (made + image.layers_made, kept + image.layers_kept));
    let bytes = images.iter().map(|image| image.overlay_bytes).sum();
    let written =
        reports.iter().filter(|report| matches!(report.lock, LockChange::Created | LockChange::Updated));
    format!(
        "{}, {changed} changed; {} made, {kept} kept, {}; {} written",
        count(images.len(), "image"),
        count(made, "layer"),
        size(bytes),
        count(written.count(), "lock"),
    )
}

/// The recipes that are told of.
pub(super) fn names(reports: &[RecipeReport]) -> Vec<String> {
    reports.iter().map(|report| report.recipe.clone()).collect()
}

/// The warnings of all recipes, each with its recipe's name.
pub(super) fn warnings(reports: &[RecipeReport]) -> Vec<String> {
    let of = |report: &RecipeReport| {
        let name = report.recipe.clone();
        report.warnings.clone().into_iter().map(move |warning| format!("{name}: {warning}"))
    };
    reports.iter().flat_map(of).collect()
}

/// The word for what became of a lock.
pub(super) const fn lock_word(lock: LockChange) -> &'static str {
    match lock {
        LockChange::Unchanged => "unchanged",
        LockChange::Created => "created",
        LockChange::Updated => "updated",
        LockChange::NotWritten => "not-written",
    }
}

/// Gives `recipes` of the JSON documents.
pub(super) fn recipes_json(reports: &[RecipeReport]) -> Value {
    let report = |report: &RecipeReport| {
        json!({
            "recipe": report.recipe,
            "lock": lock_word(report.lock),
            "images": report.images.iter().map(image_json).collect::<Vec<_>>(),
            "pins": report.pins.iter().map(update::pin_json).collect::<Vec<_>>(),
            "warnings": report.warnings,
        })
    };
    reports.iter().map(report).collect()
}

fn image_json(image: &Built) -> Value {
    let platforms: serde_json::Map<String, Value> = image
        .platforms
        .iter()
        .map(|(platform, digest)| (platform.clone(), digest.to_string().into()))
        .collect();
    json!({
        "recipe": image.name.recipe,
        "variant": image.name.variant,
        "digest": image.digest.to_string(),
        "before": image.before.map(|digest| digest.to_string()),
        "because": image.because,
        "compression_only": image.compression_only,
        "platforms": platforms,
        "overlay_bytes": image.overlay_bytes,
        "layers_made": image.layers_made,
        "layers_kept": image.layers_kept,
        "open": image.open,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cooperage::digest::Digest;
    use cooperage::ops::{Difference, ImageName};

    use super::*;

    #[test]
    fn a_difference_is_a_no() {
        let name = ImageName { recipe: "a/b".into(), variant: "prod".into() };
        let difference = Difference { name, platform: "linux/amd64".into(), what: "layer 2: etc/x".into() };
        let report = BuildReport { differences: vec![difference], ..BuildReport::default() };
        let answer = answer(&report, true);
        assert!(answer.no);
        assert_eq!(answer.lines, ["a/b#prod on linux/amd64 differs: layer 2: etc/x"]);
        assert_eq!(answer.json["differences"][0]["what"], "layer 2: etc/x");
    }

    #[test]
    fn nothing_to_build() {
        let answer = answer(&BuildReport::default(), false);
        assert!(answer.lines.is_empty() && answer.status[0].starts_with("nothing to build"));
    }

    fn built(variant: &str, before: Option<&[u8]>, because: &[&str]) -> Built {
        Built {
            name: ImageName { recipe: "shop/web".into(), variant: variant.into() },
            digest: Digest::of(b"new"),
            before: before.map(Digest::of),
            because: because.iter().map(|&input| input.to_owned()).collect(),
            compression_only: false,
            platforms: BTreeMap::from([("linux/amd64".into(), Digest::of(b"m"))]),
            overlay_bytes: 1500,
            layers_made: 1,
            layers_kept: 2,
            open: Vec::new(),
        }
    }

    fn report(images: Vec<Built>, lock: LockChange) -> RecipeReport {
        RecipeReport {
            recipe: "shop/web".into(),
            images,
            lock,
            pins: Vec::new(),
            warnings: vec!["mind".into()],
        }
    }

    #[test]
    fn one_line_per_image() {
        let (new, old) = (Digest::of(b"new"), Digest::of(b"old").short());
        let compressed = Built { compression_only: true, ..built("prod", Some(b"old"), &[]) };
        let open = Built { open: vec!["war".into()], ..built("prod", None, &[]) };
        for (image, lock, line) in [
            (built("prod", Some(b"new"), &[]), LockChange::Unchanged, format!("{new}  equals the lock")),
            (
                built("prod", Some(b"old"), &["web.conf", "epoch"]),
                LockChange::Updated,
                format!("sha256:{old}… -> {new}  because web.conf, epoch"),
            ),
            (
                compressed,
                LockChange::Updated,
                format!("sha256:{old}… -> {new}  content equal, compression differs"),
            ),
            (built("prod", None, &[]), LockChange::Created, format!("{new}  new")),
            (built("prod", None, &[]), LockChange::NotWritten, format!("{new}  not in the lock")),
            (open, LockChange::Created, format!("{new}  open: war")),
        ] {
            assert_eq!(image_lines(&[report(vec![image], lock)]), [format!("shop/web#prod  {line}")]);
        }
    }

    #[test]
    fn around_the_lines() {
        let reports =
            [report(vec![built("dev", None, &[]), built("prod", Some(b"new"), &[])], LockChange::Updated)];
        assert_eq!(summary(&reports), "2 images, 1 changed; 2 layers made, 4 kept, 3.0 kB; 1 lock written");
        assert_eq!(warnings(&reports), ["shop/web: mind"]);
        assert_eq!(recipes_json(&reports)[0]["images"][1]["before"], Digest::of(b"new").to_string());
    }
}
