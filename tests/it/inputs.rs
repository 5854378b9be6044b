//! Inputs that are open or that were moved away: each verb works on what it can know.

use std::fs;

use super::pushes::published;
use super::support::{Test, gzip, tar};

const OPEN: &str = "[base]\nscratch = true\n[input.app]\nopen = true\nmade-by = \"make\"\n[[file]]\ninput = \"app\"\nto = \"/app\"\n\
    [[file]]\nfrom = \"conf\"\nto = \"/conf\"\n";
const PLAIN: &str = "[base]\nscratch = true\n[[file]]\ntext = \"x\"\nto = \"/x\"\n";
const CHILD: &str = "[base]\nrecipe = \"a/open\"\n[[file]]\ntext = \"y\"\nto = \"/y\"\n[[file]]\nrecipe = \"a/open\"\npath = \"/app\"\nto = \"/again\"\n";

/// One recipe with an open input, one on that, and one beside them.
fn workspace() -> Test {
    Test::workspace()
        .file("recipes/a/open/recipe.toml", OPEN)
        .file("recipes/a/open/conf", "1")
        .file("recipes/a/child/recipe.toml", CHILD)
        .file("recipes/a/plain/recipe.toml", PLAIN)
        .file("one", "1")
        .file("two", "2")
}

#[test]
fn an_open_input_stops_nobody_else() {
    // A lock that is made without the input is the one that is made with it, of what stands on it, too.
    let test = workspace().run(["lock", "--all"]).status(0).then();
    let lock = |test: &Test, name: &str| test.read(&format!("lockfiles/a/{name}.lock"));
    let (open, child) = (lock(&test, "open"), lock(&test, "child"));
    assert!(
        !open.contains("[output") && open.contains("conf") && !child.contains("[output"),
        "{open}{child}"
    );
    let run = test.run(["build", "--all", "--input", "app=one"]).status(0);
    assert!(run.out.contains("a/child#prod") && run.out.contains("open: app"), "{}", run.out);
    let test = run.then();
    assert_eq!((lock(&test, "open"), lock(&test, "child")), (open, child));
    // Without it the others are built, and it is told of.
    for arguments in [&["build", "--all"][..], &["build", "--all", "--locked"], &["build", "a"]] {
        let run = test.command(arguments.iter().copied()).output().unwrap();
        let (out, err) = (String::from_utf8(run.stdout).unwrap(), String::from_utf8(run.stderr).unwrap());
        assert_eq!(run.status.code(), Some(0), "{err}");
        assert!(out.contains("a/plain#prod") && !out.contains("a/open#"), "{out}");
        for name in
            ["a/open: without its input app, which", "a/child: without its input app of a/open, which"]
        {
            assert!(
                err.contains(name) && err.contains("--input app=PATH gives it, `make` makes it"),
                "{err}"
            );
        }
    }
    let test = test.run(["lock", "--all", "--check"]).stderr("").status(0).then();
    let test = test.run(["update", "--all"]).status(0).then();
    let run = test.run(["check"]).status(0);
    assert!(
        run.out.contains("a/open#prod") && run.out.contains("checked without its open input"),
        "{}",
        run.out
    );
    let run = run.then().run(["list"]).status(0);
    assert_eq!(run.out.matches(" open ").count(), 4, "{}", run.out);
    let run = run.then().run(["show", "--digests", "--all", "--format", "json"]).status(0);
    assert_eq!(run.json()["images"].as_array().unwrap().len(), 1, "{}", run.out);
    assert!(run.err.contains("a/open: without its input app"), "{}", run.err);
    let run = run.then().run(["show", "a/open", "--format", "json"]).status(0);
    assert!(run.json()["images"][0]["digest"].is_null(), "{}", run.out);
    assert_eq!(run.json()["images"][0]["open"][0], "app");
    // Who names it wants it.
    let test = run.then();
    for arguments in [
        &["build", "a/open"][..],
        &["build", "a/child#dev", "a/plain"],
        &["copy", "a/open", "oci:out"],
        &["show", "--digests", "a/open"],
    ] {
        let run = test.command(arguments.iter().copied()).output().unwrap();
        let err = String::from_utf8(run.stderr).unwrap();
        assert_ne!(run.status.code(), Some(0), "{arguments:?}");
        assert!(err.contains("app: it is open: --input app=PATH gives it"), "{arguments:?}: {err}");
    }
    assert!(!test.path("out").exists());
    // And can have it.
    let test = test.run(["show", "--digests", "a/child", "--input", "app=one"]).status(0).then();
    let test = test.run(["show", "a/child", "--input", "app=one"]).status(0).then();
    let test = test.run(["check", "--input", "app=one"]).status(0).then();
    let test = test.run(["lock", "--all", "--check", "--input", "app=two"]).status(0).then();
    let test = test.run(["copy", "a/open", "oci:out", "--input", "app=one"]).status(0).then();
    for verb in [&["show", "a/open"][..], &["check"], &["lock"], &["copy", "a/open", "oci:out"]] {
        let run = test.command(verb.iter().copied().chain(["--input", "apq=one"])).output().unwrap();
        assert_eq!(run.status.code(), Some(2), "{verb:?}");
    }
}

#[test]
fn an_open_input_has_a_place() {
    let recipe = OPEN.replace("open = true", "open = true\npath = \"out/app\"");
    let test = Test::workspace().file("recipes/a/b/recipe.toml", recipe).file("recipes/a/b/conf", "1");
    let test = test.file("recipes/a/plain/recipe.toml", PLAIN).file("one", "1");
    // Not there yet: as any open one.
    let run = test.run(["build", "--all"]).status(0);
    assert!(run.err.contains("a/b: without its input app"), "{}", run.err);
    let run = run.then().file("out/app", "here").run(["build", "--all"]).status(0);
    assert!(run.out.contains("a/b#prod") && run.out.contains("open: app"), "{}", run.out);
    let (first, test) = (run.out.clone(), run.then());
    let run = test.run(["build", "--all", "--input", "app=one"]).status(0);
    assert_ne!(run.out, first);
    let test = run.then().file("out/app", "changed").run(["build", "--locked"]).status(0).then();
    assert!(!test.read("lockfiles/a/b.lock").contains("[output"));
    let test = test.run(["lock", "--check"]).status(0).then();
    // Beside an image it makes no sense, nor does `open = false`.
    for keys in ["open = true\nimage = \"a\"", "open = false\npath = \"x\"", "made-by = \"x\""] {
        let recipe = OPEN.replace("open = true\nmade-by = \"make\"", keys);
        let run = test.command(["check", "a/b"]).output().unwrap();
        assert_eq!(run.status.code(), Some(0));
        fs::write(test.path("recipes/a/b/recipe.toml"), recipe).unwrap();
        assert_eq!(test.command(["check", "a/b"]).output().unwrap().status.code(), Some(3), "{keys}");
        fs::write(test.path("recipes/a/b/recipe.toml"), OPEN).unwrap();
    }
}

const PINNED: &str = "[input.dir]\npath = \"made/dir\"\nmade-by = \"make dir\"\n[input.file]\npath = \"made/file\"\n[input.archive]\npath = \"made/x.tar.gz\"\n\
    [[file]]\ninput = \"dir\"\nto = \"/dir\"\n[[file]]\ninput = \"file\"\nto = \"/file\"\n[[file]]\ninput = \"archive\"\nunpack = true\nto = \"/archive\"\n";

fn with_inputs(test: Test) -> Test {
    let archive = gzip(&tar("d 0755 0:0 d\nf 0644 0:0 d/x from an archive\nf 0755 0:0 run #!/bin/sh\\n"));
    test.file("made/dir/a", "a")
        .file("made/dir/b/c", "c")
        .file("made/file", "file")
        .file("made/x.tar.gz", archive)
}

#[test]
fn an_input_that_was_moved_away_is_what_the_lock_says() {
    let (registry, test) = published("");
    let recipe = test.read("recipes/a/web/recipe.toml");
    let (head, tail) = recipe.split_once("[[file]]").unwrap();
    let recipe = format!("{head}{PINNED}[[file]]{tail}");
    let test = with_inputs(test.file("recipes/a/web/recipe.toml", recipe));
    let test = test.run(["build", "--all", "--to", "oci:before"]).status(0).then();
    let lock = test.read("lockfiles/a/web.lock");
    fs::rename(test.path("made"), test.path("moved")).unwrap();
    for arguments in [
        &["build", "--locked"][..],
        &["build"],
        &["lock", "--check"],
        &["lock"],
        &["check"],
        &["show", "a/web"],
        &["show", "--digests", "--all"],
        &["update", "--all"],
        &["copy", "a/web", "oci:after"],
        &["push"],
        &["build", "--locked", "--offline", "--no-index"],
    ] {
        let run = test.command(arguments.iter().copied()).output().unwrap();
        let err = String::from_utf8(run.stderr).unwrap();
        assert_eq!(run.status.code(), Some(0), "{arguments:?}: {err}");
        assert_eq!(test.read("lockfiles/a/web.lock"), lock, "{arguments:?}");
        if arguments == ["build", "--locked"] {
            for name in ["input dir is not there (made/dir)", "input file is", "input archive is"] {
                assert!(err.contains(name), "{err}");
            }
        }
    }
    assert_eq!(registry.tags("shop/a-web").len(), 0);
    // Layers that have to be made need it: then that is what is said, and where the recipe names it.
    fs::remove_dir_all(test.store()).unwrap();
    let run = test.run(["build", "--locked"]).status(4);
    assert!(run.err.contains("is not there") && run.err.contains("recipes/a/web/recipe.toml"), "{}", run.err);
    let run = run.then().run(["vendor", "--all"]).status(4);
    assert!(run.err.contains("[input."), "{}", run.err);
    // Something else in its place is seen, also where it is given by hand.
    let test = run.then().file("made/file", "other").run(["build", "--locked", "--input", "dir=moved/dir"]);
    assert_ne!(test.code, Some(0));
    let test = test.then().remove("made");
    // `vendor` brings all of them along.
    fs::rename(test.path("moved"), test.path("made")).unwrap();
    let run = test.run(["vendor", "--all"]).status(0);
    assert_eq!(run.out.lines().count(), 4, "{}", run.out);
    let test = run.then().remove("made");
    let test = test.run(["vendor", "--all"]).status(0).then();
    let test = test.run(["build", "--locked", "--offline"]).status(0).then();
    // A damaged one is none.
    fs::remove_dir_all(test.store()).unwrap();
    for file in fs::read_dir(test.path("vendor/sha256")).unwrap() {
        fs::write(file.unwrap().path(), "x").unwrap();
    }
    test.run(["build", "--locked", "--offline"]).status(4);
}

#[test]
fn a_lock_that_can_not_be_read_is_shown_as_any_file() {
    let test = Test::workspace().file("recipes/a/b/recipe.toml", PLAIN).run(["build"]).status(0).then();
    let whole = test.read("lockfiles/a/b.lock");
    let mut test = test;
    for text in [
        "",
        &whole[..whole.len() / 2],
        "version = \n",
        "version = 1\nencoding = 1\nodd = 2\n",
        "x = \"\u{1b}[31m",
    ] {
        for verb in [&["build"][..], &["lock", "--check"], &["list"]] {
            let run = test.file("lockfiles/a/b.lock", text).run(verb.iter().copied()).status(3);
            assert!(run.err.contains("lockfiles/a/b.lock"), "{}", run.err);
            assert!(!run.err.contains("\\n") && !run.err.contains("TOML parse error"), "{}", run.err);
            assert!(run.err.contains("restore it from version control"), "{}", run.err);
            test = run.then();
        }
    }
}

#[test]
fn a_check_of_locks_asks_nobody() {
    let (registry, test) = super::registries::arranged();
    let test = test.run(["lock", "--all"]).status(0).then();
    let recipe = test.read("recipes/a/web/recipe.toml");
    registry.seed_layout("lib/base", "2", &{
        super::support::Layout::new(&["d 0755 0:0 etc\n"]).write(&test.path("seed"), "2");
        test.path("seed")
    });
    let before = registry.requests().len();
    let other = recipe.replace("/lib/base:1", "/lib/base:2");
    let none = recipe.replace("/lib/base:1", "/lib/none:1");
    let taken = recipe.clone()
        + &format!(
            "[[file]]\nimage = \"{}/lib/base:1\"\npath = \"/etc\"\nto = \"/taken\"\n",
            registry.host()
        );
    let fetched = recipe.clone()
        + &format!(
            "[[file]]\nfetch = \"http://{0}/x\"\nsha256 = \"{1}\"\nto = \"/x\"\n",
            registry.host(),
            "0".repeat(64)
        );
    let mut test = test;
    for (what, text) in [("tag", &other), ("repository", &none), ("image", &taken), ("fetch", &fetched)] {
        test = test.file("recipes/a/web/recipe.toml", text);
        let run = test.run(["lock", "--check"]).stdout("").status(1);
        assert!(run.err.contains("the lock of a/web is"), "{what}: {}", run.err);
        // As --locked says it.
        let locked = run.then().run(["build", "--all", "--locked"]).status(1);
        assert!(locked.err.contains("the lock of a/web is"), "{what}: {}", locked.err);
        assert_eq!(registry.requests().len(), before, "{what}");
        test = locked.then();
    }
    let test = test.file("recipes/a/web/recipe.toml", &recipe).run(["lock", "--check"]).status(0).then();
    // A lock that was never made, and one whose blobs weren't committed.
    let run = test.file("recipes/a/new/recipe.toml", &recipe).run(["lock", "--check"]).status(1);
    assert!(run.err.contains("the lock of a/new is unpinned"), "{}", run.err);
    let test = run.then().remove("recipes/a/new").remove("lockfiles/blobs");
    fs::remove_dir_all(test.store()).unwrap();
    test.run(["lock", "--check"]).status(1);
    assert_eq!(registry.requests().len(), before);
}

#[test]
fn another_base_is_another_set_of_packages() {
    let status = |version: &str, more: &str| {
        let package = |name: &str, version: &str| {
            format!(
                "Package: {name}\\nStatus: install ok installed\\nArchitecture: amd64\\nVersion: {version}\\n\\n"
            )
        };
        let all = package("libssl3", version) + &package("same", "1") + more;
        format!(
            "d 0755 0:0 var\nd 0755 0:0 var/lib\nd 0755 0:0 var/lib/dpkg\nf 0644 0:0 var/lib/dpkg/status {all}\n"
        )
    };
    let recipe = |base: &str| format!("[base]\nlayout = \"{base}\"\n[[file]]\ntext = \"x\"\nto = \"/x\"\n");
    let gone = "Package: gone\\nStatus: install ok installed\\nArchitecture: amd64\\nVersion: 7\\n\\n";
    let test = Test::workspace()
        .base("one", "1", &[&status("3.0.1", gone)])
        .base("two", "1", &[&status("3.0.2", "")])
        .file("recipes/a/b/recipe.toml", recipe("one:1"));
    // The first time there is nothing to compare with.
    let run = test.run(["build"]).status(0);
    assert_eq!(run.out.lines().count(), 2, "{}", run.out);
    let lock = run.test().read("lockfiles/a/b.lock");
    for verb in ["build", "lock"] {
        let test = run.test();
        fs::write(test.path("lockfiles/a/b.lock"), &lock).unwrap();
        fs::write(test.path("recipes/a/b/recipe.toml"), recipe("two:1")).unwrap();
        let moved = test.command([verb]).output().unwrap();
        let out = String::from_utf8(moved.stdout).unwrap();
        for part in
            ["one:1 -> two:1  sha256:", "pinned in a/b", "  libssl3 3.0.1 -> 3.0.2", "  gone 7 is gone"]
        {
            assert!(out.contains(part), "{verb}: {part}: {out}");
        }
        assert!(!out.contains("same"), "{out}");
    }
    // The same by tag, as JSON; not known any more: nothing is said of packages, and nobody is asked.
    let test = run.then().file("lockfiles/a/b.lock", &lock);
    let run = test.run(["build", "--format", "json"]).status(0);
    let pin = &run.json()["recipes"][0]["pins"][0];
    assert_eq!(
        (pin["was"].as_str(), pin["packages"].as_array().unwrap().len()),
        (Some("one:1"), 2),
        "{}",
        run.out
    );
    let test = run.then().file("lockfiles/a/b.lock", &lock).remove("one");
    fs::remove_dir_all(test.store()).unwrap();
    let run = test.run(["build", "--format", "json"]).status(0);
    assert!(run.json()["recipes"][0]["pins"][0]["packages"].is_null(), "{}", run.out);
}
