//! Plain Kubernetes manifests: a Deployment or, with volumes, a StatefulSet for each service, its Services, a Job for
//! each job, and who may call whom. Secrets are those of one Secret, called like the stack, that is made elsewhere.
//!
//! A cluster knows no start order: what needs another service is started again until that is there.

mod network;
mod parts;
mod pod;
mod probes;

use std::collections::BTreeMap;

use network::{callers, policies, services};
use parts::{dns, governing, is_stateful};
use pod::Pod;

use super::check::{Claim, Error, Fault};
use super::container::{no_new_privileges, processors, quantity, seconds, tmpfs};
use super::yaml::Yaml;
use super::{Stack, Unit, Written, port};
use crate::recipe::Probe;

/// The file `STACK.yaml`, several documents.
///
/// # Errors
/// What needs Compose or the working copy.
pub fn kube(stack: &Stack) -> Result<Written, Vec<Error>> {
    // A claim is called by its template, and its pod's number.
    let claim = |unit: &Unit, volume: &str| claim(&unit.name, volume);
    let (mut errors, mut left_out, mut documents) = (stack.same_names(&dns, &claim), Vec::new(), Vec::new());
    errors.extend(stack.no_labels());
    let callers = callers(stack);
    for unit in &stack.units {
        unit.refusals(&mut errors);
        let pod = Pod { stack, unit };
        documents.push(pod.workload());
        documents.extend(services(stack, unit, callers.contains_key(unit.name.as_str())));
        documents.extend(unit.service.jobs.iter().map(|(name, job)| pod.job(name, job)));
        left_out.extend(unit.left_out());
    }
    if !errors.is_empty() {
        return Err(errors);
    }
    documents.extend(policies(stack, &callers));
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

/// Keys of `[service.container]` that have a counterpart, or need none: a pod's first process reaps, a pod is started again
/// anyway, and how many processes it may have and how long its log gets is its node's to say.
const KNOWN: [&str; 14] = [
    "read_only",
    "tmpfs",
    "cap_drop",
    "cap_add",
    "init",
    "restart",
    "security_opt",
    "stop_grace_period",
    "mem_limit",
    "mem_reservation",
    "cpus",
    "shm_size",
    "pids_limit",
    "logging",
];

/// The claim that a service's only replica has for a volume.
fn claim(service: &str, volume: &str) -> String {
    format!("{}-{}-0", dns(volume), dns(service))
}

/// What a Service, a Job or a label may be called, at most.
const LABEL: usize = 63;
/// A StatefulSet's pods are labelled with its name and eleven characters more.
const STATEFUL: usize = LABEL - 11;

impl Stack {
    /// Names that nothing in a cluster can have, and those that a StatefulSet's other Service has.
    fn no_labels(&self) -> Vec<Error> {
        let stateful = |name: &str| {
            self.units.iter().find(|unit| is_stateful(unit) && governing(unit) == format!("{name}-pods"))
        };
        let claims = self.claims(&dns);
        let mut errors = Vec::new();
        for Claim { name, who, at } in &claims {
            if let Some(unit) = name.strip_suffix("-pods").and_then(stateful) {
                let one = format!("the Service that names the pod of {}", unit.name);
                let fault = Fault::Twice { name: name.clone(), one, other: who.clone() };
                errors.push(Error { at: at.cloned(), fault });
            }
        }
        let own = Claim { name: dns(&self.name), who: format!("the stack {}", self.name), at: None };
        errors.extend(claims.into_iter().chain([own]).filter_map(|Claim { name, who, at }| {
            let limit = if stateful(&name).is_some() { STATEFUL } else { LABEL };
            let fault = (!is_label(&name, limit)).then_some(Fault::NoLabel { who, name, limit })?;
            Some(Error { at: at.cloned(), fault })
        }));
        errors
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
                "security_opt" => no_new_privileges(text).is_none() && text != "seccomp=unconfined",
                // A pod is always started again.
                "restart" => !matches!(text, "always" | "unless-stopped"),
                "tmpfs" => tmpfs(text).2,
                "mem_limit" | "mem_reservation" | "shm_size" => quantity(text).is_none(),
                "cpus" => processors(text).is_none(),
                _ => false,
            })
            .collect();
        let mut say = |what: String| out.push(format!("{}: {what}", self.name));
        if let Some(Probe::Http(url)) = service.health.as_ref().and_then(|health| health.probe.as_ref())
            && probes::http(url).is_none()
        {
            say(format!("health.http {:?}", url.value));
        }
        if self.is_root() {
            say("runAsNonRoot (the image runs as root, which Pod Security \"restricted\" refuses)".to_owned());
        } else if self.uid.is_none() {
            say(format!("runAsNonRoot (the user {:?} has no known number)", self.user));
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
        self.uid == Some(0) || matches!(self.user.split(':').next(), None | Some("" | "0" | "root"))
    }
}
