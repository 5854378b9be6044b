//! Bringing files and directories to the disk, several at a time where that takes long.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::error::{Error, failed};

/// How many files are synced at once. The threads only wait, so it has nothing to do with cores.
const SYNC_THREADS: usize = 8;
/// What starting them costs, or nearly.
const THREADS_PAY: Duration = Duration::from_micros(200);

/// Brings a directory's names to the disk.
///
/// # Errors
/// When they can't be.
pub fn sync_directory(path: &Path) -> Result<(), Error> {
    sync(&[(path, None)])
}

/// Syncs files (perhaps open still) or directories: one after the other while that is fast, as in memory, then several
/// at a time.
pub(super) fn sync(items: &[(&Path, Option<&File>)]) -> Result<(), Error> {
    let one = |&(path, open): &(&Path, Option<&File>)| {
        let synced = match open {
            Some(file) => file.sync_all(),
            None => File::open(path).and_then(|file| file.sync_all()),
        };
        synced.map_err(failed("bring to the disk", path))
    };
    let begun = Instant::now();
    let mut rest = items;
    while let Some((item, others)) = rest.split_first() {
        one(item)?;
        rest = others;
        if begun.elapsed() > THREADS_PAY {
            break;
        }
    }
    if rest.len() <= 1 {
        return rest.iter().try_for_each(one);
    }
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(item) = rest.get(next.fetch_add(1, Ordering::Relaxed)) {
            one(item)?;
        }
        Ok(())
    };
    std::thread::scope(|scope| {
        let threads: Vec<_> = (1..SYNC_THREADS.min(rest.len())).map(|_| scope.spawn(work)).collect();
        let own = work();
        threads.into_iter().fold(own, |result, thread| {
            let lost = |_| Err(failed("bring to the disk", rest[0].0)(io::Error::other("a thread died")));
            result.and(thread.join().unwrap_or_else(lost))
        })
    })
}
