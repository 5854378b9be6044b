//! The byte-relevant code of encoding 1: never edited after the first release, only added beside.

pub(crate) mod deflate;
pub mod gzip;
pub mod tar;
pub mod xattrs;
