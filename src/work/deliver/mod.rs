//! Images on their way to places, and artifacts beside them.

mod artifacts;
mod exporter;
pub(crate) mod published;
mod put;

pub(crate) use artifacts::{push_outputs, repository};
pub(crate) use exporter::{Destination, Exporter};
pub use put::Copied;
pub(crate) use put::{Origin, put};
