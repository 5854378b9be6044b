//! `bare SIZES SINGLES DIR`: writes what a build writes, and nothing else: the floor that `benches/peers.py` holds
//! builds against. SIZES are those of the blobs, SINGLES those of index and lock; both lists have commas.
//!
//! The sequence is the store's: write the blobs, sync them in parallel, rename, sync their directory; then each
//! single file alone. Nothing is hashed.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods)]

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

fn main() {
    let [sizes, singles, dir] =
        <[String; 3]>::try_from(std::env::args().skip(1).take(3).collect::<Vec<_>>()).unwrap();
    let list = |text: &str| text.split(',').filter_map(|size| size.parse().ok()).collect::<Vec<usize>>();
    let dir = PathBuf::from(dir);
    fs::create_dir_all(&dir).unwrap();
    publish(&dir, &list(&sizes));
    for size in list(&singles) {
        publish(&dir, &[size]);
    }
}

fn publish(dir: &Path, sizes: &[usize]) {
    let write = |(number, size): (usize, &usize)| {
        let path = dir.join(format!(".tmp-{}-{number}", std::process::id()));
        File::create(&path).unwrap().write_all(&vec![b'x'; *size]).unwrap();
        path
    };
    let written: Vec<PathBuf> = sizes.iter().enumerate().map(write).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some(path) = written.get(next.fetch_add(1, Ordering::Relaxed)) {
            File::open(path).unwrap().sync_all().unwrap();
        }
    };
    std::thread::scope(|scope| {
        (1..written.len().min(8)).for_each(|_| drop(scope.spawn(work)));
        work();
    });
    for (number, path) in written.iter().enumerate() {
        fs::rename(path, dir.join(format!("{}-{number}", sizes.len()))).unwrap();
    }
    File::open(dir).unwrap().sync_all().unwrap();
}
