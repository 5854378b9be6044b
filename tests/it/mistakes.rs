//! Mistakes as a new user makes them, each with all that is said of it: what, where, and what to do. They stand in
//! `mistakes.txt`; `COOPER_BLESS=1 cargo test mistakes` writes the messages anew.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use cooperage::digest::Digest;

use crate::support::{Layout, Test};

const TREE: &str = r"
    d 0755 0:0 etc
    d 0755 0:0 run
    d 0755 0:0 usr
    d 0755 0:0 usr/lib
    f 0644 0:0 etc/hostname box\n
    f 0644 0:0 etc/passwd root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\n
    f 0644 0:0 etc/group root:x:0:\nwww-data:x:33:\n
    l lib usr/lib
";

/// What is done before the command, or the command with its exit code and what it says.
enum Step<'a> {
    File(&'a str, &'a str),
    Link(&'a str, &'a str),
    Remove(&'a str),
    Run(&'a str, i32, &'a str),
}

/// Each step with its own text, and what is between this one and the next.
fn steps(text: &str) -> Vec<(&str, Step<'_>)> {
    let mut rest = text;
    let mut steps = Vec::new();
    while !rest.trim().is_empty() {
        let begins = |line: &str| line.starts_with("@ ") || line.starts_with("$ cooper");
        let first = rest.split_inclusive('\n').next().unwrap();
        let more: usize =
            rest.split_inclusive('\n').skip(1).take_while(|line| !begins(line)).map(str::len).sum();
        let (step, after) = rest.split_at(first.len() + more);
        let body = &step[first.len()..];
        rest = after;
        let head = first.trim_end();
        let words: Vec<&str> = head.split(' ').collect();
        let read = match words[..] {
            ["@", "file", path] => Step::File(path, body.strip_suffix("\n§\n").unwrap_or(body)),
            ["@", "link", path, target] => Step::Link(path, target),
            ["@", "remove", path] => Step::Remove(path),
            ["$", "cooper", ..] => {
                let (command, code) = head["$ cooper ".len()..].split_once("  # ").unwrap();
                Step::Run(command, code.parse().unwrap(), body)
            }
            _ => panic!("{head}"),
        };
        steps.push((step, read));
    }
    steps
}

/// The case as it comes out, and whether it is as it stands here.
fn played(name: &str, text: &str) -> (String, bool) {
    let mut test = Test::new().file("cooper.toml", "[workspace]\nplatforms = [\"linux/amd64\"]\n");
    Layout::new(&[TREE]).write(&test.path("bases/os"), "1");
    let (mut out, mut same) = (format!("== {name}\n"), true);
    for (step, read) in steps(text) {
        match read {
            Step::Run(command, code, stderr) => {
                let run = test.run(command.split(' '));
                let said = if run.err.is_empty() || run.err.ends_with('\n') { "" } else { "\n" };
                same &= run.code == Some(code) && run.err.trim_end() == stderr.trim_end();
                write!(out, "$ cooper {command}  # {}\n{}{said}", run.code.unwrap_or(-1), run.err).unwrap();
                test = run.then();
                continue;
            }
            Step::File(path, text) => test = test.file(path, text),
            Step::Link(path, target) => symlink(target, test.path(path)).unwrap(),
            Step::Remove(path) => test = test.remove(path),
        }
        out.push_str(step);
    }
    (out, same)
}

#[test]
fn mistakes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/mistakes.txt");
    let text = fs::read_to_string(&path).unwrap();
    let mut parts = text.split("\n== ");
    let mut blessed = parts.next().unwrap().to_owned();
    let cases: Vec<(&str, &str)> = parts.map(|part| part.split_once('\n').unwrap()).collect();
    assert!(cases.len() >= 60, "{} mistakes", cases.len());
    let found: Vec<(String, bool)> = std::thread::scope(|scope| {
        let play =
            |chunk: &[(&str, &str)]| chunk.iter().map(|(name, text)| played(name, text)).collect::<Vec<_>>();
        let threads: Vec<_> =
            cases.chunks(cases.len().div_ceil(4)).map(|chunk| scope.spawn(move || play(chunk))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut wrong = String::new();
    for (case, same) in &found {
        write!(blessed, "\n{case}").unwrap();
        if !same {
            writeln!(wrong, "{case}").unwrap();
        }
    }
    if std::env::var_os("COOPER_BLESS").is_some() {
        fs::write(&path, blessed).unwrap();
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Whatever is quoted of a file, no password of it is shown, nor what stands in a URL's query.
#[test]
fn no_message_quotes_a_password() {
    let lines = [
        "fetch = \"https://me:§@host.example/x?sig=§\"\nto = \"x\"",
        "fetch = \"https://me:§@host.example/x y?sig=§\"\nto = \"/x\"",
        "fetch = \"http://host.example/x?token=§\" sha = \"1\"",
        "from = \"docker://me:§@host.example/x\"\nto = \"/x\"",
        "image = \"me:§@host.example/x:1\"\npath = \"/x\"\nto = \"/x\"",
        "text = \"{{ nothing }}\"\nto = \"https://me:§@h/?§\"",
    ];
    let bases = [
        "scratch = true",
        "image = \"me:§@host.example/x\"",
        "image = \"docker://me:§@host.example/x\"",
        "image = \"host.example/x\" # https://me:§@host.example/?§",
        "image = \"https://me:§@host.example/?a=§",
    ];
    let mut test = Test::workspace();
    for (base, entry) in bases.iter().flat_map(|base| lines.iter().map(move |entry| (base, entry))) {
        let recipe = format!("[base]\n{base}\n\n[[file]]\n{entry}\n").replace('§', "s3same");
        let mut run = test.file("recipes/a/b/recipe.toml", &recipe).run(["build", "--offline"]);
        assert!(run.code != Some(0) && !run.err.contains("s3same"), "{recipe}\n{}", run.err);
        run = run.then().run(["build", "--offline", "--format", "json"]);
        assert!(!run.err.contains("s3same") && !run.out.contains("s3same"), "{recipe}\n{}", run.err);
        test = run.then();
    }
    for place in [
        "docker://me:s3same@host.example/x",
        "docker://me:s3same@host.example:5000/x?a",
        "me:s3same@host.example/x",
    ] {
        let run = test.run(["copy", place, "oci:out"]).status(2);
        assert!(!run.err.contains("s3same"), "{}", run.err);
        test = run.then();
    }
}

/// What stands where a vendored file belongs is looked at, and said: not that a registry has it.
#[test]
fn a_vendored_file_that_is_none() {
    let digest = Digest::of(b"hello");
    let recipe = format!(
        "[base]\nscratch = true\n\n[[file]]\nfetch = \"https://host.example/x\"\nsha256 = \"{}\"\nto = \"/x\"\n",
        digest.hex()
    );
    let place = format!("vendor/sha256/{}", digest.hex());
    let mut test = Test::workspace().file("recipes/a/b/recipe.toml", recipe).file("hello", "hello");
    let run = test.run(["build", "--offline"]).status(4);
    assert!(run.err.contains("neither in the store nor in `vendor`"), "{}", run.err);
    assert!(run.err.contains("`cooper vendor`") && !run.err.contains("registry"), "{}", run.err);
    test = run.then();
    fs::create_dir_all(test.path("vendor/sha256")).unwrap();
    let kinds: [&dyn Fn(&Path); 4] = [
        &|path| symlink("../../hello", path).unwrap(),
        &|path| symlink("/nowhere", path).unwrap(),
        &|path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success()),
        &|path| fs::create_dir(path).unwrap(),
    ];
    for make in kinds {
        make(&test.path(&place));
        let run = test.run(["build", "--offline"]);
        assert!(run.code == Some(3) || run.code == Some(5), "{:?}", run.code);
        assert!(run.err.contains("is not a regular file") && run.err.contains(&place), "{}", run.err);
        assert!(run.err.contains("a plain file belongs there"), "{}", run.err);
        test = run.then();
        let path = test.path(&place);
        if path.is_dir() { fs::remove_dir(path) } else { fs::remove_file(path) }.unwrap();
    }
    fs::write(test.path(&place), "hello").unwrap();
    test.run(["build", "--offline"]).status(0);
}

/// The recipe's own directory as a source has no name of its own.
#[test]
fn a_source_that_is_the_recipe_itself_is_named() {
    let recipe =
        "[base]\nscratch = true\n\n[[file]]\nfrom = \".\"\nto = \"/x/\"\nexclude = [\"recipe.toml\"]\n";
    let other = "[base]\nscratch = true\n\n[[file]]\nfrom = \"d\"\nto = \"/x/\"\n";
    let mut test = Test::workspace().file("recipes/a/b/d/x.txt", "1").file("recipes/a/b/recipe.toml", other);
    test = test.run(["build"]).status(0).then();
    for (change, text) in [("recipe.toml", recipe), ("d/x.txt", "2"), ("y.txt", "3"), ("recipe.toml", other)]
    {
        let run = test.file(&format!("recipes/a/b/{change}"), text).run(["build"]).status(0);
        assert!(run.out.contains("because") && !run.out.contains(", ,"), "{change}: {}", run.out);
        test = run.then().file(&format!("recipes/a/b/{change}"), text);
        let run = test.run(["lock", "--check"]);
        assert!(!run.err.contains("source  "), "{}", run.err);
        test = run.then();
    }
}
