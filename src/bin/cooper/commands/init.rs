//! `cooper init`

use cooperage::ops;
use serde_json::json;

use crate::cli::Init;
use crate::errors::{Failure, Problem};
use crate::shell::Answer;

pub(super) fn run(args: &Init, env: &ops::Env<'_>) -> Result<Answer, Failure> {
    if let Some(name) = args.name.as_deref().filter(|name| !ops::is_recipe_name(name)) {
        let problem = Problem::usage(format!("{name:?} can't be the name of a recipe"));
        return Err(problem
            .hint("stack/name, of lower-case letters, digits, `.`, `_` and `-`: shop/web")
            .into());
    }
    let done = ops::init(env, args.name.as_deref())?;
    let written = done.written.iter().map(|path| format!("{path}  written"));
    let kept = done.kept.iter().map(|path| format!("{path}  was there, left alone"));
    Ok(Answer {
        lines: written.chain(kept).collect(),
        status: vec!["next: cooper build".to_owned()],
        json: json!({ "written": done.written, "kept": done.kept }),
        ..Answer::default()
    })
}
