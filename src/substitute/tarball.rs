//! What lies where in a tar. The one place here that reads tars; it only lists them.

use std::collections::BTreeMap;
use std::io::BufReader;
use std::path::Path;

use super::error::{Error, cut};
use crate::disk::File;
use crate::layer::tar::{EntryKind, Limits, Reader};

/// More members than that no image archive has.
const MAX_MEMBERS: u64 = 200_000;
/// What their names and link targets may take together.
const MAX_NAMES: usize = 16 << 20;

/// A member of the archive, by its name without a leading `./`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Member {
    /// A regular file's bytes: offset and size.
    File(u64, u64),
    /// A link and its target as written; `docker save` links layers that two images share. True for hard links,
    /// whose targets are names and not relative to the link.
    Link(String, bool),
}

/// The name that a path means from the directory `from`, if it stays inside.
pub(super) fn resolve(from: &[&str], path: &str) -> Option<String> {
    let mut parts = from.to_vec();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            part => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Lists an archive. Members whose names could not be asked for are left out.
pub(super) fn members(path: &Path, file: &File) -> Result<BTreeMap<String, Member>, Error> {
    let bad = |why: String| Error::Archive { path: path.to_owned(), why };
    let limits = Limits { entries: MAX_MEMBERS, ..Limits::default() };
    let mut tar = Reader::new(BufReader::with_capacity(1 << 16, file), limits);
    let mut found = BTreeMap::new();
    let mut bytes = 0;
    while let Some(entry) = tar.next_entry().map_err(|error| bad(error.to_string()))? {
        let Ok(name) = String::from_utf8(entry.path) else { continue };
        let member = match entry.kind {
            EntryKind::Regular => {
                let offset = tar.content_offset().ok_or_else(|| bad(format!("{name} is sparse")))?;
                Some(Member::File(offset, entry.size))
            }
            EntryKind::Symlink { target } => String::from_utf8(target).ok().map(|to| Member::Link(to, false)),
            EntryKind::HardLink { target } => String::from_utf8(target).ok().map(|to| Member::Link(to, true)),
            _ => None,
        };
        let Some(member) = member else { continue };
        bytes += name.len() + if let Member::Link(target, _) = &member { target.len() } else { 0 };
        if bytes > MAX_NAMES {
            return Err(bad(format!("the names of its members take more than {MAX_NAMES} bytes")));
        }
        // The name that extracting it would give; what climbs could not be asked for.
        let Some(name) = resolve(&[], &name) else { continue };
        if found.insert(name.clone(), member).is_some() {
            return Err(bad(format!("two members are named {}", cut(&name))));
        }
    }
    Ok(found)
}
