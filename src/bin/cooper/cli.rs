//! The command line as it is written: clap's types, whose comments are the help texts.
//!
//! Knows neither environment nor terminal; `settings` resolves what is written here.

use std::ffi::OsString;
use std::fmt;
use std::path::PathBuf;

use clap::error::{ContextKind, ContextValue};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};
use cooperage::digest::Digest;
use cooperage::oci::{Place, Platform, Reference};
use cooperage::ops::{PackageQuery, Shard};

use crate::commands::not_built;
use crate::errors::Problem;
use crate::exit::Exit;
use crate::settings;
use crate::shell::Shell;

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
    #[arg(default_value_t, global = true)]
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

/// Which recipes.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Targets {
    /// Recipes: stack/name, stack/name#variant, a stack, or a glob; otherwise the workspace's default
    #[arg(value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
    /// Every recipe of the workspace
    #[arg(short, long, conflicts_with = "targets")]
    pub(crate) all: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Init(Init),
    Lock(Lock),
    Update(Update),
    Build(Build),
    Show(Show),
    List(List),
    Copy(Copy),
    Pull(Pull),
    Push(Push),
    Vendor(Vendor),
    Check(Check),
    Compose(Compose),
    #[command(subcommand)]
    Store(Store),
    Gc(Gc),
    Completions(Completions),
}

/// Start a workspace, with a first recipe that builds
///
/// Writes cooper.toml, .gitattributes, .gitignore and a recipe. Files that are there already are left alone, so in a
/// workspace it adds a recipe.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper init                 a workspace here, with the recipe hello/world
  cooper init shop/web        the same with the recipe shop/web
  cooper -C images init       in the directory images, which must exist")]
pub(crate) struct Init {
    /// The recipe to write: stack/name
    #[arg(value_name = "STACK/NAME")]
    pub(crate) name: Option<String>,
}

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
    pub(crate) select: Targets,
    /// Write nothing; fail unless the locks are what would be written
    #[arg(long, conflicts_with_all = ["audit", "prune", "take"])]
    pub(crate) check: bool,
    /// Only list every source of bytes, and what pins it; fail if one floats
    #[arg(long, conflicts_with_all = ["prune", "take", "verify_facts"])]
    pub(crate) audit: bool,
    /// Only remove blobs of lockfiles/blobs that no lock names
    #[arg(long, conflicts_with_all = ["targets", "all", "take", "verify_facts"])]
    pub(crate) prune: bool,
    /// Derive what is known of the bases again from their layers, and compare
    #[arg(long)]
    pub(crate) verify_facts: bool,
    /// Whose pins to keep where a merge left both
    #[arg(long, value_enum, value_name = "SIDE")]
    pub(crate) take: Option<Take>,
    /// Only pin a base by a digest that you were told, in every lock that is selected (all without TARGET); nobody is
    /// asked, and `cooper lock` completes it by that digest; repeatable
    #[arg(long, value_name = "REFERENCE@DIGEST", conflicts_with_all = ["check", "audit", "prune", "take", "verify_facts"])]
    pub(crate) pin: Vec<Reference>,
    #[command(flatten)]
    pub(crate) net: Net,
}

/// A side of a merge.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Take {
    /// The branch that was checked out
    Ours,
    /// The branch that was merged
    Theirs,
}

/// Move the pins of bases to what their references and layouts say now
///
/// Without targets, --all or --input it only tells what would move.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper update                                 what would move?
  cooper update --all                           move everything
  cooper update shop/web                        only this recipe's bases
  cooper update --input bases/alpine:3.20       only this base, in every lock that holds it
  cooper update --all --format markdown         for a bot: bases, recipes and packages, old and new")]
pub(crate) struct Update {
    #[command(flatten)]
    pub(crate) select: Targets,
    /// Only the pins of this reference, layout or URL
    #[arg(long, value_name = "REFERENCE")]
    pub(crate) input: Option<String>,
    /// Open no connection [env: COOPER_OFFLINE]
    #[arg(long)]
    pub(crate) offline: bool,
}

/// Build images into the store, and put them elsewhere
///
/// Prints one line per image: its digest, whether it equals the lock, and otherwise which input made the difference. What
/// changed is written into the lock, unless --locked forbids it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper build                                         the workspace's default recipes
  cooper build --locked --offline                      in CI: the committed digests, or exit code 1
  cooper build shop/web#prod --to oci-archive:web.tar  docker, podman, ctr and skopeo load it
  cooper build shop/web#dev --to docker-daemon:shop/web:dev
  cooper build shop --to docker-daemon:                all of the stack, each under its own name
  cooper build shop/web --set build_id=42              a variable declared with set = true
  cooper build --all --twice                           again from nothing, and compare")]
pub(crate) struct Build {
    #[command(flatten)]
    pub(crate) select: Targets,
    /// Where to put the images: oci:DIR[:TAG], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME],
    /// docker-daemon:[NAME], docker://REFERENCE; repeatable
    #[arg(long, value_name = "PLACE")]
    pub(crate) to: Vec<Place>,
    /// Only these platforms go to PLACE, such as linux/arm64; repeatable
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    pub(crate) platform: Vec<Platform>,
    /// The value of a variable that is declared with set = true; repeatable
    #[arg(long, value_name = "NAME=VALUE", value_parser = pair)]
    pub(crate) set: Vec<(String, String)>,
    /// Where an [input] is, such as an open one that no lock has; repeatable
    #[arg(long, value_name = "NAME=PATH", value_parser = pair)]
    pub(crate) input: Vec<(String, String)>,
    /// Build again from nothing into a second store, and compare
    #[arg(long)]
    pub(crate) twice: bool,
    /// Only the I-th of N parts of what is selected: several machines build one workspace
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
    #[command(flatten)]
    pub(crate) net: Net,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) =
        text.split_once('=').filter(|(name, _)| !name.is_empty()).ok_or("NAME=VALUE is expected")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Tell what an image is: digests, layers, and what the recipe adds
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper show shop/web                    the default variant
  cooper show shop/web#dev                another one
  cooper show 'shop/*' --format json      with the image configs, for jq
  cooper show --digests --all             what to deploy, by digest
  cooper show --digests --format env > images.env
  cooper show --digests shop --all-variants --format kustomize")]
pub(crate) struct Show {
    /// A recipe: stack/name or stack/name#variant; any number with --digests
    #[arg(value_name = "TARGET", required_unless_present = "digests")]
    pub(crate) targets: Vec<String>,
    /// Only names for deployment: published names by digest, known before any push
    ///
    /// Without TARGET those of the workspace's default recipes. --format may also be env, kustomize, tfvars or quadlet;
    /// these need [publish] repository in cooper.toml.
    #[arg(long)]
    pub(crate) digests: bool,
    /// With --digests: every recipe of the workspace
    #[arg(short, long, requires = "digests", conflicts_with = "targets")]
    pub(crate) all: bool,
    /// With --digests: every variant of targets that name none
    #[arg(long, requires = "digests")]
    pub(crate) all_variants: bool,
}

/// List recipes, the states of their locks, and their digests
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper list
  cooper list shop
  cooper list --all --format json
  cooper list --uses docker.io/library/debian        which images stand on it, or take from it?
  cooper list --package 'openssl < 3.0.18'           which have it, by its own or its source's name?
  cooper list --has /usr/bin/curl
  cooper list --digest sha256:5f2c…                  what has this index, manifest, base or layer?")]
pub(crate) struct List {
    #[command(flatten)]
    pub(crate) select: Targets,
    /// Only images that stand on a reference, layout or recipe, or take something from one or from a URL
    #[arg(long, value_name = "REFERENCE", group = "query")]
    pub(crate) uses: Option<String>,
    /// Only images with a package: NAME, or 'NAME < VERSION' (also <=, =, >=, >) in its ecosystem's order
    #[arg(long, value_name = "PACKAGE", group = "query")]
    pub(crate) package: Option<PackageQuery>,
    /// Only images with something at a path
    #[arg(long, value_name = "PATH", group = "query")]
    pub(crate) has: Option<String>,
    /// Only images that are, or hold, a digest
    #[arg(long, value_name = "DIGEST", group = "query")]
    pub(crate) digest: Option<Digest>,
}

/// Copy an image from a place or recipe to a place
///
/// Places are written as for skopeo: oci:DIR[:TAG], oci-archive:FILE[:NAME], docker-archive:FILE[:NAME], docker-daemon:NAME,
/// docker://REFERENCE. What is at the destination is replaced at once or not at all.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper copy shop/web oci-archive:web.tar
  cooper copy shop/web#dev docker-daemon:shop/web:dev
  cooper copy oci-archive:alpine.tar oci:bases/alpine:3.20
  cooper copy oci:bases/alpine:3.20 docker://registry.example/bases/alpine:3.20")]
pub(crate) struct Copy {
    /// A target (stack/name#variant) or a place
    #[arg(value_name = "FROM")]
    pub(crate) from: String,
    /// A place
    #[arg(value_name = "TO")]
    pub(crate) to: Place,
    /// Only these platforms, such as linux/arm64; repeatable
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    pub(crate) platform: Vec<Platform>,
    #[command(flatten)]
    pub(crate) net: Net,
}

/// Fetch the images that locks name from their registry into the store
///
/// Whole images, base layers too, by the digests of the committed locks; nothing is built. [publish] repository in
/// cooper.toml says where they are.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper pull                     the default variant of the workspace's default recipes
  cooper pull shop/web#dev
  cooper pull --all --all-variants")]
pub(crate) struct Pull {
    #[command(flatten)]
    pub(crate) select: Targets,
    /// Every variant, not only the workspace's default
    #[arg(long)]
    pub(crate) all_variants: bool,
    /// Open no connection [env: COOPER_OFFLINE]
    #[arg(long)]
    pub(crate) offline: bool,
}

/// Build images and put them into their registry
///
/// [publish] repository in cooper.toml says where, [image] tags of a recipe under which names; without tags an image has
/// its digest for a name. What the registry has is not sent again, and layers of a base in the same registry are mounted
/// from there. Tags are set last, when the image is whole.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper push                         the default variant of the workspace's default recipes
  cooper push shop/web#dev            another variant: its name is put behind the tag, 1.2-dev
  cooper push --all --all-variants
  cooper push shop/web --tag 1.2 --tag latest
  cooper push --locked                in CI: only what the committed locks say
  cooper push --all --outputs docker://registry.example/cooper    for others' --substitute")]
pub(crate) struct Push {
    #[command(flatten)]
    pub(crate) select: Targets,
    /// The tag, in place of the recipe's own; repeatable
    #[arg(long, value_name = "TAG")]
    pub(crate) tag: Vec<String>,
    /// Every variant, not only the workspace's default
    #[arg(long)]
    pub(crate) all_variants: bool,
    /// Only these platforms, such as linux/arm64; repeatable
    #[arg(long, value_name = "PLATFORM", value_delimiter = ',')]
    pub(crate) platform: Vec<Platform>,
    /// Only the I-th of N parts of what is selected: several machines build one workspace
    #[arg(long, value_name = "I/N")]
    pub(crate) shard: Option<Shard>,
    /// Publish nothing; put layers and what is known of bases where --substitute finds them: docker://HOST/NAME
    ///
    /// Every variant of the recipes, and of those that they stand on. Base layers stay where they are.
    #[arg(long, value_name = "PLACE", conflicts_with_all = ["tag", "all_variants", "platform"])]
    pub(crate) outputs: Option<Place>,
    #[command(flatten)]
    pub(crate) net: Net,
}

/// Put everything that recipes fetch into vendor/
///
/// Files by their sha256, as the committed locks pin them. What lies there is taken from there: with --offline nothing else
/// is needed.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper vendor --all
  cooper build --all --locked --offline")]
pub(crate) struct Vendor {
    #[command(flatten)]
    pub(crate) select: Targets,
    /// Open no connection [env: COOPER_OFFLINE]
    #[arg(long)]
    pub(crate) offline: bool,
}

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
    pub(crate) select: Targets,
    /// Run `[service] check` of each image in an engine
    #[arg(long)]
    pub(crate) run: bool,
    /// The engine's program; otherwise docker, or podman where there is no docker
    #[arg(long, value_name = "PROGRAM", requires = "run")]
    pub(crate) engine: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) net: Net,
}

/// Print what runs a stack: a Compose file, Kubernetes manifests or Quadlet units
///
/// Made of [service] of its recipes. Images are named by the ID that an engine without a registry knows them by (`cooper build
/// STACK --to docker-daemon:` brings them there), or with --published as their registry has them, by digest. Don't edit the
/// result: what a site changes goes into an override file beside it.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper compose shop --variant dev -o compose.yaml && docker compose -p shop up
  cooper compose shop --published -o deploy/compose.yaml
  cooper compose shop/web                      one service, and what it waits for
  cooper compose shop --kube -o shop.yaml
  cooper compose shop --quadlet -o ~/.config/containers/systemd/")]
pub(crate) struct Compose {
    /// A stack, or recipes of one
    #[arg(value_name = "STACK", required = true)]
    pub(crate) targets: Vec<String>,
    /// Which variant of each recipe; otherwise the workspace's default one
    #[arg(long, value_name = "VARIANT")]
    pub(crate) variant: Option<String>,
    /// Name images as [publish] does, by digest
    #[arg(long)]
    pub(crate) published: bool,
    /// Kubernetes manifests, with published images
    #[arg(long)]
    pub(crate) kube: bool,
    /// Units for Podman's Quadlet
    #[arg(long, conflicts_with = "kube")]
    pub(crate) quadlet: bool,
    /// Write to a file, or into a directory, in place of standard output
    #[arg(short, long, value_name = "PATH")]
    pub(crate) output: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) net: Net,
}

/// Look after the store
#[derive(Debug, Subcommand)]
#[command(after_help = "Example:
  cooper store verify")]
pub(crate) enum Store {
    Verify(StoreVerify),
}

/// Read every blob and compare it with its digest
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper store verify              exit code 1 when something is damaged
  cooper store verify --repair     take out what is damaged; the next build makes or fetches it again")]
pub(crate) struct StoreVerify {
    /// Take out what is damaged
    #[arg(long)]
    pub(crate) repair: bool,
}

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
    pub(crate) dry_run: bool,
}

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cooper completions bash > ~/.local/share/bash-completion/completions/cooper
  cooper completions zsh  > ~/.zfunc/_cooper
  cooper completions fish > ~/.config/fish/completions/cooper.fish")]
pub(crate) struct Completions {
    /// bash, zsh, fish, powershell or elvish
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

impl Command {
    /// Whether its results can be written so.
    pub(crate) const fn takes(&self, format: Format) -> bool {
        match format {
            Format::Text | Format::Json => true,
            Format::Markdown => matches!(self, Self::Update(_)),
            _ => matches!(self, Self::Show(Show { digests: true, .. })),
        }
    }

    /// The limits that were given.
    pub(crate) fn net(&self) -> Net {
        match self {
            Self::Build(args) => args.net.clone(),
            Self::Lock(args) => args.net.clone(),
            Self::Copy(args) => args.net.clone(),
            Self::Push(args) => args.net.clone(),
            Self::Check(args) => args.net.clone(),
            Self::Compose(args) => args.net.clone(),
            Self::Update(args) => Net { offline: args.offline, ..Net::default() },
            Self::Vendor(args) => Net { offline: args.offline, ..Net::default() },
            Self::Pull(args) => Net { offline: args.offline, ..Net::default() },
            // It looks at what is there.
            Self::List(_) => Net { offline: true, ..Net::default() },
            _ => Net::default(),
        }
    }
}

impl Cli {
    /// Reads the arguments. Help and version are printed here, and what can't be understood is told.
    pub(crate) fn read(arguments: Vec<OsString>) -> Result<Self, Exit> {
        let color = match () {
            () if given(&arguments, "--color", "always") => clap::ColorChoice::Always,
            () if given(&arguments, "--color", "never") => clap::ColorChoice::Never,
            () => clap::ColorChoice::Auto,
        };
        let read = Self::command().color(color).try_get_matches_from(&arguments);
        read.and_then(|read| Self::from_arg_matches(&read)).map_err(|error| {
            let global = Global {
                format: if given(&arguments, "--format", "json") { Format::Json } else { Format::Text },
                ..Global::default()
            };
            clap_failed(&error, settings::shell(&global, &settings::variable))
        })
    }
}

/// Whether an option has a value, where the arguments can't be read any better yet.
fn given(arguments: &[OsString], option: &str, value: &str) -> bool {
    arguments.windows(2).any(|pair| pair[0] == option && pair[1] == value)
        || arguments.iter().any(|argument| *argument == *format!("{option}={value}"))
}

fn clap_failed(error: &clap::Error, shell: Shell) -> Exit {
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
    if shell.format == Format::Json {
        let text = error.render().to_string();
        let mut paragraphs = text.trim().split("\n\n");
        let message = paragraphs.next().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let problem = paragraphs.fold(Problem::usage(message), |problem, more| problem.hint(more.trim()));
        return shell.failure(&problem.into(), ".".as_ref());
    }
    _ = error.print();
    Exit::Usage
}
