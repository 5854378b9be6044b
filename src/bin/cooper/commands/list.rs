//! `cooper list`

use cooperage::ops::{self, Found, Listed, Query};
use serde_json::{Value, json};

use super::full_name;
use crate::cli::List;
use crate::errors::Failure;
use crate::shell::{Answer, columns};

pub(super) fn run(args: &List, env: &ops::Env<'_>) -> Result<Answer, Failure> {
    let query = [
        args.uses.clone().map(Query::Uses),
        args.package.clone().map(Query::Package),
        args.has.clone().map(Query::Has),
        args.digest.map(Query::Digest),
    ];
    match query.into_iter().flatten().next() {
        Some(query) => Ok(found(&ops::query(env, &(&args.select).into(), &query)?)),
        None => Ok(answer(&ops::list(env, &(&args.select).into())?)),
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
    Answer {
        lines: columns(&rows.collect::<Vec<_>>()),
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
        let told = answer(&[listed]);
        assert_eq!(told.lines, ["a/b#dev  unpinned  -  scratch  web"]);
        assert_eq!(told.json["images"][0]["digest"], Value::Null);
        assert_eq!(answer(&[]).status, ["no recipes: `cooper init` writes a first one"]);
    }
}
