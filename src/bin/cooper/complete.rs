//! What a shell offers when somebody presses Tab: it asks this program, by a variable that the script of
//! `cooper completions` sets.
//!
//! Says nothing of what can't be read: a shell has no place for it.

use std::collections::BTreeSet;
use std::env::args_os;
use std::ffi::OsStr;
use std::path::PathBuf;

use clap_complete::CompleteEnv;
use clap_complete::engine::CompletionCandidate;
use clap_complete::env::Shells;
use cooperage::recipe::parse_workspace;
use cooperage::workspace::{self, Target, Workspace};

/// Set by the script.
const VARIABLE: &str = "COOPER_COMPLETE";

/// Answers a shell and ends, if one asks.
pub(crate) fn answer(command: fn() -> clap::Command) {
    CompleteEnv::with_factory(command).var(VARIABLE).complete();
}

/// What tells a shell to ask.
pub(crate) fn script(shell: &str) -> Vec<u8> {
    let mut script = Vec::new();
    if let Some(shell) = Shells::builtins().completer(shell) {
        // Writing to memory can't fail.
        _ = shell.write_registration(VARIABLE, "cooper", "cooper", "cooper", &mut script);
    }
    script
}

/// Recipes, their stacks, and behind a `#` their variants.
pub(crate) fn targets(current: &OsStr) -> Vec<CompletionCandidate> {
    let Some((workspace, recipes)) = recipes() else { return Vec::new() };
    let current = current.to_string_lossy();
    let names: BTreeSet<String> = match current.split_once('#') {
        Some((recipe, _)) => {
            variants(&workspace).into_iter().map(|name| format!("{recipe}#{name}")).collect()
        }
        None => recipes.iter().flat_map(|target| [target.stack.clone(), target.to_string()]).collect(),
    };
    names.into_iter().filter(|name| name.starts_with(&*current)).map(CompletionCandidate::new).collect()
}

/// The stacks.
pub(crate) fn stacks() -> Vec<CompletionCandidate> {
    let stacks =
        recipes().into_iter().flat_map(|(_, recipes)| recipes.into_iter().map(|target| target.stack));
    stacks.collect::<BTreeSet<_>>().into_iter().map(CompletionCandidate::new).collect()
}

/// The workspace's variants.
pub(crate) fn variant() -> Vec<CompletionCandidate> {
    recipes().iter().flat_map(|(workspace, _)| variants(workspace)).map(CompletionCandidate::new).collect()
}

fn recipes() -> Option<(Workspace, Vec<Target>)> {
    let words: Vec<_> = args_os().collect();
    let given = words.windows(2).find(|pair| pair[0] == "-C" || pair[0] == "--directory");
    let here = std::env::current_dir().ok()?;
    let dir = given.map_or_else(|| here.clone(), |pair| here.join(PathBuf::from(&pair[1])));
    let workspace = Workspace::find(&dir).ok()?;
    let recipes = workspace.recipes().ok()?;
    Some((workspace, recipes))
}

fn variants(workspace: &Workspace) -> Vec<String> {
    parse_workspace(workspace::FILE, workspace.text()).map(|file| file.variants).unwrap_or_default()
}
