//! Recipes that extend those of another workspace, which `cooper.toml` names by path or by an archive's digest.

use std::fs;

use cooperage::digest::Digest;

use super::registry::{Registry, What};
use super::support::{Test, gzip, tar};

/// A workspace of somebody else's, below one directory as forges pack it.
const THEIRS: &str = "d 0755 0:0 theirs-1.0
f 0644 0:0 theirs-1.0/cooper.toml [workspace]\\nvariants = [\"small\", \"prod\"]\\n
f 0644 0:0 theirs-1.0/recipes/db/base/recipe.toml [base]\\nscratch = true\\n[[file]]\\nfrom = \"conf/\"\\nto = \"/etc/db/\"\\n
f 0644 0:0 theirs-1.0/recipes/db/base/conf/db.conf port = 1\\n
f 0755 0:0 theirs-1.0/recipes/db/base/conf/run run\\n
l theirs-1.0/recipes/db/base/conf/latest db.conf
f 0644 0:0 theirs-1.0/recipes/db/server/recipe.toml base.extends = \"db/base\"\\n[vars]\\nport = 5\\n[[file]]\\ntext = \"{{ stack }}/{{ name }} {{ port }}\"\\ntemplate = true\\nto = \"/name\"\\n[variant.small.vars]\\nport = 7\\n
f 0644 0:0 theirs-1.0/recipes/db/shop/recipe.toml base.recipe = \"db/server\"\\n[[file]]\\ntext = \"shop\"\\nto = \"/shop\"\\n
f 0644 0:0 theirs-1.0/recipes/db/away/recipe.toml base.scratch = true\\n[[file]]\\nfrom = \"out/passwd\"\\nto = \"/out\"\\n
l theirs-1.0/recipes/db/away/out ../../../../../../../../../../../../../../../../../../../../../../etc
";

const OURS: &str = "[workspace]\nplatforms = [\"linux/amd64\"]\n";
const CHILD: &str = "base.extends = \"theirs:db/server\"\n[vars]\nport = 6\n";

fn archive() -> Vec<u8> {
    gzip(&tar(THEIRS))
}

/// Names an archive beside `cooper.toml` by its digest.
fn with_archive(test: Test, bytes: &[u8]) -> Test {
    let url = format!("file://{}", test.path("theirs.tar.gz").display());
    let text =
        format!("{OURS}[catalogue.theirs]\nfetch = \"{url}\"\nsha256 = \"{}\"\n", Digest::of(bytes).hex());
    test.file("theirs.tar.gz", bytes).file("cooper.toml", text)
}

fn ours() -> Test {
    with_archive(Test::new(), &archive()).file("recipes/shop/db/recipe.toml", CHILD)
}

/// The same workspace, theirs in a directory.
fn beside(test: Test) -> Test {
    let mut opened = ::tar::Archive::new(std::io::Cursor::new(tar(THEIRS)));
    fs::create_dir_all(test.path("third")).unwrap();
    opened.unpack(test.path("third")).unwrap();
    let text = format!("{OURS}[catalogue.theirs]\npath = \"third/theirs-1.0\"\n");
    test.file("cooper.toml", text).file("recipes/shop/db/recipe.toml", CHILD)
}

fn digest(test: Test) -> (String, Test) {
    let run = test.run(["show", "--digests", "shop/db"]).status(0);
    (run.out.clone(), run.then())
}

#[test]
fn a_recipe_extends_one_of_an_archive() {
    let test = ours().run(["build", "--all", "--to", "oci:out"]).status(0).then();
    let lock = test.read("lockfiles/shop/db.lock");
    for line in
        ["origin = \"theirs:recipes/db/base\"", "\"theirs:db/base file\" = ", "\"theirs:db/server vars\" = "]
    {
        assert!(lock.contains(line), "{line} in {lock}");
    }
    // What stands in the store is enough, and a no-op build reads it.
    let test = test.remove("theirs.tar.gz").run(["build", "--all", "--locked", "--offline"]).status(0).then();
    let test = test.run(["lock", "--check"]).status(0).then().run(["check", "--all"]).status(0).then();
    let (archived, _) = digest(test);
    // From a directory comes the same, and from a recipe of one's own.
    let (directory, test) = digest(beside(Test::new()).run(["build", "--all"]).status(0).then());
    assert_eq!(archived, directory);
    fs::rename(test.path("third/theirs-1.0/recipes/db"), test.path("recipes/db")).unwrap();
    let own = CHILD.replace("theirs:", "");
    let test =
        test.remove("recipes/db/away").file("cooper.toml", OURS).file("recipes/shop/db/recipe.toml", own);
    let test = test.remove("recipes/db/server/recipe.toml").file(
        "recipes/db/server/recipe.toml",
        "base.extends = \"db/base\"\n[vars]\nport = 5\n[[file]]\ntext = \"{{ stack }}/{{ name }} {{ port }}\"\ntemplate = true\nto = \"/name\"\n",
    );
    let (own, _) = digest(test.run(["build", "--all"]).status(0).then());
    assert_eq!(archived, own);
}

#[test]
fn vendored_archives_need_no_network() {
    let registry = Registry::start();
    let bytes = archive();
    let blob = registry.put_blob("lib/files", bytes.clone());
    let text = format!(
        "{OURS}[catalogue.theirs]\nfetch = \"http://{}/v2/lib/files/blobs/{blob}\"\nsha256 = \"{}\"\n",
        registry.host(),
        blob.hex()
    );
    let site = format!("[registry.\"{}\"]\nplain-http = true\n", registry.host());
    let test = Test::new()
        .file("cooper.toml", text)
        .file("site.toml", site)
        .file("recipes/shop/db/recipe.toml", CHILD);
    let config = test.path("site.toml").to_str().unwrap().to_owned();
    let test = test.env("COOPER_CONFIG", &config);
    // Nothing is opened that isn't needed, and offline nothing can be.
    let test = test.file("recipes/shop/own/recipe.toml", "base.scratch = true\nimage.title = \"x\"\n");
    let test = test.run(["build", "shop/own", "--offline"]).status(0).then();
    let run = test.run(["build", "shop/db", "--offline"]).status(4);
    assert!(
        run.err.contains("no connection may be opened") && run.err.contains("recipes/shop/db/recipe.toml"),
        "{}",
        run.err
    );
    let test = run.then().run(["build", "--all"]).status(0).then();
    let run = test.run(["vendor", "--all", "--format", "json"]).status(0);
    assert_eq!(run.json()["vendored"][0]["digest"], format!("{blob}"));
    let test = run.then();
    assert_eq!(fs::read(test.path(&format!("vendor/sha256/{}", blob.hex()))).unwrap(), bytes);
    fs::remove_dir_all(test.store()).unwrap();
    registry.fault("", "/", 999, What::status(500));
    test.run(["build", "--all", "--locked", "--offline"]).status(0);
}

#[test]
fn another_archive_is_another_outcome() {
    let test = ours().run(["build", "--all"]).status(0).then();
    let (before, test) = digest(test);
    let changed = gzip(&tar(&THEIRS.replace("port = 1", "port = 2")));
    let test = with_archive(test, &changed);
    let run = test.run(["build", "--all", "--locked"]).status(1);
    assert!(run.err.contains("db.conf"), "{}", run.err);
    let test = run.then().run(["build", "--all"]).status(0).then();
    let (after, test) = digest(test);
    assert_ne!(before, after);
    // One that isn't what its digest says leaves nothing.
    let other = gzip(&tar(&THEIRS.replace("port = 1", "port = 3")));
    let text = test.read("cooper.toml").replace(&Digest::of(&changed).hex(), &Digest::of(b"x").hex());
    let run = test.file("theirs.tar.gz", other).file("cooper.toml", text).run(["build", "--all"]).status(3);
    assert!(run.err.contains("it is sha256:"), "{}", run.err);
    assert_eq!(fs::read_dir(run.test().store().join("catalogues")).unwrap().count(), 2);
}

#[test]
fn a_directory_that_changes_is_noticed() {
    let test = beside(Test::new()).run(["build", "--all"]).status(0).then();
    let (before, test) = digest(test);
    let test = test.file("third/theirs-1.0/recipes/db/base/conf/db.conf", "port = 9\n");
    let run = test.run(["build", "--all"]).status(0);
    let (after, test) = digest(run.then());
    assert_ne!(before, after);
    let text = test.read("third/theirs-1.0/recipes/db/server/recipe.toml").replace("{{ name }}", "x");
    let test = test.file("third/theirs-1.0/recipes/db/server/recipe.toml", text);
    test.run(["build", "--all", "--locked"]).status(1);
}

#[test]
fn what_their_recipes_stand_on_is_ours() {
    let test = ours().file("recipes/shop/db/recipe.toml", "base.extends = \"theirs:db/shop\"\n");
    let run = test.run(["build", "--all"]).status(3);
    assert!(run.err.contains("make recipes/db/server/recipe.toml here"), "{}", run.err);
    let test = run.then().file("recipes/db/server/recipe.toml", "base.extends = \"theirs:db/server\"\n");
    let test = test.run(["build", "--all"]).status(0).then();
    assert!(test.read("lockfiles/shop/db.lock").contains("[parent.\"db/server\"]"));
    test.run(["build", "--all", "--locked"]).status(0);
}

#[test]
fn a_layout_lies_where_the_recipe_does() {
    let recipe = "[base]\nlayout = \"bases/os:1\"\n[[file]]\ntext = \"x\"\nto = \"/x\"\n";
    let test = Test::new()
        .file("third/cooper.toml", "")
        .file("third/recipes/a/b/recipe.toml", recipe)
        .base("third/bases/os", "1", &["d 0755 0:0 etc\n"])
        .file("cooper.toml", format!("{OURS}[catalogue.theirs]\npath = \"third\"\n"))
        .file("recipes/a/c/recipe.toml", "base.extends = \"theirs:a/b\"\n");
    let test = test.run(["build", "--all"]).status(0).then();
    assert!(test.read("lockfiles/a/c.lock").contains("layout = \"theirs:bases/os:1\""));
    test.run(["build", "--all", "--locked", "--to", "oci:out"])
        .status(0)
        .then()
        .run(["lock", "--check"])
        .status(0);
}

#[test]
fn gc_keeps_what_a_workspace_names() {
    let test = ours().run(["build", "--all"]).status(0).then().run(["gc"]).status(0).then();
    let catalogues = test.store().join("catalogues");
    assert_eq!(fs::read_dir(&catalogues).unwrap().count(), 1);
    let test = test.file("cooper.toml", OURS).run(["gc"]).status(0).then();
    assert_eq!(fs::read_dir(test.store().join("catalogues")).unwrap().count(), 0);
}

#[test]
fn mistakes_are_told_where_they_are() {
    let table = |text: &str| format!("{OURS}[catalogue.theirs]\n{text}\n");
    for (text, wanted) in [
        ("", "needs exactly one of `path`, `fetch`"),
        ("path = \"a\"\nfetch = \"https://a/b\"", "exactly one of"),
        ("fetch = \"https://a/b\"", "`fetch` means nothing without `sha256`"),
        ("path = \"a\"\nsha256 = \"x\"", "`sha256` means nothing without `fetch`"),
        ("path = \"../a\"", "cooper.toml:4"),
        ("path = \"/a\"", "cooper.toml:4"),
        ("fetch = \"ftp://a\"\nsha256 = \"x\"", "is not"),
        ("url = \"https://a\"", "unknown key"),
    ] {
        let run = Test::new().file("cooper.toml", table(text)).run(["build", "--all"]).status(3);
        assert!(run.err.contains(wanted), "{text}: {}", run.err);
    }
    for (extends, status, wanted) in [
        ("their:db/server", 3, "did you mean `theirs`"),
        ("theirs:db/serve", 3, "did you mean `db/server`"),
        ("theirs:db", 3, "catalogue:stack/name"),
        ("a:b:c/d", 3, "catalogue:stack/name"),
        (":a/b", 3, "catalogue:stack/name"),
        // A link out of theirs reaches nothing.
        ("theirs:db/away", 3, "leads out"),
    ] {
        let run = ours()
            .file("recipes/shop/db/recipe.toml", format!("base.extends = \"{extends}\"\n"))
            .run(["build", "--all"])
            .status(status);
        assert!(run.err.contains(wanted), "{extends}: {}", run.err);
    }
    let run = ours().file("recipes/shop/db/recipe.toml", "base.recipe = \"theirs:db/server\"\n");
    run.run(["build", "--all"]).status(3);
    // Archives that hold no workspace, or what none does.
    for (tree, wanted) in [
        ("f 0644 0:0 a x\n", "has no cooper.toml"),
        ("f 0644 0:0 a/cooper.toml x\nf 0644 0:0 b/cooper.toml x\n", "has no cooper.toml"),
        ("l recipes /etc\nf 0644 0:0 recipes/x y\n", "recipes"),
    ] {
        let run = with_archive(ours(), &gzip(&tar(tree))).run(["build", "--all"]).status(3);
        assert!(run.err.contains(wanted), "{tree}: {}", run.err);
        assert_eq!(fs::read_dir(run.test().store().join("catalogues")).unwrap().count(), 0);
    }
    let run = with_archive(ours(), b"no archive").run(["build", "--all"]).status(3);
    assert!(run.err.contains("theirs.tar.gz"), "{}", run.err);
    // Outside of the workspace only where the site lets recipes read.
    let run = ours().file("cooper.toml", table("path = \"third\"")).run(["build", "--all"]).status(4);
    assert!(run.err.contains("third is not there"), "{}", run.err);
    let test = ours().file("cooper.toml", table("path = \"third\""));
    std::os::unix::fs::symlink("/usr", test.path("third")).unwrap();
    let run = test.run(["build", "--all"]).status(3);
    assert!(run.err.contains("third"), "{}", run.err);
}
