//! Which byte contract holds. Whatever decides bytes lies in a module named for one of these, and is reached by it.

/// The number of the byte contract: everything between parsed recipe, lock and sources and the image's bytes.
///
/// A lock names its encoding; every later version of Cooper still has the code that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Encoding {
    /// `book/src/encoding-1.md`.
    V1,
}

impl Encoding {
    /// What new locks get. A lock keeps the one that it has, and everything else takes it from there.
    pub const NEWEST: Self = Self::V1;

    /// The number as it stands in a lock.
    pub const fn number(self) -> u32 {
        match self {
            Self::V1 => 1,
        }
    }

    /// The encoding with that number, if this version of Cooper has it.
    pub const fn from_number(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::V1),
            _ => None,
        }
    }
}

impl Default for Encoding {
    fn default() -> Self {
        Self::NEWEST
    }
}
