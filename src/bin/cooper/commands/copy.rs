//! `cooper copy`

use clap::Args;
use cooperage::oci::{Place, Platform};
use cooperage::ops::{self, Copied, TagChange};
use cooperage::sink::Moved;
use serde_json::{Value, json};

use super::Verb;
use crate::errors::Failure;
use crate::options::{Format, Inputs, Net};
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
    inputs: Inputs,
    #[command(flatten)]
    net: Net,
}

impl Verb for Copy {
    fn net(&self) -> Net {
        self.net.clone()
    }

    fn run(&self, _: Format, env: &ops::Env<'_>) -> Result<Answer, Failure> {
        let copied = ops::copy(env, &self.from, &self.to, &self.platform, &self.inputs.paths())?;
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
    let tag = match copied.tag {
        None => String::new(),
        Some(TagChange::New) => "  new tag".to_owned(),
        Some(TagChange::There) => "  the tag is there".to_owned(),
        Some(TagChange::Moved(old)) => format!("  the tag moved from {old}"),
    };
    format!("{} -> {}  {}  {moved}{tag}", copied.from, copied.to, copied.digest)
}

pub(super) fn to_json(copied: &Copied) -> Value {
    let mut value = json!({ "from": copied.from, "to": copied.to, "digest": copied.digest.to_string(), "bytes": copied.bytes });
    if let Some(moved) = copied.moved {
        let Moved { blobs, bytes, mounted, there } = moved;
        value["moved"] = json!({ "blobs": blobs, "bytes": bytes, "mounted": mounted, "there": there });
    }
    if let Some(tag) = copied.tag {
        let (change, from) = match tag {
            TagChange::New => ("new", None),
            TagChange::There => ("there", None),
            TagChange::Moved(old) => ("moved", Some(old.to_string())),
        };
        value["tag"] = json!({ "change": change, "from": from });
    }
    value
}
