//! What must hold between the services of a stack, whatever runs them.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use super::{Stack, Unit, job_name, number, port};
use crate::recipe::{After, At, Probe, Secret, Spanned, is_secret, secrets_in, suggest};

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
    #[error("the stack {stack} has no service {name:?}")]
    NoService { stack: String, name: String, suggestion: Option<String>, known: Vec<String> },
    /// Engines see a service's health only by a command that they run in it.
    #[error("{name} is waited for until it is healthy, and nothing tells when it is")]
    NoHealth { name: String },
    /// A one-off run has no health, and a service doesn't end.
    #[error("{name} is {what}, which is never {state}")]
    NeverSo { name: String, what: &'static str, state: &'static str },
    /// Each waits for the next.
    #[error("{} wait for each other", shortened(.names).join(" and "))]
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
    /// A Service's name is a label of DNS.
    #[error(
        "{who} would be called {name:?} in a cluster: names there are small letters, digits and `-`, from a letter to a letter or digit, {limit} at most"
    )]
    NoLabel { who: String, name: String, limit: usize },
    /// Jobs would be run with it as well.
    #[error("{key} in [service.container] would take the place of every job's own command")]
    Command { key: &'static str },
    /// A unit has no way to say it.
    #[error("{text:?} has {what}, which a unit can't say here")]
    Unsayable { text: String, what: &'static str },
    /// Kubernetes can't see the working copy.
    #[error("{name} mounts {path} from the working copy, which a cluster hasn't got")]
    Mounted { name: String, path: String },
}

/// A name that only one thing may have.
pub(super) struct Claim<'s> {
    pub(super) name: String,
    pub(super) who: String,
    pub(super) at: Option<&'s At>,
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
                // Whoever wrote that many mistakes reads the first ones; each looks at every name.
                if errors.len() >= MOST_ERRORS {
                    return errors;
                }
                errors.extend(self.fault(&nodes, name, state).map(|fault| Error::at(&state.at, fault)));
            }
        }
        if errors.is_empty() {
            errors.extend(circle(&nodes));
        }
        errors.truncate(MOST_ERRORS);
        errors
    }

    /// What services and jobs are called.
    pub(super) fn claims(&self, called: &dyn Fn(&str) -> String) -> Vec<Claim<'_>> {
        let of = |unit| {
            let Unit { name, service, .. }: &Unit = unit;
            let own = Claim { name: called(name), who: format!("the recipe {name}"), at: None };
            let jobs = service.jobs.iter().map(move |(job, found)| Claim {
                name: called(&job_name(name, job)),
                who: format!("the job {job} of {name}"),
                at: found.at.as_ref(),
            });
            std::iter::once(own).chain(jobs).collect::<Vec<_>>()
        };
        self.units.iter().flat_map(of).collect()
    }

    /// Services and jobs, and volumes, that would be called the same.
    pub(super) fn same_names(
        &self,
        called: &dyn Fn(&str) -> String,
        volume: &dyn Fn(&Unit, &str) -> String,
    ) -> Vec<Error> {
        let volumes = self.units.iter().flat_map(|unit| {
            unit.service.volumes.iter().map(|(name, path)| Claim {
                name: volume(unit, name),
                who: format!("the volume {name} of {}", unit.name),
                at: Some(&path.at),
            })
        });
        let mut errors = twice(self.claims(called));
        errors.extend(twice(volumes));
        errors
    }

    fn fault(&self, nodes: &BTreeMap<String, Node<'_>>, name: &String, state: &After) -> Option<Fault> {
        let Some(node) = nodes.get(name) else {
            let suggestion = suggest(name, nodes.keys().map(String::as_str));
            let known = shortened(&nodes.keys().cloned().collect::<Vec<_>>());
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

    /// The services that somebody waits for until they are healthy.
    pub(super) fn awaited(&self) -> BTreeSet<&str> {
        let nodes = self.units.iter().flat_map(Unit::nodes);
        let after = nodes.flat_map(|(_, node)| node.after);
        after.filter(|(_, state)| state.value == After::Healthy).map(|(name, _)| name.as_str()).collect()
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
        let mut errors = self.secrets();
        errors.extend(self.wrong_ports());
        errors.extend(self.hidden());
        errors.extend(self.variables_twice());
        let service = &self.service;
        for key in ["command", "entrypoint"] {
            let table = service.container.as_ref().filter(|table| table.value.contains_key(key));
            errors.extend(table.map(|table| Error::at(&table.at, Fault::Command { key })));
        }
        errors
    }

    /// What looks like a secret and stands in the recipe.
    fn secrets(&self) -> Vec<Error> {
        let service = &self.service;
        let jobs = service.jobs.values().flat_map(|job| &job.env);
        let literal = service.env.iter().chain(jobs).chain(&service.labels);
        let mut errors: Vec<Error> = literal
            .filter_map(|(name, value)| {
                let secret = is_secret(name, value) || secrets_in(value.as_bytes()).is_some();
                secret.then(|| Error::at(&value.at, Fault::Secret { name: name.clone() }))
            })
            .collect();
        if let Some(table) = &service.container {
            let mut names = Vec::new();
            table.value.iter().for_each(|(key, value)| passed(key, value, &mut names));
            errors.extend(names.into_iter().map(|name| Error::at(&table.at, Fault::Secret { name })));
        }
        errors
    }

    /// Variables that are given as they are and as a secret, or by two secrets. Names of literal ones are those of a table.
    fn variables_twice(&self) -> Vec<Error> {
        let literal = format!("a variable of {}", self.name);
        let mut secrets: BTreeMap<&str, (String, &At)> = BTreeMap::new();
        let mut errors = Vec::new();
        let twice = |name: &str, one: &str, other: &str, at: &At| {
            let (name, one, other) = (name.to_owned(), one.to_owned(), other.to_owned());
            Error::at(at, Fault::Twice { name, one, other })
        };
        for (secret, how) in &self.service.secrets {
            let Secret::Env(name) = how else { continue };
            let who = format!("the secret {secret} of {}", self.name);
            if self.service.env.contains_key(&name.value) {
                errors.push(twice(name, &literal, &who, &name.at));
            } else if let Some((first, _)) = secrets.get(name.value.as_str()) {
                errors.push(twice(name, first, &who, &name.at));
            } else {
                secrets.insert(name, (who, &name.at));
            }
        }
        let mut told = BTreeSet::new();
        for name in self.service.jobs.values().flat_map(|job| job.env.keys()) {
            if let Some((who, at)) = secrets.get(name.as_str()).filter(|_| told.insert(name)) {
                errors.push(twice(name, &literal, who, at));
            }
        }
        errors
    }

    /// Files and secrets below what lies over the image.
    pub fn hidden(&self) -> Vec<Error> {
        let volumes =
            self.service.volumes.values().map(|path| (path.value.as_str(), "a volume of [service]"));
        let mounts =
            self.mounts.iter().map(|mount| (mount.target.as_str(), "which the working copy lies over"));
        // The first of those that lie over the same path.
        let mut covers: BTreeMap<&str, (usize, &str, &'static str)> = BTreeMap::new();
        for (number, (by, how)) in volumes.chain(mounts).enumerate() {
            covers.entry(by.trim_end_matches('/')).or_insert((number, by, how));
        }
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
            let ends = path.bytes().enumerate().filter(|(end, byte)| *byte == b'/' && end + 1 < path.len());
            let above = ends.filter_map(|(end, _)| covers.get(&path.value[..end]));
            if let Some((_, by, how)) = above.min() {
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

/// Mistakes after which the rest is not worth looking for.
const MOST_ERRORS: usize = 100;

/// So many of a list's beginning and end as a person reads.
fn shortened(names: &[String]) -> Vec<String> {
    const SHOWN: usize = 4;
    match names.len().checked_sub(2 * SHOWN) {
        None | Some(0..=2) => names.to_vec(),
        Some(more) => {
            let middle = format!("{more} others");
            [&names[..SHOWN], &[middle], &names[names.len() - SHOWN..]].concat()
        }
    }
}

/// The names of what looks like a secret in a part of `[service.container]`, which goes to engines as it stands: tables, and
/// lists of `NAME=VALUE`.
fn passed(key: &str, value: &toml::Value, found: &mut Vec<String>) {
    match value {
        toml::Value::String(text) => {
            let (name, value) = text.split_once('=').unwrap_or((key, text));
            // A list's entry has its own name, any other text that of its key.
            if is_secret(key, text) || is_secret(name, value) || secrets_in(text.as_bytes()).is_some() {
                found.push(if is_secret(key, text) { key } else { name }.to_owned());
            }
        }
        toml::Value::Integer(number) if is_secret(key, &number.to_string()) => found.push(key.to_owned()),
        toml::Value::Array(items) => items.iter().for_each(|item| passed("", item, found)),
        toml::Value::Table(table) => table.iter().for_each(|(key, value)| passed(key, value, found)),
        _ => {}
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

/// The first circle of those that wait for each other, if any. Each is looked at once, and none waits on the stack: a recipe
/// may have thousands of jobs.
fn circle(nodes: &BTreeMap<String, Node<'_>>) -> Option<Error> {
    let mut done: BTreeSet<&str> = BTreeSet::new();
    for (first, node) in nodes {
        if done.contains(first.as_str()) {
            continue;
        }
        // The way here, and what each on it still waits for.
        let mut path = vec![(first.as_str(), node.after.iter())];
        let mut open = BTreeMap::from([(first.as_str(), 0)]);
        while let Some((name, after)) = path.last_mut() {
            let Some((next, state)) = after.next() else {
                open.remove(name);
                done.insert(name);
                path.pop();
                continue;
            };
            if let Some(first) = open.get(next.as_str()) {
                let names = path[*first..].iter().map(|(name, _)| (*name).to_owned()).collect();
                return Some(Error::at(&state.at, Fault::Circle { names }));
            }
            if !done.contains(next.as_str())
                && let Some((next, node)) = nodes.get_key_value(next)
            {
                open.insert(next, path.len());
                path.push((next, node.after.iter()));
            }
        }
    }
    None
}
