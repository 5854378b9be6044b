//! Reads `[image]`, `[base]`, `[vars]`, `[input]` and `[[drop]]`.

use std::ops::Range;

use super::check::Checker;
use super::loose::Loose;
use super::patch::{Base, Image, Input, InputSource, Var};
use super::read_config::range;
use super::span::S;
use super::words::{self, ensure, invalid};
use super::{ErrorKind, Spanned, What, raw, v1};

impl Image {
    pub(super) fn read(raw: raw::Image, cx: &mut Checker) -> Self {
        let image = Self {
            title: cx.keep(raw.title),
            version: cx.keep(raw.version),
            source: cx.keep(raw.source),
            tags: cx.keep(raw.tags),
            platforms: cx.keep(raw.platforms).map(|all| cx.platforms(all)),
            epoch: raw.epoch.and_then(|epoch| cx.time(epoch)),
            owner: cx.keep(raw.owner),
        };
        for tag in image.tags.iter().flatten() {
            cx.literal(tag, words::tag);
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
            Self::Extends(text) if common => drop(cx.read(text, words::extended)),
            Self::Extends(text) => cx.fail(text.at.range.clone(), ErrorKind::ExtendsInVariant),
            Self::Image(text) => cx.literal(text, words::reference),
            Self::Recipe(text) => cx.literal(text, words::recipe_name),
            Self::Layout(text) => cx.literal(text, v1::layout_place),
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
            name => words::name(name),
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
        cx.read(&Spanned { value: name.to_owned(), at: at.clone() }, words::name);
        cx.only_true(&raw.open);
        // Beside an image, a path is one in it; of an open input it is where that lies unless another one is given.
        let open = raw.open.is_some();
        let own = raw.path.is_some() && raw.image.is_none() && !open;
        let keys = [("path", own), ("image", raw.image.is_some()), ("open", open)];
        if !cx.exactly_one(&keys, &format!("[input.{name}]"), table) {
            return None;
        }
        let (path, image) = (cx.keep(raw.path), cx.keep(raw.image));
        image.iter().for_each(|image| cx.literal(image, words::reference));
        let right = |text: &str| {
            if image.is_some() { v1::rooted(text).map(drop) } else { v1::beside(text).map(drop) }
        };
        path.iter().for_each(|path| cx.literal(path, right));
        let from = match (image, path) {
            (Some(reference), path) => InputSource::Image { reference, path },
            (None, Some(path)) => InputSource::Path(path),
            (None, None) => InputSource::Open,
        };
        Some(Spanned { value: Self { from, made_by: cx.keep(raw.made_by), open }, at })
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
