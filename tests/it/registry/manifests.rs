//! Manifests and indexes: given, taken in if all that they name is there, taken away.

use cooperage::digest::Digest;
use serde_json::{Value, json};

use super::api::{error, location};
use super::http::{Request, Response};
use super::store::{Repository, State};

/// What registries take at least.
const LIMIT: usize = 4 << 20;

pub(super) fn get(repository: &Repository, reference: &str) -> Result<Response, Response> {
    let (digest, manifest) = repository.manifest(reference).ok_or_else(unknown)?;
    Ok(Response::new(200)
        .with("content-type", &manifest.media_type)
        .with("docker-content-digest", digest)
        .body(manifest.bytes.clone()))
}

fn unknown() -> Response {
    error(404, "MANIFEST_UNKNOWN", "manifest unknown to registry")
}

pub(super) fn put(
    state: &mut State,
    host: &str,
    request: &Request,
    name: &str,
    reference: &str,
) -> Result<Response, Response> {
    let invalid = |why: &str| error(400, "MANIFEST_INVALID", why);
    if request.body.len() > LIMIT {
        return Err(error(413, "MANIFEST_INVALID", "larger than 4 MiB"));
    }
    let manifest: Value =
        serde_json::from_slice(&request.body).map_err(|error| invalid(&error.to_string()))?;
    let media_type = request.header("content-type").ok_or_else(|| invalid("no Content-Type"))?;
    if manifest.get("mediaType").is_some_and(|own| own != media_type) {
        return Err(invalid("mediaType and Content-Type differ"));
    }
    let digest = Digest::of(&request.body);
    let tag = match reference.parse::<Digest>() {
        Ok(told) if told == digest => "",
        Ok(_) => return Err(error(400, "DIGEST_INVALID", "the manifest has another digest")),
        Err(_) if is_tag(reference) => reference,
        Err(_) => return Err(error(400, "TAG_INVALID", "neither a digest nor a tag")),
    };
    let empty = Repository::default();
    let repository = state.repositories.get(name).unwrap_or(&empty);
    all_there(repository, &manifest)?;
    if let (Some(status), Some(old)) = (state.settings.immutable, repository.tags.get(tag))
        && *old != digest
    {
        return Err(error(status, "TAG_INVALID", "the tag is immutable and names something else"));
    }
    state.put_manifest(name, tag, media_type, request.body.as_slice().into());
    let response = Response::new(201)
        .with("location", location(state, host, &format!("/v2/{name}/manifests/{digest}")))
        .with("docker-content-digest", digest);
    Ok(match manifest["subject"]["digest"].as_str() {
        Some(subject) if state.settings.referrers => response.with("oci-subject", subject),
        _ => response,
    })
}

/// `[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}`
fn is_tag(text: &str) -> bool {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    text.len() <= 128
        && text.bytes().next().is_some_and(word)
        && text.bytes().all(|byte| word(byte) || byte == b'.' || byte == b'-')
}

/// Whether the repository has what a manifest names, in the sizes told; layers that lie elsewhere (`urls`) excepted.
fn all_there(repository: &Repository, manifest: &Value) -> Result<(), Response> {
    let list = |name: &str| manifest[name].as_array().cloned().unwrap_or_default();
    let length = |descriptor: &Value, document: bool| {
        let digest: Digest = descriptor["digest"].as_str()?.parse().ok()?;
        match document {
            true => repository.manifests.get(&digest).map(|manifest| manifest.bytes.len()),
            false => repository.blobs.get(&digest).map(|bytes| bytes.len()),
        }
    };
    let blobs = manifest.get("config").cloned().into_iter().chain(list("layers"));
    let blobs = blobs.filter(|layer| layer.get("urls").is_none());
    let named =
        list("manifests").into_iter().map(|child| (child, true)).chain(blobs.map(|blob| (blob, false)));
    let mut errors = Vec::new();
    for (descriptor, document) in named {
        let code = match length(&descriptor, document) {
            None => "MANIFEST_BLOB_UNKNOWN",
            Some(length) if descriptor["size"] != length => "SIZE_INVALID",
            Some(_) => continue,
        };
        let detail = json!({ "digest": descriptor["digest"] });
        errors.push(json!({ "code": code, "message": "named by the manifest", "detail": detail }));
    }
    if errors.is_empty() {
        return Ok(());
    }
    let body = json!({ "errors": errors }).to_string().into_bytes();
    Err(Response::new(400).with("content-type", "application/json").body(body))
}

/// A tag alone, or a manifest with its tags.
pub(super) fn delete(repository: &mut Repository, reference: &str) -> Result<Response, Response> {
    let gone = match reference.parse::<Digest>() {
        Ok(digest) => {
            repository.tags.retain(|_, named| *named != digest);
            repository.manifests.remove(&digest).is_some()
        }
        Err(_) => repository.tags.remove(reference).is_some(),
    };
    gone.then(|| Response::new(202)).ok_or_else(unknown)
}
