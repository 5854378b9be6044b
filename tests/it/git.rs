//! What git knows of a checkout: files that nobody else will have are told of, and nothing that the checkout names is run.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::engines;
use super::support::Test;

const RECIPE: &str = "[base]\nscratch = true\n[[file]]\nfrom = \"conf/\"\nto = \"/conf\"\nexclude = [\"*.swp\"]\n\
    [[file]]\nfrom = \"one.txt\"\nto = \"/one\"\n[[file]]\nfrom = \"more/*.cfg\"\nto = \"/more/\"\n";

/// Git, as its user calls it.
fn git(test: &Test, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.arg("-C").arg(test.path("")).args(["-c", "user.name=a", "-c", "user.email=a@example.org"]);
    engines::run(command.env("HOME", test.path("")).args(arguments));
}

/// A workspace, committed.
fn committed() -> Option<Test> {
    if !engines::installed(&["git"]) {
        return None;
    }
    let test = Test::workspace()
        .file("recipes/a/web/recipe.toml", RECIPE)
        .file("recipes/a/web/conf/kept", "1")
        .file("recipes/a/web/one.txt", "1")
        .file("recipes/a/web/more/kept.cfg", "1");
    let test = test.run(["lock", "--all"]).stderr("").status(0).then();
    git(&test, &["init", "-q"]);
    git(&test, &["add", "."]);
    git(&test, &["commit", "-qm", "one"]);
    Some(test)
}

#[test]
fn what_is_not_committed_is_told() {
    let Some(test) = committed() else { return };
    for verb in ["lock", "build"] {
        test.command([verb, "--all"]).output().map(|run| assert!(run.stderr.is_empty())).unwrap();
    }
    // One that git doesn't know, those that it ignores and a recipe takes, by name, in a directory, by a glob; and not those
    // that nobody takes.
    let test = test
        .file(".gitignore", "*.log\ndist/\none.txt.bak\nignored.cfg\n*.swp\ntarget/\n")
        .file("recipes/a/web/conf/new", "1")
        .file("recipes/a/web/conf/x.log", "1")
        .file("recipes/a/web/conf/dist/a/b", "1")
        .file("recipes/a/web/conf/z.swp", "1")
        .file("recipes/a/web/one.txt.bak", "1")
        .file("recipes/a/web/more/ignored.cfg", "1")
        .file("recipes/a/web/target/x", "1");
    let mut told = String::new();
    for verb in ["lock", "build", "build"] {
        let run = test.command([verb, "--all"]).output().unwrap();
        assert!(run.status.success());
        told = String::from_utf8(run.stderr).unwrap();
        let lines: Vec<&str> = told.lines().collect();
        assert_eq!(lines.len(), 4, "{verb}: {told}");
        assert_eq!(lines[0], "warning: recipes/a/web/conf/new is not tracked by git", "{verb}");
        for (line, name) in lines[1..].iter().zip(["conf/dist/", "conf/x.log", "more/ignored.cfg"]) {
            let expected = format!(
                "warning: recipes/a/web/{name} is ignored by git: a checkout elsewhere won't have it"
            );
            assert_eq!(*line, expected, "{verb}");
        }
    }
    // With `-q` nothing is said, as JSON it is a document.
    let test = test.run(["build", "--all", "-q"]).stderr("").status(0).then();
    let run = test.run(["build", "--all", "--format", "json"]).status(0);
    assert_eq!(run.err.lines().count(), told.lines().count());
    assert!(run.err.starts_with("{\"warning\""), "{}", run.err);
}

#[test]
fn nothing_that_a_checkout_names_is_run() {
    let Some(test) = committed() else { return };
    let ran = test.path("../ran");
    let evil = format!("sh -c 'touch {}; cat'", ran.display());
    let hooks = test.path("hooks");
    fs::create_dir_all(&hooks).unwrap();
    for hook in ["post-index-change", "pre-auto-gc", "fsmonitor-watchman", "reference-transaction"] {
        let file = hooks.join(hook);
        fs::write(&file, format!("#!/bin/sh\ntouch {}\n", ran.display())).unwrap();
        engines::run(Command::new("chmod").arg("+x").arg(&file));
    }
    let config = test.read(".git/config");
    let (quoted, hooks) = (evil.replace('"', "\\\""), hooks.display().to_string());
    let filter = |name: &str| {
        format!(
            "[filter \"{name}\"]\nclean = \"{quoted}\"\nsmudge = \"{quoted}\"\nprocess = \"{quoted}\"\nrequired = true\n"
        )
    };
    let kinds = [
        ("monitor", format!("[core]\nfsmonitor = \"{quoted}\"\n")),
        ("hooks", format!("[core]\nhooksPath = \"{hooks}\"\nfsmonitor = \"{hooks}/fsmonitor-watchman\"\n")),
        ("filter", filter("evil")),
        ("odd filter", filter("a.b c\u{e9}")),
        ("filter with =", filter("a=b")),
        ("include", format!("[include]\npath = {}\n", test.path(".git/more").display())),
        ("conditional", format!("[includeIf \"gitdir:/\"]\npath = {}\n", test.path(".git/more").display())),
        ("worktree", "[extensions]\nworktreeConfig = true\n[core]\nrepositoryformatversion = 1\n".to_owned()),
        (
            "diff",
            format!(
                "[diff]\nexternal = \"{quoted}\"\n[diff \"evil\"]\ntextconv = \"{quoted}\"\ncommand = \"{quoted}\"\n"
            ),
        ),
        (
            "pager",
            format!(
                "[core]\npager = \"{quoted}\"\naskPass = \"{quoted}\"\nsshCommand = \"{quoted}\"\n[pager]\nstatus = true\n"
            ),
        ),
        ("alias", format!("[alias]\nstatus = \"!{quoted}\"\nls-files = \"!{quoted}\"\n")),
    ];
    // Changed, but as long as before, and as old: its content has to be looked at.
    let attributes = "* filter=evil diff=evil\n*.txt filter=\"a.b c\u{e9}\"\nkept filter=a=b\n";
    let more = format!("{}[core]\nfsmonitor = \"{quoted}\"\n", filter("evil"));
    let site = test.path("site.toml").to_str().unwrap().to_owned();
    let mut test = test
        .env("COOPER_CONFIG", &site)
        .file("site.toml", "attempts = 1\n")
        .file(".gitattributes", attributes)
        .file(".git/more", &more)
        .file(".git/config.worktree", &more)
        .file("cooper.toml", "[workspace]\nplatforms = [\"linux/amd64\"]\n[publish]\nrepository = \"127.0.0.1:1/{{ stack }}/{{ name }}\"\n");
    for (kind, text) in kinds {
        test = test.file(".git/config", format!("{config}{text}")).file("recipes/a/web/one.txt", "2");
        for verb in ["lock", "build", "push"] {
            // Nobody listens there, but it is told of the tree before.
            test.command([verb, "--all"]).env("XDG_CONFIG_HOME", "/nowhere").output().unwrap();
            assert!(!ran.exists(), "{kind}: {verb}");
        }
        // It would have: this test can fail.
        if kind == "filter" {
            let mut command = Command::new("git");
            _ = command.arg("-C").arg(test.path("")).arg("status").env("HOME", test.path("")).output();
            assert!(ran.exists(), "{kind}");
            fs::remove_file(&ran).unwrap();
        }
    }
}

#[test]
fn git_has_a_time() {
    let Some(test) = committed() else { return };
    if !Path::new("/usr/bin/mkfifo").exists() {
        return engines::skipped("no mkfifo");
    }
    // In a directory that only git looks into, and where it has to, for what is ignored.
    engines::run(Command::new("mkfifo").arg(test.path("recipes/a/.gitignore")));
    let begun = Instant::now();
    let run = test.run(["build", "--all"]).status(0);
    assert!(begun.elapsed() < Duration::from_secs(40));
    let hangs = run
        .err
        .contains("warning: git doesn't tell which files are committed: it gave no answer in 10 seconds");
    assert!(hangs || run.err.is_empty(), "{}", run.err);
}

#[test]
fn without_git_nothing_is_said() {
    let Some(test) = committed() else { return };
    let test = test.file("recipes/a/web/conf/new", "1");
    let run = test.env("PATH", "/nowhere").run(["build", "--all"]).stderr("").status(0);
    // A directory that is called so and isn't one, and none.
    let test = run.then().env("PATH", "/usr/bin:/bin").remove(".git").file(".git", "gitdir: /nowhere\n");
    let test = test.run(["build", "--all"]).stderr("").status(0).then();
    test.remove(".git").run(["lock", "--all"]).stderr("").status(0);
}
