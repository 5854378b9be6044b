//! All registries, as one process meets them: how they are asked, who we are there, and what they handed out.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Instant;

use super::credentials::Credentials;
use super::error::Error;
use crate::disk;
use crate::http::{self, Url};

/// Where Docker Hub answers.
const DOCKER_HUB: &str = "registry-1.docker.io";
/// What was handed out so far: by host, and for tokens by scope.
#[derive(Default)]
pub(super) struct Tokens {
    pub(super) bearer: BTreeMap<(String, String), (String, Instant)>,
    /// Hosts and repositories that asked for a password.
    pub(super) basic: BTreeMap<(String, String), String>,
}

/// All registries, as one process meets them.
pub struct Client {
    pub(super) http: http::Client,
    pub(super) credentials: Box<dyn Credentials>,
    tokens: Mutex<Tokens>,
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

    /// So many bytes a fetch may have whose size no lock says.
    ///
    /// # Errors
    /// As for [`Registries::client`].
    pub fn max_size(&self) -> Result<u64, Error> {
        Ok(self.client()?.http.settings().max_size)
    }

    /// Whether the site lets recipes read a path outside of their workspace.
    ///
    /// # Errors
    /// As for [`Registries::client`].
    pub fn may_read(&self, path: &Path) -> Result<bool, Error> {
        Ok(self.client()?.http.settings().files.iter().any(|dir| disk::lies_in(path, dir)))
    }

    /// The client.
    ///
    /// # Errors
    /// What the site says can't be read.
    pub fn client(&self) -> Result<Arc<Client>, Error> {
        self.client.get_or_init(|| (self.open)().map(Arc::new)).clone().map_err(Error::Settings)
    }
}

impl Client {
    /// Opens nothing yet.
    pub fn new(settings: http::Settings, credentials: Box<dyn Credentials>) -> Self {
        Self { http: http::Client::new(settings), credentials, tokens: Mutex::default() }
    }

    /// A URL below that of a repository.
    pub(super) fn url(&self, host: &str, path: &str, below: &str) -> Result<Url, http::Error> {
        let host = if host == "docker.io" { DOCKER_HUB } else { host };
        Ok(self.http.root(host)?.join(&format!("/v2/{path}/{below}")))
    }

    pub(super) fn tokens<T>(&self, look: impl FnOnce(&mut Tokens) -> T) -> T {
        look(&mut self.tokens.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
