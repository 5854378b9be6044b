//! `cooper lock`, and its `--audit` and `--prune`

use std::path::Path;
use std::process::{Command, Stdio};

use cooperage::ops::{self, ByteSource, LockOptions, PinMove, RecipeReport, Side};
use serde_json::json;

use super::recipes;
use crate::cli::{Lock, Take};
use crate::errors::{Failure, Problem};
use crate::shell::{Answer, columns, count};

pub(super) fn run(args: &Lock, env: &ops::Env<'_>) -> Result<Answer, Failure> {
    if args.audit {
        return Ok(audit(&ops::audit(env, &(&args.select).into())?));
    }
    if env.locked && (args.prune || args.take.is_some()) {
        return Err(Problem::usage("--locked forbids to write").hint("COOPER_LOCKED=0 allows it").into());
    }
    if args.prune {
        return Ok(prune(&ops::prune(env)?));
    }
    if !args.pin.is_empty() {
        if env.locked {
            return Err(Problem::usage("--locked forbids to write").hint("COOPER_LOCKED=0 allows it").into());
        }
        return Ok(pinned(&ops::pin(env, &(&args.select).into(), &args.pin)?));
    }
    let options = LockOptions {
        select: (&args.select).into(),
        // What writes nothing can only check.
        check: args.check || env.locked,
        verify_facts: args.verify_facts,
        take: args.take.map(|side| match side {
            Take::Ours => Side::Ours,
            Take::Theirs => Side::Theirs,
        }),
    };
    let reports = ops::lock(env, &options)?;
    let mut answer = if options.check { checked(&reports) } else { locked(&reports) };
    answer.warnings.extend(untracked(&env.dir, &reports));
    Ok(answer)
}

fn pinned(moves: &[PinMove]) -> Answer {
    Answer {
        lines: recipes::pin_lines(moves, "pinned in"),
        status: vec!["`cooper lock` completes these locks where their registries can be asked".to_owned()],
        json: json!({ "pins": moves.iter().map(recipes::pin_json).collect::<Vec<_>>() }),
        ..Answer::default()
    }
}

/// Files that are in the locks and that git doesn't know: on another machine they will be missing.
fn untracked(dir: &Path, reports: &[RecipeReport]) -> Vec<String> {
    let Some(root) = dir.ancestors().find(|dir| dir.join("cooper.toml").is_file()) else { return Vec::new() };
    let recipes = reports.iter().map(|report| format!("recipes/{}", report.recipe));
    let git = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(["ls-files", "--others", "--exclude-standard", "-z", "--"])
        .args(recipes)
        .stdin(Stdio::null())
        .output();
    // No git, or no checkout: nothing is tracked, and nobody expects it to be.
    let Some(found) = git.ok().filter(|output| output.status.success() && !reports.is_empty()) else {
        return Vec::new();
    };
    let names = String::from_utf8_lossy(&found.stdout).into_owned();
    names.split_terminator('\0').map(|name| format!("{name} is not tracked by git")).collect()
}

/// A lock that doesn't hold is an error, so there is nothing left to say.
fn checked(reports: &[RecipeReport]) -> Answer {
    Answer {
        status: vec!["every lock is what would be written".to_owned()],
        json: json!({ "recipes": recipes::to_json(reports) }),
        ..Answer::default()
    }
}

fn locked(reports: &[RecipeReport]) -> Answer {
    let mut lines = Vec::new();
    for report in reports {
        lines.push(format!("{}  {}", report.recipe, recipes::lock_word(report.lock)));
        let more = recipes::pin_lines(&report.pins, "pinned in").into_iter();
        let images = recipes::image_lines(std::slice::from_ref(report));
        lines.extend(more.chain(images).map(|line| format!("  {line}")));
    }
    let status = match reports {
        [] => "nothing to lock: `cooper init` writes a first recipe".to_owned(),
        _ => recipes::summary(reports),
    };
    Answer {
        lines,
        warnings: recipes::warnings(reports),
        status: vec![status],
        json: json!({ "recipes": recipes::to_json(reports) }),
        no: false,
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
