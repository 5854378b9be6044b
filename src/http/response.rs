//! What a server answered.

use std::fmt;
use std::io::{self, Read};
use std::time::Instant;

use ureq::http::HeaderMap;

use super::body::Stream;
use super::{Cause, Error, Url};

/// What is kept of an answer that says what is wrong.
pub(super) const MAX_COMPLAINT: u64 = 16 << 10;

/// A server's answer, its body unread.
pub struct Response {
    /// 200, 404 …
    pub status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Stream,
    /// As asked, for messages.
    pub(super) method: &'static str,
    pub(super) url: Url,
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}: {}", self.method, self.url, self.status)
    }
}

impl Response {
    /// The first header of that name, if it is text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// All headers of that name.
    pub fn headers(&self, name: &str) -> Vec<String> {
        let all = self.headers.get_all(name).into_iter();
        all.filter_map(|value| value.to_str().ok()).map(str::to_owned).collect()
    }

    /// What tells the body from other versions of itself, strongly enough for `If-Range` (RFC 9110, 13.1.5).
    pub fn version(&self) -> Option<String> {
        let tag = self.header("etag").map(str::trim);
        if let Some(tag) = tag {
            return (tag.len() > 2 && tag.starts_with('"') && tag.ends_with('"')).then(|| tag.to_owned());
        }
        let modified = self.header("last-modified")?.trim();
        // Within a minute, what has the same time may be another version.
        let aged =
            super::retry::seconds(self.header("date")?)?.checked_sub(super::retry::seconds(modified)?)?;
        (aged >= 60).then(|| modified.to_owned())
    }

    /// Where it came from.
    pub const fn url(&self) -> &Url {
        &self.url
    }

    /// `Content-Length`.
    pub fn length(&self) -> Option<u64> {
        self.header("content-length")?.trim().parse().ok()
    }

    /// The answer, if it is one for programs: a page for people comes from a proxy or portal in between. Some registries
    /// call everything such a page that has no body to speak of (Quay): what only they say tells them apart.
    ///
    /// # Errors
    /// When it is such a page.
    pub fn unless_page(self) -> Result<Self, Error> {
        let kind = self.header("content-type").unwrap_or_default().to_ascii_lowercase();
        let said =
            ["docker-content-digest", "docker-upload-uuid", "docker-distribution-api-version", "location"];
        let empty = self.method != "HEAD" && self.length() == Some(0);
        let is_answer = empty || said.iter().any(|name| self.header(name).is_some());
        if !(200..300).contains(&self.status)
            || !kind.trim_start().starts_with("text/html")
            || (self.method != "GET" && is_answer)
        {
            return Ok(self);
        }
        let why = "a page for people (text/html) came in place of the registry's answer; does a proxy or portal want a login?";
        Err(Error::new(self.method, self.url, Cause::Answer(why.to_owned())))
    }

    /// The body. One that nobody else has said the size of may let us wait as little as an answer may.
    pub fn into_body(mut self, measured: bool) -> Box<dyn Read + Send> {
        self.body.unmeasured = !measured;
        Box::new(self.body)
    }

    /// The body, whole.
    ///
    /// # Errors
    /// When it can't be read, or has more than `cap` bytes.
    pub fn bytes(mut self, cap: u64) -> Result<Vec<u8>, Error> {
        let read = self.read(cap + 1);
        let failed = |cause| Error::new(self.method, self.url, cause);
        match read {
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(failed(self.body.patience.cause())),
            Err(error) => Err(failed(Cause::Broken(error.to_string()))),
            Ok(bytes) if bytes.len() as u64 > cap => Err(failed(Cause::TooLarge { cap })),
            Ok(bytes) => Ok(bytes),
        }
    }

    /// The error that this answer amounts to.
    pub fn refused(mut self) -> Error {
        // A complaint that can't be read is none.
        let text = self.read(MAX_COMPLAINT).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).trim().to_owned();
        Error::new(self.method, self.url, Cause::Status { status: self.status, text })
    }

    /// So much of the body, as long as the server may be waited for.
    fn read(&mut self, most: u64) -> io::Result<Vec<u8>> {
        let begun = Instant::now();
        self.body.until = begun.checked_add(self.body.patience.left());
        let mut bytes = Vec::new();
        let read = (&mut self.body).take(most).read_to_end(&mut bytes);
        self.body.patience.spend_late(begun);
        read.map(|_| bytes)
    }
}
