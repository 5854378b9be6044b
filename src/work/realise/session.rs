//! Recipes computed, each once, those below first.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::computed::{Computed, Image, Made};
use super::draft::{self, Draft, Work};
use super::gather::gather;
use super::ground::ground;
use super::lacking::told;
use super::open::lacking;
use super::{image, index, plan, record};
use crate::digest::Digest;
use crate::recipe::{self, Resolved};
use crate::store::Store;
use crate::work::bytes::Supply;
use crate::work::checkout::{Checkout, chain, circle, not_too_deep};
use crate::work::sources::Sources;
use crate::work::upstream::Upstream;
use crate::work::{Asks, Env, Error};
use crate::workspace::Target;

/// A command that makes images.
pub(crate) struct Session<'a> {
    pub(crate) sources: Sources<'a>,
    computed: RefCell<BTreeMap<Target, Rc<Computed>>>,
    /// By their derivations.
    layers: RefCell<BTreeMap<Digest, Made>>,
}

impl<'a> Session<'a> {
    /// Finds the workspace.
    pub(crate) fn open(env: &'a Env<'a>, asks: Asks) -> Result<Self, Error> {
        Ok(Self::new(Supply::open(env, asks)?))
    }

    /// The same with another store, where everything is made anew.
    pub(crate) fn open_in(env: &'a Env<'a>, asks: Asks, store: Store) -> Result<Self, Error> {
        Ok(Self::new(Supply::open_in(env, asks, store)?))
    }

    fn new(supply: Supply<'a>) -> Self {
        let sources = Sources::new(Upstream::new(supply));
        Self { sources, computed: RefCell::default(), layers: RefCell::default() }
    }

    /// Recipes and locks.
    pub(crate) fn checkout(&self) -> &Checkout<'a> {
        self.sources.checkout()
    }

    /// The store and the places that may be asked.
    pub(crate) fn supply(&self) -> &Supply<'a> {
        self.sources.supply()
    }

    /// Brings what was made to the disk.
    pub(crate) fn commit(&mut self) -> Result<Store, Error> {
        self.sources.commit()
    }

    /// Everything that was computed, by its recipe.
    pub(crate) fn all(&self) -> Vec<Rc<Computed>> {
        self.computed.borrow().values().cloned().collect()
    }

    /// Computes recipes; of locks that don't hold, all are reported together.
    pub(crate) fn compute_all<'t>(
        &self,
        targets: impl Iterator<Item = &'t Target>,
    ) -> Result<Vec<Rc<Computed>>, Error> {
        let (mut all, mut unlocked) = (Vec::new(), Vec::new());
        for target in targets {
            match self.compute(target) {
                Ok(computed) => all.push(computed),
                Err(Error::Locked(recipes)) => {
                    for recipe in recipes {
                        if !unlocked.contains(&recipe) {
                            unlocked.push(recipe);
                        }
                    }
                }
                Err(error) => return Err(error),
            }
        }
        if unlocked.is_empty() { Ok(all) } else { Err(Error::Locked(unlocked)) }
    }

    /// The same of recipes whose images are wanted. Those that lack an open input are left out, unless they are `named`, or
    /// nothing else is left and there are no `others`.
    pub(crate) fn images<'t>(
        &self,
        targets: impl Iterator<Item = &'t Target>,
        named: impl Fn(&Target) -> bool,
        others: bool,
    ) -> Result<Vec<Rc<Computed>>, Error> {
        let mut all = self.compute_all(targets)?;
        let wanting = all.iter().filter(|computed| !computed.lacks.is_empty());
        let alone = !others && wanting.clone().count() == all.len();
        let refused = wanting.clone().find(|computed| alone || named(&computed.target));
        if let Some(lacking) = refused.and_then(|computed| computed.lacks.first()) {
            return Err(lacking.refused());
        }
        all.retain(|computed| computed.lacks.is_empty());
        Ok(all)
    }

    /// Computes one recipe whose images are wanted.
    pub(crate) fn image(&self, target: &Target) -> Result<Rc<Computed>, Error> {
        let computed = self.compute(target)?;
        match computed.lacks.first() {
            Some(lacking) => Err(lacking.refused()),
            None => Ok(computed),
        }
    }

    /// Computes a recipe, and those that it stands on or takes from before it.
    pub(crate) fn compute(&self, target: &Target) -> Result<Rc<Computed>, Error> {
        self.compute_within(target, &mut Vec::new())
    }

    fn compute_within(&self, target: &Target, seen: &mut Vec<Target>) -> Result<Rc<Computed>, Error> {
        if let Some(done) = self.computed.borrow().get(target) {
            not_too_deep(seen, &done.chain)?;
            return Ok(Rc::clone(done));
        }
        circle(target, seen)?;
        let (checkout, env) = (self.checkout(), self.checkout().env);
        let found = checkout.lock(target)?;
        if let (true, Some(reason)) = (env.locked, &found.reason) {
            return Err(Error::locked(target, vec![reason.clone()]));
        }
        let drafts = draft::read(checkout, target)?;
        let mut others = BTreeMap::new();
        for (other, at) in draft::below(checkout, target, &drafts)? {
            let computed = self.compute_within(&other, seen).map_err(|error| error.closes_circle(&at))?;
            others.insert(other, computed);
        }
        let work = Work {
            sources: &self.sources,
            target,
            encoding: checkout.encoding(target),
            old: found.lock.as_ref(),
            others: &others,
            layers: &self.layers,
        };
        let mut computed = run(&work, drafts)?;
        seen.pop();
        computed.reasons = record::reasons(checkout, &found, &computed.lock, &computed.blobs);
        computed.chain = chain(target, others.values().map(|other| Rc::clone(&other.chain)));
        computed.found = found;
        record::check_line_endings(checkout, &computed)?;
        if env.locked && !checkout.asks.set.is_empty() {
            return Err(Error::SetLocked);
        }
        if env.locked && !computed.reasons.is_empty() {
            return Err(Error::locked(target, computed.reasons));
        }
        let computed = Rc::new(computed);
        self.computed.borrow_mut().insert(target.clone(), Rc::clone(&computed));
        Ok(computed)
    }
}

/// Pins, plans and makes one recipe.
fn run(work: &Work<'_, '_>, drafts: Vec<Draft>) -> Result<Computed, Error> {
    let levels = work.checkout().recipe(work.target)?;
    let variants = ground(work, drafts)?;
    let lacks = lacking(work, &variants)?;
    let gathered = gather(work, &variants, &lacks)?;
    let (mut lock, blobs) = record::inputs(work, &variants, &gathered)?;
    let open = record::open_inputs(work, &variants);
    let chain = chain(work.target, None);
    if !lacks.is_empty() {
        record::keep_bases(work, &variants, &mut lock);
        lock.sections = record::sections(&levels, &variants, &gathered, &[])?;
        lock.sort();
        let warnings = told(work.target, &lacks).into_iter().chain(gathered.warnings).collect();
        let (target, variants, reasons, found) =
            (work.target.clone(), BTreeMap::new(), Vec::new(), Rc::default());
        return Ok(Computed { target, variants, chain, found, lock, reasons, blobs, warnings, open, lacks });
    }
    let mut planned = Vec::new();
    for platform in
        recipe::distinct(work.encoding, variants.iter().flat_map(|variant| &variant.draft.platforms))
    {
        let plans = plan::plan(work, &platform, &variants, &gathered, &planned, lock.epoch)?;
        planned.push((platform.short(), plans));
    }
    lock.sections = record::sections(&levels, &variants, &gathered, &planned)?;
    let mut warnings = gathered.warnings.clone();
    let mut images: BTreeMap<&str, BTreeMap<String, Box<Image>>> = BTreeMap::new();
    let mut resolved: BTreeMap<&str, Resolved> = BTreeMap::new();
    for (platform, plans) in planned {
        for one in plans {
            let name = one.on.variant.draft.name.as_str();
            resolved.entry(name).or_insert_with(|| one.on.resolved.clone());
            let (image, warned) = image::make(work, one, &gathered)?;
            warnings.extend(warned);
            images.entry(name).or_default().insert(platform.clone(), Box::new(image));
        }
    }
    let mut made = BTreeMap::new();
    for variant in &variants {
        let name = variant.draft.name.as_str();
        let images = images.remove(name).unwrap_or_default();
        let output = index::make(work, variant, images, resolved.remove(name))?;
        if work.checkout().asks.set.is_empty() && open.is_empty() {
            lock.outputs.insert(name.to_owned(), record::output(&output));
        }
        made.insert(name.to_owned(), Box::new(output));
    }
    record::bind(work, &gathered, &made)?;
    lock.sort();
    warnings.extend(work.sources.supply().substitutes.warnings());
    warnings.sort();
    warnings.dedup();
    let (target, variants, reasons, found) = (work.target.clone(), made, Vec::new(), Rc::default());
    Ok(Computed { target, variants, chain, found, lock, reasons, blobs, warnings, open, lacks })
}
