//! What must hold between the services of a stack, whatever runs them.

use core::net::IpAddr;
use std::collections::BTreeMap;

use super::{Stack, Unit, env, job_name, number, port};
use crate::recipe::{After, At, Job, Probe, Secret, Spanned, is_secret, suggest};

/// Something that is wrong with a stack, and where a recipe says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct Error {
    /// Where; none where a recipe's own name is wrong.
    pub at: Option<At>,
    /// What.
    pub fault: Fault,
}

impl Error {
    pub(super) fn at(at: &At, fault: Fault) -> Self {
        Self { at: Some(at.clone()), fault }
    }
}

/// What can be wrong with a stack.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields are what the message says")]
pub enum Fault {
    /// Waits for something that the stack hasn't got.
    #[error("the stack {stack} has no service {name:?} to wait for")]
    NoService { stack: String, name: String, suggestion: Option<String>, known: Vec<String> },
    /// Engines see a service's health only by a command that they run in it.
    #[error("{name} is waited for until it is healthy, and nothing tells when it is")]
    NoHealth { name: String },
    /// A one-off run has no health, and a service doesn't end.
    #[error("{name} is {what}, which is never {state}")]
    NeverSo { name: String, what: &'static str, state: &'static str },
    /// Each waits for the next.
    #[error("{} wait for each other", .names.join(" and "))]
    Circle { names: Vec<String> },
    /// No port as Compose writes them.
    #[error("{text:?} is no port")]
    Port { text: String },
    /// A variable that only Compose fills in.
    #[error("{text:?} is filled in by Compose only")]
    Substitution { text: String },
    /// A literal value that ought to be a secret.
    #[error("{name} looks like a secret, and everybody who reads the recipe knows it")]
    Secret { name: String },
    /// What one thing puts there, another one lies over.
    #[error("{path} lies below {by}, {how}, and would be hidden")]
    Hidden { path: String, by: String, how: &'static str },
    /// One would be written over the other.
    #[error("{one} and {other} are both called {name:?}")]
    Twice { name: String, one: String, other: String },
    /// Jobs would be run with it as well.
    #[error("{key} in [service.container] would take the place of every job's own command")]
    Command { key: &'static str },
    /// A line of a unit ends there.
    #[error("{text:?} has a line end or another control character, which has no place in a unit")]
    Control { text: String },
    /// Kubernetes can't see the working copy.
    #[error("{name} mounts {path} from the working copy, which a cluster hasn't got")]
    Mounted { name: String, path: String },
}

/// A name that only one thing may have.
pub(super) struct Claim<'s> {
    name: String,
    who: String,
    at: Option<&'s At>,
}

/// Things that have one name.
fn twice<'s>(claims: impl IntoIterator<Item = Claim<'s>>) -> Vec<Error> {
    let mut first: BTreeMap<String, Claim<'s>> = BTreeMap::new();
    let mut errors = Vec::new();
    for claim in claims {
        if let Some(first) = first.get(&claim.name) {
            let fault = Fault::Twice { name: claim.name, one: first.who.clone(), other: claim.who };
            errors.push(Error { at: claim.at.or(first.at).cloned(), fault });
        } else {
            first.insert(claim.name.clone(), claim);
        }
    }
    errors
}

/// A service or job, as others wait for it.
struct Node<'s> {
    job: bool,
    healthy: bool,
    after: &'s BTreeMap<String, Spanned<After>>,
}

impl Stack {
    /// Everything that is wrong with it.
    pub fn errors(&self) -> Vec<Error> {
        let nodes: BTreeMap<String, Node<'_>> = self.units.iter().flat_map(Unit::nodes).collect();
        let mut errors: Vec<Error> = self.units.iter().flat_map(Unit::own_errors).collect();
        let volume = |unit: &Unit, volume: &str| format!("{}-{volume}", unit.name);
        errors.extend(self.same_names(&|name| name.to_owned(), &volume));
        for node in nodes.values() {
            for (name, state) in node.after {
                errors.extend(self.fault(&nodes, name, state).map(|fault| Error::at(&state.at, fault)));
            }
        }
        if errors.is_empty() {
            errors.extend(circle(&nodes));
        }
        errors
    }

    /// Services and jobs, and volumes, that would be called the same.
    pub(super) fn same_names(
        &self,
        called: &dyn Fn(&str) -> String,
        volume: &dyn Fn(&Unit, &str) -> String,
    ) -> Vec<Error> {
        let services = self.units.iter().flat_map(|unit| {
            let own = Claim { name: called(&unit.name), who: format!("the recipe {}", unit.name), at: None };
            let jobs = unit.service.jobs.iter().map(|(name, job)| Claim {
                name: called(&job_name(&unit.name, name)),
                who: format!("the job {name} of {}", unit.name),
                at: job.at.as_ref(),
            });
            std::iter::once(own).chain(jobs)
        });
        let volumes = self.units.iter().flat_map(|unit| {
            unit.service.volumes.iter().map(|(name, path)| Claim {
                name: volume(unit, name),
                who: format!("the volume {name} of {}", unit.name),
                at: Some(&path.at),
            })
        });
        let mut errors = twice(services);
        errors.extend(twice(volumes));
        errors
    }

    fn fault(&self, nodes: &BTreeMap<String, Node<'_>>, name: &String, state: &After) -> Option<Fault> {
        let Some(node) = nodes.get(name) else {
            let suggestion = suggest(name, nodes.keys().map(String::as_str));
            let known = nodes.keys().cloned().collect();
            return Some(Fault::NoService {
                stack: self.name.clone(),
                name: name.clone(),
                suggestion,
                known,
            });
        };
        let name = name.clone();
        match state {
            After::Done if !node.job => Some(Fault::NeverSo { name, what: "a service", state: "done" }),
            After::Healthy if node.job => Some(Fault::NeverSo { name, what: "a job", state: "healthy" }),
            After::Healthy if !node.healthy => Some(Fault::NoHealth { name }),
            _ => None,
        }
    }

    /// Whether somebody waits until a service is healthy.
    pub(super) fn is_awaited(&self, name: &str) -> bool {
        let nodes = self.units.iter().flat_map(Unit::nodes);
        let healthy = |after: &Spanned<After>| after.value == After::Healthy;
        nodes.into_iter().any(|(_, node)| node.after.get(name).is_some_and(healthy))
    }
}

impl Unit {
    fn nodes(&self) -> Vec<(String, Node<'_>)> {
        let healthy = self.service.health.as_ref().is_some_and(|health| health.check.cmd.is_some());
        let own = Node { job: false, healthy, after: &self.service.after };
        let jobs = self.service.jobs.iter().map(|(name, job)| {
            (job_name(&self.name, name), Node { job: true, healthy: false, after: &job.after })
        });
        std::iter::once((self.name.clone(), own)).chain(jobs).collect()
    }

    fn own_errors(&self) -> Vec<Error> {
        let service = &self.service;
        let jobs = service.jobs.values().flat_map(|job| &job.env);
        let secret = |(name, value): (&String, &Spanned<String>)| {
            let fault = Fault::Secret { name: name.clone() };
            is_secret(name, value).then(|| Error::at(&value.at, fault))
        };
        let mut errors: Vec<Error> = service.env.iter().chain(jobs).filter_map(secret).collect();
        errors.extend(self.wrong_ports());
        errors.extend(self.hidden());
        let owners = std::iter::once(None).chain(service.jobs.values().map(Some));
        for error in owners.flat_map(|job| twice(self.variables(job))) {
            // A job has the service's, too.
            if !errors.contains(&error) {
                errors.push(error);
            }
        }
        for key in ["command", "entrypoint"] {
            let table = service.container.as_ref().filter(|table| table.value.contains_key(key));
            errors.extend(table.map(|table| Error::at(&table.at, Fault::Command { key })));
        }
        errors
    }

    /// Every variable that the service, or one of its jobs, is given.
    fn variables<'s>(&'s self, job: Option<&'s Job>) -> Vec<Claim<'s>> {
        let literal = env(&self.service, job).into_iter().map(|(name, value)| Claim {
            name: name.to_owned(),
            who: format!("a variable of {}", self.name),
            at: Some(&value.at),
        });
        let secrets = self.service.secrets.iter().filter_map(|(secret, how)| match how {
            Secret::Env(name) => Some(Claim {
                name: name.value.clone(),
                who: format!("the secret {secret} of {}", self.name),
                at: Some(&name.at),
            }),
            Secret::File(_) => None,
        });
        literal.chain(secrets).collect()
    }

    /// Files and secrets below what lies over the image.
    pub fn hidden(&self) -> Vec<Error> {
        let volumes =
            self.service.volumes.values().map(|path| (path.value.as_str(), "a volume of [service]"));
        let mounts =
            self.mounts.iter().map(|mount| (mount.target.as_str(), "which the working copy lies over"));
        let covers: Vec<(&str, &'static str)> = volumes.chain(mounts).collect();
        let secrets = self.service.secrets.values().filter_map(|secret| match secret {
            Secret::File(path) => Some(path),
            Secret::Env(_) => None,
        });
        let mut errors = Vec::new();
        for path in self.files.iter().chain(secrets) {
            // Of an entry that makes a thousand, one is enough.
            if errors.last().is_some_and(|last: &Error| last.at.as_ref() == Some(&path.at)) {
                continue;
            }
            let below = |(by, _): &&(&str, &'static str)| {
                path.strip_prefix(by.trim_end_matches('/'))
                    .is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
            };
            if let Some((by, how)) = covers.iter().find(below) {
                let fault = Fault::Hidden { path: path.value.clone(), by: (*by).to_owned(), how };
                errors.push(Error::at(&path.at, fault));
            }
        }
        errors
    }

    fn wrong_ports(&self) -> Vec<Error> {
        let ports = self.service.ports.iter().flatten();
        let ports = ports.filter(|text| !is_published(text) && !text.contains("${"));
        let tcp = self.service.health.iter().filter_map(|health| match &health.probe {
            Some(Probe::Tcp(text)) => Some(text).filter(|text| port(text).is_none()),
            _ => None,
        });
        ports.chain(tcp).map(|text| Error::at(&text.at, Fault::Port { text: text.value.clone() })).collect()
    }
}

/// A port as Compose publishes it: `[[ADDRESS:]HOST:]CONTAINER[/PROTOCOL]`, each a number or a range.
fn is_published(text: &str) -> bool {
    let (text, protocol) = text.rsplit_once('/').unwrap_or((text, "tcp"));
    let (address, ports) = match text.rsplit_once(':') {
        None => (None, (None, text)),
        Some((before, inner)) => match before.rsplit_once(':') {
            None => (None, (Some(before), inner)),
            Some((address, outer)) => (Some(address), (Some(outer), inner)),
        },
    };
    let range = |text: &str| {
        let (first, last) = text.split_once('-').unwrap_or((text, text));
        Some((number(first)?, number(last)?)).filter(|(first, last)| first <= last)
    };
    let is_address = |text: &str| {
        let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        inner.parse::<IpAddr>().is_ok()
    };
    // An address alone leaves it to the engine to choose the port.
    let outer = ports.0.filter(|outer| !(outer.is_empty() && address.is_some()));
    matches!(protocol, "tcp" | "udp" | "sctp")
        && address.is_none_or(is_address)
        && range(ports.1).is_some_and(|(first, last)| {
            let fits = |(from, to): (u16, u16)| first == last || to - from == last - first;
            outer.is_none_or(|outer| range(outer).is_some_and(fits))
        })
}

/// The first circle of those that wait for each other, if any.
fn circle(nodes: &BTreeMap<String, Node<'_>>) -> Option<Error> {
    fn visit<'n>(
        name: &'n str,
        nodes: &'n BTreeMap<String, Node<'_>>,
        path: &mut Vec<&'n str>,
        done: &mut Vec<&'n str>,
    ) -> Option<Error> {
        path.push(name);
        for (next, state) in nodes[name].after {
            if let Some(first) = path.iter().position(|open| open == next) {
                let names = path[first..].iter().map(|name| (*name).to_owned()).collect();
                return Some(Error::at(&state.at, Fault::Circle { names }));
            }
            if !done.contains(&next.as_str())
                && let Some((next, _)) = nodes.get_key_value(next)
            {
                let found = visit(next, nodes, path, done);
                if found.is_some() {
                    return found;
                }
            }
        }
        path.pop();
        done.push(name);
        None
    }
    let mut done = Vec::new();
    nodes.keys().find_map(|name| visit(name, nodes, &mut Vec::new(), &mut done))
}
