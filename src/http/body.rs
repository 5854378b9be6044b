//! Bodies on their way, in and out, with a floor under their speed: one that trickles is as good as none.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::deadline::within;
use super::patience::Patience;

/// Bytes in a second below which a connection counts as dead.
const SLOWEST: u64 = 1 << 10;
/// The same of a body that nobody else has said the size of: what it takes beyond that is time that the server lets us wait,
/// however well it keeps above the floor.
const STEADY: u64 = 16 << 10;

/// How much comes while the other side is waited for. What this side does in between doesn't count.
struct Pace {
    window: Duration,
    waited: Duration,
    bytes: u64,
    slow: bool,
}

impl Pace {
    const fn new(window: Duration) -> Self {
        Self { window, waited: Duration::ZERO, bytes: 0, slow: false }
    }

    /// At the end of a window: what it took beyond what it should have.
    fn note(&mut self, waited: Duration, count: usize) -> Duration {
        self.waited += waited;
        self.bytes += count as u64;
        if self.waited < self.window {
            return Duration::ZERO;
        }
        self.slow = u128::from(self.bytes) * 1000 < u128::from(SLOWEST) * self.waited.as_millis();
        let late =
            self.waited.saturating_sub(Duration::from_millis(self.bytes.saturating_mul(1000) / STEADY));
        (self.waited, self.bytes) = (Duration::ZERO, 0);
        late
    }
}

/// So long a body of `size` bytes may be on its way, however it comes in pieces.
pub(super) fn longest(size: u64, timeout: Duration) -> Duration {
    timeout.saturating_add(Duration::from_secs(size / SLOWEST))
}

/// What a server sends. Its silence is another error than its other troubles.
pub(super) struct Stream {
    inner: ureq::BodyReader<'static>,
    pace: Pace,
    /// Of the server that was asked.
    pub(super) patience: Arc<Patience>,
    /// All of it must have come by then.
    pub(super) until: Option<Instant>,
    /// Nobody else has said its size.
    pub(super) unmeasured: bool,
}

impl Stream {
    pub(super) fn new(inner: ureq::BodyReader<'static>, patience: Arc<Patience>) -> Self {
        Self { inner, pace: Pace::new(patience.window), patience, until: None, unmeasured: false }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let begun = Instant::now();
        // Something must come in time, whatever moves meanwhile.
        let latest = begun.checked_add(self.pace.window).into_iter().chain(self.until).min();
        let count = within(latest, || self.inner.read(buffer)).map_err(|error| {
            // ureq takes its own errors out of what reading said.
            match ureq::Error::from(error) {
                ureq::Error::Timeout(_) => io::ErrorKind::TimedOut.into(),
                error => error.into_io(),
            }
        })?;
        // One that has ended wasn't too slow.
        let impatient = || self.unmeasured && self.patience.left().is_zero();
        if count > 0 && (self.pace.slow || self.until.is_some_and(|until| begun > until) || impatient()) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let late = self.pace.note(begun.elapsed(), count);
        if self.unmeasured && !late.is_zero() {
            let now = Instant::now();
            self.patience.spend(now.checked_sub(late).unwrap_or(now), now);
        }
        Ok(count)
    }
}

/// What is sent: a source that keeps its own failure, which is none of the connection's.
pub(super) struct Watched {
    inner: Box<dyn Read + Send>,
    pace: Pace,
    /// When the last of it was given, and how much.
    pub(super) given: Option<(Instant, usize)>,
    pub(super) failed: Option<io::Error>,
    /// The server takes too little.
    pub(super) slow: bool,
}

impl Watched {
    pub(super) fn new(inner: Box<dyn Read + Send>, timeout: Duration) -> Self {
        Self { inner, pace: Pace::new(timeout), given: None, failed: None, slow: false }
    }
}

impl Read for Watched {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if let Some((since, count)) = self.given {
            self.pace.note(since.elapsed(), count);
        }
        self.slow = self.pace.slow;
        if self.slow {
            return Err(io::ErrorKind::TimedOut.into());
        }
        let count = self.inner.read(buffer).map_err(|error| {
            let kind = error.kind();
            self.failed = Some(error);
            io::Error::from(kind)
        })?;
        self.given = Some((Instant::now(), count));
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_floor() {
        let second = Duration::from_secs(1);
        for (steps, slow) in [
            // The window isn't over yet.
            (&[(second, 1)][..], false),
            (&[(second, 1), (second, 1)], true),
            (&[(second, 1), (second, 1 << 20)], false),
            (&[(second * 2, 2047)], true),
            (&[(second * 2, 2048)], false),
            // What came long ago doesn't count.
            (&[(second, 1 << 20), (second, 0), (second, 9), (second, 9)], true),
            (&[(second * 600, 600 << 10)], false),
        ] {
            let mut pace = Pace::new(second * 2);
            steps.iter().for_each(|(waited, count)| _ = pace.note(*waited, *count));
            assert_eq!(pace.slow, slow, "{steps:?}");
        }
        assert_eq!(longest(60 << 10, second), second * 61);
        for (waited, count, late) in [
            (1, 0, 0),
            (2, 0, 2000),
            (2, 16 << 10, 1000),
            (2, 32 << 10, 0),
            (2, 1 << 30, 0),
            (4, 1 << 10, 3938),
        ] {
            let noted = Pace::new(second * 2).note(second * waited, count);
            assert_eq!(noted, Duration::from_millis(late), "{count} in {waited}");
        }
    }
}
