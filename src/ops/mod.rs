//! The verbs: one file each, and the only place where rooms are wired to each other.
//!
//! Owns [`Env`], what a verb is asked ([`BuildOptions`] and its like) and what it answers (`report`). A verb
//! takes values and gives values; it must not print, read the environment or know the clock.

mod base;
mod build;
mod check;
mod compute;
mod deploy;
mod error;
mod export;
mod foreign;
mod images;
mod init;
mod inspect;
mod keep;
mod lock;
mod outputs;
mod pin;
mod publish;
mod pull;
mod push;
mod query;
mod reading;
mod report;
mod session;
mod shard;
mod substitutes;
mod twice;
mod update;
mod vendor;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

pub use build::build;
pub use check::check;
pub use deploy::{DeployOptions, Deployed, Runner, deploy};
pub use error::{Error, LockedRecipe};
pub use export::copy;
pub use init::{init, is_recipe_name};
pub use inspect::{digests, list, show};
pub use keep::{gc, store_verify};
pub use lock::{audit, lock, prune};
pub use pin::pin;
pub use pull::{PullOptions, pull};
pub use push::{PushOptions, push};
pub use query::{PackageQuery, ParsePackageError, Query, query};
pub use report::{
    Built, ByteSource, Checked, Collected, Copied, Difference, Found, ImageDigests, ImageName, Initialised,
    Listed, LockChange, PackageMove, PinMove, RecipeReport, Shown, ShownLayer, ShownPlatform, Vendored,
    Verified,
};
pub use shard::{ParseShardError, Shard};
pub use update::update;
pub use vendor::vendor;

use crate::oci::{Place, Platform};
use crate::progress::Progress;
use crate::registry::Registries;

/// What verbs need of the world. A new field is a decision, not a convenience.
#[derive(Debug)]
pub struct Env<'a> {
    /// Where a workspace is looked for, upwards; relative places start here too.
    pub dir: PathBuf,
    /// The store's directory.
    pub store: PathBuf,
    /// Another set of locks than the workspace's `lockfiles/`.
    pub lockfiles: Option<PathBuf>,
    /// Write nothing, and fail when the locks don't say what comes out.
    pub locked: bool,
    /// Open no connection.
    pub offline: bool,
    /// Where what other machines have made is looked for.
    pub substitute: Vec<Place>,
    /// `SOURCE_DATE_EPOCH`: the epoch of locks that are made now.
    pub epoch: Option<i64>,
    /// The engine's address for `docker-daemon:` (`unix:///var/run/docker.sock`).
    pub engine: String,
    /// Chosen where a format holds one image only: this machine's, as a Linux container's.
    pub platform: Platform,
    /// Where references lead.
    pub registries: &'a Registries,
    /// The process ends with this verb: what it took is left to the system, which frees all of it at once.
    pub last: bool,
    /// Who hears what goes on.
    pub progress: Arc<dyn Progress>,
}

/// Which recipes are meant.
#[derive(Debug, Clone, Default)]
pub struct Selection {
    /// `stack/name[#variant]`, stacks, globs. Empty: the workspace's default.
    pub targets: Vec<String>,
    /// Every recipe.
    pub all: bool,
}

/// What `build` is asked.
#[derive(Debug, Clone, Default)]
pub struct BuildOptions {
    /// Which recipes.
    pub select: Selection,
    /// Limits what is put into `to`; empty: all of the recipe's.
    pub platforms: Vec<Platform>,
    /// Values of variables that are declared `set = true`.
    pub set: BTreeMap<String, String>,
    /// Where inputs are, by name; open ones are given so.
    pub inputs: BTreeMap<String, PathBuf>,
    /// Where to put the images.
    pub to: Vec<Place>,
    /// Build again from nothing into a second store, and compare.
    pub twice: bool,
    /// Only this part of what is selected.
    pub shard: Option<Shard>,
    /// Locks are left as they are.
    pub unrecorded: bool,
}

/// What `lock` is asked.
#[derive(Debug, Clone, Default)]
pub struct LockOptions {
    /// Which recipes.
    pub select: Selection,
    /// Write nothing; fail when a lock isn't what would be written (the merge queue's job).
    pub check: bool,
    /// Derive the facts of bases again from their layers, and compare.
    pub verify_facts: bool,
    /// Whose pins are taken where a merge left both.
    pub take: Option<Side>,
}

/// A side of a merge conflict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The branch that was checked out.
    Ours,
    /// The branch that was merged.
    Theirs,
}

/// What `update` is asked.
#[derive(Debug, Clone, Default)]
pub struct UpdateOptions {
    /// Which recipes; with neither targets nor input the plan is only told.
    pub select: Selection,
    /// Only pins of this reference or layout, in every lock that holds it.
    pub input: Option<String>,
}

/// What `build --twice` adds to the reports: differences, if any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildReport {
    /// One for each recipe, in order of their names, parents first where a child was asked for.
    pub recipes: Vec<RecipeReport>,
    /// What was put where.
    pub copied: Vec<Copied>,
    /// With `twice`: what differed.
    pub differences: Vec<Difference>,
}
