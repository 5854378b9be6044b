//! SHA-256 on a thread of its own, while the bytes go on.
//!
//! Owns that thread and how many pieces wait for it. A sum is one long chain: this is all that several processors can do
//! for it.

use std::borrow::Borrow;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use super::hasher::Hasher;

/// A sum that another thread goes on with. Dropped, it ends.
pub(crate) struct Aside<P> {
    pieces: SyncSender<P>,
    thread: JoinHandle<Hasher>,
}

impl<P: Borrow<Vec<u8>> + Send + 'static> Aside<P> {
    /// Takes the sum from where it is; at most so many pieces wait. None where no thread can be made.
    pub(crate) fn start(hash: &Hasher, waiting: usize) -> Option<Self> {
        let mut own = hash.clone();
        let (pieces, received) = sync_channel::<P>(waiting);
        let run = move || {
            received.iter().for_each(|piece| own.update(piece.borrow()));
            own
        };
        Some(Self { pieces, thread: Builder::new().spawn(run).ok()? })
    }

    /// Goes on.
    pub(crate) fn update(&self, piece: P) {
        // A thread that died is found at the end.
        _ = self.pieces.send(piece);
    }

    /// The sum of all pieces. None if the thread died.
    pub(crate) fn finish(self) -> Option<Hasher> {
        drop(self.pieces);
        self.thread.join().ok()
    }
}
