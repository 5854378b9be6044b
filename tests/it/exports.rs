//! Whole images where the base isn't at hand, and several of them in one file.

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use super::engines;
use super::registries::{arranged, site};
use super::registry::{Registry, What};
use super::support::Test;

/// A workspace whose base is in a registry that can't be reached any more, with an empty store, and layouts of the base.
fn cut_off() -> (Registry, Test) {
    let (registry, test) = arranged();
    let from = format!("docker://{}/lib/base:1", registry.host());
    let test = test.run(["lock", "--all"]).status(0).then();
    for to in ["oci:bases/there:1", "oci-archive:there.tar"] {
        assert!(test.command(["copy", &from, to]).output().unwrap().status.success());
    }
    fs::remove_dir_all(test.store()).unwrap();
    registry.fault("", "/", 9999, What::status(503));
    (registry, test)
}

#[test]
fn base_layers_come_from_wherever_they_are() {
    let (registry, test) = cut_off();
    let test = test.run(["build", "--all", "--locked"]).status(0).then();
    let run = test.run(["build", "a/web", "--to", "oci-archive:out.tar"]);
    assert!(matches!(run.code, Some(4 | 5)) && !run.test().path("out.tar").exists(), "{:?}", run.code);
    for hint in ["--substitute oci:DIR", "cooper vendor --bases"] {
        assert!(run.err.contains(hint), "{}", run.err);
    }
    let run = run.then().run(["build", "a/web", "--to", "oci-archive:out.tar", "--offline"]).status(4);
    assert!(run.err.contains("--substitute oci:DIR"), "{}", run.err);
    let mut test = run.then();
    let mut sums = Vec::new();
    for place in ["oci:bases/there", "oci-archive:there.tar"] {
        let asked = registry.requests().len();
        let arguments = ["build", "a/web", "--to", "oci-archive:out.tar", "--substitute", place];
        test = test.run(arguments).stderr("").status(0).then();
        assert_eq!(registry.requests().len(), asked, "{place}");
        sums.push(fs::read(test.path("out.tar")).unwrap());
        test = test.remove("out.tar");
    }
    assert!(sums[0] == sums[1]);
    // A registry, named as any other place: also when the base's own doesn't answer.
    let other = Registry::start();
    let test = test
        .file("site.toml", site(&registry, &format!("[registry.\"{}\"]\nplain-http = true\n", other.host())));
    let place = format!("docker://{}/mirror/base", other.host());
    let test = test.run(["copy", "oci:bases/there:1", &format!("{place}:1")]).status(0).then();
    let test =
        test.run(["build", "a/web", "--to", "oci-archive:out.tar", "--substitute", &place]).status(0).then();
    assert!(fs::read(test.path("out.tar")).unwrap() == sums[0]);
    // A damaged one is passed over, and the next is asked.
    let test = test.run(["copy", "oci:bases/there:1", "oci:bases/bad:1"]).status(0).then();
    for blob in fs::read_dir(test.path("bases/bad/blobs/sha256")).unwrap() {
        let path = blob.unwrap().path();
        let mut bytes = fs::read(&path).unwrap();
        if let Some(last) = bytes.last_mut().filter(|_| bytes_are_a_layer(&path)) {
            *last ^= 1;
            fs::write(&path, bytes).unwrap();
        }
    }
    let both = ["--substitute", "oci:bases/bad", "--substitute", "oci:bases/there"];
    let arguments = ["build", "a/web", "--to", "oci-archive:out.tar", "--offline"].into_iter().chain(both);
    let test = test.remove("out.tar").run(arguments).status(0).then();
    assert!(fs::read(test.path("out.tar")).unwrap() == sums[0]);
    // What `vendor` brought along needs nobody.
    registry.forget_faults();
    let run = test.run(["vendor", "--all", "--bases"]).status(0);
    assert_eq!(run.out.matches("base ").count(), 2, "{}", run.out);
    registry.fault("", "/", 9999, What::status(503));
    let test = run.then().remove("out.tar").run(["copy", "a/web", "oci-archive:out.tar"]).status(0).then();
    assert!(fs::read(test.path("out.tar")).unwrap() == sums[0]);
}

fn bytes_are_a_layer(path: &std::path::Path) -> bool {
    fs::read(path).is_ok_and(|bytes| bytes.starts_with(&[0x1f, 0x8b]))
}

/// Three images on one base, and another.
fn several() -> Test {
    let tree = "d 0755 0:0 etc\nf 0644 0:0 etc/base base\n";
    let recipe =
        |text: &str| format!("[base]\nlayout = \"up:1\"\n[[file]]\ntext = \"{text}\"\nto = \"/{text}\"\n");
    Test::workspace()
        .base("up", "1", &[tree])
        .file("recipes/s/one/recipe.toml", recipe("one"))
        .file("recipes/s/two/recipe.toml", recipe("two"))
        .file(
            "recipes/s/three/recipe.toml",
            "[base]\nscratch = true\n[[file]]\ntext = \"3\"\nto = \"/three\"\n",
        )
}

/// The members of an archive.
fn members(test: &Test, file: &str) -> BTreeMap<String, Vec<u8>> {
    let mut archive = ::tar::Archive::new(fs::File::open(test.path(file)).unwrap());
    let mut found = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = entry.path().unwrap().display().to_string();
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut bytes).unwrap();
        assert!(found.insert(name, bytes).is_none());
    }
    found
}

#[test]
fn several_images_are_one_archive() {
    let test = several();
    let targets = ["build", "s/one#prod", "s/two#prod", "s/three#prod"];
    let run = test
        .run(targets.into_iter().chain(["--to", "oci-archive:all.tar", "--to", "docker-archive:docker.tar"]))
        .status(0);
    assert_eq!(run.out.matches("-> oci-archive:all.tar").count(), 3, "{}", run.out);
    let test = run.then();
    for (file, index) in [("all.tar", true), ("docker.tar", false)] {
        let members = members(&test, file);
        let manifest: serde_json::Value = serde_json::from_slice(&members["manifest.json"]).unwrap();
        let names: Vec<&str> =
            manifest.as_array().unwrap().iter().map(|it| it["RepoTags"][0].as_str().unwrap()).collect();
        assert_eq!(names, ["docker.io/s/one:prod", "docker.io/s/three:prod", "docker.io/s/two:prod"]);
        for image in manifest.as_array().unwrap() {
            let layers = image["Layers"].as_array().unwrap().iter().chain([&image["Config"]]);
            assert!(layers.into_iter().all(|layer| members.contains_key(layer.as_str().unwrap())), "{image}");
        }
        if index {
            let index: serde_json::Value = serde_json::from_slice(&members["index.json"]).unwrap();
            assert_eq!(index["manifests"].as_array().unwrap().len(), 3);
        }
    }
    // One is as it was, and by a name only one fits.
    let test = test.run(["build", "s/one#prod", "--to", "oci-archive:one.tar"]).status(0).then();
    let one = members(&test, "one.tar");
    assert!(
        String::from_utf8_lossy(&one["index.json"])
            .contains("\"org.opencontainers.image.ref.name\":\"prod\"")
    );
    let run = test.run(["build", "s", "--to", "oci-archive:x.tar:name"]).status(2);
    assert!(run.err.contains("takes one image") && !run.test().path("x.tar").exists(), "{}", run.err);
    let test = run.then();
    if engines::installed(&["skopeo"]) {
        for place in
            ["oci-archive:all.tar:docker.io/s/two:prod", "docker-archive:docker.tar:docker.io/s/two:prod"]
        {
            let mut skopeo = Command::new("skopeo");
            let platform = ["--override-os", "linux", "--override-arch", "amd64"];
            let said =
                engines::run(skopeo.current_dir(test.path("")).args(platform).arg("inspect").arg(place));
            assert!(String::from_utf8_lossy(&said).contains("Layers"), "{place}");
        }
    }
    for engine in [engines::docker(), engines::podman()].into_iter().flatten() {
        for file in ["all.tar", "docker.tar"] {
            assert!(engine.succeeds(&["load", "-i", test.path(file).to_str().unwrap()]), "{file}");
            for name in ["one", "two", "three"] {
                let name = format!("docker.io/s/{name}:prod");
                assert!(engine.succeeds(&["image", "inspect", &name]), "{file}: {name}");
                assert!(engine.succeeds(&["rmi", &name]), "{file}: {name}");
            }
        }
    }
}

#[test]
fn an_engine_is_told_the_name_that_it_gets() {
    let (listener, test) = {
        let test = several();
        let path = test.path("engine.sock");
        (std::os::unix::net::UnixListener::bind(&path).unwrap(), test)
    };
    let host = format!("unix://{}", test.path("engine.sock").display());
    let server = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut all = Vec::new();
            let mut piece = [0; 65536];
            while !all.ends_with(b"0\r\n\r\n") {
                let count = std::io::Read::read(&mut stream, &mut piece).unwrap();
                all.extend_from_slice(&piece[..count]);
            }
            std::io::Write::write_all(&mut stream, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
                .unwrap();
        }
    });
    let run = test.env("DOCKER_HOST", &host).run(["build", "s/one#prod", "--to", "docker-daemon:"]).status(0);
    assert!(run.out.contains("s/one#prod -> docker-daemon:docker.io/s/one:prod  sha256:"), "{}", run.out);
    let run = run.then().run(["copy", "s/two", "docker-daemon:", "--format", "json"]).status(0);
    assert_eq!(run.json()["to"], "docker-daemon:docker.io/s/two:prod");
    server.join().unwrap();
}
