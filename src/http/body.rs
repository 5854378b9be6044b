//! Bodies on their way, in and out, with a floor under their speed: one that trickles is as good as none.

use std::io::{self, Read};
use std::time::{Duration, Instant};

/// Bytes in a second below which a connection counts as dead.
const SLOWEST: u64 = 1 << 10;

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

    fn note(&mut self, waited: Duration, count: usize) {
        self.waited += waited;
        self.bytes += count as u64;
        if self.waited >= self.window {
            self.slow = u128::from(self.bytes) * 1000 < u128::from(SLOWEST) * self.waited.as_millis();
            (self.waited, self.bytes) = (Duration::ZERO, 0);
        }
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
    /// All of it must have come by then.
    pub(super) until: Option<Instant>,
}

impl Stream {
    pub(super) const fn new(inner: ureq::BodyReader<'static>, timeout: Duration) -> Self {
        Self { inner, pace: Pace::new(timeout), until: None }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let begun = Instant::now();
        let count = self.inner.read(buffer).map_err(|error| {
            // ureq takes its own errors out of what reading said.
            match ureq::Error::from(error) {
                ureq::Error::Timeout(_) => io::ErrorKind::TimedOut.into(),
                error => error.into_io(),
            }
        })?;
        // One that has ended wasn't too slow.
        if count > 0 && (self.pace.slow || self.until.is_some_and(|until| begun > until)) {
            return Err(io::ErrorKind::TimedOut.into());
        }
        self.pace.note(begun.elapsed(), count);
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
            steps.iter().for_each(|(waited, count)| pace.note(*waited, *count));
            assert_eq!(pace.slow, slow, "{steps:?}");
        }
        assert_eq!(longest(60 << 10, second), second * 61);
    }
}
