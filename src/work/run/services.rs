//! Which recipes of a stack run together, and how each says that it is run.

use std::collections::{BTreeMap, BTreeSet};

use crate::deploy;
use crate::recipe::{Scope, Service, Spanned, suggest};
use crate::work::Error;
use crate::work::checkout::Checkout;
use crate::workspace::Target;

/// The one variant that is meant: a stack runs in one.
pub(crate) fn variant_of(
    checkout: &Checkout<'_>,
    selected: &BTreeMap<Target, Vec<String>>,
    asked: Option<&String>,
) -> Result<String, Error> {
    let named: BTreeSet<&String> = selected.values().flatten().chain(asked).collect();
    match named.into_iter().collect::<Vec<_>>()[..] {
        [] => Ok(checkout.file.default_variant().to_owned()),
        [one] => Ok(one.clone()),
        [one, other, ..] => {
            Err(Error::usage(format!("a stack runs in one variant, and {one} and {other} were named")))
        }
    }
}

/// Recipes that run together, and how.
pub(crate) struct Chosen {
    pub(crate) stack: String,
    pub(crate) services: BTreeMap<Target, Service>,
}

/// The recipes of one stack that say how they are run: those that were named, and what these wait for.
pub(crate) fn chosen(
    checkout: &Checkout<'_>,
    selected: &BTreeMap<Target, Vec<String>>,
    variant: &str,
) -> Result<Chosen, Error> {
    let stacks: BTreeSet<&String> = selected.keys().map(|target| &target.stack).collect();
    let mut stacks = stacks.into_iter();
    let (Some(stack), None) = (stacks.next().cloned(), stacks.next()) else {
        return Err(Error::usage("recipes of one stack run together: name one stack, or recipes of one"));
    };
    let mut services: BTreeMap<String, (Target, Service)> = BTreeMap::new();
    for target in checkout.workspace.recipes()?.into_iter().filter(|target| target.stack == stack) {
        if let Some(service) = service(checkout, &target, variant)? {
            services.insert(target.name.clone(), (target, service));
        }
    }
    // A job comes with its service. Looked up: a recipe may have thousands, each waiting for another.
    let mut owners: BTreeMap<String, &String> = BTreeMap::new();
    for (name, (_, service)) in &services {
        for job in service.jobs.keys() {
            owners.entry(format!("{name}-{job}")).or_insert(name);
        }
    }
    let mut todo: Vec<&String> = selected.keys().map(|target| &target.name).collect();
    let mut wanted: BTreeSet<String> = BTreeSet::new();
    while let Some(name) = todo.pop() {
        let Some((_, service)) = services.get(name) else { continue };
        if wanted.insert(name.clone()) {
            let after = service.jobs.values().map(|job| &job.after).chain([&service.after]);
            let others = after.flat_map(|after| after.keys());
            todo.extend(others.map(|other| owners.get(other).copied().unwrap_or(other)));
        }
    }
    let wrong: Vec<_> =
        wanted.iter().filter_map(|name| services.get(name)).flat_map(unknown_calls(&services)).collect();
    if !wrong.is_empty() {
        return Err(Error::Deploy(wrong));
    }
    let services: BTreeMap<_, _> =
        services.into_iter().filter(|(name, _)| wanted.contains(name)).map(|(_, found)| found).collect();
    if services.is_empty() {
        let names: Vec<String> = selected.keys().map(ToString::to_string).collect();
        return Err(Error::usage(format!("{}: no [service] says how it is run", names.join(", "))));
    }
    Ok(Chosen { stack, services })
}

/// What a service says that it calls, and nothing is called so.
fn unknown_calls(
    services: &BTreeMap<String, (Target, Service)>,
) -> impl FnMut(&(Target, Service)) -> Vec<deploy::Error> {
    move |(target, service)| {
        let unknown = service.calls.iter().flatten().filter(|name| !services.contains_key(&name.value));
        let fault = |name: &Spanned<String>| deploy::Fault::NoService {
            stack: target.stack.clone(),
            name: name.value.clone(),
            suggestion: suggest(name, services.keys().map(String::as_str)),
            known: services.keys().cloned().collect(),
        };
        unknown.map(|name| deploy::Error { at: Some(name.at.clone()), fault: fault(name) }).collect()
    }
}

/// How a variant of a recipe is run, if it says so.
pub(crate) fn service(
    checkout: &Checkout<'_>,
    target: &Target,
    variant: &str,
) -> Result<Option<Service>, Error> {
    let scope = Scope { set: BTreeMap::new(), ..checkout.scope_on(target, &checkout.env.platform) };
    checkout.variant(target, variant)?.service_for(&scope).map_err(Error::Recipes)
}
