//! `cooper show`

use cooperage::ops::{self, Shown, ShownLayer, ShownPlatform};
use serde_json::{Value, json};

use super::full_name;
use crate::cli::Show;
use crate::errors::{Failure, Problem};
use crate::shell::{Answer, columns, size};

pub(super) fn run(args: &Show, env: &ops::Env<'_>) -> Result<Answer, Failure> {
    let [target] = args.targets.as_slice() else {
        let problem = Problem::usage(format!("show takes one TARGET, not {}", args.targets.len()));
        return Err(problem.hint("a glob means several; so does --digests").into());
    };
    let shown = ops::show(env, target)?;
    let images: Vec<Value> = shown.iter().map(to_json).collect();
    let lines = shown.iter().flat_map(lines).collect();
    Ok(Answer { lines, json: json!({ "images": images }), ..Answer::default() })
}

fn lines(shown: &Shown) -> Vec<String> {
    let base = [Some(shown.base.clone()), shown.base_digest.map(|digest| digest.to_string())];
    let base = base.into_iter().flatten().collect::<Vec<_>>().join("  ");
    let mut facts = vec![("digest", shown.digest.to_string()), ("lock", shown.state.clone()), ("base", base)];
    facts.extend(shown.title.iter().map(|title| ("title", title.clone())));
    facts.extend(shown.published.iter().map(|reference| ("published", reference.clone())));
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
        "digest": shown.digest.to_string(),
        "title": shown.title,
        "base": shown.base,
        "base_digest": shown.base_digest.map(|digest| digest.to_string()),
        "published": shown.published,
        "platforms": shown.platforms.iter().map(platform_json).collect::<Vec<_>>(),
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
        // Its bytes are in the store under that digest; here it is for reading, so numbers may lose digits.
        "config": serde_json::from_slice::<Value>(&platform.config_json).unwrap_or_default(),
        "layers": platform.layers.iter().map(layer).collect::<Vec<_>>(),
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
            digest,
            title: Some("Title\x1b".into()),
            base: "bases/x:1".into(),
            base_digest: Some(digest),
            published: Vec::new(),
            platforms: vec![ShownPlatform {
                platform: "linux/amd64".into(),
                manifest: digest,
                config: digest,
                layers: vec![layer("base", &[]), layer("common", &["-rw-r--r-- 0:0 etc/x"])],
                config_json: br#"{"os":"linux"}"#.to_vec(),
            }],
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
