//! The life of a lock: made, kept, compared, moved, merged; and what is built from one alone.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use cooperage::digest::Digest;
use serde_json::{Value, json};

use crate::support::{Layout, Run, Test, blob, tar};

const TREE: &str = r"
    d 0755 0:0 etc
    d 0755 0:0 usr
    d 0755 0:0 usr/bin
    d 0755 0:0 usr/lib
    d 0700 33:33 srv
    f 0644 0:0 etc/passwd root:x:0:0::/root:/bin/sh\nweb:x:33:33::/srv:/bin/false\n
    f 0644 0:0 etc/group root:x:0:\nweb:x:33:\n
    f 0644 0:0 etc/motd hello\n
    l lib usr/lib
";
const RECIPE: &str = r#"
[base]
layout = "bases/os:1"

[[file]]
from  = "conf/"
to    = "/etc/app/"
owner = "web:web"

[[file]]
from = "run.sh"
to   = "/lib/run"

[config]
cmd = ["run"]
"#;

/// A base whose bytes no compressor decides.
fn os(trees: &[&str]) -> Layout {
    let mut layout = Layout::new(trees);
    let tars = trees.iter().map(|tree| tar(tree));
    layout.layers = tars.map(|tar| ("application/vnd.oci.image.layer.v1.tar".to_owned(), tar)).collect();
    layout
}

fn write_os(test: Test, trees: &[&str]) -> Test {
    os(trees).write(&test.path("bases/os"), "1");
    test
}

fn workspace() -> Test {
    write_os(Test::workspace(), &[TREE])
}

/// One recipe on it.
fn shop() -> Test {
    let test = workspace().file("recipes/shop/web/recipe.toml", RECIPE);
    test.file("recipes/shop/web/conf/app.conf", "port 80\n").file("recipes/shop/web/run.sh", "#!/bin/sh\n")
}

fn built(test: Test) -> Test {
    test.run(["build"]).stderr("").status(0).then()
}

/// What `build` says of the inputs that moved, by image.
#[track_caller]
fn because(run: &Run) -> BTreeMap<String, Vec<String>> {
    let texts =
        |list: &Value| list.as_array().unwrap().iter().map(|it| it.as_str().unwrap().to_owned()).collect();
    images(run).iter().map(|(name, image)| (name.clone(), texts(&image["because"]))).collect()
}

#[track_caller]
fn images(run: &Run) -> BTreeMap<String, Value> {
    let json = run.json();
    let recipes = json["recipes"].as_array().unwrap();
    let images = recipes.iter().flat_map(|recipe| recipe["images"].as_array().unwrap().clone());
    let name = |image: &Value| {
        format!("{}#{}", image["recipe"].as_str().unwrap(), image["variant"].as_str().unwrap())
    };
    images.map(|image| (name(&image), image)).collect()
}

fn digests(run: &Run) -> BTreeMap<String, String> {
    images(run)
        .into_iter()
        .map(|(name, image)| (name, image["digest"].as_str().unwrap().to_owned()))
        .collect()
}

/// Every file below a directory with its bytes, inode and time of change.
fn snapshot(dir: &Path) -> BTreeMap<String, (Vec<u8>, u64, i64)> {
    let mut found = BTreeMap::new();
    let mut todo = vec![dir.to_owned()];
    while let Some(dir) = todo.pop() {
        let Ok(entries) = fs::read_dir(&dir) else { continue };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
                continue;
            }
            let metadata = fs::metadata(&path).unwrap();
            found.insert(
                path.display().to_string(),
                (fs::read(&path).unwrap(), metadata.ino(), metadata.mtime_nsec()),
            );
        }
    }
    found
}

/// The value of `key = "…"` after the line that `header` is.
fn value(lock: &str, header: &str, key: &str) -> String {
    let (_, rest) = lock.split_once(header).unwrap_or_else(|| panic!("{header} in\n{lock}"));
    let (_, rest) = rest.split_once(&format!("\n{key} = \"")).unwrap_or_else(|| panic!("{key} in\n{lock}"));
    rest.split_once('"').unwrap().0.to_owned()
}

fn layers(lock: &str, variant: &str, platform: &str) -> Vec<String> {
    let header = format!("[output.{variant}.platform.\"{platform}\"]");
    let (_, rest) = lock.split_once(&header).unwrap_or_else(|| panic!("{header} in\n{lock}"));
    let (_, rest) = rest.split_once("layers = [").unwrap();
    rest.split_once(']')
        .unwrap()
        .0
        .split('"')
        .filter(|part| part.starts_with("sha256:"))
        .map(Into::into)
        .collect()
}

// --- Made and kept ---------------------------------------------------------------------------------------------------

#[test]
fn the_first_build_writes_the_lock_and_the_second_leaves_it_alone() {
    let test = shop().run(["build"]).stderr("").status(0).then();
    assert_eq!(test.read("lockfiles/shop/web.lock"), include_str!("lock_golden.lock"));
    let before = snapshot(&test.path("lockfiles"));
    let test = test.run(["build"]).stderr("").status(0).then();
    assert_eq!(snapshot(&test.path("lockfiles")), before);
    let run = test.run(["build", "--locked", "--offline"]).stderr("").status(0);
    let digest =
        |variant: &str| value(include_str!("lock_golden.lock"), &format!("[output.{variant}]"), "index");
    let line = |variant: &str| {
        let digest = digest(variant);
        format!("shop/web#{variant:<4}  {}  equals the lock\n", digest.split(' ').next().unwrap())
    };
    assert_eq!(run.out, line("dev") + &line("prod"));
    assert_eq!(digest("dev"), digest("prod"), "identical variants are identical");
    let run = run.then().run(["list"]).status(0);
    assert!(run.out.lines().all(|line| line.contains("  complete  sha256:")), "{}", run.out);
}

#[test]
fn an_input_that_moved_is_named() {
    type Change = fn(Test) -> Test;
    let changes: [(&str, &[&str], Change); 9] = [
        ("a file", &["conf/app.conf"], |test| test.file("recipes/shop/web/conf/app.conf", "port 81\n")),
        ("a new file", &["conf/b.conf"], |test| test.file("recipes/shop/web/conf/b.conf", "")),
        ("a file that went", &["conf/b.conf"], |test| test.remove("recipes/shop/web/conf/b.conf")),
        ("a mode", &["run.sh"], |test| {
            let path = test.path("recipes/shop/web/run.sh");
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).unwrap();
            test
        }),
        ("the configuration", &["recipe.toml [config]"], |test| {
            test.file("recipes/shop/web/recipe.toml", RECIPE.replace("[\"run\"]", "[\"/lib/run\"]"))
        }),
        ("the time", &["recipe.toml [image]"], |test| {
            let recipe = test.read("recipes/shop/web/recipe.toml");
            test.file("recipes/shop/web/recipe.toml", format!("[image]\nepoch = 1000000000\n{recipe}"))
        }),
        ("an entry", &["recipe.toml [file]", "x"], |test| {
            let recipe = test.read("recipes/shop/web/recipe.toml");
            test.file("recipes/shop/web/x", "x").file(
                "recipes/shop/web/recipe.toml",
                format!("{recipe}\n[[file]]\nfrom = \"x\"\nto = \"/x\"\n"),
            )
        }),
        ("another base", &["recipe.toml [base]", "base bases/os"], |test| {
            let recipe = test.read("recipes/shop/web/recipe.toml");
            test.file(
                "recipes/shop/web/recipe.toml",
                recipe.replace("bases/os:1", "bases/os").replace("cmd", "user = \"33\"\ncmd"),
            )
        }),
        ("nothing", &[], |test| test),
    ];
    let mut test = built(shop());
    for (what, inputs, change) in changes {
        let run = change(test).run(["build", "--format", "json"]).stderr("").status(0);
        let mut found = because(&run)["shop/web#prod"].clone();
        // The configuration that was changed with it.
        found.retain(|input| what != "another base" || input != "recipe.toml [config]");
        assert_eq!(found, inputs, "{what}");
        test = run.then();
    }
}

#[test]
fn a_change_in_one_line() {
    let test = built(shop()).file("recipes/shop/web/conf/app.conf", "port 81\n");
    let old = value(&test.read("lockfiles/shop/web.lock"), "[output.prod]", "index");
    let run = test.run(["build", "shop/web#prod"]).stderr("").status(0);
    let new = value(&run.test().read("lockfiles/shop/web.lock"), "[output.prod]", "index");
    let short = |digest: &str| digest[7..19].to_owned();
    let expected = format!(
        "shop/web#prod  sha256:{}… -> {}  because conf/app.conf\n",
        short(&old),
        new.split(' ').next().unwrap()
    );
    assert_eq!(run.out, expected);
    // All variants are recorded, whatever was asked for.
    assert_eq!(value(&run.test().read("lockfiles/shop/web.lock"), "[output.dev]", "index"), new);
}

#[test]
fn service_is_no_input() {
    let test = built(shop());
    let before = snapshot(&test.path("lockfiles"));
    let test = test.file("recipes/shop/web/recipe.toml", format!("{RECIPE}\n[service]\nports = [\"80\"]\n"));
    let test = test.run(["build", "--locked"]).status(0).then();
    let test = test.run(["build"]).status(0).then();
    assert_eq!(snapshot(&test.path("lockfiles")), before);
}

// --- Compared --------------------------------------------------------------------------------------------------------

#[test]
fn locked_tells_every_reason_and_writes_nothing() {
    let test = built(shop());
    let locks = snapshot(&test.path("lockfiles"));
    let test = test
        .file("recipes/shop/web/recipe.toml", RECIPE.replace("[\"run\"]", "[\"/lib/run\"]"))
        .file("recipes/shop/web/conf/b.conf", "")
        .file("recipes/shop/web/conf/app.conf", "port 81\n");
    let run = test.run(["build", "--locked"]).stdout("").status(1);
    let (reasons, rest) = run.err.split_once(" = note: dev on linux/amd64 is sha256:").unwrap();
    let expected = "\
error: the lock of shop/web is stale
 |
 = note: recipe.toml [config] changed
 = note: conf/app.conf changed
 = note: conf/b.conf is new
";
    assert_eq!(reasons, expected);
    assert_eq!(rest.matches(", not sha256:").count(), 6, "{rest}");
    assert!(rest.ends_with("\n = help: `cooper build shop/web` mends it\n"), "{rest}");
    let all = run.err.clone();
    // The same, however it is asked for; with a recipe that nobody builds by default.
    let test = run.then().env("COOPER_LOCKED", "1");
    let test = test.run(["build"]).stdout("").stderr(&all).status(1).then();
    let toml = test.read("cooper.toml").replace("[workspace]", "[workspace]\ndefault = [\"shop/none\"]");
    let test = test.file("cooper.toml", toml).env("COOPER_LOCKED", "");
    let run = test.run(["lock", "--check"]).stdout("").stderr(&all).status(1);
    assert_eq!(snapshot(&run.test().path("lockfiles")), locks);
}

#[test]
fn check_is_about_every_recipe() {
    let test =
        shop().file("recipes/shop/api/recipe.toml", "[base]\nscratch = true\n[[dir]]\npath = \"/x\"\n");
    let run = test.run(["lock", "--check"]).stdout("").status(1);
    let expected = "\
error: the lock of shop/api is unpinned
 |
 = note: there is no lock
 = help: `cooper lock shop/api` mends it
error: the lock of shop/web is unpinned
 |
 = note: there is no lock
 = help: `cooper lock shop/web` mends it
error: stopped by 2 errors
";
    let test = run.stderr(expected).then();
    assert!(!test.path("lockfiles").exists());
    let test = test.run(["lock", "--all"]).stderr("").status(0).then();
    test.run(["lock", "--check"]).stdout("").stderr("").status(0);
}

#[test]
fn another_set_of_locks() {
    let test = shop().run(["build", "--lockfiles", "other"]).status(0).then();
    assert!(test.path("other/shop/web.lock").is_file() && !test.path("lockfiles").exists());
    assert_eq!(test.read("other/shop/web.lock"), include_str!("lock_golden.lock"));
    let test = test.run(["build", "--locked", "--lockfiles", "other"]).status(0).then();
    test.run(["build", "--locked"]).status(1);
}

#[test]
fn a_newer_lock_is_not_guessed_at() {
    let test = built(shop());
    let lock = test.read("lockfiles/shop/web.lock");
    let test = test.file("lockfiles/shop/web.lock", lock.replace("version = 1", "version = 2"));
    let run = test.run(["build"]).stdout("").status(3);
    let expected = "\
error: the lock has format 2; cooper 0.1.0 reads formats up to 1: a newer one is needed
--> lockfiles/shop/web.lock
 = help: install a newer cooper
";
    run.stderr(expected);
}

#[test]
fn other_line_endings_are_told() {
    let test = built(shop()).file("recipes/shop/web/conf/app.conf", "port 80\r\n");
    let expected = "\
error: recipes/shop/web/conf/app.conf differs from the lock in its line endings only
--> recipes/shop/web/conf/app.conf
 = help: add `recipes/** -text` to .gitattributes, and check the file out again
";
    test.run(["build"]).stdout("").stderr(expected).status(3);
}

#[test]
fn a_damaged_blob_is_told() {
    let test = built(shop());
    let lock = test.read("lockfiles/shop/web.lock");
    let facts = value(&lock, "linux/amd64", "facts");
    let path = format!("lockfiles/blobs/sha256/{}", &facts[7..71]);
    let test = test.file(&path, "other");
    let expected = format!(
        "\
error: [DIR]/{path} is not what its name says
 |
 = help: restore it from version control, or delete it and run `cooper lock`
"
    );
    test.run(["build", "--locked"]).stdout("").stderr(&expected).status(3);
}

// --- Moved -----------------------------------------------------------------------------------------------------------

#[test]
fn a_pin_moves_by_update_only() {
    let other = RECIPE
        .replace("[\"run\"]", "[\"other\"]")
        .replace("[[file]]\nfrom = \"run.sh\"\nto   = \"/lib/run\"\n", "");
    let test = shop().file("recipes/shop/api/recipe.toml", other).file("recipes/shop/api/conf/x", "");
    let test = built(test);
    let (web, api) = (test.read("lockfiles/shop/web.lock"), test.read("lockfiles/shop/api.lock"));
    // The old image's blobs stay, as in a registry.
    let test = write_os(test, &[TREE, "f 0644 0:0 etc/motd other\\n"]);
    let locks = snapshot(&test.path("lockfiles"));
    let test = test.run(["build"]).stderr("").status(0).then();
    let run = test.run(["update"]).stderr("").status(0);
    let index = &value(&web, "[[base]]", "index")[..71];
    assert!(run.out.starts_with(&format!("bases/os:1  sha256:{}… -> sha256:", &index[7..19])), "{}", run.out);
    assert!(run.out.ends_with("  would move in shop/api, shop/web\n"), "{}", run.out);
    assert_eq!(snapshot(&run.test().path("lockfiles")), locks);
    let run = run.then().run(["update", "shop/web"]).stderr("").status(0);
    let test = run.then();
    let moved = test.read("lockfiles/shop/web.lock");
    assert_ne!(value(&moved, "[[base]]", "index"), value(&web, "[[base]]", "index"));
    assert_eq!(test.read("lockfiles/shop/api.lock"), api);
    for platform in ["linux/amd64", "linux/arm64"] {
        assert_eq!(
            layers(&moved, "prod", platform),
            layers(&web, "prod", platform),
            "the overlay is as it was"
        );
    }
    assert_eq!(
        layers(&web, "prod", "linux/amd64"),
        layers(&web, "prod", "linux/arm64"),
        "shared by platforms"
    );
    assert_eq!(layers(&web, "dev", "linux/amd64"), layers(&web, "prod", "linux/amd64"), "shared by variants");
    let test = test.run(["update", "--input", "bases/os:1"]).stderr("").status(0).then();
    assert_eq!(
        value(&test.read("lockfiles/shop/api.lock"), "[[base]]", "index"),
        value(&moved, "[[base]]", "index")
    );
    let run = test.run(["update", "--input", "bases/so:1"]).stdout("").status(2);
    assert!(run.err.starts_with("error: no recipe stands on bases/so:1 or takes from it\n"), "{}", run.err);
    run.then().run(["lock", "--check"]).status(0);
}

#[test]
fn a_child_follows_its_parent() {
    let child = "[base]\nrecipe = \"shop/web\"\n\n[[file]]\nfrom = \"x\"\nto = \"/etc/app/x\"\n";
    let test = shop().file("recipes/shop/child/recipe.toml", child).file("recipes/shop/child/x", "x");
    let test = built(test).file("recipes/shop/web/run.sh", "#!/bin/sh\nexit\n");
    let run = test.run(["build", "shop/child", "--locked"]).status(1);
    assert!(run.err.contains("the lock of shop/web is stale"), "{}", run.err);
    let run = run.then().run(["build", "shop/child", "--format", "json"]).status(0);
    let because = because(&run);
    assert_eq!(because["shop/child#prod"], ["parent shop/web"]);
    assert_eq!(because["shop/web#prod"], ["run.sh"]);
    let run = run.then().run(["lock", "--check"]).stderr("").status(0);
    // The directory that the parent made keeps its owner.
    let run = run.then().run(["show", "shop/child"]).status(0);
    assert!(run.out.contains("      d 0755 33:33 /etc/app\n"), "{}", run.out);
}

#[test]
fn extended_is_patched() {
    let child = "[base]\nextends = \"shop/web\"\n\n[config]\ncmd = [\"other\"]\n";
    let test = shop().file("recipes/shop/child/recipe.toml", child);
    let run = test.run(["build", "--format", "json"]).stderr("").status(0);
    let digests = digests(&run);
    assert_ne!(digests["shop/child#prod"], digests["shop/web#prod"]);
    let test = run.then();
    let lock = test.read("lockfiles/shop/child.lock");
    assert!(lock.contains("origin = \"recipes/shop/web\"\nfrom = \"conf\"\n"), "{lock}");
    assert_eq!(
        layers(&lock, "prod", "linux/amd64"),
        layers(&test.read("lockfiles/shop/web.lock"), "prod", "linux/amd64")
    );
    // Another configuration of the one it extends makes it stale.
    let run = test.file("recipes/shop/web/recipe.toml", RECIPE.replace("/lib/run", "/usr/bin/run"));
    let run = run.run(["build", "shop/child", "--format", "json"]).status(0);
    assert_eq!(because(&run)["shop/child#prod"].len(), 1, "{:?}", because(&run));
}

// --- Merged ----------------------------------------------------------------------------------------------------------

fn conflict(ours: &str, theirs: &str) -> String {
    let same = ours.lines().zip(theirs.lines()).take_while(|(a, b)| a == b).count();
    let rest = |text: &str| text.lines().skip(same).map(|line| format!("{line}\n")).collect::<String>();
    let head: String = ours.lines().take(same).map(|line| format!("{line}\n")).collect();
    format!("{head}<<<<<<< HEAD\n{}=======\n{}>>>>>>> theirs\n", rest(ours), rest(theirs))
}

#[test]
fn a_conflict_is_merged_by_lock() {
    let test = built(shop());
    let ours = test.read("lockfiles/shop/web.lock");
    let test = built(test.file("recipes/shop/web/conf/theirs.conf", ""));
    let theirs = test.read("lockfiles/shop/web.lock");
    let test = test.file("lockfiles/shop/web.lock", conflict(&ours, &theirs));
    let run = test.run(["build", "--locked"]).stdout("").status(1);
    let run = run.stderr(
        "error: the lock of shop/web is conflicted\n |\n = note: the lock has conflict markers\n = help: `cooper lock shop/web` mends it\n",
    );
    let test = run.then().run(["lock"]).stderr("").status(0).then();
    assert_eq!(test.read("lockfiles/shop/web.lock"), theirs);
}

#[test]
fn pins_that_differ_are_asked_about() {
    let test = built(shop());
    let ours = test.read("lockfiles/shop/web.lock");
    let test = write_os(test, &[TREE, "f 0644 0:0 etc/motd other\\n"]);
    let test = test.run(["update", "--all"]).status(0).then();
    let theirs = test.read("lockfiles/shop/web.lock");
    let mut test = test.file("lockfiles/shop/web.lock", conflict(&ours, &theirs));
    let index = |lock: &str| value(lock, "[[base]]", "index")[..71].to_owned();
    let expected = format!(
        "\
error: lockfiles/shop/web.lock has conflict markers, and the two sides pin different bases
--> lockfiles/shop/web.lock
 = note: base bases/os:1: ours {}, theirs {}
 = help: `cooper lock --take ours` or `--take theirs` chooses
",
        index(&ours),
        index(&theirs)
    );
    for (side, lock) in [("theirs", &theirs), ("ours", &ours)] {
        test = test.file("lockfiles/shop/web.lock", conflict(&ours, &theirs));
        test = test.run(["lock"]).stdout("").stderr(&expected).status(3).then();
        test = test.run(["build"]).stdout("").stderr(&expected).status(3).then();
        test = test.run(["lock", "--take", side]).stderr("").status(0).then();
        assert_eq!(test.read("lockfiles/shop/web.lock"), *lock);
    }
}

// --- What a lock holds -----------------------------------------------------------------------------------------------

#[test]
fn prune_removes_what_no_lock_names() {
    let test = built(shop()).file(&format!("lockfiles/blobs/sha256/{}", Digest::of(b"old").hex()), "old");
    let before = snapshot(&test.path("lockfiles")).len();
    let run = test.run(["lock", "--prune"]).stderr("").status(0);
    run.test().read("lockfiles/shop/web.lock");
    assert_eq!(run.out, format!("{}\n", Digest::of(b"old")));
    assert_eq!(snapshot(&run.test().path("lockfiles")).len(), before - 1);
    run.then().remove("bases").run(["build", "--locked"]).status(0);
}

#[test]
fn audit_lists_every_byte_source_and_fails_if_one_floats() {
    let run = shop().run(["lock", "--audit"]).stderr("").status(1);
    let floats: Vec<&str> = run.out.lines().filter(|line| line.contains("  floats  ")).collect();
    assert_eq!(floats.len(), 3, "{}", run.out);
    let run = built(run.then()).run(["lock", "--audit"]).stderr("").status(0);
    let kinds: Vec<&str> = run.out.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!(kinds, ["base", "facts", "facts", "source", "source"], "{}", run.out);
}

#[test]
fn reading_verbs_need_no_store() {
    let test = built(shop()).env("COOPER_STORE", "/dev/null");
    let test = test.run(["list"]).stderr("").status(0).then();
    let test = test.run(["lock", "--audit"]).stderr("").status(0).then();
    let test = test.run(["lock", "--prune"]).stderr("").status(0).then();
    test.run(["build"]).stdout("").status(5);
}

#[test]
fn facts_are_verified() {
    let test = built(shop()).run(["lock", "--verify-facts"]).stderr("").status(0).then();
    let lock = test.read("lockfiles/shop/web.lock");
    let facts = value(&lock, "linux/amd64", "facts");
    let path = |facts: &str| format!("lockfiles/blobs/sha256/{}", &facts[7..71]);
    let tampered = test.read(&path(&facts)).replace("33 33", "34 34").replace("33:33", "34:34");
    let pin = format!("{} {}", Digest::of(tampered.as_bytes()), tampered.len());
    assert_ne!(pin, facts, "{tampered}");
    let test = test.file(&path(&pin), &tampered).file("lockfiles/shop/web.lock", lock.replace(&facts, &pin));
    let expected = "\
error: bases/os:1 on linux/amd64: the facts in lockfiles/blobs are not what its layers say
 --> recipes/shop/web/recipe.toml:3:10
  |
3 | layout = \"bases/os:1\"
  |          ^^^^^^^^^^^^
  |
  = help: restore lockfiles/blobs from version control, or run `cooper lock`
";
    let test = test.run(["lock", "--verify-facts"]).stdout("").stderr(expected).status(3).then();
    // What it says helps.
    let test = test.run(["lock"]).status(0).then();
    assert_eq!(test.read("lockfiles/shop/web.lock"), lock);
    let test = test.run(["lock", "--verify-facts"]).stderr("").status(0).then();
    // So do facts that can't be read, and those that are gone.
    let pin = format!("{} 4", Digest::of(b"what"));
    let test = test.file(&path(&pin), "what").file("lockfiles/shop/web.lock", lock.replace(&facts, &pin));
    let test = test.run(["build"]).status(3).then().run(["lock"]).status(0).then();
    assert_eq!(test.read("lockfiles/shop/web.lock"), lock);
    let test = test.file("lockfiles/shop/web.lock", lock.replace(&facts, &pin)).remove(&path(&pin));
    let test = test.run(["lock"]).status(0).then();
    assert_eq!(test.read("lockfiles/shop/web.lock"), lock);
    // Where the layers can't be had, a complete lock is believed, as it is by a build.
    let test = test.run(["build"]).status(0).then().remove("bases").remove("../home");
    test.run(["lock", "--verify-facts"]).status(4);
}

#[test]
fn what_a_pattern_matches_and_an_edit_changes_is_verified() {
    let recipe = "[base]\nlayout = \"bases/os:1\"\n[[remove]]\npath = \"/etc/*.bak\"\n\
        [[edit]]\npath = \"/etc/hosts\"\nappend = \"x\\n\"\n";
    let tree = "d 0755 0:0 etc\nf 0644 0:0 etc/hosts h\\n\nf 0644 0:0 etc/a.bak a\nf 0644 0:0 etc/b.bak b\n";
    let test = Test::new()
        .file("cooper.toml", "[workspace]\nplatforms = [\"linux/amd64\"]\n")
        .base("bases/os", "1", &[tree])
        .file("recipes/a/b/recipe.toml", recipe)
        .run(["lock"])
        .status(0)
        .then();
    let lock = test.read("lockfiles/a/b.lock");
    let removed = lock.replace("    \"/etc/a.bak\",\n", "");
    let mode = lock.replace("f0644 ", "f0666 ");
    let lines = |lock: &str| {
        let line = lock.lines().find(|line| line.trim().starts_with("\"f0")).unwrap().trim();
        format!("{}\n", line.trim_matches([',', '"']))
    };
    let hash = |lock: &str| Digest::of(lines(lock).as_bytes()).to_string();
    let mode = mode.replace(&hash(&lock), &hash(&mode));
    let mut test = test;
    for lie in [removed, mode] {
        assert_ne!(lie, lock);
        let run = test.file("lockfiles/a/b.lock", &lie).run(["lock", "--verify-facts"]).status(3);
        assert!(run.err.contains("it holds something else than the lock says"), "{}", run.err);
        assert!(run.err.contains("`cooper lock`"), "{}", run.err);
        // The store must not know better.
        let run = run.then().remove("../home").run(["lock"]).status(0);
        test = run.then();
        assert_eq!(test.read("lockfiles/a/b.lock"), lock);
    }
    test.run(["lock", "--verify-facts"]).stderr("").status(0);
}

#[test]
fn a_lock_without_blobs_completes_itself() {
    let test = built(shop());
    let before = snapshot(&test.path("lockfiles")).keys().cloned().collect::<Vec<_>>();
    let test = test.remove("lockfiles/blobs").remove("../home");
    let run = test.run(["list"]).status(0);
    let test = run.then().run(["lock", "--offline"]).stderr("").status(0).then();
    assert_eq!(test.read("lockfiles/shop/web.lock"), include_str!("lock_golden.lock"));
    assert_eq!(snapshot(&test.path("lockfiles")).keys().cloned().collect::<Vec<_>>(), before);
    // Without blobs and without the base nothing can be known.
    let test = test.remove("lockfiles/blobs").remove("../home").remove("bases");
    let run = test.run(["build", "--locked", "--offline"]).stdout("").status(1);
    assert!(run.err.starts_with("error: the lock of shop/web is digest-only\n"), "{}", run.err);
    assert!(run.err.ends_with("= help: `cooper lock shop/web` mends it\n"), "{}", run.err);
}

#[test]
fn the_time_is_taken_when_locking() {
    let test = shop().env("SOURCE_DATE_EPOCH", "1000000000");
    let test = test.run(["lock"]).stderr("").status(0).then();
    assert!(test.read("lockfiles/shop/web.lock").contains("\nepoch = 1000000000\n"));
    let test = test.env("SOURCE_DATE_EPOCH", "1100000000");
    let test = test.run(["build"]).status(0).then();
    assert!(test.read("lockfiles/shop/web.lock").contains("\nepoch = 1000000000\n"));
    test.run(["build", "--locked"]).status(0);
}

#[test]
fn what_is_set_is_not_locked() {
    let recipe = format!(
        "{RECIPE}env.REV = \"{{{{ rev }}}}\"\n\n[vars]\nrev = {{ set = true, default = \"none\" }}\n"
    );
    let test = built(shop().file("recipes/shop/web/recipe.toml", recipe));
    let locks = snapshot(&test.path("lockfiles"));
    let run = test.run(["build", "--set", "rev=abc", "--format", "json"]).stderr("").status(0);
    let image = images(&run)["shop/web#prod"].clone();
    assert_ne!(image["digest"], image["before"]);
    assert_eq!(run.json()["recipes"][0]["lock"], "not-written");
    assert_eq!(snapshot(&run.test().path("lockfiles")), locks);
}

#[test]
fn a_time_made_from_the_content() {
    let recipe = RECIPE.replace("owner = ", "mtime = \"content\"\nowner = ");
    let test = built(
        shop().file("recipes/shop/web/recipe.toml", recipe).file("recipes/shop/web/conf/b.conf", "b\n"),
    );
    let test = test.run(["build", "shop/web#prod", "--to", "oci:out"]).stderr("").status(0).then();
    let index: Value = serde_json::from_str(&test.read("out/index.json")).unwrap();
    let open = |descriptor: &Value| {
        test.path(&format!("out/blobs/sha256/{}", &descriptor["digest"].as_str().unwrap()[7..]))
    };
    let json = |descriptor: &Value| -> Value {
        serde_json::from_slice(&fs::read(open(descriptor)).unwrap()).unwrap()
    };
    let manifest = json(&json(&index["manifests"][0])["manifests"][0]);
    let layer = fs::read(open(manifest["layers"].as_array().unwrap().last().unwrap())).unwrap();
    let mut archive = ::tar::Archive::new(flate2::read::GzDecoder::new(&layer[..]));
    let times: BTreeMap<String, i64> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.path().unwrap().display().to_string(), entry.header().mtime().unwrap() as i64))
        .collect();
    let expected = |content: &[u8]| {
        let hex = Digest::of(content).hex();
        946_684_800 - i64::from(u32::from_str_radix(&hex[..8], 16).unwrap() % 315_360_000)
    };
    assert_eq!(times["etc/app/app.conf"], expected(b"port 80\n"));
    assert_eq!(times["etc/app/b.conf"], expected(b"b\n"));
    assert_eq!(times["usr/lib/run"], 946_684_800);
}

#[test]
fn a_large_tree_is_listed_in_a_blob() {
    let mut test = shop();
    for number in 0..600 {
        test = test.file(&format!("recipes/shop/web/conf/{number}"), "");
    }
    let test = built(test);
    let lock = test.read("lockfiles/shop/web.lock");
    let listing = value(&lock, "from = \"conf\"", "listing");
    let text = test.read(&format!("lockfiles/blobs/sha256/{}", &listing[7..71]));
    assert_eq!(text.lines().count(), 601);
    assert!(lock.len() < 4000, "{lock}");
    let test = test.remove("recipes/shop/web/conf/77").run(["lock", "--prune"]).status(0).then();
    let run = test.run(["build", "--format", "json"]).status(0);
    assert_eq!(because(&run)["shop/web#prod"], ["conf/77"]);
}

// --- Bare ------------------------------------------------------------------------------------------------------------

#[test]
fn a_bare_recipe_is_upstream() {
    let layout = os(&[TREE]);
    let test = Test::workspace().file("recipes/up/os/recipe.toml", "[base]\nlayout = \"bases/os:1\"\n");
    let dir = test.path("bases/os");
    layout.write(&dir, "1");
    // An attestation beside the platforms.
    let top: Value = serde_json::from_str(&test.read("bases/os/index.json")).unwrap();
    let hex = top["manifests"][0]["digest"].as_str().unwrap()[7..].to_owned();
    let mut index: Value = serde_json::from_str(&test.read(&format!("bases/os/blobs/sha256/{hex}"))).unwrap();
    let empty = blob(&dir, "application/vnd.oci.image.config.v1+json", b"{}").0;
    let media_type = "application/vnd.oci.image.manifest.v1+json";
    let manifest = json!({ "schemaVersion": 2, "mediaType": media_type, "config": empty, "layers": [] });
    let mut attestation = blob(&dir, media_type, manifest.to_string().as_bytes()).0;
    attestation["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
    index["manifests"].as_array_mut().unwrap().push(attestation);
    let (mut top, digest) = blob(&dir, index["mediaType"].as_str().unwrap(), index.to_string().as_bytes());
    top["annotations"] = json!({ "org.opencontainers.image.ref.name": "1" });
    let top = json!({ "schemaVersion": 2, "mediaType": index["mediaType"], "manifests": [top] });
    let test = test.file("bases/os/index.json", top.to_string());

    let run = test.run(["build", "--format", "json"]).stderr("").status(0);
    assert_eq!(digests(&run)["up/os#prod"], digest.to_string());
    let test = run.then().run(["build", "up/os#prod", "--to", "oci:out"]).stderr("").status(0).then();
    let hex = digest.hex();
    assert_eq!(test.read(&format!("out/blobs/sha256/{hex}")), index.to_string());
    // With platforms of its own it is a subset, which is another index.
    let recipe = "[base]\nlayout = \"bases/os:1\"\n\n[image]\nplatforms = [\"linux/arm64\"]\n";
    let run = test.file("recipes/up/os/recipe.toml", recipe).run(["build", "--format", "json"]).status(0);
    let image = images(&run)["up/os#prod"].clone();
    assert_ne!(image["digest"], digest.to_string().as_str());
    let arm = index["manifests"][1]["digest"].clone();
    assert_eq!(image["platforms"], json!({ "linux/arm64": arm }));
}

// --- Sparse, and the store -------------------------------------------------------------------------------------------

/// The layers of a layout go; its documents stay.
fn without_layers(test: Test) -> Test {
    let blobs = test.path("bases/os/blobs/sha256");
    for entry in fs::read_dir(blobs).unwrap() {
        let path = entry.unwrap().path();
        if serde_json::from_slice::<Value>(&fs::read(&path).unwrap()).is_err() {
            fs::remove_file(path).unwrap();
        }
    }
    test
}

#[test]
fn a_complete_lock_needs_no_layer() {
    let test = without_layers(built(shop()).remove("../home"));
    let run = test.run(["build", "--locked", "--offline"]).stderr("").status(0);
    assert!(run.out.lines().all(|line| line.ends_with("  equals the lock")), "{}", run.out);
    // Nor does a file in a directory that no entry has touched.
    let test = run.then().file("recipes/shop/web/x", "x");
    let recipe = format!("{RECIPE}\n[[file]]\nfrom = \"x\"\nto = \"/srv/x\"\n");
    let test = test.file("recipes/shop/web/recipe.toml", recipe);
    let test = test.run(["build", "--offline"]).stderr("").status(0).then();
    let run = test.run(["show", "shop/web"]).status(0);
    assert!(run.out.contains("      d 0700 33:33 /srv\n"), "{}", run.out);
    // But a new [[remove]] has to look, and an export has to copy.
    let remove = format!("{RECIPE}\n[[remove]]\npath = \"/etc/motd\"\n");
    let run = run.then().run(["build", "shop/web#prod", "--to", "oci:out"]).stdout("").status(4);
    let run = run
        .then()
        .file("recipes/shop/web/recipe.toml", remove)
        .run(["build", "--offline"])
        .stdout("")
        .status(4);
    assert!(
        run.err.contains("is needed, and it is neither in the store nor where the base comes from"),
        "{}",
        run.err
    );
}

#[test]
fn equal_attributes_give_equal_layers() {
    let dev = format!("{RECIPE}\n[[variant.dev.file]]\ntext = \"dev\"\nto = \"/etc/dev\"\n");
    let test = shop().file("recipes/shop/web/recipe.toml", &dev);
    // Another base with the same directories.
    os(&[TREE, "f 0644 0:0 etc/issue other\\n"]).write(&test.path("bases/other"), "1");
    let test = test.file("recipes/shop/other/recipe.toml", dev.replace("bases/os", "bases/other"));
    let test = test
        .file("recipes/shop/other/conf/app.conf", "port 80\n")
        .file("recipes/shop/other/run.sh", "#!/bin/sh\n");
    let test = built(test);
    let (web, other) = (test.read("lockfiles/shop/web.lock"), test.read("lockfiles/shop/other.lock"));
    for platform in ["linux/amd64", "linux/arm64"] {
        let (dev, prod) = (layers(&web, "dev", platform), layers(&web, "prod", platform));
        assert_eq!((dev.len(), prod.len()), (2, 1));
        assert_eq!(dev[0], prod[0], "the common layer");
        assert_eq!((layers(&other, "dev", platform), layers(&other, "prod", platform)), (dev, prod));
    }
    assert_ne!(value(&web, "[output.prod]", "index"), value(&other, "[output.prod]", "index"));
}

#[test]
fn a_damaged_store_heals_or_is_told() {
    let test = built(shop());
    let lock = test.read("lockfiles/shop/web.lock");
    let blobs = test.store().join("blobs/sha256");
    let manifest = value(&lock, "[output.prod.platform.\"linux/amd64\"]", "manifest");
    let document: Value = serde_json::from_slice(&fs::read(blobs.join(&manifest[7..71])).unwrap()).unwrap();
    let layer = document["layers"].as_array().unwrap().last().unwrap();
    let layer = blobs.join(&layer["digest"].as_str().unwrap()[7..]);
    let sound = fs::read(&layer).unwrap();
    // A layer that is gone is made again; so is one that is too short.
    for damage in [None, Some(&sound[1..])] {
        match damage {
            None => fs::remove_file(&layer).unwrap(),
            Some(bytes) => fs::write(&layer, bytes).unwrap(),
        }
        let run = test.command(["build", "--locked"]).output().unwrap();
        assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        assert_eq!(fs::read(&layer).unwrap(), sound);
    }
    // Other bytes of the same length are noticed where they would be passed on.
    let mut other = sound.clone();
    other[20] ^= 1;
    fs::write(&layer, &other).unwrap();
    let run = test.run(["store", "verify"]).status(1);
    assert!(run.out.contains(" damaged"), "{}", run.out);
    let run = run.then().run(["build", "shop/web#prod", "--to", "oci:out"]).stdout("").status(3);
    assert!(
        run.err.contains("has the bytes of sha256:") && run.err.contains("`cooper store verify --repair`"),
        "{}",
        run.err
    );
    let test = run.then().run(["store", "verify", "--repair"]).then();
    let test =
        test.run(["build", "shop/web#prod", "--locked", "--to", "oci:out"]).stderr("").status(0).then();
    assert_eq!(fs::read(&layer).unwrap(), sound);
    test.run(["store", "verify"]).status(0);
}

#[test]
fn what_a_recipe_needs_is_kept() {
    let test = built(shop());
    let test = test.run(["gc"]).status(0).then();
    let run = test.run(["build", "--format", "json"]).status(0);
    assert_eq!(images(&run)["shop/web#prod"]["layers_made"], 0, "gc keeps the layers of roots");
    let run = run.then().remove("recipes/shop/web").run(["gc", "--dry-run"]).status(0);
    let run = run.then().run(["gc"]).status(0);
    assert!(!run.out.contains("nothing to remove"), "{}", run.out);
    run.then().run(["gc"]).stdout("nothing to remove, 0 kept\n").status(0);
}

#[test]
fn twice_from_nothing() {
    let run = shop().run(["build", "--twice"]).stderr("").status(0);
    assert!(!run.out.contains("differs"), "{}", run.out);
}

#[test]
fn an_output_is_replaced_whole() {
    let mut test = built(shop());
    for place in ["oci:out:1", "oci-archive:out.tar", "docker-archive:docker.tar"] {
        test = test.run(["build", "shop/web#prod", "--to", place]).stderr("").status(0).then();
    }
    let archive = fs::read(test.path("out.tar")).unwrap();
    let test = test.run(["build", "shop/web#prod", "--to", "oci-archive:again.tar"]).status(0).then();
    assert_eq!(fs::read(test.path("again.tar")).unwrap(), archive, "an archive is a function of the image");
    let test = test.file("again.tar", "stale").file("recipes/shop/web/run.sh", "#!/bin/sh\nexit\n");
    let test = test
        .run(["build", "shop/web#prod", "--to", "oci-archive:again.tar", "--to", "oci:out:1"])
        .status(0)
        .then();
    assert_ne!(fs::read(test.path("again.tar")).unwrap(), archive);
    let index: Value = serde_json::from_str(&test.read("out/index.json")).unwrap();
    assert_eq!(index["manifests"].as_array().unwrap().len(), 1, "{index}");
    let digest = value(&test.read("lockfiles/shop/web.lock"), "[output.prod]", "index");
    assert_eq!(index["manifests"][0]["digest"], digest[..71]);
    // Nothing is written where a build fails.
    let test = test.remove("recipes/shop/web/run.sh");
    let test = test.run(["build", "shop/web#prod", "--to", "oci-archive:never.tar"]).status(4).then();
    assert!(!test.path("never.tar").exists());
}

#[test]
fn a_guard_needs_no_second_look_at_the_layers() {
    // The store has the header index of the first build: a complete lock doesn't hide a target below a file.
    let test = built(shop());
    let recipe = format!("{RECIPE}\n[[file]]\ntext = \"x\"\nto = \"/etc/motd/x\"\n");
    let test = without_layers(test).file("recipes/shop/web/recipe.toml", recipe);
    let run = test.run(["build"]).stdout("").status(3);
    assert!(
        run.err.starts_with("error: /etc/motd/x would lie below /etc/motd, which is a file of the base\n"),
        "{}",
        run.err
    );
    // Without index and layers nobody knows; `--locked` must not ask.
    let test = run.then().remove("../home").run(["build"]).stderr("").status(0).then();
    test.run(["build", "--locked"]).stderr("").status(0);
}
