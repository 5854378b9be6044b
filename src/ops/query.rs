//! `list --uses`, `--package`, `--has`, `--digest`: which images a thing is in.
//!
//! Owns that nothing is asked of anybody where the environment is offline: what locks say, and what the store knows of
//! images that it holds. Where that isn't enough there is a row that says so, never silence.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::{Env, Error, ImageName, Selection};
use crate::digest::Digest;
use crate::http::shown;
use crate::layer::packages::{self, Package};
use crate::layer::versions;
use crate::lock::{Lock, Output};
use crate::oci::{Descriptor, Document, ImageConfig, MediaType, Reference};
use crate::tree::{SourceKey, TreePath};
use crate::work::Asks;
use crate::work::bytes::Supply;
use crate::work::checkout::{Checkout, circle, wants};
use crate::work::upstream::{Image, Upstream, View};
use crate::workspace::Target;

/// One line of a query of `list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Which image.
    pub name: ImageName,
    /// On which platform; empty: on all.
    pub platform: String,
    /// What was found, or why that isn't known.
    pub what: String,
    /// It is known.
    pub known: bool,
}

/// What is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Query {
    /// A reference, layout, URL or recipe that an image stands on or takes from.
    Uses(String),
    /// A package by its own or its source's name, and which versions of it.
    Package(PackageQuery),
    /// A path of the image.
    Has(String),
    /// The digest of an index, manifest, base or layer.
    Digest(DigestQuery),
}

/// A digest, whole or as it is printed in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DigestQuery {
    /// The first of its hexadecimal digits, or all.
    digits: String,
}

/// Not the beginning of a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{text:?} is no digest: sha256: and 64 hexadecimal digits are expected, or 7 and more of the first of them"
)]
pub struct ParseDigestQueryError {
    text: String,
}

impl std::str::FromStr for DigestQuery {
    type Err = ParseDigestQueryError;

    fn from_str(text: &str) -> Result<Self, ParseDigestQueryError> {
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let digits = digits.trim_end_matches('…').trim_end_matches("...");
        let good = |digit: u8| digit.is_ascii_digit() || (b'a'..=b'f').contains(&digit);
        if (7..=64).contains(&digits.len()) && digits.bytes().all(good) {
            Ok(Self { digits: digits.to_owned() })
        } else {
            Err(ParseDigestQueryError { text: text.to_owned() })
        }
    }
}

impl DigestQuery {
    fn is(&self, digest: Digest) -> bool {
        digest.hex().starts_with(&self.digits)
    }
}

/// `openssl < 3.0.18`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PackageQuery {
    name: String,
    /// Which orders count; all without a version.
    orders: Vec<Ordering>,
    version: String,
}

/// Not `NAME`, `NAME < VERSION` or the like.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} names no packages: expected NAME, or NAME and one of <, <=, =, >=, > and a version")]
pub struct ParsePackageError {
    text: String,
}

impl std::str::FromStr for PackageQuery {
    type Err = ParsePackageError;

    fn from_str(text: &str) -> Result<Self, ParsePackageError> {
        use Ordering::{Equal, Greater, Less};
        let fail = || ParsePackageError { text: text.to_owned() };
        let name = text.split(|c: char| c.is_whitespace() || "<>=".contains(c)).next().unwrap_or_default();
        let rest = text[name.len()..].trim();
        let operators: [(&str, &[Ordering]); 5] = [
            ("<=", &[Less, Equal]),
            (">=", &[Greater, Equal]),
            ("<", &[Less]),
            (">", &[Greater]),
            ("=", &[Equal]),
        ];
        let found =
            operators.iter().find_map(|(sign, orders)| Some((rest.strip_prefix(sign)?.trim(), *orders)));
        let (version, orders) = match found {
            None if rest.is_empty() => ("", &[][..]),
            Some((version, orders)) if !version.is_empty() && !version.contains(char::is_whitespace) => {
                (version, orders)
            }
            _ => return Err(fail()),
        };
        if name.is_empty() {
            return Err(fail());
        }
        Ok(Self { name: name.to_owned(), orders: orders.to_vec(), version: version.to_owned() })
    }
}

impl PackageQuery {
    fn matches(&self, package: &Package) -> bool {
        let version = if package.name == self.name {
            &package.version
        } else if package.source == self.name {
            &package.source_version
        } else {
            return false;
        };
        let order = versions::compare(package.ecosystem, version, &self.version);
        self.orders.is_empty() || self.orders.contains(&order)
    }
}

/// Looks through the selected recipes, all of them without a selection.
///
/// # Errors
/// Recipes or locks that can't be read.
pub fn query(env: &Env<'_>, select: &Selection, query: &Query) -> Result<Vec<Found>, Error> {
    let upstream = Upstream::new(Supply::open(env, Asks::default())?);
    let checkout = upstream.checkout();
    let mut found = Vec::new();
    for (target, asked) in checkout.select_or_all(select)? {
        let old = checkout.lock(&target)?;
        for variant in checkout.meant(&asked) {
            let name = ImageName { recipe: target.to_string(), variant: variant.clone() };
            let rows = match query {
                Query::Uses(text) => {
                    let what =
                        uses(checkout, &target, variant, text, (&mut BTreeSet::new(), &mut Vec::new()))?;
                    what.into_iter().map(|what| Row::known("", what)).collect()
                }
                Query::Package(_) | Query::Has(_) | Query::Digest(_) => {
                    let lock = old.lock.as_ref().and_then(|lock| Some((lock, lock.outputs.get(variant)?)));
                    inside(&upstream, &target, lock, query)?
                }
            };
            found.extend(rows.into_iter().map(|Row { platform, what, known }| Found {
                name: name.clone(),
                platform,
                what,
                known,
            }));
        }
    }
    Ok(found)
}

/// What was found of one variant.
struct Row {
    platform: String,
    what: String,
    known: bool,
}

impl Row {
    fn known(platform: &str, what: impl Into<String>) -> Self {
        Self { platform: platform.to_owned(), what: what.into(), known: true }
    }

    fn unknown(platform: &str, what: &str) -> Self {
        Self { platform: platform.to_owned(), what: what.to_owned(), known: false }
    }
}

/// What is in the images of a variant, as far as that is at hand.
fn inside(
    upstream: &Upstream<'_>,
    target: &Target,
    lock: Option<(&Lock, &Output)>,
    query: &Query,
) -> Result<Vec<Row>, Error> {
    let Some((lock, output)) = lock else {
        return Ok(vec![Row::unknown("", "it has no outputs in its lock")]);
    };
    let mut rows = Vec::new();
    if let Query::Digest(digest) = query {
        rows.extend(digests(lock, output, digest).into_iter().map(|what| Row::known("", what)));
    }
    for (platform, image) in views(upstream, target, lock, output)? {
        let (view, layers) = match image {
            AtHand::Whole(view, layers) => (view, layers),
            // What its own lock says was looked at.
            AtHand::Layers(layers) if matches!(query, Query::Digest(digest) if layers.iter().any(|layer| digest.is(*layer))) =>
            {
                rows.push(Row::known(&platform, "a layer"));
                continue;
            }
            // All digests of an image are in its documents.
            AtHand::Layers(_) if matches!(query, Query::Digest(_)) => continue,
            AtHand::Layers(_) => {
                let what =
                    format!("the layers of its base aren't known here: `cooper lock {target}` reads them");
                rows.push(Row::unknown(&platform, &what));
                continue;
            }
            AtHand::Nothing => {
                let what = format!("this image isn't in the store: `cooper lock {target}` brings it there");
                rows.push(Row::unknown(&platform, &what));
                continue;
            }
        };
        match query {
            Query::Package(wanted) => {
                let captured: Vec<_> = view.1.iter().collect();
                let all = packages::derive(&view.0, &captured).0;
                let hits = all.into_iter().filter(|package| wanted.matches(package));
                rows.extend(hits.map(|hit| Row::known(&platform, format!("{} {}", hit.name, hit.version))));
            }
            Query::Has(path) => {
                let path = TreePath::parse(path.as_bytes()).map_err(Error::usage)?;
                let real = view.0.resolve(&path).unwrap_or_else(|_| path.clone());
                if view.0.is_dir(&real) || view.0.get(&real).is_some() {
                    let real = real.to_string();
                    rows.push(Row::known(&platform, format!("/{}", real.trim_start_matches('/'))));
                }
            }
            Query::Digest(digest) if layers.iter().any(|layer| digest.is(*layer)) => {
                rows.push(Row::known(&platform, "a layer"))
            }
            Query::Digest(_) | Query::Uses(_) => {}
        }
    }
    Ok(rows)
}

/// How a variant of a recipe uses something: itself, or through what it stands on or takes from.
fn uses(
    checkout: &Checkout<'_>,
    target: &Target,
    variant: &str,
    text: &str,
    (seen, way): (&mut BTreeSet<Target>, &mut Vec<Target>),
) -> Result<Option<String>, Error> {
    // Circles are reported by others.
    if !seen.insert(target.clone()) {
        return Ok(None);
    }
    circle(target, way)?;
    for want in wants::bases(checkout, target)?.iter().filter(|want| want.variant == variant) {
        let origin = want.origin.to_string();
        if is_named(&origin, text) {
            return Ok(Some(format!("stands on {origin}")));
        }
    }
    for key in wants::keys(checkout, target, variant)? {
        let (verb, name) = match &key {
            SourceKey::Image { reference, .. } => ("takes from", reference),
            SourceKey::Fetch { url, .. } => ("fetches", url),
            // Those of another recipe are looked at below; the others have no name outside of the workspace.
            SourceKey::Recipe { .. }
            | SourceKey::Files(_)
            | SourceKey::Input { .. }
            | SourceKey::Base { .. } => continue,
        };
        let told = shown(name);
        if is_named(name, text) || told == text {
            return Ok(Some(format!("{verb} {told}")));
        }
    }
    let parent = wants::parent(checkout, target, variant)?;
    let others = wants::copied(checkout, target, variant)?;
    let is = |other: &Target| other.to_string() == text;
    if parent.as_ref().is_some_and(is) {
        return Ok(Some(format!("stands on {text}")));
    }
    if others.iter().any(is) {
        return Ok(Some(format!("takes from {text}#{variant}")));
    }
    for other in parent.iter().chain(&others) {
        if let Some(what) = uses(checkout, other, variant, text, (seen, way))? {
            return Ok(Some(format!("{what}, through {other}")));
        }
    }
    way.pop();
    Ok(None)
}

/// Whether people mean `origin` by `text`: a reference without a tag is any of that repository.
fn is_named(origin: &str, text: &str) -> bool {
    let bare = !text.contains('@') && !text.rsplit('/').next().unwrap_or_default().contains(':');
    let (one, other) = (origin.parse::<Reference>(), text.parse::<Reference>());
    let (Ok(one), Ok(other)) = (one, other) else { return origin == text };
    one == other || (bare && (one.registry, one.repository) == (other.registry, other.repository))
}

fn digests(lock: &Lock, output: &Output, digest: &DigestQuery) -> Vec<String> {
    let mut found = Vec::new();
    found.extend(digest.is(output.index.digest).then(|| "the image itself".to_owned()));
    for (platform, image) in &output.platforms {
        found.extend(digest.is(image.manifest).then(|| format!("its manifest for {platform}")));
        found.extend(
            image.layers.iter().any(|layer| digest.is(layer.0)).then(|| format!("a diff_id on {platform}")),
        );
    }
    for base in &lock.bases {
        let manifests = base.platforms.values().any(|pin| digest.is(pin.manifest.digest));
        found
            .extend((digest.is(base.index.digest) || manifests).then(|| format!("its base {}", base.origin)));
    }
    found
}

/// What is at hand of an image.
enum AtHand {
    /// The merged headers and the digests of its layers.
    Whole(View, Vec<Digest>),
    /// The digests of its layers.
    Layers(Vec<Digest>),
    Nothing,
}

/// By platform.
type Views = BTreeMap<String, AtHand>;

fn views(upstream: &Upstream<'_>, target: &Target, lock: &Lock, output: &Output) -> Result<Views, Error> {
    let origin = lock.bases.first().map(|pin| &pin.origin);
    let mut views: Views =
        output.platforms.keys().map(|platform| (platform.clone(), AtHand::Nothing)).collect();
    let index = Descriptor::new(MediaType::Index, output.index.digest, output.index.size);
    let Ok(closure) = upstream.supply.store()?.closure(&index) else { return Ok(views) };
    for (platform, image) in &output.platforms {
        let Some(bytes) = closure.documents.get(&image.manifest) else { continue };
        let wrong = |source| Error::Document { base: target.to_string(), source };
        let Document::Manifest(manifest) =
            Document::parse(bytes, &MediaType::Manifest.to_string()).map_err(wrong)?
        else {
            continue;
        };
        let Some(config) = closure.documents.get(&manifest.config.digest) else { continue };
        let config = ImageConfig::parse(config).map_err(wrong)?;
        let layers: Vec<Digest> = manifest.layers.iter().map(|layer| layer.digest).collect();
        let documents = (Rc::new(manifest), Rc::new(config));
        // What can't be read without asking somebody isn't known.
        let view = Image::new(upstream, target.to_string(), origin, documents)?.view().ok();
        let known = match view {
            Some(view) => AtHand::Whole(view, layers),
            None => AtHand::Layers(layers),
        };
        views.insert(platform.clone(), known);
    }
    Ok(views)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_of_packages() {
        for (text, name, count, version) in [
            ("openssl", "openssl", 0, ""),
            ("openssl < 3.0.18", "openssl", 1, "3.0.18"),
            ("openssl>=1:2-3", "openssl", 2, "1:2-3"),
            ("a = 1", "a", 1, "1"),
        ] {
            let query: PackageQuery = text.parse().unwrap();
            assert_eq!(
                (query.name.as_str(), query.orders.len(), query.version.as_str()),
                (name, count, version)
            );
        }
        for bad in ["", "< 1", "a <", "a 1", "a < 1 2"] {
            assert!(bad.parse::<PackageQuery>().is_err(), "{bad}");
        }
    }
}
