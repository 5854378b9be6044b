//! `[config]`: the image's configuration as a patch, before and after interpolation.

use std::collections::BTreeMap;
use std::ops::Range;

use super::check::{self, Checker, invalid};
use super::loose::{Loose, Scalar};
use super::span::S;
use super::{ErrorKind, Spanned, What, raw, v1};

/// A patch on an image's configuration. The strings know where they were written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    /// Program and arguments; an empty list clears the base's.
    pub entrypoint: Option<Vec<Spanned<String>>>,
    /// Default arguments.
    pub cmd: Option<Cmd>,
    /// Environment variables.
    pub env: BTreeMap<String, Spanned<String>>,
    /// `user` or `user:group`, as the engine reads it.
    pub user: Option<Spanned<String>>,
    /// Working directory; absolute and normalised once resolved.
    pub workdir: Option<Spanned<String>>,
    /// Ports; `8080/tcp` once resolved.
    pub expose: Option<Vec<Spanned<String>>>,
    /// Volumes; absolute and normalised once resolved.
    pub volumes: Option<Vec<Spanned<String>>>,
    /// Labels.
    pub labels: BTreeMap<String, Spanned<String>>,
    /// Signal that stops the program.
    pub stop_signal: Option<Spanned<String>>,
    /// Docker's health check.
    pub healthcheck: Option<Healthcheck>,
    /// What is taken away from the base's configuration.
    pub remove: ConfigRemove,
}

/// `cmd`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cmd {
    /// The base's stays, beside a new entrypoint too.
    Inherit,
    /// These; an empty list clears the base's.
    Set(Vec<Spanned<String>>),
}

/// Names that are taken away from the base's configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ConfigRemove {
    /// Environment variables.
    pub env: Option<Vec<Spanned<String>>>,
    /// Ports; `8080/tcp` once resolved.
    pub expose: Option<Vec<Spanned<String>>>,
    /// Volumes, as the base wrote them.
    pub volumes: Option<Vec<Spanned<String>>>,
    /// Labels.
    pub labels: Option<Vec<Spanned<String>>>,
}

/// Docker's health check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Healthcheck {
    /// The base's is switched off.
    None,
    /// How to check.
    Check(Check),
}

/// How a health check runs. What is `None` is the engine's default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Check {
    /// Program and arguments.
    pub cmd: Option<Vec<Spanned<String>>>,
    /// Nanoseconds between checks.
    pub interval: Option<u64>,
    /// Nanoseconds that one may take.
    pub timeout: Option<u64>,
    /// Nanoseconds after the start in which failures don't count.
    pub start: Option<u64>,
    /// Failures in a row until it is unwell.
    pub retries: Option<u32>,
}

impl Config {
    pub(super) fn read(raw: raw::Config, cx: &mut Checker) -> Self {
        let remove = raw.remove.map_or_else(ConfigRemove::default, |remove| ConfigRemove {
            env: cx.keep(remove.env),
            expose: remove.expose.map(|ports| cx.scalars(ports)),
            volumes: cx.keep(remove.volumes),
            labels: cx.keep(remove.labels),
        });
        let config = Self {
            entrypoint: cx.keep(raw.entrypoint),
            cmd: raw.cmd.and_then(|cmd| Cmd::read(cmd, cx)),
            env: env(raw.env, cx),
            user: raw.user.map(|user| cx.scalar(user)),
            workdir: cx.keep(raw.workdir),
            expose: raw.expose.map(|ports| cx.scalars(ports)),
            volumes: cx.keep(raw.volumes),
            labels: scalars(raw.labels, cx),
            stop_signal: raw.stop_signal.map(|signal| cx.scalar(signal)),
            healthcheck: raw.healthcheck.and_then(|health| Healthcheck::read(health, cx)),
            remove,
        };
        for port in [&config.expose, &config.remove.expose].into_iter().flatten().flatten() {
            cx.literal(port, check::port);
        }
        for path in config.volumes.iter().flatten().chain(&config.workdir) {
            cx.literal(path, absolute);
        }
        config
    }
}

impl Cmd {
    fn read(raw: S<Loose<super::loose::Never>>, cx: &mut Checker) -> Option<Self> {
        match raw.value {
            Loose::List(list) => Some(Self::Set(cx.keep(list))),
            Loose::Text(text) if text == "inherit" => Some(Self::Inherit),
            Loose::Text(text) => {
                cx.fail(raw.range, invalid(What::Inherit, &text));
                None
            }
            other => {
                let expected = "a list or \"inherit\"".into();
                cx.fail(raw.range, ErrorKind::Type { expected, found: other.found() });
                None
            }
        }
    }
}

impl Healthcheck {
    fn read(raw: S<Loose<raw::Health>>, cx: &mut Checker) -> Option<Self> {
        match raw.value {
            Loose::Text(text) if text == "none" => Some(Self::None),
            Loose::Text(text) => {
                cx.fail(raw.range, invalid(What::Nothing, &text));
                None
            }
            Loose::Table(table) => {
                let other = [("http", range(&table.http)), ("tcp", range(&table.tcp))];
                cx.needs(&other, false, &["[service.health]"]);
                Some(Self::Check(Check::read(table, cx)))
            }
            other => {
                let expected = "a table or \"none\"".into();
                cx.fail(raw.range, ErrorKind::Type { expected, found: other.found() });
                None
            }
        }
    }
}

impl Check {
    pub(super) fn read(raw: raw::Health, cx: &mut Checker) -> Self {
        let mut time = |text: Option<S<String>>| {
            let text = cx.keep(text)?;
            cx.read(&text, check::duration)
        };
        let (interval, timeout, start) = (time(raw.interval), time(raw.timeout), time(raw.start));
        let retries =
            cx.number(raw.retries, 1..=i64::from(i32::MAX)).and_then(|number| u32::try_from(number).ok());
        Self { cmd: cx.keep(raw.cmd), interval, timeout, start, retries }
    }
}

/// A table of environment variables.
pub(super) fn env(
    table: Option<BTreeMap<String, S<Scalar>>>,
    cx: &mut Checker,
) -> BTreeMap<String, Spanned<String>> {
    let env = scalars(table, cx);
    for (name, value) in &env {
        cx.read(&value.with(name.clone()), check::env_name);
    }
    env
}

/// A table of strings, numbers and booleans.
pub(super) fn scalars(
    table: Option<BTreeMap<String, S<Scalar>>>,
    cx: &Checker,
) -> BTreeMap<String, Spanned<String>> {
    table.into_iter().flatten().map(|(name, value)| (name, cx.scalar(value))).collect()
}

/// The range of a value that is there.
pub(super) fn range<T>(value: &Option<S<T>>) -> Option<Range<usize>> {
    value.as_ref().map(|value| value.range.clone())
}

/// An absolute path, normalised.
pub(super) fn absolute(path: &str) -> Result<String, ErrorKind> {
    v1::absolute(path).map_err(|fault| ErrorKind::Path { path: path.to_owned(), fault })
}
