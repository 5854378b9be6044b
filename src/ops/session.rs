//! One command's work in one workspace: what was read, and the store's transaction that everything goes into.
//!
//! Owns the reading of recipes (with those that they extend), of their locks and of their sources, each once. It
//! must not decide what a recipe becomes: that is `compute`.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

use super::base::Answers;
use super::foreign::Foreign;
use super::reading::View;
use super::substitutes::Substitutes;
use super::{Env, Error, Selection};
use crate::digest::Digest;
use crate::disk::Temporary;
use crate::layer::facts::Facts;
use crate::layer::names::Names;
use crate::lock::{BaseOrigin, Lock, Reason, conflict};
use crate::oci::Descriptor;
use crate::recipe::{self, Recipe, Spanned, WorkspaceFile, parse_workspace};
use crate::store::{Store, Transaction};
use crate::substitute::Substituter;
use crate::tree::{Content, Files, SourceKey, TreePath};
use crate::workspace::{Contents, Scan, Target, TargetPattern, Workspace};

/// The layers of a base, and a path in it.
type BasePath = (Rc<[Digest]>, TreePath);

/// A command at work.
pub(super) struct Session<'a> {
    pub(super) env: &'a Env<'a>,
    pub(super) workspace: Workspace,
    pub(super) file: WorkspaceFile,
    /// Begun when the first thing is computed: reading recipes and locks needs no store.
    transaction: OnceCell<Transaction>,
    store: Option<Store>,
    pub(super) asks: Asks,
    pub(super) substitutes: Substitutes,
    recipes: RefCell<BTreeMap<Target, Rc<Recipe>>>,
    sources: RefCell<BTreeMap<Files, Rc<Scan>>>,
    /// Where bases come from: a registry's knows what it was told already.
    pub(super) places: RefCell<BTreeMap<BaseOrigin, Arc<dyn Substituter>>>,
    pub(super) resolved: RefCell<BTreeMap<BaseOrigin, Descriptor>>,
    pub(super) externals: RefCell<BTreeMap<BaseOrigin, Answers>>,
    pub(super) views: RefCell<BTreeMap<Digest, View>>,
    /// Of `lockfiles/blobs`: recipes on one base share them.
    committed: RefCell<BTreeMap<Digest, Rc<[u8]>>>,
    pub(super) facts: RefCell<BTreeMap<Digest, Rc<Facts>>>,
    put: RefCell<BTreeSet<Digest>>,
    /// Sources from elsewhere.
    pub(super) foreigners: RefCell<BTreeMap<SourceKey, Rc<Foreign>>>,
    /// Those whose bytes are at hand.
    pub(super) materialised: RefCell<BTreeMap<SourceKey, Rc<Contents>>>,
    /// Temporary files of theirs; they go before the transaction does.
    pub(super) scratch: RefCell<Vec<Temporary>>,
    /// What guards asked of a base's layers: variants, platforms and neighbours ask the same.
    pub(super) base_files: RefCell<BTreeMap<BasePath, bool>>,
    pub(super) names: RefCell<BTreeMap<Digest, Option<Rc<Names>>>>,
    pub(super) computed: RefCell<BTreeMap<Target, Rc<super::compute::Computed>>>,
    pub(super) layers: RefCell<BTreeMap<Digest, super::compute::Made>>,
}

/// What a verb wants beyond building.
#[derive(Debug, Clone, Default)]
pub(super) struct Asks {
    /// Values of variables that are declared `set = true`.
    pub(super) set: BTreeMap<String, String>,
    /// Where inputs are, by name.
    pub(super) inputs: BTreeMap<String, PathBuf>,
    /// Bases that are asked anew for their digest: all, or those named so.
    pub(super) refresh: Option<Vec<String>>,
    /// Guards that need the base's header index run even if its layers must be read for it.
    pub(super) thorough: bool,
    /// Facts are derived from the layers even where the lock has them, and compared.
    pub(super) fresh_facts: bool,
    /// Locks are left as they are.
    pub(super) unrecorded: bool,
    /// Which side a conflict's differing pins are taken from.
    pub(super) take: Option<conflict::Take>,
}

/// A lock as it was found.
#[derive(Debug, Clone, Default)]
pub(super) struct OldLock {
    pub(super) lock: Option<Lock>,
    pub(super) reason: Option<Reason>,
}

impl<'a> Session<'a> {
    /// Finds the workspace.
    pub(super) fn open(env: &'a Env<'a>, asks: Asks) -> Result<Self, Error> {
        Self::open_in(env, asks, None)
    }

    /// The same with another store.
    pub(super) fn open_in(env: &'a Env<'a>, asks: Asks, store: Option<Store>) -> Result<Self, Error> {
        let (workspace, file) = workspace(env)?;
        Ok(Self {
            env,
            workspace,
            file,
            transaction: OnceCell::new(),
            asks,
            // Into another store everything is made anew.
            substitutes: if store.is_none() { Substitutes::open(env)? } else { Substitutes::default() },
            store,
            recipes: RefCell::default(),
            sources: RefCell::default(),
            places: RefCell::default(),
            resolved: RefCell::default(),
            externals: RefCell::default(),
            views: RefCell::default(),
            committed: RefCell::default(),
            facts: RefCell::default(),
            put: RefCell::default(),
            foreigners: RefCell::default(),
            materialised: RefCell::default(),
            scratch: RefCell::default(),
            base_files: RefCell::default(),
            names: RefCell::default(),
            computed: RefCell::default(),
            layers: RefCell::default(),
        })
    }

    /// The store, without what this command has added so far.
    pub(super) fn store(&self) -> Result<&Store, Error> {
        Ok(self.transaction()?.store())
    }

    /// What everything that is made goes into.
    pub(super) fn transaction(&self) -> Result<&Transaction, Error> {
        if let Some(transaction) = self.transaction.get() {
            return Ok(transaction);
        }
        let store = self.store.clone().map_or_else(|| Store::open(&self.env.store), Ok)?;
        let transaction = store.begin()?;
        Ok(self.transaction.get_or_init(|| transaction))
    }

    /// Brings what was made to the disk.
    pub(super) fn commit(&mut self) -> Result<Store, Error> {
        let store = self.store()?.clone();
        self.materialised.take();
        self.scratch.take();
        if let Some(transaction) = self.transaction.take() {
            transaction.commit()?;
        }
        Ok(store)
    }

    /// A recipe, laid on those that it extends.
    pub(super) fn recipe(&self, target: &Target) -> Result<Rc<Recipe>, Error> {
        self.extended(target, &mut Vec::new())
    }

    fn extended(&self, target: &Target, seen: &mut Vec<Target>) -> Result<Rc<Recipe>, Error> {
        if let Some(recipe) = self.recipes.borrow().get(target) {
            return Ok(Rc::clone(recipe));
        }
        circle(target, seen)?;
        let recipe = read_recipe(&self.workspace, &self.file, target)?;
        let recipe = match recipe.extends().cloned() {
            None => recipe,
            Some(name) => {
                let parent = parent_target(&self.workspace, target, &name)?;
                let parent = self.extended(&parent, seen).map_err(|error| error.closes_circle(&name.at))?;
                Recipe::extend(&parent, recipe)
            }
        };
        seen.pop();
        let recipe = Rc::new(recipe);
        self.recipes.borrow_mut().insert(target.clone(), Rc::clone(&recipe));
        Ok(recipe)
    }

    /// A recipe's lock, conflicts merged as far as they can be.
    pub(super) fn old_lock(&self, target: &Target) -> Result<OldLock, Error> {
        let Some(text) = self.workspace.lock_text(target)? else {
            return Ok(OldLock { lock: None, reason: Some(Reason::LockMissing) });
        };
        let file = lock_file(target);
        let wrong = |source| Error::Lock { file: file.clone(), source };
        if conflict::first_marker(&text).is_none() {
            return Ok(OldLock { lock: Some(Lock::parse(&text).map_err(wrong)?), reason: None });
        }
        let (ours, theirs) = conflict::split(&text).map_err(wrong)?;
        let (ours, theirs) = (Lock::parse(&ours).map_err(wrong)?, Lock::parse(&theirs).map_err(wrong)?);
        let (lock, differences) = conflict::merge(&ours, &theirs, self.asks.take);
        if !differences.is_empty() && self.asks.take.is_none() && !self.env.locked {
            let differences = differences.iter().map(ToString::to_string).collect();
            return Err(Error::Conflict { file, differences });
        }
        Ok(OldLock { lock: Some(lock), reason: Some(Reason::Conflicted) })
    }

    /// A source tree, read once however many entries and platforms take it.
    pub(super) fn source(&self, files: &Files) -> Result<Rc<Scan>, Error> {
        if let Some(scan) = self.sources.borrow().get(files) {
            return Ok(Rc::clone(scan));
        }
        let scan = Rc::new(self.workspace.read_source(files)?);
        self.sources.borrow_mut().insert(files.clone(), Rc::clone(&scan));
        Ok(scan)
    }

    /// The same of an entry: what is wrong with it is told where that stands.
    pub(super) fn source_at(&self, files: &Files, at: &recipe::At) -> Result<Rc<Scan>, Error> {
        self.source(files).map_err(|error| match error {
            Error::Workspace(source) => Error::Source { at: at.clone(), source },
            other => other,
        })
    }

    /// Lets go of everything: of what a thousand recipes took, piece by piece, that takes a twentieth of a build.
    pub(super) fn end(self, all: Vec<Rc<super::compute::Computed>>) {
        if self.env.last {
            std::mem::forget((self, all));
        }
    }

    /// A blob of `lockfiles/blobs`, verified; none when it isn't there.
    pub(super) fn committed(&self, content: &Content, cap: u64) -> Result<Option<Rc<[u8]>>, Error> {
        let known = self.committed.borrow().get(&content.digest).cloned();
        if let Some(bytes) = known.filter(|bytes| bytes.len() as u64 == content.size) {
            return Ok(Some(bytes));
        }
        let read: Option<Rc<[u8]>> = self.workspace.blob(content, cap)?.map(Rc::from);
        if let Some(bytes) = &read {
            self.committed.borrow_mut().insert(content.digest, Rc::clone(bytes));
        }
        Ok(read)
    }

    /// Commits a blob, once, and not if it was read from there.
    pub(super) fn commit_blob(&self, digest: Digest, bytes: &[u8]) -> Result<(), Error> {
        let read = self.env.lockfiles.is_none() && self.committed.borrow().contains_key(&digest);
        if !read && self.put.borrow_mut().insert(digest) {
            self.workspace.put_blob(bytes)?;
        }
        Ok(())
    }

    /// The recipes that are meant, each with the variants that were asked for (empty: all).
    pub(super) fn select(&self, selection: &Selection) -> Result<BTreeMap<Target, Vec<String>>, Error> {
        select(&self.workspace, &self.file, selection)
    }
}

/// Finds the workspace and reads its file.
pub(super) fn workspace(env: &Env<'_>) -> Result<(Workspace, WorkspaceFile), Error> {
    let workspace = Workspace::find(&env.dir)?;
    let workspace = match &env.lockfiles {
        Some(dir) => workspace.with_lockfiles(dir.clone()),
        None => workspace,
    };
    let file = parse_workspace(crate::workspace::FILE, workspace.text()).map_err(Error::Recipes)?;
    Ok((workspace, file))
}

/// See [`Session::select`].
pub(super) fn select(
    workspace: &Workspace,
    file: &WorkspaceFile,
    selection: &Selection,
) -> Result<BTreeMap<Target, Vec<String>>, Error> {
    let known = workspace.recipes()?;
    let patterns: Vec<String> = match (selection.all, selection.targets.is_empty()) {
        (false, false) => selection.targets.clone(),
        (false, true) if !file.default.is_empty() => {
            file.default.iter().map(|pattern| pattern.value.clone()).collect()
        }
        // Not one by one: each pattern looks at every recipe.
        _ => return Ok(known.into_iter().map(|target| (target, Vec::new())).collect()),
    };
    let mut selected: BTreeMap<Target, Vec<String>> = BTreeMap::new();
    for pattern in &patterns {
        for found in TargetPattern::parse(pattern)?.select(&known)? {
            if found.revision.is_some() {
                let message = format!("{pattern}: this version of cooper can't build a revision yet");
                return Err(Error::Usage { message });
            }
            let first = !selected.contains_key(&found.target);
            let variants = selected.entry(found.target).or_default();
            match found.variant {
                // Asked for as a whole, now or before.
                None => variants.clear(),
                Some(_) if !first && variants.is_empty() => {}
                Some(name) if file.variants.contains(&name) => variants.push(name),
                Some(name) => return Err(Error::NoVariant { name, known: file.variants.clone() }),
            }
        }
    }
    Ok(selected)
}

/// A lock's place, for messages.
pub(super) fn lock_file(target: &Target) -> String {
    format!("lockfiles/{target}.lock")
}

fn read_recipe(workspace: &Workspace, file: &WorkspaceFile, target: &Target) -> Result<Recipe, Error> {
    let path = format!("{}/recipe.toml", target.origin());
    let recipe = recipe::parse(&path, &workspace.recipe_text(target)?).map_err(Error::Recipes)?;
    let errors = recipe.check_variants(&file.variants);
    if errors.is_empty() { Ok(recipe) } else { Err(Error::Recipes(errors)) }
}

/// The recipe that another one names as what it stands on or extends.
pub(super) fn parent_target(
    workspace: &Workspace,
    child: &Target,
    name: &Spanned<String>,
) -> Result<Target, Error> {
    let known = workspace.recipes()?;
    let found: Option<Target> = name.value.parse().ok().filter(|target| known.contains(target));
    found.ok_or_else(|| {
        let names: Vec<String> = known.iter().map(ToString::to_string).collect();
        let error = Error::NoParent {
            recipe: child.to_string(),
            parent: name.value.clone(),
            suggestion: recipe::suggest(name, names.iter().map(String::as_str)),
        };
        error.at(&name.at)
    })
}

/// Refuses a recipe that is being looked at already.
pub(super) fn circle(target: &Target, seen: &mut Vec<Target>) -> Result<(), Error> {
    let Some(first) = seen.iter().position(|known| known == target) else {
        seen.push(target.clone());
        return Ok(());
    };
    let round = seen[first..].iter().chain([target]);
    Err(Error::Circle { names: round.map(ToString::to_string).collect() })
}
