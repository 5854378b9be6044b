//! `cooper vendor`

use clap::Args;
use cooperage::ops::{self, Vendored};
use serde_json::{Value, json};

use super::Verb;
use crate::errors::Failure;
use crate::options::{Format, Net, Targets};
use crate::shell::Answer;
use crate::text::{columns, count, size};

/// Put everything that recipes fetch, and their inputs, into vendor/
///
/// Files by their sha256, as the committed locks pin them. What lies there is taken from there: with --offline nothing else
/// is needed to build. Open inputs stay where they are.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper vendor --all
  cooper vendor --all --bases         to export images where no registry can be asked
  cooper build --all --locked --offline")]
pub(crate) struct Vendor {
    #[command(flatten)]
    select: Targets,
    /// Also the layers of bases, which a whole image needs
    #[arg(long)]
    bases: bool,
    /// Open no connection [env: COOPER_OFFLINE]
    #[arg(long)]
    offline: bool,
}

impl Verb for Vendor {
    fn net(&self) -> Net {
        Net::offline(self.offline)
    }

    fn run(&self, _: Format, env: &ops::Env<'_>) -> Result<Answer, Failure> {
        let found = ops::vendor(env, &(&self.select).into(), self.bases)?;
        let row = |it: &Vendored| {
            let word = if it.new { "fetched" } else { "there" };
            vec![it.url.clone(), it.digest.to_string(), size(it.bytes), word.to_owned()]
        };
        let to_json = |it: &Vendored| -> Value {
            json!({ "url": it.url, "digest": it.digest.to_string(), "bytes": it.bytes, "new": it.new })
        };
        let status = match found.len() {
            0 => "nothing to vendor: the recipes fetch nothing and take no input".to_owned(),
            many => format!("{} in vendor/", count(many, "file")),
        };
        Ok(Answer {
            lines: columns(&found.iter().map(row).collect::<Vec<_>>()),
            status: vec![status],
            json: json!({ "vendored": found.iter().map(to_json).collect::<Vec<_>>() }),
            ..Answer::default()
        })
    }
}
