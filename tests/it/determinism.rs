//! One digest, whatever the machine: two directories, umasks, locales, clocks, threads, orders of files.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
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
