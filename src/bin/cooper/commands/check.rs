//! `cooper check`

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use clap::Args;
use cooperage::disk::Scratch;
use cooperage::oci::Place;
use cooperage::ops::{self, BuildOptions, Checked, Selection};
use serde_json::json;

use super::{Verb, full_name};
use crate::errors::{Failure, Problem};
use crate::exit::Exit;
use crate::options::{Format, Inputs, Net, Targets};
use crate::shell::Answer;
use crate::text::{columns, count};

/// Check recipes without building them
///
/// Looks at the recipes, their sources, how the services of a stack fit together, and what the recipes make of their bases
/// where the locks know these. Writes nothing. With --run the software itself checks its configuration, in the image.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper check                     every recipe of the workspace
  cooper check shop/web --run      also `[service] check`, in a container without a network
  cooper check --run --engine podman")]
pub(crate) struct Check {
    #[command(flatten)]
    select: Targets,
    /// Run `[service] check` of each image in an engine
    #[arg(long)]
    run: bool,
    /// The engine's program; otherwise docker, or podman where there is no docker
    #[arg(long, value_name = "PROGRAM", requires = "run")]
    engine: Option<PathBuf>,
    #[command(flatten)]
    inputs: Inputs,
    #[command(flatten)]
    net: Net,
}

impl Verb for Check {
    fn net(&self) -> Net {
        self.net.clone()
    }

    fn run(&self, _: Format, env: &ops::Env<'_>) -> Result<Answer, Failure> {
        let found = ops::check(env, &(&self.select).into(), &self.inputs.paths())?;
        let engine = if self.run { Some(engine(self.engine.as_deref())?) } else { None };
        let mut rows = Vec::new();
        for checked in found {
            let ran = match (&engine, &checked.check) {
                (Some(engine), Some(words)) if checked.whole => {
                    Some(run_in(engine, &checked, words, (env, &self.inputs))?)
                }
                _ => None,
            };
            rows.push((checked, ran));
        }
        Ok(answer(&rows, self.run))
    }
}

/// The end of what a check says is where it says why.
const LAST: usize = 40;

/// What the software said of its configuration.
struct Ran {
    passed: bool,
    how: String,
    said: Vec<String>,
}

/// The engine that is asked for, or the first that is there.
fn engine(asked: Option<&Path>) -> Result<PathBuf, Failure> {
    let known = [PathBuf::from("docker"), PathBuf::from("podman")];
    let candidates = asked.map_or_else(|| known.to_vec(), |path| vec![path.to_owned()]);
    let answers = |program: &PathBuf| {
        let info = Command::new(program).arg("info").stdin(Stdio::null()).output();
        info.is_ok_and(|output| output.status.success())
    };
    candidates.into_iter().find(answers).ok_or_else(|| {
        let message = match asked {
            Some(path) => format!("{} info fails: no engine answers", path.display()),
            None => "neither docker nor podman has an engine that answers".to_owned(),
        };
        Problem::new("engine", Exit::System, message).hint("without --run nothing needs one").into()
    })
}

/// Runs the check in a container that can reach nobody and is gone afterwards.
fn run_in(
    engine: &Path,
    checked: &Checked,
    words: &[String],
    (env, inputs): (&ops::Env<'_>, &Inputs),
) -> Result<Ran, Failure> {
    let failed = |error: cooperage::disk::Error| Failure::from(ops::Error::from(error));
    let directory = Scratch::new(&std::env::temp_dir()).map_err(failed)?;
    let file = directory.path().join("image.tar");
    let image = format!("{}:{}", checked.name.recipe, checked.name.variant);
    let reference = image.parse().map_err(|_| Problem::usage(format!("{image} is no name for an image")))?;
    let to = Place::DockerArchive { file: file.clone(), name: Some(reference) };
    let options = BuildOptions {
        select: Selection { targets: vec![full_name(&checked.name)], all: false },
        platforms: vec![env.platform.clone()],
        to: vec![to],
        unrecorded: true,
        inputs: inputs.paths(),
        ..BuildOptions::default()
    };
    ops::build(env, &options)?;
    let (program, arguments) = words.split_first().ok_or_else(|| Problem::usage("an empty check"))?;
    let loaded = command(engine, &["load", "-i"], &[&file.to_string_lossy()])?;
    if !loaded.status.success() {
        let said = String::from_utf8_lossy(&loaded.stderr).trim().to_owned();
        let problem = Problem::new("engine", Exit::System, format!("{} load failed", engine.display()));
        return Err(problem.note(said).into());
    }
    // What Compose would fill in has no value here.
    let env: Vec<String> = checked
        .env
        .iter()
        .filter(|(_, value)| !value.contains("${"))
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let mut run = vec!["--network", "none"];
    run.extend(env.iter().flat_map(|pair| ["--env", pair.as_str()]));
    run.extend(["--entrypoint", program, image.as_str()]);
    run.extend(arguments.iter().map(String::as_str));
    let output = command(engine, &["run", "--rm"], &run)?;
    let text = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&text).lines().map(str::to_owned).collect();
    Ok(Ran { passed: output.status.success(), how: output.status.to_string(), said })
}

fn command(engine: &Path, verb: &[&str], arguments: &[&str]) -> Result<Output, Failure> {
    let output = Command::new(engine).args(verb).args(arguments).stdin(Stdio::null()).output();
    output.map_err(|error| Problem::io(&format!("run {}", engine.display()), &error).into())
}

fn answer(rows: &[(Checked, Option<Ran>)], asked: bool) -> Answer {
    let verdict = |(checked, ran): &(Checked, Option<Ran>)| match ran {
        Some(Ran { passed: true, .. }) => "its own check passed",
        Some(_) => "its own check FAILED",
        None if !checked.open.is_empty() => "checked without its open input: --input NAME=PATH gives it",
        None if !checked.whole => "checked without its base: `cooper lock` makes that known",
        None if asked => "it has no check of its own",
        None => "ok",
    };
    let mut lines = Vec::new();
    let table: Vec<_> = rows
        .iter()
        .map(|row| vec![full_name(&row.0.name), row.0.state.clone(), verdict(row).to_owned()])
        .collect();
    for (line, (checked, ran)) in columns(&table).into_iter().zip(rows) {
        lines.push(line);
        if let Some(Ran { passed: false, said, how }) = ran {
            lines.push(format!(
                "  {} ended with {how}",
                checked.check.iter().flatten().cloned().collect::<Vec<_>>().join(" ")
            ));
            if said.len() > LAST {
                lines.push(format!("  … {} lines; all of them with --format json", said.len() - LAST));
            }
            lines.extend(said.iter().skip(said.len().saturating_sub(LAST)).map(|text| format!("  {text}")));
        }
    }
    let no = rows.iter().any(|(_, ran)| ran.as_ref().is_some_and(|ran| !ran.passed));
    let to_json = |(checked, ran): &(Checked, Option<Ran>)| {
        json!({
            "recipe": checked.name.recipe, "variant": checked.name.variant, "state": checked.state,
            "whole": checked.whole, "open": checked.open, "check": checked.check,
            "passed": ran.as_ref().map(|ran| ran.passed), "said": ran.as_ref().map(|ran| &ran.said),
        })
    };
    Answer {
        lines,
        status: vec![format!("{} checked", count(rows.len(), "image"))],
        json: json!({ "images": rows.iter().map(to_json).collect::<Vec<_>>() }),
        no,
        ..Answer::default()
    }
}
