//! What a recipe becomes: its images, its indexes and the lock that says so. The heart of `build`, `lock` and `update`, which
//! differ in what they do with the result.
//!
//! Owns the order of work: recipes below first, then bases and pins ([`ground`]), sources ([`gather`]), the plan of all
//! variants together with its derivations ([`plan`]), layers, images, indexes, the new lock ([`record`]). It writes to the
//! transaction only; nothing is seen by others before that is committed.

mod computed;
mod draft;
mod earlier;
mod gather;
mod ground;
mod image;
mod index;
mod lacking;
mod layer;
mod open;
mod packages;
mod plan;
mod record;
mod report;
mod session;
mod settled;
mod twice;

pub(crate) use computed::{Computed, Image, Variant};
pub use packages::PackageMove;
pub(crate) use packages::{Reach, packages};
pub(crate) use report::finish;
pub use report::{Built, ImageName, LockChange, PinMove, RecipeReport};
pub(crate) use session::Session;
pub(crate) use settled::Settled;
pub use twice::Difference;
pub(crate) use twice::compare;
