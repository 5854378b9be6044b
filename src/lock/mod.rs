//! What a recipe's references were resolved to, and what came of it: `lockfiles/<stack>/<name>.lock`.
//!
//! Owns the value [`Lock`], its text ([`Lock::parse`], [`Lock::to_text`]), the differences between two of them
//! as [`Reason`]s, the [`State`] that follows, and the merging of conflicts. Pure: it reads no file, asks no
//! registry and computes no output; whoever does hands the results in as a second [`Lock`] and compares.

pub mod conflict;
mod listing;
mod pin;
mod reason;
mod state;
mod v1;
mod value;

pub use listing::{Entry, LISTED};
pub use pin::Want;
pub use reason::{Reason, because, reasons, reasons_with};
pub use state::State;
pub use value::{
    BaseOrigin, BasePin, COMMITTED, Error, ImageOutput, Listing, Lock, Output, Pin, PlatformPin, SourceLock,
};

impl Lock {
    /// Reads a lock of any format that this version knows.
    ///
    /// # Errors
    /// See [`Error`]; nothing unknown is skipped.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if let Some(line) = conflict::first_marker(text) {
            return Err(Error::Conflicted { line });
        }
        if text.trim().is_empty() {
            return Err(Error::Empty);
        }
        v1::parse(text)
    }

    /// The one text of this lock, in the newest format.
    pub fn to_text(&self) -> String {
        let mut sorted = self.clone();
        sorted.sort();
        v1::to_text(&sorted)
    }
}
