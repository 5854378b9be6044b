//! What two entries of one recipe can't both have.

use std::collections::BTreeMap;

use crate::plan::v1::layers::{Claim, Unit};
use crate::plan::{Error, Fault};
use crate::recipe::ResolvedEntry;
use crate::tree::TreePath;

/// Two entries on one path, a file where another entry needs a directory, directories that two entries want
/// differently.
pub(super) fn conflicts(entries: &[ResolvedEntry], units: &[Unit]) -> Vec<Error> {
    let mut errors = Vec::new();
    let mut written: BTreeMap<TreePath, usize> = BTreeMap::new();
    let mut claimed: BTreeMap<&TreePath, (usize, &Claim)> = BTreeMap::new();
    let mut explicit: BTreeMap<&TreePath, usize> = BTreeMap::new();
    let mut fail = |index: usize, fault: Fault| errors.push(Error { at: entries[index].at.clone(), fault });
    let other = |index: usize| Some(entries[index].at.clone());
    for (index, unit) in units.iter().enumerate() {
        for path in unit.nodes.keys() {
            if let Some(first) = written.insert(path.clone(), index) {
                fail(index, Fault::TwoOnOnePath { path: path.clone(), other: other(first) });
            }
        }
        for (path, _) in unit.directories.iter().filter(|(_, claim)| claim.explicit) {
            if let Some(first) = explicit.insert(path, index) {
                fail(index, Fault::TwoOnOnePath { path: path.clone(), other: other(first) });
            }
        }
    }
    for (index, unit) in units.iter().enumerate() {
        for (path, claim) in &unit.directories {
            if let Some(first) = written.get(path) {
                fail(index, Fault::TwoOnOnePath { path: path.clone(), other: other(*first) });
            }
            if explicit.contains_key(path) {
                continue;
            }
            match claimed.get(path) {
                Some((first, earlier)) if earlier.attributes != claim.attributes => {
                    fail(index, Fault::DirectoryTwoWays { path: path.clone(), other: other(*first) });
                }
                Some(_) => {}
                None => drop(claimed.insert(path, (index, claim))),
            }
        }
        for path in unit.nodes.keys().chain(unit.directories.keys()) {
            if let Some((above, first)) = path.above(&written).next() {
                let file = above.clone();
                fail(index, Fault::BelowOwnFile { path: path.clone(), file, other: other(*first) });
            }
        }
    }
    errors
}
