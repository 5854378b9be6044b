//! One service of a stack, with the image that its recipe becomes.

use std::collections::BTreeMap;
use std::path::Path;

use super::mounts::{copies, mount};
use super::runner::Runner;
use crate::deploy::{self, Unit};
use crate::disk;
use crate::lock::State;
use crate::oci::json;
use crate::recipe::{ResolvedAction, ResolvedFile, Service, Spanned};
use crate::tree::Kind;
use crate::work::Error;
use crate::work::checkout::{Checkout, wants};
use crate::work::deliver::published::needed;
use crate::work::realise::{Session, Variant};
use crate::work::upstream::Below;
use crate::workspace::Target;

/// How a stack is described.
pub(crate) struct How<'h> {
    /// For whom.
    pub(crate) runner: Runner,
    /// Images as they are called in their registry, by digest, not by an engine's ID.
    pub(crate) published: bool,
    /// The directory of the file that is written: mounted sources are named from there.
    pub(crate) beside: &'h Path,
}

/// One service, with the image that its recipe becomes.
pub(crate) fn unit(
    session: &Session<'_>,
    target: &Target,
    variant: &str,
    service: Service,
    how: &How<'_>,
) -> Result<Unit, Error> {
    let computed = session.image(target)?;
    let made = &computed.variants[variant];
    let platform = session.checkout().env.platform.short();
    let here = made.images.get(&platform);
    let (image, called) = if how.published || how.runner == Runner::Kube {
        let published = format!("{}@{}", needed(session.checkout(), target)?, made.descriptor.digest);
        (published.clone(), published)
    } else {
        let none = || {
            let (recipe, have) = (target.to_string(), made.images.keys().cloned().collect());
            Error::NoPlatform { recipe, base: made.base.text.clone(), platform, have }
        };
        let image = here.ok_or_else(none)?;
        // What engines without containerd's store call an image by itself.
        (image.id().to_string(), format!("{target}:{variant}"))
    };
    let stand = here.or_else(|| made.images.values().next()).map(|image| image.stand(target)).transpose()?;
    let (user, uid, group) = stand.as_ref().map(user).unwrap_or_default();
    let exposed = stand.as_ref().map(exposed).unwrap_or_default();
    let (mounted, others) = files(made);
    let mut mounts = Vec::new();
    if let Some(resolved) = made.resolved.as_ref().filter(|_| !mounted.is_empty()) {
        // What was there before may have other files.
        disk::remove(&copies(session.checkout(), target, variant)?)?;
        for file in mounted {
            if how.runner == Runner::Kube {
                let fault = deploy::Fault::Mounted { name: target.name.clone(), path: file.to.value.clone() };
                return Err(Error::Deploy(vec![deploy::Error { at: Some(file.to.at.clone()), fault }]));
            }
            mounts.extend(mount(
                session.checkout(),
                (target, variant),
                file,
                &resolved.names,
                (how.beside, how.runner),
            )?);
        }
    }
    Ok(Unit {
        name: target.name.clone(),
        image,
        called,
        service,
        mounts,
        exposed,
        user,
        uid,
        group,
        files: others,
    })
}

/// One service whose image nobody can know yet, as a Compose file calls what `build --to docker-daemon:` brings.
pub(crate) fn untold(
    checkout: &Checkout<'_>,
    target: &Target,
    variant: &str,
    service: Service,
    how: &How<'_>,
) -> Result<Unit, Error> {
    let state = || State::of(&wants::unknown(checkout, target).unwrap_or_default(), false).name().to_owned();
    if how.published || how.runner != Runner::Compose {
        return Err(Error::NotLocked { recipe: target.to_string(), state: state() });
    }
    let scope = checkout.scope_on(target, &checkout.env.platform);
    let resolved = checkout.variant(target, variant)?.resolve(&scope).map_err(Error::Recipes)?;
    let image = format!("{target}:{variant}");
    let called = format!("{image}, as it is called: the lock is {}, so nobody knows its ID", state());
    let mut unit = Unit { image, called, ..bare_unit(target.name.clone(), service) };
    let mounted = resolved.entries.iter().filter_map(|entry| match &entry.action {
        ResolvedAction::File(file) if file.mount.is_some() => Some(file),
        _ => None,
    });
    disk::remove(&copies(checkout, target, variant)?)?;
    for file in mounted {
        let place = (how.beside, how.runner);
        unit.mounts.extend(mount(checkout, (target, variant), file, &resolved.names, place)?);
    }
    Ok(unit)
}

/// A service of which nothing is known but what its recipe says of it.
pub(crate) fn bare_unit(name: String, service: Service) -> Unit {
    Unit {
        name,
        image: String::new(),
        called: String::new(),
        service,
        mounts: Vec::new(),
        exposed: Vec::new(),
        user: String::new(),
        uid: None,
        group: None,
        files: Vec::new(),
    }
}

/// The entries that are mounted, and where the others put what may not be hidden.
pub(crate) fn files(made: &Variant) -> (Vec<&ResolvedFile>, Vec<Spanned<String>>) {
    let (mut mounted, mut by_place) = (Vec::new(), BTreeMap::<&str, Vec<_>>::new());
    for entry in made.resolved.iter().flat_map(|resolved| &resolved.entries) {
        let ResolvedAction::File(file) = &entry.action else { continue };
        if file.mount.is_some() {
            mounted.push(file);
        }
        let may_be_hidden = entry.below_volume || file.mount.is_some();
        by_place.entry(file.to.as_str()).or_default().push((file, may_be_hidden));
    }
    // A path belongs to the entry that stands nearest above it.
    let owner = |path: &str| {
        let mut above = path;
        loop {
            if let Some(entries) = by_place.get(if above.is_empty() { "/" } else { above }) {
                return Some(entries);
            }
            above = &above[..above.rfind('/')?];
        }
    };
    let layers = made.images.values().next().into_iter().flat_map(|image| &image.layers);
    let written = layers.flat_map(|layer| layer.tree.iter());
    let written = written.filter(|(_, node)| !matches!(node.kind, Kind::Directory { .. }));
    let places = by_place.keys().map(|place| (*place).to_owned());
    let mut others: BTreeMap<&str, Vec<Spanned<String>>> = BTreeMap::new();
    for path in places.chain(written.map(|(path, _)| path.to_string())) {
        if let Some(entries) = owner(&path)
            && let Some((file, false)) = entries.iter().max_by_key(|(_, may_be_hidden)| *may_be_hidden)
        {
            others.entry(file.to.as_str()).or_default().push(file.to.with(path));
        }
    }
    (mounted, others.into_values().flatten().collect())
}

fn exposed(stand: &Below) -> Vec<String> {
    let ports = stand.config.setting("ExposedPorts").and_then(json::Value::as_object);
    ports.into_iter().flat_map(|ports| ports.keys().cloned()).collect()
}

/// Whom an image runs as, and that user's and its group's numbers where somebody says them.
fn user(stand: &Below) -> (String, Option<u32>, Option<u32>) {
    let text = stand.config.setting("User").and_then(json::Value::as_str).unwrap_or_default();
    let facts = &stand.facts;
    let group = match text.split_once(':') {
        Some((_, group)) => group.parse().ok().or_else(|| facts.group(group.as_bytes())),
        None => match text.parse() {
            Ok(uid) => facts.gid_of(uid),
            Err(_) => facts.user(text.as_bytes()).map(|(_, gid)| gid),
        },
    };
    let name = text.split(':').next().unwrap_or_default();
    let uid = name.parse().ok().or_else(|| facts.user(name.as_bytes()).map(|(uid, _)| uid));
    (text.to_owned(), uid, group)
}
