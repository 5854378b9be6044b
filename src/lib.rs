//! Cooper.
pub mod digest;
