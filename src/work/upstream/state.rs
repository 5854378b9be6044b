//! What a command remembers of bases and images: each is asked and read once.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::below::External;
use crate::digest::{Digest, Encoding};
use crate::layer::captured::Captured;
use crate::layer::facts::Facts;
use crate::layer::merged::Merged;
use crate::layer::names::Names;
use crate::lock::{BaseOrigin, BasePin};
use crate::oci::{Descriptor, Platform};
use crate::tree::TreePath;
use crate::work::bytes::Supply;
use crate::work::checkout::Checkout;

/// A supply of bytes, and what was made of them.
pub(crate) struct Upstream<'a> {
    pub(crate) supply: Supply<'a>,
    pub(super) resolved: RefCell<BTreeMap<BaseOrigin, Descriptor>>,
    pub(super) externals: RefCell<BTreeMap<BaseOrigin, Answers>>,
    /// By the digests of manifests.
    pub(super) views: RefCell<BTreeMap<Digest, View>>,
    pub(super) facts: RefCell<BTreeMap<Digest, Rc<Facts>>>,
    /// What guards asked of a base's layers: variants, platforms and neighbours ask the same.
    pub(super) base_files: RefCell<BTreeMap<BasePath, Option<bool>>>,
    pub(super) names: RefCell<BTreeMap<Digest, Option<Rc<Names>>>>,
}

/// The layers of a base, and a path in it.
pub(super) type BasePath = (Rc<[Digest]>, TreePath);

/// The merged headers of an image, and what was captured of each of its layers.
pub(crate) type View = (Rc<Merged>, Rc<Vec<Captured>>);

/// What was answered of a base: whoever asks the same gets the same.
pub(super) type Answers = Vec<(Asked, Rc<External>)>;

/// What was asked of a base.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) platforms: Vec<Platform>,
    pub(super) encoding: Encoding,
    pub(super) removes: BTreeMap<String, Vec<String>>,
    pub(super) lenient: bool,
    pub(super) pin: Option<BasePin>,
}

impl<'a> Upstream<'a> {
    /// Asks nobody yet.
    pub(crate) fn new(supply: Supply<'a>) -> Self {
        Self {
            supply,
            resolved: RefCell::default(),
            externals: RefCell::default(),
            views: RefCell::default(),
            facts: RefCell::default(),
            base_files: RefCell::default(),
            names: RefCell::default(),
        }
    }

    /// Recipes, locks and their files.
    pub(crate) fn checkout(&self) -> &Checkout<'a> {
        &self.supply.checkout
    }
}
