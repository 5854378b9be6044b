//! An OCI registry (distribution-spec 1.1) in this process, over plain HTTP: what it holds is put in and looked at from
//! outside, every request is on record, and it misbehaves when told.
//!
//! ```ignore
//! let registry = Registry::start();
//! registry.seed_layout("a/b", "1", &layout);
//! registry.set(|settings| settings.auth = Auth::Bearer(Bearer::new("me", "secret")));
//! registry.fault("GET", "/blobs/", 1, What::CutBody(100));
//! // … cooper pulls http://{registry.host()}/a/b:1 …
//! assert_eq!((registry.count("GET", "/blobs/"), registry.unused()), (3, 0));
//! ```
#![allow(dead_code, reason = "each test uses what it needs")]

mod api;
mod auth;
mod faults;
mod http;
mod manifests;
mod store;
mod tests;
mod uploads;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::Duration;

use cooperage::digest::Digest;

pub(crate) use auth::{Auth, Bearer, Make, Scopes};
pub(crate) use faults::What;
use store::State;

/// A registry on a port of its own; dropped, it is stopped.
pub(crate) struct Registry {
    shared: Arc<Shared>,
    address: SocketAddr,
    accepting: Option<JoinHandle<()>>,
}

/// How the registry behaves, apart from faults; by default open to all and able to do everything.
pub(crate) struct Settings {
    /// Who may do what.
    pub(crate) auth: Auth,
    /// Blobs are mounted from other repositories; otherwise a mount begins an upload.
    pub(crate) mount: bool,
    /// There is a referrers API; otherwise it answers 404 and a `subject` is nothing special.
    pub(crate) referrers: bool,
    /// A tag isn't moved to another manifest: the status that says so (Amazon's 400, others' 409 or 412).
    pub(crate) immutable: Option<u16>,
    /// Nothing is pushed to a repository that doesn't exist yet (404 `NAME_UNKNOWN`).
    pub(crate) known_only: bool,
    /// `Location` begins with the scheme and the host; otherwise with a slash.
    pub(crate) absolute_locations: bool,
}

/// A request on record, in the order of arrival. It is there before its answer is.
#[derive(Debug, Clone)]
pub(crate) struct Logged {
    /// In capitals.
    pub(crate) method: String,
    /// With the query, as sent.
    pub(crate) path: String,
    /// Lower-case names; values of a repeated one are joined with `, `.
    pub(crate) headers: BTreeMap<String, String>,
    /// Of the answer; 0 if there was none.
    pub(crate) status: u16,
    /// Bytes of the request's body.
    pub(crate) received: usize,
    /// Bytes of the answer's body, as far as they were given to the socket.
    pub(crate) sent: usize,
}

/// What the threads share.
struct Shared {
    host: String,
    state: Mutex<State>,
    open: Mutex<BTreeMap<usize, Arc<TcpStream>>>,
    closing: Mutex<bool>,
    closes: Condvar,
}

impl Registry {
    /// Listens on 127.0.0.1, empty.
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared {
            host: address.to_string(),
            state: Mutex::default(),
            open: Mutex::default(),
            closing: Mutex::new(false),
            closes: Condvar::new(),
        });
        let accepting = std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || accept(&shared, &listener)
        });
        Self { shared, address, accepting: Some(accepting) }
    }

    /// `127.0.0.1:PORT`
    pub(crate) fn host(&self) -> &str {
        &self.shared.host
    }

    /// Changes how it behaves from now on.
    pub(crate) fn set(&self, change: impl FnOnce(&mut Settings)) -> &Self {
        change(&mut self.shared.state().settings);
        self
    }

    /// The next `times` requests with this method (any, if empty) and this in their path or query go wrong; rules are
    /// tried in the order in which they were made, and a request uses up one.
    pub(crate) fn fault(&self, method: &str, path_contains: &str, times: usize, what: What) -> &Self {
        let (method, path_contains) = (method.to_owned(), path_contains.to_owned());
        self.shared.state().faults.push(faults::Fault { method, path_contains, times, what });
        self
    }

    /// From now on nothing goes wrong.
    pub(crate) fn forget_faults(&self) {
        self.shared.state().faults.clear();
    }

    /// How many faults have yet to happen.
    pub(crate) fn unused(&self) -> usize {
        self.shared.state().faults.iter().map(|fault| fault.times).sum()
    }

    /// All requests so far.
    pub(crate) fn requests(&self) -> Vec<Logged> {
        self.shared.state().log.clone()
    }

    /// How many requests so far had this method (any, if empty) and this in their path or query.
    pub(crate) fn count(&self, method: &str, path_contains: &str) -> usize {
        let fits = |request: &&Logged| faults::fits(method, path_contains, &request.method, &request.path);
        self.shared.state().log.iter().filter(fits).count()
    }

    /// Makes an empty repository.
    pub(crate) fn create(&self, repository: &str) -> &Self {
        self.shared.state().repository(repository);
        self
    }

    /// Puts a blob into a repository.
    pub(crate) fn put_blob(&self, repository: &str, bytes: impl Into<Arc<[u8]>>) -> Digest {
        self.shared.state().put_blob(repository, bytes.into())
    }

    /// Puts a manifest or index into a repository, unchecked, and moves the tag to it unless that is empty.
    pub(crate) fn put_manifest(
        &self,
        repository: &str,
        tag: &str,
        media_type: &str,
        bytes: impl Into<Arc<[u8]>>,
    ) -> Digest {
        self.shared.state().put_manifest(repository, tag, media_type, bytes.into())
    }

    /// Copies the image of that tag, with all below it, from an OCI image layout; the tag's digest is given.
    #[track_caller]
    pub(crate) fn seed_layout(&self, repository: &str, tag: &str, layout: &Path) -> Digest {
        self.shared.state().seed_layout(repository, tag, layout)
    }

    /// Media type and bytes of what a tag or digest names.
    pub(crate) fn manifest(&self, repository: &str, reference: &str) -> Option<(String, Vec<u8>)> {
        let state = self.shared.state();
        let (_, manifest) = state.repositories.get(repository)?.manifest(reference)?;
        Some((manifest.media_type.clone(), manifest.bytes.to_vec()))
    }

    /// A blob of a repository.
    pub(crate) fn blob(&self, repository: &str, digest: Digest) -> Option<Vec<u8>> {
        let state = self.shared.state();
        Some(state.repositories.get(repository)?.blobs.get(&digest)?.to_vec())
    }

    /// The tags of a repository and what they name.
    pub(crate) fn tags(&self, repository: &str) -> BTreeMap<String, Digest> {
        let state = self.shared.state();
        state.repositories.get(repository).map(|repository| repository.tags.clone()).unwrap_or_default()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        *self.shared.closing.lock().unwrap() = true;
        self.shared.closes.notify_all();
        for stream in self.shared.open.lock().unwrap().values() {
            _ = stream.shutdown(Shutdown::Both);
        }
        // One connection more, so that `accept` looks up.
        if TcpStream::connect_timeout(&self.address, Duration::from_secs(1)).is_ok() {
            let ended = self.accepting.take().unwrap().join();
            assert!(ended.is_ok() || std::thread::panicking(), "a thread of the registry panicked");
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            auth: Auth::None,
            mount: true,
            referrers: true,
            immutable: None,
            known_only: false,
            absolute_locations: false,
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn closing(&self) -> bool {
        *self.closing.lock().unwrap()
    }

    /// Sleeps so long, or until the registry is dropped.
    fn sleep(&self, time: Duration) {
        let closing = self.closing.lock().unwrap();
        drop(self.closes.wait_timeout_while(closing, time, |closing| !*closing).unwrap());
    }
}

/// A thread for each connection; all have ended when this returns.
fn accept(shared: &Shared, listener: &TcpListener) {
    std::thread::scope(|scope| {
        for (number, stream) in listener.incoming().enumerate() {
            let Ok(stream) = stream.map(Arc::new) else {
                shared.sleep(Duration::from_millis(10));
                continue;
            };
            // First among the open ones: who closes either finds it there or is seen here.
            shared.open.lock().unwrap().insert(number, Arc::clone(&stream));
            if shared.closing() {
                return;
            }
            scope.spawn(move || {
                // A client may leave at any time.
                _ = http::serve(shared, &stream);
                _ = stream.shutdown(Shutdown::Both);
                shared.open.lock().unwrap().remove(&number);
            });
        }
    });
}
