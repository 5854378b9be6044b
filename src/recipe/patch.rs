//! One level of a recipe: the common tables or a variant's, and those of a recipe that it extends.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::config::Config;
use super::entry::Entry;
use super::service::Service;
use super::{At, Spanned};
use crate::digest::Digest;

/// What a level says about everything.
#[derive(Debug, Clone, Default)]
pub(super) struct Patch {
    pub(super) image: Image,
    pub(super) base: Option<Base>,
    pub(super) vars: BTreeMap<String, Spanned<Var>>,
    pub(super) config: Config,
    pub(super) service: Option<Service>,
    pub(super) inputs: BTreeMap<String, Spanned<Input>>,
    /// In the order of the file.
    pub(super) entries: Vec<Entry>,
    pub(super) drops: Vec<Spanned<String>>,
}

/// One file's part of a recipe.
#[derive(Debug, Clone)]
pub(super) struct Level {
    pub(super) file: Arc<str>,
    pub(super) text: Arc<str>,
    pub(super) common: Patch,
    pub(super) variants: BTreeMap<String, Box<Spanned<Patch>>>,
}

/// `[image]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// Annotation and label org.opencontainers.image.title.
    pub title: Option<Spanned<String>>,
    /// Annotation and label org.opencontainers.image.version.
    pub version: Option<Spanned<String>>,
    /// Annotation and label org.opencontainers.image.source.
    pub source: Option<Spanned<String>>,
    /// Tags, without a variant's suffix.
    pub tags: Option<Vec<Spanned<String>>>,
    /// Platforms to build.
    pub platforms: Option<Vec<Spanned<String>>>,
    /// Seconds since 1970.
    pub epoch: Option<i64>,
    /// The team that looks after it.
    pub owner: Option<Spanned<String>>,
}

/// `[base]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Base {
    /// Reference of an image.
    Image(Spanned<String>),
    /// `stack/name` of a recipe, in the same variant.
    Recipe(Spanned<String>),
    /// A layout; see [`layout_place`](super::layout_place).
    Layout(Spanned<String>),
    /// Nothing; where it says so.
    Scratch(At),
    /// `stack/name` of a recipe that this one is a patch on. Never in what a variant evaluates to.
    Extends(Spanned<String>),
}

impl Base {
    /// Where it was written.
    pub fn at(&self) -> &At {
        match self {
            Self::Image(text) | Self::Recipe(text) | Self::Layout(text) | Self::Extends(text) => &text.at,
            Self::Scratch(at) => at,
        }
    }
}

/// Which image of a layout is meant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Selector {
    /// The one with this `org.opencontainers.image.ref.name`.
    Tag(String),
    /// The one with this digest.
    Digest(Digest),
}

/// A variable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Var {
    /// Always this, once interpolated.
    Value(String),
    /// What `--set` gives, else the default.
    Set {
        /// The value without `--set`.
        default: Option<String>,
    },
}

/// `[input.NAME]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Where it comes from.
    pub from: InputSource,
    /// The command that makes it: told, never run.
    pub made_by: Option<Spanned<String>>,
    /// It is in no lock; a path is where it lies unless another one is given.
    pub open: bool,
}

/// Where an input comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum InputSource {
    /// Relative to the workspace.
    Path(Spanned<String>),
    /// An image.
    Image {
        /// Its reference.
        reference: Spanned<String>,
        /// What is meant of it; all, where nothing is said.
        path: Option<Spanned<String>>,
    },
    /// `build --input NAME=PATH`.
    Open,
}
