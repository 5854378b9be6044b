//! The variants of one recipe, read and interpolated as far as that needs no base.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::computed::{Computed, Made};
use crate::digest::{Digest, Encoding};
use crate::lock::Lock;
use crate::oci::Platform;
use crate::recipe::{At, Base, Evaluated, SourcePath, Spanned};
use crate::tree::SourceKey;
use crate::work::Error;
use crate::work::checkout::{Checkout, wants};
use crate::work::sources::Sources;
use crate::work::upstream::External;
use crate::workspace::Target;

/// The computation of one recipe, and what it may ask.
pub(super) struct Work<'w, 'e> {
    pub(super) sources: &'w Sources<'e>,
    pub(super) target: &'w Target,
    pub(super) encoding: Encoding,
    pub(super) old: Option<&'w Lock>,
    /// The recipes that this one stands on or takes from.
    pub(super) others: &'w BTreeMap<Target, Rc<Computed>>,
    /// The layers that this command has made, by their derivations.
    pub(super) layers: &'w RefCell<BTreeMap<Digest, Made>>,
}

impl<'e> Work<'_, 'e> {
    pub(super) fn checkout(&self) -> &Checkout<'e> {
        self.sources.checkout()
    }

    /// One of the recipes that this one stands on or takes from.
    pub(super) fn other(&self, name: &Spanned<String>) -> Result<Rc<Computed>, Error> {
        let target = self.checkout().parent(self.target, name)?;
        let absent = || Error::Circle { names: vec![self.target.to_string(), target.to_string()] };
        self.others.get(&target).cloned().ok_or_else(absent)
    }
}

/// One variant.
pub(super) struct Draft {
    pub(super) name: String,
    pub(super) recipe: Evaluated,
    pub(super) base: Base,
    pub(super) platforms: Vec<Platform>,
    /// The sources on each of the platforms.
    pub(super) paths: Vec<Vec<SourcePath>>,
}

/// One variant, and what it stands on.
pub(super) struct Grounded {
    pub(super) draft: Draft,
    pub(super) ground: Ground,
    /// What `[[remove]]` patterns match in the external base below a parent recipe: this recipe's own pin of it.
    pub(super) root: Option<Rc<External>>,
    /// It adds nothing to what it stands on.
    pub(super) bare: bool,
}

/// What a variant stands on.
pub(super) enum Ground {
    Scratch,
    External(Rc<External>),
    Recipe(Rc<Computed>),
}

/// Reads every variant of a recipe.
pub(super) fn read(checkout: &Checkout<'_>, target: &Target) -> Result<Vec<Draft>, Error> {
    let read = |name: &String| {
        let recipe = checkout.variant(target, name)?;
        let base = wants::base(checkout, target, &recipe)?;
        let platforms = checkout.platforms(&recipe)?;
        let on = |platform| recipe.source_paths(&checkout.scope_on(target, platform)).map_err(Error::Recipes);
        let paths = platforms.iter().map(on).collect::<Result<_, Error>>()?;
        Ok(Draft { name: name.clone(), recipe, base, platforms, paths })
    };
    checkout.file.variants.iter().map(read).collect()
}

/// The recipes whose images must be there before this one's can be planned, and where they are named.
pub(super) fn below(
    checkout: &Checkout<'_>,
    target: &Target,
    drafts: &[Draft],
) -> Result<Vec<(Target, At)>, Error> {
    let mut found = Vec::new();
    for draft in drafts {
        if let Base::Recipe(name) = &draft.base {
            found.push((checkout.parent(target, name)?, draft.base.at().clone()));
        }
    }
    for path in drafts.iter().flat_map(|draft| draft.paths.iter().flatten()) {
        if let SourceKey::Recipe { recipe, .. } = &path.key {
            let name = Spanned { value: recipe.clone(), at: path.at.clone() };
            found.push((checkout.parent(target, &name)?, path.at.clone()));
        }
    }
    Ok(found)
}
