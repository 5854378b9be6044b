//! Encoding 1: which entry lies in which layer, and what each layer holds.
//!
//! Owns the split of a recipe's units over layers (named, common, the variant's own), whiteouts, and the
//! directories above every entry. Paths are resolved already. The result is hashed, so this file is never
//! edited once encoding 1 is frozen, only added beside.

use std::collections::{BTreeMap, BTreeSet};

use super::view::{Found, View};
use crate::tree::{Attributes, FileTree, Kind, Node, TreePath};

/// What one entry of a recipe puts into the image: the piece that is moved between layers as a whole.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Unit {
    /// The layer that the entry asks for.
    pub(crate) layer: Option<String>,
    /// It has a layer of its own, unless it asks for another one.
    pub(crate) alone: bool,
    /// Files and links.
    pub(crate) nodes: BTreeMap<TreePath, Node>,
    /// Directories that the entry makes or sets.
    pub(crate) directories: BTreeMap<TreePath, Claim>,
    /// What it takes away of the layers below, topmost paths only, with what stood there.
    pub(crate) removes: BTreeMap<TreePath, Removed>,
}

/// A directory's attributes, and how much an entry insists on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) attributes: Attributes,
    /// From a `[[dir]]`, which beats what other entries' trees would make of it.
    pub(crate) explicit: bool,
    /// Seconds since 1970.
    pub(crate) mtime: i64,
}

/// What a removed path was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Removed {
    Directory,
    Other,
}

/// One layer to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedLayer {
    /// The name that a recipe gave it.
    pub name: Option<String>,
    /// Its entries.
    pub tree: FileTree,
}

/// One variant's part of the question.
pub(crate) struct Stand<'a> {
    /// What stands below, nothing removed yet.
    pub(crate) below: &'a View<'a>,
    pub(crate) units: &'a [Unit],
}

/// Every variant's layers, lowest first, empty ones left out.
pub(crate) fn split(variants: &[Stand<'_>], epochs: &[i64]) -> Vec<Vec<PlannedLayer>> {
    let alone = alone(variants);
    let names = names(variants);
    let ranks = ranks(variants, &alone, &names);
    let layer = |rank: usize| Some((*names.get(rank.checked_sub(alone.len())?)?).to_owned());
    let last = alone.len() + names.len() + 1;
    variants
        .iter()
        .zip(ranks)
        .zip(epochs)
        .map(|((variant, ranks), &epoch)| {
            let mut made = Made::new(variant, &ranks);
            (0..=last)
                .map(|rank| PlannedLayer { name: layer(rank), tree: made.layer(rank, epoch) })
                .filter(|layer| !layer.tree.is_empty())
                .collect()
        })
        .collect()
}

/// The entries that have a layer of their own, in order; one that several variants have, once.
fn alone<'a>(variants: &[Stand<'a>]) -> Vec<&'a Unit> {
    let mut alone: Vec<&Unit> = Vec::new();
    for unit in variants.iter().flat_map(|variant| variant.units) {
        if unit.alone && unit.layer.is_none() && !alone.contains(&unit) {
            alone.push(unit);
        }
    }
    alone
}

/// The named layers in order of first use.
fn names<'a>(variants: &[Stand<'a>]) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for name in variants.iter().flat_map(|variant| variant.units).filter_map(|unit| unit.layer.as_deref()) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The layer's number of each variant's units: those that stand alone first, then named ones, the common, the variant's own.
///
/// An entry at or below a path that is taken away must not lie in a lower layer than the whiteout, which would
/// hide it. It moves up in every variant, so that the layers below stay shared.
fn ranks(variants: &[Stand<'_>], alone: &[&Unit], names: &[&str]) -> Vec<Vec<usize>> {
    let common = alone.len() + names.len();
    let own = common + 1;
    let everywhere = |unit: &Unit| variants.iter().all(|variant| variant.units.contains(unit));
    let first = |unit: &Unit| match &unit.layer {
        Some(name) => names.iter().position(|known| known == name).map_or(common, |at| alone.len() + at),
        None if unit.alone => alone.iter().position(|known| *known == unit).unwrap_or(common),
        None if variants.len() > 1 && everywhere(unit) => common,
        None if variants.len() == 1 => common,
        None => own,
    };
    let mut ranks: Vec<Vec<usize>> =
        variants.iter().map(|variant| variant.units.iter().map(first).collect()).collect();
    loop {
        let mut moves: Vec<(Unit, usize)> = Vec::new();
        for (variant, ranks) in variants.iter().zip(&ranks) {
            for (unit, &rank) in variant.units.iter().zip(ranks) {
                let needed = variant
                    .units
                    .iter()
                    .zip(ranks)
                    .filter(|(other, other_rank)| **other_rank > rank && other.hides(unit))
                    .map(|(_, other_rank)| *other_rank)
                    .max();
                if let Some(needed) = needed {
                    moves.push((unit.clone(), needed));
                }
            }
        }
        if moves.is_empty() {
            return ranks;
        }
        for (variant, ranks) in variants.iter().zip(&mut ranks) {
            for (unit, rank) in variant.units.iter().zip(ranks) {
                for (_, needed) in moves.iter().filter(|(moved, _)| moved == unit) {
                    *rank = (*rank).max(*needed);
                }
            }
        }
    }
}

impl Unit {
    /// Whether this unit takes away a path at or above something that `other` puts there.
    fn hides(&self, other: &Self) -> bool {
        let held =
            |gone| holds_at_or_below(&other.nodes, gone) || holds_at_or_below(&other.directories, gone);
        self.removes.keys().any(held)
    }
}

/// Whether a map has `path` or something below it; a look-up, since trees of 100,000 files meet globs.
fn holds_at_or_below<T>(map: &BTreeMap<TreePath, T>, path: &TreePath) -> bool {
    // No name holds a NUL, so this is where the names below begin.
    let below = map.range(path.join(b"\0")..).next();
    map.contains_key(path) || below.is_some_and(|(found, _)| found.starts_with(path))
}

/// One variant's image while its layers are laid one on the other.
struct Made<'a> {
    below: &'a View<'a>,
    units: Vec<(usize, &'a Unit)>,
    /// Every path that is taken away, and in which layer.
    removes: BTreeMap<TreePath, (usize, Removed)>,
    /// Directories that a layer so far has emitted.
    directories: BTreeMap<TreePath, (Attributes, i64)>,
    /// Those that a `[[dir]]` has set for good.
    explicit: BTreeSet<TreePath>,
}

impl<'a> Made<'a> {
    fn new(variant: &Stand<'a>, ranks: &[usize]) -> Self {
        let units: Vec<(usize, &Unit)> = ranks.iter().copied().zip(variant.units).collect();
        let mut removes: BTreeMap<TreePath, (usize, Removed)> = BTreeMap::new();
        for (rank, unit) in &units {
            for (path, removed) in &unit.removes {
                let entry = removes.entry(path.clone()).or_insert((*rank, *removed));
                entry.0 = entry.0.min(*rank);
            }
        }
        Self { below: variant.below, units, removes, directories: BTreeMap::new(), explicit: BTreeSet::new() }
    }

    fn layer(&mut self, rank: usize, epoch: i64) -> FileTree {
        let mut tree = FileTree::new();
        // What a lower layer said of a directory ends where this one takes it away.
        let removes = &self.removes;
        let gone = |path: &TreePath| removes.get(path).is_some_and(|(at, _)| *at == rank);
        self.directories.retain(|path, _| !gone(path) && !path.ancestors().any(|above| gone(&above)));
        let units: Vec<&Unit> =
            self.units.iter().filter(|(at, _)| *at == rank).map(|(_, unit)| *unit).collect();
        for (path, claim) in units.iter().flat_map(|unit| &unit.directories) {
            self.claim(path, claim);
            self.emit_directory(&mut tree, path, rank, epoch);
        }
        for (path, node) in units.iter().flat_map(|unit| &unit.nodes) {
            tree.insert(path.clone(), node.clone());
        }
        let gone: Vec<(TreePath, Removed)> = self
            .removes
            .iter()
            .filter(|(path, (at, _))| *at == rank && !self.is_below_another(path, rank))
            .map(|(path, (_, removed))| (path.clone(), *removed))
            .collect();
        let written: Vec<TreePath> = tree
            .iter()
            .map(|(path, _)| path.clone())
            .chain(gone.iter().map(|(path, _)| path.clone()))
            .collect();
        for path in written.iter().flat_map(TreePath::ancestors) {
            if tree.get(&path).is_none() {
                self.emit_directory(&mut tree, &path, rank, epoch);
            }
        }
        for (path, removed) in gone {
            self.take_away(&mut tree, &path, removed, epoch);
        }
        tree
    }

    /// A `[[dir]]` counts from its layer on; what a tree would make of a directory counts where nothing else does.
    fn claim(&mut self, path: &TreePath, claim: &Claim) {
        if claim.explicit {
            self.explicit.insert(path.clone());
        } else if self.explicit.contains(path) {
            return;
        }
        self.directories.insert(path.clone(), (claim.attributes.clone(), claim.mtime));
    }

    fn emit_directory(&mut self, tree: &mut FileTree, path: &TreePath, rank: usize, epoch: i64) {
        let rank_of_tree = self.directories.get(path).cloned();
        let (attributes, mtime) = rank_of_tree.unwrap_or_else(|| {
            let attributes = match self.below.lookup(path) {
                Found::Directory(attributes) if !self.is_removed(path, rank) => attributes,
                _ => Attributes::new(0o755),
            };
            (attributes, epoch)
        });
        self.directories.insert(path.clone(), (attributes.clone(), mtime));
        tree.insert(path.clone(), Node { kind: Kind::Directory { opaque: false }, attributes, mtime });
    }

    /// Whether the directory at `path` is made anew from the layer `rank` on. In lower layers it is still the one
    /// below: a whiteout inside it may lie there, for variants that take away less.
    fn is_removed(&self, path: &TreePath, rank: usize) -> bool {
        let gone = |path: &TreePath| self.removes.get(path).is_some_and(|(at, _)| *at <= rank);
        gone(path) || self.is_below_another(path, rank)
    }

    /// Whether a whiteout above `path`, in this layer or a lower one, takes it away anyhow.
    fn is_below_another(&self, path: &TreePath, rank: usize) -> bool {
        path.ancestors().any(|above| self.removes.get(&above).is_some_and(|(at, _)| *at <= rank))
    }

    /// One name removed is a whiteout; a new entry of that name replaces it alone, and only a directory over a
    /// directory has to say that nothing shines through.
    fn take_away(&self, tree: &mut FileTree, path: &TreePath, removed: Removed, epoch: i64) {
        let node = match tree.get(path) {
            None => Node { kind: Kind::Whiteout, attributes: Attributes::new(0o644), mtime: epoch },
            Some(node) => match (&node.kind, removed) {
                (Kind::Directory { .. }, Removed::Directory) => {
                    Node { kind: Kind::Directory { opaque: true }, ..node.clone() }
                }
                _ => return,
            },
        };
        tree.insert(path.clone(), node);
    }
}
