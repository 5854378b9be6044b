//! Registries that others wrote: Debian's docker-registry in the clear, behind TLS and a login, behind a server that hands
//! out tokens, and on a connection that breaks; and olareg, which has the referrers API.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cooperage::digest::Digest;
use cooperage::oci::base64;
use serde_json::{Value, json};

use super::engines::{self, installed};
use super::registries::{ME, TREE, large, recipe};
use super::registry::{Auth, Bearer, Make, Registry, Scopes, What};
use super::support::Test;

/// `htpasswd -Bbn me secret`
const HTPASSWD: &str = "me:$2y$05$.4B9wmstvjdlPDQw/OZPHu3q/lwQk0bYu6cpVNbhHlTblYQ/Z0adO\n";

/// A registry in a process of its own, killed when this is dropped.
struct Real {
    host: String,
    child: Child,
    /// What it stores, and says.
    _directory: Test,
}

impl Real {
    /// `serve` says how it is started in the directory, to listen on a port of 127.0.0.1.
    fn start(directory: Test, serve: impl Fn(u16) -> Vec<String>) -> Self {
        // A free port may be another's a moment later.
        for _ in 0..5 {
            let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
            let port = free.local_addr().unwrap().port();
            drop(free);
            // It ends with the test's thread, however that ends.
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "KILL"]).args(serve(port)).current_dir(directory.path(""));
            let log = File::create(directory.path("log")).unwrap();
            let child = command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn();
            let mut child = child.unwrap();
            for _ in 0..1000 {
                if child.try_wait().unwrap().is_some() {
                    break;
                }
                if TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() {
                    return Self { host: format!("127.0.0.1:{port}"), child, _directory: directory };
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            _ = child.kill();
            _ = child.wait();
        }
        panic!("it does not start:\n{}", directory.read("log"));
    }

    /// Debian's docker-registry, whose configuration has more below `http` and at its end.
    fn docker(directory: Test, http: &str, more: &str) -> Self {
        let file = directory.path("registry.yml");
        Self::start(directory, |port| {
            let text = format!(
                "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
                 storage: {{filesystem: {{rootdirectory: data}}}}\n\
                 http: {{addr: \"127.0.0.1:{port}\"{http}}}\n{more}"
            );
            fs::write(&file, text).unwrap();
            ["docker-registry", "serve", "registry.yml"].map(str::to_owned).to_vec()
        })
    }
}

impl Drop for Real {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A base in the registry, and a workspace with a recipe on it that is published there; `login` is what
/// `~/.docker/config.json` has for the registry, `site` what Cooper's configuration says of it.
fn arranged(host: &str, login: &str, site: &str) -> Test {
    let publish = format!("[publish]\nrepository = \"{host}/shop/{{{{ name }}}}\"\n");
    let test = Test::workspace().base("seed", "1", &[TREE, &large()]);
    let workspace = test.read("cooper.toml") + &publish;
    let tags = "[image]\ntags = [\"1.0\"]\n";
    let test = test
        .file("cooper.toml", workspace)
        .file("recipes/a/web/recipe.toml", recipe(&format!("{host}/lib/base:1")) + tags)
        .file("docker/config.json", format!("{{\"auths\": {{\"{host}\": {login}}}}}"))
        .file("site.toml", format!("backoff = 1\n[registry.\"{host}\"]\n{site}"));
    let at = |path: &str| test.path(path).to_str().unwrap().to_owned();
    let (config, docker) = (at("site.toml"), at("docker"));
    let test = test.env("COOPER_CONFIG", &config).env("DOCKER_CONFIG", &docker);
    test.run(["copy", "oci:seed:1", &format!("docker://{host}/lib/base:1")]).status(0).then().remove("seed")
}

/// Locked, built, pushed and pulled, seen by skopeo as Cooper sees it; nothing hangs on what the store has. `done` is told
/// of each verb.
fn lives(test: Test, host: &str, mut done: impl FnMut(&str)) {
    let emptied = |test: Test| {
        fs::remove_dir_all(test.store()).unwrap();
        test
    };
    let test = test.run(["lock"]).status(0).then();
    done("lock");
    let test = emptied(test).run(["build", "--locked", "--offline"]).status(0).then();
    done("build");
    let run = test.run(["push", "--format", "json"]).status(0);
    done("push");
    let pushed = run.json()["pushed"][0].clone();
    let digest = pushed["digest"].as_str().unwrap().to_owned();
    // The base's two layers came from its repository; two configs, two manifests and an index travelled, and the layer of
    // the recipe, which both platforms have.
    assert_eq!((&pushed["moved"]["mounted"], &pushed["moved"]["blobs"]), (&json!(2), &json!(6)), "{pushed}");
    let run = run.then().run(["push", "--format", "json"]).status(0);
    let again = &run.json()["pushed"][0];
    assert_eq!((&again["digest"], &again["moved"]["bytes"]), (&json!(digest), &json!(0)), "{again}");
    assert_eq!((&again["moved"]["blobs"], &again["moved"]["mounted"]), (&json!(0), &json!(0)), "{again}");
    done("push again");
    let run = emptied(run.then()).run(["pull", "--format", "json"]).status(0);
    assert_eq!(run.json()["pulled"][0]["digest"], digest, "{}", run.out);
    done("pull");
    let test = run.then().run(["store", "verify"]).status(0).then();

    let skopeo =
        |arguments: &[&str]| engines::run(Command::new("skopeo").current_dir(test.path("")).args(arguments));
    let (published, logins) = (format!("docker://{host}/shop/web:1.0"), "docker/config.json");
    let inspect = ["inspect", "--authfile", logins, "--tls-verify=false", &published];
    assert_eq!(Digest::of(&skopeo(&[&inspect[..], &["--raw"]].concat())).to_string(), digest);
    let told = skopeo(&[&inspect[..], &["--format", "{{.Digest}}"]].concat());
    assert_eq!(String::from_utf8(told).unwrap().trim(), digest);
    let copy = ["copy", "--all", "--src-authfile", logins, "--src-tls-verify=false", &published];
    skopeo(&[&copy[..], &["oci:copied:1"]].concat());
    let index: Value = serde_json::from_str(&test.read("copied/index.json")).unwrap();
    assert_eq!(index["manifests"][0]["digest"], digest);
}

/// `NAME.pem` and `NAME.key`; it signs itself unless there is more to say.
fn certificate(test: &Test, name: &str, more: &[&str]) {
    let (subject, pem, key) = (format!("/CN={name}"), format!("{name}.pem"), format!("{name}.key"));
    let mut command = Command::new("openssl");
    command.args(["req", "-x509", "-nodes", "-days", "2", "-subj", &subject, "-out", &pem, "-keyout", &key]);
    engines::run(command.args(more).current_dir(test.path("")));
}

#[test]
fn in_the_clear() {
    if !installed(&["setpriv", "docker-registry", "skopeo"]) {
        return;
    }
    let registry = Real::docker(Test::new(), "", "");
    lives(arranged(&registry.host, "{}", ""), &registry.host, |_| {});
}

#[test]
fn with_the_referrers_api() {
    // Debian hasn't got it: `go install github.com/olareg/olareg/cmd/olareg@v0.1.2`.
    if !installed(&["setpriv", "olareg", "skopeo"]) {
        return;
    }
    let registry = Real::start(Test::new(), |port| {
        let port = port.to_string();
        ["olareg", "serve", "--addr", "127.0.0.1", "--port", &port, "--dir", "."].map(str::to_owned).to_vec()
    });
    lives(arranged(&registry.host, "{}", ""), &registry.host, |_| {});
}

#[test]
fn behind_tls_and_a_login() {
    if !installed(&["setpriv", "docker-registry", "skopeo", "openssl"]) {
        return;
    }
    let directory = Test::new().file("htpasswd", HTPASSWD);
    let key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
    certificate(&directory, "ca", &key);
    let signed = ["-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "subjectAltName=IP:127.0.0.1", "-addext"];
    certificate(&directory, "server", &[&key[..], &signed, &["basicConstraints=critical,CA:FALSE"]].concat());
    let ca = format!("ca = {:?}\n", directory.path("ca.pem"));
    let tls = ", tls: {certificate: server.pem, key: server.key}";
    let registry = Real::docker(directory, tls, "auth: {htpasswd: {realm: here, path: htpasswd}}\n");
    let host = registry.host.as_str();
    let test = arranged(host, ME, &ca);

    let (login, site) = (test.read("docker/config.json"), test.read("site.toml"));
    let run = test.file("site.toml", "").run(["lock"]).status(5);
    assert!(run.err.contains("invalid peer certificate") && run.err.contains(host), "{}", run.err);
    let mut test = run.then().file("site.toml", site);
    // me:wrong
    for other in ["{}".to_owned(), login.replace("bWU6c2VjcmV0", "bWU6d3Jvbmc=")] {
        let run = test.file("docker/config.json", other).run(["lock"]).status(5);
        assert!(run.err.contains("401") && run.err.contains("docker login"), "{}", run.err);
        assert!(run.err.contains(host), "{}", run.err);
        test = run.then();
    }
    lives(test.file("docker/config.json", login), host, |_| {});
}

/// A JSON Web Token as docker-registry wants it, good for a minute from so many seconds after now.
fn token(directory: &Path, scopes: &Scopes, from: i64) -> String {
    let encoded = |bytes: &[u8]| base64(bytes).trim_end_matches('=').replace('+', "-").replace('/', "_");
    let pem = fs::read_to_string(directory.join("tokens.pem")).unwrap();
    let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let access: Vec<Value> = scopes
        .iter()
        .map(|(name, actions)| json!({ "type": "repository", "name": name, "actions": actions }))
        .collect();
    let from = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap() + from;
    let head = json!({ "typ": "JWT", "alg": "RS256", "x5c": [der] });
    let claims = json!({
        "iss": "tests", "sub": "me", "aud": "images", "jti": "1", "nbf": from, "iat": from, "exp": from + 60,
        "access": access,
    });
    let text = format!("{}.{}", encoded(head.to_string().as_bytes()), encoded(claims.to_string().as_bytes()));
    let mut command = Command::new("openssl");
    command.args(["dgst", "-sha256", "-sign", "tokens.key"]).current_dir(directory);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let signature = child.wait_with_output().unwrap();
    assert!(signature.status.success());
    format!("{text}.{}", encoded(&signature.stdout))
}

#[test]
fn behind_a_token_server() {
    if !installed(&["setpriv", "docker-registry", "skopeo", "openssl"]) {
        return;
    }
    let directory = Test::new();
    certificate(&directory, "tokens", &["-newkey", "rsa:2048"]);
    // Of the registry in this process only its `/token` is of use here.
    let server = Registry::start();
    let make: Make = |at, scopes| token(at, scopes, 0);
    let make = Some((directory.path(""), make));
    // Cooper counts on so much less than the token says that it fetches new ones in between.
    let lifetime = Some(Duration::from_secs(1));
    let bearer = Bearer { make, lifetime, ..Bearer::new("me", "secret") };
    server.set(|settings| settings.auth = Auth::Bearer(bearer));
    let auth = format!(
        "auth: {{token: {{realm: \"http://{}/token\", service: images, issuer: tests, \
         rootcertbundle: tokens.pem}}}}\n",
        server.host()
    );
    let scopes = Scopes::from([("lib/base".to_owned(), BTreeSet::from(["pull".to_owned()]))]);
    let old = json!({ "token": token(&directory.path(""), &scopes, -3600), "expires_in": 300 });
    let registry = Real::docker(directory, "", &auth);
    let host = registry.host.as_str();
    let test = arranged(host, ME, "");
    let login = test.read("docker/config.json");
    let run = test.file("docker/config.json", "{}").run(["lock"]).status(5);
    assert!(run.err.contains("401") && run.err.contains("docker login"), "{}", run.err);

    let mut seen = server.requests().len();
    // Whatever it says of itself, the first token is refused; the second is not.
    server.fault("GET", "/token", 1, What::Bytes(old.to_string().into_bytes()));
    lives(run.then().file("docker/config.json", login), host, |verb| {
        let requests = server.requests().split_off(seen);
        seen += requests.len();
        assert!(requests.iter().all(|request| request.path.starts_with("/token?service=images&scope=")));
        assert!(requests.iter().all(|request| request.headers.contains_key("authorization")));
        let scopes = requests.iter().flat_map(|request| request.path.split("&scope=").skip(1));
        // docker-registry says them in any order.
        let scopes: BTreeSet<String> = scopes.map(|scope| scope.replace("push,pull", "pull,push")).collect();
        let (base, own) = ("repository:lib/base:pull", "repository:shop/web:pull,push");
        let expected = match verb {
            "lock" => vec![base],
            "build" => Vec::new(),
            "push" => vec![base, own],
            "push again" => vec![own],
            _ => vec!["repository:shop/web:pull"],
        };
        assert_eq!(scopes.into_iter().collect::<Vec<_>>(), expected, "{verb}");
    });
    assert_eq!(server.unused(), 0);
}

/// Passes bytes on to a registry, and keeps what is asked; told to, it cuts the next connection that brings many.
#[derive(Default)]
struct Proxy {
    asked: Mutex<Vec<u8>>,
    cuts: AtomicBool,
}

impl Proxy {
    fn start(self: &Arc<Self>, to: &str) -> String {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let (proxy, to) = (Arc::clone(self), to.to_owned());
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let (client, server) = (client.unwrap(), TcpStream::connect(&to).unwrap());
                let (from, into) = (client.try_clone().unwrap(), server.try_clone().unwrap());
                let up = Arc::clone(&proxy);
                std::thread::spawn(move || {
                    pump(&from, &into, |bytes| {
                        up.asked.lock().unwrap().extend(bytes);
                        true
                    });
                });
                let (down, mut passed) = (Arc::clone(&proxy), 0);
                std::thread::spawn(move || {
                    pump(&server, &client, |bytes| {
                        passed += bytes.len();
                        passed < 100_000 || !down.cuts.swap(false, Ordering::Relaxed)
                    });
                });
            }
        });
        host
    }
}

/// Until either end closes, or `goes_on` says no.
fn pump(mut from: &TcpStream, mut to: &TcpStream, mut goes_on: impl FnMut(&[u8]) -> bool) {
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() || !goes_on(&buffer[..count]) {
            break;
        }
    }
    _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
}

#[test]
fn where_the_connection_breaks() {
    if !installed(&["setpriv", "docker-registry"]) {
        return;
    }
    let registry = Real::docker(Test::new(), "", "");
    let proxy = Arc::new(Proxy::default());
    let host = proxy.start(&registry.host);
    let mut test = arranged(&host, "{}", "");
    let from = format!("docker://{host}/lib/base:1");
    for arguments in [&["lock"][..], &["copy", &from, "oci:out:1"]] {
        proxy.asked.lock().unwrap().clear();
        proxy.cuts.store(true, Ordering::Relaxed);
        test = test.run(arguments.iter().copied()).status(0).then();
        assert!(!proxy.cuts.load(Ordering::Relaxed), "nothing was cut");
        // It went on where it broke.
        let asked = String::from_utf8_lossy(&proxy.asked.lock().unwrap()).into_owned();
        let range = asked.split_once("range: bytes=").unwrap_or_else(|| panic!("{asked}")).1;
        let from: usize = range.split_once('-').unwrap().0.parse().unwrap();
        assert!((90_000..110_000).contains(&from), "{from}");
    }
    for blob in fs::read_dir(test.path("out/blobs/sha256")).unwrap() {
        let blob = blob.unwrap();
        assert_eq!(Digest::of(&fs::read(blob.path()).unwrap()).hex(), blob.file_name().to_str().unwrap());
    }
    test.run(["store", "verify"]).status(0);
}
