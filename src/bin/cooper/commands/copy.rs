//! `cooper copy`

use cooperage::ops::{self, Copied};
use cooperage::sink::Moved;
use serde_json::{Value, json};

use crate::cli::Copy;
use crate::errors::Failure;
use crate::shell::{Answer, size};

pub(super) fn run(args: &Copy, env: &ops::Env<'_>) -> Result<Answer, Failure> {
    let copied = ops::copy(env, &args.from, &args.to, &args.platform)?;
    Ok(Answer { lines: vec![line(&copied)], json: to_json(&copied), ..Answer::default() })
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
