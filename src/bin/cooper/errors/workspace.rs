//! Workspaces and sources that aren't there, or can't be read.

use cooperage::disk;
use cooperage::workspace::{self, Error};

use super::problem::{Machine, Problem, Room};
use crate::exit::Exit;

impl Room for Error {
    fn machine(&self) -> Option<Machine<'_>> {
        match self {
            Self::Disk(error) => Some(Machine::Disk(error)),
            _ => None,
        }
    }
}

pub(super) fn problem(error: &workspace::Error) -> Problem {
    let missing = |kind| Problem::chain(kind, Exit::Missing, error);
    match error {
        Error::NoWorkspace { .. } => {
            missing("no-workspace").hint("`cooper init` makes one here; -C DIR says where one is")
        }
        Error::NoTarget { .. } => missing("no-target").hint("`cooper list --all` tells what there is"),
        Error::NoSource { .. } | Error::NoMatch { .. } | Error::NothingLeft { .. } => missing("no-source"),
        Error::Pattern { text, .. } => Problem::usage(error.to_string())
            .hints(meant(text))
            .hint("a target is stack/name, stack/name#variant, a stack, or a glob of them"),
        Error::Misplaced { path } => Problem::chain("workspace", Exit::Input, error).hint(format!(
            "recipes lie in recipes/STACK/NAME/recipe.toml: mkdir -p recipes/STACK/NAME, and mv {} there",
            path.display()
        )),
        Error::NotText { .. } => Problem::chain("workspace", Exit::Input, error)
            .hint("save it as UTF-8; a damaged one is restored from version control"),
        Error::Blob { .. } => Problem::chain("lock", Exit::Input, error)
            .hint("restore it from version control, or delete it and run `cooper lock`"),
        Error::Disk(disk::Error::Led { out_of, .. }) => {
            let problem = Problem::chain("workspace", Exit::Input, error)
                .hint("put what it leads to in its place: cooper follows no link out of a workspace");
            if out_of.is_none() {
                return problem;
            }
            problem.hint(format!("or name the place yourself: --lockfiles DIR, --input NAME=PATH; {SITE}"))
        }
        Error::Elsewhere { .. } => Problem::chain("workspace", Exit::Input, error)
            .hint(format!("take it into the workspace; {SITE}")),
        _ => Problem::chain("workspace", Exit::Input, error),
    }
}

/// A variant written as a tag, or a file that a recipe has.
fn meant(text: &str) -> Option<String> {
    let file = text.strip_suffix("/recipe.toml").or_else(|| text.strip_suffix(".lock"));
    if let Some(recipe) = file {
        let names: Vec<&str> = recipe.rsplit('/').take(2).collect();
        return Some(format!("did you mean {}?", names.into_iter().rev().collect::<Vec<_>>().join("/")));
    }
    let (name, variant) = text.split_once(':').filter(|(name, _)| !name.is_empty())?;
    let of =
        format!("a variant stands behind a #, and tags are [image] tags: did you mean {name}#{variant}?");
    (!variant.is_empty() && !variant.contains(['/', '#', ':'])).then_some(of)
}

const SITE: &str = "what recipes may read elsewhere, `allow-files` of the site's configuration says";

/// What a `from` names.
pub(super) fn source(error: &workspace::Error) -> Problem {
    let problem = problem(error);
    let hint = match error {
        Error::NoSource { suggestion: None, .. } => "`from` is relative to the directory of its recipe.toml",
        Error::NoMatch { pattern, .. } if pattern.contains("${") => "a variable is {{ name }}, of [vars]",
        Error::NoMatch { .. } => "a glob must match something; `**` is any number of directories",
        Error::NothingLeft { .. } => "leave the entry out, or exclude less",
        Error::Outside { .. } => "copy the file into the recipe's directory: what it is made of lies there",
        Error::SameName { .. } => "give them entries of their own",
        _ => return problem,
    };
    problem.hint(hint)
}
