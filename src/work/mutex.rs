//! What threads of one command share.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What is shared, whatever became of a thread that had it: each change to it is whole by itself.
pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
