//! In what state a lock is, in one word.

/// A lock's state, worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Everything is pinned and recorded, and what is recorded is what comes out.
    Complete,
    /// Complete but for inputs that are given when building.
    Open,
    /// A source, the recipe or an output is not what was recorded.
    Stale,
    /// Digests are pinned; the documents or facts behind them aren't there.
    DigestOnly,
    /// A base or a platform has no digest, or there is no lock at all.
    Unpinned,
    /// A merge left its markers.
    Conflicted,
}

impl State {
    /// The state's name in messages and JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Open => "open",
            Self::Stale => "stale",
            Self::DigestOnly => "digest-only",
            Self::Unpinned => "unpinned",
            Self::Conflicted => "conflicted",
        }
    }

    /// Whether `--locked` builds with such a lock.
    pub const fn locked(self) -> bool {
        matches!(self, Self::Complete | Self::Open)
    }

    /// The command that mends it, to be followed by the target.
    pub const fn mend(self) -> Option<&'static str> {
        match self {
            Self::Complete | Self::Open => None,
            Self::Stale => Some("cooper build"),
            Self::DigestOnly | Self::Unpinned | Self::Conflicted => Some("cooper lock"),
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
