//! `cooper push`

use cooperage::ops::{self, PushOptions};
use serde_json::{Value, json};

use super::copy;
use crate::cli::Push;
use crate::errors::Failure;
use crate::shell::{Answer, count};

pub(super) fn run(args: &Push, env: &ops::Env<'_>) -> Result<Answer, Failure> {
    let options = PushOptions {
        select: (&args.select).into(),
        tags: args.tag.clone(),
        all_variants: args.all_variants,
        platforms: args.platform.clone(),
        shard: args.shard,
        outputs: args.outputs.clone(),
    };
    let copied = ops::push(env, &options)?;
    let status = match copied.len() {
        0 => "nothing to push: `cooper init` writes a first recipe".to_owned(),
        many if args.outputs.is_some() => format!("{} pushed", count(many, "output")),
        many => format!("{} pushed", count(many, "name")),
    };
    let pushed: Vec<Value> = copied.iter().map(copy::to_json).collect();
    let lines = copied.iter().map(copy::line).collect();
    Ok(Answer { lines, status: vec![status], json: json!({ "pushed": pushed }), ..Answer::default() })
}
