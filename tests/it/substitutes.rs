//! `push --outputs` and `--substitute`: what one machine has made, others needn't make again, and needn't believe.

use cooperage::digest::{DiffId, Digest};
use cooperage::layer::scan::{Expected, LayerScan, scan_layer};
use cooperage::layer::tar::Limits;
use cooperage::oci::Compression;

use super::registries::{arranged, site};
use super::registry::{Registry, What};
use super::support::{Test, tar};

/// Bytes that no compression makes smaller.
fn noise(seed: u64, length: usize) -> Vec<u8> {
    let mut state = seed;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

/// A workspace of two recipes, one on the other, with a layer of several chunks; its lock, and the repository for outputs.
fn workspace() -> (Registry, Test, String) {
    let (registry, test) = arranged();
    let recipe = test.read("recipes/a/web/recipe.toml") + "[[file]]\nfrom = \"data\"\nto = \"/srv/data/\"\n";
    let test = test
        .file("recipes/a/web/recipe.toml", recipe)
        .file("recipes/a/web/data/one", noise(1, 3 << 20))
        .file("recipes/a/web/data/two", noise(2, 1 << 20))
        .file(
            "recipes/a/app/recipe.toml",
            "[base]\nrecipe = \"a/web\"\n[[file]]\ntext = \"app\"\nto = \"/srv/app\"\n",
        );
    let place = format!("docker://{}/cooper/outputs", registry.host());
    (registry, test.run(["lock", "--all"]).status(0).then(), place)
}

fn emptied(test: Test) -> Test {
    std::fs::remove_dir_all(test.store()).unwrap();
    test
}

/// How many layers a build has made, and how many it found.
fn counts(json: &serde_json::Value) -> (u64, u64) {
    let images = json["recipes"].as_array().unwrap().iter().flat_map(|it| it["images"].as_array().unwrap());
    images.fold((0, 0), |(made, kept), image| {
        (made + image["layers_made"].as_u64().unwrap(), kept + image["layers_kept"].as_u64().unwrap())
    })
}

#[test]
fn what_others_made_is_not_made_again() {
    let (registry, test, place) = workspace();
    let run = test.run(["push", "--all", "--outputs", &place]).status(0);
    // prod and dev of two recipes, though only one was asked for without --all.
    assert!(run.out.contains("a/web#prod ->") && run.out.contains("a/app#dev ->"), "{}", run.out);
    let tags = registry.tags("cooper/outputs");
    let count = |kind: &str| tags.keys().filter(|tag| tag.starts_with(kind)).count();
    assert!(count("output-") >= 2 && count("headers-") == 2 && count("chunks-") == 1, "{tags:?}");
    // Again: nothing travels.
    let before = registry.requests().len();
    let run = run.then().run(["push", "a/app", "--outputs", &place]).status(0);
    assert!(run.out.contains("0 B moved"), "{}", run.out);
    assert!(registry.requests()[before..].iter().all(|request| request.method == "HEAD"));
    // On another machine.
    let test = emptied(run.then());
    let run = test.run(["build", "--all", "--locked", "--substitute", &place, "--format", "json"]).status(0);
    let (made, kept) = counts(&run.json());
    assert!(made == 0 && kept > 0, "{}", run.out);
    let test = run.then().run(["store", "verify"]).status(0).then();
    // What came is what would have been made.
    let test = test.run(["build", "--all", "--locked", "--offline", "--twice"]).status(0).then();
    // A changed file: of the layer that came, only what differs is compressed again, for its chunk table came too.
    let chunks = test.store().join("chunks");
    assert_eq!(std::fs::read_dir(chunks).unwrap().count(), 1);
    let test = test.env("COOPER_SUBSTITUTE", &place);
    let test =
        test.file("recipes/a/web/data/two", noise(3, 1 << 20)).run(["build", "--all"]).status(0).then();
    emptied(test).run(["build", "--all", "--locked", "--twice"]).status(0);
}

#[test]
fn a_place_that_fails_is_passed_over() {
    let (registry, test, place) = workspace();
    let mut test = test.run(["push", "--all", "--outputs", &place]).status(0).then();
    // A layer with a wrong byte, an answer that is none, and one who isn't let in: made here, and told.
    let faults = [("blobs/", What::Flip), ("manifests/", What::status(500)), ("blobs/", What::status(403))];
    for (path, what) in faults {
        registry.fault("GET", &format!("cooper/outputs/{path}"), 99, what);
        let run = emptied(test).run(["build", "--all", "--locked", "--substitute", &place]).status(0);
        assert!(run.err.contains("is passed over"), "{}", run.err);
        registry.forget_faults();
        test = run.then().run(["store", "verify"]).status(0).then();
    }
    // Another repository has nothing, and offline none is asked.
    let other = format!("docker://{}/cooper/nothing", registry.host());
    let run = emptied(test).run(["build", "--all", "--locked", "--substitute", &other]).status(0);
    assert!(!run.err.contains("passed over"), "{}", run.err);
    let before = registry.requests().len();
    let offline = ["build", "--all", "--locked", "--offline", "--substitute", &place];
    let test = emptied(run.then()).run(offline).status(0).then();
    assert_eq!(registry.requests().len(), before);
    let run = test.run(["push", "--outputs", "oci:x"]).status(2);
    assert!(run.err.contains("outputs go to a repository"), "{}", run.err);
}

/// The artifact under a tag of the outputs, with other bytes in it.
fn poison(registry: &Registry, kind: &str, change: impl Fn(Vec<u8>) -> Vec<u8>) {
    let repository = "cooper/outputs";
    for tag in registry.tags(repository).into_keys().filter(|tag| tag.starts_with(kind)) {
        let (media_type, bytes) = registry.manifest(repository, &tag).unwrap();
        let mut artifact: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        let layer = &mut artifact["layers"][0];
        let held = registry.blob(repository, layer["digest"].as_str().unwrap().parse().unwrap()).unwrap();
        let changed = change(held);
        layer["size"] = changed.len().into();
        layer["digest"] = registry.put_blob(repository, changed).to_string().into();
        registry.put_manifest(repository, &tag, &media_type, serde_json::to_vec(&artifact).unwrap());
    }
}

#[test]
fn what_is_known_of_a_base_is_not_read_again() {
    let (registry, test, place) = workspace();
    let test = test.run(["push", "--all", "--outputs", &place]).status(0).then();
    let recipe = test.read("recipes/a/web/recipe.toml");
    let remove = recipe.clone() + "[[remove]]\npath = \"/lar*\"\n";
    let lock = test.read("lockfiles/a/web.lock");
    let large = |registry: &Registry| registry.count("GET", "lib/base/blobs/");
    let before = large(&registry);
    let test = test.file("recipes/a/web/recipe.toml", remove);
    let test = emptied(test).run(["lock", "--substitute", &place]).status(0).then();
    assert_eq!(large(&registry), before, "the headers came from the substituter");
    let removed = test.read("lockfiles/a/web.lock");
    assert!(removed.contains("\"/large\""), "{removed}");
    // Headers that don't give the facts of the lock are no headers: those of another layer, under this one's name.
    poison(&registry, "headers-", |held| {
        let mut claimed = LayerScan::parse(&held).unwrap().unwrap();
        let tree = tar("d 0777 7:7 srv\nd 0755 0:0 evil\n");
        let diff_id = DiffId(Digest::of(&tree));
        let expected = Expected {
            digest: Digest::of(&tree),
            size: tree.len() as u64,
            compression: Compression::None,
            diff_id: Some(diff_id),
        };
        let other = scan_layer(&tree[..], &expected, Limits::default()).unwrap();
        (claimed.index, claimed.captured) = (other.index, other.captured);
        claimed.to_bytes()
    });
    let test = test.file("lockfiles/a/web.lock", &lock);
    let test = emptied(test).run(["lock", "--substitute", &place]).status(0).then();
    assert!(large(&registry) > before);
    assert_eq!(test.read("lockfiles/a/web.lock"), removed);
    // --verify-facts reads the layers, whatever is known of them.
    let before = large(&registry);
    let test = test.run(["lock", "--verify-facts", "--substitute", &place]).status(0).then();
    assert!(large(&registry) > before);
    // A chunk table that isn't the layer's is not kept.
    poison(&registry, "chunks-", |held| {
        let text = String::from_utf8(held).unwrap();
        let mut rows: Vec<Vec<&str>> = text.lines().map(|row| row.split(' ').collect()).collect();
        (rows[1][0], rows[2][0]) = (rows[2][0], rows[1][0]);
        rows.iter().map(|row| row.join(" ") + "\n").collect::<String>().into_bytes()
    });
    let test = test.file("recipes/a/web/recipe.toml", recipe).file("lockfiles/a/web.lock", lock);
    let test = emptied(test).run(["build", "a/web", "--locked", "--substitute", &place]).status(0).then();
    assert!(!test.store().join("chunks").exists());
}

/// Every image's digest, in order of the names.
fn digests(json: &serde_json::Value) -> Vec<String> {
    let images = json["recipes"].as_array().unwrap().iter().flat_map(|it| it["images"].as_array().unwrap());
    let mut all: Vec<String> =
        images.map(|image| format!("{}#{} {}", image["recipe"], image["variant"], image["digest"])).collect();
    all.sort();
    all
}

#[test]
fn the_same_workspace_gives_the_same_digests() {
    let (registry, mut test, place) = workspace();
    for number in 0..3 {
        let text = test.read("recipes/a/web/recipe.toml").replace("hello", &number.to_string());
        test = test
            .file(&format!("recipes/b/r{number}/recipe.toml"), text)
            .file(&format!("recipes/b/r{number}/data/x"), noise(number, 100_000));
    }
    let run = test.run(["build", "--all", "--format", "json"]).status(0);
    let expected = digests(&run.json());
    assert_eq!(expected.len(), 10);
    // A warm store, then an empty one.
    let build = ["build", "--all", "--locked", "--format", "json"];
    let run = run.then().run(build).status(0);
    assert_eq!((digests(&run.json()), counts(&run.json()).0), (expected.clone(), 0));
    let run = emptied(run.then()).run(build).status(0);
    assert_eq!(digests(&run.json()), expected);
    // Two machines, half of it each, with what they share in a registry.
    let (mut test, mut parts) = (run.then(), Vec::new());
    for part in ["1/2", "2/2"] {
        let shard = ["--shard", part, "--substitute", &place];
        let run = emptied(test).run([&build[..], &shard].concat()).status(0);
        parts.extend(digests(&run.json()));
        test = run
            .then()
            .run([&["push", "--all", "--locked", "--outputs", &place][..], &shard].concat())
            .status(0)
            .then();
    }
    parts.sort();
    assert_eq!(parts, expected);
    // A third has nothing left to make.
    let run = emptied(test).run([&build[..], &["--substitute", &place]].concat()).status(0);
    assert_eq!((digests(&run.json()), counts(&run.json()).0), (expected.clone(), 0));
    // Everything anew through a mirror, with the registry itself out of reach.
    let mirror = Registry::start();
    let test = emptied(run.then());
    let base = format!("docker://{}/lib/base:1", registry.host());
    let plain = format!("[registry.\"{}\"]\nplain-http = true\n", mirror.host());
    let test = test.file("site.toml", site(&registry, &plain));
    let copy = format!("docker://{}/far/lib/base:1", mirror.host());
    let test = test.run(["copy", &base, &copy]).status(0).then();
    let redirect =
        format!("[[mirror]]\nprefix = \"{}\"\nlocation = \"{}/far\"\n", registry.host(), mirror.host());
    let test = test.file("site.toml", site(&registry, &(plain + &redirect)));
    registry.fault("", "/", 999, What::status(500));
    std::fs::remove_dir_all(test.path("lockfiles")).unwrap();
    let run = emptied(test).run(["lock", "--all"]).status(0).then().run(build).status(0);
    assert_eq!(digests(&run.json()), expected);
}
