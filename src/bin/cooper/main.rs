//! `cooper`: arguments, environment and terminal around the library, of which it uses the public API only.

mod cli;
mod commands;
mod complete;
mod credentials;
mod errors;
mod exit;
mod git;
mod helper;
mod meant;
mod options;
mod progress;
mod settings;
mod shell;
mod site;
mod text;
mod variables;

use std::panic;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cooperage::progress::{Progress, Silent};

use crate::cli::Cli;
use crate::commands::Verb;
use crate::errors::{Failure, Problem};
use crate::exit::Exit;
use crate::options::Format;
use crate::settings::Settings;
use crate::shell::Shell;

fn main() -> ExitCode {
    complete::answer(<Cli as clap::CommandFactory>::command);
    let cli = match Cli::read(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    let shell = settings::shell(&cli.global, &variables::variable);
    report_panics(shell);
    panic::catch_unwind(|| run(&cli, shell)).unwrap_or(Exit::Bug).into()
}

fn run(cli: &Cli, shell: Shell) -> Exit {
    let settings = match Settings::resolve(&cli.global, cli.command.verb().net(), &variables::variable) {
        Ok(settings) => settings,
        Err(failure) => return shell.failure(&failure, Path::new(".")),
    };
    match carry_out(cli.command.verb(), &settings, shell) {
        Ok(exit) => exit,
        Err(failure) => shell.failure(&failure, &settings.dir),
    }
}

/// Runs a verb and prints its answer.
fn carry_out(verb: &dyn Verb, settings: &Settings, shell: Shell) -> Result<Exit, Failure> {
    if !verb.takes(shell.format) {
        let only = if shell.format == Format::Markdown { "update" } else { "show --digests" };
        let problem = Problem::usage(format!("only `cooper {only}` takes --format {}", shell.format));
        return Err(problem.hint("everything else is written as text or json").into());
    }
    if let Some(bytes) = verb.raw() {
        return Ok(shell.raw(&bytes, Exit::Done));
    }
    settings.start_threads()?;
    // A line on a terminal that is cleared before the answer, or nobody.
    let progress: Arc<dyn Progress> =
        if shell.watched() { Arc::new(progress::Line::new()) } else { Arc::new(Silent) };
    let answer = verb.run(shell.format, &settings.env(progress))?;
    Ok(shell.answer(&answer))
}

/// One short message for all threads, instead of a backtrace for each.
fn report_panics(shell: Shell) {
    let reported = AtomicBool::new(false);
    panic::set_hook(Box::new(move |info| {
        if !reported.swap(true, Ordering::Relaxed) {
            let payload = info.payload();
            let what = payload.downcast_ref::<String>().map(String::as_str);
            let what = what.or_else(|| payload.downcast_ref::<&str>().copied()).unwrap_or("panic");
            let place = info.location().map(|place| format!(" ({}:{})", place.file(), place.line()));
            shell.bug(&format!("{what}{}", place.unwrap_or_default()));
        }
    }));
}
