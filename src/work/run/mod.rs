//! What runs a stack, made of its recipes' `[service]` and of the images that they become.
//!
//! Owns which recipes belong together, what their images are called, and what the working copy has to offer where a variant
//! mounts it. How that is written down is `deploy`'s.

mod mounts;
mod runner;
mod services;
mod unit;

pub(crate) use mounts::mounted;
pub use runner::Runner;
pub(crate) use services::{chosen, service, variant_of};
pub(crate) use unit::{How, bare_unit, files, unit, untold};
