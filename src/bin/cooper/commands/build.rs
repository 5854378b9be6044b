//! `cooper build`

use cooperage::ops::{self, BuildOptions, BuildReport, Copied};
use serde_json::{Value, json};

use super::{copy, full_name, recipes};
use crate::cli::Build;
use crate::errors::{Failure, Problem};
use crate::shell::Answer;

pub(super) fn run(args: &Build, env: &ops::Env<'_>) -> Result<Answer, Failure> {
    if env.locked && !args.set.is_empty() {
        let problem =
            Problem::usage("--set can't be used with --locked: no lock has the digest of such an image");
        return Err(problem
            .hint("what CI brings is better put into a referrer or an annotation than into the image")
            .into());
    }
    let options = BuildOptions {
        select: (&args.select).into(),
        platforms: args.platform.clone(),
        set: args.set.iter().cloned().collect(),
        inputs: args.input.iter().map(|(name, path)| (name.clone(), path.into())).collect(),
        to: args.to.clone(),
        twice: args.twice,
        shard: args.shard,
        unrecorded: false,
    };
    Ok(answer(&ops::build(env, &options)?, args.twice))
}

fn answer(report: &BuildReport, twice: bool) -> Answer {
    let mut lines = recipes::image_lines(&report.recipes);
    lines.extend(report.copied.iter().map(copy::line));
    let differences = report.differences.iter();
    lines.extend(
        differences.map(|it| format!("{} on {} differs: {}", full_name(&it.name), it.platform, it.what)),
    );
    let mut status = vec![recipes::summary(&report.recipes)];
    if report.recipes.is_empty() {
        status = vec!["nothing to build: `cooper init` writes a first recipe".to_owned()];
    } else if twice && report.differences.is_empty() {
        status.push("built twice: no difference".to_owned());
    }
    let warnings = recipes::warnings(&report.recipes);
    Answer { lines, warnings, status, json: to_json(report), no: !report.differences.is_empty() }
}

fn to_json(report: &BuildReport) -> Value {
    let differences: Vec<Value> = report
        .differences
        .iter()
        .map(|it| json!({ "recipe": it.name.recipe, "variant": it.name.variant, "platform": it.platform, "what": it.what }))
        .collect();
    json!({
        "recipes": recipes::to_json(&report.recipes),
        "copied": report.copied.iter().map(|it: &Copied| copy::to_json(it)).collect::<Vec<_>>(),
        "differences": differences,
    })
}

#[cfg(test)]
mod tests {
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
}
