//! What becomes of files, and of what stands where they should be.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use super::directory::unused;
use super::error::again;
use super::*;

/// A directory that goes when the test is over.
pub(crate) struct Scratch(pub(crate) PathBuf);

impl Scratch {
    pub(crate) fn new() -> Self {
        Self(unused(&std::env::temp_dir(), |path| fs::create_dir(path)).unwrap().0)
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(crate) fn names(dir: &Path) -> Vec<String> {
    list(dir).unwrap().into_iter().map(|(name, _)| name.into_string().unwrap()).collect()
}

#[test]
fn only_regular_files_are_read_and_only_so_many_bytes() {
    let dir = Scratch::new();
    let file = dir.join("file");
    write_atomic(&file, b"barrel").unwrap();
    std::os::unix::fs::symlink(&file, dir.join("link")).unwrap();
    let fifo = std::process::Command::new("mkfifo").arg(dir.join("fifo")).status();
    assert!(fifo.unwrap().success());
    assert_eq!(read(&file, 6).unwrap(), b"barrel");
    assert!(matches!(read(&file, 5), Err(Error::TooLarge { size: 6, cap: 5, .. })));
    for name in ["link", "fifo", "."] {
        assert!(matches!(read(&dir.join(name), 9), Err(Error::NotRegular { .. })), "{name}");
    }
    assert_eq!(read_optional(&dir.join("none"), 9).unwrap(), None);
    assert_eq!(regular_size(&dir.join("link")).unwrap(), None);
    let error = read(&dir.join("none"), 9).unwrap_err().to_string();
    assert!(error.contains("cannot open") && error.contains("/none: "), "{error}");
}

#[test]
fn nothing_is_seen_before_it_is_published_and_nothing_is_left() {
    let dir = Scratch::new();
    let staging = Staging::new(dir.join("tmp"));
    let mut kept = staging.file().unwrap();
    kept.write_all(b"kept").unwrap();
    drop(staging.file().unwrap());
    assert!(!dir.join("kept").exists());
    publish(vec![(kept, dir.join("kept"))], &[]).unwrap();
    drop(staging);
    assert_eq!(names(&dir.0), ["kept", "tmp"]);
    assert_eq!(names(&dir.join("tmp")), [""; 0]);
}

#[test]
fn devices_and_directories_are_not_replaced() {
    let dir = Scratch::new();
    for path in [Path::new("/dev/null"), &dir.0] {
        assert!(matches!(write_atomic(path, b""), Err(Error::NotRegular { .. })));
    }
}

#[test]
fn where_a_blob_or_a_lock_belongs_a_directory_gives_way() {
    let dir = Scratch::new();
    for name in ["blob/x", "lock/x", "shared/x"] {
        create_directories(&dir.join(name)).unwrap();
    }
    let staging = Staging::new(dir.join("tmp"));
    publish(vec![(staging.file().unwrap(), dir.join("blob"))], &[]).unwrap();
    assert_eq!(regular_size(&dir.join("blob")).unwrap(), Some(0));
    drop(Lock::exclusive(&dir.join("lock")).unwrap());
    drop(Lock::shared(&dir.join("shared")).unwrap());
    let fifo = std::process::Command::new("mkfifo").arg(dir.join("fifo")).status();
    assert!(fifo.unwrap().success());
    drop(Lock::exclusive(&dir.join("fifo")).unwrap());
    assert_eq!(regular_size(&dir.join("fifo")).unwrap(), Some(0));
}

#[test]
fn what_is_written_beside_a_file_leaves_nothing() {
    let dir = Scratch::new();
    let mut temporary = Temporary::beside(&dir.join("file")).unwrap();
    temporary.write_all(b"half").unwrap();
    if cfg!(target_os = "linux") {
        assert_eq!(names(&dir.0), [""; 0]);
    }
    drop(temporary);
    assert_eq!(names(&dir.0), [""; 0]);
    fs::write(dir.join(".tmp-1-1"), "left behind").unwrap();
    write_atomic(&dir.join("file"), b"one").unwrap();
    assert_eq!(names(&dir.0), [".tmp-1-1", "file"]);
    write_swept(&dir.join("file"), b"two").unwrap();
    assert_eq!((names(&dir.0), read(&dir.join("file"), 9).unwrap()), (vec!["file".into()], b"two".to_vec()));
}

#[test]
fn signals_are_no_errors() {
    let mut left = 3;
    let call = || {
        left -= 1;
        if left > 0 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(left) }
    };
    assert_eq!(again(call).unwrap(), 0);
}

#[test]
fn sweeps_and_makes_directories() {
    let dir = Scratch::new();
    write_atomic(&dir.join("a"), b"a").unwrap();
    write_atomic(&dir.join("b"), b"b").unwrap();
    fs::create_dir(dir.join(".tmp-1-1")).unwrap();
    fs::write(dir.join(".tmp-1-1/x"), "").unwrap();
    assert_eq!((sweep(&dir.0).unwrap(), names(&dir.0)), (1, vec!["a".into(), "b".into()]));
    create_directories(&dir.join("x/y/z")).unwrap();
    create_directories(&dir.join("x/y/z")).unwrap();
    assert!(create_directories(&dir.join("a/y")).is_err());
}

#[test]
fn where_nothing_can_be_made_is_an_error() {
    // mkdir says "not found" there, although the parent is there.
    if Path::new("/proc/self").exists() {
        assert!(create_directories(Path::new("/proc/cooper/a")).is_err());
    }
}
