//! Pushing: only what isn't there, mounts, tags last, who may, and registries on a bad day.

use super::registries::{ME, arranged, login, site};
use super::registry::{Auth, Bearer, Logged, Registry, What};
use super::support::Test;

/// A registry with a base, and a workspace whose recipe is published in the same registry.
pub(super) fn published(more: &str) -> (Registry, Test) {
    let (registry, test) = arranged();
    let text = test.read("cooper.toml")
        + &format!("[publish]\nrepository = \"{}/shop/{{{{ stack }}}}-{{{{ name }}}}\"\n", registry.host());
    let recipe = test.read("recipes/a/web/recipe.toml") + more;
    (registry, test.file("cooper.toml", text).file("recipes/a/web/recipe.toml", recipe))
}

pub(super) const TAGS: &str = "[image]\ntags = [\"1.0\", \"latest\"]\n";

pub(super) fn digest_of(lock: &str, variant: &str) -> String {
    let section = lock.split_once(&format!("[output.{variant}]")).unwrap().1;
    let text = section.split_once("index = \"").unwrap().1;
    text.split_once(' ').unwrap().0.to_owned()
}

#[test]
fn only_what_is_not_there() {
    let (registry, test) = published(TAGS);
    let run = test.run(["push"]).status(0);
    assert!(run.out.contains("mounted"), "{}", run.out);
    let test = run.then();
    let digest = digest_of(&test.read("lockfiles/a/web.lock"), "prod");
    let tags = registry.tags("shop/a-web");
    assert_eq!(tags.keys().collect::<Vec<_>>(), ["1.0", "latest"]);
    assert!(tags.values().all(|tag| tag.to_string() == digest));
    // The base's layers were neither fetched nor sent for it, and whoever mounts says from where.
    let sent: Vec<_> =
        registry.requests().into_iter().filter(|r| r.method == "PUT" && r.received > 2000).collect();
    assert!(sent.is_empty(), "{sent:#?}");
    assert!(registry.count("POST", "from=lib%2Fbase") + registry.count("POST", "from=lib/base") >= 2);
    // Children before the index, tags last.
    let puts: Vec<_> =
        registry.requests().into_iter().filter(|r| r.method == "PUT").map(|r| r.path).collect();
    let manifests: Vec<_> = puts.iter().filter(|path| path.contains("/manifests/")).collect();
    assert_eq!(manifests.len(), 4, "{puts:#?}");
    assert!(manifests[2].ends_with("/1.0") && manifests[3].ends_with("/latest"), "{manifests:#?}");
    assert!(
        puts.iter().rposition(|path| path.contains("/blobs/"))
            < puts.iter().position(|path| path.contains("/manifests/"))
    );
    // Again: nothing travels. Another tag: one document.
    let before = registry.requests().len();
    let test = test.run(["push"]).status(0).then();
    assert!(registry.requests()[before..].iter().all(|request| request.method == "HEAD"));
    let test = test.run(["push", "--tag", "2.0", "--locked"]).status(0).then();
    assert_eq!(registry.tags("shop/a-web")["2.0"].to_string(), digest);
    // Variants have their name behind the tag.
    let test = test.run(["push", "--all-variants", "--tag", "v"]).status(0).then();
    let tags = registry.tags("shop/a-web");
    assert!(tags.contains_key("v") && tags.contains_key("v-dev"), "{tags:?}");
    let json = test.run(["push", "a/web#dev", "--format", "json"]).status(0);
    assert!(json.out.contains("\"there\""), "{}", json.out);
}

#[test]
fn into_another_registry() {
    let (registry, test) = published("");
    let other = Registry::start();
    let to = format!("docker://{}/mirror/web:1", other.host());
    let more = format!("[registry.\"{}\"]\nplain-http = true\n", other.host());
    let test = test.file("site.toml", site(&registry, &more));
    let test = test.run(["build", "--to", &to]).status(0).then();
    let digest = digest_of(&test.read("lockfiles/a/web.lock"), "prod");
    assert_eq!(other.tags("mirror/web")["1"].to_string(), digest);
    // What comes out of it is whole, and the same.
    let test = test.run(["copy", &to, "oci:out:1"]).status(0).then();
    let run = test.run(["copy", "oci:out:1", &to]).status(0);
    assert!(run.out.contains("0 B moved") && run.out.contains(&digest), "{}", run.out);
    // A reference with another digest is a promise that can't be kept.
    let wrong = format!("docker://{}/mirror/web@sha256:{}", other.host(), "0".repeat(64));
    let run = run.then().run(["copy", "oci:out:1", &wrong]).status(2);
    let run = run.then().run(["copy", "--offline", "oci:out:1", &to]).status(4);
    assert!(run.err.contains("no connection"), "{}", run.err);
}

#[test]
fn without_a_name() {
    let (registry, test) = arranged();
    let run = test.run(["push"]).status(3);
    assert!(
        run.err.contains("does not say where a/web is published") && run.err.contains("[publish]"),
        "{}",
        run.err
    );
    drop(registry);
    // Without tags an image has its digest for a name.
    let (registry, test) = published("");
    let run = test.run(["push"]).status(0);
    assert!(run.out.contains("shop/a-web@sha256:"), "{}", run.out);
    assert!(registry.tags("shop/a-web").is_empty());
}

#[test]
fn who_may() {
    let (registry, test) = published(TAGS);
    registry.set(|settings| settings.auth = Auth::Basic("me".into(), "secret".into()));
    let test = login(test, &registry, ME).run(["push"]).status(0).then();
    // Tokens are asked for both repositories of a mount, and renewed.
    for uses in [None, Some(1)] {
        let (registry, test) = published(TAGS);
        registry.set(|s| s.auth = Auth::Bearer(Bearer { uses, ..Bearer::new("me", "secret") }));
        let test = login(test, &registry, ME).run(["push"]).status(0).then();
        assert_eq!(registry.tags("shop/a-web").len(), 2);
        // No body is sent with a token that is good for less.
        let refused = |request: &Logged| request.method == "PUT" && request.status == 401;
        assert!(uses.is_some() || !registry.requests().iter().any(refused), "{:#?}", registry.requests());
        drop(test);
    }
    drop(test);
}

/// A fault, what becomes of it (nothing: healed), and what the message says.
type Case = (&'static str, &'static str, usize, What, Option<(i32, &'static str)>);

#[test]
fn on_a_bad_day() {
    let cases: Vec<Case> = vec![
        ("POST", "/uploads/", 2, What::status(503), None),
        ("POST", "/uploads/", 99, What::status(503), Some((5, "503 Service Unavailable"))),
        ("POST", "/uploads/", 1, What::retry_after(429, 0), None),
        ("POST", "/uploads/", 99, What::status(403), Some((5, "403 Forbidden"))),
        ("POST", "mount=", 99, What::status(404), None),
        ("POST", "mount=", 99, What::status(405), None),
        ("POST", "/uploads/", 1, What::Close, None),
        ("POST", "/uploads/", 1, What::Stall, None),
        (
            "POST",
            "/uploads/",
            9,
            What::Header("location", None),
            Some((3, "does not say where the upload goes")),
        ),
        ("PUT", "/uploads/", 1, What::CutUpload(10), None),
        ("PUT", "/uploads/", 1, What::status(500), None),
        ("PUT", "/uploads/", 1, What::status(404), None),
        ("PUT", "/uploads/", 99, What::status(500), Some((5, "tried 3 times"))),
        ("PUT", "/uploads/", 1, What::Lose, None),
        ("PUT", "/uploads/", 1, What::Stall, None),
        ("PUT", "/uploads/", 99, What::status(413), Some((5, "413"))),
        ("PUT", "/uploads/", 1, What::wrong_digest(), Some((3, "sha256:0000"))),
        ("PUT", "/manifests/", 2, What::status(502), None),
        ("PUT", "/manifests/", 1, What::Lose, None),
        ("PUT", "/manifests/", 99, What::status(400), Some((5, "400 Bad Request"))),
        ("PUT", "/manifests/", 1, What::wrong_digest(), Some((3, "sha256:0000"))),
        ("HEAD", "/manifests/", 2, What::Close, None),
        ("HEAD", "/blobs/", 2, What::status(503), None),
        ("HEAD", "/blobs/", 99, What::status(500), Some((5, "500"))),
    ];
    let (seed, mut test) = published(TAGS);
    let recipe = test.read("recipes/a/web/recipe.toml");
    for (number, (method, path, times, what, expected)) in cases.iter().enumerate() {
        // Something new each time.
        let text = recipe.replace("\"hello\"", &format!("\"hello {number}\""));
        test = test.file("recipes/a/web/recipe.toml", text);
        seed.fault(method, path, *times, what.clone());
        let run = test.run(["push", "--move-tags"]);
        let told = format!("{method} {path} {times} {what:?}: {:?}\n{}", run.code, run.err);
        match expected {
            None => assert_eq!(run.code, Some(0), "{told}"),
            Some((code, said)) => {
                assert_eq!(run.code, Some(*code), "{told}");
                assert!(run.err.contains(said) && run.err.contains(seed.host()), "{told}");
                // Nobody who pulls by tag meets what isn't whole.
                let digest = digest_of(&run.test().read("lockfiles/a/web.lock"), "prod");
                assert!(
                    *path == "/manifests/"
                        || seed.tags("shop/a-web").values().all(|tag| tag.to_string() != digest)
                );
            }
        }
        seed.forget_faults();
        test = run.then().run(["push", "--move-tags"]).status(0).then();
        let digest = digest_of(&test.read("lockfiles/a/web.lock"), "prod");
        assert!(seed.tags("shop/a-web").values().all(|tag| tag.to_string() == digest), "{told}");
    }
}

#[test]
fn registries_of_other_kinds() {
    // One that mounts nothing, says where uploads go in full, and moves no tag.
    for status in [400, 409, 412] {
        let (registry, test) = published(TAGS);
        registry.set(|settings| {
            (settings.mount, settings.absolute_locations, settings.immutable) = (false, true, Some(status));
        });
        let test = test.run(["push"]).status(0).then().run(["push"]).status(0).then();
        let text = test.read("recipes/a/web/recipe.toml").replace("\"hello\"", "\"other\"");
        let run = test.file("recipes/a/web/recipe.toml", text).run(["push", "--move-tags"]).status(5);
        assert!(run.err.contains("/manifests/1.0") && run.err.contains(&status.to_string()), "{}", run.err);
    }
    // One where a repository is made first.
    let (registry, test) = published(TAGS);
    registry.set(|settings| settings.known_only = true);
    let run = test.run(["push"]).status(5);
    assert!(run.err.contains("shop/a-web") && run.err.contains("404"), "{}", run.err);
    registry.create("shop/a-web");
    run.then().run(["push"]).status(0);
}

#[test]
fn two_push_the_same() {
    let (registry, test) = published(TAGS);
    let test = test.run(["build"]).status(0).then();
    std::thread::scope(|scope| {
        let pushes: Vec<_> =
            (0..3).map(|_| scope.spawn(|| test.command(["push", "--locked"]).output().unwrap())).collect();
        for push in pushes {
            let output = push.join().unwrap();
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        }
    });
    assert_eq!(registry.tags("shop/a-web").len(), 2);
}

#[test]
fn what_was_pushed_is_pulled() {
    let (registry, test) = published(TAGS);
    let run = test.run(["pull"]).status(4);
    assert!(run.err.contains("lockfiles/a/web.lock names no images of a/web"), "{}", run.err);
    let run = run.then().run(["build"]).status(0).then().run(["pull"]).status(4);
    assert!(run.err.contains("is not in the registry"), "{}", run.err);
    let test = run.then().run(["push"]).status(0).then();
    let digest = digest_of(&test.read("lockfiles/a/web.lock"), "prod");
    std::fs::remove_dir_all(test.store()).unwrap();
    // A layer that breaks off is taken up again; one that is another is refused, and nothing is kept.
    registry.fault("GET", "/blobs/", 2, What::CutBody(100));
    let run = test.run(["pull", "a/web"]).status(0);
    assert!(run.out.contains(&digest), "{}", run.out);
    let test = run.then().run(["store", "verify"]).status(0).then();
    let before = registry.requests().len();
    let run = test.run(["pull"]).status(0);
    assert!(run.out.contains("0 B moved"), "{}", run.out);
    assert!(registry.requests().len() <= before + 1);
    // Whole: it goes on without the registry, and gc keeps it.
    let test = run.then().run(["gc"]).status(0).then();
    registry.fault("", "/", 99, What::status(500));
    let test = test.run(["build", "--locked", "a/web#prod", "--to", "oci:out:1"]).status(0).then();
    registry.forget_faults();
    std::fs::remove_dir_all(test.store()).unwrap();
    registry.fault("GET", "/blobs/", 99, What::Flip);
    let run = test.run(["pull"]).status(3);
    registry.forget_faults();
    let test = run
        .then()
        .run(["store", "verify"])
        .status(0)
        .then()
        .run(["pull", "--format", "json"])
        .status(0)
        .then();
    test.run(["pull", "--offline"]).status(4);
}

#[test]
fn several_machines_build_one_workspace() {
    let (registry, mut test) = published(TAGS);
    let text = test.read("recipes/a/web/recipe.toml");
    for number in 0..4 {
        test = test
            .file(&format!("recipes/b/r{number}/recipe.toml"), text.replace("hello", &number.to_string()));
    }
    let test = test.file(
        "recipes/b/child/recipe.toml",
        "[base]\nrecipe = \"a/web\"\n[image]\ntags = [\"1\"]\n[config]\ncmd = [\"x\"]\n",
    );
    let whole = test.run(["build", "--all"]).status(0);
    let digests = |out: &str| {
        let mut lines: Vec<String> =
            out.lines().map(|line| line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")).collect();
        lines.sort();
        lines
    };
    let expected = digests(&whole.out);
    let mut test = whole.then();
    let mut parts = Vec::new();
    for part in ["1/2", "2/2"] {
        // Each on an empty store.
        std::fs::remove_dir_all(test.store()).unwrap();
        let run = test.run(["build", "--all", "--locked", "--shard", part]).status(0);
        parts.extend(digests(&run.out));
        test = run.then().run(["push", "--all", "--locked", "--shard", part]).status(0).then();
    }
    parts.sort();
    assert_eq!(parts, expected);
    for name in ["a-web", "b-child", "b-r0", "b-r1", "b-r2", "b-r3"] {
        assert!(!registry.tags(&format!("shop/{name}")).is_empty(), "{name}");
    }
    // One that pulls has what both made.
    std::fs::remove_dir_all(test.store()).unwrap();
    let test = test.run(["pull", "--all"]).status(0).then();
    test.run(["build", "--all", "--shard", "3/2"]).status(2);
}

#[test]
fn a_layout_that_was_not_written_leaves_no_directory() {
    let test = Test::workspace().base("bases/os", "1", &["f 0644 0:0 a a\n"]).file("there/keep", "");
    let test = test.file(
        "recipes/a/b/recipe.toml",
        "[base]\nlayout = \"bases/os:1\"\n[[file]]\ntext = \"x\"\nto = \"/x\"\n",
    );
    let test = test.run(["build"]).status(0).then();
    for blob in std::fs::read_dir(test.path("bases/os/blobs/sha256")).unwrap() {
        std::fs::remove_file(blob.unwrap().path()).unwrap();
    }
    for (to, gone) in [("oci:out", "out"), ("oci:new/below/out", "new"), ("oci:there/out", "there/out")] {
        let run = test.command(["build", "--locked", "--to", to]).output().unwrap();
        assert_ne!(run.status.code(), Some(0), "{to}");
        assert!(!test.path(gone).exists(), "{to}");
    }
    assert!(test.path("there/keep").exists());
}

#[test]
fn a_tag_stays_unless_it_may_move() {
    let (registry, test) = published(TAGS);
    let run = test.run(["push", "--format", "json"]).status(0);
    assert_eq!(run.json()["pushed"][0]["tag"]["change"], "new", "{}", run.out);
    let old = digest_of(&run.test().read("lockfiles/a/web.lock"), "prod");
    let run = run.then().run(["push"]).status(0);
    assert_eq!(run.out.matches("  the tag is there").count(), 2, "{}", run.out);
    // Other sources, another image: no tag moves, not even a new one is set, and nothing is sent.
    let change = "[[file]]\ntext = \"more\"\nto = \"/srv/more\"\n";
    let test = run.then();
    let recipe = test.read("recipes/a/web/recipe.toml") + change;
    let test = test.file("recipes/a/web/recipe.toml", recipe).run(["build"]).status(0).then();
    let new = digest_of(&test.read("lockfiles/a/web.lock"), "prod");
    let before = registry.requests().len();
    let run = test.run(["push", "--format", "json"]).status(1);
    for part in ["2 tags", "\"kind\":\"tag\"", "a-web:1.0 is", "a-web:latest is", &old, &new, "--move-tags"] {
        assert!(run.err.contains(part), "{part}: {}", run.err);
    }
    let run = run.then().run(["push", "--tag", "2.0", "--tag", "1.0"]).status(1);
    assert!(run.err.contains(&format!("a-web:1.0 is {old} and would become {new}")), "{}", run.err);
    assert!(registry.requests()[before..].iter().all(|request| request.method == "HEAD"));
    let tags = registry.tags("shop/a-web");
    assert!(tags.len() == 2 && tags.values().all(|tag| tag.to_string() == old), "{tags:?}");
    // One that moves by its nature, by name, and only that.
    let text = run.test().read("cooper.toml");
    let moving = format!("{text}moving = [\"latest\", \"{{{{ variant }}}}\"]\n");
    let test = run.then().file("cooper.toml", &moving);
    let test = test.run(["push"]).status(1).then();
    let run = test.run(["push", "--tag", "latest", "--tag", "2.0"]).status(0);
    assert!(
        run.out.contains(&format!("the tag moved from {old}")) && run.out.contains("  new tag"),
        "{}",
        run.out
    );
    let run = run.then().run(["push", "--tag", "1.0", "--move-tags", "--format", "json"]).status(0);
    let tag = &run.json()["pushed"][0]["tag"];
    assert_eq!((tag["change"].as_str(), tag["from"].as_str()), (Some("moved"), Some(&*old)));
    assert!(registry.tags("shop/a-web").values().all(|tag| tag.to_string() == new));
    // Of another variant it is that variant's; a tag that is called as it is its own.
    let test = run.then().run(["push", "a/web#dev", "--tag", "latest"]).status(0).then();
    let recipe = test.read("recipes/a/web/recipe.toml").replace("more", "less");
    let test = test.file("recipes/a/web/recipe.toml", recipe);
    let test = test.run(["push", "a/web#dev", "--tag", "latest"]).status(0).then();
    // Part of an image is another one.
    let test = test.run(["push", "--tag", "part", "--platform", "linux/amd64"]).status(0).then();
    let run = test.run(["push", "--tag", "part"]).status(1);
    let test = run.then().run(["push", "--tag", "part", "--platform", "linux/amd64"]).status(0).then();
    // Two recipes that aim at one tag.
    let one = text.replace("{{ stack }}-{{ name }}", "all");
    let other = test.read("recipes/a/web/recipe.toml") + "[[file]]\ntext = \"x\"\nto = \"/srv/x\"\n";
    let test = test.file("cooper.toml", one).file("recipes/a/other/recipe.toml", other);
    let run = test.run(["push", "--all", "--tag", "same"]).status(1);
    assert!(run.err.contains("shop/all:same is") && registry.tags("shop/all").is_empty(), "{}", run.err);
    // Not every text is a tag.
    for bad in ["\"a b\"", "\"{{ nope }}\"", "\"-x\"", "1", "\"\""] {
        let test = Test::workspace().file("cooper.toml", format!("[publish]\nmoving = [{bad}]\n"));
        let run = test.run(["list"]).status(3);
        assert!(run.err.contains("cooper.toml:2:"), "{bad}: {}", run.err);
    }
}

#[test]
fn a_tree_that_is_not_committed_is_told() {
    if !super::engines::installed(&["git"]) {
        return;
    }
    let (registry, test) = published(TAGS);
    let test = test.run(["lock"]).status(0).then();
    let git = |test: &Test, arguments: &[&str]| {
        let mut command = std::process::Command::new("git");
        command.arg("-C").arg(test.path("")).args(["-c", "user.name=a", "-c", "user.email=a@example.org"]);
        super::engines::run(command.env("HOME", test.path("")).args(arguments));
    };
    for arguments in [&["init", "-q"][..], &["add", "."], &["commit", "-qm", "one"]] {
        git(&test, arguments);
    }
    let test = test.run(["push"]).stderr("").status(0).then();
    let recipe = test.read("recipes/a/web/recipe.toml") + "# changed\n";
    let test = test
        .file("recipes/a/web/recipe.toml", recipe)
        .file("recipes/a/new/recipe.toml", "[base]\nscratch = true\n");
    git(&test, &["add", "recipes/a/new"]);
    let run = test.file("notes", "elsewhere").run(["push", "a/web"]).status(0);
    assert_eq!(
        run.err,
        "warning: recipes/a/new/recipe.toml is not as it was committed\n\
         warning: recipes/a/web/recipe.toml is not as it was committed\n"
    );
    // Below the top of a repository names are those of the workspace.
    let test = run.then();
    fs_move(&test);
    drop(registry);
}

/// Moves a workspace below the top of its repository, where it is changed in the same way.
fn fs_move(test: &Test) {
    std::fs::create_dir_all(test.path("../outer")).unwrap();
    let outer = test.path("../outer");
    std::fs::rename(test.path(".git"), outer.join(".git")).unwrap();
    let mut copy = std::process::Command::new("cp");
    super::engines::run(copy.arg("-r").arg(test.path("")).arg(outer.join("inner")));
    let inner = outer.join("inner");
    let run = test.command(["-C", inner.to_str().unwrap(), "push", "a/web"]).output().unwrap();
    let err = String::from_utf8(run.stderr).unwrap();
    assert!(err.contains("warning: recipes/") && !err.contains("inner/"), "{err}");
}
