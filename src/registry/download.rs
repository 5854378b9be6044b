//! A blob on its way, taken up again where the connection broke.

use std::io::{self, Read};
use std::sync::Arc;

use super::Repository;
use super::client::Client;
use super::error::Error;
use crate::digest::Digest;
use crate::http::{self, Cause, Request, Response, Url, shown};

/// A connection that brought so much was a good one, though it broke.
const PROGRESS: u64 = 1 << 20;
const CHANGED: &str = "it became another file while it came";
const UNTOLD: &str = "it broke, and nothing says whether its rest is still of the same file";

/// Who is asked.
enum Place {
    Repository(Repository),
    /// Anybody: without credentials.
    Anywhere {
        client: Arc<Client>,
        /// Whoever reads knows the digest, and so whether parts are of the same file.
        verified: bool,
    },
}

/// The bytes of a blob, or of what a URL gives.
pub struct Download {
    place: Place,
    url: Url,
    /// Nothing as long as nobody has said it.
    size: Option<u64>,
    /// Somebody else than who gives it has.
    measured: bool,
    /// What tells it from other versions of itself.
    version: Option<String>,
    at: u64,
    body: Option<Box<dyn Read + Send>>,
    /// What the body repeats of what has come already.
    skip: u64,
    failures: u32,
    /// Where the last failure was.
    failed_at: u64,
    /// How often it came from its beginning where its rest was asked for.
    repeats: u32,
}

impl Client {
    /// Opens what a URL gives, from a mirror of it or itself; nothing where it isn't there. It goes on where it broke. Whose
    /// bytes they are is for the reader to verify: a URL with http is asked in the clear. Where the reader has no digest to do so
    /// (it isn't `verified`), parts of two versions are never joined.
    ///
    /// # Errors
    /// A URL that is none, or nobody who can give it.
    pub fn fetch(
        self: &Arc<Self>,
        url: &str,
        size: Option<u64>,
        verified: bool,
    ) -> Result<Option<Download>, Error> {
        let failed = |why: String| {
            let why = format!("{}: {why}", shown(url));
            http::Error::new("GET", Url::default(), Cause::Request(why))
        };
        let own = Url::parse(url).map_err(failed)?;
        let name = url.split_once("://").map_or(url, |(_, name)| name);
        let mut last = Ok(None);
        for place in self.http.settings().places(name) {
            let at = match place.split_once('/') {
                Some((host, path)) if place != name => self.http.root(host)?.join(&format!("/{path}")),
                _ => own.clone(),
            };
            let from = Place::Anywhere { client: Arc::clone(self), verified };
            match Download::begin(from, at, size) {
                Ok(Some(download)) => return Ok(Some(download)),
                Ok(None) => last = Ok(None),
                Err(error) => last = Err(error.into()),
            }
        }
        last
    }
}

impl Repository {
    /// Opens a blob, if it is there. What it gives is as long as `size` says; whose bytes they are is for the reader to
    /// verify.
    ///
    /// # Errors
    /// When it can't be had.
    pub fn blob(&self, digest: Digest, size: u64) -> Result<Option<Download>, Error> {
        Ok(Download::open(self.clone(), digest, size)?)
    }
}

impl Download {
    /// The request that failed for good, in an I/O error where a download put it.
    pub fn failure(error: &io::Error) -> Option<&http::Error> {
        error.get_ref()?.downcast_ref()
    }

    /// Whether it broke and went on.
    pub const fn was_joined(&self) -> bool {
        self.failed_at > 0
    }

    fn open(repository: Repository, digest: Digest, size: u64) -> Result<Option<Self>, http::Error> {
        let url = repository.url(&format!("blobs/{digest}"))?;
        Self::begin(Place::Repository(repository), url, Some(size))
    }

    fn begin(place: Place, url: Url, size: Option<u64>) -> Result<Option<Self>, http::Error> {
        let mut download = Self {
            place,
            url,
            size,
            measured: size.is_some(),
            version: None,
            at: 0,
            body: None,
            skip: 0,
            failures: 0,
            failed_at: 0,
            repeats: 0,
        };
        download.request().map(|found| found.then_some(download))
    }

    fn http(&self) -> &http::Client {
        match &self.place {
            Place::Repository(repository) => &repository.client.http,
            Place::Anywhere { client, .. } => &client.http,
        }
    }

    fn send(&self, request: Request<'_>) -> Result<Response, http::Error> {
        match &self.place {
            // Whatever kind of file it is said to be: its digest tells.
            Place::Repository(repository) => {
                let auth = repository.asking(format!("repository:{}:pull", repository.path));
                repository.client.http.send(&Request { auth: Some(&auth), ..request })
            }
            Place::Anywhere { client, .. } => client.http.send(&request),
        }
    }

    fn error(&self, cause: Cause) -> http::Error {
        http::Error { method: "GET", url: self.url.clone(), cause, attempts: self.failures + 1 }
    }

    /// Asks for what is missing; whether the blob is there at all.
    fn request(&mut self) -> Result<bool, http::Error> {
        let mut request = Request::get(self.url.clone());
        request.clear = matches!(self.place, Place::Anywhere { .. });
        if self.at > 0 {
            request.headers.push(("range", format!("bytes={}-", self.at)));
            request.headers.extend(self.version.clone().map(|version| ("if-range", version)));
        }
        let response = self.send(request)?;
        let length = response.length();
        self.skip = 0;
        match response.status {
            // All of it, though not all was asked for.
            200 if self.at > 0 => {
                self.repeats += 1;
                if self.repeats >= self.http().settings().attempts {
                    let why =
                        "it broke, and came from its beginning again each time that its rest was asked for";
                    return Err(self.error(Cause::Answer(why.into())));
                }
                self.skip = self.at;
            }
            200 => {
                if let Place::Anywhere { .. } = self.place {
                    self.version = response.version();
                }
            }
            206 => self.rest(response.header("content-range").unwrap_or_default())?,
            // It broke at its very end.
            416 if self.at > 0 && response.header("content-range").is_some_and(|told| self.ends(told)) => {
                self.size = Some(self.at);
                return Ok(true);
            }
            404 | 410 => return Ok(false),
            _ => return Err(response.refused()),
        }
        if self.at > 0 && self.is_other(&response) {
            return Err(self.error(Cause::Changed(CHANGED)));
        }
        let from = self.at - self.skip;
        let cap = self.http().settings().max_size;
        if !self.measured && length.is_some_and(|length| length > cap) {
            return Err(self.error(Cause::Endless { cap }));
        }
        if let Some(length) = length {
            let size = *self.size.get_or_insert(from.saturating_add(length));
            if Some(length) != size.checked_sub(from) {
                if self.at > 0 && !self.measured {
                    return Err(self.error(Cause::Changed(CHANGED)));
                }
                let missing = size.saturating_sub(from);
                let why = format!("the answer has {length} bytes where {missing} are missing of {size}");
                return Err(self.error(Cause::Answer(why)));
            }
        }
        self.body = Some(response.into_body(self.measured));
        Ok(true)
    }

    /// Whether what comes now is, or may be, of another version than what has come.
    fn is_other(&self, response: &Response) -> bool {
        let Some(own) = &self.version else { return false };
        let unverified = matches!(self.place, Place::Anywhere { verified: false, .. });
        response.version().map_or(unverified && response.status == 200, |version| version != *own)
    }

    /// Whether a range that can't be had (`bytes */SIZE`) begins at the end.
    fn ends(&self, told: &str) -> bool {
        self.size.is_none() && told.trim() == format!("bytes */{}", self.at)
    }

    /// Looks whether a part (`bytes FROM-TO/SIZE`) is the rest.
    fn rest(&mut self, told: &str) -> Result<(), http::Error> {
        let part = told.trim().strip_prefix("bytes ").and_then(|part| part.split_once('/'));
        let from = part.and_then(|(part, _)| part.split('-').next());
        if from.and_then(|from| from.parse().ok()) != Some(self.at) {
            let why = format!("the answer holds {told:?}, not what was asked for");
            return Err(self.error(Cause::Answer(why)));
        }
        let size: Option<u64> = part.and_then(|(_, size)| size.parse().ok());
        match (self.size, size) {
            (Some(own), Some(size)) if own != size && !self.measured => {
                return Err(self.error(Cause::Changed(CHANGED)));
            }
            (None, size) => self.size = size,
            _ => {}
        }
        Ok(())
    }

    /// Notes that the connection is of no use any more; an error when that happened too often.
    fn broke(&mut self, cause: Cause) -> io::Result<()> {
        self.body = None;
        if self.at - self.failed_at >= PROGRESS {
            self.failures = 0;
        }
        (self.failures, self.failed_at) = (self.failures + 1, self.at);
        if self.failures >= self.http().settings().attempts {
            self.failures -= 1;
            return Err(io::Error::other(self.error(cause)));
        }
        self.http().wait_for(&self.url, self.failures, None);
        let untold = self.version.is_none() && matches!(self.place, Place::Anywhere { verified: false, .. });
        if untold && self.at > 0 {
            return Err(io::Error::other(self.error(Cause::Changed(UNTOLD))));
        }
        Ok(())
    }

    /// Takes what came into the buffer: how much of it is new.
    fn take(&mut self, buffer: &mut [u8], count: usize) -> io::Result<usize> {
        let old = usize::try_from(self.skip).map_or(count, |skip| skip.min(count));
        buffer.copy_within(old..count, 0);
        self.skip -= old as u64;
        self.at += (count - old) as u64;
        let cap = self.http().settings().max_size;
        if !self.measured && self.at > cap {
            return Err(io::Error::other(self.error(Cause::Endless { cap })));
        }
        Ok(count - old)
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let timeout = self.http().settings().timeout;
        loop {
            // Where nobody has said how much will come, it ends when it ends.
            let left = self.size.map_or(u64::MAX, |size| size - self.at);
            let most = usize::try_from(left).map_or(buffer.len(), |left| left.min(buffer.len()));
            if most == 0 {
                return Ok(0);
            }
            let Some(body) = &mut self.body else {
                match self.request() {
                    Ok(true) => {}
                    Ok(false) => {
                        return Err(io::Error::other(self.error(Cause::Answer("it is gone".into()))));
                    }
                    // Tried often enough already.
                    Err(error) => return Err(io::Error::other(error)),
                }
                continue;
            };
            match body.read(&mut buffer[..most]) {
                Ok(0) if self.size.is_none() && self.skip == 0 => return Ok(0),
                Ok(0) => self.broke(Cause::Broken("it ended early".into()))?,
                Ok(count) => {
                    let new = self.take(buffer, count)?;
                    if new > 0 {
                        return Ok(new);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                    self.broke(Cause::Timeout(timeout))?
                }
                Err(error) => self.broke(Cause::Broken(error.to_string()))?,
            }
        }
    }
}
