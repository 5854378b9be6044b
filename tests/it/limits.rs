//! What grows without end is refused, and what is ten times as large takes no more than fifteen times as long.

use std::fmt::Write;
use std::fs;
use std::time::{Duration, Instant};

use crate::support::{Layout, Run, Test, tar};

const SCRATCH: &str = "[base]\nscratch = true\n";
const OS: &str = "[base]\nlayout = \"bases/os:1\"\n";
const RECIPE: &str = "recipes/a/b/recipe.toml";

/// What makes an entry of a path.
type Entry<'a> = &'a dyn Fn(&str) -> String;

fn one_platform() -> Test {
    Test::new().file("cooper.toml", "[workspace]\nplatforms = [\"linux/amd64\"]\nvariants = [\"dev\"]\n")
}

/// A build that is refused in no time: a machine that is busy takes some.
#[track_caller]
fn refused(test: Test, says: &[&str]) -> Run {
    let begin = Instant::now();
    let run = test.run(["build"]).status(3);
    assert!(begin.elapsed() < Duration::from_secs(20), "{:?}", begin.elapsed());
    for text in says {
        assert!(run.err.contains(text), "{text} is not in\n{}", run.err);
    }
    assert!(run.err.len() < 20_000, "{} bytes of message", run.err.len());
    run
}

#[test]
fn templates_that_grow_without_end() {
    let mut doubled = format!("{SCRATCH}[vars]\nv0 = \"0123456789\"\n");
    for n in 1..=40 {
        writeln!(doubled, "v{n} = \"{{{{ v{0} }}}}{{{{ v{0} }}}}\"", n - 1).unwrap();
    }
    let used = format!("{doubled}[config.env]\nA = \"{{{{ v40 }}}}\"\n");
    let mut test = one_platform().file(RECIPE, used);
    test =
        refused(test, &["`v16` is too much here", "v17 = \"{{ v16 }}{{ v16 }}\"", "more than 1048576 bytes"])
            .then();
    // A variable that nobody uses is no better.
    test = refused(test.file(RECIPE, doubled), &["`v16` is too much here"]).then();
    // The longest string that is allowed, again and again: in a recipe, in a file, by filters.
    let long = format!("{SCRATCH}[vars]\nlong = \"{}\"\n", "x".repeat(500_000));
    let many: String = (0..500).map(|n| format!("N{n} = \"{{{{ long }}}}\"\n")).collect();
    test = test.file(RECIPE, format!("{long}[config.env]\n{many}"));
    test = refused(test, &["`long` is too much here", "altogether"]).then();
    let entry = "[[file]]\nfrom = \"big.conf\"\nto = \"/x\"\ntemplate = true\n";
    for text in [
        "{{ long }}".repeat(90_000),
        format!("{{{{ long{} }}}}", " | base64".repeat(90_000)),
        format!("{{{{ long{} }}}}", " | upper".repeat(90_000)),
        format!("{{{{ long{} }}}}", " | replace(\"x\", \"xxxxxxxx\")".repeat(20_000)),
        format!("{{{{ \"{}\"{} }}}}", "\\\\".repeat(200_000), " | json".repeat(50_000)),
    ] {
        test = test.file("recipes/a/b/big.conf", text).file(RECIPE, format!("{long}{entry}"));
        test = refused(test, &["the template can't be filled in", "is too much here", "big.conf:1:"]).then();
    }
    // Deep, and round in a circle.
    let mut deep = format!("{SCRATCH}[vars]\nv0 = \"x\"\n");
    for n in 1..=5000 {
        writeln!(deep, "v{n} = \"{{{{ v{} }}}}\"", n - 1).unwrap();
    }
    test = refused(test.file(RECIPE, deep), &["stands below more than 64 variables"]).then();
    let circle = format!("{SCRATCH}[vars]\na = \"{{{{ b }}}}\"\nb = \"{{{{ a }}}}\"\n");
    test = refused(test.file(RECIPE, circle), &["`a` is defined by itself: a -> b -> a"]).then();
    // What is large and doesn't grow is done.
    let fine = format!("{SCRATCH}[vars]\nport = \"80\"\n{entry}");
    let text = "listen {{ port }};\n".repeat(50_000);
    test.file(RECIPE, fine).file("recipes/a/b/big.conf", text).run(["build"]).status(0);
}

#[test]
fn paths_that_no_kernel_makes() {
    let deep = |length: usize| format!("/{}{}", "d/".repeat(length / 2 - 1), "e".repeat(1 + length % 2));
    let name = |length: usize| format!("/srv/{}", "n".repeat(length));
    assert_eq!((deep(4096).len(), deep(4097).len()), (4096, 4097));
    let path = "which is more than Linux takes";
    let long = "a name of more than 255 bytes";
    let entries: [(&str, Entry<'_>); 5] = [
        ("file", &|to| format!("[[file]]\ntext = \"x\"\nto = \"{to}\"\n")),
        ("dir", &|to| format!("[[dir]]\npath = \"{to}\"\n")),
        ("link", &|to| format!("[[link]]\npath = \"{to}\"\ntarget = \"x\"\n")),
        ("workdir", &|to| format!("[config]\nworkdir = \"{to}\"\n")),
        ("variable", &|to| format!("[vars]\nv = \"{to}\"\n[[file]]\ntext = \"x\"\nto = \"{{{{ v }}}}\"\n")),
    ];
    let mut test = one_platform();
    for (kind, entry) in entries {
        for (to, says) in [(deep(4097), path), (name(256), long), (deep(9000), path)] {
            test = refused(test.file(RECIPE, format!("{SCRATCH}{}", entry(&to))), &[says]).then();
        }
        for to in [deep(4096), name(255)] {
            let run = test.file(RECIPE, format!("{SCRATCH}{}", entry(&to))).run(["build"]);
            assert_eq!(run.code, Some(0), "{kind}: {}", run.err.chars().take(2000).collect::<String>());
            test = run.then();
        }
    }
    // What a link says is looked up when it is followed; its names aren't made.
    let link = |target: &str| format!("{SCRATCH}[[link]]\npath = \"/x\"\ntarget = \"{target}\"\n");
    test = refused(test.file(RECIPE, link(&"t".repeat(4096))), &[path]).then();
    test = test.file(RECIPE, link(&"t".repeat(4095))).run(["build"]).status(0).then();
    // Sources and their names together.
    let from = format!("{SCRATCH}[[file]]\nfrom = \"{}\"\nto = \"/x\"\n", "f".repeat(256));
    test = refused(test.file(RECIPE, from), &[long]).then();
    let below = format!("{SCRATCH}[[file]]\nfrom = \"tree\"\nto = \"{}\"\n", deep(4000));
    test = test.file(&format!("recipes/a/b/tree/{}", "n".repeat(200)), "x").file(RECIPE, below);
    test = refused(test, &["has a name or path of 4"]).then();
    // A glob may be longer than what it matches.
    let glob = format!("{OS}[[remove]]\npath = \"/etc/{{{},hostname}}\"\n", "x".repeat(300));
    test = test.base("bases/os", "1", &["d 0755 0:0 etc\nf 0644 0:0 etc/hostname box\\n"]);
    test.file(RECIPE, glob).run(["build"]).status(0);
}

#[test]
fn archives_and_locks_with_paths_that_no_kernel_makes() {
    let entry = format!("{SCRATCH}[[file]]\nfrom = \"a.tar\"\nunpack = true\nto = \"/srv/\"\n");
    let long = |length: usize| "n".repeat(length);
    let deep = |length: usize| format!("{}x", "d/".repeat(length / 2));
    let members = |name: &str| tar(&format!("f 0644 0:0 {name} hello"));
    let mut test = one_platform().file(RECIPE, &entry);
    for (archive, says) in [
        (members(&long(256)), "a name in the path is longer than 255 bytes"),
        (members(&format!("a/{}/b", long(300))), "a name in the path is longer than 255 bytes"),
        (members(&deep(4200)), "the name or link target is longer than 409"),
        (tar(&format!("l a {}", long(5000))), "the name or link target is longer than 409"),
    ] {
        test = refused(test.file("recipes/a/b/a.tar", archive), &[says]).then();
    }
    for good in [long(255), deep(4000), format!("a/{}/b", long(255))] {
        test = test.file("recipes/a/b/a.tar", members(&good)).run(["build"]).status(0).then();
        test = test.run(["build", "--locked"]).status(0).then();
    }
    // A listing in a lock says what no archive may.
    let lock = test.read("lockfiles/a/b.lock");
    let name = format!("a/{}/b", long(255));
    assert!(lock.contains(&name));
    let lie = lock.replace(&name, &format!("a/{}/b", long(256)));
    let run = test.file("lockfiles/a/b.lock", lie).run(["build", "--locked"]).status(3);
    assert!(run.err.contains("lockfiles/a/b.lock"), "{}", run.err);
    // A layer of a base, too.
    let tree = format!("d 0755 0:0 srv\nf 0644 0:0 srv/{} x", long(256));
    let test = run.then().base("bases/os", "1", &[&tree]).remove("lockfiles");
    refused(test.file(RECIPE, format!("{OS}[[remove]]\npath = \"/srv/*\"\n")), &["longer than 255 bytes"]);
}

/// Seconds of processor time that `cooper` takes.
fn cost(test: &Test, arguments: &[&str]) -> f64 {
    let mut child =
        test.command(arguments.iter().copied()).stdout(std::process::Stdio::null()).spawn().unwrap();
    let stat = format!("/proc/{}/stat", child.id());
    // It is a zombie until it is waited for, and has its times.
    let ticks: u32 = loop {
        let text = fs::read_to_string(&stat).unwrap();
        let fields: Vec<&str> = text.rsplit_once(") ").unwrap().1.split(' ').collect();
        if fields[0] == "Z" {
            break fields[11..13].iter().map(|field| field.parse::<u32>().unwrap()).sum();
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    assert!(child.wait().unwrap().success(), "cooper {arguments:?} in {}", test.path("").display());
    f64::from(ticks) / 100.0
}

fn entries(n: usize, entry: impl Fn(usize) -> String) -> String {
    (0..n).map(entry).collect()
}

/// A workspace of some size, by its kind.
fn workspace(kind: &str, n: usize) -> Test {
    let test = one_platform();
    let files = |n: usize| entries(n, |n| format!("f 0644 0:0 srv/{}/f{n}.map x\n", n % 100));
    let dirs =
        format!("d 0755 0:0 etc\nd 0755 0:0 srv\n{}", entries(100, |n| format!("d 0755 0:0 srv/{n}\n")));
    let recipe = match kind {
        "a deep file" => format!("{SCRATCH}[[file]]\ntext = \"x\"\nto = \"/{}x\"\n", "d/".repeat(n)),
        "a deep tree" => {
            let chain = |n: usize| entries(n, |at| format!("f 0644 0:0 {}f x\n", "d/".repeat(at)));
            let archive = tar(&chain(n));
            return test.file("recipes/a/b/a.tar", archive).file(
                RECIPE,
                format!("{SCRATCH}[[file]]\nfrom = \"a.tar\"\nunpack = true\nto = \"/srv/\"\n"),
            );
        }
        "removes" => {
            Layout::new(&[&format!("{dirs}{}", files(n))]).write(&test.path("bases/os"), "1");
            let removes =
                entries(20, |n| format!("[[remove]]\npath = \"/srv/**/*{n}.map\"\nmissing = \"ok\"\n"));
            format!("{OS}{removes}")
        }
        "many removes" => {
            Layout::new(&[&format!("{dirs}{}", files(n))]).write(&test.path("bases/os"), "1");
            format!("{OS}{}", entries(n, |n| format!("[[remove]]\npath = \"/srv/{}/f{n}.map\"\n", n % 100)))
        }
        "exclude" | "files" => {
            let patterns = if kind == "exclude" { n } else { 50 };
            let files = if kind == "exclude" { 200 } else { n };
            for number in 0..files {
                let dir = test.path(&format!("recipes/a/b/tree/{}", number % 50));
                fs::create_dir_all(&dir).unwrap();
                fs::write(dir.join(format!("f{number}.txt")), "x").unwrap();
            }
            let patterns = entries(patterns, |n| format!("\"**/*.x{n}\", "));
            format!("{SCRATCH}[[file]]\nfrom = \"tree\"\nto = \"/srv/\"\nexclude = [{patterns}]\n")
        }
        "entries" => {
            format!("{SCRATCH}{}", entries(n, |n| format!("[[file]]\ntext = \"{n}\"\nto = \"/srv/{n}/f\"\n")))
        }
        "links" => {
            let links =
                entries(n, |n| format!("[[link]]\npath = \"/srv/l{n}\"\ntarget = \"/srv/f\"\nhard = true\n"));
            format!("{SCRATCH}[[file]]\ntext = \"x\"\nto = \"/srv/f\"\n{links}")
        }
        "users" => {
            format!("{SCRATCH}{}", entries(n, |n| format!("[[user]]\nname = \"u{n}\"\nuid = {}\n", 1000 + n)))
        }
        "owners" => {
            let users = entries(n, |n| format!("[[user]]\nname = \"u{n}\"\nuid = {}\n", 1000 + n));
            let files = entries(n, |n| format!("[[file]]\ntext = \"x\"\nto = \"/f{n}\"\nowner = \"u{n}\"\n"));
            format!("{SCRATCH}{users}{files}")
        }
        "edits" => {
            Layout::new(&[&dirs, "f 0644 0:0 etc/hosts localhost\\n"]).write(&test.path("bases/os"), "1");
            format!("{OS}{}", entries(n, |n| format!("[[edit]]\npath = \"/etc/hosts\"\nappend = \"h{n}\"\n")))
        }
        "variables" => {
            let vars = entries(n, |n| format!("v{n} = \"{n}\"\n"));
            let uses =
                entries(n, |n| format!("E{n} = \"{{{{ v{n} }}}}{{{{ nothing | default(\\\"\\\") }}}}\"\n"));
            format!("{SCRATCH}[vars]\n{vars}[config.env]\n{uses}")
        }
        _ => panic!("{kind}"),
    };
    test.file(RECIPE, recipe)
}

/// The smaller size of each kind. The names of directories in each other are ten times as long in all where these are a
/// bit more than three times as deep.
const KINDS: [(&str, usize); 11] = [
    ("a deep file", 600),
    ("a deep tree", 600),
    ("removes", 500),
    ("many removes", 200),
    ("exclude", 200),
    ("files", 300),
    ("entries", 500),
    ("links", 500),
    ("users", 1000),
    ("owners", 300),
    ("edits", 500),
];

#[test]
fn ten_times_as_large_takes_no_more_than_fifteen_times_as_long() {
    let mut told = String::new();
    let mut slow = false;
    for (kind, n) in KINDS.into_iter().chain([("variables", 500)]) {
        let measure = |n: usize| {
            let test = workspace(kind, n);
            let cold = cost(&test, &["build"]);
            let warm = cost(&test, &["build", "--locked", "--no-index"]);
            [cold, warm]
        };
        let more = if kind.starts_with("a deep") { 1900 } else { 10 * n };
        let (small, large) = (measure(n), measure(more));
        for (what, small, large) in [("cold", small[0], large[0]), ("locked", small[1], large[1])] {
            // The clock has hundredths, and a start costs some.
            let good = large <= 15.0 * small.max(0.03) + 0.1;
            slow |= !good;
            let mark = if good { "" } else { " <--" };
            writeln!(told, "{kind}, {what}: {small:.2} s for {n}, {large:.2} s for {more}{mark}").unwrap();
        }
    }
    assert!(!slow, "{told}");
    _ = std::io::Write::write_all(&mut std::io::stdout(), told.as_bytes());
}
