//! `cooper.toml`: what holds for every recipe of a workspace.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::Deserialize;
use toml::de::DeValue;

use super::check::Checker;
use super::given::Given;
use super::loose::{Loose, Scalar, Table};
use super::parse::{document, finish, table_of};
use super::span::S;
use super::words::{self, ensure, invalid};
use super::{Error, ErrorKind, Spanned, What, raw, read_given, v1};
use crate::digest::Digest;

/// `cooper.toml`, checked, with its defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkspaceFile {
    /// The variants that recipes may have.
    pub variants: Vec<String>,
    /// Globs of what a bare `cooper build` builds.
    pub default: Vec<Spanned<String>>,
    /// Platforms of recipes that name none.
    pub platforms: Vec<Spanned<String>>,
    /// Labels of every image that isn't bare.
    pub labels: BTreeMap<String, Spanned<String>>,
    /// Owner of recipes that name none.
    pub owner: Option<Spanned<String>>,
    /// Where push and sign think an image goes, with `{{ stack }}` and `{{ name }}`.
    pub repository: Option<Spanned<String>>,
    /// Tags that a push may move, with `{{ variant }}`, too.
    pub moving: Vec<Spanned<String>>,
    /// `[vars]`: what every recipe reads as its own.
    pub given: Arc<Given>,
    /// Other workspaces whose recipes those of this one may extend, by name.
    pub catalogues: BTreeMap<String, Spanned<Catalogue>>,
}

/// Where another workspace comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Catalogue {
    /// A directory, relative to this workspace.
    Path(String),
    /// An archive of one, at a URL.
    Archive {
        /// Where.
        url: String,
        /// Its bytes.
        sha256: Digest,
    },
}

/// What holds for every recipe of a workspace.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Raw {
    /// The oldest Cooper that understands this workspace, such as ">=0.1".
    #[allow(dead_code)] // read before the rest
    cooper: Option<S<String>>,
    workspace: Option<Workspace>,
    publish: Option<Publish>,
    /// Variables that every recipe reads as its own, unless its stack has them: a value, or `{ set = true, default = … }`.
    #[schemars(schema_with = "raw::variables")]
    vars: Table<S<Loose<raw::Var>>>,
    /// Other workspaces whose recipes these extend, as `extends = "NAME:stack/name"`.
    catalogue: Option<BTreeMap<String, S<RawCatalogue>>>,
}

/// Another workspace: a directory, or an archive that has one digest for ever.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct RawCatalogue {
    /// Directory, relative to this workspace: a git submodule, say.
    path: Option<S<String>>,
    /// URL of an archive: tar, compressed or not, or zip.
    fetch: Option<S<String>>,
    /// Of the archive's bytes.
    sha256: Option<S<String>>,
}

/// Defaults of all recipes.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Workspace {
    /// Variants that recipes may have; ["dev", "prod"] without this key.
    variants: Option<Vec<S<String>>>,
    /// Globs of what a bare `cooper build` builds.
    default: Option<Vec<S<String>>>,
    /// Platforms of recipes that name none; linux/amd64 and linux/arm64 without this key.
    platforms: Option<Vec<S<String>>>,
    /// Labels of every image that isn't bare.
    labels: Option<BTreeMap<String, S<Scalar>>>,
    /// The team that looks after recipes that name none.
    owner: Option<S<String>>,
}

/// Where images go; never part of a digest.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Publish {
    /// Repository, with {{ stack }} and {{ name }}.
    repository: Option<S<String>>,
    /// Tags that `push` moves from one image to the next, with {{ stack }}, {{ name }} and {{ variant }}.
    moving: Option<Vec<S<String>>>,
}

impl WorkspaceFile {
    /// The variant that a bare name means: prod, else the first.
    pub fn default_variant(&self) -> &str {
        let prod = self.variants.iter().find(|name| *name == "prod");
        prod.or(self.variants.first()).map_or("prod", String::as_str)
    }
}

/// Reads `cooper.toml`. A workspace that needs a later Cooper gives that error alone: the rest may be news to us.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_workspace(file: &str, text: &str) -> Result<WorkspaceFile, Vec<Error>> {
    let (mut cx, table) = document(file, text)?;
    let required =
        table.get("cooper").and_then(|value| Some((value.span(), value.get_ref().as_str()?.to_owned())));
    if let Some((range, required)) = required {
        let have = env!("CARGO_PKG_VERSION");
        match (version(&required), version(&format!(">={have}"))) {
            (None, _) => cx.fail(range, invalid(What::Version, &required)),
            (required_version, have_version) if required_version > have_version => {
                cx.fail(range, ErrorKind::TooOld { required, have: have.to_owned() });
                return Err(cx.errors);
            }
            _ => {}
        }
    }
    let whole = toml::Spanned::new(0..text.len(), DeValue::Table(table));
    let raw: Option<Raw> = table_of(whole, "cooper.toml", &mut cx);
    let read = raw.map(|raw| read(raw, &mut cx));
    finish(cx)?;
    read.ok_or_else(Vec::new)
}

fn read(raw: Raw, cx: &mut Checker) -> WorkspaceFile {
    let nothing = || Workspace { variants: None, default: None, platforms: None, labels: None, owner: None };
    let workspace = raw.workspace.unwrap_or_else(nothing);
    let given = |text: &str| Spanned { value: text.to_owned(), at: cx.at(0..0) };
    let mut platforms = v1::PLATFORMS.map(given).to_vec();
    let mut variants = v1::VARIANTS.map(given).to_vec();
    if let Some(given) = workspace.platforms {
        platforms = cx.keep(given);
    }
    if let Some(S { range, .. }) = workspace.variants.as_ref().and_then(|given| given.first()) {
        let range = range.clone();
        variants = cx.keep(workspace.variants).unwrap_or_default();
        for (index, name) in variants.iter().enumerate() {
            cx.read(name, words::name);
            if variants[..index].iter().any(|other| other.value == name.value) {
                cx.fail(range.clone(), invalid(What::Name, name));
            }
        }
    }
    let platforms = cx.platforms(platforms);
    let default = cx.keep(workspace.default).unwrap_or_default();
    for pattern in &default {
        cx.read(pattern, |text| words::reaches(text, false).and_then(|()| v1::glob(text)));
    }
    let (repository, moving) = published(raw.publish, cx);
    let named = raw.catalogue.into_iter().flatten();
    let catalogues = named.filter_map(|(name, raw)| Some((name.clone(), catalogue(&name, raw, cx)?)));
    let catalogues = catalogues.collect();
    let labels = workspace.labels.into_iter().flatten();
    WorkspaceFile {
        variants: variants.into_iter().map(|name| name.value).collect(),
        default,
        platforms,
        labels: labels.map(|(name, value)| (name, cx.scalar(value))).collect(),
        owner: cx.keep(workspace.owner),
        repository,
        moving,
        catalogues,
        given: Arc::new(Given {
            common: read_given::read(raw.vars, cx),
            file: Arc::clone(&cx.file),
            text: Arc::clone(&cx.text),
            ..Given::default()
        }),
    }
}

/// Where images go, and which tags may move there.
fn published(raw: Option<Publish>, cx: &mut Checker) -> (Option<Spanned<String>>, Vec<Spanned<String>>) {
    let (repository, moving) = match raw {
        Some(publish) => (cx.keep(publish.repository), cx.keep(publish.moving).unwrap_or_default()),
        None => (None, Vec::new()),
    };
    let filled = |text: &str, known: &[&str]| {
        let names = |name: &str| known.contains(&name).then(|| "x".to_owned());
        v1::interpolate(text.as_bytes(), v1::DELIMITERS, &names, &v1::Room::new(1 << 12))
            .map_err(|error| ErrorKind::Template(error.fault))
    };
    for text in &moving {
        cx.read(text, |text| {
            words::tag(&String::from_utf8_lossy(&filled(text, &["stack", "name", "variant"])?))
        });
    }
    if let Some(text) = &repository {
        cx.read(text, |text| {
            let read = filled(text, &["stack", "name"])?;
            let good = read.iter().all(|byte| byte.is_ascii_graphic()) && read.contains(&b'/');
            ensure(good, What::Reference, text)
        });
    }
    (repository, moving)
}

fn catalogue(name: &str, raw: S<RawCatalogue>, cx: &mut Checker) -> Option<Spanned<Catalogue>> {
    let S { range, value: raw } = raw;
    let at = cx.at(range.clone());
    cx.read(&Spanned { value: name.to_owned(), at: at.clone() }, words::name)?;
    let keys = [("path", raw.path.is_some()), ("fetch", raw.fetch.is_some())];
    if !cx.exactly_one(&keys, &format!("[catalogue.{name}]"), &range) {
        return None;
    }
    let (path, url, sha256) = (cx.keep(raw.path), cx.keep(raw.fetch), cx.keep(raw.sha256));
    let value = match (path, url, sha256) {
        (Some(path), None, None) => Catalogue::Path(cx.read(&path, v1::beside)?),
        (None, Some(url), Some(sha256)) => {
            let digest = cx.read(&sha256, words::sha256);
            cx.read(&url, words::url)?;
            Catalogue::Archive { url: url.value, sha256: digest? }
        }
        (Some(_), ..) => {
            cx.fail(range, ErrorKind::Needs { key: "sha256", needs: vec!["fetch"] });
            return None;
        }
        _ => {
            cx.fail(range, ErrorKind::Needs { key: "fetch", needs: vec!["sha256"] });
            return None;
        }
    };
    Some(Spanned { value, at })
}

/// `>=1`, `>=1.2` or `>=1.2.3`; what follows a `-` is not looked at.
fn version(text: &str) -> Option<[u32; 3]> {
    let text = text.strip_prefix(">=")?.trim();
    let mut version = [0; 3];
    let parts: Vec<_> = text.split(['-', '+']).next()?.split('.').collect();
    if parts.len() > 3 {
        return None;
    }
    for (part, slot) in parts.iter().zip(&mut version) {
        *slot = part.parse().ok()?;
    }
    Some(version)
}
