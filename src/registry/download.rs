//! A blob on its way, taken up again where the connection broke.

use std::io::{self, Read};
use std::time::Instant;

use super::Repository;
use crate::digest::Digest;
use crate::http::{self, Cause, Request, Url};

/// Bytes in a second below which a connection counts as dead.
const SLOWEST: u64 = 1 << 10;
/// A connection that brought so much was a good one, though it broke.
const PROGRESS: u64 = 1 << 20;

/// The bytes of a blob.
pub struct Download {
    repository: Repository,
    url: Url,
    size: u64,
    at: u64,
    body: Option<Box<dyn Read + Send>>,
    failures: u32,
    /// Where the last failure was.
    failed_at: u64,
    /// When and where the speed was last looked at.
    mark: (Instant, u64),
}

impl Download {
    pub(super) fn open(
        repository: Repository,
        digest: Digest,
        size: u64,
    ) -> Result<Option<Self>, http::Error> {
        let url = repository.url(&format!("blobs/{digest}"))?;
        let mark = (Instant::now(), 0);
        let mut download = Self { repository, url, size, at: 0, body: None, failures: 0, failed_at: 0, mark };
        download.request().map(|found| found.then_some(download))
    }

    fn error(&self, cause: Cause) -> http::Error {
        http::Error { method: "GET", url: self.url.clone(), cause, attempts: self.failures + 1 }
    }

    /// Asks for what is missing; whether the blob is there at all.
    fn request(&mut self) -> Result<bool, http::Error> {
        let mut request = Request::get(self.url.clone());
        if self.at > 0 {
            request.headers.push(("range", format!("bytes={}-", self.at)));
        }
        let response = self.repository.send(request, "pull")?;
        let (left, length) = (self.size - self.at, response.length());
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
            404 => return Ok(false),
            _ => return Err(response.refused()),
        }
        if let Some(length) = length.filter(|length| *length != left + skip) {
            let (size, at) = (self.size, self.at - skip);
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
        let http = &self.repository.client.http;
        if self.failures >= http.settings().attempts {
            self.failures -= 1;
            return Err(io::Error::other(self.error(cause)));
        }
        http.wait(self.failures, None);
        Ok(())
    }

    /// A body that trickles is as good as none.
    fn is_slow(&mut self) -> bool {
        let timeout = self.repository.client.http.settings().timeout;
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
        let most = usize::try_from(self.size - self.at).map_or(buffer.len(), |left| left.min(buffer.len()));
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
            let timeout = self.repository.client.http.settings().timeout;
            match body.read(&mut buffer[..most]) {
                Ok(0) => self.broke(Cause::Broken("it ended early".into()))?,
                Ok(count) => {
                    self.at += count as u64;
                    if self.at < self.size && self.is_slow() {
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
