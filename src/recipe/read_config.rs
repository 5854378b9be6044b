//! Reads `[config]`, and the tables of scalars that `[service]` has too.

use std::collections::BTreeMap;
use std::ops::Range;

use super::check::Checker;
use super::config::{Check, Cmd, Config, ConfigRemove, Healthcheck};
use super::loose::{Loose, Never, Scalar};
use super::span::S;
use super::words::{self, env_name, invalid};
use super::{Error, ErrorKind, Spanned, What, raw, v1};

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
            cx.literal(port, v1::port);
        }
        for path in config.volumes.iter().flatten().chain(&config.workdir) {
            cx.literal(path, v1::rooted);
        }
        config
    }
}

impl Cmd {
    fn read(raw: S<Loose<Never>>, cx: &mut Checker) -> Option<Self> {
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
            cx.read(&text, v1::duration)
        };
        let (interval, timeout, start) = (time(raw.interval), time(raw.timeout), time(raw.start));
        let retries =
            cx.number(raw.retries, 1..=i64::from(i32::MAX)).and_then(|number| u32::try_from(number).ok());
        let check = Self { cmd: cx.keep(raw.cmd), interval, timeout, start, retries };
        cx.errors.extend(check.wrong_command());
        check
    }

    /// What is wrong with its command, as written or filled in.
    pub(super) fn wrong_command(&self) -> Option<Error> {
        let cmd = self.cmd.as_ref()?;
        let kind = words::health_command(cmd.iter().map(|word| word.value.as_str())).err()?;
        Some(Error { at: Some(cmd[0].at.clone()), kind })
    }
}

/// A table of environment variables.
pub(super) fn env(
    table: Option<BTreeMap<String, S<Scalar>>>,
    cx: &mut Checker,
) -> BTreeMap<String, Spanned<String>> {
    let env = scalars(table, cx);
    for (name, value) in &env {
        cx.read(&value.with(name.clone()), env_name);
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
