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
mod loose;
mod parse;
mod patch;
mod raw;
mod raw_entry;
mod read_entry;
mod schema;
mod secret;
mod service;
mod span;
mod v1;
mod workspace_file;

use std::collections::BTreeMap;

use crate::digest::{Digest, Encoding};

pub use check::nanoseconds;
pub use config::{Check, Cmd, Config, ConfigRemove, Healthcheck};
pub use entry::{Action, Change, Entry, File, Id, Mount, Mtime, Owner, Source, Template};
pub use error::{Error, ErrorKind, What, suggest};
pub use parse::parse;
pub use patch::{Base, Image, Input, InputSource, Selector, Var, layout_place};
pub use schema::{schema_recipe, schema_workspace};
pub use secret::{is_secret, is_secret_name, secrets_in};
pub use service::{After, Health, Job, Probe, Secret, Service};
pub use span::{At, Spanned};
pub use v1::{
    DELIMITERS, Evaluated, Glob, GlobFault, PathFault, Resolved, ResolvedAction, ResolvedEntry, ResolvedFile,
    ResolvedSource, ResolvedTemplate, Scope, SourcePath, TemplateError, TemplateFault, has_magic,
    interpolate, platform_matches,
};
pub use workspace_file::{WorkspaceFile, parse_workspace};

/// A recipe as it was read, its own mistakes ruled out; after [`Recipe::extend`] with those that it extends.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The farthest ancestor first.
    levels: Vec<patch::Level>,
    sections: BTreeMap<String, Digest>,
}

impl Recipe {
    /// `[base] extends`: the recipe that this one is a patch on, as `stack/name`.
    pub fn extends(&self) -> Option<&Spanned<String>> {
        match &self.levels.last()?.common.base {
            Some(Base::Extends(name)) => Some(name),
            _ => None,
        }
    }

    /// `child` evaluated as a patch on `parent`, which is extended itself already where it extends something.
    ///
    /// Each level is a patch of its common tables and then of its variant's, so what a child says for every variant
    /// overrides what its parent says for one. Tags are the child's; entries keep the directory that they come from.
    pub fn extend(parent: &Self, child: Self) -> Self {
        let name = child.extends().map_or("", |name| name.value.as_str());
        let mut sections = child.sections.clone();
        for (section, digest) in &parent.sections {
            // A grandparent's have a name in front already.
            let section = if section.contains(' ') { section.clone() } else { format!("{name} {section}") };
            sections.insert(section, *digest);
        }
        let mut levels = parent.levels.clone();
        for level in &mut levels {
            level.common.image.tags = None;
            level.variants.values_mut().for_each(|patch| patch.value.image.tags = None);
        }
        levels.extend(child.levels);
        Self { levels, sections }
    }

    /// The recipe for one variant: the common tables, patched by `[variant.NAME]` where there is one.
    ///
    /// # Errors
    /// No base, a `[[drop]]` that doesn't name one entry.
    pub fn variant(&self, encoding: Encoding, name: &str) -> Result<Evaluated, Vec<Error>> {
        match encoding {
            Encoding::V1 => v1::evaluate(&self.levels, name),
        }
    }

    /// A digest of each table of the file but `service`, by key, and of each variant's tables as `variant.NAME`;
    /// those of an extended recipe as `stack/name KEY`. Comments, white space and the order of keys don't matter.
    /// Says which part of a recipe moved, decides nothing.
    pub fn sections(&self) -> &BTreeMap<String, Digest> {
        &self.sections
    }

    /// Every variant that the recipe's own file names and the workspace doesn't have.
    pub fn check_variants(&self, variants: &[String]) -> Vec<Error> {
        let mut errors = Vec::new();
        let mut check = |name: &str, at: &At| {
            if !variants.iter().any(|variant| variant == name) {
                let suggestion = suggest(name, variants.iter().map(String::as_str));
                let kind = ErrorKind::UnknownVariant { name: name.to_owned(), suggestion };
                errors.push(Error { at: Some(at.clone()), kind });
            }
        };
        if let Some(level) = self.levels.last() {
            level.variants.iter().for_each(|(name, patch)| check(name, &patch.at));
            let patches = level.variants.values().map(|patch| &patch.value);
            for entry in patches.chain([&level.common]).flat_map(|patch| &patch.entries) {
                let mounts =
                    if let Action::File(file) = &entry.action { file.mount_in.as_slice() } else { &[] };
                entry.variants.iter().flatten().chain(mounts).for_each(|name| check(name, &name.at));
            }
        }
        errors.sort_by_key(|error| error.at.as_ref().map(|at| at.range.start));
        errors
    }
}

#[cfg(test)]
mod tests;
