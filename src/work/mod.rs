//! One command at work in one workspace: what the verbs share.
//!
//! Each storey owns the one below and sees nothing above it (`tests/it/architecture.rs`). A verb opens the storey that
//! it needs: `list` a checkout, `pull` a supply of bytes, `build` a session.
//!
//! | storey | owns |
//! |---|---|
//! | [`run`] | what runs a stack |
//! | [`deliver`] | images on their way to places, outputs for other machines, what images are called once published |
//! | [`realise`] | what a recipe becomes: plans, layers, images, indexes, the lock that says so |
//! | [`sources`] | trees that aren't files of the checkout: fetched, unpacked, made elsewhere, out of images |
//! | [`upstream`] | what recipes stand on: references resolved, bases pinned, images read |
//! | [`bytes`] | a blob by its digest: committed, in the store, where it comes from, with a substituter |
//! | [`checkout`] | recipes, locks, their files: each read once |
//! | `catalogue` | other workspaces, whose recipes are extended |
//! | `fetch` | a file by its URL |
//! | `env`, `error`, `mutex` | what a command is given, how it fails, what its threads share |

pub(crate) mod bytes;
mod catalogue;
pub(crate) mod checkout;
pub(crate) mod deliver;
mod env;
mod error;
pub(crate) mod fetch;
pub(crate) mod mutex;
pub(crate) mod realise;
pub(crate) mod run;
pub(crate) mod sources;
pub(crate) mod upstream;

pub(crate) use env::Asks;
pub use env::{Env, Inputs};
pub use error::{Error, LockedRecipe, TagMove};
