//! The recipe: from TOML text to a fully resolved list of typed entries for one variant and platform.
//!
//! Pure: it opens no file and knows no environment; whoever calls it brings texts and takes values. It knows the
//! language of recipes and nothing of images: references, owners and paths are words here, to be looked up by others.
//!
//! Text → `raw` (what serde reads) → `check` (what it means; every mistake at once) → [`Recipe`], levels of patches →
//! [`Recipe::variant`] → [`Evaluated`] → [`Evaluated::resolve`] → [`Resolved`]. What decides bytes of an image
//! (merge, interpolation, globs, defaults) is in `v1`, which is never edited, only added beside.

mod check;
mod config;
mod entry;
mod error;
mod evaluated;
mod given;
mod levels;
mod loose;
mod meaning;
mod mentions;
mod parse;
mod patch;
mod raw;
mod raw_entry;
mod read_config;
mod read_entry;
mod read_given;
mod read_patch;
mod read_service;
mod schema;
mod secret;
mod service;
mod slips;
mod span;
mod suggest;
mod v1;
mod words;
mod workspace_file;

pub use config::{Check, Cmd, Config, ConfigRemove, Healthcheck};
pub use entry::{Action, Change, Entry, File, Id, Mount, Mtime, Owner, Source, Template};
pub use error::{Error, ErrorKind, Instead, Slip, What};
pub use evaluated::Evaluated;
pub use given::{Given, given_section};
pub use levels::Recipe;
pub use parse::parse;
pub use patch::{Base, Image, Input, InputSource, Selector, Var};
pub use read_given::parse_stack;
pub use schema::{schema_recipe, schema_stack, schema_workspace};
pub use secret::{is_secret, is_secret_name, secrets_in};
pub use service::{After, Health, Job, Probe, Reload, Secret, Service};
pub use span::{At, Spanned};
pub use suggest::suggest;
pub use v1::{
    DELIMITERS, Glob, GlobFault, Mode, PathFault, Resolved, ResolvedAction, ResolvedEntry, ResolvedFile,
    ResolvedSource, ResolvedTemplate, Room, Scope, SourcePath, TemplateError, TemplateFault, has_magic,
    interpolate, layout_place, nanoseconds, platform_matches,
};
pub use workspace_file::{Catalogue, WorkspaceFile, parse_workspace};

use crate::digest::Encoding;
use crate::oci::Platform;

/// Each machine once, as it was first named: arm64 and arm64/v8 are one.
pub fn distinct<'p>(encoding: Encoding, all: impl IntoIterator<Item = &'p Platform>) -> Vec<Platform> {
    match encoding {
        Encoding::V1 => v1::distinct(all),
    }
}

/// The time of everything that has no other, in seconds since 1970: `kept` is an earlier lock's, `given` what a new lock
/// should have.
///
/// # Errors
/// The time, when no image can have it.
pub fn epoch(encoding: Encoding, kept: Option<i64>, given: Option<i64>) -> Result<i64, i64> {
    match encoding {
        Encoding::V1 => v1::epoch(kept, given),
    }
}

#[cfg(test)]
mod tests;
