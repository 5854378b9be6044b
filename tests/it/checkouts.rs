//! Checkouts whose links and URLs lead elsewhere: nothing outside of the workspace is written, removed or read, unless whoever
//! runs cooper, or the site, says so.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::support::{Layout, Test};

/// What nobody in the workspace may learn.
const SECRET: &str = "what only this machine knows";

/// An image without sources; one that is served, with a template and a link in it that the working copy is mounted over.
const PLAIN: &str = "[base]\nlayout = \"bases/os:1\"\n[[file]]\ntext = \"x\"\nto = \"/x\"\n";
const SERVED: &str = r#"
[base]
scratch = true
[[file]]
from     = "conf.j2"
to       = "/etc/conf"
template = true
mount-in = ["dev"]
[service]
ports = ["80"]
"#;

/// What lies beside the workspace: files of the names that cooper gives, and what it would sweep.
fn outside(test: &Test) -> PathBuf {
    let outside = test.path("../outside");
    let manifest = "0".repeat(64);
    for path in [
        "secret",
        ".tmp-1-1",
        "a/.tmp-1-1",
        "a/b.lock",
        "blobs/sha256/.tmp-1-1",
        &format!("blobs/sha256/{manifest}"),
        "sha256/.tmp-1-1",
        &manifest,
        "dev/shop/web/etc/conf",
        "shop/web/etc/conf",
        "web/etc/conf",
        "etc/conf",
        "hello/world/notes",
    ] {
        let path = outside.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, SECRET).unwrap();
    }
    Layout::new(&["d 0755 0:0 etc\n"]).write(&outside.join("os"), "1");
    outside
}

/// Every file below a directory.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).into_iter().flatten() {
        let path = entry.unwrap().path();
        let about = path.symlink_metadata().unwrap();
        if about.is_dir() {
            found.extend(files(&path));
            found.insert(path, Vec::new());
        } else if about.is_file() {
            found.insert(path.clone(), fs::read(path).unwrap());
        }
    }
    found
}

/// A workspace with `a/b` and `shop/web`, and what lies beside it.
fn workspace() -> (Test, PathBuf) {
    let test = Test::workspace()
        .base("bases/os", "1", &["d 0755 0:0 etc\n"])
        .file("recipes/a/b/recipe.toml", PLAIN)
        .file("recipes/shop/web/recipe.toml", SERVED)
        .file("recipes/shop/web/conf.j2", "conf of {{ name }}");
    let outside = outside(&test);
    (test, outside)
}

fn link(test: &Test, path: &str, target: impl AsRef<Path>) {
    let path = test.path(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink(target, path).unwrap();
}

/// Runs cooper, which must refuse, name all of `says`, and leave what lies outside as it was.
#[track_caller]
fn refused<'a>(
    test: Test,
    outside: &Path,
    arguments: impl IntoIterator<Item = &'a str>,
    says: &[&str],
) -> Test {
    let before = files(outside);
    let run = test.run(arguments).status(3);
    for part in says {
        assert!(run.err.contains(part), "{part}\n{}", run.err);
    }
    assert!(!run.err.contains(SECRET) && !run.out.contains(SECRET), "{}{}", run.out, run.err);
    let after = files(outside);
    let changed: Vec<_> =
        before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path)).collect();
    assert!(changed.is_empty(), "{changed:?}");
    // Not even an uncompressed layer, a lock or a copy has it.
    let work = run.test().path("");
    for (path, bytes) in files(&work).into_iter().chain(files(&run.test().store())) {
        assert!(!bytes.windows(SECRET.len()).any(|part| part == SECRET.as_bytes()), "{path:?}");
    }
    run.then()
}

#[test]
fn what_cooper_writes_stays_in_the_workspace() {
    let compose = ["compose", "shop", "--variant", "dev"];
    let build = ["build", "a/b"];
    let layout = ["build", "a/b#prod", "--to", "oci:out:1"];
    // A link, where it leads from its own directory, the command, and the link that the message names.
    let cases: [(&str, &str, &[&str]); 25] = [
        (".cooper", "../outside", &compose),
        (".cooper/dev", "../../outside", &compose),
        (".cooper/dev/shop", "../../../outside", &compose),
        (".cooper/dev/shop/web", "../../../../outside/web", &compose),
        ("lockfiles", "../outside", &build),
        ("lockfiles/a", "../../outside/a", &build),
        ("lockfiles/blobs", "../../outside/blobs", &build),
        ("lockfiles/blobs/sha256", "../../../outside", &build),
        ("lockfiles", "../outside", &["lock", "--check"]),
        ("lockfiles", "../outside", &["lock", "--prune"]),
        ("lockfiles/a", "../../outside/a", &["lock", "--prune"]),
        ("lockfiles/blobs", "../../outside/blobs", &["lock", "--prune"]),
        ("lockfiles/blobs/sha256", "../../../outside", &["lock", "--prune"]),
        ("locks", "../outside", &["build", "a/b", "--lockfiles", "locks"]),
        ("locks/blobs/sha256", "../../../outside", &["build", "a/b", "--lockfiles", "locks"]),
        ("out", "../outside", &layout),
        ("out/blobs", "../../outside/blobs", &layout),
        ("out/blobs/sha256", "../../../outside", &layout),
        ("out", "../outside", &["copy", "oci:bases/os:1", "oci:out:1"]),
        ("dist", "../outside", &["build", "a/b#prod", "--to", "oci-archive:dist/x.tar"]),
        ("dist", "../outside", &["copy", "oci:bases/os:1", "docker-archive:dist/secret"]),
        ("deploy", "../outside", &["compose", "shop", "-o", "deploy/compose.yaml"]),
        ("units", "../outside", &["compose", "shop", "--quadlet", "-o", "units"]),
        ("recipes/hello", "../../outside/hello", &["init"]),
        ("recipes/hello/world", "../../../outside/hello/world", &["init"]),
    ];
    for (path, target, arguments) in cases {
        let (test, outside) = workspace();
        link(&test, path, target);
        let named = format!("[DIR]/{path} is a link to {target}, which leads out of [DIR]");
        let hint = "follows no link out of a workspace";
        refused(test, &outside, arguments.iter().copied(), &["error: ", &named, hint]);
    }
}

#[test]
fn links_lead_out_in_many_ways() {
    for (links, named) in [
        (&[("lockfiles", "near"), ("near", "../outside")][..], "near is a link to ../outside"),
        (&[("lockfiles", "[OUT]")], "lockfiles is a link to [TMP]/outside"),
        (&[("lockfiles", "[DIR]/../outside")], "lockfiles is a link to [DIR]/../outside"),
        (&[("lockfiles", "recipes/../../outside")], "lockfiles is a link to recipes/../../outside"),
        (&[("lockfiles", "/proc/self/cwd/../outside")], "lockfiles is a link to /proc/self/cwd/"),
        (&[("lockfiles", "/proc/self/fd/0")], "lockfiles is a link to /proc/self/fd/0"),
        (&[("lockfiles", "/dev/shm/nothing-of-cooper")], "lockfiles is a link to /dev/shm/"),
        // Not there: it isn't made either.
        (&[("lockfiles", "../outside/new")], "lockfiles is a link to ../outside/new"),
        (&[("lockfiles", "..")], "lockfiles is a link to .."),
        (&[("lockfiles", "in/../../outside"), ("in", "recipes")], "lockfiles is a link to in/../../outside"),
        (&[("lockfiles", "in/../outside"), ("in", "..")], "in is a link to .."),
        // It would come back, by a way that may be another one tomorrow.
        (&[("lockfiles", "in/work/locks"), ("in", "..")], "in is a link to .."),
        (&[("lockfiles", "lockfiles")], "lockfiles is a link to lockfiles, which leads round in a circle"),
        (&[("lockfiles", "one"), ("one", "two"), ("two", "one")], "which leads round in a circle"),
        (&[("lockfiles", "lockfiles/x")], "which leads round in a circle"),
    ] {
        let (test, outside) = workspace();
        let (here, there) = (test.path(""), fs::canonicalize(&outside).unwrap());
        for (path, target) in links {
            let target = target.replace("[OUT]", there.to_str().unwrap());
            let target = target.replace("[DIR]", here.to_str().unwrap().trim_end_matches('/'));
            link(&test, path, target);
        }
        refused(test, &outside, ["build", "a/b"], &[named]);
    }
}

#[test]
fn links_that_stay_inside_are_followed() {
    let build = |test: Test| test.run(["build", "a/b"]).status(0).then();
    let lock = |test: &Test, at: &str| assert!(test.read(at).contains("[output.prod]"), "{at}");
    for target in ["site/locks", "[DIR]/site/locks", "../work/site/locks", "./site/./locks/../locks", "again"]
    {
        let (test, _) = workspace();
        let here = test.path("");
        let test = test.file("site/locks/keep", "");
        link(&test, "again", "site/locks");
        link(&test, "lockfiles", target.replace("[DIR]", here.to_str().unwrap().trim_end_matches('/')));
        let test = build(test);
        lock(&test, "site/locks/a/b.lock");
        // Blobs and all: it holds without the base.
        test.remove("bases/os").run(["build", "a/b", "--locked", "--offline"]).status(0);
    }
    // One directory of blobs for two sets of locks, copies and outputs on another disk of the same tree.
    let (test, _) = workspace();
    let test = test.file("big/blobs/sha256/keep", "").file("big/cooper/keep", "").file("big/out/none", "");
    let test = test.remove("big/out/none");
    link(&test, "lockfiles/blobs", "../big/blobs");
    link(&test, ".cooper", "big/cooper");
    link(&test, "out", "big/out");
    let test = build(test);
    assert!(files(&test.path("big/blobs")).len() > 3);
    let test = test.run(["compose", "shop", "--variant", "dev"]).status(0).then();
    assert_eq!(test.read("big/cooper/dev/shop/web/etc/conf"), "conf of web");
    let test = test.run(["build", "a/b#prod", "--to", "oci:out:1"]).status(0).then();
    assert!(test.path("big/out/index.json").exists());
    // The workspace itself by another name, and a link that uses that.
    let (test, _) = workspace();
    let named = test.path("../named");
    symlink(test.path(""), &named).unwrap();
    let test = test.file("site/locks/keep", "");
    link(&test, "lockfiles", named.join("site/locks"));
    let test = test.run(["-C", "../named/recipes", "build", "a/b"]).status(0).then();
    lock(&test, "site/locks/a/b.lock");
}

#[test]
fn what_the_user_names_may_lie_anywhere() {
    let (test, outside) = workspace();
    link(&test, "store", "../outside/store");
    fs::create_dir(outside.join("store")).unwrap();
    symlink("store", outside.join("away")).unwrap();
    let locks = outside.join("away/locks").to_str().unwrap().to_owned();
    let layout = format!("oci:{}:1", outside.join("away/layout").display());
    let test = test
        .run(["build", "a/b#prod", "--store", "store", "--lockfiles", &locks, "--to", &layout])
        .status(0)
        .then();
    assert!(
        outside.join("store/locks/a/b.lock").exists() && outside.join("store/layout/index.json").exists()
    );
    let test = test.run(["build", "a/b#prod", "--to", "oci-archive:../outside/x.tar"]).status(0).then();
    assert!(outside.join("x.tar").exists());
    // A file that is a link gives way to one.
    link(&test, "compose.yaml", "../outside/secret");
    let test = test.run(["compose", "shop", "-o", "compose.yaml"]).status(0).then();
    assert_eq!(fs::read_to_string(outside.join("secret")).unwrap(), SECRET);
    let given = INPUT.replace("path = \"thing\"", "open = true");
    link(&test, "thing", "../outside/secret");
    let test = test.file("recipes/a/b/recipe.toml", given);
    test.run(["build", "a/b", "--input", "thing=thing"]).status(0);
}

const INPUT: &str =
    "[base]\nscratch = true\n[input.thing]\npath = \"thing\"\n[[file]]\ninput = \"thing\"\nto = \"/in/\"\n";

#[test]
fn inputs_are_read_in_the_workspace() {
    for (path, target) in [
        ("thing", "../outside/secret"),
        ("thing", "../outside"),
        ("thing/deep", "../../outside"),
        ("thing/deep/secret", "../../../outside/secret"),
        ("thing", "/proc/self/environ"),
        ("thing", "/proc/self/fd/1"),
        ("thing", "/etc/hostname"),
    ] {
        let (test, outside) = workspace();
        let lies = if path == "thing" { "thing" } else { "thing/deep/secret" };
        let recipe = INPUT.replace("path = \"thing\"", &format!("path = \"{lies}\""));
        let test = test.file("recipes/a/b/recipe.toml", recipe);
        link(&test, path, target);
        let named = format!("[DIR]/{path} is a link to {target}, which leads out of [DIR]");
        let says = [named.as_str(), "recipes/a/b/recipe.toml:6:9", "--input NAME=PATH", "allow-files"];
        let test = refused(test, &outside, ["build", "a/b"], &says);
        refused(test, &outside, ["check", "a/b"], &says);
    }
    // Unpacked, it is found by another way.
    let (test, outside) = workspace();
    let test = test.file("recipes/a/b/recipe.toml", INPUT.replace("to = ", "unpack = true\nto = "));
    link(&test, "thing", "../outside/secret");
    refused(test, &outside, ["build", "a/b"], &["thing is a link to ../outside/secret"]);
    let (test, outside) = workspace();
    let test = test.file("recipes/a/b/recipe.toml", INPUT.replace("\"thing\"\n[[", "\"../outside\"\n[["));
    refused(test, &outside, ["build", "a/b"], &["the path \"../outside\" climbs out"]);
    // What is made in the workspace may be called otherwise there.
    let (test, _) = workspace();
    let test = test.file("recipes/a/b/recipe.toml", INPUT).file("target/made/x", "made");
    link(&test, "thing", "target/latest");
    link(&test, "target/latest", "made");
    test.run(["build", "a/b"]).status(0);
}

#[test]
fn bases_are_read_in_the_workspace() {
    for (path, target, layout) in [
        ("base", "../outside/os", "base:1"),
        ("bases/far", "../../outside", "bases/far/os:1"),
        ("bases/os/blobs", "../../../outside/os/blobs", "bases/os:1"),
        ("bases/os/blobs/sha256", "../../../../outside/os/blobs/sha256", "bases/os:1"),
        ("base.tar", "../outside/secret", "base.tar"),
        ("base", "/proc/self/cwd/../outside/os", "base:1"),
    ] {
        let (test, outside) = workspace();
        let test = test.file("recipes/a/b/recipe.toml", PLAIN.replace("bases/os:1", layout));
        if test.path(path).exists() {
            fs::rename(test.path(path), test.path("away")).unwrap();
        }
        link(&test, path, target);
        let named = format!("[DIR]/{path} is a link to {target}, which leads out of [DIR]");
        refused(test, &outside, ["build", "a/b"], &[&named, "recipes/a/b/recipe.toml:2:10"]);
    }
    // What a lock knows of a base is enough to build, so the base is looked at by whoever takes it whole.
    let (test, outside) = workspace();
    let test = test.run(["build", "a/b"]).status(0).then().remove("bases/os");
    link(&test, "bases/os", "../../outside/os");
    let arguments = ["build", "a/b#prod", "--to", "oci-archive:x.tar"];
    refused(test, &outside, arguments, &["[DIR]/bases/os is a link to ../../outside/os"]);
    let (test, _) = workspace();
    link(&test, "base", "bases/os");
    let test = test.file("recipes/a/b/recipe.toml", PLAIN.replace("bases/os:1", "base:1"));
    test.run(["build", "a/b"]).status(0);
}

fn fetching(url: &str) -> String {
    format!("[base]\nscratch = true\n[[file]]\nfetch = \"{url}\"\nto = \"/in/x\"\n")
}

#[test]
fn file_urls_name_files_of_the_workspace() {
    let (test, _) = workspace();
    link(&test, "far", "../outside");
    let here = test.path("").to_str().unwrap().trim_end_matches('/').to_owned();
    for (url, says) in [
        ("file:///proc/self/environ", "/proc/self/environ lies outside of the workspace [DIR]"),
        ("file:///etc/passwd", "/etc/passwd lies outside of the workspace [DIR]"),
        ("file:///dev/stdin", "/dev/stdin lies outside of the workspace [DIR]"),
        ("file:///nowhere/x", "/nowhere/x lies outside of the workspace [DIR]"),
        ("file://[DIR]/../outside/secret", "[DIR]/../outside/secret lies outside of the workspace [DIR]"),
        ("file://[DIR]/%2e%2e/outside/secret", "[DIR]/../outside/secret lies outside of the workspace [DIR]"),
        ("file://[DIR]x/secret", "[DIR]x/secret lies outside of the workspace [DIR]"),
        ("file://[DIR]/far/secret", "[DIR]/far is a link to ../outside, which leads out of [DIR]"),
    ] {
        for more in ["", "unpack = true\n", "sha256 = \"SUM\"\n"] {
            let (test, outside) = workspace();
            link(&test, "far", "../outside");
            let own = test.path("").to_str().unwrap().trim_end_matches('/').to_owned();
            let sum = cooperage::digest::Digest::of(SECRET.as_bytes()).hex();
            let more = more.replace("SUM", &sum);
            let recipe = fetching(&url.replace("[DIR]", &own)).replace("to = ", &format!("{more}to = "));
            let recipe = if more.contains("unpack") { recipe.replace("/in/x", "/in/") } else { recipe };
            let test = test.file("recipes/a/b/recipe.toml", recipe);
            refused(test, &outside, ["build", "a/b"], &[says, "recipe.toml:4:9", "allow-files"]);
        }
    }
    let test = test.file("recipes/a/b/recipe.toml", fetching(&format!("file://{here}/dist/x")));
    let run = test.run(["build", "a/b"]).status(4);
    assert!(run.err.contains("dist/x is not there"), "{}", run.err);
    run.then().file("dist/x", "there").run(["build", "a/b"]).status(0);
}

#[test]
fn what_was_vendored_lies_in_the_workspace() {
    for (path, target) in
        [("vendor", "../outside"), ("vendor/sha256", "../../outside/sha256"), ("vendor", "../outside/new")]
    {
        let (test, outside) = workspace();
        let here = test.path("").to_str().unwrap().trim_end_matches('/').to_owned();
        let test = test
            .file("dist/x", "there")
            .file("recipes/a/b/recipe.toml", fetching(&format!("file://{here}/dist/x")))
            .run(["lock", "a/b"])
            .status(0)
            .then();
        link(&test, path, target);
        let named = format!("[DIR]/{path} is a link to {target}, which leads out of [DIR]");
        let test = refused(test, &outside, ["vendor", "a/b"], &[&named]);
        // Nor is it asked for what the store hasn't got.
        fs::remove_dir_all(test.store()).unwrap();
        refused(test, &outside, ["build", "a/b"], &[&named]);
    }
    let (test, _) = workspace();
    let here = test.path("").to_str().unwrap().trim_end_matches('/').to_owned();
    let recipe = fetching(&format!("file://{here}/dist/x"));
    let test = test.file("dist/x", "there").file("recipes/a/b/recipe.toml", recipe).file("third/keep", "");
    link(&test, "vendor", "third");
    let test = test.run(["lock", "a/b"]).status(0).then().run(["vendor", "a/b"]).status(0).then();
    fs::remove_dir_all(test.store()).unwrap();
    test.remove("dist").run(["build", "a/b", "--locked", "--offline"]).status(0);
}

#[test]
fn what_a_site_allows_is_read() {
    let (test, outside) = workspace();
    let outside = fs::canonicalize(outside).unwrap();
    let config = test.path("../config.toml");
    let mut test = test.env("COOPER_CONFIG", config.to_str().unwrap());
    let allow = |what: &str| fs::write(&config, format!("allow-files = [{what}]\n")).unwrap();
    link(&test, "thing", "../outside/a");
    link(&test, "base", "../outside/os");
    let url = fetching(&format!("file://{}/secret", outside.display()));
    let base = PLAIN.replace("bases/os:1", "base:1");
    for (recipe, only) in [(INPUT, "outside/a"), (&base, "outside/os"), (&url, "outside")] {
        test = test.file("recipes/a/b/recipe.toml", recipe);
        for (what, status) in [
            ("\"nowhere\"", 3),
            ("\"outside/dev\", \"outsid\"", 3),
            (&*format!("\"{only}\""), 0),
            (&*format!("\"{}\"", outside.display()), 0),
        ] {
            allow(what);
            let run = test.run(["build", "a/b"]);
            assert_eq!(run.code, Some(status), "{what}\n{recipe}\n{}", run.err);
            test = run.then();
        }
    }
    // It is no leave to write there.
    let test = test.remove("lockfiles");
    link(&test, "lockfiles", "../outside/locks");
    refused(test, &outside, ["build", "a/b"], &["lockfiles is a link to ../outside/locks"]);
}

#[test]
fn what_is_mounted_lies_in_the_workspace() {
    for (path, target) in [
        ("page", "[TMP]/outside/secret"),
        ("page", "../../../../outside"),
        ("page", "../../../../outside/not-there"),
        ("page", "/etc"),
        ("page", "near"),
        ("page", "/proc/self/environ"),
    ] {
        let (test, outside) = workspace();
        let tmp = test.path("..");
        let target = target.replace("[TMP]", fs::canonicalize(tmp).unwrap().to_str().unwrap());
        let served = SERVED.replace("conf.j2\"", "page\"").replace("template = true\n", "");
        let test = test.file("recipes/shop/web/recipe.toml", served);
        link(&test, &format!("recipes/shop/web/{path}"), &target);
        link(&test, "recipes/shop/web/near", "/var/run");
        // The image has the link as it is.
        let test = test.run(["build", "shop/web"]).status(0).then();
        for arguments in [&["compose", "shop#dev"][..], &["compose", "shop#dev", "--quadlet"]] {
            let (test, arguments) = (&test, arguments.iter().copied());
            let output = test.command(arguments).output().unwrap();
            let err = String::from_utf8(output.stderr).unwrap();
            assert_eq!((output.status.code(), output.stdout.len()), (Some(3), 0), "{target}\n{err}");
            let named =
                if target == "near" { "web/near is a link to /var/run" } else { "web/page is a link to " };
            assert!(err.contains(named) && err.contains("recipe.toml:5:12"), "{err}");
        }
        drop(outside);
    }
    let (test, _) = workspace();
    let served = SERVED.replace("conf.j2\"", "page\"").replace("template = true\n", "");
    let test = test.file("recipes/shop/web/recipe.toml", served).file("recipes/shop/common/page", "p");
    link(&test, "recipes/shop/web/page", "../common/page");
    let run = test.run(["compose", "shop#dev"]).status(0);
    assert!(run.out.contains("source: ./recipes/shop/web/page\n"), "{}", run.out);
}

#[test]
fn recipes_and_their_files_lie_in_the_workspace() {
    for (path, target) in [
        ("recipes", "../outside/recipes"),
        ("recipes/far", "../../outside/recipes/a"),
        ("recipes/a/far", "../../../outside/recipes/a/b"),
        ("recipes/a/far", "/etc"),
    ] {
        let (test, outside) = workspace();
        fs::create_dir_all(outside.join("recipes/a/b")).unwrap();
        fs::write(outside.join("recipes/a/b/recipe.toml"), PLAIN).unwrap();
        let test = if path == "recipes" { test.remove("recipes") } else { test };
        link(&test, path, target);
        let named = format!("[DIR]/{path} is a link to {target}, which leads out of [DIR]");
        for arguments in [&["list"][..], &["build"], &["lock", "--check"]] {
            let (test, outside) = (&test, &outside);
            let before = files(outside);
            let output = test.command(arguments.iter().copied()).output().unwrap();
            let err = String::from_utf8(output.stderr).unwrap();
            let err = err.replace(test.path("").to_str().unwrap().trim_end_matches('/'), "[DIR]");
            assert!(output.status.code() == Some(3) && err.contains(&named), "{err}");
            assert_eq!(before, files(outside));
        }
    }
    // A link to a file beside the stacks is nobody's recipe.
    let (test, _) = workspace();
    link(&test, "recipes/README.md", "../../outside/secret");
    let mut test = test.run(["list"]).status(0).then();
    // What lies elsewhere isn't suggested either.
    link(&test, "recipes/a/b/far", "../../../../outside");
    for (from, status, says) in [
        ("far/secret", 3, "far/secret leads out of"),
        ("far/none/x", 4, "far/none/x is not there\n"),
        ("far/secre/x", 4, "far/secre/x is not there\n"),
        ("far/*", 3, "far leads out of"),
        ("far/secre*", 3, "far leads out of"),
    ] {
        let recipe = format!("[base]\nscratch = true\n[[file]]\nfrom = \"{from}\"\nto = \"/x/\"\n");
        let run = test.file("recipes/a/b/recipe.toml", recipe).run(["build", "a/b"]).status(status);
        assert!(run.err.contains(says) && !run.err.contains("did you mean"), "{}", run.err);
        test = run.then();
    }
}
