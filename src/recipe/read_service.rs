//! Reads `[service]`, merges it and fills it in. No byte of an image comes of it.

use std::collections::BTreeMap;

use super::check::Checker;
use super::config::Check;
use super::loose::{Loose, Never};
use super::patch::Level;
use super::read_config::{env, range, scalars};
use super::service::{After, Health, Job, Probe, Reload, Secret, Service};
use super::span::S;
use super::v1::{self, Names, Reach, check, or_replace, table};
use super::words::{self, ensure, invalid};
use super::{Error, ErrorKind, Evaluated, Scope, Spanned, What, raw, suggest};

impl Service {
    pub(super) fn read(raw: raw::Service, cx: &mut Checker) -> Self {
        let volumes = cx.keep(raw.volumes).unwrap_or_default();
        for (name, path) in &volumes {
            cx.read(&path.with(name.clone()), volume_name);
            cx.literal(path, v1::rooted);
        }
        let mut jobs = BTreeMap::new();
        for (name, job) in raw.job.into_iter().flatten() {
            let at = cx.at(job.range);
            cx.read(&Spanned { value: name.clone(), at: at.clone() }, words::name);
            let job = job.value;
            let (cmd, entrypoint) = (cx.keep(job.cmd), cx.keep(job.entrypoint));
            jobs.insert(
                name,
                Job { at: Some(at), cmd, entrypoint, env: env(job.env, cx), after: after(job.after, cx) },
            );
        }
        let secrets = raw.secrets.into_iter().flatten();
        Self {
            ports: raw.ports.map(|ports| cx.scalars(ports)),
            private: raw.private.map(|ports| cx.scalars(ports)),
            calls: cx.keep(raw.calls),
            env: env(raw.env, cx),
            volumes,
            after: after(raw.after, cx),
            health: raw.health.map(|health| Health::read(health, cx)),
            secrets: secrets
                .filter_map(|(name, secret)| Some((name.clone(), Secret::read(&name, secret, cx)?)))
                .collect(),
            jobs,
            check: cx.keep(raw.check),
            reload: raw.reload.and_then(|reload| Reload::read(reload, cx)),
            labels: scalars(raw.labels, cx),
            container: raw.container.map(|table| container(table, cx)),
        }
    }
}

/// Keys of a service in the Compose specification; `x-` begins everybody's own.
const COMPOSE: &str = "annotations attach build blkio_config cap_add cap_drop cgroup cgroup_parent command configs \
    container_name cpu_count cpu_percent cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpus cpuset \
    credential_spec depends_on deploy develop device_cgroup_rules devices dns dns_opt dns_search domainname driver_opts \
    entrypoint env_file environment expose extends external_links extra_hosts gpus group_add healthcheck hostname image init \
    ipc isolation label_file labels links logging mac_address mem_limit mem_reservation mem_swappiness memswap_limit models \
    network_mode networks oom_kill_disable oom_score_adj pid pids_limit platform ports post_start pre_stop privileged \
    profiles provider pull_policy pull_refresh_after read_only restart runtime scale secrets security_opt shm_size \
    stdin_open stop_grace_period stop_signal storage_opt sysctls tmpfs tty ulimits use_api_socket user userns_mode uts \
    volumes volumes_from working_dir";

/// What is passed through as it stands: its keys are Compose's.
fn container(table: S<toml::Table>, cx: &mut Checker) -> Spanned<toml::Table> {
    let known = |key: &String| COMPOSE.split_whitespace().any(|known| known == key) || key.starts_with("x-");
    for key in table.value.keys().filter(|key| !known(key)) {
        // The table was read as a whole; its text tells where the key stands.
        let whole = table.range.clone();
        let at = cx.text.get(whole.clone()).and_then(|text| text.find(key.as_str()));
        let range = at.map_or(whole, |at| table.range.start + at..table.range.start + at + key.len());
        let suggestion = suggest(key, COMPOSE.split_whitespace());
        let section = "[service.container]".to_owned();
        cx.fail(range, ErrorKind::UnknownKey { key: key.clone(), section, suggestion });
    }
    cx.keep(table)
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

impl Reload {
    fn read(raw: S<Loose<Never>>, cx: &mut Checker) -> Option<Self> {
        match raw.value {
            Loose::List(list) => Some(Self::Command(cx.keep(list))),
            Loose::Text(text) if text == "restart" => Some(Self::Restart),
            Loose::Text(text) => {
                cx.fail(raw.range, invalid(What::Restart, &text));
                None
            }
            other => {
                let expected = "a list or \"restart\"".into();
                cx.fail(raw.range, ErrorKind::Type { expected, found: other.found() });
                None
            }
        }
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
            cx.literal(path, v1::rooted);
        }
        if let Some(variable) = &env {
            // Compose takes its value from a variable of the same name, and `-` for the begin of a default.
            cx.read(&name, |name| secret_name(name, ""));
            cx.literal(variable, words::env_name);
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

/// The levels' services as one, for a variant.
pub(super) fn merged(levels: &[Level], variant: &str) -> Option<Service> {
    let mut sum: Option<Service> = None;
    for level in levels {
        let own = level.variants.get(variant).and_then(|patch| patch.value.service.as_ref());
        for service in [level.common.service.as_ref(), own].into_iter().flatten() {
            match &mut sum {
                Some(sum) => patch(sum, service),
                None => sum = Some(service.clone()),
            }
        }
    }
    sum
}

fn patch(sum: &mut Service, patch: &Service) {
    let Service {
        ports,
        private,
        calls,
        env,
        volumes,
        after,
        health,
        secrets,
        jobs,
        check: command,
        reload,
        labels,
        container,
    } = patch;
    or_replace(&mut sum.ports, ports);
    or_replace(&mut sum.private, private);
    or_replace(&mut sum.calls, calls);
    table(&mut sum.env, env);
    table(&mut sum.volumes, volumes);
    table(&mut sum.after, after);
    match (&mut sum.health, health) {
        (Some(sum), Some(Health { probe, check: when })) => {
            or_replace(&mut sum.probe, probe);
            check(&mut sum.check, when);
        }
        (sum, patch) => or_replace(sum, patch),
    }
    table(&mut sum.secrets, secrets);
    for (name, Job { at, cmd, entrypoint, env, after }) in jobs {
        let job = sum.jobs.entry(name.clone()).or_default();
        or_replace(&mut job.at, at);
        or_replace(&mut job.cmd, cmd);
        or_replace(&mut job.entrypoint, entrypoint);
        table(&mut job.env, env);
        table(&mut job.after, after);
    }
    or_replace(&mut sum.check, command);
    or_replace(&mut sum.reload, reload);
    table(&mut sum.labels, labels);
    match (&mut sum.container, container) {
        (Some(sum), Some(patch)) => deep(&mut sum.value, &patch.value),
        (sum, patch) => or_replace(sum, patch),
    }
}

fn deep(sum: &mut toml::Table, patch: &toml::Table) {
    for (key, value) in patch {
        match (sum.get_mut(key), value) {
            (Some(toml::Value::Table(sum)), toml::Value::Table(patch)) => deep(sum, patch),
            _ => drop(sum.insert(key.clone(), value.clone())),
        }
    }
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
        let mut errors = names.errors.into_inner();
        errors.extend(service.health.as_ref().and_then(|health| health.check.wrong_command()));
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
        let private = |ports: &Vec<_>| ports.iter().map(|port| read(port, v1::port)).collect();
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
            Secret::File(path) => Secret::File(read(path, v1::rooted)),
            Secret::Env(name) => {
                Secret::Env(read(name, |name| words::env_name(name).map(|()| name.to_owned())))
            }
        };
        let volumes = self.volumes.iter().map(|(name, path)| (name.clone(), read(path, v1::rooted)));
        let job = |job: &Job| Job {
            at: job.at.clone(),
            cmd: lists(&job.cmd),
            entrypoint: lists(&job.entrypoint),
            env: table(&job.env),
            after: job.after.clone(),
        };
        Self {
            ports: lists(&self.ports),
            private: self.private.as_ref().map(private),
            calls: lists(&self.calls),
            env: table(&self.env),
            volumes: volumes.collect(),
            after: self.after.clone(),
            health: self.health.as_ref().map(health),
            secrets: self.secrets.iter().map(|(name, value)| (name.clone(), secret(value))).collect(),
            jobs: self.jobs.iter().map(|(name, value)| (name.clone(), job(value))).collect(),
            check: lists(&self.check),
            reload: self.reload.as_ref().map(|reload| match reload {
                Reload::Command(cmd) => Reload::Command(list(cmd)),
                Reload::Restart => Reload::Restart,
            }),
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
