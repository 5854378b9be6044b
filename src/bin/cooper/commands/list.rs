//! `cooper list`

use clap::Args;
use cooperage::ops::{self, DigestQuery, Found, Listed, PackageQuery, Query};
use serde_json::{Value, json};

use super::{Verb, full_name};
use crate::errors::Failure;
use crate::options::{Format, Net, Targets};
use crate::shell::Answer;
use crate::text::columns;

/// List recipes, the states of their locks, and their digests
///
/// Of the questions (--uses, --package, --has, --digest) one may be asked: exit code 0 when an image is found, 1 when none
/// is, 4 when none is found and it isn't known of all.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper list
  cooper list shop
  cooper list --all --format json
  cooper list --uses docker.io/library/debian        which images stand on it, or take from it?
  cooper list --package 'openssl < 3.0.18'           which have it, by its own or its source's name?
  cooper list --has /usr/bin/curl
  cooper list --digest sha256:5f2c…                  what has this index, manifest, base or layer?")]
pub(crate) struct List {
    #[command(flatten)]
    select: Targets,
    /// Only images that stand on a reference, layout or recipe, or take something from one or from a URL
    #[arg(long, value_name = "REFERENCE", group = "query")]
    uses: Option<String>,
    /// Only images with a package: NAME, or 'NAME < VERSION' (also <=, =, >=, >) in its ecosystem's order
    #[arg(long, value_name = "PACKAGE", group = "query")]
    package: Option<PackageQuery>,
    /// Only images with something at a path
    #[arg(long, value_name = "PATH", group = "query")]
    has: Option<String>,
    /// Only images that are, or hold, a digest, whole or as it is printed in short: sha256:2d6c1be0d2d5…
    #[arg(long, value_name = "DIGEST", group = "query")]
    digest: Option<DigestQuery>,
}

impl Verb for List {
    /// It looks at what is there.
    fn net(&self) -> Net {
        Net::offline(true)
    }

    fn run(&self, _: Format, env: &ops::Env<'_>) -> Result<Answer, Failure> {
        let query = [
            self.uses.clone().map(Query::Uses),
            self.package.clone().map(Query::Package),
            self.has.clone().map(Query::Has),
            self.digest.clone().map(Query::Digest),
        ];
        match query.into_iter().flatten().next() {
            Some(query) => Ok(found(&ops::query(env, &(&self.select).into(), &query)?)),
            None => Ok(answer(&ops::list(env, &(&self.select).into())?)),
        }
    }
}

fn found(found: &[Found]) -> Answer {
    let rows = found.iter().map(|it| {
        let what = if it.known { it.what.clone() } else { format!("unknown: {}", it.what) };
        let platform = if it.platform.is_empty() { "-" } else { &it.platform };
        vec![full_name(&it.name), platform.to_owned(), what]
    });
    let to_json = |it: &Found| {
        let platform = Some(&it.platform).filter(|platform| !platform.is_empty());
        json!({ "recipe": it.name.recipe, "variant": it.name.variant, "platform": platform, "what": it.what, "known": it.known })
    };
    let nothing = found.is_empty().then(|| "none".to_owned());
    // What was found answers the question, whatever else isn't known.
    let answered = found.iter().any(|it| it.known);
    Answer {
        lines: columns(&rows.collect::<Vec<_>>()),
        no: !answered,
        unknown: !answered && !found.is_empty(),
        status: nothing.into_iter().collect(),
        json: json!({ "found": found.iter().map(to_json).collect::<Vec<Value>>() }),
        ..Answer::default()
    }
}

fn answer(listed: &[Listed]) -> Answer {
    let digest = |image: &Listed| image.digest.map(|digest| digest.to_string());
    let rows = listed.iter().map(|image| {
        let digest = digest(image).unwrap_or_else(|| "-".to_owned());
        let owner = image.owner.clone().unwrap_or_default();
        vec![full_name(&image.name), image.state.clone(), digest, image.base.clone(), owner]
    });
    let to_json = |image: &Listed| {
        json!({
            "recipe": image.name.recipe, "variant": image.name.variant, "state": image.state,
            "digest": digest(image), "base": image.base, "owner": image.owner,
        })
    };
    let images: Vec<Value> = listed.iter().map(to_json).collect();
    let nothing = listed.is_empty().then(|| "no recipes: `cooper init` writes a first one".to_owned());
    Answer {
        lines: columns(&rows.collect::<Vec<_>>()),
        status: nothing.into_iter().collect(),
        json: json!({ "images": images }),
        ..Answer::default()
    }
}

#[cfg(test)]
mod tests {
    use cooperage::ops::ImageName;

    use super::*;

    #[test]
    fn lines_and_none() {
        let name = ImageName { recipe: "a/b".into(), variant: "dev".into() };
        let listed = Listed {
            name,
            state: "unpinned".into(),
            digest: None,
            base: "scratch".into(),
            owner: Some("web".into()),
        };
        let one = answer(&[listed]);
        assert_eq!(one.lines, ["a/b#dev  unpinned  -  scratch  web"]);
        assert_eq!(one.json["images"][0]["digest"], Value::Null);
        assert_eq!(answer(&[]).status, ["no recipes: `cooper init` writes a first one"]);
    }
}
