//! What guards ask of a base's layers, as far as the store's header indexes answer it.

use std::rc::Rc;

use super::state::Upstream;
use crate::digest::Digest;
use crate::layer::names::{self, Names};
use crate::store::SEAL;
use crate::tree::TreePath;

/// Whether the image of these layers has something at `path` that is no directory. What isn't known of every layer
/// without reading it is not known.
pub(crate) fn is_base_file(upstream: &Upstream<'_>, layers: &Rc<[Digest]>, path: &TreePath) -> Option<bool> {
    let asked = (Rc::clone(layers), path.clone());
    if let Some(known) = upstream.base_files.borrow().get(&asked) {
        return *known;
    }
    let found: Option<Vec<_>> = layers.iter().map(|layer| names_of(upstream, *layer)).collect();
    let answer = found.map(|found| names::is_file(found.iter().map(Rc::as_ref), path));
    upstream.base_files.borrow_mut().insert(asked, answer);
    answer
}

fn names_of(upstream: &Upstream<'_>, layer: Digest) -> Option<Rc<Names>> {
    if let Some(known) = upstream.names.borrow().get(&layer) {
        return known.clone();
    }
    // A guard is policy, and `lock` reads all of it: a damaged byte here isn't worth a hash of the whole.
    let kept = || {
        let window = upstream.supply.transaction().ok()?.header_window(layer).ok()??;
        let size = usize::try_from(window.size()).ok()?.checked_sub(SEAL)?;
        Names::of(size, Box::new(move |at, length| window.read((SEAL + at) as u64, length)))
    };
    let names = kept().map(Rc::new);
    upstream.names.borrow_mut().insert(layer, names.clone());
    names
}
