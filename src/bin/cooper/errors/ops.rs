//! What stops a verb, beside what the rooms say themselves.

use cooperage::layer::BuildError;
use cooperage::layer::error::ReadError;
use cooperage::oci::DocumentError;
use cooperage::ops::Error;
use cooperage::{recipe as recipes, sink as sinks, substitute as substitutes};

use super::problem::{Machine, Problem, Room};
use super::recipe::{SECRET_HINT, did_you_mean};
use super::substitute::{self, BASE_HINT, base_hint, place_hint};
use super::{lock, registry, sink, store, workspace};
use crate::exit::Exit;

/// For what is sound, and of another kind.
const KIND_HINT: &str = "take an image of Linux with layers of its own; `skopeo copy --format oci` converts older kinds of manifests";

impl Room for Error {
    fn machine(&self) -> Option<Machine<'_>> {
        match self {
            Self::Disk(error) => Some(Machine::Disk(error)),
            Self::Damaged { source, .. }
            | Self::BaseLayer { source: ReadError::Io(source), .. }
            | Self::Layer { source: BuildError::Read { source, .. } | BuildError::Write(source), .. } => {
                Some(Machine::Io(source))
            }
            Self::Base { source, .. } | Self::Substitute(source) => substitute::io(source).map(Machine::Io),
            _ => None,
        }
    }
}

/// Every error that is one problem.
pub(super) fn problem(error: &Error) -> Problem {
    match error {
        Error::Workspace(error) => workspace::problem(error),
        Error::Store(error) => store::problem(error),
        Error::Sink(error) if !matches!(error, sinks::Error::Registry(_)) => sink::problem(error),
        Error::Lock { file, source } => lock::problem(file, source),
        // What is written in a file is no command line.
        Error::At { at, source } if matches!(**source, Error::Usage { .. }) => {
            Problem::new("recipe", Exit::Input, source.to_string()).at(Some(at.clone()), None)
        }
        Error::At { at, source } => problem(source).at(Some(at.clone()), None),
        Error::Source { at, source } => workspace::source(source).at(Some(at.clone()), None),
        Error::Unopened { source, .. } => problem(source)
            .hint("a build needs no layer of its base, a whole image does: put the base back where it was")
            .hint("or name a place that has its layers, --substitute oci:DIR, oci-archive:FILE or docker://HOST/NAME")
            .hint("or bring them along in vendor/: `cooper vendor --bases`, where the base can be reached"),
        Error::SetLocked | Error::Usage { .. } | Error::Platform(_) => Problem::usage(error.to_string()),
        Error::Layer { source: BuildError::Encoder { .. }, .. } => Problem::bug(&error.to_string()),
        error => registry::problem(error).unwrap_or_else(|| own(error)),
    }
}

/// The errors of the verbs themselves, and of rooms that have no more to say than where and why.
fn own(error: &Error) -> Problem {
    let (kind, exit) = kind(error);
    let problem = Problem::chain(kind, exit, error).hints(hints(error));
    match error {
        Error::Conflict { file, differences } => {
            differences.iter().fold(problem, |problem, it| problem.note(it.as_str())).file(file)
        }
        Error::Tags(tags) if tags.len() > 1 => {
            tags.iter().fold(problem, |problem, tag| problem.note(tag.to_string()))
        }
        Error::NoPlatform { recipe, .. } if !recipe.is_empty() => problem.note(format!("in {recipe}")),
        Error::NoOutput { file, .. } | Error::LineEndings { file } => problem.file(file),
        Error::Unpublished { .. } => problem.file("cooper.toml"),
        Error::Secret { at, .. } => problem.at(Some(at.clone()), None),
        _ => problem,
    }
}

/// The word for scripts, and how to end unless the machine is at the bottom of it.
const fn kind(error: &Error) -> (&'static str, Exit) {
    match error {
        Error::Conflict { .. } => ("lock", Exit::Input),
        Error::Unfetched { .. } => ("lock", Exit::No),
        Error::Unlisted { .. } => ("lock", Exit::Input),
        Error::NoOutput { .. } => ("lock", Exit::Missing),
        Error::Tags(_) => ("tag", Exit::No),
        Error::Foreign { .. } | Error::LineEndings { .. } => ("source", Exit::Input),
        Error::Nowhere { .. } => ("source", Exit::Missing),
        Error::Circle { .. }
        | Error::TooDeep { .. }
        | Error::NoParent { .. }
        | Error::NoCatalogue { .. }
        | Error::NotHere { .. } => ("recipe", Exit::Input),
        Error::NoVariant { .. } => ("no-target", Exit::Missing),
        Error::Offline { .. } | Error::Unpinned { .. } | Error::NotLocked { .. } => ("base", Exit::Missing),
        Error::Base { source: substitutes::Error::NoSuchImage { .. }, .. } => ("base", Exit::Missing),
        Error::Substitute(substitutes::Error::NoSuchImage { .. }) => ("base", Exit::Missing),
        Error::NoPlatform { .. }
        | Error::Base { .. }
        | Error::Document { .. }
        | Error::BaseLayer { .. }
        | Error::Damaged { .. }
        | Error::Substitute(_)
        | Error::Facts { .. } => ("base", Exit::Input),
        Error::Unpublished { .. } => ("workspace", Exit::Input),
        Error::Absent { .. } => ("absent", Exit::Missing),
        Error::Secret { .. } => ("secret", Exit::Input),
        Error::Layer { .. } => ("layer", Exit::Input),
        Error::Image { .. } => ("image", Exit::Input),
        Error::Exists { .. } => ("exists", Exit::Input),
        _ => ("io", Exit::System),
    }
}

/// Whether it is a plain URL: no registry has it.
fn is_fetched(name: &str) -> bool {
    name.starts_with("https://") || name.starts_with("http://")
}

/// What to do; those of an I/O error at the bottom come before.
fn hints(error: &Error) -> Vec<String> {
    let text = match error {
        Error::Conflict { .. } => "`cooper lock --take ours` or `--take theirs` chooses",
        Error::Unfetched { recipe, .. } => return vec![format!("`cooper lock {recipe}` pins it")],
        Error::Circle { .. } => "one of them must stand on something else",
        Error::TooDeep { .. } => "say in one recipe what several say of each other",
        Error::Unlisted { .. } => {
            "restore the lock from version control, or run `cooper lock`, which lists it anew"
        }
        Error::NoCatalogue { name, suggestion } => {
            let table = format!("a table [catalogue.{name}] says where it is: path, or fetch and sha256");
            return did_you_mean(suggestion.as_ref()).into_iter().chain([table]).collect();
        }
        Error::NotHere { name, catalogue, .. } => {
            return vec![format!(
                "make recipes/{name}/recipe.toml here, with extends = \"{catalogue}:{name}\": its lock is yours"
            )];
        }
        Error::NoParent { suggestion, .. } => return did_you_mean(suggestion.as_ref()).into_iter().collect(),
        Error::NoVariant { name, known } => {
            let meant = recipes::suggest(name, known.iter().map(String::as_str));
            let known = format!("it has {}", known.join(", "));
            return did_you_mean(meant.as_ref()).into_iter().chain([known]).collect();
        }
        Error::NoPlatform { .. } => "[image] platforms says which ones the recipe is built for",
        Error::Offline { reference } if is_fetched(reference) => {
            "`cooper vendor` keeps what is fetched in the workspace; or leave out --offline"
        }
        Error::Base { base, source, .. } => return base_hint(base, source).into_iter().collect(),
        Error::Substitute(source) => return place_hint(source).into_iter().collect(),
        Error::NoOutput { .. } => "run `cooper build`",
        Error::Tags(_) => {
            "give it another tag; --move-tags moves it all the same, and [publish] moving in cooper.toml names tags that move"
        }
        Error::Unpublished { .. } => {
            "add a table [publish] with repository = \"registry.example/{{ stack }}/{{ name }}\""
        }
        Error::Offline { .. } => "leave out --offline",
        Error::NotLocked { .. } => "`cooper lock` makes it known, with the registry at hand",
        Error::Unpinned { .. } => "run `cooper lock` without --offline",
        Error::Document {
            source: DocumentError::Unsupported { .. } | DocumentError::Opaque { .. }, ..
        } => KIND_HINT,
        Error::Document { .. } | Error::BaseLayer { .. } => BASE_HINT,
        Error::Facts { .. } => "restore lockfiles/blobs from version control, or run `cooper lock`",
        Error::Layer { source: BuildError::Changed { .. }, .. } => "run it again, with --no-index to be sure",
        Error::LineEndings { .. } => "add `recipes/** -text` to .gitattributes, and check the file out again",
        Error::Secret { .. } => SECRET_HINT,
        _ => return Vec::new(),
    };
    vec![text.to_owned()]
}
