//! Who reaches a service, and by what name: its Services and its NetworkPolicy.

use std::collections::{BTreeMap, BTreeSet};

use super::parts::{dns, governing, is_stateful, object, selector};
use crate::deploy::yaml::Yaml;
use crate::deploy::{Stack, Unit, is_loopback, port};

/// A port, and its protocol in capitals.
type Port = (u16, String);

impl Unit {
    /// Ports that others may call: those that the image declares and those of the service, but for private ones.
    pub(super) fn open_ports(&self) -> Vec<Port> {
        let own = self.service.ports.iter().flatten().map(|text| text.value.as_str());
        let all = self.exposed.iter().map(String::as_str).chain(own);
        let private = private_ports(self);
        all.filter_map(upper)
            .filter(|port| !private.contains(port))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect()
    }
}

/// Ports that are for those alone that call this service.
pub(super) fn private_ports(unit: &Unit) -> Vec<Port> {
    let all = unit.service.private.iter().flatten();
    all.filter_map(|text| upper(text)).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Ports that anybody may call: published, and not for this machine alone.
fn published_ports(unit: &Unit) -> Vec<Port> {
    let all = unit.service.ports.iter().flatten().filter(|text| !is_loopback(text));
    let private = private_ports(unit);
    let all = all.filter_map(|text| upper(text)).filter(|port| !private.contains(port));
    all.collect::<BTreeSet<_>>().into_iter().collect()
}

fn upper(text: &str) -> Option<Port> {
    port(text).map(|(number, protocol)| (number, protocol.to_ascii_uppercase()))
}

/// Who calls whom: a service and its jobs together, what they wait for and what they say that they call.
pub(super) fn callers(stack: &Stack) -> BTreeMap<&str, BTreeSet<&str>> {
    let known: BTreeSet<&str> = stack.units.iter().map(|unit| unit.name.as_str()).collect();
    let mut callers: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for unit in &stack.units {
        let jobs = unit.service.jobs.values().map(|job| &job.after);
        let after = jobs.chain([&unit.service.after]).flat_map(|after| after.keys().map(String::as_str));
        let calls = unit.service.calls.iter().flatten().map(|name| name.value.as_str());
        // Nobody calls a job.
        for name in after.chain(calls).filter_map(|name| known.get(name)) {
            callers.entry(name).or_default().insert(&unit.name);
        }
    }
    callers
}

/// The Services of a unit: one by which others reach it, and of a StatefulSet one that names its pod.
pub(super) fn services(stack: &Stack, unit: &Unit, is_called: bool) -> Vec<Yaml> {
    let ports = unit.open_ports();
    let one = |(number, protocol): &Port| {
        Yaml::map([
            ("name", Yaml::text(format!("{}-{number}", protocol.to_ascii_lowercase()))),
            ("port", Yaml::plain(number)),
            ("protocol", Yaml::text(protocol)),
        ])
    };
    let of = |name: &str, headless: bool| {
        let mut spec = Yaml::map([("selector", selector(stack, &unit.name))]);
        if headless {
            spec.put("clusterIP", Yaml::text("None"));
        }
        spec.put("ports", Yaml::List(ports.iter().map(one).collect()));
        object(stack, "v1", "Service", name, spec)
    };
    let mut all = Vec::new();
    let is_private = unit.service.private.as_ref().is_some_and(|ports| !ports.is_empty());
    if !ports.is_empty() || is_called {
        // Without an address of its own it leads to the pod itself, at any port: so a private one needs no Service.
        all.push(of(&dns(&unit.name), ports.is_empty() || is_private));
    }
    if is_stateful(unit) {
        all.push(of(&governing(unit), true));
    }
    all
}

/// What may come in: from anywhere to published ports, from those that call it to all of them. Nothing else in the stack.
pub(super) fn policies(stack: &Stack, callers: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<Yaml> {
    let policy = |name: &str, pods: Yaml, ingress: Vec<Yaml>| {
        let mut spec = Yaml::map([
            ("podSelector", Yaml::map([("matchLabels", pods)])),
            ("policyTypes", Yaml::texts(["Ingress"])),
        ]);
        spec.put("ingress", Yaml::List(ingress));
        object(stack, "networking.k8s.io/v1", "NetworkPolicy", name, spec)
    };
    let ports = |ports: Vec<Port>| {
        let one = |(number, protocol)| {
            Yaml::map([("protocol", Yaml::Text(protocol)), ("port", Yaml::plain(number))])
        };
        Yaml::List(ports.into_iter().map(one).collect())
    };
    let part_of = Yaml::map([("app.kubernetes.io/part-of", Yaml::text(dns(&stack.name)))]);
    // No service has a dot in its name.
    let mut all = vec![policy(&format!("{}.closed", dns(&stack.name)), part_of, Vec::new())];
    for unit in &stack.units {
        let mut ingress = Vec::new();
        let published = published_ports(unit);
        if !published.is_empty() {
            ingress.push(Yaml::map([("ports", ports(published))]));
        }
        if let Some(callers) = callers.get(unit.name.as_str()) {
            let from = callers.iter().map(|caller| {
                let pods = Yaml::map([("matchLabels", component(stack, caller))]);
                Yaml::map([("podSelector", pods)])
            });
            let mut rule = Yaml::map([("from", Yaml::List(from.collect()))]);
            let mut known = unit.open_ports();
            // Where nobody says a port, all.
            if !known.is_empty() {
                known.extend(private_ports(unit));
            }
            rule.put("ports", ports(known));
            ingress.push(rule);
        }
        if !ingress.is_empty() {
            all.push(policy(&dns(&unit.name), selector(stack, &unit.name), ingress));
        }
    }
    all
}

/// The pods of a service and of its jobs.
fn component(stack: &Stack, unit: &str) -> Yaml {
    Yaml::map([
        ("app.kubernetes.io/component", Yaml::text(dns(unit))),
        ("app.kubernetes.io/part-of", Yaml::text(dns(&stack.name))),
    ])
}
