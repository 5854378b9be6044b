//! What lay in an input that was moved away.
//!
//! A lock lists such files by mode, digest and path: how long they were and where links led is in the layers that were made
//! of them, and in `vendor`. What comes of it has the hash that the lock records, or it is nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::io;

use crate::digest::{Digest, HashingReader};
use crate::disk;
use crate::layer::error::ReadError;
use crate::layer::scan::{Expected, scan};
use crate::layer::tar::{EntryKind, Limits};
use crate::lock::{ImageOutput, Lock, Output, SourceLock};
use crate::oci::{Descriptor, Document, MediaType};
use crate::store::Closure;
use crate::tree::{Content, SourceNode, SourceTree};
use crate::work::Error;
use crate::work::bytes::Supply;
use crate::work::fetch::vendored;

/// What the layers tell.
#[derive(Default)]
pub(super) struct Remembered {
    sizes: BTreeMap<Digest, u64>,
    targets: BTreeMap<Digest, Vec<u8>>,
}

impl Remembered {
    /// Reads the layers of a lock's outputs, as far as the store has them.
    pub(super) fn of(supply: &Supply<'_>, lock: &Lock) -> Result<Self, Error> {
        let store = supply.store()?;
        let mut found = Self::default();
        let mut known = BTreeSet::new();
        for Output { index, platforms } in lock.outputs.values() {
            let index = Descriptor::new(MediaType::Index, index.digest, index.size);
            // What isn't here or is damaged tells nothing.
            let Ok(closure) = store.closure(&index) else { continue };
            for layer in platforms.values().flat_map(|image| own_layers(&closure, image)) {
                if !known.insert(layer.digest) {
                    continue;
                }
                let Descriptor { digest, size, .. } = layer;
                let (Ok(compression), Ok(blob)) = (layer.compression(), store.open_unverified(digest, size))
                else {
                    continue;
                };
                let expected = Expected { digest, size, compression, diff_id: None };
                let mut seen = Self::default();
                let read = scan(blob, &expected, Limits::default(), |entry, content| {
                    match &entry.kind {
                        EntryKind::Regular => {
                            let mut hashed = HashingReader::new(content);
                            io::copy(&mut hashed, &mut io::sink()).map_err(ReadError::Io)?;
                            let (digest, size) = hashed.finish();
                            seen.sizes.insert(digest, size);
                        }
                        EntryKind::Symlink { target } => {
                            seen.targets.insert(Digest::of(target), target.clone());
                        }
                        _ => {}
                    }
                    Ok(())
                });
                if read.is_ok() {
                    found.sizes.extend(seen.sizes);
                    found.targets.extend(seen.targets);
                }
            }
        }
        Ok(found)
    }

    /// The tree that a lock lists, if all of it is known.
    pub(super) fn tree(&self, supply: &Supply<'_>, locked: &SourceLock) -> Result<Option<SourceTree>, Error> {
        let vendor = vendored(&supply.checkout.workspace)?;
        let mut tree = SourceTree { single: locked.single, ..SourceTree::default() };
        let entries = locked.entries(&|content| supply.checkout.committed.listing(content));
        for (path, entry) in entries.unwrap_or_default() {
            let node = match (entry.mode.as_str(), entry.digest) {
                ("dir", None) => Some(SourceNode::Directory),
                ("link", Some(digest)) => self.targets.get(&digest).cloned().map(SourceNode::Symlink),
                (mode @ ("0644" | "0755"), Some(digest)) => {
                    let known = self.sizes.get(&digest).copied();
                    let size = match known {
                        Some(size) => Some(size),
                        None => disk::regular_size(&vendor.join(digest.hex()))?,
                    };
                    size.map(|size| SourceNode::File {
                        content: Content { digest, size },
                        executable: mode == "0755",
                    })
                }
                _ => None,
            };
            let Some(node) = node else { return Ok(None) };
            tree.nodes.insert(path, node);
        }
        Ok(Some(tree).filter(|tree| tree.hash() == locked.hash))
    }
}

/// The layers that a recipe adds: the last ones of its image.
fn own_layers(closure: &Closure, image: &ImageOutput) -> Vec<Descriptor> {
    let bytes = closure.documents.get(&image.manifest);
    let parsed = bytes.and_then(|bytes| Document::parse(bytes, &MediaType::Manifest.to_string()).ok());
    let Some(Document::Manifest(manifest)) = parsed else { return Vec::new() };
    let below = manifest.layers.len().saturating_sub(image.layers.len());
    manifest.layers[below..].to_vec()
}
