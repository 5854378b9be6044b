//! Plain Kubernetes manifests: a Deployment or, with volumes, a StatefulSet for each service, its Service, a Job for
//! each job. Secrets are those of one Secret, called like the stack, that is made elsewhere.
//!
//! A cluster knows no start order: what needs another service is started again until that is there.

use std::collections::BTreeMap;

use super::check::{Claim, Error, Fault};
use super::yaml::Yaml;
use super::{Stack, Unit, Written, env, job_name, number, port, texts};
use crate::recipe::{Health, Job, Probe, Secret, Spanned, nanoseconds};

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
    // A claim is called by its template, and its pod's number.
    let claim = |unit: &Unit, volume: &str| claim(&unit.name, volume);
    let (mut errors, mut left_out, mut documents) = (stack.same_names(&dns, &claim), Vec::new(), Vec::new());
    errors.extend(stack.no_labels());
    for unit in &stack.units {
        unit.refusals(&mut errors);
        let pod = Pod { stack, unit };
        documents.push(pod.workload());
        documents.extend(pod.service());
        documents.extend(unit.service.jobs.iter().map(|(name, job)| pod.job(name, job)));
        left_out.extend(unit.left_out());
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    let head = format!(
        "# {stack}, {variant}: made by `{command}`. Secrets come from the Secret {name:?}.\n",
        stack = stack.name,
        variant = stack.variant,
        command = stack.command,
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

/// The claim that a service's only replica has for a volume.
fn claim(service: &str, volume: &str) -> String {
    format!("{}-{}-0", dns(volume), dns(service))
}

/// A name as the API takes it.
fn dns(name: &str) -> String {
    name.replace(['_', '.'], "-")
}

/// What a Service, a Job or a label may be called, at most.
const LABEL: usize = 63;
/// A StatefulSet's pods are labelled with its name and eleven characters more.
const STATEFUL: usize = LABEL - 11;

impl Stack {
    /// Names that nothing in a cluster can have.
    fn no_labels(&self) -> Vec<Error> {
        let stateful = |name: &str| {
            self.units.iter().any(|unit| !unit.service.volumes.is_empty() && dns(&unit.name) == name)
        };
        let mut claims = self.claims(&dns);
        claims.push(Claim { name: dns(&self.name), who: format!("the stack {}", self.name), at: None });
        let wrong = claims.into_iter().filter_map(|Claim { name, who, at }| {
            let limit = if stateful(&name) { STATEFUL } else { LABEL };
            let fault = (!is_label(&name, limit)).then_some(Fault::NoLabel { who, name, limit })?;
            Some(Error { at: at.cloned(), fault })
        });
        wrong.collect()
    }
}

/// A label of DNS as Services have it.
fn is_label(name: &str, limit: usize) -> bool {
    let small = |char: char| char.is_ascii_lowercase() || char.is_ascii_digit();
    name.len() <= limit
        && name.starts_with(|char: char| char.is_ascii_lowercase())
        && name.ends_with(small)
        && name.chars().all(|char| small(char) || char == '-')
}

impl Unit {
    fn refusals(&self, errors: &mut Vec<Error>) {
        let service = &self.service;
        let env = service.env.values().chain(service.jobs.values().flat_map(|job| job.env.values()));
        for text in env.chain(service.labels.values()).filter(|text| text.contains("${")) {
            errors.push(Error::at(&text.at, Fault::Substitution { text: text.value.clone() }));
        }
        for text in service.ports.iter().flatten().filter(|text| port(text).is_none()) {
            errors.push(Error::at(&text.at, Fault::Port { text: text.value.clone() }));
        }
    }

    /// What of the recipe no manifest says.
    fn left_out(&self) -> Vec<String> {
        let service = &self.service;
        let mut out: Vec<String> = self
            .container_left_out(&KNOWN, |key, text| match key {
                "stop_grace_period" => seconds(text).is_none(),
                "security_opt" => no_new_privileges(text).is_none(),
                // A pod is always started again.
                "restart" => !matches!(text, "always" | "unless-stopped"),
                "tmpfs" => tmpfs(text).2,
                _ => false,
            })
            .collect();
        let mut say = |what: String| out.push(format!("{}: {what}", self.name));
        if let Some(Probe::Http(url)) = service.health.as_ref().and_then(|health| health.probe.as_ref())
            && http(url).is_none()
        {
            say(format!("health.http {:?}", url.value));
        }
        if !service.volumes.is_empty() {
            if self.group.is_none() && !self.is_root() {
                say(format!("write access to its volumes (the user {:?} has no known group)", self.user));
            }
            service.jobs.keys().for_each(|job| say(format!("volumes of the job {job}")));
        }
        out
    }

    /// Root writes wherever it likes.
    fn is_root(&self) -> bool {
        matches!(self.user.split(':').next(), None | Some("" | "0" | "root"))
    }

    /// Keys of `[service.container]` but for `known` ones, and texts of those that are lost nevertheless.
    pub(super) fn container_left_out<'u>(
        &'u self,
        known: &'u [&str],
        is_lost: impl Fn(&str, &str) -> bool + 'u,
    ) -> impl Iterator<Item = String> + 'u {
        let keys = self.service.container.iter().flat_map(|table| table.value.keys());
        keys.flat_map(move |key| {
            if !known.contains(&key.as_str()) {
                return vec![format!("{}: container.{key}", self.name)];
            }
            let lost = self.container_texts(key).into_iter().filter(|text| is_lost(key, text));
            lost.map(|text| format!("{}: container.{key} {text:?}", self.name)).collect()
        })
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
        let mut container = self.container(&env(service, None), true);
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
        let mut container = self.container(&env(&self.unit.service, Some(job)), false);
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
        for (number, text) in unit.container_texts("tmpfs").into_iter().enumerate() {
            let mut memory = Yaml::map([("medium", Yaml::text("Memory"))]);
            if let (_, Some(size), _) = tmpfs(text) {
                memory.put("sizeLimit", Yaml::Text(size));
            }
            volumes.push(Yaml::map([("name", Yaml::text(format!("tmpfs-{number}"))), ("emptyDir", memory)]));
        }
        let group = unit.group.filter(|_| restart.is_none() && !unit.service.volumes.is_empty());
        if let Some(group) = group.filter(|_| !unit.is_root()) {
            // A new volume is root's.
            let security =
                [("fsGroup", Yaml::plain(group)), ("fsGroupChangePolicy", Yaml::text("OnRootMismatch"))];
            spec.put("securityContext", Yaml::map(security));
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

    /// Jobs are without volumes: only pods of one node may have a claim at the same time.
    fn container(&self, env: &BTreeMap<&str, &Spanned<String>>, with_volumes: bool) -> Yaml {
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
        for (name, path) in unit.service.volumes.iter().filter(|_| with_volumes) {
            mounts.push(Yaml::map([("name", Yaml::text(dns(name))), ("mountPath", Yaml::text(&path.value))]));
        }
        for (number, path) in unit.container_texts("tmpfs").into_iter().enumerate() {
            let (path, ..) = tmpfs(path);
            let name = format!("tmpfs-{number}");
            mounts.push(Yaml::map([("name", Yaml::Text(name)), ("mountPath", Yaml::text(path))]));
        }
        out.put("volumeMounts", Yaml::List(mounts));
        let mut security = Yaml::map([]);
        if unit.container_texts("security_opt").into_iter().any(|text| no_new_privileges(text) == Some(true))
        {
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

/// `$(NAME)` would be filled in, and `$$` taken for one.
fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

fn command(list: &[Spanned<String>]) -> Yaml {
    Yaml::List(texts(list).into_iter().map(|text| Yaml::Text(literal(text))).collect())
}

/// A probe that waits for the start, and one for later.
fn probes(health: &Health) -> Option<(Yaml, Yaml)> {
    let outside = health.probe.as_ref().and_then(|probe| match probe {
        Probe::Http(url) => Some(("httpGet", http(url)?)),
        Probe::Tcp(text) => Some(("tcpSocket", Yaml::map([("port", Yaml::plain(port(text)?.0))]))),
    });
    let inside = || Some(("exec", Yaml::map([("command", command(health.check.cmd.as_ref()?))])));
    let handler = outside.or_else(inside)?;
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
    let default = match scheme {
        "http" => 80,
        "https" => 443,
        _ => return None,
    };
    // The colons of an IPv6 address are in brackets.
    let host = authority.rfind(']').map_or(0, |end| end + 1);
    let colon = authority[host..].rfind(':').map(|colon| host + colon);
    let number = colon.map_or(Some(default), |colon| number(&authority[colon + 1..]))?;
    if authority[..colon.unwrap_or(authority.len())].is_empty() {
        return None;
    }
    let mut out = Yaml::map([("path", Yaml::text(format!("/{path}"))), ("port", Yaml::plain(number))]);
    if scheme == "https" {
        out.put("scheme", Yaml::text("HTTPS"));
    }
    Some(out)
}

/// Whether no process gets more rights than it began with; none for other options.
pub(super) fn no_new_privileges(text: &str) -> Option<bool> {
    match text.strip_prefix("no-new-privileges")? {
        "" | ":true" | "=true" => Some(true),
        ":false" | "=false" => Some(false),
        _ => None,
    }
}

/// Path and size of a tmpfs, and whether it has options that an `emptyDir` hasn't: whose mode is 0777.
fn tmpfs(text: &str) -> (&str, Option<String>, bool) {
    let (path, options) = text.split_once(':').unwrap_or((text, ""));
    let (mut limit, mut lost) = (None, false);
    for option in options.split(',').filter(|option| !["", "rw", "mode=1777", "mode=0777"].contains(option)) {
        match option.strip_prefix("size=").and_then(quantity) {
            Some(size) => limit = Some(size),
            None => lost = true,
        }
    }
    (path, limit, lost)
}

/// `64m`, as engines write a size, for the API.
fn quantity(text: &str) -> Option<String> {
    let end = text.find(|char: char| !char.is_ascii_digit()).unwrap_or(text.len());
    let unit = match &*text[end..].to_ascii_lowercase() {
        "" | "b" => "",
        "k" | "kb" => "Ki",
        "m" | "mb" => "Mi",
        "g" | "gb" => "Gi",
        _ => return None,
    };
    (end > 0).then(|| format!("{}{unit}", &text[..end]))
}

/// `1m30s`, `45s`, `1500ms` in whole seconds, as Compose writes them.
pub(super) fn seconds(text: &str) -> Option<u64> {
    Some(nanoseconds(text)?.div_ceil(SECOND))
}
