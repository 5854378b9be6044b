//! Cooper.
pub mod digest;
pub mod tree;
