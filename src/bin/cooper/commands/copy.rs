//! `cooper copy`

use clap::Args;
use cooperage::oci::{Place, Platform};
use cooperage::ops::{self, Copied};
use cooperage::sink::Moved;
use serde_json::{Value, json};

use super::Verb;
use crate::errors::Failure;
use crate::options::{Format, Net};
use crate::shell::Answer;
use crate::text::size;

/// Copy an image from a place or recipe to a place
///
/// Places are written as for skopeo: oci:DIR[:TAG], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME], docker-daemon:NAME,
/// docker://REFERENCE. What is at the destination is replaced at once or not at all.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper copy shop/web oci-archive:web.tar
  cooper copy shop/web#dev docker-daemon:shop/web:dev
  cooper copy oci-archive:alpine.tar oci:bases/alpine:3.20
  cooper copy oci:bases/alpine:3.20 docker://registry.example/bases/alpine:3.20")]
pub(crate) struct Copy {
    /// A target (stack/name#variant) or a place
    #[arg(value_name = "FROM")]
    from: String,
    /// A place
    #[arg(value_name = "TO")]
    to: Place,
    /// Only these platforms, such as linux/arm64; repeatable
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    platform: Vec<Platform>,
    #[command(flatten)]
    net: Net,
}

impl Verb for Copy {
    fn net(&self) -> Net {
        self.net.clone()
    }

    fn run(&self, _: Format, env: &ops::Env<'_>) -> Result<Answer, Failure> {
        let copied = ops::copy(env, &self.from, &self.to, &self.platform)?;
        Ok(Answer { lines: vec![line(&copied)], json: to_json(&copied), ..Answer::default() })
    }
}

/// `shop/web#prod -> oci-archive:web.tar  sha256:…  1.2 MB`
pub(super) fn line(copied: &Copied) -> String {
    let moved = copied.moved.map_or_else(
        || size(copied.bytes),
        |moved| {
            let mut parts = vec![format!("{} moved", size(moved.bytes))];
            parts.extend((moved.mounted > 0).then(|| format!("{} mounted", moved.mounted)));
            parts.extend((moved.there > 0).then(|| format!("{} there already", moved.there)));
            parts.join(", ")
        },
    );
    format!("{} -> {}  {}  {moved}", copied.from, copied.to, copied.digest)
}

pub(super) fn to_json(copied: &Copied) -> Value {
    let mut value = json!({ "from": copied.from, "to": copied.to, "digest": copied.digest.to_string(), "bytes": copied.bytes });
    if let Some(moved) = copied.moved {
        let Moved { blobs, bytes, mounted, there } = moved;
        value["moved"] = json!({ "blobs": blobs, "bytes": bytes, "mounted": mounted, "there": there });
    }
    value
}
