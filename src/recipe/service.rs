//! `[service]`: how the image is run. Read, checked and kept for the commands that deploy; never part of an image.

use std::collections::BTreeMap;

use super::check::{self, Checker, ensure};
use super::config::{self, Check, absolute, range};
use super::span::S;
use super::{Spanned, What, raw};

/// How the image is run. Strings are as written: they are interpolated by what uses them.
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
    /// What is passed through as it is.
    pub container: toml::Table,
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

/// How to see that a service is well: one probe and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// What is tried; a variant's table may leave it to the common one.
    pub probe: Option<Probe>,
    /// When; its `cmd` is not used.
    pub times: Check,
}

/// What is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// Run a command.
    Cmd(Vec<Spanned<String>>),
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
        for path in volumes.values() {
            cx.literal(path, absolute);
        }
        let mut jobs = BTreeMap::new();
        for (name, job) in raw.job.into_iter().flatten() {
            cx.read(&cx.keep(S { value: name.clone(), range: job.range }), check::name);
            let job = job.value;
            let (cmd, entrypoint) = (cx.keep(job.cmd), cx.keep(job.entrypoint));
            jobs.insert(
                name,
                Job { cmd, entrypoint, env: config::env(job.env, cx), after: after(job.after, cx) },
            );
        }
        let secrets = raw.secrets.into_iter().flatten();
        Self {
            ports: raw.ports.map(|ports| cx.scalars(ports)),
            env: config::env(raw.env, cx),
            volumes,
            after: after(raw.after, cx),
            health: raw.health.map(|health| Health::read(health, cx)),
            secrets: secrets.filter_map(|(name, secret)| Some((name, Secret::read(secret, cx)?))).collect(),
            jobs,
            check: cx.keep(raw.check),
            reload: cx.keep(raw.reload),
            labels: config::scalars(raw.labels, cx),
            container: raw.container.unwrap_or_default(),
        }
    }
}

impl Health {
    fn read(raw: S<raw::Health>, cx: &mut Checker) -> Self {
        let S { value: mut raw, range: whole } = raw;
        let keys = [("cmd", raw.cmd.is_some()), ("http", raw.http.is_some()), ("tcp", raw.tcp.is_some())];
        if keys.iter().filter(|(_, there)| *there).count() > 1 {
            cx.exactly_one(&keys, "[service.health]", &whole);
        }
        let probe = match (raw.cmd.take(), raw.http.take(), raw.tcp.take()) {
            (Some(cmd), ..) => Some(Probe::Cmd(cx.keep(cmd))),
            (_, Some(http), _) => Some(Probe::Http(cx.keep(http))),
            (.., Some(tcp)) => Some(Probe::Tcp(cx.scalar(tcp))),
            _ => None,
        };
        Self { probe, times: Check::read(raw, cx) }
    }
}

impl Secret {
    fn read(raw: S<raw::Secret>, cx: &mut Checker) -> Option<Self> {
        let keys = [("file", range(&raw.value.file).is_some()), ("env", range(&raw.value.env).is_some())];
        if !cx.exactly_one(&keys, "[service] secrets", &raw.range) {
            return None;
        }
        let file = cx.keep(raw.value.file);
        if let Some(path) = &file {
            cx.literal(path, absolute);
        }
        file.map(Self::File).or_else(|| cx.keep(raw.value.env).map(Self::Env))
    }
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
