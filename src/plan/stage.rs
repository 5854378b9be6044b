//! What a variant is planned against: plain values and the readers that whoever plans brings.

use std::collections::BTreeMap;

use super::Fault;
use crate::layer::facts::Facts;
use crate::recipe::Resolved;
use crate::tree::{Content, FileTree, Sources, TreePath};

/// One variant of a recipe on one platform, and everything that it is planned against.
#[derive(Clone, Copy)]
pub struct Stage<'a> {
    /// The recipe.
    pub recipe: &'a Resolved,
    /// What the external base holds, with the users of the recipes between.
    pub facts: &'a Facts,
    /// The same without those users.
    pub base_facts: &'a Facts,
    /// The layers of the recipes between the base and this one, lowest first.
    pub parents: &'a [&'a FileTree],
    /// How many layers stand below in all.
    pub layers_below: usize,
    /// What each `[[remove]]` pattern matched in the external base.
    pub removed: &'a BTreeMap<String, Vec<TreePath>>,
    /// The checkout.
    pub sources: &'a Sources,
    /// What stands directly below, as sources in it are named.
    pub base: &'a str,
    /// The bytes of a source, for templates.
    pub read: &'a (dyn Fn(&Content) -> Result<Vec<u8>, Fault> + Sync),
    /// The lock's: the time of everything that has no other, in seconds since 1970.
    pub epoch: i64,
}
