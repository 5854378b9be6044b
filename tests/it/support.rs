//! What the integration tests share: a directory of files, runs of `cooper` in it, exact comparison; bases made here.
//!
//! ```ignore
//! Test::new().file("recipes/x/y/recipe.toml", "…").run(["build"]).stdout("…").status(0);
//! ```
#![allow(dead_code, reason = "each test uses what it needs")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use cooperage::digest::Digest;
use serde_json::{Value, json};

/// A directory of its own below `target/tmp`, removed when the test passed.
pub(crate) struct Test {
    dir: PathBuf,
    environment: BTreeMap<String, String>,
}

/// What a run of `cooper` gave.
pub(crate) struct Run {
    test: Test,
    shown: String,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) code: Option<i32>,
}

impl Test {
    /// An empty directory.
    pub(crate) fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let name = format!("it-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(dir.join("work")).unwrap();
        let test = Self { dir, environment: BTreeMap::new() };
        let home = test.dir.join("home").to_str().unwrap().to_owned();
        test.env("HOME", &home).env("LANG", "C.UTF-8").env("PATH", "/usr/bin:/bin")
    }

    /// One with the smallest `cooper.toml`.
    pub(crate) fn workspace() -> Self {
        Self::new().file("cooper.toml", "[workspace]\nplatforms = [\"linux/amd64\", \"linux/arm64\"]\n")
    }

    /// Where `cooper` runs.
    pub(crate) fn path(&self, relative: &str) -> PathBuf {
        self.dir.join("work").join(relative)
    }

    /// The store of its runs.
    pub(crate) fn store(&self) -> PathBuf {
        self.dir.join("home/.local/share/cooper/store")
    }

    /// Writes a file, and the directories above it.
    pub(crate) fn file(self, path: &str, text: impl AsRef<[u8]>) -> Self {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Removes a file or directory.
    pub(crate) fn remove(self, path: &str) -> Self {
        let path = self.path(path);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
        self
    }

    /// What a file holds.
    pub(crate) fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// Sets a variable for the runs that follow.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Writes an OCI layout of an image for linux/amd64 and linux/arm64, whose layers `trees` tells (see [`tar`]).
    pub(crate) fn base(self, dir: &str, tag: &str, trees: &[&str]) -> Self {
        Layout::new(trees).write(&self.path(dir), tag);
        self
    }

    /// `cooper`, ready to run, in an environment that is cleared.
    pub(crate) fn command<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cooper"));
        command.args(arguments).current_dir(self.path("")).env_clear().envs(&self.environment);
        command.stdin(Stdio::null());
        command
    }

    /// Runs `cooper`.
    pub(crate) fn run<'a>(self, arguments: impl IntoIterator<Item = &'a str>) -> Run {
        let arguments: Vec<&str> = arguments.into_iter().collect();
        let output = self.command(arguments.iter().copied()).output().unwrap();
        let here = self.dir.join("work");
        let redact = |bytes: Vec<u8>| {
            let text = String::from_utf8(bytes).unwrap();
            text.replace(here.to_str().unwrap(), "[DIR]").replace(self.dir.to_str().unwrap(), "[TMP]")
        };
        let (out, err) = (redact(output.stdout), redact(output.stderr));
        Run { shown: arguments.join(" "), test: self, out, err, code: output.status.code() }
    }
}

impl Drop for Test {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            _ = fs::remove_dir_all(&self.dir);
        }
    }
}

impl Run {
    /// Standard output is exactly this.
    #[track_caller]
    pub(crate) fn stdout(self, expected: &str) -> Self {
        assert_eq!(self.out, expected, "standard output of cooper {}; its errors:\n{}", self.shown, self.err);
        self
    }

    /// Standard error is exactly this.
    #[track_caller]
    pub(crate) fn stderr(self, expected: &str) -> Self {
        assert_eq!(self.err, expected, "standard error of cooper {}", self.shown);
        self
    }

    /// It exited with this code, and not in a panic.
    #[track_caller]
    pub(crate) fn status(self, expected: i32) -> Self {
        assert_eq!(self.code, Some(expected), "cooper {}\n{}{}", self.shown, self.out, self.err);
        self
    }

    /// Standard output is one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}\n{}{}", self.out, self.err))
    }

    /// The directory, for the next step.
    pub(crate) fn then(self) -> Test {
        self.test
    }

    /// The directory, for a look.
    pub(crate) const fn test(&self) -> &Test {
        &self.test
    }
}

/// An uncompressed tar from lines such as
///
/// ```text
/// d 0755 0:0 etc
/// f 0644 0:0 etc/passwd root:x:0:0::/root:/bin/sh\nweb:x:33:33::/:\n
/// l lib usr/lib
/// h etc/hard etc/passwd
/// ```
///
/// (directory, file with content, symbolic link to, hard link to). `\n` in a content is a line end. A mode may be followed
/// by extended attributes, their values in hex: `0755,user.a=00ff`. Nothing is sorted, and directories that no line names
/// aren't made.
pub(crate) fn tar(tree: &str) -> Vec<u8> {
    let mut archive = ::tar::Builder::new(Vec::new());
    for line in tree.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (kind, rest) = line.split_once(' ').unwrap_or_else(|| panic!("{line:?}"));
        let mut header = ::tar::Header::new_ustar();
        header.set_mtime(1_000_000_000);
        if let "l" | "h" = kind {
            let (path, target) = rest.split_once(' ').unwrap_or_else(|| panic!("{line:?}"));
            header.set_entry_type(if kind == "l" {
                ::tar::EntryType::Symlink
            } else {
                ::tar::EntryType::Link
            });
            // Docker gives a hard link's mode to the file.
            header.set_mode(if kind == "l" { 0o777 } else { 0o644 });
            owner(&mut header, "0:0");
            header.set_size(0);
            archive.append_link(&mut header, path, target).unwrap();
            continue;
        }
        let mut words = rest.splitn(4, ' ');
        let mut word = || words.next().unwrap_or_else(|| panic!("{line:?}"));
        let (mode, ids, path) = (word(), word(), word());
        let content = words.next().unwrap_or("").replace("\\n", "\n");
        let mut mode = mode.split(',');
        header.set_mode(u32::from_str_radix(mode.next().unwrap(), 8).unwrap());
        let xattrs: Vec<(String, Vec<u8>)> = mode.map(xattr).collect();
        archive.append_pax_extensions(xattrs.iter().map(|(name, value)| (&**name, &**value))).unwrap();
        owner(&mut header, ids);
        header.set_size(content.len() as u64);
        let directory = kind == "d";
        header.set_entry_type(if directory {
            ::tar::EntryType::Directory
        } else {
            ::tar::EntryType::Regular
        });
        let path = if directory { format!("{path}/") } else { path.to_owned() };
        archive.append_data(&mut header, path, content.as_bytes()).unwrap();
    }
    archive.into_inner().unwrap()
}

fn xattr(text: &str) -> (String, Vec<u8>) {
    let (name, hex) = text.split_once('=').unwrap();
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    (format!("SCHILY.xattr.{name}"), hex.as_bytes().chunks(2).map(byte).collect())
}

fn owner(header: &mut ::tar::Header, ids: &str) {
    let (uid, gid) = ids.split_once(':').unwrap();
    header.set_uid(uid.parse().unwrap());
    header.set_gid(gid.parse().unwrap());
}

/// As an upstream image has it: any gzip will do.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    writer.write_all(bytes).unwrap();
    writer.finish().unwrap()
}

/// An image for two platforms, to be written as an OCI layout; every part can be changed before.
pub(crate) struct Layout {
    /// `application/vnd.oci.image.layer.v1.tar+gzip` and the blob, lowest first.
    pub(crate) layers: Vec<(String, Vec<u8>)>,
    /// Of the tar streams.
    pub(crate) diff_ids: Vec<Digest>,
    /// `config` of the image config.
    pub(crate) config: Value,
    /// Operating system, architecture, variant.
    pub(crate) platforms: Vec<(&'static str, &'static str, Option<&'static str>)>,
    /// `created` of the image config.
    pub(crate) created: String,
}

impl Layout {
    /// gzip layers of trees, linux/amd64 and linux/arm64, an environment with a PATH.
    pub(crate) fn new(trees: &[&str]) -> Self {
        Self::of_tars(trees.iter().map(|tree| tar(tree)).collect())
    }

    /// The same of tars.
    pub(crate) fn of_tars(tars: Vec<Vec<u8>>) -> Self {
        let gzipped = |tar: &Vec<u8>| ("application/vnd.oci.image.layer.v1.tar+gzip".to_owned(), gzip(tar));
        Self {
            layers: tars.iter().map(gzipped).collect(),
            diff_ids: tars.iter().map(|tar| Digest::of(tar)).collect(),
            config: json!({ "Env": ["PATH=/usr/bin:/bin"], "Cmd": ["sh"] }),
            platforms: vec![("linux", "amd64", None), ("linux", "arm64", Some("v8"))],
            created: "2001-02-03T04:05:06.789Z".into(),
        }
    }

    /// The same with another `config`.
    pub(crate) fn config(mut self, config: Value) -> Self {
        self.config = config;
        self
    }

    /// Writes the layout; the digest of its image index is given.
    pub(crate) fn write(&self, dir: &Path, tag: &str) -> Digest {
        fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
        fs::write(dir.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
        let manifests: Vec<Value> =
            self.platforms.iter().map(|platform| self.manifest(dir, *platform)).collect();
        let media_type = "application/vnd.oci.image.index.v1+json";
        let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": manifests });
        let (mut top, digest) = blob(dir, media_type, index.to_string().as_bytes());
        top["annotations"] = json!({ "org.opencontainers.image.ref.name": tag });
        let index = json!({ "schemaVersion": 2, "mediaType": media_type, "manifests": [top] });
        fs::write(dir.join("index.json"), index.to_string()).unwrap();
        digest
    }

    fn manifest(&self, dir: &Path, (os, architecture, variant): (&str, &str, Option<&str>)) -> Value {
        let mut platform = json!({ "os": os, "architecture": architecture });
        if let Some(variant) = variant {
            platform["variant"] = variant.into();
        }
        let diff_ids: Vec<String> = self.diff_ids.iter().map(Digest::to_string).collect();
        let history: Vec<Value> =
            diff_ids.iter().map(|_| json!({ "created": self.created, "created_by": "support.rs" })).collect();
        let mut config = platform.clone();
        config["created"] = self.created.as_str().into();
        config["config"] = self.config.clone();
        config["rootfs"] = json!({ "type": "layers", "diff_ids": diff_ids });
        config["history"] = history.into();
        let config = blob(dir, "application/vnd.oci.image.config.v1+json", config.to_string().as_bytes()).0;
        let layers: Vec<Value> =
            self.layers.iter().map(|(media_type, bytes)| blob(dir, media_type, bytes).0).collect();
        let media_type = "application/vnd.oci.image.manifest.v1+json";
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": media_type, "config": config, "layers": layers });
        let mut descriptor = blob(dir, media_type, manifest.to_string().as_bytes()).0;
        descriptor["platform"] = platform;
        descriptor
    }
}

/// Writes a blob of a layout; gives its descriptor and digest.
pub(crate) fn blob(dir: &Path, media_type: &str, bytes: &[u8]) -> (Value, Digest) {
    let digest = Digest::of(bytes);
    fs::write(dir.join("blobs/sha256").join(digest.hex()), bytes).unwrap();
    (json!({ "mediaType": media_type, "digest": digest.to_string(), "size": bytes.len() }), digest)
}

#[test]
fn a_base_is_a_sound_layout() {
    let tree = "d 0755 0:0 etc\nf 0640 0:33 etc/x a b\\nc\nl lib usr/lib\nh etc/y etc/x";
    let test = Test::new().base("base", "1", &[tree]);
    let index: Value = serde_json::from_str(&test.read("base/index.json")).unwrap();
    let open = |descriptor: &Value| -> Value {
        let hex = &descriptor["digest"].as_str().unwrap()[7..];
        serde_json::from_str(&test.read(&format!("base/blobs/sha256/{hex}"))).unwrap()
    };
    let manifest = open(&open(&index["manifests"][0])["manifests"][1]);
    assert_eq!(open(&manifest["config"])["architecture"], "arm64");
    let hex = &manifest["layers"][0]["digest"].as_str().unwrap()[7..];
    let bytes = fs::read(test.path(&format!("base/blobs/sha256/{hex}"))).unwrap();
    let mut archive = ::tar::Archive::new(flate2::read::GzDecoder::new(&bytes[..]));
    let names: Vec<String> = archive
        .entries()
        .unwrap()
        .map(|entry| entry.unwrap().path().unwrap().display().to_string())
        .collect();
    assert_eq!(names, ["etc/", "etc/x", "lib", "etc/y"]);
}
