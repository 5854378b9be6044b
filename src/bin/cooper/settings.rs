//! From arguments and environment to resolved settings.

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use cooperage::digest::Implementation;
use cooperage::oci::{Place, Platform, json};
use cooperage::ops;
use cooperage::progress::Progress;
use cooperage::registry::Registries;
use cooperage::store::fingerprint;

use crate::errors::{Failure, Problem};
use crate::exit::Exit;
use crate::options::{Color, Format, Global, Net};
use crate::shell::Shell;
use crate::site::Places;
use crate::variables::Variables;

/// What commands work with.
#[derive(Debug)]
pub(crate) struct Settings {
    /// `-C`, absolute.
    pub(crate) dir: PathBuf,
    store: PathBuf,
    lockfiles: Option<PathBuf>,
    index: bool,
    jobs: Option<usize>,
    /// `--locked` or `COOPER_LOCKED`.
    pub(crate) locked: bool,
    offline: bool,
    substitute: Vec<Place>,
    epoch: Option<i64>,
    engine: String,
    registries: Registries,
}

impl Settings {
    /// Resolves them. Relative paths start at `-C`.
    pub(crate) fn resolve(global: &Global, net: Net, env: Variables<'_>) -> Result<Self, Failure> {
        sha256(env)?;
        let start = std::env::current_dir()
            .map_err(|error| Failure::from(Problem::io("find the current directory", &error)))?;
        let dir = global.directory.as_ref().map_or_else(|| start.clone(), |dir| start.join(dir));
        if !dir.is_dir() {
            let problem =
                Problem::new("not-found", Exit::Missing, format!("{} is no directory", dir.display()));
            return Err(problem.hint("-C takes a directory: the workspace, or one inside it").into());
        }
        let store = match &global.store {
            Some(store) => store.clone(),
            None => default_store(env)?,
        };
        Ok(Self {
            store: dir.join(store),
            lockfiles: global.lockfiles.as_ref().map(|path| dir.join(path)),
            index: !global.no_index,
            jobs: global.jobs,
            locked: flag("COOPER_LOCKED", env)? || net.locked,
            offline: flag("COOPER_OFFLINE", env)? || net.offline,
            substitute: substitute(net.substitute, env)?,
            epoch: epoch(env)?,
            registries: {
                let places = Places::of(env);
                Registries::new(move || places.client())
            },
            engine: text("DOCKER_HOST", env)?.unwrap_or_else(|| "unix:///var/run/docker.sock".into()),
            dir,
        })
    }

    /// What verbs are given.
    pub(crate) fn env(&self, progress: Arc<dyn Progress>) -> ops::Env<'_> {
        ops::Env {
            dir: self.dir.clone(),
            store: self.store.clone(),
            lockfiles: self.lockfiles.clone(),
            index: self.index.then(program),
            locked: self.locked,
            offline: self.offline,
            substitute: self.substitute.clone(),
            epoch: self.epoch,
            engine: self.engine.clone(),
            platform: host_platform(),
            registries: &self.registries,
            progress,
        }
    }

    /// Makes the thread pool as large as `-j` says.
    pub(crate) fn start_threads(&self) -> Result<(), Failure> {
        let Some(jobs) = self.jobs else { return Ok(()) };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(jobs).build_global();
        pool.map_err(|error| {
            Problem::new("io", Exit::System, format!("cannot start {jobs} threads: {error}")).into()
        })
    }
}

/// A number of the program that runs: what another one left is believed as little as if it weren't there.
fn program() -> u64 {
    let file = std::env::current_exe().and_then(std::fs::metadata).ok();
    let look = file.map(|file| (file.ino(), file.size(), file.ctime(), file.ctime_nsec()));
    fingerprint(format!("{} {look:?}", env!("CARGO_PKG_VERSION")).as_bytes())
}

/// This machine's architecture in Go's words, as a Linux container's.
fn host_platform() -> Platform {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" if cfg!(target_endian = "big") => "ppc64",
        "powerpc64" => "ppc64le",
        "loongarch64" => "loong64",
        other => other,
    };
    Platform {
        os: "linux".into(),
        architecture: architecture.into(),
        variant: None,
        rest: json::Object::new(),
    }
}

/// How to print: settled before anything can fail.
pub(crate) fn shell(global: &Global, env: Variables<'_>) -> Shell {
    Shell {
        format: global.format,
        quiet: global.quiet,
        styled: styled(global, env, io::stderr().is_terminal()),
    }
}

fn styled(global: &Global, env: Variables<'_>, terminal: bool) -> bool {
    let is = |name: &str, value: &str| env(name).is_some_and(|found| found == value);
    match global.color {
        _ if global.format == Format::Json => false,
        Color::Always => true,
        Color::Never => false,
        Color::Auto if env("NO_COLOR").is_some() => false,
        Color::Auto if env("CLICOLOR_FORCE").is_some() && !is("CLICOLOR_FORCE", "0") => true,
        Color::Auto => terminal && !is("CLICOLOR", "0") && !is("TERM", "dumb"),
    }
}

fn default_store(env: Variables<'_>) -> Result<PathBuf, Failure> {
    let absolute = |name| env(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if let Some(store) = env("COOPER_STORE") {
        return Ok(store.into());
    }
    // The XDG specification: a relative path is to be ignored.
    let data = absolute("XDG_DATA_HOME").or_else(|| Some(absolute("HOME")?.join(".local/share")));
    data.map(|data| data.join("cooper/store")).ok_or_else(|| {
        Problem::usage("there is no place for the store: neither COOPER_STORE nor HOME is set")
            .hint("give one: --store DIR")
            .into()
    })
}

fn text(name: &str, env: Variables<'_>) -> Result<Option<String>, Failure> {
    env(name).map(OsString::into_string).transpose().map_err(|value| {
        Problem::usage(format!("{name} is not UTF-8: {}", Path::new(&value).display())).into()
    })
}

fn flag(name: &str, env: Variables<'_>) -> Result<bool, Failure> {
    match text(name, env)?.as_deref() {
        None | Some("0" | "false" | "no") => Ok(false),
        Some("1" | "true" | "yes") => Ok(true),
        Some(other) => Err(Problem::usage(format!("{name} is {other:?}")).hint("it takes 1 or 0").into()),
    }
}

/// Whose code computes SHA-256, for benchmarks: what comes out is the same.
fn sha256(env: Variables<'_>) -> Result<(), Failure> {
    let name = "COOPER_SHA256";
    let Some(text) = text(name, env)? else { return Ok(()) };
    if text.parse().is_ok_and(Implementation::take) {
        return Ok(());
    }
    // `benches/` reads this line.
    let hint = format!("it takes sha2 or ring; without it this is taken: {}", Implementation::taken());
    Err(Problem::usage(format!("{name} is {text:?}")).hint(hint).into())
}

/// Those of the command line, then those of the environment.
fn substitute(mut places: Vec<Place>, env: Variables<'_>) -> Result<Vec<Place>, Failure> {
    let name = "COOPER_SUBSTITUTE";
    for text in text(name, env)?.unwrap_or_default().split_whitespace() {
        places.push(text.parse().map_err(|error| Problem::usage(format!("{name}: {error}")))?);
    }
    Ok(places)
}

/// <https://reproducible-builds.org/specs/source-date-epoch/>: an ASCII number of seconds, and a malformed one is fatal.
fn epoch(env: Variables<'_>) -> Result<Option<i64>, Failure> {
    let name = "SOURCE_DATE_EPOCH";
    let Some(text) = text(name, env)? else { return Ok(None) };
    text.parse().map(Some).map_err(|_| {
        Problem::usage(format!("{name} is {text:?}"))
            .hint("it takes a number of seconds since 1970-01-01, in UTC")
            .into()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with<T>(pairs: &[(&str, &str)], read: impl FnOnce(Variables<'_>) -> T) -> T {
        read(&|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| value.into()))
    }

    #[test]
    fn the_store() {
        for (pairs, store) in [
            (&[("COOPER_STORE", "/s"), ("HOME", "/h")][..], Some("/s")),
            (&[("XDG_DATA_HOME", "/d"), ("HOME", "/h")], Some("/d/cooper/store")),
            (&[("XDG_DATA_HOME", "rel"), ("HOME", "/h")], Some("/h/.local/share/cooper/store")),
            (&[], None),
        ] {
            assert_eq!(with(pairs, default_store).ok(), store.map(PathBuf::from), "{pairs:?}");
        }
    }

    #[test]
    fn flags_and_epoch() {
        assert!(with(&[("X", "1")], |env| flag("X", env)).unwrap());
        assert!(!with(&[("X", "0")], |env| flag("X", env)).unwrap());
        assert!(with(&[("X", "maybe")], |env| flag("X", env)).is_err());
        assert_eq!(with(&[("SOURCE_DATE_EPOCH", "12")], epoch).unwrap(), Some(12));
        assert!(with(&[("SOURCE_DATE_EPOCH", "today")], epoch).is_err());
    }

    #[test]
    fn colour() {
        let global = |color, format| Global { color, format, ..Global::default() };
        let auto = global(Color::Auto, Format::Text);
        for (pairs, terminal, expected) in [
            (&[][..], true, true),
            (&[][..], false, false),
            (&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], true, false),
            (&[("CLICOLOR", "0")], true, false),
            (&[("CLICOLOR_FORCE", "1")], false, true),
            (&[("TERM", "dumb")], true, false),
        ] {
            assert_eq!(with(pairs, |env| styled(&auto, env, terminal)), expected, "{pairs:?}");
        }
        assert!(with(&[("NO_COLOR", "1")], |env| styled(&global(Color::Always, Format::Text), env, false)));
        assert!(!with(&[], |env| styled(&global(Color::Always, Format::Json), env, true)));
    }
}
