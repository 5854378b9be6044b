//! `vendor`: everything that recipes fetch lies in the workspace, so that a build needs no network.

use std::collections::BTreeMap;
use std::io;

use super::error::Error;
use super::foreign::VENDOR;
use super::session::{Asks, Session};
use super::{Env, Selection, Vendored};
use crate::disk;
use crate::lock::Pin;
use crate::tree::{Content, SourceKey};

/// Puts what the locks of the selected recipes pin of URLs into `vendor/`, verified; what is there already stays.
///
/// # Errors
/// See [`Error`]; a fetch that no lock has is one.
pub fn vendor(env: &Env<'_>, select: &Selection) -> Result<Vec<Vendored>, Error> {
    let mut session = Session::open(env, Asks::default())?;
    let mut wanted: BTreeMap<Content, String> = BTreeMap::new();
    for target in session.select(select)?.keys() {
        let lock = session.old_lock(target)?.lock.unwrap_or_default();
        for key in session.source_keys(target)? {
            let SourceKey::Fetch { url, .. } = &key else { continue };
            let locked = lock.sources.iter().find(|source| source.key == key);
            let Some(Pin::File(content)) = locked.map(|source| source.pin) else {
                return Err(Error::Unfetched { recipe: target.to_string(), url: url.clone() });
            };
            wanted.insert(content, url.clone());
        }
    }
    let directory = session.workspace.root().join(VENDOR).join("sha256");
    let mut found = Vec::new();
    for (content, url) in wanted {
        let path = directory.join(content.digest.hex());
        let new = !crate::store::is_sound(&path, content.digest, content.size)?;
        if new {
            let located = session.fetch(&url, Some(content), None)?;
            disk::create_directories(&directory)?;
            let mut file = disk::Temporary::beside(&path)?;
            let failed = |error| disk::failed("copy", &located.path)(error);
            io::copy(&mut disk::open(&located.path)?.0, &mut file).map_err(failed)?;
            disk::replace(file, &path)?;
            if !crate::store::is_sound(&path, content.digest, content.size)? {
                return Err(Error::Foreign { name: url, why: "it is not what the lock says".into() });
            }
        }
        found.push(Vendored { url, digest: content.digest, bytes: content.size, new });
    }
    session.commit()?;
    Ok(found)
}
