//! Encoding 1 of the recipe room: everything here decides bytes of images. Never edited once released, only added
//! beside: a recipe that was locked means the same for ever.
//!
//! `merge` makes one recipe of levels and variants, `names` evaluates variables, `resolve` fills in what a variant
//! and platform decide and `sources` what entries take from elsewhere; `template`, `glob` and `path` are their tools and know nothing of recipes.

mod glob;
mod merge;
mod names;
mod path;
mod resolve;
mod resolved;
mod sources;
mod template;

use super::ErrorKind;

pub use glob::{Glob, GlobFault, has_magic};
pub use merge::Evaluated;
pub(super) use merge::evaluate;
pub use names::Scope;
pub(super) use names::{Names, Reach};
pub use path::PathFault;
pub(super) use path::{absolute, relative};
pub use resolved::{
    Resolved, ResolvedAction, ResolvedEntry, ResolvedFile, ResolvedSource, ResolvedTemplate, SourcePath,
    platform_matches,
};
pub use template::{DELIMITERS, TemplateError, TemplateFault, interpolate};

/// A glob, or why it isn't one.
pub(super) fn glob(pattern: &str) -> Result<Glob, ErrorKind> {
    Glob::parse(pattern).map_err(|fault| ErrorKind::Glob { pattern: pattern.to_owned(), fault })
}

/// An absolute path that isn't the root, normalised.
pub(super) fn named(path: &str) -> Result<String, ErrorKind> {
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
        target => Ok(target.to_owned()),
    }
}
