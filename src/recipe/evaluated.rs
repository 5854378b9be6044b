//! A recipe for one variant, as a value. What it means, `meaning` asks of its encoding.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Spanned;
use super::config::Config;
use super::entry::{Action, Entry, File, Source};
use super::patch::{Base, Image, Input, Var};
use super::service::Service;
use crate::digest::Encoding;

/// A recipe for one variant: everything merged, nothing interpolated.
#[derive(Debug, Clone)]
pub struct Evaluated {
    /// What decides the meaning of the rest.
    pub(super) encoding: Encoding,
    /// The variant.
    pub variant: String,
    /// `[image]`
    pub image: Image,
    /// `[base]`; never [`Base::Extends`].
    pub base: Base,
    /// `[vars]`
    pub vars: BTreeMap<String, Spanned<Var>>,
    /// `[config]`
    pub config: Config,
    /// Entries of this variant in order, whatever their platforms.
    pub entries: Vec<Entry>,
    /// `[input.NAME]`
    pub inputs: BTreeMap<String, Spanned<Input>>,
    /// `[service]`
    pub service: Option<Service>,
    /// The texts by file, so that a mistake inside a string can be underlined.
    pub(super) texts: BTreeMap<Arc<str>, Arc<str>>,
}

impl Evaluated {
    /// Whether an input is given with each build only.
    pub fn is_open_input(&self, name: &str) -> bool {
        self.inputs.get(name).is_some_and(|input| input.value.open)
    }

    /// The open inputs that some entry takes: no lock has the outputs then.
    pub fn open_inputs(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(|entry| match &entry.action {
            Action::File(File { source: Source::Input(name), .. }) => {
                Some(name.value.as_str()).filter(|name| self.is_open_input(name))
            }
            _ => None,
        })
    }
}
