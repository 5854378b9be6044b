//! What real archives and first recipes brought: owners, modes, patterns, own files, links and pointers.

use super::listing::Listing;
use super::support::{Test, gzip, tar};

const SCRATCH: &str = "[base]\nscratch = true\n";

/// A recipe `a/b` with these lines behind its base, and files beside it.
fn with(base: &str, recipe: &str, files: &[(&str, &[u8])]) -> Test {
    let test = Test::workspace().file("recipes/a/b/recipe.toml", format!("{base}{recipe}"));
    files.iter().fold(test, |test, (name, bytes)| test.file(&format!("recipes/a/b/{name}"), bytes))
}

fn listed(test: Test) -> Listing {
    let test = test.run(["build", "a/b#prod", "--to", "oci:out:1"]).status(0).then();
    let test = test.run(["build", "a/b#prod", "--locked"]).status(0).then();
    Listing::of_layout(&test.path("out"), "linux/amd64")
}

#[track_caller]
fn compare(files: &Listing, expected: &[(&str, &str)]) {
    for (path, what) in expected {
        assert_eq!(files.at(path), *what, "{path}");
    }
}

const LENT: &str = "d 0755 0:0 usr
d 2775 0:50 usr/staff
d 1777 0:0 usr/tmp
f 4755 1:1 usr/su s
f 2755 0:42 usr/chage c
h usr/again usr/chage
f 0755 7:8 usr/plain p
l usr/link su
";

#[test]
fn rights_are_lent_by_their_owner_alone() {
    let archive = tar(LENT);
    let unpack = |more: &str| {
        let recipe = format!("[[file]]\nfrom = \"a.tar\"\nunpack = true\nto = \"/\"\n{more}");
        with(SCRATCH, &recipe, &[("a.tar", &archive)])
    };
    compare(
        &listed(unpack("")),
        &[
            ("usr/staff", "d 0775 0:0"),
            ("usr/tmp", "d 1777 0:0"),
            ("usr/su", "f 0755 0:0 s"),
            ("usr/chage", "f 0755 0:0 c"),
            ("usr/again", "f 0755 0:0 c"),
            ("usr/plain", "f 0755 0:0 p"),
        ],
    );
    // Whoever says whose it is, or what it may, means it.
    compare(
        &listed(unpack("owner = \"0:42\"\n")),
        &[("usr/su", "f 4755 0:42 s"), ("usr/staff", "d 2775 0:42")],
    );
    compare(&listed(unpack("mode = \"4711\"\n")), &[("usr/su", "f 4711 0:0 s"), ("usr/staff", "d 0775 0:0")]);
    let kept = unpack("owner = \"archive\"\n");
    compare(
        &listed(kept),
        &[
            ("usr/staff", "d 2775 0:50"),
            ("usr/su", "f 4755 1:1 s"),
            ("usr/chage", "f 2755 0:42 c"),
            ("usr/again", "f 2755 0:42 c"),
            ("usr/plain", "f 0755 7:8 p"),
            ("usr/link", "l su"),
        ],
    );
    // A user of that name is meant where there is no archive.
    let recipe = "[[file]]\ntext = \"x\"\nto = \"/x\"\nowner = \"archive\"\n";
    let run = with(SCRATCH, recipe, &[]).run(["build"]).status(3);
    assert!(run.err.contains("no user \"archive\""), "{}", run.err);
    // An empty zip's end.
    let zip = [&b"PK\x05\x06"[..], &[0; 18]].concat();
    let recipe = "[[file]]\nfrom = \"a.zip\"\nunpack = true\nto = \"/\"\nowner = \"archive\"\n";
    with(SCRATCH, recipe, &[("a.zip", &zip)]).run(["build"]).status(0);
}

#[test]
fn patterns_that_no_path_can_be() {
    for (pattern, meant) in [
        ("/secret.env", "secret.env"),
        ("./x", "x"),
        ("../x", "x"),
        ("a/../x", "a/x"),
        ("a//b", "a/b"),
        ("//", "**"),
        ("/**/*.map", "**/*.map"),
        ("!x", "x"),
        ("./", "**"),
    ] {
        for key in ["include", "exclude", "template"] {
            let recipe = format!("[[file]]\nfrom = \".\"\nto = \"/o/\"\n{key} = [\"ok\", \"{pattern}\"]\n");
            let run = with(SCRATCH, &recipe, &[("ok", b"x")]).run(["check"]).status(3);
            let expected = format!("the glob {pattern:?} can never match: ");
            assert!(run.err.contains(&expected), "{key} {}", run.err);
            assert!(run.err.contains(&format!("did you mean `{meant}`?")), "{key} {}", run.err);
            let at = format!("recipes/a/b/recipe.toml:6:{}", key.len() + 11);
            assert!(run.err.contains(&at), "{key} {}", run.err);
        }
        let run = Test::new()
            .file("cooper.toml", format!("[workspace]\ndefault = [\"{pattern}\"]\n"))
            .run(["list"])
            .status(3);
        assert!(run.err.contains("can never match") && run.err.contains("cooper.toml:2:12"), "{}", run.err);
    }
    // A directory may be named as one; a template is no directory.
    let recipe = "[[file]]\nfrom = \".\"\nto = \"/o/\"\nexclude = [\"d/\", \"\\\\!x\", \"recipe.toml\"]\n";
    let files: &[(&str, &[u8])] = &[("d/f", b"x"), ("!x", b"x"), ("y", b"y")];
    let built = listed(with(SCRATCH, recipe, files));
    compare(&built, &[("o/d", "nothing"), ("o/!x", "nothing"), ("o/y", "f 0644 0:0 y")]);
    let recipe = recipe.replace("exclude", "template");
    let run = with(SCRATCH, &recipe, files).run(["check"]).status(3);
    assert!(run.err.contains("it ends in `/`, and names don't"), "{}", run.err);
    // What a variable brings is looked at, too.
    let recipe = "[vars]\nx = \"/etc\"\n[[file]]\nfrom = \".\"\nto = \"/o/\"\nexclude = [\"{{ x }}\"]\n";
    let run = with(SCRATCH, recipe, files).run(["build"]).status(3);
    assert!(run.err.contains("did you mean `etc`?"), "{}", run.err);
}

const BASE: &str = "d 0755 0:0 etc
f 0644 0:0 etc/passwd root:x:0:0::/root:/bin/sh\\n#gone:x:70:70::/:\\nweb:x:33:33::/:\\n
f 0644 0:0 etc/group root:x:0:\\n  # ops:x:70:\\nweb:x:33:
d 0755 0:0 srv
f 0644 0:0 srv/base base
d 0755 0:0 srv/d
";

const OWN: &str = r#"
[[edit]]
path = "/o/conf/a.conf"
append = "four"

[[file]]
from = "tree"
to = "/o/"
mtime = "content"
"#;

#[test]
fn own_files_are_changed_in_the_order_of_entries() {
    let files: &[(&str, &[u8])] =
        &[("tree/conf/a.conf", b"one\ntwo\n"), ("tree/run", b"#!"), ("x.tar", &tar(LENT))];
    // What is written later isn't there yet.
    let run = with(SCRATCH, OWN, files).run(["build"]).status(3);
    let expected = "/o/conf/a.conf is written by an entry that stands below this one";
    assert!(run.err.contains(expected) && run.err.contains("put this one behind that"), "{}", run.err);
    let (edit, file) = OWN.split_at(OWN.find("[[file]]").unwrap());
    let recipe = format!(
        "{file}{edit}{}",
        r#"
[[edit]]
path = "/o/conf/a.conf"
replace = "two"
with = "three"

[[owner]]
path = "/o"
owner = "33:34"
mode = "g=u"
recursive = true

[[owner]]
path = "/o/run"
mode = "+x"

[[file]]
text = "later"
to = "/o/conf/later"

[[file]]
from = "x.tar"
unpack = true
to = "/x/"
exclude = ["usr/tmp"]

[[edit]]
path = "/x/usr/again"
prepend = "by the other name"

[[owner]]
path = "/x/usr/chage"
mode = "o-rwx"

[[dir]]
path = "/srv/d"
mode = "0700"

[[file]]
text = "{{ variant }}"
template = true
to = "/srv/own"
mode = "u+x,go="

[[owner]]
path = "/srv"
owner = "5"
recursive = true

[[link]]
path = "/srv/name"
target = "/srv/own"
hard = true
"#
    );
    let test = with("[base]\nlayout = \"bases/os:1\"\n", &recipe, files).base("bases/os", "1", &[BASE]);
    let built = listed(test);
    compare(
        &built,
        &[
            ("o", "d 0775 33:34"),
            ("o/conf", "d 0775 33:34"),
            ("o/conf/a.conf", "f 0664 33:34 one\nthree\nfour"),
            ("o/run", "f 0775 33:34 #!"),
            ("o/conf/later", "f 0644 0:0 later"),
            ("x/usr/chage", "f 0750 0:0 by the other name\nc"),
            ("x/usr/again", "f 0750 0:0 by the other name\nc"),
            ("x/usr/su", "f 0755 0:0 s"),
            ("srv", "d 0755 5:5"),
            ("srv/base", "f 0644 5:5 base"),
            ("srv/d", "d 0700 5:5"),
            ("srv/own", "f 0700 5:5 prod"),
            ("srv/name", "f 0700 5:5 prod"),
        ],
    );
    // What nobody writes isn't there.
    let run = with(SCRATCH, "[[owner]]\npath = \"/no\"\nmode = \"+x\"\n", &[]).run(["build"]).status(3);
    assert!(run.err.contains("/no is not there in what the recipe stands on, and no entry"), "{}", run.err);
}

#[test]
fn modes_as_chmod_has_them() {
    let recipe = "[[file]]\nfrom = \"tree\"\nto = \"/o/\"\nmode = \"g+w,o=\"\ndir-mode = \"o=\"\n\
        [[dir]]\npath = \"/d\"\nmode = \"g=u,+t\"\n\
        [[file]]\nfrom = \"a.tar\"\nunpack = true\nto = \"/a/\"\nmode = \"a-x\"\ndir-mode = \"go-w\"\n";
    let files: &[(&str, &[u8])] = &[("tree/d/f", b"f"), ("a.tar", &tar(LENT))];
    compare(
        &listed(with(SCRATCH, recipe, files)),
        &[
            ("o/d", "d 0750 0:0"),
            ("o/d/f", "f 0660 0:0 f"),
            ("d", "d 1775 0:0"),
            ("a/usr/plain", "f 0644 0:0 p"),
            ("a/usr/tmp", "d 1755 0:0"),
        ],
    );
    for mode in ["rwxr-xr-x", "u", "q+x", "+", "u+x;", "8888"] {
        let recipe = format!("[[dir]]\npath = \"/d\"\nmode = \"{mode}\"\n");
        let run = with(SCRATCH, &recipe, &[]).run(["check"]);
        if mode == "+" {
            // As for chmod: nothing is added.
            run.status(0);
            continue;
        }
        let run = run.status(3);
        assert!(run.err.contains("is not a mode") && run.err.contains("\"g=u\""), "{}", run.err);
    }
}

#[test]
fn a_file_that_is_only_compressed() {
    let gz = gzip(b"a tool");
    for unpack in ["true", "\"gz\""] {
        for (to, at) in [("/bin/tool", "bin/tool"), ("/bin/", "bin/t-1")] {
            let recipe =
                format!("[[file]]\nfrom = \"t-1.gz\"\nunpack = {unpack}\nto = \"{to}\"\nmode = \"+x\"\n");
            compare(&listed(with(SCRATCH, &recipe, &[("t-1.gz", &gz)])), &[(at, "f 0755 0:0 a tool")]);
        }
    }
    let zst = zstd::stream::encode_all(&b"a tool"[..], 1).unwrap();
    let inner = tar("d 0755 0:0 d\n");
    let recipe = "[[file]]\nfrom = \"t.zst\"\nunpack = true\nto = \"/t\"\n";
    compare(&listed(with(SCRATCH, recipe, &[("t.zst", &zst)])), &[("t", "f 0644 0:0 a tool")]);
    // What is in it decides, and what is called a tar must be one.
    let recipe = "[[file]]\nfrom = \"t.gz\"\nunpack = true\nto = \"/t\"\n";
    compare(&listed(with(SCRATCH, recipe, &[("t.gz", &gzip(&inner))])), &[("t/d", "d 0755 0:0")]);
    for name in ["t.tar.gz", "t.tgz"] {
        let recipe = format!("[[file]]\nfrom = \"{name}\"\nunpack = true\nto = \"/t/\"\n");
        let run = with(SCRATCH, &recipe, &[(name, &gz)]).run(["build"]).status(3);
        assert!(run.err.contains("by its name it is a tar, and there is none in it"), "{}", run.err);
    }
    let recipe = "[[file]]\nfrom = \"t.gz\"\nunpack = \"tar.gz\"\nto = \"/t/\"\n";
    let run = with(SCRATCH, recipe, &[("t.gz", &gz)]).run(["build"]).status(3);
    assert!(run.err.contains("unpack = \"gz\" takes a file that is only compressed"), "{}", run.err);
}

#[test]
fn comments_are_no_users_and_clashes_say_whose() {
    let base = "[base]\nlayout = \"bases/os:1\"\n";
    let recipe = "[[user]]\nname = \"app\"\nuid = 70\n[[group]]\nname = \"ops\"\ngid = 71\n";
    let test = with(base, recipe, &[]).base("bases/os", "1", &[BASE]);
    let built = listed(test);
    assert!(built.at("etc/passwd").ends_with("app:x:70:70::/:/sbin/nologin"), "{}", built.at("etc/passwd"));
    let run = with(base, "[[dir]]\npath = \"/x\"\nowner = \"gone\"\n", &[]).base("bases/os", "1", &[BASE]);
    let run = run.run(["build"]).status(3);
    assert!(run.err.contains("the base has no user \"gone\""), "{}", run.err);
    let child = "[base]\nrecipe = \"a/b\"\n";
    for (more, file, whose, hint) in [
        ("[[user]]\nname = \"www\"\nuid = 33\n", "/etc/passwd", "the base", "uid = 1000"),
        ("[[user]]\nname = \"web\"\nuid = 80\n", "/etc/passwd", "the base", "owner = \"web\""),
        (
            "[[group]]\nname = \"g\"\ngid = 71\n",
            "/etc/group",
            "a recipe that this one stands on",
            "gid = 1000",
        ),
        (
            "[[user]]\nname = \"x\"\nuid = 70\n",
            "/etc/passwd",
            "a recipe that this one stands on",
            "uid = 1000",
        ),
        (
            "[[user]]\nname = \"x\"\nuid = 1000\n[[user]]\nname = \"y\"\nuid = 1000\n",
            "/etc/passwd",
            "this recipe",
            "uid = 1001",
        ),
    ] {
        let test = with(base, recipe, &[]).base("bases/os", "1", &[BASE]);
        let test = test.file("recipes/a/c/recipe.toml", format!("{child}{more}"));
        let run = test.run(["build", "a/c"]).status(3);
        assert!(run.err.contains(&format!("{file} of {whose} has \"")), "{more}{}", run.err);
        assert!(run.err.contains(hint), "{more}{}", run.err);
    }
}

#[test]
fn links_to_nothing_and_pointers_are_told() {
    let pointer =
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{}\nsize 12345\n", "ab".repeat(32));
    let recipe = "[[file]]\nfrom = \"tree\"\nto = \"/o/\"\n[[file]]\nfrom = \"current\"\nto = \"/current\"\n\
        [[file]]\nfrom = \"model.bin\"\nto = \"/m/\"\n";
    let test = with(SCRATCH, recipe, &[("tree/a", b"a"), ("model.bin", pointer.as_bytes()), ("r/1", b"1")]);
    for (link, target) in [
        ("current", "r/1"),
        ("tree/gone", "nothing"),
        ("tree/abs", "/o/nothing/at/all"),
        ("tree/fine", "a"),
        ("tree/up", "../o/a"),
        ("tree/root", ".."),
        ("tree/later", "/proc/mounts"),
    ] {
        std::os::unix::fs::symlink(target, test.path(&format!("recipes/a/b/{link}"))).unwrap();
    }
    let run = test.run(["build", "a/b#prod"]).status(0);
    let told: Vec<&str> = run.err.lines().filter(|line| line.starts_with("warning")).collect();
    let expected = [
        "/current is a link to r/1, which is not there in the image",
        "/o/abs is a link to /o/nothing/at/all, which is not there in the image",
        "/o/gone is a link to nothing, which is not there in the image",
        "model.bin is a pointer of Git LFS, not the file that it stands for: git lfs pull brings that",
    ];
    assert_eq!(told.len(), expected.len(), "{}", run.err);
    for (told, expected) in told.iter().zip(expected) {
        assert!(told.contains(expected), "{told}");
    }
    // Once more, from what is remembered, and for programs.
    let run = run.then().run(["build", "a/b#prod", "--format", "json"]).status(0);
    let json = run.json().to_string() + &run.err;
    assert!(expected.iter().all(|text| json.contains(text)), "{json}");
    // Where the base has it, it leads somewhere; where nobody can know, nothing is said.
    let recipe = "[[file]]\nfrom = \"l\"\nto = \"/srv/l\"\n";
    let test = with("[base]\nlayout = \"bases/os:1\"\n", recipe, &[]).base("bases/os", "1", &[BASE]);
    std::os::unix::fs::symlink("base", test.path("recipes/a/b/l")).unwrap();
    let run = test.run(["build", "a/b#prod"]).status(0);
    assert!(!run.err.contains("link"), "{}", run.err);
}

#[test]
fn what_exclude_takes_away_stops_nothing() {
    let archive = tar("f 0644 0:0 a/Read one\nf 0644 0:0 a/read two\nf 0644 0:0 b/x three\n");
    let recipe = |line: &str| format!("[[file]]\nfrom = \"a.tar\"\nunpack = true\nto = \"/o/\"\n{line}\n");
    let files: &[(&str, &[u8])] = &[("a.tar", &archive)];
    for line in [
        "exclude = [\"a/Read\"]",
        "exclude = [\"a/\"]",
        "include = [\"b\", \"a/read\"]",
        "include = [\"b/*\"]",
    ] {
        compare(
            &listed(with(SCRATCH, &recipe(line), files)),
            &[("o/b/x", "f 0644 0:0 three"), ("o/a/Read", "nothing")],
        );
    }
    let run = with(SCRATCH, &recipe("exclude = [\"b\"]"), files).run(["build"]).status(3);
    assert!(run.err.contains("case-clash = \"ok\""), "{}", run.err);
}
