//! What earlier builds of a recipe left for this one: compressed chunks of its former layers.
//!
//! An economy only. It must never fail a build, nor reach a digest: a chunk is copied if its bytes are those that
//! the table of the earlier layer names, and compressed again otherwise.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::draft::Work;
use crate::digest::{Blake3, Digest};
use crate::layer::chunks::{self, Chunk, Reuse};
use crate::tree::{FileTree, Kind};

/// A smaller layer is one chunk, or nearly: nothing of it would be found again.
const WORTH: u64 = 1 << 20;

/// The chunks of the layers that this recipe's roots reach, whichever workspace they are of: a CI that checks out
/// elsewhere each time finds them too.
pub(super) fn earlier_chunks(work: &Work<'_, '_>, tree: &FileTree) -> Option<Reuse> {
    let sizes =
        tree.iter().map(|(_, node)| if let Kind::File(content) = &node.kind { content.size } else { 0 });
    if sizes.sum::<u64>() < WORTH {
        return None;
    }
    let store = work.sources.supply().store().ok()?.clone();
    let recipe = work.target.to_string();
    let mut known: BTreeMap<(Blake3, u64), (Digest, Chunk)> = BTreeMap::new();
    for root in store.roots().ok()? {
        if root.key.as_ref().is_none_or(|key| key.recipe != recipe) {
            continue;
        }
        let Ok(closure) = store.closure(&root.descriptor) else { continue };
        for blob in &closure.blobs {
            let table = store.chunks(blob.digest).ok().flatten().and_then(|text| chunks::parse(&text));
            let rows = table.into_iter().flatten();
            known.extend(rows.map(|chunk| ((chunk.input, chunk.input_len), (blob.digest, chunk))));
        }
    }
    if known.is_empty() {
        return None;
    }
    Some(Arc::new(move |input, length| {
        let (layer, chunk) = known.get(&(*input, length))?;
        let blob = store.blob_window(*layer).ok()??;
        let bytes = blob.read(chunk.offset, usize::try_from(chunk.len).ok()?)?;
        (Blake3::of(&bytes) == chunk.output).then_some((bytes, chunk.output))
    }))
}
