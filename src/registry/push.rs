//! What is written to a repository: blobs, then the documents that name them.
//!
//! Nothing is sent that is there already, and what lies in another repository of the registry is mounted from it.

use super::{Error, Repository};
use crate::digest::Digest;
use crate::http::{self, Body, Cause, Request, Response, Source, Url};

/// A mount spares all bytes, but these are a way around it: nobody waits long for one.
const MOUNT_ATTEMPTS: u32 = 2;

/// How a blob came to be where it was wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    /// It was there.
    Before,
    /// From another repository of the registry, without its bytes.
    Mounted,
    /// Its bytes were sent.
    Sent,
}

/// Where an upload goes on.
enum Begun {
    Mounted,
    At(Url),
}

impl Repository {
    /// The digest that the registry tells of a tag or digest, if there is such a manifest. Nothing, too, where it doesn't
    /// tell who may write: what is there is written again then.
    ///
    /// # Errors
    /// When it can't be asked.
    pub fn told(&self, reference: &str) -> Result<Option<Digest>, Error> {
        let url = self.url(&format!("manifests/{reference}"))?;
        let mut request = Request::new("HEAD", url.clone());
        request.headers.push(("accept", super::MANIFESTS.to_owned()));
        let response = self.send(request, "pull,push")?;
        match response.status {
            200 => {
                let digest = response.header("docker-content-digest").and_then(|text| text.parse().ok());
                if let Some(digest) = digest.or_else(|| reference.parse().ok()) {
                    return Ok(Some(digest));
                }
            }
            404 | 410 => return Ok(None),
            status if is_no_answer(status) => {}
            _ => return Err(response.refused().into()),
        }
        // Some keep it to themselves: then the document itself says it.
        match self.manifest(reference) {
            Ok(found) => Ok(found.map(|found| found.descriptor.digest)),
            Err(Error::Http(http::Error { cause: Cause::Status { status, .. }, .. }))
                if is_no_answer(status) =>
            {
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Brings a blob into the repository; `from` are others of the same registry that may have it, `open` gives its bytes.
    ///
    /// # Errors
    /// When the registry doesn't take it, or `open` doesn't give what `digest` and `size` say.
    pub fn put_blob(
        &self,
        digest: Digest,
        size: u64,
        from: &[String],
        open: Source<'_>,
    ) -> Result<Arrived, Error> {
        let mut attempts = 0;
        loop {
            // Also after an upload whose end was lost: its bytes may have arrived. Where that isn't known, they are sent.
            if self.has_blob(digest)? {
                return Ok(if attempts == 0 { Arrived::Before } else { Arrived::Sent });
            }
            let place = match self.begin(digest, from)? {
                Begun::Mounted => return Ok(Arrived::Mounted),
                Begun::At(place) => place,
            };
            attempts += 1;
            let http = &self.client.http;
            match self.upload(&place.with("digest", &digest.to_string()), digest, size, open) {
                Ok(()) => return Ok(Arrived::Sent),
                Err(Error::Http(mut error)) if attempts >= http.settings().attempts => {
                    error.attempts = attempts;
                    return Err(error.into());
                }
                Err(Error::Http(error)) if is_passing(&error.cause) => {
                    http.wait_for(&self.url("")?, attempts, None);
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn has_blob(&self, digest: Digest) -> Result<bool, Error> {
        let request = Request::new("HEAD", self.url(&format!("blobs/{digest}"))?);
        let response = self.send(request, "pull,push")?;
        match response.status {
            200 => Ok(true),
            404 | 410 => Ok(false),
            status if is_no_answer(status) => Ok(false),
            _ => Err(response.refused().into()),
        }
    }

    /// Begins an upload, or makes one needless.
    fn begin(&self, digest: Digest, from: &[String]) -> Result<Begun, Error> {
        let start = self.url("blobs/uploads/")?;
        for other in from.iter().filter(|other| **other != self.path) {
            let url = start.with("mount", &digest.to_string()).with("from", other);
            let auth = self.asking(format!("repository:{}:pull,push repository:{other}:pull", self.path));
            let request = Request { auth: Some(&auth), ..Request::new("POST", url) };
            match self.client.http.send_upto(&request, MOUNT_ATTEMPTS) {
                Ok(response) if response.status == 201 => return Ok(Begun::Mounted),
                Ok(response) if response.status == 202 => {
                    if let Ok(place) = self.location(response) {
                        return Ok(Begun::At(place));
                    }
                }
                Ok(_) => {}
                // Whoever may not read there, or meets a registry that knows no mounts or fails at them, sends the bytes.
                Err(error) if is_passing(&error.cause) || is_refusal(&error.cause) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let response = self.send(Request::new("POST", start), "pull,push")?;
        match response.status {
            202 => self.location(response).map(Begun::At),
            _ => Err(response.refused().into()),
        }
    }

    /// Where an upload goes on: as whoever answered means it, which after a redirect isn't whom we asked.
    fn location(&self, response: Response) -> Result<Url, Error> {
        let answered = response.url().clone();
        let failed = |why: String| http::Error::new("POST", answered.clone(), Cause::Answer(why));
        let Some(location) = response.header("location").map(str::to_owned) else {
            return Err(failed("the answer does not say where the upload goes".into()).into());
        };
        _ = response.bytes(1 << 16);
        let wrong = |why: String| failed(format!("the upload should go to {location:?}: {why}"));
        let place = answered.resolve(&location).map_err(wrong)?;
        if answered.is_tls() && !place.is_tls() {
            return Err(wrong("that is not encrypted".to_owned()).into());
        }
        Ok(place)
    }

    fn upload(&self, place: &Url, digest: Digest, size: u64, open: Source<'_>) -> Result<(), Error> {
        let mut request = Request::new("PUT", place.clone());
        request.headers.push(("content-type", "application/octet-stream".to_owned()));
        request.body = Body::Stream { open, size };
        let asking = self.asking(format!("repository:{}:pull,push", self.path));
        if place.same_origin(&self.url("")?) {
            request.auth = Some(&asking);
        }
        // Once: an upload that broke is begun anew.
        let response = self.client.http.send_upto(&request, 1)?;
        self.accepted(response, digest)
    }

    /// Puts a document under a tag or its digest.
    ///
    /// # Errors
    /// When the registry doesn't take it.
    pub fn put_manifest(&self, reference: &str, media_type: &str, bytes: &[u8]) -> Result<(), Error> {
        self.put_document(reference, media_type, bytes).map(drop)
    }

    /// The same; whether the registry said that it keeps what the document's `subject` is referred to by.
    pub(super) fn put_document(
        &self,
        reference: &str,
        media_type: &str,
        bytes: &[u8],
    ) -> Result<bool, Error> {
        let mut request = Request::new("PUT", self.url(&format!("manifests/{reference}"))?);
        request.headers.push(("content-type", media_type.to_owned()));
        request.body = Body::Bytes(bytes);
        let response = self.send(request, "pull,push")?;
        let keeps = response.header("oci-subject").is_some();
        self.accepted(response, Digest::of(bytes)).map(|()| keeps)
    }

    /// That the registry took what it was given for what it is.
    fn accepted(&self, response: Response, expected: Digest) -> Result<(), Error> {
        if !matches!(response.status, 200..=204) {
            return Err(response.refused().into());
        }
        let told = response.header("docker-content-digest").and_then(|text| text.parse().ok());
        match told.filter(|told| *told != expected) {
            Some(found) => Err(Error::Unexpected { url: response.url().clone(), expected, found }),
            None => Ok(_ = response.bytes(1 << 16)),
        }
    }
}

/// Whether a status says nothing of what there is: that isn't told to us, or not in this way. Storage that a registry
/// redirects to may answer GET only.
const fn is_no_answer(status: u16) -> bool {
    matches!(status, 400 | 403 | 405 | 406 | 501)
}

/// Whether a server said no.
const fn is_refusal(cause: &Cause) -> bool {
    matches!(cause, Cause::Status { .. } | Cause::ComeBack(_))
}

/// Whether an upload that failed so may succeed when it is begun anew: a session that the registry lost, too.
const fn is_passing(cause: &Cause) -> bool {
    match cause {
        Cause::Connect(_) | Cause::Proxy { .. } | Cause::Broken(_) | Cause::Timeout(_) => true,
        Cause::Status { status, .. } => matches!(*status, 404 | 408 | 416 | 429 | 500 | 502 | 503 | 504),
        _ => false,
    }
}
