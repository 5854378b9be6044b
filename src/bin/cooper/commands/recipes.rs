//! Reports of recipes, as `build` and `lock` print them.

use cooperage::ops::{Built, LockChange, PackageMove, PinMove, RecipeReport};
use serde_json::{Value, json};

use super::full_name;
use crate::shell::{columns, count, size};

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

/// One line per pin that moved.
pub(super) fn pin_lines(pins: &[PinMove], what: &str) -> Vec<String> {
    let rows = pins.iter().map(|pin| {
        let old = pin.old.map_or_else(String::new, |old| format!("sha256:{}… -> ", old.short()));
        vec![pin.reference.clone(), format!("{old}{}", pin.new), format!("{what} {}", pin.recipes.join(", "))]
    });
    columns(&rows.collect::<Vec<_>>())
}

/// What happened, in one line for whoever watches.
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

/// What is told of each, named.
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

/// `recipes` of the JSON documents.
pub(super) fn to_json(reports: &[RecipeReport]) -> Value {
    let report = |report: &RecipeReport| {
        json!({
            "recipe": report.recipe,
            "lock": lock_word(report.lock),
            "images": report.images.iter().map(image_json).collect::<Vec<_>>(),
            "pins": report.pins.iter().map(pin_json).collect::<Vec<_>>(),
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

/// One of `pins` or `moves`.
pub(super) fn pin_json(pin: &PinMove) -> Value {
    json!({
        "reference": pin.reference,
        "old": pin.old.map(|digest| digest.to_string()),
        "new": pin.new.to_string(),
        "packages": pin.packages.as_ref().map(|all| all.iter().map(package_json).collect::<Vec<_>>()),
        "recipes": pin.recipes,
    })
}

/// One of `packages`.
fn package_json(package: &PackageMove) -> Value {
    let PackageMove { name, old, new, platforms } = package;
    json!({ "name": name, "old": old, "new": new, "platforms": platforms })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use cooperage::digest::Digest;
    use cooperage::ops::ImageName;

    use super::*;

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
        assert_eq!(to_json(&reports)[0]["images"][1]["before"], Digest::of(b"new").to_string());
    }
}
