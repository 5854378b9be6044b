//! One level of a recipe: the common tables or a variant's, and those of a recipe that it extends.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use crate::digest::Digest;

use super::check::{self, Checker, ensure, invalid};
use super::config::{Config, absolute, range};
use super::entry::Entry;
use super::loose::Loose;
use super::read_entry::relative;
use super::service::Service;
use super::span::S;
use super::{At, ErrorKind, Spanned, What, raw};

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
    /// A layout; see [`layout_place`].
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

/// `path`, `path:tag` or `path@sha256:…`: the normalised path, relative to the workspace, and what is meant in it.
///
/// # Errors
/// When it is none of these, or the path climbs out of the workspace.
pub fn layout_place(text: &str) -> Result<(String, Option<Selector>), ErrorKind> {
    let fail = || invalid(What::Layout, text);
    let (path, selector) = if let Some((path, digest)) = text.split_once('@') {
        (path, Some(Selector::Digest(digest.parse().map_err(|_| fail())?)))
    } else if let Some((path, tag)) = text.split_once(':') {
        check::tag(tag).map_err(|_| fail())?;
        (path, Some(Selector::Tag(tag.to_owned())))
    } else {
        (text, None)
    };
    let path = super::v1::relative(path).map_err(|fault| ErrorKind::Path { path: path.to_owned(), fault })?;
    // The workspace itself is none.
    if path.is_empty() { Err(fail()) } else { Ok((path, selector)) }
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

impl Image {
    pub(super) fn read(raw: raw::Image, cx: &mut Checker) -> Self {
        let image = Self {
            title: cx.keep(raw.title),
            version: cx.keep(raw.version),
            source: cx.keep(raw.source),
            tags: cx.keep(raw.tags),
            platforms: cx.keep(raw.platforms),
            epoch: raw.epoch.and_then(|epoch| cx.time(epoch)),
            owner: cx.keep(raw.owner),
        };
        for tag in image.tags.iter().flatten() {
            cx.literal(tag, check::tag);
        }
        for platform in image.platforms.iter().flatten() {
            cx.read(platform, check::platform);
        }
        image
    }
}

impl Base {
    pub(super) fn read(raw: raw::Base, table: &Range<usize>, common: bool, cx: &mut Checker) -> Option<Self> {
        cx.only_true(&raw.scratch);
        let keys = [
            ("image", raw.image.is_some()),
            ("recipe", raw.recipe.is_some()),
            ("layout", raw.layout.is_some()),
            ("scratch", raw.scratch.is_some()),
            ("extends", raw.extends.is_some()),
        ];
        if !cx.exactly_one(&keys, "[base]", table) {
            return None;
        }
        let (extends, scratch) = (cx.keep(raw.extends), cx.keep(raw.scratch));
        let base = (cx.keep(raw.image).map(Self::Image))
            .or_else(|| cx.keep(raw.recipe).map(Self::Recipe))
            .or_else(|| cx.keep(raw.layout).map(Self::Layout))
            .or_else(|| extends.map(Self::Extends))
            .or_else(|| scratch.map(|scratch| Self::Scratch(scratch.at)))?;
        match &base {
            Self::Extends(text) if common => drop(cx.read(text, check::recipe_name)),
            Self::Extends(text) => cx.fail(text.at.range.clone(), ErrorKind::ExtendsInVariant),
            Self::Image(text) => cx.literal(text, check::reference),
            Self::Recipe(text) => cx.literal(text, check::recipe_name),
            Self::Layout(text) => cx.literal(text, layout_place),
            Self::Scratch(_) => {}
        }
        Some(base)
    }
}

impl Var {
    pub(super) fn read(name: &str, raw: S<Loose<raw::Var>>, cx: &mut Checker) -> Option<Spanned<Self>> {
        let at = cx.at(raw.range.clone());
        let named = Spanned { value: name.to_owned(), at: at.clone() };
        cx.read(&named, |name| match name {
            "platform" | "variant" | "stack" | "name" | "base" => {
                Err(ErrorKind::Reserved { name: name.to_owned() })
            }
            name => check::name(name),
        });
        let value = match raw.value {
            Loose::Table(var) => {
                if var.set != Some(true) {
                    cx.fail(
                        raw.range,
                        match var.set {
                            None => ErrorKind::MissingKey { key: "set", section: "[vars]".to_owned() },
                            Some(_) => invalid(What::True, "false"),
                        },
                    );
                    return None;
                }
                Self::Set { default: var.default.map(|default| default.value.0) }
            }
            other => match other.scalar() {
                Ok(text) => Self::Value(text),
                Err(other) => {
                    let expected = "a string, a whole number, a boolean or { set = true }".into();
                    cx.fail(raw.range, ErrorKind::Type { expected, found: other.found() });
                    return None;
                }
            },
        };
        Some(Spanned { value, at })
    }
}

impl Input {
    pub(super) fn read(
        name: &str,
        raw: raw::Input,
        table: &Range<usize>,
        cx: &mut Checker,
    ) -> Option<Spanned<Self>> {
        let at = cx.at(table.clone());
        cx.read(&Spanned { value: name.to_owned(), at: at.clone() }, check::name);
        cx.only_true(&raw.open);
        // Beside an image, a path is one in it.
        let own = raw.path.is_some() && raw.image.is_none();
        let keys = [("path", own), ("image", raw.image.is_some()), ("open", raw.open.is_some())];
        if !cx.exactly_one(&keys, &format!("[input.{name}]"), table) {
            return None;
        }
        let (path, image) = (cx.keep(raw.path), cx.keep(raw.image));
        image.iter().for_each(|image| cx.literal(image, check::reference));
        let right = |text: &str| if image.is_some() { absolute(text).map(drop) } else { relative(text) };
        path.iter().for_each(|path| cx.literal(path, right));
        let from = match (image, path) {
            (Some(reference), path) => InputSource::Image { reference, path },
            (None, Some(path)) => InputSource::Path(path),
            (None, None) => InputSource::Open,
        };
        Some(Spanned { value: Self { from, made_by: cx.keep(raw.made_by) }, at })
    }
}

/// `[[drop]]`: the path of the entry to leave out, at its table.
pub(super) fn read_drop(raw: raw::Drop, table: &Range<usize>, cx: &mut Checker) -> Option<Spanned<String>> {
    let keys = [("to", range(&raw.to).is_some()), ("path", range(&raw.path).is_some())];
    if !cx.exactly_one(&keys, "[[drop]]", table) {
        return None;
    }
    let path = cx.keep(raw.to.or(raw.path)?);
    cx.read(&path, |path| ensure(!path.is_empty(), What::Name, path));
    Some(path)
}
