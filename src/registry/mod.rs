//! Registries (OCI distribution specification 1.1).
//!
//! Owns what is said to a registry: names of paths and scopes, tokens, verified documents, downloads that resume. How
//! bytes travel is `http`'s business; which credentials there are is asked of [`Credentials`].

mod auth;
mod client;
mod credentials;
mod download;
mod each;
mod error;
mod list;
mod push;

use std::fmt;
use std::sync::Arc;

pub use client::{Client, Registries};
pub use credentials::{Credential, Credentials, NoCredentials};
pub use download::Download;
pub use each::each;
pub use error::Error;
pub use push::Arrived;

use self::auth::Asking;
use crate::digest::Digest;
use crate::http::{self, Cause, Request, Response, Url};
use crate::oci::{Descriptor, MAX_DOCUMENT, MediaType, Reference};

/// Everything that can be built on, Docker's types too.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// A document of a registry.
#[derive(Debug, Clone)]
pub struct Fetched {
    /// Media type as the registry told it, digest and size as counted here.
    pub descriptor: Descriptor,
    /// The document.
    pub bytes: Vec<u8>,
}

impl Client {
    /// Where the repository of a reference may be read: its mirrors, then itself.
    pub fn places(self: &Arc<Self>, reference: &Reference) -> Vec<Repository> {
        let name = format!("{}/{}", reference.registry, reference.repository);
        let places = self.http.settings().places(&name).into_iter();
        let split = places.filter_map(|place| {
            let (host, path) = place.split_once('/')?;
            Some(Repository { client: Arc::clone(self), host: host.to_owned(), path: path.to_owned() })
        });
        split.collect()
    }

    /// The repository of a reference itself: where it is written.
    pub fn repository(self: &Arc<Self>, reference: &Reference) -> Repository {
        let (host, path) = (reference.registry.clone(), reference.repository.clone());
        Repository { client: Arc::clone(self), host, path }
    }
}

/// One repository of one registry.
#[derive(Debug, Clone)]
pub struct Repository {
    client: Arc<Client>,
    /// As in references.
    host: String,
    path: String,
}

impl Repository {
    /// The registry, as references name it.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Its name there.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.host, self.path)
    }
}

impl Repository {
    /// How many blobs may travel at once.
    pub fn concurrency(&self) -> usize {
        self.client.http.settings().concurrency
    }

    /// The manifest or index of a tag or digest, if there is one.
    ///
    /// # Errors
    /// When it can't be had, isn't what its digest says, or is larger than documents are.
    pub fn manifest(&self, reference: &str) -> Result<Option<Fetched>, Error> {
        let url = self.url(&format!("manifests/{reference}"))?;
        let mut request = Request::get(url.clone());
        request.headers.push(("accept", MANIFESTS.to_owned()));
        let response = self.send(request, "pull")?;
        let response = match response.status {
            200 => response,
            404 | 410 => return Ok(None),
            _ => return Err(response.refused().into()),
        };
        let told = response.header("docker-content-digest").and_then(|text| text.parse::<Digest>().ok());
        let media_type = response
            .header("content-type")
            .map(|text| text.split(';').next().unwrap_or(text).trim().to_owned());
        let bytes = response.bytes(MAX_DOCUMENT)?;
        let mut descriptor = Descriptor::of(MediaType::Manifest, &bytes);
        let found = descriptor.digest;
        for expected in [reference.parse().ok(), told].into_iter().flatten() {
            if expected != found {
                return Err(Error::Unexpected { url, expected, found });
            }
        }
        let Some(media_type) = media_type else {
            let cause = Cause::Answer("the answer does not say what kind of document it is".into());
            return Err(http::Error::new("GET", url, cause).into());
        };
        descriptor.media_type = media_type;
        Ok(Some(Fetched { descriptor, bytes }))
    }

    /// A URL below the repository's.
    fn url(&self, below: &str) -> Result<Url, http::Error> {
        self.client.url(&self.host, &self.path, below)
    }

    fn send(&self, request: Request<'_>, actions: &str) -> Result<Response, http::Error> {
        let auth = self.asking(format!("repository:{}:{actions}", self.path));
        self.client.http.send(&Request { auth: Some(&auth), ..request })?.unless_page()
    }

    fn asking(&self, scope: String) -> Asking<'_> {
        Asking { client: &self.client, host: &self.host, path: &self.path, scope }
    }
}
