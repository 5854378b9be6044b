//! A store that can't be used, or is damaged.

use cooperage::disk;
use cooperage::store::Error;

use super::problem::{DAMAGED_HINT, Machine, Problem, Room};
use crate::exit::Exit;

const INDEX_HINT: &str = "`cooper store verify --repair` makes it anew from what is in the store; the next builds name their images again";

impl Room for Error {
    fn machine(&self) -> Option<Machine<'_>> {
        match self {
            Self::Disk(error) | Self::Unlisted { source: error } => Some(Machine::Disk(error)),
            _ => None,
        }
    }
}

pub(super) fn problem(error: &Error) -> Problem {
    let problem = Problem::chain("store", Exit::Input, error);
    match error {
        Error::NotAStore { .. } => problem.hint("another one can be given with --store DIR or COOPER_STORE"),
        Error::Linked { .. } => problem.hint(
            "whoever can write to the store could lead what is written and removed anywhere; a store as a whole may lie elsewhere: --store DIR or COOPER_STORE",
        ),
        Error::Damaged { .. } => problem.hint(DAMAGED_HINT),
        Error::Version { path, .. } => problem
            .hint("a newer cooper may know it; another store can be given with --store DIR or COOPER_STORE")
            .hint(format!(
                "if it is damage, `rm {}`: the next command writes it anew",
                path.join("oci-layout").display()
            )),
        // What the disk refuses says nothing of what is on it.
        Error::Unlisted { source: source @ disk::Error::Io { .. } } if !source.is_missing() => problem,
        Error::Index { .. } | Error::Unlisted { .. } => problem.ends(Exit::Input).hint(INDEX_HINT),
        Error::Disk(disk::Error::Io { action: "make the directory", source, .. })
            if source.kind() == std::io::ErrorKind::NotFound =>
        {
            problem.hint("another store can be given with --store DIR or COOPER_STORE")
        }
        Error::Missing { .. } => problem.ends(Exit::Missing),
        _ => problem,
    }
}
