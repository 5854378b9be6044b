//! `vendor`: everything that recipes fetch lies in the workspace, so that a build needs no network.

use std::collections::BTreeMap;
use std::io;

use super::{Env, Error, Selection};
use crate::digest::Digest;
use crate::disk;
use crate::http::shown;
use crate::lock::Pin;
use crate::recipe::Catalogue;
use crate::store;
use crate::tree::{Content, SourceKey};
use crate::work::Asks;
use crate::work::bytes::Supply;
use crate::work::checkout::wants;
use crate::work::fetch::{fetch, vendored};

/// A fetched file in `vendor/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vendored {
    /// Where it comes from, as it may be shown.
    pub url: String,
    /// Of its bytes.
    pub digest: Digest,
    /// How many.
    pub bytes: u64,
    /// It wasn't there before.
    pub new: bool,
}

/// Puts what the locks of the selected recipes pin of URLs into `vendor/`, verified; what is there already stays.
///
/// # Errors
/// See [`Error`]; a fetch that no lock has is one.
pub fn vendor(env: &Env<'_>, select: &Selection) -> Result<Vec<Vendored>, Error> {
    let mut supply = Supply::open(env, Asks::default())?;
    let checkout = &supply.checkout;
    let mut wanted: BTreeMap<(Digest, Option<u64>), String> = BTreeMap::new();
    for catalogue in checkout.file.catalogues.values() {
        if let Catalogue::Archive { url, sha256 } = &catalogue.value {
            wanted.insert((*sha256, None), url.clone());
        }
    }
    for target in checkout.select(select)?.keys() {
        let found = checkout.lock(target)?;
        let locked = found.lock.iter().flat_map(|lock| &lock.sources);
        for key in wants::all_keys(checkout, target)? {
            let SourceKey::Fetch { url, .. } = &key else { continue };
            let Some(Pin::File(content)) =
                locked.clone().find(|source| source.key == key).map(|source| source.pin)
            else {
                return Err(Error::Unfetched { recipe: target.to_string(), url: url.clone() });
            };
            wanted.insert((content.digest, Some(content.size)), url.clone());
        }
    }
    let directory = vendored(&checkout.workspace)?;
    let mut found = Vec::new();
    for ((digest, size), url) in wanted {
        let path = directory.join(digest.hex());
        let is_sound = || match (size, disk::regular_size(&path)?) {
            (_, None) => Ok(None),
            (Some(size), _) | (None, Some(size)) => {
                Ok::<_, Error>(store::is_sound(&path, digest, size)?.then_some(size))
            }
        };
        let mut bytes = is_sound()?;
        let new = bytes.is_none();
        if new {
            let pinned = size.map(|size| Content { digest, size });
            let from = (env, &checkout.workspace);
            let located = fetch(from, supply.transaction()?, &url, pinned, Some(digest))?;
            disk::create_directories(&directory)?;
            let mut file = disk::Temporary::beside(&path)?;
            let failed = |error| disk::failed("copy", &located.path)(error);
            io::copy(&mut disk::open(&located.path)?.0, &mut file).map_err(failed)?;
            disk::replace(file, &path)?;
            bytes = is_sound()?;
        }
        let Some(bytes) = bytes else {
            return Err(Error::foreign(url, "it is not what its digest says"));
        };
        found.push(Vendored { url: shown(&url), digest, bytes, new });
    }
    supply.commit()?;
    Ok(found)
}
