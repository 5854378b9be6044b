//! Git, asked what it knows of a checkout.
//!
//! A checkout may come from anybody, and its configuration with it, which names programs: a monitor of its files, filters of
//! their contents, hooks, helpers of transports. Whoever builds didn't ask for any of them, so all are switched off, whoever
//! set them, and nothing of the repository is written. Git may also hang (a pipe in place of `.gitignore`), so it has a time.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use cooperage::ops;

use crate::helper::{self, Unheard};

/// All questions of a command together. Nobody waits longer for a warning.
const LIMIT: Duration = Duration::from_secs(10);
/// More names are counted.
const SHOWN: usize = 20;

/// Settings that name programs or begin something, as they are for our questions.
const SAFE: [&str; 8] = [
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "core.sshCommand=",
    "core.askPass=",
    "core.pager=cat",
    "diff.external=",
    "credential.helper=",
    "safe.bareRepository=explicit",
];

/// Why nobody knows: for a warning.
#[derive(Debug)]
struct Unknown(String);

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "git doesn't tell which files are committed: {}", self.0)
    }
}

/// A checkout of git.
struct Git {
    root: PathBuf,
    /// `NAME=VALUE` for `-c`.
    settings: Vec<OsString>,
    until: Instant,
}

impl Git {
    /// The checkout that a directory is in; none without git.
    fn open(root: &Path) -> Result<Option<Self>, Unknown> {
        // Where there is none, nothing is to be started.
        if !root.ancestors().any(|directory| directory.join(".git").symlink_metadata().is_ok()) {
            return Ok(None);
        }
        let settings = SAFE.iter().map(OsString::from).collect();
        let mut git = Self { root: root.to_owned(), settings, until: Instant::now() + LIMIT };
        let Some(names) = git.ask(&["config", "--includes", "--name-only", "--list", "-z"])? else {
            return Ok(None);
        };
        git.settings.extend(blanked(&names)?);
        Ok(Some(git))
    }

    /// The one way in which git is called. What it says; nothing where it isn't there or fails, as where there is no repository.
    #[allow(clippy::disallowed_methods, reason = "git is a program")]
    fn ask(&self, arguments: &[&str]) -> Result<Option<Vec<u8>>, Unknown> {
        let mut command = Command::new("git");
        command.arg("-C").arg(&self.root).args(["--no-pager", "--literal-pathspecs"]);
        for setting in &self.settings {
            command.arg("-c").arg(setting);
        }
        command.args(arguments);
        // No lock is taken to remember what was found, nobody is asked for a password, and nothing is fetched from anywhere.
        let safe = [("OPTIONAL_LOCKS", "0"), ("TERMINAL_PROMPT", "0"), ("NO_LAZY_FETCH", "1")];
        command.envs(safe.map(|(name, value)| (format!("GIT_{name}"), value)));
        command.env("GIT_ALLOW_PROTOCOL", "none");
        // A hook that calls us speaks of its own repository.
        for name in ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_EXTERNAL_DIFF"] {
            command.env_remove(name);
        }
        let left = self.until.saturating_duration_since(Instant::now());
        match helper::ask(&mut command, "", left) {
            Ok(said) => Ok(Some(said.out).filter(|_| said.success)),
            Err(Unheard::Unstarted(_)) => Ok(None),
            Err(Unheard::Late(_)) => Err(Unknown(Unheard::Late(LIMIT).to_string())),
            Err(error) => Err(Unknown(error.to_string())),
        }
    }

    fn names(&self, arguments: &[&str]) -> Result<Vec<String>, Unknown> {
        let said = self.ask(arguments)?.unwrap_or_default();
        let names = said.split(|byte| *byte == 0).filter(|name| !name.is_empty());
        Ok(names.map(|name| String::from_utf8_lossy(name).into_owned()).collect())
    }
}

/// Settings that take every filter out of the way that a configuration has; `names` is its list.
fn blanked(names: &[u8]) -> Result<Vec<OsString>, Unknown> {
    let mut settings = Vec::new();
    for name in names.split(|byte| *byte == 0).filter(|name| name.starts_with(b"filter.")) {
        let value = match name.rsplit(|byte| *byte == b'.').next() {
            Some(b"clean" | b"smudge" | b"process") => "=",
            Some(b"required") => "=false",
            _ => continue,
        };
        // What follows the first `=` would be the value.
        if name.contains(&b'=') {
            return Err(Unknown("its configuration has a filter with = in its name".to_owned()));
        }
        settings.push([OsStr::from_bytes(name), OsStr::new(value)].into_iter().collect());
    }
    Ok(settings)
}

/// Warns of files that recipes take and that git doesn't know, or is told to ignore: on another machine they will be missing.
pub(crate) fn uncommitted_sources(env: &ops::Env<'_>, recipes: &[String]) -> Vec<String> {
    let found = match root(&env.dir) {
        Some(root) if !recipes.is_empty() => sources(env, root, recipes),
        _ => Ok(Vec::new()),
    };
    found.unwrap_or_else(|unknown| vec![unknown.to_string()])
}

fn sources(env: &ops::Env<'_>, root: &Path, recipes: &[String]) -> Result<Vec<String>, Unknown> {
    // No git, or no checkout: nothing is tracked, and nobody expects it to be.
    let Some(git) = Git::open(root)? else { return Ok(Vec::new()) };
    let list = ["ls-files", "--others", "--exclude-standard", "--directory", "-z"];
    let folders: Vec<String> = recipes.iter().map(|recipe| format!("recipes/{recipe}")).collect();
    let folders = folders.iter().map(String::as_str);
    let untracked = git.names(&list.into_iter().chain(["--"]).chain(folders).collect::<Vec<_>>())?;
    // Also of recipes that these extend.
    let ignored = git.names(&list.into_iter().chain(["--ignored", "--", "recipes"]).collect::<Vec<_>>())?;
    // Those that nobody takes are ignored for a reason; what can't be read was reported by the verb.
    let ignored = match ignored.is_empty() {
        true => Vec::new(),
        false => ops::taken(env, recipes, &ignored).unwrap_or_default().into_iter().collect(),
    };
    let mut warnings = told(untracked, "is not tracked by git");
    warnings.extend(told(ignored, "is ignored by git: a checkout elsewhere won't have it"));
    Ok(warnings)
}

/// Warns of what a checkout has beyond its commit: what is made of it can't be made of any commit.
pub(crate) fn uncommitted(env: &ops::Env<'_>) -> Vec<String> {
    let found = root(&env.dir).map_or_else(|| Ok(Vec::new()), changes);
    found.unwrap_or_else(|unknown| vec![unknown.to_string()])
}

fn changes(root: &Path) -> Result<Vec<String>, Unknown> {
    let Some(git) = Git::open(root)? else { return Ok(Vec::new()) };
    let status = [
        "status",
        "--porcelain=v1",
        "-z",
        "--no-renames",
        "--ignore-submodules=all",
        "--untracked-files=normal",
        "--",
        "recipes",
        "lockfiles",
        "cooper.toml",
    ];
    let changed = git.names(&status)?;
    if changed.is_empty() {
        return Ok(Vec::new());
    }
    // It names them from the top of its checkout.
    let above = git.ask(&["rev-parse", "--show-prefix"])?.unwrap_or_default();
    let above = String::from_utf8_lossy(&above).trim_end_matches('\n').to_owned();
    let name = |line: &String| {
        let name = line.get(3..).unwrap_or_default();
        name.strip_prefix(&above).unwrap_or(name).to_owned()
    };
    Ok(told(changed.iter().map(name).collect(), "is not as it was committed"))
}

fn told(names: Vec<String>, what: &str) -> Vec<String> {
    let more = names.len().saturating_sub(SHOWN);
    let mut lines: Vec<String> = names.iter().take(SHOWN).map(|name| format!("{name} {what}")).collect();
    lines.extend((more > 0).then(|| format!("and {more} more, each of which {what}")));
    lines
}

/// The workspace.
fn root(dir: &Path) -> Option<&Path> {
    dir.ancestors().find(|dir| dir.join("cooper.toml").is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_filter_is_blanked() {
        let names = b"user.name\0filter.a.clean\0filter.a.b.smudge\0filter.x y\nz.process\0filter.a.required\0filter.a.other\0";
        let settings: Vec<String> =
            blanked(names).unwrap().into_iter().map(|setting| setting.into_string().unwrap()).collect();
        assert_eq!(
            settings,
            ["filter.a.clean=", "filter.a.b.smudge=", "filter.x y\nz.process=", "filter.a.required=false"]
        );
        assert!(blanked(b"filter.a=b.clean\0").is_err());
        assert!(blanked(b"filter.a=b.other\0").is_ok());
    }

    #[test]
    fn many_names_are_counted() {
        let names = |count| (0..count).map(|number: usize| number.to_string()).collect::<Vec<_>>();
        assert_eq!(told(names(SHOWN), "x").len(), SHOWN);
        assert_eq!(told(names(SHOWN + 2), "x")[SHOWN], "and 2 more, each of which x");
    }
}
