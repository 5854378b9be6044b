//! Encoding 1: what a recipe's entries are read against.

use crate::layer::facts::Facts;
use crate::plan::Fault;
use crate::plan::view::View;
use crate::tree::{Content, Sources, TreePath};

/// Fills in a template between its delimiters.
type Render<'a> = &'a dyn Fn(&[u8], (&str, &str)) -> Result<Vec<u8>, Fault>;

/// What entries are read against.
pub(crate) struct Context<'a> {
    /// The image below, nothing removed.
    pub(crate) below: &'a View<'a>,
    /// Users and groups.
    pub(crate) facts: &'a Facts,
    /// Those of the external base alone, for messages.
    pub(crate) base_facts: &'a Facts,
    pub(crate) sources: &'a Sources,
    /// What stands directly below, as sources in it are named.
    pub(crate) base: &'a str,
    /// The bytes of a source, for templates.
    pub(crate) read: &'a (dyn Fn(&Content) -> Result<Vec<u8>, Fault> + Sync),
    /// Fills in a template.
    pub(crate) render: Render<'a>,
    /// What a `[[remove]]` pattern matched in the external base.
    pub(crate) removed: &'a dyn Fn(&str) -> Option<Vec<TreePath>>,
    pub(crate) epoch: i64,
}
