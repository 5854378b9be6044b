//! An end to what brings nothing, below ureq.
//!
//! ureq limits each read, and most phases of a request. Bytes that move and bring nothing have no end there: a proxy's answer
//! to CONNECT, the size of a chunk, trailers, a record of TLS. Here every wait for a connection looks whether it is time.

use std::cell::Cell;
use std::time::Instant;

use ureq::unversioned::transport::time::Duration;
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, NextTimeout, RustlsConnector, TcpConnector,
    Transport,
};

thread_local! {
    /// ureq has no way to tell a connection what it is used for; but it uses it in the thread that asked.
    static UNTIL: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Does something in which no connection is waited for after `until`: it fails then, as soon as what is awaited has come or
/// has timed out by itself.
pub(super) fn within<T>(until: Option<Instant>, work: impl FnOnce() -> T) -> T {
    let before = UNTIL.replace(UNTIL.get().into_iter().chain(until).min());
    let done = work();
    UNTIL.set(before);
    done
}

/// What ureq opens connections with: its own ways, each connection watched.
pub(super) fn connector() -> impl Connector {
    let direct = ().chain(ConnectProxyConnector::default()).chain(TcpConnector::default());
    Opening(direct.chain(Watch).chain(RustlsConnector::default()))
}

/// Opening a connection is over in time, whatever it takes.
#[derive(Debug)]
struct Opening<C>(C);

impl<C: Connector> Connector for Opening<C> {
    type Out = C::Out;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        none: Option<()>,
    ) -> Result<Option<C::Out>, ureq::Error> {
        let until = match details.timeout.after {
            Duration::Exact(after) => Instant::now().checked_add(after),
            Duration::NotHappening => None,
        };
        within(until, || self.0.connect(details, none))
    }
}

#[derive(Debug)]
struct Watch;

impl<In: Transport> Connector<In> for Watch {
    type Out = Watched<In>;

    fn connect(
        &self,
        _: &ConnectionDetails<'_>,
        inner: Option<In>,
    ) -> Result<Option<Self::Out>, ureq::Error> {
        Ok(inner.map(Watched))
    }
}

/// A connection, before TLS makes something of it.
#[derive(Debug)]
struct Watched<T>(T);

fn check(timeout: NextTimeout) -> Result<NextTimeout, ureq::Error> {
    match UNTIL.get() {
        Some(until) if Instant::now() > until => Err(ureq::Error::Timeout(timeout.reason)),
        _ => Ok(timeout),
    }
}

impl<T: Transport> Transport for Watched<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.0.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), ureq::Error> {
        self.0.transmit_output(amount, check(timeout)?)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, ureq::Error> {
        self.0.await_input(check(timeout)?)
    }

    fn is_open(&mut self) -> bool {
        self.0.is_open()
    }

    fn is_tls(&self) -> bool {
        self.0.is_tls()
    }
}
