//! HTTP for whoever talks to registries.
//!
//! Owns connections, TLS, retries, redirects and timeouts, so that nothing waits for ever and nothing goes out in the
//! clear that wasn't allowed to. It must not know what it carries: bodies are streams, and credentials are asked of
//! the caller through [`Authorize`], for the server that the request names and no other.

mod body;
mod deadline;
mod error;
mod patience;
mod pem;
mod proxy;
mod response;
mod retry;
mod settings;
mod url;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

pub use error::{Cause, Error};
pub use proxy::Proxies;
pub use response::Response;
pub use settings::{Host, Mirror, Settings};
use ureq::SendBody;
use ureq::http::Method;
use ureq::tls::{ClientCert, RootCerts, TlsConfig};
use ureq::unversioned::resolver::DefaultResolver;
pub use url::{Url, secrets, shown};

use self::body::{Stream, Watched, longest};
use self::patience::Patience;
use self::response::MAX_COMPLAINT;

/// A server that asks for more patience than this is reported instead.
const LONGEST_WAIT: Duration = Duration::from_secs(120);
/// As many hops as curl's users meet.
const MAX_REDIRECTS: usize = 5;

/// Gives what a server wants to see in `Authorization`.
pub trait Authorize: Sync {
    /// For the next request, if anything is known yet.
    fn header(&self) -> Option<String>;

    /// The server answered 401 with these `WWW-Authenticate` headers. Whether another attempt is worth it.
    ///
    /// # Errors
    /// When credentials can't be had.
    fn challenged(&self, challenges: &[String]) -> Result<bool, Error>;
}

/// A request that may be sent several times.
pub struct Request<'r> {
    /// GET, HEAD, PUT …
    pub method: &'static str,
    /// Where to.
    pub url: Url,
    /// Beside what every request has.
    pub headers: Vec<(&'static str, String)>,
    /// What is sent along.
    pub body: Body<'r>,
    /// Who knows the credentials; nobody: none are sent.
    pub auth: Option<&'r dyn Authorize>,
    /// Its headers or its body hold a secret: it is for the server of its URL alone.
    pub secret: bool,
    /// Nothing in it is secret and whoever reads the answer knows its digest: it may go in the clear, where its URL says so
    /// and the settings don't forbid it.
    pub clear: bool,
}

/// What a request carries.
pub enum Body<'r> {
    /// Nothing.
    None,
    /// These bytes.
    Bytes(&'r [u8]),
    /// What a reader gives.
    Stream {
        /// Opened for each attempt.
        open: Source<'r>,
        /// So many bytes it has.
        size: u64,
    },
}

/// Opens what is sent, from its beginning.
pub type Source<'r> = &'r dyn Fn() -> io::Result<Box<dyn Read + Send>>;

impl Request<'_> {
    /// Without anything special.
    pub const fn new(method: &'static str, url: Url) -> Self {
        Self { method, url, headers: Vec::new(), body: Body::None, auth: None, secret: false, clear: false }
    }

    /// GET without anything special.
    pub const fn get(url: Url) -> Self {
        Self::new("GET", url)
    }
}

/// Connections to all servers of a process.
pub struct Client {
    settings: Settings,
    /// By the host that something is special about, and by the proxy.
    agents: Mutex<BTreeMap<(String, &'static str), ureq::Agent>>,
    patience: Mutex<BTreeMap<String, Arc<Patience>>>,
    schemes: Mutex<BTreeMap<String, &'static str>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Client {
    /// Opens nothing yet.
    pub fn new(settings: Settings) -> Self {
        Self { settings, agents: Mutex::default(), patience: Mutex::default(), schemes: Mutex::default() }
    }

    /// What it was made with.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The root of a host's URLs. Of a host that is this machine, and of which the settings say nothing, it is found
    /// out whether it speaks TLS; all others do.
    ///
    /// # Errors
    /// When such a host can't be reached.
    pub fn root(&self, host: &str) -> Result<Url, Error> {
        let url = |scheme: &str| Url::parse(&format!("{scheme}://{host}"));
        let wrong = |why: String| Error::new("GET", Url::default(), Cause::Request(why));
        let tls = url("https").map_err(wrong)?;
        if let Some(plain) = self.plain(&tls) {
            return if plain { url("http").map_err(wrong) } else { Ok(tls) };
        }
        if !tls.is_loopback() {
            return Ok(tls);
        }
        let locked = || self.schemes.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(scheme) = locked().get(host) {
            return url(scheme).map_err(wrong);
        }
        let probe = Request::get(tls.join("/v2/"));
        let scheme = match self.once(&probe, &probe.url, None) {
            Ok(_) => "https",
            // A certificate that isn't trusted is no reason to speak in the clear.
            Err(Error { cause: Cause::Untrusted(_), .. }) => "https",
            Err(_) => "http",
        };
        locked().insert(host.to_owned(), scheme);
        url(scheme).map_err(wrong)
    }

    /// Sends a request until it is answered by something else than "not now", as often as the settings say, and follows
    /// redirects.
    ///
    /// # Errors
    /// See [`Cause`]. An answer that says no is no error.
    pub fn send(&self, request: &Request<'_>) -> Result<Response, Error> {
        self.send_upto(request, self.settings.attempts)
    }

    /// As [`send`](Self::send), so many times at most.
    ///
    /// # Errors
    /// As for [`send`](Self::send).
    pub fn send_upto(&self, request: &Request<'_>, most: u32) -> Result<Response, Error> {
        let (mut attempts, mut challenges) = (0, 0);
        loop {
            attempts += 1;
            let last = attempts >= most;
            let with = |mut error: Error| {
                error.attempts = attempts;
                error
            };
            match self.follow(request) {
                // Whoever a redirect led to has no say in it.
                Ok(response)
                    if response.status == 401 && challenges < 2 && response.url.same_origin(&request.url) =>
                {
                    let Some(auth) = request.auth else { return Ok(response) };
                    challenges += 1;
                    attempts -= 1;
                    let said = response.headers("www-authenticate");
                    // Read to its end, so that the connection serves again.
                    _ = response.bytes(MAX_COMPLAINT);
                    if !auth.challenged(&said)? {
                        let text = String::new();
                        let cause = Cause::Status { status: 401, text };
                        return Err(Error::new(request.method, request.url.clone(), cause));
                    }
                }
                Ok(response) if matches!(response.status, 408 | 429 | 500 | 502 | 503 | 504) => {
                    let asked = retry::asked(response.header("retry-after"), response.header("date"));
                    let longest = LONGEST_WAIT.min(self.patience(&request.url).left());
                    if let Some(asked) = asked.filter(|asked| *asked > longest) {
                        return Err(with(Error::new(
                            request.method,
                            request.url.clone(),
                            Cause::ComeBack(asked),
                        )));
                    }
                    if last {
                        return Err(with(response.refused()));
                    }
                    self.wait_for(&request.url, attempts, asked);
                }
                Ok(response) => return Ok(response),
                Err(error) if last || !passes(&error.cause) => return Err(with(error)),
                Err(_) => self.wait_for(&request.url, attempts, None),
            }
        }
    }

    /// Sleeps as long as a server asks for, or longer with every attempt; no longer than it may be waited for.
    pub(crate) fn wait_for(&self, url: &Url, attempts: u32, asked: Option<Duration>) {
        let (patience, begun) = (self.patience(url), Instant::now());
        std::thread::sleep(self.pause(attempts, asked).min(patience.left()));
        patience.spend(begun, Instant::now());
    }

    fn pause(&self, attempts: u32, asked: Option<Duration>) -> Duration {
        let doubled = self.settings.backoff.saturating_mul(1 << attempts.min(6));
        // Many builds that were refused together must not come back together. The clock's last digits are as good as
        // dice here.
        let jitter = f64::from(Instant::now().elapsed().subsec_nanos() % 97) / 97.0 + 0.5;
        let own = doubled.mul_f64(jitter).min(LONGEST_WAIT / 4);
        // Who says "not now, but at once" is asked no sooner than anybody: each refusal costs some patience.
        asked.map_or(own, |asked| asked.max(self.settings.backoff))
    }

    /// What is left of it for a server.
    fn patience(&self, url: &Url) -> Arc<Patience> {
        let mut all = self.patience.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(Patience::new(self.settings.patience, self.settings.timeout));
        Arc::clone(all.entry(url.server()).or_insert_with(new))
    }

    fn follow(&self, request: &Request<'_>) -> Result<Response, Error> {
        let (mut url, mut auth) = (request.url.clone(), request.auth);
        for _ in 0..=MAX_REDIRECTS {
            let response = self.once(request, &url, auth)?;
            let moves = matches!(response.status, 301 | 302 | 303 | 307 | 308);
            let again =
                moves && (matches!(request.method, "GET" | "HEAD") || matches!(response.status, 307 | 308));
            if !again {
                return Ok(response);
            }
            let failed = |why: String| Error::new(request.method, request.url.clone(), Cause::Redirect(why));
            let Some(location) = response.header("location") else {
                return Err(failed("without saying where to".into()));
            };
            let next =
                url.resolve(location).map_err(|why| failed(format!("to {:?}: {why}", shown(location))))?;
            if url.is_tls() && !next.is_tls() && self.plain(&next) != Some(true) {
                return Err(failed(format!("to {next}, which is not encrypted")));
            }
            // What is meant for one server is not for another, nor for the one that the other leads to.
            if !next.same_origin(&request.url) {
                auth = None;
                if request.secret {
                    let why = "another server, where nothing secret is sent";
                    return Err(failed(format!("to {next}, {why}")));
                }
            }
            url = next;
        }
        let why = format!("more than {MAX_REDIRECTS} times");
        Err(Error::new(request.method, request.url.clone(), Cause::Redirect(why)))
    }

    /// Whether the settings say that a host is spoken to in the clear.
    fn plain(&self, url: &Url) -> Option<bool> {
        self.settings.host_of(url).and_then(|host| host.plain_http)
    }

    /// One request, one answer, of a server that may still be waited for.
    fn once(
        &self,
        request: &Request<'_>,
        url: &Url,
        auth: Option<&dyn Authorize>,
    ) -> Result<Response, Error> {
        let patience = self.patience(&request.url);
        if patience.left().is_zero() {
            let cause = Cause::Patience(self.settings.patience);
            return Err(Error::new(request.method, url.clone(), cause));
        }
        let mut since = Instant::now();
        let answer = self.exchange(request, url, auth, &mut since);
        match &answer {
            Ok(_) => patience.spend_late(since),
            Err(_) => patience.spend(since, Instant::now()),
        }
        answer
    }

    /// The same; `since` is when all was sent that there was to send.
    fn exchange(
        &self,
        request: &Request<'_>,
        url: &Url,
        auth: Option<&dyn Authorize>,
        since: &mut Instant,
    ) -> Result<Response, Error> {
        let failed = |cause| Error::new(request.method, url.clone(), cause);
        if !url.is_tls() && !self.plain(url).unwrap_or_else(|| request.clear || url.is_loopback()) {
            return Err(failed(Cause::Plain));
        }
        let agent = self.agent(url).map_err(failed)?;
        let method: Method =
            request.method.parse().map_err(|_| failed(Cause::Request("no such method".into())))?;
        let mut built = ureq::http::Request::builder().method(method).uri(url.as_str());
        for (name, value) in &request.headers {
            built = built.header(*name, value);
        }
        if let Some(header) = auth.and_then(Authorize::header) {
            built = built.header("authorization", header);
        }
        let unbuildable = |error: ureq::http::Error| failed(Cause::Request(error.to_string()));
        let sent = match &request.body {
            // These have a body, if only an empty one: without its length (RFC 9110, 8.6) some servers wait or say 411.
            Body::None if matches!(request.method, "POST" | "PUT" | "PATCH") => {
                agent.run(built.body(&b""[..]).map_err(unbuildable)?)
            }
            Body::None => agent.run(built.body(()).map_err(unbuildable)?),
            Body::Bytes(bytes) => agent.run(built.body(*bytes).map_err(unbuildable)?),
            Body::Stream { open, size } => {
                let unreadable = |error: io::Error| failed(Cause::Source(Arc::new(error)));
                let mut source = Watched::new(open().map_err(unreadable)?, self.settings.timeout);
                let built = built.header("content-length", size.to_string());
                let built = built.body(SendBody::from_reader(&mut source)).map_err(unbuildable)?;
                let built = agent.configure_request(built);
                let most = longest(*size, self.settings.timeout);
                let sent = agent.run(built.timeout_send_body(Some(most)).build());
                *since = source.given.map_or(*since, |(given, _)| given);
                match source.failed {
                    Some(error) => return Err(unreadable(error)),
                    None if source.slow => return Err(failed(Cause::Timeout(self.settings.timeout))),
                    None => sent,
                }
            }
        };
        let blamed = |error: &ureq::Error| self.settings.proxies.of(url)?.blamed(error);
        let sent = sent.map_err(|error| failed(blamed(&error).unwrap_or_else(|| self.cause(error))))?;
        let (head, body) = sent.into_parts();
        let body = body.into_with_config().limit(u64::MAX).reader();
        Ok(Response {
            status: head.status.as_u16(),
            headers: head.headers,
            body: Stream::new(body, self.patience(&request.url)),
            method: request.method,
            url: url.clone(),
        })
    }

    fn cause(&self, error: ureq::Error) -> Cause {
        match error {
            ureq::Error::Rustls(error @ rustls::Error::InvalidCertificate(_)) => {
                Cause::Untrusted(error.to_string())
            }
            ureq::Error::Timeout(_) => Cause::Timeout(self.settings.timeout),
            ureq::Error::HostNotFound => Cause::Connect("there is no such host".into()),
            ureq::Error::Io(error) => self.io_cause(error),
            error @ (ureq::Error::ConnectionFailed
            | ureq::Error::Tls(_)
            | ureq::Error::Rustls(_)
            | ureq::Error::ConnectProxyFailed(_)
            | ureq::Error::InvalidProxyUrl) => Cause::Connect(error.to_string()),
            ureq::Error::BadUri(why) => Cause::Request(shown(&why)),
            ureq::Error::Http(error) => Cause::Request(error.to_string()),
            error => Cause::Broken(error.to_string()),
        }
    }

    fn io_cause(&self, error: io::Error) -> Cause {
        // What rustls meets while it reads comes inside of what reading says.
        match error.downcast() {
            Ok(error @ rustls::Error::InvalidCertificate(_)) => Cause::Untrusted(error.to_string()),
            Ok(error) => Cause::Broken(error.to_string()),
            Err(error) => match error.kind() {
                io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Cause::Timeout(self.settings.timeout),
                io::ErrorKind::ConnectionRefused => Cause::Connect(error.to_string()),
                _ => Cause::Broken(error.to_string()),
            },
        }
    }

    /// The connections to a host: each may have a certificate authority of its own.
    fn agent(&self, url: &Url) -> Result<ureq::Agent, Cause> {
        let special = self.settings.host_of(url).filter(|host| host.ca.is_some() || host.client.is_some());
        let proxy = self.settings.proxies.of(url);
        let host = if special.is_some() { url.authority() } else { "" };
        let key = (host.to_owned(), proxy.map(proxy::Proxy::key).unwrap_or_default());
        let mut agents = self.agents.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(agent) = agents.get(&key) {
            return Ok(agent.clone());
        }
        let mut tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier);
        if let Some(ca) = special.and_then(|host| host.ca.as_ref()) {
            tls = tls.root_certs(RootCerts::Specific(Arc::new(pem::certificates(ca)?)));
        }
        if let Some((certificate, key)) = special.and_then(|host| host.client.as_ref()) {
            tls = tls.client_cert(Some(ClientCert::new_with_certs(
                &pem::certificates(certificate)?,
                pem::private_key(key)?,
            )));
        }
        let stall = Some(self.settings.timeout);
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .user_agent(concat!("cooper/", env!("CARGO_PKG_VERSION")))
            .accept("*/*")
            .timeout_resolve(stall)
            .timeout_connect(stall)
            .timeout_recv_response(stall)
            .timeout_per_read(stall)
            .timeout_per_write(stall)
            .max_idle_connections_per_host(8)
            .proxy(proxy.map(proxy::Proxy::open).transpose()?)
            .tls_config(tls.build())
            .build();
        let agent = ureq::Agent::with_parts(config, deadline::connector(), DefaultResolver::default());
        agents.insert(key, agent.clone());
        Ok(agent)
    }
}

/// Whether another attempt may end otherwise.
const fn passes(cause: &Cause) -> bool {
    matches!(cause, Cause::Connect(_) | Cause::Proxy { .. } | Cause::Broken(_) | Cause::Timeout(_))
}
