//! Derivations: all that determines one output, as plain values and as canonical JSON named by its sha256.
//!
//! Owns what a layer, an image and an index are derived from, down to the bytes of that description. Every
//! input is named by digest and size: no recipe's name, host path, environment or version of Cooper stands
//! here, so a content-addressed store is enough to realise one. It must not know how anything is made.

use std::collections::{BTreeMap, BTreeSet};

use crate::digest::{Digest, Encoding};
use crate::oci::json::{Object, Value, object};
use crate::oci::{Compression, Platform};
use crate::tree::{FileTree, Kind, Node, TreePath};

/// What determines a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerDerivation {
    /// Of its bytes.
    pub encoding: Encoding,
    /// Of its blob.
    pub compression: Compression,
    /// Its entries.
    pub tree: FileTree,
}

/// What determines an image of one platform.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageDerivation {
    /// Of its config and manifest.
    pub encoding: Encoding,
    /// As its index will name it.
    pub platform: Platform,
    /// Digest and size of the manifest below; none: from scratch.
    pub base: Option<(Digest, u64)>,
    /// What lies on the base's layers, lowest first: [`LayerDerivation`]s, each with the `layer = "…"` of the recipe that is
    /// the comment of its history entry.
    pub layers: Vec<(Digest, Option<String>)>,
    /// What is said of its config.
    pub patch: ConfigPatch,
}

/// What determines an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexDerivation {
    /// Of the [`ImageDerivation`]s, in the index's order.
    pub images: Vec<Digest>,
    /// Of the index.
    pub annotations: BTreeMap<String, String>,
}

/// What a recipe says of an image's config, all names and variables resolved.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ConfigPatch {
    /// None: the base's. Empty: none. Setting it clears the base's `cmd`, unless that is inherited.
    pub entrypoint: Option<Vec<String>>,
    /// None: the base's, unless an entrypoint is set.
    pub cmd: Option<Cmd>,
    /// Added to the base's, or instead of the value there.
    pub env: BTreeMap<String, String>,
    /// A user as `USER` takes it.
    pub user: Option<String>,
    /// An absolute path.
    pub workdir: Option<String>,
    /// Added: `8080/tcp`.
    pub expose: BTreeSet<String>,
    /// Added.
    pub volumes: BTreeSet<String>,
    /// Added, or instead of the value there.
    pub labels: BTreeMap<String, String>,
    /// A signal's name or number.
    pub stop_signal: Option<String>,
    /// Instead of the base's.
    pub healthcheck: Option<Healthcheck>,
    /// Taken away from what the base brings, before anything is added.
    pub remove: Remove,
    /// `org.opencontainers.image.title`
    pub title: Option<String>,
    /// `org.opencontainers.image.version`
    pub version: Option<String>,
    /// `org.opencontainers.image.source`
    pub source: Option<String>,
    /// Seconds since 1970: the earliest time that the image can claim to be made at.
    pub epoch: i64,
    /// `org.opencontainers.image.base.name`
    pub base_name: Option<String>,
    /// `org.opencontainers.image.base.digest`
    pub base_digest: Option<Digest>,
}

/// What becomes of the arguments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cmd {
    /// The base's, under a new entrypoint too.
    Inherit,
    /// These; empty: none.
    Set(Vec<String>),
}

/// How an engine finds out whether a container is well. Durations of 0 and no retries leave it to the engine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Healthcheck {
    /// A command and its arguments, run without a shell; empty: no check, not even the base's.
    pub test: Vec<String>,
    /// Between two checks.
    pub interval_ns: u64,
    /// For one check.
    pub timeout_ns: u64,
    /// At the start, while failures don't count.
    pub start_period_ns: u64,
    /// So many failures in a row are one too many.
    pub retries: u64,
}

/// Names to take away; what isn't there is no error here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Remove {
    /// Names of variables.
    pub env: BTreeSet<String>,
    /// Paths.
    pub volumes: BTreeSet<String>,
    /// `8080/tcp`
    pub expose: BTreeSet<String>,
    /// Keys.
    pub labels: BTreeSet<String>,
}

impl LayerDerivation {
    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let entries: Vec<Value> = self.tree.iter().map(|(path, node)| entry(path, node)).collect();
        object([
            ("encoding", u64::from(self.encoding.number()).into()),
            ("compression", compression(self.compression).into()),
            ("tree", entries.into()),
        ])
        .to_bytes()
    }

    /// Its name.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }
}

const fn compression(compression: Compression) -> &'static str {
    match compression {
        Compression::None => "none",
        Compression::Gzip => "gzip",
        Compression::Zstd => "zstd",
    }
}

/// `[path, type, mode, uid, gid, mtime, …]`: a file's digest and size or a link's target, then the extended
/// attributes, if any. No two nodes have one listing.
fn entry(path: &TreePath, node: &Node) -> Value {
    let (kind, rest): (&str, Vec<Value>) = match &node.kind {
        Kind::Directory { opaque: false } => ("dir", Vec::new()),
        Kind::Directory { opaque: true } => ("opaque", Vec::new()),
        Kind::File(content) => ("file", vec![content.digest.to_string().into(), content.size.into()]),
        Kind::Symlink(target) => ("symlink", vec![escape(target)]),
        Kind::HardLink(target) => ("hardlink", vec![escape(target.as_bytes())]),
        Kind::Whiteout => ("whiteout", Vec::new()),
    };
    let attributes = &node.attributes;
    let mut items = vec![
        escape(path.as_bytes()),
        kind.into(),
        format!("{:04o}", attributes.mode).into(),
        u64::from(attributes.uid).into(),
        u64::from(attributes.gid).into(),
        Value::Number(node.mtime.to_string()),
    ];
    items.extend(rest);
    if !attributes.xattrs.is_empty() {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let named = |(name, value): (&Vec<u8>, &Vec<u8>)| {
            (name.escape_ascii().to_string(), Value::String(hex(value)))
        };
        items.push(Value::Object(attributes.xattrs.iter().map(named).collect()));
    }
    Value::Array(items)
}

fn escape(bytes: &[u8]) -> Value {
    Value::String(bytes.escape_ascii().to_string())
}

impl ImageDerivation {
    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let layers: Vec<Value> = self.layers.iter().map(layer).collect();
        let base = self.base.map_or(Value::Null, |(digest, size)| {
            object([("digest", digest.to_string().into()), ("size", size.into())])
        });
        object([
            ("encoding", u64::from(self.encoding.number()).into()),
            ("platform", self.platform.to_value()),
            ("base", base),
            ("layers", layers.into()),
            ("patch", self.patch.to_value()),
        ])
        .to_bytes()
    }

    /// Its name.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }
}

fn layer((derivation, name): &(Digest, Option<String>)) -> Value {
    let mut members = Object::from([("derivation".to_owned(), derivation.to_string().into())]);
    if let Some(name) = name {
        members.insert("name".to_owned(), name.as_str().into());
    }
    members.into()
}

impl IndexDerivation {
    /// The canonical bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let images: Vec<String> = self.images.iter().map(Digest::to_string).collect();
        object([("images", images.into()), ("annotations", Value::from(&self.annotations))]).to_bytes()
    }

    /// Its name.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.to_bytes())
    }
}

impl ConfigPatch {
    /// What becomes an annotation of the manifest and of the index.
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let base_digest = self.base_digest.map(|digest| digest.to_string());
        let base = [("base.name", self.base_name.clone()), ("base.digest", base_digest)];
        self.descriptions()
            .chain(base)
            .filter_map(|(name, value)| Some((format!("org.opencontainers.image.{name}"), value?)))
            .collect()
    }

    /// Every label that it sets, the description's among them.
    pub fn all_labels(&self) -> BTreeMap<String, String> {
        let mut labels = self.labels.clone();
        for (name, value) in self.descriptions() {
            if let Some(value) = value {
                labels.insert(format!("org.opencontainers.image.{name}"), value);
            }
        }
        labels
    }

    fn descriptions(&self) -> impl Iterator<Item = (&'static str, Option<String>)> {
        [("title", &self.title), ("version", &self.version), ("source", &self.source)]
            .map(|(name, value)| (name, value.clone()))
            .into_iter()
    }

    /// What isn't said isn't there, so a key added later changes no derivation that doesn't use it.
    pub fn to_value(&self) -> Value {
        let some = |text: &Option<String>| text.as_deref().map(Value::from);
        let set = |names: &BTreeSet<String>| (!names.is_empty()).then(|| list(names));
        let map = |pairs: &BTreeMap<String, String>| (!pairs.is_empty()).then(|| Value::from(pairs));
        members([
            ("entrypoint", self.entrypoint.as_ref().map(list)),
            ("cmd", self.cmd.as_ref().map(Cmd::to_value)),
            ("env", map(&self.env)),
            ("user", some(&self.user)),
            ("workdir", some(&self.workdir)),
            ("expose", set(&self.expose)),
            ("volumes", set(&self.volumes)),
            ("labels", map(&self.labels)),
            ("stop_signal", some(&self.stop_signal)),
            ("healthcheck", self.healthcheck.as_ref().map(Healthcheck::to_value)),
            ("remove", (self.remove != Remove::default()).then(|| self.remove.to_value())),
            ("title", some(&self.title)),
            ("version", some(&self.version)),
            ("source", some(&self.source)),
            ("epoch", Some(Value::Number(self.epoch.to_string()))),
            ("base_name", some(&self.base_name)),
            ("base_digest", self.base_digest.map(|digest| digest.to_string().into())),
        ])
    }
}

impl Cmd {
    fn to_value(&self) -> Value {
        match self {
            Self::Inherit => "inherit".into(),
            Self::Set(words) => list(words),
        }
    }
}

impl Healthcheck {
    fn to_value(&self) -> Value {
        object([
            ("test", list(&self.test)),
            ("interval_ns", self.interval_ns.into()),
            ("timeout_ns", self.timeout_ns.into()),
            ("start_period_ns", self.start_period_ns.into()),
            ("retries", self.retries.into()),
        ])
    }
}

impl Remove {
    fn to_value(&self) -> Value {
        let set = |names: &BTreeSet<String>| (!names.is_empty()).then(|| list(names));
        members([
            ("env", set(&self.env)),
            ("volumes", set(&self.volumes)),
            ("expose", set(&self.expose)),
            ("labels", set(&self.labels)),
        ])
    }
}

fn list<'a>(items: impl IntoIterator<Item = &'a String>) -> Value {
    Value::Array(items.into_iter().map(|item| item.as_str().into()).collect())
}

/// An object of the members that have a value.
fn members<const N: usize>(members: [(&str, Option<Value>); N]) -> Value {
    let some = members.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?)));
    Value::Object(some.collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::{Attributes, Content};

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_layer_is_listed_entry_by_entry() {
        let mut xattrs = Attributes::new(0o4755).owned(1, 2);
        xattrs.xattrs.insert(b"user.\xff".to_vec(), b"\0\n".to_vec());
        let node = |kind, attributes| Node { kind, attributes, mtime: 5 };
        let tree = FileTree::from_iter([
            (TreePath::parse(b"d").unwrap(), node(Kind::Directory { opaque: true }, Attributes::new(0o755))),
            (TreePath::parse(b"d/\xff").unwrap(), node(Kind::File(Content::of(b"")), xattrs)),
            (TreePath::parse(b"l").unwrap(), node(Kind::Symlink(b"d/\\".to_vec()), Attributes::new(0o777))),
        ]);
        let layer = LayerDerivation { encoding: Encoding::V1, compression: Compression::Gzip, tree };
        assert_eq!(
            text(layer.to_bytes()),
            r#"{"compression":"gzip","encoding":1,"tree":[["d","opaque","0755",0,0,5],["d/\\xff","file","4755",1,2,5,"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",0,{"user.\\xff":"000a"}],["l","symlink","0777",0,0,5,"d/\\\\"]]}"#
        );
    }

    #[test]
    fn an_image_names_its_inputs() {
        let layers = vec![(Digest::of(b""), Some("app".into()))];
        let patch = ConfigPatch {
            cmd: Some(Cmd::Inherit),
            entrypoint: Some(Vec::new()),
            title: Some("T".into()),
            labels: BTreeMap::from([("a".into(), "b".into())]),
            remove: Remove { env: BTreeSet::from(["X".into()]), ..Remove::default() },
            healthcheck: Some(Healthcheck::default()),
            epoch: 946_684_800,
            ..ConfigPatch::default()
        };
        let platform = "linux/amd64".parse().unwrap();
        let image = ImageDerivation { encoding: Encoding::V1, platform, base: None, layers, patch };
        assert_eq!(
            text(image.to_bytes()),
            r#"{"base":null,"encoding":1,"layers":[{"derivation":"sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855","name":"app"}],"patch":{"cmd":"inherit","entrypoint":[],"epoch":946684800,"healthcheck":{"interval_ns":0,"retries":0,"start_period_ns":0,"test":[],"timeout_ns":0},"labels":{"a":"b"},"remove":{"env":["X"]},"title":"T"},"platform":{"architecture":"amd64","os":"linux"}}"#
        );
        let annotations = image.patch.annotations();
        let index = IndexDerivation { images: vec![Digest::of(b"")], annotations };
        assert_eq!(
            text(index.to_bytes()),
            r#"{"annotations":{"org.opencontainers.image.title":"T"},"images":["sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"]}"#
        );
    }
}
