//! `cooper lock`, and its `--audit` and `--prune`

use clap::{Args, ValueEnum};
use cooperage::oci::Reference;
use cooperage::ops::{self, ByteSource, LockOptions, PinMove, RecipeReport, Side};
use serde_json::json;

use super::{Verb, build, update};
use crate::errors::{Failure, Problem};
use crate::git;
use crate::options::{Format, Inputs, Net, Targets};
use crate::shell::Answer;
use crate::text::{columns, count};

/// Resolve bases and sources, and write the locks
///
/// A lock pins every base by digest, records what is known of its file system, the hash of every source, and the digests
/// of the images. Pins that are there already are kept: `cooper update` moves them.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper lock                     the workspace's default recipes
  cooper lock --all --check       in a merge queue: write nothing, fail unless every lock holds
  cooper lock --audit shop/web    every source of bytes, and what pins it
  cooper lock --take ours db/pg   after a merge: keep our pins where both sides moved them
  cooper lock --prune             drop blobs of lockfiles/blobs that no lock names
  cooper lock --pin docker.io/library/redis:8@sha256:…
                                  where no registry can be asked: a digest that you were told")]
pub(crate) struct Lock {
    #[command(flatten)]
    select: Targets,
    /// Write nothing and open no connection; fail unless the locks are what would be written
    #[arg(long, conflicts_with_all = ["audit", "prune", "take"])]
    check: bool,
    /// Only list every source of bytes, and what pins it; fail if one floats
    #[arg(long, conflicts_with_all = ["prune", "take", "verify_facts"])]
    audit: bool,
    /// Only remove blobs of lockfiles/blobs that no lock names
    #[arg(long, conflicts_with_all = ["targets", "all", "take", "verify_facts"])]
    prune: bool,
    /// Derive what is known of the bases again from their layers, and compare
    #[arg(long)]
    verify_facts: bool,
    /// Whose pins to keep where a merge left both
    #[arg(long, value_enum, value_name = "SIDE")]
    take: Option<Take>,
    /// Only pin a base by a digest that you were told, in every lock that is selected (all without TARGET); nobody is
    /// asked, and `cooper lock` completes it by that digest; repeatable
    #[arg(long, value_name = "REFERENCE@DIGEST", conflicts_with_all = ["check", "audit", "prune", "take", "verify_facts"])]
    pin: Vec<Reference>,
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    net: Net,
}

/// A side of a merge.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Take {
    /// The branch that was checked out
    Ours,
    /// The branch that was merged
    Theirs,
}

impl Verb for Lock {
    fn net(&self) -> Net {
        self.net.clone()
    }

    fn run(&self, _: Format, env: &ops::Env<'_>) -> Result<Answer, Failure> {
        if self.audit {
            return Ok(audit(&ops::audit(env, &(&self.select).into())?));
        }
        if env.locked && (self.prune || self.take.is_some() || !self.pin.is_empty()) {
            return Err(Problem::usage("--locked forbids to write").hint("COOPER_LOCKED=0 allows it").into());
        }
        if self.prune {
            return Ok(prune(&ops::prune(env)?));
        }
        if !self.pin.is_empty() {
            return Ok(pinned(&ops::pin(env, &(&self.select).into(), &self.pin)?));
        }
        let options = LockOptions {
            select: (&self.select).into(),
            // What writes nothing can only check.
            check: self.check || env.locked,
            verify_facts: self.verify_facts,
            inputs: self.inputs.paths(),
            take: self.take.map(|side| match side {
                Take::Ours => Side::Ours,
                Take::Theirs => Side::Theirs,
            }),
        };
        let reports = ops::lock(env, &options)?;
        let mut answer = if options.check { checked(&reports) } else { locked(&reports) };
        answer.warnings.extend(git::uncommitted_sources(env, &build::names(&reports)));
        Ok(answer)
    }
}

fn pinned(moves: &[PinMove]) -> Answer {
    Answer {
        lines: update::pin_lines(moves, "pinned in"),
        status: vec!["`cooper lock` completes these locks where their registries can be asked".to_owned()],
        json: json!({ "pins": moves.iter().map(update::pin_json).collect::<Vec<_>>() }),
        ..Answer::default()
    }
}

/// A lock that doesn't hold is an error, so there is nothing left to say.
fn checked(reports: &[RecipeReport]) -> Answer {
    Answer {
        status: vec!["every lock is what would be written".to_owned()],
        json: json!({ "recipes": build::recipes_json(reports) }),
        ..Answer::default()
    }
}

fn locked(reports: &[RecipeReport]) -> Answer {
    let mut lines = Vec::new();
    for report in reports {
        lines.push(format!("{}  {}", report.recipe, build::lock_word(report.lock)));
        let more = update::moved_lines(&report.pins, "pinned in").into_iter();
        let images = build::image_lines(std::slice::from_ref(report));
        lines.extend(more.chain(images).map(|line| format!("  {line}")));
    }
    let status = match reports {
        [] => "nothing to lock: `cooper init` writes a first recipe".to_owned(),
        _ => build::summary(reports),
    };
    Answer {
        lines,
        warnings: build::warnings(reports),
        status: vec![status],
        json: json!({ "recipes": build::recipes_json(reports) }),
        ..Answer::default()
    }
}

fn audit(sources: &[ByteSource]) -> Answer {
    let pinned = |source: &ByteSource| source.pinned.map(|digest| digest.to_string());
    let rows = sources.iter().map(|source| {
        let pin = pinned(source).unwrap_or_else(|| "floats".to_owned());
        vec![source.recipe.clone(), source.kind.clone(), source.name.clone(), pin, source.note.clone()]
    });
    let to_json = |source: &ByteSource| {
        json!({
            "recipe": source.recipe, "kind": source.kind, "name": source.name, "pinned": pinned(source),
            "note": source.note,
        })
    };
    let floating = sources.iter().filter(|source| source.pinned.is_none()).count();
    Answer {
        lines: columns(&rows.collect::<Vec<_>>()),
        status: vec![format!("{}, {floating} of them not pinned", count(sources.len(), "source"))],
        json: json!({ "sources": sources.iter().map(to_json).collect::<Vec<_>>() }),
        no: floating > 0,
        ..Answer::default()
    }
}

fn prune(removed: &[String]) -> Answer {
    let status = match removed.len() {
        0 => "nothing to prune: every blob is named by a lock".to_owned(),
        number => format!("{} removed", count(number, "blob")),
    };
    Answer {
        lines: removed.to_vec(),
        status: vec![status],
        json: json!({ "removed": removed }),
        ..Answer::default()
    }
}

#[cfg(test)]
mod tests {
    use cooperage::digest::Digest;

    use super::*;

    #[test]
    fn what_floats_is_said() {
        let source = |name: &str, pinned| ByteSource {
            recipe: "a/b".into(),
            kind: "base".into(),
            name: name.into(),
            pinned,
            note: String::new(),
        };
        let pin = Digest::of(b"x");
        let answer = audit(&[source("l:1", Some(pin)), source("war", None)]);
        assert_eq!(answer.lines, [format!("a/b  base  l:1  {pin}"), "a/b  base  war  floats".to_owned()]);
        assert_eq!(answer.status, ["2 sources, 1 of them not pinned"]);
        assert!(answer.no && !audit(&[source("l:1", Some(pin))]).no);
        assert_eq!(prune(&[]).status, ["nothing to prune: every blob is named by a lock"]);
    }
}
