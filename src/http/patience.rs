//! How long one server is waited for in all: whoever is late every time, or fails every time, is late once too often.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Cause;

/// What is left of the time that a server may make us wait, by whatever way.
#[derive(Debug)]
pub(super) struct Patience {
    most: Duration,
    /// In which something must come.
    pub(super) window: Duration,
    spent: Mutex<Spent>,
}

#[derive(Debug, Default)]
struct Spent {
    total: Duration,
    /// What ended before was counted already.
    until: Option<Instant>,
}

impl Patience {
    pub(super) fn new(most: Duration, window: Duration) -> Self {
        Self { most, window, spent: Mutex::default() }
    }

    /// Why nobody waits any longer.
    pub(super) fn cause(&self) -> Cause {
        if self.left().is_zero() { Cause::Patience(self.most) } else { Cause::Timeout(self.window) }
    }

    /// What is left.
    pub(super) fn left(&self) -> Duration {
        self.most.saturating_sub(self.locked().total)
    }

    /// Notes that nothing came from `since` until `end`; what several threads waited for at once counts once.
    pub(super) fn spend(&self, since: Instant, end: Instant) {
        let mut spent = self.locked();
        let from = spent.until.map_or(since, |until| until.max(since));
        spent.total += end.saturating_duration_since(from);
        spent.until = Some(spent.until.map_or(end, |until| until.max(end)));
    }

    /// Notes what an answer took beyond a moment (of the usual minute two seconds): what comes promptly is no waiting,
    /// however often.
    pub(super) fn spend_late(&self, since: Instant) {
        let (prompt, now) = (since + self.window / 30, Instant::now());
        if now > prompt {
            self.spend(prompt, now);
        }
    }

    fn locked(&self) -> std::sync::MutexGuard<'_, Spent> {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_waited_for_at_once_counts_once() {
        let (begun, second) = (Instant::now(), Duration::from_secs(1));
        let patience = Patience::new(second * 10, second);
        for (since, end, left) in [(0, 2, 8), (1, 3, 7), (1, 2, 7), (5, 6, 6), (6, 20, 0), (30, 31, 0)] {
            patience.spend(begun + second * since, begun + second * end);
            assert_eq!(patience.left(), second * left, "{since} to {end}");
        }
    }
}
