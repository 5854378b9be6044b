//! Images made byte by byte, also those that no tool would make: layouts and archives of every kind, compressed bombs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use cooperage::digest::Digest;
use flate2::Crc;
use serde_json::{Value, json};

#[path = "../../src/layer/tar/build.rs"]
#[allow(dead_code, reason = "each side uses what it needs")]
mod build;

pub(crate) use build::{Tar, header, record, sign, tar};

pub(crate) const INDEX: &str = "application/vnd.oci.image.index.v1+json";
pub(crate) const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
pub(crate) const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
pub(crate) const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
pub(crate) const VERSION: &str = r#"{"imageLayoutVersion":"1.0.0"}"#;

/// Where in an image a document stands, from the inside out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    Config,
    Manifest,
    Index,
    /// `index.json`
    Top,
}

/// What happens to a document before it is named by its digest.
pub(crate) type Change = Box<dyn Fn(Stage, String) -> String + Send + Sync>;

/// An image for linux/amd64 under construction.
pub(crate) struct Draft {
    /// Media type, blob, diff_id.
    pub(crate) layers: Vec<(String, Vec<u8>, Digest)>,
    pub(crate) change: Change,
}

impl Draft {
    /// Uncompressed layers.
    pub(crate) fn of(tars: Vec<Vec<u8>>) -> Self {
        let layer = |tar: Vec<u8>| {
            let digest = Digest::of(&tar);
            (LAYER.to_owned(), tar, digest)
        };
        Self { layers: tars.into_iter().map(layer).collect(), change: Box::new(|_, text| text) }
    }

    /// One layer that a person would make.
    pub(crate) fn good() -> Self {
        let passwd = b"root:x:0:0:root:/root:/bin/sh\nweb:x:33:33::/srv:/bin/false\n";
        Self::of(vec![tar().dir("etc/").file("etc/passwd", passwd).dir("srv/").end()])
    }

    pub(crate) fn changed(
        mut self,
        change: impl Fn(Stage, String) -> String + Send + Sync + 'static,
    ) -> Self {
        self.change = Box::new(change);
        self
    }

    /// The files of the layout, by name; the blobs are those of the layers and of the four documents.
    pub(crate) fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        let mut put = |stage: Option<Stage>, media_type: &str, bytes: Vec<u8>| {
            let bytes = match stage {
                Some(stage) => (self.change)(stage, String::from_utf8(bytes).unwrap()).into_bytes(),
                None => bytes,
            };
            let told = descriptor(media_type, &bytes);
            files.insert(blob_name(&bytes), bytes);
            told
        };
        let layers: Vec<Value> =
            self.layers.iter().map(|(media_type, blob, _)| put(None, media_type, blob.clone())).collect();
        let diff_ids: Vec<String> = self.layers.iter().map(|(_, _, diff_id)| diff_id.to_string()).collect();
        let platform = json!({ "os": "linux", "architecture": "amd64" });
        let mut config = platform.clone();
        config["config"] = json!({ "Env": ["PATH=/usr/bin:/bin"], "Cmd": ["sh"] });
        config["rootfs"] = json!({ "type": "layers", "diff_ids": diff_ids });
        let config = put(Some(Stage::Config), CONFIG, config.to_string().into_bytes());
        let manifest =
            json!({ "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers });
        let mut manifest = put(Some(Stage::Manifest), MANIFEST, manifest.to_string().into_bytes());
        manifest["platform"] = platform;
        let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [manifest] });
        let top = put(Some(Stage::Index), INDEX, index.to_string().into_bytes());
        let top = json!({ "schemaVersion": 2, "manifests": [top] });
        files.insert("index.json".into(), (self.change)(Stage::Top, top.to_string()).into_bytes());
        files.insert("oci-layout".into(), VERSION.into());
        files
    }
}

pub(crate) fn blob_name(bytes: &[u8]) -> String {
    format!("blobs/sha256/{}", Digest::of(bytes).hex())
}

pub(crate) fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": Digest::of(bytes).to_string(), "size": bytes.len() })
}

/// Writes a layout's files below `dir`.
pub(crate) fn write(dir: &Path, files: &BTreeMap<String, Vec<u8>>) {
    fs::create_dir_all(dir.join("blobs/sha256")).unwrap();
    for (name, bytes) in files {
        fs::write(dir.join(name), bytes).unwrap();
    }
}

/// The same as a tar.
pub(crate) fn archive(files: &BTreeMap<String, Vec<u8>>) -> Tar {
    files.iter().fold(tar(), |tar, (name, bytes)| tar.file(name, bytes))
}

/// What `docker save` writes: `manifest.json` last.
pub(crate) fn docker(config: &str, layers: &[(&str, Vec<u8>)], tags: &[&str]) -> Tar {
    let names: Vec<&str> = layers.iter().map(|(name, _)| *name).collect();
    let manifest = json!([{ "Config": "config.json", "RepoTags": tags, "Layers": names }]);
    let tar = layers
        .iter()
        .fold(tar().file("config.json", config.as_bytes()), |tar, (name, bytes)| tar.file(name, bytes));
    tar.file("manifest.json", manifest.to_string().as_bytes())
}

/// An image config for [`docker`].
pub(crate) fn docker_config(layers: &[&[u8]]) -> String {
    let diff_ids: Vec<String> = layers.iter().map(|layer| Digest::of(layer).to_string()).collect();
    json!({ "os": "linux", "architecture": "amd64", "rootfs": { "type": "layers", "diff_ids": diff_ids } })
        .to_string()
}

/// A gzip of stored blocks: its bytes depend on no library.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = GZIP.to_vec();
    stored(&mut out, bytes);
    let mut crc = Crc::new();
    crc.update(bytes);
    end(out, &crc)
}

const GZIP: [u8; 10] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff];

fn stored(out: &mut Vec<u8>, bytes: &[u8]) {
    for piece in bytes.chunks(0xffff) {
        let length = u16::try_from(piece.len()).unwrap();
        out.push(0);
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend_from_slice(piece);
    }
}

fn end(mut out: Vec<u8>, crc: &Crc) -> Vec<u8> {
    out.extend([1, 0, 0, 0xff, 0xff]);
    out.extend(crc.sum().to_le_bytes());
    out.extend(crc.amount().to_le_bytes());
    out
}

/// The gzip of `head`, then `runs` times 258 zeros at two bits each, then `tail`: a thousand to one.
pub(crate) fn gzip_bomb(head: &[u8], runs: u64, tail: &[u8]) -> Vec<u8> {
    let mut out = GZIP.to_vec();
    stored(&mut out, head);
    let mut bits = Bits { out, held: 0, count: 0 };
    // A dynamic block: HLIT 286, HDIST 1, HCLEN 18, then the lengths of the code length codes 18, 2 and 1.
    bits.put(0, 1);
    bits.put(2, 2);
    bits.put(29, 5);
    bits.put(0, 5);
    bits.put(14, 4);
    for symbol in [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1] {
        bits.put(if matches!(symbol, 18 | 2) { 2 } else { u32::from(symbol == 1) }, 3);
    }
    // Canonical: 1 = 0, 2 = 10, 18 = 11; of the literals 0 has two bits, 256 two, 285 one.
    let (two, zeros) = (0b10, 0b11);
    bits.code(two, 2);
    bits.code(zeros, 2);
    bits.put(138 - 11, 7);
    bits.code(zeros, 2);
    bits.put(117 - 11, 7);
    bits.code(two, 2);
    bits.code(zeros, 2);
    bits.put(28 - 11, 7);
    bits.code(0, 1);
    bits.code(0, 1);
    // 285 = 0, literal 0 = 10, 256 = 11; the distance 1 is 0.
    bits.code(0b10, 2);
    for _ in 0..runs {
        bits.put(0, 2);
    }
    bits.code(0b11, 2);
    // An empty stored block brings the stream to a whole byte.
    bits.put(0, 3);
    bits.align();
    let mut out = bits.out;
    out.extend([0, 0, 0xff, 0xff]);
    stored(&mut out, tail);
    let mut crc = Crc::new();
    crc.update(head);
    crc.combine(&zeros_crc(1 + runs * 258));
    let mut last = Crc::new();
    last.update(tail);
    crc.combine(&last);
    end(out, &crc)
}

/// The checksum of so many zeros, by doubling.
fn zeros_crc(mut count: u64) -> Crc {
    let (mut sum, mut power) = (Crc::new(), Crc::new());
    power.update(&[0]);
    while count > 0 {
        if count & 1 == 1 {
            sum.combine(&power);
        }
        let mut same = Crc::new();
        same.combine(&power);
        power.combine(&same);
        count >>= 1;
    }
    sum
}

struct Bits {
    out: Vec<u8>,
    held: u32,
    count: u32,
}

impl Bits {
    /// Lowest bit first.
    fn put(&mut self, value: u32, count: u32) {
        self.held |= value << self.count;
        self.count += count;
        while self.count >= 8 {
            self.out.push((self.held & 0xff) as u8);
            self.held >>= 8;
            self.count -= 8;
        }
    }

    /// A Huffman code: highest bit first.
    fn code(&mut self, code: u32, count: u32) {
        (0..count).rev().for_each(|bit| self.put(code >> bit & 1, 1));
    }

    fn align(&mut self) {
        self.put(0, (8 - self.count % 8) % 8);
    }
}

#[test]
fn a_bomb_is_a_sound_gzip() {
    use std::io::Read;
    let bomb = gzip_bomb(b"head", 1000, b"tail");
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(&bomb[..]).read_to_end(&mut out).unwrap();
    assert_eq!(out.len(), 4 + 1 + 258_000 + 4);
    assert!(out.starts_with(b"head\0") && out.ends_with(b"\0tail"));
    assert!(bomb.len() < 600, "{}", bomb.len());
    let mut out = Vec::new();
    flate2::read::GzDecoder::new(&gzip(&[7; 100_000])[..]).read_to_end(&mut out).unwrap();
    assert_eq!(out, [7; 100_000]);
}
