//! Registries (OCI distribution specification 1.1).
//!
//! Owns what is said to a registry: names of paths and scopes, tokens, verified documents, downloads that resume. How
//! bytes travel is `http`'s business; which credentials there are is asked of [`Credentials`].

mod auth;
mod download;
mod list;
mod push;

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread;

pub use auth::{Credential, Credentials, NoCredentials};
pub use download::Download;
pub use push::Arrived;

use crate::digest::Digest;
use crate::http::{self, Cause, Request, Response, Url};
use crate::oci::{Descriptor, MAX_DOCUMENT, MediaType, Reference};

/// Where Docker Hub answers.
const DOCKER_HUB: &str = "registry-1.docker.io";
/// Everything that can be built on, Docker's types too.
const MANIFESTS: &str = "application/vnd.oci.image.index.v1+json, application/vnd.oci.image.manifest.v1+json, \
    application/vnd.docker.distribution.manifest.list.v2+json, application/vnd.docker.distribution.manifest.v2+json";

/// All registries, as one process meets them.
pub struct Client {
    http: http::Client,
    credentials: Box<dyn Credentials>,
    tokens: Mutex<auth::Tokens>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.http.fmt(f)
    }
}

/// Makes what it makes.
type Open = dyn Fn() -> Result<Client, String> + Send + Sync;

/// All registries, for whoever may never need one: nothing is read or opened before.
pub struct Registries {
    open: Box<Open>,
    client: OnceLock<Result<Arc<Client>, String>>,
}

impl fmt::Debug for Registries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Registries")
    }
}

impl Registries {
    /// `open` is asked once, by whoever needs a registry first.
    pub fn new(open: impl Fn() -> Result<Client, String> + Send + Sync + 'static) -> Self {
        Self { open: Box::new(open), client: OnceLock::new() }
    }

    /// How many blobs may travel at once.
    pub fn concurrency(&self) -> usize {
        self.client().map_or(1, |client| client.http.settings().concurrency)
    }

    /// The client.
    ///
    /// # Errors
    /// What the site says can't be read.
    pub fn client(&self) -> Result<Arc<Client>, Error> {
        self.client.get_or_init(|| (self.open)().map(Arc::new)).clone().map_err(Error::Settings)
    }
}

/// Why something can't be had from a registry.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// A request that came to nothing.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// A document with other bytes than its digest promises.
    #[error("{url} gave {found}, not {expected}")]
    Unexpected {
        /// What was asked for.
        url: Url,
        /// The digest in the reference, the descriptor, or the registry's own header.
        expected: Digest,
        /// Of what came.
        found: Digest,
    },
    /// What the site says of registries can't be read.
    #[error("{0}")]
    Settings(String),
    /// Nothing of that name, in the registry or any mirror of it.
    #[error("{reference} is not in the registry")]
    NoSuchImage {
        /// As asked for.
        reference: String,
        /// A tag that was perhaps meant.
        suggestion: Option<String>,
    },
}

/// A document of a registry.
#[derive(Debug, Clone)]
pub struct Found {
    /// Media type as the registry told it, digest and size as counted here.
    pub descriptor: Descriptor,
    /// The document.
    pub bytes: Vec<u8>,
}

impl Client {
    /// Opens nothing yet.
    pub fn new(settings: http::Settings, credentials: Box<dyn Credentials>) -> Self {
        Self { http: http::Client::new(settings), credentials, tokens: Mutex::default() }
    }

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

    /// Opens what a URL gives, from a mirror of it or itself; nothing where it isn't there. It goes on where it broke. Whose
    /// bytes they are is for the reader to verify: a URL with http is asked in the clear.
    ///
    /// # Errors
    /// A URL that is none, or nobody who can give it.
    pub fn fetch(self: &Arc<Self>, url: &str, size: Option<u64>) -> Result<Option<Download>, Error> {
        let failed =
            |why: String| http::Error::new("GET", Url::default(), Cause::Request(format!("{url}: {why}")));
        let own = Url::parse(url).map_err(failed)?;
        let name = url.split_once("://").map_or(url, |(_, name)| name);
        let mut last = Ok(None);
        for place in self.http.settings().places(name) {
            let at = match place.split_once('/') {
                Some((host, path)) if place != name => self.http.root(host)?.join(&format!("/{path}")),
                _ => own.clone(),
            };
            match Download::fetch(Arc::clone(self), at, size) {
                Ok(Some(download)) => return Ok(Some(download)),
                Ok(None) => last = Ok(None),
                Err(error) => last = Err(error.into()),
            }
        }
        last
    }

    fn tokens<T>(&self, look: impl FnOnce(&mut auth::Tokens) -> T) -> T {
        look(&mut self.tokens.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Does `work` for each item, so many at once, in their order; the first error ends it.
///
/// # Errors
/// Those of `work`.
pub fn each<T: Sync, E: Send>(
    items: &[T],
    at_once: usize,
    work: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let state = Mutex::new((items.iter(), None));
    let locked = || state.lock().unwrap_or_else(PoisonError::into_inner);
    let next = || {
        let mut state = locked();
        if state.1.is_none() { state.0.next() } else { None }
    };
    let run = || {
        while let Some(item) = next() {
            if let Err(error) = work(item) {
                locked().1.get_or_insert(error);
            }
        }
    };
    thread::scope(|scope| {
        // Where there are no threads to be had, this one does it all.
        for _ in 1..at_once.min(items.len()) {
            _ = thread::Builder::new().spawn_scoped(scope, run);
        }
        run();
    });
    state.into_inner().unwrap_or_else(PoisonError::into_inner).1.map_or(Ok(()), Err)
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
    pub fn manifest(&self, reference: &str) -> Result<Option<Found>, Error> {
        let url = self.url(&format!("manifests/{reference}"))?;
        let mut request = Request::get(url.clone());
        request.headers.push(("accept", MANIFESTS.to_owned()));
        let response = self.send(request, "pull")?;
        let response = match response.status {
            200 => response,
            404 => return Ok(None),
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
        Ok(Some(Found { descriptor, bytes }))
    }

    /// Opens a blob, if it is there. What it gives is as long as `size` says; whose bytes they are is for the reader to
    /// verify.
    ///
    /// # Errors
    /// When it can't be had.
    pub fn blob(&self, digest: Digest, size: u64) -> Result<Option<Download>, Error> {
        Ok(Download::open(self.clone(), digest, size)?)
    }

    /// A URL below the repository's.
    fn url(&self, below: &str) -> Result<Url, http::Error> {
        let host = if self.host == "docker.io" { DOCKER_HUB } else { &self.host };
        Ok(self.client.http.root(host)?.join(&format!("/v2/{}/{below}", self.path)))
    }

    fn send(&self, request: Request<'_>, actions: &str) -> Result<Response, http::Error> {
        self.send_as(request, format!("repository:{}:{actions}", self.path))
    }

    fn send_as(&self, request: Request<'_>, scope: String) -> Result<Response, http::Error> {
        let auth = self.asking(scope);
        self.client.http.send(&Request { auth: Some(&auth), ..request })
    }

    const fn asking(&self, scope: String) -> auth::Asking<'_> {
        auth::Asking { repository: self, scope }
    }
}
