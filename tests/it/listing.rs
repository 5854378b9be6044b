//! Trees as sorted lines in the notation of `support::tar`, from wherever they are: expected, found and compared.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use serde_json::Value;

/// Paths and what stands there: a line without its path.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Listing(BTreeMap<String, String>);

impl Listing {
    pub(crate) fn put(&mut self, path: &str, what: String) {
        self.0.insert(path.to_owned(), what);
    }

    /// What lies below a directory of the root.
    pub(crate) fn below(&self, top: &str) -> Self {
        let inside = |path: &str| path.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'));
        Self(self.0.iter().filter(|(path, _)| inside(path)).map(|(a, b)| (a.clone(), b.clone())).collect())
    }

    /// The lines that one has and the other hasn't.
    pub(crate) fn difference(&self, other: &Self) -> Vec<String> {
        let missing = |one: &Self, other: &Self, sign: &str| -> Vec<String> {
            let lines = one.0.iter().filter(|(path, what)| other.0.get(*path) != Some(what));
            lines.map(|(path, what)| format!("{sign} {path}: {what}")).collect()
        };
        [missing(self, other, "-"), missing(other, self, "+")].concat()
    }

    /// One path's line, without the path.
    pub(crate) fn at(&self, path: &str) -> &str {
        self.0.get(path).map_or("nothing", String::as_str)
    }

    pub(crate) fn to_text(&self) -> String {
        self.0.iter().map(|(path, what)| format!("{path}: {what}\n")).collect()
    }

    /// What a tar holds, as an engine exports it.
    pub(crate) fn of_tar(bytes: &[u8]) -> Self {
        let mut listing = Self::default();
        listing.add(bytes);
        listing
    }

    fn add(&mut self, bytes: &[u8]) {
        for entry in ::tar::Archive::new(bytes).entries().unwrap() {
            let mut entry = entry.unwrap();
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            let path = text(&entry.path_bytes());
            let path = path.trim_start_matches("./").trim_end_matches('/');
            let mut mode = format!("{:04o}", entry.header().mode().unwrap() & 0o7777);
            for record in entry.pax_extensions().unwrap().into_iter().flatten() {
                let record = record.unwrap();
                if let Some(name) = record.key().unwrap().strip_prefix("SCHILY.xattr.") {
                    mode += &xattr(name, record.value_bytes());
                }
            }
            let header = entry.header();
            let (uid, gid) = (header.uid().unwrap(), header.gid().unwrap());
            let link = entry.link_name_bytes().map(|link| text(&link)).unwrap_or_default();
            let what = match entry.header().entry_type() {
                ::tar::EntryType::Directory => format!("d {mode} {uid}:{gid}"),
                ::tar::EntryType::Symlink => format!("l {link}"),
                ::tar::EntryType::Link => self.at(link.trim_start_matches('/')).to_owned(),
                ::tar::EntryType::Regular => {
                    let mut content = Vec::new();
                    entry.read_to_end(&mut content).unwrap();
                    format!("f {mode} {uid}:{gid} {}", text(&content))
                }
                other => format!("{other:?}"),
            };
            if !path.is_empty() {
                self.put(path, what.trim_end().to_owned());
            }
        }
    }

    /// What a directory holds.
    pub(crate) fn of_directory(root: &Path) -> Self {
        let mut listing = Self::default();
        listing.walk(root, "");
        listing
    }

    fn walk(&mut self, directory: &Path, prefix: &str) {
        for entry in fs::read_dir(directory).unwrap() {
            let entry = entry.unwrap();
            let path = format!("{prefix}{}", entry.file_name().to_string_lossy());
            let metadata = fs::symlink_metadata(entry.path()).unwrap();
            let mut mode = format!("{:04o}", metadata.permissions().mode() & 0o7777);
            let mut value = [0; 64];
            if let Ok(size) = rustix::fs::lgetxattr(entry.path(), CAPABILITY, &mut value[..]) {
                mode += &xattr(CAPABILITY, &value[..size]);
            }
            let owner = format!("{mode} {}:{}", metadata.uid(), metadata.gid());
            if metadata.is_symlink() {
                self.put(&path, format!("l {}", fs::read_link(entry.path()).unwrap().display()));
            } else if metadata.is_dir() {
                self.put(&path, format!("d {owner}"));
                self.walk(&entry.path(), &format!("{path}/"));
            } else {
                let content = String::from_utf8_lossy(&fs::read(entry.path()).unwrap()).into_owned();
                self.put(&path, format!("f {owner} {content}").trim_end().to_owned());
            }
        }
    }

    /// What the layers of an OCI layout's image amount to, laid one on the other as the image specification says.
    pub(crate) fn of_layout(layout: &Path, platform: &str) -> Self {
        let mut listing = Self::default();
        for digest in layers(layout, platform) {
            let mut bytes = Vec::new();
            flate2::read::GzDecoder::new(&blob(layout, &digest)[..]).read_to_end(&mut bytes).unwrap();
            listing.apply(&bytes);
        }
        listing
    }

    fn apply(&mut self, layer: &[u8]) {
        let mut own = self.clone();
        own.0.clear();
        own.add(layer);
        let lower = std::mem::take(&mut self.0);
        // Whiteouts act on what was there before, wherever they stand in the layer.
        let gone = |path: &str| {
            let mut above = Some(path);
            while let Some(here) = above {
                let (parent, name) = here.rsplit_once('/').unwrap_or(("", here));
                let whiteout =
                    if parent.is_empty() { format!(".wh.{name}") } else { format!("{parent}/.wh.{name}") };
                let opaque = format!("{parent}/.wh..wh..opq");
                let replaced = here != path && own.0.get(here).is_some_and(|what| !what.starts_with("d "));
                if own.0.contains_key(&whiteout) || own.0.contains_key(&opaque) || replaced {
                    return true;
                }
                above = (!parent.is_empty()).then_some(parent);
            }
            false
        };
        self.0.extend(lower.iter().filter(|(path, _)| !gone(path)).map(|(a, b)| (a.clone(), b.clone())));
        let is_whiteout =
            |path: &String| path.rsplit('/').next().is_some_and(|name| name.starts_with(".wh."));
        // A lower non-directory can't hold anything, so an entry of another type simply takes its place.
        self.0
            .extend(own.0.iter().filter(|(path, _)| !is_whiteout(path)).map(|(a, b)| (a.clone(), b.clone())));
    }
}

/// The one that images have, and that engines keep.
const CAPABILITY: &str = "security.capability";

fn xattr(name: &str, value: &[u8]) -> String {
    let hex: String = value.iter().map(|byte| format!("{byte:02x}")).collect();
    format!(",{name}={hex}")
}

/// The digests of the layers of an OCI layout's image, lowest first.
pub(crate) fn layers(layout: &Path, platform: &str) -> Vec<String> {
    let (_, architecture) = platform.split_once('/').unwrap();
    let parse = |bytes: Vec<u8>| -> Value { serde_json::from_slice(&bytes).unwrap() };
    let digest = |descriptor: &Value| descriptor["digest"].as_str().unwrap().to_owned();
    let index = parse(fs::read(layout.join("index.json")).unwrap());
    let index = parse(blob(layout, &digest(&index["manifests"][0])));
    let manifests = index["manifests"].as_array().unwrap();
    let of_platform = |manifest: &&Value| manifest["platform"]["architecture"] == architecture;
    let manifest = parse(blob(layout, &digest(manifests.iter().find(of_platform).unwrap())));
    manifest["layers"].as_array().unwrap().iter().map(digest).collect()
}

fn blob(layout: &Path, digest: &str) -> Vec<u8> {
    fs::read(layout.join("blobs/sha256").join(digest.split_once(':').unwrap().1)).unwrap()
}
