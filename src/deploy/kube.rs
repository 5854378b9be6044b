//! Plain Kubernetes manifests: a Deployment or, with volumes, a StatefulSet for each service, its Service, a Job for
//! each job. Secrets are those of one Secret, called like the stack, that is made elsewhere.
//!
//! A cluster knows no start order: what needs another service is started again until that is there.

use std::collections::BTreeMap;

use super::check::{Error, Fault};
use super::yaml::Yaml;
use super::{Stack, Unit, Written, env, job_name, port, texts};
use crate::recipe::{Health, Job, Probe, Secret, Spanned};

/// The API's defaults, in seconds and failures, where a recipe says nothing.
const PERIOD: u64 = 10;
const FAILURES: u64 = 3;
const SECOND: u64 = 1_000_000_000;
/// How often a job is begun anew, at least: what it needs may take minutes to come up.
const BACKOFF: u32 = 20;

/// The file `STACK.yaml`, several documents.
///
/// # Errors
/// What needs Compose or the working copy.
pub fn kube(stack: &Stack) -> Result<Written, Vec<Error>> {
    let (mut errors, mut left_out, mut documents) = (Vec::new(), Vec::new(), Vec::new());
    for unit in &stack.units {
        unit.refusals(&mut errors);
        let pod = Pod { stack, unit };
        documents.push(pod.workload());
        documents.extend(pod.service());
        documents.extend(unit.service.jobs.iter().map(|(name, job)| pod.job(name, job)));
        left_out.extend(unit.container_keys(&KNOWN).map(|key| format!("{}: container.{key}", unit.name)));
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let head = format!(
        "# {stack}, {variant}: made by `cooper compose {stack} --variant {variant} --kube`. Secrets come from the Secret {name:?}.\n",
        stack = stack.name,
        variant = stack.variant,
        name = dns(&stack.name),
    );
    let documents: Vec<String> = documents.iter().map(Yaml::document).collect();
    let files = BTreeMap::from([(format!("{}.yaml", stack.name), head + &documents.join("---\n"))]);
    Ok(Written { files, left_out })
}

/// Keys of `[service.container]` that have a counterpart; `init` and `restart` need none: a pod's first process reaps, and a
/// pod is started again anyway.
const KNOWN: [&str; 8] =
    ["read_only", "tmpfs", "cap_drop", "cap_add", "init", "restart", "security_opt", "stop_grace_period"];

/// A name as the API takes it.
fn dns(name: &str) -> String {
    name.replace(['_', '.'], "-")
}

impl Unit {
    fn refusals(&self, errors: &mut Vec<Error>) {
        let service = &self.service;
        let env = service.env.values().chain(service.jobs.values().flat_map(|job| job.env.values()));
        for text in env.chain(service.labels.values()).filter(|text| text.contains("${")) {
            let fault = Fault::Substitution { text: text.value.clone() };
            errors.push(Error { at: text.at.clone(), fault });
        }
        for text in service.ports.iter().flatten().filter(|text| port(text).is_none()) {
            errors.push(Error { at: text.at.clone(), fault: Fault::Port { text: text.value.clone() } });
        }
    }

    /// Keys of `[service.container]` but for `known` ones.
    pub(super) fn container_keys<'u>(&'u self, known: &'u [&str]) -> impl Iterator<Item = &'u String> {
        let keys = self.service.container.iter().flat_map(|table| table.value.keys());
        keys.filter(|key| !known.contains(&key.as_str()))
    }

    pub(super) fn container(&self, key: &str) -> Option<&toml::Value> {
        self.service.container.as_ref()?.value.get(key)
    }

    pub(super) fn container_flag(&self, key: &str) -> bool {
        self.container(key).and_then(toml::Value::as_bool).unwrap_or(false)
    }

    /// A text or a list of them.
    pub(super) fn container_texts(&self, key: &str) -> Vec<&str> {
        match self.container(key) {
            Some(toml::Value::String(text)) => vec![text],
            Some(toml::Value::Array(items)) => items.iter().filter_map(toml::Value::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// Ports that others may call: those that the image declares and those of the service.
    fn open_ports(&self) -> Vec<(u16, String)> {
        let own = self.service.ports.iter().flatten().map(|text| text.value.as_str());
        let all = self.exposed.iter().map(String::as_str).chain(own);
        let mut ports: Vec<_> =
            all.filter_map(port).map(|(number, protocol)| (number, protocol.to_ascii_uppercase())).collect();
        ports.sort();
        ports.dedup();
        ports
    }
}

struct Pod<'s> {
    stack: &'s Stack,
    unit: &'s Unit,
}

impl Pod<'_> {
    fn workload(&self) -> Yaml {
        let (unit, service) = (self.unit, &self.unit.service);
        let mut container = self.container(&env(service, None));
        let ports = unit.open_ports().into_iter().map(|(number, protocol)| {
            Yaml::map([("containerPort", Yaml::plain(number)), ("protocol", Yaml::text(protocol))])
        });
        container.put("ports", Yaml::List(ports.collect()));
        if let Some((startup, readiness)) = service.health.as_ref().and_then(probes) {
            container.put("startupProbe", startup);
            container.put("readinessProbe", readiness);
        }
        let stateful = !service.volumes.is_empty();
        let (kind, api) = (if stateful { "StatefulSet" } else { "Deployment" }, "apps/v1");
        let mut spec = Yaml::map([
            ("replicas", Yaml::plain(1)),
            ("selector", Yaml::map([("matchLabels", self.labels(&unit.name))])),
        ]);
        if stateful {
            spec.put("serviceName", Yaml::text(dns(&unit.name)));
        }
        spec.put("template", self.template(&unit.name, container, None));
        let claim = |name: &String| {
            let storage = Yaml::map([("storage", Yaml::text("1Gi"))]);
            Yaml::map([
                ("metadata", Yaml::map([("name", Yaml::text(dns(name)))])),
                (
                    "spec",
                    Yaml::map([
                        ("accessModes", Yaml::texts(["ReadWriteOnce"])),
                        ("resources", Yaml::map([("requests", storage)])),
                    ]),
                ),
            ])
        };
        spec.put("volumeClaimTemplates", Yaml::List(service.volumes.keys().map(claim).collect()));
        self.object(api, kind, &unit.name, spec)
    }

    fn service(&self) -> Option<Yaml> {
        let ports = self.unit.open_ports();
        let one = |(number, protocol): &(u16, String)| {
            Yaml::map([
                ("name", Yaml::text(format!("{}-{number}", protocol.to_ascii_lowercase()))),
                ("port", Yaml::plain(number)),
                ("protocol", Yaml::text(protocol)),
            ])
        };
        let mut spec = Yaml::map([("selector", self.labels(&self.unit.name))]);
        if ports.is_empty() {
            // A StatefulSet asks for one all the same.
            (!self.unit.service.volumes.is_empty()).then_some(())?;
            spec.put("clusterIP", Yaml::text("None"));
        }
        spec.put("ports", Yaml::List(ports.iter().map(one).collect()));
        Some(self.object("v1", "Service", &self.unit.name, spec))
    }

    fn job(&self, name: &str, job: &Job) -> Yaml {
        let name = job_name(&self.unit.name, name);
        let mut container = self.container(&env(&self.unit.service, Some(job)));
        container.put("command", job.entrypoint.as_deref().map_or(Yaml::map([]), command));
        container.put("args", job.cmd.as_deref().map_or(Yaml::map([]), command));
        let spec = Yaml::map([
            ("backoffLimit", Yaml::plain(BACKOFF)),
            ("template", self.template(&name, container, Some("OnFailure"))),
        ]);
        self.object("batch/v1", "Job", &name, spec)
    }

    fn object(&self, api: &str, kind: &str, name: &str, spec: Yaml) -> Yaml {
        Yaml::map([
            ("apiVersion", Yaml::text(api)),
            ("kind", Yaml::text(kind)),
            ("metadata", Yaml::map([("name", Yaml::text(dns(name))), ("labels", self.labels(name))])),
            ("spec", spec),
        ])
    }

    fn labels(&self, name: &str) -> Yaml {
        Yaml::map([
            ("app.kubernetes.io/name", Yaml::text(dns(name))),
            ("app.kubernetes.io/part-of", Yaml::text(dns(&self.stack.name))),
        ])
    }

    fn template(&self, name: &str, container: Yaml, restart: Option<&str>) -> Yaml {
        let unit = self.unit;
        // Else each Service would be a variable, such as KRAKEND_PORT=tcp://…, which programs take for their own.
        let mut spec = Yaml::map([
            ("enableServiceLinks", Yaml::plain(false)),
            ("containers", Yaml::List(vec![container])),
        ]);
        if let Some(restart) = restart {
            spec.put("restartPolicy", Yaml::text(restart));
        }
        if let Some(seconds) =
            unit.container("stop_grace_period").and_then(toml::Value::as_str).and_then(seconds)
        {
            spec.put("terminationGracePeriodSeconds", Yaml::plain(seconds));
        }
        let mut volumes = Vec::new();
        if self.secret_files().next().is_some() {
            let secret = Yaml::map([("secretName", Yaml::text(dns(&self.stack.name)))]);
            volumes.push(Yaml::map([("name", Yaml::text("stack-secrets")), ("secret", secret)]));
        }
        for number in 0..unit.container_texts("tmpfs").len() {
            let memory = Yaml::map([("medium", Yaml::text("Memory"))]);
            volumes.push(Yaml::map([("name", Yaml::text(format!("tmpfs-{number}"))), ("emptyDir", memory)]));
        }
        if restart.is_some() {
            // A job has no claims of its own; it mounts those of its service's only replica.
            for name in unit.service.volumes.keys() {
                let claim = format!("{}-{}-0", dns(name), dns(&unit.name));
                let claim = Yaml::map([("claimName", Yaml::text(claim))]);
                volumes.push(Yaml::map([("name", Yaml::text(dns(name))), ("persistentVolumeClaim", claim)]));
            }
        }
        spec.put("volumes", Yaml::List(volumes));
        let mut metadata = Yaml::map([("labels", self.labels(name))]);
        let labels = unit.service.labels.iter().map(|(name, value)| (name.clone(), Yaml::text(&value.value)));
        // Labels of containers hold any text, those of pods only words.
        metadata.put("annotations", Yaml::Map(labels.collect()));
        Yaml::map([("metadata", metadata), ("spec", spec)])
    }

    fn secret_files(&self) -> impl Iterator<Item = (&String, &Spanned<String>)> {
        self.unit.service.secrets.iter().filter_map(|(name, secret)| match secret {
            Secret::File(path) => Some((name, path)),
            Secret::Env(_) => None,
        })
    }

    fn container(&self, env: &BTreeMap<&str, &Spanned<String>>) -> Yaml {
        let unit = self.unit;
        let mut out = Yaml::map([("name", Yaml::text(dns(&unit.name))), ("image", Yaml::text(&unit.image))]);
        let value = |(name, value): (&&str, &&Spanned<String>)| {
            Yaml::map([("name", Yaml::text(*name)), ("value", Yaml::Text(literal(value)))])
        };
        let mut environment: Vec<Yaml> = env.iter().map(value).collect();
        for (name, secret) in &unit.service.secrets {
            if let Secret::Env(variable) = secret {
                let key = Yaml::map([("name", Yaml::text(dns(&self.stack.name))), ("key", Yaml::text(name))]);
                environment.push(Yaml::map([
                    ("name", Yaml::text(&variable.value)),
                    ("valueFrom", Yaml::map([("secretKeyRef", key)])),
                ]));
            }
        }
        out.put("env", Yaml::List(environment));
        let mut mounts = Vec::new();
        for (name, path) in self.secret_files() {
            mounts.push(Yaml::map([
                ("name", Yaml::text("stack-secrets")),
                ("mountPath", Yaml::text(&path.value)),
                ("subPath", Yaml::text(name)),
                ("readOnly", Yaml::plain(true)),
            ]));
        }
        for (name, path) in &unit.service.volumes {
            mounts.push(Yaml::map([("name", Yaml::text(dns(name))), ("mountPath", Yaml::text(&path.value))]));
        }
        for (number, path) in unit.container_texts("tmpfs").into_iter().enumerate() {
            let path = path.split(':').next().unwrap_or_default();
            let name = format!("tmpfs-{number}");
            mounts.push(Yaml::map([("name", Yaml::Text(name)), ("mountPath", Yaml::text(path))]));
        }
        out.put("volumeMounts", Yaml::List(mounts));
        let mut security = Yaml::map([]);
        if unit.container_texts("security_opt").iter().any(|text| text.starts_with("no-new-privileges")) {
            security.put("allowPrivilegeEscalation", Yaml::plain(false));
        }
        if unit.container_flag("read_only") {
            security.put("readOnlyRootFilesystem", Yaml::plain(true));
        }
        let mut capabilities = Yaml::map([]);
        for (key, own) in [("add", "cap_add"), ("drop", "cap_drop")] {
            capabilities.put(key, Yaml::texts(unit.container_texts(own)));
        }
        security.put("capabilities", capabilities);
        out.put("securityContext", security);
        out
    }
}

/// `$(NAME)` would be filled in.
fn literal(text: &str) -> String {
    text.replace("$(", "$$(")
}

fn command(list: &[Spanned<String>]) -> Yaml {
    Yaml::List(texts(list).into_iter().map(|text| Yaml::Text(literal(text))).collect())
}

/// A probe that waits for the start, and one for later.
fn probes(health: &Health) -> Option<(Yaml, Yaml)> {
    let handler = match (&health.probe, &health.check.cmd) {
        (Some(Probe::Http(url)), _) => ("httpGet", http(url)?),
        (Some(Probe::Tcp(text)), _) => ("tcpSocket", Yaml::map([("port", Yaml::plain(port(text)?.0))])),
        (None, Some(cmd)) => ("exec", Yaml::map([("command", command(cmd))])),
        (None, None) => return None,
    };
    let seconds = |time: Option<u64>, default: u64| time.map_or(default, |time| time.div_ceil(SECOND).max(1));
    let period = seconds(health.check.interval, PERIOD);
    let failures = health.check.retries.map_or(FAILURES, u64::from);
    let probe = |failures: u64| {
        Yaml::map([
            (handler.0, handler.1.clone()),
            ("periodSeconds", Yaml::plain(period)),
            ("timeoutSeconds", Yaml::plain(seconds(health.check.timeout, 1))),
            ("failureThreshold", Yaml::plain(failures)),
        ])
    };
    // What doesn't count while it starts, and what counts then.
    let start = seconds(health.check.start, 1).div_ceil(period) + failures;
    Some((probe(start), probe(failures)))
}

/// `http://127.0.0.1:8080/ready`: a pod is asked at its own address.
fn http(url: &str) -> Option<Yaml> {
    let (scheme, rest) = url.split_once("://")?;
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let default = if scheme == "https" { 443 } else { 80 };
    let number = authority.rsplit_once(':').map_or(Some(default), |(_, port)| port.parse().ok())?;
    let mut out = Yaml::map([("path", Yaml::text(format!("/{path}"))), ("port", Yaml::plain(number))]);
    if scheme == "https" {
        out.put("scheme", Yaml::text("HTTPS"));
    }
    Some(out)
}

/// `1m30s`, `45s`, `2m` in seconds, as Compose writes them.
pub(super) fn seconds(text: &str) -> Option<u64> {
    let mut total = 0;
    let mut number = String::new();
    for char in text.chars() {
        if char.is_ascii_digit() {
            number.push(char);
            continue;
        }
        let unit = match char {
            'h' => 3600,
            'm' => 60,
            's' => 1,
            _ => return None,
        };
        total += std::mem::take(&mut number).parse::<u64>().ok()?.checked_mul(unit)?;
    }
    number.is_empty().then_some(total)
}
