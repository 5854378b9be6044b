//! What somebody tries who may write recipes, locks, archives or the store, and what must not come of it: depth without
//! end, listings that lie, names that climb, secrets on other ways, units whose lines swallow each other, links in the store.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::symlink;

use cooperage::digest::Digest;

use super::support::{Run, Test, gzip, tar};

fn one_platform() -> Test {
    Test::new().file("cooper.toml", "[workspace]\nplatforms = [\"linux/amd64\"]\n")
}

/// `d/r00` stands on nothing, and each other one as `link` says on the one before it.
fn chain(mut test: Test, count: usize, link: impl Fn(usize, &str) -> String) -> Test {
    for number in 0..count {
        let recipe = match number.checked_sub(1) {
            None => "[base]\nscratch = true\n[[file]]\ntext = \"0\"\nto = \"/0\"\n".to_owned(),
            Some(below) => link(number, &format!("d/r{below:02}")),
        };
        test = test.file(&format!("recipes/d/r{number:02}/recipe.toml"), recipe);
    }
    test
}

type Link = fn(usize, &str) -> String;

/// Every way in which a recipe names another.
const LINKS: [(&str, Link); 4] = [
    ("base", |number, below| {
        format!("[base]\nrecipe = \"{below}\"\n[[file]]\ntext = \"x\"\nto = \"/{number}\"\n")
    }),
    ("extends", |number, below| {
        format!("[base]\nextends = \"{below}\"\n[[file]]\ntext = \"x\"\nto = \"/{number}\"\n")
    }),
    ("copies", |number, below| {
        let from = number - 1;
        format!(
            "[base]\nscratch = true\n[[file]]\nrecipe = \"{below}\"\npath = \"/{from}\"\nto = \"/{number}\"\n"
        )
    }),
    ("mixed", |number, below| match number % 2 {
        0 => format!("[base]\nrecipe = \"{below}\"\n[[file]]\ntext = \"x\"\nto = \"/{number}\"\n"),
        _ => format!(
            "[base]\nscratch = true\n[[file]]\nrecipe = \"{below}\"\npath = \"/{}\"\nto = \"/{number}\"\n",
            number - 1
        ),
    }),
];

#[test]
fn recipes_on_each_other_have_an_end() {
    for (name, link) in LINKS {
        let test = chain(one_platform(), 32, link);
        // 32 in a chain are right, for every verb.
        let test = test.run(["build", "d/r31"]).status(0).then();
        let test = test.run(["check", "d/r31"]).status(0).then();
        let test = chain(test.run(["list", "--uses", "registry.example/none:1"]).then(), 34, link);
        for verb in ["build", "lock", "check", "show"] {
            let run = test.command([verb, "d/r33"]).output().unwrap();
            let error = String::from_utf8(run.stderr).unwrap();
            assert_eq!(run.status.code(), Some(3), "{name} {verb}: {error}");
            assert!(error.contains("more than 32 deep: d/r3"), "{name} {verb}: {error}");
            assert!(error.contains(" -> … -> ") && error.contains("-> d/r01"), "{name} {verb}: {error}");
            assert!(error.contains("recipe.toml:"), "{name} {verb}: {error}");
        }
        // Whichever is known already.
        let run = test.run(["build", "--all"]).status(3);
        assert!(run.err.contains("more than 32 deep: d/r3"), "{name}: {}", run.err);
    }
}

#[test]
fn thousands_of_recipes_on_each_other_take_no_stack() {
    for (name, link) in LINKS {
        let test = chain(one_platform(), 400, link);
        for verb in ["build", "check", "list"] {
            let run = test.command([verb, "d/r399"]).output().unwrap();
            let error = String::from_utf8(run.stderr).unwrap();
            // What looks at the recipe alone needs no other.
            let done = verb == "list" && name != "extends";
            assert_eq!(run.status.code(), Some(if done { 0 } else { 3 }), "{name} {verb}: {error}");
            assert!(
                done || (error.contains("more than 32 deep") && error.len() < 2000),
                "{name} {verb}: {error}"
            );
        }
        let run = test.command(["list", "--uses", "registry.example/none:1"]).output().unwrap();
        assert_eq!(run.status.code(), Some(3), "{name}: {}", String::from_utf8_lossy(&run.stderr));
    }
}

#[test]
fn archives_in_archives_and_tables_in_tables_have_an_end() {
    let steps = |count: usize| {
        let step = |n| format!("\"tar:{n}.tar\"");
        (0..count).map(step).collect::<Vec<_>>().join(", ")
    };
    let recipe = |count| {
        format!(
            "[base]\nscratch = true\n[[file]]\nfrom = \"a.tar\"\nunpack = [{}]\nto = \"/x/\"\n",
            steps(count)
        )
    };
    let deep = |count: usize, last: &str| {
        let mut inner = last.as_bytes().to_vec();
        for n in (0..count).rev() {
            inner = member(&format!("{n}.tar"), &inner);
        }
        inner
    };
    let test =
        one_platform().file("recipes/a/b/recipe.toml", recipe(32)).file("recipes/a/b/a.tar", deep(32, "end"));
    let test = test.run(["build"]).status(0).then();
    let run = test.file("recipes/a/b/recipe.toml", recipe(33)).run(["build"]).status(3);
    assert!(run.err.contains("at most 32 deep") && run.err.contains("recipe.toml:5:"), "{}", run.err);
    // Keys, lists and inline tables.
    let nested = |open: &str, close: &str| {
        format!(
            "[base]\nscratch = true\n[vars.a]\ndefault = {}1{}\n",
            open.repeat(50_000),
            close.repeat(50_000)
        )
    };
    let dotted =
        format!("[base]\nscratch = true\n[service.container]\n{} = 1\n", vec!["a"; 100_000].join("."));
    let mut test = run.then();
    for text in [nested("[", "]"), nested("{ a = ", " }"), dotted] {
        let run = test.file("recipes/a/b/recipe.toml", &text).run(["check"]).status(3);
        assert!(run.err.contains("recur"), "{}", run.err.chars().take(500).collect::<String>());
        test = run.then();
    }
}

/// A tar of one file.
fn member(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut header = ::tar::Header::new_ustar();
    header.set_path(name).unwrap();
    header.set_size(bytes.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    let mut builder = ::tar::Builder::new(Vec::new());
    builder.append(&header, bytes).unwrap();
    builder.into_inner().unwrap()
}

const GOOD: &str = "f 0644 0:0 a good\nf 0755 0:0 tool good tool\n";
const EVIL: &str = "f 0644 0:0 a evil\nf 4755 0:0 tool evil tool\n";

/// How a recipe takes `dist/a.tar`, and what that is of a tree.
type Taking = (&'static str, &'static str, fn(&str) -> Vec<u8>);

const TAKINGS: [Taking; 7] = [
    ("unpacked from a URL", "fetch = \"URL/a.tar\"\nunpack = true\nto = \"/x/\"", |tree| gzip(&tar(tree))),
    ("unpacked as it lies", "fetch = \"URL/a.tar\"\nunpack = \"tar\"\nto = \"/x/\"", tar),
    ("a part of it", "fetch = \"URL/a.tar\"\nunpack = true\ninclude = [\"a\"]\nto = \"/x/\"", |tree| {
        gzip(&tar(tree))
    }),
    ("a file by a URL", "fetch = \"URL/a.tar\"\nto = \"/x/\"", |tree| tree.as_bytes().to_vec()),
    ("an archive beside the recipe", "from = \"a.tar\"\nunpack = true\nto = \"/x/\"", |tree| {
        gzip(&tar(tree))
    }),
    ("an input that is unpacked", "input = \"a\"\nunpack = true\nto = \"/x/\"", |tree| gzip(&tar(tree))),
    ("links alone", "fetch = \"URL/a.tar\"\nunpack = true\nto = \"/x/\"", |tree| {
        gzip(&tar(&format!("l l {}\n", if tree == GOOD { "good" } else { "evil" })))
    }),
];

/// The lines of a lock but for those that begin so.
fn line<'l>(lock: &'l str, name: &str) -> &'l str {
    lock.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in\n{lock}"))
}

#[test]
fn a_listing_is_believed_of_the_archive_that_it_is_of_only() {
    for (name, entry, make) in TAKINGS {
        let test = one_platform();
        let url = format!("file://{}", test.path("dist").display());
        let input = if entry.starts_with("input") { "[input.a]\npath = \"dist/a.tar\"\n" } else { "" };
        let recipe = format!("[base]\nscratch = true\n{input}[[file]]\n{}\n", entry.replace("URL", &url));
        let put = |test: Test, tree: &str| {
            test.file("dist/a.tar", make(tree)).file("recipes/a/b/a.tar", make(tree))
        };
        let test = put(test.file("recipes/a/b/recipe.toml", recipe), EVIL);
        let test = test.run(["build"]).status(0).then();
        let evil = test.read("lockfiles/a/b.lock");
        let test = put(test, GOOD).remove("lockfiles").run(["build"]).status(0).then();
        let good = test.read("lockfiles/a/b.lock");
        // The store has once built what the evil listing says.
        let lie = evil.replace(line(&evil, "pinned"), line(&good, "pinned"));
        assert!(lie != evil && lie != good, "{name}");
        let mut test = test.file("lockfiles/a/b.lock", &lie);
        for arguments in
            [&["build", "--locked"][..], &["build"], &["lock", "--check"], &["lock", "--verify-facts"]]
        {
            let run = test.run(arguments.iter().copied()).status(3);
            assert!(run.err.contains("it holds something else than the lock says"), "{name}: {}", run.err);
            assert!(
                run.err.contains("recipe.toml:") && run.err.contains("`cooper lock`"),
                "{name}: {}",
                run.err
            );
            assert!(run.out.is_empty(), "{name}: {}", run.out);
            test = run.then();
            assert_eq!(test.read("lockfiles/a/b.lock"), lie, "{name}");
        }
        // `lock` mends it.
        let test = test.run(["lock"]).status(0).then();
        assert_eq!(test.read("lockfiles/a/b.lock"), good, "{name}");
        let test = test.run(["build", "--locked"]).status(0).then();
        // And what was found out is remembered, collected or not.
        let test = test.run(["gc"]).status(0).then();
        let test = if entry.starts_with("fetch") { test.remove("dist") } else { test };
        test.run(["build", "--locked", "--offline"]).status(0).then().run(["store", "verify"]).status(0);
    }
}

#[test]
fn a_listing_that_lies_of_files_it_has_not_is_found_in_another_store() {
    // The right listing, and a store that never saw the archive.
    let test = one_platform();
    let url = format!("file://{}/a.tar", test.path("dist").display());
    let recipe =
        format!("[base]\nscratch = true\n[[file]]\nfetch = \"{url}\"\nunpack = \"tar\"\nto = \"/x/\"\n");
    let test = test.file("dist/a.tar", tar(GOOD)).file("recipes/a/b/recipe.toml", recipe);
    let test = test.run(["build"]).status(0).then();
    let lock = test.read("lockfiles/a/b.lock");
    let lied = lock.replace("f0755 ", "f4755 ");
    let hash = |lock: &str| {
        let lines = lock.lines().skip_while(|line| !line.starts_with("files")).skip(1).take(2);
        let text: String = lines.map(|line| format!("{}\n", line.trim().trim_matches([',', '"']))).collect();
        Digest::of(text.as_bytes()).to_string()
    };
    let lied = lied.replace(&hash(&lock), &hash(&lied));
    let test = test.file("lockfiles/a/b.lock", &lied).remove("../home");
    let run = test.run(["build", "--locked"]).status(3);
    assert!(run.err.contains("something else than the lock says"), "{}", run.err);
    let test = run.then().run(["lock"]).status(0).then();
    assert_eq!(test.read("lockfiles/a/b.lock"), lock);
}

#[test]
fn the_last_part_of_a_url_is_a_name_or_nothing() {
    let digest = Digest::of(b"x").hex();
    let mut test = one_platform();
    for name in ["..", ".", "..?x=1", "..#f", ".wh.passwd", ".wh..wh..opq", "a/../..", "./.?q"] {
        let recipe = format!(
            "[base]\nscratch = true\n[[file]]\nfetch = \"https://127.0.0.1:9/d/{name}\"\nsha256 = \"{digest}\"\nto = \"/\"\n"
        );
        let run = test.file("recipes/a/b/recipe.toml", recipe).run(["build"]).status(3);
        assert!(run.err.contains("its last part, can't be the name of a file"), "{name}: {}", run.err);
        assert!(run.err.contains("recipe.toml:4:9"), "{name}: {}", run.err);
        test = run.then();
        assert!(!test.path("lockfiles").exists(), "{name}");
    }
    // These are names.
    for name in ["...", "..a", "%2e%2e", "a%2fb", "-", "~", "a b".replace(' ', "%20").as_str()] {
        // The path on the disk is the unescaped one; the name in the image is as the URL has it.
        if name == "%2e%2e" || name == "a%2fb" {
            continue;
        }
        let url = format!("file://{}/dist/{name}", test.path("").display());
        let recipe = format!("[base]\nscratch = true\n[[file]]\nfetch = \"{url}\"\nto = \"/x/\"\n");
        test = test.file(&format!("dist/{}", name.replace("%20", " ")), "x");
        test = test.file("recipes/a/b/recipe.toml", recipe).run(["build"]).status(0).then();
        test = test.run(["build", "--locked"]).status(0).then();
    }
    // No file system takes a longer one.
    let long = |count: usize| {
        format!("[base]\nscratch = true\n[[file]]\ntext = \"x\"\nto = \"/{}\"\n", "n".repeat(count))
    };
    let test = test.file("recipes/a/b/recipe.toml", long(255)).run(["build"]).status(0).then();
    let run = test.file("recipes/a/b/recipe.toml", long(256)).run(["build"]).status(3);
    assert!(run.err.contains("has a name of more than 255 bytes"), "{}", run.err);
}

/// Put together here, so that no scanner finds it in this file.
fn key() -> String {
    format!("x\n-----BEGIN {0} KEY-----\nMIIEpAIBAAKCAQEA\n-----END {0} KEY-----\n", "RSA PRIVATE")
}

#[test]
fn secrets_are_looked_for_wherever_files_come_from() {
    let key = key();
    let escaped = key.replace('\n', "\\n");
    let tree = format!("d 0755 0:0 d\nf 0644 0:0 d/a a\nf 0600 0:0 d/id_rsa {escaped}\n");
    let archive = |name: &str| match name {
        "tar.gz" => gzip(&tar(&tree)),
        _ => tar(&tree),
    };
    let entries = [
        ("input = \"dir\"\nto = \"/x/\"", "dir/id_rsa"),
        ("input = \"file\"\nto = \"/x/\"", "file"),
        ("input = \"packed\"\nunpack = true\nto = \"/x/\"", "packed/d/id_rsa"),
        ("from = \"a.tar\"\nunpack = true\nto = \"/x/\"", "a.tar/d/id_rsa"),
        ("from = \"a.tar.gz\"\nunpack = true\nstrip = 1\nto = \"/x/\"", "a.tar.gz/id_rsa"),
        ("fetch = \"URL/dist/a.tar.gz\"\nunpack = true\nto = \"/x/\"", "dist/a.tar.gz/d/id_rsa"),
        ("fetch = \"URL/dist/a.tar\"\nunpack = \"tar\"\nto = \"/x/\"", "dist/a.tar/d/id_rsa"),
        ("fetch = \"URL/dist/d/id_rsa\"\nto = \"/x/\"", "dist/d/id_rsa"),
    ];
    let inputs = "[input.dir]\npath = \"dist/d\"\n[input.file]\npath = \"dist/d/id_rsa\"\n[input.packed]\npath = \"dist/a.tar\"\n";
    let mut test = one_platform()
        .file("dist/d/id_rsa", &key)
        .file("dist/a.tar", archive("tar"))
        .file("dist/a.tar.gz", archive("tar.gz"))
        .file("recipes/a/b/a.tar", archive("tar"))
        .file("recipes/a/b/a.tar.gz", archive("tar.gz"));
    let url = format!("file://{}", test.path("").display().to_string().trim_end_matches('/'));
    for (entry, name) in entries {
        let recipe = format!("[base]\nscratch = true\n{inputs}[[file]]\n{}\n", entry.replace("URL", &url));
        let run = test.file("recipes/a/b/recipe.toml", &recipe).run(["build"]).status(3);
        assert!(run.err.contains(&format!("{name} seems to hold a private key")), "{entry}: {}", run.err);
        assert!(run.err.contains("recipe.toml:") && run.err.contains("allow-secret"), "{entry}: {}", run.err);
        test = run.then();
        assert!(!test.path("lockfiles").exists(), "{entry}");
        let allowed = format!("{recipe}allow-secret = \"a key of the tests\"\n");
        test = test.file("recipes/a/b/recipe.toml", allowed).run(["build"]).status(0).then();
        test = test.run(["build", "--locked"]).status(0).then().remove("lockfiles");
        // What isn't taken doesn't matter.
        if entry.contains("unpack") || entry.contains("\"dir\"") {
            let without = format!("{recipe}exclude = [\"**/id_rsa\", \"id_rsa\", \"a.tar\", \"a.tar.gz\"]\n");
            test = test
                .file("recipes/a/b/recipe.toml", without)
                .run(["build"])
                .status(0)
                .then()
                .remove("lockfiles");
        }
    }
    // A large file isn't searched, wherever it comes from.
    let large = format!("{}{key}", "x".repeat(1 << 20));
    let recipe = format!("[base]\nscratch = true\n{inputs}[[file]]\ninput = \"file\"\nto = \"/x/\"\n");
    test.file("dist/d/id_rsa", large).file("recipes/a/b/recipe.toml", recipe).run(["build"]).status(0);
}

#[test]
fn secrets_in_what_engines_are_told() {
    let mut test = one_platform();
    let service = |text: &str| format!("[base]\nscratch = true\n[service]\n{text}\n");
    for (text, name) in [
        ("[service.container]\nenvironment = { POSTGRES_PASSWORD = \"hunter2\" }", "POSTGRES_PASSWORD"),
        ("[service.container]\nenvironment = [\"A=b\", \"DB_PWD=hunter2\"]", "DB_PWD"),
        ("[service.container.environment]\nKEY_PASSPHRASE = \"hunter2\"", "KEY_PASSPHRASE"),
        ("[service.container]\nenvironment = { DB_PASSWORD = 12345678 }", "DB_PASSWORD"),
        ("[service.container.build.args]\nNPM_TOKEN = \"hunter2\"", "NPM_TOKEN"),
        ("env = { REGISTRY_CREDENTIAL = \"hunter2\" }", "REGISTRY_CREDENTIAL"),
        ("labels = { \"api.token\" = \"hunter2\" }", "api.token"),
        ("[service.job.x]\ncmd = [\"a\"]\nenv = { MYSQL_PWD = \"hunter2\" }", "MYSQL_PWD"),
    ] {
        let run = test.file("recipes/a/b/recipe.toml", service(text)).run(["check"]).status(3);
        assert!(run.err.contains(&format!("{name} looks like a secret")), "{text}: {}", run.err);
        test = run.then();
    }
    for text in [
        "[service.container]\nenvironment = { POSTGRES_PASSWORD = \"${PW}\", PASSWORD_MIN = \"8\" }",
        "[service.container]\nenvironment = [\"POSTGRES_PASSWORD\", \"POSTGRES_PASSWORD_FILE=/run/secrets/x\"]",
        "[service.container]\nenvironment = { PUBLIC_KEY = \"abc\", SECRETS_BACKEND = \"vault\", KEYS_ALLOWED = \"rsa\" }",
        "env = { PWD = \"/srv\", GPG_KEY = \"A035C8C1\" }",
    ] {
        test = test.file("recipes/a/b/recipe.toml", service(text)).run(["check"]).status(0).then();
    }
}

#[test]
fn what_turns_the_direction_of_writing_is_yaml_and_json() {
    let recipe = "[base]\nscratch = true\n[[file]]\ntext = \"x\"\nto = \"/x\"\n[service]\nenv = { A = \"a\\u202Eb\\u2066c\\u200F\\uFEFF\" }\n\
        labels = { \"l\\u202E\" = \"x\\u2028y\" }\n[service.container]\nx-x = [\"\\u061C\"]\n";
    let test = one_platform().file("recipes/a/b/recipe.toml", recipe).run(["build"]).status(0).then();
    let run = test.run(["compose", "a"]).status(0);
    for text in ["A: \"a\\u202eb\\u2066c\\u200f\\ufeff\"", "\"l\\u202e\": \"x\\u2028y\"", "[\"\\u061c\"]"] {
        assert!(run.out.contains(text), "{text} in {}", run.out);
    }
    assert!(!run.out.contains("\\u{"), "{}", run.out);
    let run = run.then().run(["compose", "a", "--quadlet"]).status(0);
    assert!(run.out.contains("Environment=\"A=a\\xe2\\x80\\xaeb\\xe2\\x81\\xa6c"), "{}", run.out);
    assert!(!run.out.contains("\\u{"), "{}", run.out);
    let run = run.then().run(["compose", "a", "--format", "json"]).status(0);
    assert!(run.json()["files"]["compose.yaml"].as_str().unwrap().contains("\\u202e"));
}

/// A store with an image in it, and a place outside that holds what a clean-up would take for its own.
fn store_and_victim() -> (Test, String) {
    let recipe = "[base]\nscratch = true\n[[file]]\ntext = \"x\"\nto = \"/x\"\n";
    let test = one_platform().file("recipes/a/b/recipe.toml", recipe).run(["build"]).status(0).then();
    let hex = Digest::of(b"nobody's").hex();
    let test =
        test.file(&format!("victim/{hex}"), "v").file("victim/.tmp-1-1", "v").file("victim/other", "v");
    let test = test.file("victim/.tmp-dir/x", "v");
    (test, hex)
}

fn victims(test: &Test) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(test.path("victim")).unwrap() {
        names.push(entry.unwrap().file_name().into_string().unwrap());
    }
    names.sort();
    names
}

#[test]
fn cleaning_up_a_store_follows_no_link() {
    for name in ["tmp", "realisations", "headers", "chunks"] {
        for arguments in [&["gc"][..], &["store", "verify", "--repair"], &["build"], &["gc", "--dry-run"]] {
            let (test, _) = store_and_victim();
            let before = victims(&test);
            let place = test.store().join(name);
            _ = fs::remove_dir_all(&place);
            symlink(test.path("victim"), &place).unwrap();
            let test = test.run(arguments.iter().copied()).status(0).then();
            assert_eq!(victims(&test), before, "{name} {arguments:?}");
            assert!(
                !fs::symlink_metadata(&place).is_ok_and(|found| found.is_symlink()),
                "{name} {arguments:?}"
            );
            test.run(["build", "--locked"]).status(0).then().run(["store", "verify"]).status(0);
        }
    }
    // Without the images nothing can be told: they are not given up for a link.
    for name in ["blobs", "blobs/sha256"] {
        for arguments in [&["gc"][..], &["store", "verify", "--repair"], &["build"]] {
            let (test, _) = store_and_victim();
            let before = victims(&test);
            let place = test.store().join(name);
            fs::rename(&place, test.store().join("../moved")).unwrap();
            symlink(test.path("victim"), &place).unwrap();
            let run = test.run(arguments.iter().copied()).status(3);
            assert!(run.err.contains("is a link"), "{}", run.err);
            assert_eq!(victims(run.test()), before, "{name} {arguments:?}");
        }
    }
    // One file, or one entry of `tmp`: the link goes, not what it leads to.
    let (test, hex) = store_and_victim();
    let before = victims(&test);
    for place in [format!("blobs/sha256/{hex}"), ".tmp-2-2".to_owned(), "tmp/.tmp-3-3".to_owned()] {
        fs::create_dir_all(test.store().join("tmp")).unwrap();
        symlink(test.path("victim"), test.store().join(&place)).unwrap();
        let run = test.command(["gc"]).output().unwrap();
        assert_eq!(run.status.code(), Some(0), "{}", String::from_utf8_lossy(&run.stderr));
        assert!(fs::symlink_metadata(test.store().join(&place)).is_err(), "{place}");
        assert_eq!(victims(&test), before, "{place}");
    }
}

#[test]
fn a_wrong_store_loses_no_link() {
    let test = one_platform().file("elsewhere/notes", "mine").file("target/x", "x");
    symlink(test.path("target"), test.path("elsewhere/tmp")).unwrap();
    let run: Run = test.run(["gc", "--store", "elsewhere"]).status(3);
    assert!(run.err.contains("is not a store"), "{}", run.err);
    assert!(fs::symlink_metadata(run.test().path("elsewhere/tmp")).unwrap().is_symlink());
}

#[test]
fn thousands_of_jobs_are_looked_at_once() {
    let mut recipe = "[base]\nscratch = true\n[[file]]\ntext = \"x\"\nto = \"/x\"\n[service]\n".to_owned();
    for number in 0..6000 {
        let after = if number == 0 { String::new() } else { format!("b-j{} = \"done\"", number - 1) };
        _ = writeln!(recipe, "[service.job.j{number}]\ncmd = [\"a\"]\nafter = {{ {after} }}");
    }
    let test = one_platform().file("recipes/a/b/recipe.toml", &recipe);
    // A debug build on a slow machine takes seconds; looking at all of them for each took minutes.
    let begun = std::time::Instant::now();
    let test = test.run(["check"]).status(0).then().run(["build"]).status(0).then();
    let test = test.run(["compose", "a", "--quadlet"]).status(0).then();
    assert!(begun.elapsed().as_secs() < 60, "{:?}", begun.elapsed());
    let round = recipe.replacen("after = {  }", "after = { b-j5999 = \"done\" }", 1);
    let run = test.file("recipes/a/b/recipe.toml", round).run(["check"]).status(3);
    assert!(run.err.contains("wait for each other") && run.err.contains(" others "), "{}", run.err);
    assert!(run.err.len() < 2000, "{}", run.err);
    // And as many mistakes.
    let lost = recipe.replace("b-j", "c-j");
    let run = run.then().file("recipes/a/b/recipe.toml", lost).run(["check"]).status(3);
    assert!(run.err.matches("error: ").count() <= 102, "{}", run.err.matches("error: ").count());
}
