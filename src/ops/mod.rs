//! The verbs: one file each.
//!
//! Each holds what its verb is asked, how it runs and what it answers, and nothing that a second verb needs: that is the
//! floor below, `work`. A verb takes values and gives values; it must not print, read the environment
//! or know the clock.

mod audit;
mod build;
mod check;
mod compose;
mod copy;
mod digests;
mod gc;
mod init;
mod list;
mod lock;
mod pin;
mod prune;
mod pull;
mod push;
mod query;
mod show;
mod store;
mod taken;
mod update;
mod vendor;

pub use audit::{ByteSource, audit};
pub use build::{BuildOptions, BuildReport, build};
pub use check::{Checked, check};
pub use compose::{DeployOptions, Deployed, Runner, deploy};
pub use copy::copy;
pub use digests::{ImageDigests, digests};
pub use gc::{Collected, gc};
pub use init::{Initialised, init, is_recipe_name};
pub use list::{Listed, list};
pub use lock::{LockOptions, Side, lock};
pub use pin::pin;
pub use prune::prune;
pub use pull::{PullOptions, pull};
pub use push::{PushOptions, push};
pub use query::{DigestQuery, Found, PackageQuery, ParseDigestQueryError, ParsePackageError, Query, query};
pub use show::{Shown, ShownLayer, ShownPlatform, show};
pub use store::{Verified, store_verify};
pub use taken::taken;
pub use update::{UpdateOptions, update};
pub use vendor::{Vendored, vendor};

pub use crate::work::checkout::{ParseShardError, Selection, Shard};
pub use crate::work::deliver::{Copied, TagChange};
pub use crate::work::realise::{
    Built, Difference, ImageName, LockChange, PackageMove, PinMove, RecipeReport,
};
pub use crate::work::{Env, Error, Inputs, LockedRecipe, TagMove};
