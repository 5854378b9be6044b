//! Cooper.
pub mod digest;
pub mod oci;
pub mod progress;
pub mod tree;
