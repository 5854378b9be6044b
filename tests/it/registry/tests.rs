//! The registry itself: each endpoint, each way to log in, each fault, asked in raw HTTP.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use cooperage::digest::Digest;
use serde_json::{Value, json};

use super::{Auth, Bearer, Registry, What};
use crate::craft::{CONFIG, INDEX, LAYER, MANIFEST, descriptor};
use crate::support::Test;

struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    #[track_caller]
    fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{:?}\n{}", self.headers, String::from_utf8_lossy(&self.body));
        self
    }

    #[track_caller]
    fn has(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers))
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }

    #[track_caller]
    fn refused(self, status: u16, code: &str) {
        let answer = self.is(status);
        assert_eq!(answer.json()["errors"][0]["code"], code);
    }
}

/// A connection.
struct Client(BufReader<TcpStream>);

impl Client {
    fn new(registry: &Registry) -> Self {
        let stream = TcpStream::connect(registry.host()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        Self(BufReader::new(stream))
    }

    fn ask(&mut self, request: &str, headers: &[(&str, &str)], body: &[u8]) -> io::Result<Answer> {
        let mut head = format!("{request} HTTP/1.1\r\nHost: x\r\n");
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if !headers.iter().any(|(name, _)| *name == "Transfer-Encoding") {
            head.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        head.push_str("\r\n");
        self.0.get_mut().write_all(&[head.as_bytes(), body].concat())?;
        let mut answer = self.head()?;
        if answer.status == 100 {
            answer = self.head()?;
        }
        if let (Some(length), false) = (answer.headers.get("content-length"), request.starts_with("HEAD")) {
            answer.body = vec![0; length.parse().unwrap()];
            self.0.read_exact(&mut answer.body)?;
        }
        Ok(answer)
    }

    fn head(&mut self) -> io::Result<Answer> {
        let line = self.line()?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok());
        let mut headers = BTreeMap::new();
        while let Some((name, value)) = self.line()?.split_once(": ") {
            headers.insert(name.to_owned(), value.to_owned());
        }
        Ok(Answer { status: status.unwrap(), headers, body: Vec::new() })
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        match self.0.read_line(&mut line)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(line.trim_end().to_owned()),
        }
    }
}

/// On a connection of its own.
fn ask(registry: &Registry, request: &str) -> Answer {
    send(registry, request, &[], b"")
}

fn send(registry: &Registry, request: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    Client::new(registry).ask(request, headers, body).unwrap()
}

const BLOB: &[u8] = b"0123456789";

/// A registry in which a/b has [`BLOB`], and where to get it.
fn with_blob() -> (Registry, String) {
    let registry = Registry::start();
    let digest = registry.put_blob("a/b", BLOB);
    (registry, format!("GET /v2/a/b/blobs/{digest}"))
}

fn manifest(more: &Value) -> String {
    let (config, layers) = (descriptor(CONFIG, b"{}"), [descriptor(LAYER, BLOB)]);
    let mut it = json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
    it.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    it.to_string()
}

#[test]
fn pulls() {
    let (registry, get) = with_blob();
    ask(&registry, "GET /v2/").is(200);
    let test = Test::new().base("base", "1", &["f 0644 0:0 x y"]);
    let digest = registry.seed_layout("a/b", "1", &test.path("base"));
    let mut client = Client::new(&registry);
    for (method, reference) in [
        ("HEAD", "1"),
        ("GET", "1"),
        ("GET", &digest.to_string()),
        ("GET", &digest.to_string().replace(':', "%3A")),
    ] {
        let answer =
            client.ask(&format!("{method} /v2/a/b/manifests/{reference}"), &[], b"").unwrap().is(200);
        assert_eq!(
            (answer.has("docker-content-digest"), answer.has("content-type")),
            (&*digest.to_string(), INDEX)
        );
        let (_, bytes) = registry.manifest("a/b", "1").unwrap();
        assert_eq!(answer.has("content-length"), bytes.len().to_string());
        assert!(answer.body == if method == "HEAD" { Vec::new() } else { bytes });
    }
    let index: Value = serde_json::from_slice(&registry.manifest("a/b", "1").unwrap().1).unwrap();
    let child = index["manifests"][1]["digest"].as_str().unwrap();
    let child: Value = serde_json::from_slice(&registry.manifest("a/b", child).unwrap().1).unwrap();
    let layer = child["layers"][0]["digest"].as_str().unwrap();
    assert!(registry.blob("a/b", layer.parse().unwrap()).is_some());
    for (path, code) in [
        ("GET /v2/a/b/manifests/2", "MANIFEST_UNKNOWN"),
        ("GET /v2/c/manifests/1", "NAME_UNKNOWN"),
        ("GET /v2/c/tags/list", "NAME_UNKNOWN"),
        (&get.replace('0', "1"), "BLOB_UNKNOWN"),
        ("GET /v1/", "NOT_FOUND"),
    ] {
        ask(&registry, path).refused(404, code);
    }
    ask(&registry, "GET /v2/A/manifests/1").refused(400, "NAME_INVALID");
    ask(&registry, "GET /v2/a/b/blobs/md5:1").refused(400, "DIGEST_INVALID");
    let log = registry.requests();
    assert_eq!((log[1].path.as_str(), log[1].status, log[1].sent), ("/v2/a/b/manifests/1", 200, 0));
    assert_eq!(log[1].headers["host"], "x");
    assert_eq!((registry.count("GET", "/manifests/"), registry.count("", "/blobs/")), (6, 2));
}

#[test]
fn ranges() {
    let (registry, get) = with_blob();
    for (range, status, body, told) in [
        ("bytes=2-4", 206, &b"234"[..], "bytes 2-4/10"),
        ("bytes=7-", 206, b"789", "bytes 7-9/10"),
        ("bytes=7-99", 206, b"789", "bytes 7-9/10"),
        ("bytes=10-", 416, b"", "bytes */10"),
        ("bytes=4-2", 200, BLOB, ""),
        ("lines=1-2", 200, BLOB, ""),
    ] {
        let answer = send(&registry, &get, &[("Range", range)], b"").is(status);
        assert!(status == 416 || answer.body == body, "{range}");
        assert_eq!(answer.headers.get("content-range").map_or("", String::as_str), told);
    }
}

#[test]
fn blobs_are_pushed() {
    let registry = Registry::start();
    let digest = Digest::of(BLOB);
    let begin = "POST /v2/a/b/blobs/uploads/";
    let location = |answer: &Answer| answer.has("location").to_owned();
    // At once.
    let answer = send(&registry, &format!("{begin}?digest={digest}"), &[], BLOB).is(201);
    assert_eq!(location(&answer), format!("/v2/a/b/blobs/{digest}"));
    send(&registry, &format!("{begin}?digest={digest}"), &[], b"x").refused(400, "DIGEST_INVALID");
    // From another repository, if it has it.
    ask(&registry, &format!("POST /v2/c/blobs/uploads/?mount={digest}&from=a%2Fb")).is(201);
    assert_eq!(registry.blob("c", digest).unwrap(), BLOB);
    ask(&registry, &format!("POST /v2/d/blobs/uploads/?mount={digest}&from=x")).is(202);
    registry.set(|settings| settings.mount = false);
    ask(&registry, &format!("POST /v2/d/blobs/uploads/?mount={digest}&from=c")).is(202);
    // In pieces, the first one chunked.
    registry.set(|settings| settings.absolute_locations = true);
    let mut client = Client::new(&registry);
    let first = location(&client.ask("POST /v2/e/blobs/uploads/", &[], b"").unwrap().is(202));
    let first = first.strip_prefix(&format!("http://{}", registry.host())).unwrap();
    registry.set(|settings| settings.absolute_locations = false);
    let chunked = [("Transfer-Encoding", "chunked"), ("Expect", "100-continue")];
    let pieces = b"3\r\n012\r\n2;x=y\r\n34\r\n0\r\n\r\n";
    let second = client.ask(&format!("PATCH {first}"), &chunked, pieces).unwrap().is(202);
    assert_eq!(second.has("range"), "0-4");
    let second = location(&second);
    client.ask(&format!("PATCH {first}"), &[], b"x").unwrap().refused(400, "BLOB_UPLOAD_INVALID");
    for (range, status) in [("0-4", 416), ("5-8", 400), ("bytes 5-9/10", 400)] {
        client.ask(&format!("PATCH {second}"), &[("Content-Range", range)], b"56789").unwrap().is(status);
    }
    let third = client.ask(&format!("PATCH {second}"), &[("Content-Range", "5-7")], b"567").unwrap().is(202);
    let asked = client.ask(&format!("GET {first}"), &[], b"").unwrap().is(204);
    assert_eq!((asked.has("range"), location(&asked)), ("0-7", location(&third)));
    let end = format!("PUT {}&digest={}", location(&third), digest.to_string().replace(':', "%3A"));
    client.ask(&end, &[], b"89").unwrap().is(201);
    assert_eq!(registry.blob("e", digest).unwrap(), BLOB);
    // Given up; wrong in the end.
    let gone = location(&ask(&registry, begin).is(202));
    ask(&registry, &format!("DELETE {gone}")).is(204);
    ask(&registry, &format!("GET {gone}")).refused(404, "BLOB_UPLOAD_UNKNOWN");
    let wrong = location(&ask(&registry, begin).is(202));
    send(&registry, &format!("PUT {wrong}&digest={digest}"), &[], b"x").refused(400, "DIGEST_INVALID");
    ask(&registry, &format!("DELETE /v2/c/blobs/{digest}")).is(202);
    assert!(registry.blob("c", digest).is_none());
}

#[test]
fn manifests_are_pushed() {
    let registry = Registry::start();
    let json = [("Content-Type", MANIFEST)];
    let put = |tag: &str, text: &str| {
        send(&registry, &format!("PUT /v2/a/manifests/{tag}"), &json, text.as_bytes())
    };
    let plain = manifest(&json!({}));
    put("1", &plain).refused(400, "MANIFEST_BLOB_UNKNOWN");
    registry.put_blob("a", BLOB);
    registry.put_blob("a", *b"{}");
    let digest = Digest::of(plain.as_bytes());
    let answer = put("1", &plain).is(201);
    assert_eq!(answer.has("location"), format!("/v2/a/manifests/{digest}"));
    put(&digest.to_string(), &plain).is(201);
    put(&Digest::of(b"").to_string(), &plain).refused(400, "DIGEST_INVALID");
    put("-", &plain).refused(400, "TAG_INVALID");
    put("1", "{").refused(400, "MANIFEST_INVALID");
    put("1", &plain.replace("\"size\":10", "\"size\":11")).refused(400, "SIZE_INVALID");
    let index = json!({ "manifests": [descriptor(MANIFEST, b"?")] }).to_string();
    put("1", &index).refused(400, "MANIFEST_BLOB_UNKNOWN");
    assert_eq!(registry.tags("a"), [("1".to_owned(), digest)].into());
    // Who names a subject is listed with it.
    let subject = json!({ "artifactType": "x/y", "subject": descriptor(MANIFEST, plain.as_bytes()) });
    let referrer = manifest(&subject);
    assert_eq!(put("r", &referrer).is(201).has("oci-subject"), digest.to_string());
    let list = ask(&registry, &format!("GET /v2/a/referrers/{digest}")).is(200).json();
    let mut expected = descriptor(MANIFEST, referrer.as_bytes());
    expected["artifactType"] = "x/y".into();
    assert_eq!(list["manifests"], json!([expected]));
    let none = ask(&registry, &format!("GET /v2/a/referrers/{digest}?artifactType=z")).is(200);
    assert_eq!(
        (none.json()["manifests"].clone(), none.has("oci-filters-applied")),
        (json!([]), "artifactType")
    );
    registry.set(|settings| settings.referrers = false);
    ask(&registry, &format!("GET /v2/a/referrers/{digest}")).is(404);
    assert!(!put("r", &referrer).is(201).headers.contains_key("oci-subject"));
    // Switches.
    registry.set(|settings| (settings.immutable, settings.known_only) = (Some(409), true));
    put("1", &plain).is(201);
    put("1", &referrer).refused(409, "TAG_INVALID");
    ask(&registry, "POST /v2/new/blobs/uploads/").refused(404, "NAME_UNKNOWN");
    registry.create("new");
    ask(&registry, "POST /v2/new/blobs/uploads/").is(202);
    // Pages of tags; a tag goes alone, a manifest with its tags.
    put("2", &plain).is(201);
    let page = ask(&registry, "GET /v2/a/tags/list?n=2").is(200);
    assert_eq!(page.json(), json!({ "name": "a", "tags": ["1", "2"] }));
    assert_eq!(page.has("link"), "</v2/a/tags/list?n=2&last=2>; rel=\"next\"");
    let page = ask(&registry, "GET /v2/a/tags/list?n=2&last=2").is(200);
    assert_eq!((page.json()["tags"].clone(), page.headers.contains_key("link")), (json!(["r"]), false));
    ask(&registry, "DELETE /v2/a/manifests/r").is(202);
    ask(&registry, &format!("DELETE /v2/a/manifests/{digest}")).is(202);
    ask(&registry, "DELETE /v2/a/manifests/1").refused(404, "MANIFEST_UNKNOWN");
    assert!(registry.tags("a").is_empty() && registry.manifest("a", &digest.to_string()).is_none());
}

/// `me:secret`
const ME: (&str, &str) = ("Authorization", "Basic bWU6c2VjcmV0");
const OTHER: (&str, &str) = ("Authorization", "Basic bWU6c2VjcmV1");

#[test]
fn basic() {
    let (registry, get) = with_blob();
    registry.set(|settings| settings.auth = Auth::Basic("me".into(), "secret".into()));
    assert!(ask(&registry, "GET /v2/").is(401).has("www-authenticate").starts_with("Basic realm="));
    send(&registry, &get, &[OTHER], b"").refused(401, "UNAUTHORIZED");
    send(&registry, &get, &[ME], b"").is(200);
}

#[test]
fn bearer() {
    let (registry, get) = with_blob();
    let bearer = Bearer::new("me", "secret");
    registry.set(|settings| settings.auth = Auth::Bearer(bearer.clone()));
    let host = registry.host();
    let challenge = |request: &str| ask(&registry, request).is(401).has("www-authenticate").to_owned();
    let start = format!("Bearer realm=\"http://{host}/token\",service=\"{host}\"");
    assert_eq!(challenge("GET /v2/"), start);
    assert_eq!(challenge(&get), format!("{start},scope=\"repository:a/b:pull\""));
    let mount = "POST /v2/a/b/blobs/uploads/?mount=sha256:0&from=c";
    assert_eq!(challenge(mount), format!("{start},scope=\"repository:a/b:pull,push repository:c:pull\""));
    // By GET: as far as the scope goes.
    let scope = "GET /token?service=x&scope=repository%3Aa/b:pull&scope=repository:d:pull,push";
    ask(&registry, scope).refused(401, "UNAUTHORIZED");
    send(&registry, scope, &[OTHER], b"").refused(401, "UNAUTHORIZED");
    let token = |answer: &Answer| format!("Bearer {}", answer.json()["access_token"].as_str().unwrap());
    let given = send(&registry, &format!("{scope}&offline_token=true"), &[ME], b"").is(200);
    assert_eq!(
        (&given.json()["refresh_token"], &given.json()["expires_in"]),
        (&json!(bearer.refresh), &json!(300))
    );
    let with = |token: &str, request: &str| send(&registry, request, &[("Authorization", token)], b"");
    with(&token(&given), &get).is(200);
    with(&token(&given), "POST /v2/d/blobs/uploads/").is(202);
    let refusal = with(&token(&given), "POST /v2/a/b/blobs/uploads/").is(401);
    assert!(
        refusal
            .has("www-authenticate")
            .ends_with(",scope=\"repository:a/b:pull,push\",error=\"insufficient_scope\"")
    );
    assert!(with("Bearer x", &get).is(401).has("www-authenticate").ends_with(",error=\"invalid_token\""));
    // By POST.
    let post = |form: &str| {
        let form = format!("service=x&client_id=y&scope=repository:a/b:pull&grant_type={form}");
        send(
            &registry,
            "POST /token",
            &[("Content-Type", "application/x-www-form-urlencoded")],
            form.as_bytes(),
        )
    };
    with(&token(&post("password&username=me&password=secret").is(200)), &get).is(200);
    with(&token(&post("refresh_token&refresh_token=a-refresh-token").is(200)), &get).is(200);
    post("refresh_token&refresh_token=x").refused(401, "UNAUTHORIZED");
    // Tokens run out; anybody pulls; the challenge leads elsewhere; no POST.
    let realm = Some("http://elsewhere.invalid/".to_owned());
    let short = Bearer { uses: Some(1), anonymous_pull: true, realm, post: false, ..bearer.clone() };
    registry.set(|settings| settings.auth = Auth::Bearer(short));
    let anonymous = ask(&registry, scope).is(200);
    assert_eq!(anonymous.json()["scope"], "repository:a/b:pull repository:d:pull");
    with(&token(&anonymous), &get).is(200);
    let refusal = with(&token(&anonymous), &get).is(401);
    assert!(refusal.has("www-authenticate").starts_with("Bearer realm=\"http://elsewhere.invalid/\""));
    post("password&username=me&password=secret").refused(405, "UNSUPPORTED");
    registry
        .set(|settings| settings.auth = Auth::Bearer(Bearer { lifetime: Some(Duration::ZERO), ..bearer }));
    with(&token(&send(&registry, scope, &[ME], b"").is(200)), &get).is(401);
}

#[test]
fn other_answers() {
    let (registry, get) = with_blob();
    let told = |what: What| {
        registry.fault("GET", "/blobs/", 1, what);
        ask(&registry, &get)
    };
    let answer = told(What::retry_after(429, 7)).is(429);
    assert_eq!(
        (answer.has("retry-after"), &answer.json()["errors"][0]["code"]),
        ("7", &json!("TOOMANYREQUESTS"))
    );
    told(What::status(500)).refused(500, "UNKNOWN");
    let answer = told(What::Redirect("http://x{path}?y".into())).is(307);
    assert_eq!(answer.has("location"), format!("http://x{}?y", &get["GET ".len()..]));
    assert_ne!(told(What::wrong_digest()).is(200).has("docker-content-digest"), Digest::of(BLOB).to_string());
    assert!(!told(What::Header("docker-content-digest", None)).headers.contains_key("docker-content-digest"));
    assert_eq!(told(What::Flip).is(200).body, b"0123446789");
    assert_eq!(told(What::Bytes(b"else".into())).is(200).body, b"else");
    let begun = Instant::now();
    told(What::Delay(Duration::from_millis(20))).is(200);
    assert!(begun.elapsed() >= Duration::from_millis(20));
    registry.fault("GET", "/blobs/", 1, What::IgnoreRange);
    for status in [200, 206] {
        send(&registry, &get, &[("Range", "bytes=1-2")], b"").is(status);
    }
    let old = registry.put_manifest("a/b", "1", MANIFEST, *b"{}");
    let new = registry.put_manifest("a/b", "", MANIFEST, *b"[]");
    registry.fault("HEAD", "/manifests/1", 1, What::MoveTag(new.to_string()));
    for (method, digest) in [("HEAD", old), ("GET", new)] {
        let answer = ask(&registry, &format!("{method} /v2/a/b/manifests/1")).is(200);
        assert_eq!(answer.has("docker-content-digest"), digest.to_string());
    }
    // In the order of making, and only for whom they are meant.
    registry.fault("PUT", "", 1, What::Close).fault("", "/v2/", 1, What::status(503));
    ask(&registry, "GET /v2/").is(503);
    ask(&registry, "GET /v2/").is(200);
    assert_eq!(registry.unused(), 1);
}

#[test]
fn broken_connections() {
    let (registry, get) = with_blob();
    let told = |what: What| {
        registry.fault("GET", "/blobs/", 1, what);
        let mut client = Client::new(&registry);
        let answer = client.ask(&get, &[], b"");
        let mut rest = Vec::new();
        client.0.get_ref().set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let end = client.0.read_to_end(&mut rest);
        (answer.map(|answer| answer.body), rest, end.is_ok())
    };
    assert!(told(What::Close).0.is_err());
    assert!(told(What::CutBody(4)).0.is_err());
    let log = registry.requests();
    assert_eq!((log[0].status, log[1].status, log[1].sent), (0, 200, 4));
    assert!(told(What::Length(5)).0.is_err());
    // The rest is there, and the connection stays open.
    let (answer, rest, closed) = told(What::Length(-3));
    assert_eq!((answer.unwrap(), rest, closed), (b"0123456".to_vec(), b"789".to_vec(), false));
    // Uploads: what arrived is kept, also if only the answer got lost.
    let begin = ask(&registry, "POST /v2/a/b/blobs/uploads/").is(202).has("location").to_owned();
    registry.fault("PATCH", "", 1, What::CutUpload(4)).fault("PATCH", "", 1, What::Lose);
    assert!(Client::new(&registry).ask(&format!("PATCH {begin}"), &[], BLOB).is_err());
    let here = ask(&registry, &format!("GET {begin}")).is(204);
    assert_eq!(here.has("range"), "0-3");
    let range = [("Content-Range", "4-9")];
    let patch = format!("PATCH {}", here.has("location"));
    assert!(Client::new(&registry).ask(&patch, &range, &BLOB[4..]).is_err());
    assert_eq!(ask(&registry, &format!("GET {begin}")).is(204).has("range"), "0-9");
    assert_eq!(
        (registry.requests().iter().map(|request| request.received).sum::<usize>(), registry.unused()),
        (10, 0)
    );
}

#[test]
fn bodies_without_end() {
    let (registry, get) = with_blob();
    registry.fault("GET", "", 2, What::Endless);
    // One client leaves, one stays to the end of the registry.
    let mut bytes = vec![0; 1 << 20];
    let mut client = Client::new(&registry);
    let answer = client.ask(&get, &[], b"").unwrap().is(200);
    assert_eq!(answer.has("transfer-encoding"), "chunked");
    client.0.read_exact(&mut bytes).unwrap();
    assert!(bytes.starts_with(b"a\r\n0123456789\r\n10000\r\n  "));
    drop(client);
    let mut client = Client::new(&registry);
    client.ask(&get, &[], b"").unwrap().is(200);
    // Of two that stall, one is silent.
    registry.fault("GET", "", 1, What::Stall).fault("GET", "", 1, What::StallBody(3));
    let mut silent = Client::new(&registry);
    silent.0.get_ref().set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    assert!(matches!(silent.ask(&get, &[], b""), Err(error) if error.kind() == io::ErrorKind::WouldBlock));
    let mut stalled = Client::new(&registry);
    stalled.0.get_mut().write_all(format!("{get} HTTP/1.1\r\n\r\n").as_bytes()).unwrap();
    assert_eq!(stalled.head().unwrap().has("content-length"), "10");
    let mut three = [0; 3];
    stalled.0.read_exact(&mut three).unwrap();
    assert_eq!(&three, b"012");
    let idle = Client::new(&registry);
    let begun = Instant::now();
    drop(registry);
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    assert_eq!(idle.0.get_ref().read(&mut three).unwrap_or(0), 0);
}

/// To try clients against: `cargo test --test it registry::tests::stays -- --ignored --nocapture`, with
/// `REGISTRY_AUTH=basic` or `bearer` for `me:secret`; it ends with its standard input.
#[test]
#[ignore = "waits for standard input"]
fn stays() {
    let registry = Registry::start();
    let (me, secret) = ("me".to_owned(), "secret".to_owned());
    registry.set(|settings| match std::env::var("REGISTRY_AUTH").as_deref() {
        Ok("basic") => settings.auth = Auth::Basic(me, secret),
        Ok("bearer") => settings.auth = Auth::Bearer(Bearer::new(&me, &secret)),
        _ => {}
    });
    _ = writeln!(io::stderr(), "{}", registry.host());
    _ = io::stdin().read_to_end(&mut Vec::new());
    for request in registry.requests() {
        let super::Logged { method, path, status, received, sent, .. } = request;
        _ = writeln!(io::stderr(), "{status} {method} {path} <{received} >{sent}");
    }
}
