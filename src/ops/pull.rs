//! `pull`: the images that locks name come into the store whole, from where they are published.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::base::open_reference;
use super::error::Error;
use super::publish::{is_meant, needed};
use super::session::{Asks, Session, lock_file};
use super::{Copied, Env, Selection};
use crate::oci::{Descriptor, Reference};
use crate::progress::{Counting, Event, Progress};
use crate::registry::each;
use crate::sink::{self, Moved};
use crate::store::{RootKey, Transaction, closure};
use crate::substitute::Substituter;

/// What `pull` is asked.
#[derive(Debug, Clone, Default)]
pub struct PullOptions {
    /// Which recipes.
    pub select: Selection,
    /// Also the variants that aren't the workspace's default.
    pub all_variants: bool,
}

/// Fetches what the locks of the selected recipes name, by digest: nothing is built.
///
/// # Errors
/// See [`Error`]; the store has all or nothing of it then.
pub fn pull(env: &Env<'_>, options: &PullOptions) -> Result<Vec<Copied>, Error> {
    let mut session = Session::open(env, Asks::default())?;
    let mut pulled = Vec::new();
    for (target, asked) in session.select(&options.select)? {
        let repository = needed(&session, &target)?;
        let absent = || Error::NoOutput { recipe: target.to_string(), file: lock_file(&target) };
        let lock = session.old_lock(&target)?.lock.ok_or_else(absent)?;
        let chosen = |name: &String| is_meant(&session, &asked, options.all_variants, name);
        let outputs: Vec<_> = lock.outputs.iter().filter(|(name, _)| chosen(name)).collect();
        if outputs.is_empty() {
            return Err(absent());
        }
        for (variant, output) in outputs {
            let text = format!("{repository}@{}", output.index.digest);
            let reference: Reference = text.parse().map_err(|error| Error::Usage {
                message: format!("{text:?}, where {target} should be, is no reference: {error}"),
            })?;
            let place = open_reference(env, &reference)?;
            let root = place.resolve(None)?;
            env.progress.event(Event::Begin { what: "pulling", name: &text });
            let how = (env.registries.concurrency(), &env.progress);
            let (moved, bytes) = fetch(session.transaction()?, &*place, &root, how)?;
            env.progress.event(Event::End);
            let key = RootKey {
                workspace: session.workspace.root().display().to_string(),
                recipe: target.to_string(),
                variant: variant.clone(),
            };
            session.transaction()?.root(key, root.clone());
            pulled.push(Copied {
                from: format!("docker://{text}"),
                to: format!("{target}#{variant}"),
                digest: root.digest,
                bytes,
                moved: Some(moved),
            });
        }
    }
    session.commit()?;
    Ok(pulled)
}

/// Brings an image into the store, several blobs at once; with the bytes of all of it.
fn fetch(
    transaction: &Transaction,
    place: &dyn Substituter,
    root: &Descriptor,
    (at_once, progress): (usize, &Arc<dyn Progress>),
) -> Result<(Moved, u64), Error> {
    let all = closure(root, |descriptor| -> Result<_, Error> {
        match transaction.store().read(descriptor.digest, descriptor.size, crate::oci::MAX_DOCUMENT) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(_) => Ok(place.read(descriptor)?),
        }
    })?;
    let absent = |what: &str, blob: &Descriptor| Error::Absent {
        what: format!("{what} {}", blob.digest),
        base: root.digest.to_string(),
        digest: blob.digest,
    };
    if let Some(document) = all.absent.first() {
        return Err(absent("the document", document));
    }
    let moved = Mutex::new(Moved::default());
    each(&all.blobs, at_once, |blob| -> Result<(), Error> {
        let count = |fetched: bool| {
            let mut moved = moved.lock().unwrap_or_else(PoisonError::into_inner);
            match fetched {
                true => (moved.blobs, moved.bytes) = (moved.blobs + 1, moved.bytes + blob.size),
                false => moved.there += 1,
            }
        };
        if transaction.has(blob.digest, blob.size)? {
            count(false);
            return Ok(());
        }
        let mut writer = transaction.writer()?;
        match all.documents.get(&blob.digest) {
            Some(bytes) => io::Write::write_all(&mut writer, bytes).map_err(|error| copying(blob, error))?,
            None => {
                let mut reader = place.open_unverified(blob)?.ok_or_else(|| absent("the layer", blob))?;
                let mut reader = Counting::new(&mut reader, Arc::clone(progress));
                io::copy(&mut reader, &mut writer).map_err(|error| copying(blob, error))?;
            }
        }
        writer.finish(Some((blob.digest, blob.size)))?;
        count(true);
        Ok(())
    })?;
    let bytes = all.blobs.iter().map(|blob| blob.size).sum();
    Ok((moved.into_inner().unwrap_or_else(PoisonError::into_inner), bytes))
}

fn copying(blob: &Descriptor, source: io::Error) -> Error {
    sink::Error::Copy { digest: blob.digest, source }.into()
}
