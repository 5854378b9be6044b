//! `cooper init`

use clap::Args;
use cooperage::ops;
use serde_json::json;

use super::Verb;
use crate::errors::{Failure, Problem};
use crate::options::Format;
use crate::shell::Answer;

/// Start a workspace, with a first recipe that builds
///
/// Writes cooper.toml, .gitattributes, .gitignore and a recipe. Files that are there already are left alone, so in a
/// workspace it adds a recipe.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper init                 a workspace here, with the recipe hello/world
  cooper init shop/web        the same with the recipe shop/web
  cooper -C images init       in the directory images, which must exist")]
pub(crate) struct Init {
    /// The recipe to write: stack/name
    #[arg(value_name = "STACK/NAME")]
    name: Option<String>,
}

impl Verb for Init {
    fn run(&self, _: Format, env: &ops::Env<'_>) -> Result<Answer, Failure> {
        if let Some(name) = self.name.as_deref().filter(|name| !ops::is_recipe_name(name)) {
            let problem = Problem::usage(format!("{name:?} can't be the name of a recipe"));
            return Err(problem
                .hint("stack/name, of lower-case letters, digits, `.`, `_` and `-`: shop/web")
                .into());
        }
        let done = ops::init(env, self.name.as_deref())?;
        let written = done.written.iter().map(|path| format!("{path}  written"));
        let kept = done.kept.iter().map(|path| format!("{path}  was there, left alone"));
        Ok(Answer {
            lines: written.chain(kept).collect(),
            status: vec!["next: cooper build".to_owned()],
            json: json!({ "written": done.written, "kept": done.kept }),
            ..Answer::default()
        })
    }
}
