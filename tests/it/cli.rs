//! The command line itself: help, usage errors, exit codes, JSON errors, completions.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::Test;

const COMMANDS: [&[&str]; 17] = [
    &[],
    &["init"],
    &["lock"],
    &["update"],
    &["build"],
    &["show"],
    &["list"],
    &["copy"],
    &["pull"],
    &["push"],
    &["vendor"],
    &["check"],
    &["compose"],
    &["store"],
    &["store", "verify"],
    &["gc"],
    &["completions"],
];

/// Help texts are committed, so that a change to one is seen; `COOPER_BLESS=1 cargo test` writes them anew.
#[test]
fn help_texts() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/help");
    let bless = std::env::var_os("COOPER_BLESS").is_some();
    for command in COMMANDS {
        let name = [&["cooper"], command].concat().join("-");
        let path = dir.join(format!("{name}.txt"));
        let run = Test::new().run(command.iter().copied().chain(["--help"])).stderr("").status(0);
        assert!(run.out.contains("Example") || command.is_empty(), "{name} has no examples");
        assert!(run.out.lines().all(|line| line.chars().count() <= 100), "{name} has long lines");
        if bless {
            fs::write(&path, &run.out).unwrap();
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(run.out, expected, "{name}: COOPER_BLESS=1 cargo test writes fixtures/help anew");
    }
}

#[test]
fn help_names_only_what_is_built() {
    let help = Test::new().run(["--help"]).out.clone();
    for word in ["sign", "attest", "inventory"] {
        assert!(!help.contains(word), "{word}");
    }
}

#[test]
fn version() {
    let expected = format!("cooper {}\n", env!("CARGO_PKG_VERSION"));
    Test::new().run(["--version"]).stdout(&expected).stderr("").status(0);
}

#[test]
fn an_unknown_command() {
    let expected = "\
error: unrecognized subcommand 'biuld'

  tip: a similar subcommand exists: 'build'

Usage: cooper [OPTIONS] <COMMAND>

For more information, try '--help'.
";
    Test::new().run(["biuld"]).stdout("").stderr(expected).status(2);
}

#[test]
fn a_command_that_is_not_built_yet() {
    let expected = "\
error: `cooper export` is not built yet
 |
 = help: until then: `cooper copy TARGET oci-archive:FILE`
";
    Test::new().run(["export", "--force", "shop/web"]).stdout("").stderr(expected).status(2);
    for name in ["sign", "verify", "attest", "import", "inventory", "rebuild"] {
        let run = Test::new().run(["help", name]).stdout("").status(2);
        assert!(run.err.starts_with(&format!("error: `cooper {name}` is not built yet")), "{}", run.err);
    }
}

#[test]
fn usage_errors() {
    for (arguments, about) in [
        (&["build", "-j", "0"][..], "a number from 1 to 1024"),
        (&["build", "--to", "web"], "names no place"),
        (&["build", "--platform", "amd64"], "not a platform"),
        (&["build", "--set", "x"], "NAME=VALUE"),
        (&["build", "--all", "x"], "cannot be used with"),
        (&["build", "--locked", "--set", "x=1"], "--set can't be used with --locked"),
        (&["lock", "--check", "--prune"], "cannot be used with"),
        (&["copy", "x"], "required"),
        (&["init", "Hello"], "can't be the name of a recipe"),
        (&["list", "--format", "yaml"], "possible values: text, json, env, kustomize, tfvars, quadlet"),
        (&["store"], "store"),
    ] {
        let run = Test::new().run(arguments.iter().copied()).stdout("").status(2);
        assert!(run.err.contains(about), "{arguments:?}: {}", run.err);
    }
}

#[test]
fn a_wrong_environment() {
    for (name, value) in [("COOPER_LOCKED", "maybe"), ("COOPER_OFFLINE", "2"), ("SOURCE_DATE_EPOCH", "today")]
    {
        let run = Test::new().env(name, value).run(["list"]).stdout("").status(2);
        assert!(run.err.starts_with(&format!("error: {name} is \"{value}\"\n")), "{}", run.err);
    }
    let run = Test::new().env("HOME", "").run(["list"]).status(2);
    assert!(run.err.contains("there is no place for the store"), "{}", run.err);
    // Set and empty is not set.
    let run = Test::new().env("COOPER_LOCKED", "").run(["-C", "/", "list"]).status(4);
    assert!(run.err.contains("cooper.toml"), "{}", run.err);
}

#[test]
fn no_workspace() {
    // Below target/ there is the repository's own cooper.toml; a workspace is looked for from a place without one.
    let run = Test::new().run(["-C", "/", "list"]).stdout("").status(4);
    let expected = "\
error: there is no cooper.toml in / or above it
 |
 = help: `cooper init` makes one here; -C DIR says where one is
";
    run.stderr(expected);
}

#[test]
fn no_directory() {
    let run = Test::new().run(["-C", "nowhere", "list"]).stdout("").status(4);
    assert!(run.err.starts_with("error: [DIR]/nowhere is no directory\n"), "{}", run.err);
}

#[test]
fn errors_as_json() {
    let run = Test::new().run(["--format", "json", "-C", "/", "list"]).stdout("").status(4);
    assert_eq!(run.err.lines().count(), 1);
    let expected = json!({ "error": {
        "kind": "no-workspace",
        "message": "there is no cooper.toml in / or above it",
        "hints": ["`cooper init` makes one here; -C DIR says where one is"],
        "notes": [],
        "exit": 4,
    }});
    assert_eq!(serde_json::from_str::<Value>(&run.err).unwrap(), expected);
    // clap's own errors, too, and what isn't built.
    for arguments in [&["biuld", "--format=json"][..], &["build", "--format", "json", "--nonsense"]] {
        let run = Test::new().run(arguments.iter().copied()).stdout("").status(2);
        let error: Value = serde_json::from_str(&run.err).unwrap();
        assert_eq!(error["error"]["kind"], "usage");
        assert!(!error["error"]["message"].as_str().unwrap().is_empty());
    }
    let run = Test::new().run(["--format", "json", "sign"]).stdout("").status(2);
    assert_eq!(serde_json::from_str::<Value>(&run.err).unwrap()["error"]["exit"], 2);
}

#[test]
fn what_comes_from_outside_is_escaped() {
    let run = Test::new().run(["-C", "evil\x1b[31m\u{202e}\u{9b}\n", "list"]).status(4);
    assert!(
        run.err.starts_with("error: [DIR]/evil\\u{1b}[31m\\u{202e}\\u{9b}\\n is no directory"),
        "{}",
        run.err
    );
    let run = Test::new().run(["--format", "json", "-C", "evil\x1b\u{202e}\u{9b}", "list"]).status(4);
    assert!(run.err.contains("evil\\u001b\\u202e\\u009b"), "{}", run.err);
}

#[test]
fn colours_only_when_asked_for() {
    let coloured = |test: Test, arguments: &[&str]| test.run(arguments.iter().copied()).err.contains("\x1b[");
    assert!(!coloured(Test::new(), &["-C", "/", "list"]));
    assert!(coloured(Test::new(), &["-C", "/", "list", "--color", "always"]));
    assert!(coloured(Test::new().env("CLICOLOR_FORCE", "1"), &["-C", "/", "list"]));
    assert!(!coloured(Test::new().env("CLICOLOR_FORCE", "1").env("NO_COLOR", "1"), &["-C", "/", "list"]));
    assert!(!coloured(Test::new(), &["-C", "/", "list", "--color", "always", "--format", "json"]));
}

#[test]
fn completions() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let run = Test::new().run(["completions", shell]).stderr("").status(0);
        assert!(run.out.contains("COOPER_COMPLETE"), "{shell}");
    }
    Test::new().run(["completions", "tcsh"]).stdout("").status(2);
}

/// What bash offers behind a line, by the script that it is given.
fn offered(test: &Test, line: &[&str]) -> String {
    let words = line.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" ");
    let bash = format!(
        "shopt -s extglob; source <(cooper completions bash); COMP_WORDS=({words}); COMP_CWORD={}; COMP_TYPE=9; \
         $(complete -p cooper | sed -n 's/.* -F \\([^ ]*\\) .*/\\1/p') cooper \"${{COMP_WORDS[COMP_CWORD]}}\" x; echo ${{COMPREPLY[*]}}",
        line.len() - 1
    );
    let bin = Path::new(env!("CARGO_BIN_EXE_cooper")).parent().unwrap().display().to_string();
    let mut command = std::process::Command::new("bash");
    let command = command.args(["--norc", "-c", &bash]).current_dir(test.path(""));
    let output = command.env("PATH", format!("{bin}:/usr/bin:/bin")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{line:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn a_shell_is_offered_what_there_is() {
    let test =
        Test::workspace().file("recipes/shop/web/recipe.toml", "").file("recipes/shop/db/recipe.toml", "");
    let test = test.file("recipes/vault/server/recipe.toml", "broken [");
    for (line, expected) in [
        (&["cooper", "build", "sh"][..], "shop shop/db shop/web"),
        (&["cooper", "build", "shop/web", "vault/"], "vault/server"),
        (&["cooper", "show", "shop/w"], "shop/web"),
        (&["cooper", "push", "shop/web#"], "shop/web#dev shop/web#prod"),
        (&["cooper", "compose", "v"], "vault"),
        (&["cooper", "compose", "shop", "--variant", ""], "dev prod"),
        (&["cooper", "build", "--format", ""], "text json"),
        (&["cooper", "update", "--format", ""], "text json markdown"),
        (&["cooper", "show", "--digests", "--format", ""], "text json env kustomize tfvars quadlet"),
        (&["cooper", "comp"], "compose completions"),
    ] {
        assert_eq!(offered(&test, line), expected, "{line:?}");
    }
    // Where there is no workspace, nothing is said.
    assert_eq!(offered(&Test::new(), &["cooper", "build", "sh"]), "");
}

/// `cooper completions zsh | true`: no message, and the exit code that SIGPIPE gives.
#[test]
fn a_closed_pipe() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Test::new().command(["completions", "zsh"]).stdout(writer).output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(141), Vec::new()));
}

#[test]
fn a_full_disk_behind_standard_output() {
    let Ok(full) = fs::OpenOptions::new().write(true).open("/dev/full") else { return };
    let output = Test::new().command(["completions", "bash"]).stdout(full).output().unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    assert!(error.starts_with("error: cannot write standard output: No space left"), "{error}");
    assert_eq!(output.status.code(), Some(5));
}

/// A newcomer's first two commands.
#[test]
fn init_makes_what_builds() {
    let written = "\
cooper.toml  written
.gitattributes  written
.gitignore  written
recipes/shop/web/recipe.toml  written
recipes/shop/web/hello.txt  written
";
    let run = Test::new().run(["init", "shop/web"]).stdout(written).stderr("").status(0);
    let run = run.then().run(["build", "--offline"]).stderr("").status(0);
    let names: Vec<&str> =
        run.out.lines().filter_map(|line| line.split_once("  ")).map(|(name, _)| name).collect();
    assert_eq!(names, ["shop/web#dev ", "shop/web#prod"].map(str::trim));
    assert!(run.out.lines().all(|line| line.ends_with("  new")), "{}", run.out);
    let run = run.then().run(["build", "--offline", "--locked"]).stderr("").status(0);
    assert!(run.out.lines().all(|line| line.ends_with("  equals the lock")), "{}", run.out);
    let test = run.then().file("recipes/shop/web/hello.txt", "{{ greeting }}!\n");
    let run = test.run(["build", "--offline", "--format", "json"]).status(0);
    let image = &run.json()["recipes"][0]["images"][0];
    assert_eq!(image["because"], json!(["hello.txt"]));
    assert_ne!(image["before"], image["digest"]);
}

#[test]
fn init_leaves_alone_what_is_there() {
    let test = Test::new().file("cooper.toml", "# mine\n").file("recipes/a/b/recipe.toml", "# mine\n");
    let expected = "\
.gitattributes  written
.gitignore  written
cooper.toml  was there, left alone
recipes/a/b/recipe.toml  was there, left alone
";
    let run = test.run(["init", "a/b"]).stdout(expected).status(0);
    assert_eq!(run.test().read("cooper.toml"), "# mine\n");
}

#[test]
fn empty_states() {
    let run = Test::workspace().run(["list"]).stdout("").stderr("").status(0);
    let run = run.then().run(["list", "--format", "json"]).status(0);
    assert_eq!(run.json(), json!({ "images": [], "version": 1 }));
    let run = run.then().run(["build"]).stdout("").stderr("").status(0);
    let run = run.then().run(["list", "web"]).stdout("").status(4);
    assert!(run.err.contains("`cooper list --all` tells what there is"), "{}", run.err);
    let run = run.then().run(["gc"]).stdout("nothing to remove, 0 kept\n").status(0);
    run.then().run(["store", "verify"]).stdout("0 sound, 0 damaged, 0 B\n").status(0);
}

#[test]
fn a_mistake_in_a_recipe_is_underlined() {
    let recipe = "[image]\ntitel = \"x\"\n\n[base]\nscratch = true\n";
    let expected = "\
error: unknown key `titel` in [image]
 --> recipes/a/b/recipe.toml:2:1
  |
2 | titel = \"x\"
  | ^^^^^
  |
  = help: did you mean `title`?
";
    let run = Test::workspace().file("recipes/a/b/recipe.toml", recipe).run(["build"]);
    let run = run.stdout("").stderr(expected).status(3);
    let run = run.then().run(["build", "--format", "json"]).stdout("").status(3);
    let error = &serde_json::from_str::<Value>(&run.err).unwrap()["error"];
    assert_eq!(
        (&error["file"], &error["line"], &error["column"], &error["exit"]),
        (&json!("recipes/a/b/recipe.toml"), &json!(2), &json!(1), &json!(3))
    );
}

#[test]
fn locked_without_a_lock() {
    let recipe = "[base]\nscratch = true\n\n[[file]]\ntext = \"x\"\nto = \"/x\"\n";
    let run = Test::workspace()
        .file("recipes/a/b/recipe.toml", recipe)
        .run(["build", "--locked"])
        .stdout("")
        .status(1);
    assert!(run.err.starts_with("error: the lock of a/b is unpinned\n"), "{}", run.err);
    assert!(run.err.contains("help: `cooper lock a/b` mends it"), "{}", run.err);
}

/// Nobody reads more than a hundred; programs do.
#[test]
fn errors_beyond_those_that_are_shown_are_counted() {
    let recipe: String = (0..150).map(|number| format!("unknown{number} = 1\n")).collect();
    let test = Test::workspace().file("recipes/x/y/recipe.toml", recipe + "[base]\nscratch = true\n");
    let run = test.run(["build"]).status(3);
    assert!(run.err.ends_with("error: stopped by 150 errors; 50 of them aren't shown\n"), "{}", run.err);
    let run = run.then().run(["build", "--format", "json"]).status(3);
    assert_eq!(run.err.lines().count(), 150);
}
