//! Reading: serde's over TOML, refusing what it doesn't know.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{VERSION, changed};
use crate::digest::{DiffId, Digest, Encoding};
use crate::lock::listing::Entry;
use crate::lock::{
    BaseOrigin, BasePin, Error, ImageOutput, Listing, Lock, Output, Pin, PlatformPin, SourceLock,
};
use crate::oci::{Platform, Reference};
use crate::tree::{Content, Files, Portion, SourceKey, TreePath, unescape};

const COOPER: &str = env!("CARGO_PKG_VERSION");

/// What every format has, so that a newer one is told from a broken one.
#[derive(Deserialize)]
struct Numbers {
    version: u64,
    encoding: u64,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(rename = "version")]
    _version: u64,
    #[serde(rename = "encoding")]
    _encoding: u64,
    epoch: i64,
    #[serde(default)]
    recipe: BTreeMap<String, String>,
    #[serde(default)]
    base: Vec<Base>,
    #[serde(default)]
    parent: BTreeMap<String, BTreeMap<String, String>>,
    #[serde(default)]
    source: Vec<Source>,
    #[serde(default)]
    output: BTreeMap<String, OutputTable>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Base {
    image: Option<String>,
    layout: Option<String>,
    #[serde(default)]
    variants: Vec<String>,
    index: String,
    #[serde(default)]
    platform: BTreeMap<String, BasePlatform>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BasePlatform {
    manifest: String,
    facts: Option<String>,
    #[serde(default)]
    removed: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Source {
    origin: Option<String>,
    from: Option<String>,
    fetch: Option<String>,
    input: Option<String>,
    image: Option<String>,
    recipe: Option<String>,
    base: Option<String>,
    path: Option<String>,
    platform: Option<String>,
    #[serde(default)]
    unpack: Vec<String>,
    #[serde(default)]
    strip: usize,
    #[serde(default)]
    owners: bool,
    pinned: Option<String>,
    index: Option<String>,
    manifest: Option<String>,
    #[serde(default)]
    include: Vec<String>,
    #[serde(default)]
    exclude: Vec<String>,
    #[serde(default)]
    single: bool,
    hash: String,
    files: Option<Vec<String>>,
    listing: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputTable {
    index: String,
    #[serde(default)]
    platform: BTreeMap<String, OutputPlatform>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OutputPlatform {
    manifest: String,
    #[serde(default)]
    layers: Vec<String>,
}

pub(in crate::lock) fn parse(text: &str) -> Result<Lock, Error> {
    let numbers: Numbers = toml::from_str(text)?;
    if numbers.version != VERSION {
        return Err(Error::Version { version: numbers.version, known: VERSION, cooper: COOPER });
    }
    let encoding = u32::try_from(numbers.encoding)
        .ok()
        .and_then(Encoding::from_number)
        .ok_or(Error::Encoding { encoding: numbers.encoding, cooper: COOPER })?;
    let file: File = toml::from_str(text)?;
    let mut lock = Lock {
        encoding,
        epoch: file.epoch,
        sections: digests("recipe", file.recipe)?,
        bases: file.base.into_iter().map(base).collect::<Result<_, _>>()?,
        parents: map(file.parent, |name, variants| digests(&format!("parent.{name}"), variants))?,
        sources: file.source.into_iter().map(source).collect::<Result<_, _>>()?,
        outputs: map(file.output, output)?,
    };
    lock.sort();
    let twice = |what: String| Err(Error::Twice { what });
    if let Some(pair) = lock.bases.windows(2).find(|pair| pair[0].origin == pair[1].origin) {
        return twice(format!("base {}", pair[0].origin));
    }
    if let Some(pair) = lock.sources.windows(2).find(|pair| pair[0].key == pair[1].key) {
        return twice(format!("source {}", pair[0].key.name()));
    }
    Ok(lock)
}

fn base(table: Base) -> Result<BasePin, Error> {
    let origin = match (table.image, table.layout) {
        // One text for each reference, so that one base is there once.
        (Some(image), None) => match image.parse::<Reference>() {
            Ok(reference) if reference.to_string() == image => BaseOrigin::Image(reference),
            _ => return Err(value("base", &image, "an image's whole reference")),
        },
        (None, Some(layout)) => BaseOrigin::Layout(layout),
        (image, _) => return Err(value("base", &image.unwrap_or_default(), "an image or a layout")),
    };
    let at = format!("base {origin}");
    let platforms = map(table.platform, |name, table| {
        let at = format!("{at} {}", platform(&at, name)?);
        Ok(PlatformPin {
            manifest: content(&at, &table.manifest)?,
            facts: table.facts.map(|text| content(&at, &text)).transpose()?,
            removed: map(table.removed, |_, paths| paths.iter().map(|text| path(&at, text)).collect())?,
        })
    })?;
    // A digest that somebody was told of has no size.
    let index = match table.index.parse() {
        Ok(digest) if platforms.is_empty() => Content { digest, size: 0 },
        _ => content(&at, &table.index)?,
    };
    Ok(BasePin { index, origin, variants: table.variants, platforms })
}

fn source(table: Source) -> Result<SourceLock, Error> {
    let key = table.key()?;
    let from = key.name().to_owned();
    let at = format!("source {from}");
    let hash = digest(&at, &table.hash)?;
    let listing = match (table.files, table.listing) {
        (Some(lines), None) => {
            if let Some(line) = lines.iter().find(|line| Entry::parse(line).is_none()) {
                return Err(value(&at, line, "a line of a listing"));
            }
            let text: String = lines.iter().flat_map(|line| [line.as_str(), "\n"]).collect();
            if Digest::of(text.as_bytes()) != hash {
                return Err(Error::Listing { from, hash });
            }
            Listing::Lines(lines)
        }
        (None, Some(text)) => match content(&at, &text)? {
            content if content.digest == hash => Listing::Blob(content),
            _ => return Err(Error::Listing { from, hash }),
        },
        (_, listing) => return Err(value(&at, &listing.unwrap_or_default(), "files or a listing")),
    };
    let pin = match (table.pinned, table.index, table.manifest) {
        (None, None, None) => Pin::None,
        (Some(file), None, None) => Pin::File(content(&at, &file)?),
        (None, Some(index), Some(manifest)) => {
            Pin::Image { index: content(&at, &index)?, manifest: content(&at, &manifest)? }
        }
        (pinned, ..) => return Err(value(&at, &pinned.unwrap_or_default(), "pinned, or index and manifest")),
    };
    Ok(SourceLock { key, pin, hash, single: table.single, listing })
}

impl Source {
    /// Which files are meant: one of six keys says of what kind they are. [`Writer::source_key`] is its reverse.
    fn key(&self) -> Result<SourceKey, Error> {
        let Self { origin, fetch, input, image, recipe, base, .. } = self;
        let (include, exclude) = (self.include.clone(), self.exclude.clone());
        let (unpack, strip, owners) = (self.unpack.clone(), self.strip, self.owners);
        let portion = Portion { include, exclude, unpack, strip, owners };
        match (origin, fetch, input, image, recipe, base) {
            (Some(directory), None, None, None, None, None) => {
                let (directory, from) = (directory.clone(), self.inside(&self.from)?);
                self.no_platform(&from)?;
                Ok(SourceKey::Files(Files { directory, from, portion }))
            }
            (None, Some(url), None, None, None, None) => {
                self.no_platform(url)?;
                Ok(SourceKey::Fetch { url: url.clone(), portion })
            }
            (None, None, Some(name), None, None, None) => {
                let platform = self.platform.is_some().then(|| self.platform(name)).transpose()?;
                Ok(SourceKey::Input { name: name.clone(), portion, platform })
            }
            (None, None, None, Some(reference), None, None) => {
                let (reference, path) = (reference.clone(), self.inside(&self.path)?);
                Ok(SourceKey::Image { reference, platform: self.platform(&path)?, path, portion })
            }
            (None, None, None, None, Some(text), None) => {
                let path = self.inside(&self.path)?;
                let (recipe, variant) = text
                    .split_once('#')
                    .ok_or_else(|| value(&format!("source {path}"), text, "a recipe and its variant"))?;
                let (recipe, variant) = (recipe.to_owned(), variant.to_owned());
                Ok(SourceKey::Recipe { recipe, variant, platform: self.platform(&path)?, path, portion })
            }
            (None, None, None, None, None, Some(on)) => {
                let (path, recursive) = (self.inside(&self.path)?, !portion.include.is_empty());
                if portion != changed(recursive) {
                    let text = portion.include.join(", ");
                    return Err(value(&format!("source {path}"), &text, "what an entry changes"));
                }
                Ok(SourceKey::Base { on: on.clone(), platform: self.platform(&path)?, path, recursive })
            }
            _ => Err(self.no_kind()),
        }
    }

    fn no_kind(&self) -> Error {
        let text = self.from.as_ref().or(self.path.as_ref()).map_or("", String::as_str);
        value("source", text, "a source of one kind")
    }

    fn inside(&self, path: &Option<String>) -> Result<String, Error> {
        path.clone().ok_or_else(|| self.no_kind())
    }

    fn platform(&self, name: &str) -> Result<String, Error> {
        let text = self.platform.as_deref().unwrap_or_default();
        platform(&format!("source {name}"), text).map(str::to_owned)
    }

    /// These are one on every platform.
    fn no_platform(&self, name: &str) -> Result<(), Error> {
        let wrong = |text: &String| Err(value(&format!("source {name}"), text, "for a source of this kind"));
        self.platform.as_ref().map_or(Ok(()), wrong)
    }
}

fn output(variant: &str, table: OutputTable) -> Result<Output, Error> {
    let at = format!("output.{variant}");
    let platforms = map(table.platform, |name, table| {
        let at = format!("{at}.{}", platform(&at, name)?);
        let layers = table.layers.iter().map(|text| digest(&at, text).map(DiffId));
        Ok(ImageOutput { manifest: digest(&at, &table.manifest)?, layers: layers.collect::<Result<_, _>>()? })
    })?;
    Ok(Output { index: content(&at, &table.index)?, platforms })
}

fn map<T, U>(
    table: BTreeMap<String, T>,
    mut read: impl FnMut(&str, T) -> Result<U, Error>,
) -> Result<BTreeMap<String, U>, Error> {
    table.into_iter().map(|(key, value)| read(&key, value).map(|value| (key, value))).collect()
}

fn digests(at: &str, table: BTreeMap<String, String>) -> Result<BTreeMap<String, Digest>, Error> {
    map(table, |key, text| digest(&format!("{at}.{key}"), &text))
}

fn digest(at: &str, text: &str) -> Result<Digest, Error> {
    text.parse().map_err(|source| Error::Digest { at: at.to_owned(), source })
}

fn value(at: &str, text: &str, expected: &'static str) -> Error {
    Error::Value { at: at.to_owned(), text: text.chars().take(200).collect(), expected }
}

/// `sha256:… 1234`
fn content(at: &str, text: &str) -> Result<Content, Error> {
    let bad = || value(at, text, "a digest and a size");
    let (digest_text, size_text) = text.split_once(' ').ok_or_else(bad)?;
    let size: u64 = size_text.parse().map_err(|_| bad())?;
    let content = Content { digest: digest(at, digest_text)?, size };
    if size.to_string() == size_text { Ok(content) } else { Err(bad()) }
}

fn platform<'a>(at: &str, text: &'a str) -> Result<&'a str, Error> {
    match text.parse::<Platform>() {
        Ok(platform) if platform.short() == text => Ok(text),
        _ => Err(value(at, text, "a platform in its shortest form")),
    }
}

fn path(at: &str, text: &str) -> Result<TreePath, Error> {
    let parsed = text.strip_prefix('/').and_then(unescape).and_then(|bytes| TreePath::parse(&bytes).ok());
    parsed.filter(|path| path.to_string() == text).ok_or_else(|| value(at, text, "a path"))
}
