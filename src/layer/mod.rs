//! A layer's bytes, written and read.
//!
//! Owns the way from a file tree to the bytes of a tar and of its gzip ([`build`]; what decides bytes lies in [`v1`]),
//! and back: the strict tar reader, decompression, the header index of a layer, the merged view of an image, facts
//! and package lists; and, by the same reader, archives from elsewhere ([`unpack`]). It works over `Read`, `Write` and plain values: it must not open files, know a path of this
//! machine, or trust a byte that it reads.

pub mod archive;
mod build;
mod build_error;
pub mod captured;
pub mod chunks;
pub mod decompress;
pub mod error;
pub mod facts;
pub mod gzip;
pub mod index;
mod kept;
pub mod links;
pub mod merged;
pub mod names;
pub mod packages;
pub mod scan;
pub mod tar;
mod text;
pub mod unpack;
pub mod v1;
pub mod versions;

pub use build::{Built, build};
pub use build_error::BuildError;
