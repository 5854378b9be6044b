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
    let wanted = |entry: &&Descriptor| selector.is_none_or(|selector| is_called(entry, selector));
    let mut found: Vec<&Descriptor> = entries.iter().filter(wanted).collect();
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

fn is_called(entry: &Descriptor, selector: &str) -> bool {
    let own = [REF_NAME, CONTAINERD_NAME].into_iter().filter_map(|key| entry.annotations.get(key));
    if let Some(digest) = digest_of(selector) {
        return entry.digest == digest;
    }
    // `web:1` means docker.io/library/web:1, however long either was written.
    let reference = selector.parse::<Reference>().ok().filter(|_| selector.contains([':', '/']));
    own.into_iter().any(|name| {
        name == selector
            || (reference.is_some()
                && name.contains([':', '/'])
                && name.parse::<Reference>().ok() == reference)
    })
}

/// How a person would call an entry.
fn choice(entry: &Descriptor) -> String {
    let named = [CONTAINERD_NAME, REF_NAME].into_iter().find_map(|key| entry.annotations.get(key));
    named.cloned().unwrap_or_else(|| entry.digest.to_string())
}
