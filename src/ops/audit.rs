//! `lock --audit`: every byte source of recipes, and what pins it.

use std::collections::{BTreeMap, BTreeSet};

use super::{Env, Error, Selection};
use crate::digest::Digest;
use crate::http::shown;
use crate::lock::Lock;
use crate::recipe::{Input, Spanned};
use crate::tree::{Files, SourceKey};
use crate::work::Asks;
use crate::work::checkout::{Checkout, wants};
use crate::workspace::Target;

/// One byte source of a recipe, for `lock --audit`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ByteSource {
    /// `stack/name`
    pub recipe: String,
    /// `base`, `facts`, `source`, `parent`, …
    pub kind: String,
    /// What the recipe calls it.
    pub name: String,
    /// What pins it; `None`: it floats.
    pub pinned: Option<Digest>,
    /// Why it floats, or where it comes from.
    pub note: String,
}

/// Every byte source of the selected recipes, as their locks have them; what floats has no digest.
///
/// # Errors
/// Recipes or locks that can't be read.
pub fn audit(env: &Env<'_>, select: &Selection) -> Result<Vec<ByteSource>, Error> {
    let checkout = Checkout::open(env, Asks::default())?;
    let mut found = Vec::new();
    for target in checkout.select(select)?.keys() {
        checkout.recipe(target)?;
        let old = checkout.lock(target)?;
        let none = Lock::default();
        let mut audit = Audit { recipe: target.to_string(), lock: old.lock.as_ref().unwrap_or(&none), found };
        audit.bases(&checkout, target)?;
        audit.sources(&checkout, target)?;
        found = audit.found;
    }
    Ok(found)
}

/// One recipe's byte sources, behind those of the recipes before it.
struct Audit<'l> {
    recipe: String,
    lock: &'l Lock,
    found: Vec<ByteSource>,
}

impl Audit<'_> {
    fn add(&mut self, kind: &str, name: String, pinned: Option<Digest>, note: &str) {
        let (recipe, kind, note) = (self.recipe.clone(), kind.to_owned(), note.to_owned());
        self.found.push(ByteSource { recipe, kind, name, pinned, note });
    }

    /// What it stands on.
    fn bases(&mut self, checkout: &Checkout<'_>, target: &Target) -> Result<(), Error> {
        let mut seen = BTreeSet::new();
        for want in wants::bases(checkout, target)? {
            if seen.insert(want.origin.clone()) && self.lock.pin(&want.origin).is_none() {
                self.add("base", want.origin.to_string(), None, "no digest in the lock");
            }
        }
        for pin in &self.lock.bases {
            self.add("base", pin.origin.to_string(), Some(pin.index.digest), "pinned by digest");
            for (platform, pin) in &pin.platforms {
                let (name, facts) = (format!("facts on {platform}"), pin.facts.map(|facts| facts.digest));
                self.add("facts", name, facts, "made from the base's layers");
            }
        }
        for (parent, outputs) in &self.lock.parents {
            for (variant, digest) in outputs {
                let name = format!("{parent}#{variant}");
                self.add("parent", name, Some(*digest), "a recipe of this workspace");
            }
        }
        Ok(())
    }

    /// What it takes.
    fn sources(&mut self, checkout: &Checkout<'_>, target: &Target) -> Result<(), Error> {
        let mut inputs: BTreeMap<String, Spanned<Input>> = BTreeMap::new();
        for variant in &checkout.file.variants {
            inputs.extend(checkout.variant(target, variant)?.inputs);
        }
        for key in wants::all_keys(checkout, target)? {
            let locked = self.lock.sources.iter().find(|source| source.key == key);
            let pinned = locked.map(|source| source.pin.digest().unwrap_or(source.hash));
            let (kind, name, note) = described(&key);
            let input = inputs.get(key.name()).filter(|_| matches!(key, SourceKey::Input { .. }));
            let open = input.is_some_and(|input| input.value.open);
            let note = match pinned {
                Some(_) => note,
                None if open => "open: given with each build",
                None => "not in the lock yet",
            };
            let made = input.and_then(|input| input.value.made_by.as_ref());
            let made = made.map_or_else(String::new, |command| format!(", made by `{}`", command.value));
            self.add(kind, name, pinned, &format!("{note}{made}"));
        }
        Ok(())
    }
}

/// The kind of a source, its name, and where it comes from.
fn described(key: &SourceKey) -> (&'static str, String, &'static str) {
    match key {
        SourceKey::Files(Files { directory, from, .. }) => {
            ("source", format!("{directory}/{from}"), "files of this workspace")
        }
        SourceKey::Fetch { url, .. } => ("fetch", shown(url), "fetched"),
        SourceKey::Image { reference, path, .. } => {
            ("image", format!("{path} of {reference}"), "out of another image")
        }
        SourceKey::Recipe { recipe, variant, path, .. } => {
            ("recipe", format!("{path} of {recipe}#{variant}"), "out of an image of this workspace")
        }
        SourceKey::Base { on, path, .. } => {
            ("changed", format!("{path} of {on}"), "what entries change in the base")
        }
        SourceKey::Input { name, .. } => ("input", name.clone(), "made elsewhere"),
    }
}
