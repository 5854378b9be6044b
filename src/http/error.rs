//! What goes wrong with requests.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::Url;

/// A request that came to nothing.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{}{cause}{}", asked(method, url), times(*attempts))]
pub struct Error {
    /// GET, HEAD, PUT …
    pub method: &'static str,
    /// Where to.
    pub url: Url,
    /// What went wrong, the last time.
    pub cause: Cause,
    /// How often it was tried.
    pub attempts: u32,
}

/// Whoever never got so far as to have a URL asked for nothing.
fn asked(method: &str, url: &Url) -> String {
    if url.as_str().is_empty() { String::new() } else { format!("{method} {url}: ") }
}

fn times(attempts: u32) -> String {
    if attempts > 1 { format!(" (tried {attempts} times)") } else { String::new() }
}

/// What goes wrong with a request.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Cause {
    /// No connection, or none that TLS agrees to.
    #[error("cannot connect: {0}")]
    Connect(String),
    /// No way through the proxy that the environment names.
    #[error("cannot connect through the proxy {proxy}: {why}")]
    Proxy {
        /// Host, port and the variable that names it.
        proxy: String,
        /// What went wrong there.
        why: String,
    },
    /// Whoever answers isn't whom the certificates say.
    #[error("{0}")]
    Untrusted(String),
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(String),
    /// Nothing came for so long.
    #[error("no answer for {} seconds", .0.as_secs())]
    Timeout(Duration),
    /// An answer that says no.
    #[error("{}", complaint(*status, text))]
    Status {
        /// 404 …
        status: u16,
        /// What the server said, as it said it.
        text: String,
    },
    /// So long in all the server let us wait.
    #[error(
        "it has let us wait for {} seconds in all; `patience` in cooper's configuration says how long it may", .0.as_secs()
    )]
    Patience(Duration),
    /// `Retry-After` with a long time.
    #[error("the server asks to come back in {} seconds", .0.as_secs())]
    ComeBack(Duration),
    /// A redirect that leads nowhere, or in a circle.
    #[error("redirected {0}")]
    Redirect(String),
    /// What must be encrypted would not have been.
    #[error("it would go over plain HTTP, which nothing allows for this host")]
    Plain,
    /// An answer larger than it may be.
    #[error("the answer has more than {cap} bytes")]
    TooLarge {
        /// In bytes.
        cap: u64,
    },
    /// What nobody has said the size of goes on and on.
    #[error("it has more than {cap} bytes; `max-size` in cooper's configuration says how many it may have")]
    Endless {
        /// In bytes.
        cap: u64,
    },
    /// It is of no use to go on where it broke: it has to come anew.
    #[error("{0}")]
    Changed(&'static str),
    /// An answer that contradicts itself or what was asked for.
    #[error("{0}")]
    Answer(String),
    /// What should have been sent can't be read, or isn't what it should be.
    #[error("{0}")]
    Source(Arc<io::Error>),
    /// The request can't be made.
    #[error("{0}")]
    Request(String),
}

fn complaint(status: u16, text: &str) -> String {
    let known = ureq::http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let known = known.map_or_else(|| status.to_string(), |known| format!("{status} {known}"));
    // A page for people says less than the number.
    let text = if text.starts_with('<') { "" } else { text };
    let shown: String = text.chars().filter(|c| !c.is_control()).take(300).collect();
    if shown.is_empty() { known } else { format!("{known}: {shown}") }
}

impl Error {
    /// Of a request that was never sent, or an answer that was read to its end.
    pub const fn new(method: &'static str, url: Url, cause: Cause) -> Self {
        Self { method, url, cause, attempts: 1 }
    }
}
