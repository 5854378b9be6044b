//! What becomes of the packages of a base whose pin moves.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::session::Session;
use crate::layer::packages::Packages;
use crate::lock::{BaseOrigin, BasePin, PlatformPin};
use crate::work::Error;
use crate::work::checkout::Blobs;
use crate::work::upstream::{Documents, Image};

/// A package of a base that has another version now, that came, or that went.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackageMove {
    /// The binary package.
    pub name: String,
    /// Its version before.
    pub old: Option<String>,
    /// Its version now.
    pub new: Option<String>,
    /// Where that is so; empty: on all platforms of the pin.
    pub platforms: Vec<String>,
}

/// How far one goes to know them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// What the store and substituters know.
    Here,
    /// Layers are read where the bases come from.
    Anywhere,
}

/// The packages of a pinned base on one platform.
fn packages_of(
    session: &Session<'_>,
    origin: &BaseOrigin,
    pin: &PlatformPin,
    (reach, read): (Reach, &Blobs),
) -> Result<Packages, Error> {
    let upstream = &session.sources.upstream;
    let from = match reach {
        Reach::Here => None,
        Reach::Anywhere => Some(origin),
    };
    let mut documents = Documents::new(upstream.supply.bytes(origin.to_string(), from)?);
    documents.blobs.clone_from(read);
    let manifest = documents.manifest(&pin.manifest)?;
    let config = documents.config(&manifest)?;
    let documents = (Rc::new(manifest), Rc::new(config));
    let image = Image::new(upstream, origin.to_string(), from, documents)?;
    image.with_facts(pin.facts).packages()
}

/// What becomes of the packages of a base, on the platforms that it had and has; with the documents that were read already.
pub(crate) fn packages(
    session: &Session<'_>,
    old: &BasePin,
    new: &BasePin,
    how: (Reach, &Blobs),
) -> Result<Vec<PackageMove>, Error> {
    type Versions = BTreeMap<(String, String), String>;
    let versions = |pin: &BasePin, platform: &PlatformPin| -> Result<Versions, Error> {
        let packages = packages_of(session, &pin.origin, platform, how)?.0.into_iter();
        Ok(packages.map(|it| ((it.name, it.architecture), it.version)).collect())
    };
    let mut moves: BTreeMap<(String, Option<String>, Option<String>), BTreeSet<String>> = BTreeMap::new();
    let mut all = 0;
    for (platform, new_pin) in &new.platforms {
        let Some(old_pin) = old.platforms.get(platform) else { continue };
        all += 1;
        let (before, now) = (versions(old, old_pin)?, versions(new, new_pin)?);
        for key in before.keys().chain(now.keys()) {
            let (was, is) = (before.get(key), now.get(key));
            if was != is {
                let platforms = moves.entry((key.0.clone(), was.cloned(), is.cloned())).or_default();
                platforms.insert(platform.clone());
            }
        }
    }
    let moves = moves.into_iter().map(|((name, old, new), platforms)| {
        let platforms = if platforms.len() == all { Vec::new() } else { platforms.into_iter().collect() };
        PackageMove { name, old, new, platforms }
    });
    Ok(moves.collect())
}
