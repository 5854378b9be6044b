//! Encoding 1's part of planning: frozen once released, only added beside.

mod changes;
mod context;
mod expand;
mod layers;
mod users;

pub(crate) use context::Context;
pub(crate) use expand::{Expanded, expand, split_pattern, topmost};
pub use layers::PlannedLayer;
pub(crate) use layers::{Stand, Unit, split};
pub(crate) use users::Database;
