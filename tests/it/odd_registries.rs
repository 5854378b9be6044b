//! Registries, proxies and logins that are in order and yet unlike the one that everybody tries first.

use std::io::{BufRead, BufReader, Write};
use std::sync::mpsc::{Receiver, channel};

use super::pushes::{TAGS, digest_of, published};
use super::registries::{ME, arranged, login, proxy, recipe, site};
use super::registry::{Auth, Bearer, Registry, What};
use super::support::Test;

/// Pushes something new, which must succeed, and gives what was pushed.
#[track_caller]
fn pushes(registry: &Registry, test: Test, number: usize) -> Test {
    let text = test.read("recipes/a/web/recipe.toml");
    let text = text.lines().map(|line| match line.starts_with("text = ") {
        true => format!("text = \"hello {number}\"\n"),
        false => format!("{line}\n"),
    });
    let text: String = text.collect();
    let test = test.file("recipes/a/web/recipe.toml", text).run(["push", "--move-tags"]).status(0).then();
    let digest = digest_of(&test.read("lockfiles/a/web.lock"), "prod");
    assert!(registry.tags("shop/a-web").values().all(|tag| tag.to_string() == digest));
    test
}

#[test]
fn an_empty_body_has_a_length() {
    // The registry answers 411 otherwise.
    let (registry, test) = published(TAGS);
    let test = pushes(&registry, test, 0);
    // Where nothing is mounted, where a redirect leads, and once more after a refusal.
    registry.set(|settings| settings.mount = false);
    let near = format!("http://localhost:{}{{path}}", registry.host().rsplit_once(':').unwrap().1);
    registry.fault("POST", "/uploads/", 1, What::Redirect(near)).fault(
        "POST",
        "/uploads/",
        1,
        What::status(503),
    );
    let test = pushes(&registry, test, 1);
    registry.set(|settings| settings.auth = Auth::Bearer(Bearer::new("me", "secret")));
    let test = pushes(&registry, login(test, &registry, ME), 2);
    let posts: Vec<_> = registry.requests().into_iter().filter(|request| request.method == "POST").collect();
    assert!(posts.len() > 6 && posts.iter().all(|post| post.headers["content-length"] == "0"), "{posts:#?}");
    assert!(posts.iter().any(|post| post.headers["host"].starts_with("localhost")));
    drop(test);
}

#[test]
fn what_cannot_be_asked_for_is_sent() {
    let (registry, mut test) = published(TAGS);
    let mut number = 0;
    for status in [400, 403, 405, 406, 410, 501] {
        for path in ["/blobs/", "/manifests/", "/v2/"] {
            registry.fault("HEAD", path, 999, What::status(status));
            number += 1;
            test = pushes(&registry, test, number);
            registry.forget_faults();
        }
    }
    // Who may write, but not read.
    registry.fault("HEAD", "/manifests/", 999, What::status(403)).fault(
        "GET",
        "/manifests/",
        999,
        What::status(403),
    );
    test = pushes(&registry, test, 97);
    registry.forget_faults();
    // Blobs lie in storage that answers GET alone.
    let storage = Registry::start();
    storage.fault("HEAD", "/", 999, What::status(403));
    let elsewhere = format!("http://{}{{path}}", storage.host());
    registry.fault("HEAD", "/blobs/", 999, What::Redirect(elsewhere));
    test = pushes(&registry, test, 98);
    assert!(storage.count("HEAD", "/blobs/") > 0);
    registry.forget_faults();
    // What is no "not known" ends it.
    registry.fault("HEAD", "/blobs/", 999, What::status(418));
    let text = test.read("recipes/a/web/recipe.toml").replace("hello 98", "hello 99");
    let run = test.file("recipes/a/web/recipe.toml", text).run(["push", "--move-tags"]).status(5);
    assert!(run.err.contains("418"), "{}", run.err);
}

/// `/v2/shop/a-web/blobs/uploads/upload-1?_state=…`: what is behind `uploads/`.
fn end(location: &str) -> &str {
    location.rsplit_once('/').unwrap().1
}

#[test]
fn where_an_upload_goes_on() {
    let (registry, mut test) = published(TAGS);
    registry.set(|settings| settings.mount = false);
    let ways: [fn(&str) -> String; 9] = [
        |it| end(it).to_owned(),
        |it| format!("./{}", end(it)),
        |it| format!("../uploads/{}", end(it)),
        |it| format!("../../../../../v2/shop/./x/../a-web/blobs/uploads/{}", end(it)),
        |it| format!("/v2/nowhere/..{}", it.strip_prefix("/v2").unwrap()),
        |it| format!("{it}&"),
        |it| format!("{it}#fragment"),
        |it| format!("{it}&from=https://other.example/../x"),
        |it| format!("  {it}  "),
    ];
    for (number, way) in ways.into_iter().enumerate() {
        registry.fault("POST", "/uploads/", 999, What::Location(way));
        test = pushes(&registry, test, number);
        registry.forget_faults();
    }
    // In full, however scheme and host are written.
    registry.set(|settings| settings.absolute_locations = true);
    let ways: [fn(&str) -> String; 4] = [
        |it| it.replace("http:", "HTTP:"),
        |it| it.replace("http:", ""),
        |it| it.replace("127.0.0.1", "localhost"),
        |it| it.replace("127.0.0.1", "LocalHost").replace("/v2/", "/../v2/"),
    ];
    for (number, way) in ways.into_iter().enumerate() {
        registry.fault("POST", "/uploads/", 999, What::Location(way));
        test = pushes(&registry, test, 20 + number);
        registry.forget_faults();
    }
    let bad: [fn(&str) -> String; 4] = [
        |_| "ftp://127.0.0.1/x".to_owned(),
        |it| it.replace("127.0.0.1", "me:secret@127.0.0.1"),
        |_| "http://".to_owned(),
        |_| "upload:1".to_owned(),
    ];
    for (number, way) in bad.into_iter().enumerate() {
        registry.fault("POST", "/uploads/", 999, What::Location(way));
        let text = test.read("recipes/a/web/recipe.toml").replace("hello ", &format!("bad {number}"));
        let run = test.file("recipes/a/web/recipe.toml", text).run(["push", "--move-tags"]).status(3);
        assert!(run.err.contains("the upload should go to"), "{}", run.err);
        registry.forget_faults();
        test = run.then();
    }
}

#[test]
fn a_location_is_meant_by_whoever_answered() {
    let (registry, test) = published(TAGS);
    registry.set(|settings| settings.mount = false);
    let near = format!("http://localhost:{}{{path}}", registry.host().rsplit_once(':').unwrap().1);
    // Nothing in it says which host: it is that of the redirect.
    registry.fault("POST", "/uploads/", 1, What::Redirect(near));
    let test = pushes(&registry, test, 1);
    let first = registry.requests().iter().position(|request| request.status == 307).unwrap();
    let after = &registry.requests()[first + 1..];
    let hosts = |method: &str| {
        after
            .iter()
            .filter(|request| request.method == method && request.path.contains("/uploads/"))
            .map(|request| request.headers["host"].split(':').next().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert!(hosts("POST").contains(&"localhost".to_owned()), "{after:#?}");
    assert!(hosts("PUT").contains(&"localhost".to_owned()), "{after:#?}");
    drop(test);
}

#[test]
fn a_mount_that_fails_is_no_end() {
    let long = What::retry_after(429, 3600);
    let faults = [
        What::status(500),
        What::status(502),
        What::status(503),
        What::status(504),
        What::status(507),
        What::status(400),
        What::status(416),
        long,
        What::Close,
        What::Stall,
        What::Header("location", None),
        What::Status(200, Vec::new(), String::new()),
        What::Status(303, vec![("location", "/".to_owned())], String::new()),
    ];
    for what in faults {
        let (registry, test) = published(TAGS);
        registry.fault("POST", "mount=", 999, what.clone());
        if matches!(what, What::Header(..)) {
            registry.set(|settings| settings.mount = false);
        }
        let run = test.run(["push"]).status(0);
        assert!(!run.out.contains("mounted"), "{what:?}\n{}", run.out);
        assert!(registry.requests().iter().any(|it| it.method == "PUT" && it.received > 2000), "{what:?}");
    }
    // One that fails once is asked again.
    let (registry, test) = published(TAGS);
    registry.fault("POST", "mount=", 1, What::status(503));
    let run = test.run(["push"]).status(0);
    assert!(run.out.contains("mounted"), "{}", run.out);
}

#[test]
fn answers_of_many_kinds() {
    let cases: Vec<(&str, &str, What)> = vec![
        ("GET", "/v2/", What::Chunked),
        ("GET", "/manifests/", What::Header("docker-content-digest", None)),
        ("GET", "/manifests/", What::Header("docker-content-digest", Some("sha512:00".into()))),
        ("GET", "/manifests/", What::Header("docker-content-digest", Some("\"\"".into()))),
        ("HEAD", "/", What::Header("docker-content-digest", None)),
        ("HEAD", "/", What::Header("content-length", None)),
        ("POST", "/uploads/", What::Header("range", None)),
        ("POST", "/uploads/", What::Header("range", Some("bytes=0-0".into()))),
        ("POST", "/uploads/", What::Header("range", Some("0-18446744073709551615".into()))),
        ("POST", "/uploads/", What::Header("oci-chunk-min-length", Some("10000000".into()))),
        ("POST", "/uploads/", What::Chunked),
        ("PUT", "/", What::Chunked),
        ("PUT", "/", What::Header("docker-content-digest", None)),
        ("PUT", "/", What::Header("location", None)),
        ("", "/", What::Header("docker-distribution-api-version", None)),
    ];
    for (method, path, what) in cases {
        let (registry, test) = published(TAGS);
        registry.fault(method, path, 999, what.clone());
        let test =
            test.run(["lock"]).status(0).then().run(["push"]).status(0).then().run(["pull"]).status(0).then();
        assert_eq!(registry.tags("shop/a-web").len(), 2, "{what:?}");
        let from = format!("docker://{}/shop/a-web:1.0", registry.host());
        test.run(["copy", &from, "oci:out:1"]).status(0);
    }
}

#[test]
fn a_date_says_when_to_come_back() {
    let answer = |date: Option<&str>, after: &str| {
        let date = date.map(|date| ("date", date.to_owned()));
        let headers = date.into_iter().chain([("retry-after", after.to_owned())]).collect();
        What::Status(429, headers, String::new())
    };
    let now = Some("Tue, 01 Dec 2026 23:59:58 GMT");
    // An hour is too long, in each of the three ways.
    for after in
        ["Wed, 02 Dec 2026 00:59:58 GMT", "Wednesday, 02-Dec-26 00:59:58 GMT", "Wed Dec  2 00:59:58 2026"]
    {
        let (registry, test) = arranged();
        registry.fault("GET", "/manifests/", 1, answer(now, after));
        let run = test.run(["lock"]).status(5);
        assert!(run.err.contains("come back in 3600 seconds"), "{after}: {}", run.err);
    }
    // A second is waited for; what has passed, isn't a date, or can't be told without the server's clock is no reason.
    for (date, after, least) in [
        (now, "Wed, 02 Dec 2026 00:00:00 GMT", 2000),
        (now, "Sun, 06 Nov 1994 08:49:37 GMT", 0),
        (now, "tomorrow", 0),
        (now, "1.5", 0),
        (None, "Wed, 02 Dec 2126 00:00:00 GMT", 0),
        (Some("now"), "Wed, 02 Dec 2126 00:00:00 GMT", 0),
    ] {
        let (registry, test) = arranged();
        registry.fault("GET", "/manifests/", 1, answer(date, after));
        let began = std::time::Instant::now();
        drop(test.run(["lock"]).status(0));
        assert!(began.elapsed().as_millis() >= least, "{after}");
    }
}

#[test]
fn challenges_of_many_kinds() {
    let realm = |registry: &Registry| format!("http://{}/token", registry.host());
    let ways: [fn(&str) -> String; 9] = [
        |realm| format!("Bearer realm=\"{realm}\""),
        |realm| format!("bearer  Realm = \"{realm}\" ,\tSERVICE = \"a, b\""),
        |realm| format!("BEARER realm={realm},service=x"),
        |realm| format!("Negotiate, Basic realm=\"x\", Bearer service=\"x\",realm=\"{realm}\""),
        |realm| format!("Bearer realm=\"{realm}\",service=\"x\", Basic realm=\"y\""),
        |realm| format!("Negotiate\nBasic realm=\"x\"\nBearer realm=\"{realm}\",service=\"x\""),
        |realm| format!("Negotiate YWJj==, Bearer error=\"in\\\"valid\",realm=\"{realm}\""),
        |realm| format!("Bearer realm=\"{realm}\";service=\"x\";scope=\"\""),
        |_| "Bearer realm=\"/token\",service=\"x\"".to_owned(),
    ];
    for way in ways {
        let (registry, test) = arranged();
        registry.set(|settings| settings.auth = Auth::Bearer(Bearer::new("me", "secret")));
        let header = way(&realm(&registry));
        registry.fault("GET", "/v2/", 999, What::Header("www-authenticate", Some(header.clone())));
        let run = login(test, &registry, ME).run(["lock"]);
        assert_eq!(run.code, Some(0), "{header}\n{}", run.err);
    }
    // Of Bearer without a place nothing can be had: Basic then, or the registry's own no.
    for (header, code) in [
        ("Bearer service=\"x\", Basic realm=\"y\"", 0),
        ("Bearer, Basic", 0),
        ("Bearer realm=\"\"\nBasic realm=\"y\"", 0),
        ("Bearer realm=\"\"", 5),
        ("Negotiate", 5),
        ("", 5),
    ] {
        let (registry, test) = arranged();
        registry.set(|settings| settings.auth = Auth::Basic("me".into(), "secret".into()));
        registry.fault("GET", "/v2/", 999, What::Header("www-authenticate", Some(header.to_owned())));
        let run = login(test, &registry, ME).run(["lock"]);
        assert_eq!(run.code, Some(code), "{header}\n{}", run.err);
        assert!(code == 0 || run.err.contains("401"), "{}", run.err);
    }
}

#[test]
fn tokens_of_many_kinds() {
    let ways: [fn(&str) -> String; 9] = [
        |it| it.replace("\"token\"", "\"x\""),
        |it| it.replace("\"access_token\"", "\"x\""),
        |it| it.replace("\"token\":", "\"token\":\"\",\"x\":"),
        |it| it.replace("\"token\":", "\"token\":null,\"x\":"),
        |it| it.replace("\"expires_in\":300", "\"expires_in\":0"),
        |it| it.replace("\"expires_in\":300", "\"expires_in\":1"),
        |it| it.replace("\"expires_in\":300", "\"expires_in\":-300"),
        |it| it.replace("\"expires_in\":300", "\"expires_in\":null"),
        |it| it.replace("\"expires_in\":300,", ""),
    ];
    for (number, way) in ways.into_iter().enumerate() {
        let (registry, test) = arranged();
        registry.set(|settings| settings.auth = Auth::Bearer(Bearer::new("me", "secret")));
        registry.fault("GET", "/token", 999, What::Rewrite(way));
        let test = login(test, &registry, ME).run(["lock"]).status(0).then();
        // One serves for all that is asked of a repository, at least for a minute.
        assert_eq!(registry.count("", "/token"), 1, "{number}: {:#?}", registry.requests());
        drop(test);
    }
}

/// A proxy that answers everything with this, and sends what it was asked.
fn stubborn(answer: &'static str) -> (String, Receiver<String>) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (tell, told) = channel();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let Ok(mut client) = client else { return };
            let mut reader = BufReader::new(client.try_clone().unwrap());
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or(0) == 0 || tell.send(line.clone()).is_err() {
                continue;
            }
            while reader.read_line(&mut line).unwrap_or(0) > 2 {
                line.clear();
            }
            _ = client.write_all(answer.as_bytes());
        }
    });
    (address, told)
}

/// A workspace on a base that only a proxy can reach.
fn behind(host: &str) -> (Registry, Test) {
    let (registry, test) = arranged();
    let site = format!("attempts = 1\ntimeout = 2\nbackoff = 1\n[registry.\"{host}\"]\nplain-http = true\n");
    let reference = format!("{host}/lib/base:1");
    (registry, test.file("site.toml", site).file("recipes/a/web/recipe.toml", recipe(&reference)))
}

#[test]
fn who_is_reached_without_a_proxy() {
    for (host, list, around) in [
        ("registry.invalid", "*", true),
        ("registry.invalid", "other.invalid, registry.invalid", true),
        ("registry.invalid", "other.invalid registry.invalid", true),
        ("registry.invalid", ".invalid", true),
        ("registry.invalid", ".registry.invalid", true),
        ("registry.invalid", "REGISTRY.invalid.", true),
        ("registry.invalid", "registry.invalid:80", true),
        ("registry.invalid:5000", "registry.invalid:5000", true),
        ("registry.invalid:5000", "registry.invalid", true),
        ("192.0.2.1:5000", "192.0.2.0/24", true),
        ("192.0.2.1:5000", "10.0.0.0/8,192.0.0.0/16", true),
        ("192.0.2.1:5000", "192.0.2.1:5000", true),
        ("registry.invalid", "", false),
        ("registry.invalid", "registry", false),
        ("registry.invalid", "istry.invalid", false),
        ("registry.invalid", "registry.invalid:5000", false),
        ("192.0.2.1:5000", "192.0.3.0/24,2.1", false),
    ] {
        let (registry, test) = behind(host);
        let (address, told) = proxy(registry.host());
        let run = test.env("http_proxy", &address).env("no_proxy", list).run(["lock"]);
        let asked = told.try_recv().is_ok();
        assert_eq!((asked, run.code == Some(0)), (!around, !around), "{host} {list:?}\n{}", run.err);
        assert!(!around || !run.err.contains("proxy 127"), "{}", run.err);
    }
    // This machine itself never is reached through one, and https has its own.
    let (registry, test) = arranged();
    let (address, told) = proxy(registry.host());
    let test = test.env("http_proxy", &address).env("HTTPS_PROXY", &address).run(["lock"]).status(0).then();
    assert!(told.try_recv().is_err());
    drop(test);
    let (_registry, test) = behind("registry.invalid");
    drop(test.env("HTTPS_PROXY", &address).run(["lock"]).status(5));
    assert!(told.try_recv().is_err());
}

#[test]
fn a_proxy_that_fails_is_named() {
    let (denies, _asked) =
        stubborn("HTTP/1.1 407 Proxy Authentication Required\r\ncontent-length: 0\r\n\r\n");
    let (broken, _asked) = stubborn("HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n");
    let userinfo = "http://me:secret@";
    for (variable, value, shown) in [
        ("HTTP_PROXY", "http://me:secret@127.0.0.1:1".to_owned(), "127.0.0.1:1 (HTTP_PROXY)"),
        ("http_proxy", "127.0.0.1:1".to_owned(), "127.0.0.1:1 (http_proxy)"),
        ("ALL_PROXY", "http://me:secret@proxy.invalid:3128/".to_owned(), "proxy.invalid:3128 (ALL_PROXY)"),
        ("HTTP_PROXY", format!("{userinfo}{denies}"), "407"),
        ("HTTP_PROXY", format!("{userinfo}{broken}"), "503"),
        ("HTTP_PROXY", "socks5://me:secret@127.0.0.1:1".to_owned(), "not SOCKS"),
        ("HTTP_PROXY", "http://me:secret@".to_owned(), "it takes http://HOST:PORT"),
    ] {
        let (registry, test) = behind("registry.example");
        let run = test.env(variable, &value).run(["lock"]).status(5);
        assert!(run.err.contains(shown) && run.err.contains(variable), "{value}: {}", run.err);
        assert!(run.err.contains("proxy") && !run.err.contains("secret"), "{value}: {}", run.err);
        assert_eq!(registry.requests().len(), 0);
    }
    // One that works is blamed for nothing that is the registry's.
    let (registry, test) = behind("registry.example");
    let (address, _told) = proxy(registry.host());
    registry.fault("GET", "/v2/", 9, What::status(500));
    let run = test.env("HTTP_PROXY", &address).run(["lock"]).status(5);
    assert!(run.err.contains("500") && !run.err.contains("proxy"), "{}", run.err);
}

#[test]
fn logins_of_many_kinds() {
    let (registry, mut test) = arranged();
    registry.set(|settings| settings.auth = Auth::Basic("me".into(), "secret".into()));
    let host = registry.host().to_owned();
    let dir = test.path("docker").to_str().unwrap().to_owned();
    test = test.env("DOCKER_CONFIG", &dir);
    let wrong = "{\"auth\": \"bWU6d3Jvbmc=\"}";
    for (config, code) in [
        (format!("{{\"auths\": {{\"https://{host}/v1/\": {ME}}}}}"), 0),
        (format!("{{\"auths\": {{\"http://{host}\": {ME}}}}}"), 0),
        (format!("{{\"auths\": {{\"HTTPS://{host}/v2/\": {ME}}}}}"), 0),
        (format!("{{\"auths\": {{\"{host}/\": {ME}}}}}"), 0),
        (format!("{{\"auths\": {{\"{host}/lib\": {ME}, \"{host}\": {wrong}}}}}"), 0),
        (format!("{{\"auths\": {{\"{host}/lib/base/\": {ME}, \"{host}/lib\": {wrong}}}}}"), 0),
        (format!("{{\"auths\": {{\"{host}/lib/base\": {wrong}, \"{host}\": {ME}}}}}"), 5),
        (format!("{{\"auths\": {{\"{host}/lib/other\": {wrong}, \"{host}\": {ME}}}}}"), 0),
        (format!("{{\"auths\": {{\"{host}/lib/base\": null, \"{host}\": {ME}}}}}"), 0),
        (format!("{{\"auths\": {{\"{host}\": {ME}}}, \"credHelpers\": null, \"credsStore\": null}}"), 0),
        (format!("{{\"auths\": {{\"{host}\": {ME}}}, \"credHelpers\": {{\"{host}\": null}}}}"), 0),
        (
            format!(
                "{{\"auths\": {{\"{host}\": {{\"auth\": \"bWU6\\nc2Vj\\r\\ncmV0\\n\", \"password\": null}}}}}}"
            ),
            0,
        ),
        (format!("\u{feff}{{\"auths\": {{\"{host}\": {ME}}}}}\n"), 0),
        ("{\"auths\": null}".to_owned(), 5),
        ("null".to_owned(), 5),
        (" \n".to_owned(), 5),
        (format!("{{\"auths\": {{\"{host}.example\": {ME}, \"x/{host}\": {ME}}}}}"), 5),
    ] {
        let run = test.file("docker/config.json", &config).run(["lock"]);
        assert_eq!(run.code, Some(code), "{config}\n{}", run.err);
        assert!(code == 0 || run.err.contains("401"), "{config}\n{}", run.err);
        test = run.then();
        _ = std::fs::remove_dir_all(test.path("lockfiles"));
        _ = std::fs::remove_dir_all(test.store());
    }
}

#[test]
fn a_site_is_found_however_its_port_is_written() {
    // What a site says of a host holds where a registry names it in full.
    let (registry, test) = published(TAGS);
    registry.set(|settings| settings.mount = false);
    let host = "registry.example";
    let (address, _told) = proxy(registry.host());
    let text = test.read("cooper.toml").replace(registry.host(), host);
    let test = test
        .file("site.toml", site(&registry, &format!("[registry.\"{host}\"]\nplain-http = true\n")))
        .file("cooper.toml", text)
        .env("HTTP_PROXY", &address);
    registry.set(|settings| settings.auth = Auth::Basic("me".into(), "secret".into()));
    registry.set(|settings| settings.absolute_locations = true);
    registry.fault(
        "POST",
        "/uploads/",
        999,
        What::Location(|it| {
            format!(
                "http://Registry.EXAMPLE:80/{}",
                it.split_once("://").unwrap().1.split_once('/').unwrap().1
            )
        }),
    );
    let dir = test.path("docker").to_str().unwrap().to_owned();
    let text = format!("{{\"auths\": {{\"{}\": {ME}, \"{host}\": {ME}}}}}", registry.host());
    let test = test.file("docker/config.json", text).env("DOCKER_CONFIG", &dir);
    drop(test.run(["push"]).status(0));
    assert!(
        registry.requests().iter().any(|it| it.method == "PUT" && it.headers["host"].contains("EXAMPLE"))
    );
}
