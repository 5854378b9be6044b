//! Options that several verbs take, and those that all do: clap's types, whose comments are the help texts.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use clap_complete::engine::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate};
use cooperage::oci::Place;
use cooperage::ops;

use crate::complete;

/// What every command takes.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// Run as if started in DIR
    ///
    /// The workspace is looked for there and above, and relative paths start there.
    #[arg(short = 'C', long, value_name = "DIR", global = true)]
    pub(crate) directory: Option<PathBuf>,
    /// Where images and layers are kept
    ///
    /// Otherwise $COOPER_STORE, $XDG_DATA_HOME/cooper/store or ~/.local/share/cooper/store. It is an OCI image layout.
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) store: Option<PathBuf>,
    /// Another set of locks than the workspace's lockfiles/
    #[arg(long, value_name = "DIR", global = true)]
    pub(crate) lockfiles: Option<PathBuf>,
    /// Read every source, also those that look as they did when they were last read
    #[arg(long, global = true)]
    pub(crate) no_index: bool,
    /// How many threads compress and hash; the result is the same with any number
    #[arg(short, long, value_name = "N", global = true, value_parser = threads)]
    pub(crate) jobs: Option<usize>,
    /// What results and errors are written as
    #[arg(
        long,
        value_enum,
        value_name = "text|json",
        hide_possible_values = true,
        hide_default_value = true
    )]
    #[arg(default_value_t, global = true, add = ArgValueCandidates::new(formats))]
    pub(crate) format: Format,
    /// When to colour messages
    #[arg(long, value_enum, value_name = "auto|always|never", hide_possible_values = true)]
    #[arg(hide_default_value = true, default_value_t, global = true)]
    pub(crate) color: Color,
    /// Neither progress nor warnings
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
}

fn threads(text: &str) -> Result<usize, String> {
    let number = text.parse::<usize>().ok().filter(|number| (1..=1024).contains(number));
    number.ok_or_else(|| "a number from 1 to 1024 is expected".to_owned())
}

/// What results are written as.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people: one line per image
    #[default]
    Text,
    /// For scripts: one JSON document
    Json,
    /// `show --digests` only: variables for Compose and shells
    Env,
    /// `show --digests` only: `images` of a kustomization.yaml
    Kustomize,
    /// `show --digests` only: the variable `images` for Terraform and OpenTofu
    Tfvars,
    /// `show --digests` only: drop-ins for Podman's Quadlet
    Quadlet,
    /// `update` only: what a bot writes into its pull request
    Markdown,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}

/// The formats of the command that is being written.
fn formats() -> Vec<CompletionCandidate> {
    let words: Vec<_> = std::env::args_os().collect();
    let has = |word: &str| words.iter().any(|given| given == word);
    let formats = Format::value_variants().iter().filter(|format| match format {
        Format::Text | Format::Json => true,
        Format::Env | Format::Kustomize | Format::Tfvars | Format::Quadlet => has("--digests"),
        Format::Markdown => has("update"),
    });
    formats.map(|format| CompletionCandidate::new(format.to_string())).collect()
}

/// When messages are coloured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR or CLICOLOR=0 is set
    #[default]
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// What limits commands that resolve and build.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Net {
    /// Write no lock, and fail unless every image is what its lock says [env: COOPER_LOCKED]
    #[arg(long)]
    pub(crate) locked: bool,
    /// Open no connection [env: COOPER_OFFLINE]
    #[arg(long)]
    pub(crate) offline: bool,
    /// Where finished layers and what is known of bases are looked for first, such as docker://HOST/NAME as `push
    /// --outputs` has filled it; repeatable [env: COOPER_SUBSTITUTE]
    #[arg(long, value_name = "PLACE")]
    pub(crate) substitute: Vec<Place>,
}

impl Net {
    /// The limits of a verb that has only `--offline`.
    pub(crate) fn offline(offline: bool) -> Self {
        Self { offline, ..Self::default() }
    }
}

/// Where inputs are.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Inputs {
    /// Where an [input] is, such as an open one that no lock has; repeatable
    #[arg(long, value_name = "NAME=PATH", value_parser = pair)]
    input: Vec<(String, String)>,
}

impl Inputs {
    /// By their names.
    pub(crate) fn paths(&self) -> BTreeMap<String, PathBuf> {
        self.input.iter().map(|(name, path)| (name.clone(), path.into())).collect()
    }
}

/// What is given as NAME=VALUE.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("NAME=VALUE is expected")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Which recipes.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Targets {
    /// Recipes: stack/name, stack/name#variant, a stack, or a glob; otherwise the workspace's default
    #[arg(value_name = "TARGET", add = ArgValueCompleter::new(complete::targets))]
    pub(crate) targets: Vec<String>,
    /// Every recipe of the workspace
    #[arg(short, long, conflicts_with = "targets")]
    pub(crate) all: bool,
}

impl From<&Targets> for ops::Selection {
    fn from(select: &Targets) -> Self {
        Self { targets: select.targets.clone(), all: select.all }
    }
}
