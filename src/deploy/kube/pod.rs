//! The pods of a service and of its jobs.

use std::collections::BTreeMap;

use super::network::private_ports;
use super::parts::{command, dns, governing, is_stateful, literal, object, selector};
use super::probes::probes;
use crate::deploy::container::{escalates, processors, quantity, seconds, tmpfs, word};
use crate::deploy::yaml::Yaml;
use crate::deploy::{Stack, Unit, env, job_name};
use crate::recipe::{Job, Secret, Spanned};

/// How often a job is begun anew, at least: what it needs may take minutes to come up.
const BACKOFF: u32 = 20;

pub(super) struct Pod<'s> {
    pub(super) stack: &'s Stack,
    pub(super) unit: &'s Unit,
}

impl Pod<'_> {
    pub(super) fn workload(&self) -> Yaml {
        let (unit, service) = (self.unit, &self.unit.service);
        let mut container = self.container(&env(service, None), true);
        let ports = unit.open_ports().into_iter().chain(private_ports(unit)).map(|(number, protocol)| {
            Yaml::map([("containerPort", Yaml::plain(number)), ("protocol", Yaml::text(protocol))])
        });
        container.put("ports", Yaml::List(ports.collect()));
        for (key, probe) in service.health.as_ref().and_then(probes).into_iter().flatten() {
            container.put(key, probe);
        }
        let stateful = is_stateful(unit);
        let (kind, api) = (if stateful { "StatefulSet" } else { "Deployment" }, "apps/v1");
        let mut spec = Yaml::map([
            ("replicas", Yaml::plain(1)),
            ("selector", Yaml::map([("matchLabels", selector(self.stack, &unit.name))])),
        ]);
        if stateful {
            spec.put("serviceName", Yaml::text(governing(unit)));
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
        object(self.stack, api, kind, &dns(&unit.name), spec)
    }

    pub(super) fn job(&self, name: &str, job: &Job) -> Yaml {
        let name = job_name(&self.unit.name, name);
        let mut container = self.container(&env(&self.unit.service, Some(job)), false);
        container.put("command", job.entrypoint.as_deref().map_or(Yaml::map([]), command));
        container.put("args", job.cmd.as_deref().map_or(Yaml::map([]), command));
        let spec = Yaml::map([
            ("backoffLimit", Yaml::plain(BACKOFF)),
            ("template", self.template(&name, container, Some("OnFailure"))),
        ]);
        object(self.stack, "batch/v1", "Job", &dns(&name), spec)
    }

    fn template(&self, name: &str, container: Yaml, restart: Option<&str>) -> Yaml {
        let unit = self.unit;
        // Else each Service would be a variable, such as KRAKEND_PORT=tcp://…, which programs take for their own.
        let mut spec = Yaml::map([
            ("enableServiceLinks", Yaml::plain(false)),
            ("automountServiceAccountToken", Yaml::plain(false)),
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
        if let Some(size) = self.shared_memory() {
            let memory = Yaml::map([("medium", Yaml::text("Memory")), ("sizeLimit", Yaml::Text(size))]);
            volumes.push(Yaml::map([("name", Yaml::text("stack-shm")), ("emptyDir", memory)]));
        }
        spec.put("securityContext", self.security(restart.is_none()));
        spec.put("volumes", Yaml::List(volumes));
        let mut labels = selector(self.stack, name);
        labels.put("app.kubernetes.io/component", Yaml::text(dns(&unit.name)));
        let mut metadata = Yaml::map([("labels", labels)]);
        let annotations =
            unit.service.labels.iter().map(|(name, value)| (name.clone(), Yaml::text(&value.value)));
        // Labels of containers hold any text, those of pods only words.
        metadata.put("annotations", Yaml::Map(annotations.collect()));
        Yaml::map([("metadata", metadata), ("spec", spec)])
    }

    /// What holds for all of a pod.
    fn security(&self, with_volumes: bool) -> Yaml {
        let unit = self.unit;
        let mut security = Yaml::map([]);
        if let Some(uid) = unit.uid.filter(|_| !unit.is_root()) {
            // By number: the kubelet can't tell whether a name isn't root's.
            security.put("runAsNonRoot", Yaml::plain(true));
            security.put("runAsUser", Yaml::plain(uid));
            if let Some(group) = unit.group {
                security.put("runAsGroup", Yaml::plain(group));
            }
        }
        let group = unit.group.filter(|_| with_volumes && is_stateful(unit));
        if let Some(group) = group.filter(|_| !unit.is_root()) {
            // A new volume is root's.
            security.put("fsGroup", Yaml::plain(group));
            security.put("fsGroupChangePolicy", Yaml::text("OnRootMismatch"));
        }
        let unconfined = unit.container_texts("security_opt").contains(&"seccomp=unconfined");
        let profile = if unconfined { "Unconfined" } else { "RuntimeDefault" };
        security.put("seccompProfile", Yaml::map([("type", Yaml::text(profile))]));
        security
    }

    /// What holds for a container. Who isn't root needs no right of root's, unless the recipe says so.
    fn rights(&self) -> Yaml {
        let unit = self.unit;
        let mut security = Yaml::map([]);
        let escalates = escalates(unit).or_else(|| (!unit.is_root()).then_some(false));
        if let Some(escalates) = escalates {
            security.put("allowPrivilegeEscalation", Yaml::plain(escalates));
        }
        if unit.container_flag("read_only") {
            security.put("readOnlyRootFilesystem", Yaml::plain(true));
        }
        let mut capabilities = Yaml::map([]);
        capabilities.put("add", Yaml::texts(unit.container_texts("cap_add")));
        let drop = unit.container_texts("cap_drop");
        capabilities.put("drop", Yaml::texts(if unit.is_root() { drop } else { vec!["ALL"] }));
        security.put("capabilities", capabilities);
        security
    }

    /// How much of it processes share; a container has 64 MiB by itself.
    fn shared_memory(&self) -> Option<String> {
        word(self.unit, "shm_size").and_then(|text| quantity(&text))
    }

    fn resources(&self) -> Yaml {
        let memory = |key| word(self.unit, key).and_then(|text| quantity(&text));
        let (mut limits, mut requests) = (Yaml::map([]), Yaml::map([]));
        if let Some(memory) = memory("mem_limit") {
            limits.put("memory", Yaml::Text(memory));
        }
        if let Some(cpus) = word(self.unit, "cpus").as_deref().and_then(processors) {
            limits.put("cpu", Yaml::text(cpus));
        }
        if let Some(memory) = memory("mem_reservation") {
            requests.put("memory", Yaml::Text(memory));
        }
        let mut resources = Yaml::map([]);
        resources.put("limits", limits);
        resources.put("requests", requests);
        resources
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
        out.put("resources", self.resources());
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
        if self.shared_memory().is_some() {
            mounts
                .push(Yaml::map([("name", Yaml::text("stack-shm")), ("mountPath", Yaml::text("/dev/shm"))]));
        }
        out.put("volumeMounts", Yaml::List(mounts));
        out.put("securityContext", self.rights());
        out
    }
}
