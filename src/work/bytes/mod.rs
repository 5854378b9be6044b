//! Bytes by their digest: what is committed, the store, where the thing itself comes from, and at last substituters.
//!
//! Owns that order, the store's transaction, and the connections of a command: each place is opened once. It must not
//! know what the bytes are of.

mod blobs;
mod place;
mod spool;
mod substitutes;
mod supply;
mod vendor;

pub(crate) use blobs::Bytes;
pub(crate) use place::{open_place, open_reference};
pub(crate) use spool::Spool;
pub(crate) use substitutes::Substitutes;
pub(crate) use supply::Supply;
