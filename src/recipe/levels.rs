//! A recipe as a value: levels of patches, before a variant is chosen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::given::{self, Given, given_section};
use super::patch::{Base, Level, Var};
use super::read_service::merged;
use super::{Action, At, Error, ErrorKind, Evaluated, Spanned, suggest, v1};
use crate::digest::{Digest, Encoding};

/// A recipe as it was read, its own mistakes ruled out; after [`Recipe::extend`] with those that it extends.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// The farthest ancestor first.
    pub(super) levels: Vec<Level>,
    pub(super) sections: BTreeMap<String, Digest>,
    /// Names in the strings of these tables.
    pub(super) mentions: BTreeSet<String>,
    /// What its stack and workspace give, the nearest last.
    pub(super) given: Vec<Arc<Given>>,
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
    /// `name` is the parent's, for [`Recipe::sections`].
    pub fn extend((name, parent): (&str, &Self), child: Self) -> Self {
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
        let mentions = parent.mentions.union(&child.mentions).cloned().collect();
        Self { levels, sections, mentions, given: child.given }
    }

    /// The same with what its stack and workspace give: the workspace first, its own stack last.
    #[must_use]
    pub fn within(self, given: Vec<Arc<Given>>) -> Self {
        Self { given, ..self }
    }

    /// The recipe for one variant: the common tables, patched by `[variant.NAME]` where there is one.
    ///
    /// # Errors
    /// No base, a `[[drop]]` that doesn't name one entry.
    pub fn variant(&self, encoding: Encoding, name: &str) -> Result<Evaluated, Vec<Error>> {
        let mut evaluated = match encoding {
            Encoding::V1 => v1::evaluate(&self.levels, name),
        }?;
        evaluated.service = merged(&self.levels, name);
        given::apply(&self.given, &mut evaluated);
        Ok(evaluated)
    }

    /// The same as [`Recipe::sections`], and a digest of each value of `stack.toml` and `cooper.toml` that the recipe declares or
    /// names, or that `used` names, by `FILE NAME`. `variants` are the recipe's own.
    pub fn sections_with(
        &self,
        variants: &[&Evaluated],
        used: impl IntoIterator<Item = String>,
    ) -> BTreeMap<String, Digest> {
        let mut sections = self.sections.clone();
        if self.is_given() {
            let mut names: BTreeSet<String> = used.into_iter().chain(self.mentions.iter().cloned()).collect();
            let patches = self
                .levels
                .iter()
                .flat_map(|level| level.variants.values().map(|patch| &patch.value).chain([&level.common]));
            let declared = patches.flat_map(|patch| &patch.vars);
            let declared = declared.filter(|(_, var)| matches!(var.value, Var::Set { .. }));
            names.extend(declared.map(|(name, _)| name.clone()));
            sections.extend(given::sections(&self.given, variants, &names));
        }
        sections
    }

    /// Whether its stack or workspace gives any variable at all.
    pub fn is_given(&self) -> bool {
        self.given.iter().any(|given| !given.is_empty())
    }

    /// Whether a lock's sections are these, as far as that can be told without the sources.
    pub fn has_sections(&self, variants: &[&Evaluated], locked: &BTreeMap<String, Digest>) -> bool {
        let recorded = locked.keys().filter_map(|key| Some(given_section(key)?.1.to_owned()));
        self.sections_with(variants, recorded) == *locked
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
