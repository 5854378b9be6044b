//! Encoding 1 of the recipe room: everything here decides bytes of images. Never edited once released, only added
//! beside: a recipe that was locked means the same for ever.
//!
//! `merge` makes one recipe of levels and variants, `defaults` says what holds where it says nothing, `names` evaluates
//! variables, `resolve` fills in what a variant and platform decide and `sources` what entries take from elsewhere;
//! `template`, `glob` and `path` are their tools and know nothing of recipes.

mod defaults;
mod glob;
mod merge;
mod mode;
mod names;
mod path;
mod resolve;
mod resolved;
mod sources;
mod template;
mod values;

use super::ErrorKind;

pub(super) use defaults::{PLATFORMS, VARIANTS, distinct, epoch, platforms};
pub use glob::{Glob, GlobFault, has_magic};
pub(super) use merge::{check, evaluate, is_bare, or_replace, table};
pub use mode::Mode;
pub use names::Scope;
pub(super) use names::{Names, Reach};
pub use path::PathFault;
pub(super) use path::{absolute, fits, relative};
pub(super) use resolve::{base_reference, remove_patterns, resolve};
pub use resolved::{
    Resolved, ResolvedAction, ResolvedEntry, ResolvedFile, ResolvedSource, ResolvedTemplate, SourcePath,
    platform_matches,
};
pub(super) use sources::source_paths;
pub use template::{DELIMITERS, Room, TemplateError, TemplateFault, interpolate};
pub(super) use values::{TIMES, delimiters, duration, login, port, time};
pub use values::{layout_place, nanoseconds};

/// A glob, or why it isn't one.
pub(super) fn glob(pattern: &str) -> Result<Glob, ErrorKind> {
    Glob::parse(pattern).map_err(|fault| ErrorKind::Glob { pattern: pattern.to_owned(), fault })
}

/// An absolute path, normalised.
pub(super) fn rooted(path: &str) -> Result<String, ErrorKind> {
    let fail = |fault| ErrorKind::Path { path: path.to_owned(), fault };
    let normal = absolute(path).map_err(fail)?;
    fits(&normal).map_err(fail)?;
    Ok(normal)
}

/// A path beside the recipe, normalised.
pub(super) fn beside(path: &str) -> Result<String, ErrorKind> {
    let fail = |fault| ErrorKind::Path { path: path.to_owned(), fault };
    let normal = relative(path).map_err(fail)?;
    // The alternatives of a glob may be longer than what they match.
    if !has_magic(&normal) {
        fits(&normal).map_err(fail)?;
    }
    Ok(normal)
}

/// An absolute path that isn't the root, normalised.
pub(super) fn named(path: &str) -> Result<String, ErrorKind> {
    below_root(path).and_then(|normal| rooted(&normal))
}

/// The same of what may be a glob, which is longer than what it matches.
pub(super) fn below_root(path: &str) -> Result<String, ErrorKind> {
    let fail = |fault| ErrorKind::Path { path: path.to_owned(), fault };
    match absolute(path).map_err(fail)?.as_str() {
        "/" => Err(fail(PathFault::Root)),
        normal => Ok(normal.to_owned()),
    }
}

/// What a link points to: anything for a symbolic one, which is text; a path of the image for a hard one.
pub(super) fn link_target(target: &str, hard: bool) -> Result<String, ErrorKind> {
    let fail = |fault| Err(ErrorKind::Path { path: target.to_owned(), fault });
    match target {
        "" => fail(PathFault::Empty),
        target if hard => named(target),
        target if target.chars().any(|char| char.is_ascii_control()) => fail(PathFault::Control),
        // Names in it are looked up, not made.
        target if target.len() > 4095 => fail(PathFault::Long),
        target => Ok(target.to_owned()),
    }
}
