//! What the registry does wrong when told.

use std::sync::Arc;
use std::time::Duration;

use super::Shared;
use super::api;
use super::http::{Request, Response};

/// What happens to a request.
#[derive(Debug, Clone)]
pub(crate) enum What {
    /// Nothing is done, and this is the answer: status, headers, body.
    Status(u16, Vec<(&'static str, String)>, String),
    /// Nothing is done, and 307 leads to this address, in which `{path}` stands for the path and query asked for.
    Redirect(String),
    /// Nothing is done, and the connection is closed without an answer.
    Close,
    /// So many bytes of the request's body are taken, then the connection is closed; an upload keeps what arrived.
    CutUpload(usize),
    /// It is done, but the connection is closed without an answer.
    Lose,
    /// The answer comes so much later.
    Delay(Duration),
    /// Nothing is done and nothing is sent, but the connection stays open.
    Stall,
    /// The head and so many bytes of the body, then nothing, but the connection stays open.
    StallBody(usize),
    /// So many bytes of the body, then the connection is closed.
    CutBody(usize),
    /// `Content-Length` tells so many bytes more, and the connection is closed after the true ones; or so many bytes
    /// fewer, and the rest comes all the same.
    Length(isize),
    /// The body never ends (chunked).
    Endless,
    /// The body comes byte by byte, with so much time between them.
    Trickle(Duration),
    /// The head comes byte by byte, with so much time between them.
    TrickleHead(Duration),
    /// The request's body is taken in small pieces, with so much time between them.
    TrickleUpload(Duration),
    /// A `Range` isn't heeded, and the connection is closed so many bytes after what it asked for.
    Again(usize),
    /// The body comes in chunks, and nothing says how long it is.
    Chunked,
    /// What `Location` says is written in another way.
    Location(fn(&str) -> String),
    /// The body is another, made of the true one.
    Rewrite(fn(&str) -> String),
    /// A header (lower-case) has another value, or none; several where there are several lines.
    Header(&'static str, Option<String>),
    /// A bit in the middle of the body is another.
    Flip,
    /// The body is another, under the same headers.
    Bytes(Vec<u8>),
    /// The answer is honest, but afterwards the tag asked for names this digest, which the repository has.
    MoveTag(String),
    /// A `Range` isn't heeded: 200 with everything.
    IgnoreRange,
}

impl What {
    /// A status with the error that registries send with it.
    pub(crate) fn status(status: u16) -> Self {
        let code = match status {
            401 => "UNAUTHORIZED",
            403 => "DENIED",
            429 => "TOOMANYREQUESTS",
            _ => "UNKNOWN",
        };
        let body = api::error(status, code, "told to fail").body;
        let json = vec![("content-type", "application/json".to_owned())];
        Self::Status(status, json, String::from_utf8(body.to_vec()).unwrap())
    }

    /// `Retry-After` in seconds, with 429 or 503.
    pub(crate) fn retry_after(status: u16, seconds: u64) -> Self {
        match Self::status(status) {
            Self::Status(status, mut headers, body) => {
                headers.push(("retry-after", seconds.to_string()));
                Self::Status(status, headers, body)
            }
            other => other,
        }
    }

    /// `Docker-Content-Digest` is that of something else.
    pub(crate) fn wrong_digest() -> Self {
        Self::Header("docker-content-digest", Some(format!("sha256:{}", "0".repeat(64))))
    }
}

/// A rule.
pub(super) struct Fault {
    pub(super) method: String,
    pub(super) path_contains: String,
    pub(super) times: usize,
    pub(super) what: What,
}

/// Whether a rule is about a request.
pub(super) fn fits(method: &str, path_contains: &str, asked: &str, path: &str) -> bool {
    (method.is_empty() || method == asked) && path.contains(path_contains)
}

impl Shared {
    /// The fault that a request meets, which is used up.
    pub(super) fn meets(&self, request: &Request) -> Option<What> {
        let mut state = self.state();
        let fault = state.faults.iter_mut().find(|fault| {
            fault.times > 0 && fits(&fault.method, &fault.path_contains, &request.method, &request.target)
        })?;
        fault.times = fault.times.saturating_sub(1);
        Some(fault.what.clone())
    }

    /// The answer to a request, spoilt as far as it can be before it is sent; nothing if there shall be none.
    pub(super) fn respond(&self, request: &mut Request, what: Option<&What>) -> Option<Response> {
        match what {
            Some(What::Status(status, headers, body)) => {
                let response = Response::new(*status).body(body.as_bytes());
                return Some(
                    headers.iter().fold(response, |response, (name, value)| response.with(name, value)),
                );
            }
            Some(What::Redirect(to)) => {
                return Some(Response::new(307).with("location", to.replace("{path}", &request.target)));
            }
            Some(What::Close) => return None,
            Some(What::Stall) => {
                self.sleep(Duration::MAX);
                return None;
            }
            Some(What::Delay(time)) => self.sleep(*time),
            Some(What::IgnoreRange | What::Again(_)) => drop(request.headers.remove("range")),
            _ => {}
        }
        if !request.whole && request.method != "PATCH" {
            return None;
        }
        let mut state = self.state();
        let mut response = api::answer(&mut state, &self.host, request);
        match what {
            _ if !request.whole => return None,
            Some(What::Lose) => return None,
            Some(What::Header(name, value)) => {
                response.headers.retain(|(other, _)| other != name);
                let values = value.iter().flat_map(|value| value.lines());
                response.headers.extend(values.map(|value| ((*name).to_owned(), value.to_owned())));
            }
            Some(What::Flip) if !response.body.is_empty() => {
                let mut bytes = response.body.to_vec();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 1;
                response.body = bytes.into();
            }
            Some(What::Location(write)) => {
                for (_, value) in response.headers.iter_mut().filter(|(name, _)| name == "location") {
                    *value = write(value);
                }
            }
            Some(What::Rewrite(write)) => {
                response.body = write(&String::from_utf8_lossy(&response.body)).into_bytes().into();
            }
            Some(What::Bytes(bytes)) => response.body = Arc::from(&bytes[..]),
            Some(What::MoveTag(to)) => {
                let (repository, tag) = request.path["/v2/".len()..].rsplit_once("/manifests/").unwrap();
                state.repository(repository).tags.insert(tag.to_owned(), to.parse().unwrap());
            }
            _ => {}
        }
        Some(response)
    }
}
