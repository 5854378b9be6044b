//! Places that images can't be put into.

use std::io::ErrorKind::NotFound;

use cooperage::disk;
use cooperage::layer::archive;
use cooperage::sink::Error;

use super::problem::{Machine, Problem, Room};
use crate::exit::Exit;

impl Room for Error {
    fn machine(&self) -> Option<Machine<'_>> {
        match self {
            Self::Disk(error) => Some(Machine::Disk(error)),
            Self::Copy { source, .. }
            | Self::Connection { source, .. }
            | Self::Archive {
                source: archive::Error::Write(source) | archive::Error::Read { source, .. },
                ..
            } => Some(Machine::Io(source)),
            _ => None,
        }
    }
}

pub(super) fn problem(error: &Error) -> Problem {
    let problem = Problem::chain("output", Exit::System, error);
    match error {
        Error::Host { .. } => problem.ends(Exit::Usage).hint("DOCKER_HOST says where the engine is"),
        Error::Connection { .. } => {
            problem.ends(Exit::System).hint("is it running? DOCKER_HOST says where it is")
        }
        Error::Index { path, .. } => problem.ends(Exit::Input).hint(format!(
            "without {} it is a layout without images: what it held must be put there again",
            path.display()
        )),
        Error::NotALayout { .. } => problem.ends(Exit::Input).hint("name another directory"),
        Error::Disk(disk::Error::Io { source, path, action: "create a file in" })
            if source.kind() == NotFound =>
        {
            problem.hint(format!("make the directory first: mkdir -p {}", path.display()))
        }
        Error::Document { .. } => problem.ends(Exit::Input),
        Error::Absent { .. } => problem.ends(Exit::Missing),
        _ => problem,
    }
}
