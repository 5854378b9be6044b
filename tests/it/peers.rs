//! The quick start's image on the engines and tools that people have: it loads, it runs, and what it holds has the
//! modes and owners that the recipe says.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::engines::{self, Engine, PLATFORM, installed, run};
use crate::listing::Listing;
use crate::support::Test;

/// The repository's own workspace, built where nothing of it can be changed.
fn quick_start(engine: Option<&Engine>, arguments: &[&str]) -> Test {
    let mut test = Test::new();
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut copy = Command::new("cp");
    copy.arg("-R").args(["cooper.toml", "recipes", "lockfiles", "fixtures"].map(|name| here.join(name)));
    run(copy.arg(test.path("")));
    if let Some(engine) = engine {
        test = test.env("DOCKER_HOST", &engine.host());
    }
    let arguments = [&["build", "--offline", "--platform", PLATFORM], arguments].concat();
    test.run(arguments).status(0).then()
}

/// What prod and dev hold, as far as the recipe has a hand in it.
fn check_files(files: &Listing, variant: &str) {
    assert_eq!(files.at("lib"), "l usr/lib", "a target below it leaves a link as it is");
    assert!(files.at("usr/lib/web/extra.types").starts_with("f 0644 0:0 "));
    assert!(files.at("usr/lib/web/mime.types").starts_with("f 0644 0:0 "));
    assert_eq!(files.at("var/lib/web"), "d 0700 10001:10001", "an ancestor keeps what it has in the base");
    assert_eq!(files.at("var/lib/web/uploads"), "d 0750 10001:10001");
    assert_eq!(files.at("usr/share/web/html/powered-by.html"), "nothing");
    let (dev, name) = (variant == "dev", if variant == "dev" { "quickstart-dev" } else { "quickstart" });
    assert!(files.at("etc/web/web.conf").contains(&format!(" {name}\n")), "{}", files.at("etc/web/web.conf"));
    assert_eq!(files.at("usr/share/web/html"), "d 0755 0:0");
    assert_eq!(files.at("usr/share/web/html/css/site.css").starts_with("f 0644 0:0 "), !dev);
    assert_eq!(files.at("usr/share/doc/web/about.txt").starts_with("f 0644 0:0 "), dev);
}

fn runs(engine: &Engine, image: &str) {
    let id = engine.start(image);
    let mut healthy = false;
    for _ in 0..50 {
        healthy = engine.succeeds(&["exec", &id, "web", "--health"]);
        if healthy {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    engine.run(&["rm", "--force", &id]);
    assert!(healthy, "{image} doesn't serve /");
}

#[test]
fn docker_loads_and_runs_it() {
    let Some(docker) = engines::docker() else { return };
    for variant in ["prod", "dev"] {
        let target = format!("quickstart/web#{variant}");
        let streamed = format!("docker-daemon:streamed:{variant}");
        let places = [
            "--to",
            &streamed,
            "--to",
            "oci-archive:oci.tar:a/oci:1",
            "--to",
            "docker-archive:docker.tar:a/docker:1",
        ];
        let test = quick_start(Some(docker), &[&[target.as_str()][..], &places].concat());
        let names = [
            format!("streamed:{variant}"),
            docker.load(&test.path("oci.tar")),
            docker.load(&test.path("docker.tar")),
        ];
        assert_eq!(names[1..], ["a/oci:1", "a/docker:1"]);
        let id = |name: &String| docker.run(&["image", "inspect", "--format", "{{.Id}}", name]);
        assert!(names.iter().all(|name| id(name) == id(&names[0])), "one image, whichever way it came");
        check_files(&Listing::of_tar(&docker.files(&names[0])), variant);
        runs(docker, &names[0]);
    }
}

#[test]
fn podman_loads_and_runs_it() {
    let Some(podman) = engines::podman() else { return };
    for variant in ["prod", "dev"] {
        let target = format!("quickstart/web#{variant}");
        let places =
            ["--to", "oci-archive:oci.tar", "--to", "docker-archive:docker.tar:localhost/a/docker:1"];
        let test = quick_start(None, &[&[target.as_str()][..], &places].concat());
        let names = [podman.load(&test.path("oci.tar")), podman.load(&test.path("docker.tar"))];
        let id = |name: &String| podman.run(&["image", "inspect", "--format", "{{.Id}}", name]);
        assert_eq!(id(&names[0]), id(&names[1]));
        check_files(&Listing::of_tar(&podman.files(&names[0])), variant);
        runs(podman, &names[0]);
    }
}

#[test]
fn skopeo_and_umoci_read_every_place() {
    if !installed(&["skopeo"]) {
        return;
    }
    let places = ["oci:layout:one", "oci-archive:oci.tar:a/web:1", "docker-archive:docker.tar:a/web:1"];
    let arguments: Vec<&str> = places.iter().flat_map(|place| ["--to", *place]).collect();
    let test = quick_start(None, &[&["quickstart/web#prod"][..], &arguments].concat());
    let skopeo = |arguments: &[&str]| {
        let mut command = Command::new("skopeo");
        run(command.current_dir(test.path("")).args(arguments))
    };
    for place in ["oci:layout:one", "oci-archive:oci.tar", "docker-archive:docker.tar"] {
        let told: Value = serde_json::from_slice(&skopeo(&["inspect", place])).unwrap();
        assert_eq!(format!("linux/{}", told["Architecture"].as_str().unwrap()), PLATFORM, "{place}");
        assert_eq!(told["Labels"]["example.tier"], "front", "{place}");
        let layers = told["Layers"].as_array().unwrap().len();
        let config: Value = serde_json::from_slice(&skopeo(&["inspect", "--config", place])).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"].as_array().unwrap().len(), layers, "{place}");
    }
    // An index copied whole keeps its digest.
    skopeo(&["copy", "--all", "oci:layout:one", "oci:copy:one"]);
    let digest = |index: &str| -> Value {
        let index: Value = serde_json::from_str(&test.read(index)).unwrap();
        index["manifests"][0]["digest"].clone()
    };
    assert_eq!(digest("copy/index.json"), digest("layout/index.json"));
    if !installed(&["umoci"]) || !engines::root() {
        return;
    }
    // umoci 0.4.7 takes no index: one platform at a time.
    skopeo(&["copy", "oci-archive:oci.tar", "oci:single:one"]);
    let mut umoci = Command::new("umoci");
    run(umoci.current_dir(test.path("")).args(["unpack", "--image", "single:one", "bundle"]));
    check_files(&Listing::of_directory(&test.path("bundle/rootfs")), "prod");
}
