//! `cooper push`

use clap::Args;
use cooperage::oci::{Place, Platform};
use cooperage::ops::{self, PushOptions, Shard};
use serde_json::{Value, json};

use super::{Verb, copy};
use crate::errors::Failure;
use crate::git;
use crate::options::{Format, Inputs, Net, Targets};
use crate::shell::Answer;
use crate::text::count;

/// Build images and put them into their registry
///
/// [publish] repository in cooper.toml says where, [image] tags of a recipe under which names; without tags an image has
/// its digest for a name. What the registry has is not sent again, and layers of a base in the same registry are mounted
/// from there. Tags are set last, when the image is whole; one that names another image stays, and is an error.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper push                         the default variant of the workspace's default recipes
  cooper push shop/web#dev            another variant: its name is put behind the tag, 1.2-dev
  cooper push --all --all-variants
  cooper push shop/web --tag 1.2 --tag latest
  cooper push shop/web --move-tags    a released tag gets another image
  cooper push --locked                in CI: only what the committed locks say
  cooper push --all --outputs docker://registry.example/cooper    for others' --substitute")]
pub(crate) struct Push {
    #[command(flatten)]
    select: Targets,
    /// The tag, in place of the recipe's own; repeatable
    #[arg(long, value_name = "TAG")]
    tag: Vec<String>,
    /// Move tags that name another image by now, also those that [publish] moving doesn't name
    #[arg(long)]
    move_tags: bool,
    /// Every variant, not only the workspace's default
    #[arg(long)]
    all_variants: bool,
    /// Only these platforms, such as linux/arm64; repeatable
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    platform: Vec<Platform>,
    /// Only the I-th of N parts of what is selected: several machines build one workspace
    #[arg(long, value_name = "I/N")]
    shard: Option<Shard>,
    /// Publish nothing; put layers and what is known of bases where --substitute finds them: docker://HOST/NAME
    ///
    /// Every variant of the recipes, and of those that they stand on. Base layers stay where they are.
    #[arg(long, value_name = "PLACE", conflicts_with_all = ["tag", "move_tags", "all_variants", "platform"])]
    outputs: Option<Place>,
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    net: Net,
}

impl Verb for Push {
    fn net(&self) -> Net {
        self.net.clone()
    }

    fn run(&self, _: Format, env: &ops::Env<'_>) -> Result<Answer, Failure> {
        let options = PushOptions {
            select: (&self.select).into(),
            tags: self.tag.clone(),
            all_variants: self.all_variants,
            platforms: self.platform.clone(),
            move_tags: self.move_tags,
            inputs: self.inputs.paths(),
            shard: self.shard,
            outputs: self.outputs.clone(),
        };
        let warnings = git::uncommitted(env);
        let copied = ops::push(env, &options)?;
        let status = match copied.len() {
            0 => "nothing to push: `cooper init` writes a first recipe".to_owned(),
            many if self.outputs.is_some() => format!("{} pushed", count(many, "output")),
            many => format!("{} pushed", count(many, "name")),
        };
        let pushed: Vec<Value> = copied.iter().map(copy::to_json).collect();
        let lines = copied.iter().map(copy::line).collect();
        let (status, json) = (vec![status], json!({ "pushed": pushed }));
        Ok(Answer { lines, warnings, status, json, ..Answer::default() })
    }
}
