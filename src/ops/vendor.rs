//! `vendor`: everything that recipes fetch and every input that locks pin lies in the workspace, so that a build needs no
//! network and no input; with `bases` also the layers of bases, so that whole images can be exported.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};

use super::{Env, Error, Selection};
use crate::digest::Digest;
use crate::disk;
use crate::http::shown;
use crate::lock::{Lock, Pin};
use crate::recipe::Catalogue;
use crate::store::{self, is_sound};
use crate::tree::{Content, SourceKey};
use crate::work::Asks;
use crate::work::bytes::Supply;
use crate::work::checkout::wants;
use crate::work::fetch::vendored;
use crate::work::sources::input_files;
use crate::work::upstream::{Documents, Upstream};
use crate::workspace::Target;

/// A file in `vendor/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vendored {
    /// Where it comes from, as it may be shown: a URL, an input, a base.
    pub url: String,
    /// Of its bytes.
    pub digest: Digest,
    /// How many.
    pub bytes: u64,
    /// It wasn't there before.
    pub new: bool,
}

/// What a file is taken from, and by what name.
type Wanted<'w> = BTreeMap<Content, (String, From<'w>)>;
type From<'w> = Box<dyn Fn() -> Result<Box<dyn Read>, Error> + 'w>;

/// Puts what the locks of the selected recipes pin of URLs and inputs into `vendor/`, verified, with `bases` also the layers of
/// what they and those below them stand on; what is there already stays.
///
/// # Errors
/// See [`Error`]; a fetch or input that no lock has is one, and an input that isn't what the lock says.
pub fn vendor(env: &Env<'_>, select: &Selection, bases: bool) -> Result<Vec<Vendored>, Error> {
    let mut upstream = Upstream::new(Supply::open(env, Asks::default())?);
    let checkout = upstream.checkout();
    let directory = vendored(&checkout.workspace)?;
    let mut wanted = Wanted::new();
    let selected: Vec<Target> = checkout.select(select)?.into_keys().collect();
    catalogues(&upstream.supply, &mut wanted)?;
    for target in &selected {
        let found = checkout.lock(target)?;
        let lock = found.lock.clone().unwrap_or_default();
        urls(&upstream.supply, target, &lock, &mut wanted)?;
        inputs(&upstream.supply, target, &lock, &mut wanted)?;
    }
    if bases {
        layers(&upstream, selected, &mut wanted)?;
    }
    let mut found = Vec::new();
    for (content, (name, open)) in &wanted {
        let path = directory.join(content.digest.hex());
        let new = !store::is_sound(&path, content.digest, content.size)?;
        if new {
            disk::create_directories(&directory)?;
            let mut file = disk::Temporary::beside(&path)?;
            io::copy(&mut open()?, &mut file).map_err(disk::failed("copy", &path))?;
            disk::replace(file, &path)?;
            if !store::is_sound(&path, content.digest, content.size)? {
                return Err(Error::foreign(&**name, "it is not what the lock says"));
            }
        }
        found.push(Vendored { url: shown(name), digest: content.digest, bytes: content.size, new });
    }
    drop(wanted);
    upstream.supply.commit()?;
    Ok(found)
}

/// The archives of other workspaces.
fn catalogues<'w>(supply: &'w Supply<'_>, wanted: &mut Wanted<'w>) -> Result<(), Error> {
    let checkout = &supply.checkout;
    for catalogue in checkout.file.catalogues.values() {
        let Catalogue::Archive { url, sha256 } = &catalogue.value else { continue };
        let located = supply.fetch(url, None, Some(*sha256))?;
        let (content, _) = located.content(url)?;
        wanted.insert(content, (url.clone(), Box::new(move || file(&located.path))));
    }
    Ok(())
}

/// What a recipe fetches.
fn urls<'w>(
    supply: &'w Supply<'_>,
    target: &Target,
    lock: &Lock,
    wanted: &mut Wanted<'w>,
) -> Result<(), Error> {
    for key in wants::all_keys(&supply.checkout, target)? {
        let SourceKey::Fetch { url, .. } = &key else { continue };
        let locked = lock.sources.iter().find(|source| source.key == key);
        let Some(Pin::File(content)) = locked.map(|source| source.pin) else {
            return Err(Error::Unfetched { recipe: target.to_string(), url: url.clone() });
        };
        let from = url.clone();
        let open = move || file(&supply.fetch(&from, Some(content), None)?.path);
        wanted.insert(content, (url.clone(), Box::new(open)));
    }
    Ok(())
}

/// The inputs that a recipe takes by path, but for open ones, which nothing pins.
fn inputs<'w>(
    supply: &'w Supply<'_>,
    target: &Target,
    lock: &Lock,
    wanted: &mut Wanted<'w>,
) -> Result<(), Error> {
    let checkout = &supply.checkout;
    let directory = vendored(&checkout.workspace)?;
    let mut seen = BTreeSet::new();
    for variant in &checkout.file.variants {
        let recipe = checkout.variant(target, variant)?;
        for path in wants::paths(checkout, target, variant)? {
            let SourceKey::Input { name, .. } = &path.key else { continue };
            if recipe.is_open_input(name) || !seen.insert(path.key.clone()) {
                continue;
            }
            let called = format!("input {name}");
            let locked = lock.sources.iter().find(|source| source.key == path.key);
            let Some(locked) = locked else {
                return Err(Error::Unfetched { recipe: target.to_string(), url: called });
            };
            let listed = locked.entries(&|content| checkout.committed.listing(content)).unwrap_or_default();
            let digests: BTreeSet<Digest> = match locked.pin {
                Pin::File(archive) => [archive.digest].into(),
                _ => listed
                    .into_values()
                    .filter(|entry| entry.mode != "link")
                    .filter_map(|entry| entry.digest)
                    .collect(),
            };
            let mut contents = BTreeSet::new();
            for digest in &digests {
                let size = disk::regular_size(&directory.join(digest.hex()))?;
                contents.extend(size.map(|size| Content { digest: *digest, size }));
            }
            let there = |content: &Content| {
                is_sound(&directory.join(content.digest.hex()), content.digest, content.size).unwrap_or(false)
            };
            if contents.len() == digests.len() && contents.iter().all(there) {
                let none = || -> Result<Box<dyn Read>, Error> { Ok(Box::new(io::empty())) };
                wanted.extend(
                    contents
                        .into_iter()
                        .map(|content| (content, (called.clone(), Box::new(none) as From<'w>))),
                );
                continue;
            }
            let files = input_files(supply, &path, locked)?;
            let missing = || Error::Unlisted { name: called.clone() }.at(&path.at);
            for (content, located) in files.ok_or_else(missing)? {
                wanted.insert(content, (called.clone(), Box::new(move || file(&located.path))));
            }
        }
    }
    Ok(())
}

fn file(path: &std::path::Path) -> Result<Box<dyn Read>, Error> {
    Ok(Box::new(disk::open(path)?.0))
}

/// The layers of the bases that recipes and those below them stand on.
fn layers<'w>(
    upstream: &'w Upstream<'_>,
    selected: Vec<Target>,
    wanted: &mut Wanted<'w>,
) -> Result<(), Error> {
    let checkout = upstream.checkout();
    let mut all = Vec::new();
    wants::any_below(checkout, selected, |target| {
        all.push(target.clone());
        Ok(false)
    })?;
    for target in all {
        let found = checkout.lock(&target)?;
        for pin in found.lock.iter().flat_map(|lock| &lock.bases) {
            let name = pin.origin.to_string();
            for platform in pin.platforms.values() {
                let bytes = upstream.supply.bytes(name.clone(), Some(&pin.origin))?;
                let manifest = Documents::new(bytes).manifest(&platform.manifest)?;
                for layer in manifest.layers {
                    let (name, origin) = (name.clone(), pin.origin.clone());
                    let content = Content { digest: layer.digest, size: layer.size };
                    let called = format!("base {name}");
                    let open = move || -> Result<Box<dyn Read>, Error> {
                        Ok(upstream.supply.bytes(name.clone(), Some(&origin))?.layer(&layer)?)
                    };
                    wanted.insert(content, (called, Box::new(open)));
                }
            }
        }
    }
    Ok(())
}
