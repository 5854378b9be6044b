//! The command line: the list of verbs, and what is said of a line that can't be understood.
//!
//! Owns no option: those of all verbs are in `options`, a verb's own in `commands`; `settings` resolves them.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::commands::{self, Verb, not_built};
use crate::errors::Problem;
use crate::exit::Exit;
use crate::options::{Color, Format, Global};
use crate::shell::Shell;
use crate::{meant, settings, variables};

/// Reproducible container images from TOML recipes.
///
/// Cooper lays files over a base image and writes an OCI image, without a daemon, root or a container. The digest of the
/// result is a function of what is committed: recipe, lock and sources.
#[derive(Debug, Parser)]
#[command(name = "cooper", version, max_term_width = 100, arg_required_else_help = true, after_help = EXIT_CODES)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0    done
  1    the answer is no: a lock doesn't hold, a rebuild differs, a stored blob is damaged
  2    the command line or environment can't be understood, or asks for what isn't built yet
  3    something that was read is wrong: a recipe, a lock, a base
  4    something isn't there: a workspace, a target, a source, content of a base
  5    the machine said no: disk full, permission, no engine
  70   a mistake in cooper itself: please report it
  130, 143, 141   ended by SIGINT, SIGTERM, or a closed standard output

Environment:
  COOPER_STORE        the store's directory, as --store
  COOPER_LOCKED       1: as --locked, for every command
  COOPER_OFFLINE      1: as --offline, for every command
  COOPER_SUBSTITUTE   places as for --substitute, with spaces between them
  SOURCE_DATE_EPOCH   the time of files in images whose lock is made now
  DOCKER_HOST         the engine of docker-daemon:
  NO_COLOR, CLICOLOR  no colours";

/// Lists the verbs, each a type of the file that is named as it.
macro_rules! verbs {
    ($($file:ident::$verb:ident),+ $(,)?) => {
        /// What to do.
        #[derive(Debug, Subcommand)]
        pub(crate) enum Command {
            $($verb(commands::$file::$verb),)+
        }

        impl Command {
            /// The verb that was called.
            pub(crate) fn verb(&self) -> &dyn Verb {
                match self {
                    $(Self::$verb(verb) => verb,)+
                }
            }
        }
    };
}

verbs! {
    init::Init,
    lock::Lock,
    update::Update,
    build::Build,
    show::Show,
    list::List,
    copy::Copy,
    pull::Pull,
    push::Push,
    vendor::Vendor,
    check::Check,
    compose::Compose,
    store::Store,
    gc::Gc,
    completions::Completions,
}

impl Cli {
    /// Reads the arguments. Help, version and what can't be understood are printed here.
    pub(crate) fn read(arguments: Vec<OsString>) -> Result<Self, Exit> {
        let color = match () {
            () if given(&arguments, "--color", "always") => Color::Always,
            () if given(&arguments, "--color", "never") => Color::Never,
            () => Color::Auto,
        };
        let choice = match color {
            Color::Always => clap::ColorChoice::Always,
            Color::Never => clap::ColorChoice::Never,
            Color::Auto => clap::ColorChoice::Auto,
        };
        let read = Self::command().color(choice).try_get_matches_from(&arguments);
        read.and_then(|read| Self::from_arg_matches(&read)).map_err(|error| {
            let global = Global {
                format: if given(&arguments, "--format", "json") { Format::Json } else { Format::Text },
                color,
                ..Global::default()
            };
            clap_failed(&error, &arguments, settings::shell(&global, &variables::variable))
        })
    }
}

/// Whether an option has a value, where the arguments can't be read any better yet.
fn given(arguments: &[OsString], option: &str, value: &str) -> bool {
    arguments.windows(2).any(|pair| pair[0] == option && pair[1] == value)
        || arguments.iter().any(|argument| *argument == *format!("{option}={value}"))
}

/// What users of other tools mean by what isn't known, rather than what is spelled alike.
fn meant_by(error: &clap::Error, arguments: &[OsString]) -> Option<&'static str> {
    let given = |kind| match error.get(kind) {
        Some(ContextValue::String(given)) => Some(given.as_str()),
        _ => None,
    };
    let verbs = Cli::command();
    let mut words = arguments.iter().skip(1).filter_map(|word| word.to_str());
    let verb = words.find(|word| verbs.find_subcommand(word).is_some()).unwrap_or_default();
    let option = || given(ContextKind::InvalidArg).and_then(|option| meant::option(verb, option));
    given(ContextKind::InvalidSubcommand).and_then(meant::verb).or_else(option)
}

fn clap_failed(error: &clap::Error, arguments: &[OsString], shell: Shell) -> Exit {
    if error.exit_code() == 0 {
        return if error.print().is_ok() { Exit::Done } else { Exit::BrokenPipe };
    }
    let unknown = match error.get(ContextKind::InvalidSubcommand) {
        Some(ContextValue::String(name)) => not_built::problem(name),
        _ => None,
    };
    if let Some(problem) = unknown {
        return shell.failure(&problem.into(), ".".as_ref());
    }
    let text = error.render().to_string();
    if let Some(meant) = meant_by(error, arguments) {
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        return shell.failure(&Problem::usage(message).hint(meant).into(), ".".as_ref());
    }
    if shell.format == Format::Json {
        let mut paragraphs = text.trim().split("\n\n");
        let message = paragraphs.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let problem = paragraphs.fold(Problem::usage(message), |problem, more| problem.hint(more.trim()));
        return shell.failure(&problem.into(), ".".as_ref());
    }
    shell.error(&if shell.styled { error.render().ansi().to_string() } else { text });
    Exit::Usage
}
