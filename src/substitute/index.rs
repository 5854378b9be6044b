//! The index of a layout or archive: read, and searched for what a selector means.

use std::io::{self, Read};
use std::path::Path;

use super::Substituter;
use super::error::{Error, cut};
use crate::digest::Digest;
use crate::oci::{Descriptor, Document, DocumentError, MediaType, Reference};
use crate::store::{layout_version, walk};

const REF_NAME: &str = "org.opencontainers.image.ref.name";
pub(super) const CONTAINERD_NAME: &str = "io.containerd.image.name";
/// Larger `index.json`s are not read.
pub(super) const MAX_INDEX: u64 = 8 << 20;

/// The bytes that a descriptor embeds.
pub(super) fn embedded(path: &Path, descriptor: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, Error> {
    let bytes = descriptor.data().map_err(|source| Error::Document {
        path: path.to_owned(),
        name: descriptor.digest.to_string(),
        source,
    })?;
    Ok(bytes.map(|bytes| Box::new(io::Cursor::new(bytes)) as Box<dyn Read + Send>))
}

/// Checks what `oci-layout` says.
pub(super) fn check_version(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    match layout_version(bytes) {
        Some(version) if version.starts_with("1.") => Ok(()),
        _ => Err(Error::NotAnImage { path: path.to_owned(), why: "oci-layout has an unknown version" }),
    }
}

/// Reads `index.json`.
pub(super) fn parse_index(path: &Path, bytes: &[u8]) -> Result<Vec<Descriptor>, Error> {
    let wrong = |source| Error::Document { path: path.to_owned(), name: "index.json".into(), source };
    match Document::parse(bytes, &MediaType::Index.to_string()) {
        Ok(Document::Index(index)) => Ok(index.manifests),
        Ok(Document::Manifest(_)) => Err(wrong(DocumentError::NeitherKind)),
        Err(source) => Err(wrong(source)),
    }
}

/// Finds what `selector` means among the entries of an index and, for digests, below them.
pub(super) fn select(
    from: &dyn Substituter,
    path: &Path,
    entries: &[Descriptor],
    selector: Option<&str>,
) -> Result<Descriptor, Error> {
    let choices = || entries.iter().map(|entry| cut(&choice(entry))).collect();
    let mut found: Vec<&Descriptor> = match selector {
        None => entries.iter().collect(),
        Some(selector) => called(entries, selector),
    };
    found.sort_by_key(|entry| entry.digest);
    found.dedup_by_key(|entry| entry.digest);
    match (found.as_slice(), selector) {
        ([one], _) => Ok((*one).clone()),
        ([], None) => Err(Error::NotAnImage { path: path.to_owned(), why: "its index is empty" }),
        ([], Some(selector)) => match digest_of(selector) {
            Some(digest) => below(from, entries, digest)?,
            None => None,
        }
        .ok_or_else(|| Error::NoSuchImage {
            path: path.to_owned(),
            selector: selector.to_owned(),
            choices: choices(),
        }),
        _ => Err(Error::Ambiguous { path: path.to_owned(), choices: choices() }),
    }
}

/// The manifest or index of that digest that the entries reach.
fn below(
    from: &dyn Substituter,
    entries: &[Descriptor],
    digest: Digest,
) -> Result<Option<Descriptor>, Error> {
    let mut found = None;
    walk(
        entries,
        |descriptor| from.read(descriptor),
        |descriptor, bytes| {
            if descriptor.digest == digest && bytes.is_some() {
                found = Some(descriptor.clone());
            }
            Ok::<_, Error>(())
        },
    )?;
    Ok(found)
}

fn digest_of(selector: &str) -> Option<Digest> {
    selector.rsplit('@').next()?.parse().ok()
}

/// The entries that are called so: to the letter, else by a longer or shorter name of the same reference, else by the tag
/// of one. podman and skopeo write `docker.io/library/web:1` or `localhost/web:1` where others write `1`.
fn called<'e>(entries: &'e [Descriptor], selector: &str) -> Vec<&'e Descriptor> {
    if let Some(digest) = digest_of(selector) {
        return entries.iter().filter(|entry| entry.digest == digest).collect();
    }
    let is_name = selector.contains([':', '/']);
    let reference = selector.parse::<Reference>().ok().filter(|_| is_name);
    let is_same = |name: &str| {
        reference.is_some() && name.contains([':', '/']) && name.parse::<Reference>().ok() == reference
    };
    let is_short = |name: &str| match is_name {
        true => name.strip_prefix("localhost/") == Some(selector),
        false => name.rsplit_once(':').is_some_and(|(_, tag)| tag == selector),
    };
    let ways: [&dyn Fn(&str) -> bool; 3] = [&|name| name == selector, &is_same, &is_short];
    let by = |way: &&dyn Fn(&str) -> bool| {
        let own = |entry: &&Descriptor| {
            [REF_NAME, CONTAINERD_NAME]
                .iter()
                .any(|key| entry.annotations.get(*key).is_some_and(|name| way(name)))
        };
        entries.iter().filter(own).collect::<Vec<_>>()
    };
    ways.iter().map(by).find(|found| !found.is_empty()).unwrap_or_default()
}

/// How a person would call an entry.
fn choice(entry: &Descriptor) -> String {
    let named = [CONTAINERD_NAME, REF_NAME].into_iter().find_map(|key| entry.annotations.get(key));
    named.cloned().unwrap_or_else(|| entry.digest.to_string())
}
