//! `pull`: the images that locks name come into the store whole, from where they are published.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::{Copied, Env, Error, Selection};
use crate::lock::Output;
use crate::oci::{Descriptor, Reference};
use crate::progress::{Counting, Event};
use crate::registry::each;
use crate::sink::{self, Moved};
use crate::store::{RootKey, closure};
use crate::work::bytes::{Bytes, Supply, open_reference};
use crate::work::checkout::lock_file;
use crate::work::deliver::published::{is_meant, needed};
use crate::work::{Asks, mutex};
use crate::workspace::Target;

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
    let mut supply = Supply::open(env, Asks::default())?;
    let checkout = &supply.checkout;
    let mut pulled = Vec::new();
    for (target, asked) in checkout.select(&options.select)? {
        let repository = needed(checkout, &target)?;
        let absent = || Error::NoOutput { recipe: target.to_string(), file: lock_file(&target) };
        let found = checkout.lock(&target)?;
        let lock = found.lock.as_ref().ok_or_else(absent)?;
        let chosen = |name: &String| is_meant(checkout, &asked, options.all_variants, name);
        let outputs: Vec<_> = lock.outputs.iter().filter(|(name, _)| chosen(name)).collect();
        if outputs.is_empty() {
            return Err(absent());
        }
        for (variant, output) in outputs {
            pulled.push(one(&supply, (&target, variant), output, &repository)?);
        }
    }
    supply.commit()?;
    Ok(pulled)
}

/// Brings one image into the store, and makes it a root.
fn one(
    supply: &Supply<'_>,
    (target, variant): (&Target, &str),
    output: &Output,
    repository: &str,
) -> Result<Copied, Error> {
    let env = supply.checkout.env;
    let text = format!("{repository}@{}", output.index.digest);
    let reference: Reference = text.parse().map_err(|error| {
        Error::usage(format!("{text:?}, where {target} should be, is no reference: {error}"))
    })?;
    let place = open_reference(env, &reference)?;
    let root = place.resolve(None)?;
    env.progress.event(Event::Begin { what: "pulling", name: &text });
    let transaction = supply.transaction()?;
    let bytes = Bytes::into_store(root.digest.to_string(), transaction, &supply.substitutes, place);
    let (moved, bytes) = fetch(supply, &bytes, &root).map_err(|error| error.out_of(&text))?;
    env.progress.event(Event::End);
    let key = RootKey {
        workspace: supply.checkout.workspace.root().display().to_string(),
        recipe: target.to_string(),
        variant: variant.to_owned(),
    };
    transaction.root(key, root.clone());
    let (from, to) = (format!("docker://{text}"), format!("{target}#{variant}"));
    Ok(Copied { from, to, digest: root.digest, bytes, moved: Some(moved), tag: None })
}

/// Brings an image's blobs into the store, several at once; with the number of bytes of all of it.
fn fetch(supply: &Supply<'_>, bytes: &Bytes<'_>, root: &Descriptor) -> Result<(Moved, u64), Error> {
    let (env, transaction) = (supply.checkout.env, supply.transaction()?);
    let all = closure(root, |descriptor| {
        Ok::<_, Error>(bytes.document(descriptor, "the document")?.map(|bytes| bytes.to_vec()))
    })?;
    if let Some(document) = all.absent.first() {
        return Err(bytes.absent("the document", document.digest));
    }
    let moved = Mutex::new(Moved::default());
    each(&all.blobs, env.registries.concurrency(), |blob| -> Result<(), Error> {
        let count = |fetched: bool| {
            let mut moved = mutex::lock(&moved);
            match fetched {
                true => (moved.blobs, moved.bytes) = (moved.blobs + 1, moved.bytes + blob.size),
                false => moved.there += 1,
            }
        };
        if bytes.is_here(blob)? {
            count(false);
            return Ok(());
        }
        let mut writer = transaction.writer()?;
        match all.documents.get(&blob.digest) {
            Some(bytes) => io::Write::write_all(&mut writer, bytes).map_err(|error| copying(blob, error))?,
            None => {
                let mut reader = Counting::new(bytes.layer(blob)?, Arc::clone(&env.progress));
                io::copy(&mut reader, &mut writer).map_err(|error| copying(blob, error))?;
            }
        }
        writer.finish(Some((blob.digest, blob.size)))?;
        count(true);
        Ok(())
    })?;
    let size = all.blobs.iter().map(|blob| blob.size).sum();
    Ok((moved.into_inner().unwrap_or_else(PoisonError::into_inner), size))
}

fn copying(blob: &Descriptor, source: io::Error) -> Error {
    sink::Error::Copy { digest: blob.digest, source }.into()
}
