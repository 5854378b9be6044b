//! `check`: everything that can be said of recipes without building them.

use std::collections::{BTreeMap, BTreeSet};

use super::compute::Variant;
use super::deploy::{files, mounted, service};
use super::error::Error;
use super::session::{Asks, Session};
use super::{Checked, Env, ImageName, Selection};
use crate::deploy::{Mount, Stack, Unit};
use crate::lock::{BaseOrigin, Reason, State};
use crate::recipe::Service;
use crate::tree::SourceKey;
use crate::workspace::Target;

/// Checks the selected recipes, all of them without a selection: the recipes themselves, their sources, how the services of
/// their stacks fit together, and with all guards what they make of their bases, where the locks know these.
///
/// # Errors
/// Whatever is wrong.
pub fn check(env: &Env<'_>, select: &Selection) -> Result<Vec<Checked>, Error> {
    let session = Session::open(env, Asks::default())?;
    let everything = Selection { all: true, targets: Vec::new() };
    let selected = session.select(if select.targets.is_empty() { &everything } else { select })?;
    let stacks: BTreeSet<&String> = selected.keys().map(|target| &target.stack).collect();
    for variant in &session.file.variants {
        stacks.iter().try_for_each(|stack| fits(&session, stack, variant))?;
    }
    let mut found = Vec::new();
    for (target, variants) in &selected {
        let mut reasons = unknown(&session, target, 0)?;
        let whole = reasons.is_empty();
        if whole {
            let computed = session.compute(target)?;
            reasons = computed.reasons.clone();
            for (variant, made) in &computed.variants {
                if let Some(service) = service(&session, target, variant)? {
                    nothing_hidden(&session, target, service, made)?;
                }
            }
        } else {
            for files in session.source_keys(target)?.iter().filter_map(SourceKey::plain) {
                session.source(files)?;
            }
        }
        let state = State::of(&reasons, false);
        for variant in
            session.file.variants.iter().filter(|name| variants.is_empty() || variants.contains(name))
        {
            let service = service(&session, target, variant)?;
            let env = service.iter().flat_map(|service| &service.env);
            let env = env.map(|(name, value)| (name.clone(), value.value.clone())).collect();
            let check = service.and_then(|service| service.check);
            found.push(Checked {
                name: ImageName { recipe: target.to_string(), variant: variant.clone() },
                state: state.name().to_owned(),
                whole,
                check: check.map(|words| words.into_iter().map(|word| word.value).collect()),
                env,
            });
        }
    }
    Ok(found)
}

/// Whether a variant's mounts and volumes leave to be seen what it puts into the image.
fn nothing_hidden(
    session: &Session<'_>,
    target: &Target,
    service: Service,
    made: &Variant,
) -> Result<(), Error> {
    let (entries, files) = files(made);
    let mut unit = bare_unit(target.name.clone(), service);
    for file in entries {
        let mount = |target: String| Mount { source: String::new(), target, read_only: true };
        unit.mounts.extend(mounted(session, file)?.into_iter().map(|mounted| mount(mounted.target)));
    }
    unit.files = files;
    let errors = unit.hidden();
    if errors.is_empty() { Ok(()) } else { Err(Error::Deploy(errors)) }
}

fn bare_unit(name: String, service: Service) -> Unit {
    Unit {
        name,
        image: String::new(),
        called: String::new(),
        service,
        mounts: Vec::new(),
        exposed: Vec::new(),
        user: String::new(),
        group: None,
        files: Vec::new(),
    }
}

/// What a lock lacks, its own or that of a recipe below, so that a registry would have to be asked.
fn unknown(session: &Session<'_>, target: &Target, depth: usize) -> Result<Vec<Reason>, Error> {
    // Circles are told by whoever computes.
    if depth > 64 {
        return Ok(Vec::new());
    }
    let old = session.old_lock(target)?;
    let mut wants = session.wants(target)?;
    wants.retain(|want| matches!(want.origin, BaseOrigin::Image(_)));
    let mut reasons = old.lock.unwrap_or_default().unpinned(&wants);
    reasons.extend(old.reason.filter(|reason| *reason == Reason::Conflicted || !wants.is_empty()));
    for variant in &session.file.variants {
        if let Some(parent) = session.parent_of(target, variant)? {
            reasons.extend(unknown(session, &parent, depth + 1)?);
        }
    }
    Ok(reasons)
}

/// Whether the services of a stack fit together.
fn fits(session: &Session<'_>, name: &str, variant: &str) -> Result<(), Error> {
    let mut units = BTreeMap::new();
    for target in session.workspace.recipes()?.into_iter().filter(|target| target.stack == name) {
        if let Some(service) = service(session, &target, variant)? {
            units.insert(target.name.clone(), bare_unit(target.name, service));
        }
    }
    let units = units.into_values().collect();
    let errors = Stack { name: name.to_owned(), variant: variant.to_owned(), units }.errors();
    if errors.is_empty() { Ok(()) } else { Err(Error::Deploy(errors)) }
}
