//! The commands: arguments -> `ops::<verb>` -> an answer to print. None of them prints.

mod build;
mod check;
mod completions;
mod compose;
mod copy;
mod digests;
mod gc;
mod init;
mod list;
mod lock;
pub(crate) mod not_built;
mod pull;
mod push;
mod recipes;
mod show;
mod store;
mod update;
mod vendor;

use cooperage::ops;

use crate::cli::{Command, Format, Targets};
use crate::errors::{Failure, Problem};
use crate::exit::Exit;
use crate::settings::Settings;
use crate::shell::{Answer, Shell};

/// Runs a command and prints its answer.
pub(crate) fn run(command: &Command, settings: &Settings, shell: Shell) -> Result<Exit, Failure> {
    if !command.takes(shell.format) {
        let only = if shell.format == Format::Markdown { "update" } else { "show --digests" };
        let problem = Problem::usage(format!("only `cooper {only}` takes --format {}", shell.format));
        return Err(problem.hint("everything else is written as text or json").into());
    }
    if let Command::Completions(args) = command {
        return Ok(shell.raw(&completions::script(args), Exit::Done));
    }
    settings.start_threads()?;
    let answer = crate::listen(shell, |progress| answer(command, shell.format, &settings.env(progress)))?;
    Ok(shell.answer(&answer))
}

fn answer(command: &Command, format: Format, env: &ops::Env<'_>) -> Result<Answer, Failure> {
    match command {
        Command::Init(args) => init::run(args, env),
        Command::Lock(args) => lock::run(args, env),
        Command::Update(args) => update::run(args, format, env),
        Command::Build(args) => build::run(args, env),
        Command::Show(args) if args.digests => digests::run(args, format, env),
        Command::Show(args) => show::run(args, env),
        Command::List(args) => list::run(args, env),
        Command::Copy(args) => copy::run(args, env),
        Command::Pull(args) => pull::run(args, env),
        Command::Push(args) => push::run(args, env),
        Command::Vendor(args) => vendor::run(args, env),
        Command::Check(args) => check::run(args, env),
        Command::Compose(args) => compose::run(args, env),
        Command::Store(args) => store::run(args, env),
        Command::Gc(args) => gc::run(args, env),
        Command::Completions(_) => Ok(Answer::default()),
    }
}

impl From<&Targets> for ops::Selection {
    fn from(select: &Targets) -> Self {
        Self { targets: select.targets.clone(), all: select.all }
    }
}

/// `stack/name#variant`
fn full_name(name: &ops::ImageName) -> String {
    format!("{}#{}", name.recipe, name.variant)
}
