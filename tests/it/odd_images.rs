//! Images that are in order and yet written in another way: platforms in other words, artifacts beside images, layouts
//! whose tags are whole names.

use std::fs;

use cooperage::digest::Digest;
use serde_json::{Value, json};

use crate::support::{Layout, Run, Test, blob};

const TREE: &str = "d 0755 0:0 etc\nf 0644 0:0 etc/motd hello\n";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const RECIPE: &str = "[base]\nlayout = \"seed:1\"\n[[file]]\ntext = \"hello\"\nto = \"/srv/{{ platform.arch }}\"\n\
    [[file]]\ntext = \"arm\"\nto = \"/arm\"\nplatforms = [\"linux/arm64\"]\n";

fn read(test: &Test, digest: &Value) -> Value {
    let hex = &digest.as_str().unwrap()["sha256:".len()..];
    serde_json::from_str(&test.read(&format!("seed/blobs/sha256/{hex}"))).unwrap()
}

/// Changes the index of the image in `seed`.
fn with_index(test: Test, change: impl FnOnce(&mut Vec<Value>)) -> Test {
    let mut top: Value = serde_json::from_str(&test.read("seed/index.json")).unwrap();
    let mut index = read(&test, &top["manifests"][0]["digest"]);
    change(index["manifests"].as_array_mut().unwrap());
    let kind = "application/vnd.oci.image.index.v1+json";
    let (entry, _) = blob(&test.path("seed"), kind, index.to_string().as_bytes());
    for name in ["digest", "size"] {
        top["manifests"][0][name] = entry[name].clone();
    }
    test.file("seed/index.json", top.to_string())
}

/// A workspace with a recipe on `seed:1`, whose images are for these platforms.
fn on(platforms: &[(&'static str, &'static str, Option<&'static str>)], recipe: &str) -> Test {
    let test = Test::workspace().file("recipes/a/web/recipe.toml", recipe);
    let mut layout = Layout::new(&[TREE]);
    layout.platforms = platforms.to_vec();
    layout.write(&test.path("seed"), "1");
    test
}

const USUAL: [(&str, &str, Option<&str>); 2] = [("linux", "amd64", None), ("linux", "arm64", Some("v8"))];

/// What `cooper` made, by platform: what the images are called in the output's index.
fn children(test: &Test) -> Vec<String> {
    let top: Value = serde_json::from_str(&test.read("out/index.json")).unwrap();
    let open = |digest: &Value| -> Value {
        let hex = &digest.as_str().unwrap()["sha256:".len()..];
        serde_json::from_str(&test.read(&format!("out/blobs/sha256/{hex}"))).unwrap()
    };
    let index = open(&top["manifests"][0]["digest"]);
    let child = |child: &Value| {
        let manifest = open(&child["digest"]);
        let kind = manifest["config"]["mediaType"].as_str().unwrap().to_owned();
        assert_eq!(kind, "application/vnd.oci.image.config.v1+json");
        format!("{}/{}", child["platform"]["os"], child["platform"]["architecture"]).replace('"', "")
    };
    index["manifests"].as_array().unwrap().iter().map(child).collect()
}

#[track_caller]
fn builds(test: Test) -> Test {
    let test = test.run(["lock"]).status(0).then();
    // Also where nothing but the lock and the layout is.
    fs::remove_dir_all(test.store()).unwrap();
    test.run(["build", "--locked", "--offline", "--to", "oci:out:1"]).status(0).then()
}

/// A descriptor of something that is no image, and lies in `seed`.
fn artifact(test: &Test, config: &str, kind: Option<&str>) -> Value {
    let dir = test.path("seed");
    let (config, _) = blob(&dir, config, format!("{{\"of\":\"{config}\"}}").as_bytes());
    let (layer, _) = blob(&dir, "application/spdx+json", b"{}");
    let mut manifest =
        json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
    if let Some(kind) = kind {
        manifest["artifactType"] = kind.into();
    }
    blob(&dir, MANIFEST, manifest.to_string().as_bytes()).0
}

#[test]
fn an_artifact_beside_an_image_is_none() {
    const EMPTY: &str = "application/vnd.oci.empty.v1+json";
    type Change = fn(&mut Value);
    let of: [(&str, Option<&str>, Change); 8] = [
        // As buildx marks attestations, twice.
        (EMPTY, None, |it| it["platform"] = json!({ "os": "unknown", "architecture": "unknown" })),
        (EMPTY, None, |it| {
            it["annotations"] = json!({ "vnd.docker.reference.type": "attestation-manifest" })
        }),
        // By its descriptor, and by its manifest alone.
        (EMPTY, Some("application/spdx+json"), |it| it["artifactType"] = "application/spdx+json".into()),
        (EMPTY, Some("application/spdx+json"), |_| ()),
        ("application/vnd.cncf.helm.config.v1+json", None, |_| ()),
        ("application/vnd.unknown.config.v1+json", None, |it| it["artifactType"] = "x/y".into()),
        ("application/vnd.dev.cosign.artifact.sig.v1+json", None, |_| ()),
        // What isn't even a manifest that is known.
        (EMPTY, None, |it| it["mediaType"] = "application/vnd.oci.artifact.manifest.v1+json".into()),
    ];
    for (config, kind, change) in of {
        let test = on(&USUAL, RECIPE);
        let mut found = artifact(&test, config, kind);
        found["platform"] = json!({ "os": "linux", "architecture": "amd64" });
        change(&mut found);
        let test = builds(with_index(test, |manifests| manifests.insert(0, found.clone())));
        assert_eq!(children(&test), ["linux/amd64", "linux/arm64"], "{found}");
        let digest = found["digest"].as_str().unwrap();
        assert!(!test.read("lockfiles/a/web.lock").contains(digest), "{found}");
        // A bare recipe takes the image with it, not what stands before it.
        let bare = "[base]\nlayout = \"seed:1\"\n[image]\nplatforms = [\"linux/amd64\"]\n";
        let test = test.file("recipes/a/web/recipe.toml", bare).remove("lockfiles").remove("out");
        assert_eq!(children(&builds(test)), ["linux/amd64"], "{found}");
    }
    // An image that calls itself by its config's type is one.
    let test = with_index(on(&USUAL, RECIPE), |manifests| {
        manifests[0]["artifactType"] = "application/vnd.oci.image.config.v1+json".into();
    });
    builds(test);
    // Where there is no image, the message says what there is.
    let test = on(&USUAL, RECIPE);
    let mut found = artifact(&test, "application/vnd.cncf.helm.config.v1+json", None);
    found["platform"] = json!({ "os": "linux", "architecture": "amd64" });
    let test = with_index(test, |manifests| manifests[0] = found);
    let run = test.run(["lock"]).status(3);
    assert!(run.err.contains("helm.config") && run.err.contains("seed:1"), "{}", run.err);
}

#[test]
fn an_index_may_spell_platforms_otherwise() {
    for platforms in [
        [("linux", "x86_64", None), ("linux", "aarch64", None)],
        [("linux", "x86-64", Some("v1")), ("linux", "aarch64", Some("v8"))],
        [("Linux", "AMD64", None), ("linux", "arm64", Some("8"))],
        [("linux", "amd64", None), ("LINUX", "ARM64", Some("v8.0"))],
    ] {
        let test = builds(on(&platforms, RECIPE));
        assert_eq!(children(&test), ["linux/amd64", "linux/arm64"], "{platforms:?}");
        let lock = test.read("lockfiles/a/web.lock");
        assert!(lock.contains("linux/arm64") && !lock.contains("aarch64") && !lock.contains("x86"), "{lock}");
        // Entries for a platform are in its image.
        let run = test.run(["show", "a/web", "--format", "json"]).status(0);
        assert!(run.out.contains("\"/arm\"") || run.out.contains("/arm"), "{}", run.out);
        let bare = "[base]\nlayout = \"seed:1\"\n[image]\nplatforms = [\"linux/arm64\", \"linux/amd64\"]\n";
        let test = run.then().file("recipes/a/web/recipe.toml", bare).remove("lockfiles").remove("out");
        assert_eq!(children(&builds(test)).len(), 2, "{platforms:?}");
    }
    // Where both spellings are, ours counts.
    let test = on(&[("linux", "aarch64", None), ("linux", "arm64", None), ("linux", "amd64", None)], RECIPE);
    let top: Value = serde_json::from_str(&test.read("seed/index.json")).unwrap();
    let own = read(&test, &top["manifests"][0]["digest"])["manifests"][1]["digest"].clone();
    let test = builds(test);
    assert!(test.read("lockfiles/a/web.lock").contains(own.as_str().unwrap()));
}

#[test]
fn an_image_without_an_index_may_too() {
    for (architecture, variant) in [("x86_64", None), ("AMD64", None), ("amd64", Some("v1"))] {
        let recipe = format!("{RECIPE}[image]\nplatforms = [\"linux/amd64\"]\n");
        let test = on(&[("linux", architecture, variant)], &recipe);
        let mut top: Value = serde_json::from_str(&test.read("seed/index.json")).unwrap();
        let child = read(&test, &top["manifests"][0]["digest"])["manifests"][0].clone();
        for name in ["mediaType", "digest", "size"] {
            top["manifests"][0][name] = child[name].clone();
        }
        let test = builds(test.file("seed/index.json", top.to_string()));
        assert_eq!(children(&test), ["linux/amd64"], "{architecture}");
    }
}

/// What a recipe for these platforms has for digests.
fn digests(platforms: &str, base: &str) -> Vec<String> {
    let text = format!(
        "[base]\n{base}\n[image]\nplatforms = [{platforms}]\n[[file]]\ntext = \"x\"\nto = \"/{{{{ platform.arch }}}}-{{{{ platform.variant }}}}\"\n"
    );
    let machines = [("linux", "amd64", None), ("linux", "arm64", Some("v8")), ("linux", "arm", Some("v7"))];
    let run = on(&machines, &text).run(["build"]).status(0);
    run.out
        .lines()
        .flat_map(|line| line.split(' '))
        .filter(|word| word.starts_with("sha256:"))
        .map(str::to_owned)
        .collect()
}

#[test]
fn a_person_may_spell_platforms_otherwise() {
    for base in ["scratch = true", "layout = \"seed:1\""] {
        let right = digests("\"linux/amd64\", \"linux/arm64\", \"linux/arm/v7\"", base);
        assert!(!right.is_empty());
        for odd in [
            "\"linux/x86_64\", \"linux/aarch64\", \"linux/armhf\"",
            "\"Linux/AMD64\", \"linux/arm64/8\", \"linux/arm/7\"",
            "\"linux/amd64\", \"linux/ARM64/V8\", \"linux/arm\"",
            "\"linux/x86_64\", \"linux/amd64\", \"linux/aarch64/8\", \"linux/arm/v7\"",
        ] {
            assert_eq!(digests(odd, base), right, "{odd}");
        }
    }
    // In entries, and in the workspace.
    let with = |entry: &str, workspace: &str| {
        let recipe = RECIPE.replace("\"linux/arm64\"", entry);
        let test =
            on(&USUAL, &recipe).file("cooper.toml", format!("[workspace]\nplatforms = [{workspace}]\n"));
        test.run(["build"]).status(0).out
    };
    let right = with("\"linux/arm64\"", "\"linux/amd64\", \"linux/arm64\"");
    for (entry, workspace) in [
        ("\"linux/aarch64\"", "\"linux/amd64\", \"linux/arm64\""),
        ("\"linux/arm64/8\"", "\"linux/x86_64\", \"linux/aarch64\""),
        ("\"LINUX/arm64/v8\"", "\"linux/amd64\", \"linux/arm64/v8\""),
    ] {
        assert_eq!(with(entry, workspace), right, "{entry} {workspace}");
    }
    // Asked for by hand.
    let mut test = on(&USUAL, RECIPE).run(["lock"]).status(0).then();
    for (platform, place) in
        [("linux/aarch64", "oci:out:1"), ("linux/arm64/8", "oci:out:1"), ("linux/ARM64/v8.0", "oci:out:1")]
    {
        test = test.run(["build", "a/web#prod", "--platform", platform, "--to", place]).status(0).then();
        assert_eq!(children(&test), ["linux/arm64"], "{platform}");
        test = test.remove("out");
    }
    let run = test
        .run(["copy", "--platform", "linux/x86_64", "oci:seed:1", "docker-archive:one.tar:x:1"])
        .status(0);
    let run = run.then().run(["copy", "--platform", "linux/armhf", "oci:seed:1", "oci:none:1"]).status(3);
    assert!(run.err.contains("linux/amd64"), "{}", run.err);
}

/// `seed` with entries of these names (annotation, value), each another image.
fn named(names: &[(&str, &str)]) -> (Test, Vec<Digest>) {
    let test = Test::workspace();
    let (mut entries, mut digests) = (Vec::new(), Vec::new());
    for (number, (key, name)) in names.iter().enumerate() {
        let tree = format!("d 0755 0:0 etc\nf 0644 0:0 etc/number {number}\n");
        digests.push(Layout::new(&[&tree]).write(&test.path("seed"), "x"));
        let top: Value = serde_json::from_str(&test.read("seed/index.json")).unwrap();
        let mut entry = top["manifests"][0].clone();
        entry["annotations"] = json!({ *key: name });
        entries.push(entry);
    }
    let index = json!({ "schemaVersion": 2, "manifests": entries });
    (test.file("seed/index.json", index.to_string()), digests)
}

const NAME: &str = "org.opencontainers.image.ref.name";
const CONTAINERD: &str = "io.containerd.image.name";

#[track_caller]
fn locks(test: Test, layout: &str) -> Run {
    test.file("recipes/a/web/recipe.toml", format!("[base]\nlayout = \"{layout}\"\n")).run(["lock"])
}

#[test]
fn a_layouts_tags_may_be_whole_names() {
    for (names, tag, expected) in [
        (&[(NAME, "docker.io/library/x:1"), (NAME, "docker.io/library/x:2")][..], "2", 1),
        (&[(NAME, "localhost/x:1"), (NAME, "localhost/x:latest")], "latest", 1),
        (&[(NAME, "quay.io:5000/a/b/x:1"), (NAME, "quay.io:5000/a/b/x")], "1", 0),
        (&[(CONTAINERD, "docker.io/library/x:1"), (CONTAINERD, "docker.io/library/x:2")], "1", 0),
        // To the letter counts before.
        (&[(NAME, "docker.io/library/x:1"), (NAME, "1")], "1", 1),
        (&[(NAME, "x:v1"), (NAME, "x:1")], "1", 1),
    ] {
        let (test, digests) = named(names);
        let run = locks(test, &format!("seed:{tag}")).status(0);
        let lock = run.test().read("lockfiles/a/web.lock");
        assert!(lock.contains(&digests[expected].to_string()), "{names:?} {tag}\n{lock}");
    }
    // Which of two isn't guessed; what nothing is called isn't found.
    let both = [(NAME, "docker.io/library/x:1"), (NAME, "docker.io/library/y:1")];
    let run = locks(named(&both).0, "seed:1").status(3);
    assert!(run.err.contains("layout = \"seed@sha256:…\""), "{}", run.err);
    assert!(run.err.contains("docker.io/library/x:1") && run.err.contains("library/y:1"), "{}", run.err);
    for tag in ["2", "x", "library", "5000"] {
        let run = locks(named(&[(NAME, "quay.io:5000/library/x:1")]).0, &format!("seed:{tag}")).status(4);
        assert!(run.err.contains("quay.io:5000/library/x:1"), "{tag}: {}", run.err);
    }
    // By names, too.
    for (name, asked) in [
        ("docker.io/library/x:1", "x:1"),
        ("x:1", "docker.io/library/x:1"),
        ("localhost/x:1", "x:1"),
        ("localhost/a/x:1", "localhost/a/x:1"),
        ("quay.io/a/x:1", "1"),
        ("docker.io/a/x:1", "index.docker.io/a/x:1"),
    ] {
        let (test, digests) = named(&[(NAME, "docker.io/library/other:3"), (NAME, name)]);
        let run = test.run(["copy", &format!("oci:seed:{asked}"), "oci:out:1"]).status(0);
        assert!(run.out.contains(&digests[1].to_string()), "{name} {asked}: {}", run.out);
    }
    let (test, _) = named(&[(NAME, "quay.io/library/x:1"), (NAME, "docker.io/library/other:3")]);
    test.run(["copy", "oci:seed:x:1", "oci:out:1"]).status(4);
}
