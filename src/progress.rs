//! What goes on, for whoever shows it.
//!
//! Owns the events and the trait; knows nothing of terminals. The library's rooms are silent unless `ops`
//! hands them a listener.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

/// Something that a person who waits would want to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Work of a kind on a thing begins: `reading layer 5f70bf18a086`.
    Begin {
        /// A verb in its -ing form.
        what: &'a str,
        /// A short name of the thing.
        name: &'a str,
    },
    /// So many more bytes of it were dealt with.
    Bytes(u64),
    /// It is done.
    End,
}

/// Listens. Called from several threads.
pub trait Progress: Send + Sync {
    /// Takes one event; must return at once.
    fn event(&self, event: Event<'_>);
}

/// Tells of the bytes that go by.
pub struct Counting<R> {
    inner: R,
    progress: Arc<dyn Progress>,
}

impl<R> Counting<R> {
    /// Tells `progress` what is read from `inner`.
    pub const fn new(inner: R, progress: Arc<dyn Progress>) -> Self {
        Self { inner, progress }
    }

    /// What is read from.
    pub fn into_inner(self) -> R {
        self.inner
    }
}

impl<R: Read> Read for Counting<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.progress.event(Event::Bytes(count as u64));
        Ok(count)
    }
}

/// Hears nothing.
pub struct Silent;

impl Progress for Silent {
    fn event(&self, _: Event<'_>) {}
}

impl fmt::Debug for dyn Progress + '_ {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Progress")
    }
}
