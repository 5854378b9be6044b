//! Blobs on their way in: at once, in pieces, or mounted from another repository.

use cooperage::digest::Digest;

use super::api::{error, location, parse};
use super::http::{Request, Response};
use super::store::State;

/// POST
pub(super) fn begin(
    state: &mut State,
    host: &str,
    request: &Request,
    name: &str,
) -> Result<Response, Response> {
    if let (true, Some(digest), Some(from)) =
        (state.settings.mount, request.query("mount"), request.query("from"))
    {
        let digest = parse(digest)?;
        let there = state.repositories.get(from).and_then(|from| from.blobs.get(&digest).cloned());
        if let Some(bytes) = there {
            state.put_blob(name, bytes);
            return Ok(made(state, host, name, digest));
        }
    }
    if let Some(digest) = request.query("digest") {
        let digest = parse(digest)?;
        return finish(state, host, name, digest, request.body.clone());
    }
    let id = format!("upload-{}", state.next());
    state.uploads.insert(id.clone(), (name.to_owned(), Vec::new()));
    Ok(so_far(state, host, name, &id, 202))
}

/// GET, PATCH, PUT and DELETE of an upload. The address to go on at is that of the last answer, so `_state` must be,
/// too; who asks where the upload stands may have missed that answer.
pub(super) fn go_on(
    state: &mut State,
    host: &str,
    request: &Request,
    name: &str,
    id: &str,
) -> Result<Response, Response> {
    let unknown = || error(404, "BLOB_UPLOAD_UNKNOWN", "upload unknown to registry");
    let (repository, held) = state.uploads.get(id).ok_or_else(unknown)?;
    let told = request.query("_state").ok_or_else(unknown)?;
    if repository != name {
        return Err(unknown());
    }
    let held = held.len();
    match request.method.as_str() {
        "GET" => return Ok(so_far(state, host, name, id, 204)),
        "DELETE" => {
            state.uploads.remove(id);
            return Ok(Response::new(204));
        }
        "PATCH" | "PUT" => {}
        _ => return Err(error(405, "UNSUPPORTED", "the operation is unsupported")),
    }
    if let Some(range) = request.header("content-range") {
        let number = |text: &str| text.parse::<usize>().ok();
        let parsed = range.split_once('-').and_then(|(first, last)| number(first).zip(number(last)));
        let Some((first, last)) = parsed else {
            return Err(error(400, "BLOB_UPLOAD_INVALID", "Content-Range is written <first>-<last>"));
        };
        if first != held {
            return Err(so_far(state, host, name, id, 416));
        }
        if request.whole && last.checked_add(1) != first.checked_add(request.body.len()) {
            return Err(error(400, "SIZE_INVALID", "Content-Range and the body differ"));
        }
    }
    if told != token(held) {
        return Err(error(400, "BLOB_UPLOAD_INVALID", "this isn't the last Location"));
    }
    if request.method == "PATCH" {
        if let Some((_, bytes)) = state.uploads.get_mut(id) {
            bytes.extend_from_slice(&request.body);
        }
        return Ok(so_far(state, host, name, id, 202));
    }
    let no_digest = || error(400, "DIGEST_INVALID", "no digest given");
    let digest = parse(request.query("digest").ok_or_else(no_digest)?)?;
    let (_, mut bytes) = state.uploads.remove(id).ok_or_else(unknown)?;
    bytes.extend_from_slice(&request.body);
    finish(state, host, name, digest, bytes)
}

/// A blob that has all arrived.
fn finish(
    state: &mut State,
    host: &str,
    name: &str,
    digest: Digest,
    bytes: Vec<u8>,
) -> Result<Response, Response> {
    if Digest::of(&bytes) != digest {
        return Err(error(400, "DIGEST_INVALID", "provided digest did not match uploaded content"));
    }
    state.put_blob(name, bytes.into());
    Ok(made(state, host, name, digest))
}

fn made(state: &State, host: &str, name: &str, digest: Digest) -> Response {
    Response::new(201)
        .with("location", location(state, host, &format!("/v2/{name}/blobs/{digest}")))
        .with("docker-content-digest", digest)
}

/// Opaque to clients.
fn token(held: usize) -> String {
    format!("at={held}")
}

fn so_far(state: &State, host: &str, name: &str, id: &str, status: u16) -> Response {
    let held = state.uploads.get(id).map_or(0, |(_, bytes)| bytes.len());
    let path = format!("/v2/{name}/blobs/uploads/{id}?_state={}", token(held).replace('=', "%3D"));
    Response::new(status)
        .with("location", location(state, host, &path))
        .with("range", format!("0-{}", held.saturating_sub(1)))
        .with("docker-upload-uuid", id)
}
