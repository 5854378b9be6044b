//! The endpoints: which are meant, blobs, tags and referrers.

use std::collections::BTreeMap;

use cooperage::digest::Digest;
use serde_json::{Value, json};

use super::http::{Request, Response};
use super::store::{Manifest, Repository, State};
use super::{auth, manifests, uploads};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The specification's errors.
pub(super) fn error(status: u16, code: &str, message: &str) -> Response {
    let errors = json!({ "errors": [{ "code": code, "message": message }] });
    Response::new(status).with("content-type", "application/json").body(errors.to_string().into_bytes())
}

/// Does what a request asks for.
pub(super) fn answer(state: &mut State, host: &str, request: &Request) -> Response {
    let response = match request.path.as_str() {
        "/token" => auth::token(state, request),
        path => route(state, host, request, path).unwrap_or_else(|refusal| refusal),
    };
    response.with("docker-distribution-api-version", "registry/2.0")
}

fn route(state: &mut State, host: &str, request: &Request, path: &str) -> Result<Response, Response> {
    let nothing = || error(404, "NOT_FOUND", "no such endpoint");
    let words: Vec<&str> = path.strip_prefix("/v2/").ok_or_else(nothing)?.split('/').collect();
    let (name, rest) = match &words[..] {
        [""] => (String::new(), &words[..]),
        [name @ .., "tags", "list"]
        | [name @ .., "blobs", "uploads", _]
        | [name @ .., "manifests" | "blobs" | "referrers", _] => (name.join("/"), &words[name.len()..]),
        _ => return Err(nothing()),
    };
    let has_length =
        ["content-length", "transfer-encoding"].iter().any(|name| request.header(name).is_some());
    if !has_length && matches!(request.method.as_str(), "POST" | "PUT" | "PATCH") {
        return Err(error(411, "SIZE_INVALID", "a body has a length, an empty one too"));
    }
    auth::check(state, host, request, &name)?;
    if rest == [""] {
        return Ok(Response::new(200).with("content-type", "application/json").body(*b"{}"));
    }
    if !is_name(&name) {
        return Err(error(400, "NAME_INVALID", "invalid repository name"));
    }
    let pushes = !matches!(request.method.as_str(), "GET" | "HEAD" | "DELETE");
    let known = state.repositories.contains_key(&name);
    let uploading = rest.len() == 3;
    if !known && if pushes { state.settings.known_only } else { !uploading && rest[0] != "referrers" } {
        return Err(error(404, "NAME_UNKNOWN", "repository name not known to registry"));
    }
    match (request.method.as_str(), rest) {
        ("GET", ["tags", "list"]) => tags(state.repository(&name), request, &name),
        ("GET", ["referrers", digest]) => {
            let digest = parse(digest)?;
            if !state.settings.referrers {
                return Err(Response::new(404)
                    .with("content-type", "text/plain")
                    .body(*b"404 page not found\n"));
            }
            Ok(referrers(state.repositories.get(&name), digest, request.query("artifactType")))
        }
        ("POST", ["blobs", "uploads", ""]) => uploads::begin(state, host, request, &name),
        (_, ["blobs", "uploads", id]) => uploads::go_on(state, host, request, &name, id),
        ("GET" | "HEAD", ["blobs", digest]) => blob(state.repository(&name), request, parse(digest)?),
        ("DELETE", ["blobs", digest]) => match state.repository(&name).blobs.remove(&parse(digest)?) {
            Some(_) => Ok(Response::new(202)),
            None => Err(error(404, "BLOB_UNKNOWN", "blob unknown to registry")),
        },
        ("GET" | "HEAD", ["manifests", reference]) => manifests::get(state.repository(&name), reference),
        ("PUT", ["manifests", reference]) => manifests::put(state, host, request, &name, reference),
        ("DELETE", ["manifests", reference]) => manifests::delete(state.repository(&name), reference),
        _ => Err(error(405, "UNSUPPORTED", "the operation is unsupported")),
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`, and slashes between such.
fn is_name(name: &str) -> bool {
    name.split('/').all(|part| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
        let ends = part.bytes().next().is_some_and(plain) && part.bytes().last().is_some_and(plain);
        let mut between = part.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        let separates = |it: &str| matches!(it, "" | "." | "_" | "__") || it.bytes().all(|byte| byte == b'-');
        ends && between.all(separates)
    })
}

pub(super) fn parse(digest: &str) -> Result<Digest, Response> {
    digest.parse().map_err(|_| error(400, "DIGEST_INVALID", "provided digest is not a sha256"))
}

/// An address on this registry, as `Location` tells it.
pub(super) fn location(state: &State, host: &str, path: &str) -> String {
    if state.settings.absolute_locations { format!("http://{host}{path}") } else { path.to_owned() }
}

fn blob(repository: &Repository, request: &Request, digest: Digest) -> Result<Response, Response> {
    let unknown = || error(404, "BLOB_UNKNOWN", "blob unknown to registry");
    let bytes = repository.blobs.get(&digest).ok_or_else(unknown)?;
    let response = |status| {
        Response::new(status)
            .with("content-type", "application/octet-stream")
            .with("docker-content-digest", digest)
            .with("accept-ranges", "bytes")
    };
    let range = request.header("range").and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let (first, last) = match range.map(|(first, last)| (first.parse::<usize>(), last.parse::<usize>(), last))
    {
        Some((Ok(first), Ok(last), _)) if first <= last => (first, last),
        Some((Ok(first), Err(_), "")) => (first, usize::MAX),
        // What isn't understood isn't heeded.
        _ => return Ok(response(200).body(bytes.clone())),
    };
    let length = bytes.len();
    if first >= length {
        let refusal = error(416, "SIZE_INVALID", "the range lies behind the end");
        return Err(refusal.with("content-range", format!("bytes */{length}")));
    }
    let last = last.min(length - 1);
    let told = format!("bytes {first}-{last}/{length}");
    Ok(response(206).with("content-range", told).body(&bytes[first..=last]))
}

fn tags(repository: &Repository, request: &Request, name: &str) -> Result<Response, Response> {
    let most = match request.query("n").map(str::parse) {
        None => usize::MAX,
        Some(Ok(most)) => most,
        Some(Err(_)) => return Err(error(400, "PAGINATION_NUMBER_INVALID", "invalid number of results")),
    };
    let last = request.query("last").unwrap_or("");
    let left: Vec<&String> = repository.tags.keys().filter(|tag| tag.as_str() > last).collect();
    let page = &left[..left.len().min(most)];
    let list = json!({ "name": name, "tags": page }).to_string();
    let response = Response::new(200).with("content-type", "application/json").body(list.into_bytes());
    Ok(match page.last() {
        Some(last) if page.len() < left.len() => {
            response.with("link", format!("</v2/{name}/tags/list?n={most}&last={last}>; rel=\"next\""))
        }
        _ => response,
    })
}

/// An index of the manifests whose subject is that one; empty also where nothing is known.
fn referrers(repository: Option<&Repository>, subject: Digest, kind: Option<&str>) -> Response {
    let none = BTreeMap::new();
    let all = repository.map_or(&none, |repository| &repository.manifests);
    let descriptor = |(digest, Manifest { media_type, bytes }): (&Digest, &Manifest)| -> Option<Value> {
        let manifest: Value = serde_json::from_slice(bytes).ok()?;
        (manifest["subject"]["digest"] == subject.to_string()).then_some(())?;
        let told = json!({ "mediaType": media_type, "digest": digest.to_string(), "size": bytes.len() });
        let kind = manifest.get("artifactType").unwrap_or(&manifest["config"]["mediaType"]);
        let more = [("artifactType", kind), ("annotations", &manifest["annotations"])];
        Some(more.into_iter().filter(|(_, value)| !value.is_null()).fold(told, |mut told, (key, value)| {
            told[key] = value.clone();
            told
        }))
    };
    let wanted = |descriptor: &Value| kind.is_none_or(|kind| descriptor["artifactType"] == kind);
    let found: Vec<Value> = all.iter().filter_map(descriptor).filter(wanted).collect();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": found }).to_string();
    let response = Response::new(200).with("content-type", INDEX).body(index.into_bytes());
    if kind.is_some() { response.with("oci-filters-applied", "artifactType") } else { response }
}
