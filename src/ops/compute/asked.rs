//! What is asked of recipes without computing them: `list`, `update` and `lock --audit` look at names only.

use std::collections::{BTreeMap, BTreeSet};

use super::{Work, with_platform};
use crate::digest::Encoding;
use crate::lock::{self};
use crate::oci::Platform;
use crate::ops::base::origin;
use crate::ops::error::Error;
use crate::ops::session::{Session, parent_target};
use crate::recipe::{Base, Evaluated};
use crate::tree::SourceKey;
use crate::workspace::Target;

impl Session<'_> {
    /// What a recipe needs of external bases, by variant.
    pub(in crate::ops) fn wants(&self, target: &Target) -> Result<Vec<lock::Want>, Error> {
        let work = Work { session: self, target, old: None };
        let recipe = self.recipe(target)?;
        let mut wants = Vec::new();
        for variant in &self.file.variants {
            let evaluated = recipe.variant(Encoding::V1, variant).map_err(Error::Recipes)?;
            let base = evaluated.base_reference(&self.scope(target)).map_err(Error::Recipes)?;
            let Some(origin) = origin(&base)? else { continue };
            let platforms = work.platforms(&evaluated)?;
            let mut removes = Vec::new();
            for platform in &platforms {
                removes.extend(work.patterns(&evaluated, platform)?);
            }
            removes.sort();
            removes.dedup();
            // A bare recipe takes the platforms that there are.
            let bare = evaluated.is_bare() && evaluated.image.platforms.is_none();
            let platforms = if bare { Vec::new() } else { platforms.iter().map(Platform::short).collect() };
            wants.push(lock::Want { variant: variant.clone(), origin, platforms, removes });
        }
        Ok(wants)
    }

    /// Whether a recipe stands on one of `others` or takes from it, or from one that does.
    pub(in crate::ops) fn stands_on_any<T>(
        &self,
        target: &Target,
        others: &BTreeMap<Target, T>,
    ) -> Result<bool, Error> {
        self.any_below(vec![target.clone()], |next| Ok(next != target && others.contains_key(next)))
    }

    /// Whether something holds of one of these recipes, of what they stand on or of what they take from.
    pub(in crate::ops) fn any_below(
        &self,
        mut todo: Vec<Target>,
        mut holds: impl FnMut(&Target) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let mut seen = BTreeSet::new();
        while let Some(next) = todo.pop() {
            if !seen.insert(next.clone()) {
                continue;
            }
            if holds(&next)? {
                return Ok(true);
            }
            for variant in &self.file.variants {
                todo.extend(self.parent_of(&next, variant)?);
                todo.extend(self.copied_from(&next, variant)?);
            }
        }
        Ok(false)
    }

    /// The recipe that a variant stands on, if it does.
    pub(in crate::ops) fn parent_of(&self, target: &Target, variant: &str) -> Result<Option<Target>, Error> {
        let evaluated = self.recipe(target)?.variant(Encoding::V1, variant).map_err(Error::Recipes)?;
        match evaluated.base_reference(&self.scope(target)).map_err(Error::Recipes)? {
            Base::Recipe(name) => parent_target(&self.workspace, target, &name).map(Some),
            _ => Ok(None),
        }
    }

    /// The recipes from whose images a variant takes files.
    pub(in crate::ops) fn copied_from(
        &self,
        target: &Target,
        variant: &str,
    ) -> Result<BTreeSet<Target>, Error> {
        let known = self.workspace.recipes()?;
        let keys = self.variant_keys(target, variant)?.into_iter();
        let targets = keys.filter_map(|key| match key {
            SourceKey::Recipe { recipe, .. } => recipe.parse().ok(),
            SourceKey::Files(_)
            | SourceKey::Fetch { .. }
            | SourceKey::Input { .. }
            | SourceKey::Image { .. }
            | SourceKey::Base { .. } => None,
        });
        // What isn't there is told by whoever builds.
        Ok(targets.filter(|target| known.contains(target)).collect())
    }

    /// Every source that a recipe takes, over all variants and platforms.
    pub(in crate::ops) fn source_keys(&self, target: &Target) -> Result<BTreeSet<SourceKey>, Error> {
        let mut keys = BTreeSet::new();
        for variant in &self.file.variants {
            keys.extend(self.variant_keys(target, variant)?);
        }
        Ok(keys)
    }

    /// The same of one variant.
    pub(in crate::ops) fn variant_keys(
        &self,
        target: &Target,
        variant: &str,
    ) -> Result<BTreeSet<SourceKey>, Error> {
        let work = Work { session: self, target, old: None };
        let evaluated = self.recipe(target)?.variant(Encoding::V1, variant).map_err(Error::Recipes)?;
        let base = evaluated.base_reference(&self.scope(target)).map_err(Error::Recipes)?;
        let base = match (&base, origin(&base)?) {
            (Base::Recipe(name), _) => {
                format!("{}#{variant}", parent_target(&self.workspace, target, name)?)
            }
            (_, Some(origin)) => origin.to_string(),
            _ => "scratch".to_owned(),
        };
        let mut keys = BTreeSet::new();
        for platform in work.platforms(&evaluated)? {
            let scope = with_platform(self.scope(target), &platform);
            for mut path in evaluated.source_paths(&scope).map_err(Error::Recipes)? {
                path.key.stand_on(&base);
                keys.insert(path.key);
            }
        }
        Ok(keys)
    }

    /// What a variant stands on, as the recipe says it.
    pub(in crate::ops) fn base_text(&self, target: &Target, recipe: &Evaluated) -> Result<String, Error> {
        Ok(match recipe.base_reference(&self.scope(target)).map_err(Error::Recipes)? {
            Base::Image(text) | Base::Layout(text) | Base::Recipe(text) | Base::Extends(text) => text.value,
            Base::Scratch(_) => "scratch".to_owned(),
        })
    }
}
