//! A layer: from the store by its derivation, from a substituter by its tar, or compressed now.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Read};
use std::rc::Rc;

use super::computed::Made;
use super::draft::Work;
use super::earlier::earlier_chunks;
use super::plan::Derived;
use crate::digest::{DiffId, Known};
use crate::image;
use crate::layer;
use crate::oci::{Compression, Descriptor};
use crate::progress::Event;
use crate::store::Realisation;
use crate::tree::{Content, FileTree, Kind};
use crate::work::Error;
use crate::workspace::Contents;

/// Makes a layer, or finds it.
pub(super) fn make(
    work: &Work<'_, '_>,
    derived: &Derived,
    made: &BTreeMap<Content, Vec<u8>>,
    contents: &Contents,
) -> Result<Made, Error> {
    let Derived { name, compression, tree, bytes, digest } = derived;
    let (compression, derivation) = (*compression, *digest);
    if let Some(known) = work.layers.borrow().get(&derivation) {
        let layer = image::Layer { name: name.clone(), ..known.layer.clone() };
        return Ok(Made { layer, ..known.clone() });
    }
    let supply = work.sources.supply();
    // Even if its layer is there: it may have been damaged, and taken out by a repair.
    supply.transaction()?.put(bytes)?;
    let of = |Realisation { digest, size, .. }, diff_id| {
        let name = name.clone();
        image::Layer { diff_id, digest, size, compression, name }
    };
    let known = |layer| Made { layer, tree: Rc::clone(tree), fresh: false };
    let kept = supply.store()?.realisation(derivation)?;
    if let Some((kept, diff_id)) = kept.and_then(|kept| Some((kept, kept.diff_id?))) {
        let made = known(of(kept, diff_id));
        work.layers.borrow_mut().insert(derivation, made.clone());
        return Ok(made);
    }
    let label = name.clone().unwrap_or_else(|| work.target.to_string());
    let progress = &work.checkout().env.progress;
    progress.event(Event::Begin { what: "making a layer of", name: &label });
    let (realisation, diff_id, fresh) = realise(work, compression, tree, made, contents)?;
    supply.transaction()?.realisation(derivation, realisation)?;
    progress.event(Event::End);
    let layer = of(realisation, diff_id);
    work.layers.borrow_mut().insert(derivation, known(layer.clone()));
    Ok(Made { layer, tree: Rc::clone(tree), fresh })
}

/// A file's bytes, and what is known of them.
type Opened = (Box<dyn Read + Send>, Known);

/// Brings the layer of a tree into the transaction; the last value says that it was compressed here.
fn realise(
    work: &Work<'_, '_>,
    compression: Compression,
    tree: &FileTree,
    made: &BTreeMap<Content, Vec<u8>>,
    contents: &Contents,
) -> Result<(Realisation, DiffId, bool), Error> {
    // What comes from elsewhere is fetched and unpacked when a layer of it has to be made, not before.
    let missing = tree.iter().filter_map(|(_, node)| match &node.kind {
        Kind::File(content) if !made.contains_key(content) && !contents.has(content) => Some(*content),
        _ => None,
    });
    let missing: BTreeSet<Content> = missing.collect();
    let more = if missing.is_empty() { Contents::default() } else { work.sources.contents(&missing)? };
    let open = |content: &Content| -> io::Result<Opened> {
        if let Some(bytes) = made.get(content) {
            return Ok((Box::new(io::Cursor::new(bytes.clone())), Known::Unchanged));
        }
        let contents = if more.has(content) { &more } else { contents };
        Ok((contents.open(content)?, contents.known(content)))
    };
    if let Some((layer, diff_id)) = substituted(work, tree, &open)? {
        return Ok((layer, diff_id, false));
    }
    let transaction = work.sources.supply().transaction()?;
    let reuse = earlier_chunks(work, tree);
    let built = layer::build(work.encoding, compression, tree, &open, reuse, transaction.writer()?);
    let (writer, built) = built.map_err(|source| failed(work, source))?;
    let (digest, size) = writer.finish(None)?;
    if built.chunks.len() > 1 {
        let table = layer::chunks::to_text(&built.chunks);
        transaction.chunks(digest, table.as_bytes())?;
    }
    Ok((Realisation { digest, size, diff_id: Some(built.diff_id) }, built.diff_id, true))
}

/// The layer as a substituter has it: it is known by the tar, which costs a tenth of compressing it.
fn substituted(
    work: &Work<'_, '_>,
    tree: &FileTree,
    open: &(impl Fn(&Content) -> io::Result<Opened> + Sync),
) -> Result<Option<(Realisation, DiffId)>, Error> {
    let supply = work.sources.supply();
    let Some(lock) = work.old.filter(|_| !supply.substitutes.is_empty()) else { return Ok(None) };
    let tar = layer::build(work.encoding, Compression::None, tree, open, None, io::sink());
    let diff_id = tar.map_err(|source| failed(work, source))?.1.diff_id;
    let (env, transaction) = (work.checkout().env, supply.transaction()?);
    let found = supply.substitutes.layer(env, transaction, &lock.outputs, diff_id)?;
    let kept =
        |Descriptor { digest, size, .. }| (Realisation { digest, size, diff_id: Some(diff_id) }, diff_id);
    Ok(found.map(kept))
}

fn failed(work: &Work<'_, '_>, source: layer::BuildError) -> Error {
    Error::Layer { recipe: work.target.to_string(), source }
}
