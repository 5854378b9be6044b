//! Servers that keep something moving and give nothing, that answer "not now" for ever, and files that change on their way.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cooperage::digest::Digest;
use cooperage::http::Settings;
use cooperage::registry::{Client, NoCredentials};

use super::support::{Run, Test};

const OK: &str = "HTTP/1.1 200 OK\r\n";
const CHUNKED: &str =
    "content-type: application/vnd.oci.image.manifest.v1+json\r\ntransfer-encoding: chunked\r\n\r\n";

/// What is done with a connection after a request's head was read, which is given with the number of requests before it.
type Answer = dyn Fn(&mut TcpStream, &str, usize) -> io::Result<()> + Send + Sync;

/// A server without any manners. It ends with the process.
fn raw(answer: impl Fn(&mut TcpStream, &str, usize) -> io::Result<()> + Send + Sync + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let (answer, count): (Arc<Answer>, _) = (Arc::new(answer), Arc::new(AtomicUsize::new(0)));
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (answer, count) = (Arc::clone(&answer), Arc::clone(&count));
            std::thread::spawn(move || -> io::Result<()> {
                let mut client = client?;
                let mut reader = BufReader::new(client.try_clone()?);
                loop {
                    let mut head = String::new();
                    while !head.ends_with("\r\n\r\n") {
                        if reader.read_line(&mut head)? == 0 {
                            return Ok(());
                        }
                    }
                    answer(&mut client, &head, count.fetch_add(1, Ordering::Relaxed))?;
                }
            });
        }
    });
    host
}

/// Sends a beginning, and then something again and again, until nobody takes it; or has taken it far too long.
fn drip(client: &mut TcpStream, begin: &str, again: &str, pause: u64) -> io::Result<()> {
    client.write_all(begin.as_bytes())?;
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(30) {
        client.write_all(again.as_bytes())?;
        std::thread::sleep(Duration::from_millis(pause));
    }
    client.shutdown(std::net::Shutdown::Both)
}

/// A workspace with this recipe and what a site says, beside that `host` is spoken to in the clear.
fn workspace(recipe: &str, host: &str, site: &str) -> Test {
    let test = Test::new()
        .file("cooper.toml", "[workspace]\nplatforms = [\"linux/amd64\"]\n")
        .file("site.toml", format!("backoff = 1\n{site}[registry.\"{host}\"]\nplain-http = true\n"))
        .file("recipes/a/web/recipe.toml", recipe);
    let config = test.path("site.toml").to_str().unwrap().to_owned();
    test.env("COOPER_CONFIG", &config)
}

fn base(host: &str, site: &str) -> Test {
    workspace(&format!("[base]\nimage = \"{host}/a/b:1\"\n"), host, site)
}

/// A recipe that fetches a file of the host. What no digest is known of comes from a mirror: others have to speak TLS.
fn fetching(host: &str, sha256: Option<Digest>, site: &str) -> Test {
    let (url, sha256, mirror) = match sha256 {
        Some(digest) => {
            (format!("http://{host}/file"), format!("sha256 = \"{}\"\n", digest.hex()), String::new())
        }
        None => (
            "https://files.example/file".to_owned(),
            String::new(),
            format!("[[mirror]]\nprefix = \"files.example\"\nlocation = [\"{host}\"]\n"),
        ),
    };
    let recipe = format!("[base]\nscratch = true\n[[file]]\nfetch = \"{url}\"\n{sha256}to = \"/x\"\n");
    let test = workspace(&recipe, host, site);
    let text = test.read("site.toml") + &mirror;
    test.file("site.toml", text)
}

/// What was fetched, as the lock has it.
fn fetched(run: &Run) -> bool {
    run.test().read("lockfiles/a/web.lock").contains(&Digest::of(&content('b')).to_string())
}

const HASTY: &str = "attempts = 2\ntimeout = 1\n";

#[test]
fn what_moves_and_brings_nothing_is_given_up() {
    const PAUSE: u64 = 60;
    type Drip = fn(&mut TcpStream) -> io::Result<()>;
    let bodies: [(&str, Drip); 9] = [
        ("a size with an extension", |to| drip(to, &format!("{OK}{CHUNKED}5;"), "x", PAUSE)),
        ("the digits of a size", |to| drip(to, &format!("{OK}{CHUNKED}"), "0", PAUSE)),
        ("trailers", |to| drip(to, &format!("{OK}{CHUNKED}1\r\nx\r\n0\r\n"), "a: b\r\n", PAUSE)),
        ("trailers, fast", |to| {
            drip(to, &format!("{OK}{CHUNKED}1\r\nx\r\n0\r\n"), &"a: b\r\n".repeat(9999), 0)
        }),
        ("one trailer", |to| drip(to, &format!("{OK}{CHUNKED}1\r\nx\r\n0\r\na: "), "x", PAUSE)),
        ("the end of a chunk", |to| drip(to, &format!("{OK}{CHUNKED}1\r\nx"), "", PAUSE)),
        ("trailers of a refusal", |to| {
            drip(to, &format!("HTTP/1.1 503 No\r\n{CHUNKED}1\r\nx\r\n0\r\n"), "a: b\r\n", PAUSE)
        }),
        ("trailers of a challenge", |to| {
            let head = "HTTP/1.1 401 No\r\nwww-authenticate: Basic realm=\"x\"\r\n";
            drip(to, &format!("{head}{CHUNKED}0\r\n"), "a: b\r\n", PAUSE)
        }),
        ("a header", |to| drip(to, &format!("{OK}x: "), "x", PAUSE)),
    ];
    let mut all: Vec<(String, Test)> = Vec::new();
    for (name, answer) in bodies {
        let host = raw(move |client, _, _| answer(client));
        all.push((name.to_owned(), base(&host, HASTY)));
        all.push((format!("fetch: {name}"), fetching(&host, Some(Digest::of(b"x")), HASTY)));
        // The same of whoever hands out tokens.
        let token = raw(move |client, head, _| {
            if head.starts_with("GET /token") {
                return answer(client);
            }
            let host = head.lines().find_map(|line| line.strip_prefix("host: ")).unwrap();
            let realm = format!("Bearer realm=\"http://{host}/token\",service=\"s\"");
            write!(client, "HTTP/1.1 401 No\r\nwww-authenticate: {realm}\r\ncontent-length: 0\r\n\r\n")
        });
        all.push((format!("token: {name}"), base(&token, HASTY)));
    }
    let proxies: [(&str, Drip); 3] = [
        ("CONNECT", |to| drip(to, &format!("{OK}x: "), "x", PAUSE)),
        ("CONNECT, by lines", |to| drip(to, OK, "x: y\r\n", 300)),
        ("CONNECT, refused", |to| drip(to, "HTTP/1.1 407 ", "x", PAUSE)),
    ];
    for (name, answer) in proxies {
        let host = raw(move |client, _, _| answer(client));
        let test = base("registry.example", HASTY).env("http_proxy", &host);
        all.push((name.to_owned(), test));
    }
    std::thread::scope(|scope| {
        for (name, test) in all {
            scope.spawn(move || {
                let begun = Instant::now();
                let run = test.run(["lock"]).status(5);
                assert!(begun.elapsed() < Duration::from_secs(20), "{name}: {:?}", begun.elapsed());
                assert!(
                    ["no answer", "401", "503"].iter().any(|said| run.err.contains(said)),
                    "{name}: {}",
                    run.err
                );
                assert!(!name.starts_with("CONNECT") || run.err.contains("(http_proxy)"), "{}", run.err);
            });
        }
    });
}

#[test]
fn what_moves_beside_a_body_is_let() {
    // Extensions and trailers are right, and slow isn't too slow.
    let host = raw(|client, _, _| {
        client.write_all(format!("{OK}{CHUNKED}").as_bytes())?;
        for byte in "8;a=b\r\n".chars() {
            write!(client, "{byte}")?;
            std::thread::sleep(Duration::from_millis(20));
        }
        client.write_all(b"01234567\r\n0;last\r\na: b\r\nc: d\r\n\r\n")
    });
    let test = fetching(&host, Some(Digest::of(b"01234567")), HASTY);
    test.run(["lock"]).status(0);
}

#[test]
fn a_refusal_costs_patience_however_quickly_it_comes() {
    let refusals: [&'static str; 3] = [
        "HTTP/1.1 503 No\r\nretry-after: 0\r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.1 429 No\r\nretry-after: 0\r\ncontent-length: 2\r\n\r\nno",
        "HTTP/1.1 500 No\r\nretry-after: Thu, 01 Jan 1970 00:00:00 GMT\r\n\
         date: Thu, 01 Jan 1970 00:00:00 GMT\r\ncontent-length: 0\r\n\r\n",
    ];
    for refusal in refusals {
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let host = raw(move |client, _, _| match counted.fetch_add(1, Ordering::Relaxed) {
            100.. => client.write_all(b"HTTP/1.1 404 No\r\ncontent-length: 0\r\n\r\n"),
            _ => client.write_all(refusal.as_bytes()),
        });
        let test = base(&host, "attempts = 1000000\npatience = 1\n");
        let text = test.read("site.toml").replace("backoff = 1\n", "backoff = 50\n");
        let begun = Instant::now();
        let run = test.file("site.toml", text).run(["lock"]).status(5);
        assert!(run.err.contains("it has let us wait for 1 seconds in all"), "{}", run.err);
        assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
        assert!(count.load(Ordering::Relaxed) < 30, "{count:?}");
    }
}

#[test]
fn a_server_has_one_patience_whatever_it_is_called() {
    let host = raw(|client, _, _| {
        std::thread::sleep(Duration::from_millis(700));
        client.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\nx")
    });
    let port = host.rsplit_once(':').unwrap().1;
    let hosts = ["localhost", "LOCALHOST", "LocalHost", "localhost.", "Localhost", "lOcalhost"];
    let entry = |(number, name): (usize, &&str)| {
        let sha256 = Digest::of(b"x").hex();
        format!(
            "[[file]]\nfetch = \"http://{name}:{port}/{number}\"\nsha256 = \"{sha256}\"\nto = \"/{number}\"\n"
        )
    };
    let entries: String = hosts.iter().enumerate().map(entry).collect();
    let recipe = format!("[base]\nscratch = true\n{entries}");
    let run = workspace(&recipe, &host, "timeout = 5\npatience = 1\n").run(["lock"]).status(5);
    assert!(run.err.contains("it has let us wait for 1 seconds in all"), "{}", run.err);
}

#[test]
fn a_fetch_without_a_size_is_waited_for_no_longer_than_an_answer() {
    // Above the floor, each of them; and of no use to anybody.
    for (name, head) in [
        ("chunked", "transfer-encoding: chunked\r\n\r\n"),
        ("with a size of its own", "content-length: 1000000000\r\n\r\n"),
        ("until it closes", "connection: close\r\n\r\n"),
    ] {
        let host = raw(move |client, _, _| {
            let piece = match name {
                "chunked" => format!("12c\r\n{}\r\n", "x".repeat(300)),
                _ => "x".repeat(300),
            };
            drip(client, &format!("{OK}{head}"), &piece, 100)
        });
        let begun = Instant::now();
        let test = fetching(&host, Some(Digest::of(b"x")), "attempts = 2\ntimeout = 1\npatience = 3\n");
        let run = test.run(["lock"]).status(5);
        assert!(run.err.contains("it has let us wait for 3 seconds in all"), "{name}: {}", run.err);
        assert!(begun.elapsed() < Duration::from_secs(15), "{name}: {:?}", begun.elapsed());
    }
}

/// Two versions of a file.
fn content(which: char) -> Vec<u8> {
    (0..200_000_u32).map(|at| if at % 7 == 0 { which as u8 } else { (at >> 3) as u8 }).collect()
}

/// A file that breaks in its middle the first time, and is another from then on: what tells its versions apart, whether it
/// comes in chunks, and whether a `Range` is heeded whatever `If-Range` says.
#[derive(Clone, Copy)]
struct Changing {
    version: fn(char) -> String,
    chunked: bool,
    ignores: bool,
    changes: bool,
}

impl Changing {
    fn serve(self) -> (String, Arc<Mutex<Vec<String>>>) {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heads = Arc::clone(&asked);
        let host = raw(move |client, head, number| {
            heads.lock().unwrap().push(head.to_owned());
            let which = if number == 0 && self.changes { 'a' } else { 'b' };
            let (bytes, version) = (content(which), (self.version)(which));
            let line = |name: &str| {
                let value = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
                value.map(str::to_owned)
            };
            let same = line("if-range").is_none_or(|own| version.lines().any(|line| line.ends_with(&own)));
            let from = line("range").filter(|_| same || self.ignores);
            let from =
                from.map(|text| text["bytes=".len()..].trim_end_matches('-').parse::<usize>().unwrap());
            let (status, part) = match from {
                Some(from) => {
                    let range =
                        format!("content-range: bytes {from}-{}/{}\r\n", bytes.len() - 1, bytes.len());
                    (format!("206 Partial\r\n{range}"), &bytes[from..])
                }
                None => ("200 OK\r\n".to_owned(), &bytes[..]),
            };
            let length = match self.chunked {
                true => "transfer-encoding: chunked\r\n".to_owned(),
                false => format!("content-length: {}\r\n", part.len()),
            };
            write!(client, "HTTP/1.1 {status}{version}{length}\r\n")?;
            let part = if number == 0 { &part[..part.len() / 2] } else { part };
            for piece in part.chunks(10_000) {
                if self.chunked {
                    write!(client, "{:x}\r\n", piece.len())?;
                }
                client.write_all(piece)?;
                if self.chunked {
                    client.write_all(b"\r\n")?;
                }
            }
            if number == 0 {
                client.shutdown(std::net::Shutdown::Both)?;
            } else if self.chunked {
                client.write_all(b"0\r\n\r\n")?;
            }
            Ok(())
        });
        (host, asked)
    }
}

/// A name, and the headers of each version.
type Version = (&'static str, fn(char) -> String);

const VERSIONS: [Version; 5] = [
    ("a tag", |which| format!("etag: \"{which}\"\r\n")),
    ("a time", |which| {
        let second = if which == 'a' { 1 } else { 2 };
        format!(
            "date: Tue, 01 Dec 2026 00:00:00 GMT\r\nlast-modified: Mon, 30 Nov 2026 00:00:0{second} GMT\r\n"
        )
    }),
    ("nothing", |_| String::new()),
    ("a weak tag", |_| "etag: W/\"x\"\r\n".to_owned()),
    ("a time of just now", |_| {
        "date: Tue, 01 Dec 2026 00:00:00 GMT\r\nlast-modified: Mon, 30 Nov 2026 23:59:50 GMT\r\n".to_owned()
    }),
];

#[test]
fn two_versions_are_never_joined() {
    for (name, version) in VERSIONS {
        for (chunked, ignores, pinned) in [
            (false, false, false),
            (true, false, false),
            (false, true, false),
            (true, true, true),
            (false, false, true),
        ] {
            let (host, asked) = Changing { version, chunked, ignores, changes: true }.serve();
            let test = fetching(&host, Some(Digest::of(&content('b'))).filter(|_| pinned), "attempts = 3\n");
            let run = test.run(["lock"]);
            let told = format!("{name} chunked {chunked} ignores {ignores} pinned {pinned}: {}", run.err);
            assert!(run.code == Some(0) && fetched(&run), "{told}\n{:#?}", asked.lock().unwrap());
        }
    }
}

#[test]
fn what_breaks_goes_on_where_it_can() {
    for (number, (name, version)) in VERSIONS.into_iter().enumerate() {
        for chunked in [false, true] {
            let (host, asked) = Changing { version, chunked, ignores: false, changes: false }.serve();
            let run =
                fetching(&host, Some(Digest::of(&content('b'))), "attempts = 3\n").run(["lock"]).status(0);
            let asked = asked.lock().unwrap();
            assert!(fetched(&run) && asked.len() == 2, "{name} {chunked}: {asked:#?}");
            assert!(asked[1].contains("\r\nrange: bytes="), "{name} {chunked}: {asked:#?}");
            // A condition only where it can be one.
            assert_eq!(asked[1].contains("\r\nif-range: "), number < 2, "{name} {chunked}: {asked:#?}");
        }
    }
}

#[test]
fn whoever_fails_is_told_by_the_exit_code() {
    for (name, answer, code, said) in [
        ("stalls", "content-length: 9\r\n\r\nabc", 5, "no answer for 1 seconds"),
        ("chunks that stall", "transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n", 5, "no answer for 1 seconds"),
        ("no chunks", "transfer-encoding: chunked\r\n\r\nno\r\n", 5, "the connection broke"),
        ("too large", "content-length: 9000000\r\n\r\nabc", 3, "max-size"),
    ] {
        let host = raw(move |client, _, _| {
            client.write_all(format!("{OK}{answer}").as_bytes())?;
            std::thread::sleep(Duration::from_secs(5));
            Ok(())
        });
        let site = "attempts = 2\ntimeout = 1\nmax-size = 1\n";
        let run = fetching(&host, Some(Digest::of(b"x")), site).run(["lock"]);
        assert!(run.code == Some(code) && run.err.contains(said), "{name}: {:?} {}", run.code, run.err);
        assert!(run.err.contains("recipe.toml:4:") && !run.err.contains(&format!("http://{host}/file: GET")));
    }
    // One that breaks, and one that isn't a URL.
    for (url, code, said) in [
        ("http://127.0.0.1:1/file", 5, "cannot connect"),
        ("https://me@host.example/file", 3, "a user or password"),
        ("https:///file", 3, "no host"),
        ("https://host.example/a b", 3, "is not an https, http or file URL"),
    ] {
        let run = workspace(
            &format!(
                "[base]\nscratch = true\n[[file]]\nfetch = \"{url}\"\nsha256 = \"{}\"\nto = \"/x\"\n",
                Digest::of(b"x").hex()
            ),
            "other.example",
            "attempts = 1\n",
        )
        .run(["lock"]);
        assert!(run.code == Some(code) && run.err.contains(said), "{url}: {:?} {}", run.code, run.err);
        assert!(!run.err.contains("GET :"), "{url}: {}", run.err);
    }
}

#[test]
fn what_is_at_hand_is_fetched_by_the_same_rules() {
    let local = |test: &Test, name: &str| {
        format!(
            "[base]\nscratch = true\n[[file]]\nfetch = \"file://{}\"\nto = \"/x\"\n",
            test.path(name).display()
        )
    };
    let mut test = workspace("", "other.example", "max-size = 1\n");
    assert!(std::process::Command::new("mkfifo").arg(test.path("fifo")).status().unwrap().success());
    let socket = std::os::unix::net::UnixListener::bind(test.path("socket")).unwrap();
    std::fs::create_dir(test.path("dir")).unwrap();
    for name in ["fifo", "socket", "dir"] {
        let recipe = local(&test, name);
        let run = test.file("recipes/a/web/recipe.toml", recipe).run(["lock"]).status(3);
        assert!(run.err.contains("only a regular file can be fetched"), "{name}: {}", run.err);
        test = run.then();
    }
    drop(socket);
    // As large as it may be without a lock; and a larger one, as vendored and as it lies.
    let large = vec![b'x'; (1 << 20) + 1];
    let vendored = format!("vendor/sha256/{}", Digest::of(&large).hex());
    test = test.file("right", &large[1..]).file("large", &large).file(&vendored, &large);
    let recipe = local(&test, "right");
    test = test.file("recipes/a/web/recipe.toml", recipe).run(["lock"]).status(0).then();
    let recipe = local(&test, "large");
    let url = format!(
        "[base]\nscratch = true\n[[file]]\nfetch = \"https://host.example/x\"\nsha256 = \"{}\"\nto = \"/x\"\n",
        Digest::of(&large).hex()
    );
    for recipe in [&recipe, &url] {
        test = test.remove("lockfiles");
        let run = test.file("recipes/a/web/recipe.toml", recipe).run(["lock"]).status(3);
        assert!(run.err.contains("more than 1048576 bytes") && run.err.contains("max-size"), "{}", run.err);
        // What the lock says the size of may be as large as it is.
        let small = run.test().read("site.toml");
        let run = run.then().file("site.toml", small.replace("max-size = 1", "max-size = 2")).run(["lock"]);
        let run = run.status(0).then().file("site.toml", small).run(["build", "--locked"]).status(0);
        test = run.then();
    }
}

#[test]
fn a_list_goes_on_with_whoever_was_asked() {
    fn page(client: &mut TcpStream, tag: &str, next: Option<String>) -> io::Result<()> {
        let link = next.map_or(String::new(), |next| format!("link: <{next}>; rel=\"next\"\r\n"));
        let body = format!("{{\"name\": \"a/b\", \"tags\": [\"{tag}\"]}}");
        write!(
            client,
            "{OK}content-type: application/json\r\n{link}content-length: {}\r\n\r\n{body}",
            body.len()
        )
    }
    let tags = |host: &str| {
        let client = Arc::new(Client::new(Settings::default(), Box::new(NoCredentials)));
        client.repository(&format!("{host}/a/b:1").parse().unwrap()).tags()
    };
    type Next = fn(&str) -> String;
    let ways: [(&str, Next); 5] = [
        ("path", |path| path.to_owned()),
        ("another host", |path| format!("https://registry.invalid{path}")),
        ("another scheme", |path| format!("https://127.0.0.1{path}")),
        ("another port", |path| format!("http://127.0.0.1:1{path}")),
        ("no scheme", |path| format!("//registry.invalid:5000{path}")),
    ];
    for (name, next) in ways {
        let host = raw(move |client, head, _| match head.contains("last=one") {
            true => page(client, "two", None),
            false => page(client, "one", Some(next("/v2/a/b/tags/list?n=1000&last=one"))),
        });
        assert_eq!(tags(&host).unwrap(), ["one", "two"], "{name}");
    }
    // What isn't there after all, and what never ends, is no end.
    let host = raw(move |client, head, _| match head.contains("last=one") {
        true => client.write_all(b"HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\n\r\n"),
        false => page(client, "one", Some("/v2/a/b/tags/list?n=1000&last=one".to_owned())),
    });
    assert!(tags(&host).unwrap_err().to_string().contains("404"));
    let host = raw(move |client, _, _| page(client, "one", Some("/v2/a/b/tags/list?n=1000".to_owned())));
    assert!(tags(&host).unwrap_err().to_string().contains("goes on after 100 pages"));
}
