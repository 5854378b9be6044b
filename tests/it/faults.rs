//! What strikes while Cooper works, and damage to what it keeps: the small brother of `tests/acceptance/faults.py`, which
//! needs root and strace and strikes thousands of times.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use cooperage::digest::Digest;

use crate::engines::skipped;
use crate::support::Test;

const TREE: &str = "d 0755 0:0 etc\nf 0644 0:0 etc/passwd root:x:0:0::/root:/bin/sh\nf 0644 0:0 etc/old x";

/// Two recipes, two variants, two platforms, built.
fn built() -> Test {
    let web = "[base]\nlayout = \"base:1\"\n[[file]]\nfrom = \"www/\"\nto = \"/srv/\"\n[[remove]]\npath = \"/etc/old\"\n\
               [variant.dev.config.env]\nDEBUG = \"1\"\n";
    Test::workspace()
        .base("base", "1", &[TREE])
        .file("recipes/shop/web/recipe.toml", web)
        .file("recipes/shop/web/www/index.html", "<p>0\n")
        .file(
            "recipes/shop/child/recipe.toml",
            "[base]\nrecipe = \"shop/web\"\n[[file]]\ntext = \"x\"\nto = \"/x\"\n",
        )
        .run(["build", "--all"])
        .status(0)
        .then()
}

/// Every file below a directory with its bytes; links, locks and what begins with `.tmp-` left out.
fn files(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_dir() {
            found.extend(files(&path));
        } else if kind.is_file() && !["lock", "gate", "index.lock"].iter().any(|lock| path.ends_with(lock)) {
            found.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    found
}

/// Which blobs of a layout or store aren't what their names say; roots and documents are followed by `store verify`.
fn unsound(directory: &Path) -> Vec<PathBuf> {
    let blobs = files(&directory.join("blobs/sha256"));
    let named = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    blobs
        .into_iter()
        .filter(|(path, bytes)| Digest::of(bytes).hex() != named(path))
        .map(|(path, _)| path)
        .collect()
}

/// Work and home: everything that a run may write to.
fn all(test: &Test) -> PathBuf {
    test.path("").parent().unwrap().to_owned()
}

fn temporaries(directory: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if entry.file_name().as_encoded_bytes().starts_with(b".tmp-") {
            found.push(entry.path());
        } else if entry.file_type().unwrap().is_dir() {
            found.extend(temporaries(&entry.path()));
        }
    }
    found
}

const WAYS: [&str; 8] = ["flipped", "cut", "empty", "NULs", "removed", "directory", "link", "FIFO"];

fn hurt(path: &Path, way: &str) {
    let mut bytes = fs::read(path).unwrap();
    let mut middle = bytes.len() / 2;
    if path.ends_with("index.json") {
        // Others write it, too, so it has no checksum: a changed name is a name.
        middle = bytes.windows(7).position(|window| window == b"sha256:").unwrap() + 9;
    }
    match way {
        "flipped" => bytes[middle] ^= 4,
        "cut" => bytes.truncate(middle),
        "empty" => bytes.clear(),
        "NULs" => bytes.fill(0),
        _ => {
            fs::remove_file(path).unwrap();
            match way {
                "directory" => fs::create_dir_all(path.join("inside")).unwrap(),
                "link" => std::os::unix::fs::symlink("/etc/hostname", path).unwrap(),
                "FIFO" => {
                    let made = std::process::Command::new("mkfifo").arg(path).status();
                    assert!(made.unwrap().success());
                }
                _ => {}
            }
            return;
        }
    }
    fs::write(path, bytes).unwrap();
}

/// Files of each kind are hurt in every way; all files in all ways are for `faults.py`.
#[test]
fn damage_is_seen_never_delivered_and_healed() {
    let mut test = built();
    let golden = files(&test.store());
    let index = test.store().join("index.json");
    let outputs = |test: &Test| {
        let mut test: Vec<_> = files(&test.path("out")).into_iter().collect();
        test.retain(|(path, _)| !path.ends_with("index.json"));
        test
    };
    test = test.run(["build", "--all", "--to", "oci:out"]).status(0).then();
    let expected = outputs(&test);
    let mut seen: BTreeMap<&Path, usize> = BTreeMap::new();
    for (path, bytes) in &golden {
        let alone = path == &index || path.ends_with("oci-layout");
        let number = seen.entry(path.parent().unwrap()).or_default();
        *number += 1;
        let ways = match *number {
            _ if alone => &WAYS[..],
            number @ 1..=8 => &WAYS[number - 1..number],
            _ => continue,
        };
        for way in ways {
            let case = format!("{} {way}", path.display());
            hurt(path, way);
            let run = test.run(["store", "verify"]);
            // A FIFO would be waited for.
            let plain = fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
            let healed = plain && &fs::read(path).unwrap() == bytes;
            assert!(healed || *way == "removed" || run.code != Some(0), "not seen: {case}");
            test = run.then().remove("out").run(["build", "--all", "--to", "oci:out"]).then();
            assert_eq!(unsound(&test.path("out")), [""; 0].map(PathBuf::from), "delivered: {case}");
            let run = test.run(["store", "verify", "--repair"]);
            assert_eq!(run.code, Some(0), "{case}: {}", run.err);
            let run = run.then().run(["build", "--all", "--to", "oci:out"]);
            assert_eq!(run.code, Some(0), "{case}: {}", run.err);
            test = run.then().run(["store", "verify"]).status(0).then();
            assert!(outputs(&test) == expected, "another image: {case}");
            // A header index isn't needed again; the order of the list may be another; more may be known of sources.
            let free = ["headers", "sources"].iter().any(|kind| path.parent().unwrap().ends_with(kind));
            let needed = path != &index && !free;
            assert!(!needed || fs::read(path).unwrap() == *bytes, "not as before: {case}");
            fs::write(path, bytes).unwrap();
        }
    }
}

#[test]
fn a_kill_at_any_moment_loses_nothing() {
    let mut test = built();
    let start = Instant::now();
    test = test.file("recipes/shop/web/www/index.html", "<p>0\n<p>").run(["build", "--all"]).status(0).then();
    let usual = start.elapsed();
    for number in 1..=20u32 {
        let locks = files(&test.path("lockfiles"));
        test = test.file("recipes/shop/web/www/index.html", format!("<p>{number}\n"));
        let arguments = ["build", "shop/web#prod", "--to", "oci:out", "--to", "oci-archive:web.tar"];
        let mut child = test.command(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        std::thread::sleep(usual.mul_f64(f64::from(number) / 16.0));
        child.kill().unwrap();
        let done = child.wait().unwrap().success();
        assert!(temporaries(&all(&test)).len() <= usize::from(!done), "{:?}", temporaries(&all(&test)));
        for (path, old) in &locks {
            let now = fs::read_to_string(path).unwrap();
            assert!(now.as_bytes() == old || now.ends_with('\n') && now.contains("[output"), "{now}");
        }
        assert_eq!(unsound(&test.store()), [""; 0].map(PathBuf::from));
        test = test.run(["store", "verify"]).status(0).then().run(arguments).status(0).then();
        assert_eq!(unsound(&test.path("out")), [""; 0].map(PathBuf::from));
        test = test.run(["build", "--all"]).status(0).then().run(["gc"]).status(0).then();
        let left = temporaries(&all(&test));
        assert!(left.iter().all(|path| path.parent() == Some(test.path("").as_path())), "{left:?}");
        left.iter().for_each(|path| fs::remove_file(path).unwrap());
    }
}

#[test]
fn eight_writers_and_a_collector_lose_nothing() {
    let mut test = built();
    let web = test.read("recipes/shop/web/recipe.toml");
    for writer in 0..8 {
        let dir = format!("w{writer}");
        let page = format!("<p>{}\n", writer / 2);
        test = test
            .base(&format!("{dir}/base"), "1", &[TREE])
            .file(
                &format!("{dir}/cooper.toml"),
                "[workspace]\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\n",
            )
            .file(&format!("{dir}/recipes/shop/web/recipe.toml"), &web)
            .file(&format!("{dir}/recipes/shop/web/www/index.html"), page);
    }
    std::thread::scope(|scope| {
        for writer in 0..8 {
            let test = &test;
            scope.spawn(move || {
                for round in 0..3 {
                    let (dir, tag) =
                        (format!("w{writer}"), format!("oci:{}:{writer}", test.path("all").display()));
                    fs::write(test.path(&format!("{dir}/recipes/shop/web/www/round")), [round]).unwrap();
                    let arguments = ["-C", &dir, "-j1", "build", "shop/web#prod", "--to", &tag];
                    let output = test.command(arguments).output().unwrap();
                    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                }
            });
        }
        scope.spawn(|| {
            for _ in 0..6 {
                assert!(test.command(["gc"]).output().unwrap().status.success());
            }
        });
    });
    for writer in 0..8 {
        // What is claimed is there, offline, and whole in both places.
        let (dir, from, to) =
            (format!("w{writer}"), format!("oci:all:{writer}"), format!("oci:copy:{writer}"));
        test = test.run(["-C", &dir, "build", "shop/web", "--locked"]).status(0).then();
        test = test.run(["copy", &from, &to]).status(0).then();
    }
    assert_eq!(unsound(&test.path("all")), [""; 0].map(PathBuf::from));
    assert_eq!(temporaries(&all(&test)), [""; 0].map(PathBuf::from));
    let run = test.run(["store", "verify", "--format", "json"]).status(0);
    assert_eq!(run.json()["damaged"].as_array().unwrap().len(), 0);
}

#[test]
fn a_store_that_cannot_be_written_is_read_and_left_alone() {
    let test = built();
    let store = test.store();
    let change = |write: bool| {
        let chmod = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        for path in files(&store).keys() {
            chmod(path, if write { 0o644 } else { 0o444 });
        }
        for name in ["", "blobs", "blobs/sha256", "realisations", "headers", "tmp"] {
            chmod(&store.join(name), if write { 0o755 } else { 0o555 });
        }
    };
    let root = fs::metadata(&store).unwrap().uid() == 0;
    let run = |arguments: &[&str]| {
        let mut command = test.command(arguments.iter().copied());
        if root {
            // Nothing is refused to root.
            command.uid(65534).gid(65534);
        }
        command.output()
    };
    change(false);
    if run(&["--version"]).is_err() {
        change(true);
        return skipped(concat!("another user can't run ", env!("CARGO_BIN_EXE_cooper")));
    }
    let before = files(&store);
    for (arguments, code) in [
        (&["build", "--all", "--locked"][..], 0),
        (&["store", "verify"], 0),
        (&["gc"], 5),
        (&["store", "verify", "--repair"], 5),
    ] {
        let output = run(arguments).unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {error}");
        assert!(code == 0 || error.contains("Permission denied") && error.contains("help:"), "{error}");
    }
    fs::write(test.path("recipes/shop/web/www/index.html"), "<p>new\n").unwrap();
    let output = run(&["build", "--all"]).unwrap();
    assert_eq!(output.status.code(), Some(5));
    change(true);
    assert!(files(&store) == before);
    test.run(["build", "--all"]).status(0);
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_device_is_told_of_and_no_target() {
    let test = built();
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let output = test.command(["build", "--all"]).stdout(full).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.code() == Some(5) && error.contains("No space left"), "{error}");
    let run = test.run(["build", "shop/web#prod", "--to", "oci-archive:/dev/full"]).status(5);
    assert!(run.err.contains("/dev/full is not a regular file") && run.err.contains("help:"), "{}", run.err);
    assert!(!fs::metadata("/dev/full").unwrap().is_file());
}

/// What an unreadable list of images does, and how it comes back: nothing that was built is collected meanwhile.
#[test]
fn a_lost_list_of_images_is_made_anew() {
    let test = built();
    let blobs = files(&test.store().join("blobs"));
    let index = test.store().join("index.json");
    fs::write(&index, "").unwrap();
    let run = test.run(["gc"]).status(3);
    assert!(run.err.contains("`cooper store verify --repair`"), "{}", run.err);
    let run = run.then().run(["store", "verify"]).status(1);
    assert!(run.out.contains("index.json: it doesn't tell which images are here"), "{}", run.out);
    let test = run.then().run(["store", "verify", "--repair"]).status(0).then();
    let test = test.run(["store", "verify"]).status(0).then().run(["gc"]).status(0).then();
    assert!(files(&test.store().join("blobs")) == blobs);
    assert!(fs::read_to_string(&index).unwrap().contains("io.cooperage.salvaged"));
    let run = test.run(["build", "--all", "--locked"]).status(0);
    let text = fs::read_to_string(&index).unwrap();
    assert!(!text.contains("salvaged") && text.contains("shop/child:prod"), "{text}\n{}", run.err);
}

#[test]
fn damaged_locks_are_refused_with_the_way_out() {
    let mut test = built();
    let lock = test.path("lockfiles/shop/web.lock");
    let text = fs::read(&lock).unwrap();
    for damage in [&b"\xff"[..], b"", b"\0\0\0", b"version = 1"] {
        fs::write(&lock, [&text[..text.len() / 2], damage].concat()).unwrap();
        let run = test.run(["build", "shop/web"]).status(3);
        assert!(run.err.contains("version control"), "{}", run.err);
        test = run.then();
    }
    fs::write(&lock, text).unwrap();
    test.run(["build", "shop/web", "--locked"]).status(0);
}
