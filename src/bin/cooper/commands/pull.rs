//! `cooper pull`

use clap::Args;
use cooperage::ops::{self, PullOptions};
use serde_json::{Value, json};

use super::{Verb, copy};
use crate::errors::Failure;
use crate::options::{Format, Net, Targets};
use crate::shell::Answer;
use crate::text::count;

/// Fetch the images that locks name from their registry into the store
///
/// Whole images, base layers too, by the digests of the committed locks; nothing is built. [publish] repository in
/// cooper.toml says where they are.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper pull                     the default variant of the workspace's default recipes
  cooper pull shop/web#dev
  cooper pull --all --all-variants")]
pub(crate) struct Pull {
    #[command(flatten)]
    select: Targets,
    /// Every variant, not only the workspace's default
    #[arg(long)]
    all_variants: bool,
    /// Open no connection [env: COOPER_OFFLINE]
    #[arg(long)]
    offline: bool,
}

impl Verb for Pull {
    fn net(&self) -> Net {
        Net::offline(self.offline)
    }

    fn run(&self, _: Format, env: &ops::Env<'_>) -> Result<Answer, Failure> {
        let options = PullOptions { select: (&self.select).into(), all_variants: self.all_variants };
        let copied = ops::pull(env, &options)?;
        let status = match copied.len() {
            0 => "nothing to pull: `cooper init` writes a first recipe".to_owned(),
            many => format!("{} in the store", count(many, "image")),
        };
        let pulled: Vec<Value> = copied.iter().map(copy::to_json).collect();
        let lines = copied.iter().map(copy::line).collect();
        Ok(Answer { lines, status: vec![status], json: json!({ "pulled": pulled }), ..Answer::default() })
    }
}
