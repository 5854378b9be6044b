//! One digest, whatever the machine: two directories, umasks, locales, clocks, threads, orders of files.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::Test;

const TREE: &str = "d 0755 0:0 etc\nd 0711 5:5 opt\nl lib etc\nf 0644 0:0 etc/passwd web:x:33:33::/:\\n";
const RECIPE: &str = r#"
[base]
layout = "bases/os:1"

[vars]
port = 80

[[file]]
from     = "tree/"
to       = "/opt/tree/"
owner    = "web"
template = ["*.j2"]

[[file]]
from  = "big"
to    = "/lib/big"
layer = "big"

[[variant.dev.file]]
text = "{{ port }}"
to   = "/etc/port"
template = true

[config]
cmd = ["x"]
"#;

/// A checkout whose files were made in this order, under this umask.
fn checkout(backwards: bool, mask: u32) -> Test {
    let mut test = Test::workspace().base("bases/os", "1", &[TREE]);
    let mut files: Vec<(String, Vec<u8>)> =
        (0..40_u8).map(|n| (format!("tree/{n}/f{n}"), vec![n; 100])).collect();
    // More than a chunk, so that threads have something to share.
    let big: Vec<u8> =
        (0..3_000_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8 | 0x40).collect();
    files.push(("tree/port.j2".into(), b"port {{ port }}\n".to_vec()));
    files.push(("big".into(), big));
    if backwards {
        files.reverse();
    }
    for (path, bytes) in files {
        test = test.file(&format!("recipes/a/b/{path}"), bytes);
        let path = test.path(&format!("recipes/a/b/{path}"));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666 & !mask)).unwrap();
        fs::set_permissions(path.parent().unwrap(), fs::Permissions::from_mode(0o777 & !mask)).unwrap();
    }
    test.file("recipes/a/b/recipe.toml", RECIPE)
}

/// `cooper`, started by a shell with that umask: changing our own would change it for every test.
fn under_umask(command: Command, mask: u32) -> Command {
    let mut shell = Command::new("/bin/sh");
    shell.arg0("sh").args(["-c", &format!("umask {mask:03o}; exec \"$@\""), "sh"]).arg(command.get_program());
    shell.args(command.get_args()).current_dir(command.get_current_dir().unwrap()).env_clear();
    for (name, value) in command.get_envs() {
        shell.env(name, value.unwrap());
    }
    shell
}

/// Order of files, umask, environment, threads.
type Machine = (bool, u32, &'static [(&'static str, &'static str)], &'static str);

#[test]
fn one_digest_on_every_machine() {
    let machines: [Machine; 4] = [
        (false, 0o022, &[("TZ", "UTC")], "1"),
        (true, 0o077, &[("TZ", "Asia/Kathmandu"), ("LC_ALL", "tr_TR.UTF-8"), ("LANG", "tr_TR.UTF-8")], "8"),
        (true, 0o022, &[("RAYON_NUM_THREADS", "3"), ("LANG", "C")], "2"),
        (false, 0o027, &[("TERM", "xterm"), ("USER", "somebody"), ("XDG_DATA_HOME", "/nowhere")], "8"),
    ];
    let mut locks = BTreeSet::new();
    for (backwards, mask, environment, threads) in machines {
        let mut test = checkout(backwards, mask);
        for (name, value) in environment {
            test = test.env(name, value);
        }
        let store = test.path("store").to_str().unwrap().to_owned();
        let command = test.command([
            "build",
            "-j",
            threads,
            "--store",
            &store,
            "--to",
            "oci-archive:x.tar",
            "a/b#prod",
        ]);
        let output = under_umask(command, mask).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        locks.insert((test.read("lockfiles/a/b.lock"), fs::read(test.path("x.tar")).unwrap()));
        // A lock that was made under another clock is repeated, not made anew.
        test = test.env("SOURCE_DATE_EPOCH", "1234567890").env("COOPER_STORE", &store);
        test.run(["build", "--locked"]).stderr("").status(0);
    }
    assert_eq!(locks.len(), 1, "locks or archives differ");
}

/// Every file below a directory, by its path.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut todo = vec![dir.to_path_buf()];
    while let Some(next) = todo.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else {
                found.insert(path.strip_prefix(dir).unwrap().to_path_buf(), fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// The files of a checkout again, as hard links or copies.
fn again(from: &Path, to: &Path, linked: bool) {
    for path in files(from).into_keys() {
        let target = to.join(&path);
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        if linked {
            fs::hard_link(from.join(&path), target).unwrap();
        } else {
            fs::copy(from.join(&path), target).unwrap();
        }
    }
}

/// A directory in memory, where names are listed in another order than on disk; removed when the test is over.
struct Memory(PathBuf);

impl Memory {
    fn new() -> Self {
        let name = format!("cooper-it-{}", std::process::id());
        Self(
            [Path::new("/dev/shm"), &std::env::temp_dir()]
                .into_iter()
                .find(|dir| dir.is_dir())
                .unwrap()
                .join(name),
        )
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn one_store_and_lock_wherever_the_checkout_lies() {
    let test = checkout(false, 0o022);
    let (here, memory) = (test.path(""), Memory::new());
    let beside = |name: &[u8]| test.path("..").join(OsStr::from_bytes(name));
    let (odd, linked, link) = (beside(b"a b\n'\xff\xc3\xa9"), beside(b"linked"), beside(b"link"));
    again(&here, &odd, false);
    again(&here, &linked, true);
    again(&here, &memory.0, false);
    symlink(&here, &link).unwrap();
    // Where it is started, and what it is told of the workspace.
    let starts: [(&Path, Option<&OsStr>, &Path); 7] = [
        (&here, None, &here),
        (&here.join("recipes/a/b"), None, &here),
        (Path::new("/"), Some(here.as_os_str()), &here),
        (&test.path(".."), Some(OsStr::new("link/recipes")), &here),
        (&test.path(".."), Some(odd.file_name().unwrap()), &odd),
        (&linked, Some(OsStr::new("./recipes/../.")), &linked),
        (&memory.0, None, &memory.0),
    ];
    let mut found = BTreeSet::new();
    for (number, (from, directory, workspace)) in starts.into_iter().enumerate() {
        _ = fs::remove_dir_all(workspace.join("lockfiles"));
        let store = beside(format!("store-{number}").as_bytes());
        let mut command = test.command(["build", "--all", "--store"]);
        command.arg(&store).current_dir(from);
        command.args(directory.into_iter().flat_map(|directory| [OsString::from("-C"), directory.into()]));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{number}: {}", String::from_utf8_lossy(&output.stderr));
        found.insert((output.stdout, files(&workspace.join("lockfiles")), files(&store.join("blobs"))));
    }
    assert_eq!(found.len(), 1, "images, locks or blobs differ");
}

/// It is a new lock's time, whatever the threads and the zone; a lock that is there keeps its own.
#[test]
fn source_date_epoch_is_for_locks_that_are_made() {
    let mut locks = BTreeSet::new();
    for (threads, zone) in [("1", "UTC"), ("8", "Asia/Kathmandu")] {
        let test = checkout(threads == "8", 0o022).env("SOURCE_DATE_EPOCH", "1234567890").env("TZ", zone);
        let test = test.run(["lock", "--all", "-j", threads]).status(0).then();
        let made = test.read("lockfiles/a/b.lock");
        assert!(made.contains("\nepoch = 1234567890\n"), "{made}");
        let test = test.env("SOURCE_DATE_EPOCH", "1500000000").run(["lock", "--all"]).status(0).then();
        assert_eq!(test.read("lockfiles/a/b.lock"), made);
        locks.insert(made);
    }
    assert_eq!(locks.len(), 1);
}
