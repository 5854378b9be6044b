//! The checkout: recipes with those that they extend, their locks and their files, each read once.
//!
//! It opens no connection, and no store but for what that knows of sources. It must not decide what a recipe becomes:
//! that is `realise`'s.

mod catalogues;
mod committed;
mod select;
pub(crate) mod wants;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;

pub(crate) use catalogues::readable_layout;
pub(crate) use committed::{Blobs, Committed};
pub use select::{ParseShardError, Selection, Shard};

use crate::digest::{Digest, Encoding};
use crate::lock::{Lock, Reason, conflict};
use crate::oci::Platform;
use crate::recipe::{
    self, Evaluated, Given, Recipe, Scope, Spanned, WorkspaceFile, parse_stack, parse_workspace,
};
use crate::store::SourceIndex;
use crate::tree::Files;
use crate::work::fetch::readable;
use crate::work::{Asks, Env, Error};
use crate::workspace::{RULES, Scan, Target, Workspace, in_catalogue, stack_file, stack_text};

/// A workspace as one command reads it.
pub(crate) struct Checkout<'a> {
    pub(crate) env: &'a Env<'a>,
    pub(crate) asks: Asks,
    pub(crate) workspace: Workspace,
    pub(crate) file: WorkspaceFile,
    pub(crate) committed: Committed,
    /// What is known of its files, and of inputs elsewhere.
    pub(crate) index: SourceIndex,
    /// Each with those that it extends, itself first.
    recipes: RefCell<BTreeMap<Target, (Rc<Recipe>, Chain)>>,
    /// The digests of their texts.
    texts: RefCell<BTreeMap<Target, Digest>>,
    locks: RefCell<BTreeMap<Target, Rc<OldLock>>>,
    /// What stacks give, with the digests of their texts.
    stacks: RefCell<BTreeMap<String, StackFile>>,
    scans: RefCell<BTreeMap<Files, Rc<Scan>>>,
}

/// Recipes each of which stands on, extends or takes from the next.
pub(crate) type Chain = Rc<[Target]>;

/// What a stack gives, if anything, and the digest of its text.
type StackFile = Option<(Arc<Given>, Digest)>;

/// A lock as it was found.
#[derive(Debug, Clone, Default)]
pub(crate) struct OldLock {
    pub(crate) lock: Option<Lock>,
    /// Why it doesn't hold, whatever comes out.
    pub(crate) reason: Option<Reason>,
}

impl<'a> Checkout<'a> {
    /// Finds the workspace and reads its file.
    pub(crate) fn open(env: &'a Env<'a>, asks: Asks) -> Result<Self, Error> {
        let workspace = Workspace::find(&env.dir)?;
        let workspace = match &env.lockfiles {
            Some(dir) => workspace.with_lockfiles(dir.clone()),
            None => workspace,
        };
        let file = parse_workspace(crate::workspace::FILE, workspace.text()).map_err(Error::Recipes)?;
        let index = match env.index {
            Some(_) => SourceIndex::open(&env.store, workspace.real(), RULES),
            None => SourceIndex::default(),
        };
        Ok(Self {
            env,
            asks,
            index,
            committed: Committed::new(workspace.clone(), env.lockfiles.is_some()),
            workspace,
            file,
            recipes: RefCell::default(),
            texts: RefCell::default(),
            locks: RefCell::default(),
            stacks: RefCell::default(),
            scans: RefCell::default(),
        })
    }

    /// The recipes that are meant, each with the variants that were asked for (empty: all).
    pub(crate) fn select(&self, selection: &Selection) -> Result<BTreeMap<Target, Vec<String>>, Error> {
        select::select(&self.workspace, &self.file, selection)
    }

    /// The same, but every recipe where none is named, whatever the workspace's default.
    pub(crate) fn select_or_all(
        &self,
        selection: &Selection,
    ) -> Result<BTreeMap<Target, Vec<String>>, Error> {
        let all = selection.all || selection.targets.is_empty();
        self.select(&Selection { all, targets: selection.targets.clone() })
    }

    /// The variants that are meant by those that `select` gave for a recipe.
    pub(crate) fn meant<'s>(&'s self, asked: &'s [String]) -> impl Iterator<Item = &'s String> {
        self.file.variants.iter().filter(|name| asked.is_empty() || asked.contains(name))
    }

    /// A recipe, laid on those that it extends.
    pub(crate) fn recipe(&self, target: &Target) -> Result<Rc<Recipe>, Error> {
        Ok(self.extended(target, &mut Vec::new())?.0)
    }

    fn extended(&self, target: &Target, seen: &mut Vec<Target>) -> Result<(Rc<Recipe>, Chain), Error> {
        if let Some((recipe, chain)) = self.recipes.borrow().get(target) {
            not_too_deep(seen, chain)?;
            return Ok((Rc::clone(recipe), Rc::clone(chain)));
        }
        circle(target, seen)?;
        let recipe = self.read_recipe(target)?;
        let (recipe, below) = match recipe.extends().cloned() {
            None => (recipe, None),
            Some(name) => {
                let elsewhere = catalogues::extends((self.env, &self.workspace, &self.file), target, &name)?;
                let parent = elsewhere.map_or_else(|| self.parent(target, &name), Ok)?;
                let below = self.extended(&parent, seen).map_err(|error| error.closes_circle(&name.at))?;
                (Recipe::extend((&parent.to_string(), &below.0), recipe), Some(below.1))
            }
        };
        seen.pop();
        let chain = chain(target, below);
        let recipe = recipe.within(self.given(&chain)?);
        let known = (Rc::new(recipe), chain);
        self.recipes.borrow_mut().insert(target.clone(), known.clone());
        Ok(known)
    }

    /// The digests of the texts that a recipe is written in: its own, and those of all that it extends.
    pub(crate) fn texts(&self, target: &Target) -> Option<BTreeMap<Target, Digest>> {
        let recipes = self.recipes.borrow();
        let (_, chain) = recipes.get(target)?;
        let texts = self.texts.borrow();
        chain.iter().map(|target| Some((target.clone(), *texts.get(target)?))).collect()
    }

    /// What a recipe's own file says.
    pub(crate) fn text(&self, target: &Target) -> Result<String, Error> {
        if let (Some(catalogue), _) = target.catalogue() {
            catalogues::open((self.env, &self.workspace, &self.file), catalogue)?;
        }
        Ok(self.workspace.recipe_text(target)?)
    }

    /// What the stacks of a chain give, and the workspace: the nearest last.
    fn given(&self, chain: &[Target]) -> Result<Vec<Arc<Given>>, Error> {
        let mut all = vec![Arc::clone(&self.file.given)];
        for (number, Target { stack, .. }) in chain.iter().enumerate().rev() {
            // Once, where it is nearest.
            if !chain[..number].iter().any(|nearer| nearer.stack == *stack) {
                all.extend(self.stack(stack)?.map(|(given, _)| given));
            }
        }
        Ok(all)
    }

    fn stack(&self, stack: &str) -> Result<StackFile, Error> {
        if let Some(known) = self.stacks.borrow().get(stack) {
            return Ok(known.clone());
        }
        let read = |text: String| -> Result<_, Error> {
            // As for recipes: another workspace may have other variants.
            let variants = if in_catalogue(stack).0.is_some() { &[][..] } else { &self.file.variants };
            let given = parse_stack(&stack_file(stack), &text, variants).map_err(Error::Recipes)?;
            Ok((Arc::new(given), Digest::of(text.as_bytes())))
        };
        let read = stack_text(&self.workspace, stack)?.map(read).transpose()?;
        self.stacks.borrow_mut().insert(stack.to_owned(), read.clone());
        Ok(read)
    }

    /// The digests of what the stacks of a recipe, and of all that it extends, say; none of a stack that says nothing.
    pub(crate) fn stack_texts(&self, target: &Target) -> Option<BTreeMap<String, Option<Digest>>> {
        let chain = Rc::clone(&self.recipes.borrow().get(target)?.1);
        let text = |Target { stack, .. }: &Target| {
            Some((stack.clone(), self.stack(stack).ok()?.map(|(_, text)| text)))
        };
        chain.iter().map(text).collect()
    }

    /// Every variant of a recipe.
    pub(crate) fn variants(&self, target: &Target) -> Result<Vec<Evaluated>, Error> {
        self.file.variants.iter().map(|name| self.variant(target, name)).collect()
    }

    fn read_recipe(&self, target: &Target) -> Result<Recipe, Error> {
        let path = format!("{}/recipe.toml", target.origin());
        let text = self.text(target)?;
        self.texts.borrow_mut().insert(target.clone(), Digest::of(text.as_bytes()));
        let recipe = recipe::parse(&path, &text).map_err(Error::Recipes)?;
        // Another workspace may have others; those that this one doesn't have are never asked for.
        let is_own = target.catalogue().0.is_none();
        let errors = if is_own { recipe.check_variants(&self.file.variants) } else { Vec::new() };
        if errors.is_empty() { Ok(recipe) } else { Err(Error::Recipes(errors)) }
    }

    /// The recipe that another one names as what it stands on, extends or takes from.
    pub(crate) fn parent(&self, child: &Target, name: &Spanned<String>) -> Result<Target, Error> {
        let known = self.workspace.recipes()?;
        let found: Option<Target> = name.value.parse().ok().filter(|target| known.contains(target));
        found.ok_or_else(|| {
            // What another workspace's recipe stands on has a lock, and that is this one's.
            match in_catalogue(&name.at.file).0 {
                Some(catalogue) => Error::NotHere {
                    recipe: child.to_string(),
                    name: name.value.clone(),
                    catalogue: catalogue.to_owned(),
                },
                None => catalogues::no_parent(child, name, name, &known),
            }
        })
    }

    /// A variant of a recipe, by the encoding of its lock.
    pub(crate) fn variant(&self, target: &Target, name: &str) -> Result<Evaluated, Error> {
        self.recipe(target)?.variant(self.encoding(target), name).map_err(Error::Recipes)
    }

    /// The encoding that a recipe's lock names. A new lock gets the newest; one that can't be read is reported by
    /// whoever needs it.
    pub(crate) fn encoding(&self, target: &Target) -> Encoding {
        let old = self.lock(target).ok();
        old.and_then(|old| Some(old.lock.as_ref()?.encoding)).unwrap_or(Encoding::NEWEST)
    }

    /// A recipe's lock, conflicts merged as far as they can be.
    pub(crate) fn lock(&self, target: &Target) -> Result<Rc<OldLock>, Error> {
        if let Some(known) = self.locks.borrow().get(target) {
            return Ok(Rc::clone(known));
        }
        let read = Rc::new(self.read_lock(target)?);
        self.locks.borrow_mut().insert(target.clone(), Rc::clone(&read));
        Ok(read)
    }

    fn read_lock(&self, target: &Target) -> Result<OldLock, Error> {
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
    pub(crate) fn source(&self, files: &Files) -> Result<Rc<Scan>, Error> {
        if let Some(scan) = self.scans.borrow().get(files) {
            return Ok(Rc::clone(scan));
        }
        let scan = Rc::new(self.workspace.read_source(files, &self.index)?);
        self.scans.borrow_mut().insert(files.clone(), Rc::clone(&scan));
        Ok(scan)
    }

    /// The same of an entry: the error names the place where that stands.
    pub(crate) fn source_at(&self, files: &Files, at: &recipe::At) -> Result<Rc<Scan>, Error> {
        self.source(files).map_err(|error| match error {
            Error::Workspace(source) => Error::Source { at: at.clone(), source },
            other => other,
        })
    }

    /// What a recipe or lock names of the disk, if it lies in the workspace, or where the site lets recipes read.
    pub(crate) fn readable(&self, path: PathBuf) -> Result<PathBuf, Error> {
        readable(self.env, &self.workspace, path)
    }

    /// The scope of everything that doesn't depend on base and platform.
    pub(crate) fn scope(&self, target: &Target) -> Scope {
        Scope {
            stack: target.catalogue().1.to_owned(),
            name: target.name.clone(),
            set: self.asks.set.clone(),
            ..Scope::default()
        }
    }

    /// The scope of what doesn't depend on the base.
    pub(crate) fn scope_on(&self, target: &Target, platform: &Platform) -> Scope {
        let (os, arch, variant) = platform.key();
        Scope {
            os: os.to_owned(),
            arch: arch.to_owned(),
            arch_variant: variant.to_owned(),
            ..self.scope(target)
        }
    }

    /// The platforms that a variant is built for.
    pub(crate) fn platforms(&self, recipe: &Evaluated) -> Result<Vec<Platform>, Error> {
        Ok(recipe.platforms(&self.file.platforms)?)
    }

    /// The patterns of a variant's `[[remove]]`. They can't be known with `base.env` in them before the base is: those
    /// are matched when the base is.
    pub(crate) fn patterns(
        &self,
        target: &Target,
        recipe: &Evaluated,
        platform: &Platform,
    ) -> Result<Vec<String>, Error> {
        recipe.remove_patterns(&self.scope_on(target, platform)).map_err(Error::Recipes)
    }
}

/// A lock's place, for messages.
pub(crate) fn lock_file(target: &Target) -> String {
    format!("lockfiles/{target}.lock")
}

/// Recipes that stand on, extend or take from each other: so many in a chain. Each is held while those below it are computed.
const MAX_DEPTH: usize = 32;

/// Refuses a recipe that is being looked at already, and one too many.
pub(crate) fn circle(target: &Target, seen: &mut Vec<Target>) -> Result<(), Error> {
    if let Some(first) = seen.iter().position(|known| known == target) {
        let round = seen[first..].iter().chain([target]);
        return Err(Error::Circle { names: round.map(ToString::to_string).collect() });
    }
    not_too_deep(seen, std::slice::from_ref(target))?;
    seen.push(target.clone());
    Ok(())
}

/// Refuses one too many, whichever of them are known already.
pub(crate) fn not_too_deep(seen: &[Target], below: &[Target]) -> Result<(), Error> {
    if seen.len() + below.len() <= MAX_DEPTH {
        return Ok(());
    }
    let names = seen.iter().chain(below).map(ToString::to_string).collect();
    Err(Error::TooDeep { limit: MAX_DEPTH, names })
}

/// A recipe and the longest chain that it begins.
pub(crate) fn chain(target: &Target, below: impl IntoIterator<Item = Chain>) -> Chain {
    let below = below.into_iter().max_by_key(|chain| chain.len());
    std::iter::once(target).chain(below.iter().flat_map(|chain| chain.iter())).cloned().collect()
}
