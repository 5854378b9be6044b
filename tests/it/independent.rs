//! `tests/independent_writer.py`, written from `book/src/encoding-1.md` alone, gives the same bytes.
//!
//! Trees, bases and patches with every trap of the page are built here, dumped as JSON and given to it.

#![allow(clippy::unwrap_used, reason = "helpers of a test")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Write};
use std::process::{Command, Stdio};

use cooperage::derivation::{Cmd, ConfigPatch, Healthcheck, Remove};
use cooperage::digest::{Digest, Encoding, HashingWriter, Known};
use cooperage::image::{self, Image, Layer};
use cooperage::layer;
use cooperage::oci::json::{self, Value, object};
use cooperage::oci::{Compression, Document, ImageConfig, Manifest};
use cooperage::tree::{Attributes, Content, FileTree, Kind, Node, TreePath};

use crate::engines::skipped;

/// A tree, and the bytes of its files.
#[derive(Default, Clone)]
struct Files {
    tree: FileTree,
    bytes: BTreeMap<Digest, Vec<u8>>,
}

impl Files {
    fn add(mut self, path: &[u8], kind: Kind, attributes: Attributes) -> Self {
        let mtime = 946_684_800 + self.tree.len() as i64;
        self.tree.insert(TreePath::parse(path).unwrap(), Node { kind, attributes, mtime });
        self
    }

    fn file(mut self, path: &[u8], bytes: &[u8]) -> Self {
        self.bytes.insert(Digest::of(bytes), bytes.to_vec());
        self.add(path, Kind::File(Content::of(bytes)), Attributes::new(0o644))
    }

    fn dir(self, path: &[u8], opaque: bool) -> Self {
        self.add(path, Kind::Directory { opaque }, Attributes::new(0o1755).owned(7, 8))
    }

    fn link(self, path: &[u8], target: &[u8]) -> Self {
        self.add(path, Kind::Symlink(target.to_vec()), Attributes::new(0o777))
    }

    fn hard(self, path: &[u8], target: &[u8]) -> Self {
        let target = TreePath::parse(target).unwrap();
        self.add(path, Kind::HardLink(target), Attributes::new(0o600).owned(9, 9))
    }

    fn gone(self, path: &[u8]) -> Self {
        self.add(path, Kind::Whiteout, Attributes::new(0))
    }

    fn with(self, path: &[u8], bytes: &[u8], attributes: Attributes) -> Self {
        let mut files = self.file(path, bytes);
        let kind = Kind::File(Content::of(bytes));
        files.tree.insert(TreePath::parse(path).unwrap(), Node { kind, attributes, mtime: 0o77777777777 });
        files
    }

    fn build(&self, compression: Compression, name: Option<&str>) -> Layer {
        let open = |content: &Content| Ok((&self.bytes[&content.digest][..], Known::Nothing));
        let out = HashingWriter::new(std::io::sink());
        let (out, built) = layer::build(Encoding::V1, compression, &self.tree, &open, None, out).unwrap();
        let (_, digest, size) = out.finish();
        Layer { diff_id: built.diff_id, digest, size, compression, name: name.map(str::to_owned) }
    }

    fn to_value(&self) -> Value {
        let entry = |(path, node): (&TreePath, &Node)| {
            let (kind, data) = match &node.kind {
                Kind::Directory { opaque: false } => ("dir", &[][..]),
                Kind::Directory { opaque: true } => ("opaque", &[][..]),
                Kind::File(content) => ("file", &self.bytes[&content.digest][..]),
                Kind::Symlink(target) => ("symlink", &target[..]),
                Kind::HardLink(target) => ("hardlink", target.as_bytes()),
                Kind::Whiteout => ("whiteout", &[][..]),
            };
            let xattrs = &node.attributes.xattrs;
            let xattrs: BTreeMap<String, String> = xattrs.iter().map(|(k, v)| (hex(k), hex(v))).collect();
            Value::Array(vec![
                hex(path.as_bytes()).into(),
                kind.into(),
                u64::from(node.attributes.mode).into(),
                u64::from(node.attributes.uid).into(),
                u64::from(node.attributes.gid).into(),
                u64::try_from(node.mtime).unwrap().into(),
                hex(data).into(),
                Value::from(&xattrs),
            ])
        };
        Value::Array(self.tree.iter().map(entry).collect())
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn trees() -> Vec<Files> {
    let long = [b'n'; 101];
    let below_long = [&long[..], b"/", &[b'f'; 99]].concat();
    let exactly = [b'e'; 100];
    let directory_of_100 = [b'd'; 99];
    let mut xattrs = Attributes::new(0o6755).owned(2_097_151, 2_097_152);
    xattrs.xattrs = BTreeMap::from([
        (b"security.capability".to_vec(), vec![1, 0, 0, 2, 0xff, b'\n', b'=']),
        (b"user.\xff\n".to_vec(), Vec::new()),
        (b"user.nine".to_vec(), b"x".repeat(72)),
        (b"security.selinux".to_vec(), b"never".to_vec()),
        (b"trusted.overlay.opaque".to_vec(), b"y".to_vec()),
    ]);
    vec![
        Files::default()
            .dir(b"a", false)
            .file(b"a/b", b"one")
            .file(b"a-b", b"")
            .file(b"a.b", &[b'x'; 512])
            .file(b"a0", &[b'x'; 513])
            .dir(b"\xff\xfe", true)
            .file(b"\xff\xfe/.vh", b"non-UTF-8")
            .file(b"\xff\xfe/.x", b"\0")
            .gone(b"a/gone")
            .gone(b"zz")
            .link(b"l", b"../\xff absolute or not"),
        Files::default()
            .dir(&long, false)
            .file(&below_long, b"long")
            .file(&exactly, b"100")
            .dir(&directory_of_100, true)
            .link(b"to", &below_long)
            .link(b"just", &exactly)
            .hard(b"a-name-before", &below_long)
            .hard(b"zebra", &below_long)
            .gone(&[b'w'; 98]),
        Files::default().with(b"m", b"content", xattrs).hard(b"b", b"m").hard(b"z", b"m").with(
            b"big",
            b"",
            Attributes::new(0).owned(u32::MAX, 2_097_151),
        ),
        Files::default(),
    ]
}

fn strings(items: &[&str]) -> Vec<String> {
    items.iter().map(|&item| item.to_owned()).collect()
}

fn set(items: &[&str]) -> BTreeSet<String> {
    items.iter().map(|&item| item.to_owned()).collect()
}

fn map(items: &[(&str, &str)]) -> BTreeMap<String, String> {
    items.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn patches() -> Vec<ConfigPatch> {
    let empty = ConfigPatch { epoch: 946_684_800, ..ConfigPatch::default() };
    let check = Healthcheck {
        test: strings(&["pg_isready", "-q"]),
        interval_ns: 10_000_000_000,
        retries: 3,
        ..Healthcheck::default()
    };
    let full = ConfigPatch {
        entrypoint: Some(strings(&["/bin/\"é\u{1}\u{7f}"])),
        env: map(&[("PATH", "/new=x"), ("ZZ", ""), ("AA", "\n"), ("GONE", "back")]),
        user: Some("inherit".into()),
        workdir: Some("/w".into()),
        expose: set(&["8080/tcp", "80/tcp"]),
        volumes: set(&["/data"]),
        labels: map(&[("a", "b"), ("org.opencontainers.image.url", "set")]),
        stop_signal: Some("SIGINT".into()),
        healthcheck: Some(check),
        remove: Remove {
            env: set(&["GONE", "NEVER"]),
            volumes: set(&["/old"]),
            expose: set(&["1/udp"]),
            labels: set(&["keep"]),
        },
        title: Some("T".into()),
        version: Some("1".into()),
        source: Some("https://example".into()),
        base_name: Some("docker.io/library/x:1".into()),
        base_digest: Some(Digest::of(b"index")),
        epoch: 1_700_000_000,
        ..ConfigPatch::default()
    };
    let taken = ConfigPatch {
        cmd: Some(Cmd::Set(Vec::new())),
        healthcheck: Some(Healthcheck { retries: 3, ..Healthcheck::default() }),
        remove: Remove {
            env: set(&["PATH", "GONE", "BARE", "TWICE"]),
            volumes: set(&["/old"]),
            ..Remove::default()
        },
        ..empty.clone()
    };
    let inherit = ConfigPatch {
        entrypoint: Some(Vec::new()),
        cmd: Some(Cmd::Inherit),
        env: map(&[("TWICE", "once"), ("BARE", "full")]),
        ..empty.clone()
    };
    let cmd = ConfigPatch { cmd: Some(Cmd::Set(strings(&["x"]))), ..empty.clone() };
    vec![empty, full, taken, inherit, cmd]
}

/// Manifest and config of what can stand below.
fn bases() -> Vec<Option<(String, String)>> {
    let id = Digest::of(b"layer");
    let layer = format!(
        r#"{{"mediaType":"application/vnd.docker.image.rootfs.diff.tar.gzip","digest":"{id}","size":5,"urls":["u"],"annotations":{{"k":"v"}},"x":1.50}}"#
    );
    let oci = format!(
        r#"{{"mediaType":"application/vnd.oci.image.layer.v1.tar+zstd","digest":"{id}","size":6,"annotations":{{}}}}"#
    );
    let manifest = |layers: &str| {
        format!(
            r#"{{"schemaVersion":2,"annotations":{{"old":"x"}},"layers":[{layers}],"config":{{"mediaType":"application/vnd.docker.container.image.v1+json","digest":"{id}","size":5}}}}"#
        )
    };
    let config = |created: &str, diff_ids: &str, history: &str, settings: &str| {
        format!(
            r#"{{"os":"linux","architecture":"arm64","created":{created},"author":"é","id":"x","parent":"y","container":"z","container_config":{{}},"docker_version":"1","moby.buildkit.cache.v0":"c","unknown":[1.0,-0,1e5,null],"rootfs":{{"type":"layers","diff_ids":{diff_ids}}},"history":{history},"config":{settings}}}"#
        )
    };
    let settings = r#"{"Env":["PATH=/bin","TWICE=1","GONE=x","BARE","TWICE=2","PATH=/again"],"Entrypoint":[],"Cmd":["sh"],"Image":"sha256:x","OnBuild":["RUN x"],"Volumes":{"/old":{}},"ExposedPorts":{"1/udp":{},"80/tcp":{"kept":true}},"Labels":{"keep":"1","org.opencontainers.image.version":"9","org.opencontainers.image.base.name":"b","org.opencontainers.image.licenses":"MIT"},"ArgsEscaped":true}"#;
    let nulls = r#"{"Env":null,"Entrypoint":null,"Cmd":null,"Image":"","OnBuild":null,"Volumes":null,"ExposedPorts":{},"Labels":null}"#;
    let only_stale = r#"{"Labels":{"org.opencontainers.image.ref.name":"x"},"Env":["PATH=1"]}"#;
    let made =
        r#"[{"created_by":"a","empty_layer":true},{"created_by":"b","created":"2000-01-01T00:00:00.5Z"}]"#;
    let one = format!(r#"["{id}"]"#);
    vec![
        None,
        Some((manifest(&layer), config(r#""2024-02-29T23:59:59.99+01:30""#, &one, made, settings))),
        Some((manifest(&layer), config(r#""0001-01-01T00:00:00Z""#, &one, "null", nulls))),
        Some((manifest(&layer), config("null", &one, r#"[1]"#, "null"))),
        Some((manifest(&layer), config(r#""0000-03-01T00:00:00+12:00""#, &one, "[]", "{}"))),
        Some((manifest(&layer), config(r#""0000-01-01T00:00:00+00:01""#, &one, "[]", "{}"))),
        Some((manifest(&layer), config(r#""9999-12-31T23:59:59.9Z""#, &one, "[]", "{}"))),
        Some((
            manifest(&format!("{layer},{oci}")),
            config(r#""2026-08-01 00:00:00Z""#, &format!(r#"["{id}","{id}"]"#), made, only_stale),
        )),
        Some((manifest(""), config(r#""2025-01-01T00:00:00Z""#, "null", r#"[{"empty_layer":true}]"#, "{}"))),
    ]
}

fn parsed(base: &(String, String)) -> (Manifest, ImageConfig) {
    let manifest = Document::parse(base.0.as_bytes(), "application/vnd.oci.image.manifest.v1+json").unwrap();
    let Document::Manifest(manifest) = manifest else { panic!("not a manifest") };
    (manifest, ImageConfig::parse(base.1.as_bytes()).unwrap())
}

/// What Cooper makes of one case, and the case as JSON.
fn case(base: Option<&(String, String)>, patch: &ConfigPatch, layers: &[(Files, Layer)]) -> (Image, Value) {
    let documents = base.map(parsed);
    let below = documents.as_ref().map(|(manifest, config)| (manifest, config));
    let platform = "linux/arm64".parse().unwrap();
    let ours: Vec<Layer> = layers.iter().map(|(_, layer)| layer.clone()).collect();
    let image = image::assemble(Encoding::V1, below, &platform, &ours, patch).unwrap();
    let listed = layers.iter().map(|(files, layer)| {
        object([
            ("name", layer.name.as_deref().map_or(Value::Null, Value::from)),
            ("compression", if layer.compression == Compression::Gzip { "gzip" } else { "none" }.into()),
            ("digest", layer.digest.to_string().into()),
            ("size", layer.size.into()),
            ("entries", files.to_value()),
        ])
    });
    let base = base.map_or(Value::Null, |(manifest, config)| {
        object([("manifest", manifest.as_str().into()), ("config", config.as_str().into())])
    });
    let value = object([
        ("base", base),
        ("platform", platform.to_value()),
        ("patch", patch.to_value()),
        ("layers", Value::Array(listed.collect())),
    ]);
    (image, value)
}

/// The writer's answer; none without Python.
fn ask(cases: Vec<Value>) -> Option<Value> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/independent_writer.py");
    let child = Command::new("python3").arg(script).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = match child {
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        child => child.unwrap(),
    };
    let input = object([("cases", Value::Array(cases))]).to_bytes();
    child.stdin.take().unwrap().write_all(&input).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    Some(json::parse(&output.stdout).unwrap())
}

#[test]
fn an_independent_writer_gives_the_same_bytes() {
    let layers: Vec<(Files, Layer)> = trees()
        .into_iter()
        .zip([
            (Compression::Gzip, None),
            (Compression::None, Some("né")),
            (Compression::Gzip, Some("")),
            (Compression::Gzip, None),
        ])
        .map(|(files, (compression, name))| (files.clone(), files.build(compression, name)))
        .collect();
    let (mut images, mut cases) = (Vec::new(), Vec::new());
    for base in bases() {
        for (number, patch) in patches().iter().enumerate() {
            // All layers once, then none or one: they have little to do with the documents.
            let layers = if number == 0 { &layers[..] } else { &layers[..number % 2] };
            let (image, value) = case(base.as_ref(), patch, layers);
            images.push((image, layers));
            cases.push(value);
        }
    }
    let Some(answers) = ask(cases) else { return skipped("python3 is not installed") };
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), images.len());
    for ((image, layers), answer) in images.iter().zip(answers) {
        let member = |name: &str| answer.as_object().unwrap()[name].clone();
        let ids: Vec<Value> = layers.iter().map(|(_, layer)| layer.diff_id.to_string().into()).collect();
        assert_eq!(member("diff_ids"), Value::Array(ids));
        assert_eq!(member("config").as_str().unwrap(), String::from_utf8_lossy(&image.config));
        assert_eq!(member("manifest").as_str().unwrap(), String::from_utf8_lossy(&image.manifest));
    }
}
