//! Images on their way to places, and outputs on their way to other machines.

mod exporter;
mod outputs;
pub(crate) mod published;
mod put;

pub(crate) use exporter::{Destination, Exporter};
pub(crate) use outputs::{push_outputs, repository};
pub use put::{Copied, TagChange};
pub(crate) use put::{Origin, put};
