//! Whether a lock pins what a recipe asks for, apart from what comes out of it.

use super::{BaseOrigin, Lock, Reason};
use crate::tree::Content;

/// What one variant of a recipe needs of its external base.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Want {
    /// The variant.
    pub variant: String,
    /// Its base.
    pub origin: BaseOrigin,
    /// The platforms that it is built for.
    pub platforms: Vec<String>,
    /// The patterns of its `[[remove]]` entries.
    pub removes: Vec<String>,
}

impl Lock {
    /// What `wants` needs and the lock doesn't pin. No reason: `build` asks no registry for a digest.
    pub fn unpinned(&self, wants: &[Want]) -> Vec<Reason> {
        let mut found = Vec::new();
        for want in wants {
            self.unpinned_by(want, &mut found);
        }
        found.sort();
        found.dedup();
        found
    }

    fn unpinned_by(&self, want: &Want, found: &mut Vec<Reason>) {
        let Want { variant, origin, platforms, removes } = want;
        let Some(pin) = self.pin(origin) else {
            let serves = |names: &[String]| names.is_empty() || names.contains(variant);
            found.push(match self.bases.iter().find(|base| serves(&base.variants)) {
                Some(base) => Reason::BaseChanged { old: base.origin.clone(), new: origin.clone() },
                None => Reason::BaseUnpinned { origin: origin.clone() },
            });
            return;
        };
        if pin.is_told() {
            found.push(Reason::BlobMissing { blob: pin.index });
            return;
        }
        for platform in platforms {
            let (origin, platform) = (origin.clone(), platform.clone());
            let Some(pinned) = pin.platforms.get(&platform) else {
                found.push(Reason::PlatformUnpinned { origin, platform });
                continue;
            };
            for pattern in removes.iter().filter(|pattern| !pinned.removed.contains_key(*pattern)) {
                let (origin, platform) = (origin.clone(), platform.clone());
                found.push(Reason::RemoveUnrecorded { origin, platform, pattern: pattern.clone() });
            }
            if pinned.facts.is_none() {
                found.push(Reason::FactsMissing { origin, platform });
            }
        }
    }

    /// The blobs that the lock names and `have` hasn't.
    pub fn absent(&self, have: impl Fn(&Content) -> bool) -> Vec<Reason> {
        self.blobs().into_iter().filter(|blob| !have(blob)).map(|blob| Reason::BlobMissing { blob }).collect()
    }
}
