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

#[test]
fn what_stays_beneath_a_directory_does_so_whatever_links_there_are() {
    const NAMES: [&str; 5] = ["a", "b", "a/c", "b/c", "a/c/d"];
    let (dir, mut state) = (Scratch::new(), 7_u64);
    let mut pick = |many: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % many
    };
    let (root, named) = (dir.join("w/x/root"), dir.join("w/named"));
    fs::create_dir_all(dir.join("w/out/a/c")).unwrap();
    fs::create_dir_all(dir.join("w/x")).unwrap();
    std::os::unix::fs::symlink(&root, &named).unwrap();
    let texts =
        [dir.join("w/out"), root.join("a"), named.join("b/c"), named.join("../x/root/b"), root.clone()];
    let texts = texts.map(|path| path.to_str().unwrap().to_owned());
    let others = [
        "..",
        "../..",
        "../../out",
        "a",
        "b/c",
        "../a",
        "../b/./c",
        "../../x/root/a",
        "../root",
        "a/../..",
        "c/d",
        "../../../out",
        "/nowhere/at/all",
        "/proc/self/none",
        "nothing",
        "../nothing/../..",
    ];
    let targets: Vec<&str> = texts.iter().map(String::as_str).chain(others).collect();
    let (mut held, mut led) = (0, 0);
    for _ in 0..300 {
        _ = fs::remove_dir_all(&root);
        fs::create_dir(&root).unwrap();
        let above = fs::canonicalize(&root).unwrap();
        for name in NAMES {
            let path = root.join(name);
            // Nothing is arranged through a link: some lead to `/`.
            if !fs::canonicalize(parent(&path)).is_ok_and(|real| real == above.join(parent(Path::new(name))))
            {
                continue;
            }
            match pick(3) {
                0 => _ = fs::create_dir(&path),
                1 => _ = std::os::unix::fs::symlink(targets[pick(targets.len())], &path),
                _ => {}
            }
        }
        let beneath = Beneath::new(&named).unwrap();
        let real = fs::canonicalize(&root).unwrap();
        for path in ["a", "b/c/d", "a/c", "a/c/d/a", "b/b"] {
            let path = named.join(path);
            match beneath.check(&path) {
                Ok(()) => {
                    // What isn't there yet can be made, if it can.
                    _ = fs::create_dir_all(&path);
                    let found = fs::canonicalize(&path);
                    assert!(
                        found.as_ref().is_ok_and(|found| found.starts_with(&real)) || found.is_err(),
                        "{path:?}"
                    );
                    held += 1;
                }
                Err(Error::Led { .. }) => led += 1,
                Err(error) => panic!("{error}"),
            }
        }
    }
    assert!(held > 200 && led > 200, "{held} {led}");
    assert_eq!(names(&dir.join("w/out")), ["a"]);
    // Others' paths are their own business, also those that say themselves that they lead out.
    let beneath = Beneath::new(&named).unwrap();
    for path in [dir.join("w/out"), named.join("../out"), named.join("../x/none"), "/none".into()] {
        beneath.check(&path).unwrap();
    }
    assert!(lies_in(&named.join("none/x"), &root) && lies_in(&root, &root));
    assert!(!lies_in(&dir.join("w/x/rootx"), &root) && !lies_in(&named.join("none/../.."), &root));
}
