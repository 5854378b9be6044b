//! `cooper copy`

use cooperage::ops::{self, Copied};
use serde_json::{Value, json};

use crate::cli::Copy;
use crate::errors::Failure;
use crate::shell::{Answer, size};

pub(super) fn run(args: &Copy, env: &ops::Env<'_>) -> Result<Answer, Failure> {
    super::no_registry(std::slice::from_ref(&args.to))?;
    let copied = ops::copy(env, &args.from, &args.to, &args.platform)?;
    Ok(Answer { lines: vec![line(&copied)], json: to_json(&copied), ..Answer::default() })
}

/// `shop/web#prod -> oci-archive:web.tar  sha256:…  1.2 MB`
pub(super) fn line(copied: &Copied) -> String {
    format!("{} -> {}  {}  {}", copied.from, copied.to, copied.digest, size(copied.bytes))
}

pub(super) fn to_json(copied: &Copied) -> Value {
    json!({ "from": copied.from, "to": copied.to, "digest": copied.digest.to_string(), "bytes": copied.bytes })
}
