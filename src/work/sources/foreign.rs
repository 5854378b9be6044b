//! A source from elsewhere, as a value: what is in it, what it was taken out of, and whether anybody has looked.

use std::cell::{Cell, OnceCell};

use crate::digest::Digest;
use crate::lock::{Pin, SourceLock};
use crate::oci::json::{Value, object};
use crate::recipe::SourcePath;
use crate::tree::{Content, Files, Kind, Portion, SourceKey, SourceNode, SourceTree};
use crate::work::Error;
use crate::work::upstream::Below;

/// A source from elsewhere.
pub(crate) struct Foreign {
    pub(crate) tree: SourceTree,
    pub(crate) pin: Pin,
    /// As a recipe names it.
    pub(super) path: SourcePath,
    /// The image that it is in, where that is one of this workspace, or what a recipe stands on.
    pub(super) image: Option<Below>,
    /// It is an input that a lock lists and that was moved away.
    pub(crate) away: bool,
    /// A lock says what is in it, and nobody has looked.
    pub(super) unread: Cell<bool>,
    /// Of the listing, once it is known.
    hash: OnceCell<Digest>,
}

impl Foreign {
    /// One that was read now.
    pub(super) fn read(tree: SourceTree, pin: Pin, path: SourcePath, image: Option<Below>) -> Self {
        Self { tree, pin, path, image, away: false, unread: Cell::new(false), hash: OnceCell::new() }
    }

    /// One that only a lock speaks of.
    pub(super) fn listed(
        tree: SourceTree,
        locked: &SourceLock,
        path: SourcePath,
        image: Option<Below>,
    ) -> Self {
        let (pin, hash) = (locked.pin, OnceCell::from(locked.hash));
        Self { tree, pin, path, image, away: false, unread: Cell::new(true), hash }
    }

    /// The same, where nobody can look.
    pub(super) fn away(self, away: bool) -> Self {
        Self { away, ..self }
    }

    /// Whether it is in what a recipe stands on.
    pub(crate) fn is_of_base(&self) -> bool {
        matches!(self.path.key, SourceKey::Base { .. })
    }

    /// The bytes that it has.
    pub(crate) fn contents(&self) -> impl Iterator<Item = Content> {
        self.tree.nodes.values().filter_map(|node| match node {
            SourceNode::Kept { kind: Kind::File(content), .. } | SourceNode::File { content, .. } => {
                Some(*content)
            }
            _ => None,
        })
    }

    /// The name of the fact that it holds what is listed, for the store: a derivation of the pin, what is taken of it, and the
    /// listing's hash. It says nothing that couldn't be found out again from the pinned bytes.
    ///
    /// None where nothing is pinned that could be compared: that is read each time, or told by the pin alone.
    pub(super) fn witness(&self) -> Option<Digest> {
        let whole = Portion::default();
        let (kind, place, portion, platform) = match &self.path.key {
            SourceKey::Files(Files { portion, .. }) | SourceKey::Input { portion, .. } => {
                ("file", "", portion, "")
            }
            SourceKey::Fetch { portion, .. } if !portion.unpack.is_empty() => ("file", "", portion, ""),
            SourceKey::Image { path, portion, platform, .. } => {
                ("image", path.as_str(), portion, &**platform)
            }
            SourceKey::Recipe { path, portion, platform, .. } => {
                ("recipe", path.as_str(), portion, &**platform)
            }
            SourceKey::Base { path, recursive, platform, .. } => {
                (if *recursive { "base and below" } else { "base" }, path.as_str(), &whole, &**platform)
            }
            SourceKey::Fetch { .. } => return None,
        };
        let content = |content: Content| format!("{} {}", content.digest, content.size);
        let pin = match self.pin {
            Pin::None => return None,
            Pin::File(file) => content(file),
            Pin::Image { index, manifest } => format!("{} {}", content(index), content(manifest)),
        };
        let texts = |texts: &[String]| Value::Array(texts.iter().map(|text| text.as_str().into()).collect());
        let Portion { include, exclude, unpack, strip, owners } = portion;
        // No step is called that.
        let steps: Vec<String> = unpack.iter().cloned().chain(owners.then(|| "owners".to_owned())).collect();
        let hash = self.hash.get_or_init(|| self.tree.hash());
        let value = object([
            ("witness", kind.into()),
            ("case_clash", self.path.case_clash.to_string().into()),
            ("exclude", texts(exclude)),
            ("include", texts(include)),
            ("listing", hash.to_string().into()),
            ("path", place.into()),
            ("pin", pin.into()),
            ("platform", platform.into()),
            ("single", self.tree.single.to_string().into()),
            ("strip", (*strip as u64).into()),
            ("unpack", texts(&steps)),
        ]);
        Some(Digest::of(&value.to_bytes()))
    }
}

/// Refuses a lock that lists something else of a source than is in it.
pub(super) fn differs(path: &SourcePath) -> Error {
    Error::Unlisted { name: path.key.name().to_owned() }.at(&path.at)
}
