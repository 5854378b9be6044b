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
    let names = names(variants);
    let (ranks, alone) = ranks(variants, &names);
    let layer = |rank: usize| Some((*names.get(rank.checked_sub(alone)?)?).to_owned());
    let last = alone + names.len() + 1;
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

/// Equal units of all variants, as one.
struct Distinct<'a> {
    /// Each of them, in order of first use.
    units: Vec<&'a Unit>,
    /// Which of them a variant's units are.
    of: Vec<Vec<usize>>,
    /// The variants that have it.
    variants: Vec<BTreeSet<usize>>,
}

impl<'a> Distinct<'a> {
    fn of(variants: &[Stand<'a>]) -> Self {
        let mut distinct = Self { units: Vec::new(), of: Vec::new(), variants: Vec::new() };
        // No two entries write the same path, so few are compared.
        let mut alike: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        for (number, variant) in variants.iter().enumerate() {
            let mut of = Vec::with_capacity(variant.units.len());
            for unit in variant.units {
                let Unit { nodes, directories, removes, .. } = unit;
                let first = (nodes.keys().next(), directories.keys().next(), removes.keys().next());
                let alike = alike.entry(first).or_default();
                let known = alike.iter().copied().find(|index| distinct.units[*index] == unit);
                let index = known.unwrap_or(distinct.units.len());
                if known.is_none() {
                    alike.push(index);
                    distinct.units.push(unit);
                    distinct.variants.push(BTreeSet::new());
                }
                distinct.variants[index].insert(number);
                of.push(index);
            }
            distinct.of.push(of);
        }
        distinct
    }
}

/// The named layers in order of first use.
fn names<'a>(variants: &[Stand<'a>]) -> Vec<&'a str> {
    let mut seen = BTreeSet::new();
    let names = variants.iter().flat_map(|variant| variant.units).filter_map(|unit| unit.layer.as_deref());
    names.filter(|name| seen.insert(*name)).collect()
}

/// The layer's number of each variant's units: those that stand alone first (one that several variants have, once), then
/// named ones, the common, the variant's own; and how many stand alone.
///
/// An entry at or below a path that is taken away must not lie in a lower layer than the whiteout, which would
/// hide it. It moves up in every variant, so that the layers below stay shared.
fn ranks(variants: &[Stand<'_>], names: &[&str]) -> (Vec<Vec<usize>>, usize) {
    let distinct = Distinct::of(variants);
    let stands_alone = |unit: &Unit| unit.alone && unit.layer.is_none();
    let alone = distinct.units.iter().filter(|unit| stands_alone(unit)).count();
    let common = alone + names.len();
    let own = common + 1;
    let named: BTreeMap<&str, usize> = names.iter().copied().zip(alone..).collect();
    let mut next_alone = 0..;
    let first = |(unit, holders): (&&Unit, &BTreeSet<usize>)| match &unit.layer {
        Some(name) => named.get(&**name).copied().unwrap_or(common),
        None if unit.alone => next_alone.next().unwrap_or(common),
        None if holders.len() == variants.len() => common,
        None => own,
    };
    let mut ranks: Vec<usize> = distinct.units.iter().zip(&distinct.variants).map(first).collect();
    loop {
        let mut moves: Vec<(usize, usize)> = Vec::new();
        for of in &distinct.of {
            // The highest layer in which each path is taken away.
            let mut gone: BTreeMap<TreePath, usize> = BTreeMap::new();
            for &index in of {
                for path in distinct.units[index].removes.keys() {
                    let rank = gone.entry(path.clone()).or_default();
                    *rank = (*rank).max(ranks[index]);
                }
            }
            if gone.is_empty() {
                continue;
            }
            for &index in of {
                let needed = distinct.units[index].highest(&gone);
                moves.extend(needed.filter(|needed| *needed > ranks[index]).map(|needed| (index, needed)));
            }
        }
        if moves.is_empty() {
            let of = distinct.of.iter();
            return (of.map(|of| of.iter().map(|index| ranks[*index]).collect()).collect(), alone);
        }
        for (index, needed) in moves {
            ranks[index] = ranks[index].max(needed);
        }
    }
}

impl Unit {
    /// The highest of the numbers of paths at or above something that this unit puts there.
    fn highest(&self, gone: &BTreeMap<TreePath, usize>) -> Option<usize> {
        let highest = |path: &TreePath| path.above(gone).map(|(_, rank)| rank).chain(gone.get(path)).max();
        self.nodes.keys().chain(self.directories.keys()).filter_map(highest).max().copied()
    }
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
        if removes.values().any(|(at, _)| *at == rank) {
            let gone = |path: &TreePath| {
                let mut here = path.above(removes).map(|(_, gone)| gone).chain(removes.get(path));
                here.any(|(at, _)| *at == rank)
            };
            self.directories.retain(|path, _| !gone(path));
        }
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
        let written = tree.iter().map(|(path, _)| path).chain(gone.iter().map(|(path, _)| path));
        let mut above: BTreeSet<TreePath> = BTreeSet::new();
        for path in written {
            // Of one that was met all those above were.
            for directory in path.ancestors() {
                if !above.insert(directory) {
                    break;
                }
            }
        }
        for path in above {
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
        path.above(&self.removes).any(|(_, (at, _))| *at <= rank)
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
