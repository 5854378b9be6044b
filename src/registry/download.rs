//! A blob on its way, taken up again where the connection broke.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Instant;

use super::Repository;
use super::client::Client;
use super::error::Error;
use crate::digest::Digest;
use crate::http::{self, Cause, Request, Response, Url};

/// Bytes in a second below which a connection counts as dead.
const SLOWEST: u64 = 1 << 10;
/// A connection that brought so much was a good one, though it broke.
const PROGRESS: u64 = 1 << 20;

/// Who is asked.
enum Place {
    Repository(Repository),
    /// Anybody: without credentials.
    Anywhere(Arc<Client>),
}

/// The bytes of a blob, or of what a URL gives.
pub struct Download {
    place: Place,
    url: Url,
    /// Nothing where it isn't known before.
    size: Option<u64>,
    at: u64,
    body: Option<Box<dyn Read + Send>>,
    failures: u32,
    /// Where the last failure was.
    failed_at: u64,
    /// When and where the speed was last looked at.
    mark: (Instant, u64),
}

impl Client {
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

    fn open(repository: Repository, digest: Digest, size: u64) -> Result<Option<Self>, http::Error> {
        let url = repository.url(&format!("blobs/{digest}"))?;
        Self::begin(Place::Repository(repository), url, Some(size))
    }

    fn fetch(client: Arc<Client>, url: Url, size: Option<u64>) -> Result<Option<Self>, http::Error> {
        Self::begin(Place::Anywhere(client), url, size)
    }

    fn begin(place: Place, url: Url, size: Option<u64>) -> Result<Option<Self>, http::Error> {
        let mark = (Instant::now(), 0);
        let mut download = Self { place, url, size, at: 0, body: None, failures: 0, failed_at: 0, mark };
        download.request().map(|found| found.then_some(download))
    }

    fn http(&self) -> &http::Client {
        match &self.place {
            Place::Repository(repository) => &repository.client.http,
            Place::Anywhere(client) => &client.http,
        }
    }

    fn send(&self, request: Request<'_>) -> Result<Response, http::Error> {
        match &self.place {
            Place::Repository(repository) => repository.send(request, "pull"),
            Place::Anywhere(client) => client.http.send(&request),
        }
    }

    fn error(&self, cause: Cause) -> http::Error {
        http::Error { method: "GET", url: self.url.clone(), cause, attempts: self.failures + 1 }
    }

    /// Asks for what is missing; whether the blob is there at all.
    fn request(&mut self) -> Result<bool, http::Error> {
        let mut request = Request::get(self.url.clone());
        request.clear = matches!(self.place, Place::Anywhere(_));
        if self.at > 0 {
            request.headers.push(("range", format!("bytes={}-", self.at)));
        }
        let response = self.send(request)?;
        let length = response.length();
        let mut skip = 0;
        match response.status {
            // All of it, though not all was asked for.
            200 => skip = self.at,
            206 => {
                let told = response.header("content-range").unwrap_or_default();
                if !told.trim_start().starts_with(&format!("bytes {}-", self.at)) {
                    return Err(self
                        .error(Cause::Answer(format!("the answer holds {told:?}, not what was asked for"))));
                }
            }
            404 | 410 => return Ok(false),
            _ => return Err(response.refused()),
        }
        let from = self.at - skip;
        let size = *self.size.get_or_insert(length.map_or(u64::MAX, |length| from.saturating_add(length)));
        if let Some(length) = length.filter(|length| Some(*length) != size.checked_sub(from)) {
            let at = from;
            let why = format!("the answer has {length} bytes where {} are missing of {size}", size - at);
            return Err(self.error(Cause::Answer(why)));
        }
        let mut body = response.into_body();
        if skip > 0 {
            let broken = |error: io::Error| self.error(Cause::Broken(error.to_string()));
            if io::copy(&mut body.by_ref().take(skip), &mut io::sink()).map_err(broken)? < skip {
                return Err(self.error(Cause::Broken("it ended early".into())));
            }
        }
        self.mark = (Instant::now(), self.at);
        self.body = Some(body);
        Ok(true)
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
        self.http().wait(self.failures, None);
        Ok(())
    }

    /// A body that trickles is as good as none.
    fn is_slow(&mut self) -> bool {
        let timeout = self.http().settings().timeout;
        let (since, from) = self.mark;
        if since.elapsed() < timeout {
            return false;
        }
        self.mark = (Instant::now(), self.at);
        self.at - from < SLOWEST * timeout.as_secs()
    }
}

impl Read for Download {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // Nobody has said how much will come: it ends when it ends.
        let size = self.size.unwrap_or(u64::MAX);
        let open_end = size == u64::MAX;
        let most = usize::try_from(size - self.at).map_or(buffer.len(), |left| left.min(buffer.len()));
        let timeout = self.http().settings().timeout;
        if most == 0 {
            return Ok(0);
        }
        loop {
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
                Ok(0) if open_end => return Ok(0),
                Ok(0) => self.broke(Cause::Broken("it ended early".into()))?,
                Ok(count) => {
                    self.at += count as u64;
                    if self.at < size && self.is_slow() {
                        self.broke(Cause::Timeout(timeout))?;
                    }
                    return Ok(count);
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
