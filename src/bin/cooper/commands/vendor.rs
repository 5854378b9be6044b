//! `cooper vendor`

use cooperage::ops::{self, Vendored};
use serde_json::{Value, json};

use crate::cli::Vendor;
use crate::errors::Failure;
use crate::shell::{Answer, columns, count, size};

pub(super) fn run(args: &Vendor, env: &ops::Env<'_>) -> Result<Answer, Failure> {
    let found = ops::vendor(env, &(&args.select).into())?;
    let row = |it: &Vendored| {
        let word = if it.new { "fetched" } else { "there" };
        vec![it.url.clone(), it.digest.to_string(), size(it.bytes), word.to_owned()]
    };
    let to_json = |it: &Vendored| -> Value {
        json!({ "url": it.url, "digest": it.digest.to_string(), "bytes": it.bytes, "new": it.new })
    };
    let status = match found.len() {
        0 => "nothing to vendor: the recipes fetch nothing".to_owned(),
        many => format!("{} in vendor/", count(many, "file")),
    };
    Ok(Answer {
        lines: columns(&found.iter().map(row).collect::<Vec<_>>()),
        status: vec![status],
        json: json!({ "vendored": found.iter().map(to_json).collect::<Vec<_>>() }),
        ..Answer::default()
    })
}
