//! `lock --prune`: committed blobs that no lock needs go.

use std::collections::BTreeSet;

use super::{Env, Error};
use crate::digest::Digest;
use crate::oci::{Document, DocumentError, MediaType};
use crate::work::Asks;
use crate::work::checkout::Checkout;
use crate::workspace::MAX_BULK;

/// Removes blobs from `lockfiles/blobs` that no lock needs, and tells their digests.
///
/// # Errors
/// A lock that can't be read: then nothing is removed.
pub fn prune(env: &Env<'_>) -> Result<Vec<String>, Error> {
    let checkout = Checkout::open(env, Asks::default())?;
    let mut needed: BTreeSet<Digest> = BTreeSet::new();
    for target in checkout.workspace.locks()? {
        let found = checkout.lock(&target)?;
        let Some(lock) = &found.lock else { continue };
        for blob in lock.blobs() {
            needed.insert(blob.digest);
            let Some(bytes) = checkout.workspace.blob(&blob, MAX_BULK)? else { continue };
            // A manifest names its config, which the lock doesn't.
            if let Ok(Document::Manifest(manifest)) = document(&bytes) {
                needed.insert(manifest.config.digest);
            }
        }
    }
    let mut removed = Vec::new();
    for blob in checkout.workspace.blobs()? {
        if !needed.contains(&blob.digest) {
            checkout.workspace.remove_blob(&blob.digest)?;
            removed.push(blob.digest.to_string());
        }
    }
    Ok(removed)
}

fn document(bytes: &[u8]) -> Result<Document, DocumentError> {
    Document::parse(bytes, &MediaType::Manifest.to_string())
        .or_else(|_| Document::parse(bytes, "application/vnd.docker.distribution.manifest.v2+json"))
}
