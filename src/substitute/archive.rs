//! An OCI image layout in a tar, or what `docker save` writes. Never unpacked: blobs are read where they lie.

use std::collections::BTreeMap;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Substituter;
use super::error::{Error, cut};
use super::index::{CONTAINERD_NAME, MAX_INDEX, check_version, embedded, parse_index, select};
use super::tarball::{self, Member};
use crate::digest::{DiffId, Digest, HashingReader};
use crate::disk::{self, File, Section};
use crate::layer::decompress;
use crate::oci::json::{self, Value};
use crate::oci::{
    Compression, Descriptor, DocumentError, ImageConfig, MAX_DOCUMENT, Manifest, MediaType, Reference,
};

/// `docker save` of more images, or of images with more names, is not read.
const MAX_IMAGES: usize = 1000;
const MAX_NAMES: usize = 10_000;

/// A tar, as it was when it was opened.
#[derive(Debug, Clone)]
pub struct Archive {
    path: PathBuf,
    file: Arc<File>,
    members: BTreeMap<String, Member>,
    entries: Vec<Descriptor>,
    /// The blobs of docker archives, whose members are not named by digests.
    blobs: BTreeMap<Digest, Section>,
    /// Manifests that were made here, because a docker archive has none.
    documents: BTreeMap<Digest, Vec<u8>>,
}

impl Archive {
    /// Lists the archive and reads its index. The layers of a docker archive are read once, to know their digests.
    ///
    /// # Errors
    /// When it isn't an archive of images, or a broken one.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let (file, _) = disk::open(path)?;
        let mut head = [0; 4];
        if matches!(file.read_at(&mut head, 0), Ok(4)) && compression(&head) != Compression::None {
            return Err(Error::NotAnImage {
                path: path.to_owned(),
                why: "it is compressed; unpack it first",
            });
        }
        let members = tarball::members(path, &file)?;
        let mut archive = Self {
            path: path.to_owned(),
            file: Arc::new(file),
            members,
            entries: Vec::new(),
            blobs: BTreeMap::new(),
            documents: BTreeMap::new(),
        };
        if archive.members.contains_key("oci-layout") {
            check_version(path, &archive.read_member("oci-layout", 4096)?)?;
            archive.entries = parse_index(path, &archive.read_member("index.json", MAX_INDEX)?)?;
        } else if archive.members.contains_key("manifest.json") {
            archive.read_docker()?;
        } else {
            let why = "it holds neither oci-layout nor manifest.json";
            return Err(Error::NotAnImage { path: path.to_owned(), why });
        }
        Ok(archive)
    }

    /// The entries of `index.json`, or one per image of a docker archive.
    pub fn entries(&self) -> &[Descriptor] {
        &self.entries
    }

    fn bad(&self, why: String) -> Error {
        Error::Archive { path: self.path.clone(), why }
    }

    fn section(&self, name: &str) -> Result<Option<Section>, Error> {
        let target = match self.members.get(name) {
            None => return Ok(None),
            Some(Member::File(offset, size)) => (*offset, *size),
            // One step within the archive, no more.
            Some(Member::Link(target, hard)) => {
                let real = resolve_link(name, target, *hard).and_then(|real| self.members.get(&real));
                match real {
                    Some(Member::File(offset, size)) => (*offset, *size),
                    _ => {
                        let (name, target) = (cut(name), cut(target));
                        let why = format!("{name} is a link to {target}, which is no file of the archive");
                        return Err(self.bad(why));
                    }
                }
            }
        };
        Ok(Some(Section::new(Arc::clone(&self.file), target.0, target.1)))
    }

    fn read_member(&self, name: &str, cap: u64) -> Result<Vec<u8>, Error> {
        let shown = cut(name);
        let mut section = self.section(name)?.ok_or_else(|| self.bad(format!("{shown} is missing")))?;
        if section.left() > cap {
            return Err(self.bad(format!("{shown} has {} bytes; at most {cap} are read", section.left())));
        }
        let mut bytes = Vec::new();
        section.read_to_end(&mut bytes).map_err(|error| self.bad(format!("{shown}: {error}")))?;
        Ok(bytes)
    }

    fn read_docker(&mut self) -> Result<(), Error> {
        let wrong =
            |source| Error::Document { path: self.path.clone(), name: "manifest.json".into(), source };
        let bytes = self.read_member("manifest.json", MAX_DOCUMENT)?;
        let value = json::parse(&bytes)
            .map_err(|source| wrong(DocumentError::Json { document: "manifest.json", source }))?;
        let images = value.as_array().ok_or_else(|| self.bad("manifest.json is no array".into()))?;
        if images.len() > MAX_IMAGES {
            let count = images.len();
            return Err(self.bad(format!("manifest.json has {count} images; at most {MAX_IMAGES} are read")));
        }
        let mut known = BTreeMap::new();
        for image in images {
            self.read_image(image, &mut known)?;
        }
        Ok(())
    }

    /// Makes the manifest that a docker archive lacks: layers by their own bytes, the config verbatim.
    fn read_image(
        &mut self,
        image: &Value,
        known: &mut BTreeMap<String, (Descriptor, DiffId)>,
    ) -> Result<(), Error> {
        let member = |name: &str| image.as_object().and_then(|image| image.get(name));
        let missing = |name: &str| self.bad(format!("manifest.json has an image without {name}"));
        let config_name = member("Config").and_then(Value::as_str).ok_or_else(|| missing("Config"))?;
        let layer_names = strings(member("Layers")).ok_or_else(|| missing("Layers"))?;
        let tags = strings(member("RepoTags")).ok_or_else(|| missing("RepoTags"))?;
        if self.entries.len() + tags.len() > MAX_NAMES {
            return Err(self.bad(format!("manifest.json has more than {MAX_NAMES} names of images")));
        }
        let config = self.read_member(config_name, MAX_DOCUMENT)?;
        let wrong = |source| Error::Document { path: self.path.clone(), name: cut(config_name), source };
        let parsed = ImageConfig::parse(&config).map_err(wrong)?;
        let (platform, diff_ids) = (parsed.platform().map_err(wrong)?, parsed.diff_ids().map_err(wrong)?);
        if diff_ids.len() != layer_names.len() {
            let (here, there) = (layer_names.len(), diff_ids.len());
            let config_name = cut(config_name);
            return Err(self.bad(format!("manifest.json names {here} layers, {config_name} {there}")));
        }
        let mut layers = Vec::new();
        for (name, diff_id) in layer_names.iter().zip(diff_ids) {
            let layer = match known.get(name) {
                Some(layer) => layer.clone(),
                None => self.read_layer(name)?,
            };
            if layer.1 != diff_id {
                return Err(self.bad(format!("{} is {}, not {diff_id}", cut(name), layer.1)));
            }
            known.insert(name.clone(), layer.clone());
            layers.push(layer.0);
        }
        let config_descriptor = Descriptor::of(MediaType::Config, &config);
        let manifest = Manifest { config: config_descriptor.clone(), layers, annotations: BTreeMap::new() };
        let bytes = manifest.to_bytes();
        let mut entry = Descriptor::of(MediaType::Manifest, &bytes);
        entry.platform = Some(platform);
        self.documents.insert(entry.digest, bytes);
        self.documents.insert(config_descriptor.digest, config);
        self.entries.extend(named(&entry, tags));
        Ok(())
    }

    /// A layer and the digest of its tar: nothing else says that a compressed one is what the config names.
    fn read_layer(&mut self, name: &str) -> Result<(Descriptor, DiffId), Error> {
        let shown = cut(name);
        let section = self.section(name)?.ok_or_else(|| self.bad(format!("the layer {shown} is missing")))?;
        let failed = |error: io::Error| self.bad(format!("{shown}: {error}"));
        let mut head = [0; 4];
        let count = section.clone().take(4).read(&mut head).map_err(failed)?;
        let compression = compression(&head[..count]);
        let mut reader = HashingReader::new(section.clone());
        io::copy(&mut reader, &mut io::sink()).map_err(failed)?;
        let (digest, size) = reader.finish();
        let mut diff_id = DiffId(digest);
        if compression != Compression::None {
            let packed = BufReader::with_capacity(1 << 16, section.clone());
            let plain = compression.open(packed).map_err(failed)?;
            let most = decompress::most(size);
            let mut plain = HashingReader::new(plain.take(most));
            io::copy(&mut plain, &mut io::sink()).map_err(failed)?;
            let (digest, length) = plain.finish();
            if length == most {
                return Err(self.bad(format!("{shown}: more than {most} bytes")));
            }
            diff_id = DiffId(digest);
        }
        self.blobs.insert(digest, section);
        Ok((Descriptor::new(MediaType::Layer(compression), digest, size), diff_id))
    }
}

impl Substituter for Archive {
    fn resolve(&self, selector: Option<&str>) -> Result<Descriptor, Error> {
        select(self, &self.path, &self.entries, selector)
    }

    fn open_unverified(&self, descriptor: &Descriptor) -> Result<Option<Box<dyn Read + Send>>, Error> {
        if let Some(bytes) = embedded(&self.path, descriptor)? {
            return Ok(Some(bytes));
        }
        let digest = descriptor.digest;
        if let Some(bytes) = self.documents.get(&digest) {
            return Ok(Some(Box::new(io::Cursor::new(bytes.clone()))));
        }
        let section = match self.blobs.get(&digest) {
            Some(section) => Some(section.clone()),
            None => self.section(&format!("blobs/sha256/{}", digest.hex()))?,
        };
        Ok(section.map(|section| Box::new(section) as Box<_>))
    }
}

/// Tells the compression by the first bytes, as engines do.
fn compression(head: &[u8]) -> Compression {
    match head {
        [0x1f, 0x8b, ..] => Compression::Gzip,
        [0x28, 0xb5, 0x2f, 0xfd] => Compression::Zstd,
        _ => Compression::None,
    }
}

/// The strings of an array; none for null and absent, nothing for anything else.
fn strings(value: Option<&Value>) -> Option<Vec<String>> {
    match value {
        None | Some(Value::Null) => Some(Vec::new()),
        Some(value) => value.as_array()?.iter().map(|item| item.as_str().map(str::to_owned)).collect(),
    }
}

/// One entry per tag, as in an index.
fn named(entry: &Descriptor, tags: Vec<String>) -> Vec<Descriptor> {
    let full = |tag: String| tag.parse::<Reference>().map_or(tag, |reference| reference.tagged());
    let name = |tag| {
        let mut entry = entry.clone();
        entry.annotations.insert(CONTAINERD_NAME.into(), full(tag));
        entry
    };
    if tags.is_empty() { vec![entry.clone()] } else { tags.into_iter().map(name).collect() }
}

/// The name that a link in an archive means, if it stays inside.
fn resolve_link(name: &str, target: &str, hard: bool) -> Option<String> {
    if target.starts_with('/') {
        return None;
    }
    let directory = if hard { "" } else { name.rsplit_once('/').map_or("", |(directory, _)| directory) };
    let from: Vec<&str> = directory.split('/').filter(|part| !part.is_empty()).collect();
    tarball::resolve(&from, target)
}
