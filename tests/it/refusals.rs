//! Every refusal of a recipe, a template, a source or a base, with its whole message: what, where, underlined, and the
//! way out. The cases are in `refusals.txt`; `COOPER_BLESS=1 cargo test refusals` writes their messages anew.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::json;

use crate::support::{Layout, Test};

/// What is built on: a link to a directory, a dangling one, a circle, two users; `/srv/data` is a volume.
const TREE: &str = r"
    d 0755 0:0 etc
    d 0755 0:0 run
    d 0755 0:0 usr
    d 0755 0:0 usr/lib
    d 0755 33:33 srv
    f 0644 0:0 etc/hostname box\n
    f 0644 0:0 etc/passwd root:x:0:0::/root:/bin/sh\nwww-data:x:33:33::/var/www:/bin/false\n
    f 0644 0:0 etc/group root:x:0:\nwww-data:x:33:\n
    l lib usr/lib
    l gone nowhere
    l one two
    l two one
";

/// `== name`, then files and links beside the recipe a/b (or at `recipes/…`), the command with its exit code, and what
/// it writes to standard error.
struct Case<'a> {
    name: &'a str,
    head: &'a str,
    arguments: Vec<&'a str>,
    status: i32,
    stderr: &'a str,
}

impl<'a> Case<'a> {
    fn parse(text: &'a str) -> Self {
        let (head, rest) = text.split_once("$ cooper ").unwrap_or_else(|| panic!("no command in {text}"));
        let (command, stderr) = rest.split_once('\n').unwrap();
        let (arguments, status) = command.split_once("  # ").unwrap();
        let (name, _) = head.split_once('\n').unwrap();
        Self {
            name,
            head,
            arguments: arguments.split(' ').collect(),
            status: status.parse().unwrap(),
            stderr,
        }
    }

    fn arrange(&self) -> Test {
        let mut test = Test::workspace();
        let config = json!({ "Env": ["PATH=/bin"], "Volumes": { "/srv/data": {} } });
        Layout::new(&[TREE]).config(config).write(&test.path("bases/os"), "1");
        let place = |path: &str| {
            if path.starts_with("recipes/") { path.to_owned() } else { format!("recipes/a/b/{path}") }
        };
        for part in self.head.split("\n@ ").skip(1) {
            let (first, text) = part.split_once('\n').unwrap_or((part, ""));
            match first.split(' ').collect::<Vec<_>>()[..] {
                ["file", path] => {
                    // The line end before the next part was taken with it.
                    let end = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
                    test = test.file(&place(path), real(text) + end);
                }
                ["link", path, target] => symlink(target, test.path(&place(path))).unwrap(),
                _ => panic!("{first}"),
            }
        }
        test
    }
}

/// What looks like a secret is put together here, so that no scanner finds it in a file.
const SECRETS: [(&str, &str); 3] = [
    ("§KEY§", concat!("RSA PRIVATE", " KEY")),
    ("§HUB§", concat!("gh", "p_")),
    ("§LAB§", concat!("gl", "pat-")),
];

fn real(text: &str) -> String {
    SECRETS.iter().fold(text.to_owned(), |text, (mark, secret)| text.replace(mark, secret))
}

fn marked(text: &str) -> String {
    SECRETS.iter().fold(text.to_owned(), |text, (mark, secret)| text.replace(secret, mark))
}

#[test]
fn refusals() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/refusals.txt");
    let text = fs::read_to_string(&path).unwrap();
    let mut parts = text.split("\n== ");
    let mut blessed = parts.next().unwrap().to_owned();
    // A comment in front of a case is the end of the one before.
    let cases: Vec<(Case<'_>, &str)> = parts
        .map(|part| part.rfind("\n# ").map_or((part, ""), |at| part.split_at(at + 1)))
        .map(|(part, comment)| (Case::parse(part), comment))
        .collect();
    let run = |(case, _): &(Case<'_>, &str)| {
        let run = case.arrange().run(case.arguments.iter().copied());
        let left = run.out.is_empty() && !run.test().path("lockfiles").exists();
        (run.code.unwrap_or(-1), marked(&run.err), left || run.code == Some(0))
    };
    let found: Vec<(i32, String, bool)> = std::thread::scope(|scope| {
        let chunks = cases.chunks(cases.len().div_ceil(4));
        let threads: Vec<_> =
            chunks.map(|cases| scope.spawn(move || cases.iter().map(run).collect::<Vec<_>>())).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let mut wrong = String::new();
    for ((status, stderr, clean), (case, comment)) in found.into_iter().zip(&cases) {
        let (expected, name) = (case.stderr.trim_end(), case.name);
        if status != case.status || stderr.trim_end() != expected || !clean {
            writeln!(wrong, "{name}: exit {status}, not {}\n{stderr}", case.status).unwrap();
        }
        let arguments = case.arguments.join(" ");
        let gap = if comment.is_empty() { "" } else { "\n" };
        write!(blessed, "\n== {}$ cooper {arguments}  # {status}\n{stderr}{gap}{comment}", case.head)
            .unwrap();
    }
    if std::env::var_os("COOPER_BLESS").is_some() {
        fs::write(&path, &blessed).unwrap();
    }
    assert!(wrong.is_empty(), "{wrong}");
}
