//! How often each byte goes through SHA-256, and that what isn't hashed twice is compared all the same.
//!
//! The count is one of a process, and the other tests of this one hash too: what is counted runs in a child, which is
//! this test binary again, asked for [`a_child`] alone.

use std::fs;
use std::io::Write as _;
use std::process::Command;

use cooperage::digest::{self, Digest, Encoding};
use cooperage::layer::BuildError;
use cooperage::oci::Compression;
use cooperage::registry::{Client, NoCredentials, Registries};
use cooperage::store::SourceIndex;
use cooperage::tree::{Attributes, Content, Kind, Node, TreePath};
use cooperage::workspace::read_input;
use cooperage::{http, layer, ops};

use super::registry::Registry;
use super::support::{Test, tar};

/// The bytes that `cooper WORDS` hashes in `test`; `host` is a registry's.
fn hashed(test: &Test, words: &[&str], host: &str) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "passes::a_child", "--ignored", "--nocapture"]).current_dir(test.path(""));
    child.env("PASSES", words.join(" ")).env("PASSES_STORE", test.store()).env("PASSES_HOST", host);
    let output = child.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let number = text.split_once("hashed: ").and_then(|(_, rest)| rest.lines().next()?.parse().ok());
    number.unwrap_or_else(|| panic!("{words:?}: {text}{}", String::from_utf8_lossy(&output.stderr)))
}

#[test]
#[ignore = "others start it"]
fn a_child() {
    let Ok(words) = std::env::var("PASSES") else { return };
    let store = std::env::var("PASSES_STORE").unwrap().into();
    let registries = Registries::new(|| {
        let plain = http::Host { plain_http: Some(true), ..http::Host::default() };
        let hosts = std::env::var("PASSES_HOST").into_iter().map(|host| (host, plain.clone())).collect();
        Ok(Client::new(http::Settings { hosts, ..http::Settings::default() }, Box::new(NoCredentials)))
    });
    let dir = std::env::current_dir().unwrap();
    let env = ops::Env::new(dir, store, "linux/amd64".parse().unwrap(), &registries);
    match words.split(' ').collect::<Vec<_>>()[..] {
        ["build"] => drop(ops::build(&env, &ops::BuildOptions::default()).unwrap()),
        ["build", to] => {
            let select = ops::Selection { targets: vec!["a/web#prod".into()], all: false };
            let options = ops::BuildOptions { select, to: vec![to.parse().unwrap()], ..Default::default() };
            drop(ops::build(&env, &options).unwrap());
        }
        ["copy", from, to] => {
            drop(ops::copy(&env, from, &to.parse().unwrap(), &[], &ops::Inputs::new()).unwrap())
        }
        ref other => panic!("{other:?}"),
    }
    #[expect(clippy::print_stdout, reason = "the parent reads it")]
    {
        println!("\nhashed: {}", digest::hashed());
    }
}

/// Some text that compresses as text does.
fn text(seed: u32, size: usize) -> Vec<u8> {
    let words = ["stave", "hoop", "head", "bung", "croze", "chime", "bilge", "cooper"];
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state >> 16
    };
    let mut text = Vec::with_capacity(size + 40);
    while text.len() < size {
        let (word, number) = (words[next() as usize % 8], next() % 3000);
        writeln!(text, "the {word} of barrel {number} is {}", words[number as usize % 8]).unwrap();
    }
    text.truncate(size);
    text
}

/// A recipe from scratch; `entries` are its files.
fn workspace(entries: &str) -> Test {
    Test::new()
        .file("cooper.toml", "[workspace]\nplatforms = [\"linux/amd64\"]\n")
        .file("recipes/a/web/recipe.toml", format!("[base]\nscratch = true\n{entries}"))
}

const DATA: &str = "[[file]]\nfrom = \"data/\"\nto = \"/srv\"\n";

/// Files of all sizes that are treated differently: kept in memory, searched for secrets, read as streams.
fn with_data(mut test: Test) -> (Test, f64) {
    let mut total = 0;
    for (number, size) in
        [5 << 20, 3 << 20, 1 << 20, 900_000, 400_000, 60_000, 500, 0].into_iter().enumerate()
    {
        test = test.file(&format!("recipes/a/web/data/{number}"), text(number as u32, size));
        total += size;
    }
    (test, total as f64)
}

fn layer_bytes(test: &Test) -> f64 {
    let blobs = fs::read_dir(test.store().join("blobs/sha256")).unwrap();
    blobs.map(|blob| blob.unwrap().metadata().unwrap().len()).sum::<u64>() as f64
}

#[track_caller]
fn at_most(hashed: u64, bytes: f64, passes: f64) {
    let found = hashed as f64 / bytes;
    assert!(found <= passes, "{found:.3} passes, and at most {passes} are allowed");
}

/// The digest that the lock names, the tar's, the blob's; the lock's is compared by another hash when the file is read again.
#[test]
fn a_cold_build_hashes_little() {
    let (test, bytes) = with_data(workspace(DATA));
    let cold = hashed(&test, &["build"], "");
    let compressed = layer_bytes(&test);
    at_most(cold, bytes, 2.5);
    at_most(cold, 2.0 * bytes + compressed, 1.01);
    // Nothing changed; and what is put elsewhere is hashed once, from the store too.
    at_most(hashed(&test, &["build"], ""), bytes, 1.01);
    at_most(hashed(&test, &["build", "oci-archive:out.tar"], ""), bytes + compressed, 1.02);
    at_most(hashed(&test, &["build", "oci:out"], ""), bytes + compressed, 1.02);
    // Half a megabyte more than is kept in memory, in small files.
    let mut test = workspace(DATA);
    for number in 0..130 {
        test = test.file(&format!("recipes/a/web/data/{number}"), text(number, 250_000));
    }
    at_most(hashed(&test, &["build"], ""), 130.0 * 250_000.0, 2.5);
}

/// What the lock names of a source that isn't a file of the checkout has its own pass: the archive, and what it holds.
#[test]
fn sources_from_elsewhere() {
    let whole = text(7, 6 << 20);
    let bytes = whole.len() as f64;
    let files = format!("f 0644 0:0 a {}\nf 0644 0:0 b {}\n", "x1".repeat(1_500_000), "y2".repeat(1_500_000));
    let archive = tar(&files);
    for (name, entry, content, passes) in [
        ("plain", "to = \"/srv/\"\n", &whole, 2.5),
        ("tar", "unpack = \"tar\"\nto = \"/srv/\"\n", &archive, 3.5),
    ] {
        let test = workspace("").file(name, content);
        let url = format!("file://{}", test.path(name).display());
        let test = test.remove("recipes").file(
            "recipes/a/web/recipe.toml",
            format!("[base]\nscratch = true\n[[file]]\nfetch = \"{url}\"\n{entry}"),
        );
        at_most(hashed(&test, &["build"], ""), bytes, passes);
    }
}

#[test]
fn copies_hash_once() {
    let (test, _) = with_data(workspace(DATA));
    let test = test.run(["build", "a/web#prod", "--to", "oci:one:1"]).status(0).then();
    let bytes = layer_bytes(&test);
    let registry = Registry::start();
    let remote = format!("docker://{}/a/web:1", registry.host());
    let once =
        |from: &str, to: &str| at_most(hashed(&test, &["copy", from, to], registry.host()), bytes, 1.02);
    once("oci:one:1", "oci:two:1");
    once("oci:one:1", &remote);
    once(&remote, "oci:three:1");
    once(&remote, "oci-archive:four.tar");
    once("oci-archive:four.tar", "docker-archive:five.tar");
    once("oci-archive:four.tar", "oci:six:1");
}

/// A file that changes after it was hashed for the lock reaches no layer, though its digest isn't computed again.
#[test]
fn what_changed_since_is_refused() {
    let test = Test::new();
    for size in [1, 70_000, 1 << 20, (1 << 20) + 1, 3 << 20] {
        let bytes = text(1, size);
        let mut flipped = bytes.clone();
        flipped[size / 2] ^= 1;
        for (what, changed) in [
            ("flipped", flipped),
            ("shorter", bytes[..size - 1].to_vec()),
            ("longer", [&bytes[..], b"!"].concat()),
            ("gone", Vec::new()),
        ] {
            let path = test.path("file");
            fs::write(&path, &bytes).unwrap();
            let scan = read_input(&path, &[], &[], &SourceIndex::default()).unwrap();
            let content = Content::of(&bytes);
            fs::write(&path, changed).unwrap();
            let node = Node { kind: Kind::File(content), attributes: Attributes::new(0o644), mtime: 0 };
            let tree = [(TreePath::root().join(b"file"), node)].into_iter().collect();
            let open = |content: &Content| Ok((scan.contents.open(content)?, scan.contents.known(content)));
            let built = layer::build(Encoding::V1, Compression::Gzip, &tree, &open, None, Vec::new());
            match built {
                // What is small was kept as it was.
                Ok((gzip, _)) => assert!(size <= 64 << 10 && !gzip.is_empty()),
                Err(BuildError::Changed { path, .. }) => {
                    assert!(size > 64 << 10 && path.as_bytes() == b"file")
                }
                Err(other) => panic!("{size} {what}: {other}"),
            }
        }
    }
}

/// A table of chunks that an earlier version kept is none; what is built on it is what is built on nothing.
#[test]
fn an_earlier_table_of_chunks_counts_as_none() {
    let (test, _) = with_data(workspace(DATA));
    let test = test.run(["build"]).status(0).then();
    let table = fs::read_dir(test.store().join("chunks")).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&table).unwrap();
    let rows = text.split_once('\n').unwrap().1;
    assert!(rows.starts_with("chunk-table 2\n") && rows.lines().count() > 3, "{rows}");
    let lock = test.read("lockfiles/a/web.lock");
    for of_row in rows.lines().skip(1).flat_map(|row| row.split(' ')).filter(|word| word.len() == 64) {
        assert!(!lock.contains(of_row), "what is in a table is in no lock");
    }
    for (number, old) in ["chunk-table 1", "chunk-table 3", "chunk"].into_iter().enumerate() {
        let old = rows.replace("chunk-table 2", old);
        fs::write(&table, format!("{}\n{old}", Digest::of(old.as_bytes()).hex())).unwrap();
        fs::write(test.path("recipes/a/web/data/0"), self::text(40 + number as u32, 5 << 20)).unwrap();
        let output = test.command(["build", "--twice"]).output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }
}

/// Whose code computes the digests shows in none of them.
#[test]
fn each_implementation_gives_the_same() {
    let locks = ["sha2", "ring"].map(|name| {
        let (test, _) = with_data(workspace(DATA));
        let test = test.env("COOPER_SHA256", name).run(["build", "--twice"]).status(0).then();
        test.read("lockfiles/a/web.lock")
    });
    assert_eq!(locks[0], locks[1]);
    for name in ["?", "SHA2", "sha2 ", "portable"] {
        let run = workspace("").env("COOPER_SHA256", name).run(["list"]).status(2);
        assert!(run.err.contains(&format!("COOPER_SHA256 is {name:?}")), "{}", run.err);
        assert!(run.err.contains("it takes sha2 or ring; without it this is taken: "), "{}", run.err);
    }
}
