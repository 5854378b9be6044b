//! The same work for many things, several at once.

use std::sync::{Mutex, PoisonError};
use std::thread;

/// Does `work` for each item, so many at once, in their order; the first error ends it.
///
/// # Errors
/// Those of `work`.
pub fn each<T: Sync, E: Send>(
    items: &[T],
    at_once: usize,
    work: impl Fn(&T) -> Result<(), E> + Sync,
) -> Result<(), E> {
    let state = Mutex::new((items.iter(), None));
    let locked = || state.lock().unwrap_or_else(PoisonError::into_inner);
    let next = || {
        let mut state = locked();
        if state.1.is_none() { state.0.next() } else { None }
    };
    let run = || {
        while let Some(item) = next() {
            if let Err(error) = work(item) {
                locked().1.get_or_insert(error);
            }
        }
    };
    thread::scope(|scope| {
        // Where there are no threads to be had, this one does it all.
        for _ in 1..at_once.min(items.len()) {
            _ = thread::Builder::new().spawn_scoped(scope, run);
        }
        run();
    });
    state.into_inner().unwrap_or_else(PoisonError::into_inner).1.map_or(Ok(()), Err)
}
