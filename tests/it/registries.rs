//! Bases in registries: locks from live ones, builds without them, who is asked for what, and registries on a bad day.

use std::sync::Arc;
use std::time::Duration;

use cooperage::digest::Digest;
use cooperage::oci::{Descriptor, MediaType};
use cooperage::registry::{Client, NoCredentials};

use super::registry::{Auth, Bearer, Registry, What};
use super::support::Test;

pub(super) const TREE: &str = "d 0755 0:0 etc\nf 0644 0:0 etc/passwd root:x:0:0::/root:/bin/sh\\nweb:x:33:33::/:\\n\nd 0750 33:33 srv\n";

/// A layer of some 300 kB, which no compression makes smaller.
pub(super) fn large() -> String {
    let mut seed = 1_u32;
    let mut letter = || {
        seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + (seed >> 24) as u8 % 26)
    };
    let content: String = (0..300_000).map(|_| letter()).collect();
    format!("f 0644 0:0 large {content}\n")
}

pub(super) fn recipe(reference: &str) -> String {
    format!(
        "[base]\nimage = \"{reference}\"\n[[file]]\ntext = \"hello\"\nto = \"/srv/index.html\"\nowner = \"web\"\n"
    )
}

/// What the site says: as little patience as possible.
pub(super) fn site(registry: &Registry, more: &str) -> String {
    let host = registry.host();
    format!("attempts = 3\ntimeout = 1\nbackoff = 1\n[registry.\"{host}\"]\nplain-http = true\n{more}")
}

/// A registry with a base of two layers, and a workspace with a recipe on it.
pub(super) fn arranged() -> (Registry, Test) {
    let registry = Registry::start();
    let test = Test::workspace().base("seed", "1", &[TREE, &large()]);
    registry.seed_layout("lib/base", "1", &test.path("seed"));
    let reference = format!("{}/lib/base:1", registry.host());
    let test = test.remove("seed").file("recipes/a/web/recipe.toml", recipe(&reference));
    let config = site(&registry, "");
    let test = test.file("site.toml", config);
    let config = test.path("site.toml").to_str().unwrap().to_owned();
    (registry, test.env("COOPER_CONFIG", &config))
}

/// `~/.docker/config.json`
pub(super) fn login(test: Test, registry: &Registry, entry: &str) -> Test {
    let dir = test.path("docker").to_str().unwrap().to_owned();
    let text = format!("{{\"auths\": {{\"{}\": {entry}}}}}", registry.host());
    test.file("docker/config.json", text).env("DOCKER_CONFIG", &dir)
}

// me:secret
pub(super) const ME: &str = "{\"auth\": \"bWU6c2VjcmV0\"}";

#[test]
fn a_lock_is_made_once_and_builds_without() {
    let (registry, mut test) = arranged();
    for name in ["b", "c"] {
        let reference = format!("{}/lib/base:1", registry.host());
        test = test.file(&format!("recipes/a/{name}/recipe.toml"), recipe(&reference));
    }
    let test = test.run(["lock"]).status(0).then();
    let layers = registry.requests().iter().filter(|request| request.sent > 1000).count();
    assert_eq!((layers, registry.count("GET", "/manifests/1")), (1, 1), "{:#?}", registry.requests());
    // Two layers and two configs; no recipe asks again.
    assert_eq!(registry.count("GET", "/blobs/"), 4);
    let before = registry.requests().len();
    let test = test.run(["build", "--locked"]).status(0).then();
    std::fs::remove_dir_all(test.store()).unwrap();
    let test = test.run(["build", "--locked"]).status(0).then();
    assert_eq!(registry.requests().len(), before);
    // An export needs the layers, by digest.
    let test = test.run(["build", "a/web", "--to", "oci:out:x"]).status(0).then();
    assert_eq!(registry.count("GET", "/blobs/"), 6);
    assert_eq!(registry.count("GET", "/manifests/1"), 1);
    drop(registry);
    test.run(["build", "--locked", "--offline"]).status(0).then().run(["show", "a/web"]).status(0);
}

#[test]
fn a_tag_that_moves_is_followed_by_update_only() {
    let (registry, test) = arranged();
    let test = test.run(["lock"]).status(0).then();
    let lock = test.read("lockfiles/a/web.lock");
    let test = test.base("seed2", "1", &["d 0755 0:0 etc\nf 0644 0:0 etc/passwd web:x:44:44::/:\\n\n"]);
    let moved = registry.seed_layout("lib/base", "1", &test.path("seed2")).to_string();
    // lock tells and keeps; whoever checks, or is offline, asks nobody.
    let run = test.remove("seed2").run(["lock"]).status(0);
    assert!(run.err.contains(&moved) && run.err.contains("cooper update --input"), "{}", run.err);
    let before = registry.requests().len();
    let test =
        run.then().run(["lock", "--check"]).status(0).then().run(["lock", "--offline"]).status(0).then();
    let test = test.run(["build", "--locked"]).status(0).then();
    assert_eq!(registry.requests().len(), before);
    // A registry that doesn't answer is asked once, and nothing depends on it.
    registry.fault("HEAD", "/manifests/", 9, What::status(500));
    let run = test.run(["lock"]).status(0);
    assert!(run.err.is_empty() && registry.unused() == 8, "{}", run.err);
    registry.forget_faults();
    let test = run.then();
    assert_eq!(test.read("lockfiles/a/web.lock"), lock);
    let run = test.run(["update", "--all"]).status(0);
    assert!(run.out.contains(&moved), "{}", run.out);
    assert!(run.test().read("lockfiles/a/web.lock").contains(&moved));
}

#[test]
fn a_digest_in_the_recipe_is_obeyed() {
    let (registry, test) = arranged();
    let digest = registry.tags("lib/base")["1"];
    let reference = format!("{}/lib/base:1@{digest}", registry.host());
    let test = test.file("recipes/a/web/recipe.toml", recipe(&reference));
    let test = test.run(["lock"]).status(0).then();
    assert_eq!(registry.count("", "/manifests/1"), 0);
    let near = format!("{}/lib/base:10", registry.host());
    let run = test.file("recipes/a/web/recipe.toml", recipe(&near)).run(["lock"]).status(4);
    assert!(run.err.contains("did you mean the tag 1?"), "{}", run.err);
    let test = run.then();
    let missing = format!("{}/lib/base@sha256:{}", registry.host(), "0".repeat(64));
    let run = test.file("recipes/a/web/recipe.toml", recipe(&missing)).run(["lock"]).status(4);
    assert!(run.err.contains("is not in the registry"), "{}", run.err);
}

#[test]
fn without_a_network() {
    let (registry, test) = arranged();
    let test = test.run(["build", "--offline"]).status(4).then();
    let test = test.run(["build", "--locked"]).status(1).then();
    let run = test
        .run(["copy", "--offline", &format!("docker://{}/lib/base:1", registry.host()), "oci:x:1"])
        .status(4);
    assert!(run.err.contains("no connection may be opened"), "{}", run.err);
    assert_eq!(registry.requests().len(), 0);
}

#[test]
fn images_are_copied_out_of_registries() {
    let (registry, test) = arranged();
    let from = format!("docker://{}/lib/base:1", registry.host());
    let test = test.run(["copy", &from, "oci:out:1"]).status(0).then();
    let blobs = |test: &Test| std::fs::read_dir(test.path("out/blobs/sha256")).unwrap().count();
    // An index, two manifests, two configs, two layers.
    assert_eq!(blobs(&test), 7);
    let one = test.run(["copy", "--platform", "linux/arm64", &from, "oci-archive:one.tar"]).status(0);
    one.then().run(["copy", &format!("docker://{}/lib/none:1", registry.host()), "oci:no:1"]).status(4);
}

#[test]
fn who_may() {
    let (registry, test) = arranged();
    registry.set(|settings| settings.auth = Auth::Basic("me".into(), "secret".into()));
    let run = test.run(["lock"]).status(5);
    assert!(run.err.contains("401") && run.err.contains("docker login"), "{}", run.err);
    let test = login(run.then(), &registry, "{\"auth\": \"bWU6d3Jvbmc=\"}").run(["lock"]).status(5).then();
    let test = login(test, &registry, ME).run(["lock"]).status(0).then().remove("lockfiles");
    registry.set(|settings| settings.auth = Auth::Bearer(Bearer::new("me", "secret")));
    let test = test.run(["lock"]).status(0).then().remove("lockfiles");
    // A token that is good for one request, and one that is gone after a moment: fetched again.
    registry.set(|s| s.auth = Auth::Bearer(Bearer { uses: Some(1), ..Bearer::new("me", "secret") }));
    let test = test.run(["lock"]).status(0).then().remove("lockfiles");
    let identity = "{\"identitytoken\": \"a-refresh-token\"}";
    let test = login(test, &registry, identity).run(["lock"]).status(0).then().remove("lockfiles");
    registry.set(|s| s.auth = Auth::Bearer(Bearer { anonymous_pull: true, ..Bearer::new("me", "secret") }));
    let test = login(test, &registry, "{}").run(["lock"]).status(0).then();
    for request in registry.requests() {
        assert!(!request.path.contains("secret") && !request.path.contains("refresh"), "{}", request.path);
    }
    drop(test);
}

#[test]
fn credentials_go_nowhere_else() {
    let (registry, test) = arranged();
    let strange = Registry::start();
    let realm = format!("http://localhost:{}/token", strange.host().rsplit_once(':').unwrap().1);
    registry.set(|settings| {
        settings.auth = Auth::Bearer(Bearer { realm: Some(realm.clone()), ..Bearer::new("me", "secret") });
    });
    let run = login(test, &registry, ME).run(["lock"]).status(3);
    assert!(run.err.contains("token-hosts") && run.err.contains("localhost"), "{}", run.err);
    assert_eq!(strange.requests().len(), 0);
    assert!(!run.err.contains("secret") && !run.err.contains("bWU6"), "{}", run.err);
    // A redirect is followed, without them.
    registry.set(|settings| settings.auth = Auth::Basic("me".into(), "secret".into()));
    let elsewhere = format!("http://localhost:{}{{path}}", strange.host().rsplit_once(':').unwrap().1);
    registry.fault("GET", "/blobs/", 9, What::Redirect(elsewhere));
    let test = run.then().run(["lock"]).status(4).then();
    assert!(strange.count("GET", "/blobs/") > 0);
    assert!(strange.requests().iter().all(|request| !request.headers.contains_key("authorization")));
    drop(test);
}

#[test]
fn mirrors_change_no_lock() {
    let (registry, test) = arranged();
    let direct = test.run(["lock"]).status(0).then();
    let named = direct.read("lockfiles/a/web.lock").replace(registry.host(), "registry.invalid");
    let mirror = format!(
        "[[mirror]]\nprefix = \"registry.invalid/lib\"\nlocation = [\"{0}/nothing\", \"{0}/lib\"]\n",
        registry.host()
    );
    let test = direct
        .file("site.toml", site(&registry, &mirror))
        .file("recipes/a/web/recipe.toml", recipe("registry.invalid/lib/base:1"))
        .remove("lockfiles");
    let test = test.run(["lock"]).status(0).then();
    let section = |text: &str| text.split_once("[[base]]").unwrap().1.to_owned();
    // The reference is an annotation of the image: outputs differ, pins don't.
    let pins = |text: &str| section(text).split("[output").next().unwrap().to_owned();
    assert_eq!(pins(&test.read("lockfiles/a/web.lock")), pins(&named));
}

/// A fault, what becomes of it (nothing: healed), and what the message says.
type Case = (&'static str, &'static str, usize, What, Option<(i32, &'static str)>);

#[test]
fn on_a_bad_day() {
    let elsewhere = "http://192.0.2.1{path}".to_owned();
    let cases: Vec<Case> = vec![
        ("GET", "/v2/", 2, What::status(503), None),
        ("GET", "/v2/", 2, What::status(500), None),
        ("GET", "/v2/", 3, What::status(502), Some((5, "502 Bad Gateway"))),
        ("GET", "/v2/", 1, What::retry_after(429, 0), None),
        ("GET", "/v2/", 1, What::retry_after(429, 3600), Some((5, "come back in 3600 seconds"))),
        ("GET", "/v2/", 1, What::status(403), Some((5, "403 Forbidden"))),
        ("GET", "/v2/", 2, What::Close, None),
        ("GET", "/v2/", 3, What::Close, Some((5, "the connection broke"))),
        ("GET", "/v2/", 1, What::Stall, None),
        ("GET", "/v2/", 3, What::Stall, Some((5, "no answer for 1 seconds"))),
        ("GET", "/manifests/", 1, What::CutBody(20), Some((5, "the connection broke"))),
        ("GET", "/manifests/", 1, What::Endless, Some((3, "more than 4194304 bytes"))),
        ("GET", "/manifests/", 1, What::wrong_digest(), Some((3, "not sha256:0000"))),
        ("GET", "/manifests/", 1, What::Flip, Some((3, "gave sha256:"))),
        ("GET", "/manifests/", 1, What::Header("content-type", None), Some((3, "what kind of document"))),
        (
            "GET",
            "/manifests/",
            1,
            What::Header("content-type", Some("text/html".into())),
            Some((3, "text/html")),
        ),
        ("GET", "/manifests/", 1, What::Redirect(elsewhere), Some((5, "plain HTTP"))),
        ("GET", "/manifests/", 9, What::Redirect("{path}".into()), Some((3, "redirected more than 5 times"))),
        ("GET", "LARGE", 2, What::CutBody(100_000), None),
        ("GET", "LARGE", 2, What::StallBody(100_000), None),
        ("GET", "LARGE", 9, What::CutBody(0), Some((5, "the connection broke"))),
        ("GET", "LARGE", 9, What::StallBody(10), Some((5, "no answer for 1 seconds"))),
        ("GET", "LARGE", 1, What::Flip, Some((3, "sha256:"))),
        ("GET", "LARGE", 1, What::Length(7), Some((3, "bytes where"))),
        ("GET", "LARGE", 1, What::Length(-7), Some((3, "bytes where"))),
        ("GET", "LARGE", 1, What::Endless, None),
        ("GET", "LARGE", 1, What::Bytes(b"something else".to_vec()), Some((3, "bytes where"))),
        ("GET", "LARGE", 3, What::status(500), Some((5, "500 Internal Server Error"))),
    ];
    let (registry, mut test) = arranged();
    let test_of = |test: Test, case: &Case, large: &str| {
        let (method, path, times, what, expected) = case;
        let path = if *path == "LARGE" { large } else { *path };
        registry.fault(method, path, *times, what.clone());
        let run = test.run(["lock"]);
        let told = format!("{method} {path} {times} {what:?}: {:?}\n{}", run.code, run.err);
        match expected {
            None => assert_eq!(run.code, Some(0), "{told}"),
            Some((code, said)) => {
                assert_eq!(run.code, Some(*code), "{told}");
                assert!(run.err.contains(said) && run.err.contains("recipe.toml"), "{told}");
            }
        }
        registry.forget_faults();
        // Whatever it was: the store is whole, and the next time all is well.
        let run = run.then().run(["store", "verify"]).status(0).then().run(["lock"]).status(0);
        let test = run.then();
        std::fs::remove_dir_all(test.store()).unwrap();
        test.remove("lockfiles")
    };
    test = test.run(["lock"]).status(0).then();
    let large = registry.requests().into_iter().find(|request| request.sent > 1000).unwrap().path;
    std::fs::remove_dir_all(test.store()).unwrap();
    test = test.remove("lockfiles");
    for case in &cases {
        test = test_of(test, case, &large);
    }
    assert!(registry.requests().iter().any(|request| request.headers.contains_key("range")));
    // Nothing may be taken up again where a registry can't: everything comes anew, nothing twice.
    registry.fault("GET", &large, 1, What::CutBody(100_000)).fault("GET", &large, 1, What::IgnoreRange);
    test = test.run(["lock"]).status(0).then();
    registry.forget_faults();
    let began = std::time::Instant::now();
    drop(test);
    drop(registry);
    assert!(began.elapsed() < Duration::from_secs(10));
}

/// dpkg's database with packages of that version.
fn packages(version: &str, more: &str) -> String {
    let of = |name: &str, version: &str| {
        format!(
            "Package: {name}\\nStatus: install ok installed\\nArchitecture: amd64\\nVersion: {version}\\n\\n"
        )
    };
    let text = of("libssl3", version) + &of("tzdata", "2024a") + more;
    format!(
        "d 0755 0:0 var\nd 0755 0:0 var/lib\nd 0755 0:0 var/lib/dpkg\nf 0644 0:0 var/lib/dpkg/status {text}\n"
    )
}

#[test]
fn what_moves_is_told_with_its_packages() {
    let (registry, test) = arranged();
    let seed = |test: Test, dir: &str, tree: &str| {
        let test = test.base(dir, "1", &[TREE, tree]);
        let digest = registry.seed_layout("lib/base", "1", &test.path(dir));
        (test.remove(dir), digest.to_string())
    };
    let (test, old) = seed(test, "one", &packages("3.0.1", ""));
    let other = recipe(&format!("{}/lib/base:1", registry.host()));
    let test = test.file("recipes/b/other/recipe.toml", other);
    let test = test.run(["lock", "--all"]).status(0).then();
    let new_package =
        "Package: curl\\nStatus: install ok installed\\nArchitecture: amd64\\nVersion: 8.1|x\\n\\n";
    let (test, new) = seed(test, "two", &packages("3.0.2", new_package));
    // Only a plan; on a machine that knows nothing of either.
    std::fs::remove_dir_all(test.store()).unwrap();
    let lock = test.read("lockfiles/a/web.lock");
    let run = test.run(["update", "--format", "json"]).status(0);
    let json = run.json();
    assert_eq!((json["moves"].as_array().unwrap().len(), &json["applied"]), (1, &false.into()));
    let moved = &json["moves"][0];
    assert_eq!((moved["old"].as_str(), moved["new"].as_str()), (Some(&old[..]), Some(&new[..])));
    assert_eq!(moved["recipes"], serde_json::json!(["a/web", "b/other"]));
    let package = |name: &str, old: Option<&str>, new: &str| serde_json::json!({ "name": name, "old": old, "new": new, "platforms": [] });
    let expected = [package("curl", None, "8.1|x"), package("libssl3", Some("3.0.1"), "3.0.2")];
    assert_eq!(moved["packages"], serde_json::json!(expected));
    let test = run.then();
    assert_eq!(test.read("lockfiles/a/web.lock"), lock);
    // One base in every lock that holds it.
    let reference = format!("{}/lib/base:1", registry.host());
    let run = test.run(["update", "--input", &reference, "--format", "markdown"]).status(0);
    assert!(run.out.contains("| libssl3 | 3.0.1 | 3.0.2 |") && run.out.contains("8.1\\|x"), "{}", run.out);
    assert!(run.out.contains(&format!("`{old}` → `{new}` in a/web, b/other")), "{}", run.out);
    let test = run.then();
    for name in ["a/web", "b/other"] {
        assert!(test.read(&format!("lockfiles/{name}.lock")).contains(&new));
    }
    let run = test.run(["update", "--format", "markdown"]).status(0);
    assert_eq!(run.out, "");
    run.then().run(["lock", "--format", "markdown"]).status(2);
}

#[test]
fn a_lock_of_digests_alone_completes_itself() {
    let (registry, test) = arranged();
    let test = test.run(["lock"]).status(0).then();
    let lock = test.read("lockfiles/a/web.lock");
    // As shipped: pins, and no blobs.
    let test = test.remove("lockfiles/blobs");
    std::fs::remove_dir_all(test.store()).unwrap();
    let run = test.run(["build", "--locked", "--offline"]).status(1);
    assert!(run.err.contains("digest-only") && run.err.contains("cooper lock"), "{}", run.err);
    // The tag has moved since: what is pinned counts.
    let test = run.then().base("seed2", "1", &["d 0755 0:0 etc\n"]);
    registry.seed_layout("lib/base", "1", &test.path("seed2"));
    let before = registry.count("GET", "/manifests/1");
    let test = test.remove("seed2").run(["lock"]).status(0).then();
    assert_eq!((registry.count("GET", "/manifests/1"), test.read("lockfiles/a/web.lock")), (before, lock));
    test.run(["build", "--locked", "--offline"]).status(0);
}

#[test]
fn tags_and_referrers() {
    let (registry, _test) = arranged();
    let client = Arc::new(Client::new(
        cooperage::http::Settings { attempts: 1, ..cooperage::http::Settings::default() },
        Box::new(NoCredentials),
    ));
    let repository = client.repository(&format!("{}/lib/base:1", registry.host()).parse().unwrap());
    let subject = registry.tags("lib/base")["1"];
    let (media_type, bytes) = registry.manifest("lib/base", "1").unwrap();
    for number in 0..1200 {
        registry.put_manifest("lib/base", &format!("v{number:04}"), &media_type, bytes.clone());
    }
    assert_eq!(repository.tags().unwrap().len(), 1201);
    let nothing = client.repository(&format!("{}/lib/none:1", registry.host()).parse().unwrap());
    assert!(nothing.tags().unwrap().is_empty());
    let referrer = |kind: &str| {
        let empty = serde_json::json!({ "mediaType": "application/vnd.oci.empty.v1+json", "size": 2,
            "digest": Digest::of(b"{}").to_string() });
        let text = serde_json::json!({ "schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "artifactType": kind, "config": empty, "layers": [empty],
            "subject": { "mediaType": media_type, "digest": subject.to_string(), "size": bytes.len() } })
        .to_string()
        .into_bytes();
        let mut of = Descriptor::of(MediaType::Manifest, &text);
        of.rest.insert("artifactType".into(), kind.into());
        (of, text)
    };
    // A registry that keeps the list itself, and one whose clients do.
    for keeps in [true, false] {
        registry.set(|settings| settings.referrers = keeps);
        registry.put_blob("lib/base", *b"{}");
        assert!(repository.referrers(subject, None).unwrap().is_empty());
        for kind in ["a/signature", "a/bom", "a/signature"] {
            let (of, text) = referrer(kind);
            repository.put_referrer(subject, &of, &text).unwrap();
        }
        assert_eq!(repository.referrers(subject, None).unwrap().len(), 2, "keeps {keeps}");
        let signatures = repository.referrers(subject, Some("a/signature")).unwrap();
        assert_eq!(
            signatures.iter().map(|it| it.digest).collect::<Vec<_>>(),
            [referrer("a/signature").0.digest]
        );
        let tag = format!("sha256-{}", subject.hex());
        assert_eq!(registry.tags("lib/base").contains_key(&tag), !keeps);
    }
}

/// Takes what is meant for others, and says what it was asked for.
pub(super) fn proxy(to: &str) -> (String, std::sync::mpsc::Receiver<String>) {
    use std::io::{BufRead, BufReader, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, to) = (format!("http://{}", listener.local_addr().unwrap()), to.to_owned());
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let mut reader = BufReader::new(client.try_clone().unwrap());
            let mut first = String::new();
            if reader.read_line(&mut first).unwrap_or(0) == 0 || tell.send(first.clone()).is_err() {
                continue;
            }
            let mut line = String::new();
            while reader.read_line(&mut line).unwrap_or(0) > 2 {
                line.clear();
            }
            client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").unwrap();
            let mut server = std::net::TcpStream::connect(&to).unwrap();
            let (mut up, mut down) = (server.try_clone().unwrap(), client.try_clone().unwrap());
            std::thread::spawn(move || std::io::copy(&mut reader, &mut up));
            std::thread::spawn(move || std::io::copy(&mut server, &mut down));
        }
    });
    (address, told)
}

#[test]
fn what_is_known_by_its_digest_may_come_in_the_clear() {
    let registry = Registry::start();
    let file = registry.put_blob("lib/files", *b"a plain file");
    let (address, told) = proxy(registry.host());
    let url = format!("http://files.example/v2/lib/files/blobs/{file}");
    let text = |sha256: &str| {
        format!("[base]\nscratch = true\n[[file]]\nfetch = \"{url}\"\n{sha256}to = \"/plain\"\n")
    };
    let site = "attempts = 1\ntimeout = 5\nbackoff = 1\n";
    let test = Test::new()
        .file("cooper.toml", "")
        .file("site.toml", site)
        .file("recipes/a/web/recipe.toml", text(&format!("sha256 = \"{}\"\n", file.hex())))
        .env("HTTP_PROXY", &address)
        .env("http_proxy", &address);
    let config = test.path("site.toml").to_str().unwrap().to_owned();
    let test = test.env("COOPER_CONFIG", &config).run(["build", "--all"]).status(0).then();
    assert!(told.recv().unwrap().starts_with("CONNECT files.example:80 "));
    // Not what the site forbids, nor what nobody knows.
    std::fs::remove_dir_all(test.store()).unwrap();
    let test = test.file("site.toml", format!("{site}[registry.\"files.example\"]\nplain-http = false\n"));
    let run = test.run(["build", "--all"]).status(5);
    assert!(run.err.contains("it would go over plain HTTP, which nothing allows"), "{}", run.err);
    let test =
        run.then().file("site.toml", site).file("recipes/a/web/recipe.toml", text("")).remove("lockfiles");
    let run = test.run(["build", "--all"]);
    assert!(run.err.contains("over plain HTTP only what is known by its digest is fetched"), "{}", run.err);
    assert!(told.try_recv().is_err(), "it was asked for");
}

#[test]
fn a_proxy_stands_between() {
    let (registry, test) = arranged();
    let (address, told) = proxy(registry.host());
    let site = "attempts = 2\ntimeout = 5\nbackoff = 1\n[registry.\"registry.example\"]\nplain-http = true\n";
    let test = test
        .file("site.toml", site)
        .file("recipes/a/web/recipe.toml", recipe("registry.example/lib/base:1"))
        .env("HTTP_PROXY", &address)
        .env("http_proxy", &address);
    let test = test.run(["lock"]).status(0).then();
    assert!(told.recv().unwrap().starts_with("CONNECT registry.example:80 "));
    // Who is not to be reached through it isn't.
    let test = test.env("NO_PROXY", "registry.example").env("no_proxy", "registry.example");
    std::fs::remove_dir_all(test.path("lockfiles")).unwrap();
    test.run(["lock"]).status(5);
}
