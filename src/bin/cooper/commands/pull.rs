//! `cooper pull`

use cooperage::ops::{self, PullOptions};
use serde_json::{Value, json};

use super::copy;
use crate::cli::Pull;
use crate::errors::Failure;
use crate::shell::{Answer, count};

pub(super) fn run(args: &Pull, env: &ops::Env<'_>) -> Result<Answer, Failure> {
    let options = PullOptions { select: (&args.select).into(), all_variants: args.all_variants };
    let copied = ops::pull(env, &options)?;
    let status = match copied.len() {
        0 => "nothing to pull: `cooper init` writes a first recipe".to_owned(),
        many => format!("{} in the store", count(many, "image")),
    };
    let pulled: Vec<Value> = copied.iter().map(copy::to_json).collect();
    let lines = copied.iter().map(copy::line).collect();
    Ok(Answer { lines, status: vec![status], json: json!({ "pulled": pulled }), ..Answer::default() })
}
