//! External bases: pinned where the lock doesn't pin them, and read as far as building on them needs.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::below::{Below, External, Wanted, volumes};
use super::documents::{Documents, OneImage};
use super::image::{Image, Known};
use super::resolve::{by_digest, is_called, refreshes, resolve};
use super::state::{Answers, Asked, Upstream};
use crate::lock::{BaseOrigin, BasePin, Lock, PlatformPin, Reason};
use crate::oci::Platform;
use crate::tree::Content;
use crate::work::Error;

/// Pins a base where the lock doesn't, and reads what building on it needs.
pub(crate) fn external(
    upstream: &Upstream<'_>,
    want: &Wanted<'_>,
    old: Option<&Lock>,
) -> Result<Rc<External>, Error> {
    let old = old.filter(|_| !refreshes(upstream, |name| is_called(&want.origin, name)));
    pinned_external(upstream, want, old.unwrap_or(&Lock::default()))
}

/// The same with a pin that isn't asked anew, where there is one.
pub(crate) fn pinned_external(
    upstream: &Upstream<'_>,
    want: &Wanted<'_>,
    old: &Lock,
) -> Result<Rc<External>, Error> {
    let old = old.pin(&want.origin);
    let asked = Asked {
        platforms: want.platforms.to_vec(),
        encoding: want.encoding,
        removes: want.removes.clone(),
        lenient: want.lenient,
        pin: old.cloned(),
    };
    let known = |answers: &Answers| {
        answers.iter().find(|(known, _)| *known == asked).map(|(_, external)| Rc::clone(external))
    };
    if let Some(external) = upstream.externals.borrow().get(&want.origin).and_then(known) {
        return Ok(external);
    }
    let external = Rc::new(read(upstream, want, old)?);
    let answer = (asked, Rc::clone(&external));
    upstream.externals.borrow_mut().entry(want.origin.clone()).or_default().push(answer);
    Ok(external)
}

fn read(upstream: &Upstream<'_>, want: &Wanted<'_>, old: Option<&BasePin>) -> Result<External, Error> {
    let name = want.origin.to_string();
    let mut documents = Documents::new(upstream.supply.bytes(name.clone(), Some(&want.origin))?);
    let descriptor = match old {
        Some(pin) if pin.is_told() => by_digest(upstream, want.recipe, &want.origin, pin.index.digest)?,
        Some(pin) => documents.pinned(&pin.index)?,
        None => resolve(upstream, &want.origin).map_err(|error| match error {
            Error::Substitute(source) => Error::Base { recipe: want.recipe.to_owned(), base: name, source },
            error => error,
        })?,
    };
    let document = documents.root(&descriptor)?;
    let mut external = External {
        pin: BasePin {
            origin: want.origin.clone(),
            variants: Vec::new(),
            index: Content { digest: descriptor.digest, size: descriptor.size },
            platforms: BTreeMap::new(),
        },
        descriptor,
        document,
        platforms: BTreeMap::new(),
        blobs: BTreeMap::new(),
        documents: Vec::new(),
    };
    for wanted in want.platforms {
        let key = wanted.short();
        let old = old.and_then(|pin| pin.platforms.get(&key));
        if let Some((pin, below)) = platform(upstream, &mut documents, &external, want, (wanted, old))? {
            external.pin.platforms.insert(key.clone(), pin);
            external.platforms.insert(key, below);
        }
    }
    (external.blobs, external.documents) = (documents.blobs, documents.digests);
    Ok(external)
}

/// What a base is on one platform; none where it hasn't got that, and need not.
fn platform(
    upstream: &Upstream<'_>,
    documents: &mut Documents<'_>,
    external: &External,
    want: &Wanted<'_>,
    (platform, old): (&Platform, Option<&PlatformPin>),
) -> Result<Option<(PlatformPin, Below)>, Error> {
    let missing = |have: Vec<String>| {
        let (recipe, base, platform) = (want.recipe.to_owned(), want.origin.to_string(), platform.short());
        if want.lenient { Ok(None) } else { Err(Error::NoPlatform { recipe, base, platform, have }) }
    };
    let found = match documents.image(&external.descriptor, &external.document, platform)? {
        Ok(found) => found,
        Err(have) => return missing(have),
    };
    // An image that isn't in an index is of the platform that its config says.
    if let Some(own) = found.child.platform.as_ref().filter(|own| !own.is_same_machine(platform)) {
        return missing(vec![own.short()]);
    }
    documents.check(&found)?;
    let OneImage { child, manifest, config } = found;
    let image = Image::new(
        upstream,
        want.origin.to_string(),
        Some(&want.origin),
        (Rc::clone(&manifest), Rc::clone(&config)),
    )?;
    let image = image.with_facts(old.and_then(|pin| pin.facts));
    let Known { facts, content, bytes } = image.facts(platform)?;
    let patterns = want.removes.get(&platform.short()).map(Vec::as_slice).unwrap_or_default();
    let removed = image.removed(old, want.encoding, patterns)?;
    image.for_guards()?;
    documents.blobs.insert(content.digest, bytes);
    let own = Content { digest: child.digest, size: child.size };
    let pin = PlatformPin { manifest: own, facts: Some(content), removed: removed.clone() };
    let below = Below {
        // However the index spells it, entries and templates mean it in our words.
        platform: child.platform.filter(|own| own.matches(platform)).unwrap_or_else(|| platform.clone()),
        volumes: volumes(&config),
        base_layers: manifest.layers.iter().map(|layer| layer.digest).collect(),
        manifest: Some((manifest, own)),
        config,
        base_facts: Rc::clone(&facts),
        facts,
        removed,
        parents: Vec::new(),
        origin: Some(want.origin.clone()),
        root: root_name(&want.origin).map(|name| (name, external.descriptor.digest)),
    };
    Ok(Some((pin, below)))
}

/// `org.opencontainers.image.base.name`: nothing for layouts.
fn root_name(origin: &BaseOrigin) -> Option<String> {
    match origin {
        BaseOrigin::Image(reference) => Some(reference.tagged()),
        BaseOrigin::Layout(_) => None,
    }
}

/// The reason that a missing thing of a base amounts to, for `--locked`.
pub(crate) fn reason_of(error: &Error, origin: &BaseOrigin) -> Option<Reason> {
    match error {
        Error::Unpinned { .. } => Some(Reason::BaseUnpinned { origin: origin.clone() }),
        Error::Absent { digest, .. } => {
            Some(Reason::BlobMissing { blob: Content { digest: *digest, size: 0 } })
        }
        _ => None,
    }
}
