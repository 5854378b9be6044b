//! What must hold between the services of a stack, whatever runs them.

use std::collections::BTreeMap;

use super::{Stack, Unit, job_name, port};
use crate::recipe::{After, At, Secret, Spanned, is_secret, suggest};

/// Something that is wrong with a stack, and where a recipe says so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{fault}")]
pub struct Error {
    /// Where.
    pub at: At,
    /// What.
    pub fault: Fault,
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
    /// Kubernetes can't see the working copy.
    #[error("{name} mounts {path} from the working copy, which a cluster hasn't got")]
    Mounted { name: String, path: String },
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
        for node in nodes.values() {
            for (name, state) in node.after {
                errors.extend(
                    self.fault(&nodes, name, state).map(|fault| Error { at: state.at.clone(), fault }),
                );
            }
        }
        if errors.is_empty() {
            errors.extend(circle(&nodes));
        }
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
            is_secret(name, value).then(|| Error { at: value.at.clone(), fault })
        };
        let mut errors: Vec<Error> = service.env.iter().chain(jobs).filter_map(secret).collect();
        errors.extend(self.wrong_ports());
        errors.extend(self.hidden());
        errors
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
            let below = |(by, _): &&(&str, &'static str)| {
                path.strip_prefix(by.trim_end_matches('/'))
                    .is_some_and(|rest| rest.len() > 1 && rest.starts_with('/'))
            };
            if let Some((by, how)) = covers.iter().find(below) {
                let fault = Fault::Hidden { path: path.value.clone(), by: (*by).to_owned(), how };
                errors.push(Error { at: path.at.clone(), fault });
            }
        }
        errors
    }

    fn wrong_ports(&self) -> Vec<Error> {
        let wrong = |text: &&Spanned<String>| {
            let inner = text.rsplit(':').next().unwrap_or_default();
            let number = inner.split_once('-').map_or(inner, |(first, _)| first);
            port(number).is_none() && !text.contains("${")
        };
        let ports = self.service.ports.iter().flatten().filter(wrong);
        ports
            .map(|text| Error { at: text.at.clone(), fault: Fault::Port { text: text.value.clone() } })
            .collect()
    }
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
                return Some(Error { at: state.at.clone(), fault: Fault::Circle { names } });
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
