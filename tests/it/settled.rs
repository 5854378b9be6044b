//! What a build remembers of recipes that haven't changed: it is used, and never says anything but what making all of it says.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

use cooperage::digest::Digest;
use serde_json::Value;

use crate::support::{Test, tar};

/// Longer than a tick of any file system's clock here.
const TICK: Duration = Duration::from_millis(20);

const TOP: &str =
    "[base]\nlayout = \"up:1\"\n[config.env]\nA = \"{{ a }}\"\n[[file]]\nfrom = \"t/\"\nto = \"/t\"\n";
const CHILD: &str =
    "[base]\nrecipe = \"s/top\"\n[[file]]\nfrom = \"u\"\nto = \"/u\"\n[variant.dev.config.env]\nD = \"1\"\n";
const EXTENDS: &str = "[base]\nextends = \"s/top\"\n[[file]]\nfrom = \"v.tar\"\nunpack = true\nto = \"/v\"\n";

/// Three recipes: one on an image, one on that recipe, one that extends it.
fn workspace() -> Test {
    let test = Test::workspace();
    let workspace = test.read("cooper.toml") + "\n[vars]\na = 1\n";
    let test = test.file("cooper.toml", workspace).base("up", "1", &["f 0644 0:0 etc/os-release ID=up\\n"]);
    test.file("recipes/s/top/recipe.toml", TOP)
        .file("recipes/s/stack.toml", "[vars]\na = 1\n")
        .file("recipes/s/top/t/a", "one")
        .file("recipes/s/top/t/d/b", "two")
        .file("recipes/s/child/recipe.toml", CHILD)
        .file("recipes/s/child/u", "three")
        .file("recipes/s/ext/recipe.toml", EXTENDS)
        .file("recipes/s/ext/v.tar", tar("f 0644 0:0 w four"))
}

/// How many layers were made, of all images.
fn made(document: &Value) -> u64 {
    let recipes = document["recipes"].as_array().unwrap().iter();
    let images = recipes.flat_map(|recipe| recipe["images"].as_array().unwrap());
    images.map(|image| image["layers_made"].as_u64().unwrap()).sum()
}

fn digests(document: &Value) -> BTreeMap<String, String> {
    let recipes = document["recipes"].as_array().unwrap().iter();
    let images = recipes.flat_map(|recipe| {
        let name = recipe["recipe"].as_str().unwrap();
        recipe["images"]
            .as_array()
            .unwrap()
            .iter()
            .map(move |image| (format!("{name} {}", image["variant"]), image))
    });
    images.map(|(name, image)| (name, image["digest"].as_str().unwrap().to_owned())).collect()
}

const BUILD: [&str; 4] = ["build", "--all", "--format", "json"];

#[test]
fn what_has_not_changed_is_not_made_again() {
    let test = workspace().run(BUILD).status(0).then();
    sleep(TICK);
    // Nobody needs what says which layer a tree gave, unless it is made again.
    let forget = |test: &Test| fs::remove_dir_all(test.store().join("realisations")).unwrap();
    forget(&test);
    let run = test.run(BUILD).stderr("").status(0);
    assert_eq!(made(&run.json()), 0);
    let (document, test) = (run.json(), run.then());
    assert_eq!(document["recipes"].as_array().unwrap().len(), 3);
    // All of it again, which says the same but for that.
    let run = test.run(["--no-index", "build", "--all", "--format", "json"]).status(0);
    assert!(made(&run.json()) > 0);
    assert_eq!(digests(&run.json()), digests(&document));
    // One that changed is made, those that don't stand on it aren't.
    let test = run.then().file("recipes/s/child/u", "THREE");
    forget(&test);
    let run = test.run(BUILD).status(0);
    let recipes = run.json();
    let recipes = recipes["recipes"].as_array().unwrap();
    let names: Vec<_> = recipes.iter().map(|recipe| recipe["recipe"].as_str().unwrap()).collect();
    assert_eq!(names, ["s/child", "s/ext", "s/top"]);
    for (recipe, made) in recipes.iter().zip([true, false, true]) {
        let layers = recipe["images"][0]["layers_made"].as_u64().unwrap();
        assert_eq!(layers > 0, made, "{recipe}: the child's parent is computed with it");
    }
    // Only the variant that is asked for is told.
    let run = run.then().run(["build", "s/top#dev", "--format", "json"]).status(0);
    assert_eq!(digests(&run.json()).len(), 1);
    // Whoever wants it somewhere, gets it.
    let test = run.then().run(["build", "s/top#dev", "--to", "oci:out"]).status(0).then();
    assert!(test.path("out/index.json").is_file());
}

/// A sequence that its seed decides.
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % count
    }
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> =
        fs::read_dir(directory).into_iter().flatten().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found.retain(|path| path.is_file());
    found
}

/// Another byte of the same file, whose size is the same.
fn damage(path: &Path) {
    let mut file = OpenOptions::new().write(true).open(path).unwrap();
    file.seek(SeekFrom::Start(3)).unwrap();
    file.write_all(b"#").unwrap();
}

/// One of the things that befall a workspace and its store.
fn change(test: &Test, dice: &mut Dice, earlier: &[(PathBuf, Vec<u8>)]) -> String {
    let pick = |dice: &mut Dice, of: &[&str]| of[dice.below(of.len())].to_owned();
    let recipe = pick(dice, &["top", "child", "ext"]);
    let text = test.path(&format!("recipes/s/{recipe}/recipe.toml"));
    let lock = test.path(&format!("lockfiles/s/{recipe}.lock"));
    let number = dice.below(3);
    match dice.below(17) {
        0 => {
            let file = pick(dice, &["recipes/s/top/t/a", "recipes/s/top/t/d/b", "recipes/s/child/u"]);
            fs::write(test.path(&file), format!("{number}")).unwrap();
            file
        }
        1 => {
            let file = pick(dice, &["recipes/s/top/t/new", "recipes/s/top/t/d/new"]);
            if fs::remove_file(test.path(&file)).is_err() {
                fs::write(test.path(&file), "").unwrap();
            }
            file
        }
        2 => {
            let all = [("top", TOP), ("child", CHILD), ("ext", EXTENDS)];
            let (_, toml) = all.iter().find(|(name, _)| **name == *recipe).unwrap();
            let more = ["", "# more\n", "[config]\nuser = \"5\"\n"][number];
            fs::write(&text, format!("{more}{toml}")).unwrap();
            format!("{recipe}: {more:?}")
        }
        3 => {
            let line = ["", "[labels]\na = \"b\"\n", "# more\n"][number];
            let toml = "[workspace]\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\n[vars]\na = 3\n";
            fs::write(test.path("cooper.toml"), format!("{toml}{line}")).unwrap();
            format!("cooper.toml: {line:?}")
        }
        4 => {
            // As it once was, of a checkout of another commit.
            let known: Vec<_> = earlier.iter().filter(|(path, _)| *path == lock).collect();
            if let Some((path, bytes)) = known.get(dice.below(known.len().max(1))) {
                _ = fs::write(path, bytes);
            }
            format!("{recipe}: an earlier lock")
        }
        5 => (_ = fs::remove_file(&lock), format!("{recipe}: no lock")).1,
        6 | 7 => {
            let blobs = files(&test.path("lockfiles/blobs/sha256"));
            let Some(path) = blobs.get(dice.below(blobs.len().max(1))) else { return String::new() };
            if number == 0 {
                fs::remove_file(path).unwrap()
            } else {
                damage(path)
            }
            format!("committed {}", path.display())
        }
        8..=10 => {
            let blobs = files(&test.store().join("blobs/sha256"));
            let small: Vec<_> =
                blobs.iter().filter(|path| fs::read(path).unwrap().starts_with(b"{")).collect();
            let path = small[dice.below(small.len())];
            if number == 0 {
                fs::remove_file(path).unwrap()
            } else {
                damage(path)
            }
            format!("blob {}", path.display())
        }
        11 => {
            let layout = fs::read(test.store().join("index.json")).unwrap();
            let mut index: Value = serde_json::from_slice(&layout).unwrap();
            let manifests = index["manifests"].as_array_mut().unwrap();
            manifests.truncate(dice.below(manifests.len() + 1));
            fs::write(test.store().join("index.json"), index.to_string()).unwrap();
            "a root is gone".to_owned()
        }
        12 => {
            // A store that was brought back from yesterday.
            let known: Vec<_> = earlier
                .iter()
                .filter(|(path, _)| path.parent() == Some(&test.store().join("sources")))
                .collect();
            let (path, bytes) = known[dice.below(known.len())];
            fs::write(path, bytes).unwrap();
            "an earlier memo".to_owned()
        }
        13 => {
            let mode = [0o644, 0o755, 0o600][number];
            let file = pick(dice, &["recipes/s/top/t/a", "cooper.toml", "recipes/s/child/u"]);
            fs::set_permissions(test.path(&file), fs::Permissions::from_mode(mode)).unwrap();
            format!("{file}: {mode:o}")
        }
        14 => {
            let content = ["four", "five", ""][number];
            fs::write(test.path("recipes/s/ext/v.tar"), tar(&format!("f 0644 0:0 w {content}"))).unwrap();
            format!("the archive: {content}")
        }
        15 => {
            // The values of the stack; none, and the workspace's stands in.
            let path = test.path("recipes/s/stack.toml");
            match number {
                0 => _ = fs::remove_file(&path),
                _ => fs::write(&path, format!("[vars]\na = {number}\nunused = {}\n", dice.below(2))).unwrap(),
            }
            format!("stack.toml: {number}")
        }
        _ => {
            let lines = fs::read_to_string(&lock).unwrap_or_default();
            let without: String = lines
                .lines()
                .filter(|line| !line.starts_with("epoch"))
                .map(|line| format!("{line}\r\n"))
                .collect();
            _ = fs::write(&lock, if number == 0 { without } else { lines.replace('\n', "\r\n") });
            format!("{recipe}: another text of the lock")
        }
    }
}

/// The documents of an image are in the store, with their bytes.
fn sound(test: &Test, digest: &str, shown: &str) {
    let path = test.store().join("blobs/sha256").join(digest.trim_start_matches("sha256:"));
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{digest}: {error}\n{shown}"));
    assert_eq!(Digest::of(&bytes).to_string(), digest, "{shown}");
    let document: Value = serde_json::from_slice(&bytes).unwrap();
    let below = document["manifests"].as_array().into_iter().flatten().chain(document.get("config"));
    for descriptor in below.filter_map(|below| below["digest"].as_str()) {
        sound(test, descriptor, shown);
    }
}

#[test]
fn what_is_remembered_is_what_making_it_says() {
    let seed = std::env::var("COOPER_EDITS").ok().and_then(|seed| seed.parse().ok());
    let (mut dice, mut earlier, mut held) = (Dice(seed.unwrap_or(1)), Vec::new(), 0);
    let mut test = workspace().run(BUILD).status(0).then();
    for round in 0..if seed.is_some() { 2000 } else { 120 } {
        for path in files(&test.path("lockfiles/s")).into_iter().chain(files(&test.store().join("sources"))) {
            let bytes = fs::read(&path).unwrap();
            earlier.push((path, bytes));
        }
        let done: Vec<_> = (0..dice.below(3)).map(|_| change(&test, &mut dice, &earlier)).collect();
        if dice.below(2) == 0 {
            sleep(TICK);
        }
        let run = test.run(BUILD);
        let (code, shown) = (run.code, format!("round {round} {done:?}\n{}{}", run.out, run.err));
        let document = (code == Some(0)).then(|| run.json());
        test = run.then();
        let run = test.run(["--no-index", "build", "--all", "--locked", "--format", "json"]);
        assert_eq!(code == Some(0), run.code == Some(0), "{shown}\n{}{}", run.out, run.err);
        let Some(document) = document else {
            // What can't be mended by building is mended by hand.
            _ = fs::remove_dir_all(run.test().path("lockfiles"));
            test = run.then();
            continue;
        };
        assert_eq!(digests(&document), digests(&run.json()), "{shown}");
        held += usize::from(done.is_empty());
        for digest in digests(&document).values() {
            sound(run.test(), digest, &shown);
        }
        test = run.then();
    }
    assert!(held > 10);
}
