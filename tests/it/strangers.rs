//! Servers, helpers and places that are not what they should be: no secret goes astray, nothing is waited for without end, and
//! what isn't understood is refused.

use std::os::unix::fs::PermissionsExt as _;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::registries::{ME, arranged, login, site};
use super::registry::{Auth, Bearer, Registry, What};
use super::support::{Layout, Run, Test, blob};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// An answer without a body that leads elsewhere.
fn leads(status: u16, to: &str) -> What {
    What::Status(status, vec![("location", to.to_owned())], String::new())
}

/// The same server under another name: another origin.
fn alias(registry: &Registry) -> String {
    format!("http://localhost:{}", registry.host().rsplit_once(':').unwrap().1)
}

/// As on a machine that knows nothing yet.
fn fresh(test: Test) -> Test {
    _ = std::fs::remove_dir_all(test.store());
    _ = std::fs::remove_dir_all(test.path("lockfiles"));
    test
}

/// Nothing that a message shows, and no request that `stranger` got, has a secret in it.
#[track_caller]
fn kept(run: &Run, stranger: &Registry) {
    let told = run.err.replace("nothing secret is sent", "") + &run.out;
    for secret in ["bWU6", "secret", "a-refresh-token"] {
        assert!(!told.contains(secret), "{told}");
    }
    for request in stranger.requests() {
        assert!(!request.headers.contains_key("authorization"), "{request:?}");
    }
}

#[test]
fn a_token_server_leads_nobody_elsewhere() {
    let stranger = Registry::start();
    let (registry, mut test) = arranged();
    registry.set(|settings| settings.auth = Auth::Bearer(Bearer::new("me", "secret")));
    let elsewhere = format!("http://{}/token", stranger.host());
    let other_name = format!("{}/token", alias(&registry));
    let identity = "{\"identitytoken\": \"a-refresh-token\"}";
    for login_entry in [ME, identity] {
        for (status, to) in [
            (301, &elsewhere),
            (302, &elsewhere),
            (303, &elsewhere),
            (307, &elsewhere),
            (308, &elsewhere),
            (307, &other_name),
            (308, &format!("//{}/token", stranger.host())),
        ] {
            let before = registry.count("", "/token");
            registry.fault("", "/token", 9, leads(status, to));
            let run = login(test, &registry, login_entry).run(["lock"]);
            let told = format!("{status} {to}: {:?} {}", run.code, run.err);
            // A form is sent again for the last two only; the others end there.
            let ends =
                if login_entry == identity && status < 307 { (5, "30") } else { (3, "another server") };
            assert!(run.code == Some(ends.0) && run.err.contains(ends.1), "{told}");
            kept(&run, &stranger);
            assert_eq!((stranger.requests().len(), registry.count("", "/token")), (0, before + 1), "{told}");
            registry.forget_faults();
            test = run.then();
        }
        // On the same server it is followed, with all that is needed.
        registry.fault("", "/token", 1, What::Redirect("{path}".into()));
        test = fresh(login(test, &registry, login_entry).run(["lock"]).status(0).then());
        assert_eq!(registry.unused(), 0);
    }
    // Who has no secret may be led anywhere.
    registry.set(|s| s.auth = Auth::Bearer(Bearer { anonymous_pull: true, ..Bearer::new("me", "secret") }));
    registry.fault("GET", "/token", 1, What::Redirect(alias(&registry) + "{path}"));
    login(test, &registry, "{}").run(["lock"]).status(0);
    assert_eq!(registry.unused(), 0);
}

#[test]
fn no_redirect_takes_a_secret_along() {
    let stranger = Registry::start();
    let (registry, test) = arranged();
    let text = test.read("cooper.toml");
    let mut test = login(test, &registry, ME).run(["lock"]).status(0).then();
    let to = format!("http://{}{{path}}", stranger.host());
    for auth in [Auth::Basic("me".into(), "secret".into()), Auth::Bearer(Bearer::new("me", "secret"))] {
        registry.set(|settings| settings.auth = auth.clone());
        for (method, path) in
            [("HEAD", "/manifests/"), ("HEAD", "/blobs/"), ("POST", "/uploads/"), ("PUT", "/manifests/")]
        {
            let before = stranger.requests().len();
            let publish = format!("[publish]\nrepository = \"{}/shop/web{before}\"\n", registry.host());
            test = test.file("cooper.toml", text.clone() + &publish);
            registry.fault(method, path, 99, What::Redirect(to.clone()));
            let run = test.run(["push"]);
            assert!(stranger.requests().len() > before, "{method} {path}: {}", run.err);
            kept(&run, &stranger);
            registry.forget_faults();
            test = run.then();
        }
        // What one leads to leads back: it was in a stranger's hands.
        let back = format!("http://{}{{path}}?back", registry.host());
        registry.fault("GET", "/blobs/", 1, What::Redirect(to.clone()));
        stranger.fault("GET", "/blobs/", 1, What::Redirect(back));
        let run = fresh(test).run(["lock"]);
        assert_eq!((registry.unused(), stranger.unused()), (0, 0), "{}", run.err);
        kept(&run, &stranger);
        let returned: Vec<_> =
            registry.requests().into_iter().filter(|it| it.path.contains("?back")).collect();
        assert!(!returned.is_empty());
        assert!(returned.iter().all(|it| !it.headers.contains_key("authorization")), "{returned:?}");
        test = run.then();
        // A stranger that asks for a password gets none, and has none asked for in its name.
        for asks in [Auth::Basic("me".into(), "secret".into()), Auth::Bearer(Bearer::new("me", "secret"))] {
            stranger.set(|settings| settings.auth = asks.clone());
            registry.fault("GET", "/blobs/", 99, What::Redirect(to.clone()));
            let before = (registry.count("", "/token"), registry.requests().len());
            let run = fresh(test).run(["lock"]).status(5);
            assert_eq!(stranger.count("", "/token"), 0);
            kept(&run, &stranger);
            if let Auth::Bearer(_) = auth {
                let basic = |it: &&super::registry::Logged| {
                    let given = it.headers.get("authorization").map_or("", String::as_str);
                    given.starts_with("Basic") && !it.path.contains("/token")
                };
                assert_eq!(registry.requests()[before.1..].iter().filter(basic).count(), 0);
            }
            registry.forget_faults();
            test = run.then();
        }
        stranger.set(|settings| settings.auth = Auth::None);
        test = fresh(test).run(["lock"]).status(0).then();
    }
}

#[test]
fn no_message_shows_what_stands_in_a_url() {
    let registry = Registry::start();
    let file = registry.put_blob("lib/files", *b"a plain file");
    let secrets = ["n0body", "hunter2", "s1gnature"];
    let clean = |run: &Run| {
        // The recipe's own line is the user's own text.
        for text in run.err.lines().chain(run.out.lines()).filter(|line| !line.contains(" | ")) {
            for secret in secrets {
                assert!(!text.contains(secret), "{secret} in {}{}", run.out, run.err);
            }
        }
    };
    let at = |url: &str, more: &str| {
        format!("[base]\nscratch = true\n[[file]]\nfetch = \"{url}\"\n{more}to = \"/plain\"\n")
    };
    let open = format!("http://{}/v2/lib/files/blobs/{file}?sig=s1gnature", registry.host());
    let shown = open.split('?').next().unwrap();
    let pin = format!("sha256 = \"{}\"\n", file.hex());
    let wrong = format!("sha256 = \"{}\"\n", "0".repeat(64));
    let path = "recipes/a/web/recipe.toml";
    let mut test = Test::new().file("cooper.toml", "").file("site.toml", "attempts = 1\ntimeout = 2\n");
    let config = test.path("site.toml").to_str().unwrap().to_owned();
    test = test.env("COOPER_CONFIG", &config);
    for (url, more, arguments) in [
        ("https://n0body:hunter2@files.invalid/x?sig=s1gnature", &*pin, &["lock", "a/web"][..]),
        ("https://n0body:hun/ter2hunter2@files.invalid/x", &pin, &["lock", "a/web"]),
        ("https://files.invalid/x?sig=s1gnature#s1gnature", &pin, &["lock", "a/web", "--offline"]),
        ("http://n0body:hunter2@files.invalid/x?sig=s1gnature", "", &["lock", "a/web"]),
        (&open.replace("/blobs/", "/blobs/x"), &pin, &["lock", "a/web"]),
        (&open, &wrong, &["lock", "a/web"]),
        (&open, &wrong, &["lock", "a/web", "--format", "json"]),
        (&open, &pin, &["vendor", "a/web"]),
        (&open, &pin, &["build", "a/web", "--locked"]),
        (&open, &pin, &["build", "a/web", "--locked", "--format", "json"]),
    ] {
        let run = test.file(path, at(url, more)).run(arguments.iter().copied());
        assert!(
            matches!(run.code, Some(1..=5)),
            "{url} {arguments:?}: {:?} {}{}",
            run.code,
            run.out,
            run.err
        );
        clean(&run);
        test = run.then();
    }
    let mut test = test.file(path, at(&open, &pin)).run(["lock", "a/web"]).status(0).then();
    for arguments in [
        &["lock", "--audit"][..],
        &["lock", "--audit", "--format", "json"],
        &["vendor"],
        &["vendor", "--format", "json"],
        &["list", "--uses", shown],
        &["list", "--uses", &open, "--format", "json"],
    ] {
        let run = test.run(arguments.iter().copied()).status(0);
        clean(&run);
        let told = run.out.contains(if arguments[0] == "list" { "a/web" } else { shown });
        assert!(told, "{arguments:?}: {}{}", run.out, run.err);
        test = run.then();
    }
    // A redirect's target is told without it, too.
    let to = "http://n0body:hunter2@127.0.0.1:1/?sig=s1gnature";
    registry.fault("GET", "/blobs/", 1, leads(302, to));
    let run = fresh(test.remove("vendor")).run(["lock"]).status(3);
    clean(&run);
    assert!(run.err.contains("redirected to"), "{}", run.err);
}

/// A recipe that fetches a blob of the registry.
fn fetching(bytes: Vec<u8>, more: &str) -> (Registry, Test, String) {
    let registry = Registry::start();
    let file = registry.put_blob("lib/files", bytes);
    let url = format!("http://{}/v2/lib/files/blobs/{file}", registry.host());
    let recipe = format!(
        "[base]\nscratch = true\n[[file]]\nfetch = \"{url}\"\nsha256 = \"{}\"\nto = \"/file\"\n",
        file.hex()
    );
    let test = Test::new()
        .file("cooper.toml", "[workspace]\nplatforms = [\"linux/amd64\"]\n")
        .file("site.toml", format!("attempts = 3\ntimeout = 1\nbackoff = 1\n{more}"))
        .file("recipes/a/web/recipe.toml", recipe);
    let config = test.path("site.toml").to_str().unwrap().to_owned();
    (registry, test.env("COOPER_CONFIG", &config), format!("/blobs/{file}"))
}

#[test]
fn what_trickles_is_given_up() {
    let (registry, test) = arranged();
    let test = test.run(["lock"]).status(0).then();
    let large = registry.requests().into_iter().find(|request| request.sent > 1000).unwrap().path;
    let mut test = test;
    let slow = Duration::from_millis(40);
    for (path, what, said) in [
        ("/manifests/", What::Trickle(slow), "no answer for 1 seconds"),
        ("/manifests/", What::TrickleHead(slow), "no answer for 1 seconds"),
        ("/blobs/", What::Trickle(slow), "no answer for 1 seconds"),
        (&large, What::Trickle(slow), "no answer for 1 seconds"),
        (&large, What::TrickleHead(slow), "no answer for 1 seconds"),
        // Also of what is said of a refusal.
        ("/blobs/", What::Stall, "no answer for 1 seconds"),
    ] {
        registry.fault("GET", path, 9, what.clone());
        let begun = Instant::now();
        let run = fresh(test).run(["lock"]).status(5);
        assert!(run.err.contains(said), "{what:?}: {}", run.err);
        assert!(begun.elapsed() < Duration::from_secs(15), "{what:?}: {:?}", begun.elapsed());
        registry.forget_faults();
        test = run.then();
    }
    // Slow is not too slow.
    registry.fault("GET", "/manifests/", 1, What::Trickle(Duration::from_micros(200)));
    fresh(test).run(["lock"]).status(0);
}

#[test]
fn an_upload_that_is_hardly_taken_is_given_up() {
    let other = Registry::start();
    // More than the sockets between hold.
    let layer: Vec<u8> = {
        let mut state = 7_u64;
        std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 56) as u8
        })
        .take(24 << 20)
        .collect()
    };
    let (test, _) = artifact(Test::new(), "chart", &layer);
    let test = test.file(
        "site.toml",
        format!(
            "attempts = 2\ntimeout = 2\nbackoff = 1\n[registry.\"{}\"]\nplain-http = true\n",
            other.host()
        ),
    );
    let config = test.path("site.toml").to_str().unwrap().to_owned();
    let test = test.env("COOPER_CONFIG", &config);
    let to = format!("docker://{}/x/chart:1", other.host());
    other.fault("PUT", "/uploads/", 9, What::TrickleUpload(Duration::from_millis(20)));
    let begun = Instant::now();
    let run = test.run(["copy", "oci:chart:1", &to]).status(5);
    assert!(run.err.contains("no answer for 2 seconds"), "{}", run.err);
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[test]
fn what_begins_anew_each_time_is_given_up() {
    let bytes: Vec<u8> = (0..8_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let (registry, test, path) = fetching(bytes, "");
    // Each attempt brings a megabyte more, and all before it again.
    registry.fault("GET", &path, 99, What::Again((1 << 20) + 1));
    let run = test.run(["lock"]).status(3);
    assert!(run.err.contains("from its beginning again each time"), "{}", run.err);
    assert!(registry.count("GET", &path) <= 4, "{}", registry.count("GET", &path));
    registry.forget_faults();
    // Once or twice it may; and where the rest comes as asked for, as often as it brings something.
    registry.fault("GET", &path, 2, What::Again(2 << 20));
    let test = run.then().run(["lock"]).status(0).then();
    registry.fault("GET", &path, 6, What::CutBody((1 << 20) + 1));
    let test = fresh(test).run(["lock"]).status(0).then();
    assert_eq!(registry.unused(), 0);
    test.run(["build", "--locked"]).status(0);
}

#[test]
fn what_never_ends_is_cut() {
    let (registry, mut test, path) = fetching(vec![b'x'; 2 << 20], "max-size = 1\n");
    for what in [What::Endless, What::Length(1 << 40), What::Length(0)] {
        registry.fault("GET", &path, 1, what.clone());
        let run = test.run(["lock"]).status(3);
        assert!(run.err.contains("more than 1048576 bytes") && run.err.contains("max-size"), "{}", run.err);
        let sent: usize = registry.requests().iter().map(|request| request.sent).sum();
        assert!(sent < 12 << 20, "{what:?}: {sent}");
        assert_eq!(std::fs::read_dir(run.test().store().join("blobs/sha256")).unwrap().count(), 0);
        registry.forget_faults();
        test = run.then();
    }
    let text = test.read("site.toml").replace("max-size = 1\n", "");
    let test = test.file("site.toml", text).run(["lock"]).status(0).then();
    // What a lock says the size of is that long, however little the site allows; and no longer.
    std::fs::remove_dir_all(test.store()).unwrap();
    let text = test.read("site.toml") + "max-size = 1\n";
    let mut test = test.file("site.toml", text).run(["build", "--locked"]).status(0).then();
    for what in [What::Endless, What::Length(1 << 40)] {
        std::fs::remove_dir_all(test.store()).unwrap();
        registry.fault("GET", &path, 1, what.clone());
        let run = test.run(["build", "--locked"]);
        assert!(matches!(run.code, Some(0 | 3 | 5)), "{what:?}: {}", run.err);
        let largest = registry.requests().iter().map(|request| request.sent).max().unwrap();
        assert!(largest < 20 << 20, "{largest}");
        registry.forget_faults();
        test = run.then();
    }
}

#[test]
fn patience_ends() {
    let (registry, test) = arranged();
    let patient = |test: Test, seconds: u32| {
        let text =
            site(&registry, "").replace("attempts = 3", &format!("attempts = 9\npatience = {seconds}"));
        test.file("site.toml", text)
    };
    let mut test = patient(test, 1);
    let late = Duration::from_millis(700);
    for (method, path, what, said) in [
        // Asks for more than there is.
        ("GET", "/v2/", What::retry_after(503, 30), "come back in 30 seconds"),
        ("GET", "/v2/", What::retry_after(429, 3), "come back in 3 seconds"),
        // Never answers, and fails at once the next time.
        ("GET", "/v2/", What::Stall, "it has let us wait for 1 seconds in all"),
        // Answers, each time late.
        ("GET", "/v2/", What::Delay(late), "it has let us wait for 1 seconds in all"),
        ("GET", "/manifests/", What::Delay(late), "it has let us wait for 1 seconds in all"),
    ] {
        registry.fault(method, path, 99, what.clone());
        let begun = Instant::now();
        let run = test.run(["lock"]);
        let told = format!("{what:?} after {:?}: {:?} {}", begun.elapsed(), run.code, run.err);
        assert!(begun.elapsed() < Duration::from_secs(12), "{told}");
        assert!(run.code == Some(5) && run.err.contains(said), "{told}");
        registry.forget_faults();
        test = fresh(run.then());
    }
    // Enough of it, and all is well.
    registry.fault("GET", "/v2/", 3, What::Delay(late));
    patient(test, 60).run(["lock"]).status(0);
}

#[test]
fn a_handshake_that_never_ends_is_given_up() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let open = std::thread::spawn(move || {
        let held: Vec<_> = listener.incoming().take(2).collect();
        std::thread::sleep(Duration::from_secs(8));
        drop(held);
    });
    let text = format!("attempts = 2\ntimeout = 1\nbackoff = 1\n[registry.\"{host}\"]\nplain-http = false\n");
    let test = Test::new().file("site.toml", text);
    let config = test.path("site.toml").to_str().unwrap().to_owned();
    let begun = Instant::now();
    let from = format!("docker://{host}/a/b:1");
    let run = test.env("COOPER_CONFIG", &config).run(["copy", &from, "oci:out:1"]).status(5);
    assert!(begun.elapsed() < Duration::from_secs(7), "{:?}", begun.elapsed());
    assert!(run.err.contains("no answer for 1 seconds") && run.err.contains("tried 2 times"), "{}", run.err);
    open.join().unwrap();
}

/// A program on the `PATH` that is asked for the registry's credentials.
fn helper(test: Test, registry: &Registry, script: &str) -> Test {
    let config = format!("{{\"credHelpers\": {{\"{}\": \"test\"}}}}", registry.host());
    let test = test.file("bin/docker-credential-test", script).file("docker/config.json", config);
    let program = test.path("bin/docker-credential-test");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = format!("{}:{}", test.path("bin").display(), std::env::var("PATH").unwrap());
    let docker = test.path("docker").to_str().unwrap().to_owned();
    test.env("PATH", &path).env("DOCKER_CONFIG", &docker)
}

#[test]
fn helpers_say_what_they_have_to_say() {
    let (registry, mut test) = arranged();
    registry.set(|settings| settings.auth = Auth::Basic("me".into(), "secret".into()));
    let answer = "echo '{\"ServerURL\": \"x\", \"Username\": \"me\", \"Secret\": \"secret\"}'";
    for (script, code, said) in [
        (format!("#!/bin/sh\n{answer}\n"), 0, ""),
        // What it leaves behind is waited for by nobody.
        (format!("#!/bin/sh\nsleep 50 >/dev/null &\n{answer}\n"), 0, ""),
        ("#!/bin/sh\nexec cat /dev/zero\n".to_owned(), 5, "more than 1048576 bytes"),
        ("#!/bin/sh\nyes >&2 &\necho no; exit 1\n".to_owned(), 5, "docker-credential-test failed"),
        (format!("#!/bin/sh\n{answer}\nexit 1\n"), 5, "docker-credential-test failed"),
        ("#!/bin/sh\necho '{\"Secret\": \"secret\"'\n".to_owned(), 5, "gave no credentials"),
        ("#!/no/such/shell\n".to_owned(), 5, "can't be run"),
    ] {
        let begun = Instant::now();
        let run = helper(test, &registry, &script).run(["lock"]);
        assert_eq!(run.code, Some(code), "{script}: {}", run.err);
        assert!(run.err.contains(said) && !run.err.contains("secret"), "{script}: {}", run.err);
        assert!(begun.elapsed() < Duration::from_secs(15), "{script}");
        test = fresh(run.then());
    }
}

/// A layout with one manifest of a config and a layer that are no image's.
fn artifact(test: Test, dir: &str, layer: &[u8]) -> (Test, Value) {
    let path = test.path(dir);
    std::fs::create_dir_all(path.join("blobs/sha256")).unwrap();
    let (config, _) = blob(&path, "application/vnd.cncf.helm.config.v1+json", b"{}");
    let (layer, _) = blob(&path, "application/vnd.cncf.helm.chart.content.v1.tar+gzip", layer);
    let manifest = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer] });
    let (root, _) = blob(&path, MANIFEST, manifest.to_string().as_bytes());
    (rooted(test, dir, &root), root)
}

/// Makes a descriptor the layout's only image, called 1.
fn rooted(test: Test, dir: &str, root: &Value) -> Test {
    let mut root = root.clone();
    root["annotations"] = json!({ "org.opencontainers.image.ref.name": "1" });
    let index = json!({ "schemaVersion": 2, "manifests": [root] });
    test.file(&format!("{dir}/oci-layout"), "{\"imageLayoutVersion\": \"1.0.0\"}")
        .file(&format!("{dir}/index.json"), index.to_string())
}

#[test]
fn what_is_not_understood_is_not_copied() {
    let to = Registry::start();
    let (registry, test) = arranged();
    let text = site(&registry, &format!("[registry.\"{}\"]\nplain-http = true\n", to.host()));
    let mut test = test.file("site.toml", text);
    let (_, image) = registry.manifest("lib/base", "1").unwrap();
    let below: Value = serde_json::from_slice(&image).unwrap();
    let page = b"<!DOCTYPE html><title>Log in</title>".to_vec();
    let old =
        json!({ "schemaVersion": 1, "name": "x", "tag": "1", "fsLayers": [{ "blobSum": "sha256:00" }] });
    let old = old.to_string().into_bytes();
    let schema = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    let artifact_manifest = "application/vnd.oci.artifact.manifest.v1+json";
    let strange = [
        (schema, &old),
        ("application/vnd.docker.distribution.manifest.v1+json", &old),
        (artifact_manifest, &b"{\"blobs\": []}".to_vec()),
        ("application/json", &old),
        ("application/vnd.oci.image.layer.v1.tar+gzip", &page),
        ("application/octet-stream", &page),
        ("text/plain; charset=utf-8", &page),
        ("text/html", &page),
        ("text/html; charset=utf-8", &page),
        ("TEXT/HTML", &page),
    ];
    let from = format!("docker://{}/lib/strange:1", registry.host());
    let places = ["oci:out:1".to_owned(), "oci-archive:out.tar".into(), "docker-archive:o.tar:x/y:1".into()];
    let pushed = format!("docker://{}/x/y:1", to.host());
    for (media_type, bytes) in strange {
        let name = media_type.split(';').next().unwrap().to_lowercase();
        for place in places.iter().chain([&pushed]) {
            registry.put_manifest("lib/strange", "1", media_type, bytes.clone());
            let run = test.run(["copy", &from, place]).status(3);
            assert!(
                run.err.contains(&name) && run.err.contains(registry.host()),
                "{media_type}: {}",
                run.err
            );
            test = run.then();
        }
        // As a child of an index that is sound, at any depth.
        let digest = registry.put_manifest("lib/strange", "", media_type, bytes.clone());
        let child = json!({ "mediaType": media_type, "digest": digest.to_string(), "size": bytes.len() });
        let mut children = below["manifests"].as_array().unwrap().clone();
        children.push(child.clone());
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": children }).to_string();
        for child in below["manifests"].as_array().unwrap() {
            let digest = child["digest"].as_str().unwrap();
            let (kind, bytes) = registry.manifest("lib/base", digest).unwrap();
            registry.put_manifest("lib/strange", "", &kind, bytes);
        }
        registry.put_manifest("lib/strange", "1", INDEX, index.clone().into_bytes());
        let run = test.run(["copy", &from, "oci:out:1"]).status(3);
        assert!(run.err.to_lowercase().contains(&name), "{media_type}: {}", run.err);
        test = run.then();
        // In a layout, too.
        let path = test.path("strange");
        std::fs::create_dir_all(path.join("blobs/sha256")).unwrap();
        let (root, _) = blob(&path, media_type, bytes);
        test = rooted(test, "strange", &root);
        let run = test.run(["copy", "oci:strange:1", "oci:out:1"]).status(3);
        assert!(run.err.to_lowercase().contains(&name) && run.err.contains("oci:strange"), "{}", run.err);
        test = run.then().remove("strange");
    }
    assert!(["out", "out.tar", "o.tar"].iter().all(|path| !test.path(path).exists()));
    assert_eq!(to.requests().iter().filter(|it| it.method != "HEAD" && it.method != "GET").count(), 0);
}

#[test]
fn artifacts_are_copied_whole() {
    let (registry, test) = arranged();
    let to = format!("docker://{}/x/chart:1", registry.host());
    let (test, chart) = artifact(test, "chart", b"a chart");
    let test = test.run(["copy", "oci:chart:1", &to]).status(0).then();
    let test = test.run(["copy", &to, "oci:back:1"]).status(0).then();
    let blobs =
        |test: &Test, dir: &str| std::fs::read_dir(test.path(dir).join("blobs/sha256")).unwrap().count();
    assert_eq!(blobs(&test, "back"), 3);
    // Below an index, with an attestation beside it, an index in it, and what is embedded.
    let path = test.path("chart");
    let empty = json!({ "mediaType": "application/vnd.oci.empty.v1+json", "size": 2, "data": "e30=",
        "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a" });
    let signature = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "artifactType": "application/x.sig",
        "config": empty, "layers": [empty], "subject": chart });
    let (mut signature, _) = blob(&path, MANIFEST, signature.to_string().as_bytes());
    signature["platform"] = json!({ "os": "unknown", "architecture": "unknown" });
    let inner = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [chart] });
    let (inner, _) = blob(&path, INDEX, inner.to_string().as_bytes());
    let outer = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [inner, signature] });
    let (outer, _) = blob(&path, INDEX, outer.to_string().as_bytes());
    let test = rooted(test, "chart", &outer).run(["copy", "oci:chart:1", "oci:all:1"]).status(0).then();
    assert_eq!(blobs(&test, "all"), 6);
}

#[test]
fn a_page_for_people_is_no_answer() {
    let (registry, test) = arranged();
    let publish = format!("[publish]\nrepository = \"{}/shop/web\"\n", registry.host());
    let text = test.read("cooper.toml") + &publish;
    let mut test = test.file("cooper.toml", text).run(["lock"]).status(0).then();
    let page = |status| {
        let html = vec![("content-type", "text/html; charset=UTF-8".to_owned())];
        What::Status(status, html, "<html>Log in</html>".to_owned())
    };
    for (method, path, arguments) in [
        ("", "/v2/", &["push"][..]),
        ("HEAD", "/manifests/", &["push"]),
        ("HEAD", "/blobs/", &["push"]),
        ("POST", "/uploads/", &["push"]),
        ("PUT", "/manifests/", &["push"]),
        ("GET", "/manifests/", &["update", "--all"]),
        ("GET", "/manifests/", &["pull", "--all"]),
    ] {
        registry.fault(method, path, 99, page(if method == "POST" { 202 } else { 200 }));
        let run = test.run(arguments.iter().copied()).status(3);
        assert!(run.err.contains("text/html") && run.err.contains("login?"), "{method} {path}: {}", run.err);
        registry.forget_faults();
        test = run.then();
    }
    test.run(["push"]).status(0);
}

/// Quay says of each answer without a type of its own that it is a page.
#[test]
fn what_only_a_registry_says_is_no_page() {
    for (method, path) in [("POST", "/uploads/"), ("PATCH", "/uploads/"), ("PUT", "/"), ("HEAD", "/blobs/")] {
        let (registry, test) = arranged();
        let publish = format!("[publish]\nrepository = \"{}/shop/web\"\n", registry.host());
        let text = test.read("cooper.toml") + &publish;
        let test = test.file("cooper.toml", text).run(["lock"]).status(0).then();
        registry.fault(
            method,
            path,
            99,
            What::Header("content-type", Some("text/html; charset=utf-8".to_owned())),
        );
        test.run(["push"]).status(0);
    }
}

#[test]
fn a_substitute_that_cannot_be_opened_is_passed_over() {
    let (_registry, test) = arranged();
    let mut test = test
        .run(["lock"])
        .status(0)
        .then()
        .file("empty/x", "")
        .file("newer/oci-layout", "{\"imageLayoutVersion\": \"9.0\"}")
        .file("broken/oci-layout", "{\"imageLayoutVersion\": \"1.0.0\"}")
        .file("broken/index.json", "{\"schemaVersion\": 2")
        .file("half/oci-layout", "{\"imageLayoutVersion\": \"1.0.0\"}")
        .file("junk.tar", "junk".repeat(400))
        .file("packed.tar", b"\x1f\x8b\x08\0".repeat(200));
    for place in [
        "oci:missing",
        "oci:missing/deeper:1",
        "oci:empty",
        "oci:newer",
        "oci:broken",
        "oci:half",
        "oci:junk.tar",
        "oci-archive:missing.tar",
        "oci-archive:junk.tar",
        "oci-archive:packed.tar",
        "docker-archive:missing.tar",
        "docker-archive:empty",
    ] {
        std::fs::remove_dir_all(test.store()).unwrap();
        let run = test.run(["build", "--locked", "--offline", "--substitute", place]).status(0);
        let told = run.err.matches("is passed over").count();
        assert!(told == 1 && run.err.contains(place.split(':').next().unwrap()), "{place}: {}", run.err);
        test = run.then();
    }
    // The others are asked all the same, and what can never be one is a mistake.
    let run = test.env("COOPER_SUBSTITUTE", "oci:missing oci:empty").run(["build", "--offline"]).status(0);
    assert_eq!(run.err.matches("is passed over").count(), 2, "{}", run.err);
    run.then().run(["build", "--substitute", "docker-daemon:x/y:1"]).status(2);
}

#[test]
fn what_was_written_is_no_suggestion() {
    let (registry, mut test) = arranged();
    for tag in ["latest", "1.0", "v1"] {
        let seed = test.path("seed");
        Layout::new(&["d 0755 0:0 etc\n"]).write(&seed, tag);
        registry.seed_layout("lib/tags", tag, &seed);
    }
    for (tag, meant) in [
        ("latest", None),
        ("1.0", None),
        ("v1", None),
        ("Latest", Some("latest")),
        ("lates", Some("latest")),
        ("1.1", Some("1.0")),
    ] {
        // It is listed, and not given.
        registry.fault("GET", &format!("/manifests/{tag}"), 1, What::status(404));
        let from = format!("docker://{}/lib/tags:{tag}", registry.host());
        let run = test.run(["copy", &from, "oci:out:1"]).status(4);
        match meant {
            Some(meant) => {
                assert!(run.err.contains(&format!("did you mean the tag {meant}?")), "{tag}: {}", run.err)
            }
            None => assert!(!run.err.contains("did you mean"), "{tag}: {}", run.err),
        }
        registry.forget_faults();
        test = run.then();
    }
}
