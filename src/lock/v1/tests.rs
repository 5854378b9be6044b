use std::collections::BTreeMap;

use super::super::conflict::{self, Take};
use super::super::{
    BaseOrigin, BasePin, Error, ImageOutput, Listing, Lock, Output, Pin, PlatformPin, Reason, SourceLock,
    State, Want, because, reasons,
};
use super::*;
use crate::digest::{DiffId, Digest, Encoding};
use crate::tree::{Content, Files, SourceKey, SourceNode, SourceTree, TreePath};

fn digest(n: u8) -> Digest {
    Digest::from_bytes([n; 32])
}

fn blob(n: u8) -> Content {
    Content { digest: digest(n), size: u64::from(n) * 100 }
}

fn file(bytes: &[u8], executable: bool) -> SourceNode {
    SourceNode::File { content: Content::of(bytes), executable }
}

fn tree_path(bytes: &[u8]) -> TreePath {
    TreePath::parse(bytes).unwrap()
}

fn key_of(from: &str, portion: Portion) -> SourceKey {
    SourceKey::Files(Files { directory: "recipes/quickstart/db".into(), from: from.into(), portion })
}

fn initdb(second: &[u8]) -> SourceTree {
    let nodes = [
        (tree_path(b"10-\xff\".sql"), file(b"a", true)),
        (tree_path(b"20 roles.sql"), file(second, false)),
        (tree_path(b"empty"), SourceNode::Directory),
        (tree_path(b"latest"), SourceNode::Symlink(b"20 roles.sql".to_vec())),
    ];
    SourceTree { single: false, nodes: nodes.into() }
}

fn example() -> Lock {
    let conf = SourceTree {
        single: true,
        nodes: [(tree_path(b"postgresql.conf"), file(b"port = 1", false))].into(),
    };
    let big = Portion {
        include: vec!["**/*.js".into()],
        exclude: vec!["a\"b".into(), "c".into()],
        ..Portion::default()
    };
    let removed = [
        ("/etc/*.conf".to_owned(), vec![tree_path(b"etc/a.conf"), tree_path(b"etc/\xe9.conf")]),
        ("/srv/none".to_owned(), vec![]),
    ];
    let mut lock = Lock {
        encoding: Encoding::V1,
        epoch: 946_684_800,
        sections: [("config".to_owned(), digest(1)), ("file".to_owned(), digest(2))].into(),
        bases: vec![
            BasePin {
                origin: BaseOrigin::Image("postgres:17".parse().unwrap()),
                variants: vec!["prod".into()],
                index: blob(3),
                platforms: [
                    (
                        "linux/amd64".to_owned(),
                        PlatformPin { manifest: blob(4), facts: Some(blob(5)), removed: removed.into() },
                    ),
                    (
                        "linux/arm64".to_owned(),
                        PlatformPin { manifest: blob(6), facts: None, removed: BTreeMap::new() },
                    ),
                ]
                .into(),
            },
            BasePin {
                origin: BaseOrigin::Layout("vendor/postgres".into()),
                variants: vec!["dev".into()],
                index: blob(7),
                platforms: BTreeMap::new(),
            },
        ],
        parents: [(
            "quickstart/web".to_owned(),
            [("dev".to_owned(), digest(8)), ("prod".to_owned(), digest(9))].into(),
        )]
        .into(),
        sources: vec![
            SourceLock {
                key: key_of("www", big),
                pin: Pin::None,
                hash: digest(10),
                single: false,
                listing: Listing::Blob(blob(10)),
            },
            SourceLock::of(key_of("postgresql.conf", Portion::default()), &conf).0,
            SourceLock::of(key_of("initdb", Portion::default()), &initdb(b"b")).0,
        ],
        outputs: [(
            "prod".to_owned(),
            Output {
                index: blob(11),
                platforms: [
                    (
                        "linux/amd64".to_owned(),
                        ImageOutput {
                            manifest: digest(12),
                            layers: vec![DiffId(digest(13)), DiffId(digest(14))],
                        },
                    ),
                    ("linux/arm64".to_owned(), ImageOutput { manifest: digest(15), layers: vec![] }),
                ]
                .into(),
            },
        )]
        .into(),
    };
    lock.sort();
    lock
}

/// The text of [`example`].
const GOLDEN: &str = include_str!("golden.lock");

#[test]
fn golden_text_and_back() {
    let lock = example();
    let text = lock.to_text();
    assert_eq!(text, GOLDEN);
    assert_eq!(Lock::parse(&text).unwrap(), lock);
    assert_eq!(Lock::parse(&text).unwrap().to_text(), text);
    assert_eq!(Lock::parse(&text.replace('\n', "\r\n")).unwrap(), lock);
    let mut shuffled = lock.clone();
    shuffled.sources.reverse();
    shuffled.bases.reverse();
    assert_eq!(shuffled.to_text(), text);
    let none = Lock::default();
    assert_eq!(Lock::parse(&none.to_text()).unwrap(), none);
}

#[test]
fn strange_strings_survive() {
    let mut lock = example();
    for text in ["", "a.b", "\"\\\n\r\t\u{1}\u{7f}\u{85}\u{2028}é", "'''"] {
        lock.sections.insert(text.into(), digest(1));
        lock.sources[0].key = key_of(text, Portion::default());
        lock.sort();
        let written = lock.to_text();
        assert_eq!(Lock::parse(&written).unwrap(), lock, "{written}");
    }
}

#[test]
fn refuses_what_it_does_not_know() {
    for (from, to, expected) in [
        (
            "version = 1",
            "version = 2",
            "the lock has format 2; cooper 0.1.0 reads formats up to 1: a newer one is needed",
        ),
        (
            "encoding = 1",
            "encoding = 7",
            "the lock has encoding 7; cooper 0.1.0 doesn't know it: a newer one is needed",
        ),
        ("linux/arm64\"]\nmanifest", "linux/arm64/v8\"]\nmanifest", "is not a platform in its shortest form"),
        ("epoch =", "epoc =", "unknown field `epoc`"),
        (" 300\"", " 0300\"", "is not a digest and a size"),
        (" 300\"", "\"", "is not a digest and a size"),
        ("sha256:0303", "sha256:0x03", "is not a digest"),
        ("single = true", "single = true\nmode = 1", "unknown field `mode`"),
        ("layout = ", "image = \"x\"\nlayout = ", "is not an image or a layout"),
        ("vendor/postgres", "docker.io/library/postgres:17", ""),
        ("docker.io/library/postgres:17", "postgres:17", "is not an image's whole reference"),
        ("docker.io/library/postgres:17", "docker.io/A", "is not an image's whole reference"),
        ("20 roles.sql", "20 holes.sql", "the listing of initdb doesn't have the hash"),
        ("dir - empty", "dir - ../empty", "is not a line of a listing"),
        ("\"/etc/a.conf\"", "\"etc/a.conf\"", "is not a path"),
        ("[recipe]", "<<<<<<< HEAD\n[recipe]", "the lock has conflict markers, the first in line 6"),
    ] {
        let text = GOLDEN.replacen(from, to, 1);
        assert_ne!(text, GOLDEN, "{from}");
        match Lock::parse(&text) {
            Err(error) => assert!(error.to_string().contains(expected), "{error}"),
            Ok(_) => assert_eq!(expected, "", "{to}"),
        }
    }
    let twice = GOLDEN.replace("layout = \"vendor/postgres\"", "image = \"docker.io/library/postgres:17\"");
    assert_eq!(
        Lock::parse(&twice).unwrap_err().to_string(),
        "base docker.io/library/postgres:17 is there twice"
    );
}

/// The keys of one source of each kind, as they stand in locks.
const KINDS: &str = r#"
[[source]]
origin = "recipes/a/b"
from = "conf/*.d"
exclude = ["x"]

[[source]]
fetch = "https://example.org/x.tar"
unpack = ["auto"]
strip = 1

[[source]]
input = "app"
platform = "linux/amd64"

[[source]]
image = "docker.io/library/x:1"
path = "/bin"
platform = "linux/amd64"
include = ["a", "b"]

[[source]]
recipe = "a/c#dev"
path = "/srv"
platform = "linux/amd64"

[[source]]
base = "a/c#dev"
path = "/etc/x.conf"
platform = "linux/amd64"

[[source]]
base = "a/c#dev"
path = "/etc/x.conf"
platform = "linux/amd64"
include = ["**"]
"#;

fn of_all_kinds(keys: &str) -> String {
    let hash = format!("\nhash = \"{}\"\nfiles = []\n", Digest::of(b""));
    let tables = keys.trim_end().replace("\n\n[[", &format!("{hash}\n[["));
    format!("{}{tables}{hash}", Lock::default().to_text())
}

#[test]
fn all_kinds_of_sources_and_back() {
    let text = of_all_kinds(KINDS);
    let lock = Lock::parse(&text).unwrap();
    assert_eq!(lock.sources.len(), 7);
    assert_eq!(lock.to_text(), text);
    let mut shuffled = lock.clone();
    shuffled.sources.reverse();
    assert_eq!(shuffled.to_text(), text);
    for (from, to, expected) in [
        ("fetch =", "input = \"x\"\nfetch =", "is not a source of one kind"),
        ("from = \"conf/*.d\"", "path = \"conf/*.d\"", "is not a source of one kind"),
        ("path = \"/bin\"\n", "", "is not a source of one kind"),
        ("exclude =", "platform = \"linux/amd64\"\nexclude =", "is not for a source of this kind"),
        ("strip = 1", "strip = 1\nplatform = \"linux/amd64\"", "is not for a source of this kind"),
        ("platform = \"linux/amd64\"\ninclude = [\"a", "include = [\"a", "is not a platform"),
        ("linux/amd64", "linux", "is not a platform in its shortest form"),
        ("a/c#dev", "a/c", "is not a recipe and its variant"),
        ("[\"**\"]", "[\"x\"]", "is not what an entry changes"),
    ] {
        let text = of_all_kinds(&KINDS.replacen(from, to, 1));
        let error = Lock::parse(&text).unwrap_err().to_string();
        assert!(error.contains(expected), "{from}: {error}");
    }
}

/// Field by field `node` would come before `node-x`, and `a.io` before `a.io-b.org`.
#[test]
fn bases_are_in_the_order_of_their_text() {
    let image = |text: &str| BaseOrigin::Image(text.parse().unwrap());
    let origins = [
        image("a.io-b.org/x"),
        image("a.io/x"),
        image("a.io:5000/x"),
        image("node-x:2"),
        image("node:1"),
        image(&format!("node:1@{}", digest(1))),
        image("node:2"),
        BaseOrigin::Layout("./z".into()),
        BaseOrigin::Layout("a".into()),
    ];
    for pair in origins.windows(2) {
        assert!(pair[0] < pair[1], "{pair:?}");
    }
}

#[test]
fn a_base_bump_is_two_lines_a_platform_and_the_index() {
    let mut new = example();
    new.bases[0].index = blob(20);
    new.bases[0].platforms.get_mut("linux/amd64").unwrap().manifest = blob(21);
    new.bases[0].platforms.get_mut("linux/amd64").unwrap().facts = Some(blob(22));
    let changed = GOLDEN.lines().zip(new.to_text().lines()).filter(|(old, new)| old != new).count();
    assert_eq!(changed, 3);
}

#[test]
fn every_difference_has_its_reason() {
    let old = example();
    let say = |change: &dyn Fn(&mut Lock)| {
        let mut new = old.clone();
        change(&mut new);
        let found = reasons(&old, &new);
        let text: Vec<String> = found.iter().map(ToString::to_string).collect();
        (
            text.join("; ").replace(&digest(3).to_string(), "THREE"),
            because(&found).join(", "),
            State::of(&found, false),
        )
    };
    let stale = |text: &str, because: &str| (text.to_owned(), because.to_owned(), State::Stale);
    assert_eq!(say(&|_| {}), (String::new(), String::new(), State::Complete));
    assert_eq!(say(&|lock| lock.epoch = 1), stale("epoch 946684800 -> 1", "epoch"));
    assert_eq!(
        say(&|lock| {
            lock.sections.remove("config");
        }),
        stale("recipe.toml [config] changed", "recipe.toml [config]")
    );
    assert_eq!(
        say(&|lock| lock.sources[0] = SourceLock::of(key_of("initdb", Portion::default()), &initdb(b"c")).0),
        stale("initdb/20 roles.sql changed", "initdb/20 roles.sql")
    );
    assert_eq!(
        say(&|lock| {
            let mut tree = initdb(b"b");
            tree.nodes.insert(tree_path(b"20 roles.sql"), file(b"b", true));
            tree.nodes.remove(&tree_path(b"empty"));
            tree.nodes.insert(tree_path(b"z"), file(b"z", false));
            lock.sources[0] = SourceLock::of(key_of("initdb", Portion::default()), &tree).0;
        }),
        stale(
            "initdb/20 roles.sql has mode 0755, not 0644; initdb/empty is gone; initdb/z is new",
            "initdb/20 roles.sql, initdb/empty, initdb/z"
        )
    );
    assert_eq!(
        say(&|lock| {
            lock.sources.remove(1);
            lock.sources[1].hash = digest(1);
            lock.sources[1].listing = Listing::Blob(blob(1));
        }),
        stale("source postgresql.conf is gone; source www changed", "postgresql.conf, www")
    );
    assert_eq!(
        say(&|lock| lock.bases[0].origin = BaseOrigin::Image("postgres:18".parse().unwrap())),
        (
            "base docker.io/library/postgres:17 -> docker.io/library/postgres:18".into(),
            "base docker.io/library/postgres:18".into(),
            State::Unpinned
        )
    );
    assert_eq!(
        say(&|lock| lock.bases[0].platforms.get_mut("linux/amd64").unwrap().removed.clear())
            .0
            .matches("[[remove]]")
            .count(),
        2
    );
    assert_eq!(say(&|lock| lock.parents.clear()).1, "parent quickstart/web");
}

#[test]
fn outputs_differ_in_content_or_in_compression_only() {
    let old = example();
    let mut new = old.clone();
    let output = new.outputs.get_mut("prod").unwrap();
    output.index = blob(30);
    output.platforms.get_mut("linux/amd64").unwrap().manifest = digest(31);
    let found = reasons(&old, &new);
    assert!(matches!(found[..], [Reason::CompressionDiffers { .. }]), "{found:?}");
    assert!(because(&found).is_empty());
    new.epoch = 5;
    assert!(matches!(
        reasons(&old, &new)[..],
        [
            Reason::Epoch { .. },
            Reason::OutputDiffers { platform: Some(_), .. },
            Reason::OutputDiffers { platform: None, .. }
        ]
    ));
    new.outputs.clear();
    assert!(matches!(reasons(&old, &new)[..], [_, Reason::OutputUnused { .. }]));
    assert!(matches!(reasons(&new, &old)[..], [_, Reason::OutputMissing { .. }]));
}

#[test]
fn pins_and_blobs_that_lack() {
    let lock = example();
    let want = |image: &str, platform: &str, remove: &str| Want {
        variant: "prod".into(),
        origin: BaseOrigin::Image(image.parse().unwrap()),
        platforms: vec![platform.into()],
        removes: vec![remove.into()],
    };
    let state = |want: Want| State::of(&lock.unpinned(&[want]), true);
    assert_eq!(state(want("postgres:17", "linux/amd64", "/srv/none")), State::Open);
    assert_eq!(state(want("postgres:17", "linux/amd64", "/new")), State::DigestOnly);
    assert_eq!(state(want("postgres:17", "linux/arm64", "/new")), State::DigestOnly);
    assert_eq!(state(want("postgres:17", "linux/s390x", "/new")), State::Unpinned);
    assert!(matches!(
        lock.unpinned(&[want("postgres:18", "linux/amd64", "")])[..],
        [Reason::BaseChanged { .. }]
    ));
    assert!(matches!(
        Lock::default().unpinned(&[want("a:1", "linux/amd64", "")])[..],
        [Reason::BaseUnpinned { .. }]
    ));
    assert_eq!(lock.blobs().into_iter().collect::<Vec<_>>(), [3, 4, 5, 6, 7, 10].map(blob));
    assert_eq!(lock.absent(|content| *content != blob(5)), [Reason::BlobMissing { blob: blob(5) }]);
}

#[test]
fn conflicts_are_taken_apart_and_merged() {
    let ours = example();
    let mut theirs = example();
    theirs.bases[0].index = blob(40);
    theirs.bases[1].platforms.insert("linux/amd64".into(), ours.bases[0].platforms["linux/amd64"].clone());
    let (start, index, rest) = {
        let at = GOLDEN.find("index = ").unwrap();
        let end = at + GOLDEN[at..].find('\n').unwrap() + 1;
        (&GOLDEN[..at], &GOLDEN[at..end], &GOLDEN[end..])
    };
    let other = index.replace("03", "28").replace(" 300", " 4000");
    for ancestor in ["", "||||||| 1234\n<<<<<<< Temporary\nx\n||||||| y\n>>>>>>> Temporary\nindex = 0\n"] {
        let text = format!("{start}<<<<<<< HEAD\n{index}{ancestor}=======\n{other}>>>>>>> branch\n{rest}");
        assert!(matches!(Lock::parse(&text), Err(Error::Conflicted { .. })));
        let (left, right) = conflict::split(&text.replace('\n', "\r\n")).unwrap();
        assert_eq!(left, GOLDEN);
        assert_eq!(Lock::parse(&right).unwrap().bases[0].index, blob(40));
    }
    let (merged, differences) = conflict::merge(&ours, &theirs, Some(Take::Theirs));
    assert_eq!(merged.bases, theirs.bases);
    assert!(merged.outputs.is_empty() && merged.sources.is_empty());
    assert_eq!(differences.len(), 1);
    assert_eq!(differences[0].what, "base docker.io/library/postgres:17");
    let (merged, _) = conflict::merge(&ours, &theirs, None);
    assert_eq!(merged.bases[0], ours.bases[0]);
    assert_eq!(conflict::merge(&ours, &ours, None).1, []);
    for bad in ["=======\n", "<<<<<<< a\n>>>>>>> b\n", "<<<<<<< a\n=======\n", "<<<<<<< a\n<<<<<<< b\n"] {
        assert!(matches!(conflict::split(bad), Err(Error::Marker { .. })), "{bad}");
    }
}
