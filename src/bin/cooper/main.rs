//! `cooper`: arguments, environment and terminal around the library, of which it uses the public API only.

mod cli;
mod commands;
mod credentials;
mod errors;
mod exit;
mod progress;
mod settings;
mod shell;
mod site;

use std::panic;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cooperage::progress::{Progress, Silent};

use crate::cli::Cli;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::settings::Settings;
use crate::shell::Shell;

fn main() -> ExitCode {
    let cli = match Cli::read(std::env::args_os().collect()) {
        Ok(cli) => cli,
        Err(exit) => return exit.into(),
    };
    let shell = settings::shell(&cli.global, &settings::variable);
    report_panics(shell);
    panic::catch_unwind(|| run(&cli, shell)).unwrap_or(Exit::Bug).into()
}

fn run(cli: &Cli, shell: Shell) -> Exit {
    let settings = match Settings::resolve(&cli.global, cli.command.net(), &settings::variable) {
        Ok(settings) => settings,
        Err(failure) => return shell.failure(&failure, Path::new(".")),
    };
    match commands::run(&cli.command, &settings, shell) {
        Ok(exit) => exit,
        Err(failure) => shell.failure(&failure, &settings.dir),
    }
}

/// Who listens: a line on a terminal, or nobody.
fn listen<T>(shell: Shell, work: impl FnOnce(Arc<dyn Progress>) -> Result<T, Failure>) -> Result<T, Failure> {
    if shell.watched() { work(Arc::new(progress::Line::new())) } else { work(Arc::new(Silent)) }
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
