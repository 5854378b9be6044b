//! `cooper store verify`

use clap::{Args, Subcommand};
use cooperage::ops::{self, Verified};
use serde_json::json;

use super::Verb;
use crate::errors::Failure;
use crate::options::Format;
use crate::shell::Answer;
use crate::text::size;

/// Look after the store
#[derive(Debug, Args)]
#[command(after_help = "Example:
  cooper store verify")]
pub(crate) struct Store {
    #[command(subcommand)]
    task: Task,
}

#[derive(Debug, Subcommand)]
enum Task {
    Verify(VerifyArgs),
}

/// Read every blob and compare it with its digest
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper store verify              exit code 1 when something is damaged
  cooper store verify --repair     take out what is damaged; the next build makes or fetches it again")]
struct VerifyArgs {
    /// Take out what is damaged
    #[arg(long)]
    repair: bool,
}

impl Verb for Store {
    fn run(&self, _: Format, env: &ops::Env<'_>) -> Result<Answer, Failure> {
        let Task::Verify(verify) = &self.task;
        Ok(answer(&ops::store_verify(env, verify.repair)?))
    }
}

fn answer(found: &Verified) -> Answer {
    let mut lines = found.damaged.clone();
    lines.push(format!("{} sound, {} damaged, {}", found.sound, found.damaged.len(), size(found.bytes)));
    let status = match (found.damaged.is_empty(), found.repaired) {
        (true, _) => None,
        (false, true) => Some("what was damaged is taken out: the next build makes or fetches it again"),
        (false, false) => Some("`cooper store verify --repair` takes out what is damaged"),
    };
    Answer {
        lines,
        status: status.into_iter().map(str::to_owned).collect(),
        json: json!({
            "sound": found.sound, "bytes": found.bytes, "damaged": found.damaged, "repaired": found.repaired,
        }),
        // A repaired store is a sound one.
        no: !found.damaged.is_empty() && !found.repaired,
        ..Answer::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damage_is_a_no_until_it_is_repaired() {
        let found = |repaired| Verified { sound: 2, bytes: 10, damaged: vec!["sha256:x".into()], repaired };
        assert!(answer(&found(false)).no);
        assert!(!answer(&found(true)).no);
        assert_eq!(answer(&found(true)).lines, ["sha256:x", "2 sound, 1 damaged, 10 B"]);
        assert!(!answer(&Verified::default()).no);
    }
}
