//! `cooper gc`

use clap::Args;
use cooperage::ops::{self, Collected};
use serde_json::json;

use super::Verb;
use crate::errors::Failure;
use crate::options::Format;
use crate::shell::Answer;
use crate::text::size;

/// Remove from the store what no recipe needs any more
///
/// Safe beside running builds. Also sweeps temporary files that interrupted commands left.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper gc --dry-run     only tell
  cooper gc")]
pub(crate) struct Gc {
    /// Remove nothing, only tell
    #[arg(short = 'n', long)]
    dry_run: bool,
}

impl Verb for Gc {
    fn run(&self, _: Format, env: &ops::Env<'_>) -> Result<Answer, Failure> {
        Ok(answer(&ops::gc(env, self.dry_run)?))
    }
}

fn answer(found: &Collected) -> Answer {
    let would = if found.dry_run { "would be " } else { "" };
    let mut lines: Vec<String> = found
        .dropped_roots
        .iter()
        .map(|root| format!("{root}  {would}forgotten: its recipe is gone"))
        .collect();
    lines.push(match found.removed {
        0 => format!("nothing to remove, {} kept", found.kept),
        removed => format!("{removed} {would}removed ({}), {} kept", size(found.bytes), found.kept),
    });
    Answer {
        lines,
        json: json!({
            "removed": found.removed, "bytes": found.bytes, "kept": found.kept,
            "dropped_roots": found.dropped_roots, "dry_run": found.dry_run,
        }),
        ..Answer::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_and_a_real_one() {
        let found = |dry_run| Collected {
            removed: 3,
            bytes: 1500,
            kept: 7,
            dropped_roots: vec!["a/b".into()],
            dry_run,
        };
        let (root, rest) =
            ("a/b  would be forgotten: its recipe is gone", "3 would be removed (1.5 kB), 7 kept");
        assert_eq!(answer(&found(true)).lines, [root, rest]);
        assert_eq!(answer(&found(false)).lines[1], "3 removed (1.5 kB), 7 kept");
        assert_eq!(answer(&Collected::default()).lines, ["nothing to remove, 0 kept"]);
    }
}
