//! `[service]`: how the image is run. Read, checked and kept for the commands that deploy; never part of an image.

use std::collections::BTreeMap;

use super::check::{self, Checker, ensure};
use super::config::{self, Check, absolute, range};
use super::span::S;
use super::v1::{Names, Reach};
use super::{At, Error, ErrorKind, Evaluated, Scope, Spanned, What, raw};

/// How the image is run. Strings are as written until [`Evaluated::service_for`] has filled them in.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Service {
    /// Ports as Compose writes them.
    pub ports: Option<Vec<Spanned<String>>>,
    /// Environment at run time.
    pub env: BTreeMap<String, Spanned<String>>,
    /// Volumes: name to path in the container.
    pub volumes: BTreeMap<String, Spanned<String>>,
    /// Services to wait for.
    pub after: BTreeMap<String, Spanned<After>>,
    /// How to see that it is well.
    pub health: Option<Health>,
    /// Secrets by name.
    pub secrets: BTreeMap<String, Secret>,
    /// One-off runs by name.
    pub jobs: BTreeMap<String, Job>,
    /// Command that checks the configuration.
    pub check: Option<Vec<Spanned<String>>>,
    /// Command that makes the service read its configuration again.
    pub reload: Option<Vec<Spanned<String>>>,
    /// Labels of the container.
    pub labels: BTreeMap<String, Spanned<String>>,
    /// Keys of Compose that are passed through.
    pub container: Option<Spanned<toml::Table>>,
}

/// The state of another service that is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It runs.
    Started,
    /// Its health check passes.
    Healthy,
    /// It has ended well.
    Done,
}

/// How to see that a service is well: from inside, from outside, or both. A variant's table may leave either to the
/// common one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// What an orchestrator tries from outside.
    pub probe: Option<Probe>,
    /// What is run in the container, and when either is tried.
    pub check: Check,
}

/// What is tried from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// Get a URL.
    Http(Spanned<String>),
    /// Connect to a port.
    Tcp(Spanned<String>),
}

/// Where a secret comes in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Secret {
    /// Mounted at this path.
    File(Spanned<String>),
    /// In this variable.
    Env(Spanned<String>),
}

/// A one-off run of the image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Job {
    /// Where its table begins.
    pub at: Option<At>,
    /// Arguments.
    pub cmd: Option<Vec<Spanned<String>>>,
    /// Program and arguments.
    pub entrypoint: Option<Vec<Spanned<String>>>,
    /// Environment.
    pub env: BTreeMap<String, Spanned<String>>,
    /// Services to wait for.
    pub after: BTreeMap<String, Spanned<After>>,
}

impl Service {
    pub(super) fn read(raw: raw::Service, cx: &mut Checker) -> Self {
        let volumes = cx.keep(raw.volumes).unwrap_or_default();
        for (name, path) in &volumes {
            cx.read(&path.with(name.clone()), volume_name);
            cx.literal(path, absolute);
        }
        let mut jobs = BTreeMap::new();
        for (name, job) in raw.job.into_iter().flatten() {
            let at = cx.at(job.range);
            cx.read(&Spanned { value: name.clone(), at: at.clone() }, check::name);
            let job = job.value;
            let (cmd, entrypoint) = (cx.keep(job.cmd), cx.keep(job.entrypoint));
            jobs.insert(
                name,
                Job {
                    at: Some(at),
                    cmd,
                    entrypoint,
                    env: config::env(job.env, cx),
                    after: after(job.after, cx),
                },
            );
        }
        let secrets = raw.secrets.into_iter().flatten();
        Self {
            ports: raw.ports.map(|ports| cx.scalars(ports)),
            env: config::env(raw.env, cx),
            volumes,
            after: after(raw.after, cx),
            health: raw.health.map(|health| Health::read(health, cx)),
            secrets: secrets
                .filter_map(|(name, secret)| Some((name.clone(), Secret::read(&name, secret, cx)?)))
                .collect(),
            jobs,
            check: cx.keep(raw.check),
            reload: cx.keep(raw.reload),
            labels: config::scalars(raw.labels, cx),
            container: raw.container.map(|table| cx.keep(table)),
        }
    }
}

impl Health {
    fn read(raw: S<raw::Health>, cx: &mut Checker) -> Self {
        let S { value: mut raw, range: whole } = raw;
        let keys = [("http", raw.http.is_some()), ("tcp", raw.tcp.is_some())];
        if keys.iter().all(|(_, there)| *there) {
            cx.exactly_one(&keys, "[service.health]", &whole);
        }
        let probe = match (raw.http.take(), raw.tcp.take()) {
            (Some(http), _) => Some(Probe::Http(cx.keep(http))),
            (_, Some(tcp)) => Some(Probe::Tcp(cx.scalar(tcp))),
            _ => None,
        };
        Self { probe, check: Check::read(raw, cx) }
    }
}

impl Secret {
    fn read(name: &str, raw: S<raw::Secret>, cx: &mut Checker) -> Option<Self> {
        let keys = [("file", range(&raw.value.file).is_some()), ("env", range(&raw.value.env).is_some())];
        if !cx.exactly_one(&keys, "[service] secrets", &raw.range) {
            return None;
        }
        let name = Spanned { value: name.to_owned(), at: cx.at(raw.range) };
        let (file, env) = (cx.keep(raw.value.file), cx.keep(raw.value.env));
        if let Some(path) = &file {
            cx.read(&name, |name| secret_name(name, ".-"));
            cx.literal(path, absolute);
        }
        if let Some(variable) = &env {
            // Compose takes its value from a variable of the same name, and `-` for the begin of a default.
            cx.read(&name, |name| secret_name(name, ""));
            cx.literal(variable, check::env_name);
        }
        file.map(Self::File).or_else(|| env.map(Self::Env))
    }
}

/// What a cluster takes, and what is no path.
fn volume_name(text: &str) -> Result<(), ErrorKind> {
    let small = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit();
    let good = text.len() <= 63
        && text.starts_with(|char: char| char.is_ascii_lowercase())
        && text.ends_with(small)
        && text.chars().all(|char| small(char) || matches!(char, '_' | '-'));
    ensure(good, What::Volume, text)
}

/// A variable's name, with some characters more.
fn secret_name(text: &str, more: &str) -> Result<(), ErrorKind> {
    let first = |char: char| char.is_ascii_alphabetic() || char == '_';
    let good = text.len() <= 100
        && text.starts_with(first)
        && text.chars().all(|char| first(char) || char.is_ascii_digit() || more.contains(char));
    ensure(good, What::Secret, text)
}

fn after(table: Option<BTreeMap<String, S<String>>>, cx: &mut Checker) -> BTreeMap<String, Spanned<After>> {
    let mut after = BTreeMap::new();
    for (name, state) in cx.keep(table).unwrap_or_default() {
        let read = |text: &str| match text {
            "started" => Ok(After::Started),
            "healthy" => Ok(After::Healthy),
            "done" => Ok(After::Done),
            _ => ensure(false, What::After, text).map(|()| After::Done),
        };
        if let Some(value) = cx.read(&state, read) {
            after.insert(name, state.with(value));
        }
    }
    after
}

impl Evaluated {
    /// `[service]` with everything filled in that is known without the base; nothing where the recipe has none.
    ///
    /// # Errors
    /// Undefined names, and `base.env`: how an image is run is told without looking at its base.
    pub fn service_for(&self, scope: &Scope) -> Result<Option<Service>, Vec<Error>> {
        let Some(service) = &self.service else { return Ok(None) };
        let names = Names::new(self, scope, Reach::Source);
        let service = service.filled(&names);
        let errors = names.errors.into_inner();
        if errors.is_empty() { Ok(Some(service)) } else { Err(errors) }
    }
}

impl Service {
    fn filled(&self, names: &Names<'_>) -> Self {
        let text = |text: &Spanned<String>| text.with(names.text(text).unwrap_or_default());
        // What was checked as written holds of what came of it, too.
        let read = |written: &Spanned<String>, check: fn(&str) -> Result<String, ErrorKind>| {
            let checked = names.text(written).map(|filled| check(&filled));
            let value = checked
                .and_then(|value| value.map_err(|kind| names.push(Some(written.at.clone()), kind)).ok());
            written.with(value.unwrap_or_default())
        };
        let list = |texts: &Vec<Spanned<String>>| texts.iter().map(text).collect::<Vec<_>>();
        let lists = |texts: &Option<Vec<Spanned<String>>>| texts.as_ref().map(list);
        let table = |table: &BTreeMap<String, Spanned<String>>| {
            table.iter().map(|(name, value)| (name.clone(), text(value))).collect::<BTreeMap<_, _>>()
        };
        let health = |health: &Health| Health {
            probe: health.probe.as_ref().map(|probe| match probe {
                Probe::Http(url) => Probe::Http(text(url)),
                Probe::Tcp(port) => Probe::Tcp(text(port)),
            }),
            check: Check { cmd: lists(&health.check.cmd), ..health.check.clone() },
        };
        let secret = |secret: &Secret| match secret {
            Secret::File(path) => Secret::File(read(path, absolute)),
            Secret::Env(name) => {
                Secret::Env(read(name, |name| check::env_name(name).map(|()| name.to_owned())))
            }
        };
        let volumes = self.volumes.iter().map(|(name, path)| (name.clone(), read(path, absolute)));
        let job = |job: &Job| Job {
            at: job.at.clone(),
            cmd: lists(&job.cmd),
            entrypoint: lists(&job.entrypoint),
            env: table(&job.env),
            after: job.after.clone(),
        };
        Self {
            ports: lists(&self.ports),
            env: table(&self.env),
            volumes: volumes.collect(),
            after: self.after.clone(),
            health: self.health.as_ref().map(health),
            secrets: self.secrets.iter().map(|(name, value)| (name.clone(), secret(value))).collect(),
            jobs: self.jobs.iter().map(|(name, value)| (name.clone(), job(value))).collect(),
            check: lists(&self.check),
            reload: lists(&self.reload),
            labels: table(&self.labels),
            container: self.container.as_ref().map(|table| {
                let value = toml::Value::Table(table.value.clone());
                let filled = filled(value, &|value| text(&table.with(value)).value);
                table.with(filled.as_table().cloned().unwrap_or_default())
            }),
        }
    }
}

fn filled(value: toml::Value, text: &dyn Fn(String) -> String) -> toml::Value {
    match value {
        toml::Value::String(value) => toml::Value::String(text(value)),
        toml::Value::Array(items) => {
            toml::Value::Array(items.into_iter().map(|item| filled(item, text)).collect())
        }
        toml::Value::Table(table) => {
            toml::Value::Table(table.into_iter().map(|(key, value)| (key, filled(value, text))).collect())
        }
        other => other,
    }
}
